"""Lab 01: wait for a migration by polling, as a state machine, and say what that costs."""

import collections
import dataclasses
import datetime
import itertools
import math

from workshop.checking.counting import COUNTED, Shape, drawn_history
from workshop.checking.executions import Execution, StateMachineRun, scheduled
from workshop.checking.exercises import Case, Exercise, Fault, contract, one_of
from workshop.checking.migrations import ran_before
from workshop.checking.outcomes import NotAttempted, shortened
from workshop.checking.resources import definition, state_machine
from workshop.checking.stages import (
    ENOUGH,
    ends_within,
    play,
    starts_within,
    stopped_by_hand,
    to_its_end,
    until_polled,
)
from workshop.checking.waiting import until
from workshop.costs.prices import price
from workshop.executions import History

MOST_BYTES = 8192
LONGEST_TIMEOUT = 7 * 24 * 3600  # seconds; a bound that is longer is none
SHORTER = 0.1  # seconds by which a wait may seem shorter than it is, since clocks are read in turn
LONGER = 0.9  # and longer, where the machine is not busy
BUSY = 3  # and where it is
AT_ONCE = 1.5  # seconds, where the machine is not busy
# Why a full load can stop before its end, of the reasons that DMS names:
# https://docs.aws.amazon.com/dms/latest/APIReference/API_ReplicationTask.html
INTERRUPTED = (
    "RECOVERABLE_ERROR",
    "FATAL_ERROR",
    "STOPPED_DUE_TO_LOW_MEMORY",
    "STOPPED_DUE_TO_LOW_DISK",
    "EXPRESS_LICENSE_LIMITS_REACHED",
    "RECONFIGURATION_RESTART",
    "RECYCLE_TASK",
)
# What DMS says where it does not say how a migration stands: it throttles, or has an error of its API reference.
REFUSED = {
    "fault": "refuse",
    "operation": "dms:DescribeReplicationTasks",
    "code": one_of("ThrottlingException", "AccessDeniedFault", "ResourceNotFoundFault"),
}


class Machine(Exercise):
    """An exercise whose answer is a state machine. thing: what it is called. common: the input of all cases."""

    thing: str
    common = {"PollSeconds": 1, "MaxPolls": 50}
    by_default = staticmethod(to_its_end)

    def observe(self, lab, draw, cases):
        machine = state_machine(lab, self.thing)
        whose = {"state_machine": machine.rpartition(":")[2]}
        seen = play(
            lab, cases, lambda input: StateMachineRun(machine, input), draw, self.common, self.by_default, whose=whose
        )
        facts = {"TimeoutSeconds": definition(machine).get("TimeoutSeconds", math.inf)}
        return {case: dataclasses.replace(execution, facts=facts) for case, execution in seen.items()}


class Start(Machine):
    thing = "start"
    by_default = staticmethod(starts_within(5))
    title = "Start the migration from a state machine"
    hints = (
        "A Task state that calls an AWS API directly has a Resource of the form "
        "arn:aws:states:::aws-sdk:service:action. Step Functions calls DMS databasemigration.",
        "The action is boto3's start_replication_task, written startReplicationTask. Its arguments are those of "
        "the API, in PascalCase: ReplicationTaskArn and StartReplicationTaskType.",
        'The ARN comes from the execution\'s input: in JSONata "{% $states.input.ReplicationTaskArn %}", in '
        'JSONPath a key that ends in .$, as in "ReplicationTaskArn.$": "$.ReplicationTaskArn".',
    )
    cases = {
        "takes long": Case("a migration that takes five minutes", migration="is slow"),
        "is short": Case("a migration that ends at once", {"PollSeconds": 2, "MaxPolls": 3}),
    }
    done = "The state machine started the replication task of its input, and did not wait."

    @contract("It starts the replication task that its input names.", cases="takes long, is short")
    def starts(self, seen: Execution):
        if seen.migration["Status"] == "ready":
            return f"{seen}, and the replication task that its input named was not started."
        if seen.status not in ("SUCCEEDED", "RUNNING"):
            return f"{seen}."

    @contract("It ends `SUCCEEDED` at once. It does not wait.", cases="takes long, is short")
    def ends_at_once(self, seen: Execution):
        waits = [visit.name for visit in seen.history.states() if visit.type == "Wait"]
        if waits:
            return Fault(
                f"It waited, in the state {waits[0]!r}.", "It ends at once. Waiting comes in the next exercise."
            )
        if not seen.ended:
            return f"{seen} after five seconds."
        if seen.starts and seen.history.seconds - seen.starts[0] > AT_ONCE:
            return Fault(f"It ended {seen.history.seconds - seen.starts[0]:.1f} s after the start.", slow=True)


