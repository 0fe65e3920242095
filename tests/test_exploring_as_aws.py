"""The explorer does what AWS does: the history of its official local runner, and AWS's conformance suite.

The numbers are those of the requirements in aws/aws-durable-execution-conformance-tests: suites step (1), wait (2),
callback (4) and wait_for_callback (7). Handlers, worlds and words are ours.
"""

import datetime

import pytest
from aws_durable_execution_sdk_python import CallbackExternalError, CallbackTimeoutError, durable_execution
from aws_durable_execution_sdk_python.config import (
    CallbackConfig,
    CompletionConfig,
    Duration,
    JitterStrategy,
    ParallelConfig,
    StepConfig,
    StepSemantics,
    WaitForCallbackConfig,
)
from aws_durable_execution_sdk_python.retries import (
    RetryPresets,
    RetryStrategyConfig,
    create_retry_strategy,
)
from aws_durable_execution_sdk_python.serdes import JsonSerDes, SerDes
from aws_durable_execution_sdk_python.waits import WaitForConditionConfig, WaitForConditionDecision
from aws_durable_execution_sdk_python_testing import DurableFunctionTestRunner

from workshop.exploring import Crash, World, play


def seconds(number):
    return Duration.from_seconds(number)


NO_RETRY = StepConfig(retry_strategy=RetryPresets.none())


def tries(most, delay=1, rate=1, **more):
    plain = {"backoff_rate": rate, "jitter_strategy": JitterStrategy.NONE, "initial_delay": seconds(delay)}
    return StepConfig(retry_strategy=create_retry_strategy(RetryStrategyConfig(max_attempts=most, **plain, **more)))


class Transient(Exception):
    pass


def flaky(failures, result="done", error=ValueError):
    """A step's body that fails so often, and then returns the result."""

    def body(step):
        if step.attempt <= failures:
            raise error("not yet")
        return result

    return body


def told(run):
    """A history in short: the kinds of its events, with what matters of each."""
    return [_told(event["EventType"], event.get(f"{event['EventType']}Details", {})) for event in run.history]


def _told(kind, details):
    words = [kind]
    words += [str(details[key]) for key in ("Duration", "Timeout", "HeartbeatTimeout") if details.get(key)]
    error = ((details.get("Error") or {}).get("Payload") or {}).get("ErrorType", "")
    words += [error if error.startswith(("Callback.", "Runtime.")) else error.rpartition(".")[2]] if error else []
    retry = details.get("RetryDetails", {})
    if retry.get("CurrentAttempt", 0) > 1 or "NextAttemptDelaySeconds" in retry:
        words.append(str(retry["CurrentAttempt"]))
    words += [f"+{retry['NextAttemptDelaySeconds']}"] if "NextAttemptDelaySeconds" in retry else []
    return " ".join(words)


def events(text):
    return [line.strip() for line in text.strip().splitlines() for line in line.split(",")]


class Outside(World):
    """Answers each callback that it is told of as its script says: {name: [(seconds, how, *what), ...]}."""

    script = {}  # noqa: RUF012

    def hears(self, name, callback_id):
        for delay, how, *what in self.script.get(name, ()):
            self.later(delay, getattr(self, how), callback_id, *what)


def outside(**script):
    return type("Scripted", (Outside,), {"script": script})


def durations(limits):
    return {key: seconds(value) if isinstance(value, int) else value for key, value in limits.items()}


def created(context, world, name="approval", **limits):
    """A callback that the world knows of; told in a step where the handler would tell somebody."""
    callback = context.create_callback(name=name, config=CallbackConfig(**durations(limits)))
    if not context.is_replaying():
        world.hears(name, callback.callback_id)
    return callback


# -- suite step -------------------------------------------------------------------------------------------------------

START, END = "ExecutionStarted", "ExecutionSucceeded"


class Upper(SerDes):
    def serialize(self, value, _):
        return value.upper()

    def deserialize(self, data, _):
        return data


def caught(context, body):
    try:
        return context.step(body, config=NO_RETRY)
    except Exception:
        return "caught"


def once_failed_then_waits(context):
    result = caught(context, flaky(9))
    context.wait(seconds(1))
    return result


def step_then_wait(context, number):
    value = context.step(lambda _: "cached")
    context.wait(seconds(number))
    return value


