"""What lab 03's checks say of records: for each sentence of a contract some that keep it, and some that do not."""

import dataclasses

import pytest

from workshop.checking.resources import Invoked
from workshop.checking.vendors import Order
from workshop.checks.callback_urls import EXERCISES, Sent, Submitted

ARN = "arn:aws:states:us-east-1:111122223333:execution:you-03-check-waits:7d1f6f4e-0b7a-4b9c-9a55-4a1d0b4f8a11"
TOKENS = ("AAAA" * 40 + "first", "BBBB" * 40 + "second")
FAILED = Invoked("KeyError: 'x'", raised_in=("callbacks.py, line 3: a",))
ADDRESSES = ("kQ8-w1FJr3xP0vYt2LzB7a", "Zp4_mN6cXs9dHqE5uGiT1o", "R0yVbK7jWfC2nLx8hA-Se3")


def order(address, key=None, more=""):
    url = f"https://callbacks.example/callbacks/{address}"
    return Order(f'{{"table": "t", "callback_url": "{url}"}}{more}', url, key)


def submitted(number, case, **changed):
    """A record of that case in which all is right, with these changes."""
    made = {
        "execution": ARN,
        "tokens": TOKENS[:1],
        "invoked": [Invoked(None)],
        "orders": [order(ADDRESSES[0])],
        "answer": 200,
        "status": "SUCCEEDED",
        "facts": {"addresses": sorted(ADDRESSES), "executions": 3},
    }
    return Submitted(EXERCISES[number].cases[case].about, **made | changed)


def said(number, case, record):
    """What the exercise says of a record, "" for nothing."""
    outcome = EXERCISES[number].judge({case: record})
    return "" if outcome is None else "\n".join(outcome.details())


ONE = {
    "first": {},
    "second": {"status": "RUNNING", "answer": None},
    "third": {"status": "RUNNING", "answer": None},
    "again": {"tokens": TOKENS, "orders": [order(ADDRESSES[0])] * 2, "invoked": [Invoked(None)] * 2},
    "at once": {"orders": [order(ADDRESSES[0])] * 2, "invoked": [Invoked(None)] * 2},
    "late": {"tokens": TOKENS, "invoked": [Invoked(None), Invoked("RuntimeError: too late")]},
    "overtaken": {"tokens": TOKENS},
    "killed": {"tokens": TOKENS, "invoked": [Invoked("Runtime.ExitError: killed"), Invoked(None)]},
    "nobody": {"orders": [], "facts": {"invoked": Invoked("ParamValidationError: None", raised_in=("callback.py",))}},
}


@pytest.mark.parametrize("case", ONE)
def test_an_address_that_is_right(case):
    assert said(1, case, submitted(1, case, **ONE[case])) == ""


@pytest.mark.parametrize(
    "case, changed, words",
    [
        (
            "first",
            {"orders": [], "invoked": [FAILED]},
            "line 3",
        ),
        ("first", {"orders": [order(ADDRESSES[0], more=TOKENS[0])]}, "has your task token"),
        ("again", {"orders": [order(ADDRESSES[0]), order(ADDRESSES[0], key=1, more=TOKENS[1])]}, "has your task token"),
        ("second", {"orders": [order(ARN)]}, "contains the execution's ARN"),
        ("second", {"orders": [order(ARN.rpartition(":")[2] + "x")]}, "contains the execution's name"),
        ("first", {"logged": ["submit", "callback"]}, "in the log of submit and callback"),
        ("third", {"facts": {"addresses": ["a"], "executions": 3}}, "the same address"),
        ("third", {"facts": {"addresses": ["a:b", "c:d"], "executions": 2}}, "An address is 'a:b'"),
        ("third", {"facts": {"addresses": ["12345678", "87654321"], "executions": 2}}, "random bits at most"),
        ("again", {"orders": [order(ADDRESSES[0]), order(ADDRESSES[1])]}, "2 addresses for one execution"),
        (
            "at once",
            {"orders": [order(ADDRESSES[0]), order(ADDRESSES[1])]},
            "twice at the same moment: the vendor",
        ),
        ("killed", {"invoked": [Invoked(None), Invoked("KeyError: 'x'")]}, "submit failed with KeyError"),
        ("first", {"status": "RUNNING", "answer": 500}, "was answered with 500, and it was still running"),
        ("second", {"status": "SUCCEEDED"}, "another one ended SUCCEEDED"),
        (
            "nobody",
            {"facts": {"invoked": FAILED}},
            "nobody has",
        ),
        ("again", {"status": "RUNNING"}, "the old one is dead"),
        ("late", {"status": "RUNNING"}, "only if it is of a later attempt"),
        ("overtaken", {"status": "RUNNING"}, "was overtaken by that of the next one: a report was answered with 200"),
    ],
)
def test_an_address_that_is_not(case, changed, words):
    record = dataclasses.replace(submitted(1, case, **ONE[case]), **changed)
    assert words in said(1, case, record)


CHECK_ID = "chk_1"
TAKEN = {"audits": [{"check_id": CHECK_ID, "deliveries": []}], "item": {"CheckId": CHECK_ID}}
UNAVAILABLE, REFUSED = Invoked("VendorUnavailable: 503"), Invoked("VendorRefused: 400")
ORDER = order(ADDRESSES[0], key="one")
TWICE = {"tokens": TOKENS, "orders": [ORDER] * 2, "invoked": [UNAVAILABLE, Invoked(None)]}

