"""What checks of durable functions do: start executions of the learner's function, and look how they stand."""

import json

from workshop import clients
from workshop.checks import NotYet, shortened
from workshop.checks.callbacks import function
from workshop.checks.watching import until

ENDS = ("SUCCEEDED", "FAILED", "TIMED_OUT", "STOPPED")


def durable_function(lab, thing):
    """The qualified name of the learner's durable function lab.name(thing). Raises NotAttempted where there is none."""
    arn = function(lab, thing)
    if "DurableConfig" not in clients.of("lambda").get_function_configuration(FunctionName=arn):
        raise NotYet(f"{lab.name(thing)} is not a durable function.", "A function that is deployed with durable=...")
    return f"{arn}:$LATEST"


class DurableRun:
    """One execution of a durable function, started by a check.

    function: its qualified name. input: a dict.
    """

    def __init__(self, function, input):
        self._client = clients.of("lambda")
        started = self._client.invoke(FunctionName=function, InvocationType="Event", Payload=json.dumps(input))
        self.arn = started["DurableExecutionArn"]
        self.outcome = {"Status": "RUNNING"}

    @property
    def status(self):
        """As it was when `look` last looked: "RUNNING", "SUCCEEDED", "FAILED", "TIMED_OUT", "STOPPED"."""
        return self.outcome["Status"]

    @property
    def result(self):
        """What an execution that succeeded has returned, as Python data."""
        return json.loads(self.outcome.get("Result") or "null")

    @property
    def error(self):
        """The name of the class that it failed with, without its module; "" where there is none."""
        return (self.outcome.get("Error", {}).get("ErrorType") or "").rpartition(".")[2]

    @property
    def message(self):
        """The message that it failed with; "" where there is none."""
        return self.outcome.get("Error", {}).get("ErrorMessage") or ""

    def look(self):
        """Whether it has ended by now."""
        if self.status not in ENDS:
            self.outcome = self._client.get_durable_execution(DurableExecutionArn=self.arn, IncludeExecutionData=True)
        return self.status in ENDS

    def stop(self):
        """Stop it, if it still runs."""
        if not self.look():
            self._client.stop_durable_execution(DurableExecutionArn=self.arn)

    def events(self):
        """Its history: a list of events as GetDurableExecutionHistory gives them, with their data."""
        pages = self._client.get_paginator("get_durable_execution_history").paginate(
            DurableExecutionArn=self.arn, IncludeExecutionData=True
        )
        return [event for page in pages for event in page["Events"]]

    def delays(self):
        """The seconds for which it decided to wait between two polls, in order, however it polls."""
        found = []
        for event in self.events():
            details = _details(event)
            if event.get("SubType") == "WaitForCondition" and "RetryDetails" in details:
                found.append(details["RetryDetails"].get("NextAttemptDelaySeconds"))
            elif event["EventType"] == "WaitStarted":
                found.append(details.get("Duration"))
        return [seconds for seconds in found if seconds is not None]

    def callback_ids(self):
        """The IDs of the callbacks that it has made so far, in order."""
        return [_details(event)["CallbackId"] for event in self.events() if event["EventType"] == "CallbackStarted"]

    def failures(self):
        """How many attempts of steps have failed so far."""
        return sum(event["EventType"] == "StepFailed" for event in self.events())

    def tried_again_after(self):
        """The names of the errors after which steps were tried again, without their modules."""
        failed = [_details(event) for event in self.events() if event["EventType"] == "StepFailed"]
        again = [details for details in failed if "NextAttemptDelaySeconds" in details.get("RetryDetails", {})]
        return [(details["Error"]["Payload"].get("ErrorType") or "").rpartition(".")[2] for details in again]

    def has_submitted(self):
        """Whether it has made a callback, and no step is under way or waits for another attempt."""
        kinds = [event["EventType"] for event in self.events() if event["EventType"].startswith(("Step", "Callback"))]
        return "CallbackStarted" in kinds and kinds[-1] == "StepSucceeded"

    def in_words(self):
        """How it stands, as a part of a sentence: "ended FAILED (ValueError: ...)"."""
        if self.status not in ENDS:
            return "was still running"
        reason = ": ".join(filter(None, (self.error, self.message)))
        return f"ended {self.status}" + (f" ({shortened(reason)})" if reason else "")

    def not_yet(self, observed, missing):
        """A NotYet that shows the end of this execution's history."""
        return NotYet(observed, missing, events=[_line_of(event) for event in self.events()])


def until_ended(runs, seconds):
    """Wait until these executions have ended, at most so long; gives whether they all have."""
    return until(lambda: all([run.look() for run in runs]), seconds)


def _details(event):
    return event.get(f"{event['EventType']}Details", {})


def _line_of(event):
    error = _details(event).get("Error", {}).get("Payload", {})
    name = None if event["EventType"].startswith("Execution") else event.get("Name")  # of itself, and random
    told = [name, (error.get("ErrorType") or "").rpartition(".")[2], error.get("ErrorMessage")]
    return f"{event['EventId']:>3}  " + "  ".join([event["EventType"], *filter(None, told)])[:150]
