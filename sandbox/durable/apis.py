"""REST APIs in front of a durable function: the permission, and how long an API waits.

MiniStack invokes whatever a REST API names, and waits for as long as it takes. On AWS the function's policy must let
the API invoke that version or alias, and an integration ends after 29 seconds at most while the execution goes on
(https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html). HTTP APIs: sandbox/http_apis.py.
"""

import asyncio
import json
import logging

from sandbox import ACCOUNT, REGION, permissions

from . import functions
from .functions import Refused

MOST_MILLISECONDS = 29_000

logger = logging.getLogger("durable")
_waiting = set()  # for answers that may come too late: asyncio keeps no task that nobody refers to


def put_over(engine):
    """Wrap MiniStack's module of REST APIs (`apigateway_v1`)."""
    for name in ("_invoke_lambda_proxy_v1", "_invoke_lambda_custom_v1"):
        setattr(engine, name, _checked(engine, getattr(engine, name)))


def _checked(engine, invoke):
    async def invoke_checked(integration, api_id, stage_name, stage, resource, path, method, *more, **named):
        answer = invoke(integration, api_id, stage_name, stage, resource, path, method, *more, **named)
        try:
            ref = engine._extract_lambda_ref_from_integration_uri(integration.get("uri", ""))
            target = functions.find_by_ref(ref)
        except Refused:
            return await answer
        if target.durable is None:
            return await answer
        arn = functions.function_arn(target.name, target.qualifier)
        source = f"arn:aws:execute-api:{REGION}:{ACCOUNT}:{api_id}/{stage_name}/{method}{resource.get('path', '/')}"
        denial = permissions.service_denial("apigateway.amazonaws.com", "lambda:InvokeFunction", arn, source)
        if denial:
            answer.close()
            logger.warning("A REST API answers 500: %s (for %s)", denial, source)
            return _failure(500, "Internal server error")
        waiting = asyncio.ensure_future(answer)
        _waiting.add(waiting)
        waiting.add_done_callback(_waiting.discard)
        milliseconds = integration.get("timeoutInMillis") or MOST_MILLISECONDS
        done, _ = await asyncio.wait([waiting], timeout=milliseconds / 1000)
        return waiting.result() if done else _failure(504, "Endpoint request timed out")

    return invoke_checked


def _failure(status, message):
    return status, {"Content-Type": "application/json"}, json.dumps({"message": message}).encode()
