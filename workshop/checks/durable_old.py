"""Lab 04: the two designs as Lambda durable functions.

The contracts of the tasks, as the lab states them. Who waits stands in the table `waiting`, by Id (the ARN of a
replication task, or a random address): CallbackId, WaitsUntil and ExpiresAt (seconds since 1970), and StartedBefore or
CheckId.

- 1, durable function `poll`: gets {"ReplicationTaskArn", "PollSeconds", "MaxPollSeconds", "MaxPolls"}, for a task that
  was started. It asks at once, after PollSeconds, then after ever longer waits up to MaxPollSeconds, and MaxPolls times
  at most. Succeeds with an object that has the key ReplicationTaskArn; fails with MigrationFailed (DMS's
  LastFailureMessage in the message) where the migration ended otherwise, and with any other error when it gave up. A
  throttled question ends nothing, any other error ends it.
- 2, durable function `migrate`: gets {"ReplicationTaskArn", "TimeoutSeconds"}; saves its callback ID by the task's ARN,
  then starts the task, once, however often the submitter runs. Succeeds with the answer's result as data; fails with
  MigrationFailed and the failure's message; without an answer for TimeoutSeconds it looks: ends as the migration
  did, and with MigrationTimedOut where that still runs.
- 3, function `tell(callback_id, success=None, failure=None)`, which `say` and `resume` use: success with JSON, failure
  with (type, message), else a heartbeat. Nothing happens for a callback that was answered, has timed out, or whose
  execution is gone; every other fault is raised.
- 4, durable function `check`: gets {"Table", "HeartbeatSeconds", "TimeoutSeconds"}; orders one check, with a random
  address that gives nothing away; tries again what is worth it. Succeeds with the report; fails with CheckFailed and
  the vendor's message; after silence, or in the end, it asks the vendor once and ends with what that says.
- 5, durable function `nightly` (stretch): gets {"ReplicationTaskArn", "Table", "HeartbeatSeconds", "TimeoutSeconds"};
  begins both waits at once. Succeeds with {"Migration", "Report"}; when one fails it stops the migration and fails
  soon, with that one's message in its own.
- 6, durable function `approve` (stretch): ends as the state machine `inherited` does: the same result, or an exception
  class named as the error with the cause as message. Its callback ID is in the table by the input's Id.
"""

import json
import time
from datetime import datetime

from workshop import clients, deploy
from workshop.checking.attacks import REPORT, is_final
from workshop.checking.guessing import computed, pieces, random_bits
from workshop.checking.vendors import Messages, must_succeed, rehearse, signed_up
from workshop.checks import NotAttempted, NotYet, SandboxProblem, Task, shortened
from workshop.checks.callbacks import (
    KINDS,
    LONG,
    Table,
    ended,
    eventually,
    function,
    invoke,
    lose_events,
    on_sandbox,
    runs_since,
    side_by_side,
    small_migrations,
    started,
    stop,
)
from workshop.checks.durable import DurableRun, durable_function, until_ended
from workshop.checks.watching import Run, state_machine, until
from workshop.events import fault
from workshop.migrations import delete_task

TASKS = {
    1: Task(
        "Ask until it is over",
        hints=(
            "The check function gets the state of before as its first argument. Where it learns nothing new, that is "
            "what it can give back.",
            "Catch Throttled around describe, and nothing else. The initial state is what a first question that was "
            "refused gives back, so under_way must be able to read it: a dict with a Status.",
            'Delays are Durations: Duration.from_seconds(event["PollSeconds"]). The bound is max_attempts, and the '
            "default jitter is FULL: JitterStrategy.NONE switches it off.",
        ),
    ),
    2: Task(
        "Wait to be told",
        hints=(
            "Three operations, in this order: a step that looks when the last run began; the wait, whose submitter "
            "saves and then starts; and only where nobody answered, a step that looks again.",
            "Inside the submitter, ask DMS before you start: begun(describe(arn), before). An attempt before this one "
            "may have started it. start(arn, again=...) has to know whether it had run before.",
            "WaitForCallbackConfig takes timeout (a Duration) and serdes (JsonSerDes()). Without the serdes the result "
            "is text.",
            "Around wait_for_callback, one except for each: CallbackExternalError becomes MigrationFailed(str(error)), "
            "CallbackTimeoutError returns outcome(arn, ...) of what a new step has seen.",
        ),
    ),
    3: Task(
        "Tell it",
        hints=(
            "suppress takes several exceptions. Which two of the table say that there is nobody to tell any more?",
            "success may be false, 0 or an empty dict and is still a result: compare with None.",
            'Error={"ErrorType": ..., "ErrorMessage": ...}; Result=json.dumps(success).',
        ),
    ),
    4: Task(
        "A vendor that calls a URL",
        hints=(
            "The address is random, so it must be made in a step: otherwise it is another one whenever the handler "
            "runs again, and the vendor gets a second order with another key.",
            "The submitter does two things: save(address, callback_id, seconds), then order(table, address). When the "
            "order gives the check's ID, save once more, with CheckId.",
            "retry_strategy=while_unavailable and serdes=JsonSerDes() go into the config, beside **limits.",
            "After CallbackTimeoutError: a step that asks for the check whose ID stands in find(address), and "
            "report_in of what it says.",
        ),
    ),
    5: Task(
        "Two at once",
        hints=(
            "A branch is called with a context of its own, and that is the one which its wait must use: "
            "lambda branch: migrated(branch, arn, seconds).",
            "The batch has failure_count; get_errors() gives what went wrong, each with a message; get_results() gives "
            "what came out, in the order of the branches.",
            "What is done when one has failed must be done in a step, too: stop(arn) can fail, and be tried again.",
        ),
        stretch=True,
    ),
    6: Task(
        "Port a state machine",
        hints=(
            "Go through the states: Ask is a wait_for_callback, its Catch an except, Approved? an if. What Wait, Poll "
            "and Over? do together you have written in task 1.",
            "polled(context, arn, pause, pause, ...) asks at the same pace all the time. A bound that is no bound in "
            "practice is 2,000 polls: an execution has 3,000 operations at most.",
            "outcome raises MigrationFailed with DMS's message, which is what Not moved does; so there is nothing to "
            "catch.",
        ),
        stretch=True,
    ),
}

