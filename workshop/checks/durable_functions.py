"""Lab 04: the two designs as Lambda durable functions."""

import contextlib
import dataclasses
import datetime
import itertools
import json
from dataclasses import replace
from secrets import token_hex

from workshop import faults
from workshop.checking.attacks import in_words, is_final, is_success
from workshop.checking.executions import DurableRun, Execution, StateMachineRun, details_of
from workshop.checking.exercises import SEEDS, Case, Exercise, Fault, contract, one_of
from workshop.checking.explorations import Crashes, explored
from workshop.checking.guessing import computed, pieces, random_bits
from workshop.checking.outcomes import NotAttempted, listed, shortened
from workshop.checking.resources import Table, durable_function, function, state_machine
from workshop.checking.stages import play, stopped_by_hand, to_its_end
from workshop.checking.vendors import rehearse, signed_up
from workshop.checking.waiting import side_by_side
from workshop.checks.durable_plays import (
    ASKS,
    HEARTBEAT,
    MANY,
    QUIET,
    STARTS,
    Checking,
    Rehearsed,
    Teller,
    Telling,
    Told,
    answered,
    approval,
    both_succeed,
    check_fails,
    deleted,
    expired,
    failed,
    keeps_awake,
    kept_awake,
    left_in_silence,
    left_over,
    migration_fails,
    overtaken,
    paused_twice,
    ran_before,
    refused,
    refused_at_once,
    reported,
    reported_after,
    reported_failed,
    somebody_elses,
    stopped,
    succeeded,
    tells,
    tells_a_made_up_id,
    tells_and_is_refused,
    tells_nobody,
    tried_to_start,
    until_over,
    until_waited,
    watched,
    with_a_rival,
    without_events,
)
from workshop.migrations import Migration

CRASHED = Case("a process that crashed wherever it could")
GOES_ON = "Wherever between two steps its process crashes, a new one goes on, and the end is the same."


class Durable(Exercise):
    """An exercise whose function is explored, too: its case "crashes", whose record is a Crashes.

    function: which one, of EXPLORED in durable_worlds.py.
    """

    function: str
    pairs = ("crashes",)

    def observe(self, lab, draw, cases):
        others = {name: case for name, case in cases.items() if case is not CRASHED}
        calls = [lambda: self.observe_others(lab, draw, others) if others else {}]
        if len(others) < len(cases):
            seed = draw.random("crashes").randrange(SEEDS)
            calls.append(lambda: {"crashes": explored(lab, self.function, seed)})
        return {name: record for seen in side_by_side(*calls) for name, record in seen.items()}

    def observe_others(self, lab, draw, cases):
        """As `observe`, for all other cases."""
        raise NotImplementedError


NOBODY = [f"arn:aws:dms:us-east-1:111122223333:task:{name}" for name in ("ITWASNEVERTHEREANDWILLNOTBE", "nobody-x1")]


def _of_nobody(lab, case):
    """The case, with an ARN that nobody else asks about where it is one of nobody's."""
    arn = case.input.get("ReplicationTaskArn")
    return replace(case, input={**case.input, "ReplicationTaskArn": f"{arn}-{lab.name(token_hex(4))}"}) if arn else case


