"""Watch an execution of a state machine or a durable function; read a state machine's history afterwards."""

import dataclasses
import html
import json
import time
from contextlib import suppress

from workshop import clients
from workshop.names import counted


class StoppedWatching(KeyboardInterrupt):
    """The reader interrupted wait()."""

    def _render_traceback_(self):
        return ["You stopped watching; the execution goes on."]


def wait(execution_arn, timeout=900):
    """Watch an execution until it ends; gives what AWS says of it then, a dict.

    execution_arn: of an execution of a state machine, of which DescribeExecution tells, or of a durable function, of
        which GetDurableExecution tells. (The one says "status", the other "Status".)
    timeout: seconds after which to stop watching; the execution goes on, and its status is still "RUNNING".
    A failed execution is shown with its error and cause and does not raise. Interrupting the kernel (or Ctrl-C) stops
    the watching, not the execution; it raises StoppedWatching.

    (Yes, this polls. It may: you are looking on, it is short, and nobody pays for it by the pass.)
    """
    line = Line()

    def tell(watched, seconds, over):
        if over:
            line.show(ending_of(watched, timeout, measured=line.live))
        elif line.is_due():
            line.show(f"{watched.status} for {seconds:.0f} s, {watched.now()}")

    return follow(execution_arn, timeout, tell)


def follow(execution_arn, timeout, tell):
    """Look at an execution until it ends, or for so many seconds; returns what AWS says of it then, a dict.

    tell(watched, seconds, over): is called after each look; seconds: since the first; over: whether it was the last
        look. Raises StoppedWatching where the kernel is interrupted, also in `tell`.
    """
    watched = _DurableExecution(execution_arn) if is_durable(execution_arn) else _StateMachineExecution(execution_arn)
    started = time.monotonic()
    pause = 0.05
    try:
        while True:
            watched.look()
            seconds = time.monotonic() - started
            over = bool(watched.ended) or seconds >= timeout
            tell(watched, seconds, over)
            if over:
                break
            time.sleep(pause)
            pause = min(pause * 1.5, 0.25)
    except KeyboardInterrupt:
        raise StoppedWatching from None
    del watched.told["ResponseMetadata"]
    return watched.told


def ending_of(watched, timeout, measured):
    """How an execution ended, or that it goes on, in words. measured: whether they say how long it took.

    A line that is stored with a solution must be the same in every run, so it does not.
    """
    if not watched.ended:
        return f"{watched.status}: watched for {timeout} s; the execution goes on."
    took = (watched.ended - watched.started).total_seconds()
    after, reason = f" after {took:.1f} s" if measured else "", watched.reason()
    return watched.status + after + (f": {reason}" if reason else "")


def is_durable(execution_arn):
    """Whether it is the ARN of a durable function's execution."""
    # arn:aws:lambda:REGION:ACCOUNT:function:FUNCTION:VERSION/durable-execution/NAME/ID
    return "/durable-execution/" in execution_arn


class _StateMachineExecution:
    """What follow() looks at. told: AWS's last answer; status, started, ended: out of it; ended: None until the end."""

    def __init__(self, arn):
        self._client = clients.of("stepfunctions")
        self._arn = arn

    def look(self):
        self.told = self._client.describe_execution(executionArn=self._arn)
        self.status, self.started, self.ended = (self.told.get(key) for key in ("status", "startDate", "stopDate"))

    def reason(self):
        return ": ".join(filter(None, (self.told.get("error"), _message(self.told.get("cause")))))

    def now(self):
        """Where it is, in words."""
        latest = self._client.get_execution_history(
            executionArn=self._arn, reverseOrder=True, maxResults=20, includeExecutionData=False
        )
        entered = (_details(e)["name"] for e in latest["events"] if e["type"].endswith("StateEntered"))
        return f"now in {next(entered, 'its first state')}"


class _DurableExecution:
    """The same of a durable function's execution."""

    def __init__(self, arn):
        self._client = clients.of("lambda")
        self._arn = arn

    def look(self):
        self.told = self._client.get_durable_execution(DurableExecutionArn=self._arn)
        self.status, self.started, self.ended = (
            self.told.get(key) for key in ("Status", "StartTimestamp", "EndTimestamp")
        )

    def reason(self):
        error = self.told.get("Error", {})
        return ": ".join(filter(None, (error.get("ErrorType"), error.get("ErrorMessage"))))

    def now(self):
        latest = self._client.get_durable_execution_history(
            DurableExecutionArn=self._arn, ReverseOrder=True, MaxItems=20, IncludeExecutionData=False
        )["Events"]
        suspended = bool(latest) and latest[0]["EventType"] == "InvocationCompleted"
        named = (e["Name"] for e in latest if e.get("Name") and not e["EventType"].startswith("Execution"))
        return f"{'suspended' if suspended else 'now'} in {next(named, 'its first operation')}"


