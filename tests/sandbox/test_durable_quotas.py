"""What a learner can have too much of in a durable execution, and what its role must be allowed.

Figures: botocore's model of the API and https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html. How
AWS words the quotas on operations and on written data is not documented; the words that are tested here are ours.
"""

import json

import pytest
from botocore.exceptions import ClientError
from durable_functions import ACCOUNT, DurableFunctions, archive
from state_machines import policy, unique

pytestmark = pytest.mark.takes(15)

MIB = 1024 * 1024
STORED = 262_144  # of a step and of a callback; where that is from: sandbox/durable/quotas.py

# A handler that is its own SDK: it sends the checkpoints it is told to, and returns what came of each.
RAW = """
import boto3, json
from botocore.exceptions import ClientError

client = boto3.client("lambda")

def step(name, payload=None, **more):
    number = str(abs(hash(name)))
    ended = {"Payload": payload} if payload is not None else {}
    return {"Id": number, "Type": "STEP", "Action": "SUCCEED", "Name": name, **ended, **more}

def handler(event, context):
    operations = event["InitialExecutionState"]["Operations"]
    told = json.loads(operations[0]["ExecutionDetails"]["InputPayload"])
    token, answers = event["CheckpointToken"], []
    for updates in eval(told["checkpoints"]):
        try:
            token = client.checkpoint_durable_execution(
                DurableExecutionArn=event["DurableExecutionArn"], CheckpointToken=token, Updates=updates
            )["CheckpointToken"]
            answers.append("accepted")
        except ClientError as refused:
            answers.append([refused.response["Error"]["Code"], refused.response["Error"]["Message"]])
    return {"Status": "SUCCEEDED", "Result": json.dumps(answers)}
"""


@pytest.fixture(scope="module")
def durable(aws):
    return DurableFunctions(aws)


@pytest.fixture(scope="module")
def raw(durable):
    return durable.create(None, code=RAW)


@pytest.fixture
def checkpoints(durable, raw):
    """What comes of some checkpoints: a function of a Python expression for their updates."""

    def send(expression):
        shown = durable.finish(durable.start(raw, {"checkpoints": expression}))
        return json.loads(shown["Result"])

    return send


def refusal(call, **arguments):
    with pytest.raises(ClientError) as refused:
        call(**arguments)
    error = refused.value.response["Error"]
    return error["Code"], error["Message"]


# -- operations -------------------------------------------------------------------------------------------------------


def test_3000_operations_and_not_one_more(checkpoints):
    """As AWS bills them the start is the first. A batch that is refused changes nothing."""
    steps = '[[step(f"{n}") for n in range(2998)], [step("a"), step("b")], [step("a")], [step("b")]]'
    accepted, over, last, too_many = checkpoints(steps)
    assert (accepted, last) == ("accepted", "accepted")
    assert over[0] == too_many[0] == "InvalidParameterValueException"
    assert "3000" in over[1]


def test_each_retry_is_an_operation(checkpoints):
    retry = '{**step("a"), "Action": "RETRY", "StepOptions": {"NextAttemptDelaySeconds": 1}}'
    accepted, over, _ = checkpoints(f'[[step(f"{{n}}") for n in range(2998)], [{retry}, step("b")], [{retry}]]')
    assert accepted == "accepted"
    assert over[0] == "InvalidParameterValueException"


def test_a_handler_that_goes_too_far_fails(durable):
    """The SDK turns the refusal into the end of the execution."""
    body = """
    client = boto3.client("lambda")
    def fill(_):
        pass
    context.parallel([lambda branch: branch.step(fill) for _ in range(1600)])
    """
    shown = durable.run(body)
    assert shown["Status"] == "FAILED"
    assert "3000 operations" in shown["Error"]["ErrorMessage"]


def test_100_mib_of_data(checkpoints):
    four = f'[step(f"{{n}} {{m}}", "x" * {STORED}) for m in range(4)]'
    *accepted, over = checkpoints(f"({four} for n in range(101))")
    assert set(accepted) == {"accepted"}
    assert over[0] == "InvalidParameterValueException"


# -- sizes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("update", "path"),
    [
        ('step("x" * 257)', "updates.1.member.name"),
        ('step("\\u00fcber")', "updates.1.member.name"),
        ('step("a", SubType="x" * 33)', "updates.1.member.subType"),
        ('{**step("a"), "Id": "x" * 65}', "updates.1.member.id"),
        ('{"Id": "1", "Type": "WAIT", "Action": "START", "WaitOptions": {"WaitSeconds": 31622401}}', "waitSeconds"),
        (
            '{"Id": "1", "Type": "CALLBACK", "Action": "START", "CallbackOptions": {"TimeoutSeconds": 100000000}}',
            "timeoutSeconds",
        ),
    ],
    ids=["long name", "name not in ASCII", "long subtype", "long ID", "long wait", "long timeout"],
)
def test_values_that_the_api_does_not_allow(checkpoints, update, path):
    [[code, message]] = checkpoints(f"[[{update}]]")
    assert code == "ValidationException"
    assert message.startswith("1 validation error detected: Value ")
    assert path in message


