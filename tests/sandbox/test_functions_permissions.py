"""What a handler may do is what its role allows, and nobody can act as a function of somebody else."""

import json

import pytest
from botocore.exceptions import ClientError
from handlers import Functions, archive
from state_machines import policy, unique

ACCOUNT = "111122223333"

# Does one call with boto3 and gives the error it gets.
CALLING = """
import boto3
from botocore.exceptions import ClientError
def handler(event, context):
    service, call, arguments = event
    try:
        getattr(boto3.client(service), call)(**arguments)
    except ClientError as error:
        return error.response["Error"]
"""


@pytest.fixture(scope="module")
def functions(aws, sandbox):
    return Functions(aws, sandbox)


def denied(functions, call, **permissions):
    """The error that a new function gets, which may do no more than `permissions`, and the function's name."""
    name = functions.create(CALLING, permissions=permissions)
    return functions.result(name, call), name


def acting_as(functions, name):
    role = functions.client.get_function_configuration(FunctionName=name)["Role"].rpartition("/")[2]
    return f"arn:aws:sts::{ACCOUNT}:assumed-role/{role}/{name}"


@pytest.mark.parametrize(
    ("call", "action", "resource"),
    [
        (("dynamodb", "put_item", {"TableName": "airports", "Item": {"id": {"S": "1"}}}), "dynamodb:PutItem",
         f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/airports"),
        (("stepfunctions", "start_execution",
          {"stateMachineArn": f"arn:aws:states:us-east-1:{ACCOUNT}:stateMachine:one"}), "states:StartExecution",
         f"arn:aws:states:us-east-1:{ACCOUNT}:stateMachine:one"),
        (("dms", "describe_replication_tasks", {}), "dms:DescribeReplicationTasks",
         f"arn:aws:dms:us-east-1:{ACCOUNT}:*:*"),
        (("lambda", "invoke", {"FunctionName": "other"}), "lambda:InvokeFunction",
         f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:other"),
        (("events", "put_events", {"Entries": [{"Source": "a", "DetailType": "b", "Detail": "{}"}]}),
         "events:PutEvents", f"arn:aws:events:us-east-1:{ACCOUNT}:event-bus/default"),
    ],
)  # fmt: skip
def test_a_denial_says_which_action_on_which_resource(functions, call, action, resource):
    error, name = denied(functions, call)
    assert error["Code"] == "AccessDeniedException"
    assert error["Message"] == (
        f"User: {acting_as(functions, name)} is not authorized to perform: {action} on resource: {resource} "
        f"because no identity-based policy allows the {action} action"
    )


def test_a_denial_of_s3(functions, aws):
    bucket = unique("bucket")
    aws("s3").create_bucket(Bucket=bucket)
    error, name = denied(functions, ("s3", "get_object", {"Bucket": bucket, "Key": "airports.csv"}))
    assert error["Code"] == "AccessDenied"
    assert f"{acting_as(functions, name)} is not authorized to perform: s3:GetObject" in error["Message"]
    assert f'on resource: "arn:aws:s3:::{bucket}/airports.csv"' in error["Message"]


def test_what_is_allowed_works_and_on_no_other_resource(functions, aws):
    table = unique("table")
    aws("dynamodb").create_table(
        TableName=table, KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}], BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
    )  # fmt: skip
    name = functions.create(CALLING, permissions={"dynamodb:PutItem": f"arn:aws:dynamodb:*:*:table/{table}"})
    item = {"Item": {"id": {"S": "1"}}}
    assert functions.result(name, ("dynamodb", "put_item", {"TableName": table, **item})) is None
    refused = functions.result(name, ("dynamodb", "put_item", {"TableName": f"{table}-2", **item}))
    assert refused["Code"] == "AccessDeniedException"


def test_an_explicit_deny(functions, aws):
    name = functions.create(CALLING, permissions={"dynamodb:*": "*"})
    role = functions.client.get_function_configuration(FunctionName=name)["Role"].rpartition("/")[2]
    statement = {"Effect": "Deny", "Action": "dynamodb:ListTables", "Resource": "*"}
    aws("iam").put_role_policy(RoleName=role, PolicyName="deny", PolicyDocument=policy(statement))
    error = functions.result(name, ("dynamodb", "list_tables", {}))
    assert error["Message"].endswith("with an explicit deny in an identity-based policy")


