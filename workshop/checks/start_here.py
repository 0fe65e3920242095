"""The toy task of lesson 00: see a check fail, and then pass, because something in the account has changed.

Its contract, for the lesson:

- The set-up cell makes an empty table: `deploy.table(lab.name("airports"), "iata")`.
- Task 1: put at least one airport into it, with `iata` (its code, three capital letters) and `city` (a text),
  as in `boto3.client("dynamodb").put_item(TableName=..., Item={"iata": {"S": "ZRH"}, "city": {"S": "Zurich"}})`.
- Not attempted: no table of that name, or nothing in it. Not yet: no item in it is such an airport, for example
  a code in small letters, or no city. Done otherwise; the line names the first such airport by its code.
"""

import itertools

from workshop import clients
from workshop.checks import NotAttempted, NotYet, Task

TASKS = {
    1: Task(
        "Put an airport into the table",
        hints=(
            "The table is there and empty. DynamoDB's call for writing one item is put_item.",
            'Every attribute of an item names its type: a text is {"S": "..."}. '
            "The item needs two texts, iata and city.",
        ),
    )
}


def task_1(lab):
    table = lab.name("airports")
    dynamodb = clients.of("dynamodb")
    try:
        pages = dynamodb.get_paginator("scan").paginate(TableName=table)
        items = list(itertools.islice((item for page in pages for item in page["Items"]), 100))
    except dynamodb.exceptions.ResourceNotFoundException:
        raise NotAttempted(f"There is no table named {table}.") from None
    if not items:
        raise NotAttempted(f"The table {table} is empty.")
    items.sort(key=_code)
    faults = [_fault(item) for item in items]
    if None not in faults:
        raise NotYet(*faults[0])
    airport = items[faults.index(None)]
    return f"The table {table} holds {_code(airport)}, {airport['city']['S']}."


def _code(item):
    return item.get("iata", {}).get("S", "")


def _fault(item):
    """What was observed and what is missing where an item is not an airport; None where it is one."""
    code = _code(item)
    if not (len(code) == 3 and code.isascii() and code.isalpha() and code.isupper()):
        return f"An item has the iata {code!r}.", "A code of three capital letters."
    if "city" not in item:
        return f"The item {code} has no attribute city.", "The city of the airport."
    if not item["city"].get("S", "").strip():
        return f"The city of {code} is not a text, or an empty one.", 'The city of the airport, as {"S": ...}.'
    return None
