"""Lab 02: wait for a migration with a task token, and let DMS's own event end the wait.

The contracts of the tasks, as the lab states them. Who waits stands in the table `waiting`, an item for each:
ReplicationTaskArn (its key), TaskToken, Execution (ARN), CreatedAt and ExpiresAt (seconds since 1970), StartedBefore
(the StartDate of the task's run before this one, in UTC as str() gives it; "" where it never ran).

- 1, function `start`: gets {"ReplicationTaskArn", "TaskToken", "Execution", "TimeoutSeconds"}; saves the token, then
  starts the task. The same token again changes nothing and starts nothing twice. A new token of the same execution
  takes the old one's place and starts nothing that already runs. It raises for an execution other than the one that
  still waits, and what DMS raises where the start fails; a failed start and an expired item stand in nobody's way.
- 2, state machine `migrate`: gets {"ReplicationTaskArn", "TimeoutSeconds"}, invokes `start` and waits for the answer.
  SUCCEEDED with the answer's output; FAILED with the failure's cause in its own; FAILED with the error
  MigrationTimedOut when no answer came for TimeoutSeconds.
- 3, rule `ended`: on the default bus, matches what ends a replication task and nothing else, and invokes `resume`.
- 4, function `resume`: gets an event, asks DMS, and answers: success with an object that has the key
  ReplicationTaskArn; failure with the error MigrationFailed and a cause that contains DMS's LastFailureMessage where
  there is one. It answers nobody while the task is under way or has only ended its run before, takes a closed token
  for answered, and raises on every other fault.
- 5, function `reconcile`: gets {"OlderThanSeconds"}; does for every item that old what `resume` does, however many
  pages they are; one that it cannot settle does not keep it from the others.
- 6, function `measure(history, ended)`: (state transitions, USD for 1,000 migrations, seconds late); and the dict
  `polling_is_right`, {"A": True or False, ...}.
"""

import concurrent.futures
import datetime
import json
import math
import time
import types

