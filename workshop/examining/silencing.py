"""Findings that somebody has looked at and left: a file in TOML that says which, and why.

[[silence]]
rule = "loop-without-bound"
file = "orders.asl.json"   # may be left out; * stands for any letters
state = "Wait"             # may be left out
reason = "The service ends every job within an hour."
"""

import dataclasses
import fnmatch
import tomllib
from pathlib import Path

from workshop.examining.reading import UnreadableError
from workshop.examining.rules import Finding

DEFAULT = "examine.toml"
_FIELDS = {"rule", "file", "state", "reason"}


@dataclasses.dataclass(frozen=True)
class Silence:
    """One entry of the file."""

    rule: str
    reason: str
    file: str = "*"
    state: str | None = None

    def covers(self, file: str, finding: Finding) -> bool:
        """Whether it is about this finding in this file."""
        names = {file, Path(file).name}
        return (
            finding.rule == self.rule
            and any(fnmatch.fnmatchcase(name, self.file) for name in names)
            and self.state in (None, finding.state)
        )


def silences(path: str, rules: set[str]) -> list[Silence]:
    """The entries of such a file. rules: the names that there are. Raises UnreadableError."""
    try:
        table = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UnreadableError(f"{path} cannot be read: {error.strerror or error}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UnreadableError(f"{path} is no TOML: {error}.") from None
    found = []
    entries = table.get("silence", [])
    if set(table) - {"silence"} or not isinstance(entries, list):
        raise UnreadableError(f"{path} holds something else than [[silence]] entries.")
    for number, entry in enumerate(entries, 1):
        where = f"{path}, entry {number},"
        if not all(isinstance(value, str) for value in entry.values()) or set(entry) - _FIELDS:
            raise UnreadableError(f"{where} has something else than the texts {', '.join(sorted(_FIELDS))}.")
        if entry.get("rule") not in rules:
            raise UnreadableError(f"{where} names no rule that there is. There are: {', '.join(sorted(rules))}.")
        if not entry.get("reason", "").strip():
            raise UnreadableError(f"{where} has no reason. Say why {entry['rule']} may stand.")
        found.append(Silence(**entry))
    return found
