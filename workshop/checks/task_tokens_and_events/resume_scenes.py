"""How the cases of lab 02's fourth exercise play: the events that `resume` gets, and what goes wrong meanwhile."""

import concurrent.futures
import dataclasses
import time
from collections.abc import Mapping, Sequence

from workshop import clients, faults
from workshop.checking import migrations
from workshop.checking.calls import lines_of_calls
from workshop.checking.dms_events import failed, stopped
from workshop.checking.executions import Execution
from workshop.checking.exercises import Case, Draw, on_sandbox
from workshop.checking.migrations import LONG
from workshop.checking.resources import Table, invoke, was_held
from workshop.checking.waiters import Waiters
from workshop.checking.waiting import side_by_side, until
from workshop.checks.task_tokens_and_events.migrate_scenes import Watched
from workshop.events import fault

ENDS = 5  # seconds of patience with an execution that ends only if it was answered
ANSWERS = ["states:SendTaskSuccess", "states:SendTaskFailure"]


@dataclasses.dataclass(frozen=True)
class Told:
    """One event that the function got, and what came of it.

    what: how things stood, a sentence without its full stop. error: what the function raised, None for nothing.
    execution: the one that waits, as it stood afterwards. item: the one in the table afterwards, {} for none.
    """

    what: str
    error: str | None
    execution: Execution
    item: Mapping

    def __str__(self):
        """As the beginning of a message."""
        return f"{self.what}, and the function " + (
            f"raised {self.error.rstrip('.')}" if self.error else "ended without an error"
        )


@dataclasses.dataclass(frozen=True)
class Answers:
    """What was seen of a case. told: the events, in order. migration: what DMS said of it in the end.

    evidence: the calls that the function made, and the end of the execution's history.
    """

    about: str
    told: Sequence[Told]
    migration: Mapping
    facts: Mapping = dataclasses.field(default_factory=dict)
    evidence: Sequence[str] = ()


class Scene:
    """One case while it plays. input: what the case says."""

    def __init__(self, case, function, table, waiters, migration, input):
        self.case, self.function, self.table, self.migration, self.input = case, function, table, migration, input
        self._waiters, self.waiter = waiters, None
        self.told, self.facts = [], {}

    @property
    def arn(self):
        return self.migration.arn

    def waits(self, **item):
        """An execution waits for the migration from now on."""
        self.waiter = self._waiters.begin(self.arn, **item)

    def runs(self, times=1):
        """The migration runs to its end, so often."""
        for time_ in range(times):
            self.migration.start("reload-target" if time_ else "start-replication")
            until(lambda: migrations.ended(self.migration), LONG, "a migration to end")

    def begins(self):
        """The migration runs, and takes its time."""
        self.migration.start()
        until(lambda: self.migration.describe()["Status"] == "running", LONG, "a migration to run")

    def tell(self, what, event=None, *, answered=True):
        """The function gets an event; returns what came of it.

        answered: whether the execution should end by it, so that it is worth to wait for that. Where its item is gone,
            somebody holds it for answered.
        """
        error = invoke(self.function, event or stopped(self.arn)).error
        ends = not error and (answered or not self.table.find(self.arn))
        until(self.waiter.look, ENDS if ends else 0.3, "an execution to be answered")
        seen = self.waiter.seen(self.case.about)
        self.told.append(Told(what, error, seen, self.table.find(self.arn) or {}))
        return self.told[-1]

    def fault(self, **what):
        return {"function": self.function.rpartition(":")[2], **what}

    def seen(self):
        calls = lines_of_calls(function=self.function.rpartition(":")[2], resource=self.arn)
        evidence = [*calls[-4:], *(self.told[-1].execution.evidence[-2:] if self.told else ())]
        return Answers(self.case.about, tuple(self.told), self.migration.describe(), self.facts, evidence)

    def forget(self):
        if self.waiter:
            self.waiter.stop()
        self.table.delete(self.arn)


def play(lab, function: str, table: Table, cases: Mapping[str, Case], draw: Draw) -> dict[str, Answers]:
    """Play these cases side by side; returns what was seen of each."""
    table.find("nobody")
    waiters = Waiters(lab)

    def play_one(name, case, migration):
        scene = Scene(case, function, table, waiters, migration, draw.values(name, case.input))
        try:
            case.play(scene)
            return scene.seen()
        finally:
            scene.forget()

    with migrations.small_migrations(lab, {name: case.migration for name, case in cases.items()}) as made:
        migrations.lose_events(*made.values(), runs=2)
        seen = side_by_side(*(lambda n=name: play_one(n, cases[n], made[n]) for name in cases))
    return dict(zip(cases, seen, strict=True))


# -- events that `resume` gets -----------------------------------------------------------------------------------------


def told_of_its_end(scene):
    scene.waits()
    scene.runs()
    what = {"fails": "failed", "sets a table aside": "finished without one of its tables"}
    event = failed(scene.arn) if scene.case.migration == "fails" else stopped(scene.arn)
    scene.tell(f"A migration {what.get(scene.case.migration, 'finished')}", event)


