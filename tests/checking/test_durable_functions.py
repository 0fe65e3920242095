"""Judging in lab 04, on records: for each sentence of each contract one that keeps it, and others that do not."""

import dataclasses
import datetime
import itertools

import pytest

from workshop.checking.attacks import FINAL, WORTH_ANOTHER_TRY
from workshop.checking.executions import Execution
from workshop.checking.exercises import Draw
from workshop.checking.explorations import Crashes, Played
from workshop.checking.outcomes import NotYet
from workshop.checks.durable_answers import Check, Tell
from workshop.checks.durable_designs import Approve, Nightly, Pair
from workshop.checks.durable_exercises import blame_earlier
from workshop.checks.durable_plays import Answer, Telling, rehearsed
from workshop.checks.durable_waits import NOBODY, Migrate, Poll
from workshop.checks.durable_worlds import NOT_STARTED, REFUSING

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
BORE_ALL = Crashes(places=73, pairs=41, known=812)
BROKE = {"wrong": "It: the function's process crashed, and it broke.", "story": ["CRASH", "The end"]}
BROKE_INSIDE = {**BROKE, "inside": True}
BORE_HOURS = Played()
BROKE_IN_HOURS = {"wrong": "A wait of hours: it waited for 60 s.", "story": ["The end"]}
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
    "unanswered": polled("FAILED", polls=[0, 1], pauses=[1]),
    "finished": polled("SUCCEEDED", output={"ReplicationTaskArn": ARN}),
    "failed": failed(FAILED),
    "no file": failed(FAILED),
    "set aside": failed(FAILED),
    "stopped": failed(STOPPED),
    "one poll": polled("FAILED", most=1, polls=[0], **GAVE_UP),
    "two polls": polled("FAILED", first=2, longest=5, most=2, polls=[0, 2], pauses=[2], **GAVE_UP),
    "four polls": polled("FAILED", longest=1, most=4, polls=[0, 1, 2, 3], pauses=[1, 1, 1], **GAVE_UP),
    "always throttled": polled("FAILED", most=3, polls=[0, 1, 2], pauses=[1, 2], **GAVE_UP),
    "throttled on and on": BORE_HOURS,
    **dict.fromkeys(REFUSING, BORE_HOURS),
    "many polls": BORE_HOURS,
    "each status": BORE_HOURS,
    "over at last": BORE_HOURS,
    "long pauses": BORE_HOURS,
    "crashes": BORE_ALL,
}

# -- exercise 2 -------------------------------------------------------------------------------------------------------

NOON_BEFORE = "2026-01-01 11:00:00+00:00"


def told(before="", answer=None, status="SUCCEEDED", *, migration=RUNNING, seconds=60, facts=None, **more):
    answer = answer or Answer(success={})
    item = {"CallbackId": "me", "StartedBefore": before, "CreatedAt": 1000, "WaitsUntil": 1000 + seconds}
    known = {"before": before, "item": item, "mine": ["me"], "failures": [], "told": answer, "begun": True, "starts": 1}
    if status == "SUCCEEDED" and "output" not in more:
        more["output"] = answer.success
    input = {"ReplicationTaskArn": ARN, "TimeoutSeconds": seconds}
    return execution(status, input=input, facts={**known, **(facts or {})}, migration=migration, **more)


def has(record, **facts):
    """What is different in a record of which some facts are."""
    return {"facts": {**record.facts, **facts}}


