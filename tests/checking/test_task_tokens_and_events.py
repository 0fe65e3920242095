"""What the exercises of lab 02 say of records: for each sentence of a contract one that keeps it, and some that do not.

No account is needed: judging looks at nothing but the record.
"""

import dataclasses
import datetime
import json
import math
from decimal import Decimal

import pytest

from workshop.checking.counting import made_up
from workshop.checking.dms_events import MUST_MATCH, MUST_NOT_MATCH
from workshop.checking.executions import Execution
from workshop.checking.exercises import Fault
from workshop.checks.task_tokens_and_events import EXERCISES
from workshop.checks.task_tokens_and_events import resume_scenes as resuming
from workshop.checks.task_tokens_and_events import start_scenes as starting
from workshop.checks.task_tokens_and_events.decide import Measured
from workshop.checks.task_tokens_and_events.reconcile_scenes import Rounds
from workshop.checks.task_tokens_and_events.resume_scenes import Answers, Told
from workshop.checks.task_tokens_and_events.start_scenes import Attempt, Came, Starts, Stood, Story, Trouble

START, MIGRATE, RULE, RESUME, RECONCILE, DECIDE = EXERCISES.values()
NEW, RUNS, OVER, RAN = Stood("ready", ""), Stood("running", "1"), Stood("stopped", "1"), Stood("stopped", "0")


def said(exercise, sentence, record):
    """What a sentence says of a record, as one text; "" where it is kept."""
    fault = getattr(exercise, sentence)(record)
    return f"{fault.observed} {fault.missing or ''}" if isinstance(fault, Fault) else fault or ""


def came(error=None, before=NEW, after=RUNS, token="t1", item=None, **sent):
    """One invocation of `start` that did as it should, but for what is said."""
    event = {"TaskToken": token, "Execution": "arn:1", "TimeoutSeconds": 60, **sent}
    own = {"TaskToken": token, "Execution": event["Execution"], "CreatedAt": 100, "ExpiresAt": 160}
    kept = {**own, "StartedBefore": before.run} if item is None else item
    return Came("Somebody came", event, error, 100, 101, before, after, kept)


def starts(*invocations, **more):
    return Starts("a case", invocations, **more)


ITEM = came().item
AGAIN = came(before=RUNS, item=ITEM)
RETRIED = came(before=RUNS, token="t2", item={**ITEM, "TaskToken": "t2"})
DIED = came(error="Runtime.ExitError", after=NEW)
KILLED_BETWEEN = dataclasses.replace(RETRIED, error="Runtime.ExitError", item={})
WAS = {"was": ITEM}
BOTH = START.cases["two find it expired"].about
TWO = SAME = {"item": ITEM, "stood": RUNS}
REFUSED = came(error="InvalidResourceStateFault: it runs", before=RUNS, item={})
OLD = {**ITEM, "CreatedAt": 5, "ExpiresAt": 105}  # it has grown older before another one came

