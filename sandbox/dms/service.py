"""The wire of DMS: JSON 1.1 requests as boto3's `dms` client sends them, and the account's endpoints, instances, tasks.

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
changes); the roles dms-vpc-role and dms-cloudwatch-logs-role are not asked for; IAM's iam:PassRole neither.
"""

import asyncio
import base64
import binascii
import json
import re
import secrets
import time

from sandbox.dms import access, events, settings, tables
from sandbox.dms.migration import PAUSE, ROWS_PER_SECOND, Run, Task

# A tag on a replication task that AWS ignores: how many rows a second the sandbox copies.
RATE_TAG = "sandbox:rows-per-second"
_HIGHEST_RATE = 100_000


class Fault(Exception):
    """An error of AWS's. code: its name on the wire."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


def not_found(message):
    return Fault("ResourceNotFoundFault", message)


def invalid_state(message):
    return Fault("InvalidResourceStateFault", message)


def invalid_value(message):
    return Fault("InvalidParameterValueException", message)


def invalid_combination(message):
    return Fault("InvalidParameterCombinationException", message)


# -- state -------------------------------------------------------------------------------------------------------------


class _Account:
    """What the account has. Keys are ARNs; a connection's key is (instance ARN, endpoint ARN)."""

    def __init__(self):
        self.endpoints: dict[str, dict] = {}
        self.instances: dict[str, dict] = {}
        self.tasks: dict[str, Task] = {}
        self.connections: dict[tuple, dict] = {}
        self.tags: dict[str, dict] = {}


_account = _Account()
_loop = None  # the event loop that serves requests, where all of this lives


def reset():
    """Empty the account. May be called from any thread; running tasks end without another word."""
    global _account
    _account = _Account()
    events.reset()
    if _loop is not None:
        _loop.call_soon_threadsafe(events.cancel_background)


# -- requests ----------------------------------------------------------------------------------------------------------


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
        answer = operation(_parameters(name, body))
        status, document = 200, await answer if asyncio.iscoroutine(answer) else answer
    except Fault as fault:
        status, document = 400, {"__type": fault.code, "message": str(fault)}
    return status, {"Content-Type": "application/x-amz-json-1.1"}, json.dumps(document).encode()


def _parameters(name, body):
    """The parameters of a request, checked against the service model. Raises Fault."""
    from botocore.validate import ParamValidator
    from ministack.core.responses import _service_model

    try:
        parameters = json.loads(body or b"{}")
    except ValueError:
        parameters = None
    if not isinstance(parameters, dict):
        raise Fault("SerializationException", "The request body is not a JSON object.")
    shape = _service_model("dms").operation_model(name).input_shape
    report = ParamValidator().validate(parameters, shape)
    for problem in report.generate_report().splitlines() if report.has_errors() else ():
        if problem.startswith("Missing required"):
            raise Fault("ValidationException", problem)
        # AWS ignores a member that it does not know; boto3 never sends one, and Step Functions refuses it.
        code = "UnknownParameterException" if problem.startswith("Unknown parameter") else "SerializationException"
        raise Fault(code, problem)
    _check_enums(shape, parameters, [])
    return parameters


def _check_enums(shape, value, path):
    if shape.type_name == "structure":
        for name, member in value.items():
            _check_enums(shape.members[name], member, [*path, name[0].lower() + name[1:]])
    elif shape.type_name == "list":
        for index, member in enumerate(value, 1):
            _check_enums(shape.member, member, [*path, str(index), "member"])
    elif shape.type_name == "string" and shape.enum and value not in shape.enum:
        raise Fault(
            "ValidationException",
            f"1 validation error detected: Value '{value}' at '{'.'.join(path)}' failed to satisfy constraint: "
            f"Member must satisfy enum value set: [{', '.join(shape.enum)}]",
        )


