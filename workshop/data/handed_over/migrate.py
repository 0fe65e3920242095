"""Starts a migration and waits to be told of its end: lab 04, exercise 2, in one file."""

import outside
from aws_durable_execution_sdk_python import CallbackExternalError, CallbackTimeoutError, durable_execution
from aws_durable_execution_sdk_python.config import Duration, WaitForCallbackConfig
from aws_durable_execution_sdk_python.serdes import JsonSerDes


class MigrationFailed(Exception):
    """It has ended, and not as it should."""


class MigrationTimedOut(Exception):
    """Nobody knows how it will end."""


def outcome(arn, task):
    if task["Status"] not in ("stopped", "failed"):
        raise MigrationTimedOut(f"It is {task['Status']}.")
    if task["Status"] == "failed":
        raise MigrationFailed(task["LastFailureMessage"])
    return {"ReplicationTaskArn": arn}


@durable_execution
def lambda_handler(event, context):
    arn = event["ReplicationTaskArn"]

    def submit(callback_id, _):
        outside.save(arn, callback_id)
        outside.start(arn)

    config = WaitForCallbackConfig(timeout=Duration.from_seconds(event["TimeoutSeconds"]), serdes=JsonSerDes())
    try:
        return context.wait_for_callback(submit, name="migration", config=config)
    except CallbackExternalError as error:
        raise MigrationFailed(str(error)) from None
    except CallbackTimeoutError:
        task = context.step(lambda _: outside.describe(arn), name="look again")
    return outcome(arn, task)
