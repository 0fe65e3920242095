"""Durable functions invoked by Step Functions, rules, queues and APIs; dead letters; status changes on the event bus.

https://docs.aws.amazon.com/lambda/latest/dg/durable-invoking.html: who waits for an execution does so for 15 minutes at
most. That targets need a version or alias which permits it: `$LATEST` takes no policy (test_durable_executions.py).
"""

import json
import re
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from durable_functions import ACCOUNT, DurableFunctions
from patience import PATIENCE, until
from state_machines import StateMachines, policy, unique

pytestmark = pytest.mark.takes(14)

ADDS = 'return context.step(lambda _: sum(event["numbers"]), name="add")'
WAITS = 'return context.wait_for_callback(lambda *_: None, name="vendor")'


@pytest.fixture(scope="module")
def durable(aws):
    return DurableFunctions(aws)


@pytest.fixture(scope="module")
def machines(aws):
    return StateMachines(aws)


@pytest.fixture(scope="module")
def adding(durable):
    """The name of a function with an alias `live` of its version 1."""
    name = durable.create(ADDS, Publish=True)
    durable.client.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
    return name


def arn_of(name, qualifier=None):
    return f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:{name}" + (f":{qualifier}" if qualifier else "")


def executions(durable, name):
    return durable.client.list_durable_executions_by_function(FunctionName=name)["DurableExecutions"]


class Queue:
    """A queue that may be written to by AWS's services."""

    def __init__(self, aws):
        self.client = aws("sqs")
        self.url = self.client.create_queue(QueueName=unique("durable"))["QueueUrl"]
        attributes = self.client.get_queue_attributes(QueueUrl=self.url, AttributeNames=["QueueArn"])["Attributes"]
        self.arn = attributes["QueueArn"]
        allow = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage"}
        attributes = {"Policy": policy({**allow, "Resource": self.arn})}
        self.client.set_queue_attributes(QueueUrl=self.url, Attributes=attributes)

    def next(self, within=PATIENCE):
        """The next message and its attributes."""

        def receive():
            received = self.client.receive_message(QueueUrl=self.url, MessageAttributeNames=["All"])
            return received.get("Messages")

        message = until(receive, within)[0]
        self.client.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
        attributes = message.get("MessageAttributes", {})
        return json.loads(message["Body"]), {name: value["StringValue"] for name, value in attributes.items()}


@pytest.fixture
def queue(aws):
    return Queue(aws)


# -- Step Functions ---------------------------------------------------------------------------------------------------


def invoke(function, suffix="", **arguments):
    parameters = {"FunctionName": function, "Payload": {"numbers": [1, 2]}, **arguments}
    return {"T": {"Type": "Task", "Resource": f"arn:aws:states:::lambda:invoke{suffix}", "Parameters": parameters,
                  "End": True}}  # fmt: skip


@pytest.mark.parametrize("how", [{}, {"Qualifier": "live"}], ids=["in the ARN", "beside the name"])
def test_a_task_waits_for_a_durable_function(durable, machines, adding, how):
    run = machines.run(invoke(adding if how else arn_of(adding, "live"), **how))
    output = json.loads(run["output"])
    assert (output["Payload"], output["ExecutedVersion"]) == (3, "1")
    assert executions(durable, f"{adding}:1")[0]["Status"] == "SUCCEEDED"


@pytest.mark.parametrize("how", [{}, {"InvocationType": "Event"}], ids=["waiting", "not waiting"])
def test_a_task_needs_a_qualifier(machines, adding, how):
    run = machines.run(invoke(arn_of(adding), **how))
    assert run["error"] == "Lambda.InvalidParameterValueException"
    assert run["cause"].startswith("You cannot invoke a durable function using an unqualified ARN. (Service: AWSLambda")


def test_a_task_cannot_wait_for_more_than_15_minutes(durable, machines):
    """Error and words: public reports of users."""
    run = machines.run(invoke(arn_of(durable.create(ADDS, timeout=901), "$LATEST")))
    assert run["error"] == "Lambda.InvalidParameterValueException"
    assert run["cause"].startswith(
        "You cannot synchronously invoke a durable function with an executionTimeout greater than 15 minutes."
    )


def test_a_task_fails_with_the_error_of_the_durable_function(durable, machines):
    name = durable.create('raise KeyError("rows")')
    run = machines.run(invoke(arn_of(name, "$LATEST")))
    assert run["error"] == "KeyError"
    assert "rows" in json.loads(run["cause"])["errorMessage"]