class Poll(Durable):
    title = "Ask until it is over"
    function = "poll"
    hints = (
        "The check function gets the state of before as its first argument. Where it learns nothing new, that is "
        "what it can return.",
        "Catch Throttled around describe, and nothing else. The initial state is what a first question that was "
        "refused returns, so under_way must be able to read it: a dict with a Status.",
        "The strategy takes the delays that are there. Its bound is max_attempts, and its default jitter is FULL: "
        "JitterStrategy.NONE switches it off.",
    )
    common = {"PollSeconds": 1, "MaxPollSeconds": 2, "MaxPolls": 50}
    by_default = staticmethod(to_its_end)

    cases = {
        "under way": Case("a migration that still ran", {"MaxPollSeconds": 3}, "is slow", until_waited(3)),
        "another pace": Case(
            "a migration that ran on", {"PollSeconds": 2, "MaxPollSeconds": one_of(3, 4)}, "is slow", until_waited(2)
        ),
        "patient": Case(
            "a migration about which nobody is in a hurry",
            {"PollSeconds": one_of(47, 53, 59), "MaxPollSeconds": 600},
            "is slow",
            until_waited(1),
        ),
        "steady pace": Case("a migration that ran and ran", {"MaxPollSeconds": 1}, "is slow", until_waited(3)),
        "not begun": Case(
            "a migration of which DMS said `ready` at first, as it may just after a start",
            migration="is slow",
            play=until_waited(2),
            faults=({"kind": "stale"},),
            needs_sandbox=True,
        ),
        "throttled at first": Case(
            "a migration about which DMS refused the first two questions (ThrottlingException)",
            calls=[{"fault": "refuse", "operation": ASKS, "count": 2}],
            needs_sandbox=True,
        ),
        "throttled later": Case(
            "a migration about which DMS refused the second question (ThrottlingException)",
            migration="is slow",
            play=until_waited(3),
            calls=[{"fault": "refuse", "operation": ASKS, "nth": 2}],
            needs_sandbox=True,
        ),
        "never was": Case(
            "a replication task that does not exist",
            {"ReplicationTaskArn": NOBODY[0], "MaxPolls": 3},
            play=until_over,
        ),
        "nobody": Case(
            "another replication task that does not exist",
            {"ReplicationTaskArn": NOBODY[1], "MaxPolls": 3},
            play=until_over,
        ),
        "denied": Case(
            "a migration about which DMS refused the second question (AccessDeniedException)",
            {"MaxPolls": 4},
            "is slow",
            until_over,
            calls=[{"fault": "refuse", "operation": ASKS, "nth": 2, "count": 9, "code": "AccessDeniedException"}],
            needs_sandbox=True,
        ),
        "finished": Case("a migration that finished", {"PollSeconds": one_of(1, 2)}, "takes a second"),
        "failed": Case("a migration that failed", migration="fails"),
        "no file": Case("a migration that had no file to read", migration="has no file"),
        "set aside": Case("a migration that finished without one of its tables", migration="sets a table aside"),
        "stopped": Case("a migration that somebody stopped", migration="is slow", play=stopped_by_hand),
        "one poll": Case("a migration that outlived MaxPolls 1", {"MaxPolls": 1}, "is slow", until_over),
        "two polls": Case(
            "a migration that outlived MaxPolls 2",
            {"PollSeconds": 2, "MaxPollSeconds": 5, "MaxPolls": 2},
            "is slow",
            until_over,
        ),
        "four polls": Case(
            "a migration that outlived MaxPolls 4", {"MaxPolls": 4, "MaxPollSeconds": 1}, "is slow", until_over
        ),
        "crashes": CRASHED,
    }
    done = "It asks less and less often, lives with being throttled, gives up in time, and knows how it ended."

    def observe_others(self, lab, draw, cases):
        poll = durable_function(lab, "poll")
        return play(
            lab,
            {name: _of_nobody(lab, case) for name, case in cases.items()},
            lambda input: DurableRun(poll, input),
            draw,
            self.common,
            self.by_default,
            started=True,
            whose={"function": lab.name("poll")},
        )

    @contract(
        "It goes on for as long as the migration is under way.", cases="under way, another pace, steady pace, not begun"
    )
    def goes_on(self, seen: Execution):
        if seen.ended:
            return f"While the migration still ran, the execution {seen.in_words()}."
        if not seen.pauses:
            return Fault(f"{seen}, and it had not waited to ask again.", "It asks, waits, and asks again.")

    @contract(
        "It asks at once, and a second time after `first` seconds.", cases="one poll, under way, two polls, patient"
    )
    def begins(self, seen: Execution):
        first = seen.input["PollSeconds"]
        if began_with_a_wait(seen):
            return f"Before it asked at all, it waited {seen.pauses[0]} s."
        if seen.input["MaxPolls"] > 1 and seen.ended and not seen.pauses:
            return Fault(
                f"With MaxPolls {seen.input['MaxPolls']} and a migration that ran for longer, it did not wait to ask a "
                f"second time, and {_the(seen)}.",
                "It asks a second time after PollSeconds.",
            )
        if seen.input["MaxPolls"] > 1 and seen.pauses[:1] != [first]:
            return Fault(f"{_paces(seen)} it waited {_listed(seen)} s.", "The first wait is PollSeconds.")

    @contract(
        "Then it waits longer from poll to poll, without jitter, and never longer than `longest`.",
        cases="under way, another pace, steady pace",
    )
    def waits(self, seen: Execution):
        first, most = seen.input["PollSeconds"], seen.input["MaxPollSeconds"]
        observed = f"{_paces(seen)} it waited {_listed(seen)} s between its polls."
        if seen.pauses[0] != first:
            return Fault(observed, "The first wait is PollSeconds.")
        if max(seen.pauses) > most:
            return Fault(observed, "No wait is longer than MaxPollSeconds.")
        if len(seen.pauses) < 2 or any(
            later <= earlier and later < most for earlier, later in itertools.pairwise(seen.pauses)
        ):
            return Fault(observed, "The waits grow up to MaxPollSeconds, without jitter.")

    @contract("When DMS is asked too often, it goes on.", cases="throttled at first, throttled later")
    def lives_with_throttling(self, seen: Execution):
        if seen.status not in ("RUNNING", "SUCCEEDED"):
            return Fault(f"{seen}.", "It asks again later.")

    @contract("Any other error ends it, at once.", cases="never was, nobody, denied")
    def ends_with_other_errors(self, seen: Execution):
        answered = 1 if seen.input["ReplicationTaskArn"].startswith(tuple(NOBODY)) else 2
        if not seen.ended or len(seen.polls) > answered:
            again = f"asked {len(seen.polls)} times in all" if seen.polls else f"waited {_listed(seen)} s"
            return f"{seen}; it {again}."
        if seen.status != "FAILED":
            return f"{seen}."

    @contract("When the migration has ended, it returns what `outcome` returns.", cases="finished, throttled at first")
    def returns_the_outcome(self, seen: Execution):
        if seen.status != "SUCCEEDED":
            return f"{seen}."
        if seen.output != {"ReplicationTaskArn": seen.input["ReplicationTaskArn"]}:
            return f"It returned {shortened(repr(seen.output))}."

    @contract("Or it fails with what `outcome` raises.", cases="failed, no file, set aside, stopped")
    def raises_the_outcome(self, seen: Execution):
        return not_failed(seen)

    @contract(
        "When it has asked `most` times and the migration still runs, it fails, and does not say that the migration "
        "has failed.",
        cases="one poll, two polls, four polls",
    )
    def gives_up(self, seen: Execution):
        most, asked = seen.input["MaxPolls"], len(seen.polls)
        if not seen.ended:
            *_, next_wait = seen.pauses or [0]
            return f"With MaxPolls {most} it asked {_times(most)}, and decided to wait for another {next_wait} s."
        if asked and asked != most:
            return f"With MaxPolls {most} it asked {_times(asked)}, and {seen.in_words()}."
        if seen.status != "FAILED" or seen.error == "MigrationFailed":
            return f"With MaxPolls {most} and a migration that ran for longer, the execution {seen.in_words()}."

    @contract(GOES_ON, cases="crashes")
    def goes_on_after_crashes(self, seen: Crashes):
        return broken(seen)


