"""Calls that go wrong on purpose, for as long as a block runs: concurrency and failure that are made, not hoped for.

    with faults.during({"fault": "hold", "operation": "dynamodb:GetItem", "where": "after", "together": 2}) as made:
        ...                       # two callers look, and only then does either of them hear what it saw
    assert made.met == [2]

What a fault may say stands in sandbox/faults/plan.py. Only the sandbox can do this.
"""

import contextlib
import secrets
import time

from workshop import sandbox
from workshop.sandbox import SandboxError


class Faults:
    """The faults of one block.

    asked: {id: the fault as the block asked for it}, in its order.
    """

    def __init__(self, label, asked):
        self.label = label
        self._asked = asked
        self._ended = None

    @property
    def records(self):
        """How each stands, or stood when the block ended; a list of dicts in the order of the block.

        Each has what it was made with, and "id", "seen" (calls that fit), "met" (calls that it happened to), "left";
        a hold also "held" (calls that stand at its gate) and "unmet" (calls that went on since the time was over). One
        that is no more has "gone": an event's fault that is used up, or a call's whose `seconds_to_live` are over.
        """
        known = {fault["id"]: fault for fault in (sandbox.faults() if self._ended is None else self._ended)}
        return [known.get(each, {**asked, "id": each, "gone": True}) for each, asked in self._asked.items()]

    @property
    def met(self):
        """How many calls each of them happened to, as in [1, 0]; None for one of which that is not known."""
        return [record.get("met") for record in self.records]

    def wait_until_held(self, calls=1, seconds=10):
        """Wait until so many calls stand at the gates of this block; returns whether they came in time."""
        end = time.monotonic() + seconds
        while sum(record.get("held", 0) for record in self.records) < calls:
            if time.monotonic() > end:
                return False
            time.sleep(0.02)
        return True

    def end(self):
        """End them now, and let the calls go on that stand at their gates. May be called again."""
        if self._ended is None:
            self._ended = sandbox.end_faults(label=self.label)


@contextlib.contextmanager
def during(*faults, label="block"):
    """Have these faults in force while the block runs, and end them however it ends; gives the block its Faults.

    faults: dicts, as sandbox/faults/plan.py describes them. label: what they are for, such as "check-4"; no two blocks
        share one, since something is added to it.
    Raises SandboxError with one sentence where a fault is not as it must be, and on a real account.
    """
    needs_sandbox()
    label = f"{label}-{secrets.token_hex(4)}"
    added = sandbox.add_faults(*({**fault, "label": label} for fault in faults))["added"]
    block = Faults(label, dict(zip(added, faults, strict=True)))
    try:
        yield block
    finally:
        with contextlib.suppress(SandboxError, OSError):  # a sandbox that is gone has no faults any more
            block.end()


def calls(function=None, **which):
    """The last calls that a function's processes made, in the order in which they came; a list of dicts.

    function: its name. which: in its place or beside it state_machine, request_id (of the function's invocation),
        execution (an ARN of a state machine's), operation, resource (a text in its parameters); since=N: those only
        that came after the call numbered N.
    Each call has "came" and "answered" (places in one order of all calls and answers), "time" (seconds since 1970),
    "function" and "request_id", or "state_machine" and "execution", "operation", "parameters" (what is long or secret
    is shortened), "outcome" (ok, error, refused, lost, killed, held, under way), "done", and where there are some
    "error" ({"status", "code", "message"}) and "faults" (ids of those that happened to it).
    """
    needs_sandbox()
    return sandbox.calls({**({"function": function} if function else {}), **which})


def needs_sandbox():
    """Refuse on a real account, before anything is made there for what shall go wrong. Raises SandboxError."""
    if not sandbox.in_use():
        raise SandboxError("AWS fails too, but not on request: this needs the sandbox.")
