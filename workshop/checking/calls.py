"""What a learner's functions got and did, as a refusal shows it: events, calls and what came of them, items."""

import json
from collections.abc import Mapping
from decimal import Decimal

from workshop import faults
from workshop.checking.exercises import on_sandbox
from workshop.checking.outcomes import shortened

_SHOWN = 150  # characters of a line about a call
_WHOLE = 600  # of one about an event or an item, which is shown whole


def lines_of_calls(**which) -> list[str]:
    """A line for each of these calls, in the order in which they came; none on AWS, which keeps no such record.

    which: as `workshop.faults.calls` takes it: function=..., resource=..., operation=..., since=...
    """
    return [_line_of(call) for call in faults.calls(**which)] if on_sandbox() else []


def line_of_event(event: Mapping) -> str:
    """The event that a function got."""
    return f"the event: {_as_text(event)}"


def line_of_item(item: Mapping, when="after it") -> str:
    """The item that was in the table then, {} for none. when: as in "after it"."""
    return f"the item {when}: {_as_text(item)}" if item else f"{when} there was no item"


def _as_text(content):
    """Of the token its beginning: it is as good as a password."""
    token = {"TaskToken": f"{str(content['TaskToken'])[:8]}…"} if "TaskToken" in content else {}
    return shortened(json.dumps({**content, **token}, default=_plain, ensure_ascii=False), _WHOLE)


def _plain(value):
    return str(value) if not isinstance(value, Decimal) else float(value) if value % 1 else int(value)


def _line_of(call):
    failed = call.get("error") or {}
    outcome = " ".join(filter(None, (call["outcome"], str(failed.get("code") or ""))))
    return shortened(f"{call['operation']}: {outcome}  {json.dumps(call['parameters'])}", _SHOWN)
