"""What a learner waits for: each check of each solved lab, and all lessons and solutions from top to bottom.

With forks and with new interpreters (WORKSHOP_WARM_PROCESSES), in the same run and on the same machine. A check that
must see a real timeout says so when it begins.
"""

import os
import statistics
import tempfile
import time
from datetime import datetime
from pathlib import Path

import nbformat
from nbclient import NotebookClient

from workshop import authoring, sandbox

TURNS = 3


def main():
    paths = [*sorted(authoring.LESSONS.glob("*.ipynb")), *sorted(authoring.SOLUTIONS.glob("*.ipynb"))]
    found = {kind: _turns(paths, kind) for kind in ("1", "0")}
    print(f"{'':52}{'forks':>10}{'worst':>8}{'new ones':>10}{'worst':>8}      forks / new interpreters")
    for what in found["1"]:
        forks, new = (found[kind][what] for kind in ("1", "0"))
        ratio = statistics.median(forks) / statistics.median(new)
        row = "".join(f"{statistics.median(each):>10.1f}{max(each):>8.1f}" for each in (forks, new))
        print(f"{what:<52}{row} s {ratio:8.2f}")


def _turns(paths, forks):
    """{what: [seconds, one of each turn]}"""
    found = {}
    for _ in range(TURNS):
        with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
            os.environ |= {"WORKSHOP_STATE": folder, "WORKSHOP_WARM_PROCESSES": forks, **authoring.AFRESH}
            for path in paths:
                for what, seconds in _run(path):
                    found.setdefault(what, []).append(seconds)
            sandbox.FOLDER = Path(folder) / "sandbox"
            sandbox.stop()
    return found


def _run(path):
    """(what, seconds) of a notebook and of each of its checks. Raises nbclient's CellExecutionError."""
    notebook = nbformat.read(path, as_version=4)
    began = time.perf_counter()
    NotebookClient(notebook, timeout=authoring.CELL_SECONDS, resources={"metadata": {"path": path.parent}}).execute()
    yield f"{path.parent.name}/{path.stem}", time.perf_counter() - began
    for cell in notebook.cells:
        if "check" in cell.metadata.get("tags", []):
            times = {name: datetime.fromisoformat(when) for name, when in cell.metadata.execution.items()}
            task = next(tag for tag in cell.metadata.tags if tag.startswith("task-"))
            seconds = (times["shell.execute_reply"] - times["iopub.execute_input"]).total_seconds()
            yield f"check of {path.stem}, {task}", seconds


if __name__ == "__main__":
    main()
