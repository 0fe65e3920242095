"""What a replication task needs: endpoints, replication instances, their tested connections; and tags of all of it."""

import base64
import re
import secrets
import time

from sandbox.dms import access, events, tables
from sandbox.dms.migration import ROWS_PER_SECOND, Task, changing
from sandbox.dms.wire import (
    Fault,
    filtered,
    identifier,
    invalid_combination,
    invalid_state,
    invalid_value,
    not_found,
    page,
)


class Account:
    """What the account has. Keys are ARNs; a connection's key is (instance ARN, endpoint ARN)."""

    def __init__(self):
        self.endpoints: dict[str, dict] = {}
        self.instances: dict[str, dict] = {}
        self.tasks: dict[str, Task] = {}
        self.connections: dict[tuple, dict] = {}
        self.tags: dict[str, dict] = {}

    def clear(self):
        self.__init__()


account = Account()


def new_arn(kind, parameters):
    """The ARN of a new endpoint, rep or task; its end is the ResourceIdentifier, or made up. Raises Fault."""
    from ministack.core.responses import get_account_id, get_region

    end = parameters.get("ResourceIdentifier")
    if end is not None:
        identifier(parameters, "ResourceIdentifier", 31)
    else:
        end = base64.b32encode(secrets.token_bytes(16)).decode().rstrip("=")
    arn = f"arn:aws:dms:{get_region()}:{get_account_id()}:{kind}:{end}"
    if arn in account.tags:
        raise Fault("ResourceAlreadyExistsFault", f"There is already a resource {arn}")
    return arn


def found(things, arn, noun):
    """A thing of the account by its ARN. Raises Fault."""
    if arn not in things:
        raise not_found(f"{noun} {arn} not found.")
    return things[arn]


def tasks_of(arn):
    """The tasks that use an endpoint or a replication instance."""
    names = ("SourceEndpointArn", "TargetEndpointArn", "ReplicationInstanceArn")
    return [task for task in account.tasks.values() if arn in (task.definition[name] for name in names)]


async def remove(things, arn):
    """Take a thing out of the account, with its tags and connections."""
    things.pop(arn, None)
    account.tags.pop(arn, None)
    forget_connections(arn)


def forget_connections(arn):
    for key in [key for key in account.connections if arn in key]:
        del account.connections[key]


def _unused(name, things, field, noun):
    if any(thing[field].lower() == name.lower() for thing in things.values()):
        raise Fault("ResourceAlreadyExistsFault", f"{noun} already exists: {name}")


# -- tags --------------------------------------------------------------------------------------------------------------

# A tag on a replication task that AWS ignores: how many rows a second the sandbox copies.
RATE_TAG = "sandbox:rows-per-second"
_HIGHEST_RATE = 100_000


def checked_tags(given):
    tags = {}
    for tag in given:
        key, value = tag.get("Key", ""), tag.get("Value", "")
        if not 1 <= len(key) <= 128 or len(value) > 256 or key.startswith(("aws:", "dms:")):
            raise invalid_value(f"Invalid tag {key!r}: a key has 1 to 128 characters and no aws: or dms: in front")
        tags[key] = value
    if RATE_TAG in tags:
        rate(tags)
    return tags


def rate(tags):
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
    if arn not in account.endpoints and arn not in account.instances and arn not in account.tasks:
        raise not_found(f"Resource {arn} could not be found")
    return account.tags.setdefault(arn, {})


def add_tags(parameters):
    tags = _tags_of(parameters["ResourceArn"])
    tags.update(checked_tags(parameters["Tags"]))
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
        tags = _tags_of(parameters["ResourceArn"])
        return {"TagList": [{"Key": key, "Value": value} for key, value in tags.items()]}
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
    identifier(parameters, "EndpointIdentifier", 255)
    _unused(parameters["EndpointIdentifier"], account.endpoints, "EndpointIdentifier", "Endpoint")
    tags = checked_tags(parameters.get("Tags", []))
    described = _endpoint(parameters)
    arn = new_arn("endpoint", parameters)
    account.endpoints[arn] = described | {"EndpointArn": arn, "Status": "active"}
    account.tags[arn] = tags
    return {"Endpoint": account.endpoints[arn]}


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
    if len(tables.delimiter(given)) != 1 or tables.delimiter(given) in '"\r\n':
        raise invalid_value("CsvDelimiter must be one character, and no quote or line end")
    if given.get("IgnoreHeaderRows", 0) not in (0, 1):
        raise invalid_value("IgnoreHeaderRows must be 0 or 1")
    try:
        tables.read_definition(given["ExternalTableDefinition"])
    except tables.InvalidDefinition as error:
        raise invalid_value(f"Invalid external table definition: {error}") from None
    return _S3_DEFAULTS | given


def modify_endpoint(parameters):
    arn = parameters["EndpointArn"]
    old = active_endpoint(arn)
    if any(task.active for task in tasks_of(arn)):
        raise invalid_state(f"Endpoint {arn} is part of a replication task that is running. Stop the task first.")
    changes = {name: value for name, value in parameters.items() if name not in ("EndpointArn", "ExactSettings")}
    same = {
        "EndpointIdentifier": old["EndpointIdentifier"],
        "EndpointType": old["EndpointType"].lower(),
        "EngineName": old["EngineName"],
    }
    for fixed in ("EndpointType", "EngineName"):
        if changes.get(fixed, same[fixed]) != same[fixed]:
            raise invalid_value(f"The sandbox does not change the {fixed} of an endpoint")
    name = _SETTINGS[old["EngineName"]]
    # Settings are laid over the old ones, unless ExactSettings says that there shall be no others.
    own = {} if parameters.get("ExactSettings") and name in changes else dict(old[name])
    for both in ("ServiceAccessRoleArn", "ExternalTableDefinition"):
        if both in changes:
            own[both] = changes.pop(both)
    own |= changes.get(name, {})
    if "EndpointIdentifier" in changes:
        identifier(changes, "EndpointIdentifier", 255)
        others = {other: value for other, value in account.endpoints.items() if other != arn}
        _unused(changes["EndpointIdentifier"], others, "EndpointIdentifier", "Endpoint")
    described = _endpoint(same | changes | {name: own})
    account.endpoints[arn] = described | {"EndpointArn": arn, "Status": "active"}
    forget_connections(arn)  # it must be tested again
    return {"Endpoint": account.endpoints[arn]}


