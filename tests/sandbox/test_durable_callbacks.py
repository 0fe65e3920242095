"""Callbacks of durable functions: success, failure, heartbeats, time limits, and many answers at the same moment.

https://docs.aws.amazon.com/lambda/latest/api/API_SendDurableExecutionCallbackSuccess.html and its neighbours;
that a callback which is closed answers `CallbackTimeoutException` is in botocore's model.
"""

import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.exceptions import ClientError
from durable_functions import DurableFunctions, details, handler
from state_machines import until

# event: "limits" for the callback, in seconds.
ASKS = """
limits = {name: Duration.from_seconds(seconds) for name, seconds in event.items()}
try:
    return context.wait_for_callback(lambda *_: None, name="vendor", config=WaitForCallbackConfig(**limits))
except Exception as error:
    return [type(error).__name__, str(error)]
"""

# As AWS words it, in public reports.
CLOSED = ("CallbackTimeoutException", "The callback is either timed out or already completed")


@pytest.fixture(scope="module")
def durable(aws):
    return DurableFunctions(aws)


@pytest.fixture(scope="module")
def asking(durable):
    return durable.create(ASKS)


@pytest.fixture
def asked(durable, asking):
    """(ARN, callback ID) of an execution that waits."""
    arn = durable.start(asking)
    return arn, durable.callback(arn)


def refusal(call, *arguments, **named):
    with pytest.raises(ClientError) as refused:
        call(*arguments, **named)
    error = refused.value.response["Error"]
    return error["Code"], error["Message"]


def test_success(durable, asked):
    """The result is handed to the handler as it was sent."""
    arn, callback = asked
    durable.succeed(callback, b'{"rows": 3}')
    assert json.loads(durable.finish(arn)["Result"]) == '{"rows": 3}'


def test_a_result_that_is_no_utf_8_is_refused_and_the_callback_stays_open(durable, asked):
    """The API takes bytes, and the handler gets text. What AWS makes of other bytes is not documented."""
    arn, callback = asked
    code, message = refusal(durable.succeed, callback, b"ab\xff")
    assert code == "InvalidParameterValueException"
    assert "UTF-8" in message
    assert "byte 2" in message
    durable.succeed(callback, "größer".encode())
    assert json.loads(durable.finish(arn)["Result"]) == "größer"


def test_failure(durable, asked):
    arn, callback = asked
    error = {
        "ErrorType": "BadRows",
        "ErrorMessage": "2 rows are bad",
        "ErrorData": "[7, 9]",
        "StackTrace": ["vendor:1"],
    }
    durable.client.send_durable_execution_callback_failure(CallbackId=callback, Error=error)
    assert json.loads(durable.finish(arn)["Result"])[0] == "CallbackExternalError"
    assert durable.events(arn, "CallbackFailed") == [{"Error": {"Payload": error, "Truncated": False}}]


def test_failure_without_an_error(durable, asked):
    arn, callback = asked
    durable.client.send_durable_execution_callback_failure(CallbackId=callback)
    assert json.loads(durable.finish(arn)["Result"])[0] == "CallbackExternalError"


def test_an_answer_that_comes_before_the_handler_waits_for_it(durable):
    """The callback exists before the submitter runs, so an answer sent in the submitter is not lost."""
    body = """
    client = boto3.client("lambda")
    def submit(callback_id, _):
        client.send_durable_execution_callback_success(CallbackId=callback_id, Result=b"fast")
    return context.wait_for_callback(submit, name="vendor")
    """
    role = durable.role(("lambda:SendDurableExecutionCallbackSuccess", "arn:aws:lambda:*:*:function:*"))
    assert durable.run(body, role=role)["Result"] == '"fast"'


@pytest.mark.parametrize(
    ("limits", "error", "kind"),
    [
        ({"timeout": 1}, "Callback timed out", "Callback.Timeout"),
        ({"timeout": 60, "heartbeat_timeout": 1}, "Callback timed out on heartbeat", "Callback.Heartbeat"),
    ],
    ids=["timeout", "heartbeat"],
)
def test_time_limits(durable, asking, limits, error, kind):
    arn = durable.start(asking, limits)
    callback = durable.callback(arn)
    assert json.loads(durable.finish(arn)["Result"])[0] == "CallbackTimeoutError"
    started, ended = durable.wait_for(arn, "CallbackStarted"), durable.wait_for(arn, "CallbackTimedOut")
    assert details(ended)["Error"]["Payload"] == {"ErrorMessage": error, "ErrorType": kind}
    assert (ended["EventTimestamp"] - started["EventTimestamp"]).total_seconds() >= 1
    assert refusal(durable.succeed, callback) == CLOSED


def test_without_limits_a_callback_waits(durable, asked):
    arn, callback = asked
    assert set(details(durable.wait_for(arn, "CallbackStarted"))) == {"CallbackId"}
    durable.client.send_durable_execution_callback_heartbeat(CallbackId=callback)
    assert durable.get(arn)["Status"] == "RUNNING"
    durable.succeed(callback)
    durable.finish(arn)


