"""The durable function: start a migration, and sleep until its end is told.

Whatever is done between two waits is done at least once, so each step finds out what an attempt before it has done.
"""

from aws_durable_execution_sdk_python import CallbackExternalError, CallbackTimeoutError, durable_execution
from aws_durable_execution_sdk_python.config import Duration, WaitForCallbackConfig
from aws_durable_execution_sdk_python.serdes import JsonSerDes
from dms_task import MigrationFailed, begun, describe, last_start, outcome, start
from waiting import save


@durable_execution
def lambda_handler(event, context):
    arn, seconds = event["ReplicationTaskArn"], event["TimeoutSeconds"]
    before = context.step(lambda _: last_start(describe(arn)), name="look")

    def submit(callback_id, _):
        # First save, then start: even the fastest end finds whom to tell.
        save(arn, callback_id, seconds, StartedBefore=before)
        if not begun(describe(arn), before):
            start(arn, again=before != "")

    config = WaitForCallbackConfig(timeout=Duration.from_seconds(seconds), serdes=JsonSerDes())
    try:
        return context.wait_for_callback(submit, name="migration", config=config)
    except CallbackExternalError as error:
        raise MigrationFailed(str(error)) from None
    except CallbackTimeoutError:
        return outcome(arn, context.step(lambda _: describe(arn), name="look again"))
