"""Exercise 2: one order for each execution, whatever the vendor answers; `submit` is invoked as in exercise 1.

Cases in which two things go wrong: `order_stories.py`.
"""

import dataclasses
import http.server
import itertools
import threading

from workshop import clients, deploy, faults
from workshop.checking.attacks import FINAL, WORTH_ANOTHER_TRY, in_words, is_success
from workshop.checking.exercises import LOOKS, Case, Fault, contract
from workshop.checking.outcomes import SandboxProblem, shortened, times
from workshop.checking.stories import broken
from workshop.checking.submitting import (
    LONG,
    QUIET,
    SOON,
    TOO_BUSY,
    Ordering,
    Scene,
    Submitted,
    again,
    at_once,
    belongs_to_earlier,
    gives_away,
    has_token,
    is_unavailable,
    late,
    many,
    once,
    with_a_namesake,
)
from workshop.checking.waiting import until
from workshop.checks.callback_urls import order_stories as stories
from workshop.checks.callback_urls.alone import require_addresses
from workshop.checks.callback_urls.order_stories import Story, Trouble

# The best known statuses are tried in every check. Of all others, two are drawn anew for each.
STATUSES = {
    "overloaded": ([408, 429, 500, 501, 502, 503, 504], WORTH_ANOTHER_TRY),
    "refuses": ([400, 401, 403, 404, 409, 410, 422], FINAL),
}


def drawn_statuses(draw, case: str) -> list[int]:
    """What the vendor answers in that case, one of STATUSES: first what is best known, then what chance adds."""
    known, whole = STATUSES[case]
    return known + draw.random(case).sample([status for status in whole if status not in known], 2)


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
    with faults.during(stories.killed_ordered(scene), label="check"):
        scene.submit(attempt)
    once(scene)


def unreachable(scene: Scene):
    """Nobody listens at the vendor's address; then somebody does again, and the state is tried again."""
    _tries_at("http://127.0.0.1:9", scene)  # the port "discard", where nobody is


def broken_off(*answers):
    """Somebody answers at the vendor's address who ends in the middle of it, an attempt for each of these answers.

    Then the state is tried again as ever.
    """

    def play(scene: Scene):
        left = itertools.chain(answers, itertools.repeat(answers[-1]))
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), lambda *request: next(left)(*request)) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            _tries_at(f"http://127.0.0.1:{server.server_port}", scene, len(answers))
            server.shutdown()

    return play


class HalfAnAnswer(http.server.BaseHTTPRequestHandler):
    status, length = 202, 40

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(self.status)
        if self.length:
            self.send_header("Content-Length", str(self.length))
        self.end_headers()
        self.wfile.write(b'{"check_id": "chk_')

    def log_message(self, *_):
        pass


class HalfAnError(HalfAnAnswer):
    status = 503


class HalfOfAnyLength(HalfAnAnswer):
    """It has not said how long its answer is, so that the half looks like all of it."""

    length = None


