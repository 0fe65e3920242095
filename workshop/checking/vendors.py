"""What checks of labs with the vendor do: rehearse its audits, have executions wait, and send what it would send."""

import dataclasses
import json
import secrets
from collections.abc import Mapping

from workshop import clients, deploy, vendor
from workshop.checking.attacks import report, send
from workshop.checking.executions import StateMachineRun
from workshop.checking.outcomes import NotAttempted, NotYet, SandboxProblem
from workshop.checking.waiting import side_by_side, until

LONGEST_WAIT = 600  # seconds that an execution of a check waits for its answer; it is stopped before
PATIENCE = 30  # seconds, for what comes whatever the answer is

# Which attempt of a state it is, as the lab's state machine says it: a text, greater for every later attempt.
ATTEMPT = "$states.context.State.EnteredTime & ' ' & $formatNumber($states.context.State.RetryCount, '000')"


def signed_up(lab) -> vendor.Vendor:
    """The vendor that the lab has signed up with. Raises NotAttempted where there is none."""
    found = vendor.find(lab.name("vendor"))
    if found is None:
        raise NotAttempted(f"There is no vendor named {lab.name('vendor')}: run the cell that signs up.")
    return found


def rehearse(lab, verirow: vendor.Vendor, rehearsals: Mapping[str, Mapping]) -> dict[str, str]:
    """Let the vendor rehearse these cases; returns {case: the ARN of its table}. A table exists where it has rows.

    rehearsals: {case: how its audit goes, as Vendor.rehearse takes it; `rows` is the content of its table}.
    """

    def prepare(case):
        how = dict(rehearsals[case])
        rows = how.pop("rows", None)
        # Where nobody reads it, it need not be there.
        name = lab.name(f"check-{case.replace(' ', '-')}") if rows else lab.name(f"check-{secrets.token_hex(6)}")
        table = deploy.arn("dynamodb", f"table/{name}")
        if rows:
            deploy.table(name, key="iata")
            with clients.table(name).batch_writer() as batch:
                for row in rows:
                    batch.put_item(Item=row)
        verirow.rehearse(table, **{"progress": 0, "patience": 10, **how})
        return table

    prepared = side_by_side(*(lambda case=case: prepare(case) for case in rehearsals), most=4)
    return dict(zip(rehearsals, prepared, strict=True))


# -- executions that wait for the vendor ------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Attempt:
    """An attempt of a state that waits. order: greater, as text, for every later attempt. token: its task token."""

    order: str
    token: str


class Waits:
    """Executions that wait until their token is answered, and do nothing else: whoever gets the token is for the check.

    waiting: the name of a table of the learner's. thing: as what its state machine is named.
    """

    def __init__(self, lab, waiting: str, thing: str = "check-waits"):
        # A call that changes nothing, and that the history tells with the token in it.
        key = f"{{% {ATTEMPT} & ' ' & $states.context.Task.Token %}}"
        state = {
            "Type": "Task",
            "Resource": "arn:aws:states:::aws-sdk:dynamodb:getItem.waitForTaskToken",
            "Arguments": {"TableName": waiting, "Key": {"Id": {"S": key}}},
            "HeartbeatSeconds": "{% $states.input.HeartbeatSeconds %}",
            "TimeoutSeconds": LONGEST_WAIT,
            # The state is entered again, with a new token.
            "Catch": [{"ErrorEquals": ["Again"], "Output": "{% $states.input %}", "Next": "Wait"}],
            "End": True,
        }
        self._machine = deploy.state_machine(
            lab.name(thing),
            {"QueryLanguage": "JSONata", "StartAt": "Wait", "States": {"Wait": state}},
            permissions={"dynamodb:GetItem": deploy.arn("dynamodb", f"table/{waiting}")},
        )

    def begin(self, heartbeat: float = LONGEST_WAIT - 1, name: str | None = None) -> "Waiting":
        """heartbeat: its HeartbeatSeconds. name: of the execution."""
        return Waiting(self._machine, {"HeartbeatSeconds": heartbeat}, name)


class VendorRun(StateMachineRun):
    """An execution that waits for the vendor, and for no migration."""

    def asked(self):
        return [], []

    def pauses(self, events):
        return []


class Waiting(VendorRun):
    """One of them."""

    def attempt(self, number: int = 1) -> Attempt:
        """Its first attempt, or a later one, once that waits."""

        def waits():
            return sum(event["type"] == "TaskSubmitted" for event in self.events()) >= number

        if not until(waits, PATIENCE, "an execution to wait"):
            raise SandboxProblem("An execution of the check did not come to wait for its token.")
        scheduled = [event for event in self.events() if event["type"] == "TaskScheduled"][number - 1]
        key = json.loads(scheduled["taskScheduledEventDetails"]["parameters"])["Key"]["Id"]["S"]
        order, _, token = key.rpartition(" ")
        return Attempt(order, token)

    def next_attempt(self) -> Attempt:
        """End the attempt that waits now, whose token is dead from then on; returns the next one."""
        number = sum(event["type"] == "TaskSubmitted" for event in self.events())
        token = self.attempt(number).token
        try:
            self._client.send_task_failure(taskToken=token, error="Again", cause="The check tries the state again.")
        except self._client.exceptions.TaskTimedOut:
            raise NotYet(
                "The token of an execution was answered before the vendor had sent a report for it.",
                "Nobody answers a token but the function behind its address.",
            ) from None
        return self.attempt(number + 1)


# -- what the vendor got, and what it would send ----------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Order:
    """A request for an audit as the vendor got it: its body and its headers as one text, and what it named."""

    text: str
    url: str | None
    key: str | None

    @property
    def address(self) -> str:
        """The part of the URL that is the execution's own."""
        return (self.url or "").rpartition("/")[2]


def orders_of(verirow: vendor.Vendor, table: str) -> list[Order]:
    """The orders for audits of a table, in the order in which they came."""

    def read(order):
        try:
            url = json.loads(order["body"]).get("callback_url")
        except (ValueError, AttributeError):
            url = None
        return Order(order["body"] + json.dumps(order["headers"]), url, order["headers"].get("idempotency-key"))

    return [read(order) for order in verirow.orders(table)]


class Messages:
    """Messages of the vendor, signed, sent to an execution's callback URL; each returns the status of the answer.

    run: what has the `url` that they are sent to.
    """

    def __init__(self, verirow):
        self._vendor = verirow

    def raw(self, run, body):
        return send(run.url, self._vendor.headers(body), body)

    def message(self, run, kind, url=None, **content):
        return self.raw(run, self._vendor.message(kind, url or run.url, **content))

    def report(self, run, url=None):
        return self.raw(run, report(self._vendor, url or run.url))

    def progress(self, run):
        return self.message(run, "check.progress", percent=50)

    def failure(self, run):
        return self.message(run, "check.failed", error={"code": "CheckFailed", "message": "Half of it is missing."})
