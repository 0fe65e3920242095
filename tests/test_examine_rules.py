"""The rules of `workshop examine`: each finds a wrong file, and nothing in its right twin."""

import ast
import contextlib
import copy
import io
import json
import re

import pytest

from workshop.environments import CHECKOUT
from workshop.examining import examine, functions, rules
from workshop.examining.reading import Code, Machine, Pattern

LAMBDA = "arn:aws:states:::lambda:invoke"
RETRY = [{"ErrorEquals": list(rules.LAMBDA_ERRORS), "MaxAttempts": 6}]


def one(**task):
    """A state machine of one Task."""
    task = {"Type": "Task", "Resource": LAMBDA, "Retry": RETRY, "End": True, **task}
    return {"StartAt": "Task", "States": {"Task": task, "After": {"Type": "Succeed"}}}


def token(**more):
    return one(Resource=f"{LAMBDA}.waitForTaskToken", **more)


def caught(*errors):
    return {"Catch": [{"ErrorEquals": list(errors), "Next": "After"}]}


def within(kind, machine, **more):
    inner = {"ItemProcessor": machine} if kind == "Map" else {"Branches": [machine]}
    return {"StartAt": "Outer", "States": {"Outer": {"Type": kind, **inner, "End": True, **more},
                                           "After": {"Type": "Succeed"}}}  # fmt: skip


def polling(*, wait=None, count=None, tests=None, **machine):
    """Wait, Poll, Choose; with a count or not."""
    choices = [{"Variable": "$.status", "StringEquals": "DONE", "Next": "End"}, *(tests or [])]
    states = {
        "Wait": {"Type": "Wait", "Seconds": 30, "Next": "Poll", **(wait or {})},
        "Poll": {"Type": "Task", "Resource": "arn:aws:states:::aws-sdk:glue:getCrawler", "Next": "Choose"},
        "Choose": {"Type": "Choice", "Choices": choices, "Default": "Wait"},
        "End": {"Type": "Succeed"},
    }
    if count:
        states["Poll"]["Next"], states["Count"] = "Count", {"Type": "Pass", "Next": "Choose", **count}
    return {"StartAt": "Wait", "States": states, **machine}


def answer(variable):
    """A number that is the answer, and no count of passes."""
    return {"Variable": variable, "NumericEquals": 0, "Next": "End"}


COUNT = {"Parameters": {"n.$": "States.MathAdd($.n, 1)"}}
OVER = [{"Variable": "$.n", "NumericGreaterThan": 100, "Next": "End"}]
LATE = [{"Variable": "$$.State.EnteredTime", "TimestampGreaterThanPath": "$.deadline", "Next": "End"}]


def again(errors, attempts, name="f", **more):
    retrier = {"ErrorEquals": errors, "MaxAttempts": attempts, "IntervalSeconds": 30, **more}
    return one(Parameters={"FunctionName": name}, Retry=[*RETRY, retrier])


