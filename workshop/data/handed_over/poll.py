"""Asks DMS until a migration is over: lab 04, exercise 1, in one file."""

import outside
from aws_durable_execution_sdk_python import durable_execution
from aws_durable_execution_sdk_python.config import Duration, JitterStrategy
from aws_durable_execution_sdk_python.waits import WaitForConditionConfig, WaitStrategyConfig, create_wait_strategy


class MigrationFailed(Exception):
    """It has ended, and not as it should."""


def under_way(task):
    return task["Status"] not in ("stopped", "failed")


def outcome(arn, task):
    if task["Status"] == "failed":
        raise MigrationFailed(task["LastFailureMessage"])
    if task["StopReason"] != "Stop Reason FULL_LOAD_ONLY_FINISHED":
        raise MigrationFailed(task["StopReason"])
    if task["TablesErrored"] > 0:
        raise MigrationFailed(f"Tables with errors: {task['TablesErrored']}")
    return {"ReplicationTaskArn": arn}


@durable_execution
def lambda_handler(event, context):
    arn = event["ReplicationTaskArn"]

    def ask(task, _):
        try:
            return outside.describe(arn)
        except outside.Throttled:
            return task

    pace = WaitStrategyConfig(
        under_way,
        max_attempts=event["MaxPolls"],
        initial_delay=Duration.from_seconds(event["PollSeconds"]),
        max_delay=Duration.from_seconds(event["MaxPollSeconds"]),
        backoff_rate=2,
        jitter_strategy=JitterStrategy.NONE,
    )
    config = WaitForConditionConfig(create_wait_strategy(pace), initial_state={"Status": "unknown"})
    return outcome(arn, context.wait_for_condition(ask, config, name="migration"))
