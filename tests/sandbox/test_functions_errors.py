"""How a function fails, and what happens to its process.

Recordings of AWS: localstack/localstack, tests/aws/services/lambda_/test_lambda.snapshot.json (a timeout) and
test_lambda_destinations.snapshot.json (an exception, its stack trace and its log). The errors of loading a handler and
of its result are those of AWS's runtime, aws/aws-lambda-python-runtime-interface-client, awslambdaric/bootstrap.py.
"""

import json

import pytest
from botocore.exceptions import ClientError
from handlers import Functions, archive
from state_machines import StateMachines, until

COUNTING = """
import os, sys, time

count = 0

class OutOfStock(Exception):
    pass

def handler(event, context):
    global count
    count += 1
    if event == "raise":
        raise OutOfStock("no seats left")
    if event == "exit":
        sys.exit(3)
    if event == "leave":
        os._exit(0)
    if event == "sleep":
        time.sleep(600)
    return {"count": count, "process": os.getpid(), "request": context.aws_request_id}
"""


@pytest.fixture(scope="module")
def functions(aws, sandbox):
    return Functions(aws, sandbox)


def test_an_exception_is_reported_with_its_class_and_keeps_the_process(functions):
    name = functions.create(COUNTING)
    before = functions.result(name)
    answer = functions.client.invoke(FunctionName=name, Payload='"raise"')
    assert answer["StatusCode"] == 200
    assert answer["FunctionError"] == "Unhandled"
    assert json.load(answer["Payload"]) == {
        "errorMessage": "no seats left",
        "errorType": "OutOfStock",
        "requestId": answer["ResponseMetadata"]["RequestId"],
        "stackTrace": [
            '  File "/var/task/index.py", line 13, in handler\n    raise OutOfStock("no seats left")\n',
        ],
    }
    after = functions.result(name)
    assert (after["process"], after["count"]) == (before["process"], before["count"] + 2)


def test_the_invocation_has_the_id_of_its_request(functions):
    answer = functions.client.invoke(FunctionName=functions.create(COUNTING))
    assert json.load(answer["Payload"])["request"] == answer["ResponseMetadata"]["RequestId"]


def test_a_state_machine_catches_it_by_its_class(functions, aws):
    machines = StateMachines(aws)
    states = {
        "Work": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "End": True,
                 "Parameters": {"FunctionName": functions.create(COUNTING), "Payload": "raise"},
                 "Catch": [{"ErrorEquals": ["OutOfStock"], "Next": "Caught"}]},
        "Caught": {"Type": "Succeed"},
    }  # fmt: skip
    ended = machines.run(states)
    assert ended["status"] == "SUCCEEDED"
    caught = json.loads(ended["output"])
    assert caught["Error"] == "OutOfStock"
    assert json.loads(caught["Cause"])["errorMessage"] == "no seats left"


@pytest.mark.parametrize(
    ("event", "reason"),
    [("exit", "Runtime exited with error: exit status 3"), ("leave", "Runtime exited without providing a reason")],
)
def test_a_handler_that_exits_loses_its_process(functions, event, reason):
    name = functions.create(COUNTING)
    before = functions.result(name)
    answer = functions.client.invoke(FunctionName=name, Payload=json.dumps(event))
    request = answer["ResponseMetadata"]["RequestId"]
    failure = {"errorType": "Runtime.ExitError", "errorMessage": f"RequestId: {request} Error: {reason}"}
    assert json.load(answer["Payload"]) == failure
    after = functions.result(name)
    assert after["count"] == 1
    assert after["process"] != before["process"]


def test_a_handler_that_takes_too_long(functions):
    name = functions.create(COUNTING, Timeout=3)
    before = functions.result(name)
    answer = functions.client.invoke(FunctionName=name, Payload='"sleep"')
    request = answer["ResponseMetadata"]["RequestId"]
    words = "Task timed out after 3.00 seconds"
    failure = {"errorType": "Sandbox.Timedout", "errorMessage": f"RequestId: {request} Error: {words}"}
    assert json.load(answer["Payload"]) == failure
    assert functions.result(name)["process"] != before["process"]
    assert len([message for message in functions.messages(name) if message.endswith(f"Z {request} {words}\n\n")]) == 1


