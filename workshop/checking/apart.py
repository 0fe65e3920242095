"""Functions of ours called in a process of their own, in which a learner's code runs and what lies below it is changed.

On Linux such a process is a fork of one that has loaded what it needs (LOADED), and begins in milliseconds. Elsewhere,
and where its environment would change Python itself, it is a new process, which takes half a second to load that.
"""

import contextlib
import ctypes
import gc
import importlib
import json
import os
import random
import select
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path

from workshop.checking.waiting import until

LOADED = (
    "boto3",
    "pytest",
    "aws_durable_execution_sdk_python_testing",
    "workshop.checking.explorations",
    "workshop.checking.stand_ins",
    "workshop.checking.trials",
    "workshop.checks.durable_worlds",
    "workshop.checks.replay_worlds",
)


def called(
    function: str,
    arguments: Mapping,
    *,
    folder,
    environment: Mapping,
    patience: float,
    what: str,
    hash_seed: str = "1",
    meanwhile: Callable[[], object] = lambda: None,
):
    """What a function returns, which is data as JSON has it; None where that did not come in time.

    function: "module:name". arguments: by name, data as JSON has it. folder: where the process works. environment: its
    variables, beside ours without those of AWS. patience, what: as `until` has them. hash_seed: what the order of its
    sets depends on. meanwhile: called now and then. Raises RuntimeError where it ended otherwise, and what `until`
    raises.
    """
    with tempfile.TemporaryDirectory() as scratch:
        task = {"function": function, "arguments": dict(arguments), "folder": str(folder), "scratch": scratch}
        process = _begin({**task, "environment": dict(environment)}, hash_seed)

        def has_ended():
            meanwhile()
            return process.has_ended()

        try:
            if not until(has_ended, patience, what):
                return None
        finally:
            process.end()
        report, errors = Path(scratch, "report"), Path(scratch, "errors")
        if not report.exists():
            said = errors.read_text(encoding="utf-8", errors="replace") if errors.exists() else "It did not begin."
            raise RuntimeError(f"The process in which {function} was called ended without an answer: {said[-2000:]}")
        return json.loads(report.read_text(encoding="utf-8"))


# -- the processes ----------------------------------------------------------------------------------------------------


class _New:
    """A new process, for one task."""

    def __init__(self, task, hash_seed):
        file = Path(task["scratch"], "task")
        file.write_text(json.dumps(task), encoding="utf-8")
        # In a session of its own: who interrupts a cell interrupts this process by us.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", __name__, file],
            env=_variables(hash_seed) | task["environment"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def has_ended(self):
        return self._process.poll() is not None

    def end(self):
        self._process.kill()
        self._process.wait()


class _Fork:
    """A process that a _Server has forked. number: its process id."""

    def __init__(self, number):
        try:
            self._handle = os.pidfd_open(number)
        except ProcessLookupError:
            self._handle = None

    def has_ended(self):
        return self._handle is None or bool(select.select([self._handle], [], [], 0)[0])

    def end(self):
        if self._handle is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._handle, signal.SIGKILL)
            select.select([self._handle], [], [])
            os.close(self._handle)


class _Server:
    """A process that has loaded LOADED, and forks; it ends with this one, when its pipe is closed."""

    def __init__(self, hash_seed):
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", __name__],
            env=_variables(hash_seed),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def fork(self, task):
        """A fork that does the task. Raises OSError or ValueError where the server is no more."""
        self._process.stdin.write(json.dumps(task).encode() + b"\n")
        self._process.stdin.flush()
        return _Fork(int(self._process.stdout.readline()))


_servers: dict[str, _Server] = {}  # by the seed of their sets
_asking = threading.Lock()


def _begin(task, hash_seed):
    changes_python = any(name.startswith(("PYTHON", "LD_", "LC_", "MALLOC_")) for name in task["environment"])
    if sys.platform != "linux" or changes_python:
        return _New(task, hash_seed)
    with _asking:
        try:
            if hash_seed not in _servers:
                _servers[hash_seed] = _Server(hash_seed)
            return _servers[hash_seed].fork(task)
        except (OSError, ValueError):  # it has ended: there is a new one for the next task
            _servers.pop(hash_seed, None)
    return _New(task, hash_seed)


def _variables(hash_seed):
    ours = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return {**ours, "PYTHONHASHSEED": hash_seed}


# -- in the server, and in the processes ------------------------------------------------------------------------------


def _serve():
    """Fork for each line that comes, which is a task; answer with the fork's process id."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what is printed is no answer
    for module in LOADED:
        importlib.import_module(module)
    gc.collect()
    gc.freeze()  # or the first collection of each fork would copy all pages that it shares
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for forks
    server = os.getpid()
    for line in sys.stdin:
        assert threading.active_count() == 1  # of others a fork has the locks, and nobody who opens them
        number = os.fork()
        if not number:
            _die_with(server)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            random.seed()
            _do(json.loads(line))
        print(number, file=answers, flush=True)


def _die_with(parent: int):
    """End this process when that one ends, whatever it does: a learner's loop has no end, and nobody waits for it."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG, which Linux has; see prctl(2)
    if os.getppid() != parent:  # it had ended before
        os._exit(1)


def _do(task):
    """Call the function, store what it returns, and end this process, whatever its threads still do."""
    scratch = Path(task["scratch"])
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    errors = os.open(scratch / "errors", os.O_WRONLY | os.O_CREAT)
    os.dup2(errors, 1)
    os.dup2(errors, 2)
    os.environ.update(task["environment"])
    os.chdir(task["folder"])
    status = 1
    try:
        module, _, name = task["function"].partition(":")
        found = getattr(importlib.import_module(module), name)(**task["arguments"])
        written = scratch / "written"
        written.write_text(json.dumps(found), encoding="utf-8")
        written.rename(scratch / "report")
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush(), sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    _do(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))) if sys.argv[1:] else _serve()
