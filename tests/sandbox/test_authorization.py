"""Who signs with a role's keys is asked for all that AWS asks for, in its words, and nothing is allowed in silence."""

import io
import json
import zipfile

import pytest
from botocore.exceptions import ClientError
from state_machines import unique

from workshop import sandbox as process

ACCOUNT, REGION = "111122223333", "us-east-1"
TAG = {"Key": "team", "Value": "blue"}
PASS = json.dumps({"StartAt": "End", "States": {"End": {"Type": "Succeed"}}})


def policy(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **each} for each in statements]})


def role_arn(name):
    return f"arn:aws:iam::{ACCOUNT}:role/{name}"


@pytest.fixture
def acting(aws, sandbox):
    """acting(statement, ...) -> a function that makes clients of a role with these statements: client("lambda")."""

    def acting(*statements, boundary=None):
        iam, name = aws("iam"), unique("caller")
        trust = {"Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "sts:AssumeRole"}
        bound = {"PermissionsBoundary": boundary} if boundary else {}
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=policy(trust), **bound)
        iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=policy(*statements))
        keys = aws("sts").assume_role(RoleArn=role_arn(name), RoleSessionName="ann")["Credentials"]

        def client(service):
            return aws(
                service,
                aws_access_key_id=keys["AccessKeyId"],
                aws_secret_access_key=keys["SecretAccessKey"],
                aws_session_token=keys["SessionToken"],
            )

        client.arn = f"arn:aws:sts::{ACCOUNT}:assumed-role/{name}/ann"
        return client

    return acting


@pytest.fixture
def role_of(aws):
    """role_of(service) -> the name of a role that this service may assume."""

    def role_of(service="lambda"):
        name = unique("role")
        trust = {"Principal": {"Service": f"{service}.amazonaws.com"}, "Action": "sts:AssumeRole"}
        aws("iam").create_role(RoleName=name, AssumeRolePolicyDocument=policy(trust))
        return name

    return role_of


def refused(call, **arguments):
    """(code, message) of the refusal of a call."""
    with pytest.raises(ClientError) as error:
        call(**arguments)
    return error.value.response["Error"]["Code"], error.value.response["Error"]["Message"]


def denial(client, action, resource):
    return (
        f"User: {client.arn} is not authorized to perform: {action} on resource: {resource} "
        f"because no identity-based policy allows the {action} action"
    )


# -- what a request needs beside its own action -----------------------------------------------------------------------


def code():
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as written:
        written.writestr("one.py", "def handler(event, context): pass")
    return {"ZipFile": archive.getvalue()}


def test_a_role_is_passed_only_with_permission_and_to_the_services_that_it_names(acting, role_of):
    role, name = role_of("states"), unique("machine")
    creating = {"Action": "states:CreateStateMachine", "Resource": "*"}
    client = acting(creating)
    call = {"name": name, "definition": PASS, "roleArn": role_arn(role)}
    _, message = refused(client("stepfunctions").create_state_machine, **call)
    assert message == denial(client, "iam:PassRole", role_arn(role))
    for service, may in {"lambda.amazonaws.com": False, "states.amazonaws.com": True}.items():
        passing = {"Action": "iam:PassRole", "Resource": role_arn(role)}
        condition = {"Condition": {"StringEquals": {"iam:PassedToService": service}}}
        machines = acting(creating, {**passing, **condition})("stepfunctions")
        if may:
            machines.create_state_machine(**call)
        else:
            assert "iam:PassRole" in refused(machines.create_state_machine, **call)[1]