def test_a_role_that_lambda_cannot_use(functions, aws):
    for_another = unique("role")
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "states.amazonaws.com"}}
    aws("iam").create_role(RoleName=for_another, AssumeRolePolicyDocument=policy(trust))
    for name in (unique("nowhere"), for_another):
        with pytest.raises(functions.client.exceptions.InvalidParameterValueException) as refused:
            functions.client.create_function(
                FunctionName=unique("function"), Runtime="python3.13", Handler="index.handler",
                Role=f"arn:aws:iam::{ACCOUNT}:role/{name}", Code={"ZipFile": archive("")},
            )  # fmt: skip
        message = refused.value.response["Error"]["Message"]
        assert message == "The role defined for the function cannot be assumed by Lambda."


# -- credentials -------------------------------------------------------------------------------------------------------

REVEALING = """
import os, time, boto3
def handler(event, context):
    time.sleep(event)
    keys = {name.lower(): os.environ[name] for name in
            ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")}
    return keys, boto3.client("sts").get_caller_identity()["Arn"], os.getpid()
"""


def test_every_process_has_credentials_of_its_own(functions):
    one, two = functions.create(REVEALING), functions.create(REVEALING)
    first, identity, process = functions.result(one, 0)
    assert identity == f"arn:aws:sts::{ACCOUNT}:assumed-role/workshop-tests/{one}"
    assert first["aws_access_key_id"].startswith("ASIA")
    assert functions.result(one, 0) == [first, identity, process]
    second, identity, _ = functions.result(two, 0)
    assert identity.endswith(two)
    assert not set(first.values()) & set(second.values())


def test_they_open_nothing_once_the_process_has_ended(functions, aws):
    name = functions.create(REVEALING)
    keys = functions.result(name, 0)[0]
    client = aws("sts", **keys)
    assert client.get_caller_identity()["Arn"].endswith(name)
    with pytest.raises(ClientError):
        aws("sts", **{**keys, "aws_session_token": "another"}).get_caller_identity()
    functions.client.delete_function(FunctionName=name)
    with pytest.raises(ClientError) as refused:
        client.get_caller_identity()
    assert refused.value.response["Error"]["Code"] == "InvalidClientTokenId"


def test_nothing_in_a_process_opens_the_account(functions, sandbox, aws):
    code = """
import os
def handler(event, context):
    found = "".join(os.environ.values())
    try:
        with open(f"/proc/{os.getppid()}/environ") as file:
            found += file.read()
        with open(f"/proc/{os.getppid()}/cmdline") as file:
            found += file.read()
    except OSError:
        pass
    return found
"""
    found = functions.result(functions.create(code))
    assert sandbox["secret_access_key"] not in found
    assert sandbox["access_key_id"] not in found


def test_a_handler_acts_with_its_role_also_towards_the_sandbox_itself(functions, sandbox):
    code = """
import os, urllib.request, urllib.error
def handler(event, context):
    request = urllib.request.Request(
        os.environ["AWS_ENDPOINT_URL"] + "/_sandbox/reset", method="POST",
        headers={"Authorization": "Bearer " + os.environ["AWS_SECRET_ACCESS_KEY"]},
    )
    try:
        return urllib.request.urlopen(request).status
    except urllib.error.HTTPError as error:
        return error.code
"""
    assert functions.result(functions.create(code)) == 403


def test_a_state_machine_reads_the_denial(functions, aws):
    """Its Catch sees the class, its cause the action and the resource."""
    from state_machines import StateMachines

    code = """
import boto3
def handler(event, context):
    boto3.client("dynamodb").get_item(TableName="airports", Key={"id": {"S": "1"}})
"""
    name = functions.create(code, permissions={})
    state = {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "End": True,
             "Parameters": {"FunctionName": name}}  # fmt: skip
    ended = StateMachines(aws).run({"Work": state})
    assert ended["error"] == "ClientError"
    message = json.loads(ended["cause"])["errorMessage"]
    assert "is not authorized to perform: dynamodb:GetItem on resource: arn:aws:dynamodb:" in message
