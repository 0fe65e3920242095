"""What functions log, and how it is found again in CloudWatch Logs.

The formats are those of AWS's runtime (aws/aws-lambda-python-runtime-interface-client, awslambdaric/bootstrap.py and
lambda_runtime_log_utils.py) and of its recordings (localstack/localstack,
tests/aws/services/lambda_/test_lambda.snapshot.json, test_invocation_with_logs, and
test_lambda_destinations.snapshot.json, test_dead_letter_queue). Not there: INIT_START lines, and the warning that AWS
adds to an unhandled exception.
"""

import base64
import json
import os
import re
import subprocess

import pytest
from handlers import Functions
from state_machines import unique, until

from workshop import environments

BASIC = {"logs:CreateLogGroup": "*", "logs:CreateLogStream": "*", "logs:PutLogEvents": "*"}


@pytest.fixture(scope="module")
def functions(aws, sandbox):
    return Functions(aws, sandbox)


def run(functions, code, event=None, **config):
    """The messages of one invocation of a new function, and its request id; it may fail."""
    name = functions.create(code, **config)
    answer = functions.client.invoke(FunctionName=name, Payload=json.dumps(event))
    answer["Payload"].read()
    return functions.messages(name), answer["ResponseMetadata"]["RequestId"]


def test_an_invocation_in_the_log(functions):
    messages, request = run(functions, "def handler(event, context):\n    print('one')\n    print('two', end='')")
    start, one, two, end, report = messages
    assert (start, one, two) == (f"START RequestId: {request} Version: $LATEST\n", "one\n", "two")
    assert end == f"END RequestId: {request}\n"
    assert re.fullmatch(
        rf"REPORT RequestId: {request}\tDuration: [\d.]+ ms\tBilled Duration: \d+ ms\tMemory Size: 128 MB\t"
        r"Max Memory Used: \d+ MB\tInit Duration: [\d.]+ ms\t\n",
        report,
    )


def test_records_of_logging(functions):
    code = """
import logging
logger = logging.getLogger()
logger.setLevel("INFO")
logging.getLogger("loaded").info("before")
def handler(event, context):
    logger.debug("not shown")
    logger.info("two\\nlines")
    logging.getLogger("other").warning("%s is late", "it")
"""
    messages, request = run(functions, code)
    moment = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
    assert re.fullmatch(rf"\[INFO\]\t{moment}\t\tbefore\n", messages[0])
    assert re.fullmatch(rf"\[INFO\]\t{moment}\t{request}\ttwo\nlines\n", messages[2])
    assert re.fullmatch(rf"\[WARNING\]\t{moment}\t{request}\tit is late\n", messages[3])
    assert len(messages) == 6


def test_by_default_only_warnings_are_shown(functions):
    code = "import logging\ndef handler(event, context):\n    logging.info('no')\n    logging.warning('yes')"
    messages, _ = run(functions, code)
    assert [message for message in messages if message.startswith("[")] == [
        message for message in messages if message.endswith("\tyes\n")
    ]


def test_an_error_in_the_log(functions):
    messages, _ = run(functions, "def handler(event, context):\n    raise ValueError('boom')")
    assert messages[1] == (
        "[ERROR] ValueError: boom\nTraceback (most recent call last):\n"
        "\xa0\xa0File \"/var/task/index.py\", line 2, in handler\n\xa0\xa0\xa0\xa0raise ValueError('boom')"
    )


def test_the_end_of_the_log_with_the_answer(functions):
    name = functions.create("def handler(event, context):\n    print('x' * event)")
    answer = functions.client.invoke(FunctionName=name, LogType="Tail", Payload="3")
    tail = base64.b64decode(answer["LogResult"]).decode()
    assert tail.startswith("START RequestId: ")
    assert "\nxxx\nEND" in tail
    answer = functions.client.invoke(FunctionName=name, LogType="Tail", Payload="10000")
    assert len(base64.b64decode(answer["LogResult"])) == 4096


