"""A lab as it is saved: `make check LAB=01` and `workshop reset 01`."""

import os
import subprocess
import sys
import time
from pathlib import Path

import nbformat

from workshop import authoring, records
from workshop.checking.outcomes import one_line
from workshop.checking.waiting import SLOWER
from workshop.checks import LabError
from workshop.environments import CHECKOUT

CELL_SECONDS = 60  # what a cell may take


def check(lab, folder=CHECKOUT / "labs", cell_seconds=None):
    """Run a lab as it is saved, in a fresh kernel; print a line per exercise, what shows it, and what to do next.

    lab: its number or name ("01", "01-polling-loop"). cell_seconds: what one cell may take; CELL_SECONDS, and more
        on AWS, if None.
    Gives the exit status: 0 if all exercises but the stretch ones are done, 1 if not, 2 if the file cannot be read.
    Raises LabError where there is no such lab.
    """
    path = _find(lab, Path(folder))
    print(f"{_shown(path)}, saved {_when(path)}. What is only on the screen is not checked: save first.")
    for other in _unsaved(path):
        print(f"Is it saved? There is a newer {other.name}: save in JupyterLab, then check again.")
    fault = _unreadable(path)
    if fault:
        print(f"It cannot be read: {fault}. `workshop reset {path.name[:2]}` makes it anew, and keeps yours aside.")
        return 2
    sys.stdout.flush()
    pytest = [sys.executable, "-m", "pytest", "-o", "addopts=", "--rootdir", path.parent, "-p", "no:cacheprovider"]
    quiet = ["-p", "workshop.nbval_report", "-qq", "--tb=no", "--no-summary", "-W", "ignore"]
    if cell_seconds is None:
        cell_seconds = CELL_SECONDS * (SLOWER if os.environ.get("WORKSHOP_TARGET") == "aws" else 1)
    nbval = ["--nbval-lax", "--nbval-current-env", f"--nbval-cell-timeout={cell_seconds}"]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    return subprocess.run(
        [*map(str, [*pytest, *quiet, *nbval, path])],
        env=environment,
        check=False,
    ).returncode


def reset(lab, checkout=CHECKOUT):
    """Make a lab's file anew as it came; one that was changed is kept aside, and its progress forgotten. Gives 0.

    lab: its number or name. Raises LabError where there is no such lab.
    """
    solution = _find(lab, Path(checkout) / "solutions")
    authoring.make_lab(solution, Path(checkout) / "labs")
    with records.change("progress") as progress:
        progress.pop(solution.stem, None)
    print(f"labs/{solution.name} is as it came. If JupyterLab shows it: File, Reload Notebook from Disk.")
    return 0


def _find(lab, folder):
    """The notebook of that number or name in the folder."""
    wanted = Path(str(lab)).stem
    there = sorted(path for path in folder.glob("[0-9][0-9]-*.ipynb"))
    found = [path for path in there if wanted in (path.stem, path.stem[:2]) or wanted.zfill(2) == path.stem[:2]]
    if not found:
        raise LabError(f"There is no lab {lab!r} in {_shown(folder)}. There are: {', '.join(p.stem for p in there)}.")
    return found[0]


def _shown(path):
    return path.relative_to(CHECKOUT).as_posix() if path.is_relative_to(CHECKOUT) else str(path)


def _when(path):
    saved = path.stat().st_mtime
    seconds = max(0, time.time() - saved)
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1)):
        if seconds >= length:
            count = int(seconds // length)
            ago = f"{count} {unit}{'s' * (count > 1)} ago"
            break
    else:
        ago = "just now"
    return f"{time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(saved))} ({ago})"


def _unsaved(path):
    """Files that are newer than the saved lab: one that JupyterLab was writing, or its checkpoint."""
    others = [path.with_name(f".~{path.name}"), path.parent / ".ipynb_checkpoints" / f"{path.stem}-checkpoint.ipynb"]
    saved = path.stat().st_mtime
    return [other for other in others if other.exists() and other.stat().st_mtime > saved + 2]


def _unreadable(path):
    try:
        nbformat.read(path, as_version=4)
    except Exception as error:  # nbformat raises a dozen kinds
        return one_line(error)
    return None