def test_a_task_with_a_token_is_answered_by_a_durable_function(durable, machines):
    """How a state machine waits longer than 15 minutes for a durable function."""
    body = """
    context.wait(Duration.from_seconds(1))
    send = lambda _: boto3.client("stepfunctions").send_task_success(taskToken=event["token"], output='"moved"')
    context.step(lambda _: send(_) and None, name="tell")
    """
    name = durable.create(body, timeout=86_400, role=durable.role(("states:SendTaskSuccess", "*")))
    run = machines.run(
        invoke(
            arn_of(name, "$LATEST"),
            ".waitForTaskToken",
            InvocationType="Event",
            Payload={"token.$": "$$.Task.Token"},
        )
    )
    assert run["output"] == '"moved"'


# -- rules ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def rule(aws):
    """Make a rule for a function, give a function that sends it an event."""
    events = aws("events")

    def make(target, dead_letters=None):
        source = unique("source")
        arn = events.put_rule(Name=source, EventPattern=json.dumps({"source": [source]}))["RuleArn"]
        more = {"DeadLetterConfig": {"Arn": dead_letters.arn}} if dead_letters else {}
        failed = events.put_targets(Rule=source, Targets=[{"Id": "f", "Arn": target, "InputPath": "$.detail", **more}])
        assert not failed["FailedEntryCount"]

        def send(detail):
            entry = {"Source": source, "DetailType": "numbers", "Detail": json.dumps(detail)}
            assert not events.put_events(Entries=[entry])["FailedEntryCount"]

        return arn, send

    return make


def permit(durable, name, qualifier, principal, source):
    durable.client.add_permission(
        FunctionName=name, Qualifier=qualifier, StatementId=unique("s"), Action="lambda:InvokeFunction",
        Principal=f"{principal}.amazonaws.com", SourceArn=source,
    )  # fmt: skip


def test_a_rule_starts_an_execution_of_an_alias(durable, rule):
    name = durable.create(ADDS, Publish=True)
    durable.client.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
    arn, send = rule(arn_of(name, "live"))
    permit(durable, name, "live", "events", arn)
    send({"numbers": [3, 4]})
    shown = durable.finish(until(lambda: executions(durable, name))[0]["DurableExecutionArn"])
    assert (shown["Result"], shown["Version"]) == ("7", "1")


def test_a_permission_of_another_qualifier_is_none(durable, rule, queue):
    name = durable.create(ADDS, Publish=True)
    for alias in ("live", "next"):
        durable.client.create_alias(FunctionName=name, Name=alias, FunctionVersion="1")
    arn, send = rule(arn_of(name, "live"), queue)
    permit(durable, name, "next", "events", arn)
    send({"numbers": [3, 4]})
    event, attributes = queue.next()
    assert event["detail"] == {"numbers": [3, 4]}
    assert attributes["ERROR_CODE"] == "NO_PERMISSIONS"
    assert arn_of(name, "live") in attributes["ERROR_MESSAGE"]
    assert executions(durable, name) == []


def test_a_rule_needs_a_qualifier(durable, rule, queue):
    """The function's own policy may well permit it; Lambda refuses the invocation."""
    name = durable.create(ADDS)
    _, send = rule(arn_of(name), queue)
    durable.client.add_permission(
        FunctionName=name, StatementId="s", Action="lambda:InvokeFunction", Principal="events.amazonaws.com"
    )
    send({"numbers": [3, 4]})
    assert queue.next()[1]["ERROR_MESSAGE"] == "You cannot invoke a durable function using an unqualified ARN."


# -- queues -----------------------------------------------------------------------------------------------------------


def test_a_queue_starts_executions_and_waits_for_them(durable, queue):
    """An event source mapping, with a qualified name."""
    read = (["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"], "*")
    name = durable.create('return event["Records"][0]["body"]', role=durable.role(read), Publish=True)
    mapping = durable.client.create_event_source_mapping(FunctionName=arn_of(name, "1"), EventSourceArn=queue.arn)
    queue.client.send_message(QueueUrl=queue.url, MessageBody="42")
    shown = durable.finish(until(lambda: executions(durable, name))[0]["DurableExecutionArn"])
    assert shown["Result"] == '"42"'
    durable.client.delete_event_source_mapping(UUID=mapping["UUID"])


