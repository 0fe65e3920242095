"""The two environments of the workshop: what a learner runs, and what the sandbox runs.

`make setup` runs this file with whatever Python it finds, before anything is installed:
it needs the standard library only, and its syntax stays readable to an old Python 3,
so that "your Python is too old" can be said in one sentence.

    python3 workshop/environments.py             make both, or bring them up to date
    python3 workshop/environments.py --learner   only the learner's (.venv)
    python3 workshop/environments.py --sandbox   only the sandbox's (sandbox/.venv)

Each environment is exactly its lock file: every package pinned, every file hashed, nothing resolved.
A stamp written last says for which lock an environment was completed, so an interrupted
set-up is simply done again, and a finished one costs nothing the next time.
"""

import contextlib
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
NEEDS_PYTHON = (3, 11)

# What the workshop remembers of a learner: sandbox, progress, measurements. The tests have a folder of their own.
STATE = Path(os.environ.get("WORKSHOP_STATE") or CHECKOUT / ".workshop")

# Where the packages are in a checkout that came as an archive (`workshop bundle`): then no index is asked.
WHEELS = CHECKOUT / "wheels"

# Files of settings in the learner's environment.
SETTINGS = {
    "share/jupyter/lab/settings/overrides.json": {
        # JupyterLab asks on its first start whether it may fetch news, and cells wait behind that question.
        # A workshop that works offline has the answer already.
        "@jupyterlab/apputils-extension:notification": {
            "fetchNews": "false",
            "checkForUpdates": False,
            "doNotDisturbMode": True,
        },
        "@jupyterlab/notebook-extension:tracker": {
            "windowingMode": "defer",
            "autoStartDefaultKernel": True,  # or it asks which, where a cell is run before the kernel is there
            "codeCellConfig": {"lineWrap": True},  # in a narrow window the end of a line would be out of sight
        },
    },
    # A kernel warns that its connection is not encrypted. It does not leave this machine.
    "etc/ipython/ipython_kernel_config.json": {"IPKernelApp": {"log_level": 40}},
    "share/jupyter/labextensions/stop-polling/package.json": {
        "name": "stop-polling",
        "version": "1.0.0",
        "jupyterlab": {"extension": True, "_build": {"load": "static/jupyterlab.js", "extension": "./extension"}},
    },
}

# The extension of JupyterLab of that name.
EXTENSION = Path(__file__).resolve().parent / "jupyterlab.js"


class SetupError(Exception):
    """Set-up cannot go on; the message says what to do."""


