"""HTTP APIs in front of functions: their address, the event, the answer, permission and limits.

The event and how an answer is read: https://docs.aws.amazon.com/apigateway/latest/developerguide/
http-api-develop-integrations-lambda.html. Failures are {"message": "Internal Server Error"}:
http-api-troubleshooting-lambda.html there; that a function's own timeout is one of them was seen in
https://github.com/denoland/deno_registry2/issues/87, and that an integration's timeout is 503 in
https://github.com/serverless/serverless/issues/11222. Quotas: http-api-quotas.html. That a larger body gets 413 is not
in the documentation; the message is ours.
"""

import base64
import gzip
import json
import urllib.error
import urllib.request

import pytest
from botocore.exceptions import ClientError
from handlers import Functions
from state_machines import unique, until

ACCOUNT = "111122223333"
ECHO = "def handler(event, context):\n    return event"


class Api:
    """An HTTP API of a sandbox, for tests."""

    def __init__(self, aws):
        self.client = aws("apigatewayv2")
        self.functions = aws("lambda")
        made = self.client.create_api(Name=unique("api"), ProtocolType="HTTP")
        self.id, self.url = made["ApiId"], made["ApiEndpoint"]
        self.client.create_stage(ApiId=self.id, StageName="$default", AutoDeploy=True)

    def route(self, key, function, permitted="*/*", **options):
        """Lead a route to a function. permitted: the stage and route for which the function's policy lets it."""
        arn = self.functions.get_function_configuration(FunctionName=function)["FunctionArn"]
        integration = self.client.create_integration(
            ApiId=self.id, IntegrationType="AWS_PROXY", IntegrationUri=arn, PayloadFormatVersion="2.0", **options
        )["IntegrationId"]
        self.client.create_route(ApiId=self.id, RouteKey=key, Target=f"integrations/{integration}")
        if permitted:
            self.functions.add_permission(
                FunctionName=function,
                StatementId=unique("api"),
                Action="lambda:InvokeFunction",
                Principal="apigateway.amazonaws.com",
                SourceArn=f"arn:aws:execute-api:us-east-1:{ACCOUNT}:{self.id}/{permitted}",
            )
        return self

    def call(self, path, body=None, method=None, **headers):
        """(status, headers, body as text) of the API's answer to an unsigned request."""
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(self.url + path, body, headers, method=method)
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.status, answer.headers, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.headers, error.read().decode()

    def event(self, *arguments, **headers):
        """The event of a function that gives its event back."""
        status, _, body = self.call(*arguments, **headers)
        assert status == 200, body
        return json.loads(body)


@pytest.fixture(scope="module")
def functions(aws, sandbox):
    return Functions(aws, sandbox)


@pytest.fixture(scope="module")
def echo(aws, functions):
    return Api(aws).route("POST /callbacks/{id}", functions.create(ECHO))


@pytest.fixture
def answering(aws, functions):
    """Make an API whose function ends with these lines; gives what it answers to a GET."""

    def answer(body, **options):
        name = functions.create(f"def handler(event, context):\n    {body}", Timeout=options.pop("Timeout", 10))
        return Api(aws).route("GET /", name, **options).call("/")

    return answer


def test_its_address_is_the_sandbox_s_own(sandbox, echo):
    assert echo.url == f"{sandbox['endpoint']}/_aws/execute-api/{echo.id}"
    assert echo.client.get_api(ApiId=echo.id)["ApiEndpoint"] == echo.url


def test_the_event(echo):
    event = echo.event("/callbacks/abc%20d?a=1&a=2", b'{"rows": 3}', Content_Type="application/json", X_Signature="S")
    context = event.pop("requestContext")
    assert context.pop("time") and context.pop("timeEpoch") and context.pop("requestId")
    assert context == {
        "accountId": ACCOUNT,
        "apiId": echo.id,
        "domainName": f"{echo.id}.execute-api.us-east-1.amazonaws.com",
        "domainPrefix": echo.id,
        "http": {
            "method": "POST",
            "path": "/callbacks/abc d",
            "protocol": "HTTP/1.1",
            "sourceIp": "127.0.0.1",
            "userAgent": event["headers"]["user-agent"],
        },
        "routeKey": "POST /callbacks/{id}",
        "stage": "$default",
    }
    headers = event.pop("headers")
    assert headers["x-signature"] == "S"
    assert all(name == name.lower() for name in headers)
    assert event == {
        "version": "2.0",
        "routeKey": "POST /callbacks/{id}",
        "rawPath": "/callbacks/abc d",
        "rawQueryString": "a=1&a=2",
        "queryStringParameters": {"a": "1,2"},
        "pathParameters": {"id": "abc d"},
        "body": '{"rows": 3}',
        "isBase64Encoded": False,
    }


