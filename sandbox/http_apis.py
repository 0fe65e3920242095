"""API Gateway's HTTP APIs in front of functions, as AWS has them.

MiniStack keeps the APIs and finds the route of a request. This module takes over where a route leads to a function
(payload format 2.0), and mends:

- an API's own address (`ApiEndpoint`). MiniStack's is a host name that not every machine resolves; ours is a path of
  the sandbox's one port, and just as good to append a route to.
- who may: the function's policy must let the API invoke it for that stage and route.
- the event: fields that are empty are not there, and the body is text or base64 as on AWS.
- the answer: a function that fails, or answers in a form that API Gateway does not know, is an Internal Server Error
  and no more; what went wrong is the owner's business and stands in the function's log.
- limits: the time that an integration may take, the size of a request, and the throttle of a stage's routes.

https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html,
http-api-troubleshooting-lambda.html, http-api-quotas.html and http-api-throttling.html beside it.
"""

import asyncio
import base64
import binascii
import collections
import json
import logging
import os
import re
import time
import uuid

from sandbox import permissions

MOST_BYTES = 10 * 2**20  # of a request's body
MOST_MILLISECONDS = 30_000
# Requests a second, and at once, that an account may take: what holds where a stage says one of the two.
RATE, BURST = 10_000, 5_000

_PROXIED = "arn:aws:apigateway:[^:]+:lambda:path/2015-03-31/functions/(.+)/invocations"
_failures = collections.defaultdict(lambda: collections.deque(maxlen=1000))  # of an API: when it answered with a 5xx
_buckets = {}  # (API, stage, key of a route): (how many requests it may still take at once, when that was so)
_waiting = set()  # for answers that come too late: asyncio keeps no task that nobody refers to

logger = logging.getLogger("http-apis")


def install():
    """Put this over MiniStack's module of HTTP APIs (`apigateway`) once that is loaded."""
    from ministack import app

    get_module = app._get_module
    authorization_type = app._execute_api_authorization_type
    put = set()

    def get_module_with_ours(name):
        module = get_module(name)
        if name == "apigateway" and name not in put:
            put.add(name)
            _put_over(module)
        return module

    def authorization_type_of_any(api_id, *request):
        # MiniStack asks who calls where no route matches; AWS says that there is nothing.
        known = authorization_type(api_id, *request)
        return known or ("NONE" if app._get_module("apigateway").find_api_scope(api_id) else None)

    app._get_module = get_module_with_ours
    app._execute_api_authorization_type = authorization_type_of_any


def reset():
    _failures.clear()
    _buckets.clear()


def failures(api_id, seconds):
    """How often an API has answered with a 5xx within the last seconds."""
    return sum(at > time.time() - seconds for at in _failures.get(api_id, ()))


