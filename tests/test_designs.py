"""The designs to take home: each deploys as it stands, and does what the lab's checks ask of what learners build.

A lab's check finds what it checks by name, `lab.name("start")`, and a design's stack names what is in it after itself.
So a stack that is named as the learner's things begin is the learner's answer to every exercise at once.
"""

import subprocess
import sys
from pathlib import Path

import pytest
import stacks
from state_machines import unique

from workshop import labs

DESIGNS = Path(__file__).parent.parent / "designs"

pytestmark = pytest.mark.takes(60)


class Learner(labs.Lab):
    """The lab of a learner whose things a stack has made. called: {thing of the lab: how the design calls it}."""

    def __init__(self, notebook, **called):
        super().__init__(notebook)
        self._called = called

    def name(self, thing):
        return f"designs-{self.notebook[:2]}-{self._called.get(thing, thing)}"


@pytest.fixture(scope="module")
def bucket(aws):
    name = unique("artifacts")
    aws("s3").create_bucket(Bucket=name)
    return name


@pytest.fixture(scope="module")
def deployed(aws, bucket):
    """deployed(design, lab): makes the stack of a design, named as the lab's things begin."""
    made = []

    def deploy(design, lab, **parameters):
        stack = lab.name("").removesuffix("-")
        made.append(stack)
        return stacks.deploy(aws, stack, stacks.package(aws, DESIGNS / design, bucket), **parameters)

    yield deploy
    for stack in made:
        stacks.delete(aws("cloudformation"), stack)


@pytest.fixture(autouse=True)
def progress(account, tmp_path, monkeypatch):
    """What a check notes is noted for this test alone."""
    monkeypatch.setenv("WORKSHOP_RECORDS", str(tmp_path))


@pytest.mark.parametrize("design", sorted(DESIGNS.iterdir()), ids=lambda design: design.name)
def test_cfn_lint_finds_nothing(design):
    lint = [Path(sys.executable).with_name("cfn-lint"), design / "template.yaml"]
    found = subprocess.run(lint, capture_output=True, text=True)
    assert found.returncode == 0, found.stdout + found.stderr


@pytest.fixture(scope="module")
def loop(deployed):
    lab = Learner("01-polling-loop", backoff="loop")
    deployed("polling-loop", lab, TaskPrefix=lab.name(""))
    return lab


@pytest.mark.parametrize("number", [3, 5])
def test_the_polling_loop(loop, number):
    loop.check(number, seed=1)


@pytest.fixture(scope="module")
def token_and_event(deployed):
    lab = Learner("02-task-tokens-and-events")
    deployed("task-token-and-event", lab, TaskPrefix=lab.name(""))
    return lab


@pytest.mark.parametrize("number", [1, 2, 3, 4, 5])
def test_the_task_token_and_the_event(token_and_event, number):
    token_and_event.check(number, seed=1)
