"""MiniStack's functions, where some of them are durable: finding them, running a handler once, and what AWS refuses.

A function is durable from its creation on or never (https://docs.aws.amazon.com/lambda/latest/dg/durable-configuration.html).
"""

import contextvars
import json
import re
import threading
from dataclasses import dataclass
from pathlib import Path

from sandbox import ACCOUNT, REGION

LONGEST_TIMEOUT = 31_622_400  # seconds, 366 days
LONGEST_SYNCHRONOUS = 900  # seconds that an execution may take for a caller who waits for it
DEFAULT_RETENTION = 14  # days

# https://docs.aws.amazon.com/lambda/latest/dg/durable-supported-runtimes.html; an image brings its own runtime.
_RUNTIMES = re.compile(r"python3\.1[34]|nodejs2[24]\.x|java(17|21|25)|dotnet(8|10)|provided\..*")

_POLICY = "service-role/AWSLambdaBasicDurableExecutionRolePolicy"


class Refused(Exception):
    """A request that AWS would refuse: the name of the error, its message, and the HTTP status."""

    def __init__(self, code, message, status=400):
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


@dataclass(frozen=True)
class Target:
    """A function that is to be invoked, as it was named.

    qualifier: version, alias or None; version: what it stands for now; durable: its DurableConfig, None for others.
    """

    name: str
    qualifier: str | None
    version: str
    record: dict
    durable: dict | None


def find(name, qualifier=None):
    """The Target of a bare name and a qualifier. Raises Refused (ResourceNotFoundException)."""
    from ministack.services import lambda_svc

    record, config = lambda_svc._get_func_record_for_qualifier(name, qualifier)
    if not record or not config:
        raise Refused("ResourceNotFoundException", f"Function not found: {function_arn(name, qualifier)}", 404)
    version = config.get("Version", "$LATEST")
    return Target(name, qualifier, version, record, lambda_svc._functions[name]["config"].get("DurableConfig"))


def find_by_ref(ref):
    """The Target of a name, a partial or a full ARN, with or without a qualifier. Raises Refused."""
    from ministack.services import lambda_svc

    return find(*lambda_svc._resolve_request_scoped_name_and_qualifier(ref))


def function_arn(name, qualifier=None):
    return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}" + (f":{qualifier}" if qualifier else "")


# -- one run of a handler ---------------------------------------------------------------------------------------------

_running = threading.local()  # request_id: of the invocation that runs in this thread


@dataclass(frozen=True)
class Outcome:
    """What an invocation came to: the value it returned, or its error as Lambda reports it ({"errorType": ...})."""

    body: object
    error: dict | None
    throttled: bool
    request_id: str


def run(target, event, context):
    """Invoke a function's code once and wait for it; may take as long as the function's timeout. Gives an Outcome.

    context: the contextvars.Context of the request that set this off. It says which handler waits for this one, so that
    a bound on processes never keeps it from its answer.
    """
    from ministack.core.responses import new_uuid, request_scope
    from ministack.services import lambda_svc

    config = {**(target.record.get("config") or {}), "FunctionArn": function_arn(target.name, target.qualifier)}
    record = lambda_svc._execution_record_for_config(target.record, config)

    def invoke():
        with request_scope(ACCOUNT, REGION):
            return _execute(record, event)

    _running.request_id = None
    result = context.copy().run(invoke)
    body = result.get("body")
    error = None
    if result.get("error"):
        error = body if isinstance(body, dict) else {"errorType": "Unhandled", "errorMessage": str(body)}
    return Outcome(body, error, bool(result.get("throttle")), _running.request_id or new_uuid())


_execute = None  # MiniStack's way of running a function, as it was before `put_over`


# -- what is different about durable functions ------------------------------------------------------------------------


def put_over(engine):
    """Wrap MiniStack's module of functions (`lambda_svc`)."""
    global _execute
    _execute = engine._execute_function
    wrap = {
        "_execute_function": _execute_function,
        "_execute_function_dispatch": _remember_request_id,
        "_effective_func_record_for_qualifier": _say_how_it_was_named,
        "invoke_async_with_retry": _invoke_async,
        "_create_function": _create_function,
        "_update_config": _update_config,
        "_put_event_invoke_config": _no_destinations,
        "_add_permission": _no_policy_for_latest,
    }
    for name, wrapper in wrap.items():
        setattr(engine, name, _wrapped(getattr(engine, name), wrapper))
    from sandbox.functions.environments import Environment

    Environment._scripts = _wrapped(Environment._scripts, _scripts)


def _wrapped(original, wrapper):
    def call(*args, **kwargs):
        return wrapper(original, *args, **kwargs)

    return call


def _execute_function(original, func, event):
    """All who invoke a function and wait for it come here: Step Functions, API Gateway, event sources."""
    config = func.get("config") or func
    if not config.get("DurableConfig"):
        return original(func, event)
    try:
        payload, failed = _start(config, event, synchronous=True).ended.result().answer()
    except Refused as refused:
        body = {"errorType": refused.code, "errorMessage": refused.message}
        return {"body": body, "error": True, "function_error": "Unhandled", "log": "", "refused": refused}
    outcome = {"body": json.loads(payload) if payload else None, "log": ""}
    return {**outcome, "error": True, "function_error": "Unhandled"} if failed else outcome


def _invoke_async(original, func, event):
    """All who invoke a function and do not wait come here: rules, buckets, schedules. Raises Refused."""
    config = func.get("config") or func
    if config.get("DurableConfig"):
        _start(config, event, synchronous=False)
    else:
        original(func, event)


