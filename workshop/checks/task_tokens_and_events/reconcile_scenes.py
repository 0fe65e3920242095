"""How the cases of lab 02's fifth exercise play: the rounds that `reconcile` makes among those who wait."""

import contextlib
import dataclasses
import time
from collections.abc import Mapping, Sequence

from workshop import faults
from workshop.checking import migrations
from workshop.checking.calls import line_of_item, lines_of_calls
from workshop.checking.exercises import Case, Draw, on_sandbox
from workshop.checking.migrations import LONG
from workshop.checking.resources import Table, invoke
from workshop.checking.waiters import Waiters
from workshop.checking.waiting import side_by_side, until
from workshop.checks.task_tokens_and_events.resume_scenes import ANSWERS

ENDS = 5


@dataclasses.dataclass(frozen=True)
class Rounds:
    """What was seen of one who waits, while `reconcile` made its rounds.

    after: {round: the execution after it}. errors: {round: what the function raised, and where, or None}. ages: {round:
    OlderThanSeconds}. age: seconds since it waits. item: the one in the table after its last round, {} for none.
    killed: whether the function's process was killed in the round `cut off`.
    """

    about: str
    after: Mapping
    errors: Mapping
    ages: Mapping
    age: int
    item: Mapping
    migration: Mapping
    killed: bool = False
    evidence: Sequence[str] = ()


CUT_OFF = "cut off"  # who waits since now, and is to be answered in the round `next`
DUE = ("finished", "failed", "set aside")  # who has waited for long, and is to be answered in the round `due`
YOUNG = ("young", "young failure")  # who waits since now, and is to be answered in the last round
PATIENT = ("under way", "not begun")  # who has waited for long, and is answered in none
SPOILED = ("stopped", "refused")  # who cannot be answered in the last round


def play(lab, reconcile: str, table: Table, cases: Mapping[str, Case], draw: Draw) -> dict[str, Rounds]:
    """All of them wait in one table, and `reconcile` is invoked a few times; each round has an OlderThanSeconds.

    cut off: one waits, and the function is killed before it answers. next: that one is answered, and leaves. alone:
    only those are there whose migration has not ended. too young: all others are, none of which is old enough. due:
    those that have waited for long are. last: all are; now there are also items of tasks that were deleted, of an
    execution that was stopped, and one about which DMS does not answer.
    """
    with migrations.small_migrations(lab, {name: case.migration for name, case in cases.items()}) as made:
        return _play(lab, reconcile, table, cases, draw, made)


