"""How EventBridge delivers: with permission, at least once, and what cannot be delivered into a dead-letter queue.

The attributes of dead letters, and what is not tried again:
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html. The words of ERROR_MESSAGE are the sandbox's.
"""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from botocore.exceptions import ClientError
from handlers import Functions
from state_machines import StateMachines, policy, unique, until
from test_functions_async import Queue

ACCOUNT = "111122223333"
SEEING = "import json\ndef handler(event, context):\n    print('seen', json.dumps(event))"


@pytest.fixture(scope="module")
def functions(own_aws, own_sandbox):
    return Functions(own_aws, own_sandbox)


@pytest.fixture(autouse=True)
def short_pauses(functions):
    before = functions.settings()
    functions.settings(retry_seconds=[0.05, 0.1], delivery_retry_seconds=0.05)
    yield
    functions.settings(**{name: before[name] for name in ("retry_seconds", "delivery_retry_seconds")})


@pytest.fixture
def dead(own_aws):
    return Queue(own_aws)


class Rule:
    """A rule of the default bus that matches events of a source of its own."""

    def __init__(self, aws, **options):
        self.events = aws("events")
        self.source = unique("source")
        self.name = unique("rule")
        pattern = json.dumps({"source": [self.source]})
        self.arn = self.events.put_rule(Name=self.name, EventPattern=pattern, **options)["RuleArn"]

    def target(self, arn, **options):
        self.events.put_targets(Rule=self.name, Targets=[{"Id": "1", "Arn": arn, **options}])

    def send(self, **detail):
        entry = {"Source": self.source, "DetailType": "test", "Detail": json.dumps(detail), "Resources": ["arn:one"]}
        answer = self.events.put_events(Entries=[entry])
        assert answer["FailedEntryCount"] == 0
        return answer["Entries"][0]["EventId"]


def arn_of(name):
    return f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:{name}"


def permit(functions, name, rule_arn, **more):
    functions.client.add_permission(
        FunctionName=name, StatementId=unique("s"), Action="lambda:InvokeFunction", Principal="events.amazonaws.com",
        SourceArn=rule_arn, **more,
    )  # fmt: skip


def attributes(message):
    return {name: value["StringValue"] for name, value in message["MessageAttributes"].items()}


def seen(functions, name, count=1):
    messages = functions.wait_for_message(name, "seen", count)
    return [json.loads(message.removeprefix("seen ")) for message in messages]


def role_for(aws, service, permissions):
    iam, name = aws("iam"), unique("role")
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": service}}
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=policy(trust))["Role"]["Arn"]
    statements = [{"Effect": "Allow", "Action": action, "Resource": where} for action, where in permissions.items()]
    if statements:
        iam.put_role_policy(RoleName=name, PolicyName="permissions", PolicyDocument=policy(*statements))
    return arn


# -- permission --------------------------------------------------------------------------------------------------------


def test_a_function_that_permits_it_gets_the_event(functions, own_aws):
    rule, name = Rule(own_aws), functions.create(SEEING)
    permit(functions, name, rule.arn)
    rule.target(arn_of(name))
    identity = rule.send(answer=42)
    event = seen(functions, name)[0]
    assert event.pop("time").endswith("Z")
    assert event == {
        "version": "0", "id": identity, "detail-type": "test", "source": rule.source, "account": ACCOUNT,
        "region": "us-east-1", "resources": ["arn:one"], "detail": {"answer": 42},
    }  # fmt: skip


def test_a_function_that_does_not_permit_it_is_not_invoked(functions, own_aws, dead):
    rule, name = Rule(own_aws), functions.create(SEEING)
    dead.permit("events.amazonaws.com", rule.arn)
    rule.target(arn_of(name), DeadLetterConfig={"Arn": dead.arn})
    rule.send(answer=42)
    message = dead.next()
    assert json.loads(message["Body"])["detail"] == {"answer": 42}
    assert attributes(message) == {
        "RULE_ARN": rule.arn,
        "TARGET_ARN": arn_of(name),
        "ERROR_CODE": "NO_PERMISSIONS",
        "ERROR_MESSAGE": (
            "User: events.amazonaws.com is not authorized to perform: lambda:InvokeFunction on resource: "
            f"{arn_of(name)} because no resource-based policy allows the lambda:InvokeFunction action"
        ),
        "RETRY_ATTEMPTS": "0",
    }
    assert functions.messages(name) == []


