"""The door for the vendor's requests.

To this vendor a 5xx says "come again" and a 4xx "never mind". What raises here is a 500: nothing is lost for a fault
of ours.
"""

import json
from contextlib import suppress

import boto3
from callbacks import token_of
from signature import signed_body

stepfunctions = boto3.client("stepfunctions")


def lambda_handler(event, context):
    try:
        message = json.loads(signed_body(event))  # None, where it is not signed, is a TypeError
        kind, url = message["type"], message["callback_url"]
    except (TypeError, ValueError, KeyError):
        return {"statusCode": 400}
    callback_id = event["pathParameters"]["id"]
    token = token_of(callback_id)
    # The signature is good for the message. Whoever holds one about another table could send it here.
    if token is None or not url.endswith(f"/{callback_id}"):
        return {"statusCode": 404}
    with suppress(stepfunctions.exceptions.TaskTimedOut):  # answered before, or too late
        if kind == "check.progress":
            stepfunctions.send_task_heartbeat(taskToken=token)
        if kind == "check.completed":
            stepfunctions.send_task_success(taskToken=token, output=json.dumps(message["report"]))
        if kind == "check.failed":
            stepfunctions.send_task_failure(taskToken=token, error="CheckFailed", cause=message["error"]["message"])
    return {"statusCode": 200}
