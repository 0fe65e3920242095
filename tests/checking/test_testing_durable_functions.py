"""Judging in lab 06: on records; and on files of tests that pytest runs, without an account."""

import pytest

from tests.answers import cells
from workshop.checking.trials import LATE, LIMIT, ON_RIGHT, Result, Trial, tried
from workshop.checks.broken_functions import HERE, MIGRATE, OFFERS, POLL, broken, right
from workshop.checks.testing_durable_functions import ANSWER, CATCHES, EXERCISES, PASSES, QUICK, USEFUL, Tried

CELLS = cells.of_solution("06-testing-durable-functions")
NUMBERS = pytest.mark.parametrize("number", EXERCISES)
FUNCTIONS = {"poll": POLL, "migrate": MIGRATE, "offers": OFFERS}
PASSED, FAILED = Result("passed", runners=("here", "account")), Result("failed", "E   assert 1 == 2")


# -- records -----------------------------------------------------------------------------------------------------------


def records(exercise, right=None, broken=None):
    """Records in which all is well, but for the trials that are given here, by name."""
    on_right = {name: Trial({"test_it": PASSED}) for name in ON_RIGHT[:2]}
    on_broken = {row.name: Trial({"test_it": FAILED}) for row in exercise.broken}
    return {"right": Tried({**on_right, **(right or {})}), "broken": Tried({**on_broken, **(broken or {})})}


def refused(number, **trials):
    """(what was observed, the sentence, what is shown) of a refusal."""
    outcome = EXERCISES[number].judge(records(EXERCISES[number], **trials))
    return outcome.args[0], outcome.args[1], list(outcome.events)


@NUMBERS
def test_where_each_broken_function_is_caught_it_is_done(number):
    assert EXERCISES[number].judge(records(EXERCISES[number])) is None


@NUMBERS
def test_a_test_that_fails_with_the_right_function_is_shown_as_pytest_shows_it(number):
    trial = Trial({"test_it": PASSED, "test_that": FAILED})
    observed, sentence, shown = refused(number, right={ON_RIGHT[0]: trial})
    assert (observed, sentence, shown) == ("With the right function test_that fails.", PASSES, ["E   assert 1 == 2"])
    observed, *_ = refused(number, right={ON_RIGHT[1]: trial})
    assert observed == "With the right function test_that fails, where the tests run in the other order."
    observed, *_ = refused(number, right={ON_RIGHT[2]: trial})
    assert observed.endswith("where the tests run in another order, every second one first.")


@NUMBERS
def test_a_file_without_tests_is_told_so(number):
    observed, sentence, _ = refused(number, right={ON_RIGHT[0]: Trial()})
    assert "pytest finds no test in test_" in observed and sentence == PASSES


@NUMBERS
def test_a_test_that_waits_too_long_or_never_comes_back_is_named(number):
    slow = {"test_it": Result("failed", "TimeoutError", limit=True, waited=5.0)}
    observed, sentence, _ = refused(number, right={ON_RIGHT[0]: Trial(slow)})
    assert observed.startswith(f"test_it was still waiting after {LIMIT} s.") and sentence == QUICK
    assert observed.endswith(ANSWER)
    observed, sentence, _ = refused(number, right={ON_RIGHT[1]: Trial(hung="test_it")})
    assert (observed, sentence) == (f"test_it does not come back. A wait needs a limit. {ANSWER}", QUICK)


@NUMBERS
def test_a_test_that_sleeps_is_refused_where_it_fails_with_a_function_that_begins_later(number):
    slept = Trial({"test_it": Result("passed", slept=0.5, runners=("here", "account"))})
    for limit in (False, True):  # it fails at once, or where nobody has answered
        late = Trial({"test_it": Result("failed", limit=limit, slept=0.5)})
        observed, sentence, _ = refused(number, right={ON_RIGHT[0]: slept, "late": late})
        assert observed.startswith("test_it sleeps for 0.5 s, and fails where the function begins later")
        assert sentence == QUICK
    assert EXERCISES[number].judge(records(EXERCISES[number], right={ON_RIGHT[0]: slept, "late": slept})) is None


@NUMBERS
def test_what_gets_away_is_told_with_what_it_does_in_production(number):
    rows = EXERCISES[number].broken[1:4]
    away = {row.name: Trial({"test_it": PASSED}) for row in rows}
    observed, sentence, shown = refused(number, broken=away)
    assert observed.endswith(f"One that gets away: {rows[0].name}. {rows[0].hurts}") and sentence == CATCHES
    assert f"{len(EXERCISES[number].broken) - 3} of {len(EXERCISES[number].broken)}" in observed
    assert shown == [f"And another: {rows[1].name}. {rows[1].hurts}"]


