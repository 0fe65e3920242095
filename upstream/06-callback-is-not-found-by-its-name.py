"""Does a test find a callback by the name that the handler has given to `context.wait_for_callback`?"""

import logging
import sys

from aws_durable_execution_sdk_python import durable_execution
from aws_durable_execution_sdk_python_testing import DurableFunctionTestRunner

SECONDS = 5  # it is there in less than one

logging.disable()


@durable_execution
def handler(event, context):
    return context.wait_for_callback(lambda callback_id, _: None, name="approval")


with DurableFunctionTestRunner(handler, poll_interval=0.1) as runner:
    execution = runner.run_async("{}")
    try:
        callback = runner.wait_for_callback(execution, name="approval", timeout=SECONDS)
    except TimeoutError as error:
        print(f"TimeoutError: {error}")
        callback = None
    there = runner.wait_for_callback(execution, timeout=SECONDS)
    runner.send_callback_success(there, b"yes")
    operations = runner.wait_for_result(execution).get_all_operations()
print("The operations are", ", ".join(repr(operation.name) for operation in operations))
sys.exit(callback is None)
