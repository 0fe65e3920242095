"""What `workshop examine` reckons: loops by hand, true numbers from exported histories, the design it recommends."""

import json

import pytest
from aws_durable_execution_sdk_python.config import Duration, JitterStrategy
from aws_durable_execution_sdk_python.waits import WaitForConditionConfig, WaitStrategyConfig, create_wait_strategy
from test_examine import LOOP, START, changed, function, loop_of, polling

from workshop.costs.designs import MOST_EVENTS
from workshop.costs.prices import PRICES
from workshop.examining import Usage, examine
from workshop.examining.costing import cost_of, cost_of_sync, cost_of_token
from workshop.examining.histories import measured
from workshop.examining.loops import loops_of
from workshop.examining.reading import Trace
from workshop.exploring import play

MINUTE = Duration.from_minutes(1)
TRANSITION = PRICES["states.transition", "us-east-1"].usd


def cost(machine, **usage):
    (loop,) = loops_of(machine)
    return cost_of(loop, Usage(**usage))


def test_a_loop_by_hand():
    """An hour, asked each 30 s: 120 passes of three transitions and nine events."""
    found = cost(polling(), runs_per_month=1000, job_seconds=3600)
    assert (found.passes, found.transitions, found.events) == (120, 360, 1080)
    assert found.usd == pytest.approx(360 * 1000 * TRANSITION)
    assert found.events_left == MOST_EVENTS - 1080
    assert (found.mean_delay, found.worst_delay) == (15, 30)
    assert found.full_after == MOST_EVENTS // 9 * 30
    assert not found.outgrows


def test_a_loop_that_outgrows_its_history():
    assert not cost(polling(), job_seconds=2777 * 30).outgrows
    assert cost(polling(), job_seconds=2778 * 30).outgrows
    assert "is full after" in str(examine(polling(), usage=Usage(job_seconds=7 * 86_400)))


def test_a_computed_interval_is_that_of_the_usage():
    found = cost(changed(Wait={"Seconds": "{% $pause %}"}), interval=90)
    assert (found.interval, found.assumed, found.passes) == (90, True, 40)


def test_a_price_that_is_not_known_is_named():
    report = examine(polling(), usage=Usage(region="eu-central-1"))
    assert "No price is known there for states.transition" in str(report)


def test_express_is_paid_by_the_second(tmp_path):
    file = tmp_path / "m.json"
    file.write_text(json.dumps({"name": "m", "type": "EXPRESS", "definition": json.dumps(polling())}))
    (each,) = examine(file, usage=Usage(job_seconds=100)).examined[0].loops
    request, second = (PRICES[f"states.express.{name}", "us-east-1"].usd for name in ("request", "gb_second"))
    assert each.cost.usd == pytest.approx(1000 * (request + 100 / 16 * second))
    assert each.cost.events_left is None
    assert "neither `.sync` nor task tokens" in each.advice.says


def test_what_is_recommended_costs_the_same_for_a_minute_and_a_day():
    assert cost_of_sync(Usage(runs_per_month=1000)).usd == pytest.approx(1000 * TRANSITION)
    minute, day = (cost_of_token(Usage(job_seconds=seconds)).usd for seconds in (60, 86_400))
    assert 0.05 < minute <= day < 2 * minute
    assert cost_of_token(Usage()).left_out == ()


# -- advice ------------------------------------------------------------------------------------------------------------


def advice(machine, **usage):
    (each,) = examine(machine, usage=Usage(**usage)).examined[0].loops
    return each.advice


def test_sync_before_tokens():
    machine = polling()
    machine["States"]["Start"]["Resource"] = "arn:aws:states:::glue:startJobRun"
    # With `.sync` the result is another one, so what was made of it goes.
    machine["States"]["Start"] |= {"Assign": {"id": "{% $states.result.JobRunId %}"}, "ResultSelector": {"a": 1}}
    machine["States"]["Poll"]["Resource"] = "arn:aws:states:::aws-sdk:glue:getJobRun"
    found = advice(machine)
    assert found.change["Start"] == {
        "Type": "Task",
        "Resource": "arn:aws:states:::glue:startJobRun.sync",
        "Parameters": {"ReplicationTaskArn.$": "$.Task"},
        "Comment": found.change["Start"]["Comment"],
        "TimeoutSeconds": 7200,
        "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Failed"}],
        "Next": "Done",
    }
    assert found.removes == ("Wait", "Poll", "Choose")
    assert found.usd == pytest.approx(0.025)