@NUMBERS
def test_a_function_is_caught_by_a_limit_and_by_a_test_that_does_not_come_back(number):
    names = [row.name for row in EXERCISES[number].broken]
    caught = {names[0]: Trial({"test_it": Result("failed", limit=True)}), names[1]: Trial(hung="test_it")}
    assert EXERCISES[number].judge(records(EXERCISES[number], broken=caught)) is None


@NUMBERS
def test_a_test_that_catches_nothing_is_named_and_one_that_was_left_out_somewhere_is_not(number):
    both = {"test_it": FAILED, "test_that[1]": PASSED, "test_that[2]": PASSED}
    everywhere = {row.name: Trial(both) for row in EXERCISES[number].broken}
    assert refused(number, broken=everywhere)[:2] == ("test_that passes with each broken function.", USEFUL)
    once = everywhere | {EXERCISES[number].broken[0].name: Trial({"test_it": FAILED})}
    assert EXERCISES[number].judge(records(EXERCISES[number], broken=once)) is None


def test_one_that_runs_with_one_runner_only_is_named():
    here, skipped = Result("passed", runners=("here",)), Result("skipped", runners=("account",))
    for results in ({"test_it": here}, {"test_it[here]": here, "test_it[account]": skipped}):
        observed, sentence, _ = refused(4, right=dict.fromkeys(ON_RIGHT[:2], Trial(results)))
        assert observed == "test_it uses no DurableFunctionCloudTestRunner." and "both runners" in sentence


def test_what_only_its_time_has_caught_is_told_from_what_a_test_has_seen():
    cut_off = Result("failed", limit=True)
    assert Trial({"test_it": cut_off}).cut_off and Trial(hung="test_it").cut_off
    assert not Trial({"test_it": cut_off, "test_that": FAILED}).cut_off and not Trial({"test_it": PASSED}).cut_off


# -- files of tests ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("function", FUNCTIONS)
def test_each_broken_function_differs_and_can_be_imported(function):
    sources = {row.name: broken(function, row) for row in FUNCTIONS[function]}
    assert len({right(function), *sources.values()}) == len(sources) + 1 >= 11
    for name, source in sources.items():
        compile(source, name, "exec")


def test_what_is_broken_in_an_account_can_be_seen_there():
    """Nobody looks there at what was done outside."""
    assert not any("start" in row.name or "save" in row.name for row in HERE)


def played(folder, text, broken=None):
    """What became of the tests in a file for exercise 1, with the right function and with broken ones: see `tried`."""
    exercise = EXERCISES[1]
    (folder / "outside.py").write_text(
        cells.written([CELLS["given-outside"], CELLS["given-outside-more"]])["outside.py"]
    )
    for name, content in cells.written([CELLS["task-1-given"]]).items():
        (folder / name).write_text(content)
    (folder / exercise.file).write_text(text)
    return tried(folder, exercise.file, exercise.function, right(exercise.function), broken or {})


def judged(folder, text, broken=None):
    """What the check of exercise 1 says of a file of tests: (observed, events); what became of it, if all is well."""
    on_right, on_broken = played(folder, text, broken)
    outcome = EXERCISES[1].judge({"right": Tried(on_right)})
    return (outcome.args[0], outcome.events) if outcome else on_broken


NAMES = "from polling import FAILED, FINISHED, RUNNING, polled\n"


