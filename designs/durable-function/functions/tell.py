"""Answer a callback. A call that is late, repeated, or for an execution that is gone does nothing."""

import json
from contextlib import suppress

import boto3

functions = boto3.client("lambda")


def tell(callback_id, success=None, failure=None):
    """success: what the callback returns, data that can be JSON. failure: (type, message). Neither: a sign of life."""
    with suppress(functions.exceptions.CallbackTimeoutException, functions.exceptions.ResourceNotFoundException):
        if failure:
            error = {"ErrorType": failure[0], "ErrorMessage": failure[1]}
            functions.send_durable_execution_callback_failure(CallbackId=callback_id, Error=error)
        elif success is not None:
            functions.send_durable_execution_callback_success(CallbackId=callback_id, Result=json.dumps(success))
        else:
            functions.send_durable_execution_callback_heartbeat(CallbackId=callback_id)
