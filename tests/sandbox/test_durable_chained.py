"""`context.invoke`: durable and other functions that a durable one waits for without running.

Errors of a target: https://docs.aws.amazon.com/lambda/latest/dg/durable-invoking.html and AWS's local runner. The words
of a denied permission are those of other denials, since AWS does not document them here.
"""

import json

import pytest
from durable_functions import ACCOUNT, DurableFunctions
from state_machines import function

# event: "target" and its "input".
INVOKES = """
try:
    return context.invoke(event["target"], event["input"], name="ask")
except Exception as error:
    return [type(error).__name__, getattr(error, "error_type", None), str(error)]
"""


@pytest.fixture(scope="module")
def durable(aws):
    return DurableFunctions(aws)


@pytest.fixture(scope="module")
def invoking(durable):
    return durable.create(INVOKES, role=durable.role(("lambda:InvokeFunction", "*")))


@pytest.fixture(scope="module")
def adding(durable):
    name = durable.create('return context.step(lambda _: sum(event["numbers"]))', Publish=True)
    durable.client.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
    return name


@pytest.fixture(scope="module")
def plain(aws):
    """The name of a function that is not durable."""
    return function(aws, "def handler(event, context):\n    return {'got': event['rows'] / event['by']}")


@pytest.fixture
def ask(durable, invoking):
    """(ARN, what it returned) of an execution that invoked a target."""

    def run(target, data=None):
        arn = durable.start(invoking, {"target": target, "input": data})
        return arn, json.loads(durable.finish(arn)["Result"])

    return run


def asked(durable, arn):
    """{kind: details} of the events of the chained invoke."""
    return {
        event["EventType"]: event[f"{event['EventType']}Details"]
        for event in durable.history(arn)
        if event["EventType"].startswith("ChainedInvoke")
    }


def test_a_durable_function(durable, ask, adding):
    """It becomes an execution of its own."""
    arn, result = ask(f"{adding}:live", {"numbers": [1, 2]})
    assert result == 3
    [child] = durable.client.list_durable_executions_by_function(FunctionName=adding)["DurableExecutions"]
    assert (child["Status"], child["FunctionArn"][-2:]) == ("SUCCEEDED", ":1")
    assert durable.get(child["DurableExecutionArn"])["InputPayload"] == '{"numbers": [1, 2]}'
    assert asked(durable, arn) == {
        "ChainedInvokeStarted": {
            "FunctionName": f"{adding}:live",
            "Input": {"Payload": '{"numbers": [1, 2]}', "Truncated": False},
            "ExecutedVersion": "1",
            "DurableExecutionArn": child["DurableExecutionArn"],
        },
        "ChainedInvokeSucceeded": {"Result": {"Payload": "3", "Truncated": False}},
    }


def test_another_function(durable, ask, plain):
    """Qualified or not; it has no execution."""
    arn, result = ask(plain, {"rows": 6, "by": 2})
    assert result == {"got": 3.0}
    started = asked(durable, arn)["ChainedInvokeStarted"]
    assert started["ExecutedVersion"] == "$LATEST"
    assert "DurableExecutionArn" not in started
    assert ask(f"{plain}:$LATEST", {"rows": 6, "by": 3})[1] == {"got": 2.0}


def test_an_error_of_another_function_is_not_tried_again(durable, ask, plain):
    arn, (kind, error_type, message) = ask(plain, {"rows": 6, "by": 0})
    assert (kind, error_type, message) == ("InvokeError", "ZeroDivisionError", "division by zero")
    failed = asked(durable, arn)["ChainedInvokeFailed"]["Error"]["Payload"]
    assert failed["ErrorType"] == "ZeroDivisionError"
    assert len(durable.events(arn, "ChainedInvokeStarted")) == 1


