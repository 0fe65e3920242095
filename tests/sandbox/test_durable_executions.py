"""Durable functions: created, invoked, watched, stopped, paused and deleted, with stock boto3 over HTTP.

Where nothing else is said, what is expected here is documented at
https://docs.aws.amazon.com/lambda/latest/dg/durable-functions.html and in botocore's model of the Lambda API.
"""

import contextlib
import json
import re
import subprocess
import time

import pytest
from botocore.exceptions import ClientError
from durable_functions import ACCOUNT, DurableFunctions, archive, handler
from state_machines import unique, until

from workshop import environments

WAITS = 'return {"answer": context.wait_for_callback(lambda callback_id, _: None, name="vendor")}'
ADDS = 'return {"sum": context.step(lambda _: event["x"] + 1, name="add")}'


@pytest.fixture(scope="module")
def durable(aws):
    return DurableFunctions(aws)


@pytest.fixture(scope="module")
def waiting(durable):
    """A function whose executions wait for a callback."""
    return durable.create(WAITS)


@pytest.fixture(scope="module")
def adding(durable):
    """A function whose executions add one and end."""
    return durable.create(ADDS)


def refusal(call, **arguments):
    """(error, message) of a call that is refused."""
    with pytest.raises(ClientError) as refused:
        call(**arguments)
    error = refused.value.response["Error"]
    return error["Code"], error["Message"]


# -- functions --------------------------------------------------------------------------------------------------------


def test_a_durable_function_has_its_configuration_from_its_creation_on(durable):
    name = durable.create(ADDS)
    shown = durable.client.get_function_configuration(FunctionName=name)
    assert shown["DurableConfig"] == {"ExecutionTimeout": 900, "RetentionPeriodInDays": 14}
    update = durable.client.update_function_configuration
    changed = update(FunctionName=name, DurableConfig={"ExecutionTimeout": 800, "RetentionPeriodInDays": 3})
    assert changed["DurableConfig"] == {"ExecutionTimeout": 800, "RetentionPeriodInDays": 3}


def test_a_standard_function_does_not_become_durable(durable):
    """The words of AWS's refusal are not documented."""
    name = unique("standard")
    durable.client.create_function(
        FunctionName=name, Runtime="python3.13", Handler="index.handler", Role=durable.role(),
        Code={"ZipFile": archive("def handler(event, context):\n    return event")},
    )  # fmt: skip
    update = durable.client.update_function_configuration
    code, message = refusal(update, FunctionName=name, DurableConfig={"ExecutionTimeout": 60})
    assert code == "InvalidParameterValueException"
    assert "created" in message
    assert "DurableConfig" not in durable.client.get_function_configuration(FunctionName=name)


@pytest.mark.parametrize(
    "config",
    [{}, {"ExecutionTimeout": 31_622_401}, {"ExecutionTimeout": 60, "RetentionPeriodInDays": 91}],
    ids=["no timeout", "over 366 days", "kept over 90 days"],
)
def test_configurations_that_are_refused(durable, config):
    code, message = refusal(
        durable.client.create_function, FunctionName=unique("refused"), Runtime="python3.13", Handler="index.handler",
        Role=durable.role(), Code={"ZipFile": archive(handler(ADDS))}, DurableConfig=config,
    )  # fmt: skip
    assert code in ("InvalidParameterValueException", "ValidationException")
    assert "ecution" in message or "etention" in message


def test_a_runtime_without_durable_functions_is_refused(durable):
    """https://docs.aws.amazon.com/lambda/latest/dg/durable-supported-runtimes.html; the words are ours."""
    code, message = refusal(
        durable.client.create_function, FunctionName=unique("old"), Runtime="python3.12", Handler="index.handler",
        Role=durable.role(), Code={"ZipFile": archive(handler(ADDS))}, DurableConfig={"ExecutionTimeout": 60},
    )  # fmt: skip
    assert code == "InvalidParameterValueException"
    assert "python3.12" in message


