"""Histories of real executions: which states were visited when, what is billed; and waiting for an end."""

import _thread
import json
import time
import types

import boto3
import pytest
from flows import DONE, LIST_TABLES, NO_TABLE, flow, run, start
from patience import PATIENCE, until

from workshop import deploy, executions
from workshop.costs.prices import price
from workshop.executions import History
from workshop.names import name

pytestmark = pytest.mark.usefixtures("account")


def counting_loop(passes):
    """Wait -> Poll -> Choice, so many times."""
    count = {"Type": "Pass", "Parameters": {"n.$": "States.MathAdd($.n, 1)"}}
    choice = {"Type": "Choice", "Choices": [{"Variable": "$.n", "NumericLessThan": passes, "Next": "Wait"}]}
    wait = {"Type": "Wait", "Seconds": 0}
    return flow(Wait=wait, Poll=LIST_TABLES, Count=count, Decide={**choice, "Default": "Done"}, Done=DONE)


def test_a_polling_loop():
    history = run("loop", counting_loop(3), input='{"n": 0}')
    assert history.status == "SUCCEEDED"
    assert [visit.name for visit in history.states()] == ["Wait", "Poll", "Count", "Decide"] * 3 + ["Done"]
    assert [visit.type for visit in history.states()[:4]] == ["Wait", "Task", "Pass", "Choice"]
    assert history.transitions == 13
    assert price(history.transitions) == pytest.approx(0.000325)
    assert len(history) == 3 * (2 + 5 + 2 + 2) + 2 + 2
    times = [moment for visit in history.states() for moment in (visit.entered, visit.left)]
    assert times == sorted(times)
    assert times[0] >= 0
    assert times[-1] <= history.seconds
    assert all(visit.attempts == 1 and visit.error is None and visit.parent is None for visit in history.states())


def test_retries_are_billed_and_a_caught_error_is_seen():
    retried = {
        **NO_TABLE,
        "Retry": [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1, "BackoffRate": 1, "MaxAttempts": 1}],
        "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Done"}],
    }
    history = run("retried", flow(Try=retried, Done=DONE))
    tried, done = history.states()
    assert (tried.attempts, tried.error) == (2, "DynamoDb.ResourceNotFoundException")
    assert tried.left - tried.entered > 0.99
    assert (done.attempts, done.error) == (1, None)
    assert history.transitions == 3
    assert history.status == "SUCCEEDED"


def test_a_function_that_is_tried_again():
    function = deploy.function(
        name("01", "raises"), "def lambda_handler(event, context):\n    raise ValueError('no')\n"
    )
    retry = [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1, "MaxAttempts": 1}]
    call = {"Type": "Task", "Resource": function, "Retry": retry}
    history = run("function", flow(Call=call), permissions={"lambda:InvokeFunction": function})
    (visit,) = history.states()
    assert visit.attempts == history.transitions == 2
    assert visit.error
    assert "you-01-raises {}" in str(history)


def test_branches_and_items_belong_to_their_parents():
    item = flow(Each={"Type": "Pass"}, Look=LIST_TABLES | {"Parameters": {}, "ResultPath": None})
    definition = flow(
        Both={
            "Type": "Parallel",
            "ResultPath": "$.both",
            "Branches": [
                flow(Left={"Type": "Wait", "Seconds": 1}),
                flow(Right={"Type": "Pass"}, More={"Type": "Pass"}),
            ],
        },
        Every={"Type": "Map", "ItemsPath": "$.items", "ItemProcessor": item},
        Done=DONE,
    )
    history = run("nested", definition, input='{"items": [1, 2]}')
    assert history.status == "SUCCEEDED"
    parents = [(visit.name, visit.parent and visit.parent.name) for visit in history.states()]
    assert sorted(parents, key=str) == sorted(
        [("Both", None), ("Left", "Both"), ("Right", "Both"), ("More", "Both"), ("Every", None), ("Done", None)]
        + [("Each", "Every"), ("Look", "Every")] * 2,
        key=str,
    )
    by_name = {visit.name: visit for visit in history.states()}
    assert by_name["Left"].left - by_name["Left"].entered > 0.99
    assert by_name["Right"].left < by_name["Left"].left <= by_name["Both"].left
    assert history.transitions == 10