def _start(config, event, synchronous):
    from ministack.services import lambda_svc

    from . import service

    def start():
        name, qualifier = lambda_svc._resolve_name_and_qualifier(config["FunctionArn"])
        payload = json.dumps(event, separators=(",", ":"), ensure_ascii=False)
        return service().start(find(name, qualifier), payload, contextvars.copy_context(), synchronous)

    return lambda_svc._run_with_function_config_scope(config, start)


def _remember_request_id(original, func, config, event, request_id, *rest):
    _running.request_id = request_id
    return original(func, config, event, request_id, *rest)


def _say_how_it_was_named(original, function, qualifier):
    """Let the record of a durable function carry the ARN with the qualifier that it was named by: that decides."""
    record, config = original(function, qualifier)
    if qualifier and config and function["config"].get("DurableConfig"):
        config = {**config, "FunctionArn": function_arn(config["FunctionName"], qualifier)}
        record = {**record, "config": config}
    return record, config


def _scripts(original, environment):
    """What runs first in a handler's process: in one that is durable, the mends of the SDK."""
    mends = [str(Path(__file__).with_name("sdk_mends.py"))] if environment.config.get("DurableConfig") else []
    return original(environment) + mends


def _create_function(original, data):
    if data.get("DurableConfig") is not None:
        try:
            runtime = data.get("Runtime")
            if runtime and not _RUNTIMES.fullmatch(runtime):
                raise Refused("InvalidParameterValueException", f"{runtime} does not support durable functions.")
            data = {**data, "DurableConfig": _checked(data["DurableConfig"])}
        except Refused as refused:
            return response(refused)
    return original(data)


def _update_config(original, name, data):
    """The timeout and the retention of a durable function may change, for executions that start later."""
    from ministack.services import lambda_svc

    if data.get("DurableConfig") is not None and name in lambda_svc._functions:
        before = lambda_svc._functions[name]["config"].get("DurableConfig")
        try:
            if not before:
                message = "DurableConfig can only be set when a function is created."
                raise Refused("InvalidParameterValueException", message)
            data = {**data, "DurableConfig": _checked({**before, **data["DurableConfig"]})}
        except Refused as refused:
            return response(refused)
    return original(name, data)


def _checked(config):
    """A DurableConfig with its defaults. Raises Refused."""
    config = {"RetentionPeriodInDays": DEFAULT_RETENTION, **config}
    if config.get("ExecutionTimeout") is None:
        raise Refused("InvalidParameterValueException", "ExecutionTimeout is required in DurableConfig.")
    for name, most in (("ExecutionTimeout", LONGEST_TIMEOUT), ("RetentionPeriodInDays", 90)):
        value = config[name]
        if not isinstance(value, int) or not 1 <= value <= most:
            edge, than = (1, "greater") if isinstance(value, int) and value < 1 else (most, "less")
            path = f"durableConfig.{name[0].lower()}{name[1:]}"
            raise invalid(value, path, f"Member must have value {than} than or equal to {edge}")
    return config


def invalid(value, path, constraint):
    """The Refused of a value that the model of the API does not allow."""
    message = f"Value '{value}' at '{path}' failed to satisfy constraint: {constraint}"
    return Refused("ValidationException", f"1 validation error detected: {message}")


def _no_destinations(original, func_name, qualifier, data):
    """https://docs.aws.amazon.com/lambda/latest/dg/durable-invoking.html: no destinations, only a dead-letter queue."""
    from ministack.services import lambda_svc

    config = (lambda_svc._functions.get(func_name) or {}).get("config", {})
    destinations = data.get("DestinationConfig") or {}
    if config.get("DurableConfig") and any((destinations.get(kind) or {}).get("Destination") for kind in destinations):
        return response(Refused("InvalidParameterValueException", "Durable functions do not support destinations."))
    return original(func_name, qualifier, data)


def _no_policy_for_latest(original, func_name, data, query_params=None, path_qualifier=None):
    """$LATEST takes no resource policy, so rules and APIs need a version or an alias of a durable function."""
    from ministack.services import lambda_svc

    if lambda_svc._qualifier_from_path_or_query(path_qualifier, query_params) == "$LATEST":
        message = "We currently do not support adding policies for $LATEST."
        return response(Refused("InvalidParameterValueException", message))
    return original(func_name, data, query_params, path_qualifier)


def response(refused):
    """The answer to a request that is refused, as MiniStack's handlers give it."""
    body = {"Type": "User", "message": refused.message, "Message": refused.message}
    headers = {"Content-Type": "application/json", "x-amzn-errortype": refused.code}
    return refused.status, headers, json.dumps(body).encode()


def put_over_iam(iam):
    """Add the policy that AWS offers for the role of a durable function to the managed ones that MiniStack knows."""
    seed = iam._seed_aws_managed_policies

    def seed_with_ours():
        seed()
        _seed_policy(iam)

    iam._seed_aws_managed_policies = seed_with_ours  # called again when the account is emptied
    _seed_policy(iam)


def _seed_policy(iam):
    actions = ["lambda:CheckpointDurableExecution", "lambda:GetDurableExecutionState"]
    logs = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"]
    statement = {"Effect": "Allow", "Action": [*logs, *actions], "Resource": "*"}
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    record = iam._make_aws_managed_record(_POLICY, json.dumps(policy), "Checkpoints, and CloudWatch Logs.")
    iam._aws_managed_policies[record["Arn"]] = record