def second_from_first(context):
    first = context.step(lambda _: "first")
    return context.step(lambda _: first + "_second")


ONE = "StepStarted, StepSucceeded, InvocationCompleted"
STEPS = {
    "1-1": (lambda c, w: c.step(lambda _: "Hello"), "Hello", ONE),
    "1-2": (lambda c, w: c.step(lambda _: "Hello", name="greet"), "Hello", ONE),
    "1-3": (
        lambda c, w: second_from_first(c),
        "first_second",
        "StepStarted, StepSucceeded, StepStarted, StepSucceeded, InvocationCompleted",
    ),
    "1-4": (lambda c, w: c.step(lambda _: {"tags": ["a", 1], "n": None}), {"tags": ["a", 1], "n": None}, ONE),
    "1-5": (lambda c, w: c.step(lambda _: None), None, ONE),
    "1-6": (lambda c, w: c.step(lambda _: "hello", config=StepConfig(serdes=Upper())), "HELLO", ONE),
    "1-8": (
        lambda c, w: step_then_wait(c, 2),
        "cached",
        "StepStarted, StepSucceeded, WaitStarted 2, InvocationCompleted, WaitSucceeded 2, InvocationCompleted",
    ),
    "1-9": (
        lambda c, w: step_then_wait(c, 1),
        "cached",
        "StepStarted, StepSucceeded, WaitStarted 1, InvocationCompleted, WaitSucceeded 1, InvocationCompleted",
    ),
    "1-10": (
        lambda c, w: once_failed_then_waits(c),
        "caught",
        "StepStarted, StepFailed ValueError, WaitStarted 1, InvocationCompleted, WaitSucceeded 1, InvocationCompleted",
    ),
    "1-11": (
        lambda c, w: c.step(flaky(1), config=tries(2)),
        "done",
        "StepStarted, StepFailed ValueError 1 +1, InvocationCompleted, StepStarted, StepSucceeded 2, "
        "InvocationCompleted",
    ),
    "1-14": (
        lambda c, w: c.step(flaky(2), config=tries(3, delay=2, rate=3)),
        "done",
        "StepStarted, StepFailed ValueError 1 +2, InvocationCompleted, StepStarted, StepFailed ValueError 2 +6, "
        "InvocationCompleted, StepStarted, StepSucceeded 3, InvocationCompleted",
    ),
    "1-15": (
        lambda c, w: c.step(flaky(1, error=Transient), config=tries(3, retryable_error_types=[Transient])),
        "done",
        "StepStarted, StepFailed Transient 1 +1, InvocationCompleted, StepStarted, StepSucceeded 2, "
        "InvocationCompleted",
    ),
    "1-20": (
        lambda c, w: caught(c, flaky(9)) and c.step(lambda _: "fallback"),
        "fallback",
        "StepStarted, StepFailed ValueError, StepStarted, StepSucceeded, InvocationCompleted",
    ),
}
FAILING_STEPS = {
    "1-12": (
        tries(4),
        "StepStarted, StepFailed ValueError 1 +1, InvocationCompleted, StepStarted, StepFailed ValueError 2 +1, "
        "InvocationCompleted, StepStarted, StepFailed ValueError 3 +1, InvocationCompleted, StepStarted, "
        "StepFailed ValueError 4, InvocationCompleted, ExecutionFailed StepError",
    ),
    "1-16": (
        tries(4, retryable_error_types=[Transient]),
        "StepStarted, StepFailed ValueError, InvocationCompleted, ExecutionFailed StepError",
    ),
    "1-19": (NO_RETRY, "StepStarted, StepFailed ValueError, InvocationCompleted, ExecutionFailed StepError"),
}


@pytest.mark.parametrize("number", STEPS)
def test_steps(number):
    handle, result, history = STEPS[number]
    run = play(lambda world: lambda event, context: handle(context, world), {})
    assert run.outcome == ("SUCCEEDED", result, None, None)
    assert told(run) == events(f"{START}, {history}, {END}")


@pytest.mark.parametrize("number", FAILING_STEPS)
def test_steps_that_fail(number):
    config, history = FAILING_STEPS[number]
    run = play(lambda world: lambda event, context: context.step(flaky(9), config=config), {})
    assert run.status == "FAILED" and "not yet" in run.error["ErrorMessage"]
    assert told(run) == events(f"{START}, {history}")


