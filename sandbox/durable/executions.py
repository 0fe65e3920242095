"""Durable executions on AWS's own local runner: its executor, with what the service does and the runner does not.

Every execution has a lane, a thread of the runner's that does one thing at a time; whatever reads or changes an
execution runs there. That is what lets exactly one of many answers to a callback win. Handlers run in a pool of
threads of their own, since each blocks for as long as the handler takes.
"""

import asyncio
import contextlib
import datetime
import logging
import threading
import uuid

from aws_durable_execution_sdk_python.lambda_service import ErrorObject, OperationStatus, OperationType
from aws_durable_execution_sdk_python_testing.checkpoint.validators import checkpoint as validator
from aws_durable_execution_sdk_python_testing.exceptions import InvalidInvocationOutputError
from aws_durable_execution_sdk_python_testing.executor import Executor
from aws_durable_execution_sdk_python_testing.invoker import InvokeResponse, LambdaInvoker
from aws_durable_execution_sdk_python_testing.model import StartDurableExecutionInput
from aws_durable_execution_sdk_python_testing.scheduler import Scheduler
from aws_durable_execution_sdk_python_testing.stores.memory import InMemoryExecutionStore
from aws_durable_execution_sdk_python_testing.threads import DaemonThreadPool
from aws_durable_execution_sdk_python_testing.token import CallbackToken
from aws_durable_execution_sdk_python_testing.worker.checkpoint_tasks import CallableTask
from aws_durable_execution_sdk_python_testing.worker.status import InvocationState

from sandbox import ACCOUNT, REGION

from . import chained, functions, notices, quotas
from .functions import Refused
from .history import Checkpoints, Execution

logger = logging.getLogger("durable")
logging.getLogger("aws_durable_execution_sdk_python_testing").setLevel(logging.CRITICAL)  # `logger` says it shorter

# The runner stops at 32 KB, where the service's limit was once; quotas.py has today's.
validator.MAX_ERROR_PAYLOAD_SIZE_BYTES = quotas.MIB

# Threads for handlers that run at the same time. It bounds nothing, since handlers may wait for each other: how many
# processes there are is for sandbox/functions to say.
HANDLERS = 2000

# How often an invocation is tried that ends in a function error, and how long after the first failure it is tried
# again, doubled each time. AWS retries for longer, with delays that it does not document.
ATTEMPTS = 5
FIRST_RETRY_SECONDS = 1

CLOSED = "The callback is either timed out or already completed"
_LONGEST = datetime.timedelta(seconds=functions.LONGEST_TIMEOUT)