from workshop import clients, deploy, logs
from workshop.checking.dms_events import MAY_MATCH, MUST_MATCH, MUST_NOT_MATCH, failed, stopped
from workshop.checks import NotAttempted, NotYet, Task, shortened
from workshop.checks.callbacks import (
    LONG,
    Table,
    Waiters,
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
from workshop.checks.watching import Run, state_machine, until
from workshop.events import fault
from workshop.executions import PRICE_PER_TRANSITION, History

TASKS = {
    1: Task(
        "Save the token, then start",
        hints=(
            "Which line must come first, if the migration could end before the next line runs? A conditional put_item "
            "is the only write that can also say no: what may stand in the table, if we are to take its place?",
            "Three cases may be overwritten: no item (attribute_not_exists), an item of the same execution, an item "
            "that expired. In a ConditionExpression they are joined with OR; the values come from "
            "ExpressionAttributeValues.",
            "When the same execution comes again, its first attempt may have started the migration already. Keep the "
            "old StartedBefore then, and look whether its run has begun: it is under way, or started(task) is not "
            "StartedBefore any more.",
            "If start(task) raises, nobody waits: forget the item, and raise again, so that the state fails.",
        ),
    ),
    2: Task(
        "A state that waits for an answer",
        hints=(
            "The Resource that invokes a function and then waits is arn:aws:states:::lambda:invoke.waitForTaskToken. "
            "Its Arguments are FunctionName and Payload.",
            "The token is in the context object: $states.context.Task.Token in JSONata ($$.Task.Token in JSONPath). "
            "The execution's ARN is $states.context.Execution.Id.",
            "TimeoutSeconds takes an expression too (in JSONPath it is TimeoutSecondsPath). Two Catchers, the more "
            'special first: States.Timeout, then States.ALL. With "Output": "{% $states.errorOutput %}" the next '
            "state gets Error and Cause.",
        ),
    ),
    3: Task(
        "A rule for the end of a migration",
        hints=(
            "Look at the event that you saw, not at the API's field names: which fields differ between a start and an "
            "end? A pattern has the event's structure, with a list of allowed values at each leaf.",
            "Three things say enough: source, detail-type, and detail.eventType with two values. A failure has the "
            "category Failure, so a pattern with the category StateChange never sees one.",
            "put_targets tells the rule whom to invoke. Whether it may is for the function to say: add_permission of "
            "the Lambda client, with Action lambda:InvokeFunction, Principal events.amazonaws.com and the rule's ARN "
            "as SourceArn.",
        ),
    ),
    4: Task(
        "Look, then answer",
        hints=(
            "The event is a nudge: it may be old, or come twice. So answer does not even get it: decide from what DMS "
            "says now, which is in task.",
            "Nobody is answered while verdict(task) is None, nor while started(task) is what the item has as "
            "StartedBefore: then the run that we wait for has not begun.",
            "send_task_success takes JSON text as output: json.dumps({...}). send_task_failure takes error and cause.",
            "Catch stepfunctions.exceptions.TaskTimedOut and nothing else: the token was answered before or has "
            "expired, and that is the end of it. Then forget the item. Whatever else is raised is a fault that "
            "somebody must see.",
        ),
    ),
    5: Task(
        "Never stuck",
        hints=(
            "All that is needed for one item you have written: answer(item), which is imported already.",
            "A Scan gives at most 1 MB. Either ask again with ExclusiveStartKey for as long as there is a "
            'LastEvaluatedKey, or let boto3 do so: table.meta.client.get_paginator("scan").',
            "An item is old when its CreatedAt is OlderThanSeconds ago or more. Put the try around the answer to one "
            "item, so that the loop goes on.",
        ),
    ),
    6: Task(
        "Compare, and decide",
        hints=(
            "history.transitions and price() are there already; the moment of the last event is "
            'history.events[-1]["timestamp"].',
            "For each job: can the other side tell you when it is done? And would what you save by not asking pay for "
            "a table, two functions, a rule and somebody who understands them?",
        ),
    ),
}

TIMEOUT = 600  # seconds, of executions that a check expects to be answered: more than any check takes
ATTRIBUTES = ("TaskToken", "Execution", "CreatedAt", "ExpiresAt", "StartedBefore")  # of an item, beside its key
CASES = {
    "twice": "the event sent twice (fault: duplicate)",
    "early": "the event sent before the start call returned (fault: early)",
    "late": "the event sent a second late (fault: delay)",
    "reordered": "the start announced after the end (fault: reorder)",
    "fails": "a migration that failed",
}


def task_1(lab):
    start, table = function(lab, "start"), Table(lab)
    table.find("nobody")
    cases = dict.fromkeys(("fastest", "ended", "again"), "finishes") | dict.fromkeys(("retried", "by-hand"), "is slow")
    made = small_migrations(lab, cases)
    waiters = Waiters(lab)
    first, second = waiters.begin("check-first"), waiters.begin("check-second")
    table.delete("check-second", *(one.arn for one in made.values()))
    lose_events(*made.values(), runs=2)
    made["again"].start()
    made["by-hand"].start()
    check = _Start(start, table, first, second)
    try:
        side_by_side(lambda: check.saves_first(made["fastest"]), lambda: check.all_the_rest(made))
    finally:
        for one in (first, second):
            one.end()
        stop(made["retried"], made["by-hand"])
        table.delete("check-first", *(one.arn for one in made.values()))
    return "The token is saved before the start, nothing starts twice, and nobody who waits is overwritten."


class _Start:
    """What task 1 asks of the function. first, second: two executions that wait."""

    def __init__(self, function, table, first, second):
        self._function, self._table, self._first, self._second = function, table, first, second

    def _invoke(self, migration, waiter, token=None):
        event = {
            "ReplicationTaskArn": migration.arn,
            "TaskToken": token or waiter.token,
            "Execution": waiter.arn,
            "TimeoutSeconds": 3600,
        }
        return invoke(self._function, event)

    def _must(self, what, missing, *arguments):
        invoked = self._invoke(*arguments)
        if invoked.error:
            raise NotYet(f"{what}, and the function raised {invoked.error}.", missing)

    def all_the_rest(self, made):
        self.is_retried(made["retried"])
        self.starts_once(made["ended"])
        self.is_not_blocked(made["again"])
        self.fails(made["by-hand"])

    def saves_first(self, migration):
        if on_sandbox():
            # The call that starts it is not answered until the end was announced, and then for two seconds more.
            fault("early", migration, seconds=2)
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            running = pool.submit(self._invoke, migration, self._first)
            until(lambda: migration.describe()["Status"] != "ready" or running.done(), LONG)
            saved_in_time = self._table.find(migration.arn)
        error = running.result().error
        if error:
            raise NotYet(
                f"The migration had never run, and the function raised {error}.", "It saves the token and starts it."
            )
        item = self._table.find(migration.arn)
        if not item:
            raise NotYet(
                f"After the function had ended there was no item of the migration in {self._table.name}.",
                "The token is saved in the table, by the replication task's ARN.",
            )
        if migration.describe()["Status"] == "ready":
            raise NotYet("The function ended without an error, and the migration was not started.", "It starts it.")
        if not saved_in_time:
            raise NotYet(
                "The migration's end was announced before the start call returned (fault: early), and its token was "
                "not in the table yet.",
                "The fastest event finds its token.",
            )
        self._judge_item(item)

    def _judge_item(self, item):
        missing = [name for name in ATTRIBUTES if name not in item]
        if missing:
            raise NotYet(f"The item has no {', '.join(missing)}.", "An item as new_item makes it.")
        if item["TaskToken"] != self._first.token:
            raise NotYet("The TaskToken in the item is not the one that the function got.", "The token, unchanged.")
        try:
            lives = int(item["ExpiresAt"]) - int(item["CreatedAt"])
        except (TypeError, ValueError):
            lives = None
        if lives != 3600:
            raise NotYet(
                f"With TimeoutSeconds 3600 the item has CreatedAt {item['CreatedAt']} and ExpiresAt "
                f"{item['ExpiresAt']}.",
                "Numbers of seconds since 1970; it expires when the token does.",
            )

    def is_retried(self, migration):
        self._must("The migration had never run", "It saves the token and starts it.", migration, self._first)
        before = self._table.find(migration.arn)
        until(lambda: migration.describe()["Status"] in ("running", "ready"), LONG)
        self._must("The same token came a second time", "It changes nothing.", migration, self._first)
        if self._table.find(migration.arn) != before:
            raise NotYet("The same token came a second time, and the item was changed.", "It changes nothing.")
        clients.of("stepfunctions").send_task_failure(taskToken=self._first.token, error="Again")
        token = self._first.next_token(but=self._first.token)
        self._must(
            "A new token of the same execution came while its migration was under way",
            "The new token takes the old one's place, and nothing is started.",
            *(migration, self._first, token),
        )
        item = self._table.find(migration.arn) or {}
        if item.get("TaskToken") != token:
            raise NotYet(
                "After a new token of the same execution (its state was retried) the table still had the old one, "
                "which is dead.",
                "The new token takes the old one's place.",
            )
        if item.get("StartedBefore") != before["StartedBefore"]:
            raise NotYet(
                f"The same execution came again while its migration was under way, and StartedBefore changed from "
                f"{before['StartedBefore']!r} to {item.get('StartedBefore')!r}: the run that it waits for would be "
                "taken for the one before.",
                "StartedBefore stays what it was before the migration was started.",
            )
        invoked = self._invoke(migration, self._second)
        if not invoked.error:
            raise NotYet(
                "Another execution came while the first one waited, and the function ended without an error.",
                "Another execution that still waits is not overwritten: the function raises.",
            )
        if (self._table.find(migration.arn) or {}).get("TaskToken") != token:
            raise NotYet(
                f"Another execution came while the first one waited. The function raised {invoked.error}, and the "
                "token of the first one was gone from the table.",
                "The item of the execution that waits stays.",
            )

    def starts_once(self, migration):
        self._must("The migration had never run", "It saves the token and starts it.", migration, self._first)
        until(lambda: ended(migration) or migration.describe()["Status"] == "ready", LONG)
        run = started(migration)
        self._must(
            "The same token came again after the migration had ended",
            "It starts nothing twice.",
            *(migration, self._first),
        )
        if runs_since(migration, run):
            raise NotYet(
                "The same token came again after the migration had ended, and it was started a second time.",
                "The same token starts nothing twice.",
            )

    def is_not_blocked(self, migration):
        until(lambda: ended(migration), LONG)
        run, now = started(migration), int(time.time())
        self._table.put(
            ReplicationTaskArn=migration.arn,
            TaskToken="a token of last week",
            Execution=f"{self._second.arn}-of-last-week",
            CreatedAt=now - 7200,
            ExpiresAt=now - 3600,
            StartedBefore="",
        )
        self._must(
            "The table had an item that expired an hour ago",
            "An item that has expired does not block, and a migration that has run before is started again.",
            *(migration, self._first),
        )
        item = self._table.find(migration.arn) or {}
        if item.get("TaskToken") != self._first.token:
            raise NotYet("An item that expired an hour ago was not replaced.", "The token is saved in its place.")
        if not runs_since(migration, run):
            raise NotYet("A migration that had run before was not started again.", "It is started.")
        if item.get("StartedBefore") != run:
            raise NotYet(
                f"The migration had run before, at {run}, and StartedBefore is {item.get('StartedBefore')!r}.",
                "StartedBefore: when it had last been started before this.",
            )

    def fails(self, migration):
        until(lambda: migration.describe()["Status"] == "running", LONG)
        invoked = self._invoke(migration, self._first)
        if not invoked.error:
            raise NotYet(
                "The migration ran already, started by hand; DMS refused to start it, and the function ended without "
                "an error.",
                "If the start fails, the function fails with that error.",
            )
        if "InvalidResourceState" not in invoked.error:
            raise NotYet(
                f"DMS refused to start a migration that ran already, and the function raised {invoked.error}.",
                "The error that DMS gave: InvalidResourceStateFault.",
            )
        stop(migration)
        self._must(
            "The start had failed for one execution, another one came",
            "An execution whose start failed does not wait, and stands in nobody's way.",
            *(migration, self._second),
        )


def task_2(lab):
    machine, table = state_machine(lab, "migrate"), Table(lab)
    _needs(lab, "start", 1)
    made = small_migrations(lab, {"succeeds": "is slow", "fails": "is slow", "late": "is slow", "refused": "is slow"})
    table.delete(*(one.arn for one in made.values()))
    made["refused"].start()
    until(lambda: made["refused"].describe()["Status"] == "running", LONG)
    timeouts = {"late": 2}
    print("Waiting for a timeout of two seconds ...")
    runs = {case: _run(machine, one, timeouts.get(case, TIMEOUT)) for case, one in made.items()}
    stepfunctions = clients.of("stepfunctions")
    try:
        tokens = {case: _token_of(runs[case], table, made[case]) for case in ("succeeds", "fails")}
        output = {"ReplicationTaskArn": made["succeeds"].arn, "Rows": 3000}
        cause = "Last Error Table travel.airports, line 49. Stop Reason FATAL_ERROR"
        success = {"taskToken": tokens["succeeds"], "output": json.dumps(output)}
        failure = {"taskToken": tokens["fails"], "error": "MigrationFailed", "cause": cause}
        _answer(runs["succeeds"], stepfunctions.send_task_success, success)
        _answer(runs["fails"], stepfunctions.send_task_failure, failure)
        until(lambda: all([run.look() for case, run in runs.items() if case != "late"]), LONG)
        eventually(runs["late"].look)
        _judge_success(runs["succeeds"], output)
        _judge_failure(runs["fails"], "it was answered with a failure", cause)
        _judge_failure(runs["refused"], "its start function raised", "InvalidResourceState")
        _judge_late(runs["late"])
    finally:
        for run in runs.values():
            if not run.look():
                run.stop()
        stop(*made.values())
        table.delete(*(one.arn for one in made.values()))
    return "It waits for its answer, tells a failure from a timeout, and does not wait for ever."


def _token_of(run, table, migration):
    """The token that the learner's start function saved for this execution."""

    def saved():
        item = table.find(migration.arn)
        return item["TaskToken"] if item else None

    until(lambda: saved() or run.look(), LONG)
    if not saved():
        raise run.not_yet(
            f"The execution {run.in_words()}, and no token of it came into the table.",
            "It invokes the function start with ReplicationTaskArn, TaskToken, Execution and TimeoutSeconds.",
        )
    if run.look():
        raise run.not_yet(
            f"The execution {run.in_words()}, before anybody had answered.", "It waits for the answer to its token."
        )
    return saved()


def _answer(run, send, answer):
    client = clients.of("stepfunctions")
    try:
        send(**answer)
    except client.exceptions.InvalidToken:
        raise run.not_yet(
            f"Step Functions does not know the token that start got: {shortened(answer['taskToken'])!r}.",
            "The token of the waiting state, from the context object.",
        ) from None
    except client.exceptions.TaskTimedOut:
        run.look()
        raise run.not_yet(
            f"Nobody waits any more with the token that start got: the execution {run.in_words()}.",
            "A state that waits for the answer.",
        ) from None


def _judge_success(run, output):
    if run.status != "SUCCEEDED":
        raise run.not_yet(f"It was answered with success, and the execution {run.in_words()}.", "It ends SUCCEEDED.")
    if run.output != output:
        raise run.not_yet(
            f"It was answered with {json.dumps(output)}, and its output is {shortened(json.dumps(run.output))}.",
            "The output of the answer as its output.",
        )


def _judge_failure(run, what, cause):
    if run.status != "FAILED":
        raise run.not_yet(f"When {what}, the execution {run.in_words()}.", "It ends FAILED.")
    if run.outcome.get("error") == "MigrationTimedOut":
        raise run.not_yet(
            f"When {what}, the execution {run.in_words()}.", "MigrationTimedOut is for a wait that timed out."
        )
    if cause not in run.outcome.get("cause", ""):
        raise run.not_yet(f"When {what}, the execution {run.in_words()}.", "The cause of the failure in its cause.")


def _judge_late(run):
    observed = f"With TimeoutSeconds 2 in its input, and no answer for longer, the execution {run.in_words()}."
    if run.status == "RUNNING":
        raise run.not_yet(observed, "It waits for TimeoutSeconds, and no longer.")
    if run.status != "FAILED" or run.outcome.get("error") != "MigrationTimedOut":
        raise run.not_yet(observed, "FAILED with the error MigrationTimedOut.")


def task_3(lab):
    events, name = clients.of("events"), lab.name("ended")
    try:
        rule = events.describe_rule(Name=name)
    except events.exceptions.ResourceNotFoundException:
        raise NotAttempted(f"There is no rule named {name}.") from None
    function(lab, "resume")
    if not rule.get("EventPattern"):
        raise NotYet("The rule has no event pattern.", "A pattern that matches the end of a replication task.")
    _judge_pattern(events, rule["EventPattern"])
    _judge_delivery(lab, rule)
    return f"The pattern is right about {len(MUST_MATCH + MUST_NOT_MATCH)} events, and a real one was delivered."


def _judge_delivery(lab, rule):
    """Raise NotYet where an event that the rule matches does not reach the function."""
    name, resume = lab.name("resume"), function(lab, "resume")
    if rule["State"] == "DISABLED":
        raise NotYet("The rule is switched off.", "A rule that is enabled.")
    targets = clients.of("events").list_targets_by_rule(Rule=rule["Name"])["Targets"]
    if not any(target["Arn"].startswith(resume) for target in targets):
        shown = ", ".join(target["Arn"] for target in targets) or "none"
        raise NotYet(f"The targets of the rule: {shown}.", f"The function {name} is a target.")
    announced = small_migrations(lab, {"announced": "finishes"})["announced"]
    invoke(resume, stopped(announced.arn))  # nobody waits for it: from here on its process is there, and quick
    before = logs.invocations(name)
    announced.start()
    until(lambda: ended(announced), LONG)
    if not eventually(lambda: logs.invocations(name) > before, looks=32):
        raise NotYet(
            f"A migration ended, the rule matched, and {name} was not invoked.",
            "The function's policy lets this rule invoke it.",
        )


def _judge_pattern(events, pattern):
    for wanted, samples in ((True, MUST_MATCH), (False, MUST_NOT_MATCH), (None, MAY_MATCH)):
        for what, event in samples:
            matches = events.test_event_pattern(EventPattern=pattern, Event=json.dumps(event))["Result"]
            if wanted is not None and matches != wanted:
                said = "does not match" if wanted else "matches"
                missing = "the end of every run" if wanted else "nothing but the end of a run"
                raise NotYet(
                    f"The pattern {said} {what}:", f"It matches {missing} of a replication task.", events=_shown(event)
                )


def _shown(event):
    """The parts of an event that patterns look at, a line each."""
    yield f"source: {event['source']}, detail-type: {event['detail-type']}"
    for key in ("category", "eventType", "detailMessage", "eventName", "Status"):
        if key in event["detail"]:
            yield f"detail.{key}: {event['detail'][key]}"


def task_4(lab):
    resume, table = function(lab, "resume"), Table(lab)
    machine = _pipeline(lab)
    cases = dict.fromkeys(("finished", "early", "late", "reordered"), "finishes") | {"slow": "is slow"}
    made = small_migrations(lab, cases | {"failed": "fails", "sets-aside": "sets a table aside"})
    direct = [made[case] for case in ("finished", "failed", "sets-aside", "slow")]
    table.delete(*(one.arn for one in made.values()))
    lose_events(*direct)
    for one in direct:
        one.start()
    runs = _begin_with_faults(machine, {case: made[case] for case in ("early", "late", "reordered")})
    check = _Resume(resume, table, Waiters(lab))
    try:
        check.finished(made["finished"])
        check.failed(made["failed"])
        check.set_aside(made["sets-aside"])
        check.stopped(made["slow"])
        table.delete(*(one.arn for one in direct))
        again = {"twice": made["finished"], "fails": made["failed"]}
        runs |= _begin_with_faults(machine, again)
        _judge_endings(lab, runs, made | again)
    finally:
        check.end()
        for run in runs.values():
            if not run.look():
                run.stop()
        stop(made["slow"])
        table.delete(*(one.arn for one in made.values()))
    return "It looks before it answers, and every event, late, early or twice, ended the right execution once."


class _Resume:
    """What task 4 asks of the function, invoked with events of the check's own."""

    def __init__(self, function, table, waiters):
        self._function, self._table, self._waiters, self._begun = function, table, waiters, []

    def end(self):
        for waiter in self._begun:
            waiter.end()

    def _begin(self, migration, **item):
        self._begun.append(self._waiters.begin(migration.arn, **item))
        return self._begun[-1]

    def _answered(self, waiter, event):
        """Invoke the function for an execution that it should answer."""
        invoked = invoke(self._function, event)
        if invoked.error:
            raise NotYet(f"The function raised {invoked.error}.", "It answers the execution that waits.")
        if not eventually(waiter.look, looks=32):
            raise waiter.not_yet(
                "The function ended without an error, and the execution that waited was not answered.",
                "The token from the table is answered.",
            )

    def finished(self, migration):
        until(lambda: ended(migration), LONG)
        event = stopped(migration.arn)
        earlier = self._begin(migration, started_before=started(migration))
        invoke(self._function, event)
        if earlier.look():
            raise earlier.not_yet(
                "The migration was about to be started again (its StartDate was still StartedBefore) when the event of "
                f"its earlier run came, and the execution {earlier.in_words()}.",
                "The end of an earlier run answers nobody.",
            )
        waiter = self._begin(migration)
        self._answered(waiter, event)
        if waiter.status != "SUCCEEDED":
            raise waiter.not_yet(f"The migration finished, and the execution {waiter.in_words()}.", "It succeeds.")
        if not isinstance(waiter.output, dict) or waiter.output.get("ReplicationTaskArn") != migration.arn:
            raise waiter.not_yet(
                f"The output of the answer is {shortened(json.dumps(waiter.output))}.",
                "An object with the key ReplicationTaskArn, which the next state can use.",
            )
        if self._table.find(migration.arn):  # else nobody waits, and it may raise
            self._must_pass(event, "The same event came twice (fault: duplicate)")
        closed = self._begin(migration)
        closed.stop()
        self._must_pass(event, "The execution that had waited was stopped, so its token was closed (TaskTimedOut)")
        self._begin(migration)
        self._table.change(migration.arn, "TaskToken", "made up")
        if not invoke(self._function, event).error:
            raise NotYet(
                "The token in the table was no token at all (InvalidToken), and the function ended without an error.",
                "Only a closed token is nothing to worry about. Any other fault is raised, so that somebody sees it.",
            )
        if not self._table.find(migration.arn):
            raise NotYet(
                "The function raised since it could not answer (InvalidToken), and the item was gone.",
                "The item stays until the answer was given: Lambda tries again, and needs it.",
            )

    def _must_pass(self, event, what):
        invoked = invoke(self._function, event)
        if invoked.error:
            raise NotYet(f"{what}, and the function raised {invoked.error}.", "There is nothing to do, and no fault.")

    def failed(self, migration):
        until(lambda: ended(migration), LONG)
        self._judge_failed(migration, failed(migration.arn), "failed")

    def set_aside(self, migration):
        until(lambda: ended(migration), LONG)
        self._judge_failed(migration, stopped(migration.arn), "finished without one of its tables")

    def stopped(self, migration):
        until(lambda: migration.describe()["Status"] == "running", LONG)
        waiter = self._begin(migration)
        invoke(self._function, stopped(migration.arn))
        if waiter.look():
            raise waiter.not_yet(
                f"A stopped event came while the migration was under way, and the execution {waiter.in_words()}.",
                "An event only says: look. While the migration is under way nobody is answered.",
            )
        waiter.end()
        stop(migration)
        self._judge_failed(migration, stopped(migration.arn, "NORMAL"), "was stopped by somebody")

    def _judge_failed(self, migration, event, what):
        waiter = self._begin(migration)
        self._answered(waiter, event)
        if waiter.status != "FAILED":
            raise waiter.not_yet(
                f"A migration that {what}: the execution {waiter.in_words()}.", "The answer is a failure."
            )
        if waiter.outcome.get("error") != "MigrationFailed":
            raise waiter.not_yet(
                f"A migration that {what}: the execution {waiter.in_words()}.", "The error MigrationFailed."
            )
        message = migration.describe().get("LastFailureMessage", "")
        if not waiter.outcome.get("cause") or message not in waiter.outcome["cause"]:
            raise waiter.not_yet(
                f"A migration that {what}: the execution {waiter.in_words()}.",
                "A cause, with DMS's LastFailureMessage where there is one.",
            )


def _pipeline(lab):
    """The ARN of the state machine, once all the parts are there that an event goes through."""
    for thing, number in (("start", 1), ("migrate", 2), ("ended", 3)):
        _needs(lab, thing, number)
    return deploy.arn("states", f"stateMachine:{lab.name('migrate')}")


def _begin_with_faults(machine, made):
    """Executions of the learner's state machine, {case: Run}, each with the fault of CASES that its name says."""
    if on_sandbox():
        kinds = {"twice": "duplicate", "early": "early", "late": "delay", "reordered": "reorder"}
        more = {"late": {"seconds": 1}, "reordered": {"events": ["REPLICATION_TASK_STARTED"]}}
        for case in kinds.keys() & made.keys():
            fault(kinds[case], made[case], **more.get(case, {}))
    return {case: _run(machine, one) for case, one in made.items()}


def _judge_endings(lab, runs, made):
    until(lambda: all(ended(made[case]) for case in runs), LONG)
    if not eventually(lambda: all([run.look() for run in runs.values()])):
        rule = clients.of("events").describe_rule(Name=lab.name("ended"))
        _judge_delivery(lab, rule)  # a function that hears nothing cannot answer
    for case, run in runs.items():
        observed = f"With {CASES[case]} the execution {run.in_words()}."
        expected = "FAILED" if case == "fails" else "SUCCEEDED"
        if run.status != expected:
            raise run.not_yet(observed, f"It ends {expected}.")
        message = made[case].describe().get("LastFailureMessage", "")
        if message not in run.outcome.get("cause", ""):
            raise run.not_yet(observed, "DMS's message in the cause.")


def task_5(lab):
    reconcile, table = function(lab, "reconcile"), Table(lab)
    machine = _pipeline(lab)
    function(lab, "resume")
    cases = {"lost": "finishes", "lost-too": "finishes", "lost-failure": "fails"}
    made = small_migrations(lab, cases | {"under-way": "is slow", "late": "is slow"})
    table.delete(*(one.arn for one in made.values()))
    lose_events(*made.values())
    deleted = [f"{made['lost'].arn.rpartition(':')[0]}:0{number}" for number in range(4)]
    print("Waiting for events that do not come, and for a timeout of two seconds ...")
    runs = {case: _run(machine, one, 2 if case == "late" else TIMEOUT) for case, one in made.items()}
    lost = list(cases)
    try:
        until(lambda: all(ended(made[case]) for case in lost), LONG)
        if not eventually(runs["late"].look):
            raise runs["late"].not_yet(
                "The event of a migration was lost (fault: drop), and with TimeoutSeconds 2 its execution "
                f"{runs['late'].in_words()}.",
                "A timeout bounds the wait.",
            )
        if not until(lambda: all(table.find(one.arn) for one in made.values()), LONG):
            raise NotYet("An execution waits, and its item is not in the table.", "A start function as in task 1.")
        stop(made["late"])
        _fill(table, deleted, [one.arn for one in made.values()])
        _reconcile(reconcile, 3600)
        for case in lost:
            if runs[case].look():
                raise runs[case].not_yet(
                    f"With OlderThanSeconds 3600 an execution that had waited for seconds {runs[case].in_words()}.",
                    "Only tokens that are as old as OlderThanSeconds, or older.",
                )
        error = _reconcile(reconcile, 0)
        _judge_reconciled(runs, made, lost, error)
    finally:
        for run in runs.values():
            if not run.look():
                run.stop()
        stop(made["under-way"], made["late"])
        table.delete(*deleted, *(one.arn for one in made.values()))
    return "Every event was lost, and no execution is left waiting."


def _fill(table, deleted, waiting):
    """Make the table three pages of a Scan: items of tasks that are no more, and large ones of those that wait.

    deleted: ARNs, which come first in the sandbox, where items are in order; on AWS they are in none.
    """
    now = int(time.time())
    times = {"CreatedAt": now, "ExpiresAt": now + 3600, "StartedBefore": ""}
    for arn in deleted:
        item = {"ReplicationTaskArn": arn, "TaskToken": "of a task that was deleted", "Execution": "gone", **times}
        table.put(**item, Padding="x" * 350_000)
    for arn in waiting:
        table.change(arn, "Padding", "x" * 200_000)  # still less than what an output may have


def _reconcile(reconcile, seconds):
    return invoke(reconcile, {"OlderThanSeconds": seconds}).error


def _judge_reconciled(runs, made, lost, error):
    eventually(lambda: all([runs[case].look() for case in lost]), looks=32)
    raised = f" The function raised {error}." if error else ""
    waiting = [runs[case] for case in lost if runs[case].status == "RUNNING"]
    if waiting:
        raise waiting[0].not_yet(
            f"All events were lost (fault: drop). After reconcile {len(waiting)} of {len(lost)} executions whose "
            f"migration had ended were still waiting; the items fill three pages of a Scan, one token has expired, and "
            f"some items are of tasks that were deleted.{raised}",
            "Every item on every page, and one that cannot be settled does not keep it from the others.",
        )
    for case in lost:
        expected = "FAILED" if "failure" in case else "SUCCEEDED"
        message = made[case].describe().get("LastFailureMessage", "")
        if runs[case].status != expected or message not in runs[case].outcome.get("cause", ""):
            raise runs[case].not_yet(
                f"The event was lost (fault: drop), and after reconcile the execution {runs[case].in_words()}.",
                f"It ends {expected}, as the event would have ended it.",
            )
    if runs["under-way"].look():
        raise runs["under-way"].not_yet(
            f"The migration was still under way, and after reconcile the execution {runs['under-way'].in_words()}.",
            "Nobody is answered while the migration is under way.",
        )


JOBS = ("A", "B", "C", "D")
_POLLING_IS_RIGHT = {"A": False, "B": True, "C": False, "D": True}


def task_6(lab):
    measure, choices = lab.user("measure"), lab.user("polling_is_right")
    for what, history, late in _MEASURED:
        ended = history.events[-1]["timestamp"] - datetime.timedelta(seconds=late)
        _judge_measured(what, measure(history, ended), history, late)
    if not isinstance(choices, dict) or set(choices) != set(JOBS):
        raise NotYet(f"polling_is_right is {shortened(repr(choices))}.", "A dict with the keys A, B, C and D.")
    blank = [job for job in JOBS if choices[job] is ...]
    if blank:
        raise NotAttempted(f"In polling_is_right there is still `...` for {', '.join(blank)}.")
    wrong = sum(bool(choices[job]) != right for job, right in _POLLING_IS_RIGHT.items())
    if wrong:
        raise NotYet(
            f"{len(JOBS) - wrong} of {len(JOBS)} jobs are decided as their descriptions suggest.",
            "Polling is right where nobody can tell you, or where it costs next to nothing.",
        )
    return "Measured, and decided for four jobs."


def _judge_measured(what, measured, history, late):
    try:
        transitions, usd, seconds = (float(number) for number in measured)
    except (TypeError, ValueError):
        raise NotYet(
            f"measure gives {shortened(repr(measured))}.", "Three numbers: transitions, USD for 1,000, seconds late."
        ) from None
    if transitions != history.transitions:
        raise NotYet(
            f"For {what} measure gives {transitions:g} state transitions.",
            f"The {history.transitions} of its history, retries counted.",
        )
    if not math.isclose(usd, history.transitions * PRICE_PER_TRANSITION * 1000, rel_tol=0.01):
        raise NotYet(
            f"For {transitions:g} state transitions measure gives {usd:g} USD for 1,000 migrations.",
            "USD 0.025 for 1,000 state transitions, and 1,000 migrations.",
        )
    if abs(seconds - late) > 0.05:
        raise NotYet(
            f"The job ended {late} s before the execution did, and measure gives {seconds:g}.",
            "The seconds from the job's end to the last event of the history.",
        )


def _made_up(*states, step):
    """A history that goes through these states, with `step` seconds between events. A state: (type, attempts)."""
    kinds = ["ExecutionStarted"]
    for kind, attempts in states:
        kinds += [f"{kind}StateEntered", *["TaskScheduled"] * attempts, f"{kind}StateExited"]
    kinds.append("ExecutionSucceeded")
    start, details = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC), {"name": "a state"}
    events = []
    for number, kind in enumerate(kinds, start=1):
        event = {"id": number, "previousEventId": number - 1, "type": kind}
        event["timestamp"] = start + datetime.timedelta(seconds=number * step)
        if kind.endswith(("StateEntered", "StateExited")):
            event[f"state{kind.partition('State')[2]}EventDetails"] = details
        events.append(event)
    return History("made-up", events)


