"""CloudFormation: stacks, change sets and the resources in them.

What AWS does is in its documentation (https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/), and where a
sentence of an error is tested, in the source that the test names. What the sandbox refuses by name is tested for the
sandbox's own words. The designs in designs/ are deployed by tests/test_designs.py.
"""

import json
import urllib.error
import urllib.request

import pytest
import stacks
from botocore.exceptions import ClientError
from handlers import clients
from state_machines import unique, until

from workshop import sandbox as process

TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
QUEUE = {"Type": "AWS::SQS::Queue"}


@pytest.fixture
def cloudformation(aws):
    return aws("cloudformation")


@pytest.fixture
def stack(cloudformation):
    """A name for a stack, which is deleted in the end."""
    name = unique("stack")
    yield name
    if stacks.exists(cloudformation, name):
        stacks.delete(cloudformation, name)


def template(more=(), **resources):
    return json.dumps({"Resources": resources, **dict(more)})


def physical(cloudformation, stack, logical_id):
    found = cloudformation.describe_stack_resource(StackName=stack, LogicalResourceId=logical_id)
    return found["StackResourceDetail"]["PhysicalResourceId"]


def refused(cloudformation, text, **options):
    """What CreateStack says against a template."""
    with pytest.raises(ClientError) as error:
        cloudformation.create_stack(StackName=unique("stack"), TemplateBody=text, **options)
    return error.value.response["Error"]["Message"]


def reasons(cloudformation, stack):
    """Why resources of a stack failed, by logical id."""
    events = cloudformation.describe_stack_events(StackName=stack)["StackEvents"]
    return {event["LogicalResourceId"]: event.get("ResourceStatusReason", "") for event in reversed(events)
            if event["ResourceStatus"].endswith("_FAILED")}  # fmt: skip


# -- a stack's life ----------------------------------------------------------------------------------------------------


def test_a_stack_is_made_changed_and_deleted(aws, cloudformation, stack):
    sqs = aws("sqs")
    outputs = {"Url": {"Value": {"Ref": "Queue"}}, "Arn": {"Value": {"Fn::GetAtt": ["Queue", "Arn"]}}}
    first = {**QUEUE, "Properties": {"VisibilityTimeout": "50"}}
    cloudformation.create_stack(StackName=stack, TemplateBody=template({"Outputs": outputs}, Queue=first))
    made = stacks.wait(cloudformation, stack)
    told = {each["OutputKey"]: each["OutputValue"] for each in made["Outputs"]}
    assert told["Url"] == physical(cloudformation, stack, "Queue")
    assert told["Arn"].rpartition(":")[2].startswith(f"{stack}-Queue-")

    second = {**QUEUE, "Properties": {"DelaySeconds": 3}}
    cloudformation.update_stack(StackName=stack, TemplateBody=template(Queue=second))
    assert stacks.wait(cloudformation, stack)["StackStatus"] == "UPDATE_COMPLETE"
    now = sqs.get_queue_attributes(QueueUrl=told["Url"], AttributeNames=["All"])["Attributes"]
    assert (now["DelaySeconds"], now["VisibilityTimeout"]) == ("3", "30")  # what went from the template is as at first

    assert stacks.delete(cloudformation, stack)["StackStatus"] == "DELETE_COMPLETE"
    with pytest.raises(sqs.exceptions.QueueDoesNotExist):
        sqs.get_queue_attributes(QueueUrl=told["Url"])
    with pytest.raises(ClientError, match="does not exist"):
        cloudformation.describe_stacks(StackName=stack)


def test_a_change_set_shows_what_it_would_do_and_does_it(aws, cloudformation, stack):
    stacks.deploy(aws, stack, template(Queue=QUEUE))
    queue = physical(cloudformation, stack, "Queue")
    named = {**QUEUE, "Properties": {"QueueName": unique("named")}}
    change = cloudformation.create_change_set(
        StackName=stack, ChangeSetName="rename", TemplateBody=template(Queue=named, Another=QUEUE)
    )["Id"]
    shown = cloudformation.describe_change_set(ChangeSetName=change)
    changes = {each["ResourceChange"]["LogicalResourceId"]: each["ResourceChange"] for each in shown["Changes"]}
    assert {name: each["Action"] for name, each in changes.items()} == {"Queue": "Modify", "Another": "Add"}
    assert changes["Queue"]["Replacement"] == "True"
    assert physical(cloudformation, stack, "Queue") == queue  # nothing is done yet
    cloudformation.execute_change_set(ChangeSetName=change)
    stacks.wait(cloudformation, stack)
    assert physical(cloudformation, stack, "Queue").endswith(named["Properties"]["QueueName"])
    with pytest.raises(ClientError):
        aws("sqs").get_queue_attributes(QueueUrl=queue)


