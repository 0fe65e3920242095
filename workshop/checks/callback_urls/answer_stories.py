"""Exercise 4, when two things go wrong one after the other: how such a story is played, and what is wrong in it."""

import dataclasses
from collections.abc import Sequence

from workshop import faults
from workshop.checking.attacks import is_final, is_success
from workshop.checking.executions import Execution
from workshop.checking.messages import Sent, Vendor
from workshop.checking.outcomes import shortened
from workshop.checking.waiting import side_by_side

UNREAD, REFUSED, LOST, KILLED_BEFORE, KILLED_AFTER, TWICE, RETRIED, PROGRESS, STRANGE, ELSEWHERE, CLEAN = (
    "While DynamoDB refused the function's call",
    "While Step Functions refused the function's call",
    "While the answer of Step Functions was lost",
    "While the function's process ended just before its answer to Step Functions",
    "While the function's process ended just after its answer to Step Functions",
    "At the same moment as another one like it",
    "After the state had been retried",
    "progress",
    "a message of another type",
    "a message for another URL",
    "nothing went wrong",
)
SPOILED = (UNREAD, REFUSED, LOST, KILLED_BEFORE, KILLED_AFTER)  # what is wrong on the function's side
OTHERS = (PROGRESS, STRANGE, ELSEWHERE)  # what is not the end
TROUBLES = (*SPOILED, TWICE, RETRIED, *OTHERS)
CODES = ("AccessDeniedException", "InternalServerError")  # boto3 tries others longer than we wait
ANSWERS = ["states:SendTaskSuccess", "states:SendTaskFailure"]


@dataclasses.dataclass(frozen=True)
class Trouble:
    """What goes wrong with one delivery, or what else comes, of those above. code: of a refusal, one of CODES."""

    what: str
    code: str = CODES[0]


@dataclasses.dataclass(frozen=True)
class Delivery:
    """What came of one. met: whether the trouble came about."""

    trouble: Trouble
    sent: Sent
    met: bool = False


@dataclasses.dataclass(frozen=True)
class Story:
    """Messages to one execution, one after the other; the last one is its end, with nothing in its way.

    end: what was seen of the execution after all of it; its facts say what the vendor told: `report` and `message`.
    failed: whether the audit had.
    """

    about: str
    deliveries: Sequence[Delivery]
    end: Execution
    failed: bool = False

    @property
    def troubles(self) -> list[Trouble]:
        return [delivery.trouble for delivery in self.deliveries[:-1]]

    @property
    def may_be_slow(self) -> bool:
        """Whether a busy machine can have made it what it is."""
        return any(delivery.sent.answer is None for delivery in self.deliveries)

    def lines(self) -> list[str]:
        """What happened, in order."""
        return [f"{nth}. {shortened(_told(each.sent), 400)}." for nth, each in enumerate(self.deliveries, start=1)]


def _told(sent):
    stood = f"ended {sent.status}" if sent.went_on else "was still running"
    return f"{sent.answered}, and after that the execution {stood}"


# What of the contract a story breaks.
END, KNOWN, UNKNOWN, ANOTHER, OWNS_UP, BEATS = "end", "known", "unknown", "another", "owns up", "beats"


def wrong_in(story: Story) -> tuple[str, str] | None:
    """What goes wrong in a story: (which of the contract's sentences, what was observed), None where nothing does."""
    ended = False
    for delivery in story.deliveries:
        sent, what = delivery.sent, delivery.trouble.what
        said = f"{_told(sent)}."
        spoiled = delivery.met and what in SPOILED
        rule = {PROGRESS: BEATS, STRANGE: UNKNOWN, ELSEWHERE: ANOTHER}.get(what, KNOWN if ended else END)
        if spoiled:
            if sent.answer is not None and sent.answer < 500 and not (sent.went_on and is_success(sent.answer)):
                return OWNS_UP, said
        elif not (is_final if what == ELSEWHERE else is_success)(sent.answer):
            return rule, said
        if sent.went_on and not ended and what in OTHERS:
            return rule, said
        if not sent.went_on and not spoiled and what not in OTHERS:
            return OWNS_UP if _was_spoiled(story) else END, said
        ended = sent.went_on
    end, told = story.end, story.end.facts
    if story.failed:
        right = end.status == "FAILED" and end.error == "CheckFailed" and told["message"] in end.cause
    else:
        right = end.status == "SUCCEEDED" and end.output == told["report"]
    if not right:
        output = f" with the output {shortened(str(end.output))}" * (end.status == "SUCCEEDED")
        return END, f"After all of it, the execution {end.in_words()}{output}."
    return None