@pytest.mark.parametrize("kind", ["application/octet-stream", "application/vnd.checks+json", ""])
def test_other_than_text_is_handed_over_as_base64(echo, kind):
    """Even JSON, where its type is not one of the few that API Gateway takes for text."""
    raw = '{"city": "Zürich"}'.encode()
    event = echo.event("/callbacks/1", raw, Content_Type=kind)
    assert event["isBase64Encoded"] is True
    assert base64.b64decode(event["body"]) == raw


def test_a_compressed_body_is_handed_over_as_it_came(echo):
    """Under a text type it does not stay whole; what AWS does then is not documented."""
    packed = gzip.compress(b'{"rows": 3}')
    event = echo.event("/callbacks/1", packed, Content_Type="application/octet-stream", Content_Encoding="gzip")
    assert (base64.b64decode(event["body"]), event["isBase64Encoded"]) == (packed, True)
    event = echo.event("/callbacks/1", packed, Content_Type="application/json", Content_Encoding="gzip")
    assert event["isBase64Encoded"] is False


def test_what_is_empty_is_not_there(aws, functions):
    event = Api(aws).route("GET /", functions.create(ECHO)).event("/")
    assert not {"body", "pathParameters", "queryStringParameters", "stageVariables"} & set(event)


def test_what_no_route_matches_is_not_found(echo):
    """Neither a wrong method nor a wrong path reaches the function, and nobody is asked who they are."""
    for path, method in [("/callbacks/1", "GET"), ("/callbacks/1", "PUT"), ("/callbacks", "POST"), ("/", "POST")]:
        status, _, body = echo.call(path, method=method)
        assert (status, json.loads(body)) == (404, {"message": "Not Found"}), path


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        ('return {"statusCode": 202, "body": "taken"}', 202, "taken"),
        ('return {"statusCode": 204}', 204, ""),
        ('return {"statusCode": "410", "body": ""}', 410, ""),
        ('return {"statusCode": 200, "body": "dGFrZW4=", "isBase64Encoded": True}', 200, "taken"),
        ('return {"rows": 3}', 200, '{"rows": 3}'),
        ('return "taken"', 200, "taken"),
        ("return [1, 2]", 200, "[1, 2]"),
    ],
)
def test_an_answer(answering, body, status, text):
    assert answering(body)[::2] == (status, text)


def test_headers_of_an_answer(answering):
    _, headers, _ = answering('return {"statusCode": 200, "headers": {"content-type": "text/html", "X-A": "b"}}')
    assert headers.get_all("content-type") == ["text/html"]
    assert headers["x-a"] == "b"
    assert answering("return {}")[1]["content-type"] == "application/json"


@pytest.mark.parametrize(
    "body",
    [
        'raise ValueError("our secret is 42")',
        "import os; os._exit(1)",
        'return {"statusCode": "many"}',
        'return {"statusCode": 999}',
        'return {"statusCode": 200, "body": {"rows": 3}}',
    ],
    ids=["raises", "exits", "no status", "no such status", "body is an object"],
)
def test_a_failure_is_an_internal_server_error_and_tells_nothing(answering, body):
    status, _, text = answering(body)
    assert (status, json.loads(text)) == (500, {"message": "Internal Server Error"})


def test_a_function_s_own_timeout_is_an_internal_server_error(answering):
    status, _, text = answering("import time; time.sleep(5)", Timeout=1)
    assert (status, json.loads(text)) == (500, {"message": "Internal Server Error"})


def test_an_integration_s_timeout_is_service_unavailable_and_the_function_goes_on(aws, functions):
    name = functions.create(
        "import time\ndef handler(event, context):\n    time.sleep(1)\n    print('came to its end')"
    )
    status, _, text = Api(aws).route("GET /", name, TimeoutInMillis=300).call("/")
    assert (status, json.loads(text)) == (503, {"message": "Service Unavailable"})
    functions.wait_for_message(name, "came to its end")


