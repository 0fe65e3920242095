"""The load script beside which tests are run: as many sessions as it has processes, and nothing is left of it."""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from patience import PATIENCE, until

from workshop.environments import CHECKOUT

pytestmark = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="reads /proc")


def children(pid):
    """The ids of a process's children, but for the helper with which multiprocessing keeps track of what it shares."""
    with contextlib.suppress(OSError):
        found = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
        return [int(child) for child in found if "resource_tracker" not in command(child)]
    return []


def command(pid):
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8")
    return ""


def runs(pid):
    """Whether a process is there and has not ended."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    return False


def leaders(pid, count):
    """The ids of a process's children, once there are so many and each leads a session; None before."""
    found = children(pid)
    with contextlib.suppress(OSError):
        return found if len(found) == count and all(os.getsid(each) == each for each in found) else None


@pytest.fixture
def busy():
    """A function that starts the script and returns (it, the ids of its processes), once they lead their sessions."""
    started = []

    def start(processes, seconds):
        order = [sys.executable, "-m", "benchmarks.busy", str(processes), str(seconds)]
        script = subprocess.Popen(order, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True)
        started.append(script)
        assert int(script.stdout.readline()) == script.pid
        return script, until(lambda: leaders(script.pid, processes))

    yield start
    for script in started:
        script.kill()
        script.communicate()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_each_leads_a_session_and_all_end_with_the_first(busy, how):
    script, others = busy(2, 600)
    assert len({script.pid, *others}) == 3
    script.send_signal(how)
    script.wait(PATIENCE)
    until(lambda: not any(map(runs, others)))


def test_it_ends_by_itself():
    ended = subprocess.run([sys.executable, "-m", "benchmarks.busy", "1", "1"], cwd=CHECKOUT, capture_output=True)
    assert ended.returncode == 0 and ended.stdout.strip().isdigit()


@pytest.mark.parametrize("order", [("0", "5"), ("33", "5"), ("1", "3601")])
def test_it_has_bounds(order):
    refused = subprocess.run([sys.executable, "-m", "benchmarks.busy", *order], cwd=CHECKOUT, capture_output=True)
    assert refused.returncode == 1 and b"Give 1 to 32 processes" in refused.stderr
