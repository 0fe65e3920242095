"""What checks of several labs do: find the learner's state machine, run it against small migrations, and look.

A check brings migrations of its own: each takes a second or so, and does what the case needs (it succeeds, it fails,
it takes long). Cases run side by side, so that a check takes as long as its longest.
"""

import concurrent.futures
import json
import time

from workshop import clients, deploy
from workshop.checks import NotAttempted, NotYet
from workshop.executions import History
from workshop.migrations import migration


def state_machine(lab, thing):
    """The ARN of the learner's state machine lab.name(thing). Raises NotAttempted where there is none."""
    if deploy.refusal(lab.name(thing)):
        raise NotYet(
            f"The last definition of {lab.name(thing)} was refused: {deploy.refusal(lab.name(thing))}",
            "A definition that Step Functions takes.",
        )
    arn = deploy.arn("states", f"stateMachine:{lab.name(thing)}")
    stepfunctions = clients.of("stepfunctions")
    try:
        stepfunctions.describe_state_machine(stateMachineArn=arn)
    except stepfunctions.exceptions.StateMachineDoesNotExist:
        raise NotAttempted(f"There is no state machine named {lab.name(thing)}.") from None
    return arn


def definition(machine):
    """The definition of a state machine, as a dict."""
    return json.loads(clients.of("stepfunctions").describe_state_machine(stateMachineArn=machine)["definition"])


# A replication task tells all its settings whenever it is described or started. These make them about 15 KB, as they
# are where a team has told DMS which characters to replace.
_LARGE_SETTINGS = {
    "CharacterSetSettings": {
        "CharacterReplacements": [
            {"SourceCharacterCodePoint": code, "TargetCharacterCodePoint": 63} for code in range(128, 288)
        ]
    }
}


def migrations(lab, cases):
    """Migrations for these cases, made side by side: {case: Migration}. Their settings are large.

    cases: {case: what `migration` takes beside its name}, as in {"fails": {"rows": 60, "fails": "bad row"}}.
    """
    with concurrent.futures.ThreadPoolExecutor(len(cases)) as pool:
        made = {
            case: pool.submit(migration, lab.name(f"check-{case}"), settings=_LARGE_SETTINGS, **options)
            for case, options in cases.items()
        }
        return {case: future.result() for case, future in made.items()}


class Run:
    """One execution of a learner's state machine, started by a check.

    machine: its ARN. input: a dict.
    """

    def __init__(self, machine, input):
        self._client = clients.of("stepfunctions")
        started = self._client.start_execution(stateMachineArn=machine, input=json.dumps(input))
        self.arn = started["executionArn"]
        self.outcome = {"status": "RUNNING"}

    @property
    def status(self):
        """As it was when `until` last looked: "RUNNING", "SUCCEEDED", "FAILED", "TIMED_OUT" or "ABORTED"."""
        return self.outcome["status"]

    @property
    def output(self):
        """The output of an execution that succeeded, as Python data."""
        return json.loads(self.outcome["output"])

    def history(self):
        return History.of(self.arn)

    def look(self):
        """Whether it has ended by now."""
        if self.status == "RUNNING":
            self.outcome = self._client.describe_execution(executionArn=self.arn)
        return self.status != "RUNNING"

    def stop(self):
        self._client.stop_execution(executionArn=self.arn)

    def in_words(self):
        """How it stands, as a part of a sentence: "ended FAILED (States.Runtime: ...)"."""
        if self.status == "RUNNING":
            return "was still running"
        reason = ": ".join(self.outcome[part] for part in ("error", "cause") if self.outcome.get(part))
        return f"ended {self.status}" + (f" ({_shortened(reason)})" if reason else "")

    def not_yet(self, observed, missing):
        """A NotYet that shows the end of this execution's history."""
        return NotYet(observed, missing, events=self.history().events)


def until(condition, seconds):
    """Wait for a condition, at most so long; returns whether it came."""
    end = time.monotonic() + seconds
    for pause in pauses():
        if condition():
            return True
        if time.monotonic() > end:
            return False
        time.sleep(pause)


def pauses():
    """Seconds between looks, without end: short at first, then a tenth of what was waited, half a second at most.

    So a wait takes a tenth longer than it must, and a long one does not keep the machine busy with looking.
    """
    waited = 0
    while True:
        pause = min(max(0.05, waited / 10), 0.5)
        yield pause
        waited += pause


def until_ended(runs, seconds):
    """Wait until these executions have ended, at most so long; gives whether they all have."""
    return until(lambda: all([run.look() for run in runs]), seconds)


def scheduled(history, action):
    """The events with which an execution called an SDK integration.

    action: the last part of the state's Resource, as in "describeReplicationTasks".
    """
    return [
        event
        for event in history.events
        if event["type"] == "TaskScheduled" and event["taskScheduledEventDetails"]["resource"].startswith(action)
    ]


def calls(history, action):
    """The seconds since the start at which it did so: [1.0, 2.0, ...]."""
    return [(event["timestamp"] - history.started).total_seconds() for event in scheduled(history, action)]


def waited(history, since, until):
    """The seconds that an execution spent in Wait states between two of its moments (seconds since its start).

    They hardly depend on how busy the machine is, as the time from one call to the next does.
    """
    waits = [visit for visit in history.states() if visit.type == "Wait" and visit.left is not None]
    return sum(visit.left - visit.entered for visit in waits if since <= visit.entered and visit.left <= until)


def _shortened(text):
    return text if len(text) <= 300 else text[:299] + "…"
