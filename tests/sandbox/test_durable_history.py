"""The histories of durable executions: every event with every detail that AWS documents.

The shapes are those of https://docs.aws.amazon.com/lambda/latest/api/API_Event.html. Orders, `Truncated` beside every
payload and the attempt of every step are compared with what aws/aws-durable-execution-conformance-tests requires of the
service (test-requirements/) and recorded of it (output/10-1.json, output/10-2.json).
"""

import json

import pytest
from durable_functions import DurableFunctions, details


@pytest.fixture(scope="module")
def durable(aws):
    return DurableFunctions(aws)


def shape(durable, arn):
    """The history as (id, event type, subtype, name), what a requirement is compared with."""
    history = durable.history(arn)
    assert [event["EventId"] for event in history] == list(range(1, len(history) + 1))
    moments = [event["EventTimestamp"] for event in history]
    assert moments == sorted(moments)
    return [(event["EventType"], event.get("SubType"), event.get("Name")) for event in history]


def test_a_step_and_a_wait(durable):
    shown = durable.run(
        """
        context.step(lambda _: 3, name="load")
        context.wait(Duration.from_seconds(1), name="nap")
        return "done"
        """,
        {"table": "airports"},
    )
    arn = shown["DurableExecutionArn"]
    name = shown["DurableExecutionName"]
    assert shape(durable, arn) == [
        ("ExecutionStarted", None, name),
        ("StepStarted", "Step", "load"),
        ("StepSucceeded", "Step", "load"),
        ("WaitStarted", "Wait", "nap"),
        ("InvocationCompleted", None, None),
        ("WaitSucceeded", "Wait", "nap"),
        ("InvocationCompleted", None, None),
        ("ExecutionSucceeded", None, name),
    ]
    started, _, step, wait, invocation, waited, _, ended = durable.history(arn)
    assert details(started) == {
        "Input": {"Payload": '{"table": "airports"}', "Truncated": False}, "ExecutionTimeout": 900,
    }  # fmt: skip
    assert started["Id"] == ended["Id"] == arn.rsplit("/", 1)[-1]
    result = {"Payload": "3", "Truncated": False}
    assert details(step) == {"Result": result, "RetryDetails": {"CurrentAttempt": 1}}
    assert details(wait)["Duration"] == details(waited)["Duration"] == 1
    planned = details(wait)["ScheduledEndTimestamp"]
    assert (planned - wait["EventTimestamp"]).total_seconds() == pytest.approx(1, abs=0.01)
    assert waited["EventTimestamp"] >= planned
    assert details(invocation)["StartTimestamp"] < details(invocation)["EndTimestamp"] == invocation["EventTimestamp"]
    assert "Error" not in details(invocation)
    assert details(ended) == {"Result": {"Payload": '"done"', "Truncated": False}}


def test_a_step_that_succeeds_after_retries(durable):
    shown = durable.run(
        """
        def flaky(step):
            if step.attempt < 3:
                raise TimeoutError("vendor is slow")
            return "at last"
        second = Duration.from_seconds(1)
        strategy = create_retry_strategy(RetryStrategyConfig(
            max_attempts=3, initial_delay=second, backoff_rate=1, jitter_strategy=JitterStrategy.NONE))
        return context.step(flaky, name="ask", config=StepConfig(retry_strategy=strategy))
        """
    )
    arn = shown["DurableExecutionArn"]
    assert shown["Result"] == '"at last"'
    asked = [event for event in durable.history(arn) if event.get("Name") == "ask"]
    assert [event["EventType"] for event in asked] == ["StepStarted", "StepFailed"] * 2 + [
        "StepStarted",
        "StepSucceeded",
    ]
    assert len({event["Id"] for event in asked}) == 1
    error = {"ErrorMessage": "vendor is slow", "ErrorType": "TimeoutError"}
    for attempt, failed in enumerate(durable.events(arn, "StepFailed"), 1):
        assert failed["Error"] == {"Payload": error, "Truncated": False}
        assert failed["RetryDetails"] == {"CurrentAttempt": attempt, "NextAttemptDelaySeconds": 1}
    assert durable.events(arn, "StepSucceeded")[0]["RetryDetails"] == {"CurrentAttempt": 3}


def test_a_step_that_fails_for_good(durable):
    shown = durable.run(
        """
        def bad(_):
            raise KeyError("iata")
        context.step(bad, name="parse", config=StepConfig(retry_strategy=RetryPresets.none()))
        """
    )
    arn = shown["DurableExecutionArn"]
    assert shown["Status"] == "FAILED"
    failed = durable.events(arn, "StepFailed")
    assert [event["RetryDetails"] for event in failed] == [{"CurrentAttempt": 1}]
    assert failed[0]["Error"]["Payload"]["ErrorType"] == "KeyError"
    # The invocation did not fail, the execution did: its error is told twice.
    completed, ended = durable.events(arn, "InvocationCompleted"), durable.events(arn, "ExecutionFailed")
    assert completed[0]["Error"]["Payload"] == ended[0]["Error"]["Payload"] == shown["Error"]


