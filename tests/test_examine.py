"""`workshop examine`: what files hold, which loops there are, and what the command says of them."""

import copy
import json
import random
import socket
import subprocess
import sys

import boto3
import pytest

from workshop import cli
from workshop.environments import CHECKOUT
from workshop.examining import RULES, examine, reading, services
from workshop.examining.loops import loops_of

DESCRIBE = "arn:aws:states:::aws-sdk:databasemigration:describeReplicationTasks"
START = "arn:aws:states:::aws-sdk:databasemigration:startReplicationTask"


def polling(**machine):
    """The loop of lab 01, in JSONPath."""
    return {
        "StartAt": "Start",
        "States": {
            "Start": {
                "Type": "Task",
                "Resource": START,
                "Parameters": {"ReplicationTaskArn.$": "$.Task"},
                "Next": "Wait",
            },
            "Wait": {"Type": "Wait", "Seconds": 30, "Next": "Poll"},
            "Poll": {"Type": "Task", "Resource": DESCRIBE, "Next": "Choose"},
            "Choose": {
                "Type": "Choice",
                "Choices": [
                    {"Variable": "$.ReplicationTasks[0].Status", "StringEquals": "running", "Next": "Wait"},
                    {"Variable": "$.ReplicationTasks[0].Status", "StringEquals": "failed", "Next": "Failed"},
                ],
                "Default": "Done",
            },
            "Failed": {"Type": "Fail"},
            "Done": {"Type": "Succeed"},
        },
        **machine,
    }


BOUNDED = {"TimeoutSeconds": 7200}
LOOP = {"states": ["Wait", "Poll", "Choose"], "kind": "polls", "wait_seconds": 30, "asks": [DESCRIBE]}


@pytest.fixture
def write(tmp_path):
    """A function that writes a file (text, or data as JSON) and returns its path."""

    def write(name, content):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content, indent=2), encoding="utf-8")
        return str(path)

    return write


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    """A function that runs the command in this process: (exit status, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)

    def run(*words):
        with pytest.raises(SystemExit) as ended:
            cli.main(["examine", *words])
        said = capsys.readouterr()
        assert "Traceback" not in said.out + said.err
        return ended.value.code, said.out, said.err

    return run


def loops(*files):
    return [one["loops"] for one in examine(*files).as_json()]


# -- the shape for programs --------------------------------------------------------------------------------------------


def test_json_is_a_list_with_an_object_for_each_state_machine(write, run):
    file = write("orders.asl.json", polling(**BOUNDED))
    status, out, err = run("--json", file)
    assert (status, err) == (0, "")
    assert json.loads(out) == [{"file": file, "name": "orders", "loops": [LOOP], "findings": []}]


def test_findings_name_rule_and_state_and_say_what(write, run):
    file = write("orders.asl.json", polling())
    (finding,) = json.loads(run("--json", file)[1])[0]["findings"]
    assert (finding["rule"], finding["state"]) == ("loop-without-bound", "Wait")
    assert set(finding) == {"rule", "state", "says"}
    assert finding["says"].endswith(".")


def test_exit_status(write, run):
    found, none = write("found.json", polling()), write("none.json", polling(**BOUNDED))
    assert run(found)[0] == 0
    assert run("--check", found)[0] == 1
    assert run("--check", none)[0] == 0
    status, out, err = run("--check", "--json", found, write("bad.json", '{"StartAt": '), none, "missing.json")
    assert status == 2
    assert [one["name"] for one in json.loads(out)] == ["found", "none"]  # the others are read all the same
    assert len(err.splitlines()) == 2
    assert "bad.json" in err and "line 1" in err
    assert "missing.json cannot be read: No such file" in err


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("empty.json", "", "is empty"),
        ("list.json", "[1, 2]", "holds no state machine"),
        ("text.yaml", "just text", "holds no state machine"),
        ("tab.yaml", "States:\n\t- a", "line 2"),
        ("code.py", "def f(:", "is no Python: there is a fault in line 1"),
        ("described.json", {"name": "a", "definition": "no json"}, "`definition` is no JSON"),
        ("half.json", {"name": "a", "definition": "{}"}, "has no StartAt and States"),
        ("history.json", {"events": [{"id": 7, "type": "WaitStateEntered", "timestamp": 1}]}, "not the whole history"),
        ("deep.json", "[" * 100_000, "nested too deeply"),
    ],
)
def test_what_cannot_be_read_gets_one_sentence(write, run, name, content, says):
    status, out, err = run(write(name, content))
    assert (status, out) == (2, "")
    assert says in err and len(err.strip().splitlines()) == 1


def test_no_text_at_all(tmp_path, run):
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe\x00")
    assert "is not text in UTF-8" in run(str(tmp_path / "binary.json"))[2]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "Say which files"),
        (["--explain", "nonsense"], "There is no rule 'nonsense'. There are: "),
        (["--json", "--sarif", "x"], "not both"),
        (["--runs-per-month", "0", "x"], "runs_per_month is 0.0"),
        (["--job-seconds", "nan", "x"], "job_seconds is nan"),
    ],
)
def test_bad_words_get_a_sentence(run, words, says):
    status, out, err = run(*words)
    assert (status, out) == (2, "")
    assert says in err


# -- what people have --------------------------------------------------------------------------------------------------

YAML = """
StartAt: Wait
TimeoutSeconds: 600
States:
  Wait: {Type: Wait, Seconds: 30, Next: Poll}
  Poll:
    Type: Task
    Resource: arn:aws:states:::aws-sdk:glue:getCrawler
    Next: Choose
  Choose:
    Type: Choice
    Choices:
      - Variable: $.Crawler.State
        StringEquals: READY
        Next: Done
    Default: Wait
  Done: {Type: Succeed}