ORDERS = {
    "takes it": {"orders": [ORDER]},
    "other": {
        "orders": [ORDER, order(ADDRESSES[1], key="two")],
        "invoked": [Invoked(None)] * 2,
        "audits": [*TAKEN["audits"], {"check_id": "chk_2", "deliveries": []}],
    },
    "takes a second": {"orders": [ORDER]},
    "calls at once": {"orders": [ORDER], "audits": [{"check_id": CHECK_ID, "deliveries": [{"answer": 200}]}]},
    "overloaded": {**TWICE, "facts": {"how": {"answers": [429]}}},
    "refuses": {"orders": [ORDER], "invoked": [REFUSED], "audits": [], "facts": {"how": {"answers": [400]}}},
    "loses the answer": {**TWICE, "facts": {"how": {"answers": ["lost"]}}},
    "closes": TWICE,
    "is slow": TWICE,
    "at once": {"orders": [ORDER] * 2, "invoked": [Invoked(None)] * 2},
    "killed": {**TWICE, "invoked": [Invoked("Runtime.ExitError: killed"), Invoked(None)]},
    "unreachable": {**TWICE, "orders": [ORDER]},
}


@pytest.mark.parametrize("case", ORDERS)
def test_an_order_that_is_right(case):
    assert said(2, case, submitted(2, case, **TAKEN | ORDERS[case])) == ""


@pytest.mark.parametrize(
    "case, changed, words",
    [
        ("takes it", {"audits": [], "orders": []}, "The vendor got no orders"),
        ("calls at once", {"audits": [{"check_id": CHECK_ID, "deliveries": [{"answer": 404}]}]}, "answered with 404"),
        ("overloaded", {"status": "RUNNING"}, "opens the callback with the new token"),
        ("overloaded", {"invoked": [REFUSED, Invoked(None)]}, "answered 429, and submit failed with VendorRefused"),
        (
            "loses the answer",
            {"invoked": [FAILED, Invoked(None)]},
            "submit failed with KeyError: 'x' (callbacks.py, line 3",
        ),
        ("takes a second", {"invoked": [UNAVAILABLE]}, "answered after a second, and submit failed"),
        ("is slow", {"invoked": [Invoked(None)]}, "almost three seconds: submit ended without an error"),
        ("closes", {"invoked": [FAILED]}, "closed the connection without an answer: submit failed with KeyError"),
        (
            "unreachable",
            {"invoked": [Invoked("URLError: refused")]},
            "could not be reached: submit failed with URLError",
        ),
        ("refuses", {"invoked": [UNAVAILABLE]}, "answered 400, and submit failed with VendorUnavailable"),
        ("refuses", {"orders": [ORDER] * 3}, "invoked 1 times, and the vendor got 3 orders"),
        ("loses the answer", {"audits": [*TAKEN["audits"]] * 2}, "makes 2 audits for one execution"),
        ("at once", {"orders": [ORDER, order(ADDRESSES[1], key="two")]}, "the contract of exercise 1"),
        ("killed", {"invoked": [FAILED, FAILED]}, "was tried again, and submit failed"),
        ("is slow", {"orders": [ORDER, order(ADDRESSES[0], key="two")]}, "another key with the second order"),
        ("other", {"orders": [ORDER, order(ADDRESSES[1], key="one")]}, "had the same key"),
        ("other", {"audits": TAKEN["audits"]}, "the vendor makes 1 audits"),
        ("takes it", {"orders": [order(ADDRESSES[0], more=TOKENS[0])]}, "has your task token"),
        ("killed", {"item": {"CheckId": "chk_0"}}, "has CheckId 'chk_0'"),
    ],
)
def test_an_order_that_is_not(case, changed, words):
    record = dataclasses.replace(submitted(2, case, **TAKEN | ORDERS[case]), **changed)
    assert words in said(2, case, record)


RIGHT = {"rows": 3}


def sent(answer=401, **changed):
    return [Sent("A report", answer, **changed)]


ATTACKED = {
    "genuine": sent(200, status="SUCCEEDED", output=RIGHT, right=RIGHT),
    "forged": sent(),
    "old": sent(),
    "large": sent(413),
    "odd": sent(404),
}


@pytest.mark.parametrize("case", ATTACKED)
def test_a_signature_that_is_right(case):
    assert said(3, case, ATTACKED[case]) == ""


@pytest.mark.parametrize(
    "case, seen, words",
    [
        ("genuine", sent(401, right=RIGHT), "What the vendor has signed gets through"),
        ("genuine", sent(200, status="SUCCEEDED", output={}, right=RIGHT), "ended SUCCEEDED with the output {}"),
        ("genuine", sent(200, right=RIGHT), "its execution was still running"),
        ("forged", sent(200, status="SUCCEEDED"), "A report got through"),
        ("forged", sent(200), "as if it were genuine"),
        ("old", sent(204), "more than 300 seconds"),
        ("large", sent(200), "64 KiB"),
        (
            "odd",
            sent(500, error="ValueError: 'x' in signature.py, line 12"),
            "(ValueError: 'x' in signature.py, line 12)",
        ),
        ("odd", sent(429), "a stranger can make your function fail"),
        ("odd", sent(200), "never raises"),
    ],
)
def test_a_signature_that_is_not(case, seen, words):
    assert words in said(3, case, seen)
