"""Alarms of CloudWatch on messages that wait in a queue, executions that did not succeed, and 5xx of HTTP APIs.

MiniStack keeps alarms, has none of these metrics, and looks at an alarm only when a metric is put. Here an alarm is
looked at whenever somebody asks about it: the metric's value is the number of messages that could be received at that
moment (https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html),
or that of a state machine's executions that ended so within the alarm's last period
(https://docs.aws.amazon.com/step-functions/latest/dg/procedure-cw-metrics.html), or that of an API's answers with a 5xx
(https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-metrics.html). AWS takes a value a minute. An
alarm on another metric would never change its state, and an action would never be taken, so both are refused by name.
"""

import datetime
import operator
import time

from sandbox import http_apis

_COMPARISONS = {
    "GreaterThanOrEqualToThreshold": operator.ge,
    "GreaterThanThreshold": operator.gt,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}
# What an alarm becomes where its metric has no values: where there is no such queue, or no execution has ended so.
_WITHOUT_VALUES = {"missing": "INSUFFICIENT_DATA", "notBreaching": "OK", "breaching": "ALARM"}
_NEEDED = ("Statistic", "Period", "Threshold", "ComparisonOperator")
_NOT_HERE = ("AlarmActions", "OKActions", "InsufficientDataActions")


def install():
    """Put this over MiniStack's CloudWatch once that is loaded."""
    from ministack import app

    get_module = app._get_module
    put = []

    def get_module_with_ours(name):
        module = get_module(name)
        if name == "cloudwatch" and not put:
            put.append(name)
            _put_over(module)
        return module

    app._get_module = get_module_with_ours


def reset():
    """Nothing is kept."""


def _put_over(engine):
    def put_checked(put):
        def put_metric_alarm(params, document, is_cbor, is_json=False):
            if problem := _problem(document if is_cbor or is_json else _document(engine, params)):
                return engine._error("ValidationError", problem, 400, use_json=is_json, use_cbor=is_cbor)
            return put(params, document, is_cbor, is_json)

        return put_metric_alarm

    def put_composite_alarm(params, document, is_cbor, is_json=False):
        message = "The sandbox has no composite alarms."
        return engine._error("ValidationError", message, 400, use_json=is_json, use_cbor=is_cbor)

    def looked_at(describe):
        def describe_as_it_is(*request):
            engine._evaluate_all_alarms()
            return describe(*request)

        return describe_as_it_is

    engine._put_metric_alarm = put_checked(engine._put_metric_alarm)
    engine._put_composite_alarm = put_composite_alarm
    engine._evaluate_alarm = lambda alarm: _evaluate(engine, alarm)
    for name in ("_describe_alarms", "_describe_alarms_for_metric", "_describe_alarm_history"):
        setattr(engine, name, looked_at(getattr(engine, name)))


def _document(engine, params):
    """A request of the query protocol, which older SDKs speak, in the form of the others as far as it is looked at."""
    document = {}
    for key in params:
        name, *nested = key.split(".")
        if nested and nested[-1] == "Value":
            continue
        value = engine._p(params, key)
        document[name] = [*document.get(name, []), {"Name": value}] if nested else value
    return document


def _problem(asked):
    """Why the sandbox does not make an alarm, as a sentence; None if it does."""
    metric = _METRICS.get((asked.get("Namespace"), asked.get("MetricName")))
    if metric is None:
        return f"The sandbox has alarms on {', '.join(map(' '.join, _METRICS))}, and on no other metric."
    dimension, statistics, _ = metric
    if [each.get("Name") for each in asked.get("Dimensions") or []] != [dimension]:
        return f"The sandbox wants one dimension for this metric: {dimension}."
    if missing := [name for name in _NEEDED if asked.get(name) is None]:
        return f"The sandbox wants {', '.join(missing)} for an alarm on a metric."
    if asked["Statistic"] not in statistics:
        return f"The sandbox has these statistics of this metric: {', '.join(statistics)}."
    if asked["ComparisonOperator"] not in _COMPARISONS:
        return f"The sandbox compares with a threshold: {', '.join(_COMPARISONS)}."
    if actions := [name for name in _NOT_HERE if asked.get(name)]:
        return f"The sandbox's alarms do nothing but change their state: it has no {', '.join(actions)}."
    if int(asked["EvaluationPeriods"]) != 1:
        return "The sandbox looks at an alarm when somebody asks about it: EvaluationPeriods can only be 1."
    return None


def _evaluate(engine, alarm):
    """In place of MiniStack's: compare with how it is now."""
    sign, limit = alarm["ComparisonOperator"], alarm["Threshold"]
    _, _, look = _METRICS[alarm["Namespace"], alarm["MetricName"]]
    value = look(alarm["Dimensions"][0]["Value"], int(alarm["Period"]))
    if value is None:
        state = _WITHOUT_VALUES.get(alarm["TreatMissingData"], alarm["StateValue"])
        reason = "Insufficient Data: there is no value of this metric."
    else:
        crossed = _COMPARISONS[sign](value, limit)
        state = "ALARM" if crossed else "OK"
        reason = f"Threshold Crossed: 1 datapoint [{value:.1f}] was {'' if crossed else 'not '}{sign} ({limit})."
    if state != alarm["StateValue"]:
        engine._record_history(alarm["AlarmName"], alarm["StateValue"], state, reason)
        alarm |= {"StateValue": state, "StateReason": reason, "StateUpdatedTimestamp": int(time.time())}


def _waiting(queue_name, period):
    """How many messages could be received from a queue now; None where there is no queue of that name."""
    from ministack.services import sqs

    queue = sqs._queues.get(sqs._queue_name_to_url.get(queue_name))
    if queue is None:
        return None
    sqs._refresh_counts(queue)
    return int(queue["attributes"]["ApproximateNumberOfMessages"])


def _ended(status):
    """How many executions of a state machine have ended with this status within the last seconds; None for none."""

    def count(machine, period):
        from ministack.services import stepfunctions

        since = datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=period)
        ended = [
            each["stopDate"]
            for each in stepfunctions._executions.values()
            if each["stateMachineArn"] == machine and each["status"] == status
        ]
        return sum(datetime.datetime.fromisoformat(each) > since for each in ended) or None

    return count


def _answered_5xx(api_id, period):
    """How often an HTTP API has answered with a 5xx within the last seconds; None for never."""
    return http_apis.failures(api_id, period) or None


_OF_ONE_VALUE = ("Maximum", "Minimum", "Average", "Sum")
# (Namespace, name) -> its dimension, the statistics that fit, and the call that tells its value.
_METRICS = {
    ("AWS/ApiGateway", "5xx"): ("ApiId", ("Sum",), _answered_5xx),
    ("AWS/SQS", "ApproximateNumberOfMessagesVisible"): ("QueueName", _OF_ONE_VALUE, _waiting),
    ("AWS/States", "ExecutionsFailed"): ("StateMachineArn", ("Sum",), _ended("FAILED")),
    ("AWS/States", "ExecutionsTimedOut"): ("StateMachineArn", ("Sum",), _ended("TIMED_OUT")),
    ("AWS/States", "ExecutionsAborted"): ("StateMachineArn", ("Sum",), _ended("ABORTED")),
}
