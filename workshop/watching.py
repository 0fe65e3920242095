"""Watch an execution in a picture: where it is, where it has been, and what it costs so far."""

import base64
import datetime
import io
import json
from collections import Counter

from workshop import clients, graphs, pictures
from workshop.costs.prices import durable_price, price
from workshop.executions import History, Line, ending_of, follow, is_durable
from workshop.graphs import Look
from workshop.names import counted
from workshop.replays import Replay

_EVENTS = 8  # that are shown, the last ones
_MOST_OPERATIONS = 24  # that are drawn, the last ones


def watch(execution_arn, timeout=900):
    """Watch an execution in a picture until it ends; returns what AWS says of it then, a dict, as `wait` does.

    execution_arn: of an execution of a state machine, which is drawn as a graph with the current state lit; or of a
        durable function, of which the operations are drawn.
    timeout: seconds after which to stop watching; the execution goes on.
    The picture has how often each state was entered, the time, the state transitions or operations and their price so
    far, and the last events. In JupyterLab it is drawn anew at most twice a second; where nobody looks on, once, at the
    end. Interrupting the kernel (or Ctrl-C) stops the watching, not the execution; it raises StoppedWatching.
    """
    view = _Operations(execution_arn) if is_durable(execution_arn) else _Machine(execution_arn)
    screen = _Screen()

    def tell(watched, seconds, over):
        if not over and not screen.is_due():
            return
        view.read()
        if over:
            sentence = ending_of(watched, timeout, measured=screen.live)
        else:
            sentence = f"{watched.status} for {seconds:.0f} s, {view.now()}"
        screen.show(view, watched, sentence, over)

    return follow(execution_arn, timeout, tell)


class _Screen:
    """A picture that is drawn anew in place, and a line below it. Where nobody looks on, both are shown once."""

    def __init__(self):
        self._line = Line()
        self.live, self.is_due = self._line.live, self._line.is_due
        self._handle = None

    def show(self, view, watched, sentence, over):
        from IPython.display import display

        picture, measured = self._png(view.frame(watched), over), view.in_words(watched)
        # What is stored with a notebook must be the same in every run: no times, and no counts that depend on them.
        words = measured if self.live else view.in_few_words(watched)
        data = {"image/png": base64.b64encode(picture).decode(), "text/plain": words}
        options = {"metadata": {"image/png": {"alt": measured}}, "raw": True}
        if self._handle:
            self._handle.update(data, **options)
        else:
            self._handle = display(data, display_id=True, **options) if self.live else display(data, **options)
        # JupyterLab does not read `alt`, so the line says what matters most.
        self._line.show(f"{sentence.rstrip('.')}. {view.counts()}" if self.live else sentence)

    def _png(self, figure, over):
        """The last one is kept, and so it is made small; that takes longer than to draw it."""
        if over:
            return pictures.as_png(figure)
        drawn = io.BytesIO()
        figure.savefig(drawn, format="png", dpi=pictures.DPI)
        return drawn.getvalue()