def test_permission_for_another_rule_is_none(functions, own_aws, dead):
    rule, other, name = Rule(own_aws), Rule(own_aws), functions.create(SEEING)
    dead.permit("events.amazonaws.com", rule.arn)
    permit(functions, name, other.arn)
    rule.target(arn_of(name), DeadLetterConfig={"Arn": dead.arn})
    rule.send()
    assert attributes(dead.next())["ERROR_CODE"] == "NO_PERMISSIONS"
    permit(functions, name, f"arn:aws:events:us-east-1:{ACCOUNT}:rule/*")
    rule.send(now=True)
    assert seen(functions, name)[0]["detail"] == {"now": True}


def test_permission_is_given_to_a_version_or_alias(functions, own_aws, dead):
    rule, name = Rule(own_aws), functions.create(SEEING)
    functions.client.publish_version(FunctionName=name)
    dead.permit("events.amazonaws.com", rule.arn)
    permit(functions, name, rule.arn, Qualifier="1")
    rule.target(arn_of(name), DeadLetterConfig={"Arn": dead.arn})
    rule.send()
    assert attributes(dead.next())["ERROR_CODE"] == "NO_PERMISSIONS"
    rule.target(f"{arn_of(name)}:1")
    rule.send(version=1)
    assert seen(functions, name)[0]["detail"] == {"version": 1}


def test_a_role_of_the_target_permits_it_too(functions, own_aws, dead):
    rule, name = Rule(own_aws), functions.create(SEEING)
    dead.permit("events.amazonaws.com", rule.arn)
    role = role_for(own_aws, "events.amazonaws.com", {"lambda:InvokeFunction": arn_of(name)})
    rule.target(arn_of(name), RoleArn=role)
    rule.send()
    seen(functions, name)
    for role, code in (
        (role_for(own_aws, "events.amazonaws.com", {}), "NO_PERMISSIONS"),
        (role_for(own_aws, "lambda.amazonaws.com", {"lambda:InvokeFunction": "*"}), "FAILED_TO_ASSUME_ROLE"),
    ):
        rule.target(arn_of(name), RoleArn=role, DeadLetterConfig={"Arn": dead.arn})
        rule.send()
        assert attributes(dead.next())["ERROR_CODE"] == code


def test_a_queue_permits_it_in_its_policy(own_aws, dead):
    rule, queue = Rule(own_aws), Queue(own_aws)
    dead.permit("events.amazonaws.com", rule.arn)
    rule.target(queue.arn, DeadLetterConfig={"Arn": dead.arn})
    rule.send(number=1)
    found = attributes(dead.next())
    assert found["ERROR_CODE"] == "NO_PERMISSIONS"
    assert "sqs:SendMessage on resource: " + queue.arn in found["ERROR_MESSAGE"]
    queue.permit("events.amazonaws.com", rule.arn)
    rule.send(number=2)
    assert json.loads(queue.next()["Body"])["detail"] == {"number": 2}


def test_a_state_machine_needs_a_role(own_aws, dead):
    machines, rule = StateMachines(own_aws), Rule(own_aws)
    machine = machines.create({"Done": {"Type": "Pass", "End": True}})
    with pytest.raises(ClientError) as refused:
        rule.target(machine)
    assert refused.value.response["Error"]["Code"] == "ValidationException"
    assert refused.value.response["Error"]["Message"] == f"RoleArn is required for target {machine}."

    def executions():
        return machines.client.list_executions(stateMachineArn=machine)["executions"]

    rule.target(machine, RoleArn=role_for(own_aws, "events.amazonaws.com", {"states:StartExecution": machine}))
    rule.send(answer=42)
    found = machines.finish(until(executions)[0]["executionArn"])
    assert json.loads(found["output"])["detail"] == {"answer": 42}
    dead.permit("events.amazonaws.com", rule.arn)
    rule.target(machine, RoleArn=role_for(own_aws, "events.amazonaws.com", {}), DeadLetterConfig={"Arn": dead.arn})
    rule.send()
    assert "states:StartExecution on resource: " + machine in attributes(dead.next())["ERROR_MESSAGE"]
    assert len(executions()) == 1


