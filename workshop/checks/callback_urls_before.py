"""Lab 03: wait for a vendor that calls a URL.

The contracts of the tasks, as the lab states them. An HTTP API has the route POST /callbacks/{id}; the functions have
the environment variables CALLBACKS (the URL before /{id}), TABLE, VENDOR_URL, VENDOR_KEY and VENDOR_SECRET.

- 1, functions `open_callback(execution, token)` and `token_of(callback_id)` in callbacks.py, which `submit` and
  `callback` use: a random callback ID (100 bits at least) for each execution, the same one for a new token of the same
  execution, which takes the old one's place. Neither the token nor what is computed from it or from the execution is
  in what the vendor gets or in a log.
- 2, function `submit`: gets {"Execution", "TaskToken", "Table"}; opens the callback, then orders; keeps CheckId in the
  item of the execution. VendorUnavailable for 408, 429, 5xx and no answer within two seconds, VendorRefused for other
  4xx; one check however often it is tried.
- 3, function `signed_body(event)` in signature.py, which `callback` uses: None, and so a final 4xx, for all that the
  vendor did not sign within 300 seconds of now, and for more than 64 KiB; it never raises.
- 4, function `answer(callback_id, message)` in answer.py, which `callback` uses: 2xx for what is new, comes again or
  comes late; a final 4xx for what is forged, malformed, unknown or meant for another URL; 5xx for faults of our own.
  Success with the report, failure with the error CheckFailed and the vendor's message, a heartbeat for progress.
- 5, state machine `check`: gets {"Table", "HeartbeatSeconds", "TimeoutSeconds"}; asks (function `ask`) when nothing
  was heard for HeartbeatSeconds, waits on where there is no result, and ends by itself after TimeoutSeconds.
"""

import concurrent.futures
import contextlib
import json
import os
import secrets
import threading
import time
import urllib.parse

from workshop import clients, deploy, logs
from workshop.checking.attacks import GENUINE, JSON, REPORT, in_words, is_final, is_success, report, send
from workshop.checking.guessing import computed, pieces, random_bits
from workshop.checking.vendors import ATTEMPT, Messages, must_succeed, rehearse, signed_up
from workshop.checks import NotAttempted, NotYet, SandboxProblem, Task
from workshop.checks.callbacks import eventually, function, side_by_side
from workshop.checks.watching import Run, state_machine, until

TASKS = {
    1: Task(
        "An address that tells nothing",
        hints=(
            "secrets.token_urlsafe() makes an ID that nobody guesses. Keep it where an execution that comes again "
            "finds it: find(execution) gives what is known of it.",
            "Two items: one under the execution, which holds its callback ID, and one under the callback ID, which "
            "holds the token. When the execution comes again, the second one gets the new token.",
            'callback_id = find(execution).get("CallbackId") or a new one; then keep(...) twice.',
        ),
    ),
    2: Task(
        "Order once",
        hints=(
            "What stays the same, however often an execution tries, and is another for each execution? That is the "
            "key: order(table, callback_id, key=...).",
            "urlopen waits as long as you let it: timeout=2. For an answer of 400 or more it raises HTTPError, which "
            "has a code; without an answer it raises an OSError (URLError, TimeoutError). HTTPError is an OSError "
            "too, so it comes first.",
            "408 and 429 are 4xx and worth another try. All that is left of 4xx is not.",
            'The answer is JSON: json.load(answer)["check_id"]. Keep it with the execution when it is there.',
        ),
    ),
    3: Task(
        "Who is calling?",
        hints=(
            'First the raw bytes: base64.b64decode(body) if event["isBase64Encoded"], else body.encode(). What was '
            "signed is timestamp.encode() + b'.' + those bytes.",
            'hmac.new(secret, what was signed, "sha256").hexdigest() is the hex; "v1=" stands before it. Compare with '
            "hmac.compare_digest, and compare bytes: text that is not ASCII raises a TypeError.",
            "timestamp.isdecimal() tells whether it is a number. When it is, and the signature is good, the vendor "
            "wrote it, and int(timestamp) cannot fail; abs() of the difference looks in both directions.",
        ),
    ),
    4: Task(
        "What to answer",
        hints=(
            "First: who waits for it (token_of), and is it meant for this URL? Each question has its final 4xx.",
            "A second answer to a token raises stepfunctions.exceptions.TaskTimedOut. Catch that one and no other: all "
            "else is our own fault, and a handler that raises is a 500.",
            "send_task_heartbeat for progress, send_task_success with json.dumps(report) as output, send_task_failure "
            "with error and cause. For a type that you do not know, 200 and nothing else.",
        ),
    ),
    5: Task(
        "The vendor that never calls",
        hints=(
            "Both limits take an expression from the input, as Table does in the Payload.",
            "Silence raises States.Timeout, and so does the limit for the whole. States.ALL would match it too: the "
            'more special Catcher stands first. With "Output": "{% $states.errorOutput %}" the next state gets Error '
            "and Cause.",
            "completed and failed are dealt with before, so there is one thing left to ask for waits_on: is seconds "
            "still less than $states.context.Execution.Input.TimeoutSeconds? It goes into {% and %}.",
        ),
    ),
}

