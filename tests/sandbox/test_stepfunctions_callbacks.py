"""The callback pattern: tokens, their answers, time limits and ends.

Recordings: localstack/localstack, tests/aws/services/stepfunctions/v2/, the `*.snapshot.json` named beside a test.
"""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.exceptions import ClientError
from state_machines import StateMachines, details, function, unique, until

pytestmark = pytest.mark.takes(20)

INVALID = "Invalid Token: 'Invalid token'"
CLOSED = "Task Timed Out: 'Provided task does not exist anymore'"


@pytest.fixture(scope="module")
def machines(aws):
    return StateMachines(aws)


class Queue:
    """A queue to which a task sends its token."""

    def __init__(self, aws):
        self.sqs = aws("sqs")
        self.url = self.sqs.create_queue(QueueName=unique("tokens"))["QueueUrl"]

    def task(self, **fields):
        """A Task that sends its token here and waits for the answer."""
        return {
            "Type": "Task",
            "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
            "Parameters": {"QueueUrl": self.url, "MessageBody": {"token.$": "$$.Task.Token"}},
            "End": True,
            **fields,
        }

    def token(self):
        """The next token sent here."""
        return until(self._next)

    def _next(self):
        for message in self.sqs.receive_message(QueueUrl=self.url).get("Messages", []):
            self.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
            return json.loads(message["Body"])["token"]
        return None


@pytest.fixture(scope="module")
def queue(aws):
    return Queue(aws)


def refusal(call, **arguments):
    """The error code and message with which a call is refused."""
    with pytest.raises(ClientError) as refused:
        call(**arguments)
    return refused.value.response["Error"]["Code"], refused.value.response["Error"]["Message"]


def test_answer_resumes_the_execution(machines, queue):
    """As recorded in callback/test_callback, test_sqs_wait_for_task_token."""
    arn = machines.start({"T": queue.task()})
    token = queue.token()
    assert 1 <= len(token) <= 2048
    machines.wait_for(arn, "TaskSubmitted")
    machines.client.send_task_success(taskToken=token, output='{"a": [1, "é"]}')
    assert machines.finish(arn)["output"] == '{"a":[1,"é"]}'
    assert machines.shape(arn) == [
        (1, 0, "ExecutionStarted"), (2, 0, "TaskStateEntered"), (3, 2, "TaskScheduled"), (4, 3, "TaskStarted"),
        (5, 4, "TaskSubmitted"), (6, 5, "TaskSucceeded"), (7, 6, "TaskStateExited"), (8, 7, "ExecutionSucceeded"),
    ]  # fmt: skip
    by_kind = {event["type"]: details(event) for event in machines.history(arn)}
    names = {"resourceType": "sqs", "resource": "sendMessage.waitForTaskToken"}
    assert by_kind["TaskStarted"] == names
    assert by_kind["TaskSucceeded"] == {**names, "output": '{"a":[1,"é"]}', "outputDetails": {"truncated": False}}
    parameters = json.loads(by_kind["TaskScheduled"].pop("parameters"))
    assert parameters == {"QueueUrl": queue.url, "MessageBody": {"token": token}}
    assert by_kind["TaskScheduled"] == {**names, "region": "us-east-1"}
    submitted = json.loads(by_kind["TaskSubmitted"]["output"])
    assert {"MessageId", "MD5OfMessageBody", "SdkHttpMetadata", "SdkResponseMetadata"} <= set(submitted)


def test_a_history_without_data_shows_no_token(machines, queue):
    """AWS leaves out input and output (API_GetExecutionHistory.html); that parameters go with them is a guess."""
    arn = machines.start({"T": queue.task()}, {"secret": "in"})
    token = queue.token()
    machines.client.send_task_success(taskToken=token, output='{"secret": "out"}')
    machines.finish(arn)
    whole = json.dumps(machines.history(arn), default=str)
    bare = machines.history(arn, includeExecutionData=False)
    assert token in whole
    assert "secret" in whole
    assert not any(word in json.dumps(bare, default=str) for word in (token, "secret"))
    assert details(next(event for event in bare if event["type"] == "TaskScheduled")) == {
        "resourceType": "sqs", "resource": "sendMessage.waitForTaskToken", "region": "us-east-1",
    }  # fmt: skip


