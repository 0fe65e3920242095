"""Exercise 5: executions of the learner's state machine, with vendors that call late or never."""

import datetime
import itertools
import json
import math
import threading
import time
from collections.abc import Mapping

from workshop import faults
from workshop.checking.attacks import FINAL, WORTH_ANOTHER_TRY, is_success, send
from workshop.checking.executions import Execution
from workshop.checking.exercises import LOOKS, Case, Exercise, Fault, contract, require_earlier
from workshop.checking.messages import LAMENTS
from workshop.checking.outcomes import NotAttempted, SandboxProblem, shortened, times
from workshop.checking.resources import function, state_machine
from workshop.checking.submitting import LONG, QUIET, many
from workshop.checking.vendors import VendorRun, orders_of, rehearse, signed_up
from workshop.checking.waiting import side_by_side, until, within_time
from workshop.checks.callback_urls.answers import Answer
from workshop.checks.callback_urls.orders import OrderOnce

MOST = 8  # seconds of silence that are waited for; more than any heartbeat but one
ROWS = [{"iata": "ABC", "city": "Guam"}, {"iata": "DEF"}]
ITS_REPORT = {"rows": 2, "missing": {"city": 1}, "out_of_range": 0}
SLOWLY = 1.2  # seconds between signs of life that are fewer: less than any heartbeat, and more than the shortest limit
MANY = 99  # orders, more than a check makes


class Stage:
    """One execution of the learner's state machine while its case plays. Its `play` gets it.

    table: the ARN of the table. how: how its audit goes. chance: for what its play draws.
    """

    def __init__(self, lab, verirow, run, table, case, how, chance):
        self.lab, self.verirow, self.run, self.table, self.case, self.how = lab, verirow, run, table, case, how
        self.chance = chance
        self.answers = []  # to what the check has sent in the vendor's name, but for progress
        self.facts = {}
        self._told = None  # when it was first seen that the vendor has told all, by time.time()

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
        answer = send(url, self.verirow.headers(body), body)
        if kind != "check.progress":
            self.answers.append(answer)

    def asked(self) -> int:
        """How often the function `ask` was invoked."""
        scheduled = (event for event in self.run.events() if event["type"].endswith("Scheduled"))
        return sum(self.lab.name("ask") in json.dumps(event, default=str) for event in scheduled)

    def waits_again(self) -> bool:
        """Wait until it waits for the second time; returns whether it does."""

        def does():
            return sum(event["type"] == "TaskSubmitted" for event in self.run.events()) > 1

        until(lambda: does() or self._is_over(), LONG, "an execution to wait again")
        return does()

    def waits_for_its_end(self, questions=3):
        """Until it has ended, or just waits, or has asked so often that it will go on to."""
        until(lambda: self._is_over() or self._goes_on(questions), LONG, "an execution to end")

    def _goes_on(self, questions):
        """Whether it has asked so often that it will go on to. Where its time is short, it may end a little later."""
        left = self.run.input["TimeoutSeconds"] - (time.time() - self.run.began())
        return not -3 < left < 60 and self.asked() > questions

    def _is_over(self):
        if self._told is None and self._has_told():
            self._told = time.time()
        if self.run.look():
            return True
        return self._told is not None and self._just_waits(self.run.events())

    def _just_waits(self, events):
        """Whether it will not go on as soon as it should: it is silent for longer, and its own limits are longer."""
        silence = min(self.run.input["HeartbeatSeconds"], MOST)
        since = max(events[-1]["timestamp"].timestamp() + silence, self._told)
        return _shorter_limit(events) > silence and time.time() - since > 2

    def _has_told(self):
        """Whether the vendor has said all that it will say by itself."""
        if self.how["seconds"] >= 3600:
            return True
        return all(a["status"] != "running" and (a["deliveries"] or self.how["silent"]) for a in self.audits())


def _waits(events) -> list[tuple[datetime.datetime, Mapping]]:
    """Of each stay in the state that waits: when it was scheduled, and what the history says of that."""
    waits = [
        (event["timestamp"], event["taskScheduledEventDetails"]) for event in events if event["type"] == "TaskScheduled"
    ]
    return [(at, details) for at, details in waits if details["resource"].endswith(".waitForTaskToken")]


def _limit(events, name) -> float:
    """The limit that the state which waits had, when it was entered last, in seconds; inf where it had none."""
    waits = _waits(events)
    return waits[-1][1].get(name, math.inf) if waits else math.inf


def _shorter_limit(events) -> float:
    return min(_limit(events, "heartbeatInSeconds"), _limit(events, "timeoutInSeconds"))


