"""The migrations of a check's cases: there while its cases play, and gone afterwards, whatever the cases did."""

import contextlib

import pytest

from workshop import clients, deploy
from workshop.checking import migrations
from workshop.checking.migrations import small_migrations, unheard
from workshop.events import rule
from workshop.labs import Lab

pytestmark = pytest.mark.usefixtures("account")


def test_they_are_gone_afterwards_whatever_they_do():
    lab = Lab("01-polling-loop")
    with small_migrations(lab, {"one": "finishes", "other": "is slow", "idle": "has no file"}) as made:
        made["one"].start(), made["other"].start()
    tasks = clients.of("dms").get_paginator("describe_replication_tasks").paginate(WithoutSettings=True)
    with_status = {task["ReplicationTaskArn"]: task["Status"] for page in tasks for task in page["ReplicationTasks"]}
    assert {with_status.get(one.arn, "deleting") for one in made.values()} == {"deleting"}


def test_a_wave_of_cases_may_need_none():
    with small_migrations(Lab("01-polling-loop"), {}) as made:
        assert made == {}


# -- on AWS, where no event can be lost --------------------------------------------------------------------------------


@pytest.fixture
def far(monkeypatch):
    monkeypatch.setattr(migrations, "on_sandbox", lambda: False)


def state_of(lab):
    return clients.of("events").describe_rule(Name=lab.name("ended"))["State"]


def test_the_rule_of_a_learner_who_is_further_on_is_off_meanwhile_and_on_again_whatever_happens(far):
    lab = Lab("02-task-tokens-and-events")
    function = deploy.function(lab.name("hears"), "def lambda_handler(event, context):\n    pass\n")
    rule(lab.name("ended"), function, pattern={"source": ["aws.dms"]})
    with contextlib.suppress(ZeroDivisionError), unheard(lab):
        assert state_of(lab) == "DISABLED"
        1 / 0  # noqa: B018
    assert state_of(lab) == "ENABLED"
    clients.of("events").disable_rule(Name=lab.name("ended"))
    with unheard(lab):
        pass
    assert state_of(lab) == "DISABLED"  # the learner has switched it off


def test_where_there_is_no_rule_yet_nothing_is_switched(far):
    with unheard(Lab("03-callback-urls")):
        pass
