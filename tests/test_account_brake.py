"""The brake of a real account, as the template has it: played in the sandbox, but for the minutes that it waits.

The sandbox has its schedule, its state machine and their roles, and DMS. It has no networks, so the instance is made by
hand here, and the other resources of the template are left out.
"""

import datetime
import json

import pytest
import stacks
from patience import PATIENCE, until
from state_machines import unique

from workshop import account as accounts
from workshop import faults, migrations
from workshop.setting_up import template

SLOW = {'"Seconds": 60': '"Seconds": 1', '"IntervalSeconds": 15': '"IntervalSeconds": 1'}


@pytest.fixture
def instance(aws, account, monkeypatch):
    """The name of a replication instance that is there for all learners of an account, which this process is led to."""
    name = unique("brake")
    monkeypatch.setattr(migrations, "WORKSHOP", name)
    monkeypatch.setattr(accounts, "_real", accounts.Account("aws", "111122223333", "us-east-1", "http://127.0.0.1:1"))
    aws("dms").create_replication_instance(
        ReplicationInstanceIdentifier=name, ResourceIdentifier=name, ReplicationInstanceClass="dms.t3.micro"
    )
    until(lambda: migrations.find_instance(name)["ReplicationInstanceStatus"] == "available", within=PATIENCE)
    return name


@pytest.fixture
def brake(aws):
    """brake(name, seconds): the part of the template that is the brake, deployed, to come in so many seconds."""
    made = []

    def deploy(name, seconds):
        whole = json.loads(template.text(["ann"]))
        parts = {key: part for key, part in whole["Resources"].items() if key.startswith("Brake")}
        assert len(parts) == 4
        text = json.dumps({"Parameters": {"BrakeAt": whole["Parameters"]["BrakeAt"]}, "Resources": parts})
        for long, short in SLOW.items():
            assert long in text
            text = text.replace(long, short)
        at = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=seconds)
        made.append(name)
        aws("cloudformation").create_stack(
            StackName=name,
            TemplateBody=text,
            Parameters=[{"ParameterKey": "BrakeAt", "ParameterValue": f"{at:%Y-%m-%dT%H:%M:%S}"}],
            Capabilities=["CAPABILITY_NAMED_IAM"],
        )
        stacks.wait(aws("cloudformation"), name)

    yield deploy
    for name in made:
        stacks.delete(aws("cloudformation"), name)


def executions(aws, name):
    """The executions of the brake, as ListExecutions tells them."""
    machine = next(
        each["stateMachineArn"]
        for page in aws("stepfunctions").get_paginator("list_state_machines").paginate()
        for each in page["stateMachines"]
        if each["name"] == f"{name}-brake"
    )
    return aws("stepfunctions").list_executions(stateMachineArn=machine)["executions"]


def ends(aws, name):
    """The status with which the brake ends."""

    def look():
        found = executions(aws, name)
        return found and found[0]["status"] != "RUNNING" and found[0]["status"]

    return until(look, within=PATIENCE)


def test_it_deletes_all_tasks_and_then_the_instance(aws, instance, brake):
    running = migrations.migration("brake-01-running", rows=300, rows_per_second=1)
    running.start()
    migrations.migration("brake-01-ready", rows=10)
    until(lambda: running.describe()["Status"] == "running", within=PATIENCE)
    assert migrations.learners_on(migrations.find_instance(instance)) == {"brake": 2}
    brake(instance, 2)
    assert ends(aws, instance) == "SUCCEEDED"
    until(lambda: migrations.find_instance(instance) is None, within=PATIENCE)
    with pytest.raises(accounts.AccountError, match=r"is not there .*`workshop account up`"):
        migrations.migration("brake-01-later", rows=10)


def test_it_ends_where_there_is_no_instance_any_more(aws, instance, brake):
    arn = migrations.find_instance(instance)["ReplicationInstanceArn"]
    aws("dms").delete_replication_instance(ReplicationInstanceArn=arn)
    until(lambda: migrations.find_instance(instance) is None, within=PATIENCE)
    brake(instance, 1)
    assert ends(aws, instance) == "SUCCEEDED"


def test_it_waits_for_a_task_that_comes_while_it_deletes(aws, instance, brake):
    """It looks for tasks again as long as DMS keeps the instance because of one."""
    migrations.migration("brake-01-first", rows=10)
    late = migrations.migration("brake-01-late", rows=10)
    deletes = {"operation": "dms:DeleteReplicationInstance", "state_machine": f"{instance}-brake"}
    with faults.during({"fault": "hold", "seconds": 50, **deletes}) as gate:
        brake(instance, 1)
        assert gate.wait_until_held(seconds=PATIENCE)
        migrations._create_task(aws("dms"), "brake-01-latest", 300, **late.task)
    assert ends(aws, instance) == "SUCCEEDED"
    until(lambda: migrations.find_instance(instance) is None, within=PATIENCE)


# -- the tables that DMS keeps of its own ------------------------------------------------------------------------------


def test_what_dms_makes_with_capacity_is_paid_for_by_request_soon(aws):
    """Sandbox and tests have no schedule that calls AWS's API: the calls are made here, as the template has them."""
    whole = json.loads(template.text(["ann"]))["Resources"]
    schedules = [each["Properties"] for name, each in whole.items() if each["Type"] == "AWS::Scheduler::Schedule"]
    targets = [each["Target"] for each in schedules if "rate" in each["ScheduleExpression"]]
    assert {each["Arn"] for each in targets} == {"arn:aws:scheduler:::aws-sdk:dynamodb:updateTable"}
    asked = [json.loads(each["Input"]) for each in targets]
    assert sorted(each["TableName"] for each in asked) == sorted(migrations.OF_DMS)
    [statement] = whole["OnDemandRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]
    assert statement["Action"] == "dynamodb:UpdateTable" and "table/awsdms_*" in str(statement["Resource"])
    dynamodb = aws("dynamodb")
    for call in asked:
        name = call["TableName"]
        dynamodb.create_table(
            TableName=name,
            KeySchema=[{"AttributeName": "any", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "any", "AttributeType": "S"}],
            ProvisionedThroughput={"ReadCapacityUnits": 200, "WriteCapacityUnits": 200},
        )
        dynamodb.update_table(**call)
        table = dynamodb.describe_table(TableName=name)["Table"]
        assert table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
        dynamodb.delete_table(TableName=name)
