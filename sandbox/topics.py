"""SNS as far as a topic with functions and queues behind it goes, as AWS has it, around MiniStack's.

MiniStack keeps topics, policies and subscriptions, and matches filter policies. Here what AWS refuses is refused in its
words, and a message is delivered: only where the function's or the queue's policy lets SNS do so for this topic, to a
function asynchronously, so that its errors are Lambda's to retry, and else to the subscription's dead-letter queue
(https://docs.aws.amazon.com/sns/latest/dg/sns-dead-letter-queues.html: no retry where a permission or the target is
missing). Refusals and events are recorded (localstack/localstack, tests/aws/services/sns/test_sns.snapshot.json).

The sandbox has no FIFO topics, no encrypted ones, and delivers to nothing but functions and queues: all else is refused
by name. Messages are not signed.
"""

import json
import logging
import re
import time

from sandbox import permissions

_PROTOCOLS = ("lambda", "sqs")
_OTHER_PROTOCOLS = ("application", "email", "email-json", "firehose", "http", "https", "sms")
_TOPIC_ATTRIBUTES = {"DisplayName", "Policy"}
_SUBSCRIPTION_ATTRIBUTES = {"FilterPolicy", "FilterPolicyScope", "RawMessageDelivery", "RedrivePolicy"}
# https://docs.aws.amazon.com/sns/latest/dg/string-value-matching.html, numeric-value-matching.html
_RULES = {"prefix": str, "suffix": str, "equals-ignore-case": str, "wildcard": str, "cidr": str, "exists": bool,
          "numeric": list, "anything-but": (str, int, float, list, dict)}  # fmt: skip
_PLATFORM = ("_create_platform_application", "_list_platform_applications", "_get_platform_application_attributes",
             "_set_platform_application_attributes", "_create_platform_endpoint", "_delete_platform_application",
             "_get_endpoint_attributes", "_set_endpoint_attributes", "_delete_endpoint")  # fmt: skip

logger = logging.getLogger("topics")


class Refused(Exception):
    """SNS refuses a request. code, status: of the error."""

    def __init__(self, code, message, status=400):
        super().__init__(message)
        self.code = code
        self.status = status


def install():
    """Put this over MiniStack's SNS once that is loaded."""
    from ministack import app

    get_module = app._get_module
    put = []

    def get_module_with_ours(name):
        module = get_module(name)
        if name == "sns" and not put:
            put.append(name)
            _put_over(module)
        return module

    app._get_module = get_module_with_ours


def reset():
    """Nothing is kept."""


def _engine():
    from ministack import app

    return app._get_module("sns")


def exists(topic_arn):
    return _engine()._topic_by_arn_any_scope(topic_arn) is not None


def publish(topic_arn, message, subject="", structure="", attributes=None):
    """Publish a text to a topic and return the message's id. attributes: by name, each with DataType and StringValue.

    Who may is for the caller to ask. Raises Refused.
    """
    engine = _engine()
    if not exists(topic_arn):
        raise Refused("NotFound", "Topic does not exist", 404)
    if not message:
        raise _invalid("Empty message")
    if engine._message_payload_size(message, attributes or {}) > engine._SNS_MAX_PAYLOAD_BYTES:
        raise _invalid("Message too long")
    if subject and (len(subject) >= 100 or not subject.isascii() or not subject.isprintable()):
        raise _invalid("Subject")
    if structure == "json":
        _check_structure(message)
    elif structure:
        raise _invalid("MessageStructure")
    return engine.publish_internal(
        topic_arn, message, subject, message_structure=structure, message_attributes=attributes or {}
    )["message_id"]


def _check_structure(message):
    try:
        default = json.loads(message)["default"]
    except ValueError:
        raise _invalid("Message Structure - JSON message body failed to parse") from None
    except (KeyError, TypeError):
        default = None
    if not isinstance(default, str):
        raise _invalid("Message Structure - No default entry in JSON message body")


def _invalid(what):
    return Refused("InvalidParameter", f"Invalid parameter: {what}")


def _not_here(what):
    return Refused("InvalidParameter", f"Invalid parameter: The sandbox {what}")


# -- requests ----------------------------------------------------------------------------------------------------------


def _put_over(engine):
    error = engine._error

    def error_of_aws(code, message, status):
        # MiniStack has these codes with a suffix, and the ARN in the message.
        code = {"InvalidParameterException": "InvalidParameter"}.get(code, code)
        return error(code, re.sub("^(Topic|Subscription) does not exist: .*", r"\1 does not exist", message), status)

    def checked(check, work):
        def work_checked(params):
            try:
                return check(engine, params) or work(params)
            except Refused as refused:
                return error(refused.code, str(refused), refused.status)

        return work_checked

    def not_here(engine, params):
        raise _not_here("has no mobile push")

    engine._error = error_of_aws
    engine._create_topic = checked(_check_topic, engine._create_topic)
    engine._set_topic_attributes = checked(_check_topic_attribute, engine._set_topic_attributes)
    engine._subscribe = checked(_check_subscription, engine._subscribe)
    engine._set_subscription_attributes = checked(_check_subscription_attribute, engine._set_subscription_attributes)
    engine._publish = checked(_publish, None)
    for name in _PLATFORM:
        setattr(engine, name, checked(not_here, None))
    engine._fanout = _fanout


