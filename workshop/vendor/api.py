"""The vendor's HTTP API: takes orders for checks, and says how they stand.

    POST /v1/checks        {"table": ARN, "callback_url": URL}, header Idempotency-Key -> 202 {"check_id", "status"}
    GET  /v1/checks/{id}   -> 200 {"check_id", "status", "report" or "error", "ended", "deliveries"}

It is a Lambda function, and keeps what it knows in one DynamoDB table. The work itself is worker.py's.
"""

import base64
import hashlib
import hmac
import json
import os
import secrets
import time
import urllib.parse
from contextlib import suppress

import boto3

records = boto3.resource("dynamodb").Table(os.environ["RECORDS"])
functions = boto3.client("lambda")
there_already = records.meta.client.exceptions.ConditionalCheckFailedException
begun_already = functions.exceptions.DurableExecutionAlreadyStartedException


class Refused(Exception):
    """Refused(status, why)"""


def lambda_handler(event, context):
    try:
        _authenticate(event["headers"].get("authorization", ""))
        if event["routeKey"].startswith("GET"):
            return _answer(200, _status_of(event["pathParameters"]["id"]))
        return _order(event)
    except Refused as refusal:
        status, why = refusal.args
        return _answer(status, {"message": why})


def _authenticate(authorization):
    wanted = f"Bearer {os.environ['API_KEY']}"
    if not hmac.compare_digest(authorization.encode(), wanted.encode()):
        raise Refused(401, "Authorization must be Bearer and your API key.")


def _status_of(check_id):
    check = records.get_item(Key={"id": f"check/{check_id}"}, ConsistentRead=True).get("Item")
    if check is None:
        raise Refused(404, f"There is no check {check_id!r:.80}.")
    shown = {name: check[name] for name in ("check_id", "status", "ended") if name in check}
    for name in ("report", "error", "deliveries"):
        if name in check:
            shown[name] = json.loads(check[name]) if name != "deliveries" else [json.loads(d) for d in check[name]]
    return shown


def _order(event):
    """Take an order, as its rehearsal says: see Vendor.rehearse."""
    body = event.get("body") or ""
    text = base64.b64decode(body).decode(errors="replace") if event["isBase64Encoded"] else body
    table, callback_url = _checked(text)
    key = event["headers"].get("idempotency-key", "")
    if len(key) > 255:
        raise Refused(400, "An Idempotency-Key has at most 255 characters.")
    how, turn = _rehearsal(table)
    request = {"id": f"request/{turn}/{table}"}
    records.put_item(Item={**request, "body": text, "headers": json.dumps(_shown(event["headers"]))})
    first = how["answers"][turn] if turn < len(how["answers"]) else "taken"
    if isinstance(first, int):
        raise Refused(first, "This is a rehearsal: the order was not taken.")
    check_id = _take(table, callback_url, key, how)
    records.update_item(
        Key=request, UpdateExpression="SET check_id = :check_id", ExpressionAttributeValues={":check_id": check_id}
    )
    if first == "slow":
        time.sleep(how["slow_seconds"])
    if first == "overtaken":
        end = time.monotonic() + how["slow_seconds"]
        while time.monotonic() < end and not _status_of(check_id)["deliveries"]:
            time.sleep(0.05)
    if first == "lost":
        raise Refused(502, "This is a rehearsal: the order was taken, and this answer does not say so.")
    return _answer(202, _status_of(check_id))


def _checked(text):
    """(table, callback_url or None) of an order. Raises Refused."""
    try:
        order = json.loads(text)
        table, url = order["table"], order.get("callback_url")
        address = urllib.parse.urlsplit(url or "")
        resource = table.split(":")[5]
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        raise Refused(400, "The body must be JSON with table (the ARN of a DynamoDB table).") from None
    if not (table.startswith("arn:aws:dynamodb:") and resource.startswith("table/")):
        raise Refused(400, f"table must be the ARN of a DynamoDB table, and is {table!r:.80}.")
    sandbox = os.environ.get("AWS_ENDPOINT_URL")
    public = address.scheme == "https" and address.hostname
    if url is not None and not (public or (sandbox and url.startswith(f"{sandbox}/"))):
        raise Refused(400, "callback_url must be an https address.")
    if url and len(url) > 2048:
        raise Refused(400, "callback_url has at most 2,048 characters.")
    return table, url


def _rehearsal(table):
    """(how the checks of a table go, how many orders for it there were before this one)"""
    kept = records.update_item(
        Key={"id": f"table/{table}"},
        UpdateExpression="ADD orders :one",
        ExpressionAttributeValues={":one": 1},
        ReturnValues="ALL_NEW",
    )["Attributes"]
    return {**json.loads(os.environ["PACE"]), **json.loads(kept.get("how", "{}"))}, int(kept["orders"]) - 1


def _shown(headers):
    """What is kept of a request's headers, as a vendor would: a customer's secret in there is in the vendor's files."""
    return {header: value for header, value in headers.items() if header != "authorization"}


def _take(table, callback_url, key, how):
    """The ID of the check for this order: a new one, or the one that the same Idempotency-Key has got already.

    Whoever comes second, even at the same moment, finds what the first has written; and each brings the check on its
    way, since the first may have died just before. A durable execution of one name is started once.
    """
    check_id = f"chk_{secrets.token_hex(8)}"
    order = hashlib.sha256(json.dumps([table, callback_url]).encode()).hexdigest()
    if key:
        known = {"id": f"key/{key}", "check_id": check_id, "order": order}
        try:
            records.put_item(Item=known, ConditionExpression="attribute_not_exists(id)")
        except there_already:
            known = records.get_item(Key={"id": known["id"]}, ConsistentRead=True)["Item"]
            if known["order"] != order:
                raise Refused(422, "This Idempotency-Key came with another order before.") from None
            check_id = known["check_id"]
    check = {"id": f"check/{check_id}", "check_id": check_id, "status": "running", "deliveries": []}
    with suppress(there_already):
        records.put_item(
            Item={**check, "table": table, "callback_url": callback_url},
            ConditionExpression="attribute_not_exists(id)",
        )
    with suppress(begun_already):
        functions.invoke(
            FunctionName=os.environ["WORKER"],
            InvocationType="Event",
            DurableExecutionName=check_id,
            Payload=json.dumps({"check_id": check_id, "table": table, "callback_url": callback_url, "how": how}),
        )
    return check_id


def _answer(status, document):
    return {
        "statusCode": status,
        "headers": {"Content-Type": "application/json"},
        "body": json.dumps(document, default=float),
    }
