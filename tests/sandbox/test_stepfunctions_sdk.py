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
    put = output(call("s3:putObject", Bucket=bucket, Key="a/b c.json", Body={"ä": 1}, Metadata={"made-By": "us"}))
    assert set(put) >= {"ETag"}
    found = output(call("s3:getObject", Bucket=bucket, Key="a/b c.json"))
    assert (found["Body"], found["ContentLength"]) == ('{"ä":1}', 8)
    assert found["LastModified"].endswith("Z")
    listed = output(call("s3:listObjectsV2", Bucket=bucket))
    assert (listed["KeyCount"], listed["IsTruncated"], listed["Contents"][0]["Key"]) == (1, False, "a/b c.json")


@pytest.mark.parametrize(
    ("body", "stored"),
    [({"Dict": "Value"}, b'{"Dict":"Value"}'), (["List", "Data"], b'["List","Data"]'), ("text data", b'"text data"'),
     (False, b"false"), (0, b"0")],
)  # fmt: skip
def test_bytes_are_sent_as_json_text(call, bucket, aws, body, stored):
    """Recorded: test_s3_put_object. A text is in quotation marks, too."""
    output(call("s3:putObject", Bucket=bucket, Key="k", Body=body))
    assert aws("s3").get_object(Bucket=bucket, Key="k")["Body"].read() == stored


def test_a_text_is_sent_as_it_is_and_all_else_as_its_json_text(call, machines, aws):
    """Recorded: test_sfn_start_execution_implicit_json_serialisation, for one parameter; here for several."""
    child = machines.create({"P": {"Type": "Pass", "End": True}})
    for data, text in (({"k": "v"}, '{"k":"v"}'), ([1], "[1]"), ('{"a": 1}', '{"a": 1}')):
        started = output(call("sfn:startExecution", StateMachineArn=child, Input=data))
        assert machines.finish(started["ExecutionArn"])["input"] == text
    entry = {"Source": "test.app", "DetailType": "t", "Detail": {"k": "v"}}
    assert output(call("eventbridge:putEvents", Entries=[entry]))["FailedEntryCount"] == 0
    url = aws("sqs").create_queue(QueueName=unique("queue"))["QueueUrl"]
    output(call("sqs:sendMessage", QueueUrl=url, MessageBody={"a": [None]}))
    assert aws("sqs").receive_message(QueueUrl=url)["Messages"][0]["Body"] == '{"a":[null]}'


def test_an_answer_that_is_an_object(call, machines, aws):
    """aws-samples/step-functions-workflows-collection, parallel-agent-early-stopping: a worker answers so."""
    url = aws("sqs").create_queue(QueueName=unique("queue"))["QueueUrl"]
    send = {"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken", "End": True,
            "Parameters": {"QueueUrl": url, "MessageBody.$": "$$.Task.Token"}}  # fmt: skip
    waiting = machines.start({"S": send})
    messages = until(lambda: aws("sqs").receive_message(QueueUrl=url, WaitTimeSeconds=1).get("Messages"))
    output(call("sfn:sendTaskSuccess", TaskToken=messages[0]["Body"], Output={"report": {"rows": 3}}))
    assert output(machines.finish(waiting)) == {"report": {"rows": 3}}
    run = call("sfn:sendTaskFailure", TaskToken="made up")
    assert run["error"] == "Sfn.InvalidTokenException"
    assert run["cause"].startswith("Invalid Token: 'Invalid token' (Service: Sfn, Status Code: 400, Request ID: ")
    assert run["cause"].endswith(") (SDK Attempt Count: 1)")  # recorded: test_sfn_send_task_outcome_with_no_such_token


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
    token = json.loads(s3.get_object(Bucket=bucket, Key="token")["Body"].read())
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
