"""The table of who waits: an item for each callback, by the ARN of its replication task.

An item outlives its callback by a day, since it may be needed when that has timed out.
"""

import os
import time

import boto3

table = boto3.resource("dynamodb").Table(os.environ["TABLE"])
mine = "attribute_not_exists(Id) OR CallbackId = :me"
DAY = 24 * 3600


def find(key):
    return table.get_item(Key={"Id": key}, ConsistentRead=True).get("Item", {})


def save(key, callback_id, seconds, **more):
    """Raises where another callback waits there, unless it has timed out by now."""
    now = int(time.time())
    times = {"CreatedAt": now, "WaitsUntil": now + seconds, "ExpiresAt": now + seconds + DAY}
    item, values = {"Id": key, "CallbackId": callback_id, **times, **more}, {":me": callback_id, ":now": now}
    table.put_item(Item=item, ConditionExpression=f"{mine} OR WaitsUntil < :now", ExpressionAttributeValues=values)


def forget(item):
    """Delete an item, unless another callback has taken its place."""
    values = {":me": item["CallbackId"]}
    table.delete_item(Key={"Id": item["Id"]}, ConditionExpression=mine, ExpressionAttributeValues=values)