def test_a_schedule_acts_with_its_role(functions, own_aws, dead):
    name = functions.create(SEEING)
    scheduler = own_aws("scheduler")
    for role, letter in (
        (role_for(own_aws, "scheduler.amazonaws.com", {"lambda:InvokeFunction": arn_of(name)}), False),
        (role_for(own_aws, "scheduler.amazonaws.com", {"sqs:SendMessage": dead.arn}), True),
    ):
        scheduler.create_schedule(
            Name=unique("schedule"), ScheduleExpression="at(2020-01-01T00:00:00)", FlexibleTimeWindow={"Mode": "OFF"},
            Target={"Arn": arn_of(name), "RoleArn": role, "Input": '{"by": "schedule"}',
                    "DeadLetterConfig": {"Arn": dead.arn}},
        )  # fmt: skip
        if letter:
            assert "lambda:InvokeFunction on resource" in attributes(dead.next())["ERROR_MESSAGE"]
        else:
            assert seen(functions, name) == [{"by": "schedule"}]


def test_a_schedule_that_was_changed_counts_from_then_on(functions, own_aws):
    """It had been looked at as one that is due in an hour. What it is now is due."""
    name = functions.create(SEEING)
    scheduler, role = own_aws("scheduler"), role_for(own_aws, "scheduler.amazonaws.com", {"lambda:InvokeFunction": "*"})

    def schedule(call, expression, by, **options):
        target = {"Arn": arn_of(name), "RoleArn": role, "Input": json.dumps({"by": by})}
        call(ScheduleExpression=expression, FlexibleTimeWindow={"Mode": "OFF"}, Target=target, **options)

    changed = unique("schedule")
    schedule(scheduler.create_schedule, "rate(1 hour)", "an hour", Name=changed)
    schedule(scheduler.create_schedule, "at(2020-01-01T00:00:00)", "another", Name=unique("schedule"))
    assert seen(functions, name) == [{"by": "another"}]  # schedules were looked at
    schedule(scheduler.update_schedule, "at(2020-01-01T00:00:00)", "changed", Name=changed)
    assert seen(functions, name, 2) == [{"by": "another"}, {"by": "changed"}]


def test_a_dead_letter_queue_must_permit_it_too(functions, own_aws, dead, own_sandbox):
    rule, name = Rule(own_aws), functions.create(SEEING)
    rule.target(arn_of(name), DeadLetterConfig={"Arn": dead.arn})
    rule.send()

    def told():
        with open(own_sandbox["log"], encoding="utf-8") as log:
            return [line for line in log if dead.arn in line and "sqs:SendMessage" in line]

    assert until(told)
    assert "Messages" not in dead.client.receive_message(QueueUrl=dead.url)


def test_what_cannot_be_a_dead_letter_queue(functions, own_aws):
    rule, name = Rule(own_aws), functions.create(SEEING)
    for arn in (arn_of(name), f"arn:aws:sqs:us-east-1:{ACCOUNT}:queue.fifo"):
        with pytest.raises(ClientError) as refused:
            rule.target(arn_of(name), DeadLetterConfig={"Arn": arn})
        assert refused.value.response["Error"]["Code"] == "ValidationException"


# -- what fails --------------------------------------------------------------------------------------------------------


def test_a_target_that_is_gone_is_not_tried_again(functions, own_aws, dead):
    rule, name = Rule(own_aws), functions.create(SEEING)
    permit(functions, name, rule.arn)
    rule.target(arn_of(name), DeadLetterConfig={"Arn": dead.arn})
    dead.permit("events.amazonaws.com", rule.arn)
    functions.client.delete_function(FunctionName=name)
    rule.send()
    found = attributes(dead.next())
    assert (found["ERROR_CODE"], found["RETRY_ATTEMPTS"]) == ("NO_RESOURCE", "0")
    assert "EXHAUSTED_RETRY_CONDITION" not in found


