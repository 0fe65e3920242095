"""Places where others run the workshop: Binder, dev containers, and viewers of notebooks that run nothing.

There one is a user who is not root, in a fresh clone. No container is made: what it would run is run here.
"""

import contextlib
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import jsonschema
import nbformat
import pytest

from workshop.environments import CHECKOUT

DEVCONTAINER = json.loads((CHECKOUT / ".devcontainer" / "devcontainer.json").read_text())
SHOWN_ANYWHERE = {"text/plain", "text/html", "image/png", "image/svg+xml"}
NOTEBOOKS = [path for folder in ("notebooks", "labs", "solutions") for path in (CHECKOUT / folder).glob("*.ipynb")]


def test_the_dev_container_is_as_its_schema_says():
    schema = json.loads((CHECKOUT / "tests" / "devcontainer.schema.json").read_text())
    jsonschema.validate(DEVCONTAINER, schema)
    for wrong in ({"image": 3}, {"postStart": "x"}, {"forwardPorts": ["lab"]}, {"hostRequirements": {"cpus": "2"}}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**DEVCONTAINER, **wrong}, schema)


def test_each_forwarded_port_has_a_label():
    for port in DEVCONTAINER["forwardPorts"]:
        assert DEVCONTAINER["portsAttributes"][str(port)]["label"]


def test_its_files_are_there():
    for name in DEVCONTAINER["customizations"]["codespaces"]["openFiles"]:
        assert (CHECKOUT / name).exists()


class Newcomer:
    """A user who is not root, with a fresh clone of what is committed, in an empty home.

    home, clone: folders. python: an interpreter that this user may run.
    """

    def __init__(self, folder: Path):
        self.home, self.clone = folder, folder / "clone"
        root = hasattr(os, "geteuid") and os.geteuid() == 0
        self._as = {"user": 65534, "group": 65534, "extra_groups": []} if root else {}
        # Nothing of this test run: the clone's sandbox is another one. What tells pip and uv where packages are stays.
        strangers = ("WORKSHOP", "AWS_", "PYTHON", "VIRTUAL_ENV", "PYTEST")
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith(strangers)}
        self.environment["HOME"] = str(folder)
        for tool in ("pip", "uv"):
            settings = Path("~/.config").expanduser() / tool
            if settings.is_dir():
                shutil.copytree(settings, folder / ".config" / tool)
        subprocess.check_call(["git", "clone", "--quiet", str(CHECKOUT), str(self.clone)])
        if root:
            for path in [folder, *folder.rglob("*")]:
                os.chown(path, 65534, 65534, follow_symlinks=False)
        self.python = next(filter(self._may_use, (sys.executable, "/usr/bin/python3", "/usr/local/bin/python3")), None)

    def _may_use(self, python):
        probe = "import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))"
        with contextlib.suppress(OSError):
            return self.run([os.path.realpath(python), "-c", probe]).returncode == 0
        return False

    def run(self, words, **variables):
        """Run a command in the clone; returns a CompletedProcess with texts."""
        return subprocess.run(
            words,
            cwd=self.clone,
            env=self.environment | variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            **self._as,
        )

    def runs(self, words, **variables):
        """Run a command that must succeed; returns what it printed."""
        done = self.run(words, **variables)
        assert done.returncode == 0, f"{shlex.join(map(str, words))}\n{done.stdout[-3000:]}"
        return done.stdout


@pytest.fixture
def newcomer():
    if not shutil.which("git"):
        pytest.skip("needs git to make a fresh clone")
    # Not in pytest's folder, which other users may not enter.
    with tempfile.TemporaryDirectory(prefix="newcomer-", ignore_cleanup_errors=True) as folder:
        os.chmod(folder, 0o755)
        made = Newcomer(Path(folder))
        if made.python is None:
            pytest.skip("a user who is not root may run no Python 3.11 with venv on this machine")
        yield made


@pytest.mark.long
@pytest.mark.takes(40)
def test_the_dev_container_s_commands_run_in_a_fresh_clone(newcomer):
    """Its commands are those of one line each, run in the folder of the checkout."""
    for name in ("onCreateCommand", "postStartCommand"):
        words = shlex.split(DEVCONTAINER[name])
        words[0] = newcomer.python if words[0] == "python3" else words[0]
        printed = newcomer.runs(words)
    assert "The sandbox is at http://127.0.0.1:" in printed
    assert newcomer.runs([".venv/bin/workshop", "sandbox", "stop"]) == "The sandbox has stopped.\n"


def test_binder_s_builder_picks_the_files_that_are_meant(monkeypatch):
    """What repo2docker decides before it calls Docker: which of its build packs, with which files and which Python."""
    from repo2docker.app import Repo2Docker

    monkeypatch.chdir(CHECKOUT)
    app = Repo2Docker()
    pack = next(pack for pack in (kind(app.base_image) for kind in app.buildpacks) if pack.detect())
    assert type(pack).__name__ == "PythonBuildPack"  # and not conda's, which environment.yml would have
    assert (pack.binder_dir, pack.python_version) == (".binder", "3.11")
    assert pack.get_post_build_scripts() == [".binder/postBuild"]
    [install] = [command for _, command in pack.get_preassemble_scripts() if "requirements" in command]
    assert "pip install" in install and '-r ".binder/requirements.txt"' in install
    assert list(pack.get_preassemble_script_files()) == [".binder/requirements.txt"]


GB = 1e9


@pytest.mark.longest
@pytest.mark.takes(300)
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_binder_s_commands_run_in_an_empty_prefix_and_its_memory_is_enough(newcomer):
    """Binder bounds a server to 1 to 2 GB (https://mybinder.readthedocs.io/en/latest/about/user-guidelines.html).

    Its prefix is conda's; here it is a virtual environment, which is as empty.
    """
    prefix = newcomer.home / "prefix"
    newcomer.runs([newcomer.python, "-m", "venv", prefix])
    there = {"PATH": f"{prefix}/bin:{os.environ['PATH']}"}
    newcomer.runs(["python3", "-m", "pip", "install", "--quiet", "-r", ".binder/requirements.txt"], **there)
    newcomer.runs([".binder/postBuild"], **there)
    # The first cell needs no network from here on; a test of setting up sees to that. Now as one who works there.
    with private_memory(newcomer.home) as peak:
        for solution in sorted((newcomer.clone / "solutions").glob("*.ipynb")):
            newcomer.runs(["jupyter", "execute", "--timeout=300", solution], **there)
    newcomer.runs(["workshop", "sandbox", "stop"], **there)
    assert 0.1 * GB < peak[0] < 1.5 * GB


@contextlib.contextmanager
def private_memory(home):
    """[bytes]: the most that all processes with this home had to themselves at once, looked at twice a second."""
    peak, over = [0], threading.Event()

    def look():
        while not over.wait(0.5):
            peak[0] = max(peak[0], sum(map(private, Path("/proc").glob("[0-9]*"))))

    def private(process):
        with contextlib.suppress(OSError):
            if f"HOME={home}\0".encode() in (process / "environ").read_bytes():
                lines = (process / "smaps_rollup").read_text().splitlines()
                return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Private_"))
        return 0

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield peak
    finally:
        over.set()
        looking.join()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_each_output_has_a_form_that_every_viewer_shows(path):
    """VS Code and the hosts of repositories show text, PNG and SVG, and neither widgets nor mermaid."""
    for cell in nbformat.read(path, as_version=4).cells:
        for output in cell.get("outputs", []):
            assert "data" not in output or SHOWN_ANYWHERE & output.data.keys(), cell.id
