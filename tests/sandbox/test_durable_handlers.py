"""The processes of durable handlers: what they log, and what happens when they end in the middle of their work."""

import json
import os
import re
import signal

import pytest
from durable_functions import DurableFunctions
from state_machines import until

pytestmark = pytest.mark.takes(16)


@pytest.fixture(scope="module")
def durable(aws):
    return DurableFunctions(aws)


@pytest.fixture(scope="module", autouse=True)
def exiting(durable):
    """An execution whose handler ends its process each time; it takes 15 seconds, while the others are tested."""
    return durable.start(durable.create('context.step(lambda _: 1, name="one")\nos._exit(3)'))


# -- logs -------------------------------------------------------------------------------------------------------------

LOGS = """
import logging
logging.getLogger().setLevel("INFO")
print("invoked")
context.logger.info("before %s", event["rows"])
context.step(lambda step: step.logger.warning("copying", extra={"rows": event["rows"]}), name="copy")
context.wait(Duration.from_seconds(1))
context.logger.info("after")
"""


def logged(aws, name, count, **options):
    """The messages of a function's log group, once there are so many."""
    client = aws("logs")

    def messages():
        try:
            found = client.filter_log_events(logGroupName=f"/aws/lambda/{name}", **options)["events"]
        except client.exceptions.ResourceNotFoundException:
            return None
        return [event["message"] for event in found] if len(found) >= count else None

    return until(messages)


def test_logs_of_a_handler(durable, aws):
    """The SDK logs nothing again that a replay passes; `print` does. Requests are those of the history."""
    name = durable.create(LOGS)
    shown = durable.finish(durable.start(name, {"rows": 3}))
    messages = logged(aws, name, 11)
    texts = [message.split("\t")[-1].strip() for message in messages if message.startswith(("[", "invoked"))]
    assert texts == ["invoked", "before 3", "copying", "invoked", "after"]
    started = [message.split()[2] for message in messages if message.startswith("START")]
    invocations = durable.events(shown["DurableExecutionArn"], "InvocationCompleted")
    assert [invocation["RequestId"] for invocation in invocations] == started
    assert logged(aws, name, 1, filterPattern='"copying"') == [messages[messages.index("invoked\n") + 2]]


def test_logs_in_json(durable, aws):
    """Each record names its execution, so that the log of one execution can be found among those of others."""
    name = durable.create(LOGS, LoggingConfig={"LogFormat": "JSON", "ApplicationLogLevel": "INFO"})
    arns = [durable.start(name, {"rows": rows}) for rows in (3, 4)]
    for arn in arns:
        durable.finish(arn)
    logged(aws, name, 6, filterPattern='{ $.logger = "*" }')
    records = [json.loads(text) for text in logged(aws, name, 3, filterPattern=f'{{ $.executionArn = "{arns[1]}" }}')]
    assert [(record["level"], record["message"]) for record in records] == [
        ("INFO", "before 4"),
        ("WARNING", "copying"),
        ("INFO", "after"),
    ]
    assert (records[1]["operationName"], records[1]["attempt"], records[1]["rows"]) == ("copy", 1, 4)
    invocations = durable.events(arns[1], "InvocationCompleted")
    assert records[0]["requestId"] == invocations[0]["RequestId"]
    assert records[2]["requestId"] == invocations[1]["RequestId"]
    [late] = logged(aws, name, 1, filterPattern='{ $.level = "WARNING" && $.rows > 3 }')
    assert json.loads(late) == records[1]


# -- the end of a process ---------------------------------------------------------------------------------------------

# event: a folder. What was done is not done again; what was being done is, since steps run at least once.
WORKS = """
folder = event["folder"]
def first(_):
    open(f"{folder}/first", "a").write("x")
def second(_):
    with open(f"{folder}/second", "a") as file:
        file.write("x")
    if not os.path.exists(f"{folder}/pid"):
        with open(f"{folder}/pid.new", "w") as file:
            file.write(str(os.getpid()))
        os.rename(f"{folder}/pid.new", f"{folder}/pid")
        time.sleep(60)
    return "done"
context.step(first, name="first")
return context.step(second, name="second")
"""


def failures(durable, arn):
    """The errors of an execution's invocations, None for those that ended well."""
    invocations = durable.events(arn, "InvocationCompleted")
    return [invocation.get("Error", {}).get("Payload") for invocation in invocations]


def test_a_process_that_is_killed(durable, tmp_path):
    """Requirement 1-17 of aws/aws-durable-execution-conformance-tests: it is invoked again and goes on."""
    arn = durable.start(durable.create(WORKS), {"folder": str(tmp_path)})
    pid = tmp_path / "pid"
    until(pid.exists)
    os.kill(int(pid.read_text()), signal.SIGKILL)
    assert durable.finish(arn)["Result"] == '"done"'
    assert ((tmp_path / "first").read_text(), (tmp_path / "second").read_text()) == ("x", "xx")
    failed, then = failures(durable, arn)
    assert then is None
    assert failed["ErrorType"] == "Runtime.ExitError"
    assert re.fullmatch(
        r"RequestId: [0-9a-f-]{36} Error: Runtime exited with error: signal: killed", failed["ErrorMessage"]
    )


def test_an_invocation_that_takes_too_long(durable, tmp_path):
    """The function's timeout is for each invocation; the next one goes on."""
    arn = durable.start(durable.create(WORKS, Timeout=2), {"folder": str(tmp_path)})
    assert durable.finish(arn)["Result"] == '"done"'
    failed, *_, then = failures(durable, arn)
    assert then is None
    assert failed["ErrorType"] == "Sandbox.Timedout"
    assert failed["ErrorMessage"].endswith("Error: Task timed out after 2.00 seconds")


def test_code_that_cannot_be_loaded(durable):
    """The sandbox gives up after five attempts; how often AWS tries is not documented."""
    arn = durable.start(durable.create(None, code="import nothing_of_this_name"))
    failed = durable.wait_for(arn, "InvocationCompleted")["InvocationCompletedDetails"]["Error"]["Payload"]
    assert failed["ErrorType"] == "Runtime.ImportModuleError"
    assert durable.get(arn)["Status"] == "RUNNING"
    durable.client.stop_durable_execution(DurableExecutionArn=arn)


def test_a_process_that_exits_each_time(durable, exiting):
    """Last here, since it has taken its time."""
    shown = durable.finish(exiting)
    assert (shown["Status"], shown["Error"]["ErrorType"]) == ("FAILED", "Runtime.ExitError")
    assert shown["Error"]["ErrorMessage"].endswith("Error: Runtime exited with error: exit status 3")
    assert {failed["ErrorType"] for failed in failures(durable, exiting)} == {"Runtime.ExitError"}
    assert len(failures(durable, exiting)) == 5
    assert durable.kinds(exiting).count("StepSucceeded") == 1