STARTS = [
    ("saves_and_starts", starts(came()), ""),
    ("saves_and_starts", starts(came(before=RAN)), ""),
    ("saves_and_starts", starts(came(error="KeyError: 'x'")), "raised KeyError"),
    ("saves_and_starts", starts(came(item={})), "no item of it"),
    ("saves_and_starts", starts(came(after=NEW)), "was not started"),
    ("saves_and_starts", starts(came(), saved_in_time=False), "not in the table yet"),
    ("saves_and_starts", starts(came(item={**ITEM, "TaskToken": "t"})), "The TaskToken in the item"),
    ("saves_and_starts", starts(came(item={**ITEM, "Execution": "1"})), "The Execution in the item"),
    ("saves_and_starts", starts(came(item={"TaskToken": "t1"})), "has no Execution, CreatedAt"),
    ("saves_and_starts", starts(came(item={**ITEM, "ExpiresAt": 3700})), "expires when the token does"),
    ("saves_and_starts", starts(came(item={**ITEM, "CreatedAt": 5, "ExpiresAt": 65})), "Both are seconds since 1970"),
    ("saves_and_starts", starts(came(item={**ITEM, "CreatedAt": "noon"})), "Both are seconds since 1970"),
    ("saves_and_starts", starts(came(item={**ITEM, "CreatedAt": "100"})), "CreatedAt '100' and ExpiresAt 160"),
    ("saves_and_starts", starts(came(before=RAN, item=ITEM)), "StartedBefore is ''"),
    ("takes_the_same_token_once", starts(came(), AGAIN, facts=WAS), ""),
    ("takes_the_same_token_once", starts(came(), came(before=OVER, after=OVER, item=ITEM), facts=WAS), ""),
    ("takes_the_same_token_once", starts(came(), came(error="Busy: it runs", item=ITEM), facts=WAS), "raised Busy"),
    ("takes_the_same_token_once", starts(came(), came(before=RUNS, item={}), facts=WAS), "the item was changed"),
    ("takes_the_same_token_once", starts(came(), came(before=OVER, item=ITEM), facts=WAS), "started a second time"),
    ("takes_the_same_token_once", starts(came(), came(error="Busy"), facts=SAME), ""),
    ("takes_the_same_token_once", starts(came(error="Busy"), came(), facts={**SAME, "item": {}}), "no item of it"),
    ("takes_the_same_token_once", starts(came(), came(), facts={**SAME, "item": {"TaskToken": "t"}}), "another token"),
    ("takes_the_same_token_once", starts(came(), came(), facts={**SAME, "stood": NEW}), "did not run"),
    ("takes_the_same_token_once", starts(came(error="B"), came(error="B"), facts=SAME), "One of the two gets to start"),
    ("takes_a_new_token", starts(came(), RETRIED), ""),
    ("takes_a_new_token", starts(came(), AGAIN), ""),
    ("takes_a_new_token", starts(came(), came(error="Busy", token="t2")), "raised Busy"),
    ("takes_a_new_token", starts(came(), came(before=RUNS, token="t2", item=ITEM)), "the token of that attempt"),
    ("takes_a_new_token", starts(came(), came(before=RUNS, token="t2")), "StartedBefore changed from '' to '1'"),
    ("takes_a_new_token", starts(came(), dataclasses.replace(RETRIED, before=OVER)), "started a second time"),
    ("takes_a_new_token", starts(DIED, RETRIED, facts={"killed": 1}), ""),
    (
        "takes_a_new_token",
        starts(came(), KILLED_BETWEEN, came(before=RUNS, token="t3", item={**ITEM, "TaskToken": "t3"})),
        "",
    ),
    ("takes_a_new_token", starts(came(), KILLED_BETWEEN, came(before=OVER, token="t3")), "changed from '' to '1'"),
    (
        "takes_a_new_token",
        starts(came(), dataclasses.replace(RETRIED, item={**RETRIED.item, "CreatedAt": 5, "ExpiresAt": 65})),
        "With TimeoutSeconds 60, at 100, the item has CreatedAt 5 and ExpiresAt 65",
    ),
    ("leaves_the_newest_token", starts(RETRIED, dataclasses.replace(RETRIED, sent=came().sent), newest="t2"), ""),
    ("leaves_the_newest_token", starts(came(error="AccessDenied", item=RETRIED.item), RETRIED, newest="t2"), ""),
    ("leaves_the_newest_token", starts(RETRIED, came(), newest="t2"), "the token of that attempt"),
    ("leaves_the_newest_token", starts(RETRIED, came(item={}), newest="t2"), "no item of it any more"),
    (
        "leaves_the_newest_token",
        starts(came(error="AccessDenied", item={}), dataclasses.replace(RETRIED, item={}), newest="t2"),
        "no item of it any more",
    ),
    ("starts_what_was_only_saved", starts(DIED, came(), facts={"killed": 1}), ""),
    ("starts_what_was_only_saved", starts(came(), AGAIN, facts={"killed": 0}), "put nothing into the table"),
    ("starts_what_was_only_saved", starts(DIED, came(after=NEW), facts={"killed": 1}), "was not started"),
    ("starts_what_was_only_saved", starts(DIED, came(error="Busy"), facts={"killed": 1}), "raised Busy"),
    ("starts_what_was_only_saved", starts(came(error="Exit"), AGAIN, facts={"killed": 1}), "ran already"),
    ("starts_what_was_only_saved", starts(DIED, came(token="t2", item=ITEM), facts={"killed": 1}), "that attempt"),
    ("starts_what_was_only_saved", starts(DIED, came(before=RAN), facts={"killed": 1}), "StartedBefore is '0'"),
    ("refuses_another", starts(came(), came(error="Busy", before=RUNS, token="t2", item=OLD), facts={"was": OLD}), ""),
    ("refuses_another", starts(came(), came(before=RUNS, token="t2"), facts={"was": OLD}), "is not overwritten"),
    ("refuses_another", starts(came(), came(error="Busy", before=RUNS, token="t2"), facts={"was": OLD}), "stays"),
    (
        "refuses_another",
        starts(came(), came(error="B", before=OVER, token="t2", item=OLD), facts={"was": OLD}),
        "was started again",
    ),
    ("refuses_another", starts(came(), came(error="Busy", token="t2"), facts=TWO), ""),
    ("refuses_another", starts(came(), came(token="t2"), facts=TWO), "One of the two is refused"),
    ("refuses_another", starts(came(error="B"), came(error="B"), facts=TWO), "One of the two gets to start"),
    ("refuses_another", starts(came(error="B"), came(token="t2"), facts=TWO), "its token, not that of the other"),
    ("refuses_another", dataclasses.replace(starts(came(error="B"), came(error="B"), facts=TWO), about=BOTH), ""),
    ("replaces_what_expired", starts(came(error="B"), came(error="B"), facts=TWO), "One of the two gets to start"),
    ("replaces_what_expired", starts(came(before=RAN)), ""),
    ("replaces_what_expired", starts(came(before=RAN, error="Conditional")), "raised Conditional"),
    ("replaces_what_expired", starts(came(before=RAN, item={})), "was not replaced"),
    ("replaces_what_expired", starts(came(before=RAN, after=RAN)), "was not started"),
    ("replaces_what_expired", starts(came(before=RAN, item=ITEM)), "StartedBefore is ''"),
    (
        "replaces_what_expired",
        starts(came(before=RAN, item={**ITEM, "StartedBefore": "0", "ExpiresAt": 50})),
        "The item expires when the token does",
    ),
    ("fails_with_the_start", starts(REFUSED, came()), ""),
    ("fails_with_the_start", starts(came(before=RUNS), came()), "ended without an error"),
    ("fails_with_the_start", starts(came(error="Own: no", item={}), came()), "It raises the error that DMS returned"),
    ("fails_with_the_start", starts(REFUSED, came(), facts={"code": "AccessDeniedFault"}), "AccessDeniedFault"),
    ("fails_with_the_start", starts(dataclasses.replace(REFUSED, item=ITEM), came()), "its item stayed"),
    ("fails_with_the_start", starts(REFUSED, came(error="Busy")), "stands in nobody's way"),
    ("fails_with_the_start", starts(REFUSED, came(after=NEW)), "was not started"),
    ("stands_a_lost_answer", starts(came()), ""),
    ("stands_a_lost_answer", starts(came(after=OVER)), ""),
    ("stands_a_lost_answer", starts(came(error="ConnectionClosedError")), "raised ConnectionClosedError"),
    ("stands_a_lost_answer", starts(came(item={})), "no item of it"),
    ("stands_a_lost_answer", starts(came(after=NEW)), "was not started"),
]