def _page(items, parameters, key, most=100):
    """One page of items, in their order: (items, {"Marker": ...} or {}). The marker names the last item of a page."""
    size = parameters.get("MaxRecords", 100)
    if not 20 <= size <= most:
        raise invalid_value(f"MaxRecords must be between 20 and {most}, not {size}")
    start = 0
    if parameters.get("Marker"):
        try:
            last = base64.urlsafe_b64decode(parameters["Marker"]).decode()
            start = [key(item) for item in items].index(last) + 1
        except (ValueError, binascii.Error):
            raise invalid_value("Invalid Marker: it belongs to no page, or what it named was deleted") from None
    page = items[start : start + size]
    more = start + size < len(items)
    return page, {"Marker": base64.urlsafe_b64encode(key(page[-1]).encode()).decode()} if more else {}


def _filtered(items, parameters, fields, noun):
    """Items that pass all filters; each filter's values are alternatives. fields: filter name -> item -> its values."""
    filters = parameters.get("Filters", [])
    for wanted in filters:
        if wanted["Name"] not in fields:
            raise invalid_value(f"Invalid filter name {wanted['Name']!r}, valid are: {', '.join(fields)}")
        values = fields[wanted["Name"]]
        items = [item for item in items if set(values(item)) & set(wanted["Values"])]
    if filters and not items:
        raise not_found(f"No {noun} found matching filter")
    return items


def iam_resource(body, headers, region, account_id):
    """The resource that a request is authorised on, as the ARN that IAM policies name.

    https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsdatabasemigrationservice.html
    A description of many is authorised on `*`, so a policy that names one task does not allow it.
    """
    name = headers.get("x-amz-target", "").rpartition(".")[2]
    try:
        parameters = json.loads(body or b"{}")
    except ValueError:
        parameters = {}
    for field in ("ReplicationTaskArn", "EndpointArn", "ReplicationInstanceArn", "ResourceArn"):
        value = parameters.get(field) if isinstance(parameters, dict) else None
        if isinstance(value, str) and not name.startswith("Create"):
            return value
    kinds = {"CreateReplicationTask": "task", "CreateEndpoint": "endpoint", "CreateReplicationInstance": "rep"}
    return f"arn:aws:dms:{region}:{account_id}:{kinds.get(name, '*')}:*"


# -- names and tags ----------------------------------------------------------------------------------------------------

_IDENTIFIER = re.compile(r"(?!.*--)[A-Za-z][A-Za-z0-9-]*(?<!-)")


def _identifier(parameters, name, longest):
    value = parameters[name]
    if not _IDENTIFIER.fullmatch(value) or len(value) > longest:
        raise invalid_value(
            f"Invalid {name} {value!r}: it must begin with a letter, have only letters, digits and hyphens "
            f"(none at the end, no two in a row), and at most {longest} characters"
        )
    return value


def _new_arn(kind, parameters):
    from ministack.core.responses import get_account_id, get_region

    resource = parameters.get("ResourceIdentifier")
    if resource is not None:
        _identifier(parameters, "ResourceIdentifier", 31)
    else:
        resource = base64.b32encode(secrets.token_bytes(16)).decode().rstrip("=")
    return f"arn:aws:dms:{get_region()}:{get_account_id()}:{kind}:{resource}"


def _tags(given):
    tags = {}
    for tag in given:
        key, value = tag.get("Key", ""), tag.get("Value", "")
        if not 1 <= len(key) <= 128 or len(value) > 256 or key.startswith(("aws:", "dms:")):
            raise invalid_value(f"Invalid tag {key!r}: a key has 1 to 128 characters and no aws: or dms: in front")
        tags[key] = value
    if RATE_TAG in tags:
        _rate(tags)
    return tags


def _rate(tags):
    """The rows per second that a task's tags ask for."""
    text = tags.get(RATE_TAG, str(ROWS_PER_SECOND))
    try:
        rate = float(text)
    except ValueError:
        rate = 0
    if not 0 < rate <= _HIGHEST_RATE:
        raise invalid_value(f"The tag {RATE_TAG} must be a number over 0 and up to {_HIGHEST_RATE}, not {text!r}")
    return rate


