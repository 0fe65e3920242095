"""Style and spelling, of code and notebooks: what `make lint` says."""

import shutil
import subprocess
import sys
import tomllib

import pytest

from workshop.environments import CHECKOUT


@pytest.mark.parametrize("command", [["ruff", "check"], ["ruff", "format", "--check"], ["codespell_lib"]], ids=" ".join)
def test_lint(command):
    run = subprocess.run([sys.executable, "-m", *command], cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


def test_conda_and_pip_install_the_same_packages():
    lines = (CHECKOUT / "environment.yml").read_text().splitlines()
    conda = {line.strip().removeprefix("- ").replace(" ", "") for line in lines if line.lstrip().startswith("- ")}
    conda -= {"conda-forge", "pip", "pip:", "python>=3.11", "--editable."}
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    assert conda == {requirement.replace(" ", "") for requirement in project["dependencies"]}
    assert project["requires-python"] == ">=3.11"


@pytest.mark.skipif(not shutil.which("git"), reason="needs git to list the files")
def test_files_name_no_path_of_a_machine_and_no_address_of_a_registry():
    tracked = subprocess.check_output(["git", "ls-files"], cwd=CHECKOUT, text=True).split()
    home = "/".join(["", "home", ""])
    for name in tracked:
        text = (CHECKOUT / name).read_bytes()
        assert str(CHECKOUT.parent).encode() + b"/" not in text or CHECKOUT.parent == CHECKOUT.root, name
        assert home.encode() not in text, name
        if name.endswith(".lock"):
            assert b"://" not in text, name
