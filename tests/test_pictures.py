"""Pictures of state machines and executions: their mermaid, their words, and what is drawn."""

import base64
import dataclasses
import io
import re

import pytest
from flows import DONE, NO_TABLE, flow, run

from workshop import deploy, pictures
from workshop.account import use_sandbox

POLLING = {
    "Comment": "Poll until the migration ends",
    "StartAt": "Start",
    "States": {
        "Start": {
            "Type": "Task",
            "Resource": "arn:aws:states:::aws-sdk:databasemigration:startReplicationTask",
            "Retry": [{"ErrorEquals": ["States.Timeout", "DatabaseMigration.Busy"], "MaxAttempts": 2}],
            "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Give up"}],
            "Next": "Wait",
        },
        "Wait": {"Type": "Wait", "SecondsPath": "$.interval", "Next": "Poll"},
        "Poll": {
            "Type": "Task",
            "Resource": "arn:aws:lambda:us-east-1:111122223333:function:you-01-poll",
            "Next": "Done?",
        },
        "Done?": {
            "Type": "Choice",
            "Choices": [
                {
                    "And": [
                        {"Variable": "$.status", "StringEquals": "stopped"},
                        {"Variable": "$.reason", "StringMatches": "*FINISHED"},
                    ],
                    "Next": "Done",
                },
                {"Variable": "$.status", "StringEquals": "failed", "Next": "Give up"},
            ],
            "Default": "Wait",
        },
        "Done": {"Type": "Succeed"},
        "Give up": {"Type": "Fail", "Error": "Migration.Failed"},
    },
}

IN_WORDS = """\
Poll until the migration ends
Starts with Start
Start (Task: databasemigration:startReplicationTask)
    retried up to 2 times on States.Timeout, DatabaseMigration.Busy
    then Wait
    on States.ALL, then Give up
Wait (Wait: $.interval seconds)
    then Poll
Poll (Task: function you-01-poll)
    then Done?
Done? (Choice)
    if $.status = "stopped" and $.reason matches "*FINISHED", then Done
    if $.status = "failed", then Give up
    otherwise, then Wait
Done (Succeed)
Give up (Fail: Migration.Failed)"""


def test_a_state_machine_in_words():
    view = pictures.draw(POLLING)
    assert str(view) == IN_WORDS
    assert view._repr_mimebundle_() == {"text/vnd.mermaid": view.mermaid, "text/plain": IN_WORDS}


def test_a_state_machine_as_a_graph():
    lines = pictures.draw(POLLING).mermaid.splitlines()
    assert lines[:2] == ["flowchart TD", "accTitle: Poll until the migration ends"]
    assert lines[2].startswith("accDescr: Starts with Start / Start (Task: ")
    assert 's1(["Wait<br/>Wait: #36;#46;interval seconds"])' in lines
    assert "s1 --> s2" in lines
    assert 's0 -.->|"States#46;ALL"| s5' in lines  # a Catch is dashed and says for what
    assert 's3 -->|"otherwise"| s1' in lines
    assert "class s4 Succeed" in lines
    assert_is_mermaid(lines)


# What of mermaid's flowchart syntax is used, as in https://mermaid.js.org/syntax/flowchart.html. All the output of this
# module was once parsed by mermaid 11 itself; here it is held to what was.
_ID = r"[a-z0-9_]+"
_LABEL = r'"(?:[\w ,:=/?!…≤≥-]|#\d+;|<br/>)*"'
_SYNTAX = re.compile(
    rf"flowchart TD|accTitle: [^;#{{}}<>]+|accDescr: [^;#{{}}<>]+|direction TB|end"
    rf"|{_ID}(?:\[{_LABEL}\]|\(\[{_LABEL}\]\)|\({_LABEL}\)|\[\[{_LABEL}\]\]|\{{{_LABEL}\}}|\[/{_LABEL}\\\])"
    rf"|{_ID}\(\({_LABEL}\)\):::Dot|subgraph {_ID}\[{_LABEL}\]|class {_ID} [A-Z][a-z]+"
    rf"|{_ID} -\.?->(?:\|{_LABEL}\|)? {_ID}"
    r"|classDef [A-Z][a-z]+ fill:#\w{6},stroke:#\w{6},color:#\w{6}"
)