@pytest.mark.parametrize(
    ("handler", "code", "kind", "message"),
    [
        ("index.handler", "import nowhere", "Runtime.ImportModuleError",
         "Unable to import module 'index': No module named 'nowhere'"),
        ("other.handler", "", "Runtime.ImportModuleError", "Unable to import module 'other': No module named 'other'"),
        ("index.handler", "def handler(event, context)\n    pass", "Runtime.UserCodeSyntaxError",
         "Syntax error in module 'index': expected ':' (index.py, line 1)"),
        ("index.handler", "def handle(event, context): pass", "Runtime.HandlerNotFound",
         "Handler 'handler' missing on module 'index'"),
        ("index", "", "Runtime.MalformedHandlerName",
         "Bad handler 'index': not enough values to unpack (expected 2, got 1)"),
        ("index.handler", "settings = {}['table']", "KeyError", "'table'"),
    ],
)  # fmt: skip
def test_a_handler_that_cannot_be_loaded(functions, handler, code, kind, message):
    name = functions.create(code, handler=handler)
    for _ in range(2):  # it is tried anew each time
        failure = functions.failure(name)
        assert (failure["errorType"], failure["errorMessage"]) == (kind, message)
        assert failure["requestId"] == ""
    assert any(f"[ERROR] {kind}: {message}" in logged for logged in functions.messages(name))
    functions.client.update_function_configuration(FunctionName=name, Handler="index.handler")
    functions.client.update_function_code(FunctionName=name, ZipFile=archive("def handler(event, context): return 1"))
    assert functions.result(name) == 1


def test_where_a_module_that_cannot_be_loaded_fails(functions):
    failure = functions.failure(functions.create("x = 1\ny = 1 / 0\n"))
    assert failure["stackTrace"] == ['  File "/var/task/index.py", line 2, in <module>\n    y = 1 / 0\n']
    failure = functions.failure(functions.create("\n\ndef handler(event, context)\n"))
    assert failure["stackTrace"] == ['  File "/var/task/index.py" Line 3\n    def handler(event, context)\n']


@pytest.mark.parametrize(
    ("result", "problem"),
    [("{1}", "Object of type set is not JSON serializable"), ("float('nan')", "Out of range float values"),
     ("(lambda x: x.append(x) or x)([])", "Circular reference detected")],
)  # fmt: skip
def test_a_result_that_is_no_json(functions, result, problem):
    failure = functions.failure(functions.create(f"def handler(event, context): return {result}"))
    assert failure["errorType"] == "Runtime.MarshalError"
    assert failure["errorMessage"].startswith(f"Unable to marshal response: {problem}")
    assert failure["stackTrace"] == []


def test_numbers_of_dynamodb_are_numbers(functions):
    numbers = "[Decimal('3'), Decimal('0.5'), Decimal('1E+2')]"
    name = functions.create(f"from decimal import Decimal\ndef handler(event, context): return {numbers}")
    assert functions.result(name) == [3, 0.5, 100]


def test_a_result_that_is_too_large(functions):
    name = functions.create("def handler(event, context): return 'x' * event")
    assert len(functions.result(name, 6_000_000)) == 6_000_000
    assert functions.failure(name, 6_300_000) == {
        "errorType": "Function.ResponseSizeTooLarge",
        "errorMessage": "Response payload size exceeded maximum allowed payload size (6291556 bytes).",
    }


def test_a_payload_that_is_refused(functions):
    name = functions.create(COUNTING)
    for payload in ("{not json", "[" * 100_000, b"\xff"):
        with pytest.raises(ClientError) as refused:
            functions.client.invoke(FunctionName=name, Payload=payload)
        assert refused.value.response["Error"]["Code"] == "InvalidRequestContentException"
    with pytest.raises(ClientError) as refused:
        functions.client.invoke(FunctionName=name, Payload=json.dumps("x" * 6 * 2**20))
    # Seen on AWS under this name; the public model calls the error RequestTooLargeException.
    assert refused.value.response["Error"]["Code"] == "RequestEntityTooLargeException"
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 413
    message = refused.value.response["Error"]["Message"]
    assert message == "Request must be smaller than 6291456 bytes for the InvokeFunction operation"
    assert functions.result(name, None)["count"] == 1


