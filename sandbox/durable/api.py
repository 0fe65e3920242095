"""The Lambda API of durable functions, as boto3's `lambda` client speaks it.

The runner has a web server too. It is not used: its answers lack fields and the header that tells boto3 which error it
is, and it knows no Invoke. Permissions are MiniStack's to check, before a request gets here.
"""

import asyncio
import contextvars
import datetime
import json
import re
from urllib.parse import unquote

from sandbox import REGION
from sandbox.functions import requests

from . import functions, quotas, service
from .functions import Refused

_EXECUTIONS = "/2025-12-01/durable-executions/"
_CALLBACKS = "/2025-12-01/durable-execution-callbacks/"
_OF_A_FUNCTION = re.compile(r"/2025-12-01/functions/(.+)/durable-executions")
_INVOKE = re.compile(r"/2015-03-31/functions/([^/]+)/invocations")
_ARN = re.compile(r"arn:[^:]+:lambda:[^:]+:\d{12}:function:[\w-]+:(\$LATEST|\d+)/durable-execution/[\w-]+/[\w-]+")

_ON_AN_EXECUTION = {
    ("GET", ""): "GetDurableExecution",
    ("DELETE", ""): "DeleteDurableExecution",
    ("POST", "checkpoint"): "CheckpointDurableExecution",
    ("GET", "state"): "GetDurableExecutionState",
    ("GET", "history"): "GetDurableExecutionHistory",
    ("POST", "stop"): "StopDurableExecution",
    ("POST", "pause"): "PauseDurableExecution",
    ("POST", "resume"): "ResumeDurableExecution",
}
_ON_A_CALLBACK = {
    "succeed": "SendDurableExecutionCallbackSuccess",
    "fail": "SendDurableExecutionCallbackFailure",
    "heartbeat": "SendDurableExecutionCallbackHeartbeat",
}


def route(method, path):
    """(operation, what it is about) of a request: an execution's ARN, a callback ID or a function; None for others."""
    path = unquote(path)
    if path.startswith(_EXECUTIONS):
        about = path.removeprefix(_EXECUTIONS)
        arn = _ARN.match(about)
        head, _, tail = about.rpartition("/") if arn is None else (arn[0], "", about[arn.end() :].lstrip("/"))
        if (method, tail) not in _ON_AN_EXECUTION:
            head, tail = about, ""
        return _ON_AN_EXECUTION.get((method, tail)), head
    if path.startswith(_CALLBACKS):
        callback_id, _, tail = path.removeprefix(_CALLBACKS).rpartition("/")
        return _ON_A_CALLBACK.get(tail) if method == "POST" else None, callback_id
    of_a_function = _OF_A_FUNCTION.fullmatch(path)
    if of_a_function and method == "GET":
        return "ListDurableExecutionsByFunction", of_a_function[1]
    return None


# -- permissions ------------------------------------------------------------------------------------------------------


def put_over_actions(iam_actions):
    """Let MiniStack's IAM know which action on which resource these requests are.

    https://docs.aws.amazon.com/lambda/latest/dg/durable-security.html: most are checked against the execution's ARN.
    """
    action_of, resource_of = iam_actions._lambda_action, iam_actions.extract_resource_arn

    def lambda_action(method, path):
        routed = route(method, path)
        return routed[0] if routed else action_of(method, path)

    def extract_resource_arn(name, method, path, headers, body, query_params, region, account_id):
        resource = resource_of(name, method, path, headers, body, query_params, region, account_id)
        if name != "lambda":
            return resource
        routed = route(method, path)
        if routed is None:
            qualifier = _first(query_params, "Qualifier")
            invoked = qualifier and _INVOKE.fullmatch(unquote(path))
            return f"{resource}:{qualifier}" if invoked and resource.count(":") == 6 else resource
        operation, about = routed
        if operation == "ListDurableExecutionsByFunction":
            return resource
        return _execution_behind(about) if "Callback" in (operation or "") else about

    iam_actions._lambda_action = lambda_action
    iam_actions.extract_resource_arn = extract_resource_arn


def _execution_behind(callback_id):
    from .executions import execution_of

    try:
        return execution_of(callback_id)
    except Refused:
        return "*"


# -- requests ---------------------------------------------------------------------------------------------------------


def put_over(engine):
    """Answer in place of MiniStack's module of functions (`lambda_svc`) what is about durable functions."""
    others = engine.handle_request

    async def handle_request(method, path, headers, body, query_params):
        try:
            routed = route(method, path)
            if routed is not None:
                return await _answer(*routed, body, query_params)
            invoked = _INVOKE.fullmatch(unquote(path)) if method == "POST" else None
            if invoked:
                name, qualifier = engine._resolve_request_scoped_name_and_qualifier(invoked[1])
                qualifier = qualifier or _first(query_params, "Qualifier")
                if (engine._functions.get(name) or {}).get("config", {}).get("DurableConfig"):
                    return await _invoke(functions.find(name, qualifier), headers, body)
        except Refused as refused:
            return functions.response(refused)
        return await others(method, path, headers, body, query_params)

    engine.handle_request = handle_request


