"""Broken and hostile input: a clear error in AWS's shape, and the sandbox and everybody else go on.

That nobody from another host and no web page reaches it at all is in test_gateway.py and test_loopback.py.
"""

import contextlib
import http.client
import json
import os
import socket

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from handlers import Functions
from patience import PATIENCE
from state_machines import unique

pytestmark = pytest.mark.takes(12)

TARGETS = {
    "dynamodb": "DynamoDB_20120810.PutItem", "states": "AWSStepFunctions.StartExecution",
    "events": "AWSEvents.PutEvents", "logs": "Logs_20140328.PutLogEvents", "sqs": "AmazonSQS.SendMessage",
    "dms": "AmazonDMSv20160101.StartReplicationTask", "tagging": "ResourceGroupsTaggingAPI_20170126.GetResources",
}  # fmt: skip
NO_OBJECTS = {
    "no JSON": b"{not json", "a list": b"[1, 2]", "a string": b'"x"', "null": b"null", "a number": b"3",
    "binary": bytes(range(128, 256)), "unclosed": b'{"a": ', "nested too deeply": b"[" * 100_000,
    "a number of 6,000 digits": b'{"a": %s}' % (b"9" * 6000),
    "half a surrogate pair": b'{"TableName": "\\ud800"}', "10 MB of no JSON": b"x" * 10 * 2**20,
}  # fmt: skip
WRONG_TYPES = {
    "TableName": 5, "Item": [], "Entries": {"a": 1}, "stateMachineArn": [1], "logGroupName": {}, "logEvents": 3,
    "QueueUrl": 7, "MessageBody": {}, "ReplicationTaskArn": [], "StartReplicationTaskType": 1,
}  # fmt: skip


@pytest.fixture(scope="module")
def functions(own_aws, own_sandbox):
    return Functions(own_aws, own_sandbox)


@pytest.fixture
def raw(own_sandbox):
    """A function that sends a signed request as it is; gives its status, headers and body."""
    address = own_sandbox["endpoint"].removeprefix("http://")
    credentials = Credentials(own_sandbox["access_key_id"], own_sandbox["secret_access_key"])

    def send(service, body=b"", path="/", method="POST", **headers):
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        request = AWSRequest(method=method, url=own_sandbox["endpoint"] + path, data=body, headers=headers)
        SigV4Auth(credentials, service, "us-east-1").add_auth(request)
        connection = http.client.HTTPConnection(address, timeout=PATIENCE)
        connection.request(method, path, body, dict(request.headers))
        answer = connection.getresponse()
        try:
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()

    return send


@pytest.fixture(scope="module")
def bystander(functions):
    name = functions.create("import os\ndef handler(event, context): return os.getpid()")
    return {"name": name, "process": functions.result(name)}


@pytest.fixture(autouse=True)
def it_goes_on(functions, bystander):
    """After each test the sandbox works as before, and the function of somebody else in the process that it had."""
    yield
    before, bystander["process"] = bystander["process"], functions.result(bystander["name"])
    assert bystander["process"] == before


# -- requests ----------------------------------------------------------------------------------------------------------


def in_json(headers, body):
    """The code and the message of an error."""
    error = json.loads(body)
    code = error["__type"].rpartition("#")[2]
    assert headers.get("x-amzn-errortype", code) == code
    return code, error.get("message") or error["Message"]


@pytest.mark.parametrize("body", NO_OBJECTS.values(), ids=NO_OBJECTS)
@pytest.mark.parametrize("service", TARGETS)
def test_a_body_that_is_no_json_object(raw, service, body):
    status, headers, answer = raw(
        service, body, X_Amz_Target=TARGETS[service], Content_Type="application/x-amz-json-1.0"
    )
    assert status == 400
    code, message = in_json(headers, answer)
    assert code == "SerializationException"
    assert message.startswith("The request body is not")


@pytest.mark.parametrize("service", sorted(set(TARGETS) - {"tagging", "dms"}))
def test_values_of_a_wrong_type(raw, service):
    body = json.dumps(WRONG_TYPES).encode()
    status, headers, answer = raw(
        service, body, X_Amz_Target=TARGETS[service], Content_Type="application/x-amz-json-1.0"
    )
    assert status == 400
    assert in_json(headers, answer)[0] in ("SerializationException", "ValidationException", "InvalidParameterException")


@pytest.mark.parametrize("path", ["/2015-03-31/functions", "/schedules/one", "/restapis", "/v2/apis"])
@pytest.mark.parametrize("body", NO_OBJECTS.values(), ids=NO_OBJECTS)
def test_a_body_that_is_no_json_object_for_a_rest_service(raw, path, body):
    service = {"/2015-03-31/functions": "lambda", "/schedules/one": "scheduler"}.get(path, "apigateway")
    status, headers, answer = raw(service, body, path, Content_Type="application/json")
    assert (status, in_json(headers, answer)[0]) == (400, "SerializationException")


