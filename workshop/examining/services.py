"""What the table says of the services that are waited for (`workshop/data/waits.toml`), each row with its source."""

import dataclasses
import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any


@dataclasses.dataclass(frozen=True)
class Job:
    """A kind of job that is waited for; the fields are explained where the data is."""

    service: str
    asks: tuple[str, ...]
    starts: tuple[str, ...]
    source: str
    sync: str | None = None
    source_of_events: str | None = None
    detail_types: tuple[str, ...] = ()
    pattern: str | None = None
    delivery: str | None = None
    tells: str | None = None

    @property
    def offers(self) -> str:
        """What saves the polling: ".sync", "events" or "neither"."""
        return ".sync" if self.sync else "events" if self.source_of_events or self.tells else "neither"

    @property
    def event_pattern(self) -> Mapping[str, Any]:
        """An event pattern for the end of such a job: the one of the table, or all events of its detail-types."""
        if self.pattern:
            return json.loads(self.pattern)
        return {"source": [self.source_of_events], "detail-type": list(self.detail_types)}


def _read():
    table = tomllib.loads((Path(__file__).parent.parent / "data" / "waits.toml").read_text(encoding="utf-8"))
    jobs = [Job(**{key: tuple(value) if isinstance(value, list) else value for key, value in row.items()})
            for row in table["job"]]  # fmt: skip
    sends = {row["source_of_events"]: row for row in table["sends"]}
    events = {(row["source_of_events"], row["detail_type"]): row for row in table["event"]}
    return jobs, sends, events


JOBS, SENDS, EVENTS = _read()

# One service has other names in optimised integrations than in those of the SDK.
_SAME = {
    "elasticmapreduce": "emr",
    "states": "sfn",
    "emr-serverless": "emrserverless",
    "emr-containers": "emrcontainers",
}


def called(resource: str) -> tuple[str, str] | None:
    """The service and action that a Task's Resource calls, in the words of the table; None where it names neither."""
    if not isinstance(resource, str):
        return None
    named = _RESOURCE.search(_PLACEHOLDER.sub("x", resource))
    return (_SAME.get(named[1], named[1]), named[2]) if named else None


_PLACEHOLDER = re.compile(r"\$\{[^}]*\}")  # such as ${AWS::Partition}, which has colons of its own
_RESOURCE = re.compile(r":states:[^:]*:[^:]*:(?:aws-sdk:)?([^:.]+):([^:.]+)")


def asked(resource: str) -> Job | None:
    """The job that a Task with this Resource asks about; None where the table does not know it."""
    named = called(resource)
    if named is None:
        return None
    return next((job for job in JOBS if job.service == named[0] and _has(job.asks, named[1])), None)


def started(resource: str, job: Job) -> bool:
    """Whether a Task with this Resource begins such a job."""
    named = called(resource)
    return named is not None and named[0] == job.service and _has(job.starts, named[1])


def _has(actions, action):
    return action.lower() in {one.lower() for one in actions}
