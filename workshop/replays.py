"""Look into a durable execution: what ran in which invocation, and what was answered from a checkpoint."""

import dataclasses
import datetime
import html
import textwrap

from workshop import clients, pictures
from workshop.names import counted


@dataclasses.dataclass(frozen=True)
class Standing:
    """How an operation stands. name; kind: "step", "wait", "polls", ...; deep: in how many others it is.

    state: "runs", "waits", "done" or "failed"; "open" of a context that is not over; "not over" of what was not when
        the execution ended. tries: how often the code of a step or poll was run.
    """

    name: str
    kind: str
    state: str
    deep: int
    tries: int


@dataclasses.dataclass
class Invocation:
    """One run of the handler, from its first line to its end or to where it is suspended.

    number: 1, 2, ... began, ended: datetimes; ended is None while it runs. seconds: in between; while it runs, so far.
    ran: the names of the steps whose code it called, polls included, in order: one for each attempt.
    answered: the names of the operations that were over before, and so were answered from their checkpoints.
    waits_for: the names of the operations for which it was suspended; empty where it was not.
    error: None, or what it failed with, a dict with ErrorType and ErrorMessage. failed: whether it did.
    """

    number: int
    began: datetime.datetime
    ended: datetime.datetime | None
    seconds: float
    ran: list[str]
    answered: list[str]
    waits_for: list[str]
    error: dict | None = None

    @property
    def failed(self):
        return self.error is not None


