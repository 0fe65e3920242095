"""Answers to the tasks of lab 04, right and wrong: {task: [answer, ...]}; see `answers/polling_loop.py`.

An answer is what stands in the answer cell in place of the solution: all of it (`text`), or what is changed in it
(`changes`, {what stands there: what is to stand there}). All else is the solution's, up to that task; but for what
`earlier` says of other tasks in the same way, {task: {"changes": ...}}.
"""

from contextlib import suppress

import boto3

from workshop import deploy, http_api, rule, vendor

from . import cells

# A rule hears of the migrations of every learner, and functions need processes: not too many of them at a time.
CELLS = cells.of_solution("04-durable-functions")
SOLVED = {number: CELLS[f"task-{number}-answer"] for number in range(1, 7)}
# The cells that put things into the account, for each task.
DEPLOYS = {
    1: ["task-1-deploy"],
    2: ["task-2-deploy"],
    3: ["task-2-deploy", "task-3-deploy"],
    4: ["task-2-deploy", "task-3-deploy", "task-4-deploy", "task-4-deploy-check"],
    5: ["task-2-deploy", "task-3-deploy", "task-4-deploy", "task-4-deploy-check", "task-5-deploy"],
    6: ["task-2-deploy", "task-6-ask", "task-6-loop", "task-6-machine", "task-6-deploy"],
}

# -- giving an answer --------------------------------------------------------------------------------------------------


def give(lab, number, answer, scratch):
    """Put an answer into the account, and what the lab has made until then. scratch: a folder."""
    before, earlier = list(CELLS)[: list(CELLS).index(f"task-{number}-check")], answer.get("earlier", {})
    others = {f"task-{nth}-answer": cells.changed(SOLVED[nth], other) for nth, other in earlier.items()}
    files = cells.written([*({**CELLS, **others}[cell] for cell in before), cells.changed(SOLVED[number], answer)])
    for name, content in files.items():
        (scratch / name).write_text(content)
    own = lab.name
    lab.name = lambda thing: "answer-04-vendor" if thing == "vendor" else own(thing)  # one vendor for all of them
    names = {"lab": lab, "boto3": boto3, "http_api": http_api, "rule": rule, "deploy": cells.Deploy(scratch)}
    names |= {"verirow": vendor.find(lab.name("vendor")), "may_ask": {"dms:DescribeReplicationTasks": "*"}}
    with suppress(deploy.DeployError):  # a learner sees it, and then runs the check
        deploys = {*DEPLOYS[number], *(f"task-{nth}-deploy" for nth in earlier)}
        for cell in filter(deploys.__contains__, CELLS):
            exec(CELLS[cell], names)


def take_back(lab):
    """Switch off the learner's rule: it would go on to invoke a function at the end of everybody's migrations."""
    events = boto3.client("events")
    with suppress(events.exceptions.ResourceNotFoundException):
        events.disable_rule(Name=lab.name("ended"))


def prepare():
    """What all learners share: the vendor."""
    vendor.deploy("answer-04-vendor", reads="answer-*", patience=30)


# -- task 1 ------------------------------------------------------------------------------------------------------------

OWN_STRATEGY = """%%writefile asked.py
from aws_durable_execution_sdk_python.config import Duration
from aws_durable_execution_sdk_python.waits import WaitForConditionConfig, WaitForConditionDecision
from dms_task import Throttled, describe
from runs import outcome, under_way


class GaveUp(Exception):
    pass


def polled(context, arn, first, longest, most):
    def decide(state, attempt):
        if state["task"] and not under_way(state["task"]):
            return WaitForConditionDecision.stop_polling()
        if attempt == most:
            raise GaveUp(attempt)
        return WaitForConditionDecision.continue_waiting(Duration.from_seconds(min(first * attempt, longest)))

    def ask(state, _):
        try:
            return {"task": describe(arn)}
        except Throttled:
            return state

    end = context.wait_for_condition(ask, WaitForConditionConfig(decide, {"task": None}), name="migration")
    return outcome(arn, end["task"])
"""

STEPS_AND_WAITS = """%%writefile asked.py
from aws_durable_execution_sdk_python.config import Duration, StepConfig
from aws_durable_execution_sdk_python.retries import RetryPresets
from dms_task import Throttled, describe
from runs import outcome, under_way


def asked(arn):
    try:
        return describe(arn)
    except Throttled:
        return {"Status": "nobody knows"}


def polled(context, arn, first, longest, most):
    for poll in range(most):
        if poll:
            context.wait(Duration.from_seconds(first), name="pause")
            first = min(first * 2, longest)
        task = context.step(lambda _: asked(arn), name="ask", config=StepConfig(retry_strategy=RetryPresets.none()))
        if not under_way(task):
            break
    return outcome(arn, task)
"""

IN_A_CHILD = """%%writefile asked.py
from aws_durable_execution_sdk_python.config import Duration
from aws_durable_execution_sdk_python.waits import WaitForConditionConfig, WaitForConditionDecision
from dms_task import Throttled, describe
from runs import MigrationTimedOut, outcome, under_way


def polled(context, arn, first, longest, most):
    def ask(seen, attempt):
        try:
            return {"last": describe(arn), "asked": seen["asked"] + 1}
        except Throttled as busy:
            attempt.logger.info(str(busy))
            return {**seen, "asked": seen["asked"] + 1}

    def decide(seen, _):
        over = seen["last"] and not under_way(seen["last"])
        if over or seen["asked"] == most:
            return WaitForConditionDecision.stop_polling()
        return WaitForConditionDecision.continue_waiting(Duration(min(longest, first + 2 * (seen["asked"] - 1))))

    def waits(child):
        config = WaitForConditionConfig(decide, {"last": None, "asked": 0})
        return child.wait_for_condition(ask, config)

    last = context.run_in_child_context(waits, name="polls")["last"]
    if last is None:
        raise MigrationTimedOut("DMS said nothing.")
    return outcome(arn, last)
"""

ASKS_OUTSIDE = """%%writefile asked.py
from aws_durable_execution_sdk_python.config import Duration
from dms_task import Throttled, describe
from runs import outcome, under_way


def asked(arn):
    try:
        return describe(arn)
    except Throttled:
        return {"Status": "nobody knows"}


def polled(context, arn, first, longest, most):
    for poll in range(most):
        if poll:
            context.wait(Duration.from_seconds(first), name="pause")
            first = min(first * 2, longest)
        task = asked(arn)
        if not under_way(task):
            break
    return outcome(arn, task)
"""

A_CLASS = """%%writefile asked.py
from aws_durable_execution_sdk_python.config import Duration, JitterStrategy
from aws_durable_execution_sdk_python.waits import WaitForConditionConfig, WaitStrategyConfig, create_wait_strategy
from dms_task import Throttled, describe
from runs import outcome, under_way


class Unsure(Exception): ...


class Question:
    def __init__(self, arn):
        self.arn = arn

    def __call__(self, task, _):
        try:
            return self.answered()
        except Unsure:
            return task

    def answered(self):
        try:
            return describe(self.arn)
        except Throttled as throttled:
            raise Unsure from throttled


def pace(first, longest, most):
    first, longest = map(Duration.from_seconds, (first, longest))
    config = WaitStrategyConfig(under_way, most, first, longest, jitter_strategy=JitterStrategy.NONE)
    return create_wait_strategy(config)


def polled(context, arn, first, longest, most):
    config = WaitForConditionConfig(pace(first, longest, most), {"Status": "not asked yet"})
    return outcome(arn, context.wait_for_condition(Question(arn), config))
"""

# These are right until their process ends, which only an exploration with crashes makes happen everywhere.
COUNTS_IN_MEMORY = """%%writefile asked.py
from aws_durable_execution_sdk_python.config import Duration, StepConfig
from aws_durable_execution_sdk_python.retries import RetryPresets
from dms_task import Throttled, describe
from runs import outcome, under_way

ASKED = {}


def polled(context, arn, first, longest, most):
    mine = context.execution_context.durable_execution_arn
    once = StepConfig(retry_strategy=RetryPresets.none())

    def ask(_):
        ASKED[mine] = ASKED.get(mine, 0) + 1
        try:
            return describe(arn)
        except Throttled:
            return {"Status": "nobody knows"}

    task = context.step(ask, name="ask", config=once)
    while under_way(task) and ASKED.get(mine, 0) < most:
        context.wait(Duration.from_seconds(first), name="pause")
        first = min(first * 2, longest)
        task = context.step(ask, name="ask", config=once)
    return outcome(arn, task)
"""

LOOKS_TOO_LATE = OWN_STRATEGY.replace(
    """        if state["task"] and not under_way(state["task"]):
            return WaitForConditionDecision.stop_polling()
        if attempt == most:
            raise GaveUp(attempt)
""",
    """        if attempt == most:
            raise GaveUp(attempt)
        if state["task"] and not under_way(state["task"]):
            return WaitForConditionDecision.stop_polling()
""",
)
NO_RETRY = ", config=StepConfig(retry_strategy=RetryPresets.none())"
BOUND = "max_attempts=most, "
ASKED = "            return describe(arn)\n        except Throttled:\n            return task\n"
RETURNS = "    return outcome(arn, context.wait_for_condition"

