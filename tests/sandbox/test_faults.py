"""Calls that go wrong on purpose, over HTTP: each kind, to whom it happens, its life, and the record of calls."""

import concurrent.futures
import json
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError
from durable_functions import DurableFunctions
from handlers import Functions, clients
from state_machines import StateMachines, unique, until

from workshop import sandbox as process

pytestmark = pytest.mark.takes(30)


class Faults:
    """/_sandbox/faults and /_sandbox/calls of a sandbox. Each test has a label of its own."""

    def __init__(self, state):
        self._state = state
        self.label = unique("test")

    def add(self, *faults):
        """The ids of new faults."""
        return self.ask("POST", "faults", {"faults": [{"label": self.label, **fault} for fault in faults]})["added"]

    def shown(self, one=None):
        """The faults of this test, or one of them, by its id; None when it is gone."""
        mine = [fault for fault in self.ask("GET", "faults")["faults"] if fault.get("label") == self.label]
        return next((fault for fault in mine if fault["id"] == one), None) if one else mine

    def end(self, **which):
        return self.ask("DELETE", "faults", which or {"label": self.label})["faults"]

    def wait_until(self, one, **counts):
        """Wait until a fault shows these counts."""
        until(lambda: counts.items() <= self.shown(one).items())

    def calls(self, **which):
        return self.ask("GET", f"calls?{urllib.parse.urlencode(which)}")["calls"]

    def refused(self, method, what, document=None):
        """The sentence with which a request is refused."""
        with pytest.raises(urllib.error.HTTPError) as refusal:
            self.ask(method, what, document)
        assert refusal.value.code == 400
        return json.load(refusal.value)["message"]

    def ask(self, method, what, document=None):
        request = urllib.request.Request(
            f"{self._state['endpoint']}/_sandbox/{what}",
            method=method,
            data=json.dumps(document).encode() if document is not None else None,
            headers={"Authorization": f"Bearer {self._state['secret_access_key']}"},
        )
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)


@pytest.fixture
def faults(own_sandbox):
    made = Faults(own_sandbox)
    yield made
    made.end()


@pytest.fixture(scope="module")
def functions(own_aws, own_sandbox):
    return Functions(own_aws, own_sandbox)


class Table:
    """A table with the key `id`, in which tests see what was done."""

    def __init__(self, aws):
        self.name = unique("table")
        self.client = aws("dynamodb")
        self.client.create_table(
            TableName=self.name, BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        )  # fmt: skip

    def put(self, key, client=None):
        return (client or self.client).put_item(TableName=self.name, Item={"id": {"S": key}})

    def has(self, key):
        return "Item" in self.client.get_item(TableName=self.name, Key={"id": {"S": key}})

    def times(self, key):
        """How often COUNTING counted."""
        item = self.client.get_item(TableName=self.name, Key={"id": {"S": key}}).get("Item", {})
        return int(item.get("times", {"N": "0"})["N"])


@pytest.fixture(scope="module")
def table(own_aws):
    return Table(own_aws)


# Counts an item of the table up, and says what its code saw of that.
COUNTING = """
import boto3
client = boto3.client("dynamodb")
def handler(event, context):
    try:
        client.update_item(TableName=event["table"], Key={"id": {"S": event["id"]}}, UpdateExpression="ADD times :one",
                           ExpressionAttributeValues={":one": {"N": "1"}})
        return "done"
    except Exception as error:
        return type(error).__name__
"""

# Puts two items, one after the other.
PUTTING_TWO = """
import boto3
client = boto3.client("dynamodb")
def handler(event, context):
    for name in ("first", "second"):
        client.put_item(TableName=event["table"], Item={"id": {"S": event["id"] + name}})
    return "done"
"""

# Looks whether there is an item, and puts one where there is none.
LOOKING = """
import boto3
client = boto3.client("dynamodb")
def handler(event, context):
    if "Item" in client.get_item(TableName=event["table"], Key={"id": {"S": event["id"]}}):
        return "there"
    try:
        client.put_item(TableName=event["table"], Item={"id": {"S": event["id"]}}, %s)
    except client.exceptions.ConditionalCheckFailedException:
        return "there"
    return "written"
"""


@pytest.fixture(scope="module")
def counting(functions):
    return functions.create(COUNTING)


@pytest.fixture(scope="module")
def putting(functions):
    return functions.create(PUTTING_TWO)


@pytest.fixture
def aside():
    """A function that makes a call in a thread; gives its future."""
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        yield pool.submit