@pytest.mark.parametrize("service", sorted(set(TARGETS) - {"dms", "sqs"}))
def test_an_operation_that_does_not_exist(raw, service):
    target = TARGETS[service].partition(".")[0] + ".NoSuchOperation"
    status, headers, answer = raw(service, b"{}", X_Amz_Target=target, Content_Type="application/x-amz-json-1.0")
    assert status == 400
    assert in_json(headers, answer)[0] == "UnknownOperationException"


@pytest.mark.parametrize("service", ["iam", "sts", "monitoring"])
def test_an_action_that_does_not_exist(raw, service):
    body = b"Action=NoSuchAction&Version=2010-05-08"
    status, _, answer = raw(service, body, Content_Type="application/x-www-form-urlencoded")
    assert status == 400
    assert b"<Code>InvalidAction</Code>" in answer


def test_content_types_that_are_not_what_they_say(raw):
    """What counts is the operation that a request names, as on AWS."""
    body = json.dumps({"stateMachineArn": "arn:aws:states:us-east-1:111122223333:stateMachine:none"}).encode()
    for kind in ("text/plain", "application/xml", "application/x-amz-json-1.0; charset=utf-8", "nonsense", ""):
        status, headers, answer = raw("states", body, X_Amz_Target=TARGETS["states"], Content_Type=kind)
        assert (status, in_json(headers, answer)[0]) == (400, "StateMachineDoesNotExist")


def test_large_bodies_that_are_well_formed(raw, own_aws):
    ten_megabytes = "x" * 10 * 2**20
    body = json.dumps({"stateMachineArn": "none", "input": ten_megabytes}).encode()
    status, headers, answer = raw("states", body, X_Amz_Target=TARGETS["states"])
    assert status == 400
    assert in_json(headers, answer)[0] in ("StateMachineDoesNotExist", "InvalidArn", "ValidationException")
    bucket = unique("bucket")
    own_aws("s3").create_bucket(Bucket=bucket)
    own_aws("s3").put_object(Bucket=bucket, Key="large", Body=ten_megabytes.encode())
    assert own_aws("s3").head_object(Bucket=bucket, Key="large")["ContentLength"] == 10 * 2**20


@pytest.mark.parametrize(
    "data",
    [
        b"NONSENSE\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: many\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -5\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Long: " + b"a" * 200_000,
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n" + b"X-Many: a\r\n" * 20_000,
        b"GET /?\xff\xfe HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # the beginning of TLS
        b"\0" * 1000,
    ],
)
def test_what_is_no_http(own_sandbox, data):
    answer = b""
    with (
        socket.create_connection(_address(own_sandbox), timeout=PATIENCE) as connection,
        contextlib.suppress(ConnectionError),
    ):
        connection.sendall(data)
        connection.settimeout(PATIENCE)
        answer = connection.recv(100)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 4")


