"""What happens in the cases of lab 04 while they play: who is answered, killed, held or left alone, and when."""

import dataclasses
import functools
import json
import time
import types
from collections.abc import Callable, Mapping, Sequence

from workshop import clients, deploy, faults
from workshop.checking.attacks import is_final
from workshop.checking.executions import DurableRun, Execution, details_of
from workshop.checking.exercises import Case, Draw, OneOf, on_sandbox, one_of
from workshop.checking.migrations import LONG, ended, ran_before, started
from workshop.checking.outcomes import SandboxProblem, TooBusy
from workshop.checking.resources import Table, invoke
from workshop.checking.stages import ENOUGH, Scene, ends_within
from workshop.checking.vendors import Messages
from workshop.checking.waiting import side_by_side, until
from workshop.migrations import Migration

SOON = 2  # seconds of patience with what has happened already, and may not be told yet
ASKS, STARTS = "dms:DescribeReplicationTasks", "dms:StartReplicationTask"


def sleeps(run: DurableRun) -> bool:
    """Whether it does nothing until a callback of its is answered or times out: no call of its can come any more."""
    events = run.events()
    if not events or events[-1]["EventType"] != "InvocationCompleted" or "Error" in details_of(events[-1]):
        return False
    latest = {event.get("Id"): event for event in events[:-1]}.values()
    ahead = [
        event
        for event in latest
        if event["EventType"] in ("StepStarted", "WaitStarted")
        or "NextAttemptDelaySeconds" in details_of(event).get("RetryDetails", {})
    ]
    return not ahead and any(event["EventType"] == "CallbackStarted" for event in latest)


def came(run: DurableRun, condition: Callable[[], object], what: str) -> bool:
    """Wait for what an execution does; returns whether it has done it: not where it has ended, or sleeps, before."""
    seen = []  # it may be over again soon: between two steps, say

    def is_seen():
        if not seen and condition():
            seen.append(True)
        return bool(seen)

    until(lambda: is_seen() or run.look() or sleeps(run), ENOUGH, what)
    return is_seen() or (not run.look() and sleeps(run) and until(is_seen, SOON, what))


# -- asking -----------------------------------------------------------------------------------------------------------


def until_waited(times: int):
    """Until it has decided to wait so often, or has ended."""

    def play(scene: Scene):
        until(
            lambda: scene.run.look() or len(scene.run.pauses(scene.run.events())) >= times,
            ENOUGH,
            "an execution to ask DMS",
        )

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

    def give_token(self, token: str):
        """The same, where a state machine waits with a task token."""
        client = clients.of("stepfunctions")
        if self.failure:
            client.send_task_failure(taskToken=token, **dict(zip(("error", "cause"), self.failure, strict=True)))
        else:
            client.send_task_success(taskToken=token, output=json.dumps(self.success))

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

    def forget(self):
        """Delete its item, as `resume` does when it has told it."""
        self._table.delete(self.input[self._key])

    def another(self) -> "Told":
        """A second execution with the same input."""
        return Told(self.function, self.input, self._table, self._key)


def without_events(cases: Mapping[str, Case]) -> dict[str, Case]:
    """These cases, with the events of their migrations lost: nobody but the check answers.

    (On AWS that cannot be: see `unheard` in workshop/checking/migrations.py.)
    """
    lost = [{"kind": "drop", "count": 2}] if on_sandbox() else []
    return {name: dataclasses.replace(case, faults=[*lost, *case.faults]) for name, case in cases.items()}


def left_over(table: Table, migration: Migration) -> str:
    """It has run before, and the item of who waited for that is still there, as when its event was lost."""
    item = {"Id": migration.arn, "CallbackId": "of-the-run-before", "StartedBefore": ""}
    long_ago = int(time.time()) - 3600
    before = ran_before(migration)
    table.put(**item, CreatedAt=long_ago - 60, WaitsUntil=long_ago, ExpiresAt=long_ago + 24 * 3600)
    return before


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

        def goes_wrong():  # one call does at most: the attempt after that one finds out how it stands
            return len(run.failures()) > 2

        was_through = came(run, lambda: is_through() or goes_wrong(), "a submitter to be through") and not goes_wrong()
        # Who is not through by now has had the time in which it ends, too.
        answer(scene, Answer(**how), patience=ENOUGH if was_through else SOON)

    return play


