"""What the exercises of lab 04 have in common: a function that is explored, and words for what was seen."""

import dataclasses
import datetime
import json
from collections.abc import Mapping, Sequence

from workshop.checking.executions import Execution
from workshop.checking.exercises import Case, Exercise, Fault, require_earlier
from workshop.checking.explorations import Crashes, Crashing, Played, crashed_at, explored
from workshop.checking.outcomes import NotAttempted, NotYet, listed, shortened
from workshop.checking.resources import function
from workshop.checking.waiting import side_by_side
from workshop.checks.durable_worlds import Waiting

CRASHED = Case("a process that crashed wherever it could")
GOES_ON = "Wherever its process crashes between two steps, a new one goes on, and the end is the same."


@dataclasses.dataclass(frozen=True)
class Imagined(Case):
    """A case that is played without an account, since it takes hours. world: the name of a class in durable_worlds."""

    world: str = ""


def imagined(world: type[Waiting]) -> Imagined:
    return Imagined(world.about, world.input, world=world.__name__)


# {a case: [(number of an earlier exercise, that exercise, its cases)]}: what may be at fault where that case shows one.
Earlier = Mapping[str, Sequence[tuple[int, Exercise, Sequence[str]]]]


def blame_earlier(exercise, lab, draw, seen: Mapping):
    """Raises NotYet where a fault is seen that is one of an earlier exercise; see `require_earlier`."""
    if fault := exercise.judge(seen):
        for earlier in exercise.earlier.get(fault.case, ()):
            try:
                require_earlier(lab, draw, *earlier)
            except NotYet as outcome:
                outcome.case = fault.case
                raise


class Durable(Crashing):
    """An exercise whose function is explored, too.

    The record of its case "crashes" is a Crashes, and that of an Imagined one a Played.
    function: which one, of EXPLORED in durable_worlds.py. earlier: see Earlier.
    """

    function: str
    earlier: Earlier = {}

    def observe(self, lab, draw, cases):
        worlds = {name: case.world for name, case in cases.items() if isinstance(case, Imagined)}
        others = {name: case for name, case in cases.items() if name not in worlds and case is not CRASHED}

        def explore():
            if len(others) == len(cases):
                return {}
            turn = draw.turn() if CRASHED in cases.values() else None
            crashes, played = explored(lab, self.function, turn, [*worlds.values()])
            return dict(zip(worlds, played, strict=True)) | ({"crashes": crashes} if crashes else {})

        seen, found = side_by_side(lambda: self.observe_others(lab, draw, others) if others else {}, explore)
        blame_earlier(self, lab, draw, {**seen, **found})
        return {**seen, **found}

    def observe_crashes(self, lab, draw, seconds, tell):
        return {"crashes": explored(lab, self.function, draw.turn(), seconds=seconds, tell=tell)[0]}

    def says_more(self, seen):
        """How much was played without an account; and what was not, such as where no world has what it calls."""
        said, crashes = [], seen.get("crashes")
        if crashes and crashes.unknown:
            said.append(f"Its crashes were not explored: {crashes.unknown}.")
        elif crashes:
            said.append(crashed_at([crashes]))
            if left := crashes.left_out:
                situations = "situation was" if len(left) == 1 else "situations were"
                said.append(f"{len(left)} {situations} left out, such as: {left[0]}.")
        missed = [each.unknown for each in seen.values() if isinstance(each, Played) and each.unknown]
        if missed:
            cases, were = ("case", "was") if len(missed) == 1 else ("cases", "were")
            said.append(f"{len(missed)} {cases} that no account can play in time {were} not played: {missed[0]}.")
        return " ".join(said)

    def observe_others(self, lab, draw, cases):
        """As `observe`, for all cases that are played in the account."""
        raise NotImplementedError


def broken(seen: Crashes, inside=False):
    """A Fault where a crash of its process makes a difference. inside: one inside of a step; otherwise between two."""
    if seen.wrong and seen.inside == inside:
        return Fault(seen.wrong, events=seen.story, whole=True, turn=seen.turn)


def wrong_for_hours(seen: Played):
    """A Fault where it goes wrong in a wait of hours."""
    return Fault(seen.wrong, events=seen.story, whole=True) if seen.wrong else None


def not_failed(seen: Execution):
    """A Fault where it did not end with MigrationFailed and the reason that DMS tells; None where it did."""
    if not seen.ended:
        return Fault(f"{seen}.", "It ends when the migration has ended.")
    if seen.status != "FAILED" or seen.error != "MigrationFailed":
        return Fault(f"{seen}.", "It fails with MigrationFailed.")
    reason = seen.migration.get("LastFailureMessage") or seen.migration["StopReason"]
    if reason not in seen.cause:
        return Fault(
            f"{seen}. DMS said: {shortened(reason)}",
            "It fails with DMS's message, or with its StopReason where DMS has no message.",
        )


def saved_for(item: Mapping, seconds: float):
    """A Fault where an item does not say that its callback waits for so long: another execution may take its place."""
    if "WaitsUntil" in item and item["WaitsUntil"] - item["CreatedAt"] == seconds:
        return None
    waits = f"waits for {item['WaitsUntil'] - item['CreatedAt']} s" if "WaitsUntil" in item else "waits for no time"
    return f"`seconds` was {seconds}, and the item that it saved says that it {waits}."


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
