"""Lab 03: wait for a vendor that calls a URL.

The part of such a URL that is an execution's own is its *address*. What the vendor makes of a table is an *audit*. In
the cases of exercises 1 and 2 an execution waits that does nothing else, and the learner's function `submit` is invoked
with its token, as a state machine would: now and again, too late, twice at the same moment.
"""

import dataclasses
import secrets
import types
import urllib.parse
from collections.abc import Callable, Mapping, Sequence

from workshop import clients, faults, logs
from workshop.checking.attacks import in_words, report, send
from workshop.checking.exercises import Case, Exercise, Fault, contract
from workshop.checking.guessing import computed, pieces, random_bits
from workshop.checking.outcomes import NotAttempted, listed, shortened
from workshop.checking.resources import Invoked, function, invoke
from workshop.checking.vendors import Attempt, Order, Waiting, Waits, orders_of, rehearse, signed_up
from workshop.checking.waiting import side_by_side, until
from workshop.checks import callback_urls_before as before

SOON = 8  # seconds of patience, for what comes only if the answer is right
LONG = 60  # seconds of patience, for what comes whatever the answer is
FEWEST_BITS = 100
URL_SAFE = set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
QUIET = {"silent": True, "seconds": 3600}  # an audit that nobody hears of while a check lasts
REPORT = {"rows": 3, "missing": {"city": 1}, "out_of_range": 0}


def built(lab, thing):
    """The ARN of a function that deploy_all() deploys. Raises NotAttempted where it is not there."""
    try:
        return function(lab, thing)
    except NotAttempted:
        raise NotAttempted(
            f"There is no function named {lab.name(thing)}: a file of it is still blank, or deploy_all() was not run."
        ) from None


# -- executions for which the learner's submit is invoked --------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Submitted:
    """What was seen of one execution for which `submit` was invoked.

    about: what is special about it. execution: its ARN. tokens: of its attempts, in their order.
    invoked: how each invocation of submit ended, in the order in which they began.
    orders: what the vendor got. audits: what it makes of them, as Vendor.checks tells.
    answer: to a report that was sent to its URL in the end; None where none was sent, or none came.
    status: of the execution after that, and output. item: what the learner's table has under its ARN.
    logged: the functions in whose logs one of its tokens stands.
    facts: what else there is to know, as the exercise says.
    """

    about: str
    execution: str
    tokens: Sequence[str] = ()
    invoked: Sequence[Invoked] = ()
    orders: Sequence[Order] = ()
    audits: Sequence[Mapping] = ()
    answer: int | None = None
    status: str = "RUNNING"
    output: object = None
    item: Mapping = dataclasses.field(default_factory=dict)
    logged: Sequence[str] = ()
    facts: Mapping = dataclasses.field(default_factory=dict)

    @property
    def evidence(self) -> list[str]:
        told = [f"submit {invoked.in_words()}" for invoked in self.invoked if invoked.error]
        return told + [shortened(f"the vendor got: {order.text}", 300) for order in self.orders]

    def in_words(self) -> str:
        return "was still running" if self.status == "RUNNING" else f"ended {self.status}"


