"""Replays of durable executions: really run ones, and histories made by hand for what seldom happens."""

import base64
import datetime
import io
import json
import textwrap

import boto3
import patience
import pytest

from workshop import deploy, executions
from workshop.costs.prices import durable_price
from workshop.names import name
from workshop.replays import Replay

PREAMBLE = """
import os
import boto3
from aws_durable_execution_sdk_python import durable_execution
from aws_durable_execution_sdk_python.config import Duration, JitterStrategy, StepConfig, WaitForCallbackConfig
from aws_durable_execution_sdk_python.retries import RetryStrategyConfig, create_retry_strategy
from aws_durable_execution_sdk_python.waits import WaitForConditionConfig, WaitStrategyConfig, create_wait_strategy

SECOND = Duration.from_seconds(1)
EACH_SECOND = dict(initial_delay=SECOND, backoff_rate=1, jitter_strategy=JitterStrategy.NONE)
TWICE_MORE = StepConfig(retry_strategy=create_retry_strategy(RetryStrategyConfig(max_attempts=3, **EACH_SECOND)))

@durable_execution
def lambda_handler(event, context):
"""

SEVERAL = """
context.step(lambda _: 3, name="load")
context.wait(SECOND, name="nap")
context.step(lambda _: True, name="check")
strategy = create_wait_strategy(WaitStrategyConfig(should_continue_polling=lambda n: n < 3, **EACH_SECOND))
config = WaitForConditionConfig(wait_strategy=strategy, initial_state=0)
context.wait_for_condition(lambda n, _: n + 1, config, name="poll")
return context.wait_for_callback(lambda *_: None, name="vendor")
"""
FLAKY = """
def ask(step):
    if step.attempt <= event["failures"]:
        raise TimeoutError("no answer")
    return step.attempt
return context.step(ask, name="ask", config=TWICE_MORE)
"""
BRANCHES = """
def short(branch):
    branch.step(lambda _: 1, name="first")
    branch.wait(SECOND, name="nap")
    branch.step(lambda _: 2, name="second")
def told(branch):
    branch.wait_for_callback(lambda *_: None, name="vendor")
context.parallel([short, told], name="both")
context.wait(SECOND, name="rest")
"""
EXITS = """
def once(step):
    if not os.path.exists(event["marker"]):
        open(event["marker"], "w").close()
        os._exit(3)
context.step(lambda _: 1, name="before")
context.step(once, name="work")
"""
WAITS = 'return context.wait_for_callback(lambda *_: None, name="vendor")'


def begin(thing, body, event=None, seconds=60):
    """Deploy a durable function and start an execution of it; gives the execution's ARN."""
    source = PREAMBLE + textwrap.indent(body.strip(), "    ") + "\n"
    function = deploy.function(name("04", thing), source, durable=seconds)
    return boto3.client("lambda").invoke(
        FunctionName=f"{function}:$LATEST", InvocationType="Event", Payload=json.dumps(event or {})
    )["DurableExecutionArn"]


def until(arn, condition):
    """The Replay of an execution, once a condition on it holds."""

    def look():
        replay = Replay.of(arn)
        return replay if condition(replay) else None

    return patience.until(look, every=0.1)


def suspended_for(*names):
    return lambda replay: bool(replay.invocations) and {*names} <= {*replay.invocations[-1].waits_for}


def answer(replay, result=b"fine"):
    callback_id = next(
        e["CallbackStartedDetails"]["CallbackId"] for e in replay.events if e["EventType"] == "CallbackStarted"
    )
    boto3.client("lambda").send_durable_execution_callback_success(CallbackId=callback_id, Result=result)


def stop(arn):
    boto3.client("lambda").stop_durable_execution(DurableExecutionArn=arn, Error={"ErrorType": "Enough"})


def finish(arn):
    executions.wait(arn, timeout=patience.PATIENCE)
    return Replay.of(arn)


pytestmark = pytest.mark.usefixtures("account")

# -- executions of the sandbox ----------------------------------------------------------------------------------------


