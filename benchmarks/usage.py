"""What a lesson and its lab use of an account, for `workshop/data/labs.toml`: what is paid for, and endpoints of DMS.

Each lesson and its lab run once in an account of their own, with the solution in the place of a learner. What was
deleted before the end is not counted, and neither is what a learner tries beside it.
"""

import os
import tempfile
from collections import Counter
from pathlib import Path

import nbformat
from nbclient import NotebookClient

from workshop import account, authoring, clients, sandbox
from workshop.examining.histories import measured
from workshop.examining.reading import Trace
from workshop.executions import History


def main():
    for solution in sorted(authoring.SOLUTIONS.glob("*.ipynb")):
        with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
            os.environ |= {"WORKSHOP_STATE": folder, **authoring.AFRESH}
            sandbox.FOLDER = Path(folder) / "sandbox"
            account.use_sandbox(sandbox.start())
            for path in (authoring.LESSONS / solution.name, solution):
                notebook = nbformat.read(path, as_version=4)
                where = {"metadata": {"path": path.parent}}
                NotebookClient(notebook, timeout=authoring.CELL_SECONDS, resources=where).execute()
            used = ", ".join(f'"{name}" = {count}' for name, count in sorted(_used().items()) if count)
            print(f"{solution.stem}: used = {{ {used} }}, endpoints = {len(_endpoints())}", flush=True)
            sandbox.stop()


def _used():
    used, machines, functions = Counter(), clients.of("stepfunctions"), clients.of("lambda")
    for machine in _all(machines, "list_state_machines", "stateMachines"):
        for each in _all(machines, "list_executions", "executions", stateMachineArn=machine["stateMachineArn"]):
            used["states.transition"] += History.of(each["executionArn"]).transitions
    for function in _all(functions, "list_functions", "Functions"):
        used["lambda.request"] += _invocations(function["FunctionName"])
        if "DurableConfig" in function:
            of = {"FunctionName": function["FunctionName"]}
            for each in _all(functions, "list_durable_executions_by_function", "DurableExecutions", **of):
                arn = {"DurableExecutionArn": each["DurableExecutionArn"]}
                events = _all(functions, "get_durable_execution_history", "Events", **arn)
                used["durable.operation"] += measured(Trace("", "", events, durable=True)).operations
    return used


def _invocations(function):
    logs = clients.of("logs")
    group = {"logGroupName": f"/aws/lambda/{function}", "filterPattern": "START RequestId"}
    try:
        return len(_all(logs, "filter_log_events", "events", **group))
    except logs.exceptions.ResourceNotFoundException:
        return 0


def _endpoints():
    dms = clients.of("dms")
    try:
        return _all(dms, "describe_endpoints", "Endpoints")
    except dms.exceptions.ResourceNotFoundFault:
        return []


def _all(client, operation, key, **arguments):
    return [each for page in client.get_paginator(operation).paginate(**arguments) for each in page[key]]
