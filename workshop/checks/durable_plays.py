"""What happens in the cases of lab 04 while they play: who is answered, killed, held or left alone, and when."""

import dataclasses
import json
from collections.abc import Mapping

from workshop import clients, faults
from workshop.checking.executions import DurableRun
from workshop.checking.exercises import Case, on_sandbox
from workshop.checking.migrations import LONG, ended, started
from workshop.checking.resources import Table
from workshop.checking.stages import ENOUGH, Scene, to_its_end
from workshop.checking.waiting import until
from workshop.events import ENDINGS
from workshop.migrations import Migration

ASKS, STARTS = "dms:DescribeReplicationTasks", "dms:StartReplicationTask"


# -- asking -----------------------------------------------------------------------------------------------------------


def until_waited(times: int):
    """Until it has decided to wait so often, or has ended."""

    def play(scene: Scene):
        until(lambda: scene.run.look() or len(scene.run.pauses()) >= times, ENOUGH, "an execution to ask DMS")

    return play


def until_over(scene: Scene):
    """Until it has ended, or has decided to wait once more than there is to wait for."""
    until_waited(scene.run.input["MaxPolls"])(scene)


# -- being told -------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Answer:
    """What a check answers a callback with: success, which is data, or failure, (type, message)."""

    success: object = None
    failure: tuple[str, str] | None = None

    def give(self, callback_id: str):
        client = clients.of("lambda")
        if self.failure:
            error = dict(zip(("ErrorType", "ErrorMessage"), self.failure, strict=True))
            client.send_durable_execution_callback_failure(CallbackId=callback_id, Error=error)
        else:
            client.send_durable_execution_callback_success(CallbackId=callback_id, Result=json.dumps(self.success))

    def __str__(self):
        return json.dumps(self.success) if not self.failure else ": ".join(self.failure)


class Told(DurableRun):
    """An execution that waits, with its callback ID in the table under a key of its input."""

    def __init__(self, function: str, input: Mapping, table: Table, key: str = "ReplicationTaskArn"):
        super().__init__(function, input)
        self._table, self._key = table, key

    def item(self) -> dict:
        """Its item; {} where there is none."""
        return self._table.find(self.input[self._key]) or {}

    def another(self) -> "Told":
        """A second execution with the same input."""
        return Told(self.function, self.input, self._table, self._key)


def without_events(cases: Mapping[str, Case]) -> dict[str, Case]:
    """These cases, with the events of their migrations lost: nobody but the check answers.

    (On AWS that cannot be: there the learner's own rule sees them.)
    """
    lost = {"drop": {"count": 2, "events": ENDINGS}} if on_sandbox() else {}
    return {name: dataclasses.replace(case, faults={**lost, **case.faults}) for name, case in cases.items()}


def ran_before(migration: Migration) -> str:
    """It has run before, and that run is over; returns when it began."""
    migration.start()
    until(lambda: ended(migration), LONG, "a migration to end")
    return started(migration)


def begun(migration: Migration, before: str) -> bool:
    """Whether it was started after the run that began then."""
    described = migration.describe()
    return described["Status"] in ("starting", "running", "stopping") or started(migration, described) != before


def answered(**how):
    """It is answered when its submitter is through: success=data, or failure=(type, message)."""

    def play(scene: Scene):
        run, before = scene.run, scene.facts["before"] or ""

        def is_through():
            return run.has_submitted() and run.item() and begun(scene.migration, before)

        until(lambda: run.look() or is_through(), ENOUGH, "a submitter to be through")
        answer(scene, Answer(**how))
        scene.facts["starts"] = starts(scene)

    return play


def answer(scene: Scene, answer: Answer):
    """Answer its callback, if its ID is in the table, and wait for its end. Notes its item and what was answered."""
    run, item = scene.run, scene.run.item()
    scene.facts |= {"item": item, "mine": run.callback_ids(), "failures": run.failures(), "told": None}
    scene.facts["begun"] = begun(scene.migration, scene.facts["before"] or "")
    if not run.look() and item.get("CallbackId") in scene.facts["mine"]:
        scene.facts["told"] = answer
        answer.give(item["CallbackId"])
        to_its_end(scene)


def starts(scene: Scene) -> int | None:
    """How often its function has started its migration; None on a real account, which does not tell."""
    if not on_sandbox():
        return None
    name = scene.run.function.split(":")[6]
    calls = faults.calls(name, operation=STARTS, resource=scene.migration.arn)
    return sum(call["done"] and call["outcome"] != "error" for call in calls)


def watched(scene: Scene):
    """Its start is held at a gate: what is in the table by then?"""
    until(lambda: scene.run.look() or _is_held(scene), ENOUGH, "a migration to be started")
    scene.facts["by then"] = scene.run.item()
    scene.calls.end()
    answered(success={})(scene)


def with_a_rival(scene: Scene):
    """While its start is held at a gate, a second execution for the same task begins."""
    until(lambda: scene.run.look() or _is_held(scene), ENOUGH, "a migration to be started")
    rival = scene.run.another()
    try:
        until(lambda: rival.look() or rival.failures() or rival.has_submitted(), ENOUGH, "a second execution to begin")
        scene.facts["beside a rival"] = scene.run.item()
        scene.calls.end()
        answered(success={})(scene)
    finally:
        rival.stop()


def _is_held(scene):
    return any(record.get("held") for record in scene.calls.records)


def somebody_elses(scene: Scene):
    """Until it is clear whether it waits for a run that somebody else has started."""
    run = scene.run
    until(lambda: run.look() or run.failures() or run.item(), ENOUGH, "an execution to look at its migration")
    scene.facts["item"] = run.item()
