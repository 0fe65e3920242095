"""Save the token, then start the migration, once: even the fastest end finds whom to tell.

It may be invoked again with the same token or, when the state is tried again, with a new one, and die between any two
of its lines. One conditional write decides who waits.
"""

from dms_task import begun, describe, start
from waiting import find, forget, new_item, table


def lambda_handler(event, context):
    task = describe(event["ReplicationTaskArn"])
    old, new = find(event["ReplicationTaskArn"]), new_item(event, task)
    again = old.get("Execution") == new["Execution"]
    if again:
        new["StartedBefore"] = old["StartedBefore"]
    if old.get("TaskToken") != new["TaskToken"]:
        free = "attribute_not_exists(TaskToken) OR TaskToken = :mine OR ExpiresAt < :now"
        values = {":mine": old["TaskToken"] if again else "none", ":now": new["CreatedAt"]}
        table.put_item(Item=new, ConditionExpression=free, ExpressionAttributeValues=values)
    runs = begun(task, new["StartedBefore"])
    try:
        if not (again and runs):  # else it runs for us, or has run
            start(task)
    except Exception:
        # Only the answer may have been lost: then it runs. Who did not get to start does not wait.
        if runs or not begun(describe(task["ReplicationTaskArn"]), new["StartedBefore"]):
            forget(new)
            raise