@pytest.mark.parametrize("language", ["JSONPath", "JSONata"])
def test_a_token_where_there_are_events(language):
    machine = polling(QueryLanguage=language)
    if language == "JSONata":
        machine["States"]["Start"] = {"Type": "Task", "Resource": START, "Arguments": {"A": "{% $a %}"}, "Next": "Wait"}
    found = advice(machine)
    start = found.change["Start"]
    assert start["Resource"].endswith(".waitForTaskToken") and start["TimeoutSeconds"] == 7200
    payload = start["Arguments" if language == "JSONata" else "Parameters"]["Payload"]
    token = {"token": "{% $states.context.Task.Token %}"} if language == "JSONata" else {"token.$": "$$.Task.Token"}
    assert token.items() <= payload.items()
    assert found.pattern["source"] == ["aws.dms"]
    assert (start["Next"], start["Catch"][0]["Next"]) == ("Done", "Failed")


def test_what_it_recommends_has_no_finding_itself():
    machine = polling()
    change = advice(machine)
    states = {name: state for name, state in machine["States"].items() if name not in change.removes}
    better = {**machine, "States": {**states, **change.change}}
    (found,) = examine(better).as_json()
    assert (found["loops"], found["findings"]) == ([], [])


def test_a_service_that_the_table_does_not_know_is_unknown():
    machine = loop_of(function("CheckVendor"), {"Variable": "$.status", "StringEquals": "done"})
    assert "is unknown here" in advice(machine).says
    assert advice(machine).pattern is None


def test_leave_it():
    found = advice(polling(), runs_per_month=3, job_seconds=3600)
    assert found.leave
    assert found.says.startswith("Leave it: 0.03 USD a month")
    assert not advice(polling(), runs_per_month=3, job_seconds=90_000).leave  # its history is too short for that


def test_a_loop_that_paces_may_stay():
    machine = loop_of({"Resource": "arn:aws:states:::sqs:sendMessage"}, {"Variable": "$.n", "NumericEquals": 1})
    assert advice(machine).leave


# -- exported histories ------------------------------------------------------------------------------------------------


def history(passes, seconds=30):
    """The export of an execution of polling(): that many passes."""
    events, now = [], 1_700_000_000.0

    def event(kind, **details):
        event_id = len(events) + 1
        field = {"StateEntered": "stateEnteredEventDetails", "StateExited": "stateExitedEventDetails"}
        own = f"{kind[0].lower()}{kind[1:]}EventDetails"
        key = next((value for end, value in field.items() if kind.endswith(end)), own)
        events.append({"id": event_id, "previousEventId": event_id - 1, "type": kind, "timestamp": now,
                       **({key: details} if details else {})})  # fmt: skip

    def task(name, action):
        event("TaskStateEntered", name=name, input="{}")
        event("TaskScheduled", resourceType="aws-sdk:databasemigration", resource=action, region="us-east-1",
              parameters="{}")  # fmt: skip
        event("TaskStarted", resourceType="aws-sdk:databasemigration", resource=action)
        event("TaskSucceeded", resourceType="aws-sdk:databasemigration", resource=action, output="{}")
        event("TaskStateExited", name=name, output="{}")

    event("ExecutionStarted", input="{}")
    task("Start", "startReplicationTask")
    for _ in range(passes):
        event("WaitStateEntered", name="Wait", input="{}")
        now += seconds
        event("WaitStateExited", name="Wait", output="{}")
        task("Poll", "describeReplicationTasks")
        event("ChoiceStateEntered", name="Choose", input="{}")
        event("ChoiceStateExited", name="Choose", output="{}")
    event("SucceedStateEntered", name="Done", input="{}")
    event("SucceedStateExited", name="Done", output="{}")
    event("ExecutionSucceeded", output="{}")
    return {"events": events}


