"""Labs are made from solutions, no learner's work is lost, and solutions run to the same bytes."""

import json
import os
import re
import subprocess
import sys

import nbformat
import pytest
from notebook_files import Toy, code, markdown, task, write

from workshop import authoring, measurements, saved

TASKS = {1: Toy("Price it", hints=("Multiply.",)), 2: Toy("Await it", hints=("Await.",))}

PRICED = """def price(transitions):
    # in USD
    ### BEGIN SOLUTION
    return transitions * 0.000025
    #: # one line
    #: return ...
    ### END SOLUTION"""
AWAITED = "import asyncio\n\n### BEGIN SOLUTION\nawait asyncio.sleep(0)\n### END SOLUTION"


def cells(**replaced):
    """The cells of a good solution, by id; some replaced, or left out (None)."""
    good = [
        markdown("# A lab\n\n![a loop](x.png) costs `$1`", id="title"),
        code("%load_ext workshop\nlab = 1", id="start"),
        *task(1, PRICED),
        *task(2, AWAITED),
        markdown("## Why", "solution-only", id="why"),
        markdown("## Now you", "lab-only", id="now"),
    ]
    by_id = {cell.id: cell for cell in good} | replaced
    return [cell for cell in by_id.values() if cell]


@pytest.fixture
def solution(tmp_path):
    """A function: write a solution and give its path."""
    return lambda *written: write(tmp_path / "solutions" / "04-pricing.ipynb", *written)


@pytest.fixture(autouse=True)
def exercises_of_these_labs(monkeypatch):
    monkeypatch.setattr(authoring, "exercises_of", lambda notebook: TASKS)


def test_a_lab_is_its_solution_without_the_answers(solution):
    made = solution(*cells())
    raw = authoring.lab_bytes(made)
    lab = nbformat.reads(raw.decode(), as_version=4)
    assert {cell.id: cell.source for cell in lab.cells} == {
        "title": "# A lab\n\n![a loop](x.png) costs `$1`",
        "start": "%load_ext workshop\nlab = 1",
        "answer-1": "def price(transitions):\n    # in USD\n    # one line\n    return ...  # your answer",
        "check-1": "lab.check(1)",
        "answer-2": "import asyncio\n\n...  # your answer",
        "check-2": "lab.check(2)",
        "now": "## Now you",
    }
    assert lab.cells[2].metadata.tags == ["answer", "task-1"]
    assert lab.metadata.kernelspec.name == "python3" and "version" not in lab.metadata.language_info
    assert raw.endswith(b"}\n") and b"\r" not in raw and raw == authoring.lab_bytes(made)


def test_what_a_run_leaves_in_a_solution_does_not_change_its_lab(solution):
    before = authoring.lab_bytes(solution(*cells()))
    path = solution(*cells())
    notebook = nbformat.read(path, as_version=4)
    notebook.metadata = {"language_info": {"name": "python", "version": "3.99"}, "workshop": {"measurements": {"a": 1}}}
    notebook.cells[2].outputs = [nbformat.v4.new_output("stream", text="x")]
    notebook.cells[2].execution_count = 7
    nbformat.write(notebook, path)
    assert authoring.lab_bytes(path) == before


def _answer(source):
    return {"answer-1": code(source, "answer", "task-1", id="answer-1")}


def _region(*lines):
    return _answer("\n".join(["### BEGIN SOLUTION", *lines, "### END SOLUTION"]))


