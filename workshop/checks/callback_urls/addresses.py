"""Exercise 1: an address for each execution, which leads to the token of its latest attempt.

An execution waits that does nothing else, and the learner's function `submit` is invoked with its token, as a state
machine would: now and again, too late, twice at the same moment.
"""

import dataclasses
import functools
import secrets
import urllib.parse

from workshop.checking.attacks import in_words, report
from workshop.checking.exercises import Case, Fault, contract
from workshop.checking.explorations import drawn_again
from workshop.checking.guessing import computed, random_bits
from workshop.checking.outcomes import listed
from workshop.checking.resources import Invoked, invoke
from workshop.checking.stories import broken
from workshop.checking.submitting import (
    Ordering,
    Submitted,
    again,
    at_once,
    called_meanwhile,
    has_token,
    killed,
    late,
    once,
    overtaken,
    with_a_namesake,
)
from workshop.checking.vendors import signed_up
from workshop.checking.waiting import until
from workshop.checks.callback_urls import order_stories as stories
from workshop.checks.callback_urls.order_stories import Story, Trouble

FEWEST_BITS = 100
URL_SAFE = set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


class Address(Ordering):
    title = "An address that tells nothing"
    hints = (
        "secrets.token_urlsafe() makes an address that nobody guesses. Keep it where an execution that comes again "
        "finds it: find(execution) returns what is known of it.",
        "Two items: one under the execution, which holds its address, and one under the address, which holds the "
        "token. Two who come at the same moment look before either has written: keep(..., only_if=...) decides who "
        "was first, and find(execution) then says what holds for both.",
        'Attr("CallbackId").not_exists() is true for whoever is first. A token takes the place of another one only if '
        "its attempt is no earlier: keep the attempt beside the token. | means or, and Attr(...).lte(...) less or "
        "equal.",
    )
    cases = {
        "first": Case("an execution whose report came", play=once),
        "second": Case("an execution whose report did not come", play=once),
        "third": Case("another execution whose report did not come", play=once),
        "namesake": Case("two executions of the same name, of two state machines", play=with_a_namesake),
        "again": Case("a state that was retried with a new token", play=again),
        "called meanwhile": Case("a state that was retried after the vendor had called", play=called_meanwhile),
        "late": Case("an attempt whose function began when that of its retry was done", play=late),
        "overtaken": Case(
            "an attempt whose function was slow, and was overtaken by that of the next one",
            play=overtaken,
            needs_sandbox=True,
        ),
        "at once": Case("a function that was invoked twice at the same moment", play=at_once, needs_sandbox=True),
        "killed": Case("a function whose process ended before it had saved its token", play=killed, needs_sandbox=True),
        "pair": Case("two things that happened to one execution", needs_sandbox=True),
        "nobody": Case("an address that nobody has", play=lambda scene: None),
        "by its name": Case("an execution whose ARN and name came in place of its address", play=once),
        "twice anew": Case(
            "an execution that came twice, each time to a table with nothing in it", play=lambda scene: None
        ),
    }
    pairs = ("pair",)
    OF_A_PAIR = (  # two of them, by chance
        stories.AGAIN,
        stories.CALLED,
        stories.LATE,
        stories.OVERTAKEN,
        stories.TWICE,
        stories.KILLED_OPENING,
    )
    UNREPORTED = ("second", "third", "namesake", "nobody", "by its name", "twice anew")
    # So that one process of the function `callback` gets all that is sent.
    ALONE = ("called meanwhile", *pairs)
    done = "The address is random and leads to the token of the latest attempt; the token stays at home."

    def observe(self, lab, draw, cases):
        def drawn(name, case):
            if name not in self.pairs:
                return case
            return dataclasses.replace(case, play=_goes_through(*stories.two_by(draw.random(name), self.OF_A_PAIR)))

        def told(name, one):
            def again(trouble):
                alone = dataclasses.replace(cases[name], play=_goes_through(trouble))
                return seen_of({f"{name} again": alone})[f"{name} again"]

            return stories.told(one, wrong_in, again)

        seen_of = functools.partial(super().observe, lab, draw)
        seen = seen_of({name: drawn(name, case) for name, case in cases.items()})
        # A fault of one thing alone is told before one of two.
        singles = {name: one for name, one in seen.items() if name not in self.pairs}
        if self.judge(singles):
            return singles
        return {name: told(name, one) for name, one in seen.items()}

    def play(self, lab, scenes):
        verirow = signed_up(lab)
        for scene in scenes.values():
            scene.facts["keys"] = [verirow.key, verirow.secret]
        super().play(lab, scenes)
        if "nobody" in scenes:
            scenes["nobody"].facts["invoked"] = _called(lab, secrets.token_urlsafe(32))
        if "twice anew" in scenes:
            scene = scenes["twice anew"]
            event = {
                "Execution": scene.run.arn,
                "TaskToken": secrets.token_urlsafe(64),
                "Attempt": "",
                "Table": scene.table,
            }
            scene.facts["drawn"] = drawn_again(lab, "submit", event, "Silent")
        if "by its name" in scenes:
            run = scenes["by its name"].run
            for named in (run.arn, run.arn.rpartition(":")[2]):
                if not _called(lab, named).error:
                    until(run.look, 1, "an execution to end")

    def _play(self, scene):
        if scene.case in (self.cases[name] for name in self.UNREPORTED):
            scene.case.play(scene)
        else:
            super()._play(scene)

    @contract("Nothing that the vendor gets contains the token.", cases="first, second, again")
    def keeps_the_token(self, seen: Submitted):
        if not any(order.url for order in seen.orders):
            failed = next((each.in_words() for each in seen.invoked if each.error), "ended without an error")
            return Fault(
                f"The vendor got no order with a callback URL. The function submit {failed}.",
                "submit orders an audit, with a callback URL that ends in the address.",
            )
        if has_token(seen):
            return "The vendor's log has your task token: it was in the order that it got."

    @contract(
        "An address does not contain the token, the execution's ARN or its name, and cannot be computed from one of "
        "them, not even by the vendor.",
        cases="first, second, again",
    )
    def tells_nothing(self, seen: Submitted):
        url, address = seen.orders[0].url, seen.orders[0].address
        known = [("the execution's ARN", seen.execution), ("the execution's name", seen.execution.rpartition(":")[2])]
        for what, text in known:
            if text in urllib.parse.unquote(url):
                return f"The address {address[:90]} contains {what}."
        for what, text in [*(("the task token", token) for token in seen.tokens), *known]:
            if any(made in url for made in computed(text)):
                return f"The address {address[:90]} can be computed from {what}, by whoever knows how you make it."
            if any(made in url for key in seen.facts.get("keys", ()) for made in computed(text, key)):
                return f"The address {address[:90]} can be computed from {what}, with a key that the vendor has."

    @contract("Nothing that you log contains the token.", cases="first, again, late, overtaken, at once")
    def logs_no_token(self, seen: Submitted):
        if seen.logged:
            return f"A task token stands in the log of {listed(seen.logged)}."

    @contract(
        "`open_callback` returns an address for an execution: letters, digits, `-` and `_`, with at least 100 random "
        "bits, and another one for each execution.",
        cases="first, second, third, namesake, twice anew",
    )
    def is_random(self, seen: Submitted):
        if seen.about == self.cases["twice anew"].about:
            one, other = seen.facts.get("drawn") or ("", None)
            if one != other:
                return None
            return Fault(
                f"In the case of {seen.about}, it got the same address each time: {one[:90]}.",
                f"It has at least {FEWEST_BITS} random bits. What is computed has none, whatever it is computed with.",
            )
        addresses = seen.facts["addresses"]
        if len(addresses) < seen.facts["executions"]:
            return Fault("Two executions got the same address.", "Each execution has an address of its own.")
        if seen.about == self.cases["namesake"].about and len({order.url for order in seen.orders}) < 2:
            return Fault(
                "Two executions of the same name, of two state machines, got the same address.",
                "Each execution has an address of its own. Two executions can share a name, but not an ARN.",
            )
        odd = next((one for one in addresses if not set(one) <= URL_SAFE), None)
        if odd is not None:
            return Fault(
                f"An address is {odd[:80]!r}.", "It has letters, digits, - and _ only, since it stands in a URL."
            )
        bits = random_bits(addresses)
        if len(addresses) > 1 and bits < FEWEST_BITS:  # one alone says nothing
            return Fault(
                f"The addresses of {len(addresses)} executions are {', '.join(addresses[:3])}, ... They have "
                f"{bits:.0f} random bits at most.",
                f"It has at least {FEWEST_BITS} random bits, so that nobody can guess it.",
            )

    @contract(
        "Called again for the same execution, also at the same moment, it returns the same address. An "
        "attempt that comes after a later one may raise instead.",
        cases="again, at once, killed, late, overtaken, pair",
    )
    def keeps_the_address(self, seen: Submitted | Story):
        if isinstance(seen, Story):
            return broken(seen, wrong_in, KEEPS_ADDRESS)
        failed = next((each for each in seen.invoked if each.error), None)
        # An attempt that a later one has overtaken may fail, and one whose process was ended must.
        if failed and seen.about in (self.cases[name].about for name in ("again", "at once")):
            return f"In the case of {seen.about}, submit {failed.in_words()}."
        if seen.about == self.cases["killed"].about and seen.invoked[-1].error:
            return f"In the case of {seen.about}, the state was tried again, and submit {seen.invoked[-1].in_words()}."
        urls = [order.url for order in seen.orders]
        if len(set(urls)) > 1:
            return (
                f"In the case of {seen.about}, the vendor got {len(set(urls))} addresses for one execution: "
                f"{listed(dict.fromkeys(order.address[:12] + '…' for order in seen.orders))}."
            )

    @contract(
        "`token_of` returns the token behind an address, and `None` for an address that nobody has.",
        cases="first, second, third, nobody, by its name",
    )
    def leads_to_its_execution(self, seen: Submitted):
        if seen.about == self.cases["nobody"].about:
            return _not_nobody(seen.facts["invoked"])
        if seen.about == self.cases["by its name"].about:
            if seen.status != "RUNNING":
                return Fault(
                    f"A report came with the execution's ARN or its name in place of the address, and "
                    f"the execution {seen.in_words()}.",
                    "Whoever knows the name of an execution does not know its address: token_of returns None for it.",
                )
        elif seen.about == self.cases["first"].about:
            if seen.status != "SUCCEEDED":
                sent = f"A report that was sent to an execution's URL {in_words(seen.answer)}"
                return f"{sent}, and the execution {seen.in_words()}."
        elif seen.status != "RUNNING":
            return Fault(
                f"A report for one execution came, and another one {seen.in_words()}.",
                "Each address leads to its own execution.",
            )

    @contract(
        "The address leads to the token of the latest attempt, in whatever order their functions begin and end.",
        cases="again, called meanwhile, killed, late, overtaken, at once, pair",
    )
    def leads_to_the_latest(self, seen: Submitted | Story):
        if isinstance(seen, Story):
            return broken(seen, wrong_in, LEADS_TO_LATEST)
        if seen.status == "SUCCEEDED":
            return None
        missing = None
        if seen.about in (Address.cases[name].about for name in ("again", "called meanwhile")):
            missing = "The address leads to the new token; the old one is dead."
        elif len(seen.tokens) > 1:
            missing = (
                "A token takes the place of another one only if its attempt is later. Otherwise it is a dead token."
            )
        return Fault(
            f"In the case of {seen.about}, a report {in_words(seen.answer)}, and the execution {seen.in_words()}.",
            missing,
            seen.invocations,
        )