class Environment:
    """A virtual environment made from a lock file.

    folder: where it is. lock: its requirements file with hashes. installs: folders of our own
    packages installed into it in place (a list, may be empty).
    """

    def __init__(self, name, folder, lock, installs=()):
        self.name = name
        self.folder = Path(folder)
        self.lock = Path(lock)
        self.installs = list(installs)
        self._bin = self.folder / ("Scripts" if os.name == "nt" else "bin")
        self.python = self._bin / ("python.exe" if os.name == "nt" else "python")
        self._stamp = self.folder / "complete.json"

    def ready(self):
        """Whether the environment is complete and belongs to the present lock."""
        try:
            return self.python.exists() and json.loads(self._stamp.read_text()) == self._wanted()
        except (OSError, ValueError):
            return False

    def make(self):
        """Make the environment, or bring it up to date. Raises SetupError."""
        started = time.monotonic()
        print("Making the %s environment in %s ..." % (self.name, os.path.relpath(self.folder, CHECKOUT)), flush=True)
        # Without a stamp it was interrupted, who knows where: from scratch is surest, and not much slower.
        whole = self._stamp.exists() and self._runs()
        with contextlib.suppress(OSError):
            self._stamp.unlink()
        if not whole:
            self._create()
        uv = find_uv() or self._install_uv()
        if not (uv and self._install_with_uv(uv)):
            print("uv cannot do it here: pip does the same, in about a minute.", flush=True)
            self._install_with_pip()
        if self.installs:
            write_settings(self.folder)
        self._stamp.write_text(json.dumps(self._wanted()))
        print("The %s environment is ready (%.0f s)." % (self.name, time.monotonic() - started), flush=True)

    def uv(self):
        """Where this environment's uv is, if it has one."""
        return self._bin / ("uv.exe" if os.name == "nt" else "uv")

    def _wanted(self):
        digest = hashlib.sha256(self.lock.read_bytes())
        for folder in self.installs:
            digest.update((Path(folder) / "pyproject.toml").read_bytes())
            digest.update(json.dumps(SETTINGS).encode() + EXTENSION.read_bytes())
        # A checkout that was moved has scripts that point to where it was; a Python that was replaced by a newer one
        # does not find its packages.
        return {"lock": digest.hexdigest(), "folder": str(self.folder), "python": os.path.realpath(str(self.python))}

    def _runs(self):
        """Whether its Python runs and looks for packages where they are."""
        code = "import os, sysconfig; print(os.path.isdir(sysconfig.get_path('purelib')) and 'it runs')"
        return "it runs" in _output([self.python, "-c", code])

    def _create(self):
        shutil.rmtree(str(self.folder), ignore_errors=True)
        # pip takes seconds to come, and is only needed where there is no uv yet.
        if subprocess.call([sys.executable, "-m", "venv", "--without-pip", str(self.folder)]):
            raise SetupError(_NO_VENV)

    def _install_with_uv(self, uv):
        """Install the lock with uv; gives whether it went well."""
        python = ["--quiet", "--python", self.python]
        where = ["--offline", *_from_wheels()] if WHEELS.is_dir() else []
        return _succeeds(
            [uv, "pip", "sync", *python, *where, "--require-hashes", "--compile-bytecode", self.lock]
        ) and all(
            _succeeds([uv, "pip", "install", *python, *where, "--no-deps", "--editable", folder])
            for folder in self.installs
        )

    def _install_with_pip(self):
        pip = self._pip_install()
        commands = [[*pip, "--require-hashes", "-r", self.lock]]
        commands += [[*pip, "--no-build-isolation", "--editable", folder] for folder in self.installs]
        # What builds our own package is a command of this environment, and looked for on the path.
        path = os.pathsep.join([str(self._bin), os.environ.get("PATH", "")])
        if not all(_succeeds(command, env=dict(os.environ, PATH=path)) for command in commands):
            raise SetupError(
                "Set-up stopped in %s; what stands above says at what. Nothing is broken: mend the cause "
                "(most often the network) and run the same command again." % os.path.relpath(self.folder, CHECKOUT)
            )

    def _install_uv(self):
        """Install the pinned uv with pip; gives its path, or None where it is not to be had."""
        requirement = self.folder / "uv.txt"
        requirement.write_text(_entry(LEARNER.lock, "uv"))
        return self.uv() if _succeeds([*self._pip_install(), "--require-hashes", "-r", requirement]) else None

    def _pip_install(self):
        return [*self.pip(), "install", "--quiet", "--no-deps", *_from_wheels()]

    def pip(self):
        """The beginning of a command of pip. It comes with Python, and is unpacked if need be. Raises SetupError."""
        pip = [self.python, "-m", "pip"]
        if "pip" not in _output([*pip, "--version"]) and not _output([self.python, "-m", "ensurepip"]):
            raise SetupError(_NO_VENV)
        return [*pip, "--disable-pip-version-check"]


LEARNER = Environment("learner's", CHECKOUT / ".venv", CHECKOUT / "requirements.lock", [CHECKOUT])
SANDBOX = Environment("sandbox's", CHECKOUT / "sandbox" / ".venv", CHECKOUT / "sandbox" / "requirements.lock")
SITE = Environment("site's", CHECKOUT / "site" / ".venv", CHECKOUT / "site" / "requirements.lock")  # `make site` only
DESIGNS = Environment(
    "designs'", CHECKOUT / "designs" / ".venv", CHECKOUT / "designs" / "requirements.lock"
)  # tests only

