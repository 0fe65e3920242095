"""What others are told of an execution: its status on the event bus, its event in the function's dead-letter queue."""

import datetime
import json
import logging
import queue
import sys
import threading

from sandbox import ACCOUNT, REGION, permissions

from . import functions

logger = logging.getLogger("durable")


def status_changed(execution, status):
    """Put `Durable Execution Status Change` on the default event bus.

    https://docs.aws.amazon.com/lambda/latest/dg/durable-monitoring.html shows the event, for RUNNING and the ends; it
    says that every change of status makes one, so PAUSING and PAUSED do here too.
    """
    if "ministack.services.eventbridge" not in sys.modules:
        return  # nobody can have made a rule
    started = execution.operations[0]
    detail = {
        "durableExecutionArn": execution.durable_execution_arn,
        "durableExecutionName": execution.start_input.execution_name,
        "functionArn": execution.function_arn(REGION),
        "status": status,
        "startTimestamp": _text(started.start_timestamp),
    }
    if execution.is_complete:
        detail["endTimestamp"] = _text(started.end_timestamp)
    entry = {"Source": "aws.lambda", "DetailType": "Durable Execution Status Change", "Detail": json.dumps(detail)}
    _send(lambda: _put(entry))


def to_dead_letter_queue(execution):
    """The event of an asynchronous execution that did not succeed, for the function's dead-letter queue.

    AWS retries no durable execution (https://docs.aws.amazon.com/lambda/latest/dg/durable-best-practices.html). The
    message is that of any function's dead-letter queue: the event, and three attributes.
    """
    if execution.synchronous or execution.parent_execution_arn or execution.close_status.value == "SUCCEEDED":
        return
    try:
        config = functions.find(execution.start_input.function_name).record["config"]
    except functions.Refused:  # the function is gone
        return
    queue = (config.get("DeadLetterConfig") or {}).get("TargetArn")
    if queue:
        _send(lambda: _put_aside(queue, config["Role"], execution))


def _put(entry):
    from ministack.services import eventbridge

    eventbridge._put_events({"Entries": [entry]}, allow_aws_source=True)


def _put_aside(arn, role, execution):
    from ministack.services import sqs

    name = execution.start_input.function_name
    denial = permissions.role_denial(role, name, "sqs:SendMessage", arn)
    queue = sqs._queue_by_arn(arn)
    if denial or queue is None:
        reason = denial or "the queue does not exist"
        logger.warning("The event of %s is lost, since %s did not take it: %s", name, arn, reason)
        return
    error = execution.result.error
    attributes = {
        "RequestID": ("String", execution.start_input.invocation_id),
        "ErrorCode": ("Number", "200"),
        "ErrorMessage": ("String", (error.message if error else None) or execution.close_status.value),
    }
    message = {
        "QueueUrl": queue["url"],
        "MessageBody": execution.start_input.input,
        "MessageAttributes": {
            name: {"DataType": kind, "StringValue": value[:1024]} for name, (kind, value) in attributes.items()
        },
    }
    sqs._act_send_message(message, queue["url"])


def _text(moment):
    moment = moment.astimezone(datetime.UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


# One thread sends everything, so that what happened first is told first.
_outbox = queue.SimpleQueue()
_postman = threading.Lock()
_started = False


def _send(letter):
    global _started
    with _postman:
        if not _started:
            _started = True
            threading.Thread(target=_deliver, name="durable-notices", daemon=True).start()
    _outbox.put(letter)


def _deliver():
    from ministack.core.responses import request_scope

    while True:
        letter = _outbox.get()
        try:
            with request_scope(ACCOUNT, REGION):
                letter()
        except Exception:
            logger.exception("A notice of a durable execution could not be delivered")
