"""What lab 03's checks say of records: for each sentence of a contract some that keep it, and some that do not."""

import dataclasses
import datetime
import hmac

import pytest

from workshop.checking.executions import Execution
from workshop.checking.exercises import Draw
from workshop.checking.messages import Sent, lines_of_request
from workshop.checking.resources import Invoked
from workshop.checking.submitting import Submitted
from workshop.checking.vendors import Order
from workshop.checks.callback_urls import EXERCISES, answers
from workshop.checks.callback_urls import answer_stories as answering
from workshop.checks.callback_urls import order_stories as ordering
from workshop.checks.callback_urls.alone import Alone, Called
from workshop.checks.callback_urls.answers import UNSIGNED, _silence
from workshop.checks.callback_urls.orders import STATUSES, drawn_statuses
from workshop.checks.callback_urls.silence import EARLIER, ITS_REPORT, earlier_of

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
    "nobody": {
        "orders": [],
        "facts": {"invoked": Invoked("ParamValidationError: ... taskToken, value: None", raised_in=("callback.py",))},
    },
    "by its name": {"status": "RUNNING", "answer": None},
    "twice anew": {"orders": [], "facts": {"drawn": ADDRESSES[:2]}},
}


@pytest.mark.parametrize("case", ONE)
def test_an_address_that_is_right(case):
    assert said(1, case, submitted(1, case, **ONE[case])) == ""


ADDRESSES_REFUSED = [
    (
        "first",
        {"orders": [], "invoked": [FAILED]},
        "line 3",
    ),
    ("first", {"orders": [order(ADDRESSES[0], more=TOKENS[0])]}, "has your task token"),
    ("again", {"orders": [order(ADDRESSES[0]), order(ADDRESSES[0], key=1, more=TOKENS[1])]}, "has your task token"),
    ("second", {"orders": [order(ARN)]}, "contains the execution's ARN"),
    ("second", {"orders": [order(ARN.rpartition(":")[2] + "x")]}, "contains the execution's name"),
    (
        "first",
        {
            "orders": [order(hmac.digest(b"the vendor's", ARN.encode(), "sha256").hex())],
            "facts": {"keys": ["another", "the vendor's"]},
        },
        "can be computed from the execution's ARN, with a key that the vendor has",
    ),
    ("first", {"logged": ["submit", "callback"]}, "in the log of submit and callback"),
    ("third", {"facts": {"addresses": ["a"], "executions": 3}}, "the same address"),
    ("third", {"facts": {"addresses": ["a:b", "c:d"], "executions": 2}}, "An address is 'a:b'"),
    ("third", {"facts": {"addresses": ["12345678", "87654321"], "executions": 2}}, "random bits at most"),
    ("again", {"orders": [order(ADDRESSES[0]), order(ADDRESSES[1])]}, "2 addresses for one execution"),
    (
        "at once",
        {"orders": [order(ADDRESSES[0]), order(ADDRESSES[1])]},
        "twice at the same moment, the vendor",
    ),
    ("killed", {"invoked": [Invoked(None), Invoked("KeyError: 'x'")]}, "submit failed with KeyError"),
    ("first", {"status": "RUNNING", "answer": 500}, "was answered with 500, and the execution was still"),
    ("second", {"status": "SUCCEEDED"}, "another one ended SUCCEEDED"),
    (
        "nobody",
        {"facts": {"invoked": FAILED}},
        "nobody has",
    ),
    ("again", {"status": "RUNNING"}, "the old one is dead"),
    (
        "nobody",
        {"facts": {"invoked": Invoked("ParamValidationError: ... for parameter taskToken, value: 0")}},
        "did not return None",
    ),
    ("nobody", {"facts": {"invoked": Invoked("InvalidToken: Invalid Token")}}, "did not return None"),
    ("by its name", {"status": "SUCCEEDED"}, "does not know its address"),
    ("twice anew", {"facts": {"drawn": [ADDRESSES[0]] * 2}}, "it got the same address each time: "),
    ("late", {"logged": ["submit"]}, "in the log of submit"),
    ("late", {"status": "RUNNING"}, "only if its attempt is later"),
    ("late", {"orders": [order(ADDRESSES[0]), order(ADDRESSES[1])]}, "2 addresses for one execution"),
    ("at once", {"invoked": [FAILED, Invoked(None)]}, "twice at the same moment, submit failed with KeyError"),
    ("overtaken", {"status": "RUNNING"}, "was overtaken by that of the next one, a report was answered with 200"),
]


@pytest.mark.parametrize("case, changed, words", ADDRESSES_REFUSED)
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
    "again": {"orders": [ORDER] * 2, "invoked": [Invoked(None)] * 2, "tokens": TOKENS},
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
    "breaks off": {**TWICE, "orders": [ORDER], "invoked": [UNAVAILABLE, UNAVAILABLE, Invoked(None)]},
    "is half": {**TWICE, "orders": [ORDER]},
}


@pytest.mark.parametrize("case", ORDERS)
def test_an_order_that_is_right(case):
    assert said(2, case, submitted(2, case, **TAKEN | ORDERS[case])) == ""