class Poll(Machine):
    thing = "poll"
    title = "Wait, then ask how it stands"
    hints = (
        "The output of a state replaces its input, unless you say otherwise. After the start the next states "
        "still need the input: Output (JSONata) or ResultPath (JSONPath) decides what is passed on.",
        "A Wait state takes its seconds from the input with Seconds and an expression (JSONata) or with "
        "SecondsPath (JSONPath).",
        "describeReplicationTasks tells about every task of the account unless Filters names one: "
        '{"Name": "replication-task-arn", "Values": [...]}. And most of its answer is settings that nobody asked '
        "for: WithoutSettings leaves them out. The answer to the start has them too; an Output of that state can "
        "leave them behind.",
    )
    common = {}
    by_default = staticmethod(until_polled(2))
    cases = {
        "over": Case("a migration that had ended when it was asked about", {"PollSeconds": 1}),
        "failed": Case("a migration that had failed by then", {"PollSeconds": 2}, migration="fails"),
        "under way": Case("a migration that still ran", {"PollSeconds": 3}, migration="is slow"),
        "not told": Case(
            "a migration about which DMS refused to speak",
            {"PollSeconds": 2},
            play=ends_within(6),
            calls=[REFUSED],
            needs_sandbox=True,
        ),
    }
    done = "It waits as long as its input says, and asks DMS once about the right task."

    @contract("It starts the replication task of its input.", cases="over, failed, under way")
    def starts(self, seen: Execution):
        if seen.status not in ("SUCCEEDED", "RUNNING"):
            return Fault(f"{seen}.", "It waits, asks once, and ends SUCCEEDED.")
        if seen.migration["Status"] == "ready":
            return f"{seen}, and the task was not started: it never called startReplicationTask for it."

    @contract(
        "It waits `PollSeconds`, as its input says, and then asks once, about that task alone.",
        cases="over, failed, under way",
    )
    def waits_and_asks_once(self, seen: Execution):
        if not seen.polls:
            return f"{seen}, and it never called describeReplicationTasks."
        if len(seen.polls) > 1:
            return Fault(f"It asked {len(seen.polls)} times.", "It polls once. The loop comes in the next exercise.")
        if asked_about_others(seen):
            return Fault(
                "Its question to DMS names neither the ARN of the replication task nor its identifier.",
                "It asks about that task alone. The account may have more tasks than fit into one answer.",
            )
        return wrong_pause(seen, 0, seen.input["PollSeconds"])

    @contract(
        "It ends `SUCCEEDED`, and its output has the key `Status`: the status of that task when it asked.",
        cases="over, failed, under way, not told",
    )
    def gives_the_status(self, seen: Execution):
        refused = seen.about == self.cases["not told"].about
        if refused and seen.status != "SUCCEEDED":
            return None  # it may give up, or ask again
        if seen.status != "SUCCEEDED":
            return f"{seen}."
        if not isinstance(seen.output, dict) or "Status" not in seen.output:
            return Fault(f"The output of the execution is {_short(seen.output)}.", "The output has the key Status.")
        possible = _statuses_when_asked(seen)
        if seen.output["Status"] not in possible and refused:
            return Fault(
                "DMS refused to say how the migration stood when it was asked, and the output says Status "
                f"{seen.output['Status']!r}, which DMS has not said.",
                "The output has a status that DMS has said. Where DMS says none, the execution fails, or asks again.",
            )
        if seen.output["Status"] not in possible:
            return Fault(
                f"The output says Status {seen.output['Status']!r} of a migration that was {' or '.join(possible)}.",
                "The output has the status of the replication task that the input names, after it was started.",
            )

    @contract("No state has an output of more than 8 KB.", cases="over, failed, under way")
    def keeps_little(self, seen: Execution):
        return too_large_output(seen)