def _play(lab, reconcile, table, cases, draw, made):
    table.find("nobody")
    migrations.lose_events(*made.values())
    chance = draw.random("ages")
    seconds = chance.choice((300, 900, 1200))
    # Those who are due have waited for a few seconds more than that, and fall short of what is too young by minutes:
    # in a slow account they become older meanwhile.
    ages = {"cut off": 0, "next": 0, "alone": 0, "too young": seconds + 180, "due": seconds, "last": 0}
    waiters, now = Waiters(lab), int(time.time())
    waits_for = {name: 0 if name in (*YOUNG, *SPOILED, CUT_OFF) else seconds + chance.randrange(2, 9) for name in cases}
    # No item's age can be told from when it expires: one expires early, the others late, and no two alike.
    lives = dict(zip(cases, chance.sample(range(5400, 90_000), len(cases)), strict=True))
    lives["finished"] = chance.randrange(1800, 3000)
    begun, after, errors = {}, {name: {} for name in cases}, {}
    saved, kept = {}, {}  # items, as they were at first, and after the last round
    deleted = [f"{made['finished'].arn.rpartition(':')[0]}:0{number}" for number in range(4)]

    def begin(name):
        before = migrations.started(made[name]) if name == "not begun" else ""
        times = {"created_at": now - waits_for[name], "lives": lives[name]}
        begun[name] = waiters.begin(made[name].arn, started_before=before, **times)
        saved[name] = table.find(made[name].arn)

    def make_round(round, answered=()):
        errors[round] = invoke(reconcile, {"OlderThanSeconds": ages[round]}).raised
        until(lambda: all([begun[name].look() for name in answered]), ENDS, "executions to be answered")
        for name, waiter in begun.items():
            after[name][round] = waiter.seen(cases[name].about)

    def make_rounds_of(name):
        """The first rounds, while it alone waits; returns whether the function was killed in one of them."""
        _let_run(made[name], cases[name])
        begin(name)
        with _killed(reconcile) as kill:
            make_round("cut off")
        make_round("next", [name])
        kept[name] = table.find(made[name].arn) or {}
        table.delete(made[name].arn)
        return bool(kill.met[0])

    try:
        runs = {name: lambda name=name: _let_run(made[name], cases[name]) for name in cases}
        if CUT_OFF in cases:
            runs[CUT_OFF] = lambda: make_rounds_of(CUT_OFF)
        killed = dict(zip(runs, side_by_side(*runs.values()), strict=True)).get(CUT_OFF, False)
        side_by_side(*(lambda name=name: begin(name) for name in PATIENT))
        make_round("alone")
        side_by_side(*(lambda name=name: begin(name) for name in cases if name not in begun))
        _fill(table, deleted, [one.arn for one in made.values()])
        make_round("too young")
        make_round("due", DUE)
        begun["stopped"].stop()
        table.change(made["stopped"].arn, "ExpiresAt", int(time.time()) - 60)
        with _unanswered(reconcile, made.get("refused")):
            make_round("last", YOUNG)
        kept = {name: table.find(one.arn) or {} for name, one in made.items()} | kept
        return {
            name: Rounds(
                case.about,
                after[name],
                errors,
                ages,
                waits_for[name],
                kept[name],
                made[name].describe(),
                killed,
                [
                    *lines_of_calls(function=reconcile.rpartition(":")[2], resource=made[name].arn)[-3:],
                    *_lines_of(ages, saved[name], kept[name]),
                ],
            )
            for name, case in cases.items()
        }
    finally:
        for waiter in begun.values():
            waiter.stop()
        table.delete(*deleted, *(one.arn for one in made.values()))


def _lines_of(ages, before, after):
    """The events and the item, as a refusal shows them, without what only makes it large."""
    items = {"before its first round": before or {}, "after its last": after}
    bare = [({**item, "Padding": "…"} if "Padding" in item else item, when) for when, item in items.items()]
    events = ", ".join(f"{round}: {age}" for round, age in ages.items())
    return [f"OlderThanSeconds, round by round: {events}", *(line_of_item(item, when) for item, when in bare)]


def _killed(function):
    """While this lasts, the function's process is killed just before its first answer."""
    kill = {"fault": "kill", "operation": ANSWERS, "where": "before", "function": function.rpartition(":")[2]}
    return faults.during(kill, label="check-5")


def _unanswered(function, migration):
    """While this lasts, DMS does not answer a function that asks about a migration. (On AWS it does.)"""
    if not on_sandbox():
        return contextlib.nullcontext()
    loses = {"fault": "lost", "operation": "dms:DescribeReplicationTasks", "tries": "all", "count": 9}
    return faults.during({**loses, "function": function.rpartition(":")[2], "resource": migration.arn}, label="check-5")


def _let_run(migration, case):
    migration.start()
    if case.migration == "is slow":
        until(lambda: migration.describe()["Status"] == "running", LONG, "a migration to run")
    else:
        until(lambda: migrations.ended(migration), LONG, "a migration to end")


def _fill(table, deleted, waiting):
    """Make the table several pages of a Scan: items of tasks that are no more, and large ones of those that wait.

    deleted: ARNs, which come first in the sandbox, where items are in order; on AWS they are in none. They are young,
    so nothing looks at them before the last round.
    """
    now = int(time.time())
    times = {"CreatedAt": now, "ExpiresAt": now + 3600, "StartedBefore": ""}
    for arn in deleted:
        item = {"ReplicationTaskArn": arn, "TaskToken": "of a task that was deleted", "Execution": "gone", **times}
        table.put(**item, Padding="x" * 350_000)
    for arn in filter(table.find, waiting):  # where somebody has deleted an item, none is made
        table.change(arn, "Padding", "x" * 100_000)  # still less than what an output may have