REFUSED = {
    "unclosed region": (_answer("### BEGIN SOLUTION\nx = 1"), "BEGIN SOLUTION without its ### END"),
    "unopened region": (_answer("x = 1\n### END SOLUTION"), "END SOLUTION without its ### BEGIN"),
    "nested region": (_region("### BEGIN SOLUTION", "x = 1", "### END SOLUTION"), "inside another"),
    "unknown marker": (_region("x = 1", "### BEGIN PROMPT"), "'### BEGIN PROMPT' is no marker"),
    "misspelt marker": (_answer("### BEGIN SOLUTIONS\nx = 1\n### END SOLUTION"), "is no marker"),
    "prompt outside a region": (_answer(PRICED + "\n#: x"), "a line #: outside a region"),
    "blank does not compile": (_region("x = 1", "#: x ="), "its blank does not compile: invalid syntax, line 1"),
    "dots where an entry must be": (_answer('x = {\n### BEGIN SOLUTION\n"a": 1,\n### END SOLUTION\n"b": 2,\n}'),
                                    "its blank does not compile"),
    "written file does not compile": (_answer("%%writefile handler.py\ndef f():\n    ### BEGIN SOLUTION\n    return 1\n"
                                              "    #: return (\n    ### END SOLUTION"), "its blank does not compile"),
    "answer without region": (_answer("x = 1"), "is tagged answer, but has no ### BEGIN SOLUTION"),
    "region outside an answer": ({"start": code(PRICED, id="start")}, "is not tagged answer"),
    "no answer": ({"answer-1": None}, "exercise 1 has no cell tagged answer and task-1"),
    "no check": ({"check-1": None}, "exercise 1 has no cell tagged check and task-1"),
    "task in nobody's checks": ({f"{kind}-3": code(PRICED if kind == "answer" else "", kind, "task-3", id=f"{kind}-3")
                                 for kind in ("answer", "check")}, "the lab's checks have no exercise 3"),
    "two answers": ({"a": code(PRICED, "answer", "task-1", id="a")}, "a second answer cell of exercise 1"),
    "answer to no task": ({"a": code(PRICED, "answer", id="a")}, "needs one tag task-N and has 0"),
    "check before answer": ({"answer-1": None, "z": code(PRICED, "answer", "task-1", id="z")},
                            "stands before its answer"),
    "too much to write": (_region(*(f"x = {n}" for n in range(16))), "would write 16 lines, and 15 is the most"),
    "long cell": ({"start": code("\n".join("x" * 26), id="start")}, "it has 26 lines, and 25 is the most"),
    "image without alt": ({"title": markdown("# A\n![](x.png)", id="title")}, "an image has no alt text"),
    "html image without alt": ({"title": markdown('# A\n<img src="x.png">', id="title")}, "an image has no alt text"),
    "dollar in prose": ({"title": markdown("# A\n`$x` costs $1", id="title")}, "a dollar sign outside a code span"),
    "skipped heading": ({"title": markdown("# A\n\n### B", id="title")}, "the heading 'B' skips a level: 3 after 1"),
    "no title": ({"title": markdown("## A", id="title")}, "skips a level: 2 after 0"),
    "skipped heading of the lab only": ({"now": markdown("### B", "lab-only", id="now")}, "'B' skips a level"),
}  # fmt: skip


@pytest.mark.parametrize("replaced, said", REFUSED.values(), ids=REFUSED)
def test_a_solution_that_would_make_a_bad_lab_is_refused(solution, replaced, said):
    with pytest.raises(authoring.AuthoringError, match=re.escape(said)) as refused:
        authoring.lab_bytes(solution(*cells(**replaced)))
    assert str(refused.value).startswith("04-pricing.ipynb") and "\n" not in str(refused.value)


@pytest.mark.parametrize("hints", [(), ("",), ("Look.", " ")])
def test_a_task_without_hints_is_refused(solution, hints):
    with pytest.raises(authoring.AuthoringError, match="exercise 1 has no hint, or an empty one"):
        authoring.lab_bytes(solution(*cells()), {**TASKS, 1: Toy("Price it", hints=hints)})


def test_cells_need_ids_of_their_own(solution):
    path = solution(*cells())
    path.write_text(path.read_text().replace('"check-1"', '"answer-1"'))
    with pytest.raises(authoring.AuthoringError, match="every cell needs an id of its own"):
        authoring.lab_bytes(path)


def test_prose_may_say_anything_in_code_spans_and_blocks():
    text = "# A\n\n`$.x` and ``a ` $b`` and\n\n```json\n# not a heading: $$.Task.Token\n```\n\n<code>$x</code>\n\n## B"
    assert list(authoring.faults_of_prose([markdown(text)])) == []


@pytest.fixture
def folders(solution, tmp_path):
    solution(*cells())
    return {"solutions": tmp_path / "solutions", "labs": tmp_path / "labs", "kept": tmp_path / "kept"}


def test_labs_are_made_once_and_are_fresh_then(folders):
    lab = folders["labs"] / "04-pricing.ipynb"
    assert authoring.make_labs(check=True, **folders) == ["04-pricing"] and not lab.exists()
    assert authoring.make_labs(**folders) == ["04-pricing"]
    first = lab.read_bytes()
    assert authoring.make_labs(check=True, **folders) == [] == authoring.make_labs(**folders)
    assert lab.read_bytes() == first and not folders["kept"].exists()


