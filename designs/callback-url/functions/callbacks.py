"""An address for each execution, random, so that the task token does not leave the house."""

import secrets

from boto3.dynamodb.conditions import Attr
from waiting import find, keep


def open_callback(execution, token, attempt):
    """The address of an execution, which leads to the token of its latest attempt."""
    keep(execution, only_if=Attr("CallbackId").not_exists(), CallbackId=secrets.token_urlsafe(32))
    callback_id = find(execution)["CallbackId"]  # mine, or that of whoever was first
    newest = Attr("Attempt").not_exists() | Attr("Attempt").lte(attempt)
    keep(callback_id, only_if=newest, TaskToken=token, Attempt=attempt)
    return callback_id


def token_of(callback_id):
    return find(callback_id).get("TaskToken")