def story(*attempts):
    """attempts: (what went wrong, what came of it), each of which met it. The other execution's token is t9."""
    return Story(
        "two troubles",
        [
            Attempt(Trouble(what), seen, what != starting.CLEAN, other=seen.sent["TaskToken"] == "t9")
            for what, seen in attempts
        ],
    )


KILLED, KILLED_LATER = "Runtime.ExitError: killed", came(error="Runtime.ExitError: killed")
SAVED = (starting.DIES_SAVED, came(error=KILLED, after=NEW))
STARTED = (starting.DIES_STARTED, KILLED_LATER)
GONE = (starting.REFUSED, came(error="AccessDeniedFault: no", after=NEW, item={}))
OTHER = came(error="Busy", after=NEW, token="t9", item=ITEM)
WELL = came(token="t2", item={**ITEM, "TaskToken": "t2"})
IT_RUNS = dataclasses.replace(WELL, before=RUNS)
CLEAN, LOST, ANOTHER = starting.CLEAN, starting.LOST, starting.ANOTHER

STORIES = [
    (None, story(SAVED, (ANOTHER, OTHER), (CLEAN, WELL)), ""),
    (None, story(STARTED, (starting.REFUSED, IT_RUNS), (CLEAN, came(error="?"))), ""),  # nobody says what is right
    (
        None,
        story(GONE, (ANOTHER, came(token="t9")), (CLEAN, came(error="Busy", before=RUNS, item=came(token="t9").item))),
        "",
    ),
    (
        None,
        story((LOST, came()), (SAVED[0], dataclasses.replace(SAVED[1], before=RUNS, after=RUNS)), (CLEAN, IT_RUNS)),
        "",
    ),
    (None, story(GONE, GONE, (CLEAN, WELL)), ""),
    ("refuses_another", story(SAVED, (ANOTHER, came(token="t9")), (CLEAN, WELL)), "and the migration was started"),
    ("refuses_another", story(SAVED, (ANOTHER, dataclasses.replace(OTHER, item={})), (CLEAN, WELL)), "no longer"),
    (
        "takes_a_new_token",
        story(STARTED, (LOST, dataclasses.replace(WELL, before=OVER)), (CLEAN, IT_RUNS)),
        "second time",
    ),
    (
        "starts_what_was_only_saved",
        story(SAVED, SAVED, (CLEAN, dataclasses.replace(WELL, after=NEW))),
        "was not started",
    ),
    ("starts_what_was_only_saved", story(SAVED, SAVED, (CLEAN, came(error="Busy"))), "raised Busy"),
    (
        "starts_what_was_only_saved",
        story(SAVED, STARTED, (CLEAN, dataclasses.replace(IT_RUNS, item=ITEM))),
        "its token",
    ),
    ("starts_what_was_only_saved", story(SAVED, STARTED, (CLEAN, came(before=RUNS))), "StartedBefore is '1', not ''"),
    ("starts_what_was_only_saved", story((starting.DIES_SAVED, KILLED_LATER), SAVED, (CLEAN, WELL)), "ran already"),
    ("fails_with_the_start", story(SAVED, (GONE[0], came(after=NEW)), (CLEAN, WELL)), "ended without an error"),
    ("fails_with_the_start", story(SAVED, (GONE[0], came(error="Own", after=NEW, item={})), (CLEAN, WELL)), "Own"),
    (
        "fails_with_the_start",
        story((GONE[0], came(error="AccessDeniedFault", after=NEW)), SAVED, (CLEAN, WELL)),
        "stayed",
    ),
    ("stands_a_lost_answer", story(SAVED, (LOST, came(error="Closed")), (CLEAN, IT_RUNS)), "raised Closed"),
    ("stands_a_lost_answer", story(GONE, (LOST, came(item={})), (CLEAN, IT_RUNS)), "its token is not in the table"),
]


