"""`lab.explore` in a notebook: Ctrl-C, as a kernel gets it, leaves nothing behind."""

import json
import os
import re
import time

import pytest
from answers import task_tokens_and_events
from jupyter_client.manager import start_new_kernel
from patience import until
from test_answers import given

from workshop import sandbox as process

LAB = "02-task-tokens-and-events"
LEARNER = "exploring"
EXPLORES = f"""
%load_ext workshop
from workshop.labs import Lab
lab = Lab("{LAB}")
lab.explore(1, seconds=600)
"""


def waiting(client):
    """The executions of the check that run."""
    machines = client.get_paginator("list_state_machines").paginate()
    ours = [
        each["stateMachineArn"]
        for page in machines
        for each in page["stateMachines"]
        if each["name"].startswith(f"{LEARNER}-02-")
    ]
    pages = [client.list_executions(stateMachineArn=arn, statusFilter="RUNNING") for arn in ours]
    return [execution["executionArn"] for page in pages for execution in page["executions"]]


def going_wrong():
    return [fault for fault in process.faults() if f"{LEARNER}-02-" in json.dumps(fault)]


@pytest.mark.takes(40)
def test_an_interrupt_ends_it_and_leaves_no_fault_and_no_execution(account, aws, tmp_path, monkeypatch):
    monkeypatch.setenv("WORKSHOP_RECORDS", str(tmp_path / "records"))
    solution = next(each for each in task_tokens_and_events.ANSWERS[1] if each.get("says", "done") == "done")
    states = aws("stepfunctions")
    with given(LAB, 1, LEARNER, solution, tmp_path):
        manager, client = start_new_kernel(kernel_name="python3", env={**os.environ, "WORKSHOP_LEARNER": LEARNER})
        try:
            sent, end = client.execute(EXPLORES), time.monotonic() + 120
            while not (waiting(states) and going_wrong()):
                assert time.monotonic() < end, "nothing was played"
                time.sleep(0.02)
            manager.interrupt_kernel()
            text, idle = "", False
            while not idle:
                message = client.get_iopub_msg(timeout=120)
                if message["parent_header"].get("msg_id") == sent:
                    assert message["msg_type"] != "error", message["content"]
                    text += message["content"].get("text", "")
                    idle = message["content"].get("execution_state") == "idle"
        finally:
            client.stop_channels()
            manager.shutdown_kernel(now=True)
        assert re.search(r"^Stopped after \d+ s, before it was played once to its end\.$", text, re.MULTILINE), text
        # A fault of a migration ends with that, which DMS deletes in its own time.
        until(lambda: not going_wrong() and not waiting(states))