def test_a_polling_loop_keeps_the_state_of_each_round(durable):
    """Requirement 6-1 of the conformance tests: a round that goes on is a step that succeeded with its state."""
    shown = durable.run(
        """
        strategy = lambda state, attempt: (
            WaitForConditionDecision.stop_polling() if state >= 3
            else WaitForConditionDecision.continue_waiting(Duration.from_seconds(1)))
        return context.wait_for_condition(lambda state, _: state + 1, name="poll",
            config=WaitForConditionConfig(wait_strategy=strategy, initial_state=0))
        """
    )
    arn = shown["DurableExecutionArn"]
    assert shown["Result"] == "3"
    rounds = [event for event in durable.history(arn) if event.get("SubType") == "WaitForCondition"]
    assert [event["EventType"] for event in rounds] == ["StepStarted", "StepSucceeded"] * 3
    assert [found["Result"]["Payload"] for found in durable.events(arn, "StepSucceeded")] == ["1", "2", "3"]
    assert [found["RetryDetails"] for found in durable.events(arn, "StepSucceeded")] == [
        {"CurrentAttempt": 1, "NextAttemptDelaySeconds": 1},
        {"CurrentAttempt": 2, "NextAttemptDelaySeconds": 1},
        {"CurrentAttempt": 3},
    ]
    assert len(durable.events(arn, "InvocationCompleted")) == 3


def test_a_callback_with_its_time_limits(durable):
    arn = durable.start(
        durable.create(
            """
            config = WaitForCallbackConfig(
                timeout=Duration.from_hours(1), heartbeat_timeout=Duration.from_minutes(5))
            return context.wait_for_callback(lambda callback_id, _: None, name="vendor", config=config)
            """
        )
    )
    callback = durable.callback(arn)
    durable.wait_for(arn, "InvocationCompleted")
    durable.succeed(callback, b"all rows are good")
    name = durable.finish(arn)["DurableExecutionName"]
    assert shape(durable, arn) == [
        ("ExecutionStarted", None, name),
        ("ContextStarted", "WaitForCallback", "vendor"),
        ("CallbackStarted", "Callback", "vendor create callback id"),
        ("StepStarted", "Step", "vendor submitter"),
        ("StepSucceeded", "Step", "vendor submitter"),
        ("InvocationCompleted", None, None),
        ("CallbackSucceeded", "Callback", "vendor create callback id"),
        ("ContextSucceeded", "WaitForCallback", "vendor"),
        ("InvocationCompleted", None, None),
        ("ExecutionSucceeded", None, name),
    ]
    _, context, started, *_ = durable.history(arn)
    assert started["ParentId"] == context["Id"]
    assert details(started) == {"CallbackId": callback, "Timeout": 3600, "HeartbeatTimeout": 300}
    result = {"Payload": "all rows are good", "Truncated": False}
    assert durable.events(arn, "CallbackSucceeded") == [{"Result": result}]
    assert durable.events(arn, "ContextSucceeded")[0]["Result"]["Payload"] == '"all rows are good"'


def test_branches_and_their_parents(durable):
    shown = durable.run(
        """
        done = context.parallel([lambda branch: branch.step(lambda _: "a", name="one"),
                                 lambda branch: branch.step(lambda _: "b", name="two")], name="both")
        return done.get_results()
        """
    )
    arn = shown["DurableExecutionArn"]
    assert shown["Result"] == '["a", "b"]'
    contexts = {event["Id"]: event for event in durable.history(arn) if event["EventType"] == "ContextStarted"}
    parallel = next(event for event in contexts.values() if event["SubType"] == "Parallel")
    branches = [event for event in contexts.values() if event["SubType"] == "ParallelBranch"]
    assert [branch["ParentId"] for branch in branches] == [parallel["Id"]] * 2
    steps = [event for event in durable.history(arn) if event["EventType"] == "StepStarted"]
    assert {step["ParentId"] for step in steps} == {branch["Id"] for branch in branches}
    assert durable.kinds(arn).count("ContextSucceeded") == 3