TRIES = 5  # to do something between two questions
SLOWLY = {"rows_per_second": KINDS["is slow"]["rows_per_second"]}
TIMEOUT = 60  # seconds, of executions that a check expects to be answered
MANY = 99  # orders, more than a check makes
FEWEST_BITS = 100
QUIET = {"silent": True, "seconds": 3600}


# -- task 1 -----------------------------------------------------------------------------------------------------------


def task_1(lab):
    poll = durable_function(lab, "poll")
    cases = {"goes-on": "is slow", "endless": "is slow", "vanishes": "is slow", "is-stopped": "is slow"}
    cases |= {"finishes": "finishes", "fails": "fails", "sets-aside": "sets a table aside", "throttled": "finishes"}
    made = small_migrations(lab, cases)
    lose_events(*made.values())
    for one in made.values():
        one.start()
    stop(made["is-stopped"])
    if on_sandbox():
        fault("throttle", made["throttled"], count=2)
    print("Watching migrations for some seconds ...")
    usual = {"PollSeconds": 1, "MaxPollSeconds": 3, "MaxPolls": 50}
    waits = {"endless": {"PollSeconds": 3, "MaxPollSeconds": 6, "MaxPolls": 2}, "vanishes": {"MaxPollSeconds": 1}}
    runs = {}
    try:
        for case, one in made.items():
            runs[case] = DurableRun(poll, {"ReplicationTaskArn": one.arn, **usual, **waits.get(case, {})})
        for _ in range(TRIES):
            if _judge_vanished(runs["vanishes"], made["vanishes"]):
                break
            runs["vanishes"].stop()
            again = made["goes-on"].another(lab.name("check-vanishes"), **SLOWLY)
            again.start()
            runs["vanishes"] = DurableRun(poll, {"ReplicationTaskArn": again.arn, **usual, **waits["vanishes"]})
            made["vanishes"] = again
        else:
            raise SandboxProblem("This machine is too busy to delete a task between two questions. Try again later.")
        until_ended([runs[case] for case in ("finishes", "fails", "sets-aside", "is-stopped", "throttled")], LONG)
        _judge_finished(runs["finishes"], made["finishes"])
        _judge_failed(runs["fails"], made["fails"], "failed")
        _judge_failed(runs["sets-aside"], made["sets-aside"], "finished without one of its tables")
        _judge_failed(runs["is-stopped"], made["is-stopped"], "was stopped by somebody")
        _judge_throttled(runs["throttled"])
        _judge_waits(runs["goes-on"])
        _judge_bound(runs["endless"])
    finally:
        for run in runs.values():
            run.stop()
        stop(made["endless"], made["goes-on"])
    return "It asks less and less often, lives with being throttled, gives up in time, and knows how it ended."


def _judge_vanished(run, migration):
    """Delete what it waits for, once it waits, and see that it ends.

    Returns False where nothing can be said of it: a task is stopped before it is deleted, and it has seen it stopped.
    """
    until(lambda: run.delays() or run.look(), LONG)
    if run.look():
        raise run.not_yet(f"While the migration still ran, the execution {run.in_words()}.", "It goes on asking.")
    before = len(run.delays())
    delete_task(migration.arn)
    polls = len(run.delays())
    if polls > before or run.look():
        return False
    until(lambda: run.look() or len(run.delays()) > polls + 2, LONG)
    if run.status == "RUNNING":
        raise run.not_yet(
            "The replication task was deleted while it waited, and it asked three times more.",
            "Only being throttled is no reason to end; any other error ends the wait.",
        )
    if run.status != "FAILED":
        raise run.not_yet(
            f"The replication task was deleted while it waited, and the execution {run.in_words()}.", "It fails."
        )
    return True


def _judge_finished(run, migration):
    if run.status != "SUCCEEDED":
        raise run.not_yet(f"The execution of a migration that finished {run.in_words()}.", "It succeeds.")
    if not isinstance(run.result, dict) or run.result.get("ReplicationTaskArn") != migration.arn:
        raise run.not_yet(f"It returned {shortened(json.dumps(run.result))}.", "What outcome gives.")


def _judge_failed(run, migration, what):
    if run.status == "RUNNING":
        raise run.not_yet(f"A migration that {what}: the execution {run.in_words()}.", "It ends when that has ended.")
    if run.status != "FAILED" or run.error != "MigrationFailed":
        raise run.not_yet(f"A migration that {what}: the execution {run.in_words()}.", "It fails: MigrationFailed.")
    if migration.describe().get("LastFailureMessage", "") not in run.message:
        raise run.not_yet(
            f"A migration that {what}: the execution {run.in_words()}.", "DMS's message, where it has one."
        )


def _judge_throttled(run):
    if on_sandbox() and run.status != "SUCCEEDED":
        raise run.not_yet(
            f"DMS refused the first two questions (fault: throttle), and the execution {run.in_words()}.",
            "It asks again later.",
        )


def _judge_waits(run):
    until(lambda: run.look() or len(run.delays()) > 2, LONG)
    if run.look():
        raise run.not_yet(f"While the migration still ran, the execution {run.in_words()}.", "It goes on asking.")
    delays = run.delays()
    observed = f"With PollSeconds 1 and MaxPollSeconds 3 it waited {_listed(delays)} s between its polls."
    if delays[:1] != [1]:
        raise run.not_yet(observed, "The first wait is PollSeconds.")
    if max(delays) > 3:
        raise run.not_yet(observed, "No wait is longer than MaxPollSeconds.")
    if len(delays) < 3 or delays != sorted(delays) or delays[1] == 1:
        raise run.not_yet(observed, "Waits that grow, up to MaxPollSeconds, without jitter.")