def test_a_change_set_without_changes_fails(aws, cloudformation, stack):
    """In these words, by which `aws cloudformation deploy` knows that there is nothing to do."""
    stacks.deploy(aws, stack, template(Queue=QUEUE))
    same = {"StackName": stack, "ChangeSetName": "same", "TemplateBody": template(Queue=QUEUE)}
    shown = cloudformation.describe_change_set(ChangeSetName=cloudformation.create_change_set(**same)["Id"])
    assert shown["Status"] == "FAILED"
    assert shown["StatusReason"].startswith("The submitted information didn't contain changes.")


def test_parameters_and_what_describes_a_stack(aws, cloudformation, stack):
    parameters = {"Seconds": {"Type": "Number", "Default": 3}, "Secret": {"Type": "String", "NoEcho": True}}
    queue = {**QUEUE, "Properties": {"DelaySeconds": {"Ref": "Seconds"}}}
    text = template({"Parameters": parameters, "Description": "A queue"}, Queue=queue)
    made = stacks.deploy(aws, stack, text, Secret="s3cret")
    shown = {each["ParameterKey"]: each["ParameterValue"] for each in made["Parameters"]}
    assert (made["Description"], shown) == ("A queue", {"Seconds": "3", "Secret": "****"})
    url = physical(cloudformation, stack, "Queue")
    now = aws("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["DelaySeconds"])["Attributes"]
    assert now["DelaySeconds"] == "3"


def test_conditions_mappings_and_functions(aws, cloudformation, stack):
    name = unique("joined")
    more = {
        "Parameters": {"Stage": {"Type": "String", "Default": "test"}},
        "Mappings": {"Seconds": {"test": {"delay": "4"}, "live": {"delay": "0"}}},
        "Conditions": {
            "Live": {"Fn::Equals": [{"Ref": "Stage"}, "live"]},
            "Test": {"Fn::Not": [{"Condition": "Live"}]},
        },
    }
    properties = {
        "QueueName": {"Fn::Join": ["-", [name, {"Fn::Select": [1, {"Fn::Split": [",", "a,b"]}]}]]},
        "DelaySeconds": {"Fn::FindInMap": ["Seconds", {"Ref": "Stage"}, "delay"]},
        "VisibilityTimeout": {"Fn::If": ["Live", 50, {"Ref": "AWS::NoValue"}]},
    }
    queue = {**QUEUE, "Condition": "Test", "Properties": properties}
    stacks.deploy(aws, stack, template(more, Queue=queue, Unmade={**QUEUE, "Condition": "Live"}))
    made = cloudformation.describe_stack_resources(StackName=stack)["StackResources"]
    assert [each["LogicalResourceId"] for each in made] == ["Queue"]
    url = physical(cloudformation, stack, "Queue")
    now = aws("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert (url.rpartition("/")[2], now["DelaySeconds"], now["VisibilityTimeout"]) == (f"{name}-b", "4", "30")


def test_exports(aws, cloudformation, stack):
    export = unique("export")
    outputs = {"Outputs": {"Name": {"Value": {"Fn::GetAtt": "Queue.QueueName"}, "Export": {"Name": export}}}}
    stacks.deploy(aws, stack, template(outputs, Queue=QUEUE))
    other = {**QUEUE, "Properties": {"QueueName": {"Fn::Sub": ["${Of}-more", {"Of": {"Fn::ImportValue": export}}]}}}
    stacks.deploy(aws, f"{stack}-more", template(Queue=other))
    with pytest.raises(ClientError, match=f"Export {export} is imported by stack {stack}-more"):
        cloudformation.delete_stack(StackName=stack)
    stacks.delete(cloudformation, f"{stack}-more")


def test_what_fails_is_taken_back(aws, cloudformation, stack):
    sqs, taken = aws("sqs"), unique("taken")
    broken = {"Type": "AWS::Lambda::Alias", "DependsOn": "Queue",
              "Properties": {"FunctionName": unique("none"), "FunctionVersion": "1", "Name": "live"}}  # fmt: skip
    named = {**QUEUE, "Properties": {"QueueName": taken}}
    cloudformation.create_stack(StackName=stack, TemplateBody=template(Queue=named, Alias=broken))
    assert stacks.settled(cloudformation, stack)["StackStatus"] == "ROLLBACK_COMPLETE"
    assert "HandlerErrorCode: NotFound" in reasons(cloudformation, stack)["Alias"]
    with pytest.raises(sqs.exceptions.QueueDoesNotExist):
        sqs.get_queue_url(QueueName=taken)


def test_of_what_fails_half_way_nothing_stays(aws, cloudformation, stack):
    named = unique("half")
    keys = {"KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}], "BillingMode": "PAY_PER_REQUEST"}
    keys |= {"AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}], "TableName": named}
    wrong = {"AttributeName": "", "Enabled": True}
    table = {"Type": "AWS::DynamoDB::Table", "Properties": {**keys, "TimeToLiveSpecification": wrong}}
    nowhere = [{"Id": "nowhere", "Arn": "arn:aws:ecs:us-east-1:111122223333:cluster/none"}]
    rule = {"Type": "AWS::Events::Rule", "Properties": {"Name": named, "ScheduleExpression": "rate(1 day)"}}
    rule["Properties"]["Targets"] = nowhere
    for resource, service, call, arguments in [
        (table, "dynamodb", "describe_table", {"TableName": named}),
        (rule, "events", "describe_rule", {"Name": named}),
    ]:
        cloudformation.create_stack(StackName=stack, TemplateBody=template(Half=resource))
        assert stacks.settled(cloudformation, stack)["StackStatus"] == "ROLLBACK_COMPLETE"
        with pytest.raises(ClientError, match="ResourceNotFoundException"):
            getattr(aws(service), call)(**arguments)
        stacks.delete(cloudformation, stack)


def test_a_property_that_is_missing(cloudformation, stack):
    """https://github.com/aws-cloudformation/iac-model-evaluation/issues/29 has these words."""
    policy = {"Type": "AWS::SQS::QueuePolicy", "Properties": {"PolicyDocument": {}}}
    cloudformation.create_stack(StackName=stack, TemplateBody=template(Policy=policy))
    assert stacks.settled(cloudformation, stack)["StackStatus"] == "ROLLBACK_COMPLETE"
    said = "Properties validation failed for resource Policy with message: #: required key [Queues] not found"
    assert reasons(cloudformation, stack)["Policy"] == said


def test_an_update_that_fails_is_taken_back(aws, cloudformation, stack):
    first = {**QUEUE, "Properties": {"DelaySeconds": 3}}
    stacks.deploy(aws, stack, template(Queue=first))
    second = {**QUEUE, "Properties": {"DelaySeconds": 5}}
    broken = {"Type": "AWS::SQS::QueuePolicy", "DependsOn": "Queue",
              "Properties": {"Queues": ["http://127.0.0.1/none"], "PolicyDocument": {}}}  # fmt: skip
    cloudformation.update_stack(StackName=stack, TemplateBody=template(Queue=second, Policy=broken))
    assert stacks.settled(cloudformation, stack)["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    queue = physical(cloudformation, stack, "Queue")
    now = aws("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["DelaySeconds"])["Attributes"]
    assert now["DelaySeconds"] == "3"


def test_a_resource_that_is_gone_is_no_hindrance(aws, cloudformation, stack):
    stacks.deploy(aws, stack, template(Queue=QUEUE))
    aws("sqs").delete_queue(QueueUrl=physical(cloudformation, stack, "Queue"))
    assert stacks.delete(cloudformation, stack)["StackStatus"] == "DELETE_COMPLETE"


def test_what_is_retained_stays(aws, cloudformation, stack):
    stacks.deploy(aws, stack, template(Queue={**QUEUE, "DeletionPolicy": "Retain"}))
    queue = physical(cloudformation, stack, "Queue")
    stacks.delete(cloudformation, stack)
    assert aws("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]


def test_the_stack_s_tags_reach_its_resources(aws, cloudformation, stack):
    tags = [{"Key": "team", "Value": "airports"}]
    cloudformation.create_stack(StackName=stack, TemplateBody=template(Queue=QUEUE), Tags=tags)
    stacks.wait(cloudformation, stack)
    found = aws("sqs").list_queue_tags(QueueUrl=physical(cloudformation, stack, "Queue"))["Tags"]
    assert found == {"team": "airports"}


def test_a_template_in_s3_is_read_with_the_caller_s_keys(aws, cloudformation, stack):
    s3, bucket = aws("s3"), unique("templates")
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="a/template", Body=template(Queue=QUEUE))
    cloudformation.create_stack(StackName=stack, TemplateURL=f"https://{bucket}.s3.us-east-1.amazonaws.com/a/template")
    stacks.wait(cloudformation, stack)
    with pytest.raises(ClientError, match="S3 error"):
        cloudformation.create_stack(StackName=unique("none"), TemplateURL=f"{s3.meta.endpoint_url}/{bucket}/b")


# -- the same doors ----------------------------------------------------------------------------------------------------


def test_who_may_not_make_a_resource_gets_none(sandbox, aws, stack):
    """A stack is made with the keys of whoever asks for it (UserGuide/control-access-with-iam.html)."""
    iam, user = aws("iam"), unique("user")
    iam.create_user(UserName=user)
    may = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "cloudformation:*", "Resource": "*"}]}
    iam.put_user_policy(UserName=user, PolicyName="stacks", PolicyDocument=json.dumps(may))
    key = iam.create_access_key(UserName=user)["AccessKey"]
    theirs = clients({**sandbox, "access_key_id": key["AccessKeyId"], "secret_access_key": key["SecretAccessKey"]})
    cloudformation = theirs("cloudformation")
    cloudformation.create_stack(StackName=stack, TemplateBody=template(Queue=QUEUE))
    assert stacks.settled(cloudformation, stack)["StackStatus"] == "ROLLBACK_COMPLETE"
    said = reasons(cloudformation, stack)["Queue"].lower()
    assert "sqs:createqueue" in said and "handlererrorcode: accessdenied" in said


def test_a_definition_that_step_functions_refuses_is_refused(aws, cloudformation, stack):
    role = {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": TRUST}}
    properties = {"RoleArn": {"Fn::GetAtt": "Role.Arn"}, "Definition": {"StartAt": "Nowhere", "States": {}}}
    machine = {"Type": "AWS::StepFunctions::StateMachine", "Properties": properties}
    cloudformation.create_stack(
        StackName=stack, TemplateBody=template(Role=role, Machine=machine), Capabilities=["CAPABILITY_IAM"]
    )
    assert stacks.settled(cloudformation, stack)["StackStatus"] == "ROLLBACK_COMPLETE"
    assert "Invalid State Machine Definition" in reasons(cloudformation, stack)["Machine"]


def test_an_account_that_is_emptied_gets_nothing_more(own_sandbox, own_aws):
    def queue_after(number):
        return {**QUEUE, **({"DependsOn": f"Queue{number - 1}"} if number else {})}

    cloudformation, sqs = own_aws("cloudformation"), own_aws("sqs")
    many = {f"Queue{number}": queue_after(number) for number in range(100)}
    cloudformation.create_stack(StackName="many", TemplateBody=template(**many))
    until(lambda: sqs.list_queues().get("QueueUrls"))
    process._ask(own_sandbox, "POST", "reset")
    stacks.deploy(own_aws, "one", template(One=QUEUE))
    assert [url.rpartition("/")[2][:4] for url in sqs.list_queues()["QueueUrls"]] == ["one-"]


def test_a_state_machine_is_deleted_when_its_executions_have_ended(aws, cloudformation, stack):
    """https://docs.aws.amazon.com/step-functions/latest/apireference/API_DeleteStateMachine.html"""
    trust = json.loads(json.dumps(TRUST).replace("lambda", "states"))
    role = {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": trust}}
    waits = {"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 3600, "End": True}}}
    properties = {"RoleArn": {"Fn::GetAtt": "Role.Arn"}, "Definition": waits}
    machine = {"Type": "AWS::StepFunctions::StateMachine", "Properties": properties}
    stacks.deploy(aws, stack, template(Role=role, Machine=machine))
    machines, arn = aws("stepfunctions"), physical(cloudformation, stack, "Machine")
    execution = machines.start_execution(stateMachineArn=arn)["executionArn"]
    cloudformation.delete_stack(StackName=stack)
    until(lambda: machines.describe_state_machine(stateMachineArn=arn)["status"] == "DELETING")
    assert stacks.describe(cloudformation, stack)["StackStatus"] == "DELETE_IN_PROGRESS"
    machines.stop_execution(executionArn=execution)
    until(lambda: not stacks.exists(cloudformation, stack))


def test_iam_resources_must_be_acknowledged(cloudformation):
    role = {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": TRUST}}
    assert refused(cloudformation, template(Role=role)) == "Requires capabilities : [CAPABILITY_IAM]"


# -- functions ---------------------------------------------------------------------------------------------------------


def function(code, **properties):
    role = {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": TRUST}}
    properties = {"Role": {"Fn::GetAtt": "Role.Arn"}, "Runtime": "python3.13", "Handler": "index.handler",
                  "Code": {"ZipFile": f"def handler(event, context):\n    return {code}\n"}, **properties}  # fmt: skip
    return {"Role": role, "Function": {"Type": "AWS::Lambda::Function", "Properties": properties}}


def test_a_function_its_version_and_its_alias(aws, cloudformation, stack):
    functions, name = aws("lambda"), unique("function")

    def with_version(code, version):
        published = {"Type": "AWS::Lambda::Version", "DeletionPolicy": "Retain",
                     "Properties": {"FunctionName": {"Ref": "Function"}}}  # fmt: skip
        points = {"FunctionName": {"Ref": "Function"}, "FunctionVersion": {"Fn::GetAtt": f"{version}.Version"}}
        live = {"Type": "AWS::Lambda::Alias", "Properties": {**points, "Name": "live"}}
        return template(**function(code, FunctionName=name), **{version: published}, Live=live)

    def says():
        return json.load(functions.invoke(FunctionName=f"{name}:live")["Payload"])

    stacks.deploy(aws, stack, with_version("'old'", "First"))
    assert says() == "old"
    stacks.deploy(aws, stack, with_version("'new'", "Second"))
    assert says() == "new"
    assert json.load(functions.invoke(FunctionName=f"{name}:1")["Payload"]) == "old"  # retained


def test_a_version_of_what_has_not_changed_fails(aws, cloudformation, stack):
    """https://github.com/serverless/serverless/issues/8392 has these words."""
    first = {"Type": "AWS::Lambda::Version", "Properties": {"FunctionName": {"Ref": "Function"}}}
    second = {**first, "DependsOn": "First"}
    text = template(**function("1"), First=first, Second=second)
    cloudformation.create_stack(StackName=stack, TemplateBody=text, Capabilities=["CAPABILITY_IAM"])
    assert stacks.settled(cloudformation, stack)["StackStatus"] == "ROLLBACK_COMPLETE"
    assert "A version for this Lambda function exists ( 1 )." in reasons(cloudformation, stack)["Second"]


def test_a_named_function_does_not_become_durable(aws, cloudformation, stack):
    name = unique("function")
    stacks.deploy(aws, stack, template(**function("1", FunctionName=name)))
    durable = function("1", FunctionName=name, DurableConfig={"ExecutionTimeout": 60})
    cloudformation.update_stack(StackName=stack, TemplateBody=template(**durable), Capabilities=["CAPABILITY_IAM"])
    assert stacks.settled(cloudformation, stack)["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    said = reasons(cloudformation, stack)["Function"]
    assert said.startswith("CloudFormation cannot update a stack when a custom-named resource requires replacing.")


# -- every type, changed -----------------------------------------------------------------------------------------------


def allows(action):
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, "Resource": "*"}]}


def everything(second):
    """Resources of every type but versions and APIs. second: as the stack's second template has them."""

    def arn(resource):
        return {"Fn::GetAtt": [resource, "Arn"]}

    services = [f"{service}.amazonaws.com" for service in ("lambda", "states", "scheduler")]
    trust = {**TRUST, "Statement": [{**TRUST["Statement"][0], "Principal": {"Service": services}}]}
    team = [{"Key": "team", "Value": "b" if second else "a"}]
    logs = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
    policies = [{"PolicyName": "second" if second else "first", "PolicyDocument": allows("sqs:*")}]
    role = {"AssumeRolePolicyDocument": trust, "Policies": policies, "Tags": team}
    code = f"def handler(event, context):\n    return {2 if second else 1}\n"
    its = {"Role": arn("Role"), "Runtime": "python3.13", "Handler": "index.handler", "Code": {"ZipFile": code}}
    its |= {"Tags": team, **({} if second else {"Timeout": 20, "Environment": {"Variables": {"A": "b"}}})}
    live = {"FunctionName": {"Ref": "Function"}, "FunctionVersion": "$LATEST", "Name": "live"}
    table = {"KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}], "BillingMode": "PAY_PER_REQUEST"}
    table |= {"AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}], "Tags": team}
    table |= {} if second else {"TimeToLiveSpecification": {"AttributeName": "gone", "Enabled": True}}
    machine = {"RoleArn": arn("Role"), "Tags": team}
    machine |= {"DefinitionString": json.dumps({"StartAt": "S", "States": {"S": {"Type": "Pass", "End": True}}})}
    if second:
        machine["DefinitionString"] = '{"StartAt": "${Start}", "States": {"T": {"Type": "Succeed"}}}'
        machine["DefinitionSubstitutions"] = {"Start": "T"}
    targets = [{"Id": "queue", "Arn": arn("Queue")}, {"Id": "other", "Arn": arn("Queue")}]
    rule = {"EventPattern": {"source": ["b" if second else "a"]}, "Targets": targets[: 1 if second else 2]}
    schedule = {"ScheduleExpression": f"rate({9 if second else 5} minutes)", "FlexibleTimeWindow": {"Mode": "OFF"}}
    schedule |= {"Target": {"Arn": arn("Queue"), "RoleArn": arn("Role")}}
    alarm = {"Namespace": "AWS/SQS", "MetricName": "ApproximateNumberOfMessagesVisible", "Statistic": "Maximum"}
    alarm |= {"Dimensions": [{"Name": "QueueName", "Value": {"Fn::GetAtt": "Queue.QueueName"}}], "Period": 60}
    alarm |= {"EvaluationPeriods": 1, "Threshold": 9 if second else 5, "ComparisonOperator": "GreaterThanThreshold"}
    lets = {**allows("sqs:SendMessage"), "Id": "second" if second else "first"}
    lets["Statement"][0] |= {"Principal": {"Service": "events.amazonaws.com"}, "Resource": arn("Queue")}
    permission = {"FunctionName": {"Ref": "Live"}, "Action": "lambda:InvokeFunction"}
    permission |= {"Principal": "events.amazonaws.com" if second else "sns.amazonaws.com"}
    tries = {"FunctionName": {"Ref": "Function"}, "Qualifier": "live", "MaximumRetryAttempts": 1 if second else 2}
    properties = {
        "Role": ("IAM::Role", role | ({"ManagedPolicyArns": [logs]} if second else {})),
        "Function": ("Lambda::Function", its),
        "Live": ("Lambda::Alias", live | ({"Description": "second"} if second else {})),
        "Permission": ("Lambda::Permission", permission),
        "Tries": ("Lambda::EventInvokeConfig", tries),
        "Log": ("Logs::LogGroup", {"Tags": team, **({} if second else {"RetentionInDays": 7})}),
        "Table": ("DynamoDB::Table", table),
        "Queue": ("SQS::Queue", {"Tags": team}),
        "Lets": ("SQS::QueuePolicy", {"Queues": [{"Ref": "Queue"}], "PolicyDocument": lets}),
        "Rule": ("Events::Rule", rule),
        "Schedule": ("Scheduler::Schedule", schedule),
        "Alarm": ("CloudWatch::Alarm", alarm | {"Tags": team}),
        "Machine": ("StepFunctions::StateMachine", machine),
    }
    made = {key: {"Type": f"AWS::{kind}", "Properties": each} for key, (kind, each) in properties.items()}
    made["Tries"]["DependsOn"] = "Live"
    return template(**made)


def seen(aws, ids):
    """What of the resources the second template changes, by what the services tell of them."""
    iam, functions, role, function = aws("iam"), aws("lambda"), ids["Role"], ids["Function"]
    told = functions.get_function(FunctionName=function)
    tags = [told["Tags"], aws("sqs").list_queue_tags(QueueUrl=ids["Queue"])["Tags"]]
    table = aws("dynamodb").describe_table(TableName=ids["Table"])["Table"]["TableArn"]
    tags += [
        {tag["Key"]: tag["Value"] for tag in found}
        for found in (
            iam.list_role_tags(RoleName=role)["Tags"],
            aws("dynamodb").list_tags_of_resource(ResourceArn=table)["Tags"],
        )
    ]
    [machine_tag] = aws("stepfunctions").list_tags_for_resource(resourceArn=ids["Machine"])["tags"]
    [group] = aws("logs").describe_log_groups(logGroupNamePrefix=ids["Log"])["logGroups"]
    [alarm] = aws("cloudwatch").describe_alarms(AlarmNames=[ids["Alarm"]])["MetricAlarms"]
    ttl = aws("dynamodb").describe_time_to_live(TableName=ids["Table"])["TimeToLiveDescription"]
    machine = json.loads(aws("stepfunctions").describe_state_machine(stateMachineArn=ids["Machine"])["definition"])
    policy = json.loads(functions.get_policy(FunctionName=function, Qualifier="live")["Policy"])["Statement"]
    queue = aws("sqs").get_queue_attributes(QueueUrl=ids["Queue"], AttributeNames=["Policy"])["Attributes"]
    attached = iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]
    return {
        "policies": iam.list_role_policies(RoleName=role)["PolicyNames"],
        "managed": [each["PolicyName"] for each in attached],
        "returns": json.load(functions.invoke(FunctionName=function)["Payload"]),
        "timeout": told["Configuration"]["Timeout"],
        "variables": told["Configuration"].get("Environment", {}).get("Variables", {}),
        "alias": functions.get_alias(FunctionName=function, Name="live")["Description"],
        "permitted": [statement["Principal"]["Service"] for statement in policy],
        "tries": functions.get_function_event_invoke_config(FunctionName=function, Qualifier="live")[
            "MaximumRetryAttempts"
        ],
        "days": group.get("retentionInDays"),
        "ttl": ttl["TimeToLiveStatus"],
        "queue": json.loads(queue["Policy"])["Id"],
        "pattern": json.loads(aws("events").describe_rule(Name=ids["Rule"])["EventPattern"])["source"],
        "targets": len(aws("events").list_targets_by_rule(Rule=ids["Rule"])["Targets"]),
        "schedule": aws("scheduler").get_schedule(Name=ids["Schedule"])["ScheduleExpression"],
        "threshold": alarm["Threshold"],
        "starts": machine["StartAt"],
        "team": {found["team"] for found in tags} | {machine_tag["value"]},
    }


FIRST = {
    "policies": ["first"], "managed": [], "returns": 1, "timeout": 20, "variables": {"A": "b"}, "alias": "",
    "permitted": ["sns.amazonaws.com"], "tries": 2, "days": 7, "ttl": "ENABLED", "queue": "first", "pattern": ["a"],
    "targets": 2, "schedule": "rate(5 minutes)", "threshold": 5.0, "starts": "S", "team": {"a"},
}  # fmt: skip
SECOND = {
    "policies": ["second"], "managed": ["AWSLambdaBasicExecutionRole"], "returns": 2, "timeout": 3, "variables": {},
    "alias": "second", "permitted": ["events.amazonaws.com"], "tries": 1, "days": None, "ttl": "DISABLED",
    "queue": "second", "pattern": ["b"], "targets": 1, "schedule": "rate(9 minutes)", "threshold": 9.0, "starts": "T",
    "team": {"b"},
}  # fmt: skip


def test_every_type_is_made_changed_changed_back_and_deleted(aws, cloudformation, stack):
    def ids():
        found = cloudformation.describe_stack_resources(StackName=stack)["StackResources"]
        return {each["LogicalResourceId"]: each["PhysicalResourceId"] for each in found}

    stacks.deploy(aws, stack, everything(second=False))
    at_first = ids()
    assert seen(aws, at_first) == FIRST
    stacks.deploy(aws, stack, everything(second=True))
    assert {name for name, each in ids().items() if each != at_first[name]} == {"Permission"}  # only it is another
    assert seen(aws, ids()) == SECOND
    stacks.deploy(aws, stack, everything(second=False))
    assert seen(aws, ids()) == FIRST
    stacks.delete(cloudformation, stack)
    with pytest.raises(ClientError, match="NoSuchEntity"):
        aws("iam").get_role(RoleName=at_first["Role"])
    for service, call, arguments in [
        ("lambda", "get_function", {"FunctionName": at_first["Function"]}),
        ("dynamodb", "describe_table", {"TableName": at_first["Table"]}),
        ("events", "describe_rule", {"Name": at_first["Rule"]}),
        ("scheduler", "get_schedule", {"Name": at_first["Schedule"]}),
    ]:
        with pytest.raises(ClientError, match="ResourceNotFoundException"):
            getattr(aws(service), call)(**arguments)
    assert aws("logs").describe_log_groups(logGroupNamePrefix=at_first["Log"])["logGroups"] == []
    assert aws("cloudwatch").describe_alarms(AlarmNames=[at_first["Alarm"]])["MetricAlarms"] == []


# -- HTTP APIs ---------------------------------------------------------------------------------------------------------


def api(paths, **more):
    body = {"openapi": "3.0.1", "info": {"title": unique("api"), "version": "1"}, "paths": paths, **more}
    stage = {"ApiId": {"Ref": "Api"}, "StageName": "$default", "AutoDeploy": "true"}
    return {"Api": {"Type": "AWS::ApiGatewayV2::Api", "Properties": {"Body": body}},
            "Stage": {"Type": "AWS::ApiGatewayV2::Stage", "Properties": stage}}  # fmt: skip


def leads_to(function):
    uri = ["arn:aws:apigateway:${AWS::Region}:lambda:path/2015-03-31/functions/${Arn}/invocations",
           {"Arn": {"Fn::GetAtt": [function, "Arn"]}}]  # fmt: skip
    integration = {"type": "aws_proxy", "httpMethod": "POST", "payloadFormatVersion": "2.0", "uri": {"Fn::Sub": uri}}
    return {"x-amazon-apigateway-integration": integration, "responses": {}}


def test_an_http_api_of_an_openapi_document(aws, cloudformation, stack):
    lets = {"Type": "AWS::Lambda::Permission",
            "Properties": {"FunctionName": {"Ref": "Function"}, "Action": "lambda:InvokeFunction",
                           "Principal": "apigateway.amazonaws.com"}}  # fmt: skip
    outputs = {"Outputs": {"Url": {"Value": {"Fn::GetAtt": "Api.ApiEndpoint"}}}}
    says = function("{'statusCode': 200, 'body': event['rawPath']}")

    def has(*paths):
        made = stacks.deploy(aws, stack, template(outputs, **says, Lets=lets, **api({
            path: {"get": leads_to("Function")} for path in paths})))  # fmt: skip
        return made["Outputs"][0]["OutputValue"]

    def answers(path):
        try:
            return urllib.request.urlopen(url + path).read().decode()
        except urllib.error.HTTPError as error:
            return error.code

    url = has("/first")
    assert (answers("/first"), answers("/second")) == ("/first", 404)
    assert has("/second/{id}") == url
    assert (answers("/first"), answers("/second/3")) == (404, "/second/3")


def test_what_is_not_imported_of_an_openapi_document(cloudformation, stack):
    cloudformation.create_stack(StackName=stack, TemplateBody=template(**api({}, components={})))
    assert stacks.settled(cloudformation, stack)["StackStatus"] == "ROLLBACK_COMPLETE"
    assert "The sandbox imports no components of an OpenAPI document." in reasons(cloudformation, stack)["Api"]


# -- SAM ---------------------------------------------------------------------------------------------------------------


def test_sam_is_transformed(aws, cloudformation, stack):
    code = "def handler(event, context):\n    return event\n"
    properties = {"Runtime": "python3.13", "Handler": "index.handler", "InlineCode": code, "AutoPublishAlias": "live"}
    sam = {"Transform": "AWS::Serverless-2016-10-31"}
    text = template(sam, Echo={"Type": "AWS::Serverless::Function", "Properties": properties})
    stacks.deploy(aws, stack, text)
    alias = physical(cloudformation, stack, "EchoAliaslive")
    assert json.load(aws("lambda").invoke(FunctionName=alias, Payload="3")["Payload"]) == 3
    original = cloudformation.get_template(StackName=stack, TemplateStage="Original")["TemplateBody"]
    processed = cloudformation.get_template(StackName=stack, TemplateStage="Processed")["TemplateBody"]
    assert "AWS::Serverless::Function" in str(original) and "AWS::Lambda::Alias" in str(processed)


def test_sam_that_is_wrong_is_refused_in_its_own_words(cloudformation):
    sam = {"Transform": "AWS::Serverless-2016-10-31"}
    text = template(sam, Echo={"Type": "AWS::Serverless::Function", "Properties": {"Runtime": "python3.13"}})
    said = refused(cloudformation, text, Capabilities=stacks.CAPABILITIES)
    assert said.startswith("Transform AWS::Serverless-2016-10-31 failed with: Invalid Serverless Application")
    assert "Resource with id [Echo] is invalid." in said


# -- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text, words",
    [
        (template(Vpc={"Type": "AWS::EC2::VPC"}), "The sandbox does not have the resource types AWS::EC2::VPC."),
        (template(Own={"Type": "Custom::Thing"}), "The sandbox does not have the resource types Custom::Thing."),
        (
            template(Slip={"Type": "AWS::SQS::Line"}),
            "Template format error: Unrecognized resource types: [AWS::SQS::Line]",
        ),
        (
            template(Queue={**QUEUE, "Properties": {"KmsMasterKeyId": "key"}}),
            "The sandbox's AWS::SQS::Queue (Queue) does not have KmsMasterKeyId.",
        ),
        (
            template(Queue={**QUEUE, "CreationPolicy": {}}),
            "The sandbox does not have the attributes CreationPolicy of a resource (here Queue).",
        ),
        (
            template({"Transform": ["AWS::LanguageExtensions", "Mine"]}, Queue=QUEUE),
            "The sandbox has no transform but AWS::Serverless-2016-10-31, and not AWS::LanguageExtensions, Mine.",
        ),
        (
            template(Queue={**QUEUE, "Properties": {"QueueName": {"Fn::Select": [0, {"Fn::GetAZs": ""}]}}}),
            "The sandbox has no intrinsic function Fn::GetAZs.",
        ),
        (
            template(Queue={**QUEUE, "Properties": {"QueueName": "{{resolve:ssm:name}}"}}),
            "The sandbox has no dynamic references: {{resolve:ssm:name}}.",
        ),
        (
            template(Queue={**QUEUE, "Properties": {"QueueName": {"Ref": "Nobody"}}}),
            "Template format error: Unresolved resource dependencies [Nobody] in the Resources block of the template",
        ),
        (
            template(Queue={**QUEUE, "DependsOn": ["Nobody"]}),
            "Template format error: Unresolved resource dependencies [Nobody] in the Resources block of the template",
        ),
        (template({"Hooks": {}}, Queue=QUEUE), "Invalid template property or properties [Hooks]"),
    ],
)
def test_templates_that_are_refused(cloudformation, text, words):
    """What is unresolved is worded as in https://github.com/serverless/serverless/issues/4745."""
    assert refused(cloudformation, text, Capabilities=stacks.CAPABILITIES).startswith(words)
    with pytest.raises(ClientError) as error:
        cloudformation.create_change_set(
            StackName=unique("stack"),
            ChangeSetName="first",
            ChangeSetType="CREATE",
            TemplateBody=text,
            Capabilities=stacks.CAPABILITIES,
        )
    assert error.value.response["Error"]["Message"].startswith(words)


@pytest.mark.parametrize(
    "text, words",
    [
        (template(), "Template format error: At least one Resources member must be defined."),
        (
            template(Queue={"Properties": {}}),
            "Template format error: [/Resources/Queue] Every Resources object must contain a Type member.",
        ),
        (
            template(Queue={"Type": {"Ref": "Kind"}}),
            "Template format error: [/Resources/Queue] Every Type member must be a string.",
        ),
        ('{"Resources": [{}]}', "Template format error: unsupported structure."),
        (template({"Parameters": ["A"]}, Queue=QUEUE), "Template format error: unsupported structure."),
        (template({"Outputs": {"A": "b"}}, Queue=QUEUE), "Template format error: unsupported structure."),
        (template(Queue={**QUEUE, "Properties": ["a"]}), "Template format error: unsupported structure."),
        ("[1]", "Template format error"),
        ("{", "Template format error"),
    ],
)
def test_what_is_no_template_is_refused(cloudformation, text, words):
    """https://github.com/getmoto/moto/pull/10235, https://github.com/aws-cloudformation/cfn-lint/issues/1630."""
    assert refused(cloudformation, text).startswith(words)
    for look in (cloudformation.validate_template, cloudformation.get_template_summary):
        with pytest.raises(ClientError) as error:
            look(TemplateBody=text)
        assert error.value.response["Error"]["Message"].startswith(words)


@pytest.mark.parametrize(
    "options, words",
    [
        ({"RoleARN": "arn:aws:iam::111122223333:role/deploys"}, "The sandbox's CreateStack does not take RoleARN."),
        ({"TimeoutInMinutes": 3}, "The sandbox's CreateStack does not take TimeoutInMinutes."),
        (
            {"NotificationARNs": ["arn:aws:sns:us-east-1:111122223333:told"]},
            "The sandbox's CreateStack does not take NotificationARNs.",
        ),
    ],
)
def test_requests_that_are_refused(cloudformation, options, words):
    assert refused(cloudformation, template(Queue=QUEUE), **options) == words


def test_actions_that_are_refused(cloudformation):
    with pytest.raises(ClientError, match="The sandbox does not have DetectStackDrift"):
        cloudformation.detect_stack_drift(StackName="any")
