"""One invocation of a Python function, from the request to the result as Lambda gives it."""

import contextvars
import secrets
import time
from datetime import UTC, datetime

from ministack.services import lambda_svc as engine

from . import requests
from .environments import Discarded, Ended, InitFailed, TimedOut, pool

MOST_BYTES = {"RequestResponse": 6 * 2**20, "Event": 2**20}  # of a payload, by InvocationType
MOST_BYTES_OF_RESULT = 6_291_556

# The id of the request that invokes a function directly, which is the invocation's id as well, as on AWS.
_direct = contextvars.ContextVar("direct", default=None)

_dispatch = engine._execute_function_dispatch
_handle_request = engine.handle_request
_invoke = engine._invoke


def put_over():
    """Take the place of MiniStack's own way to run Python functions."""
    engine._execute_function_dispatch = dispatch
    engine.handle_request = handle_request
    engine._invoke = invoke
    engine._ACCOUNT_CONCURRENCY_CAP = 0  # what is too much at once waits in line


async def handle_request(method, path, headers, body, query_params):
    """A request to Lambda."""
    if method == "POST" and path.rstrip("/").endswith("/invocations"):
        most = MOST_BYTES.get(headers.get("x-amz-invocation-type"), MOST_BYTES["RequestResponse"])
        if len(body) > most:
            message = f"Request must be smaller than {most} bytes for the InvokeFunction operation"
            return engine.error_response_json("RequestEntityTooLargeException", message, 413)
    return await _handle_request(method, path, headers, body, query_params)


async def invoke(name, event, headers, path_qualifier=None, query_params=None):
    """The call Invoke."""
    _direct.set(requests.request_id.get())
    by = requests.caller.get()
    if by is not None:
        # MiniStack ends recursive loops by this number, as AWS does.
        headers = {**headers, "x-ministack-invoke-depth": str(by.depth)}
    return await _invoke(name, event, headers, path_qualifier, query_params)


def direct_request_id():
    """The id for an invocation that the request at hand asks for directly; None, and so a new one, for any other."""
    identity = _direct.get()
    _direct.set(None)  # invocations that come of this one have their own
    return identity


def execute(function, event, request_id):
    """Run a function, in its account and region, as an invocation with this id; gives what `dispatch` gives."""

    def run():
        _direct.set(request_id)
        return engine._execute_function_with_config_scope(function, event)

    return contextvars.copy_context().run(run)


def dispatch(function, config, event, request_id, started):
    """Run a function and wait for it.

    Gives what MiniStack works with: {"body": its result, "log": the end of its log}, and with an error
    {"body": {"errorType", "errorMessage", ...}, "error": True, "function_error": "Unhandled", "log": ...}.
    """
    if not config.get("Runtime", "").startswith("python") or not function.get("code_zip"):
        return _dispatch(function, config, event, request_id, started)
    request_id = direct_request_id() or request_id
    try:
        environment = pool.acquire(config, function["code_zip"])
    except Discarded:
        return _as_engine({"errorType": "Runtime.ExitError", "errorMessage": "The account was emptied."}, None, "")
    environment.depth = engine._invoke_depth.get() or 1
    usable = False
    try:
        failure, result, usable = _run(environment, config, event, request_id)
        return _as_engine(failure, result, environment.log.tail)
    finally:
        pool.release(environment, usable)


def _as_engine(failure, result, log):
    if failure is None:
        return {"body": result, "log": log}
    return {"body": failure, "error": True, "function_error": "Unhandled", "log": log}


def _run(environment, config, event, request_id):
    """(the failure or None, the result, whether the environment can be used again)"""
    log = environment.log
    log.open()
    began, init = time.monotonic(), None
    failure = result = kind = None
    status, usable = "success", False
    try:
        try:
            if environment.fresh:
                init = environment.prepare()
        finally:
            log.start(request_id)
        began = time.monotonic()
        answer = environment.invoke(
            {
                "event": event,
                "request_id": request_id,
                "arn": config["FunctionArn"],
                "trace_id": _trace_id(),
                "deadline": time.time() + config["Timeout"],
            }
        )
        failure, result = answer.get("failure"), answer.get("result")
        usable = answer["size"] <= MOST_BYTES_OF_RESULT
        if not usable:
            words = f"Response payload size exceeded maximum allowed payload size ({MOST_BYTES_OF_RESULT} bytes)."
            failure = {"errorType": "Function.ResponseSizeTooLarge", "errorMessage": words}
    except InitFailed as error:
        failure = error.failure
        kind = failure["errorType"]
    except TimedOut:
        status = "timeout"
        words = f"Task timed out after {config['Timeout']}.00 seconds"
        failure = {"errorType": "Sandbox.Timedout", "errorMessage": f"RequestId: {request_id} Error: {words}"}
        log.write(f"{_now()} {request_id} {words}\n\n")
    except Ended as end:
        kind = "Runtime.OutOfMemory" if end.out_of_memory else "Runtime.ExitError"
        words = f"RequestId: {request_id} Error: {end}"
        failure = {"errorType": "Runtime.ExitError", "errorMessage": words}
        log.write(f"{words}\nRuntime.ExitError\n")
    if failure is not None and status == "success":
        status = "error"
    log.report(request_id, 1000 * (time.monotonic() - began), init, environment.peak, status, kind)
    return failure, result, usable


def _now():
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _trace_id():
    root = f"{int(time.time()):08x}-{secrets.token_hex(12)}"
    return f"Root=1-{root};Parent={secrets.token_hex(8)};Sampled=0;Lineage=1:{secrets.token_hex(4)}:0"