def passes(history) -> int:
    """How often an execution has come to the same Task state, of the one to which it has come most often."""
    counted = collections.Counter(visit.name for visit in history.states() if visit.type == "Task")
    return max(counted.values(), default=0)


def until_bound(scene):
    """Until it has ended, or has come once more to its poll than MaxPolls allows."""
    run = scene.run
    until(lambda: run.look() or passes(History("execution", run.events())) > run.input["MaxPolls"], ENOUGH, "a bound")


class Loop(Machine):
    thing = "loop"
    title = "Choose: finished, failed, or not yet"
    hints = (
        "Look at the migrations that you ran: which fields differ between one that finished and one that somebody "
        "stopped? Status is the same.",
        "StopReason tells them apart, and ReplicationTaskStats.TablesErrored says whether every table got through. "
        "Keep both from the poll. A Fail state can take its Cause from its input.",
        "Name the states in which it is still under way (ready, starting, running, ...) and go on only for those; "
        "everything else that is not a finished load is a failure. For the bound, count the polls (in JSONata with "
        "Assign), or give the state machine a TimeoutSeconds.",
    )
    cases = {
        "under way": Case("a migration that still ran", {"PollSeconds": 2}, "is slow", until_polled(3)),
        "asked often": Case(
            "a migration that still ran when it had been asked about 60 times",
            {"PollSeconds": 0, "MaxPolls": 80},
            migration="is slow",
            play=until_polled(60),
        ),
        "not begun": Case(
            "a migration of which DMS said `ready` twice, and then `starting` and `stopping`",
            migration="is slow",
            play=until_polled(6),
            faults=[
                {"kind": "stale", "status": status}
                for status in ("ready", "ready", one_of("ready", "starting", "stopping"), "starting", "stopping")
            ],
            needs_sandbox=True,
        ),
        "finished": Case("a migration that finished", {"PollSeconds": 2}, "takes a second"),
        "failed": Case("a migration that failed", migration="fails"),
        "no file": Case("a migration that had no file to read", {"PollSeconds": one_of(1, 2)}, "has no file"),
        "stopped": Case("a migration that somebody stopped", migration="is slow", play=stopped_by_hand),
        "ran before": Case("a migration that had run before, whose start DMS refused", before=ran_before),
        "set aside": Case("a migration that finished without one of its tables", migration="sets a table aside"),
        "error in a table": Case(
            "a migration of which DMS said `running` when one of its tables had an error",
            migration="sets a table aside",
            play=until_polled(3),
            faults=[{"kind": "stale", "count": 4}],
            needs_sandbox=True,
        ),
        "interrupted": Case(
            "a migration that DMS stopped half-way",
            faults=[{"kind": "interrupt", "reason": one_of(*INTERRUPTED)}],
            needs_sandbox=True,
        ),
        "two polls": Case("a migration that outlived MaxPolls 2", {"MaxPolls": 2}, "is slow", until_polled(3)),
        "four polls": Case("a migration that outlived MaxPolls 4", {"MaxPolls": 4}, "is slow", until_polled(5)),
        "last poll": Case(
            "a migration that had finished by the last poll",
            {"MaxPolls": 2},
            faults=[{"kind": "stale", "status": "running"}],
            needs_sandbox=True,
        ),
        "failed last poll": Case(
            "a migration that had failed by the last poll",
            {"MaxPolls": 3},
            "fails",
            faults=[{"kind": "stale", "status": status} for status in ("starting", "running")],
            needs_sandbox=True,
        ),
        "not told": Case(
            "a migration about which DMS refused to speak",
            {"MaxPolls": 1},
            "is slow",
            until_bound,
            calls=[{**REFUSED, "count": 100}],
            needs_sandbox=True,
        ),
    }
    done = "It tells a finished migration from every other end, goes on while it runs, and has a bound."

    @contract(
        "It waits `PollSeconds` before it asks again.",
        cases="under way, finished, stopped, set aside, interrupted, two polls",
    )
    def waits(self, seen: Execution):
        for nth in range(1, len(seen.pauses)):
            if fault := wrong_pause(seen, nth, seen.input["PollSeconds"]):
                return fault

    @contract("It goes on asking while the migration is under way.", cases="under way, not begun, error in a table")
    def goes_on(self, seen: Execution):
        if seen.about == self.cases["error in a table"].about and len(seen.polls_of_run) > 2:
            return None  # from the third on DMS may have told it of the end
        if seen.about == self.cases["error in a table"].about and seen.ended:
            return f"{seen} while the migration still ran."
        if seen.ended:
            return f"While the migration still ran, the execution {seen.in_words()}."
        if len(seen.polls) < 2:
            return Fault(
                "While the migration ran, it did not ask a second time.",
                "It loops: it waits, asks, chooses, and waits again.",
            )

    @contract("It ends `SUCCEEDED` when the load finished and no table had an error.", cases="finished, last poll")
    def succeeds(self, seen: Execution):
        if seen.about == self.cases["last poll"].about and not _last_poll_told(seen):
            return None  # the bound is judged below
        if seen.status != "SUCCEEDED":
            return f"{seen}."
        if not _outlived(seen):
            return f"{seen} while the migration still ran."

    @contract(
        "In every other case it ends `FAILED`, with an error and a cause of its own.",
        cases="failed, no file, stopped, set aside, interrupted, ran before, two polls, four polls",
    )
    def fails(self, seen: Execution):
        if seen.about in (self.cases[name].about for name in ("two polls", "four polls")):
            if seen.status in ("RUNNING", "TIMED_OUT"):
                return None  # whether it has a bound is asked below
            if seen.status == "SUCCEEDED":
                return _too_early(seen)
        if seen.status in ("RUNNING", "TIMED_OUT"):
            return Fault(f"{seen}.", "It ends FAILED soon after the migration.")
        if seen.about == self.cases["ran before"].about and seen.status == "SUCCEEDED":
            if seen.migration["ReplicationTaskStats"]["StartDate"] >= seen.history.started:
                return None  # it was started all the same, as one that has run before
            return Fault(f"{seen}: what had finished was the run before.", "Nothing was migrated, so it ends FAILED.")
        if seen.status != "FAILED":
            said = seen.migration
            return Fault(
                f"{seen}. DMS said: Status {said['Status']}, {said.get('StopReason', 'no StopReason')}, TablesErrored "
                f"{said['ReplicationTaskStats']['TablesErrored']}.",
                "It ends FAILED: 'stopped' alone is not success.",
            )
        if not seen.error or not seen.cause:
            return Fault(f"{seen}.", "It has an error and a cause.")
        if seen.error.startswith("States."):
            return Fault(f"{seen}.", "It ends by a decision of yours, not by a fault in a state.")

    @contract(
        "Where the migration failed, the cause contains DMS's `LastFailureMessage`.",
        cases="failed, no file, failed last poll",
    )
    def says_why(self, seen: Execution):
        if seen.about == self.cases["failed last poll"].about and not _last_poll_told(seen):
            return None
        if seen.migration["LastFailureMessage"] not in seen.cause:
            said = shortened(seen.migration["LastFailureMessage"])
            return f"DMS said of {seen.about}: {said} The cause is {_short(seen.cause)}."

    @contract(
        "It cannot run for ever: it gives up after `MaxPolls` polls, failed ones included, or its definition has a "
        "`TimeoutSeconds` of a week or less, which ends it `TIMED_OUT`.",
        cases="two polls, four polls, not told",
    )
    def has_a_bound(self, seen: Execution):
        if seen.facts["TimeoutSeconds"] <= LONGEST_TIMEOUT:
            return None
        most, polls = seen.input["MaxPolls"], len(seen.polls_of_run)
        if seen.status == "SUCCEEDED":
            return _too_early(seen)
        if seen.about == self.cases["not told"].about:
            if seen.ended or passes(seen.history) <= most:
                return None
            return (
                f"With MaxPolls {most} in its input, and {seen.about}, it came to its poll "
                f"{_times(passes(seen.history))} and was still running, and the state machine has no TimeoutSeconds of "
                "a week or less."
            )
        if not seen.ended:
            return (
                f"With MaxPolls {most} in its input it had asked {_times(polls)} and was still running, and the state "
                "machine has no TimeoutSeconds of a week or less."
            )
        if most not in (polls, len(seen.polls)):  # a look before the start may count as one, or not
            observed = f"With MaxPolls {most} in its input it asked {_times(polls)}."
            return Fault(observed, "It gives up after MaxPolls polls.")

    @contract(
        "As before, no state has an output of more than 8 KB.",
        cases="under way, finished, failed, set aside, asked often",
    )
    def keeps_little(self, seen: Execution):
        return too_large_output(seen)


