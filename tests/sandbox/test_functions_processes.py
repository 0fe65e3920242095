"""How many processes run handlers, and that a bound on them never keeps a function from one that waits for it."""

import concurrent.futures
import json
import os
import sys
import time

import pytest
from handlers import Functions, archive
from state_machines import StateMachines, role, until

from sandbox.functions import memory

pytestmark = pytest.mark.takes(22)

WAITING = """
import os, time
def handler(event, context):
    time.sleep(event)
    return os.getpid()
"""

# Invokes the function that its event names, with the rest of the event, and waits for it.
NESTING = """
import json, os, boto3
client = boto3.client("lambda")
def handler(event, context):
    if not event["then"]:
        return [os.getpid()]
    name, *then = event["then"]
    answer = client.invoke(FunctionName=name, Payload=json.dumps({"then": then}))
    below = json.load(answer["Payload"])
    assert "FunctionError" not in answer, below
    return [os.getpid(), *below]
"""

# Runs a state machine that invokes the function in the event, and looks until it has ended.
BY_STATE_MACHINE = """
import json, time, boto3
client = boto3.client("stepfunctions")
def handler(event, context):
    arn = client.start_execution(stateMachineArn=event)["executionArn"]
    while (found := client.describe_execution(executionArn=arn))["status"] == "RUNNING":
        time.sleep(0.05)
    return found["status"]
"""

# The same with a call that comes back when the execution has ended.
BY_SYNCHRONOUS_EXECUTION = """
import boto3
client = boto3.client("stepfunctions")
def handler(event, context):
    return client.start_sync_execution(stateMachineArn=event)["status"]
"""


@pytest.fixture(scope="module")
def functions(own_aws, own_sandbox):
    return Functions(own_aws, own_sandbox)


@pytest.fixture
def bounds(functions):
    """A function that sets the bounds, for one test."""
    before = functions.settings()
    del before["now"]
    yield lambda **changes: functions.settings(**changes)
    functions.settings(**before)


def all_at_once(work, count):
    """The results of the same call made by so many threads."""
    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        return [future.result() for future in [pool.submit(work) for _ in range(count)]]


