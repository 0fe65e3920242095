"""`aws-sdk` tasks, made as the SDK behind Step Functions makes them: with a session of the execution role, over the
wire, through the sandbox's own door, which checks the role's permissions as it does for everybody.

Names are those of the AWS SDK for Java, version 2:
https://docs.aws.amazon.com/step-functions/latest/dg/supported-services-awssdk.html
What is given for bytes is sent as its JSON text, a text too, and what is given for a text as its JSON text unless it is
one; bytes are taken as text (localstack/localstack, recorded on AWS: services/test_aws_sdk_task_service.snapshot.json,
test_s3_put_object, test_s3_get_object, test_sfn_start_execution_implicit_json_serialisation).
"""

import functools
import json
import os
import secrets
import string

from ministack.core.responses import get_region
from ministack.services import stepfunctions as engine

from sandbox import keys, models
from sandbox.faults import door

from .errors import RUNTIME, StateError

# Service, as a task's resource names it -> boto3's name of it, and how its errors begin.
SERVICES = {
    "apigateway": ("apigateway", "ApiGateway"),
    "apigatewayv2": ("apigatewayv2", "ApiGatewayV2"),
    "cloudwatch": ("cloudwatch", "CloudWatch"),
    "cloudwatchlogs": ("logs", "CloudWatchLogs"),
    "databasemigration": ("dms", "DatabaseMigration"),
    "dynamodb": ("dynamodb", "DynamoDb"),
    "eventbridge": ("events", "EventBridge"),
    "iam": ("iam", "Iam"),
    "lambda": ("lambda", "Lambda"),
    "resourcegroupstaggingapi": ("resourcegroupstaggingapi", "ResourceGroupsTaggingApi"),
    "s3": ("s3", "S3"),
    "scheduler": ("scheduler", "Scheduler"),
    "sfn": ("stepfunctions", "Sfn"),
    "sns": ("sns", "Sns"),
    "sqs": ("sqs", "Sqs"),
    "sts": ("sts", "Sts"),
}
# Members that Java cannot call as the API does.
_RENAMED = {("AttributeValue", "NULL"): "Nul"}


@functools.cache
def model(service):
    """botocore's ServiceModel of one of SERVICES."""
    return models.of(SERVICES[service][0])


def operations(service):
    """The names of a service's operations, as its API has them: PutItem."""
    return model(service).operation_names


def call(service, operation, arguments, role_arn):
    """The result of an operation such as ("s3", "getObject"). Raises StateError."""
    from botocore.exceptions import BotoCoreError, ClientError

    client = _client(SERVICES[service][0], role_arn, get_region())
    model = client.meta.service_model.operation_model(operation[:1].upper() + operation[1:])
    parameters = _as_sent(arguments or {}, model.input_shape, "")
    try:
        answer = client._make_api_call(model.name, parameters)
    except ClientError as refusal:
        raise _error(client, SERVICES[service][1], refusal) from refusal
    except BotoCoreError as problem:  # a parameter is missing, or of another type
        raise _unusable(arguments, str(problem)) from problem
    answer.pop("ResponseMetadata", None)
    return _as_received(answer, model.output_shape)


@functools.cache
def _client(service, role_arn, region):
    """A client that acts with a session of the role. Its permissions are looked at with each request."""
    from botocore.config import Config

    session = keys.session(role_arn, "".join(secrets.choice(string.ascii_letters) for _ in range(32)))
    door.of_state_machines.add(session["AWS_ACCESS_KEY_ID"])
    config = Config(
        retries={"total_max_attempts": 1},
        s3={"addressing_style": "path"},
        max_pool_connections=50,
        inject_host_prefix=False,
    )
    return models.client(
        service,
        region_name=region,
        endpoint_url=os.environ["AWS_ENDPOINT_URL"],
        aws_access_key_id=session["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=session["AWS_SECRET_ACCESS_KEY"],
        aws_session_token=session["AWS_SESSION_TOKEN"],
        config=config,
    )


def reset():
    """Forget the sessions: their roles are gone."""
    _client.cache_clear()
    door.of_state_machines.clear()


def _as_sent(value, shape, place):
    """Arguments with the members' names of the service's API. Raises StateError for a name that is not known."""
    if shape is None or value is None:
        return value
    if shape.type_name == "structure" and isinstance(value, dict):
        members = {_member(shape, name): name for name in shape.members}
        sent = {}
        for name, inner in value.items():
            if name not in members:
                where = f"{place}.{name}" if place else name
                raise _unusable(value, f"The field '{where}' is not supported by Step Functions")
            member = members[name]
            sent[member] = _as_sent(inner, shape.members[member], name)
        return sent
    if shape.type_name == "list" and isinstance(value, list):
        return [_as_sent(item, shape.member, place) for item in value]
    if shape.type_name == "map" and isinstance(value, dict):
        return {key: _as_sent(item, shape.value, place) for key, item in value.items()}
    if shape.type_name == "blob":
        return _json(value).encode()
    if shape.type_name == "string" and not isinstance(value, str):
        return _json(value)
    return value


def _json(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _member(shape, name):
    """How a state names a member of a structure."""
    return _RENAMED.get((shape.name, name)) or engine._api_name_to_sfn_key(name)


def _as_received(value, shape):
    if hasattr(value, "read"):
        value = value.read()
    if isinstance(value, bytes | bytearray):
        return bytes(value).decode("utf-8", errors="replace")
    if hasattr(value, "isoformat"):
        return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(value, dict) and shape is not None and shape.type_name == "structure":
        return {_member(shape, name): _as_received(inner, shape.members.get(name)) for name, inner in value.items()}
    if isinstance(value, dict):
        return {key: _as_received(inner, getattr(shape, "value", None)) for key, inner in value.items()}
    if isinstance(value, list):
        return [_as_received(item, getattr(shape, "member", None)) for item in value]
    return value


def _error(client, prefix, refusal):
    """A service's refusal as a StateError."""
    error, metadata = refusal.response["Error"], refusal.response.get("ResponseMetadata", {})
    name = exception(prefix, error.get("Code", ""), client.meta.service_model)
    details = f"Status Code: {metadata.get('HTTPStatusCode', 400)}, Request ID: {metadata.get('RequestId', '')}"
    said = f"{error.get('Message', '')} (Service: {prefix}, {details}) (SDK Attempt Count: 1)"
    return StateError(f"{prefix}.{name}", said)


def exception(prefix, code, model):
    """The SDK's class for an error code: one that the service models, always ending in Exception, else its own."""
    names = {shape.name for shape in model.error_shapes}
    # The code of a denial is IAM's: DMS's own AccessDeniedFault, and S3's for one of its operations, are others.
    if code.startswith("AccessDenied"):
        names &= {code} - {"AccessDenied"}
    modeled = next((name for name in sorted(names) if _stem(name) == _stem(code)), None)
    return f"{modeled.removesuffix('Exception').removesuffix('Fault') if modeled else prefix}Exception"


def _stem(code):
    for ending in ("Exception", "Fault", "Error"):
        code = code.removesuffix(ending)
    return code


def _unusable(arguments, problem):
    return StateError(RUNTIME, f"The Parameters '{_json(arguments)}' could not be used to start the Task: [{problem}]")