@pytest.mark.parametrize("sentence, record, words", STORIES)
def test_stories_of_two_troubles(sentence, record, words):
    """One sentence says what is wrong, and no other."""
    found = {name: said(START, name, record) for name in judges_of(START, "pair")}
    assert [name for name, text in found.items() if text] == ([sentence] if sentence else [])
    assert words in found.get(sentence, "")


@pytest.mark.parametrize("sentence, record, words", STARTS)
def test_start(sentence, record, words):
    judged(START, sentence, record, words)


def judged(exercise, sentence, record, words):
    text = said(exercise, sentence, record)
    assert words in text and bool(text) == bool(words), text


def ended(status="SUCCEEDED", seconds=1.0, attempts=1, bounds=(), **more):
    """An execution of `migrate` that ended like this. bounds: for how long its state would have waited."""
    work = [*["TaskScheduled"] * attempts, *["TaskTimedOut"] * (more.get("error") == "MigrationTimedOut")]
    events = made_up(("Task", "Migrate", *work), ("Succeed", "Migrated"))
    for event in events:
        if event["type"] == "TaskScheduled":
            event["taskScheduledEventDetails"] = {"resource": "invoke.waitForTaskToken", **dict(bounds)}
    events[-1]["timestamp"] = events[0]["timestamp"] + datetime.timedelta(seconds=seconds)
    facts = {"token": "t", "item": {"Execution": "arn:1", "ExpiresAt": 160}, "refused": "", "answer": {"Rows": 3}}
    facts |= {"right": {"Execution": "arn:1", "ExpiresAt": 160}, "cause": "Last Error", "when": "it failed"}
    facts |= {"failure": "Lambda.ServiceException", "TimeoutSeconds": math.inf, **more.pop("facts", {})}
    input = {"TimeoutSeconds": more.pop("timeout", 60)}
    return Execution("a migration", input=input, status=status, events=events, facts=facts, **more)