def test_a_file_that_cannot_be_collected_is_shown_with_its_line(tmp_path, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")  # as a notebook's kernel has it
    observed, shown = judged(tmp_path, "import pytest\n\ndef test_it(:\n    assert True\n")
    assert observed == "pytest cannot collect test_poll.py."
    assert any('test_poll.py", line 3' in line for line in shown) and any("SyntaxError" in line for line in shown)
    observed, shown = judged(tmp_path, "from polling import nothing\n\ndef test_it():\n    assert True\n")
    assert observed == "pytest cannot collect test_poll.py." and "test_poll.py:1: in <module>" in "\n".join(shown)


def test_a_file_without_a_test(tmp_path):
    observed, _ = judged(tmp_path, "def it_is_no_test():\n    assert True\n")
    assert observed.startswith("pytest finds no test in test_poll.py")


def test_a_wrong_assertion_is_shown(tmp_path):
    observed, shown = judged(tmp_path, f"{NAMES}def test_it():\n    assert polled(FINISHED).result == 'done'\n")
    assert observed == "With the right function test_it fails."
    assert any("assert polled(FINISHED).result == 'done'" in line for line in shown)


def test_a_fixture_that_is_missing_is_shown_with_the_name_of_the_file_and_no_folder(tmp_path):
    observed, shown = judged(tmp_path, "def test_it(nothing):\n    assert nothing\n")
    assert observed == "With the right function test_it fails." and "file test_poll.py, line 1" in shown


def test_a_test_that_needs_another_before_it(tmp_path):
    lines = "known = []\ndef test_one():\n    known.append(1)\ndef test_two():\n    assert known\n"
    observed, _ = judged(tmp_path, lines)
    assert observed == "With the right function test_two fails, where the tests run in the other order."


def test_a_test_that_sleeps_longer_than_its_limit_is_cut_off(tmp_path, monkeypatch):
    monkeypatch.setattr("workshop.checking.trials.LIMIT", 0.5)
    observed, _ = judged(tmp_path, "import time\ndef test_it():\n    time.sleep(3600)\n")
    assert observed.startswith("test_it was still waiting after 5 s.")


def waits_for_the_function(how):
    """A test that begins an execution, waits until it has asked, in the way of `how`, and looks then whether it has."""
    lines = (
        "import outside, poll, threading, time",
        "from aws_durable_execution_sdk_python_testing import DurableFunctionTestRunner as Runner",
        "def test_it():",
        "    outside.did.clear()",
        "    outside.says[:] = [FINISHED]",
        "    event = {'ReplicationTaskArn': 'a', 'PollSeconds': 1, 'MaxPollSeconds': 1, 'MaxPolls': 2}",
        "    with Runner(poll.lambda_handler) as runner:",
        "        execution = runner.run_async(event)",
        *(f"        {line}" for line in how),
        "        assert outside.did and runner.wait_for_result(execution).result",
    )
    return NAMES + "\n".join(lines) + "\n"


def test_a_test_that_waits_for_its_turn_in_small_steps_is_right(tmp_path, monkeypatch):
    """It looks whether something has come, and sleeps in between: that holds however late the function begins."""
    monkeypatch.setattr("workshop.checking.trials.LIMIT", 60)  # however busy the machine is
    assert judged(tmp_path, waits_for_the_function(["while not outside.did:", "    time.sleep(0.05)"])) == {}


@pytest.mark.parametrize("sleep", ["time.sleep(0.5)", "threading.Event().wait(0.5)"])
def test_a_sleep_of_whatever_kind_is_noticed_and_tried_with_a_function_that_begins_later(tmp_path, sleep):
    """What is said where it fails there, records tell above: no machine is too slow for them."""
    on_right, _ = played(tmp_path, f"import threading, time\ndef test_it():\n    {sleep}\n")
    assert {name: trial.results["test_it"].slept for name, trial in on_right.items()} == dict.fromkeys(
        [*ON_RIGHT[: len(on_right) - 1], LATE], 0.5
    )


@pytest.mark.parametrize(
    "lines, slept",
    [
        (["asked = threading.Event()", "threading.Timer(0.5, asked.set).start()", "asked.wait(50)"], 0.5),
        (["other = threading.Thread(target=lambda: time.sleep(0.5))", "other.start()", "other.join()"], 0.5),
        (["guard = threading.Timer(50, print)", "guard.start()", "guard.cancel()"], 0.0),
        (["other = threading.Thread(target=time.sleep, args=(0.5,))", "other.start()", "other.join()"], 0.5),
        (["other = threading.Thread(target=Future().result, daemon=True)", "other.start()", "other.join(0.5)"], 0.5),
        (["with pytest.raises(queue.Empty):", "    queue.Queue().get(timeout=0.5)"], 0.5),
        (["with pytest.raises(TimeoutError):", "    Future().result(0.5)"], 0.5),
        (["came = queue.Queue()", "threading.Thread(target=came.put, args=(1,)).start()", "came.get(timeout=50)"], 0.0),
    ],
)
def test_whatever_waits_in_vain_is_noticed_and_not_a_guard_that_is_called_off(tmp_path, lines, slept):
    imports = "import pytest, queue, threading, time\nfrom concurrent.futures import Future\n"
    on_right, _ = played(tmp_path, "\n    ".join([f"{imports}def test_it():", *lines]) + "\n")
    assert {round(trial.results["test_it"].slept, 1) for trial in on_right.values()} == {slept}
    assert (LATE in on_right) == bool(slept)


def test_a_test_that_waits_for_an_event_that_comes_is_right(tmp_path, monkeypatch):
    monkeypatch.setattr("workshop.checking.trials.LIMIT", 60)  # however busy the machine is
    sets = "lambda arn: outside.did.append('asked') or asked.set() or FINISHED"
    text = waits_for_the_function(["asked.wait(50)"]).replace(
        "    with Runner", f"    asked = threading.Event()\n    outside.describe = {sets}\n    with Runner"
    )
    assert judged(tmp_path, text) == {}


def test_a_run_in_the_account_that_waits_for_an_answer_is_cut_off(tmp_path):
    lines = (
        "import os, socket\n"
        "from aws_durable_execution_sdk_python_testing import DurableFunctionCloudTestRunner as Runner\n"
        "def test_it():\n"
        "    os.environ |= {'AWS_ACCESS_KEY_ID': 'none', 'AWS_SECRET_ACCESS_KEY': 'none'}\n"
        "    nobody = socket.create_server(('127.0.0.1', 0))\n"
        "    Runner('any:1', 'us-east-1', f'http://127.0.0.1:{nobody.getsockname()[1]}').run({})\n"
    )
    observed, _ = judged(tmp_path, lines)
    assert observed == (
        "test_it was still waiting after 5 s. Where time is not skipped, let the event say a few seconds. " + ANSWER
    )


def test_a_function_that_hangs_costs_a_test_its_limit_and_no_more(tmp_path):
    row = next(row for row in POLL if row.name == "It polls for ever")
    lines = "def test_it():\n    assert polled(RUNNING, polls=2).error\n"
    trial = judged(tmp_path, NAMES + lines, {row.name: broken("poll", row)})[row.name]
    assert trial.caught_by == ["test_it"] and trial.results["test_it"].limit


def test_a_second_wait_for_a_result_is_shown_as_it_ends(tmp_path):
    """The SDK's runner waits no more for an execution for which somebody has waited in vain."""
    how = ["with pytest.raises(TimeoutError):", "    runner.wait_for_result(execution, timeout=0.5)"]
    text = "import pytest\n" + waits_for_the_function(how).replace("[FINISHED]", "[RUNNING, FINISHED]")
    observed, shown = judged(tmp_path, text.replace("lambda_handler)", "lambda_handler, skip_time=False)"))
    assert observed == "With the right function test_it fails." and "TimeoutError" in shown[-1]


def slower(source):
    """The same function, which takes longer than a test is given for a broken one, at first."""
    return source.replace("    arn = event[", "    import time; time.sleep(3.5)\n    arn = event[")


def test_a_function_is_not_caught_because_it_is_slow(tmp_path):
    text = f"{NAMES}def test_it():\n    assert polled(FINISHED).result\n"
    found = judged(tmp_path, text, {"slow": slower(right("poll"))})
    assert found["slow"].caught_by == [] and found["slow"].results["test_it"].outcome == "passed"


def test_a_function_that_is_imported_anew_is_the_broken_one(tmp_path):
    again = "import importlib, sys, poll, polling\ndef test_it():\n"
    reload = "    importlib.reload(poll)\n    polling.poll.lambda_handler = poll.lambda_handler\n"
    anew = "    del sys.modules['poll'], sys.modules['polling']\n    import polling\n"
    row = next(row for row in POLL if row.name == "It returns nothing")
    for way in (reload, anew):
        text = f"{again}{way}    assert polling.polled(polling.FINISHED).result != 'null'\n"
        assert judged(tmp_path, text, {row.name: broken("poll", row)})[row.name].caught_by == ["test_it"]


def test_a_test_that_leaves_a_file_runs_twice(tmp_path):
    observed, _ = judged(tmp_path, "def test_it():\n    open('known', 'x').close()\n")
    assert observed == "With the right function test_it fails."


def test_what_else_is_in_the_folder_is_there(tmp_path):
    (tmp_path / "events").mkdir()
    (tmp_path / "events" / "answer.json").write_text("{}")
    assert judged(tmp_path, "def test_it():\n    assert open('events/answer.json').read() == '{}'\n") == {}


def test_a_test_that_never_comes_back_is_ended_and_named(tmp_path, monkeypatch):
    observed, _ = judged(tmp_path, "import os\ndef test_it():\n    os._exit(0)\n")
    assert observed.startswith("test_it does not come back.")
    monkeypatch.setattr("workshop.checking.trials.PATIENCE", 8)
    observed, _ = judged(tmp_path, "import threading\ndef test_it():\n    threading.Event().wait()\n")
    assert observed.startswith("test_it does not come back.")
