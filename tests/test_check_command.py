"""`workshop check`: a saved lab, run by nbval in a fresh kernel, told as one line per exercise."""

import os
import re

import pytest
from notebook_files import code, task, write

from workshop import authoring, labs, records, saved

CHECKS = """
from notebook_files import Toy
from workshop.checking.outcomes import NotYet


def _check(n):
    def check(lab):
        value = lab.user(f"answer_{n}")
        value = value() if callable(value) else value
        if value != n:
            events = ["an event", "another one"] if n == 2 else ()
            raise NotYet(f"answer_{n} is {value}.", "The number of the exercise.", events, contract="It is a number.")
        return f"It is {value}."
    return check


EXERCISES = {n: Toy(f"Exercise number {n}", ("Try.",), stretch=n == 6, does=_check(n)) for n in range(1, 7)}
"""


@pytest.fixture
def lab(tmp_path, monkeypatch):
    """A function: write the lab of these tasks' answers (a list of cells, or {task: answer}) and give its folder."""
    (tmp_path / "toychecks").mkdir()
    (tmp_path / "toychecks" / "counting.py").write_text(CHECKS)
    monkeypatch.setenv("WORKSHOP_CHECKS", "toychecks")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.path.dirname(__file__)}")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")  # these checks ask nothing of AWS
    monkeypatch.setenv("WORKSHOP_RECORDS", str(tmp_path / "records"))

    def make(cells):
        if isinstance(cells, dict):
            cells = [cell for number, answer in cells.items() for cell in task(number, answer)]
        first = code('from workshop.labs import Lab\nlab = Lab("04-counting")')
        write(tmp_path / "labs" / "04-counting.ipynb", first, *cells)
        return tmp_path / "labs"

    return make


def right(**but):
    answers = {n: f"answer_{n} = {n}" for n in range(1, 7)}
    return answers | {int(key[1:]): value for key, value in but.items()}


def lines(capfd):
    return capfd.readouterr().out.rstrip("\n").split("\n")


def test_each_task_has_one_line_that_says_what_is_wrong(lab, capfd):
    folder = lab(
        right(
            _2="answer_2 = 22",
            _3="answer_3 = ...",
            _4="answer_4 = 4 +* 2",
            _5="def answer_5():\n    return number\n\nnumbers = [number for number in nothing]",
            _6="def answer_6():\n    return 1 / 0",
        )
    )
    assert saved.check("4", folder) == 1
    said = lines(capfd)
    assert re.fullmatch(
        r".*04-counting.ipynb, saved \d{4}-\d\d-\d\d \d\d:\d\d:\d\d \(.*\)\. "
        r"What is only on the screen is not checked: save first\.",
        said[0],
    )
    assert said[1:] == [
        "Exercise 1: done. It is 1.",
        "Exercise 2: not yet. answer_2 is 22. The number of the exercise.",
        "    Contract: It is a number.",
        "        an event",
        "        another one",
        "Exercise 3: not attempted. answer_3 is still `...`.",
        "Exercise 4: not yet. Its cell raised SyntaxError: invalid syntax (line 1).",
        "Exercise 5: not yet. Its cell raised NameError: name 'nothing' is not defined.",
        "Exercise 6 (stretch): not yet. answer_6() raised ZeroDivisionError: division by zero. "
        "The call ends without an error.",
        "",
        "1 of 5 exercises done.",
        "Next: exercise 2, “Exercise number 2”. For a hint, run lab.hint(2) in the notebook.",
    ]
    progress = records.read("progress")["04-counting"]
    assert [progress[str(n)]["status"] for n in (1, 2, 3)] == ["done", "not yet", "not attempted"]


def test_all_but_the_stretch_task_done_is_status_0(lab, capfd):
    folder = lab(right(_6="answer_6 = ..."))
    write(folder.parent / "notebooks" / "05-more.ipynb")
    assert saved.check("04-counting", folder) == 0
    assert lines(capfd)[-2:] == [
        "5 of 5 exercises done.",
        "Exercise 6 would stretch you further. Next: notebooks/05-more.ipynb",
    ]


@pytest.mark.takes(45)
def test_a_cell_that_does_not_end_or_ends_its_kernel_is_named(lab, capfd):
    endless = "import time\ntry:\n    time.sleep(600)\nexcept KeyboardInterrupt:\n    pass"
    folder = lab(right(_2=endless, _4="import os\nos._exit(1)"))
    assert saved.check("04", folder, cell_seconds=15) == 1
    assert lines(capfd)[1:7] == [
        "Exercise 1: done. It is 1.",
        "Exercise 2: not yet. Its cell did not end within 15 seconds and was stopped.",
        "Exercise 3: done. It is 3.",
        "Exercise 4: not yet. Its cell did not end within 15 seconds and took the kernel with it.",
        "Exercise 5: not yet. Its cell was not run: the kernel was gone.",
        "Exercise 6 (stretch): not yet. Its cell was not run: the kernel was gone.",
    ]


