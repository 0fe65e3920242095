"""Execution environments: the processes in which handlers run, and how many of them there may be.

An invocation takes an environment that is idle, or a new one, or waits in line for one. Two bounds keep the memory of
all of it in hand: so many environments for one function, so many in all. Idle ones end after some minutes, or at once
when another function needs the room.

A function may invoke another one and wait for it, also by way of a state machine. Such an invocation must not wait in
line behind its own caller, so while a handler runs, one invocation that it caused may go beyond the bounds. Others that
it caused wait for their turn as all do, and that turn comes: the one that went ahead ends.
"""

import collections
import contextlib
import contextvars
import hashlib
import io
import json
import os
import queue
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from pathlib import Path

from ministack.services import lambda_svc as engine

from . import credentials, logs, memory, processes, requests
from .settings import settings

INIT_SECONDS = 10  # for loading the handler, as on AWS; what is not ready then may use up the function's timeout
LOOK_SECONDS = 0.05  # how often the memory of a process that works is looked at
PATIENCE_SECONDS = 0.5  # for which an invocation may be overtaken by later ones that find their function's process warm
LONGEST_ANSWER = 16 * 2**20  # bytes that are read of a result
SURE_SECONDS = 60  # for what is sure to come, however busy the machine: how a process ended, the last that it said


class Ended(Exception):
    """The process is gone before it gave an answer; the message is AWS's."""

    def __init__(self, message, out_of_memory=False):
        super().__init__(message)
        self.out_of_memory = out_of_memory


class TimedOut(Exception):
    """The handler gave no answer in time."""


class InitFailed(Exception):
    """The handler could not be loaded. failure: the error as Lambda reports it."""

    def __init__(self, failure):
        super().__init__(failure["errorMessage"])
        self.failure = failure


class Discarded(Exception):
    """The account was emptied while an invocation waited for its turn."""