def told_of_a_second_run(scene):
    scene.runs()
    before = migrations.started(scene.migration)
    scene.migration.start("reload-target")
    until(lambda: migrations.ended(scene.migration), LONG, "a migration to end")
    began = scene.migration.describe()["ReplicationTaskStats"]["StartDate"].timestamp()
    until(lambda: int(time.time()) > began, LONG, "a second to pass")  # an item's CreatedAt is in whole seconds
    scene.waits(started_before=before)
    scene.tell(
        "A migration that had run before finished again (its state had been retried meanwhile, so that the item was "
        "younger than the run)"
    )


def told_of_a_stop(scene):
    scene.begins()
    scene.waits()
    migrations.stop(scene.migration)
    scene.tell("A migration was stopped by somebody", stopped(scene.arn, "NORMAL"))


def told_what_is_old(scene):
    scene.begins()
    scene.waits()
    what = "An event of long ago came while the migration was under way"
    scene.tell(what, _long_ago(scene.arn), answered=False)


def told_of_the_run_before(scene):
    scene.runs()
    scene.waits(started_before=migrations.started(scene.migration))
    what = "The event of an earlier run came, and the run that is waited for had not begun (StartDate is StartedBefore)"
    scene.tell(what, answered=False)


def told_too_early(scene):
    """DMS tells of the task as it was before its end, so often."""
    scene.runs()
    scene.waits()
    times = scene.input["looks"]
    fault("stale", scene.migration, count=times)
    looks = "once" if times == 1 else f"{times} times"
    scene.tell(f"The end was announced, and DMS said {looks} that the migration still runs (fault: stale)")


def told_while_it_runs_on(scene):
    scene.begins()
    scene.waits()
    scene.tell("The end was announced, and DMS said over and over that the migration still runs", answered=False)


def told_of_a_closed_token(scene):
    scene.runs()
    scene.waits()
    scene.waiter.stop()
    scene.tell("The execution that had waited was stopped, so its token was closed (TaskTimedOut)", answered=False)


def told_of_a_token_that_is_none(scene):
    scene.runs()
    scene.waits()
    scene.table.change(scene.arn, "TaskToken", "made up")
    scene.tell("The token in the table was no token at all (InvalidToken)", answered=False)


def refused_and_told_again(scene):
    scene.runs()
    scene.waits()
    operation, code = scene.input["operation"], scene.input["code"]
    about = scene.waiter.token if operation in ANSWERS else scene.arn
    refuses = scene.fault(fault="refuse", operation=operation, resource=about, code=code)
    with faults.during(refuses, label="check-4") as made:
        scene.tell(f"{operation} was refused ({code})", answered=False)
        scene.facts["met"] = made.met[0]
    scene.tell("The event came again, and nothing was refused any more")


def died_and_told_again(scene):
    """The function's process is killed, before its answer is given or after."""
    scene.runs()
    scene.waits()
    where = scene.input["where"]
    kill = scene.fault(fault="kill", operation=ANSWERS, resource=scene.waiter.token, where=where)
    with faults.during(kill, label="check-4"):
        scene.tell(f"The function died just {where} its answer (fault: kill)", answered=where == "after")
    scene.tell(f"The function had died just {where} its answer (fault: kill); the event came again")


def answers_while_the_state_is_retried(scene):
    """The answer is on its way; before it arrives the state is retried, and waits with another token."""
    scene.runs()
    scene.waits()
    gate = scene.fault(fault="hold", operation=ANSWERS, resource=scene.waiter.token, seconds=40)
    what = "While its answer was on its way, the state was retried and saved a new token (fault: hold)"
    with faults.during(gate, label="check-4") as made, concurrent.futures.ThreadPoolExecutor(1) as pool:
        running = pool.submit(scene.tell, what, answered=False)
        until(lambda: made.records[0].get("held") or running.done(), LONG, "an answer")
        if not running.done():
            dead = scene.waiter.token
            clients.of("stepfunctions").send_task_failure(taskToken=dead, error="Again")
            scene.facts["newest"] = scene.waiter.next_token(but=dead)
        made.end()
    was_held(made, running.result().error)


def _long_ago(arn):
    return {**stopped(arn), "time": "2026-01-01T00:00:00Z"}


# -- events of real runs, through all the parts ------------------------------------------------------------------------

WRONG = {  # what goes wrong with the event that ends the run: (kind of fault, its options)
    "twice": ("duplicate", {}),
    "early": ("early", {}),
    "late": ("delay", {"seconds": 1}),
    "out of order": ("reorder", {"events": ["REPLICATION_TASK_STARTED"]}),
}


def play_pipeline(lab, machine: str, table: Table, cases: Mapping[str, Case]) -> dict[str, Execution]:
    """Executions of the learner's state machine, which wait for real events; returns each as it ended."""

    def play_one(name, case, one):
        if on_sandbox() and name in WRONG:
            kind, options = WRONG[name]
            fault(kind, one, **options)
        run = Watched(machine, {"ReplicationTaskArn": one.arn, "TimeoutSeconds": 600})
        try:
            until(lambda: run.look() or migrations.ended(one), LONG, "a migration to end")
            until(run.look, 2 * ENDS, "an execution to end")
            return run.seen(case.about, migration=one.describe())
        finally:
            run.stop()
            table.delete(one.arn)

    with migrations.small_migrations(lab, {name: case.migration for name, case in cases.items()}) as made:
        seen = side_by_side(*(lambda n=name: play_one(n, cases[n], made[n]) for name in cases))
    return dict(zip(cases, seen, strict=True))
