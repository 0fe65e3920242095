"""An execution and its history: each event is written when it happens, in the shape that the API gives it out.

The runner rebuilds a history from the operations when it is asked for one, and loses details on the way (time limits,
states of a polling loop, attempts, failed invocations). Here nothing is rebuilt. What the events of AWS look like:
https://docs.aws.amazon.com/lambda/latest/api/API_Event.html, and recordings of the service in `output/` of
aws/aws-durable-execution-conformance-tests.
"""

from concurrent.futures import Future

from aws_durable_execution_sdk_python.lambda_service import OperationAction, OperationStatus, OperationType
from aws_durable_execution_sdk_python_testing import execution as runner
from aws_durable_execution_sdk_python_testing.checkpoint.transformer import CheckpointRequestDispatcher

from . import quotas

# Which word an operation's events begin with.
_WORDS = {
    OperationType.CONTEXT: "Context",
    OperationType.STEP: "Step",
    OperationType.WAIT: "Wait",
    OperationType.CALLBACK: "Callback",
    OperationType.CHAINED_INVOKE: "ChainedInvoke",
}
_ENDINGS = {
    OperationStatus.SUCCEEDED: "Succeeded",
    OperationStatus.FAILED: "Failed",
    OperationStatus.TIMED_OUT: "TimedOut",
    OperationStatus.STOPPED: "Stopped",
    OperationStatus.CANCELLED: "Cancelled",
}

_WAITED_FOR = (OperationType.CALLBACK, OperationType.CHAINED_INVOKE, OperationType.WAIT)