def test_nothing_that_was_printed_is_lost(functions):
    code = """
import os, subprocess, sys
def handler(event, context):
    for number in range(event):
        print("line", number)
    sys.stderr.write("to stderr\\n")
    os.write(1, b"to the descriptor\\n")
    subprocess.run([sys.executable, "-c", "print('by a program')"], check=True)
"""
    name = functions.create(code)
    for _ in range(3):
        functions.result(name, 500)
    messages = functions.messages(name)
    assert [m for m in messages if m.startswith("line")] == 3 * [f"line {number}\n" for number in range(500)]
    for text in ("to stderr\n", "to the descriptor\n", "by a program\n"):
        assert messages.count(text) == 3
    last = messages.index("by a program\n")
    assert messages[last + 1].startswith("END")


def test_what_comes_after_the_answer_is_in_the_log_once_the_process_goes_on(functions):
    code = """
import threading
def handler(event, context):
    threading.Timer(0.1, print, ["late"]).start()
"""
    name = functions.create(code)

    def late():
        functions.result(name)
        return "late\n" in functions.messages(name)

    until(late)


def test_a_line_is_there_while_the_handler_still_runs(functions, tmp_path):
    code = """
import os, time
def handler(event, context):
    print("begun")
    while not os.path.exists(event):
        time.sleep(0.01)
"""
    name, file = functions.create(code, Timeout=600), tmp_path / "end"
    functions.client.invoke(FunctionName=name, InvocationType="Event", Payload=json.dumps(str(file)))
    functions.wait_for_message(name, "begun\n")
    assert not any(message.startswith("END") for message in functions.messages(name))
    file.touch()
    functions.wait_for_message(name, "END")


def test_records_of_a_handler_that_leads_its_streams_elsewhere(functions):
    """They have a way of their own, as AWS's runtime has for them (_LAMBDA_TELEMETRY_LOG_FD)."""
    code = """
import logging, os
def handler(event, context):
    for number in (1, 2):
        os.dup2(os.open(os.devnull, os.O_WRONLY), number)
    print("nowhere")
    logging.warning("here")
"""
    name = functions.create(code)
    for _ in range(2):
        functions.result(name)
    logged = [message.rpartition("\t")[2] for message in functions.messages(name) if not message.startswith("REPORT")]
    assert [text for text in logged if not text.startswith(("START", "END"))] == ["here\n", "here\n"]


def test_a_log_is_complete_however_late_it_is_read(tmp_path):
    """Each end is the end of its own invocation. Played to the sandbox's own reader, which the sandbox's Python has."""
    script = tmp_path / "late.py"
    script.write_text(LATE)
    python = environments.SANDBOX.python
    subprocess.run([python, script], env={**os.environ, "PYTHONPATH": str(environments.CHECKOUT)}, check=True)


LATE = """
import os, threading, time
from sandbox.functions import logs

ours, theirs = os.pipe()
stream = logs.Stream({"FunctionName": "f", "Version": "1"})
taken, may_read = [], threading.Event()
stream.write = lambda *messages: taken.extend(messages)

class Late:
    # A pipe that nobody has the time to read.
    file = open(ours, "rb")
    __enter__ = lambda self: self
    __exit__ = lambda self, *_: None
    def read1(self, size):
        may_read.wait()
        return self.file.read1(size)

threading.Thread(target=stream.read, args=(Late(), "MARK"), daemon=True).start()
threading.Timer(1.5, may_read.set).start()  # longer than the second that a log is waited for after a kill
os.write(theirs, b"one\\nMARK\\n")
stream.wait_for_end()
assert taken == ["one\\n"], taken
os.write(theirs, b"two\\nMARK\\nthree\\n")
stream.wait_for_end()
assert taken[:2] == ["one\\n", "two\\n"], taken
os.write(theirs, b"four\\nMARK\\n")
stream.wait_for_end()
assert taken == ["one\\n", "two\\n", "three\\n", "four\\n"], taken
os.write(theirs, b"five")
os.close(theirs)
stream.wait_for_end()
assert taken[4:] == ["five"], taken
"""


