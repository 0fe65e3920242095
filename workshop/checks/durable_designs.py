"""Exercises 5 and 6 of lab 04: two waits at once, and a state machine that is ported."""

import dataclasses
import json

from workshop.checking.attacks import FINAL
from workshop.checking.executions import DurableRun, Execution, StateMachineRun
from workshop.checking.exercises import Case, Fault, contract
from workshop.checking.explorations import Crashes, Played
from workshop.checking.migrations import ran_before
from workshop.checking.outcomes import shortened
from workshop.checking.resources import Table, durable_function, state_machine
from workshop.checking.stages import play, to_its_end
from workshop.checking.vendors import rehearse, signed_up
from workshop.checks import durable_worlds as worlds
from workshop.checks.durable_answers import Check, Tell
from workshop.checks.durable_exercises import (
    CRASHED,
    GOES_ON,
    Durable,
    Earlier,
    broken,
    imagined,
    needs,
    saved_for,
    the,
    waited,
    wrong_for_hours,
)
from workshop.checks.durable_plays import (
    MANY,
    QUIET,
    STARTS,
    Answer,
    Checking,
    Rehearsed,
    approval,
    both_succeed,
    check_fails,
    each_of,
    failed_or_waits,
    migration_fails,
    paused_twice,
    refused_at_once,
    rehearsed,
    tried_to_start,
    without_events,
)
from workshop.checks.durable_waits import Migrate, Poll
from workshop.migrations import Migration


class Nightly(Durable):
    title = "Two at once"
    function = "nightly"
    hints = (
        "A branch is called with a context of its own, and its wait must use that context: "
        "lambda branch: migrated(branch, arn, seconds).",
        "The batch has failure_count; get_errors() returns what went wrong, each with a message; get_results() "
        "returns what came out, in the order of the branches.",
        "What is done when one has failed must be done in a step, too: stop(arn) can fail, and be tried again, as "
        "often as the step's StepConfig says. Before it, a context.wait of a second ends the invocation, and with it "
        "whatever the other branch was about to do.",
    )
    stretch = True
    common = {"HeartbeatSeconds": 599, "TimeoutSeconds": 600}  # no case waits for them, however busy the machine is
    _words = "Half of it is missing."
    cases = {
        "both": Rehearsed("a night on which all went well", play=both_succeed({"rows": 3})),
        "slowly": Rehearsed(
            "a night on which the report came first",
            {"HeartbeatSeconds": 499, "TimeoutSeconds": 500},
            "takes a second",
            both_succeed({"rows": 0, "missing": {}}),
        ),
        "check fails": Rehearsed(
            "a night on which the audit failed while the migration ran", migration="is slow", play=check_fails(_words)
        ),
        "migration fails": Rehearsed(
            "a night on which the migration failed while the vendor said nothing",
            migration="fails",
            play=migration_fails,
        ),
        "refused at once": Rehearsed(
            "a night on which DMS took four seconds to start the migration, and the vendor refused the order at once",
            migration="is slow",
            play=refused_at_once,
            calls=({"fault": "slow", "operation": STARTS, "seconds": 4},),
            needs_sandbox=True,
            vendor={**QUIET, "answers": each_of(FINAL, MANY)},
        ),
        "starts for long": imagined(worlds.StartsForLong),
        "outlived": imagined(worlds.NightOutlived),
        "crashes": CRASHED,
    }
    _both = ((2, Migrate(), ("succeeds",)), (4, Check(), ("reports",)))
    earlier: Earlier = {
        "both": _both,
        "slowly": _both,
        "check fails": ((4, Check(), ("fails",)),),
        "migration fails": ((2, Migrate(), ("fails",)), (3, Tell(), ("fails",))),
        "refused at once": ((4, Check(), ("refused",)),),
        "outlived": ((2, Migrate(), ("runs on",)),),
        "crashes": ((2, Migrate(), ("crashes",)), (4, Check(), ("crashes",))),
    }
    done = "Both waits begin at once, and when one of them fails, nothing is left running."

    def observe_others(self, lab, draw, cases):
        nightly = durable_function(lab, "nightly")
        for thing, number in (("resume", 3), ("callback", 4)):
            needs(lab, thing, number)
        verirow, table = signed_up(lab), Table(lab, "Id")
        cases = {name: rehearsed(draw, name, case) for name, case in cases.items()}
        tables = rehearse(lab, verirow, {name: case.vendor for name, case in cases.items()})
        tonight = {
            name: dataclasses.replace(case, input={**case.input, "Table": tables[name]}) for name, case in cases.items()
        }

        def begin(input):
            table.delete(input["ReplicationTaskArn"])
            return Checking(nightly, input, verirow)

        return play(lab, tonight, begin, draw, self.common, to_its_end, whose={"function": lab.name("nightly")})

    @contract(
        "The migration and the audit begin at once; neither waits for the other.", cases="check fails, migration fails"
    )
    def begins_both(self, seen: Execution):
        if not seen.facts["began"]:
            which = "the vendor had got no order" if not seen.facts["checks"] else "the migration had not been started"
            return f"{seen}; {which} by the time that the other one was under way."

    @contract(
        'When both succeed, it returns `{"Migration": ..., "Report": ...}`, with what `migrated` and `checked` return.',
        cases="both, slowly",
    )
    def returns_both(self, seen: Execution):
        expected = {
            "Migration": {"ReplicationTaskArn": seen.input["ReplicationTaskArn"]},
            "Report": seen.facts["report"],
        }
        if seen.status != "SUCCEEDED" or seen.output != expected:
            told = f" It returned {shortened(repr(seen.output))}." if seen.status == "SUCCEEDED" else ""
            return f"{seen}.{told}"

    @contract(
        "When one of the two fails, it fails soon, without waiting for the other, and its message contains the "
        "failure's message.",
        cases="check fails, migration fails",
    )
    def fails_soon(self, seen: Execution):
        message = seen.facts.get("message") or seen.migration["LastFailureMessage"]
        if seen.status != "FAILED":
            return f"{seen}."
        if message not in seen.cause:
            return f"{seen}. The message of what failed was: {shortened(message)}"

    @contract(
        "Before it fails, it makes sure that no migration is left running, not even one whose start was still on its "
        "way, or takes minutes.",
        cases="check fails, refused at once, starts for long, outlived",
    )
    def leaves_nothing_running(self, seen: Execution | Played):
        if isinstance(seen, Played):
            return wrong_for_hours(seen)
        if seen.facts["left"] in ("starting", "running"):
            return Fault(f"{seen}, and the migration was left {seen.facts['left']}.", slow=not seen.ended)
        if seen.status != "FAILED":
            return Fault(f"{seen}.", slow=not seen.ended)

    @contract(GOES_ON, cases="crashes")
    def goes_on_after_crashes(self, seen: Crashes):
        return broken(seen)


