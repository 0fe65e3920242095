"""An HTTP API of API Gateway: addresses on the internet, each of which leads to a function."""

from contextlib import suppress

from workshop import account, clients, deploy
from workshop.names import tags_of

# What an API takes on a real account, where each request is paid for: a second for as long as you like, and at once.
# A stranger who never stops makes 432,000 requests a day of it: 0.43 USD for API Gateway, 0.09 for Lambda, and the time
# that the function runs (workshop/data/prices.toml). Solution 03 with all its checks sends 127 to one route in all, so
# none of them is refused.
# https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-throttling.html
THROTTLE = {"ThrottlingRateLimit": 5, "ThrottlingBurstLimit": 200}


def http_api(name, routes):
    """An HTTP API with these routes, each allowed to invoke its function and nothing else; gives its URL.

    routes: {"POST /callbacks/{id}": ARN of a function, ...}. The part in braces arrives in the function's event, as
        event["pathParameters"]["id"]. A route whose function is None (it is still blank) is not there.
        https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-routes.html
    An API of that name keeps its URL, and gets these routes in place of those it had.
    Anyone on the internet can call it. Who may be believed is for the function to find out. On a real account it takes
    a few requests a second (THROTTLE), and answers more of them with 429.
    """
    client = clients.of("apigatewayv2")
    api = _named(client, name) or _made(client, name)
    for page in client.get_paginator("get_routes").paginate(ApiId=api["ApiId"]):
        for route in page["Items"]:
            client.delete_route(ApiId=api["ApiId"], RouteId=route["RouteId"])
    for page in client.get_paginator("get_integrations").paginate(ApiId=api["ApiId"]):
        for integration in page["Items"]:
            client.delete_integration(ApiId=api["ApiId"], IntegrationId=integration["IntegrationId"])
    for route, function in routes.items():
        if function is not None:
            _lead(client, api["ApiId"], route, function)
    return api["ApiEndpoint"]


def _named(client, name):
    pages = client.get_paginator("get_apis").paginate()
    return next((api for page in pages for api in page["Items"] if api["Name"] == name), None)


def _made(client, name):
    api = client.create_api(Name=name, ProtocolType="HTTP", Tags=tags_of(name))
    throttle = {"DefaultRouteSettings": THROTTLE} if account.is_real() else {}
    # What is changed is live at once, and no stage's name stands in the URL.
    client.create_stage(ApiId=api["ApiId"], StageName="$default", AutoDeploy=True, **throttle)
    return api


def _lead(client, api_id, route, function):
    integration = client.create_integration(
        ApiId=api_id, IntegrationType="AWS_PROXY", IntegrationUri=function, PayloadFormatVersion="2.0"
    )["IntegrationId"]
    client.create_route(ApiId=api_id, RouteKey=route, Target=f"integrations/{integration}")
    functions = clients.of("lambda")
    with suppress(functions.exceptions.ResourceConflictException):  # it was permitted before
        functions.add_permission(
            FunctionName=function,
            StatementId=f"from-api-{api_id}",
            Action="lambda:InvokeFunction",
            Principal="apigateway.amazonaws.com",
            SourceArn=deploy.arn("execute-api", f"{api_id}/*"),
        )
