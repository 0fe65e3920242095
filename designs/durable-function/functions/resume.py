"""An event of DMS is a nudge: look who waits for that task, and how it ended."""

import time
from datetime import datetime

from answer import answer
from waiting import find


class StillUnderWay(Exception):
    """Its end was announced, and DMS does not say so yet. Lambda asks again, after one minute and after two more."""


def lambda_handler(event, context):
    arn, announced = event["resources"][0], datetime.fromisoformat(event["time"]).timestamp()
    for pause in (1, 1, 0):
        item = find(arn)
        # An event that is older than the wait tells of another run.
        if not item or announced < item["CreatedAt"] or not answer(item):
            return
        time.sleep(pause)
    raise StillUnderWay(arn)
