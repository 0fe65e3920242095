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


def test_every_end(machines):
    """Succeed, Fail and a state with End; a Fail without error and cause leaves both out (base/test_base)."""
    run = machines.run({"Made up": {"Type": "Fail"}})
    assert machines.shape(run["executionArn"]) == [
        (1, 0, "ExecutionStarted"), (2, 0, "FailStateEntered"), (3, 2, "ExecutionFailed"),
    ]  # fmt: skip
    assert details(machines.events(run["executionArn"], "ExecutionFailed")[0]) == {}
    assert (run["status"], "error" in run, "cause" in run) == ("FAILED", False, False)
    assert (run["redriveCount"], run["redriveStatus"]) == (0, "REDRIVABLE")

    run = machines.run({"F": {"Type": "Fail", "ErrorPath": "$.e", "CausePath": "States.Format('by {}', $.c)"}},
                       {"e": "Oops", "c": "me"})  # fmt: skip
    assert (run["error"], run["cause"]) == ("Oops", "by me")

    run = machines.run({"S": {"Type": "Succeed", "OutputPath": "$.a"}}, {"a": [1]})
    assert (run["output"], run["redriveStatus"]) == ("[1]", "NOT_REDRIVABLE")
    assert [kind for _, _, kind in machines.shape(run["executionArn"])] == [
        "ExecutionStarted", "SucceedStateEntered", "SucceedStateExited", "ExecutionSucceeded",
    ]  # fmt: skip


def test_start_is_recorded_with_role_and_input(machines):
    run = machines.run({"P": {"Type": "Pass", "End": True}}, {"a": 1})
    started = details(machines.history(run["executionArn"])[0])
    assert started["inputDetails"] == {"truncated": False}
    assert json.loads(started["input"]) == {"a": 1}
    assert started["roleArn"].endswith(":role/workshop-tests")


