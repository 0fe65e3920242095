"""The migrations that checks bring: small ones, which end as a case needs it, and are watched by whoever waits."""

import contextlib
import datetime
import threading
from collections.abc import Iterator, Mapping

from workshop import clients
from workshop.checking.exercises import on_sandbox
from workshop.checking.waiting import side_by_side, taking_back, until
from workshop.events import fault
from workshop.migrations import Migration, begin_to_delete, describe, migration

LONG = 30  # seconds of patience, for what comes whatever the answer is

# All are over in an instant, but for the slow one, which takes five minutes.
KINDS = {
    "finishes": {"rows_per_second": 120},
    "takes a second": {"rows_per_second": 12},
    "takes three seconds": {"rows_per_second": 4},
    "takes six seconds": {"rows_per_second": 2},
    "is slow": {"rows_per_second": 0.04},
    "fails": {"rows_per_second": 120, "fails": "bad row"},
    "has no file": {"rows_per_second": 120, "fails": "no file"},
    "sets a table aside": {"rows_per_second": 120, "fails": "table set aside"},
}
ROWS = 12

# A replication task tells all its settings whenever it is described or started. These make them about 15 KB, as they
# are where a team has told DMS which characters to replace.
_LARGE_SETTINGS = {
    "CharacterSetSettings": {
        "CharacterReplacements": [
            {"SourceCharacterCodePoint": code, "TargetCharacterCodePoint": 63} for code in range(128, 288)
        ]
    }
}


# What the migrations of one file run between: the first Migration of it, which is never started. It is kept for the
# next check, since it takes 21 calls to make and a further one takes one. By (endpoint, account, its name).
_stages: dict[tuple[str, str, str], Migration] = {}
_being_made: dict[tuple[str, str, str], threading.Lock] = {}


@contextlib.contextmanager
def small_migrations(lab, cases: Mapping[str, str]) -> Iterator[dict[str, Migration]]:
    """In a block, new migrations for these cases, which share what they run between; they are deleted after it.

    cases: {case: one of KINDS}.
    """
    files: dict = {}  # those with the same file, as {case: kind}
    for case, kind in cases.items():
        files.setdefault(KINDS[kind].get("fails"), {})[case] = KINDS[kind]
    made = side_by_side(*(lambda fails=fails, some=some: _made(lab, fails, some) for fails, some in files.items()))
    made = {case: one for some in made for case, one in some.items()}
    try:
        yield made
    finally:
        with taking_back():
            stop(*made.values())
        # They will be gone soon, for which nobody waits.
        side_by_side(*(lambda one=one: begin_to_delete(one.arn) for one in made.values()), most=8)


def _made(lab, fails, cases):
    names = {case: lab.name(f"check-{case.replace(' ', '-')}") for case in cases}
    rates = {names[case]: kind["rows_per_second"] for case, kind in cases.items()}
    stage, key = _stage(lab, fails)
    try:
        made = stage.others(rates)
    except clients.of("dms").exceptions.ResourceNotFoundFault:  # somebody has emptied the account meanwhile
        _stages.pop(key, None)
        made = _stage(lab, fails)[0].others(rates)
    return {case: made[name] for case, name in names.items()}


def _stage(lab, fails):
    name = lab.name(f"check-stage-{(fails or 'good').replace(' ', '-')}")
    key = clients.of("dms").meta.endpoint_url, clients.account_id(), name
    with _being_made.setdefault(key, threading.Lock()):
        if key not in _stages:
            _stages[key] = migration(name, rows=ROWS, fails=fails, settings=_LARGE_SETTINGS)
        return _stages[key], key


def lose_events(*made: Migration, runs=1):
    """Lose the events with which the next runs of these end. (On AWS that cannot be: see `unheard`.)"""
    if on_sandbox():
        fault("drop", *made, count=runs)


@contextlib.contextmanager
def unheard(lab) -> Iterator[None]:
    """In a block, on AWS, the rule of a learner who is further on is switched off: nobody but the check answers."""
    events, rule, was_on = clients.of("events"), lab.name("ended"), False
    if not on_sandbox():
        with contextlib.suppress(events.exceptions.ResourceNotFoundException):
            was_on = events.describe_rule(Name=rule)["State"] == "ENABLED"
    try:
        if was_on:
            events.disable_rule(Name=rule)
        yield
    finally:
        if was_on:
            events.enable_rule(Name=rule)


def ended(one: Migration) -> bool:
    """Whether its latest run is over, however it went."""
    return one.describe()["Status"] in ("stopped", "failed")


def started(one: Migration, described=None) -> str:
    """When its latest run began, as an item has it: UTC, as text; "" where it never ran."""
    moment = (described or one.describe())["ReplicationTaskStats"].get("StartDate")
    return str(moment.astimezone(datetime.UTC)) if moment else ""


def ran_before(one: Migration) -> str:
    """It has run before, and that run is over; returns when it began."""
    one.start()
    until(lambda: ended(one), LONG, "a migration to end")
    return started(one)


def runs_since(one: Migration, run: str) -> bool:
    """Whether it was started again after that run, which has ended."""
    described = one.describe()
    return described["Status"] not in ("stopped", "failed") or started(one, described) != run


def stop(*made: Migration):
    """Stop what still runs, and wait until it has stopped."""
    if not made:
        return  # DMS refuses a filter without values

    statuses: list[str] = []

    def are_not(*wrong):
        statuses[:] = [task["Status"] for task in describe(*made)]
        return not set(wrong) & set(statuses)

    until(lambda: are_not("starting"), LONG, "migrations to start")  # DMS stops no task that is still starting
    running = [one for one, status in zip(made, statuses, strict=True) if status == "running"]
    for one in running:
        with contextlib.suppress(clients.of("dms").exceptions.InvalidResourceStateFault):
            one.stop()  # it may have stopped long ago, in a case in which DMS says for a while what was so before
    if running:
        until(lambda: are_not("running", "stopping"), LONG, "migrations to stop")