def _judge_bound(run):
    until(lambda: run.look() or len(run.delays()) > 1, LONG)
    delays = run.delays()
    if delays[:1] != [3]:
        raise run.not_yet(
            f"With PollSeconds 3 and MaxPollSeconds 6 it waited {_listed(delays)} s.",
            "The first wait is PollSeconds.",
        )
    if len(delays) > 1:
        raise run.not_yet(
            f"With MaxPolls 2 it asked twice, and decided to wait for another {delays[1]} s.",
            "It gives up when it has asked MaxPolls times.",
        )
    if run.status != "FAILED" or run.error == "MigrationFailed":
        raise run.not_yet(
            f"After MaxPolls polls of a migration that still ran, the execution {run.in_words()}.",
            "It fails, and does not say that the migration has failed.",
        )


def _listed(delays):
    return ", ".join(map(str, delays)) or "0"


# -- task 2 -----------------------------------------------------------------------------------------------------------


def task_2(lab):
    migrate, table = durable_function(lab, "migrate"), Table(lab, "Id")
    cases = dict.fromkeys(("fastest", "lost-ended", "unheard", "again"), "finishes")
    cases |= dict.fromkeys(("lost", "late", "succeeds", "fails"), "is slow")
    made = small_migrations(lab, cases)
    table.delete(*(one.arn for one in made.values()))
    lose_events(*made.values(), runs=2)
    made["again"].start()
    until(lambda: ended(made["again"]), LONG)
    before = started(made["again"])
    print("Waiting for a submitter's second attempt, and for timeouts ...")
    if on_sandbox():
        fault("unanswered", made["lost"])
        fault("unanswered", made["lost-ended"])
        # The call that starts it is not answered until the end was announced, and then for two seconds more.
        fault("early", made["fastest"], seconds=2)
    check = _Migrate(migrate, table, made)
    try:
        check.begin({case: 3 if case in ("late", "unheard") else TIMEOUT for case in cases})
        check.saves_first("fastest")
        check.answered("succeeds", "fails")
        check.starts_again("again", before)
        check.starts_once("lost", "lost-ended")
        check.times_out("late", "unheard")
    finally:
        check.end()
        stop(*(made[case] for case in ("succeeds", "fails", "late", "lost")))
        table.delete(*(one.arn for one in made.values()))
    return "It saves first, starts once, tells failure from silence, and looks before it gives up."


class _Migrate:
    """What task 2 asks of the function."""

    def __init__(self, function, table, made):
        self._function, self._table, self._made, self._runs = function, table, made, {}

    def begin(self, timeouts):
        """Begin an execution for each of these cases, {case: its TimeoutSeconds}."""
        for case, timeout in timeouts.items():
            event = {"ReplicationTaskArn": self._made[case].arn, "TimeoutSeconds": timeout}
            self._runs[case] = DurableRun(self._function, event)
        lost = self._made["lost-ended"]
        until(lambda: started(lost) or self._runs["lost-ended"].look(), LONG)
        self._first_run = started(lost)

    def end(self):
        for run in self._runs.values():
            run.stop()

    def _item(self, case):
        return self._table.find(self._made[case].arn)

    def _waits(self, case):
        """Wait until its migration was started and its callback ID is known; gives the ID."""
        run, migration = self._runs[case], self._made[case]
        until(lambda: run.look() or (migration.describe()["Status"] != "ready" and self._item(case)), LONG)
        item = self._item(case)
        if run.look():
            raise run.not_yet(
                f"Before anybody had answered, the execution {run.in_words()}.", "It waits for the answer."
            )
        if migration.describe()["Status"] == "ready":
            raise run.not_yet("The migration was not started.", "The submitter saves the callback ID, then starts it.")
        if not item or item.get("CallbackId") not in run.callback_ids():
            kept = "no item" if not item else f"the CallbackId {shortened(str(item.get('CallbackId')))!r}"
            raise run.not_yet(
                f"The migration was started, and under its ARN there is {kept} in {self._table.name}.",
                "save(arn, callback_id, seconds, StartedBefore=before), with the ID that the submitter gets.",
            )
        return item["CallbackId"]

    def saves_first(self, case):
        run, migration = self._runs[case], self._made[case]
        until(lambda: migration.describe()["Status"] != "ready" or run.look(), LONG)
        saved_in_time = self._item(case)
        callback_id = self._waits(case)
        if not saved_in_time:
            raise run.not_yet(
                "The migration was started, and its callback ID was not in the table yet.",
                "First save, then start: the fastest event finds whom to tell.",
            )
        if "StartedBefore" not in saved_in_time:
            raise run.not_yet("The item has no StartedBefore.", "save(arn, callback_id, seconds, StartedBefore=before)")
        result = {"ReplicationTaskArn": migration.arn, "Rows": 60}
        _succeed(callback_id, result)
        self._judge_success(case, result)

    def _judge_success(self, case, result):
        run = self._runs[case]
        eventually(run.look)
        if run.status != "SUCCEEDED":
            raise run.not_yet(f"It was answered with success, and the execution {run.in_words()}.", "It succeeds.")
        if run.result != result:
            raise run.not_yet(
                f"It was answered with {json.dumps(result)}, and returned {shortened(json.dumps(run.result))}.",
                "The result as data.",
            )

    def answered(self, succeeds, fails):
        result = {"ReplicationTaskArn": self._made[succeeds].arn}
        _succeed(self._waits(succeeds), result)
        message = "Last Error Table travel.airports, line 49. Stop Reason FATAL_ERROR"
        error = {"ErrorType": "MigrationFailed", "ErrorMessage": message}
        clients.of("lambda").send_durable_execution_callback_failure(CallbackId=self._waits(fails), Error=error)
        self._judge_success(succeeds, result)
        run = self._runs[fails]
        eventually(run.look)
        if run.status != "FAILED" or run.error != "MigrationFailed" or message not in run.message:
            raise run.not_yet(
                f"It was answered with a failure, and the execution {run.in_words()}.",
                "It fails: MigrationFailed, with the failure's message.",
            )

    def starts_again(self, case, before):
        run, migration = self._runs[case], self._made[case]
        until(lambda: run.look() or (started(migration) != before and ended(migration)), LONG)
        if started(migration) == before:
            raise run.not_yet(
                f"The migration had run before. It was not started again, and the execution {run.in_words()}.",
                "start(arn, again=True) starts what has run before.",
            )
        callback_id, item = self._waits(case), self._item(case)
        if item.get("StartedBefore") != before:
            raise run.not_yet(
                f"Its run before had begun at {before}, and StartedBefore is {item.get('StartedBefore')!r}.",
                "When the latest run before ours Started.",
            )
        _succeed(callback_id, {})
        self._judge_success(case, {})

    def starts_once(self, lost, lost_ended):
        if not on_sandbox():
            return
        what = "The call that starts the migration did so, and its answer was lost (fault: unanswered)."
        for case in (lost, lost_ended):
            run, migration = self._runs[case], self._made[case]
            until(lambda run=run: run.look() or run.has_submitted() or run.failures() > 1, LONG)
            if run.look() or not run.has_submitted():
                raise run.not_yet(
                    f"{what} The submitter ran again, and the execution {run.in_words()}.",
                    "The next attempt finds out that it was started, and all is well.",
                )
            if case == lost_ended and runs_since(migration, self._first_run):
                raise run.not_yet(
                    f"{what} It had ended when the submitter ran again, and was started a second time.",
                    "However often the submitter runs, it starts the migration once.",
                )
            before = self._item(case).get("StartedBefore")
            if before != "":
                raise run.not_yet(
                    f"{what} It had never run before, and after another attempt StartedBefore was {before!r}.",
                    "StartedBefore stays what it was before the migration was started: look in a step.",
                )
            _succeed(self._waits(case), {})
            self._judge_success(case, {})

    def times_out(self, late, unheard):
        run = self._runs[late]
        if not eventually(run.look):
            raise run.not_yet(
                f"With TimeoutSeconds 3 and no answer for longer the execution {run.in_words()}.",
                "A timeout bounds the wait.",
            )
        if run.status != "FAILED" or run.error != "MigrationTimedOut":
            raise run.not_yet(
                f"With TimeoutSeconds 3, no answer, and a migration that still ran, the execution {run.in_words()}.",
                "It fails: MigrationTimedOut.",
            )
        run = self._runs[unheard]
        eventually(run.look)
        finished = self._made[unheard].describe()["ReplicationTaskStats"].get("StopDate")
        if run.error == "MigrationTimedOut" and not (finished and finished < run.outcome["EndTimestamp"]):
            raise SandboxProblem("This machine is too busy to finish a small migration in three seconds.")
        if run.status != "SUCCEEDED" or run.result != {"ReplicationTaskArn": self._made[unheard].arn}:
            raise run.not_yet(
                f"The migration finished, its event was lost (fault: drop), TimeoutSeconds was 3, and the execution "
                f"{run.in_words()}.",
                "It looks once more before it gives up, and ends as the migration did.",
            )


