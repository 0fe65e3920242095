"""Is a durable call inside a step refused where it stands?"""

import logging
import sys

from aws_durable_execution_sdk_python import durable_execution
from aws_durable_execution_sdk_python.config import Duration
from aws_durable_execution_sdk_python_testing import DurableFunctionTestRunner

HOUR = Duration.from_hours(1)

logging.disable()


@durable_execution
def waits_inside(event, context):
    context.step(lambda _: context.wait(HOUR, name="inner"), name="outer")


@durable_execution
def steps_inside(event, context):
    context.step(lambda _: context.step(lambda _: "inner", name="inner"), name="outer")
    context.wait(HOUR, name="after")


tries = []


def fails_once(_):
    tries.append("another")
    if len(tries) == 1:
        raise ConnectionError("Try again.")


@durable_execution
def alike(event, context):
    context.step(lambda _: context.step(lambda _: "that of the inner one"))
    result = context.step(lambda _: "its own")
    context.step(fails_once)
    return result


def refused(handler):
    with DurableFunctionTestRunner(handler) as runner:
        result = runner.run("{}", execution_timeout=10)
    said = result.error.message if result.error else result.result
    print(f"{handler.__name__}: {result.status.value}, {said}")
    return result.error is not None and "Non-deterministic" not in said


sys.exit(not all([refused(waits_inside), refused(steps_inside), refused(alike)]))