def answer(scene: Scene, answer: Answer, then: Callable[[], object] = lambda: None, patience: float = ENOUGH):
    """Answer its callback, if its migration was started and its ID is in the table, and wait for its end.

    Notes item, starts and answer.

    then: what happens when it has been answered. patience: seconds until it has ended.
    """
    run, item = scene.run, scene.run.item()
    scene.facts |= {"item": item, "mine": run.callback_ids(), "failures": run.failures(), "told": None}
    scene.facts["begun"] = begun(scene.migration, scene.facts["before"] or "")
    if scene.facts["begun"] and not run.look() and item.get("CallbackId") in scene.facts["mine"]:
        scene.facts["told"] = answer
        answer.give(item["CallbackId"])
        then()
        ends_within(patience)(scene)
    scene.facts["starts"] = starts(scene)


def starts(scene: Scene) -> int | None:
    """How often its function has started its migration; None on a real account, which does not tell."""
    if not on_sandbox():
        return None
    name = scene.run.function.split(":")[6]
    calls = faults.calls(name, operation=STARTS, resource=scene.migration.arn)
    return sum(call["done"] and call["outcome"] != "error" for call in calls)


def watched(scene: Scene):
    """Its start is held at a gate: what is in the table by then?"""
    was_held = came(scene.run, lambda: _is_held(scene), "a migration to be started")
    scene.facts["by then"] = scene.run.item()
    scene.calls.end()
    if was_held:
        answered(success={})(scene)
    else:
        answer(scene, Answer(success={}), patience=SOON)


def told_meanwhile(scene: Scene):
    """The answer to its start is held at a gate until the migration is over and `resume` has told it, and is lost."""
    run = scene.run
    if came(run, lambda: _is_held(scene), "a migration to be started"):
        until(lambda: ended(scene.migration), LONG, "a migration to end")

    def forgotten():
        run.forget()
        scene.calls.end()

    answer(scene, Answer(success={}), forgotten)


def with_a_rival(scene: Scene):
    """While its start is held at a gate, a second execution for the same task begins."""
    came(scene.run, lambda: _is_held(scene), "a migration to be started")
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


# -- telling ----------------------------------------------------------------------------------------------------------

# An execution of this waits for an answer, and returns what was sent.
_WAITS = """
from aws_durable_execution_sdk_python import durable_execution
from aws_durable_execution_sdk_python.config import Duration, WaitForCallbackConfig


@durable_execution
def lambda_handler(event, context):
    limits = {name: Duration.from_seconds(seconds) for name, seconds in event.items()}
    return context.wait_for_callback(lambda *_: None, name="answer", config=WaitForCallbackConfig(**limits))
"""
TELLS = "lambda:SendDurableExecutionCallback{}".format
HEARTBEAT = 6  # seconds; of executions that are kept awake
ALL_WAYS = {"success": {"success": {"rows": 4}}, "a failure": {"failure": ["TooLate", "Really."]}, "a sign of life": {}}


@dataclasses.dataclass(frozen=True)
class Telling:
    """What became of some calls of `tell`. about: what was special about them.

    raised: {what was told: the exception, None where there was none}. execution: that of the callback.
    told: what it was told, where it was told once. error: what it got for a failure.
    """

    about: str
    raised: Mapping[str, str | None]
    execution: Execution | None = None
    told: Mapping = dataclasses.field(default_factory=dict)
    error: Mapping = dataclasses.field(default_factory=dict)

    @property
    def evidence(self) -> Sequence[str]:
        return self.execution.evidence if self.execution else ()


