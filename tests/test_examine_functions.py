"""Traps of durable functions in the text of Python: the rule finds the wrong file, and the explorer shows it failing.

Each right twin has no finding, and the explorer finds nothing in it either.
"""

import dataclasses
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from test_examine_rules import MACHINES

from workshop.examining import RULES, functions
from workshop.examining.reading import Code, UnreadableError
from workshop.exploring import World, explore

HEAD = """\
import random
import uuid
import boto3
from aws_durable_execution_sdk_python.config import Duration, WaitForCallbackConfig

sns = boto3.client("sns")
HOUR = Duration.from_hours(1)


def lambda_handler(event, context):
"""


class Shop(World):
    """Takes messages through boto3, as the file imports it; nobody ever calls back."""

    def publish(self, **message):
        self.did("publish", *message.values())

    @property
    def modules(self):
        return {"boto3": SimpleNamespace(client=lambda service: self)}


def same_key(run):
    keys = {effect[1] for effect in run.effects}
    return "two keys were used" if len(keys) > 1 else None


def one_of_one(run):
    return None if run.effects == [("publish", "1")] else f"{run.effects} and not one message with 1"


@dataclasses.dataclass
class Trap:
    """wrong, right: bodies of the handler. intended: function of a Run; None where its faults say it all.

    inside: whether it shows only where a process ends within a step.
    """

    wrong: str
    right: str
    intended: Callable | None = None
    inside: bool = False


FUNCTIONS = {
    "chance-outside-step": Trap(
        """
        key = str(uuid.uuid4())
        context.step(lambda _: sns.publish(Message=key), name="first")
        context.wait(HOUR, name="hour")
        context.step(lambda _: sns.publish(Message=key), name="second")
        """,
        """
        key = context.step(lambda _: str(uuid.uuid4()), name="key")
        context.step(lambda _: sns.publish(Message=key), name="first")
        context.wait(HOUR, name="hour")
        context.step(lambda _: sns.publish(Message=key), name="second")
        """,
        same_key,
    ),
    "effect-outside-step": Trap(
        """
        sns.publish(Message="began")
        context.wait(HOUR, name="hour")
        """,
        """
        context.step(lambda _: sns.publish(Message="began"), name="tell")
        context.wait(HOUR, name="hour")
        """,
    ),
    "closure-changed-in-step": Trap(
        """
        found = []
        context.step(lambda _: found.append(1), name="look")
        context.wait(HOUR, name="hour")
        context.step(lambda _: sns.publish(Message=str(len(found))), name="tell")
        """,
        """
        found = context.step(lambda _: [1], name="look")
        context.wait(HOUR, name="hour")
        context.step(lambda _: sns.publish(Message=str(len(found))), name="tell")
        """,
        one_of_one,
    ),
    "name-by-chance": Trap(
        """
        key = random.random()
        context.step(lambda _: sns.publish(Message="1"), name=f"tell-{key}")
        context.wait(HOUR, name="hour")
        """,
        """
        context.step(lambda _: sns.publish(Message="1"), name="tell")
        context.wait(HOUR, name="hour")
        """,
    ),
    "key-drawn-with-its-use": Trap(
        """
        context.step(lambda _: sns.publish(Key=str(uuid.uuid4())), name="tell")
        """,
        """
        key = context.step(lambda _: str(uuid.uuid4()), name="key")
        context.step(lambda _: sns.publish(Key=key), name="tell")
        """,
        same_key,
        inside=True,
    ),
    "swallowed-suspension": Trap(
        """
        try:
            context.wait(HOUR, name="hour")
        except BaseException:
            pass
        """,
        """
        try:
            context.wait(HOUR, name="hour")
        except Exception:
            pass
        """,
    ),
    "return-in-finally": Trap(
        """
        try:
            context.wait(HOUR, name="hour")
        finally:
            return "done"
        """,
        """
        context.wait(HOUR, name="hour")
        return "done"
        """,
    ),
    "cleanup-at-suspension": Trap(
        """
        try:
            context.wait(HOUR, name="hour")
        finally:
            sns.publish(Message="released")
        """,
        """
        context.wait(HOUR, name="hour")
        context.step(lambda _: sns.publish(Message="released"), name="release")
        """,
    ),
    "operation-in-step": Trap(
        """
        context.step(lambda _: context.step(lambda _: sns.publish(Message="1"), name="inner"), name="outer")
        """,
        """
        def both(child):
            child.step(lambda _: sns.publish(Message="1"), name="inner")

        context.run_in_child_context(both, name="outer")
        """,
    ),
    "callback-without-timeout": Trap(
        """
        context.wait_for_callback(lambda callback, _: sns.publish(Message=callback), name="answer")
        """,
        """
        try:
            config = WaitForCallbackConfig(timeout=HOUR)
            context.wait_for_callback(lambda callback, _: sns.publish(Message=callback), name="answer", config=config)
        except Exception:
            return "nobody called"
        """,
    ),
    # The explorer does not see this one: within one process a set keeps its order.
    "order-of-a-set": Trap(
        """
        for name in set(event["Names"]):
            context.step(lambda _, name=name: sns.publish(Message=name), name=name)
        """,
        """
        for name in sorted(set(event["Names"])):
            context.step(lambda _, name=name: sns.publish(Message=name), name=name)
        """,
    ),
}


