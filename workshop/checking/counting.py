"""Histories for checks of what is counted in them: known ones, drawn ones, and what a loop adds in each pass."""

import dataclasses
import datetime
import math
import random

from workshop.checking.executions import scheduled
from workshop.executions import History

_NOON = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.UTC)
_WORKED = ("TaskScheduled", "TaskStarted", "TaskSucceeded")
_FAILED = ("TaskScheduled", "TaskStarted", "TaskFailed")
_LAMBDA_WORKED = ("LambdaFunctionScheduled", "LambdaFunctionStarted", "LambdaFunctionSucceeded")
_LAMBDA_FAILED = ("LambdaFunctionScheduled", "LambdaFunctionStarted", "LambdaFunctionFailed")


def made_up(*visits: tuple, step: float = 1) -> list[dict]:
    """A history of these visits to states, as GetExecutionHistory returns it, without what was passed on.

    A visit is (type of the state, its name, *types of the events of its work). step: seconds between events.
    """
    events = [("ExecutionStarted", "executionStarted", {})]
    for kind, name, *work in visits:
        events.append((f"{kind}StateEntered", "stateEntered", {"name": name}))
        for each in work:
            told = {"error": "DatabaseMigration.DatabaseMigrationException"} if each.endswith("Failed") else {}
            events.append((each, each[0].lower() + each[1:], told))
        if kind != "Fail":
            events.append((f"{kind}StateExited", "stateExited", {"name": name}))
    end = "Failed" if visits[-1][0] == "Fail" else "Succeeded"
    events.append((f"Execution{end}", f"execution{end}", {}))
    return [
        {
            "timestamp": _NOON + datetime.timedelta(seconds=number * step),
            "type": kind,
            "id": number,
            "previousEventId": number - 1 if number > 2 else 0,
            f"{field}EventDetails": details,
        }
        for number, (kind, field, details) in enumerate(events, start=1)
    ]


# What each is: its events, and what AWS bills for them.
COUNTED = {
    "one Task state": (made_up(("Task", "Poll", *_WORKED)), 1),
    "a Wait and a Task state": (made_up(("Wait", "Pause"), ("Task", "Poll", *_WORKED)), 2),
    "a Task state that was retried twice": (made_up(("Task", "Poll", *_FAILED, *_FAILED, *_WORKED)), 3),
    "a Lambda function that was retried once": (made_up(("Task", "Ask", *_LAMBDA_FAILED, *_LAMBDA_WORKED)), 2),
    "a Task state that failed and led to a Fail state": (made_up(("Task", "Poll", *_FAILED), ("Fail", "Give up")), 2),
    "a Task state that was entered twice": (made_up(*[("Task", "Poll", *_WORKED)] * 2), 2),
    "Pass, Choice and Succeed states": (made_up(("Pass", "Tidy"), ("Choice", "Done?"), ("Succeed", "Done")), 3),
}


def drawn_history(chance: random.Random) -> tuple[list[dict], int]:
    """A history that chance has made, and what AWS bills for it."""
    visits, transitions = [], 0
    for nth in range(chance.randrange(3, 9)):
        kind = chance.choice(("Task", "Task", "Lambda", "Wait", "Choice", "Pass"))
        retries = chance.randrange(4) if kind in ("Task", "Lambda") else 0
        failed, worked = (_LAMBDA_FAILED, _LAMBDA_WORKED) if kind == "Lambda" else (_FAILED, _WORKED)
        work = [*failed * retries, *worked] if kind in ("Task", "Lambda") else []
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