# The vendor's callback comes before the answer to the order.
OVERTAKEN = {"seconds": 0, "answers": ["overtaken"], "rows": [{"iata": "ABC"}]}
LONGEST_WAIT = 600  # seconds that an execution of a check waits for its answer; it is stopped before
SOON = 40  # looks (see `eventually`), for what comes only if the answer is right
LONGEST_LOOK = 90  # seconds, for what comes soon whatever the answer is: machines can be busy
ATTEMPTS = 8  # of a state; more than a right answer needs, also where an order is given up since a machine is busy
SILENCE = 12  # seconds without an event, after which an execution that does not end has settled down to wait
QUESTIONS = 3  # more than a right answer asks a vendor that has no result
FEWEST_BITS = 100
MANY = 99  # orders, more than a check makes
HEARTBEAT = 4


def task_4(lab):
    waits = Waits(lab)
    quiet = {"silent": True, "seconds": 3600}
    cases = ("reported", "at-once", "failed", "attacked", "other", "expired", "outage")
    runs = waits.begin({case: quiet for case in cases})
    messages = Messages(waits.vendor)
    try:
        side_by_side(
            lambda: _report_and_again(messages, runs["reported"]),
            lambda: _two_at_once(messages, runs["at-once"]),
            lambda: _failure(messages, runs["failed"]),
            lambda: _not_for_this_url(messages, runs["attacked"], runs["other"]),
            lambda: _expired(messages, runs["expired"]),
        )
        if os.environ.get("AWS_ENDPOINT_URL"):  # on AWS it takes a while until a denied permission is felt
            _own_fault(lab, messages, runs["outage"])
        print("Keeping an execution awake with progress callbacks, for longer than its heartbeat ...")
        _progress_is_a_heartbeat(messages, waits)
    finally:
        waits.end()
    return "The vendor comes again for what went wrong on your side, and for nothing else."


def task_5(lab):
    machine = state_machine(lab, "check")
    for thing, number in (("submit", 2), ("callback", 4), ("ask", 5)):
        _needs(lab, thing, number)
    verirow = signed_up(lab)
    rows = [{"iata": "ABC", "city": "Guam"}, {"iata": "DEF"}]
    message = "Half of it is missing."
    rehearsals = {
        "calls": {"seconds": 1, "rows": rows},
        "calls-failed": {"seconds": 1, "fails": message},
        "silent": {"silent": True, "seconds": 1, "rows": rows},
        "silent-failed": {"silent": True, "seconds": 1, "fails": message},
        "long": {"silent": True, "seconds": 6, "rows": rows},
        "endless": {"silent": True, "seconds": 3600},
        "refused": {"silent": True, "seconds": 3600, "answers": [400] * MANY},
        "chatty": {"silent": True, "seconds": 3600},
    }
    print("Waiting for a vendor that is silent, with heartbeats of some seconds ...")
    limits = {
        "chatty": {"HeartbeatSeconds": 7, "TimeoutSeconds": 8},
        "endless": {"HeartbeatSeconds": 3, "TimeoutSeconds": 5},
        "calls": {"HeartbeatSeconds": 60, "TimeoutSeconds": 600},
    }
    usual = {"HeartbeatSeconds": 3, "TimeoutSeconds": 600}
    tables = rehearse(lab, verirow, rehearsals)
    runs = {}
    try:
        for case, table in tables.items():
            runs[case] = run = Run(machine, {"Table": table, **limits.get(case, usual)})
            # One order after the other: on a busy machine many at once get no answer within two seconds.
            until(lambda run=run, table=table: verirow.orders(table) or run.look(), LONGEST_LOOK)
        with _chat(verirow, runs["chatty"], tables["chatty"]):
            _settle(lab, verirow, runs, tables, rehearsals)
        _judge_ends(lab, runs, message, {"rows": 2, "missing": {"city": 1}, "out_of_range": 0})
        for case in ("long", "calls", "silent"):
            checks = len(verirow.checks(tables[case]))
            if checks != 1:
                raise runs[case].not_yet(f"The vendor has made {checks} checks for one execution.", "One check.")
    finally:
        _stop(runs.values())
    return "It hears the vendor, asks it when it is silent, waits on while it works, and ends by itself."