# -- JSON --------------------------------------------------------------------------------------------------------------

JSON_CODE = """
import logging
logger = logging.getLogger("tables")
def handler(event, context):
    print("plain")
    logger.debug("not shown")
    logger.info("loaded %d rows", 7, extra={"table": "airports"})
    try:
        1 / 0
    except ZeroDivisionError:
        logger.exception("it failed")
    if event == "raise":
        raise ValueError("boom")
"""


def test_the_json_format(functions):
    messages, request = run(functions, JSON_CODE, "raise", LoggingConfig={"LogFormat": "JSON"})
    assert messages.pop(1) == "plain\n"
    start, record, error, failure, report = map(json.loads, messages)
    assert start.keys() == {"time", "type", "record"}
    assert (start["type"], start["record"]) == ("platform.start", {"requestId": request, "version": "$LATEST"})
    moment = record.pop("timestamp")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", moment)
    expected = {"level": "INFO", "message": "loaded 7 rows", "logger": "tables", "requestId": request}
    assert record == {**expected, "table": "airports"}
    assert (error["level"], error["errorType"], error["errorMessage"]) == (
        "ERROR",
        "ZeroDivisionError",
        "division by zero",
    )
    assert error["location"].endswith("index.py:handler:11")
    assert error["stackTrace"]
    assert (failure["level"], failure["errorType"], failure["requestId"]) == ("ERROR", "ValueError", request)
    assert report["type"] == "platform.report"
    assert report["record"]["metrics"].keys() >= {"durationMs", "billedDurationMs", "memorySizeMB", "maxMemoryUsedMB"}


def test_the_levels_of_the_json_format(functions):
    config = {"LogFormat": "JSON", "ApplicationLogLevel": "ERROR", "SystemLogLevel": "WARN"}
    messages, _ = run(functions, JSON_CODE, LoggingConfig=config)
    assert messages[0] == "plain\n"  # print() has no level
    assert [json.loads(message)["level"] for message in messages[1:]] == ["ERROR"]


def test_a_log_group_of_ones_own(functions, aws):
    group = unique("/shared/group")
    name = functions.create("def handler(event, context):\n    print('here')", LoggingConfig={"LogGroup": group})
    functions.result(name)
    events = aws("logs").filter_log_events(logGroupName=group)["events"]
    assert "here\n" in [event["message"] for event in events]
    assert functions.messages(name) == []


# -- permission --------------------------------------------------------------------------------------------------------


def test_without_permission_there_is_no_log(functions):
    name = functions.create("def handler(event, context):\n    print('unheard')", permissions={})
    functions.result(name)
    assert functions.messages(name) == []


def test_the_permissions_that_make_a_log(functions, aws):
    code = "def handler(event, context):\n    print('heard')"
    name = functions.create(code, permissions={action: BASIC[action] for action in list(BASIC)[1:]})
    functions.result(name)
    assert functions.messages(name) == []  # it may not create the log group
    functions.logs.create_log_group(logGroupName=f"/aws/lambda/{name}")
    functions.result(name)
    assert "heard\n" in functions.messages(name)

    role = functions.role({})
    policy = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
    aws("iam").attach_role_policy(RoleName=role.rpartition("/")[2], PolicyArn=policy)
    name = functions.create(code, permissions={})
    functions.client.update_function_configuration(FunctionName=name, Role=role)
    functions.result(name)
    assert "heard\n" in functions.messages(name)


# -- finding it again --------------------------------------------------------------------------------------------------

EVENTS = [
    '{"level": "ERROR", "message": "no table", "code": 404, "task": {"tables": [{"name": "airports"}]}, "fatal": true}',
    '{"level": "INFO", "message": "loaded", "code": 200, "task": {"tables": []}, "fatal": null}',
    "[ERROR] ValueError: boom",
    "REPORT RequestId: 8f3a-11 Duration: 3 ms",
]


