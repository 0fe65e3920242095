"""The command `workshop` and the Makefile over it: what each says, and that bad input gets a sentence."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from types import SimpleNamespace

import boto3
import pytest

from workshop import cli, doctor, environments, sandbox
from workshop.environments import CHECKOUT
from workshop.names import checked

COMMANDS = (
    "lab",
    "check",
    "reset",
    "doctor",
    "clean",
    "sandbox",
    "account",
    "examine",
    "test",
    "lint",
    "labs",
    "solutions",
    "diagrams",
    "site",
    "bundle",
    "locks",
)


@pytest.fixture
def workshop(tmp_path, monkeypatch):
    """A function that runs the command with these words: its status, and what it said (out) and complained (err).

    It has a state folder of its own, so no sandbox runs at first; one that it started is stopped.
    """
    monkeypatch.setattr(sandbox, "FOLDER", tmp_path / "state" / "sandbox")
    before = dict(os.environ)  # an examination in this process points it at the sandbox it finds
    for name in before:
        if name.startswith("AWS_"):
            del os.environ[name]

    def run(*words, command=(sys.executable, "-m", "workshop.cli"), **variables):
        # Without what `make test` hands down, which would make a make in here say where it enters and leaves.
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
        environment = {**inherited, "WORKSHOP_STATE": str(tmp_path / "state"), **variables}
        ran = subprocess.run(
            [*command, *words], cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False
        )
        assert "Traceback" not in ran.stderr + ran.stdout
        return SimpleNamespace(status=ran.returncode, out=ran.stdout, err=ran.stderr)

    yield run
    sandbox.stop()
    os.environ.clear()
    os.environ.update(before)
    boto3.DEFAULT_SESSION = None


def test_alone_it_says_what_there_is(workshop):
    said = workshop()
    assert said.status == 2
    for command in COMMANDS:
        assert re.search(rf"^    {command}\s+\w", said.out, re.MULTILINE), command
    said = workshop("sandbox")
    assert said.status == 2
    assert re.findall(r"^    (\w+)", said.out, re.MULTILINE) == ["start", "stop", "status", "reset", "env"]
    assert shutil.which("workshop", path=os.path.dirname(sys.executable))


def test_the_sandbox_started_looked_at_emptied_and_stopped(workshop):
    said = workshop("sandbox", "status")
    assert (said.status, said.out) == (3, "No sandbox is running. Start it with `workshop sandbox start`.\n")
    said = workshop("sandbox", "status", "--json")
    assert (said.status, json.loads(said.out)) == (3, None)
    assert (said := workshop("sandbox", "reset")).status == 1
    assert said.err == "workshop: No sandbox is running. Start it with `workshop sandbox start`.\n"
    assert (workshop("sandbox", "stop").status, workshop("sandbox", "stop").out) == (0, "No sandbox was running.\n")

    said = workshop("sandbox", "start")
    running = sandbox.status()
    here = f"at {running['endpoint']}, account 111122223333. Its log: {running['log']}\n"
    assert (said.status, said.out) == (0, f"The sandbox is {here}")
    assert workshop("sandbox", "start").out == said.out

    assert running["endpoint"] in workshop("sandbox", "status").out
    said = workshop("sandbox", "status", "--json")
    assert said.status == 0
    keys = ("endpoint", "pid", "log", "account", "region")
    assert json.loads(said.out) == {key: running[key] for key in keys}  # and no key that is secret

    assert workshop("sandbox", "reset").out == "The sandbox's account is empty.\n"
    assert sandbox.status()["account_epoch"] != running["account_epoch"]
    assert workshop("sandbox", "stop").out == "The sandbox has stopped.\n"
    assert sandbox.status() is None


@pytest.mark.skipif(not shutil.which("sh"), reason="needs a shell")
def test_a_shell_gets_the_environment_of_a_notebook(workshop):
    python = shlex.quote(sys.executable)
    asks = f"{python} -c \"import boto3; print(boto3.client('sts').get_caller_identity()['Account'])\""
    script = f'eval "$({python} -m workshop.cli sandbox env)"; {asks}; env'
    foreign = {
        "AWS_PROFILE": "a-real-account",
        "AWS_SESSION_TOKEN": "of-a-real-account",
        "AWS_ENDPOINT_URL_STS": "http://127.0.0.1:1",
        "AWS_REGION": "eu-west-1",
        "HTTP_PROXY": "http://127.0.0.1:1",
        "NO_PROXY": "example.org",
    }
    said = workshop(command=("sh", "-c", script), **foreign)
    assert said.status == 0 and said.err == ""
    account, *lines = said.out.splitlines()
    assert account == "111122223333"
    assert f"AWS_ENDPOINT_URL={sandbox.status()['endpoint']}" in lines and "AWS_REGION=us-east-1" in lines
    assert "NO_PROXY=example.org,127.0.0.1" in lines
    assert not [line for line in lines if line.startswith(("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_"))]


BAD_INPUT = {
    "no lab to check": (["check"], "Say which lab, by its number: `make check LAB=01`,"),
    "no lab to reset": (["reset"], "Say which lab, by its number: `make check LAB=01`,"),
    "a lab that is not there": (["check", "99"], "There is no lab '99' in labs. There are: 01-polling-loop"),
    "a lesson without a lab": (["check", "00"], "There is no lab '00' in labs. There are: 01-polling-loop"),
    "no lab of that name to reset": (["reset", "polling"], "There is no lab 'polling' in solutions. There are:"),
    "a target that is none": (["clean"], "WORKSHOP_TARGET is 'moon'; it may be sandbox (the default) or aws."),
    "no solution of that name": (["solutions", "99"], "There is no"),
}


def complaint(words):
    """What the command complains of, and the status that it ends with."""
    with pytest.raises(SystemExit) as end:
        cli.main(words)
    return end.value.code


@pytest.mark.parametrize(("words", "sentence"), BAD_INPUT.values(), ids=BAD_INPUT)
def test_bad_input_gets_a_sentence(monkeypatch, capsys, words, sentence):
    monkeypatch.setenv("WORKSHOP_TARGET", "moon")
    said = complaint(words)  # Python prints it on standard error, and ends with status 1
    assert said.startswith(f"workshop: {sentence}") and "\n" not in said
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("words", "culprit"),
    [
        (["labz"], "'labz'"),
        (["sandbox", "restart"], "'restart'"),
        (["sandbox", "start", "now"], "unrecognized arguments: now"),
        (["check", "01", "02"], "unrecognized arguments: 02"),
    ],
)
def test_a_command_that_is_none_is_named(capsys, words, culprit):
    assert complaint(words) == 2
    assert culprit in capsys.readouterr().err


@pytest.mark.parametrize("name", ["Ann B.", "ann-", "ann--b", "-ann", "7up", "zoë", "a" * 21])
def test_a_name_that_aws_would_not_take(workshop, name):
    """Dashes and a digit at the beginning are what only DMS refuses, and only in lab 01."""
    said = workshop("clean", WORKSHOP_LEARNER=name)
    assert said.status == 1 and f"WORKSHOP_LEARNER is {name!r}" in said.err and "lower-case letters" in said.err


def test_a_name_that_aws_takes():
    assert checked("ann-b-2") == "ann-b-2"


def test_a_state_folder_that_cannot_be(monkeypatch, tmp_path):
    (tmp_path / "a file").write_text("")
    monkeypatch.setattr(sandbox, "FOLDER", tmp_path / "a file" / "sandbox")
    assert re.fullmatch("workshop: .*Not a directory.*", complaint(["sandbox", "start"]))


def test_an_interrupted_command_says_nothing_more(monkeypatch, capsys):
    def interrupt():
        raise KeyboardInterrupt

    monkeypatch.setattr(sandbox, "stop", interrupt)
    assert complaint(["sandbox", "stop"]) == 130
    assert capsys.readouterr() == ("", "")
    monkeypatch.undo()


# -- the doctor --------------------------------------------------------------------------------------------------------


def test_the_doctor_finds_all_well(workshop):
    said = workshop("doctor")
    assert said.status == 0 and said.err == ""
    *lines, last = said.out.splitlines()
    assert lines == [f"ok       {subject}" for subject in doctor.EXAMINATIONS]
    assert last == "All is well."


def test_the_doctor_fails_where_something_is_wrong(workshop):
    said = workshop("doctor", WORKSHOP_TARGET="aws")
    assert said.status == 1
    assert "PROBLEM  an account that answers: WORKSHOP_TARGET is aws, so say which account: set WORKSHOP_" in said.out
    assert said.out.endswith("Mend what is named above, then run this again.\n")


def old_python(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "version_info", (3, 9, 1))


def an_old_environment(monkeypatch, tmp_path):
    monkeypatch.setattr(environments.LEARNER, "ready", lambda: False)


def a_missing_package(monkeypatch, tmp_path):
    monkeypatch.setattr(doctor, "NEEDED", ("boto3", "no_such_package"))


def a_bad_name(monkeypatch, tmp_path):
    monkeypatch.setenv("WORKSHOP_LEARNER", "Ann")


def a_folder_that_cannot_be_written(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(sandbox, "FOLDER", tmp_path / "file" / "sandbox")


def no_sandbox_environment(monkeypatch, tmp_path):
    monkeypatch.setattr(environments.SANDBOX, "ready", lambda: False)


def a_sandbox_that_does_not_start(monkeypatch, tmp_path):
    monkeypatch.setattr(sandbox, "CHECKOUT", tmp_path)  # where there is no package `sandbox`


def another_account(monkeypatch, tmp_path):
    real = doctor.account.connect

    def connect():
        connected, lease = real()
        return SimpleNamespace(id="444455556666", target=connected.target), lease

    monkeypatch.setattr(doctor.account, "connect", connect)


# What is wrong -> what is said of it: {subject: the finding, with its remedy}.
FINDINGS = {
    old_python: {"Python 3.11 or newer": r"Python is 3\.9; install 3\.11 or newer and run `make setup`\."},
    an_old_environment: {"the workshop's environment": r"The .* is older than the checkout, .*\. Run `make setup`\."},
    a_missing_package: {
        "the packages of the notebooks": r"This Python lacks no_such_package\. Choose .*, or start .* with `make lab`\."
    },
    a_bad_name: {"a name for what you make": r"WORKSHOP_LEARNER is 'Ann', .*: use lower-case letters, .*"},
    a_folder_that_cannot_be_written: {
        "a folder that can be written": r"Nothing can be written into .*\. Move the checkout to where it can\.",
        "an account that answers": r".*Not a directory.*",
    },
    no_sandbox_environment: {
        "the sandbox's environment": r"The sandbox's environment is missing or incomplete\. Run `make setup`\.",
        "an account that answers": r"The sandbox cannot start without its environment\. Run `make setup`\.",
    },
    a_sandbox_that_does_not_start: {"an account that answers": r"The sandbox did not start\. Its log is .*\.log\."},
    another_account: {
        "an account that answers": r"The sandbox says its account is 1{4}2{4}3{4}, not 4.*Run `workshop sandbox stop`.*"
    },
}


@pytest.mark.filterwarnings("ignore:Boto3 will no longer support")  # it believes in the old Python
@pytest.mark.parametrize("wrong", FINDINGS, ids=lambda wrong: wrong.__name__)
def test_each_problem_comes_with_its_remedy(workshop, monkeypatch, tmp_path, capsys, wrong):
    wrong(monkeypatch, tmp_path)
    assert doctor.examine() is False
    monkeypatch.undo()  # so that what was started is found and stopped
    monkeypatch.setattr(sandbox, "FOLDER", tmp_path / "state" / "sandbox")
    *lines, last = capsys.readouterr().out.splitlines()
    assert last == "Mend what is named above, then run this again."
    findings = FINDINGS[wrong]
    for line, subject in zip(lines, doctor.EXAMINATIONS, strict=True):
        if subject in findings:
            assert re.fullmatch(rf"PROBLEM  {subject}: {findings[subject]}", line)
        else:
            assert line == f"ok       {subject}"


def test_the_doctor_looks_for_all_that_notebooks_need():
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    asked = {re.match(r"[\w-]+", requirement)[0].replace("-", "_") for requirement in project["dependencies"]}
    imported = {"pyyaml": "yaml"}  # where a package is imported under another name
    assert set(doctor.NEEDED) == {imported.get(name, name) for name in asked - {"uv", "uv_build"}}


# -- the Makefile ------------------------------------------------------------------------------------------------------

needs_make = pytest.mark.skipif(not shutil.which("make"), reason="there is no make on this machine")


@needs_make
def test_make_check_without_a_lab_says_what_to_give(workshop):
    said = workshop("check", command=("make", f"PYTHON={sys.executable}"))
    assert said.status == 2 and said.out == ""
    assert said.err.startswith("workshop: Say which lab, by its number: `make check LAB=01`")


@needs_make
def test_each_target_of_the_makefile_calls_a_command_that_there_is():
    targets = re.findall(r"^([a-z]+): ?.*?## (.+)$", (CHECKOUT / "Makefile").read_text(), re.MULTILINE)
    assert {"setup", "lab", "test", "check", "labs", "solutions"} <= {name for name, _ in targets}
    for name, _ in targets:
        planned = subprocess.check_output(["make", "-n", name, "LAB=01", "CHECK=1"], cwd=CHECKOUT, text=True)
        called = re.findall(r"bin/workshop (\w+)", planned)
        assert called == [name] or name in ("setup", "benchmark", "mutants")
        assert set(called) <= set(COMMANDS)


def ordered(monkeypatch, *words):
    """The command that `workshop test` runs for these words, without running it."""
    ran = []
    monkeypatch.setattr(subprocess, "call", lambda command, **_: ran.append(command) or 0)
    with pytest.raises(SystemExit) as end:
        cli.main(["test", *words])
    assert end.value.code == 0
    (command,) = ran
    return command


@pytest.mark.parametrize(
    ("only", "what"),
    [
        ("tests/sandbox/test_gateway.py", ["-n", "0", "tests/sandbox/test_gateway.py"]),
        ("deploy", ["-n", "0", "-k", "deploy"]),
        ("tests/sandbox/", ["-n", str(cli.TEST_WORKERS), "tests/sandbox/"]),
    ],
    ids=["a file", "a word", "a folder"],
)
def test_one_file_is_quick_since_no_workers_are_started_for_it(monkeypatch, only, what):
    """They are what takes seconds; and of a file nothing else is collected, as the next test sees."""
    command = ordered(monkeypatch, "--only", only)
    assert command[1:3] == ["-m", "pytest"] and command[3:] == what


def test_of_one_file_nothing_else_is_collected(workshop):
    said = workshop("test", "--only", "tests/sandbox/test_gateway.py", "--", "--collect-only", "-q")
    found = [line for line in said.out.splitlines() if "::" in line]
    assert said.status == 0 and found
    assert {line.partition("::")[0] for line in found} == {"tests/sandbox/test_gateway.py"}


THEIRS = """
from workshop import deploy


