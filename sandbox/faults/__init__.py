"""Calls that go wrong on purpose, for every service behind the door, and the record of what functions called.

  plan.py        what a fault may say, and the sentence for one that cannot be followed
  force.py       the faults that are in force: which calls meet them, gates, their end
  door.py        calls that come in by the door, from functions and from everybody else
  operations.py  which operation a request is, its parameters, and an error in its service's shape
  calls.py       the last calls of each function and state machine, as evidence

Calls that state machines make do not come in by the door; `sandbox/stepfunctions/faults.py` brings them here. Faults of
DMS's events are a matter of `sandbox/dms/events.py`, and share the address `/_sandbox/faults` with these.
"""

from . import calls, force, plan


def install():
    """Nothing of MiniStack is replaced: the door and Step Functions ask this package."""


def reset():
    """End every fault, open every gate, forget every call. May be called from any thread."""
    force.end(lambda fault: True)
    calls.forget()


def get():
    """{"faults": [...]}: all that can still happen or did since it was added, those of DMS's events first."""
    from sandbox import dms

    return {"faults": [*dms.get_faults(), *force.shown()]}


def add(wanted):
    """Put {"faults": [...]} in force beside what is; returns all as `get` does. Raises plan.Invalid, and adds none.

    The answer has the ids of the new ones, in their order, as "added".
    """
    from sandbox import dms

    checked = plan.checked(wanted)
    added = [(dms.add_fault if fault["fault"] in plan.OF_DMS else force.add)(fault) for fault in checked]
    return {**get(), "added": added}


def end(wanted):
    """End faults by {"ids": [...]} or {"label": ...} or both, and open their gates; returns them as they were at last.

    Raises plan.Invalid. Ids and labels of which nothing is left are no error: faults end by themselves, too.
    """
    from sandbox import dms

    ids, label = plan.checked_end(wanted)

    def meant(fault):
        return fault["id"] in ids or (label is not None and fault.get("label") == label)

    return {"faults": [*dms.end_faults(meant), *force.end(meant)]}
