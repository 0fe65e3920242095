"""TestState. https://docs.aws.amazon.com/step-functions/latest/dg/test-state-isolation.html and its API's page."""

import json

import boto3
import pytest
from botocore.exceptions import ClientError
from state_machines import StateMachines, function, role

from workshop import account

CALL = {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "End": True}


@pytest.fixture(scope="module")
def client(sandbox):
    """Step Functions as whoever has the sandbox's own environment gets it: botocore puts no "sync-" before the host."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in account.environment(sandbox).items():
            patch.setenv(name, value)
        return boto3.Session().client("stepfunctions")


@pytest.fixture
def test(client, aws):
    """Test a state; returns the answer."""

    def run(state, data=None, **options):
        options.setdefault("roleArn", role(aws))
        answer = client.test_state(definition=json.dumps(state), input=json.dumps(data or {}), **options)
        return {key: value for key, value in answer.items() if key != "ResponseMetadata"}

    return run


def refusal(call, *arguments, **options):
    with pytest.raises(ClientError) as refused:
        call(*arguments, **options)
    return refused.value.response["Error"]["Code"], refused.value.response["Error"]["Message"]


def test_states_without_a_task(test):
    assert test({"Type": "Pass", "Parameters": {"b.$": "$.a"}, "Next": "N"}, {"a": 1}) == {
        "status": "SUCCEEDED", "output": '{"b":1}', "nextState": "N"}  # fmt: skip
    choice = {"Type": "Choice", "Default": "D", "Choices": [{"Variable": "$.a", "NumericEquals": 1, "Next": "N"}]}
    assert test(choice, {"a": 1})["nextState"] == "N"
    assert test(choice, {"a": 2})["nextState"] == "D"
    assert test({"Type": "Fail", "Error": "E", "Cause": "c"}) == {"status": "FAILED", "error": "E", "cause": "c"}
    assert test({"Type": "Pass", "QueryLanguage": "JSONata", "Output": "{% $states.input.a + $v %}", "End": True},
                {"a": 1}, variables='{"v": 2}') == {"status": "SUCCEEDED", "output": "3"}  # fmt: skip


def test_a_task_is_called_with_the_role(test, aws):
    name = function(aws, "def handler(event, context):\n    return {'got': event}")
    state = {**CALL, "QueryLanguage": "JSONata", "Arguments": {"FunctionName": name, "Payload": {"n": 1}},
             "Output": "{% $states.result.Payload.got.n %}"}  # fmt: skip
    assert test(state) == {"status": "SUCCEEDED", "output": "1"}
    answer = test({**CALL, "Parameters": {"FunctionName": name + "x"},
                   "Catch": [{"ErrorEquals": ["Lambda.ResourceNotFoundException"], "Next": "N", "ResultPath": "$.e"}]},
                  {"a": 1})  # fmt: skip
    assert (answer["status"], answer["nextState"]) == ("CAUGHT_ERROR", "N")
    assert json.loads(answer["output"])["e"]["Error"] == "Lambda.ResourceNotFoundException"


def test_mocks(test):
    waiting = {**CALL, "Resource": CALL["Resource"] + ".waitForTaskToken", "ResultSelector": {"v.$": "$.x"},
               "Parameters": {"FunctionName": "f", "Payload": {"token.$": "$$.Task.Token"}}}  # fmt: skip
    answer = test(waiting, mock={"result": '{"x": 5}'}, inspectionLevel="DEBUG",
                  context='{"Task": {"Token": "t"}}')  # fmt: skip
    assert (answer["status"], answer["output"]) == ("SUCCEEDED", '{"v":5}')
    assert json.loads(answer["inspectionData"]["afterParameters"])["Payload"] == {"token": "t"}
    retried = {**CALL, "Retry": [{"ErrorEquals": ["E"], "MaxAttempts": 2}]}
    error = {"errorOutput": {"error": "E", "cause": "c"}}
    assert test(retried, mock=error) == {"status": "RETRIABLE", "error": "E", "cause": "c"}
    assert test(retried, mock=error, stateConfiguration={"retrierRetryCount": 2})["status"] == "FAILED"


def test_what_is_refused(client, test, aws):
    assert refusal(test, {"Type": "Pass"})[0] == "InvalidDefinition"
    code, message = refusal(test, {"Type": "Pass", "QueryLanguage": "JSONata", "Output": "{% $a ?? 1 %}", "End": True})
    assert (code, "INVALID_JSONATA_EXPRESSION" in message) == ("InvalidDefinition", True)
    assert refusal(test, {**CALL, "Resource": CALL["Resource"] + ".waitForTaskToken"})[0] == "InvalidDefinition"
    branch = {"StartAt": "P", "States": {"P": {"Type": "Pass", "End": True}}}
    assert refusal(test, {"Type": "Parallel", "Branches": [branch], "End": True}) == (
        "ValidationException", "The sandbox's TestState has no Parallel states.")  # fmt: skip
    assert refusal(client.test_state, definition=json.dumps({"Type": "Succeed"}))[0] == "AccessDeniedException"


def test_nothing_of_it_is_left(test, aws):
    machines = StateMachines(aws)
    test({"Type": "Succeed"})
    assert not any("TestState" in one["name"] for one in machines.client.list_state_machines()["stateMachines"])


def test_a_synchronous_execution_with_the_sandbox_s_own_environment(client, aws):
    """localstack/localstack issue 5422, aws/aws-sdk-js-v3 issue 3451: SDKs look for sync-127.0.0.1."""
    definition = json.dumps({"StartAt": "P", "States": {"P": {"Type": "Pass", "Result": 1, "End": True}}})
    machine = client.create_state_machine(name="single-sync", type="EXPRESS", definition=definition, roleArn=role(aws))
    answer = client.start_sync_execution(stateMachineArn=machine["stateMachineArn"])
    assert (answer["status"], answer["output"]) == ("SUCCEEDED", "1")
    assert answer["billingDetails"]["billedDurationInMilliseconds"] % 100 == 0  # recorded: test_sfn_api_express
    assert ":express:" in answer["executionArn"]
