"""Exercise 3: what strangers send to a callback URL, and what the vendor has signed."""

import json
from collections.abc import Sequence

from workshop import faults
from workshop.checking.attacks import ATTACKS, GENUINE, JSON, is_final, is_success, report_of
from workshop.checking.exercises import Case, Exercise, Fault, contract
from workshop.checking.messages import Sent, Waiters
from workshop.checking.outcomes import shortened
from workshop.checking.submitting import built
from workshop.checking.waiting import side_by_side
from workshop.checks.callback_urls.alone import require_addresses


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
        "again": Case("what the vendor sends again, since it got no 2xx", needs_sandbox=True),
    }
    done = "All that is forged, old or too large was refused, and what is genuine got through, byte for byte."

    def observe(self, lab, draw, cases):
        built(lab, "submit"), built(lab, "callback")
        waiters = Waiters(lab)
        try:
            # Alone: what a process of the function remembers shows only if the next message meets the same process.
            others = [name for name in cases if name != "again"]
            plays = [lambda name=name: self._observe(waiters, name, draw) for name in others]
            seen = dict(zip(others, side_by_side(*plays), strict=True))
            if "again" in cases:
                seen["again"] = [self._sent_again(waiters, draw.random("requests again"))]
            if self.judge(seen):
                require_addresses(lab, draw)
            return seen
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

    @staticmethod
    def _sent_again(waiters, chance):
        """Step Functions refuses the function's answer, and the vendor sends the same message once more."""
        run = waiters.begin()
        headers, body = next(iter(GENUINE.values()))(waiters.verirow, run.url, report_of(chance))
        refusal = {"fault": "refuse", "operation": "states:SendTaskSuccess", "resource": run.attempt().token}
        with faults.during({**refusal, "code": "AccessDeniedException", "tries": "all"}, label="check"):
            waiters.sent(run, "A report", headers, body)
        what = "The same message, sent again after Step Functions had refused the function's call,"
        return waiters.sent(run, what, headers, body, right=json.loads(body)["report"])

    @contract("`signed_body(event)` returns the body as bytes, as the vendor sent them.", cases="genuine, again")
    def lets_through(self, seen: Sequence[Sent]):
        for sent in seen:
            if not is_success(sent.answer):
                return Fault(
                    f"{sent.answered}.",
                    "What the vendor has signed gets through.",
                    sent.request,
                    slow=sent.answer is None,
                )
            if sent.status != "SUCCEEDED" or sent.output != sent.right:
                stood = "was still running" if not sent.went_on else f"ended {sent.status}"
                return Fault(
                    f"{sent.answered}, and its execution {stood} with the output {shortened(str(sent.output))}.",
                    events=sent.request,
                )

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

    @contract("It never raises, whatever a stranger sends.", cases="odd, forged, old, large")
    def never_raises(self, seen: Sequence[Sent]):
        for sent in seen:
            if not is_final(sent.answer):
                return Fault(
                    f"{sent.answered}: a stranger can make your function fail.",
                    "signed_body returns None for it, and raises nothing.",
                    sent.request,
                    slow=sent.answer is None,
                )
        return _not_refused(seen)


def _not_refused(seen):
    for sent in seen:
        if sent.went_on:
            return Fault(f"{sent.what} got through: the execution ended {sent.status}.", events=sent.request)
        if is_success(sent.answer):
            return Fault(f"{sent.answered}, as if it were genuine.", events=sent.request)