# -- refused -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "service, call, operation, code, status",
    [
        ("dynamodb", "list_tables", "dynamodb:ListTables", "ProvisionedThroughputExceededException", 400),
        ("dms", "describe_replication_tasks", "dms:DescribeReplicationTasks", "ThrottlingException", 400),
        ("stepfunctions", "list_state_machines", "states:ListStateMachines", "ThrottlingException", 400),
        ("lambda", "list_functions", "lambda:ListFunctions", "TooManyRequestsException", 429),
        ("events", "list_rules", "events:ListRules", "ThrottlingException", 400),
        ("sqs", "list_queues", "sqs:ListQueues", "RequestThrottled", 400),
        ("s3", "list_buckets", "s3:ListBuckets", "SlowDown", 503),
        ("iam", "list_roles", "iam:ListRoles", "Throttling", 400),
        ("sts", "get_caller_identity", "sts:GetCallerIdentity", "Throttling", 400),
        ("logs", "describe_log_groups", "logs:DescribeLogGroups", "ThrottlingException", 400),
        ("scheduler", "list_schedules", "scheduler:ListSchedules", "ThrottlingException", 429),
        ("apigatewayv2", "get_apis", "apigateway:GetApis", "TooManyRequestsException", 429),
        ("cloudwatch", "list_metrics", "cloudwatch:ListMetrics", "Throttling", 400),
        ("resourcegroupstaggingapi", "get_resources", "tag:GetResources", "ThrottlingException", 400),
    ],
)
def test_every_service_refuses_in_its_own_way(own_aws, faults, service, call, operation, code, status):
    faults.add({"fault": "refuse", "operation": operation})
    client = own_aws(service)
    with pytest.raises(ClientError) as refusal:
        getattr(client, call)()
    assert refusal.value.response["Error"]["Code"] == code
    assert refusal.value.response["Error"]["Message"]
    assert refusal.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    getattr(client, call)()  # it happened once, as asked


@pytest.mark.parametrize(
    "service, operation, call, status",
    [
        ("dynamodb", "dynamodb:ListTables", "list_tables", 400),
        ("lambda", "lambda:ListFunctions", "list_functions", 403),
    ],
)
def test_another_error_than_throttling(own_aws, faults, service, operation, call, status):
    faults.add({"fault": "refuse", "operation": operation, "code": "AccessDeniedException", "message": "Not you."})
    with pytest.raises(ClientError) as refusal:
        getattr(own_aws(service), call)()
    assert refusal.value.response["Error"] == {"Code": "AccessDeniedException", "Message": "Not you."}
    assert refusal.value.response["ResponseMetadata"]["HTTPStatusCode"] == status


def test_an_error_that_the_client_knows_as_a_class(table, faults):
    faults.add({"fault": "refuse", "operation": "dynamodb:PutItem", "code": "ConditionalCheckFailedException"})
    with pytest.raises(table.client.exceptions.ConditionalCheckFailedException):
        table.put("refused")
    assert not table.has("refused")


def test_an_api_s_stage_is_throttled(own_aws, functions, faults):
    client, function = own_aws("apigatewayv2"), functions.create("def handler(event, context): return 'hello'")
    api = client.create_api(Name=unique("api"), ProtocolType="HTTP")
    client.create_stage(ApiId=api["ApiId"], StageName="$default", AutoDeploy=True)
    made = client.create_integration(
        ApiId=api["ApiId"], IntegrationType="AWS_PROXY", PayloadFormatVersion="2.0",
        IntegrationUri=functions.client.get_function_configuration(FunctionName=function)["FunctionArn"],
    )  # fmt: skip
    client.create_route(ApiId=api["ApiId"], RouteKey="GET /any", Target=f"integrations/{made['IntegrationId']}")
    functions.client.add_permission(
        FunctionName=function, StatementId="api", Action="lambda:InvokeFunction", Principal="apigateway.amazonaws.com"
    )
    faults.add({"fault": "refuse", "operation": "execute-api:Invoke", "resource": api["ApiId"]})
    with pytest.raises(urllib.error.HTTPError) as refusal:
        urllib.request.urlopen(f"{api['ApiEndpoint']}/any")
    assert (refusal.value.code, json.load(refusal.value)) == (429, {"message": "Too Many Requests"})
    assert urllib.request.urlopen(f"{api['ApiEndpoint']}/any").read() == b"hello"


# -- lost --------------------------------------------------------------------------------------------------------------


def test_it_is_done_and_the_connection_closes(table, faults):
    faults.add({"fault": "lost", "operation": "dynamodb:PutItem"})
    with pytest.raises(ConnectionClosedError):
        table.put("unheard")
    assert table.has("unheard")


def test_it_is_done_and_an_error_is_answered(table, faults):
    faults.add({"fault": "lost", "operation": "dynamodb:PutItem", "answer": "error"})
    with pytest.raises(ClientError) as failure:
        table.put("failed")
    assert failure.value.response["Error"]["Code"] == "InternalServerError"
    assert failure.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500
    assert table.has("failed")