def test_a_named_step_has_its_name_in_each_event():  # 1-2
    run = play(lambda world: lambda event, context: context.step(lambda _: 1, name="greet"), {})
    assert [event["Name"] for event in run.history if event["EventType"].startswith("Step")] == ["greet", "greet"]


def test_what_a_step_logs_is_in_the_story():  # 1-7
    def program(world):
        return lambda event, context: context.step(lambda step: step.logger.info("begun for %s", event["Name"]))

    assert [line for _, line in play(program, {"Name": "Ada"}).story if "begun for Ada" in line]


def test_a_step_is_tried_six_times_unless_something_is_said():  # 1-13
    failing = play(lambda world: lambda event, context: context.step(flaky(9)), {})
    assert [line.split()[2] for line in told(failing) if line.startswith("StepFailed")] == list("123456")
    assert play(lambda world: lambda event, context: context.step(flaky(2)), {}).result == "done"


ONCE = {"step_semantics": StepSemantics.AT_MOST_ONCE_PER_RETRY}


@pytest.mark.parametrize(
    "retries, status, effects, history",
    [
        (
            RetryPresets.none(),
            "FAILED",
            1,
            "StepFailed StepInterruptedError, InvocationCompleted, ExecutionFailed StepError",
        ),
        (
            tries(2).retry_strategy,
            "SUCCEEDED",
            2,
            f"StepFailed StepInterruptedError 1 +1, InvocationCompleted, StepStarted, StepSucceeded 2, "
            f"InvocationCompleted, {END}",
        ),
    ],
    ids=["1-17", "1-18"],
)
def test_a_step_that_may_run_once_is_interrupted(retries, status, effects, history):
    def program(world):
        config = StepConfig(retry_strategy=retries, **ONCE)
        return lambda event, context: context.step(lambda _: world.did("call"), config=config)

    run = play(program, {}, schedule=[Crash("inside", 1)])
    assert (run.status, run.effects) == (status, [("call",)] * effects)
    assert told(run) == events(f"{START}, StepStarted, InvocationCompleted Runtime.ExitError, {history}")


# -- suite wait -------------------------------------------------------------------------------------------------------


def waits(*durations):
    def program(world):
        def handler(event, context):
            for duration in durations:
                context.wait(duration, name="pause")
            return len(durations)

        return handler

    return program


@pytest.mark.parametrize(
    "durations, lasts",
    [
        ([seconds(2)], [2]),
        ([seconds(2), seconds(2)], [2, 2]),
        ([Duration.from_minutes(1)], [60]),
        ([Duration.from_hours(1)], [3600]),
    ],
    ids=["2-1 and 2-2", "2-3", "2-4", "2-5"],
)
def test_waits(durations, lasts):
    run = play(waits(*durations), {})
    assert (run.result, run.seconds) == (len(lasts), sum(lasts))
    pairs = [f"WaitStarted {each}, InvocationCompleted, WaitSucceeded {each}" for each in lasts]
    assert told(run) == events(f"{START}, {', '.join(pairs)}, InvocationCompleted, {END}")
    names = {event["Name"] for event in run.history if event["EventType"].startswith("Wait")}
    assert names == {"pause"}


# -- suite callback ---------------------------------------------------------------------------------------------------

REJECTED = (1, "fail", "not approved", "RejectedError")
YES = (1, "succeed", "yes")


def answer_of(callback):
    try:
        return callback.result()
    except CallbackExternalError as error:
        return str(error)
    except CallbackTimeoutError:
        return "too late"


def with_step(context, world, **limits):
    callback = created(context, world, **limits)
    context.step(lambda _: "order")
    return callback.result()


def with_wait(context, world, pause, **limits):
    callback = created(context, world, **limits)
    context.wait(seconds(pause))
    return callback.result()


def then_waits(context, world, **limits):
    answer = answer_of(created(context, world, **limits))
    context.wait(seconds(2))
    return answer


def one_by_one(context, world):
    return [created(context, world, name).result() for name in "AB"]


def both(context, world, order):
    callbacks = {name: created(context, world, name) for name in "AB"}
    return {name: callbacks[name].result() for name in order}


