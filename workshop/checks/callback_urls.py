"""Lab 03: wait for a vendor that calls a URL.

The part of such a URL that is an execution's own is its *address*. What the vendor makes of a table is an *audit*. In
the cases of exercises 1 and 2 an execution waits that does nothing else, and the learner's function `submit` is invoked
with its token, as a state machine would: now and again, too late, twice at the same moment.
"""

import json
import math
import secrets
import threading
import time
import urllib.parse
from collections.abc import Sequence

from workshop import clients, deploy, faults
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
from workshop.checking.guessing import computed, random_bits
from workshop.checking.messages import (
    LAMENTS,
    Sent,
    Vendor,
    Waiters,
    elsewhere,
    expired,
    failed,
    malformed,
    outage,
    refused_at_first,
    reported,
    reported_at_once,
    strange,
    unanswered,
)
from workshop.checking.outcomes import NotAttempted, SandboxProblem, listed, shortened
from workshop.checking.resources import Invoked, function, invoke, state_machine
from workshop.checking.submitting import (
    AT_A_TIME,
    LONG,
    QUIET,
    REPORT,
    SOON,
    TOO_BUSY,
    Ordering,
    Scene,
    Submitted,
    again,
    at_once,
    built,
    has_token,
    is_unavailable,
    killed,
    late,
    once,
    overtaken,
)
from workshop.checking.vendors import (
    VendorRun,
    orders_of,
    rehearse,
    signed_up,
)
from workshop.checking.waiting import side_by_side, until

FEWEST_BITS = 100
URL_SAFE = set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")

# -- exercise 1 --------------------------------------------------------------------------------------------------------


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
        if has_token(seen):
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
            return Fault("Two executions got the same address.", "Each execution has an address of its own.")
        odd = next((one for one in addresses if not set(one) <= URL_SAFE), None)
        if odd is not None:
            return Fault(
                f"An address is {odd[:80]!r}.", "It has letters, digits, - and _ only, since it stands in a URL."
            )
        bits = random_bits(addresses)
        if bits < FEWEST_BITS:
            return Fault(
                f"Addresses of {len(addresses)} executions: {', '.join(addresses[:3])}, ... That is {bits:.0f} random "
                "bits at most.",
                f"It has at least {FEWEST_BITS} random bits, so that nobody can guess it.",
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
            missing = (
                "A token takes the place of another one only if its attempt is later. Otherwise it is a dead token."
            )
        return Fault(
            f"Of {seen.about}: a report {in_words(seen.answer)}, and the execution {seen.in_words()}.", missing
        )


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
        "again": Case("a vendor that took the order, and a state that was tried again all the same", play=again),
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
        cases="takes it, again, overloaded, calls at once",
    )
    def opens_and_orders(self, seen: Submitted):
        if not seen.audits:
            got = f"{len(seen.orders) or 'no'} orders"
            return Fault(
                f"The vendor got {got}, and took none. The function submit {seen.invoked[-1].in_words()}.",
                "It orders once, with what verirow.order returns.",
                slow=is_unavailable(seen.invoked[-1]),
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
        elif not is_unavailable(first):
            return Fault(f"Of {seen.about}: submit {first.in_words()}.", slow=first.error is None)

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
        cases="again, loses the answer, closes, is slow, at once, killed, unreachable, overloaded",
    )
    def one_audit(self, seen: Submitted):
        if seen.invoked[-1].error:
            return Fault(
                f"Of {seen.about}: the state was tried again, and submit {seen.invoked[-1].in_words()}.",
                slow=is_unavailable(seen.invoked[-1]),
            )
        if len({order.url for order in seen.orders}) > 1:
            return Fault(
                f"Of {seen.about}: the vendor got {len(seen.orders)} orders, and another callback URL each time.",
                "The address is the same each time. Exercise 1 asks for that, so run lab.check(1) first.",
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
                slow=is_unavailable(seen.invoked[-1]),
            )

    @contract(
        "The key is something that the vendor may see: it does not contain the token.", cases="takes it, overloaded"
    )
    def keeps_the_token(self, seen: Submitted):
        if has_token(seen):
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


def _wrong_error(seen, wanted):
    """The first of the vendor's answers after which submit did not fail as it should."""
    for answer, invoked in zip(seen.facts["how"]["answers"], seen.invoked, strict=False):
        if invoked.kind != wanted:
            told = "took the order and answered 502" if answer == "lost" else f"answered {answer}"
            return Fault(f"The vendor {told}, and submit {invoked.in_words()}.", slow=is_unavailable(invoked))


