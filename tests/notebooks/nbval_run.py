"""nbval on a notebook, as a user runs it: pytest in a checkout, with no variable set that a user does not set."""

import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from workshop.environments import CHECKOUT

LESSONS = sorted((CHECKOUT / "notebooks").glob("*.ipynb"))
SOLUTIONS = sorted((CHECKOUT / "solutions").glob("*.ipynb"))
LABS = sorted((CHECKOUT / "labs").glob("*.ipynb"))

_TAKEN = ("workshop", "sandbox", "notebooks", "labs", "solutions", "tests/sanitize.cfg")
_TAKEN += ("pyproject.toml", "requirements.lock")
_NOT_TAKEN = shutil.ignore_patterns(".venv", "__pycache__", ".ipynb_checkpoints", ".pytest_cache", "*.lock-*")
_OURS = ("WORKSHOP_", "AWS_", "PYTEST_")


@functools.cache
def checkout():
    """A copy of the checkout with a sandbox and records of its own, so that a developer's stay as they are."""
    copy = Path(tempfile.mkdtemp(prefix="workshop-checkout-"))
    for each in _TAKEN:
        if (CHECKOUT / each).is_dir():
            shutil.copytree(CHECKOUT / each, copy / each, ignore=_NOT_TAKEN)
        else:
            (copy / each).parent.mkdir(exist_ok=True)
            shutil.copy(CHECKOUT / each, copy / each)
    # The sandbox's environment, which knows in which folder it is.
    here, there = CHECKOUT / "sandbox" / ".venv", copy / "sandbox" / ".venv"
    there.mkdir()
    for each in here.iterdir():
        (there / each.name).symlink_to(each)
    (there / "complete.json").unlink()
    stamp = json.loads((here / "complete.json").read_text())
    (there / "complete.json").write_text(json.dumps({**stamp, "folder": str(there)}))
    return copy


def run(*command, **options):
    """Run a Python module in that checkout, as `run("pytest", ...)`; returns the finished process."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    return subprocess.run(
        [sys.executable, "-m", *map(str, command)],
        env={**variables, "PYTHONPATH": str(checkout())},
        cwd=checkout(),
        capture_output=True,
        text=True,
        check=False,
        **options,
    )


def nbval(path, *options):
    """Run pytest with nbval on a notebook of the checkout; returns the finished process."""
    options = ("--nbval-cell-timeout=120", *options)  # what a cell may take: machines can be busy
    return run("pytest", "-q", "-p", "no:cacheprovider", *options, path.relative_to(CHECKOUT))


def end():
    """Stop the sandbox of that checkout and take it away, if there is one."""
    if checkout.cache_info().currsize:
        run("workshop", "sandbox", "stop")
        shutil.rmtree(checkout(), ignore_errors=True)
