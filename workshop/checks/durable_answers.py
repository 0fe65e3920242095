"""Exercises 3 and 4 of lab 04: the other end of a callback, and a vendor that calls a URL."""

import contextlib
import dataclasses
import datetime
import json

from workshop import faults
from workshop.checking.attacks import FINAL, WORTH_ANOTHER_TRY, in_words, is_final, is_success
from workshop.checking.executions import Execution
from workshop.checking.exercises import Case, Exercise, Fault, contract, one_of
from workshop.checking.explorations import Crashes, Played
from workshop.checking.guessing import computed, pieces, random_bits
from workshop.checking.outcomes import shortened
from workshop.checking.resources import Table, durable_function, function
from workshop.checking.stages import play, to_its_end
from workshop.checking.vendors import rehearse, signed_up
from workshop.checking.waiting import side_by_side
from workshop.checks import durable_worlds as worlds
from workshop.checks.durable_exercises import (
    CRASHED,
    GOES_ON,
    Durable,
    Earlier,
    blame_earlier,
    broken,
    imagined,
    json_in,
    needs,
    not_failed,
    the,
    was_over,
    wrong_for_hours,
)
from workshop.checks.durable_plays import (
    HEARTBEAT,
    MANY,
    QUIET,
    Checking,
    Rehearsed,
    Teller,
    Telling,
    Told,
    deleted,
    each_of,
    expired,
    failed,
    keeps_awake,
    kept_awake,
    left_in_silence,
    overtaken,
    refused,
    rehearsed,
    reported,
    reported_after,
    reported_failed,
    stopped,
    succeeded,
    tells,
    tells_a_made_up_id,
    tells_and_is_refused,
    tells_nobody,
)
from workshop.checks.durable_waits import Migrate

FEWEST_BITS = 100
WELCOME = "The vendor is told that it has arrived: 2xx."
NOTHING = "Nobody is left to be told, so nothing happens."


