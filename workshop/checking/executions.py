"""Executions of a learner's state machine or durable function: started by a check, watched, and kept as plain data."""

import dataclasses
import itertools
import json
from collections.abc import Mapping, Sequence

from workshop import clients, faults
from workshop.checking.exercises import on_sandbox
from workshop.checking.outcomes import NotYet, in_words, line_of, shortened
from workshop.checking.waiting import until
from workshop.executions import History

START, POLL = "dms:StartReplicationTask", "dms:DescribeReplicationTasks"


@dataclasses.dataclass(frozen=True)
class Execution:
    """What a check has seen of one execution.

    about: what is special about it, "a migration that failed". input: what it got.
    status: "RUNNING", "SUCCEEDED", "FAILED", "TIMED_OUT" or "ABORTED" (of a durable function "STOPPED").
    output: as Python data. error, cause: the name of the error and its message.
    evidence: the lines of its history that a refusal shows. events: its history as AWS returns it.
    starts, polls: when somebody ordered its migration, and asked about it, for whatever reason: seconds since it began.
    pauses: the seconds that it decided to wait before each poll.
    migration: what DMS said about the migration in the end; {} where there is none.
    facts: what else there is to know, as the exercise says.
    """

    about: str
    input: Mapping = dataclasses.field(default_factory=dict)
    status: str = "RUNNING"
    output: object = None
    error: str = ""
    cause: str = ""
    evidence: Sequence[str] = ()
    events: Sequence[Mapping] = ()
    starts: Sequence[float] = ()
    polls: Sequence[float] = ()
    pauses: Sequence[float] = ()
    migration: Mapping = dataclasses.field(default_factory=dict)
    facts: Mapping = dataclasses.field(default_factory=dict)

    @property
    def ended(self) -> bool:
        return self.status != "RUNNING"

    @property
    def polls_of_run(self) -> list[float]:
        """The polls since its migration was started: it may have looked before, to see how to start it."""
        return since_start(self.starts, self.polls)

    @property
    def history(self) -> History:
        """Of a state machine's execution."""
        return History("execution", list(self.events))

    def in_words(self) -> str:
        """How it stands, as a part of a sentence: "ended FAILED (States.Runtime: ...)"."""
        if not self.ended:
            return "was still running"
        reason = ": ".join(filter(None, (self.error, in_words(self.cause, self.error))))
        return f"ended {self.status}" + (f" ({shortened(reason, 300)})" if reason else "")

    def __str__(self):
        """As the beginning of a message: "The execution of a migration that failed ended FAILED (...)"."""
        return f"The execution of {self.about} {self.in_words()}"


class Run:
    """One execution, started by a check. What kind it is of, the two classes below know.

    arn: its ARN. input: what it got, a dict. status: as it was when `look` last looked.
    """

    arn: str
    status = "RUNNING"

    def look(self) -> bool:
        """Whether it has ended by now."""
        raise NotImplementedError

    def stop(self):
        """Stop it, if it still runs."""
        raise NotImplementedError

    def outcome(self) -> tuple[object, str, str]:
        """(output, error, cause) of an execution that has ended."""
        raise NotImplementedError

    def events(self) -> list[dict]:
        """Its history so far, as AWS returns it."""
        raise NotImplementedError

    def began(self) -> float:
        """When it began, in seconds since 1970."""
        raise NotImplementedError

    def asked(self) -> tuple[list[float], list[float]]:
        """When its migration was started, and when DMS was asked about it: seconds since it began.

        By whomever it had do that, where that can be known: a function of its own, or another state machine.
        """
        began = self.began()
        starts, polls = ([call["time"] - began for call in self._calls(each)] for each in (START, POLL))
        return starts, polls

    def _calls(self, operation: str) -> list[dict]:
        """The calls of this operation about its migration, in the order in which they came; on the sandbox only."""
        return faults.calls(operation=operation, resource=self.input["ReplicationTaskArn"])

    def pauses(self, events: list[dict]) -> list[float]:
        """The seconds that it decided to wait before each poll so far. events: its history."""
        raise NotImplementedError

    def seen(self, about: str, **more) -> Execution:
        """It as a record, as it stands now. more: further fields of the record."""
        self.look()
        output, error, cause = self.outcome() if self.status != "RUNNING" else (None, "", "")
        events, (starts, polls) = self.events(), self.asked()
        return Execution(
            about,
            input=self.input,
            status=self.status,
            output=output,
            error=error,
            cause=cause,
            evidence=[self.line_of(event) for event in events],
            events=events,
            starts=starts,
            polls=polls,
            pauses=self.pauses(events),
            **more,
        )

    def not_yet(self, observed: str, missing: str) -> NotYet:
        """A NotYet that shows the end of this execution's history."""
        return NotYet(observed, missing, [self.line_of(event) for event in self.events()])


