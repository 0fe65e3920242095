"""What people look for first in a repository: a licence, versions, forms and workflows that the host can read."""

import re
import subprocess
import sys
import tomllib

import pytest
import yaml

from workshop.environments import CHECKOUT

PROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
WORKFLOWS = sorted((CHECKOUT / ".github" / "workflows").glob("*.yml"))
FORMS = sorted(path for path in (CHECKOUT / ".github" / "ISSUE_TEMPLATE").glob("*.yml") if path.stem != "config")


def test_the_licence_is_the_one_that_the_project_names():
    text = (CHECKOUT / "LICENSE").read_text()
    assert PROJECT["license"] == "Apache-2.0"
    assert "Apache License" in text and "Version 2.0, January 2004" in text and "9. Accepting Warranty" in text
    assert "Apache-2.0" in (CHECKOUT / "README.md").read_text() and "CC BY 4.0" in (CHECKOUT / "README.md").read_text()
    assert yaml.safe_load((CHECKOUT / "CITATION.cff").read_text())["license"] == ["Apache-2.0", "CC-BY-4.0"]


def test_the_version_stands_in_one_place():
    said = subprocess.check_output([sys.executable, "-m", "workshop.cli", "--version"], cwd=CHECKOUT, text=True)
    assert said == PROJECT["version"] + "\n"
    assert "version" not in yaml.safe_load((CHECKOUT / "CITATION.cff").read_text())
    releases = re.findall(r"^## (\S+)", (CHECKOUT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert releases[0] == "Unreleased" or releases[0] == PROJECT["version"]
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", release) for release in releases[1:])


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_an_issue_form_has_what_the_host_asks_for(path):
    form = yaml.safe_load(path.read_text())
    assert form["name"] and form["description"]
    ids = [field["id"] for field in form["body"]]
    assert len(set(ids)) == len(ids)
    for field in form["body"]:
        assert field["type"] in ("input", "textarea") and field["attributes"]["label"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_runs_commands_that_are_there_and_may_write_nothing_by_default(path):
    workflow = yaml.safe_load(path.read_text())
    assert workflow["permissions"] == {"contents": "read"}
    targets = set(re.findall(r"^(\w[\w-]*):", (CHECKOUT / "Makefile").read_text(), re.MULTILINE))
    for job in workflow["jobs"].values():
        for step in job["steps"]:
            for target in re.findall(r"\bmake ([\w-]+)", step.get("run", "")):
                assert target in targets, f"{path.name}: make {target}"
            if "uses" in step:
                assert re.fullmatch(r"actions/[\w-]+@v\d+", step["uses"])
