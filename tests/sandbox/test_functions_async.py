"""Invocations that nobody waits for: how often they are tried, and where they go when nothing helps.

Recordings: localstack/localstack, tests/aws/services/lambda_/test_lambda_destinations.snapshot.json. The pauses between
attempts are seconds here and about one and two minutes on AWS
(https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html).
"""

import json

import pytest
from handlers import Functions
from patience import PATIENCE
from state_machines import policy, unique, until

pytestmark = pytest.mark.takes(12)

FAILING = """
def handler(event, context):
    print("try", context.aws_request_id)
    if event.get("fail"):
        raise ValueError("boom")
    return {"done": event}
"""


@pytest.fixture(scope="module")
def functions(own_aws, own_sandbox):
    return Functions(own_aws, own_sandbox)


@pytest.fixture(autouse=True)
def short_pauses(functions):
    before = functions.settings()["retry_seconds"]
    functions.settings(retry_seconds=[0.05, 0.1])
    yield
    functions.settings(retry_seconds=before)


class Queue:
    def __init__(self, aws):
        self.client = aws("sqs")
        self.url = self.client.create_queue(QueueName=unique("queue"))["QueueUrl"]
        attributes = self.client.get_queue_attributes(QueueUrl=self.url, AttributeNames=["QueueArn"])
        self.arn = attributes["Attributes"]["QueueArn"]

    def next(self, within=PATIENCE):
        """The next message."""

        def received():
            answer = self.client.receive_message(QueueUrl=self.url, MessageAttributeNames=["All"], WaitTimeSeconds=1)
            return answer.get("Messages")

        message = until(received, within)[0]
        self.client.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
        return message

    def permit(self, service, source):
        """Let a service send to it, for the sake of a rule or another source."""
        allow = {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": self.arn,
                 "Principal": {"Service": service}, "Condition": {"ArnEquals": {"aws:SourceArn": source}}}  # fmt: skip
        self.client.set_queue_attributes(QueueUrl=self.url, Attributes={"Policy": policy(allow)})


@pytest.fixture
def queue(own_aws):
    return Queue(own_aws)


def send(functions, name, event):
    """Invoke a function asynchronously; gives the id of the request."""
    answer = functions.client.invoke(FunctionName=name, InvocationType="Event", Payload=json.dumps(event))
    assert answer["StatusCode"] == 202
    assert answer["Payload"].read() == b""
    return answer["ResponseMetadata"]["RequestId"]


def attempts(functions, name):
    return [message.split()[1] for message in functions.messages(name) if message.startswith("try")]


def test_what_succeeds_runs_once(functions):
    name = functions.create(FAILING)
    request = send(functions, name, {})
    functions.wait_for_message(name, "REPORT")
    assert attempts(functions, name) == [request]


def test_what_fails_is_tried_twice_again_with_the_same_request_id(functions, queue):
    name = functions.create(FAILING, DeadLetterConfig={"TargetArn": queue.arn})
    request = send(functions, name, {"fail": True})
    queue.next()  # what comes there is not tried any more
    assert attempts(functions, name) == [request] * 3


def test_the_pauses_are_those_that_were_set(functions):
    functions.settings(retry_seconds=[0.4, 0.8])
    name = functions.create(FAILING)
    send(functions, name, {"fail": True})
    functions.wait_for_message(name, "REPORT", count=3)
    moments = [event["timestamp"] for event in functions.events(name) if event["message"].startswith("try")]
    assert moments[1] - moments[0] >= 400
    assert moments[2] - moments[1] >= 800


def test_a_process_that_ends_and_one_that_takes_too_long_are_tried_again(functions):
    code = """
import os, time
def handler(event, context):
    print("try", context.aws_request_id)
    time.sleep(60) if event["hang"] else os._exit(1)
"""
    for hang in (False, True):
        name = functions.create(code, Timeout=1)
        send(functions, name, {"hang": hang})
        functions.wait_for_message(name, "REPORT", count=3)
        assert len(attempts(functions, name)) == 3


def test_fewer_attempts_when_the_function_says_so(functions, queue):
    name = functions.create(FAILING)
    functions.client.put_function_event_invoke_config(
        FunctionName=name, MaximumRetryAttempts=0, DestinationConfig={"OnFailure": {"Destination": queue.arn}}
    )
    request = send(functions, name, {"fail": True})
    told = json.loads(queue.next()["Body"])
    assert told["requestContext"].pop("functionArn").endswith(f":function:{name}:$LATEST")
    assert told["requestContext"] == {
        "requestId": request, "condition": "RetriesExhausted", "approximateInvokeCount": 1,
    }  # fmt: skip
    assert told["requestPayload"] == {"fail": True}
    assert told["responseContext"] == {
        "statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled",
    }  # fmt: skip
    assert told["responsePayload"].keys() == {"errorMessage", "errorType", "requestId", "stackTrace"}
    assert told["version"] == "1.0"
    assert attempts(functions, name) == [request]


