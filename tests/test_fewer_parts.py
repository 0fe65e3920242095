"""The two variants that lesson 02 folds away, run as they stand there: without `start`, and without `resume`."""

import json
import re

import boto3
import nbformat
import pytest

from workshop import Lab, deploy, migration, wait
from workshop.environments import CHECKOUT

LESSON = nbformat.read(CHECKOUT / "notebooks" / "02-task-tokens-and-events.ipynb", as_version=4)
FOLDED = re.compile(r"<details><summary>Without <code>(\w+)</code>.*?</details>", re.DOTALL)
VARIANTS = {
    found[1]: "\n".join(re.findall(r"^```python\n(.*?)^```", found[0], re.DOTALL | re.MULTILINE))
    for cell in LESSON.cells
    for found in FOLDED.finditer(cell.source)
}


@pytest.fixture
def machine(account):
    """What the two variants make, with the names that the lesson has given to things before: they work together."""
    lab = Lab("02-task-tokens-and-events")
    table = deploy.table(lab.name("lesson-waiting"), key="ReplicationTaskArn")
    tasks = deploy.arn("dms", f"task:{lab.name('lesson-*')}")
    names = {"boto3": boto3, "deploy": deploy, "json": json, "lab": lab, "table": table, "tasks": tasks}
    names |= {"items": deploy.arn("dynamodb", f"table/{table}"), "stepfunctions": boto3.client("stepfunctions")}
    [rule] = [cell.source for cell in LESSON.cells if cell.id == "rule"]
    exec(rule[: rule.index("ended = rule(")], names)
    for variant in ("start", "resume"):
        exec(VARIANTS[variant], names)
    return names["told"]


def test_the_wait_ends_as_the_migration_did(machine):
    for fails, status in ((None, "SUCCEEDED"), ("bad row", "FAILED")):
        job = migration(Lab("02-task-tokens-and-events").name("lesson-fewer"), rows=150, fails=fails)
        work = json.dumps({"ReplicationTaskArn": job.arn, "TimeoutSeconds": 60})
        execution = boto3.client("stepfunctions").start_execution(stateMachineArn=machine, input=work)["executionArn"]
        end = wait(execution)
        assert end["status"] == status
        assert "FULL_LOAD_ONLY_FINISHED" in end["output"] if fails is None else end["error"] == "MigrationFailed"