def _tags_of(arn):
    account = _account
    if arn not in account.endpoints and arn not in account.instances and arn not in account.tasks:
        raise not_found(f"Resource {arn} could not be found")
    return account.tags.setdefault(arn, {})


def add_tags(parameters):
    tags = _tags_of(parameters["ResourceArn"])
    tags.update(_tags(parameters["Tags"]))
    return {}


def remove_tags(parameters):
    tags = _tags_of(parameters["ResourceArn"])
    for key in parameters["TagKeys"]:
        tags.pop(key, None)
    return {}


def list_tags(parameters):
    if ("ResourceArn" in parameters) == ("ResourceArnList" in parameters):
        raise invalid_combination("Give either ResourceArn or ResourceArnList")
    if "ResourceArn" in parameters:
        found = _tags_of(parameters["ResourceArn"])
        return {"TagList": [{"Key": key, "Value": value} for key, value in found.items()]}
    return {
        "TagList": [
            {"Key": key, "Value": value, "ResourceArn": arn}
            for arn in parameters["ResourceArnList"]
            for key, value in _tags_of(arn).items()
        ]
    }


# -- endpoints ---------------------------------------------------------------------------------------------------------

_ENGINES = {"s3": ("source", "Amazon S3"), "dynamodb": ("target", "Amazon DynamoDB")}
_SETTINGS = {"s3": "S3Settings", "dynamodb": "DynamoDbSettings"}
_S3_DEFAULTS = {"CsvRowDelimiter": "\\n", "CsvDelimiter": ",", "CompressionType": "NONE", "EnableStatistics": True}
_ENDPOINT_FIELDS = ("EndpointIdentifier", "EndpointType", "EngineName", "ServiceAccessRoleArn", *_SETTINGS.values())


def create_endpoint(parameters):
    _identifier(parameters, "EndpointIdentifier", 255)
    _unused(parameters["EndpointIdentifier"], _account.endpoints, "EndpointIdentifier", "Endpoint")
    tags = _tags(parameters.get("Tags", []))
    described = _endpoint(parameters)
    arn = _new_arn("endpoint", parameters)
    _account.endpoints[arn] = described | {"EndpointArn": arn, "Status": "active"}
    _account.tags[arn] = tags
    return {"Endpoint": _account.endpoints[arn]}


def _endpoint(parameters):
    """An endpoint's description made of what the user gave. Raises Fault."""
    engine, kind = parameters["EngineName"], parameters["EndpointType"]
    if engine not in _ENGINES or _ENGINES[engine][0] != kind:
        raise invalid_value(
            f"The sandbox has no {kind} endpoints with the engine {engine!r}: it migrates from s3 to dynamodb"
        )
    unknown = sorted(set(parameters) - {*_ENDPOINT_FIELDS, "ExternalTableDefinition", "Tags", "ResourceIdentifier",
                                        "SslMode"})  # fmt: skip
    if unknown:
        raise invalid_value(f"The sandbox has no {unknown[0]} for an endpoint with the engine {engine!r}")
    if parameters.get("SslMode", "none") != "none":
        raise invalid_value(f"SslMode must be none for an endpoint with the engine {engine!r}")
    name = _SETTINGS[engine]
    given = dict(parameters.get(name, {}))
    for both in ("ServiceAccessRoleArn", *(["ExternalTableDefinition"] if engine == "s3" else [])):
        if both in parameters:
            given.setdefault(both, parameters[both])
        if not given.get(both):
            raise invalid_value(f"An endpoint with the engine {engine!r} needs {name}.{both}")
    if engine == "s3":
        given = _s3_settings(given)
    role = given["ServiceAccessRoleArn"]
    if not access.Role(role, "").can_be_assumed():
        raise Fault("AccessDeniedFault", f"The IAM Role {role} is not configured properly.")
    return {
        "EndpointIdentifier": parameters["EndpointIdentifier"],
        "EndpointType": kind.upper(),
        "EngineName": engine,
        "EngineDisplayName": _ENGINES[engine][1],
        "SslMode": "none",
        "ServiceAccessRoleArn": role,
        name: given,
    } | ({"ExternalTableDefinition": given["ExternalTableDefinition"]} if engine == "s3" else {})