def test_a_target_that_cannot_be_invoked(durable, ask, adding):
    arn, (kind, error_type, message) = ask("nobody:live")
    assert (kind, error_type) == ("InvokeError", "ResourceNotFoundException")
    assert message == f"Function not found: arn:aws:lambda:us-east-1:{ACCOUNT}:function:nobody:live"
    assert list(asked(durable, arn)) == ["ChainedInvokeStarted", "ChainedInvokeFailed"]
    _, refused = ask(adding)
    unqualified = "You cannot invoke a durable function using an unqualified ARN."
    assert refused == ["InvokeError", "InvalidParameterValueException", unqualified]


def test_the_role_must_be_allowed_to_invoke(durable, adding):
    name = durable.create(INVOKES)
    event = {"target": f"{adding}:live", "input": {"numbers": []}}
    kind, error_type, message = json.loads(durable.finish(durable.start(name, event))["Result"])
    assert (kind, error_type) == ("InvokeError", "AccessDeniedException")
    assert "is not authorized to perform: lambda:InvokeFunction on resource: " in message
    assert f":function:{adding}:live" in message


@pytest.mark.parametrize(
    ("body", "timeout", "kind", "error_type"),
    [
        ('raise KeyError("rows")', 60, "ChainedInvokeFailed", "KeyError"),
        ("context.wait(Duration.from_seconds(30))", 1, "ChainedInvokeTimedOut", None),
    ],
    ids=["failed", "timed out"],
)
def test_a_durable_function_that_does_not_succeed(durable, ask, body, timeout, kind, error_type):
    arn, result = ask(f"{durable.create(body, timeout=timeout)}:$LATEST")
    assert result[0] == "InvokeError"
    assert error_type is None or result[1] == error_type
    assert list(asked(durable, arn)) == ["ChainedInvokeStarted", kind]


def test_a_durable_function_that_is_stopped(durable, invoking):
    child = durable.create("context.wait(Duration.from_seconds(30))")
    arn = durable.start(invoking, {"target": f"{child}:$LATEST", "input": None})
    durable.wait_for(arn, "InvocationCompleted")
    child_arn = asked(durable, arn)["ChainedInvokeStarted"]["DurableExecutionArn"]
    error = {"ErrorType": "Enough", "ErrorMessage": "no more rows"}
    durable.client.stop_durable_execution(DurableExecutionArn=child_arn, Error=error)
    assert json.loads(durable.finish(arn)["Result"]) == ["InvokeError", "Enough", "no more rows"]
    assert asked(durable, arn)["ChainedInvokeStopped"]["Error"]["Payload"] == error


def test_functions_that_wait_for_each_other_beyond_any_pool(durable, plain):
    """12 parents wait for 36 children that wait for 36 others: more than there are processes."""
    role = durable.role(("lambda:InvokeFunction", "*"))
    child = durable.create(f'return context.invoke("{plain}", event)["got"]', role=role)
    branch = f'lambda branch, n=n: branch.invoke("{child}:$LATEST", {{"rows": n, "by": 1}})'
    parent = durable.create(f"return sum(context.parallel([{branch} for n in range(3)]).get_results())", role=role)
    parents = [durable.start(parent) for _ in range(12)]
    assert {durable.finish(arn, 120).get("Result") for arn in parents} == {"3.0"}


def test_handlers_that_wait_for_each_other_beyond_any_pool(durable):
    """Each holds its process while it waits, since it invokes with boto3: more than a function may have."""
    body = """
    from botocore.config import Config
    def deeper(_):
        client = boto3.client("lambda", config=Config(retries={"total_max_attempts": 1}))
        left = json.dumps({"self": event["self"], "left": event["left"] - 1})
        return json.load(client.invoke(FunctionName=event["self"], Payload=left)["Payload"]) + 1
    return context.step(deeper) if event["left"] else 0
    """
    name = durable.create(body, role=durable.role(("lambda:InvokeFunction", "*")))
    event = {"self": f"{name}:$LATEST", "left": 7}
    assert durable.finish(durable.start(name, event), 120)["Result"] == "7"