TASK_1 = [
    dict(name="the solution"),
    dict(name="a strategy of its own", text=OWN_STRATEGY),
    dict(name="steps and waits in a loop", text=STEPS_AND_WAITS),
    dict(name="another rate", changes={"backoff_rate=2": "backoff_rate=1.5"}),
    dict(
        name="blank",
        text="%%writefile asked.py\ndef polled(context, arn, first, longest, most):\n    return ...  # your answer\n",
        says="not attempted",
        words="There is no function named",
    ),
    dict(
        name="lets the throttling through",
        changes={"        except Throttled:\n            return task\n": "        finally:\n            pass\n"},
        says="not yet",
        words="DMS refused the first two questions (ThrottlingException) ended FAILED",
    ),
    dict(
        name="whatever goes wrong, it goes on",
        changes={"except Throttled": "except Exception"},
        says="not yet",
        words="a replication task that does not exist ended FAILED (WaitForConditionError: wait_for_condition exh",
    ),
    dict(
        name="an initial state that its condition cannot read",
        changes={'initial_state={"Status": "unknown"}': "initial_state={}"},
        says="not yet",
        words="DMS refused the first two questions (ThrottlingException) ended FAILED",
    ),
    dict(
        name="no bound of its own",
        changes={BOUND: ""},
        says="not yet",
        words="exhausted 60 attempts",
    ),
    dict(
        name="one question more",
        changes={BOUND: "max_attempts=most + 1, "},
        says="not yet",
        words="With `most` 1 it asked ",
    ),
    dict(
        name="always the same wait",
        changes={"backoff_rate=2": "backoff_rate=1"},
        says="not yet",
        words="The waits grow",
    ),
    dict(
        name="a first wait of its own",
        changes={"**delays": '**{**delays, "initial_delay": Duration.from_seconds(2)}'},
        says="not yet",
        words="The first wait is `first` seconds",
    ),
    dict(
        name="no longest wait",
        changes={"**delays": 'initial_delay=delays["initial_delay"]'},
        says="not yet",
        words="No wait is longer than `longest` seconds",
    ),
    dict(
        name="asks once",
        changes={"        under_way,": "        lambda task: False,"},
        says="not yet",
        words="While the migration still ran, the execution ended FAILED (MigrationTimedOut",
    ),
    dict(
        name="whatever has ended has finished",
        changes={
            RETURNS: "    context.wait_for_condition",
            'name="migration"))': 'name="migration")\n    return {"ReplicationTaskArn": arn}',
        },
        says="not yet",
        words="The execution of a migration that failed ended SUCCEEDED",
    ),
    dict(
        name="gives up as if it had failed",
        changes={
            RETURNS: "    from runs import MigrationFailed\n    try:\n        task = context.wait_for_condition",
            'name="migration"))': 'name="migration")\n    except Exception:\n        raise MigrationFailed("?")\n'
            "    return outcome(arn, task)",
        },
        says="not yet",
        words="a migration that ran for longer, the execution ended FAILED (MigrationFailed",
    ),
    dict(name="in a child context, with a state that counts", text=IN_A_CHILD),
    dict(name="ten times as long each time", changes={"backoff_rate=2": "backoff_rate=10"}),
    dict(
        name="what is throttled is told apart by its class's name",
        changes={
            "        except Throttled:\n            return task\n": "        except Exception as problem:\n"
            "            if type(problem) is not Throttled:\n                raise\n            return task\n"
        },
    ),
    dict(
        name="waits before it asks",
        text=STEPS_AND_WAITS.replace("        if poll:\n    ", "").replace(
            "            first = min", "        first = min"
        ),
        says="not yet",
        words="Before it asked at all, it waited",
    ),
    dict(
        name="steps that are tried again whatever goes wrong",
        text=STEPS_AND_WAITS.replace(NO_RETRY, ""),
        says="not yet",
        words=" in all",
    ),
    dict(
        name="a second, whatever is asked for",
        changes={"**delays": '**{**delays, "initial_delay": Duration.from_seconds(1)}'},
        says="not yet",
        words="The first wait is `first` seconds",
    ),
    dict(
        name="full jitter",
        changes={"jitter_strategy=JitterStrategy.NONE, ": ""},
        says="not yet",
        words="The first wait is `first` seconds",
    ),
    dict(
        name="two questions at least",
        changes={BOUND: "max_attempts=max(most, 2), "},
        says="not yet",
        words="With `most` 1 it asked ",
    ),
    dict(
        name="three questions, whatever is asked for",
        changes={BOUND: "max_attempts=3, "},
        says="not yet",
        words="exhausted 3 attempts before the condition was met",
    ),
    dict(
        name="ready is an end",
        changes={"        under_way,": '        lambda task: task["Status"] in ("starting", "running", "unknown"),'},
        says="not yet",
        words="While the migration still ran, the execution ended FAILED (MigrationTimedOut: It is ready.",
    ),
    dict(
        name="throttled is failed",
        changes={
            "            return task\n": '            return {**task, "Status": "failed", "StopReason": "busy"}\n'
        },
        says="not yet",
        words="DMS refused",
    ),
    dict(
        name="bears to be throttled once",
        changes={
            ASKED: "            return describe(arn)\n        except Throttled:\n"
            '            if task["Status"] == "throttled":\n                raise\n'
            '            return {"Status": "throttled"}\n'
        },
        says="not yet",
        words="DMS refused the first two questions",
    ),
    dict(
        name="bears to be throttled at first",
        changes={
            "            return task\n": '            if task["Status"] != "unknown":\n                raise\n'
            "            return task\n"
        },
        says="not yet",
        words="DMS refused the second question (ThrottlingException) ended FAILED",
    ),
    dict(
        name="a refusal for good is asked about again",
        changes={
            ASKED: ASKED + "        except Exception as problem:\n"
            '            if "AccessDenied" not in str(problem):\n                raise\n            return task\n'
        },
        says="not yet",
        words="DMS refused the second question (AccessDeniedException)",
    ),
    dict(
        name="what is out of order is asked again",
        changes={
            ASKED: ASKED + "        except Exception as problem:\n"
            '            if not any(code in str(problem) for code in ("InternalFailure", "ServiceUnavailable")):\n'
            "                raise\n            return task\n"
        },
        says="not yet",
        words="refused the second question (InternalFailure): it asked 3 times again.",
    ),
    dict(
        name="with a token that has expired it asks again",
        changes={
            ASKED: ASKED + "        except Exception as problem:\n"
            '            if "ExpiredToken" not in str(problem):\n                raise\n            return task\n'
        },
        says="not yet",
        words="refused the second question (ExpiredTokenException): it asked 3 times again.",
    ),
    dict(
        name="refused five times in a row is refused for good",
        changes={
            ASKED: ASKED.replace(
                "            return task\n",
                '            refused = task.get("Refused", 0) + 1\n'
                "            if refused == 5:\n                raise\n"
                '            return {**task, "Refused": refused}\n',
            )
        },
        says="not yet",
        words="when DMS had refused 5 of them, the execution failed: WaitForConditionError: Asked too often",
    ),
    dict(
        name="a task that is gone is asked about again",
        changes={
            ASKED: ASKED + "        except Exception as problem:\n"
            '            if "NotFound" not in str(problem):\n                raise\n            return task\n'
        },
        says="not yet",
        words="a replication task that does not exist",
    ),
    dict(
        name="returns that it is done",
        changes={
            RETURNS: "    return bool(outcome(arn, context.wait_for_condition",
            'name="migration"))': 'name="migration")))',
        },
        says="not yet",
        words="It returned True",
    ),
    dict(
        name="returns JSON text",
        changes={
            RETURNS: "    import json\n    return json.dumps(outcome(arn, context.wait_for_condition",
            'name="migration"))': 'name="migration")))',
        },
        says="not yet",
        words="It returned '{",
    ),
    dict(
        name="does not look at the tables",
        changes={
            RETURNS: "    return outcome(arn, {**context.wait_for_condition",
            'name="migration"))': 'name="migration"), "TablesErrored": 0})',
        },
        says="not yet",
        words="a migration that finished without one of its tables ended SUCCEEDED",
    ),
    dict(
        name="a failure without its reason",
        changes={
            RETURNS: "    from runs import MigrationFailed\n    try:\n    " + RETURNS,
            'name="migration"))': 'name="migration"))\n    except MigrationFailed:\n'
            '        raise MigrationFailed("It has failed.")',
        },
        says="not yet",
        words="DMS said:",
    ),
    dict(
        name="gives up without a fault",
        changes={
            RETURNS: "    try:\n        task = context.wait_for_condition",
            'name="migration"))': 'name="migration")\n    except Exception as over:\n'
            '        if "exhausted" in str(over):\n            return {"ReplicationTaskArn": arn}\n        raise\n'
            "    return outcome(arn, task)",
        },
        says="not yet",
        words="a migration that ran for longer, the execution ended SUCCEEDED",
    ),
    dict(
        name="counts its polls in memory",
        text=COUNTS_IN_MEMORY,
        says="not yet",
        words="it asked ",
    ),
    dict(name="a class, functions and an exception of its own", text=A_CLASS),
    dict(
        name="asks outside of a step, and so again at each replay",
        text=ASKS_OUTSIDE,
        says="not yet",
        words="it asked",
    ),
    dict(
        name="five minutes at most, whatever is asked for",
        changes={"**delays": '**{**delays, "max_delay": Duration.from_seconds(min(longest, 300))}'},
        says="not yet",
        words="with `first` 60 and `longest` 600 it waited 60, 120, 240, 300 and 300 s between its polls",
    ),
    dict(
        name="sixty questions at most, whatever is asked for",
        changes={BOUND: "max_attempts=min(most, 60), "},
        says="not yet",
        words="A migration that was over at the 70th poll: the execution failed",
    ),
    dict(
        name="a question without an answer is asked again",
        changes={
            "except Throttled": "except (Throttled, BotoCoreError)",
            "from dms_task": "from botocore.exceptions import BotoCoreError\nfrom dms_task",
        },
        says="not yet",
        words="a migration about which DMS did not answer the second question",
    ),
    dict(
        name="what was refused does not count",
        text=STEPS_AND_WAITS.replace(
            "    for poll in range(most):\n        if poll:\n",
            "    poll, task = 0, None\n    while poll < most:\n        if task:\n",
        )
        .replace(
            "        if not under_way(task):\n",
            "        poll += task['Status'] in STATES\n        if not under_way(task):\n",
        )
        .replace(
            "def asked", 'STATES = ("ready", "starting", "running", "stopping", "stopped", "failed")\n\n\ndef asked'
        ),
        says="not yet",
        words="With `most` 3 it asked",
    ),
    dict(
        name="one question less",
        changes={BOUND: "max_attempts=most - 1, "},
        says="not yet",
        words="With `most` 2 and a migration that ran for longer, it did not wait to ask a second time",
    ),
    dict(
        name="gives up before it looks at the last answer",
        text=LOOKS_TOO_LATE,
        says="not yet",
        words="A migration that was over at poll 6, the last one: the execution failed",
    ),
    dict(
        name="stopping is an end",
        changes={
            "        under_way,": '        lambda task: task["Status"] in ("unknown", "ready", "starting", "running"),'
        },
        says="not yet",
        words="while DMS called it `stopping`, the execution failed: MigrationTimedOut: It is stopping.",
    ),
    dict(
        name="starting is an end",
        changes={
            "        under_way,": '        lambda task: task["Status"] in ("unknown", "ready", "running", "stopping"),'
        },
        says="not yet",
        words="It is starting.",
    ),
    dict(
        name="by the names of all statuses that it has while it is under way",
        changes={
            "        under_way,": '        lambda task: task["Status"] in '
            '("unknown", "ready", "starting", "running", "stopping"),'
        },
    ),
]

