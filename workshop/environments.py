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
import shutil
import subprocess
import sys
import time
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
NEEDS_PYTHON = (3, 11)

# What the workshop remembers of a learner: sandbox, progress, measurements. The tests have a folder of their own.
STATE = Path(os.environ.get("WORKSHOP_STATE") or CHECKOUT / ".workshop")

# JupyterLab asks on its first start whether it may fetch news, and cells wait behind that question.
# A workshop that works offline has the answer already.
JUPYTERLAB_OVERRIDES = {
    "@jupyterlab/apputils-extension:notification": {
        "fetchNews": "false",
        "checkForUpdates": False,
        "doNotDisturbMode": True,
    },
    "@jupyterlab/notebook-extension:tracker": {"windowingMode": "defer"},
}


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
        bin_folder = self.folder / ("Scripts" if os.name == "nt" else "bin")
        self.python = bin_folder / ("python.exe" if os.name == "nt" else "python")
        self._stamp = self.folder / "complete.json"

    def _wanted(self):
        digest = hashlib.sha256(self.lock.read_bytes())
        for folder in self.installs:
            digest.update((Path(folder) / "pyproject.toml").read_bytes())
        # A checkout that was moved has scripts that point to where it was.
        return {"lock": digest.hexdigest(), "folder": str(self.folder), "python": "%d.%d" % sys.version_info[:2]}

    def ready(self):
        """Whether the environment is complete and belongs to the present lock."""
        try:
            made_for = json.loads(self._stamp.read_text())
        except (OSError, ValueError):
            return False
        wanted = self._wanted()
        # Any Python that made it will do: `make lab` from another shell must not rebuild everything.
        made_for["python"] = wanted["python"]
        return made_for == wanted and self.python.exists()

    def make(self, installer):
        """Make the environment, or bring it up to date.

        installer: the environment whose uv does the work (the learner's); may be this one.
        Raises SetupError.
        """
        with contextlib.suppress(OSError):
            self._stamp.unlink()
        started = time.monotonic()
        print("Making the %s environment in %s ..." % (self.name, os.path.relpath(self.folder, CHECKOUT)), flush=True)
        if not self._usable():
            self._create()
        uv = installer.uv()
        if uv:
            _run(
                [uv, "pip", "sync", "--quiet", "--require-hashes", "--compile-bytecode", *self._uv_target(), self.lock]
            )
            for folder in self.installs:
                _run([uv, "pip", "install", "--quiet", "--no-deps", *self._uv_target(), "--editable", folder])
        else:
            print("uv is not to be had here: pip does the same, in about a minute.", flush=True)
            pip = [self.python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps"]
            _run([*pip, "--require-hashes", "-r", self.lock])
            for folder in self.installs:
                _run([*pip, "--no-build-isolation", "--editable", folder])
        if self.installs:
            self._settle_jupyterlab()
        self._stamp.write_text(json.dumps(self._wanted()))
        print("The %s environment is ready (%.0f s)." % (self.name, time.monotonic() - started), flush=True)

    def uv(self):
        """The path of this environment's uv, installed from the lock if need be; None where there is none."""
        found = self.python.with_name("uv.exe" if os.name == "nt" else "uv")
        wanted = _entry(self.lock, "uv")
        if not wanted or not self._usable():
            return None
        version = wanted.split("==")[1].split()[0]
        if not (found.exists() and version in _output([found, "--version"])):
            requirement = self.folder / "uv.txt"
            requirement.write_text(wanted)
            pip = [self.python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps"]
            if subprocess.call([*map(str, pip), "--require-hashes", "-r", str(requirement)]):
                return None
        return found

    def _usable(self):
        return self.python.exists() and "ok" in _output([self.python, "-c", "import pip; print('ok')"])

    def _create(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        if subprocess.call([sys.executable, "-m", "venv", str(self.folder)]):
            shutil.rmtree(self.folder, ignore_errors=True)
            raise SetupError(
                "Python could not make a virtual environment. On Debian and Ubuntu install it with "
                "`sudo apt install python3-venv`, then run the command again."
            )

    def _uv_target(self):
        return ["--python", self.python]

    def _settle_jupyterlab(self):
        settings = self.folder / "share" / "jupyter" / "lab" / "settings"
        settings.mkdir(parents=True, exist_ok=True)
        (settings / "overrides.json").write_text(json.dumps(JUPYTERLAB_OVERRIDES, indent=2))


LEARNER = Environment("learner's", CHECKOUT / ".venv", CHECKOUT / "requirements.lock", [CHECKOUT])
SANDBOX = Environment("sandbox's", CHECKOUT / "sandbox" / ".venv", CHECKOUT / "sandbox" / "requirements.lock")


def set_up(environments=(LEARNER, SANDBOX)):
    """Make every environment in `environments` that is not complete. Raises SetupError."""
    if all(environment.ready() for environment in environments):
        return
    # Two terminals may both run `make lab` on a new checkout: the second waits for the first.
    with exclusive(CHECKOUT / ".workshop" / "setup.lock"):
        for environment in environments:
            if not environment.ready():
                environment.make(installer=LEARNER)


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


def _entry(lock, package):
    """The lines of one package in a lock file, hashes and all; an empty text if it is not there."""
    lines = iter(lock.read_text().splitlines())
    for line in lines:
        if line.startswith(package + "=="):
            entry = [line]
            while entry[-1].endswith("\\"):
                entry.append(next(lines))
            return "\n".join(entry) + "\n"
    return ""


def _run(command):
    command = [str(part) for part in command]
    if subprocess.call(command):
        raise SetupError(
            "Set-up stopped at `%s ...`; its own message stands above. Nothing is broken: "
            "mend the cause (most often the network) and run the same command again." % " ".join(command[:3])
        )


def _output(command):
    try:
        return subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False).stdout
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