def test_a_branch_that_fails():
    branches = [flow(Broken=NO_TABLE), flow(Slow={"Type": "Wait", "Seconds": 600})]  # longer than anybody waits
    catch = [{"ErrorEquals": ["States.ALL"], "Next": "Done"}]
    history = run("broken-branch", flow(Both={"Type": "Parallel", "Branches": branches, "Catch": catch}, Done=DONE))
    by_name = {visit.name: visit for visit in history.states()}
    assert history.status == "SUCCEEDED"
    assert by_name["Broken"].error == by_name["Both"].error == "DynamoDb.ResourceNotFoundException"
    assert by_name["Slow"].error is None
    assert by_name["Broken"].left == by_name["Slow"].left == by_name["Both"].left


def test_endings(aws, capsys):
    failed = run("failed", flow(Stop={"Type": "Fail", "Error": "Migration.Failed", "Cause": "no file"}))
    assert capsys.readouterr().out == "FAILED: Migration.Failed: no file\n"
    assert failed.status == "FAILED"
    assert failed.states()[0].left == failed.seconds
    assert failed.states()[0].type == "Fail"

    assert run("timed-out", {"TimeoutSeconds": 1, **flow(Long={"Type": "Wait", "Seconds": 30})}).status == "TIMED_OUT"
    assert capsys.readouterr().out == "TIMED_OUT\n"

    execution = start("aborted", flow(Long={"Type": "Wait", "Seconds": 600}))
    aws("stepfunctions").stop_execution(executionArn=execution, error="Lab", cause="enough")
    assert executions.wait(execution)["status"] == "ABORTED"
    assert capsys.readouterr().out == "ABORTED: Lab: enough\n"
    assert History.of(execution).status == "ABORTED"


def test_an_uncaught_error_is_its_states():
    history = run("uncaught", flow(Try=NO_TABLE, Done=DONE))
    (visit,) = history.states()
    assert (history.status, visit.error) == ("FAILED", "DynamoDb.ResourceNotFoundException")
    assert visit.left == history.seconds


def test_while_it_runs(aws, capsys):
    execution = start("running", flow(Long={"Type": "Wait", "Seconds": 600}))
    watched = executions.wait(execution, timeout=0)
    assert watched["status"] == "RUNNING"
    assert capsys.readouterr().out == "RUNNING: watched for 0 s; the execution goes on.\n"
    until(lambda: History.of(execution).states())
    history = History.of(execution)
    assert history.status == "RUNNING"
    assert history.states()[0].left is None
    assert history.output_sizes() == {}
    aws("stepfunctions").stop_execution(executionArn=execution)


@pytest.fixture
def interrupt_between_looks(monkeypatch):
    """The kernel is interrupted while wait() rests."""

    def interrupted(seconds):
        _thread.interrupt_main()
        time.sleep(seconds)

    monkeypatch.setattr(executions, "time", types.SimpleNamespace(sleep=interrupted, monotonic=time.monotonic))


def test_an_interrupt_stops_the_watching_only(aws, interrupt_between_looks):
    execution = start("interrupted", flow(Long={"Type": "Wait", "Seconds": 300}))
    with pytest.raises(executions.StoppedWatching) as interrupt:
        executions.wait(execution)
    assert interrupt.value._render_traceback_() == ["You stopped watching; the execution goes on."]
    assert aws("stepfunctions").describe_execution(executionArn=execution)["status"] == "RUNNING"
    aws("stepfunctions").stop_execution(executionArn=execution)


def test_output_sizes_are_bytes_as_aws_counts_them():
    history = run("sizes", flow(Small={"Type": "Pass", "Result": "a"}, Large={"Type": "Pass", "Result": "ü" * 100}))
    assert history.output_sizes() == {"Small": 3, "Large": 202}


def test_a_history_of_several_pages():
    history = run("long", counting_loop(100), input='{"n": 0}')
    assert len(history) == 100 * 11 + 4
    assert history.transitions == 401
    table = history._repr_html_()
    most = executions._MOST_ROWS
    assert table.count("<tr>") == 1 + most + 1  # the head, the first and the last, and one for those left out
    assert f"{len(history) - most:,} more events" in table
    assert str(history).count("\n") == len(history) + 1