# -- task 2 ------------------------------------------------------------------------------------------------------------

BY_HAND = """%%writefile told.py
import json

from aws_durable_execution_sdk_python import CallbackError, CallbackTimeoutError
from aws_durable_execution_sdk_python.config import CallbackConfig, Duration
from dms_task import describe, start
from runs import MigrationFailed, begun, last_start, outcome
from waiting import save


def start_once(arn, before):
    if not begun(describe(arn), before):
        start(arn, before)


def migrated(context, arn, seconds):
    before = context.step(lambda _: last_start(describe(arn)), name="before")
    callback = context.create_callback("ended", CallbackConfig(timeout=Duration.from_seconds(seconds)))
    saved = {"StartedBefore": before}
    context.step(lambda _: save(arn, callback.callback_id, seconds, **saved), name="save")
    context.step(lambda _: start_once(arn, before), name="start")
    try:
        return json.loads(callback.result())
    except CallbackTimeoutError:
        pass
    except CallbackError as error:
        raise MigrationFailed(error.message)
    return outcome(arn, context.step(lambda _: describe(arn)))
"""

CATCHES_DMS = """%%writefile told.py
import json

from aws_durable_execution_sdk_python import CallbackExternalError, CallbackTimeoutError
from aws_durable_execution_sdk_python.config import Duration, WaitForCallbackConfig
from aws_durable_execution_sdk_python.retries import RetryPresets
from dms_task import describe, dms, start
from runs import MigrationFailed, begun, last_start, outcome
from waiting import save


def migrated(context, arn, seconds):
    before = context.step(lambda _: last_start(describe(arn)), name="look")

    def submit(callback_id, context):
        context.logger.info("saving the callback ID")
        save(arn, callback_id, seconds, StartedBefore=before)
        if describe(arn)["Started"] == before:
            try:
                start(arn, again=bool(before))
            except dms.exceptions.InvalidResourceStateFault:
                if not begun(describe(arn), before):
                    raise
                context.logger.info("it has been started")

    config = WaitForCallbackConfig(timeout=Duration(seconds), retry_strategy=RetryPresets.linear())
    try:
        text = context.wait_for_callback(submit, config=config)
    except CallbackExternalError as error:
        raise MigrationFailed(error) from error
    except CallbackTimeoutError:
        return outcome(arn, context.step(lambda _: describe(arn), name="look again"))
    return json.loads(text)
"""

LOOKS = '    before = context.step(lambda _: last_start(describe(arn)), name="look")\n'
SAVES = "        save(arn, callback_id, seconds, StartedBefore=before)\n"
STARTS = '        if not begun(describe(arn), before):\n            start(arn, again=before != "")\n'
CONFIG = "timeout=Duration.from_seconds(seconds), serdes=JsonSerDes()"
FAILS = "    except CallbackExternalError as error:\n        raise MigrationFailed(str(error)) from None\n"
LOOKS_AGAIN = "return outcome(arn, context.step("

STARTS_OUTSIDE = """%%writefile told.py
import json
import time

from aws_durable_execution_sdk_python import CallbackError, CallbackTimeoutError
from aws_durable_execution_sdk_python.config import CallbackConfig, Duration
from dms_task import describe, start
from runs import MigrationFailed, begun, last_start, outcome
from waiting import find, save


def start_once(arn, before, note):
    for pause in (0, 1, 1, 1):
        try:
            if not find(note):
                start(arn, again=before != "")
            return
        except Exception:
            if begun(describe(arn), before):
                return
            time.sleep(pause)


def migrated(context, arn, seconds):
    before = context.step(lambda _: last_start(describe(arn)), name="look")
    callback = context.create_callback("ended", CallbackConfig(timeout=Duration.from_seconds(seconds)))
    saved = {"StartedBefore": before}
    context.step(lambda _: save(arn, callback.callback_id, seconds, **saved), name="save")
    note = f"started {callback.callback_id}"
    start_once(arn, before, note)
    save(note, callback.callback_id, seconds)
    try:
        return json.loads(callback.result())
    except CallbackTimeoutError:
        return outcome(arn, context.step(lambda _: describe(arn), name="look again"))
    except CallbackError as error:
        raise MigrationFailed(error.message) from None
"""

FOUND_IS_STARTED = """        from waiting import find

        if find(arn).get("CallbackId") == callback_id and begun(describe(arn), before):
            return
        save(arn, callback_id, seconds, StartedBefore=before)
        start(arn, again=describe(arn)["Started"] != "")
"""

