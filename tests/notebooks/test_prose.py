"""Lessons and solutions keep to the rules of style that can be counted."""

import nbformat
import pytest
from nbval_run import LESSONS, SOLUTIONS

from workshop import authoring

ALL = pytest.mark.parametrize("path", LESSONS + SOLUTIONS, ids=lambda path: f"{path.parent.name}/{path.stem}")


@ALL
def test_prose(path):
    assert list(authoring.faults_of_prose(nbformat.read(path, as_version=4).cells)) == []


@ALL
def test_cells_are_small(path):
    code = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    lines = sorted(len(cell.source.splitlines()) for cell in code)
    assert lines[len(lines) // 2] <= 6
    assert lines[-1] <= authoring.CELL_LINES
