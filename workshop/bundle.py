"""`workshop bundle`: one archive from which the workshop is installed without a network, on a machine like this one.

It holds the checkout and a folder `wheels` with all that both environments are made of; where set-up finds that folder
(environments.WHEELS), it installs from it and asks no index. Every file is held to the hashes of the locks, when it is
fetched and again when it is installed.
"""

import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from importlib.metadata import version
from pathlib import Path

from packaging.requirements import Requirement

from workshop import environments
from workshop.environments import CHECKOUT, LEARNER, SANDBOX

LOCKS = (LEARNER.lock, SANDBOX.lock)
# Other systems, as uv calls them: whether there is a wheel for each package is looked up, and none is fetched.
SYSTEMS = ("x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu", "aarch64-apple-darwin", "x86_64-pc-windows-msvc")


class BundleError(ValueError):
    """The archive cannot be made; the message says why."""


def make(folder=CHECKOUT / "dist"):
    """Make the archive in this folder; returns its path. Raises BundleError."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    python = f"python{sys.version_info.major}.{sys.version_info.minor}"
    name = f"stop-polling-{version('workshop')}"
    archive = folder / f"{name}-{platform.system().lower()}-{platform.machine().lower()}-{python}.tar.gz"
    with tempfile.TemporaryDirectory(prefix="workshop-bundle-") as temporary:
        wheels = Path(temporary, "wheels")
        fetch(wheels)
        files = _files()
        with tarfile.open(archive, "w:gz", compresslevel=1) as tar:  # wheels are compressed already
            for path in files:
                tar.add(path, f"{name}/{path.relative_to(CHECKOUT).as_posix()}")
            tar.add(wheels, f"{name}/wheels")
        found = sorted(wheels.iterdir(), key=lambda wheel: -wheel.stat().st_size)
        print(f"{archive.name}: {_megabytes(archive)}, with {len(files)} files and {len(found)} wheels. The largest:")
        for wheel in found[:5]:
            print(f"  {_megabytes(wheel):>8}  {wheel.name}")
    print(f"To install it there, with {python} and no network:\n"
          f"  tar xf {archive.name}\n  cd {name}\n  make lab    # or: {python} workshop/environments.py")  # fmt: skip
    return archive


def fetch(wheels):
    """Fetch the wheels of both environments for this system and minor version of Python. Raises BundleError."""
    for lock in LOCKS:
        _download(lock.read_text(), wheels)
        for entry in environments.entries(lock):
            if _for_another_patch(entry):
                _download(re.sub(r" ; [^\\\n]*", " ", entry), wheels)


def _for_another_patch(entry):
    """Whether an entry of a lock is not for this Python, but for an earlier or later one of the same minor version."""
    marker = Requirement(entry.partition("\\")[0]).marker
    series = f"{sys.version_info.major}.{sys.version_info.minor}"
    others = [{"python_full_version": f"{series}.{patch}"} for patch in (0, 99)]
    return marker and not marker.evaluate() and any(marker.evaluate(other) for other in others)


def _download(requirements, wheels):
    # pip, since uv does not download. It is unpacked where it is not there yet.
    command = [*LEARNER.pip(), "download", "--quiet", "--no-deps", "--only-binary", ":all:", "--require-hashes"]
    with tempfile.TemporaryDirectory(prefix="workshop-bundle-") as folder:
        wanted = Path(folder, "requirements.txt")
        wanted.write_text(requirements, encoding="utf-8")
        if subprocess.call([str(part) for part in [*command, "--dest", wheels, "-r", wanted]]):
            raise BundleError("The wheels could not be fetched; what stands above says which one.")


def missing(system):
    """The packages of both locks that have no wheel for a system, for this version of Python: "name==version", sorted.

    system: one of SYSTEMS. Nothing is fetched but what an index says of each package.
    """
    found = set()
    for lock in LOCKS:
        if not _resolves(system, lock, lock.read_text()):
            for entry in environments.entries(lock):
                if not _resolves(system, lock, entry):
                    found.add(entry.split()[0])
    return sorted(found)


def _resolves(system, lock, requirements):
    with tempfile.TemporaryDirectory(prefix="workshop-bundle-") as folder:
        wanted = Path(folder, lock.name)
        wanted.write_text(requirements, encoding="utf-8")
        command = [environments.find_uv(), "pip", "install", "--quiet", "--dry-run", "--no-deps", "--no-build",
                   "--python-platform", system, "--target", Path(folder, "target"), "--python", LEARNER.python,
                   "--require-hashes", "-r", wanted]  # fmt: skip
        return subprocess.run([str(part) for part in command], capture_output=True, check=False).returncode == 0


def _files():
    """The files of the checkout that are under version control."""
    if not shutil.which("git"):
        raise BundleError("The bundle needs git, to know which files are the workshop's. Install it.")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=CHECKOUT, capture_output=True, text=True, check=False)
    if listed.returncode:
        raise BundleError("The bundle is made from a clone: here is no repository of git.")
    return [CHECKOUT / name for name in listed.stdout.split("\0") if name and os.path.exists(CHECKOUT / name)]


def _megabytes(path):
    return f"{path.stat().st_size / 1e6:.1f} MB"


def main(dry):
    """`workshop bundle`; returns the exit status. dry: only say what other systems would lack."""
    if not dry:
        make()
        return 0
    for system in SYSTEMS:
        lacks = missing(system)
        print(f"{system}: {'nothing is missing' if not lacks else 'no wheel of ' + ', '.join(lacks)}", flush=True)
    return 0
