"""The one door of the sandbox: who gets in, over real HTTP."""

import http.client
import io
import json
import re
import urllib.request
import zipfile

import boto3
import pytest
from botocore.exceptions import ClientError
from patience import PATIENCE

from workshop import deploy

SERVICES = [
    ("s3", "list_buckets"), ("dynamodb", "list_tables"), ("lambda", "list_functions"),
    ("stepfunctions", "list_state_machines"), ("sts", "get_caller_identity"), ("sqs", "list_queues"),
    ("iam", "list_roles"), ("events", "list_rules"), ("logs", "describe_log_groups"), ("apigatewayv2", "get_apis"),
    ("scheduler", "list_schedules"), ("resourcegroupstaggingapi", "get_resources"), ("cloudwatch", "list_metrics"),
    ("dms", "describe_replication_tasks"), ("sns", "list_topics"),
]  # fmt: skip

STRANGERS = {
    "MiniStack's default key": ("test", "test"),
    "twelve digits": ("123456789012", "x"),
    "an unknown key": ("AKIAAAAAAAAAAAAAAAAA", "x"),
    "a made-up signature": (None, "not-the-secret"),
}


@pytest.mark.parametrize(("service", "operation"), SERVICES)
def test_the_learners_key_is_let_in(aws, service, operation):
    assert getattr(aws(service), operation)()


@pytest.mark.parametrize("key", STRANGERS.values(), ids=STRANGERS.keys())
@pytest.mark.parametrize(("service", "operation"), SERVICES)
def test_a_stranger_is_not(aws, sandbox, service, operation, key):
    access_key_id, secret = key
    client = aws(service, aws_access_key_id=access_key_id or sandbox["access_key_id"], aws_secret_access_key=secret)
    with pytest.raises(ClientError) as refused:
        getattr(client, operation)()
    assert refused.value.response["Error"]["Code"] in {
        "UnrecognizedClientException", "InvalidClientTokenId", "InvalidAccessKeyId",
        "InvalidSignatureException", "SignatureDoesNotMatch",
    }  # fmt: skip


def _get(sandbox, path, **headers):
    connection = http.client.HTTPConnection(sandbox["endpoint"].removeprefix("http://"), timeout=PATIENCE)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://example.com"},
        {"Origin": "null"},
        {"Origin": "http://localhost:8888"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},  # another port of this machine
        {"Host": "sandbox.example.com"},  # a name that was made to point to the loopback address
        {"Host": "127.0.0.1.example.com"},
        {"Host": "[::2]"},
    ],
    ids=lambda headers: "{}: {}".format(*next(iter(headers.items()))),
)
@pytest.mark.parametrize("path", ["/", "/_sandbox/status", "/_aws/execute-api/abc/prod/", "/_ministack/reset"])
def test_web_pages_are_refused(sandbox, path, headers):
    bearer = {"Authorization": f"Bearer {sandbox['secret_access_key']}"}
    assert _get(sandbox, path, **bearer)[0] != 500
    status, body = _get(sandbox, path, **bearer, **headers)
    assert status == 403
    assert "web pages" in body or "loopback address" in body


@pytest.mark.parametrize(
    "path",
    ["/", "/_ministack/health", "/_localstack/health", "/health", "/_ministack/reset", "/_aws/sqs/messages",
     "/a-bucket/a-key", "/2015-03-31/functions"],
)  # fmt: skip
def test_the_unsigned_reach_nothing_but_apis_and_function_urls(sandbox, path):
    status, body = _get(sandbox, path)
    assert (status, "MissingAuthenticationToken" in body) == (403, True)


@pytest.mark.parametrize("origin", [{"Origin": "http://localhost:8888"}, {}], ids=["a web page", "somebody else"])
@pytest.mark.parametrize("path", ["/", "/_sandbox/lease", "/_aws/execute-api/abc/prod"])
def test_a_websocket_is_refused(sandbox, path, origin):
    handshake = {
        "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }  # fmt: skip
    assert _get(sandbox, path, **handshake, **origin)[0] == 403


def test_the_control_address_wants_the_secret_key(sandbox):
    assert _get(sandbox, "/_sandbox/status")[0] == 403
    assert _get(sandbox, "/_sandbox/status", Authorization="Bearer guess")[0] == 403
    status, body = _get(sandbox, "/_sandbox/status", Authorization=f"Bearer {sandbox['secret_access_key']}")
    assert status == 200
    assert sandbox["secret_access_key"] not in body and json.loads(body)["account"] == "111122223333"


@pytest.mark.parametrize(
    ("service", "operation"),
    [("ec2", "describe_vpcs"), ("rds", "describe_db_instances"), ("eks", "list_clusters"),
     ("secretsmanager", "list_secrets"), ("route53", "list_hosted_zones"), ("kinesis", "list_streams")],
)  # fmt: skip
def test_services_that_the_workshop_does_not_use_are_refused_by_name(aws, service, operation):
    with pytest.raises(ClientError) as refused:
        getattr(aws(service), operation)()
    assert refused.value.response["Error"]["Code"] == "ServiceNotInSandbox"
    assert service in str(refused.value) and "stepfunctions" not in str(refused.value)


def test_presigned_urls_work_and_forged_ones_do_not(aws):
    s3 = aws("s3")
    s3.create_bucket(Bucket="presigned")
    s3.put_object(Bucket="presigned", Key="a", Body=b"hello")
    url = s3.generate_presigned_url("get_object", Params={"Bucket": "presigned", "Key": "a"})
    assert urllib.request.urlopen(url).read() == b"hello"
    for forged in (url.replace("/a?", "/b?"), url.partition("?")[0]):
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(forged)


def test_a_functions_code_can_be_downloaded_by_whoever_was_told_where(aws, account):
    deploy.function("gateway-code", "def lambda_handler(event, context):\n    return 1\n")
    url = aws("lambda").get_function(FunctionName="gateway-code")["Code"]["Location"]
    with zipfile.ZipFile(io.BytesIO(urllib.request.urlopen(url).read())) as code:
        assert b"return 1" in code.read("lambda_function.py")
    late = re.sub(r"until=\d+", "until=1", url)
    for forged in (
        late,
        url.replace("gateway-code", "another"),
        url.partition("?")[0],
        url[:-1],
        f"{url}&until=%C2%B2",
    ):
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(forged)


def test_a_session_of_a_role_is_let_in_with_that_roles_permissions(aws):
    iam, sts = aws("iam"), aws("sts")
    trust = {"Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}]}
    role = iam.create_role(RoleName="reader", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    allow = {"Statement": [{"Effect": "Allow", "Action": "dynamodb:ListTables", "Resource": "*"}]}
    iam.put_role_policy(RoleName="reader", PolicyName="read", PolicyDocument=json.dumps(allow))
    keys = sts.assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]
    session = boto3.Session(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"], "us-east-1")
    endpoint = aws("sts").meta.endpoint_url
    assert session.client("dynamodb", endpoint_url=endpoint).list_tables()["TableNames"] is not None
    with pytest.raises(ClientError, match="not authorized to perform: s3:ListAllMyBuckets"):
        session.client("s3", endpoint_url=endpoint).list_buckets()
