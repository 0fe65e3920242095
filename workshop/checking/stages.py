"""Where the cases of waiting play: for each a migration, and an execution of the learner's that waits for it."""

import contextlib
from collections.abc import Callable, Mapping

from workshop import faults, sandbox
from workshop.checking import migrations
from workshop.checking.executions import Execution, Run, since_start
from workshop.checking.exercises import Case, Draw, on_sandbox
from workshop.checking.waiting import side_by_side, until
from workshop.events import fault

ENOUGH = 12  # seconds of patience with an execution that ends only if the answer is right


class Scene:
    """One case while it plays: its execution and its migration. Its `play` gets it.

    calls: the faults of its calls, where it has some (a workshop.faults.Faults).
    facts: what a play has seen, for the record; at first {"before": what the case's `before` has returned}.
    """

    def __init__(self, run: Run, migration, calls=None, before=None):
        self.run, self.migration, self.calls, self.facts = run, migration, calls, {"before": before}

    def polls(self) -> int:
        """How often it was asked about the migration so far, since that was started."""
        return len(since_start(*self.run.asked()))


def play(
    lab,
    cases: Mapping[str, Case],
    begin: Callable[[dict], Run],
    draw: Draw,
    common: Mapping,
    by_default: Callable[[Scene], object],
    *,
    started=False,
    whose: Mapping | None = None,
) -> dict[str, Execution]:
    """Play these cases side by side; returns what was seen of each.

    begin: starts an execution with an input.
    common: the input of all cases, beside the ARN of the migration; what a case says comes over it.
    by_default: what happens in a case that does not say so: it returns when enough was seen.
    started: whether a migration is started before the execution.
    whose: whose calls go wrong, where a case says that calls do: {"function": name} or {"state_machine": name}.
    """

    def play_one(name, case, migration):
        case = draw.case(name, case)
        return _play(case, migration, begin, {**common, **case.input}, by_default, started, whose or {})

    with migrations.small_migrations(lab, {name: case.migration for name, case in cases.items()}) as made:
        seen = side_by_side(*(lambda n=name: play_one(n, cases[n], made[n]) for name in cases))
    return dict(zip(cases, seen, strict=True))


def _play(case, migration, begin, input, by_default, started, whose):
    for each in case.faults if on_sandbox() else ():
        options = {**each, "label": _stale(migration)} if each["kind"] == "stale" else dict(each)
        fault(options.pop("kind"), migration, **options)
    before = case.before(migration) if case.before else None
    if started:
        migration.start()
    with _going_wrong(case, migration, whose) as calls:
        run = begin({"ReplicationTaskArn": migration.arn, **input})
        scene = Scene(run, migration, calls, before)
        try:
            try:
                (case.play or by_default)(scene)
            finally:
                if on_sandbox():
                    sandbox.end_faults(_stale(migration))  # those for which nobody has asked: now DMS tells the truth
            return run.seen(case.about, migration=migration.describe(), facts=scene.facts)
        finally:
            if calls:
                calls.end()
            run.stop()


def _stale(migration):
    """The label of the faults with which DMS tells of it as it was."""
    return f"stale: {migration.arn}"


def _going_wrong(case, migration, whose):
    if not case.calls:
        return contextlib.nullcontext()
    return faults.during(*({"resource": migration.arn, **whose, **each} for each in case.calls), label="check")


# -- plays ------------------------------------------------------------------------------------------------------------


def ends_within(patience: float) -> Callable[[Scene], None]:
    """Until the execution has ended, or the patience has."""

    def play(scene):
        until(scene.run.look, patience, "an execution to end")

    return play


to_its_end = ends_within(ENOUGH)


def starts_within(patience: float) -> Callable[[Scene], None]:
    """Until the execution has ended and its migration was started, by whomever, or the patience is over."""

    def play(scene):
        until(scene.run.look, patience, "an execution to end")
        until(lambda: scene.migration.describe()["Status"] != "ready", 1, "a migration to start")

    return play


def until_polled(times: int) -> Callable[[Scene], None]:
    """Until it has asked so often, or has ended."""

    def play(scene):
        until(lambda: scene.run.look() or scene.polls() >= times, ENOUGH, "an execution to ask DMS")

    return play


def stopped_by_hand(scene: Scene):
    """Somebody stops the migration as soon as it runs."""

    def is_running():
        return scene.migration.describe()["Status"] == "running"

    until(lambda: is_running() or scene.run.look(), ENOUGH, "a migration to run")
    if is_running():
        with contextlib.suppress(Exception):
            scene.migration.stop()
    to_its_end(scene)