@pytest.fixture(scope="module")
def group(aws):
    logs, group = aws("logs"), unique("/patterns")
    logs.create_log_group(logGroupName=group)
    logs.create_log_stream(logGroupName=group, logStreamName="stream")
    entries = [{"timestamp": 1_700_000_000_000 + number, "message": text} for number, text in enumerate(EVENTS)]
    logs.put_log_events(logGroupName=group, logStreamName="stream", logEvents=entries)
    return group


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("", [0, 1, 2, 3]),
        ('{ $.level = "ERROR" }', [0]),
        ("{ $.level = ERROR }", [0]),
        ('{ $.level != "ERROR" }', [1]),
        ('{ $.message = "no*" }', [0]),
        ("{ $.message = %^load% }", [1]),
        ("{ $.code >= 400 && $.code < 500 }", [0]),
        ('{ ($.code = 200) || ($.level = "ERROR") }', [0, 1]),
        ("{ $.fatal IS TRUE }", [0]),
        ("{ $.fatal IS NULL }", [1]),
        ("{ $.missing NOT EXISTS }", [0, 1]),
        ('{ $.task.tables[0].name = "airports" }', [0]),
        ('{ $.task.tables[*].name = "airports" }', [0]),
        ("ERROR", [0, 2]),
        ("error", []),
        ("ERROR ValueError", [2]),
        ('"[ERROR] ValueError"', [2]),
        ("ERROR -ValueError", [0]),
        ("-ERROR", [1, 3]),
        ('-"no table"', [1, 2, 3]),
        ("?ValueError ?loaded", [1, 2]),
        ('"8f3a-11"', [3]),
        ("%\\d ms%", [3]),
    ],
)
def test_filter_patterns(aws, group, pattern, found):
    events = aws("logs").filter_log_events(logGroupName=group, filterPattern=pattern)["events"]
    assert [EVENTS.index(event["message"]) for event in events] == found


@pytest.mark.parametrize(
    "pattern", ["{ $.level }", '{ $.level = "ERROR"', "{ level = 1 }", "8f3a-11", "[a, b]", '"open']
)
def test_filter_patterns_that_are_refused(aws, group, pattern):
    logs = aws("logs")
    with pytest.raises(logs.exceptions.InvalidParameterException):
        logs.filter_log_events(logGroupName=group, filterPattern=pattern)


def test_pages_times_and_streams(aws, group):
    logs = aws("logs")
    pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group, PaginationConfig={"PageSize": 3})
    pages = [[event["message"] for event in page["events"]] for page in pages]
    assert pages == [EVENTS[:3], EVENTS[3:]]
    found = logs.filter_log_events(logGroupName=group, startTime=1_700_000_000_001, endTime=1_700_000_000_002)
    assert [event["message"] for event in found["events"]] == EVENTS[1:3]
    assert logs.filter_log_events(logGroupName=group, logStreamNamePrefix="other")["events"] == []
    assert len(logs.filter_log_events(logGroupName=group, logStreamNames=["stream"])["events"]) == 4
    assert {"eventId", "ingestionTime", "logStreamName", "message", "timestamp"} == found["events"][0].keys()


def test_a_subscription_gets_what_matches(functions, aws):
    seen = functions.create("import base64, gzip, json\ndef handler(event, context):\n"
                            "    data = json.loads(gzip.decompress(base64.b64decode(event['awslogs']['data'])))\n"
                            "    print('seen', [e['message'] for e in data['logEvents']])")  # fmt: skip
    arn = f"arn:aws:lambda:us-east-1:111122223333:function:{seen}"
    logging = functions.create("def handler(event, context):\n    print('{\"level\": \"' + event + '\"}')")
    functions.result(logging, "INFO")
    functions.logs.put_subscription_filter(
        logGroupName=f"/aws/lambda/{logging}", filterName="errors", filterPattern='{ $.level = "ERROR" }',
        destinationArn=arn,
    )  # fmt: skip
    functions.result(logging, "INFO")
    functions.result(logging, "ERROR")
    functions.wait_for_message(seen, "seen")
    assert [m for m in functions.messages(seen) if m.startswith("seen")] == ['seen [\'{"level": "ERROR"}\\n\']\n']