class Execution(runner.Execution):
    """A durable execution: the runner's, with what AWS tells of it.

    synchronous: whether a caller waits for it; context: see functions.run; ended: done once it is over, with itself as
    the result.
    """

    def __init__(self, arn, start_input, synchronous, context):
        super().__init__(arn, start_input, [])
        self.synchronous = synchronous
        self.context = context
        self.ended = Future()
        self.deadline = None  # when it times out, a datetime
        self.pause_request = None  # {"PauseRequestTimestamp", "ExecutionTimeoutPaused", "Reason"?} while it is paused
        self.paused_since = None  # a datetime, once no invocation runs any more
        self.pause_tokens = {}  # "pause", "resume" -> ClientToken of the last such request
        self.events = []
        self.operations_used = 1  # as AWS counts and bills them: its start is the first
        self.bytes_written = 0
        self._invocation_error = None
        self._waits = {}  # operation id -> seconds
        self._chained = {}  # operation id -> the details of its start

    def answer(self):
        """(payload, whether it failed) for a caller who waited: JSON text, the error as Lambda reports a function's.

        AWS does not document how the error of an execution that timed out or was stopped is told to such a caller.
        """
        if self.close_status is runner.ExecutionStatus.SUCCEEDED:
            return self.result.result, False
        error = self.result.error.to_dict() if self.result.error else {}
        names = {"ErrorMessage": "errorMessage", "ErrorType": "errorType", "ErrorData": "errorData"}
        told = {names[key]: value for key, value in error.items() if key in names}
        if error.get("StackTrace"):
            told["stackTrace"] = error["StackTrace"]
        return quotas.to_json(told), True

    def may_not_have_gone_on(self, seen):
        """Whether something that a handler waits for ended during its invocation, and the handler may not know it.

        seen: the runner's count of changes (`seq_counter`) when the invocation began. A handler learns of such an end
        with the answer to its next checkpoint, but of several branches one that waits already is not woken by it
        (SDK 3.0.0). That it has gone on shows in its context: that has ended, or something began in it later.
        """
        changed = self.operation_last_touched_seq
        contexts = {each.operation_id: each for each in self.operations if each.operation_type is OperationType.CONTEXT}

        def has_gone_on(operation):
            context = contexts.get(operation.parent_id)
            return (context is not None and context.status is not OperationStatus.STARTED) or any(
                each.parent_id == operation.parent_id
                and changed.get(each.operation_id, 0) > changed[operation.operation_id]
                for each in self.operations
            )

        return any(
            operation.operation_type in _WAITED_FOR
            and operation.status in _ENDINGS
            and changed.get(operation.operation_id, 0) > seen
            and not has_gone_on(operation)
            for operation in self.operations
        )

    # -- events -------------------------------------------------------------------------------------------------------

    def write(self, kind, details, when, operation=None):
        """Add an event of a kind ("StepStarted") with its details; when: a datetime."""
        event = {"EventType": kind, "EventId": len(self.events) + 1, "EventTimestamp": when}
        if operation is not None:
            named = {"Id": operation.operation_id, "Name": operation.name, "ParentId": operation.parent_id}
            named["SubType"] = operation.sub_type
            event.update({key: value for key, value in named.items() if value is not None})
        event[f"{kind}Details"] = details
        self.events.append(event)
        return details

    def page(self, include_data, newest_first, marker, limit):
        """One page of the history, as GetDurableExecutionHistory answers."""
        events = self.events[::-1] if newest_first else self.events
        events, next_marker = quotas.page(events, marker, limit)
        if not include_data:
            events = [_without_data(event) for event in events]
        return {"Events": events, **next_marker}

    # -- what happens -------------------------------------------------------------------------------------------------

    def start(self, now=None):
        super().start(now)
        started = self.operations[0]
        details = {
            "Input": _payload(started.execution_details.input_payload),
            "ExecutionTimeout": self.start_input.execution_timeout_seconds,
        }
        self.write("ExecutionStarted", details, started.start_timestamp, started)

    def updated(self, update, now):
        """A handler's checkpoint was accepted; `update` is one of its updates."""
        operation = self.find_operation(update.operation_id)[1]
        word = _WORDS[update.operation_type]
        if update.action is OperationAction.START:
            self.write(f"{word}Started", self._start_of(update, operation), now, operation)
            if word == "ChainedInvoke" and operation.status in _ENDINGS:  # its target cannot be invoked
                self._over(operation, now)
        elif update.action is OperationAction.RETRY:
            # A polling loop's next round is a step that succeeded, and is run again with the state it returned.
            ending = "Failed" if update.error else "Succeeded"
            retry = {"NextAttemptDelaySeconds": update.step_options.next_attempt_delay_seconds}
            details = {**_outcome(update.error, update.payload), "RetryDetails": {**_attempt(operation), **retry}}
            self.write(f"Step{ending}", details, now, operation)
        else:
            self._over(operation, now)

    def _start_of(self, update, operation):
        if update.operation_type is OperationType.WAIT:
            self._waits[update.operation_id] = update.wait_options.wait_seconds
            end = operation.wait_details.scheduled_end_timestamp
            return {"Duration": update.wait_options.wait_seconds, "ScheduledEndTimestamp": end}
        if update.operation_type is OperationType.CALLBACK:
            options = update.callback_options
            limits = {
                "Timeout": options.timeout_seconds if options else 0,
                "HeartbeatTimeout": options.heartbeat_timeout_seconds if options else 0,
            }
            callback_id = operation.callback_details.callback_id
            return {"CallbackId": callback_id, **{name: value for name, value in limits.items() if value}}
        if update.operation_type is OperationType.CHAINED_INVOKE:
            details = {"FunctionName": update.chained_invoke_options.function_name}
            if operation.status is OperationStatus.STARTED:
                details["Input"] = _payload(update.payload)
                self._chained[update.operation_id] = details
            return details
        return {}

    def _over(self, operation, now):
        """An operation ended: write so."""
        details = {}
        if operation.operation_type is OperationType.STEP:
            step = operation.step_details
            details = {**_outcome(step.error, step.result), "RetryDetails": _attempt(operation)}
        elif operation.operation_type is OperationType.CONTEXT:
            details = _outcome(operation.context_details.error, operation.context_details.result)
        elif operation.operation_type is OperationType.WAIT:
            details = {"Duration": self._waits[operation.operation_id]}
        elif operation.operation_type is OperationType.CALLBACK:
            callback = operation.callback_details
            details = _outcome(callback.error, callback.result, operation.status)
        elif operation.operation_type is OperationType.CHAINED_INVOKE:
            chained = operation.chained_invoke_details
            details = _outcome(chained.error, chained.result, operation.status)
        kind = _WORDS[operation.operation_type] + _ENDINGS[operation.status]
        self.write(kind, details, now, operation)

    def complete_wait(self, operation_id, now=None):
        operation = super().complete_wait(operation_id, now)
        self._over(operation, operation.end_timestamp)
        return operation

    def complete_callback_success(self, callback_id, result=None, now=None):
        operation = super().complete_callback_success(callback_id, result, now)
        self._over(operation, operation.end_timestamp)
        return operation

    def complete_callback_failure(self, callback_id, error, now=None):
        operation = super().complete_callback_failure(callback_id, error, now)
        self._over(operation, operation.end_timestamp)
        return operation

    def complete_callback_timeout(self, callback_id, error, now=None):
        operation = super().complete_callback_timeout(callback_id, error, now)
        self._over(operation, operation.end_timestamp)
        return operation

    def complete_chained_invoke(self, operation_id, status, result=None, error=None, now=None):
        operation = super().complete_chained_invoke(operation_id, status, result, error, now)
        self._over(operation, operation.end_timestamp)
        return operation

    def chained_to(self, operation_id, version):
        """A chained invoke was resolved to this version of its target."""
        self._chained[operation_id]["ExecutedVersion"] = version

    def record_chained_invoke_child(self, operation_id, child_execution_arn):
        super().record_chained_invoke_child(operation_id, child_execution_arn)
        self._chained[operation_id]["DurableExecutionArn"] = child_execution_arn

    def invocation_failed(self, error):
        """The invocation whose completion is recorded next ended with this ErrorObject; None: it did not fail."""
        self._invocation_error = error

    def record_invocation_completion(self, start_timestamp, end_timestamp, request_id):
        super().record_invocation_completion(start_timestamp, end_timestamp, request_id)
        details = {"StartTimestamp": start_timestamp, "EndTimestamp": end_timestamp, "RequestId": request_id}
        if self._invocation_error is not None:
            details.update(_outcome(self._invocation_error, None))
            self._invocation_error = None
        self.write("InvocationCompleted", details, end_timestamp)

    def _end_execution(self, status, now=None):
        super()._end_execution(status, now)
        ended = self.operations[0]
        details = _outcome(self.result.error, self.result.result, status)
        self.write(f"Execution{_ENDINGS[status]}", details, ended.end_timestamp, ended)