def test_an_error_of_the_function_is_retried_by_lambda_and_no_dead_letter_of_the_rule(functions, own_aws, dead):
    own = Queue(own_aws)
    code = "def handler(event, context):\n    print('try')\n    raise ValueError('boom')"
    rule, name = Rule(own_aws), functions.create(code, DeadLetterConfig={"TargetArn": own.arn})
    permit(functions, name, rule.arn)
    dead.permit("events.amazonaws.com", rule.arn)
    rule.target(arn_of(name), DeadLetterConfig={"Arn": dead.arn})
    rule.send(answer=42)
    assert json.loads(own.next()["Body"])["detail"] == {"answer": 42}
    assert [message for message in functions.messages(name) if message == "try\n"] == ["try\n"] * 3
    assert "Messages" not in dead.client.receive_message(QueueUrl=dead.url)


class Endpoint:
    """An HTTP server that answers with the statuses it was told, then with 200, as target of a rule."""

    def __init__(self, aws, statuses):
        self.requests = requests = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                requests.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(statuses.pop(0) if statuses else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args):
                """Keep quiet."""

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        events = aws("events")
        parameters = {"ApiKeyAuthParameters": {"ApiKeyName": "key", "ApiKeyValue": "value"}}
        connection = events.create_connection(
            Name=unique("connection"), AuthorizationType="API_KEY", AuthParameters=parameters
        )
        self.arn = events.create_api_destination(
            Name=unique("destination"), ConnectionArn=connection["ConnectionArn"], HttpMethod="POST",
            InvocationEndpoint=f"http://127.0.0.1:{self._server.server_port}/hook",
        )["ApiDestinationArn"]  # fmt: skip
        self.role = role_for(aws, "events.amazonaws.com", {"events:InvokeApiDestination": self.arn})

    def close(self):
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def endpoint(own_aws):
    made = []

    def make(*statuses):
        made.append(Endpoint(own_aws, list(statuses)))
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_a_failing_target_is_tried_again_until_it_works(own_aws, endpoint):
    """And no more then: a fourth request would come before the last one for an event that is sent later."""
    rule, hook = Rule(own_aws), endpoint(500, 429, 200, 500, 500, 500)
    rule.target(hook.arn, RoleArn=hook.role)
    identity = rule.send(answer=42)
    until(lambda: len(hook.requests) == 3)
    other = rule.send(answer=43)
    until(lambda: len(hook.requests) >= 7)
    assert [request["id"] for request in hook.requests] == [identity] * 3 + [other] * 4


def test_the_retry_policy_of_a_target_then_its_dead_letter_queue(own_aws, endpoint, dead):
    rule, hook = Rule(own_aws), endpoint(*[503] * 9)
    dead.permit("events.amazonaws.com", rule.arn)
    retry, letters = {"MaximumRetryAttempts": 2, "MaximumEventAgeInSeconds": 60}, {"Arn": dead.arn}
    rule.target(hook.arn, RoleArn=hook.role, RetryPolicy=retry, DeadLetterConfig=letters)
    rule.send(answer=42)
    found = attributes(dead.next())
    assert (found["ERROR_CODE"], found["RETRY_ATTEMPTS"]) == ("ERROR_FROM_TARGET", "2")
    assert found["EXHAUSTED_RETRY_CONDITION"] == "MaximumRetryAttempts"
    assert len(hook.requests) == 3


def test_an_error_that_is_no_use_to_try_again(own_aws, endpoint, dead):
    rule, hook = Rule(own_aws), endpoint(400)
    dead.permit("events.amazonaws.com", rule.arn)
    rule.target(hook.arn, RoleArn=hook.role, DeadLetterConfig={"Arn": dead.arn})
    rule.send()
    found = attributes(dead.next())
    assert (found["ERROR_CODE"], found["RETRY_ATTEMPTS"]) == ("ERROR_FROM_TARGET", "0")


