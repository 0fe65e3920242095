"""The operations of DMS, as boto3's `dms` client calls them; those of replication tasks are here.

Inputs are validated against botocore's own service model, then as the service does. Error codes are AWS's: those that
the model lists (`ResourceNotFoundFault`, `InvalidResourceStateFault`, ...) and those that it cannot say but AWS sends
(`InvalidParameterValueException`, `InvalidParameterCombinationException`). Messages are AWS's where a public report
has one, and otherwise ours.

AWS's, though easily overlooked:

- A task starts only after a successful TestConnection of both its endpoints with its replication instance
  (InvalidResourceStateFault).
- `start-replication` is for the first run only; later it is an InvalidParameterCombinationException, "Start Type :
  START_REPLICATION, valid only for tasks running for the first time". The other two are for later runs only.
- A filter that matches nothing is a ResourceNotFoundFault, which is what boto3's waiters for deletion wait for.
- EndpointType comes back in capitals.

Not as on AWS: everything takes a fraction of a second; an S3 source (CSV) and a DynamoDB target are all there is;
change data capture is not emulated (a full-load-and-cdc task stays `running` after its load, as on AWS, but reads no
changes); the roles dms-vpc-role and dms-cloudwatch-logs-role are not asked for.
"""

import asyncio
import json
import time

from sandbox.dms import events, resources, settings, tables
from sandbox.dms.migration import Run, Task, changing
from sandbox.dms.resources import (
    account,
    active_endpoint,
    available_instance,
    checked_tags,
    found,
    new_arn,
    rate,
    remove,
)
from sandbox.dms.wire import (
    Fault,
    filtered,
    identifier,
    internal_failure,
    invalid_combination,
    invalid_state,
    invalid_value,
    page,
    parameters_of,
    throttled,
)

_loop = None  # the event loop that serves requests, where all of this lives


def reset():
    """Empty the account. May be called from any thread; running tasks end without another word."""
    account.clear()
    events.reset()
    if _loop is not None:
        _loop.call_soon_threadsafe(events.cancel_background)


async def handle_request(method, path, headers, body, query_params):
    """Answer one request, in MiniStack's handler convention: (status, headers, body)."""
    global _loop
    _loop = asyncio.get_running_loop()
    name = headers.get("x-amz-target", "").rpartition(".")[2]
    try:
        operation = OPERATIONS.get(name)
        if operation is None:
            served = ", ".join(OPERATIONS)
            raise Fault("UnknownOperationException", f"The sandbox's DMS has no operation {name!r}. It has {served}.")
        answer = operation(parameters_of(name, body))
        status, document = 200, await answer if asyncio.iscoroutine(answer) else answer
    except Fault as fault:
        status, document = fault.status, {"__type": fault.code, "message": str(fault)}
    except RecursionError:
        status, document = 400, {"__type": "SerializationException", "message": "The request is nested too deeply."}
    return status, {"Content-Type": "application/x-amz-json-1.1"}, json.dumps(document).encode()


# -- replication tasks -------------------------------------------------------------------------------------------------

_TASK_FIELDS = (
    "ReplicationTaskIdentifier", "SourceEndpointArn", "TargetEndpointArn", "ReplicationInstanceArn", "MigrationType",
    "TableMappings", "TaskData",
)  # fmt: skip
_POSITIONS = {"CdcStartTime", "CdcStartPosition", "CdcStopPosition"}


def create_task(parameters):
    identifier(parameters, "ReplicationTaskIdentifier", 255)
    _unused_task(parameters["ReplicationTaskIdentifier"])
    tags = checked_tags(parameters.get("Tags", []))
    available_instance(parameters["ReplicationInstanceArn"])
    for name, kind in (("SourceEndpointArn", "SOURCE"), ("TargetEndpointArn", "TARGET")):
        if active_endpoint(parameters[name])["EndpointType"] != kind:
            raise invalid_value(f"{name} {parameters[name]} is not a {kind.lower()} endpoint")
    definition = _task_definition(parameters)
    task = Task(new_arn("task", parameters), definition, _task_settings(parameters), time.time())
    account.tasks[task.arn] = task
    account.tags[task.arn] = tags
    answer = {"ReplicationTask": _described(task, brief=True)}

    async def created():
        task.status = "ready"
        await task.changed("CREATED", "The replication task has been created.")

    events.later(created(), changing())
    return answer


def _no_positions(parameters):
    if _POSITIONS & set(parameters):
        raise invalid_combination("The sandbox does not capture changes: there is no position to start or stop at")


