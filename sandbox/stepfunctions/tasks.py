"""Task states: one attempt at a time, its events and time limits, and the callback pattern with task tokens."""

import base64
import contextvars
import json
import secrets
import threading
import time

from ministack.services import stepfunctions as engine

from . import faults
from .data import is_whole
from .errors import HEARTBEAT_TIMEOUT, RUNTIME, TIMEOUT, Cancelled, StateError, read_json
from .executions import running, to_json

CALLBACK = ".waitForTaskToken"
SYNC = (".sync", ".sync:2")

tokens = {}  # token -> the Attempt that waits for it; None once that is over, which tells it from one made up


def run(here):
    """One attempt at the Task that is visited: its result; raises StateError."""
    return Attempt(here).run()


class Attempt:
    """One attempt at a Task. A retry is another one, with another token."""

    def __init__(self, here):
        self.here = here
        self.flow = here.flow
        self.resource = here.state["Resource"]
        if ":activity:" in self.resource:
            self.family, self.names = "Activity", {}
        elif ":::" in self.resource:
            kind, action = self.resource.split(":::", 1)[1].split(":", 1)
            if kind == "aws-sdk":
                service, action = action.split(":", 1)
                kind = f"aws-sdk:{service}"
            self.family, self.names = "Task", {"resourceType": kind, "resource": action}
        else:
            self.family, self.names = "LambdaFunction", {}
        self.waits = self.family == "Activity" or self.resource.endswith(CALLBACK)
        self.synchronous = self.resource.endswith(SYNC)
        self.began = None  # when its clock started
        self.beat = None  # when it was last heard of
        self.submitted = False  # whether its start is over, so that an answer goes straight to the history
        self.answer = None  # a result in a tuple of one, or a StateError
        self.closed = False

    def run(self):
        token = None
        if self.waits or self.synchronous:  # an answer ends the wait for a job, too
            token = base64.b64encode(secrets.token_bytes(456)).decode()  # as long as AWS's, with its + / =
            self.flow.context["Task"] = {"Token": token}
        arguments = self.here.arguments()
        self.timeout = self._limit("TimeoutSeconds")
        self.heartbeat = self._limit("HeartbeatSeconds")
        self._schedule(arguments)
        if token is None:
            return self._work(arguments, token)
        tokens[token] = self
        try:
            return self._work(arguments, token)
        finally:
            tokens[token] = None

    def _work(self, arguments, token):
        try:
            if self.family == "Activity":
                self._queue(arguments, token)
            else:
                self.start()
                result = self._call(arguments)
                if token is None:
                    return self._succeed(result)
                self._submitted(result)
                if self.synchronous and self._ends_first(result["ExecutionArn"]):
                    return self._succeed(self._described(result["ExecutionArn"]))
            self._wait(lambda: self.answer is not None)
        except StateError as error:
            with self.flow.execution.lock:
                if self.answer is None:
                    self.closed = True
                    self._event(
                        "TimedOut" if error.error == TIMEOUT and error.cause is None else "Failed", error.details
                    )
                    raise
                # The answer was acknowledged before the start failed or the time was over: it counts.
                self._record_answer()
        if isinstance(self.answer, StateError):
            raise self.answer
        return self.answer[0]

    # Time limits

    def _limit(self, name):
        """A time limit in seconds from a number, a path or an expression; None if it has none."""
        if f"{name}Path" in self.here.state:
            return self.here.path_field(f"{name}Path", "an integer value", is_whole)
        return self.here.whole_number(name)

    def _left(self):
        """Seconds until the next limit, None without any, and whether that limit is the heartbeat."""
        limits = []
        if self.began is not None and self.timeout is not None:
            limits.append((self.began + self.timeout, False))
        if self.began is not None and self.heartbeat is not None:
            limits.append((self.beat + self.heartbeat, True))
        if not limits:
            return None, False
        end, is_heartbeat = min(limits)
        return end - time.monotonic(), is_heartbeat

    def _wait(self, done):
        """Wait for something; a StateError when a limit comes first, from when on no answer is taken."""
        while not self.flow.wait(done, self._left()[0]):
            with self.flow.execution.lock:
                left, is_heartbeat = self._left()
                if left > 0:  # a heartbeat came meanwhile
                    continue
                if done():
                    return
                self.closed = True
                raise StateError(TIMEOUT, also=HEARTBEAT_TIMEOUT if is_heartbeat else None)

    # Events

    def _event(self, what, details):
        family = self.family[0].lower() + self.family[1:]
        return self.flow.event(f"{self.family}{what}", f"{family}{what}EventDetails", {**self.names, **details})

    def _schedule(self, arguments):
        if self.family == "Task":
            details = {"region": engine.get_region(), "parameters": to_json(arguments)}
        else:
            details = {"resource": self.resource, "input": to_json(arguments), "inputDetails": {"truncated": False}}
        if self.timeout is not None:
            details["timeoutInSeconds"] = int(self.timeout)
        if self.heartbeat is not None and self.family != "LambdaFunction":
            details["heartbeatInSeconds"] = int(self.heartbeat)
        self._event("Scheduled", details)

    def start(self, worker=None):
        """Record that the work began; for an activity that is when a worker takes it, and its clock starts then."""
        self.began = self.beat = time.monotonic()
        if self.family == "LambdaFunction":
            self.flow.event("LambdaFunctionStarted")
        elif self.family == "Activity":
            self._event("Started", {} if worker is None else {"workerName": worker})
        else:
            self._event("Started", {})

    def _submitted(self, output):
        with self.flow.execution.lock:
            self._event("Submitted", {"output": to_json(output), "outputDetails": {"truncated": False}})
            self.submitted = True
            if self.answer is not None:
                self._record_answer()

    def _succeed(self, result):
        self.here.limit(result, self.names.get("resourceType", self.resource))
        self._event("Succeeded", {"output": to_json(result), "outputDetails": {"truncated": False}})
        return result

    # Calls

    def _call(self, arguments):
        """The integration's result. With a time limit it is called in a thread that a timeout leaves behind."""
        resource, execution = self.resource.removesuffix(CALLBACK), self.flow.execution
        if self._left()[0] is None and execution.deadline is None:
            return faults.call(execution, resource, arguments)
        outcome = []

        def call():
            try:
                outcome.append((faults.call(execution, resource, arguments), None))
            except Exception as problem:
                outcome.append((None, problem))
            self.flow.wake()

        threading.Thread(target=contextvars.copy_context().run, args=(call,), daemon=True).start()
        self._wait(lambda: outcome)
        result, problem = outcome[0]
        if problem is not None:
            raise problem
        return result

    def _ends_first(self, arn):
        """Wait until the execution that `startExecution.sync` started has ended, or the token was answered before.

        From the end on no answer is taken. Where the task is aborted, so is the execution that it waits for
        (docs.aws.amazon.com/step-functions/latest/dg/connect-to-resource.html).
        """
        child = running.get(arn)
        if child is not None:
            child.watchers.append(self.flow)
            try:
                self._wait(lambda: child.ended.is_set() or self.answer is not None)
            except Cancelled:
                child.abort()
                raise
        with self.flow.execution.lock:
            self.closed = self.closed or self.answer is None
            return self.answer is None

    def _described(self, arn):
        """The result of an execution that has ended, as `startExecution.sync` shows it; raises StateError."""
        record = engine._executions[arn]
        parsed = self.resource.endswith(":2")  # recorded: callback/test_callback, test_start_execution_sync2
        described = {
            "ExecutionArn": record["executionArn"],
            "Input": json.loads(record["input"]) if parsed else record["input"], "InputDetails": {"Included": True},
            "Name": record["name"], "StartDate": _millis(record["startDate"]),
            "StateMachineArn": record["stateMachineArn"], "Status": record["status"],
            "StopDate": _millis(record["stopDate"]),
        }  # fmt: skip
        if record["status"] != "SUCCEEDED":
            described |= {k.capitalize(): record[k] for k in ("error", "cause") if record.get(k) is not None}
            raise StateError("States.TaskFailed", to_json(dict(sorted(described.items()))))
        output = json.loads(record["output"]) if parsed else record["output"]
        return {**described, "Output": output, "OutputDetails": {"Included": True}}

    # The callback pattern

    def _queue(self, arguments, token):
        if self.resource not in engine._activities:
            raise StateError(RUNTIME, f"The activity {self.resource} does not exist.")
        engine._activity_tasks[self.resource].append({"taskToken": token, "input": to_json(arguments)})
        self.submitted = True

    def settle(self, answer):
        """Take an answer, if it is the first and the task still waits; says whether it was taken.

        It is in the history before the caller hears of it, so what was acknowledged cannot be lost.
        """
        with self.flow.execution.lock:
            if self.closed or self.answer is not None or self.flow.cancelled:
                return False
            self.answer = answer
            try:
                if self.submitted:  # else once its start has returned
                    self._record_answer()
            except Cancelled:
                return False
        self.flow.wake()
        return True

    def _record_answer(self):
        self.closed = True
        try:
            if isinstance(self.answer, StateError):
                self._event("Failed", self.answer.details)
            else:
                self._succeed(self.answer[0])
        except StateError as error:  # the history is full
            self.answer = error

    def renew(self):
        """Begin the heartbeat interval anew; says whether the task still waits."""
        with self.flow.execution.lock:
            if self.closed or self.answer is not None or self.flow.cancelled:
                return False
            self.beat = time.monotonic()
            return True