def _s3_settings(given):
    if not given.get("BucketName"):
        raise invalid_value("An endpoint with the engine 's3' needs S3Settings.BucketName")
    if given.get("DataFormat", "csv") != "csv" or given.get("CompressionType", "none").lower() != "none":
        raise invalid_value("The sandbox reads CSV files that are not compressed")
    if given.get("CsvRowDelimiter", "\\n") not in ("\\n", "\n", "\\r\\n", "\r\n"):
        raise invalid_value("The sandbox reads CSV files whose rows end in \\n or \\r\\n")
    if len(tables.delimiter(given)) != 1:
        raise invalid_value("CsvDelimiter must be one character")
    if given.get("IgnoreHeaderRows", 0) not in (0, 1):
        raise invalid_value("IgnoreHeaderRows must be 0 or 1")
    try:
        tables.read_definition(given["ExternalTableDefinition"])
    except tables.InvalidDefinition as error:
        raise invalid_value(f"Invalid external table definition: {error}") from None
    return _S3_DEFAULTS | given


def modify_endpoint(parameters):
    arn = parameters["EndpointArn"]
    old = _active_endpoint(arn)
    if any(task.active for task in _tasks_of(arn)):
        raise invalid_state(f"Endpoint {arn} is part of a replication task that is running. Stop the task first.")
    changes = {name: value for name, value in parameters.items() if name not in ("EndpointArn", "ExactSettings")}
    name = _SETTINGS[old["EngineName"]]
    # Settings are laid over the old ones, unless ExactSettings says that there shall be no others.
    own = {} if parameters.get("ExactSettings") and name in changes else dict(old[name])
    for both in ("ServiceAccessRoleArn", "ExternalTableDefinition"):
        if both in changes:
            own[both] = changes.pop(both)
    own |= changes.get(name, {})
    if "EndpointIdentifier" in changes:
        _identifier(changes, "EndpointIdentifier", 255)
        others = {other: value for other, value in _account.endpoints.items() if other != arn}
        _unused(changes["EndpointIdentifier"], others, "EndpointIdentifier", "Endpoint")
    same = {
        "EndpointIdentifier": old["EndpointIdentifier"],
        "EndpointType": old["EndpointType"].lower(),
        "EngineName": old["EngineName"],
    }
    described = _endpoint(same | changes | {name: own})
    _account.endpoints[arn] = described | {"EndpointArn": arn, "Status": "active"}
    _forget_connections(_account, arn)  # it must be tested again
    return {"Endpoint": _account.endpoints[arn]}


def describe_endpoints(parameters):
    found = _filtered(
        list(_account.endpoints.values()),
        parameters,
        {
            "endpoint-arn": lambda e: [e["EndpointArn"]],
            "endpoint-id": lambda e: [e["EndpointIdentifier"]],
            "endpoint-type": lambda e: [e["EndpointType"].lower(), e["EndpointType"]],
            "engine-name": lambda e: [e["EngineName"]],
        },
        "Endpoints",
    )
    page, marker = _page(found, parameters, lambda e: e["EndpointArn"])
    return {"Endpoints": page, **marker}


def delete_endpoint(parameters):
    arn = parameters["EndpointArn"]
    endpoint = _active_endpoint(arn)
    if _tasks_of(arn):
        raise invalid_state(f"Endpoint {arn} is part of one or more ReplicationTasks.")
    endpoint["Status"] = "deleting"
    events.later(_remove(_account, _account.endpoints, arn), PAUSE)
    return {"Endpoint": endpoint}