@pytest.mark.parametrize("answer", ["closed", "error"])
def test_boto3_tries_again_by_itself(functions, counting, table, faults, answer):
    faults.add({"fault": "lost", "operation": "dynamodb:UpdateItem", "function": counting, "answer": answer})
    key = unique("again")
    assert functions.result(counting, {"table": table.name, "id": key}) == "done"
    assert table.times(key) == 2
    tries = [(call["attempt"], call["outcome"], call["done"]) for call in faults.calls(function=counting)[-2:]]
    assert tries == [(1, "lost", True), (2, "ok", True)]


@pytest.mark.parametrize("answer, seen", [("closed", "ConnectionClosedError"), ("error", "InternalServerError")])
def test_all_tries_of_one_call_are_lost(functions, counting, table, faults, answer, seen):
    one = {"fault": "lost", "operation": "dynamodb:UpdateItem", "function": counting, "answer": answer, "tries": "all"}
    [added] = faults.add(one)
    key = unique("once")
    assert functions.result(counting, {"table": table.name, "id": key}) == seen
    assert table.times(key) == 1
    tries = [(call["attempt"], call["outcome"], call["done"]) for call in faults.calls(function=counting)[-4:]]
    assert tries == [(1, "lost", True), (2, "lost", False), (3, "lost", False), (4, "lost", False)]
    assert (faults.shown(added)["met"], faults.shown(added)["left"]) == (1, 0)
    assert functions.result(counting, {"table": table.name, "id": key}) == "done"  # another call of the code


def test_all_tries_of_one_call_are_refused(functions, counting, table, faults):
    one = {"fault": "refuse", "operation": "dynamodb:UpdateItem", "function": counting, "tries": "all",
           "code": "InternalServerError"}  # fmt: skip
    faults.add(one)
    key = unique("never")
    assert functions.result(counting, {"table": table.name, "id": key}) == "InternalServerError"
    assert table.times(key) == 0


# -- slow, held --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [{"fault": "slow", "seconds": 60}, {"fault": "hold", "seconds": 50}])
def test_before_it_is_done(table, faults, aside, fault):
    [one] = faults.add({**fault, "operation": "dynamodb:PutItem", "resource": "before"})
    key = unique("before")
    call = aside(table.put, key)
    faults.wait_until(one, met=1)
    assert not table.has(key) and not call.done()
    assert [ended["id"] for ended in faults.end(ids=[one])] == [one]
    call.result()
    assert table.has(key)


@pytest.mark.parametrize("fault", [{"fault": "slow", "seconds": 60}, {"fault": "hold", "seconds": 50}])
def test_after_it_is_done(table, faults, aside, fault):
    key = unique("after")
    [one] = faults.add({**fault, "operation": "dynamodb:PutItem", "resource": key, "where": "after"})
    call = aside(table.put, key)
    until(lambda: table.has(key))
    faults.wait_until(one, met=1)
    assert not call.done()
    faults.end()
    assert call.result()["ResponseMetadata"]["HTTPStatusCode"] == 200


def test_slow_is_over_by_itself(table, faults):
    [one] = faults.add({"fault": "slow", "operation": "dynamodb:PutItem", "seconds": 0.05})
    table.put(unique("slow"))
    assert faults.shown(one)["met"] == 1


@pytest.mark.parametrize("where", ["before", "after"])
def test_held_until_another_has_passed(functions, putting, counting, table, faults, aside, where):
    other = {"operation": "dynamodb:UpdateItem", "function": counting, "passed": 2}
    fault = {"fault": "hold", "operation": "dynamodb:PutItem", "function": putting, "where": where, "until": other}
    [one] = faults.add({**fault, "seconds": 50})
    key = unique("held")
    call = aside(functions.result, putting, {"table": table.name, "id": key})
    faults.wait_until(one, held=1)
    assert table.has(f"{key}first") is (where == "after")
    [held] = faults.calls(function=putting, since=faults.calls(function=putting)[-1]["came"] - 1)
    assert (held["outcome"], held["done"], held["answered"]) == ("held", False, None)
    functions.result(counting, {"table": table.name, "id": key})
    assert not call.done()
    functions.result(counting, {"table": table.name, "id": key})
    assert call.result() == "done"
    shown = faults.shown(one)
    assert (shown["passed"], shown["unmet"], shown["held"]) == (2, 0, 0)
    counted = faults.calls(function=counting)[-1]
    [put] = [call for call in faults.calls(function=putting) if one in call.get("faults", ())]
    assert put["answered"] > counted["answered"] > put["came"]  # and so it is told


