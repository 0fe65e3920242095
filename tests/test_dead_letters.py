"""What fails in labs 02 and 04 is kept: real events of DMS, the solutions' own cells, and the queue `failed`."""

import itertools
import json
from contextlib import suppress

import boto3
import pytest
from answers import cells, durable_functions
from patience import PATIENCE

from workshop import account as accounts
from workshop import deploy, faults, labs, rule
from workshop.checking.executions import DurableRun, StateMachineRun
from workshop.checking.resources import durable_function
from workshop.checking.waiting import until
from workshop.events import permit
from workshop.migrations import migration

pytestmark = pytest.mark.takes(40)


class Lab(labs.Lab):
    def name(self, thing):
        return f"letters-{self.notebook[:2]}-{thing}"


class Letters:
    """The messages in a queue that keeps what failed."""

    def __init__(self, name):
        self.name, self._sqs = name, boto3.client("sqs")
        self._url = self._sqs.get_queue_url(QueueName=name)["QueueUrl"]

    def about(self, text):
        """The next message in whose body this text occurs, which is deleted: (body, attributes)."""
        found = []
        assert until(lambda: found.extend(self._look_for(text)) or found, PATIENCE, "a message")
        return found[0]

    def _look_for(self, text):
        every = {"QueueUrl": self._url, "MessageAttributeNames": ["All"], "WaitTimeSeconds": 1}
        for message in self._sqs.receive_message(**every).get("Messages", []):
            self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=message["ReceiptHandle"])
            if text in message["Body"]:
                attributes = message.get("MessageAttributes", {})
                yield json.loads(message["Body"]), {name: each["StringValue"] for name, each in attributes.items()}


def refused(function, job):
    """A block in which DMS says nothing about a migration to a function."""
    fault = {"fault": "refuse", "operation": "dms:DescribeReplicationTasks", "code": "AccessDeniedFault", "count": 9}
    return faults.during({**fault, "function": function, "resource": job.arn})


@pytest.fixture(scope="module")
def job_of():
    """Makes small migrations of a lab."""
    numbers = itertools.count()
    return lambda lab, **how: migration(lab.name(f"job-{next(numbers)}"), rows=20, rows_per_second=100, **how)


def shut_out(lab):
    """Take from the rule `ended` the permission to invoke `resume`."""
    boto3.client("lambda").remove_permission(FunctionName=lab.name("resume"), StatementId=f"from-{lab.name('ended')}")


def let_in(lab):
    permit(lab.name("resume"), "events.amazonaws.com", deploy.arn("events", f"rule/{lab.name('ended')}"))


# -- lab 02 ------------------------------------------------------------------------------------------------------------

CELLS_02 = (
    "job", "race-deploy", "task-1-deploy", "task-2-errors", "task-2-answer", "task-2-deploy", "task-3-listen-deploy",
    "task-3-resume", "task-3-answer", "task-4-deploy", "task-5-deploy", "task-5-rule", "task-5-failed", "task-5-alarm",
)  # fmt: skip


@pytest.fixture(scope="module")
def lab_02(sandbox, tmp_path_factory):
    accounts.use_sandbox(sandbox)
    lab, folder = Lab("02-task-tokens-and-events"), tmp_path_factory.mktemp("files-02")
    texts = cells.of_solution(lab.notebook)
    for name, text in cells.written(texts.values()).items():
        (folder / name).write_text(text)
    names = {"lab": lab, "deploy": cells.Deploy(folder), "boto3": boto3, "json": json, "suppress": suppress}
    names |= {"migration": migration, "rule": rule}
    for cell in CELLS_02:
        exec(texts[cell], names)
    yield lab
    boto3.client("events").disable_rule(Name=lab.name("ended"))


def begin(lab, job):
    machine = deploy.arn("states", f"stateMachine:{lab.name('migrate')}")
    return StateMachineRun(machine, {"ReplicationTaskArn": job.arn, "TimeoutSeconds": 600})


def rings(lab):
    cloudwatch = boto3.client("cloudwatch")
    return cloudwatch.describe_alarms(AlarmNames=[lab.name("failed")])["MetricAlarms"][0]["StateValue"] == "ALARM"


