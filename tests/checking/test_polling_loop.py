"""What the checks of lab 01 say of records, without an account: each sentence is told from its opposite."""

import dataclasses
import datetime

import pytest

from workshop.checking.counting import Shape, made_up
from workshop.checking.executions import Execution
from workshop.checks.polling_loop import Answered, Backoff, Cost, Loop, Poll, Start

NOON = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.UTC)
TASK = ("TaskScheduled", "TaskStarted", "TaskSucceeded")
ENDED = {"Status": "stopped", "StopReason": "Stop Reason FULL_LOAD_ONLY_FINISHED"}
MESSAGE = "Last Error Table 'travel'.'airports': line 49."


def described(status="running", stopped=None, **more):
    stats = {"TablesErrored": 0, **({"StopDate": NOON + datetime.timedelta(seconds=stopped)} if stopped else {})}
    named = {"ReplicationTaskArn": "arn:aws:dms:...:task:own-1a2b3c", "ReplicationTaskIdentifier": "own"}
    return {"Status": status, "ReplicationTaskStats": stats, **named, **more}


def asking(about):
    """A visit to a state that asks DMS with these parameters, as a history has it."""
    events = made_up(("Task", "Poll", *TASK))
    for event in events:
        if event["type"] == "TaskScheduled":
            event["taskScheduledEventDetails"] = {"resource": "describeReplicationTasks", "parameters": about}
    return events


def seen(exercise, case, *, visits=(("Task", "Start", *TASK),), **fields):
    """A record of that case as a right answer leaves it, but for these fields."""
    about = exercise.cases[case]
    usual = {
        "input": {**exercise.common, **about.input},
        "status": "SUCCEEDED",
        "events": asking("arn:aws:dms:...:task:own-1a2b3c") if isinstance(exercise, Poll) else made_up(*visits),
        "starts": [5],
        "migration": described(),
    }
    return Execution(about.about, **{**usual, **fields})


def refusal(exercise, case, record):
    """What the check says of one record, as a text; None where nothing is wrong with it."""
    outcome = exercise.judge({case: record})
    return outcome and " ".join(outcome.args)


# -- start -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fields, words",
    [
        ({}, None),
        ({"migration": described("ready")}, "was not started"),
        ({"status": "FAILED", "error": "States.Runtime"}, "ended FAILED (States.Runtime)"),
        ({"status": "RUNNING"}, "was still running"),
        ({"visits": (("Task", "Start", *TASK), ("Wait", "Nap"))}, "It waited, in the state 'Nap'"),
        ({"starts": [-9]}, "after the start"),
    ],
)
def test_start(fields, words):
    said = refusal(Start(), "takes long", seen(Start(), "takes long", **fields))
    assert said is None if words is None else words in said


# -- poll --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "case, fields, words",
    [
        ("under way", {}, None),
        ("over", {"pauses": [1], "migration": described("stopped", 1), "output": {"Status": "stopped"}}, None),
        # The question came at 4 s, and the execution ended soon after 5 s: between the two DMS has answered.
        ("over", {"pauses": [1], "migration": described("stopped", 5), "output": {"Status": "stopped"}}, None),
        ("over", {"pauses": [1], "migration": described("stopped", 5)}, None),
        ("over", {"pauses": [1], "migration": described("stopped", 20), "output": {"Status": "stopped"}}, "starting"),
        ("over", {"pauses": [1], "migration": described("stopped", 1)}, "of a migration that was stopped"),
        ("under way", {"starts": [], "migration": described("ready")}, "never called startReplicationTask"),
        ("under way", {"polls": [], "pauses": []}, "never called describeReplicationTasks"),
        ("under way", {"polls": [4, 5], "pauses": [3, 1]}, "It asked 2 times"),
        ("under way", {"pauses": [1]}, "With PollSeconds 3 in its input it waited 1.0 s"),
        ("over", {"pauses": [3]}, "With PollSeconds 1 in its input it waited 3.0 s"),
        ("under way", {"output": {"status": "running"}}, "The output has the key Status"),
        ("under way", {"output": "running"}, "The output has the key Status"),
        ("under way", {"output": {"Status": "stopped"}}, "of a migration that was starting or running"),
        ("under way", {"status": "RUNNING"}, "was still running"),
        ("under way", {"status": "FAILED", "error": "X"}, "ended FAILED (X)"),
        ("under way", {"events": asking('{"Values": ["own"]}')}, None),
        ("under way", {"events": asking("{}")}, "names neither the ARN of the replication task nor its identifier"),
        ("not told", {"status": "FAILED", "error": "Throttled"}, None),
        ("not told", {"status": "RUNNING"}, None),
        ("not told", {"migration": described("stopped", 1), "output": {"Status": "stopped"}}, None),
        ("not told", {"migration": described("stopped", 1)}, "'running', which DMS has not said"),
    ],
)
def test_poll(case, fields, words):
    usual = {"polls": [4], "pauses": [3], "output": {"Status": "running"}}
    said = refusal(Poll(), case, seen(Poll(), case, **{**usual, **fields}))
    assert said is None if words is None else words in said