def test_not_held_where_the_other_was_first(functions, putting, counting, table, faults):
    other = {"operation": "dynamodb:UpdateItem", "function": counting}
    faults.add({"fault": "hold", "operation": "dynamodb:PutItem", "function": putting, "until": other, "seconds": 50})
    functions.result(counting, {"table": table.name, "id": unique("first")})
    assert functions.result(putting, {"table": table.name, "id": unique("second")}) == "done"


def test_a_condition_that_never_comes(table, faults):
    never = {"operation": "dynamodb:DeleteTable"}
    hold = {"fault": "hold", "operation": "dynamodb:PutItem", "seconds": 0.05, "until": never}
    [one] = faults.add(hold)
    key = unique("unmet")
    table.put(key)
    assert table.has(key)
    shown = faults.shown(one)
    assert (shown["met"], shown["unmet"], shown["passed"]) == (1, 1, 0)


def test_a_call_does_not_open_its_own_gate(table, faults):
    key = unique("itself")
    puts = {"operation": "dynamodb:PutItem", "resource": key}
    [one] = faults.add({**puts, "fault": "hold", "seconds": 0.05, "until": puts})
    table.put(key)
    assert (faults.shown(one)["unmet"], faults.shown(one)["passed"]) == (1, 0)
    table.put(key)
    assert faults.shown(one)["passed"] == 1


def test_one_alone_where_two_should_meet(table, faults):
    [one] = faults.add({"fault": "hold", "operation": "dynamodb:PutItem", "seconds": 0.05, "together": 2})
    table.put(unique("alone"))
    assert faults.shown(one)["unmet"] == 1


@pytest.mark.parametrize(
    "condition, written",
    [("ReturnValues='NONE'", 2), ("ConditionExpression='attribute_not_exists(id)'", 1)],
    ids=["look-then-put", "conditional put"],
)
def test_two_that_look_before_either_puts(functions, table, faults, aside, condition, written):
    name = functions.create(LOOKING % condition)
    for _ in range(5):
        looks = {"fault": "hold", "operation": "dynamodb:GetItem", "function": name, "where": "after", "together": 2}
        [one] = faults.add({**looks, "seconds": 50})
        event = {"table": table.name, "id": unique("race")}
        both = [aside(functions.result, name, event) for _ in range(2)]
        assert [call.result() for call in both].count("written") == written
        assert faults.shown(one)["unmet"] == 0


def test_while_a_call_is_held_the_time_of_its_function_stands_still(functions, table, faults):
    """It is held for longer than its timeout, twice, and is done; then a call is slow, and it is not."""
    name = functions.create(PUTTING_TWO, Timeout=2)
    event = {"table": table.name, "id": unique("held")}
    about = {"operation": "dynamodb:PutItem", "function": name}
    functions.invoke(name, event)  # so that it calls long before its time is over
    for _ in range(10):  # on a busy machine it may take all of its time by itself
        [one] = faults.add({**about, "fault": "hold", "seconds": 2.5, "count": 2})
        result, error = functions.invoke(name, event)
        if error is None:
            break
        assert result["errorType"] == "Sandbox.Timedout"
        faults.end()
    assert (result, faults.shown(one)["met"]) == ("done", 2)
    faults.add({**about, "fault": "hold", "seconds": 2.5}, {**about, "fault": "slow", "seconds": 50, "nth": 2})
    assert functions.failure(name, event)["errorType"] == "Sandbox.Timedout"


def test_a_call_is_done_though_its_process_has_ended(functions, table, faults):
    name = functions.create(PUTTING_TWO, Timeout=2)
    functions.invoke(name, {"table": table.name, "id": unique("warm")})  # so that it calls long before its time is over
    for _ in range(10):  # on a busy machine its time may be over before it calls
        [one] = faults.add({"fault": "slow", "operation": "dynamodb:PutItem", "function": name, "seconds": 50})
        key = unique("late")
        assert functions.failure(name, {"table": table.name, "id": key})["errorType"] == "Sandbox.Timedout"
        if faults.shown(one)["met"]:
            break
        faults.end(ids=[one])
    assert not table.has(f"{key}first")
    faults.end(ids=[one])
    until(lambda: table.has(f"{key}first"))
    until(lambda: faults.calls(function=name)[-1]["outcome"] == "ok")