def test_failure_fails_the_task(machines, queue):
    """callback/test_callback, test_sqs_failure_in_wait_for_task_token."""
    arn = machines.start({"T": queue.task()})
    machines.client.send_task_failure(taskToken=queue.token(), error="Failure error", cause="Failure cause")
    run = machines.finish(arn)
    assert (run["status"], run["error"], run["cause"]) == ("FAILED", "Failure error", "Failure cause")
    assert [kind for _, _, kind in machines.shape(arn)][-3:] == ["TaskSubmitted", "TaskFailed", "ExecutionFailed"]
    assert details(machines.events(arn, "TaskFailed")[0])["error"] == "Failure error"


def test_failure_without_error_and_cause(machines, queue):
    """A Catch gets null for both (shared facts J, floci-io/floci pull request 2782)."""
    catch = [{"ErrorEquals": ["States.ALL"], "Next": "Caught"}]
    arn = machines.start({"T": queue.task(Catch=catch), "Caught": {"Type": "Pass", "End": True}})
    machines.client.send_task_failure(taskToken=queue.token())
    assert json.loads(machines.finish(arn)["output"]) == {"Error": None, "Cause": None}


@pytest.mark.parametrize("limit", ["TimeoutSeconds", "HeartbeatSeconds"])
def test_time_limits(machines, queue, limit):
    """callback/test_callback, test_sqs_wait_for_task_token_timeout; timeouts/test_heartbeats: the same end for both."""
    arn = machines.start({"T": queue.task(**{limit: 1, **({"TimeoutSeconds": 600} if "Heart" in limit else {})})})
    token = queue.token()
    run = machines.finish(arn)
    assert (run["status"], run["error"], "cause" in run) == ("FAILED", "States.Timeout", False)
    assert [kind for _, _, kind in machines.shape(arn)][-2:] == ["TaskTimedOut", "ExecutionFailed"]
    scheduled = details(machines.events(arn, "TaskScheduled")[0])
    assert scheduled["timeoutInSeconds" if limit == "TimeoutSeconds" else "heartbeatInSeconds"] == 1
    timed_out = details(machines.events(arn, "TaskTimedOut")[0])
    assert timed_out == {"resourceType": "sqs", "resource": "sendMessage.waitForTaskToken", "error": "States.Timeout"}
    assert refusal(machines.client.send_task_success, taskToken=token, output="1") == ("TaskTimedOut", CLOSED)


def test_time_limits_from_input_and_from_expressions(machines, queue):
    """TimeoutSecondsPath and HeartbeatSecondsPath (timeouts/test_heartbeats, ..._path_timeout), and JSONata's forms."""
    paths = machines.start({"T": queue.task(TimeoutSecondsPath="$.t", HeartbeatSecondsPath="$.h")}, {"t": 9, "h": 1})
    expressions = queue.task(QueryLanguage="JSONata", TimeoutSeconds="{% $states.input.t %}",
                             HeartbeatSeconds="{% $states.input.h %}")  # fmt: skip
    expressions["Arguments"] = {"QueueUrl": queue.url, "MessageBody": {"token": "{% $states.context.Task.Token %}"}}
    del expressions["Parameters"]
    jsonata = machines.start({"T": expressions}, {"t": 1, "h": 9})
    for arn, expected in ((paths, (9, 1)), (jsonata, (1, 9))):
        assert machines.finish(arn)["error"] == "States.Timeout"
        scheduled = details(machines.events(arn, "TaskScheduled")[0])
        assert (scheduled["timeoutInSeconds"], scheduled["heartbeatInSeconds"]) == expected
    for _ in (paths, jsonata):
        queue.token()


@pytest.mark.parametrize(
    "name, caught",
    [("States.HeartbeatTimeout", True), ("States.Timeout", True), ("States.ALL", True), ("States.TaskFailed", False)],
)
def test_what_catches_a_missed_heartbeat(machines, queue, name, caught):
    """By either name, or by all; not as a failed task (docs.aws.amazon.com/step-functions/latest/dg/
    concepts-error-handling.html). What is caught is States.Timeout with an empty cause (floci-io/floci 2782)."""
    catch = [{"ErrorEquals": [name], "Next": "Caught"}]
    run = machines.run({"T": queue.task(HeartbeatSeconds=1, Catch=catch), "Caught": {"Type": "Pass", "End": True}})
    queue.token()
    if caught:
        assert json.loads(run["output"]) == {"Error": "States.Timeout", "Cause": ""}
    else:
        assert run["error"] == "States.Timeout"