ORDERS_REFUSED = [
    ("takes it", {"audits": [], "orders": []}, "The vendor got no orders"),
    ("calls at once", {"audits": [{"check_id": CHECK_ID, "deliveries": [{"answer": 404}]}]}, "answered with 404"),
    ("overloaded", {"status": "RUNNING"}, "opens the callback with the new token"),
    ("again", {"orders": [ORDER], "status": "RUNNING"}, "tried again all the same, a report was answered with 200"),
    ("overloaded", {"invoked": [REFUSED, Invoked(None)]}, "answered 429, and submit failed with VendorRefused"),
    (
        "loses the answer",
        {"invoked": [FAILED, Invoked(None)]},
        "submit failed with KeyError: 'x' (callbacks.py, line 3",
    ),
    ("takes a second", {"invoked": [UNAVAILABLE]}, "answered after a second, and submit failed"),
    ("is slow", {"invoked": [Invoked(None)] * 2}, "almost three seconds, submit ended without an error"),
    (
        "closes",
        {"invoked": [FAILED, Invoked(None)]},
        "closed the connection without an answer, submit failed with KeyError",
    ),
    (
        "unreachable",
        {"invoked": [Invoked("URLError: refused"), Invoked(None)]},
        "could not be reached, submit failed with URLError",
    ),
    (
        "breaks off",
        {"invoked": [UNAVAILABLE, Invoked("IncompleteRead: 18"), Invoked(None)]},
        "in the middle, a 202 and then a 503, submit failed with Incomp",
    ),
    (
        "is half",
        {"invoked": [Invoked("JSONDecodeError: x"), Invoked(None)]},
        "had not said its length, submit failed with JSON",
    ),
    ("refuses", {"invoked": [UNAVAILABLE]}, "answered 400, and submit failed with VendorUnavailable"),
    ("refuses", {"orders": [ORDER] * 3}, "invoked once, and the vendor got 3 orders"),
    ("loses the answer", {"audits": [*TAKEN["audits"]] * 2}, "makes 2 audits for one execution"),
    ("at once", {"orders": [ORDER, order(ADDRESSES[1], key="two")]}, "different callback URLs"),
    ("killed", {"invoked": [FAILED, FAILED]}, "the last submit failed with KeyError"),
    ("is slow", {"orders": [ORDER, order(ADDRESSES[0], key="two")]}, "orders of one execution had different keys"),
    ("other", {"orders": [ORDER, order(ADDRESSES[1], key="one")]}, "had the same key"),
    ("other", {"audits": TAKEN["audits"]}, "the vendor makes 1 audit. "),
    ("takes it", {"orders": [order(ADDRESSES[0], key=TOKENS[0])]}, "the key of the order contains it"),
    ("takes it", {"orders": [order(TOKENS[0])]}, "Nothing in the order contains the token"),
    ("takes it", {"audits": [], "invoked": [FAILED]}, "Exercise 1 is about callbacks.py: run lab.check(1) first."),
    ("killed", {"item": {"CheckId": "chk_0"}}, "has the CheckId 'chk_0'"),
]


@pytest.mark.parametrize("case, changed, words", ORDERS_REFUSED)
def test_an_order_that_is_not(case, changed, words):
    record = dataclasses.replace(submitted(2, case, **TAKEN | ORDERS[case]), **changed)
    assert words in said(2, case, record)


def story(*attempts, **end):
    """attempts: (what went wrong, how submit ended, the orders that the vendor took), each of which met it.

    end: of the record of the execution, with which all is right otherwise.
    """
    made = [
        ordering.Attempt(
            ordering.Trouble(what), "It came", ends, orders, what != ordering.CLEAN, what == ordering.NAMESAKE
        )
        for what, ends, orders in attempts
    ]
    urls = dict.fromkeys(order.url for one in made for order in one.orders)
    audits = [{"check_id": f"chk_{nth}", "callback_url": url} for nth, url in enumerate(urls, start=1)]
    return ordering.Story("two troubles", made, submitted(2, "pair", **{**TAKEN, "audits": audits, **end}))


WELL, KILLED = Invoked(None), Invoked("Runtime.ExitError: killed")
CLEAN = (ordering.CLEAN, [WELL], [ORDER])
DIED = (ordering.KILLED_ORDERED, [KILLED], [ORDER])
UNSAVED = (ordering.KILLED_OPENING, [KILLED], [])
REFUSED_ONCE, LOST = (ordering.UNAVAILABLE, [UNAVAILABLE], []), (ordering.LOST, [UNAVAILABLE], [ORDER])
NAMESAKE = (ordering.NAMESAKE, [WELL], [order(ADDRESSES[1], key="two")])

STORIES = [  # the sentence that is broken, the record, words
    (None, story(UNSAVED, DIED, CLEAN), ""),
    (None, story(REFUSED_ONCE, LOST, CLEAN), ""),
    (None, story(NAMESAKE, (ordering.CALLED, [WELL], [ORDER]), CLEAN, item={"CheckId": "chk_2"}), ""),
    (None, story((ordering.LATE, [WELL, FAILED], [ORDER]), CLEAN), ""),
    (None, story((ordering.TWICE, [FAILED, WELL], [ORDER] * 2), (ordering.CLEAN, [WELL], [])), ""),
    ("opens_and_orders", story(UNSAVED, DIED, CLEAN, status="RUNNING"), "after all of it, a report was answered with"),
    ("opens_and_orders", story(UNSAVED, DIED, CLEAN, answer=500), "a report was answered with 500"),
    ("may_be_tried_again", story((ordering.UNAVAILABLE, [REFUSED], []), DIED, CLEAN), "submit failed with VendorRef"),
    ("waits_two_seconds", story((ordering.LOST, [FAILED], [ORDER]), DIED, CLEAN), "submit failed with KeyError"),
    ("orders_once", story(DIED, (ordering.LOST, [UNAVAILABLE], [ORDER] * 2), CLEAN), "The vendor took 2 orders"),
    ("one_audit", story(DIED, LOST, (ordering.CLEAN, [FAILED], [])), "submit failed with KeyError"),
    ("one_audit", story((ordering.TWICE, [FAILED] * 2, []), DIED, CLEAN), "submit failed with KeyError"),
    ("one_audit", story((ordering.LATE, [FAILED, WELL], []), DIED, CLEAN), "submit failed with KeyError"),
    (
        "one_audit",
        story(DIED, (ordering.LOST, [UNAVAILABLE], [order(ADDRESSES[0], key="two")]), CLEAN),
        "had different keys",
    ),
    ("one_audit", story(DIED, LOST, (ordering.CLEAN, [WELL], [order(ADDRESSES[2], key="one")])), "callback URLs"),
    ("one_audit", story(DIED, LOST, CLEAN, audits=[]), "the vendor makes no audits for one execution"),
    ("a_key_of_its_own", story(DIED, (*NAMESAKE[:2], [order(ADDRESSES[1], key="one")]), CLEAN), "with the key that"),
    ("a_key_of_its_own", story(DIED, (*NAMESAKE[:2], []), CLEAN), "no audits for the execution that has the same name"),
    ("a_key_of_its_own", story(DIED, (NAMESAKE[0], [FAILED], []), CLEAN), "submit failed with KeyError"),
    ("keeps_the_check_id", story(DIED, LOST, CLEAN, item={}), "has the CheckId None"),
]


