"""The sandbox under load: a thousand executions that wait, thirty clients at once, and memory that stays in hand.

How fast it is, is the business of `benchmarks/sandbox_load.py`; here nothing may be lost, however slow the machine.
"""

import concurrent.futures
import functools
import json
import os
from pathlib import Path

import pytest
from handlers import Functions
from patience import PATIENCE
from state_machines import StateMachines, unique, until

pytestmark = [pytest.mark.long, pytest.mark.takes(60)]

MOST_MEMORY = 2000  # MB, the server and all of its handlers' processes

STORE = """
import os, boto3
table = boto3.client("dynamodb")
def handler(event, context):
    item = {"id": {"S": event["id"]}, "token": {"S": event["token"]}}
    table.put_item(TableName=os.environ["TABLE"], Item=item)
"""
ANSWER = """
import json, os, boto3
table, executions = boto3.client("dynamodb"), boto3.client("stepfunctions")
def handler(event, context):
    identity = event["detail"]["id"]
    item = table.get_item(TableName=os.environ["TABLE"], Key={"id": {"S": identity}}, ConsistentRead=True)["Item"]
    executions.send_task_success(taskToken=item["token"]["S"], output=json.dumps({"answered": identity}))
"""


class Waiting:
    """A state machine whose executions pause on a token in a table, and a rule whose function answers for an event."""

    def __init__(self, aws, sandbox):
        functions = Functions(aws, sandbox)
        self.machines = StateMachines(aws)
        self.events, self.dynamodb = aws("events"), aws("dynamodb")
        self.table = unique("tokens")
        self.dynamodb.create_table(
            TableName=self.table, KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}], BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        )  # fmt: skip
        settings = {"Environment": {"Variables": {"TABLE": self.table}}, "Timeout": 120}
        store, answer = functions.create(STORE, **settings), functions.create(ANSWER, **settings)
        payload = {"id.$": "$.id", "token.$": "$$.Task.Token"}
        state = {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken", "End": True,
                 "Parameters": {"FunctionName": store, "Payload": payload}}  # fmt: skip
        self.machine = self.machines.create({"Wait": state})
        self.source = unique("source")
        rule = self.events.put_rule(Name=self.source, EventPattern=json.dumps({"source": [self.source]}))["RuleArn"]
        functions.client.add_permission(
            FunctionName=answer, StatementId="rule", Action="lambda:InvokeFunction",
            Principal="events.amazonaws.com", SourceArn=rule,
        )  # fmt: skip
        arn = f"arn:aws:lambda:us-east-1:111122223333:function:{answer}"
        self.events.put_targets(Rule=self.source, Targets=[{"Id": "1", "Arn": arn}])

    def start(self, identity):
        answer = self.machines.client.start_execution(stateMachineArn=self.machine, input=json.dumps({"id": identity}))
        return answer["executionArn"]

    def tokens(self):
        """{id: token} of those that wait."""
        pages = self.dynamodb.get_paginator("scan").paginate(TableName=self.table, ConsistentRead=True)
        return {item["id"]["S"]: item["token"]["S"] for page in pages for item in page["Items"]}

    def answer(self, identity, token):
        output = json.dumps({"answered": identity})
        self.machines.client.send_task_success(taskToken=token, output=output)

    def send(self, identities):
        """An event for each of up to ten."""
        entries = [{"Source": self.source, "DetailType": "done", "Detail": json.dumps({"id": i})} for i in identities]
        assert self.events.put_events(Entries=entries)["FailedEntryCount"] == 0

    def count(self, status):
        pages = self.machines.client.get_paginator("list_executions")
        pages = pages.paginate(stateMachineArn=self.machine, statusFilter=status)
        return sum(len(page["executions"]) for page in pages)

    def result(self, arn):
        described = self.machines.client.describe_execution(executionArn=arn)
        return described["status"], json.loads(described.get("output", "null"))


@pytest.fixture(scope="module")
def waiting(own_aws, own_sandbox):
    return Waiting(own_aws, own_sandbox)


def family(pid):
    """A process and all below it."""
    found = [pid]
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in children.read_text().split():
            found += family(int(child))
    return found