ITEM = {"CallbackId": "me", "StartedBefore": "", "CreatedAt": 1000, "WaitsUntil": 1060}
NO = Answer(failure=("MigrationFailed", "Line 49."))
ODD = Answer(failure=("Cancelled", "No."))
MIGRATE = {
    "watched": told(facts={"by then": ITEM}),
    "watched again": told(NOON_BEFORE, facts={"by then": ITEM}),
    "ran before": told(NOON_BEFORE),
    "failed before": told(NOON_BEFORE),
    "left over": told(NOON_BEFORE),
    "lost": told(facts={"failures": [("ClientError", True)]}),
    "lost and over": told(),
    "ran before and lost": told(NOON_BEFORE),
    "told meanwhile": told(NOON_BEFORE),
    "killed after": told(),
    "killed before": told(),
    "refused": told(),
    "not ready": told(),
    **dict.fromkeys(NOT_STARTED, BORE_HOURS),
    "rival": told(facts={"beside a rival": ITEM}),
    "others": told(status="RUNNING", facts={"item": {}}),
    "succeeds": told(answer=Answer(success={"Rows": 60})),
    "says little": told(answer=Answer(success=[1])),
    "says no": told(answer=Answer(success=False)),
    "fails": told(answer=NO, status="FAILED", error="MigrationFailed", cause="Line 49."),
    "fails otherwise": told(answer=ODD, status="FAILED", error="MigrationFailed", cause="No."),
    "late": told(status="FAILED", error="MigrationTimedOut", seconds=2),
    "unheard": told(output={"ReplicationTaskArn": ARN}, migration=FINISHED),
    "unheard failure": told(status="FAILED", error="MigrationFailed", cause="Line 49 is bad.", migration=FAILED),
    "unheard for a day": BORE_HOURS,
    "runs on": BORE_HOURS,
    "taken": BORE_HOURS,
    "crashes": BORE_ALL,
}

# -- exercise 3 -------------------------------------------------------------------------------------------------------


def said(told, status="SUCCEEDED", error=None, **more):
    return Telling("it", {"tell(...)": None}, execution(status, **more), told, error or {})


ALL = {"success": None, "a failure": None, "a sign of life": None}
RAISED = dict.fromkeys(ALL, "AccessDeniedException: No.")
HEARD = {"ReplicationTaskStats": {"TablesErrored": 0}, **FINISHED}
TELL = {
    "data": said({"success": {"rows": 3}}, output='{"rows": 3}'),
    "small data": said({"success": 0}, output="0"),
    "false": said({"success": False}, output="false"),
    "text": said({"success": "done"}, output='"done"'),
    "failure": said({"failure": ["A", "b"]}, "FAILED", {"ErrorType": "A", "ErrorMessage": "b"}),
    "odd failure": said({"failure": ["A", "b"]}, "FAILED", {"ErrorType": "A", "ErrorMessage": "b"}),
    "bare failure": said({"failure": ["A", ""]}, "FAILED", {"ErrorType": "A", "ErrorMessage": ""}),
    "awake": said({}, "RUNNING"),
    **{case: Telling("it", ALL) for case in ("succeeded", "failed", "expired", "stopped", "deleted")},
    **{
        case: Telling("it", RAISED)
        for case in ("made up", "not even that", "no such ID", "denied", "too many", "out of order")
    },
    **{
        case: told(output={"ReplicationTaskArn": ARN}, migration=HEARD)
        for case in ("in time", "twice", "early", "late", "stale", "very stale", "pair", "another pair")
    },
    **{
        case: told(status="FAILED", error="MigrationFailed", cause="Line 49 is bad.", migration=FAILED)
        for case in ("fails", "set aside")
    },
}

# -- exercise 4 -------------------------------------------------------------------------------------------------------

TABLE = "arn:aws:dynamodb:us-east-1:111122223333:table/airports"
RANDOM = ["Zk3vB9qWx7LmNcR2tY5uJ8hG4fD1sAoP", "9aPq8sLd7kFj6hGz5xMc4vNb3wQe2rTy", "mXnCbVzLaKsJdHfGqPwOeIrUtY102938"]


