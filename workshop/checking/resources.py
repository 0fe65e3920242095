"""What a learner has put into the account, as checks find it and call it."""

import contextlib
import dataclasses
import json
import re
import time

from botocore.exceptions import ReadTimeoutError

from workshop import clients, deploy
from workshop.checking.outcomes import OWN_FRAME, NotAttempted, NotYet, SandboxProblem, TooBusy, shortened
from workshop.checking.waiting import did_end, did_not_end, forgive, left, over, until
from workshop.faults import Faults

ROOM = 20  # seconds of patience, until Lambda has room for one more function


def state_machine(lab, thing: str) -> str:
    """The ARN of the learner's state machine lab.name(thing).

    Raises NotAttempted where there is none, and NotYet where the last definition was refused.
    """
    name, client = lab.name(thing), clients.of("stepfunctions")
    arn = deploy.arn("states", f"stateMachine:{name}")
    _judge_refused(name, "The last definition", "Step Functions takes the definition.")
    try:
        client.describe_state_machine(stateMachineArn=arn)
    except client.exceptions.StateMachineDoesNotExist:
        raise NotAttempted(f"There is no state machine named {name}.") from None
    return arn


def definition(machine: str) -> dict:
    """The definition of a state machine."""
    return json.loads(clients.of("stepfunctions").describe_state_machine(stateMachineArn=machine)["definition"])


def function(lab, thing: str) -> str:
    """The ARN of the learner's function lab.name(thing).

    Raises NotAttempted where there is none, and NotYet where the last source was refused.
    """
    return _function(lab, thing)["FunctionArn"]


def durable_function(lab, thing: str) -> str:
    """The qualified name of the learner's durable function lab.name(thing). Raises as `function` does."""
    found = _function(lab, thing)
    if "DurableConfig" not in found:
        raise NotYet(f"{lab.name(thing)} is not a durable function.", "A function that is deployed with durable=...")
    return f"{found['FunctionArn']}:$LATEST"


def _function(lab, thing):
    name, client = lab.name(thing), clients.of("lambda")
    _judge_refused(name, "The last source", "A source that compiles, with a lambda_handler(event, context).")
    try:
        return client.get_function_configuration(FunctionName=name)
    except client.exceptions.ResourceNotFoundException:
        raise NotAttempted(f"There is no function named {name}.") from None


def _judge_refused(name, what, missing):
    if why := deploy.refusal(name):
        raise NotYet(f"{what} of {name} was refused: {why}", missing)


@dataclasses.dataclass(frozen=True)
class Invoked:
    """How an invocation ended.

    error: as in "InvalidToken: An error occurred ...", None where there was none. result: what it returned then.
    raised_in: where in the function's own files the error was raised, innermost last: "callbacks.py, line 9: ...".
    """

    error: str | None
    result: object = None
    raised_in: tuple[str, ...] = ()

    @property
    def kind(self) -> str | None:
        """The name of the error's class."""
        return self.error and self.error.partition(":")[0]

    @property
    def where(self) -> str:
        """The line that raised the error, to be put behind it: " (submit.py, line 9: ...)"; "" if it is not known."""
        return f" ({shortened(self.raised_in[-1], 100)})" if self.raised_in else ""

    @property
    def raised(self) -> str | None:
        """The error and the line that raised it, without a full stop; None where there was none."""
        return self.error and f"{self.error.rstrip('.')}{self.where}"

    def in_words(self) -> str:
        """As a part of a sentence: "failed with KeyError: 'Table' (submit.py, line 9: ...)"."""
        if self.error is None:
            return "ended without an error"
        return f"failed with {self.error}{self.where}"


def _answer_of(function, payload):
    """What Lambda's Invoke returns, from a client that calls once: the function must not run twice.

    Where Lambda has no room for it, as in an account that may run ten functions at a time, it did not run at all.
    """
    answers = []

    def is_taken():
        client = clients.of("lambda", patience=left())
        with contextlib.suppress(client.exceptions.TooManyRequestsException):
            answers.append(client.invoke(FunctionName=function, Payload=payload))
        return answers

    if not until(is_taken, ROOM, "Lambda to have room for a function"):
        raise SandboxProblem("Lambda had no room for one more function for a while. Try again later.")
    return answers[0]


def invoke(function: str, event: dict) -> Invoked:
    """Invoke a function and wait for it, once, and for no longer than the check may take.

    Raises what `over` returns where that time is over.
    """
    name, began = function.partition(":function:")[2].partition(":")[0] or function, time.monotonic()
    try:
        answer = _answer_of(function, json.dumps(event))
    except ReadTimeoutError:
        did_not_end(name, time.monotonic() - began)
        raise over(f"the function {name} to end") from None
    payload = json.loads(answer["Payload"].read() or b"null")
    if "FunctionError" in answer and "Task timed out after" in payload.get("errorMessage", ""):
        did_not_end(name, time.monotonic() - began)
    else:
        did_end(name)
    if "FunctionError" not in answer:
        return Invoked(None, payload)
    said = f"{payload.get('errorType', 'Error')}: {payload.get('errorMessage', '')}"
    # botocore's own words about a refused call say twice what the code says once.
    said = re.sub(r"^\w+: An error occurred \((\w+)\) when calling the (\w+) operation: ", r"\1: ", said)[:300]
    frames = (OWN_FRAME.match(frame) for frame in payload.get("stackTrace", []))
    return Invoked(said, raised_in=tuple(f"{at[1]}, line {at[2]}: {at[3].strip()}" for at in frames if at))


def was_held(gate: Faults, error: str | None):
    """Make sure that a function which stood at a gate stood there for as long as the case needed it.

    error: how its invocation ended. Raises TooBusy where its time, or the gate's, was over before.
    """
    [record] = gate.records
    if record.get("met") and (record.get("unmet") or "timed out" in (error or "")):
        forgive()
        raise TooBusy("This machine is too busy to hold a function at its call. Try again later.")


class Table:
    """The table of who waits, lab.name("waiting"). key: the name of its key."""

    def __init__(self, lab, key="ReplicationTaskArn"):
        self.name, self._key = lab.name("waiting"), key
        self._table = clients.table(self.name)

    def find(self, key: str) -> dict | None:
        """The item with that key; None where there is none. Raises NotAttempted where there is no table."""
        try:
            return self._table.get_item(Key={self._key: key}, ConsistentRead=True).get("Item")
        except self._table.meta.client.exceptions.ResourceNotFoundException:
            raise self._is_missing() from None

    def _is_missing(self):
        return NotAttempted(f"There is no table named {self.name}: run the cell that makes it.")

    def put(self, **item):
        self._table.put_item(Item=item)

    def change(self, key: str, name: str, value):
        """Set one attribute of an item that is there."""
        self._table.update_item(
            Key={self._key: key},
            UpdateExpression="SET #name = :value",
            ExpressionAttributeNames={"#name": name},
            ExpressionAttributeValues={":value": value},
        )

    def delete(self, *keys: str):
        """Delete these items, if they are there. Raises NotAttempted where there is no table."""
        try:
            for key in keys:
                self._table.delete_item(Key={self._key: key})
        except self._table.meta.client.exceptions.ResourceNotFoundException:
            raise self._is_missing() from None