class Scene:
    """One execution that waits while its case plays. Its `play` gets it.

    case: the Case. run: the execution. table: the ARN of the table of which an audit is ordered for it.
    """

    def __init__(self, lab, verirow, run: Waiting, table: str, case: Case):
        self._lab, self._verirow = lab, verirow
        self.case, self.run, self.table = case, run, table
        self.tokens: list[str] = []
        self.invoked: list[Invoked] = []
        self.facts: dict = {}
        self.answer = None

    def attempt(self) -> Attempt:
        """The first attempt of its state, or the next one: then the token of the one before is dead."""
        attempt = self.run.next_attempt() if self.tokens else self.run.attempt()
        self.tokens.append(attempt.token)
        return attempt

    def submit(self, attempt: Attempt) -> Invoked:
        """Invoke `submit` for an attempt, as the state machine would, and wait for it."""
        place = len(self.invoked)
        self.invoked.append(Invoked(None))
        event = {"Execution": self.run.arn, "TaskToken": attempt.token, "Attempt": attempt.order, "Table": self.table}
        self.invoked[place] = invoke(self._lab.name("submit"), event)
        return self.invoked[place]

    def orders(self) -> list[Order]:
        return orders_of(self._verirow, self.table)

    def report(self, patience=SOON):
        """Send a genuine report to the URL that the vendor got first, and wait for the execution to end."""
        urls = [order.url for order in self.orders() if order.url]
        if urls:
            body = report(self._verirow, urls[0], report=REPORT)
            self.answer = send(urls[0], self._verirow.headers(body), body)
            until(self.run.look, patience, "an execution to end")

    def seen(self) -> Submitted:
        self.run.look()
        output, _, _ = self.run.outcome() if self.run.status != "RUNNING" else (None, "", "")
        items = clients.table(self._lab.name("waiting"))
        parts = [part for token in self.tokens for part in (token[:32], token[-32:])]
        return Submitted(
            self.case.about,
            self.run.arn,
            tokens=list(self.tokens),
            invoked=list(self.invoked),
            orders=self.orders(),
            audits=self._verirow.checks(self.table),
            answer=self.answer,
            status=self.run.status,
            output=output,
            item=items.get_item(Key={"Id": self.run.arn}, ConsistentRead=True).get("Item", {}),
            logged=[
                thing
                for thing in ("submit", "callback")
                if any(part in line for line in logs.lines(self._lab.name(thing)) for part in parts)
            ],
            facts=self.facts,
        )


class Ordering(Exercise):
    """An exercise in which `submit` orders audits for executions that wait."""

    by_default: Callable[[Scene], object]

    def observe(self, lab, draw, cases):
        built(lab, "submit"), built(lab, "callback")
        scenes = self.scenes(lab, draw, cases)
        try:
            self.play(lab, scenes)
            seen = side_by_side(*(scene.seen for scene in scenes.values()))
        finally:
            side_by_side(*(scene.run.stop for scene in scenes.values()))
        addresses = [one.orders[0].address for one in seen if one.orders]
        facts = {"addresses": sorted(set(addresses)), "executions": len(addresses)}
        return {name: dataclasses.replace(one, facts=one.facts | facts) for name, one in zip(scenes, seen, strict=True)}

    def play(self, lab, scenes: Mapping[str, Scene]):
        """Play all scenes side by side, and send a report to each in the end."""
        side_by_side(*(lambda scene=scene: self._play(scene) for scene in scenes.values()))

    def _play(self, scene):
        (scene.case.play or self.by_default)(scene)
        scene.report()

    def scenes(self, lab, draw, cases) -> dict[str, Scene]:
        """An execution for each case, with a table of its own."""
        verirow, waits = signed_up(lab), Waits(lab, lab.name("waiting"))
        tables = rehearse(lab, verirow, {name: self.rehearsal(draw, name, case) for name, case in cases.items()})
        return {name: Scene(lab, verirow, waits.begin(), tables[name], case) for name, case in cases.items()}

    def rehearsal(self, draw, name, case) -> Mapping:
        """How the vendor's audit of that case's table goes."""
        return {**QUIET, **draw.values(name, case.input)}


# -- plays: how submit is invoked for an execution ---------------------------------------------------------------------


def once(scene: Scene):
    scene.submit(scene.attempt())


def again(scene: Scene):
    """The state is tried again, with a new token."""
    once(scene)
    once(scene)


def late(scene: Scene):
    """The function of the first attempt begins late: when that of the second one is done."""
    first, second = scene.attempt(), scene.attempt()
    scene.submit(second)
    scene.submit(first)


def overtaken(scene: Scene):
    """The function of the first attempt is slow: held before it writes its token, while the second one passes."""
    first, second = scene.attempt(), scene.attempt()
    hold = {"fault": "hold", "operation": "dynamodb:*", "resource": first.token}
    with faults.during(hold, label="check") as gate:
        over = []

        def slow():
            scene.submit(first)
            over.append(True)

        def fast():
            until(lambda: over or gate.wait_until_held(1, 0), LONG, "a function to write its token")
            scene.submit(second)
            gate.end()

        side_by_side(slow, fast)