class Migrate(Durable):
    title = "Wait to be told"
    function = "migrate"
    at_once = 9
    hints = (
        "Three operations, in this order: a step that looks when the last run began; the wait, whose submitter "
        "saves and then starts; and only where nobody answered, a step that looks again.",
        "Inside the submitter, ask DMS before you start: begun(describe(arn), before). An attempt before this one "
        "may have started it. start(arn, again=...) has to know whether it had run before.",
        "WaitForCallbackConfig takes timeout (a Duration) and serdes (JsonSerDes()). Without the serdes the result "
        "is text.",
        "Around wait_for_callback, one except for each: CallbackExternalError becomes MigrationFailed(str(error)), "
        "CallbackTimeoutError returns outcome(arn, ...) of what a new step has seen.",
    )
    common = {"TimeoutSeconds": 60}
    by_default = staticmethod(answered(success={}))
    LEFT_OVER = "left over"  # its item is put there before it begins
    _hold = ({"fault": "hold", "operation": STARTS, "seconds": 30},)
    _lose = ({"fault": "lost", "operation": STARTS, "tries": "all"},)
    cases = {
        "watched": Case("a migration whose start was held at a gate", play=watched, calls=_hold, needs_sandbox=True),
        "watched again": Case(
            "a migration that had run before, whose start was held at a gate",
            {"TimeoutSeconds": 50},
            play=watched,
            before=ran_before,
            calls=_hold,
            needs_sandbox=True,
        ),
        "ran before": Case("a migration that had run before", before=ran_before),
        "failed before": Case("a migration that had failed before", migration="fails", before=ran_before),
        LEFT_OVER: Case("a migration whose run before had timed out, and left its item", before=ran_before),
        "lost": Case(
            "a migration that was started, and the answer to that was lost",
            migration="is slow",
            calls=_lose,
            needs_sandbox=True,
        ),
        "lost and over": Case(
            "a migration that was started and ended, and the answer to its start was lost",
            calls=_lose,
            needs_sandbox=True,
        ),
        "ran before and lost": Case(
            "a migration that had run before, was started, and the answer to that was lost",
            before=ran_before,
            calls=_lose,
            needs_sandbox=True,
        ),
        "killed after": Case(
            "a migration whose function was killed when it had started it",
            calls=({"fault": "kill", "operation": STARTS, "where": "after"},),
            needs_sandbox=True,
        ),
        "killed before": Case(
            "a migration whose function was killed when it was about to start it",
            calls=({"fault": "kill", "operation": STARTS},),
            needs_sandbox=True,
        ),
        "refused": Case(
            "a migration whose first start DMS refused (ThrottlingException)",
            calls=({"fault": "refuse", "operation": STARTS},),
            needs_sandbox=True,
        ),
        "rival": Case(
            "a migration for which a second execution came",
            migration="is slow",
            play=with_a_rival,
            calls=_hold,
            needs_sandbox=True,
        ),
        "others": Case(
            "a migration that somebody else had started",
            migration="is slow",
            before=Migration.start,
            play=somebody_elses,
        ),
        "succeeds": Case(
            "a migration whose end was told", migration="is slow", play=answered(success={"Rows": 60, "Bad": None})
        ),
        "says little": Case("a migration of which little was told", migration="is slow", play=answered(success=[1])),
        "fails": Case(
            "a migration whose failure was told",
            migration="is slow",
            play=answered(failure=("MigrationFailed", "Last Error Table travel.airports, line 49.")),
        ),
        "fails otherwise": Case(
            "a migration of which an odd failure was told",
            migration="is slow",
            play=answered(failure=("Cancelled", 'Somebody said: "no".')),
        ),
        "late": Case(
            "a migration that ran on, without an answer for longer than TimeoutSeconds 2",
            {"TimeoutSeconds": 2},
            "is slow",
            to_its_end,
        ),
        "unheard": Case("a migration that finished, and its event was lost", {"TimeoutSeconds": 4}, play=to_its_end),
        "unheard failure": Case(
            "a migration that failed, and its event was lost", {"TimeoutSeconds": 4}, "fails", to_its_end
        ),
        "crashes": CRASHED,
    }
    done = "It saves first, starts once, tells failure from silence, and looks before it gives up."

    def observe_others(self, lab, draw, cases):
        migrate, table = durable_function(lab, "migrate"), Table(lab, "Id")
        table.find("nobody")
        if self.LEFT_OVER in cases:
            its = replace(cases[self.LEFT_OVER], before=lambda migration: left_over(table, migration))
            cases = {**cases, self.LEFT_OVER: its}
        return play(
            lab,
            without_events(cases),
            lambda input: Told(migrate, input, table),
            draw,
            self.common,
            self.by_default,
            whose={"function": lab.name("migrate")},
        )

    @contract(
        "It saves the callback ID with `save(arn, callback_id, seconds, StartedBefore=before)`, *then* starts the "
        "migration: even the fastest event finds whom to tell.",
        cases="watched, watched again, ran before, succeeds",
    )
    def saves_first(self, seen: Execution):
        item, mine = seen.facts["item"], seen.facts["mine"]
        if seen.facts["told"] is None and seen.ended:
            return Fault(f"Before anybody had answered, {_the(seen)}.", "It waits for the answer.")
        if not seen.facts["begun"]:
            return f"{seen}, and the migration was not started."
        if not seen.facts.get("by then", item):
            return "The migration was started, and its callback ID was not in the table yet."
        if item.get("CallbackId") not in mine:
            kept = f"the CallbackId {shortened(repr(item.get('CallbackId')))}" if item else "no item"
            return Fault(
                f"The migration was started, and under its ARN there is {kept}.",
                "save(arn, callback_id, seconds, StartedBefore=before), with the ID that the submitter gets.",
            )

    @contract(
        "`before` is when the task's latest run before ours started, as `last_start` returns it.",
        cases="watched, ran before, failed before, left over, lost, lost and over, ran before and lost",
    )
    def knows_the_run_before(self, seen: Execution):
        if not seen.facts["item"]:
            return f"{seen}, and there is no item of it."
        before, saved = seen.facts["before"] or "", seen.facts["item"].get("StartedBefore")
        if saved is None:
            return "The item has no StartedBefore."
        if saved != before:
            ran = f"Its run before had begun at {before}" if before else "It had never run before"
            again = " after another attempt of the submitter" if seen.facts["failures"] else ""
            return Fault(
                f"{ran}, and{again} StartedBefore is {saved!r}.",
                "StartedBefore stays what it was before the migration was started: look in a step." if again else None,
            )

    @contract(
        "It starts the migration once, however often the submitter runs, and also if it has run before.",
        cases="ran before, failed before, left over, lost, lost and over, ran before and lost, killed after, "
        "killed before, refused, crashes",
    )
    def starts_once(self, seen: Execution | Crashes):
        if isinstance(seen, Crashes):
            return broken(seen, inside=True)
        if not seen.facts["begun"] or seen.facts["starts"] == 0:
            return f"{seen}, and the migration was not started."
        if seen.facts["starts"] and seen.facts["starts"] > 1:
            return f"{seen}, and the migration was started {_times(seen.facts['starts'])}."
        if seen.status != "SUCCEEDED":
            failed = [error for error, _ in seen.facts["failures"]]
            times = f"; attempts of steps failed {_times(len(failed))} ({listed(failed)})" if failed else ""
            return Fault(f"{seen}{times}.", "The next attempt finds out how it stands, and all is well.")

    @contract("It does not take the place of another execution that waits for this task.", cases="rival")
    def leaves_others_alone(self, seen: Execution):
        item, mine = seen.facts["beside a rival"], seen.facts["mine"]
        if item.get("CallbackId") not in mine:
            return "A second execution began, and the callback ID of the first one was no longer in the table."
        if seen.facts["starts"] and seen.facts["starts"] > 1:
            return f"A second execution began, and the migration was started {_times(seen.facts['starts'])}."

    @contract("It does not wait for a run that somebody else has started.", cases="others")
    def wants_a_run_of_its_own(self, seen: Execution):
        if seen.facts["item"]:
            return Fault(
                f"{seen}, and its callback ID is in the table.",
                "last_start raises where a run is under way. Then the step is tried again, or the execution fails.",
            )
        if seen.status == "SUCCEEDED":
            return f"{seen}."

    @contract("Answered with success, it returns the answer's result, as data.", cases="succeeds, says little")
    def returns_the_result(self, seen: Execution):
        if seen.status != "SUCCEEDED":
            return Fault(f"It was answered with {seen.facts['told']}, and {_the(seen)}.", "It succeeds.")
        if seen.output != seen.facts["told"].success:
            return f"It was answered with {seen.facts['told']}, and returned {shortened(repr(seen.output))}."

    @contract(
        "Answered with failure, it raises `MigrationFailed` with the failure's message.", cases="fails, fails otherwise"
    )
    def raises_the_failure(self, seen: Execution):
        if (
            seen.status != "FAILED"
            or seen.error != "MigrationFailed"
            or seen.facts["told"].failure[1] not in seen.cause
        ):
            return f"It was answered with the failure {seen.facts['told']}, and {_the(seen)}."

    @contract(
        "When no answer came for `seconds`, it looks once more, since an event can get lost: what `outcome` returns or "
        "raises is the end of it.",
        cases="late, unheard, unheard failure",
    )
    def looks_again(self, seen: Execution):
        observed = f"{seen}; TimeoutSeconds was {seen.input['TimeoutSeconds']}."
        if not seen.ended:
            return Fault(observed, "A timeout bounds the wait.")
        if seen.migration["Status"] == "running":
            if seen.error != "MigrationTimedOut":
                return Fault(observed, "It fails with MigrationTimedOut.")
        elif seen.error == "MigrationTimedOut":
            stopped_at = seen.migration.get("ReplicationTaskStats", {}).get("StopDate")
            return Fault(
                observed,
                "It looks once more before it gives up, and ends as the migration did.",
                slow=not was_over(seen, stopped_at),
            )
        elif seen.migration["Status"] == "failed":
            return not_failed(seen)
        elif seen.status != "SUCCEEDED" or seen.output != {"ReplicationTaskArn": seen.input["ReplicationTaskArn"]}:
            told = f" It returned {shortened(repr(seen.output))}." if seen.status == "SUCCEEDED" else ""
            return Fault(observed + told, "It looks once more before it gives up, and ends as the migration did.")

    @contract(GOES_ON, cases="crashes")
    def goes_on_after_crashes(self, seen: Crashes):
        return broken(seen)


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
    _told = {
        "data": Case("data", {"success": {"rows": 3, "missing": {"city": 1}}}, play=tells),
        "small data": Case("data that is easily taken for none", {"success": one_of({}, [], 0, "")}, play=tells),
        "false": Case("data that is false", {"success": False}, play=tells),
        # Sent as it is, the one is no JSON, and the other another thing.
        "text": Case("text", {"success": one_of("done", "42")}, play=tells),
        "failure": Case(
            "a failure", {"failure": ["MigrationFailed", "Last Error Table airports, line 49."]}, play=tells
        ),
        "odd failure": Case("an odd failure", {"failure": ["Cancelled", "Ana said “no”."]}, play=tells),
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
    }
    cases = _told | _heard
    done = "Every answer arrived, once, and what came late, again or for nobody did no harm."

    def observe(self, lab, draw, cases):
        say = function(lab, "say")
        needs(lab, "migrate", 2)
        migrate, table = durable_function(lab, "migrate"), Table(lab, "Id")
        function(lab, "resume")
        teller = Teller(lab, say)

        def tell(name, case):
            return name, case.play(teller, case.about, draw.values(name, case.input))

        at_once = [
            lambda name=name, case=case: tell(name, case)
            for name, case in cases.items()
            if name in self._told and case.play is not tells_and_is_refused
        ]
        heard = {name: case for name, case in cases.items() if name in self._heard}

        def begin(input):
            return Told(migrate, input, table)

        seen, *others = side_by_side(lambda: play(lab, heard, begin, draw, self.common, self.by_default), *at_once)
        # These refuse whatever `say` tells, so they are alone.
        alone = [tell(name, case) for name, case in cases.items() if case.play is tells_and_is_refused]
        return {**seen, **dict(others), **dict(alone)}

    @contract(
        "With `success`, data that can be JSON, it answers success with that.", cases="data, small data, false, text"
    )
    def answers_success(self, seen: Telling):
        [(call, raised)] = seen.raised.items()
        if raised:
            return f"Somebody waited, and {call} raised {raised}."
        if seen.execution.status != "SUCCEEDED":
            return f"After {call} {_the(seen.execution)}."
        if json_in(seen.execution.output) != [seen.told["success"]]:
            sent = shortened(seen.execution.output or "") or "nothing"
            return Fault(
                f"{call} sent {sent}.", f"It answers success, with JSON text: {json.dumps(seen.told['success'])}"
            )

    @contract("With `failure`, a pair `(type, message)`, it answers failure.", cases="failure, odd failure")
    def answers_failure(self, seen: Telling):
        [(call, raised)] = seen.raised.items()
        if raised:
            return f"Somebody waited, and {call} raised {raised}."
        if seen.execution.status != "FAILED":
            return f"After {call} {_the(seen.execution)}."
        if [seen.error.get("ErrorType"), seen.error.get("ErrorMessage")] != seen.told["failure"]:
            return Fault(
                f"{call} sent {json.dumps(seen.error, ensure_ascii=False)}.",
                "The failure has the ErrorType and the ErrorMessage.",
            )

    @contract("With neither, it is a sign of life.", cases="awake")
    def keeps_awake(self, seen: Telling):
        [raised] = seen.raised.values()
        if raised:
            return f"For a sign of life tell raised {raised}."
        if seen.execution.ended:
            return Fault(
                f"A sign of life came every second, its heartbeat_timeout was {HEARTBEAT}, and {_the(seen.execution)}.",
                "tell(callback_id), with neither success nor failure, is a heartbeat and no more.",
            )

    @contract(
        "Coming late, a second time, or for an execution that is gone is no fault, and does nothing.",
        cases="succeeded, failed, expired, stopped, deleted",
    )
    def lets_be(self, seen: Telling):
        for way, raised in seen.raised.items():
            if raised:
                return Fault(f"For {seen.about} {way} came, and tell raised {raised}.", NOTHING)

    @contract(
        "Everything else is one and is raised: an ID that never was one, a missing permission.",
        cases="made up, not even that, denied, out of order",
    )
    def raises_the_rest(self, seen: Telling):
        for way, raised in seen.raised.items():
            if not raised:
                return f"For {seen.about} {way} was told, and tell ended without an error."

    @contract(
        "Whoever waits hears how the migration ended, when its event comes early, late or twice, and when DMS still "
        "says `running` as it comes.",
        cases="in time, fails, set aside, twice, early, late, stale, very stale",
    )
    def is_heard(self, seen: Execution):
        if seen.migration["Status"] == "failed" or seen.migration["ReplicationTaskStats"]["TablesErrored"]:
            return not_failed(seen)
        if not seen.ended and "DMS" in seen.about:
            return Fault(
                f"{seen}: the only event was spent.",
                "resume looks again, and then raises, so that Lambda asks again. (Is your lab older than that? Then "
                "its waiting.py, answer.py and resume.py are to be taken from labs/04-durable-functions.ipynb.)",
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
        "After CallbackTimeoutError: a step that asks for the audit whose ID stands in find(address), and "
        "report_in of what it says.",
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
            "an audit whose first order was refused (503), and whose second was taken, the answer lost (502)",
            play=reported_after(lambda run: len(run.orders()) > 2),
            vendor={**QUIET, "answers": [503, "lost"]},
        ),
        "refused": Rehearsed(
            "an audit that the vendor refused (400)", play=refused, vendor={**QUIET, "answers": [400] * MANY}
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
        "endless": Rehearsed("an audit without a sign of life", {"HeartbeatSeconds": 5}, play=left_in_silence),
        "bounded": Rehearsed("an audit without an end", {"TimeoutSeconds": 6}, play=left_in_silence),
        "crashes": CRASHED,
    }
    done = "It orders once, hears the vendor, takes progress for a sign of life, and asks before it gives up."

    def observe_others(self, lab, draw, cases):
        check = durable_function(lab, "check")
        needs(lab, "say", 3)
        function(lab, "callback")
        verirow = signed_up(lab)
        Table(lab, "Id").find("nobody")
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
                run.url  # noqa: B018  the vendor has taken the order
                return run, run

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
        addresses = {url.rpartition("/")[2] for each in seen.values() for url in each.facts["urls"][:1]}
        return {
            name: dataclasses.replace(each, facts={**each.facts, "addresses": addresses}) for name, each in seen.items()
        }

    @contract(
        "It orders one audit, however often the submitter runs, with one **address** for each execution.",
        cases="reports, killed, overloaded, crashes",
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
                "Each execution has one address, however often the handler runs. What is random belongs in a step.",
            )

    @contract(
        "The address is random, and nothing that the callback ID or the execution's name could be read from.",
        cases="reports, reports little, fails",
    )
    def gives_an_address(self, seen: Execution):
        address = seen.facts["urls"][0].rpartition("/")[2]
        known = {"the callback ID": seen.facts["mine"][0], "the execution's ARN": seen.facts["arn"]}
        known |= {"its name": seen.facts["arn"].split("/")[-2], "the table's ARN": seen.input["Table"]}
        known["the table's name"] = seen.input["Table"].rpartition("/")[2]
        for what, text in known.items():
            if text in address or any(made in address for made in computed(text)):
                return Fault(f"The address {address[:80]} can be computed from {what}.", "The address is random.")
        bits = random_bits(seen.facts["addresses"])
        if bits < FEWEST_BITS:
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

    @contract("It saves first, and then orders.", cases="quick")
    def saves_first(self, seen: Execution):
        wrong = [answer for answer in seen.facts["answers"] if is_final(answer)]
        if wrong:
            return Fault(
                f"The vendor called back before it had answered the order. It was answered with {wrong[0]}.",
                "The address leads to the callback ID before the order is on its way.",
            )
        if seen.status != "SUCCEEDED":
            return f"{seen}."

    @contract("`VendorUnavailable` is tried again, `VendorRefused` is not.", cases="overloaded, killed, refused")
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
            return f"The vendor said: {seen.facts['message']} {seen}."

    @contract("Progress is a sign of life, and no more than that.", cases="awake")
    def is_kept_awake(self, seen: Execution):
        wrong = [answer for answer in seen.facts["answers"] if not is_success(answer)]
        if wrong:
            return Fault(f"A progress callback {in_words(wrong[0])}.", WELCOME)
        if seen.ended:
            return f"Progress came every second, HeartbeatSeconds was {HEARTBEAT}, and {_the(seen)}."

    @contract(
        "When it has heard nothing for `silence` seconds, or has no report after `seconds` in all, it asks the vendor "
        "once, and that is the end of it: what `report_in` returns or raises.",
        cases="done, failed, endless, bounded",
    )
    def asks_in_the_end(self, seen: Execution):
        limits = f"HeartbeatSeconds was {seen.input['HeartbeatSeconds']}, TimeoutSeconds {seen.input['TimeoutSeconds']}"
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