def _entries(engine, params):
    """The attributes in a request, as a dict."""
    found, number = {}, 1
    while key := engine._p(params, f"Attributes.entry.{number}.key"):
        found[key] = engine._p(params, f"Attributes.entry.{number}.value")
        number += 1
    return found


def _check_topic(engine, params):
    name, attributes = engine._p(params, "Name"), _entries(engine, params)
    if name.endswith(".fifo") or attributes.get("FifoTopic") == "true":
        raise _not_here("has no FIFO topics")
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,256}", name):
        raise _invalid("Topic Name")
    for attribute in attributes:
        _known_of_topic(attribute, attributes[attribute])


def _check_topic_attribute(engine, params):
    _known_of_topic(engine._p(params, "AttributeName"), engine._p(params, "AttributeValue"))


def _known_of_topic(name, value):
    if name not in _TOPIC_ATTRIBUTES and (name, value) != ("FifoTopic", "false"):
        raise _not_here(
            f"does not support the topic attribute '{name}'. It has {', '.join(sorted(_TOPIC_ATTRIBUTES))}."
        )


def _check_subscription(engine, params):
    protocol, endpoint = engine._p(params, "Protocol"), engine._p(params, "Endpoint")
    if protocol in _OTHER_PROTOCOLS:
        raise _not_here(f"delivers to {' and '.join(_PROTOCOLS)} only, not to '{protocol}'")
    if protocol not in _PROTOCOLS:
        raise _invalid(f"Amazon SNS does not support this protocol string: {protocol}")
    if protocol == "sqs":
        if endpoint.endswith(".fifo"):
            raise _invalid(
                "Invalid parameter: Endpoint Reason: FIFO SQS Queues can not be subscribed to standard SNS topics"
            )
        if engine._sqs._queue_by_arn(endpoint) is None:
            raise _invalid("SQS endpoint ARN")
    attributes = _entries(engine, params)
    for name, value in attributes.items():
        _known_of_subscription(name, value, "Attributes Reason: ", attributes)
    topic = engine._topic_by_arn_any_scope(engine._p(params, "TopicArn"))
    for existing in topic["subscriptions"] if topic else ():
        if (existing["protocol"], existing["endpoint"]) == (protocol, endpoint):
            kept = {name: existing["attributes"].get(name) for name in attributes}
            if kept != attributes:
                raise _invalid("Attributes Reason: Subscription already exists with different attributes")


def _check_subscription_attribute(engine, params):
    subscription = engine._find_subscription(
        engine._sub_arn_to_topic.get(engine._p(params, "SubscriptionArn")) or "", engine._p(params, "SubscriptionArn")
    )
    name, value = engine._p(params, "AttributeName"), engine._p(params, "AttributeValue")
    if subscription:
        _known_of_subscription(name, value, "", {**subscription["attributes"], name: value})


def _known_of_subscription(name, value, where, attributes):
    """Raise Refused for an attribute of a subscription that is unknown or has no such value."""
    if name not in _SUBSCRIPTION_ATTRIBUTES:
        known = ", ".join(sorted(_SUBSCRIPTION_ATTRIBUTES))
        raise _not_here(f"does not support the subscription attribute '{name}'. It has {known}.")
    if name == "RawMessageDelivery" and value not in ("true", "false"):
        raise _invalid(f"{where}RawMessageDelivery: Invalid value [{value}]. Must be true or false.")
    if name == "FilterPolicyScope" and value not in ("MessageAttributes", "MessageBody"):
        raise _invalid(f"{where}FilterPolicyScope: Invalid value [{value}].")
    if name in ("FilterPolicy", "RedrivePolicy") and value:
        try:
            document = json.loads(value)
        except ValueError as problem:
            raise _invalid(f"{where}{name}: failed to parse JSON. {problem}") from None
        if name == "FilterPolicy":
            _check_filter(document, where, attributes.get("FilterPolicyScope") == "MessageBody")
        elif not _is_queue((document or {}).get("deadLetterTargetArn") if isinstance(document, dict) else None):
            raise _invalid(f"{where}RedrivePolicy: deadLetterTargetArn is an invalid arn")


def _is_queue(arn):
    return isinstance(arn, str) and re.fullmatch(r"arn:aws:sqs:[\w-]+:\d{12}:[\w-]+", arn) is not None


def _check_filter(policy, where, nested):
    """Raise Refused for what is no filter policy: it would let nothing, or all, through."""
    if not isinstance(policy, dict):
        raise _invalid(f"{where}FilterPolicy: Filter policy must be an object")
    for key, rules in policy.items():
        if isinstance(rules, dict) and nested:
            _check_filter(rules, where, nested)
            continue
        if not isinstance(rules, list) or not rules:
            raise _invalid(f'{where}FilterPolicy: "{key}" must be an object or an array')
        if (
            key == "$or"
            and len(rules) > 1
            and all(isinstance(rule, dict) and not rule.keys() & _RULES for rule in rules)
        ):
            for rule in rules:
                _check_filter(rule, where, nested)
            continue
        for rule in rules:
            if isinstance(rule, dict):
                name, value = next(iter(rule.items()), (None, None))
                if len(rule) != 1 or name not in _RULES or not isinstance(value, _RULES[name]):
                    raise _invalid(f"{where}FilterPolicy: Unrecognized match type {name}")
            elif isinstance(rule, list):
                raise _invalid(f"{where}FilterPolicy: Match value must be String, number, true, false, or null")


