"""What a loop costs and how late it notices; the prices and designs are those of workshop.costs."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from workshop.costs.designs import DESIGNS, MOST_EVENTS, Assumptions
from workshop.costs.prices import US_EAST_1, Bill, bill
from workshop.examining.loops import Loop, inner_machines

# Events that one pass of a state writes: entered and exited, and what lies between. Of a Task that is scheduled,
# started and succeeded; of a Map or Parallel, started and succeeded.
# https://cloudonaut.io/step-functions-pitfall-maximum-number-of-history-events/
_EVENTS = {"Task": 5, "Map": 4, "Parallel": 4}
_EXPRESS_SECONDS = 300  # that such an execution lasts at most: service-quotas.html


@dataclasses.dataclass(frozen=True)
class Usage:
    """How much a state machine has to do. interval: seconds to reckon with where a loop computes its own."""

    runs_per_month: float = 1000
    job_seconds: float = 3600
    interval: float = 60
    region: str = US_EAST_1

    def __post_init__(self):
        for name in ("runs_per_month", "job_seconds", "interval"):
            value = getattr(self, name)
            if not (value > 0 and math.isfinite(value)):
                raise ValueError(f"{name} is {value!r}, but it must be a number above 0.")


@dataclasses.dataclass(frozen=True)
class LoopCost:
    """What a loop comes to.

    interval: seconds of a pass; assumed: whether that is the usage's. passes, transitions, events: of one run.
    events_left: of the history, after it; None where there is no limit (Express). full_after: seconds after which a run
    reaches the limit, None likewise. bill: of a month. mean_delay, worst_delay: seconds until it notices an end.
    """

    interval: float
    assumed: bool
    passes: int
    transitions: int
    events: int
    events_left: int | None
    full_after: float | None
    bill: Bill
    mean_delay: float
    worst_delay: float

    @property
    def usd(self) -> float:
        """USD a month."""
        return self.bill.usd

    @property
    def outgrows(self) -> bool:
        """Whether a run is longer than its history can be."""
        return self.events_left is not None and self.events_left < 0


def cost_of(loop: Loop, usage: Usage, *, express: bool = False, transitions: float | None = None) -> LoopCost:
    """What a loop costs.

    transitions: of a run, where a history tells the true number; else those of its shortest pass are counted.
    """
    assumed = not loop.wait_seconds
    interval = usage.interval if assumed else loop.wait_seconds
    passes = max(1, math.ceil(usage.job_seconds / interval))
    counted = passes * len(loop.cycle) if transitions is None else transitions
    events_of_pass = sum(_events(loop.scope[name]) for name in loop.cycle)
    events = passes * events_of_pass
    if express:
        # 64 MB is the smallest step: https://aws.amazon.com/step-functions/pricing/
        seconds = min(usage.job_seconds, _EXPRESS_SECONDS) * usage.runs_per_month
        used = {"states.express.request": usage.runs_per_month, "states.express.gb_second": seconds * 64 / 1024}
    else:
        used = {"states.transition": counted * usage.runs_per_month}
    return LoopCost(
        interval, assumed, passes, round(counted), events,
        None if express else MOST_EVENTS - events,
        None if express else MOST_EVENTS // events_of_pass * interval,
        bill(used, region=usage.region), interval / 2, interval,
    )  # fmt: skip


def _events(state: Mapping[str, Any]) -> int:
    """The events that one pass of a state writes; inside a Map or Parallel each state once."""
    inner = sum(_events(one) for machine in inner_machines(state) for one in machine["States"].values())
    return _EVENTS.get(state.get("Type"), 2) + inner


def cost_of_sync(usage: Usage) -> Bill:
    """A month of jobs that a Task with `.sync` waits for: one state transition a job."""
    return bill({"states.transition": usage.runs_per_month}, region=usage.region)


def cost_of_token(usage: Usage, design: str = "token") -> Bill:
    """A month of jobs that are waited for with a task token, as lab 02 does it ("token"), or lab 03 ("callback")."""
    jobs = usage.runs_per_month * 12  # what a design uses is for a year of rounds
    one, two = (_used(design, np.full(count, usage.job_seconds)) for count in (1, 2))
    used = {name: (one[name] + (jobs - 1) * (two[name] - one[name])) / 12 for name in one}
    return bill({name: max(0.0, quantity) for name, quantity in used.items()}, region=usage.region)


def _used(design, seconds):
    return DESIGNS[design].waits(seconds, Assumptions(lost=0.0), np.random.default_rng(1)).used