def _millis(stamp):
    """A time as `startExecution.sync` shows it: milliseconds since 1970."""
    return engine._iso_to_epoch_ms(stamp)


# The calls of the API


def send_task_success(data):
    """SendTaskSuccess: `taskToken`, `output` (JSON text)."""
    output = data.get("output")
    if problem := _too_long("output", output, 262_144):
        return problem
    try:
        result = read_json(output)
    except (TypeError, ValueError):
        if data.get("taskToken") not in tokens:
            return _invalid_token()
        return engine.error_response_json("InvalidOutput", "Invalid Output: 'Output is not valid JSON'", 400)
    return _answer(data, lambda attempt: attempt.settle((result,)))


def send_task_failure(data):
    """SendTaskFailure: `taskToken`, and perhaps `error` and `cause`, texts."""
    problem = _too_long("error", data.get("error"), 256) or _too_long("cause", data.get("cause"), 32_768)
    return problem or _answer(data, lambda attempt: attempt.settle(StateError(data.get("error"), data.get("cause"))))


def send_task_heartbeat(data):
    """SendTaskHeartbeat: `taskToken`."""
    return _answer(data, Attempt.renew)


def _answer(data, take):
    if data.get("taskToken") not in tokens:
        return _invalid_token()
    attempt = tokens[data["taskToken"]]
    if attempt is None or not take(attempt):
        message = "Task Timed Out: 'Provided task does not exist anymore'"
        return engine.error_response_json("TaskTimedOut", message, 400)
    return engine.json_response({})


def _invalid_token():
    return engine.error_response_json("InvalidToken", "Invalid Token: 'Invalid token'", 400)


def _too_long(name, value, limit):
    if isinstance(value, str) and len(value) > limit:
        message = (
            f"1 validation error detected: Value at '{name}' failed to satisfy constraint: "
            f"Member must have length less than or equal to {limit}"
        )
        return engine.error_response_json("ValidationException", message, 400)
    return None
