"""The calls that a learner's functions made, as a refusal shows them: what was sent, and what came of it."""

import json

from workshop import faults
from workshop.checking.exercises import on_sandbox
from workshop.checking.outcomes import shortened

_SHOWN = 150  # characters of a line


def lines_of_calls(**which) -> list[str]:
    """A line for each of these calls, in the order in which they came; none on AWS, which keeps no such record.

    which: as `workshop.faults.calls` takes it: function=..., resource=..., operation=..., since=...
    """
    return [_line_of(call) for call in faults.calls(**which)] if on_sandbox() else []


def _line_of(call):
    failed = call.get("error") or {}
    outcome = " ".join(filter(None, (call["outcome"], str(failed.get("code") or ""))))
    return shortened(f"{call['operation']}: {outcome}  {json.dumps(call['parameters'])}", _SHOWN)
