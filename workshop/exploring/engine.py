"""AWS's local runner's engine on one clock, in one thread, for one execution.

What an operation's state becomes, what is refused, when an invocation follows, how often a failed one is tried again,
and what the history says: all that is AWS's own code (aws-durable-execution-sdk-python-testing 1.4.0). What is replaced
here are its threads and its event loop, so that what happens has one order: timers wait in one queue, and the clock
jumps to the next of them when nothing runs.

The runner's own skip_time puts waits before the time limits of callbacks, whatever they last. Here the earlier one is
the first.
"""

import dataclasses
import datetime
import heapq
import itertools
import threading
import uuid
from concurrent.futures import Future

from aws_durable_execution_sdk_python.lambda_service import ErrorObject, OperationAction, OperationStatus, OperationType
from aws_durable_execution_sdk_python_testing.checkpoint.processor import CheckpointProcessor
from aws_durable_execution_sdk_python_testing.exceptions import (
    DurableFunctionsTestError,
    InvalidInvocationOutputError,
    ResourceNotFoundException,
)
from aws_durable_execution_sdk_python_testing.executor import Executor
from aws_durable_execution_sdk_python_testing.invoker import InProcessInvoker, create_test_lambda_context
from aws_durable_execution_sdk_python_testing.model import StartDurableExecutionInput
from aws_durable_execution_sdk_python_testing.stores.memory import InMemoryExecutionStore
from aws_durable_execution_sdk_python_testing.worker.checkpoint_tasks import CallableTask
from aws_durable_execution_sdk_python_testing.worker.execution_worker import ExecutionWorker
from aws_durable_execution_sdk_python_testing.worker.registry import ExecutionRegistry
from aws_durable_execution_sdk_python_testing.worker.status import InvocationState

_TICK = datetime.timedelta(milliseconds=1)  # how long code takes between two looks at the clock


class Timer:
    """Something that is due at a time; what the runner takes for a Future."""

    def __init__(self, do):
        self.do = do
        self.cancelled = False

    def cancel(self):
        self.cancelled = True

    def done(self):
        return self.do is None or self.cancelled


class Clock:
    """The one clock, and what waits for it: the runner's Clock and its Scheduler in one.

    It stands while code runs, but for a millisecond at each look: no two events have one time.
    It begins a day ahead of the machine's clock: the SDK compares the times that it gets with that, and none of them
    may seem past.
    """

    def __init__(self):
        self.start = datetime.datetime.now(datetime.UTC).replace(microsecond=0) + datetime.timedelta(days=1)
        self._now = self.start
        self._queue = []
        self._numbers = itertools.count()
        self._lock = threading.RLock()

    def now(self):
        with self._lock:
            self._now += _TICK
            return self._now

    def seconds(self):
        """Since the start, to the second."""
        return round((self._now - self.start).total_seconds())

    def advance(self, seconds):
        with self._lock:
            self._now += datetime.timedelta(seconds=seconds)

    def arm(self, wake):
        """The seconds until then."""
        return max(0.0, (wake - self._now).total_seconds())

    def call_later(self, do, delay=0, count=1, completion_event=None):
        timer = Timer(do)
        with self._lock:
            due = self._now + datetime.timedelta(seconds=delay)
            heapq.heappush(self._queue, (due, next(self._numbers), timer))
        return timer

    def create_event(self):
        return threading.Event()

    def run_next(self):
        """Go to the next timer and do what it is for; returns whether there was one."""
        while self._queue:
            due, _, timer = heapq.heappop(self._queue)
            if timer.cancelled:
                continue
            self._now = max(self._now, due)
            do, timer.do = timer.do, None
            do()
            return True
        return False


class _Lane:
    """Runs the runner's tasks where they are given, one at a time."""

    def __init__(self):
        self._lock = threading.RLock()

    def submit(self, task):
        future = Future()
        with self._lock:
            try:
                future.set_result(task())
            except BaseException as error:
                future.set_exception(error)
        return future

    def stop(self, *, wait=True):
        pass


class _Workers(ExecutionRegistry):
    def get_or_create(self, execution_arn):
        worker = self._workers.get(execution_arn)
        if worker is None:
            worker = ExecutionWorker(execution_arn, self._store, self._scheduler, self, _Lane())
            self._workers[execution_arn] = worker
        return worker


class Crashed(Exception):
    """The process ended; its invocation has no answer."""