class Number(SerDes):
    def serialize(self, value, _):
        return str(value)

    def deserialize(self, data, _):
        return int(data)


class Dated(SerDes):
    def serialize(self, value, _):
        raise NotImplementedError

    def deserialize(self, data, _):
        message = JsonSerDes().deserialize(data, None)
        return {**message, "at": datetime.datetime.fromisoformat(message["at"]).year}


FAILS = "CallbackStarted, InvocationCompleted, CallbackFailed RejectedError, InvocationCompleted"
CALLBACKS = {
    "4-1": (
        lambda c, w: created(c, w).result(),
        [YES],
        "yes",
        "CallbackStarted, InvocationCompleted, CallbackSucceeded, InvocationCompleted",
    ),
    "4-3": (
        lambda c, w: created(c, w, timeout=5).result(),
        [],
        None,
        "CallbackStarted 5, InvocationCompleted, CallbackTimedOut Callback.Timeout, InvocationCompleted",
    ),
    "4-4": (
        lambda c, w: created(c, w, heartbeat_timeout=5).result(),
        [],
        None,
        "CallbackStarted 5, InvocationCompleted, CallbackTimedOut Callback.Heartbeat, InvocationCompleted",
    ),
    "4-5": (
        lambda c, w: created(c, w, heartbeat_timeout=10).result(),
        [(6, "heartbeat"), (12, "succeed", "yes")],
        "yes",
        "CallbackStarted 10, InvocationCompleted, CallbackSucceeded, InvocationCompleted",
    ),
    "4-6": (lambda c, w: created(c, w).result(), [REJECTED], None, FAILS),
    "4-7": (
        with_step,
        [REJECTED],
        None,
        "CallbackStarted, StepStarted, StepSucceeded, InvocationCompleted, CallbackFailed RejectedError, "
        "InvocationCompleted",
    ),
    "4-8": (
        lambda c, w: with_step(c, w, timeout=5),
        [],
        None,
        "CallbackStarted 5, StepStarted, StepSucceeded, InvocationCompleted, CallbackTimedOut Callback.Timeout, "
        "InvocationCompleted",
    ),
    "4-9": (
        lambda c, w: with_wait(c, w, 5),
        [YES],
        "yes",
        "CallbackStarted, WaitStarted 5, InvocationCompleted, CallbackSucceeded, InvocationCompleted, WaitSucceeded 5, "
        "InvocationCompleted",
    ),
    "4-10": (
        lambda c, w: with_wait(c, w, 5),
        [REJECTED],
        None,
        "CallbackStarted, WaitStarted 5, InvocationCompleted, CallbackFailed RejectedError, InvocationCompleted, "
        "WaitSucceeded 5, InvocationCompleted",
    ),
    "4-11": (
        lambda c, w: with_wait(c, w, 6, timeout=3),
        [],
        None,
        "CallbackStarted 3, WaitStarted 6, InvocationCompleted, CallbackTimedOut Callback.Timeout, "
        "InvocationCompleted, WaitSucceeded 6, InvocationCompleted",
    ),
    "4-12": (
        then_waits,
        [YES],
        "yes",
        "CallbackStarted, InvocationCompleted, CallbackSucceeded, WaitStarted 2, InvocationCompleted, WaitSucceeded 2, "
        "InvocationCompleted",
    ),
    "4-13": (
        then_waits,
        [REJECTED],
        "not approved",
        "CallbackStarted, InvocationCompleted, CallbackFailed RejectedError, WaitStarted 2, InvocationCompleted, "
        "WaitSucceeded 2, InvocationCompleted",
    ),
    "4-14": (
        lambda c, w: then_waits(c, w, timeout=3),
        [],
        "too late",
        "CallbackStarted 3, InvocationCompleted, CallbackTimedOut Callback.Timeout, WaitStarted 2, "
        "InvocationCompleted, WaitSucceeded 2, InvocationCompleted",
    ),
    "4-15": (
        lambda c, w: created(c, w, serdes=Dated()).result(),
        [(1, "succeed", {"id": 7, "at": "2026-01-01T00:00:00.000Z"})],
        {"id": 7, "at": 2026},
        "CallbackStarted, InvocationCompleted, CallbackSucceeded, InvocationCompleted",
    ),
    "4-16": (
        lambda c, w: created(c, w, serdes=Number()).result() * 2,
        [(1, "succeed", 42)],
        84,
        "CallbackStarted, InvocationCompleted, CallbackSucceeded, InvocationCompleted",
    ),
}