def _message(cause):
    """A cause in words. That of a function's error is a JSON object, of which the message is enough while watching."""
    try:
        return json.loads(cause)["errorMessage"]
    except (ValueError, TypeError, KeyError):
        return cause


class Line:
    """One line of a notebook that is updated in place; where nobody looks on, only its last text is printed.

    live: whether somebody looks on.
    """

    def __init__(self):
        self.live = is_watched()
        self._handle = None
        self._shown = time.monotonic()

    def is_due(self):
        """Whether it is time for news: twice a second is enough for a reader."""
        return self.live and time.monotonic() - self._shown >= 0.5

    def show_if_live(self, text):
        """Show what is only worth a look while it lasts."""
        if self.live:
            self.show(text)

    def show(self, text):
        self._shown = time.monotonic()
        if not self.live:
            print(text)
        elif self._handle is None:
            from IPython.display import display

            self._handle = display({"text/plain": text}, raw=True, display_id=True)
        else:
            self._handle.update({"text/plain": text}, raw=True)


def is_watched():
    """Whether somebody looks on: JupyterLab, Notebook and VS Code say which of their cells they run.

    What runs a notebook without showing it (nbval, nbconvert, papermill) has no cells on a screen, and says nothing.
    """
    with suppress(ImportError, AttributeError):
        from IPython import get_ipython

        return "cellId" in get_ipython().kernel.get_parent("shell").get("metadata", {})
    return False


@dataclasses.dataclass
class Visit:
    """One stay of an execution in a state.

    name, type: of the state ("Task", "Wait", ...).
    entered, left: seconds since the execution started; left is None while it is still there.
    attempts: how often its work was begun: 1, and one more for each retry.
    error: the name of the error that it ended with, caught or not; None where it ended well.
    output_bytes: the size of its output as JSON in UTF-8.
    parent: the visit of the Parallel or Map that it is part of, else None.
    """

    name: str
    type: str
    entered: float
    left: float | None = None
    attempts: int = 0
    error: str | None = None
    output_bytes: int = 0
    parent: "Visit | None" = dataclasses.field(default=None, repr=False)