@pytest.fixture
def write(tmp_path):
    def write(name, data):
        (tmp_path / name).write_text(json.dumps(data))
        return tmp_path / name

    return write


def told(report):
    return " ".join(str(report).split())


def test_the_true_numbers_of_a_run(write):
    machine, run = write("m.json", polling()), write("m.one.history.json", history(4))
    (found,) = examine(machine, run).examined
    (numbers,) = found.measured
    assert (numbers.transitions, numbers.events, numbers.seconds) == (2 + 4 * 3, 9 + 4 * 9, 120)
    assert numbers.bill.usd == pytest.approx(14 * TRANSITION)
    assert (numbers.status, numbers.left) == ("SUCCEEDED", MOST_EVENTS - 45)
    assert "SUCCEEDED after 2 min, 14 state transitions" in told(examine(machine, run))


def test_the_average_of_many_runs(write):
    runs = [write(f"{passes}.json", history(passes)) for passes in (2, 4)]
    text = told(examine(write("m.json", polling()), *runs, usage=Usage(runs_per_month=100_000)))
    assert "On average 11 state transitions a run: 27.50 USD a month at 100,000 runs." in text


def test_times_as_the_cli_writes_them(write):
    data = history(1)
    for event in data["events"]:
        event["timestamp"] = "2026-11-28T10:00:00.123000+00:00"
    assert examine(write("h.json", data)).examined[0].measured[0].seconds == 0


def test_a_history_alone_shows_its_loop(write):
    (found,) = examine(write("h.json", history(3))).as_json()
    assert found["name"] == "h"
    assert found["loops"] == [LOOP]
    assert found["findings"] == []


def test_a_history_without_its_beginning_is_no_history(write):
    report = examine(write("h.json", {"events": history(2)["events"][3:]}))
    assert "is not the whole history of an execution" in report.unreadable[0]


def durable(polls):
    events = [{"EventId": 1, "EventType": "ExecutionStarted", "EventTimestamp": 1000.0}]

    def event(kind, **more):
        events.append({"EventId": len(events) + 1, "EventType": kind, "EventTimestamp": 1000.0 + len(events), **more})

    event("StepStarted", Id="a", Name="start")
    event("StepSucceeded", Id="a", Name="start")
    for _ in range(polls):
        event("StepStarted", Id="b", Name="poll", SubType="WaitForCondition")
        event("StepSucceeded", Id="b", Name="poll", SubType="WaitForCondition")
        event("InvocationCompleted")
    event("ExecutionSucceeded")
    return {"Events": events}


def test_the_history_of_a_durable_execution(write):
    """The execution, a step, and 1 + N for a condition of N polls."""
    (found,) = examine(write("d.json", durable(5))).examined
    (numbers,) = found.measured
    assert (numbers.operations, numbers.invocations, numbers.polls, numbers.status) == (8, 5, 5, "SUCCEEDED")
    assert numbers.bill.usd == pytest.approx(8 * 0.000008 + 5 * 0.0000002)
    assert numbers.left == 2992
    assert "8 durable operations (5 polls among them)" in told(examine(write("d.json", durable(5))))


def test_the_history_that_the_local_runner_writes():
    """A step, a wait and a condition of four polls: the same operations as the design of lab 04 counts."""

    def program(world):
        pace = WaitStrategyConfig(
            lambda state: state == "runs", initial_delay=MINUTE, max_delay=MINUTE, jitter_strategy=JitterStrategy.NONE
        )
        config = WaitForConditionConfig(create_wait_strategy(pace), initial_state="runs")

        def handler(event, context):
            context.step(lambda _: 1, name="start")
            context.wait(MINUTE, name="minute")
            context.wait_for_condition(lambda state, _: "runs" if world.now() < 200 else "ended", config, name="job")

        return handler

    numbers = measured(Trace("d.json", "d", play(program, {}).history, durable=True))
    assert (numbers.operations, numbers.polls, numbers.status) == (1 + 1 + 1 + 1 + 4, 4, "SUCCEEDED")
