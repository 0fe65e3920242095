"""How the cases of lab 02's fourth exercise play: the events that `resume` gets, and what goes wrong meanwhile."""

import dataclasses
import datetime
import time
from collections.abc import Mapping, Sequence

from workshop import clients, faults
from workshop.checking import migrations
from workshop.checking.calls import line_of_event, line_of_item, lines_of_calls
from workshop.checking.dms_events import failed, stopped
from workshop.checking.executions import Execution
from workshop.checking.exercises import Case, Draw, on_sandbox
from workshop.checking.migrations import LONG
from workshop.checking.resources import Table, invoke, was_held
from workshop.checking.stories import with_fewest_troubles
from workshop.checking.waiters import Waiters
from workshop.checking.waiting import Pool, side_by_side, until
from workshop.checks.task_tokens_and_events.migrate_scenes import Watched
from workshop.events import fault

ENDS = 5  # seconds of patience with an execution that ends only if it was answered
ANSWERS = ["states:SendTaskSuccess", "states:SendTaskFailure"]
# The errors of the calls that `resume` makes, as the API references of DMS, DynamoDB and Step Functions name them, and
# what a missing permission says. boto3 tries again by itself what is throttled or fails with 5xx: it is not here. Nor
# is what a right answer may take for the end of it: TaskTimedOut, and ConditionalCheckFailedException.
_OF_AN_ANSWER = (
    "TaskDoesNotExist",
    "InvalidToken",
    "AccessDeniedException",
    "KmsAccessDeniedException",
    "KmsInvalidStateException",
)
REFUSALS = {
    "dms:DescribeReplicationTasks": ("AccessDeniedFault", "ResourceNotFoundFault"),
    "dynamodb:GetItem": ("AccessDeniedException", "ResourceNotFoundException"),
    "dynamodb:DeleteItem": ("AccessDeniedException", "ResourceNotFoundException", "TransactionConflictException"),
    "states:SendTaskSuccess": _OF_AN_ANSWER,
    "states:SendTaskFailure": _OF_AN_ANSWER,
}
CALLS = {  # that may be refused: (the calls, the errors)
    "its question to DMS": ("dms:DescribeReplicationTasks", REFUSALS["dms:DescribeReplicationTasks"]),
    "its look into the table": ("dynamodb:GetItem", REFUSALS["dynamodb:GetItem"]),
    "its answer": (ANSWERS, _OF_AN_ANSWER),
    "its deletion of the item": ("dynamodb:DeleteItem", REFUSALS["dynamodb:DeleteItem"]),
}


@dataclasses.dataclass(frozen=True)
class Told:
    """One event that the function got, and what came of it.

    what: how things stood, a sentence without its full stop. error: what the function raised, None for nothing.
    execution: the one that waits, as it stood afterwards. item: the one in the table afterwards, {} for none.
    where: the line that raised the error, as Invoked has it. event: the one that it got.
    """

    what: str
    error: str | None
    execution: Execution
    item: Mapping
    where: str = ""
    event: Mapping = dataclasses.field(default_factory=dict)

    def __str__(self):
        """As the beginning of a message."""
        return f"{self.what}, and the function " + (
            f"raised {self.error.rstrip('.')}{self.where}" if self.error else "ended without an error"
        )

    def lines(self) -> list[str]:
        """The event and the item, as a refusal shows them."""
        return [line_of_event(self.event), line_of_item(self.item)]


@dataclasses.dataclass(frozen=True)
class Answers:
    """What was seen of a case. told: the events, in order. migration: what DMS said of it in the end.

    evidence: the calls that the function made, the last event and the item, and the end of the execution's history.
    """

    about: str
    told: Sequence[Told]
    migration: Mapping
    facts: Mapping = dataclasses.field(default_factory=dict)
    evidence: Sequence[str] = ()