def _task_definition(parameters):
    """The fields of a task's definition, checked. Raises Fault."""
    _no_positions(parameters)
    source = account.endpoints[parameters["SourceEndpointArn"]]
    if parameters["MigrationType"] == "cdc":
        raise invalid_value(
            "The sandbox does not capture changes: MigrationType must be full-load or full-load-and-cdc"
        )
    if parameters["MigrationType"] == "full-load-and-cdc" and not source["S3Settings"].get("CdcPath"):
        raise invalid_value("A task that captures changes needs CdcPath in the S3Settings of its source endpoint")
    try:
        tables.read_mappings(parameters["TableMappings"])
    except tables.InvalidMappings as error:
        raise invalid_value(str(error)) from None
    return {name: parameters[name] for name in _TASK_FIELDS if name in parameters}


def _task_settings(parameters, onto=None):
    try:
        return settings.merged(parameters.get("ReplicationTaskSettings"), onto)
    except settings.InvalidSettings as error:
        raise invalid_value(str(error)) from None


def _unused_task(name, but=None):
    if any(task.name.lower() == name.lower() and task is not but for task in account.tasks.values()):
        raise Fault("ResourceAlreadyExistsFault", f"A task with this name already exists: {name}")


def _described(task, with_settings=True, brief=False, stale=None):
    """A task as AWS describes it.

    brief: as in the answer of the call that changes it, which has no figures. stale: the fault because of which it is
    described as it was before its latest change.
    """
    described = {
        **task.definition,
        "ReplicationTaskCreationDate": task.created,
        "ReplicationTaskArn": task.arn,
        **(task.earlier if stale and task.earlier else task.now()),
    }
    if stale and "status" in stale:
        described["Status"] = stale["status"]
    if with_settings:
        described["ReplicationTaskSettings"] = json.dumps(task.settings, separators=(",", ":"))
    if brief:
        del described["ReplicationTaskStats"]
    return described


def describe_tasks(parameters):
    wanted = filtered(
        _perhaps_wanted(parameters),
        parameters,
        {
            "replication-task-arn": lambda t: [t.arn],
            "replication-task-id": lambda t: [t.name],
            "migration-type": lambda t: [t.definition["MigrationType"]],
            "endpoint-arn": lambda t: [t.definition["SourceEndpointArn"], t.definition["TargetEndpointArn"]],
            "replication-instance-arn": lambda t: [t.definition["ReplicationInstanceArn"]],
        },
        "Tasks",
    )
    some, marker = page(wanted, parameters, lambda t: t.arn)
    if any(events.call_fault("throttle", task.arn) for task in some):
        raise throttled()
    with_settings = not parameters.get("WithoutSettings", False)
    described = [_described(task, with_settings, stale=events.call_fault("stale", task.arn)) for task in some]
    return {"ReplicationTasks": described, **marker}


def _perhaps_wanted(parameters):
    """The tasks through which a filter has to look: whoever waits for a task asks for it by its ARN, over and over."""
    for wanted in parameters.get("Filters", []):
        if wanted["Name"] == "replication-task-arn":
            arns = dict.fromkeys(wanted["Values"])
            return [account.tasks[arn] for arn in arns if arn in account.tasks]
    return list(account.tasks.values())


def modify_task(parameters):
    task = found(account.tasks, parameters["ReplicationTaskArn"], "Replication Task")
    if task.status not in ("ready", "stopped", "failed"):
        raise invalid_state(
            "Replication Task, excluding logging severity task settings, "
            f"cannot be modified while it is {task.status} state"
        )
    changes = {name: value for name, value in parameters.items() if name in _TASK_FIELDS}
    if "ReplicationTaskIdentifier" in changes:
        identifier(changes, "ReplicationTaskIdentifier", 255)
        _unused_task(changes["ReplicationTaskIdentifier"], but=task)
    _no_positions(parameters)
    definition = _task_definition(task.definition | changes)
    new_settings = _task_settings(parameters, onto=task.settings)
    before, task.status = task.status, "modifying"

    async def modified():
        task.definition, task.settings, task.status = definition, new_settings, before
        await task.changed("MODIFIED", "The replication task has been modified.")

    answer = {"ReplicationTask": _described(task, brief=True)}
    events.later(modified(), changing())
    return answer


def delete_task(parameters):
    task = found(account.tasks, parameters["ReplicationTaskArn"], "Replication Task")
    if task.status == "stopping":
        raise invalid_state(f"Wait until Replication Task {task.name} has stopped before trying to delete it")
    if task.status not in ("ready", "stopped", "failed"):
        raise invalid_state(f"Replication Task {task.name} is {task.status}. Stop it before trying to delete it")
    task.status = "deleting"

    async def deleted():
        await remove(account.tasks, task.arn)
        await task.changed("DELETED", "The replication task has been deleted.")
        events.end_faults(lambda fault: fault.get("task_arn") == task.arn)

    answer = {"ReplicationTask": _described(task, brief=True)}
    events.later(deleted(), changing())
    return answer