def _goes_through(*troubles: Trouble):
    # Who was killed has saved nothing: only the next attempt can.
    return stories.goes_through(*troubles, then_well=troubles[-1].what == stories.KILLED_OPENING)


KEEPS_ADDRESS, LEADS_TO_LATEST = "keeps the address", "leads to the latest"  # what of the contract a story breaks


def wrong_in(story: Story) -> tuple[str, str] | None:
    """What goes wrong in a story: (which of the contract's sentences, what was observed), None where nothing does."""
    urls = set()
    for attempt in story.attempts:
        urls |= {order.url for order in attempt.orders}
        if len(urls) > 1:
            return KEEPS_ADDRESS, f"{attempt}. By then it had got {len(urls)} addresses for one execution."
    return None if story.end.status == "SUCCEEDED" else (LEADS_TO_LATEST, story.in_the_end)


def _called(lab, address) -> Invoked:
    """How the function `callback` ends when a genuine report comes to that address."""
    verirow = signed_up(lab)
    body = report(verirow, f"https://callbacks.example/{address}")
    headers = {name.lower(): value for name, value in verirow.headers(body).items()}
    return invoke(
        lab.name("callback"),
        {
            "version": "2.0",
            "routeKey": "POST /callbacks/{id}",
            "headers": headers,
            "pathParameters": {"id": address},
            "body": body.decode(),
            "isBase64Encoded": False,
        },
    )


def _not_nobody(invoked: Invoked):
    """What is wrong with what token_of said of an address that nobody has, as the end of the function shows it.

    The prototype passes on whatever token_of returns, and boto3 names a token that is none, or Step Functions does.
    """
    asked = "token_of was asked about an address that nobody has"
    if any(place.startswith(("callbacks.py", "waiting.py")) for place in invoked.raised_in):
        return f"{asked}, and the function callback {invoked.in_words()}."
    passed_on = invoked.kind in ("InvalidToken", "TaskDoesNotExist") or "parameter taskToken" in (invoked.error or "")
    if passed_on and "value: None" not in invoked.error:
        return f"{asked}, and did not return None: the function callback {invoked.in_words()}."
