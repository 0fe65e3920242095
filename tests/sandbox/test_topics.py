"""SNS: a topic with functions and queues behind it, as a target of rules and in state machines.

Recordings: localstack/localstack, tests/aws/services/sns/test_sns.snapshot.json and
tests/aws/services/stepfunctions/v2/services/test_sns_task_service.snapshot.json.
"""

import json

import pytest
from botocore.exceptions import ClientError
from handlers import Functions
from state_machines import StateMachines, details, policy, unique, until
from test_functions_async import Queue

ACCOUNT = "111122223333"
SEEING = "import json\ndef handler(event, context):\n    print('seen', json.dumps(event))"


@pytest.fixture(scope="module")
def machines(aws):
    return StateMachines(aws)


@pytest.fixture(scope="module")
def functions(aws, sandbox):
    return Functions(aws, sandbox)


class Topic:
    def __init__(self, aws, **options):
        self.sns = aws("sns")
        self.arn = self.sns.create_topic(Name=unique("topic"), **options)["TopicArn"]

    def subscribe(self, protocol, endpoint, **attributes):
        answer = self.sns.subscribe(
            TopicArn=self.arn, Protocol=protocol, Endpoint=endpoint, Attributes=attributes, ReturnSubscriptionArn=True
        )
        return answer["SubscriptionArn"]

    def publish(self, message, **options):
        return self.sns.publish(TopicArn=self.arn, Message=message, **options)["MessageId"]


@pytest.fixture
def topic(aws):
    return Topic(aws)


@pytest.fixture
def queue(aws, topic):
    """A queue into which the topic may put messages."""
    queue = Queue(aws)
    queue.permit("sns.amazonaws.com", topic.arn)
    return queue


def refusal(call, *arguments, **named):
    with pytest.raises(ClientError) as refused:
        call(*arguments, **named)
    return refused.value.response["Error"]["Code"], refused.value.response["Error"]["Message"]


# -- to a queue and to a function --------------------------------------------------------------------------------------


def test_to_a_queue(topic, queue):
    topic.subscribe("sqs", queue.arn)
    attribute = {"kind": {"DataType": "String", "StringValue": "a"}}
    identity = topic.publish("hello", Subject="s", MessageAttributes=attribute)
    found = json.loads(queue.next()["Body"])
    moment = found.pop("Timestamp")
    assert len(moment) == len("2026-11-29T00:00:00.000Z") and moment.endswith("Z")
    assert found == {"Type": "Notification", "MessageId": identity, "TopicArn": topic.arn, "Subject": "s",
                     "Message": "hello", "MessageAttributes": {"kind": {"Type": "String", "Value": "a"}}}  # fmt: skip


def test_to_a_queue_as_it_is(topic, queue):
    topic.subscribe("sqs", queue.arn, RawMessageDelivery="true")
    topic.publish("hello", MessageAttributes={"kind": {"DataType": "String", "StringValue": "a"}})
    message = queue.next()
    assert (message["Body"], message["MessageAttributes"]["kind"]["StringValue"]) == ("hello", "a")


def test_to_a_function(topic, functions):
    """Recorded: test_sns_topic_as_lambda_dead_letter_queue."""
    name = functions.create(SEEING)
    arn = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:{name}"
    functions.client.add_permission(
        FunctionName=name, StatementId="sns", Action="lambda:InvokeFunction", Principal="sns.amazonaws.com",
        SourceArn=topic.arn,
    )  # fmt: skip
    subscription = topic.subscribe("lambda", arn)
    identity = topic.publish("hello")
    seen = json.loads(functions.wait_for_message(name, "seen")[0].removeprefix("seen "))
    (record,) = seen["Records"]
    sns = record.pop("Sns")
    assert record == {"EventVersion": "1.0", "EventSubscriptionArn": subscription, "EventSource": "aws:sns"}
    assert (sns["MessageId"], sns["Message"], sns["Subject"], sns["MessageAttributes"]) == (identity, "hello", None, {})


@pytest.mark.parametrize("protocol", ["sqs", "lambda"])
def test_without_permission_a_message_goes_to_the_dead_letter_queue(topic, queue, functions, aws, protocol):
    """sns-dead-letter-queues.html: a missing permission is a client-side error, and not tried again."""
    letters, closed = queue, Queue(aws)
    arn = closed.arn
    if protocol == "lambda":
        arn = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:{functions.create(SEEING)}"
    topic.subscribe(protocol, arn, RedrivePolicy=json.dumps({"deadLetterTargetArn": letters.arn}))
    topic.publish("hello")
    assert json.loads(letters.next()["Body"])["Message"] == "hello"
    assert "Messages" not in closed.client.receive_message(QueueUrl=closed.url)