class Engine(Executor):
    """One execution of a durable function, from its start to its end.

    invoke: function of the invocation's input and Lambda context, returns what the handler returned; raises where the
    process has crashed. called: function of (name, payload), what context.invoke gets.
    """

    def __init__(self, clock, client, invoke, called):
        store = InMemoryExecutionStore()
        super().__init__(store, clock, self, CheckpointProcessor(store, clock, clock), clock=clock,
                         registry=_Workers(store, clock), child_dispatcher=None)  # fmt: skip
        self._client, self._invoke, self._called = client, invoke, called
        self._requests = itertools.count(1)
        self.failures = {}  # request id of an invocation -> its error, an ErrorObject
        self.arn = None

    @property
    def execution(self):
        return self._store.load(self.arn)

    def start(self, event_text, timeout):
        """Start it, with its input as JSON text. timeout: of the whole execution, in seconds, or None."""
        started = StartDurableExecutionInput(
            account_id="123456789012",
            function_name="explored",
            function_qualifier="$LATEST",
            execution_name="explored",
            execution_timeout_seconds=timeout or 0,
            execution_retention_period_days=7,
            invocation_id="start",
            input=event_text,
        )
        self.arn = self._create_execution(started).durable_execution_arn
        self._launch_execution(self.execution, timeout or 0)

    def checkpoint(self, token, updates, client_token):
        """Store a checkpoint; returns its answer."""
        return self.checkpoint_execution(self.arn, token, updates, client_token)

    def state(self, token, marker, limit):
        return self.get_execution_state(self.arn, token, marker, limit)

    def events(self):
        """The history, as GetDurableExecutionHistory gives it with IncludeExecutionData; a list of dicts."""
        events = [event.to_dict() for event in self.get_execution_history(self.arn, True, max_items=100_000).events]
        self._complete(events)
        return events

    def _complete(self, events):
        """Add the details that the runner leaves out of a history: time limits, attempts, states, how invocations end.

        (The sandbox adds the same: sandbox/durable/history.py.)
        """
        ended, updates, attempts = iter(self.execution.invocation_completions), {}, {}
        for update in self.execution.updates:
            updates.setdefault(update.operation_id, []).append(update)
        for event in events:
            details = event.setdefault(f"{event['EventType']}Details", {})
            if event["EventType"] == "InvocationCompleted":
                invocation = next(ended)
                details["StartTimestamp"] = invocation.start_timestamp
                details["EndTimestamp"] = invocation.end_timestamp
                details["RequestId"] = invocation.request_id
                if invocation.request_id in self.failures:
                    failure = self.failures[invocation.request_id].to_dict()
                    details["Error"] = {"Payload": failure, "Truncated": False}
            elif updates.get(event.get("Id")):  # the events of an operation are in the order of its updates
                update = updates[event["Id"]].pop(0)
                limits = update.callback_options
                if limits:
                    named = {"Timeout": limits.timeout_seconds, "HeartbeatTimeout": limits.heartbeat_timeout_seconds}
                    details.update({name: seconds for name, seconds in named.items() if seconds})
                if update.operation_type is OperationType.STEP and update.action is not OperationAction.START:
                    attempts[event["Id"]] = attempts.get(event["Id"], 0) + 1
                    details["RetryDetails"] = {"CurrentAttempt": attempts[event["Id"]]}
                    if update.action is OperationAction.RETRY:
                        delay = update.step_options.next_attempt_delay_seconds
                        details["RetryDetails"]["NextAttemptDelaySeconds"] = delay
                        if not update.error:
                            details["Result"] = {"Payload": update.payload, "Truncated": False}

    # -- in place of the runner's event loop --------------------------------------------------------------------------

    def _on_lane(self, task):
        return self._registry.submit(self.arn, CallableTask(task)).result()

    def _invoke_execution(self, execution_arn, delay=0):
        if delay == 0 and self._invocation_gate(execution_arn) is InvocationState.INVOKING:
            self._on_lane(lambda: self._begin_invocation(execution_arn))  # notes that one more may have to follow
        else:
            super()._invoke_execution(execution_arn, delay)

    def _invoke_handler(self, execution_arn):
        def invoke():
            claim = self._on_lane(lambda: self._begin_invocation(execution_arn))
            if claim is None:
                return
            _, invocation_input, seen = claim
            context = create_test_lambda_context(function_name="explored:$LATEST")
            request = uuid.uuid5(uuid.NAMESPACE_URL, f"{self.arn} {next(self._requests)}")  # another in each execution
            context = dataclasses.replace(context, aws_request_id=str(request))
            began = self._clock.now()
            try:
                response = self._invoke(invocation_input, context)
            except InvalidInvocationOutputError as error:
                fault = self._invalid_output_error(str(error))
                request = context.aws_request_id
                self._fail_after_invalid_output(execution_arn, fault, began, self._clock.now(), request)
            except Exception as error:
                fault = self.failures[context.aws_request_id] = _error_of(error)
                self.execution.record_invocation_completion(began, self._clock.now(), context.aws_request_id)
                self._on_lane(lambda: self._retry_after_error(execution_arn, fault))
            else:
                ended = self._clock.now()
                self._on_lane(lambda: self._finish_invocation(execution_arn, response, began, ended, seen))

        return invoke

    def _fire_due_and_invoke_handler(self, execution_arn):
        def fire():
            if self._on_lane(lambda: self._fire_due_operations(execution_arn)):
                self._invoke_execution(execution_arn)
            self._schedule_earliest_pending(execution_arn)

        return fire

    # -- in place of the runner's invoker -----------------------------------------------------------------------------

    def create_invocation_input(self, execution):
        return InProcessInvoker(None, self._client).create_invocation_input(execution)

    # -- other functions ----------------------------------------------------------------------------------------------

    def preflight_chained_invoke(self, function_name):
        return None

    def _dispatch_chained_invoke(self, execution_arn, operation_id, function_name, tenant_id, payload):
        def dispatch():
            try:
                status, result, error = OperationStatus.SUCCEEDED, self._called(function_name, payload), None
            except Exception as raised:
                status, result, error = OperationStatus.FAILED, None, ErrorObject.from_exception(raised)
            complete = self._apply_chained_invoke_completion
            self._on_lane(lambda: complete(execution_arn, operation_id, status, result, error))
            self._invoke_execution(execution_arn)

        return dispatch

    def answer(self, how, callback_id, value):
        """Answer a callback; returns whether it was taken.

        how: "succeed", with a value of bytes or None; "fail", with (type, message); "heartbeat".
        """
        try:
            if how == "succeed":
                self.send_callback_success(callback_id, value)
            elif how == "fail":
                error = ErrorObject(message=value[1], type=value[0], data=None, stack_trace=None)
                self.send_callback_failure(callback_id, error)
            else:
                self.send_callback_heartbeat(callback_id)
        except (ResourceNotFoundException, DurableFunctionsTestError):
            return False
        return True


def _error_of(error):
    """What Lambda reports of an invocation that failed."""
    if isinstance(error, Crashed):
        return ErrorObject(message=str(error), type="Runtime.ExitError", data=None, stack_trace=None)
    return ErrorObject.from_exception(error)
