"""Executions in CloudWatch Logs: each event of the history that the state machine's level asks for.

https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html and cloudwatch-log-level.html. The form of an event,
and which ones a level takes, is recorded (localstack/localstack, logs/test_logs.snapshot.json). It is the only place
where an Express execution can be seen.
"""

import json
import time

from ministack.services import cloudwatch_logs
from ministack.services import stepfunctions as engine

from sandbox import logs

from . import roles

_OFF = {"level": "OFF", "includeExecutionData": False}
_FATAL = {"ExecutionFailed", "ExecutionTimedOut", "ExecutionAborted"}
# The execution's data, which an event shows only where that is asked for. AWS names input and output
# (API_GetExecutionHistory.html); that parameters go with them, in which a task token may stand, is not documented.
_DATA = {"input", "inputDetails", "output", "outputDetails", "parameters", "assignedVariables",
         "assignedVariablesDetails"}  # fmt: skip
# What the role is to be allowed: cw-logs.html, "IAM Policies for logging to CloudWatch Logs".
_ACTIONS = ("CreateLogDelivery", "GetLogDelivery", "UpdateLogDelivery", "DeleteLogDelivery", "ListLogDeliveries",
            "PutResourcePolicy", "DescribeResourcePolicies", "DescribeLogGroups")  # fmt: skip


def problem(configuration, role_arn):
    """The refusal of a loggingConfiguration, None where it is well or there is none."""
    configuration = configuration or _OFF
    if configuration.get("level", "OFF") == "OFF":
        return None
    destinations = configuration.get("destinations") or []
    if len(destinations) != 1:
        return _invalid("Must specify exactly one Log Destination.")
    group = _group(configuration)
    if group not in cloudwatch_logs._log_groups:
        return _invalid("Log Destination not found.")
    try:
        roles.require_actions(role_arn, [(f"logs:{action}", "*") for action in _ACTIONS])
    except roles.Denied:
        return engine.error_response_json(
            "AccessDeniedException", "The state machine IAM Role is not authorized to access the Log Destination", 400
        )
    return None


class Log:
    """Where the events of one execution are logged, if they are.

    configuration: the state machine's. record: the execution's.
    """

    def __init__(self, configuration, record):
        configuration = configuration or _OFF
        self.level = configuration.get("level", "OFF")
        self.with_data = configuration.get("includeExecutionData", False)
        self.group = _group(configuration)
        self.record = record
        machine = record["stateMachineArn"].rpartition(":")[2]
        self.stream = f"states/{machine}/{time.strftime('%Y-%m-%d-%H-%M', time.gmtime())}/{engine.new_uuid()[:8]}"

    def add(self, event):
        """Log an event of the history, if the level has it. What cannot be logged is lost, as on AWS."""
        if not self._has(event["type"]):
            return
        details = next((value for key, value in event.items() if key.endswith("EventDetails")), {})
        if not self.with_data:
            details = without_data(details)
        shown = {
            "id": str(event["id"]),
            "type": event["type"],
            "details": details,
            "previous_event_id": str(event["previousEventId"]),
            "event_timestamp": str(engine._iso_to_epoch_ms(event["timestamp"])),
            "execution_arn": self.record["executionArn"],
            "redrive_count": "0",
        }
        if self.group in cloudwatch_logs._log_groups:
            logs.append(self.group, self.stream, [json.dumps(shown, separators=(",", ":"), ensure_ascii=False)])

    def _has(self, kind):
        if self.level == "ALL":
            return True
        if self.level == "ERROR":
            return kind in _FATAL or kind.endswith(("Failed", "TimedOut", "Aborted")) or kind == "FailStateEntered"
        return self.level == "FATAL" and kind in _FATAL


def without_data(details):
    """An event's details without the execution's data."""
    return {key: value for key, value in details.items() if key not in _DATA}


def _group(configuration):
    """The name of the log group that a configuration names, None where it names none."""
    for destination in configuration.get("destinations") or []:
        arn = (destination.get("cloudWatchLogsLogGroup") or {}).get("logGroupArn", "")
        if arn.startswith("arn:") and ":log-group:" in arn:
            return arn.partition(":log-group:")[2].removesuffix(":*")
    return None


def _invalid(message):
    return engine.error_response_json("InvalidLoggingConfiguration", f"Invalid Logging Configuration: {message}", 400)