def test_filter_policies(topic, queue):
    wanted = json.dumps({"kind": ["a", {"prefix": "b-"}], "n": [{"numeric": [">", 1]}]})
    topic.subscribe("sqs", queue.arn, FilterPolicy=wanted, RawMessageDelivery="true")
    for message, kind, n in (("one", "a", "2"), ("two", "c", "2"), ("three", "b-1", "1"), ("four", "b-1", "7")):
        attributes = {
            "kind": {"DataType": "String", "StringValue": kind},
            "n": {"DataType": "Number", "StringValue": n},
        }
        topic.publish(message, MessageAttributes=attributes)
    assert {queue.next()["Body"], queue.next()["Body"]} == {"one", "four"}
    assert "Messages" not in queue.client.receive_message(QueueUrl=queue.url)


def test_a_message_for_each_protocol(topic, queue):
    topic.subscribe("sqs", queue.arn, RawMessageDelivery="true")
    topic.publish(json.dumps({"default": "for all", "sqs": "for queues"}), MessageStructure="json")
    assert queue.next()["Body"] == "for queues"


# -- refusals ----------------------------------------------------------------------------------------------------------


def test_what_aws_refuses(topic, queue):
    """Recorded, all of it, but for filter policies with rules that there are not."""
    invalid = "InvalidParameter"
    publish, subscribe = topic.publish, topic.subscribe
    assert refusal(topic.sns.publish, TopicArn=topic.arn + "x", Message="m") == ("NotFound", "Topic does not exist")
    assert refusal(publish, "") == (invalid, "Invalid parameter: Empty message")
    assert refusal(publish, "m" * 262_145) == (invalid, "Invalid parameter: Message too long")
    assert refusal(publish, "{}", MessageStructure="json") == (
        invalid, "Invalid parameter: Message Structure - No default entry in JSON message body")  # fmt: skip
    assert refusal(publish, "m", MessageStructure="json") == (
        invalid, "Invalid parameter: Message Structure - JSON message body failed to parse")  # fmt: skip
    assert refusal(subscribe, "test-protocol", "x") == (
        invalid, "Invalid parameter: Amazon SNS does not support this protocol string: test-protocol")  # fmt: skip
    assert refusal(subscribe, "sqs", queue.arn + "x") == (invalid, "Invalid parameter: SQS endpoint ARN")
    assert refusal(subscribe, "sqs", queue.arn, RawMessageDelivery="wrongvalue") == (
        invalid, "Invalid parameter: Attributes Reason: RawMessageDelivery: Invalid value [wrongvalue]. "
        "Must be true or false.")  # fmt: skip
    assert refusal(topic.sns.create_topic, Name="a b") == (invalid, "Invalid parameter: Topic Name")
    arn = subscribe("sqs", queue.arn)
    assert subscribe("sqs", queue.arn) == arn
    different = "Invalid parameter: Attributes Reason: Subscription already exists with different attributes"
    assert refusal(subscribe, "sqs", queue.arn, RawMessageDelivery="true") == (invalid, different)
    for wrong in ("{", "[]", '{"a": "b"}', '{"a": [{"near": 1}]}', '{"a": [{"prefix": 1}]}', '{"a": [["b"]]}'):
        code, message = refusal(topic.sns.set_subscription_attributes, SubscriptionArn=arn,
                                AttributeName="FilterPolicy", AttributeValue=wrong)  # fmt: skip
        assert code == invalid and message.startswith("Invalid parameter: FilterPolicy: "), wrong
    assert refusal(topic.sns.set_subscription_attributes, SubscriptionArn=arn, AttributeName="RedrivePolicy",
                   AttributeValue='{"deadLetterTargetArn": "x"}') == (
        invalid, "Invalid parameter: RedrivePolicy: deadLetterTargetArn is an invalid arn")  # fmt: skip


def test_what_the_sandbox_has_not_is_refused_by_name(topic, queue):
    def named(call, *arguments, **options):
        code, message = refusal(call, *arguments, **options)
        assert (code, message.startswith("Invalid parameter: The sandbox ")) == ("InvalidParameter", True), message
        return message

    for protocol in ("http", "https", "email", "email-json", "sms", "application", "firehose"):
        assert f"'{protocol}'" in named(topic.subscribe, protocol, "http://127.0.0.1:1/")
    assert "FIFO" in named(topic.sns.create_topic, Name=unique("topic") + ".fifo", Attributes={"FifoTopic": "true"})
    assert "'KmsMasterKeyId'" in named(topic.sns.create_topic, Name=unique("t"), Attributes={"KmsMasterKeyId": "k"})
    assert "'DeliveryPolicy'" in named(topic.sns.set_topic_attributes, TopicArn=topic.arn,
                                       AttributeName="DeliveryPolicy", AttributeValue="{}")  # fmt: skip
    assert "'SubscriptionRoleArn'" in named(topic.subscribe, "sqs", queue.arn, SubscriptionRoleArn="r")
    assert "text messages" in named(topic.sns.publish, PhoneNumber="+15551234567", Message="m")
    assert "mobile push" in named(topic.sns.list_platform_applications)


