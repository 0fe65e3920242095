"""The table of who waits: an item for each execution, by the ARN of its replication task."""

import os
import time

import boto3
from dms_task import started

table = boto3.resource("dynamodb").Table(os.environ["TABLE"])


def find(arn):
    return table.get_item(Key={"ReplicationTaskArn": arn}, ConsistentRead=True).get("Item", {})


def new_item(event, task):
    now = int(time.time())
    item = {name: event[name] for name in ("ReplicationTaskArn", "TaskToken", "Execution")}
    return {**item, "CreatedAt": now, "ExpiresAt": now + event["TimeoutSeconds"], "StartedBefore": started(task)}


def forget(item):
    """Delete an item, unless another token has taken its place."""
    same = "attribute_not_exists(TaskToken) OR TaskToken = :token"
    key = {"ReplicationTaskArn": item["ReplicationTaskArn"]}
    table.delete_item(Key=key, ConditionExpression=same, ExpressionAttributeValues={":token": item["TaskToken"]})
