"""How a replication task of AWS DMS stands, and how to start it again."""

import boto3

dms = boto3.client("dms")


def describe(arn):
    one = [{"Name": "replication-task-arn", "Values": [arn]}]
    return dms.describe_replication_tasks(Filters=one, WithoutSettings=True)["ReplicationTasks"][0]


def started(task):
    """When its latest run began, as text; "" if it never ran."""
    return str(task.get("ReplicationTaskStats", {}).get("StartDate", ""))


def begun(task, before):
    """Whether a run is under way, or has begun since started() said `before`."""
    return task["Status"] in ("starting", "running", "stopping") or started(task) != before


def start(task):
    """A task that has run before needs another kind of start."""
    kind = "reload-target" if started(task) else "start-replication"
    dms.start_replication_task(ReplicationTaskArn=task["ReplicationTaskArn"], StartReplicationTaskType=kind)


def verdict(task):
    """(None, "") while it is under way, then (True, "") or (False, why not)."""
    if task["Status"] not in ("stopped", "failed"):
        return None, ""
    reason, errors = task.get("StopReason", ""), task.get("ReplicationTaskStats", {}).get("TablesErrored", 0)
    if task["Status"] == "stopped" and reason == "Stop Reason FULL_LOAD_ONLY_FINISHED" and not errors:
        return True, ""
    return False, task.get("LastFailureMessage") or f"{task['Status']}, {reason}, tables with errors: {errors}"