class StateMachineRun(Run):
    """machine: the ARN of a state machine. name: of the execution; where there is none, Step Functions makes one up."""

    def __init__(self, machine: str, input: Mapping, name: str | None = None):
        self._client = clients.of("stepfunctions")
        self.input = dict(input)
        named = {"name": name} if name else {}
        started = self._client.start_execution(stateMachineArn=machine, input=json.dumps(input), **named)
        self.arn, self._began, self._told = started["executionArn"], started["startDate"].timestamp(), {}

    def look(self):
        if self.status == "RUNNING":
            self._told = self._client.describe_execution(executionArn=self.arn)
            self.status = self._told["status"]
        return self.status != "RUNNING"

    def stop(self):
        if not self.look():
            self._client.stop_execution(executionArn=self.arn)

    def outcome(self):
        told = self._told
        return json.loads(told.get("output", "null")), told.get("error") or "", told.get("cause") or ""

    def events(self):
        return History.of(self.arn).events

    def began(self):
        return self._began

    def asked(self):
        if on_sandbox():
            return super().asked()
        history = History.of(self.arn)
        return moments(history, "startReplicationTask"), moments(history, "describeReplicationTasks")

    def _calls(self, operation):
        about_it = super()._calls(operation)
        # Whom it asks about no migration, or about another, it asks itself.
        itself = faults.calls(state_machine=self.arn.split(":")[6], execution=self.arn, operation=operation)
        return [call for _, call in sorted({call["came"]: call for call in [*about_it, *itself]}.items())]

    def pauses(self, events):
        history = History("execution", events)
        starts, polls = moments(history, "startReplicationTask"), moments(history, "describeReplicationTasks")
        if polls:
            times = [*starts[:1], *since_start(starts, polls)]
            return [waited(history, since, then) for since, then in itertools.pairwise(times)]
        starts, polls = self.asked()  # somebody else did it for this execution, and waited for it
        return [then - since for since, then in itertools.pairwise([*starts[:1], *polls])]

    line_of = staticmethod(line_of)


