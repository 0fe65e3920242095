"""The sandbox as a process: start it, find it, hold it, stop it.

A checkout has one sandbox. What is known of it stands in `.workshop/sandbox/`: `state.json` (address, keys, process),
`sandbox.log`, and everything temporary. Two checkouts have two folders, two ports and two keys, and never meet.
The sandbox's own side of this is `sandbox/control.py`.
"""

import contextlib
import http.client
import json
import os
import secrets
import select
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

from workshop import environments
from workshop.environments import CHECKOUT, STATE, SetupError, exclusive

FOLDER = STATE / "sandbox"

# How long it lives on when the last kernel or `make lab` that held it has gone and no request comes, in seconds.
# Started by hand nobody holds it, so it gets longer.
IDLE_SECONDS = 30
IDLE_SECONDS_BY_HAND = 3600
PATIENCE_SECONDS = 20  # with a sandbox that is about to end


class SandboxError(Exception):
    """The sandbox cannot be used; the message says what to do about it."""

    def _render_traceback_(self):  # a notebook shows the sentence, not our stack
        return [f"Sandbox problem (not yours): {self}"]


def status():
    """What is known of the running sandbox, or None where none runs.

    A dict: endpoint, pid, log, account, region, access_key_id, secret_access_key, account_epoch, leases.
    """
    state = _remembered()
    if not state:
        return None
    try:
        return {**state, **_ask(state, "GET", "status")}
    except (OSError, ValueError):
        return None  # a stale file, a dead sandbox, or a stranger on its old port


def start(idle_seconds=IDLE_SECONDS):
    """Find this checkout's sandbox or start it; gives its status. Raises SandboxError.

    It comes back on the port and with the key it had before, where the port is free,
    so that clients made before it stopped go on working.
    """
    found = status()
    if found:
        return found
    FOLDER.mkdir(parents=True, exist_ok=True)
    with exclusive(FOLDER / "start.lock"):  # of two who start at once, the second finds the first one's
        return status() or _start(idle_seconds)


def hold(idle_seconds=IDLE_SECONDS):
    """Find this checkout's sandbox or start it, and keep it alive; returns (its status, a Lease). Raises SandboxError.

    One that nobody held may end after it was found and before it is held; then there is another one.
    """
    end = time.monotonic() + PATIENCE_SECONDS
    while True:
        state = start(idle_seconds)
        try:
            return state, Lease(state)
        except (OSError, ValueError, http.client.HTTPException):
            if time.monotonic() > end:
                raise SandboxError("It does not let itself be held. Run `workshop sandbox stop`, then again.") from None
            time.sleep(0.05)


def stop():
    """Stop this checkout's sandbox and wait until it is gone. True if one ran."""
    running = status()
    if not running:
        return False
    lease = Lease(running)
    _ask(running, "POST", "stop")
    lease.ended.wait(10)
    address = ("127.0.0.1", int(running["endpoint"].rpartition(":")[2]))
    with contextlib.suppress(OSError):  # its work is done; its port is free when nobody answers there any more
        while True:
            socket.create_connection(address, timeout=1).close()
            time.sleep(0.005)
    return True


def reset():
    """Empty the sandbox's account. Raises SandboxError where no sandbox runs."""
    _control("POST", "reset")


def add_faults(*faults):
    """Let DMS events and calls go wrong on purpose in the sandbox, beside the faults that are in force already.

    See sandbox/README.md for what a fault is. Returns {"faults": all in force, "added": ids of these}.
    Raises SandboxError with the reason where one is none.
    """
    return _control("POST", "faults", {"faults": faults})


def faults():
    """The faults in force in the sandbox, a list of dicts."""
    return _control("GET", "faults")["faults"]


def end_faults(label):
    """End the faults with this label; returns them as they were at last."""
    return _control("DELETE", "faults", {"label": label})["faults"]


def calls(which):
    """The last calls of functions and state machines. which: a dict; see workshop/faults.py."""
    return _control("GET", f"calls?{urllib.parse.urlencode(which)}")["calls"]


def in_use():
    """Whether this process talks to a sandbox, and not to a real account."""
    return bool(os.environ.get("AWS_ENDPOINT_URL"))


