"""The last design of lab 03, one function behind two doors: what it does about races, old events and lost answers."""

import json

import boto3
import pytest
from answers import callback_urls, cells
from patience import PATIENCE
from test_dead_letters import Letters, refused

from workshop import account as accounts
from workshop import deploy, faults, labs
from workshop.checking import dms_events
from workshop.checking.executions import StateMachineRun
from workshop.checking.waiting import until
from workshop.migrations import migration

pytestmark = pytest.mark.takes(30)

FILES = ("resume", "url-door", "dms", "event-door", "start", "start-once")


class Lab(labs.Lab):
    def name(self, thing):
        return f"answer-closing-03-{thing}"


@pytest.fixture(scope="module")
def lab(sandbox, tmp_path_factory):
    accounts.use_sandbox(sandbox)
    callback_urls.prepare()
    lab, folder = Lab("03-callback-urls"), tmp_path_factory.mktemp("files")
    names = callback_urls.give(lab, 5, {"name": "the solution"}, folder)
    for name, text in cells.written(callback_urls.CELLS[f"closing-{file}"] for file in FILES).items():
        (folder / name).write_text(text)
    exec(callback_urls.CELLS["closing-deploy"], names)
    exec(callback_urls.CELLS["closing-states"], names)
    return lab


@pytest.fixture
def job(lab, request):
    return migration(
        lab.name(f"job-{request.node.name[5:20].strip('_').replace('_', '-')}"), rows=60, rows_per_second=20
    )


def begin(lab, job):
    machine = deploy.arn("states", f"stateMachine:{lab.name('nightly')}")
    return StateMachineRun(machine, {"ReplicationTaskArn": job.arn, "HeartbeatSeconds": 60, "TimeoutSeconds": 300})


def item(lab, job):
    table = boto3.resource("dynamodb").Table(lab.name("waiting"))
    return table.get_item(Key={"Id": job.arn}, ConsistentRead=True).get("Item")


def tell(lab, event):
    """Hand an event to the function behind the rule; returns what it raised, None for nothing."""
    answer = boto3.client("lambda").invoke(FunctionName=lab.name("event"), Payload=json.dumps(event))
    return json.load(answer["Payload"])["errorType"] if "FunctionError" in answer else None


def has_migrated(run):
    """Whether the execution has gone on to the audit (which fails, since nobody knows its table)."""
    return any(event["type"] == "TaskSucceeded" for event in run.events())


def test_a_second_execution_leaves_the_first_ones_token(lab):
    job = migration(lab.name("job-long"), rows=60, rows_per_second=3)  # it runs until the second one has come
    first = begin(lab, job)
    assert until(lambda: item(lab, job), 30)
    token = item(lab, job)["TaskToken"]
    second = begin(lab, job)
    assert until(second.look, 30)
    assert "Another execution" in second.outcome()[2]
    assert (item(lab, job) or {}).get("TaskToken", token) == token
    assert until(lambda: has_migrated(first), PATIENCE)
    assert until(lambda: item(lab, job) is None, 30)
    first.stop()


def test_who_did_not_start_does_not_wait(lab, job):
    refusal = {"fault": "refuse", "operation": "dms:StartReplicationTask", "code": "AccessDeniedFault"}
    with faults.during({**refusal, "function": lab.name("migrate")}):
        run = begin(lab, job)
        assert until(run.look, 30)
    assert run.status == "FAILED"
    assert item(lab, job) is None
    again = begin(lab, job)
    assert until(lambda: has_migrated(again), PATIENCE)
    again.stop()


def test_a_lost_answer_to_the_start_is_no_failure(lab, job):
    lost = {"fault": "lost", "operation": "dms:StartReplicationTask", "tries": "all", "answer": "error"}
    with faults.during({**lost, "function": lab.name("migrate")}) as made:
        run = begin(lab, job)
        assert until(lambda: has_migrated(run) or run.look(), PATIENCE)
    assert made.met == [1]
    assert has_migrated(run)
    run.stop()


def test_the_end_of_the_run_before_wakes_nobody(lab, job):
    job.start()
    assert until(lambda: job.describe()["Status"] == "stopped", PATIENCE)
    hold = {"fault": "hold", "operation": "dms:StartReplicationTask", "function": lab.name("migrate"), "seconds": 50}
    with faults.during(hold) as gate:
        run = begin(lab, job)
        assert gate.wait_until_held(1, PATIENCE)
        assert tell(lab, dms_events.stopped(job.arn)) is None
        assert not has_migrated(run)
        assert item(lab, job)
    assert until(lambda: has_migrated(run), PATIENCE)
    run.stop()


def test_only_an_event_of_this_wait_is_worth_to_be_asked_about_again(lab, job):
    slow = job.another(f"{job.name}-slow", rows_per_second=1)
    run = begin(lab, slow)
    assert until(lambda: slow.describe()["Status"] == "running", PATIENCE)
    event = dms_events.stopped(slow.arn)
    assert tell(lab, {**event, "time": "2026-01-01T00:00:00Z"}) is None
    assert tell(lab, event) == "RuntimeError"
    assert item(lab, slow)
    run.stop()
    slow.stop()


def test_a_token_that_came_meanwhile_stays(lab, job):
    """While the answer is on its way the state is retried, and its new token takes the old one's place."""
    answers = {"operation": "states:SendTaskSuccess", "function": lab.name("event")}
    with faults.during({"fault": "hold", "seconds": 40, **answers}) as gate:
        run = begin(lab, job)
        assert until(lambda: gate.records[0].get("held"), PATIENCE)
        table = boto3.resource("dynamodb").Table(lab.name("waiting"))
        table.update_item(
            Key={"Id": job.arn},
            UpdateExpression="SET TaskToken = :newer",
            ExpressionAttributeValues={":newer": "the newer token"},
        )
    assert until(lambda: has_migrated(run), PATIENCE)
    tries = {"function": lab.name("event"), "operation": "dynamodb:DeleteItem", "resource": job.arn}
    assert until(lambda: [call for call in faults.calls(**tries) if call["outcome"] != "under way"], PATIENCE)
    assert item(lab, job)["TaskToken"] == "the newer token"
    run.stop()


def test_what_failed_is_kept(lab, job):
    letters = Letters(lab.name("failed"))
    with refused(lab.name("event"), job):
        run = begin(lab, job)
        event, why = letters.about(job.arn)
    assert "AccessDeniedFault" in why["ErrorMessage"]
    assert tell(lab, event) is None
    assert until(lambda: has_migrated(run), PATIENCE)
    run.stop()