class DurableRun(Run):
    """function: the qualified name of a durable function."""

    def __init__(self, function: str, input: Mapping):
        self._client = clients.of("lambda")
        self.function, self.input = function, dict(input)
        started = self._client.invoke(FunctionName=function, InvocationType="Event", Payload=json.dumps(input))
        self.arn, self._told = started["DurableExecutionArn"], {}

    def look(self):
        if self.status == "RUNNING":
            self._told = self._client.get_durable_execution(DurableExecutionArn=self.arn, IncludeExecutionData=True)
            # PENDING, PAUSING and PAUSED are under way, too.
            ended = self._told["Status"] in ("SUCCEEDED", "FAILED", "TIMED_OUT", "STOPPED")
            self.status = self._told["Status"] if ended else "RUNNING"
        return self.status != "RUNNING"

    def stop(self):
        if not self.look():
            self._client.stop_durable_execution(DurableExecutionArn=self.arn)

    def outcome(self):
        error = self._told.get("Error", {})
        # The class of an error comes with its module.
        name = (error.get("ErrorType") or "").rpartition(".")[2]
        return json.loads(self._told.get("Result") or "null"), name, error.get("ErrorMessage") or ""

    def events(self):
        pages = self._client.get_paginator("get_durable_execution_history").paginate(
            DurableExecutionArn=self.arn, IncludeExecutionData=True
        )
        return [event for page in pages for event in page["Events"]]

    def began(self):
        if not self._told:
            self.look()
        return self._told["StartTimestamp"].timestamp()

    def asked(self):
        """Both are empty on a real account, which does not tell what a function has called."""
        return super().asked() if on_sandbox() and "ReplicationTaskArn" in self.input else ([], [])

    def pauses(self, events):
        return durable_pauses(events)

    def callback_ids(self) -> list[str]:
        """The IDs of the callbacks that it has made so far, in order."""
        return [details_of(event)["CallbackId"] for event in self.events() if event["EventType"] == "CallbackStarted"]

    def failures(self) -> list[tuple[str, bool]]:
        """Of each attempt of a step that has failed so far: the name of the error, and whether it is tried again."""
        failed = [details_of(event) for event in self.events() if event["EventType"] == "StepFailed"]
        return [
            (
                (details["Error"]["Payload"].get("ErrorType") or "").rpartition(".")[2],
                "NextAttemptDelaySeconds" in details.get("RetryDetails", {}),
            )
            for details in failed
        ]

    def has_submitted(self) -> bool:
        """Whether it has made a callback, and no step is under way or waits for another attempt."""
        kinds = [event["EventType"] for event in self.events() if event["EventType"].startswith(("Step", "Callback"))]
        return "CallbackStarted" in kinds and kinds[-1] == "StepSucceeded"

    @staticmethod
    def line_of(event):
        error = details_of(event).get("Error", {}).get("Payload", {})
        name = None if event["EventType"].startswith("Execution") else event.get("Name")  # of itself, and random
        told = [name, (error.get("ErrorType") or "").rpartition(".")[2], error.get("ErrorMessage")]
        return f"{event['EventId']:>3}  " + "  ".join([event["EventType"], *filter(None, told)])[:150]


def until_ended(runs, patience: float) -> bool:
    """Wait until these executions have ended; returns whether they all have."""
    return until(lambda: all([run.look() for run in runs]), patience, "executions to end")


# -- what histories tell ----------------------------------------------------------------------------------------------


def scheduled(history: History, action: str) -> list[dict]:
    """The events with which an execution called an SDK integration.

    action: the last part of the state's Resource, as in "describeReplicationTasks".
    """
    return [
        event
        for event in history.events
        if event["type"] == "TaskScheduled" and event["taskScheduledEventDetails"]["resource"].startswith(action)
    ]


def since_start(starts: Sequence[float], polls: Sequence[float]) -> list[float]:
    """Those of the polls that came after the first start; all, where there was none."""
    return [poll for poll in polls if not starts or poll > starts[0]]


def moments(history: History, action: str) -> list[float]:
    """The seconds since the start at which it did so: [1.0, 2.0, ...]."""
    return [(event["timestamp"] - history.started).total_seconds() for event in scheduled(history, action)]


def waited(history: History, since: float, until: float) -> float:
    """The seconds that an execution spent in Wait states between two of its moments (seconds since its start).

    They hardly depend on how busy the machine is, as the time from one call to the next does.
    """
    waits = [visit for visit in history.states() if visit.type == "Wait" and visit.left is not None]
    return sum(visit.left - visit.entered for visit in waits if since <= visit.entered and visit.left <= until)


def details_of(event: Mapping) -> Mapping:
    """What an event of a durable execution says beyond its type."""
    return event.get(f"{event['EventType']}Details", {})


def durable_pauses(events: Sequence[Mapping]) -> list[float]:
    """The seconds for which a durable execution decided to wait between two polls, in order, however it polls."""
    found = []
    for event in events:
        details = details_of(event)
        if event.get("SubType") == "WaitForCondition" and "RetryDetails" in details:
            found.append(details["RetryDetails"].get("NextAttemptDelaySeconds"))
        elif event["EventType"] == "WaitStarted":
            found.append(details.get("Duration"))
    return [seconds for seconds in found if seconds is not None]