@pytest.mark.parametrize(
    ("permitted", "status"),
    [
        (None, 500),
        ("*/*", 200),
        ("*/POST/callbacks/{id}", 200),
        ("$default/POST/callbacks/{id}", 200),
        ("*/*/callbacks/{id}", 200),
        ("*/GET/callbacks/{id}", 500),
        ("prod/POST/callbacks/{id}", 500),
    ],
)
def test_the_function_s_policy_must_let_it(aws, functions, permitted, status):
    api = Api(aws).route("POST /callbacks/{id}", functions.create(ECHO), permitted)
    assert api.call("/callbacks/1", b"{}", Content_Type="application/json")[0] == status


def test_the_permission_of_another_api_does_not_count(aws, functions, echo):
    name = functions.create(ECHO)
    echo.route("GET /other", name)
    assert Api(aws).route("GET /other", name, permitted=None).call("/other")[0] == 500


def test_a_function_that_is_gone(aws, functions):
    name = functions.create(ECHO)
    api = Api(aws).route("GET /", name)
    functions.client.delete_function(FunctionName=name)
    status, _, text = api.call("/")
    assert (status, json.loads(text)) == (500, {"message": "Internal Server Error"})


def test_a_body_over_ten_megabytes(echo):
    status, _, _ = echo.call("/callbacks/1", b"x" * (10 * 2**20 + 1), Content_Type="text/plain")
    assert status == 413
    assert len(echo.event("/callbacks/1", b"x" * 2**20, Content_Type="text/plain")["body"]) == 2**20


def test_many_at_once(aws, functions):
    """Callers wait for their turn, and each gets its own answer."""
    import concurrent.futures

    api = Api(aws).route("POST /{id}", functions.create(ECHO))
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        answers = pool.map(lambda n: api.event(f"/{n}", b"{}")["pathParameters"]["id"], range(100))
        assert list(answers) == [str(n) for n in range(100)]


# -- how much a stage takes: http-api-throttling.html ------------------------------------------------------------------


def throttle(api, rate, burst, route=None):
    """Let the $default stage take so much, on all routes or on that one."""
    settings = {"ThrottlingRateLimit": rate, "ThrottlingBurstLimit": burst}
    told = {"RouteSettings": {route: settings}} if route else {"DefaultRouteSettings": settings}
    return api.client.update_stage(ApiId=api.id, StageName="$default", **told)


def test_a_stage_s_throttle(aws, functions):
    """That the answer is a 429 is documented; its text is that of all answers of HTTP APIs, the words of the status."""
    name = functions.create(ECHO)
    api = Api(aws).route("GET /a", name).route("GET /b", name).route("GET /c", name)
    assert [api.call("/a")[0] for _ in range(5)] == [200] * 5
    throttle(api, 0.001, 2)
    throttle(api, 0.001, 0, "GET /b")
    answers = [api.call("/a") for _ in range(4)]
    assert [status for status, _, _ in answers] == [200, 200, 429, 429]
    assert json.loads(answers[-1][2]) == {"message": "Too Many Requests"}
    assert api.call("/b")[0] == 429
    assert [api.call("/c")[0] for _ in range(3)] == [200, 200, 429]
    assert api.call("/nowhere")[0] == 404


def test_a_throttle_fills_again(aws, functions):
    api = Api(aws).route("GET /", functions.create(ECHO))
    throttle(api, 20, 1)
    answers = []
    until(lambda: answers.append(api.call("/")[0]) or answers.count(200) >= 3)
    assert set(answers) <= {200, 429}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"DefaultRouteSettings": {"LoggingLevel": "INFO"}}, "Execution logs are not supported on protocol type HTTP"),
        ({"DefaultRouteSettings": {"DetailedMetricsEnabled": True}}, "no detailed metrics"),
        ({"DefaultRouteSettings": {"ThrottlingRateLimit": -1.0}}, "ThrottlingRateLimit must be 0 or more"),
        ({"AccessLogSettings": {"DestinationArn": "arn:aws:logs:us-east-1:1:log-group:g"}}, "no access logs"),
        ({"RouteSettings": {"GET /x": {"ThrottlingBurstLimit": 1}}}, "Unable to find Route by key GET /x within the p"),
    ],
)
def test_stages_that_are_refused(aws, options, said):
    """That settings need their route is what CloudFormation's users report: "Unable to find Route by key ..." (404)."""
    client = aws("apigatewayv2")
    api = client.create_api(Name=unique("api"), ProtocolType="HTTP")["ApiId"]
    with pytest.raises(ClientError, match=said):
        client.create_stage(ApiId=api, StageName="s", **options)
    assert client.get_stages(ApiId=api)["Items"] == []
    client.create_stage(ApiId=api, StageName="s")
    with pytest.raises(ClientError, match=said):
        client.update_stage(ApiId=api, StageName="s", **options)