def give(lab, number, answer, scratch):
    lab._names["table"] = deploy.table(lab.name("airports"), key="iata")
    if answer["airport"]:
        lab._names["boto3"].resource("dynamodb").Table(lab._names["table"]).put_item(Item=answer["airport"])


ANSWERS = {
    1: [
        dict(name="an airport", airport={"iata": "ZRH", "city": "Zurich"}),
        dict(name="small letters", airport={"iata": "zrh", "city": "Zurich"}, says="not yet", words="capital letters"),
        dict(name="only the key", airport={"iata": "OSL"}, says="not yet", words="no attribute city"),
    ]
}
"""


def test_a_table_of_answers_that_was_made_elsewhere_is_played_with_its_own_give(workshop, tmp_path):
    (tmp_path / "theirs.py").write_text(THEIRS)
    of_theirs = ("test", "--only", "answers", "--table", str(tmp_path / "theirs.py"))
    said = workshop(*of_theirs, "--lab", "00")
    assert said.status == 0, said.out
    (tmp_path / "theirs.py").write_text(THEIRS.replace('says="not yet", words="no attribute city"', ""))
    said = workshop(*of_theirs, "--lab", "00")
    assert said.status == 1
    assert re.search(r"AssertionError: only the key: should be done .* no attribute city", said.out)
    assert "small letters: should be" not in said.out and "an airport: should be" not in said.out
    said = workshop(*of_theirs, "--lab", "09")
    assert "--lab says whose answers a table has, such as 02; it is 09." in said.out + said.err