class Teller:
    """The learner's `tell`, by way of the function `say`; and executions that wait to be told."""

    def __init__(self, lab, say: str):
        self._lab, self._say = lab, say
        self._waits = deploy.function(lab.name("check-waits"), _WAITS, durable=600) + ":$LATEST"

    def tell(self, callback_id: str, **what) -> str | None:
        """Tell; returns what was raised, and by which line; None for nothing."""
        return invoke(self._say, {"callback_id": callback_id, **what}).raised

    def begin(self, **limits) -> DurableRun:
        """An execution that waits; its callback has been made."""
        run = DurableRun(self._waits, {"timeout": 60, **limits})
        if not until(lambda: run.callback_ids() or run.look(), LONG, "a function to begin to wait"):
            raise TooBusy("This machine is too busy: a function did not begin to wait. Try again later.")
        return run

    def refusing(self, code: str, callback_id: str):
        """While this block runs, Lambda refuses what `say` tells this callback."""
        whose = {"function": self._lab.name("say"), "resource": callback_id}
        refused = {"fault": "refuse", **whose, "code": code, "count": 9, "tries": "all"}
        return faults.during({**refused, "operation": [TELLS(way) for way in ("Success", "Failure", "Heartbeat")]})


def tells(teller: Teller, about: str, told: Mapping) -> Telling:
    """It tells somebody who waits, and waits for the end of that."""
    run = teller.begin()
    try:
        raised = teller.tell(run.callback_ids()[0], **told)
        until(lambda: raised or run.look(), ENOUGH, "an execution to end")
        sent = [details_of(event) for event in run.events() if event["EventType"] == "CallbackFailed"]
        error = sent[0]["Error"]["Payload"] if sent else {}
        return Telling(about, {_call(told): raised}, run.seen(about), told, error)
    finally:
        run.stop()


def _call(told):
    return f"tell(callback_id, {', '.join(f'{name}={value!r}' for name, value in told.items())})"


def tells_nobody(close: Callable, **limits):
    """It tells in all ways somebody who does not wait any more. close: ends the wait, and gets the execution."""

    def play(teller: Teller, about: str, input: Mapping) -> Telling:
        run = teller.begin(**limits)
        try:
            callback_id = run.callback_ids()[0]
            close(run)
            until(run.look, LONG, "an execution to end")
            seen = run.seen(about)
            if close is deleted:
                clients.of("lambda").delete_durable_execution(DurableExecutionArn=run.arn)
            return Telling(about, {way: teller.tell(callback_id, **what) for way, what in ALL_WAYS.items()}, seen)
        finally:
            if close is not deleted:
                run.stop()

    return play


def succeeded(run):
    Answer(success={"rows": 3}).give(run.callback_ids()[0])


def failed(run):
    Answer(failure=("MigrationFailed", "Line 49.")).give(run.callback_ids()[0])


def expired(run):
    pass


def stopped(run):
    run.stop()


def deleted(run):
    run.stop()


def tells_a_made_up_id(teller: Teller, about: str, input: Mapping) -> Telling:
    return Telling(about, {way: teller.tell(input["CallbackId"], **what) for way, what in ALL_WAYS.items()})


def tells_and_is_refused(teller: Teller, about: str, input: Mapping) -> Telling:
    run = teller.begin()
    try:
        callback_id = run.callback_ids()[0]
        with teller.refusing(input["Code"], callback_id):
            said = side_by_side(*(functools.partial(teller.tell, callback_id, **what) for what in ALL_WAYS.values()))
        return Telling(about, dict(zip(ALL_WAYS, said, strict=True)))
    finally:
        run.stop()


def keeps_awake(teller: Teller, about: str, input: Mapping) -> Telling:
    """A sign of life every second, for longer than its heartbeat_timeout."""

    def begin():
        run = teller.begin(heartbeat_timeout=HEARTBEAT)
        return run, run.callback_ids()[0]

    run, raised, status = kept_awake(begin, teller.tell)
    try:
        return Telling(about, {"tell(callback_id)": raised}, dataclasses.replace(run.seen(about), status=status))
    finally:
        run.stop()


def kept_awake(begin: Callable, beat: Callable):
    """Keep an execution awake with a sign of life every second, for longer than its heartbeat, or until one fails.

    begin: returns (an execution, what `beat` takes; None where it cannot be kept awake at all).
    beat: sends a sign of life; returns what is wrong, or nothing.
    Returns (the execution, what was wrong, its status when the signs ended). Begins anew where the machine was too
    busy to send signs in time. Raises SandboxProblem where it always is.
    """
    for _ in range(3):
        run, about = begin()
        if about is None:
            return run, "It cannot be kept awake.", run.status
        last = began = _callback_began(run)  # the last sign came no earlier than that
        while last < began + HEARTBEAT + 1:
            sent = time.time()
            wrong, over = beat(about), run.look()
            if time.time() - last > HEARTBEAT - 0.5:
                break
            if wrong or over:
                return run, wrong, run.status
            last = sent
            time.sleep(1)
        else:
            return run, None, run.status
        run.stop()
    raise SandboxProblem(f"This machine is too busy to send signs of life every {HEARTBEAT} seconds. Try again later.")