def alive(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_the_settings(functions, bounds):
    found = functions.settings()
    assert found.keys() >= {"retry_seconds", "delivery_retry_seconds", "processes", "idle_seconds", "now"}
    assert (found["processes_per_function"], found["processes"], found["retry_seconds"]) == (
        4,
        memory.processes(),
        [1, 2],
    )
    assert bounds(processes=25, retry_seconds=[0, 0.5])["retry_seconds"] == [0, 0.5]


def test_no_more_than_so_many_processes_for_one_function(functions):
    name = functions.create(WAITING)
    processes = all_at_once(lambda: functions.result(name, 0.05), 20)
    assert len(set(processes)) == functions.settings()["processes_per_function"]
    assert functions.settings()["now"]["waiting"] == 0


def test_processes_are_forks_where_there_are_any(functions):
    """A run of the tests without forks has none, and any other one has some."""
    name = functions.create("import os\ndef handler(event, context): return os.getppid()")
    if sys.platform == "linux" and os.environ.get("WORKSHOP_WARM_PROCESSES") != "0":

        def by_the_server():
            functions.client.update_function_configuration(FunctionName=name, Timeout=20)  # and with that another one
            return functions.result(name) != functions.sandbox["pid"]

        until(by_the_server)
    else:
        assert functions.settings()["warm_processes"] is (sys.platform != "linux")
        assert functions.result(name) == functions.sandbox["pid"]


def test_an_idle_process_is_used_again(functions):
    name = functions.create(WAITING)
    assert len({functions.result(name, 0) for _ in range(5)}) == 1


def test_no_more_than_so_many_processes_in_all(functions, bounds):
    bounds(idle_seconds=1)
    until(lambda: functions.settings()["now"]["processes"] == 0)
    bounds(processes=3)
    names = [functions.create(WAITING) for _ in range(6)]
    most = 0
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        running = [pool.submit(functions.result, name, 0.1) for name in names * 2]
        while not all(future.done() for future in running):
            most = max(most, functions.settings()["now"]["processes"])
    assert len({future.result() for future in running}) >= 6
    assert most == 3


def test_a_bound_that_is_lowered_holds_when_the_next_process_starts(functions, bounds):
    for _ in range(3):
        functions.result(functions.create(WAITING), 0)
    bounds(processes=1)
    functions.result(functions.create(WAITING), 0)
    assert functions.settings()["now"]["processes"] == 1


def test_idle_processes_end_the_last_one_too(functions, bounds):
    name = functions.create(WAITING)
    process = functions.result(name, 0)
    bounds(idle_seconds=1)
    until(lambda: not alive(process))
    assert functions.result(name, 0) != process


def test_a_function_that_is_deleted_leaves_no_process(functions):
    name = functions.create(WAITING)
    process = functions.result(name, 0)
    functions.client.delete_function(FunctionName=name)
    until(lambda: not alive(process))


def test_what_a_handler_started_ends_with_its_process(functions):
    code = """
import subprocess, sys
def handler(event, context):
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]).pid
"""
    name = functions.create(code)
    child = functions.result(name)
    assert alive(child)
    functions.client.update_function_code(FunctionName=name, ZipFile=archive(code + "#"))
    until(lambda: not alive(child))


GOES_ON = """
import os, subprocess, threading, time

gaps = [0]
ticked = threading.Event()


def tick():
    last = time.monotonic()
    while True:
        time.sleep(0.001)
        now = time.monotonic()
        gaps.append(max(gaps.pop(), now - last))
        last = now
        ticked.set()


def handler(event, context):
    if event == "start":
        threading.Thread(target=tick, daemon=True).start()
        program = subprocess.Popen(["sleep", "600"])
        return [os.getpid(), program.pid]
    for _ in range(2):  # the first one may have been counted before it was frozen
        ticked.clear()
        ticked.wait()
    return gaps[0]
"""


@pytest.mark.skipif(sys.platform != "linux", reason="processes are frozen on Linux only")
def test_what_goes_on_after_the_answer_is_frozen_until_the_next_invocation(functions):
    """lambda-runtime-environment.html: Lambda freezes the execution environment when the runtime and each extension
    have completed and there are no pending events; background work resumes if the environment is used again."""
    name = functions.create(GOES_ON)
    pids = functions.result(name, "start")
    until(lambda: all(state(pid) == "T" for pid in pids))
    frozen = time.monotonic()
    until(lambda: time.monotonic() - frozen > 0.2)
    longest = time.monotonic() - frozen
    assert functions.result(name, "look") >= longest
    until(lambda: all(state(pid) == "T" for pid in pids))
    functions.client.delete_function(FunctionName=name)  # what is frozen can be ended
    until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in pids))


def state(pid):
    """A letter: T for a process that is stopped."""
    with open(f"/proc/{pid}/stat", encoding="utf-8") as line:
        return line.read().rpartition(")")[2].split()[0]


@pytest.mark.parametrize("width", [1, 12])
def test_functions_that_invoke_each_other_never_wait_for_their_callers(functions, bounds, width):
    bounds(processes=2, processes_per_function=1)
    name = functions.create(NESTING, Timeout=60)
    other = functions.create(NESTING, Timeout=60)
    chain = [other, name, other]
    found = all_at_once(lambda: functions.result(name, {"then": chain}), width)
    assert all(len(set(processes)) == 4 for processes in found)
    until(lambda: functions.settings()["now"]["processes"] <= 2)


def test_a_function_that_invokes_itself_many_times_at_once(functions, bounds):
    code = """
import concurrent.futures, json, boto3
client = boto3.client("lambda")
def handler(event, context):
    if not event:
        return 1
    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        calls = [pool.submit(client.invoke, FunctionName=context.function_name, Payload="0") for _ in range(event)]
        return sum(json.load(call.result()["Payload"]) for call in calls)
"""
    bounds(processes_per_function=1)
    assert functions.result(functions.create(code, Timeout=60), 20) == 20