def at_once(scene: Scene):
    """The function is invoked twice at the same moment: both have made their first call before either is answered."""
    attempt = scene.attempt()
    hold = {"fault": "hold", "operation": "dynamodb:*", "resource": scene.run.arn, "where": "after", "together": 2}
    with faults.during({**hold, "seconds": 5}, label="check"):
        side_by_side(lambda: scene.submit(attempt), lambda: scene.submit(attempt))


def killed(scene: Scene):
    """The function's process ends just before it writes its token; the state is tried again."""
    attempt = scene.attempt()
    with faults.during({"fault": "kill", "operation": "dynamodb:*", "resource": attempt.token}, label="check"):
        scene.submit(attempt)
    once(scene)


# -- exercise 1 --------------------------------------------------------------------------------------------------------


class Address(Ordering):
    title = "An address that tells nothing"
    hints = (
        "secrets.token_urlsafe() makes an address that nobody guesses. Keep it where an execution that comes again "
        "finds it: find(execution) returns what is known of it.",
        "Two items: one under the execution, which holds its address, and one under the address, which holds the "
        "token. Two who come at the same moment look before either has written: keep(..., only_if=...) decides who "
        "was first, and find(execution) says then what holds for both.",
        'Attr("CallbackId").not_exists() is true for whoever is first. A token takes the place of another one only if '
        "its attempt is no earlier: keep the attempt beside the token. | means or, and Attr(...).lte(...) less or "
        "equal.",
    )
    cases = {
        "first": Case("an execution whose report came", play=once),
        "second": Case("an execution whose report did not come", play=once),
        "third": Case("another execution whose report did not come", play=once),
        "again": Case("a state that was retried with a new token", play=again),
        "late": Case("an attempt whose function began when that of the next attempt was done", play=late),
        "overtaken": Case(
            "an attempt whose function was slow, and was overtaken by that of the next one",
            play=overtaken,
            needs_sandbox=True,
        ),
        "at once": Case("a function that was invoked twice at the same moment", play=at_once, needs_sandbox=True),
        "killed": Case("a function whose process ended before it had saved its token", play=killed, needs_sandbox=True),
        "nobody": Case("an address that nobody has", play=lambda scene: None),
    }
    done = "The address is random and leads to the token of the latest attempt; the token stays at home."

    def play(self, lab, scenes):
        side_by_side(*(lambda scene=scene: scene.case.play(scene) for scene in scenes.values()))
        quiet = ("second", "third", "nobody")
        side_by_side(*(scene.report for name, scene in scenes.items() if name not in quiet))
        if "nobody" in scenes:
            scenes["nobody"].facts["invoked"] = _asked_for_nobody(lab)

    @contract("Nothing that the vendor gets contains the token.", cases="first, second, again")
    def keeps_the_token(self, seen: Submitted):
        if not any(order.url for order in seen.orders):
            failed = next((each.in_words() for each in seen.invoked if each.error), "ended without an error")
            return Fault(
                f"The vendor got no order with a callback URL. The function submit {failed}.",
                "submit orders an audit, with a callback URL that ends in the address.",
            )
        if _has_token(seen):
            return "The vendor's log has your task token: it was in the order that it got."

    @contract(
        "An address does not contain the token, the execution's ARN or its name, and cannot be computed from one of "
        "them.",
        cases="first, second, again",
    )
    def tells_nothing(self, seen: Submitted):
        url, address = seen.orders[0].url, seen.orders[0].address
        known = {"the execution's ARN": seen.execution, "the execution's name": seen.execution.rpartition(":")[2]}
        for what, text in known.items():
            if text in urllib.parse.unquote(url):
                return f"The address {address[:90]} contains {what}."
        for what, text in {"the task token": seen.tokens[0], "the task token ": seen.tokens[-1], **known}.items():
            if any(made in url for made in computed(text)):
                return f"The address {address[:90]} can be computed from {what.strip()}: it is a hash or an encoding."

    @contract("Nothing that you log contains the token.", cases="first, again")
    def logs_no_token(self, seen: Submitted):
        if seen.logged:
            return f"A task token stands in the log of {listed(seen.logged)}."

    @contract(
        "`open_callback` returns an address for an execution: letters, digits, `-` and `_`, with at least 100 random "
        "bits, and another one for each execution.",
        cases="first, second, third",
    )
    def is_random(self, seen: Submitted):
        addresses = seen.facts["addresses"]
        if len(addresses) < seen.facts["executions"]:
            return Fault("Two executions got the same address.", "Another address for each execution.")
        odd = next((one for one in addresses if not set(one) <= URL_SAFE), None)
        if odd is not None:
            return Fault(f"An address is {odd[:80]!r}.", "Letters, digits, - and _ only: it stands in a URL.")
        bits = random_bits(addresses)
        if bits < FEWEST_BITS:
            return Fault(
                f"Addresses of {len(addresses)} executions: {', '.join(addresses[:3])}, ... That is {bits:.0f} random "
                "bits at most.",
                f"At least {FEWEST_BITS} random bits, so that nobody can guess one.",
            )

    @contract(
        "Called again for the same execution, also at the same moment, it returns the same address.",
        cases="again, at once, killed",
    )
    def keeps_the_address(self, seen: Submitted):
        failed = next((each for each in seen.invoked[-1:] if each.error), None)
        if failed:
            return f"Of {seen.about}: submit {failed.in_words()}."
        urls = [order.url for order in seen.orders]
        if len(set(urls)) > 1:
            return (
                f"Of {seen.about}: the vendor got {len(set(urls))} addresses for one execution, "
                f"{listed(dict.fromkeys(order.address[:12] + '…' for order in seen.orders))}."
            )

    @contract(
        "`token_of` returns the token behind an address, and `None` for an address that nobody has.",
        cases="first, second, third, nobody",
    )
    def leads_to_its_execution(self, seen: Submitted):
        if "invoked" in seen.facts:
            invoked = seen.facts["invoked"]
            if any(place.startswith(("callbacks.py", "waiting.py")) for place in invoked.raised_in):
                return f"token_of, asked about an address that nobody has, {invoked.in_words()}."
            return None
        if seen.about == Address.cases["first"].about:
            if seen.status != "SUCCEEDED":
                return (
                    f"A report that was sent to an execution's URL {in_words(seen.answer)}, and it {seen.in_words()}."
                )
        elif seen.status != "RUNNING":
            return Fault(
                f"A report for one execution came, and another one {seen.in_words()}.",
                "Each address leads to its own execution.",
            )

    @contract(
        "The address leads to the token of the latest attempt, in whatever order their functions begin and end.",
        cases="again, killed, late, overtaken, at once",
    )
    def leads_to_the_latest(self, seen: Submitted):
        if seen.status == "SUCCEEDED":
            return None
        missing = None
        if seen.about == Address.cases["again"].about:
            missing = "The address leads to the new token; the old one is dead."
        elif len(seen.tokens) > 1:
            missing = "A token takes the place of another one only if it is of a later attempt; else it is a dead one."
        return Fault(
            f"Of {seen.about}: a report {in_words(seen.answer)}, and the execution {seen.in_words()}.", missing
        )


def _has_token(seen):
    return any(piece in order.text for order in seen.orders for token in seen.tokens for piece in pieces(token))


def _asked_for_nobody(lab) -> Invoked:
    """How the function `callback` ends when a genuine report comes to an address that nobody has."""
    verirow, address = signed_up(lab), secrets.token_urlsafe(32)
    body = report(verirow, f"https://nobody.example/{address}", report=REPORT)
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


EXERCISES = {1: Address()}
EXERCISES |= {
    number: types.SimpleNamespace(
        title=task.title,
        hints=task.hints,
        stretch=task.stretch,
        check=lambda lab, seed, number=number: getattr(before, f"task_{number}")(lab),
    )
    for number, task in before.TASKS.items()
    if number not in EXERCISES
}
