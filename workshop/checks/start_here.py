"""The toy exercise of lesson 00: see a check fail, and then pass, because something in the account has changed."""

import itertools

from workshop import clients
from workshop.checking.exercises import Case, Exercise, Fault, contract
from workshop.checking.outcomes import NotAttempted

MOST = 100  # items that are looked at


class Airport(Exercise):
    title = "Put an airport into the table"
    hints = (
        "The table is there and empty. DynamoDB's call for writing one item is put_item.",
        'Every attribute of an item names its type: a text is {"S": "..."}. The item needs two texts, iata and city.',
    )
    cases = {"table": Case("the items of the table")}

    def observe(self, lab, draw, cases):
        table = lab.name("airports")
        dynamodb = clients.of("dynamodb")
        try:
            pages = dynamodb.get_paginator("scan").paginate(TableName=table)
            items = list(itertools.islice((item for page in pages for item in page["Items"]), MOST))
        except dynamodb.exceptions.ResourceNotFoundException:
            raise NotAttempted(f"There is no table named {table}.") from None
        if not items:
            raise NotAttempted(f"The table {table} is empty.")
        self._table = table
        return {"table": sorted(items, key=_code)}

    @contract(
        "The table holds an item with `iata`, an airport's code in three capital letters, and `city`, a text.",
        cases="table",
    )
    def has_an_airport(self, items):
        faults = [_fault(item) for item in items]
        return None if None in faults else faults[0]

    def says_done(self, seen):
        airport = next(item for item in seen["table"] if _fault(item) is None)
        return f"The table {self._table} holds {_code(airport)}, {airport['city']['S']}."


def _code(item):
    return item.get("iata", {}).get("S", "")


def _fault(item):
    """What is wrong with an item that is not an airport; None where it is one."""
    code = _code(item)
    if not (len(code) == 3 and code.isascii() and code.isalpha() and code.isupper()):
        return Fault(f"An item has the iata {code!r}.", "The iata is a code of three capital letters.")
    if "city" not in item:
        return Fault(f"The item {code} has no attribute city.", "The item has the city of the airport.")
    if not item["city"].get("S", "").strip():
        return Fault(
            f"The city of {code} is not a text, or is empty.",
            'The item has the city of the airport, as {"S": ...}.',
        )
    return None


EXERCISES = {1: Airport()}