class Executions(Executor):
    """All durable executions of the account."""

    MAX_CONSECUTIVE_FAILED_ATTEMPTS = ATTEMPTS

    def __init__(self):
        scheduler = Scheduler()
        scheduler.start()
        # The invoker only puts together what a handler is given; `_invoke_handler` does the rest.
        super().__init__(InMemoryExecutionStore(), scheduler, LambdaInvoker(None), None, region=REGION)
        self._child_dispatcher = chained.Targets(self)
        self._dispatcher = Checkpoints(chained_invoke_preflight=self.preflight_chained_invoke)
        self._invocation_pool = DaemonThreadPool(HANDLERS, "durable-invocation")
        self._target_pool = DaemonThreadPool(HANDLERS, "durable-target")
        self._names = {}  # (function, execution name) -> ARN
        self._starting = threading.Lock()

    # -- starting -----------------------------------------------------------------------------------------------------

    def start(self, target, payload, context, synchronous, name=None):
        """The new execution of a function, or the one that has this name already. Raises Refused.

        target: functions.Target; payload: JSON text; context: see functions.run.
        https://docs.aws.amazon.com/lambda/latest/dg/durable-execution-idempotency.html
        """
        if target.qualifier is None:
            message = "You cannot invoke a durable function using an unqualified ARN."
            raise Refused("InvalidParameterValueException", message)
        timeout = target.durable["ExecutionTimeout"]
        if synchronous and timeout > functions.LONGEST_SYNCHRONOUS:
            raise Refused(
                "InvalidParameterValueException",
                "You cannot synchronously invoke a durable function with an executionTimeout greater than 15 minutes.",
            )
        quotas.check_start(name, payload, synchronous)
        with self._starting:
            before = self.find(self._names.get((target.name, name)))
            if before is not None:
                same = (before.executed_version(), before.start_input.input) == (target.version, payload)
                if not same:
                    message = f"Execution already started: {before.durable_execution_arn}"
                    raise Refused("DurableExecutionAlreadyStartedException", message, 409)
                return before
            execution = self._create(start_input(target, payload, name), synchronous, context)
        self._launch_execution(execution, timeout)
        return execution

    def _create(self, start, synchronous, context, parent=None):
        arn = functions.function_arn(start.function_name, start.function_qualifier)
        arn = f"{arn}/durable-execution/{start.execution_name}/{start.invocation_id}"
        execution = Execution(arn, start, synchronous, context)
        execution.region = REGION
        execution.parent_execution_arn = parent
        execution.start(now=self._clock.now())
        self._store.save(execution)
        self._names[start.function_name, start.execution_name] = arn
        notices.status_changed(execution, "RUNNING")
        return execution

    def _create_execution(self, input, parent_execution_arn=None):
        """The runner asks for a child: `context.invoke` of a durable function."""
        context = self._store.load(parent_execution_arn).context
        return self._create(input, synchronous=False, context=context, parent=parent_execution_arn)

    def _launch_execution(self, execution, timeout_seconds):
        arn = execution.durable_execution_arn
        self._completion_events[arn] = self._scheduler.create_event()
        started = execution.operations[0].start_timestamp
        execution.deadline = started + datetime.timedelta(seconds=timeout_seconds)
        self._arm_timeout(execution)
        self._invoke_execution(arn)

    def _arm_timeout(self, execution):
        arn = execution.durable_execution_arn
        seconds = execution.start_input.execution_timeout_seconds
        error = ErrorObject.from_message(f"Execution timed out after {seconds} seconds.")
        if (running := self._execution_timeouts.pop(arn, None)) is not None:
            running.cancel()
        self._execution_timeouts[arn] = self._scheduler.call_later(
            lambda: self.on_timed_out(arn, error), delay=self._clock.arm(self.times_out_at(execution))
        )

    def times_out_at(self, execution):
        """When an execution times out, a datetime: later than at first if it was paused, and 366 days at most."""
        request = execution.pause_request
        if execution.paused_since is not None and request["ExecutionTimeoutPaused"]:
            return execution.operations[0].start_timestamp + _LONGEST
        return execution.deadline

    # -- finding ------------------------------------------------------------------------------------------------------

    def find(self, arn):
        """The execution of an ARN, or None."""
        with contextlib.suppress(KeyError):
            return self._store.load(arn)
        return None

    def load(self, arn):
        execution = self.find(arn)
        if execution is None:
            raise Refused("ResourceNotFoundException", f"Durable execution not found: {arn}", 404)
        return execution

    def all(self):
        return self._store.list_all()

    def status_of(self, execution):
        if execution.is_complete:
            return execution.close_status.value
        if execution.is_paused:
            return "PAUSED" if execution.paused_since is not None else "PAUSING"
        return "RUNNING"

    def on_lane(self, arn, work):
        """Do something with an execution, alone with it; a future of what it gives."""
        return self._registry.submit(arn, CallableTask(work))

    # -- invoking handlers --------------------------------------------------------------------------------------------

    def _invoke_handler(self, execution_arn):
        """The runner's plan for one invocation, with MiniStack as the one who runs it, and nothing left unsaid."""

        def lane(work):
            return asyncio.wrap_future(self.on_lane(execution_arn, work))

        async def invoke():
            if self.find(execution_arn) is None:
                return
            try:
                claim = await lane(lambda: self._begin_invocation(execution_arn))
                if claim is None:
                    return
                execution, given, seen = claim
                began = self._clock.now()
                work = asyncio.get_running_loop().run_in_executor(
                    self._invocation_pool, lambda: self._run(execution, given)
                )
                outcome = await work
                if not self._closing:
                    await lane(lambda: self._end_invocation(execution, outcome, began, seen))
            except Exception:
                if not self._closing:
                    logger.exception("Durable execution %s cannot go on", execution_arn)
                    error = ErrorObject("The sandbox failed; its log says how.", "ServiceException", None, None)
                    await lane(lambda: self._fail_workflow(execution_arn, error))

        return invoke

    def _fire_due_and_invoke_handler(self, execution_arn):
        """The runner's plan for a wake-up: what is due ends, and the handler is invoked for it, both or neither.

        An invocation that ends at that moment arms a new wake-up, and cancels this one. The runner lets itself be
        cancelled between the two: the wait was over, and nobody went on (upstream/10-wake-up-lost.md).
        """

        def fire():
            if self._fire_due_operations(execution_arn):
                self._invoke_execution(execution_arn)

        async def fire_due():
            await asyncio.shield(asyncio.wrap_future(self.on_lane(execution_arn, fire)))
            self._schedule_earliest_pending(execution_arn)

        return fire_due

    def _run(self, execution, given):
        start = execution.start_input
        try:
            target = functions.find(start.function_name, start.function_qualifier)
        except Refused as gone:
            error = {"errorType": gone.code, "errorMessage": gone.message}
            return functions.Outcome(None, error, False, str(uuid.uuid4()))
        return functions.run(target, given.to_json_dict(), execution.context)

    def _end_invocation(self, execution, outcome, began, seen):
        arn = execution.durable_execution_arn
        if outcome.error is None:
            self._take_output(execution, outcome, began, seen)
        else:
            error = error_of(outcome.error)
            execution.invocation_failed(error)
            execution.record_invocation_completion(began, self._clock.now(), outcome.request_id)
            self._set_invocation_gate(arn, InvocationState.PRE_INVOKE)
            if execution.is_complete:
                self._set_invocation_gate(arn, InvocationState.COMPLETED)
            elif outcome.throttled:
                self._invoke_execution(arn, delay=FIRST_RETRY_SECONDS)
            elif error.type == "ResourceNotFoundException":
                self._fail_workflow(arn, error)
            else:
                self._retry_invocation(execution, error)
        if execution.is_paused and not execution.is_complete:
            self._paused(execution)

    def _take_output(self, execution, outcome, began, seen):
        arn, ended = execution.durable_execution_arn, self._clock.now()
        try:
            response = InvokeResponse.from_output(outcome.body, outcome.request_id)
        except InvalidInvocationOutputError:
            error = self._invalid_output_error("Invalid Status in invocation output.")
            execution.invocation_failed(error)
            self._fail_after_invalid_output(arn, error, began, ended, outcome.request_id)
            return
        output = response.invocation_output
        if output.status.value == "FAILED":
            execution.invocation_failed(output.error)
        most = quotas.execution_result(execution)
        if output.result is not None and len(output.result.encode()) > most:
            message = f"Execution output payload size must be less than or equal to {most} bytes."
            self._fail_after_invalid_output(arn, self._invalid_output_error(message), began, ended, outcome.request_id)
            return
        self._finish_invocation(arn, response, began, ended, seen)
        if not execution.is_complete and execution.may_not_have_gone_on(seen):
            self._invoke_execution(arn)  # else nothing would, and it would wait for its timeout

    def _retry_invocation(self, execution, error, max_attempts=None):
        execution.consecutive_failed_invocation_attempts += 1
        execution.operations_used += 1  # as AWS bills it
        failed = execution.consecutive_failed_invocation_attempts
        if failed >= (max_attempts or self.MAX_CONSECUTIVE_FAILED_ATTEMPTS):
            self._fail_workflow(execution.durable_execution_arn, error)
        else:
            self._invoke_execution(execution.durable_execution_arn, FIRST_RETRY_SECONDS * 2 ** (failed - 1))

    # -- ending -------------------------------------------------------------------------------------------------------

    def _apply_timeout(self, execution_arn, error):
        execution = self.find(execution_arn)
        if execution is not None and not execution.is_complete:
            super()._apply_timeout(execution_arn, error)

    def on_timed_out(self, execution_arn, error):
        if self.find(execution_arn) is not None:
            super().on_timed_out(execution_arn, error)

    def _complete_events(self, execution_arn):
        """An execution ended: tell its parent, the event bus, its dead-letter queue and those who wait for it."""
        execution = self._store.load(execution_arn)
        if execution.ended.done():
            return
        super()._complete_events(execution_arn)
        self._completion_events.pop(execution_arn).remove()
        if (wakeup := self._pending_wakeup.pop(execution_arn, None)) is not None:
            wakeup.cancel()
        for operation in execution.operations:
            if operation.operation_type is OperationType.CALLBACK:
                self._cleanup_callback_timeouts(operation.callback_details.callback_id)
        notices.status_changed(execution, execution.close_status.value)
        notices.to_dead_letter_queue(execution)
        execution.ended.set_result(execution)

    def stop(self, arn, error):
        """Stop an execution (on its lane); an invocation in flight goes on, and its checkpoints are refused.

        error: an ErrorObject or None. Gives the time it ended.
        """
        self.load(arn)
        return self._apply_stop(arn, error or ErrorObject(None, None, None, None)).stop_timestamp

    def delete(self, arn):
        """Forget an execution that is over. Raises Refused."""
        execution = self.load(arn)
        if not execution.is_complete:
            message = f"The durable execution is {self.status_of(execution)} and cannot be deleted."
            raise Refused("ResourceConflictException", message, 409)
        with self._starting:
            self._names.pop((execution.start_input.function_name, execution.start_input.execution_name), None)
            with self._store._lock:
                self._store._store.pop(arn, None)
        return self._clock.now()

    def close(self):
        """Give up all executions: nothing of them happens any more, and whoever waits for one is told."""
        self.shutdown()
        self._registry.shutdown()
        self._scheduler.stop()
        for execution in self.all():
            if not execution.ended.done():
                gone = Refused("ResourceNotFoundException", "The account was emptied.", 404)
                execution.ended.set_exception(gone)

    def say_who_waits(self):
        """Write to the log which executions the end of the sandbox cuts off."""
        waiting = [execution.durable_execution_arn for execution in self.all() if not execution.is_complete]
        if waiting:
            shown = "".join(f"\n  {arn}" for arn in waiting[:20])
            logger.warning("The sandbox stops while %d durable executions run or wait:%s", len(waiting), shown)

    # -- pausing ------------------------------------------------------------------------------------------------------
    # https://docs.aws.amazon.com/lambda/latest/dg/durable-pause-resume.html

    def pause(self, arn, token, reason, timeout_paused):
        """Pause an execution (on its lane), at once or when the invocation in flight reaches a checkpoint."""
        execution = self.load(arn)
        if execution.is_complete or execution.is_paused:
            if token is not None and execution.pause_tokens.get("pause") == token and execution.is_paused:
                return
            message = f"The durable execution is {self.status_of(execution)} and cannot be paused."
            raise Refused("ResourceConflictException", message, 409)
        request = {"PauseRequestTimestamp": self._clock.now(), "ExecutionTimeoutPaused": timeout_paused}
        execution.pause_request = {**request, "Reason": reason} if reason is not None else request
        execution.pause_tokens["pause"] = token
        execution.pause()
        if self._invocation_gate(arn) is InvocationState.INVOKING:
            notices.status_changed(execution, "PAUSING")
        else:
            self._paused(execution)

    def _paused(self, execution):
        if execution.paused_since is None:
            execution.paused_since = self._clock.now()
            execution.write("ExecutionPaused", _with_reason(execution.pause_request), execution.paused_since)
            self._arm_timeout(execution)
            notices.status_changed(execution, "PAUSED")

    def resume(self, arn, token, reason):
        """Go on with an execution that is paused (on its lane), or take back a pause that is not in force yet."""
        execution = self.load(arn)
        if not execution.is_paused or execution.is_complete:
            if token is not None and execution.pause_tokens.get("resume") == token:
                return
            message = f"The durable execution is {self.status_of(execution)} and cannot be resumed."
            raise Refused("ResourceConflictException", message, 409)
        now = self._clock.now()
        if execution.paused_since is not None:
            if execution.pause_request["ExecutionTimeoutPaused"]:
                execution.deadline += now - execution.paused_since
            details = {"ResumeRequestTimestamp": now, **({"Reason": reason} if reason is not None else {})}
            execution.write("ExecutionResumed", _with_reason(details), now)
        execution.pause_request = execution.paused_since = None
        execution.pause_tokens["resume"] = token
        self._arm_timeout(execution)
        self._resume_execution(arn)
        notices.status_changed(execution, "RUNNING")

    # -- callbacks ----------------------------------------------------------------------------------------------------

    def answer_callback(self, callback_id, result=None, error=None):
        """Complete a callback with a result (bytes) or an ErrorObject (on its execution's lane). Raises Refused."""
        execution = self._waits_for(callback_id)
        now = self._clock.now()
        if error is None:
            execution.complete_callback_success(callback_id, result, now)
        else:
            execution.complete_callback_failure(callback_id, error, now)
        self._cleanup_callback_timeouts(callback_id)
        self._invoke_execution(execution.durable_execution_arn)

    def heartbeat(self, callback_id):
        """Start a callback's heartbeat timeout anew (on its execution's lane). Raises Refused."""
        execution = self._waits_for(callback_id)
        self._reset_callback_heartbeat_timeout(callback_id, execution.durable_execution_arn)

    def _waits_for(self, callback_id):
        """The execution that waits for a callback. Raises Refused when it no longer does."""
        execution = self.load(execution_of(callback_id))
        operation = next((o for o in execution.operations if _is_callback(o, callback_id)), None)
        if execution.is_complete or operation is None or operation.status is not OperationStatus.STARTED:
            raise Refused("CallbackTimeoutException", CLOSED)
        return execution

    def _apply_callback_timeout(self, callback_id, error):
        try:
            execution = self._waits_for(callback_id)
        except Refused:  # answered, or over, at the same moment
            return
        execution.complete_callback_timeout(callback_id, error, now=self._clock.now())
        self._cleanup_callback_timeouts(callback_id)