def source(body):
    lines = [line.removeprefix("        ") for line in body.strip("\n").splitlines()]
    return HEAD + "\n".join(f"    {line}".rstrip() for line in lines) + "\n"


def found(body):
    return {finding.rule for finding in functions.findings_of(Code("f.py", "f", source(body)))}


@pytest.mark.parametrize("rule", FUNCTIONS)
def test_the_wrong_file_is_found_and_its_right_twin_is_not(rule):
    trap = FUNCTIONS[rule]
    # What is wrong may break two rules: an effect in a finally is one outside of a step, too.
    assert rule in found(trap.wrong)
    assert found(trap.wrong) <= {rule, *{"name-by-chance": {"chance-outside-step"},
                                         "cleanup-at-suspension": {"effect-outside-step"}}.get(rule, ())}  # fmt: skip
    assert found(trap.right) == set()


def explored(body, trap):
    event, within = {"Names": ["a", "b"]}, trap.inside
    return explore(source(body), event, world=Shop, intended=trap.intended, inside=within, crashes=1, seconds=3600)


@pytest.mark.parametrize("rule", [rule for rule in FUNCTIONS if rule != "order-of-a-set"])
def test_the_explorer_shows_the_wrong_file_failing_and_its_right_twin_not(rule):
    trap = FUNCTIONS[rule]
    wrong = explored(trap.wrong, trap)
    assert not wrong.ok, wrong
    right = explored(trap.right, trap)
    assert right.ok, right


def test_every_rule_is_tried():
    assert {*MACHINES, "pattern-matches-nothing", *FUNCTIONS, "wait-in-function"} == set(RULES)


def test_a_clock_after_the_last_operation_is_asked_once():
    body = """
        context.wait(HOUR, name="hour")
        return str(uuid.uuid4())
    """
    assert found(body) == set()
    assert found(body.replace("context.wait", "key = uuid.uuid4()\n        context.wait")) == {"chance-outside-step"}
    in_a_loop = """
        for _ in range(2):
            context.wait(HOUR, name="hour")
            key = uuid.uuid4()
    """
    assert found(in_a_loop) == {"chance-outside-step"}


@pytest.mark.parametrize(
    ("handler", "wrong"),
    [("except:", True), ("except (ValueError, BaseException):", True), ("except ValueError:", False)],
)
def test_which_handlers_swallow_a_suspension(handler, wrong):
    body = f"""
        try:
            context.wait(HOUR, name="hour")
        {handler}
            pass
    """
    assert found(body) == ({"swallowed-suspension"} if wrong else set())
    assert found(body.replace("pass", "raise")) == set()


# -- polling in disguise -----------------------------------------------------------------------------------------------

WAITER = """
import boto3
dms = boto3.client("dms")
def handler(event, context):
    dms.get_waiter("replication_task_stopped").wait(Filters=[])
"""
SLEEP = """
from time import sleep
import boto3
def handler(event, context):
    glue = boto3.client("glue")
    while glue.get_job_run(JobName="a", RunId="b")["JobRun"]["JobRunState"] == "RUNNING":
        sleep(30)
"""
STARTS = """
import time
import boto3
def handler(event, context):
    boto3.client("glue").start_job_run(JobName="a")
    for _ in range(3):
        time.sleep(0.1)
        event.get("something")
"""