def _active_endpoint(arn):
    endpoint = _found(_account.endpoints, arn, "Endpoint")
    if endpoint["Status"] != "active":
        raise invalid_state(f"Endpoint {arn} is not active: {endpoint['Status']}")
    return endpoint


def _tasks_of(arn):
    """The tasks that use an endpoint or a replication instance."""
    names = ("SourceEndpointArn", "TargetEndpointArn", "ReplicationInstanceArn")
    return [task for task in _account.tasks.values() if arn in (task.definition[name] for name in names)]


def _found(things, arn, noun):
    if arn not in things:
        raise not_found(f"{noun} {arn} not found.")
    return things[arn]


def _unused(identifier, things, field, noun):
    if any(thing[field].lower() == identifier.lower() for thing in things.values()):
        raise Fault("ResourceAlreadyExistsFault", f"{noun} already exists: {identifier}")


async def _remove(account, things, arn):
    del things[arn]
    account.tags.pop(arn, None)
    _forget_connections(account, arn)


def _forget_connections(account, arn):
    for key in [key for key in account.connections if arn in key]:
        del account.connections[key]


# -- replication instances ---------------------------------------------------------------------------------------------

_VERSION = "3.6.1"


def create_instance(parameters):
    identifier = _identifier(parameters, "ReplicationInstanceIdentifier", 63).lower()
    _unused(identifier, _account.instances, "ReplicationInstanceIdentifier", "Replication Instance")
    class_ = parameters["ReplicationInstanceClass"]
    if not re.fullmatch(r"dms\.[a-z]\d[a-z]*\.\d*[a-z]+", class_):
        raise invalid_value(f"Invalid ReplicationInstanceClass {class_!r}: it is like dms.t3.micro")
    storage = parameters.get("AllocatedStorage", 50)
    if not 5 <= storage <= 6144:
        raise invalid_value(f"AllocatedStorage must be between 5 and 6144 GB, not {storage}")
    group = parameters.get("ReplicationSubnetGroupIdentifier", "default")
    if group != "default":
        raise not_found(f"Replication Subnet Group {group} not found: the sandbox has only 'default'")
    tags = _tags(parameters.get("Tags", []))
    arn = _new_arn("rep", parameters)
    instance = {
        "ReplicationInstanceIdentifier": identifier,
        "ReplicationInstanceClass": class_,
        "ReplicationInstanceStatus": "creating",
        "AllocatedStorage": storage,
        "ReplicationSubnetGroup": {
            "ReplicationSubnetGroupIdentifier": "default",
            "ReplicationSubnetGroupDescription": "default",
            "SubnetGroupStatus": "Complete",
        },
        "PreferredMaintenanceWindow": parameters.get("PreferredMaintenanceWindow", "sun:06:00-sun:14:00"),
        "PendingModifiedValues": {},
        "MultiAZ": parameters.get("MultiAZ", False),
        "EngineVersion": parameters.get("EngineVersion", _VERSION),
        "AutoMinorVersionUpgrade": parameters.get("AutoMinorVersionUpgrade", True),
        "PubliclyAccessible": parameters.get("PubliclyAccessible", True),
        "NetworkType": parameters.get("NetworkType", "IPV4"),
        "ReplicationInstanceArn": arn,
    }
    _account.instances[arn] = instance
    _account.tags[arn] = tags
    answer = {"ReplicationInstance": dict(instance)}

    async def created():
        instance.update(ReplicationInstanceStatus="available", InstanceCreateTime=time.time())

    events.later(created(), PAUSE)
    return answer