def ends(run, result):
    """Whether it ended with this result; None: whether it failed with a callback's error."""
    if result is None:
        return run.status == "FAILED" and "Callback" in run.error["ErrorType"]
    return run.outcome == ("SUCCEEDED", result, None, None)


@pytest.mark.parametrize("number", CALLBACKS)
def test_callbacks(number):
    handle, script, result, history = CALLBACKS[number]
    run = play(lambda world: lambda event, context: handle(context, world), {}, world=outside(approval=script))
    assert ends(run, result), run.outcome
    if result is None:
        assert told(run)[-1].startswith("ExecutionFailed Callback")
    assert told(run)[:-1] == events(f"{START}, {history}")


def test_a_callback_has_its_name_in_each_event():  # 4-2
    program = lambda world: lambda event, context: created(context, world).result()  # noqa: E731
    history = play(program, {}, world=outside(approval=[YES])).history
    assert [event.get("Name") for event in history if event["EventType"].startswith("Callback")] == ["approval"] * 2


@pytest.mark.parametrize(
    "handle, script, history",
    [
        (
            one_by_one,
            {"A": [YES], "B": [YES]},
            "CallbackStarted, InvocationCompleted, CallbackSucceeded, CallbackStarted, InvocationCompleted, "
            "CallbackSucceeded, InvocationCompleted",
        ),
        (
            lambda c, w: list(both(c, w, "AB").values()),
            {"A": [(3, "succeed", "yes")], "B": [(4, "succeed", "yes")]},
            "CallbackStarted, CallbackStarted, InvocationCompleted, CallbackSucceeded, InvocationCompleted, "
            "CallbackSucceeded, InvocationCompleted",
        ),
        (
            lambda c, w: list(both(c, w, "BA").values()),
            {"B": [(4, "succeed", "yes")], "A": [(5, "succeed", "yes")]},
            "CallbackStarted, CallbackStarted, InvocationCompleted, CallbackSucceeded, InvocationCompleted, "
            "CallbackSucceeded, InvocationCompleted",
        ),
    ],
    ids=["4-17", "4-18", "4-19"],
)
def test_two_callbacks(handle, script, history):
    run = play(lambda world: lambda event, context: handle(context, world), {}, world=outside(**script))
    assert run.result == ["yes", "yes"]
    assert told(run) == events(f"{START}, {history}, {END}")


# -- suite wait_for_callback ------------------------------------------------------------------------------------------


def waited(context, world, name="approval", fails=0, **limits):
    def submit(callback_id, step):
        if fails:
            raise ValueError("no such vendor")
        world.hears(name or "approval", callback_id)

    return context.wait_for_callback(submit, name=name, config=WaitForCallbackConfig(**durations(limits)))


def recovered(context, world, **limits):
    try:
        return waited(context, world, **limits)
    except (CallbackExternalError, CallbackTimeoutError):
        return "recovered"


def after_wait_and_step(context, world):
    context.wait(seconds(1))
    context.step(lambda _: None)
    return waited(context, world)