@dataclasses.dataclass(frozen=True)
class Pair:
    """An execution of the state machine and one of the durable function, with the same input."""

    theirs: Execution
    mine: Execution

    @property
    def evidence(self):
        return self.mine.evidence


WITHDRAWN = ("Withdrawn", "Nobody needs that table any more.")


class Approve(Durable):
    title = "Port a state machine"
    function = "approve"
    hints = (
        "Go through the states: Ask is a wait_for_callback, its Catch an except, Approved? an if. Wait, Poll and "
        "Over? together are what you wrote in exercise 1.",
        "polled(context, arn, pause, pause, ...) asks at the same pace all the time. It wants a bound, too: 2,000 "
        "polls, say, since an execution has 3,000 operations at most.",
        "outcome raises MigrationFailed with DMS's message, as Not moved does; so there is nothing to catch.",
    )
    stretch = True
    common = {"PollSeconds": 1, "TimeoutSeconds": 60}
    cases = {
        "approved": Case(
            "somebody approves of a migration that finishes", play=approval({"Approved": True, "By": "Ana"})
        ),
        "slow": Case(
            "somebody approves of a migration that takes some time",
            {"PollSeconds": 2},
            "takes a second",
            approval({"Approved": True, "By": "Ben"}),
        ),
        # Its pauses are seen on the slowest machine: it does not end.
        "endless": Case(
            "somebody approves of a migration that runs on and on",
            {"PollSeconds": 2},
            "is slow",
            approval({"Approved": True, "By": "Eve"}, enough=paused_twice),
        ),
        "endless each second": Case(
            "somebody approves of a migration that runs and runs",
            migration="is slow",
            play=approval({"Approved": True, "By": "Eve"}, enough=paused_twice),
        ),
        "fails": Case(
            "somebody approves of a migration that fails",
            migration="fails",
            play=approval({"Approved": True, "By": "Ana"}),
        ),
        "sets aside": Case(
            "somebody approves of a migration that sets one of its tables aside",
            migration="sets a table aside",
            play=approval({"Approved": True, "By": "Ana"}),
        ),
        "ran before": Case(
            "somebody approves of a migration that had run before",
            before=ran_before,
            play=approval({"Approved": True, "By": "Dua"}, enough=tried_to_start),
        ),
        "runs already": Case(
            "somebody approves of a migration that somebody else has started",
            migration="is slow",
            before=Migration.start,
            play=approval({"Approved": True, "By": "Ina"}, enough=failed_or_waits),
        ),
        "refused": Case("somebody does not approve", play=approval({"Approved": False, "By": "Cem"})),
        "withdrawn": Case("somebody withdraws the request, as a failure", play=approval(Answer(failure=WITHDRAWN))),
        "silent": Case("nobody answers for two seconds", {"TimeoutSeconds": 2}, play=approval(None)),
        "many polls": imagined(worlds.ApprovedForHours),
        "silent for a day": imagined(worlds.NobodyAnswers),
        "crashes": CRASHED,
    }
    earlier: Earlier = {
        name: ((1, Poll(), (case,)),)
        for name, case in {
            "approved": "finished",
            "slow": "finished",
            "endless": "steady pace",
            "endless each second": "steady pace",
            "fails": "failed",
            "sets aside": "set aside",
            "many polls": "many polls",
            "crashes": "crashes",
        }.items()
    }
    done = f"In {len(cases) - 3} cases the durable function did what the state machine did."

    def observe_others(self, lab, draw, cases):
        approve, machine, table = durable_function(lab, "approve"), state_machine(lab, "inherited"), Table(lab, "Id")
        both = {
            f"{which} {name}": dataclasses.replace(case, input={**case.input, "Id": f"{which}-{lab.name(name)}"})
            for name, case in without_events(cases).items()
            for which in ("theirs", "mine")
        }

        def begin(input):
            table.delete(input["Id"])
            is_mine = input["Id"].startswith("mine")
            run = DurableRun(approve, input) if is_mine else StateMachineRun(machine, input)
            run.table = table
            return run

        seen = play(lab, both, begin, draw, self.common, to_its_end)
        return {name: Pair(seen[f"theirs {name}"], seen[f"mine {name}"]) for name in cases}

    @contract("It saves its callback ID under that `Id`, with `save`.", cases="approved, refused")
    def can_be_found(self, seen: Pair):
        if "CallbackId" not in seen.mine.facts["item"]:
            return f"When {seen.mine.about}, {the(seen.mine)}, and under its Id there is no CallbackId."
        return saved_for(seen.mine.facts["item"], seen.mine.input["TimeoutSeconds"])

    @contract(
        "It asks DMS every `PollSeconds`, for as long as it takes.", cases="endless, endless each second, many polls"
    )
    def asks_at_its_pace(self, seen: Pair | Played):
        if isinstance(seen, Played):
            return wrong_for_hours(seen)
        wrong = [pause for pause in seen.mine.pauses if pause != seen.mine.input["PollSeconds"]]
        if seen.mine.ended:
            return f"When {seen.mine.about}, and it still ran, {the(seen.mine)}."
        if wrong or not seen.mine.pauses:
            pace = f"PollSeconds is {seen.mine.input['PollSeconds']}"
            return f"When {seen.mine.about} and {pace}, it waited {waited(seen.mine)} s."

    @contract(
        "Where the state machine succeeds, it returns the same.",
        cases="approved, slow, refused, silent, silent for a day",
    )
    def returns_the_same(self, seen: Pair | Played):
        if isinstance(seen, Played):
            return wrong_for_hours(seen)
        theirs, mine = seen.theirs, seen.mine
        if mine.status != "SUCCEEDED" or mine.output != theirs.output:
            told = f" with {shortened(json.dumps(mine.output))}" if mine.status == "SUCCEEDED" else ""
            return Fault(
                f"When {mine.about}, the state machine returns {json.dumps(theirs.output)}. The durable function "
                f"{mine.in_words()}{told}.",
                "The result is the same.",
            )

    @contract(
        "It starts the migration where the state machine does, and only there.",
        cases="approved, refused, withdrawn, silent, ran before",
    )
    def starts_the_same(self, seen: Pair):
        theirs, mine = seen.theirs, seen.mine
        if mine.facts["begun"] and not theirs.facts["begun"]:
            return (
                f"When {mine.about}, the migration was started. The state machine did not start it, and "
                f"{theirs.in_words()}."
            )
        if theirs.facts["begun"] and not mine.facts["begun"]:
            return f"When {mine.about}, the migration was not started, and the durable function {mine.in_words()}."

    @contract(
        "Whatever happens, but for a call that is throttled and an answer of another form, it succeeds where the state "
        "machine would have, and fails where that would have.",
        cases="withdrawn, ran before, runs already, fails, sets aside, refused, silent",
    )
    def ends_the_same(self, seen: Pair):
        theirs, mine = seen.theirs, seen.mine
        # Nobody waits until it has tried often enough to start what DMS does not start.
        unstarted = (self.cases[name].about for name in ("ran before", "runs already"))
        still_tries = mine.about in unstarted and not mine.ended and not mine.pauses
        if mine.status != theirs.status and not still_tries:
            return f"When {mine.about}, the state machine {theirs.in_words()}. The durable function {mine.in_words()}."

    @contract(
        "Where the migration fails, it fails as the state machine does, with an exception whose class has the name of "
        "the error, and the cause as its message.",
        cases="fails, sets aside",
    )
    def fails_the_same(self, seen: Pair):
        theirs, mine = seen.theirs, seen.mine
        if (mine.status, mine.error, mine.cause) != ("FAILED", theirs.error, theirs.cause):
            return Fault(
                f"When {mine.about}, the state machine {theirs.in_words()}. The durable function {mine.in_words()}.",
                "The error and the cause are the same.",
            )

    @contract(GOES_ON, cases="crashes")
    def goes_on_after_crashes(self, seen: Crashes):
        return broken(seen)