class Scene:
    """One case while it plays. input: what the case says."""

    def __init__(self, case, function, table, waiters, migration, input, chance):
        self.case, self.function, self.table, self.migration, self.input = case, function, table, migration, input
        self.chance = chance
        self._waiters, self.waiter = waiters, None
        self.told, self.facts = [], {}

    @property
    def arn(self):
        return self.migration.arn

    def waits(self, **item):
        """An execution waits for the migration from now on."""
        self.waiter = self._waiters.begin(self.arn, **item)

    def runs(self):
        """The migration runs to its end."""
        self.migration.start()
        until(lambda: migrations.ended(self.migration), LONG, "a migration to end")

    def retried(self):
        """Its state is retried, and waits with a new token, which is in the table; returns it. The old one is dead."""
        dead = self.waiter.token
        clients.of("stepfunctions").send_task_failure(taskToken=dead, error="Again")
        self.waiter.token = self.waiter.next_token(but=dead)
        return self.waiter.token

    def end(self):
        """The event with which the migration's run ended."""
        return failed(self.arn) if self.case.migration == "fails" else stopped(self.arn)

    def begins(self):
        """The migration runs, and takes its time."""
        self.migration.start()
        until(lambda: self.migration.describe()["Status"] == "running", LONG, "a migration to run")

    def tell(self, what, event=None, *, answered=True):
        """The function gets an event; returns what came of it.

        answered: whether the execution should end by it, so that it is worth to wait for that. Where its item is gone,
            somebody holds it for answered.
        """
        event = event or stopped(self.arn)
        invoked = invoke(self.function, event)
        error = invoked.error
        ends = not error and (answered or not self.table.find(self.arn))
        until(self.waiter.look, ENDS if ends else 0.3, "an execution to be answered")
        seen = self.waiter.seen(self.case.about)
        self.told.append(Told(what, error, seen, self.table.find(self.arn) or {}, invoked.where, event))
        return self.told[-1]

    def fault(self, **what):
        return {"function": self.function.rpartition(":")[2], **what}

    def seen(self):
        calls = lines_of_calls(function=self.function.rpartition(":")[2], resource=self.arn)
        end = [*self.told[-1].lines(), *self.told[-1].execution.evidence[-1:]] if self.told else []
        evidence = [*calls[-3:], *end]
        return Answers(self.case.about, tuple(self.told), self.migration.describe(), self.facts, evidence)

    def forget(self):
        if self.waiter:
            self.waiter.stop()
        self.table.delete(self.arn)


def play(lab, function: str, table: Table, cases: Mapping[str, Case], draw: Draw) -> "dict[str, Answers | Story]":
    """Play these cases side by side; returns what was seen of each: a Story of those with two troubles."""
    table.find("nobody")
    waiters = Waiters(lab)

    def play_one(name, case, migration):
        chance = draw.random(f"troubles of {name}")
        scene = Scene(case, function, table, waiters, migration, draw.values(name, case.input), chance)
        try:
            case.play(scene)
            return scene.seen()
        finally:
            scene.forget()

    def story(name, seen):
        def alone(troubles):
            plays = enumerate(map(goes_through, troubles), start=1)
            again = {f"{name} {nth}": dataclasses.replace(cases[name], play=one) for nth, one in plays}
            return play(lab, function, table, again, draw).values()

        whole = Story(seen.about, seen.facts["story"], cases[name].migration == "fails", seen.evidence)
        return with_fewest_troubles(whole, wrong_in, alone)

    with migrations.small_migrations(lab, {name: case.migration for name, case in cases.items()}) as made:
        migrations.lose_events(*made.values(), runs=2)
        seen = side_by_side(*(lambda n=name: play_one(n, cases[n], made[n]) for name in cases))
    found = zip(cases, seen, strict=True)
    return {name: story(name, each) if "story" in each.facts else each for name, each in found}


# -- events that `resume` gets -----------------------------------------------------------------------------------------


def told_of_its_end(scene):
    scene.waits()
    scene.runs()
    what = {"fails": "failed", "sets a table aside": "finished without one of its tables"}
    scene.tell(f"A migration {what.get(scene.case.migration, 'finished')}", scene.end())


def told_of_a_second_run(scene):
    """Its event was slower than the next attempt of the state, whose item is younger than the run and the event."""
    scene.runs()
    before = migrations.started(scene.migration)
    scene.migration.start("reload-target")
    until(lambda: migrations.ended(scene.migration), LONG, "a migration to end")
    event, began = scene.end(), scene.migration.describe()["ReplicationTaskStats"]["StartDate"].timestamp()
    said = datetime.datetime.fromisoformat(event["time"]).timestamp()
    until(lambda: int(time.time()) > max(began, said), LONG, "a second to pass")  # CreatedAt is in whole seconds
    scene.waits(started_before=before)
    scene.tell(
        "A migration that had run before finished again (its state had been retried meanwhile, so that the item was "
        "younger than the run and its event)",
        event,
    )


def told_of_a_stop(scene):
    scene.begins()
    scene.waits()
    migrations.stop(scene.migration)
    scene.tell("A migration was stopped by somebody", stopped(scene.arn, "NORMAL"))