def describe_instances(parameters):
    found = _filtered(
        list(_account.instances.values()),
        parameters,
        {
            "replication-instance-arn": lambda i: [i["ReplicationInstanceArn"]],
            "replication-instance-id": lambda i: [i["ReplicationInstanceIdentifier"]],
            "replication-instance-class": lambda i: [i["ReplicationInstanceClass"]],
            "engine-version": lambda i: [i["EngineVersion"]],
        },
        "Replication Instances",
    )
    page, marker = _page(found, parameters, lambda i: i["ReplicationInstanceArn"])
    return {"ReplicationInstances": page, **marker}


def delete_instance(parameters):
    arn = parameters["ReplicationInstanceArn"]
    instance = _available_instance(arn)
    if _tasks_of(arn):
        raise invalid_state(f"Replication Instance {arn} has one or more replication tasks. Delete them first.")
    instance["ReplicationInstanceStatus"] = "deleting"
    events.later(_remove(_account, _account.instances, arn), PAUSE)
    return {"ReplicationInstance": instance}


def _available_instance(arn):
    instance = _found(_account.instances, arn, "Replication Instance")
    if instance["ReplicationInstanceStatus"] != "available":
        raise invalid_state(f"Replication Instance {arn} is not available: {instance['ReplicationInstanceStatus']}")
    return instance


# -- connections -------------------------------------------------------------------------------------------------------


def test_connection(parameters):
    instance = _available_instance(parameters["ReplicationInstanceArn"])
    endpoint = _active_endpoint(parameters["EndpointArn"])
    connection = {
        "ReplicationInstanceArn": instance["ReplicationInstanceArn"],
        "EndpointArn": endpoint["EndpointArn"],
        "Status": "testing",
        "EndpointIdentifier": endpoint["EndpointIdentifier"],
        "ReplicationInstanceIdentifier": instance["ReplicationInstanceIdentifier"],
    }
    _account.connections[connection["ReplicationInstanceArn"], connection["EndpointArn"]] = connection
    answer = {"Connection": dict(connection)}
    events.later(_test(connection, endpoint), PAUSE)
    return answer


async def _test(connection, endpoint):
    """Try an endpoint's role: may it list the bucket, may it list tables?

    The two calls are what the documented policies of both endpoints have beyond reading and writing.
    """
    engine, arn = endpoint["EngineName"], endpoint["EndpointArn"]
    own = endpoint[_SETTINGS[engine]]
    role = access.Role(own["ServiceAccessRoleArn"], arn.split(":")[3])
    try:
        if not role.can_be_assumed():
            raise access.AccessDenied(f"The IAM Role {role.arn} is not configured properly.")
        if engine == "s3":
            await access.Bucket(own["BucketName"], role).files(own.get("BucketFolder", "").strip("/"))
        else:
            role.require("dynamodb:ListTables", "*")
    except (access.AccessDenied, access.Refused) as error:
        message = f"Test Endpoint failed: Application-Status: 1020912, Application-Message: {error}"
        connection.update(Status="failed", LastFailureMessage=message)
    else:
        connection["Status"] = "successful"


def describe_connections(parameters):
    found = _filtered(
        list(_account.connections.values()),
        parameters,
        {
            "endpoint-arn": lambda c: [c["EndpointArn"]],
            "replication-instance-arn": lambda c: [c["ReplicationInstanceArn"]],
        },
        "Connections",
    )
    page, marker = _page(found, parameters, lambda c: c["ReplicationInstanceArn"] + " " + c["EndpointArn"])
    return {"Connections": page, **marker}


# -- replication tasks -------------------------------------------------------------------------------------------------

_TASK_FIELDS = (
    "ReplicationTaskIdentifier", "SourceEndpointArn", "TargetEndpointArn", "ReplicationInstanceArn", "MigrationType",
    "TableMappings", "CdcStartPosition", "CdcStopPosition", "TaskData",
)  # fmt: skip


