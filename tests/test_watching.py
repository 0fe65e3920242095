"""`watch`: what it shows of executions that run and that have ended, in a notebook that nobody looks at and in one."""

import _thread
import base64
import json
import os
import re
import subprocess
import sys
import types

import boto3
import nbformat
import pytest
from flows import DONE, NO_TABLE, flow, start
from in_jupyterlab import notebook
from nbclient import NotebookClient
from state_machines import until
from test_executions import counting_loop, start_durable

from workshop import executions, watching
from workshop.executions import StoppedWatching, follow
from workshop.watching import watch

pytestmark = pytest.mark.usefixtures("account")

HOLD = {"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken"}


@pytest.fixture
def held(aws):
    """A function that starts an execution of two states, each of which waits until `go_on` is called."""
    queue = boto3.client("sqs").create_queue(QueueName="you-01-held")["QueueUrl"]
    body = {"QueueUrl": queue, "MessageBody": {"token.$": "$$.Task.Token"}}
    definition = flow(First={**HOLD, "Parameters": body}, Second={**HOLD, "Parameters": body}, Done=DONE)

    def begin(thing):
        return start(thing, definition, permissions={"sqs:SendMessage": "*"})

    def go_on():
        messages = []
        until(lambda: messages.extend(aws("sqs").receive_message(QueueUrl=queue).get("Messages", [])) or messages)
        aws("sqs").delete_message(QueueUrl=queue, ReceiptHandle=messages[0]["ReceiptHandle"])
        token = json.loads(messages[0]["Body"])["token"]
        aws("stepfunctions").send_task_success(taskToken=token, output="{}")

    yield begin, go_on
    aws("sqs").delete_queue(QueueUrl=queue)


@pytest.fixture
def shown(monkeypatch):
    """What is displayed, in order: (data, options)."""
    displayed = []

    class Handle:
        def update(self, data, **options):
            displayed.append((data, options))

    def display(data, **options):
        displayed.append((data, options))
        return Handle()

    monkeypatch.setattr("IPython.display.display", display)
    return displayed


def pictures_of(shown):
    return [(data, options) for data, options in shown if "image/png" in data]


def test_where_nobody_looks_on_there_is_one_picture_and_one_line(shown, capsys):
    execution = start("watched", counting_loop(3), input='{"n": 0}')
    end = watch(execution)
    assert (end["status"], capsys.readouterr().out) == ("SUCCEEDED", "SUCCEEDED\n")
    [(picture, options)] = shown
    assert base64.b64decode(picture["image/png"]).startswith(b"\x89PNG")
    assert picture["text/plain"] == "you-01-watched: SUCCEEDED. Entered: Wait, Poll, Count, Decide, Done."
    heard = options["metadata"]["image/png"]["alt"]
    assert "Entered: Wait 3 times, Poll 3 times, Count 3 times, Decide 3 times, Done once." in heard
    assert "13 state transitions, 0.000325 USD." in heard
    assert heard.splitlines()[-1].strip().endswith("ExecutionSucceeded")


def test_what_was_not_entered_and_what_failed_is_told(shown):
    retry = [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1, "MaxAttempts": 1}]
    watch(start("failing", flow(Try={**NO_TABLE, "Retry": retry}, Done=DONE)))
    [(picture, _)] = shown
    assert picture["text/plain"] == "you-01-failing: FAILED. Entered: Try.\nNot entered: Done."


def test_the_state_that_it_is_in_is_lit_and_goes_on(held, aws):
    begin, go_on = held
    execution = begin("lit")
    view, seen = watching._Machine(execution), []

    def tell(watched, seconds, over):
        view.read()
        lit = [text.get_text() for text in view.frame(watched).axes[0].texts if "▶" in text.get_text()]
        if [lit] != seen[-1:] and (lit or over):
            seen.append(lit)
            if lit:
                go_on()

    follow(execution, 60, tell)
    assert seen == [["▶ First"], ["▶ Second"], []]