@dataclasses.dataclass(frozen=True)
class Answered:
    """What the learner's functions said. about: of what. said: what they returned. right: what is right, if one is."""

    about: str
    said: object
    right: object = None
    evidence: tuple = ()


class Cost(Exercise):
    title = "What does it cost?"
    hints = (
        "Every state that is entered is one transition: count the events whose type ends in StateEntered.",
        "A retry runs a state's work again without entering the state: more than one TaskScheduled (or "
        "LambdaFunctionScheduled) for one TaskStateEntered. Each of those counts too.",
        "How many passes does your loop make for a job of job_seconds? Round up. Then: what happens once, plus "
        "what happens in each pass, times the passes. Run your loop and look which is which.",
    )
    cases = {
        "known": Case("histories whose price is known"),
        "drawn": Case("histories that chance has made"),
        # In the sandbox DMS says once that it runs, so that there are two polls however quick or slow the machine is.
        "yours": Case(
            "an execution of your loop",
            migration="takes a second",
            faults=[{"kind": "stale", "status": one_of("starting", "running")}],
        ),
        "predicted": Case("jobs of up to a day"),
    }
    done = "Counted from the history, and predicted for jobs up to a day."

    def observe(self, lab, draw, cases):
        count, predict = lab.user("count_transitions"), lab.user("predict")
        seen = {}
        for case, histories in (("known", COUNTED), ("drawn", self._drawn_histories(draw))):
            seen[case] = [
                Answered(about, count(events), transitions, evidence=events)
                for about, (events, transitions) in histories.items()
            ]
        if {"yours", "predicted"} & set(cases):
            run = self._run_of_the_loop(lab, draw)
            seen["yours"] = [Answered(str(run), count(list(run.events)), run.history.transitions)]
            shape = Shape.of(run.history) if run.status == "SUCCEEDED" and len(run.polls) > 1 else None
            jobs = [(3, 1), (3600, 7), (86400, 60), *self._drawn_jobs(draw)]
            seen["predicted"] = [
                Answered(f"predict({job}, {poll})", predict(job, poll), (shape, job, poll)) for job, poll in jobs
            ]
        return {case: seen[case] for case in cases}

    @staticmethod
    def _drawn_histories(draw):
        return {f"a drawn history ({nth})": drawn_history(draw.random(f"history {nth}")) for nth in (1, 2, 3)}

    @staticmethod
    def _drawn_jobs(draw):
        chance = draw.random("jobs")
        return [(chance.randrange(2, 90) * poll, poll) for poll in (chance.randrange(2, 20), chance.randrange(20, 300))]

    def _run_of_the_loop(self, lab, draw):
        try:
            machine = state_machine(lab, "loop")
        except NotAttempted:
            raise NotAttempted(
                "This exercise counts what your loop does, and there is no "
                f"{lab.name('loop')} yet: do exercise 3 first (after three tries lab.solution(3) shows a solution)."
            ) from None
        cases = {"yours": self.cases["yours"]}
        return play(lab, cases, lambda input: StateMachineRun(machine, input), draw, Machine.common, to_its_end)[
            "yours"
        ]

    @contract(
        "`count_transitions(events)` returns what AWS bills for an execution with these history events: one for each "
        "state that is entered, and one more for each retry.",
        cases="known, drawn, yours",
    )
    def counts(self, seen: list[Answered]):
        for each in seen:
            if each.said != each.right:
                return Fault(
                    f"count_transitions returns {_short(each.said)} for {each.about}, where AWS bills {each.right}.",
                    "It counts one for each state that is entered, and one for each retry.",
                    each.evidence,
                )

    @contract(
        "`predict(job_seconds, poll_seconds)` returns, for your loop, `(state transitions, history events, USD)`, "
        "within one pass.",
        cases="predicted",
    )
    def predicts(self, seen: list[Answered]):
        for each in seen:
            shape, job, poll = each.right
            if shape is None:
                return Fault(
                    "An execution of your loop did not succeed after some polls.", "Your loop passes exercise 3."
                )
            try:
                transitions, events, usd = (float(number) for number in each.said)
            except (TypeError, ValueError):
                return Fault(
                    f"{each.about} returns {_short(each.said)}.",
                    "It returns three numbers: state transitions, history events, USD.",
                )
            right = shape.of_job(job, poll)
            for what, number, right_number, one_pass in (
                ("state transitions", transitions, right[0], shape.each[0]),
                ("history events", events, right[1], shape.each[1]),
            ):
                if abs(number - right_number) > one_pass:
                    return Fault(
                        f"{each.about} predicts {number:,.0f} {what}. Your loop makes {one_pass} in each pass.",
                        f"It returns the number of {what} of such an execution, within one pass.",
                    )
            if not math.isclose(usd, price(transitions), rel_tol=0.01):
                return Fault(
                    f"{each.about} predicts {transitions:,.0f} state transitions and {usd:.6g} USD.",
                    "1,000 state transitions cost 0.025 USD.",
                )


