"""Each call of a task is made with the state machine's execution role.

A missing permission on Lambda: recorded (shared facts J). The same of other services follows from how their errors are
named (integrations.py) and is not recorded; nor is which event a plain function's ARN writes.
"""

import json

import pytest
from botocore.exceptions import ClientError
from state_machines import StateMachines, function, policy, unique


@pytest.fixture(scope="module")
def machines(aws):
    return StateMachines(aws)


@pytest.fixture(scope="module")
def run_with(machines, aws):
    """Run a Task with a role that has these permissions (action -> resource): the execution."""

    def run(task, permissions, **more):
        arn = make_role(aws, permissions)
        definition = {"StartAt": "T", "States": {"T": {"Type": "Task", "End": True, **task}}}
        machine = machines.client.create_state_machine(
            name=unique("machine"), definition=json.dumps(definition), roleArn=arn
        )["stateMachineArn"]
        return machines.finish(machines.client.start_execution(stateMachineArn=machine)["executionArn"])

    return run


def make_role(aws, permissions, service="states.amazonaws.com"):
    iam, name = aws("iam"), unique("role")
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": service}}
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=policy(trust))["Role"]["Arn"]
    if permissions:
        allow = [{"Effect": "Allow", "Action": a, "Resource": r} for a, r in permissions.items()]
        iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=policy(*allow))
    return arn


def missing(run, action, resource):
    """Whether a failed execution's cause names what its role lacks."""
    role_name = run["cause"].split("assumed-role/")[1].split("/")[0]
    return role_name.startswith("role-") and (
        f"is not authorized to perform: {action} on resource: {resource} because no identity-based policy allows "
        f"the {action} action (Service: "
    ) in run["cause"]  # fmt: skip


def test_lambda(run_with, aws, machines):
    name = function(aws, "def handler(event, context):\n    return 1")
    arn = aws("lambda").get_function(FunctionName=name)["Configuration"]["FunctionArn"]
    for task in ({"Resource": "arn:aws:states:::lambda:invoke", "Parameters": {"FunctionName": name}},
                 {"Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken", "Parameters": {"FunctionName": arn}},
                 {"Resource": arn}):  # fmt: skip
        run = run_with(task, {})
        assert run["error"] == "Lambda.AWSLambdaException"
        assert missing(run, "lambda:InvokeFunction", arn), run["cause"]
        assert "Status Code: 403; Error Code: AccessDeniedException" in run["cause"]
        kinds = [kind for _, _, kind in machines.shape(run["executionArn"])]
        assert kinds[2:4] in (["TaskScheduled", "TaskStarted"], ["LambdaFunctionScheduled", "LambdaFunctionStarted"])
        assert kinds[4] in ("TaskFailed", "LambdaFunctionFailed")
    invoke = {"Resource": "arn:aws:states:::lambda:invoke", "Parameters": {"FunctionName": name}}
    assert run_with(invoke, {"lambda:InvokeFunction": arn})["status"] == "SUCCEEDED"
    assert run_with(invoke, {"lambda:*": f"{arn}*"})["status"] == "SUCCEEDED"
    assert run_with(invoke, {"lambda:InvokeFunction": arn + "x"})["error"] == "Lambda.AWSLambdaException"


def test_other_services(run_with, aws):
    sqs, dynamodb, s3 = aws("sqs"), aws("dynamodb"), aws("s3")
    queue, table, bucket = unique("queue"), unique("table"), unique("bucket")
    url = sqs.create_queue(QueueName=queue)["QueueUrl"]
    dynamodb.create_table(TableName=table, BillingMode="PAY_PER_REQUEST",
                          AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
                          KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}])  # fmt: skip
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    here = "us-east-1:111122223333"
    item = {"TableName": table, "Item": {"id": {"S": "1"}}}
    entry = {"Entries": [{"Source": "s", "DetailType": "d", "Detail": {}}]}
    cases = [
        ("sqs:sendMessage", {"QueueUrl": url, "MessageBody": "m"}, "sqs:SendMessage", f"arn:aws:sqs:{here}:{queue}",
         "SQS.AmazonSQSException"),
        ("dynamodb:putItem", item, "dynamodb:PutItem", f"arn:aws:dynamodb:{here}:table/{table}",
         "DynamoDB.AmazonDynamoDBException"),
        ("aws-sdk:dynamodb:putItem", item, "dynamodb:PutItem", f"arn:aws:dynamodb:{here}:table/{table}",
         "DynamoDb.DynamoDbException"),
        ("events:putEvents", entry, "events:PutEvents", f"arn:aws:events:{here}:event-bus/default",
         "EventBridge.AmazonEventBridgeException"),
        ("aws-sdk:s3:getObject", {"Bucket": bucket, "Key": "k"}, "s3:GetObject", f"arn:aws:s3:::{bucket}/k",
         "S3.S3Exception"),
        ("aws-sdk:s3:listObjectsV2", {"Bucket": bucket}, "s3:ListBucket", f"arn:aws:s3:::{bucket}", "S3.S3Exception"),
    ]  # fmt: skip
    for resource, parameters, action, arn, error in cases:
        task = {"Resource": f"arn:aws:states:::{resource}", "Parameters": parameters}
        run = run_with(task, {"logs:*": "*"})
        named = f'"{arn}"' if error.startswith("S3") else arn  # S3 puts it in quotation marks
        assert (run["error"], missing(run, action, named)) == (error, True), run
        run = run_with(task, {action: arn})
        assert run["status"] == "SUCCEEDED", (resource, run.get("error"), run.get("cause"))