def checking(status="SUCCEEDED", *, limits=(59, 60), facts=None, **more):
    known = {
        "urls": [f"https://x/callbacks/{RANDOM[0]}"],
        "checks": [{"status": "running"}],
        "mine": ["bXkgY2FsbGJhY2sgSUQgaXMgYSBsb25nIHNlY3JldCBvZiBteSBvd24="],
        "failures": [],
        "arn": "arn:aws:lambda:us-east-1:111122223333:function:f:$LATEST/durable-execution/its-name/its-id",
        "orders": ['{"callback_url": "..."}'],
        "answers": [200, 200],
        "addresses": RANDOM,
        "report": {"rows": 3},
        "message": "Half of it is missing.",
    }
    input = {"Table": TABLE, "HeartbeatSeconds": limits[0], "TimeoutSeconds": limits[1]}
    more = {"output": {"rows": 3}, **more} if status == "SUCCEEDED" else more
    return execution(status, input=input, facts={**known, **(facts or {})}, **more)


NO_REPORT = {"status": "FAILED", "error": "CheckFailed", "cause": "Half of it is missing."}
SILENT = {"status": "FAILED", "error": "VendorSilent"}
CHECK = {
    "killed": checking(),
    "overloaded": checking(),
    "unavailable": checking(),
    **{
        case: checking("FAILED", facts={"checks": [], "failures": [("VendorRefused", False)]})
        for case in ("refused", "refused otherwise")
    },
    "quick": checking(),
    "reports": checking(),
    "reports little": checking(),
    "fails": checking(**NO_REPORT),
    "fails otherwise": checking(**NO_REPORT),
    "awake": checking("RUNNING"),
    "done": checking(output=Check._report, limits=(5, 60), facts={"checks": [{"status": "completed"}]}),
    "failed": checking(**NO_REPORT, limits=(5, 60), facts={"checks": [{"status": "failed"}]}),
    "kept": BORE_HOURS,
    "silent for hours": BORE_HOURS,
    "works on": BORE_HOURS,
    "done at last": BORE_HOURS,
    "endless": checking(**SILENT, limits=(5, 60)),
    "bounded": checking(**SILENT, limits=(59, 6)),
    "crashes": BORE_ALL,
}

# -- exercises 5 and 6 ------------------------------------------------------------------------------------------------


def night(status="FAILED", *, migration=FINISHED, facts=None, **more):
    input = {"ReplicationTaskArn": ARN, "Table": TABLE, "HeartbeatSeconds": 59, "TimeoutSeconds": 60}
    known = {"began": True, "checks": [{}], "left": "stopped", "report": {"rows": 3}}
    return execution(status, input=input, migration=migration, facts={**known, **(facts or {})}, **more)


BOTH = {"Migration": {"ReplicationTaskArn": ARN}, "Report": {"rows": 3}}
NIGHTLY = {
    "both": night("SUCCEEDED", output=BOTH),
    "slowly": night("SUCCEEDED", output=BOTH),
    "check fails": night(cause="No: Half of it.", facts={"message": "Half of it."}),
    "migration fails": night(cause="No: Line 49 is bad.", migration=FAILED),
    "refused at once": night(),
    "starts for long": BORE_HOURS,
    "outlived": BORE_HOURS,
    "crashes": BORE_ALL,
}


def pair(status="SUCCEEDED", *, begun=True, **more):
    seen = polled(status, first=2, facts={"item": ITEM, "begun": begun}, **more)
    seen.input["TimeoutSeconds"] = 60
    return Pair(seen, seen)


MOVED = {"Moved": True, "By": "Ana"}
APPROVE = {
    "approved": pair(output=MOVED),
    "slow": pair(output=MOVED),
    "endless": pair("RUNNING", pauses=[2, 2]),
    "endless each second": pair("RUNNING", pauses=[2, 2]),
    "fails": pair("FAILED", error="MigrationFailed", cause="Line 49."),
    "sets aside": pair("FAILED", error="MigrationFailed", cause="Line 49."),
    "ran before": pair("FAILED", begun=False, error="States.TaskFailed"),
    "runs already": pair("FAILED", error="States.TaskFailed"),
    "refused": pair(output={"Moved": False, "By": "Cem"}, begun=False),
    "withdrawn": pair("FAILED", begun=False, error="Withdrawn"),
    "silent": pair(output={"Moved": False, "By": "nobody"}, begun=False),
    "many polls": BORE_HOURS,
    "silent for a day": BORE_HOURS,
    "crashes": BORE_ALL,
}


