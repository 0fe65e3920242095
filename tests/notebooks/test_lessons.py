"""Every lesson runs from top to bottom."""

import pytest
from nbval_run import LESSONS, nbval

pytestmark = pytest.mark.takes(50)


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_a_lesson_runs(path):
    run = nbval(path, "--nbval-lax")
    assert run.returncode == 0, run.stdout[-6000:]