BEGIN = "ContextStarted, CallbackStarted, StepStarted, StepSucceeded, InvocationCompleted"
DONE = "CallbackSucceeded, ContextSucceeded"
WAITS = {
    "7-1 and 7-2": (waited, [YES], "yes", f"{BEGIN}, {DONE}, InvocationCompleted"),
    "7-3": (lambda c, w: waited(c, w, name=None), [YES], "yes", f"{BEGIN}, {DONE}, InvocationCompleted"),
    "7-4": (
        waited,
        [REJECTED],
        None,
        f"{BEGIN}, CallbackFailed RejectedError, ContextFailed CallbackExternalError, InvocationCompleted",
    ),
    "7-5": (
        lambda c, w: waited(c, w, timeout=3),
        [],
        None,
        f"{BEGIN.replace('CallbackStarted', 'CallbackStarted 3')}, CallbackTimedOut Callback.Timeout, "
        "ContextFailed CallbackTimeoutError, InvocationCompleted",
    ),
    "7-6": (
        recovered,
        [REJECTED],
        "recovered",
        f"{BEGIN}, CallbackFailed RejectedError, ContextFailed CallbackExternalError, InvocationCompleted",
    ),
    "7-7": (
        lambda c, w: waited(c, w, fails=9, retry_strategy=tries(2).retry_strategy),
        [],
        None,
        "ContextStarted, CallbackStarted, StepStarted, StepFailed ValueError 1 +1, InvocationCompleted, StepStarted, "
        "StepFailed ValueError 2, ContextFailed StepError, InvocationCompleted",
    ),
    "7-8": (
        lambda c, w: c.run_in_child_context(lambda child: waited(child, w), name="child"),
        [YES],
        "yes",
        f"ContextStarted, {BEGIN}, {DONE}, ContextSucceeded, InvocationCompleted",
    ),
    "7-9": (
        lambda c, w: [waited(c, w), waited(c, w)][1],
        [YES],
        "yes",
        f"{BEGIN}, {DONE}, {BEGIN}, {DONE}, InvocationCompleted",
    ),
    "7-10": (
        after_wait_and_step,
        [YES],
        "yes",
        f"WaitStarted 1, InvocationCompleted, WaitSucceeded 1, StepStarted, StepSucceeded, {BEGIN}, {DONE}, "
        "InvocationCompleted",
    ),
    "7-11": (
        lambda c, w: waited(c, w, serdes=JsonSerDes())["status"],
        [(1, "succeed", {"status": "approved"})],
        "approved",
        f"{BEGIN}, {DONE}, InvocationCompleted",
    ),
    "7-12": (
        lambda c, w: waited(c, w, heartbeat_timeout=5),
        [],
        None,
        f"{BEGIN.replace('CallbackStarted', 'CallbackStarted 5')}, CallbackTimedOut Callback.Heartbeat, "
        "ContextFailed CallbackTimeoutError, InvocationCompleted",
    ),
    "7-13": (
        lambda c, w: waited(c, w, heartbeat_timeout=10),
        [(6, "heartbeat"), (12, "succeed", "yes")],
        "yes",
        f"{BEGIN.replace('CallbackStarted', 'CallbackStarted 10')}, {DONE}, InvocationCompleted",
    ),
    "7-14": (
        lambda c, w: recovered(c, w, timeout=3),
        [],
        "recovered",
        f"{BEGIN.replace('CallbackStarted', 'CallbackStarted 3')}, CallbackTimedOut Callback.Timeout, "
        "ContextFailed CallbackTimeoutError, InvocationCompleted",
    ),
    "7-15": (lambda c, w: [waited(c, w)], [(1, "succeed")], [None], f"{BEGIN}, {DONE}, InvocationCompleted"),
}


@pytest.mark.parametrize("number", WAITS)
def test_waits_for_callbacks(number):
    handle, script, result, history = WAITS[number]
    run = play(lambda world: lambda event, context: handle(context, world), {}, world=outside(approval=script))
    assert ends(run, result), run.outcome
    assert told(run)[:-1] == events(f"{START}, {history}")


def test_what_a_wait_for_callback_is_made_of_knows_its_parent():  # 7-2, 7-8
    def program(world):
        return lambda event, context: context.run_in_child_context(lambda child: waited(child, world), name="child")

    history = play(program, {}, world=outside(approval=[YES])).history
    begun = [
        (each.get("Name"), each["Id"], each.get("ParentId")) for each in history if each["EventType"][-7:] == "Started"
    ]
    (_, child, _), (name, wait, of_wait), (_, _, of_callback), (_, _, of_submitter) = begun[1:]
    assert (name, of_wait, of_callback, of_submitter) == ("approval", child, wait, wait)


# -- the official runner ----------------------------------------------------------------------------------------------


def several(world):
    """A bit of everything that needs nobody outside."""

    def poll_again(state, attempt):
        if state >= 3:
            return WaitForConditionDecision.stop_polling()
        return WaitForConditionDecision.continue_waiting(seconds(attempt * 10))

    def handler(event, context):
        first = context.step(lambda _: {"n": event["N"]}, name="first")
        context.step(flaky(2), name="flaky", config=tries(3, delay=2, rate=2))
        context.wait(Duration.from_hours(1), name="hour")
        config = WaitForConditionConfig(poll_again, initial_state=0)
        polled = context.wait_for_condition(lambda state, _: state + 1, config, name="polled")
        inner = context.run_in_child_context(lambda child: child.step(lambda _: "inner", name="inner"), name="child")
        caught(context, flaky(9))
        return [first, polled, inner]

    return handler