# -- killed ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where, nth, done", [("before", 1, 0), ("after", 1, 1), ("before", 2, 1), ("after", 2, 2)])
def test_killed_at_its_nth_call(functions, putting, table, faults, where, nth, done):
    key = unique("killed")
    kill = {"fault": "kill", "operation": "dynamodb:PutItem", "function": putting, "where": where, "nth": nth}
    [one] = faults.add({**kill, "resource": key})
    event = {"table": table.name, "id": key}
    failure = functions.failure(putting, event)
    # As every process that a signal ends: test_functions_errors.py.
    assert failure["errorType"] == "Runtime.ExitError"
    assert failure["errorMessage"].endswith("Error: Runtime exited with error: signal: killed")
    assert [table.has(f"{key}first"), table.has(f"{key}second")] == [done > 0, done > 1]
    last = faults.calls(function=putting)[-1]
    assert (last["outcome"], last["done"], last["faults"]) == ("killed", where == "after", [one])
    assert failure["errorMessage"].startswith(f"RequestId: {last['request_id']} ")
    assert functions.result(putting, event) == "done"


def test_who_is_no_function_is_not_killed(table, faults):
    [one] = faults.add({"fault": "kill", "operation": "dynamodb:PutItem"})
    table.put(unique("alive"))
    assert faults.shown(one)["seen"] == 0


def test_a_durable_function_goes_on_after_its_process_was_killed(own_aws, faults):
    durable = DurableFunctions(own_aws)
    name = durable.create(
        """
        pids = [context.step(lambda _: os.getpid(), name=name) for name in ("one", "two")]
        return {"pids": pids, "now": os.getpid()}
        """
    )
    checkpoint = "lambda:CheckpointDurableExecution"
    faults.add({"fault": "kill", "operation": checkpoint, "function": name, "where": "after", "resource": "one"})
    ended = durable.finish(durable.start(name))
    assert ended["Status"] == "SUCCEEDED"
    assert len({call["request_id"] for call in faults.calls(function=name)}) == 2
    killed = [call for call in faults.calls(function=name) if call["outcome"] == "killed"]
    assert [(call["operation"], call["done"]) for call in killed] == [(checkpoint, True)]


# -- to whom -----------------------------------------------------------------------------------------------------------


def test_one_function_s_faults_do_not_touch_another_s(functions, table, faults):
    mine, other = functions.create(COUNTING), functions.create(COUNTING)
    deny = {"fault": "refuse", "operation": "*", "code": "AccessDeniedException", "count": 100}
    [one] = faults.add({**deny, "function": mine})
    event = {"table": table.name, "id": unique("whose")}
    assert functions.result(other, event) == "done"
    table.put(unique("whose"))
    assert functions.result(mine, event) == "ClientError"
    assert (faults.shown(one)["seen"], faults.shown(one)["met"], faults.shown(one)["left"]) == (1, 1, 99)


def test_resource_nth_and_count(table, faults):
    key = unique("some")
    fault = {"fault": "refuse", "operation": "dynamodb:PutItem", "resource": key, "nth": 2, "count": 2}
    [one] = faults.add(fault)
    table.put(unique("other"))
    refused = []
    for _ in range(5):
        try:
            table.put(key)
            refused.append(False)
        except ClientError:
            refused.append(True)
    assert refused == [False, True, True, False, False]
    assert (faults.shown(one)["seen"], faults.shown(one)["met"], faults.shown(one)["left"]) == (5, 2, 0)


@pytest.mark.parametrize("operation", ["*", "dynamodb:*", ["dynamodb:DeleteItem", "dynamodb:PutItem"]])
def test_several_operations(table, faults, operation):
    key = unique("several")
    faults.add({"fault": "refuse", "operation": operation, "resource": key})
    with pytest.raises(ClientError):
        table.put(key)


def test_other_operations_are_not_touched(table, faults):
    [one] = faults.add({"fault": "refuse", "operation": ["dynamodb:GetItem", "s3:PutObject", "dms:*"]})
    table.put(unique("untouched"))
    assert faults.shown(one)["seen"] == 0


def test_a_call_meets_several_faults(table, faults, aside):
    key = unique("both")
    common = {"operation": "dynamodb:PutItem", "resource": key}
    hold, refuse, lost = faults.add(
        {**common, "fault": "hold", "seconds": 50}, {**common, "fault": "refuse"}, {**common, "fault": "lost"}
    )
    call = aside(table.put, key)
    faults.wait_until(hold, held=1)
    faults.end(ids=[hold])
    assert isinstance(call.exception(), table.client.exceptions.ProvisionedThroughputExceededException)
    # It was refused, so there was no answer to lose; that is left for the next.
    assert (faults.shown(refuse)["left"], faults.shown(lost)["left"]) == (0, 1)
    with pytest.raises(ConnectionClosedError):
        table.put(key)


# -- state machines ----------------------------------------------------------------------------------------------------


def task(resource, **parameters):
    return {"Call": {"Type": "Task", "Resource": resource, "Parameters": parameters, "End": True}}


PUT = "arn:aws:states:::aws-sdk:dynamodb:putItem"