def test_an_execution_of_several_invocations():
    arn = begin("several", SEVERAL)
    answer(until(arn, suspended_for("vendor create callback id")))
    replay = finish(arn)
    assert (replay.status, replay.result, replay.error) == ("SUCCEEDED", '"fine"', None)
    one, two, three, four, five = replay.invocations
    assert [each.number for each in replay.invocations] == [1, 2, 3, 4, 5]
    assert (one.ran, one.answered, one.waits_for) == (["load"], [], ["nap"])
    assert (two.ran, two.answered, two.waits_for) == (["check", "poll"], ["load", "nap"], ["poll"])
    assert (three.ran, three.answered, three.waits_for) == (["poll"], ["load", "nap", "check"], ["poll"])
    assert (four.ran, four.waits_for) == (["poll", "vendor submitter"], ["vendor create callback id"])
    assert (five.ran, five.waits_for) == ([], [])
    assert five.answered == ["load", "nap", "check", "poll", "vendor create callback id", "vendor submitter"]
    # The start, load, nap, check, 1 + 3 polls, and the three of wait_for_callback.
    assert replay.operations == 1 + 3 + 4 + 3
    assert not any(each.failed for each in replay.invocations)

    times = [moment for each in replay.invocations for moment in (each.began, each.ended)]
    assert times == sorted(times)
    assert replay.started <= times[0]
    assert times[-1] <= replay.ended
    assert replay.started.utcoffset() is not None
    assert [each.seconds for each in replay.invocations] == [
        pytest.approx((each.ended - each.began).total_seconds()) for each in replay.invocations
    ]
    total = (replay.ended - replay.started).total_seconds()
    assert replay.seconds + replay.suspended == pytest.approx(total)
    assert replay.suspended > 3 * 0.99  # a wait and two pauses between polls, a second each


def test_a_step_that_is_tried_again():
    arn = begin("retried", FLAKY, {"failures": 2})
    replay = finish(arn)
    assert [each.ran for each in replay.invocations] == [["ask"]] * 3
    assert [each.waits_for for each in replay.invocations] == [["ask"], ["ask"], []]
    assert replay.operations == 1 + 1 + 2
    assert (replay.status, replay.result) == ("SUCCEEDED", "3")
    assert str(replay).splitlines()[1:] == [
        "Invocation 1: ran ask (failed); suspended for ask.",
        "Invocation 2: ran ask (failed); suspended for ask.",
        "Invocation 3: ran ask; ended.",
    ]


def test_a_step_that_fails_for_good():
    replay = finish(begin("retried", FLAKY, {"failures": 9}))
    assert replay.status == "FAILED"
    assert replay.result is None
    assert replay.error["ErrorType"].endswith("StepError")
    assert replay.error["ErrorMessage"] == "no answer"
    assert [each.failed for each in replay.invocations] == [False, False, True]
    assert replay.invocations[-1].error == replay.error
    # That the last invocation ended the execution is no retry of an invocation, so not one operation more.
    assert replay.operations == 1 + 1 + 2
    assert str(replay).splitlines()[-1] == f"Invocation 3: ran ask (failed); failed: {replay.error['ErrorType']}."
    (legend,) = replay.figure.legends  # of the bars over time too: the first two invocations failed in nothing
    assert {"its code ran", "✗  failed"} <= {text.get_text() for text in legend.get_texts()}


def test_what_is_within_a_context_is_answered_with_it():
    arn = begin("branches", BRANCHES)
    first = until(arn, lambda replay: any("second" in each.ran for each in replay.invocations))
    assert first.invocations[0].ran == ["first", "vendor submitter"]
    assert {*first.invocations[0].waits_for} == {"nap", "vendor create callback id"}
    after = next(each for each in first.invocations if "second" in each.ran)
    assert {"first", "nap", "vendor submitter"} <= {*after.answered}
    until(arn, lambda replay: replay.invocations[-1].waits_for == ["vendor create callback id"])
    answer(first)
    replay = finish(arn)
    assert replay.status == "SUCCEEDED"
    # The branch that was over before is answered as a whole, and in the end both are.
    before, last = replay.invocations[-2:]
    assert "vendor create callback id" in before.answered
    assert not {"first", "nap", "second"} & {*before.answered}
    assert last.answered == ["both", "rest"]
    # The start; both, and its two branches; first, nap, second; the three of the vendor; rest.
    assert replay.operations == 1 + 3 + 3 + 3 + 1


