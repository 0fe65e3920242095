"""`aws-sdk` tasks on services whose requests are more than a JSON document: names, results and errors as on AWS.

Names follow the AWS SDK for Java 2, as documented
(https://docs.aws.amazon.com/step-functions/latest/dg/supported-services-awssdk.html); results are not recorded.
"""

import json

import pytest
from state_machines import StateMachines, function, role, unique, until


@pytest.fixture(scope="module")
def machines(aws):
    return StateMachines(aws)


@pytest.fixture(scope="module")
def call(machines):
    """The execution of one state that calls an operation with these arguments."""

    def run(operation, /, **arguments):
        task = {"Type": "Task", "Resource": f"arn:aws:states:::aws-sdk:{operation}", "End": True}
        return machines.run({"T": {**task, "Parameters": arguments}})

    return run


@pytest.fixture
def bucket(aws):
    name = unique("bucket")
    aws("s3").create_bucket(Bucket=name)
    return name


def output(run):
    assert run["status"] == "SUCCEEDED", (run.get("error"), run.get("cause"))
    return json.loads(run["output"])


def test_objects(call, bucket):
    put = output(call("s3:putObject", Bucket=bucket, Key="a/b c.json", Body='{"ä": 1}', Metadata={"made-By": "us"}))
    assert set(put) >= {"ETag"}
    found = output(call("s3:getObject", Bucket=bucket, Key="a/b c.json"))
    assert (found["Body"], found["ContentLength"]) == ('{"ä": 1}', 9)
    assert found["LastModified"].endswith("Z")
    listed = output(call("s3:listObjectsV2", Bucket=bucket))
    assert (listed["KeyCount"], listed["IsTruncated"], listed["Contents"][0]["Key"]) == (1, False, "a/b c.json")


def test_a_body_that_is_an_object(call, bucket, aws):
    output(call("s3:putObject", Bucket=bucket, Key="k", Body={"a": [1]}))
    assert aws("s3").get_object(Bucket=bucket, Key="k")["Body"].read() == b'{"a":[1]}'


def test_functions(call, aws):
    name = function(aws, "def handler(event, context):\n    return {'got': event}")
    answer = output(call("lambda:invoke", FunctionName=name, Payload={"a": 1}))
    assert (answer["StatusCode"], answer["Payload"]) == (200, '{"got": {"a": 1}}')
    shown = output(call("lambda:getFunctionConfiguration", FunctionName=name))
    assert shown["Role"] == role(aws)
    run = call("lambda:getFunctionConfiguration", FunctionName="nobody")
    assert run["error"] == "Lambda.ResourceNotFoundException"
    assert "(Service: Lambda, Status Code: 404, Request ID: " in run["cause"]


def test_schedules_and_identity(call, aws, machines):
    target = {"Arn": machines.create({"P": {"Type": "Pass", "End": True}}), "RoleArn": role(aws)}
    name = unique("schedule")
    arguments = {"ScheduleExpression": "rate(1 day)", "FlexibleTimeWindow": {"Mode": "OFF"}, "Target": target}
    output(call("scheduler:createSchedule", Name=name, **arguments))
    assert aws("scheduler").get_schedule(Name=name)["ScheduleExpression"] == "rate(1 day)"
    run = call("scheduler:createSchedule", Name=name, **arguments)
    assert run["error"] == "Scheduler.ConflictException"
    me = output(call("sts:getCallerIdentity"))
    assert ":assumed-role/workshop-tests/" in me["Arn"]


def test_a_token_that_an_object_keeps(machines, bucket, aws):
    task = {"Type": "Task", "Resource": "arn:aws:states:::aws-sdk:s3:putObject.waitForTaskToken", "End": True,
            "Parameters": {"Bucket": bucket, "Key": "token", "Body.$": "$$.Task.Token"}}  # fmt: skip
    arn = machines.start({"T": task})
    s3 = aws("s3")
    until(lambda: s3.list_objects_v2(Bucket=bucket)["KeyCount"])
    token = s3.get_object(Bucket=bucket, Key="token")["Body"].read().decode()
    machines.client.send_task_success(taskToken=token, output='"kept"')
    assert output(machines.finish(arn)) == "kept"


def test_refusals(call, bucket):
    run = call("s3:getObject", Bucket=bucket, Key="nothing")
    assert (run["error"], "Status Code: 404" in run["cause"]) == ("S3.NoSuchKeyException", True)
    run = call("s3:getObject", Bucket=bucket, Key="k", Colour="red")
    assert run["error"] == "States.Runtime"
    assert "[The field 'Colour' is not supported by Step Functions]" in run["cause"]
    run = call("s3:getObject", Bucket=bucket)
    assert run["error"] == "States.Runtime" and "Key" in run["cause"]