def test_destinations_are_refused(durable, adding):
    """https://docs.aws.amazon.com/lambda/latest/dg/durable-invoking.html; the words are ours."""
    queue = durable.aws("sqs").create_queue(QueueName=unique("destination"))["QueueUrl"].rsplit("/", 1)[-1]
    to_queue = {"OnFailure": {"Destination": f"arn:aws:sqs:us-east-1:{ACCOUNT}:{queue}"}}
    put = durable.client.put_function_event_invoke_config
    assert refusal(put, FunctionName=adding, DestinationConfig=to_queue)[0] == "InvalidParameterValueException"


def test_latest_takes_no_resource_policy(durable, adding):
    code, message = refusal(
        durable.client.add_permission, FunctionName=adding, Qualifier="$LATEST", StatementId="rule",
        Action="lambda:InvokeFunction", Principal="events.amazonaws.com",
    )  # fmt: skip
    assert (code, message) == (
        "InvalidParameterValueException",
        "We currently do not support adding policies for $LATEST.",
    )


# -- invoking ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["name:qualifier", "Qualifier", "ARN", "ARN and Qualifier"])
def test_a_caller_who_waits_gets_the_result(durable, adding, how):
    arn = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:{adding}"
    named = {
        "name:qualifier": {"FunctionName": f"{adding}:$LATEST"},
        "Qualifier": {"FunctionName": adding, "Qualifier": "$LATEST"},
        "ARN": {"FunctionName": f"{arn}:$LATEST"},
        "ARN and Qualifier": {"FunctionName": arn, "Qualifier": "$LATEST"},
    }[how]
    answer = durable.client.invoke(Payload=json.dumps({"x": 4}), **named)
    assert (answer["StatusCode"], answer["ExecutedVersion"]) == (200, "$LATEST")
    assert json.load(answer["Payload"]) == {"sum": 5}
    assert "FunctionError" not in answer
    assert re.fullmatch(rf"{re.escape(arn)}:\$LATEST/durable-execution/[\w-]+/[\w-]+", answer["DurableExecutionArn"])


def test_a_caller_who_waits_gets_the_error(durable):
    """That the error is told as that of any function is not documented."""
    name = durable.create('raise ValueError("no such airport")')
    answer = durable.client.invoke(FunctionName=f"{name}:$LATEST", Payload="{}")
    assert (answer["StatusCode"], answer["FunctionError"]) == (200, "Unhandled")
    assert json.load(answer["Payload"]) == {"errorMessage": "no such airport", "errorType": "ValueError"}
    shown = durable.get(answer["DurableExecutionArn"])
    assert shown["Status"] == "FAILED"
    assert shown["Error"] == {"ErrorMessage": "no such airport", "ErrorType": "ValueError"}


def test_a_caller_who_does_not_wait_gets_the_arn_and_it_goes_on(durable):
    name = durable.create(
        'context.wait(Duration.from_seconds(1))\nreturn context.step(lambda _: "done")', timeout=86400
    )
    arn = durable.start(name)
    assert durable.get(arn)["Status"] == "RUNNING"
    shown = durable.finish(arn)
    assert (shown["Status"], shown["Result"]) == ("SUCCEEDED", '"done"')


def test_an_unqualified_name_is_refused(durable, adding):
    """As AWS words it: https://github.com/serverless/serverless/issues/13589"""
    for kind in ("RequestResponse", "Event"):
        assert refusal(durable.client.invoke, FunctionName=adding, InvocationType=kind) == (
            "InvalidParameterValueException",
            "You cannot invoke a durable function using an unqualified ARN.",
        )


def test_waiting_for_more_than_15_minutes_is_refused(durable):
    """As AWS words it, in public reports of several kinds: the execution's timeout decides, not what it does."""
    name = durable.create(ADDS, timeout=901)
    assert refusal(durable.client.invoke, FunctionName=f"{name}:$LATEST") == (
        "InvalidParameterValueException",
        "You cannot synchronously invoke a durable function with an executionTimeout greater than 15 minutes.",
    )


def test_a_qualifier_that_does_not_exist(durable, adding):
    code, message = refusal(durable.client.invoke, FunctionName=f"{adding}:prod")
    assert code == "ResourceNotFoundException"
    assert message.endswith(f"function:{adding}:prod")