def test_cells_that_were_changed_or_lost_are_not_taken_for_done(lab, capfd):
    cells = [cell for number, answer in right().items() for cell in task(number, answer)]
    cells[1].source = "print('Exercise 1')"
    del cells[3]
    cells.insert(0, code("import nothing_of_that_name"))
    folder = lab(cells)
    assert saved.check("04", folder) == 1
    assert lines(capfd)[1:] == [
        "A cell outside the exercises raised ModuleNotFoundError: No module named 'nothing_of_that_name'. "
        "It begins: import nothing_of_that_name",
        "Exercise 1: not checked. Its check cell no longer says lab.check(1).",
        *(f"Exercise {n}: done. It is {n}." for n in (3, 4, 5)),
        "Exercise 6 (stretch): done. It is 6.",
        "Exercise 2: not checked. Its check cell is gone; "
        "`workshop reset 04` brings the lab back as it came, and keeps yours aside.",
        "",
        "3 of 5 exercises done.",
        "Next: exercise 1, “Exercise number 1”. For a hint, run lab.hint(1) in the notebook.",
    ]


def test_an_answer_cell_that_is_gone_is_said_to_be_gone_and_another_one_may_take_its_place(lab, capfd):
    cells = [cell for number, answer in right(_3="answer_2 = 2\nanswer_3 = 3").items() for cell in task(number, answer)]
    gone = {cell.id: cell for cell in cells if cell.id in ("answer-2", "answer-4", "answer-6")}
    cells[0].source += "\nanswer_2, answer_6 = 2, 6"  # which an earlier run left
    cells[cells.index(gone["answer-4"])] = code("answer_4 = 4")
    folder = lab([cell for cell in cells if cell.id not in gone])
    assert saved.check("04", folder) == 1
    back = "lab.reset({0}) in the notebook makes a cell with the answer as it came, which belongs above lab.check({0})."
    assert lines(capfd)[1:] == [
        "Exercise 1: done. It is 1.",
        f"Exercise 2: not checked. Its answer cell is gone; {back.format(2)}",
        *(f"Exercise {n}: done. It is {n}." for n in (3, 4, 5)),
        f"Exercise 6 (stretch): not checked. Its answer cell is gone; {back.format(6)}",
        "",
        "4 of 5 exercises done.",
        "Next: exercise 2, “Exercise number 2”. For a hint, run lab.hint(2) in the notebook.",
    ]


def test_cells_that_came_with_a_lab_take_no_answers_place(lab, capfd):
    first, *cells = task(1, "answer_1 = 1")
    cells = [first, *cells, code("given = 2", id="given-2"), *task(2, "answer_2 = 2")]
    folder = lab(cells)
    write(folder.parent / "solutions" / "04-counting.ipynb", *cells)
    folder = lab([cell for cell in cells if cell.id != "answer-2"])
    assert saved.check("04", folder) == 1
    assert "Exercise 2: not checked. Its answer cell is gone; lab.reset(2)" in "\n".join(lines(capfd))


def test_a_dead_sandbox_is_not_the_learners_fault(lab, capfd, monkeypatch):
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    assert saved.check("04", lab(right(_1="answer_1 = nothing"))) == 1
    said = lines(capfd)
    assert said[1] == (
        "Exercise 1: could not be checked. This notebook is not connected: run its first cell, %load_ext workshop."
    )
    assert said[-1] == "Next: `workshop doctor`, which says what is wrong here. It is not about your answers."


def test_an_unsaved_state_is_pointed_out_and_a_broken_file_is_named(lab, capfd):
    folder = lab({})
    path = folder / "04-counting.ipynb"
    path.write_text("{ not JSON")
    checkpoint = folder / ".ipynb_checkpoints" / "04-counting-checkpoint.ipynb"
    checkpoint.parent.mkdir()
    checkpoint.write_text("")
    os.utime(path, (1_700_000_000, 1_700_000_000))
    assert saved.check("04", folder) == 2
    said = lines(capfd)
    assert "saved 2023-11-1" in said[0] and "days ago" in said[0]
    assert said[1] == (
        "Is it saved? There is a newer 04-counting-checkpoint.ipynb: save in JupyterLab, then check again."
    )
    assert said[2].startswith("It cannot be read: ") and "`workshop reset 04`" in said[2]


def test_a_generated_lab_against_the_sandbox_untouched_and_solved(tmp_path, sandbox, capfd, monkeypatch):
    monkeypatch.setenv("WORKSHOP_LEARNER", "ann")  # other tests use the same sandbox
    first = "%load_ext workshop\nimport boto3\nfrom workshop import deploy\nfrom workshop.labs import Lab"
    answer = """airport = (
    ### BEGIN SOLUTION
    {"iata": {"S": "ZRH"}, "city": {"S": "Zurich"}}
    ### END SOLUTION
)
if airport is not ...:
    boto3.client("dynamodb").put_item(TableName=table, Item=airport)"""
    solution = write(
        tmp_path / "solutions" / "00-start-here.ipynb",
        code(first, id="first"),
        code('lab = Lab("00-start-here")\ntable = deploy.table(lab.name("airports"), "iata")', id="set-up"),
        *task(1, answer),
    )
    authoring.make_lab(solution, tmp_path / "labs")
    assert saved.check("00", tmp_path / "labs") == 1
    assert lines(capfd)[1:3] == ["Exercise 1: not attempted. The table ann-00-airports is empty.", ""]
    assert saved.check("00", tmp_path / "solutions") == 0
    assert lines(capfd)[1:] == [
        "Exercise 1: done. The table ann-00-airports holds ZRH, Zurich.",
        "",
        "1 of 1 exercises done.",
        "Next: this was the last lab.",
    ]


def test_a_lab_that_is_not_there_is_one_sentence(lab):
    with pytest.raises(labs.LabError, match=r"There is no lab '9' in .*There are: 04-counting\."):
        saved.check("9", lab({}))