def execution_of(callback_id):
    """The ARN of the execution that a callback ID belongs to. Raises Refused."""
    try:
        return CallbackToken.from_str(callback_id).execution_arn
    except (ValueError, KeyError, TypeError) as problem:
        raise Refused("InvalidParameterValueException", "Invalid callback id") from problem


def start_input(target, payload, name=None):
    """What the runner wants to know of an execution that starts."""
    return StartDurableExecutionInput(
        account_id=ACCOUNT,
        function_name=target.name,
        function_qualifier=target.version,  # an execution stays with the version it started on
        execution_name=name or str(uuid.uuid4()),
        execution_timeout_seconds=target.durable["ExecutionTimeout"],
        execution_retention_period_days=target.durable["RetentionPeriodInDays"],
        invocation_id=str(uuid.uuid4()),
        input=payload,
    )


def error_of(told):
    """The ErrorObject of an error as Lambda reports a function's."""
    return ErrorObject(told.get("errorMessage"), told.get("errorType"), told.get("errorData"), told.get("stackTrace"))


def _is_callback(operation, callback_id):
    details = operation.callback_details
    return details is not None and details.callback_id == callback_id


def _with_reason(details):
    """Pause details as an event has them."""
    if "Reason" in details:
        return {**details, "Reason": {"Payload": details["Reason"], "Truncated": False}}
    return dict(details)