# rule -> (wrong machines, right ones)
MACHINES = {
    "token-without-timeout": (
        [token(), one(Resource="arn:aws:states:us-east-1:000000000000:activity:work"), within("Map", token()),
         {**token(), "TimeoutSeconds": 60}, token(TimeoutSeconds=99_999_999)],
        [token(TimeoutSeconds=60), token(HeartbeatSeconds=60), token(TimeoutSecondsPath="$.limit"),
         token(TimeoutSeconds="{% $limit %}"), one(), one(Resource="arn:aws:states:::glue:startJobRun.sync")],
    ),
    "heartbeat-not-shorter": (
        [token(TimeoutSeconds=60, HeartbeatSeconds=60), token(TimeoutSeconds=60, HeartbeatSeconds=600),
         within("Parallel", token(TimeoutSeconds=60, HeartbeatSeconds=61))],
        [token(TimeoutSeconds=60, HeartbeatSeconds=20), token(HeartbeatSeconds=20),
         token(TimeoutSecondsPath="$.limit", HeartbeatSeconds=20)],
    ),
    "loop-without-bound": (
        [polling(), within("Map", polling()), polling(tests=[answer("$.runningCount")]),
         polling(tests=[answer("$.percent")])],
        [polling(TimeoutSeconds=3600), polling(count=COUNT, tests=OVER), polling(tests=LATE),
         {**within("Map", polling()), "TimeoutSeconds": 60},
         polling(tests=[{"Condition": "{% $attempts >= 10 %}", "Next": "End"}])],
    ),
    "catch-misses-timeout": (
        [token(TimeoutSeconds=60, **caught("States.TaskFailed")), one(TimeoutSeconds=60, **caught("Refused")),
         token(HeartbeatSeconds=60, **caught("Refused")),
         token(TimeoutSeconds=60, HeartbeatSeconds=20, **caught("States.HeartbeatTimeout"))],
        [token(TimeoutSeconds=60, **caught("States.ALL")), token(TimeoutSeconds=60, **caught("X", "States.Timeout")),
         token(HeartbeatSeconds=60, **caught("States.HeartbeatTimeout")), one(**caught("Refused")),
         token(TimeoutSeconds=60), within("Map", token(TimeoutSeconds=60, **caught("Refused")),
                                          **caught("States.ALL"))],
    ),
    "lambda-without-retry": (
        [one(Retry=[]), token(TimeoutSeconds=9, Retry=[{"ErrorEquals": ["Mine"]}]),
         one(Resource="arn:aws:lambda:us-east-1:000000000000:function:f", Retry=[]),
         one(Resource="${CheckFunctionArn}", Retry=[]), one(Retry=[{"ErrorEquals": ["States.ALL"], "MaxAttempts": 0}])],
        [one(), one(Retry=[{"ErrorEquals": ["States.ALL"]}]), one(Retry=[{"ErrorEquals": ["States.TaskFailed"]}]),
         one(Resource="arn:aws:states:::sqs:sendMessage", Retry=[]), one(Resource="${DynamoDBGetItem}", Retry=[]),
         within("Parallel", one(Retry=[]), Retry=[{"ErrorEquals": ["States.ALL"]}])],
    ),
    "retry-as-poll": (
        [again(["JobNotReady"], 60), again(["StillRunning"], 20, BackoffRate=1), again(["E"], 99, BackoffRate=1),
         again(["States.ALL"], 60, BackoffRate=1, name="GetJobStatus"),
         again(["States.TaskFailed"], 60, MaxDelaySeconds=60, name="GetJobStatus")],
        [again(["Throttled"], 5), again(["States.ALL"], 10), again(["JobNotReady"], 2), one(),
         again(["States.ALL"], 60, BackoffRate=1, name="Charge"), again(["States.ALL"], 6, name="GetJobStatus")],
    ),
}  # fmt: skip


def found(machine):
    return [finding.rule for finding in rules.findings_of(Machine("f.json", "f", machine))]


def cases(which):
    return [
        pytest.param(rule, machine, id=f"{rule}-{number}")
        for rule, pair in MACHINES.items()
        for number, machine in enumerate(pair[which])
    ]


@pytest.mark.parametrize(("rule", "machine"), cases(0))
def test_a_wrong_machine_is_found(rule, machine):
    assert set(found(machine)) == {rule}


@pytest.mark.parametrize(("rule", "machine"), cases(1))
def test_its_right_twin_is_not(rule, machine):
    assert found(machine) == []


def test_an_endless_loop_is_said_to_be_one():
    machine = polling()
    machine["States"]["Choose"]["Choices"][0]["Next"] = "Poll"
    (finding,) = rules.findings_of(Machine("f.json", "f", machine))
    assert (finding.rule, finding.state) == ("loop-without-bound", "Wait")
    assert "Nothing leads out" in finding.says


def test_a_loop_that_paces_through_a_list_needs_no_bound():
    machine = polling()
    machine["States"]["Poll"]["Resource"] = "arn:aws:states:::sqs:sendMessage"
    machine["States"]["Choose"]["Choices"][0] = {"Variable": "$.items[0]", "IsPresent": False, "Next": "End"}
    assert found(machine) == []


# -- event patterns ----------------------------------------------------------------------------------------------------