class _Machine:
    """An execution of a state machine."""

    def __init__(self, arn):
        self._arn, self._client = arn, clients.of("stepfunctions")
        self._name = arn.split(":")[6]
        self._definition = None
        self._events = []
        self._history = None  # until its first event is there

    def read(self):
        """Read what has happened since the last time: AWS hands out the events of a history by the page."""
        if self._definition is None:
            told = self._client.describe_state_machine_for_execution(executionArn=self._arn)
            self._definition = json.loads(told["definition"])
        known, fresh = len(self._events), []
        pages = self._client.get_paginator("get_execution_history")
        for page in pages.paginate(executionArn=self._arn, reverseOrder=True):
            fresh += [event for event in page["events"] if event["id"] > known]
            if page["events"][-1:] and page["events"][-1]["id"] <= known + 1:
                break
        self._events += reversed(fresh)
        if self._events:
            self._history = History(self._name, self._events)

    def now(self):
        here = list(dict.fromkeys(visit.name for visit in self._visits() if visit.left is None))
        return f"now in {', '.join(here)}" if here else "now between two states"

    def counts(self):
        transitions = self._history.transitions if self._history else 0
        return f"{counted(transitions, 'state transition')}, {price(transitions):.6f} USD"

    def frame(self, watched):
        graph = graphs.graph_of(self._definition)
        entered = Counter(visit.name for visit in self._visits())
        attempts = Counter()
        for visit in self._visits():
            attempts[visit.name] += visit.attempts - 1
        latest = {visit.name: visit for visit in self._visits()}
        here = set() if watched.ended else {visit.name for visit in self._visits() if visit.left is None}
        looks = []
        for box in graph.boxes:
            note = [box.kind, f"entered {_times(entered[box.name])}" if entered[box.name] else "not entered"]
            note += [f"tried again {_times(attempts[box.name])}"] if attempts[box.name] else []
            visit = latest.get(box.name)
            note += [f"✗ {visit.error}"] if visit and visit.error else []
            looks.append(Look(" · ".join(note), reached=bool(visit), now=box.name in here))
        lines = [*_times_of(watched), self.now() if watched.ended is None else "", self.counts(), "", "Last events:"]
        return graphs.draw(graph, looks, self._name, _as_many([*lines, *self._last()]))

    def in_words(self, watched):
        entered = Counter(visit.name for visit in self._visits())
        told = ", ".join(f"{name} {_times(count)}" for name, count in entered.items())
        here = [f"It is {self.now()}."] if watched.ended is None else []
        parts = [f"{self._name}: {', '.join(_times_of(watched))}.", *here, f"Entered: {told or 'no state'}."]
        return "\n".join([*parts, *self._not_entered(), f"{self.counts()}.", "Last events:", *self._last()])

    def in_few_words(self, watched):
        entered = ", ".join(dict.fromkeys(visit.name for visit in self._visits()))
        return "\n".join([f"{self._name}: {watched.status}. Entered: {entered or 'no state'}.", *self._not_entered()])

    def _not_entered(self):
        entered = {visit.name for visit in self._visits()}
        others = [box.name for box in graphs.graph_of(self._definition).boxes if box.name not in entered]
        return [f"Not entered: {', '.join(others)}."] if others else []

    def _visits(self):
        return self._history.states() if self._history else []

    def _last(self):
        return _lines(self._history.last(_EVENTS) if self._history else [])


class _Operations:
    """An execution of a durable function."""

    def __init__(self, arn):
        self._arn = arn

    def read(self):
        self._replay = Replay.of(self._arn)

    def now(self):
        here = [each.name for each in self._replay.begun() if each.state in ("runs", "waits")]
        return f"now in {', '.join(here)}" if here else "now between two operations"

    def counts(self):
        replay = self._replay
        usd = durable_price(replay.operations, len(replay.invocations))
        operations, invocations = (
            counted(replay.operations, "operation"),
            counted(len(replay.invocations), "invocation"),
        )
        return f"{operations}, {invocations}, {usd:.6f} USD"

    def frame(self, watched):
        begun = self._replay.begun()
        drawn = begun[-_MOST_OPERATIONS:]
        graph = graphs.list_of([(each.name, _KINDS.get(each.state, "Pass"), each.deep) for each in drawn])
        looks = [
            Look(f"{each.kind} · {each.state}" + (f" · begun {_times(each.tries)}" if each.tries > 1 else ""),
                 reached=each.state not in ("runs", "waits"), now=each.state in ("runs", "waits"))
            for each in drawn
        ]  # fmt: skip
        lines = [*_times_of(watched), self.now() if watched.ended is None else "", self.counts(),
                 "(without compute and data)", "", "Last events:", *self._last()]  # fmt: skip
        left_out = f", the last {len(drawn)} of {len(begun)} operations" if len(drawn) < len(begun) else ""
        return graphs.draw(graph, looks, self._replay.name + left_out, _as_many(lines))

    def in_words(self, watched):
        here = [f"It is {self.now()}."] if watched.ended is None else []
        parts = [f"{self._replay.name}: {', '.join(_times_of(watched))}.", *here, self._told()]
        return "\n".join([*parts, f"{self.counts()}, without compute and data.", "Last events:", *self._last()])

    def in_few_words(self, watched):
        return f"{self._replay.name}: {watched.status}. {self._told()}"

    def _told(self):
        told = ", ".join(f"{each.name} {each.state}" for each in self._replay.begun())
        return f"Operations: {told or 'none yet'}."

    def _last(self):
        return _lines(self._replay.last(_EVENTS))


# How an operation stands -> the kind of a state whose colours it has.
_KINDS = {"done": "Succeed", "failed": "Fail"}


def _lines(rows):
    return [" ".join(row).rstrip() for row in rows]


def _as_many(lines):
    """The lines, and empty ones below: so a picture does not grow while events come in."""
    return [*lines, *[""] * (6 + _EVENTS - len(lines))]


def _times(count):
    return "once" if count == 1 else f"{count:,} times"


def _times_of(watched):
    until = watched.ended or datetime.datetime.now(datetime.UTC)
    seconds = max((until - watched.started).total_seconds(), 0.0)
    return [f"{watched.status} {'after' if watched.ended else 'for'} {seconds:.1f} s"]