def test_a_dry_run_starts_nothing(durable):
    name = durable.create(ADDS)
    assert durable.client.invoke(FunctionName=f"{name}:$LATEST", InvocationType="DryRun")["StatusCode"] == 204
    assert durable.client.list_durable_executions_by_function(FunctionName=name)["DurableExecutions"] == []


# -- execution names --------------------------------------------------------------------------------------------------
# https://docs.aws.amazon.com/lambda/latest/dg/durable-execution-idempotency.html


def test_the_same_name_again_gives_the_execution_that_runs(durable, waiting):
    name = unique("job")
    first = durable.start(waiting, {"job": 1}, DurableExecutionName=name)
    assert durable.start(waiting, {"job": 1}, DurableExecutionName=name) == first
    shown = durable.get(first)
    assert (shown["DurableExecutionName"], shown["InputPayload"]) == (name, '{"job": 1}')


def test_the_same_name_again_gives_the_execution_that_has_ended(durable, adding):
    name = unique("job")
    invoke = {"FunctionName": f"{adding}:$LATEST", "Payload": '{"x": 1}', "DurableExecutionName": name}
    first, second = durable.client.invoke(**invoke), durable.client.invoke(**invoke)
    assert second["DurableExecutionArn"] == first["DurableExecutionArn"]
    assert json.load(second["Payload"]) == json.load(first["Payload"]) == {"sum": 2}
    assert len(durable.events(first["DurableExecutionArn"], "InvocationCompleted")) == 1


def test_the_same_name_for_something_else_is_refused(durable, waiting):
    name = unique("job")
    first = durable.start(waiting, {"job": 1}, DurableExecutionName=name)
    code, message = refusal(durable.start, name=waiting, event={"job": 2}, DurableExecutionName=name)
    assert code == "DurableExecutionAlreadyStartedException"
    assert first in message


def test_names_that_are_refused(durable, adding):
    code, message = refusal(durable.start, name=adding, DurableExecutionName="not a name")
    assert code == "ValidationException"
    assert "[a-zA-Z0-9-_]+" in message
    assert refusal(durable.start, name=adding, DurableExecutionName="x" * 65)[0] == "ValidationException"


def test_a_payload_that_is_no_json_is_refused(durable, adding):
    code, _ = refusal(durable.client.invoke, FunctionName=f"{adding}:$LATEST", Payload=b"{")
    assert code == "InvalidRequestContentException"


# -- versions and aliases ---------------------------------------------------------------------------------------------


def test_an_execution_stays_on_the_version_it_started_on(durable):
    name = durable.create('return [context.wait_for_callback(lambda *_: None), "old"]')
    durable.client.publish_version(FunctionName=name)
    durable.client.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
    arn = durable.start(name, qualifier="live")
    assert f":function:{name}:1/durable-execution/" in arn  # the alias does not appear
    callback = durable.callback(arn)
    durable.client.update_function_code(FunctionName=name, ZipFile=archive(handler('return "new"')))
    durable.client.publish_version(FunctionName=name)
    durable.client.update_alias(FunctionName=name, Name="live", FunctionVersion="2")
    assert durable.finish(durable.start(name, qualifier="live"))["Result"] == '"new"'
    durable.succeed(callback, b"answer")
    shown = durable.finish(arn)
    assert (shown["Result"], shown["Version"]) == ('["answer", "old"]', "1")
    assert shown["FunctionArn"].endswith(f":function:{name}:1")


# -- ends -------------------------------------------------------------------------------------------------------------


def test_an_execution_times_out(durable):
    name = durable.create(WAITS, timeout=1)
    answer = durable.client.invoke(FunctionName=f"{name}:$LATEST", Payload="{}")
    assert answer["FunctionError"] == "Unhandled"
    arn = answer["DurableExecutionArn"]
    shown = durable.get(arn)
    assert shown["Status"] == "TIMED_OUT"
    assert (shown["EndTimestamp"] - shown["StartTimestamp"]).total_seconds() >= 1
    # Its only invocation may end later still, on a machine where a process takes longer than that to start.
    assert [kind for kind in durable.kinds(arn) if kind != "InvocationCompleted"][-1] == "ExecutionTimedOut"