def test_requests_that_break_off(own_sandbox, functions):
    """More of them than the server may keep, in the middle of head and body, and some that just sit there."""
    open_ones = []
    for number in range(300):
        connection = socket.create_connection(_address(own_sandbox), timeout=PATIENCE)
        connection.sendall(b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n\r\n{"[: 20 + number % 60])
        if number % 3:
            connection.close()
        else:
            open_ones.append(connection)
    assert functions.settings()["processes"] == 24
    for connection in open_ones:
        connection.close()


def _address(sandbox):
    host, _, port = sandbox["endpoint"].removeprefix("http://").partition(":")
    return host, int(port)


# -- handlers ----------------------------------------------------------------------------------------------------------


def test_a_handler_that_crashes_the_interpreter(functions):
    name = functions.create("import ctypes\ndef handler(event, context): ctypes.string_at(event)")
    failure = functions.failure(name, 0)
    assert failure["errorType"] == "Runtime.ExitError"
    assert failure["errorMessage"].endswith("Error: Runtime exited with error: signal: segmentation fault")


def test_a_handler_that_hangs_where_no_signal_reaches_it(functions):
    code = """
import re, signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
def handler(event, context):
    re.fullmatch(r"(a*)*b", "a" * 40)  # holds the interpreter's lock for ever
"""
    name = functions.create(code, Timeout=1)
    assert functions.failure(name)["errorType"] == "Sandbox.Timedout"


def test_a_handler_that_prints_a_megabyte(functions):
    code = """
def handler(event, context):
    for number in range(10_000):
        print(f"{number:04}", "x" * 100)
    return "done"
"""
    name = functions.create(code, Timeout=30)
    assert functions.result(name) == "done"
    pages = functions.logs.get_paginator("filter_log_events").paginate(logGroupName=f"/aws/lambda/{name}")
    lines = [event["message"] for page in pages for event in page["events"] if "xxx" in event["message"]]
    assert [int(line[:4]) for line in lines] == list(range(10_000))


def test_a_handler_that_prints_without_end(functions):
    code = """
import os
def handler(event, context):
    while True:
        os.write(1, b"x" * 999 + b"\\n")
"""
    words = "[sandbox] The log of one invocation ends after 16 MB.\n"
    for timeout in (2, 10, 60):  # whatever the sandbox's machine reads in that time
        name = functions.create(code, Timeout=timeout)
        assert functions.failure(name)["errorType"] == "Sandbox.Timedout"
        if said := functions.messages(name, filterPattern='"[sandbox]"'):
            break
    assert said == [words]
    assert len(functions.messages(name, filterPattern="END")) == 1
    pages = functions.logs.get_paginator("filter_log_events").paginate(logGroupName=f"/aws/lambda/{name}")
    assert sum(len(event["message"]) for page in pages for event in page["events"]) < 17 * 2**20


def test_a_line_that_does_not_end(functions):
    name = functions.create("import os\ndef handler(event, context):\n    os.write(1, b'x' * event)\n    return 'done'")
    for size in (262_140, 262_144, 262_150, 1_000_000):
        assert functions.result(name, size) == "done"
    messages = [message for message in functions.messages(name) if message.startswith("x")]
    assert sum(map(len, messages)) == 262_140 + 262_144 + 262_150 + 1_000_000
    assert max(map(len, messages)) <= 262_144


def test_output_that_is_no_text(functions):
    name = functions.create(
        "import os\ndef handler(event, context):\n    os.write(1, bytes(range(256)))\n    return 'done'"
    )
    assert functions.result(name) == "done"
    functions.wait_for_message(name, "REPORT")


def test_a_handler_that_forks(functions):
    code = """
import os, time
def handler(event, context):
    child = os.fork()
    if child == 0 and event == "stay":
        time.sleep(600)
    return os.getpid()  # both return, one of them answers
"""
    name = functions.create(code, Timeout=5)
    process = functions.result(name)
    assert functions.result(name, "stay") == process
    assert functions.result(name) == process


def test_a_handler_that_exits_and_leaves_a_child_behind(functions):
    code = """
import os, sys, time
def handler(event, context):
    if os.fork() == 0:
        time.sleep(600)
    sys.exit(4)
"""
    name = functions.create(code, Timeout=60)
    # Not "Task timed out": its child is not waited for.
    assert functions.failure(name)["errorMessage"].endswith("exit status 4")


def test_a_handler_that_closes_everything(functions):
    name = functions.create("import os\ndef handler(event, context): os.closerange(0, 100)", Timeout=5)
    assert functions.failure(name)["errorType"] == "Runtime.ExitError"


def test_a_handler_that_reads_its_input_and_writes_to_all_that_is_open(functions):
    code = """
import os, sys
def handler(event, context):
    found = sys.stdin.read()
    sys.stdout.write('{"result": "forged"}\\n')
    return found
"""
    name = functions.create(code)
    assert functions.result(name) == ""


def test_a_handler_that_writes_where_only_the_runtime_does(functions):
    code = """
import os
def handler(event, context):
    for descriptor in range(3, 20):
        try:
            os.write(descriptor, event.encode())
        except OSError:
            pass
"""
    for text in ("nonsense\n", "3\n", "[]\n", "x" * 100):
        assert functions.failure(functions.create(code), text)["errorType"] == "Runtime.ExitError"


def test_a_handler_that_leaves_threads(functions):
    code = """
import threading, time
def handler(event, context):
    for _ in range(100):
        threading.Thread(target=time.sleep, args=[600]).start()
    return len(threading.enumerate())
"""
    name = functions.create(code)
    assert functions.result(name) > 100
    assert functions.result(name) > 200


def test_endless_recursion_is_an_error_like_any_other(functions):
    failure = functions.failure(functions.create("def handler(event, context): return handler(event, context)"))
    assert failure["errorType"] == "RecursionError"


def test_an_event_and_a_result_that_are_deep(functions):
    name = functions.create("def handler(event, context): return event")
    deep = json.loads("[" * 400 + "]" * 400)
    assert functions.result(name, deep) == deep


def test_modules_named_like_ours_are_the_functions_own(functions):
    files = {
        "runtime.py": "mine = 1", "environments.py": "mine = 2", "sandbox/__init__.py": "mine = 3",
        "index.py": "import runtime, environments, sandbox\n"
                    "def handler(event, context): return runtime.mine, environments.mine, sandbox.mine",
    }  # fmt: skip
    assert functions.result(functions.create(files)) == [1, 2, 3]


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="memory is bounded on Linux only")
def test_memory_that_is_taken_at_once(functions):
    name = functions.create(
        "import time\ndef handler(event, context):\n    kept = b'x' * 2**30\n    time.sleep(600)", Timeout=900
    )
    assert functions.failure(name)["errorMessage"].endswith("signal: killed")


def test_an_archive_that_is_none(functions, own_aws):
    from state_machines import role

    for code in (b"not a zip", b"PK\3\4broken"):
        with pytest.raises(functions.client.exceptions.InvalidParameterValueException):
            functions.client.create_function(
                FunctionName=unique("function"),
                Runtime="python3.13",
                Handler="a.b",
                Role=role(own_aws),
                Code={"ZipFile": code},
            )


def test_an_archive_that_points_outside(functions, own_sandbox):
    name = functions.create({"../../escaped.py": "", "index.py": "def handler(event, context): return 1"})
    assert functions.result(name) == 1
    log = os.path.dirname(own_sandbox["log"])
    assert not any("escaped.py" in files for folder, _, files in os.walk(log) if "code-" not in folder)