class Checkpoints(CheckpointRequestDispatcher):
    """The runner's way of applying a checkpoint, with AWS's quotas before it and the history after it."""

    def apply_updates(self, execution, updates, client_token, touch, now):
        quotas.check_updates(execution, updates)
        before = len(execution.updates)
        effects = super().apply_updates(execution, updates, client_token, touch, now)
        for update in execution.updates[before:]:
            if update.operation_type is not OperationType.EXECUTION:
                execution.updated(update, now)
        return effects


# -- parts of events --------------------------------------------------------------------------------------------------


def _payload(payload):
    return {"Truncated": False} if payload is None else {"Payload": payload, "Truncated": False}


def _outcome(error, result, status=OperationStatus.SUCCEEDED):
    """The details of an end: an ErrorObject, or a result when there is none and the status is not that of a failure."""
    if error is not None:
        return {"Error": {"Payload": error.to_dict(), "Truncated": False}}
    if status is not OperationStatus.SUCCEEDED:
        return {"Error": {"Truncated": False}}
    return {"Result": _payload(result)}


def _attempt(operation):
    return {"CurrentAttempt": operation.step_details.attempt}


def _without_data(event):
    """An event without payloads, which says that they were left out."""
    kind = f"{event['EventType']}Details"
    return {**event, kind: {key: _left_out(value) for key, value in event[kind].items()}}


def _left_out(value):
    if isinstance(value, dict) and "Truncated" in value:
        return {"Truncated": "Payload" in value}
    return value