def _succeed(callback_id, result):
    clients.of("lambda").send_durable_execution_callback_success(CallbackId=callback_id, Result=json.dumps(result))


# -- task 3 -----------------------------------------------------------------------------------------------------------

# An execution of this waits for an answer, and returns what was sent.
_WAITS = """
from aws_durable_execution_sdk_python import durable_execution
from aws_durable_execution_sdk_python.config import Duration, WaitForCallbackConfig


@durable_execution
def lambda_handler(event, context):
    limits = {name: Duration.from_seconds(seconds) for name, seconds in event.items()}
    return context.wait_for_callback(lambda *_: None, name="answer", config=WaitForCallbackConfig(**limits))
"""
HEARTBEAT = 4  # seconds; of executions that are kept awake
MADE_UP = "bm90IGEgY2FsbGJhY2s="


def task_3(lab):
    say, table = function(lab, "say"), Table(lab, "Id")
    _needs(lab, "migrate", 2)
    migrate = durable_function(lab, "migrate")
    function(lab, "resume")
    waits = deploy.function(lab.name("check-waits"), _WAITS, durable=600) + ":$LATEST"
    cases = dict.fromkeys(("twice", "early", "late"), "finishes")
    made = small_migrations(lab, cases | {"fails": "fails", "sets-aside": "sets a table aside"})
    table.delete(*(one.arn for one in made.values()))
    if on_sandbox():
        for case, kind in {"twice": "duplicate", "early": "early", "late": "delay"}.items():
            fault(kind, made[case], **({"seconds": 1} if kind == "delay" else {}))
    print("Waiting for events, and keeping an execution awake for longer than its heartbeat ...")
    check = _Tell(say, waits)
    runs = {}
    try:
        for case, one in made.items():
            runs[case] = DurableRun(migrate, {"ReplicationTaskArn": one.arn, "TimeoutSeconds": TIMEOUT})
        check.begin()
        side_by_side(check.succeeds, check.fails, check.is_too_late, check.keeps_awake)
        _judge_told(runs, made)
        check.resumes_what_is_closed(lab, made["twice"], table)
    finally:
        check.end()
        for run in runs.values():
            run.stop()
        table.delete(*(one.arn for one in made.values()))
    return "Every answer arrived, once, and what came late, again or for nobody did no harm."