def _tries_at(url, scene, attempts=1):
    """So many attempts for which the vendor is elsewhere, and one as ever."""
    name, client = scene.name("submit"), clients.of("lambda")
    before = client.get_function_configuration(FunctionName=name)["Environment"]["Variables"]

    def set_to(variables):
        deploy.patiently(client.update_function_configuration, FunctionName=name, Environment={"Variables": variables})
        deploy.wait_until(client, "function_updated_v2", FunctionName=name)

    set_to({**before, "VENDOR_URL": url})
    try:
        for _ in range(attempts):
            scene.submit(scene.attempt())
        scene.facts.pop("busy", None)  # it took long since its process is new, and not since the vendor was slow
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
        "too, so it comes first. Where an answer breaks off, reading it raises an HTTPException; "
        "where the vendor had not said how long it is, the half is read, and is no JSON: a ValueError.",
        "408 and 429 are 4xx and worth another try. Every other 4xx is not.",
        'The answer is JSON: json.load(answer)["check_id"]. Keep it with the execution when it is there.',
    )
    common = QUIET
    by_default = staticmethod(each_answer)
    cases = {
        "takes it": Case("a vendor that took the order", play=once),
        "again": Case("a vendor that took the order, and a state that was tried again all the same", play=again),
        "late": Case("an attempt whose function began when that of its retry was done", play=late),
        "other": Case("two executions with the same table", play=two_executions),
        "namesake": Case(
            "two executions with the same table and the same name, of two state machines", play=with_a_namesake
        ),
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
        "breaks off": Case(
            "a vendor whose answer broke off in the middle, a 202 and then a 503",
            play=broken_off(HalfAnAnswer, HalfAnError),
            needs_sandbox=True,
        ),
        "is half": Case(
            "a vendor whose answer broke off in the middle, and had not said its length",
            play=broken_off(HalfOfAnyLength),
            needs_sandbox=True,
        ),
        "lost and killed": Case(
            "an answer that was lost, and a process that ended",
            play=stories.goes_through(Trouble(stories.LOST), Trouble(stories.KILLED_ORDERED)),
            needs_sandbox=True,
        ),
        "pair": Case("two troubles", needs_sandbox=True),
        "another pair": Case("two other troubles", needs_sandbox=True),
    }
    pairs = ("pair", "another pair")
    # What happens to them would happen to the others, too.
    ALONE = ("killed", "unreachable", "breaks off", "is half", "lost and killed", *pairs)
    done = "One audit for each execution, however often it is ordered; what is refused is not tried again."

    def rehearsal(self, draw, name, case):
        how = super().rehearsal(draw, name, case)
        return how | ({"answers": drawn_statuses(draw, name)} if name in STATUSES else {})

    def observe(self, lab, draw, cases):
        def with_troubles(name, case):
            troubles = stories.two_by(draw.random(name)) if name in self.pairs else ()
            return dataclasses.replace(case, play=stories.goes_through(*troubles)) if troubles else case

        cases = {name: with_troubles(name, case) for name, case in cases.items()}
        seen = self._seen(lab, draw, cases)
        seen = {name: self._story(lab, draw, name, cases[name], one) for name, one in seen.items()}
        if self.judge(seen):
            require_addresses(lab, draw)
        return seen

    def _seen(self, lab, draw, cases):
        seen = {}
        for _ in range(LOOKS):
            seen |= super().observe(lab, draw, {name: case for name, case in cases.items() if name not in seen})
            seen = {name: one for name, one in seen.items() if "busy" not in one.facts}
            if len(seen) == len(cases):
                return seen
        raise SandboxProblem(TOO_BUSY)

    def _story(self, lab, draw, name, case, seen):
        def again(trouble):
            alone = dataclasses.replace(case, play=stories.goes_through(trouble))
            return self._seen(lab, draw, {f"{name} again": alone})[f"{name} again"]

        return stories.told(seen, stories.wrong_in, again)

    def _play(self, scene):
        if scene.facts["how"]["silent"]:
            super()._play(scene)
        else:
            (scene.case.play or self.by_default)(scene)
            until(lambda: all(audit["deliveries"] for audit in scene.audits()), LONG, "the vendor to call")
            until(scene.run.look, SOON, "an execution to end")

    @contract(
        "It opens the callback and *then* orders, since the vendor may call before it has answered the order.",
        cases="takes it, again, late, overloaded, calls at once, lost and killed, pair, another pair",
    )
    def opens_and_orders(self, seen: Submitted | Story):
        if isinstance(seen, Story):
            return _broken(seen, stories.OPENS)
        if not seen.audits:
            return Fault(
                f"The vendor got {many(len(seen.orders), 'order')}, and took none. The function submit "
                f"{seen.invoked[-1].in_words()}.",
                belongs_to_earlier(seen.invoked[-1].raised_in, 2) or "It orders once, with what verirow.order returns.",
                slow=is_unavailable(seen.invoked[-1]),
            )
        answers = [told["answer"] for audit in seen.audits for told in audit["deliveries"]]
        if answers and (not is_success(answers[0]) or seen.status != "SUCCEEDED"):
            return Fault(
                f"The vendor called back before it had answered the order. The callback {in_words(answers[0])}, and "
                f"the execution {seen.in_words()}.",
                slow=answers[0] is None,
            )
        if seen.status != "SUCCEEDED":
            is_late = seen.about == self.cases["late"].about
            return Fault(
                f"In the case of {seen.about}, a report {in_words(seen.answer)}, and the execution {seen.in_words()}.",
                "The token of an attempt does not take the place of a later one's."
                if is_late
                else "It opens the callback with the new token, whenever it is invoked.",
                slow=seen.answer is None,
            )

    @contract(
        "Where the vendor answers with 408, 429 or any 5xx, it raises `VendorUnavailable`.",
        cases="overloaded, loses the answer, pair, another pair",
    )
    def may_be_tried_again(self, seen: Submitted | Story):
        if isinstance(seen, Story):
            return _broken(seen, stories.AGAIN)
        return _wrong_error(seen, "VendorUnavailable")

    @contract(
        "Where no answer comes within two seconds, or only half of one, or the vendor cannot be reached, it raises "
        "`VendorUnavailable`.",
        cases="takes a second, is slow, closes, unreachable, breaks off, is half, lost and killed, pair, another pair",
    )
    def waits_two_seconds(self, seen: Submitted | Story):
        if isinstance(seen, Story):
            return _broken(seen, stories.NO_ANSWER)
        if seen.about == self.cases["takes a second"].about:
            [only] = seen.invoked
            if only.error:
                return Fault(
                    f"The vendor answered after a second, and submit {only.in_words()}.",
                    "It waits two seconds for an answer.",
                    slow=True,
                )
            return None
        wrong = next((each for each in seen.invoked[:-1] if not is_unavailable(each)), None)
        if wrong:
            return Fault(f"In the case of {seen.about}, submit {wrong.in_words()}.", slow=wrong.error is None)

    @contract("Where the vendor answers with any other 4xx, it raises `VendorRefused`.", cases="refuses")
    def gives_up(self, seen: Submitted):
        return _wrong_error(seen, "VendorRefused")

    @contract(
        "It orders once whenever it is invoked, or not at all once it has the `check_id`: how often it is tried is the "
        "state machine's business.",
        cases="overloaded, refuses, lost and killed, pair, another pair",
    )
    def orders_once(self, seen: Submitted | Story):
        if isinstance(seen, Story):
            return _broken(seen, stories.ONCE)
        if len(seen.orders) != len(seen.invoked):
            return (
                f"submit was invoked {times(len(seen.invoked))}, and the vendor got {many(len(seen.orders), 'order')}."
            )

    @contract(
        "However often it is invoked for an execution, also twice at the same moment, the vendor makes one audit: the "
        "URL and the key are the same each time.",
        cases="again, loses the answer, closes, is slow, at once, killed, unreachable, overloaded, breaks off, "
        "is half, lost and killed, pair, another pair",
    )
    def one_audit(self, seen: Submitted | Story):
        if isinstance(seen, Story):
            return _broken(seen, stories.ONE)
        if seen.invoked[-1].error:
            return Fault(
                f"In the case of {seen.about}, the last submit {seen.invoked[-1].in_words()}.",
                belongs_to_earlier(seen.invoked[-1].raised_in, 2),
                slow=is_unavailable(seen.invoked[-1]),
            )
        if len({order.url for order in seen.orders}) > 1:
            return (
                f"In the case of {seen.about}, the vendor got {len(seen.orders)} orders, and they had different "
                "callback URLs."
            )
        if len(seen.audits) != 1:
            audits = many(len(seen.audits), "audit")
            return f"In the case of {seen.about}, the vendor now makes {audits} for one execution."
        if len({order.key for order in seen.orders}) > 1:
            return f"In the case of {seen.about}, the orders of one execution had different keys."

    @contract(
        "Another execution has another key, also where its table is the same, or its name. (Executions of two state "
        "machines may have the same name.)",
        cases="other, namesake, pair, another pair",
    )
    def a_key_of_its_own(self, seen: Submitted | Story):
        if isinstance(seen, Story):
            return _broken(seen, stories.OWN)
        second = f"For the second one, submit {seen.invoked[-1].in_words()}."
        if len({order.key for order in seen.orders}) < len(seen.orders):
            return f"There were {seen.about}, and their orders had the same key. {second}"
        if len(seen.audits) != 2:
            return Fault(
                f"There were {seen.about}, and the vendor makes {many(len(seen.audits), 'audit')}. {second}",
                slow=is_unavailable(seen.invoked[-1]),
            )

    @contract(
        "The key is something that the vendor may see: it does not contain the token.", cases="takes it, overloaded"
    )
    def keeps_the_token(self, seen: Submitted):
        if any(gives_away(order.key or "", seen.tokens) for order in seen.orders):
            return "The vendor's log has your task token: the key of the order contains it."
        if has_token(seen):
            return Fault(
                "The vendor's log has your task token: it is in the order, and not in its key.",
                "Nothing in the order contains the token.",
            )

    @contract(
        "When it has the answer, it keeps the vendor's `check_id` with the execution: "
        '`keep(event["Execution"], CheckId=...)`.',
        cases="takes it, overloaded, killed, lost and killed, pair, another pair",
    )
    def keeps_the_check_id(self, seen: Submitted | Story):
        if isinstance(seen, Story):
            return _broken(seen, stories.KEEPS)
        check_id = seen.audits[0]["check_id"]
        if seen.item.get("CheckId") != check_id:
            return Fault(
                f"In the case of {seen.about}, the vendor answered with the check_id {check_id}, and the item of the "
                f"execution has the CheckId {seen.item.get('CheckId')!r}.",
                events=[f"{name}: {shortened(str(value), 100)}" for name, value in sorted(seen.item.items())],
            )


def _broken(story: Story, rule):
    """A Fault where a story with two troubles breaks this sentence."""
    return broken(story, stories.wrong_in, rule, slow=story.may_be_slow)


def _wrong_error(seen, wanted):
    """The first of the vendor's answers after which submit did not fail as it should."""
    for answer, invoked in zip(seen.facts["how"]["answers"], seen.invoked, strict=False):
        if invoked.kind != wanted:
            told = "took the order and answered 502" if answer == "lost" else f"answered {answer}"
            return Fault(f"The vendor {told}, and submit {invoked.in_words()}.", slow=is_unavailable(invoked))
