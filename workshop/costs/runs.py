"""What one's own executions used, by their exported histories, to be laid over what the model says.

`workshop examine --export` prints a script that fetches histories from an account, and only reads.
"""

import dataclasses
import statistics
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

from workshop.examining import histories, reading
from workshop.examining.loops import loops_of

# Recorded in the sandbox: a loop, a task token and a durable function, which waited for the same 25 minutes.
EXAMPLES = Path(__file__).parent.parent / "data" / "histories"


@dataclasses.dataclass(frozen=True)
class Run:
    """One execution that has ended.

    name: of its history. seconds: from its start to its end. usd: what its state transitions, or its operations and
        invocations, cost in us-east-1. polls: how often it asked.
    interval: seconds from one poll to the next, at the median; None where the history shows no two polls.
    """

    name: str
    seconds: float
    usd: float
    polls: int = 0
    interval: float | None = None


def runs_of(*paths: str | Path) -> list[Run]:
    """The executions in files with histories, and in folders of such; what else is in a folder is passed over.

    Raises ValueError where there is no history of an execution that has ended, or a file is none.
    """
    runs = []
    for path in paths:
        for file in reading.files_of(str(path)):
            try:
                runs += _ended(file)
            except reading.UnreadableError as problem:
                if not Path(path).is_dir():
                    raise ValueError(str(problem)) from None
    if not runs:
        names = ", ".join(str(path) for path in paths) or "no file"
        raise ValueError(f"There is no history of an execution that has ended in {names}.")
    return runs


def _ended(file) -> Iterator[Run]:
    for trace in reading.read(file):
        numbers = histories.measured(trace) if isinstance(trace, reading.Trace) else None
        if numbers and numbers.status != "RUNNING":
            asked = _durable_polls(trace) if trace.durable else _polls(trace)
            gaps = [later - earlier for earlier, later in pairwise(asked)]
            interval = statistics.median(gaps) if gaps else None
            yield Run(trace.name, numbers.seconds, numbers.bill.usd, len(asked), interval or None)


def _polls(trace) -> Sequence[float]:
    """When the loop that polls began to wait, in seconds: once for each poll."""
    for loop in loops_of(histories.definition_of(trace)):
        if loop.kind != "paces":
            [wait, *_] = [name for name in loop.states if loop.scope[name].get("Type") == "Wait"]
            return [visit.entered for visit in histories.history_of(trace).states() if visit.name == wait]
    return []


def _durable_polls(trace) -> Sequence[float]:
    begun = [event for event in trace.events if event["EventType"] == "StepStarted"]
    times = [event["EventTimestamp"] for event in begun if event.get("SubType") == "WaitForCondition"]
    return sorted(histories.time_of(each).timestamp() for each in times)
