"""Exercise 4: what the function `callback` answers, and what the execution hears.

Cases in which two things go wrong: `answer_stories.py`.
"""

import dataclasses
import json
import secrets
import time

from workshop import faults
from workshop.checking.attacks import is_final, is_success, report, send
from workshop.checking.executions import Execution
from workshop.checking.exercises import Case, Exercise, Fault, contract
from workshop.checking.messages import Sent, Vendor, Waiters, lines_of_request
from workshop.checking.outcomes import SandboxProblem, shortened
from workshop.checking.stories import broken, with_fewest_troubles
from workshop.checking.submitting import AT_A_TIME, belongs_to_earlier, built
from workshop.checking.waiting import side_by_side, within_time
from workshop.checks.callback_urls import answer_stories as stories
from workshop.checks.callback_urls.alone import require_addresses
from workshop.checks.callback_urls.answer_stories import Story, Trouble

HEARTBEATS = (4, 8, 16)  # seconds: a longer one where a machine is too busy for the one before
CHATS = ("awake", "asleep", "for another")  # cases in which messages come for longer than that
LONGER = 12  # seconds after its heartbeat, in which an execution must have ended
TIMEOUTS = ("States.Timeout", "States.HeartbeatTimeout")
DENIED, FAULTY = "AccessDeniedException", ("InternalServerError", "ThrottlingException", "ServiceUnavailable")
UNSIGNED = "A report without a signature"


# -- plays: what the vendor sends to an execution's URL ----------------------------------------------------------------


def reported(vendor: Vendor):
    vendor.sends_report()
    vendor.sends_report("A report that came a second time")
    vendor.sends_progress("Progress that came after the report")
    vendor.sends_failure("A failure that came after the report")


def reported_at_once(vendor: Vendor):
    side_by_side(*[lambda: vendor.sends_report("One of two reports that came at the same moment")] * 2)
    # Nobody knows which of them came first: whichever was taken.
    vendor.sent.sort(key=lambda sent: not is_success(sent.answer))


def retried(vendor: Vendor):
    """The state is retried between progress, which as many processes as there may be have heard of, and the report."""
    side_by_side(*[vendor.sends_progress] * AT_A_TIME)
    vendor.sent.clear()
    vendor.retries()
    vendor.sends_report("A report, after progress and a retry of the state,")


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
    vendor.sends_bytes(UNSIGNED, report(vendor._waiters.verirow, vendor.run.url), signed=False)


def elsewhere(vendor: Vendor):
    url, other = vendor.run.url, vendor._waiters.begin()
    vendor.sends("A genuine report about another execution", "check.completed", other.url, report=vendor.report)
    vendor.sends("A genuine report about a longer URL", "check.completed", f"{url}-2", report=vendor.report)
    before, _, own = url.rpartition("/")
    its_end = f"{before}/x{own}"
    vendor.sends("A genuine report about a URL with the same end", "check.completed", its_end, report=vendor.report)
    vendor.sends("A genuine failure about another execution", "check.failed", other.url, error=vendor.failure)
    vendor.sends("Genuine progress about another execution", "check.progress", other.url, percent=50)
    vendor.run.url = f"{before}/{secrets.token_urlsafe(32)}"
    vendor.sends("A genuine report for an address that nobody has", "check.completed", report=vendor.report)
    vendor.sends_progress("Progress for an address that nobody has")
    vendor.run.url = url


def expired(vendor: Vendor):
    vendor.run.stop()
    vendor.sends_report("A report for an execution that does not wait any more")


def outage(vendor: Vendor):
    """AWS refuses what the function asks of it, once for each of its calls; then the report comes again."""
    codes = vendor.chance.sample(FAULTY, 3)
    in_dynamodb = vendor.chance.choice((DENIED, "InternalServerError"))  # boto3 tries others longer than we wait
    token, address = vendor.run.token, vendor.run.url.rpartition("/")[2]
    refused = {
        "dynamodb:*": (address, vendor.sends_report, "a report", "DynamoDB", in_dynamodb),
        "states:SendTaskSuccess": (token, vendor.sends_report, "a report", "Step Functions", codes[0]),
        "states:SendTaskFailure": (token, vendor.sends_failure, "a failure", "Step Functions", codes[1]),
        "states:SendTaskHeartbeat": (token, vendor.sends_progress, "progress", "Step Functions", codes[2]),
    }
    for operation, (resource, send_it, message, service, code) in refused.items():
        refusal = {"fault": "refuse", "operation": operation, "resource": resource, "code": code, "tries": "all"}
        with faults.during({**refusal, "count": 20}, label="check") as made:
            send_it(f"While {service} refused the function's call ({code}), {message}")
        if made.met == [0]:  # it made no such call
            vendor.sent.pop()
    vendor.sends_report("The report that came again after an outage")


