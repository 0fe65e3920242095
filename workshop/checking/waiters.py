"""Executions that wait for an answer, as they stand in the table of who waits: for checks of what answers them."""

import time

from workshop import deploy
from workshop.checking.executions import StateMachineRun
from workshop.checking.migrations import LONG
from workshop.checking.resources import Table
from workshop.checking.waiting import until

RETRIED_AFTER = 1  # seconds, the least that there is


class Waiters:
    """Executions that wait for an answer, each with its token in the table: Waiters(lab).begin(arn)."""

    def __init__(self, lab):
        self._table = Table(lab)
        table = deploy.arn("dynamodb", f"table/{self._table.name}")
        item = (
            "$merge([$states.input.Item, {'TaskToken': {'S': $states.context.Task.Token},"
            " 'Execution': {'S': $states.context.Execution.Id}}])"
        )
        # No function: a DynamoDB call that saves its own token. Retried on the error "Again", as often as need be.
        state = {
            "Type": "Task",
            "Resource": "arn:aws:states:::aws-sdk:dynamodb:putItem.waitForTaskToken",
            "Arguments": {"TableName": self._table.name, "Item": f"{{% {item} %}}"},
            "TimeoutSeconds": 600,  # more than any check takes
            "Retry": [{"ErrorEquals": ["Again"], "IntervalSeconds": RETRIED_AFTER, "BackoffRate": 1, "MaxAttempts": 9}],
            "End": True,
        }
        definition = {"QueryLanguage": "JSONata", "StartAt": "Wait", "States": {"Wait": state}}
        self._machine = deploy.state_machine(
            lab.name("check-waits"), definition, permissions={"dynamodb:PutItem": table}
        )

    def begin(self, arn: str, *, started_before="", created_at=None, lives=3600) -> "Waiter":
        """An execution that waits for this replication task; its item says what the arguments say.

        created_at: seconds since 1970, now by default. lives: seconds from then until the item expires.
        """
        created_at = int(time.time()) if created_at is None else created_at
        numbers = {"CreatedAt": {"N": str(created_at)}, "ExpiresAt": {"N": str(created_at + lives)}}
        item = {"ReplicationTaskArn": {"S": arn}, "StartedBefore": {"S": started_before}, **numbers}
        return Waiter(self._machine, {"Item": item}, self._table, arn)


class Waiter(StateMachineRun):
    """One of them. token: the one that it waits with; see `next_token` for the one after a retry."""

    def __init__(self, machine, input, table, arn):
        super().__init__(machine, input)
        self._table, self._waits_for = table, arn
        try:
            self.token = self.next_token(but=None)
        except BaseException:  # nobody else knows of it
            self.stop()
            raise

    def next_token(self, but: str | None) -> str:
        """The token that it waits with now, which is not `but`: that of the state before it was retried, if it was."""
        found = []
        if but:
            time.sleep(RETRIED_AFTER)  # before that there is nothing to look for

        def is_saved():
            found.append(self._saved())
            return found[-1] not in (None, but)

        until(is_saved, LONG, "an execution to save its token")
        return found[-1]

    def asked(self):
        return [], []  # it has nobody ask about its migration

    def pauses(self, events):
        return []

    def _saved(self):
        item = self._table.find(self._waits_for)
        return item["TaskToken"] if item and item.get("Execution") == self.arn else None
