"""How a replication task of AWS DMS stands, and how its latest run ended."""

import boto3
from botocore.config import Config

# One try a call: a step that fails is tried again, and between two tries nothing runs and nobody pays.
dms = boto3.client("dms", config=Config(retries={"total_max_attempts": 1}))


class MigrationFailed(Exception):
    """It has ended, and not as it should."""


class MigrationTimedOut(Exception):
    """Nobody knows how it will end."""


def describe(arn):
    """The little that is needed: what a durable function knows is written down at each step, and paid for."""
    one = [{"Name": "replication-task-arn", "Values": [arn]}]
    task = dms.describe_replication_tasks(Filters=one, WithoutSettings=True)["ReplicationTasks"][0]
    stats = task.get("ReplicationTaskStats", {})
    run = {"Started": str(stats.get("StartDate", "")), "TablesErrored": stats.get("TablesErrored", 0)}
    return {**run, **{name: task.get(name, "") for name in ("Status", "StopReason", "LastFailureMessage")}}


def start(arn, again):
    """again: whether it has run before."""
    kind = "reload-target" if again else "start-replication"
    dms.start_replication_task(ReplicationTaskArn=arn, StartReplicationTaskType=kind)


def under_way(task):
    return task["Status"] not in ("stopped", "failed")


def last_start(task):
    """When its latest run began; raises where one is under way, which somebody else has started."""
    if task["Status"] in ("starting", "running", "stopping"):
        raise RuntimeError("Somebody else has started it.")
    return task["Started"]


def begun(task, before):
    """Whether there is a run after the one that Started at `before`."""
    return task["Status"] in ("starting", "running", "stopping") or task["Started"] != before


def outcome(arn, task):
    """What a migration that succeeded returns; raises for one that did not, or has not ended."""
    if under_way(task):
        raise MigrationTimedOut(f"It is {task['Status']}, and may run on.")
    if task["StopReason"] != "Stop Reason FULL_LOAD_ONLY_FINISHED" or task["TablesErrored"]:
        said = f"{task['Status']}, {task['StopReason']}, tables with errors: {task['TablesErrored']}"
        raise MigrationFailed(task["LastFailureMessage"] or said)
    return {"ReplicationTaskArn": arn}