class _Tell:
    """What task 3 asks of the function, which `say` calls. waits: the qualified name of a function that waits."""

    def __init__(self, say, waits):
        self._say, self._waits, self._runs = say, waits, {}

    def begin(self):
        for case in ("expired", "data", "empty", "false", "failed", "stopped", "deleted"):
            self._runs[case] = DurableRun(self._waits, {"timeout": 1 if case == "expired" else TIMEOUT})

    def end(self):
        for run in self._runs.values():
            run.stop()

    def _callback(self, run):
        if not until(lambda: run.callback_ids(), LONG):
            raise SandboxProblem("This machine is too busy: a function did not begin to wait. Try again later.")
        return run.callback_ids()[0]

    def _tell(self, callback_id, **what):
        return invoke(self._say, {"callback_id": callback_id, **what}).error

    def _must(self, what, missing, run, **said):
        error = self._tell(self._callback(run), **said)
        if error:
            raise NotYet(f"{what}, and tell raised {error}.", missing)

    def succeeds(self):
        for case, result in {"data": {"rows": 3, "missing": {"city": 1}}, "empty": {}, "false": False}.items():
            run, call = self._runs[case], f"tell(callback_id, success={result!r})"
            self._must(f"For {call} an execution waited", "It answers success.", run, success=result)
            if not eventually(run.look):
                raise run.not_yet(f"After {call} the execution {run.in_words()}.", "It answers success.")
            if run.status != "SUCCEEDED" or _json(run.result) != result:
                sent = f" with {shortened(repr(run.result))}" if run.status == "SUCCEEDED" else ""
                raise run.not_yet(f"After {call} the execution {run.in_words()}{sent}.", "Success, with JSON text.")
        run, nothing = self._runs["data"], "There is nobody to tell any more: nothing happens."
        self._must("The callback had been answered, success came again", nothing, run, success={"rows": 4})
        self._must("The callback had been answered, a failure came", nothing, run, failure=["TooLate", "Really."])
        self._must("The callback had been answered, a sign of life came", nothing, run)

    def fails(self):
        run, message = self._runs["failed"], "Last Error Table travel.airports, line 49."
        self._must("An execution waited", "It answers failure.", run, failure=["MigrationFailed", message])
        if not eventually(run.look) or run.status != "FAILED":
            raise run.not_yet(f"After a failure was told the execution {run.in_words()}.", "It answers failure.")
        [error] = [
            event["CallbackFailedDetails"]["Error"]["Payload"]
            for event in run.events()
            if event["EventType"] == "CallbackFailed"
        ]
        if (error.get("ErrorType"), error.get("ErrorMessage")) != ("MigrationFailed", message):
            raise run.not_yet(
                f"tell(callback_id, failure=('MigrationFailed', {message!r})) sent {json.dumps(error)}.",
                "ErrorType and ErrorMessage.",
            )

    def is_too_late(self):
        nothing = "There is nobody to tell any more: nothing happens."
        until(self._runs["expired"].look, LONG)
        self._must("The callback had timed out, success came", nothing, self._runs["expired"], success={})
        stopped, deleted = self._runs["stopped"], self._runs["deleted"]
        gone = self._callback(deleted)
        self._callback(stopped)
        for run in (stopped, deleted):
            run.stop()
            until(run.look, LONG)
        clients.of("lambda").delete_durable_execution(DurableExecutionArn=deleted.arn)
        self._must("The execution had been stopped, success came", nothing, stopped, success={})
        error = self._tell(gone, success={})
        if error:
            raise NotYet(f"The execution had been deleted, success came, and tell raised {error}.", nothing)
        if not self._tell(MADE_UP, success={}):
            raise NotYet(
                "For an ID that never was one (InvalidParameterValueException) tell ended without an error.",
                "Only what comes late, again or for an execution that is gone is no fault. All else is raised.",
            )

    def keeps_awake(self):
        def begin():
            limits = {"heartbeat_timeout": HEARTBEAT, "timeout": TIMEOUT}
            run = self._runs["awake"] = DurableRun(self._waits, limits)
            return run, self._callback(run)

        def beat(callback_id):
            error = self._tell(callback_id)
            if error:
                raise NotYet(f"For a sign of life tell raised {error}.", "A heartbeat.")

        _kept_awake(begin, beat, "tell(callback_id), with neither success nor failure, is a heartbeat and no more.")

    def resumes_what_is_closed(self, lab, migration, table):
        """An event that comes again finds an item whose callback was answered long ago."""
        closed = self._callback(self._runs["data"])
        table.put(Id=migration.arn, CallbackId=closed, ExpiresAt=int(time.time()) + 600, StartedBefore="")
        error = invoke(lab.name("resume"), {"resources": [migration.arn]}).error
        table.delete(migration.arn)
        if error:
            raise NotYet(
                f"An event came again after its callback was answered, and {lab.name('resume')} raised {error}.",
                "There is nobody to tell any more: nothing happens.",
            )


def _kept_awake(begin, beat, missing):
    """Keep an execution awake with a sign of life every second, for longer than its heartbeat.

    begin: gives (DurableRun, what beat takes). beat: sends a sign of life. missing: what NotYet says where it ends.
    It begins anew where the machine was too busy to send signs in time. Raises SandboxProblem where it always is.
    """
    for _ in range(3):
        run, about = begin()
        since = began = _callback_began(run)
        while since < began + HEARTBEAT + 1:
            beat(about)
            over, now = run.look(), time.time()
            if now - since > HEARTBEAT - 0.5:
                break
            if over:
                raise run.not_yet(
                    f"A sign of life came every second, its heartbeat_timeout was {HEARTBEAT}, and the execution "
                    f"{run.in_words()}.",
                    missing,
                )
            since = now
            time.sleep(1)
        else:
            return
        run.stop()
    raise SandboxProblem(f"This machine is too busy to send signs of life every {HEARTBEAT} seconds. Try again later.")


def _callback_began(run):
    """When its first callback was made, in seconds since 1970."""
    until(lambda: run.callback_ids() or run.look(), LONG)
    moments = [event["EventTimestamp"] for event in run.events() if event["EventType"] == "CallbackStarted"]
    if not moments:
        raise run.not_yet(f"Without a callback the execution {run.in_words()}.", "It waits for a callback.")
    return moments[0].timestamp()


def _json(text):
    """What JSON text says; something that is equal to nothing where it is none."""
    try:
        return json.loads(text)
    except (TypeError, ValueError):
        return object()


_EVENTS = {
    "twice": "the event sent twice (fault: duplicate)",
    "early": "the event sent before the start call returned (fault: early)",
    "late": "the event sent a second late (fault: delay)",
    "fails": "a migration that failed",
    "sets-aside": "a migration that finished without one of its tables",
}