# -- executions that wait ---------------------------------------------------------------------------------------------


class Waits:
    """Executions that wait for the vendor, each by way of the learner's function `submit`.

    retries: the errors after which the state is tried again.
    Raises NotAttempted where something is missing.
    """

    def __init__(self, lab, retries=("VendorUnavailable",)):
        self._lab = lab
        submit, _ = _built(lab, "submit"), _built(lab, "callback")
        self.vendor = signed_up(lab)
        state = {
            "Type": "Task",
            "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
            "Arguments": {
                "FunctionName": submit,
                "Payload": {
                    "Table": "{% $states.input.Table %}",
                    "Execution": "{% $states.context.Execution.Id %}",
                    "TaskToken": "{% $states.context.Task.Token %}",
                    "Attempt": f"{{% {ATTEMPT} %}}",
                },
            },
            "HeartbeatSeconds": "{% $states.input.HeartbeatSeconds %}",
            "TimeoutSeconds": LONGEST_WAIT,
            "Retry": [{"ErrorEquals": list(retries), "IntervalSeconds": 1, "BackoffRate": 1, "MaxAttempts": 30}],
            "End": True,
        }
        self._machine = deploy.state_machine(
            lab.name("check-waits"),
            {"QueryLanguage": "JSONata", "StartAt": "Wait", "States": {"Wait": state}},
            permissions={"lambda:InvokeFunction": submit},
        )
        self._runs = []

    def begin(self, rehearsals, *, heartbeat=LONGEST_WAIT - 1, wait=True):
        """Executions for these cases, {case: Waiting}. wait: until the vendor has taken the order of each.

        rehearsals: {case: how its check goes, as Vendor.rehearse takes it; `rows` is the content of its table}.
        heartbeat: the HeartbeatSeconds of them all.
        """
        tables = rehearse(self._lab, self.vendor, rehearsals)
        runs = {case: Waiting(self._machine, table, heartbeat, self.vendor) for case, table in tables.items()}
        self._runs += runs.values()
        if wait:
            for run in runs.values():
                run.url = run.first_url()
        return runs

    def end(self):
        _stop(self._runs)


class Waiting(Run):
    """One of them. url: the callback URL that the vendor got."""

    def __init__(self, machine, table, heartbeat, verirow):
        super().__init__(machine, {"Table": table, "HeartbeatSeconds": heartbeat})
        self.table, self.vendor, self.url = table, verirow, None

    def orders(self):
        """What the vendor got: a list of dicts with `text` (all of a request) and `url` (None for none)."""
        return [
            {"text": order["body"] + json.dumps(order["headers"]), "url": _url_in(order["body"])}
            for order in self.vendor.orders(self.table)
        ]

    def checks(self):
        return self.vendor.checks(self.table)

    def first_url(self):
        """The callback URL, once the vendor has taken the order. Raises NotYet where it gets none."""
        found = []

        def taken():
            found[:] = self.checks()
            return found or self.look() or len(self.errors()) > ATTEMPTS

        until(taken, LONGEST_LOOK)
        if not found:
            raise self.not_yet(
                f"No order of an execution was taken by the vendor, and the execution {self.in_words()}.",
                "submit orders a check, with a callback URL.",
            )
        return found[0]["callback_url"]

    def tokens(self):
        """The task tokens that it has waited with, as its history tells."""
        scheduled = [event for event in self.history().events if event["type"] == "TaskScheduled"]
        payloads = [json.loads(event["taskScheduledEventDetails"]["parameters"])["Payload"] for event in scheduled]
        return [payload["TaskToken"] for payload in payloads]

    def is_submitted(self):
        """Whether the learner's function has returned, and the state waits for the answer."""
        return any(event["type"] == "TaskSubmitted" for event in self.history().events)

    def errors(self):
        """The errors with which attempts of its state have ended so far."""
        ended = [event for event in self.history().events if event["type"] in ("TaskFailed", "TaskTimedOut")]
        return [event[f"task{event['type'][4:]}EventDetails"].get("error") for event in ended]