def _put_over(engine):
    create, handle, invoke = engine._create_api, engine.handle_execute, engine._invoke_lambda_proxy

    def create_api(data):
        if data.get("protocolType", "HTTP") != "HTTP":
            return _bad(engine, "The sandbox has no WebSocket APIs: ProtocolType must be HTTP.")
        if data.get("credentialsArn"):
            return _bad(
                engine, "The sandbox does not support CredentialsArn: a function's policy lets the API invoke it."
            )
        if data.get("target") and (problem := _problem_of_integration(_quick(data))):
            return _bad(engine, problem)
        status, _, body = create(data)
        if status != 201:
            return status, _, body
        api = engine._apis[json.loads(body)["apiId"]]
        api["apiEndpoint"] = f"{os.environ['AWS_ENDPOINT_URL']}/_aws/execute-api/{api['apiId']}"
        if data.get("target"):
            # Quick create: an integration, a route that catches all, and a stage that deploys itself.
            made = json.loads(engine._create_integration(api["apiId"], _quick(data))[2])
            route = {"routeKey": data.get("routeKey", "$default"), "target": f"integrations/{made['integrationId']}"}
            engine._create_route(api["apiId"], route)
            engine._create_stage(api["apiId"], {"stageName": "$default", "autoDeploy": True})
        return engine._apigw_response(api, status)

    def checked(check, work):
        def work_checked(*arguments):
            problem = check(arguments[-1])
            return _bad(engine, problem) if problem else work(*arguments)

        return work_checked

    async def handle_execute(api_id, stage, path, method, headers, body, *query, **raw):
        if len(body or b"") > MOST_BYTES:
            return _message(413, "Request Entity Too Large")
        answer = await handle(api_id, stage, path, method, headers, body, *query, **raw)
        if answer[0] >= 500:
            _failures[api_id].append(time.time())
        return answer

    async def invoke_lambda_proxy(
        integration, api_id, stage, path, method, headers, body, query, route="$default", parameters=None, **more
    ):
        authorizers = [more[name] for name in more if name.startswith("authorizer_")]
        if integration.get("payloadFormatVersion", "2.0") != "2.0" or any(authorizers):  # nothing of ours uses these
            return await invoke(
                integration, api_id, stage, path, method, headers, body, query, route, parameters, **more
            )
        event = _event(engine, api_id, stage, path, method, headers, body, query, route, parameters, more)
        return await _answer(engine, integration, event)

    handle_in_scope = engine._handle_execute_in_scope

    async def handle_deployed(api_id, stage, path, method, *request, **more):
        # MiniStack needs neither a $default stage nor a deployment.
        found = engine._stages.get(api_id, {}).get(stage, {})
        if not (found.get("autoDeploy") or found.get("deploymentId") or (found and engine._deployments.get(api_id))):
            return engine._http_api_not_found()
        if found.get("defaultRouteSettings") or found.get("routeSettings"):
            route = engine._match_route(api_id, method, "/" + path.lstrip("/"))
            if route and not _admits(found, (api_id, stage, route["routeKey"])):
                return _message(429, "Too Many Requests")
        return await handle_in_scope(api_id, stage, path, method, *request, **more)

    def stage_checked(work):
        def work_checked(api_id, *named):
            problem = _problem_of_stage(named[-1])
            if problem:
                return _bad(engine, problem)
            known = {route.get("routeKey") for route in engine._routes.get(api_id, {}).values()}
            for key in named[-1].get("routeSettings") or {}:
                if key not in known:
                    said = f"Unable to find Route by key {key} within the provided RouteSettings"
                    return engine._apigw_error("NotFoundException", said, 404)
            return work(api_id, *named)

        return work_checked

    engine._handle_execute_in_scope = handle_deployed
    engine._create_api = create_api
    engine._update_api = checked(_problem_of_update, engine._update_api)
    engine._create_integration = checked(_problem_of_integration, engine._create_integration)
    engine._update_integration = checked(lambda data: _problem_of_integration(data, True), engine._update_integration)
    engine._create_stage, engine._update_stage = (
        stage_checked(engine._create_stage),
        stage_checked(engine._update_stage),
    )
    engine._create_domain_name = lambda data: _bad(engine, "The sandbox has no custom domain names.")
    engine.handle_execute = handle_execute
    engine._invoke_lambda_proxy = invoke_lambda_proxy


def _bad(engine, problem):
    return engine._apigw_error("BadRequestException", problem, 400)


def _quick(data):
    """The integration that quick create makes of a target: a function's ARN, or a URL."""
    kind = "AWS_PROXY" if data["target"].startswith("arn:") else "HTTP_PROXY"
    return {"integrationType": kind, "integrationUri": data["target"], "payloadFormatVersion": "2.0"} | (
        {} if kind == "AWS_PROXY" else {"integrationMethod": "ANY", "payloadFormatVersion": "1.0"}
    )


def _problem_of_update(data):
    for field in ("target", "routeKey", "credentialsArn"):
        if data.get(field):
            return f"The sandbox takes {field[0].upper()}{field[1:]} only when an API is created."
    return None