def _was_spoiled(story):
    return any(delivery.met and delivery.trouble.what in SPOILED for delivery in story.deliveries)


# -- playing -----------------------------------------------------------------------------------------------------------


def two_by(chance) -> list[Trouble]:
    """Two troubles that chance draws."""
    return [Trouble(what, chance.choice(CODES)) for what in chance.sample(TROUBLES, 2)]


def goes_through(*troubles: Trouble, failed=False):
    """Messages come with these troubles, or with two that chance draws, and then the end with none.

    failed: whether the end is a failure, and not a report.
    """

    def play(vendor: Vendor) -> list[Delivery]:
        deliveries: list[Delivery] = []
        for trouble in (*(troubles or two_by(vendor.chance)), Trouble(CLEAN)):
            again = any(each.trouble.what not in OTHERS for each in deliveries)
            deliveries.append(_delivery(vendor, trouble, failed, again))
        return deliveries

    return play


def _delivery(vendor, trouble, failed, again):
    what, run = trouble.what, vendor.run
    if what in OTHERS:
        send = {
            PROGRESS: lambda: vendor.sends_progress("Progress"),
            STRANGE: lambda: vendor.sends("A message of the type check.annotated", "check.annotated", **_all(vendor)),
            ELSEWHERE: lambda: vendor.sends(
                "A genuine report about another URL", "check.completed", f"{run.url}-2", report=vendor.report
            ),
        }[what]
        return Delivery(trouble, send(), met=True)
    message = "the news that the audit failed" if failed else "the same report" if again else "a report"
    send = vendor.sends_failure if failed else vendor.sends_report
    if what == TWICE:
        both = side_by_side(*[lambda: send(f"{TWICE}, {message}")] * 2)
        return Delivery(trouble, next((sent for sent in both if not is_success(sent.answer)), both[0]), met=True)
    if what == RETRIED and not run.look():
        vendor.retries()
        return Delivery(trouble, send(f"{RETRIED}, {message}"), met=True)
    plain = message[0].upper() + message[1:]
    if what not in SPOILED:
        return Delivery(trouble, send(plain))
    about = run.url.rpartition("/")[2] if what == UNREAD else run.token
    fault = {
        UNREAD: {"fault": "refuse", "operation": "dynamodb:*", "code": trouble.code, "tries": "all", "count": 20},
        REFUSED: {"fault": "refuse", "operation": ANSWERS, "code": trouble.code, "tries": "all"},
        LOST: {"fault": "lost", "operation": ANSWERS, "tries": "all"},
        KILLED_BEFORE: {"fault": "kill", "operation": ANSWERS, "where": "before"},
        KILLED_AFTER: {"fault": "kill", "operation": ANSWERS, "where": "after"},
    }[what]
    code = f" ({trouble.code})" * (what in (UNREAD, REFUSED))
    with faults.during({**fault, "resource": about}, label="check") as made:
        sent = send(f"{what}{code}, {message}")
    met = bool(made.met[0])
    return Delivery(trouble, sent if met else dataclasses.replace(sent, what=plain), met)


def _all(vendor):
    """What all types of messages have, in one."""
    return {"percent": 1, "error": vendor.failure, "report": vendor.report}
