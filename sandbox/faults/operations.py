"""Which operation of AWS's a request is, its parameters, and an error in the shape of its service.

Operations are told from AWS's own service models, as botocore has them: by a header (JSON services), by a parameter
(query services), or by method, path and query (REST services). A model takes some tens of milliseconds to load, so it
is loaded when a fault or a question is about the service, and kept.
"""

import functools
import json
import re
from urllib.parse import parse_qs, unquote

from sandbox import models

# Services as requests are signed for them -> their prefix in IAM, where the two differ.
_PREFIX = {"monitoring": "cloudwatch", "tagging": "tag"}
# IAM's prefix -> botocore's services.
_MODELS = {
    "apigateway": ("apigateway", "apigatewayv2"),
    "cloudwatch": ("cloudwatch",),
    "dms": ("dms",),
    "dynamodb": ("dynamodb",),
    "events": ("events",),
    "iam": ("iam",),
    "lambda": ("lambda",),
    "logs": ("logs",),
    "s3": ("s3",),
    "scheduler": ("scheduler",),
    "sqs": ("sqs",),
    "states": ("stepfunctions",),
    "sts": ("sts",),
    "tag": ("resourcegroupstaggingapi",),
}
# Requests to what the learner made, which are in no model: how their paths begin.
_PUBLIC = {"/_aws/execute-api/": "execute-api:Invoke", "/_aws/lambda-url/": "lambda:InvokeFunctionUrl"}

# What services say when they throttle: code, message, status.
_THROTTLED = {
    None: ("ThrottlingException", "Rate exceeded", 400),
    # https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html
    "dynamodb": (
        "ProvisionedThroughputExceededException",
        "The level of configured provisioned throughput for the table was exceeded. Consider increasing your "
        "provisioning level with the UpdateTable API.",
        400,
    ),
    "lambda": ("TooManyRequestsException", "Rate Exceeded.", 429),
    "apigateway": ("TooManyRequestsException", "Too Many Requests", 429),
    "execute-api": ("TooManyRequestsException", "Too Many Requests", 429),
    "s3": ("SlowDown", "Please reduce your request rate.", 503),
    "sqs": ("RequestThrottled", "Request is throttled.", 400),
    "scheduler": ("ThrottlingException", "Rate exceeded", 429),
    **dict.fromkeys(("iam", "sts", "cloudwatch"), ("Throttling", "Rate exceeded", 400)),
}
# What services say when something of theirs fails: code, message.
_FAILED = {
    None: ("InternalFailure", "The request processing has failed because of an unknown error."),
    "dynamodb": ("InternalServerError", "Internal server error"),
    "events": ("InternalException", "An internal error occurred."),
    "lambda": ("ServiceException", "The service encountered an internal error."),
    "s3": ("InternalError", "We encountered an internal error. Please try again."),
    "scheduler": ("InternalServerException", "Unexpected error encountered while processing the request."),
}
# The statuses of errors for which no model has one; that of others is 400.
_STATUS = {
    "InternalFailure": 500,
    "InternalError": 500,
    "InternalServerError": 500,
    "ServiceException": 500,
    "ServiceUnavailable": 503,
    "ServiceUnavailableException": 503,
    "SlowDown": 503,
    "TooManyRequestsException": 429,
}
_LONG = 200  # characters of a value that are shown
_LARGE = 2048  # bytes of a body that are kept as they came
_NOT_KEPT = {"authorization", "x-amz-security-token", "user-agent"}
_SECRET = re.compile("token|secret|password|signature", re.IGNORECASE)


def problem_with(name):
    """What is wrong with the name of an operation in a plan, None if nothing."""
    if name == "*" or name in _PUBLIC.values():
        return None
    service, colon, operation = name.partition(":")
    if service not in _MODELS:
        known = ", ".join(sorted([*_MODELS, "execute-api"]))
        return f"{name!r} is none: a service and its operation, as in 'dynamodb:PutItem'. Services are {known}."
    if not colon or not (operation == "*" or any(operation in model.operation_names for model in _models(service))):
        hint = " Its operation is lambda:Invoke." if name == "lambda:InvokeFunction" else ""
        return f"{service} has no operation {operation!r}.{hint}"
    return None


