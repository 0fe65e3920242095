"""How long one waits before one can begin, and what it costs to have the sandbox there.

The sandbox is measured as a learner meets it, through `workshop.sandbox.start`; MiniStack as `python -m ministack` with
the same settings and the same Python. They take turns, so that a busy moment of the machine meets both.
"""

import contextlib
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import psutil
from jupyter_client.manager import start_new_kernel

from sandbox.engine import settings
from workshop import environments, sandbox
from workshop.environments import CHECKOUT

TURNS = 7
REST = 1.0  # seconds from being ready to when the memory is read


def main():
    with tempfile.TemporaryDirectory(prefix="benchmark-") as temporary:
        temporary = Path(temporary)
        sandbox.FOLDER = temporary / "sandbox"  # not the learner's
        _servers(temporary)
        _notebook(temporary)
        _set_up(temporary)


def _servers(temporary):
    ours, bare = [], []
    for _ in range(TURNS):
        ours.append(_sandbox())
        bare.append(_bare(temporary))
    print(f"{'':44}{'sandbox':>10}{'MiniStack':>10}      sandbox / MiniStack")
    for what, unit, place in (("ready, from nothing", "s", 0), ("memory at rest", "MB", 1)):
        mine, theirs = (statistics.median(each[place] for each in them) for them in (ours, bare))
        print(f"{what:<44}{mine:>10.2f}{theirs:>10.2f} {unit:<4}{mine / theirs:8.2f}")


def _sandbox():
    """(seconds until it answers, MB that it holds then)."""
    began = time.perf_counter()
    state = sandbox.start()
    ready = time.perf_counter() - began
    time.sleep(REST)
    memory = _memory(state["pid"])
    sandbox.stop()
    return ready, memory


def _bare(temporary):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    began = time.perf_counter()
    server = subprocess.Popen(
        [environments.SANDBOX.python, "-m", "ministack"],
        env={**os.environ, **settings(port, "AKIA", "secret", temporary)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while not _answers(f"http://127.0.0.1:{port}/_ministack/health"):
            time.sleep(0.002)
        ready = time.perf_counter() - began
        time.sleep(REST)
        return ready, _memory(server.pid)
    finally:
        server.terminate()
        server.wait()


def _answers(address):
    with contextlib.suppress(OSError):
        return urllib.request.build_opener(urllib.request.ProxyHandler({})).open(address).status == 200
    return False


def _memory(pid):
    return psutil.Process(pid).memory_info().rss / 2**20


def _notebook(temporary):
    _imports()
    environment = {**os.environ, "WORKSHOP_STATE": str(temporary), "IPYTHONDIR": str(temporary / "ipython")}
    kernels, cold, warm = [], [], []
    for _ in range(3):
        sandbox.stop()
        for times in (cold, warm):  # the first kernel starts the sandbox, and holds it until the second has found it
            began = time.perf_counter()
            manager, client = start_new_kernel(kernel_name="python3", env=environment)
            loaded = time.perf_counter()
            client.execute_interactive("%load_ext workshop", timeout=60, output_hook=lambda message: None)
            kernels.append((loaded - began, manager, client))
            times.append(time.perf_counter() - loaded)
    for _, manager, client in kernels:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    sandbox.stop()
    _print("a kernel, until it takes a cell", statistics.median(seconds for seconds, _, _ in kernels))
    _print("the first cell, which starts the sandbox", statistics.median(cold))
    _print("the first cell, where it runs", statistics.median(warm))


def _imports():
    """The package beside what a cell without it would need: a bare interpreter, and boto3. They take turns."""
    times = {code: [] for code in ("", "import boto3", "import workshop")}
    for _ in range(TURNS):
        for code, seconds in times.items():
            seconds.append(_seconds([sys.executable, "-c", code]))
    bare, boto3, workshop = map(statistics.median, times.values())
    _print("import workshop, beside the bare interpreter", workshop - bare)
    print(
        f"  as a ratio: {workshop / bare:.2f} of a bare interpreter, {workshop / boto3:.2f} of one that imports boto3"
    )


def _set_up(temporary):
    """Set-up of a new checkout in the temporary folder. The first one sees to it that the package cache is warm."""
    checkout = temporary / "checkout"
    # The Python that a newcomer has, not the environment's: that one has uv already.
    command = [sys._base_executable, checkout / "workshop" / "environments.py"]
    for _ in range(2):
        shutil.rmtree(checkout, ignore_errors=True)
        shutil.copytree(CHECKOUT / "workshop", checkout / "workshop", ignore=shutil.ignore_patterns("__pycache__"))
        (checkout / "sandbox").mkdir()
        for name in ("pyproject.toml", "LICENSE", "requirements.lock", "sandbox/requirements.lock"):
            shutil.copy(CHECKOUT / name, checkout / name)
        seconds = _seconds(command)
    _print("set-up of a new checkout, warm package cache", seconds)
    _print("set-up when there is nothing to do", statistics.median(_seconds(command) for _ in range(TURNS)))


def _seconds(command):
    """How long a command runs that must succeed."""
    began = time.perf_counter()
    subprocess.run(list(map(str, command)), check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def _print(what, seconds):
    print(f"{what:<44}{seconds:>10.2f}{'':10} s", flush=True)


if __name__ == "__main__":
    main()