"""


def test_yaml(write):
    (found,) = examine(write("crawl.asl.yaml", YAML)).as_json()
    assert found["name"] == "crawl"
    assert found["loops"] == [{**LOOP, "asks": ["arn:aws:states:::aws-sdk:glue:getCrawler"]}]


def test_yaml_names_that_are_no_texts_there(write):
    text = (
        YAML.replace("Wait:", "Yes:").replace("StartAt: Wait", "StartAt: Yes").replace("Default: Wait", "Default: Yes")
    )
    text = (
        text.replace("Poll:", "1:")
        .replace("Next: Poll", 'Next: "1"')
        .replace("StringEquals: READY", "StringEquals: on")
    )
    assert loops(write("a.yaml", text))[0][0]["states"] == ["Yes", "1", "Choose"]


def test_what_describe_state_machine_prints(write):
    file = write("described.json", {"name": "migrate", "type": "EXPRESS", "definition": json.dumps(polling())})
    (found,) = examine(file).examined
    assert (found.name, found.machine.express) == ("migrate", True)
    assert [each.loop.kind for each in found.loops] == ["polls"]


def test_a_definition_in_a_file_beside_a_sam_template(write):
    text = json.dumps(polling(**BOUNDED)).replace('"Seconds": 30', '"Seconds": ${Pause}')
    write("machines/orders.asl.json", text.replace(DESCRIBE, "${Ask}"))
    template = write(
        "template.yaml",
        """
Parameters: {Pause: {Type: Number, Default: 45}}
Resources:
  Orders:
    Type: AWS::Serverless::StateMachine
    Properties:
      DefinitionUri: machines/orders.asl.json
      DefinitionSubstitutions:
        Pause: !Ref Pause
        Ask: !Sub arn:${AWS::Partition}:states:::aws-sdk:databasemigration:describeReplicationTasks
  Asks:
    Type: AWS::Serverless::Function
""",
    )
    (found,) = examine(template).as_json()
    assert (found["file"], found["name"]) == (template, "Orders")
    assert found["loops"][0]["wait_seconds"] == 45
    assert services.called(found["loops"][0]["asks"][0]) == services.called(DESCRIBE)


def test_a_folder_tells_a_definition_once_that_its_template_names(write, tmp_path):
    write("orders.asl.json", polling())
    write(
        "template.yaml",
        """
Resources:
  Orders: {Type: AWS::Serverless::StateMachine, Properties: {DefinitionUri: orders.asl.json}}
