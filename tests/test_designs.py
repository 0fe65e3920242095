"""The designs to take home: each deploys as it stands, and does what the lab's checks ask of what learners build.

A lab's check finds what it checks by name, `lab.name("start")`, and a design's stack names what is in it after itself.
So a stack that is named as the learner's things begin is the learner's answer to every exercise at once.
"""

from pathlib import Path

import pytest
import stacks
from state_machines import unique

from workshop import labs

DESIGNS = Path(__file__).parent.parent / "designs"

pytestmark = pytest.mark.takes(60)


class Learner(labs.Lab):
    """The lab of a learner whose things a stack has made."""

    def name(self, thing):
        return f"designs-{self.notebook[:2]}-{thing}"


@pytest.fixture(scope="module")
def bucket(aws):
    name = unique("artifacts")
    aws("s3").create_bucket(Bucket=name)
    return name


@pytest.fixture(scope="module")
def events_design(aws, bucket):
    lab = Learner("02-task-tokens-and-events")
    stack = lab.name("").removesuffix("-")
    stacks.deploy(aws, stack, stacks.package(aws, DESIGNS / "task-token-and-event", bucket), TaskPrefix=lab.name(""))
    yield lab
    stacks.delete(aws("cloudformation"), stack)


@pytest.mark.parametrize("number", [1, 2, 3, 4, 5])
def test_the_check_of_lab_02(account, events_design, tmp_path, monkeypatch, number):
    monkeypatch.setenv("WORKSHOP_RECORDS", str(tmp_path))
    events_design.check(number, seed=1)