class History:
    """The history of an execution: History.of(execution_arn).

    events: as GetExecutionHistory gives them.
        https://docs.aws.amazon.com/step-functions/latest/apireference/API_HistoryEvent.html
    status: "SUCCEEDED", "FAILED", "TIMED_OUT" or "ABORTED"; "RUNNING" where it had not ended when this was read.
    seconds: from its first event to its last. len(history): the number of events.

    A notebook shows it as a table with all times and data, which differ from run to run (in a solution such a cell is
    tagged nbval-ignore-output); print(history) writes the same table as text.
    """

    def __init__(self, name, events):
        self.name = name
        self.events = events
        self.status = _ENDINGS.get(events[-1]["type"], "RUNNING")
        self.started = events[0]["timestamp"]
        self.seconds = self._since_start(events[-1])
        self._visits, self._state_of = self._replay()

    @classmethod
    def of(cls, execution_arn):
        """Read the whole history of an execution, however long it is."""
        pages = clients.of("stepfunctions").get_paginator("get_execution_history").paginate(executionArn=execution_arn)
        # arn:aws:states:REGION:ACCOUNT:execution:STATE-MACHINE:EXECUTION
        return cls(execution_arn.split(":")[6], [event for page in pages for event in page["events"]])

    def __len__(self):
        return len(self.events)

    def states(self):
        """The states that were entered, in order: a list of Visit."""
        return self._visits

    @property
    def transitions(self):
        """What AWS bills: one for each state entered, and one for each retry.

        https://aws.amazon.com/step-functions/pricing/ says "a state transition is counted each time a step of your
        workflow is executed", and that retries count. Whether the start itself is billed too it leaves open.
        """
        return sum(visit.attempts for visit in self._visits)

    def output_sizes(self):
        """The largest output of each state that was left, in bytes: {name: bytes}. AWS allows 262,144."""
        sizes = {}
        for visit in self._visits:
            if visit.left is not None:
                sizes[visit.name] = max(visit.output_bytes, sizes.get(visit.name, 0))
        return sizes

    def last(self, count):
        """The last events, short: a list of (seconds since the start, type, state), all strings."""
        return [row[1:4] for row in self._rows(self.events[-count:])]

    def _since_start(self, event):
        return (event["timestamp"] - self.started).total_seconds()

    def _replay(self):
        """Go through the events and note which visit each belongs to; gives (visits, {event id: name of its state}).

        In a Parallel or a Map the events of several branches are mixed, so the event before is not the one that
        stands before it but the one that its previousEventId names.
        """
        visits, state_of = [], {}
        inside = {0: None}  # event id -> the visit that the execution, or this branch of it, is in after that event
        for event in self.events:
            kind, details, visit = event["type"], _details(event), inside[event["previousEventId"]]
            if kind.endswith("StateEntered"):
                kind_of_state = kind.removesuffix("StateEntered")
                visit = Visit(details["name"], kind_of_state, self._since_start(event), parent=visit)
                visits.append(visit)
            elif kind.endswith("StateExited"):
                while visit.name != details["name"]:
                    visit = visit.parent
                visit.left = self._since_start(event)
                visit.output_bytes = len(details.get("output", "").encode())
            elif kind.startswith(("MapState", "MapIteration", "ParallelState")):
                error = visit.error
                while visit.type not in ("Map", "Parallel"):
                    visit = visit.parent
                visit.error = None if kind.endswith("Succeeded") else error
            if visit and kind in _ATTEMPT:
                visit.attempts += 1
            if visit and kind.endswith(("Failed", "TimedOut")):
                visit.error = details.get("error", visit.error)
            elif visit and kind in ("TaskSucceeded", "LambdaFunctionSucceeded", "ActivitySucceeded"):
                visit.error = None
            state_of[event["id"]] = visit.name if visit and kind not in _ENDINGS else ""
            inside[event["id"]] = visit.parent if kind.endswith("StateExited") else visit
        for visit in visits:
            visit.attempts = visit.attempts or 1  # a Wait or a Choice has no work that could be begun again
            if visit.left is None and visit.parent:
                visit.left = visit.parent.left
            if visit.left is None and self.status != "RUNNING":
                visit.left = self.seconds
        return visits, state_of

    def _rows(self, events=None):
        """The table: (id, seconds since the start, type, state, detail), all strings. events: some of them; all."""
        for event in self.events if events is None else events:
            seconds = f"{self._since_start(event):.2f}"
            yield str(event["id"]), seconds, event["type"], self._state_of[event["id"]], _short(_detail(event))

    def _summary(self):
        transitions, events = counted(self.transitions, "state transition"), counted(len(self), "event")
        return f"{self.name}: {self.status}, {transitions}, {events}"

    def __repr__(self):
        return f"<History of {self._summary()}>"

    def __str__(self):
        rows = [_COLUMNS, *self._rows()]
        widths = [max(len(row[column]) for row in rows) for column in range(4)]
        lines = ["  ".join([*map(str.ljust, row, widths), row[4]]).rstrip() for row in rows]
        return "\n".join([self._summary(), *lines])

    def _repr_html_(self):
        def row(cells, tag):
            # An ARN or JSON may break at a colon or a comma: without that it is wider than a narrow window.
            texts = [html.escape(cell).replace(":", ":<wbr>").replace(",", ",<wbr>") for cell in cells]
            return "<tr>" + "".join(f'<{tag} style="text-align: left">{text}</{tag}>' for text in texts) + "</tr>"

        rows = [row(cells, "td") for cells in self._rows()]
        if len(rows) > _MOST_ROWS:
            half = _MOST_ROWS // 2
            rows[half:-half] = [f'<tr><td colspan="5">… {len(rows) - 2 * half:,} more events: print(history)</td></tr>']
        head = f"<caption>{html.escape(self._summary())}</caption><thead>{row(_COLUMNS, 'th')}</thead>"
        return f"<table>{head}<tbody>{''.join(rows)}</tbody></table>"


_COLUMNS = ("Id", "Seconds", "Event", "State", "Detail")
_MOST_ROWS = 32

_ENDINGS = {
    "ExecutionSucceeded": "SUCCEEDED",
    "ExecutionFailed": "FAILED",
    "ExecutionTimedOut": "TIMED_OUT",
    "ExecutionAborted": "ABORTED",
}

# The event with which a state's work begins; when it is retried, it comes again without the state being entered again.
_ATTEMPT = ("TaskScheduled", "LambdaFunctionScheduled", "ActivityScheduled", "MapStateStarted", "ParallelStateStarted")


def _details(event):
    """What an event says beyond its type; each type has a field of its own for that, and some have none."""
    return next((value for field, value in event.items() if field.endswith("EventDetails")), {})


def _detail(event):
    details = _details(event)
    if "error" in details or "cause" in details:
        return ": ".join(details[part] for part in ("error", "cause") if details.get(part))
    if "resourceType" in details and event["type"].endswith("Scheduled"):
        return f"{details['resourceType']}:{details['resource']} {details.get('parameters', '')}"
    if event["type"] == "LambdaFunctionScheduled":
        return f"{details['resource'].split(':')[6]} {details.get('input', '')}"
    return details.get("output", details.get("input", ""))


def _short(text, most=120):
    """The text on one line, cut where it is longer than a line."""
    text = " ".join(text.split())
    return text if len(text) <= most else text[: most - 1] + "…"