# -- quick create, and what is refused ---------------------------------------------------------------------------------


def test_quick_create(aws, functions):
    """aws/aws-cli, examples/apigatewayv2/create-api.rst: an integration, a default route and a default stage."""
    name, client = functions.create(ECHO), aws("apigatewayv2")
    arn = functions.client.get_function_configuration(FunctionName=name)["FunctionArn"]
    made = client.create_api(Name=unique("api"), ProtocolType="HTTP", Target=arn)
    functions.client.add_permission(
        FunctionName=name, StatementId="api", Action="lambda:InvokeFunction", Principal="apigateway.amazonaws.com",
        SourceArn=f"arn:aws:execute-api:us-east-1:{ACCOUNT}:{made['ApiId']}/*/*",
    )  # fmt: skip
    with urllib.request.urlopen(made["ApiEndpoint"] + "/any/path") as answer:
        event = json.load(answer)
    assert (event["routeKey"], event["rawPath"], event["version"]) == ("$default", "/any/path", "2.0")
    (route,) = client.get_routes(ApiId=made["ApiId"])["Items"]
    (integration,) = client.get_integrations(ApiId=made["ApiId"])["Items"]
    assert route["Target"] == f"integrations/{integration['IntegrationId']}"
    assert client.get_stages(ApiId=made["ApiId"])["Items"][0]["AutoDeploy"] is True


def test_nothing_is_reached_before_it_is_deployed(aws, functions):
    """http-api-stages.html: a stage that does not deploy itself shows what a deployment has brought to it."""
    api, name = Api(aws), functions.create(ECHO)
    api.client.delete_stage(ApiId=api.id, StageName="$default")
    api.route("GET /rows", name)
    assert api.call("/rows")[0] == 404
    api.client.create_stage(ApiId=api.id, StageName="$default")
    assert api.call("/rows")[0] == 404
    api.client.create_deployment(ApiId=api.id, StageName="$default")
    assert api.call("/rows")[0] == 200


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"IntegrationSubtype": "SQS-SendMessage"}, "integrations with AWS services such as SQS-SendMessage"),
        ({"CredentialsArn": "arn:aws:iam::111122223333:role/r"}, "does not support CredentialsArn"),
        ({"ConnectionType": "VPC_LINK"}, "has no VPC"),
        ({"IntegrationType": "MOCK"}, "Only AWS_PROXY and HTTP_PROXY"),
        ({"IntegrationUri": "arn:aws:sqs:us-east-1:111122223333:queue"}, "must be a function's ARN"),
        ({"RequestParameters": {"overwrite:path": "/x"}}, "maps no parameters"),
        ({"PayloadFormatVersion": "3.0"}, "must be 1.0 or 2.0"),
        ({"TimeoutInMillis": 30_001}, "between 50 ms and 30000 ms"),
    ],
)
def test_integrations_that_are_refused(aws, options, said):
    """In words of ours; which there are: http-api-develop-integrations.html, http-api-quotas.html."""
    client = aws("apigatewayv2")
    api = client.create_api(Name=unique("api"), ProtocolType="HTTP")["ApiId"]
    uri = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:any"
    wanted = {"ApiId": api, "IntegrationType": "AWS_PROXY", "IntegrationUri": uri, "PayloadFormatVersion": "2.0"}
    with pytest.raises(client.exceptions.BadRequestException, match=said):
        client.create_integration(**{**wanted, **options})
    assert client.get_integrations(ApiId=api)["Items"] == []


def test_apis_that_are_refused(aws):
    client = aws("apigatewayv2")
    for options, said in (
        ({"ProtocolType": "WEBSOCKET", "RouteSelectionExpression": "$request.body.action"}, "no WebSocket APIs"),
        ({"ProtocolType": "HTTP", "Target": "arn:aws:sqs:us-east-1:111122223333:queue"}, "must be a function's ARN"),
    ):
        with pytest.raises(client.exceptions.BadRequestException, match=said):
            client.create_api(Name=unique("api"), **options)
    with pytest.raises(client.exceptions.BadRequestException, match="no custom domain names"):
        client.create_domain_name(DomainName="example.com")
