"""The life of the sandbox as a process: found, started, held, ended, killed, and what it leaves behind."""

import concurrent.futures
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import boto3
import pytest
from patience import PATIENCE, until

from workshop import environments, sandbox


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A sandbox folder of this test's own, as if it were another checkout; whatever runs there is stopped."""
    monkeypatch.setattr(sandbox, "FOLDER", tmp_path / "sandbox")
    yield tmp_path / "sandbox"
    sandbox.stop()


def alive(pid):
    """Whether a process runs (a zombie does not)."""
    stat = Path(f"/proc/{pid}/stat")
    if Path("/proc/self").exists():
        return stat.exists() and stat.read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    return subprocess.run(["ps", "-p", str(pid)], capture_output=True).returncode == 0


def client(state, service):
    keys = {"aws_access_key_id": state["access_key_id"], "aws_secret_access_key": state["secret_access_key"]}
    return boto3.client(service, region_name=state["region"], endpoint_url=state["endpoint"], **keys)


def a_function_that_ran(state):
    """Invoke a Lambda function, so that a process of a handler is there; gives that process's id."""
    import io
    import zipfile

    iam, functions = client(state, "iam"), client(state, "lambda")
    trust = {"Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"},
                            "Action": "sts:AssumeRole"}]}  # fmt: skip
    role = iam.create_role(RoleName="f", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as code:
        code.writestr("f.py", "import os\ndef handler(event, context):\n    return os.getpid()\n")
    functions.create_function(
        FunctionName="f", Runtime="python3.13", Handler="f.handler", Role=role, Code={"ZipFile": archive.getvalue()}
    )
    functions.get_waiter("function_active_v2").wait(FunctionName="f")
    return json.load(functions.invoke(FunctionName="f")["Payload"])


def test_started_found_and_stopped(own):
    assert sandbox.status() is None
    started = sandbox.start()
    assert sandbox.start()["pid"] == started["pid"]
    assert Path(started["log"]).read_text(encoding="utf-8")
    handler = a_function_that_ran(started)
    assert sandbox.stop()
    until(lambda: not alive(started["pid"]))
    assert not alive(handler)
    assert not (own / "tmp").exists()
    assert sandbox.status() is None
    assert not sandbox.stop()


def test_started_twice_at_once_is_started_once(own):
    code = "from workshop import sandbox, names; import pathlib, sys; sandbox.FOLDER = pathlib.Path(sys.argv[1]);"
    code += "print(sandbox.start()['pid'])"
    with concurrent.futures.ThreadPoolExecutor() as pool:
        run = lambda _: subprocess.check_output([sys.executable, "-c", code, str(own)], text=True)  # noqa: E731
        pids = set(pool.map(run, range(4)))
    assert len(pids) == 1


def test_two_checkouts_do_not_meet(own, tmp_path, monkeypatch):
    first = sandbox.start()
    monkeypatch.setattr(sandbox, "FOLDER", tmp_path / "other")
    second = sandbox.start()
    try:
        assert first["endpoint"] != second["endpoint"]
        crossed = {**first, "endpoint": second["endpoint"]}
        with pytest.raises(Exception, match=r"InvalidClientTokenId|UnrecognizedClient"):
            client(crossed, "sts").get_caller_identity()
    finally:
        sandbox.stop()
        monkeypatch.setattr(sandbox, "FOLDER", own)


def test_killed_it_comes_back_where_it_was(own):
    first = sandbox.start()
    lease = sandbox.Lease(first)
    handler = a_function_that_ran(first)
    left = list((own / "tmp").iterdir())
    assert left
    os.kill(first["pid"], signal.SIGKILL)
    assert lease.ended.wait(PATIENCE)
    assert sandbox.status() is None
    until(lambda: not alive(handler))
    second = sandbox.start()
    assert second["pid"] != first["pid"]
    # The same address and key: clients that were made before go on working, on an empty account.
    assert (second["endpoint"], second["access_key_id"]) == (first["endpoint"], first["access_key_id"])
    assert client(first, "lambda").list_functions()["Functions"] == []
    assert not [folder for folder in left if folder.exists()]


def test_a_port_that_was_taken_meanwhile_is_left_to_whoever_has_it(own):
    first = sandbox.start()
    sandbox.stop()
    with socket.create_server(("127.0.0.1", int(first["endpoint"].rpartition(":")[2]))):
        second = sandbox.start()
        assert second["endpoint"] != first["endpoint"]
        assert client(second, "sts").get_caller_identity()["Account"] == second["account"]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"endpoint": "http://127.0.0.1:1", "secret_access_key": "x"}'])