# -- APIs -------------------------------------------------------------------------------------------------------------


def get(sandbox, api, path="/"):
    """(status, document) that an API answers with."""
    url = f"{sandbox['endpoint']}/_aws/execute-api/{api}{path}"
    try:
        with urllib.request.urlopen(url) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def http_api(aws, target, **options):
    client = aws("apigatewayv2")
    api = client.create_api(Name=unique("api"), ProtocolType="HTTP")["ApiId"]
    integration = client.create_integration(
        ApiId=api, IntegrationType="AWS_PROXY", IntegrationUri=target, PayloadFormatVersion="2.0", **options
    )["IntegrationId"]
    client.create_route(ApiId=api, RouteKey="GET /rows", Target=f"integrations/{integration}")
    client.create_stage(ApiId=api, StageName="$default", AutoDeploy=True)
    return api


def rest_api(aws, target, **options):
    client = aws("apigateway")
    api = client.create_rest_api(name=unique("api"))["id"]
    root = client.get_resources(restApiId=api)["items"][0]["id"]
    resource = client.create_resource(restApiId=api, parentId=root, pathPart="rows")["id"]
    client.put_method(restApiId=api, resourceId=resource, httpMethod="GET", authorizationType="NONE")
    uri = f"arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/{target}/invocations"
    client.put_integration(
        restApiId=api, resourceId=resource, httpMethod="GET", type="AWS_PROXY", integrationHttpMethod="POST", uri=uri,
        **options,
    )  # fmt: skip
    client.create_deployment(restApiId=api, stageName="prod")
    return api


APIS = pytest.mark.parametrize(
    ("make", "path", "timeout", "denied", "late"),
    [
        (http_api, "/$default/rows", "TimeoutInMillis", (500, "Internal Server Error"), (503, "Service Unavailable")),
        (
            rest_api,
            "/prod/rows",
            "timeoutInMillis",
            (500, "Internal server error"),
            (504, "Endpoint request timed out"),
        ),
    ],
    ids=["HTTP", "REST"],
)


@APIS
def test_an_api_waits_for_a_durable_function(durable, aws, sandbox, make, path, timeout, denied, late):
    """It needs the permission of the alias, and gives up when its integration's time is up."""
    body = """
    if context.step(lambda _: True) and "queryStringParameters" in event and event["queryStringParameters"]:
        context.wait_for_callback(lambda *_: None, name="vendor")
    return {"statusCode": 202, "body": json.dumps({"rows": 3})}
    """
    name = durable.create(body, Publish=True)
    durable.client.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
    durable.client.invoke(FunctionName=f"{name}:live")  # its process is there from now on
    api = make(aws, arn_of(name, "live"), **{timeout: 3000})
    assert get(sandbox, api, path) == (denied[0], {"message": denied[1]})
    permit(durable, name, "live", "apigateway", f"arn:aws:execute-api:us-east-1:{ACCOUNT}:{api}/*/GET/rows")
    assert get(sandbox, api, path) == (202, {"rows": 3})
    assert get(sandbox, api, f"{path}?slow=1") == (late[0], {"message": late[1]})
    slow, quick, _ = executions(durable, name)
    assert (slow["Status"], quick["Status"]) == ("RUNNING", "SUCCEEDED")
    durable.succeed(durable.callback(slow["DurableExecutionArn"]))
    assert durable.finish(slow["DurableExecutionArn"])["Status"] == "SUCCEEDED"


# -- dead letters -----------------------------------------------------------------------------------------------------


@pytest.fixture
def failing(durable, queue):
    """Make a function with a dead-letter queue."""

    def make(body, **options):
        send = durable.role(("sqs:SendMessage", queue.arn))
        return durable.create(body, role=send, DeadLetterConfig={"TargetArn": queue.arn}, **options)

    return make


def test_the_event_of_an_execution_that_failed_is_put_aside_and_not_tried_again(durable, failing, queue):
    """No retries: https://docs.aws.amazon.com/lambda/latest/dg/durable-best-practices.html."""
    name = failing('raise ValueError("no such migration")')
    arn = durable.start(name, {"migration": "m-1"})
    event, attributes = queue.next()
    assert event == {"migration": "m-1"}
    assert (attributes["ErrorCode"], attributes["ErrorMessage"]) == ("200", "no such migration")
    assert re.fullmatch(r"[0-9a-f-]{36}", attributes["RequestID"])
    assert [shown["DurableExecutionArn"] for shown in executions(durable, name)] == [arn]


