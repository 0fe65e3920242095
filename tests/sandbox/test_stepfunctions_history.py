"""The events that each state type writes, as recorded on AWS.

Recordings: localstack/localstack, tests/aws/services/stepfunctions/v2/, the `*.snapshot.json` named beside a test.
"""

import json

import pytest
from state_machines import StateMachines, details, function


@pytest.fixture(scope="module")
def machines(aws):
    return StateMachines(aws)


def test_polling_loop(machines, aws):
    """The loop of lab 01: nine events a pass, of which three are state transitions."""
    name = function(aws, "def handler(event, context):\n    return {'done': event['passes'] >= 2}")
    states = {
        "Count": {"Type": "Pass", "Assign": {"passes": 0}, "Next": "Wait"},
        "Wait": {"Type": "Wait", "Seconds": 0, "Next": "Poll"},
        "Poll": {
            "Type": "Task",
            "Resource": "arn:aws:states:::lambda:invoke",
            "Arguments": {"FunctionName": name, "Payload": {"passes": "{% $passes %}"}},
            "Output": "{% $states.result.Payload %}",
            "Assign": {"passes": "{% $passes + 1 %}"},
            "Next": "Done?",
        },
        "Done?": {
            "Type": "Choice",
            "Choices": [{"Condition": "{% $states.input.done %}", "Next": "Finished"}],
            "Default": "Wait",
        },
        "Finished": {"Type": "Succeed"},
    }
    run = machines.run(states, QueryLanguage="JSONata")
    assert run["status"] == "SUCCEEDED", run
    kinds = [kind for _, _, kind in machines.shape(run["executionArn"])]
    one_pass = [
        "WaitStateEntered", "WaitStateExited", "TaskStateEntered", "TaskScheduled", "TaskStarted", "TaskSucceeded",
        "TaskStateExited", "ChoiceStateEntered", "ChoiceStateExited",
    ]  # fmt: skip
    assert kinds == [
        "ExecutionStarted", "PassStateEntered", "PassStateExited", *one_pass * 3,
        "SucceedStateEntered", "SucceedStateExited", "ExecutionSucceeded",
    ]  # fmt: skip
    assert sum(kind.endswith("StateEntered") for kind in kinds) == 1 + 3 * 3 + 1
    assert [previous for _, previous, _ in machines.shape(run["executionArn"])] == [0, 0, *range(2, len(kinds))]
    scheduled = details(machines.events(run["executionArn"], "TaskScheduled")[1])
    assert (scheduled["resourceType"], scheduled["resource"], scheduled["region"]) == ("lambda", "invoke", "us-east-1")
    assert json.loads(scheduled["parameters"]) == {"FunctionName": name, "Payload": {"passes": 1}}
    assert "timeoutInSeconds" not in scheduled
    left = details(machines.events(run["executionArn"], "TaskStateExited")[2])
    assert left["assignedVariables"] == {"passes": "3"}
    assert left["assignedVariablesDetails"] == {"truncated": False}
    assert left["outputDetails"] == {"truncated": False}
    assert json.loads(left["output"]) == {"done": True}