_PASS = (("Wait", 0), ("Task", 1), ("Choice", 0))
_MEASURED = [
    ("a loop of three passes", _made_up(("Task", 1), *_PASS * 3, ("Succeed", 0), step=0.5), 1.5),
    ("a state that was answered", _made_up(("Task", 1), ("Succeed", 0), step=1.25), 0.25),
    ("a state that was retried twice", _made_up(("Task", 3), step=2), 4.0),
]


# -- parts of several tasks --------------------------------------------------------------------------------------------


def _needs(lab, thing, number):
    """Raise NotAttempted where a part is missing that an earlier task makes."""
    client = clients.of("events")
    try:
        if thing == "ended":
            client.describe_rule(Name=lab.name(thing))
        else:
            {"start": function, "migrate": state_machine}[thing](lab, thing)
    except (NotAttempted, client.exceptions.ResourceNotFoundException):
        raise NotAttempted(
            f"It works together with {lab.name(thing)}, which is not there yet: do task {number} first "
            f"(after three tries lab.solution({number}) shows one)."
        ) from None


def _run(machine, migration, timeout=TIMEOUT):
    """An execution of the learner's state machine, once its start function was invoked.

    So of several that begin one after the other, one process of that function can serve all: it is quicker.
    """
    run = Run(machine, {"ReplicationTaskArn": migration.arn, "TimeoutSeconds": timeout})
    until(lambda: run.look() or migration.describe()["Status"] != "ready", 1)
    return run


EXERCISES = {
    number: types.SimpleNamespace(
        title=task.title,
        hints=task.hints,
        stretch=task.stretch,
        check=lambda lab, seed, number=number: globals()[f"task_{number}"](lab),
    )
    for number, task in TASKS.items()
}
