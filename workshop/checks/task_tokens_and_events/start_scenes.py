"""How the cases of lab 02's first exercise play: who comes to the function `start`, when, and what goes wrong then."""

import contextlib
import dataclasses
import time
from collections.abc import Mapping, Sequence

from workshop import clients, faults
from workshop.checking import migrations
from workshop.checking.calls import line_of_event, line_of_item, lines_of_calls
from workshop.checking.exercises import Case, on_sandbox
from workshop.checking.migrations import LONG
from workshop.checking.resources import Table, invoke, was_held
from workshop.checking.stories import with_fewest_troubles
from workshop.checking.waiters import Waiters
from workshop.checking.waiting import Pool, side_by_side, until
from workshop.events import fault

SAVE_CALLS = ["dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:TransactWriteItems", "dynamodb:BatchWriteItem"]
REFUSALS = ("AccessDeniedFault", "ResourceNotFoundFault", "AccessDeniedException")  # of a start, beside the state's
TIMEOUT = 3600  # seconds, of those who come where nothing depends on it


@dataclasses.dataclass(frozen=True)
class Stood:
    """How a replication task stood. run: when its latest run began, "" where it never ran."""

    status: str
    run: str

    @property
    def ended(self) -> bool:
        return self.status in ("stopped", "failed")

    @property
    def under_way(self) -> bool:
        return self.status in ("starting", "running", "stopping")


@dataclasses.dataclass(frozen=True)
class Came:
    """One invocation of the function, and what came of it.

    who: a sentence without its full stop: "The same token came again". sent: the event.
    error: what the function raised, None where it ended without an error. at, ended: seconds since 1970.
    before, after: how the replication task stood. item: that of it in the table afterwards, {} for none.
    where: the line that raised the error, as Invoked has it.
    """

    who: str
    sent: Mapping
    error: str | None
    at: float
    ended: float
    before: Stood
    after: Stood
    item: Mapping
    where: str = ""

    @property
    def begun(self) -> bool:
        """Whether a run has begun that was not under way before."""
        return not self.before.under_way and (self.after.under_way or self.after.run != self.before.run)

    def __str__(self):
        """As the beginning of a message: "The same token came again, and the function raised KeyError: 'x'"."""
        return f"{self.who}, and the function " + (
            f"raised {self.error.rstrip('.')}{self.where}" if self.error else "ended without an error"
        )


@dataclasses.dataclass(frozen=True)
class Starts:
    """What was seen of a case. came: those who came, in the order in which they were answered.

    saved_in_time: whether the token was in the table when DMS had been told to start.
    newest: the token that the state waits with in the end. facts: what else there is to know.
    evidence: the last calls that the function made, the last event, and the item after each.
    """

    about: str
    came: Sequence[Came]
    saved_in_time: bool = True
    newest: str = ""
    facts: Mapping = dataclasses.field(default_factory=dict)
    evidence: Sequence[str] = ()


def lines_of(came: Sequence[Came]) -> list[str]:
    """The last event and the items, as a refusal shows them."""
    after = [f"after invocation {nth}" for nth in range(1, len(came) + 1)] if len(came) > 1 else ["after it"]
    items = [line_of_item(one.item, when) for one, when in zip(came, after, strict=False)]
    return [*(line_of_event(one.sent) for one in came[-1:]), *items]