def assert_is_mermaid(lines):
    assert [line for line in lines if not _SYNTAX.fullmatch(line)] == []


NAMES = ['Say "hi" (now); #1', "{a} [b] <c> |d|", "`x` %% $$y$$", "end", "1. Größe_日本", "graph\\n--> x"]


def test_names_and_texts_of_any_kind():
    states = {each: {"Type": "Pass", "Comment": "…"} for each in NAMES}
    definition = {**flow(**states), "Comment": "{odd};\n#1 <b>"}
    view = pictures.draw(definition)
    assert_is_mermaid(view.mermaid.splitlines())
    for each in NAMES:
        assert f"{each} (Pass)" in str(view)
    labels = re.findall(r'\("(.*)<br/>Pass"\)', view.mermaid)
    shown = [re.sub(r"#(\d+);", lambda code: chr(int(code[1])), label) for label in labels]
    assert [label.replace("\u200b", "") for label in shown] == NAMES
    assert not any("$$" in label or r"\n" in label for label in shown)  # which mermaid would not show as they are


def test_what_is_inside_a_parallel_or_a_map():
    inner = flow(Each={"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken"})
    branches = [flow(Left={"Type": "Pass"}), flow(Right={"Type": "Wait", "Timestamp": "{% $until %}"})]
    catch = [{"ErrorEquals": ["States.ALL"], "Next": "Every"}]
    definition = flow(
        Both={"Type": "Parallel", "Branches": branches, "Catch": catch}, Every={"Type": "Map", "ItemProcessor": inner}
    )
    assert str(pictures.draw(definition)).splitlines() == [
        "Starts with Both",
        "Both (Parallel: 2 branches)",
        "    | Starts with Left",
        "    | Left (Pass)",
        "    |     end",
        "    | Starts with Right",
        "    | Right (Wait: until $until)",
        "    |     end",
        "    then Every",
        "    on States.ALL, then Every",
        "Every (Map: for each item)",
        "    | Starts with Each",
        "    | Each (Task: lambda:invoke.waitForTaskToken)",
        "    |     end",
        "    end",
    ]
    lines = pictures.draw(definition).mermaid.splitlines()
    assert_is_mermaid(lines)
    assert lines.count("end") == sum(line.startswith("subgraph") for line in lines) == 2


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"Condition": "{% $states.input.n > 3 %}"}, "if $states.input.n > 3"),
        ({"Variable": "$.n", "NumericGreaterThanEquals": 3}, "if $.n ≥ 3"),
        ({"Variable": "$.n", "NumericLessThanPath": "$.most"}, "if $.n < $.most"),
        ({"Variable": "$.b", "BooleanEquals": True}, "if $.b = true"),
        ({"Variable": "$.e", "IsPresent": True}, "if $.e is present"),
        ({"Variable": "$.e", "IsNull": False}, "if $.e is not null"),
        ({"Not": {"Variable": "$.s", "StringEquals": "a"}}, 'if not ($.s = "a")'),
        (
            {"Or": [{"Variable": "$.a", "IsNull": True}, {"And": [{"Variable": "$.b", "TimestampEquals": "x"}]}]},
            'if $.a is null or ($.b = "x")',
        ),
    ],
)
def test_conditions(rule, words):
    definition = {"StartAt": "C", "States": {"C": {"Type": "Choice", "Choices": [{**rule, "Next": "D"}]}, "D": DONE}}
    assert f"    {words}, then D" in str(pictures.draw(definition)).splitlines()


@pytest.mark.parametrize(
    "definition",
    [
        {"StartAt": ..., "States": ...},
        {"StartAt": "A", "States": {"A": ...}},
        {"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": ..., "Next": ...}}},
        {"StartAt": "A", "States": {"A": {"Type": "Choice", "Choices": ..., "Default": ...}}},
        {"StartAt": "A", "States": {"A": {"Type": "Choice", "Choices": [..., {"And": [...]}]}}},
        {"StartAt": "A", "States": {"A": {"Type": "Map", "ItemProcessor": ..., "Catch": [...], "Retry": ...}}},
        {},
    ],
)
def test_what_is_not_finished_is_drawn_too(definition):
    assert_is_mermaid(pictures.draw(definition).mermaid.splitlines())


