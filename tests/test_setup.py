"""Set-up: old Pythons, interrupted runs, no uv, two at once; and the locks that it installs.

Nothing here needs a network: the environments made are of one small package that the test itself writes.
"""

import ast
import hashlib
import importlib.metadata
import os
import re
import shutil
import signal
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from patience import PATIENCE

from workshop import environments
from workshop.environments import CHECKOUT, Environment, SetupError

SCRIPT = CHECKOUT / "workshop" / "environments.py"

# -- the Python that it finds ------------------------------------------------------------------------------------------


def python_of(version):
    """The path of a Python of that version that is on this machine and runs; None where there is none."""
    for folder in [*os.environ.get("PATH", "").split(os.pathsep), *Path.home().glob(".pyenv/versions/3.*/bin")]:
        python = shutil.which(f"python{version}", path=str(folder))
        if python and subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode == 0:
            return python
    return None


def test_an_old_python_can_read_it():
    # Python 3.6 is the oldest that a system still in use calls python3.
    ast.parse(SCRIPT.read_text(), feature_version=(3, 6))


def too_old(command, sentence_of):
    empty = {"PATH": "", "SYSTEMROOT": os.environ.get("SYSTEMROOT", "")}
    run = subprocess.run(command, capture_output=True, text=True, env=empty, check=False)
    assert run.returncode == 1 and not run.stdout
    assert re.fullmatch(
        rf"The workshop needs Python 3\.11 or newer, and .*python.* is {sentence_of}\. "
        r"Install a newer one, then run `make PYTHON=/path/to/python3 lab`\.",
        run.stderr.strip(),
    )


def test_an_old_python_is_told_in_one_sentence():
    pretend = f"import runpy, sys; sys.version_info = (3, 8, 1); runpy.run_path({str(SCRIPT)!r}, run_name='__main__')"
    too_old([sys.executable, "-c", pretend], r"3\.8")


@pytest.mark.parametrize("version", ["3.6", "3.7", "3.8", "3.9", "3.10"])
def test_a_real_old_python_is_told_in_one_sentence(version):
    python = python_of(version)
    if not python:
        pytest.skip(f"there is no Python {version} on this machine")
    too_old([python, str(SCRIPT)], re.escape(version))


@pytest.mark.skipif(os.name == "nt", reason="finds a Python by a name that Windows does not use")
def test_an_old_python_calls_a_newer_one_that_is_there(tmp_path):
    newer = tmp_path / "python3.11"
    newer.write_text('#!/bin/sh\n[ "$1" = -c ] && echo ok || echo "called with ${1##*/} $2"\n')
    newer.chmod(0o755)
    pretend = (
        f"import runpy, sys; sys.version_info = (3, 8, 1); sys.argv = [{str(SCRIPT)!r}, '--sandbox'];"
        f"runpy.run_path({str(SCRIPT)!r}, run_name='__main__')"
    )
    environment = {**os.environ, "PATH": f"{tmp_path}:/bin:/usr/bin"}
    run = subprocess.run([sys.executable, "-c", pretend], capture_output=True, text=True, env=environment, check=False)
    assert (run.stdout, run.returncode) == ("called with environments.py --sandbox\n", 0), run.stderr


# -- making an environment ---------------------------------------------------------------------------------------------


def write_wheel(folder, version):
    """A package `tiny` that holds nothing but its version, as a wheel; gives its entry in a lock."""
    info = f"tiny-{version}.dist-info"
    files = {
        "tiny.py": "def build():\n    pass\n",
        f"{info}/entry_points.txt": "[console_scripts]\ntiny-build = tiny:build\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: tiny\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"])
    wheel = folder / f"tiny-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return f"tiny=={version} --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n"


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A folder as if it were a checkout whose only environment is `tiny`; both installers are offline."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    for variable, value in {
        "UV_NO_INDEX": "1",
        "UV_FIND_LINKS": str(wheels),
        "UV_CACHE_DIR": str(tmp_path / "uv-cache"),
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(wheels),
        "PIP_CONFIG_FILE": os.devnull,
    }.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setattr(environments, "CHECKOUT", tmp_path / "checkout")
    (tmp_path / "checkout").mkdir()
    (tmp_path / "checkout" / "requirements.lock").write_text(write_wheel(wheels, "1"))
    return tmp_path / "checkout"


