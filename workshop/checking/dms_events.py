"""Events of AWS DMS in AWS's shape, as samples for event patterns and for functions that take them.

The shape of a task's events, and their categories: https://docs.aws.amazon.com/dms/latest/userguide/CHAP_EventBridge.html
Ids: https://docs.aws.amazon.com/dms/latest/userguide/CHAP_Events.html. What AWS documents nowhere is taken from
payloads that users have published: a stopped task's message, the events of DMS Serverless. The `eventType` of events
of instances, data migrations and RDS was found nowhere; a pattern should not get as far as looking at it.
"""

import uuid
from datetime import UTC, datetime

TASK = "arn:aws:dms:us-east-1:111122223333:task:ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_INSTANCE = "arn:aws:dms:us-east-1:111122223333:rep:ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_SERVERLESS = "arn:aws:dms:us-east-1:111122223333:replication-config:ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_TASK_CHANGED = "DMS Replication Task State Change"


def event(detail_type, resource, detail, source="aws.dms"):
    """An event as EventBridge hands it to a target, a dict."""
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": detail_type,
        "source": source,
        "account": resource.split(":")[4],
        "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": resource.split(":")[3],
        "resources": [resource],
        "detail": detail,
    }


def task_event(arn, event_type, event_id, category, message, **options):
    """An event of a replication task: task_event(arn, "STOPPED", "0079", "StateChange", "Stop Reason NORMAL")."""
    detail = {
        "type": "REPLICATION_TASK",
        "category": category,
        "eventType": f"REPLICATION_TASK_{event_type}",
        "eventId": f"DMS-EVENT-{event_id}",
        "resourceLink": "https://console.aws.amazon.com/dms/v2/home?region=us-east-1#taskDetails/airports",
        "detailMessage": message,
    }
    return event(_TASK_CHANGED, arn, detail, **options)


def stopped(arn, reason="FULL_LOAD_ONLY_FINISHED"):
    return task_event(arn, "STOPPED", "0079", "StateChange", f"Stop Reason {reason}")


def failed(arn, message="Last Error Table travel.airports. Stop Reason FATAL_ERROR Error Level FATAL"):
    return task_event(arn, "FAILED", "0078", "Failure", message)


def _other(kind, detail_type, resource, category, event_type, event_id, **options):
    detail = {
        "type": kind,
        "category": category,
        "eventType": event_type,
        "eventId": f"DMS-EVENT-{event_id}",
        "resourceLink": "https://console.aws.amazon.com/dms/v2/home?region=us-east-1",
        "detailMessage": "A message.",
    }
    return event(detail_type, resource, detail, **options)


_CLOUDTRAIL = {
    "eventSource": "dms.amazonaws.com",
    "eventName": "StopReplicationTask",
    "requestParameters": {"replicationTaskArn": TASK},
}
_HOME_MADE = {"ReplicationTaskArn": TASK, "Status": "stopped", "eventType": "REPLICATION_TASK_STOPPED"}
_FAILED_SERVERLESS = ("REPLICATION_CONFIG", "DMS Replication State Change", _SERVERLESS, "Failure")
_CHANGED_INSTANCE = ("REPLICATION_INSTANCE", "DMS Replication Instance State Change", _INSTANCE)

# What the rule of lab 02 must match, must not match, and may match: [(what it is, event), ...].
MUST_MATCH = [
    ("a full load that finished", stopped(TASK)),
    ("a task that somebody stopped", stopped(TASK, "NORMAL")),
    ("a task that stopped on an error it may get over", stopped(TASK, "RECOVERABLE_ERROR")),
    ("a task that stopped for lack of memory", stopped(TASK, "STOPPED_DUE_TO_LOW_MEMORY")),
    ("a task that failed", failed(TASK)),
    ("a task that failed with another message", failed(TASK, "Last Error No tables were found.")),
]
MUST_NOT_MATCH = [
    (
        "a task that was started",
        task_event(TASK, "STARTED", "0069", "StateChange", "Replication task started, with flag = fresh start"),
    ),
    ("a task that was created", task_event(TASK, "CREATED", "0074", "Creation", "Replication task created.")),
    # The ids and the category of these two are documented, their eventType is not.
    (
        "a task that was told to load its tables again",
        task_event(TASK, "RELOAD_REQUESTED", "0081", "StateChange", "Reload of table details requested."),
    ),
    (
        "a task that paused, for lack of disk space",
        task_event(TASK, "READING_PAUSED", "0092", "StateChange", "Reading paused, disk usage limit reached."),
    ),
    ("a task that was modified", task_event(TASK, "MODIFIED", "0080", "ConfigurationChange", "Modified.")),
    (
        "a replication instance that failed",
        _other(*_CHANGED_INSTANCE, "Failure", "REPLICATION_INSTANCE_FAILED", "0031"),
    ),
    (
        "a replication instance whose class changes",
        _other(*_CHANGED_INSTANCE, "ConfigurationChange", "REPLICATION_INSTANCE_MODIFIED", "0012"),
    ),
    ("a replication of DMS Serverless that failed", _other(*_FAILED_SERVERLESS, "REPLICATION_FAILED", "0078")),
    (
        "a replication of DMS Serverless that stopped",
        _other(*_FAILED_SERVERLESS[:3], "StateChange", "REPLICATION_STOPPED", "0079"),
    ),
    (
        "a data migration that stopped",
        _other(
            "DATA_MIGRATION", "DMS Data Migration State Change", TASK, "StateChange", "DATA_MIGRATION_STOPPED", "0079"
        ),
    ),
    (
        "an event of the same look that another application put on the bus",
        {**stopped(TASK), "source": "com.example.migrations"},
    ),
    ("an event of the same look of another service", {**stopped(TASK), "source": "aws.other"}),
    ("a message of another application about a task", event("Task stopped", TASK, _HOME_MADE, "com.example.jobs")),
    ("a call to stop a task, from CloudTrail", event("AWS API Call via CloudTrail", TASK, _CLOUDTRAIL)),
    (
        "a database of RDS that stopped",
        _other("DB_INSTANCE", "RDS DB Instance Event", TASK, "notification", "RDS_STOPPED", "0087", source="aws.rds"),
    ),
]
MAY_MATCH = [("a task that was deleted", task_event(TASK, "DELETED", "0073", "Deletion", "Replication task deleted."))]