def _built(lab, thing):
    try:
        return function(lab, thing)
    except NotAttempted:
        raise NotAttempted(
            f"There is no function named {lab.name(thing)}: a file of it is still blank, or deploy_all() was not run."
        ) from None


def _needs(lab, thing, number):
    try:
        function(lab, thing)
    except NotAttempted:
        raise NotAttempted(f"There is no {lab.name(thing)} yet: do task {number} first.") from None


def _stop(runs):
    for run in runs:
        if not run.look():
            run.stop()


def _url_in(body):
    try:
        return json.loads(body).get("callback_url")
    except (ValueError, AttributeError):
        return None


# -- task 1 -----------------------------------------------------------------------------------------------------------


def _callback_id(run):
    return run.url.rpartition("/")[2]


def _is_secret(run):
    """Nothing that the vendor got holds the token, or what anybody can compute from what is known."""
    for order in run.orders():
        for token in run.tokens():
            if any(piece in order["text"] for piece in pieces(token)):
                raise NotYet(
                    "The vendor's log has your task token: it was in the order that it got.",
                    "The token stays on our side; the vendor gets a callback ID.",
                )
    known = {"the task token": run.tokens()[-1], "the execution's ARN": run.arn, "its name": run.arn.rpartition(":")[2]}
    for what, text in known.items():
        if text in urllib.parse.unquote(run.url) or any(made in run.url for made in computed(text)):
            raise NotYet(
                f"The callback ID {_callback_id(run)[:80]} can be computed from {what}.",
                "A callback ID that is random, and tells nothing.",
            )


def _is_unguessable(runs):
    ids = [_callback_id(run) for run in runs.values()]
    if len(set(ids)) < len(ids):
        raise NotYet("Two executions got the same callback ID.", "Another one for each execution.")
    if not all(set(one) <= _URL_SAFE for one in ids):
        raise NotYet(f"A callback ID is {ids[0][:80]!r}.", "Letters, digits, - and _ only: it stands in a URL.")
    bits = random_bits(ids)
    if bits < FEWEST_BITS:
        raise NotYet(
            f"Callback IDs of six executions: {', '.join(ids[:3])}, ... That is {bits:.0f} random bits at most.",
            f"At least {FEWEST_BITS} random bits, so that nobody can guess one.",
        )


_URL_SAFE = set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


def _leads_to_its_execution(runs):
    first, *others = (runs[case] for case in ("first", "second", "third"))
    status = send(first.url, *GENUINE["A report as Verirow sends it"](first.vendor, first.url))
    eventually(first.look, SOON)
    if first.status != "SUCCEEDED":
        raise first.not_yet(
            f"A report that was sent to the callback URL of an execution {in_words(status)}, and the execution "
            f"{first.in_words()}.",
            "token_of gives the token behind a callback ID, and the execution goes on.",
        )
    for other in others:
        if other.look():
            raise other.not_yet(
                f"A report for one execution came, and another one {other.in_words()}.", "To each its own."
            )


def _leads_to_the_new_token(run):
    urls = [order["url"] for order in run.orders()]
    if len(urls) < 2 or len(set(urls)) > 1:
        raise NotYet(
            "The vendor was overloaded, the state was retried with a new token, and the vendor got "
            + (f"{len(urls)} order." if len(urls) < 2 else "another callback URL than before."),
            "An execution keeps its callback ID: the vendor may have the URL already.",
        )
    send(run.url, *GENUINE["A report as Verirow sends it"](run.vendor, run.url))
    eventually(run.look, SOON)
    if run.status != "SUCCEEDED":
        raise run.not_yet(
            f"The state was retried with a new token. A report came to the callback URL, and the execution "
            f"{run.in_words()}.",
            "The callback ID leads to the new token; the old one is dead.",
        )


