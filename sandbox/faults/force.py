"""The call faults that are in force: which calls meet them, the gates at which calls wait, and their end.

Calls come from the door's event loop and from the threads of executions, so all is kept under one lock, and a wait is a
future of `concurrent.futures` that either can wait for.
"""

import concurrent.futures
import dataclasses
import itertools
import threading
import time

_lock = threading.Lock()
_numbers = itertools.count(1)

faults = []  # all in force, those included that are used up and can still be asked about; empty nearly always


@dataclasses.dataclass(slots=True)
class Call:
    """One call on its way.

    text: all of its request. function, state_machine: names of whose it is, or None. sdk_call: the id that all tries of
    one call of the caller's code share, None where its SDK says none.
    """

    operation: str
    text: str
    function: str | None = None
    state_machine: str | None = None
    sdk_call: str | None = None


class Condition:
    """Which calls are meant. wanted: an object with operation and perhaps function, state_machine, resource."""

    def __init__(self, wanted):
        names = wanted["operation"]
        self._operations = {names} if isinstance(names, str) else set(names)
        self._function, self._state_machine = wanted.get("function"), wanted.get("state_machine")
        self._resource = wanted.get("resource")

    def fits(self, call):
        service = call.operation.partition(":")[0]
        return (
            not self._operations.isdisjoint((call.operation, f"{service}:*", "*"))
            and self._function in (None, call.function)
            and self._state_machine in (None, call.state_machine)
            and (self._resource is None or self._resource in call.text)
        )


class Fault:
    """One fault in force. wanted: as plan.checked returns it."""

    def __init__(self, wanted):
        self.wanted = wanted
        self.id = f"fault-{next(_numbers)}"
        self.kind = wanted["fault"]
        self.outcome = {"refuse": "refused", "lost": "lost", "kill": "killed"}.get(self.kind)  # of a call that it ends
        self.where = {"refuse": "before", "lost": "after"}.get(self.kind) or wanted["where"]
        self.condition = Condition(wanted)
        self.until = Condition(wanted["until"]) if "until" in wanted else None
        self.ends = time.monotonic() + wanted["seconds_to_live"]
        self.seen = 0  # calls that fit
        self.meant = 0  # of these, those that it is to happen to, or that it happened to
        self.met = 0  # those that it happened to
        self.unmet = 0  # those that went on from its gate since the time was over
        self.passed = 0  # calls that fit `until` and were answered
        self.open = False
        self._waiting = []  # a future for each call that stands at the gate
        self._spoiled = set()  # ids of the SDK's calls whose further tries get the same

    # All but `shown` with the lock held.

    def spoils(self, call):
        """Whether this is one more try of a call that it happened to, and is to have the same end."""
        return call.sdk_call in self._spoiled

    def happens(self, call):
        """It is the end of this call."""
        self.met += 1
        if call.sdk_call is not None and self.wanted.get("tries") == "all":
            self._spoiled.add(call.sdk_call)

    def begins(self, call):
        """Whether it is to happen to this call, which comes in now."""
        if not self.condition.fits(call) or (self.kind == "kill" and call.function is None):
            return False
        self.seen += 1
        if self.seen < self.wanted["nth"] or self.meant >= self.wanted["count"]:
            return False
        self.meant += 1
        return True

    def stand(self):
        """A future to wait for, None where there is nothing to wait for."""
        self.met += 1
        if self.open:
            return None
        future = concurrent.futures.Future()
        self._waiting.append(future)
        if len(self._waiting) == self.wanted.get("together"):
            self.release()
        return future

    def leave(self, future):
        """The time is over for this one, unless it was let go in this moment."""
        if future in self._waiting:
            self._waiting.remove(future)
            self.unmet += self.kind == "hold"

    def count_passed(self, call):
        """A call was answered that did not stand at this gate."""
        if self.until is not None and self.until.fits(call):
            self.passed += 1
            if self.passed >= self.wanted["until"].get("passed", 1):
                self.open = True
                self.release()

    def release(self):
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            future.set_result(None)

    def end(self):
        if self.until is not None or "together" in self.wanted:
            self.unmet += len(self._waiting)
        self.open = True
        self.release()

    def shown(self):
        """The fault as its owner sees it."""
        counts = {"left": self.wanted["count"] - self.meant, "seen": self.seen, "met": self.met}
        if self.kind == "hold":
            counts |= {"held": len(self._waiting), "unmet": self.unmet}
            if self.until is not None:
                counts["passed"] = self.passed
        life = {"seconds_to_live": round(max(0, self.ends - time.monotonic()), 1)}
        return {"id": self.id, **self.wanted, **life, **counts}


def add(wanted):
    """Put one fault in force; returns its id."""
    fault = Fault(wanted)
    with _lock:
        faults.append(fault)
    return fault.id


def shown():
    """All in force, as their owners see them."""
    with _lock:
        _end_forgotten()
        return [fault.shown() for fault in faults]


def end(meant):
    """End those of which `meant` is true, as they are shown, and open their gates; returns how they were at last."""
    with _lock:
        _end_forgotten()
        ended = [fault for fault in faults if meant(fault.shown())]
        for fault in ended:
            faults.remove(fault)
            fault.end()
        return [fault.shown() for fault in ended]


def _end_forgotten():
    now = time.monotonic()
    for fault in [fault for fault in faults if fault.ends <= now]:
        faults.remove(fault)
        fault.end()


class Passage:
    """One call on its way through the faults that happen to it. `stage` "before", the call itself, "after", `over`."""

    def __init__(self, call):
        self.call = call
        self.met = []  # ids, in the order in which they happened
        self.held = None  # the id of the fault at whose gate it stands
        with _lock:
            _end_forgotten()
            self._spoiler = next((fault for fault in faults if fault.spoils(call)), None)
            self._faults = [] if self._spoiler else [fault for fault in faults if fault.begins(call)]
        self._gates = set()

    def needs_answer(self):
        """Whether something is to happen between the call and its answer."""
        return any(fault.where == "after" for fault in self._faults)

    def stage(self, where):
        """Go through the faults of one stage; returns the one that ends it: of the kind refuse, lost or kill, or None.

        Yields what to wait for: (future, seconds, whether that is a gate).
        """
        if self._spoiler is not None:
            self.met.append(self._spoiler.id)
            return self._spoiler
        for fault in [fault for fault in self._faults if fault.where == where]:
            self._faults.remove(fault)
            self.met.append(fault.id)
            if fault.kind not in ("slow", "hold"):
                with _lock:
                    fault.happens(self.call)
                return fault
            with _lock:
                future = fault.stand()
                if fault.until is not None:
                    self._gates.add(fault)
            if future is None:
                continue
            self.held = fault.id
            yield future, min(fault.wanted["seconds"], max(0, fault.ends - time.monotonic())), fault.kind == "hold"
            self.held = None
            with _lock:
                fault.leave(future)
        return None

    def over(self, done):
        """The call is over. done: whether it was done, answered or not."""
        with _lock:
            for fault in self._faults:  # what ended it came before these
                fault.meant -= 1
            self._faults = []
            if done:
                for fault in faults:
                    if fault not in self._gates:
                        fault.count_passed(self.call)


def wait(steps):
    """Go through a stage in a thread; returns what it returns."""
    try:
        while True:
            future, seconds, _ = next(steps)
            concurrent.futures.wait([future], timeout=seconds)
    except StopIteration as end:
        return end.value
