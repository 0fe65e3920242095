"""Places where others run the workshop: dev containers, and viewers of notebooks that run nothing."""

import json
import os
import shlex
import shutil
import subprocess
import sys

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


@pytest.mark.long
@pytest.mark.skipif(not shutil.which("git"), reason="needs git to make a fresh clone")
def test_its_commands_run_in_a_fresh_clone(tmp_path):
    """As it is committed. Its commands are those of one line each, run in the folder of the checkout."""
    clone = tmp_path / "clone"
    subprocess.check_call(["git", "clone", "--quiet", str(CHECKOUT), str(clone)])
    # Without the state folder of these tests: the clone's sandbox is another one.
    newcomer = {name: value for name, value in os.environ.items() if not name.startswith("WORKSHOP")}
    options = {"cwd": clone, "env": newcomer, "capture_output": True, "text": True, "check": False}
    for name in ("onCreateCommand", "postStartCommand"):
        words = shlex.split(DEVCONTAINER[name])
        words[0] = sys.executable if words[0] == "python3" else words[0]
        run = subprocess.run(words, **options)
        assert run.returncode == 0, run.stdout + run.stderr
    assert "The sandbox is at http://127.0.0.1:" in run.stdout
    stopped = subprocess.run([".venv/bin/workshop", "sandbox", "stop"], **options)
    assert stopped.stdout == "The sandbox has stopped.\n"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_each_output_has_a_form_that_every_viewer_shows(path):
    """VS Code and the hosts of repositories show text, PNG and SVG, and neither widgets nor mermaid."""
    for cell in nbformat.read(path, as_version=4).cells:
        for output in cell.get("outputs", []):
            assert "data" not in output or SHOWN_ANYWHERE & output.data.keys(), cell.id
