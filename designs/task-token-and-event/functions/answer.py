"""Tell who waits how the migration ended, as DMS says it now."""

import json

import boto3
from dms_task import describe, started, verdict
from waiting import forget

stepfunctions = boto3.client("stepfunctions")


def answer(item):
    """False while the migration is under way."""
    arn, token = item["ReplicationTaskArn"], item["TaskToken"]
    task = describe(arn)
    finished, why = verdict(task)
    if finished is None or started(task) == item["StartedBefore"]:  # the second: our run has not begun
        return finished is not None
    try:
        if finished:
            stepfunctions.send_task_success(taskToken=token, output=json.dumps({"ReplicationTaskArn": arn}))
        else:
            stepfunctions.send_task_failure(taskToken=token, error="MigrationFailed", cause=why)
    except stepfunctions.exceptions.TaskTimedOut:
        print("Answered before, or too late:", arn)
    forget(item)
    return True