OTHERS = order(ADDRESSES[1])
PAIRS = [  # as STORIES, of exercise 1
    (None, story((ordering.OVERTAKEN, [WELL, FAILED], [ORDER]), (ordering.LATE, [WELL, FAILED], [ORDER])), ""),
    (
        "keeps_the_address",
        story((ordering.AGAIN, [WELL], [ORDER]), (ordering.TWICE, [WELL, WELL], [ORDER, OTHERS])),
        "By then it had got 2 addresses for one execution",
    ),
    (
        "leads_to_the_latest",
        story((ordering.CALLED, [WELL], [ORDER]), (ordering.LATE, [WELL, WELL], [ORDER] * 2), status="RUNNING"),
        "After all of it, a report was answered with 200, and the execution was still running",
    ),
]


@pytest.mark.parametrize("sentence, record, words", PAIRS)
def test_pairs_of_what_happens_to_one_execution(sentence, record, words):
    found = broken_in(1, "pair", record)
    assert list(found) == ([sentence] if sentence else [])
    assert words in found.get(sentence, "")


def test_a_fault_of_one_thing_alone_is_told_before_one_of_two():
    both = {"late": submitted(1, "late", **ONE["late"]), "pair": PAIRS[-1][1]}
    both["late"] = dataclasses.replace(both["late"], status="RUNNING")
    assert EXERCISES[1].judge(both).case == "late"


def broken_in(number, case, record):
    """{sentence: what it says} of those that are broken in a record."""
    exercise = EXERCISES[number]
    judges = [each.judge for each in exercise.contract if case in each.cases]
    return {judge.__name__: fault.observed for judge in judges if (fault := judge(exercise, record))}


@pytest.mark.parametrize("sentence, record, words", STORIES)
def test_stories_of_two_troubles(sentence, record, words):
    """One sentence says what is wrong, and no other."""
    found = broken_in(2, "pair", record)
    assert list(found) == ([sentence] if sentence else [])
    assert words.lower() in found.get(sentence, "").lower()


def test_a_story_is_told_in_the_order_in_which_it_happened():
    told = said(2, "pair", story(DIED, NAMESAKE, (ordering.CLEAN, [FAILED], []), status="RUNNING", answer=500))
    places = [told.index(f"    {line}") for line in ("1. It came: submit", "2. It came: submit", "3. It came", "4. A ")]
    assert places == sorted(places)


def test_every_trouble_is_drawn_and_no_story_has_one_twice():
    drawn = [ordering.two_by(Draw(seed).random("pair")) for seed in range(200)]
    assert {trouble.what for two in drawn for trouble in two} == set(ordering.TROUBLES)
    assert all(one.what != other.what for one, other in drawn)


@pytest.mark.parametrize("case", STATUSES)
def test_every_status_that_the_contract_names_is_drawn(case):
    """Each is the vendor's answer with one seed or another, and no other status is."""
    known, whole = STATUSES[case]
    drawn = [drawn_statuses(Draw(seed), case) for seed in range(1, 401)]
    assert set().union(*drawn) == set(whole)
    assert all(statuses[: len(known)] == known and len(set(statuses)) == len(known) + 2 for statuses in drawn)


def test_the_statuses_are_those_of_the_contract():
    again = {408, 429, *range(500, 600)}
    assert {case: set(whole) for case, (_, whole) in STATUSES.items()} == {
        "overloaded": again,
        "refuses": set(range(400, 500)) - again,
    }


RIGHT = {"rows": 3}


def sent(answer=401, **changed):
    return [Sent("A report", answer, **changed)]


ATTACKED = {
    "genuine": sent(200, status="SUCCEEDED", output=RIGHT, right=RIGHT),
    "forged": sent(),
    "old": sent(),
    "large": sent(413),
    "odd": sent(404),
    "again": sent(200, status="SUCCEEDED", output=RIGHT, right=RIGHT),
}


@pytest.mark.parametrize("case", ATTACKED)
def test_a_signature_that_is_right(case):
    assert said(3, case, ATTACKED[case]) == ""


SIGNATURES_REFUSED = [
    ("genuine", sent(401, right=RIGHT), "What the vendor has signed gets through"),
    ("genuine", sent(200, status="SUCCEEDED", output={}, right=RIGHT), "ended SUCCEEDED with the output {}"),
    ("genuine", sent(200, right=RIGHT), "its execution was still running"),
    ("again", sent(401, right=RIGHT), "What the vendor has signed gets through"),
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
]


@pytest.mark.parametrize("case, seen, words", SIGNATURES_REFUSED)
def test_a_signature_that_is_not(case, seen, words):
    assert words in said(3, case, seen)


@pytest.mark.parametrize("case, status", [("genuine", 401), ("forged", 200), ("old", 200), ("odd", 500)])
def test_a_refusal_shows_the_request(case, status):
    request = lines_of_request("POST", {"X-Verirow-Signature": "v1=" + "0" * 200}, b'{\n "type": "check.completed"' * 9)
    text = said(3, case, sent(status, right=RIGHT, request=request))
    assert "    the request: POST; X-Verirow-Signature: v1=0" in text
    assert '    its body, 252 bytes: { "type": "check.completed"{ "type"' in text