class Tell(Exercise):
    title = "Tell it"
    hints = (
        "suppress takes several exceptions. Which two of the table say that there is nobody to tell any more?",
        "success may be false, 0 or an empty dict and is still a result: compare with None.",
        'Error={"ErrorType": ..., "ErrorMessage": ...}; Result=json.dumps(success).',
    )
    common = {}
    by_default = staticmethod(to_its_end)
    CAME = {"early": "early", "delay": "late", "duplicate": "twice"}  # {kind of fault: how it is told}
    _told = {
        "data": Case("data", {"success": {"rows": 3, "missing": {"city": 1}, "first": "São Paulo"}}, play=tells),
        "small data": Case("data that is easily taken for none", {"success": one_of({}, [], 0, "")}, play=tells),
        "false": Case("data that is false", {"success": False}, play=tells),
        # Sent as it is, the one is no JSON, and the other another thing.
        "text": Case("text", {"success": one_of("done", "42")}, play=tells),
        "failure": Case(
            "a failure", {"failure": ["MigrationFailed", "Last Error Table airports, line 49."]}, play=tells
        ),
        "odd failure": Case(
            "an odd failure", {"failure": ["Cancelled", "Ana said “no”.\n" + 40 * "Nobody asked her. "]}, play=tells
        ),
        "bare failure": Case("a failure without a message", {"failure": ["CheckFailed", ""]}, play=tells),
        "awake": Case("signs of life", play=keeps_awake),
        "succeeded": Case("a callback that had been answered with success", play=tells_nobody(succeeded)),
        "failed": Case("a callback that had been answered with failure", play=tells_nobody(failed)),
        "expired": Case("a callback that had timed out", play=tells_nobody(expired, timeout=1)),
        "stopped": Case("an execution that had been stopped", play=tells_nobody(stopped)),
        "deleted": Case("an execution that had been deleted", play=tells_nobody(deleted)),
        "made up": Case("an ID that never was one", {"CallbackId": "bm90IGEgY2FsbGJhY2s="}, play=tells_a_made_up_id),
        "not even that": Case("a text that is no ID", {"CallbackId": "nobody"}, play=tells_a_made_up_id),
        "denied": Case(
            "a callback that it had no permission to answer (AccessDeniedException)",
            {"Code": "AccessDeniedException"},
            play=tells_and_is_refused,
            needs_sandbox=True,
        ),
        "too many": Case(
            "a callback when Lambda was told too much at once (TooManyRequestsException)",
            {"Code": "TooManyRequestsException"},
            play=tells_and_is_refused,
            needs_sandbox=True,
        ),
        "no such ID": Case(
            "an ID that Lambda did not take for one (InvalidParameterValueException)",
            {"Code": "InvalidParameterValueException"},
            play=tells_and_is_refused,
            needs_sandbox=True,
        ),
        "out of order": Case(
            "a callback when Lambda was out of order (ServiceException)",
            {"Code": "ServiceException"},
            play=tells_and_is_refused,
            needs_sandbox=True,
        ),
    }
    _heard = {
        "in time": Case("a migration that finished", {"TimeoutSeconds": 60}, "takes a second"),
        "fails": Case("a migration that failed", {"TimeoutSeconds": 55}, "fails"),
        "set aside": Case(
            "a migration that finished without one of its tables", {"TimeoutSeconds": 60}, "sets a table aside"
        ),
        "twice": Case(
            "a migration whose event came twice",
            {"TimeoutSeconds": 60},
            faults=({"kind": "duplicate"},),
            needs_sandbox=True,
        ),
        "early": Case(
            "a migration whose event came before the start call returned",
            {"TimeoutSeconds": 60},
            faults=({"kind": "early"},),
            needs_sandbox=True,
        ),
        "late": Case(
            "a migration whose event came a second late",
            {"TimeoutSeconds": 60},
            faults=({"kind": "delay", "seconds": 1},),
            needs_sandbox=True,
        ),
        # Two questions are those of the function that waits, before the run begins.
        "stale": Case(
            "a migration that DMS still called `running` as its end was announced",
            {"TimeoutSeconds": 60},
            faults=({"kind": "stale", "count": 3},),
            needs_sandbox=True,
        ),
        "very stale": Case(
            "a migration that DMS called `running` for seconds after its end was announced",
            {"TimeoutSeconds": 60},
            faults=({"kind": "stale", "count": 5},),
            needs_sandbox=True,
        ),
        "pair": Case(
            "a migration whose event came early, late or twice, and that DMS still called `running` then",
            {"TimeoutSeconds": 60},
            faults=({"kind": one_of(*CAME)}, {"kind": "stale", "count": 3}),
            needs_sandbox=True,
        ),
        "another pair": Case(
            "a migration whose event came before the start call returned, and again later",
            {"TimeoutSeconds": 60},
            faults=({"kind": "early"}, {"kind": "duplicate", "seconds": one_of(0, 1)}),
            needs_sandbox=True,
        ),
    }
    cases = _told | _heard
    pairs = ("pair", "another pair")
    earlier: Earlier = dict.fromkeys(_heard, ((2, Migrate(), ("watched", "succeeds", "fails")),))
    done = "Every answer arrived, once, and what came late, again or for nobody did no harm."

    def observe(self, lab, draw, cases):
        say = function(lab, "say")
        needs(lab, "migrate", 2)
        migrate, table = durable_function(lab, "migrate"), Table(lab, "Id")
        function(lab, "resume")
        teller = Teller(lab, say)

        def tell(name, case):
            return name, case.play(teller, case.about, draw.values(name, case.input))

        said = [lambda name=name, case=case: tell(name, case) for name, case in cases.items() if name in self._told]
        heard = {name: case for name, case in cases.items() if name in self._heard}
        if "pair" in heard:
            pair = draw.case("pair", heard["pair"])
            about = pair.about.replace("early, late or twice", self.CAME[pair.faults[0]["kind"]])
            heard["pair"] = dataclasses.replace(pair, about=about)

        def begin(input):
            return Told(migrate, input, table)

        seen, *others = side_by_side(lambda: play(lab, heard, begin, draw, self.common, self.by_default), *said)
        blame_earlier(self, lab, draw, {**seen, **dict(others)})
        return {**seen, **dict(others)}

    @contract(
        "With `success`, data that can be JSON, it answers success with that.", cases="data, small data, false, text"
    )
    def answers_success(self, seen: Telling):
        [(call, raised)] = seen.raised.items()
        if raised:
            return f"Somebody waited, and {call} raised {raised}."
        if seen.execution.status != "SUCCEEDED":
            return f"After {call} {the(seen.execution)}."
        if json_in(seen.execution.output) != [seen.told["success"]]:
            sent = shortened(seen.execution.output or "") or "nothing"
            return Fault(
                f"{call} sent {sent}.", f"It answers success, with JSON text: {json.dumps(seen.told['success'])}"
            )

    @contract(
        "With `failure`, a pair `(type, message)`, it answers failure.", cases="failure, odd failure, bare failure"
    )
    def answers_failure(self, seen: Telling):
        [(call, raised)] = seen.raised.items()
        if raised:
            return f"Somebody waited, and {call} raised {raised}."
        if seen.execution.status != "FAILED":
            return f"After {call} {the(seen.execution)}."
        if [seen.error.get("ErrorType"), seen.error.get("ErrorMessage")] != seen.told["failure"]:
            return Fault(
                f"{call} sent {json.dumps(seen.error, ensure_ascii=False)}.",
                "The failure has the ErrorType and the ErrorMessage.",
            )

    @contract("With neither, it sends a sign of life.", cases="awake")
    def keeps_awake(self, seen: Telling):
        [raised] = seen.raised.values()
        if raised:
            return f"For a sign of life tell raised {raised}."
        if seen.execution.ended:
            return Fault(
                f"A sign of life came every second, its heartbeat_timeout was {HEARTBEAT}, and {the(seen.execution)}.",
                "tell(callback_id), with neither success nor failure, is a heartbeat and no more.",
            )

    @contract(
        "A call that comes late, a second time, or for an execution that is gone does nothing, and raises nothing.",
        cases="succeeded, failed, expired, stopped, deleted",
    )
    def lets_be(self, seen: Telling):
        for way, raised in seen.raised.items():
            if raised:
                return Fault(f"For {seen.about}, {way} was to be sent, and tell raised {raised}.", NOTHING)

    @contract(
        "Everything else is a fault, and is raised: an ID that never was one, a missing permission.",
        cases="made up, not even that, no such ID, denied, too many, out of order",
    )
    def raises_the_rest(self, seen: Telling):
        for way, raised in seen.raised.items():
            if not raised:
                return f"For {seen.about}, {way} was to be sent, and tell ended without an error."

    @contract(
        "Whoever waits hears how the migration ended, also when its event comes early, late or twice, or while DMS "
        "still says `running`.",
        cases="in time, fails, set aside, twice, early, late, stale, very stale, pair, another pair",
    )
    def is_heard(self, seen: Execution):
        if seen.migration["Status"] == "failed" or seen.migration["ReplicationTaskStats"]["TablesErrored"]:
            return not_failed(seen)
        if not seen.ended and "DMS" in seen.about:
            return Fault(
                f"{seen}: its event was spent.",
                "resume looks again, and then raises, so that Lambda asks again. (Is your lab older than that? Then "
                "take waiting.py, answer.py and resume.py from labs/04-durable-functions.ipynb.)",
            )
        if seen.status != "SUCCEEDED" or seen.output != {"ReplicationTaskArn": seen.input["ReplicationTaskArn"]}:
            return Fault(f"{seen}.", "It succeeds, with what resume tells.")