def memory(pid):
    """MB held by a process and all below it; 0 where that cannot be read."""
    total = 0
    for each in family(pid):
        try:
            total += int(Path(f"/proc/{each}/statm").read_text(encoding="utf-8").split()[1]) * os.sysconf(
                "SC_PAGE_SIZE"
            )
        except OSError:
            continue  # it has just ended
    return total // 2**20


def test_a_thousand_executions_wait_and_all_are_answered(waiting, own_sandbox):
    identities = [f"one-{number}" for number in range(1000)]
    with concurrent.futures.ThreadPoolExecutor(30) as pool:
        arns = dict(zip(identities, pool.map(waiting.start, identities), strict=True))
        until(lambda: len(waiting.tokens()) == 1000, within=PATIENCE)
        assert waiting.count("RUNNING") == 1000
        assert memory(own_sandbox["pid"]) < MOST_MEMORY
        tokens = waiting.tokens()
        assert len(set(tokens.values())) == 1000
        by_clients, by_events = identities[:700], identities[700:]
        list(pool.map(waiting.answer, by_clients, [tokens[identity] for identity in by_clients]))
        list(pool.map(waiting.send, [by_events[at : at + 10] for at in range(0, 300, 10)]))
        until(lambda: waiting.count("RUNNING") == 0, within=PATIENCE)
        results = dict(zip(identities, pool.map(waiting.result, arns.values()), strict=True))
    assert results == {identity: ("SUCCEEDED", {"answered": identity}) for identity in identities}
    assert memory(own_sandbox["pid"]) < MOST_MEMORY


def test_thirty_clients_at_once(own_aws, own_sandbox):
    """As thirty learners would: each with a table, two functions, a rule and a state machine of its own."""
    client = functools.cache(own_aws)  # to make them takes longer than what they are made for

    def learner(number):
        own = Waiting(client, own_sandbox)
        identities = [f"{number}-{turn}" for turn in range(2)]
        arns = [own.start(identity) for identity in identities]
        until(lambda: len(own.tokens()) == 2, within=PATIENCE)
        own.send(identities)
        until(lambda: own.count("RUNNING") == 0, within=PATIENCE)
        return [own.result(arn) for arn in arns] == [("SUCCEEDED", {"answered": identity}) for identity in identities]

    with concurrent.futures.ThreadPoolExecutor(30) as pool:
        assert all(pool.map(learner, range(30)))
    assert memory(own_sandbox["pid"]) < MOST_MEMORY


def test_many_invocations_at_once_are_all_answered(own_aws, own_sandbox):
    functions = Functions(own_aws, own_sandbox)
    name = functions.create(
        "import time\ndef handler(event, context):\n    time.sleep(0.002)\n    return event", Timeout=60
    )
    with concurrent.futures.ThreadPoolExecutor(40) as pool:
        assert list(pool.map(lambda number: functions.result(name, number), range(300))) == list(range(300))
    assert functions.settings()["now"]["waiting"] == 0


def test_many_events_at_once_all_arrive(own_aws, own_sandbox):
    functions, events, source = Functions(own_aws, own_sandbox), own_aws("events"), unique("source")
    name = functions.create("def handler(event, context): print('number', event['detail']['number'])", Timeout=60)
    rule = events.put_rule(Name=source, EventPattern=json.dumps({"source": [source]}))["RuleArn"]
    functions.client.add_permission(
        FunctionName=name, StatementId="rule", Action="lambda:InvokeFunction", Principal="events.amazonaws.com",
        SourceArn=rule,
    )  # fmt: skip
    arn = f"arn:aws:lambda:us-east-1:111122223333:function:{name}"
    events.put_targets(Rule=source, Targets=[{"Id": "1", "Arn": arn}])

    def put(first):
        numbers = range(first, first + 10)
        detail = [json.dumps({"number": number}) for number in numbers]
        events.put_events(Entries=[{"Source": source, "DetailType": "test", "Detail": each} for each in detail])

    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        list(pool.map(put, range(0, 300, 10)))
    seen = functions.wait_for_message(name, "number", count=300)
    assert sorted(int(message.split()[1]) for message in seen) == list(range(300))
