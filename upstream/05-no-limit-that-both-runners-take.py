"""Is there a name for a limit that `run` of both runners takes, without a warning?"""

import inspect
import logging
import sys
import warnings

from aws_durable_execution_sdk_python import durable_execution
from aws_durable_execution_sdk_python_testing import DurableFunctionCloudTestRunner, DurableFunctionTestRunner

logging.disable()


@durable_execution
def handler(event, context):
    return "done"


def limits(runner):
    return {name for name in inspect.signature(runner.run).parameters if "timeout" in name}


def warned(**limit):
    with warnings.catch_warnings(record=True) as caught, DurableFunctionTestRunner(handler) as runner:
        warnings.simplefilter("always")
        runner.run("{}", **limit)
    return [str(warning.message) for warning in caught if warning.category is DeprecationWarning]


local, cloud = limits(DurableFunctionTestRunner), limits(DurableFunctionCloudTestRunner)
print(f"Local: {', '.join(sorted(local))}. Cloud: {', '.join(sorted(cloud))}.")
good = []
for name in sorted(local & cloud):
    said = warned(**{name: 10})
    print(f"Both take {name}. " + (f"The local one says: {said[0]}" if said else "Nobody warns."))
    good += [] if said else [name]
sys.exit(not good)