def _publish(engine, params):
    """Publish, to a topic."""
    for name, what in (("PhoneNumber", "sends no text messages"), ("MessageGroupId", "has no FIFO topics")):
        if engine._p(params, name):
            raise _not_here(what)
    arn = engine._p(params, "TopicArn") or engine._p(params, "TargetArn")
    if arn.count(":") < 5:
        raise _invalid(f"TopicArn Reason: An ARN must have at least 6 elements, not {arn.count(':') + 1}")
    topic, refusal = engine._get_topic(arn, "sns:Publish")
    if refusal:
        return refusal
    identity = publish(
        topic["arn"],
        engine._p(params, "Message"),
        engine._p(params, "Subject"),
        engine._p(params, "MessageStructure"),
        engine._parse_message_attributes(params),
    )
    return engine._xml(200, "PublishResponse", f"<PublishResult><MessageId>{identity}</MessageId></PublishResult>")


# -- delivery ----------------------------------------------------------------------------------------------------------


class _Undeliverable(Exception):
    """A subscription did not take a message."""


def _fanout(topic_arn, message_id, message, subject, structure="", attributes=None, **_of_fifo):
    """In place of MiniStack's: hand a message to each subscription of a topic."""
    engine, attributes = _engine(), attributes or {}
    for subscription in list(engine._topic_by_arn_any_scope(topic_arn)["subscriptions"]):
        text = engine._resolve_message_for_protocol(message, structure, subscription["protocol"])
        if not engine._matches_filter_policy(subscription, attributes, text):
            continue
        notification = {
            "Type": "Notification",
            "MessageId": message_id,
            "TopicArn": topic_arn,
            "Subject": subject or None,
            "Message": text,
            "Timestamp": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()) + f".{int(time.time() * 1000) % 1000:03d}Z",
            "MessageAttributes": {
                name: {"Type": value["DataType"], "Value": value.get("StringValue") or value.get("BinaryValue", "")}
                for name, value in attributes.items()
            },
        }
        raw = subscription["attributes"].get("RawMessageDelivery") == "true" and subscription["protocol"] == "sqs"
        body = text if raw else _envelope(notification)
        try:
            if subscription["protocol"] == "sqs":
                _to_queue(subscription["endpoint"], topic_arn, body, attributes if raw else {})
            else:
                _to_function(subscription, topic_arn, notification)
        except Exception as problem:
            logger.warning("%s did not take a message of %s: %s", subscription["endpoint"], topic_arn, problem)
            _bury(subscription, topic_arn, body, attributes if raw else {})


def _envelope(notification):
    """What a queue gets: what is empty is not there."""
    return json.dumps({name: value for name, value in notification.items() if value not in (None, {})})


def _to_queue(arn, topic_arn, body, attributes):
    from ministack.services import sqs

    queue = sqs._queue_by_arn(arn)
    if queue is None:
        raise _Undeliverable(f"the queue {arn} does not exist")
    if denial := permissions.service_denial("sns.amazonaws.com", "sqs:SendMessage", arn, topic_arn):
        raise _Undeliverable(denial)
    data = {"QueueUrl": queue["url"], "MessageBody": body, "MessageAttributes": attributes}
    sqs._act_send_message(data, queue["url"])


def _to_function(subscription, topic_arn, notification):
    """Invoke a function with the event that SNS makes (recorded: test_sns_topic_as_lambda_dead_letter_queue)."""
    from ministack.services import lambda_svc

    arn = subscription["endpoint"]
    function, config, _ = lambda_svc._get_func_record_for_ref(arn)
    if not config:
        raise _Undeliverable(f"the function {arn} does not exist")
    if denial := permissions.service_denial("sns.amazonaws.com", "lambda:InvokeFunction", arn, topic_arn):
        raise _Undeliverable(denial)
    record = {
        "EventVersion": "1.0",
        "EventSubscriptionArn": subscription["arn"],
        "EventSource": "aws:sns",
        "Sns": notification,
    }
    lambda_svc.invoke_async_with_retry(lambda_svc._execution_record_for_config(function, config), {"Records": [record]})


def _bury(subscription, topic_arn, body, attributes):
    """Put a message into the subscription's dead-letter queue, if it has one; without one it is lost, as on AWS."""
    policy = subscription["attributes"].get("RedrivePolicy")
    if not policy:
        return
    queue = json.loads(policy)["deadLetterTargetArn"]
    try:
        _to_queue(queue, topic_arn, body, attributes)
    except Exception as problem:
        logger.warning("A dead letter of %s is lost, since %s did not take it: %s", topic_arn, queue, problem)