class Replay:
    """A durable execution, invocation by invocation: Replay.of(durable_execution_arn).

    status: "SUCCEEDED", "FAILED", "TIMED_OUT", "STOPPED", or "RUNNING", "PAUSING", "PAUSED" while it is not over.
    started, ended: datetimes; ended is None while it is not over.
    result: JSON text, or None. error: a dict with ErrorType and ErrorMessage, or None.
    events: as GetDurableExecutionHistory gives them. https://docs.aws.amazon.com/lambda/latest/api/API_Event.html
    invocations: a list of Invocation.
    operations: how many durable operations AWS bills; see below.
    suspended: seconds in which nothing of it ran, from its start to its end, or to when it was read.
    seconds: that its invocations ran, all together.

    A notebook shows it as a picture with measured times, and as a table without them, which is the same in every run of
    a handler that does the same. str(replay) says what is in the table, in sentences.

    What is recorded and what is not. A history has the times of each invocation, and of each begin and end of an
    operation. That a later invocation answered an operation from its checkpoint is recorded nowhere; it is derived from
    how replay works (https://docs.aws.amazon.com/lambda/latest/dg/durable-execution-sdk.html): the code runs again from
    its first line, and finds every operation that is over already answered. So an operation counts as answered in each
    invocation that began after it was over. The operations within a context that is over do not count, since its code
    is not run again. (Where its result is larger than 256 KB it is; the history does not say.) An invocation that
    failed may have come less far than is shown, and may have begun a step that the history does not know of. To which
    invocation a begin or an end belongs is derived from the order of the events. An invocation that runs is seen once
    it has begun an operation; when it began itself is recorded at its end, until then it is a guess.

    Operations are counted as in AWS's table:
    https://docs.aws.amazon.com/lambda/latest/dg/durable-execution-sdk.html#durable-operations-checkpoint-consumption
    the start 1, each step, wait, callback and context 1, each retry of a step 1, wait_for_condition 1 and 1 for each
    poll, each retry of an invocation 1; so wait_for_callback comes to 3. Two things the table leaves open: whether the
    first poll is one of "1 + N polls" (it is counted), and context.invoke, which has no row (it is counted as 1).
    """

    def __init__(self, execution, events, seen=None):
        """execution: as GetDurableExecution gives it, a dict. seen: when both were read, a datetime; now."""
        arn = execution["DurableExecutionArn"]
        self.name = arn.split(":function:")[1].split(":")[0]
        self.status = execution["Status"]
        self.started, self.ended = execution["StartTimestamp"], execution.get("EndTimestamp")
        self.result, self.error = execution.get("Result"), execution.get("Error")
        self.events = events
        self._until = self.ended or seen or datetime.datetime.now(datetime.UTC)
        reader = _Reader(self.started, self._until)
        for event in events:
            reader.read(event)
        reader.close(by_its_handler=self.status in ("SUCCEEDED", "FAILED"))
        self.invocations, self._marks = reader.invocations, reader.marks
        self.operations = reader.billed
        self._begun = reader.begun

    @classmethod
    def of(cls, durable_execution_arn):
        """Read a durable execution and the whole of its history, however long it is."""
        client = clients.of("lambda")
        named = {"DurableExecutionArn": durable_execution_arn}
        pages = client.get_paginator("get_durable_execution_history").paginate(IncludeExecutionData=True, **named)
        execution = client.get_durable_execution(IncludeExecutionData=True, **named)
        events = [event for page in pages for event in page["Events"]]
        if "EndTimestamp" not in execution and any(event["EventType"] in _ENDINGS for event in events):
            execution = client.get_durable_execution(IncludeExecutionData=True, **named)  # it has ended in between
        return cls(execution, events)

    @property
    def seconds(self):
        return sum(invocation.seconds for invocation in self.invocations)

    @property
    def suspended(self):
        return max((self._until - self.started).total_seconds() - self.seconds, 0.0)

    @property
    def figure(self):
        """The picture, a figure of matplotlib."""
        return _figure(self)

    def begun(self):
        """How each operation stands that was begun, in the order in which they began: a list of Standing."""
        return [each.standing(over=self.ended is not None) for each in self._begun]

    def last(self, count):
        """The last events, short: a list of (seconds since the start, type, name of the operation), all strings."""
        return [
            (f"{self._since_start(event['EventTimestamp']):.2f}", event["EventType"],
             "" if event["EventType"].startswith("Execution") else event.get("Name") or "")
            for event in self.events[-count:]
        ]  # fmt: skip

    def _summary(self):
        operations, invocations = counted(self.operations, "operation"), counted(len(self.invocations), "invocation")
        return f"{self.name}: {self.status}, {operations}, {invocations}"

    def _since_start(self, moment):
        return (moment - self.started).total_seconds()

    def _columns(self):
        """The operations of the picture, in the order in which they began."""
        return list(dict.fromkeys(operation for marks in self._marks for operation in marks))

    def _marks_of(self, invocation):
        """What an invocation made of each operation that it reached: {operation: list of marks}."""
        return self._marks[invocation.number - 1]

    def _rows(self):
        """The table: (number, answered from checkpoints, ran, then), all strings."""
        for invocation in self.invocations:
            answered, ran = [], []
            for operation, marks in self._marks_of(invocation).items():
                into = answered if marks[0] in (_ANSWERED, _ANSWERED_WITH_ERROR) else ran
                if into is answered or (operation.kind == "Step" and marks[0] is not _WAITS):
                    into.append(operation.name + _IN_WORDS.get(marks[0], ""))
            yield str(invocation.number), ", ".join(answered), ", ".join(ran), self._then(invocation)

    def _then(self, invocation):
        """How an invocation ended, in words."""
        if invocation.ended is None:
            return "still runs" if self.ended is None else "its end is not recorded"
        if invocation.failed:
            return f"failed: {invocation.error.get('ErrorType', 'it did not say how')}"
        if invocation.waits_for:
            return f"suspended for {', '.join(invocation.waits_for)}"
        return "ended" if invocation is self.invocations[-1] else "suspended"

    def __repr__(self):
        return f"<Replay of {self._summary()}>"

    def __str__(self):
        lines = [f"{self._summary()}."]
        for number, answered, ran, then in self._rows():
            did = ([f"answered {answered} from checkpoints"] if answered else []) + ([f"ran {ran}"] if ran else [])
            lines.append(f"Invocation {number}: {'; '.join([*did, then])}.")
        return "\n".join(lines)

    def _repr_html_(self):
        def row(cells, tag):
            style = "text-align: left"
            # The name of an exception with its modules may break at a dot: it is wider than a narrow window.
            texts = [html.escape(cell).replace(".", ".<wbr>") for cell in cells]
            return "<tr>" + "".join(f'<{tag} style="{style}">{text}</{tag}>' for text in texts) + "</tr>"

        rows = [row([cell or "-" for cell in cells], "td") for cells in self._rows()]
        if len(rows) > _MOST_ROWS:
            half = _MOST_ROWS // 2
            rows[half:-half] = [f'<tr><td colspan="4">… {len(rows) - 2 * half:,} more invocations</td></tr>']
        head = f"<caption>{html.escape(self._summary())}</caption><thead>{row(_COLUMNS, 'th')}</thead>"
        return f"<table>{head}<tbody>{''.join(rows)}</tbody></table>"

    def _ipython_display_(self):
        from IPython.display import display

        words = str(self)
        pictures.show(self.figure, words)
        display({"text/html": self._repr_html_(), "text/plain": words}, raw=True)


