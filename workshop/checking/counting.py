"""Histories for checks of what is counted in them: known ones, drawn ones, and what a loop adds in each pass."""

import dataclasses
import datetime
import itertools
import math
import random
from types import MappingProxyType

from workshop.checking.executions import scheduled
from workshop.executions import History

_NOON = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.UTC)
_WORKED = ("TaskScheduled", "TaskStarted", "TaskSucceeded")
_FAILED = ("TaskScheduled", "TaskStarted", "TaskFailed")
_LAMBDA_WORKED = ("LambdaFunctionScheduled", "LambdaFunctionStarted", "LambdaFunctionSucceeded")
_LAMBDA_FAILED = ("LambdaFunctionScheduled", "LambdaFunctionStarted", "LambdaFunctionFailed")
_TIMED_OUT = ("TaskScheduled", "TaskStarted", "TaskTimedOut")
_LAMBDA_TIMED_OUT = ("LambdaFunctionScheduled", "LambdaFunctionStarted", "LambdaFunctionTimedOut")
# The error that an event tells, by how its type ends.
_ERRORS = {"Failed": "DatabaseMigration.DatabaseMigrationException", "TimedOut": "States.Timeout"}


def made_up(*visits: tuple, step: float = 1) -> list[dict]:
    """A history of these visits to states, as GetExecutionHistory returns it, without what was passed on.

    A visit is (type of the state, its name, *types of the events of its work). step: seconds between events.
    """
    end = "Failed" if visits[-1][0] == "Fail" else "Succeeded"
    events = [_event("ExecutionStarted"), *(event for visit in visits for event in _visit(*visit))]
    return _history([*events, _event(f"Execution{end}")], step=step)


def in_turns(*branches: tuple) -> list[dict]:
    """A history of a Parallel state, as `made_up` makes them. Its branches, a visit each, take turns."""
    turns = itertools.zip_longest(*(_visit(*branch) for branch in branches))
    mingled = [(event, branch) for events in turns for branch, event in enumerate(events) if event]
    before = [_event("ExecutionStarted"), _event("ParallelStateEntered", name="Both"), _event("ParallelStateStarted")]
    after = [_event("ParallelStateSucceeded"), _event("ParallelStateExited", name="Both"), _event("ExecutionSucceeded")]
    own = {len(before) + nth: branch for nth, (_, branch) in enumerate(mingled, start=1)}
    return _history([*before, *(event for event, _ in mingled), *after], own)


def _history(events, branches=MappingProxyType({}), step=1):
    """Events with numbers, times, and what each followed. branches: {number of an event: the branch that it is of}."""
    history, latest = [], {}
    for number, (kind, details) in enumerate(events, start=1):
        branch = branches.get(number)
        previous = number - 1 if branch is None else latest.get(branch, min(branches) - 1)
        latest[branch] = number
        history.append(
            {
                "timestamp": _NOON + datetime.timedelta(seconds=number * step),
                "type": kind,
                "id": number,
                "previousEventId": previous if number > 2 else 0,
                _field(kind): details,
            }
        )
    return history


def _visit(kind, name, *work):
    """The events of a visit to a state: [(type, details)]."""
    events = [_event(f"{kind}StateEntered", name=name)]
    for each in work:
        error = next((error for ending, error in _ERRORS.items() if each.endswith(ending)), None)
        events.append(_event(each, **({"error": error} if error else {})))
    return events + ([] if kind == "Fail" else [_event(f"{kind}StateExited", name=name)])


def _event(kind, **details):
    return kind, details


def _field(kind):
    """The field that has the details of an event of this type."""
    for ending in ("StateEntered", "StateExited"):
        if kind.endswith(ending):
            return ending[0].lower() + ending[1:] + "EventDetails"
    return kind[0].lower() + kind[1:] + "EventDetails"


# What each is: its events, and what AWS bills for them.
COUNTED = {
    "one Task state": (made_up(("Task", "Poll", *_WORKED)), 1),
    "a Wait and a Task state": (made_up(("Wait", "Pause"), ("Task", "Poll", *_WORKED)), 2),
    "a Task state that was retried twice": (made_up(("Task", "Poll", *_FAILED, *_FAILED, *_WORKED)), 3),
    "a Lambda function that was retried once": (made_up(("Task", "Ask", *_LAMBDA_FAILED, *_LAMBDA_WORKED)), 2),
    "a Task state that failed and led to a Fail state": (made_up(("Task", "Poll", *_FAILED), ("Fail", "Give up")), 2),
    "a Task state that was entered twice": (made_up(*[("Task", "Poll", *_WORKED)] * 2), 2),
    "two Task states side by side, of which one was retried": (
        in_turns(("Task", "Poll", *_FAILED, *_WORKED), ("Task", "Ask", *_LAMBDA_WORKED)),
        4,
    ),
    "Pass, Choice and Succeed states": (made_up(("Pass", "Tidy"), ("Choice", "Done?"), ("Succeed", "Done")), 3),
    "a Task state that timed out and was retried": (made_up(("Task", "Poll", *_TIMED_OUT, *_WORKED)), 2),
    "a Lambda function that timed out and was retried": (
        made_up(("Task", "Ask", *_LAMBDA_TIMED_OUT, *_LAMBDA_WORKED)),
        2,
    ),
}


def drawn_history(chance: random.Random) -> tuple[list[dict], int]:
    """A history that chance has made, and what AWS bills for it."""
    visits, transitions = [], 0
    for nth in range(chance.randrange(3, 9)):
        kind = chance.choice(("Task", "Task", "Lambda", "Wait", "Choice", "Pass"))
        retries = chance.randrange(4) if kind in ("Task", "Lambda") else 0
        ends = (_LAMBDA_FAILED, _LAMBDA_TIMED_OUT) if kind == "Lambda" else (_FAILED, _TIMED_OUT)
        worked = _LAMBDA_WORKED if kind == "Lambda" else _WORKED
        work = [event for _ in range(retries) for event in chance.choice(ends)]
        work += worked if kind in ("Task", "Lambda") else ()
        visits.append(("Task" if kind == "Lambda" else kind, f"State {nth}", *work))
        transitions += 1 + retries
    return made_up(*visits), transitions


@dataclasses.dataclass(frozen=True)
class Shape:
    """What happens in an execution of a polling loop: (transitions, events) once, and in each pass.

    asks_first: whether it asks before its first wait.
    """

    once: tuple[int, int]
    each: tuple[int, int]
    asks_first: bool

    @classmethod
    def of(cls, history: History) -> "Shape":
        """Of an execution that has asked at least twice."""
        first, second, *_ = polls = [event["id"] for event in scheduled(history, "describeReplicationTasks")]
        entered = [event["id"] for event in history.events if event["type"].endswith("StateEntered")]
        each = (sum(first < entry <= second for entry in entered), second - first)
        once = (history.transitions - len(polls) * each[0], len(history) - len(polls) * each[1])
        waits = [event["id"] for event in history.events if event["type"] == "WaitStateEntered"]
        return cls(once, each, asks_first=not any(wait < first for wait in waits))

    def of_job(self, job_seconds: float, poll_seconds: float) -> list[int]:
        """(transitions, events) of an execution that waits for a job of that length and asks at that interval."""
        passes = math.ceil(job_seconds / poll_seconds) + self.asks_first
        return [once + passes * each for once, each in zip(self.once, self.each, strict=True)]