def _is_not_logged(lab, runs):
    tokens = [piece for run in runs for token in run.tokens() for piece in (token[:32], token[-32:])]
    for thing in ("submit", "callback"):
        said = "\n".join(logs.lines(lab.name(thing)))
        if any(piece in said for piece in tokens):
            raise NotYet(f"A task token stands in the log of {lab.name(thing)}.", "Nothing that is logged has it.")


# -- task 2 -----------------------------------------------------------------------------------------------------------


def _orders_once(run):
    until(lambda: run.checks() or run.look() or run.is_submitted(), LONGEST_LOOK)
    found = run.checks()
    if not found:
        raise run.not_yet(
            f"The vendor got no order that it could take, and the execution {run.in_words()}.",
            "One order, as verirow.order makes it.",
        )
    if len(found) > 1:
        raise run.not_yet(f"The vendor makes {len(found)} checks for one execution.", "One.")
    for token in run.tokens():
        if any(piece in order["text"] for order in run.orders() for piece in pieces(token)):
            raise NotYet(
                "The vendor's log has your task token.", "It is none of the vendor's business, as a key either."
            )


def _is_refused(run, status):
    until(lambda: run.look() or run.is_submitted() or len(run.errors()) > ATTEMPTS, LONGEST_LOOK)
    if run.status == "RUNNING":
        raise run.not_yet(
            f"The vendor answered {status}, and the execution {run.in_words()}, after {len(run.orders())} orders.",
            "An order that is refused fails the state, with VendorRefused.",
        )
    if run.outcome.get("error") != "VendorRefused":
        raise run.not_yet(
            f"The vendor answered {status}, and the execution {run.in_words()}.", "The error VendorRefused."
        )


def _tries_again(run, what, orders):
    until(lambda: run.look() or run.is_submitted() or len(run.errors()) > ATTEMPTS, LONGEST_LOOK)
    if run.look():
        raise run.not_yet(
            f"{what}. The execution {run.in_words()}.", "The error VendorUnavailable, after which the state is retried."
        )
    if len(run.orders()) < orders:
        raise run.not_yet(
            f"{what}. The function did not give up, and the state was not retried.",
            "VendorUnavailable where no answer comes within two seconds."
            if "did not answer" in what
            else "The error VendorUnavailable, after which the state is retried.",
        )
    # What was tried again may still be on its way.
    until(lambda: len(run.checks()) > 1, 0.5)
    if len(run.checks()) > 1:
        raise run.not_yet(
            f"{what}. The state was retried, and the vendor now makes {len(run.checks())} checks.",
            "However often it is tried, one execution gets one check: the same key each time.",
        )
    if len({order["url"] for order in run.orders()}) > 1:
        raise run.not_yet(
            f"{what}. The second order had another callback URL.", "The same order: the same URL and key."
        )
    send(run.first_url(), *GENUINE["A report as Verirow sends it"](run.vendor, run.first_url()))
    eventually(run.look, SOON)
    if run.status != "SUCCEEDED":
        raise run.not_yet(
            f"{what}. The state was retried, the report came, and the execution {run.in_words()}.",
            "The callback is opened again with the new token.",
        )


def _says_each_time(run):
    """The vendor is down: each attempt of the state orders once and ends with VendorUnavailable."""
    until(lambda: len(run.errors()) > 1 or run.look() or run.is_submitted(), LONGEST_LOOK)
    wrong = [error for error in run.errors() if error != "VendorUnavailable"]
    if wrong or not run.errors():
        raise run.not_yet(
            "The vendor answered 503 each time, and the state "
            + (f"failed with {wrong[0]}." if wrong else "did not fail."),
            "The error VendorUnavailable, each time.",
        )
    run.stop()
    orders, attempts = len(run.orders()), len(run.tokens())
    if orders > attempts:
        raise run.not_yet(
            f"The vendor was down, and got {orders} orders for {attempts} attempts of the state.",
            "One order for each attempt: how often it is tried is the state machine's business.",
        )


