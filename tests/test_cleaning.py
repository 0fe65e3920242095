"""Everything of a learner in the account is found, by its tags or by its name, and deleted; what is others' stays."""

import json

import botocore.client
import pytest
from botocore.exceptions import ClientError

from workshop import cleaning, deploy
from workshop.cleaning.kinds import KINDS, kind_of
from workshop.events import alarm, schedule
from workshop.migrations import find_instance, migration
from workshop.names import TAG, WORKSHOP, tags_of
from workshop.real_account import AccountError

HANDLER = "def lambda_handler(event, context):\n    return event\n"
WAITS = """
from aws_durable_execution_sdk_python import durable_execution
from aws_durable_execution_sdk_python.config import Duration

@durable_execution
def lambda_handler(event, context):
    context.wait(Duration.from_hours(event["hours"]))
"""
PASS = {"StartAt": "Only", "States": {"Only": {"Type": "Pass", "End": True}}}
SLEEP = {"StartAt": "Only", "States": {"Only": {"Type": "Wait", "Seconds": 3600, "End": True}}}
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "states.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
READS = ("List", "Get", "Describe", "Head")


@pytest.fixture
def littered(aws, account, monkeypatch):
    """A learner's account with a resource of every kind that the labs use, some of them at work, some without tags."""
    monkeypatch.setenv("WORKSHOP_LEARNER", "cleaner")
    function = deploy.function("cleaner-03-function", HANDLER)
    for name in ("cleaner-03-machine", "cleaner-03-asleep"):
        machine = deploy.state_machine(name, SLEEP)
    aws("stepfunctions").start_execution(stateMachineArn=machine)
    role = aws("iam").create_role(RoleName="cleaner-03-untagged", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]
    aws("stepfunctions").create_state_machine(
        name="cleaner-03-express", type="EXPRESS", definition=json.dumps(PASS), roleArn=role["Arn"]
    )
    waiting = deploy.function("cleaner-04-waits", WAITS, durable=100_000)
    for hours in (1, 2):
        aws("lambda").invoke(
            FunctionName=f"{waiting}:$LATEST", InvocationType="Event", Payload=json.dumps({"hours": hours})
        )
    deploy.table("cleaner-03-table", "id")
    running = migration("cleaner-03-migration", rows=300, rows_per_second=1)
    running.start()
    name, tags = "cleaner-03-thing", tags_of("cleaner-03-thing")
    events, sqs = aws("events"), aws("sqs")
    queue = sqs.create_queue(QueueName=name, tags=tags)["QueueUrl"]
    queue_arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sqs.create_queue(QueueName="cleaner-03-untagged")
    aws("sns").create_topic(Name="cleaner-03-untagged")
    events.create_event_bus(Name=name, Tags=deploy.tag_list(name))
    for bus in ("default", name):
        events.put_rule(Name=name, EventBusName=bus, EventPattern='{"source": ["x"]}', Tags=deploy.tag_list(name))
        events.put_targets(Rule=name, EventBusName=bus, Targets=[{"Id": "queue", "Arn": queue_arn}])
    events.put_rule(Name="of-any-name", EventBusName=name, EventPattern='{"source": ["x"]}')
    schedule("cleaner-03-every", function, every="rate(1 day)", input={})
    alarm(queue_arn)
    aws("apigatewayv2").create_api(Name=name, ProtocolType="HTTP", Target=function, Tags=tags)
    aws("apigatewayv2").create_api(Name="cleaner-03-untagged", ProtocolType="HTTP")
    aws("apigateway").create_rest_api(name=name, tags=tags)
    a_stack(aws)


def a_stack(aws):
    """A design that somebody deployed to try it, with a queue that has a name and a role that CloudFormation names."""
    role = {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": TRUST}}
    queue = {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "cleaner-01-design-failed"}}
    template = json.dumps({"Resources": {"Role": role, "Failed": queue}})
    cloudformation = aws("cloudformation")
    cloudformation.create_stack(
        StackName="cleaner-01-design", TemplateBody=template, Capabilities=["CAPABILITY_NAMED_IAM"]
    )
    cloudformation.get_waiter("stack_create_complete").wait(StackName="cleaner-01-design", WaiterConfig={"Delay": 1})


