"""Lab 03: wait for a vendor that calls a URL.

The part of such a URL that is an execution's own is its *address*. What the vendor makes of a table is an *audit*. In
the cases of exercises 1 and 2 an execution waits that does nothing else, and the learner's function `submit` is invoked
with its token, as a state machine would: now and again, too late, twice at the same moment.
"""

import dataclasses
import json
import math
import secrets
import threading
import time
import urllib.parse
from collections.abc import Callable, Mapping, Sequence

from workshop import clients, deploy, faults, logs
from workshop.checking.attacks import (
    ATTACKS,
    GENUINE,
    JSON,
    in_words,
    is_final,
    is_success,
    report,
    report_of,
    send,
)
from workshop.checking.executions import Execution
from workshop.checking.exercises import LOOKS, Case, Exercise, Fault, contract
from workshop.checking.guessing import computed, pieces, random_bits
from workshop.checking.outcomes import NotAttempted, NotYet, SandboxProblem, listed, shortened
from workshop.checking.resources import Invoked, function, invoke, state_machine
from workshop.checking.vendors import (
    LONGEST_WAIT,
    Attempt,
    Order,
    VendorRun,
    Waiting,
    Waits,
    orders_of,
    rehearse,
    signed_up,
)
from workshop.checking.waiting import side_by_side, until