def test_a_large_output_is_told():
    assert "has 9,000 bytes" in refusal(Poll(), "under way", large(Poll(), "under way", **POLL))


# -- loop --------------------------------------------------------------------------------------------------------------

BOUND = {"facts": {"TimeoutSeconds": float("inf")}, "starts": [0.5]}
RUNS_ON = {"status": "RUNNING", "polls": [2, 3, 4], "pauses": [2, 2, 2], **BOUND}
FINISHED = {"polls": [3], "pauses": [2], "migration": described(stopped=0.5, **ENDED), **BOUND}
FAILED = {
    "status": "FAILED",
    "error": "NotMigrated",
    "cause": MESSAGE,
    "polls": [2],
    "pauses": [1],
    "migration": described("failed", 1, LastFailureMessage=MESSAGE),
    **BOUND,
}
GAVE_UP = {"status": "FAILED", "error": "GaveUp", "cause": "Enough.", "polls": [2, 3], "pauses": [1, 1], **BOUND}
POLLED = (("Task", "Poll", *TASK), ("Task", "Poll", *TASK))
RAN_BEFORE, RAN_AGAIN = (described(stopped=1, **ENDED) for _ in range(2))
RAN_BEFORE["ReplicationTaskStats"]["StartDate"] = NOON - datetime.timedelta(hours=1)
RAN_AGAIN["ReplicationTaskStats"]["StartDate"] = NOON + datetime.timedelta(hours=1)


