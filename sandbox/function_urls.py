"""Function URLs, as AWS has them: an address of the sandbox's own, and who may call it.

MiniStack keeps them, makes the event and the answer. Its addresses lead out of the sandbox, and it asks everybody for a
signature, also where AuthType is NONE. On AWS anybody may call such a URL whom the function's policy lets do both
lambda:InvokeFunctionUrl and lambda:InvokeFunction (https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html).
"""

import logging
import os

from sandbox import permissions

_PATH = "/_aws/lambda-url/"

logger = logging.getLogger("function-urls")


def install():
    """Put this over MiniStack's door for function URLs, and over its functions once those are loaded."""
    from ministack import app

    get_module, handle = app._get_module, app._handle_lambda_url_request
    put = []

    def get_module_with_ours(name):
        module = get_module(name)
        if name == "lambda_svc" and not put:
            put.append(name)
            _put_over(module)
        return module

    async def handle_lambda_url_request(host, path, method, headers, body, query_params, source_ip=None):
        if not path.startswith(_PATH):
            return None
        engine = app._get_module("lambda_svc")
        identity, _, rest = path.removeprefix(_PATH).partition("/")
        resolved = engine.resolve_function_url(identity)
        if resolved is None or resolved[-1].get("AuthType") != "NONE":
            return await handle(host, path, method, headers, body, query_params, source_ip)
        account, region, name, qualifier, _ = resolved
        arn = f"arn:aws:lambda:{region}:{account}:function:{name}" + (f":{qualifier}" if qualifier else "")
        if denial := _denial(arn):
            logger.warning("A function URL answers 403: %s", denial)
            answer = {"Content-Type": "application/json", "x-amzn-ErrorType": "AccessDeniedException"}
            return 403, answer, b'{"Message":"Forbidden. For troubleshooting Function URL authorization issues, see: ' \
                b'https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html"}'  # fmt: skip
        return await engine.handle_function_url_request(
            identity, method, f"/{rest}", headers, body, query_params, resolved=resolved, source_ip=source_ip
        )

    app._get_module = get_module_with_ours
    app._handle_lambda_url_request = handle_lambda_url_request


def reset():
    """Nothing is kept."""


def _put_over(engine):
    create, update = engine._create_function_url_config, engine._update_function_url_config

    def create_function_url_config(name, data, qualifier):
        refusal = _refusal(engine, data)
        if refusal:
            return refusal
        status, headers, body = create(name, data, qualifier)
        if status != 201:
            return status, headers, body
        config = engine._function_urls[engine._url_config_key(name, qualifier)]
        identity = config["FunctionUrl"].split("//")[1].split(".")[0]
        config["FunctionUrl"] = f"{os.environ['AWS_ENDPOINT_URL']}{_PATH}{identity}/"
        return engine.json_response(config, status=201)

    engine._create_function_url_config = create_function_url_config
    engine._update_function_url_config = lambda name, data, qualifier: (
        _refusal(engine, data) or update(name, data, qualifier)
    )
    engine._function_url_id = lambda url: url.partition(_PATH)[2].strip("/")


def _refusal(engine, data):
    if data.get("InvokeMode") == "RESPONSE_STREAM":
        message = "The sandbox does not stream responses: InvokeMode must be BUFFERED."
        return engine.error_response_json("InvalidParameterValueException", message, 400)
    return None


def _denial(arn):
    """Why nobody in particular may call the URL of a function, None if anybody may."""
    for action, key, value in (
        ("lambda:InvokeFunctionUrl", "lambda:FunctionUrlAuthType", "NONE"),
        ("lambda:InvokeFunction", "lambda:InvokedViaFunctionUrl", "true"),
    ):
        if denial := permissions.public_denial(action, arn, {key: value}):
            return denial
    return None
