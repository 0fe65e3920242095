"""A solution's stored outputs are what it gives, and each of its checks says that the task is done."""

import nbformat
import pytest
from nbval_run import SOLUTIONS, nbval

from workshop.checks import exercises_of

pytestmark = pytest.mark.takes(80)

ALL = pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.stem)


def strictly(path):
    run = nbval(path, "--nbval", "--nbval-sanitize-with=tests/sanitize.cfg")
    assert run.returncode == 0, run.stdout[-6000:]


@ALL
def test_a_solution_gives_what_is_stored(path):
    strictly(path)


@pytest.mark.long
@ALL
def test_it_does_so_twice_in_a_row(path):
    strictly(path)
    strictly(path)


@ALL
def test_what_is_stored_says_that_each_task_is_done(path):
    """As the outputs of checks are compared to the letter, a solution that gives what is stored is done."""
    checks = [cell for cell in nbformat.read(path, as_version=4).cells if "check" in cell.metadata.get("tags", [])]
    assert not any("nbval-ignore-output" in cell.metadata.tags for cell in checks)
    said = "".join(output.text for cell in checks for output in cell.outputs)
    for task in exercises_of(path.stem):
        assert f"Exercise {task}: done. " in said