@pytest.mark.parametrize(
    "fault, error",
    [
        ({"fault": "refuse"}, "DynamoDb.ProvisionedThroughputExceededException"),
        ({"fault": "refuse", "code": "AccessDeniedException"}, "DynamoDb.DynamoDbException"),
        ({"fault": "lost"}, "DynamoDb.SdkClientException"),
        ({"fault": "lost", "answer": "error"}, "DynamoDb.InternalServerErrorException"),
    ],
)
def test_a_state_machine_s_call_goes_wrong(own_aws, table, faults, fault, error):
    machines, key = StateMachines(own_aws), unique("machine")
    machine, other = (machines.create(task(PUT, TableName=table.name, Item={"id": {"S": key}})) for _ in range(2))
    name = machine.rpartition(":")[2]
    faults.add({**fault, "operation": "dynamodb:PutItem", "state_machine": name})
    start = own_aws("stepfunctions").start_execution
    assert machines.finish(start(stateMachineArn=other)["executionArn"])["status"] == "SUCCEEDED"
    table.client.delete_item(TableName=table.name, Key={"id": {"S": key}})
    ended = machines.finish(arn := start(stateMachineArn=machine)["executionArn"])
    assert (ended["status"], ended["error"]) == ("FAILED", error)
    assert table.has(key) is (fault["fault"] == "lost")
    [call] = faults.calls(state_machine=name)
    assert faults.calls(execution=arn) == [call] == faults.calls(resource=key, state_machine=name)
    assert (call["execution"], call["operation"], call["parameters"]["Item"]) == (
        arn, "dynamodb:PutItem", {"id": {"S": key}}
    )  # fmt: skip
    assert (call["outcome"], call["error"]["code"]) == ({"refuse": "refused", "lost": "lost"}[fault["fault"]], error)


@pytest.mark.parametrize(
    "resource, operation, parameters",
    [
        ("arn:aws:states:::lambda:invoke", "lambda:Invoke", {}),
        ("arn:aws:states:::aws-sdk:lambda:invoke", "lambda:Invoke", {}),
        ("arn:aws:states:::aws-sdk:lambda:getFunction", "lambda:GetFunction", {}),
    ],
)
def test_each_call_of_a_state_machine_counts_once(own_aws, functions, faults, resource, operation, parameters):
    function = functions.create("def handler(event, context): return 1")
    machines = StateMachines(own_aws)
    machine = machines.create(task(resource, FunctionName=function, **parameters))
    [one] = faults.add({"fault": "refuse", "operation": operation, "resource": function, "nth": 2})
    assert machines.finish(machines.client.start_execution(stateMachineArn=machine)["executionArn"])["status"] == (
        "SUCCEEDED"
    )
    assert (faults.shown(one)["seen"], faults.shown(one)["met"]) == (1, 0)


def test_a_state_machine_s_call_is_held(own_aws, table, faults):
    machines, key = StateMachines(own_aws), unique("machine")
    states = task(PUT, TableName=table.name, Item={"id": {"S": key}})
    [one] = faults.add({"fault": "hold", "operation": "dynamodb:PutItem", "resource": key, "seconds": 50})
    arn = machines.start(states)
    faults.wait_until(one, held=1)
    assert not table.has(key) and not machines.events(arn, "TaskSucceeded")
    faults.end()
    assert machines.finish(arn)["status"] == "SUCCEEDED"


# -- their life --------------------------------------------------------------------------------------------------------


def state_of(call, hold):
    """Whether a call is "held", or "done" already; None while it is on its way."""
    return "held" if hold and hold["held"] else "done" if call.done() else None


def test_forgotten_ones_are_cleared(table, faults, aside):
    for life in (0.3, 3, 30):  # a longer one where it was over before the call came
        key = unique("forgotten")
        common = {"operation": "dynamodb:PutItem", "resource": key, "seconds_to_live": life}
        hold, refuse = faults.add({**common, "fault": "hold", "seconds": 50}, {**common, "fault": "refuse", "nth": 2})
        call = aside(table.put, key)
        seen = until(lambda: state_of(call, faults.shown(hold)))  # noqa: B023
        call.result()
        until(lambda: not faults.shown(hold) and not faults.shown(refuse))  # noqa: B023
        if seen == "held":
            break
    assert seen == "held"
    table.put(key)


def test_they_end_by_label_or_id_with_those_of_dms(faults):
    arn = "arn:aws:dms:us-east-1:111122223333:task:none"
    drop, first, second = faults.add(
        {"fault": "drop", "task_arn": arn},
        {"fault": "refuse", "operation": "dynamodb:PutItem", "resource": "nothing"},
        {"fault": "lost", "operation": "dynamodb:PutItem", "resource": "nothing"},
    )
    assert {fault["id"] for fault in faults.shown()} == {drop, first, second}
    other = Faults(faults._state)
    [others] = other.add({"fault": "slow", "operation": "dynamodb:PutItem", "resource": "nothing", "seconds": 1})
    assert [fault["id"] for fault in faults.end(ids=[second])] == [second]
    assert {fault["id"] for fault in faults.end()} == {drop, first}
    assert faults.shown() == [] == faults.end()
    assert [fault["id"] for fault in other.end(ids=[], label=other.label)] == [others]


