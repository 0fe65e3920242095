"""How the cases of lab 02's second exercise play: executions of `migrate`, each answered as its case needs it."""

import dataclasses
import json
import math
from collections.abc import Callable, Mapping

from workshop import clients, faults
from workshop.checking import migrations
from workshop.checking.executions import Execution, StateMachineRun
from workshop.checking.exercises import Case, Draw
from workshop.checking.migrations import LONG
from workshop.checking.resources import Table, definition
from workshop.checking.waiting import side_by_side, until

ENDS = 8  # seconds of patience with an execution that ends only if the answer is right
SAVES = 12  # and with a function that saves its token
OUTPUTS = (
    {"Rows": 3000},
    {"Rows": 7, "Tables": ["airports", "cities"]},
    {"nested": {"Rows": None}},
    [3000, "rows"],
    "done",
)
# How Lambda fails when the fault is its own, as Step Functions names it after "Lambda.":
# https://docs.aws.amazon.com/step-functions/latest/dg/sfn-best-practices.html#bp-lambda-serviceexception
LAMBDA_FAILS = (
    "ServiceException",
    "AWSLambdaException",
    "SdkClientException",
    "ClientExecutionTimeoutException",
    "TooManyRequestsException",
)
LOST = "lost"  # its answer got lost, though the function ran
FAILURES = (*LAMBDA_FAILS, LOST)


class Watched(StateMachineRun):
    """An execution of the learner's, of which nobody needs to know when DMS was asked."""

    def asked(self):
        return [], []


class Scene:
    """One case while it plays.

    facts, for the record: token, the one that the learner's start function saved, with its item; refused, the error
    with which Step Functions refused an answer; right, what the item should say; answer, what it was answered with;
    when, cause, failure: what went wrong, in words. TimeoutSeconds: of the whole state machine.
    """

    def __init__(self, name, machine, table, migration, draw, input):
        self.machine, self.migration, self.input, self._table = machine, migration, input, table
        self.chance, self.run = draw.random(f"answer of {name}"), None
        self.facts = {"token": "", "item": {}, "refused": "", "right": {}, "answer": None}
        self.facts |= {"when": "", "cause": "", "failure": ""}

    def begin(self):
        job = {"ReplicationTaskArn": self.migration.arn, "TimeoutSeconds": self.input["TimeoutSeconds"]}
        self.run = Watched(self.machine, job)

    def saved(self):
        """The item of the migration, {} for none."""
        return self._table.find(self.migration.arn) or {}

    def waits(self):
        """Whether the execution waits, with a token that start has saved."""
        until(lambda: self.saved() or self.run.look(), SAVES, "a token to be saved")
        item = self.saved()
        self.facts |= {"item": item, "token": item.get("TaskToken", "")}
        if item:
            expires = int(item.get("CreatedAt", 0)) + self.input["TimeoutSeconds"]
            self.facts["right"] = {"Execution": self.run.arn, "ExpiresAt": expires}
        return bool(item)

    def answered(self, call, **answer):
        """Answer the token, and wait for the end."""
        if self.run.look():
            self.facts["refused"] = "it had ended"
            return
        self.facts["refused"] = self._refused(call, **answer)
        until(self.run.look, ENDS, "an execution to end")

    def _refused(self, call, **answer):
        """Make this call with the token; returns the error with which Step Functions refused it, or ""."""
        client, token = clients.of("stepfunctions"), self.facts["token"]
        if not isinstance(token, str):
            return "InvalidToken"  # boto3 would not even send it
        try:
            getattr(client, call)(taskToken=token, **answer)
        except (client.exceptions.InvalidToken, client.exceptions.TaskTimedOut) as refusal:
            return refusal.response["Error"]["Code"]
        return ""

    def forget(self):
        if self.run:
            self.run.stop()
        self._table.delete(self.migration.arn)


def play(lab, machine: str, table: Table, cases: Mapping[str, Case], draw: Draw) -> dict[str, Execution]:
    """Play these cases side by side; returns the execution of each, with the facts of its scene."""
    bound = definition(machine).get("TimeoutSeconds", math.inf)

    def play_one(name, migration):
        case = cases[name]
        scene = Scene(name, machine, table, migration, draw, draw.values(name, case.input))
        try:
            case.play(scene)
            seen = scene.run.seen(case.about, migration=migration.describe())
            return dataclasses.replace(seen, facts=scene.facts | {"TimeoutSeconds": bound})
        finally:
            scene.forget()

    with migrations.small_migrations(lab, {name: case.migration for name, case in cases.items()}) as made:
        table.delete(*(one.arn for one in made.values()))
        seen = side_by_side(*(lambda n=name: play_one(n, made[n]) for name in cases))
    return dict(zip(cases, seen, strict=True))


# -- plays ------------------------------------------------------------------------------------------------------------


def waits_and(then: Callable[["Scene"], None]):
    """It waits, and then this happens."""

    def play(scene):
        scene.begin()
        if scene.waits():
            then(scene)

    return play


def fails_once_and(then: Callable[["Scene"], None]):
    """Lambda fails once, as the case's `failure` says; it waits with the token of its next attempt, and then this.

    Where the answer got lost the function ran, and Step Functions does not hear of it. Otherwise it was not invoked.
    """

    def play(scene):
        failure, lost = scene.input["failure"], scene.input["failure"] == LOST
        scene.facts["failure"] = "Lambda.SdkClientException, after start had run" if lost else f"Lambda.{failure}"
        fault = {"fault": "lost"} if lost else {"fault": "refuse", "code": failure}
        with faults.during(_of(scene, **fault), label="check-2"):
            scene.begin()
            waits = scene.waits()
            if waits and lost:
                first, again = scene.facts["token"], "the next attempt's token"
                until(lambda: scene.run.look() or scene.saved().get("TaskToken") not in (None, first), ENDS, again)
                scene.waits()
            if waits:
                then(scene)
            else:
                until(scene.run.look, ENDS, "an execution to end")

    return play


def success(scene):
    output = {"ReplicationTaskArn": scene.migration.arn, "Said": scene.chance.choice(OUTPUTS)}
    scene.facts["answer"] = scene.chance.choice((output, scene.chance.choice(OUTPUTS)))
    scene.answered("send_task_success", output=json.dumps(scene.facts["answer"]))


def failure(scene):
    _fail(scene, f"Last Error Table travel.airports, line {scene.chance.randrange(2, 99)}. Stop Reason FATAL_ERROR")


def failure_in_json(scene):
    """As the causes of Lambda's own errors are, but with other keys."""
    _fail(scene, json.dumps({"Status": "failed", "TablesErrored": scene.chance.randrange(1, 9)}))


def _fail(scene, cause):
    error = scene.input["Error"]
    scene.facts |= {"when": f"it was answered with a failure ({error}: {cause})", "cause": cause}
    scene.answered("send_task_failure", error=error, cause=cause)


def no_answer(scene):
    until(scene.run.look, scene.input["TimeoutSeconds"] + ENDS, "an execution to time out")


def is_refused(scene):
    scene.migration.start()
    until(lambda: scene.migration.describe()["Status"] == "running", LONG, "a migration to run")
    scene.facts |= {"when": "its start function raised", "cause": "InvalidResourceState"}
    scene.begin()
    until(scene.run.look, ENDS, "an execution to end")


def _of(scene, **what):
    """What a fault of the state machine's invocation says."""
    name = scene.machine.rpartition(":")[2]
    return {"operation": "lambda:Invoke", "state_machine": name, "resource": scene.migration.arn, **what}
