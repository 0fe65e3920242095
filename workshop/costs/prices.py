"""Prices as data (`workshop/data/prices.toml`), each with its source and the day on which it was read; and bills."""

import dataclasses
import datetime
import tomllib
from collections.abc import Mapping
from pathlib import Path

US_EAST_1 = "us-east-1"


@dataclasses.dataclass(frozen=True)
class Price:
    """What one unit costs in a Region.

    name: as in "states.transition". unit: what one is. usd: of one. free: how many cost nothing in each month.
    source: where it was read. read: when.
    """

    name: str
    unit: str
    usd: float
    region: str
    source: str
    read: datetime.date
    free: float = 0


def _read() -> dict[tuple[str, str], Price]:
    text = (Path(__file__).parent.parent / "data" / "prices.toml").read_text(encoding="utf-8")
    prices = [Price(**one) for one in tomllib.loads(text)["price"]]
    return {(price.name, price.region): price for price in prices}


PRICES = _read()  # {(name, Region): Price}


@dataclasses.dataclass(frozen=True)
class Bill:
    """What something costs. lines: {name: USD}. left_out: names of what was used and has no price here."""

    lines: Mapping[str, float]
    left_out: tuple[str, ...] = ()

    @property
    def usd(self) -> float:
        """The sum of the lines, in USD."""
        return sum(self.lines.values())

    def __str__(self):
        told = [f"{usd:12.6f} USD  {name}" for name, usd in self.lines.items()]
        missing = [f"Not in it, since no price is known here: {', '.join(self.left_out)}."] if self.left_out else []
        return "\n".join([*told, f"{self.usd:12.6f} USD", *missing])


def bill(used: Mapping[str, float], *, region: str = US_EAST_1, months: float | None = None) -> Bill:
    """What these quantities cost.

    used: {name of a price: how many}; a name without a price in that Region is in the bill's `left_out`.
    months: over how many months they are spread evenly, where what is free each month is to be taken off; by default
        nothing is taken off, as in an account that has used it up.
    """
    lines, left_out = {}, []
    for name, quantity in used.items():
        price = PRICES.get((name, region))
        if price is None:
            left_out.append(name)
            continue
        paid = quantity if months is None else max(0.0, quantity - price.free * months)
        lines[name] = paid * price.usd
    return Bill(lines, tuple(left_out))


def price(transitions: float) -> float:
    """What this many state transitions cost, in USD (Standard workflow, us-east-1, beyond the free ones)."""
    return bill({"states.transition": transitions}).usd


def durable_price(operations: float, invocations: float = 0, seconds: float = 0, memory: int = 128) -> float:
    """What these durable operations and invocations cost, in USD (us-east-1, x86, beyond the free ones).

    seconds: that the invocations ran, all together, with `memory` in MB.
    Data that is written and kept is not in it: "durable.gb_written" and "durable.gb_month" of a bill.
    """
    compute = seconds * memory / 1024
    used = {"durable.operation": operations, "lambda.request": invocations, "lambda.gb_second": compute}
    return bill(used).usd