def test_an_emptied_account_has_no_faults_and_no_calls(state, aside):
    faults, functions, table = Faults(state), Functions(clients(state), state), Table(clients(state))
    functions.result(functions.create(COUNTING), {"table": table.name, "id": "one"})
    assert faults.calls(since=0)
    key = unique("reset")
    [one] = faults.add({"fault": "hold", "operation": "dynamodb:PutItem", "resource": key, "seconds": 50})
    call = aside(table.put, key)
    faults.wait_until(one, held=1)
    process.reset()
    assert call.exception() is not None  # its table is gone
    assert faults.ask("GET", "faults") == {"faults": []}
    assert faults.calls() == []


def test_a_sandbox_ends_though_calls_stand_at_a_gate(state, aside):
    faults, table = Faults(state), Table(clients(state))
    [one] = faults.add({"fault": "hold", "operation": "dynamodb:PutItem", "seconds": 50})
    call = aside(table.put, "last")
    faults.wait_until(one, held=1)
    assert process.stop()
    concurrent.futures.wait([call])
    assert "Traceback" not in Path(state["log"]).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "fault, said",
    [
        ({"fault": "explode"}, "faults[0].fault must be one of drop, duplicate"),
        ({"fault": ["kill"]}, "faults[0].fault must be one of drop, duplicate"),
        ({"operation": None}, "faults[0].operation is missing"),
        ({"operation": []}, "faults[0].operation must be an operation"),
        ({"operation": 5}, "faults[0].operation must be an operation"),
        ({"operation": "PutItem"}, "faults[0].operation: 'PutItem' is none"),
        ({"operation": "dynamodb:PutItems"}, "faults[0].operation: dynamodb has no operation 'PutItems'"),
        ({"operation": "dynamodb"}, "faults[0].operation: dynamodb has no operation ''"),
        ({"operation": "lambda:InvokeFunction"}, "Its operation is lambda:Invoke."),
        ({"operation": ["dynamodb:PutItem", "ec2:RunInstances"]}, "'ec2:RunInstances' is none"),
        ({"function": "arn:aws:lambda:us-east-1:1:function:f"}, "faults[0].function must be a name, not an ARN."),
        ({"state_machine": ""}, "faults[0].state_machine must be a name, not an ARN."),
        ({"resource": ""}, "faults[0].resource must be a text"),
        ({"nth": 0}, "faults[0].nth must be a whole number from 1"),
        ({"count": True}, "faults[0].count must be a whole number from 1"),
        ({"label": 5}, "faults[0].label must be a text."),
        ({"seconds_to_live": 4000}, "faults[0].seconds_to_live must be a number of seconds from 0 to 3600."),
        ({"where": "after"}, "faults[0] has unknown keys: where. refuse may have"),
        ({"code": "not a code"}, "faults[0].code must be the name of an error"),
        ({"tries": "some"}, 'faults[0].tries must be "one" or "all"'),
        ({"fault": "lost", "answer": "no"}, 'faults[0].answer must be "closed"'),
        ({"fault": "slow"}, "faults[0].seconds is missing: say how slow."),
        ({"fault": "slow", "seconds": "1"}, "faults[0].seconds must be a number of seconds from 0 to 300."),
        ({"fault": "slow", "seconds": 1, "where": "between"}, 'faults[0].where must be "before"'),
        ({"fault": "hold", "seconds": 60}, "faults[0].seconds must be a number of seconds from 0 to 50."),
        ({"fault": "hold", "together": 1}, "faults[0].together must be a whole number from 2"),
        ({"fault": "hold", "together": 3, "count": 2}, "faults[0].count must be a whole number from 3"),
        ({"fault": "hold", "until": {}}, "faults[0].until.operation is missing"),
        ({"fault": "hold", "until": {"operation": "*", "nth": 1}}, "faults[0].until must be an object with some of"),
        ({"fault": "hold", "until": {"operation": "*", "passed": 0}}, "faults[0].until.passed must be a whole number"),
        ({"fault": "hold", "together": 2, "until": {"operation": "*"}}, "exclude each other"),
        ({"fault": "kill", "state_machine": "machine"}, "a state machine has no process to kill"),
    ],
)
def test_plans_that_are_refused(faults, fault, said):
    fault = {"fault": "refuse", "operation": "dynamodb:PutItem", **fault}
    fault = {name: value for name, value in fault.items() if value is not None}
    assert said in faults.refused("POST", "faults", {"faults": [fault]})
    good = {"fault": "refuse", "operation": "dynamodb:PutItem", "label": faults.label}
    assert "faults[1]" in faults.refused("POST", "faults", {"faults": [good, fault]})
    assert faults.shown() == []  # all or nothing