def _judge_told(runs, made):
    until(lambda: all(ended(one) for one in made.values()), LONG)
    eventually(lambda: all([run.look() for run in runs.values()]))
    for case, run in runs.items():
        observed = f"With {_EVENTS[case]} the execution of migrate {run.in_words()}."
        if case in ("fails", "sets-aside"):
            message = made[case].describe().get("LastFailureMessage", "")
            if run.status != "FAILED" or run.error != "MigrationFailed" or message not in run.message:
                raise run.not_yet(observed, "It fails: MigrationFailed, with DMS's message where there is one.")
        elif run.status != "SUCCEEDED" or run.result != {"ReplicationTaskArn": made[case].arn}:
            raise run.not_yet(observed, "It succeeds, with what resume tells.")


# -- task 4 -----------------------------------------------------------------------------------------------------------

SILENCE = 5  # seconds; the HeartbeatSeconds of executions whose vendor says nothing
WORDS = "Half of it is missing."


def task_4(lab):
    check = durable_function(lab, "check")
    _needs(lab, "say", 3)
    function(lab, "callback")
    table, verirow = Table(lab, "Id"), signed_up(lab)
    table.find("nobody")
    rows = [{"iata": "ABC", "city": "Guam"}, {"iata": "DEF"}]
    rehearsals = dict.fromkeys(("reports", "fails", "endless", "bounded"), QUIET) | {
        "overloaded": {**QUIET, "answers": [503, "lost"]},
        "refused": {**QUIET, "answers": [400] * MANY},
        "done": {"silent": True, "seconds": 0, "rows": rows},
        "failed": {"silent": True, "seconds": 0, "fails": WORDS},
        # Its callback comes before the answer to the order.
        "quick": {"seconds": 0, "answers": ["overtaken"], "rows": rows},
    }
    print("Waiting for a vendor that is silent, and keeping an execution awake for longer than its heartbeat ...")
    limits = {case: {"HeartbeatSeconds": SILENCE} for case in ("done", "failed", "endless")}
    limits["bounded"] = {"TimeoutSeconds": SILENCE}
    usual = {"HeartbeatSeconds": TIMEOUT - 1, "TimeoutSeconds": TIMEOUT}
    tables = rehearse(lab, verirow, rehearsals)
    runs = {}

    def begin(case):
        event = {"Table": tables[case], **usual, **limits.get(case, {})}
        runs[case] = Checking(check, event, verirow)

    def chatty():
        its_table = rehearse(lab, verirow, {"chatty": QUIET})["chatty"]
        event = {"Table": its_table, "HeartbeatSeconds": HEARTBEAT, "TimeoutSeconds": TIMEOUT}
        runs["chatty"] = Checking(check, event, verirow)
        return runs["chatty"]

    try:
        begin("overloaded")
        # Then there is a process of each function to serve the others, and nobody waits for ten new ones.
        until(lambda: verirow.orders(tables["overloaded"]) or runs["overloaded"].look(), LONG)
        for case in tables.keys() - runs.keys():
            begin(case)
        side_by_side(
            lambda: _reports(runs["reports"], runs["fails"]),
            lambda: _orders_once(runs["overloaded"], runs["refused"]),
            lambda: _saves_first(runs["quick"]),
            lambda: _asks(runs, {"rows": 2, "missing": {"city": 1}, "out_of_range": 0}),
            lambda: _keeps_awake(chatty),
        )
        _gives_nothing_away(runs)
    finally:
        for run in runs.values():
            run.stop()
    return "It orders once, hears the vendor, takes progress for a sign of life, and asks before it gives up."


class Checking(DurableRun):
    """An execution that waits for the vendor's check of a table. url: the callback URL that the vendor got."""

    def __init__(self, function, input, verirow):
        super().__init__(function, input)
        self.table, self.vendor, self._url = input["Table"], verirow, None

    def checks(self):
        return self.vendor.checks(self.table)

    def vendor_had_ended(self):
        """Whether the vendor was done with its check when this execution ended."""
        ended = [check["ended"] for check in self.checks()]
        return all(moment and datetime.fromisoformat(moment) < self.outcome["EndTimestamp"] for moment in ended)

    @property
    def url(self):
        """Raises NotYet where no order of it was taken."""
        if self._url is None:
            until(lambda: self.checks() or self.look(), LONG)
            found = self.checks()
            if not found:
                raise self.not_yet(
                    f"The vendor got no order that it could take, and the execution {self.in_words()}.",
                    "The submitter orders a check.",
                )
            self._url = found[0]["callback_url"]
        return self._url


def _reports(run, failing):
    messages = Messages(run.vendor)
    must_succeed(messages.report(run), "A report that came to the callback URL")
    eventually(run.look)
    if run.status != "SUCCEEDED" or run.result != REPORT:
        told = f" with {shortened(repr(run.result))}" if run.status == "SUCCEEDED" else ""
        raise run.not_yet(f"A report came, and the execution {run.in_words()}{told}.", "Success: the report, as data.")
    must_succeed(messages.report(run), "A report that came a second time")
    must_succeed(messages.failure(failing), "A failure that came to the callback URL")
    eventually(failing.look)
    if failing.status != "FAILED" or failing.error != "CheckFailed" or WORDS not in failing.message:
        raise failing.not_yet(
            f"The vendor said: {WORDS} The execution {failing.in_words()}.",
            "It fails: CheckFailed, with the vendor's message.",
        )


def _keeps_awake(begin):
    """begin: gives an execution whose vendor works on and on, with HeartbeatSeconds HEARTBEAT."""

    def begin_one():
        run = begin()
        run.url  # noqa: B018  the vendor has taken the order
        return run, run

    def beat(run):
        must_succeed(Messages(run.vendor).progress(run), "A progress callback")

    _kept_awake(begin_one, beat, "Progress is a heartbeat, and no more than that.")


