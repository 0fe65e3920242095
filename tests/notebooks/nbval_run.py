"""nbval on a notebook, as authors run it."""

import os
import subprocess
import sys

from workshop import authoring
from workshop.environments import CHECKOUT

LESSONS = sorted((CHECKOUT / "notebooks").glob("*.ipynb"))
SOLUTIONS = sorted((CHECKOUT / "solutions").glob("*.ipynb"))
LABS = sorted((CHECKOUT / "labs").glob("*.ipynb"))


def nbval(path, *options, learner="you"):
    """Run pytest with nbval on one notebook; gives the finished process. learner: whose names its resources get."""
    command = [sys.executable, "-m", "pytest", "-o", "addopts=", "-q", "-p", "no:cacheprovider", "--nbval-current-env"]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    return subprocess.run(
        [*command, "--nbval-cell-timeout=120", *options, str(path)],
        env={**inherited, **authoring.HEADLESS, "WORKSHOP_LEARNER": learner},
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