LATE = {"status": "FAILED", "error": "MigrationTimedOut", "timeout": 4, "seconds": 4.2, "facts": {"answer": None}}
MACHINES = [
    ("waits_for_the_answer", ended(), ""),
    ("waits_for_the_answer", ended("FAILED", facts={"token": ""}), "no token of it"),
    ("waits_for_the_answer", ended("RUNNING", facts={"refused": "InvalidToken"}), "does not know the token"),
    ("waits_for_the_answer", ended("RUNNING", facts={"refused": "InvalidToken", "token": {"T": 1}}), "got: \"{'T': 1}"),
    ("waits_for_the_answer", ended(facts={"refused": "InvalidToken"}), "before anybody had answered"),
    ("waits_for_the_answer", ended(facts={"refused": "it had ended"}), "before anybody had answered"),
    ("waits_for_the_answer", ended(facts={"item": {"Execution": "1", "ExpiresAt": 160}}), "says Execution '1'"),
    ("waits_for_the_answer", ended(facts={"item": {"Execution": "arn:1", "ExpiresAt": 9}}), "says ExpiresAt 9"),
    ("succeeds", ended(output={"Rows": 3}), ""),
    ("succeeds", ended("FAILED"), "It ends SUCCEEDED"),
    ("succeeds", ended(output={}), "its output is {}"),
    ("fails", ended("FAILED", cause="So it was: Last Error"), ""),
    ("fails", ended(), "It ends FAILED"),
    ("fails", ended("FAILED", cause="no"), "Its cause contains the cause of the failure"),
    ("fails", ended("FAILED", error="MigrationTimedOut", cause="Last Error"), "for a wait that timed out"),
    ("fails", ended("RUNNING", attempts=2), "was tried again"),
    ("times_out", ended(**LATE), ""),
    ("times_out", ended(**{**LATE, "status": "RUNNING"}), "still running"),
    ("times_out", ended(**{**LATE, "error": "States.Timeout"}), "with the error MigrationTimedOut"),
    ("times_out", ended(**{**LATE, "seconds": 2.1}), "ended after 2.1 s"),
    ("times_out", ended(**{**LATE, "seconds": 8.0}), "ended after 8.0 s"),
    ("times_out", ended(**LATE, bounds={"timeoutInSeconds": 4}), ""),
    ("times_out", ended(**LATE, bounds={"timeoutInSeconds": 5}), "waited with a limit of 5 s"),
    ("times_out", ended(**LATE, bounds={"timeoutInSeconds": 86400, "heartbeatInSeconds": 4}), ""),
    ("times_out", ended(**LATE, bounds={"timeoutInSeconds": 86400, "heartbeatInSeconds": 5}), "a limit of 5 s"),
    ("times_out", ended(bounds={"timeoutInSeconds": 60}), ""),
    ("times_out", ended(facts={"TimeoutSeconds": 60}), ""),
    ("times_out", ended(facts={"TimeoutSeconds": 50}), "the state machine as a whole has TimeoutSeconds 50"),
    ("times_out", ended(bounds={"timeoutInSeconds": 50}), "waited with TimeoutSeconds 50"),
    ("times_out", ended(bounds={"timeoutInSeconds": 60, "heartbeatInSeconds": 9}), "given up after 9 s"),
    ("tries_again", ended(attempts=2), ""),
    ("tries_again", ended("FAILED"), "Lambda failed once (Lambda.ServiceException)"),
    ("tries_again", ended("RUNNING", attempts=2), "when the token of the last attempt is answered"),
]


@pytest.mark.parametrize("sentence, record, words", MACHINES)
def test_migrate(sentence, record, words):
    judged(MIGRATE, sentence, record, words)


@pytest.mark.parametrize("error, told", [("KeyError", "KeyError: 'Rows'"), ("Failed", "Failed: KeyError: 'Rows'")])
def test_migrate_tells_of_the_error_of_start_by_its_line(error, told):
    """Step Functions has the whole traceback in the cause: the learner's own line is what says something."""
    frames = [
        '  File "/var/task/start.py", line 9, in handler\n    rows = event["Rows"]\n',
        '  File "/var/lang/lib/python3.13/x.py", line 1, in y\n    raise\n',
    ]
    cause = json.dumps({"errorMessage": "'Rows'", "errorType": "KeyError", "requestId": "1", "stackTrace": frames})
    text = said(MIGRATE, "fails", ended("FAILED", error=error, cause=cause))
    assert f'ended FAILED ({told} (start.py, line 9: rows = event["Rows"]))' in text


def matched(samples, but=None):
    """What a pattern said of samples; but: the one of which it says the opposite."""
    right = samples is MUST_MATCH
    return [(what, event, right != (what == but)) for what, event in samples]


DELIVERED = {"state": "ENABLED", "targets": ["arn"], "is a target": True, "invoked": True, "function": "resume"}
DELIVERED |= {"changed by": [""]}
RULES = [
    ("matches_ends", matched(MUST_MATCH), ""),
    ("matches_ends", matched(MUST_MATCH, but="a task that failed"), "does not match a task that failed"),
    ("matches_nothing_else", matched(MUST_NOT_MATCH), ""),
    ("matches_nothing_else", matched(MUST_NOT_MATCH, but="a task that was started"), "matches a task that was"),
    ("delivers", DELIVERED, ""),
    ("delivers", {**DELIVERED, "state": "DISABLED"}, "switched off"),
    ("delivers", {**DELIVERED, "is a target": False, "targets": []}, "The targets of the rule are none"),
    ("delivers", {**DELIVERED, "changed by": ["InputPath"]}, "has an InputPath"),
    ("delivers", {**DELIVERED, "changed by": ["", "Input"]}, ""),
    ("delivers", {**DELIVERED, "invoked": False}, "was not invoked"),
]


@pytest.mark.parametrize("sentence, record, words", RULES)
def test_rule(sentence, record, words):
    judged(RULE, sentence, record, words)


GOOD = Execution("it", status="SUCCEEDED", output={"ReplicationTaskArn": "arn:task"})
BAD = Execution("it", status="FAILED", error="MigrationFailed", cause="It says: bad row")
WAITS = Execution("it")


STAYS = {"TaskToken": "t"}


def told(execution=GOOD, error=None, item=None):
    return Told("Its event came", error, execution, item or {})


def answers(*events, case="finished", **facts):
    migration = {"ReplicationTaskArn": "arn:task", "LastFailureMessage": "bad row", "Status": "failed"}
    return Answers(RESUME.cases[case].about, events, migration, facts)