@pytest.mark.parametrize("code", [BY_STATE_MACHINE, BY_SYNCHRONOUS_EXECUTION])
def test_functions_that_wait_for_a_state_machine(functions, bounds, own_aws, code):
    bounds(processes=2, processes_per_function=1)
    work = functions.create("import time\ndef handler(event, context):\n    time.sleep(0.05)")
    state = {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Parameters": {"FunctionName": work}}
    branches = [{"StartAt": name, "States": {name: {**state, "End": True}}} for name in "ABC"]
    states = {"All": {"Type": "Parallel", "Branches": branches, "End": True}}
    definition = json.dumps({"StartAt": "All", "States": states})
    machine = own_aws("stepfunctions").create_state_machine(
        name=f"{work}-machine", definition=definition, roleArn=role(own_aws),
        type="EXPRESS" if code is BY_SYNCHRONOUS_EXECUTION else "STANDARD",
    )["stateMachineArn"]  # fmt: skip
    names = [functions.create(code, Timeout=60) for _ in range(3)]
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        running = [pool.submit(functions.result, name, machine) for name in names * 2]
    assert [future.result() for future in running] == ["SUCCEEDED"] * 6


def test_a_function_that_starts_many_executions_gets_no_process_for_each(functions, bounds, own_aws):
    machines = StateMachines(own_aws)
    bounds(idle_seconds=1)
    until(lambda: functions.settings()["now"]["processes"] == 0)
    bounds(processes_per_function=2, idle_seconds=60)
    work = functions.create(WAITING)
    parameters = {"FunctionName": work, "Payload": 0.02}
    state = {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Parameters": parameters, "End": True}
    machine = machines.create({"Work": state})
    code = """
import boto3
client = boto3.client("stepfunctions")
def handler(event, context):
    return [client.start_execution(stateMachineArn=event)["executionArn"] for _ in range(30)]
"""
    causing, most = functions.create(code, Timeout=60), 0
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        running = pool.submit(functions.result, causing, machine)
        while not running.done():
            most = max(most, functions.settings()["now"]["processes"])
    ended = [machines.finish(arn) for arn in running.result()]
    assert {execution["status"] for execution in ended} == {"SUCCEEDED"}
    # The one that caused them, two that may work for them, and one that may go beyond the bound meanwhile.
    assert 1 <= most <= 1 + 2 + 1


def test_recursive_loops_are_ended(functions):
    """AWS ends a loop after about 16 invocations
    (https://docs.aws.amazon.com/lambda/latest/dg/invocation-recursion.html)."""
    code = """
import json, boto3
client = boto3.client("lambda")
def handler(event, context):
    try:
        answer = client.invoke(FunctionName=context.function_name, Payload=json.dumps(event + 1))
    except client.exceptions.RecursiveInvocationException:
        return event
    return json.load(answer["Payload"])
"""
    assert functions.result(functions.create(code, Timeout=60), 1) == 16


def test_memory_is_bounded_by_what_the_function_was_given(functions):
    if not os.path.exists("/proc/self/statm"):
        pytest.skip("the memory of a process can be looked at on Linux only")
    code = """
import time
kept = []
def handler(event, context):
    while event:
        if len(kept) < 512:  # however late the sandbox looks
            kept.append(bytearray(2**20))
        time.sleep(0.0005)
    return len(kept)
"""
    name = functions.create(code, MemorySize=128)
    answer = functions.client.invoke(FunctionName=name, Payload="1")
    request = answer["ResponseMetadata"]["RequestId"]
    words = f"RequestId: {request} Error: Runtime exited with error: signal: killed"
    assert json.load(answer["Payload"]) == {"errorType": "Runtime.ExitError", "errorMessage": words}
    report = functions.messages(name)[-1]
    assert "\tMax Memory Used: 128 MB\tInit" in report
    assert report.endswith("\tStatus: error\tError Type: Runtime.OutOfMemory\t\n")
    assert functions.result(name, 0) == 0
