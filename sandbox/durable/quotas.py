"""What is too large or too much, and how the API says so.

Figures: botocore's model of the API, and https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html. How
the service words the quotas on operations and on data per execution is not documented: the words here are ours.
"""

import base64
import json
import re

from .functions import LONGEST_TIMEOUT, Refused, invalid

MIB = 1024 * 1024
SYNCHRONOUS = 6 * MIB  # input and result of an execution that a caller waits for
ASYNCHRONOUS = MIB  # of any other, and payloads of operations but those of steps
# Of a step, and of a callback. The service's model has 1 MiB for both. But the service itself refuses more than this
# of a step (https://github.com/aws/aws-durable-execution-sdk-python/issues/342), and the page of the call that answers
# a callback has it, too (https://docs.aws.amazon.com/lambda/latest/api/API_SendDurableExecutionCallbackSuccess.html).
STORED = 262_144
OPERATIONS = 3000  # per execution
WRITTEN = 100 * MIB  # bytes of data per execution

_PRINTABLE = re.compile(r"[\x20-\x7E]*")
_IDENTIFIER = re.compile(r"[a-zA-Z0-9-_]*")
_NAME = re.compile(r"[a-zA-Z0-9-_]{1,64}")


def execution_result(execution):
    return SYNCHRONOUS if execution.synchronous else ASYNCHRONOUS


def check_start(name, payload, synchronous):
    """Raises Refused when an execution cannot start with this name (None: it gets one) and input (JSON text)."""
    if name is not None and not _NAME.fullmatch(name):
        raise invalid(name, "durableExecutionName", "Member must satisfy regular expression pattern: [a-zA-Z0-9-_]+")
    most = SYNCHRONOUS if synchronous else ASYNCHRONOUS
    if len(payload.encode()) > most:
        message = f"Request must be smaller than {most} bytes for the InvokeFunction operation"
        raise Refused("RequestTooLargeException", message, 413)


def check_callback_result(result):
    """Raises Refused when the result of a callback (bytes) is too large, or no text."""
    if len(result) > STORED:
        raise _too_long("result", STORED)
    try:
        result.decode()
    except UnicodeDecodeError as problem:
        message = (
            "The sandbox takes UTF-8 only as a callback's Result, and it is none from byte "
            f"{problem.start} on. What AWS does with other bytes is not documented."
        )
        raise Refused("InvalidParameterValueException", message) from problem


def check_error(error):
    """Raises Refused when the fields of an ErrorObject (a dict) are larger than allowed together."""
    if len(to_json(error).encode()) > MIB:
        raise _too_long("error", MIB)


def check_updates(execution, updates):
    """Raises Refused, and so fails the whole checkpoint, when one of the updates is too large or there are too many.

    The runner looks at the sizes of errors.
    """
    known = {operation.operation_id for operation in execution.operations}
    operations, written = execution.operations_used, execution.bytes_written
    for index, update in enumerate(updates, 1):
        _check_update(execution, update, f"updates.{index}.member")
        written += len((update.payload or "").encode())
        if update.operation_id not in known or update.action.value == "RETRY":
            operations += 1
        known.add(update.operation_id)
    if operations > OPERATIONS:
        message = f"A durable execution cannot have more than {OPERATIONS} operations."
        raise Refused("InvalidParameterValueException", message)
    if written > WRITTEN:
        message = f"A durable execution cannot write more than {WRITTEN} bytes of data."
        raise Refused("InvalidParameterValueException", message)
    execution.operations_used, execution.bytes_written = operations, written


def _check_update(execution, update, path):
    for value, name, longest, pattern in (
        (update.operation_id, "id", 64, _IDENTIFIER),
        (update.parent_id, "parentId", 64, _IDENTIFIER),
        (update.sub_type, "subType", 32, _IDENTIFIER),
        (update.name, "name", 256, _PRINTABLE),
    ):
        if value is not None and len(value) > longest:
            raise invalid(value, f"{path}.{name}", f"Member must have length less than or equal to {longest}")
        if value is not None and not pattern.fullmatch(value):
            constraint = f"Member must satisfy regular expression pattern: {pattern.pattern.replace('*', '+')}"
            raise invalid(value, f"{path}.{name}", constraint)
    step, wait, callback = update.step_options, update.wait_options, update.callback_options
    for value, name, least, most in (
        (wait and wait.wait_seconds, "waitOptions.waitSeconds", 1, LONGEST_TIMEOUT),
        (step and step.next_attempt_delay_seconds, "stepOptions.nextAttemptDelaySeconds", 1, LONGEST_TIMEOUT),
        (callback and callback.timeout_seconds, "callbackOptions.timeoutSeconds", 0, 99_999_999),
        (callback and callback.heartbeat_timeout_seconds, "callbackOptions.heartbeatTimeoutSeconds", 0, 99_999_999),
    ):
        if value is not None and not least <= value <= most:
            edge, than = (least, "greater") if value < least else (most, "less")
            raise invalid(value, f"{path}.{name}", f"Member must have value {than} than or equal to {edge}")
    kind = update.operation_type.value
    most = {"EXECUTION": execution_result(execution), "STEP": STORED}.get(kind, ASYNCHRONOUS)
    if len((update.payload or "").encode()) > most:
        what = {"EXECUTION": "Execution output", "CHAINED_INVOKE": "CHAINED_INVOKE input"}.get(kind, f"{kind} output")
        message = f"{what} payload size must be less than or equal to {most} bytes."
        raise Refused("InvalidParameterValueException", message)


def _too_long(path, most):
    message = f"Value at '{path}' failed to satisfy constraint: Member must have length less than or equal to {most}"
    return Refused("ValidationException", f"1 validation error detected: {message}")


def page(items, marker, limit):
    """The items of one page and {"NextMarker": ...} where there are more. limit: text or None; 100 unless told."""
    try:
        begin = int(base64.urlsafe_b64decode(marker)) if marker else 0
        size = int(limit or 0) or 100
    except ValueError as problem:
        raise Refused("InvalidParameterValueException", "Invalid marker or number of items.") from problem
    if not 0 <= size <= 1000:
        raise invalid(size, "maxItems", "Member must have value less than or equal to 1000")
    end = begin + size
    more = {"NextMarker": base64.urlsafe_b64encode(str(end).encode()).decode()} if end < len(items) else {}
    return items[begin:end], more


def to_json(document):
    """JSON text; moments become seconds since 1970, as the API writes them."""
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False, default=lambda moment: moment.timestamp())