def _saves_first(run):
    """Whether it could be seen: not where something was given up for lost, as happens on a busy machine."""
    until(lambda: any(check["deliveries"] for check in run.checks()), LONGEST_LOOK)
    answers = [told["answer"] for check in run.checks() for told in check["deliveries"]]
    eventually(run.look, SOON)
    if run.status == "SUCCEEDED" and (len(run.tokens()) > 1 or answers[:1] == [None]):
        return False
    refused = bool(answers) and not is_success(answers[0])
    if refused or run.status != "SUCCEEDED":
        raise run.not_yet(
            "The vendor called back before it had answered the order. "
            + (f"It {in_words(answers[0])}" if refused else "It was heard")
            + f", and the execution {run.in_words()}.",
            "The callback is open before the order is on its way.",
        )
    return True


def _keeps_the_check(lab, run):
    [check] = run.checks()
    table = clients.table(lab.name("waiting"))
    kept = {}

    def found():
        kept.update(table.get_item(Key={"Id": run.arn}, ConsistentRead=True).get("Item", {}))
        return kept.get("CheckId") == check["check_id"]

    if not eventually(found, SOON):
        raise NotYet(
            f"The vendor's check is {check['check_id']}, and the item of the execution has CheckId "
            f"{kept.get('CheckId')!r}.",
            'keep(event["Execution"], CheckId=...), with the check_id of the vendor\'s answer.',
        )


# -- task 3 -----------------------------------------------------------------------------------------------------------


def _went_on(run, status):
    """Whether a request that was answered with this status has ended an execution, which it may do a moment later."""
    return run.look() or (is_success(status) and eventually(run.look, looks=25))


def _must_be_refused(run, words, headers, body, method="POST"):
    status = send(run.url, headers, body, method)
    if _went_on(run, status):
        raise run.not_yet(f"{words} got through: the execution {run.in_words()}.", "Only what the vendor has signed.")
    if is_success(status):
        raise NotYet(f"{words} {in_words(status)}, as if it were genuine.", "signed_body gives None for it.")
    if not is_final(status):
        raise NotYet(
            f"{words} {in_words(status)}: a stranger can make your function fail.",
            "signed_body gives None for it, and never raises.",
        )


# -- task 4 -----------------------------------------------------------------------------------------------------------


def _report_and_again(messages, run):
    must_succeed(messages.report(run), "A report that came for the first time")
    eventually(run.look, SOON)
    if run.status != "SUCCEEDED" or run.output != REPORT:
        raise run.not_yet(
            f"A report came, and the execution {run.in_words()}"
            + (f" with the output {run.output}." if run.status == "SUCCEEDED" else "."),
            "Success, with the report as output.",
        )
    had = "There is nothing more to do: 2xx."
    must_succeed(messages.report(run), "A report that came a second time", had)
    must_succeed(messages.progress(run), "A progress callback that came after the report", had)
    must_succeed(messages.failure(run), "A failure that came after the report", had)


def _two_at_once(messages, run):
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda _: messages.report(run), range(2)))
    for status in answers:
        must_succeed(status, "One of two reports that came at the same moment")
    if not eventually(run.look, SOON):
        raise run.not_yet("Two reports came at the same moment, and the execution was still running.", "Success.")


def _failure(messages, run):
    must_succeed(messages.failure(run), "A failed check")
    eventually(run.look, SOON)
    if run.status != "FAILED" or run.outcome.get("error") != "CheckFailed":
        raise run.not_yet(
            f"The check failed, and the execution {run.in_words()}.", "FAILED, with the error CheckFailed."
        )
    if "Half of it is missing." not in run.outcome.get("cause", ""):
        raise run.not_yet(
            f"The vendor said: Half of it is missing. The execution {run.in_words()}.", "The vendor's message as cause."
        )
    must_succeed(messages.failure(run), "A failed check that came a second time")


def _progress_is_a_heartbeat(messages, waits):
    for _ in range(3):
        began = time.monotonic()
        quiet = {"silent": True, "seconds": 3600}
        runs = waits.begin({"awake": quiet, "asleep": quiet}, heartbeat=HEARTBEAT)
        if _stays_awake(messages, runs["awake"], runs["asleep"], began):
            return
    raise SandboxProblem(f"This machine is too busy to send progress every {HEARTBEAT} seconds. Try again later.")


