"""API Gateway in front of a durable function: its permission, and how long it waits.

MiniStack invokes whatever an API names, and waits for as long as it takes. On AWS the function's policy must let the
API invoke that version or alias, and an integration ends after half a minute at most while the execution goes on:
https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html and limits.html
beside it.
"""

import asyncio
import json
import logging

from sandbox import permissions
from sandbox.engine import ACCOUNT, REGION

from . import functions
from .functions import Refused

logger = logging.getLogger("durable")


def put_over_http_apis(engine):
    """Wrap MiniStack's module of HTTP APIs (`apigateway`)."""
    invoke = engine._invoke_lambda_proxy

    async def invoke_checked(integration, api_id, stage, path, method, headers, body, query, route, *more, **named):
        ref = engine._extract_lambda_ref_from_integration_uri(integration.get("integrationUri", ""))
        source = f"{api_id}/{stage}/{route.replace(' ', '')}"
        answer = invoke(integration, api_id, stage, path, method, headers, body, query, route, *more, **named)
        failures = (500, "Internal Server Error"), (503, "Service Unavailable")
        return await _answered(answer, ref, source, integration.get("timeoutInMillis") or 30_000, *failures)

    engine._invoke_lambda_proxy = invoke_checked


def put_over_rest_apis(engine):
    """Wrap MiniStack's module of REST APIs (`apigateway_v1`)."""

    def wrapped(invoke):
        async def invoke_checked(integration, api_id, stage_name, stage, resource, path, method, *more, **named):
            ref = engine._extract_lambda_ref_from_integration_uri(integration.get("uri", ""))
            source = f"{api_id}/{stage_name}/{method}{resource.get('path', '/')}"
            answer = invoke(integration, api_id, stage_name, stage, resource, path, method, *more, **named)
            failures = (500, "Internal server error"), (504, "Endpoint request timed out")
            return await _answered(answer, ref, source, integration.get("timeoutInMillis") or 29_000, *failures)

        return invoke_checked

    for name in ("_invoke_lambda_proxy_v1", "_invoke_lambda_custom_v1"):
        setattr(engine, name, wrapped(getattr(engine, name)))


_waiting = set()  # for answers that may come too late: asyncio keeps no task that nobody refers to


async def _answered(answer, ref, source, milliseconds, denied, timed_out):
    """The answer of a function (an awaitable), or one of two failures, each (status, message)."""
    try:
        target = functions.find_by_ref(ref)
    except Refused:
        return await answer
    if target.durable is None:
        return await answer
    arn = functions.function_arn(target.name, target.qualifier)
    source = f"arn:aws:execute-api:{REGION}:{ACCOUNT}:{source}"
    denial = permissions.service_denial("apigateway.amazonaws.com", "lambda:InvokeFunction", arn, source)
    if denial:
        answer.close()
        logger.warning("An API cannot invoke %s: %s (for %s)", arn, denial, source)
        return _failure(*denied)
    waiting = asyncio.ensure_future(answer)
    _waiting.add(waiting)
    waiting.add_done_callback(_waiting.discard)
    done, _ = await asyncio.wait([waiting], timeout=milliseconds / 1000)
    return waiting.result() if done else _failure(*timed_out)


def _failure(status, message):
    return status, {"Content-Type": "application/json"}, json.dumps({"message": message}).encode()
