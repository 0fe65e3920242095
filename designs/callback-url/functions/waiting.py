"""The table of who waits. Of an execution it has the address and the vendor's check_id, of an address the token."""

import os
import time

import boto3

table = boto3.resource("dynamodb").Table(os.environ["TABLE"])


def find(key):
    """The item with that key; an empty dict where there is none."""
    return table.get_item(Key={"Id": key}, ConsistentRead=True).get("Item", {})


def keep(key, only_if=None, **values):
    """Set these attributes of an item, if it meets the condition. Returns whether it did."""
    values.setdefault("ExpiresAt", int(time.time()) + 7 * 24 * 3600)  # longer than any check takes
    sets = {"UpdateExpression": "SET " + ", ".join(f"#{name} = :{name}" for name in values)}
    sets["ExpressionAttributeNames"] = {f"#{name}": name for name in values}
    sets["ExpressionAttributeValues"] = {f":{name}": value for name, value in values.items()}
    try:
        table.update_item(Key={"Id": key}, **sets, **({"ConditionExpression": only_if} if only_if else {}))
    except table.meta.client.exceptions.ConditionalCheckFailedException:
        return False
    return True