@pytest.fixture
def tiny(checkout):
    return Environment("tiny", checkout / ".venv", checkout / "requirements.lock")


def version_of(environment):
    code = "import tiny, importlib.metadata as metadata; print(metadata.version('tiny'))"
    return subprocess.check_output([environment.python, "-c", code], text=True, cwd=environment.folder).strip()


def test_a_second_run_does_nothing(tiny, monkeypatch):
    assert not tiny.ready()
    environments.set_up([tiny])
    assert tiny.ready() and version_of(tiny) == "1"

    def refuse(*arguments, **keywords):
        raise AssertionError(f"a second run started {arguments}")

    monkeypatch.setattr(subprocess, "Popen", refuse)  # no process, so no network either
    environments.set_up([tiny])


def no_stamp(environment):
    (environment.folder / "complete.json").unlink()


def half_a_stamp(environment):
    (environment.folder / "complete.json").write_text('{"lock": "')


def half_a_package(environment):
    no_stamp(environment)
    next(environment.folder.rglob("tiny.py")).unlink()


def half_a_python(environment):
    no_stamp(environment)
    (environment.folder / "pyvenv.cfg").unlink()


def no_python(environment):
    environment.python.unlink()


def an_empty_folder(environment):
    shutil.rmtree(environment.folder)
    environment.folder.mkdir()


def a_newer_python(environment):
    """As when a system's python3 became another one: the environment's runs, and looks elsewhere for packages."""
    packages = next(environment.folder.rglob("site-packages"))
    packages.parent.rename(packages.parent.with_name("python3.1"))
    half_a_stamp(environment)


@pytest.mark.parametrize(
    "damage", [no_stamp, half_a_stamp, half_a_package, half_a_python, no_python, an_empty_folder, a_newer_python]
)
def test_an_environment_that_was_interrupted_is_mended(tiny, damage):
    environments.set_up([tiny])
    if damage is a_newer_python and os.name == "nt":
        pytest.skip("Windows keeps packages in a folder without a version")
    damage(tiny)
    assert not tiny.ready()
    environments.set_up([tiny])
    assert tiny.ready() and version_of(tiny) == "1"


def test_a_new_lock_and_a_moved_checkout_are_noticed(tiny, tmp_path):
    environments.set_up([tiny])
    tiny.lock.write_text(write_wheel(tmp_path / "wheels", "2"))
    assert not tiny.ready()
    environments.set_up([tiny])
    assert version_of(tiny) == "2"
    moved = tiny.folder.rename(tiny.folder.with_name("moved"))
    assert not Environment("tiny", moved, tiny.lock).ready()


# Builds an editable wheel of the package `ours`, as our own package's uv-build does: with a command of the environment.
BACKEND = """
import shutil, sys, zipfile
from pathlib import Path

def build_editable(folder, settings=None, metadata=None):
    if Path(shutil.which("tiny-build")).parent != Path(sys.executable).parent:
        raise SystemExit("not the environment's own builder")
    name = "ours-1-py3-none-any.whl"
    files = {
        "ours.pth": str(Path.cwd()),
        "ours-1.dist-info/METADATA": "Metadata-Version: 2.1\\nName: ours\\nVersion: 1\\n",
        "ours-1.dist-info/WHEEL": "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
        "ours-1.dist-info/RECORD": "",
    }
    with zipfile.ZipFile(Path(folder, name), "w") as archive:
        for file, text in files.items():
            archive.writestr(file, text)
    return name
"""