def _problem_of_integration(data, update=False):
    """What an integration asks for that AWS refuses or the sandbox does not do, as a sentence; None if nothing."""
    if data.get("integrationSubtype"):
        return (
            f"The sandbox does not have integrations with AWS services such as {data['integrationSubtype']}. "
            "Integrations lead to functions (AWS_PROXY with a function's ARN) or to URLs (HTTP_PROXY)."
        )
    for field in ("credentialsArn", "tlsConfig", "connectionId"):
        if data.get(field):
            return f"The sandbox does not support {field[0].upper()}{field[1:]} of integrations."
    if data.get("connectionType", "INTERNET") != "INTERNET":
        return "The sandbox has no VPC: ConnectionType must be INTERNET."
    kind, uri = data.get("integrationType"), data.get("integrationUri")
    if kind not in ("AWS_PROXY", "HTTP_PROXY") and not (update and kind is None):
        return "Only AWS_PROXY and HTTP_PROXY integrations are supported by HTTP APIs."
    if kind == "AWS_PROXY" and ":lambda:" not in (uri or "") and not (update and uri is None):
        return "The sandbox's AWS_PROXY integrations lead to functions: IntegrationUri must be a function's ARN."
    if kind == "AWS_PROXY" and (data.get("requestParameters") or data.get("responseParameters")):
        return "The sandbox maps no parameters where an integration leads to a function."
    if data.get("payloadFormatVersion", "2.0") not in ("1.0", "2.0"):
        return "PayloadFormatVersion must be 1.0 or 2.0."
    if not 50 <= data.get("timeoutInMillis", MOST_MILLISECONDS) <= MOST_MILLISECONDS:
        return f"Timeout should be between 50 ms and {MOST_MILLISECONDS} ms."
    return None


def _problem_of_stage(data):
    """What a stage asks for that AWS refuses or the sandbox does not do, as a sentence; None if nothing."""
    if data.get("accessLogSettings"):
        return "The sandbox writes no access logs: leave AccessLogSettings out."
    for settings in (data.get("defaultRouteSettings") or {}, *(data.get("routeSettings") or {}).values()):
        if settings.get("dataTraceEnabled") or settings.get("loggingLevel", "OFF") != "OFF":
            return "Execution logs are not supported on protocol type HTTP"
        if settings.get("detailedMetricsEnabled"):
            return "The sandbox has no detailed metrics: leave DetailedMetricsEnabled out."
        for field in ("throttlingRateLimit", "throttlingBurstLimit"):
            if (settings.get(field) or 0) < 0:
                return f"{field[0].upper()}{field[1:]} must be 0 or more."
    return None


def _admits(stage, place):
    """Whether a stage's throttle lets a request through to a route. place: (API, stage, key of the route).

    A bucket of tokens, one for each request: it holds ThrottlingBurstLimit of them, and gets ThrottlingRateLimit a
    second. AWS does this as well as it can and lets more through now and then; here it is exact. That each route has a
    bucket of its own is how we read "default route settings"; AWS does not say.
    """
    settings = {**stage.get("defaultRouteSettings", {}), **stage.get("routeSettings", {}).get(place[2], {})}
    rate, burst = settings.get("throttlingRateLimit"), settings.get("throttlingBurstLimit")
    if rate is None and burst is None:
        return True
    rate, burst, now = RATE if rate is None else rate, BURST if burst is None else burst, time.monotonic()
    tokens, since = _buckets.get(place, (burst, now))
    tokens = min(burst, tokens + (now - since) * rate)
    _buckets[place] = (tokens - 1 if tokens >= 1 else tokens, now)
    return tokens >= 1


def _event(engine, api_id, stage, path, method, headers, body, query, route, parameters, more):
    """What the function is invoked with."""
    now = time.time()
    event = {
        "version": "2.0",
        "routeKey": route,
        "rawPath": path,
        "rawQueryString": engine._raw_query_string(query, more.get("raw_query_string")),
        "headers": dict(headers),  # their names in lower case, several of one name joined by commas
        "requestContext": {
            "accountId": engine.get_account_id(),
            "apiId": api_id,
            "domainName": f"{api_id}.execute-api.{engine.get_region()}.amazonaws.com",
            "domainPrefix": api_id,
            "http": {
                "method": method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "127.0.0.1",
                "userAgent": headers.get("user-agent", ""),
            },
            "requestId": str(uuid.uuid4()),
            "routeKey": route,
            "stage": stage,
            "time": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(now)),
            "timeEpoch": int(now * 1000),
        },
        "isBase64Encoded": False,
    }
    optional = {
        "pathParameters": parameters,
        "queryStringParameters": {name: ",".join(values) for name, values in (query or {}).items()},
        "stageVariables": engine._get_stage_variables(api_id, stage),
    }
    event |= {name: value for name, value in optional.items() if value}
    if body:
        # Which types of content are handed over as text was measured by MiniStack's authors.
        text = engine._v2_request_body_is_text(headers.get("content-type"))
        event["body"] = body.decode(errors="replace") if text else base64.b64encode(body).decode()
        event["isBase64Encoded"] = not text
    return event