TOO_BUSY = "This machine is too busy: an order got no answer within two seconds, again and again. Try again later."
SOON = 8  # seconds of patience, for what comes only if the answer is right
LONG = 60  # seconds of patience, for what comes whatever the answer is
AT_A_TIME = 4  # scenes: the vendor has two seconds for its answer, on a machine that may have two processors
FEWEST_BITS = 100
URL_SAFE = set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
QUIET = {
    "silent": True,
    "seconds": 3600,
    "answers": [],
    "slow_seconds": 4,
    "rows": None,
}  # nobody hears of such an audit
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

    case: the Case. run: the execution. table: the ARN of the table of which an audit is ordered for it. how: how that
    audit goes.
    """

    def __init__(self, lab, verirow, waits: Waits, table: str, case: Case, how: Mapping):
        self._lab, self._verirow, self._waits = lab, verirow, waits
        self.runs = [waits.begin()]
        self.run, self.table, self.case = self.runs[0], table, case
        self.tokens: list[str] = []
        self.invoked: list[Invoked] = []
        self.facts: dict = {"how": how}
        self.answer = None

    def attempt(self) -> Attempt:
        """The first attempt of its state, or the next one: then the token of the one before is dead."""
        attempt = self.run.next_attempt() if self.tokens else self.run.attempt()
        self.tokens.append(attempt.token)
        return attempt

    def another_run(self) -> Waiting:
        """Another execution that waits."""
        self.runs.append(self._waits.begin())
        return self.runs[-1]

    def submit(self, attempt: Attempt, run: Waiting | None = None):
        """Invoke `submit` for an attempt, as the state machine would, and wait for it. run: another execution's."""
        place, began = len(self.invoked), time.monotonic()
        self.invoked.append(Invoked(None))
        event = {"Execution": (run or self.run).arn, "TaskToken": attempt.token, "Attempt": attempt.order}
        self.invoked[place] = invoke(self.name("submit"), {**event, "Table": self.table})
        answer = dict(enumerate(self.facts["how"]["answers"])).get(place)
        if _is_unavailable(self.invoked[place]) and answer != "slow" and time.monotonic() - began > 1.5:
            self.facts["busy"] = True

    def name(self, thing: str) -> str:
        return self._lab.name(thing)

    def orders(self) -> list[Order]:
        return orders_of(self._verirow, self.table)

    def audits(self) -> list[dict]:
        return self._verirow.checks(self.table)

    def report(self, patience=SOON):
        """Send a genuine report to the URL that the vendor got first, and wait for the execution to end."""
        urls = [order.url for order in self.orders() if order.url]
        if urls:
            body = report(self._verirow, urls[0], report=REPORT)
            self.answer = send(urls[0], self._verirow.headers(body), body)
            until(self.run.look, patience, "an execution to end")

    def seen(self, logged: Mapping[str, Sequence[str]]) -> Submitted:
        """All that is known of it now. logged: the lines in the logs of the learner's functions."""
        self.run.look()
        output, _, _ = self.run.outcome() if self.run.status != "RUNNING" else (None, "", "")
        items = clients.table(self.name("waiting"))
        parts = [part for token in self.tokens for part in (token[:32], token[-32:])]
        return Submitted(
            self.case.about,
            self.run.arn,
            tokens=list(self.tokens),
            invoked=list(self.invoked),
            orders=self.orders(),
            audits=self.audits(),
            answer=self.answer,
            status=self.run.status,
            output=output,
            item=items.get_item(Key={"Id": self.run.arn}, ConsistentRead=True).get("Item", {}),
            logged=[thing for thing, lines in logged.items() if any(part in line for line in lines for part in parts)],
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
            logged = {thing: logs.lines(lab.name(thing)) for thing in ("submit", "callback")}
            seen = side_by_side(*(lambda scene=scene: scene.seen(logged) for scene in scenes.values()))
        finally:
            side_by_side(*(run.stop for scene in scenes.values() for run in scene.runs))
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
        how = {name: self.rehearsal(draw, name, case) for name, case in cases.items()}
        tables = rehearse(lab, verirow, how)
        return {name: Scene(lab, verirow, waits, tables[name], case, how[name]) for name, case in cases.items()}

    def rehearsal(self, draw, name, case) -> Mapping:
        """How the vendor's audit of that case's table goes."""
        return {**QUIET, **case.input}


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
        side_by_side(*(lambda scene=scene: scene.case.play(scene) for scene in scenes.values()), most=AT_A_TIME)
        quiet = ("second", "third", "nobody")
        side_by_side(*(scene.report for name, scene in scenes.items() if name not in quiet), most=AT_A_TIME)
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


# -- exercise 2 --------------------------------------------------------------------------------------------------------

FINAL = [status for status in range(400, 452) if status not in (408, 429)]
OVERLOADED = range(500, 600)


def each_answer(scene: Scene):
    """An attempt for each answer of the vendor's, and one more; the state is tried again as it would be."""
    for _ in range(len(scene.facts["how"]["answers"]) + 1):
        once(scene)


def two_executions(scene: Scene):
    """Another execution is there for the same table."""
    once(scene)
    other = scene.another_run()
    scene.submit(other.attempt(), other)


def closed(scene: Scene):
    """The vendor takes the order, and its connection closes without an answer; the state is tried again."""
    lost = {"fault": "lost", "operation": "execute-api:Invoke", "resource": scene.table}
    attempt = scene.attempt()
    with faults.during(lost, label="check"):
        scene.submit(attempt)
    once(scene)


def killed_when_it_knows(scene: Scene):
    """The function's process ends just before it keeps the vendor's check_id; the state is tried again."""
    attempt = scene.attempt()
    kill = {"fault": "kill", "operation": "dynamodb:*", "function": scene.name("submit"), "resource": "chk_"}
    with faults.during(kill, label="check"):
        scene.submit(attempt)
    once(scene)


def unreachable(scene: Scene):
    """Nobody listens at the vendor's address; then somebody does again, and the state is tried again."""
    name, client = scene.name("submit"), clients.of("lambda")
    before = client.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    attempt = scene.attempt()

    def set_to(variables):
        deploy.patiently(client.update_function_configuration, FunctionName=name, Environment={"Variables": variables})
        deploy.wait_until(client, "function_updated_v2", FunctionName=name)

    set_to({**before, "VENDOR_URL": "http://127.0.0.1:9"})  # the port "discard", where nobody is
    try:
        scene.submit(attempt)
    finally:
        set_to(before)
    once(scene)


class OrderOnce(Ordering):
    title = "Order once"
    hints = (
        "What stays the same, however often an execution tries, and is another for each execution? That is the "
        "key: order(table, callback_id, key=...).",
        "urlopen waits as long as you let it: timeout=2. For an answer of 400 or more it raises HTTPError, which "
        "has a code; without an answer it raises an OSError (URLError, TimeoutError). HTTPError is an OSError "
        "too, so it comes first.",
        "408 and 429 are 4xx and worth another try. All that is left of 4xx is not.",
        'The answer is JSON: json.load(answer)["check_id"]. Keep it with the execution when it is there.',
    )
    common = QUIET
    by_default = staticmethod(each_answer)
    cases = {
        "takes it": Case("a vendor that took the order", play=once),
        "other": Case("two executions with the same table", play=two_executions),
        "takes a second": Case(
            "a vendor that answered after a second", {"answers": ["slow"], "slow_seconds": 1}, play=once
        ),
        "calls at once": Case(
            "a vendor that called back before it had answered the order",
            {"silent": False, "seconds": 0, "answers": ["overtaken"], "rows": [{"iata": "ABC"}]},
            play=once,
        ),
        "overloaded": Case("a vendor that was overloaded, and then took the order"),
        "refuses": Case("a vendor that refused the order"),
        "loses the answer": Case(
            "a vendor that took the order, and whose answer was lost (a 502)", {"answers": ["lost"]}
        ),
        "closes": Case(
            "a vendor that took the order, and closed the connection without an answer", play=closed, needs_sandbox=True
        ),
        "is slow": Case(
            "a vendor that took the order, and did not answer for almost three seconds",
            {"answers": ["slow"], "slow_seconds": 2.8},
        ),
        "at once": Case("a function that was invoked twice at the same moment", play=at_once, needs_sandbox=True),
        "killed": Case(
            "a function whose process ended when the vendor had taken the order",
            play=killed_when_it_knows,
            needs_sandbox=True,
        ),
        "unreachable": Case("a vendor that could not be reached", play=unreachable),
    }
    ALONE = ("killed", "unreachable")  # what happens to them would happen to the others, too
    done = "One audit for each execution, however often it is ordered; what is refused is not tried again."

    def rehearsal(self, draw, name, case):
        drawn = {
            "overloaded": [408, 429, 500, 503, draw.random("overloaded").choice(OVERLOADED)],
            "refuses": [400, 422, *draw.random("refuses").sample(FINAL, 3)],
        }
        how = super().rehearsal(draw, name, case)
        return how | ({"answers": drawn[name]} if name in drawn else {})

    def observe(self, lab, draw, cases):
        seen = {}
        for _ in range(LOOKS):
            seen |= super().observe(lab, draw, {name: case for name, case in cases.items() if name not in seen})
            seen = {name: one for name, one in seen.items() if "busy" not in one.facts}
            if len(seen) == len(cases):
                return seen
        raise SandboxProblem(TOO_BUSY)

    def play(self, lab, scenes):
        together = [one for name, one in scenes.items() if name not in self.ALONE]
        side_by_side(*(lambda one=one: self._play(one) for one in together), most=AT_A_TIME)
        for name in self.ALONE:
            if name in scenes:
                self._play(scenes[name])

    def _play(self, scene):
        (scene.case.play or each_answer)(scene)
        if scene.facts["how"]["silent"]:
            scene.report()
        else:
            until(lambda: all(audit["deliveries"] for audit in scene.audits()), LONG, "the vendor to call")
            until(scene.run.look, SOON, "an execution to end")

    @contract(
        "It opens the callback and *then* orders, since the vendor may call before it has answered the order.",
        cases="takes it, overloaded, calls at once",
    )
    def opens_and_orders(self, seen: Submitted):
        if not seen.audits:
            got = f"{len(seen.orders) or 'no'} orders"
            return Fault(
                f"The vendor got {got}, and took none. The function submit {seen.invoked[-1].in_words()}.",
                "One order, as verirow.order makes it.",
                slow=_is_unavailable(seen.invoked[-1]),
            )
        answers = [told["answer"] for audit in seen.audits for told in audit["deliveries"]]
        if answers and (not is_success(answers[0]) or seen.status != "SUCCEEDED"):
            return Fault(
                f"The vendor called back before it had answered the order. It {in_words(answers[0])}, and the "
                f"execution {seen.in_words()}.",
                slow=answers[0] is None,
            )
        if seen.status != "SUCCEEDED":
            return Fault(
                f"Of {seen.about}: a report {in_words(seen.answer)}, and the execution {seen.in_words()}.",
                "It opens the callback with the new token, whenever it is invoked.",
                slow=seen.answer is None,
            )

    @contract(
        "Where the vendor answers with 408, 429 or any 5xx, it raises `VendorUnavailable`.",
        cases="overloaded, loses the answer",
    )
    def may_be_tried_again(self, seen: Submitted):
        return _wrong_error(seen, "VendorUnavailable")

    @contract(
        "Where no answer comes within two seconds, or the vendor cannot be reached, it raises `VendorUnavailable`.",
        cases="takes a second, is slow, closes, unreachable",
    )
    def waits_two_seconds(self, seen: Submitted):
        first = seen.invoked[0]
        if seen.about == self.cases["takes a second"].about:
            if first.error:
                return Fault(
                    f"The vendor answered after a second, and submit {first.in_words()}.",
                    "It waits two seconds for an answer.",
                    slow=True,
                )
        elif not _is_unavailable(first):
            return f"Of {seen.about}: submit {first.in_words()}."

    @contract("Where the vendor answers with any other 4xx, it raises `VendorRefused`.", cases="refuses")
    def gives_up(self, seen: Submitted):
        return _wrong_error(seen, "VendorRefused")

    @contract(
        "It orders once whenever it is invoked: how often it is tried is the state machine's business.",
        cases="overloaded, refuses",
    )
    def orders_once(self, seen: Submitted):
        if len(seen.orders) != len(seen.invoked):
            return f"submit was invoked {len(seen.invoked)} times, and the vendor got {len(seen.orders)} orders."

    @contract(
        "However often it is invoked for an execution, also twice at the same moment, the vendor makes one audit: the "
        "URL and the key are the same each time.",
        cases="loses the answer, closes, is slow, at once, killed, unreachable, overloaded",
    )
    def one_audit(self, seen: Submitted):
        if seen.invoked[-1].error:
            return Fault(
                f"Of {seen.about}: the state was tried again, and submit {seen.invoked[-1].in_words()}.",
                slow=_is_unavailable(seen.invoked[-1]),
            )
        if len({order.url for order in seen.orders}) > 1:
            return Fault(
                f"Of {seen.about}: the vendor got {len(seen.orders)} orders, and another callback URL each time.",
                "The same address: that is the contract of exercise 1, so look at lab.check(1) first.",
            )
        if len(seen.audits) != 1:
            return f"Of {seen.about}: the vendor now makes {len(seen.audits)} audits for one execution."
        if len({order.key for order in seen.orders}) > 1:
            return f"Of {seen.about}: the vendor got another key with the second order."

    @contract("Another execution has another key, also where its table is the same.", cases="other")
    def a_key_of_its_own(self, seen: Submitted):
        if len({order.key for order in seen.orders}) < len(seen.orders):
            return Fault(
                f"Two executions had the same table, and their orders had the same key. The second submit "
                f"{seen.invoked[-1].in_words()}."
            )
        if len(seen.audits) != 2:
            return Fault(
                f"Two executions had the same table, and the vendor makes {len(seen.audits)} audits. The second submit "
                f"{seen.invoked[-1].in_words()}.",
                slow=_is_unavailable(seen.invoked[-1]),
            )

    @contract(
        "The key is something that the vendor may see: it does not contain the token.", cases="takes it, overloaded"
    )
    def keeps_the_token(self, seen: Submitted):
        if _has_token(seen):
            return "The vendor's log has your task token."

    @contract(
        "When it has the answer, it keeps the vendor's `check_id` with the execution: "
        '`keep(event["Execution"], CheckId=...)`.',
        cases="takes it, overloaded, killed",
    )
    def keeps_the_check_id(self, seen: Submitted):
        check_id = seen.audits[0]["check_id"]
        if seen.item.get("CheckId") != check_id:
            return (
                f"Of {seen.about}: the vendor answered with the check_id {check_id}, and the item of the execution has "
                f"CheckId {seen.item.get('CheckId')!r}."
            )


def _is_unavailable(invoked):
    return invoked.kind == "VendorUnavailable"


def _wrong_error(seen, wanted):
    """The first of the vendor's answers after which submit did not fail as it should."""
    for answer, invoked in zip(seen.facts["how"]["answers"], seen.invoked, strict=False):
        if invoked.kind != wanted:
            told = "took the order and answered 502" if answer == "lost" else f"answered {answer}"
            return Fault(f"The vendor {told}, and submit {invoked.in_words()}.", slow=_is_unavailable(invoked))


# -- exercise 3 --------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Sent:
    """What became of one request to an execution's URL.

    what: what it was, as the beginning of a sentence. answer: the status, None for none.
    status: how the execution stood after it, and output. error: how the function failed, where it did.
    right: the report that is genuine, if one is.
    """

    what: str
    answer: int | None
    status: str = "RUNNING"
    output: object = None
    error: str = ""
    right: object = None

    @property
    def went_on(self) -> bool:
        return self.status != "RUNNING"

    @property
    def answered(self) -> str:
        return f"{self.what} {in_words(self.answer)}" + f" ({self.error})" * bool(self.error)


class Waiters:
    """Executions that wait, each with a URL that `submit` has given to the vendor; they are stopped in the end."""

    def __init__(self, lab):
        self._lab, self._runs, self.verirow = lab, [], signed_up(lab)
        self._waits = Waits(lab, lab.name("waiting"))

    def begin(self, heartbeat: float = LONGEST_WAIT - 1) -> Waiting:
        """One that has a `url`, once its audit is ordered. heartbeat: its HeartbeatSeconds."""
        [table] = rehearse(self._lab, self.verirow, {"one": QUIET}).values()
        run = self._waits.begin(heartbeat)
        self._runs.append(run)
        attempt = run.attempt()
        event = {"Execution": run.arn, "TaskToken": attempt.token, "Attempt": attempt.order, "Table": table}
        for _ in range(LOOKS):
            invoked = invoke(self._lab.name("submit"), event)
            if not invoked.error:
                break
        orders = orders_of(self.verirow, table)
        if not orders or not orders[0].url:
            raise NotYet(
                f"An execution's audit could not be ordered: submit {invoked.in_words()}.",
                "submit, as in exercise 2: look at lab.check(2) first.",
            )
        run.url = orders[0].url
        return run

    def end(self):
        side_by_side(*(run.stop for run in self._runs))

    def sent(self, run: Waiting, what: str, headers: Mapping, body: bytes, method="POST", right=None) -> Sent:
        """Send a request to an execution's URL, and look what becomes of it."""
        answer = send(run.url, headers, body, method)
        if is_success(answer):  # the execution may go on a moment later
            until(run.look, SOON if right is not None else 2, "an execution to go on")
        run.look()
        output = run.outcome()[0] if run.status != "RUNNING" else None
        error = logs.last_error(self._lab.name("callback")) if answer is not None and answer >= 500 else ""
        return Sent(what, answer, run.status, output, error, right)


class Signature(Exercise):
    title = "Who is calling?"
    hints = (
        'First the raw bytes: base64.b64decode(body) if event["isBase64Encoded"], else body.encode(). What was '
        "signed is timestamp.encode() + b'.' + those bytes.",
        'hmac.new(secret, what was signed, "sha256").hexdigest() is the hex; "v1=" stands before it. Compare with '
        "hmac.compare_digest, and compare bytes: text that is not ASCII raises a TypeError.",
        "timestamp.isdecimal() tells whether it is a number. When it is, and the signature is good, the vendor "
        "wrote it, and int(timestamp) cannot fail; abs() of the difference looks in both directions.",
    )
    cases = {
        "genuine": Case("what the vendor has signed"),
        "forged": Case("what somebody else has signed, or nobody"),
        "old": Case("what was signed long ago, or is to be signed one day"),
        "large": Case("what is larger than any report"),
        "odd": Case("what nobody expects"),
    }
    done = "All that is forged, old or too large was refused, and what is genuine got through, byte for byte."

    def observe(self, lab, draw, cases):
        built(lab, "submit"), built(lab, "callback")
        waiters = Waiters(lab)
        try:
            return dict(
                zip(
                    cases,
                    side_by_side(*(lambda name=name: self._observe(waiters, name, draw) for name in cases)),
                    strict=True,
                )
            )
        finally:
            waiters.end()

    def _observe(self, waiters, name, draw):
        chance = draw.random(f"requests {name}")
        if name == "genuine":
            return [self._genuine(waiters, what, make, chance) for what, make in GENUINE.items()]
        attacked, seen = waiters.begin(), []
        for what, forge in ATTACKS[name].items():
            method = "GET" if forge is None else "POST"
            headers, body = forge(waiters.verirow, attacked.url, report_of(chance)) if forge else (JSON, None)
            seen.append(waiters.sent(attacked, what, headers, body, method))
            if seen[-1].went_on:
                attacked = waiters.begin()
        return seen

    @staticmethod
    def _genuine(waiters, what, make, chance):
        run = waiters.begin()
        headers, body = make(waiters.verirow, run.url, report_of(chance))
        return waiters.sent(run, what, headers, body, right=json.loads(body)["report"])

    @contract("`signed_body(event)` returns the body as bytes, as the vendor sent them.", cases="genuine")
    def lets_through(self, seen: Sequence[Sent]):
        for sent in seen:
            if not is_success(sent.answer):
                return Fault(f"{sent.answered}.", "What the vendor has signed gets through.", slow=sent.answer is None)
            if sent.status != "SUCCEEDED" or sent.output != sent.right:
                stood = "was still running" if not sent.went_on else f"ended {sent.status}"
                return f"{sent.answered}, and its execution {stood} with the output {shortened(str(sent.output))}."

    @contract(
        "It returns `None` where the signature is missing, or is not the vendor's for this timestamp and this body.",
        cases="forged",
    )
    def refuses_what_is_forged(self, seen: Sequence[Sent]):
        return _not_refused(seen)

    @contract(
        "It returns `None` where the timestamp is more than 300 seconds from now, in either direction.", cases="old"
    )
    def refuses_what_is_old(self, seen: Sequence[Sent]):
        return _not_refused(seen)

    @contract("It returns `None` where the body is over 64 KiB (65,536 bytes).", cases="large")
    def refuses_what_is_large(self, seen: Sequence[Sent]):
        return _not_refused(seen)

    @contract("It never raises, whatever comes.", cases="odd, forged, old, large")
    def never_raises(self, seen: Sequence[Sent]):
        for sent in seen:
            if not is_final(sent.answer):
                return Fault(
                    f"{sent.answered}: a stranger can make your function fail.",
                    "signed_body returns None for it, and raises nothing.",
                    slow=sent.answer is None,
                )
        return _not_refused(seen)


def _not_refused(seen):
    for sent in seen:
        if sent.went_on:
            return Fault(f"{sent.what} got through: the execution ended {sent.status}.")
        if is_success(sent.answer):
            return Fault(f"{sent.answered}, as if it were genuine.")


# -- exercise 4 --------------------------------------------------------------------------------------------------------

HEARTBEAT = 4  # seconds
DENIED = ("AccessDeniedException", "InternalServerError", "ThrottlingException", "ServiceUnavailable")
CODES = ("CheckFailed", "TableNotReadable", "OutOfTime")
LAMENTS = ("Half of it is missing.", "Nobody may read “airports” (§ 7).", "The table is empty: 0 rows.")


class Vendor:
    """The vendor's messages to one execution, each signed as it signs.

    sent: what became of them, in their order. report, failure: what it says in the end.
    """

    def __init__(self, waiters: Waiters, run: Waiting, chance):
        self._waiters, self.run, self.sent = waiters, run, []
        self.report, self.failure = report_of(chance), {"code": chance.choice(CODES), "message": chance.choice(LAMENTS)}

    def sends(self, what, kind, url=None, **content) -> Sent:
        """A message of a kind ("check.progress"), about this execution, or about another URL."""
        return self.sends_bytes(what, self._waiters.verirow.message(kind, url or self.run.url, **content))

    def sends_bytes(self, what, body: bytes, signed=True) -> Sent:
        headers = self._waiters.verirow.headers(body) if signed else JSON
        self.sent.append(self._waiters.sent(self.run, what, headers, body))
        return self.sent[-1]

    def sends_report(self, what="A report") -> Sent:
        return self.sends(what, "check.completed", report=self.report)

    def sends_failure(self, what="The news that the audit failed") -> Sent:
        return self.sends(what, "check.failed", error=self.failure)

    def sends_progress(self, what="Progress") -> Sent:
        return self.sends(what, "check.progress", percent=50)


def reported(vendor: Vendor):
    vendor.sends_report()
    vendor.sends_report("A report that came a second time")
    vendor.sends_progress("Progress that came after the report")
    vendor.sends_failure("A failure that came after the report")


def reported_at_once(vendor: Vendor):
    side_by_side(*[lambda: vendor.sends_report("One of two reports that came at the same moment")] * 2)


def failed(vendor: Vendor):
    vendor.sends_failure()
    vendor.sends_failure("The news that the audit failed, a second time")
    vendor.sends_report("A report that came after the failure")


def strange(vendor: Vendor):
    report = {"report": vendor.report}
    for kind in ("check.annotated", "check.completed.v2", "check.progress.estimated", "invoice.paid"):
        vendor.sends(f"A message of the type {kind}", kind, percent=1, error=vendor.failure, **report)


def malformed(vendor: Vendor):
    vendor.sends_bytes("A signed body that is no JSON", b"done")
    vendor.sends_bytes("A signed body that is a JSON list", b"[]")
    vendor.sends_bytes("A signed body that is null", b"null")
    vendor.sends_bytes("A signed message without a type", json.dumps({"callback_url": vendor.run.url}).encode())
    vendor.sends_bytes("A report without a signature", report(vendor._waiters.verirow, vendor.run.url), signed=False)


def elsewhere(vendor: Vendor):
    url, other = vendor.run.url, vendor._waiters.begin()
    vendor.sends("A genuine report about another execution", "check.completed", other.url, report=vendor.report)
    vendor.sends("A genuine report about a longer URL", "check.completed", f"{url}-2", report=vendor.report)
    vendor.sends("A genuine failure about another execution", "check.failed", other.url, error=vendor.failure)
    own, vendor.run.url = url, f"{url.rpartition('/')[0]}/{secrets.token_urlsafe(32)}"
    vendor.sends_report("A genuine report for an address that nobody has")
    vendor.sends_progress("Progress for an address that nobody has")
    vendor.run.url = own


def expired(vendor: Vendor):
    vendor.run.stop()
    vendor.sends_report("A report for an execution that does not wait any more")


def outage(vendor: Vendor):
    """AWS refuses what the function asks of it, once for each of its calls; then the report comes again."""
    chance = vendor.chance
    token, address = vendor.run.attempt().token, vendor.run.url.rpartition("/")[2]
    refused = {
        "dynamodb:*": (address, vendor.sends_report, "a report", "DynamoDB"),
        "states:SendTaskSuccess": (token, vendor.sends_report, "a report", "Step Functions"),
        "states:SendTaskFailure": (token, vendor.sends_failure, "a failure", "Step Functions"),
        "states:SendTaskHeartbeat": (token, vendor.sends_progress, "progress", "Step Functions"),
    }
    for operation, (resource, send_it, message, service) in refused.items():
        code = chance.choice(DENIED[:2] if service == "DynamoDB" else DENIED)  # boto3 tries longer there than we wait
        refusal = {"fault": "refuse", "operation": operation, "resource": resource, "code": code, "tries": "all"}
        with faults.during({**refusal, "count": 20}, label="check"):
            send_it(f"While {service} refused the function its call ({code}), {message}")
    vendor.sends_report("The report that came again after an outage")


def unanswered(vendor: Vendor):
    """Step Functions takes the answer, and the function does not hear of it; then the report comes again."""
    lost = {"fault": "lost", "operation": "states:SendTaskSuccess", "resource": vendor.run.attempt().token}
    with faults.during({**lost, "tries": "all"}, label="check"):
        vendor.sends_report("While the answer of Step Functions was lost, a report")
    vendor.sends_report("The report that came again after that")


class Answer(Exercise):
    title = "What to answer"
    hints = (
        "First: who waits for it (token_of), and is it meant for this URL? Each question has its final 4xx.",
        "A second answer to a token raises stepfunctions.exceptions.TaskTimedOut. Catch that one and no other: all "
        "else is our own fault, and a handler that raises is a 500.",
        "send_task_heartbeat for progress, send_task_success with json.dumps(report) as output, send_task_failure "
        "with error and cause. For a type that you do not know, 200 and nothing else.",
    )
    cases = {
        "reported": Case("a report, and what came after it", play=reported),
        "at once": Case("two reports at the same moment", play=reported_at_once),
        "failed": Case("an audit that failed", play=failed),
        "strange": Case("messages of other types", play=strange),
        "malformed": Case("what is no message of the vendor's", play=malformed),
        "elsewhere": Case("messages for other URLs", play=elsewhere),
        "expired": Case("an execution that was stopped", play=expired),
        "outage": Case("AWS that refused", play=outage, needs_sandbox=True),
        "unanswered": Case("an answer of Step Functions that was lost", play=unanswered, needs_sandbox=True),
        "awake": Case("progress, for longer than the heartbeat"),
        "asleep": Case("messages of other types, for longer than the heartbeat"),
    }
    done = "The vendor comes again for what went wrong on your side, and for nothing else."

    def observe(self, lab, draw, cases):
        built(lab, "submit"), built(lab, "callback")
        waiters = Waiters(lab)
        try:
            chatting = [name for name in ("awake", "asleep") if name in cases]
            others = [name for name in cases if name not in chatting]
            seen = side_by_side(
                lambda: self._chats(waiters, chatting, cases),
                *(lambda name=name: self._plays(waiters, cases[name], draw.random(name)) for name in others),
                most=AT_A_TIME + 1,
            )
            records = seen[0] | dict(zip(others, seen[1:], strict=True))
            if chatting and not seen[0] and not self.judge(records):
                raise SandboxProblem(
                    f"This machine is too busy to send progress every {HEARTBEAT} seconds. Try again later."
                )
            return records
        finally:
            waiters.end()

    @staticmethod
    def _plays(waiters, case, chance):
        vendor = Vendor(waiters, waiters.begin(), chance)
        vendor.chance = chance
        case.play(vendor)
        return vendor.run.seen(
            case.about, facts={"sent": vendor.sent, "report": vendor.report, "message": vendor.failure["message"]}
        )

    @staticmethod
    def _chats(waiters, names, cases):
        """Send messages for longer than a heartbeat, so often that progress keeps an execution awake.

        Returns no records where the machine is too busy for that.
        """
        if not names:
            return {}
        verirow = waiters.verirow
        kinds = {"awake": ("check.progress", {"percent": 1}), "asleep": ("check.annotated", {"note": "of next year"})}
        for _ in range(LOOKS):
            began = before_last = time.monotonic()
            # The first one has begun earlier: what does not keep it awake lets it end before the other.
            runs = {name: waiters.begin(HEARTBEAT) for name in kinds}
            sent, longest = {name: [] for name in kinds}, 0

            def tell(name, runs=runs, sent=sent):
                kind, more = kinds[name]
                body = verirow.message(kind, runs[name].url, **more)
                answer = send(runs[name].url, verirow.headers(body), body)
                runs[name].look()
                sent[name].append(Sent(f"A message of the type {kind}", answer, runs[name].status))

            while time.monotonic() - began < HEARTBEAT * 4 and not runs["asleep"].look():
                starts = time.monotonic()
                side_by_side(*(lambda name=name: tell(name) for name in kinds))
                longest, before_last = max(longest, time.monotonic() - before_last), starts
                time.sleep(0.4)
            if not runs["awake"].look() or longest < HEARTBEAT - 0.5:
                return {name: runs[name].seen(cases[name].about, facts={"sent": sent[name]}) for name in names}
        return {}

    @contract(
        "`check.completed`, the first time: 2xx, and the execution succeeds with the `report` as its output.",
        cases="reported, at once",
    )
    def succeeds(self, seen: Execution):
        if fault := _not_taken(seen.facts["sent"][0]):
            return fault
        if seen.status != "SUCCEEDED" or seen.output != seen.facts["report"]:
            output = f" with the output {shortened(str(seen.output))}" * (seen.status == "SUCCEEDED")
            return Fault(f"{seen.facts['sent'][0].what} came, and the execution {seen.in_words()}{output}.")

    @contract(
        "`check.failed`, the first time: 2xx, and the execution fails with the error `CheckFailed` and the error's "
        "`message` as the cause.",
        cases="failed",
    )
    def fails(self, seen: Execution):
        if fault := _not_taken(seen.facts["sent"][0]):
            return fault
        if seen.status != "FAILED" or seen.error != "CheckFailed":
            return f"The audit failed, and the execution {seen.in_words()}."
        if seen.facts["message"] not in seen.cause:
            return f"The vendor said: {seen.facts['message']} The execution {seen.in_words()}."

    @contract(
        "Any of them again, or after the end: 2xx, and nothing more.", cases="reported, at once, failed, unanswered"
    )
    def has_it(self, seen: Execution):
        for sent in seen.facts["sent"][1:]:
            if fault := _not_taken(sent):
                return fault

    @contract("An unknown type: 2xx, and nothing more. It is no heartbeat either.", cases="strange, asleep")
    def ignores(self, seen: Execution):
        for sent in seen.facts["sent"]:
            if sent.went_on and seen.error != "States.HeartbeatTimeout" and seen.error != "States.Timeout":
                return f"{sent.what} came, and the execution {seen.in_words()}."
            if fault := _not_taken(sent):
                return fault
        if seen.about == self.cases["asleep"].about and not seen.ended:
            return (
                "Messages of a type that is not in the vendor's page came each second, HeartbeatSeconds was "
                f"{HEARTBEAT}, and after {HEARTBEAT * 4} seconds the execution {seen.in_words()}."
            )

    @contract("No good signature, no JSON object, or no `type`: a final 4xx, and nothing more.", cases="malformed")
    def turns_away(self, seen: Execution):
        return _not_turned_away(seen)

    @contract(
        "An unknown address, or a message whose `callback_url` is not the one that it came by: a final 4xx, and "
        "nothing more.",
        cases="elsewhere",
    )
    def is_not_for_it(self, seen: Execution):
        return _not_turned_away(seen)

    @contract("For a token that has expired: 2xx or a final 4xx.", cases="expired")
    def is_over(self, seen: Execution):
        for sent in seen.facts["sent"]:
            if not is_success(sent.answer) and not is_final(sent.answer):
                return Fault(f"{sent.answered}, so the vendor sends it again, for nothing.", slow=sent.answer is None)

    @contract(
        "Anything is wrong on our side (AWS throttles, denies, fails): 5xx, so that the vendor comes again and "
        "nothing is lost.",
        cases="outage, unanswered",
    )
    def owns_up(self, seen: Execution):
        *during, after = seen.facts["sent"]
        for sent in during:
            if sent.answer is not None and sent.answer < 500 and not (sent.went_on and is_success(sent.answer)):
                return f"{sent.answered}: the vendor will not send it again, and it is lost."
        if fault := _not_taken(after):
            return fault
        if seen.status != "SUCCEEDED":
            return Fault(f"{after.what} came, and the execution {seen.in_words()}.", "Nothing is lost.")

    @contract("`check.progress`: 2xx, and a heartbeat for the execution.", cases="awake")
    def beats(self, seen: Execution):
        for sent in seen.facts["sent"]:
            if fault := _not_taken(sent):
                return fault
        if seen.ended:
            sent = f"The vendor sent progress each second, HeartbeatSeconds was {HEARTBEAT}"
            return f"{sent}, and the execution {seen.in_words()}."


def _not_taken(sent):
    if not is_success(sent.answer):
        again = "" if is_final(sent.answer) else ", so the vendor sends it again"
        return Fault(
            f"{sent.answered}{again}.", "The vendor is told that it has arrived: 2xx.", slow=sent.answer is None
        )


def _not_turned_away(seen):
    for sent in seen.facts["sent"]:
        if sent.went_on:
            return f"{sent.what} got through: the execution {seen.in_words()}."
        if not is_final(sent.answer):
            again = "" if is_success(sent.answer) else ", so the vendor sends it again, for nothing"
            return Fault(f"{sent.answered}{again}.", slow=sent.answer is None)


# -- exercise 5 --------------------------------------------------------------------------------------------------------

SILENCE = 10  # seconds without an event, after which an execution just waits; more than any heartbeat but one
ROWS = [{"iata": "ABC", "city": "Guam"}, {"iata": "DEF"}]
ITS_REPORT = {"rows": 2, "missing": {"city": 1}, "out_of_range": 0}
MANY = 99  # orders, more than a check makes


class Stage:
    """One execution of the learner's state machine while its case plays. Its `play` gets it.

    table: the ARN of the table. how: how its audit goes.
    """

    def __init__(self, lab, verirow, run, table, case, how):
        self.lab, self.verirow, self.run, self.table, self.case, self.how = lab, verirow, run, table, case, how
        self.facts = {}

    def audits(self):
        return self.verirow.checks(self.table)

    def url(self) -> str | None:
        """Where the vendor calls, once it has an order; None where it gets none."""
        until(lambda: self.audits() or self._is_over(), LONG, "an order to be taken")
        found = self.audits()
        return found[0]["callback_url"] if found else None

    def sends(self, kind, **content):
        url = self.url()
        body = self.verirow.message(kind, url, **content)
        send(url, self.verirow.headers(body), body)

    def asked(self) -> int:
        """How often the function `ask` was invoked."""
        scheduled = (event for event in self.run.events() if event["type"].endswith("Scheduled"))
        return sum(self.lab.name("ask") in json.dumps(event, default=str) for event in scheduled)

    def waits_for_its_end(self, questions=3):
        """Until it has ended, or just waits, or has asked so often that it will go on to."""
        until(lambda: self._is_over() or self.asked() > questions, LONG, "an execution to end")

    def _is_over(self):
        told = self._has_told()  # before the look: what was told has arrived then
        if self.run.look():
            return True
        return told and time.time() - self.run.events()[-1]["timestamp"].timestamp() > SILENCE

    def _has_told(self):
        """Whether the vendor has said all that it will say by itself."""
        if self.how["seconds"] >= 3600:
            return True
        return all(a["status"] != "running" and (a["deliveries"] or self.how["silent"]) for a in self.audits())


def chats(stage: Stage, seconds: float = math.inf):
    """Send progress again and again, for so long, or until the execution has ended."""
    if stage.url() is None:
        return
    began = time.monotonic()
    longest, before_last = 0, began - (time.time() - stage.run.began())
    while time.monotonic() - began < seconds and time.monotonic() - began < 15 and not stage.run.look():
        starts = time.monotonic()
        stage.sends("check.progress", percent=1)
        longest, before_last = max(longest, time.monotonic() - before_last), starts
        time.sleep(0.4)
    stage.facts["longest"] = longest


def chats_and_reports(stage: Stage):
    """For longer than its heartbeat the vendor sends progress, and then its report."""
    chats(stage, stage.run.input["HeartbeatSeconds"] * 1.5)
    if stage.url():
        stage.sends("check.completed", report=ITS_REPORT)
    stage.waits_for_its_end()


def does_not_answer(stage: Stage):
    """The vendor refuses the first question."""
    if stage.url() is None:
        return stage.waits_for_its_end()
    refusal = {"fault": "refuse", "operation": "execute-api:Invoke", "resource": stage.audits()[0]["check_id"]}
    with faults.during(refusal, label="check"):
        stage.waits_for_its_end()


def _statuses(chance):
    return chance.choice([status for status in FINAL if status != 404]), chance.choice([408, 429, 500, 503])


class NeverCalls(Exercise):
    title = "The vendor that never calls"
    hints = (
        "Both limits take an expression from the input, as Table does in the Payload.",
        "Silence raises States.Timeout, and so does the limit for the whole. States.ALL would match it too: the "
        'more special Catcher stands first. With "Output": "{% $states.errorOutput %}" the next state gets Error '
        "and Cause.",
        "completed and failed are dealt with before, so there is one thing left to ask for waits_on: is seconds "
        "still less than $states.context.Execution.Input.TimeoutSeconds? It goes into {% and %}.",
    )
    common = {"HeartbeatSeconds": 3, "TimeoutSeconds": 600}
    cases = {
        "refused": Case("a vendor that refused the order"),
        "unavailable": Case("a vendor that was down and stayed so"),
        "calls": Case("a vendor that called", {"HeartbeatSeconds": 60}),
        "calls failed": Case("a vendor that called and said that the audit failed"),
        "silent": Case("a vendor that had its report after a second, and never called"),
        "silent failed": Case("a vendor whose audit failed, and that never called", {"HeartbeatSeconds": 2}),
        "long": Case("a vendor that worked for four seconds in silence, and never called"),
        "calls late": Case("a vendor that worked for five seconds in silence, and called then"),
        "no answer": Case("a vendor that did not answer the first question", play=does_not_answer, needs_sandbox=True),
        "chatty": Case(
            "a vendor that sent progress, and a report in the end", {"HeartbeatSeconds": 4}, play=chats_and_reports
        ),
        "endless": Case("a vendor that worked on and on in silence", {"HeartbeatSeconds": 2, "TimeoutSeconds": 5}),
        "chatty endless": Case(
            "a vendor that worked on and on, and sent progress",
            {"HeartbeatSeconds": 5, "TimeoutSeconds": 7},
            play=chats,
        ),
    }
    audits = {
        "calls": {"seconds": 1, "rows": ROWS},
        "calls failed": {"seconds": 1, "fails": LAMENTS[0]},
        "silent": {"silent": True, "seconds": 1, "rows": ROWS},
        "silent failed": {"silent": True, "seconds": 1, "fails": LAMENTS[1]},
        "long": {"silent": True, "seconds": 4, "rows": ROWS},
        "calls late": {"seconds": 5, "rows": ROWS},
        "no answer": {"silent": True, "seconds": 1, "rows": ROWS},
    }
    done = "It hears the vendor, asks it when it is silent, waits on while it works, and ends by itself."

    def observe(self, lab, draw, cases):
        machine = state_machine(lab, "check")
        for thing, number in (("submit", 2), ("callback", 4), ("ask", 5)):
            try:
                function(lab, thing)
            except NotAttempted:
                raise NotAttempted(f"There is no {lab.name(thing)} yet: do task {number} first.") from None
        print("Waiting for a vendor that is silent, with heartbeats of some seconds ...")
        seen, left = {}, dict(cases)
        for _ in range(LOOKS):
            seen |= self._plays(lab, machine, draw, left)
            left = {name: case for name, case in cases.items() if self._was_disturbed(name, seen[name])}
            others = {name: one for name, one in seen.items() if name not in left}
            if not left or self.judge(others):
                return others
        raise SandboxProblem("This machine is too busy for limits of a few seconds. Try again later.")

    @staticmethod
    def _was_disturbed(name, one):
        """Whether the machine was too busy for what this case is to show."""
        gaps = one.facts["asked"] and one.facts.get("longest", 0) > one.input["HeartbeatSeconds"] - 0.5
        return gaps or (one.error == "VendorUnavailable" and name not in ("unavailable", "refused"))

    def _plays(self, lab, machine, draw, cases):
        verirow = signed_up(lab)
        final, again = _statuses(draw.random("statuses"))
        audits = {**self.audits, "refused": {"answers": [final] * MANY}, "unavailable": {"answers": [again] * MANY}}
        hows = {name: {**QUIET, "silent": False, **audits.get(name, {})} for name in cases}
        tables = rehearse(lab, verirow, hows)
        stages = []
        # One order after the other: many at once get no answer within two seconds where a machine is busy.
        ordering = threading.Lock()

        def play(name, case):
            with ordering:
                run = VendorRun(machine, {"Table": tables[name], **self.common, **case.input})
                stages.append(stage := Stage(lab, verirow, run, tables[name], case, hows[name]))
                until(lambda: orders_of(verirow, stage.table) or run.look(), LONG, "an order")
            (case.play or Stage.waits_for_its_end)(stage)
            return run.seen(case.about, facts={"asked": stage.asked(), "audits": len(stage.audits()), **stage.facts})

        try:
            seen = side_by_side(*(lambda name=name, case=case: play(name, case) for name, case in cases.items()))
        finally:
            side_by_side(*(stage.run.stop for stage in stages))
        return dict(zip(cases, seen, strict=True))

    @contract(
        "When the order is refused, or the vendor stays unavailable, it ends `FAILED` with that error.",
        cases="refused, unavailable",
    )
    def fails_with_the_order(self, seen: Execution):
        wanted = "VendorRefused" if seen.about == self.cases["refused"].about else "VendorUnavailable"
        if seen.status != "FAILED" or seen.error != wanted:
            return Fault(f"{seen}.", slow=seen.error == "VendorUnavailable")

    @contract(
        "When it has asked, there is no result, and `TimeoutSeconds` have passed since the execution's start, it ends "
        "`FAILED` (with any error but `CheckFailed`).",
        cases="endless",
    )
    def gives_up(self, seen: Execution):
        if not seen.ended:
            return f"{_limits(seen)} {seen}, and had asked {seen.facts['asked']} times."
        if seen.status != "FAILED" or seen.error == "CheckFailed":
            return f"{_limits(seen)} {seen}."
        if not seen.facts["asked"]:
            return f"{_limits(seen)} {seen}, without asking."
        if seen.history.seconds < seen.input["TimeoutSeconds"] - 0.5:
            return f"{_limits(seen)} {seen}, after {seen.history.seconds:.1f} seconds."

    @contract(
        "When nothing was heard for `HeartbeatSeconds`, it asks the vendor: `completed` and `failed` end it just as "
        "the callback would have.",
        cases="silent, silent failed",
    )
    def asks(self, seen: Execution):
        return _not_as_it_should_end(seen)

    @contract("Where there is no result yet, or no answer, it waits on.", cases="long, no answer, calls late")
    def waits_on(self, seen: Execution):
        return _not_as_it_should_end(seen)

    @contract(
        "The vendor's callback ends it as in task 4: `SUCCEEDED` with the report as its output, or `FAILED` with the "
        "error `CheckFailed` and the vendor's message in the cause.",
        cases="calls, calls failed",
    )
    def hears(self, seen: Execution):
        return _not_as_it_should_end(seen)

    @contract("While there are signs of life, it asks nobody.", cases="calls, chatty")
    def leaves_alone(self, seen: Execution):
        if seen.facts["asked"]:
            return f"{_limits(seen)} {seen}, and it had asked {seen.facts['asked']} times."
        return _not_as_it_should_end(seen)

    @contract("No stay in *Check* is longer than `TimeoutSeconds`.", cases="chatty endless")
    def has_a_limit(self, seen: Execution):
        return self.gives_up(seen)

    @contract("However often it submits, the vendor makes one audit.", cases="long, calls late, silent")
    def one_audit(self, seen: Execution):
        if seen.facts["audits"] != 1:
            return f"Of {seen.about}: the vendor has made {seen.facts['audits']} audits for one execution."


def _limits(seen):
    return f"HeartbeatSeconds was {seen.input['HeartbeatSeconds']}, TimeoutSeconds {seen.input['TimeoutSeconds']}."


def _not_as_it_should_end(seen):
    lament = next(
        (
            how["fails"]
            for name, how in NeverCalls.audits.items()
            if "fails" in how and NeverCalls.cases[name].about == seen.about
        ),
        None,
    )
    if lament is None:
        if seen.status != "SUCCEEDED":
            return Fault(f"{_limits(seen)} {seen}.", "SUCCEEDED, with the vendor's report.")
        if seen.output != ITS_REPORT:
            return Fault(f"{seen} with the output {shortened(str(seen.output))}.", "The report as output.")
    elif seen.status != "FAILED" or seen.error != "CheckFailed":
        return Fault(f"{_limits(seen)} {seen}.", "FAILED, with the error CheckFailed.")
    elif lament not in seen.cause:
        return Fault(f"The vendor said: {lament} {seen}.", "The vendor's message in the cause.")


EXERCISES = {1: Address(), 2: OrderOnce(), 3: Signature(), 4: Answer(), 5: NeverCalls()}