def refused_at_first(vendor: Vendor):
    """Step Functions refuses the answer, and the vendor sends the same message again."""
    refusal = {"fault": "refuse", "operation": "states:SendTaskSuccess", "resource": vendor.run.token}
    with faults.during({**refusal, "code": DENIED, "tries": "all"}, label="check"):
        vendor.sends_report(f"While Step Functions refused the function's call ({DENIED}), a report")
    vendor.sends_report("The same message, sent again after that,")


def unanswered(vendor: Vendor):
    """Step Functions takes the answer, and the function does not hear of it; then the report comes again."""
    lost = {"fault": "lost", "operation": "states:SendTaskSuccess", "resource": vendor.run.token}
    with faults.during({**lost, "tries": "all"}, label="check"):
        vendor.sends_report("While the answer of Step Functions was lost, a report")
    vendor.sends_report("The report that came again after that")


# -- the exercise -----------------------------------------------------------------------------------------------------


class Answer(Exercise):
    title = "What to answer"
    hints = (
        "First: who waits for this message (token_of), and is it meant for this URL? Where nobody waits, or it is "
        "meant for another one, return a final 4xx.",
        "A second answer to a token raises stepfunctions.exceptions.TaskTimedOut. Catch that one and no other: all "
        "else is our own fault, and a handler that raises is a 500.",
        "send_task_heartbeat for progress, send_task_success with json.dumps(report) as output, send_task_failure "
        "with error and cause. For a type that you do not know, 200 and nothing else.",
    )
    cases = {
        "reported": Case("a report, and what came after it", play=reported),
        "at once": Case("two reports at the same moment", play=reported_at_once),
        "retried": Case("a state that was retried after the vendor had called", play=retried),
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
        "refused and retried": Case(
            "a report that was refused at first, and a state that was retried then",
            play=stories.goes_through(Trouble(stories.REFUSED), Trouble(stories.RETRIED)),
            needs_sandbox=True,
        ),
        "pair": Case("two troubles", play=stories.goes_through(), needs_sandbox=True),
        "another pair": Case("two troubles with a failure", play=stories.goes_through(failed=True), needs_sandbox=True),
        "awake": Case("progress, for longer than the heartbeat"),
        "asleep": Case("messages of other types, for longer than the heartbeat"),
        "for another": Case("progress about another execution, for longer than the heartbeat"),
    }
    pairs = ("pair", "another pair")
    STORIES = ("refused and retried", *pairs)
    done = "The vendor comes again for what went wrong on your side, and for nothing else."

    def observe(self, lab, draw, cases):
        built(lab, "submit"), built(lab, "callback")
        waiters = Waiters(lab)
        try:
            chatting = [name for name in CHATS if name in cases]
            failing = [name for name in cases if name in ("outage", "unanswered")]
            # Alone: what a process of the function remembers shows only if the next message meets the same process.
            alone = [name for name in cases if name in ("refused at first", "retried", *self.STORIES)]
            others = [name for name in cases if name not in [*chatting, *failing, *alone]]
            groups = [others, failing, *([name] for name in alone)]

            def play_groups():
                # Where functions fail that should, nothing else is played: the log does not say which message it was.
                played = {}
                for each in groups:
                    played |= self._play_together(waiters, {name: cases[name] for name in each}, draw)
                    if self.judge(played):  # where each message is waited for in vain, all of them take minutes
                        break
                return played

            chats, played = side_by_side(lambda: self._chats(waiters, chatting), play_groups)
            records = chats | played
            if self.judge(records):
                require_addresses(lab, draw)
            if not records.keys() >= {*chatting} and not self.judge(records):
                raise SandboxProblem(
                    f"This machine is too busy to send progress every {HEARTBEATS[-1]} seconds. Try again later."
                )
            return records
        finally:
            waiters.end()

    def _play_together(self, waiters, cases, draw):
        def plays_one(name):
            chance = draw.random(name)
            return self._story(waiters, name, self._plays(waiters, cases[name], chance), chance)

        plays = [lambda name=name: plays_one(name) for name in cases]
        return dict(zip(cases, side_by_side(*plays, most=AT_A_TIME), strict=True))

    @staticmethod
    def _plays(waiters, case, chance):
        vendor = Vendor(waiters, waiters.begin(), chance)
        deliveries = case.play(vendor)
        told = {"sent": vendor.sent, "report": vendor.report, "message": vendor.failure["message"]}
        return vendor.run.seen(case.about, facts={**told, "story": deliveries} if deliveries else told)

    def _story(self, waiters, name, seen, chance):
        """The record as it is, or the story that it tells, with the fewest troubles in which something is wrong."""
        if "story" not in seen.facts:
            return seen
        failed = name == "another pair"

        def alone(troubles):
            for trouble in troubles:
                play = stories.goes_through(trouble, failed=failed)
                one = self._plays(waiters, dataclasses.replace(self.cases[name], play=play), chance)
                yield Story(one.about, one.facts["story"], one, failed)

        return with_fewest_troubles(Story(seen.about, seen.facts["story"], seen, failed), stories.wrong_in, alone)

    def _chats(self, waiters, names):
        """Send messages for longer than a heartbeat, so often that progress keeps an execution awake.

        Where it ended all the same, the record of "awake" says in `silence` how many seconds before the last progress
        had been sent. Where the machine is too busy to send it in time, there is no record of an execution that heard
        nothing for too long: that tells nothing, whichever messages it got.
        """
        if not names:
            return {}
        verirow = waiters.verirow
        progress = ("check.progress", {"percent": 1})
        kinds = dict(zip(CHATS, (progress, ("check.annotated", {"note": "of next year"}), progress), strict=True))
        other = waiters.begin().url
        for heartbeat in HEARTBEATS:
            # The first one has begun earlier: what does not keep it awake lets it end before the others.
            runs = {name: waiters.begin(heartbeat) for name in kinds}
            until, sent, moments = time.monotonic() + heartbeat + LONGER, {name: [] for name in kinds}, []

            def tell(name, until=until, runs=runs, sent=sent, moments=moments):
                (kind, more), about = kinds[name], other if name == "for another" else runs[name].url
                what = "Progress about another execution" if name == "for another" else f"A message of the type {kind}"
                while (
                    within_time("an execution to be kept awake")
                    and time.monotonic() < until
                    and not all([runs[each].look() for each in CHATS[1:]])
                ):
                    body = verirow.message(kind, about, **more)
                    headers, at = verirow.headers(body), time.time()
                    answer = send(runs[name].url, headers, body)
                    if name == "awake":
                        moments.append((at, time.time()))
                    runs[name].look()
                    request = lines_of_request("POST", headers, body)
                    sent[name].append(Sent(what, answer, runs[name].status, request=request))
                    time.sleep(0.4)

            side_by_side(*(lambda name=name: tell(name) for name in kinds))
            seen = {name: runs[name].seen(self.cases[name].about, facts={"sent": sent[name]}) for name in kinds}
            awake = seen["awake"]
            silence = awake.facts["silence"] = _silence(awake, moments) if awake.ended else None
            if not awake.ended or (silence is not None and not _is_silent(silence, heartbeat)):
                return {name: seen[name] for name in names}
            if not all([runs[each].look() for each in CHATS[1:]]):
                break
        return {name: seen[name] for name in names if seen[name].error not in TIMEOUTS}

    @contract(
        "The first `check.completed` gets 2xx, and the execution succeeds with the `report` as its output.",
        cases="reported, at once, retried, refused and retried, pair",
    )
    def succeeds(self, seen: Execution | Story):
        if isinstance(seen, Story):
            return _broken(seen, stories.END)
        if fault := _not_taken(seen.facts["sent"][0]) or _not_at_once(seen):
            return fault
        if seen.status != "SUCCEEDED" or seen.output != seen.facts["report"]:
            output = f" with the output {shortened(str(seen.output))}" * (seen.status == "SUCCEEDED")
            was_retried = seen.about == self.cases["retried"].about and not seen.ended
            return _about(
                seen.facts["sent"][0],
                f"{seen.facts['sent'][0].what} came, and the execution {seen.in_words()}{output}.",
                "The report reaches the token with which the state waits now." if was_retried else None,
            )

    @contract(
        "The first `check.failed` gets 2xx, and the execution fails with the error `CheckFailed` and the error's "
        "`message` as the cause.",
        cases="failed, another pair",
    )
    def fails(self, seen: Execution | Story):
        if isinstance(seen, Story):
            return _broken(seen, stories.END)
        if fault := _not_taken(seen.facts["sent"][0]) or _not_at_once(seen):
            return fault
        sent, message = seen.facts["sent"][0], seen.facts["message"]
        if seen.status != "FAILED" or seen.error != "CheckFailed":
            return _about(sent, f"The audit failed, and the execution {seen.in_words()}.")
        if seen.cause and message.startswith(seen.cause) and message != seen.cause:
            return _about(
                sent,
                f"The vendor's message had {len(message)} characters, and the cause has the first {len(seen.cause)} of "
                "them.",
            )
        if message not in seen.cause:
            return _about(sent, f'The vendor said: "{shortened(message)}" The execution {seen.in_words()}.')

    @contract(
        "Any of them that comes again, or after the end, gets 2xx, and nothing else happens.",
        cases="reported, at once, failed, unanswered, pair, another pair",
    )
    def has_it(self, seen: Execution | Story):
        if isinstance(seen, Story):
            return _broken(seen, stories.KNOWN)
        for sent in seen.facts["sent"][1:]:
            if fault := _not_taken(sent):
                return fault

    @contract(
        "An unknown type gets 2xx, and nothing else happens. It is no heartbeat either.",
        cases="strange, asleep, pair, another pair",
    )
    def ignores(self, seen: Execution | Story):
        if isinstance(seen, Story):
            return _broken(seen, stories.UNKNOWN)
        for sent in seen.facts["sent"]:
            if sent.went_on and seen.error not in TIMEOUTS:
                return _about(sent, f"{sent.what} came, and the execution {seen.in_words()}.")
            if fault := _not_taken(sent):
                return fault
        if seen.about == self.cases["asleep"].about and not seen.ended:
            return _stays_awake(seen, "Messages of a type that is not on the vendor's page came")

    @contract(
        "A message without a good signature, a JSON object or a `type` gets a final 4xx, and nothing else happens.",
        cases="malformed",
    )
    def turns_away(self, seen: Execution):
        for sent in seen.facts["sent"]:
            if sent.what == UNSIGNED and (sent.went_on or is_success(sent.answer)):
                return _about(sent, f"{sent.answered}.", "Exercise 3 is about that: run lab.check(3) first.")
        return _not_turned_away(seen)

    @contract(
        "A message for an unknown address, or one whose `callback_url` is not the one that it came by, gets a "
        "final 4xx, and nothing else happens.",
        cases="elsewhere, for another, pair, another pair",
    )
    def is_not_for_it(self, seen: Execution | Story):
        if isinstance(seen, Story):
            return _broken(seen, stories.ANOTHER)
        if fault := _not_turned_away(seen, but_for=TIMEOUTS):
            return fault
        if seen.about == self.cases["for another"].about and not seen.ended:
            return _stays_awake(seen, "Progress about another execution came")

    @contract("A message for a token that has expired gets 2xx or a final 4xx.", cases="expired")
    def is_over(self, seen: Execution):
        for sent in seen.facts["sent"]:
            if not is_success(sent.answer) and not is_final(sent.answer):
                return _about(
                    sent,
                    f"{sent.answered}, so the vendor sends it again needlessly.",
                    belongs_to_earlier(sent.places, 4),
                    slow=sent.answer is None,
                )

    @contract(
        "When anything is wrong on our side (AWS throttles, denies, fails), the answer is 5xx, so that the "
        "vendor comes again and nothing is lost.",
        cases="outage, refused at first, unanswered, refused and retried, pair, another pair",
    )
    def owns_up(self, seen: Execution | Story):
        if isinstance(seen, Story):
            return _broken(seen, stories.OWNS_UP)
        *during, after = seen.facts["sent"]
        for sent in during:
            if sent.answer is not None and sent.answer < 500 and not (sent.went_on and is_success(sent.answer)):
                lost = is_success(sent.answer) or is_final(sent.answer)
                so = ", so the vendor does not send it again, and it is lost" * lost
                return _about(sent, f"{sent.answered}{so}.")
        if fault := _not_taken(after):
            return fault
        if seen.status != "SUCCEEDED":
            return _about(after, f"{after.answered}, and the execution {seen.in_words()}.", "The report is not lost.")

    @contract(
        "`check.progress` gets 2xx, and is a heartbeat for the execution.",
        cases="awake, pair, another pair",
    )
    def beats(self, seen: Execution | Story):
        if isinstance(seen, Story):
            return _broken(seen, stories.BEATS)
        for sent in seen.facts["sent"]:
            if fault := _not_taken(sent):
                return fault
        heartbeat, silence = seen.input["HeartbeatSeconds"], seen.facts.get("silence")
        if seen.ended and not _is_silent(silence, heartbeat):
            return (
                f"The vendor sent progress again and again. HeartbeatSeconds was {heartbeat}, and the execution "
                f"{seen.in_words()}, {silence:.1f} seconds after progress had been sent."
            )