def test_a_stopped_execution_is_over(durable, waiting):
    arn = durable.start(waiting)
    callback = durable.callback(arn)
    durable.wait_for(arn, "InvocationCompleted")
    error = {"ErrorType": "Cancelled", "ErrorMessage": "by the tests"}
    stopped = durable.client.stop_durable_execution(DurableExecutionArn=arn, Error=error)["StopTimestamp"]
    shown = durable.get(arn)
    assert (shown["Status"], shown["Error"], shown["EndTimestamp"]) == ("STOPPED", error, stopped)
    assert durable.history(arn)[-1]["ExecutionStoppedDetails"]["Error"]["Payload"] == error
    assert refusal(durable.succeed, callback_id=callback)[0] == "CallbackTimeoutException"
    again = durable.client.stop_durable_execution(DurableExecutionArn=arn)
    assert again["StopTimestamp"] == stopped


def test_stopping_does_not_end_the_invocation_in_flight(durable, aws):
    """https://github.com/aws/aws-durable-execution-docs, manage-executions.md: running code goes on to its next
    checkpoint, which is refused; operations that had begun stay as they were."""
    table = unique("marks")
    aws("dynamodb").create_table(
        TableName=table, BillingMode="PAY_PER_REQUEST", KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
    )  # fmt: skip
    body = """
    marks = boto3.resource("dynamodb").Table(event["table"])
    def work(_):
        while "Item" not in marks.get_item(Key={"id": "go on"}):
            time.sleep(0.02)
        marks.put_item(Item={"id": "went on"})
        return "worked"
    context.step(work, name="work")
    marks.put_item(Item={"id": "after the step"})
    """
    arn = durable.start(durable.create(body, role=durable.role(("dynamodb:*", "*"))), {"table": table})
    durable.wait_for(arn, "StepStarted")
    durable.client.stop_durable_execution(DurableExecutionArn=arn)
    marks = aws("dynamodb")
    marks.put_item(TableName=table, Item={"id": {"S": "go on"}})
    durable.wait_for(arn, "InvocationCompleted")
    seen = {item["id"]["S"] for item in marks.scan(TableName=table)["Items"]}
    assert seen == {"go on", "went on"}
    assert durable.kinds(arn) == ["ExecutionStarted", "StepStarted", "ExecutionStopped", "InvocationCompleted"]


def test_only_what_is_over_can_be_deleted(durable, waiting):
    arn = durable.start(waiting)
    delete = durable.client.delete_durable_execution
    assert refusal(delete, DurableExecutionArn=arn)[0] == "ResourceConflictException"
    durable.client.stop_durable_execution(DurableExecutionArn=arn)
    assert delete(DurableExecutionArn=arn)["DeletionRequestTimestamp"]
    for call in (durable.client.get_durable_execution, durable.client.get_durable_execution_history, delete):
        assert refusal(call, DurableExecutionArn=arn)[0] == "ResourceNotFoundException"


def test_an_arn_that_is_none(durable):
    get = durable.client.get_durable_execution
    assert refusal(get, DurableExecutionArn="not-an-arn")[0] == "InvalidParameterValueException"


# -- lists ------------------------------------------------------------------------------------------------------------