TASK_2 = [
    dict(name="the solution"),
    dict(
        name="looks outside of a step, at the end",
        changes={LOOKS_AGAIN + 'lambda _: describe(arn), name="look again"))': "return outcome(arn, describe(arn))"},
    ),
    dict(
        name="looks whether it was started only where its item is still in the table",
        changes={SAVES + STARTS: FOUND_IS_STARTED},
        says="not yet",
        words="whose end `resume` told while the answer to its start got lost",
    ),
    dict(
        name="whatever goes wrong, it looks, and goes on with what it sees",
        changes={"except CallbackTimeoutError": "except Exception"},
        says="not yet",
        words="A task for which another execution waited: the execution returned",
    ),
    dict(
        name="waits for half of it",
        changes={"timeout=Duration.from_seconds(seconds)": "timeout=Duration.from_seconds((seconds + 1) // 2)"},
        says="not yet",
        words="with `seconds` 86400 it waited for 43200 s without an answer",
    ),
    dict(
        name="its place is free again at once",
        changes={"save(arn, callback_id, seconds,": "save(arn, callback_id, 0,"},
        says="not yet",
        words="the item that it saved says that it waits for 0 s",
    ),
    dict(
        name="a result of its own where little was told",
        changes={'name="migration", config=config)': 'name="migration", config=config) or {"ReplicationTaskArn": arn}'},
        says="not yet",
        words="It was answered with",
    ),
    dict(
        name="looks again and again before it gives up",
        changes={
            LOOKS_AGAIN: "for nth in range(3):\n"
            "            task = context.step(lambda _: describe(arn), name=f'look again {nth}')\n"
            "            if task['Status'] != 'running':\n"
            "                break\n"
            "            context.wait(Duration.from_seconds(1))\n"
            "        " + LOOKS_AGAIN
        },
        says="not yet",
        words="when nobody had answered for `seconds`, it looked 4 times",
    ),
    dict(name="a callback and steps, one by one", text=BY_HAND),
    dict(name="lets DMS say that it runs, looks whether it does, reads the JSON itself", text=CATCHES_DMS),
    dict(
        name="what DMS does not start has been started",
        text=CATCHES_DMS.replace(
            "                if not begun(describe(arn), before):\n                    raise\n", ""
        ),
        says="not yet",
        words="(InvalidResourceStateFault) was still running, and the migration was not started",
    ),
    dict(
        name="whatever DMS refuses but for throttling has been started",
        changes={
            'start(arn, again=before != "")\n': "try:\n                start(arn, again=before != '')\n"
            "            except (dms.exceptions.AccessDeniedFault, dms.exceptions.ResourceNotFoundFault):\n"
            "                pass\n",
            "from dms_task import": "from dms_task import dms,",
        },
        says="not yet",
        words="the migration was not started, and the execution waited for 86400 s",
    ),
    dict(
        name="gives up where DMS refuses for good",
        changes={
            CONFIG: CONFIG + ", retry_strategy=while_it_may_pass",
            "def migrated(": "def while_it_may_pass(error, attempts):\n"
            "    if type(error).__name__.endswith('Fault') or attempts > 5:\n"
            "        return RetryDecision.no_retry()\n"
            "    return RetryDecision.retry(Duration.from_seconds(1))\n\n\n"
            "def migrated(",
            "from dms_task": "from aws_durable_execution_sdk_python.retries import RetryDecision\nfrom dms_task",
        },
    ),
    dict(
        name="never starts",
        changes={STARTS: ""},
        says="not yet",
        words="was still running, and the migration was not started",
    ),
    dict(
        name="blank",
        text="%%writefile told.py\ndef migrated(context, arn, seconds):\n    return ...\n",
        says="not attempted",
        words="There is no function named",
    ),
    dict(
        name="a line that is no Python",
        changes={"    try:\n": "    try\n"},
        says="not yet",
        words="was refused",
    ),
    dict(
        name="starts first, saves second",
        changes={SAVES + STARTS: STARTS + SAVES},
        says="not yet",
        words="its callback ID was not in the table yet",
    ),
    dict(
        name="starts without asking",
        changes={STARTS: '        start(arn, again=before != "")\n'},
        says="not yet",
        words="; attempts of steps failed",
    ),
    dict(
        name="starts again where it does not run any more",
        changes={
            STARTS: "        task = describe(arn)\n        if task['Status'] not in ('starting', 'running'):\n"
            "            start(arn, again=task['Started'] != '')\n"
        },
        says="not yet",
        words="and the migration was started twice",
    ),
    dict(
        name="looks in the submitter",
        changes={LOOKS: "", SAVES: '        before = describe(arn)["Started"]\n' + SAVES},
        says="not yet",
        words="It had never run before, and after another attempt of the submitter StartedBefore is",
    ),
    dict(
        name="looks outside of a step",
        changes={LOOKS: '    before = describe(arn)["Started"]\n'},
        says="not yet",
        words="It had never run before, and after another attempt of the submitter StartedBefore is",
    ),
    dict(
        name="has never run before",
        changes={'again=before != ""': "again=False"},
        says="not yet",
        words="a migration that had run before",
    ),
    dict(
        name="no timeout",
        changes={CONFIG: "serdes=JsonSerDes()"},
        says="not yet",
        words="without an answer for longer than 2 seconds was still running",
    ),
    dict(
        name="the text of the result",
        changes={CONFIG: "timeout=Duration.from_seconds(seconds)"},
        says="not yet",
        words="as data",
    ),
    dict(
        name="silence is failure",
        changes={
            FAILS: "    except (CallbackExternalError, CallbackTimeoutError) as error:\n"
            "        raise MigrationFailed(str(error)) from None\n"
        },
        says="not yet",
        words="without an answer for longer than 2 seconds ended FAILED (MigrationFailed",
    ),
    dict(
        name="gives up without looking",
        changes={LOOKS_AGAIN: 'raise outcome(arn, {"Status": "unknown"}) or (arn, context.step('},
        says="not yet",
        words="and its event was lost ended FAILED",
    ),
    dict(
        name="hands the failure on as it comes",
        changes={FAILS: ""},
        says="not yet",
        words="and the execution ended FAILED (CallbackExternalError",
    ),
    dict(
        name="does not say what was before",
        changes={SAVES: "        save(arn, callback_id, seconds)\n"},
        says="not yet",
        words="The item has no StartedBefore",
    ),
    dict(
        name="in a child context, whose error has another name",
        changes={
            "def migrated(context, arn, seconds):\n": "def migrated(context, arn, seconds):\n"
            "    return context.run_in_child_context(lambda child: waits(child, arn, seconds))\n\n\n"
            "def waits(context, arn, seconds):\n"
        },
        says="not yet",
        words="and the execution ended FAILED (ChildContextError",
    ),
    dict(
        name="remembers all of what it has seen",
        changes={
            LOOKS: "    seen = context.step(lambda _: {'before': last_start(describe(arn))}, name='look')\n"
            "    before = seen['before']\n"
        },
    ),
    dict(
        name="tries again at once",
        changes={
            CONFIG: CONFIG + ", retry_strategy=lambda error, attempts: RetryDecision.retry(Duration.from_seconds(1))",
            "from dms_task": "from aws_durable_execution_sdk_python.retries import RetryDecision\nfrom dms_task",
        },
    ),
    dict(
        name="takes the place of whoever waits",
        changes={
            SAVES: "        import time\n\n        from waiting import table\n\n        now = int(time.time())\n"
            '        item = {"Id": arn, "CallbackId": callback_id, "StartedBefore": before, "CreatedAt": now}\n'
            '        table.put_item(Item={**item, "WaitsUntil": now + seconds})\n'
        },
        says="not yet",
        words="A second execution began, and the callback ID of the first one was no longer in the table",
    ),
    dict(
        name="waits for whoever has started it",
        changes={LOOKS: '    before = context.step(lambda _: describe(arn)["Started"], name="look")\n'},
        says="not yet",
        words="a migration that somebody else had started was still running, and its callback ID is in the table",
    ),
    dict(
        name="does not mind whether it was started",
        changes={
            'start(arn, again=before != "")\n': "try:\n                start(arn, again=before != '')\n"
            "            except Exception:\n                pass\n"
        },
        says="not yet",
        words="and the migration was not started",
    ),
    dict(
        name="one attempt, and no more",
        changes={
            CONFIG: CONFIG + ", retry_strategy=RetryPresets.none()",
            "from dms_task": "from aws_durable_execution_sdk_python.retries import RetryPresets\nfrom dms_task",
        },
        says="not yet",
        words="attempts of steps failed once",
    ),
    dict(
        name="a minute, whatever is asked for",
        changes={"Duration.from_seconds(seconds)": "Duration.from_seconds(60)"},
        says="not yet",
        words="without an answer for longer than 2 seconds was still running",
    ),
    dict(
        name="a failure without its message",
        changes={"MigrationFailed(str(error))": 'MigrationFailed("It has failed.")'},
        says="not yet",
        words="It was answered with the failure MigrationFailed: Last Error",
    ),
    dict(
        name="always the same result",
        changes={
            "        return context.wait_for_callback(": "        context.wait_for_callback(",
            FAILS: '        return {"ReplicationTaskArn": arn}\n' + FAILS,
        },
        says="not yet",
        words='It was answered with {"Rows": 60, "Bad": null}, and returned',
    ),
    dict(
        name="silence is success",
        changes={LOOKS_AGAIN: 'return {"ReplicationTaskArn": arn} or (arn, context.step('},
        says="not yet",
        words="2 seconds ended SUCCEEDED",
    ),
    dict(
        name="what has failed unheard has timed out",
        changes={
            LOOKS_AGAIN: "from runs import MigrationTimedOut\n\n        try:\n            " + LOOKS_AGAIN,
            'name="look again"))': 'name="look again"))\n        except MigrationFailed as why:\n'
            "            raise MigrationTimedOut(str(why))",
        },
        says="not yet",
        words="a migration that failed, and its event was lost ended FAILED (MigrationTimedOut",
    ),
    dict(
        name="before has words of its own",
        changes={"StartedBefore=before)": 'StartedBefore=before or "never")'},
        says="not yet",
        words="It had never run before, and StartedBefore is 'never'",
    ),
    dict(
        name="starts outside of a step, and notes in the table that it has",
        text=STARTS_OUTSIDE,
        says="not yet",
        words="the function's process crashed, and the migration was started twice",
    ),
    dict(
        name="takes up what is in the table, whoever has left it there",
        changes={
            LOOKS: "",
            SAVES: "        kept = find(arn)\n"
            '        before = kept["StartedBefore"] if kept else last_start(describe(arn))\n' + SAVES,
            "import save": "import find, save",
        },
        says="not yet",
        words="and StartedBefore is ''",
    ),
    dict(
        name="says what was before only when it has started it",
        changes={SAVES + STARTS: SAVES.replace(", StartedBefore=before", "") + STARTS + SAVES},
        says="not yet",
        words="The migration was started, and its item had no StartedBefore yet.",
    ),
    dict(name="saves again when it has started it", changes={SAVES + STARTS: SAVES + STARTS + SAVES}),
]

# -- task 3 ------------------------------------------------------------------------------------------------------------

BY_CODE = """%%writefile tell.py
import json

import boto3
from botocore.exceptions import ClientError

client = boto3.client("lambda")


def tell(callback_id, success=None, failure=None):
    try:
        send(callback_id, success, failure)
    except ClientError as problem:
        if problem.response["Error"]["Code"] not in ("CallbackTimeoutException", "ResourceNotFoundException"):
            raise
        print("Nobody waits any more.")


def send(callback_id, success, failure):
    if success is not None:
        return client.send_durable_execution_callback_success(
            CallbackId=callback_id, Result=json.dumps(success, indent=1).encode()
        )
    if failure is not None:
        kind, message = failure
        return client.send_durable_execution_callback_failure(
            CallbackId=callback_id, Error={"ErrorType": kind, "ErrorMessage": message, "ErrorData": "{}"}
        )
    return client.send_durable_execution_callback_heartbeat(CallbackId=callback_id)
"""

ONE_CALL = """%%writefile tell.py
import json

import boto3

functions = boto3.client("lambda")
GONE = (functions.exceptions.CallbackTimeoutException, functions.exceptions.ResourceNotFoundException)


def tell(callback_id, success=None, failure=None):
    how, what = "heartbeat", {}
    if success is not None:
        how, what = "success", {"Result": json.dumps(success)}
    if failure:
        how, what = "failure", {"Error": dict(zip(("ErrorType", "ErrorMessage"), failure))}
    try:
        getattr(functions, f"send_durable_execution_callback_{how}")(CallbackId=callback_id, **what)
    except GONE:
        return
"""

SUPPRESS = "functions.exceptions.CallbackTimeoutException, functions.exceptions.ResourceNotFoundException"
A_FAILURE = "functions.send_durable_execution_callback_failure(CallbackId=callback_id, Error=error)"
A_RESULT = "functions.send_durable_execution_callback_success(CallbackId=callback_id, Result=json.dumps(error))"
BEAT = "            functions.send_durable_execution_callback_heartbeat(CallbackId=callback_id)"

