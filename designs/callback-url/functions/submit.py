"""Open the callback, then order: the vendor may call before it has answered the order.

It orders once whenever it is invoked, with the same address and key for an execution: it may be invoked again.
"""

from callbacks import open_callback
from vendor import order
from waiting import keep


def lambda_handler(event, context):
    callback_id = open_callback(event["Execution"], event["TaskToken"], event["Attempt"])
    keep(event["Execution"], CheckId=order(event["Table"], callback_id, key=callback_id))