class Request:
    """A request as it came in. service: as it is signed for. path and query: not decoded. headers: {name: value}."""

    def __init__(self, service, method, path, query, headers, body):
        self.method, self.path, self.query = method, path, query
        self.headers = headers
        self.body = body
        public = next((name for start, name in _PUBLIC.items() if path.startswith(start)), None)
        self.signed_for = service or ("lambda" if public == "lambda:InvokeFunctionUrl" else "execute-api")
        self.service = _PREFIX.get(self.signed_for, self.signed_for)
        self._public = public
        self._short = False

    @functools.cached_property
    def operation(self):
        """Such as "dynamodb:PutItem"; "dynamodb:?" where it is none that its service has."""
        return self._public or f"{self.service}:{self._named() or (self._route or ('?',))[0]}"

    @functools.cached_property
    def _address(self):
        return f"{unquote(self.path)}?{unquote(self.query)}"

    @functools.cached_property
    def text(self):
        """All of the request in which a `resource` is looked for."""
        return f"{self._address}\n{self.body.decode(errors='replace')}"

    def mentions(self, resource):
        """Whether a text occurs in it."""
        return resource.encode() in self.body or resource in self._address

    def parameters(self):
        """What it was called with, a dict; what is long or secret is shortened."""
        found = {}
        if not self._public and not self._named() and self._route:
            found |= {name: unquote(value) for name, value in self._route[1].items()}
        found |= {name: ", ".join(values) for name, values in parse_qs(self.query).items()}
        if "x-www-form-urlencoded" in self.headers.get("content-type", ""):
            found |= {name: ", ".join(values) for name, values in parse_qs(self.body.decode(errors="replace")).items()}
        elif self.body:
            try:
                body = json.loads(self.body)
            except ValueError:
                body = self.body.decode(errors="replace")
            # A JSON body is the parameters, but for Invoke, whose body is the event.
            found |= body if isinstance(body, dict) and self.operation != "lambda:Invoke" else {"Payload": body}
        for header in ("x-amz-durable-execution-name", "x-amz-invocation-type"):
            if header in self.headers:
                found[header] = self.headers[header]
        return found if self._short else shortened(found)

    def light(self):
        """This request to be kept in a record: without what nobody asks for, and with a large body in short."""
        headers = {name: value for name, value in self.headers.items() if name not in _NOT_KEPT}
        body, short = self.body, len(self.body) > _LARGE
        if short:
            try:
                body = json.dumps(shortened(json.loads(body))).encode()
            except (ValueError, RecursionError):
                body = body[:_LONG]
        light = Request(self.signed_for, self.method, self.path, self.query, headers, body)
        light._short = short
        return light

    def _named(self):
        """The operation that a header, the path of RPC or a parameter names, None where none does."""
        if "x-amz-target" in self.headers:
            return self.headers["x-amz-target"].rpartition(".")[2]
        if "smithy-protocol" in self.headers:
            return self.path.rpartition("/")[2]
        if "x-www-form-urlencoded" in self.headers.get("content-type", ""):
            return parse_qs(self.body.decode(errors="replace")).get("Action", [None])[0]
        return None

    @functools.cached_property
    def _route(self):
        """(operation, parameters in the path) by the REST models of the service, None where nothing fits."""
        query = parse_qs(self.query, keep_blank_values=True)
        for method, pattern, needed, headers, name in _routes(self.service):
            found = pattern.fullmatch(self.path) if method == self.method else None
            if found and headers <= self.headers.keys() and all(
                key in query and value in ("", query[key][0]) for key, value in needed.items()
            ):  # fmt: skip
                return name, found.groupdict()
        return None