TASK_3 = [
    dict(name="the solution"),
    dict(name="by the code of the error", text=BY_CODE),
    dict(name="one call for all three", text=ONE_CALL),
    dict(
        name="blank",
        text="%%writefile tell.py\ndef tell(callback_id, success=None, failure=None):\n    ...\n",
        says="not attempted",
        words="There is no function named",
    ),
    dict(
        name="every fault is one",
        changes={f"suppress({SUPPRESS})": "suppress()"},
        says="not yet",
        words="tell raised CallbackTimeoutException",
    ),
    dict(
        name="an execution that is gone is a fault",
        changes={f", {SUPPRESS.split(', ')[1]}": ""},
        says="not yet",
        words="tell raised ResourceNotFoundException",
    ),
    dict(
        name="no fault is one",
        changes={f"suppress({SUPPRESS})": "suppress(Exception)"},
        says="not yet",
        words="For an ID that never was one, success was to be sent, and tell ended without an error",
    ),
    dict(
        name="Python's text in place of JSON",
        changes={"json.dumps(success)": "str(success)"},
        says="not yet",
        words="It answers success, with JSON text",
    ),
    dict(
        name="an empty result is none",
        changes={"elif success is not None": "elif success"},
        says="not yet",
        words="the execution was still running",
    ),
    dict(
        name="a sign of life is nothing",
        changes={BEAT: "            pass"},
        says="not yet",
        words="is a heartbeat and no more",
    ),
    dict(
        name="a sign of life is an answer",
        changes={BEAT: BEAT.replace("heartbeat(", "success(")},
        says="not yet",
        words="is a heartbeat and no more",
    ),
    dict(
        name="a failure is a result",
        changes={A_FAILURE: A_RESULT},
        says="not yet",
        words="the execution ended SUCCEEDED",
    ),
    dict(
        name="a failure without its type",
        changes={'{"ErrorType": failure[0], "ErrorMessage": failure[1]}': '{"ErrorMessage": failure[1]}'},
        says="not yet",
        words="The failure has the ErrorType and the ErrorMessage",
    ),
    dict(
        name="by the names of classes",
        changes={
            f"    with suppress({SUPPRESS}):\n": "    class Gone:\n        def __enter__(self):\n            pass\n\n"
            "        def __exit__(self, kind, *_):\n            return kind is not None and kind.__name__ in GONE\n\n"
            "    with Gone():\n",
            "def tell(": "GONE = ('CallbackTimeoutException', 'ResourceNotFoundException')\n\n\ndef tell(",
        },
    ),
    dict(name="bytes", changes={"json.dumps(success))": "json.dumps(success).encode())"}),
    dict(
        name="a failure with its data",
        changes={'"ErrorMessage": failure[1]}': '"ErrorMessage": failure[1], "StackTrace": ["here"]}'},
    ),
    dict(
        name="who may not tell has nobody to tell",
        changes={
            f"    with suppress({SUPPRESS}):\n": "    try:\n",
            BEAT: BEAT + "\n    except functions.exceptions.ClientError as why:\n"
            '        gone = ("CallbackTimeoutException", "ResourceNotFoundException", "AccessDeniedException")\n'
            '        if why.response["Error"]["Code"] not in gone:\n            raise',
        },
        says="not yet",
        words="tell ended without an error",
    ),
    dict(
        name="when Lambda is out of order there is nobody to tell",
        changes={f"suppress({SUPPRESS})": f"suppress({SUPPRESS}, functions.exceptions.ServiceException)"},
        says="not yet",
        words="out of order (ServiceException), success was to be sent, and tell ended without an error",
    ),
    dict(
        name="false is nothing",
        changes={"elif success is not None": "elif success is not None and success is not False"},
        says="not yet",
        words="After tell(callback_id, success=False) the execution was still running",
    ),
    dict(
        name="JSON in JSON",
        changes={"json.dumps(success)": "json.dumps(json.dumps(success))"},
        says="not yet",
        words="It answers success, with JSON text",
    ),
    dict(
        name="all of the failure is the message",
        changes={'"ErrorMessage": failure[1]': '"ErrorMessage": ": ".join(failure)'},
        says="not yet",
        words="The failure has the ErrorType and the ErrorMessage",
    ),
    dict(
        name="whatever has failed is a migration",
        changes={'"ErrorType": failure[0]': '"ErrorType": "MigrationFailed"'},
        says="not yet",
        words="The failure has the ErrorType and the ErrorMessage",
    ),
    dict(
        name="only success may come late",
        changes={"        if failure:\n": "        pass\n    if True:\n        if failure:\n"},
        says="not yet",
        words="and tell raised CallbackTimeoutException",
    ),
    dict(
        name="a sign of life may not come late",
        changes={
            f"    with suppress({SUPPRESS}):\n": "    if success is None and not failure:\n"
            f"        return functions.send_durable_execution_callback_heartbeat(CallbackId=callback_id)\n"
            f"    with suppress({SUPPRESS}):\n"
        },
        says="not yet",
        words="a sign of life was to be sent, and tell raised CallbackTimeoutException",
    ),
    dict(
        name="looks at its own list of who was told",
        changes={
            "def tell(": "told = set()\n\n\ndef tell(",
            f"    with suppress({SUPPRESS}):\n": "    if 'told' in told and not failure:\n        return\n"
            f"    told.add('told')\n    with suppress({SUPPRESS}):\n",
        },
        says="not yet",
        words="tell(callback_id",  # whom it forgets is the one that comes second to a process
    ),
    dict(
        name="text as it is",
        changes={"json.dumps(success)": "success if isinstance(success, str) else json.dumps(success)"},
        says="not yet",
        words="It answers success, with JSON text",
    ),
    dict(
        name="who has an ID that is none has nobody to tell",
        changes={f"suppress({SUPPRESS})": f"suppress({SUPPRESS}, functions.exceptions.InvalidParameterValueException)"},
        says="not yet",
        words="(InvalidParameterValueException), success was to be sent, and tell ended without an error",
    ),
    dict(
        name="when there is too much to tell, it is left",
        changes={f"suppress({SUPPRESS})": f"suppress({SUPPRESS}, functions.exceptions.TooManyRequestsException)"},
        says="not yet",
        words="(TooManyRequestsException), success was to be sent, and tell ended without an error",
    ),
    dict(name="letters of all the world", changes={"json.dumps(success)": "json.dumps(success, ensure_ascii=False)"}),
    dict(
        name="the first line of the message",
        changes={'"ErrorMessage": failure[1]}': '"ErrorMessage": failure[1].splitlines()[0]}'},
        says="not yet",
        words="The failure has the ErrorType and the ErrorMessage",
    ),
    dict(
        name="whatever becomes of a sign of life is no fault",
        changes={BEAT: "            with suppress(Exception):\n    " + BEAT},
        says="not yet",
        words="an ID that never was one, a sign of life was to be sent, and tell ended without an error",
    ),
    dict(
        name="what exercise 2 made waits with text for data",
        earlier={2: {"changes": {", serdes=JsonSerDes()": ""}}},
        says="not yet",
        words="Mend exercise 2 first",
    ),
    dict(
        name="a failure without a message is a sign of life",
        changes={"if failure:": "if failure and failure[1]:"},
        says="not yet",
        words="was still running",
    ),
]

# -- task 4 ------------------------------------------------------------------------------------------------------------

ADDRESS = 'context.step(lambda _: secrets.token_urlsafe(32), name="address")'
SAVES_ALL = (
    "        save(address, callback_id, seconds)\n"
    "        save(address, callback_id, seconds, CheckId=order(table, address))\n"
)
ASKS = 'report_in(context.step(lambda _: ask(find(address)["CheckId"]), name="ask"))'
CHECK_FAILED = "    except CallbackExternalError as error:\n        raise CheckFailed(str(error)) from None\n"

ONE_BY_ONE = """%%writefile reported.py
import json
import uuid

from aws_durable_execution_sdk_python import CallbackError, CallbackTimeoutError
from aws_durable_execution_sdk_python.config import CallbackConfig, Duration, StepConfig
from reports import CheckFailed, report_in, while_unavailable
from verirow import ask, order
from waiting import save


def checked(context, table, silence, seconds):
    address = context.step(lambda _: str(uuid.uuid4()))
    config = CallbackConfig(timeout=Duration(seconds), heartbeat_timeout=Duration(silence))
    callback = context.create_callback("report", config)
    context.step(lambda _: save(address, callback.callback_id, seconds), name="save")
    careful = StepConfig(retry_strategy=while_unavailable)
    check_id = context.step(lambda _: order(table, address), name="order", config=careful)
    try:
        return json.loads(callback.result())
    except CallbackTimeoutError:
        said = context.step(lambda _: ask(check_id), name="ask")
    except CallbackError as error:
        raise CheckFailed(error.message)
    return report_in(said)
"""

# The address is another one where the step runs again.
ADDRESS_IN_THE_STEP = """%%writefile reported.py
import json
import secrets
import time

from aws_durable_execution_sdk_python import CallbackError, CallbackTimeoutError
from aws_durable_execution_sdk_python.config import CallbackConfig, Duration
from reports import CheckFailed, VendorUnavailable, report_in
from verirow import ask, order
from waiting import save


def patiently(table, address):
    for pause in (0, 1, 1, 1):
        try:
            return order(table, address)
        except VendorUnavailable:
            time.sleep(pause)
    return order(table, address)


def checked(context, table, silence, seconds):
    config = CallbackConfig(timeout=Duration(seconds), heartbeat_timeout=Duration(silence))
    callback = context.create_callback("report", config)

    def place(_):
        address = secrets.token_urlsafe(32)
        save(address, callback.callback_id, seconds)
        try:
            return patiently(table, address)
        except Exception as refusal:
            return {"Refused": str(refusal)}

    check_id = context.step(place, name="order")
    if not isinstance(check_id, str):
        raise CheckFailed(check_id["Refused"])
    try:
        return json.loads(callback.result())
    except CallbackTimeoutError:
        said = context.step(lambda _: ask(check_id), name="ask")
    except CallbackError as error:
        raise CheckFailed(error.message)
    return report_in(said)
"""
SAVED_IS_ORDERED = {
    SAVES_ALL: "        if find(address):\n            return\n        save(address, callback_id, seconds)\n"
    "        for pause in (0, 1, 1, 1):\n            try:\n                check_id = order(table, address)\n"
    "            except VendorUnavailable:\n                time.sleep(pause)\n            else:\n"
    "                return save(address, callback_id, seconds, CheckId=check_id)\n",
    "import secrets\n": "import secrets\nimport time\n",
    "import CheckFailed,": "import CheckFailed, VendorUnavailable,",
}