# -- from a rule and from a state machine ------------------------------------------------------------------------------


def test_a_rule_needs_the_topic_s_permission(aws, topic, queue):
    events, source, letters = aws("events"), unique("source"), Queue(aws)
    rule = events.put_rule(Name=source, EventPattern=json.dumps({"source": [source]}))["RuleArn"]
    letters.permit("events.amazonaws.com", rule)
    target = {"Id": "1", "Arn": topic.arn, "InputPath": "$.detail", "DeadLetterConfig": {"Arn": letters.arn}}
    events.put_targets(Rule=source, Targets=[target])
    topic.subscribe("sqs", queue.arn, RawMessageDelivery="true")
    entry = {"Source": source, "DetailType": "t", "Detail": '{"n": 1}'}
    events.put_events(Entries=[entry])
    assert letters.next()["MessageAttributes"]["ERROR_CODE"]["StringValue"] == "NO_PERMISSIONS"
    allow = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sns:Publish",
             "Resource": topic.arn, "Condition": {"ArnEquals": {"aws:SourceArn": rule}}}  # fmt: skip
    topic.sns.set_topic_attributes(TopicArn=topic.arn, AttributeName="Policy", AttributeValue=policy(allow))
    events.put_events(Entries=[entry])
    assert json.loads(queue.next()["Body"]) == {"n": 1}


def publishing(topic_arn, message, how="", **more):
    return {"T": {"Type": "Task", "Resource": f"arn:aws:states:::sns:publish{how}", "End": True,
                  "Parameters": {"TopicArn": topic_arn, "Message": message, **more}}}  # fmt: skip


@pytest.mark.parametrize(
    ("message", "published"), [("text", "text"), ({"a": [1]}, '{"a":[1]}'), (1, "1"), (True, "true")]
)
def test_a_state_publishes(machines, topic, queue, message, published):
    """Recorded: test_publish_base and test_publish_message_attributes."""
    topic.subscribe("sqs", queue.arn, RawMessageDelivery="true")
    attributes = {"kind": {"DataType": "String", "StringValue": "a"}}
    run = machines.run(publishing(topic.arn, message, MessageAttributes=attributes))
    assert set(json.loads(run["output"])) == {"MessageId", "SdkHttpMetadata", "SdkResponseMetadata"}
    found = queue.next()
    assert (found["Body"], found["MessageAttributes"]["kind"]["StringValue"]) == (published, "a")


def test_a_state_that_cannot_publish(machines, topic):
    """Recorded: test_publish_base_error_topic_arn."""
    run = machines.run(publishing(topic.arn + "x", "m"))
    assert run["error"] == "SNS.NotFoundException"
    assert run["cause"].startswith(
        "Topic does not exist (Service: AmazonSNS; Status Code: 404; Error Code: NotFound; Request ID: "
    )


def test_a_token_in_a_message(machines, topic, queue):
    """aws-samples/step-functions-workflows-collection, wait-for-callback: the token goes out by a topic."""
    topic.subscribe("sqs", queue.arn)
    arn = machines.start(publishing(topic.arn, {"token.$": "$$.Task.Token"}, ".waitForTaskToken"))
    token = json.loads(json.loads(queue.next()["Body"])["Message"])["token"]
    machines.client.send_task_success(taskToken=token, output='{"approved": true}')
    assert json.loads(machines.finish(arn)["output"]) == {"approved": True}
    scheduled = details(machines.events(arn, "TaskScheduled")[0])
    assert (scheduled["resourceType"], scheduled["resource"]) == ("sns", "publish.waitForTaskToken")


def test_the_execution_role_must_allow_it(aws, machines, topic, queue):
    iam, name = aws("iam"), unique("role")
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "states.amazonaws.com"}}
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=policy(trust))["Role"]["Arn"]
    topic.subscribe("sqs", queue.arn, RawMessageDelivery="true")

    def run(resource):
        states = publishing(topic.arn, "m")
        states["T"]["Resource"] = f"arn:aws:states:::{resource}"
        machine = machines.client.create_state_machine(
            name=unique("machine"), roleArn=role, definition=json.dumps({"StartAt": "T", "States": states})
        )["stateMachineArn"]
        return machines.finish(machines.client.start_execution(stateMachineArn=machine)["executionArn"])

    for resource, error in (
        ("sns:publish", "SNS.AmazonSNSException"),
        ("aws-sdk:sns:publish", "Sns.AuthorizationErrorException"),
    ):
        denied = run(resource)
        assert denied["error"] == error
        assert f"is not authorized to perform: sns:Publish on resource: {topic.arn}" in denied["cause"]
    allow = {"Effect": "Allow", "Action": "sns:Publish", "Resource": topic.arn}
    iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=policy(allow))
    for resource in ("sns:publish", "aws-sdk:sns:publish"):
        assert run(resource)["status"] == "SUCCEEDED"
        assert until(lambda: queue.next()["Body"]) == "m"
