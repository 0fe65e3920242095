"""An execution: its record, its history, and the flows that run in it.

MiniStack keeps executions as plain records in `_executions`, and its other calls read them there (ListExecutions,
DescribeStateMachineForExecution). An `Execution` wraps such a record while it runs.
"""

import contextvars
import json
import threading
import time

from ministack.services import stepfunctions as engine

from .errors import MAX_HISTORY_EVENTS, RUNTIME, TIMEOUT, Cancelled, StateError

_LONGEST_WAIT = min(threading.TIMEOUT_MAX, 10_000_000)  # seconds; a wait beyond it is made of several

running = {}  # ARN -> Execution, as long as it runs


def to_json(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def forget_deleted(machine_arn):
    """Remove a state machine that is being deleted, once none of its executions runs."""
    if engine._state_machines.get(machine_arn, {}).get("status") != "DELETING":
        return
    if not any(execution.record["stateMachineArn"] == machine_arn for execution in list(running.values())):
        engine._state_machines.pop(machine_arn, None)


class Execution:
    """One run of a state machine. All changes to its record are made under `lock`.

    log: takes each event, None where nothing is logged.
    """

    def __init__(self, record, definition, role_arn, log=None):
        self.record = record
        self.definition = definition
        self.role_arn = role_arn
        self.lock = threading.RLock()
        self.ended = threading.Event()
        self.watchers = []  # flows of other executions that wait for its end
        seconds = definition.get("TimeoutSeconds")
        self.deadline = None if seconds is None else time.monotonic() + seconds
        self.flow = None
        self.log = log
        record["events"] = []
        self._append("ExecutionStarted", 0, "executionStartedEventDetails", {
            "input": record["input"], "inputDetails": {"truncated": False}, "roleArn": role_arn,
        })  # fmt: skip
        running[record["executionArn"]] = self

    def _append(self, kind, previous, key=None, details=None):
        event = {
            "timestamp": engine.now_iso(),
            "type": kind,
            "id": len(self.record["events"]) + 1,
            "previousEventId": previous,
        }
        if key:
            event[key] = details
        self.record["events"].append(event)
        if self.log is not None:
            self.log.add(event)
        return event["id"]

    def limit(self, seconds):
        """Let it take no longer than this, whatever its definition says."""
        deadline = time.monotonic() + seconds
        self.deadline = deadline if self.deadline is None else min(self.deadline, deadline)

    @property
    def deleted(self):
        """Whether its state machine is being deleted, so that it goes no further."""
        machine = engine._state_machines.get(self.record["stateMachineArn"], {})
        return machine.get("status") == "DELETING" and machine["type"] == "STANDARD"

    def tell(self):
        """Tell its status on the event bus; those of Express are not told
        (docs.aws.amazon.com/step-functions/latest/dg/eventbridge-integration.html)."""
        if ":express:" not in self.record["executionArn"]:
            engine._emit_execution_status_event(self.record)

    def succeed(self, output):
        """End as SUCCEEDED with an output, a JSON value."""
        text = to_json(output)
        details = {"output": text, "outputDetails": {"truncated": False}}
        self._end("SUCCEEDED", self.flow.previous, "executionSucceededEventDetails", details, output=text)

    def fail(self, error):
        """End as FAILED with a StateError."""
        self._end("FAILED", self.flow.previous, "executionFailedEventDetails", error.details, **error.details)

    def abort(self, error=None, cause=None):
        """End as ABORTED: every wait in it ends, every token is dead. Says whether it was still running."""
        details = {key: value for key, value in (("error", error), ("cause", cause)) if value is not None}
        return self._end("ABORTED", 0, "executionAbortedEventDetails", details, **details)

    def time_out(self):
        """End as TIMED_OUT, which AWS records without an error on the execution."""
        self._end("TIMED_OUT", 0, "executionTimedOutEventDetails", {"error": TIMEOUT})

    def discard(self):
        """Make its threads leave, without a word: the account it belongs to is being emptied."""
        with self.lock:
            self.ended.set()
            running.pop(self.record["executionArn"], None)
            self.flow.cancel()

    def _end(self, status, previous, key, details, **fields):
        with self.lock:
            if self.ended.is_set():
                return False
            kind = {"TIMED_OUT": "ExecutionTimedOut"}.get(status, "Execution" + status.capitalize())
            self._append(kind, previous, key, details)
            self.record.update(status=status, stopDate=engine.now_iso(), **fields)
            self.ended.set()
            running.pop(self.record["executionArn"], None)
            self.flow.cancel()
            for watcher in self.watchers:
                watcher.wake()
        forget_deleted(self.record["stateMachineArn"])
        # In a thread of its own where the lock may be held: a rule's target may need the lock.
        if status == "TIMED_OUT":
            emit = contextvars.copy_context().run
            threading.Thread(target=emit, args=(self.tell,), daemon=True).start()
        else:
            self.tell()
        return True


class Flow:
    """One line of states being walked: the workflow itself, a branch of a Parallel, an iteration of a Map.

    Each has its own thread, variables and chain of events, and waits for one thing at a time.
    """

    def __init__(self, execution, context, variables, previous=0):
        self.execution = execution
        self.context = context
        self.variables = variables
        self.previous = previous  # id of the event before the next one
        self.state_type = None  # of the state it is in
        self.children = []
        self.cancelled = False
        self._signal = threading.Event()

    def branch(self, context, previous):
        """A flow inside this one, with a copy of its variables: inner ones do not reach the outside."""
        child = Flow(self.execution, context, dict(self.variables), previous)
        with self.execution.lock:
            if self.cancelled:
                raise Cancelled
            self.children.append(child)
        return child

    def event(self, kind, key=None, details=None, *, previous=None, chain=True):
        """Append an event and return its id; Cancelled when the flow has been ended, so that nothing follows.

        key, details: the details' field and value. previous: the event before, else the flow's last one.
        chain: whether the flow's next event follows this one (ends of iterations and of Parallel do not).
        """
        self.check()
        with self.execution.lock:
            if self.cancelled:
                raise Cancelled
            if len(self.execution.record["events"]) >= MAX_HISTORY_EVENTS - 1:  # the last is ExecutionFailed
                limit = f"The execution reached the maximum number of history events ({MAX_HISTORY_EVENTS})."
                raise StateError(RUNTIME, limit)
            number = self.execution._append(kind, self.previous if previous is None else previous, key, details)
            if chain:
                self.previous = number
            return number

    def check(self):
        """Raise Cancelled if this flow is to go no further; ends the execution when its time is over."""
        deadline = self.execution.deadline
        if deadline is not None and time.monotonic() >= deadline:
            self.execution.time_out()
        if self.cancelled:
            raise Cancelled

    def cancel(self):
        with self.execution.lock:
            self.cancelled = True
            for child in self.children:
                child.cancel()
        self.wake()

    def wake(self):
        """Make a waiting flow look again."""
        self._signal.set()

    def wait(self, done, seconds=None):
        """Block until `done()` or for `seconds`, and say whether it is done; raises Cancelled as soon as it is."""
        until = None if seconds is None else time.monotonic() + seconds
        while True:
            self.check()
            if done():
                return True
            ends = [end for end in (until, self.execution.deadline) if end is not None]
            left = min(ends) - time.monotonic() if ends else _LONGEST_WAIT
            if until is not None and time.monotonic() >= until:
                return False
            self._signal.wait(max(0, min(left, _LONGEST_WAIT)))
            self._signal.clear()

    def sleep(self, seconds):
        self.wait(lambda: False, seconds)
