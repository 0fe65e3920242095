"""The vendor's work: look at every row of a table, and tell the customer on the way and at the end.

It is a durable function: while it waits, nothing runs and nothing is paid for. (Lab 04 is about these.) What it sends
is delivered at least once: what gets no answer in time, or 408, 429 or 5xx, is sent again after 1, 2, 4, ... seconds;
any other answer ends that delivery. Messages do not wait for each other, so one that was not delivered at first can be
overtaken by a later one.
"""

import hashlib
import http.client
import json
import os
import threading
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime

import boto3
from aws_durable_execution_sdk_python import durable_execution
from aws_durable_execution_sdk_python.config import CompletionConfig, Duration, ParallelConfig
from signing import as_sent, signed

records = boto3.resource("dynamodb").Table(os.environ["RECORDS"])
tables = boto3.resource("dynamodb")
RANGES = {"latitude": 90, "longitude": 180}  # degrees, on either side of zero


@durable_execution
def lambda_handler(check, context):
    how = check["how"]
    steps = how["progress"] + 1
    messages = [
        (step * how["seconds"] / steps, "check.progress", {"percent": 100 * step // steps}) for step in range(1, steps)
    ]
    if how["late_progress"]:
        messages.append((how["seconds"] + 1, "check.progress", {"percent": 99}))
    if not messages:
        finish(check, context)
        return
    branches = [telling(check, after, kind, content) for after, kind, content in messages]
    # Whatever becomes of one message, the others go their way.
    config = ParallelConfig(completion_config=CompletionConfig.all_completed())
    context.parallel([lambda branch: finish(check, branch), *branches], config=config)


def finish(check, context):
    pause(context, check["how"]["seconds"])
    kind, content = context.step(lambda _: examine(check), name="examine")
    deliver(context, check, kind, content)


def telling(check, after, kind, content):
    def tell(context):
        pause(context, after)
        deliver(context, check, kind, content)

    return tell


def pause(context, seconds):
    """Wait: whole seconds without running, the rest of less than one running."""
    if seconds >= 1:
        context.wait(Duration.from_seconds(int(seconds)))
    if seconds % 1:
        context.step(lambda _: time.sleep(seconds % 1), name="a moment")


def examine(check):
    """Look at every row, and keep the result; gives (kind of message, its content)."""
    if check["how"]["fails"]:
        result = "failed", "error", {"code": "CheckFailed", "message": check["how"]["fails"]}
    else:
        try:
            result = "completed", "report", report_on(check["table"].partition("/")[2])
        except Exception as problem:  # whatever it is, the customer must be told that there will be no report
            result = "failed", "error", {"code": "TableNotReadable", "message": f"{problem}"[:500]}
    status, name, content = result
    records.update_item(
        Key={"id": f"check/{check['check_id']}"},
        UpdateExpression="SET #status = :status, #content = :content, ended = :now",
        ExpressionAttributeNames={"#status": "status", "#content": name},
        ExpressionAttributeValues={
            ":status": status,
            ":content": json.dumps(content),
            ":now": datetime.now(UTC).isoformat(timespec="milliseconds"),
        },
    )
    return f"check.{status}", {name: content}


def report_on(table):
    """What is wrong with the rows of a table."""
    rows, key = [], {"ConsistentRead": True}
    table = tables.Table(table)
    while True:
        page = table.scan(**key)
        rows += page["Items"]
        if "LastEvaluatedKey" not in page:
            break
        key["ExclusiveStartKey"] = page["LastEvaluatedKey"]
    columns = sorted({column for row in rows for column in row})
    missing = {column: sum(row.get(column) in (None, "") for row in rows) for column in columns}
    out_of_range = [row for row in rows if any(not within(row.get(column), most) for column, most in RANGES.items())]
    return {
        "rows": len(rows),
        "missing": {column: count for column, count in missing.items() if count},
        "out_of_range": len(out_of_range),
    }


def within(value, most):
    try:
        return value in (None, "") or abs(float(value)) <= most
    except (TypeError, ValueError):
        return False


def deliver(context, check, kind, content):
    """Send a message until it is answered, or given up."""
    how = check["how"]
    if how["silent"] or not check["callback_url"]:
        return
    message = new_message(check, kind, content)
    for attempt in range(1, how["attempts"] + 1):
        status = context.step(lambda _, attempt=attempt: send(check, message, attempt), name=f"send {kind}")
        if not is_sent_again(status):
            return
        if attempt < how["attempts"]:
            context.wait(Duration.from_seconds(min(2 ** (attempt - 1), 3600)))


def is_sent_again(status):
    """Whether this answer to a callback (None for none) asks for another attempt."""
    return status is None or status >= 500 or status in (408, 429)


def new_message(check, kind, content):
    """A message, which is the same whenever it is made: the handler runs from its beginning after each wait."""
    digest = hashlib.sha256(json.dumps([check["check_id"], kind, content]).encode()).hexdigest()
    return {
        "id": f"msg_{digest[:16]}",
        "from": "Vérirow",
        "type": kind,
        "check_id": check["check_id"],
        "callback_url": check["callback_url"],
        **content,
    }


def send(check, message, attempt):
    """Send a message once, or twice at the same moment where that is rehearsed; gives the status of the answer.

    Of two answers it is the one that asks for another attempt, if one does, whichever came first.
    It is signed anew each time: what is old is not believed.
    """
    body, answers = as_sent(message), []
    copies = [
        threading.Thread(target=lambda: answers.append(post(check, body))) for _ in range(1 + check["how"]["twice"])
    ]
    for copy in copies:
        copy.start()
    for copy in copies:
        copy.join()
    told = [{"type": message["type"], "attempt": attempt, "answer": status, "at": time.time()} for status in answers]
    records.update_item(
        Key={"id": f"check/{check['check_id']}"},
        UpdateExpression="SET deliveries = list_append(if_not_exists(deliveries, :none), :told)",
        ExpressionAttributeValues={":told": [json.dumps(each) for each in told], ":none": []},
    )
    return next((status for status in answers if is_sent_again(status)), answers[0])


class NoRedirects(urllib.request.HTTPRedirectHandler):
    """A message goes to the address that was given, and nowhere else."""

    def redirect_request(self, *_):
        return None


def post(check, body):
    """The status that the customer answers with; None where no answer comes in time."""
    headers = {"Content-Type": check["how"]["content_type"], "User-Agent": "Verirow/1"}
    headers |= signed(body, os.environ["SECRET"])
    request = urllib.request.Request(check["callback_url"], body, headers, method="POST")
    # Straight there: what proxies this machine knows is none of the customer's business.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), NoRedirects)
    try:
        with opener.open(request, timeout=check["how"]["patience"]) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
    except (OSError, http.client.HTTPException):
        return None