async def _answer(engine, integration, event):
    """Invoke the function that an integration names; gives (status, headers, body) for the caller."""
    from ministack.services import lambda_svc

    context = event["requestContext"]
    region, account = engine.get_region(), context["accountId"]
    uri = integration.get("integrationUri", "")
    unwrapped = re.fullmatch(_PROXIED, uri)
    function = unwrapped[1] if unwrapped else uri
    data, config, name = lambda_svc._get_func_record_for_ref_in_scope(function, account_id=account, region=region)
    if data is None or config is None:
        return _internal(f"there is no function {function}")
    arn = function if function.startswith("arn:") else f"arn:aws:lambda:{region}:{account}:function:{name}"
    route = event["routeKey"].replace(" ", "")
    source = f"arn:aws:execute-api:{region}:{account}:{context['apiId']}/{context['stage']}/{route}"
    denial = permissions.service_denial("apigateway.amazonaws.com", "lambda:InvokeFunction", arn, source)
    if denial:
        return _internal(f"{denial} (for {source})")
    milliseconds = min(integration.get("timeoutInMillis") or MOST_MILLISECONDS, MOST_MILLISECONDS)
    record = lambda_svc._execution_record_for_config(data, config)
    invoked = engine.run_reentrant(
        lambda_svc._execute_function_with_config_scope, record, event, thread_name="http-api-invoke"
    )
    waiting = asyncio.ensure_future(invoked)
    _waiting.add(waiting)
    waiting.add_done_callback(_waiting.discard)
    done, _ = await asyncio.wait([waiting], timeout=milliseconds / 1000)
    if not done:  # the function goes on; nobody hears its answer
        return _message(503, "Service Unavailable")
    result = waiting.result()
    if result.get("error") or result.get("throttle"):
        return _internal(f"{name} failed: {result.get('body')}")
    try:
        return _as_response(result.get("body"))
    except (ValueError, TypeError, AttributeError) as problem:
        return _internal(f"{name} gave an answer in a form that API Gateway does not know: {problem}")


def _as_response(result):
    """The response that a function's result stands for. Raises ValueError, TypeError or AttributeError for none."""
    if isinstance(result, str | bytes):
        text = result.decode() if isinstance(result, bytes) else result
        try:
            result = json.loads(text)
        except ValueError:
            result = text
    if not isinstance(result, dict) or "statusCode" not in result:  # then all of it is the body
        if result is None:
            return 200, {"Content-Type": "application/json"}, b""
        body = result if isinstance(result, str) else json.dumps(result, ensure_ascii=False)
        return 200, {"Content-Type": "application/json"}, body.encode()
    status = int(result["statusCode"])
    if not 100 <= status <= 599:
        raise ValueError(f"statusCode is {status}")
    body = result.get("body") or ""
    if not isinstance(body, str):
        raise TypeError(f"body is not a string but {type(body).__name__}")
    try:
        content = base64.b64decode(body) if result.get("isBase64Encoded") else body.encode()
    except binascii.Error as error:
        raise ValueError(f"body is not base64: {error}") from None
    headers = {"Content-Type": "application/json"}
    for name, value in (result.get("headers") or {}).items():
        for same in [known for known in headers if known.lower() == name.lower()]:
            del headers[same]
        headers[name] = str(value)
    if result.get("cookies"):
        headers["Set-Cookie"] = list(result["cookies"])
    return status, headers, content


def _internal(reason):
    logger.warning("An HTTP API answers 500: %s", reason)
    return _message(500, "Internal Server Error")


def _message(status, message):
    return status, {"Content-Type": "application/json"}, json.dumps({"message": message}).encode()