def _orders_once(run, refused):
    until(lambda: len(run.vendor.orders(run.table)) > 2 or run.look(), LONG)
    what = "The vendor was overloaded at first (503), then took the order and lost its answer (502)."
    if run.look() or len(run.vendor.orders(run.table)) < 3:
        raise run.not_yet(f"{what} The execution {run.in_words()}.", "VendorUnavailable is tried again.")
    until(lambda: len(run.checks()) > 1, 0.5)
    urls = {json.loads(order["body"])["callback_url"] for order in run.vendor.orders(run.table)}
    if len(run.checks()) > 1 or len(urls) > 1:
        raise run.not_yet(
            f"{what} The submitter ran again, and the vendor got {len(urls)} addresses and makes {len(run.checks())} "
            "checks for one execution.",
            "One address for each execution, however often the handler runs: what is random belongs into a step.",
        )
    must_succeed(Messages(run.vendor).report(run), "A report that came after all that")
    eventually(run.look)
    if run.status != "SUCCEEDED":
        raise run.not_yet(f"{what} A report came, and the execution {run.in_words()}.", "It succeeds.")
    until(lambda: refused.look() or "VendorRefused" in refused.tried_again_after(), LONG)
    if "VendorRefused" in refused.tried_again_after():
        raise refused.not_yet("The vendor refused the order (400), and it was ordered again.", "No use in that.")
    if refused.status != "FAILED":
        raise refused.not_yet(f"The vendor refused the order, and the execution {refused.in_words()}.", "It fails.")


def _saves_first(run):
    def answers():
        return [told["answer"] for check in run.checks() for told in check["deliveries"]]

    until(lambda: answers() or run.look(), LONG)
    refused = [status for status in answers() if is_final(status)]
    if refused:
        raise run.not_yet(
            f"The vendor called back before it had answered the order. It was answered with {refused[0]}.",
            "The address leads to the callback ID before the order is on its way.",
        )
    eventually(run.look)
    if run.status != "SUCCEEDED":
        raise run.not_yet(
            f"The vendor called back before it had answered the order, and the execution {run.in_words()}.",
            "It succeeds.",
        )


def _asks(runs, report):
    said = f"and never called; HeartbeatSeconds was {SILENCE}. The execution"
    for case in ("done", "failed", "endless"):
        run = runs[case]
        if not eventually(run.look, looks=54):
            raise run.not_yet(f"The vendor took the order, {said} {run.in_words()}.", "It does not wait for ever.")
    done, failed, endless = runs["done"], runs["failed"], runs["endless"]
    if any(run.error == "VendorSilent" and not run.vendor_had_ended() for run in (done, failed)):
        raise SandboxProblem("This machine is too busy: the vendor was asked before it was done. Try again later.")
    if done.status != "SUCCEEDED" or done.result != report:
        raise done.not_yet(
            f"The vendor had its report at once, {said} {done.in_words()}.", "It asks, and returns the report."
        )
    if failed.status != "FAILED" or failed.error != "CheckFailed" or WORDS not in failed.message:
        raise failed.not_yet(
            f"The check failed at once, {said} {failed.in_words()}.", "It asks, and fails: CheckFailed, as it was told."
        )
    if endless.status != "FAILED" or endless.error != "VendorSilent":
        raise endless.not_yet(
            f"The vendor worked on and on, {said} {endless.in_words()}.", "It asks, and fails: VendorSilent."
        )
    bounded = runs["bounded"]
    if not eventually(bounded.look) or bounded.error != "VendorSilent":
        raise bounded.not_yet(
            f"The vendor worked on and on; HeartbeatSeconds was {TIMEOUT - 1}, TimeoutSeconds {SILENCE}. The execution "
            f"{bounded.in_words()}.",
            "After TimeoutSeconds it asks, and fails with VendorSilent where there is no report.",
        )


def _gives_nothing_away(runs):
    addresses = {case: run.url.rpartition("/")[2] for case, run in runs.items() if case != "refused"}
    for case, address in addresses.items():
        run = runs[case]
        secret = run.callback_ids()[0]
        orders = [order["body"] + json.dumps(order["headers"]) for order in run.vendor.orders(run.table)]
        if any(piece in text for piece in pieces(secret) for text in orders):
            raise NotYet("The vendor's log has your callback ID: it was in the order.", "It stays at home.")
        known = {"the callback ID": secret, "the execution's ARN": run.arn, "its name": run.arn.split("/")[-2]}
        for what, text in known.items():
            if text in run.url or any(made in run.url for made in computed(text)):
                raise NotYet(f"The address {address[:80]} can be computed from {what}.", "An address that is random.")
    bits = random_bits(list(addresses.values()))
    if bits < FEWEST_BITS:
        shown = ", ".join(list(addresses.values())[:3])
        raise NotYet(
            f"Addresses of {len(addresses)} executions: {shown[:150]}, ... That is {bits:.0f} random bits at most.",
            f"At least {FEWEST_BITS} random bits, another one for each execution.",
        )


# -- task 5 -----------------------------------------------------------------------------------------------------------


def task_5(lab):
    nightly = durable_function(lab, "nightly")
    for thing, number in (("resume", 3), ("callback", 4)):
        _needs(lab, thing, number)
    table, verirow = Table(lab, "Id"), signed_up(lab)
    made = small_migrations(lab, {"both": "finishes", "check-fails": "is slow", "migration-fails": "fails"})
    table.delete(*(one.arn for one in made.values()))
    tables = rehearse(lab, verirow, dict.fromkeys(made, QUIET))
    runs = {}
    try:
        for case, one in made.items():
            event = {"ReplicationTaskArn": one.arn, "Table": tables[case]}
            limits = {"HeartbeatSeconds": TIMEOUT - 1, "TimeoutSeconds": TIMEOUT}
            runs[case] = Checking(nightly, {**event, **limits}, verirow)
        side_by_side(
            lambda: _both_succeed(runs["both"], made["both"]),
            lambda: _check_fails(runs["check-fails"], made["check-fails"]),
            lambda: _migration_fails(runs["migration-fails"], made["migration-fails"]),
        )
    finally:
        for run in runs.values():
            run.stop()
        stop(made["check-fails"])
        table.delete(*(one.arn for one in made.values()))
    return "Both waits begin at once, and when one of them fails, nothing is left running."