class Integration:
    """A call of a task. operation: as of requests. arguments: of the task."""

    headers = {}  # noqa: RUF012

    def __init__(self, operation, arguments):
        self.operation = operation
        self.service = operation.partition(":")[0]
        self._arguments = json.dumps(shortened(arguments), ensure_ascii=False)

    def mentions(self, resource):
        return resource in self._arguments

    def parameters(self):
        return json.loads(self._arguments)


def failure(service, wanted):
    """(code, message, status) of the error that a fault has for a call. service: as IAM names it. wanted: the fault."""
    if wanted["fault"] == "lost":
        return (*_FAILED.get(service, _FAILED[None]), 500)
    throttled = _THROTTLED.get(service, _THROTTLED[None])
    code = wanted.get("code", throttled[0])
    said, status = throttled[1:] if code == throttled[0] else (f"{code}, on purpose.", _status(service, code))
    return code, wanted.get("message", said), status


def error(request, wanted):
    """(status, headers, body) of the error that a fault has for a request, in the shape of its service."""
    from ministack.core import iam_actions
    from ministack.core.responses import fix_error_content_type

    code, message, status = failure(request.service, wanted)
    if request.service == "execute-api":
        return status, {"Content-Type": "application/json"}, json.dumps({"message": message}).encode()
    _, headers, body = iam_actions.access_denied_response(
        request.signed_for, request.operation, "", "", error_code=code, message=message, headers=request.headers
    )
    fix_error_content_type(request.signed_for, status, headers)
    return status, {**headers, "x-amzn-errortype": code}, body


def _status(service, code):
    for model in _models(service):
        for shape in model.error_shapes:
            if code in (shape.name, shape.metadata.get("error", {}).get("code")):
                found = shape.metadata.get("error", {}).get("httpStatusCode")
                if found:
                    return found
    if code.startswith("AccessDenied"):
        json_with_target = any(model.metadata.get("protocol") == "json" for model in _models(service))
        return 400 if json_with_target else 403
    return _STATUS.get(code, 400)


def shortened(value, name=""):
    """A value without what nobody wants to read or see: long texts and what is secret."""
    if isinstance(value, dict):
        return {key: shortened(inner, key) for key, inner in value.items()}
    if isinstance(value, list):
        more = [f"… {len(value) - 20} more"] if len(value) > 20 else []
        return [shortened(inner, name) for inner in value[:20]] + more
    if isinstance(value, str) and _SECRET.search(name) and len(value) > 20:
        return f"{value[:4]}…{value[-8:]}"
    if isinstance(value, str) and len(value) > _LONG:
        return f"{value[:_LONG]}… ({len(value)} characters)"
    return value


@functools.cache
def _models(service):
    """botocore's models of a service."""
    return [models.of(name) for name in _MODELS.get(service, ())]


@functools.cache
def _routes(service):
    """[(method, pattern of the path, query that it needs, headers that it needs, operation)], the closest first."""
    routes = []
    for model in _models(service):
        for name in model.operation_names:
            operation = model.operation_model(name)
            path, _, query = operation.http["requestUri"].partition("?")
            needed = {key: values[0] for key, values in parse_qs(query, keep_blank_values=True).items()}
            headers = set()
            shape = operation.input_shape
            for member in shape.required_members if shape else ():
                told = shape.members[member].serialization
                if told.get("location") == "querystring":
                    needed.setdefault(told["name"], "")
                elif told.get("location") == "header":
                    headers.add(told["name"].lower())
            pattern = re.sub(r"\\{(\w+)(\\\+)?\\}", _label, re.escape(path.rstrip("/")))
            routes.append((operation.http["method"], re.compile(pattern + "/?"), needed, headers, name))
    # The more is demanded, and the fewer parts may be anything, the closer it fits.
    routes.sort(key=lambda route: (route[1].groups, -len(route[2]) - len(route[3])))
    return routes


def _label(found):
    return f"(?P<{found[1]}>{'.+' if found[2] else '[^/]+'})"
