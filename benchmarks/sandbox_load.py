"""The sandbox under load, beside the bare engine in the same run.

The workshop's own shape is measured: an execution pauses on a task token that a function has stored in a table, an
event comes, a rule invokes a second function, and that one reads the token and answers. Functions are warm. Everything
goes over HTTP with boto3, from this process, which needs a part of the machine itself.
"""

import contextlib
import dataclasses
import io
import json
import statistics
import subprocess
import tempfile
import threading
import time
import uuid
import zipfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import boto3
from botocore.config import Config

CHECKOUT = Path(__file__).resolve().parent.parent
CLIENTS = 30
ONE_BY_ONE = 150  # events, each sent when the one before has been answered
AT_ONCE = 1000  # executions paused at the same time
AT_ONCE_BARE = 40  # of the bare engine, which starts a process for each at the same time

STORE = """
import boto3
table = boto3.client("dynamodb")
def handler(event, context):
    table.put_item(TableName="tokens", Item={"id": {"S": event["id"]}, "token": {"S": event["token"]}})
"""
ANSWER = """
import boto3
table, executions = boto3.client("dynamodb"), boto3.client("stepfunctions")
def handler(event, context):
    item = table.get_item(TableName="tokens", Key={"id": {"S": event["detail"]["id"]}}, ConsistentRead=True)["Item"]
    executions.send_task_success(taskToken=item["token"]["S"], output="{}")
"""


class Account:
    """A local account with the two functions, the table, the rule and the state machine in it."""

    def __init__(self, endpoint, key, secret, pid):
        self.pid = pid
        config = Config(max_pool_connections=CLIENTS + 5, retries={"total_max_attempts": 1}, read_timeout=300)

        def client(service):
            return boto3.client(
                service, region_name="us-east-1", endpoint_url=endpoint, aws_access_key_id=key,
                aws_secret_access_key=secret, config=config,
            )  # fmt: skip

        self.client = client
        self.executions, self.table, self.events = client("stepfunctions"), client("dynamodb"), client("events")
        self.functions = client("lambda")
        self.role = self._role()
        self.table.create_table(
            TableName="tokens", KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}], BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        )  # fmt: skip
        self.function("store", STORE)
        self._rule(self.function("answer", ANSWER))
        payload = {"id.$": "$.id", "token.$": "$$.Task.Token"}
        state = {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken", "End": True,
                 "Parameters": {"FunctionName": "store", "Payload": payload}}  # fmt: skip
        definition = json.dumps({"StartAt": "Wait", "States": {"Wait": state}})
        self.machine = self.executions.create_state_machine(
            name="waiting", definition=definition, roleArn=self.role
        )["stateMachineArn"]  # fmt: skip

    def _role(self):
        iam = self.client("iam")
        services = {"Service": ["lambda.amazonaws.com", "states.amazonaws.com"]}
        trust = {"Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": services}]}
        role = iam.create_role(RoleName="load", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
        allow = {"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
        iam.put_role_policy(RoleName="load", PolicyName="all", PolicyDocument=json.dumps(allow))
        return role

    def function(self, name, code):
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as file:
            file.writestr("index.py", code)
        arn = self.functions.create_function(
            FunctionName=name, Runtime="python3.13", Handler="index.handler", Role=self.role, Timeout=60,
            Code={"ZipFile": archive.getvalue()},
        )["FunctionArn"]  # fmt: skip
        self.functions.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 0.05})
        return arn

    def _rule(self, function):
        rule = self.events.put_rule(Name="load", EventPattern=json.dumps({"source": ["load"]}))["RuleArn"]
        self.functions.add_permission(
            FunctionName=function, StatementId="rule", Action="lambda:InvokeFunction",
            Principal="events.amazonaws.com", SourceArn=rule,
        )  # fmt: skip
        self.events.put_targets(Rule="load", Targets=[{"Id": "1", "Arn": function}])

    def start(self, identity):
        return self.executions.start_execution(stateMachineArn=self.machine, input=json.dumps({"id": identity}))

    def stored(self):
        pages = self.table.get_paginator("scan").paginate(TableName="tokens", Select="COUNT", ConsistentRead=True)
        return sum(page["Count"] for page in pages)

    def token(self, identity):
        """The token of an execution, None as long as it is not stored."""
        answer = self.table.get_item(TableName="tokens", Key={"id": {"S": identity}}, ConsistentRead=True)
        return answer["Item"]["token"]["S"] if "Item" in answer else None

    def send(self, *identities):
        """Put an event for each of up to ten executions."""
        entries = [{"Source": "load", "DetailType": "done", "Detail": json.dumps({"id": each})} for each in identities]
        self.events.put_events(Entries=entries)

    def ended(self, execution):
        return self.executions.describe_execution(executionArn=execution)["status"] != "RUNNING"

    def count(self, status):
        pages = self.executions.get_paginator("list_executions")
        return sum(len(p["executions"]) for p in pages.paginate(stateMachineArn=self.machine, statusFilter=status))

    def memory(self):
        """MB held by the server and all of its handlers' processes; None where it cannot be read."""
        return sum(filter(None, map(_memory, _family(self.pid)))) or None