def passing_calls(role):
    arn = role_arn(role)
    function = {"FunctionName": "one", "Runtime": "python3.13", "Handler": "one.handler", "Code": code(), "Role": arn}
    settings = {"ServiceAccessRoleArn": arn, "BucketName": "b"}
    target = {"Arn": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:one", "RoleArn": arn}
    window = {"Mode": "OFF"}
    return {
        "lambda": ("create_function", function),
        "dms": (
            "create_endpoint",
            {"EndpointIdentifier": "e", "EndpointType": "source", "EngineName": "s3", "S3Settings": settings},
        ),
        "events": ("put_targets", {"Rule": "r", "Targets": [{"Id": "1", **target}]}),
        "scheduler": (
            "create_schedule",
            {"Name": "s", "ScheduleExpression": "rate(1 day)", "FlexibleTimeWindow": window, "Target": target},
        ),
        "stepfunctions": ("update_state_machine", {"stateMachineArn": _machine("m"), "roleArn": arn}),
    }


def _machine(name):
    return f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:{name}"


@pytest.mark.parametrize("service", ["lambda", "dms", "events", "scheduler", "stepfunctions"])
def test_each_service_that_gets_a_role_asks_for_it(acting, service):
    operation, arguments = passing_calls("any")[service]
    may = [{"Action": f"{each}:*", "Resource": "*"} for each in ("lambda", "dms", "events", "scheduler", "states")]
    client = acting(*may)
    assert refused(getattr(client(service), operation), **arguments)[1] == denial(
        client, "iam:PassRole", role_arn("any")
    )


def creations():
    trust = policy({"Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"})
    key = {"AttributeName": "id", "KeyType": "HASH"}
    pair = {TAG["Key"]: TAG["Value"]}
    alarm = {"Namespace": "AWS/SQS", "MetricName": "ApproximateNumberOfMessagesVisible", "Statistic": "Maximum"}
    alarm |= {"Period": 60, "EvaluationPeriods": 1, "Threshold": 0, "ComparisonOperator": "GreaterThanThreshold"}
    return {
        "apigatewayv2": ("create_api", {"Name": "a", "ProtocolType": "HTTP", "Tags": pair}, "apigateway:PUT"),
        "cloudwatch": ("put_metric_alarm", {"AlarmName": "a", **alarm, "Tags": [TAG]}, "cloudwatch:TagResource"),
        "dynamodb": (
            "create_table",
            {
                "TableName": "new-one",
                "KeySchema": [key],
                "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
                "BillingMode": "PAY_PER_REQUEST",
                "Tags": [TAG],
            },
            "dynamodb:TagResource",
        ),
        "events": ("put_rule", {"Name": "r", "EventPattern": '{"source": ["a"]}', "Tags": [TAG]}, "events:TagResource"),
        "iam": ("create_role", {"RoleName": "r", "AssumeRolePolicyDocument": trust, "Tags": [TAG]}, "iam:TagRole"),
        "logs": ("create_log_group", {"logGroupName": "/l", "tags": pair}, "logs:TagResource"),
        "scheduler": ("create_schedule_group", {"Name": "g", "Tags": [TAG]}, "scheduler:TagResource"),
        "sqs": ("create_queue", {"QueueName": "q", "tags": pair}, "sqs:TagQueue"),
        "dms": (
            "create_replication_instance",
            {"ReplicationInstanceIdentifier": "i", "ReplicationInstanceClass": "dms.t3.micro", "Tags": [TAG]},
            "dms:AddTagsToResource",
        ),
    }


@pytest.mark.parametrize("service", sorted(creations()))
def test_what_is_made_with_tags_needs_the_action_that_tags(acting, service):
    operation, arguments, action = creations()[service]
    prefix = action.partition(":")[0]
    may = {"Action": f"{prefix}:*", "Resource": "*"}
    no = {"Effect": "Deny", "Action": action, "Resource": "*"}
    with_condition = {**may, "Condition": {"StringEquals": {"aws:RequestTag/team": "red"}}}
    assert f"to perform: {action} " in refused(getattr(acting(may, no)(service), operation), **arguments)[1]
    assert (
        "is not authorized to perform" in refused(getattr(acting(with_condition)(service), operation), **arguments)[1]
    )


def test_a_connection_is_tested_on_both_its_ends(acting):
    rep, endpoint = (f"arn:aws:dms:{REGION}:{ACCOUNT}:{kind}:mine" for kind in ("rep", "endpoint"))
    other = rep.replace("mine", "theirs")
    client = acting({"Action": "dms:TestConnection", "Resource": [rep, endpoint]})
    call = client("dms").test_connection
    assert refused(call, ReplicationInstanceArn=other, EndpointArn=endpoint)[1] == denial(
        client, "dms:TestConnection", other
    )
    assert refused(call, ReplicationInstanceArn=rep, EndpointArn=endpoint)[0] == "ResourceNotFoundFault"


# -- condition keys ---------------------------------------------------------------------------------------------------


def test_a_role_s_boundary_decides_who_may_say_what_it_may_do(acting, aws, role_of):
    iam = aws("iam")
    boundary = iam.create_policy(
        PolicyName=unique("boundary"), PolicyDocument=policy({"Action": "logs:*", "Resource": "*"})
    )["Policy"]["Arn"]
    condition = {"Condition": {"StringEquals": {"iam:PermissionsBoundary": boundary}}}
    client = acting({"Action": ["iam:CreateRole", "iam:PutRolePolicy"], "Resource": "*", **condition})("iam")
    trust = policy({"Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"})
    everything = {"PolicyName": "p", "PolicyDocument": policy({"Action": "*", "Resource": "*"})}
    free, bound = unique("free"), unique("bound")
    assert refused(client.create_role, RoleName=free, AssumeRolePolicyDocument=trust)[0] == "AccessDenied"
    client.create_role(RoleName=bound, AssumeRolePolicyDocument=trust, PermissionsBoundary=boundary)
    client.put_role_policy(RoleName=bound, **everything)
    assert refused(client.put_role_policy, RoleName=role_of(), **everything)[0] == "AccessDenied"
    for remove in ("put_role_permissions_boundary", "delete_role_permissions_boundary"):
        more = {"PermissionsBoundary": boundary} if remove.startswith("put") else {}
        assert refused(getattr(client, remove), RoleName=bound, **more)[0] == "AccessDenied"


def test_a_policy_is_attached_and_a_url_is_given_only_where_the_condition_says_so(acting, aws, role_of):
    iam, name = aws("iam"), role_of()
    document = policy({"Action": "logs:*", "Resource": "*"})
    ours = iam.create_policy(PolicyName=unique("ours"), PolicyDocument=document)["Policy"]["Arn"]
    attach = {"Action": "iam:AttachRolePolicy", "Resource": "*"}
    client = acting({**attach, "Condition": {"ArnEquals": {"iam:PolicyARN": ours}}})("iam")
    every = "arn:aws:iam::aws:policy/AdministratorAccess"
    assert refused(client.attach_role_policy, RoleName=name, PolicyArn=every)[0] == "AccessDenied"
    client.attach_role_policy(RoleName=name, PolicyArn=ours)
    permit = {"Action": "lambda:AddPermission", "Resource": "*"}
    client = acting({**permit, "Condition": {"StringEquals": {"lambda:FunctionUrlAuthType": "AWS_IAM"}}})("lambda")
    statement = {"FunctionName": "none", "StatementId": "a", "Action": "lambda:InvokeFunctionUrl", "Principal": "*"}
    assert refused(client.add_permission, FunctionUrlAuthType="NONE", **statement)[0] == "AccessDeniedException"
    assert refused(client.add_permission, FunctionUrlAuthType="AWS_IAM", **statement)[0] == "ResourceNotFoundException"


def test_an_api_s_tags_count_for_all_that_is_in_it(acting, aws):
    apis = aws("apigatewayv2")
    blue, red = (
        apis.create_api(Name=unique("api"), ProtocolType="HTTP", Tags={"team": team})["ApiId"]
        for team in ("blue", "red")
    )
    may = {"Action": "apigateway:*", "Resource": f"arn:aws:apigateway:{REGION}::/apis/*"}
    client = acting({**may, "Condition": {"StringEquals": {"aws:ResourceTag/team": "blue"}}})("apigatewayv2")
    assert client.get_routes(ApiId=blue)["Items"] == []
    assert refused(client.get_routes, ApiId=red)[0] == "AccessDeniedException"
    client.create_stage(ApiId=blue, StageName="$default", AutoDeploy=True)


def test_whom_a_function_may_let_in_is_asked_for(acting, aws, role_of):
    name = unique("function")
    aws("lambda").create_function(**{**passing_calls(role_of())["lambda"][1], "FunctionName": name})
    may = {"Action": "lambda:AddPermission", "Resource": "*"}
    condition = {"Condition": {"StringEquals": {"lambda:Principal": "events.amazonaws.com"}}}
    client = acting({**may, **condition})("lambda")
    statement = {"FunctionName": name, "Action": "lambda:InvokeFunction"}
    for principal in ("*", "444455556666"):
        denied = refused(client.add_permission, StatementId="a", Principal=principal, **statement)
        assert denied[0] == "AccessDeniedException"
    client.add_permission(StatementId="a", Principal="events.amazonaws.com", **statement)


# -- resources as AWS names them --------------------------------------------------------------------------------------


def test_rules_of_the_default_bus_have_no_bus_in_their_arn(acting):
    rule = f"arn:aws:events:{REGION}:{ACCOUNT}:rule/mine"
    client = acting({"Action": "events:*", "Resource": rule})
    events = client("events")
    events.put_rule(Name="mine", EventPattern='{"source": ["a"]}')
    assert events.list_targets_by_rule(Rule="mine")["Targets"] == []
    events.delete_rule(Name="mine")
    assert refused(events.put_rule, Name="theirs", EventPattern='{"source": ["a"]}')[1] == denial(
        client, "events:PutRule", rule.replace("mine", "theirs")
    )


# -- limits and words -------------------------------------------------------------------------------------------------


def test_an_explicit_deny_wins_and_a_boundary_binds(acting, aws):
    queue = f"arn:aws:sqs:{REGION}:{ACCOUNT}:mine"
    may, no = {"Action": "sqs:*", "Resource": "*"}, {"Effect": "Deny", "Action": "sqs:CreateQueue", "Resource": queue}
    client = acting(may, no)
    _, message = refused(client("sqs").create_queue, QueueName="mine")
    assert message == (
        f"User: {client.arn} is not authorized to perform: sqs:CreateQueue on resource: {queue} "
        "with an explicit deny in an identity-based policy"
    )
    only_logs = policy({"Action": "logs:*", "Resource": "*"})
    boundary = aws("iam").create_policy(PolicyName=unique("boundary"), PolicyDocument=only_logs)["Policy"]["Arn"]
    bound = acting(may, boundary=boundary)
    assert refused(bound("sqs").create_queue, QueueName="mine")[1] == (
        f"User: {bound.arn} is not authorized to perform: sqs:CreateQueue on resource: {queue} "
        "because no permissions boundary allows the sqs:CreateQueue action"
    )


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ({"Resource": "arn:aws:s3:::${aws:username}"}, "policy variables"),
        ({"Condition": {"StringEquals": {"aws:SourceVpce": "v"}}}, "the condition key aws:SourceVpce"),
        ({"Condition": {"StringAbout": {"aws:username": "v"}}}, "the condition operator StringAbout"),
        ({"Condition": {"StringLike": {"aws:username": "${aws:userid}"}}}, "policy variables"),
    ],
)
def test_what_is_not_evaluated_is_refused_by_name_when_it_is_stored(aws, role_of, statement, named):
    document = policy({"Effect": "Deny", "Action": "s3:*", "Resource": "*", **statement})
    for store, arguments in (
        (aws("iam").put_role_policy, {"RoleName": role_of(), "PolicyName": "p"}),
        (aws("iam").create_policy, {"PolicyName": unique("policy")}),
    ):
        code, message = refused(store, PolicyDocument=document, **arguments)
        assert code == "MalformedPolicyDocument" and f"The sandbox does not evaluate {named}" in message


