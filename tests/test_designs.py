"""The designs to take home: each deploys as it stands, and does what the lab's checks ask of what learners build.

A lab's check finds what it checks by name, `lab.name("start")`, and a design's stack names what is in it after itself.
So a stack that is named as the learner's things begin is the learner's answer to every exercise at once.
"""

import ast
import contextlib
import datetime
import json
import subprocess
import sys
from pathlib import Path

import boto3
import pytest
import stacks
from patience import PATIENCE, until
from state_machines import unique

from workshop import account as accounts
from workshop import deploy, environments, executions, labs, vendor
from workshop.checking import explorations
from workshop.events import fault
from workshop.migrations import migration

DESIGNS = Path(__file__).parent.parent / "designs"
ALL = sorted(template.parent for template in DESIGNS.glob("*/template.yaml"))
NEEDED = {  # the parameters that have no default
    "polling-loop": ["TaskPrefix"],
    "task-token-and-event": ["TaskPrefix"],
    "callback-url": ["VendorUrl", "VendorKey", "VendorSecret"],
    "durable-function": ["TaskPrefix"],
}

pytestmark = pytest.mark.takes(60)  # each worker that has a test of a design deploys that design, in seconds


class Learner(labs.Lab):
    """The lab of a learner whose things a stack has made. called: {thing of the lab: how the design calls it}."""

    def __init__(self, notebook, **called):
        super().__init__(notebook)
        self._called = called

    def name(self, thing):
        return f"designs-{self.notebook[:2]}-{self._called.get(thing, thing)}"


@pytest.fixture(scope="session")
def bucket(aws):
    name = unique("artifacts")
    aws("s3").create_bucket(Bucket=name)
    return name


@pytest.fixture(scope="session")
def deployed(aws, bucket):
    """deployed(design, lab): makes the stack of a design, named as the lab's things begin."""
    made = []

    def deploy(design, lab, **parameters):
        stack = lab.name("").removesuffix("-")
        made.append(stack)
        return stacks.deploy(aws, stack, stacks.package(aws, DESIGNS / design, bucket), **parameters)

    yield deploy
    for stack in made:
        stacks.delete(aws("cloudformation"), stack)


@pytest.fixture(autouse=True)
def progress(account, tmp_path, monkeypatch):
    """What a check notes is noted for this test alone."""
    monkeypatch.setenv("WORKSHOP_RECORDS", str(tmp_path))


@pytest.mark.parametrize("design", ALL, ids=lambda design: design.name)
def test_cfn_lint_finds_nothing(aws, bucket, design, tmp_path):
    """In the template by its schema of SAM, and in what SAM makes of it by those of CloudFormation."""
    made, client, name = tmp_path / "made.json", aws("cloudformation"), unique("lint")
    change = client.create_change_set(
        StackName=name,
        ChangeSetName="first",
        ChangeSetType="CREATE",
        TemplateBody=stacks.package(aws, design, bucket),
        Parameters=[{"ParameterKey": key, "ParameterValue": "lint"} for key in NEEDED[design.name]],
        Capabilities=stacks.CAPABILITIES,
    )
    template = client.get_template(ChangeSetName=change["Id"], TemplateStage="Processed")["TemplateBody"]
    made.write_text(template if isinstance(template, str) else json.dumps(template), encoding="utf-8")
    assert "AWS::Serverless::" not in made.read_text(encoding="utf-8")
    environments.set_up([environments.DESIGNS])
    for text in (design / "template.yaml", made):
        lint = [environments.DESIGNS.python.with_name("cfn-lint"), text]
        found = subprocess.run(lint, capture_output=True, text=True)
        assert found.returncode == 0, found.stdout + found.stderr
    client.delete_stack(StackName=name)


@pytest.mark.parametrize("design", ALL, ids=lambda design: design.name)
def test_every_role_carries_a_boundary_where_there_is_one(aws, bucket, design):
    """In what SAM makes of the template; without the parameter no role has one."""
    client, name = aws("cloudformation"), unique("bounded")
    change = client.create_change_set(
        StackName=name,
        ChangeSetName="first",
        ChangeSetType="CREATE",
        TemplateBody=stacks.package(aws, design, bucket),
        Parameters=[{"ParameterKey": key, "ParameterValue": "bounded"} for key in NEEDED[design.name]],
        Capabilities=stacks.CAPABILITIES,
    )
    made = client.get_template(ChangeSetName=change["Id"], TemplateStage="Processed")["TemplateBody"]
    made = made if isinstance(made, dict) else json.loads(made)
    roles = [each["Properties"] for each in made["Resources"].values() if each["Type"] == "AWS::IAM::Role"]
    given = {"Fn::If": ["IsBounded", {"Ref": "PermissionsBoundary"}, {"Ref": "AWS::NoValue"}]}
    assert roles and all(role["PermissionsBoundary"] == given for role in roles)
    client.delete_stack(StackName=name)