def test_all_is_found_and_deleted(aws, littered, capsys):
    found = cleaning.find()
    assert {kind_of(arn) for arn in found.arns} == set(KINDS)  # one of everything that it can delete
    assert not found.unseen
    order = [KINDS.index(kind_of(arn)) for arn in found.arns]
    assert order == sorted(order)
    assert cleaning.clean() == 0
    printed = capsys.readouterr().out
    assert printed.endswith("Nothing left.\n")
    assert ", left 0.\n" in printed
    assert cleaning.find().arns == ()
    assert [cleaning.delete(arn) for arn in found.arns] == [None] * len(found.arns)  # what is gone is no problem
    assert_nothing_is_left(aws)
    assert cleaning.clean() == 0  # again, with nothing to find
    assert capsys.readouterr().out == "Found 0, deleted 0, left 0.\nNothing left.\n"


def assert_nothing_is_left(aws):
    for service, call, field in (
        ("lambda", "list_functions", "Functions"),
        ("stepfunctions", "list_state_machines", "stateMachines"),
        ("logs", "describe_log_groups", "logGroups"),
        ("dynamodb", "list_tables", "TableNames"),
        ("s3", "list_buckets", "Buckets"),
        ("events", "list_rules", "Rules"),
        ("apigatewayv2", "get_apis", "Items"),
        ("iam", "list_roles", "Roles"),
        ("cloudwatch", "describe_alarms", "MetricAlarms"),
        ("sns", "list_topics", "Topics"),
        ("dms", "describe_replication_tasks", "ReplicationTasks"),
        ("dms", "describe_endpoints", "Endpoints"),
        ("dms", "describe_replication_instances", "ReplicationInstances"),
    ):
        assert "cleaner-" not in str(getattr(aws(service), call)()[field]), service


def test_it_may_be_interrupted_at_each_step(aws, littered, monkeypatch):
    """After each call that changes something: as if its answer had been lost, too."""
    real, steps = botocore.client.BaseClient._make_api_call, []

    def interrupted(client, operation, arguments):
        answer = real(client, operation, arguments)
        if not operation.startswith(READS):
            steps.append(operation)
            raise KeyboardInterrupt
        return answer

    monkeypatch.setattr(botocore.client.BaseClient, "_make_api_call", interrupted)
    while True:
        try:
            assert cleaning.clean() == 0
            break
        except KeyboardInterrupt:
            assert len(steps) < 300
    assert {"DeleteStack", "StopExecution", "StopDurableExecution", "StopReplicationTask", "DeleteRole"} <= set(steps)
    assert_nothing_is_left(aws)


def test_others_stay(aws, account, monkeypatch):
    """Also of a learner whose name begins as this one's do, and of those who share what `workshop account` made."""
    monkeypatch.setenv("WORKSHOP_LEARNER", "cleaner-03-x")
    deploy.table("cleaner-03-x-01-table", "id")
    deploy.role("cleaner-03-x-01-role", "lambda", {})
    monkeypatch.setenv("WORKSHOP_LEARNER", "cleaner")
    aws("iam").create_role(RoleName="cleaner-of-the-house", AssumeRolePolicyDocument="{}")  # no tags of ours
    shared = aws("dms").create_replication_instance(  # as `workshop account up` tags it
        ReplicationInstanceIdentifier="of-all",
        ReplicationInstanceClass="dms.t3.micro",
        Tags=[{"Key": TAG, "Value": WORKSHOP}],
    )["ReplicationInstance"]["ReplicationInstanceArn"]
    assert cleaning.find().arns == ()
    cleaning.clean()
    # Asked for one by one: in the account of a whole test run they are not on the first page of a list.
    assert aws("dynamodb").describe_table(TableName="cleaner-03-x-01-table")
    for role in ("cleaner-03-x-01-role", "cleaner-of-the-house"):
        assert aws("iam").get_role(RoleName=role)
    aws("iam").delete_role(RoleName="cleaner-of-the-house")
    assert find_instance("of-all")["ReplicationInstanceStatus"] != "deleting"
    there = [{"Name": "replication-instance-arn", "Values": [shared]}]
    deploy.wait_until(aws("dms"), "replication_instance_available", Filters=there)
    aws("dms").delete_replication_instance(ReplicationInstanceArn=shared)
    monkeypatch.setenv("WORKSHOP_LEARNER", "cleaner-03-x")
    assert cleaning.clean() == 0