class Nightly(Durable):
    title = "Two at once"
    function = "nightly"
    hints = (
        "A branch is called with a context of its own, and that is the one which its wait must use: "
        "lambda branch: migrated(branch, arn, seconds).",
        "The batch has failure_count; get_errors() returns what went wrong, each with a message; get_results() "
        "returns what came out, in the order of the branches.",
        "What is done when one has failed must be done in a step, too: stop(arn) can fail, and be tried again. Before "
        "it, a context.wait of a second ends the invocation, and with it whatever the other branch was about to do.",
    )
    stretch = True
    common = {"HeartbeatSeconds": 59, "TimeoutSeconds": 60}
    _words = "Half of it is missing."
    cases = {
        "both": Rehearsed("a night on which all went well", play=both_succeed({"rows": 3})),
        "slowly": Rehearsed(
            "a night on which the report came first",
            {"HeartbeatSeconds": 49, "TimeoutSeconds": 50},
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
            "a night on which the vendor refused the order at once, and DMS took two seconds to start the migration",
            migration="is slow",
            play=refused_at_once,
            calls=({"fault": "slow", "operation": STARTS, "seconds": 2},),
            needs_sandbox=True,
            vendor={**QUIET, "answers": [400] * MANY},
        ),
        "crashes": CRASHED,
    }
    done = "Both waits begin at once, and when one of them fails, nothing is left running."

    def observe_others(self, lab, draw, cases):
        nightly = durable_function(lab, "nightly")
        for thing, number in (("resume", 3), ("callback", 4)):
            needs(lab, thing, number)
        verirow, table = signed_up(lab), Table(lab, "Id")
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
        "When one fails, it fails soon, with that one's message in its own, and does not wait for the other.",
        cases="check fails, migration fails",
    )
    def fails_soon(self, seen: Execution):
        message = seen.facts.get("message") or seen.migration["LastFailureMessage"]
        if seen.status != "FAILED":
            return f"{seen}."
        if message not in seen.cause:
            return f"{seen}. The message of what failed was: {shortened(message)}"

    @contract(
        "Before that it sees to it that the migration does not run on, even where its start was still on its way.",
        cases="check fails, refused at once",
    )
    def leaves_nothing_running(self, seen: Execution):
        if seen.facts["left"] in ("starting", "running"):
            return f"{seen}, and the migration was left {seen.facts['left']}."
        if seen.status != "FAILED":
            return f"{seen}."

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