def _is_silent(silence, heartbeat):
    """Whether so many seconds without progress are what a heartbeat ends an execution for."""
    return silence >= heartbeat - 0.5


def _stays_awake(seen, what_came):
    heartbeat = seen.input["HeartbeatSeconds"]
    return (
        f"{what_came} again and again. HeartbeatSeconds was {heartbeat}, and after {heartbeat + LONGER} seconds the "
        f"execution {seen.in_words()}."
    )


def _broken(story: Story, rule):
    """A Fault where a story with two troubles breaks this sentence."""
    return broken(story, stories.wrong_in, rule, slow=story.may_be_slow)


def _silence(seen: Execution, moments) -> float | None:
    """How many seconds before its end the last progress had been sent, of what was answered before its end.

    moments: when progress was sent and answered. None where none came in the second half of its first heartbeat or
    later: then nothing can be told, since an execution that heard no heartbeat ends as late after it.
    """
    end, began = seen.events[-1]["timestamp"].timestamp(), seen.history.started.timestamp()
    if seen.error not in TIMEOUTS:  # progress ended it
        return end - max((at for at, _ in moments if at < end), default=end)
    last = max((at for at, answered in moments if answered < end), default=0)
    return end - last if last > began + seen.input["HeartbeatSeconds"] / 2 else None