def test_a_frame_says_how_often_and_what_went_wrong():
    frames = []
    retry = [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1, "MaxAttempts": 1}]
    caught = {**NO_TABLE, "Retry": retry, "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Done"}]}
    execution = start("caught", flow(Try=caught, Done=DONE))
    view = watching._Machine(execution)
    follow(execution, 60, lambda watched, seconds, over: over and frames.append((view.read(), view.frame(watched))))
    texts = [text.get_text() for text in frames[0][1].axes[0].texts]
    assert any(text.startswith("Task · entered once · tried") for text in texts)
    assert "3 state transitions, 0.000075 USD" in texts


def test_branches_are_lit_with_what_is_around_them(aws):
    branches = [flow(Slow={"Type": "Wait", "Seconds": 300}), flow(Quick={"Type": "Pass"})]
    execution = start("branches", flow(Both={"Type": "Parallel", "Branches": branches}, Done=DONE))
    view = watching._Machine(execution)
    until(lambda: view.read() or "PassStateExited" in [event["type"] for event in view._events])
    assert view.now() == "now in Both, Slow"
    aws("stepfunctions").stop_execution(executionArn=execution)


def test_only_what_is_new_is_read(monkeypatch):
    execution = start("pages", counting_loop(60), input='{"n": 0}')
    executions.wait(execution)
    view, asked = watching._Machine(execution), []
    view.read()
    whole = executions.History.of(execution).events
    assert view._events == whole and len(whole) > 600
    client = view._client
    paginator = client.get_paginator("get_execution_history")
    paginate = paginator.paginate

    def counted(**words):
        for page in paginate(**words):
            asked.append(page)
            yield page

    monkeypatch.setattr(paginator, "paginate", counted)
    view._client = types.SimpleNamespace(get_paginator=lambda name: paginator)
    view._events = view._events[:-3]
    view.read()
    assert view._events == whole and len(asked) == 1


def test_a_durable_function_shows_its_operations(shown, capsys):
    execution = start_durable(seconds=1)
    assert watch(execution)["Status"] == "SUCCEEDED"
    assert capsys.readouterr().out == "SUCCEEDED\n"
    [(picture, options)] = shown
    assert picture["text/plain"] == "you-01-durable: SUCCEEDED. Operations: count done, sleep done."
    assert "3 operations, 2 invocations, 0.000024 USD" in options["metadata"]["image/png"]["alt"]


def test_an_operation_that_waits_is_lit(aws):
    execution = start_durable(seconds=300)
    view = watching._Operations(execution)
    until(lambda: view.read() or "now in sleep" in view.now())
    watched = types.SimpleNamespace(status="RUNNING", ended=None, started=view._replay.started)
    texts = [text.get_text() for text in view.frame(watched).axes[0].texts]
    assert "▶ sleep" in texts and "wait · waits" in texts and "step · done" in texts
    aws("lambda").stop_durable_execution(DurableExecutionArn=execution)
    until(lambda: view.read() or view._replay.status == "STOPPED")
    assert [each.state for each in view._replay.begun()] == ["done", "not over"]


@pytest.fixture
def looked_at(monkeypatch):
    monkeypatch.setattr(executions, "is_watched", lambda: True)


def test_somebody_who_looks_on_sees_it_drawn_anew(shown, looked_at, aws):
    execution = start("anew", flow(Sleep={"Type": "Wait", "Seconds": 3}))
    watch(execution)
    pictures = pictures_of(shown)
    assert len(pictures) >= 2 and pictures[0][1]["display_id"] is True
    assert pictures[0][0]["text/plain"] == pictures[0][1]["metadata"]["image/png"]["alt"]
    lines = [data["text/plain"] for data, _ in shown if "image/png" not in data]
    assert lines[0].startswith("RUNNING for ") and lines[0].endswith(
        " s, now in Sleep. 1 state transition, 0.000025 USD"
    )
    assert re.match(r"SUCCEEDED after \d+\.\d s", lines[-1]) and len(lines) == len(pictures)


