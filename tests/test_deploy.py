"""Functions, state machines, tables and roles: made, replaced in place, with no more permissions than named."""

import importlib.metadata
import io
import json
import urllib.request
import zipfile

import pytest
from botocore.exceptions import ClientError
from flows import LIST_TABLES, flow, run

from workshop import account as accounts
from workshop import clients, deploy
from workshop.names import name

pytestmark = pytest.mark.usefixtures("account")

ECHO = "def lambda_handler(event, context):\n    return event\n"
PUT = """
import os

import boto3


def lambda_handler(event, context):
    boto3.client("dynamodb").put_item(TableName=os.environ["TABLE"], Item={"id": {"S": event["id"]}})
"""
PASS = {"StartAt": "Only", "States": {"Only": {"Type": "Pass", "End": True}}}


def invoke(aws, function, event):
    """(what it returned, the kind of error or None)"""
    answer = aws("lambda").invoke(FunctionName=function, Payload=json.dumps(event))
    return json.load(answer["Payload"]), answer.get("FunctionError")


def test_function_from_a_file(aws, tmp_path):
    source = tmp_path / "echo.py"
    source.write_text(ECHO)
    function = deploy.function(name("01", "from-file"), str(source))
    assert function.endswith(":function:you-01-from-file")
    assert invoke(aws, function, {"a": 1}) == ({"a": 1}, None)


def test_function_is_replaced_in_place(aws):
    first = deploy.function(name("01", "replaced"), ECHO, timeout=5)
    second = deploy.function(name("01", "replaced"), ECHO.replace("event\n", "'new'\n"), environment={"A": "b"})
    assert second == first
    assert invoke(aws, second, {}) == ("new", None)
    settings = aws("lambda").get_function_configuration(FunctionName=second)
    assert (settings["Runtime"], settings["Timeout"], settings["Environment"]["Variables"]) == (
        "python3.13",
        10,
        {"A": "b"},
    )
    assert settings["State"] == "Active"
    assert settings["LastUpdateStatus"] == "Successful"


def test_unchanged_function_is_left_alone(aws):
    counting = "calls = []\n\ndef lambda_handler(event, context):\n    calls.append(1)\n    return len(calls)\n"
    function = deploy.function(name("01", "unchanged"), counting)
    assert invoke(aws, function, {}) == (1, None)
    assert deploy.function(name("01", "unchanged"), counting) == function
    assert invoke(aws, function, {}) == (2, None)  # its process lives on


def test_function_may_do_what_is_named_and_nothing_else(aws):
    table = deploy.table(name("01", "allowed"), "id")
    environment = {"TABLE": table}
    function = deploy.function(name("01", "putter"), PUT, environment=environment)
    answer, error = invoke(aws, function, {"id": "1"})
    assert error
    assert "AccessDenied" in answer["errorMessage"]
    allowed = {"dynamodb:PutItem": deploy.arn("dynamodb", f"table/{table}")}
    deploy.function(name("01", "putter"), PUT, environment=environment, permissions=allowed)
    assert invoke(aws, function, {"id": "1"}) == (None, None)
    policy = aws("iam").get_role_policy(RoleName="you-01-putter-lambda", PolicyName="permissions")["PolicyDocument"]
    actions = {statement["Action"]: statement["Resource"] for statement in policy["Statement"]}
    assert set(actions) == {"dynamodb:PutItem", "logs:CreateLogStream", "logs:PutLogEvents"}
    assert "*" not in actions.values()
    deploy.function(name("01", "putter"), PUT, environment=environment)
    assert invoke(aws, function, {"id": "1"})[1]  # taken away again


