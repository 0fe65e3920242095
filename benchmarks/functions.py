"""What forks are worth: invocations and memory of functions, with forks of a warm process and with new interpreters.

Both in the same run and on the same machine, each with a sandbox of its own; the setting WORKSHOP_WARM_PROCESSES
chooses (sandbox/README.md).
"""

import concurrent.futures
import contextlib
import io
import json
import os
import statistics
import tempfile
import time
import uuid
import zipfile
from pathlib import Path

import psutil

from workshop import clients, sandbox
from workshop.account import use_sandbox

TURNS = 15
MANY, AT_ONCE = 60, 30  # functions, and clients that invoke them
ENVIRONMENTS = 24

HANDLERS = {
    "that imports nothing": "import os\ndef handler(event, context): return os.getpid()",
    "with two boto3 clients": (
        "import os, boto3\n"
        'table, executions = boto3.client("dynamodb"), boto3.client("stepfunctions")\n'
        "def handler(event, context): return os.getpid()"
    ),
}


def main():
    with_forks, without = [_measured(forks) for forks in ("1", "0")]
    print(f"{'':58}{'forks':>10}{'new ones':>10}      forks / new interpreters")
    for what, (unit, value) in with_forks.items():
        other = without[what][1]
        print(f"{what:<58}{value:>10.1f}{other:>10.1f} {unit:<3}{value / other:8.2f}")


def _measured(forks):
    """{what: (unit, number)} of a new sandbox. forks: "0" for none."""
    with _sandbox(forks) as state:
        found = {}
        for what, code in HANDLERS.items():
            first, warm, cpu = [], [], []
            for _ in range(TURNS):
                name = _function(code)
                began = time.perf_counter()
                process = _invoke(name)
                first.append(1000 * (time.perf_counter() - began))
                cpu.append(1000 * sum(psutil.Process(process).cpu_times()[:2]))
                began = time.perf_counter()
                _invoke(name)
                warm.append(1000 * (time.perf_counter() - began))
            found[f"first invocation, of a function {what}"] = ("ms", statistics.median(first))
            found[f"warm invocation, of a function {what}"] = ("ms", statistics.median(warm))
            found[f"CPU of its process, of a function {what}"] = ("ms", statistics.mean(cpu))
        names = [_function(HANDLERS["with two boto3 clients"]) for _ in range(MANY)]
        began = time.perf_counter()
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            processes = list(pool.map(_invoke, names))
        found[f"{MANY} functions of {AT_ONCE} clients at once"] = ("s", time.perf_counter() - began)
        alive = [psutil.Process(process) for process in processes if psutil.pid_exists(process)][:ENVIRONMENTS]
        private = statistics.median(process.memory_full_info().uss for process in alive) / 2**20
        found["private memory of one with two boto3 clients"] = ("MB", private)
        family = [psutil.Process(state["pid"]), *psutil.Process(state["pid"]).children(recursive=True)]
        shares = sum(process.memory_full_info().pss for process in family) / 2**20
        found[f"the sandbox and {len(alive)} such processes"] = ("MB", shares)
    return found


@contextlib.contextmanager
def _sandbox(forks):
    before, sandbox.FOLDER = sandbox.FOLDER, Path(tempfile.mkdtemp(prefix="benchmark-"))
    os.environ["WORKSHOP_WARM_PROCESSES"] = forks
    state = sandbox.start()
    use_sandbox(state)
    lease = sandbox.Lease(state)
    clients.account_id()
    time.sleep(2)  # until the warm process is ready, which begins with the first call
    try:
        yield state
    finally:
        lease.release()
        sandbox.stop()
        sandbox.FOLDER = before
        del os.environ["WORKSHOP_WARM_PROCESSES"]


def _function(code):
    """The name of a new function; it may do everything."""
    name, iam = f"function-{uuid.uuid4().hex[:8]}", clients.of("iam")
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "lambda.amazonaws.com"}}
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps({"Statement": [trust]}))["Role"]["Arn"]
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("index.py", code)
    clients.of("lambda").create_function(
        FunctionName=name, Runtime="python3.13", Handler="index.handler", Role=role, Timeout=60,
        Code={"ZipFile": archive.getvalue()},
    )  # fmt: skip
    clients.of("lambda").get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 0.02})
    return name


def _invoke(name):
    answer = clients.of("lambda").invoke(FunctionName=name)
    assert "FunctionError" not in answer
    return json.load(answer["Payload"])


if __name__ == "__main__":
    main()
