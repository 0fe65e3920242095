"""An event may get lost: look for all who have waited for a while.

It scans the table, which is right for hundreds that wait. For many more, give the table an index of what is due.
"""

import time

from answer import answer
from waiting import table


def lambda_handler(event, context):
    newest, faults = int(time.time()) - event["OlderThanSeconds"], []
    for page in table.meta.client.get_paginator("scan").paginate(TableName=table.name, ConsistentRead=True):
        for item in page["Items"]:
            try:
                if item["CreatedAt"] <= newest:
                    answer(item)
            except Exception as fault:  # one that cannot be settled does not keep it from the others
                faults.append(f"{item['Id']}: {fault}")
    if faults:
        raise RuntimeError("; ".join(faults))