@dataclasses.dataclass
class Result:
    """What was measured: times in milliseconds, rates a second, memory in MB."""

    invoke: list  # one warm invocation that writes an item, from the client and back
    resumed: list  # from putting the event to TaskSucceeded in the history
    paused_count: int
    paused: float  # executions a second until they are paused
    answered: float  # answers a second, half of them by 30 clients
    by_events: float  # the other half by events and the second function
    answered_seconds: float
    by_events_seconds: float
    lost: int
    memory: int | None


def measure(account, at_once):
    invoke, resumed = _invocations(account), _one_by_one(account)
    before = account.stored()
    identities = [uuid.uuid4().hex for _ in range(at_once)]
    with ThreadPoolExecutor(CLIENTS) as pool:
        began = time.perf_counter()
        list(pool.map(account.start, identities))
        _until(lambda: account.stored() == before + at_once)
        paused = at_once / (time.perf_counter() - began)
        _until(lambda: account.count("RUNNING") == at_once)
        memory = account.memory()
        tokens = list(pool.map(account.token, identities))
        half = at_once // 2
        began = time.perf_counter()
        list(pool.map(lambda token: account.executions.send_task_success(taskToken=token, output="{}"), tokens[:half]))
        answered = time.perf_counter() - began
        _until(lambda: account.count("RUNNING") == at_once - half)
        began = time.perf_counter()
        rest = identities[half:]
        list(pool.map(lambda at: account.send(*rest[at : at + 10]), range(0, len(rest), 10)))
        _until(lambda: account.count("RUNNING") == 0, 0.25)
        by_events = time.perf_counter() - began
        memory = max(filter(None, (memory, account.memory())), default=None)
    lost = at_once + ONE_BY_ONE - account.count("SUCCEEDED")
    rates = half / answered, len(rest) / by_events, answered, by_events
    return Result(invoke, resumed, at_once, paused, *rates, lost, memory)


def _invocations(account):
    payload, times = json.dumps({"id": "warm", "token": "none"}), []
    for _ in range(ONE_BY_ONE):
        began = time.perf_counter()
        account.functions.invoke(FunctionName="store", Payload=payload)["Payload"].read()
        times.append(1000 * (time.perf_counter() - began))
    return times[10:]


def _one_by_one(account):
    times = []
    for number in range(ONE_BY_ONE):
        identity, before = f"one-{number}", account.stored()
        execution = account.start(identity)["executionArn"]
        _until(lambda before=before: account.stored() > before)
        time.sleep(0.02)  # until the invocation that stored it has been answered as well
        sent = time.time()
        account.send(identity)
        _until(partial(account.ended, execution))
        history = account.executions.get_execution_history(executionArn=execution, reverseOrder=True)["events"]
        succeeded = next(event for event in history if event["type"] == "TaskSucceeded")
        times.append(1000 * (succeeded["timestamp"].timestamp() - sent))
    return times[10:]