TASK_4 = [
    dict(name="the solution"),
    dict(name="a callback and steps, one by one", text=ONE_BY_ONE),
    dict(
        name="hex, and a retry strategy of its own",
        changes={
            "secrets.token_urlsafe(32)": "secrets.token_hex(16)",
            "retry_strategy=while_unavailable": "retry_strategy=lambda error, attempts: RetryDecision.retry("
            "Duration.from_seconds(2)) if 'VendorUnavailable' in type(error).__name__ and attempts < 9 "
            "else RetryDecision.no_retry()",
            "import secrets\n": "import secrets\nfrom aws_durable_execution_sdk_python.retries import RetryDecision\n",
        },
    ),
    dict(
        name="blank",
        text="%%writefile reported.py\ndef checked(context, table, silence, seconds):\n    return ...\n",
        says="not attempted",
        words="There is no function named",
    ),
    dict(
        name="random outside of a step",
        changes={ADDRESS: "secrets.token_urlsafe(32)"},
        says="not yet",
        words="the vendor got",
    ),
    dict(
        name="the callback ID as the address",
        changes={
            f"    address = {ADDRESS}\n": "",
            "        save(address, callback_id, seconds)\n": '        address = callback_id.rstrip("=")\n'
            "        save(address, callback_id, seconds)\n",
        },
        says="not yet",
        words="the vendor got no order that it could take",
    ),
    dict(
        name="a hash of what everybody knows",
        changes={
            ADDRESS: "hashlib.sha256(context.execution_context.durable_execution_arn.encode()).hexdigest()",
            "import secrets\n": "import hashlib\n",
        },
        says="not yet",
        words="can be computed from the execution's ARN",
    ),
    dict(
        name="another hash of what everybody knows",
        changes={
            ADDRESS: "hashlib.blake2b(context.execution_context.durable_execution_arn.encode()).hexdigest()",
            "import secrets\n": "import hashlib\n",
        },
        says="not yet",
        words="can be computed from the execution's ARN",
    ),
    dict(
        name="a hash of a part of what everybody knows",
        changes={
            ADDRESS: "hashlib.sha256(context.execution_context.durable_execution_arn[-36:].encode()).hexdigest()",
            "import secrets\n": "import hashlib\n",
        },
        says="not yet",
        words="It was played twice with the same execution ARN and callback ID",
    ),
    dict(
        name="chance that begins with what everybody knows",
        changes={
            ADDRESS: "'%x' % random.Random(context.execution_context.durable_execution_arn).getrandbits(256)",
            "import secrets\n": "import random\n",
        },
        says="not yet",
        words="can be computed from the execution's ARN",
    ),
    dict(
        name="chance that begins with a part of what everybody knows",
        changes={
            ADDRESS: "'%x' % random.Random('v1' + context.execution_context.durable_execution_arn).getrandbits(256)",
            "import secrets\n": "import random\n",
        },
        says="not yet",
        words="It was played twice with the same execution ARN and callback ID",
    ),
    dict(
        name="an address for all executions of a process",
        changes={
            "def checked(": "ADDRESS = secrets.token_urlsafe(32)\n\n\ndef checked(",
            "lambda _: secrets.token_urlsafe(32)": "lambda _: ADDRESS",
        },
        says="not yet",
        words="the vendor got no order",
    ),
    dict(
        name="chance of another module",
        changes={
            "secrets.token_urlsafe(32)": "'%064x' % random.getrandbits(256)",
            "import secrets\n": "import random\n",
        },
    ),
    dict(
        name="asks whether it is over, and then for the report",
        changes={
            ASKS: 'report_in(context.step(lambda _: ask(find(address)["CheckId"]) and ask(find(address)["CheckId"])))'
        },
        says="not yet",
        words="told nothing: it asked the vendor 2 times",
    ),
    dict(
        name="half of the silence",
        changes={"**limits": 'timeout=limits["timeout"], heartbeat_timeout=Duration.from_seconds((silence + 1) // 2)'},
        says="not yet",
        words="with `silence` 7200 it waited for 3600 s without an answer",
    ),
    dict(
        name="asks after silence, and not when its time is over",
        changes={
            "    except CallbackTimeoutError:\n": "    except CallbackTimeoutError as error:\n"
            "        if 'heartbeat' not in str(error).lower():\n"
            "            raise VendorSilent(table) from None\n",
            "import CheckFailed": "import VendorSilent, CheckFailed",
        },
        says="not yet",
        words="which was done in the end, and nobody was told: the execution failed: VendorSilent",
    ),
    dict(
        name="short",
        changes={"token_urlsafe(32)": "token_hex(6)"},
        says="not yet",
        words="random bits at most",
    ),
    dict(
        name="orders first, saves second",
        changes={
            SAVES_ALL: "        check_id = order(table, address)\n"
            "        save(address, callback_id, seconds, CheckId=check_id)\n"
        },
        says="not yet",
        words="before it had answered the order",
    ),
    dict(
        name="tries again whatever went wrong",
        changes={", retry_strategy=while_unavailable": ""},
        says="not yet",
        words="it was ordered again",
    ),
    dict(
        name="tries nothing again",
        changes={
            "retry_strategy=while_unavailable": "retry_strategy=RetryPresets.none()",
            "import secrets\n": "import secrets\nfrom aws_durable_execution_sdk_python.retries import RetryPresets\n",
        },
        says="not yet",
        words="ended FAILED (CallbackSubmitterError: Verirow answered",
    ),
    dict(
        name="no heartbeat",
        changes={"**limits": 'timeout=limits["timeout"]'},
        says="not yet",
        words="It does not wait for ever",
    ),
    dict(
        name="no limit for the whole",
        changes={"**limits": 'heartbeat_timeout=limits["heartbeat_timeout"]'},
        says="not yet",
        words="an audit without an end was still running; `silence` was 59, `seconds` 6",
    ),
    dict(
        name="the text of the report",
        changes={"serdes=JsonSerDes(), ": ""},
        says="not yet",
        words="It succeeds, and returns the report as data",
    ),
    dict(
        name="silent is failed",
        changes={
            CHECK_FAILED: CHECK_FAILED.replace("CallbackExternalError", "(CallbackExternalError, CallbackTimeoutError)")
        },
        says="not yet",
        words="told nothing ended FAILED",
    ),
    dict(
        name="silent is silent, it does not ask",
        changes={ASKS: 'report_in({"status": "silent"})'},
        says="not yet",
        words="told nothing ended FAILED",
    ),
    dict(
        name="hands the failure on as it comes",
        changes={CHECK_FAILED: ""},
        says="not yet",
        words="ended FAILED (CallbackExternalError",
    ),
    dict(
        name="a variable for the check's ID, which is gone when it asks",
        changes={
            f"    address = {ADDRESS}\n": f"    address = {ADDRESS}\n    known = {{}}\n",
            SAVES_ALL: "        save(address, callback_id, seconds)\n        known['id'] = order(table, address)\n",
            'find(address)["CheckId"]': "known['id']",
        },
        says="not yet",
        words="though it was done, told nothing",
    ),
    dict(
        name="the address in a child context",
        changes={
            ADDRESS: 'context.run_in_child_context(lambda child: child.step(lambda _: "a" + secrets.token_hex(20)))'
        },
    ),
    dict(
        name="saves, orders, and notes the ID in one item more",
        changes={
            SAVES_ALL: "        save(address, callback_id, seconds)\n        check_id = order(table, address)\n"
            "        save(address, callback_id, seconds, CheckId=check_id, Table=table)\n"
        },
    ),
    dict(
        name="asks with patience",
        changes={
            ASKS: ASKS.replace('name="ask"', 'name="ask", config=StepConfig(retry_strategy=while_unavailable)'),
            "import Duration, WaitForCallbackConfig": "import Duration, StepConfig, WaitForCallbackConfig",
        },
    ),
    dict(
        name="another address for each attempt",
        changes={
            ADDRESS: '"nobody"',
            "        save(address, callback_id, seconds)\n": "        address = secrets.token_urlsafe(32)\n"
            "        save(address, callback_id, seconds)\n",
        },
        says="not yet",
        words="the vendor got 2 addresses",
    ),
    dict(
        name="a hash of the table's ARN",
        changes={ADDRESS: "hashlib.sha256(table.encode()).hexdigest()", "import secrets\n": "import hashlib\n"},
        says="not yet",
        words="can be computed from the table's ARN",
    ),
    dict(
        name="a UUID of the time",
        changes={ADDRESS: "context.step(lambda _: str(uuid.uuid1()))", "import secrets\n": "import uuid\n"},
        says="not yet",
        words="random bits at most",
    ),
    dict(
        name="silence of a minute, whatever is asked for",
        changes={"**limits": 'timeout=limits["timeout"], heartbeat_timeout=Duration.from_seconds(59)'},
        says="not yet",
        words="It does not wait for ever",
    ),
    dict(
        name="never orders",
        changes={"        save(address, callback_id, seconds, CheckId=order(table, address))\n": ""},
        says="not yet",
        words="the vendor got no order that it could take",
    ),
    dict(
        name="tries again after a 502 and a 503 only",
        changes={
            "retry_strategy=while_unavailable": "retry_strategy=lambda error, attempts: RetryDecision.retry("
            "Duration.from_seconds(1)) if attempts < 5 and str(error)[-4:] in ('502.', '503.') "
            "else RetryDecision.no_retry()",
            "import secrets\n": "import secrets\nfrom aws_durable_execution_sdk_python.retries import RetryDecision\n",
        },
        says="not yet",
        words="ended FAILED (CallbackSubmitterError: Verirow answered",
    ),
    dict(
        name="tries again whatever was refused, but for a 400",
        changes={
            "retry_strategy=while_unavailable": "retry_strategy=lambda error, attempts: RetryDecision.retry("
            "Duration.from_seconds(1)) if attempts < 5 and '400' not in str(error) else RetryDecision.no_retry()",
            "import secrets\n": "import secrets\nfrom aws_durable_execution_sdk_python.retries import RetryDecision\n",
        },
        says="not yet",
        words="it was ordered again",
    ),
    dict(
        name="the two limits the wrong way round",
        changes={"**limits": 'timeout=limits["heartbeat_timeout"], heartbeat_timeout=limits["timeout"]'},
        says="not yet",
        words="Progress came every second, `silence` was 6, and the execution ended FAILED (VendorSilent",
    ),
    dict(
        name="tries again once",
        changes={
            "retry_strategy=while_unavailable": "retry_strategy=lambda error, attempts: RetryDecision.retry("
            "Duration.from_seconds(1)) if attempts < 2 else RetryDecision.no_retry()",
            "import secrets\n": "import secrets\nfrom aws_durable_execution_sdk_python.retries import RetryDecision\n",
        },
        says="not yet",
        words="VendorUnavailable is tried again",
    ),
    dict(
        name="a failure without its message",
        changes={"CheckFailed(str(error))": 'CheckFailed("It has failed.")'},
        says="not yet",
        words="The vendor said:",
    ),
    dict(
        name="what has failed unheard has no report",
        changes={ASKS: 'context.step(lambda _: ask(find(address)["CheckId"]), name="ask").get("report")'},
        says="not yet",
        words="told nothing ended SUCCEEDED",
    ),
    dict(
        name="a report in an envelope",
        changes={
            "        return context.wait_for_callback(": '        return {"Report": context.wait_for_callback(',
            'name="report", config=config)': 'name="report", config=config)}',
        },
        says="not yet",
        words="It succeeds, and returns the report as data",
    ),
    dict(
        name="another address where the step that orders runs again",
        text=ADDRESS_IN_THE_STEP,
        says="not yet",
        words="the function's process crashed, and an audit was ordered twice",
    ),
    dict(
        name="takes what is saved for what is ordered",
        changes=SAVED_IS_ORDERED,
        says="not yet",
        words="the function's process crashed, and an audit was never ordered",
    ),
    dict(
        name="what exercise 3 made tells a failure as a result",
        earlier={3: {"changes": {A_FAILURE: A_RESULT}}},
        says="not yet",
        words="Mend exercise 3 first",
    ),
    dict(
        name="what exercise 3 made sends no sign of life",
        earlier={3: {"changes": {BEAT: "            pass"}}},
        says="not yet",
        words="Mend exercise 3 first",
    ),
    dict(
        name="its place is free again after the silence",
        changes={"save(address, callback_id, seconds": "save(address, callback_id, silence"},
        says="not yet",
        words="`seconds` was 86400, and the item that it saved said that it waits for 7200 s.",
    ),
    dict(
        name="its place is free again as soon as it has ordered",
        changes={"save(address, callback_id, seconds, CheckId": "save(address, callback_id, 0, CheckId"},
        says="not yet",
        words="`seconds` was 86400, and the item that it saved said that it waits for 0 s.",
    ),
]