def _both_succeed(run, migration):
    must_succeed(Messages(run.vendor).report(run), "The report of a check that was begun beside the migration")
    eventually(run.look)
    expected = {"Migration": {"ReplicationTaskArn": migration.arn}, "Report": REPORT}
    if run.status != "SUCCEEDED" or run.result != expected:
        told = f" with {shortened(json.dumps(run.result))}" if run.status == "SUCCEEDED" else ""
        raise run.not_yet(
            f"The migration finished, the report came, and the execution {run.in_words()}{told}.",
            f"Success, with {json.dumps(expected)[:60]}...",
        )


def _check_fails(run, migration):
    eventually(lambda: run.checks() or run.look())
    if not run.checks():
        raise run.not_yet(
            f"The migration was under way, the vendor had got no order, and the execution {run.in_words()}.",
            "Both begin at once; neither waits for the other.",
        )
    until(lambda: migration.describe()["Status"] == "running" or run.look(), LONG)
    must_succeed(Messages(run.vendor).failure(run), "The failure of a check")
    eventually(run.look)
    if run.status != "FAILED" or WORDS not in run.message:
        raise run.not_yet(
            f"The check failed while the migration was under way; the vendor said: {WORDS} The execution "
            f"{run.in_words()}.",
            "It fails soon, with the vendor's message.",
        )
    if migration.describe()["Status"] not in ("stopping", "stopped"):
        raise run.not_yet(
            f"The check failed, the execution {run.in_words()}, and the migration was left "
            f"{migration.describe()['Status']}.",
            "A migration that nobody wants any more is stopped.",
        )


def _migration_fails(run, migration):
    eventually(lambda: migration.describe()["Status"] != "ready" or run.look())
    if migration.describe()["Status"] == "ready":
        raise run.not_yet(
            f"The check was under way, the migration was not started, and the execution {run.in_words()}.",
            "Both begin at once; neither waits for the other.",
        )
    until(lambda: ended(migration), LONG)
    eventually(run.look)
    message = migration.describe()["LastFailureMessage"]
    if run.status != "FAILED" or message not in run.message:
        raise run.not_yet(
            f"The migration failed while the check was under way, and the execution {run.in_words()}.",
            "It fails soon, with DMS's message, and does not wait for the vendor.",
        )


# -- task 6 -----------------------------------------------------------------------------------------------------------

_APPROVALS = {
    "approved": "somebody approves of a migration that finishes",
    "fails": "somebody approves of a migration that fails",
    "sets-aside": "somebody approves of a migration that sets one of its tables aside",
    "refused": "somebody does not approve",
    "silent": "nobody answers for two seconds",
}


def task_6(lab):
    approve, table = durable_function(lab, "approve"), Table(lab, "Id")
    machine = state_machine(lab, "inherited")
    cases = {"approved": "finishes", "fails": "fails", "sets-aside": "sets a table aside"}
    cases |= {"refused": "finishes", "silent": "finishes"}
    both = [(which, case) for case in cases for which in ("theirs", "mine")]
    made = small_migrations(lab, {f"{which}-{case}": cases[case] for which, case in both})
    lose_events(*made.values())
    runs = {}
    try:
        for which, case in both:
            number = f"check-{which}-{case}"
            table.delete(number)
            event = {"Id": number, "ReplicationTaskArn": made[f"{which}-{case}"].arn, "PollSeconds": 1}
            event["TimeoutSeconds"] = 2 if case == "silent" else TIMEOUT
            runs[which, case] = DurableRun(approve, event) if which == "mine" else Run(machine, event)
        for which, case in both:
            if case != "silent":
                _answer(table, f"check-{which}-{case}", runs[which, case], {"Approved": case != "refused", "By": "Ana"})
        eventually(lambda: all([run.look() for run in runs.values()]))
        for case in cases:
            _judge_same(_APPROVALS[case], runs["theirs", case], runs["mine", case])
        for case in ("refused", "silent"):
            if made[f"mine-{case}"].describe()["Status"] != "ready":
                raise NotYet(f"When {_APPROVALS[case]}, the migration was started.", "It is not.")
    finally:
        for which, case in both:
            run = runs.get((which, case))
            if run and not run.look():
                run.stop()
            table.delete(f"check-{which}-{case}")
    return f"In {len(cases)} cases the durable function ended as the state machine did."


def _answer(table, key, run, answer):
    """Answer whoever waits under that key, as the application would."""
    until(lambda: table.find(key) or run.look(), LONG)
    item = table.find(key)
    if not item or not (item.get("TaskToken") or item.get("CallbackId")):
        raise run.not_yet(
            f"The execution {run.in_words()}, and under its Id there is no CallbackId in {table.name}.",
            'save(event["Id"], callback_id, seconds)',
        )
    if "TaskToken" in item:
        clients.of("stepfunctions").send_task_success(taskToken=item["TaskToken"], output=json.dumps(answer))
    else:
        _succeed(item["CallbackId"], answer)


def _judge_same(what, theirs, mine):
    if mine.status == "RUNNING":
        raise mine.not_yet(f"When {what}, the execution {mine.in_words()}.", f"The state machine {theirs.in_words()}.")
    if theirs.status == "SUCCEEDED":
        wanted = theirs.output
        if mine.status != "SUCCEEDED" or mine.result != wanted:
            told = f" with {shortened(json.dumps(mine.result))}" if mine.status == "SUCCEEDED" else ""
            raise mine.not_yet(
                f"When {what}, the state machine gives {json.dumps(wanted)}. The durable function {mine.in_words()}"
                f"{told}.",
                "The same result.",
            )
    else:
        error, cause = theirs.outcome["error"], theirs.outcome["cause"]
        if mine.status != "FAILED" or mine.error != error or cause != mine.message:
            raise mine.not_yet(
                f"When {what}, the state machine {theirs.in_words()}. The durable function {mine.in_words()}.",
                "The same error and cause.",
            )


# -- parts of several tasks -------------------------------------------------------------------------------------------


def _needs(lab, thing, number):
    try:
        function(lab, thing)
    except NotAttempted:
        raise NotAttempted(f"There is no {lab.name(thing)} yet: do task {number} first.") from None