DMS = {"source": ["aws.dms"], "detail-type": ["DMS Replication Task State Change"]}
WRONG = [
    {**DMS, "detail": {"ReplicationTaskArn": ["arn"]}},
    {**DMS, "detail": {"Status": ["stopped"]}},
    {**DMS, "detail": {"category": ["State Change"]}},
    {**DMS, "detail": {"category": ["StateChange"], "eventId": ["DMS-EVENT-0078"]}},
    {"source": ["aws.dms"], "detail-type": ["DMS Task State Change"]},
    {"source": ["aws.glue"], "detail-type": ["Glue Job State Changed"]},
    {"source": ["aws.athena"], "detail-type": [{"prefix": "Query"}]},
    {"source": ["aws.glue"], "detailType": ["Glue Job State Change"]},
]
RIGHT = [
    DMS,
    {**DMS, "detail": {"category": ["StateChange", "Failure"], "eventId": ["DMS-EVENT-0079", "DMS-EVENT-0078"]}},
    {**DMS, "detail": {"detailMessage": [{"prefix": "Stop Reason"}]}, "resources": ["arn"]},
    {**DMS, "detail": {"Status": [{"exists": False}]}},
    {"source": ["aws.dms"], "detail-type": ["DMS Replication Instance State Change"], "detail": {"anything": ["x"]}},
    {"source": ["aws.dms", "my.own"], "detail-type": ["Mine"]},
    {"source": ["my.own"], "detail-type": ["Mine"], "detail": {"Status": ["x"]}},
    {"source": ["aws.glue"], "detail-type": ["AWS API Call via CloudTrail"], "detail": {"eventName": ["StartJobRun"]}},
    {"source": ["aws.athena"], "detail-type": [{"prefix": "Athena"}], "detail": {"currentState": ["FAILED"]}},
    {"source": [{"prefix": "aws."}], "detail-type": ["Nobody knows"]},
]


@pytest.mark.parametrize("pattern", WRONG, ids=json.dumps)
def test_a_pattern_that_can_match_nothing(pattern):
    (finding, *_) = rules.pattern_matches_nothing(Pattern("f", "MyRule", pattern))
    assert finding.rule == "pattern-matches-nothing" and "MyRule" in finding.says


@pytest.mark.parametrize("pattern", RIGHT, ids=json.dumps)
def test_a_pattern_that_can_match(pattern):
    assert list(rules.pattern_matches_nothing(Pattern("f", "r", pattern))) == []


def test_patterns_of_templates_and_files(tmp_path):
    rule = {"Type": "AWS::Events::Rule", "Properties": {"EventPattern": WRONG[0]}}
    handler = {"Type": "AWS::Serverless::Function", "Properties": {"Events": {
        "Ended": {"Type": "EventBridgeRule", "Properties": {"Pattern": WRONG[2]}}}}}  # fmt: skip
    (tmp_path / "t.json").write_text(json.dumps({"Resources": {"Rule": rule, "Handler": handler}}))
    (tmp_path / "p.json").write_text(json.dumps(WRONG[4]))
    (tmp_path / "r.json").write_text(json.dumps({"Name": "described", "EventPattern": json.dumps(WRONG[1])}))
    report = examine(tmp_path)
    assert [one.name for one in report.examined] == ["p", "described", "Rule", "HandlerEnded"]
    assert [finding.rule for finding in report.findings] == ["pattern-matches-nothing"] * 4


def test_a_pattern_stands_with_the_state_machine_of_its_template(tmp_path):
    machine = {"Type": "AWS::StepFunctions::StateMachine", "Properties": {"Definition": one()}}
    rule = {"Type": "AWS::Events::Rule", "Properties": {"EventPattern": WRONG[0]}}
    (tmp_path / "t.json").write_text(json.dumps({"Resources": {"Machine": machine, "Rule": rule}}))
    (found_one,) = examine(tmp_path / "t.json").as_json()
    assert found_one["name"] == "Machine"
    assert [(each["rule"], each["state"]) for each in found_one["findings"]] == [("pattern-matches-nothing", None)]


# -- what is ours ------------------------------------------------------------------------------------------------------