# -- task 5 ------------------------------------------------------------------------------------------------------------

BATCH = '    batch = context.parallel([migration, check], name="both")\n'
ENDS = '        context.wait(Duration.from_seconds(1), name="branches end")'
STOPS = '        context.step(lambda _: stop(arn), name="stop", config=StepConfig(retry_strategy=while_starting))\n'
LOOKS_AT_FAILURES = "    if batch.failure_count:\n"

CATCHES_IT = """%%writefile nightly.py
from aws_durable_execution_sdk_python import ChildContextError, durable_execution
from aws_durable_execution_sdk_python.config import CompletionConfig, Duration, ParallelConfig, StepConfig
from reported import checked
from stopping import stop, while_starting
from told import migrated


@durable_execution
def lambda_handler(event, context):
    arn = event["ReplicationTaskArn"]

    def check(child):
        return checked(child, event["Table"], event["HeartbeatSeconds"], event["TimeoutSeconds"])

    def migrate(child):
        return migrated(child, arn, event["TimeoutSeconds"])

    first = ParallelConfig(completion_config=CompletionConfig(tolerated_failure_count=0))
    batch = context.parallel([check, migrate], config=first)
    try:
        batch.throw_if_error()
    except ChildContextError as error:
        context.wait(Duration(2))
        context.step(lambda _: stop(arn), config=StepConfig(while_starting))
        raise RuntimeError(f"The night has failed: {error}") from error
    return dict(zip(("Report", "Migration"), batch.get_results()))
"""

TASK_5 = [
    dict(name="the solution"),
    dict(name="lets the batch raise, in the other order", text=CATCHES_IT),
    dict(
        name="blank",
        text="%%writefile nightly.py\ndef lambda_handler(event, context):\n    ...\n",
        says="not attempted",
        words="There is no function named",
    ),
    dict(
        name="one after the other",
        changes={
            BATCH: "    moved = migrated(context, arn, seconds)\n"
            "    return {'Migration': moved, 'Report': checked(context, table, silence, seconds)}\n"
        },
        says="not yet",
        words="the vendor had got no order",
    ),
    dict(
        name="waits for both whatever happens",
        changes={
            BATCH: "    from aws_durable_execution_sdk_python.config import CompletionConfig, ParallelConfig\n"
            "    config = ParallelConfig(completion_config=CompletionConfig.all_completed())\n"
            "    batch = context.parallel([migration, check], config=config)\n"
        },
        says="not yet",
        words="the audit failed while the migration ran was still running",
    ),
    dict(
        name="leaves the migration running",
        changes={STOPS: ""},
        says="not yet",
        words="and the migration was left running",
    ),
    dict(
        name="stops it in the same invocation",
        changes={ENDS: ""},
        says="not yet",
        words="DMS took four seconds to start the migration, and the vendor refused the order at once (",
    ),
    dict(
        name="looks again and again, in the same invocation, for a second",
        changes={
            ENDS: "        import time\n\n"
            "        for _ in range(5):\n            stop(arn)\n            time.sleep(0.2)\n"
        },
        says="not yet",
        words="and the migration was left running",
    ),
    dict(
        name="stops it only where the check has failed late",
        changes={
            STOPS: '        if "refused" not in batch.get_errors()[0].message and "answered" not in '
            "batch.get_errors()[0].message:\n    " + STOPS
        },
        says="not yet",
        words="and the migration was left running",
    ),
    dict(
        name="stops it where the order was refused with 400, and not with another status",
        changes={
            STOPS: "        said = batch.get_errors()[0].message\n"
            '        if "answered" not in said or "400" in said:\n    ' + STOPS
        },
        says="not yet",
        words="and the migration was left running",
    ),
    dict(
        name="stops it only where the audit has failed, since a migration that failed is over",
        changes={STOPS: "        if batch.failed()[0].index == 1:\n    " + STOPS},
        says="not yet",
        words="A night on which the time for the migration was over, and it ran on: the migration was left running",
    ),
    dict(
        name="stops it when all is well, too",
        changes={LOOKS_AT_FAILURES: "    raise_it = batch.failure_count\n    if True:\n"},
        says="not yet",
        words="a night on which all went well ended FAILED",
    ),
    dict(
        name="the check first",
        changes={
            BATCH: "    report = checked(context, table, silence, seconds)\n"
            "    return {'Report': report, 'Migration': migrated(context, arn, seconds)}\n"
        },
        says="not yet",
        words="the migration had not been started by the time",
    ),
    dict(
        name="the results the wrong way round",
        changes={"moved, report = batch": "report, moved = batch"},
        says="not yet",
        words="It returned {",
    ),
    dict(
        name="only the report",
        changes={'return {"Migration": moved, "Report": report}': 'return {"Report": report}'},
        says="not yet",
        words="It returned {",
    ),
    dict(
        name="swallows the failure",
        changes={"raise NightFailed(batch.get_errors()[0].message)": "return {}"},
        says="not yet",
        words="ended SUCCEEDED",
    ),
    dict(
        name="always the same message",
        changes={"batch.get_errors()[0].message": '"Half of it is missing."'},
        says="not yet",
        words="The message of what failed was: Last Error",
    ),
    dict(
        name="one branch uses the context of both",
        changes={"lambda branch: checked(branch,": "lambda branch: checked(context,"},
        says="not yet",
        words="NonDeterministicExecutionError",
    ),
    dict(
        name="looks until it has begun, in a step",
        changes={
            ENDS: "",
            STOPS: STOPS.replace("lambda _: stop(arn)", "lambda _: stop_it(arn)"),
            "@durable_execution\n": "def stop_it(arn):\n    from dms_task import describe\n\n"
            '    if describe(arn)["Status"] == "ready":\n        raise RuntimeError("It may begin yet.")\n'
            "    stop(arn)\n\n\n@durable_execution\n",
        },
    ),
    dict(
        name="a map of two, and a message of its own around the other's",
        changes={
            BATCH: "    batch = context.map([migration, check], lambda child, each, *_: each.func(child))\n",
            "NightFailed(batch.get_errors()[0].message)": 'NightFailed(f"No: {batch.get_errors()[0].message}")',
        },
    ),
    dict(
        name="does not look whether one has failed",
        changes={LOOKS_AT_FAILURES: "    if False:\n"},
        says="not yet",
        words="ended FAILED (ValueError",
    ),
    dict(
        name="a failure without its message",
        changes={"batch.get_errors()[0].message": '"one of the two"'},
        says="not yet",
        words="and its message contains the failure's message",
    ),
    dict(
        name="stops it outside of a step, where nothing is tried again",
        changes={STOPS: "        stop(arn)\n"},
        says="not yet",
        words="the migration was left starting",
    ),
    dict(
        name="what exercise 2 made waits with text for data",
        earlier={2: {"changes": {", serdes=JsonSerDes()": ""}}},
        says="not yet",
        words="Mend exercise 2 first",
    ),
    dict(
        name="what exercise 4 made says nothing of the failure",
        earlier={4: {"changes": {"CheckFailed(str(error))": 'CheckFailed("It has failed.")'}}},
        says="not yet",
        words="Mend exercise 4 first",
    ),
    dict(
        name="where DMS refuses to stop it, it is let be",
        changes={
            STOPS: STOPS.replace("lambda _: stop(arn)", "lambda _: stop_it(arn)"),
            "@durable_execution\n": "def stop_it(arn):\n    try:\n        stop(arn)\n"
            "    except Exception as error:\n        print(error)\n\n\n@durable_execution\n",
        },
        says="not yet",
        words="took minutes to start the migration, and the audit failed meanwhile: the migration was left starting",
    ),
    dict(
        name="stops only what runs already",
        changes={
            STOPS: STOPS.replace("stop(arn)", 'describe(arn)["Status"] == "running" and stop(arn)'),
            "from stopping": "from dms_task import describe\nfrom stopping",
        },
        says="not yet",
        words="the migration was left ",
    ),
    dict(
        name="tries to stop it as often as a step is tried without a strategy of its own",
        changes={STOPS: STOPS.replace(", config=StepConfig(retry_strategy=while_starting)", "")},
        says="not yet",
        words="took minutes to start the migration, and the audit failed meanwhile: the migration was left starting",
    ),
    dict(
        name="tries it for as long with a strategy of its own, which is a function",
        changes={
            "while_starting))": "patiently))",
            "stop, while_starting": "stop",
            "@durable_execution\n": "def patiently(error, attempt):\n"
            "    from aws_durable_execution_sdk_python.retries import RetryDecision\n\n"
            "    return RetryDecision(should_retry=attempt < 200, delay=Duration.from_seconds(10))\n\n\n"
            "@durable_execution\n",
        },
    ),
    dict(
        name="waits until it has started, and then stops it",
        changes={
            STOPS: '        while context.step(lambda _: describe(arn)["Status"]) == "starting":\n'
            "            context.wait(Duration.from_seconds(5))\n" + STOPS,
            "from stopping": "from dms_task import describe\nfrom stopping",
        },
    ),
    dict(
        name="sleeps in a step until the branches should have ended",
        changes={ENDS: '        import time\n\n        context.step(lambda _: time.sleep(2), name="branches end")'},
        says="not yet",
        words="and the migration was left running",
    ),
]