def _edit(path, change):
    notebook = json.loads(path.read_text())
    change(notebook)
    path.write_text(json.dumps(notebook))


def test_a_lab_that_only_grew_old_is_replaced(folders, solution, capsys):
    authoring.make_labs(**folders)
    _edit(folders["labs"] / "04-pricing.ipynb", lambda lab: lab["metadata"].update(saved="by JupyterLab"))
    solution(*cells(title=markdown("# A better lab", id="title")))
    assert authoring.make_labs(**folders) == ["04-pricing"]
    assert not folders["kept"].exists() and capsys.readouterr().out == ""


CHANGES = {
    "an answer": lambda lab: lab["cells"][2].update(source=["return 1"]),
    "an output": lambda lab: lab["cells"][2].update(outputs=[{"output_type": "stream", "name": "stdout", "text": "1"}]),
    "a cell of their own": lambda lab: lab["cells"].append({**lab["cells"][0], "id": "mine"}),
    "no longer known": lambda lab: lab.update(metadata={}),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_learners_work_is_kept_aside_and_named(folders, capsys, change):
    authoring.make_labs(**folders)
    lab = folders["labs"] / "04-pricing.ipynb"
    fresh = lab.read_bytes()
    for copies in (1, 2):  # twice within a second: no copy is written over
        _edit(lab, change)
        work = lab.read_bytes()
        assert authoring.make_labs(**folders) == ["04-pricing"]
        kept = list(folders["kept"].iterdir())
        assert len(kept) == copies and all(copy.read_bytes() == work for copy in kept)
        assert capsys.readouterr().out.startswith("04-pricing.ipynb has your work in it: it is kept as 04-pricing-")
        assert lab.read_bytes() == fresh


def test_labs_without_a_solution_go_and_a_learners_own_notebooks_stay(folders):
    authoring.make_labs(**folders)
    lab = folders["labs"] / "04-pricing.ipynb"
    mine = lab.with_name("04-pricing-Copy1.ipynb")
    mine.write_bytes(lab.read_bytes())
    (folders["solutions"] / lab.name).unlink()
    assert authoring.make_labs(check=True, **folders) == ["04-pricing"] and lab.exists()
    assert authoring.make_labs(**folders) == ["04-pricing"] and not lab.exists() and mine.exists()


def test_reset_makes_a_lab_anew_and_forgets_its_progress(solution, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("WORKSHOP_RECORDS", str(tmp_path))
    (tmp_path / "progress.json").write_text('{"04-pricing": {"1": {"status": "done"}}, "05-x": {"1": {}}}')
    made = solution(*cells())
    lab = write(tmp_path / "labs" / made.name, code("my work"))
    assert saved.reset("4", tmp_path) == 0
    assert lab.read_bytes() == authoring.lab_bytes(made)
    kept = max(authoring.KEPT.glob("04-pricing-*"), key=lambda copy: copy.stat().st_mtime_ns)
    assert "my work" in kept.read_text()
    assert json.loads((tmp_path / "progress.json").read_text()) == {"05-x": {"1": {}}}
    assert "labs/04-pricing.ipynb is as it came" in capsys.readouterr().out


MEASURES = """import os, uuid
from IPython.display import display
from workshop.measurements import record, recall
record("04-pricing", "transitions", 31)
print(uuid.uuid4(), object())
display({"text/plain": "http://127.0.0.1:%d" % os.getpid()}, raw=True)
uuid.uuid4()"""


def test_running_solutions_stores_outputs_that_the_next_run_repeats(solution, folders, capsys):
    path = solution(
        code(MEASURES, id="a"),
        code("import json; json.loads('')", "raises-exception", id="b"),
        markdown("# x", id="c"),
        code("import workshop", id="d"),
    )
    assert authoring.run_solutions(["04"], folders["solutions"]) == ["04-pricing"]
    first = path.read_bytes()
    notebook = nbformat.reads(first.decode(), as_version=4)
    assert [cell.execution_count for cell in notebook.cells if cell.cell_type == "code"] == [1, 2, 3]
    said, shown, value = notebook.cells[0].outputs
    assert said.text == ("00000000-0000-0000-0000-000000000000 <object object at 0x000000000000>\n")
    assert shown.data == {"text/plain": "http://127.0.0.1:4566"}
    assert value.data == {"text/plain": "UUID('00000000-0000-0000-0000-000000000000')"}
    (error,) = notebook.cells[1].outputs
    assert error.ename == "JSONDecodeError" and "json.loads('')" in str(error.traceback)
    assert "/json/" not in str(error.traceback) and "\x1b" not in str(error.traceback)
    assert notebook.metadata.workshop == {"measurements": {"transitions": 31}}
    assert "version" not in notebook.metadata.language_info and b"execution_timing" not in first
    assert authoring.run_solutions(None, folders["solutions"]) == ["04-pricing"]
    assert path.read_bytes() == first
    # what a later lab gets where the learner has not measured it
    capsys.readouterr()
    assert measurements.recall("04", "transitions", folders["solutions"]) == 31
    assert capsys.readouterr().out == ("transitions = 31 (from the solution of lab 04: your lab has not measured it)\n")
    # and nbval, strict, agrees with what is stored
    nbval = [sys.executable, "-m", "pytest", "-q", "--nbval", "--nbval-current-env", "-p", "no:cacheprovider"]
    sanitized = [f"--nbval-sanitize-with={authoring.SANITIZE}", str(path)]
    environment = {**os.environ, **authoring.AFRESH}
    result = subprocess.run([*nbval, *sanitized], env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout


UNFIT = {
    "raises": ("nothing", "it raised NameError: name 'nothing' is not defined"),
    "warns": ("import warnings; warnings.warn('old')", "it wrote to stderr"),
    "path": ("print(__import__('os').getcwd())", "it prints a path of this machine"),
    "account": ("print('arn:aws:iam::123456789012:role/x')", "it prints an account's number or key"),
    "key": ("print('AKIA' + 'ABCDEFGH' * 2)", "it prints an account's number or key"),
}


@pytest.mark.parametrize("source, said", UNFIT.values(), ids=UNFIT)
def test_a_solution_that_fails_or_tells_secrets_is_left_as_it_was(solution, source, said):
    path = solution(code("print(1)", id="a"), code(source, id="b"))
    before = path.read_bytes()
    with pytest.raises(authoring.AuthoringError, match=re.escape(f"04-pricing.ipynb, cell b: {said}")):
        authoring.run(path)
    assert path.read_bytes() == before


def test_a_solution_that_prints_the_sandboxs_secret_is_left_as_it_was(solution, account):
    path = solution(code("import os; print(os.environ['AWS_SECRET_ACCESS_KEY'])", id="a"))
    before = path.read_bytes()
    with pytest.raises(authoring.AuthoringError, match="prints the sandbox's secret key"):
        authoring.run(path)
    assert path.read_bytes() == before


SAME = """{
    "uuid": "8a1c3d5e-1111-4bcd-8222-123456789012",
    "arn": "arn:aws:states:us-east-1:111122223333:execution:you-01-poll:8a1c3d5e-1111-4bcd-8222-123456789012",
    "dms": "arn:aws:dms:us-east-1:111122223333:task:ABCDEFGHIJKLMNOPQRSTUVWXY2",
    "token": "%s",
    "at": "2026-11-24T10:48:34.123Z", "spaced": "2026-11-24 10:48:34+00:00",
    "date": datetime.datetime(2026, 11, 24, 10, 48, 34, 123000, tzinfo=tzlocal()),
    "aware": datetime.datetime(2026, 11, 24, 10, 48, tzinfo=datetime.timezone.utc),
    "url": "http://127.0.0.1:40855/x", "object": <A at 0x7f6b5e988860>, "figure": <Figure size 800x300 with 1 Axes>
}""" % ("+/AQCEAAAAKgAAAAMAAAAAAAAAAb" * 8 + "==")


def test_sanitizing_takes_what_differs_keeps_what_does_not_and_is_stable():
    def sanitized(text):
        for pattern, replacement in authoring.sanitizers():
            text = re.sub(pattern, replacement, text)
        return text

    once = sanitized(SAME)
    assert sanitized(once) == once
    assert "12345" not in once and "40855" not in once and "AQCE" not in once and "10, 48" not in once
    assert "execution:you-01-poll:00000000-0000" in once and once.count("111122223333") == 2
    assert sanitized(once.replace("4566", "1")) == once
    for kept in ("31 transitions", "0.000775 USD", "a" * 99, "state 12 of 40", "after 2.0 s", "-" * 200):
        assert sanitized(kept) == kept
