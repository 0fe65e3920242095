"""How executions start, wait, retry, reach their limits and end.

Recordings: localstack/localstack, tests/aws/services/stepfunctions/v2/, the `*.snapshot.json` named beside a test.
"""

import json
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.exceptions import ClientError
from patience import PATIENCE
from state_machines import StateMachines, details, function, role, unique, until

from workshop import environments

pytestmark = pytest.mark.takes(15)


@pytest.fixture(scope="module")
def machines(aws):
    return StateMachines(aws)


WAIT = {"W": {"Type": "Wait", "Seconds": 600, "End": True}}


def test_stop_ends_a_wait_at_once(machines):
    """base/test_sfn_api, test_stop_execution: details are empty without error and cause. It stays ABORTED."""
    arn = machines.start(WAIT)
    machines.wait_for(arn, "WaitStateEntered")
    machines.client.stop_execution(executionArn=arn)
    run = machines.client.describe_execution(executionArn=arn)
    assert (run["status"], "error" in run, "cause" in run) == ("ABORTED", False, False)
    assert machines.shape(arn) == [
        (1, 0, "ExecutionStarted"), (2, 0, "WaitStateEntered"), (3, 0, "ExecutionAborted"),
    ]  # fmt: skip
    assert details(machines.history(arn)[-1]) == {}


def test_stop_reaches_branches_and_retries(machines):
    branches = [{"StartAt": name, "States": {name: WAIT["W"]}} for name in ("A", "B")]
    inside = machines.start({"P": {"Type": "Parallel", "Branches": branches, "End": True}})
    task = {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Parameters": {"FunctionName": "missing"},
            "Retry": [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 600}], "End": True}  # fmt: skip
    retrying = machines.start({"T": task})
    machines.wait_for(inside, "WaitStateEntered", count=2)
    machines.wait_for(retrying, "TaskFailed")
    for arn in (inside, retrying):
        machines.client.stop_execution(executionArn=arn)
        assert machines.client.describe_execution(executionArn=arn)["status"] == "ABORTED"
        assert machines.shape(arn)[-1][1:] == (0, "ExecutionAborted")
    code, _ = _refusal(machines.client.stop_execution, executionArn=inside + "x")
    assert code == "ExecutionDoesNotExist"


def _refusal(call, **arguments):
    with pytest.raises(ClientError) as refused:
        call(**arguments)
    return refused.value.response["Error"]["Code"], refused.value.response["Error"]["Message"]


@pytest.mark.parametrize("state", ["wait", "function"])
def test_time_limit_of_the_state_machine(machines, aws, state):
    """TIMED_OUT without error or cause (timeouts/test_timeouts, test_global_timeout); the event names States.Timeout
    and follows nothing (floci-io/floci, docs/services/step-functions, measured on AWS)."""
    states = WAIT
    if state == "function":
        name = function(aws, "import time\ndef handler(event, context):\n    time.sleep(20)")
        states = {"T": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "End": True,
                        "Parameters": {"FunctionName": name}}}  # fmt: skip
    run = machines.run(states, TimeoutSeconds=1)
    assert (run["status"], "error" in run, "cause" in run) == ("TIMED_OUT", False, False)
    assert run["redriveStatus"] == "REDRIVABLE"
    last = machines.history(run["executionArn"])[-1]
    assert (last["type"], last["previousEventId"]) == ("ExecutionTimedOut", 0)
    assert details(last) == {"error": "States.Timeout"}