@pytest.mark.parametrize(
    "case, answer, status, end",
    [
        ("reported", 500, "RUNNING", {}),
        ("reported", 200, "SUCCEEDED", {"output": {}}),
        ("failed", 200, "FAILED", {"error": "Other"}),
        ("failed", 200, "FAILED", {"error": "CheckFailed", "cause": "x"}),
        ("strange", 200, "SUCCEEDED", {}),
        ("malformed", 500, "RUNNING", {}),
        ("elsewhere", 200, "SUCCEEDED", {}),
        ("expired", 500, "RUNNING", {}),
        ("unanswered", 500, "RUNNING", {}),
        ("awake", 400, "RUNNING", {}),
    ],
)
def test_a_refusal_of_an_answer_shows_the_request(case, answer, status, end):
    message = Sent("A report", answer, status, request=["the request: POST; Content-Type: application/json"])
    before = [OK] if case == "unanswered" else []
    text = said(4, case, told(*before, message, evidence=["  1  ExecutionStarted"], status=status, **end))
    assert "    the request: POST; Content-Type: application/json" in text
    assert "ExecutionStarted" not in text


def test_a_refusal_shows_with_what_submit_was_invoked():
    events = [{"Attempt": f"12:00 00{nth}", "TaskToken": token} for nth, token in enumerate(TOKENS)]
    late = dataclasses.replace(submitted(1, "late", **ONE["late"], events=events), status="RUNNING")
    lines = said(1, "late", late).splitlines()
    assert "    submit got Attempt '12:00 000' and the TaskToken …AAAfirst: it ended without an error" in lines
    assert (
        "    submit got Attempt '12:00 001' and the TaskToken …BBsecond: it failed with RuntimeError: too late" in lines
    )


def test_a_refusal_shows_the_item():
    changed = {**TAKEN, **ORDERS["takes it"], "item": {"Id": ARN, "CallbackId": ADDRESSES[0]}}
    text = said(2, "takes it", submitted(2, "takes it", **changed))
    assert f"    CallbackId: {ADDRESSES[0]}\n    Id: arn:aws" in text


@pytest.mark.parametrize(
    "body, words",
    [
        (None, "the request: GET without a body; Accept: */*"),
        (b"\xff\xfe\x00", r"its body, 3 bytes: \xff\xfe\x00"),
        (b"0" * 3 * 2**20, "its body, 3,145,728 bytes: 0000"),
    ],
)
def test_a_request_is_shown_whatever_its_body_is(body, words):
    lines = lines_of_request("GET", {"Accept": "*/*"}, body)
    assert any(words in line for line in lines) and all(len(line) < 150 and line.isprintable() for line in lines)


def told(*messages, **execution):
    """A record of an execution to which the vendor has sent these."""
    facts = {"sent": list(messages), "report": RIGHT, "message": "Half.", "silence": execution.pop("silence", None)}
    return Execution(execution.pop("about", ""), input={"HeartbeatSeconds": 4}, facts=facts, **execution)


OK = Sent("A report", 200)
ENDED_IT, FAILED_IT, AGAIN = Sent("A report", 200, "SUCCEEDED"), Sent("The news", 200, "FAILED"), Sent("Again", 409)
ANSWERED = {
    "reported": told(ENDED_IT, ENDED_IT, status="SUCCEEDED", output=RIGHT),
    "at once": told(ENDED_IT, ENDED_IT, status="SUCCEEDED", output=RIGHT),
    "retried": told(ENDED_IT, status="SUCCEEDED", output=RIGHT),
    "failed": told(FAILED_IT, FAILED_IT, status="FAILED", error="CheckFailed", cause="Half."),
    "strange": told(OK, OK),
    "malformed": told(Sent("A list", 400)),
    "elsewhere": told(Sent("A report", 404)),
    "expired": told(Sent("A report", 410), status="ABORTED"),
    "outage": told(Sent("A report", 500), Sent("A failure", None), OK, status="SUCCEEDED"),
    "refused at first": told(Sent("A report", 500), OK, status="SUCCEEDED"),
    "unanswered": told(Sent("A report", 500), OK, status="SUCCEEDED"),
    "awake": told(OK, OK),
    "asleep": told(OK, Sent("A note", 200, "FAILED"), status="FAILED", error="States.Timeout"),
    "for another": told(Sent("Progress", 404, "FAILED"), status="FAILED", error="States.Timeout"),
}


def messages(*those, failed=False, met=True, **end):
    """A story of messages. those: (what went wrong, the answer, how the execution stood then), each of which met it.

    end: of the record of the execution, which has ended as the vendor told.
    """
    deliveries = [
        answering.Delivery(answering.Trouble(what), Sent("It", answer, status), met and what != answering.CLEAN)
        for what, answer, status in those
    ]
    failure = {"status": "FAILED", "error": "CheckFailed", "cause": "Half."}
    right = failure if failed else {"status": "SUCCEEDED", "output": RIGHT}
    return answering.Story("two troubles", deliveries, told(**{**right, **end}), failed)


WAITS, DONE, FAILS = "RUNNING", "SUCCEEDED", "FAILED"
UNREAD, LOST_ANSWER = (answering.UNREAD, 500, WAITS), (answering.LOST, 502, DONE)
GOT, PROGRESS = (answering.CLEAN, 200, DONE), (answering.PROGRESS, 200, WAITS)