def test_all_attempts_then_the_destination(functions, queue):
    name = functions.create(FAILING)
    functions.client.put_function_event_invoke_config(
        FunctionName=name, DestinationConfig={"OnFailure": {"Destination": queue.arn}}
    )
    send(functions, name, {"fail": True})
    told = json.loads(queue.next()["Body"])["requestContext"]
    assert (told["condition"], told["approximateInvokeCount"]) == ("RetriesExhausted", 3)


def test_an_event_that_gets_too_old(functions, queue):
    functions.settings(retry_seconds=[70, 70])
    name = functions.create(FAILING)
    functions.client.put_function_event_invoke_config(
        FunctionName=name, MaximumEventAgeInSeconds=60, DestinationConfig={"OnFailure": {"Destination": queue.arn}}
    )
    send(functions, name, {"fail": True})
    told = json.loads(queue.next()["Body"])["requestContext"]
    assert (told["condition"], told["approximateInvokeCount"]) == ("EventAgeExceeded", 1)


def test_success_has_a_destination_too(functions, queue):
    name = functions.create(FAILING)
    functions.client.put_function_event_invoke_config(
        FunctionName=name, DestinationConfig={"OnSuccess": {"Destination": queue.arn}}
    )
    send(functions, name, {"a": 1})
    told = json.loads(queue.next()["Body"])
    assert told["requestContext"]["condition"] == "Success"
    assert told["responsePayload"] == {"done": {"a": 1}}
    assert told["responseContext"] == {"statusCode": 200, "executedVersion": "$LATEST"}


def test_destinations_of_other_kinds(functions, own_aws, queue):
    other, name = (
        functions.create("def handler(event, context): print('told', event['requestContext']['condition'])"),
        None,
    )
    name = functions.create(FAILING)
    arn = f"arn:aws:lambda:us-east-1:111122223333:function:{other}"
    bus = "arn:aws:events:us-east-1:111122223333:event-bus/default"
    functions.client.put_function_event_invoke_config(
        FunctionName=name, MaximumRetryAttempts=0,
        DestinationConfig={"OnSuccess": {"Destination": arn}, "OnFailure": {"Destination": bus}},
    )  # fmt: skip
    send(functions, name, {})
    functions.wait_for_message(other, "told Success")

    events, rule = own_aws("events"), unique("rule")
    pattern = {"source": ["lambda"], "detail-type": ["Lambda Function Invocation Result - Failure"],
               "detail": {"requestContext": {"functionArn": [{"suffix": f"{name}:$LATEST"}]}}}  # fmt: skip
    queue.permit("events.amazonaws.com", events.put_rule(Name=rule, EventPattern=json.dumps(pattern))["RuleArn"])
    events.put_targets(Rule=rule, Targets=[{"Id": "1", "Arn": queue.arn}])
    send(functions, name, {"fail": True})
    assert json.loads(queue.next()["Body"])["detail"]["responsePayload"]["errorType"] == "ValueError"


def test_the_dead_letter_queue(functions, queue):
    name = functions.create(FAILING, DeadLetterConfig={"TargetArn": queue.arn})
    request = send(functions, name, {"fail": True})
    message = queue.next()
    assert json.loads(message["Body"]) == {"fail": True}
    assert message["MessageAttributes"] == {
        "ErrorCode": {"DataType": "Number", "StringValue": "200"},
        "ErrorMessage": {"DataType": "String", "StringValue": "boom"},
        "RequestID": {"DataType": "String", "StringValue": request},
    }


def test_without_permission_nothing_reaches_the_queue(functions, queue, own_sandbox):
    logs = {"logs:*": "*"}
    name = functions.create(FAILING, permissions=logs, DeadLetterConfig={"TargetArn": queue.arn})
    send(functions, name, {"fail": True})

    def told():
        with open(own_sandbox["log"], encoding="utf-8") as log:
            return [line for line in log if name in line and "sqs:SendMessage" in line]

    assert "is not authorized to perform: sqs:SendMessage on resource: " + queue.arn in until(told)[0]
    answer = queue.client.receive_message(QueueUrl=queue.url, WaitTimeSeconds=0)
    assert "Messages" not in answer


def test_what_was_throttled_is_tried_until_there_is_room(functions):
    name = functions.create(FAILING)
    functions.client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    request = send(functions, name, {})
    # Another one, which has failed three times by then.
    other = functions.create(FAILING)
    send(functions, other, {"fail": True})
    functions.wait_for_message(other, "REPORT", count=3)
    assert attempts(functions, name) == []
    functions.client.delete_function_concurrency(FunctionName=name)
    functions.wait_for_message(name, "REPORT")
    assert attempts(functions, name) == [request]


def test_a_payload_that_is_too_large_for_an_event(functions):
    name = functions.create(FAILING)
    with pytest.raises(functions.client.exceptions.ClientError) as refused:
        send(functions, name, "x" * 2**20)
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 413
    assert "1048576 bytes" in refused.value.response["Error"]["Message"]