def test_nobody_listens_there(own_aws, endpoint, dead):
    rule, hook = Rule(own_aws), endpoint()
    hook.close()
    dead.permit("events.amazonaws.com", rule.arn)
    retry = {"MaximumRetryAttempts": 1, "MaximumEventAgeInSeconds": 60}
    rule.target(hook.arn, RoleArn=hook.role, RetryPolicy=retry, DeadLetterConfig={"Arn": dead.arn})
    rule.send()
    found = attributes(dead.next())
    assert (found["ERROR_CODE"], found["RETRY_ATTEMPTS"]) == ("CONNECTION_FAILURE", "1")


# -- what a target gets ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"Input": '{"fixed": true}'}, {"fixed": True}),
        ({"InputPath": "$.detail"}, {"task": {"name": "one"}}),
        ({"InputPath": "$.detail.task.name"}, "one"),
        ({"InputTransformer": {"InputPathsMap": {"who": "$.detail.task.name"},
                               "InputTemplate": '{"name": <who>, "rule": "<aws.events.rule-name>"}'}},
         {"name": "one", "rule": "RULE"}),
        # Indices, wildcards, dashes and slashes: eb-transform-target-input.html.
        ({"InputPath": "$.resources[0]"}, "arn:one"),
        ({"InputTransformer": {"InputPathsMap": {"which": "$.resources[0]", "kind": "$.detail-type"},
                               "InputTemplate": '{"which": <which>, "kind": "<kind>"}'}},
         {"which": "arn:one", "kind": "test"}),
        ({"InputTransformer": {"InputPathsMap": {"all": "$.detail.task.rows[*].n", "any": "$.detail.task.rows[1].*"},
                               "InputTemplate": '{"all": <all>, "any": <any>}'}}, {"all": [1, 2], "any": [2]}),
        # A list in a text loses its quotation marks, and what is not there is an empty text: recorded.
        ({"InputTransformer": {"InputPathsMap": {"all": "$.resources", "none": "$.detail.missing"},
                               "InputTemplate": '"<all> and <none>"'}}, "[arn:one] and "),
        ({"InputTransformer": {"InputPathsMap": {"none": "$.detail.missing"}, "InputTemplate": '{"v": <none>}'}},
         {"v": ""}),
    ],
)  # fmt: skip
def test_the_input_of_a_target(functions, own_aws, options, expected):
    """Recordings: localstack/localstack, tests/aws/services/events/test_events_inputs.snapshot.json."""
    rule, name = Rule(own_aws), functions.create(SEEING)
    permit(functions, name, rule.arn)
    rule.target(arn_of(name), **options)
    rule.send(task={"name": "one", "rows": [{"n": 1}, {"n": 2}]} if "rows" in str(options) else {"name": "one"})
    found = json.dumps(seen(functions, name)[0]).replace(rule.name, "RULE")
    assert json.loads(found) == expected


def test_an_input_that_is_no_json_goes_to_no_function(functions, own_aws, dead):
    rule, name = Rule(own_aws), functions.create(SEEING)
    permit(functions, name, rule.arn)
    dead.permit("events.amazonaws.com", rule.arn)
    transformer = {"InputPathsMap": {"who": "$.source"}, "InputTemplate": "hello <who>"}
    rule.target(arn_of(name), InputTransformer=transformer, DeadLetterConfig={"Arn": dead.arn})
    rule.send()
    assert attributes(dead.next())["ERROR_CODE"] == "INVALID_JSON"


