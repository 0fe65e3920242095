"""The faults in upstream/ are there in the versions that are pinned: each script ends with 1. What is mended may go."""

import subprocess
import sys

import pytest

from workshop.environments import CHECKOUT

SCRIPTS = sorted((CHECKOUT / "upstream").glob("*.py"))


@pytest.mark.long
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_the_fault_is_there(script):
    ran = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=300, check=False)
    assert ran.returncode == 1 and "Traceback" not in ran.stderr, ran.stdout + ran.stderr


def test_each_fault_has_a_page_and_a_script():
    pages = {path.stem for path in (CHECKOUT / "upstream").glob("[0-9]*.md")}
    assert pages == {path.stem for path in SCRIPTS}