def test_payloads_of_operations(checkpoints):
    """AWS's own words (aws/aws-durable-execution-sdk-python, issue 342). A polling loop's state counts, too."""
    refused = [
        "InvalidParameterValueException",
        f"STEP output payload size must be less than or equal to {STORED} bytes.",
    ]
    assert checkpoints(f'[[step("a", "x" * {STORED})], [step("b", "x" * {STORED + 1})]]') == ["accepted", refused]
    state = '{{**step("a", "x" * {}), "Action": "RETRY", "StepOptions": {{"NextAttemptDelaySeconds": 1}}}}'
    assert checkpoints(f"[[{state.format(STORED + 1)}]]") == [refused]
    context = '{{"Id": "{0}", "Type": "CONTEXT", "Action": "SUCCEED", "Payload": "x" * {0}}}'
    assert checkpoints(f"[[{context.format(MIB)}], [{context.format(MIB + 1)}]]") == [
        "accepted",
        ["InvalidParameterValueException", f"CONTEXT output payload size must be less than or equal to {MIB} bytes."],
    ]


def test_errors_of_operations(checkpoints):
    error = '{{**step("a"), "Action": "FAIL", "Error": {{"ErrorMessage": "x" * {}}}}}'
    assert checkpoints(f"[[{error.format(MIB - 100)}]]") == ["accepted"]
    assert checkpoints(f"[[{error.format(MIB)}]]") == [
        ["InvalidParameterValueException", f"Error object size must be less than {MIB} bytes."]
    ]


@pytest.mark.parametrize(
    ("size", "status"),
    [(STORED - 2, "SUCCEEDED"), (STORED - 1, "FAILED"), (800_000, "FAILED")],  # two quotes make a string JSON
    ids=["it fits", "a byte too long", "800 kB"],
)
def test_a_large_result_of_a_step_never_hangs(durable, size, status):
    """The SDK 3.0.0 never sends an operation of more than 768,000 bytes, and waits for its answer for ever."""
    shown = durable.run(f'return len(context.step(lambda _: "x" * {size}, name="large"))')
    assert shown["Status"] == status
    if status == "FAILED":
        assert f"STEP output payload size must be less than or equal to {STORED}" in shown["Error"]["ErrorMessage"]


@pytest.mark.parametrize("kind", ["Event", "RequestResponse"])
def test_results_of_executions(durable, kind):
    """1 MB for those that nobody waits for, 6 MB for the others."""
    most = {"Event": MIB, "RequestResponse": 6 * MIB}[kind]
    name = durable.create('return "x" * event["size"]')
    for size, status in ((most - 2, "SUCCEEDED"), (most, "FAILED")):  # two quotes make a string JSON
        invoked = durable.client.invoke(
            FunctionName=f"{name}:$LATEST", InvocationType=kind, Payload=json.dumps({"size": size})
        )
        shown = durable.finish(invoked["DurableExecutionArn"])
        assert shown["Status"] == status
        if status == "FAILED":
            assert str(most) in shown["Error"]["ErrorMessage"]


def test_inputs_of_executions(durable, raw):
    payload = json.dumps({"checkpoints": "[]", "more": "x" * MIB})
    invoke = {"FunctionName": f"{raw}:$LATEST", "Payload": payload}
    code, message = refusal(durable.client.invoke, InvocationType="Event", **invoke)
    assert (code, message) == (
        "RequestTooLargeException",
        f"Request must be smaller than {MIB} bytes for the InvokeFunction operation",
    )
    assert json.load(durable.client.invoke(**invoke)["Payload"]) == []


def test_results_of_callbacks(durable):
    arn = durable.start(durable.create("return len(context.wait_for_callback(lambda *_: None))"))
    callback = durable.callback(arn)
    send = durable.client.send_durable_execution_callback_success
    assert refusal(send, CallbackId=callback, Result=b"x" * (STORED + 1))[0] == "ValidationException"
    send(CallbackId=callback, Result=b"x" * STORED)
    assert durable.finish(arn)["Status"] == "SUCCEEDED"


def test_a_handler_that_is_not_durable_fails_at_once(durable):
    """What AWS says of an output that is not a durable handler's."""
    name = durable.create(None, code='def handler(event, context):\n    return "plain"')
    shown = durable.finish(durable.start(name))
    assert shown["Error"] == {
        "ErrorType": "InvalidParameterValueException",
        "ErrorMessage": "Invalid Status in invocation output.",
    }
    assert len(durable.events(shown["DurableExecutionArn"], "InvocationCompleted")) == 1


# -- permissions ------------------------------------------------------------------------------------------------------
# https://docs.aws.amazon.com/lambda/latest/dg/durable-security.html