@pytest.mark.parametrize(
    "method, what, document, said",
    [
        ("DELETE", "faults", None, "Say which faults end"),
        ("DELETE", "faults", {}, "Say which faults end"),
        ("DELETE", "faults", {"all": True}, "Say which faults end"),
        ("DELETE", "faults", {"ids": "fault-1"}, "ids must be a list"),
        ("DELETE", "faults", {"label": ""}, "label must be a text."),
        ("POST", "faults", None, "must be an object with one key"),
        ("GET", "calls?who=me", None, "Calls cannot be asked for by who"),
        ("GET", "calls?since=yesterday", None, "since must be the number of a call"),
    ],
)
def test_other_requests_that_are_refused(faults, method, what, document, said):
    assert said in faults.refused(method, what, document)


# -- the record of calls -----------------------------------------------------------------------------------------------


def test_calls_as_they_were_sent(own_aws, functions, faults):
    code = """
import boto3, json
def handler(event, context):
    boto3.client("lambda").get_function(FunctionName=context.function_name)
    boto3.client("iam").list_roles(PathPrefix="/here/")
    boto3.client("dynamodb").put_item(TableName="nowhere", Item={"id": {"S": "x" * 5000}})
"""
    name = functions.create(code)
    functions.failure(name)
    looked, listed, put = faults.calls(function=name)
    assert (looked["operation"], looked["parameters"]) == ("lambda:GetFunction", {"FunctionName": name})
    assert (listed["operation"], listed["parameters"]["PathPrefix"]) == ("iam:ListRoles", "/here/")
    assert {looked["outcome"], listed["outcome"]} == {"ok"} and looked["function"] == name
    assert len({call["request_id"] for call in (looked, listed, put)}) == 1
    order = [number for call in (looked, listed, put) for number in (call["came"], call["answered"])]
    assert order == sorted(set(order))
    assert (put["outcome"], put["done"]) == ("error", True)
    assert (put["error"]["status"], put["error"]["code"]) == (400, "ResourceNotFoundException")
    assert put["parameters"]["Item"]["id"]["S"] == "x" * 200 + "… (5000 characters)"
    assert faults.calls(function=name, operation="iam:ListRoles") == [listed]
    assert faults.calls(function=name, since=listed["came"]) == [put]
    assert faults.calls(function=name, request_id="another") == []
    assert faults.calls(function="another", state_machine=name) == []
    assert faults.calls(resource=name) == [looked]
    assert faults.calls(resource="nowhere", function=name) == [put]


def test_tokens_are_not_shown(functions, faults):
    code = """
import boto3
def handler(event, context):
    boto3.client("stepfunctions").send_task_success(taskToken=event, output="{}")
"""
    name = functions.create(code)
    token = "This-" + "s" * 400 + "-the-last"
    functions.failure(name, token)
    [call] = faults.calls(function=name)
    assert call["parameters"] == {"taskToken": "This…the-last", "output": "{}"}
    assert (call["outcome"], call["error"]["code"]) == ("error", "InvalidToken")


def test_only_the_last_calls_are_kept(functions, faults, table):
    code = """
import boto3
client = boto3.client("dynamodb")
def handler(event, context):
    for number in range(510):
        client.get_item(TableName=event, Key={"id": {"S": str(number)}})
"""
    name = functions.create(code, Timeout=60)
    functions.result(name, table.name)
    calls = faults.calls(function=name)
    assert [call["parameters"]["Key"]["id"]["S"] for call in calls] == [str(number) for number in range(10, 510)]


def test_what_boto3_presigned_and_what_others_send_passes(own_aws, faults):
    """Faults are in force, and requests of all shapes go through the same door."""
    faults.add({"fault": "refuse", "operation": "dynamodb:DeleteTable", "resource": "nothing"})
    s3, bucket = own_aws("s3", config=Config(s3={"addressing_style": "path"})), unique("bucket")
    s3.create_bucket(Bucket=bucket)
    body = bytes(range(256)) * 4000
    s3.put_object(Bucket=bucket, Key="a/b c", Body=body)
    url = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "a/b c"})
    assert urllib.request.urlopen(url).read() == body
    assert s3.head_object(Bucket=bucket, Key="a/b c")["ContentLength"] == len(body)
    s3.delete_object(Bucket=bucket, Key="a/b c")
