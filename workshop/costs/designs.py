"""The designs of the labs as arithmetic: what jobs use in each, and how late each notices that they have ended.

A job takes some seconds; all figures are for arrays of jobs. What the labs' own code does is counted: state
transitions and operations as labs 01 to 04 measure them, requests of functions, reads and writes of items. The time
that calls take is left out of delays.
"""

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np

MOST_EVENTS = 25_000  # of a history: https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
MOST_OPERATIONS = 3_000  # https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html


@dataclasses.dataclass(frozen=True)
class Assumptions:
    """What the arithmetic takes for granted; change one and see what it does.

    interval: seconds between two polls.
    lost: the share of events or callbacks that never come, 0 to 1.
    event_delay: seconds from the end of a job until whoever waits for its event or callback has gone on.
    reconcile_every: seconds between two rounds that look for what was lost.
    older_than: seconds that somebody must have waited before such a round asks about the job.
    call_seconds: that one invocation of a function runs. memory: of it, in MB.
    item: KB of the item with the token. payload: KB that a callback brings.
    kept: days for which a durable execution is kept after its end.
    """

    interval: float = 60
    lost: float = 0.001
    event_delay: float = 1
    reconcile_every: float = 300
    older_than: float = 600
    call_seconds: float = 0.1
    memory: int = 128
    item: float = 1.5
    payload: float = 1
    kept: float = 14

    def __post_init__(self):
        for name in ("interval", "reconcile_every", "call_seconds", "memory"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)!r}, but it must be more than 0.")
        if not 0 <= self.lost <= 1:
            raise ValueError(f"lost is {self.lost!r}, but it is a share: from 0 to 1.")


@dataclasses.dataclass(frozen=True)
class Waited:
    """What jobs used while somebody waited for them.

    used: {name of a price: how many, summed over all jobs}. delays: seconds from each job's end until it was noticed.
    fits: for each job, whether the design can wait so long before a limit ends it.
    """

    used: Mapping[str, float]
    delays: np.ndarray
    fits: np.ndarray


@dataclasses.dataclass(frozen=True)
class Design:
    """title: in words. lab: that shows it. waits(seconds, assume, chance) -> Waited; chance is a numpy Generator."""

    title: str
    lab: str
    waits: Callable[[np.ndarray, Assumptions, np.random.Generator], Waited]


def polling(seconds, assume, chance) -> Waited:
    """Lab 01: Start, then Wait, Poll, Choose in each pass, then the end. The first poll comes after an interval."""
    passes = _passes(seconds, assume)
    used = {"states.transition": float(np.sum(2 + 3 * passes))}
    return Waited(used, passes * assume.interval - seconds, 9 + 9 * passes <= MOST_EVENTS)


def token(seconds, assume, chance) -> Waited:
    """Lab 02: a function saves the token, an event has another one answer it, and rounds find what was lost."""
    jobs = len(seconds)
    used = {"states.transition": 2.0 * jobs, "events.aws": jobs * (1 - assume.lost)}
    used = _sum(used, _calls(2 * jobs, assume), _items(jobs, assume), _rounds(seconds, assume))
    return Waited(used, _told(seconds, assume, chance), np.ones(jobs, dtype=bool))


def callback(seconds, assume, chance) -> Waited:
    """Lab 03: the other side calls a URL, and a function behind it answers the token; two items are kept for it."""
    jobs = len(seconds)
    used = {"states.transition": 1.0 * jobs, "apigateway.http": jobs * (1 - assume.lost)}
    used = _sum(used, _calls(2 * jobs, assume), _items(2 * jobs, assume), _rounds(seconds, assume))
    return Waited(used, _told(seconds, assume, chance), np.ones(jobs, dtype=bool))


def durable_polling(seconds, assume, chance) -> Waited:
    """Lab 04: wait_for_condition asks at once, and then once in each interval; each time is an invocation."""
    polls = _passes(seconds, assume) + 1
    operations = 3 + polls  # the execution, the step that starts the job, the condition, and each poll
    used = {"durable.operation": float(np.sum(operations))}
    used = _sum(used, _calls(float(np.sum(polls)), assume))
    return Waited(used, (polls - 1) * assume.interval - seconds, operations <= MOST_OPERATIONS)


def durable_callback(seconds, assume, chance) -> Waited:
    """Lab 04: wait_for_callback, answered by the function that the service's event invokes."""
    jobs = len(seconds)
    # The execution, three of wait_for_callback, and the step that looks afterwards. What a callback brings is written
    # twice: https://docs.aws.amazon.com/lambda/latest/dg/durable-execution-sdk.html
    written = 2 * assume.payload * 1e3 / 1e9
    kept = (seconds + assume.kept * 86_400) / (30 * 86_400)
    used = {
        "durable.operation": 5.0 * jobs,
        "durable.gb_written": written * jobs,
        "durable.gb_month": float(np.sum(written * kept)),
        "events.aws": jobs * (1 - assume.lost),
    }
    used = _sum(used, _calls(3 * jobs, assume), _items(jobs, assume), _rounds(seconds, assume))
    return Waited(used, _told(seconds, assume, chance), np.ones(jobs, dtype=bool))


DESIGNS = {
    "polling": Design("A state machine that polls", "01-polling-loop", polling),
    "token": Design("A task token and an event", "02-task-tokens-and-events", token),
    "callback": Design("A callback URL", "03-callback-urls", callback),
    "durable polling": Design("A durable function that polls", "04-durable-functions", durable_polling),
    "durable callback": Design("A durable function that is called back", "04-durable-functions", durable_callback),
}


# -- parts of them -----------------------------------------------------------------------------------------------------


def _passes(seconds, assume):
    """How many intervals pass until a poll sees the end: at least one."""
    return np.maximum(1, np.ceil(seconds / assume.interval))


def _told(seconds, assume, chance):
    """How late whoever waits for word goes on: soon, or where that was lost, with the next round that may ask."""
    delays = np.full(len(seconds), float(assume.event_delay))
    lost = chance.random(len(seconds)) < assume.lost
    old_enough = np.maximum(seconds[lost], assume.older_than)
    delays[lost] = old_enough + chance.random(int(lost.sum())) * assume.reconcile_every - seconds[lost]
    return delays


def _calls(count, assume):
    """So many invocations of a function."""
    return {"lambda.request": count, "lambda.gb_second": count * assume.call_seconds * assume.memory / 1024}


def _items(count, assume):
    """So many items: each is written, read once before the answer, and deleted."""
    return {
        "dynamodb.write": count * 2 * float(np.ceil(assume.item)),
        "dynamodb.read": count * float(np.ceil(assume.item / 4)),
    }


def _rounds(seconds, assume):
    """What the rounds of a year cost: an invocation each, and a scan over the items of all who wait then.

    A job is seen by as many rounds as fit into it.
    """
    rounds = 365 * 86_400 / assume.reconcile_every
    read = assume.item / 4 / 2  # a scan reads 4 KB for half a unit, across items
    seen = float(np.sum(seconds)) / assume.reconcile_every
    return _sum(_calls(rounds, assume), {"dynamodb.read": seen * read, "scheduler.invocation": rounds})


def _sum(*used):
    names = dict.fromkeys(name for one in used for name in one)
    return {name: sum(one.get(name, 0) for one in used) for name in names}