def test_which_ends_are_put_aside(durable, failing, queue):
    """Those of asynchronous executions, however they fail."""
    waiting = failing(WAITS, timeout=1)
    durable.start(waiting, {"end": "time"})
    assert queue.next()[0] == {"end": "time"}
    stopped = durable.start(failing(WAITS), {"end": "stop"})
    durable.callback(stopped)
    durable.client.stop_durable_execution(DurableExecutionArn=stopped)
    assert queue.next()[0] == {"end": "stop"}
    ends = failing('if event["fail"]:\n    raise ValueError("no")')
    durable.client.invoke(FunctionName=f"{ends}:$LATEST", Payload=b'{"fail": true}')
    durable.finish(durable.start(ends, {"fail": False}))
    durable.start(ends, {"fail": True, "last": True})
    assert queue.next()[0] == {"fail": True, "last": True}


def test_the_role_must_be_allowed_to_put_events_aside(durable, queue, sandbox):
    name = durable.create('raise ValueError("no")', DeadLetterConfig={"TargetArn": queue.arn})
    durable.finish(durable.start(name))

    def logged():
        lines = Path(sandbox["log"]).read_text(encoding="utf-8").splitlines()
        return [line for line in lines if f"The event of {name} is lost" in line and "sqs:SendMessage" in line]

    assert until(logged)


# -- status changes ---------------------------------------------------------------------------------------------------


def test_status_changes_arrive_on_the_event_bus(durable, aws, queue):
    """As https://docs.aws.amazon.com/lambda/latest/dg/durable-monitoring.html shows them."""
    name = durable.create(WAITS)
    events, rule = aws("events"), unique("status")
    pattern = {
        "source": ["aws.lambda"],
        "detail-type": ["Durable Execution Status Change"],
        "detail": {"functionArn": [{"prefix": arn_of(name)}]},
    }
    events.put_rule(Name=rule, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=rule, Targets=[{"Id": "q", "Arn": queue.arn}])
    arn = durable.start(name, DurableExecutionName="rows-7")
    event, _ = queue.next()
    assert (event["source"], event["detail-type"]) == ("aws.lambda", "Durable Execution Status Change")
    assert (event["account"], event["region"], event["resources"]) == (ACCOUNT, "us-east-1", [])
    detail = event["detail"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", detail.pop("startTimestamp"))
    assert detail == {
        "durableExecutionArn": arn,
        "durableExecutionName": "rows-7",
        "functionArn": arn_of(name, "$LATEST"),
        "status": "RUNNING",
    }

    def told():
        return queue.next()[0]["detail"]

    callback = durable.callback(arn)
    durable.wait_for(arn, "InvocationCompleted")
    durable.client.pause_durable_execution(DurableExecutionArn=arn)
    assert told()["status"] == "PAUSED"
    durable.client.resume_durable_execution(DurableExecutionArn=arn)
    assert told()["status"] == "RUNNING"
    durable.succeed(callback)
    ended = told()
    assert ended["status"] == "SUCCEEDED"
    assert ended["endTimestamp"] > ended["startTimestamp"]


def test_how_other_ends_are_told(durable, aws, queue):
    name = durable.create('if event.get("fail"):\n    raise ValueError("no")\ncontext.wait(Duration.from_seconds(600))')
    late = durable.create("context.wait(Duration.from_seconds(60))", timeout=1)
    events, rule = aws("events"), unique("status")
    functions = [arn_of(name, "$LATEST"), arn_of(late, "$LATEST")]
    detail = {"functionArn": functions, "status": ["FAILED", "STOPPED", "TIMED_OUT"]}
    events.put_rule(Name=rule, EventPattern=json.dumps({"source": ["aws.lambda"], "detail": detail}))
    events.put_targets(Rule=rule, Targets=[{"Id": "q", "Arn": queue.arn, "InputPath": "$.detail.status"}])
    durable.start(name, {"fail": True})
    assert queue.next()[0] == "FAILED"
    durable.client.stop_durable_execution(DurableExecutionArn=durable.start(name))
    assert queue.next()[0] == "STOPPED"
    durable.start(late)
    assert queue.next()[0] == "TIMED_OUT"