async def _invoke(target, headers, body):
    """Invoke of a durable function."""
    kind = headers.get("x-amz-invocation-type", "RequestResponse")
    answered = {"X-Amz-Executed-Version": target.version}
    if kind == "DryRun":
        return 204, answered, b""
    payload = body.decode(errors="replace") or "{}"
    name = headers.get("x-amz-durable-execution-name")
    context = contextvars.copy_context()
    context.run(_note_depth, headers)
    execution = await asyncio.to_thread(service().start, target, payload, context, kind != "Event", name)
    answered["X-Amz-Durable-Execution-Arn"] = execution.durable_execution_arn
    if kind == "Event":
        return 202, answered, b""
    await asyncio.shield(asyncio.wrap_future(execution.ended))
    payload, failed = execution.answer()
    if failed:
        answered["X-Amz-Function-Error"] = "Unhandled"
    return 200, {"Content-Type": "application/json", **answered}, (payload or "null").encode()


def _note_depth(headers):
    """How many handlers have called each other to get here: MiniStack's bookkeeping of nested invocations."""
    from ministack.services import lambda_svc

    caller = requests.caller.get()
    lambda_svc._invoke_depth.set((caller.depth if caller else lambda_svc._inbound_invoke_depth(headers)) + 1)


async def _answer(operation, about, body, query):
    if operation is None:
        raise Refused("ResourceNotFoundException", "There is no such operation.", 404)
    if operation == "ListDurableExecutionsByFunction":
        return _reply(_list(about, query))
    executions = service()
    if "Callback" in operation:
        from .executions import execution_of

        arn = execution_of(about)
    else:
        arn = about
        if not _ARN.fullmatch(arn):
            raise Refused("InvalidParameterValueException", "Invalid Durable Execution ARN")
    executions.load(arn)
    if operation == "DeleteDurableExecution":
        return _reply({"DeletionRequestTimestamp": executions.delete(arn)}, 202)
    status, work = _WORK[operation](executions, about, body, query)
    return _reply(await asyncio.wrap_future(executions.on_lane(arn, _refusing(work))), status)


def _refusing(work):
    """The runner's own refusals as ours."""
    from aws_durable_execution_sdk_python_testing.exceptions import AwsApiException

    def refusing():
        try:
            return work()
        except AwsApiException as refused:
            code = type(refused).__name__
            raise Refused(code, str(refused), refused.http_status_code) from refused

    return refusing


def _reply(document, status=200):
    return status, {"Content-Type": "application/json"}, quotas.to_json(document or {}).encode()


# Each gives the HTTP status and the work to be done on the execution's lane; its result is the answer.


def _get(executions, arn, body, query):
    return 200, lambda: _description(executions, executions.load(arn), _first(query, "IncludeExecutionData") != "false")


def _history(executions, arn, body, query):
    wanted = (
        _first(query, "IncludeExecutionData") != "false",
        _first(query, "ReverseOrder") == "true",
        _first(query, "Marker"),
        _first(query, "MaxItems"),
    )
    return 200, lambda: executions.load(arn).page(*wanted)


def _state(executions, arn, body, query):
    token, marker, limit = (_first(query, name) for name in ("CheckpointToken", "Marker", "MaxItems"))
    return 200, lambda: executions._get_execution_state(arn, token, marker, int(limit or 0) or None).to_dict()


def _checkpoint(executions, arn, body, query):
    from aws_durable_execution_sdk_python_testing.model import CheckpointDurableExecutionRequest

    try:
        request = CheckpointDurableExecutionRequest.from_dict(_json(body), arn)
    except (KeyError, TypeError, ValueError, AttributeError) as problem:
        raise Refused("InvalidParameterValueException", f"Invalid checkpoint: {problem}") from problem
    parts = request.checkpoint_token, request.updates, request.client_token
    return 200, lambda: executions._checkpoint_execution(arn, *parts).to_dict()


def _stop(executions, arn, body, query):
    error = _error(body)
    return 200, lambda: {"StopTimestamp": executions.stop(arn, error)}


def _pause(executions, arn, body, query):
    request = _json(body)
    reason, token = _reason(request), request.get("ClientToken")
    return 202, lambda: executions.pause(arn, token, reason, request.get("ExecutionTimeoutPaused", True))


def _resume(executions, arn, body, query):
    request = _json(body)
    reason, token = _reason(request), request.get("ClientToken")
    return 202, lambda: executions.resume(arn, token, reason)