def _until(condition, pause=0.05):
    while not condition():
        time.sleep(pause)


def _family(pid):
    found = [pid]
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in children.read_text().split():
                found += _family(int(child))
    return found


def _memory(pid):
    with contextlib.suppress(OSError), open(f"/proc/{pid}/status", encoding="utf-8") as status:
        return next((int(line.split()[1]) // 1024 for line in status if line.startswith("VmRSS")), None)
    return None


# -- the two servers ---------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _sandbox():
    from workshop import sandbox as process

    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        process.FOLDER = Path(folder) / "sandbox"  # not the learner's
        state = process.start()
        lease = process.Lease(state)
        try:
            yield Account(state["endpoint"], state["access_key_id"], state["secret_access_key"], state["pid"])
        finally:
            lease.release()
            process.stop()


@contextlib.contextmanager
def _bare_engine():
    from workshop import environments

    key, secret = "AKIABAREENGINE00BARE", uuid.uuid4().hex
    server = subprocess.Popen(
        [environments.SANDBOX.python, "-m", "benchmarks.bare_engine", key, secret], cwd=CHECKOUT, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    try:
        yield Account(f"http://127.0.0.1:{int(server.stdout.readline())}", key, secret, server.pid)
    finally:
        server.stdin.close()
        server.wait()


def thirty_at_once(account):
    """Seconds until 30 clients have each made a function, invoked it and followed three executions to their end."""

    def one(number):
        account.function(f"client-{number}", "def handler(event, context): return event")
        for turn in range(3):
            account.functions.invoke(FunctionName=f"client-{number}", Payload=str(turn))["Payload"].read()
            identity = f"client-{number}-{turn}"
            execution = account.start(identity)["executionArn"]
            _until(partial(account.token, identity))
            account.send(identity)
            _until(partial(account.ended, execution))

    began = time.perf_counter()
    threads = [threading.Thread(target=one, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - began


def main():
    with _bare_engine() as account:
        bare = measure(account, AT_ONCE_BARE)
    with _sandbox() as account:
        ours = measure(account, AT_ONCE)
        thirty = thirty_at_once(account)
        memory = account.memory()

    def times(values):
        return statistics.median(values), statistics.quantiles(values, n=100)[98]

    def row(what, of_ours, of_bare, unit):
        ratio = f"{of_ours / of_bare:8.2f}" if of_ours and of_bare else "        "
        print(f"{what:<44}{of_ours or 0:>10.1f}{of_bare or 0:>10.1f} {unit:<4}{ratio}")

    print(f"{'':44}{'sandbox':>10}{'MiniStack':>10}      sandbox / MiniStack")
    for what, mine, theirs in (
        ("a warm function that writes an item", ours.invoke, bare.invoke),
        ("from the event to the resumed execution", ours.resumed, bare.resumed),
    ):
        for kind, of_ours, of_bare in zip(("median", "p99"), times(mine), times(theirs), strict=True):
            row(f"{what}, {kind}", of_ours, of_bare, "ms")
    row("executions started and paused", ours.paused, bare.paused, "/s")
    row(f"answers by {CLIENTS} clients", ours.answered, bare.answered, "/s")
    row("answers by events and a function", ours.by_events, bare.by_events, "/s")
    row("executions paused at the same time", ours.paused_count, bare.paused_count, "")
    row("memory with all of them, server and handlers", ours.memory, bare.memory, "MB")
    row("answers lost", ours.lost, bare.lost, "")
    print(f"{AT_ONCE // 2} answered by {CLIENTS} clients in {ours.answered_seconds:.1f} s,", end=" ")
    print(f"{AT_ONCE - AT_ONCE // 2} by events and a function in {ours.by_events_seconds:.1f} s.")
    print(f"{CLIENTS} clients at once, each with a function of its own and three executions: {thirty:.1f} s", end="")
    print(f", {memory} MB." if memory else ".")


if __name__ == "__main__":
    main()
