"""Lab 04: the two designs as Lambda durable functions."""

import itertools
import types

from workshop.checking.executions import DurableRun, Execution, details_of
from workshop.checking.exercises import Case, Exercise, Fault, contract, one_of
from workshop.checking.outcomes import listed, shortened
from workshop.checking.resources import durable_function
from workshop.checking.stages import ENOUGH, Scene, play, stopped_by_hand, to_its_end
from workshop.checking.waiting import until
from workshop.checks import durable_old

ASKS = "dms:DescribeReplicationTasks"
NOBODY = [f"arn:aws:dms:us-east-1:111122223333:task:{name}" for name in ("ITWASNEVERTHEREANDWILLNOTBE", "nobody-x1")]


class Poll(Exercise):
    title = "Ask until it is over"
    hints = (
        "The check function gets the state of before as its first argument. Where it learns nothing new, that is "
        "what it can return.",
        "Catch Throttled around describe, and nothing else. The initial state is what a first question that was "
        "refused returns, so under_way must be able to read it: a dict with a Status.",
        'Delays are Durations: Duration.from_seconds(event["PollSeconds"]). The bound is max_attempts, and the '
        "default jitter is FULL: JitterStrategy.NONE switches it off.",
    )
    common = {"PollSeconds": 1, "MaxPollSeconds": 2, "MaxPolls": 50}
    by_default = staticmethod(to_its_end)

    def until_waited(times):
        """Until it has decided to wait so often, or has ended."""

        def play(scene: Scene):
            until(lambda: scene.run.look() or len(scene.run.pauses()) >= times, ENOUGH, "an execution to ask DMS")

        return play

    def until_over(scene: Scene):
        """Until it has ended, or has decided to wait once more than there is to wait for."""
        most = scene.run.input["MaxPolls"]
        until(lambda: scene.run.look() or len(scene.run.pauses()) >= most, ENOUGH, "an execution to give up")

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
            faults={"stale": {}},
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
            {"ReplicationTaskArn": one_of(*NOBODY), "MaxPolls": 3},
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
    }
    done = "It asks less and less often, lives with being throttled, gives up in time, and knows how it ended."

    def observe(self, lab, draw, cases):
        poll = durable_function(lab, "poll")
        return play(
            lab,
            cases,
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
            return Fault(observed, "Waits that grow, up to MaxPollSeconds, without jitter.")

    @contract("When DMS is asked too often, it goes on.", cases="throttled at first, throttled later")
    def lives_with_throttling(self, seen: Execution):
        if seen.status not in ("RUNNING", "SUCCEEDED"):
            return Fault(f"{seen}.", "It asks again later.")

    @contract("Any other error ends it, at once.", cases="never was, denied")
    def ends_with_other_errors(self, seen: Execution):
        answered = 1 if seen.input["ReplicationTaskArn"] in NOBODY else 2
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
            return f"With MaxPolls {most} and a migration that outlived them the execution {seen.in_words()}."


# -- what several of them judge ---------------------------------------------------------------------------------------


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
        return Fault(f"{seen}.", "It fails: MigrationFailed.")
    reason = seen.migration.get("LastFailureMessage") or seen.migration["StopReason"]
    if reason not in seen.cause:
        return Fault(f"{seen}. DMS said: {shortened(reason)}", "DMS's message, where it has one, or its StopReason.")


def _paces(seen):
    return f"With PollSeconds {seen.input['PollSeconds']} and MaxPollSeconds {seen.input['MaxPollSeconds']}"


def _listed(seen):
    return listed(seen.pauses, nothing="0")


def _times(number):
    return {1: "once", 2: "twice"}.get(number, f"{number} times")


EXERCISES = {1: Poll()} | {
    number: types.SimpleNamespace(
        title=task.title,
        hints=task.hints,
        stretch=task.stretch,
        check=lambda lab, seed, number=number: getattr(durable_old, f"task_{number}")(lab),
    )
    for number, task in durable_old.TASKS.items()
    if number > 1
}