class Backoff(Loop):
    thing = "backoff"
    title = "Ask less and less often"
    stretch = True
    hints = (
        "The seconds of the next wait have to be kept from pass to pass: as a variable (JSONata: Assign), or in "
        "the state's data.",
        "$min([$wait * 2, $maxSeconds]) doubles up to a bound. In JSONPath, States.MathAdd adds, and a Choice "
        "compares.",
    )
    common = {"PollSeconds": 1, "MaxPollSeconds": 2, "MaxPolls": 50}
    cases = Loop.cases | {
        "under way": Case("a migration that still ran", {"MaxPollSeconds": 3}, "is slow", until_polled(4)),
        "another pace": Case(
            "a migration that ran on", {"PollSeconds": 2, "MaxPollSeconds": 3}, "is slow", until_polled(3)
        ),
        "asked often": dataclasses.replace(
            Loop.cases["asked often"], input={"PollSeconds": 0, "MaxPollSeconds": 0, "MaxPolls": 80}
        ),
        "not begun": dataclasses.replace(Loop.cases["not begun"], input={"MaxPollSeconds": 1}),
        "finished": Case("a migration that finished", migration="takes a second"),
        "failed": Case("a migration that failed", {"PollSeconds": 3, "MaxPollSeconds": 6}, "fails"),
        "two polls": Case("a migration that outlived MaxPolls 2", {"MaxPolls": 2}, "is slow", until_polled(3)),
        "four polls": Case(
            "a migration that outlived MaxPolls 4", {"MaxPolls": 4, "MaxPollSeconds": 1}, "is slow", until_polled(5)
        ),
    }
    done = "The waits grow, up to their bound."

    @contract(
        "It waits `PollSeconds` first, then longer from pass to pass until it waits `MaxPollSeconds`, and never longer "
        "than that.",
        cases="under way, another pace, failed, four polls",
    )
    def waits(self, seen: Execution):
        first, most = seen.input["PollSeconds"], seen.input["MaxPollSeconds"]
        waits = seen.pauses[1:] if seen.pauses and seen.pauses[0] < SHORTER else seen.pauses  # it may ask at once
        shown = ", ".join(f"{wait:.1f}" for wait in waits) or "0"
        observed = f"With PollSeconds {first} and MaxPollSeconds {most} it waited {shown} s before its polls."
        if not waits or abs(waits[0] - first) > LONGER or waits[0] < first - SHORTER:
            return Fault(observed, "The first wait is PollSeconds.", slow=bool(waits) and _may_be_slow(waits[0], first))
        if max(waits) > most + LONGER:
            return Fault(observed, "No wait is longer than MaxPollSeconds.", slow=_may_be_slow(max(waits), most))
        for earlier, later in itertools.pairwise(waits):
            if later < min(earlier + 0.5, most - SHORTER):
                return Fault(observed, "The waits grow from pass to pass.", slow=True)