""",
    )
    write("package.json", {"name": "something else"})
    report = examine(tmp_path)
    assert [one.name for one in report.examined] == ["Orders"]
    assert report.unreadable == []
    write("broken.asl.json", '{"StartAt": "A", "States": {')
    assert ["broken.asl.json is no JSON" in sentence for sentence in examine(tmp_path).unreadable] == [True]


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ('{"StartAt": "Wait", "States": {"Wait"', True),
        ("StartAt: Wait\nStates:\n\tWait:", True),
        ('{"members": {"StartAt": {"shape": "Time"}}', False),  # of a model of botocore
        ('{"input": {"StartAt": 0}', False),
    ],
)
def test_a_folder_is_silent_about_what_was_not_meant(write, tmp_path, text, meant):
    write("good.json", json.dumps(polling()))
    write("other.json", text)
    report = examine(tmp_path)
    assert bool(report.unreadable) == meant and len(report.examined) == 1


def test_a_template_that_names_a_file_that_is_not_there(write, run):
    template = write(
        "t.yaml", "Resources: {A: {Type: AWS::Serverless::StateMachine, Properties: {DefinitionUri: a.json}}}"
    )
    status, _, err = run(template)
    assert status == 2
    assert "A names the definition a.json, and there is no such file beside it." in err


def template(**properties):
    return {"Resources": {
        "Machine": {"Type": "AWS::StepFunctions::StateMachine", "Properties": properties},
        "Check": {"Type": "AWS::Lambda::Function", "Properties": {}},
    }}  # fmt: skip


def test_definition_strings(write):
    """As text with Fn::Sub, as an object, and with the joins of cdk.out."""
    whole = json.dumps(polling(**BOUNDED))
    for number, properties in enumerate([
        {"DefinitionString": whole},
        {"Definition": polling(**BOUNDED)},
        {"DefinitionString": {"Fn::Sub": whole.replace("databasemigration", "${Service}")},
         "DefinitionSubstitutions": {"Service": "databasemigration"}},
        {"DefinitionString": {"Fn::Sub": [whole.replace('"Seconds": 30', '"Seconds": ${S}'), {"S": 30}]}},
        {"DefinitionString": {"Fn::Join": ["", [*whole.split("$.Task", 1)[:1], {"Ref": "Bucket"},
                                                *whole.split("$.Task", 1)[1:]]]}},
    ]):  # fmt: skip
        assert loops(write(f"{number}.template.json", template(**properties))) == [[LOOP]], number


def test_the_joins_of_cdk_name_functions(write):
    machine = polling()
    machine["States"]["Poll"]["Resource"] = "@@"
    before, after = json.dumps(machine).split("@@")
    joined = {"Fn::Join": ["", [before, {"Fn::GetAtt": ["Check", "Arn"]}, after]]}
    (found,) = examine(write("stack.template.json", template(DefinitionString=joined))).as_json()
    assert found["loops"][0]["asks"][0].endswith(":function:Check")
    assert {"lambda-without-retry"} <= {finding["rule"] for finding in found["findings"]}


def test_an_asset_of_cdk_out(write):
    digest = "a1b2c3d4" * 8
    write(f"cdk.out/asset.{digest}.json", polling(**BOUNDED))
    stack = write("cdk.out/S.template.json", template(
        DefinitionS3Location={"Bucket": {"Fn::Sub": "cdk-${AWS::AccountId}"}, "Key": f"{digest}.json"}))  # fmt: skip
    assert loops(stack) == [[LOOP]]


def test_placeholders_that_stand_bare(write):
    text = json.dumps(polling(**BOUNDED)).replace('"Seconds": 30', '"Seconds": ${pause_seconds}')
    assert loops(write("for_terraform.json", text)) == [[{**LOOP, "wait_seconds": None}]]


def test_the_rest_of_a_template_is_read_where_a_part_cannot_be(write, run):
    whole = template(Definition=polling(**BOUNDED))
    whole["Resources"]["Gone"] = {"Type": "AWS::Serverless::StateMachine", "Properties": {"DefinitionUri": "gone.json"}}
    whole["Resources"]["Odd"] = {"Type": "AWS::StepFunctions::StateMachine", "Properties": {"DefinitionString": {
        "Fn::Sub": ["a", "b", "c"]}}}  # fmt: skip
    whole["Resources"]["Inline"] = {"Type": "AWS::Serverless::Function", "Properties": {"InlineCode": "def f(): pass"}}
    status, out, err = run("--json", write("t.json", whole))
    assert status == 2
    assert [(one["name"], one["loops"]) for one in json.loads(out)] == [("Machine", [LOOP])]
    assert "Gone names the definition gone.json" in err and "the resource Odd has" in err


# -- loops -------------------------------------------------------------------------------------------------------------


def changed(**states):
    machine = copy.deepcopy(polling(**BOUNDED))
    for name, change in states.items():
        machine["States"].setdefault(name, {}).update(change)
    return machine


def only_loop(machine):
    (loop,) = loops_of(machine)
    return loop


@pytest.mark.parametrize(
    ("wait", "seconds"),
    [
        ({"Seconds": 5}, 5),
        ({"Seconds": "{% 20 %}"}, 20),
        ({"Seconds": "15"}, 15),
        ({"Seconds": "{% $pause * 2 %}"}, None),
        ({"Seconds": None, "SecondsPath": "$.pause"}, None),
        ({"Seconds": None, "Timestamp": "2030-01-01T00:00:00Z"}, None),
    ],
)
def test_the_seconds_of_a_wait(wait, seconds):
    assert only_loop(changed(Wait=wait)).wait_seconds == seconds


def test_no_loop_where_nothing_comes_back():
    machine = polling()
    machine["States"]["Choose"]["Choices"][0]["Next"] = "Done"
    assert loops_of(machine) == []


def test_no_loop_without_a_wait():
    machine = changed(Wait={"Type": "Pass"})
    assert loops_of(machine) == []


def test_loops_within_map_and_parallel():
    inner = {key: polling()[key] for key in ("StartAt", "States")}
    machine = {
        "StartAt": "Each",
        "States": {
            "Each": {"Type": "Map", "ItemProcessor": inner, "Next": "Both"},
            "Both": {"Type": "Parallel", "Branches": [inner, {"StartAt": "Old", "States": {
                "Old": {"Type": "Map", "Iterator": inner, "End": True}}}], "End": True},
        },
    }  # fmt: skip
    found = loops_of(machine)
    assert [(loop.states, loop.kind) for loop in found] == [(["Wait", "Poll", "Choose"], "polls")] * 3


def test_one_loop_for_all_states_that_can_reach_each_other():
    """A wait before the next page around a wait for the job: one set, and the short pass is the one that is told."""
    machine = changed(Choose={"Default": "Rest"}, Rest={"Type": "Wait", "Seconds": 600, "Next": "More"},
                      More={"Type": "Choice", "Choices": [{"Variable": "$.next", "IsPresent": True, "Next": "Wait"}],
                            "Default": "Done"})  # fmt: skip
    loop = only_loop(machine)
    assert set(loop.states) == {"Wait", "Poll", "Choose", "Rest", "More"}
    assert (loop.kind, loop.wait_seconds, loop.cycle) == ("polls", 30, ["Wait", "Poll", "Choose"])


def loop_of(task, *choices, default="Wait", **more):
    """Wait, a Task, a Choice."""
    return {
        "StartAt": "Wait",
        "States": {
            "Wait": {"Type": "Wait", "Seconds": 10, "Next": "Task"},
            "Task": {"Type": "Task", "Next": "Choose", **task},
            "Choose": {"Type": "Choice", "Choices": [{**one, "Next": "End"} for one in choices], "Default": default},
            "End": {"Type": "Succeed"},
        },
        **more,
    }


def function(name):
    return {"Resource": "arn:aws:states:::lambda:invoke", "Parameters": {"FunctionName": name}}


STATUS = {"Variable": "$.status", "StringEquals": "SUCCEEDED"}


@pytest.mark.parametrize(
    ("machine", "kind"),
    [
        (loop_of(function("GetJobStatus"), STATUS), "polls"),
        (loop_of(function("${Fn}"), STATUS), "polls"),  # whose name says nothing, and whose answer is a status
        (loop_of({"Resource": "arn:aws:states:::dynamodb:getItem"}, {"Variable": "$.Item.approved.BOOL",
                                                                    "BooleanEquals": True}), "polls"),
        (loop_of({"Resource": "arn:aws:states:::http:invoke", "Parameters": {"Method": "GET"}},
                 {"Variable": "$.ResponseBody.state", "StringEquals": "done"}), "polls"),
        (loop_of({"Resource": "arn:aws:states:::aws-sdk:ec2:describeVolumes"},
                 {"Condition": "{% $states.result.Volumes[0].State = 'available' %}"}), "polls"),
        (loop_of({"Resource": "arn:aws:states:::aws-sdk:sqs:receiveMessage"},
                 {"Variable": "$.Messages", "IsPresent": True}), "polls"),
        (loop_of(function("CheckBackups"), {"Variable": "$.remaining", "NumericEquals": 0}), "polls"),
        # work that is slowed down
        (loop_of({"Resource": "arn:aws:states:::sqs:sendMessage"}, {"Variable": "$.n", "NumericEquals": 10}), "paces"),
        (loop_of({"Resource": "arn:aws:states:::aws-sdk:s3:listObjectsV2"},
                 {"Variable": "$.NextContinuationToken", "IsPresent": False}), "paces"),
        (loop_of(function("ProcessBatch"), {"Variable": "$.remaining", "NumericEquals": 0}), "paces"),
        (loop_of(function("send-emails"), {"Condition": "{% $count($items) = 0 %}"}), "paces"),
        # what the text does not tell
        (loop_of(function("${Fn}"), {"Variable": "$.flag", "BooleanEquals": True}), "unknown"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_kinds(machine, kind):
    assert only_loop(machine).kind == kind


def test_the_name_of_a_wait_between_batches_says_that_it_paces():
    machine = json.dumps(loop_of(function("${Fn}"), {"Variable": "$.progress.complete", "BooleanEquals": True}))
    assert only_loop(json.loads(machine)).kind == "polls"
    assert only_loop(json.loads(machine.replace('"Wait"', '"WaitBetweenBatches"').replace(
        '"Type": "WaitBetweenBatches"', '"Type": "Wait"'))).kind == "paces"  # fmt: skip


def test_a_loop_through_a_list_that_polls_for_each_item_polls():
    machine = loop_of(function("CheckStopped"), {"Variable": "$.instance.State", "StringEquals": "stopped"})
    machine["StartAt"] = "Which"
    machine["States"] |= {
        "Which": {"Type": "Choice", "Choices": [{"Variable": "$.index", "NumericLessThan": 9, "Next": "Stop"}],
                  "Default": "All"},
        "Stop": {"Type": "Task", **function("StopInstance"), "Next": "Wait"},
        "End": {"Type": "Pass", "Parameters": {"index.$": "States.MathAdd($.index, 1)"}, "Next": "Which"},
        "All": {"Type": "Succeed"},
    }  # fmt: skip
    loop = only_loop(machine)
    assert (loop.kind, len(loop.states)) == ("polls", 6)
    machine["States"]["Choose"] = {"Type": "Pass", "Next": "End"}  # it waits once for each item, and asks for nothing
    assert only_loop(machine).kind == "paces"


def test_a_lock_that_is_tried_again_is_polling():
    refused = {"ErrorEquals": ["DynamoDB.ConditionalCheckFailedException"], "Next": "Wait"}
    write = {"Type": "Task", "Resource": "arn:aws:states:::dynamodb:updateItem", "Catch": [refused], "End": True}
    write["Parameters"] = {"ConditionExpression": "held < :limit"}
    machine = {"StartAt": "Lock", "States": {"Lock": write, "Wait": {"Type": "Wait", "Seconds": 3, "Next": "Lock"}}}
    loop = only_loop(machine)
    assert (loop.kind, loop.asks) == ("polls", ["arn:aws:states:::dynamodb:updateItem"])


def test_what_only_works_is_not_what_is_asked():
    machine = changed(Choose={"Choices": [{"Variable": "$.s", "StringEquals": "running", "Next": "Tell"}]},
                      Tell={"Type": "Task", "Resource": "arn:aws:states:::sns:publish", "Next": "Wait"})  # fmt: skip
    assert only_loop(machine).asks == [DESCRIBE]


def test_resources_with_region_account_and_placeholders():
    for resource in ("arn:aws:states:::aws-sdk:glue:getCrawler", "arn:aws-cn:states:::aws-sdk:glue:getCrawler",
                     "arn:aws:states:eu-west-1:123456789012:aws-sdk:glue:getCrawler",
                     "arn:${AWS::Partition}:states:::aws-sdk:glue:getCrawler"):  # fmt: skip
        assert services.called(resource) == ("glue", "getCrawler")
    assert services.called("arn:aws:states:::elasticmapreduce:addStep.sync") == ("emr", "addStep")
    assert services.called("arn:aws:lambda:eu-west-1:123456789012:function:f") is None


# -- for people --------------------------------------------------------------------------------------------------------


def test_people_are_told_what_costs_what_and_what_to_do(write, run, tmp_path):
    status, out, _ = run(write("orders.asl.json", polling()), write("small.json", polling(**BOUNDED)))
    assert status == 0
    assert out.startswith("2 state machines; 2 loops poll; 1 finding.\n\nThese two first:")
    for part in ("Wait > Poll > Choose polls", "every 30 s", "120 passes and 360 state transitions a run",
                 "9.00 USD a month", "23,920 of 25,000", "15 s on average, 30 s at worst", "There is no `.sync`",
                 '"Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken"', "DMS-EVENT-0079",
                 "loop-without-bound: Wait:", "Reckoned for 1,000 runs a month and jobs of 1 h"):  # fmt: skip
        assert part in out, part
    lines = out.replace(f"{tmp_path}/", "").splitlines()
    assert max(map(len, (line for line in lines if not line.lstrip().startswith(("{", '"'))))) <= 130


def test_a_small_one_may_stay(write, run):
    out = run("--runs-per-month", "10", "--job-seconds", "300", write("a.json", polling(**BOUNDED)))[1]
    assert "do: Leave it: 0.01 USD a month, unless 30 s late is too late for you." in out
    assert "first:" not in out and "A start" not in out


def test_the_dearest_come_first(write, run):
    files = [write(f"{seconds}.json", changed(Wait={"Seconds": seconds})) for seconds in (60, 10, 30, 20)]
    out = run(*files)[1]
    first = out.split("These three first:\n")[1].split("\n\n")[0]
    assert [line.split()[0] for line in first.splitlines()] == ["27.00", "13.50", "9.00"]


def test_the_same_from_a_notebook():
    report = examine(polling())
    assert repr(report) == str(report)
    assert "1 loop polls" in repr(report)
    assert examine({"no": "definition"}).unreadable == ["The dict is no definition: it has no StartAt and States."]


@pytest.mark.parametrize("name", RULES)
def test_each_rule_is_explained(run, name):
    status, out, _ = run("--explain", name)
    assert status == 0
    assert out.startswith(f"{name}: ")
    assert "What to do: " in out and "Source: https://" in out


# -- silencing ---------------------------------------------------------------------------------------------------------

SILENCE = '[[silence]]\nrule = "loop-without-bound"\nfile = "orders*"\nreason = "It ends within an hour."\n'


def test_a_finding_is_silenced_with_a_reason(write, run):
    orders, other = write("orders.asl.json", polling()), write("other.json", polling())
    write("examine.toml", SILENCE)
    assert run("--check", orders)[0] == 0
    assert "silenced, loop-without-bound in Wait: It ends within an hour." in run(orders)[1]
    assert run("--check", other)[0] == 1
    assert "A silence covers nothing and can go: loop-without-bound, orders*." in run(other)[1]
    assert run("--check", "--silence", write("mine.toml", SILENCE.replace("orders*", "other.json")), other)[0] == 0
    assert run("--check", "--silence", write("state.toml", SILENCE + 'state = "Poll"\n'), orders)[0] == 1


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[[silence]]\nrule =", "is no TOML"),
        (SILENCE.replace("It ends within an hour.", " "), "entry 1, has no reason"),
        (SILENCE.replace("loop-without-bound", "loops"), "names no rule that there is"),
        (SILENCE + "line = 3\n", "something else than the texts"),
        ("silence = 1\n", "something else than [[silence]] entries"),
    ],
)
def test_a_silence_that_is_none(write, run, text, says):
    write("examine.toml", text)
    status, _, err = run(write("orders.asl.json", polling()))
    assert status == 2
    assert says in err


# -- SARIF, and the account --------------------------------------------------------------------------------------------


def test_sarif(write, run):
    file = write("orders.asl.json", polling())
    write("examine.toml", SILENCE)
    token = {"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken", "End": True}
    other = write("token.json", {"StartAt": "Tell", "States": {"Tell": token}})
    status, out, _ = run("--sarif", file, other, "missing.json")
    assert status == 2
    sarif = json.loads(out)
    assert sarif["version"] == "2.1.0"
    (one_run,) = sarif["runs"]
    assert {rule["id"] for rule in one_run["tool"]["driver"]["rules"]} == set(RULES)
    silenced, found = one_run["results"]
    assert silenced["suppressions"] == [{"kind": "external", "justification": "It ends within an hour."}]
    assert (found["ruleId"], found.get("suppressions")) == ("token-without-timeout", None)
    place = found["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"].endswith("token.json")
    assert place["region"]["startLine"] == 4
    (notice,) = one_run["invocations"][0]["toolExecutionNotifications"]
    assert "missing.json" in notice["message"]["text"]


def test_the_export_only_reads(run, tmp_path):
    status, out, _ = run("--export")
    assert status == 0
    calls = [line.split("aws ", 1)[1].split()[:2] for line in out.splitlines() if line.lstrip().startswith("aws ")]
    assert len(calls) == 7
    for service, verb in calls:
        client = boto3.client(service, region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
        assert hasattr(client, verb.replace("-", "_")), verb
    assert {verb.split("-")[0] for _, verb in calls} <= {"list", "describe", "get"}
    script = tmp_path / "export.sh"
    script.write_text(out)
    assert subprocess.run(["sh", "-n", str(script)], check=False).returncode == 0


def test_the_export_fetches_what_can_be_examined(run, tmp_path):
    """With a stand-in for the AWS CLI that knows one state machine with one execution."""
    script = tmp_path / "export.sh"
    script.write_text(run("--export")[1])
    cli_folder = tmp_path / "bin"
    cli_folder.mkdir()
    (tmp_path / "described").write_text(json.dumps({"name": "orders", "type": "STANDARD",
                                                    "definition": json.dumps(polling())}))  # fmt: skip
    (cli_folder / "aws").write_text(f"""#!/bin/sh