@pytest.mark.parametrize(("text", "line"), [(WAITER, 5), (SLEEP, 6)])
def test_a_function_that_polls(text, line):
    (finding,) = functions.findings_of(Code("f.py", "f", text))
    assert (finding.rule, finding.state, finding.line) == ("wait-in-function", "handler", line)


BY_HAND = """
import time
import boto3
def follow(arn):
    stepfunctions = boto3.client("stepfunctions")
    while stepfunctions.describe_execution(executionArn=arn)["status"] == "RUNNING":
        time.sleep(5)
"""


@pytest.mark.parametrize(
    ("more", "found"),
    [
        ("", 1),
        ("import argparse", 0),
        ("from unittest import TestCase", 0),
        ("if __name__ == '__main__': follow('')", 0),
    ],
)
def test_nobody_pays_for_the_sleep_of_a_command_or_a_test(more, found):
    assert len(functions.findings_of(Code("f.py", "f", BY_HAND + more))) == found


def test_a_handler_that_can_be_run_by_hand_is_a_function_all_the_same():
    assert functions.findings_of(Code("f.py", "f", SLEEP + "if __name__ == '__main__': handler({}, None)"))


def test_a_function_that_does_not():
    library = "def get_waiter(client, name):\n    return client.get_waiter(name)\n"
    assert functions.findings_of(Code("f.py", "f", library)) == []
    assert functions.findings_of(Code("f.py", "f", STARTS)) == []


# -- what is taken for right -------------------------------------------------------------------------------------------

RIGHT = """
import time, boto3
from aws_durable_execution_sdk_python import durable_execution, durable_step
from aws_durable_execution_sdk_python.config import CallbackConfig, Duration
table = boto3.resource("dynamodb").Table("t")

@durable_step
def save(step, item):
    table.put_item(Item={**item, "at": time.time()})
    found = []
    found.append(item)
    return found

@durable_execution
def handler(event, context):
    context.logger.info(f"it is {time.time()}")
    saved = context.step(save(event), name="save")
    def child(inner):
        first = inner.step(lambda _: table.get_item(Key={}), name="read")
        inner.wait(Duration.from_minutes(1), name="minute")
        return first
    first = context.run_in_child_context(child, name="child")
    names = []
    for name in sorted(event["Names"]):
        names.append(context.step(lambda _, name=name: table.get_item(Key={"n": name}), name=f"read-{name}"))
    callback = context.create_callback(name="answer", config=CallbackConfig(timeout=Duration.from_hours(1)))
    try:
        return callback.result()
    except Exception as error:
        raise ValueError("late") from error

def no_handler(event, context):
    return context.get_remaining_time_in_millis(), time.time()
"""


def test_a_right_function_of_many_kinds():
    assert functions.findings_of(Code("f.py", "f", RIGHT)) == []


def test_a_test_that_waits_with_a_runner_is_no_durable_function():
    test = "def test_it(begin, runner):\n    runner.wait_for_callback(begin())\n"
    assert functions.findings_of(Code("test_it.py", "test_it", test)) == []
    assert functions.findings_of(Code("it.py", "it", test.replace("test_it", "it")))


def test_code_in_a_child_context_is_outside_of_steps_too():
    body = """
        def child(inner):
            sns.publish(Message="again")
            inner.wait(HOUR, name="hour")

        context.run_in_child_context(child, name="child")
    """
    assert found(body) == {"effect-outside-step"}


SHOP = """
import boto3, random
sns = boto3.client("sns")
def tell():
    sns.publish()
def price():
    return random.random()
def name():
    return "shop"
"""


def test_what_a_function_beside_it_does_counts_too(tmp_path):
    (tmp_path / "shop.py").write_text(SHOP)
    text = source("""
        tell_it()
        price = shop.price()
        context.wait(HOUR, name=shop.name())
    """).replace("import random\n", "import shop\nfrom shop import tell as tell_it\n")
    path = tmp_path / "handler.py"
    assert {one.rule for one in functions.findings_of(Code(str(path), "handler", text))} == {
        "effect-outside-step",
        "chance-outside-step",
    }


def test_what_is_no_python():
    with pytest.raises(UnreadableError, match=r"f\.py is no Python: there is a fault in line 1"):
        functions.findings_of(Code("f.py", "f", "def f(:"))