class Scene:
    """One case while it plays.

    kind: of its migration, one of KINDS. function: the learner's, its ARN. input: what the case says.
    """

    def __init__(self, kind, case, function, table, waiters, migration, input, chance):
        self.chance = chance
        self.kind, self.function, self.table, self.migration, self.input = kind, function, table, migration, input
        self._case, self._waiters, self._begun = case, waiters, []
        self.came, self.more = [], {}

    @property
    def arn(self):
        return self.migration.arn

    @property
    def function_name(self):
        return self.function.rpartition(":")[2]

    def waiter(self):
        """A further execution that waits, as one of a state machine does; its token is in nobody's way."""
        key = f"check-{self._case}-{len(self._begun)}"
        self._begun.append(self._waiters.begin(key))
        return self._begun[-1]

    def stood(self):
        described = self.migration.describe()
        return Stood(described["Status"], migrations.started(self.migration, described))

    def comes(self, who, waiter, token=None, *, timeout=TIMEOUT, just_before=lambda: None):
        """An execution comes with its token; returns what came of it, which is kept, too.

        timeout: TimeoutSeconds, where the case has none in its input.
        just_before: what is done when all has been looked at, before the function is invoked.
        """
        sent = {
            "ReplicationTaskArn": self.arn,
            "TaskToken": token or waiter.token,
            "Execution": waiter.arn,
            "TimeoutSeconds": self.input.get("TimeoutSeconds", timeout),
        }
        before, at = self.stood(), time.time()
        just_before()
        invoked = invoke(self.function, sent)
        ended, after, item = time.time(), self.stood(), self.table.find(self.arn) or {}
        self.came.append(Came(who, sent, invoked.error, at, ended, before, after, item, invoked.where))
        return self.came[-1]

    def retried(self, waiter, dead=None):
        """The token that the execution has after its state was retried; the old one, its first by default, is dead."""
        dead = dead or waiter.token
        clients.of("stepfunctions").send_task_failure(taskToken=dead, error="Again")
        return waiter.next_token(but=dead)

    def ages(self, seconds):
        """The item gets older by so many seconds."""
        for name in ("CreatedAt", "ExpiresAt"):
            with contextlib.suppress(KeyError, TypeError, ValueError):  # nobody has saved it, or not as a number
                self.table.change(self.arn, name, int(self.table.find(self.arn)[name]) - seconds)

    def settles(self):
        """Wait until the migration runs, or has ended where it is a short one."""
        wanted = ("running",) if self.kind == "is slow" else ("stopped", "failed")
        until(lambda: self.migration.describe()["Status"] in (*wanted, "ready"), LONG, "a migration to run")

    def fault(self, **what):
        """What a fault of calls of this function says, about this migration."""
        return {"function": self.function_name, "resource": self.arn, **what}

    def forget(self):
        for number, waiter in enumerate(self._begun):
            waiter.stop()
            self.table.delete(f"check-{self._case}-{number}")
        self.table.delete(self.arn)


def play(lab, function: str, table: Table, cases: Mapping[str, Case], draw) -> "dict[str, Starts | Story]":
    """Play these cases side by side; returns what was seen of each: a Story of those with two troubles."""
    table.find("nobody")
    waiters = Waiters(lab)

    def play_one(name, migration):
        case = cases[name]
        input = draw.values(name, case.input)
        scene = Scene(
            case.migration,
            name,
            function,
            table,
            waiters,
            migration,
            input,
            draw.random(f"refusal of {name}"),
        )
        try:
            case.play(scene)
            calls = lines_of_calls(function=scene.function_name, resource=scene.arn)
            evidence = [*calls[-3:], *lines_of(scene.came)]
            return Starts(case.about, tuple(scene.came), evidence=evidence, **scene.more)
        finally:
            scene.forget()

    def story(name, seen):
        def alone(troubles):
            plays = [goes_through(each, ran_before=whole.ran_before) for each in troubles]
            again = {f"{name} {n}": dataclasses.replace(cases[name], play=one) for n, one in enumerate(plays, start=1)}
            return play(lab, function, table, again, draw).values()

        whole = Story(seen.about, seen.facts["story"], seen.evidence)
        return with_fewest_troubles(whole, wrong_in, alone)

    wanted = {name: case.migration for name, case in cases.items()}
    with migrations.unheard(lab), migrations.small_migrations(lab, wanted) as made:
        migrations.lose_events(*made.values(), runs=2)
        seen = side_by_side(*(lambda n=name: play_one(n, made[n]) for name in cases))
    found = zip(cases, seen, strict=True)
    return {name: story(name, each) if "story" in each.facts else each for name, each in found}


# -- plays ------------------------------------------------------------------------------------------------------------


def comes_and_starts(scene):
    """DMS's answer to the start is kept back until somebody has looked whether the token is saved."""
    first = scene.waiter()
    if not on_sandbox():
        scene.comes("The migration had never run", first)
        return
    gate = scene.fault(fault="hold", operation="dms:StartReplicationTask", where="after", seconds=40)
    with faults.during(gate, label="check-1") as made, Pool(1) as pool:
        running = pool.submit(scene.comes, "The migration had never run", first)
        until(lambda: made.records[0].get("held") or running.done(), LONG, "a migration to be started")
        scene.more["saved_in_time"] = running.done() or scene.table.find(scene.arn) is not None
        made.end()
    was_held(made, running.result().error)


