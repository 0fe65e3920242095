"""Requests that no AWS service takes: no JSON where JSON is due, values of a wrong type, unknown operations.

boto3 sends none of these, but others may, and MiniStack would answer with an internal error or one of its own. Here
they get SerializationException and UnknownOperationException, as on AWS.
"""

import json
import logging
import re

from sandbox import models

logger = logging.getLogger("sandbox")

# Services whose requests are JSON without naming their operation in a header.
_REST_JSON = {"lambda", "scheduler", "apigateway"}

# The result of a callback of a durable function is bytes of any kind.
_RAW = re.compile("/durable-execution-callbacks/.+/succeed$")

# MiniStack's names of services -> botocore's, for the models of their operations.
_MODELS = {"states": "stepfunctions", "tagging": "resourcegroupstaggingapi"}


def install():
    from ministack import app

    dispatch = app._dispatch_service_request

    async def dispatch_checked(method, path, headers, body, query_params, request_id):
        named = "x-amz-target" in headers
        rest = not _RAW.search(path) and _service(method, path, headers, query_params) in _REST_JSON
        if named or rest:
            invoke = path.endswith("/invocations")  # Lambda's Invoke takes any value, and has an error of its own
            problem = _no_json(body, any_value=invoke)
            if problem:
                code = "InvalidRequestContentException" if invoke else "SerializationException"
                return _in_its_json(headers, _error(code, problem))
        try:
            answer = await dispatch(method, path, headers, body, query_params, request_id)
        except Exception:
            logger.exception("A request failed: %s %s %s", method, path, headers.get("x-amz-target", ""))
            answer = _error("InternalFailure", "The sandbox failed to answer this request; its log says why.", 500)
        operation = headers.get("x-amz-target", "").rpartition(".")[2]
        if answer[0] == 400 and b'"Unknown action: ' in answer[2]:
            return _in_its_json(headers, _error("UnknownOperationException", f"Unknown operation: {operation}"))
        if answer[0] == 500 and named:
            # Only now, since the models take time to load: whether it was the request's fault.
            problem = _wrong_types(_service(method, path, headers, query_params), operation, body)
            if problem:
                return _in_its_json(headers, _error("SerializationException", problem))
        return answer

    app._dispatch_service_request = dispatch_checked


def reset():
    """Nothing is kept."""


def _service(method, path, headers, query_params):
    from ministack.core.router import detect_service

    return detect_service(method, path, headers, query_params)


def _no_json(body, any_value):
    """What is wrong with a body that must be JSON text, and but for `any_value` an object; None if it is well."""
    try:
        document = json.loads(body) if body else {}
        if b"\\ud" in body or b"\\uD" in body:
            json.dumps(document, ensure_ascii=False).encode()  # half a surrogate pair is no character
    except (ValueError, RecursionError) as problem:
        return f"The request body is not JSON: {problem}"
    if any_value or isinstance(document, dict):
        return None
    return "The request body is not a JSON object."


def _wrong_types(service, operation, body):
    """What the model of the operation says against the types in a body, None if nothing."""
    from botocore.exceptions import UnknownServiceError
    from botocore.model import OperationNotFoundError
    from botocore.validate import ParamValidator

    try:
        shape = models.of(_MODELS.get(service, service)).operation_model(operation).input_shape
    except (UnknownServiceError, OperationNotFoundError):
        return None
    return ParamValidator().validate(json.loads(body or b"{}"), shape).generate_report() or None


def _in_its_json(headers, answer):
    """The answer in the version of AWS's JSON protocol that the request is in: 1.0 or 1.1, which services differ in."""
    status, answer_headers, body = answer
    version = re.match(r"application/x-amz-json-1\.[01]", headers.get("content-type", ""))
    return status, {**answer_headers, "Content-Type": version[0]} if version else answer_headers, body


def _error(code, message, status=400):
    from ministack.core.responses import error_response_json

    return error_response_json(code, message, status)