@pytest.mark.parametrize(
    "options",
    [
        # Recorded, test_input_transformer_nested_keys_replacement_not_valid: nothing arrives.
        {"InputTransformer": {"InputPathsMap": {"all": "$.resources"}, "InputTemplate": '{"all": "<all>"}'}},
        # What AWS does with it is not known.
        {"InputPath": "$.detail.missing"},
    ],
)
def test_an_event_that_cannot_be_made_into_the_input_is_not_delivered(own_aws, dead, options):
    rule, queue = Rule(own_aws), Queue(own_aws)
    for one in (queue, dead):
        one.permit("events.amazonaws.com", rule.arn)
    rule.target(queue.arn, DeadLetterConfig={"Arn": dead.arn}, **options)
    rule.send()
    assert attributes(dead.next())["ERROR_CODE"] == "INVALID_JSON"
    assert "Messages" not in queue.client.receive_message(QueueUrl=queue.url)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"Input": "{}", "InputPath": "$"},
         "Only one of Input, InputPath, or InputTransformer must be provided for target 1."),
        ({"InputTransformer": {"InputPathsMap": {"a": "$.a"}, "InputTemplate": '"<b>"'}},
         "InputTemplate for target 1 contains invalid placeholder b."),
        ({"InputPath": "$.resources[?(@ == 'a')]"}, "Invalid path $.resources[?(@ == 'a')] for target 1. "),
        ({"InputPath": "detail"}, "Invalid path detail for target 1. "),
        ({"InputTransformer": {"InputPathsMap": {"a": "$..a"}, "InputTemplate": '"<a>"'}}, "Invalid path $..a "),
        ({"EcsParameters": {"TaskDefinitionArn": "arn:aws:ecs:us-east-1:111122223333:task-definition/t"}},
         "The sandbox does not support EcsParameters"),
        ({"Arn": "arn:aws:ecs:us-east-1:111122223333:cluster/c"}, "The sandbox has no targets of the service 'ecs'."),
    ],
)  # fmt: skip
def test_targets_that_are_refused(own_aws, options, message):
    """The first two in recorded words (test_events_inputs.snapshot.json); the sandbox's own are refused by name."""
    rule = Rule(own_aws)
    with pytest.raises(ClientError) as refusal:
        rule.events.put_targets(Rule=rule.name, Targets=[{"Id": "1", "Arn": arn_of("any"), **options}])
    assert refusal.value.response["Error"]["Code"] == "ValidationException"
    assert refusal.value.response["Error"]["Message"].startswith(message)
    assert rule.events.list_targets_by_rule(Rule=rule.name)["Targets"] == []


def test_from_bus_to_bus(functions, own_aws):
    events, bus = own_aws("events"), unique("bus")
    arn = events.create_event_bus(Name=bus)["EventBusArn"]
    rule, name = Rule(own_aws), functions.create(SEEING)
    rule.target(arn)
    pattern = json.dumps({"source": [rule.source]})
    second = events.put_rule(Name=rule.name, EventBusName=bus, EventPattern=pattern)["RuleArn"]
    permit(functions, name, second)
    events.put_targets(Rule=rule.name, EventBusName=bus, Targets=[{"Id": "1", "Arn": arn_of(name)}])
    rule.send(answer=42)
    assert seen(functions, name)[0]["detail"] == {"answer": 42}


def test_a_disabled_rule_delivers_nothing(functions, own_aws):
    rule, other, name = Rule(own_aws), Rule(own_aws), functions.create(SEEING)
    permit(functions, name, f"arn:aws:events:us-east-1:{ACCOUNT}:rule/*")
    rule.target(arn_of(name))
    other.target(arn_of(name))
    rule.events.disable_rule(Name=rule.name)
    rule.send(number=1)
    other.send(number=2)
    assert [event["detail"] for event in seen(functions, name)] == [{"number": 2}]


# -- sending -----------------------------------------------------------------------------------------------------------


def test_entries_that_are_refused(own_aws):
    good = {"Source": "a", "DetailType": "b", "Detail": "{}"}
    entries = [
        {**good, "Detail": "not json"}, good, {**good, "Source": ""}, {**good, "Detail": "[1]"},
        {"Source": "a", "Detail": "{}"}, {**good, "Source": "aws.dms"},
    ]  # fmt: skip
    answer = own_aws("events").put_events(Entries=entries)
    codes = [entry.get("ErrorCode") for entry in answer["Entries"]]
    assert codes == [
        "MalformedDetail", None, "InvalidArgument", "MalformedDetail", "InvalidArgument",
        "NotAuthorizedForSourceException",
    ]  # fmt: skip
    assert answer["FailedEntryCount"] == 5
    assert answer["Entries"][1]["EventId"]
    message = answer["Entries"][2]["ErrorMessage"]
    assert message == "Parameter Source is not valid. Reason: Source is a required argument."