def chats(stage: Stage, seconds: float = math.inf, pause=0.4, waits_since: float | None = None):
    """Send progress again and again, for so long, or until the execution has ended.

    pause: seconds between two of them. waits_since: when its stay began, by time.time(); the execution's start if None.
    """
    if stage.url() is None:
        return
    began = time.monotonic()
    longest, before_last = 0, began - (time.time() - (waits_since or stage.run.began()))
    seconds = min(seconds, 15)
    while within_time("an execution to end") and time.monotonic() - began < seconds and not stage.run.look():
        starts = time.monotonic()
        stage.sends("check.progress", percent=1)
        longest, before_last = max(longest, time.monotonic() - before_last), starts
        time.sleep(pause)
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
    with faults.during(refusal, label="check") as made:
        stage.waits_for_its_end()
    stage.facts["refused"] = made.met == [1]


def does_not_answer_and_chats(stage: Stage):
    """The first question gets no answer. Then the vendor sends progress, for longer than a heartbeat, and the end."""
    if stage.url() is None:
        return stage.waits_for_its_end()
    spoiled = {"fault": stage.chance.choice(("refuse", "lost")), "operation": "execute-api:Invoke"}
    with faults.during({**spoiled, "resource": stage.audits()[0]["check_id"]}, label="check") as made:
        waits = stage.waits_again()
    stage.facts["refused"] = made.met == [1]
    if waits:
        chats(stage, stage.run.input["HeartbeatSeconds"] * 1.2, SLOWLY, time.time())
    if stage.chance.random() < 0.5:
        stage.sends("check.completed", report=ITS_REPORT)
    else:
        stage.facts["lament"] = stage.chance.choice(LAMENTS)
        stage.sends("check.failed", error={"code": "OutOfTime", "message": stage.facts["lament"]})
    stage.waits_for_its_end()


def _statuses(chance):
    return chance.choice(FINAL), chance.choice(WORTH_ANOTHER_TRY)


