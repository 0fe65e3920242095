"""The migrations of a check's cases: there while its cases play, and gone afterwards, whatever the cases did."""

import pytest

from workshop import clients
from workshop.checking.migrations import small_migrations
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
