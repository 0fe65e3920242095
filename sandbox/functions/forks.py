"""The sandbox's side of the fork server (fork_server.py): it is started here, and forks come from here.

A fork looks like a subprocess.Popen. The server reaps it and reports how it ended; when the server itself ends, its
forks end with it, and a new server is started, three times at most.
"""

import array
import contextlib
import itertools
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

RESTARTS = 3  # of a server that has ended by itself
PATIENCE_SECONDS = 10  # for a fork; whoever waited for it starts a new interpreter then

logger = logging.getLogger("functions")


class Unavailable(Exception):
    """No fork can be had now."""


class Fork:
    """A process forked from the server, with what this package uses of subprocess.Popen.

    stdin, stdout, stderr: its pipes, as binary files; pid; returncode: None while it runs, then its exit status, or
    minus the signal that ended it.
    """

    def __init__(self):
        self.pid = self.returncode = None
        self.refusal = None  # why there is no process
        self.began, self._ended = threading.Event(), threading.Event()
        with contextlib.ExitStack() as undo:
            pipes = []
            for _ in range(3):
                pipes.append(os.pipe())
                for end in pipes[-1]:
                    undo.callback(os.close, end)
            undo.pop_all()
        (stdin, ours_in), (ours_out, stdout), (ours_err, stderr) = pipes
        self.theirs = [stdin, stdout, stderr]
        self.stdin = os.fdopen(ours_in, "wb")
        self.stdout, self.stderr = os.fdopen(ours_out, "rb"), os.fdopen(ours_err, "rb")

    def poll(self):
        return self.returncode

    def wait(self, timeout=None):
        """Its return code, once it has ended. timeout: in seconds. Raises subprocess.TimeoutExpired."""
        if not self._ended.wait(timeout):
            raise subprocess.TimeoutExpired("a handler's process", timeout)
        return self.returncode

    def has_ended(self, status):
        self.returncode = status
        self.began.set()
        self._ended.set()


class ForkServer:
    """One server process. variables: its environment variables, as a dict.

    foreign_modules: the names of the top-level modules that its forks have from it, or do without for its sake; None
    until it is ready.
    """

    def __init__(self, variables):
        self.foreign_modules = None
        self.ended = threading.Event()
        self._forks = {}  # by the id of the request
        self._ids = itertools.count()
        self._lock = threading.Lock()
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-s", "-u", str(Path(__file__).with_name("fork_server.py")),
                 str(theirs.fileno()), str(os.getpid())],
                cwd="/", env=variables, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()], start_new_session=True,
            )  # fmt: skip
        self.pid = self._process.pid

    def fork(self):
        """A new Fork; its first line of input says what it is to be. Raises Unavailable."""
        try:
            fork = Fork()
        except OSError as error:  # too many open files
            raise Unavailable(str(error)) from None
        identity = None
        try:
            with self._lock:
                if self.ended.is_set():
                    raise OSError("the fork server has ended")
                identity = next(self._ids)
                # Without waiting for room, since what the server says is taken in with the same lock.
                packet = json.dumps({"id": identity}).encode()
                pipes = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fork.theirs))
                self._socket.sendmsg([packet], [pipes], socket.MSG_DONTWAIT)  # send_fds drops the flag
                self._forks[identity] = fork
        except OSError as error:
            fork.refusal = str(error)
            fork.began.set()
        finally:
            for descriptor in fork.theirs:
                os.close(descriptor)
        if not fork.began.wait(PATIENCE_SECONDS):
            fork.refusal = f"the fork server did not answer within {PATIENCE_SECONDS} s"
        if fork.pid is None:
            with self._lock:
                self._forks.pop(identity, None)
            for pipe in (fork.stdin, fork.stdout, fork.stderr):
                pipe.close()  # a process that comes too late finds no input, and ends
            raise Unavailable(fork.refusal or "it ended at once")
        return fork

    def listen(self):
        """Take in what the server says, until it ends; then its forks have ended, too."""
        try:
            while packet := self._socket.recv(2**16):
                self._take_in(json.loads(packet))
        except OSError:
            pass  # it is gone
        except Exception:
            logger.exception("the fork server said what it never says")
        with self._lock:
            self.ended.set()
            left, self._forks = self._forks, {}
        self._socket.close()
        self._process.kill()
        self._process.wait()
        for fork in left.values():
            if fork.pid is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(fork.pid, signal.SIGKILL)
            fork.has_ended(-signal.SIGKILL)

    def _take_in(self, message):
        if "ready" in message:
            self.foreign_modules = frozenset(message["ready"])
            return
        with self._lock:
            fork = self._forks.pop(message["id"], None) if "pid" not in message else self._forks.get(message["id"])
        if fork is None:
            return  # nobody waited for it any longer
        if "pid" in message:
            fork.pid = message["pid"]
            fork.began.set()
        else:
            fork.refusal = message.get("refused")
            fork.has_ended(message.get("status", 1))

    def stop(self):
        """End it, and its forks with it."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._process.kill()


def _is_possible():
    """Whether the system has what a fork server needs: Linux, with descriptors of processes (since 5.3, and not in all
    that looks like it)."""
    if sys.platform != "linux":
        return False
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (AttributeError, OSError):
        return False
    return True


class Keeper:
    """Keeps one server running. variables: called without arguments, returns the server's environment variables."""

    def __init__(self, variables):
        self._variables = variables
        self._server = None
        self._stopped = False
        self._thread = None
        self._lock = threading.Lock()

    def start(self):
        """Begin in the background, unless it runs. Until the server is ready there is none."""
        with self._lock:
            if self._thread is None and _is_possible():
                self._thread = threading.Thread(target=self._keep, daemon=True, name="fork-server")
                self._thread.start()

    def _keep(self):
        # The system ends a server when the thread that started it ends (PR_SET_PDEATHSIG): this one outlives it.
        for _ in range(1 + RESTARTS):
            with self._lock:
                if self._stopped:
                    return
                try:
                    self._server = ForkServer(self._variables())
                except OSError as error:
                    logger.warning("no fork server: %s", error)
                    return
            self._server.listen()
            if not self._stopped:
                logger.warning("the fork server has ended, and its forks with it")
        logger.warning("the fork server has ended too often: from now on all processes are new interpreters")

    @property
    def ready(self):
        """The server, once it can fork; None before, and after it has ended."""
        server = self._server
        return (
            server if server is not None and server.foreign_modules is not None and not server.ended.is_set() else None
        )

    def stop(self):
        """End the server and its forks, for good."""
        with self._lock:
            self._stopped = True
            server = self._server
        if server is not None:
            server.stop()
            self._thread.join(5)