def _about(sent: Sent, observed: str, missing: str | None = None, slow=False) -> Fault:
    """A Fault that shows a request, since the execution's history does not say what was in it."""
    return Fault(observed, missing, sent.request or None, slow)


def _not_taken(sent):
    if not is_success(sent.answer):
        again = "" if is_final(sent.answer) else ", so the vendor sends it again"
        missing = belongs_to_earlier(sent.places, 4) or "The vendor is told that it has arrived: 2xx."
        if sent.answer == 400:
            missing += " (callback.py answers 400 where signed_body returns None, which lab.check(3) is about.)"
        return _about(sent, f"{sent.answered}{again}.", missing, slow=sent.answer is None)


def _not_at_once(seen):
    """A Fault where the first message that could end the execution did not, and a later one did."""
    if seen.ended and not seen.facts["sent"][0].went_on:
        sent = seen.facts["sent"][0]
        observed = f"{sent.what} came, and the execution was still running. It ended when more came."
        return _about(sent, observed, slow=True)


def _not_turned_away(seen, but_for=()):
    """A Fault where one of them got through, or was not turned away. but_for: errors with which it may have ended."""
    for sent in seen.facts["sent"]:
        if sent.went_on and seen.error not in but_for:
            return _about(sent, f"{sent.what} got through: the execution {seen.in_words()}.")
        if not is_final(sent.answer):
            again = "" if is_success(sent.answer) else ", so the vendor sends it again needlessly"
            missing = belongs_to_earlier(sent.places, 4)
            return _about(sent, f"{sent.answered}{again}.", missing, slow=sent.answer is None)