def test_parallel(machines):
    """Branches chain their own events; what ends the Parallel follows the branch that ended last
    (scenarios/test_base_scenarios, test_parallel_state)."""
    branch = {"StartAt": "B", "States": {"B": {"Type": "Pass", "End": True}}}
    slow = {"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 1, "End": True}}}
    run = machines.run({"P": {"Type": "Parallel", "Branches": [branch, slow], "End": True}}, {"a": 1})
    assert json.loads(run["output"]) == [{"a": 1}, {"a": 1}]
    shape = machines.shape(run["executionArn"])
    assert shape[:3] == [(1, 0, "ExecutionStarted"), (2, 0, "ParallelStateEntered"), (3, 2, "ParallelStateStarted")]
    ids = {kind: (number, previous) for number, previous, kind in shape}
    assert ids["PassStateEntered"][1] == ids["WaitStateEntered"][1] == 3
    assert ids["PassStateExited"][1] == ids["PassStateEntered"][0]
    assert shape[-4:] == [
        (7, ids["WaitStateEntered"][0], "WaitStateExited"), (8, 7, "ParallelStateSucceeded"),
        (9, 7, "ParallelStateExited"), (10, 9, "ExecutionSucceeded"),
    ]  # fmt: skip


def test_parallel_fails_with_its_first_branch(machines):
    """The others are aborted at once, wherever they wait. Recorded for Map; for Parallel inferred from it."""
    bad = {"StartAt": "F", "States": {"F": {"Type": "Fail", "Error": "Bad", "Cause": "luck"}}}
    slow = {"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 600, "End": True}}}
    states = {
        "P": {"Type": "Parallel", "Branches": [slow, bad], "End": True,
              "Catch": [{"ErrorEquals": ["Bad"], "ResultPath": "$.error", "Next": "Caught"}]},
        "Caught": {"Type": "Pass", "End": True},
    }  # fmt: skip
    run = machines.run(states, {"a": 1})
    assert json.loads(run["output"]) == {"a": 1, "error": {"Error": "Bad", "Cause": "luck"}}
    kinds = [kind for _, _, kind in machines.shape(run["executionArn"])]
    assert kinds[5:] == [
        "WaitStateAborted", "ParallelStateFailed", "ParallelStateExited", "PassStateEntered", "PassStateExited",
        "ExecutionSucceeded",
    ]  # fmt: skip


def test_map_one_at_a_time(machines):
    """As recorded: scenarios/test_base_scenarios, test_map_state (MaxConcurrency 1)."""
    item = {"StartAt": "H", "States": {"H": {"Type": "Pass", "End": True}}}
    run = machines.run({"M": {"Type": "Map", "ItemsPath": "$.arr", "MaxConcurrency": 1, "ItemProcessor": item,
                              "ResultPath": "$.arr", "End": True}}, {"arr": [1, None]})  # fmt: skip
    assert json.loads(run["output"]) == {"arr": [1, None]}
    assert machines.shape(run["executionArn"]) == [
        (1, 0, "ExecutionStarted"), (2, 0, "MapStateEntered"), (3, 2, "MapStateStarted"),
        (4, 3, "MapIterationStarted"), (5, 4, "PassStateEntered"), (6, 5, "PassStateExited"),
        (7, 6, "MapIterationSucceeded"),
        (8, 6, "MapIterationStarted"), (9, 8, "PassStateEntered"), (10, 9, "PassStateExited"),
        (11, 10, "MapIterationSucceeded"),
        (12, 11, "MapStateSucceeded"), (13, 11, "MapStateExited"), (14, 13, "ExecutionSucceeded"),
    ]  # fmt: skip
    assert details(machines.events(run["executionArn"], "MapStateStarted")[0]) == {"length": 2}
    assert details(machines.events(run["executionArn"], "MapIterationStarted")[1]) == {"name": "M", "index": 1}
    assert details(machines.events(run["executionArn"], "MapIterationSucceeded")[1]) == {"name": "M", "index": 1}


def test_map_iterations_start_together(machines):
    """Without MaxConcurrency all start first, after MapStateStarted (timeouts/test_timeouts, ..._map_timeout)."""
    item = {"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 1, "End": True}}}
    run = machines.run({"M": {"Type": "Map", "ItemProcessor": item, "End": True}}, [1, 2, 3])
    starts = machines.events(run["executionArn"], "MapIterationStarted")
    assert [(event["previousEventId"], details(event)["index"]) for event in starts] == [(3, 0), (3, 1), (3, 2)]
    assert json.loads(run["output"]) == [1, 2, 3]
    shape = machines.shape(run["executionArn"])
    assert [number for number, _, _ in shape] == list(range(1, len(shape) + 1))


def test_map_retries_before_it_fails(machines):
    """A retried Map starts anew without MapStateFailed; the last failure has one (test_map_state_retry)."""
    item = {"StartAt": "F", "States": {"F": {"Type": "Fail", "Error": "E", "Cause": "C"}}}
    retry = [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1, "MaxAttempts": 1}]
    run = machines.run({"M": {"Type": "Map", "ItemProcessor": item, "Retry": retry, "End": True}}, [1])
    assert (run["error"], run["cause"]) == ("E", "C")
    assert machines.shape(run["executionArn"])[2:] == [
        (3, 2, "MapStateStarted"), (4, 3, "MapIterationStarted"), (5, 4, "FailStateEntered"),
        (6, 5, "MapIterationFailed"),
        (7, 5, "MapStateStarted"), (8, 7, "MapIterationStarted"), (9, 8, "FailStateEntered"),
        (10, 9, "MapIterationFailed"), (11, 9, "MapStateFailed"), (12, 11, "ExecutionFailed"),
    ]  # fmt: skip


def test_failed_iteration_aborts_the_others(machines):
    """As recorded in timeouts/test_timeouts, test_service_lambda_map_timeout: all of it follows the failure."""
    gate = {
        "StartAt": "C",
        "States": {
            "C": {"Type": "Choice", "Choices": [{"Variable": "$", "NumericEquals": 1, "Next": "F"}], "Default": "W"},
            "F": {"Type": "Wait", "Seconds": 1, "Next": "G"},
            "G": {"Type": "Fail", "Error": "E"},
            "W": {"Type": "Wait", "Seconds": 600, "End": True},
        },
    }
    run = machines.run({"M": {"Type": "Map", "ItemProcessor": gate, "End": True}}, [0, 1, 2])
    failed = machines.events(run["executionArn"], "FailStateEntered")[0]["id"]
    end = [(previous, kind) for number, previous, kind in machines.shape(run["executionArn"]) if number > failed]
    assert end == [
        (failed, "MapIterationAborted"), (failed, "WaitStateAborted"),
        (failed, "MapIterationFailed"),
        (failed, "MapIterationAborted"), (failed, "WaitStateAborted"),
        (failed, "MapStateFailed"), (failed + 6, "ExecutionFailed"),
    ]  # fmt: skip
    assert run["error"] == "E"


def test_plain_lambda_arn(machines, aws):
    """A function's ARN as the resource writes events of its own kind (services/test_lambda_task)."""
    name = function(aws, "def handler(event, context):\n    return {'got': event}")
    arn = aws("lambda").get_function(FunctionName=name)["Configuration"]["FunctionArn"]
    run = machines.run({"T": {"Type": "Task", "Resource": arn, "TimeoutSeconds": 20, "End": True}}, {"a": 1})
    assert json.loads(run["output"]) == {"got": {"a": 1}}
    assert machines.shape(run["executionArn"])[2:5] == [
        (3, 2, "LambdaFunctionScheduled"), (4, 3, "LambdaFunctionStarted"), (5, 4, "LambdaFunctionSucceeded"),
    ]  # fmt: skip
    scheduled = details(machines.events(run["executionArn"], "LambdaFunctionScheduled")[0])
    assert scheduled == {"resource": arn, "input": '{"a":1}', "inputDetails": {"truncated": False},
                         "timeoutInSeconds": 20}  # fmt: skip
    assert not any(key.endswith("Details") for key in machines.events(run["executionArn"], "LambdaFunctionStarted")[0])


def test_lambda_invoke_result(machines, aws):
    """The whole answer of Invoke, as recorded in services/test_lambda_task_service, test_invoke."""
    name = function(aws, "def handler(event, context):\n    return {'got': event}")
    states = {
        "T": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "End": True,
              "Parameters": {"FunctionName": name, "Payload.$": "$"}},
    }  # fmt: skip
    result = json.loads(machines.run(states, {"a": 1})["output"])
    assert set(result) == {"ExecutedVersion", "Payload", "SdkHttpMetadata", "SdkResponseMetadata", "StatusCode"}
    assert (result["ExecutedVersion"], result["Payload"], result["StatusCode"]) == ("$LATEST", {"got": {"a": 1}}, 200)
    assert set(result["SdkHttpMetadata"]) == {"AllHttpHeaders", "HttpHeaders", "HttpStatusCode"}
    assert result["SdkResponseMetadata"]["RequestId"]


def test_history_pages_and_reverses(machines):
    run = machines.run({f"S{n}": {"Type": "Pass", "Next": f"S{n + 1}"} for n in range(9)} | {"S9": {"Type": "Succeed"}})
    arn = run["executionArn"]
    ids = [event["id"] for event in machines.history(arn)]
    assert ids == list(range(1, 23))
    assert [event["id"] for event in machines.history(arn, PaginationConfig={"PageSize": 5})] == ids
    assert [event["id"] for event in machines.history(arn, reverseOrder=True)] == ids[::-1]
    bare = details(machines.history(arn, includeExecutionData=False)[1])
    assert bare == {"name": "S0"}


def test_distributed_map(machines):
    """Each item is an execution of its own, listed by its map run (floci-io/floci, docs/services/step-functions)."""
    item = {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}, "StartAt": "I",
            "States": {"I": {"Type": "Pass", "End": True}}}  # fmt: skip
    run = machines.run({"M": {"Type": "Map", "ItemsPath": "$.l", "ItemProcessor": item, "ResultPath": "$.r",
                              "ItemSelector": {"v.$": "$$.Map.Item.Value"}, "End": True}}, {"l": [1, 2]})  # fmt: skip
    assert json.loads(run["output"]) == {"l": [1, 2], "r": [{"v": 1}, {"v": 2}]}
    kinds = [kind for _, _, kind in machines.shape(run["executionArn"])]
    assert kinds[1:5] == ["MapStateEntered", "MapRunStarted", "MapRunSucceeded", "MapStateExited"]
    map_run = details(machines.events(run["executionArn"], "MapRunStarted")[0])["mapRunArn"]
    children = machines.client.list_executions(mapRunArn=map_run)["executions"]
    assert [child["status"] for child in children] == ["SUCCEEDED"] * 2
    kinds = [kind for _, _, kind in machines.shape(children[0]["executionArn"])]
    assert kinds == ["ExecutionStarted", "PassStateEntered", "PassStateExited", "ExecutionSucceeded"]