def test_executions_of_a_function_are_listed(durable):
    name = durable.create('return context.wait_for_callback(lambda *_: None) if event["wait"] else 1 / event["by"]')
    durable.client.publish_version(FunctionName=name)
    good = durable.start(name, {"wait": False, "by": 1}, DurableExecutionName="good")
    bad = durable.start(name, {"wait": False, "by": 0}, qualifier="1")
    durable.finish(good), durable.finish(bad)
    waits = durable.start(name, {"wait": True})
    arn = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:{name}"

    def listed(**wanted):
        wanted = {"FunctionName": name, **wanted}
        listing = durable.client.list_durable_executions_by_function(**wanted)
        return [shown["DurableExecutionArn"] for shown in listing["DurableExecutions"]]

    assert listed() == [waits, bad, good]  # the newest first
    assert listed(ReverseOrder=True) == [good, bad, waits]
    assert listed(FunctionName=arn) == [waits, bad, good]
    assert listed(FunctionName=f"{arn}:1") == listed(Qualifier="1") == [bad]
    assert listed(Statuses=["SUCCEEDED"]) == [good]
    assert listed(Statuses=["FAILED", "RUNNING"]) == [waits, bad]
    assert listed(DurableExecutionName="good") == [good]
    started = durable.get(bad)["StartTimestamp"]
    assert listed(StartedAfter=started) == [waits]
    assert listed(StartedBefore=durable.get(waits)["StartTimestamp"]) == [bad, good]
    first = durable.client.list_durable_executions_by_function(FunctionName=name, MaxItems=2)
    assert len(first["DurableExecutions"]) == 2
    assert listed(Marker=first["NextMarker"]) == [good]
    shown = durable.client.list_durable_executions_by_function(FunctionName=name)["DurableExecutions"][1]
    assert shown["Status"] == "FAILED"
    assert shown["EndTimestamp"] >= shown["StartTimestamp"]
    missing = durable.client.list_durable_executions_by_function
    assert refusal(missing, FunctionName="no-such-function")[0] == "ResourceNotFoundException"


def test_an_execution_is_shown_with_and_without_its_data(durable, adding):
    arn = durable.start(adding, {"x": 1})
    shown = durable.finish(arn)
    assert (shown["InputPayload"], shown["Result"]) == ('{"x": 1}', '{"sum": 2}')
    assert shown["ExecutionDataIncluded"] is True
    assert shown["DurableConfig"] == {"ExecutionTimeout": 900, "RetentionPeriodInDays": 14}
    short = durable.get(arn, IncludeExecutionData=False)
    assert short["ExecutionDataIncluded"] is False
    assert "InputPayload" not in short
    assert "Result" not in short


# -- pausing ----------------------------------------------------------------------------------------------------------
# https://docs.aws.amazon.com/lambda/latest/dg/durable-pause-resume.html


def test_a_paused_execution_is_not_invoked_and_goes_on_when_resumed(durable, waiting):
    arn = durable.start(waiting)
    callback = durable.callback(arn)
    durable.wait_for(arn, "InvocationCompleted")
    durable.client.pause_durable_execution(DurableExecutionArn=arn, Reason="vendor is down")
    shown = durable.get(arn)
    assert shown["Status"] == "PAUSED"
    assert shown["PauseDetails"]["Reason"] == "vendor is down"
    assert shown["PauseDetails"]["ExecutionTimeoutPaused"] is True
    assert "Reason" not in durable.get(arn, IncludeExecutionData=False)["PauseDetails"]
    assert durable.client.list_durable_executions_by_function(FunctionName=waiting, Statuses=["PAUSED"])[
        "DurableExecutions"
    ]
    durable.succeed(callback, b"yes")  # operations go on to complete
    durable.wait_for(arn, "CallbackSucceeded")
    assert durable.get(arn)["Status"] == "PAUSED"
    durable.client.resume_durable_execution(DurableExecutionArn=arn, Reason="vendor is back")
    assert durable.finish(arn)["Result"] == '{"answer": "yes"}'
    assert durable.kinds(arn)[-7:] == [
        "InvocationCompleted", "ExecutionPaused", "CallbackSucceeded", "ExecutionResumed", "ContextSucceeded",
        "InvocationCompleted", "ExecutionSucceeded",
    ]  # fmt: skip
    assert durable.events(arn, "ExecutionPaused")[0]["Reason"]["Payload"] == "vendor is down"
    assert durable.events(arn, "ExecutionResumed")[0]["Reason"]["Payload"] == "vendor is back"


