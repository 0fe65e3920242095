"""Every lab is what its solution makes; untouched it fails at its first check; solved it is done."""

import nbformat
import pytest
from nbval_run import LABS, SOLUTIONS, nbval

from workshop import authoring, saved
from workshop.checks import exercises_of

pytestmark = pytest.mark.takes(40)


@pytest.fixture(autouse=True)
def learner(monkeypatch):
    """Names of their own, so that these may run beside the solutions."""
    monkeypatch.setenv("WORKSHOP_LEARNER", "learner")


def test_there_is_a_lab_for_every_solution():
    assert [path.name for path in LABS] == [path.name for path in SOLUTIONS]


def test_labs_are_fresh():
    assert authoring.make_labs(check=True) == []


# The next test sees more of each lab; that plain nbval says so, too, is seen on one, and on all where there is time.
@pytest.mark.parametrize(
    "path",
    [pytest.param(lab, id=lab.stem, marks=[pytest.mark.long] * (number > 0)) for number, lab in enumerate(LABS)],
)
def test_untouched_it_fails_at_its_first_check(path):
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    first_check = next(index for index, cell in enumerate(cells) if "check" in cell.metadata.get("tags", []))
    run = nbval(path, "--nbval-lax", "-x")
    assert run.returncode == 1
    assert f"FAILED labs/{path.name}::Cell {first_check} " in run.stdout, run.stdout[-3000:]
    assert "not attempted" in run.stdout


@pytest.mark.parametrize("path", LABS, ids=lambda path: path.stem)
def test_untouched_every_task_is_not_attempted(sandbox, path, capfd):
    assert saved.check(path.stem, cell_seconds=120) == 1
    said = capfd.readouterr().out
    assert said.count("not attempted") >= len(exercises_of(path.stem)), said
    assert "could not be checked" not in said, said


@pytest.mark.long  # test_solutions.py runs them, too, and compares what the checks say
@pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.stem)
def test_solved_every_task_is_done(sandbox, path, capfd):
    assert saved.check(path.stem, folder=path.parent) == 0
    said = capfd.readouterr().out
    assert said.count("done") >= len(exercises_of(path.stem)), said