def test_a_name_that_no_state_has_is_seen():
    definition = {"StartAt": "A", "States": {"A": {"Type": "Pass", "Next": "Nowhere"}}}
    assert "Nowhere #40;no such state#41;" in pictures.draw(definition).mermaid


def test_what_is_no_definition_is_refused():
    with pytest.raises(deploy.DeployError, match="is not JSON: line 1"):
        pictures.draw("StartAt: Start")


@pytest.fixture(scope="module")
def histories(sandbox):
    use_sandbox(sandbox)
    polling = run("drawn", flow(Wait={"Type": "Wait", "Seconds": 1}, Look={"Type": "Pass"}, Done=DONE))
    failing = run("drawn-too", flow(Try=NO_TABLE))
    return polling, failing


def test_a_timeline(histories, monkeypatch):
    from PIL import Image

    titles = ["polling", "failing"]
    view = pictures.timeline(*histories, titles=titles, job_ended=[0.6, None])
    words = (
        "A timeline of executions, a row for each state.\n"
        "polling: SUCCEEDED, through the states Wait, Look, Done. The end of its job is marked.\n"
        "failing: FAILED, through the states Try."
    )
    assert str(view) == words
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda data, **options: shown.append((data, options)))
    view._ipython_display_()
    (picture, options), (below, _) = shown
    assert options["metadata"] == {"image/png": {"alt": words}}
    assert picture["text/plain"] == below["text/plain"] == words
    image = Image.open(io.BytesIO(base64.b64decode(picture["image/png"]))).convert("RGB")
    assert image.getpixel((0, 0)) == (255, 255, 255)  # readable on a dark page too
    assert len(image.getcolors(1 << 24)) > 5

    first, second = view.figure.axes
    assert [label.get_text() for label in first.get_yticklabels()] == ["Wait", "Look", "Done"]
    assert re.fullmatch(r"polling: SUCCEEDED, 1\.\d s, 3 state transitions, 0\.\d s after its job ended",
                        first.get_title(loc="left"))  # fmt: skip
    assert [line.get_xdata()[0] for line in first.lines] == [0.6]
    assert first.get_xlim() == second.get_xlim()
    assert "✗ DynamoDb.ResourceNotFoundException" in [text.get_text() for text in second.texts]
    assert not second.lines


@pytest.mark.parametrize("began", [0, 0.3, 0.6, 0.9])  # of the time that the execution took
def test_a_note_on_a_bar_leaves_the_names_of_the_rows_alone(histories, monkeypatch, began):
    failing = histories[1]
    [visit] = failing.states()
    late = dataclasses.replace(visit, entered=began * failing.seconds, left=failing.seconds)
    monkeypatch.setattr(type(failing), "states", lambda _: [late])
    figure = pictures.timeline(failing).figure
    figure.draw_without_rendering()
    (axis,) = figure.axes
    [note] = [text for text in axis.texts if "✗" in text.get_text()]
    assert note.get_window_extent().x0 >= axis.get_window_extent().x0


def test_when_a_job_ended_may_be_said_as_a_time(histories):
    import datetime

    polling, _ = histories
    as_time = polling.started + datetime.timedelta(seconds=0.25)
    (axis,) = pictures.timeline(polling, job_ended=as_time).figure.axes
    assert axis.lines[0].get_xdata()[0] == pytest.approx(0.25)
    (axis,) = pictures.timeline(polling, job_ended=99).figure.axes
    assert axis.get_title(loc="left").endswith("s before its job ended")


def test_what_does_not_fit_together_is_refused(histories):
    with pytest.raises(ValueError, match="There are 2 executions, but 1 titles"):
        pictures.timeline(*histories, titles=["one"])
    with pytest.raises(ValueError, match="There are 2 executions, but 3 times"):
        pictures.timeline(*histories, job_ended=[1, 2, 3])