def _callback_began(run):
    """When its first callback was made, in seconds since 1970; now, where there is none."""
    moments = [event["EventTimestamp"] for event in run.events() if event["EventType"] == "CallbackStarted"]
    return moments[0].timestamp() if moments else time.time()


# -- the vendor -------------------------------------------------------------------------------------------------------

QUIET = {"silent": True, "seconds": 3600}
MANY = 99  # orders, more than a check makes


@dataclasses.dataclass(frozen=True)
class Rehearsed(Case):
    """vendor: how the vendor's audit of this case goes, as Vendor.rehearse takes it, and `rows` of its table."""

    vendor: Mapping = dataclasses.field(default_factory=lambda: QUIET)


def each_of(statuses: Sequence[int], times: int = 1, then: Sequence = ()) -> OneOf:
    """What the vendor answers to orders: one of these statuses, so many times, and `then`."""
    return one_of(*([status] * times + [*then] for status in statuses))


def rehearsed(draw: Draw, name: str, case: Rehearsed) -> Rehearsed:
    """The case with what was drawn of `each_of`, and the status at the end of its `about`."""
    drawn = draw.values(f"{name}, vendor:", case.vendor)
    about = case.about if drawn == case.vendor else f"{case.about} ({drawn['answers'][0]})"
    return dataclasses.replace(case, vendor=drawn, about=about)


class Checking(DurableRun):
    """An execution that waits for the vendor's audit of a table. facts: what a play has seen, for the record."""

    def __init__(self, function: str, input: Mapping, verirow):
        super().__init__(function, input)
        self.vendor, self.messages, self.facts = verirow, Messages(verirow), {"answers": []}
        self._ordered = None  # not known yet

    def orders(self) -> list[dict]:
        return self.vendor.orders(self.input["Table"])

    def checks(self) -> list[dict]:
        return self.vendor.checks(self.input["Table"])

    @property
    def url(self) -> str | None:
        """The callback URL that the vendor got; None where it took no order."""
        if self._ordered is None:
            self._ordered = came(self, self.checks, "an order")
        return next((check["callback_url"] for check in self.checks()), None)

    def send(self, send: Callable, *more) -> bool:
        """Send a message to its callback URL, and note the answer; returns whether there is such a URL."""
        if self.url is None:
            return False
        self.facts["answers"].append(send(self, *more))
        return True

    def seen(self, about: str, facts: Mapping = types.MappingProxyType({}), **more) -> Execution:
        known = {**self.facts, **facts}
        urls = [json.loads(order["body"])["callback_url"] for order in self.orders()]
        known |= {"urls": urls, "checks": self.checks(), "mine": self.callback_ids(), "failures": self.failures()}
        known |= {"arn": self.arn, "orders": [order["body"] + json.dumps(order["headers"]) for order in self.orders()]}
        return super().seen(about, facts=known, **more)

    def to_its_end(self, patience=ENOUGH):
        until(self.look, patience, "an execution to end")


def reported(report):
    """The vendor sends a report, twice."""

    def play(run: Checking):
        def send():
            return run.send(lambda run: run.messages.message(run, "check.completed", report=report))

        run.facts["report"] = report
        if send():
            run.to_its_end()
            send()

    return play


def reported_failed(message):
    """The vendor says that it could not check the table."""

    def play(run: Checking):
        run.facts["message"] = message
        if run.send(lambda run: run.messages.message(run, "check.failed", error={"code": "No", "message": message})):
            run.to_its_end()

    return play


def reported_after(condition: Callable):
    """The vendor sends a report when something has come about."""

    def play(run: Checking):
        if not until(lambda: run.look() or condition(run), ENOUGH, "orders to come in"):
            return
        until(lambda: run.look() or run.has_submitted(), ENOUGH, "a submitter to be through")
        reported({"rows": 2})(run)

    return play


