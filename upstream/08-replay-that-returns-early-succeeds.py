"""Does a replay succeed that returns before it has come to the operations that are recorded?"""

import logging
import sys

from aws_durable_execution_sdk_python import durable_execution
from aws_durable_execution_sdk_python.config import Duration
from aws_durable_execution_sdk_python_testing import DurableFunctionTestRunner

logging.disable()
invocations, done = [], []


@durable_execution
def handler(event, context):
    invocations.append("another")
    if len(invocations) > 1:  # a question to the world, whose answer has changed
        return "nothing to do"
    context.step(lambda _: done.append("order"), name="order")
    context.wait(Duration.from_hours(1), name="hour")
    context.step(lambda _: done.append("pay"), name="pay")
    return "ordered and paid"


with DurableFunctionTestRunner(handler) as runner:
    result = runner.run("{}", execution_timeout=10)
recorded = ", ".join(sorted(operation.name for operation in result.get_all_operations()))
print(f"Recorded: {recorded}. Done: {', '.join(done)}.")
print(f"The execution has {result.status.value}, with the result {result.result}.")
sys.exit(result.status.value == "SUCCEEDED")