def mine(case, **other):
    return {"mine": dataclasses.replace(APPROVE[case].mine, **other)}


def begins(case, begun):
    """What is different where the durable function starts the migration, or does not, and the state machine does."""
    return mine(case, **has(APPROVE[case].mine, begun=begun))


# {exercise: (records of a right answer, [(case, what is different, the sentence's judge, words of the refusal)])}
JUDGED = {
    Poll: (
        POLL,
        [
            ("not begun", {"status": "FAILED"}, "goes_on", "While the migration still ran"),
            ("many polls", BROKE_IN_HOURS, "goes_on", "it waited for 60 s"),
            ("each status", BROKE_IN_HOURS, "goes_on", "it waited for 60 s"),
            ("over at last", BROKE_IN_HOURS, "returns_the_outcome", "it waited for 60 s"),
            ("throttled on and on", BROKE_IN_HOURS, "lives_with_throttling", "it waited for 60 s"),
            ("InternalFailure", BROKE_IN_HOURS, "ends_with_other_errors", "it waited for 60 s"),
            ("long pauses", BROKE_IN_HOURS, "waits", "it waited for 60 s"),
            ("under way", {"pauses": []}, "goes_on", "had not waited"),
            ("one poll", {"polls": [1.2], "pauses": [1], "events": WAITED_FIRST}, "begins", "Before it asked at all"),
            ("patient", {"pauses": [1]}, "begins", "it waited 1 s"),
            ("two polls", {"pauses": [5]}, "begins", "it waited 5 s"),
            ("two polls", {"polls": [0], "pauses": []}, "begins", "did not wait to ask a second time"),
            ("under way", {"pauses": [1, 1, 1]}, "waits", "1, 1 and 1 s"),
            ("under way", {"pauses": [1, 2, 4]}, "waits", "1, 2 and 4 s"),
            ("another pace", {"pauses": [2, 2]}, "waits", "2 and 2 s"),
            ("throttled at first", {"status": "FAILED", "error": "Throttled"}, "lives_with_throttling", "Throttled"),
            ("never was", {"status": "RUNNING"}, "ends_with_other_errors", "was still running"),
            ("denied", {"polls": [0, 1, 2]}, "ends_with_other_errors", "asked 3 times in all"),
            ("unanswered", {"status": "RUNNING"}, "ends_with_other_errors", "was still running"),
            ("always throttled", {"status": "RUNNING", "polls": [0, 1, 2, 3]}, "gives_up", "`most` 3 it asked 4 times"),
            ("finished", {"output": {"Status": "stopped"}}, "returns_the_outcome", "Status"),
            ("failed", {"status": "SUCCEEDED"}, "raises_the_outcome", "SUCCEEDED"),
            ("failed", {"cause": "It has failed."}, "raises_the_outcome", "Line 49"),
            ("stopped", {"error": "MigrationTimedOut"}, "raises_the_outcome", "MigrationTimedOut"),
            ("one poll", {"status": "RUNNING", "pauses": [1]}, "gives_up", "decided to wait for another 1 s"),
            ("two polls", {"polls": [0, 2, 5]}, "gives_up", "asked 3 times"),
            ("four polls", {"error": "MigrationFailed"}, "gives_up", "MigrationFailed"),
            ("crashes", BROKE, "goes_on_after_crashes", "process crashed, and it broke"),
        ],
    ),
    Migrate: (
        MIGRATE,
        [
            ("watched", has(MIGRATE["watched"], **{"by then": {}}), "saves_first", "not in the table yet"),
            (
                "watched",
                has(MIGRATE["watched"], **{"by then": {"CallbackId": "me"}}),
                "saves_first",
                "had no StartedBefore yet",
            ),
            ("succeeds", {"status": "FAILED", **has(MIGRATE["succeeds"], told=None)}, "saves_first", "before anybody"),
            ("ran before", has(MIGRATE["ran before"], begun=False), "saves_first", "was not started"),
            ("succeeds", has(MIGRATE["succeeds"], item={"CallbackId": "you"}), "saves_first", "'you'"),
            ("watched", has(MIGRATE["watched"], item={**ITEM, "WaitsUntil": 1000}), "saves_first", "waits for 0 s"),
            ("watched", has(MIGRATE["watched"], item={"CallbackId": "me"}), "saves_first", "waits for no time"),
            (
                "watched",
                has(MIGRATE["watched"], item={**ITEM, "StartedBefore": None}),
                "knows_the_run_before",
                "no StartedBefore",
            ),
            (
                "lost",
                has(MIGRATE["lost"], item={**ITEM, "StartedBefore": "x"}),
                "knows_the_run_before",
                "another attempt",
            ),
            ("left over", has(MIGRATE["left over"], item=ITEM), "knows_the_run_before", "StartedBefore is ''"),
            ("failed before", has(MIGRATE["failed before"], item=ITEM), "knows_the_run_before", NOON_BEFORE),
            ("lost and over", has(MIGRATE["lost and over"], starts=2), "starts_once", "started twice"),
            ("killed before", has(MIGRATE["killed before"], starts=0), "starts_once", "was not started"),
            ("told meanwhile", has(MIGRATE["told meanwhile"], starts=2), "starts_once", "started twice"),
            ("refused", {"status": "FAILED"}, "starts_once", "ended FAILED"),
            ("refused", {"status": "FAILED", **has(MIGRATE["refused"], begun=False)}, "starts_once", "not started"),
            ("rival", has(MIGRATE["rival"], **{"beside a rival": {}}), "leaves_others_alone", "no longer in the table"),
            ("rival", has(MIGRATE["rival"], starts=2), "leaves_others_alone", "started twice"),
            ("taken", BROKE_IN_HOURS, "leaves_others_alone", "it waited for 60 s"),
            ("others", has(MIGRATE["others"], item=ITEM), "wants_a_run_of_its_own", "in the table"),
            ("says little", {"output": "[1]"}, "returns_the_result", "returned '[1]'"),
            ("says no", {"output": {}}, "returns_the_result", "returned {}"),
            ("succeeds", {"status": "RUNNING"}, "returns_the_result", "was still running"),
            ("fails", {"cause": "It has failed."}, "raises_the_failure", "Line 49."),
            ("fails otherwise", {"error": "CallbackExternalError"}, "raises_the_failure", "CallbackExternalError"),
            ("late", {"status": "RUNNING"}, "looks_again", "was still running"),
            ("late", {"error": "MigrationFailed"}, "looks_again", "MigrationFailed"),
            ("unheard", {"status": "FAILED"}, "looks_again", "ended FAILED"),
            ("unheard failure", {"error": "MigrationTimedOut"}, "looks_again", "MigrationTimedOut"),
            ("unheard for a day", BROKE_IN_HOURS, "looks_again", "it waited for 60 s"),
            ("runs on", BROKE_IN_HOURS, "looks_again", "it waited for 60 s"),
            (
                "not ready",
                {"status": "RUNNING", **has(MIGRATE["not ready"], begun=False)},
                "waits_for_what_has_begun",
                "was still running, and the migration was not started",
            ),
            ("not ready", {"status": "FAILED"}, "waits_for_what_has_begun", "ended FAILED"),
            ("AccessDeniedFault", BROKE_IN_HOURS, "waits_for_what_has_begun", "it waited for 60 s"),
            ("crashes", BROKE_INSIDE, "starts_once", "process crashed, and it broke"),
            ("crashes", BROKE, "goes_on_after_crashes", "process crashed, and it broke"),
        ],
    ),
    Tell: (
        TELL,
        [
            ("data", {"raised": {"tell(...)": "KeyError: 1"}}, "answers_success", "raised KeyError"),
            ("small data", {"execution": execution()}, "answers_success", "was still running"),
            ("false", {"execution": execution("SUCCEEDED", output="False")}, "answers_success", "sent False"),
            ("text", {"execution": execution("SUCCEEDED", output="done")}, "answers_success", 'JSON text: "done"'),
            ("small data", {"execution": execution("SUCCEEDED", output="")}, "answers_success", "sent nothing"),
            ("failure", {"execution": execution("SUCCEEDED")}, "answers_failure", "ended SUCCEEDED"),
            ("odd failure", {"error": {"ErrorMessage": "b"}}, "answers_failure", "ErrorMessage"),
            ("bare failure", {"execution": execution()}, "answers_failure", "was still running"),
            ("awake", {"execution": execution("FAILED")}, "keeps_awake", "every second"),
            ("deleted", {"raised": {**ALL, "success": "ResourceNotFound"}}, "lets_be", "ResourceNotFound"),
            ("expired", {"raised": {**ALL, "a sign of life": "TimedOut"}}, "lets_be", "a sign of life"),
            ("denied", {"raised": {**RAISED, "a failure": None}}, "raises_the_rest", "a failure was to be sent"),
            ("stale", {"status": "RUNNING", "about": "one that DMS called running"}, "is_heard", "was spent"),
            ("twice", {"status": "FAILED"}, "is_heard", "ended FAILED"),
            ("set aside", {"status": "SUCCEEDED"}, "is_heard", "ended SUCCEEDED"),
        ],
    ),
    Check: (
        CHECK,
        [
            ("reports", has(CHECK["reports"], checks=[]), "orders_once", "got no order"),
            ("killed", has(CHECK["killed"], checks=[{}, {}]), "orders_once", "2 audits"),
            ("overloaded", has(CHECK["overloaded"], urls=["a", "b"]), "orders_once", "2 addresses"),
            ("fails", has(CHECK["fails"], urls=["https://x/its-name"]), "gives_an_address", "computed from its name"),
            ("reports", has(CHECK["reports"], addresses=["ab01", "cd23"]), "gives_an_address", "16 random bits"),
            ("reports", has(CHECK["reports"], addresses=["ab" * 32] * 2), "gives_an_address", "0 random bits"),
            ("crashes", {"guessed": "ab01"}, "gives_an_address", "both times the address was ab01"),
            (
                "reports",
                has(CHECK["reports"], orders=CHECK["reports"].facts["mine"]),
                "keeps_its_secret",
                "vendor's log",
            ),
            ("quick", has(CHECK["quick"], answers=[404]), "saves_first", "404"),
            ("quick", {"status": "FAILED"}, "saves_first", "ended FAILED"),
            ("kept", BROKE_IN_HOURS, "saves_first", "it waited for 60 s"),
            (
                "refused",
                has(CHECK["refused"], failures=[("VendorRefused", True)]),
                "tries_again_what_is_worth_it",
                "ordered again",
            ),
            ("refused otherwise", {"status": "RUNNING"}, "tries_again_what_is_worth_it", "It fails"),
            ("unavailable", {"status": "FAILED"}, "tries_again_what_is_worth_it", "ended FAILED"),
            ("overloaded", {"status": "FAILED"}, "tries_again_what_is_worth_it", "ended FAILED"),
            ("reports little", {"output": '{"rows": 3}'}, "returns_the_report", "It returned"),
            ("reports", has(CHECK["reports"], answers=[200, 500]), "returns_the_report", "a second time"),
            ("fails", {"cause": "It has failed."}, "raises_the_failure", "The vendor said"),
            ("awake", {"status": "FAILED"}, "is_kept_awake", "every second"),
            ("done", {"output": None}, "asks_in_the_end", "`silence` was 5"),
            ("failed", {"error": "VendorSilent"}, "asks_in_the_end", "VendorSilent"),
            ("endless", {"error": "CheckFailed"}, "asks_in_the_end", "CheckFailed"),
            ("bounded", {"status": "RUNNING"}, "asks_in_the_end", "`seconds` 6"),
            ("silent for hours", BROKE_IN_HOURS, "asks_in_the_end", "it waited for 60 s"),
            ("works on", BROKE_IN_HOURS, "asks_in_the_end", "it waited for 60 s"),
            ("done at last", BROKE_IN_HOURS, "asks_in_the_end", "it waited for 60 s"),
            ("crashes", BROKE_INSIDE, "orders_once", "process crashed, and it broke"),
            ("crashes", BROKE, "goes_on_after_crashes", "process crashed, and it broke"),
        ],
    ),
    Nightly: (
        NIGHTLY,
        [
            ("check fails", has(NIGHTLY["check fails"], began=False, checks=[]), "begins_both", "got no order"),
            ("migration fails", has(NIGHTLY["migration fails"], began=False), "begins_both", "not been started"),
            ("slowly", {"output": {"Report": {"rows": 3}}}, "returns_both", "It returned"),
            ("check fails", {"status": "RUNNING"}, "fails_soon", "was still running"),
            ("migration fails", {"cause": "No."}, "fails_soon", "Line 49 is bad."),
            (
                "refused at once",
                has(NIGHTLY["refused at once"], left="running"),
                "leaves_nothing_running",
                "was left running",
            ),
            ("starts for long", BROKE_IN_HOURS, "leaves_nothing_running", "it waited for 60 s"),
            ("outlived", BROKE_IN_HOURS, "leaves_nothing_running", "it waited for 60 s"),
            ("crashes", BROKE, "goes_on_after_crashes", "process crashed, and it broke"),
        ],
    ),
    Approve: (
        APPROVE,
        [
            ("refused", mine("refused", facts={"item": {}}), "can_be_found", "no CallbackId"),
            ("refused", mine("refused", facts={"item": {**ITEM, "WaitsUntil": 1001}}), "can_be_found", "waits for 1 s"),
            ("many polls", BROKE_IN_HOURS, "asks_at_its_pace", "it waited for 60 s"),
            ("silent for a day", BROKE_IN_HOURS, "returns_the_same", "it waited for 60 s"),
            ("endless", mine("endless", pauses=[1, 1]), "asks_at_its_pace", "it waited 1 and 1 s"),
            ("endless", mine("endless", status="FAILED"), "asks_at_its_pace", "and it still ran"),
            ("silent", mine("silent", output={"Moved": True}), "returns_the_same", "nobody"),
            ("refused", begins("refused", True), "starts_the_same", "was started"),
            (
                "ran before",
                begins("ran before", True),
                "starts_the_same",
                "FAILED",
            ),
            ("ran before", mine("ran before", status="SUCCEEDED"), "ends_the_same", "durable function ended SUCCEEDED"),
            ("runs already", mine("runs already", status="RUNNING", pauses=[1]), "ends_the_same", "was still running"),
            ("withdrawn", mine("withdrawn", status="SUCCEEDED"), "ends_the_same", "state machine ended FAILED"),
            ("withdrawn", mine("withdrawn", status="RUNNING"), "ends_the_same", "was still running"),
            ("fails", mine("fails", status="RUNNING"), "ends_the_same", "was still running"),
            (
                "approved",
                begins("approved", False),
                "starts_the_same",
                "not started",
            ),
            ("fails", mine("fails", cause="It has failed."), "fails_the_same", "Line 49."),
            ("crashes", BROKE, "goes_on_after_crashes", "process crashed, and it broke"),
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


def test_a_start_that_is_refused_may_end_the_execution():
    gave_up = dataclasses.replace(MIGRATE["not ready"], status="FAILED", **has(MIGRATE["not ready"], begun=False))
    assert Migrate().judge({"not ready": gave_up}) is None


@pytest.mark.parametrize("case", ["ran before", "runs already"])
def test_who_still_tries_to_start_what_is_not_started_has_failed_as_well(case):
    seen = dataclasses.replace(APPROVE[case].mine, about=Approve.cases[case].about, status="RUNNING", pauses=[])
    assert Approve().judge({case: dataclasses.replace(APPROVE[case], mine=seen)}) is None


@pytest.mark.parametrize("seed", range(20))
def test_of_the_vendor_s_answers_two_of_each_kind_are_drawn_and_told(seed):
    drawn = {name: rehearsed(Draw(seed), name, case) for name, case in Check.cases.items() if "vendor" in vars(case)}
    for names, kind in ((("overloaded", "unavailable"), WORTH_ANOTHER_TRY), (("refused", "refused otherwise"), FINAL)):
        statuses = [drawn[name].vendor["answers"][0] for name in names]
        assert len(set(statuses)) == 2 and set(statuses) <= set(kind)
        assert [f"({status})" in drawn[name].about for name, status in zip(names, statuses, strict=True)] == [
            True,
            True,
        ]
    assert drawn["reports"].about == Check.cases["reports"].about


# -- what is said of a right answer ------------------------------------------------------------------------------------

CALLS_MORE = "it calls sns:Publish, which the explorer does not know"


@pytest.mark.parametrize(
    "seen, said",
    [
        ({"crashes": BORE_ALL}, "Its process was crashed at all 73 places, and at 41 of 812 pairs of them."),
        ({"crashes": Crashes(unknown=CALLS_MORE)}, f"Its crashes were not explored: {CALLS_MORE}."),
        (
            {"crashes": Crashes(places=2, left_out=["in the case of a night it failed, without any crash"])},
            "Its process was crashed at all 2 places, and at 0 of 0 pairs of them. 1 situation was left out, such "
            "as: in the case of a night it failed, without any crash.",
        ),
        (
            {"many polls": Played(unknown=CALLS_MORE), "long pauses": Played(), "finished": POLL["finished"]},
            f"1 case that no account can play in time was not played: {CALLS_MORE}.",
        ),
        (
            {"many polls": Played(unknown=CALLS_MORE), "long pauses": Played(unknown=CALLS_MORE)},
            f"2 cases that no account can play in time were not played: {CALLS_MORE}.",
        ),
    ],
)
def test_what_was_explored_is_said_and_what_was_not(seen, said):
    assert Poll().says_more(seen) == said


def test_a_pair_of_crashes_is_named():
    pair = Crashes(wrong="It broke.", story=["CRASH", "CRASH", "The end"], turn=4711)
    assert Poll().judge({**POLL, "crashes": pair}).turn == 4711


# -- what an earlier exercise made -------------------------------------------------------------------------------------


class Earlier(Poll):
    """Exercise 1 with this record of its case "failed"; what it is asked for is kept in `asked`."""

    def __init__(self, record):
        self.record, self.asked = record, []

    def observe(self, lab, draw, cases):
        self.asked.append([*cases])
        return {"failed": self.record}


def test_a_fault_that_an_earlier_exercise_has_is_told_as_its():
    approve, right = Approve(), Earlier(POLL["failed"])
    fails = dataclasses.replace(APPROVE["fails"], mine=pair("FAILED", error="RuntimeError").mine)
    approve.earlier = {"fails": [(1, right, ["failed"])]}
    blame_earlier(approve, None, None, {"fails": fails})
    assert right.asked == [["failed"]]
    approve.earlier = {"fails": [(1, Earlier(polled("SUCCEEDED", migration=FAILED)), ["failed"])]}
    with pytest.raises(NotYet, match="that is not right yet") as refused:
        blame_earlier(approve, None, None, {"fails": fails})
    assert refused.value.args[1] == "Mend exercise 1 first: lab.check(1) says what is missing there."
    assert refused.value.case == "fails"


def test_where_all_is_well_no_earlier_exercise_is_asked():
    approve = Approve()
    approve.earlier = {"crashes": [(1, None, [])]}
    blame_earlier(approve, None, None, {"crashes": BORE_ALL})


@pytest.mark.parametrize(
    "exercise", [Tell(), Check(), Nightly(), Approve()], ids=lambda exercise: type(exercise).__name__
)
def test_the_cases_by_which_earlier_exercises_tell_are_there(exercise):
    assert exercise.earlier and set(exercise.earlier) <= set(exercise.cases)
    for _, other, cases in itertools.chain(*exercise.earlier.values()):
        assert set(cases) <= set(other.cases)