def test_heartbeats_renew_and_leave_no_trace(machines, queue):
    """Each pushes the heartbeat limit forward, writes no event, and leaves TimeoutSeconds alone
    (docs.aws.amazon.com/step-functions/latest/apireference/API_SendTaskHeartbeat.html)."""
    for limit in (2, 10, 50):  # longer ones where the machine let a whole limit pass between two beats
        began = time.monotonic()
        arn = machines.start({"T": queue.task(HeartbeatSeconds=limit, TimeoutSeconds=limit + 1)})
        gaps = between_beats(machines, queue.token(), began)
        started = machines.wait_for(arn, "TaskScheduled")["timestamp"]
        if (machines.finish(arn)["stopDate"] - started).total_seconds() >= limit + 1:
            break
        assert max(gaps) >= limit
    else:
        pytest.fail(f"Between two beats there were up to {max(gaps):.1f} s.")
    assert len(gaps) > 1
    assert [kind for _, _, kind in machines.shape(arn)][-3:] == ["TaskSubmitted", "TaskTimedOut", "ExecutionFailed"]


def between_beats(machines, token, began):
    """Send heartbeats until the task is over: the most seconds there were between any two, from when it began."""
    last, gaps = began, []
    while True:
        sent = time.monotonic()
        try:
            machines.client.send_task_heartbeat(taskToken=token)
        except ClientError as ended:
            assert ended.response["Error"]["Code"] == "TaskTimedOut"
            return [*gaps, time.monotonic() - last]
        gaps.append(time.monotonic() - last)
        last = sent
        time.sleep(0.1)


def test_every_attempt_has_a_token_of_its_own(machines, queue):
    """docs.aws.amazon.com/step-functions/latest/dg/connect-to-resource.html: a new random token, the old one dead."""
    retry = [{"ErrorEquals": ["Again"], "IntervalSeconds": 1, "MaxAttempts": 2}]
    arn = machines.start({"T": queue.task(Retry=retry)})
    first = queue.token()
    machines.client.send_task_failure(taskToken=first, error="Again")
    second = queue.token()
    assert first != second
    assert refusal(machines.client.send_task_success, taskToken=first, output="1") == ("TaskTimedOut", CLOSED)
    assert refusal(machines.client.send_task_heartbeat, taskToken=first) == ("TaskTimedOut", CLOSED)
    machines.client.send_task_success(taskToken=second, output="2")
    assert machines.finish(arn)["output"] == "2"
    assert len(machines.events(arn, "TaskScheduled")) == 2


def test_refused_answers(machines, queue):
    """callback/test_callback, ..._no_token and _call_chain; facts J; floci-io/floci 2968.

    InvalidOutput is documented, its message is ours. The order of these checks is not known.
    """
    success, failure = machines.client.send_task_success, machines.client.send_task_failure
    assert refusal(success, taskToken="made up", output="1") == ("InvalidToken", INVALID)
    assert refusal(failure, taskToken="made up") == ("InvalidToken", INVALID)
    assert refusal(machines.client.send_task_heartbeat, taskToken="made up") == ("InvalidToken", INVALID)
    arn = machines.start({"T": queue.task()})
    token = queue.token()
    for output in ("not JSON", "", "NaN", "[" * 100_000):
        assert refusal(success, taskToken=token, output=output)[0] == "InvalidOutput"
    for call, field, limit in ((success, "output", 262_144), (failure, "error", 256), (failure, "cause", 32_768)):
        code, message = refusal(call, taskToken=token, **{field: "1" * (limit + 1)})
        assert code == "ValidationException"
        assert message == (
            f"1 validation error detected: Value at '{field}' failed to satisfy constraint: "
            f"Member must have length less than or equal to {limit}"
        )
    success(taskToken=token, output=json.dumps("x" * (262_144 - 2)))  # none of these closed it, and this just fits
    assert machines.finish(arn)["status"] == "SUCCEEDED"
    assert refusal(success, taskToken=token, output="1") == ("TaskTimedOut", CLOSED)
    assert refusal(failure, taskToken=token) == ("TaskTimedOut", CLOSED)