def test_the_table():
    history = run("table", flow(Say={"Type": "Pass", "Result": "<b>" + "x" * 500}, Try=NO_TABLE))
    text = str(history).splitlines()
    assert text[0] == "you-01-table: FAILED, 2 state transitions, 8 events"
    assert text[1].split() == ["Id", "Seconds", "Event", "State", "Detail"]
    started, *states, ended = [line.split()[2] for line in text[2:]]
    assert (started, ended) == ("ExecutionStarted", "ExecutionFailed")
    assert states == [
        *("PassStateEntered", "PassStateExited"),
        *("TaskStateEntered", "TaskScheduled", "TaskStarted", "TaskFailed"),
    ]
    assert max(map(len, text)) < 200
    assert "aws-sdk:dynamodb:describeTable" in text[6]
    assert "DynamoDb.ResourceNotFoundException: " in text[8]
    html = history._repr_html_()
    assert "<b>" not in html
    assert "&lt;b&gt;" in html
    assert repr(history) == f"<History of {text[0]}>"


# -- executions of durable functions ----------------------------------------------------------------------------------

DURABLE = """
from aws_durable_execution_sdk_python import durable_execution
from aws_durable_execution_sdk_python.config import Duration


@durable_execution
def lambda_handler(event, context):
    context.step(lambda _: 1, name="count")
    if "error" in event:
        raise ValueError(event["error"])
    if "seconds" in event:
        context.wait(Duration.from_seconds(event["seconds"]), name="sleep")
    return "done"
"""


def start_durable(**event):
    function = deploy.function(name("01", "durable"), DURABLE, durable=60)
    return boto3.client("lambda").invoke(
        FunctionName=f"{function}:$LATEST", InvocationType="Event", Payload=json.dumps(event)
    )["DurableExecutionArn"]


def test_endings_of_durable_functions(aws, capsys):
    succeeded = executions.wait(start_durable())
    assert (succeeded["Status"], succeeded["Result"]) == ("SUCCEEDED", '"done"')
    assert capsys.readouterr().out == "SUCCEEDED\n"

    assert executions.wait(start_durable(error="no file"))["Error"]["ErrorMessage"] == "no file"
    assert capsys.readouterr().out == "FAILED: ValueError: no file\n"

    execution = start_durable(seconds=30)
    assert executions.wait(execution, timeout=0)["Status"] == "RUNNING"
    assert capsys.readouterr().out == "RUNNING: watched for 0 s; the execution goes on.\n"
    error = {"ErrorType": "Lab", "ErrorMessage": "enough"}
    aws("lambda").stop_durable_execution(DurableExecutionArn=execution, Error=error)
    assert executions.wait(execution)["Status"] == "STOPPED"
    assert capsys.readouterr().out == "STOPPED: Lab: enough\n"


def test_an_interrupt_stops_the_watching_of_a_durable_function_only(aws, interrupt_between_looks):
    execution = start_durable(seconds=300)
    with pytest.raises(executions.StoppedWatching):
        executions.wait(execution)
    client = aws("lambda")
    assert client.get_durable_execution(DurableExecutionArn=execution)["Status"] == "RUNNING"
    client.stop_durable_execution(DurableExecutionArn=execution)


@pytest.mark.parametrize("kind", ["state machine", "durable function"])
def test_somebody_who_looks_on_is_told_where_it_is(kind, monkeypatch):
    told = []

    class Handle:
        def update(self, data, raw):
            told.append(data["text/plain"])

    def display(data, raw, display_id):
        told.append(data["text/plain"])
        return Handle()

    execution = (
        start("watched", flow(Sleep={"Type": "Wait", "Seconds": 3}))
        if kind == "state machine"
        else start_durable(seconds=3)
    )
    monkeypatch.setattr(executions, "is_watched", lambda: True)
    monkeypatch.setattr("IPython.display.display", display)
    executions.wait(execution, timeout=PATIENCE)
    where = {"state machine": "now in Sleep", "durable function": "suspended in sleep"}[kind]
    assert any(line.startswith("RUNNING for ") and line.endswith(f" s, {where}") for line in told)
    assert told[-1].startswith("SUCCEEDED after ")