def told_what_is_old(scene):
    """And then, in the same process, of the end, when the state was retried and waits with another token."""
    scene.begins()
    scene.waits()
    what = "An event of long ago came while the migration was under way"
    scene.tell(what, _long_ago(scene.arn), answered=False)
    if not scene.told[0].execution.ended:
        scene.retried()
        migrations.stop(scene.migration)
        scene.tell("Then its state was retried, and the migration was stopped", stopped(scene.arn, "NORMAL"))


def told_of_the_run_before(scene):
    scene.runs()
    scene.waits(started_before=migrations.started(scene.migration))
    what = "The event of an earlier run came, and the run that is waited for had not begun (StartDate is StartedBefore)"
    scene.tell(what, scene.end(), answered=False)


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
    if on_sandbox():
        about = {"operation": "dms:DescribeReplicationTasks", "resource": scene.arn}
        calls = faults.calls(scene.function.rpartition(":")[2], **about)
        scene.facts["looks"] = [call["time"] for call in calls]


def told_of_a_closed_token(scene):
    scene.runs()
    scene.waits()
    scene.waiter.stop()
    how = "failed" if scene.case.migration == "fails" else "finished"
    what = f"A migration {how}, and the execution had been stopped, so its token was closed (TaskTimedOut)"
    scene.tell(what, scene.end(), answered=False)


def told_of_a_token_that_is_none(scene):
    scene.runs()
    scene.waits()
    scene.table.change(scene.arn, "TaskToken", "made up")
    scene.tell("The token in the table was no token at all (InvalidToken)", answered=False)


def refused_and_told_again(scene):
    """In each attempt another call is refused, or with another error, and then none is."""
    scene.runs()
    scene.waits()
    event, scene.facts["met"] = scene.end(), []
    for operation, code in map(str.split, scene.input["refusals"]):
        about = scene.waiter.token if operation in ANSWERS else scene.arn
        refuses = scene.fault(fault="refuse", operation=operation, resource=about, code=code)
        with faults.during(refuses, label="check-4") as made:
            again = "The same event came again, and " if scene.told else ""
            scene.tell(f"{again}{operation} was refused ({code})", event, answered=False)
            scene.facts["met"].append(made.met[0])
        if not scene.told[-1].item:
            break  # nobody waits any more, and what it answers would be waited for each time
    scene.tell("The same event came again, and nothing was refused any more", event)


def died_and_told_again(scene):
    """The function's process is killed, before its answer is given or after."""
    scene.runs()
    scene.waits()
    where, event = scene.input["where"], scene.end()
    kill = scene.fault(fault="kill", operation=ANSWERS, resource=scene.waiter.token, where=where)
    with faults.during(kill, label="check-4"):
        scene.tell(f"The function died just {where} its answer (fault: kill)", event, answered=where == "after")
    scene.tell(f"The function had died just {where} its answer (fault: kill); the same event came again", event)


def answers_while_the_state_is_retried(scene):
    """The answer is on its way; before it arrives the state is retried, and waits with another token."""
    scene.runs()
    scene.waits()
    gate = scene.fault(fault="hold", operation=ANSWERS, resource=scene.waiter.token, seconds=40)
    what = "While its answer was on its way, the state was retried and saved a new token (fault: hold)"
    with faults.during(gate, label="check-4") as made, Pool(1) as pool:
        running = pool.submit(scene.tell, what, answered=False)
        until(lambda: made.records[0].get("held") or running.done(), LONG, "an answer")
        if not running.done():
            scene.facts["newest"] = scene.retried()
        made.end()
    was_held(made, running.result().error)


def _long_ago(arn):
    return {**stopped(arn), "time": "2026-01-01T00:00:00Z"}


# -- pairs of faults --------------------------------------------------------------------------------------------------

DIES_BEFORE, DIES_AFTER, REFUSED, LOST, UNDER_WAY, RETRIED, CLEAN = (
    "the function was killed just before its answer",
    "the function was killed just after its answer",
    "a call of the function was refused",
    "the answer arrived, and what Step Functions said to it got lost",
    "DMS said once that the migration still runs (fault: stale)",
    "its state had been retried, and waited with a new token",
    "nothing went wrong",
)


@dataclasses.dataclass(frozen=True)
class Trouble:
    """What goes wrong with one delivery of the event, of those above.

    call, code: of a refusal, one of CALLS and an error. tries: which of Step Functions' words get lost, "one" or "all".
    """

    what: str
    call: str = "its answer"
    code: str = "TaskDoesNotExist"
    tries: str = "one"


