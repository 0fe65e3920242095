"""The vendor: a third party that checks the quality of a table, and has no events, only a callback URL.

    verirow = vendor.deploy(lab.name("vendor"))     sign up: gives its URL, your API key and your secret

It is a company of its own with an account of its own, as far as the labs are concerned; learners see its API page
(lesson 03) and talk HTTP with it. Here it is made of an HTTP API, two functions and a table, on the sandbox and on AWS
alike: `api.py` takes orders, `worker.py` does the work and calls back, `signing.py` signs.
"""

import dataclasses
import json
import re
import secrets
from contextlib import suppress
from pathlib import Path

from workshop import clients
from workshop import deploy as deployed
from workshop.http_apis import http_api
from workshop.vendor.signing import as_sent, signed

_HERE = Path(__file__).parent
LONGEST_CHECK = 24 * 3600  # seconds that a check may take, with all its deliveries

# How a check goes, where nothing else is said; see Vendor.rehearse.
_USUAL = {
    "seconds": 3,
    "progress": 0,
    "fails": None,
    "twice": False,
    "late_progress": False,
    "silent": False,
    "content_type": "application/json",
    "answers": [],
    "slow_seconds": 4,
    "patience": 5,
    "attempts": 6,
}


@dataclasses.dataclass(frozen=True)
class Vendor:
    """The vendor as its customer knows it.

    url: of its API. key: your API key, which goes into each request. secret: with which it signs what it sends to you.
    """

    name: str
    url: str
    key: str = dataclasses.field(repr=False)
    secret: str = dataclasses.field(repr=False)

    def rehearse(self, table, **how):
        """Let all checks of a table go as is said here; what is not said is as usual, and what was before is forgotten.

        table: the table's ARN.
        seconds: how long the check takes; whole seconds, or less than one.
        progress: how many progress callbacks it sends on the way.
        fails: a message with which the check fails.
        twice: True: it sends each callback twice, at the same moment.
        late_progress: True: one more progress callback comes a second after the end.
        silent: True: it never calls back. Its status API tells the truth all the same.
        content_type: of its callbacks.
        answers: what the first orders get in place of a 202, one after the other: a status (the order is not taken),
            "lost" (it is taken, and the answer is a 502), "slow" (it is taken, and the 202 comes after slow_seconds),
            "overtaken" (it is taken, and the 202 comes after the first callback, or after slow_seconds), "taken".
        patience: seconds for which it waits for the answer to a callback.
        attempts: how often it tries to deliver one.
        """
        _known(how)
        item = {"id": f"table/{table}", "how": json.dumps(how), "orders": 0}
        self._records().put_item(Item=item)

    def orders(self, table):
        """The orders for checks of a table that came in: a list of dicts with `body` (text) and `headers` (a dict)."""
        return [{"body": each["body"], "headers": json.loads(each["headers"])} for each in self._requests(table)]

    def checks(self, table):
        """The checks of a table that were begun: a list of dicts.

        They have check_id, callback_url, status, ended (when, as text in ISO 8601; None while it runs) and deliveries.
        deliveries: the callbacks that were sent: dicts with type, attempt, answer (a status, None for none) and at.
        """
        begun = dict.fromkeys(each["check_id"] for each in self._requests(table) if "check_id" in each)
        kept = ("check_id", "callback_url", "status", "ended")
        return [
            {**{name: item.get(name) for name in kept}, "deliveries": [json.loads(told) for told in item["deliveries"]]}
            for item in self._items(f"check/{check_id}" for check_id in begun)
        ]

    def message(self, kind, callback_url, **content):
        """A message as the vendor sends it, as bytes: of a kind ("check.completed"), about a check made up for it.

        content: what goes in beside, or in place of, the usual: report=..., error=..., percent=..., check_id=...
        """
        usual = {"id": f"msg_{secrets.token_hex(8)}", "from": "Vérirow", "type": kind}
        return as_sent({**usual, "check_id": "chk_0", "callback_url": callback_url, **content})

    def headers(self, body, at=None, content_type="application/json"):
        """The headers with which the vendor sends a body; at: signed at that time, in seconds since 1970."""
        return {"Content-Type": content_type, "User-Agent": "Verirow/1", **signed(body, self.secret, at)}

    def _records(self):
        return clients.table(f"{self.name}-records")

    def _requests(self, table):
        """What the vendor has kept of the orders for checks of a table, since they were rehearsed."""
        known = self._records().get_item(Key={"id": f"table/{table}"}, ConsistentRead=True).get("Item", {"orders": 0})
        return self._items(f"request/{turn}/{table}" for turn in range(int(known["orders"])))

    def _items(self, ids):
        """The items with these IDs that are there, in their order."""
        records, wanted = self._records(), list(ids)
        left, found = [{"id": each} for each in wanted], {}
        while left:
            some, left = left[:100], left[100:]  # as many as one BatchGetItem may ask for
            answer = records.meta.client.batch_get_item(
                RequestItems={records.name: {"Keys": some, "ConsistentRead": True}}
            )
            found |= {item["id"]: item for item in answer["Responses"].get(records.name, [])}
            left += answer["UnprocessedKeys"].get(records.name, {}).get("Keys", [])
        return [found[each] for each in wanted if each in found]