_ENDINGS = ("ExecutionSucceeded", "ExecutionFailed", "ExecutionTimedOut", "ExecutionStopped")
_COLUMNS = ("Invocation", "Answered from checkpoints", "Ran", "Then")
_MOST_ROWS = 32

# What an invocation made of an operation.
_RAN, _FAILED, _CUT_OFF, _WAITS = "ran", "failed", "cut off", "waits"
_ANSWERED, _ANSWERED_WITH_ERROR = "answered", "answered with error"
_IN_WORDS = {_FAILED: " (failed)", _CUT_OFF: " (cut off)", _ANSWERED_WITH_ERROR: " (its error)"}

# The first words of the types of events that belong to an operation -> what the operation is called in the picture.
_KINDS = {
    "Step": "step",
    "Context": "context",
    "Wait": "wait",
    "Callback": "callback",
    "ChainedInvoke": "invoke",
}
# Their ends are not written by the handler, and can come while no invocation runs.
_ENDED_FROM_OUTSIDE = ("Wait", "Callback", "ChainedInvoke")


@dataclasses.dataclass(eq=False)
class _Operation:
    """name; kind: "Step", "Wait", ...; polls: whether it is a wait_for_condition; parent: an _Operation or None.

    ended: a datetime, once it is over. succeeded: whether it did. due: whether it is to be tried again later.
    tries: how often the code of a step was run.
    """

    name: str
    kind: str
    polls: bool
    parent: "_Operation | None"
    ended: datetime.datetime | None = None
    succeeded: bool = False
    due: bool = False
    tries: int = 0

    def over(self, moment):
        return self.ended is not None and self.ended <= moment

    def standing(self, over):
        """over: whether the execution has ended."""
        if self.ended:
            state = "done" if self.succeeded else "failed"
        elif over:
            state = "not over"
        elif self.kind == "Context":
            state = "open"
        else:
            state = "runs" if self.kind == "Step" and not self.due else "waits"
        deep, parent = 0, self.parent
        while parent:
            deep, parent = deep + 1, parent.parent
        return Standing(self.name, "polls" if self.polls else _KINDS[self.kind], state, deep, self.tries)

    def label(self):
        """Its name and what it is, in short lines, with an arrow for each context that it is in: no two look alike."""
        arrows, outer = "", self.parent
        while outer:
            arrows, outer = arrows + "↳", outer.parent
        kind = "polls" if self.polls else _KINDS[self.kind]
        return "\n".join([*textwrap.wrap(f"{arrows} {self.name}".strip(), 14), f"({kind})"])