def test_an_invocation_that_broke_off(tmp_path):
    replay = finish(begin("exits", EXITS, {"marker": str(tmp_path / "marker")}))
    broken, then = replay.invocations
    assert replay.status == "SUCCEEDED"
    assert (broken.failed, then.failed) == (True, False)
    assert broken.error["ErrorType"] == "Runtime.ExitError"
    assert broken.ran[0] == "before"  # that it began to work it may have had no time to tell
    assert broken.waits_for == []
    assert (then.ran, then.answered) == (["work"], ["before"])
    assert replay.operations == 1 + 2 + 1
    assert str(replay).splitlines()[-1] == "Invocation 2: answered before from checkpoints; ran work; ended."
    assert replay.suspended > 0.5  # nothing ran until it was invoked again


def test_while_it_runs_and_when_it_is_stopped():
    arn = begin("waits", WAITS)
    replay = until(arn, suspended_for("vendor create callback id"))
    assert (replay.status, replay.ended, replay.result, replay.error) == ("RUNNING", None, None, None)
    earlier = replay.suspended
    assert Replay.of(arn).suspended > earlier
    stop(arn)
    stopped = Replay.of(arn)
    assert (stopped.status, stopped.error["ErrorType"]) == ("STOPPED", "Enough")
    assert stopped.ended is not None
    assert stopped.invocations[-1].waits_for == ["vendor create callback id"]
    assert Replay.of(arn).suspended == stopped.suspended


def test_an_execution_that_takes_too_long(capsys):
    replay = finish(begin("short", WAITS, seconds=2))
    assert replay.status == "TIMED_OUT"
    assert capsys.readouterr().out.startswith("TIMED_OUT")
    assert replay.result is None
    assert (replay.ended - replay.started).total_seconds() >= 2


# -- histories made by hand -------------------------------------------------------------------------------------------

START = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def at(seconds):
    return START + datetime.timedelta(seconds=seconds)


def made(*events, status="SUCCEEDED", ended=10, seen=20):
    """A Replay. events: (seconds, type, name) and perhaps a dict of details, and one of further fields."""
    history = []
    for number, (seconds, kind, what, *more) in enumerate(events, 1):
        details, fields = [*more, {}, {}][:2]
        event = {"EventId": number, "EventTimestamp": at(seconds), "EventType": kind, f"{kind}Details": details}
        history.append(event | ({"Id": what, "Name": what} if what else {}) | fields)
    execution = {
        "DurableExecutionArn": "arn:aws:lambda:us-east-1:1:function:f:3/durable-execution/n/i",
        "Status": status,
        "StartTimestamp": START,
    }
    return Replay(execution | ({"EndTimestamp": at(ended)} if ended else {}), history, seen=at(seen))


def invocation(began, ended, **details):
    return ended, "InvocationCompleted", None, {"StartTimestamp": at(began), "EndTimestamp": at(ended), **details}


def retry(seconds=1):
    return {"RetryDetails": {"CurrentAttempt": 1, "NextAttemptDelaySeconds": seconds}}


def test_nothing_yet():
    replay = made((0, "ExecutionStarted", "n"), status="RUNNING", ended=None)
    assert (replay.invocations, replay.operations, replay.suspended) == ([], 1, 20)
    assert str(replay) == "f: RUNNING, 1 operation, 0 invocations."
    assert replay.figure
    assert "<table>" in replay._repr_html_()


