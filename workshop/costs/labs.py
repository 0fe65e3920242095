"""What a lesson and its lab cost on a real account (`workshop/data/labs.toml`)."""

import dataclasses
import textwrap
import tomllib
from collections.abc import Mapping
from pathlib import Path

from workshop.costs.prices import PRICES, US_EAST_1, bill

# Endpoints of one replication instance: https://docs.aws.amazon.com/dms/latest/userguide/CHAP_Limits.html
MOST_ENDPOINTS = 100
INSTANCE = "dms.t3.micro"  # what migrations run on there, for all learners of an account


@dataclasses.dataclass(frozen=True)
class Lab:
    """One evening: a lesson and the lab of its name.

    name: as of the notebooks. minutes: for reading and doing both. migrates: whether it needs a replication instance.
    used: {name of a price: how many}, of what its cells use once. endpoints: of DMS, that are there at its end.
    """

    name: str
    minutes: int
    migrates: bool
    used: Mapping[str, int]
    endpoints: int = 0

    @property
    def usd(self) -> float:
        """What it costs in us-east-1, with a replication instance of one's own for as long as it takes."""
        return bill({**self.used, **({INSTANCE: self.minutes / 60} if self.migrates else {})}).usd


def _read() -> list[Lab]:
    text = (Path(__file__).parent.parent / "data" / "labs.toml").read_text(encoding="utf-8")
    return [Lab(**one) for one in tomllib.loads(text)["lab"]]


LABS = _read()


def learners_at_once() -> int:
    """How many learners can do the same lab on one replication instance at the same time: each has its endpoints."""
    return MOST_ENDPOINTS // max(lab.endpoints for lab in LABS)


def table() -> str:
    """The table of the README: Markdown, a line for each lab, and where its prices were read and when."""
    lines = ["| lab | minutes, with its lesson | USD |", "| --- | --- | --- |"]
    for lab in LABS:
        cents = f"{lab.usd:.2f}" if lab.usd >= 0.005 else "less than 0.01"
        lines.append(f"| {lab.name[:2]} | {lab.minutes} | {cents} |")
    price, read = PRICES[INSTANCE, US_EAST_1], max(each.read for each in PRICES.values())
    told = (
        f"Prices of {US_EAST_1}, read on {read}: those of lesson 07, whose sources are in `workshop/data/prices.toml`. "
        f"{price.usd:.3f} USD of each hour are the replication instance, for as long as the evening takes (public "
        f"tables say so; AWS's own page was not read). A day that it is forgotten costs {24 * price.usd:.2f} USD. The "
        "minutes are those of the sandbox. Nobody has measured how much longer DMS takes on AWS."
    )
    return "\n".join([*lines, "", *textwrap.wrap(told, 120)])