_NO_VENV = (
    "Python could not make a virtual environment. On Debian and Ubuntu install what it needs with "
    "`sudo apt install python3-venv`, then run the command again."
)


def write_settings(folder):
    """Write the settings of JupyterLab and of kernels into an environment: ours, or one that Binder or conda made."""
    for name, settings in SETTINGS.items():
        path = Path(folder) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(settings, indent=2))
    extension = Path(folder) / "share/jupyter/labextensions/stop-polling/static"
    extension.mkdir(parents=True, exist_ok=True)
    shutil.copy(str(EXTENSION), str(extension))


def set_up(environments=(LEARNER, SANDBOX)):
    """Make every environment in `environments` that is not complete. Raises SetupError."""
    if all(environment.ready() for environment in environments):
        return
    # Two terminals may both run `make lab` on a new checkout: the second waits for the first.
    with exclusive(CHECKOUT / ".workshop" / "setup.lock"):
        for environment in environments:
            if not environment.ready():
                environment.make()


def find_uv():
    """The path of a uv of the pinned version: this Python's own (conda's, say) or the learner's; None if neither is."""
    version = _entry(LEARNER.lock, "uv").split("==")[1].split()[0]
    beside = Path(sysconfig.get_path("scripts")) / LEARNER.uv().name
    return next((uv for uv in (beside, LEARNER.uv()) if version in _output([uv, "--version"]).split()), None)


@contextlib.contextmanager
def exclusive(path):
    """Hold a lock on `path` against other processes of this machine, for the time of a `with` block.

    The operating system gives it back when a process dies, so it is never stale.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a+b") as handle:
        if os.name == "nt":
            import msvcrt

            handle.seek(0)
            while True:
                try:
                    msvcrt.locking(handle.fileno(), msvcrt.LK_NBLCK, 1)
                    break
                except OSError:
                    time.sleep(0.1)
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX)
        try:
            yield
        finally:
            if os.name == "nt":
                handle.seek(0)
                msvcrt.locking(handle.fileno(), msvcrt.LK_UNLCK, 1)


def entries(lock):
    """The entries of a lock file, a text for each package: its version, and the hashes."""
    return [entry + "\n" for entry in re.split(r"\n(?=\S)", lock.read_text().rstrip())]


def _entry(lock, package):
    """The entry of one package in a lock file; an empty text if it is not there."""
    return next((entry for entry in entries(lock) if entry.startswith(package + "==")), "")


def _from_wheels():
    return ["--no-index", "--find-links", WHEELS] if WHEELS.is_dir() else []


def _succeeds(command, env=None):
    return subprocess.call([str(part) for part in command], env=env) == 0


def _output(command):
    """What a command prints; an empty text where it cannot be run."""
    try:
        return subprocess.run(
            [str(part) for part in command],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            universal_newlines=True,
            check=False,
        ).stdout
    except OSError:
        return ""


def _newer_python():
    for minor in range(20, NEEDS_PYTHON[1] - 1, -1):
        found = shutil.which("python3.%d" % minor)
        if found and "ok" in _output([found, "-c", "import ssl, venv; print('ok')"]):
            return found
    return None


def main(arguments):
    if sys.version_info[:2] < NEEDS_PYTHON:
        newer = _newer_python()
        if newer is None:
            sys.exit(
                "The workshop needs Python %d.%d or newer, and %s is %d.%d. Install a newer one, then run "
                "`make PYTHON=/path/to/python3 lab`." % (*NEEDS_PYTHON, sys.executable, *sys.version_info[:2])
            )
        sys.exit(subprocess.call([newer, __file__, *arguments]))
    chosen = {"--learner": [LEARNER], "--sandbox": [SANDBOX]}.get(arguments[0] if arguments else "", [LEARNER, SANDBOX])
    try:
        set_up(chosen)
    except SetupError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit("\nSet-up was interrupted; the next run goes on from here.")


if __name__ == "__main__":
    main(sys.argv[1:])