class Environment:
    """One process of a function. config: the function's configuration as MiniStack keeps it; code: its zip archive."""

    def __init__(self, config, code):
        self.config = config
        self.fresh = True  # nothing has run in it yet
        self.peak = 0  # the most memory it has held, in MB
        self.request_id = None  # of the invocation that it works on
        self.depth = 1  # how many handlers have called each other to get to the one that runs here
        self.log = logs.Stream(config)
        # What the pool knows of it:
        self.key = _key(config)
        self.busy = True
        self.stale = False  # the function has changed: not to be used again
        self.idle_since = None
        self.ahead = None  # the environment beyond the bounds that works for this one
        self.ahead_for = None  # the other side of that
        self._code = code
        self._credentials = credentials.session(config, self)
        self._process = self._folder = None
        self._answers = queue.SimpleQueue()
        self._ending = threading.Lock()
        self._ended = False
        self._at_gates = 0  # calls that are held now
        self._held_since = self._held_for = 0.0  # a moment of time.monotonic(); seconds, up to then

    def prepare(self):
        """Start the process and have the handler loaded; returns the milliseconds that importing its module took.

        Raises InitFailed, Ended, TimedOut.
        """
        self.fresh = False
        mark = f"\0{secrets.token_hex(8)} "
        code = _unpacked(self._code)
        self._folder = tempfile.mkdtemp(prefix="function-")
        setup = {"code": str(code), "layers": _layers(self.config), "scripts": self._scripts(), "mark": mark}
        self._process = processes.start(
            setup, self._variables(code), self._own_variables(), self.config["FunctionName"]
        )
        began = time.monotonic()  # a machine that is slow to start processes takes nothing of the function's time
        if self._ended:  # meanwhile, by a reset, which knew neither the folder nor the process
            self._clear_away()
        context = contextvars.copy_context()  # with the account and region that the log belongs to
        threading.Thread(target=context.run, args=(self.log.read, self._process.stderr, mark), daemon=True).start()
        threading.Thread(target=self._read_answers, daemon=True).start()
        answer = self._await(began + INIT_SECONDS + self.config["Timeout"])
        self.log.wait_for_end()  # before the line that says that an invocation begins
        if "init_error" in answer:
            raise InitFailed(answer["init_error"])
        return answer["milliseconds"]

    def invoke(self, request):
        """Have the handler called; gives the runtime's answer. request: as runtime.py takes it.

        Between two invocations the process is frozen, with all that the handler left running in it
        (https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html). Raises Ended, TimedOut.
        """
        self.request_id = request["request_id"]
        self._held_for = 0.0
        self._freeze(False)
        self._send(request)
        answer = self._await(time.monotonic() + self.config["Timeout"])
        self.log.wait_for_end()
        self._freeze(True)
        self.peak = max(self.peak, answer.get("peak", 0))
        return answer

    @contextlib.contextmanager
    def at_gate(self):
        """In this block a call of the process is held by a fault, and the time of the invocation stands still."""
        if not self._at_gates:
            self._held_since = time.monotonic()
        self._at_gates += 1
        try:
            yield
        finally:
            if self._at_gates == 1:
                self._held_for += time.monotonic() - self._held_since
            self._at_gates -= 1

    def works(self):
        """Whether the process can take an invocation."""
        return not self.stale and (self.fresh or self._process.poll() is None)

    def end(self):
        """End the process and all that it started. May be called again."""
        with self._ending:
            if self._ended:
                return
            self._ended = True
        credentials.end(self._credentials)
        self._clear_away()

    def _clear_away(self):
        if self._process is not None:
            self.kill()
            self._process.wait()
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    # -- the process --------------------------------------------------------------------------------------------------

    def _variables(self, code):
        """The process's environment variables: AWS's, the function's own, and a few that a local process needs.

        https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
        """
        config, logging = self.config, self.config.get("LoggingConfig") or {}
        region = config["FunctionArn"].split(":")[3]
        variables = processes.platform_variables()
        variables |= dict.fromkeys(("TMPDIR", "TEMP", "TMP"), self._folder)
        variables |= self._own_variables()
        variables |= {
            "_HANDLER": config["Handler"],
            "LAMBDA_TASK_ROOT": str(code),
            "AWS_EXECUTION_ENV": f"AWS_Lambda_{config['Runtime']}",
            "AWS_REGION": region,
            "AWS_DEFAULT_REGION": region,
            "AWS_LAMBDA_FUNCTION_NAME": config["FunctionName"],
            "AWS_LAMBDA_FUNCTION_VERSION": config["Version"],
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(config["MemorySize"]),
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_LAMBDA_LOG_GROUP_NAME": self.log.group,
            "AWS_LAMBDA_LOG_STREAM_NAME": self.log.name,
            **self._credentials,
        }
        if logging.get("LogFormat") == "JSON":
            variables["AWS_LAMBDA_LOG_FORMAT"] = "JSON"
            variables["AWS_LAMBDA_LOG_LEVEL"] = logging.get("ApplicationLogLevel", "INFO")
        return variables

    def _own_variables(self):
        """Those that the function's configuration sets."""
        return (self.config.get("Environment") or {}).get("Variables") or {}

    def _scripts(self):
        """The paths of scripts that run in the process before its handler is loaded; others may add some."""
        return []

    def _send(self, document):
        line = json.dumps(document).encode() + b"\n"
        # A process that has ended, or was ended by a reset (its pipe is closed then), is noticed when its answer is
        # awaited.
        with contextlib.suppress(OSError, ValueError):
            self._process.stdin.write(line)
            self._process.stdin.flush()

    def _read_answers(self):
        """Hand on the answers; None when there are no more: the process has ended, or somebody else writes there."""
        with self._process.stdout as pipe, contextlib.suppress(ValueError, TypeError):
            while (line := pipe.readline(LONGEST_ANSWER)).endswith(b"\n"):
                self._answers.put({**json.loads(line), "size": len(line)})
            if line:
                self._answers.put({"size": len(line)})  # more than anybody will have
        self._answers.put(None)

    def _await(self, until):
        """The next answer of the process. Meanwhile its memory is looked at. until: if no call is held."""
        while True:
            try:
                answer = self._answers.get(timeout=max(0, min(LOOK_SECONDS, self._left(until))))
            except queue.Empty:
                held = memory.held(self._process.pid, self.config["MemorySize"])
                self.peak = max(self.peak, held)
                if held > self.config["MemorySize"]:
                    self._cut_short()
                    raise Ended("Runtime exited with error: signal: killed", out_of_memory=True) from None
                if self._process.poll() is None:
                    if self._left(until) > 0:
                        continue
                    self._cut_short()
                    raise TimedOut from None
                answer = self._last_answer()
            if answer is None:
                reason = self._how_it_ended()
                self._cut_short()
                raise Ended(reason)
            return answer

    def _left(self, until):
        """Seconds that the process has until it is cut short. They do not pass while a call of its is held."""
        held_now = time.monotonic() - self._held_since if self._at_gates else 0
        return until + self._held_for + held_now - time.monotonic()

    def _last_answer(self):
        """What the process said before it ended, None if nothing. It may not have been read yet."""
        try:
            return self._answers.get(timeout=SURE_SECONDS)
        except queue.Empty:
            return None

    def _cut_short(self):
        """End the process in the middle of its work; its log is complete then."""
        self.end()
        self.log.wait_for_the_rest()

    def kill(self):
        """Kill the process, as the system might. Whoever awaits its answer sees that it ended, and how."""
        if os.name == "nt":
            self._process.kill()
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def _freeze(self, frozen):
        """Stop the process and all that it started, or let it go on.

        On Linux only: elsewhere a process that is stopped would outlive a sandbox that was killed.
        """
        if sys.platform == "linux" and self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGSTOP if frozen else signal.SIGCONT)

    def _how_it_ended(self):
        """The end of the process in AWS's words. It has closed its pipes, and may live on without them.

        Who has ended has a status: it only has to get here, for which a fork needs its server to run and be heard.
        """
        sure, patient = time.monotonic() + SURE_SECONDS, time.monotonic() + 1
        while self._process.poll() is None:
            if time.monotonic() > (sure if memory.is_gone(self._process.pid) else patient):
                break
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(LOOK_SECONDS)
        status = self._process.returncode
        if not status:
            return "Runtime exited without providing a reason"
        how = f"signal: {signal.strsignal(-status).lower()}" if status < 0 else f"exit status {status}"
        return f"Runtime exited with error: {how}"


