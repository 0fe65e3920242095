"""Which schedules are refused. That they fire, and with which permission: test_events_delivery.py.

Recordings: localstack/localstack, tests/aws/services/scheduler/test_scheduler.snapshot.json and
tests/aws/services/events/test_events_schedule.py.
"""

import pytest
from botocore.exceptions import ClientError
from state_machines import policy, unique

ARN = "arn:aws:lambda:us-east-1:111122223333:function:any"


@pytest.fixture(scope="module")
def scheduler_role(aws):
    return role_for(aws, "scheduler.amazonaws.com")


def role_for(aws, service):
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": service}}
    return aws("iam").create_role(RoleName=unique("schedules"), AssumeRolePolicyDocument=policy(trust))["Role"]["Arn"]


@pytest.fixture
def create(aws, scheduler_role):
    """Create a schedule that never fires, perhaps with other parameters; returns what a refusal says, else None."""

    def create(expression="rate(1 hour)", target=None, **options):
        try:
            aws("scheduler").create_schedule(**{
                "Name": unique("schedule"), "ScheduleExpression": expression, "State": "DISABLED",
                "FlexibleTimeWindow": {"Mode": "OFF"}, **options,
                "Target": {"Arn": ARN, "RoleArn": scheduler_role, **(target or {})},
            })  # fmt: skip
        except ClientError as refused:
            assert refused.response["Error"]["Code"] == "ValidationException"
            return refused.response["Error"]["Message"]
        return None

    return create


INVALID = [
    "cron(0 1 * * * *)", "cron(7 20 * * NOT *)", "cron(INVALID)", "cron(0 dummy ? * MON-FRI *)",
    "cron(71 8 1 * ? *)", "cron()", "rate(10 seconds)", "rate(10 years)", "rate()", "rate(10)", "rate(10 minutess)",
    "rate(foo minutes)", "rate(-10 minutes)", "rate( 10 minutes )", " rate(10 minutes)",
]  # fmt: skip


@pytest.mark.parametrize(
    "expression", [*INVALID, "at(2021-12-31T23:59:59Z)", "at(2021-12-31)", "at(2021-02-31T00:00:00)"]
)
def test_expressions_that_are_refused(create, expression):
    """Recorded: tests_create_schedule_with_invalid_schedule_expression (the last one is not)."""
    assert create(expression) == f"Invalid Schedule Expression {expression}."


@pytest.mark.parametrize(
    "expression", ["rate(1 minute)", "rate(5 minutes)", "rate(2 days)", "at(2099-12-31T23:59:59)", "cron(0 10 * * ? *)"]
)
def test_expressions_that_are_taken(create, expression):
    assert create(expression) is None


def test_an_update_is_checked_too(aws, scheduler_role):
    scheduler = aws("scheduler")
    schedule = {"Name": unique("schedule"), "FlexibleTimeWindow": {"Mode": "OFF"}, "State": "DISABLED",
                "Target": {"Arn": ARN, "RoleArn": scheduler_role}}  # fmt: skip
    scheduler.create_schedule(**schedule, ScheduleExpression="rate(1 hour)")
    with pytest.raises(scheduler.exceptions.ValidationException):
        scheduler.update_schedule(**schedule, ScheduleExpression="rate(1 our)")
    assert scheduler.get_schedule(Name=schedule["Name"])["ScheduleExpression"] == "rate(1 hour)"


@pytest.mark.parametrize(
    "options, said",
    [
        ({"ScheduleExpressionTimezone": "Europe/Berlin"}, "The sandbox's schedules are in UTC"),
        ({"target": {"Arn": "arn:aws:scheduler:::aws-sdk:sqs:sendMessage"}}, "The sandbox has no targets such as"),
        ({"target": {"Arn": "arn:aws:ecs:us-east-1:111122223333:cluster/c"}}, "The sandbox has no targets such as"),
        ({"State": "enabled"}, "State must be one of"),
        ({"FlexibleTimeWindow": {"Mode": "FLEXIBLE"}}, "MaximumWindowInMinutes"),
    ],
)
def test_what_else_is_refused(create, options, said):
    assert create(**options).startswith(said)


def test_a_role_that_the_scheduler_may_not_assume(create, aws):
    """setting-up.html of the Scheduler's guide: the role's trust policy names scheduler.amazonaws.com."""
    said = "The execution role you provide must allow AWS EventBridge Scheduler to assume the role."
    assert create(target={"RoleArn": role_for(aws, "events.amazonaws.com")}) == said


@pytest.mark.parametrize(
    "expression",
    [*INVALID, "rate(1 minutes)", "rate(1 hours)", "rate(1 days)", "rate(10 minute)", "rate(10 hour)", "rate(10 day)",
     "rate(0 minutes)", "rate(10 MINUTES)"],
)  # fmt: skip
def test_expressions_that_a_rule_refuses(aws, expression):
    """Recorded: test_put_rule_with_invalid_schedule_rate, tests_put_rule_with_invalid_schedule_cron."""
    with pytest.raises(ClientError) as refused:
        aws("events").put_rule(Name=unique("rule"), ScheduleExpression=expression)
    assert refused.value.response["Error"]["Message"] == "Parameter ScheduleExpression is not valid."


@pytest.mark.parametrize(
    "expression", ["rate(1 minute)", "rate(5 days)", "cron(0/15 * * * ? *)", "cron(15 10 ? * 6L 2002-2005)"]
)
def test_expressions_that_a_rule_takes(aws, expression):
    """Recorded: test_put_rule_with_schedule_rate, tests_put_rule_with_schedule_cron."""
    events, name = aws("events"), unique("rule")
    events.put_rule(Name=name, ScheduleExpression=expression, State="DISABLED")
    events.delete_rule(Name=name)


def test_a_schedule_on_another_bus_is_refused(aws):
    """Recorded: tests_put_rule_with_schedule_custom_event_bus."""
    events, bus = aws("events"), unique("bus")
    events.create_event_bus(Name=bus)
    with pytest.raises(ClientError, match="ScheduleExpression is supported only on the default event bus"):
        events.put_rule(Name=unique("rule"), EventBusName=bus, ScheduleExpression="rate(1 minute)")