class _Reader:
    """Goes through the events of a history, in order, and gathers what each invocation did.

    invocations: a list of Invocation. marks: for each of them {_Operation: list of marks}. billed: operations.
    """

    def __init__(self, started, until):
        self.invocations, self.marks, self.billed = [], [], 1
        self._until = until
        self._began = started  # when the invocation that is being read began, as far as is known before its end
        self._operations = {}  # id -> _Operation
        self._did = {}  # what the invocation that is being read wrote: {_Operation: ["Started", "Succeeded", ...]}
        self._ran = []

    @property
    def begun(self):
        """The operations in the order in which they began, a list of _Operation."""
        return [*self._operations.values()]

    def read(self, event):
        kind = next((kind for kind in _KINDS if event["EventType"].startswith(kind)), None)
        if kind:
            self._operation(kind, event)
        elif event["EventType"] == "InvocationCompleted":
            details = event["InvocationCompletedDetails"]
            error = details.get("Error")
            self._invocation(details["StartTimestamp"], details["EndTimestamp"], error and (error.get("Payload") or {}))

    def close(self, by_its_handler):
        """There are no more events. by_its_handler: whether the execution is over because its last invocation ended."""
        if self._did:
            self._invocation(self._began, None, None)
        if by_its_handler and self.invocations:
            self.invocations[-1].waits_for = []
            for marks in self.marks[-1].values():
                marks[:] = [mark for mark in marks if mark is not _WAITS] or [_RAN]
        self.billed += sum(invocation.failed for invocation in self.invocations[:-1])

    def _operation(self, kind, event):
        what, details = event["EventType"].removeprefix(kind), event.get(f"{event['EventType']}Details", {})
        operation = self._operations.get(event["Id"])
        if operation is None:
            name = event.get("Name") or event.get("SubType") or kind
            polls = event.get("SubType") == "WaitForCondition"
            operation = _Operation(name, kind, polls, self._operations.get(event.get("ParentId")))
            self._operations[event["Id"]] = operation
            self.billed += 1
        from_outside = what != "Started" and kind in _ENDED_FROM_OUTSIDE
        written = [] if from_outside else self._did.setdefault(operation, [])
        if self._began is None or (from_outside and not self._did):
            self._began = event["EventTimestamp"]
        if kind == "Step":
            # A step that an earlier invocation began and did not end may be run again without a second begin.
            if what == "Started" or (written[-1:] != ["Started"] and not _is_interruption(details)):
                self._ran.append(operation.name)
                operation.tries += 1
            operation.due = "NextAttemptDelaySeconds" in details.get("RetryDetails", {})
            self.billed += what != "Started" and (operation.due or operation.polls)
        if what != "Started" and not operation.due:
            operation.ended, operation.succeeded = event["EventTimestamp"], what == "Succeeded"
        written.append(what)

    def _invocation(self, began, ended, error):
        now = ended or self._until
        reached = [each for each in self._operations.values() if not self._is_within_one_over(each, began)]
        marks = {each: self._marks(each, now, running=ended is None) for each in reached}
        suspended = ended is not None and error is None
        waits_for = [each for each in reached if each.kind != "Context" and _WAITS in marks[each]]
        self.marks.append(marks)
        self.invocations.append(
            Invocation(
                number=len(self.invocations) + 1,
                began=began,
                ended=ended,
                seconds=max((now - began).total_seconds(), 0.0),
                ran=self._ran,
                answered=[each.name for each in reached if {_ANSWERED, _ANSWERED_WITH_ERROR} & {*marks[each]}],
                waits_for=[each.name for each in waits_for] if suspended else [],
                error=error,
            )
        )
        self._did, self._ran, self._began = {}, [], None

    def _is_within_one_over(self, operation, began):
        """Whether it is in a context that was over when the invocation that is being read began."""
        context = operation.parent
        if context is None:
            return False
        # AWS's times have milliseconds: one that this invocation ended can have ended in the moment it began.
        return (context.over(began) and context not in self._did) or self._is_within_one_over(context, began)

    def _marks(self, operation, now, running):
        """What the invocation that is being read made of an operation that it reached. now: when it ended."""
        written = self._did.get(operation)
        if not written and operation.over(now):
            return [_ANSWERED if operation.succeeded else _ANSWERED_WITH_ERROR]
        if not written:  # of a context that is not over the code runs, again and again
            return [_RAN, _WAITS] if operation.kind == "Context" else [_WAITS]
        if operation.kind == "Step" and written[-1] == "Started":
            return [_RAN if running else _CUT_OFF]
        if operation.kind in _ENDED_FROM_OUTSIDE and not operation.over(now):
            return [_WAITS]
        marks = [_FAILED if written[-1] == "Failed" else _RAN]
        return marks if operation.over(now) else [*marks, _WAITS]


def _is_interruption(details):
    """Whether a step failed because an invocation broke off in it, and not because its code raised something."""
    error = details.get("Error", {}).get("Payload") or {}
    return error.get("ErrorType") == "StepInterruptedError"


# -- the picture ------------------------------------------------------------------------------------------------------

_INK = "#1A1A1A"
# Mark -> (line, filling, hatch, how it is written, what it means). Colours of Okabe and Ito, as in `pictures`.
_LOOKS = {
    _RAN: ("#0072B2", "#D3E8F5", None, "ran", "its code ran"),
    _ANSWERED: ("#007A5A", "#FFFFFF", None, "✓", "answered from its checkpoint, its code did not run"),
    _WAITS: ("#6B6B6B", "#F4F4F4", "////", "…", "not over: suspended"),
    _ANSWERED_WITH_ERROR: ("#007A5A", "#FFFFFF", None, "✓ ✗", "answered from its checkpoint, with its error"),
    _FAILED: ("#C14F00", "#FADFCB", None, "✗", "failed"),
    _CUT_OFF: ("#C14F00", "#FFFFFF", "xxxx", "?", "cut off: its end is not recorded"),
}
_MOST = 24  # rows, and columns
_WIDE = 9  # columns, above which there is less room for words