def describe_endpoints(parameters):
    wanted = filtered(
        list(account.endpoints.values()),
        parameters,
        {
            "endpoint-arn": lambda e: [e["EndpointArn"]],
            "endpoint-id": lambda e: [e["EndpointIdentifier"]],
            "endpoint-type": lambda e: [e["EndpointType"].lower(), e["EndpointType"]],
            "engine-name": lambda e: [e["EngineName"]],
        },
        "Endpoints",
    )
    some, marker = page(wanted, parameters, lambda e: e["EndpointArn"])
    return {"Endpoints": some, **marker}


def delete_endpoint(parameters):
    arn = parameters["EndpointArn"]
    endpoint = active_endpoint(arn)
    if tasks_of(arn):
        raise invalid_state(f"Endpoint {arn} is part of one or more ReplicationTasks.")
    endpoint["Status"] = "deleting"
    events.later(remove(account.endpoints, arn), changing())
    return {"Endpoint": endpoint}


def active_endpoint(arn):
    endpoint = found(account.endpoints, arn, "Endpoint")
    if endpoint["Status"] != "active":
        raise invalid_state(f"Endpoint {arn} is not active: {endpoint['Status']}")
    return endpoint


# -- replication instances ---------------------------------------------------------------------------------------------

_VERSION = "3.6.1"


def create_instance(parameters):
    name = identifier(parameters, "ReplicationInstanceIdentifier", 63).lower()
    _unused(name, account.instances, "ReplicationInstanceIdentifier", "Replication Instance")
    class_ = parameters["ReplicationInstanceClass"]
    if not re.fullmatch(r"dms\.[a-z]\d[a-z]*\.\d*[a-z]+", class_):
        raise invalid_value(f"Invalid ReplicationInstanceClass {class_!r}: it is like dms.t3.micro")
    storage = parameters.get("AllocatedStorage", 50)
    if not 5 <= storage <= 6144:
        raise invalid_value(f"AllocatedStorage must be between 5 and 6144 GB, not {storage}")
    group = parameters.get("ReplicationSubnetGroupIdentifier", "default")
    if group != "default":
        raise not_found(f"Replication Subnet Group {group} not found: the sandbox has only 'default'")
    tags = checked_tags(parameters.get("Tags", []))
    arn = new_arn("rep", parameters)
    instance = {
        "ReplicationInstanceIdentifier": name,
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
    account.instances[arn] = instance
    account.tags[arn] = tags
    answer = {"ReplicationInstance": dict(instance)}

    async def created():
        instance.update(ReplicationInstanceStatus="available", InstanceCreateTime=time.time())

    events.later(created(), changing())
    return answer


def describe_instances(parameters):
    wanted = filtered(
        list(account.instances.values()),
        parameters,
        {
            "replication-instance-arn": lambda i: [i["ReplicationInstanceArn"]],
            "replication-instance-id": lambda i: [i["ReplicationInstanceIdentifier"]],
            "replication-instance-class": lambda i: [i["ReplicationInstanceClass"]],
            "engine-version": lambda i: [i["EngineVersion"]],
        },
        "Replication Instances",
    )
    some, marker = page(wanted, parameters, lambda i: i["ReplicationInstanceArn"])
    return {"ReplicationInstances": some, **marker}


def delete_instance(parameters):
    arn = parameters["ReplicationInstanceArn"]
    instance = available_instance(arn)
    if tasks_of(arn):
        raise invalid_state(f"Replication Instance {arn} has one or more replication tasks. Delete them first.")
    instance["ReplicationInstanceStatus"] = "deleting"
    events.later(remove(account.instances, arn), changing())
    return {"ReplicationInstance": instance}


def available_instance(arn):
    instance = found(account.instances, arn, "Replication Instance")
    if instance["ReplicationInstanceStatus"] != "available":
        raise invalid_state(f"Replication Instance {arn} is not available: {instance['ReplicationInstanceStatus']}")
    return instance


# -- connections -------------------------------------------------------------------------------------------------------


def test_connection(parameters):
    instance = available_instance(parameters["ReplicationInstanceArn"])
    endpoint = active_endpoint(parameters["EndpointArn"])
    connection = {
        "ReplicationInstanceArn": instance["ReplicationInstanceArn"],
        "EndpointArn": endpoint["EndpointArn"],
        "Status": "testing",
        "EndpointIdentifier": endpoint["EndpointIdentifier"],
        "ReplicationInstanceIdentifier": instance["ReplicationInstanceIdentifier"],
    }
    account.connections[connection["ReplicationInstanceArn"], connection["EndpointArn"]] = connection
    answer = {"Connection": dict(connection)}
    events.later(_test(connection, endpoint), changing())
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
    wanted = filtered(
        list(account.connections.values()),
        parameters,
        {
            "endpoint-arn": lambda c: [c["EndpointArn"]],
            "replication-instance-arn": lambda c: [c["ReplicationInstanceArn"]],
        },
        "Connections",
    )
    some, marker = page(wanted, parameters, lambda c: c["ReplicationInstanceArn"] + " " + c["EndpointArn"])
    return {"Connections": some, **marker}