def _succeed(executions, callback_id, body, query):
    quotas.check_callback_result(body)
    return 200, lambda: executions.answer_callback(callback_id, result=body)


def _fail(executions, callback_id, body, query):
    from aws_durable_execution_sdk_python.lambda_service import ErrorObject

    error = _error(body) or ErrorObject(None, None, None, None)
    return 200, lambda: executions.answer_callback(callback_id, error=error)


def _heartbeat(executions, callback_id, body, query):
    return 200, lambda: executions.heartbeat(callback_id)


_WORK = {
    "GetDurableExecution": _get,
    "GetDurableExecutionHistory": _history,
    "GetDurableExecutionState": _state,
    "CheckpointDurableExecution": _checkpoint,
    "StopDurableExecution": _stop,
    "PauseDurableExecution": _pause,
    "ResumeDurableExecution": _resume,
    "SendDurableExecutionCallbackSuccess": _succeed,
    "SendDurableExecutionCallbackFailure": _fail,
    "SendDurableExecutionCallbackHeartbeat": _heartbeat,
}


def _summary(executions, execution):
    """An execution as lists show it."""
    started = execution.operations[0]
    shown = {
        "DurableExecutionArn": execution.durable_execution_arn,
        "DurableExecutionName": execution.start_input.execution_name,
        "FunctionArn": execution.function_arn(REGION),
        "Status": executions.status_of(execution),
        "StartTimestamp": started.start_timestamp,
    }
    return {**shown, "EndTimestamp": started.end_timestamp} if execution.is_complete else shown


def _description(executions, execution, include_data):
    """An execution as GetDurableExecution shows it."""
    start = execution.start_input
    timeout, retention = start.execution_timeout_seconds, start.execution_retention_period_days
    shown = {
        **_summary(executions, execution),
        "Version": execution.executed_version(),
        "ExecutionDataIncluded": include_data,
        "DurableConfig": {"ExecutionTimeout": timeout, "RetentionPeriodInDays": retention},
    }
    if include_data:
        shown["InputPayload"] = start.input
        if execution.is_complete and execution.result.error is not None:
            shown["Error"] = execution.result.error.to_dict()
        elif execution.is_complete and execution.result.result is not None:
            shown["Result"] = execution.result.result
    if not execution.is_complete:
        shown["ExpectedExecutionTimeoutTimestamp"] = executions.times_out_at(execution)
        if execution.pause_request is not None:
            hidden = () if include_data else ("Reason",)
            shown["PauseDetails"] = {k: v for k, v in execution.pause_request.items() if k not in hidden}
    return shown


def _list(function, query):
    """ListDurableExecutionsByFunction: the newest first, unless ReverseOrder is asked for."""
    target = functions.find_by_ref(function)
    if _first(query, "Qualifier"):
        target = functions.find(target.name, _first(query, "Qualifier"))
    version = target.version if target.qualifier else None
    name, statuses = _first(query, "DurableExecutionName"), query.get("Statuses", [])
    statuses = [statuses] if isinstance(statuses, str) else statuses
    after, before = (_moment(_first(query, key)) for key in ("StartedAfter", "StartedBefore"))
    executions = service()

    def wanted(execution):
        started = execution.operations[0].start_timestamp
        return (
            execution.start_input.function_name == target.name
            and version in (None, execution.executed_version())
            and name in (None, execution.start_input.execution_name)
            and (not statuses or executions.status_of(execution) in statuses)
            and (after is None or started > after)
            and (before is None or started < before)
        )

    found = [execution for execution in executions.all() if wanted(execution)]
    oldest_first = _first(query, "ReverseOrder") == "true"
    found.sort(key=lambda execution: execution.operations[0].start_timestamp, reverse=not oldest_first)
    found, more = quotas.page(found, _first(query, "Marker"), _first(query, "MaxItems"))
    return {"DurableExecutions": [_summary(executions, execution) for execution in found], **more}


# -- parts of requests ------------------------------------------------------------------------------------------------


def _first(query, name):
    value = query.get(name)
    return (value[0] if value else None) if isinstance(value, list) else value


def _moment(text):
    if text is None:
        return None
    try:
        return datetime.datetime.fromisoformat(text)
    except ValueError as problem:
        raise Refused("InvalidParameterValueException", f"Not a moment: {text}") from problem


def _json(body):
    try:
        document = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise Refused("InvalidRequestContentException", "Could not parse request body into json.")
    return document


def _error(body):
    """The ErrorObject in a request's body, None where it has none."""
    from aws_durable_execution_sdk_python.lambda_service import ErrorObject

    told = _json(body)
    quotas.check_error(told)
    return ErrorObject.from_dict(told) if told else None


def _reason(request):
    if len(request.get("Reason") or "") > 1024:
        raise functions.invalid(request["Reason"], "reason", "Member must have length less than or equal to 1024")
    return request.get("Reason")
