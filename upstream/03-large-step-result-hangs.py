"""Does a step come back whose result is larger than a batch of checkpoints (750 x 1024 bytes)?"""

import logging
import os
import sys

from aws_durable_execution_sdk_python import durable_execution
from aws_durable_execution_sdk_python_testing import DurableFunctionTestRunner

SECONDS = 10  # the smaller one takes less than one

logging.disable()


@durable_execution
def handler(event, context):
    return len(context.step(lambda _: "x" * event["Bytes"], name="large"))


def comes_back(size):
    with DurableFunctionTestRunner(handler) as runner:
        try:
            result = runner.wait_for_result(runner.run_async({"Bytes": size}), timeout=SECONDS)
        except TimeoutError:
            print(f"{size:,} bytes: nothing after {SECONDS} s")
            return False
    print(f"{size:,} bytes: {result.status.value}")
    return True


if not comes_back(760_000):
    sys.exit("It does not work for small results either: this script says nothing.")
hangs = not comes_back(800_000)
sys.stdout.flush()
os._exit(hangs)  # what hangs would keep this process
