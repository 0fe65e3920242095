"""Does a handler that swallows its suspension succeed, although it waits for an hour?"""

import logging
import sys

from aws_durable_execution_sdk_python import durable_execution
from aws_durable_execution_sdk_python.config import Duration
from aws_durable_execution_sdk_python_testing import DurableFunctionTestRunner

HOUR = Duration.from_hours(1)

logging.disable()


@durable_execution
def returns_in_finally(event, context):
    try:
        context.wait(HOUR, name="hour")
    finally:
        return "over"  # noqa: B012


@durable_execution
def catches_all(event, context):
    try:
        context.wait(HOUR, name="hour")
    except BaseException:  # a bare `except:` is the same
        return "over"


def swallowed(handler):
    with DurableFunctionTestRunner(handler) as runner:
        result = runner.run("{}", execution_timeout=10)
    wait = result.get_wait("hour").status.value
    print(f"{handler.__name__}: the execution has {result.status.value}, and its wait is {wait}.")
    return result.status.value == "SUCCEEDED" and wait == "STARTED"


sys.exit(any([swallowed(returns_in_finally), swallowed(catches_all)]))
