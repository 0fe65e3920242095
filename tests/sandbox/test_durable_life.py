"""The runner inside the sandbox: loaded when needed, without sockets, and what becomes of executions at the end."""

import subprocess
import sys
import threading
from pathlib import Path

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from durable_functions import DurableFunctions
from patience import PATIENCE, until

from workshop import environments, sandbox

WAITS = 'return context.wait_for_callback(lambda *_: None, name="vendor")'


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A running sandbox of this test's own."""
    monkeypatch.setattr(sandbox, "FOLDER", tmp_path / "sandbox")
    yield sandbox.start()
    sandbox.stop()


@pytest.fixture
def durable(own):
    """Durable functions of that sandbox."""

    def client(service):
        config = Config(retries={"total_max_attempts": 1})
        keys = {"aws_access_key_id": own["access_key_id"], "aws_secret_access_key": own["secret_access_key"]}
        endpoint = {"region_name": own["region"], "endpoint_url": own["endpoint"]}
        return boto3.client(service, config=config, **keys, **endpoint)

    return DurableFunctions(client)


def waiting_caller(durable, name):
    """Invoke a function and wait for it, in a thread; gives the thread and the list that the answer comes to."""
    came = []

    def call():
        try:
            came.append(durable.client.invoke(FunctionName=f"{name}:$LATEST"))
        except (ClientError, BotoCoreError) as error:
            came.append(error)

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    return thread, came


def test_nothing_of_the_runner_is_loaded_before_an_execution_starts():
    code = """
import os, sys
from sandbox import engine
os.environ.update(engine.settings(0, "key", "secret", "/tmp"))
engine.load()
from ministack import app
for name in ("lambda_svc", "iam", "eventbridge", "apigateway"):
    app._get_module(name)
print([name for name in sys.modules if name.startswith("aws_durable_execution")])
"""
    python = environments.SANDBOX.python
    root = Path(sandbox.__file__).parents[1]
    loaded = subprocess.run([python, "-c", code], cwd=root, capture_output=True, text=True, check=True).stdout
    assert loaded.strip() == "[]"


def test_the_end_of_the_sandbox_says_who_waited(own, durable):
    name = durable.create(WAITS)
    arns = [durable.start(name) for _ in range(2)]
    ended = durable.start(durable.create("return 1"))
    durable.finish(ended)
    for arn in arns:
        durable.callback(arn)
    thread, came = waiting_caller(durable, name)
    until(lambda: len(durable.client.list_durable_executions_by_function(FunctionName=name)["DurableExecutions"]) == 3)
    sandbox.stop()
    thread.join(PATIENCE)
    assert came, "the caller still waits"
    log = Path(own["log"]).read_text(encoding="utf-8")
    said = log.partition("The sandbox stops while 3 durable executions run or wait:\n")[2]
    assert set(arns) <= set(said.split())
    assert ended not in said
    assert "Traceback" not in log


def test_emptying_the_account_ends_all_executions(own, durable):
    name = durable.create(WAITS)
    arn = durable.start(name)
    callback = durable.callback(arn)
    thread, came = waiting_caller(durable, name)
    until(lambda: len(durable.client.list_durable_executions_by_function(FunctionName=name)["DurableExecutions"]) == 2)
    sandbox.reset()
    thread.join(PATIENCE)
    assert came, "the caller still waits"
    with pytest.raises(durable.client.exceptions.ResourceNotFoundException):
        durable.get(arn)
    with pytest.raises(durable.client.exceptions.ResourceNotFoundException):
        durable.succeed(callback)
    durable._roles.clear()
    again = durable.start(durable.create("return 1", name=name), DurableExecutionName="again")
    assert durable.finish(again)["Result"] == "1"
    assert "Traceback" not in Path(own["log"]).read_text(encoding="utf-8")


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_runner_opens_no_socket(own, durable):
    durable.finish(durable.start(durable.create("return context.step(lambda _: 1)")))
    theirs = {link.readlink().name for link in Path(f"/proc/{own['pid']}/fd").iterdir() if link.is_symlink()}
    listening = [
        line.split()
        for table in ("tcp", "tcp6", "udp", "udp6")
        for line in Path(f"/proc/net/{table}").read_text(encoding="utf-8").splitlines()[1:]
        if line.split()[3] in ("0A", "07")
    ]
    ours = [fields[1] for fields in listening if f"socket:[{fields[9]}]" in theirs]
    assert [address.partition(":")[0] for address in ours] == ["0100007F"]
