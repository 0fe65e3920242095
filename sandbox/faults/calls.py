"""The last calls that each function and each state machine made, as evidence: what was called, in which order, how.

Requests are kept as they came and are read only when somebody asks.
"""

import collections
import itertools
import json
import re
import threading
import time

MOST = 500  # calls that are kept of one function or state machine
OWNERS = 100  # functions and state machines of which they are kept

_OWNERS = {"function", "state_machine"}
_ABOUT = {"request_id", "execution"}
_QUESTIONS = _OWNERS | _ABOUT | {"operation", "resource", "since"}
_ATTEMPT = re.compile(r"attempt=(\d+)")

_numbers = itertools.count(1)
_lock = threading.Lock()
_rings = collections.OrderedDict()  # ("function" or "state_machine", its name) -> its calls; who called last is last


class Invalid(ValueError):
    """A question that cannot be answered; one sentence says why."""


class Record:
    """One call. owner: its key in `_rings`. about: {"request_id"} of the invocation or {"execution"}: its ARN.

    request: something with `operation` and `parameters()`. Its outcome is one of

      under way  it has come and is not answered yet
      held       it stands at a gate
      ok         it was done and answered
      error      it was answered with an error of the service
      refused    a fault refused it, and nothing was done
      lost       it was done, and its answer was lost
      killed     its process was killed: `done` says whether it was done before
    """

    __slots__ = ("_passage", "about", "answered", "came", "done", "error", "moment", "outcome", "owner", "request")

    def __init__(self, owner, about, request, passage):
        self.owner, self.about, self.request = owner, about, request
        self._passage = passage
        self.came, self.moment = next(_numbers), time.time()
        self.answered = self.error = None
        self.outcome, self.done = "under way", False

    def end(self, outcome, done, error=None):
        """error: (status, body) of an answer that is one, or as it is shown."""
        self.error, self.done, self.outcome = error, done, outcome
        self.answered = next(_numbers)

    def shown(self):
        kind, name = self.owner
        held = self._passage is not None and self._passage.held
        shown = {
            "came": self.came,
            "answered": self.answered,
            "time": self.moment,
            kind: name,
            **self.about,
            "operation": self.request.operation,
            "parameters": self.request.parameters(),
            "outcome": "held" if held and self.outcome == "under way" else self.outcome,
            "done": self.done,
        }
        attempt = _ATTEMPT.search(self.request.headers.get("amz-sdk-request", ""))
        if attempt:
            shown["attempt"] = int(attempt[1])
        if self.error is not None:
            shown["error"] = self.error if isinstance(self.error, dict) else _readable(*self.error)
        if self._passage is not None and self._passage.met:
            shown["faults"] = list(self._passage.met)
        return shown


def note(owner, about, request, passage):
    """Begin the record of a call, which comes in now."""
    with _lock:
        record = Record(owner, about, request, passage)
        if owner not in _rings:
            _rings[owner] = collections.deque(maxlen=MOST)
            if len(_rings) > OWNERS:
                _rings.popitem(last=False)
        _rings.move_to_end(owner)
        _rings[owner].append(record)
    return record


def forget():
    with _lock:
        _rings.clear()


def get(wanted):
    """{"calls": [...]} in the order in which they came. wanted: some of function, state_machine, request_id, execution,
    operation, resource (which stands in the request), each a text, and since: a number, for those only that came after
    it. Raises Invalid.
    """
    unknown = set(wanted) - _QUESTIONS
    if unknown:
        known = ", ".join(sorted(_QUESTIONS))
        raise Invalid(f"Calls cannot be asked for by {', '.join(sorted(unknown))}: there are {known}.")
    if not wanted.get("since", "0").isdigit():
        raise Invalid("since must be the number of a call: those that came after it are wanted.")
    since = int(wanted.get("since", 0))
    owner, about = ({key: wanted[key] for key in some & wanted.keys()} for some in (_OWNERS, _ABOUT))
    resource, operation = wanted.get("resource"), wanted.get("operation")
    service = operation and operation.partition(":")[0]
    with _lock:
        rings = [ring for (kind, name), ring in _rings.items() if owner.items() <= {(kind, name)}]
        records = [
            each for ring in rings for each in itertools.takewhile(lambda each: each.came > since, reversed(ring))
        ]
    # There may be thousands: what is known at once is asked first.
    found = [
        record
        for record in records
        if (not about or about.items() <= record.about.items())
        and (operation is None or record.request.service == service)
        and (resource is None or record.request.mentions(resource))
        and (operation is None or record.request.operation == operation)
    ]
    found.sort(key=lambda record: record.came)
    return {"calls": [record.shown() for record in found]}


def _readable(status, body):
    """An error as {"status", "code", "message"}, from JSON or XML."""
    text = body.decode(errors="replace") if isinstance(body, bytes) else body
    try:
        told = json.loads(text)
        code, message = told.get("__type", ""), told.get("message") or told.get("Message") or ""
    except (ValueError, AttributeError):
        found = [re.search(f"<{tag}>(.*?)</{tag}>", text, re.DOTALL) for tag in ("Code", "Message")]
        code, message = (each[1] if each else "" for each in found)
    return {"status": status, "code": code.rpartition("#")[2], "message": message[:500]}