@pytest.mark.parametrize("design", ALL, ids=lambda design: design.name)
def test_a_design_needs_nothing_of_ours(design):
    files = sorted(design.glob("functions/*.py"))
    allowed = {file.stem for file in files} | set(sys.stdlib_module_names)
    allowed |= {"boto3", "botocore", "aws_durable_execution_sdk_python"}
    nodes = [node for file in files for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))]
    imported = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in imported} <= allowed
    assert len((design / "README.md").read_text(encoding="utf-8").splitlines()) <= 10


@pytest.fixture(scope="session")
def loop(deployed):
    lab = Learner("01-polling-loop", backoff="loop")
    deployed("polling-loop", lab, TaskPrefix=lab.name(""))
    return lab


@pytest.mark.parametrize("number", [3, 5])
def test_the_polling_loop(loop, number):
    loop.check(number, seed=1)


@pytest.fixture(scope="session")
def token_and_event(deployed):
    lab = Learner("02-task-tokens-and-events")
    deployed("task-token-and-event", lab, TaskPrefix=lab.name(""))
    return lab


@pytest.mark.parametrize("number", [1, 2, 3, 4, 5])
def test_the_task_token_and_the_event(token_and_event, number):
    token_and_event.check(number, seed=1)


def test_a_lost_event_is_found_by_the_schedule(aws, bucket, token_and_event):
    """For this the stack is changed: its schedule comes once, soon, and for all who wait."""
    lab = token_and_event
    small = migration(lab.name("unheard"), rows=50, rows_per_second=1000)
    fault("drop", small)
    job = {"ReplicationTaskArn": small.arn, "TimeoutSeconds": 600}
    machine = deploy.arn("states", f"stateMachine:{lab.name('migrate')}")
    begun = boto3.client("stepfunctions").start_execution(stateMachineArn=machine, input=json.dumps(job))
    until(lambda: small.describe()["Status"] == "stopped")
    soon = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=2)
    text = stacks.package(aws, DESIGNS / "task-token-and-event", bucket)
    text = text.replace("rate(5 minutes)", f"at({soon:%Y-%m-%dT%H:%M:%S})").replace(": 600", ": 0")
    assert "at(" in text
    stacks.deploy(aws, lab.name("").removesuffix("-"), text, TaskPrefix=lab.name(""))
    assert executions.wait(begun["executionArn"], timeout=PATIENCE)["status"] == "SUCCEEDED"


def test_what_fails_for_good_is_kept_and_rings(aws, token_and_event):
    """Lambda tries three times, and the event is in the queue then."""
    lab = token_and_event
    arn = deploy.arn("dms", f"task:{lab.name('nowhere')}")
    item = {"ReplicationTaskArn": arn, "TaskToken": "none", "CreatedAt": 0, "ExpiresAt": 2**40, "StartedBefore": ""}
    boto3.resource("dynamodb").Table(lab.name("waiting")).put_item(Item=item)
    event = {"resources": [arn], "time": "2026-01-01T00:00:00Z"}
    boto3.client("lambda").invoke(
        FunctionName=lab.name("resume"), Qualifier="live", InvocationType="Event", Payload=json.dumps(event)
    )
    queue = aws("sqs").get_queue_url(QueueName=lab.name("failed"))["QueueUrl"]
    kept = until(lambda: aws("sqs").receive_message(QueueUrl=queue, VisibilityTimeout=0).get("Messages"))
    assert json.loads(kept[0]["Body"]) == event
    alarms = boto3.client("cloudwatch").describe_alarms(AlarmNames=[lab.name("failed")])["MetricAlarms"]
    assert alarms[0]["StateValue"] == "ALARM"


@pytest.fixture(scope="session")
def durable(deployed):
    lab = Learner("04-durable-functions")
    deployed("durable-function", lab, TaskPrefix=lab.name(""))
    return lab


