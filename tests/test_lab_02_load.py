"""The design that lab 02 teaches, under load: its solution, 200 migrations at once, events that get lost or come twice.

Of every ten migrations one loses its event, one has it twice, one has it before its start call returns, and one fails.
Every execution must end as its migration did, every migration be started once, and nobody be left waiting.
"""

import itertools
import json
import secrets
import time

import boto3
import pytest
from answers import task_tokens_and_events as lab_02

from workshop import sandbox as process
from workshop.events import ENDINGS
from workshop.migrations import migration
from workshop.names import name

pytestmark = [pytest.mark.long, pytest.mark.takes(60)]

MIGRATIONS = 200
FAULTS = {0: {"fault": "drop"}, 1: {"fault": "duplicate"}, 2: {"fault": "early", "seconds": 0.1}}  # by the last digit
FAILS = 3
KINDS = (None, "bad row")  # of `migration`: those that finish, those that fail
RATE = {"Key": "sandbox:rows-per-second", "Value": "100"}


class Lab:
    """As much of a lab as the solution needs to be deployed."""

    name = staticmethod(lambda thing: name("02", f"load-{thing}"))


def test_the_solution_under_load(account, tmp_path):
    for number in (4, 5):  # with these two go all parts
        lab_02.give(Lab, number, {}, tmp_path)
    started = Starts(Lab.name("starts"))
    tasks = replication_tasks()
    process.add_faults(
        *(
            {**FAULTS[number % 10], "task_arn": arn, "events": ENDINGS, "count": 1}
            for number, arn in enumerate(tasks)
            if number % 10 in FAULTS
        )
    )
    stepfunctions = boto3.client("stepfunctions")
    machine = f"arn:aws:states:us-east-1:111122223333:stateMachine:{Lab.name('migrate')}"
    executions = {
        arn: stepfunctions.start_execution(
            stateMachineArn=machine, input=json.dumps({"ReplicationTaskArn": arn, "TimeoutSeconds": 600})
        )["executionArn"]
        for arn in tasks
    }
    ends = ended(executions)
    for number, arn in enumerate(tasks):
        end = ends[arn]
        if number % 10 == FAILS:
            assert (end["status"], end.get("error")) == ("FAILED", "MigrationFailed"), end
            assert "is not a REAL8" in end["cause"]
        else:
            assert end["status"] == "SUCCEEDED", end
            assert json.loads(end["output"]) == {"ReplicationTaskArn": arn}
    assert started.of(tasks) == dict.fromkeys(tasks, 1)
    waiting = boto3.client("dynamodb")
    eventually(lambda: waiting.scan(TableName=Lab.name("waiting"), Select="COUNT")["Count"] == 0)


def replication_tasks():
    """The ARNs of tiny replication tasks. They share the endpoints of two migrations, a good one and one that fails."""
    dms = boto3.client("dms")
    options = {
        fails: options_of(dms, migration(Lab.name("bad" if fails else "good"), rows=5, fails=fails)) for fails in KINDS
    }
    arns = []
    for number in range(MIGRATIONS):
        identifier = Lab.name(f"task-{number}-{time.time_ns()}")
        wanted = options[KINDS[number % 10 == FAILS]]
        ends = f"{Lab.name(number)}-{secrets.token_hex(3)}"  # of its ARN: the rule hears of this lab's tasks only
        task = dms.create_replication_task(
            ReplicationTaskIdentifier=identifier, ResourceIdentifier=ends, Tags=[RATE], **wanted
        )
        arns.append(task["ReplicationTask"]["ReplicationTaskArn"])
    last = [{"Name": "replication-task-arn", "Values": arns[-1:]}]
    dms.get_waiter("replication_task_ready").wait(Filters=last, WaiterConfig={"Delay": 0.1, "MaxAttempts": 3000})
    return arns


def options_of(dms, model):
    """What to create a replication task with that does the same as this migration."""
    one = [{"Name": "replication-task-arn", "Values": [model.arn]}]
    task = dms.describe_replication_tasks(Filters=one)["ReplicationTasks"][0]
    shared = ("SourceEndpointArn", "TargetEndpointArn", "ReplicationInstanceArn", "MigrationType", "TableMappings")
    settings = json.loads(task["ReplicationTaskSettings"])
    settings = {key: settings[key] for key in ("FullLoadSettings", "ErrorBehavior")}
    return {**{key: task[key] for key in shared}, "ReplicationTaskSettings": json.dumps(settings)}


class Starts:
    """Counts how often replication tasks were started: a queue that hears of every start."""

    def __init__(self, name):
        self._sqs = boto3.client("sqs")
        self._url = self._sqs.create_queue(QueueName=name)["QueueUrl"]
        arn = self._sqs.get_queue_attributes(QueueUrl=self._url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        statement = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage"}
        policy = {"Version": "2012-10-17", "Statement": [{**statement, "Resource": arn}]}
        self._sqs.set_queue_attributes(QueueUrl=self._url, Attributes={"Policy": json.dumps(policy)})
        pattern = {"source": ["aws.dms"], "detail": {"eventType": ["REPLICATION_TASK_STARTED"]}}
        events = boto3.client("events")
        events.put_rule(Name=name, EventPattern=json.dumps(pattern))
        events.put_targets(Rule=name, Targets=[{"Id": "queue", "Arn": arn}])

    def of(self, arns):
        """{ARN: how often}, of these, once nothing more comes."""
        counts = dict.fromkeys(arns, 0)
        while messages := self._sqs.receive_message(QueueUrl=self._url, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                arn = json.loads(message["Body"])["resources"][0]
                if arn in counts:
                    counts[arn] += 1
                self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=message["ReceiptHandle"])
        return counts


def ended(executions):
    """How these executions ended, {ARN of the task: what DescribeExecution says}; reconciles now and then."""
    stepfunctions, functions = boto3.client("stepfunctions"), boto3.client("lambda")
    ends = {}
    for look in itertools.count():
        for arn in executions.keys() - ends.keys():
            execution = stepfunctions.describe_execution(executionArn=executions[arn])
            if execution["status"] != "RUNNING":
                ends[arn] = execution
        if len(ends) == len(executions):
            return ends
        assert look < 120, f"{len(executions) - len(ends)} executions are still waiting"
        if look > 2:
            # Only those whose turn to start has come are in the table, so those that wait for it are not disturbed.
            functions.invoke(FunctionName=Lab.name("reconcile"), Payload=json.dumps({"OlderThanSeconds": 5}))
        time.sleep(0.5)


def eventually(condition):
    for _ in range(600):
        if condition():
            return
        time.sleep(0.1)
    raise AssertionError("It did not come about.")