def test_a_running_invocation_comes_to_its_next_checkpoint_first(durable, aws):
    body = """
    callback = context.create_callback(name="go on")
    def work(_):
        arn = context.execution_context.durable_execution_arn
        state = lambda: client.get_durable_execution(DurableExecutionArn=arn)
        client = boto3.client("lambda")
        while state()["Status"] != "PAUSING":
            time.sleep(0.02)
        return "worked"
    return [context.step(work, name="work"), context.step(lambda _: "more", name="more")]
    """
    role = durable.role(("lambda:GetDurableExecution", f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:*"))
    arn = durable.start(durable.create(body, role=role))
    durable.wait_for(arn, "StepStarted")
    durable.client.pause_durable_execution(DurableExecutionArn=arn)
    until(lambda: durable.get(arn)["Status"] == "PAUSED")
    assert durable.kinds(arn) == [
        "ExecutionStarted", "CallbackStarted", "StepStarted", "StepSucceeded", "InvocationCompleted", "ExecutionPaused",
    ]  # fmt: skip
    durable.client.resume_durable_execution(DurableExecutionArn=arn)
    assert durable.finish(arn)["Result"] == '["worked", "more"]'


def test_the_execution_timeout_pauses_too_unless_told_otherwise(durable):
    kept = durable.start(durable.create(WAITS, timeout=600))
    expected = durable.get(kept)["ExpectedExecutionTimeoutTimestamp"]
    durable.wait_for(kept, "InvocationCompleted")
    began = time.monotonic()
    durable.client.pause_durable_execution(DurableExecutionArn=kept, ExecutionTimeoutPaused=True)
    assert (durable.get(kept)["ExpectedExecutionTimeoutTimestamp"] - expected).days > 360
    for limit in (3, 15, 60):  # a longer one where the machine let it pass before the pause
        runs_on = durable.start(durable.create(WAITS, timeout=limit))
        durable.wait_for(runs_on, "InvocationCompleted")
        with contextlib.suppress(durable.client.exceptions.ResourceConflictException):
            durable.client.pause_durable_execution(DurableExecutionArn=runs_on, ExecutionTimeoutPaused=False)
            break
    assert durable.finish(runs_on)["Status"] == "TIMED_OUT"
    assert "ExecutionPaused" in durable.kinds(runs_on)
    assert durable.get(kept)["Status"] == "PAUSED"
    durable.client.resume_durable_execution(DurableExecutionArn=kept)
    later = (durable.get(kept)["ExpectedExecutionTimeoutTimestamp"] - expected).total_seconds()
    assert limit <= later <= time.monotonic() - began
    durable.client.stop_durable_execution(DurableExecutionArn=kept)


def test_pausing_and_resuming_what_cannot_be(durable, waiting):
    """A repeated request is told by its client token."""
    pause, resume = durable.client.pause_durable_execution, durable.client.resume_durable_execution
    arn = durable.start(waiting)
    durable.callback(arn)
    assert refusal(resume, DurableExecutionArn=arn)[0] == "ResourceConflictException"
    pause(DurableExecutionArn=arn, ClientToken="a")
    pause(DurableExecutionArn=arn, ClientToken="a")
    assert refusal(pause, DurableExecutionArn=arn, ClientToken="b")[0] == "ResourceConflictException"
    resume(DurableExecutionArn=arn, ClientToken="c")
    resume(DurableExecutionArn=arn, ClientToken="c")
    durable.client.stop_durable_execution(DurableExecutionArn=arn)
    assert refusal(pause, DurableExecutionArn=arn)[0] == "ResourceConflictException"
    assert len(durable.events(arn, "ExecutionPaused")) <= 1


CANCELLED = """
import threading
from sandbox.durable.executions import Executions

executions, begun, go, invoked = Executions(), threading.Event(), threading.Event(), []

def due(arn):
    begun.set()
    return go.wait(60)

executions._fire_due_operations, executions._invoke_execution = due, invoked.append
executions._schedule_earliest_pending = lambda arn: None
wakeup = executions._scheduler.call_later(executions._fire_due_and_invoke_handler("arn"))
begun.wait(60)
wakeup.cancel()
executions._scheduler.call_later(lambda: None).result()  # the loop has seen that
go.set()
executions.on_lane("arn", lambda: None).result()
print(invoked)
"""


def test_a_wake_up_that_is_cancelled_in_its_work_is_not_lost():
    """By an invocation that ends at the moment at which a wait does: one execution in sixty hung."""
    python = environments.SANDBOX.python
    assert subprocess.check_output([python, "-c", CANCELLED], cwd=environments.CHECKOUT, text=True) == "['arn']\n"