class Check(Durable):
    title = "A vendor that calls a URL"
    function = "check"
    hints = (
        "The address is random, so it must be made in a step: otherwise it is another one whenever the handler "
        "runs again, and the vendor gets a second order with another key.",
        "The submitter does two things: save(address, callback_id, seconds), then order(table, address). When the "
        "order returns the audit's ID, save once more, with CheckId.",
        "retry_strategy=while_unavailable and serdes=JsonSerDes() go into the config, beside **limits.",
        "After CallbackTimeoutError, a step asks for the audit whose ID stands in find(address), and report_in reads "
        "the answer.",
    )
    common = {"HeartbeatSeconds": 59, "TimeoutSeconds": 60}
    _rows = [{"iata": "ABC", "city": "Guam"}, {"iata": "DEF"}]
    _words = "Half of it is missing."
    _report = {"rows": 2, "missing": {"city": 1}, "out_of_range": 0}
    cases = {
        "killed": Rehearsed(
            "an audit whose function was killed after the order, before it had noted the audit's ID",
            play=reported_after(lambda run: len(run.orders()) > 1 or run.has_submitted()),
            calls=({"fault": "kill", "operation": "dynamodb:PutItem", "nth": 2},),
            needs_sandbox=True,
        ),
        "overloaded": Rehearsed(
            "an audit whose second order was taken, the answer lost (502), after a first that was refused",
            play=reported_after(lambda run: len(run.orders()) > 2),
            vendor={**QUIET, "answers": each_of(WORTH_ANOTHER_TRY[::2], then=["lost"])},
        ),
        "unavailable": Rehearsed(
            "an audit whose first order was refused for now",
            play=reported_after(lambda run: len(run.orders()) > 1),
            vendor={**QUIET, "answers": each_of(WORTH_ANOTHER_TRY[1::2])},
        ),
        "refused": Rehearsed(
            "an audit that the vendor refused",
            play=refused,
            vendor={**QUIET, "answers": each_of(FINAL[::2], MANY)},
        ),
        "refused otherwise": Rehearsed(
            "another audit that the vendor refused",
            play=refused,
            vendor={**QUIET, "answers": each_of(FINAL[1::2], MANY)},
        ),
        # Its callback comes before the answer to the order.
        "quick": Rehearsed(
            "an audit whose report came before the order was answered",
            play=overtaken,
            vendor={"seconds": 0, "answers": ["overtaken"], "rows": _rows},
        ),
        "reports": Rehearsed("an audit with a report", play=reported({"rows": 3, "missing": {"city": 1}})),
        "reports little": Rehearsed("an audit with a small report", play=reported({"rows": 0})),
        "fails": Rehearsed("an audit that failed", play=reported_failed(_words)),
        "fails otherwise": Rehearsed("an audit that failed oddly", play=reported_failed('There is no "iata".')),
        "awake": Rehearsed("an audit whose vendor works on and on", {"HeartbeatSeconds": HEARTBEAT}),
        "done": Rehearsed(
            "an audit of which the vendor, though it was done, told nothing",
            {"HeartbeatSeconds": 5},
            play=left_in_silence,
            vendor={"silent": True, "seconds": 0, "rows": _rows},
        ),
        "failed": Rehearsed(
            "an audit of which the vendor, though it had failed, told nothing",
            {"HeartbeatSeconds": 6},
            play=left_in_silence,
            vendor={"silent": True, "seconds": 0, "fails": _words},
        ),
        "kept": imagined(worlds.Kept),
        "silent for hours": imagined(worlds.SilentForHours),
        "works on": imagined(worlds.WorksOn),
        "done at last": imagined(worlds.DoneAtLast),
        "endless": Rehearsed("an audit without a sign of life", {"HeartbeatSeconds": 5}, play=left_in_silence),
        "bounded": Rehearsed("an audit without an end", {"TimeoutSeconds": 6}, play=left_in_silence),
        "crashes": CRASHED,
    }
    _by_callback = (
        "killed",
        "overloaded",
        "unavailable",
        "quick",
        "reports",
        "reports little",
        "fails",
        "fails otherwise",
    )
    earlier: Earlier = {
        **dict.fromkeys(_by_callback, ((3, Tell(), ("data", "failure", "succeeded")),)),
        "awake": ((3, Tell(), ("awake",)),),
    }
    done = "It orders once, hears the vendor, takes progress for a sign of life, and asks before it gives up."

    def observe_others(self, lab, draw, cases):
        check = durable_function(lab, "check")
        needs(lab, "say", 3)
        function(lab, "callback")
        verirow = signed_up(lab)
        Table(lab, "Id").find("nobody")
        cases = {name: rehearsed(draw, name, case) for name, case in cases.items()}
        tables = rehearse(lab, verirow, {name: case.vendor for name, case in cases.items()})

        def begin(name):
            limits = {**self.common, **draw.values(name, cases[name].input)}
            return Checking(check, {"Table": tables[name], **limits}, verirow)

        def played(name):
            case = cases[name]
            wrong = [{"function": lab.name("check"), **each} for each in case.calls]
            with faults.during(*wrong) if wrong else contextlib.nullcontext():
                run = begin(name)
                try:
                    case.play(run)
                    return run.seen(case.about)
                finally:
                    run.stop()

        def awake(name):
            def beat(run):
                run.send(lambda run: run.messages.progress(run))
                bad = [answer for answer in run.facts["answers"] if not is_success(answer)]
                return f"A progress callback {in_words(bad[0])}." if bad else None

            def begin_one():
                tables.update(rehearse(lab, verirow, {name: cases[name].vendor}))  # without the order of one before
                run = begin(name)
                return run, run if run.url else None  # the vendor has taken the order, or never will

            run, _, status = kept_awake(begin_one, beat)
            try:
                return dataclasses.replace(run.seen(cases[name].about), status=status)
            finally:
                run.stop()

        # Alone: any process of the function would be killed. Then there is one to serve the others, too.
        seen = {"killed": played("killed")} if "killed" in cases else {}
        others = [name for name in cases if name not in seen]
        plays = [lambda name=name: (awake if name == "awake" else played)(name) for name in others]
        seen |= dict(zip(others, side_by_side(*plays), strict=True))
        addresses = [url.rpartition("/")[2] for each in seen.values() for url in each.facts["urls"][:1]]
        return {
            name: dataclasses.replace(each, facts={**each.facts, "addresses": addresses}) for name, each in seen.items()
        }

    @contract(
        "It orders one audit, however often the submitter runs, with one **address** for each execution.",
        cases="reports, killed, overloaded, unavailable, crashes",
    )
    def orders_once(self, seen: Execution | Crashes):
        if isinstance(seen, Crashes):
            return broken(seen, inside=True)
        urls, checks = set(seen.facts["urls"]), seen.facts["checks"]
        if not checks:
            return Fault(f"{seen}; the vendor got no order that it could take.", "The submitter orders an audit.")
        if len(urls) > 1 or len(checks) > 1:
            return Fault(
                f"{seen}; the vendor got {len(urls)} addresses, and makes {len(checks)} audits for one execution.",
                "Each execution has one address, however often the handler runs.",
            )

    @contract(
        "The address is random: nobody can compute it from what is known, such as the execution's ARN or the table's "
        "name.",
        cases="reports, reports little, fails, crashes",
    )
    def gives_an_address(self, seen: Execution | Crashes):
        if isinstance(seen, Crashes):
            if not seen.guessed:
                return None
            return Fault(
                "It was played twice with the same execution ARN and callback ID, and both times the address was "
                f"{seen.guessed[:80]}.",
                "The address is random.",
            )
        if not seen.facts["urls"]:  # such as where another execution waits under its address
            return Fault(f"{seen}; the vendor got no order.", "Each execution has an address of its own.")
        address = seen.facts["urls"][0].rpartition("/")[2]
        known = {"the callback ID": seen.facts["mine"][0], "the execution's ARN": seen.facts["arn"]}
        known |= {"its name": seen.facts["arn"].split("/")[-2], "the table's ARN": seen.input["Table"]}
        known["the table's name"] = seen.input["Table"].rpartition("/")[2]
        for what, text in known.items():
            if text in address or any(made in address for made in computed(text)):
                return Fault(f"The address {address[:80]} can be computed from {what}.", "The address is random.")
        bits = random_bits(seen.facts["addresses"])
        if len(seen.facts["addresses"]) > 1 and bits < FEWEST_BITS:  # one alone says nothing
            shown = ", ".join(sorted(seen.facts["addresses"])[:3])
            return Fault(
                f"Addresses of {len(seen.facts['addresses'])} executions: {shown[:150]}, ... That is {bits:.0f} random "
                "bits at most.",
                f"It has at least {FEWEST_BITS} random bits, and is another one for each execution.",
            )

    @contract(
        "The callback ID is as much a key to your workflow as a task token is, and stays at home.",
        cases="reports, fails, overloaded",
    )
    def keeps_its_secret(self, seen: Execution):
        found = pieces(seen.facts["mine"][0])
        if any(piece in order for piece in found for order in seen.facts["orders"]):
            return "The vendor's log has your callback ID: it was in the order."

    @contract("It saves first, with `save(address, callback_id, seconds)`, and then orders.", cases="quick, kept")
    def saves_first(self, seen: Execution | Played):
        if isinstance(seen, Played):
            return wrong_for_hours(seen)
        wrong = [answer for answer in seen.facts["answers"] if is_final(answer)]
        if wrong:
            return Fault(
                f"The vendor called back before it had answered the order. It was answered with {wrong[0]}.",
                "The address leads to the callback ID before the order is on its way.",
            )
        if seen.status != "SUCCEEDED":
            return Fault(f"{seen}.", slow="does not answer" in seen.cause)  # in the two seconds that `order` waits

    @contract(
        "The order is tried again after `VendorUnavailable`, and not after `VendorRefused`.",
        cases="overloaded, unavailable, killed, refused, refused otherwise",
    )
    def tries_again_what_is_worth_it(self, seen: Execution):
        refused = [error for error, again in seen.facts["failures"] if again and error == "VendorRefused"]
        if refused or (not seen.facts["checks"] and len(seen.facts["orders"]) > 1):
            return Fault(
                f"{seen}; it was ordered again.", "VendorRefused is not tried again: the vendor would refuse it again."
            )
        if not seen.facts["checks"]:
            return None if seen.status == "FAILED" else Fault(f"{seen}.", "It fails.")
        if seen.status != "SUCCEEDED":
            return Fault(f"{seen}, though a report came after all that.", "VendorUnavailable is tried again.")

    @contract("Answered with success, it returns the report.", cases="reports, reports little")
    def returns_the_report(self, seen: Execution):
        first, *again = seen.facts["answers"] or [None]
        if not is_success(first):
            return Fault(f"A report that came to the callback URL {in_words(first)}.", WELCOME)
        if seen.status != "SUCCEEDED" or seen.output != seen.facts["report"]:
            told = f" It returned {shortened(repr(seen.output))}." if seen.status == "SUCCEEDED" else ""
            return Fault(f"{seen}.{told}", "It succeeds, and returns the report as data.")
        if not all(map(is_success, again)):
            return Fault(f"A report that came a second time {in_words(again[0])}.", WELCOME)

    @contract(
        "Answered with failure, it raises `CheckFailed` with the vendor's message.", cases="fails, fails otherwise"
    )
    def raises_the_failure(self, seen: Execution):
        if not is_success((seen.facts["answers"] or [None])[0]):
            return Fault(f"A failure that came to the callback URL {in_words(seen.facts['answers'][0])}.", WELCOME)
        if seen.status != "FAILED" or seen.error != "CheckFailed" or seen.facts["message"] not in seen.cause:
            return f'The vendor said: "{seen.facts["message"]}" {seen}.'

    @contract("Progress is a sign of life, and no more than that.", cases="awake")
    def is_kept_awake(self, seen: Execution):
        wrong = [answer for answer in seen.facts["answers"] if not is_success(answer)]
        if wrong:
            return Fault(f"A progress callback {in_words(wrong[0])}.", WELCOME)
        if seen.ended:
            return f"Progress came every second, `silence` was {HEARTBEAT}, and {the(seen)}."

    @contract(
        "When it has heard nothing for `silence` seconds, or has no report after `seconds` in all, it asks the vendor "
        "once, and returns or raises what `report_in` does.",
        cases="done, failed, endless, bounded, silent for hours, works on, done at last",
    )
    def asks_in_the_end(self, seen: Execution | Played):
        if isinstance(seen, Played):
            return wrong_for_hours(seen)
        limits = f"`silence` was {seen.input['HeartbeatSeconds']}, `seconds` {seen.input['TimeoutSeconds']}"
        if not seen.ended:
            return Fault(f"{seen}; {limits}.", "It does not wait for ever.")
        check = (seen.facts["checks"] or [{"status": "unknown"}])[0]
        done = check.get("ended") and datetime.datetime.fromisoformat(check["ended"])
        busy = seen.error == "VendorSilent" and not was_over(seen, done)
        if check["status"] == "completed" and (seen.status != "SUCCEEDED" or seen.output != self._report):
            return Fault(f"{seen}; {limits}.", "It asks, and returns the report.", slow=busy)
        if check["status"] == "failed" and (seen.error != "CheckFailed" or self._words not in seen.cause):
            return Fault(f"{seen}; {limits}.", "It asks, and fails with CheckFailed, as the vendor says.", slow=busy)
        if check["status"] not in ("completed", "failed") and seen.error != "VendorSilent":
            return Fault(f"{seen}; {limits}.", "It asks, and fails with VendorSilent. Silent is not failed.")

    @contract(GOES_ON, cases="crashes")
    def goes_on_after_crashes(self, seen: Crashes):
        return broken(seen)