def test_a_refusal_of_start_shows_the_last_event_and_the_item_after_each():
    first, again = came(token="AQCEAAAAKgAAAAMA"), came(token="AQCEAAAAKgAAAAMA", item={"CreatedAt": Decimal("5.5")})
    assert starting.lines_of([first]) == [
        'the event: {"TaskToken": "AQCEAAAA…", "Execution": "arn:1", "TimeoutSeconds": 60}',
        'the item after it: {"TaskToken": "AQCEAAAA…", "Execution": "arn:1", "CreatedAt": 100, "ExpiresAt": 160, '
        '"StartedBefore": ""}',
    ]
    assert starting.lines_of([first, again])[2] == 'the item after invocation 2: {"CreatedAt": 5.5}'
    assert starting.lines_of([first, came(item={})])[2] == "after invocation 2 there was no item"
    assert starting.lines_of([]) == []


def test_a_refusal_of_resume_shows_the_line_that_raised_the_event_and_the_item():
    item = {"TaskToken": "AQCEAAAAKgAAAAMAAAAA", "CreatedAt": Decimal(5)}
    one = Told(
        "Its event came", "KeyError: 'x'.", WAITS, item, " (answer.py, line 9: item['x'])", {"source": "aws.dms"}
    )
    assert str(one) == "Its event came, and the function raised KeyError: 'x' (answer.py, line 9: item['x'])"
    assert one.lines() == [
        'the event: {"source": "aws.dms"}',
        'the item after it: {"TaskToken": "AQCEAAAA…", "CreatedAt": 5}',
    ]
    assert told().lines()[1] == "after it there was no item"


RESUMES = [
    ("tells_success", answers(told()), ""),
    ("tells_success", answers(told(error="KeyError: 'x'")), "raised KeyError"),
    ("tells_success", answers(told(WAITS)), "was not answered"),
    ("tells_success", answers(told(BAD)), "ended FAILED"),
    ("tells_success", answers(told(dataclasses.replace(GOOD, output="done"))), 'is "done"'),
    ("tells_success", answers(told(dataclasses.replace(GOOD, output={"ReplicationTaskArn": "x"}))), "The output"),
    ("tells_failure", answers(told(BAD)), ""),
    ("tells_failure", answers(told(WAITS)), "was not answered"),
    ("tells_failure", answers(told(GOOD)), "The answer is a failure"),
    ("tells_failure", answers(told(dataclasses.replace(BAD, error="Failed"))), "The error is MigrationFailed"),
    ("tells_failure", answers(told(dataclasses.replace(BAD, cause="failed"))), "LastFailureMessage"),
    ("tells_failure", answers(told(BAD, item=STAYS), case="old event"), ""),
    ("tells_failure", answers(told(WAITS, item=STAYS), told(WAITS), case="old event"), "was not answered"),
    ("answers_nobody_too_early", answers(told(WAITS, item=STAYS)), ""),
    ("answers_nobody_too_early", answers(told(BAD, item=STAYS)), "ended FAILED"),
    ("answers_nobody_too_early", answers(told(WAITS)), "the item was gone"),
    ("looks_again", answers(told(), case="not told yet"), ""),
    ("looks_again", answers(told(WAITS), case="not told yet"), "was not answered"),
    ("looks_again", answers(told(error="Still: x"), case="not told twice"), "raised Still"),
    ("looks_again", answers(told(WAITS, error="Still: x"), case="runs on"), ""),
    ("looks_again", answers(told(WAITS), case="runs on"), "there will be no other event"),
    ("looks_again", answers(told(WAITS, error="Still: x"), case="runs on", looks=[1.0, 2.0, 3.1]), ""),
    (
        "looks_again",
        answers(told(WAITS, error="Still: x"), case="runs on", looks=[1.0, 1.1, 1.3]),
        "3 times within 0.3",
    ),
    ("looks_again", answers(told(WAITS, error="Task timed out after 10 s"), case="runs on"), "its own time is over"),
    ("looks_again", answers(told(WAITS), case="old event"), ""),
    ("looks_again", answers(told(WAITS, error="Still: x"), case="old event"), "raised Still"),
    ("raises_what_is_a_fault", answers(told(WAITS, "Denied: x", STAYS), told(BAD), case="failure refused"), ""),
    ("raises_what_is_a_fault", answers(told(WAITS, None, {}), told(WAITS), case="failure refused"), "without an error"),
    ("raises_what_is_a_fault", answers(told(WAITS, "Exit: x"), told(WAITS), case="failure and died"), "was gone"),
    ("takes_a_closed_token", answers(told()), ""),
    ("takes_a_closed_token", answers(told(error="TaskTimedOut: x")), "raised TaskTimedOut"),
    ("raises_what_is_a_fault", answers(told(WAITS, "InvalidToken: x", STAYS)), ""),
    ("raises_what_is_a_fault", answers(told(WAITS, None, STAYS)), "ended without an error"),
    ("raises_what_is_a_fault", answers(told(WAITS, "InvalidToken: x")), "the item was gone"),
    ("raises_what_is_a_fault", answers(told(WAITS, "Denied: x", STAYS), told(WAITS)), "was not answered"),
    ("raises_what_is_a_fault", answers(told(WAITS, "A: x", STAYS), told(WAITS), told()), "ended without an error"),
    ("raises_what_is_a_fault", answers(told(GOOD), told(GOOD), met=[0]), ""),
    ("forgets", answers(told()), ""),
    ("forgets", answers(told(item=STAYS)), "the item was still there"),
    ("forgets", answers(told(WAITS, item=STAYS), newest="t"), ""),
    ("forgets", answers(told(WAITS), newest="t"), "no item any more"),
    ("forgets", answers(told(GOOD), newest="t"), ""),
    ("forgets", answers(told(WAITS, item={"TaskToken": "old"}), newest="t"), "another token"),
    ("ends_executions", dataclasses.replace(GOOD, migration={"Status": "stopped"}), ""),
    ("ends_executions", dataclasses.replace(GOOD, migration={"Status": "failed"}), "It ends FAILED"),
    ("ends_executions", dataclasses.replace(WAITS, migration={"Status": "stopped"}), "It ends SUCCEEDED"),
    (
        "ends_executions",
        dataclasses.replace(BAD, migration={"Status": "failed", "LastFailureMessage": "another"}),
        "DMS's message",
    ),
]