MESSAGES = [  # the sentence that is broken, the record, words
    (None, messages(UNREAD, LOST_ANSWER, GOT), ""),
    (None, messages((answering.LOST, 200, DONE), (answering.REFUSED, None, DONE), GOT), ""),
    (None, messages(PROGRESS, (answering.ELSEWHERE, 404, WAITS), GOT), ""),
    (None, messages((answering.TWICE, 204, DONE), (answering.STRANGE, 200, DONE), GOT), ""),
    (None, messages(UNREAD, (answering.RETRIED, 200, FAILS), (answering.CLEAN, 200, FAILS), failed=True), ""),
    ("succeeds", messages(PROGRESS, (answering.CLEAN, 400, WAITS)), "was answered with 400, and after that"),
    ("succeeds", messages(PROGRESS, (answering.RETRIED, 200, WAITS), GOT), "the execution was still running"),
    ("succeeds", messages(UNREAD, LOST_ANSWER, GOT, output={}), "ended SUCCEEDED with the output {}"),
    ("succeeds", messages((answering.UNREAD, 500, DONE), GOT, met=False), "It was answered with 500"),
    ("fails", messages(UNREAD, (answering.CLEAN, 200, FAILS), failed=True, error="Other"), "ended FAILED (Other"),
    ("fails", messages(UNREAD, (answering.CLEAN, 200, FAILS), failed=True, cause=""), "ended FAILED (CheckFailed)"),
    ("has_it", messages(LOST_ANSWER, (answering.CLEAN, 500, DONE)), "It was answered with 500"),
    ("has_it", messages(LOST_ANSWER, (answering.TWICE, 410, DONE), GOT), "It was answered with 410"),
    ("ignores", messages((answering.STRANGE, 404, WAITS), UNREAD, GOT), "It was answered with 404"),
    ("ignores", messages(UNREAD, (answering.STRANGE, 200, DONE), GOT), "ended SUCCEEDED"),
    ("is_not_for_it", messages(UNREAD, (answering.ELSEWHERE, 200, WAITS), GOT), "It was answered with 200"),
    ("is_not_for_it", messages(UNREAD, (answering.ELSEWHERE, 404, DONE), GOT), "ended SUCCEEDED"),
    ("owns_up", messages((answering.REFUSED, 200, WAITS), UNREAD, GOT), "It was answered with 200"),
    ("owns_up", messages((answering.KILLED_BEFORE, 404, WAITS), UNREAD, GOT), "It was answered with 404"),
    ("owns_up", messages(UNREAD, (answering.RETRIED, 200, WAITS), (answering.CLEAN, 200, WAITS)), "was still running"),
    ("beats", messages(UNREAD, (answering.PROGRESS, 500, WAITS), GOT), "It was answered with 500"),
    ("beats", messages(UNREAD, (answering.PROGRESS, 200, DONE), GOT), "ended SUCCEEDED"),
]


@pytest.mark.parametrize("sentence, record, words", MESSAGES)
def test_stories_of_messages(sentence, record, words):
    """One sentence says what is wrong, and no other."""
    found = broken_in(4, "another pair" if record.failed else "pair", record)
    assert list(found) == ([sentence] if sentence else [])
    assert words in found.get(sentence, "")


def test_every_trouble_of_messages_is_drawn():
    drawn = [answering.two_by(Draw(seed).random("pair")) for seed in range(200)]
    assert {trouble.what for two in drawn for trouble in two} == set(answering.TROUBLES)
    assert all(one.what != other.what for one, other in drawn)


def test_whoever_ends_a_heartbeat_after_progress_heard_it():
    """The machine was too busy to send more of it in time."""
    assert said(4, "awake", told(OK, OK, silence=4.1, status="FAILED", error="States.Timeout")) == ""


@pytest.mark.parametrize("end, silence", [(9, 4), (5.5, 0.5), (5, None), (3, None)])
def test_what_is_told_by_when_progress_was_sent(end, silence):
    """It was sent 1 s after the execution's start, and 5 s; what was not answered before the end does not count."""
    record = ended("silent", end, status="FAILED", error="States.Timeout")
    assert _silence(record, [(1, 1.1), (5, 5.2)]) == (silence and pytest.approx(silence))
    assert _silence(ended("silent", 1.2), [(1, 1.3)]) == pytest.approx(0.2)  # progress made it succeed


class Busy:
    """Waiters on a machine where no execution hears anything in time; if `awake`, but for the first of each three."""

    def __init__(self, awake):
        self.verirow, self._awake, self._runs = self, awake, -1  # before those three there is one that is told nothing

    def message(self, kind, about, **more):
        return b"{}"

    def headers(self, body):
        return {}

    def begin(self, heartbeat=None):
        self._runs += 1
        is_awake = self._awake and heartbeat and self._runs % 3 == 1
        return BusyRun(heartbeat, "RUNNING" if is_awake else "FAILED")


@dataclasses.dataclass
class BusyRun:
    heartbeat: int | None
    status: str
    url: str = "https://callbacks.example/callbacks/1"

    def look(self):
        return self.status != "RUNNING"

    def seen(self, about, facts):
        error = "States.Timeout" if self.look() else ""
        record = ended("silent", self.heartbeat, status=self.status, error=error)
        return dataclasses.replace(record, about=about, input={"HeartbeatSeconds": self.heartbeat}, facts=facts)


@pytest.mark.parametrize("awake, told", [(True, {"asleep"}), (False, set())])
def test_who_hears_nothing_in_time_is_no_evidence(monkeypatch, awake, told):
    """Where the machine is too busy to keep an execution awake, one that sleeps shows nothing."""
    monkeypatch.setattr(answers, "send", lambda *request: 200)
    monkeypatch.setattr(answers, "LONGER", -answers.HEARTBEATS[0])
    assert EXERCISES[4]._chats(Busy(awake), ["asleep"]).keys() == told


@pytest.mark.parametrize("case", ANSWERED)
def test_an_answer_that_is_right(case):
    assert said(4, case, ANSWERED[case]) == ""