class Lease:
    """Keeps the sandbox alive for as long as this process lives, and knows when it died or was emptied.

    It is an open connection: when this process ends, however it ends, the connection closes and the sandbox sees it.
    """

    def __init__(self, state):
        self.state = state
        connection = http.client.HTTPConnection(state["endpoint"].removeprefix("http://"))
        connection.request("GET", "/_sandbox/lease", headers=_authorization(state))
        self._socket = connection.sock
        self._lines = connection.getresponse()
        self.account_epoch = json.loads(self._lines.readline())["account_epoch"]
        self.ended = threading.Event()
        threading.Thread(target=self._listen, name="sandbox-lease", daemon=True).start()

    def _listen(self):
        with contextlib.suppress(OSError, ValueError, http.client.HTTPException):
            for line in self._lines:
                self.account_epoch = json.loads(line)["account_epoch"]
        self.ended.set()

    @property
    def alive(self):
        """Whether the sandbox lives; the system knows it before the listening thread has had its turn."""
        if self.ended.is_set():
            return False
        readable, _, _ = select.select([self._socket], [], [], 0)
        return not readable or bool(self._socket.recv(1, socket.MSG_PEEK))

    def release(self):
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)


def _start(idle_seconds):
    environment = environments.SANDBOX
    if not environment.ready():
        try:
            environments.set_up([environment])
        except SetupError as error:
            raise SandboxError(f"The sandbox's environment could not be made. {error}") from None
    before = _remembered() or {}
    order = {
        "state": str(FOLDER),
        "port": int(before.get("endpoint", ":0").rpartition(":")[2]),
        "access_key_id": before.get("access_key_id") or "AKIA" + _random("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 16),
        "secret_access_key": before.get("secret_access_key") or secrets.token_urlsafe(30),
        "idle_seconds": idle_seconds,
        "functions": {"warm_processes": os.environ.get("WORKSHOP_WARM_PROCESSES") != "0"},
    }
    process = subprocess.Popen(
        [environment.python, "-m", "sandbox"],
        cwd=CHECKOUT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        **_detached(),
    )
    with contextlib.suppress(BrokenPipeError):  # it has ended already, and its log says why
        process.stdin.write(json.dumps(order) + "\n")
    with contextlib.suppress(BrokenPipeError):
        process.stdin.close()
    answer = process.stdout.readline()
    process.stdout.close()
    if not answer:
        raise SandboxError(f"The sandbox did not start.{_last_words()} Its log is {FOLDER / 'sandbox.log'}.")
    return status() or json.loads(answer)


def _detached():
    """It must outlive the kernel that started it, and not die of a Ctrl-C meant for another."""
    if os.name == "nt":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW}
    return {"start_new_session": True}


def _last_words():
    try:
        lines = (FOLDER / "sandbox.log").read_text(errors="replace").strip().splitlines()
    except OSError:
        return ""
    return f" It said: {lines[-1]}." if lines else ""


def _random(alphabet, length):
    return "".join(secrets.choice(alphabet) for _ in range(length))


def _remembered():
    try:
        return json.loads((FOLDER / "state.json").read_text())
    except (OSError, ValueError):
        return None


def _control(method, what, document=None):
    """Ask the running sandbox for something. Raises SandboxError where none runs, and where it refuses."""
    state = _remembered()
    try:
        if state:
            return _ask(state, method, what, document, timeout=30)
    except (OSError, ValueError):
        pass  # a stale file, a dead sandbox, or a stranger on its old port
    raise SandboxError("No sandbox is running. Start it with `workshop sandbox start`.")


def _authorization(state):
    return {"Authorization": f"Bearer {state['secret_access_key']}"}


def _open(state, method, what, document=None, timeout=None):
    request = urllib.request.Request(
        f"{state['endpoint']}/_sandbox/{what}",
        method=method,
        data=None if document is None else json.dumps(document).encode(),
        headers={**_authorization(state), "Content-Type": "application/json"},
    )
    # Never through a proxy: it is on this machine.
    return urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=timeout)


def _ask(state, method, what, document=None, timeout=5):
    try:
        with _open(state, method, what, document, timeout) as response:
            return json.loads(response.read())
    except urllib.error.HTTPError as refusal:
        if what == "status":
            raise OSError from None
        message = json.loads(refusal.read() or b"{}").get("message", str(refusal))
        raise SandboxError(message) from None