def test_what_a_handler_finds_around_it(functions, sandbox):
    name = functions.create(
        """
import os, time
def handler(event, context):
    return {
        "variables": dict(os.environ), "left": context.get_remaining_time_in_millis(), "zone": time.tzname[0],
        **{key: str(value) for key, value in vars(context).items() if isinstance(value, str)},
    }
""",
        Environment={"Variables": {"TABLE": "airports", "AWS_REGION": "not this one"}},
        MemorySize=256,
        Timeout=7,
    )
    found = functions.result(name)
    variables = found.pop("variables")
    assert 6000 < found["left"] <= 7000
    assert found["zone"] == "UTC"
    assert found["function_name"] == variables["AWS_LAMBDA_FUNCTION_NAME"] == name
    assert found["function_version"] == variables["AWS_LAMBDA_FUNCTION_VERSION"] == "$LATEST"
    assert found["memory_limit_in_mb"] == variables["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] == "256"
    assert found["invoked_function_arn"] == f"arn:aws:lambda:us-east-1:111122223333:function:{name}"
    assert found["log_group_name"] == variables["AWS_LAMBDA_LOG_GROUP_NAME"] == f"/aws/lambda/{name}"
    streams = functions.logs.describe_log_streams(logGroupName=f"/aws/lambda/{name}")["logStreams"]
    assert found["log_stream_name"] == variables["AWS_LAMBDA_LOG_STREAM_NAME"] == streams[0]["logStreamName"]
    expected = {
        "TABLE": "airports", "_HANDLER": "index.handler", "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1",
        "TZ": ":UTC", "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13", "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_ENDPOINT_URL": sandbox["endpoint"],
    }  # fmt: skip
    assert expected.items() <= variables.items()
    assert variables["_X_AMZN_TRACE_ID"].startswith("Root=1-")
    assert "LAMBDA_TASK_ROOT" in variables


def test_new_code_runs_in_new_processes(functions):
    name = functions.create("def handler(event, context): return 1")
    assert functions.result(name) == 1
    functions.client.update_function_code(FunctionName=name, ZipFile=archive("def handler(event, context): return 2"))
    assert functions.result(name) == 2
    functions.client.update_function_configuration(FunctionName=name, Environment={"Variables": {"A": "b"}})
    code = "import os\ndef handler(event, context): return os.environ['A']"
    functions.client.update_function_code(FunctionName=name, ZipFile=archive(code))
    assert functions.result(name) == "b"


def test_an_invocation_that_runs_ends_with_the_code_it_began_with(functions, tmp_path):
    code = """
import os, time
def handler(event, context):
    print("begun")
    while not os.path.exists(event):
        time.sleep(0.01)
    return 1
"""
    name, file = functions.create(code, Timeout=600), tmp_path / "end"
    functions.client.invoke(FunctionName=name, InvocationType="Event", Payload=json.dumps(str(file)))
    functions.wait_for_message(name, "begun")
    functions.client.update_function_code(FunctionName=name, ZipFile=archive("def handler(event, context): return 2"))
    assert functions.result(name) == 2
    file.touch()
    until(lambda: len([message for message in functions.messages(name) if message.startswith("REPORT")]) == 2)
    assert not any("Status: error" in message for message in functions.messages(name))


def test_versions_and_aliases(functions):
    name = functions.create(
        "def handler(event, context): return context.function_version, context.invoked_function_arn"
    )
    version = functions.client.publish_version(FunctionName=name)["Version"]
    functions.client.create_alias(FunctionName=name, Name="live", FunctionVersion=version)
    arn = f"arn:aws:lambda:us-east-1:111122223333:function:{name}"
    assert functions.result(name) == ["$LATEST", arn]
    assert functions.result(name, Qualifier="1") == ["1", f"{arn}:1"]
    assert functions.result(name, Qualifier="live") == ["1", f"{arn}:live"]


def test_reserved_concurrency_throttles(functions):
    name = functions.create(COUNTING)
    functions.client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    with pytest.raises(functions.client.exceptions.TooManyRequestsException) as refused:
        functions.client.invoke(FunctionName=name)
    assert refused.value.response["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"