def test_it_is_drawn_at_most_twice_a_second(shown, looked_at, monkeypatch):
    """However quickly it is drawn: a clock that goes on by the seconds that are slept."""
    now = [0.0]
    clock = types.SimpleNamespace(monotonic=lambda: now[0], sleep=lambda seconds: now.__setitem__(0, now[0] + seconds))
    monkeypatch.setattr(executions, "time", clock)
    execution = start("seldom", flow(Sleep={"Type": "Wait", "Seconds": 300}))
    watch(execution, timeout=10)
    assert 10 <= len(pictures_of(shown)) <= 21
    boto3.client("stepfunctions").stop_execution(executionArn=execution)


def test_an_interrupt_stops_the_watching_only(shown, looked_at, aws, monkeypatch):
    """Also while it draws."""
    monkeypatch.setattr(watching._Machine, "frame", lambda *_: _thread.interrupt_main())
    execution = start("interrupted", flow(Long={"Type": "Wait", "Seconds": 300}))
    with pytest.raises(StoppedWatching):
        watch(execution)
    assert aws("stepfunctions").describe_execution(executionArn=execution)["status"] == "RUNNING"
    aws("stepfunctions").stop_execution(executionArn=execution)


CELLS = [
    "%load_ext workshop\nimport boto3\nfrom workshop import deploy, watch",
    "loop = {'StartAt': 'Wait', 'States': {'Wait': {'Type': 'Wait', 'Seconds': 1, 'End': True}}}\n"
    "machine = deploy.state_machine('you-01-nbval', loop)\n"
    "arn = boto3.client('stepfunctions').start_execution(stateMachineArn=machine)['executionArn']",
    "end = watch(arn)",
]


def test_nbval_finds_the_same_twice(tmp_path):
    path = tmp_path / "watched.ipynb"
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in CELLS])
    NotebookClient(book, kernel_name="python3").execute()
    nbformat.write(book, path)
    kinds = [output.output_type for output in book.cells[-1].outputs]
    assert kinds == ["display_data", "stream"] and book.cells[-1].outputs[1].text == "SUCCEEDED\n"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "0", "--nbval", str(path)]
    for _ in range(2):
        told = subprocess.run(command, cwd=tmp_path, env=os.environ, capture_output=True, text=True, check=False)
        assert told.returncode == 0, told.stdout[-3000:]


@pytest.mark.takes(30)
def test_in_jupyterlab_an_execution_is_seen_to_advance_and_an_interrupt_stops_the_watching(held, aws, tmp_path):
    from playwright.sync_api import expect

    begin, go_on = held
    first, second = begin("seen"), start("left", flow(Long={"Type": "Wait", "Seconds": 300}))
    cells = ["%load_ext workshop\nfrom workshop import watch", f"end = watch({first!r})", f"end = watch({second!r})"]
    with notebook(tmp_path, *cells) as page:
        boxes = page.locator(".jp-CodeCell")
        for _ in range(2):
            page.keyboard.press("Shift+Enter")
        output, pictures = boxes.nth(1).locator(".jp-OutputArea"), set()
        for state in ("First", "Second"):
            expect(output).to_contain_text(f"now in {state}")
            pictures.add(output.locator("img").get_attribute("src"))
            go_on()
        expect(output).to_contain_text("SUCCEEDED after")
        expect(output).to_contain_text("3 state transitions, 0.000075 USD")
        pictures.add(output.locator("img").get_attribute("src"))
        assert len(pictures) == 3 and all(each.startswith("data:image/png") for each in pictures)
        expect(boxes.nth(1).locator(".jp-InputPrompt").first).to_have_text("[2]:")

        page.keyboard.press("Shift+Enter")
        output = boxes.nth(2).locator(".jp-OutputArea")
        expect(output).to_contain_text("now in Long")
        page.keyboard.press("Escape")
        for _ in range(2):
            page.keyboard.press("i")  # JupyterLab's keys for an interrupt
        expect(output).to_contain_text("You stopped watching; the execution goes on.")
        assert "Traceback" not in output.inner_text()
    assert aws("stepfunctions").describe_execution(executionArn=second)["status"] == "RUNNING"
    aws("stepfunctions").stop_execution(executionArn=second)
