"""Function URLs: where they lead, who may call them.

https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html, urls-invocation.html.
"""

import json
import urllib.error
import urllib.request

import botocore.session
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import ClientError
from handlers import Functions

ECHO = "def handler(event, context):\n    return {'statusCode': 201, 'body': event['queryStringParameters']['token']}"


@pytest.fixture(scope="module")
def functions(aws, sandbox):
    return Functions(aws, sandbox)


@pytest.fixture
def echo(functions):
    return functions.create(ECHO)


def url_of(functions, name, auth="NONE", **options):
    return functions.client.create_function_url_config(FunctionName=name, AuthType=auth, **options)["FunctionUrl"]


def permit(functions, name, *actions):
    """Let anybody do this with a function, as the console does for AuthType NONE."""
    if "url" in actions:
        functions.client.add_permission(FunctionName=name, StatementId="url", Action="lambda:InvokeFunctionUrl",
                                        Principal="*", FunctionUrlAuthType="NONE")  # fmt: skip
    if "invoke" in actions:
        functions.client.add_permission(FunctionName=name, StatementId="invoke", Action="lambda:InvokeFunction",
                                        Principal="*", InvokedViaFunctionUrl=True)  # fmt: skip


def get(url, headers=None):
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers or {})) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_anybody_may_call_it_where_the_policy_lets_them(functions, echo, sandbox):
    url = url_of(functions, echo)
    assert url.startswith(f"{sandbox['endpoint']}/_aws/lambda-url/") and url.endswith("/")
    assert functions.client.get_function_url_config(FunctionName=echo)["FunctionUrl"] == url
    permit(functions, echo, "url", "invoke")
    assert get(url + "?token=a%2Bb") == (201, "a+b")


@pytest.mark.parametrize("actions", [(), ("url",), ("invoke",)])
def test_both_permissions_are_needed(functions, echo, actions):
    """Since October 2025: lambda:InvokeFunctionUrl and lambda:InvokeFunction."""
    url = url_of(functions, echo)
    permit(functions, echo, *actions)
    status, body = get(url + "?token=x")
    assert status == 403 and json.loads(body)["Message"].startswith("Forbidden")


def test_iam_asks_for_a_signature(functions, echo, sandbox):
    url = url_of(functions, echo, "AWS_IAM")
    permit(functions, echo, "url", "invoke")
    assert get(url + "?token=x")[0] == 403
    session = botocore.session.get_session()
    session.set_credentials(sandbox["access_key_id"], sandbox["secret_access_key"])
    request = AWSRequest("GET", url, params={"token": "x"})
    SigV4Auth(session.get_credentials(), "lambda", "us-east-1").add_auth(request)
    assert get(request.prepare().url, dict(request.headers)) == (201, "x")


def test_streams_are_refused_by_name(functions, echo):
    with pytest.raises(ClientError, match="The sandbox does not stream responses"):
        url_of(functions, echo, InvokeMode="RESPONSE_STREAM")


def test_a_url_that_was_deleted_leads_nowhere(functions, echo):
    url = url_of(functions, echo)
    permit(functions, echo, "url", "invoke")
    functions.client.delete_function_url_config(FunctionName=echo)
    assert get(url + "?token=x")[0] in (403, 404)
