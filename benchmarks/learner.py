"""What a learner waits for: each check of each solved lab, and all lessons and solutions from top to bottom.

With forks and with new interpreters (WORKSHOP_WARM_PROCESSES), in the same run and on the same machine. A check should
take two seconds, five at most; those of SEE_A_TIMEOUT must wait for longer. `TURNS=1 LAB=03 python -m benchmarks
learner` plays one turn instead of three, and the notebooks of one lab.
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
USUAL, MOST = 2, 5  # seconds that a check should take: at the median and at worst

# Which checks must see a real timeout: {(notebook, exercise): (the cases that do, what they wait for)}.
SEE_A_TIMEOUT = {
    ("02-task-tokens-and-events", 2): ("late, later", "TimeoutSeconds of 2 and 4, in which nobody answers"),
    ("03-callback-urls", 2): ("is slow, unreachable", "the two seconds that its function waits for the vendor"),
    ("03-callback-urls", 4): ("awake, asleep", "longer than a heartbeat of 4 s"),
    ("03-callback-urls", 5): ("silent, chatty, endless", "heartbeats of 2 to 5 s, and TimeoutSeconds of 5 and 7"),
    ("04-durable-functions", 2): ("late, unheard", "TimeoutSeconds of 2 and 4, in which nobody answers"),
    ("04-durable-functions", 3): ("awake", "longer than a heartbeat of 6 s"),
    ("04-durable-functions", 4): ("awake, endless, bounded", "heartbeats of 5 and 6 s, and TimeoutSeconds of 6"),
    ("04-durable-functions", 6): ("silent", "TimeoutSeconds of 2, in which nobody answers"),
    ("06-testing-durable-functions", 1): ("broken", "the limit of a test, with a function that polls for ever"),
    ("06-testing-durable-functions", 2): ("right, broken", "TimeoutSeconds of 1, which its own tests wait for"),
    ("06-testing-durable-functions", 3): ("right, broken", "the second after which no offer counts any more"),
    ("06-testing-durable-functions", 4): ("right, broken", "TimeoutSeconds of 1, which its own test waits for"),
}


def main():
    turns, lab = int(os.environ.get("TURNS", TURNS)), os.environ.get("LAB", "")
    paths = [*sorted(authoring.LESSONS.glob(f"{lab}*.ipynb")), *sorted(authoring.SOLUTIONS.glob(f"{lab}*.ipynb"))]
    if turns < 1 or not paths:
        raise SystemExit("Give TURNS a number from 1 on, and LAB the number of a notebook, such as 03.")
    found = {kind: _turns(paths, kind, turns) for kind in ("1", "0")}
    print("\n".join(told(found["1"], found["0"])))


def told(forks, new):
    """The lines of a table and what it comes to. forks, new: {what: [seconds, one of each turn]}; see `_turns`."""
    yield f"{'':52}{'forks':>10}{'worst':>8}{'new ones':>10}{'worst':>8}      forks / new   {USUAL} s   {MOST} s"
    for what in forks:
        ratio = statistics.median(forks[what]) / statistics.median(new[what])
        row = "".join(f"{statistics.median(each):>10.1f}{max(each):>8.1f}" for each in (forks[what], new[what]))
        yield f"{_name(what):<52}{row} s {ratio:>12.2f}   {_held_to_the_goal(what, forks[what])}".rstrip()
    checks = {what: seconds for what, seconds in forks.items() if isinstance(what, tuple)}
    if not checks:
        return
    worst = max(checks, key=lambda check: max(checks[check]))
    over = [check for check, seconds in checks.items() if check not in SEE_A_TIMEOUT and is_over(seconds)]
    yield (
        f"{len(checks)} checks: median {statistics.median(map(statistics.median, checks.values())):.1f} s, "
        f"worst {max(checks[worst]):.1f} s ({_name(worst)}); over the goal: "
        f"{', '.join(f'{notebook[:2]} exercise {number}' for notebook, number in over) or 'none'}."
    )
    for check, (cases, why) in SEE_A_TIMEOUT.items():
        if check in checks:
            yield f"{_name(check)} must see a timeout ({cases}): {why}."


def is_over(seconds):
    """Whether a check that sees no timeout takes too long. seconds: of each turn."""
    return statistics.median(seconds) > USUAL or max(seconds) > MOST


def _held_to_the_goal(what, seconds):
    if not isinstance(what, tuple):
        return ""
    if what in SEE_A_TIMEOUT:
        return "timeout"
    within = {True: "held", False: "over"}
    return f"{within[statistics.median(seconds) <= USUAL]}  {within[max(seconds) <= MOST]}"


def _name(what):
    return what if isinstance(what, str) else f"check of {what[0]}, exercise {what[1]}"


def _turns(paths, forks, turns):
    """{what: [seconds, one of each turn]}; what: a notebook, or (notebook, exercise) of a check."""
    found = {}
    for _ in range(turns):
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
            exercise = next(int(tag.removeprefix("task-")) for tag in cell.metadata.tags if tag.startswith("task-"))
            seconds = (times["shell.execute_reply"] - times["iopub.execute_input"]).total_seconds()
            yield (path.stem, exercise), seconds


if __name__ == "__main__":
    main()