def side_by_side(world):
    def branch(number):
        def run(child):
            child.wait(seconds(number), name="pause")
            return number

        return run

    def handler(event, context):
        one_at_a_time = ParallelConfig(max_concurrency=1)
        return context.parallel([branch(1), branch(2)], name="both", config=one_at_a_time).get_results()

    return handler


def fails(world):
    def handler(event, context):
        context.wait(seconds(1))
        raise ValueError("at the end")

    return handler


def answered(world):
    return lambda event, context: waited(context, world, timeout=60)


CHANGING = ("EventTimestamp", "ScheduledEndTimestamp", "CallbackId", "ExecutionTimeout")


def comparable(value, official):
    """What must be equal: without times and ids of one run, and with the keys that the official runner has.

    Of a step that is not tried again it says a delay of 0 seconds, where AWS says none (1-12).
    """
    if isinstance(value, dict) and isinstance(official, dict):
        left_out = (*CHANGING, "NextAttemptDelaySeconds") if official.get("NextAttemptDelaySeconds") == 0 else CHANGING
        return {key: comparable(value.get(key), official[key]) for key in official if key not in left_out}
    return value


def official_history(program):
    handler = durable_execution(program(_Silent()))
    with DurableFunctionTestRunner(handler, poll_interval=0.01) as runner:
        arn = runner.run_async('{"N": 7}')
        if program is answered:
            callback_id = runner.wait_for_callback(arn)
            # An answer that comes before the invocation has ended leads to another order of events.
            while "InvocationCompleted" not in [each.event_type for each in runner.get_execution_history(arn).events]:
                pass
            runner.send_callback_success(callback_id, b"yes")
        runner.wait_for_result(arn)
        history = runner._executor.get_execution_history(arn, include_execution_data=True)
        return [each.to_dict() for each in history.events]


class _Silent:
    def hears(self, name, callback_id):
        pass


@pytest.mark.parametrize("program", [several, side_by_side, fails, answered], ids=lambda each: each.__name__)
def test_without_a_crash_it_has_the_official_runners_history(program):
    official = official_history(program)
    run = play(program, {"N": 7}, world=outside(approval=[YES]))
    assert [each["EventType"] for each in run.history] == [each["EventType"] for each in official]
    for ours, theirs in zip(run.history, official, strict=True):
        if theirs["EventType"].startswith("Execution"):  # it has a name and an id of its own
            theirs.update({key: ours.get(key) for key in ("Id", "Name")})
        assert comparable(ours, theirs) == comparable(theirs, theirs)


# -- one clock --------------------------------------------------------------------------------------------------------


def test_a_wait_of_a_day_is_longer_than_a_time_limit_of_five_minutes():
    run = play(waits(Duration.from_hours(24)), {}, timeout=300)
    assert (run.status, run.seconds) == ("TIMED_OUT", 300)


def test_the_time_limit_of_a_callback_comes_before_a_longer_wait():
    def program(world):
        def handler(event, context):
            def told_in_time(child):
                return recovered(child, world, timeout=3)

            first = ParallelConfig(completion_config=CompletionConfig.first_successful())
            branches = [lambda child: child.wait(Duration.from_hours(24), name="day"), told_in_time]
            return context.parallel(branches, config=first, name="race").get_results()

        return handler

    run = play(program, {}, world=outside())
    assert (run.result, run.seconds) == (["recovered"], 3)


def test_sleep_in_a_handler_moves_the_clock_and_takes_no_time():
    import time

    def program(world):
        return lambda event, context: context.step(lambda _: time.sleep(500))

    assert play(program, {}).seconds == 500


def test_an_invocation_that_sleeps_for_longer_than_lambda_lets_it_is_a_fault():
    import time

    def sleeps(seconds):
        return lambda world: lambda event, context: time.sleep(seconds)

    assert play(sleeps(900), {}).faults == []
    run = play(sleeps(86_400), {})
    assert run.faults[0].startswith("Invocation 1 took 1 day, and Lambda ends an invocation after 15 minutes.")
    assert run.strays