def test_heartbeats_renew_the_heartbeat_timeout_and_nothing_else(durable, asking):
    for limit in (1, 5, 25):  # longer ones where the machine let a whole limit pass between two beats
        arn = durable.start(asking, {"heartbeat_timeout": limit, "timeout": 3 * limit})
        gaps = between_beats(durable, arn)
        ended = durable.wait_for(arn, "CallbackTimedOut")
        if details(ended)["Error"]["Payload"]["ErrorType"] == "Callback.Timeout":
            break
        assert max(gaps) >= limit
    else:
        pytest.fail(f"Between two beats there were up to {max(gaps):.1f} s.")
    assert len(gaps) > 3
    started = durable.wait_for(arn, "CallbackStarted")
    assert (ended["EventTimestamp"] - started["EventTimestamp"]).total_seconds() >= 3 * limit


def between_beats(durable, arn):
    """Send heartbeats until an execution that was just started is over: the most seconds there were between any two."""
    last, gaps = time.monotonic(), []
    callback = durable.callback(arn)
    while durable.get(arn)["Status"] == "RUNNING":
        sent = time.monotonic()
        try:
            durable.client.send_durable_execution_callback_heartbeat(CallbackId=callback)
        except ClientError as closed:
            assert closed.response["Error"]["Code"] == "CallbackTimeoutException"
        else:
            gaps.append(time.monotonic() - last)
            last = sent
    return [*gaps, time.monotonic() - last]


def test_a_second_answer_is_refused(durable, asked):
    arn, callback = asked
    durable.succeed(callback, b"first")
    client = durable.client
    assert refusal(durable.succeed, callback, b"second") == CLOSED
    assert refusal(client.send_durable_execution_callback_failure, CallbackId=callback) == CLOSED
    assert refusal(client.send_durable_execution_callback_heartbeat, CallbackId=callback) == CLOSED
    assert durable.finish(arn)["Result"] == '"first"'
    assert refusal(durable.succeed, callback, b"late") == CLOSED


def test_callback_ids_that_are_none(durable, asked):
    assert refusal(durable.succeed, "bm90IGEgY2FsbGJhY2s=")[0] == "InvalidParameterValueException"
    arn, callback = asked
    durable.client.stop_durable_execution(DurableExecutionArn=arn)
    durable.client.delete_durable_execution(DurableExecutionArn=arn)
    assert refusal(durable.succeed, callback)[0] == "ResourceNotFoundException"


def test_one_of_many_answers_wins_and_none_that_was_accepted_is_lost(durable, asking):
    """25 threads race on 20 callbacks, with successes and failures."""
    arns = [durable.start(asking) for _ in range(20)]
    callbacks = [durable.callback(arn) for arn in arns]

    def answer(number):
        accepted = []
        for arn, callback in zip(arns, callbacks, strict=True):
            try:
                if number % 2:
                    durable.succeed(callback, str(number).encode())
                else:
                    error = {"ErrorMessage": str(number)}
                    durable.client.send_durable_execution_callback_failure(CallbackId=callback, Error=error)
            except ClientError as refused:
                assert refused.response["Error"]["Code"] == "CallbackTimeoutException"
            else:
                accepted.append((arn, number))
        return accepted

    with ThreadPoolExecutor(25) as threads:
        accepted = [winner for winners in threads.map(answer, range(25)) for winner in winners]
    assert sorted(arn for arn, _ in accepted) == sorted(arns)  # one for each, and not two for any
    for arn, number in accepted:
        result = json.loads(durable.finish(arn)["Result"])
        if number % 2:
            assert result == str(number)
        else:
            assert result == ["CallbackExternalError", str(number)]


def test_an_answer_that_comes_while_another_branch_still_works_is_not_lost(durable, tmp_path):
    """The branch that waits is not woken inside the invocation; so the handler is invoked again when it has ended."""
    body = """
def work(_):
    while not os.path.exists(event["flag"]):
        time.sleep(0.01)
def asks(branch):
    answer = branch.wait_for_callback(lambda *_: None, name="vendor")
    return branch.step(lambda _: answer, name="it went on")
def works(branch):
    branch.step(work, name="work")
    branch.wait_for_callback(lambda *_: None, name="nobody")
both = [ParallelBranch(asks, name="asks"), ParallelBranch(works, name="works")]
context.parallel(both, name="both")
"""
    flag = tmp_path / "flag"
    code = f"from aws_durable_execution_sdk_python import ParallelBranch\n{handler(body)}"
    arn = durable.start(durable.create(None, code=code), {"flag": str(flag)})
    callback = durable.callback(arn)
    until(lambda: {("StepSucceeded", "vendor submitter"), ("StepStarted", "work")} <= named(durable, arn))
    durable.succeed(callback)
    durable.wait_for(arn, "CallbackSucceeded")
    flag.touch()
    until(lambda: ("StepSucceeded", "it went on") in named(durable, arn))
    durable.client.stop_durable_execution(DurableExecutionArn=arn)


def named(durable, arn):
    return {(event["EventType"], event.get("Name")) for event in durable.history(arn)}