@pytest.mark.parametrize(
    "case, usual, fields, words",
    [
        ("under way", RUNS_ON, {}, None),
        ("under way", RUNS_ON, {"status": "FAILED"}, "While the migration still ran"),
        ("not begun", RUNS_ON, {"status": "FAILED", "polls": [2]}, "While the migration still ran"),
        ("under way", RUNS_ON, {"polls": [2], "pauses": [1]}, "did not ask a second time"),
        ("under way", RUNS_ON, {"pauses": [2, 3, 3]}, "it waited 3.0 s before it asked"),
        ("under way", RUNS_ON, {"pauses": [2, 1, 1]}, "it waited 1.0 s before it asked"),
        ("under way", RUNS_ON, {"pauses": [0, 2, 2]}, None),  # it may ask before it waits
        ("finished", FINISHED, {}, None),
        ("finished", FINISHED, {"status": "FAILED", "error": "NotMigrated"}, "when the load finished"),
        ("finished", FINISHED, {"migration": described(stopped=60, **ENDED)}, "while the migration still ran"),
        ("last poll", FINISHED, {"polls": [1, 3]}, None),
        ("last poll", GAVE_UP, {"migration": described(stopped=1, **ENDED)}, "by the last poll ended FAILED (GaveUp"),
        ("last poll", GAVE_UP, {"migration": described(stopped=9, **ENDED)}, None),  # it still ran when it was asked
        ("last poll", GAVE_UP, {"migration": described(stopped=1, **ENDED), "polls": [2]}, None),  # a bound of its own
        ("failed last poll", FAILED, {"polls": [1, 2, 3], "pauses": [1, 1, 1]}, None),
        ("failed last poll", FAILED, {"polls": [1, 2, 3], "pauses": [1, 1, 1], "cause": "No."}, "The cause is 'No.'"),
        ("error in a table", RUNS_ON, {"pauses": [1, 1, 1]}, None),
        ("error in a table", FAILED, {"polls": [2, 3, 4], "pauses": [1, 1, 1]}, None),
        ("error in a table", FAILED, {"polls": [2, 3], "pauses": [1, 1]}, "had an error ended FAILED"),
        ("error in a table", FAILED, {}, "had an error ended FAILED"),
        ("failed", FAILED, {}, None),
        ("failed", FAILED, {"status": "RUNNING"}, "ends FAILED soon after"),
        ("failed", FAILED, {"status": "SUCCEEDED"}, "'stopped' alone is not success"),
        ("failed", FAILED, {"cause": ""}, "It has an error and a cause"),
        ("failed", FAILED, {"error": "States.Runtime"}, "a decision of yours"),
        ("failed", FAILED, {"cause": "It failed."}, "LastFailureMessage"),
        ("two polls", GAVE_UP, {}, None),
        ("two polls", GAVE_UP, {"facts": {"TimeoutSeconds": 60}, "status": "RUNNING"}, None),
        ("two polls", GAVE_UP, {"facts": {"TimeoutSeconds": 31536000}, "status": "RUNNING"}, "was still running"),
        ("two polls", GAVE_UP, {"status": "SUCCEEDED"}, "of a migration that still ran ended SUCCEEDED"),
        ("two polls", GAVE_UP, {"status": "TIMED_OUT", "facts": {"TimeoutSeconds": 60}}, None),
        ("two polls", GAVE_UP, {"status": "SUCCEEDED", "facts": {"TimeoutSeconds": 60}}, "still ran ended SUCCEEDED"),
        ("two polls", GAVE_UP, {"cause": ""}, "It has an error and a cause"),
        ("four polls", GAVE_UP, {"error": "States.Runtime"}, "a decision of yours"),
        ("not told", GAVE_UP, {"status": "SUCCEEDED"}, "of a migration that still ran ended SUCCEEDED"),
        ("two polls", GAVE_UP, {"polls": [2, 3, 4], "pauses": [1, 1, 1]}, "it asked 3 times"),
        ("two polls", GAVE_UP, {"polls": [0.2, 2, 3]}, None),  # it may look how to start it
        ("four polls", GAVE_UP, {}, "it asked 2 times"),
        ("not told", GAVE_UP, {"visits": POLLED[:1]}, None),
        ("not told", GAVE_UP, {"visits": POLLED[:1], "status": "RUNNING"}, None),  # it tries its only poll again
        ("not told", GAVE_UP, {"visits": POLLED, "status": "RUNNING"}, "it came to its poll 2 times and was still"),
        ("not told", GAVE_UP, {"visits": POLLED, "status": "RUNNING", "facts": {"TimeoutSeconds": 60}}, None),
        ("ran before", FAILED, {"migration": RAN_BEFORE}, None),
        ("ran before", FAILED, {"migration": RAN_BEFORE, "status": "SUCCEEDED"}, "had finished was the run before"),
        ("ran before", FAILED, {"migration": RAN_AGAIN, "status": "SUCCEEDED"}, None),
    ],
)
def test_loop(case, usual, fields, words):
    said = refusal(Loop(), case, seen(Loop(), case, **{**usual, **fields}))
    assert said is None if words is None else words in said


@pytest.mark.parametrize(
    "case, pauses, words",
    [
        ("under way", [1, 2, 3, 3], None),
        ("under way", [0, 1, 2, 3], None),
        ("under way", [2, 3, 3, 3], "The first wait is PollSeconds"),
        ("under way", [1, 2, 4, 4], "No wait is longer"),
        ("under way", [1, 1, 1, 1], "The waits grow"),
        ("under way", [1, 2, 2, 2], "The waits grow"),
        ("another pace", [2, 3, 3], None),
        ("four polls", [1, 2, 3], "No wait is longer"),
        ("another pace", [1, 2, 3], "The first wait is PollSeconds"),
    ],
)
def test_backoff(case, pauses, words):
    record = seen(Backoff(), case, **{**RUNS_ON, "pauses": pauses})
    said = refusal(Backoff(), case, record)
    assert said is None if words is None else words in said