def test_function_and_its_log_group_are_tagged(aws):
    function = deploy.function(name("02", "tagged"), ECHO)
    tags = {"workshop": "stop-polling", "workshop:learner": "you", "workshop:lab": "02"}
    assert aws("lambda").list_tags(Resource=function)["Tags"] == tags
    (group,) = aws("logs").describe_log_groups(logGroupNamePrefix="/aws/lambda/you-02-tagged")["logGroups"]
    assert group["retentionInDays"] == 7
    assert aws("logs").list_tags_for_resource(resourceArn=group["arn"].removesuffix(":*"))["tags"] == tags


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("nowhere.py", "There is no file nowhere.py in "),
        ("def lambda_handler(event, context:\n    pass\n", "The source, line 1: '(' was never closed: def lambda_"),
        ("x = 1\ny = = 2\n", "The source, line 2: invalid syntax: y = = 2"),
        ("def handler(event, context):\n    pass\n", "The source defines no lambda_handler(event, context)"),
    ],
)
def test_bad_sources(source, sentence):
    with pytest.raises(deploy.DeployError) as error:
        deploy.function(name("01", "bad"), source)
    (line,) = error.value._render_traceback_()
    assert sentence in line


def test_syntax_error_in_a_file_names_the_file(tmp_path):
    (tmp_path / "start.py").write_text("def lambda_handler(event, context):\nreturn 1\n")
    with pytest.raises(deploy.DeployError, match=r"start\.py, line 2: expected an indented block"):
        deploy.function(name("01", "bad"), tmp_path / "start.py")


@pytest.mark.parametrize("source", ["from json import loads as lambda_handler\n", "lambda_handler = print\n\n"])
def test_a_handler_may_come_in_any_way(source):
    assert deploy._checked_source(source) == source


def test_same_source_same_bytes():
    one, other = {"a.py": ECHO, "b.py": ""}, {"b.py": "", "a.py": ECHO}
    assert deploy._zip(one) == deploy._zip(other) != deploy._zip({**one, "a.py": ECHO + "#"})


def test_function_with_a_module_of_its_own(aws, tmp_path):
    module = tmp_path / "answers.py"
    module.write_text("ANSWER = 42\n")
    source = "from answers import ANSWER\n\ndef lambda_handler(event, context):\n    return ANSWER\n"
    function = deploy.function(name("01", "with-module"), source, modules=[module])
    assert invoke(aws, function, {}) == (42, None)
    module.write_text("ANSWER = 43\n")
    assert deploy.function(name("01", "with-module"), source, modules=[module]) == function
    assert invoke(aws, function, {}) == (43, None)
    with pytest.raises(deploy.DeployError, match=r"There is no file nowhere\.py"):
        deploy.function(name("01", "with-module"), source, modules=["nowhere.py"])


def test_state_machine_is_replaced_in_place(aws):
    first = deploy.state_machine(name("01", "machine"), PASS)
    assert deploy.state_machine(name("01", "machine"), json.dumps({**PASS, "Comment": "Größe"})) == first
    stored = json.loads(aws("stepfunctions").describe_state_machine(stateMachineArn=first)["definition"])
    assert stored["Comment"] == "Größe"
    assert {"key": "workshop:lab", "value": "01"} in aws("stepfunctions").list_tags_for_resource(resourceArn=first)[
        "tags"
    ]


def test_state_machine_may_do_what_is_named_and_nothing_else():
    definition = flow(List=LIST_TABLES)
    for permissions, status in ((None, "FAILED"), ({"dynamodb:ListTables": "*"}, "SUCCEEDED"), (None, "FAILED")):
        assert run("lister", definition, permissions=permissions).status == status


@pytest.mark.parametrize(
    "blank",
    [
        {"definition": ...},
        {"definition": {"StartAt": "Only", "States": {"Only": ...}}},
        {"definition": {"StartAt": "Only", "States": {"Only": {"Type": "Choice", "Choices": [{...: 1}]}}}},
        {"definition": PASS, "permissions": {"dms:StartReplicationTask": ...}},
    ],
)
def test_a_blank_is_not_deployed_and_nothing_old_is_left(aws, capsys, blank):
    machine = deploy.state_machine(name("01", "blank"), PASS)
    assert deploy.state_machine(name("01", "blank"), **blank) is None
    assert capsys.readouterr().out == "The answer is still blank, so nothing is deployed.\n"
    assert machine not in str(aws("stepfunctions").list_state_machines()["stateMachines"])
    assert deploy.state_machine(name("01", "blank"), **blank) is None  # and again