def functions_of(notebook, folder):
    """Write the files that a notebook's cells write, in order: (tags of the cell, path) after each."""
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"])
        if named := re.match(r"%%writefile (-a )?(\S+\.py)\n", source):
            path = folder / named[2]
            before = path.read_text() if named[1] else ""
            path.write_text(before + source[named.end() :] + "\n")
            yield cell["metadata"].get("tags", []), path


SOLUTIONS = sorted((CHECKOUT / "solutions").glob("*.ipynb"))


@pytest.mark.parametrize("notebook", SOLUTIONS, ids=lambda path: path.stem)
def test_no_function_of_our_solutions_is_found_fault_with(notebook, tmp_path):
    for tags, path in functions_of(notebook, tmp_path):
        if "answer" in tags:
            assert functions.findings_of(Code(str(path), path.stem, path.read_text())) == [], path.name


TRAPS = {
    "order.py": "effect-outside-step",
    "price.py": "chance-outside-step",
    "count.py": "closure-changed-in-step",
    "order_all.py": "name-by-chance",
    "read.py": "effect-outside-step",  # in a child context whose result is too large to be kept
    "publish.py": "cleanup-at-suspension",
    "order_by_key.py": "key-drawn-with-its-use",
}


def test_each_trap_of_lab_05_is_seen(tmp_path):
    seen = {}
    for tags, path in functions_of(CHECKOUT / "solutions" / "05-replay-gotchas.ipynb", tmp_path):
        if "answer" not in tags and path.name != "outside.py":
            seen[path.name] = {one.rule for one in functions.findings_of(Code(str(path), path.stem, path.read_text()))}
    assert seen.keys() == TRAPS.keys()
    assert all(rule in seen[name] for name, rule in TRAPS.items()), seen


# Findings that are meant: what a later task of the lab puts right, or what it replaces.
EXPLAINED = {
    ("03-callback-urls", "token-without-timeout", "Check"),  # exercise 1: the timeout is exercise 3's
    ("04-durable-functions", "loop-without-bound", "Wait"),  # the loop of lab 01, which the lab replaces
}


def machines_of(notebook):
    """The state machines that a notebook's cells spell out: literals that have StartAt and States."""
    names = {}
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] != "code" or source.startswith("%"):
            continue
        with contextlib.suppress(SyntaxError):
            for node in ast.parse(source).body:
                yield from _deployed(node, names)


def _deployed(node, names):
    """Run an assignment with plain data, and yield the second argument of deploy.state_machine(...)."""
    call = node.value if isinstance(node, ast.Expr | ast.Assign) else None
    if isinstance(call, ast.Call) and ast.unparse(call.func) == "deploy.state_machine":
        with contextlib.suppress(Exception):
            yield copy.deepcopy(_value(call.args[1], names))
    elif isinstance(node, ast.Assign | ast.AugAssign | ast.FunctionDef):
        with contextlib.suppress(Exception), contextlib.redirect_stdout(io.StringIO()):
            exec(compile(ast.Module([node], []), "cell", "exec"), _stand_ins(names), names)


def _value(node, names):
    return eval(compile(ast.Expression(node), "cell", "eval"), _stand_ins(names), names)


def _stand_ins(names):
    class Named:
        """Whatever a cell asks of it is a name."""

        def __getattr__(self, attribute):
            return lambda *words, **more: "-".join(map(str, words)) or "name"

    return {"deploy": Named(), "lab": Named(), "deepcopy": copy.deepcopy, **names}


@pytest.mark.parametrize("notebook", SOLUTIONS, ids=lambda path: path.stem)
def test_no_state_machine_of_our_solutions_is_found_fault_with_but_those_explained(notebook):
    machines = list(machines_of(notebook))
    text = notebook.read_text(encoding="utf-8")
    assert machines or "state_machine(" not in text, "None was found: does it deploy them in another way now?"
    said = {
        (notebook.stem, finding.rule, finding.state)
        for machine in machines
        for finding in rules.findings_of(Machine("f", "f", machine))
    }
    assert said == {one for one in EXPLAINED if one[0] == notebook.stem}