@pytest.mark.long
def test_where_uv_cannot_be_had_pip_does_it(tiny, checkout, monkeypatch, capfd):
    (checkout / "backend.py").write_text(BACKEND)
    (checkout / "pyproject.toml").write_text(
        '[project]\nname = "ours"\nversion = "1"\n'
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    )
    tiny.installs.append(checkout)
    monkeypatch.setattr(environments, "find_uv", lambda: None)
    environments.set_up([tiny])  # nor can uv be installed: there is no index
    assert "uv cannot do it here: pip does the same" in capfd.readouterr().out
    assert tiny.ready() and version_of(tiny) == "1"
    assert not tiny.uv().exists()
    subprocess.check_call([tiny.python, "-c", "import backend"], cwd=tiny.folder)


@pytest.mark.long
def test_a_file_with_another_hash_is_refused_by_both(tiny, capfd):
    tiny.lock.write_text(re.sub(r"sha256:.*", "sha256:" + "0" * 64, tiny.lock.read_text()))
    with pytest.raises(SetupError, match=r"^Set-up stopped in .*run the same command again\.$"):
        environments.set_up([tiny])
    assert not tiny.ready()
    said = capfd.readouterr().err.lower()
    assert "hash mismatch" in said and "do not match the hashes" in said


def test_a_python_without_venv_says_what_to_install(tiny, monkeypatch):
    monkeypatch.setattr(sys, "executable", shutil.which("false") or sys.executable)
    with pytest.raises(SetupError, match=r"sudo apt install python3-venv"):
        environments.set_up([tiny])


# Set-up of the environment `tiny`, as a process, with the uv that is given.
PROCESS = """
import sys
from pathlib import Path
from workshop import environments
environments.CHECKOUT = Path(sys.argv[1])
tiny = environments.Environment("tiny", sys.argv[1] + "/.venv", sys.argv[1] + "/requirements.lock")
environments.LEARNER, environments.SANDBOX = tiny, tiny
environments.find_uv = lambda: sys.argv[2]
environments.main([])
"""


REAL_UV = Path(sys.executable).with_name("uv")


def process(checkout, uv=REAL_UV):
    return subprocess.Popen(
        [sys.executable, "-c", PROCESS, str(checkout), str(uv)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=CHECKOUT,
        start_new_session=True,
    )


@pytest.mark.skipif(os.name == "nt", reason="Windows has no process groups to interrupt")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_interrupted_in_the_middle_the_next_run_goes_on(checkout, tiny, tmp_path, how):
    uv = tmp_path / "uv"  # one that never ends
    uv.write_text("#!/bin/sh\necho installing\nexec sleep 600\n")
    uv.chmod(0o755)
    first = process(checkout, uv)
    while first.stdout.readline() != "installing\n":
        assert first.poll() is None
    os.killpg(first.pid, how)
    _, said = first.communicate(timeout=PATIENCE)
    if how == signal.SIGINT:
        assert said == "\nSet-up was interrupted; the next run goes on from here.\n"
    assert first.returncode and not tiny.ready()
    second = process(checkout)
    assert second.wait(PATIENCE) == 0, second.communicate()
    assert tiny.ready() and version_of(tiny) == "1"


@pytest.mark.skipif(os.name == "nt", reason="stands in for uv with a shell script")
def test_of_two_at_once_the_second_waits_and_has_nothing_to_do(checkout, tiny, tmp_path):
    go = tmp_path / "go"
    os.mkfifo(go)
    uv = tmp_path / "uv"  # one that installs when it is told to
    uv.write_text(f'#!/bin/sh\necho installing\nread word < "{go}"\nexec "{REAL_UV}" "$@"\n')
    uv.chmod(0o755)
    first = process(checkout, uv)
    while first.stdout.readline() != "installing\n":
        assert first.poll() is None
    second = process(checkout, uv)
    with pytest.raises(subprocess.TimeoutExpired):
        second.wait(0.5)
    assert not tiny.ready()
    go.write_text("go\n")
    assert first.wait(PATIENCE) == 0, first.communicate()
    assert second.wait(PATIENCE) == 0
    assert second.communicate() == ("", "")
    assert tiny.ready()


# -- the locks ---------------------------------------------------------------------------------------------------------

LOCKS = {
    "learner": CHECKOUT,
    "sandbox": CHECKOUT / "sandbox",
    "site": CHECKOUT / "site",
    "designs": CHECKOUT / "designs",
}
ENVIRONMENTS = {CHECKOUT: environments.LEARNER, CHECKOUT / "sandbox": environments.SANDBOX}


def entries(folder):
    """The packages of a lock: {name: [(requirement with version and marker, [hashes]), ...]}.

    A package is there more than once where a version of it is not for every Python.
    """
    found = {}
    for line in (folder / "requirements.lock").read_text().replace("\\\n", " ").splitlines():
        requirement, *hashes = re.split(r"\s+--hash=", line.strip())
        requirement = Requirement(requirement)
        found.setdefault(canonicalize_name(requirement.name), []).append((requirement, hashes))
    return found


def locked_version(locked, name, here):
    """The version that is installed of a package in an environment of these marker values; None if it is not."""
    for requirement, _ in locked.get(canonicalize_name(name), []):
        if requirement.marker is None or requirement.marker.evaluate(here):
            return str(requirement.specifier).removeprefix("==")
    return None


SYSTEMS = [
    {"sys_platform": name, "platform_system": system, "os_name": "nt" if system == "Windows" else "posix",
     "python_version": python, "python_full_version": f"{python}.1", "extra": ""}
    for name, system in (("linux", "Linux"), ("darwin", "Darwin"), ("win32", "Windows"))
    for python in ("3.11", "3.12", "3.13", "3.14")
]  # fmt: skip


def asked(folder):
    """What a lock is made for: the dependencies of the project and its group of tests, or those of a group."""
    if folder in (LOCKS["site"], LOCKS["designs"]):
        project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())
        return [Requirement(each) for each in project["dependency-groups"][folder.name]]
    project = tomllib.loads((folder / "pyproject.toml").read_text())
    tests = project.get("dependency-groups", {}).get("test", [])
    return [Requirement(each) for each in [*project["project"]["dependencies"], *tests]]


