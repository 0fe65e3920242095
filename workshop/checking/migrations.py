"""The migrations that checks bring: small ones, which end as a case needs it, and are watched by whoever waits."""

import datetime
from collections.abc import Mapping

from botocore.exceptions import ClientError

from workshop import clients
from workshop.checking.exercises import on_sandbox
from workshop.checking.waiting import side_by_side, until
from workshop.events import fault
from workshop.migrations import Migration, migration

LONG = 30  # seconds of patience, for what comes whatever the answer is

# All are over in an instant, but for the slow one, which takes five minutes.
KINDS = {
    "finishes": {"rows": 60, "rows_per_second": 600},
    "takes a second": {"rows": 60, "rows_per_second": 60},
    "takes three seconds": {"rows": 60, "rows_per_second": 20},
    "takes six seconds": {"rows": 60, "rows_per_second": 10},
    "is slow": {"rows": 60, "rows_per_second": 0.2},
    "fails": {"rows": 60, "rows_per_second": 600, "fails": "bad row"},
    "has no file": {"rows": 60, "rows_per_second": 600, "fails": "no file"},
    "sets a table aside": {"rows": 60, "rows_per_second": 600, "fails": "table set aside"},
}

# A replication task tells all its settings whenever it is described or started. These make them about 15 KB, as they
# are where a team has told DMS which characters to replace.
_LARGE_SETTINGS = {
    "CharacterSetSettings": {
        "CharacterReplacements": [
            {"SourceCharacterCodePoint": code, "TargetCharacterCodePoint": 63} for code in range(128, 288)
        ]
    }
}


def small_migrations(lab, cases: Mapping[str, str]) -> dict[str, Migration]:
    """Migrations for these cases; those with the same file share it and a table, which is quicker.

    cases: {case: one of KINDS}.
    """
    kinds = {case: KINDS[kind] for case, kind in cases.items()}
    first: dict = {}  # the first case of each file
    for case, kind in kinds.items():
        first.setdefault(kind.get("fails"), case)

    def make(case):
        return migration(lab.name(f"check-{_in_name(case)}"), settings=_LARGE_SETTINGS, **kinds[case])

    made = _side_by_side(make, first.values())

    def another(case):
        like = made[first[kinds[case].get("fails")]]
        return like.another(lab.name(f"check-{_in_name(case)}"), rows_per_second=kinds[case]["rows_per_second"])

    return made | _side_by_side(another, [case for case in cases if case not in made])


def _side_by_side(make, cases):
    """{case: make(case)}, made at the same time."""
    made = side_by_side(*(lambda case=case: make(case) for case in cases))
    return dict(zip(cases, made, strict=True))


def _in_name(case):
    return case.replace(" ", "-")


def lose_events(*made: Migration, runs=1):
    """Lose the events with which the next runs of these end. (On AWS that cannot be: there the rule sees them.)"""
    if on_sandbox():
        for one in made:
            fault("drop", one, count=runs)


def ended(one: Migration) -> bool:
    """Whether its latest run is over, however it went."""
    return one.describe()["Status"] in ("stopped", "failed")


def started(one: Migration, described=None) -> str:
    """When its latest run began, as an item has it: UTC, as text; "" where it never ran."""
    moment = (described or one.describe())["ReplicationTaskStats"].get("StartDate")
    return str(moment.astimezone(datetime.UTC)) if moment else ""


def runs_since(one: Migration, run: str) -> bool:
    """Whether it was started again after that run, which has ended."""
    described = one.describe()
    return described["Status"] not in ("stopped", "failed") or started(one, described) != run


def stop(*made: Migration):
    """Stop what still runs, and wait until it has stopped."""

    def all_are_not(*statuses):
        return lambda: all(one.describe()["Status"] not in statuses for one in made)

    until(all_are_not("starting"), LONG, "migrations to start")  # DMS stops no task that is still starting
    for one in made:
        if one.describe()["Status"] == "running":
            try:
                one.stop()
            except ClientError as refusal:
                if refusal.response["Error"]["Code"] != "InvalidResourceStateFault":  # it has ended meanwhile
                    raise
    until(all_are_not("running", "stopping"), LONG, "migrations to stop")


def forget(*made: Migration):
    """Delete the replication tasks of these, which have ended, without waiting for it."""
    dms = clients.of("dms")
    for one in made:
        dms.delete_replication_task(ReplicationTaskArn=one.arn)