def test_time_limit_of_a_task(machines, aws):
    """timeouts/test_timeouts, test_fixed_timeout_service_lambda and test_fixed_timeout_lambda."""
    name = function(aws, "import time\ndef handler(event, context):\n    time.sleep(20)")
    arn = aws("lambda").get_function(FunctionName=name)["Configuration"]["FunctionArn"]
    invoke = {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Parameters": {"FunctionName": name}}
    plain = {"Type": "Task", "Resource": arn}
    for task, kind in ((invoke, "TaskTimedOut"), (plain, "LambdaFunctionTimedOut")):
        run = machines.run({"T": {**task, "TimeoutSeconds": 1, "End": True}})
        assert (run["status"], run["error"], "cause" in run) == ("FAILED", "States.Timeout", False)
        assert [kind for _, _, kind in machines.shape(run["executionArn"])][-2:] == [kind, "ExecutionFailed"]


def test_retry_intervals(machines):
    """Interval, backoff and its limit (states-language.net/spec.html, Retrying after error)."""

    def gaps(**retrier):
        retry = [{"ErrorEquals": ["Lambda.ResourceNotFoundException"], **retrier}]
        task = {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "End": True, "Retry": retry,
                "Parameters": {"FunctionName": "missing"}}  # fmt: skip
        run = machines.run({"T": task})
        assert run["error"] == "Lambda.ResourceNotFoundException"
        assert "Function not found: arn:aws:lambda:us-east-1:111122223333:function:missing (" in run["cause"]
        history = machines.history(run["executionArn"])
        failed = [event["timestamp"] for event in history if event["type"] == "TaskFailed"]
        scheduled = [event["timestamp"] for event in history if event["type"] == "TaskScheduled"]
        return [(b - a).total_seconds() for a, b in zip(failed, scheduled[1:], strict=False)]

    cases = [
        {"IntervalSeconds": 1, "BackoffRate": 2.0, "MaxAttempts": 2},
        {"IntervalSeconds": 1, "BackoffRate": 10, "MaxDelaySeconds": 2, "MaxAttempts": 2},
        {"MaxAttempts": 0},
    ]
    with ThreadPoolExecutor() as pool:
        doubled, limited, none = pool.map(lambda retrier: gaps(**retrier), cases)
    assert doubled[0] >= 1 and doubled[1] >= 2
    assert limited[0] >= 1 and limited[1] >= 2
    assert none == []


def test_what_limits_a_pause_before_a_retry():
    """MaxDelaySeconds and full jitter, as they are computed: how long a pause really was, a busy machine decides."""
    code = """
import json, random
from sandbox.stepfunctions.states import _delay
random.seed(1)
ten = {"IntervalSeconds": 1, "BackoffRate": 10}
cases = [ten, {**ten, "MaxDelaySeconds": 2}, {**ten, "JitterStrategy": "FULL"}]
print(json.dumps([[_delay(case, used) for used in (0, 1, 1, 1)] for case in cases]))
"""
    python = environments.SANDBOX.python
    printed = subprocess.check_output([python, "-c", code], cwd=environments.CHECKOUT, text=True)
    plain, limited, jittered = json.loads(printed)
    assert plain == [1, 10, 10, 10]
    assert limited == [1, 2, 2, 2]
    assert all(0 <= pause <= longest for pause, longest in zip(jittered, plain, strict=True))
    assert len(set(jittered)) == 4 and max(jittered) > 1


def test_retriers_count_apart_and_context_counts_all(machines, aws):
    name = function(aws, "def handler(event, context):\n    raise RuntimeError(event['count'])")
    task = {
        "Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "End": True,
        "Parameters": {"FunctionName": name, "Payload": {"count.$": "$$.State.RetryCount"}},
        "Retry": [
            {"ErrorEquals": ["Never"], "MaxAttempts": 9},
            {"ErrorEquals": ["States.TaskFailed"], "IntervalSeconds": 1, "BackoffRate": 1, "MaxAttempts": 1},
            {"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1, "MaxAttempts": 5},
        ],
    }  # fmt: skip
    run = machines.run({"T": task})
    sent = [json.loads(details(event)["parameters"])["Payload"]["count"]
            for event in machines.events(run["executionArn"], "TaskScheduled")]  # fmt: skip
    assert sent == [0, 1]  # the first retrier that matches decides; a later one is not asked


def test_history_ends_at_25000_events(machines):
    """The 25,000th is ExecutionFailed, and nothing catches it (service quotas; floci-io/floci, measured on AWS)."""
    run = machines.finish(machines.start({"A": {"Type": "Pass", "Next": "B"}, "B": {
        "Type": "Choice", "Choices": [{"Variable": "$.end", "IsPresent": True, "Next": "C"}], "Default": "A"},
        "C": {"Type": "Succeed"}}))  # fmt: skip
    assert (run["status"], run["error"]) == ("FAILED", "States.Runtime")
    assert run["cause"] == "The execution reached the maximum number of history events (25000)."
    last = machines.client.get_execution_history(executionArn=run["executionArn"], reverseOrder=True, maxResults=1)
    assert (last["events"][0]["id"], last["events"][0]["type"]) == (25_000, "ExecutionFailed")


def test_state_data_over_256_kib(machines, aws):
    """error_handling/test_states_errors. There a Catch of States.ALL takes a task's too large result, though the guide
    says that it does not; that a state's own too large output cannot be caught is inferred."""
    name = function(aws, "def handler(event, context):\n    return 'é' * 131_072")
    arn = aws("lambda").get_function(FunctionName=name)["Configuration"]["FunctionArn"]
    cause = "The state/task '{}' returned a result with a size exceeding the maximum number of bytes service limit."
    invoke = {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Parameters": {"FunctionName": name}}
    for task, shown in ((invoke, "lambda"), ({"Type": "Task", "Resource": arn}, arn)):
        task = {**task, "End": True, "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "C"}]}
        run = machines.run({"T": task, "C": {"Type": "Pass", "End": True}})
        assert json.loads(run["output"]) == {"Error": "States.DataLimitExceeded", "Cause": cause.format(shown)}
    double = {"Type": "Pass", "QueryLanguage": "JSONata", "Output": "{% [$states.input, $states.input] %}"}
    run = machines.run({f"S{n}": {**double, "Next": f"S{n + 1}"} for n in range(6)} | {"S6": {"Type": "Succeed"}},
                       "x" * 10_000)  # fmt: skip
    assert (run["error"], run["cause"]) == ("States.DataLimitExceeded", cause.format("S4"))


def test_starting(machines):
    """test_sfn_api, test_invalid_start_execution_arn and ..._input; names as
    docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html has them."""
    start, machine = machines.client.start_execution, machines.create(WAIT)
    code, message = _refusal(start, stateMachineArn=machine + "x")
    assert (code, message) == ("StateMachineDoesNotExist", f"State Machine Does Not Exist: '{machine}x'")
    wrong = "Invalid State Machine Execution Input: "
    expected = "(JSON String, Number, Array, Object or token 'null', 'true' or 'false')"
    for text, what in (
        ("not some json", f"'Unrecognized token 'not': was expecting {expected}'"),
        ("{'a': 1}", "'Unexpected character (''' (code 39)): was expecting double-quote to start field name'"),
        ("", "'Invalid execution input.'"),
    ):
        assert _refusal(start, stateMachineArn=machine, input=text) == ("InvalidExecutionInput", wrong + what)
    for text in ("2", '"text"', "null"):
        assert start(stateMachineArn=machine, input=text)["executionArn"]
    name = unique("once")
    first = start(stateMachineArn=machine, name=name, input="{}")
    again = start(stateMachineArn=machine, name=name, input="{}")
    assert (again["executionArn"], again["startDate"]) == (first["executionArn"], first["startDate"])
    taken = ("ExecutionAlreadyExists", f"Execution Already Exists: '{first['executionArn']}'")
    assert _refusal(start, stateMachineArn=machine, name=name, input="[]") == taken
    machines.client.stop_execution(executionArn=first["executionArn"])
    assert _refusal(start, stateMachineArn=machine, name=name, input="{}") == taken
    assert _refusal(start, stateMachineArn=machine, input='"' + "x" * 262_144 + '"')[0] == "ValidationException"


def test_an_execution_keeps_the_definition_it_started_with(machines):
    machine = machines.create({"W": {"Type": "Wait", "Seconds": 1, "Next": "P"}, "P": {"Type": "Pass", "End": True}})
    arn = machines.client.start_execution(stateMachineArn=machine, input="1")["executionArn"]
    other = {"StartAt": "W", "States": {"W": {"Type": "Pass", "Result": 2, "End": True}}}
    machines.client.update_state_machine(stateMachineArn=machine, definition=json.dumps(other))
    assert machines.finish(arn)["output"] == "1"


def test_versions_and_aliases_run_their_own_definition(machines):
    machine = machines.create({"P": {"Type": "Pass", "Result": 1, "End": True}})
    version = machines.client.publish_state_machine_version(stateMachineArn=machine)["stateMachineVersionArn"]
    other = {"StartAt": "P", "States": {"P": {"Type": "Pass", "Result": 2, "End": True}}}
    machines.client.update_state_machine(stateMachineArn=machine, definition=json.dumps(other))
    for arn, expected in ((version, "1"), (machine, "2")):
        run = machines.finish(machines.client.start_execution(stateMachineArn=arn)["executionArn"])
        assert (run["output"], run["stateMachineArn"]) == (expected, machine)
    assert (
        machines.finish(machines.client.start_execution(stateMachineArn=version)["executionArn"])[
            "stateMachineVersionArn"
        ]
        == version
    )


# -- a state machine is deleted ----------------------------------------------------------------------------------------
#
# DeleteStateMachine's page of the API reference: DELETING until its executions have ended, and they end at their next
# transition. How they end: https://repost.aws/knowledge-center/step-functions-stuck-deleting-status


def gone(client, machine):
    """Whether a state machine is no longer there."""
    return _refusal(client.describe_state_machine, stateMachineArn=machine)[0] == "StateMachineDoesNotExist"


def test_a_machine_is_deleting_while_an_execution_waits(machines, aws):
    client, name = machines.client, unique("deleted")
    definition = json.dumps({"StartAt": "W", "States": WAIT})
    make = {"name": name, "definition": definition, "roleArn": role(aws)}
    machine = client.create_state_machine(**make)["stateMachineArn"]
    version = client.publish_state_machine_version(stateMachineArn=machine)["stateMachineVersionArn"]
    arn = client.start_execution(stateMachineArn=machine)["executionArn"]
    machines.wait_for(arn, "WaitStateEntered")
    client.delete_state_machine(stateMachineArn=machine)
    assert client.describe_state_machine(stateMachineArn=machine)["status"] == "DELETING"
    assert client.describe_execution(executionArn=arn)["status"] == "RUNNING"
    assert [e["executionArn"] for e in client.list_executions(stateMachineArn=machine)["executions"]] == [arn]
    # aws-nuke issue 1054, metaflow pull request 1284: nothing new of that name meanwhile.
    assert _refusal(client.create_state_machine, **make)[0] == "StateMachineDeleting"
    assert _refusal(client.update_state_machine, stateMachineArn=machine, definition=definition)[0] == (
        "StateMachineDeleting"
    )
    assert _refusal(client.start_execution, stateMachineArn=machine)[0] == "StateMachineDeleting"
    assert gone(client, version)
    client.delete_state_machine(stateMachineArn=machine)  # once more changes nothing
    client.stop_execution(executionArn=arn)
    assert gone(client, machine)
    assert client.describe_execution(executionArn=arn)["status"] == "ABORTED"  # its records stay
    assert client.create_state_machine(**make)["stateMachineArn"] == machine


def test_executions_of_a_deleted_machine_end_at_their_next_transition(machines, aws):
    url = aws("sqs").create_queue(QueueName=unique("queue"))["QueueUrl"]
    task = {"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken", "Next": "After",
            "Parameters": {"QueueUrl": url, "MessageBody.$": "$$.Task.Token"},
            "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "After"}]}  # fmt: skip
    machine = machines.create({"T": task, "After": {"Type": "Pass", "End": True}})
    arn = machines.client.start_execution(stateMachineArn=machine)["executionArn"]
    token = until(lambda: aws("sqs").receive_message(QueueUrl=url, WaitTimeSeconds=1).get("Messages"))[0]["Body"]
    machines.client.delete_state_machine(stateMachineArn=machine)
    machines.client.send_task_success(taskToken=token, output="{}")  # it is still waited for
    run = machines.finish(arn)
    name = machine.rpartition(":")[2]
    assert (run["status"], run["error"], run["cause"]) == (
        "FAILED", "States.Runtime", f"State machine {name} has been deleted.")  # fmt: skip
    assert [kind for _, _, kind in machines.shape(arn)][-2:] == ["TaskStateExited", "ExecutionFailed"]
    assert gone(machines.client, machine)


def test_a_machine_without_executions_is_gone_at_once(machines):
    """Recorded: test_sfn_api, test_create_delete_valid_sm and test_delete_nonexistent_sm."""
    machine = machines.create(WAIT)
    for _ in range(2):
        machines.client.delete_state_machine(stateMachineArn=machine)
        assert gone(machines.client, machine)


def test_nested_execution(machines):
    """callback/test_callback, test_start_execution_sync and ..._delegate_failure."""
    good = machines.create({"P": {"Type": "Pass", "Result": {"a": 1}, "End": True}})
    bad = machines.create({"F": {"Type": "Fail", "Error": "SomeFailure", "Cause": "why"}})

    def nested(machine, suffix):
        return {"T": {"Type": "Task", "Resource": f"arn:aws:states:::states:startExecution{suffix}",
                      "Parameters": {"StateMachineArn": machine, "Input": {}}, "End": True}}  # fmt: skip

    run = machines.run(nested(good, ".sync"))
    result = json.loads(run["output"])
    assert (result["Status"], result["Output"]) == ("SUCCEEDED", '{"a":1}')
    assert [kind for _, _, kind in machines.shape(run["executionArn"])][2:6] == [
        "TaskScheduled", "TaskStarted", "TaskSubmitted", "TaskSucceeded",
    ]  # fmt: skip
    assert json.loads(machines.run(nested(good, ".sync:2"))["output"])["Output"] == {"a": 1}
    assert set(json.loads(machines.run(nested(good, ""))["output"])) >= {"ExecutionArn", "StartDate"}
    run = machines.run(nested(bad, ".sync"))
    assert run["error"] == "States.TaskFailed"
    cause = json.loads(run["cause"])
    assert (cause["Error"], cause["Cause"], cause["Status"]) == ("SomeFailure", "why", "FAILED")


def test_status_changes_are_events(machines, aws):
    """base/test_base, test_event_bridge_events_base."""
    events, sqs, url = aws("events"), aws("sqs"), aws("sqs").create_queue(QueueName=unique("status"))["QueueUrl"]
    queue_arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    allow = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage",
             "Resource": queue_arn}  # fmt: skip
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    machine, rule = machines.create({"P": {"Type": "Pass", "End": True}}), unique("status")
    pattern = {"source": ["aws.states"], "detail": {"stateMachineArn": [machine]}}
    events.put_rule(Name=rule, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=rule, Targets=[{"Id": "1", "Arn": queue_arn}])
    machines.client.start_execution(stateMachineArn=machine)
    statuses = []

    def both():
        for message in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
            statuses.append(json.loads(message["Body"])["detail"]["status"])
        return len(statuses) >= 2

    assert until(both)
    assert sorted(statuses) == ["RUNNING", "SUCCEEDED"]
    events.remove_targets(Rule=rule, Ids=["1"])
    events.delete_rule(Name=rule)


@pytest.mark.long
def test_a_thousand_paused_executions(machines, aws):
    """All wait on a token at once, all are answered, none is lost."""
    url = aws("sqs").create_queue(QueueName=unique("thousand"))["QueueUrl"]
    machine = machines.create({"T": {
        "Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken", "End": True,
        "Parameters": {"QueueUrl": url, "MessageBody": {"token.$": "$$.Task.Token", "n.$": "$.n"}}}})  # fmt: skip

    def start(number):
        return machines.client.start_execution(stateMachineArn=machine, input=json.dumps({"n": number}))["executionArn"]

    with ThreadPoolExecutor(8) as pool:
        arns = list(pool.map(start, range(1000)))
        sqs, tokens = aws("sqs"), {}
        end = time.monotonic() + PATIENCE
        while len(tokens) < 1000 and time.monotonic() < end:
            for message in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
                body = json.loads(message["Body"])
                tokens[body["n"]] = body["token"]
        assert len(tokens) == 1000
        running = machines.client.list_executions(stateMachineArn=machine, statusFilter="RUNNING")["executions"]
        assert len(running) == 1000
        list(pool.map(lambda n: machines.client.send_task_success(taskToken=tokens[n], output=str(n)), range(1000)))
        assert until(lambda: not machines.client.list_executions(
            stateMachineArn=machine, statusFilter="RUNNING")["executions"])  # fmt: skip
        outputs = list(pool.map(lambda arn: machines.client.describe_execution(executionArn=arn)["output"], arns))
    assert outputs == [str(number) for number in range(1000)]