def create_task(parameters):
    _identifier(parameters, "ReplicationTaskIdentifier", 255)
    _unused_task(parameters["ReplicationTaskIdentifier"])
    tags = _tags(parameters.get("Tags", []))
    _available_instance(parameters["ReplicationInstanceArn"])
    for name, kind in (("SourceEndpointArn", "SOURCE"), ("TargetEndpointArn", "TARGET")):
        if _active_endpoint(parameters[name])["EndpointType"] != kind:
            raise invalid_value(f"{name} {parameters[name]} is not a {kind.lower()} endpoint")
    definition = _task_definition(parameters)
    task = Task(_new_arn("task", parameters), definition, _task_settings(parameters), time.time())
    _account.tasks[task.arn] = task
    _account.tags[task.arn] = tags
    answer = {"ReplicationTask": _described(task, brief=True)}

    async def created():
        task.status = "ready"
        await task.changed("CREATED", "The replication task has been created.")

    events.later(created(), PAUSE)
    return answer


def _task_definition(parameters):
    """The fields of a task's definition, checked. Raises Fault."""
    source = _account.endpoints[parameters["SourceEndpointArn"]]
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


def _unused_task(identifier, but=None):
    if any(task.name.lower() == identifier.lower() and task is not but for task in _account.tasks.values()):
        raise Fault("ResourceAlreadyExistsFault", f"A task with this name already exists: {identifier}")


def _described(task, with_settings=True, brief=False):
    """A task as AWS describes it. brief: as in the answer of the call that changes it, which has no figures."""
    described = {
        **task.definition,
        "Status": task.status,
        "ReplicationTaskCreationDate": task.created,
        "ReplicationTaskArn": task.arn,
    }
    if with_settings:
        described["ReplicationTaskSettings"] = json.dumps(task.settings, separators=(",", ":"))
    if task.requested is not None:
        described["ReplicationTaskStartDate"] = task.requested
    if task.stop_reason is not None:
        described["StopReason"] = task.stop_reason
    if task.failure is not None:
        described["LastFailureMessage"] = task.failure
    if not brief:
        described["ReplicationTaskStats"] = task.stats()
    return described