def test_the_durable_function_waits(durable, monkeypatch):
    """Its crashes are played with its code as it is deployed, whose handler has another name than the labs'."""
    code_of = explorations.code_of

    @contextlib.contextmanager
    def with_the_labs_name(lab, thing):
        with code_of(lab, thing) as (folder, environment):
            (Path(folder) / "lambda_function.py").write_text(f"from {thing} import lambda_handler\n")
            yield folder, environment

    monkeypatch.setattr(explorations, "code_of", with_the_labs_name)
    durable.check(2, seed=1)


def test_the_durable_function_is_told(durable):
    """The check tells by way of a function of the lab's, which is no part of the design; its `tell` is."""
    source = "from tell import tell\n\ndef lambda_handler(event, context):\n    tell(**event)\n"
    waits = [deploy.arn("lambda", f"function:{durable.name(thing)}:*") for thing in ("migrate", "check-waits")]
    may = {f"lambda:SendDurableExecutionCallback{how}": waits for how in ("Success", "Failure", "Heartbeat")}
    tell = str(DESIGNS / "durable-function" / "functions" / "tell.py")
    deploy.function(durable.name("say"), source, modules=[tell], permissions=may)
    durable.check(3, seed=1)


def test_the_published_version_of_the_durable_function(aws, durable):
    """By its alias, as the README says. The input of an execution that failed is kept, and rings."""
    failing = migration(durable.name("failing"), fails="no file")
    ends = {}
    for what, arn in {
        "good": migration(durable.name("good"), rows=50, rows_per_second=1000).arn,
        "failing": failing.arn,
    }.items():
        begun = boto3.client("lambda").invoke(
            FunctionName=f"{durable.name('migrate')}:live",
            InvocationType="Event",
            DurableExecutionName=unique(what),
            Payload=json.dumps({"ReplicationTaskArn": arn, "TimeoutSeconds": 600}),
        )
        ends[what] = executions.wait(begun["DurableExecutionArn"], timeout=PATIENCE)
    assert ends["good"]["Status"] == "SUCCEEDED"
    assert (ends["failing"]["Status"], ends["failing"]["Error"]["ErrorType"]) == ("FAILED", "dms_task.MigrationFailed")
    queue = aws("sqs").get_queue_url(QueueName=durable.name("failed"))["QueueUrl"]

    def kept():
        messages = aws("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=10, VisibilityTimeout=0)
        return [each for each in messages.get("Messages", []) if failing.arn in each["Body"]]

    assert until(kept)
    alarms = boto3.client("cloudwatch").describe_alarms(AlarmNames=[durable.name("failed")])["MetricAlarms"]
    assert alarms[0]["StateValue"] == "ALARM"


@pytest.fixture(scope="session")
def callback_url(deployed, sandbox):
    accounts.use_sandbox(sandbox)
    lab = Learner("03-callback-urls")
    verirow = vendor.deploy(lab.name("vendor"), patience=30)
    knows = {"VendorUrl": verirow.url, "VendorKey": verirow.key, "VendorSecret": verirow.secret}
    deployed("callback-url", lab, **knows)
    return lab


@pytest.mark.parametrize("number", [1, 2, 3, 4, 5])
def test_the_callback_url(callback_url, number):
    callback_url.check(number, seed=1)


def test_a_loop_that_fails_rings(aws, loop):
    machine = deploy.arn("states", f"stateMachine:{loop.name('loop')}")
    job = {"ReplicationTaskArn": deploy.arn("dms", "task:nowhere"), "PollSeconds": 1, "MaxPolls": 2}
    begun = boto3.client("stepfunctions").start_execution(stateMachineArn=machine, input=json.dumps(job))
    assert executions.wait(begun["executionArn"], timeout=PATIENCE)["status"] == "FAILED"
    alarms = boto3.client("cloudwatch").describe_alarms(AlarmNamePrefix=loop.name("loop"))["MetricAlarms"]
    states = {alarm["AlarmName"].removeprefix(loop.name("loop-")): alarm["StateValue"] for alarm in alarms}
    assert states == {"failed": "ALARM", "timed-out": "OK"}


def test_an_alarm_that_would_wake_somebody_is_refused_by_name(aws, bucket):
    """On AWS it would: the sandbox's alarms do nothing but change their state."""
    text, name = stacks.package(aws, DESIGNS / "polling-loop", bucket), unique("wakes")
    topic = "arn:aws:sns:us-east-1:111122223333:on-call"
    with pytest.raises(AssertionError, match="The sandbox's alarms do nothing but change their state"):
        stacks.deploy(aws, name, text, TaskPrefix="wakes-", AlarmTopic=topic)
    stacks.delete(aws("cloudformation"), name)