@pytest.mark.parametrize("folder", LOCKS.values(), ids=LOCKS)
def test_every_package_is_pinned_and_hashed_and_no_address_is_named(folder):
    text = (folder / "requirements.lock").read_text()
    assert "://" not in text and "--index" not in text and " @ " not in text
    for name, alternatives in entries(folder).items():
        for requirement, hashes in alternatives:
            assert re.fullmatch(r"==[^*,]+", str(requirement.specifier)), name
            assert hashes and all(re.fullmatch("sha256:[0-9a-f]{64}", each) for each in hashes), name


@pytest.mark.parametrize("folder", LOCKS.values(), ids=LOCKS)
def test_a_lock_has_what_its_project_asks_for(folder):
    locked = entries(folder)
    for requirement in asked(folder):
        for system in SYSTEMS:
            version = locked_version(locked, requirement.name, {**default_environment(), **system})
            assert version and requirement.specifier.contains(version, prereleases=True), f"{requirement}: {version}"


@pytest.mark.parametrize("folder", ENVIRONMENTS, ids=["learner", "sandbox"])
def test_a_lock_has_what_its_packages_ask_for_on_every_system(folder):
    """Dependencies of dependencies: what the installed packages say, with the markers of each system and Python."""
    locked = entries(folder)
    project = tomllib.loads((folder / "pyproject.toml").read_text())
    overridden = {Requirement(r).name for r in project.get("tool", {}).get("uv", {}).get("override-dependencies", [])}
    packages = next(ENVIRONMENTS[folder].folder.rglob("site-packages"))
    needs = [
        (distribution.name, requirement)
        for distribution in importlib.metadata.distributions(path=[str(packages)])
        if canonicalize_name(distribution.name) in locked
        for requirement in map(Requirement, distribution.requires or [])
        if requirement.name not in overridden
    ]
    assert len(needs) > 20
    for system in SYSTEMS:
        here = {**default_environment(), **system}
        for name, needed in needs:
            if locked_version(locked, name, here) and (needed.marker is None or needed.marker.evaluate(here)):
                version = locked_version(locked, needed.name, here)
                assert version, f"{name} needs {needed}: {system}"
                assert needed.specifier.contains(version, prereleases=True), f"{name} needs {needed}: {version}"