def _stays_awake(messages, run, other, since):
    """Whether progress could be sent so often that it had to keep the execution awake. Raises NotYet if it did not.

    other: one that must not stay awake, since all that comes is of a type that nobody knows.
    """
    end = time.monotonic() + HEARTBEAT + 1
    while time.monotonic() < end:
        status, ended = messages.progress(run), run.look()
        if time.monotonic() - since > HEARTBEAT - 0.5:
            return False
        since = time.monotonic()
        must_succeed(status, "A progress callback")
        if ended:
            raise run.not_yet(
                f"The vendor sent progress each second, HeartbeatSeconds was {HEARTBEAT}, and the execution "
                f"{run.in_words()}.",
                "Progress is a heartbeat, and no more than that.",
            )
        _annotated(messages, other)
        time.sleep(1)
    if not eventually(lambda: _annotated(messages, other) and other.look(), SOON):
        raise other.not_yet(
            f"Messages of a type that you do not know came each second, HeartbeatSeconds was {HEARTBEAT}, and the "
            f"execution {other.in_words()}.",
            "They are no heartbeats: 2xx, and nothing else.",
        )
    return True


def _annotated(messages, run):
    """Send a message of a type that is not in the vendor's page."""
    status = messages.message(run, "check.annotated", note="a type of next year", report=REPORT)
    must_succeed(
        status, "A message of a type that you do not know", "Types that you do not know: 2xx, and nothing else."
    )
    return True


def _not_for_this_url(messages, run, other):
    cases = {
        "A genuine report about another execution": lambda: messages.report(run, url=other.url),
        "A signed body that is no JSON": lambda: messages.raw(run, b"done"),
        "A signed body that is a JSON list": lambda: messages.raw(run, b"[]"),
        "A signed body that is null": lambda: messages.raw(run, b"null"),
        "A signed message without a type": lambda: messages.raw(run, json.dumps({"callback_url": run.url}).encode()),
        "A report without a signature": lambda: send(run.url, JSON, report(run.vendor, run.url)),
        "A genuine report for a callback ID that nobody has": lambda: _to_nobody(messages, run),
    }
    for words, call in cases.items():
        status = call()
        if _went_on(run, status):
            raise run.not_yet(f"{words} got through: the execution {run.in_words()}.", "A final 4xx, and nothing else.")
        if not is_final(status):
            raise NotYet(
                f"{words} {in_words(status)}"
                + ("." if is_success(status) else ", so the vendor sends it again, for nothing."),
                "A final 4xx: sending it again would help nobody.",
            )
    if other.look():
        raise other.not_yet(
            f"A report that came to another execution's URL got through: {other.in_words()}.", "To each its own."
        )
    _annotated(messages, run)
    if run.look():
        raise run.not_yet(f"A message of an unknown type came, and the execution {run.in_words()}.", "Nothing happens.")


def _to_nobody(messages, run):
    start = run.url.rpartition("/")[0]
    url = f"{start}/{secrets.token_urlsafe(32)}"
    stranger = Address(url)
    return messages.report(stranger)


class Address:
    """Somewhere to send to, with nobody behind it."""

    def __init__(self, url):
        self.url = url


def _expired(messages, run):
    run.stop()
    status = messages.report(run)
    if not (is_success(status) or is_final(status)):
        raise NotYet(
            f"A report for an execution that does not wait any more {in_words(status)}, so the vendor sends it again.",
            "2xx or a final 4xx: the token does not come back to life.",
        )


def _own_fault(lab, messages, run):
    outages = {
        "dynamodb:*": "DynamoDB denied the function its table",
        "states:*": "Step Functions denied the function its call",
    }
    for action, what in outages.items():
        with _denied(lab, action):
            status = messages.report(run)
        if status is not None and status < 500:
            raise NotYet(
                f"{what}, and the report {in_words(status)}: the vendor will not send it again, and it is lost.",
                "5xx for a fault of our own.",
            )
    must_succeed(messages.report(run), "After an outage of ours, the report that came again")
    eventually(run.look, SOON)
    if run.status != "SUCCEEDED":
        raise run.not_yet(f"After an outage the report came again, and the execution {run.in_words()}.", "Success.")


@contextlib.contextmanager
def _denied(lab, action):
    """Deny the function `callback` some actions for a while."""
    iam = clients.of("iam")
    arn = clients.of("lambda").get_function_configuration(FunctionName=lab.name("callback"))["Role"]
    policy = {"RoleName": arn.rpartition("/")[2], "PolicyName": "outage-for-a-check"}
    deny = {"Effect": "Deny", "Action": action, "Resource": "*"}
    iam.put_role_policy(**policy, PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [deny]}))
    try:
        yield
    finally:
        iam.delete_role_policy(**policy)


