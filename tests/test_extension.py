"""`%load_ext workshop` in a real kernel, its sandbox killed and emptied under it."""

import os
import signal

import pytest
from jupyter_client.manager import start_new_kernel
from patience import PATIENCE
from state_machines import until
from test_life import alive

from workshop import sandbox


@pytest.fixture
def kernel(tmp_path, monkeypatch):
    """run(code) -> what the cell printed and the error it showed, in a kernel with a sandbox of its own."""
    monkeypatch.setattr(sandbox, "FOLDER", tmp_path / "sandbox")
    manager, client = start_new_kernel(
        kernel_name="python3", env={**os.environ, "WORKSHOP_STATE": str(tmp_path), "AWS_PROFILE": "a-real-account"}
    )

    def run(code):
        printed, error = [], ""

        def listen(message):
            nonlocal error
            if message["msg_type"] == "stream":
                printed.append(message["content"]["text"])
            elif message["msg_type"] == "execute_result":
                printed.append(message["content"]["data"]["text/plain"])
            elif message["msg_type"] == "error":
                error = "\n".join(message["content"]["traceback"])

        client.execute_interactive(code, timeout=PATIENCE, output_hook=listen)
        return "".join(printed), error

    yield run
    client.stop_channels()
    manager.shutdown_kernel(now=True)
    sandbox.stop()


def kill_the_sandbox():
    """Kill it, and wait until the system has closed its connections (the kernel's lease among them)."""
    state = sandbox.status()
    lease = sandbox.Lease(state)  # younger than the kernel's, and so closed after it
    os.kill(state["pid"], signal.SIGKILL)
    until(lambda: not lease.alive and not alive(state["pid"]))


def test_the_first_cell_says_where_cells_run_and_may_run_again(kernel):
    line, error = kernel("%load_ext workshop")
    assert not error
    endpoint = sandbox.status()["endpoint"]
    assert line == f"sandbox · account 111122223333 · us-east-1 · {endpoint}\n"
    assert kernel("%load_ext workshop") == (line, "")
    who, error = kernel("import boto3; boto3.client('sts').get_caller_identity()['Account']")
    assert (who, error) == ("'111122223333'", "")
    assert sandbox.status()["leases"] >= 1


def test_a_sandbox_that_died_is_replaced_and_the_cell_does_not_run(kernel):
    kernel("%load_ext workshop")
    kernel("import boto3; sqs = boto3.client('sqs'); sqs.create_queue(QueueName='q')")
    kill_the_sandbox()
    printed, error = kernel("print('ran')")
    assert "ran" not in printed.replace("did not run", "")
    assert "had stopped, and a new one was started" in error
    assert "%load_ext workshop" in error and "sandbox.log" in error
    assert "Traceback" not in error
    # Said once; a client made before goes on, on the empty account.
    assert kernel("print(sqs.list_queues().get('QueueUrls') or None)") == ("None\n", "")


def test_a_sandbox_that_died_does_not_keep_the_first_cell_from_running(kernel):
    kernel("%load_ext workshop")
    kill_the_sandbox()
    line, error = kernel("%load_ext workshop")
    assert line.startswith("sandbox · ") and not error
    assert kernel("print('ran')") == ("ran\n", "")


def test_an_emptied_account_is_noticed(kernel):
    kernel("%load_ext workshop")
    sandbox.reset()
    _, error = kernel("print('ran')")
    assert "was emptied" in error
    assert kernel("print('ran')") == ("ran\n", "")


def test_a_sandbox_that_dies_under_a_cell_is_not_the_learners_fault(kernel):
    kernel("%load_ext workshop")
    kernel("import boto3, os, signal; sts = boto3.client('sts'); sts.get_caller_identity()")
    _, error = kernel(f"os.kill({sandbox.status()['pid']}, signal.SIGKILL); sts.get_caller_identity()")
    assert "not your fault" in error and "The next cell" in error


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ("WORKSHOP_TARGET='moon'", "may be sandbox (the default) or aws"),
        ("WORKSHOP_TARGET='aws'", "set WORKSHOP_ACCOUNT to its twelve digits"),
    ],
)
def test_a_target_that_is_not_one_is_said_in_one_sentence(kernel, setting, sentence):
    _, error = kernel(f"import os; os.environ.update({setting})\n%load_ext workshop")
    assert sentence in error and "Traceback" not in error
