"""What ends a state or an execution, and how an error is matched by Retry and Catch."""

import json
import re

TIMEOUT = "States.Timeout"
HEARTBEAT_TIMEOUT = "States.HeartbeatTimeout"
RUNTIME = "States.Runtime"
DATA_LIMIT = "States.DataLimitExceeded"
QUERY = "States.QueryEvaluationError"

MAX_DATA_BYTES = 262_144  # state input, output, task result; service quotas of Step Functions
MAX_HISTORY_EVENTS = 25_000


class Cancelled(BaseException):
    """The flow was ended from outside (stop, time out, a failed sibling); its thread just leaves.

    Not an Exception, so that no handler of errors takes it for one.
    """


class StateError(Exception):
    """A state failed.

    error, cause: strings as history shows them, or None where AWS leaves them out.
    also: another name by which Retry and Catch may match it (a heartbeat is a kind of timeout).
    location: the field of a failed JSONata expression, written to an EvaluationFailed event.
    state: the visit to the state whose own fields are at fault, None where its work failed.
    """

    def __init__(self, error, cause=None, *, also=None, location=None, state=None):
        super().__init__(f"{error}: {cause}")
        self.error = error
        self.cause = cause
        self.also = also
        self.location = location
        self.state = state
        self.recorded = False  # whether the EvaluationFailed event has been written

    @property
    def output(self):
        """The error output a Catch hands on: a timeout has an empty cause there, a failure without one null."""
        return {"Error": self.error, "Cause": "" if self.cause is None and self.error == TIMEOUT else self.cause}

    @property
    def details(self):
        """The error's part of an event; a missing error or cause has no key."""
        return {key: value for key, value in (("error", self.error), ("cause", self.cause)) if value is not None}

    def matches(self, error_equals):
        """Whether a retrier or catcher with this ErrorEquals list takes the error.

        States.Runtime is never taken; States.TaskFailed takes all but timeouts
        (docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html).
        """
        if self.error == RUNTIME:
            return False
        if "States.ALL" in error_equals or self.error in error_equals or self.also in error_equals:
            return True
        return "States.TaskFailed" in error_equals and self.error != TIMEOUT


def read_json(text):
    """The value of a JSON text; raises ValueError, also for what only Python takes for JSON."""

    def refuse(constant):
        raise ValueError(f"Non-standard token '{constant}'")

    try:
        return json.loads(text, parse_constant=refuse)
    except RecursionError:
        raise ValueError("Document nesting depth exceeds the maximum allowed") from None


def json_problem(text):
    """What is wrong with a text that should be JSON, None if nothing is; where known in the words of AWS's parser."""
    try:
        read_json(text)
    except ValueError as problem:
        rest = text[getattr(problem, "pos", 0) :]
        if token := re.match(r"[A-Za-z_]\w*", rest):
            expected = "(JSON String, Number, Array, Object or token 'null', 'true' or 'false')"
            return f"Unrecognized token '{token.group()}': was expecting {expected}"
        if rest.startswith("'") and "property name" in str(problem):
            return "Unexpected character (''' (code 39)): was expecting double-quote to start field name"
        return str(problem)
    return None