def test_a_stopped_execution_takes_no_answer(machines, queue):
    """Stopping ends the wait at once; history as in test_sfn_api, test_stop_execution (previousEventId 0)."""
    arn = machines.start({"T": queue.task()})
    token = queue.token()
    machines.wait_for(arn, "TaskSubmitted")
    stopped = machines.client.stop_execution(executionArn=arn, error="Enough", cause="said so")["stopDate"]
    assert refusal(machines.client.send_task_success, taskToken=token, output="1") == ("TaskTimedOut", CLOSED)
    assert machines.client.stop_execution(executionArn=arn)["stopDate"] == stopped
    run = machines.client.describe_execution(executionArn=arn)
    assert (run["status"], run["error"], run["cause"]) == ("ABORTED", "Enough", "said so")
    last = machines.history(arn)[-1]
    assert (last["type"], last["id"], last["previousEventId"]) == ("ExecutionAborted", 6, 0)
    assert details(last) == {"error": "Enough", "cause": "said so"}


def test_function_that_raises_while_starting(machines, aws):
    """The task fails with the function's error, and Retry and Catch see it.

    Whether AWS writes TaskFailed or TaskSubmitFailed then is not recorded anywhere public; we write TaskFailed.
    """
    name = function(aws, "def handler(event, context):\n    raise LookupError('no such table')")
    states = {
        "T": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken", "End": True,
              "Parameters": {"FunctionName": name, "Payload": {"token.$": "$$.Task.Token"}},
              "Retry": [{"ErrorEquals": ["States.TaskFailed"], "IntervalSeconds": 1, "MaxAttempts": 1}],
              "Catch": [{"ErrorEquals": ["States.TaskFailed"], "ResultPath": "$.error", "Next": "Caught"}]},
        "Caught": {"Type": "Pass", "End": True},
    }  # fmt: skip
    run = machines.run(states)
    error = json.loads(run["output"])["error"]
    assert "no such table" in json.loads(error["Cause"])["errorMessage"]
    kinds = [kind for _, _, kind in machines.shape(run["executionArn"])]
    assert kinds[2:9] == ["TaskScheduled", "TaskStarted", "TaskFailed"] * 2 + ["TaskStateExited"]


def test_function_that_is_throttled(machines, aws):
    """The task fails with Lambda.TooManyRequestsException, which the documentation tells to retry.

    https://docs.aws.amazon.com/step-functions/latest/dg/sfn-best-practices.html
    """
    name = function(aws, "def handler(event, context):\n    return 1")
    aws("lambda").put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    for resource in ("arn:aws:states:::lambda:invoke", "arn:aws:states:::lambda:invoke.waitForTaskToken"):
        task = {"Type": "Task", "Resource": resource, "End": True, "Parameters": {"FunctionName": name}}
        run = machines.run({"T": task})
        assert run["error"] == "Lambda.TooManyRequestsException"
        assert run["cause"].startswith("Rate Exceeded. (Service: AWSLambda; Status Code: 429; ")


def test_answer_before_the_function_has_returned(machines, aws):
    """It is kept until then. That AWS waits for the function too is inferred from TaskSubmitted, not recorded."""
    code = (
        "import boto3\n"
        "def handler(event, context):\n"
        "    boto3.client('stepfunctions').send_task_success(taskToken=event['token'], output='\"early\"')\n"
        "    return 'late'\n"
    )
    states = {
        "T": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken", "End": True,
              "Parameters": {"FunctionName": function(aws, code), "Payload": {"token.$": "$$.Task.Token"}}},
    }  # fmt: skip
    run = machines.run(states)
    assert run["output"] == '"early"'
    kinds = [kind for _, _, kind in machines.shape(run["executionArn"])]
    assert kinds[2:6] == ["TaskScheduled", "TaskStarted", "TaskSubmitted", "TaskSucceeded"]
    submitted = details(machines.events(run["executionArn"], "TaskSubmitted")[0])
    assert json.loads(submitted["output"])["Payload"] == "late"


