"""Ask the vendor how the check of an execution stands."""

from vendor import status
from waiting import find


def lambda_handler(event, context):
    return status(find(event["Execution"])["CheckId"])