def large(exercise, case, **fields):
    """A record in which a state has an output of 9,000 bytes."""
    record = seen(exercise, case, **fields)
    left = next(event for event in record.events if event["type"] == "TaskStateExited")
    left["stateExitedEventDetails"]["output"] = "x" * 9000
    return record


POLL = {"polls": [4], "pauses": [3], "output": {"Status": "running"}}
REFUSED = {  # one of those that each sentence refuses: {exercise: {sentence: (case, record)}}
    Start: {
        "starts": ("takes long", seen(Start(), "takes long", migration=described("ready"))),
        "ends_at_once": ("is short", seen(Start(), "is short", status="RUNNING")),
    },
    Poll: {
        "starts": ("failed", seen(Poll(), "failed", **POLL, migration=described("ready"))),
        "waits_and_asks_once": ("under way", seen(Poll(), "under way", **{**POLL, "polls": [4, 5]})),
        "gives_the_status": ("under way", seen(Poll(), "under way", **{**POLL, "output": {}})),
        "keeps_little": ("under way", large(Poll(), "under way", **POLL)),
    },
    Loop: {
        "waits": ("stopped", seen(Loop(), "stopped", **{**FAILED, "polls": [2, 2], "pauses": [1, 0]})),
        "goes_on": ("not begun", seen(Loop(), "not begun", **{**RUNS_ON, "status": "FAILED"})),
        "succeeds": ("finished", seen(Loop(), "finished", **{**FINISHED, "status": "FAILED"})),
        "fails": ("set aside", seen(Loop(), "set aside", **{**FINISHED, "pauses": [1]})),
        "says_why": ("no file", seen(Loop(), "no file", **{**FAILED, "cause": "It failed."})),
        "has_a_bound": ("two polls", seen(Loop(), "two polls", **{**GAVE_UP, "status": "RUNNING"})),
        "keeps_little": ("asked often", large(Loop(), "asked often", **RUNS_ON)),
    },
    Cost: {
        "counts": ("yours", [Answered("an execution", 2, 3)]),
        "predicts": ("predicted", [Answered("predict(6000, 60)", None, (Shape((2, 9), (3, 9), False), 6000, 60))]),
    },
}
REFUSED[Backoff] = REFUSED[Loop] | {
    "waits": ("failed", seen(Backoff(), "failed", **{**FAILED, "pauses": [1]})),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_each_sentence_refuses_something_itself(kind):
    """And all of them are here."""
    exercise = kind()
    refused = [exercise.judge({case: record}).contract for case, record in REFUSED[kind].values()]
    assert sorted(refused) == sorted(sentence.text for sentence in exercise.contract)


def test_what_a_busy_machine_can_make_look_wrong_is_looked_at_again():
    class Looks(Backoff):
        cases = Backoff.cases
        looks = 0

        def observe(self, lab, draw, cases):
            self.looks += 1
            pauses = [1, 2, 4.5] if self.looks == 1 else [1, 2, 3]
            return {"under way": seen(self, "under way", **{**RUNS_ON, "pauses": pauses})}

    exercise = Looks()
    assert exercise.check(lab=None, seed=1) == Backoff.done
    assert exercise.looks == 2


# -- cost --------------------------------------------------------------------------------------------------------------


def test_counts():
    right = Answered("a history", 3, 3)
    assert Cost().judge({"known": [right]}) is None
    wrong = dataclasses.replace(right, said=2)
    assert "returns 2 for a history, where AWS bills 3" in refusal(Cost(), "drawn", [right, wrong])


SHAPE = Shape(once=(2, 9), each=(3, 9), asks_first=False)


@pytest.mark.parametrize(
    "said, words",
    [
        ((302, 909, 302 * 0.000025), None),
        ((305, 918, 305 * 0.000025), None),  # within one pass
        ((306, 909, 306 * 0.000025), "306 state transitions"),
        ((302, 919, 302 * 0.000025), "919 history events"),
        ((302, 909, 302 * 0.025), "USD"),
        (None, "It returns three numbers"),
        ((302, 909), "It returns three numbers"),
    ],
)
def test_predicts(said, words):
    outcome = refusal(Cost(), "predicted", [Answered("predict(6000, 60)", said, (SHAPE, 6000, 60))])
    assert outcome is None if words is None else words in outcome
