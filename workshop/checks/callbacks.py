"""What checks of callback labs do: small migrations, the learner's functions, and executions that wait for an answer.

The table of who waits is the one that such a lab makes: lab.name("waiting"), by ReplicationTaskArn.
"""

import concurrent.futures
import dataclasses
import datetime
import itertools
import json
import os
import re
import time

from botocore.exceptions import ClientError

from workshop import clients, deploy
from workshop.checks import NotAttempted, NotYet
from workshop.checks.watching import Run, migrations, pauses, until
from workshop.events import fault

LONG = 30  # seconds, to wait for what comes whatever the answer is


def function(lab, thing):
    """The ARN of the learner's function lab.name(thing). Raises NotAttempted where there is none."""
    if deploy.refusal(lab.name(thing)):
        raise NotYet(
            f"The last source of {lab.name(thing)} was refused: {deploy.refusal(lab.name(thing))}",
            "A source that compiles, with a lambda_handler(event, context).",
        )
    client = clients.of("lambda")
    try:
        return client.get_function_configuration(FunctionName=lab.name(thing))["FunctionArn"]
    except client.exceptions.ResourceNotFoundException:
        raise NotAttempted(f"There is no function named {lab.name(thing)}.") from None


@dataclasses.dataclass(frozen=True)
class Invoked:
    """How an invocation ended.

    error: as in "InvalidToken: An error occurred ...", None where there was none. result: what it returned then.
    """

    error: str | None
    result: object = None


def invoke(function, event):
    """Invoke a function and wait for it."""
    answer = clients.of("lambda").invoke(FunctionName=function, Payload=json.dumps(event))
    payload = json.loads(answer["Payload"].read() or b"null")
    if "FunctionError" not in answer:
        return Invoked(None, payload)
    said = f"{payload.get('errorType', 'Error')}: {payload.get('errorMessage', '')}"
    # botocore's own words about a refused call say twice what the code says once.
    return Invoked(re.sub(r"^\w+: An error occurred \((\w+)\) when calling the (\w+) operation: ", r"\1: ", said)[:300])


def side_by_side(*cases):
    """Run these functions at the same time; what the first of them raised, in their order, is raised."""
    with concurrent.futures.ThreadPoolExecutor(len(cases)) as pool:
        running = [pool.submit(case) for case in cases]
    for case in running:
        case.result()


def eventually(condition, looks=40):
    """Look so often whether something has come; says whether it has. For what comes only if the answer is right.

    A number of looks and not of seconds, since on a machine that is busy all of it takes longer, the looking too; 40
    take eight seconds where it is not.
    """
    for pause in itertools.islice(pauses(), looks):
        if condition():
            return True
        time.sleep(pause)
    return False


# Kinds of migrations; all are over in an instant, but for the slow one, which takes five minutes.
KINDS = {
    "finishes": {"rows": 60, "rows_per_second": 600},
    "is slow": {"rows": 60, "rows_per_second": 0.2},
    "fails": {"rows": 60, "rows_per_second": 600, "fails": "bad row"},
    "sets a table aside": {"rows": 60, "rows_per_second": 600, "fails": "table set aside"},
}


def small_migrations(lab, cases):
    """Migrations for these cases, {case: Migration}; those with the same file share it and a table, which is quicker.

    cases: {case: one of KINDS}.
    """
    kinds = {case: KINDS[kind] for case, kind in cases.items()}
    first = {}  # the first case of each file
    for case, kind in kinds.items():
        first.setdefault(kind.get("fails"), case)
    made = migrations(lab, {case: kinds[case] for case in first.values()})

    def another(case):
        like = made[first[kinds[case].get("fails")]]
        return like.another(lab.name(f"check-{case}"), rows_per_second=kinds[case]["rows_per_second"])

    others = [case for case in cases if case not in made]
    with concurrent.futures.ThreadPoolExecutor(max(1, len(others))) as pool:
        return made | dict(zip(others, pool.map(another, others), strict=True))


def on_sandbox():
    """Whether things can be made to go wrong on purpose."""
    return bool(os.environ.get("AWS_ENDPOINT_URL"))


def lose_events(*made, runs=1):
    """Lose the events with which the next runs of these end. (On AWS that cannot be: there the rule sees them.)"""
    if on_sandbox():
        for migration in made:
            fault("drop", migration, count=runs)


def ended(migration):
    """Whether its latest run is over, however it went."""
    return migration.describe()["Status"] in ("stopped", "failed")


