"""Schedules: where the process of a durable function crashes."""

import zlib
from typing import NamedTuple

TURNS = 10_000
_PLACES = {
    "before": "before checkpoint {} is stored",
    "after": "after checkpoint {} is stored, before its answer arrives",
    "end": "at the end of invocation {}, before its answer arrives",
    "inside": "right after effect {}",
}


class Crash(NamedTuple):
    """One place where the process ends at once.

    where: "before" or "after" the n-th checkpoint call, at the "end" of the n-th invocation (its answer is lost), or
        "inside" a step: right after the n-th effect. n counts from 1, over all invocations of the execution.
    """

    where: str
    n: int

    @classmethod
    def checked(cls, where, n):
        """A Crash that can be. Raises ValueError where there is no such place."""
        if where not in _PLACES or not isinstance(n, int) or n < 1:
            raise ValueError(
                f"A process crashes at one of {', '.join(_PLACES)} and a number from 1, not {where!r}, {n!r}."
            )
        return cls(where, n)

    def __str__(self):
        return _PLACES[self.where].format(self.n)


def turn(world, schedule):
    """When a schedule is played among those with as many crashes, if chance decides: a number below TURNS.

    It depends on nothing but the schedule and the name of its world. So whoever begins with that turn plays it first,
    however many others there are.
    """
    return zlib.crc32(f"{world}: {'; '.join(map(str, schedule))}".encode()) % TURNS


def further(run, inside):
    """The places in a run that come after its last crash: what can be added to its schedule.

    inside: whether those that lie inside of a step are wanted, too. (After effects that it names a run is marked as if
        it were between steps.)
    """
    if run.crashed < len(run.schedule):  # with branches side by side, a place may be another one the next time
        return []
    passed = [crash for crash, _ in run.marks]
    last = passed.index(run.schedule[-1]) if run.schedule else -1
    return [crash for crash, in_step in run.marks[last + 1 :] if inside is True or not in_step]


def shrunk(schedule, breaks):
    """The same fault with the fewest crashes: leaves out each crash that is not needed for it.

    breaks: function of a schedule that returns what broke (or None). Returns (schedule, what broke).
    """
    found = None
    position = 0
    while position < len(schedule):
        fewer = schedule[:position] + schedule[position + 1 :]
        broke = breaks(fewer)
        if broke:
            schedule, found, position = fewer, broke, 0
        else:
            position += 1
    return schedule, found
