"""Is an execution ever invoked again whose wait ends at the moment at which an invocation ends?"""

import logging
import sys
import threading

from aws_durable_execution_sdk_python_testing.executor import Executor
from aws_durable_execution_sdk_python_testing.scheduler import Scheduler
from aws_durable_execution_sdk_python_testing.stores.memory import InMemoryExecutionStore
from aws_durable_execution_sdk_python_testing.worker.checkpoint_tasks import CallableTask

logging.disable()

scheduler = Scheduler()
scheduler.start()
executor = Executor(InMemoryExecutionStore(), scheduler, None, None)
completes, goes_on, invoked = threading.Event(), threading.Event(), []


def complete(arn):
    """The wake-up's work on the execution's lane: a wait is over. It takes a moment."""
    completes.set()
    return goes_on.wait(30)


executor._fire_due_operations, executor._invoke_execution = complete, invoked.append
executor._schedule_earliest_pending = lambda arn: None

wake_up = scheduler.call_later(executor._fire_due_and_invoke_handler("arn"))
completes.wait(30)
# What _schedule_earliest_pending does with the wake-up before, when an invocation ends meanwhile.
wake_up.cancel()
scheduler.call_later(lambda: None).result(30)  # the loop has seen that
goes_on.set()
executor._registry.submit("arn", CallableTask(lambda: None)).result(30)  # the lane is through with it
scheduler.call_later(lambda: None).result(30)
print("the wait is over, and the handler is " + ("invoked." if invoked else "not invoked: nobody will."))
sys.exit(not invoked)