def test_lab_02_keeps_an_event_that_was_not_delivered(lab_02, job_of):
    job, letters = job_of(lab_02), Letters(lab_02.name("failed"))
    shut_out(lab_02)
    try:
        job.start()
        event, why = letters.about(job.arn)
    finally:
        let_in(lab_02)
    assert (event["detail"]["eventType"], event["resources"]) == ("REPLICATION_TASK_STOPPED", [job.arn])
    assert why["ERROR_CODE"] == "NO_PERMISSIONS"


def test_lab_02_keeps_an_event_at_which_resume_failed_and_it_can_be_redriven(lab_02, job_of):
    job, letters, resume = job_of(lab_02), Letters(lab_02.name("failed")), lab_02.name("resume")
    with refused(resume, job):
        run = begin(lab_02, job)
        assert until(lambda: rings(lab_02), PATIENCE, "an alarm")
    event, why = letters.about(job.arn)
    assert "AccessDeniedFault" in why["ErrorMessage"]
    assert not run.look()
    boto3.client("lambda").invoke(FunctionName=resume, Payload=json.dumps(event))
    assert until(run.look, PATIENCE, "an execution to end")
    assert run.status == "SUCCEEDED"


def test_lab_02_keeps_a_round_that_failed(lab_02):
    """An item that nobody can settle: `reconcile` raises, three times."""
    letters = Letters(lab_02.name("failed"))
    table = boto3.resource("dynamodb").Table(lab_02.name("waiting"))
    item = {"ReplicationTaskArn": "no such task", "TaskToken": "none", "CreatedAt": 0, "StartedBefore": ""}
    table.put_item(Item=item)
    older = {"OlderThanSeconds": 599}
    functions = boto3.client("lambda")
    functions.invoke(FunctionName=lab_02.name("reconcile"), InvocationType="Event", Payload=json.dumps(older))
    body, why = letters.about("599")
    table.delete_item(Key={"ReplicationTaskArn": item["ReplicationTaskArn"]})
    assert body == older
    assert "no such task" in why["ErrorMessage"]


# -- lab 04 ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lab_04(sandbox, tmp_path_factory):
    accounts.use_sandbox(sandbox)
    durable_functions.prepare()
    lab = Lab("04-durable-functions")
    durable_functions.give(lab, 3, {"name": "the solution"}, tmp_path_factory.mktemp("files-04"))
    yield lab
    durable_functions.take_back(lab)


def sleeper(lab, job):
    return DurableRun(durable_function(lab, "migrate"), {"ReplicationTaskArn": job.arn, "TimeoutSeconds": 600})


def test_lab_04_keeps_an_event_that_was_not_delivered(lab_04, job_of):
    job, letters = job_of(lab_04), Letters(lab_04.name("failed"))
    shut_out(lab_04)
    try:
        job.start()
        event, why = letters.about(job.arn)
    finally:
        let_in(lab_04)
    assert (event["detail"]["eventType"], event["resources"]) == ("REPLICATION_TASK_STOPPED", [job.arn])
    assert why["ERROR_CODE"] == "NO_PERMISSIONS"


def test_lab_04_keeps_an_event_at_which_resume_failed_and_it_can_be_redriven(lab_04, job_of):
    job, letters, resume = job_of(lab_04), Letters(lab_04.name("failed")), lab_04.name("resume")
    with refused(resume, job):
        run = sleeper(lab_04, job)
        event, why = letters.about(job.arn)
    assert "AccessDeniedFault" in why["ErrorMessage"]
    assert not run.look()
    boto3.client("lambda").invoke(FunctionName=resume, Payload=json.dumps(event))
    assert until(run.look, PATIENCE, "an execution to end")
    assert run.status == "SUCCEEDED"


def test_lab_04_keeps_the_input_of_an_execution_that_failed(lab_04, job_of):
    job, letters = job_of(lab_04, fails="bad row"), Letters(lab_04.name("failed"))
    run = sleeper(lab_04, job)
    assert until(run.look, PATIENCE, "an execution to end")
    assert run.status == "FAILED"
    body, _why = letters.about(job.arn)
    assert body == {"ReplicationTaskArn": job.arn, "TimeoutSeconds": 600}