@dataclasses.dataclass(frozen=True)
class Delivery:
    """One delivery of the event, and what came of it. met: whether the trouble came about."""

    trouble: Trouble
    told: Told
    met: bool = False


@dataclasses.dataclass(frozen=True)
class Story:
    """The same event, delivered a few times, one after the other, the last of them with nothing in its way."""

    about: str
    deliveries: Sequence[Delivery]
    failed: bool = False  # whether the migration had
    evidence: Sequence[str] = ()

    @property
    def troubles(self) -> list[Trouble]:
        return [delivery.trouble for delivery in self.deliveries[:-1]]

    def lines(self) -> list[str]:
        """What happened, in order."""
        return [f"{nth}. {delivery.told}." for nth, delivery in enumerate(self.deliveries, start=1)]


# What of the contract a story breaks.
ANSWER, CLOSED, RAISES, FORGETS = "answer", "closed", "raises", "forgets"


def wrong_in(story: Story) -> tuple[str, str] | None:
    """What goes wrong in a story: (which of the contract's sentences, what was observed), None where nothing does."""
    for delivery in story.deliveries:
        told, what = delivery.told, delivery.trouble.what
        spoiled = delivery.met and what in (DIES_BEFORE, DIES_AFTER, REFUSED, LOST)
        if told.execution.ended:
            right = ("FAILED", "MigrationFailed") if story.failed else ("SUCCEEDED", "")
            if (told.execution.status, told.execution.error) != right:
                return ANSWER, f"{told.what}, and the execution {told.execution.in_words()}."
            if told.error and (not spoiled or (what == LOST and "TaskTimedOut" in told.error)):
                return CLOSED, f"{told}."
            if delivery.met and what == REFUSED and not told.error and told.item:
                return RAISES, f"{told}."
            if not told.error and told.item:
                return FORGETS, f"{told}, and the item was still there."
        else:
            if not told.error:
                return RAISES if spoiled else ANSWER, f"{told}, and the execution that waits was not answered."
            if not told.item:
                return RAISES, f"{told}, and the item was gone."
            if not spoiled:
                return ANSWER, f"{told}."
        if not told.item:
            return None  # nobody waits any more: what the function makes of further events is the learner's
    return None


def goes_through(*troubles: Trouble):
    """The event comes again and again, with these troubles, or with two that chance draws, and then with none."""

    def play(scene):
        scene.runs()
        scene.waits()
        event, deliveries = scene.end(), []
        for trouble in (*(troubles or _two_by(scene.chance)), Trouble(CLEAN)):
            deliveries.append(_delivery(scene, event, trouble, again=bool(deliveries)))
        scene.facts["story"] = deliveries

    return play


def _two_by(chance):
    what = [DIES_BEFORE, DIES_AFTER, REFUSED, REFUSED, LOST, UNDER_WAY, RETRIED]
    calls = chance.sample(list(CALLS), 2)
    return [
        Trouble(chance.choice(what), call, chance.choice(CALLS[call][1]), chance.choice(["one", "all"]))
        for call in calls
    ]


def _delivery(scene, event, trouble, again):
    who, what = "The same event came again" if again else "Its event came", trouble.what
    if what == CLEAN:
        return Delivery(trouble, scene.tell(who, event))
    if what in (UNDER_WAY, RETRIED):
        met = not scene.waiter.look()
        if met and what == RETRIED:
            scene.retried()
        elif met:
            fault("stale", scene.migration)
        return Delivery(trouble, scene.tell(f"{who}; {what}" if met else who, event), met)
    operation = CALLS[trouble.call][0]
    wrong = {
        DIES_BEFORE: {"fault": "kill", "operation": ANSWERS, "where": "before"},
        DIES_AFTER: {"fault": "kill", "operation": ANSWERS, "where": "after"},
        REFUSED: {"fault": "refuse", "operation": operation, "code": trouble.code},
        LOST: {"fault": "lost", "operation": ANSWERS, "tries": trouble.tries},
    }[what]
    about = scene.waiter.token if wrong["operation"] == ANSWERS else scene.arn
    with faults.during(scene.fault(**wrong, resource=about), label="check-4") as made:
        told = scene.tell(who, event, answered=False)
    met = bool(made.met[0])
    words = f"{trouble.call} was refused ({trouble.code})" if what == REFUSED else what
    return Delivery(trouble, dataclasses.replace(told, what=f"{who}; {words}") if met else told, met)


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
