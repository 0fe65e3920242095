"""Exercises 1 and 2 of lab 04: asking until it is over, and waiting to be told."""

import itertools
from dataclasses import replace
from secrets import token_hex

from workshop.checking.executions import DurableRun, Execution, details_of
from workshop.checking.exercises import Case, Fault, contract, one_of
from workshop.checking.explorations import Crashes, Played
from workshop.checking.migrations import ran_before, unheard
from workshop.checking.outcomes import listed, shortened, times
from workshop.checking.resources import Table, durable_function
from workshop.checking.stages import play, stopped_by_hand, to_its_end
from workshop.checks import durable_worlds as worlds
from workshop.checks.durable_exercises import (
    CRASHED,
    GOES_ON,
    Durable,
    broken,
    imagined,
    not_failed,
    saved_for,
    the,
    waited,
    was_over,
    wrong_for_hours,
)
from workshop.checks.durable_plays import (
    ASKS,
    STARTS,
    Told,
    answered,
    left_over,
    somebody_elses,
    told_meanwhile,
    until_over,
    until_waited,
    watched,
    with_a_rival,
    without_events,
)
from workshop.migrations import Migration

NOBODY = [f"arn:aws:dms:us-east-1:111122223333:task:{name}" for name in ("ITWASNEVERTHEREANDWILLNOTBE", "nobody-x1")]


def _of_nobody(lab, case):
    """The case, with an ARN that nobody else asks about where it is one of nobody's."""
    arn = case.input.get("ReplicationTaskArn")
    return replace(case, input={**case.input, "ReplicationTaskArn": f"{arn}-{lab.name(token_hex(4))}"}) if arn else case