def test_executions_are_stopped_before_their_state_machine_is_deleted(aws):
    """On AWS its name is taken for as long as one of them runs: API_DeleteStateMachine.html."""
    asleep = {"StartAt": "Only", "States": {"Only": {"Type": "Wait", "Seconds": 3600, "End": True}}}
    machine = deploy.state_machine(name("01", "asleep"), asleep)
    for _ in range(2):
        aws("stepfunctions").start_execution(stateMachineArn=machine)
    called, events = [], clients.of("stepfunctions").meta.events
    events.register("before-call.stepfunctions", lambda model, **_: called.append(model.name), unique_id="noted")
    deploy.delete_state_machine(machine)
    events.unregister("before-call.stepfunctions", unique_id="noted")
    assert called == ["ListExecutions", "StopExecution", "StopExecution", "DeleteStateMachine"]


LEGAL = """
from typing import Protocol, overload

class Refused(Exception): ...

class Store(Protocol):
    def find(self, key: str) -> tuple[str, ...]: ...

@overload
def shown(value: int) -> str: ...

def shown(value):
    return str(value)

EVERYTHING = ...  # a slice

def nothing(*_): ...

def later(n): return ...

def lambda_handler(event, context):
    ...  # nothing to prepare
    try:
        raise Refused
    except Refused: ...
    nothing(later(1))
    return shown(event["n"])
"""


def test_any_other_ellipsis_is_python(aws):
    deploy.function(name("01", "legal"), LEGAL)
    answer = aws("lambda").invoke(FunctionName=name("01", "legal"), Payload=b'{"n": 7}')
    assert answer["Payload"].read() == b'"7"'


@pytest.mark.parametrize(
    "blank",
    [
        {"permissions": {"states:SendTaskSuccess": ...}},
        {"environment": {"TABLE": ...}},
        {"source": "def lambda_handler(event, context):\n    ...\n"},
        {"source": "TABLE = ...  # your answer\n\ndef lambda_handler(event, context):\n    return TABLE\n"},
        {"source": "def lambda_handler(event, context):\n    def ask():\n        return ...\n    return ask()\n"},
        {"source": "@wrapped\ndef lambda_handler(event, context):\n    item = event['Item']\n    ...\n"},
        {"source": "def lambda_handler(event, context):\n    return f(..., 1)  # your answer: one of two\n"},
    ],
)
def test_a_function_with_a_blank_is_not_deployed(aws, capsys, blank):
    deploy.function(name("01", "blank"), ECHO)
    assert deploy.function(name("01", "blank"), **{"source": ECHO, **blank}) is None
    assert capsys.readouterr().out == "The answer is still blank, so nothing is deployed.\n"
    assert "you-01-blank" not in str(aws("lambda").list_functions()["Functions"])


@pytest.mark.parametrize(
    ("definition", "sentence"),
    [
        ("{'StartAt': 'Only'}", "The definition is not JSON: line 1: Expecting property name"),
        ('{"StartAt": "Only",\n "States": }', "The definition is not JSON: line 2"),
        (["StartAt"], "A definition is a JSON object with StartAt and States, and this is ['StartAt']"),
        ({"StartAt": {"Only"}}, "The definition cannot be written as JSON: Object of type set"),
        ({"StartAt": "Other", "States": PASS["States"]}, "Invalid State Machine Definition"),
    ],
)
def test_bad_definitions(definition, sentence):
    with pytest.raises(deploy.DeployError) as error:
        deploy.state_machine(name("01", "bad"), definition)
    (line,) = error.value._render_traceback_()
    assert line.startswith(sentence)