ANSWERS_REFUSED = [
    (
        "reported",
        told(Sent("A report", 500, error="KeyError: 'x'")),
        "500 (KeyError: 'x'), so the vendor",
    ),
    ("reported", told(ENDED_IT, status="SUCCEEDED", output={}), "ended SUCCEEDED with the output {}"),
    ("at once", told(OK, OK), "A report came, and the execution was still running"),
    ("retried", told(OK, about=EXERCISES[4].cases["retried"].about), "the token with which the state waits now"),
    (
        "failed",
        told(FAILED_IT, status="FAILED", error="Other"),
        "the execution ended FAILED (Other)",
    ),
    ("failed", told(FAILED_IT, status="FAILED", error="CheckFailed", cause="x"), 'The vendor said: "Half.'),
    (
        "failed",
        told(FAILED_IT, status="FAILED", error="CheckFailed", cause="Ha"),
        "had 5 characters, and the cause has the first 2",
    ),
    ("reported", told(ENDED_IT, AGAIN, status="SUCCEEDED", output=RIGHT), "Again was answered with 409"),
    ("reported", told(OK, ENDED_IT, status="SUCCEEDED", output=RIGHT), "still running. It ended when more came"),
    (
        "failed",
        told(OK, FAILED_IT, status="FAILED", error="CheckFailed", cause="Half."),
        "was still running. It ended when more came",
    ),
    ("strange", told(Sent("A note", 200, "SUCCEEDED"), status="SUCCEEDED"), "A note came, and the execution ended"),
    ("strange", told(Sent("A note", 404)), "A note was answered with 404"),
    ("asleep", told(OK, about=EXERCISES[4].cases["asleep"].about), "not on the vendor's page"),
    ("malformed", told(Sent("A list", 500)), "needlessly"),
    ("elsewhere", told(Sent("A report", 200, "SUCCEEDED"), status="SUCCEEDED"), "A report got through"),
    ("elsewhere", told(Sent("A report", 202)), "A report was answered with 202"),
    (
        "for another",
        told(Sent("Progress", 404), about=EXERCISES[4].cases["for another"].about),
        "Progress about another execution came again and again. HeartbeatSeconds was 4, and after 16 seconds the",
    ),
    ("for another", told(Sent("Progress", 200)), "Progress was answered with 200"),
    ("expired", told(Sent("A report", 500)), "sends it again needlessly"),
    (
        "outage",
        told(Sent("While it was down, a report", 400), OK),
        "so the vendor does not send it again, and it is lost",
    ),
    ("outage", told(Sent("A report", 500), OK), "The report is not lost"),
    ("outage", told(Sent("A report", 429), OK), "A report was answered with 429."),
    ("reported", told(Sent("A report", 400)), "where signed_body returns None"),
    (
        "elsewhere",
        told(Sent("A report", 500, error="KeyError: 'x' in callbacks.py, line 9")),
        "Exercise 1 is about callbacks.py: run lab.check(1) first.",
    ),
    ("malformed", told(Sent(UNSIGNED, 200, "SUCCEEDED"), status="SUCCEEDED"), "Exercise 3 is about that"),
    (
        "refused at first",
        told(Sent("A report", 500), Sent("It", 200)),
        "It was answered with 200, and the execution",
    ),
    (
        "unanswered",
        told(Sent("A report", 500), Sent("Again", 500), status="SUCCEEDED"),
        "Again was answered with 500",
    ),
    ("awake", told(OK, OK, silence=1.2, status="FAILED"), "ended FAILED, 1.2 seconds after progress had been sent"),
    ("awake", told(Sent("Progress", 400)), "Progress was answered with 400"),
]


@pytest.mark.parametrize("case, record, words", ANSWERS_REFUSED)
def test_an_answer_that_is_not(case, record, words):
    assert words in said(4, case, record)


def ended(case, seconds=9, stays=(), limits=None, scheduled=0, **changed):
    """A record of an execution of the machine, which ended well after some seconds.

    stays: (state, when it was entered, when it was left). limits: of the state that waits, which was scheduled at that
    second.
    """
    exercise = EXERCISES[5]
    told = [(0, "ExecutionStarted", {})]
    if limits is not None:
        details = {"resource": "invoke.waitForTaskToken", "resourceType": "lambda", **limits}
        told.append((scheduled, "TaskScheduled", {"taskScheduledEventDetails": details}))
    for name, entered, left in stays:
        told.append((entered, "TaskStateEntered", {"stateEnteredEventDetails": {"name": name}}))
        told.append((left, "TaskStateExited", {"stateExitedEventDetails": {"name": name}}))
    told.append((seconds, "ExecutionSucceeded", {}))
    events = [
        {"id": number, "type": kind, "timestamp": datetime.datetime.fromtimestamp(at, datetime.UTC), **details}
        | {"previousEventId": number - 1}
        for number, (at, kind, details) in enumerate(told, start=1)
    ]
    facts = {"answers": [], "asked": 1, "audits": 1}
    usual = {"status": "SUCCEEDED", "output": ITS_REPORT, "events": events, "facts": facts}
    return Execution(
        exercise.cases[case].about, input={**exercise.common, **exercise.cases[case].input}, **{**usual, **changed}
    )


GAVE_UP = {"status": "FAILED", "error": "NoReport"}
NOT_ASKED = {"facts": {"answers": [200], "asked": 0, "audits": 1}}
FAILED_AUDIT = {"status": "FAILED", "error": "CheckFailed"}
LAMENTED = {"answers": [], "asked": 1, "audits": 1, "lament": "Half."}
WAITED = {
    "refused": {"status": "FAILED", "error": "VendorRefused"},
    "unavailable": {"status": "FAILED", "error": "VendorUnavailable"},
    "calls": NOT_ASKED,
    "calls failed": {**FAILED_AUDIT, "cause": EXERCISES[5].audits["calls failed"]["fails"]},
    "silent": {},
    "silent failed": {**FAILED_AUDIT, "cause": EXERCISES[5].audits["silent failed"]["fails"]},
    "long": {},
    "calls late": {},
    "no answer": {},
    "chatty": NOT_ASKED,
    "endless": GAVE_UP,
    "chatty endless": GAVE_UP,
    "no answer and progress": {**FAILED_AUDIT, "cause": "Half.", "facts": LAMENTED},
    "lost and silent": {},
}