def test_a_state_file_that_is_stale_or_broken_is_replaced(own, content):
    own.mkdir(parents=True)
    (own / "state.json").write_text(content)
    assert sandbox.status() is None
    assert client(sandbox.start(), "sts").get_caller_identity()


def test_the_state_file_is_for_its_owner_only(own):
    sandbox.start()
    if os.name != "nt":
        assert (own / "state.json").stat().st_mode & 0o077 == 0


def test_it_ends_soon_after_the_last_lease_and_not_before(own):
    state = sandbox.start(idle_seconds=3)
    lease = sandbox.Lease(state)
    holder = subprocess.Popen(
        [sys.executable, "-c", "import sys, time, json; from workshop import sandbox;"
         "lease = sandbox.Lease(json.loads(sys.argv[1])); print('held', flush=True); time.sleep(600)",
         json.dumps(state)],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert holder.stdout.readline() == "held\n"
    assert sandbox.status()["leases"] == 2
    lease.release()
    until(lambda: sandbox.status()["leases"] == 1)
    # A holder that dies without a word gives its lease up too.
    holder.kill()
    holder.wait()
    until(lambda: not alive(state["pid"]))
    assert not (own / "tmp").exists()


def test_a_missing_environment_is_made(own, monkeypatch):
    made = []
    monkeypatch.setattr(environments.Environment, "ready", lambda self: bool(made))
    monkeypatch.setattr(environments, "set_up", lambda wanted: made.append(True))
    assert sandbox.start()["pid"] and made


def test_an_environment_that_cannot_be_made_is_said_in_one_sentence(own, monkeypatch):
    def fail(wanted):
        raise environments.SetupError("No network.")

    monkeypatch.setattr(environments.Environment, "ready", lambda self: False)
    monkeypatch.setattr(environments, "set_up", fail)
    with pytest.raises(sandbox.SandboxError, match=r"environment could not be made\. No network\."):
        sandbox.start()


def test_a_start_that_fails_says_where_to_look(own, monkeypatch):
    monkeypatch.setattr(sandbox, "CHECKOUT", own.parent)  # where there is no package `sandbox`
    with pytest.raises(sandbox.SandboxError, match=r"did not start.*sandbox\.log"):
        sandbox.start()


def test_reset_empties_the_account(own):
    state = sandbox.start()
    lease = sandbox.Lease(state)
    client(state, "s3").create_bucket(Bucket="kept")
    handler = a_function_that_ran(state)
    sandbox.reset()
    assert client(state, "s3").list_buckets()["Buckets"] == []
    assert client(state, "iam").list_roles()["Roles"] == []
    until(lambda: not alive(handler))
    assert lease.account_epoch != state["account_epoch"] and lease.alive


@pytest.mark.parametrize("how", ["gone", "ending"])
def test_one_that_ends_between_being_found_and_being_held(own, monkeypatch, how):
    """As a notebook may find it whose first cell runs when the idle sandbox's time is up."""
    found = sandbox.start()
    looks = iter([found])
    really = sandbox.status

    def status():
        seen = next(looks, None)
        if seen is not None and how == "gone":
            sandbox_pid = seen["pid"]
            os.kill(sandbox_pid, signal.SIGKILL)
            until(lambda: not alive(sandbox_pid))
        elif seen is not None:
            sandbox._ask(seen, "POST", "stop")
        return seen or really()

    monkeypatch.setattr(sandbox, "status", status)
    state, lease = sandbox.hold()
    assert (state["pid"] != found["pid"], lease.alive) == (True, True)
    lease.release()
