"""A solution's stored outputs are what it gives."""

import pytest
from nbval_run import SOLUTIONS, nbval

from workshop import authoring


@pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.stem)
def test_a_solution_gives_what_is_stored_twice_in_a_row(sandbox, path):
    for _ in range(2):
        run = nbval(path, "--nbval", f"--nbval-sanitize-with={authoring.SANITIZE}")
        assert run.returncode == 0, run.stdout[-6000:]