def test_a_machine_that_is_busy_makes_nothing_wrong():
    """It asked late, and stayed for long, and both limits were those of the input."""
    limits = {"heartbeatInSeconds": 3, "timeoutInSeconds": 600}
    assert said(5, "silent", ended("silent", stays=[("Check", 0, 6), ("Ask", 6, 7)], limits=limits)) == ""
    limits = {"heartbeatInSeconds": 5, "timeoutInSeconds": 7}
    record = ended("chatty endless", 15, stays=[("Check", 0, 14), ("Ask", 14, 15)], limits=limits, **GAVE_UP)
    assert said(5, "chatty endless", record) == ""
    # It decided in time, and what came after that took long.
    stays = [("Check", 0, 4), ("Decide", 4.9, 6), ("Check", 6, 9), ("Decide", 9, 10)]
    assert said(5, "endless", ended("endless", 10, stays=stays, **GAVE_UP)) == ""


@pytest.mark.parametrize(
    "name, told", [("timeoutInSeconds", 598), ("timeoutInSeconds", 600), ("heartbeatInSeconds", 4)]
)
def test_a_stay_may_get_what_is_left_of_the_whole(name, told):
    """In whole seconds; it is scheduled a second after the execution's start."""
    record = ended("chatty", limits={name: told}, scheduled=1, **NOT_ASKED)
    assert said(5, "chatty", record) == ""


@pytest.mark.parametrize("case", WAITED)
def test_a_wait_that_is_right(case):
    assert said(5, case, ended(case, **WAITED[case])) == ""


WAITS_REFUSED = [
    ("refused", {"status": "RUNNING"}, "a vendor that refused the order was still running"),
    ("unavailable", {**GAVE_UP}, "stayed so ended FAILED (NoReport)"),
    ("endless", {"status": "RUNNING"}, "was still running, and had asked once"),
    ("endless", {}, "ended SUCCEEDED"),
    ("endless", {**GAVE_UP, **NOT_ASKED}, "without asking"),
    ("endless", {**GAVE_UP, "seconds": 2}, "after 2.0 seconds"),
    ("endless", {**GAVE_UP, "seconds": 4.8}, "after 4.8 seconds"),
    (
        "endless",
        {**GAVE_UP, "seconds": 10, "stays": [("Check", 0, 5), ("Decide", 5.2, 5.2), ("Check", 5.2, 8)]},
        "there was no result, and it went back to Check after 5.2 seconds",
    ),
    (
        "silent",
        {"status": "RUNNING"},
        "HeartbeatSeconds was 3, and TimeoutSeconds was 600. The execution of",
    ),
    ("silent failed", {}, "It ends FAILED, with the error CheckFailed"),
    ("silent failed", FAILED_AUDIT, "The vendor said: "),
    ("long", GAVE_UP, "in silence, and never called ended FAILED (NoReport)"),
    ("no answer", {"output": {}}, "with the output {}"),
    ("no answer and progress", GAVE_UP, "ended FAILED (NoReport)"),
    ("no answer and progress", {"facts": {**LAMENTED, "asked": 3}}, "It ends FAILED, with the error CheckFailed"),
    ("no answer and progress", {"facts": {"answers": [], "asked": 3, "audits": 1}}, "it had asked 3 times"),
    ("lost and silent", {"status": "RUNNING"}, "was lost, and that never called was still running"),
    ("lost and silent", {"facts": {"answers": [], "asked": 1, "audits": 2}}, "made 2 audits for one execution"),
    ("calls", {"status": "RUNNING", **NOT_ASKED}, "a vendor that called was still running"),
    ("calls", {}, "it had asked once"),
    ("chatty", {}, "it asks nobody"),
    ("chatty endless", {"status": "RUNNING"}, "No attempt of *Check* waits longer than"),
    ("long", {"facts": {"answers": [], "asked": 2, "audits": 2}}, "made 2 audits for one execution"),
    (
        "calls",
        {"status": "RUNNING", "facts": {"answers": [500], "asked": 0, "audits": 1}},
        "was still running",
    ),
    ("calls", {"status": "FAILED", "error": "VendorRefused", **NOT_ASKED}, "ended FAILED (VendorRefused)"),
    ("silent", {"stays": [("Check", 0, 2), ("Ask", 2, 3)]}, "never called asked after 2.0 seconds."),
    (
        "silent",
        {"stays": [("Check", 0, 6), ("Ask", 6, 7)], "limits": {"heartbeatInSeconds": 6}},
        "never called asked after 6.0 seconds.",
    ),
    (
        "chatty endless",
        {
            **GAVE_UP,
            "seconds": 15,
            "stays": [("Check", 0, 14), ("Ask", 14, 15)],
            "limits": {"timeoutInSeconds": 14},
        },
        "stayed in Check for 14.0 seconds",
    ),
    ("calls", {**NOT_ASKED, "limits": {"timeoutInSeconds": 30}}, "asked after 30 s, whatever signs of life came"),
    ("chatty", {**NOT_ASKED, "limits": {"timeoutInSeconds": 597}, "scheduled": 1}, "had timeoutInSeconds 597"),
    ("calls", {**NOT_ASKED, "limits": {"heartbeatInSeconds": 10}}, "asked after 10 s of silence"),
    ("calls", {**NOT_ASKED, "limits": {"heartbeatInSeconds": 66}}, "asked after 66 s of silence"),
    ("chatty", {"limits": {"heartbeatInSeconds": 4}}, "it asks nobody"),
    ("chatty", {"limits": {"heartbeatInSeconds": 3}}, "it asks nobody"),
]


