"""What a lesson and its lab cost on a real account (`workshop/data/labs.toml`)."""

import dataclasses
import tomllib
from collections.abc import Mapping
from pathlib import Path

from workshop.costs.prices import bill

INSTANCE = "dms.t3.micro"  # what migrations run on there, for all learners of an account


@dataclasses.dataclass(frozen=True)
class Lab:
    """One evening: a lesson and the lab of its name.

    name: as of the notebooks. minutes: for reading and doing both. migrates: whether it needs a replication instance.
    used: {name of a price: how many}, of what its cells use once.
    """

    name: str
    minutes: int
    migrates: bool
    used: Mapping[str, int]

    @property
    def usd(self) -> float:
        """What it costs in us-east-1, with a replication instance of one's own for as long as it takes."""
        return bill({**self.used, **({INSTANCE: self.minutes / 60} if self.migrates else {})}).usd


def _read() -> list[Lab]:
    text = (Path(__file__).parent.parent / "data" / "labs.toml").read_text(encoding="utf-8")
    return [Lab(**one) for one in tomllib.loads(text)["lab"]]


LABS = _read()


def table() -> str:
    """The table of the README: Markdown, a line for each lab."""
    lines = ["| lab | minutes, with its lesson | USD |", "| --- | --- | --- |"]
    for lab in LABS:
        cents = f"{lab.usd:.2f}" if lab.usd >= 0.005 else "less than 0.01"
        lines.append(f"| {lab.name[:2]} | {lab.minutes} | {cents} |")
    return "\n".join(lines)