def comes_after_a_run(scene):
    ran(scene)
    scene.comes("The migration had run before, and nobody waited for it", scene.waiter())


def comes_again(scene):
    first = scene.waiter()
    scene.comes("The migration had never run", first)
    scene.settles()
    when = "while its migration was under way" if scene.kind == "is slow" else "after its migration had ended"
    scene.ages(TIMEOUT // 2)
    scene.more["facts"] = {"was": scene.table.find(scene.arn) or {}}
    scene.comes(f"The same token came again {when}, half an hour after the first (by the times of its item)", first)


def is_retried(scene):
    first = scene.waiter()
    scene.comes("The migration had never run", first)
    scene.settles()
    when = "while its migration was under way" if scene.kind == "is slow" else "after its migration had ended"
    token = scene.retried(first)
    scene.ages(TIMEOUT // 2)
    who = f"A new token of the same execution came {when}, half an hour after the first (by the times of its item)"
    scene.comes(who, first, token)


def dies_as_it_is_retried(scene):
    """The second attempt dies as soon as it has saved or deleted something, and a third one comes."""
    first = scene.waiter()
    scene.comes("The migration had never run", first)
    scene.settles()
    token = scene.retried(first)
    kill = scene.fault(fault="kill", operation=[*SAVE_CALLS, "dynamodb:DeleteItem"], where="after")
    with faults.during(kill, label="check-1") as made:
        scene.comes("A new token of the same execution came", first, token)
    died = ", and the function died as soon as it had changed the table (fault: kill)" if made.met[0] else ""
    who = f"A new token of the same execution came{died}; then another one came"
    scene.comes(who, first, scene.retried(first, dead=token))


def is_retried_unseen(scene):
    first = scene.waiter()
    scene.comes("The migration had never run", first)
    scene.settles()
    token = scene.retried(first)
    who = "A new token of the same execution came, and DMS still told how the task was before its run (fault: stale)"
    scene.comes(who, first, token, just_before=lambda: fault("stale", scene.migration))


def ends_after_the_next(scene):
    """The first attempt has looked into the table, or written, and hears of it when the next attempt has ended."""
    _ends_after_the_next(scene, "The first attempt of an execution was slow (fault: hold)", scene.waiter())


def ends_after_the_third(scene):
    """The second attempt is the slow one: there is an item of its execution when it looks."""
    first = scene.waiter()
    scene.comes("The migration had never run", first)
    who = "The second attempt of an execution was slow (fault: hold)"
    _ends_after_the_next(scene, who, first, scene.retried(first))


def _ends_after_the_next(scene, who, waiter, token=None):
    """token: that of the slow attempt, where it is not the first."""
    gate = scene.fault(fault="hold", operation="dynamodb:*", where="after", seconds=40)
    with faults.during(gate, label="check-1") as made, Pool(1) as pool:
        running = pool.submit(scene.comes, who, waiter, token)
        until(lambda: made.records[0].get("held") or running.done(), LONG, "a function to call DynamoDB")
        newest = scene.retried(waiter, dead=token)
        scene.comes("A new token of the same execution came meanwhile", waiter, newest)
        made.end()
    was_held(made, running.result().error)
    scene.more["newest"] = newest


def is_refused_after_the_next(scene):
    """The first attempt's start is refused when the next attempt has saved its token and is about to start."""
    first, start = scene.waiter(), "dms:StartReplicationTask"
    slow = scene.fault(fault="hold", operation=start, seconds=40)
    refuses = scene.fault(fault="refuse", operation=start, code=REFUSALS[0])
    who = f"The first attempt of an execution was slow (fault: hold), and DMS refused its start ({REFUSALS[0]})"
    with (
        faults.during(slow, label="check-1") as gate,
        faults.during(refuses, label="check-1"),
        Pool(2) as pool,
    ):
        running = pool.submit(scene.comes, who, first)
        until(lambda: gate.records[0].get("held") or running.done(), LONG, "a function to start a migration")
        token = scene.retried(first)
        with faults.during(slow, label="check-1") as next_gate:
            next_one = pool.submit(scene.comes, "A new token of the same execution came meanwhile", first, token)
            until(lambda: next_gate.records[0].get("held") or next_one.done(), LONG, "a function to start a migration")
            gate.end()
            was_held(gate, running.result().error)
            next_gate.end()
            was_held(next_gate, next_one.result().error)
    scene.more["newest"] = token


def died_and_comes_again(scene):
    first = died(scene)
    scene.comes("The function had died after it had saved the token (fault: kill); the same token came again", first)


def died_and_is_retried(scene):
    """It had run before, so that nobody takes that run for the one which was not started."""
    ran(scene)
    first = died(scene)
    who = "The function had died after it had saved the token (fault: kill); a new token of the same execution came"
    scene.comes(who, first, scene.retried(first))


def died_later_and_is_retried(scene):
    """The function had died when it had started the migration, which is over when the state is retried."""
    ran(scene)
    first = died(scene, operation="dms:StartReplicationTask")
    scene.settles()
    who = (
        "The function had died after it had started the migration (fault: kill); a new token of the same execution came"
    )
    scene.comes(who, first, scene.retried(first))


def another_comes(scene):
    first, second = scene.waiter(), scene.waiter()
    scene.comes("The migration had never run", first, timeout=2 * TIMEOUT)
    scene.settles()
    # It is old, and has not expired; what `finds_an_expired_item` leaves is young. So age alone decides nothing.
    scene.ages(2 * TIMEOUT - 300)
    scene.more["facts"] = {"was": scene.table.find(scene.arn) or {}}
    when = "and the migration was under way" if scene.kind == "is slow" else "and the migration had just ended"
    who = f"Another execution came while one waited (for nearly two hours, by the times of its item) {when}"
    # It would wait for longer, so that what it compares with the first one's times differs from them, and not by luck.
    scene.comes(who, second, timeout=3 * TIMEOUT)


def comes_twice_at_once(scene):
    """An invocation that somebody repeated, before the first one had ended."""
    first = scene.waiter()
    _at_once(scene, "The same token came twice at the same moment (fault: hold)", first, first)


def two_come_at_once(scene):
    _at_once(scene, "Two executions came at the same moment (fault: hold)", scene.waiter(), scene.waiter())


def two_find_an_expired_item(scene):
    first, second = scene.waiter(), scene.waiter()
    _left_an_expired_item(scene, f"{first.arn}-of-before")
    who = "Two executions came at the same moment (fault: hold), and found an item that had expired"
    # Where they delete it before they save, the second one does so when the first one has saved.
    saved = {"operation": SAVE_CALLS, "function": scene.function_name, "resource": scene.arn}
    slow = scene.fault(fault="hold", operation="dynamodb:DeleteItem", nth=2, until=saved)
    with faults.during(slow, label="check-1"):
        _at_once(scene, who, first, second)


def finds_an_expired_item(scene):
    ran(scene)
    first = scene.waiter()
    # Of what expired long ago, somebody who waits a while longer to be on the safe side shows nothing.
    _left_an_expired_item(scene, f"{first.arn}-of-before", ago=2, waited=60)
    scene.comes("The table had an item, a minute old, that expired two seconds ago", first)


def is_refused_since_it_runs(scene):
    scene.migration.start()
    scene.settles()
    scene.comes("DMS refused to start a migration that ran already, started by hand", scene.waiter())
    migrations.stop(scene.migration)
    scene.comes("The start had failed for one execution, and another one came", scene.waiter())


def is_refused(scene):
    code = scene.chance.choice(REFUSALS)
    refuses = scene.fault(fault="refuse", operation="dms:StartReplicationTask", code=code)
    with faults.during(refuses, label="check-1"):
        scene.comes(f"DMS refused to start the migration ({code})", scene.waiter())
    scene.more["facts"] = {"code": code}
    scene.comes("The start had failed for one execution, and another one came", scene.waiter())


def loses_its_answer(scene):
    """The start was done, and the function does not hear of it: DMS refuses its next try."""
    with faults.during(_loses(scene, "one"), label="check-1"):
        scene.comes("DMS started the migration, and its answer got lost (fault: lost)", scene.waiter())


def loses_its_answer_until_the_end(scene):
    """No try of the start is answered, and the migration is over when the function hears of that."""
    gate = scene.fault(fault="hold", operation="dms:StartReplicationTask", where="after", seconds=40)
    with (
        faults.during(gate, label="check-1") as made,
        faults.during(_loses(scene, "all"), label="check-1"),
        Pool(1) as pool,
    ):
        who = "DMS started the migration, which had ended when its answer got lost (fault: lost)"
        running = pool.submit(scene.comes, who, scene.waiter())
        until(lambda: made.records[0].get("held") or running.done(), LONG, "a migration to be started")
        until(lambda: migrations.ended(scene.migration) or running.done(), LONG, "a migration to end")
        made.end()
    was_held(made, running.result().error)


def _loses(scene, tries):
    return scene.fault(fault="lost", operation="dms:StartReplicationTask", tries=tries)


# -- parts of them ----------------------------------------------------------------------------------------------------


def ran(scene):
    """The migration has run once, before anybody comes."""
    scene.migration.start()
    until(lambda: migrations.ended(scene.migration), LONG, "a migration to end")


def _at_once(scene, who, *waiters):
    """These come at the same moment: all have looked into the table, or written, before one of them hears of it."""
    gate = scene.fault(fault="hold", operation="dynamodb:*", where="after", together=len(waiters), seconds=40)
    with faults.during(gate, label="check-1") as made:
        side_by_side(*(lambda waiter=waiter: scene.comes(who, waiter) for waiter in waiters))
    for came in scene.came:
        was_held(made, came.error)
    scene.more["facts"] = {"item": scene.table.find(scene.arn) or {}, "stood": scene.stood()}


def _left_an_expired_item(scene, execution, ago=3600, waited=3600):
    """ago: seconds since it expired. waited: for how many seconds its execution had waited by then."""
    now = int(time.time())
    scene.table.put(
        ReplicationTaskArn=scene.arn,
        TaskToken="a token of before",
        Execution=execution,
        CreatedAt=now - ago - waited,
        ExpiresAt=now - ago,
        StartedBefore="",
    )


def died(scene, operation=SAVE_CALLS):
    """An execution came, and the function's process was killed as soon as it had done that; returns the execution."""
    first = scene.waiter()
    kill = scene.fault(fault="kill", operation=operation, where="after")
    with faults.during(kill, label="check-1") as made:
        scene.comes("The migration waited to be started", first)
        scene.more["facts"] = {"killed": made.met[0]}
    return first


# -- pairs of faults --------------------------------------------------------------------------------------------------

DIES_SAVED, DIES_STARTED, REFUSED, LOST, ANOTHER, CLEAN = (
    "the function was killed as soon as it had saved something",
    "the function was killed when it had started the migration",
    "DMS refused the start",
    "DMS started the migration, and its answer got lost",
    "it waits for the same migration",
    "nothing went wrong",
)


@dataclasses.dataclass(frozen=True)
class Trouble:
    """What goes wrong with one attempt, of those above.

    retried: whether it comes with a new token, where the execution has come before. code: of a refusal. tries: which
    answers get lost, "one" or "all".
    """

    what: str
    retried: bool = True
    code: str = REFUSALS[0]
    tries: str = "one"


@dataclasses.dataclass(frozen=True)
class Attempt:
    """What came of one. met: whether the trouble came about. other: whether it is that of another execution."""

    trouble: Trouble
    came: Came
    met: bool = False
    other: bool = False


@dataclasses.dataclass(frozen=True)
class Story:
    """A few attempts for one migration, one after the other, the last of them with nothing in its way."""

    about: str
    attempts: Sequence[Attempt]
    evidence: Sequence[str] = ()

    @property
    def troubles(self) -> list[Trouble]:
        return [attempt.trouble for attempt in self.attempts[:-1]]

    @property
    def ran_before(self) -> bool:
        return bool(self.attempts[0].came.before.run)

    def lines(self) -> list[str]:
        """What happened, in order."""
        return [f"{nth}. {attempt.came}." for nth, attempt in enumerate(self.attempts, start=1)]


# What of the contract a story breaks.
TWICE, AGAIN, OTHERS, FAILS, STANDS = "twice", "again", "others", "fails", "stands"


def wrong_in(story: Story) -> tuple[str, str] | None:
    """What goes wrong in a story: (which of the contract's sentences, what was observed), None where nothing does."""
    waits, runs = None, 0  # whose item must be in the table, and how many runs have begun
    first = story.attempts[0].came
    previous: Mapping = {}
    for attempt in story.attempts:
        came, who = attempt.came, attempt.other
        token = came.item.get("TaskToken")
        begun = came.begun
        if waits not in (None, who):
            if not came.error or begun or token != previous.get("TaskToken"):
                return OTHERS, f"{came}. Somebody else waited{_afterwards(came, begun)}."
        elif runs and begun:
            return TWICE, f"{came}, and the migration was started a second time."
        elif runs and attempt.met and attempt.trouble.what != DIES_SAVED:
            return None  # it asked DMS to start what runs: there is more than one right way to go on
        elif attempt.met and attempt.trouble.what == REFUSED:
            if not came.error or attempt.trouble.code not in came.error or came.item:
                return FAILS, f"{came}{', and its item stayed in the table' if came.item else ''}."
            waits = None
        elif attempt.met and attempt.trouble.what in (DIES_SAVED, DIES_STARTED):
            if attempt.trouble.what == DIES_SAVED and begun:
                return AGAIN, f"{came}, and the migration ran already."
            waits, runs = who if came.item else None, runs + begun
        else:
            lost = attempt.met and attempt.trouble.what == LOST
            if came.error or not (runs or begun):
                wrong = "" if came.error else ", and the migration was not started"
                return STANDS if lost else AGAIN, f"{came}{wrong}."
            if token != came.sent["TaskToken"]:
                return STANDS if lost else AGAIN, f"{came}, and its token is not in the table."
            if came.item.get("StartedBefore") != first.before.run and not who:
                before = f"{came.item.get('StartedBefore')!r}, not {first.before.run!r}"
                return AGAIN, f"{came}, and StartedBefore is {before}."
            waits, runs = who, 1
        previous = came.item
    return None


def _afterwards(came, begun):
    if begun:
        return ", and the migration was started"
    return ", and its item is no longer in the table" if came.error else ""


def goes_through(*troubles: Trouble, ran_before: bool | None = None):
    """An execution comes again and again, with these troubles, or with two that chance draws, and then with none.

    ran_before: whether the migration has run before; chance decides where it is None, but not of a slow one.
    """

    def play(scene):
        if scene.kind != "is slow" and (scene.chance.random() < 0.5 if ran_before is None else ran_before):
            ran(scene)
        first, attempts = scene.waiter(), []
        for trouble in (*(troubles or _two_by(scene.chance)), Trouble(CLEAN)):
            attempts.append(_attempt(scene, first, trouble, [each for each in attempts if not each.other]))
            scene.settles()
        scene.more["facts"] = {"story": attempts}

    return play


def _two_by(chance):
    firsts = [DIES_SAVED, DIES_STARTED, REFUSED, LOST]
    return [
        Trouble(chance.choice(what), chance.random() < 0.5, chance.choice(REFUSALS), chance.choice(["one", "all"]))
        for what in (firsts, [*firsts, ANOTHER])
    ]


def _attempt(scene, first, trouble, before):
    """before: the attempts of this execution until now."""
    what = trouble.what
    if what == ANOTHER:
        return Attempt(trouble, scene.comes("Another execution came for it", scene.waiter()), other=True)
    token, who = first.token, "An execution came"
    if before:
        token, who = before[-1].came.sent["TaskToken"], "The same token came again"
        if trouble.retried:
            token, who = scene.retried(first, dead=token), "A new token of the same execution came"
    if what == CLEAN:
        return Attempt(trouble, scene.comes(who, first, token))
    fault = {
        DIES_SAVED: {"fault": "kill", "operation": SAVE_CALLS, "where": "after"},
        DIES_STARTED: {"fault": "kill", "operation": "dms:StartReplicationTask", "where": "after"},
        REFUSED: {"fault": "refuse", "operation": "dms:StartReplicationTask", "code": trouble.code},
        LOST: {"fault": "lost", "operation": "dms:StartReplicationTask", "tries": trouble.tries},
    }[what]
    with faults.during(scene.fault(**fault), label="check-1") as made:
        came = scene.comes(who, first, token)
    met = bool(made.met[0])
    code = f" ({trouble.code})" if what == REFUSED else ""
    return Attempt(trouble, dataclasses.replace(came, who=f"{who}; {what}{code}") if met else came, met)