def test_token_stored_without_a_function(machines, aws):
    """`aws-sdk:dynamodb:putItem.waitForTaskToken` needs no Lambda to keep the token."""
    table, dynamodb = unique("tokens"), aws("dynamodb")
    dynamodb.create_table(TableName=table, BillingMode="PAY_PER_REQUEST",
                          AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
                          KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}])  # fmt: skip
    states = {
        "T": {"Type": "Task", "Resource": "arn:aws:states:::aws-sdk:dynamodb:putItem.waitForTaskToken", "End": True,
              "Parameters": {"TableName": table, "Item": {"id": {"S": "1"}, "token": {"S.$": "$$.Task.Token"}}}},
    }  # fmt: skip
    arn = machines.start(states)
    item = until(lambda: dynamodb.get_item(TableName=table, Key={"id": {"S": "1"}}).get("Item"))
    machines.client.send_task_success(taskToken=item["token"]["S"], output="{}")
    assert machines.finish(arn)["output"] == "{}"
    scheduled = details(machines.events(arn, "TaskScheduled")[0])
    assert (scheduled["resourceType"], scheduled["resource"]) == ("aws-sdk:dynamodb", "putItem.waitForTaskToken")
    states["T"]["Parameters"]["TableName"] = "no-such-table"
    run = machines.run(states)  # a call that fails fails the task (error_handling/test_aws_sdk)
    assert run["error"] == "DynamoDb.ResourceNotFoundException"
    assert "(Service: DynamoDb, Status Code: 400, Request ID: " in run["cause"]


def test_token_in_an_event(machines, aws, queue):
    """`events:putEvents.waitForTaskToken`: Detail is given as JSON and delivered as the event's detail."""
    events, sqs, rule = aws("events"), queue.sqs, unique("tokens")
    queue_arn = sqs.get_queue_attributes(QueueUrl=queue.url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    allow = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage",
             "Resource": queue_arn}  # fmt: skip
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    sqs.set_queue_attributes(QueueUrl=queue.url, Attributes={"Policy": policy})
    events.put_rule(Name=rule, EventPattern=json.dumps({"source": [rule]}))
    events.put_targets(Rule=rule, Targets=[{"Id": "1", "Arn": queue_arn, "InputPath": "$.detail"}])
    states = {
        "T": {"Type": "Task", "Resource": "arn:aws:states:::events:putEvents.waitForTaskToken", "End": True,
              "Parameters": {"Entries": [{"Source": rule, "DetailType": "d", "Detail": {"token.$": "$$.Task.Token"}}]}},
    }  # fmt: skip
    arn = machines.start(states)
    machines.client.send_task_success(taskToken=queue.token(), output='"heard"')
    assert machines.finish(arn)["output"] == '"heard"'
    events.remove_targets(Rule=rule, Ids=["1"])
    events.delete_rule(Name=rule)


def test_activity(machines):
    """A worker's token is answered like any other; its clock starts when it takes the work."""
    activity = machines.client.create_activity(name=unique("activity"))["activityArn"]
    arn = machines.start({"T": {"Type": "Task", "Resource": activity, "TimeoutSeconds": 30, "End": True}}, {"a": 1})
    work = machines.client.get_activity_task(activityArn=activity, workerName="me")
    assert json.loads(work["input"]) == {"a": 1}
    machines.client.send_task_success(taskToken=work["taskToken"], output="1")
    assert machines.finish(arn)["output"] == "1"
    kinds = [kind for _, _, kind in machines.shape(arn)]
    assert kinds[2:5] == ["ActivityScheduled", "ActivityStarted", "ActivitySucceeded"]
    assert details(machines.events(arn, "ActivityStarted")[0]) == {"workerName": "me"}


