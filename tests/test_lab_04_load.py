"""The design that lab 04 teaches, under load: its solution, 100 migrations at once, with all that it should withstand.

Of every ten migrations one loses its event, one has it twice, one has it before its start call returns, one gets no
answer from its start call, and one fails. Every execution must end as its migration did, and every migration be started
once.
"""

import boto3
import pytest
from answers import durable_functions as lab_04
from test_lab_02_load import Starts

from workshop import sandbox as process
from workshop.checking.executions import DurableRun
from workshop.checking.resources import durable_function
from workshop.checking.waiting import until
from workshop.events import ENDINGS
from workshop.migrations import migration
from workshop.names import name

pytestmark = [pytest.mark.long, pytest.mark.takes(60)]

MIGRATIONS = 100
PATIENCE = 900  # seconds: less than the other timeout, so that who is not answered is seen
TIMEOUT = 20  # seconds after which an execution looks, where its event was lost
FAULTS = {  # by the last digit
    0: {"fault": "drop", "events": ENDINGS},
    1: {"fault": "duplicate", "events": ENDINGS},
    2: {"fault": "early", "events": ENDINGS, "seconds": 0.1},
    4: {"fault": "unanswered"},
}
FAILS = 3


class Lab:
    """As much of a lab as the solution needs to be deployed."""

    notebook = "04-durable-functions"

    @staticmethod
    def name(thing):
        return name("04", f"load-{thing}")


def test_the_solution_under_load(account, tmp_path):
    lab_04.prepare()
    lab = Lab()
    lab_04.give(lab, 3, {"name": "the solution"}, tmp_path)
    started = Starts(Lab.name("starts"))
    made = migrations()
    process.add_faults(
        *(
            {**FAULTS[number % 10], "task_arn": one.arn, "count": 1}
            for number, one in enumerate(made)
            if number % 10 in FAULTS
        )
    )
    migrate = durable_function(lab, "migrate")
    # What nobody answers is looked at; what is answered late, on a busy machine, has time enough.
    runs = [
        DurableRun(migrate, {"ReplicationTaskArn": one.arn, "TimeoutSeconds": 3000 if number % 10 else TIMEOUT})
        for number, one in enumerate(made)
    ]
    until(lambda: all([run.look() for run in runs]), PATIENCE)
    assert [number for number, run in enumerate(runs) if run.status == "RUNNING"] == []
    for number, (one, run) in enumerate(zip(made, runs, strict=True)):
        output, error, cause = run.outcome()
        if number % 10 == FAILS:
            assert (run.status, error) == ("FAILED", "MigrationFailed"), cause
            assert "is not a REAL8" in cause
        elif number % 10 == 0 and error == "MigrationTimedOut":  # right, where it ran late on a busy machine
            assert one.describe()["ReplicationTaskStats"]["StopDate"] > run.events()[-1]["EventTimestamp"]
        else:
            assert run.status == "SUCCEEDED", (error, cause)
            assert output == {"ReplicationTaskArn": one.arn}
        assert len(run.callback_ids()) == 1
    arns = [one.arn for one in made]
    assert started.of(arns) == dict.fromkeys(arns, 1)
    boto3.client("events").disable_rule(Name=Lab.name("ended"))


def migrations():
    """Tiny migrations. They share the endpoints of two, a good one and one that fails."""
    models = {
        fails: migration(Lab.name("bad" if fails else "good"), rows=5, fails=fails) for fails in (None, "bad row")
    }
    return [
        models["bad row" if number % 10 == FAILS else None].another(Lab.name(f"task-{number}"), rows_per_second=100)
        for number in range(MIGRATIONS)
    ]
