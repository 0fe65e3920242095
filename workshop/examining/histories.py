"""What an exported history says of the execution that wrote it: the true numbers, and the loops it went through."""

import dataclasses
import datetime
import statistics
from collections import Counter
from collections.abc import Mapping
from typing import Any

from workshop.costs.designs import MOST_EVENTS, MOST_OPERATIONS
from workshop.costs.prices import US_EAST_1, Bill, bill, durable_price
from workshop.examining.reading import Trace, UnreadableError
from workshop.executions import History


@dataclasses.dataclass(frozen=True)
class Measured:
    """The numbers of one execution.

    transitions, events: of a state machine; operations, invocations: of a durable function; the others are 0.
    visits: {name of a state: how often it was entered}. left: events or operations that were left at its end.
    polls: how often a durable function's wait_for_condition asked.
    """

    file: str
    name: str
    status: str
    seconds: float
    events: int
    bill: Bill
    left: int
    visits: Mapping[str, int] = dataclasses.field(default_factory=dict)
    transitions: int = 0
    operations: int = 0
    invocations: int = 0
    polls: int = 0

    @property
    def durable(self) -> bool:
        return self.operations > 0


def measured(trace: Trace, region: str = US_EAST_1) -> Measured:
    """The numbers of an exported history. Raises UnreadableError where it is not whole."""
    try:
        return _of_durable(trace) if trace.durable else _of_machine(trace, region)
    except (KeyError, AttributeError, TypeError, ValueError, IndexError):
        raise UnreadableError(
            f"{trace.file} is not the whole history of an execution: export it from its first event on, in order."
        ) from None


def _of_machine(trace, region):
    history = history_of(trace)
    visits = Counter(visit.name for visit in history.states())
    return Measured(
        trace.file, trace.name, history.status, history.seconds, len(history),
        bill({"states.transition": history.transitions}, region=region), MOST_EVENTS - len(history),
        visits=visits, transitions=history.transitions,
    )  # fmt: skip


def history_of(trace: Trace) -> History:
    """The history as the workshop reads one from an account; times may be texts or seconds since 1970."""
    events = sorted(trace.events, key=lambda event: event["id"])
    events = [{"previousEventId": 0, **event, "timestamp": time_of(event["timestamp"])} for event in events]
    if events[0]["id"] != 1:
        raise ValueError
    return History(trace.name, events)


def time_of(value) -> datetime.datetime:
    """The time of an event, which may be a text or seconds since 1970."""
    if isinstance(value, datetime.datetime):
        return value
    if isinstance(value, int | float):
        return datetime.datetime.fromtimestamp(value, datetime.UTC)
    when = datetime.datetime.fromisoformat(value)
    return when if when.tzinfo else when.replace(tzinfo=datetime.UTC)


# What begins an operation; each attempt of a step, and each poll of a condition, begins one more.
# https://docs.aws.amazon.com/lambda/latest/dg/durable-execution-sdk.html
_BEGINS = {
    "ExecutionStarted",
    "ContextStarted",
    "WaitStarted",
    "StepStarted",
    "CallbackStarted",
    "ChainedInvokeStarted",
}
_ENDS = {"ExecutionSucceeded": "SUCCEEDED", "ExecutionFailed": "FAILED", "ExecutionTimedOut": "TIMED_OUT",
         "ExecutionStopped": "STOPPED"}  # fmt: skip


def _of_durable(trace):
    events = sorted(trace.events, key=lambda event: event["EventId"])
    kinds = Counter(event["EventType"] for event in events)
    operations = sum(kinds[kind] for kind in _BEGINS)
    # The first try of a condition is in "1 + N polls" beside the operation itself.
    conditions = [event for event in events if event.get("SubType") == "WaitForCondition"]
    polls = sum(event["EventType"] == "StepStarted" for event in conditions)
    operations += len({event.get("Id") for event in conditions})
    status = next((_ENDS[event["EventType"]] for event in reversed(events) if event["EventType"] in _ENDS), "RUNNING")
    seconds = (time_of(events[-1]["EventTimestamp"]) - time_of(events[0]["EventTimestamp"])).total_seconds()
    invocations = kinds["InvocationCompleted"]
    used = Bill({"durable.operation": durable_price(operations), "lambda.request": durable_price(0, invocations)},
                ("lambda.gb_second", "durable.gb_written"))  # fmt: skip
    return Measured(
        trace.file, trace.name, status, seconds, len(events), used, MOST_OPERATIONS - operations,
        operations=operations, invocations=invocations, polls=polls,
    )  # fmt: skip


def definition_of(trace: Trace) -> Mapping[str, Any]:
    """The states that an execution went through, as a definition: what leads to what, and what each Task called.

    A Choice is as it went and no more; a Wait has the seconds that it took at the median.
    """
    visits = history_of(trace).states()
    states: dict[str, dict] = {}
    waited: dict[str, list[float]] = {}
    before: dict[Any, str] = {}
    for visit in visits:
        state = states.setdefault(visit.name, {"Type": visit.type, "Choices": []})
        around = id(visit.parent) if visit.parent else None
        if around in before and not any(one["Next"] == visit.name for one in states[before[around]]["Choices"]):
            states[before[around]]["Choices"].append({"Next": visit.name})
        before[around] = visit.name
        if visit.type == "Wait" and visit.left is not None:
            waited.setdefault(visit.name, []).append(visit.left - visit.entered)
        state.setdefault("Next", None)
    for name, seconds in waited.items():
        states[name]["Seconds"] = round(statistics.median(seconds), 1)
    for name, resource in _called(trace):
        if name in states:
            states[name].setdefault("Resource", resource)
    return {"StartAt": visits[0].name if visits else "", "States": states}


def _called(trace):
    """What Tasks called: (name of the state, resource)."""
    inside: dict[int, str] = {}  # event id -> the state that was entered last before it, on its way
    for event in sorted(trace.events, key=lambda event: event["id"]):
        entered = event.get("stateEnteredEventDetails") or {}
        name = entered.get("name") or inside.get(event.get("previousEventId", 0), "")
        inside[event["id"]] = name
        if details := event.get("taskScheduledEventDetails"):
            yield name, f"arn:aws:states:::{details['resourceType']}:{details['resource']}"
        elif details := event.get("lambdaFunctionScheduledEventDetails"):
            yield name, details["resource"]