def describe_tasks(parameters):
    found = _filtered(
        list(_account.tasks.values()),
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
    page, marker = _page(found, parameters, lambda t: t.arn)
    with_settings = not parameters.get("WithoutSettings", False)
    return {"ReplicationTasks": [_described(task, with_settings) for task in page], **marker}


def modify_task(parameters):
    task = _found(_account.tasks, parameters["ReplicationTaskArn"], "Replication Task")
    if task.status not in ("ready", "stopped", "failed"):
        raise invalid_state(
            "Replication Task, excluding logging severity task settings, "
            f"cannot be modified while it is {task.status} state"
        )
    changes = {name: value for name, value in parameters.items() if name in _TASK_FIELDS}
    if "ReplicationTaskIdentifier" in changes:
        _identifier(changes, "ReplicationTaskIdentifier", 255)
        _unused_task(changes["ReplicationTaskIdentifier"], but=task)
    definition = _task_definition(task.definition | changes)
    new_settings = _task_settings(parameters, onto=task.settings)
    before, task.status = task.status, "modifying"

    async def modified():
        task.definition, task.settings, task.status = definition, new_settings, before
        await task.changed("MODIFIED", "The replication task has been modified.")

    answer = {"ReplicationTask": _described(task, brief=True)}
    events.later(modified(), PAUSE)
    return answer


def delete_task(parameters):
    task = _found(_account.tasks, parameters["ReplicationTaskArn"], "Replication Task")
    if task.status == "stopping":
        raise invalid_state(f"Wait until Replication Task {task.name} has stopped before trying to delete it")
    if task.status not in ("ready", "stopped", "failed"):
        raise invalid_state(f"Replication Task {task.name} is {task.status}. Stop it before trying to delete it")
    task.status = "deleting"
    account = _account

    async def deleted():
        await _remove(account, account.tasks, task.arn)
        await task.changed("DELETED", "The replication task has been deleted.")

    answer = {"ReplicationTask": _described(task, brief=True)}
    events.later(deleted(), PAUSE)
    return answer


async def start_task(parameters):
    task = _found(_account.tasks, parameters["ReplicationTaskArn"], "Replication Task")
    how = parameters["StartReplicationTaskType"]
    if task.status not in ("ready", "stopped", "failed"):
        raise invalid_state(f"Replication Task cannot be started, invalid state: {task.name} is {task.status}")
    if "CdcStartTime" in parameters or "CdcStartPosition" in parameters or "CdcStopPosition" in parameters:
        raise invalid_combination("The sandbox does not capture changes: there is no position to start or stop at")
    first = task.requested is None
    if first != (how == "start-replication"):
        when = "for the first time" if how == "start-replication" else "again"
        kind = how.upper().replace("-", "_")
        raise invalid_combination(f"Start Type : {kind}, valid only for tasks running {when}")
    instance = _available_instance(task.definition["ReplicationInstanceArn"])
    endpoints = [_account.endpoints[task.definition[name]] for name in ("SourceEndpointArn", "TargetEndpointArn")]
    for endpoint in endpoints:
        arns = instance["ReplicationInstanceArn"], endpoint["EndpointArn"]
        if _account.connections.get(arns, {}).get("Status") != "successful":
            raise invalid_state(
                f"Test connection for replication instance {arns[0]} and endpoint {arns[1]} "
                "should be successful for starting the replication task"
            )
    task.rows_per_second = _rate(_account.tags.get(task.arn, {}))
    task.status, task.requested, task.failure = "starting", time.time(), None
    task.stop_reason = task.stopped = None
    task.stop_requested.clear()
    answer = {"ReplicationTask": _described(task, brief=True)}
    early = events.early(task.arn)
    events.later(Run(task, *endpoints, how).run())
    await early
    return answer


def stop_task(parameters):
    task = _found(_account.tasks, parameters["ReplicationTaskArn"], "Replication Task")
    if task.status == "stopping":
        raise invalid_state(f"Replication Task {task.name} is already being stopped")
    if task.status != "running":
        raise invalid_state(f"Replication Task {task.name} is not currently running")
    task.status = "stopping"
    task.stop_requested.set()
    return {"ReplicationTask": _described(task, brief=True)}


def describe_table_statistics(parameters):
    task = _found(_account.tasks, parameters["ReplicationTaskArn"], "Replication Task")
    rows = _filtered(
        [_statistics(progress) for _, progress in sorted(task.tables.items())],
        parameters,
        {
            "schema-name": lambda row: [row["SchemaName"]],
            "table-name": lambda row: [row["TableName"]],
            "table-state": lambda row: [row["TableState"]],
        },
        "Tables",
    )
    page, marker = _page(rows, parameters, lambda row: f"{row['SchemaName']}.{row['TableName']}", most=500)
    return {"ReplicationTaskArn": task.arn, "TableStatistics": page, **marker}


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
    "CreateEndpoint": create_endpoint,
    "ModifyEndpoint": modify_endpoint,
    "DescribeEndpoints": describe_endpoints,
    "DeleteEndpoint": delete_endpoint,
    "CreateReplicationInstance": create_instance,
    "DescribeReplicationInstances": describe_instances,
    "DeleteReplicationInstance": delete_instance,
    "TestConnection": test_connection,
    "DescribeConnections": describe_connections,
    "CreateReplicationTask": create_task,
    "ModifyReplicationTask": modify_task,
    "DescribeReplicationTasks": describe_tasks,
    "DeleteReplicationTask": delete_task,
    "StartReplicationTask": start_task,
    "StopReplicationTask": stop_task,
    "DescribeTableStatistics": describe_table_statistics,
    "AddTagsToResource": add_tags,
    "RemoveTagsFromResource": remove_tags,
    "ListTagsForResource": list_tags,
}