# -- what several of them judge ---------------------------------------------------------------------------------------


def wrong_pause(seen: Execution, nth: int, seconds: float):
    """A Fault where the nth poll did not come so many seconds after what was before it; None where it did."""
    if len(seen.pauses) <= nth:
        return None
    pause = seen.pauses[nth]
    if seconds - SHORTER < pause < seconds + LONGER:
        return None
    return Fault(
        f"With PollSeconds {seconds} in its input it waited {pause:.1f} s before it asked.",
        slow=_may_be_slow(pause, seconds),
    )


def _may_be_slow(pause, seconds):
    """Whether a pause that is too long may be one of so many seconds, on a machine that is busy."""
    return seconds < pause < seconds + BUSY


def asked_about_others(seen: Execution):
    """Whether a state of its own has asked DMS, and has not said about which task."""
    names = [seen.migration[key] for key in ("ReplicationTaskArn", "ReplicationTaskIdentifier")]
    questions = [event["taskScheduledEventDetails"] for event in scheduled(seen.history, "describeReplicationTasks")]
    return any(not any(name in question["parameters"] for name in names) for question in questions)


def too_large_output(seen: Execution):
    for name, size in seen.history.output_sizes().items():
        if size > MOST_BYTES:
            return Fault(
                f"The output of the state {name!r} has {size:,} bytes.",
                f"No output is larger than {MOST_BYTES:,} bytes: keep only what the next state needs.",
                events=(),
            )