# -- task 6 ------------------------------------------------------------------------------------------------------------

SILENT = '        answer = {"Approved": False, "By": "nobody"}\n'
STARTS_IT = '        context.step(lambda _: start(arn, again=False), name="start")\n'
POLLS = "        polled(context, arn, pause, pause, 2000)\n"

BY_STEPS = """%%writefile approve.py
import json

from aws_durable_execution_sdk_python import CallbackTimeoutError, durable_execution
from aws_durable_execution_sdk_python.config import CallbackConfig, Duration
from dms_task import describe, start
from runs import outcome, under_way
from waiting import save


@durable_execution
def lambda_handler(event, context):
    arn, seconds = event["ReplicationTaskArn"], event["TimeoutSeconds"]
    approval = context.create_callback("approval", CallbackConfig(timeout=Duration(seconds)))
    context.step(lambda _: save(event["Id"], approval.callback_id, seconds), name="ask")
    try:
        answer = json.loads(approval.result())
    except CallbackTimeoutError:
        return {"Moved": False, "By": "nobody"}
    if not answer["Approved"]:
        return {"By": answer["By"], "Moved": False}
    context.step(lambda _: start(arn, False), name="start")
    while True:
        context.wait(Duration(event["PollSeconds"]))
        task = context.step(lambda _: describe(arn), name="poll")
        if not under_way(task):
            outcome(arn, task)
            return {"Moved": True, "By": answer["By"]}
"""

TASK_6 = [
    dict(name="the solution"),
    dict(name="state by state", text=BY_STEPS),
    dict(
        name="blank",
        text="%%writefile approve.py\ndef lambda_handler(event, context):\n    ...\n",
        says="not attempted",
        words="There is no function named",
    ),
    dict(
        name="does not wait for the end",
        changes={POLLS: ""},
        says="not yet",
        words="of a migration that runs on and on, and it still ran, the execution ended SUCCEEDED",
    ),
    dict(
        name="silence is consent",
        changes={SILENT: SILENT.replace("False", "True")},
        says="not yet",
        words="When nobody answers for two seconds, the state machine returns",
    ),
    dict(
        name="silence is a failure",
        changes={SILENT: "        raise\n"},
        says="not yet",
        words="The durable function ended FAILED (CallbackTimeoutError",
    ),
    dict(
        name="does not ask before it starts",
        changes={'    if answer["Approved"]:\n': "    if True:\n"},
        says="not yet",
        words="When somebody does not approve, the migration was started",
    ),
    dict(
        name="an error of its own",
        changes={
            POLLS: "        try:\n    " + POLLS + '        except Exception:\n            raise RuntimeError("no")\n'
        },
        says="not yet",
        words="The error and the cause are the same",
    ),
    dict(
        name="says less",
        changes={', "By": answer["By"]}': "}"},
        says="not yet",
        words="The result is the same",
    ),
    dict(
        name="the answer as it came",
        changes={'return {"Moved": answer["Approved"], "By": answer["By"]}': "return answer"},
        says="not yet",
        words="The result is the same",
    ),
    dict(
        name="always Ana",
        changes={'"By": answer["By"]}': '"By": "Ana" if answer["Approved"] else answer["By"]}'},
        says="not yet",
        words="that takes some time, the state machine returns",
    ),
    dict(
        name="a second between polls, whatever is asked for",
        changes={POLLS: POLLS.replace("pause, pause", "1, 1")},
        says="not yet",
        words="PollSeconds is 2, it waited 1",
    ),
    dict(
        name="less and less often",
        changes={POLLS: POLLS.replace("pause, pause", "pause, 60")},
        says="not yet",
        words="PollSeconds is 2, it waited 2 and 4 s",
    ),
    dict(
        name="under the task's ARN",
        changes={'save(event["Id"], ': "save(arn, "},
        says="not yet",
        words="under its Id there is no CallbackId",
    ),
    dict(
        name="saves nothing",
        changes={'        save(event["Id"], callback_id, seconds)\n': "        pass\n"},
        says="not yet",
        words="under its Id there is no CallbackId",
    ),
    dict(
        name="a timeout of a minute",
        changes={"Duration.from_seconds(seconds), serdes": "Duration.from_seconds(60), serdes"},
        says="not yet",
        words="When nobody answers for two seconds, the state machine returns",
    ),
    dict(
        name="nobody by another name",
        changes={'"By": "nobody"': '"By": None'},
        says="not yet",
        words='"By": null}. The result is the same',
    ),
    dict(
        name="the migration starts before somebody approves",
        changes={
            "    try:\n": '    context.step(lambda _: start(arn, again=False), name="start")\n    try:\n',
            STARTS_IT: "",
        },
        says="not yet",
        words="When somebody does not approve, the migration was started",
    ),
    dict(
        name="a cause of its own",
        changes={
            POLLS: "        from runs import MigrationFailed\n        try:\n    "
            + POLLS
            + "        except MigrationFailed:\n"
            '            raise MigrationFailed("It has failed.")\n'
        },
        says="not yet",
        words="The error and the cause are the same",
    ),
    dict(
        name="what has run before is taken for what it has started",
        changes={
            STARTS_IT: "        from dms_task import describe\n\n"
            '        begun = lambda: describe(arn)["Status"] != "ready"\n'
            "        context.step(lambda _: begun() or start(arn, again=False), name='start')\n"
        },
        says="not yet",
        words="of a migration that had run before, the state machine ended FAILED",
    ),
    dict(
        name="the start in a step that finds out whether it was started",
        changes={
            STARTS_IT: "        from dms_task import describe\n        from runs import begun, last_start\n\n"
            '        before = context.step(lambda _: last_start(describe(arn)), name="look")\n'
            "        context.step(lambda _: begun(describe(arn), before) or start(arn, again=False), name='start')\n"
        },
    ),
    dict(
        name="JSON that it reads itself",
        changes={
            ", serdes=JsonSerDes()": "",
            '    if answer["Approved"]:': "    import json\n\n    if isinstance(answer, str):\n"
            '        answer = json.loads(answer)\n    if answer["Approved"]:',
        },
    ),
    dict(
        name="whatever goes wrong with the request, nobody has approved",
        changes={"except CallbackTimeoutError": "except Exception"},
        says="not yet",
        words="When somebody withdraws the request, as a failure, the state machine ended FAILED (Withdrawn",
    ),
    dict(
        name="sixty polls, whatever it takes",
        changes={POLLS: POLLS.replace("2000", "60")},
        says="not yet",
        words="Somebody who approved of a migration of 120 polls: the execution failed",
    ),
    dict(
        name="a hundred polls, whatever it takes",
        changes={POLLS: POLLS.replace("2000", "100")},
        says="not yet",
        words="Somebody who approved of a migration of 120 polls: the execution failed",
    ),
    dict(
        name="polls for as long as one may wait for the answer",
        changes={POLLS: POLLS.replace("2000", "max(seconds // pause, 1)")},
        says="not yet",
        words="Somebody who approved of a migration of 120 polls: the execution failed",
    ),
    dict(
        name="as many polls as one may wait seconds for the answer",
        changes={POLLS: POLLS.replace("2000", "seconds")},
        says="not yet",
        words="Somebody who approved of a migration of 120 polls: the execution failed",
    ),
    dict(
        name="two hours at most, whatever is asked for",
        changes={"Duration.from_seconds(seconds), serdes": "Duration.from_seconds(min(seconds, 7200)), serdes"},
        says="not yet",
        words="with `TimeoutSeconds` 86400 it waited for 7200 s without an answer",
    ),
    dict(
        name="its place is free again at once",
        changes={'save(event["Id"], callback_id, seconds)': 'save(event["Id"], callback_id, 0)'},
        says="not yet",
        words="the item that it saved says that it waits for 0 s",
    ),
    dict(
        name="starts what has run before, too",
        changes={
            "from dms_task import start": "from dms_task import describe, start",
            "again=False": 'again=describe(arn)["Started"] != ""',
        },
        says="not yet",
        words="of a migration that had run before, the migration was started. The state machine did not start it",
    ),
    dict(
        name="what exercise 1 made waits always the same minute",
        earlier={1: {"changes": {"**delays": "initial_delay=Duration.from_minutes(1)"}}},
        says="not yet",
        words="Mend exercise 1 first",
    ),
    dict(
        name="what runs already is not started, but waited for",
        changes={
            "from dms_task import start": "from dms_task import describe, start",
            'context.step(lambda _: start(arn, again=False), name="start")': "context.step("
            "lambda _: None if describe(arn)['Status'] in ('starting', 'running') else start(arn, again=False), "
            "name='start')",
        },
        says="not yet",
        words="When somebody approves of a migration that somebody else has started, the state machine ended FAILED",
    ),
]

ANSWERS = {1: TASK_1, 2: TASK_2, 3: TASK_3, 4: TASK_4, 5: TASK_5, 6: TASK_6}
