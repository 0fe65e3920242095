"""How checks wait: for a condition, with patience and within the time that a check may take; and side by side."""

import _thread
import concurrent.futures
import contextlib
import contextvars
import dataclasses
import math
import threading
import time
from collections.abc import Callable, Iterator

from workshop import account
from workshop.checking.outcomes import NotYet, SandboxProblem

CHECK_SECONDS = 50  # that a check may take: `make check` stops a cell after 60
# How many times longer all may take on AWS: functions start in seconds there, rules and permissions are felt after a
# while, and a migration takes minutes. A guess, with room: nobody has measured it.
SLOWER = 30
SHORTEST, LONGEST = 0.08, 0.5  # seconds between two looks
QUICK = 0.1  # seconds that a look takes at most where the machine is not busy: it is a call or two to the sandbox
TIDYING = 8  # seconds that it may take after that, to take away what it made
# Seconds for which a check has waited for one function until that is the function's own fault: it takes a second where
# it is right, and a machine on which it takes as many is too slow for the workshop.
TOO_LONG = 20


def here(seconds: float) -> float:
    """So many seconds of the sandbox, in the account that this process is connected to."""
    return seconds * (SLOWER if account.is_far() else 1)


@dataclasses.dataclass
class _Limit:
    """Until when a check may wait: a moment of time.monotonic().

    unended: the seconds for which it has waited in vain for functions, by their names.
    ended: the names of those that have come to an end at least once.
    """

    end: float = math.inf
    unended: dict[str, list[float]] = dataclasses.field(default_factory=dict)
    ended: set[str] = dataclasses.field(default_factory=set)


_NONE = _Limit()  # outside of a check
_limit: contextvars.ContextVar = contextvars.ContextVar("limit", default=_NONE)


@contextlib.contextmanager
def at_most(seconds: float):
    """Nobody waits in this block for longer than so many seconds: what ends the wait says for what it waited."""
    token = _limit.set(_Limit(time.monotonic() + seconds))
    try:
        yield
    finally:
        _limit.reset(token)


def left() -> float:
    """Seconds until the time of the check is over; 0 where it is, and infinite outside of a check."""
    return max(0.0, _limit.get().end - time.monotonic())


def did_not_end(name: str, seconds: float):
    """Note that the check has waited for so many seconds for a function of the learner's, and it did not end."""
    _limit.get().unended.setdefault(name, []).append(seconds)


def did_end(name: str):
    """Note that a function of the learner's has come to an end."""
    _limit.get().ended.add(name)


def within_time(what: str) -> bool:
    """True, for a loop that has a clock of its own; raises what `over` returns where the time of the check is over."""
    if not left():
        raise over(what)
    return True


@contextlib.contextmanager
def interrupted_when_over(name: str):
    """Run the learner's function of that name, which this process itself calls, until the time of the check is over.

    Only in the main thread, as in a notebook, can what runs be interrupted: again and again, since an `except:` of the
    function's own may take one for an error. Raises what `over` returns.
    """
    began, seconds = time.monotonic(), left()
    if seconds == math.inf or threading.current_thread() is not threading.main_thread():
        yield
        return
    ended, interrupted = threading.Event(), []

    def interrupt():
        over_in = seconds
        while not ended.wait(over_in):
            interrupted.append(True)
            _thread.interrupt_main()
            over_in = SHORTEST

    thread = threading.Thread(target=interrupt, daemon=True)
    thread.start()
    try:
        try:
            yield
        finally:
            ended.set()
            thread.join()
    except KeyboardInterrupt:
        if not interrupted:  # by the learner
            raise
        did_not_end(name, time.monotonic() - began)
        raise over(f"{name} to end") from None


def forgive():
    """Forget what did not end: the machine was too busy for it."""
    _limit.get().unended.clear()


def over(what: str) -> NotYet | SandboxProblem:
    """What to raise where the time of the check is over: a function's fault if one did not end, else the machine's.

    what: what is waited for, after "waited for".
    """
    limit = _limit.get()
    for name, waits in limit.unended.items():
        # Many short waits for one that ends now and then are a busy machine's: a case may hold it, or end its process.
        if max(waits) >= TOO_LONG or (sum(waits) >= TOO_LONG and name not in limit.ended):
            often = "" if len(waits) == 1 else f", in {len(waits)} invocations"
            took = f"{max(waits):.0f} s{often}"
            return NotYet(
                f"The function {name} did not end within {took}, and the time of the check was over.",
                "Each time that it is invoked, it comes to an end.",
            )
    return SandboxProblem(
        f"The check took longer than it may, and ended itself while it waited for {what}. "
        "Is this machine busy? Try again later."
    )


def until(condition: Callable[[], object], patience: float, what: str = "something to happen") -> bool:
    """Wait for a condition; returns whether it came.

    patience: seconds of pauses between looks in the sandbox; on AWS it is SLOWER times as many. The looks themselves do
        not count. Where they take long the machine is busy, and what is waited for takes as many times longer: so does
        patience, and a learner's answer does not get wrong by it.
    what: what is waited for, after "waited for".
    Raises what `over` returns where the time of the whole check is over.
    """
    limit = _limit.get()
    patience = here(patience)
    paused = 0.0
    for pause in pauses():
        began = time.monotonic()
        if condition():
            return True
        slower = max(1.0, (time.monotonic() - began) / here(QUICK))
        if paused >= patience:
            return False
        if time.monotonic() > limit.end:
            raise over(what)
        time.sleep(pause)
        paused += pause / slower
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


class Pool(concurrent.futures.ThreadPoolExecutor):
    """Threads in which the time of the check holds, too."""

    def submit(self, call, /, *arguments, **keywords):
        return super().submit(contextvars.copy_context().run, call, *arguments, **keywords)


@contextlib.contextmanager
def taking_back():
    """In this block a check takes away what it made, for which it has some seconds more, even if its time is over."""
    token = _limit.set(_Limit(max(_limit.get().end, time.monotonic() + here(TIDYING))))
    try:
        yield
    finally:
        _limit.reset(token)


@contextlib.contextmanager
def again_and_again(call: Callable[[], object], every: float = LONGEST):
    """Make this call in a thread of its own while the block runs, at once, and then every so many seconds."""
    ended = threading.Event()

    def go_on():
        call()
        while not ended.wait(every):
            call()

    # What a notebook shows goes to the cell of the context in which it is shown.
    thread = threading.Thread(target=contextvars.copy_context().run, args=(go_on,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def side_by_side(*calls: Callable[[], object], most: int | None = None) -> list:
    """Make these calls at the same time; returns what they return, in order. Raises what the first of them raised.

    most: how many at a time, all by default.
    """
    if not calls:
        return []
    with Pool(most or len(calls)) as pool:
        running = [pool.submit(call) for call in calls]
        try:
            concurrent.futures.wait(running)
        except KeyboardInterrupt:
            if (limit := _limit.get()) is not _NONE:
                limit.end = 0  # nobody waits any longer: they take away what they made
            raise
    return [each.result() for each in running]