# -- code --------------------------------------------------------------------------------------------------------------

_folders = {}  # digest of an archive -> the folder with its content
_unpacking = threading.Lock()


def _unpacked(archive):
    """The folder with the content of a zip archive: made once, and shared by all that run it."""
    digest = hashlib.sha256(archive).hexdigest()
    with _unpacking:
        if digest not in _folders:
            folder = Path(tempfile.mkdtemp(prefix="code-"))
            with zipfile.ZipFile(io.BytesIO(archive)) as content:
                content.extractall(folder)
            _folders[digest] = folder
        return _folders[digest]


def _layers(config):
    """What a function's layers add to the path of modules, in AWS's order."""
    paths = []
    for layer in config.get("Layers") or ():
        archive = engine._resolve_layer_zip(layer)
        if archive:
            python = _unpacked(archive) / "python"
            paths += [*map(str, python.glob("lib/python3.*/site-packages")), str(python)]
    return paths


# -- how many ----------------------------------------------------------------------------------------------------------


class _Waiting:
    """An invocation that waits in line."""

    def __init__(self, config, code, caller):
        self.config = config
        self.code = code
        self.caller = caller
        self.since = time.monotonic()
        self.turn = threading.Event()
        self.environment = None


class Pool:
    """All environments there are."""

    def __init__(self):
        self._lock = threading.Lock()
        self._environments = collections.defaultdict(list)  # by key, busy ones and idle ones
        self._line = collections.defaultdict(collections.deque)  # by key, those who wait
        self._doomed = []  # out of use, and to be ended when the lock is free
        self._keeping = False

    def acquire(self, config, code):
        """An environment for an invocation of a function; waits until it is its turn. Raises Discarded."""
        waiting = _Waiting(config, code, _cause())
        with self._lock:
            if not self._keeping:
                self._keeping = True
                threading.Thread(target=self._keep, daemon=True, name="function-environments").start()
            environment = self._take(waiting)
            if environment is None:
                self._line[_key(config)].append(waiting)
        self._end_doomed()
        if environment is None:
            waiting.turn.wait()
            environment = waiting.environment
            if environment is None:
                raise Discarded
        return environment

    def release(self, environment, usable):
        """Give an environment back. usable: whether another invocation may run in it."""
        with self._lock:
            environment.busy = False
            environment.idle_since = time.monotonic()
            worked_for = _part(environment.ahead_for)
            _part(environment)
            mine = self._environments[environment.key]
            fresh = sum(not each.stale for each in mine)
            beyond = fresh > settings.processes_per_function or self._count() > settings.processes
            if environment in mine and (beyond or not usable or not environment.works()):
                self._remove(environment)
            self._next(environment.key, worked_for)
        self._end_doomed()

    def retire(self, name, account, region, qualifier=None):
        """Use no environment of a function any more, or of one of its versions. What runs may come to its end."""
        with self._lock:
            for key, environments in list(self._environments.items()):
                if key[:3] == (account, region, name) and qualifier in (None, key[3]):
                    for environment in list(environments):
                        environment.stale = True
                        if not environment.busy:
                            self._remove(environment)
            self._next(None)
        self._end_doomed()

    def clear(self):
        """End everything, whatever it does."""
        with self._lock:
            for environments in self._environments.values():
                self._doomed += environments
            self._environments.clear()
            for line in self._line.values():
                for waiting in line:
                    waiting.turn.set()
            self._line.clear()
        self._end_doomed()
        with _unpacking:
            for folder in _folders.values():
                shutil.rmtree(folder, ignore_errors=True)
            _folders.clear()

    def counts(self):
        """How many processes there are, how many of them work, and how many invocations wait in line."""
        with self._lock:
            everyone = [each for environments in self._environments.values() for each in environments]
            waiting = sum(map(len, self._line.values()))
        return {"processes": len(everyone), "busy": sum(each.busy for each in everyone), "waiting": waiting}

    # All below is called with the lock held.

    def _take(self, waiting):
        """An environment for an invocation, if it may have one now."""
        mine = self._environments[_key(waiting.config)]
        for environment in reversed(mine):
            if not environment.busy:
                if environment.works():
                    environment.busy = True
                    return environment
                self._remove(environment)
        room = sum(not environment.stale for environment in mine) < settings.processes_per_function
        if room and (self._count() < settings.processes or self._make_room()):
            return self._new(waiting)
        caller = waiting.caller
        if caller is not None and caller.busy and caller.ahead is None:
            environment = self._new(waiting)
            environment.ahead_for, caller.ahead = caller, environment
            return environment
        return None

    def _new(self, waiting):
        environment = Environment(waiting.config, waiting.code)
        self._environments[environment.key].append(environment)
        return environment

    def _count(self):
        return sum(map(len, self._environments.values()))

    def _make_room(self):
        """End the environment that has been idle for longest; says whether there was one.

        Further ones end, too, while there are too many of them: the bound may have been lowered.
        """
        idle = [each for environments in self._environments.values() for each in environments if not each.busy]
        idle.sort(key=lambda environment: environment.idle_since)
        for number, environment in enumerate(idle):
            if number > 0 and self._count() < settings.processes:
                break
            self._remove(environment)
        return bool(idle)

    def _remove(self, environment):
        self._environments[environment.key].remove(environment)
        if not self._environments[environment.key]:
            del self._environments[environment.key]
        self._doomed.append(environment)

    def _next(self, key, caller=None):
        """Let those go on who can, now that something has changed.

        key: of the function whose environment is free; caller: the one for whom an environment has done its work.
        """
        while True:
            heads = sorted((line[0] for line in self._line.values() if line), key=lambda waiting: waiting.since)
            if not heads:
                return
            patient = time.monotonic() - heads[0].since < PATIENCE_SECONDS
            if patient and self._line.get(key):
                heads.insert(0, self._line[key][0])  # its process is warm
            if caller is not None:
                heads += [each for line in self._line.values() for each in line if each.caller is caller]
            for waiting in heads:
                environment = self._take(waiting)
                if environment is not None:
                    break
            else:
                return
            line = self._line[_key(waiting.config)]
            line.remove(waiting)
            if not line:
                del self._line[_key(waiting.config)]
            waiting.environment = environment
            waiting.turn.set()

    # Without the lock.

    def _end_doomed(self):
        with self._lock:
            doomed, self._doomed = self._doomed, []
        for environment in doomed:
            environment.end()

    def _keep(self):
        """End what has been idle for too long."""
        while True:
            time.sleep(min(5, settings.idle_seconds / 4))
            with self._lock:
                for environments in list(self._environments.values()):
                    for environment in list(environments):
                        if not environment.busy and time.monotonic() - environment.idle_since > settings.idle_seconds:
                            self._remove(environment)
            self._end_doomed()


class _Unknown:
    """The caller of all nested invocations of which only the depth is known: those of durable executions."""

    busy = True
    ahead = None


_unknown = _Unknown()


def _cause():
    """The environment whose handler caused the invocation at hand, if any did."""
    caller = requests.caller.get()
    if caller is None and engine._invoke_depth.get() > 1:
        return _unknown
    return caller


def _part(caller):
    """Forget which environment works for a caller, beyond the bounds; gives the caller."""
    if caller is not None and caller.ahead is not None:
        caller.ahead.ahead_for = None
        caller.ahead = None
    return caller


def _key(config):
    """What environments can be shared by: account, region, function, version."""
    _, _, _, region, account, *_ = config["FunctionArn"].split(":")
    return account, region, config["FunctionName"], config["Version"]


pool = Pool()
