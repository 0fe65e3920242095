"""A year of jobs: made from a distribution or read from a file, and waited for in each design."""

import csv
import dataclasses
import datetime
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from workshop.costs.designs import DESIGNS, Assumptions
from workshop.costs.prices import US_EAST_1, Bill, bill

SHAPES = ("exponential", "lognormal", "same")


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a year of jobs comes to in a design.

    bill: what it costs. delays: seconds from each job's end until it was noticed, an array.
    fits: the share of jobs that the design can wait for without reaching a limit.
    idle_usd: what stood idle meanwhile, in USD.
    """

    bill: Bill
    delays: np.ndarray
    fits: float
    idle_usd: float

    @property
    def usd(self) -> float:
        """What AWS charges, in USD."""
        return self.bill.usd


def durations(*, mean: float, count: int, shape: str = "lognormal", spread: float = 1.0, seed: int = 1) -> np.ndarray:
    """How long jobs take: `count` draws, in seconds.

    mean: of all, in seconds. shape: "exponential", "lognormal" (spread: the standard deviation of its logarithm; 1.0
    means that a job in six takes more than 1.6 times the mean) or "same" (all take the mean).
    The same seed draws the same. Raises ValueError.
    """
    if not mean > 0 or count < 1:
        raise ValueError(f"mean is {mean!r} seconds and count {count!r}: both must be more than 0.")
    if shape not in SHAPES:
        raise ValueError(f"shape is {shape!r}; it may be {', '.join(SHAPES)}.")
    chance = np.random.default_rng(seed)
    if shape == "exponential":
        return chance.exponential(mean, count)
    if shape == "lognormal":
        return chance.lognormal(np.log(mean) - spread**2 / 2, spread, count)
    return np.full(count, float(mean))


def durations_of(path: str | Path) -> np.ndarray:
    """How long one's own jobs took, in seconds: from a CSV file whose columns `start` and `end` are ISO 8601 times.

    Raises ValueError, which names the line, where it is no such file or a job ends before it starts.
    """
    found = []
    with open(path, encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file)
        if not {"start", "end"} <= set(rows.fieldnames or ()):
            raise ValueError(f"{path} must have the columns start and end; it has {', '.join(rows.fieldnames or ())}.")
        for row in rows:
            try:
                start, end = (datetime.datetime.fromisoformat(row[name]) for name in ("start", "end"))
                took = (end - start).total_seconds()
            except (TypeError, ValueError) as problem:
                raise ValueError(f"{path}, line {rows.line_num}: {problem}.") from None
            if took < 0:
                raise ValueError(f"{path}, line {rows.line_num}: the job ends before it starts.")
            found.append(took)
    if not found:
        raise ValueError(f"{path} has no job in it.")
    return np.array(found)


def year(
    seconds: np.ndarray,
    assume: Assumptions | None = None,
    *,
    designs: Iterable[str] = tuple(DESIGNS),
    region: str = US_EAST_1,
    free: bool = False,
    idle_usd_per_hour: float = 0.0,
    seed: int = 1,
) -> dict[str, Outcome]:
    """What it costs to wait for these jobs within a year, and how late their ends are noticed; {design: Outcome}.

    seconds: how long each job takes. assume: Assumptions() by default.
    free: whether what AWS gives away each month is taken off.
    idle_usd_per_hour: what stands idle from the end of a job until it is noticed, as a replication instance does.
    """
    seconds, assume = np.asarray(seconds, dtype=float), assume or Assumptions()
    outcomes = {}
    for name in designs:
        waited = DESIGNS[name].waits(seconds, assume, np.random.default_rng(seed))
        outcomes[name] = Outcome(
            bill(waited.used, region=region, months=12 if free else None),
            waited.delays,
            float(waited.fits.mean()) if len(seconds) else 1.0,
            float(waited.delays.sum()) / 3600 * idle_usd_per_hour,
        )
    return outcomes