def _figure(replay):
    from matplotlib.figure import Figure  # not at the top: it takes long to load

    invocations, columns = replay.invocations[:_MOST], replay._columns()[:_MOST]
    labels = [column.label() for column in columns]
    slanted = len(columns) > _WIDE
    top = 1.1 if slanted else 0.15 * max((label.count("\n") + 1 for label in labels), default=1)
    figure = Figure(figsize=(10, 1.25 + top + 0.32 * len(invocations)), facecolor="white", layout="constrained")
    share = min(0.32 + 0.06 * len(columns), 0.72)
    grid, times = figure.subplots(1, 2, sharey=True, width_ratios=[share, 1 - share])
    _draw_grid(grid, replay, invocations, columns)
    grid.set_xticks(
        range(len(columns)),
        [label.replace("\n", " ") for label in labels] if slanted else labels,
        size=8,
        color=_INK,
        **({"rotation": 40, "ha": "left"} if slanted else {}),
    )
    _draw_times(times, replay, invocations)
    most = [(invocations, replay.invocations, "invocations"), (columns, replay._columns(), "operations")]
    drawn = [f"{len(part):,} of {len(whole):,} {what}" for part, whole, what in most if len(part) < len(whole)]
    title = replay._summary() + (f" (drawn: {', '.join(drawn)})" if drawn else "")
    figure.suptitle(title, x=0.01, ha="left", size=10, color=_INK)
    _draw_legend(figure, replay, invocations)
    return figure


def _draw_grid(axis, replay, invocations, columns):
    for row, invocation in enumerate(invocations):
        marks = replay._marks_of(invocation)
        for place, operation in enumerate(columns):
            for part, mark in enumerate(marks.get(operation, [])):
                width = 0.9 / len(marks[operation])
                line, filling, hatch, text, _ = _LOOKS[mark]
                text = "●" if mark is _RAN and len(columns) > _WIDE else text
                left = place - 0.45 + part * width
                box = {"facecolor": filling, "edgecolor": line, "hatch": hatch, "linewidth": 1}
                axis.barh(row, width, 0.72, left, **box)
                behind = {"facecolor": "white", "edgecolor": "none", "pad": 0.8} if hatch else None
                axis.text(
                    left + width / 2,
                    row,
                    text,
                    ha="center",
                    va="center",
                    size=8,
                    color=_INK,
                    bbox=behind,
                    weight="bold",
                )
    axis.set_xlim(-0.55, max(len(columns), 1) - 0.45)
    axis.set_ylim(len(invocations) - 0.45, -0.55)
    axis.set_yticks(range(len(invocations)), [str(each.number) for each in invocations], color=_INK)
    axis.set_ylabel("invocation", color=_INK)
    axis.xaxis.tick_top()
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)


def _draw_times(axis, replay, invocations):
    end = replay._since_start(replay._until)
    resumed = [replay._since_start(each.began) for each in replay.invocations[1:]] + [end]
    for row, (invocation, next_began) in enumerate(zip(invocations, resumed, strict=False)):
        began = replay._since_start(invocation.began)
        ended = min(began + invocation.seconds, end)
        line, filling, hatch, *_ = _LOOKS[_WAITS]
        if next_began > ended:
            axis.barh(
                row, next_began - ended, 0.4, ended, facecolor=filling, edgecolor=line, hatch=hatch, linewidth=0.5
            )
        line, filling, *_ = _LOOKS[_FAILED if invocation.failed else _RAN]
        width = max(invocation.seconds, 0.012 * end)  # a few milliseconds must still be seen
        axis.barh(row, width, 0.72, began, facecolor=filling, edgecolor=line)
        text = f"ran {invocation.seconds:.2f} s"
        if next_began - ended >= 0.005:
            text += f", suspended {next_began - ended:.2f} s"
        axis.annotate(
            text, (1, row), (6, 0), xycoords=("axes fraction", "data"), textcoords="offset points", va="center", size=8,
            color=_INK,
        )  # fmt: skip
    axis.set_xlim(-0.01 * end, 1.03 * end or 1)
    axis.set_xlabel("seconds since the start", color=_INK, size=9)
    axis.tick_params(axis="y", length=0)
    axis.spines[["top", "right", "left"]].set_visible(False)


def _draw_legend(figure, replay, invocations):
    from matplotlib.patches import Patch

    used = {mark for each in invocations for marks in replay._marks_of(each).values() for mark in marks}
    used |= {_FAILED if each.failed else _RAN for each in invocations}  # the bars over time
    patches = [
        Patch(facecolor=filling, edgecolor=line, hatch=hatch, label=f"{text}  {meaning}" if text != mark else meaning)
        for mark, (line, filling, hatch, text, meaning) in _LOOKS.items()
        if mark in used
    ]
    if patches:
        figure.legend(handles=patches, loc="outside lower left", ncols=3, fontsize=8, frameon=False, labelcolor=_INK)