def test_a_star_that_is_meant_as_one_matches_a_star_alone(acting):
    client = acting({"Action": "sqs:*", "Resource": f"arn:aws:sqs:{REGION}:{ACCOUNT}:${{*}}"})
    assert refused(client("sqs").create_queue, QueueName="mine")[0] == "AccessDenied"
    tags = f"arn:aws:apigateway:{REGION}::/tags/arn%3Aaws%3Aapigateway%3A{REGION}%3A%3A%2Fapis%2F${{*}}"
    client = acting(
        {"Action": "apigateway:POST", "Resource": "*"}, {"Action": "apigateway:PUT", "Resource": tags}
    )("apigatewayv2")  # fmt: skip
    made = client.create_api(Name=unique("api"), ProtocolType="HTTP", Tags={"team": "blue"})["ApiId"]
    api = f"arn:aws:apigateway:{REGION}::/apis/{made}"
    assert refused(client.tag_resource, ResourceArn=api, Tags={"team": "red"})[0] == "AccessDeniedException"


def test_a_request_of_no_known_action_is_for_the_root_alone(acting, sandbox):
    client = acting({"Action": "*", "Resource": "*"})("lambda")
    client.meta.events.register(
        "before-sign.lambda", lambda request, **_: setattr(request, "url", request.url + "/x/y")
    )
    assert "does not know which action of IAM" in refused(client.get_account_settings)[1]


