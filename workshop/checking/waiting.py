"""How checks wait: for a condition, with patience and within the time that a check may take; and side by side."""

import concurrent.futures
import contextlib
import contextvars
import dataclasses
import math
import time
from collections.abc import Callable, Iterator

from workshop import account
from workshop.checking.outcomes import SandboxProblem

CHECK_SECONDS = 50  # that a check may take: `make check` stops a cell after 60
# How many times longer all may take on AWS: functions start in seconds there, rules and permissions are felt after a
# while, and a migration takes minutes. A guess, with room: nobody has measured it.
SLOWER = 30
SHORTEST, LONGEST = 0.08, 0.5  # seconds between two looks


def here(seconds: float) -> float:
    """So many seconds of the sandbox, in the account that this process is connected to."""
    return seconds * (SLOWER if account.is_far() else 1)


@dataclasses.dataclass
class _Limit:
    """Until when a check may wait: a moment of time.monotonic()."""

    end: float = math.inf


_NONE = _Limit()  # outside of a check
_limit: contextvars.ContextVar = contextvars.ContextVar("limit", default=_NONE)


@contextlib.contextmanager
def at_most(seconds: float):
    """`until` does not wait in this block for longer than so many seconds: a SandboxProblem says for what it waited."""
    token = _limit.set(_Limit(time.monotonic() + seconds))
    try:
        yield
    finally:
        _limit.reset(token)


def until(condition: Callable[[], object], patience: float, what: str = "something to happen") -> bool:
    """Wait for a condition; returns whether it came.

    patience: seconds of pauses between looks in the sandbox; on AWS it is SLOWER times as many. The looks themselves do
        not count: on a machine that is busy all of it takes longer, and a learner's answer does not get wrong by it.
    what: what is waited for, after "waited for".
    Raises SandboxProblem where the time of the whole check is over.
    """
    limit = _limit.get()
    patience = here(patience)
    paused = 0.0
    for pause in pauses():
        if condition():
            return True
        if paused >= patience:
            return False
        if time.monotonic() > limit.end:
            raise SandboxProblem(
                f"The check took longer than it may, and ended itself while it waited for {what}. "
                "Is this machine busy? Try again later."
            )
        time.sleep(pause)
        paused += pause
    raise AssertionError("pauses() never ends")


def pauses() -> Iterator[float]:
    """Seconds between looks, without end: SHORTEST at first, then a fifth of what was waited, LONGEST at most.

    So a wait takes a fifth longer than it must, and does not keep the machine busy with looking.
    """
    waited = 0.0
    while True:
        pause = min(max(SHORTEST, waited / 5), here(LONGEST))
        yield pause
        waited += pause


def side_by_side(*calls: Callable[[], object], most: int | None = None) -> list:
    """Make these calls at the same time; returns what they return, in order. Raises what the first of them raised.

    most: how many at a time, all by default.
    """
    if not calls:
        return []
    with concurrent.futures.ThreadPoolExecutor(most or len(calls)) as pool:
        # Each in a copy of this context, so that the time of the check holds there too.
        running = [pool.submit(contextvars.copy_context().run, call) for call in calls]
        try:
            concurrent.futures.wait(running)
        except KeyboardInterrupt:
            if (limit := _limit.get()) is not _NONE:
                limit.end = 0  # nobody waits any longer: they take away what they made
            raise
    return [each.result() for each in running]