@pytest.mark.parametrize("package", ["numpy", "pyzmq", "matplotlib", "ruff", "uv"])
def test_packages_that_are_compiled_are_hashed_for_every_system(package):
    """A package in plain Python has two hashes, its wheel's and its source's. These have a wheel for each system.

    Which file a hash is of, a lock does not say; so they are counted: Linux, macOS and Windows, two processors each.
    """
    for _, hashes in entries(CHECKOUT)[package]:
        assert len(set(hashes)) >= 6


def test_what_only_one_system_needs_is_locked_for_it():
    locked = entries(CHECKOUT)
    for package, where in {"appnope": "darwin", "pywinpty": "win32", "colorama": "win32"}.items():
        for system in SYSTEMS:
            here = {**default_environment(), **system}
            assert bool(locked_version(locked, package, here)) == (system["sys_platform"] == where), package


def test_uv_is_pinned_alike_in_the_lock_and_in_the_project():
    version = environments._entry(environments.LEARNER.lock, "uv").split()[0]
    assert version.replace("==", " == ") in (CHECKOUT / "pyproject.toml").read_text()


def test_the_wrapped_engine_is_pinned_exactly():
    engine = next(each for each in asked(CHECKOUT / "sandbox") if each.name == "ministack")
    assert str(engine.specifier) == str(entries(CHECKOUT / "sandbox")["ministack"][0][0].specifier)


@pytest.mark.parametrize("package", ["aws-durable-execution-sdk-python", "aws-durable-execution-sdk-python-testing"])
def test_both_environments_have_the_same_durable_sdks(package):
    pinned = [each for folder in (CHECKOUT, CHECKOUT / "sandbox") for each in asked(folder) if each.name == package]
    locked = [entries(folder)[package][0][0] for folder in (CHECKOUT, CHECKOUT / "sandbox")]
    assert len(pinned) == len(locked) == 2
    assert len({str(each.specifier) for each in pinned + locked}) == 1


def test_the_engines_stay_out_of_the_learners_environment():
    assert "ministack" not in entries(CHECKOUT)


def test_binder_has_the_learners_packages_of_the_lock_and_none_of_the_tests():
    binder = CHECKOUT / ".binder"
    here, locked = (
        {canonicalize_name(re.match(r"[\w.-]+", entry)[0]): entry for entry in environments.entries(lock)}
        for lock in (binder / "requirements.txt", CHECKOUT / "requirements.lock")
    )
    assert "://" not in (binder / "requirements.txt").read_text()
    # pip resolves there, and wants what pyproject.toml tells uv to leave out.
    left_out = {"rfc3987-syntax", "lark"}
    assert here.keys() - locked.keys() == left_out
    assert all(locked[name] == entry for name, entry in here.items() if name not in left_out)
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())
    assert {canonicalize_name(Requirement(each).name) for each in project["project"]["dependencies"]} <= here.keys()
    assert not here.keys() & {"playwright", "pytest-xdist", "ruff", "codespell", "mutmut"}
    assert re.fullmatch(r"python-3\.(1[1-9])\n", (binder / "runtime.txt").read_text())
    assert os.name == "nt" or os.access(binder / "postBuild", os.X_OK)


def test_what_environment_yml_gives_to_pip_is_taken_by_pip(tmp_path, monkeypatch):
    text = (CHECKOUT / "environment.yml").read_text()
    lines = re.findall(r"^      - (.*)$", text.partition("- pip:\n")[2], re.MULTILINE)
    assert lines
    requirements = tmp_path / "requirements.txt"  # conda writes such a file, and runs pip beside the environment.yml
    requirements.write_text("\n".join(lines))
    monkeypatch.setenv("PATH", os.path.dirname(sys.executable), prepend=os.pathsep)
    pip = [sys.executable, "-m", "pip", "install", "--dry-run", "--no-deps", "--no-build-isolation", "--no-index"]
    run = subprocess.run([*pip, "-r", requirements], cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert "workshop" in run.stdout
