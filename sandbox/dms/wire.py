"""Requests of DMS in general: errors, parameters, names, pages and filters, and what a request is authorised on."""

import base64
import binascii
import json
import re


class Fault(Exception):
    """An error of AWS's. code: its name on the wire. status: that of the HTTP answer."""

    def __init__(self, code, message, status=400):
        super().__init__(message)
        self.code = code
        self.status = status


def not_found(message):
    return Fault("ResourceNotFoundFault", message)


def invalid_state(message):
    return Fault("InvalidResourceStateFault", message)


def invalid_value(message):
    return Fault("InvalidParameterValueException", message)


def invalid_combination(message):
    return Fault("InvalidParameterCombinationException", message)


# Both: https://docs.aws.amazon.com/dms/latest/APIReference/CommonErrors.html


def throttled():
    return Fault("ThrottlingException", "Rate exceeded")


def internal_failure():
    return Fault("InternalFailure", "The request processing has failed because of an unknown error.", status=500)


def parameters_of(name, body):
    """The parameters of a request, checked against the service model. Raises Fault."""
    from botocore.validate import ParamValidator
    from ministack.core.responses import _service_model

    try:
        parameters = json.loads(body or b"{}")
    except ValueError:
        parameters = None
    if not isinstance(parameters, dict):
        raise Fault("SerializationException", "The request body is not a JSON object.")
    parameters = {name: value for name, value in parameters.items() if value is not None}
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


def page(items, parameters, key, most=100):
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
    some = items[start : start + size]
    more = start + size < len(items)
    return some, {"Marker": base64.urlsafe_b64encode(key(some[-1]).encode()).decode()} if more else {}


def filtered(items, parameters, fields, noun):
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
    except (ValueError, RecursionError):
        parameters = {}
    for field in ("ReplicationTaskArn", "EndpointArn", "ReplicationInstanceArn", "ResourceArn"):
        value = parameters.get(field) if isinstance(parameters, dict) else None
        if isinstance(value, str) and not name.startswith("Create"):
            return value
    kinds = {"CreateReplicationTask": "task", "CreateEndpoint": "endpoint", "CreateReplicationInstance": "rep"}
    return f"arn:aws:dms:{region}:{account_id}:{kinds.get(name, '*')}:*"


# -- names -------------------------------------------------------------------------------------------------------------

_IDENTIFIER = re.compile(r"(?!.*--)[A-Za-z][A-Za-z0-9-]*(?<!-)")


def identifier(parameters, name, longest):
    value = parameters[name]
    if not _IDENTIFIER.fullmatch(value) or len(value) > longest:
        raise invalid_value(
            f"Invalid {name} {value!r}: it must begin with a letter, have only letters, digits and hyphens "
            f"(none at the end, no two in a row), and at most {longest} characters"
        )
    return value
