"""Starting a handler's process: a fork of a warm one where that makes no difference but speed, else a new interpreter.

Forks exist on Linux, once the fork server is ready, and if the setting `warm_processes` says so. A function gets new
interpreters nevertheless where a fork would not be what its process is on AWS: what the function brings wins.
"""

import contextlib
import functools
import json
import logging
import os
import subprocess
import sys
import tarfile
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from . import forks
from .settings import settings

# The names of variables that are read when the interpreter, the C library or boto3 starts begin with one of these.
_ARCHIVES = {"zip", "whl", "egg", "pyz", "tar", "tgz", "tbz2", "txz"}  # what stands behind a dot of their names
_READ_AT_THE_START = ("PYTHON", "LD_", "LC_", "LANG", "MALLOC_", "GLIBC_", "OPENSSL_", "BOTO", "HOME")
_PASSED_ON = ("PATH", "HOME", "SYSTEMROOT", "COMSPEC", "PATHEXT", "USERPROFILE", "AWS_ENDPOINT_URL",
              "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_EC2_METADATA_DISABLED")  # fmt: skip
_RUNTIME = Path(__file__).with_name("runtime.py")

logger = logging.getLogger("functions")

# The system ends a process when the thread that started it ends (PR_SET_PDEATHSIG, see `die_with` in runtime.py): all
# are started by one that lives as long as the sandbox.
_starter = ThreadPoolExecutor(1, thread_name_prefix="starter")
_told = set()  # the functions that stand in the log
_telling = threading.Lock()


def platform_variables():
    """The environment variables that the processes of all functions have, as a dict."""
    variables = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    variables |= {"LANG": "en_US.UTF-8", "TZ": ":UTC", "PYTHONUTF8": "1"}
    variables["AWS_DISABLE_HOST_PREFIX_INJECTION"] = "true"  # names such as sync-127.0.0.1 lead nowhere
    return variables


_server = forks.Keeper(platform_variables)
warm_up, stop = _server.start, _server.stop


def start(setup, variables, own, function):
    """Start a process that runs runtime.py; returns a subprocess.Popen or what looks like one (forks.Fork).

    setup: what runtime.py is to load ("code", "layers", "scripts", "mark"); variables: all environment variables, a
    dict; own: those of them that the function's configuration sets; function: its name, for the sandbox's log.
    """
    process = _fork([setup["code"], *setup["layers"]], own, function)
    if process is not None:
        # Through the child's own pipe, so that the fork server never holds a credential.
        own_session = any(name.startswith("AWS_") for name in own)
        setup = {**setup, "environment": variables, "own_session": own_session}
    else:
        process = _starter.submit(_new_interpreter, setup["code"], variables).result()
        setup = {**setup, "parent": os.getpid()}
    with contextlib.suppress(OSError, ValueError):  # it has ended already, as whoever awaits its answer will see
        process.stdin.write(json.dumps(setup).encode() + b"\n")
        process.stdin.flush()
    return process


def _fork(folders, own, function):
    """A fork for a function with these folders of modules and these variables; None where there is none."""
    if not settings.warm_processes:
        return None
    warm_up()  # it does not run yet where the setting was another one until now
    server = _server.ready
    if server is None:
        return None
    reason = _against_a_fork(server, folders, own)
    if reason is None:
        try:
            return server.fork()
        except forks.Unavailable as unavailable:
            reason = f"no fork could be had: {unavailable}"
    with _telling:
        known = function in _told
        _told.add(function)
    if not known:
        logger.info("%s has new interpreters for its processes, not forks: %s", function, reason)
    return None


def reset():
    """Forget which functions the log has told of."""
    with _telling:
        _told.clear()


def _against_a_fork(server, folders, own):
    for name in sorted(own):
        if name.startswith(_READ_AT_THE_START):
            return f"its variable {name} is read when Python starts"
    for folder in folders:
        brought, unknown = _modules_in(folder)
        if unknown:
            return f"it brings {unknown}, and what is in there may be anything"
        if both := sorted(brought & server.foreign_modules):
            return f"it brings {both[0]} itself"
    return None


@functools.lru_cache(1000)
def _modules_in(folder):
    """(the names of what may be a module at any depth of a folder, the name of what nobody can look into or None)"""
    names, closed = set(), []

    def note(error):
        if not isinstance(error, FileNotFoundError):  # as of a layer that has no such folder
            closed.append(os.path.basename(error.filename))

    for where, folders, files in os.walk(folder, onerror=note):
        names.update(folders)
        for file in files:
            stem, _, kind = file.partition(".")
            if kind == "py" or kind.endswith(("so", "pyd", "pyc")):
                names.add(stem)
            elif _ARCHIVES & set(kind.lower().split(".")) or _is_archive(os.path.join(where, file)):
                return names, file  # Python imports from a zip whatever it is called, and a function may unpack others
    return names, closed[0] if closed else None


def _is_archive(file):
    return zipfile.is_zipfile(file) or tarfile.is_tarfile(file)


def _new_interpreter(folder, variables):
    return subprocess.Popen(
        [sys.executable, "-P", "-s", "-u", str(_RUNTIME)],
        cwd=folder,
        env=variables,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,  # a process group, to end it with all that it started
    )
