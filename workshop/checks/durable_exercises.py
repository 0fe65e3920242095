"""What the exercises of lab 04 have in common: a function that is explored, and words for what was seen."""

import datetime
import json

from workshop.checking.executions import Execution
from workshop.checking.exercises import SEEDS, Case, Exercise, Fault
from workshop.checking.explorations import Crashes, explored
from workshop.checking.outcomes import NotAttempted, listed, shortened
from workshop.checking.resources import function
from workshop.checking.waiting import side_by_side

CRASHED = Case("a process that crashed wherever it could")
GOES_ON = "Wherever between two steps its process crashes, a new one goes on, and the end is the same."


class Durable(Exercise):
    """An exercise whose function is explored, too: its case "crashes", whose record is a Crashes.

    function: which one, of EXPLORED in durable_worlds.py.
    """

    function: str
    pairs = ("crashes",)

    def observe(self, lab, draw, cases):
        others = {name: case for name, case in cases.items() if case is not CRASHED}
        calls = [lambda: self.observe_others(lab, draw, others) if others else {}]
        if len(others) < len(cases):
            seed = draw.random("crashes").randrange(SEEDS)
            calls.append(lambda: {"crashes": explored(lab, self.function, seed)})
        return {name: record for seen in side_by_side(*calls) for name, record in seen.items()}

    def observe_others(self, lab, draw, cases):
        """As `observe`, for all other cases."""
        raise NotImplementedError


def broken(seen: Crashes, inside=False):
    """A Fault where a crash of its process makes a difference. inside: one inside of a step; otherwise between two."""
    return Fault(seen.wrong, events=seen.story, whole=True) if seen.wrong and seen.inside == inside else None


def not_failed(seen: Execution):
    """A Fault where it did not end with MigrationFailed and the reason that DMS tells; None where it did."""
    if not seen.ended:
        return Fault(f"{seen}.", "It ends when that has ended.")
    if seen.status != "FAILED" or seen.error != "MigrationFailed":
        return Fault(f"{seen}.", "It fails with MigrationFailed.")
    reason = seen.migration.get("LastFailureMessage") or seen.migration["StopReason"]
    if reason not in seen.cause:
        return Fault(
            f"{seen}. DMS said: {shortened(reason)}",
            "It fails with DMS's message, or with its StopReason where DMS has no message.",
        )


def was_over(seen: Execution, moment: datetime.datetime | None) -> bool:
    """Whether that moment, if it came at all, was before the execution ended."""
    return bool(moment and seen.events) and moment < seen.events[-1]["EventTimestamp"]


def json_in(text) -> list:
    """What JSON text says, in a list; an empty one where it is none."""
    try:
        return [json.loads(text)]
    except (TypeError, ValueError):
        return []


def needs(lab, thing: str, number: int):
    """Raises NotAttempted where there is no lab.name(thing), which an earlier exercise makes."""
    try:
        function(lab, thing)
    except NotAttempted:
        raise NotAttempted(f"There is no {lab.name(thing)} yet: do exercise {number} first.") from None


def the(seen):
    return f"the execution {seen.in_words()}"


def waited(seen):
    return listed(seen.pauses, nothing="0")


def times(number):
    return {1: "once", 2: "twice"}.get(number, f"{number} times")