# -- task 5 -----------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _chat(verirow, run, table):
    """Send progress to an execution each second."""
    over = threading.Event()

    def send_progress():
        while not over.wait(1) and not run.look():
            for check in verirow.checks(table):
                body = verirow.message("check.progress", check["callback_url"], percent=1)
                send(check["callback_url"], verirow.headers(body), body)

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        pool.submit(send_progress)
        try:
            yield
        finally:
            over.set()


def _settle(lab, verirow, runs, tables, rehearsals):
    """Wait until each execution has ended or just waits, or until one is seen to ask for ever."""
    began = time.monotonic()

    def has_told(case):
        how = rehearsals[case]
        return how["seconds"] >= 3600 or all(
            check["status"] != "running" and (check["deliveries"] or how.get("silent"))
            for check in verirow.checks(tables[case])
        )

    def is_settled(case):
        told = time.monotonic() - began > SILENCE and has_told(case)  # before the look: what was told has arrived then
        if runs[case].look():
            return True
        return told and time.time() - runs[case].history().events[-1]["timestamp"].timestamp() > SILENCE

    def asks_for_ever():
        return _asked(lab, runs["endless"]) > QUESTIONS or _asked(lab, runs["refused"]) > 0

    until(lambda: all([is_settled(case) for case in runs]) or asks_for_ever(), LONGEST_LOOK)


def _judge_ends(lab, runs, message, rows):
    if any(run.outcome.get("error") == "VendorUnavailable" for run in runs.values()):
        raise SandboxProblem("This machine is too busy: an order got no answer within two seconds, again and again.")
    refused = runs["refused"]
    if refused.outcome.get("error") != "VendorRefused":
        raise refused.not_yet(
            f"The vendor refused the order. The execution {refused.in_words()}.", "FAILED, with that error."
        )
    what = "The vendor worked on and on in silence; HeartbeatSeconds was 3, TimeoutSeconds 5"
    _gives_up(lab, runs["endless"], what)
    for case, what in {
        "calls": "The vendor called back with its report",
        "silent": "The vendor had its report after a second and never called; HeartbeatSeconds was 3",
        "long": "The vendor worked for six seconds in silence; HeartbeatSeconds was 3",
    }.items():
        run = runs[case]
        if run.status != "SUCCEEDED":
            raise run.not_yet(f"{what}. The execution {run.in_words()}.", "SUCCEEDED, with the vendor's report.")
        if run.output != rows:
            raise run.not_yet(f"{what}. The output is {json.dumps(run.output)[:200]}.", "The report as output.")
    for case, what in {
        "calls-failed": "The vendor called back and said that the check failed",
        "silent-failed": "The check failed, and the vendor never called; HeartbeatSeconds was 3",
    }.items():
        run = runs[case]
        if run.status != "FAILED" or run.outcome.get("error") != "CheckFailed":
            raise run.not_yet(f"{what}. The execution {run.in_words()}.", "FAILED, with the error CheckFailed.")
        if message not in run.outcome.get("cause", ""):
            raise run.not_yet(f"{what}. The execution {run.in_words()}.", "The vendor's message in the cause.")
    what = "The vendor worked on and on and sent progress; HeartbeatSeconds was 7, TimeoutSeconds 8"
    _gives_up(lab, runs["chatty"], what)
    if _asked(lab, runs["calls"]):
        raise runs["calls"].not_yet("The vendor called in time, and was asked as well.", "It asks nobody who calls.")


def _gives_up(lab, run, what):
    if run.status == "RUNNING":
        raise run.not_yet(f"{what}. The execution {run.in_words()}.", "It ends by itself.")
    if run.status != "FAILED" or run.outcome.get("error") == "CheckFailed":
        raise run.not_yet(f"{what}. The execution {run.in_words()}.", "FAILED: there is no result.")
    if not _asked(lab, run):
        raise run.not_yet(f"{what}. The execution {run.in_words()}, without asking.", "It asks before it gives up.")


def _asked(lab, run):
    """How often an execution invoked the function `ask`."""
    told = [json.dumps(event, default=str) for event in run.history().events if event["type"].endswith("Scheduled")]
    return sum(lab.name("ask") in each for each in told)