def test_an_invocation_that_failed(durable):
    """Requirement 1-18 of the conformance tests: the process exits in mid-step, and the step is interrupted."""
    shown = durable.run(
        """
        def once(_):
            marker = "/tmp/" + event["marker"]
            if os.path.exists(marker):
                return "second attempt"
            open(marker, "w").close()
            os._exit(3)
        strategy = create_retry_strategy(RetryStrategyConfig(initial_delay=Duration.from_seconds(1)))
        config = StepConfig(retry_strategy=strategy, step_semantics=StepSemantics.AT_MOST_ONCE_PER_RETRY)
        return context.step(once, name="charge", config=config)
        """,
        {"marker": f"durable-{id(durable)}"},
    )
    arn = shown["DurableExecutionArn"]
    assert shown["Result"] == '"second attempt"'
    assert durable.kinds(arn) == [
        "ExecutionStarted", "StepStarted", "InvocationCompleted", "StepFailed", "InvocationCompleted", "StepStarted",
        "StepSucceeded", "InvocationCompleted", "ExecutionSucceeded",
    ]  # fmt: skip
    crashed, *others = durable.events(arn, "InvocationCompleted")
    assert crashed["Error"]["Payload"]["ErrorType"] == "Runtime.ExitError"
    assert crashed["Error"]["Payload"]["ErrorMessage"]
    assert all("Error" not in completed for completed in others)
    assert durable.events(arn, "StepSucceeded")[0]["RetryDetails"] == {"CurrentAttempt": 2}


# -- reading ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def finished(durable):
    """The ARN of an execution with 24 events."""
    return durable.run(
        'for n in range(10):\n    context.step(lambda _: n, name=f"step {n}")\nreturn [1]', {"secret": 1}
    )["DurableExecutionArn"]


def test_histories_are_paged(durable, finished):
    get = durable.client.get_durable_execution_history
    whole = get(DurableExecutionArn=finished)
    assert "NextMarker" not in whole
    first = get(DurableExecutionArn=finished, MaxItems=10)
    second = get(DurableExecutionArn=finished, MaxItems=10, Marker=first["NextMarker"])
    third = get(DurableExecutionArn=finished, MaxItems=10, Marker=second["NextMarker"])
    assert "NextMarker" not in third
    assert first["Events"] + second["Events"] + third["Events"] == whole["Events"]
    assert len(durable.history(finished, PaginationConfig={"PageSize": 7})) == len(whole["Events"])


def test_histories_are_reversed(durable, finished):
    history = durable.history(finished)
    assert durable.history(finished, ReverseOrder=True) == history[::-1]
    paged = durable.history(finished, ReverseOrder=True, PaginationConfig={"PageSize": 7})
    assert paged == history[::-1]


def test_histories_without_data_say_so(durable, finished):
    history = durable.history(finished, IncludeExecutionData=False)
    assert details(history[0]) == {"Input": {"Truncated": True}, "ExecutionTimeout": 900}
    assert details(history[2]) == {"Result": {"Truncated": True}, "RetryDetails": {"CurrentAttempt": 1}}
    assert details(history[-1]) == {"Result": {"Truncated": True}}


# A handler without the SDK: it reads its state in pages, and sends checkpoints with tokens that are no good.
RAW = """
import boto3, json
from botocore.exceptions import ClientError

client = boto3.client("lambda")

def handler(event, context):
    arn, first = event["DurableExecutionArn"], event["CheckpointToken"]

    def checkpoint(token, name, **more):
        update = {"Id": name, "Type": "STEP", "Action": "SUCCEED", "Name": name, "Payload": name}
        return client.checkpoint_durable_execution(
            DurableExecutionArn=arn, CheckpointToken=token, Updates=[update], **more
        )

    def refused(call, *arguments, **named):
        try:
            return call(*arguments, **named)["ResponseMetadata"]["HTTPStatusCode"]
        except ClientError as error:
            return error.response["Error"]["Code"]

    second = checkpoint(first, "a", ClientToken="once")["CheckpointToken"]
    repeated = checkpoint(first, "a", ClientToken="once")["CheckpointToken"] == second
    third = checkpoint(second, "b")["CheckpointToken"]
    get = lambda **more: client.get_durable_execution_state(DurableExecutionArn=arn, MaxItems=2, **more)
    page = get(CheckpointToken=third)
    rest = get(CheckpointToken=third, Marker=page["NextMarker"])
    return {"Status": "SUCCEEDED", "Result": json.dumps({
        "repeated": repeated,
        "state": [operation["Type"] for operation in page["Operations"] + rest["Operations"]],
        "the last page": not rest.get("NextMarker"),
        "an old token": refused(checkpoint, first, "c"),
        "no token of ours": refused(checkpoint, "AAAA", "c"),
        "state with no token of ours": refused(get, CheckpointToken="AAAA"),
    })}
"""


def test_state_and_tokens(durable):
    shown = durable.finish(durable.start(durable.create(None, code=RAW)))
    assert json.loads(shown["Result"]) == {
        "repeated": True,
        "state": ["EXECUTION", "STEP", "STEP"],
        "the last page": True,
        "an old token": "InvalidParameterValueException",
        "no token of ours": "InvalidParameterValueException",
        "state with no token of ours": "InvalidParameterValueException",
    }