def test_an_invocation_that_runs_has_no_end():
    replay = made(
        (0, "StepStarted", "a"), (1, "StepSucceeded", "a"), (1, "WaitStarted", "w"), invocation(0, 1),
        (4, "WaitSucceeded", "w"), (5, "StepStarted", "b"),
        status="RUNNING", ended=None,
    )  # fmt: skip
    running = replay.invocations[-1]
    assert (running.number, running.ended, running.ran, running.waits_for) == (2, None, ["b"], [])
    assert running.answered == ["a", "w"]
    # When it began is not in the history: after its wait was over, and before it began its step.
    assert running.began == at(4)
    assert replay.seconds == 1 + 16
    assert str(replay).endswith("Invocation 2: answered a, w from checkpoints; ran b; still runs.")


def test_an_end_in_the_moment_of_the_next_beginning_was_before_it():
    """AWS's times have milliseconds, so that two of them can be equal."""
    replay = made((0, "WaitStarted", "w"), invocation(0, 0), (4, "WaitSucceeded", "w"), invocation(4, 5))
    assert replay.invocations[1].answered == ["w"]
    assert replay.suspended == 9


def test_a_step_without_a_second_beginning_ran_all_the_same():
    """An interrupted step is run again, and the SDK does not say again that it begins."""
    error = {"Error": {"Payload": {"ErrorType": "Runtime.ExitError", "ErrorMessage": "gone"}, "Truncated": False}}
    replay = made((0, "StepStarted", "a"), invocation(0, 1, **error), (3, "StepSucceeded", "a"), invocation(2, 3))
    assert [each.ran for each in replay.invocations] == [["a"], ["a"]]
    assert "Invocation 1: ran a (cut off); failed: Runtime.ExitError." in str(replay)


def test_a_step_that_must_not_be_run_again_did_not_run():
    error = {"Error": {"Payload": {"ErrorType": "StepInterruptedError"}}}
    replay = made(
        (0, "StepStarted", "a"), invocation(0, 1, Error={"Truncated": True}), (3, "StepFailed", "a", error | retry()),
        invocation(2, 3), (5, "StepStarted", "a"), (5, "StepSucceeded", "a"), invocation(5, 6),
    )  # fmt: skip
    assert [each.ran for each in replay.invocations] == [["a"], [], ["a"]]
    assert replay.invocations[1].waits_for == ["a"]
    assert replay.invocations[0].error == {}
    assert "failed: it did not say how" in str(replay)
    assert replay.operations == 1 + 1 + 1 + 1  # the step, its retry, and that of the invocation


def test_a_context_that_is_open_runs_again():
    replay = made(
        (0, "ContextStarted", "c"), (0, "StepStarted", "a", {}, {"ParentId": "c"}),
        (0, "StepSucceeded", "a", {}, {"ParentId": "c"}), (0, "WaitStarted", "w", {}, {"ParentId": "c"}),
        invocation(0, 1), (3, "WaitSucceeded", "w", {}, {"ParentId": "c"}), (4, "ContextSucceeded", "c"),
        (4, "WaitStarted", "x"), invocation(3, 4), (6, "WaitSucceeded", "x"), invocation(6, 7),
    )  # fmt: skip
    assert [each.answered for each in replay.invocations] == [[], ["a", "w"], ["c", "x"]]


def test_one_that_ends_in_the_moment_its_invocation_began():
    """AWS's times have milliseconds: what is within it was reached all the same, and answered with its error."""
    within = {"ParentId": "c"}
    replay = made(
        (0, "ContextStarted", "c"), (0, "CallbackStarted", "b", {}, within), invocation(0, 1),
        (4, "CallbackTimedOut", "b", {}, within), (4, "ContextFailed", "c"), invocation(4, 5), status="FAILED",
    )  # fmt: skip
    assert replay.invocations[1].answered == ["b"]
    assert str(replay).endswith("Invocation 2: answered b (its error) from checkpoints; ended.")


def test_stopped_while_a_step_ran():
    """As AWS documents it: the invocation goes on to its next checkpoint, which is refused."""
    replay = made((0, "StepStarted", "a"), (2, "ExecutionStopped", "n"), invocation(0, 3), status="STOPPED", ended=2)
    assert replay.invocations[0].ended == at(3)
    assert (replay.invocations[0].waits_for, replay.suspended) == ([], 0)
    assert replay.figure


