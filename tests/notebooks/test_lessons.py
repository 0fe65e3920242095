"""Every lesson runs from top to bottom, and says what is stored."""

import pytest
from nbval_run import LESSONS, nbval

pytestmark = pytest.mark.takes(50)


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_a_lesson_runs(path):
    run = nbval(path, "--nbval", "--nbval-sanitize-with=tests/sanitize.cfg")
    assert run.returncode == 0, run.stdout[-6000:]
