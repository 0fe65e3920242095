"""Asynchronous invocations: queued, retried when the function fails, and told to a destination in the end.

On AWS a function that fails is tried again after about a minute, and once more after two; here the pauses are seconds
and can be set (settings.py). Invocations that were refused for too much concurrency are tried again until they are too
old. https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
"""

import contextvars
import json
import logging
import threading
import time
from datetime import UTC, datetime

from ministack.core.responses import new_uuid
from ministack.services import lambda_svc as engine

from sandbox import permissions

from . import invocations
from .settings import settings

OLDEST_SECONDS = 21_600  # how long an event is tried where the function does not say

logger = logging.getLogger("functions")
_emptied = threading.Event()  # set, and made anew, when the account is emptied


def put_over():
    """Take the place of MiniStack's queue of asynchronous invocations: of Invoke, of rules, of buckets."""
    engine.invoke_async_with_retry = invoke


def reset():
    """Forget the invocations that wait to be tried again."""
    global _emptied
    _emptied.set()
    _emptied = threading.Event()


def invoke(function, event):
    """Invoke a function and come back at once. function: its record, of the version that is meant."""
    queued = Queued(function, event, invocations.direct_request_id() or new_uuid())
    threading.Thread(target=contextvars.copy_context().run, args=(queued.run,), daemon=True).start()


class Queued:
    """An event in a function's queue."""

    def __init__(self, function, event, request_id):
        self.function = function
        self.config = function.get("config") or function
        self.event = event
        self.request_id = request_id
        self.since = time.monotonic()
        self.attempts = 0
        self.emptied = _emptied

    def run(self):
        """Try until it succeeds or nothing is left to try, and tell how it ended."""
        settled = self._settings()
        retries = settled.get("MaximumRetryAttempts", 2)
        oldest = settled.get("MaximumEventAgeInSeconds", OLDEST_SECONDS)
        failures, throttled = 0, 0
        while True:
            # The code is that of the time of the request, the concurrency that of now.
            function = {**self.function, "concurrency": self._owner().get("concurrency")}
            outcome = invocations.execute(function, self.event, self.request_id)
            if self.emptied.is_set():
                return
            if outcome.get("throttle"):
                throttled += 1
                pause = min(2**throttled, 300)
            else:
                self.attempts += 1
                if not outcome.get("error"):
                    self._tell("OnSuccess", "Success", outcome)
                    return
                failures += 1
                if failures > retries:
                    self._tell("OnFailure", "RetriesExhausted", outcome)
                    return
                pause = settings.retry_seconds[min(failures, 2) - 1]
            if time.monotonic() - self.since + pause > oldest:
                self._tell("OnFailure", "EventAgeExceeded", outcome)
                return
            if self.emptied.wait(pause):
                return

    def _owner(self):
        """The record of the function, whichever version is invoked; {} when it was deleted."""
        return engine._functions.get(self.config["FunctionName"]) or {}

    def _settings(self):
        """The function's EventInvokeConfig for how it was invoked, {} without one."""
        qualifier = engine._resolve_name_and_qualifier(self.config["FunctionArn"])[1]
        return engine._event_invoke_config(self._owner(), qualifier) or {}

    def _tell(self, which, condition, outcome):
        """Send what came of it to the function's destination, and a failure to its dead-letter queue as well."""
        body = outcome.get("body")
        destination = (self._settings().get("DestinationConfig") or {}).get(which, {}).get("Destination")
        if destination:
            self._deliver(destination, self._record(condition, outcome, body))
        queue = (self.config.get("DeadLetterConfig") or {}).get("TargetArn")
        if queue and which == "OnFailure":
            message = body.get("errorMessage", "") if isinstance(body, dict) else str(body)
            attributes = {
                "RequestID": {"DataType": "String", "StringValue": self.request_id},
                "ErrorCode": {"DataType": "Number", "StringValue": "200"},
                "ErrorMessage": {"DataType": "String", "StringValue": message[:1024] or " "},
            }
            self._deliver(queue, self.event, attributes)

    def _record(self, condition, outcome, body):
        arn = self.config["FunctionArn"]
        qualified = arn if engine._resolve_name_and_qualifier(arn)[1] else f"{arn}:$LATEST"
        response = {"statusCode": 200, "executedVersion": self.config["Version"]}
        if outcome.get("error"):
            response["functionError"] = outcome.get("function_error", "Unhandled")
        return {
            "version": "1.0",
            "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "requestContext": {
                "requestId": self.request_id,
                "functionArn": qualified,
                "condition": condition,
                "approximateInvokeCount": self.attempts,
            },
            "requestPayload": self.event,
            "responseContext": response,
            "responsePayload": body,
        }

    def _deliver(self, arn, document, attributes=None):
        """Hand a document to a queue, an event bus or another function, with the permissions of the function's role."""
        role, session = self.config["Role"], self.config["FunctionName"]
        try:
            action, send = _WAYS[arn.split(":")[2]]
            denial = permissions.role_denial(role, session, action, arn)
            if denial:
                raise PermissionError(denial)
            send(arn, document, attributes)
        except Exception as problem:
            logger.warning("An event of %s is lost, since %s did not take it: %r", session, arn, problem)


def _to_queue(arn, document, attributes):
    from ministack.services import sqs

    queue = sqs._queue_by_arn(arn)
    if queue is None:
        raise LookupError("the queue does not exist")
    message = {"QueueUrl": queue["url"], "MessageBody": json.dumps(document), "MessageAttributes": attributes or {}}
    sqs._act_send_message(message, queue["url"])


def _to_bus(arn, document, attributes):
    from ministack.services import eventbridge

    failed = document["requestContext"]["condition"] != "Success"
    entry = {
        "Source": "lambda",
        "DetailType": f"Lambda Function Invocation Result - {'Failure' if failed else 'Success'}",
        "Resources": [arn, document["requestContext"]["functionArn"]],
        "Detail": json.dumps(document),
        "EventBusName": arn,
    }
    eventbridge._put_events({"Entries": [entry]}, allow_aws_source=True)


def _to_function(arn, document, attributes):
    function, config, name = engine._get_func_record_for_ref(arn)
    if not config:
        raise LookupError(f"there is no function {name}")
    engine.invoke_async_with_retry(engine._execution_record_for_config(function, config), document)


# How a document is handed over, by service: the permission it takes, and who does it.
_WAYS = {
    "sqs": ("sqs:SendMessage", _to_queue),
    "events": ("events:PutEvents", _to_bus),
    "lambda": ("lambda:InvokeFunction", _to_function),
}