def test_table_is_empty_each_time(aws):
    table = deploy.table(name("01", "table"), "id")
    aws("dynamodb").put_item(TableName=table, Item={"id": {"S": "1"}})
    assert deploy.table(name("01", "table"), "id", ttl="expires") == table
    assert aws("dynamodb").scan(TableName=table)["Count"] == 0
    described = aws("dynamodb").describe_table(TableName=table)["Table"]
    assert described["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    ttl = aws("dynamodb").describe_time_to_live(TableName=table)["TimeToLiveDescription"]
    assert ttl == {"TimeToLiveStatus": "ENABLED", "AttributeName": "expires"}
    deploy.delete_table(table)
    deploy.delete_table(table)


def test_patience_with_aws():
    """A role that was just made is refused at first; other errors are not waited for."""
    answers = [
        "The role defined for the function cannot be assumed by Lambda.",
        "the same: cannot be assumed by Lambda",
    ]

    def create(answer):
        if answers:
            raise ClientError({"Error": {"Code": "InvalidParameterValueException", "Message": answers.pop()}}, "Create")
        return answer

    assert deploy.patiently(create, answer="made") == "made"
    answers.append("Unzipped size must be smaller")
    with pytest.raises(ClientError, match="Unzipped"):
        deploy.patiently(create, answer="made")
    assert not answers


DURABLE = """
from aws_durable_execution_sdk_python import durable_execution


@durable_execution
def lambda_handler(event, context):
    return context.step(lambda _: event["a"] + 1)
"""


def test_durable_function(aws):
    """It may do what it needs as such; made anew where a function of that name is none, or must be none any more."""
    deploy.function(name("01", "durable"), ECHO)
    function = deploy.function(name("01", "durable"), DURABLE, durable=60)
    assert invoke(aws, f"{function}:$LATEST", {"a": 1}) == (2, None)
    assert deploy.function(name("01", "durable"), DURABLE, durable=90) == function
    assert aws("lambda").get_function_configuration(FunctionName=function)["DurableConfig"]["ExecutionTimeout"] == 90
    assert invoke(aws, deploy.function(name("01", "durable"), ECHO), {"a": 1}) == ({"a": 1}, None)


def test_on_a_real_account_a_durable_function_brings_its_sdk(aws, monkeypatch):
    """In the version of this environment; other functions bring none, and in the sandbox it is there already."""

    def packaged(function):
        location = aws("lambda").get_function(FunctionName=function)["Code"]["Location"]
        with urllib.request.urlopen(location) as answer, zipfile.ZipFile(io.BytesIO(answer.read())) as package:
            return {each: package.read(each).decode() for each in package.namelist()}

    assert set(packaged(deploy.function(name("01", "brings"), DURABLE, durable=60))) == {"lambda_function.py"}
    monkeypatch.setattr(accounts, "_real", accounts.Account("aws", "111122223333", "us-east-1", "http://127.0.0.1:1"))
    assert set(packaged(deploy.function(name("01", "brings-none"), ECHO))) == {"lambda_function.py"}
    function = deploy.function(name("01", "brings"), DURABLE, durable=60)
    files = packaged(function)
    version = importlib.metadata.version("aws-durable-execution-sdk-python")
    assert f'"{version}"' in files["aws_durable_execution_sdk_python/__about__.py"]
    assert "aws_durable_execution_sdk_python/LICENSE" in files
    assert invoke(aws, f"{function}:$LATEST", {"a": 1}) == (2, None)
    same = aws("lambda").get_function_configuration(FunctionName=function)["LastModified"]
    assert deploy.function(name("01", "brings"), DURABLE, durable=60) == function
    assert aws("lambda").get_function_configuration(FunctionName=function)["LastModified"] == same


def test_a_function_with_a_queue_for_what_it_failed_at(aws):
    """Its role may send to that queue; without the argument both are gone again."""
    function, queue = name("02", "has-a-queue"), deploy.queue(name("02", "failed-at"))
    assert deploy.queue(name("02", "failed-at")) == queue

    def sends_to():
        config = aws("lambda").get_function_configuration(FunctionName=function)
        policy = aws("iam").get_role_policy(RoleName=f"{function}-lambda", PolicyName="permissions")["PolicyDocument"]
        may = {each["Action"]: each["Resource"] for each in policy["Statement"]}
        return config.get("DeadLetterConfig", {}).get("TargetArn") or None, may.get("sqs:SendMessage")

    for queued in (None, queue, None):
        deploy.function(function, ECHO, dead_letters=queued)
        assert sends_to() == (queued, queued)