def test_a_permissions_boundary_binds(machines, aws):
    iam, arn = aws("iam"), make_role(aws, {"sqs:*": "*"})
    only_logs = policy({"Effect": "Allow", "Action": "logs:*", "Resource": "*"})
    boundary = iam.create_policy(PolicyName=unique("boundary"), PolicyDocument=only_logs)["Policy"]["Arn"]
    iam.put_role_permissions_boundary(RoleName=arn.split("/")[-1], PermissionsBoundary=boundary)
    url = aws("sqs").create_queue(QueueName=unique("queue"))["QueueUrl"]
    send = {"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage", "End": True,
            "Parameters": {"QueueUrl": url, "MessageBody": "m"}}  # fmt: skip
    machine = machines.client.create_state_machine(
        name=unique("machine"), definition=json.dumps({"StartAt": "T", "States": {"T": send}}), roleArn=arn
    )["stateMachineArn"]
    run = machines.finish(machines.client.start_execution(stateMachineArn=machine)["executionArn"])
    assert run["error"] == "SQS.AmazonSQSException"
    assert "is not authorized to perform: sqs:SendMessage" in run["cause"]


def test_nested_execution_and_dms(run_with, machines):
    child = machines.create({"P": {"Type": "Pass", "End": True}})
    nested = {"Resource": "arn:aws:states:::states:startExecution.sync", "Parameters": {"StateMachineArn": child}}
    run = run_with(nested, {})
    assert run["error"] == "StepFunctions.AWSStepFunctionsException"
    assert missing(run, "states:StartExecution", child)
    assert run_with(nested, {"states:StartExecution": child})["status"] == "SUCCEEDED"
    task = "arn:aws:dms:us-east-1:111122223333:task:NONE"
    start = {"Resource": "arn:aws:states:::aws-sdk:databasemigration:startReplicationTask",
             "Parameters": {"ReplicationTaskArn": task, "StartReplicationTaskType": "start-replication"}}  # fmt: skip
    run = run_with(start, {})
    assert run["error"] == "DatabaseMigration.DatabaseMigrationException"
    assert missing(run, "dms:StartReplicationTask", task)
    run = run_with(start, {"dms:StartReplicationTask": task})
    assert run["error"] == "DatabaseMigration.ResourceNotFoundException"


def test_denials_and_policies_of_the_called(run_with, aws):
    """An explicit Deny wins; what is called may allow by its own policy, as within one account on AWS."""
    queue, sqs = unique("queue"), aws("sqs")
    url = sqs.create_queue(QueueName=queue)["QueueUrl"]
    arn = f"arn:aws:sqs:us-east-1:111122223333:{queue}"
    allow = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sqs:SendMessage", "Resource": arn}
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy(allow)})
    send = {"Resource": "arn:aws:states:::sqs:sendMessage", "Parameters": {"QueueUrl": url, "MessageBody": "m"}}
    assert run_with(send, {})["status"] == "SUCCEEDED"


def test_a_denied_call_can_be_caught(machines, aws):
    states = {
        "T": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Parameters": {"FunctionName": "f"},
              "End": True, "Catch": [{"ErrorEquals": ["Lambda.AWSLambdaException"], "Next": "C"}]},
        "C": {"Type": "Pass", "End": True},
    }  # fmt: skip
    definition = json.dumps({"StartAt": "T", "States": states})
    machine = machines.client.create_state_machine(
        name=unique("machine"), definition=definition, roleArn=make_role(aws, {})
    )["stateMachineArn"]
    run = machines.finish(machines.client.start_execution(stateMachineArn=machine)["executionArn"])
    assert json.loads(run["output"])["Error"] == "Lambda.AWSLambdaException"


def test_the_role_must_trust_step_functions(machines, aws):
    """As AWS answers when a role does not (or not yet) trust it."""
    definition = json.dumps({"StartAt": "P", "States": {"P": {"Type": "Pass", "End": True}}})
    with pytest.raises(ClientError) as refused:
        machines.client.create_state_machine(
            name=unique("machine"), definition=definition, roleArn=make_role(aws, {}, "lambda.amazonaws.com")
        )
    error = refused.value.response["Error"]
    assert error["Code"] == "AccessDeniedException"
    assert "is authorized to assume the provided role" in error["Message"]