def test_fifty_threads_race_for_two_hundred_tokens(machines, queue, aws):
    """Every token has one winner; every answer that got a 200 is the one that its execution ends with."""
    item = {"StartAt": "T", "States": {"T": queue.task(Catch=[{"ErrorEquals": ["States.ALL"], "Next": "C"}]),
                                       "C": {"Type": "Pass", "End": True}}}  # fmt: skip
    arns = [machines.start({"M": {"Type": "Map", "ItemProcessor": item, "End": True}}, list(range(20)))
            for _ in range(10)]  # fmt: skip
    tokens = []

    def collect():
        while len(tokens) < 200:
            answer = queue.sqs.receive_message(QueueUrl=queue.url, MaxNumberOfMessages=10)
            for message in answer.get("Messages", []):
                tokens.append(json.loads(message["Body"])["token"])
                queue.sqs.delete_message(QueueUrl=queue.url, ReceiptHandle=message["ReceiptHandle"])
        return True

    assert until(collect)
    accepted, refused, lock = {}, set(), threading.Lock()

    def answer(number):
        for turn in range(12):
            token = tokens[(number * 7 + turn * 17) % 200]
            name = f"{number}-{turn}"
            try:
                if number % 2:
                    machines.client.send_task_success(taskToken=token, output=json.dumps(name))
                else:
                    machines.client.send_task_failure(taskToken=token, error=name)
            except ClientError as error:
                with lock:
                    refused.add(error.response["Error"]["Code"])
            else:
                with lock:
                    accepted.setdefault(token, []).append(name)

    with ThreadPoolExecutor(50) as pool:
        list(pool.map(answer, range(50)))
    assert refused == {"TaskTimedOut"}
    assert all(len(names) == 1 for names in accepted.values())
    for token in set(tokens) - set(accepted):
        machines.client.send_task_success(taskToken=token, output='"rest"')
        accepted[token] = ["rest"]
    results = [result for arn in arns for result in json.loads(machines.finish(arn)["output"])]
    seen = sorted(result["Error"] if isinstance(result, dict) else result for result in results)
    assert seen == sorted(name for names in accepted.values() for name in names)


# -- a job has a token, too --------------------------------------------------------------------------------------------


def job(machines, queue, how, **after):
    """The execution of a Task that runs another state machine, which sends the Task's token and goes on to `after`."""
    send = {**queue.task(), "Resource": "arn:aws:states:::sqs:sendMessage", "Next": "After",
            "Parameters": {"QueueUrl": queue.url, "MessageBody": {"token.$": "$.token"}}}  # fmt: skip
    del send["End"]
    child = machines.create({"Send": send, "After": {"End": True, **after}})
    run = {"Type": "Task", "Resource": f"arn:aws:states:::states:startExecution{how}", "End": True,
           "Parameters": {"StateMachineArn": child, "Input": {"token.$": "$$.Task.Token"}}}  # fmt: skip
    return machines.start({"Run": run})


@pytest.mark.parametrize("how", [".sync", ".sync:2"])
def test_an_answer_ends_the_wait_for_a_job(machines, queue, how):
    """Recorded: callback/test_callback, test_sync_with_task_token."""
    arn = job(machines, queue, how, Type="Wait", Seconds=600)
    token = queue.token()
    machines.client.send_task_success(taskToken=token, output='"answered"')
    assert machines.finish(arn)["output"] == '"answered"'
    assert [kind for _, _, kind in machines.shape(arn)][2:6] == [
        "TaskScheduled", "TaskStarted", "TaskSubmitted", "TaskSucceeded"]  # fmt: skip
    assert refusal(machines.client.send_task_success, taskToken=token, output="1") == ("TaskTimedOut", CLOSED)


def test_a_job_that_ends_first_closes_the_token(machines, queue):
    arn = job(machines, queue, ".sync", Type="Pass", Result="done")
    token = queue.token()
    assert json.loads(json.loads(machines.finish(arn)["output"])["Output"]) == "done"
    assert refusal(machines.client.send_task_success, taskToken=token, output="1") == ("TaskTimedOut", CLOSED)


def test_a_job_is_stopped_with_the_execution_that_waits_for_it(machines, queue):
    """connect-to-resource.html, "Run a Job": a task that is aborted cancels its job."""
    arn = job(machines, queue, ".sync", Type="Wait", Seconds=600)
    queue.token()
    submitted = details(machines.wait_for(arn, "TaskSubmitted"))
    machines.client.stop_execution(executionArn=arn)
    assert machines.finish(json.loads(submitted["output"])["ExecutionArn"])["status"] == "ABORTED"