def started(migration, described=None):
    """When its latest run began, as an item has it: UTC, as text."""
    moment = (described or migration.describe())["ReplicationTaskStats"].get("StartDate")
    return str(moment.astimezone(datetime.UTC)) if moment else ""


def runs_since(migration, run):
    """Whether it was started again after that run, which has ended."""
    described = migration.describe()
    return described["Status"] not in ("stopped", "failed") or started(migration, described) != run


def stop(*made):
    """Stop what still runs, and wait until it has stopped."""
    for migration in made:
        until(lambda migration=migration: migration.describe()["Status"] != "starting", LONG)
        if migration.describe()["Status"] == "running":
            try:
                migration.stop()
            except ClientError as refusal:
                if refusal.response["Error"]["Code"] != "InvalidResourceStateFault":  # it has ended meanwhile
                    raise
    until(lambda: all(migration.describe()["Status"] not in ("running", "stopping") for migration in made), LONG)


class Table:
    """The table of who waits. key: the name of its key."""

    def __init__(self, lab, key="ReplicationTaskArn"):
        self.name, self._key = lab.name("waiting"), key
        self._table = clients.table(self.name)

    def find(self, key):
        """The item with that key; None where there is none. Raises NotAttempted where there is no table."""
        try:
            return self._table.get_item(Key={self._key: key}, ConsistentRead=True).get("Item")
        except self._table.meta.client.exceptions.ResourceNotFoundException:
            raise NotAttempted(f"There is no table named {self.name}: run the cell that makes it.") from None

    def put(self, **item):
        self._table.put_item(Item=item)

    def change(self, key, name, value):
        """Set one attribute of an item that is there."""
        self._table.update_item(
            Key={self._key: key},
            UpdateExpression="SET #name = :value",
            ExpressionAttributeNames={"#name": name},
            ExpressionAttributeValues={":value": value},
        )

    def delete(self, *keys):
        """Delete these items, if they are there. Raises NotAttempted where there is no table."""
        self.find("nobody")
        for key in keys:
            self._table.delete_item(Key={self._key: key})


class Waiters:
    """Executions that wait for an answer, each with its token in the table: Waiters(lab).begin(arn)."""

    def __init__(self, lab):
        self._table = Table(lab)
        table = deploy.arn("dynamodb", f"table/{self._table.name}")
        item = (
            "$merge([$states.input.Item, {'TaskToken': {'S': $states.context.Task.Token},"
            " 'Execution': {'S': $states.context.Execution.Id}}])"
        )
        # No function: a DynamoDB call that saves its own token. Retried on the error "Again", once.
        state = {
            "Type": "Task",
            "Resource": "arn:aws:states:::aws-sdk:dynamodb:putItem.waitForTaskToken",
            "Arguments": {"TableName": self._table.name, "Item": f"{{% {item} %}}"},
            "TimeoutSeconds": 600,  # more than any check takes
            "Retry": [{"ErrorEquals": ["Again"], "IntervalSeconds": 1, "MaxAttempts": 1}],
            "End": True,
        }
        definition = {"QueryLanguage": "JSONata", "StartAt": "Wait", "States": {"Wait": state}}
        self._machine = deploy.state_machine(
            lab.name("check-waits"), definition, permissions={"dynamodb:PutItem": table}
        )

    def begin(self, arn, *, started_before="", created_at=None):
        """An execution that waits for this replication task; its item says what the arguments say."""
        created_at = int(time.time()) if created_at is None else created_at
        numbers = {"CreatedAt": {"N": str(created_at)}, "ExpiresAt": {"N": str(created_at + 3600)}}
        item = {"ReplicationTaskArn": {"S": arn}, "StartedBefore": {"S": started_before}, **numbers}
        return Waiter(self._machine, {"Item": item}, self._table, arn)


class Waiter(Run):
    """One of them. token: the one that it waits with; see `next_token` for the one after a retry."""

    def __init__(self, machine, input, table, arn):
        super().__init__(machine, input)
        self._table, self._waits_for = table, arn
        self.token = self.next_token(but=None)

    def next_token(self, but):
        """The token that it waits with now, which is not `but`."""
        until(lambda: self._saved() not in (None, but), LONG)
        return self._saved()

    def _saved(self):
        item = self._table.find(self._waits_for)
        return item["TaskToken"] if item and item.get("Execution") == self.arn else None

    def end(self):
        """Stop it, if it still waits."""
        if not self.look():
            self.stop()