case "$2" in
  list-state-machines) echo arn:aws:states:us-east-1:000000000000:stateMachine:orders ;;
  describe-state-machine) cat {tmp_path}/described ;;
  list-executions) echo arn:aws:states:us-east-1:000000000000:execution:orders:one; echo None ;;
  get-execution-history) echo '{{"events": []}}' ;;
  *) ;;
esac
""")
    (cli_folder / "aws").chmod(0o755)
    ran = subprocess.run(["sh", str(script)], cwd=tmp_path, env={"PATH": f"{cli_folder}:/usr/bin:/bin"}, check=False,
                         capture_output=True, text=True)  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert sorted(path.name for path in (tmp_path / "workflows").iterdir()) == [
        "orders.json",
        "orders.one.history.json",
    ]
    assert examine(tmp_path / "workflows" / "orders.json").as_json()[0]["loops"] == [LOOP]


def test_it_opens_no_socket_and_changes_nothing(write, tmp_path):
    """A child process in which every socket and every write to a file is refused examines all kinds of files."""
    write("orders.asl.json", polling())
    write("crawl.yaml", YAML)
    write("t.template.json", template(DefinitionString=json.dumps(polling())))
    write("handler.py", "import boto3\nboto3.client('rds').get_waiter('x').wait()\n")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*")}
    guard = (
        "import sys\n"
        "def refuse(event, arguments):\n"
        "    writes = event == 'open' and set(str(arguments[1] or '')) & set('wax+')\n"
        "    if event.startswith(('socket.', 'os.remove', 'os.rename', 'os.mkdir', 'subprocess.')) or writes:\n"
        "        sys.stderr.write(f'refused: {event} {arguments}')\n"
        "        sys.exit(99)\n"
        "from workshop.examining import command, examine\n"
        "sys.dont_write_bytecode = True\n"
        "sys.addaudithook(refuse)\n"
        "from workshop import cli\n"
        "cli.main(['examine', *sys.argv[1:]])\n"
    )
    for words in ([], ["--json"], ["--sarif"]):
        ran = subprocess.run([sys.executable, "-c", guard, *words, str(tmp_path)], cwd=CHECKOUT, check=False,
                             capture_output=True, text=True)  # fmt: skip
        assert ran.returncode == 0, ran.stderr
        assert "orders" in ran.stdout
    assert {path: path.read_bytes() for path in tmp_path.rglob("*")} == before


def test_the_guard_of_that_test_would_see_a_socket():
    code = (
        "import sys, socket\n"
        "sys.addaudithook(lambda event, arguments: sys.exit(99) if event.startswith('socket.') else None)\n"
        "socket.socket()\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, capture_output=True).returncode == 99
    assert socket.socket  # what is refused above is this


# -- the table ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("job", services.JOBS, ids=lambda job: f"{job.service}-{job.asks[0]}")
def test_each_row_has_a_source_and_offers_what_it_says(job):
    assert job.source.startswith("https://")
    assert job.offers in (".sync", "events")
    if job.sync:
        assert job.sync.startswith("arn:aws:states:::") and ".sync" in job.sync
    if job.source_of_events:
        pattern = job.event_pattern
        assert pattern["source"] == [job.source_of_events]
        assert pattern["detail-type"] == list(job.detail_types)
        from workshop.examining.rules import pattern_matches_nothing

        assert list(pattern_matches_nothing(reading.Pattern("f", "p", pattern))) == []


def test_no_action_stands_in_two_rows():
    asked = [(job.service, action.lower()) for job in services.JOBS for action in job.asks]
    assert len(asked) == len(set(asked))


# -- files that nobody would write -------------------------------------------------------------------------------------

ODD = (None, True, 0, -1, 1.5, "", "x", "${X}", "{% x %}", [], ["x"], [None], {}, {"x": 1}, {"Next": 3})


def spoiled(value, draw):
    """The same data with one place in it that is something else."""
    if isinstance(value, dict) and value and draw.random() < 0.9:
        key = draw.choice(list(value))
        return {**value, key: spoiled(value[key], draw)}
    if isinstance(value, list) and value and draw.random() < 0.9:
        place = draw.randrange(len(value))
        return [*value[:place], spoiled(value[place], draw), *value[place + 1 :]]
    return draw.choice(ODD)


def everything():
    """A template that has about all of it."""
    token = {"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken", "HeartbeatSeconds": 9,
             "TimeoutSeconds": 9, "Retry": [{"ErrorEquals": ["NotReady"], "MaxAttempts": 9}],
             "Catch": [{"ErrorEquals": ["X"], "Next": "Done"}], "Next": "Wait"}  # fmt: skip
    machine = polling()
    machine["States"]["Token"] = token
    machine["States"]["Each"] = {"Type": "Map", "ItemProcessor": polling(), "Next": "Wait", "Retry": [], "Catch": []}
    machine["States"]["Choose"]["Choices"].append({"And": [{"Not": {"Variable": "$.n", "NumericLessThan": 3}}],
                                                   "Next": "Each"})  # fmt: skip
    machine["States"]["Choose"]["Choices"].append({"Condition": "{% $x = 'done' and $n > 3 %}", "Next": "Token"})
    whole = template(Definition=machine, DefinitionSubstitutions={"A": {"Ref": "B"}, "C": {"Fn::Sub": "x${B}"}})
    whole["Parameters"] = {"B": {"Default": "b"}}
    whole["Resources"]["Rule"] = {"Type": "AWS::Events::Rule", "Properties": {"EventPattern": {
        "source": ["aws.dms"], "detail-type": ["DMS Replication Task State Change"],
        "detail": {"category": ["State Change"], "eventId": ["DMS-EVENT-0079"], "x": ["y"]}}}}  # fmt: skip
    return whole


def test_no_file_makes_it_fail(write):
    """Whatever stands in a file: it is examined, or a sentence says what is wrong with it."""
    draw = random.Random(7)
    for number in range(300):
        data = everything()
        for _ in range(draw.choice([1, 1, 2, 4])):
            data = spoiled(data, draw)
        file = write("odd.json", data)
        try:
            report = examine(file)
            assert isinstance(report.as_json(), list) and str(report)
        except Exception as error:
            raise AssertionError(f"number {number}: {json.dumps(data)}") from error
