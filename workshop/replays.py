"""Look into a durable execution: what ran in which invocation, and what was answered from a checkpoint."""

import dataclasses
import datetime
import html

import boto3

# What durable functions cost in us-east-1, in USD: an operation, an invocation (each resume is one), a GB-second.
# https://aws.amazon.com/lambda/pricing/
PRICE_PER_OPERATION = 8.00 / 1e6
PRICE_PER_INVOCATION = 0.20 / 1e6
PRICE_PER_GB_SECOND = 0.0000166667


def durable_price(operations, invocations=0, seconds=0, memory=128):
    """What these durable operations and invocations cost, in USD (us-east-1, x86, beyond the free ones).

    seconds: that the invocations ran, all together, with `memory` in MB.
    Two small things are not in it: data that is written costs 0.25 USD a GB, and 0.15 USD a GB for each month it is
    kept. https://aws.amazon.com/lambda/pricing/
    """
    compute = seconds * memory / 1024 * PRICE_PER_GB_SECOND
    return operations * PRICE_PER_OPERATION + invocations * PRICE_PER_INVOCATION + compute


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

    A notebook shows it as a picture, and as a table without measured times, which is the same in every run of a handler
    that does the same; print(replay) writes that table as text.

    What is recorded and what is not. A history has the times of each invocation, and of each begin and end of an
    operation. That a later invocation answered an operation from its checkpoint is recorded nowhere; it is derived from
    how replay works (https://docs.aws.amazon.com/lambda/latest/dg/durable-execution-sdk.html): the code runs again from
    its first line, and finds every operation that is over already answered. So an operation counts as answered in each
    invocation that began after it was over. The operations within a context that is over do not count, since its code
    is not run again. (Where its result is larger than 256 KB it is; the history does not say.) An invocation that
    failed may have come less far than is shown. To which invocation a begin or an end belongs is derived from the order
    of the events. An invocation that runs is seen once it has begun an operation.

    Operations are counted as in AWS's table:
    https://docs.aws.amazon.com/lambda/latest/dg/durable-execution-sdk.html#durable-operations-checkpoint-consumption
    the start 1, each step, wait, callback and context 1, each retry of a step 1, wait_for_condition 1 and 1 for each
    poll, each retry of an invocation 1; so wait_for_callback comes to 3. The table has no row for context.invoke; it is
    counted as 1 here.
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
        reader = _Reader(self.started, self._until, self.ended is not None and self.status in ("SUCCEEDED", "FAILED"))
        for event in events:
            reader.read(event)
        reader.close()
        self.invocations = reader.invocations
        self.operations = reader.billed
        self._operations, self._marks = reader.operations, reader.marks

    @classmethod
    def of(cls, durable_execution_arn):
        """Read a durable execution and the whole of its history, however long it is."""
        client = boto3.client("lambda")
        named = {"DurableExecutionArn": durable_execution_arn}
        pages = client.get_paginator("get_durable_execution_history").paginate(IncludeExecutionData=True, **named)
        # Its history first: what happens in between is then missing at the end, and not in the middle.
        events = [event for page in pages for event in page["Events"]]
        return cls(client.get_durable_execution(IncludeExecutionData=True, **named), events)

    @property
    def seconds(self):
        return sum(invocation.seconds for invocation in self.invocations)

    @property
    def suspended(self):
        return max((self._until - self.started).total_seconds() - self.seconds, 0.0)

    def _summary(self):
        return f"{self.name}: {self.status}, {self.operations} operations, {len(self.invocations)} invocations"

    def __repr__(self):
        return f"<Replay of {self._summary()}>"

    def _rows(self):
        """The table: (number, answered from checkpoints, ran, then), all strings."""
        for invocation in self.invocations:
            names = (", ".join(each) or "-" for each in (invocation.answered, invocation.ran))
            yield str(invocation.number), *names, self._then(invocation)

    def _then(self, invocation):
        """How an invocation ended, in words."""
        if invocation.ended is None:
            return "still runs"
        if invocation.waits_for:
            return f"suspended: {', '.join(invocation.waits_for)}"
        if invocation.failed:
            return f"failed: {invocation.error.get('ErrorType') or 'without an error'}"
        return "ended" if invocation is self.invocations[-1] else "suspended"

    def __str__(self):
        rows = [_COLUMNS, *self._rows()]
        widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
        return "\n".join([self._summary(), *("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)])

    def _repr_html_(self):
        def row(cells, tag):
            style = "text-align: left"
            return "<tr>" + "".join(f'<{tag} style="{style}">{html.escape(cell)}</{tag}>' for cell in cells) + "</tr>"

        body = "".join(row(cells, "td") for cells in self._rows())
        head = f"<caption>{html.escape(self._summary())}</caption><thead>{row(_COLUMNS, 'th')}</thead>"
        return f"<table>{head}<tbody>{body}</tbody></table>"


_COLUMNS = ("Invocation", "Answered from checkpoints", "Ran", "Then")

# The first words of the types of events that belong to an operation.
_KINDS = ("Step", "Context", "Wait", "Callback", "ChainedInvoke")
# Ends that the handler does not write itself: they can come while no invocation runs.
_ENDED_BY_SERVICE = ("Wait", "Callback", "ChainedInvoke")


@dataclasses.dataclass(eq=False)
class _Operation:
    """name, kind: "Step", "Wait", ...; polls: whether it is a wait_for_condition; parent: an _Operation or None.

    ended: a datetime, once it is over. due: whether it is to be tried again later.
    """

    name: str
    kind: str
    polls: bool
    parent: "_Operation | None"
    ended: datetime.datetime | None = None
    due: bool = False
    attempts: int = 0

    def is_over_at(self, moment):
        return self.ended is not None and self.ended <= moment

    def is_within_one_over_at(self, moment):
        return self.parent is not None and (self.parent.is_over_at(moment) or self.parent.is_within_one_over_at(moment))


class _Reader:
    """Goes through the events of a history, in order, and gathers what each invocation did."""

    def __init__(self, started, until, ended_by_itself):
        self._until, self._ended_by_itself = until, ended_by_itself
        self._last = started  # when the last invocation ended
        self._did = {}  # what the invocation that is being read did: _Operation -> list of ends of its attempts
        self._ran = []
        self._operations = {}  # id -> _Operation
        self.invocations = []
        self.marks = []  # for each invocation: {_Operation: list of marks}
        self.billed = 1

    @property
    def operations(self):
        return [*self._operations.values()]

    def read(self, event):
        if event["EventType"] == "InvocationCompleted":
            details = event["InvocationCompletedDetails"]
            error = details.get("Error")
            error = error and (error.get("Payload") or {})
            self._invocation(details["StartTimestamp"], details["EndTimestamp"], error)
        elif event["EventType"].startswith(_KINDS):
            self._operation(event)

    def _operation(self, event):
        kind = next(kind for kind in _KINDS if event["EventType"].startswith(kind))
        what, details = event["EventType"].removeprefix(kind), event.get(f"{event['EventType']}Details", {})
        operation = self._operations.get(event["Id"])
        if operation is None:
            polls = event.get("SubType") == "WaitForCondition"
            parent = self._operations.get(event.get("ParentId"))
            name = event.get("Name") or event.get("SubType") or kind
            operation = self._operations[event["Id"]] = _Operation(name, kind, polls, parent)
            self.billed += 1
        due = "NextAttemptDelaySeconds" in details.get("RetryDetails", {})
        if what == "Started":
            operation.attempts += 1
            if kind == "Step":
                self._ran.append(operation.name)
        elif not due:
            operation.ended = event["EventTimestamp"]
        if kind == "Step" and what != "Started" and (due or operation.polls):
            self.billed += 1
        operation.due = due
        if what == "Started" or kind not in _ENDED_BY_SERVICE:
            self._did.setdefault(operation, []).append(what)

    def close(self):
        """There are no more events."""
        if self._did:
            self._invocation(self._last, None, None)
        if self._ended_by_itself and self.invocations:
            self.invocations[-1].waits_for = []
        self.billed += sum(invocation.failed for invocation in self.invocations[:-1])

    def _invocation(self, began, ended, error):
        reached = [each for each in self._operations.values() if not each.is_within_one_over_at(began)]
        answered = [each for each in reached if each not in self._did and each.is_over_at(ended or self._until)]
        open_now = [each for each in reached if not each.is_over_at(ended or self._until)]
        waits = [each for each in open_now if each.due or each.kind in _ENDED_BY_SERVICE]
        suspended = ended is not None and error is None
        self.invocations.append(
            Invocation(
                number=len(self.invocations) + 1,
                began=began,
                ended=ended,
                seconds=max(((ended or self._until) - began).total_seconds(), 0.0),
                ran=self._ran,
                answered=[each.name for each in answered],
                waits_for=[each.name for each in waits] if suspended else [],
                error=error,
            )
        )
        self.marks.append({})
        self._did, self._ran, self._last = {}, [], ended
