"""Exercises 1 and 2, when two things go wrong one after the other: how such a story is played and told.

What is wrong in one is here for exercise 2, and in `addresses.py` for exercise 1.
"""

import dataclasses
from collections.abc import Callable, Sequence

from workshop import faults
from workshop.checking import vendors
from workshop.checking.attacks import in_words, is_success
from workshop.checking.outcomes import shortened
from workshop.checking.resources import Invoked
from workshop.checking.stories import with_fewest_troubles
from workshop.checking.submitting import Scene, Submitted, is_unavailable, many, overtake, twice_at_once
from workshop.checking.vendors import Order

KILLED_OPENING, KILLED_ORDERED, UNAVAILABLE, LOST, CALLED, LATE, TWICE, NAMESAKE, OVERTAKEN, AGAIN, CLEAN = (
    "its process ended before it had saved its token",
    "its process ended when the vendor had taken the order",
    "the vendor did not take the order",
    "the vendor took the order, and its answer was lost",
    "the vendor had called before",
    "the function of the attempt before it ran once more when it was done",
    "it was invoked twice at the same moment",
    "it belongs to an execution of the same name, of another state machine",
    "it was slow, and the function of the next attempt, with a newer token, overtook it",
    "an attempt was there before",
    "nothing went wrong",
)
TROUBLES = (KILLED_OPENING, KILLED_ORDERED, UNAVAILABLE, LOST, CALLED, LATE, TWICE, NAMESAKE)
STATUSES = {"TooManyRequestsException": 429, "InternalFailure": 500, "ServiceUnavailable": 503}  # by a refusal's code


@dataclasses.dataclass(frozen=True)
class Trouble:
    """What goes wrong with one attempt, of those above.

    retried: whether it comes with a new token, as that of a retried state does, where there was an attempt before it.
    code: of an order that is not taken, one of STATUSES. answer: what comes in place of one that is lost: nothing
    ("closed") or a 500 ("error").
    """

    what: str
    retried: bool = True
    code: str = "ServiceUnavailable"
    answer: str = "closed"


@dataclasses.dataclass(frozen=True)
class Attempt:
    """What came of one.

    who: a sentence without its full stop. invoked: how submit ended; of LATE and OVERTAKEN that of the newer token is
    the first. orders: what the vendor got then. met: whether the trouble came about. other: whether it is another
    execution's.
    """

    trouble: Trouble
    who: str
    invoked: Sequence[Invoked]
    orders: Sequence[Order] = ()
    met: bool = False
    other: bool = False

    def __str__(self):
        ends = " and ".join(f"submit {each.in_words()}" for each in self.invoked)
        return f"{self.who}: {ends}. The vendor took {many(len(self.orders), 'order')}"


@dataclasses.dataclass(frozen=True)
class Story:
    """A few attempts of one execution, one after the other, the last of them with nothing in its way; then a report.

    end: what was seen when the report had come.
    """

    about: str
    attempts: Sequence[Attempt]
    end: Submitted

    @property
    def troubles(self) -> list[Trouble]:
        return [attempt.trouble for attempt in self.attempts if attempt.trouble.what != CLEAN]

    @property
    def may_be_slow(self) -> bool:
        """Whether a busy machine can have made it what it is."""
        return self.end.answer is None or any(is_unavailable(each) for one in self.attempts for each in one.invoked)

    def lines(self) -> list[str]:
        """What happened, in order."""
        told = [f"{nth}. {shortened(str(attempt), 400)}." for nth, attempt in enumerate(self.attempts, start=1)]
        return [*told, f"{len(told) + 1}. {self.report()}."]

    @property
    def in_the_end(self) -> str:
        """As a sentence."""
        return f"After all of it, {self.report()[0].lower()}{self.report()[1:]}."

    def report(self) -> str:
        return f"A report {in_words(self.end.answer)}, and the execution {self.end.in_words()}"


# What of the contract a story breaks.
OPENS, AGAIN, NO_ANSWER, ONCE, ONE, OWN, KEEPS = "opens", "again", "no answer", "once", "one", "own", "keeps"


def wrong_in(story: Story) -> tuple[str, str] | None:
    """What goes wrong in a story: (which of the contract's sentences, what was observed), None where nothing does."""
    own: list[Order] = []  # orders of the execution whose story it is
    for attempt in story.attempts:
        if len(attempt.orders) > len(attempt.invoked):
            return ONCE, f"{attempt}."
        if wrong := _wrong_end(attempt):
            return wrong, f"{attempt}."
        if attempt.other:
            if {order.key for order in own} & {order.key for order in attempt.orders}:
                return OWN, f"{attempt}, with the key that the first execution's order had."
            continue
        own += attempt.orders
        for what, values in (("callback URLs", {order.url for order in own}), ("keys", {order.key for order in own})):
            if len(values) > 1:
                return ONE, f"{attempt}. The orders of one execution had different {what}."
    return _wrong_in_the_end(story, own)


def _wrong_end(attempt):
    """Which sentence the end of an attempt's invocations breaks; None for none."""
    what = attempt.trouble.what if attempt.met else CLEAN
    if what in (UNAVAILABLE, LOST):
        answered = what == UNAVAILABLE or attempt.trouble.answer == "error"
        return None if is_unavailable(attempt.invoked[0]) else AGAIN if answered else NO_ANSWER
    if what in (KILLED_OPENING, KILLED_ORDERED):
        return None
    ends = attempt.invoked if what == TWICE else attempt.invoked[:1]  # who was overtaken may fail
    return (OWN if attempt.other else ONE) if all(each.error for each in ends) else None


