"""What the vendor, or a stranger, sends to an execution's URL, and what becomes of it: for lab 03."""

import dataclasses
import re
import time
from collections.abc import Mapping, Sequence

from workshop import logs
from workshop.checking.attacks import JSON, in_words, is_success, report_of, send
from workshop.checking.exercises import LOOKS
from workshop.checking.outcomes import NotYet, shortened
from workshop.checking.resources import invoke
from workshop.checking.submitting import QUIET, SOON
from workshop.checking.vendors import LONGEST_WAIT, Waiting, Waits, orders_of, rehearse, signed_up
from workshop.checking.waiting import side_by_side, until


@dataclasses.dataclass(frozen=True)
class Sent:
    """What became of one request to an execution's URL.

    what: what it was, as the beginning of a sentence. answer: the status, None for none.
    status: how the execution stood after it, and output. error: what the function logged of its failure, where it did.
    right: the report that is genuine, if one is. request: what was sent, as lines: what a refusal shows.
    """

    what: str
    answer: int | None
    status: str = "RUNNING"
    output: object = None
    error: str = ""
    right: object = None
    request: Sequence[str] = ()

    @property
    def went_on(self) -> bool:
        return self.status != "RUNNING"

    @property
    def places(self) -> list[str]:
        """Where the function failed, as in "answer.py, line 9"."""
        return re.findall(r" in (\S+, line \d+)", self.error)

    @property
    def answered(self) -> str:
        return f"{self.what} {in_words(self.answer)}" + f" ({self.error})" * bool(self.error)


class Waiters:
    """Executions that wait, each with a URL that `submit` has given to the vendor; they are stopped in the end."""

    def __init__(self, lab):
        self._lab, self._runs, self.verirow = lab, [], signed_up(lab)
        self._waits = Waits(lab, lab.name("waiting"))

    def begin(self, heartbeat: float = LONGEST_WAIT - 1) -> Waiting:
        """One that has a `url`, and the `token` with which it waits, once its audit is ordered.

        heartbeat: its HeartbeatSeconds.
        """
        [table] = rehearse(self._lab, self.verirow, {"one": QUIET}).values()
        run = self._waits.begin(heartbeat)
        self._runs.append(run)
        attempt = run.attempt()
        invoked, orders = self._submit(run, attempt, table), orders_of(self.verirow, table)
        if not orders or not orders[0].url:
            raise NotYet(
                f"An execution's audit could not be ordered: submit {invoked.in_words()}.",
                "submit orders an audit. Exercise 2 is about that: run lab.check(2) first.",
            )
        run.url, run.table, run.token = orders[0].url, table, attempt.token
        return run

    def retry(self, run: Waiting):
        """Its state is tried again: with a new token, and the old one is dead."""
        attempt = run.next_attempt()
        run.token = attempt.token
        self._submit(run, attempt, run.table)

    def _submit(self, run, attempt, table):
        event = {"Execution": run.arn, "TaskToken": attempt.token, "Attempt": attempt.order, "Table": table}
        for _ in range(LOOKS):
            invoked = invoke(self._lab.name("submit"), event)
            if not invoked.error:
                break
        return invoked

    def end(self):
        side_by_side(*(run.stop for run in self._runs))

    def sent(self, run: Waiting, what: str, headers: Mapping, body: bytes, method="POST", right=None) -> Sent:
        """Send a request to an execution's URL, and look what becomes of it."""
        began = time.time()
        answer = send(run.url, headers, body, method)
        if is_success(answer):  # the execution may go on a moment later
            until(run.look, SOON if right is not None else 2, "an execution to go on")
        run.look()
        output = run.outcome()[0] if run.status != "RUNNING" else None
        failed = answer is not None and answer >= 500
        # Of requests at the same time the log does not say which one it was: then all that failed meanwhile are told.
        errors = dict.fromkeys(logs.errors(self._lab.name("callback"), since=began)) if failed else ()
        request = lines_of_request(method, headers, body)
        return Sent(what, answer, run.status, output, " or ".join(errors), right, request)


_SHOWN = 100  # characters of a header's value, and of a body


def lines_of_request(method: str, headers: Mapping, body: bytes | None) -> list[str]:
    """A request as a refusal shows it: its headers, and the beginning of its body."""
    named = ", ".join(f"{name}: {shortened(value, _SHOWN)}" for name, value in headers.items())
    if not body:
        return [f"the request: {method} without a body; {named}"]
    begins = body[: 4 * _SHOWN].decode(errors="backslashreplace")
    text = "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in " ".join(begins.split()))
    return [f"the request: {method}; {named}", f"its body, {len(body):,} bytes: {shortened(text, _SHOWN)}"]


CODES = ("TableNotReadable", "OutOfTime", "Check.Failed")
LONGEST_LAMENT = 500  # characters, as the vendor's page says
LAMENTS = ("Half of it is missing (§ 3).", "Nobody may read “airports” (§ 7).", "The table is empty (§ 9): 0 rows.")


class Vendor:
    """The vendor's messages to one execution, each signed as it signs.

    sent: what became of them, in their order. report, failure: what it says in the end. Its report is always the same
    message, with the same ID, as it is when the vendor sends it again.
    """

    def __init__(self, waiters: Waiters, run: Waiting, chance):
        self._waiters, self.run, self.sent = waiters, run, []
        self.chance, self.report = chance, report_of(chance)
        lament = chance.choice(LAMENTS)
        lament += " See line" + "".join(f" {line}" for line in range(1000, 2000))
        self.failure = {"code": chance.choice(CODES), "message": lament[:LONGEST_LAMENT]}
        self._reported = waiters.verirow.message("check.completed", run.url, report=self.report)

    def retries(self):
        """The state is tried again: the execution waits with a new token."""
        self._waiters.retry(self.run)

    def sends(self, what, kind, url=None, **content) -> Sent:
        """A message of a kind ("check.progress"), about this execution, or about another URL."""
        return self.sends_bytes(what, self._waiters.verirow.message(kind, url or self.run.url, **content))

    def sends_bytes(self, what, body: bytes, signed=True) -> Sent:
        headers = self._waiters.verirow.headers(body) if signed else JSON
        self.sent.append(self._waiters.sent(self.run, what, headers, body))
        return self.sent[-1]

    def sends_report(self, what="A report") -> Sent:
        return self.sends_bytes(what, self._reported)

    def sends_failure(self, what="The news that the audit failed") -> Sent:
        return self.sends(what, "check.failed", error=self.failure)

    def sends_progress(self, what="Progress") -> Sent:
        return self.sends(what, "check.progress", percent=50)