def deploy(name, *, reads=None, **usual):
    """Sign up with the vendor: put it into the account, and give it as its customer knows it.

    reads: the names of the tables that it may read, as in "you-03-*"; by default those of its own lab.
    usual: how its checks go unless a rehearsal says otherwise; see Vendor.rehearse.
    Called again it keeps URL, key and secret, and forgets its checks.
    """
    _known(usual)
    before = find(name)
    key, secret = (before.key, before.secret) if before else (secrets.token_urlsafe(24), secrets.token_urlsafe(32))
    deployed.table(f"{name}-records", key="id")
    records = deployed.arn("dynamodb", f"table/{name}-records")
    lab = re.match(r".*?-\d\d-", name)
    tables = deployed.arn("dynamodb", f"table/{reads or f'{lab[0] if lab else name}*'}")
    known = {"RECORDS": f"{name}-records"}
    worker = deployed.function(
        f"{name}-worker",
        _HERE / "worker.py",
        modules=[_HERE / "signing.py"],
        permissions={"dynamodb:Scan": tables, "dynamodb:UpdateItem": records},
        environment={**known, "SECRET": secret},
        timeout=60,
        durable=LONGEST_CHECK,
    )
    api = deployed.function(
        f"{name}-api",
        _HERE / "api.py",
        permissions={
            **{f"dynamodb:{action}": records for action in ("GetItem", "PutItem", "UpdateItem")},
            "lambda:InvokeFunction": f"{worker}:*",
        },
        environment={**known, "API_KEY": key, "WORKER": f"{worker}:$LATEST", "PACE": json.dumps({**_USUAL, **usual})},
        timeout=29,
    )
    url = http_api(name, {"POST /v1/checks": api, "GET /v1/checks/{id}": api})
    return Vendor(name, url, key, secret)


def find(name):
    """The vendor of that name as it was deployed, or None."""
    functions = clients.of("lambda")
    with suppress(functions.exceptions.ResourceNotFoundException):
        key, secret = (
            functions.get_function_configuration(FunctionName=f"{name}-{part}")["Environment"]["Variables"][variable]
            for part, variable in (("api", "API_KEY"), ("worker", "SECRET"))
        )
        pages = clients.of("apigatewayv2").get_paginator("get_apis").paginate()
        for page in pages:
            for api in page["Items"]:
                if api["Name"] == name:
                    return Vendor(name, api["ApiEndpoint"], key, secret)
    return None


def _known(how):
    unknown = sorted(set(how) - set(_USUAL))
    if unknown:
        raise ValueError(f"The vendor cannot rehearse {', '.join(unknown)}. It can: {', '.join(_USUAL)}.")
