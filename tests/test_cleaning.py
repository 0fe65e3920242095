"""Everything that the workshop makes is found by its tags and deleted; what is not the workshop's stays."""

import pytest

from workshop import cleaning, deploy
from workshop.deploy import wait_until
from workshop.events import alarm, schedule
from workshop.migrations import find_instance, migration
from workshop.names import TAG, WORKSHOP, tags_of

HANDLER = "def lambda_handler(event, context):\n    return event\n"
PASS = {"StartAt": "Only", "States": {"Only": {"Type": "Pass", "End": True}}}


@pytest.fixture
def one_of_everything(aws, account, monkeypatch):
    """A learner's account with a resource of every kind that the labs use."""
    monkeypatch.setenv("WORKSHOP_LEARNER", "cleaner")
    function = deploy.function("cleaner-03-function", HANDLER)
    deploy.state_machine("cleaner-03-machine", PASS)
    deploy.table("cleaner-03-table", "id")
    running = migration("cleaner-03-migration", rows=300, rows_per_second=1)
    running.start()
    name, tags = "cleaner-03-thing", tags_of("cleaner-03-thing")
    events, sqs = aws("events"), aws("sqs")
    queue = sqs.create_queue(QueueName=name, tags=tags)["QueueUrl"]
    queue_arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events.create_event_bus(Name=name, Tags=deploy.tag_list(name))
    for bus in ("default", name):
        events.put_rule(Name=name, EventBusName=bus, EventPattern='{"source": ["x"]}', Tags=deploy.tag_list(name))
        events.put_targets(Rule=name, EventBusName=bus, Targets=[{"Id": "queue", "Arn": queue_arn}])
    schedule("cleaner-03-every", function, every="rate(1 day)", input={})
    alarm(queue_arn)
    aws("apigatewayv2").create_api(Name=name, ProtocolType="HTTP", Target=function, Tags=tags)
    aws("apigateway").create_rest_api(name=name, tags=tags)


def test_all_is_found_and_deleted(aws, one_of_everything, capsys):
    found = cleaning.find()
    kinds = {cleaning._place(arn) for arn in found}
    assert kinds == set(range(len(cleaning._KINDS)))  # one of everything that it can delete
    assert cleaning.clean() == 0
    printed = capsys.readouterr().out
    assert printed.count("deleted: ") == len(found)
    assert printed.endswith("Nothing left.\n")
    assert cleaning.find() == []
    assert [cleaning.delete(arn) for arn in found] == [None] * len(found)  # what is gone already is no problem
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
        ("dms", "describe_replication_tasks", "ReplicationTasks"),
        ("dms", "describe_endpoints", "Endpoints"),
        ("dms", "describe_replication_instances", "ReplicationInstances"),
    ):
        assert "cleaner" not in str(getattr(aws(service), call)()[field]), service
    assert cleaning.clean() == 0  # again, with nothing to find
    assert capsys.readouterr().out == "Nothing left.\n"


def test_others_stay(aws, account, monkeypatch):
    monkeypatch.setenv("WORKSHOP_LEARNER", "neighbour")
    deploy.table("neighbour-01-table", "id")
    deploy.role("neighbour-01-role", "lambda", {})
    monkeypatch.setenv("WORKSHOP_LEARNER", "cleaner")
    aws("iam").create_role(RoleName="cleaner-of-the-house", AssumeRolePolicyDocument="{}")  # no tags of ours
    shared = aws("dms").create_replication_instance(  # as `workshop account up` tags it
        ReplicationInstanceIdentifier="of-all",
        ReplicationInstanceClass="dms.t3.micro",
        Tags=[{"Key": TAG, "Value": WORKSHOP}],
    )["ReplicationInstance"]["ReplicationInstanceArn"]
    assert cleaning.find() == []
    cleaning.clean()
    # Asked for one by one: in the account of a whole test run they are not on the first page of a list.
    assert aws("dynamodb").describe_table(TableName="neighbour-01-table")
    assert find_instance("of-all")["ReplicationInstanceStatus"] != "deleting"
    wait_until(
        aws("dms"), "replication_instance_available", Filters=[{"Name": "replication-instance-arn", "Values": [shared]}]
    )
    aws("dms").delete_replication_instance(ReplicationInstanceArn=shared)
    for role in ("neighbour-01-role", "cleaner-of-the-house"):
        assert aws("iam").get_role(RoleName=role)
    aws("iam").delete_role(RoleName="cleaner-of-the-house")
    monkeypatch.setenv("WORKSHOP_LEARNER", "neighbour")
    assert cleaning.clean() == 0


def test_what_cannot_be_deleted_is_said(account, monkeypatch, capsys):
    monkeypatch.setattr(cleaning, "find", lambda: ["arn:aws:kms:us-east-1:111122223333:key/1"])
    assert cleaning.clean() == 1
    printed = capsys.readouterr().out
    assert "could not be deleted: arn:aws:kms:us-east-1:111122223333:key/1 (the workshop does not know how" in printed
    assert "Left: 1." in printed