@pytest.mark.parametrize("case, changed, words", WAITS_REFUSED)
def test_a_wait_that_is_not(case, changed, words):
    assert words in said(5, case, ended(case, **changed))


FAILS = {"resource": "invoke.waitForTaskToken", "error": "VendorUnavailable"}
OF_EARLIER = [  # (the number of the exercise whose fault it can be, case, what is changed, how a task failed)
    (None, "refused", {"status": "FAILED", "error": "Failed"}, {**FAILS, "error": "VendorRefused"}),
    (2, "refused", {"status": "FAILED", "error": "VendorUnavailable"}, FAILS),
    (2, "unavailable", {"status": "FAILED", "error": "URLError"}, {**FAILS, "error": "URLError"}),
    (2, "calls", {**NOT_ASKED, "facts": {"answers": [], "asked": 0, "audits": 0}}, {**FAILS, "error": "KeyError"}),
    (2, "silent", {}, {"resource": "invoke", "error": "KeyError", "cause": "'CheckId'"}),
    (None, "no answer", {}, {"resource": "invoke", "error": "URLError", "cause": "refused"}),
    (2, "long", {"facts": {"answers": [], "asked": 2, "audits": 2}}, None),
    (4, "calls failed", {"facts": NOT_ASKED["facts"]}, {**FAILS, "error": "Other"}),
    (None, "calls failed", {"facts": NOT_ASKED["facts"]}, {**FAILS, "error": "CheckFailed"}),
    (4, "calls", {"facts": {"answers": [500, 200], "asked": 0, "audits": 1}}, None),
    (4, "calls", {**NOT_ASKED, "output": {}}, None),
    (4, "chatty", {"limits": {"heartbeatInSeconds": 4}}, None),
    (None, "chatty", {"limits": {"heartbeatInSeconds": 2}}, None),
    (None, "silent", {"status": "RUNNING"}, None),
]


@pytest.mark.parametrize("number, case, changed, failure", OF_EARLIER)
def test_whose_fault_it_can_be(number, case, changed, failure):
    record = ended(case, **changed)
    if failure:
        failed = {
            "id": 99,
            "type": "TaskFailed",
            "timestamp": record.history.started,
            "taskFailedEventDetails": failure,
        }
        record = dataclasses.replace(record, events=[*record.events, failed])
    assert earlier_of(record) == number


def test_the_cases_by_which_earlier_exercises_tell_are_there():
    assert all(set(cases) <= set(exercise.cases) for exercise, cases in EARLIER.values())


TOKEN, ANOTHER = TOKENS
RETRIED = Called("a retry", TOKENS, [Invoked(None, "abc")] * 2, [Invoked(None, TOKEN), Invoked(None, ANOTHER)])
CALLED = {
    "again": RETRIED,
    "at once": Called("both", TOKENS[:1], [Invoked(None, "abc")] * 2),
    "nobody": Called("nobody", found=[Invoked(None)]),
}
CALLED_REFUSED = [
    ("again", {"opened": [FAILED] * 2}, "open_callback was called, and failed with KeyError"),
    ("again", {"opened": [Invoked(None, None)] * 2}, "open_callback was called, and returned None"),
    ("again", {"opened": [Invoked(None, TOKEN)] * 2}, "contains the token"),
    ("again", {"opened": [Invoked(None, "abc"), Invoked(None, "def")]}, "two addresses for one execution"),
    ("at once", {"opened": [Invoked(None, "abc"), FAILED]}, "one of them failed with KeyError"),
    ("again", {"found": [Invoked(None), Invoked(None)]}, "that open_callback had returned, and returned None"),
    ("again", {"found": [Invoked(None, TOKEN), Invoked(None, TOKEN)]}, "returned the token of the attempt before"),
    ("nobody", {"found": [FAILED]}, "an address that nobody has, and failed with KeyError"),
    ("nobody", {"found": [Invoked(None, "")]}, "returned '', which is no token of it"),
]


@pytest.mark.parametrize("case", CALLED)
def test_an_address_alone_that_is_right(case):
    assert Alone().judge({case: CALLED[case]}) is None


@pytest.mark.parametrize("case, changed, words", CALLED_REFUSED)
def test_an_address_alone_that_is_not(case, changed, words):
    assert words in Alone().judge({case: dataclasses.replace(CALLED[case], **changed)}).args[0]


def test_the_sentences_of_an_address_alone_are_those_of_exercise_1():
    assert {each.text for each in Alone.contract} <= {each.text for each in EXERCISES[1].contract}


REFUSED = {  # {exercise: records that it refuses, by their cases}
    1: [
        (case, dataclasses.replace(submitted(1, case, **ONE[case]), **changed))
        for case, changed, _ in ADDRESSES_REFUSED
    ],
    2: [
        (case, dataclasses.replace(submitted(2, case, **TAKEN | ORDERS[case]), **changed))
        for case, changed, _ in ORDERS_REFUSED
    ],
    3: [(case, seen) for case, seen, _ in SIGNATURES_REFUSED],
    4: [(case, record) for case, record, _ in ANSWERS_REFUSED],
    5: [(case, ended(case, **changed)) for case, changed, _ in WAITS_REFUSED],
}


@pytest.mark.parametrize("number", REFUSED)
def test_each_sentence_refuses_something_itself(number):
    exercise = EXERCISES[number]
    refused = {exercise.judge({case: record}).contract for case, record in REFUSED[number]}
    assert refused == {sentence.text for sentence in exercise.contract}