def refused(run: Checking):
    """Until it is clear whether a refused order is ordered again."""
    came(run, lambda: any(again for _, again in run.failures()), "an order to be refused")


def overtaken(run: Checking):
    """The vendor calls back before it answers the order."""

    def answers():
        return [told["answer"] for check in run.checks() for told in check["deliveries"]]

    was_called = came(run, answers, "a callback")
    run.facts["answers"] = answers()
    if was_called and not any(map(is_final, answers())):
        run.to_its_end()


def left_in_silence(run: Checking):
    if run.url is not None:
        run.to_its_end(20)


# -- two at once ------------------------------------------------------------------------------------------------------


def both_succeed(report):
    """The vendor sends a report, and the migration finishes."""

    def play(scene: Scene):
        reported(report)(scene.run)

    return play


def check_fails(message):
    """The vendor says that it could not check the table, while the migration runs."""

    def play(scene: Scene):
        run, migration = scene.run, scene.migration

        def is_running():
            return migration.describe()["Status"] == "running"

        scene.facts["began"] = until(
            lambda: run.look() or (is_running() and run.checks()), ENOUGH, "a migration and an audit to begin"
        )
        if scene.facts["began"]:
            reported_failed(message)(run)
        scene.facts["left"] = _left(scene)

    return play


def migration_fails(scene: Scene):
    """The migration fails, while the vendor says nothing."""
    run, migration = scene.run, scene.migration
    scene.facts["began"] = until(
        lambda: run.look() or (begun(migration, "") and run.checks()), ENOUGH, "a migration and an audit to begin"
    )
    if scene.facts["began"]:
        until(lambda: run.look() or ended(migration), LONG, "a migration to fail")
        run.to_its_end()


def refused_at_once(scene: Scene):
    """The vendor refuses the order while the start of the migration is still on its way."""
    scene.run.to_its_end(30)
    name = scene.run.function.split(":")[6]

    def is_answered():
        calls = faults.calls(name, operation=STARTS, resource=scene.migration.arn)
        return all(call["outcome"] not in ("held", "under way") for call in calls)

    until(is_answered, LONG, "the start of a migration to be answered")
    scene.facts["left"] = _left(scene)


def _left(scene):
    """The status in which its migration was left."""
    until(lambda: scene.migration.describe()["Status"] != "starting", LONG, "a migration to have started")
    return scene.migration.describe()["Status"]


# -- asking for approval ----------------------------------------------------------------------------------------------


def paused_twice(scene: Scene) -> bool:
    """Whether a durable function has decided twice to wait. (Nobody asks how a state machine goes on.)"""
    run = scene.run
    return not isinstance(run, DurableRun) or len(run.pauses(run.events())) > 1


def failed_or_waits(scene: Scene) -> bool:
    """Whether a durable function has failed to do something, or waits for its migration."""
    run = scene.run
    return isinstance(run, DurableRun) and bool(run.failures() or run.pauses(run.events()))


def tried_to_start(scene: Scene) -> bool:
    """Whether it has started its migration, or failed to."""
    failed = isinstance(scene.run, DurableRun) and scene.run.failures()
    return bool(failed) or begun(scene.migration, scene.facts["before"] or "")


def approval(answer: Mapping | Answer | None, enough: Callable[[Scene], bool] = lambda scene: False):
    """Somebody answers the request under its Id as the application does, whatever waits; nobody, where it is None.

    answer: what the application sends as a success; or an Answer.
    The scene's run has a `table`. enough: what need not be waited for any longer, beside its end.
    """

    def play(scene: Scene):
        run = scene.run

        def item():
            return run.table.find(run.input["Id"]) or {}

        until(lambda: run.look() or "TaskToken" in item() or "CallbackId" in item(), ENOUGH, "a request for approval")
        scene.facts["item"] = found = item()
        said = answer if isinstance(answer, Answer) else Answer(success=answer)
        if answer and "TaskToken" in found:
            said.give_token(found["TaskToken"])
        elif answer and "CallbackId" in found and not run.look():
            said.give(found["CallbackId"])
        if answer is None or found:
            until(lambda: run.look() or enough(scene), ENOUGH, "an execution to end")
        scene.facts["begun"] = begun(scene.migration, scene.facts["before"] or "")

    return play
