"""Judging in lab 04, on records: for each sentence of each contract one that keeps it, and others that do not."""

import dataclasses
import datetime

import pytest

from workshop.checking.executions import Execution
from workshop.checks.durable_functions import NOBODY, Poll

ARN = "arn:aws:dms:us-east-1:111122223333:task:A"
FINISHED = {"Status": "stopped", "StopReason": "Stop Reason FULL_LOAD_ONLY_FINISHED"}
FAILED = {"Status": "failed", "StopReason": "Stop Reason FATAL_ERROR", "LastFailureMessage": "Line 49 is bad."}
STOPPED = {"Status": "stopped", "StopReason": "Stop Reason NORMAL"}
RUNNING = {"Status": "running"}


def execution(status="RUNNING", **more):
    return Execution("a migration", status=status, **more)


# -- exercise 1 -------------------------------------------------------------------------------------------------------


def polled(status="RUNNING", *, first=1, longest=3, most=50, arn=ARN, **more):
    input = {"ReplicationTaskArn": arn, "PollSeconds": first, "MaxPollSeconds": longest, "MaxPolls": most}
    return execution(status, **{"input": input, **more})


def failed(migration):
    reason = migration.get("LastFailureMessage") or migration["StopReason"]
    return polled("FAILED", error="MigrationFailed", cause=f"It says: {reason}", migration=migration)


NOON = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.UTC)
WAITED_FIRST = [
    {"EventType": "ExecutionStarted", "EventTimestamp": NOON},
    {"EventType": "WaitStarted", "EventTimestamp": NOON + datetime.timedelta(seconds=0.1)},
]
GAVE_UP = {"error": "WaitForConditionError", "cause": "exhausted"}
POLL = {
    "under way": polled(pauses=[1, 2, 3], polls=[0, 1, 3]),
    "another pace": polled(pauses=[2, 3], first=2),
    "patient": polled(pauses=[53], first=53, longest=600),
    "steady pace": polled(pauses=[1, 1, 1], longest=1),
    "not begun": polled(pauses=[1, 2]),
    "throttled at first": polled("SUCCEEDED", output={"ReplicationTaskArn": ARN}),
    "throttled later": polled(pauses=[1, 2, 2]),
    "never was": polled("FAILED", arn=NOBODY[0], polls=[0]),
    "nobody": polled("FAILED", arn=NOBODY[1], polls=[0]),
    "denied": polled("FAILED", polls=[0, 1], pauses=[1]),
    "finished": polled("SUCCEEDED", output={"ReplicationTaskArn": ARN}),
    "failed": failed(FAILED),
    "no file": failed(FAILED),
    "set aside": failed(FAILED),
    "stopped": failed(STOPPED),
    "one poll": polled("FAILED", most=1, polls=[0], **GAVE_UP),
    "two polls": polled("FAILED", first=2, longest=5, most=2, polls=[0, 2], pauses=[2], **GAVE_UP),
    "four polls": polled("FAILED", longest=1, most=4, polls=[0, 1, 2, 3], pauses=[1, 1, 1], **GAVE_UP),
}

# {exercise: (records of a right answer, [(case, what is different, the sentence's judge, words of the refusal)])}
JUDGED = {
    Poll: (
        POLL,
        [
            ("not begun", {"status": "FAILED"}, "goes_on", "While the migration still ran"),
            ("under way", {"pauses": []}, "goes_on", "had not waited"),
            ("one poll", {"polls": [1.2], "pauses": [1], "events": WAITED_FIRST}, "begins", "Before it asked at all"),
            ("patient", {"pauses": [1]}, "begins", "it waited 1 s"),
            ("two polls", {"pauses": [5]}, "begins", "it waited 5 s"),
            ("under way", {"pauses": [1, 1, 1]}, "waits", "1, 1 and 1 s"),
            ("under way", {"pauses": [1, 2, 4]}, "waits", "1, 2 and 4 s"),
            ("another pace", {"pauses": [2, 2]}, "waits", "2 and 2 s"),
            ("throttled at first", {"status": "FAILED", "error": "Throttled"}, "lives_with_throttling", "Throttled"),
            ("never was", {"status": "RUNNING"}, "ends_with_other_errors", "was still running"),
            ("denied", {"polls": [0, 1, 2]}, "ends_with_other_errors", "asked 3 times in all"),
            ("finished", {"output": {"Status": "stopped"}}, "returns_the_outcome", "Status"),
            ("failed", {"status": "SUCCEEDED"}, "raises_the_outcome", "SUCCEEDED"),
            ("failed", {"cause": "It has failed."}, "raises_the_outcome", "Line 49"),
            ("stopped", {"error": "MigrationTimedOut"}, "raises_the_outcome", "MigrationTimedOut"),
            ("one poll", {"status": "RUNNING", "pauses": [1]}, "gives_up", "decided to wait for another 1 s"),
            ("two polls", {"polls": [0, 2, 5]}, "gives_up", "asked 3 times"),
            ("four polls", {"error": "MigrationFailed"}, "gives_up", "MigrationFailed"),
        ],
    ),
}
ROWS = [
    pytest.param(kind, case, other, judge, words, id=f"{kind.__name__}-{judge}-{number}")
    for kind, (_, rows) in JUDGED.items()
    for number, (case, other, judge, words) in enumerate(rows)
]


@pytest.mark.parametrize("kind", JUDGED)
def test_a_right_answer_keeps_all_sentences(kind):
    records, rows = JUDGED[kind]
    assert set(records) == set(kind.cases)
    assert kind().judge(records) is None
    assert {getattr(kind, judge).sentence for _, _, judge, _ in rows} == set(kind.contract)


@pytest.mark.parametrize("kind, case, other, judge, words", ROWS)
def test_a_sentence_that_is_not_kept_is_named(kind, case, other, judge, words):
    records = JUDGED[kind][0]
    refused = kind().judge(records | {case: dataclasses.replace(records[case], **other)})
    assert refused.contract == getattr(kind, judge).sentence.text
    assert words in str(refused)
