"""Schedules: where the process of a durable function crashes."""

from typing import NamedTuple

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

    def __str__(self):
        return _PLACES[self.where].format(self.n)


def places(run, inside):
    """Where a process can crash in a run like this one, in the order in which it happens; a list of Crash.

    run.marks has a Crash for each place that was passed, and whether it lies inside a step.
    inside: whether to give those inside of a step, too.
    """
    return [crash for crash, in_step in run.marks if inside or not in_step]


def further(run, inside):
    """The places in a run that come after its last crash: what can be added to its schedule."""
    marks = run.marks
    if run.schedule:
        marks = marks[[crash for crash, _ in marks].index(run.schedule[-1]) + 1 :] if run.crashed else []
    return [crash for crash, in_step in marks if inside or not in_step]


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