class Poll(Durable):
    title = "Ask until it is over"
    function = "poll"
    hints = (
        "`ask` gets the previous state as its first argument. When `ask` learns nothing new, it can return that.",
        "Catch Throttled around describe, and nothing else. When the first question is refused, `ask` returns the "
        "initial state, so under_way must be able to read that: a dict with a Status.",
        "The strategy takes the delays that are given. Its bound is max_attempts. Its default jitter is FULL, and "
        "JitterStrategy.NONE switches that off.",
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
        "unanswered": Case(
            "a migration about which DMS did not answer the second question",
            {"MaxPolls": 5},
            "is slow",
            until_over,
            calls=[{"fault": "lost", "operation": ASKS, "nth": 2}],
            needs_sandbox=True,
        ),
        "finished": Case("a migration that finished", {"PollSeconds": one_of(1, 2)}, "takes a second"),
        "failed": Case("a migration that failed", migration="fails"),
        "no file": Case("a migration that had no file to read", migration="has no file"),
        "set aside": Case("a migration that finished without one of its tables", migration="sets a table aside"),
        "stopped": Case("a migration that somebody stopped", migration="is slow", play=stopped_by_hand),
        "one poll": Case("a migration that outlived one poll", {"MaxPolls": 1}, "is slow", until_over),
        "two polls": Case(
            "a migration that outlived two polls",
            {"PollSeconds": 2, "MaxPollSeconds": 5, "MaxPolls": 2},
            "is slow",
            until_over,
        ),
        "four polls": Case(
            "a migration that outlived four polls", {"MaxPolls": 4, "MaxPollSeconds": 1}, "is slow", until_over
        ),
        "always throttled": Case(
            "a migration about which DMS refused each question (ThrottlingException)",
            {"MaxPolls": 3},
            "is slow",
            until_over,
            calls=[{"fault": "refuse", "operation": ASKS, "count": 99}],
            needs_sandbox=True,
        ),
        "throttled on and on": imagined(worlds.Busy),
        **{code: imagined(world) for code, world in worlds.REFUSING.items()},
        "many polls": imagined(worlds.ManyPolls),
        "each status": imagined(worlds.Passing),
        "over at last": imagined(worlds.OverAtLast),
        "long pauses": imagined(worlds.LongPauses),
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
        "It goes on for as long as the migration is under way.",
        cases="under way, another pace, steady pace, not begun, many polls, each status",
    )
    def goes_on(self, seen: Execution | Played):
        if isinstance(seen, Played):
            return wrong_for_hours(seen)
        if seen.ended:
            return f"While the migration still ran, the execution {seen.in_words()}."
        if not seen.pauses:
            return Fault(f"{seen}, and it had not waited to ask again.", "It asks, waits, and asks again.")

    @contract(
        "It asks at once, and a second time after `first` seconds.", cases="one poll, under way, patient, two polls"
    )
    def begins(self, seen: Execution):
        first = seen.input["PollSeconds"]
        if began_with_a_wait(seen):
            return f"Before it asked at all, it waited {seen.pauses[0]} s."
        if seen.input["MaxPolls"] > 1 and seen.ended and not seen.pauses:
            return Fault(
                f"With `most` {seen.input['MaxPolls']} and a migration that ran for longer, it did not wait to ask a "
                f"second time, and {the(seen)}.",
                "It asks a second time after `first` seconds.",
            )
        if seen.input["MaxPolls"] > 1 and seen.pauses[:1] != [first]:
            return Fault(f"{_paces(seen)} it waited {waited(seen)} s.", "The first wait is `first` seconds.")

    @contract(
        "Then it waits longer from poll to poll, without jitter, until it waits `longest`, and never longer than that.",
        cases="under way, another pace, steady pace, long pauses",
    )
    def waits(self, seen: Execution | Played):
        if isinstance(seen, Played):
            return wrong_for_hours(seen)
        first, most = seen.input["PollSeconds"], seen.input["MaxPollSeconds"]
        observed = f"{_paces(seen)} it waited {waited(seen)} s between its polls."
        if seen.pauses[0] != first:
            return Fault(observed, "The first wait is `first` seconds.")
        if max(seen.pauses) > most:
            return Fault(observed, "No wait is longer than `longest` seconds.")
        if len(seen.pauses) < 2 or any(
            later <= earlier and later < most for earlier, later in itertools.pairwise(seen.pauses)
        ):
            return Fault(observed, "The waits grow up to `longest` seconds, without jitter.")

    @contract(
        "When DMS is asked too often, it goes on.", cases="throttled at first, throttled later, throttled on and on"
    )
    def lives_with_throttling(self, seen: Execution | Played):
        if isinstance(seen, Played):
            return wrong_for_hours(seen)
        if seen.status not in ("RUNNING", "SUCCEEDED"):
            return Fault(f"{seen}.", "It asks again later.")

    @contract(
        "Any other error ends it, at once.",
        cases=", ".join(["never was, nobody, denied, unanswered", *worlds.REFUSING]),
    )
    def ends_with_other_errors(self, seen: Execution | Played):
        if isinstance(seen, Played):
            return wrong_for_hours(seen)
        answered = 1 if seen.input["ReplicationTaskArn"].startswith(tuple(NOBODY)) else 2
        if not seen.ended or len(seen.polls) > answered:
            again = f"asked {len(seen.polls)} times in all" if seen.polls else f"waited {waited(seen)} s"
            return f"{seen}; it {again}."
        if seen.status != "FAILED":
            return f"{seen}."

    @contract(
        "When the migration has ended, it returns what `outcome` returns.",
        cases="finished, throttled at first, over at last",
    )
    def returns_the_outcome(self, seen: Execution | Played):
        if isinstance(seen, Played):
            return wrong_for_hours(seen)
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
        cases="one poll, two polls, four polls, always throttled",
    )
    def gives_up(self, seen: Execution):
        most, asked = seen.input["MaxPolls"], len(seen.polls)
        if not seen.ended:
            *_, next_wait = seen.pauses or [0]
            return f"With `most` {most} it asked {times(asked or most)}, and decided to wait for another {next_wait} s."
        if asked and asked != most:
            return f"With `most` {most} it asked {times(asked)}, and {seen.in_words()}."
        if seen.status != "FAILED" or seen.error == "MigrationFailed":
            return f"With `most` {most} and a migration that ran for longer, the execution {seen.in_words()}."

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
        "told meanwhile": Case(
            "a migration that had run before, and whose end `resume` told while the answer to its start got lost",
            play=told_meanwhile,
            before=ran_before,
            calls=({"fault": "hold", "operation": STARTS, "where": "after", "seconds": 30}, *_lose),
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
        "not ready": Case(
            "a migration that DMS did not start at first, and that did not run either (InvalidResourceStateFault)",
            calls=({"fault": "refuse", "operation": STARTS, "code": "InvalidResourceStateFault"},),
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
        # A result all the same, which is easily taken for none.
        "says no": Case("a migration of which `false` was told", migration="is slow", play=answered(success=False)),
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
            "a migration that ran on, without an answer for longer than 2 seconds",
            {"TimeoutSeconds": 2},
            "is slow",
            to_its_end,
        ),
        "unheard": Case("a migration that finished, and its event was lost", {"TimeoutSeconds": 4}, play=to_its_end),
        "unheard failure": Case(
            "a migration that failed, and its event was lost", {"TimeoutSeconds": 4}, "fails", to_its_end
        ),
        "unheard for a day": imagined(worlds.UnheardForADay),
        "runs on": imagined(worlds.RunsOn),
        "taken": imagined(worlds.Taken),
        **{code: imagined(world) for code, world in worlds.NOT_STARTED.items()},
        "crashes": CRASHED,
    }
    done = "It saves first, starts once, tells failure from silence, and looks before it gives up."

    def observe_others(self, lab, draw, cases):
        migrate, table = durable_function(lab, "migrate"), Table(lab, "Id")
        table.find("nobody")
        if self.LEFT_OVER in cases:
            its = replace(cases[self.LEFT_OVER], before=lambda migration: left_over(table, migration))
            cases = {**cases, self.LEFT_OVER: its}
        with unheard(lab):
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
            return Fault(f"{seen}, before anybody had answered.", "It waits for the answer.")
        if not seen.facts["begun"]:
            return f"{seen}, and the migration was not started."
        by_then = seen.facts.get("by then", item)
        if not by_then:
            return "The migration was started, and its callback ID was not in the table yet."
        if by_then.get("CallbackId") in mine and "StartedBefore" not in by_then and "StartedBefore" in item:
            return Fault(
                "The migration was started, and its item had no StartedBefore yet.",
                "save(arn, callback_id, seconds, StartedBefore=before) comes first, with all of that.",
            )
        if item.get("CallbackId") not in mine:
            kept = f"the CallbackId {shortened(repr(item.get('CallbackId')))}" if item else "no item"
            return Fault(
                f"The migration was started, and under its ARN there is {kept}.",
                "save(arn, callback_id, seconds, StartedBefore=before), with the ID that the submitter gets.",
            )
        return saved_for(item, seen.input["TimeoutSeconds"])

    @contract(
        "`before` is when the task's latest run before ours started, as `last_start` returns it.",
        cases="watched, ran before, failed before, left over, lost, lost and over, ran before and lost",
    )
    def knows_the_run_before(self, seen: Execution):
        if not seen.facts["item"]:
            return f"{seen}, and the table has no item for its migration."
        before, saved = seen.facts["before"] or "", seen.facts["item"].get("StartedBefore")
        if saved is None:
            return "The item has no StartedBefore."
        if saved != before:
            ran = f"Its run before had begun at {before}" if before else "It had never run before"
            again = " after another attempt of the submitter" if seen.facts["failures"] else ""
            return Fault(
                f"{ran}, and{again} StartedBefore is {saved!r}.",
                "StartedBefore stays what it was before the migration was started." if again else None,
            )

    @contract(
        "It starts the migration once, however often the submitter runs, and also if it has run before.",
        cases="ran before, failed before, left over, lost, lost and over, ran before and lost, killed after, "
        "told meanwhile, killed before, refused, crashes",
    )
    def starts_once(self, seen: Execution | Crashes):
        if isinstance(seen, Crashes):
            return broken(seen, inside=True)
        if not seen.facts["begun"] or seen.facts["starts"] == 0:
            return f"{seen}, and the migration was not started."
        if seen.facts["starts"] and seen.facts["starts"] > 1:
            return f"{seen}, and the migration was started {times(seen.facts['starts'])}."
        if seen.status != "SUCCEEDED":
            failed = [error for error, _ in seen.facts["failures"]]
            tried = f"; attempts of steps failed {times(len(failed))} ({listed(failed)})" if failed else ""
            return Fault(f"{seen}{tried}.", "The next attempt finds out how it stands, and all is well.")

    @contract("It does not take the place of another execution that waits for this task.", cases="rival, taken")
    def leaves_others_alone(self, seen: Execution | Played):
        if isinstance(seen, Played):
            return wrong_for_hours(seen)
        item, mine = seen.facts["beside a rival"], seen.facts["mine"]
        if item.get("CallbackId") not in mine:
            return "A second execution began, and the callback ID of the first one was no longer in the table."
        if seen.facts["starts"] and seen.facts["starts"] > 1:
            return f"A second execution began, and the migration was started {times(seen.facts['starts'])}."

    @contract("It does not wait for a run that somebody else has started.", cases="others")
    def wants_a_run_of_its_own(self, seen: Execution):
        if seen.facts["item"]:
            return Fault(
                f"{seen}, and its callback ID is in the table.",
                "last_start raises where a run is under way. Then the step is tried again, or the execution fails.",
            )
        if seen.status == "SUCCEEDED":
            return f"{seen}."

    @contract("Answered with success, it returns the answer's result, as data.", cases="succeeds, says little, says no")
    def returns_the_result(self, seen: Execution):
        if seen.status != "SUCCEEDED":
            return Fault(f"It was answered with {seen.facts['told']}, and {the(seen)}.", "It succeeds.")
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
            return f"It was answered with the failure {seen.facts['told']}, and {the(seen)}."

    @contract(
        "When no answer came for `seconds`, it looks once more, since an event can get lost, and returns or raises "
        "what `outcome` does.",
        cases="late, unheard, unheard failure, unheard for a day, runs on",
    )
    def looks_again(self, seen: Execution | Played):
        if isinstance(seen, Played):
            return wrong_for_hours(seen)
        observed = f"{seen}; `seconds` was {seen.input['TimeoutSeconds']}."
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

    @contract(
        "Where DMS refuses to start it, it tries again, or it fails: it does not wait for a run that has not begun.",
        cases=", ".join(["not ready", *worlds.NOT_STARTED]),
    )
    def waits_for_what_has_begun(self, seen: Execution | Played):
        if isinstance(seen, Played):
            return wrong_for_hours(seen)
        if not seen.facts["begun"]:
            return None if seen.status == "FAILED" else f"{seen}, and the migration was not started."
        return self.starts_once(seen)

    @contract(GOES_ON, cases="crashes")
    def goes_on_after_crashes(self, seen: Crashes):
        return broken(seen)


# -- what was seen ----------------------------------------------------------------------------------------------------


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


def _paces(seen):
    return f"With `first` {seen.input['PollSeconds']} and `longest` {seen.input['MaxPollSeconds']}"