def _too_early(seen: Execution):
    """The Fault of an execution that has succeeded before its migration had."""
    most = seen.input["MaxPolls"]
    return Fault(
        f"With MaxPolls {most} in its input the execution of a migration that still ran ended SUCCEEDED.",
        "It ends FAILED.",
    )


def _outlived(seen: Execution):
    """Whether the execution ended after its migration."""
    stopped = seen.migration["ReplicationTaskStats"].get("StopDate")
    return bool(stopped) and seen.events[-1]["timestamp"] >= stopped


def _last_poll_told(seen: Execution):
    """Whether it has made as many polls as MaxPolls allows, the last of them when the migration had ended."""
    if len(seen.polls_of_run) < seen.input["MaxPolls"]:
        return False
    asked = seen.history.started + datetime.timedelta(seconds=seen.polls[-1])
    return asked > seen.migration["ReplicationTaskStats"]["StopDate"]


def _statuses_when_asked(seen: Execution):
    """What DMS may have said when it was first asked, judged by when the migration really ended.

    A call is known by when it came. A busy machine answers later: at the latest before the execution's last event.
    """
    asked, answered = seen.history.started + datetime.timedelta(seconds=seen.polls[0]), seen.events[-1]["timestamp"]
    ended, over = seen.migration["ReplicationTaskStats"].get("StopDate"), seen.migration["Status"]
    nearly = datetime.timedelta(seconds=0.3)
    if ended and asked - nearly < ended < answered + nearly:
        return ("starting", "running", over)
    return (over,) if ended and ended < asked else ("starting", "running")


def _times(number):
    return "once" if number == 1 else f"{number} times"


def _short(value):
    return shortened(repr(value))


EXERCISES = {1: Start(), 2: Poll(), 3: Loop(), 4: Cost(), 5: Backoff()}
