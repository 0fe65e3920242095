"""The design of lab 03 under load: 200 checks, with everything that the vendor, the network and we can do wrong."""

import collections
import concurrent.futures
import contextlib
import json
import random

import boto3
import pytest
from answers import callback_urls
from botocore.config import Config

from workshop import account as accounts
from workshop import deploy, labs, vendor
from workshop.checking.waiting import until

pytestmark = [pytest.mark.long, pytest.mark.takes(180)]

EXECUTIONS = 200
AT_ONCE = 20
PATIENCE = 900  # seconds: less than the other timeout, so that who is not answered is seen
LIMITS = {"HeartbeatSeconds": 30, "TimeoutSeconds": 3000}
ROWS = [{"iata": "ABC", "city": "Guam"}, {"iata": "DEF"}]
REPORT = {"rows": 2, "missing": {"city": 1}, "out_of_range": 0}
WORDS = "Half of it is missing."

# What goes wrong -> how the vendor rehearses it. What goes wrong with an order does so with one execution only.
FAULTS = {
    "nothing": {"seconds": 1},
    "twice": {"seconds": 1, "twice": True},
    "out of order": {"seconds": 2, "progress": 1, "late_progress": True, "twice": True},
    "failed": {"seconds": 0, "fails": WORDS},
    "failed, twice": {"seconds": 1, "fails": WORDS, "twice": True, "late_progress": True},
    "in base64": {"seconds": 0, "content_type": "application/vnd.verirow+json"},
    "lost": {"seconds": 1, "silent": True},
    "failed and lost": {"seconds": 0, "silent": True, "fails": WORDS},
    "late": {"seconds": 40, "silent": False},  # longer than a heartbeat: it is asked for while it runs
    **{
        f"orders {number}": {"seconds": 0, "answers": answers, "slow_seconds": 3}
        for number, answers in enumerate(
            [[503], ["lost"], [429, 500], ["overtaken"], ["slow"], ["lost", 408, "slow"], [500, "lost", "overtaken"]]
            * 3
        )
    },
}


class Lab(labs.Lab):
    def name(self, thing):
        return f"answer-load-03-{thing}"


@pytest.fixture
def lab(sandbox, tmp_path):
    accounts.use_sandbox(sandbox)
    callback_urls.prepare()
    lab = Lab("03-callback-urls")
    callback_urls.give(lab, 5, {"name": "the solution"}, tmp_path)
    patient(deploy.arn("states", f"stateMachine:{lab.name('check')}"))
    return lab


def patient(machine):
    """Let an order be tried more often than in the lab: two seconds for its answer are little on a busy machine."""
    client = boto3.client("stepfunctions")
    definition = json.loads(client.describe_state_machine(stateMachineArn=machine)["definition"])
    definition["States"]["Check"]["Retry"][0]["MaxAttempts"] = 10
    client.update_state_machine(stateMachineArn=machine, definition=json.dumps(definition))


def test_every_execution_ends_right(lab):
    verirow = vendor.find(lab.name("vendor"))
    tables = {fault: rehearse(lab, verirow, number, fault) for number, fault in enumerate(FAULTS)}
    orders, others = ([fault for fault in FAULTS if fault.startswith("orders") is wanted] for wanted in (True, False))
    faults = orders + [others[number % len(others)] for number in range(EXECUTIONS - len(orders))]
    random.Random(3).shuffle(faults)
    client = boto3.client("stepfunctions", config=Config(max_pool_connections=AT_ONCE))
    machine = deploy.arn("states", f"stateMachine:{lab.name('check')}")

    def run(fault):
        data = json.dumps({"Table": tables[fault], **LIMITS})
        arn = client.start_execution(stateMachineArn=machine, input=data)["executionArn"]
        ended = {}

        def look():
            ended.update(client.describe_execution(executionArn=arn))
            return ended["status"] != "RUNNING"

        until(look, PATIENCE)
        return fault, ended

    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        running = [pool.submit(run, fault) for fault in faults]
        assert until(lambda: sum(execution.done() for execution in running) >= AT_ONCE, PATIENCE)
        with outage(lab):  # of ours, until the vendor has felt it: it has to come again
            assert until(lambda: any(felt(verirow, table) for table in tables.values()), PATIENCE)
        results = [execution.result() for execution in running]
    wrong = [
        (fault, ended["status"], ended.get("error"), ended.get("cause"), ended.get("output"))
        for fault, ended in results
        if not is_right(fault, ended)
    ]
    assert wrong == []
    # One check for each execution, however often it was ordered.
    begun = {fault: len(verirow.checks(table)) for fault, table in tables.items()}
    assert begun == collections.Counter(faults)


def rehearse(lab, verirow, number, fault):
    name = deploy.table(lab.name(f"table-{number}"), key="iata")
    with boto3.resource("dynamodb").Table(name).batch_writer() as batch:
        for row in ROWS:
            batch.put_item(Item=row)
    table = deploy.arn("dynamodb", f"table/{name}")
    verirow.rehearse(table, **{"patience": 5, "attempts": 8, **FAULTS[fault]})
    return table


def felt(verirow, table):
    """Whether a callback about a table was answered with an error."""
    return any((told["answer"] or 0) >= 500 for check in verirow.checks(table) for told in check["deliveries"])


def is_right(fault, ended):
    if fault.startswith("failed"):
        return (ended["status"], ended.get("error"), ended.get("cause")) == ("FAILED", "CheckFailed", WORDS)
    return ended["status"] == "SUCCEEDED" and json.loads(ended["output"]) == REPORT


@contextlib.contextmanager
def outage(lab):
    """For a while the function `callback` may not read its table."""
    iam, policy = boto3.client("iam"), {"RoleName": f"{lab.name('callback')}-lambda", "PolicyName": "outage"}
    deny = {"Effect": "Deny", "Action": "dynamodb:*", "Resource": "*"}
    iam.put_role_policy(**policy, PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [deny]}))
    yield
    iam.delete_role_policy(**policy)