# -- exercise 3 --------------------------------------------------------------------------------------------------------


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
        waiters = Waiters(lab, tells_errors=True)
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
        "refused at first": Case(
            "a report that Step Functions refused at first", play=refused_at_first, needs_sandbox=True
        ),
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
            # Alone: what a process of the function remembers shows only if the next message meets the same process.
            alone = [name for name in cases if name == "refused at first"]
            others = [name for name in cases if name not in [*chatting, *alone]]
            seen = side_by_side(
                lambda: self._chats(waiters, chatting, cases),
                *(lambda name=name: self._plays(waiters, cases[name], draw.random(name)) for name in others),
                most=AT_A_TIME + 1,
            )
            records = seen[0] | dict(zip(others, seen[1:], strict=True))
            records |= {name: self._plays(waiters, cases[name], draw.random(name)) for name in alone}
            if "awake" in chatting and "awake" not in records and not self.judge(records):
                raise SandboxProblem(
                    f"This machine is too busy to send progress every {HEARTBEAT} seconds. Try again later."
                )
            return records
        finally:
            waiters.end()

    @staticmethod
    def _plays(waiters, case, chance):
        vendor = Vendor(waiters, waiters.begin(), chance)
        case.play(vendor)
        return vendor.run.seen(
            case.about, facts={"sent": vendor.sent, "report": vendor.report, "message": vendor.failure["message"]}
        )

    @staticmethod
    def _chats(waiters, names, cases):
        """Send messages for longer than a heartbeat, so often that progress keeps an execution awake.

        Returns no record of "awake" where the machine is too busy for that.
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
            stayed = not runs["awake"].look()
            longest = max(longest, time.monotonic() - before_last)
            seen = {name: runs[name].seen(cases[name].about, facts={"sent": sent[name]}) for name in names}
            if stayed or longest < HEARTBEAT - 0.5:
                return seen
            seen.pop("awake", None)
            if not runs["asleep"].look():
                break
        return seen

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
        message = seen.facts["message"]
        if seen.cause and message.startswith(seen.cause) and message != seen.cause:
            return (
                f"The vendor's message had {len(message)} characters, and the cause has the first {len(seen.cause)} of "
                "them."
            )
        if message not in seen.cause:
            return f"The vendor said: {shortened(message)} The execution {seen.in_words()}."

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
                return Fault(f"{sent.answered}, so the vendor sends it again needlessly.", slow=sent.answer is None)

    @contract(
        "Anything is wrong on our side (AWS throttles, denies, fails): 5xx, so that the vendor comes again and "
        "nothing is lost.",
        cases="outage, refused at first, unanswered",
    )
    def owns_up(self, seen: Execution):
        *during, after = seen.facts["sent"]
        for sent in during:
            if sent.answer is not None and sent.answer < 500 and not (sent.went_on and is_success(sent.answer)):
                return f"{sent.answered}: the vendor will not send it again, and the report is lost."
        if fault := _not_taken(after):
            return fault
        if seen.status != "SUCCEEDED":
            return Fault(f"{after.answered}, and the execution {seen.in_words()}.", "The report is not lost.")

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
            again = "" if is_success(sent.answer) else ", so the vendor sends it again needlessly"
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
        # Who gives up a heartbeat too early does so seconds too early, also on a busy machine.
        "endless": Case("a vendor that worked on and on in silence", {"TimeoutSeconds": 5}),
        "chatty endless": Case(
            "a vendor that worked on and on, and sent progress",
            {"HeartbeatSeconds": 5, "TimeoutSeconds": 7},
            play=chats,
        ),
    }
    audits = {
        "calls": {"seconds": 5, "rows": ROWS},  # longer than any heartbeat but its own
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
                raise NotAttempted(f"There is no {lab.name(thing)} yet: do exercise {number} first.") from None
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
            return Fault(f"{_limits(seen)} {seen}, and had asked {seen.facts['asked']} times.", slow=True)
        if seen.status != "FAILED" or seen.error == "CheckFailed":
            return f"{_limits(seen)} {seen}."
        if not seen.facts["asked"]:
            return f"{_limits(seen)} {seen}, without asking."
        if seen.history.seconds < seen.input["TimeoutSeconds"] - 0.1:
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
        "The vendor's callback ends it as in exercise 4: `SUCCEEDED` with the report as its output, or `FAILED` with "
        "the error `CheckFailed` and the vendor's message in the cause.",
        cases="calls, calls failed",
    )
    def hears(self, seen: Execution):
        return _not_as_it_should_end(seen)

    @contract("While there are signs of life, it asks nobody.", cases="calls, chatty")
    def leaves_alone(self, seen: Execution):
        if seen.facts["asked"]:
            return Fault(f"{_limits(seen)} {seen}, and it had asked {seen.facts['asked']} times.", slow=True)
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
            return Fault(f"{_limits(seen)} {seen}.", "It ends SUCCEEDED, with the vendor's report.")
        if seen.output != ITS_REPORT:
            return Fault(f"{seen} with the output {shortened(str(seen.output))}.", "Its output is the report.")
    elif seen.status != "FAILED" or seen.error != "CheckFailed":
        return Fault(f"{_limits(seen)} {seen}.", "It ends FAILED, with the error CheckFailed.")
    elif lament not in seen.cause:
        return Fault(f"The vendor said: {lament} {seen}.", "The cause contains the vendor's message.")


EXERCISES = {1: Address(), 2: OrderOnce(), 3: Signature(), 4: Answer(), 5: NeverCalls()}