@pytest.mark.parametrize("sentence, record, words", RESUMES)
def test_resume(sentence, record, words):
    judged(RESUME, sentence, record, words)


def deliveries(*those, failed=False):
    """those: (what went wrong, what came of it), each of which met it."""
    what = [resuming.Delivery(resuming.Trouble(what), seen, what != resuming.CLEAN) for what, seen in those]
    return resuming.Story("two troubles", what, failed)


DIED, KILLED_AFTER = told(WAITS, "Runtime.ExitError: x", STAYS), told(GOOD, "Runtime.ExitError: x", STAYS)
NOTHING, OF_RUNS = resuming.CLEAN, told(dataclasses.replace(BAD, error="Other"))
DELIVERIES = [  # what, the sentence that is broken, words
    (deliveries((resuming.DIES_BEFORE, DIED), (resuming.DIES_AFTER, KILLED_AFTER), (NOTHING, told())), None, ""),
    (deliveries((resuming.LOST, told(GOOD, "Closed: x", STAYS)), (NOTHING, told())), None, ""),
    (deliveries((resuming.LOST, told()), (NOTHING, told(GOOD, "LookupError: nobody waits"))), None, ""),
    (deliveries((resuming.UNDER_WAY, told(BAD)), (NOTHING, told(BAD)), failed=True), None, ""),
    (deliveries((resuming.REFUSED, told(WAITS, "Denied: x", STAYS)), (NOTHING, told(BAD))), "tells_success", "FAILED"),
    (deliveries((resuming.RETRIED, told(WAITS, item=STAYS))), "tells_success", "was not answered"),
    (deliveries((resuming.RETRIED, told(WAITS, "Other: x", STAYS))), "tells_success", "raised Other"),
    (deliveries((NOTHING, OF_RUNS), failed=True), "tells_failure", "ended FAILED (Other"),
    (
        deliveries((resuming.DIES_AFTER, KILLED_AFTER), (NOTHING, told(GOOD, "T: x", STAYS))),
        "takes_a_closed_token",
        "T:",
    ),
    (deliveries((resuming.LOST, told(GOOD, "TaskTimedOut: x", STAYS))), "takes_a_closed_token", "TaskTimedOut"),
    (deliveries((resuming.REFUSED, told(WAITS, item=STAYS))), "raises_what_is_a_fault", "was not answered"),
    (deliveries((resuming.REFUSED, told(GOOD, item=STAYS))), "raises_what_is_a_fault", "ended without an error"),
    (deliveries((resuming.DIES_BEFORE, told(WAITS, "Exit: x"))), "raises_what_is_a_fault", "the item was gone"),
    (deliveries((NOTHING, told(item=STAYS))), "forgets", "was still there"),
]


@pytest.mark.parametrize("record, sentence, words", DELIVERIES)
def test_stories_of_one_event(record, sentence, words):
    """One sentence says what is wrong, and no other."""
    case = "another pair" if record.failed else "pair"
    found = {name: said(RESUME, name, record) for name in judges_of(RESUME, case)}
    assert [name for name, text in found.items() if text] == ([sentence] if sentence else [])
    assert words in found.get(sentence, "")