class Approve(Durable):
    title = "Port a state machine"
    function = "approve"
    hints = (
        "Go through the states: Ask is a wait_for_callback, its Catch an except, Approved? an if. What Wait, Poll "
        "and Over? do together you have written in exercise 1.",
        "polled(context, arn, pause, pause, ...) asks at the same pace all the time. A bound that is no bound in "
        "practice is 2,000 polls: an execution has 3,000 operations at most.",
        "outcome raises MigrationFailed with DMS's message, which is what Not moved does; so there is nothing to "
        "catch.",
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
        "refused": Case("somebody does not approve", play=approval({"Approved": False, "By": "Cem"})),
        "silent": Case("nobody answers for two seconds", {"TimeoutSeconds": 2}, play=approval(None)),
        "crashes": CRASHED,
    }
    done = f"In {len(cases) - 1} cases the durable function did what the state machine did."

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
            return f"When {seen.mine.about}, {_the(seen.mine)}, and under its Id there is no CallbackId."

    @contract("It asks DMS every `PollSeconds`, for as long as it takes.", cases="endless, endless each second")
    def asks_at_its_pace(self, seen: Pair):
        wrong = [pause for pause in seen.mine.pauses if pause != seen.mine.input["PollSeconds"]]
        if seen.mine.ended:
            return f"When {seen.mine.about}, and it still ran, {_the(seen.mine)}."
        if wrong or not seen.mine.pauses:
            waited = f"it waited {_listed(seen.mine)} s"
            return f"When {seen.mine.about} and PollSeconds is {seen.mine.input['PollSeconds']}, {waited}."

    @contract("Where that one succeeds, it returns the same.", cases="approved, slow, refused, silent")
    def returns_the_same(self, seen: Pair):
        theirs, mine = seen.theirs, seen.mine
        if mine.status != "SUCCEEDED" or mine.output != theirs.output:
            told = f" with {shortened(json.dumps(mine.output))}" if mine.status == "SUCCEEDED" else ""
            return Fault(
                f"When {mine.about}, the state machine returns {json.dumps(theirs.output)}. The durable function "
                f"{mine.in_words()}{told}.",
                "The result is the same.",
            )

    @contract(
        "It starts the migration where that one does, and only there.", cases="approved, refused, silent, ran before"
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
        if mine.status == "SUCCEEDED" != theirs.status:
            return f"When {mine.about}, the state machine {theirs.in_words()}. The durable function succeeded."

    @contract(
        "Where the migration fails, it fails as that one does, with an exception whose class has the name of the "
        "error, and the cause as its message.",
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


# -- what several of them judge ---------------------------------------------------------------------------------------


def broken(seen: Crashes, inside=False):
    """A Fault where a crash of its process makes a difference. inside: one inside of a step; otherwise between two."""
    return Fault(seen.wrong, events=seen.story, whole=True) if seen.wrong and seen.inside == inside else None


def began_with_a_wait(seen: Execution) -> bool:
    """Whether it decided to wait before it had asked at all."""
    if not seen.polls or not seen.events:
        return False
    began = seen.events[0]["EventTimestamp"]
    waits = [
        (event["EventTimestamp"] - began).total_seconds()
        for event in seen.events
        if event["EventType"] == "WaitStarted" or "RetryDetails" in details_of(event)
    ]
    return bool(waits) and waits[0] < seen.polls[0]


def not_failed(seen: Execution):
    """A Fault where it did not end with MigrationFailed and the reason that DMS tells; None where it did."""
    if not seen.ended:
        return Fault(f"{seen}.", "It ends when that has ended.")
    if seen.status != "FAILED" or seen.error != "MigrationFailed":
        return Fault(f"{seen}.", "It fails with MigrationFailed.")
    reason = seen.migration.get("LastFailureMessage") or seen.migration["StopReason"]
    if reason not in seen.cause:
        return Fault(
            f"{seen}. DMS said: {shortened(reason)}",
            "It fails with DMS's message, or with its StopReason where DMS has no message.",
        )


def was_over(seen: Execution, moment: datetime.datetime | None) -> bool:
    """Whether that moment, if it came at all, was before the execution ended."""
    return bool(moment and seen.events) and moment < seen.events[-1]["EventTimestamp"]


def json_in(text) -> list:
    """What JSON text says, in a list; an empty one where it is none."""
    try:
        return [json.loads(text)]
    except (TypeError, ValueError):
        return []


def needs(lab, thing: str, number: int):
    """Raises NotAttempted where there is no lab.name(thing), which an earlier exercise makes."""
    try:
        function(lab, thing)
    except NotAttempted:
        raise NotAttempted(f"There is no {lab.name(thing)} yet: do exercise {number} first.") from None


def _the(seen):
    return f"the execution {seen.in_words()}"


def _paces(seen):
    return f"With PollSeconds {seen.input['PollSeconds']} and MaxPollSeconds {seen.input['MaxPollSeconds']}"


def _listed(seen):
    return listed(seen.pauses, nothing="0")


def _times(number):
    return {1: "once", 2: "twice"}.get(number, f"{number} times")


EXERCISES = {1: Poll(), 2: Migrate(), 3: Tell(), 4: Check(), 5: Nightly(), 6: Approve()}
