"""What a learner meets in a notebook: checks and their outcomes, hints, solutions, progress."""

import json
import os
import re
import threading
import types

import boto3
import nbformat
import pytest
from botocore.exceptions import ClientError
from nbclient import NotebookClient
from notebook_files import Toy, code, task, write
from patience import PATIENCE

from workshop import deploy, labs, measurements, records
from workshop.checking.exercises import Case, Exercise, contract
from workshop.checking.outcomes import NotAttempted, NotYet, SandboxProblem
from workshop.labs import Lab
from workshop.sandbox import SandboxError

HINTS = ("Look closer.", "Look at the end.")


@pytest.fixture(autouse=True)
def own_records(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKSHOP_RECORDS", str(tmp_path / "records"))
    monkeypatch.delenv("WORKSHOP_LEARNER", raising=False)


@pytest.fixture
def lab(tmp_path, monkeypatch):
    """A lab of two exercises and a stretch exercise; what their checks do stands in `lab.exercises[number].does`."""
    toys = {1: Toy("Start <it>", HINTS), 2: Toy("Wait", HINTS), 3: Toy("Back off", HINTS, stretch=True)}
    monkeypatch.setattr(labs, "exercises_of", lambda notebook: toys)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    answer = "x = [\n    ### BEGIN SOLUTION\n    1,\n    #: ...,\n    ### END SOLUTION\n]"
    write(tmp_path / "solutions" / "04-toy.ipynb", *task(1, answer), *task(2, answer), *task(3, answer))
    return Lab("04-toy", tmp_path)


def raising(error):
    def check(lab):
        raise error

    return check


def outcome(lab, number, does):
    lab.exercises[number].does = does if callable(does) else raising(does)
    with pytest.raises(labs.Outcome) as raised:
        lab.check(number)
    return raised.value


def test_what_the_account_could_not_play_is_told_with_what_is_done(lab, capsys):
    lab.exercises[1].does = lambda lab: "It started."
    lab.exercises[1].unplayed = lambda: "1 of 4 cases were not played."
    lab.check(1)
    assert capsys.readouterr().out == "Exercise 1: done. It started.\n1 of 4 cases were not played.\n"


def test_done_is_one_line(lab, capsys):
    lab.exercises[1].does = lambda lab: "It started."
    lab.check(1)
    assert capsys.readouterr().out == "Exercise 1: done. It started.\n"


def test_not_yet_says_what_was_seen_what_is_missing_and_how_to_go_on(lab):
    events = [f"{n}  line" for n in range(9)] + [
        {"id": 12, "type": "TaskFailed", "taskFailedEventDetails": {"resource": "x", "error": "E", "cause": "why"}}
    ]
    seen = outcome(lab, 1, NotYet("There are 3 states.", "A state that waits.", events))
    assert seen._render_traceback_() == [
        "Exercise 1: not yet",
        "  Observed: There are 3 states.",
        *(f"      {n}  line" for n in range(4, 9)),
        "       12  TaskFailed  x  E  why",
        "  Missing: A state that waits.",
        "  Stuck? Run lab.hint(1).",
    ]
    assert str(seen) == "Exercise 1: not yet. There are 3 states. A state that waits."


def test_a_functions_error_is_shown_as_its_message_and_the_learners_line(lab):
    frames = [
        '  File "/var/runtime/x.py", line 1, in y\n    z()\n',
        '  File "/var/task/start.py", line 9, in f\n    1 / 0\n',
    ]
    cause = json.dumps({"errorMessage": "division by zero", "errorType": "ZeroDivisionError", "stackTrace": frames})
    event = {"id": 4, "type": "TaskFailed", "taskFailedEventDetails": {"error": "ZeroDivisionError", "cause": cause}}
    [line] = [line for line in outcome(lab, 1, NotYet("a", "b", [event])).lines() if "TaskFailed" in line]
    assert line.endswith("TaskFailed  ZeroDivisionError  division by zero (start.py, line 9: 1 / 0)")
    event = {"id": 9, "type": "ExecutionFailed", "executionFailedEventDetails": {"error": "Mine", "cause": cause}}
    [line] = [line for line in outcome(lab, 1, NotYet("a", "b", [event])).lines() if "ExecutionFailed" in line]
    assert line.endswith("ExecutionFailed  Mine  ZeroDivisionError: division by zero (start.py, line 9: 1 / 0)")


def test_not_attempted_is_told_from_wrong(lab):
    seen = outcome(lab, 2, NotAttempted("There is no machine."))
    assert seen._render_traceback_() == [
        "Exercise 2: not attempted",
        "  There is no machine.",
        "  Fill in the answer, run its cell, then this one. For a start: lab.hint(2)",
    ]


def test_what_is_not_the_learners_fault_is_never_blamed_on_them(lab, monkeypatch, tmp_path):
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    session = boto3.Session("x", "x", region_name="us-east-1")
    dead = outcome(lab, 1, lambda lab: session.client("sqs").list_queues())
    assert isinstance(dead, SandboxProblem) and dead._render_traceback_() == [
        "Exercise 1: could not be checked",
        "  The account does not answer. Run the notebook again from its first cell.",
        "  This is not about your answer. `workshop doctor` in a terminal says what is wrong.",
    ]
    assert isinstance(outcome(lab, 1, SandboxError("It is full.")), SandboxProblem)
    ours = outcome(lab, 1, KeyError("x"))
    log = tmp_path / "records" / "checks.log"
    assert isinstance(ours, SandboxProblem)
    assert str(ours) == (
        f"Exercise 1: could not be checked. The check itself failed with KeyError: 'x'. The details are in {log}."
    )
    assert "Traceback" in log.read_text() and "04-toy, exercise 1" in log.read_text()
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    assert "run its first cell, %load_ext workshop" in str(outcome(lab, 1, lambda lab: "never asked"))
    assert "not attempted" in repr(lab).splitlines()[1] and lab._tries_left(1) == 3


def test_a_call_that_the_account_does_not_allow_is_told_in_its_own_words(lab):
    said = f"User: {'x' * 200} is not authorized to perform: states:StartExecution on resource: all"
    refused = ClientError({"Error": {"Code": "AccessDeniedException", "Message": said}}, "StartExecution")
    assert str(outcome(lab, 1, refused)).endswith(f"The account does not allow what the check needs: {said}")


def test_a_wrong_number_of_exercise_or_lab_is_one_sentence(lab, monkeypatch):
    with pytest.raises(labs.LabError, match=r"has no exercise 4\. Its exercises are 1, 2, 3") as wrong:
        lab.check(4)
    assert len(wrong.value._render_traceback_()) == 1
    monkeypatch.undo()
    with pytest.raises(labs.LabError, match="no lab named '09-nothing'"):
        Lab("09-nothing")


def test_names_are_the_learners_own(lab, monkeypatch):
    assert lab.name("start") == "you-04-start"
    monkeypatch.setenv("WORKSHOP_LEARNER", "ann")
    assert lab.name("start") == "ann-04-start"


# -- the learner's own functions ---------------------------------------------------------------------------------------


def blank():
    return ...


def half(n):
    return n * ...  # your answer


def legal(n):
    def nothing(*_): ...

    return (nothing, {...: n})[n]


# Of what is not in a file or a cell, nobody knows the source.
exec("def sourceless(n): return n * ...")


def broken(n, by=0):
    return n / by


def leaves():
    raise SystemExit("bye")


USER = {
    "missing": ("missing", lambda found: found, NotAttempted, "There is no missing in this notebook yet."),
    "dots": ("dots", lambda found: found, NotAttempted, "dots is still `...`."),
    "blank": ("blank", lambda found: found(), NotAttempted, "blank still returns `...`."),
    "half": ("half", lambda found: found(2), NotAttempted, "There is still a `...` in half."),
    "no source": ("sourceless", lambda found: found(2), NotAttempted, "There is still a `...` in sourceless."),
    "legal": ("legal", lambda found: found(...), NotYet, "legal(Ellipsis) raised TypeError: tuple indices"),
    "broken": ("broken", lambda found: found(2, by=0), NotYet,
               "broken(2, by=0) raised ZeroDivisionError: division by zero. The call ends without an error."),
    "leaves": ("leaves", lambda found: found(), NotYet, "leaves() raised SystemExit: bye."),
}  # fmt: skip


@pytest.mark.parametrize("name, use, kind, said", USER.values(), ids=USER)
def test_a_blank_or_broken_function_is_not_a_name_error(lab, monkeypatch, name, use, kind, said):
    namespace = {"dots": ..., "fine": 3}
    namespace |= {each: globals()[each] for each in ("blank", "half", "legal", "sourceless", "broken", "leaves")}
    monkeypatch.setattr(labs, "_shell", lambda: types.SimpleNamespace(user_ns=namespace))
    seen = outcome(lab, 1, lambda lab: use(lab.user(name)))
    assert type(seen) is kind and said in str(seen)
    assert lab.user("fine") == 3 and lab.user("broken")(4, by=2) == 2 and lab.user("legal")(1) == {...: 1}


# -- hints, solutions, progress ----------------------------------------------------------------------------------------


def test_hints_come_one_more_at_a_time(lab, capsys):
    lab.hint(1)
    assert capsys.readouterr().out == "Hint 1 of 2: Look closer.\nFor the next one, run lab.hint(1) again.\n"
    for _ in range(2):
        Lab("04-toy", lab._checkout).hint(1)  # a new kernel knows what was shown
        assert capsys.readouterr().out == (
            "Hint 1 of 2: Look closer.\nHint 2 of 2: Look at the end.\nThat was the last one. lab.solution(1) shows a "
            "solution once the exercise is done, or after 3 more tries. A try is a lab.check(1) of an "
            "answer that is not blank.\n"
        )


def test_the_solution_comes_after_three_tries_and_reset_takes_it_back(lab, capsys):
    outcome(lab, 1, NotAttempted("Blank."))  # which is no try
    for left in ("3 more tries", "2 more tries", "1 more try"):
        lab.solution(1)
        assert f"after {left}. " in capsys.readouterr().out
        seen = outcome(lab, 1, NotYet("a", "b"))
    assert seen.help() == "Stuck? Run lab.hint(1) or lab.solution(1)."
    lab.solution(1)
    said = capsys.readouterr().out
    assert said.startswith("x = [\n    1,\n]\n") and "is a solution of exercise 1" in said and "BEGIN" not in said
    lab.exercises[2].does = lambda lab: "Yes."
    lab.check(2)
    lab.reset(1)
    assert capsys.readouterr().out.startswith("Exercise 2: done. Yes.\nx = [\n    ...,  # your answer\n]\n")
    lab.solution(1)
    assert "after 3 more tries" in capsys.readouterr().out
    lab.solution(2)  # after success
    assert capsys.readouterr().out.startswith("x = [\n    1,\n]\n")


def test_done_stays_done_when_the_sandbox_has_forgotten(lab):
    lab.exercises[1].does = lambda lab: "Yes."
    lab.check(1)
    outcome(lab, 1, NotAttempted("It is gone."))
    assert repr(lab).startswith("Lab 04-toy: 1 of 2 exercises done")


def test_the_progress_reads_as_text_and_shows_as_a_bar(lab):
    lab.exercises[1].does = lambda lab: "Yes."
    lab.check(1)
    outcome(lab, 2, NotYet("a", "b"))
    assert repr(lab).splitlines() == [
        "Lab 04-toy: 1 of 2 exercises done [##########----------]",
        "  1  done           Start <it>",
        "  2  not yet        Wait",
        "  3  not attempted  Back off (stretch)",
    ]
    html = lab._repr_html_()
    assert '<progress max="2" value="1" aria-label="exercises done">1 of 2</progress>' in html
    assert "1 of 2 exercises done" in html and "Exercise 1, done: Start &lt;it&gt;" in html
    assert "color" not in html and "<script" not in html


def test_several_kernels_change_the_progress_without_losing_any(lab):
    def count(name):
        for _ in range(50):
            with records.change("progress") as progress:
                progress[name] = progress.get(name, 0) + 1
                progress["all"] = progress.get("all", 0) + 1

    threads = [threading.Thread(target=count, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert records.read("progress") == {"a": 50, "b": 50, "all": 100}


def test_a_damaged_progress_file_and_none_at_all_are_an_empty_one(lab, tmp_path, monkeypatch):
    (tmp_path / "records").mkdir()
    (tmp_path / "records" / "progress.json").write_text('{"04-toy"')
    assert "0 of 2" in repr(lab)
    outcome(lab, 1, NotYet("a", "b"))
    assert records.read("progress") == {"04-toy": {"1": {"status": "not yet", "tries": 1}}}
    monkeypatch.setenv("WORKSHOP_RECORDS", "memory")
    assert "not attempted  Start" in repr(lab)
    outcome(lab, 1, NotYet("a", "b"))
    assert "not yet        Start" in repr(lab)


def test_measurements_are_kept_for_later_labs(tmp_path, capsys):
    with pytest.raises(KeyError, match="Neither your lab 04 nor its solution has measured 'seconds'"):
        measurements.recall("04", "seconds", tmp_path)
    measurements.record("04-toy", "seconds", 3.5)
    measurements.record("04", "price", "0.1 USD")
    assert measurements.recall("04-other-name", "seconds", tmp_path) == 3.5
    assert capsys.readouterr().out == "seconds = 3.5 (measured in your lab 04)\n"


# -- in a kernel -------------------------------------------------------------------------------------------------------


def test_in_a_notebook_a_check_shows_its_lines_and_new_cells_go_below(tmp_path):
    first = "import os\nfrom workshop.labs import Lab\nlab = Lab('00-start-here', os.environ['TOY_CHECKOUT'])\nlab"
    answer = "### BEGIN SOLUTION\nput_item(1)\n### END SOLUTION"
    write(tmp_path / "notebooks" / "00-start-here.ipynb", *task(1, answer))
    sources = [
        first,
        "lab.check(1)",
        "lab.check(1)",
        "lab.solution(1)",
        "lab.check(1)",
        "lab.solution(1)",
        "lab.reset(1)",
    ]
    notebook = nbformat.v4.new_notebook(cells=[code(source) for source in sources])
    payloads = []
    client = NotebookClient(notebook, kernel_name="python3", allow_errors=True, timeout=PATIENCE)
    client.on_cell_executed = lambda cell, cell_index, execute_reply: payloads.append(
        [(each["text"], each["replace"]) for each in execute_reply["content"]["payload"]]
    )
    dead = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_DEFAULT_REGION": "us-east-1", "AWS_MAX_ATTEMPTS": "1",
            "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "WORKSHOP_CHECKS": "fakechecks",
            "PYTHONPATH": os.pathsep.join([str(tmp_path), os.path.dirname(__file__)]),
            "TOY_CHECKOUT": str(tmp_path)}  # fmt: skip
    (tmp_path / "fakechecks").mkdir()
    (tmp_path / "fakechecks" / "start_here.py").write_text(
        "from notebook_files import Toy\nfrom workshop.checking.outcomes import NotYet\n"
        "def does(lab):\n    raise NotYet('It is empty.', 'An item.')\n"
        "EXERCISES = {1: Toy('Put it', ('Put.',), does=does)}\n"
    )
    client.execute(env={**os.environ, **dead})
    assert "text/html" in notebook.cells[0].outputs[0].data
    assert notebook.cells[1].outputs[0].traceback == [
        "Exercise 1: not yet", "  Observed: It is empty.", "  Missing: An item.", "  Stuck? Run lab.hint(1)."
    ]  # fmt: skip
    assert payloads[3] == [] and payloads[5:] == [[("put_item(1)", False)], [("...  # your answer", False)]]


# -- the toy exercise of lesson 00, over the sandbox -------------------------------------------------------------------

ITEMS = {
    "small letters": ([{"iata": "zrh", "city": "Zurich"}], "An item has the iata 'zrh'. The iata is a code of three"),
    "four letters": ([{"iata": "LSZH", "city": "Zurich"}], "An item has the iata 'LSZH'."),
    "digits": ([{"iata": "Z1H", "city": "Zurich"}], "An item has the iata 'Z1H'."),
    "not ASCII": ([{"iata": "ZÜR", "city": "Zurich"}], "An item has the iata 'ZÜR'."),
    "no city": ([{"iata": "ZRH"}], "The item ZRH has no attribute city. The item has the city of the airport."),
    "another word for city": ([{"iata": "ZRH", "town": "Zurich"}], "The item ZRH has no attribute city."),
    "empty city": ([{"iata": "ZRH", "city": " "}], "The city of ZRH is not a text, or is empty."),
    "city as a number": ([{"iata": "ZRH", "city": 8}], "The city of ZRH is not a text, or is empty."),
}  # fmt: skip
RIGHT = {
    "one": [{"iata": "ZRH", "city": "Zurich"}],
    "more than asked": [{"iata": "ZRH", "city": "Zurich", "runways": 3}],
    "among wrong ones": [{"iata": "aaa", "city": "x"}, {"iata": "BBB"}, {"iata": "ZRH", "city": "Zurich"}],
}


@pytest.fixture
def toy(account):
    lab = Lab("00-start-here")
    table = deploy.table(lab.name("airports"), "iata")
    return lab, boto3.resource("dynamodb").Table(table)


def test_the_toy_task_is_not_attempted_without_table_or_items(toy):
    lab, table = toy
    with pytest.raises(NotAttempted, match="The table you-00-airports is empty"):
        lab.check(1)
    deploy.delete_table(table.name)
    with pytest.raises(NotAttempted, match="There is no table named you-00-airports"):
        lab.check(1)


@pytest.mark.parametrize("items, said", ITEMS.values(), ids=ITEMS)
def test_the_toy_task_refuses_what_is_no_airport(toy, items, said):
    lab, table = toy
    for item in items:
        table.put_item(Item=item)
    with pytest.raises(NotYet) as refused:
        lab.check(1)
    assert said in str(refused.value)


@pytest.mark.parametrize("items", RIGHT.values(), ids=RIGHT)
def test_the_toy_task_is_done_with_an_airport(toy, capsys, items):
    lab, table = toy
    for item in items:
        table.put_item(Item=item)
    lab.check(1)
    assert capsys.readouterr().out == "Exercise 1: done. The table you-00-airports holds ZRH, Zurich.\n"


# -- seeds and exploring -----------------------------------------------------------------------------------------------


def test_a_check_that_is_played_again_changes_no_progress(lab):
    drawn = NotYet("It waited 2 s.", "It waits 3 s.")
    drawn.seed = 4711
    seen = outcome(lab, 1, drawn)
    assert seen._render_traceback_()[-1] == (
        "  To play the same again, which counts as no try: lab.check(1, seed=4711)"
    )
    assert str(seen).endswith("It waits 3 s. lab.check(1, seed=4711) plays the same again.")  # as make check says it
    before = repr(lab), lab._tries_left(1)
    with pytest.raises(NotYet):
        lab.check(1, seed=4711)
    assert lab.exercises[1].seeds[-1] == 4711
    assert (repr(lab), lab._tries_left(1)) == before
    lab.exercises[1].does = lambda lab: "It waits."
    lab.check(1, seed=4711)
    assert repr(lab) == before[0]


class Explored(Exercise):
    """Checked again and again; the third time it is not yet right, or it is interrupted."""

    title, hints, done = "Wait", HINTS, "It waits."
    cases = {"drawn": Case("a value")}  # noqa: RUF012

    def __init__(self, third):
        self.third, self.seen = third, []

    def observe(self, lab, draw, cases):
        self.seen.append(draw.random("value").random())
        if len(self.seen) == 3 and self.third is KeyboardInterrupt:
            raise KeyboardInterrupt
        return {"drawn": len(self.seen) == 3 and self.third}

    @contract("It waits.", cases="drawn")
    def waits(self, broken):
        return "It did not wait." if broken else None


def test_exploring_ends_at_the_first_fault_and_says_its_seed(lab):
    lab.exercises[1] = Explored(third=True)
    with pytest.raises(NotYet) as found:
        lab.explore(1, seconds=60)
    assert len(lab.exercises[1].seen) == len(set(lab.exercises[1].seen)) == 3
    assert f"lab.check(1, seed={found.value.seed})" in found.value._render_traceback_()[-1]
    assert "not attempted" in repr(lab).splitlines()[1]


def test_exploring_that_finds_nothing_says_how_often_it_played(lab, capsys):
    lab.exercises[1] = Explored(third=False)
    lab.explore(1, seconds=0.2)
    assert f"it was played {len(lab.exercises[1].seen)} times" in capsys.readouterr().out


class Paired(Explored):
    """Two cases, of which one is drawn as a pair of faults."""

    cases = {"drawn": Case("a value"), "pair": Case("two faults")}  # noqa: RUF012
    pairs = ("pair",)

    def observe(self, lab, draw, cases):
        self.seen.append((list(cases), draw.seed, draw.random("pair").random()))
        return {name: name == "pair" and len(self.seen) == 3 and self.third for name in cases}

    @contract("It waits.", cases="drawn, pair")
    def waits(self, broken):
        return "It did not wait." if broken else None


def test_exploring_goes_on_with_pairs(lab, capsys):
    lab.exercises[1] = Paired(third=False)
    lab.explore(1, seconds=0.2)
    played = [names for names, *_ in lab.exercises[1].seen]
    assert played[0] == ["drawn", "pair"] and len(played) > 2 and all(names == ["pair"] for names in played[1:])
    assert "and after the first time only the cases in which two things go wrong" in capsys.readouterr().out


def test_a_pair_that_breaks_is_played_again_by_a_check_with_its_seed(lab):
    lab.exercises[1] = Paired(third=True)
    with pytest.raises(NotYet) as found:
        lab.explore(1, seconds=60)
    lab.check(1, seed=found.value.seed)
    (_, seed, drawn), (names, again, drawn_again) = lab.exercises[1].seen[2:]
    assert (found.value.seed, names) == (seed, ["drawn", "pair"]) and (seed, drawn) == (again, drawn_again)


def test_exploring_can_be_interrupted(lab, capsys):
    lab.exercises[1] = Explored(third=KeyboardInterrupt)
    lab.explore(1, seconds=60)
    said = capsys.readouterr().out
    assert re.fullmatch(
        r"Stopped after \d s: it was played twice, each time with another seed\. Nothing broke\.\n", said
    )
    lab.exercises[1].seen = [0, 0]
    lab.explore(1, seconds=60)
    assert re.fullmatch(r"Stopped after \d s, before it was played once to its end\.\n", capsys.readouterr().out)


def test_exploring_shows_how_far_it_is_while_a_check_is_under_way(lab, monkeypatch):
    """And begins no further one for which there is no time."""
    shown, moved = [], threading.Event()

    def show(line, text):
        shown.append(text)
        if len(set(shown)) == 3:
            moved.set()

    monkeypatch.setattr(labs.Line, "show_if_live", show)
    lab.exercises[1] = Explored(third=False)
    observe = lab.exercises[1].observe
    lab.exercises[1].observe = lambda *about: moved.wait(60) and observe(*about)
    lab.explore(1, seconds=1)
    assert len(lab.exercises[1].seen) == 1
    assert re.fullmatch(r"\[#*-*\] \d of 1 s, played 0 times", shown[0])
    assert shown[-1] == "[####################] played once"
    assert {len(re.match(r"\[([#-]+)\]", each)[1]) for each in shown} == {20}
