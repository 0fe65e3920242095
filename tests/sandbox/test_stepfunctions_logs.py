"""Executions in CloudWatch Logs, and Express executions, which are seen nowhere else.

Recordings: localstack/localstack, tests/aws/services/stepfunctions/v2/, logs/test_logs.snapshot.json,
test_sfn_api_logs.snapshot.json and test_sfn_api_express.snapshot.json.
"""

import json

import pytest
from botocore.exceptions import ClientError
from state_machines import StateMachines, policy, role, unique, until

FAIL = {"Type": "Fail", "Error": "SomeFailure", "Cause": "c"}
PASS = {"Type": "Pass", "Result": {"a": 1}, "End": True}


@pytest.fixture(scope="module")
def machines(aws):
    return StateMachines(aws)


class Group:
    """A log group, and the executions that are logged in it."""

    def __init__(self, aws, machines):
        self.logs, self.machines, self.role = aws("logs"), machines, role(aws)
        self.name = "/aws/vendedlogs/states/" + unique("group")
        self.logs.create_log_group(logGroupName=self.name)

    def configuration(self, level, data=True):
        arn = f"arn:aws:logs:us-east-1:111122223333:log-group:{self.name}:*"
        destinations = [{"cloudWatchLogsLogGroup": {"logGroupArn": arn}}]
        return {"level": level, "includeExecutionData": data, "destinations": destinations}

    def create(self, state, configuration, **options):
        return self.machines.client.create_state_machine(
            name=unique("logged"), roleArn=options.pop("role", self.role), loggingConfiguration=configuration,
            definition=json.dumps({"StartAt": "S", "States": {"S": state}}), **options,
        )["stateMachineArn"]  # fmt: skip

    def start(self, machine, **options):
        return self.machines.client.start_execution(stateMachineArn=machine, **options)["executionArn"]

    def events(self):
        found = self.logs.filter_log_events(logGroupName=self.name)["events"]
        return [json.loads(event["message"]) for event in found]


@pytest.fixture
def group(aws, machines):
    return Group(aws, machines)


@pytest.mark.parametrize(
    ("state", "level", "kinds"),
    [
        (PASS, "ALL", ["ExecutionStarted", "PassStateEntered", "PassStateExited", "ExecutionSucceeded"]),
        (PASS, "ERROR", []),
        (FAIL, "ALL", ["ExecutionStarted", "FailStateEntered", "ExecutionFailed"]),
        (FAIL, "ERROR", ["FailStateEntered", "ExecutionFailed"]),
        (FAIL, "FATAL", ["ExecutionFailed"]),
        (FAIL, "OFF", []),
    ],
)
def test_levels(group, machines, state, level, kinds):
    """Recorded: test_base and test_partial_log_levels."""
    run = machines.finish(group.start(group.create(state, group.configuration(level))))
    assert [event["type"] for event in group.events()] == kinds
    assert all(event["execution_arn"] == run["executionArn"] for event in group.events())


def test_an_event_with_data_and_without(group, machines):
    """Recorded: test_base[pass_result.json5_ALL_True] and ..._False]."""
    machines.finish(group.start(group.create(PASS, group.configuration("ALL")), input='{"in": 1}'))
    with_data = group.events()
    started = {"input": '{"in": 1}', "inputDetails": {"truncated": False}, "roleArn": group.role}
    assert (with_data[0]["id"], with_data[0]["previous_event_id"], with_data[0]["redrive_count"]) == ("1", "0", "0")
    assert with_data[0]["details"] == started
    assert with_data[3]["details"] == {"output": '{"a":1}', "outputDetails": {"truncated": False}}
    assert with_data[0]["event_timestamp"].isdigit()
    machines.finish(group.start(group.create(PASS, group.configuration("ALL", data=False))))
    assert [event["details"] for event in group.events()[4:]] == [
        {"roleArn": group.role}, {"name": "S"}, {"name": "S"}, {}]  # fmt: skip


def test_what_cannot_be_logged_to_is_refused(group, aws):
    """Recorded: test_invalid_logging_configuration, test_multiple_destinations, test_deleted_log_group. The role must
    be allowed to (cw-logs.html)."""

    def refused(configuration, **options):
        with pytest.raises(ClientError) as error:
            group.create(PASS, configuration, **options)
        return error.value.response["Error"]["Code"], error.value.response["Error"]["Message"]

    good = group.configuration("ALL")
    one = "Invalid Logging Configuration: Must specify exactly one Log Destination."
    assert refused({"level": "ALL"}) == ("InvalidLoggingConfiguration", one)
    assert refused({**good, "destinations": good["destinations"] * 2}) == ("InvalidLoggingConfiguration", one)
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "states.amazonaws.com"}}
    bare = aws("iam").create_role(RoleName=unique("bare"), AssumeRolePolicyDocument=policy(trust))["Role"]["Arn"]
    assert refused(good, role=bare)[0] == "AccessDeniedException"
    group.logs.delete_log_group(logGroupName=group.name)
    gone = "Invalid Logging Configuration: Log Destination not found."
    assert refused(good) == ("InvalidLoggingConfiguration", gone)


# -- Express -----------------------------------------------------------------------------------------------------------


def test_an_express_execution_is_seen_in_its_log_only(group, machines):
    """Recorded: test_start_async_describe_history_execution. StartExecution's page: it is not idempotent for them."""
    machine = group.create(PASS, group.configuration("ALL"), type="EXPRESS")
    first, second = group.start(machine, name="same"), group.start(machine, name="same")
    name = machine.rpartition(":")[2]
    assert first.startswith(f"arn:aws:states:us-east-1:111122223333:express:{name}:same:") and first != second
    ends = until(lambda: [e for e in group.events() if e["type"] == "ExecutionSucceeded"][1:] and group.events())
    assert {event["execution_arn"] for event in ends} == {first, second}
    client = machines.client
    for call in (client.describe_execution, client.stop_execution, client.get_execution_history):
        with pytest.raises(client.exceptions.InvalidArn) as refused:
            call(executionArn=first)
        said = "Invalid Arn: 'Resource type not valid in this context: express'"
        assert refused.value.response["Error"]["Message"] == said
    with pytest.raises(client.exceptions.StateMachineTypeNotSupported):
        client.list_executions(stateMachineArn=machine)


def test_express_states_that_aws_refuses(machines, aws):
    """Recorded: test_illegal_callbacks and test_illegal_activity_task."""
    activity = machines.client.create_activity(name=unique("activity"))["activityArn"]
    for resource, said in (
        (activity, "Express state machine does not support Activity ARN at"),
        ("arn:aws:states:::states:startExecution.sync",
         "Express state machine does not support '.sync' service integration at"),
    ):  # fmt: skip
        state = {"Type": "Task", "Resource": resource, "End": True}
        with pytest.raises(machines.client.exceptions.InvalidDefinition, match=said):
            machines.client.create_state_machine(
                name=unique("express"), type="EXPRESS", roleArn=role(aws),
                definition=json.dumps({"StartAt": "S", "States": {"S": state}}),
            )  # fmt: skip