class NeverCalls(Exercise):
    title = "The vendor that never calls"
    hints = (
        "Both limits take an expression from the input, as Table does in the Payload.",
        "Silence raises States.Timeout, and so does TimeoutSeconds. States.ALL would match it, too: the "
        'more special Catcher stands first. With "Output": "{% $states.errorOutput %}" the next state gets Error '
        "and Cause.",
        "completed and failed are dealt with before, so there is one thing left to ask for waits_on: is seconds "
        "still less than $states.context.Execution.Input.TimeoutSeconds? It goes into {% and %}.",
    )
    common = {"HeartbeatSeconds": 3, "TimeoutSeconds": 600}
    cases = {  # those that take longest begin first
        "no answer and progress": Case(
            "a vendor that did not answer the first question, and then sent progress and the end",
            play=does_not_answer_and_chats,
            needs_sandbox=True,
        ),
        "chatty endless": Case(
            "a vendor that worked on and on, and sent progress",
            {"HeartbeatSeconds": 5, "TimeoutSeconds": 7},
            play=chats,
        ),
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
        "lost and silent": Case("a vendor whose answer to the order was lost, and that never called"),
    }
    pairs = ("no answer and progress", "lost and silent")
    audits = {
        "calls": {"seconds": 5, "rows": ROWS},  # longer than any heartbeat but its own
        "calls failed": {"seconds": 1, "fails": LAMENTS[0]},
        "silent": {"silent": True, "seconds": 1, "rows": ROWS},
        "silent failed": {"silent": True, "seconds": 1, "fails": LAMENTS[1]},
        "long": {"silent": True, "seconds": 4, "rows": ROWS},
        "calls late": {"seconds": 5, "rows": ROWS},
        "no answer": {"silent": True, "seconds": 1, "rows": ROWS},
        "lost and silent": {"silent": True, "seconds": 1, "rows": ROWS, "answers": ["lost"]},
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
                _blame_earlier(lab, draw, self.judge(others), others)
                return others
        raise SandboxProblem("This machine is too busy for limits of a few seconds. Try again later.")

    @staticmethod
    def _was_disturbed(name, one):
        """Whether the machine was too busy for what this case is to show."""
        gaps = one.facts.get("longest", 0) > one.input["HeartbeatSeconds"] - 0.5
        too_early = not one.facts.get("refused", True)  # it had asked before the vendor was made to refuse that
        unavailable = one.error == "VendorUnavailable" and name not in ("unavailable", "refused")
        return unavailable or bool(one.facts["asked"] and (gaps or too_early))

    def _plays(self, lab, machine, draw, cases):
        verirow = signed_up(lab)
        final, again = _statuses(draw.random("statuses"))
        audits = {**self.audits, "refused": {"answers": [final] * MANY}, "unavailable": {"answers": [again] * MANY}}
        cases = {name: cases[name] for name in self.cases if name in cases}
        hows = {name: {**QUIET, "silent": False, **audits.get(name, {})} for name in cases}
        tables = rehearse(lab, verirow, hows)
        stages = []
        # One order after the other: many at once get no answer within two seconds where a machine is busy.
        ordering = threading.Lock()

        def play(name, case):
            with ordering:
                run = VendorRun(machine, {"Table": tables[name], **self.common, **case.input})
                stages.append(stage := Stage(lab, verirow, run, tables[name], case, hows[name], draw.random(name)))
                until(lambda: orders_of(verirow, stage.table) or run.look(), LONG, "an order")
            (case.play or Stage.waits_for_its_end)(stage)
            audits = stage.audits()
            answers = [told["answer"] for audit in audits for told in audit["deliveries"]]
            facts = {"asked": stage.asked(), "audits": len(audits), "answers": answers + stage.answers, **stage.facts}
            return run.seen(case.about, facts=facts)

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
        [wanted] = (error for name, error in ORDER_FAILS.items() if self.cases[name].about == seen.about)
        if seen.status != "FAILED" or seen.error != wanted:
            return Fault(f"{seen}.", slow=seen.error == "VendorUnavailable")

    @contract(
        "When it has asked, there is no result, and `TimeoutSeconds` have passed since the execution's start, it ends "
        "`FAILED` (with any error but `CheckFailed`).",
        cases="endless",
    )
    def gives_up(self, seen: Execution):
        if not seen.ended:
            return Fault(f"{_limits(seen)} {seen}, and had asked {times(seen.facts['asked'])}.", slow=True)
        if seen.status != "FAILED" or seen.error == "CheckFailed":
            return f"{_limits(seen)} {seen}."
        if not seen.facts["asked"]:
            return f"{_limits(seen)} {seen}, without asking."
        if seen.history.seconds < seen.input["TimeoutSeconds"] - 0.1:
            return f"{_limits(seen)} {seen}, after {seen.history.seconds:.1f} seconds."
        visits = seen.history.states()
        for decides, then in itertools.pairwise(visits):
            # When it decides is what counts: a machine that is busy lets it come to that late.
            if decides.name == "Decide" and then.name == "Check" and _is_over(decides.entered, seen):
                return (
                    f"{_limits(seen)} The execution of {seen.about} had asked, there was no result, and it went back "
                    f"to Check after {decides.entered:.1f} seconds."
                )

    @contract(
        "When nothing was heard for `HeartbeatSeconds`, it asks the vendor: `completed` and `failed` end it just as "
        "the callback would have.",
        cases="silent, silent failed, lost and silent",
    )
    def asks(self, seen: Execution):
        first = next((event for event in seen.events if _enters(event, "Ask")), None)
        if first:
            passed = (first["timestamp"] - seen.history.started).total_seconds()
            right = seen.input["HeartbeatSeconds"]
            # A machine that is busy lets it ask later than its limit says.
            if passed < right - 0.1 or (passed > right + 1 and _shorter_limit(seen.events) > right):
                return f"{_limits(seen)} The execution of {seen.about} asked after {passed:.1f} seconds."
        return _not_as_it_should_end(seen)

    @contract(
        "When there is no result yet, or no answer, it goes on waiting.",
        cases="long, no answer, calls late, no answer and progress",
    )
    def waits_on(self, seen: Execution):
        return _not_as_it_should_end(seen)

    @contract(
        "The vendor's callback ends it as in exercise 4: `SUCCEEDED` with the report as its output, or `FAILED` with "
        "the error `CheckFailed` and the vendor's message in the cause.",
        cases="calls, calls failed",
    )
    def hears(self, seen: Execution):
        return _not_as_it_should_end(seen)

    @contract("While there are signs of life, it asks nobody.", cases="calls, chatty, no answer and progress")
    def leaves_alone(self, seen: Execution):
        if seen.facts["asked"] > (seen.about == self.cases["no answer and progress"].about):
            return Fault(f"{_limits(seen)} {seen}, and it had asked {times(seen.facts['asked'])}.", slow=True)
        return _not_as_it_should_end(seen) or _other_wait(seen)

    @contract(
        "No attempt of *Check* waits longer than `TimeoutSeconds`. After that it asks, too, whatever signs of life "
        "came.",
        cases="chatty endless",
    )
    def has_a_limit(self, seen: Execution):
        if fault := self.gives_up(seen):
            return fault
        most = seen.input["TimeoutSeconds"]
        for visit in seen.history.states():
            stayed = (visit.left or 0) - visit.entered
            # A machine that is busy lets it stay longer than its limit says.
            if visit.name == "Check" and stayed > most + 1 and _limit(seen.events, "timeoutInSeconds") > most:
                return f"{_limits(seen)} The execution of {seen.about} stayed in Check for {stayed:.1f} seconds."

    @contract(
        "However often it submits, the vendor makes one audit.",
        cases="long, calls late, silent, no answer and progress, lost and silent",
    )
    def one_audit(self, seen: Execution):
        if seen.facts["audits"] != 1:
            audits = many(seen.facts["audits"], "audit")
            return f"In the case of {seen.about}, the vendor made {audits} for one execution."


def _is_over(moment, seen):
    return moment >= seen.input["TimeoutSeconds"] + 0.1


def _limits(seen):
    return (
        f"HeartbeatSeconds was {seen.input['HeartbeatSeconds']}, and TimeoutSeconds was {seen.input['TimeoutSeconds']}."
    )


def _other_wait(seen):
    """A Fault where a stay in Check had other limits than it should, which nobody has waited for."""
    heartbeat, longest = seen.input["HeartbeatSeconds"], seen.input["TimeoutSeconds"]
    for at, limits in _waits(seen.events):
        # A right answer may give each stay what is left of the whole, in whole seconds.
        left = longest - (at - seen.history.started).total_seconds() - 1
        for name, least in (("timeoutInSeconds", left), ("heartbeatInSeconds", min(heartbeat, left))):
            told = limits.get(name, least)
            if told < least:
                signs = " of silence" if name.startswith("heartbeat") else ", whatever signs of life came"
                return Fault(
                    f"{_limits(seen)} A stay in Check had {name} {told}: it would have asked after {told} s{signs}."
                )
        if limits.get("heartbeatInSeconds", heartbeat) > heartbeat:
            told = limits["heartbeatInSeconds"]
            return Fault(
                f"{_limits(seen)} A stay in Check had heartbeatInSeconds {told}: it would have asked after {told} s of "
                "silence.",
                "When nothing was heard for HeartbeatSeconds, it asks the vendor.",
            )
    return None


def _enters(event, state):
    return event.get("stateEnteredEventDetails", {}).get("name") == state


ORDER_FAILS = {"refused": "VendorRefused", "unavailable": "VendorUnavailable"}  # with what, in which cases
# By which cases an earlier exercise tells whether a fault is its own: {its number: (the exercise, their names)}.
EARLIER = {
    2: (OrderOnce(), ("takes it", "again", "overloaded", "refuses")),
    4: (Answer(), ("reported", "failed", "awake")),
}


def _blame_earlier(lab, draw, fault, seen):
    """Raises NotYet where a fault is one of an earlier exercise; see `require_earlier`. fault: None for none."""
    number = fault and earlier_of(seen[fault.case])
    if number:
        require_earlier(lab, draw, number, *EARLIER[number])


def earlier_of(seen: Execution) -> int | None:
    """The number of the earlier exercise that can have made an execution what it is; None where none can."""
    failures = [event["taskFailedEventDetails"] for event in seen.events if event["type"] == "TaskFailed"]
    right = {NeverCalls.cases[name].about: error for name, error in ORDER_FAILS.items()}.get(seen.about, "CheckFailed")
    told, audits = seen.facts["answers"], seen.facts["audits"]
    if audits > 1 or any("CheckId" in failure.get("cause", "") for failure in failures):  # it asks with that
        return 2
    if any(failure["error"] != right for failure in failures if failure["resource"].endswith(".waitForTaskToken")):
        return 4 if told else 2
    # Progress came often enough, and was the right limit's business: it was no heartbeat.
    beats = _limit(seen.events, "heartbeatInSeconds") == seen.input["HeartbeatSeconds"]
    is_deaf = seen.about == NeverCalls.cases["chatty"].about and seen.facts["asked"] and beats
    another_output = told and seen.status == "SUCCEEDED" and seen.output != ITS_REPORT
    return 4 if is_deaf or another_output or not all(map(is_success, told)) else None


def _not_as_it_should_end(seen):
    """What is wrong with its end."""
    laments = {NeverCalls.cases[name].about: how.get("fails") for name, how in NeverCalls.audits.items()}
    lament = seen.facts.get("lament", laments.get(seen.about))
    # Where a machine is busy, an execution that was told takes a while to go on.
    late = not seen.ended and any(map(is_success, seen.facts["answers"]))
    if lament is None:
        if seen.status != "SUCCEEDED":
            return Fault(f"{_limits(seen)} {seen}.", "It ends SUCCEEDED, with the vendor's report.", slow=late)
        if seen.output != ITS_REPORT:
            return Fault(f"{seen} with the output {shortened(str(seen.output))}.", "Its output is the report.")
    elif seen.status != "FAILED" or seen.error != "CheckFailed":
        return Fault(f"{_limits(seen)} {seen}.", "It ends FAILED, with the error CheckFailed.", slow=late)
    elif lament not in seen.cause:
        return Fault(f'The vendor said: "{lament}" {seen}.', "The cause contains the vendor's message.")