async def start_task(parameters):
    task = found(account.tasks, parameters["ReplicationTaskArn"], "Replication Task")
    how = parameters["StartReplicationTaskType"]
    if task.status not in ("ready", "stopped", "failed"):
        raise invalid_state(f"Replication Task cannot be started, invalid state: {task.name} is {task.status}")
    _no_positions(parameters)
    first = task.requested is None
    if first != (how == "start-replication"):
        when = "for the first time" if how == "start-replication" else "again"
        kind = how.upper().replace("-", "_")
        raise invalid_combination(f"Start Type : {kind}, valid only for tasks running {when}")
    instance = available_instance(task.definition["ReplicationInstanceArn"])
    endpoints = [account.endpoints[task.definition[name]] for name in ("SourceEndpointArn", "TargetEndpointArn")]
    for endpoint in endpoints:
        arns = instance["ReplicationInstanceArn"], endpoint["EndpointArn"]
        if account.connections.get(arns, {}).get("Status") != "successful":
            raise invalid_state(
                f"Test connection for replication instance {arns[0]} and endpoint {arns[1]} "
                "should be successful for starting the replication task"
            )
    task.rows_per_second = rate(account.tags.get(task.arn, {}))
    task.earlier = task.now()
    task.status, task.requested, task.failure = "starting", time.time(), None
    task.stop_reason = task.stopped = None
    task.stop_requested.clear()
    answer = {"ReplicationTask": _described(task, brief=True)}
    early = events.early(task.arn)
    interrupt = events.call_fault("interrupt", task.arn)
    reason = interrupt and interrupt.get("reason", "STOPPED_DUE_TO_LOW_MEMORY")
    events.later(Run(task, *endpoints, how, reason).run())
    await early
    if events.call_fault("unanswered", task.arn):
        raise internal_failure()
    return answer


def stop_task(parameters):
    task = found(account.tasks, parameters["ReplicationTaskArn"], "Replication Task")
    if task.status == "stopping":
        raise invalid_state(f"Replication Task {task.name} is already being stopped")
    if task.status != "running":
        raise invalid_state(f"Replication Task {task.name} is not currently running")
    task.status = "stopping"
    task.stop_requested.set()
    return {"ReplicationTask": _described(task, brief=True)}


def describe_table_statistics(parameters):
    task = found(account.tasks, parameters["ReplicationTaskArn"], "Replication Task")
    rows = filtered(
        [_statistics(progress) for _, progress in sorted(task.tables.items())],
        parameters,
        {
            "schema-name": lambda row: [row["SchemaName"]],
            "table-name": lambda row: [row["TableName"]],
            "table-state": lambda row: [row["TableState"]],
        },
        "Tables",
    )
    some, marker = page(rows, parameters, lambda row: f"{row['SchemaName']}.{row['TableName']}", most=500)
    return {"ReplicationTaskArn": task.arn, "TableStatistics": some, **marker}


def _statistics(progress):
    none = dict.fromkeys(("Inserts", "Deletes", "Updates", "Ddls", "AppliedInserts", "AppliedDeletes",
                          "AppliedUpdates", "AppliedDdls", "FullLoadCondtnlChkFailedRows", "ValidationPendingRecords",
                          "ValidationFailedRecords", "ValidationSuspendedRecords"), 0)  # fmt: skip
    times = {
        "FullLoadStartTime": progress.began,
        "FullLoadEndTime": progress.ended,
        "LastUpdateTime": progress.updated,
    }
    return {
        "SchemaName": progress.source.schema,
        "TableName": progress.source.name,
        **none,
        "FullLoadRows": progress.rows,
        "FullLoadErrorRows": progress.errors,
        "FullLoadReloaded": progress.reloaded,
        "TableState": progress.state,
        "ValidationState": "Not enabled",
    } | {name: moment for name, moment in times.items() if moment is not None}


OPERATIONS = {
    "CreateEndpoint": resources.create_endpoint,
    "ModifyEndpoint": resources.modify_endpoint,
    "DescribeEndpoints": resources.describe_endpoints,
    "DeleteEndpoint": resources.delete_endpoint,
    "CreateReplicationInstance": resources.create_instance,
    "DescribeReplicationInstances": resources.describe_instances,
    "DeleteReplicationInstance": resources.delete_instance,
    "TestConnection": resources.test_connection,
    "DescribeConnections": resources.describe_connections,
    "CreateReplicationTask": create_task,
    "ModifyReplicationTask": modify_task,
    "DescribeReplicationTasks": describe_tasks,
    "DeleteReplicationTask": delete_task,
    "StartReplicationTask": start_task,
    "StopReplicationTask": stop_task,
    "DescribeTableStatistics": describe_table_statistics,
    "AddTagsToResource": resources.add_tags,
    "RemoveTagsFromResource": resources.remove_tags,
    "ListTagsForResource": resources.list_tags,
}