def judges_of(exercise, case):
    return [each.judge.__name__ for each in exercise.contract if case in each.cases]


def rounds(case="finished", age=600, errors=(), item=None, killed=False, **after):
    """What was seen of one who waits; after: how its execution stood after a round, where it did not wait."""
    ages = {"cut_off": 0, "next": 0, "alone": 0, "too_young": 1200, "due": 300, "last": 0}
    named = {round.replace("_", " "): after.get(round, WAITS) for round in ages}
    raised = {**dict.fromkeys(named), **dict(errors)}
    about = RECONCILE.cases[case].about
    ages = {round.replace("_", " "): seconds for round, seconds in ages.items()}
    says = {"LastFailureMessage": "bad row"} if "failed" in about else {}
    return Rounds(about, named, raised, ages, age, item or {}, says, killed)


ALL = {"due": GOOD, "last": GOOD}
RECONCILES = [
    ("leaves_the_young", rounds(**ALL), ""),
    ("leaves_the_young", rounds(too_young=GOOD, **ALL), "had waited for 600 seconds"),
    ("leaves_the_young", rounds("young", age=0, **ALL), "had waited for a few seconds"),
    ("is_patient", rounds("under way", item=STAYS), ""),
    ("is_patient", rounds("under way", item=STAYS, last=BAD), "ended FAILED"),
    ("is_patient", rounds("not begun", item=STAYS, errors={"alone": "Under: way"}), "raised Under: way"),
    ("is_patient", rounds("under way"), "was gone"),
    ("answers_all", rounds("set aside", due=BAD, last=BAD), ""),
    ("answers_all", rounds("set aside", due=GOOD, last=GOOD), "It ends FAILED"),
    ("answers_all", rounds("set aside", last=BAD, errors={"due": "KeyError: 'x'"}), "The function raised KeyError"),
    ("answers_all", rounds("set aside", due=BAD, last=BAD, item=STAYS), "its item was still there"),
    ("answers_all", rounds("cut off", next=GOOD, killed=True), ""),
    (
        "answers_all",
        rounds("cut off", last=GOOD, killed=True),
        "killed just before its first answer (fault: kill), and",
    ),
    ("answers_all", rounds("cut off", errors={"next": "KeyError: 'x'"}), "The function raised KeyError"),
    ("answers_all", rounds("cut off", next=GOOD, killed=True, item=STAYS), "its item was still there"),
    ("goes_on", rounds("young", last=GOOD), ""),
    ("goes_on", rounds("young"), "does not keep it from the others"),
    ("goes_on", rounds("stopped", last=BAD), ""),
    ("goes_on", rounds("stopped", item=STAYS), "the item was still there"),
    ("goes_on", rounds("refused", item=STAYS), ""),
    ("goes_on", rounds("refused"), "had lost its item"),
]


@pytest.mark.parametrize("sentence, record, words", RECONCILES)
def test_reconcile(sentence, record, words):
    judged(RECONCILE, sentence, record, words)


def measured(*said, late=1.5):
    return [Measured("a history", said, 4, late)]


DECISIONS = {"A": False, "B": True, "C": False, "D": True}
DECIDES = [
    ("measures", measured(4, 0.1, 1.5), ""),
    ("measures", measured(4, 0.1), "It returns three numbers"),
    ("measures", measured(3, 0.1, 1.5), "retries counted"),
    ("measures", measured(4, 0.0001, 1.5), "1,000 migrations"),
    ("measures", measured(4, 0.1001, 1.5), "1,000 migrations"),
    ("measures", measured(4, 0.1, -1.5), "measure returns -1.5"),
    ("measures", measured(4, 0.1, -2.5, late=-2.5), ""),
    ("measures", measured(4, 0.1, 0, late=-2.5), "The job ended 2.5 s after the execution did"),
    ("measures", measured(4, 0.1, 3600.5, late=90_000.5), "ended 90000.5 s before the execution did"),
    ("decides", DECISIONS, ""),
    ("decides", {**DECISIONS, "D": False}, "3 of 4"),
    ("decides", [False, True, False, True], "It is a dict with the keys"),
]


@pytest.mark.parametrize("sentence, record, words", DECIDES)
def test_decide(sentence, record, words):
    judged(DECIDE, sentence, record, words)


def test_every_sentence_is_tried_both_ways():
    tables = {START: STARTS, MIGRATE: MACHINES, RULE: RULES, RESUME: RESUMES, RECONCILE: RECONCILES, DECIDE: DECIDES}
    for exercise, rows in tables.items():
        for name in {name for name in dir(type(exercise)) if hasattr(getattr(type(exercise), name), "sentence")}:
            kept = {bool(words) for sentence, _, words in rows if sentence == name}
            assert kept == {True, False}, (exercise.title, name)