# -- days on which not all goes well ----------------------------------------------------------------------------------


@pytest.fixture
def refuses(account, monkeypatch):
    """refuses(operation, code, times): the account answers so, so often; returns the list of these answers."""
    monkeypatch.setenv("WORKSHOP_LEARNER", "cleaner")
    monkeypatch.setattr(cleaning, "_pauses", lambda: (0.01, 0.01))
    real = botocore.client.BaseClient._make_api_call

    def refuse(operation, code, times):
        answers = []

        def call(client, name, arguments):
            if name == operation and len(answers) < times:
                answers.append(name)
                raise ClientError({"Error": {"Code": code, "Message": f"cannot {name}"}}, name)
            return real(client, name, arguments)

        monkeypatch.setattr(botocore.client.BaseClient, "_make_api_call", call)
        return answers

    return refuse


def test_what_is_busy_is_asked_again(refuses, capsys):
    deploy.table("cleaner-03-table", "id")
    refused = refuses("DeleteTable", "ResourceInUseException", 2)
    assert cleaning.clean() == 0
    assert len(refused) == 2
    assert "Found 1, deleted 1, left 0.\nNothing left." in capsys.readouterr().out


def test_what_cannot_be_deleted_is_said_and_the_rest_is_deleted(refuses, capsys):
    deploy.table("cleaner-03-table", "id")
    deploy.role("cleaner-03-role", "lambda", {})
    refused = refuses("DeleteTable", "AccessDeniedException", 99)
    assert cleaning.clean() == 1
    assert len(refused) == 1  # a no is a no
    printed = capsys.readouterr().out
    assert (
        "could not be deleted: table arn:aws:dynamodb:us-east-1:111122223333:table/cleaner-03-table (AccessD" in printed
    )
    assert "Found 2, deleted 1, left 1.\nRun this again in a minute." in printed
    refused.extend([None] * 99)
    assert cleaning.clean() == 0


def test_a_service_that_does_not_tell_is_named(refuses, capsys):
    refuses("ListTopics", "AuthorizationError", 99)
    assert cleaning.clean() == 1
    assert "not looked for: topic (AuthorizationError: An error" in capsys.readouterr().out


def test_credentials_that_expire_end_it_and_it_goes_on_later(refuses):
    deploy.table("cleaner-03-table", "id")
    deploy.role("cleaner-03-role", "lambda", {})
    expired = refuses("DeleteRole", "ExpiredTokenException", 1)
    with pytest.raises(AccountError, match=r"have expired\. Sign in again .* 1 were deleted; run it again"):
        cleaning.clean()
    assert expired
    assert cleaning.clean() == 0


def test_a_resource_of_no_known_kind_is_said(account, monkeypatch, capsys):
    key = "arn:aws:kms:us-east-1:111122223333:key/1"
    monkeypatch.setattr(cleaning, "find", lambda: cleaning.Found((key,), frozenset(), {}))
    assert cleaning.clean() == 1
    printed = capsys.readouterr().out
    assert f"could not be deleted: {key} (the workshop does not know how" in printed
    assert "Found 1, deleted 0, left 1." in printed


# -- the last cell of a lab -------------------------------------------------------------------------------------------


def test_a_lab_s_last_cell_says_what_is_left_and_deletes_only_when_a_person_asks(account, monkeypatch, capsys):
    monkeypatch.setenv("WORKSHOP_LEARNER", "cleaner")
    cleaning.leftovers()
    assert capsys.readouterr().out == "Yours in the sandbox: nothing.\n"
    deploy.table("cleaner-03-one", "id")
    deploy.table("cleaner-03-two", "id")
    deploy.role("cleaner-03-role", "lambda", {})
    cleaning.leftovers()
    first, how = capsys.readouterr().out.splitlines()
    assert first == "Yours in the sandbox: 2 tables, 1 role."
    assert "write delete=True in this cell, or run `workshop clean` in a terminal" in how
    cleaning.leftovers(delete=True)  # as nbval does
    assert "Nothing is deleted: no person runs this cell." in capsys.readouterr().out
    assert len(cleaning.find().arns) == 3
    monkeypatch.setattr(cleaning, "is_watched", lambda: True)
    cleaning.leftovers(delete=True)
    assert "deleted: table arn:aws:dynamodb" in capsys.readouterr().out
    assert cleaning.find().arns == ()