# -- the record -------------------------------------------------------------------------------------------------------


def test_what_the_root_asks_for_is_recorded_as_actions_on_resources(own_sandbox, own_aws):
    with pytest.raises(process.SandboxError, match="Nothing is recorded"):
        process._ask(own_sandbox, "GET", "actions")
    process._ask(own_sandbox, "PUT", "actions", {"record": True})
    trust = policy({"Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"})
    own_aws("iam").create_role(RoleName="r", AssumeRolePolicyDocument=trust, Tags=[TAG])
    given = policy({"Action": "sqs:SendMessage", "Resource": "*"})
    own_aws("iam").put_role_policy(RoleName="r", PolicyName="p", PolicyDocument=given)
    on = {"FunctionName": "f", "Runtime": "python3.13", "Handler": "one.handler", "Code": code(), "Role": role_arn("r")}
    own_aws("lambda").create_function(**on)
    own_aws("sts").get_caller_identity()
    function = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:f"
    assert process._ask(own_sandbox, "GET", "actions") == {
        "actions": {
            "iam:CreateRole": [role_arn("r")],
            "iam:PassRole": [role_arn("r")],
            "iam:PutRolePolicy": [role_arn("r")],
            "iam:TagRole": [role_arn("r")],
            "lambda:CreateFunction": [function],
        },
        "roles": {"sqs:SendMessage": ["*"]},
    }
    process._ask(own_sandbox, "PUT", "actions", {"record": False})