def test_timed_out_while_it_waited():
    replay = made(
        (0, "CallbackStarted", "c"), invocation(0, 1), (5, "ExecutionTimedOut", "n"), status="TIMED_OUT", ended=5
    )  # fmt: skip
    assert (replay.invocations[0].waits_for, replay.operations, replay.suspended) == (["c"], 2, 4)
    assert str(replay).endswith("Invocation 1: suspended for c.")


def test_an_answer_that_comes_while_another_branch_runs():
    replay = made(
        (0, "CallbackStarted", "c"), (0, "WaitStarted", "w"), invocation(0, 1), (2, "WaitSucceeded", "w"),
        (2, "StepStarted", "a"), (3, "CallbackSucceeded", "c"), (4, "StepSucceeded", "a"), invocation(2, 4),
    )  # fmt: skip
    assert replay.invocations[0].waits_for == ["c", "w"]
    assert replay.invocations[1].answered == ["c", "w"]


def test_names_that_are_missing():
    replay = made((0, "StepStarted", "1", {}, {"Name": None, "SubType": "Step"}), (0, "StepSucceeded", "1"))
    assert replay.invocations[0].ran == ["Step"]
    assert "its end is not recorded" in str(replay)


def test_many_invocations_and_operations():
    events = []
    for n in range(40):
        events += [(n, "StepStarted", f"step {n}"), (n, "StepSucceeded", f"step {n}"), (n, "WaitStarted", f"wait {n}")]
        events += [invocation(n, n + 0.5), (n + 0.9, "WaitSucceeded", f"wait {n}")]
    replay = made(*events, ended=40)
    assert replay.operations == 81
    assert len(replay.invocations) == 40
    table = replay._repr_html_()
    assert table.count("<tr>") == 1 + 32 + 1
    assert "8 more invocations" in table
    assert "24 of 40 invocations, 24 of 80 operations" in replay.figure.get_suptitle()


# -- in a notebook ----------------------------------------------------------------------------------------------------


def test_in_a_notebook(monkeypatch):
    from PIL import Image

    shown = []
    monkeypatch.setattr("IPython.display.display", lambda data, **options: shown.append((data, options)))
    replay = made(
        (0, "StepStarted", "<a>"), (1, "StepFailed", "<a>", retry()), invocation(0, 1), (2, "StepStarted", "<a>"),
        (2, "StepSucceeded", "<a>"), invocation(2, 3), ended=3,
    )  # fmt: skip
    replay._ipython_display_()
    (picture, options), (table, _) = shown
    assert options["metadata"]["image/png"]["alt"] == picture["text/plain"] == table["text/plain"] == str(replay)
    image = Image.open(io.BytesIO(base64.b64decode(picture["image/png"])))
    assert image.width > 800
    assert image.convert("RGB").getpixel((0, 0)) == (255, 255, 255)
    assert "<a>" not in table["text/html"]
    assert "&lt;a&gt; (failed)" in table["text/html"]
    assert str(replay).splitlines()[0] == "f: SUCCEEDED, 3 operations, 2 invocations."
    assert repr(replay) == "<Replay of f: SUCCEEDED, 3 operations, 2 invocations>"
    texts = {text.get_text() for text in replay.figure.axes[0].texts}
    assert texts == {"ran", "✗", "…"}


def test_prices():
    """The figures of https://aws.amazon.com/lambda/pricing/: 8.00 and 0.20 USD a million, 0.0000166667 a GB-second."""
    assert durable_price(1_000_000) == pytest.approx(8.00)
    assert durable_price(0, invocations=1_000_000) == pytest.approx(0.20)
    assert durable_price(0, seconds=1000, memory=1024) == pytest.approx(0.0166667)
    assert durable_price(4, 2, seconds=0.5, memory=256) == pytest.approx(4 * 8e-6 + 2 * 2e-7 + 0.125 * 0.0000166667)