def role(aws, *statements):
    iam = aws("iam")
    name = unique("role")
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "lambda.amazonaws.com"}}
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=policy(trust))["Role"]["Arn"]
    for index, (action, resource) in enumerate(statements):
        statement = policy({"Effect": "Allow", "Action": action, "Resource": resource})
        iam.put_role_policy(RoleName=name, PolicyName=f"p{index}", PolicyDocument=statement)
    return arn


CHECKPOINT, STATE = "lambda:CheckpointDurableExecution", "lambda:GetDurableExecutionState"


def test_the_documented_policy_is_enough(durable, aws):
    name = unique("least")
    arn = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:{name}:*"
    least = role(aws, ([CHECKPOINT, STATE], arn))
    # Enough operations for the state to be read in pages.
    body = 'for n in range(28):\n    context.step(lambda _: "x" * 260_000)\ncontext.wait(Duration.from_seconds(1))'
    assert durable.run(body, role=least, name=name)["Status"] == "SUCCEEDED"


def test_a_missing_permission_is_named(durable, aws):
    name = unique("short")
    shown = durable.run('return context.step(lambda _: 1, name="one")', role=role(aws), name=name)
    assert shown["Status"] == "FAILED"
    message = shown["Error"]["ErrorMessage"]
    assert CHECKPOINT in message
    assert f":function:{name}:$LATEST/durable-execution/" in message
    body = 'for n in range(28):\n    context.step(lambda _: "x" * 260_000)\ncontext.wait(Duration.from_seconds(1))'
    shown = durable.run(body, role=role(aws, (CHECKPOINT, "*")))
    assert STATE in shown["Error"]["ErrorMessage"]


def test_the_arn_of_the_function_alone_does_not_match(durable, aws):
    name = unique("bare")
    arn = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:{name}"
    shown = durable.run("return context.step(lambda _: 1)", role=role(aws, ([CHECKPOINT, STATE], arn)), name=name)
    assert CHECKPOINT in shown["Error"]["ErrorMessage"]


def test_who_completes_a_callback_needs_the_permission(durable, aws):
    arn = durable.start(durable.create("return context.wait_for_callback(lambda *_: None)"))
    callback = durable.callback(arn)
    code = """
import boto3
from botocore.exceptions import ClientError

def handler(event, context):
    try:
        boto3.client("lambda").send_durable_execution_callback_success(CallbackId=event["callback"], Result=b"yes")
    except ClientError as refused:
        return str(refused)
"""

    def completing(*statements, callback=callback):
        name = unique("completing")
        durable.client.create_function(
            FunctionName=name, Runtime="python3.13", Handler="index.handler", Role=role(aws, *statements), Timeout=30,
            Code={"ZipFile": archive(code)},
        )  # fmt: skip
        answer = durable.client.invoke(FunctionName=name, Payload=json.dumps({"callback": callback}))
        return json.load(answer["Payload"])

    denied = completing()
    assert "lambda:SendDurableExecutionCallbackSuccess" in denied
    assert arn in denied
    allowed = arn.partition("/")[0] + "/durable-execution/*"
    assert completing(("lambda:SendDurableExecutionCallbackSuccess", allowed)) is None
    assert durable.finish(arn)["Result"] == '"yes"'
    # What AWS says of a made-up callback ID to a role that may answer one function's callbacks is not known. Here it
    # is denied, since such an ID leads to no execution that the role could be allowed; a role that may answer all
    # callbacks hears that it is none. (API_SendDurableExecutionCallbackSuccess.html names InvalidParameterValue-
    # Exception and CallbackTimeoutException, and says nothing about which comes first.)
    made_up = "bm90IGEgY2FsbGJhY2s="
    said = completing(("lambda:SendDurableExecutionCallbackSuccess", allowed), callback=made_up)
    assert "(AccessDeniedException)" in said
    said = completing(("lambda:SendDurableExecutionCallbackSuccess", "*"), callback=made_up)
    assert "(InvalidParameterValueException)" in said


def test_invoking_by_qualifier_is_allowed_by_qualifier(durable, aws):
    """Whether the qualifier stands in the name or beside it, it is part of the resource."""
    target = durable.create("return 1")
    code = f"""
import boto3
def handler(event, context):
    client = boto3.client("lambda")
    client.invoke(FunctionName="{target}:$LATEST", InvocationType="Event")
    client.invoke(FunctionName="{target}", Qualifier="$LATEST", InvocationType="Event")
"""
    arn = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:{target}:$LATEST"
    name = unique("caller")
    durable.client.create_function(
        FunctionName=name, Runtime="python3.13", Handler="index.handler", Timeout=30, Code={"ZipFile": archive(code)},
        Role=role(aws, ("lambda:InvokeFunction", arn)),
    )  # fmt: skip
    answer = durable.client.invoke(FunctionName=name)
    assert "FunctionError" not in answer, answer["Payload"].read()