def _wrong_in_the_end(story, own):
    urls = {order.url for order in own}
    audits = [audit for audit in story.end.audits if audit["callback_url"] in urls]
    if len(audits) != 1:
        return ONE, f"After all of it the vendor makes {many(len(audits), 'audit')} for one execution."
    others = len(story.end.audits) - 1
    if others != sum(attempt.other for attempt in story.attempts):
        return OWN, f"The vendor makes {many(others, 'audit')} for the execution that has the same name."
    if not is_success(story.end.answer) or story.end.status != "SUCCEEDED":
        return OPENS, story.in_the_end
    if story.end.item.get("CheckId") != audits[0]["check_id"]:
        return KEEPS, (
            f"The check_id is {audits[0]['check_id']}, and the item of the execution has the CheckId "
            f"{story.end.item.get('CheckId')!r}."
        )
    return None


# -- playing -----------------------------------------------------------------------------------------------------------


def two_by(chance, troubles: Sequence[str] = TROUBLES) -> list[Trouble]:
    """Two of these troubles that chance draws."""
    return [
        Trouble(what, chance.random() < 0.5, chance.choice(list(STATUSES)), chance.choice(["closed", "error"]))
        for what in chance.sample(troubles, 2)
    ]


def goes_through(*troubles: Trouble, then_well=True):
    """An execution's audit is ordered again and again, with these troubles, and then with none, unless told so."""

    def play(scene: Scene):
        attempts: list[Attempt] = []
        latest = None
        for trouble in (*troubles, Trouble(CLEAN)) if then_well else troubles:
            # The vendor knows the URL first: it can call, and a report in the end is for the execution of the story.
            first = [Trouble(CLEAN)] if trouble.what in (CALLED, NAMESAKE, AGAIN) and not scene.orders() else []
            for each in (*first, trouble):
                orders = len(scene.orders())
                latest, attempt = _attempt(scene, each, latest)
                attempts.append(dataclasses.replace(attempt, orders=scene.orders()[orders:]))
        scene.facts["story"] = attempts

    return play


def _attempt(scene, trouble, latest: vendors.Attempt | None):
    """Invoke submit, with this trouble; returns (the attempt that is the latest now, what came of it)."""
    what = trouble.what
    if what == NAMESAKE:
        other = scene.namesake()
        invoked = scene.submit(other.attempt(), other)
        who = "An execution of the same name, of another state machine, ordered an audit of the same table"
        return latest, Attempt(trouble, who, [invoked], met=True, other=True)
    if what == CALLED:
        scene.progress()
    who = "The function submit was invoked with an execution's token"
    if latest and (trouble.retried or what == LATE):
        who = "The state was retried, and submit was invoked with the new token"
    elif latest:
        who = "The function submit was invoked again with the same token"
    if what == LATE:
        before = latest or scene.attempt()
        latest = scene.attempt(retries=before)
        invoked = [scene.submit(latest), scene.submit(before)]
        return latest, Attempt(trouble, f"{who}; {LATE}", invoked, met=True)
    if what == OVERTAKEN:
        before, latest = scene.attempt(), scene.attempt()
        return latest, Attempt(trouble, f"{who}; {OVERTAKEN}", overtake(scene, before, latest), met=True)
    if latest is None or trouble.retried:
        latest = scene.attempt()
    if what == TWICE:
        both = twice_at_once(scene.run.arn, lambda: scene.submit(latest))
        return latest, Attempt(trouble, f"{who}; {TWICE}", both, met=True)
    if what in (CLEAN, CALLED, AGAIN):
        called = what == CALLED
        return latest, Attempt(trouble, f"{who}; {CALLED}" if called else who, [scene.submit(latest)], met=called)
    at_vendor = {"operation": "execute-api:Invoke", "resource": scene.table}
    fault = {
        KILLED_OPENING: {"fault": "kill", "operation": "dynamodb:*", "resource": latest.token},
        KILLED_ORDERED: killed_ordered(scene),
        UNAVAILABLE: {"fault": "refuse", **at_vendor, "code": trouble.code},
        LOST: {"fault": "lost", **at_vendor, "answer": trouble.answer},
    }[what]
    with faults.during(fault, label="check") as made:
        invoked = scene.submit(latest)
    met = bool(made.met[0])
    status = {UNAVAILABLE: STATUSES[trouble.code], LOST: {"error": 500}.get(trouble.answer)}.get(what)
    words = f"{what} ({status}; fault: {fault['fault']})" if status else f"{what} (fault: {fault['fault']})"
    return latest, Attempt(trouble, f"{who}; {words}" if met else who, [invoked], met=met)


def told(seen: Submitted, wrong_in: Callable, again: Callable[[Trouble], Submitted]) -> Submitted | Story:
    """The record as it is, or the story that it tells, with the fewest troubles in which something is wrong.

    wrong_in: says what is wrong in a story. again: plays one trouble alone; returns the record.
    """
    if "story" not in seen.facts:
        return seen

    def alone(troubles):
        for one in map(again, troubles):
            yield Story(one.about, one.facts["story"], one)

    return with_fewest_troubles(Story(seen.about, seen.facts["story"], seen), wrong_in, alone)


def killed_ordered(scene: Scene) -> dict:
    """The fault with which the function's process ends just before it keeps the vendor's check_id."""
    return {"fault": "kill", "operation": "dynamodb:*", "function": scene.name("submit"), "resource": "chk_"}
