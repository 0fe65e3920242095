"""Lab 01: wait for a migration by polling, as a state machine, and say what that costs.

The contracts of the tasks, as the lab states them. Every state machine's executions get as input

    {"ReplicationTaskArn": the task to start, "PollSeconds": 1, "MaxPolls": 100}        (5: and "MaxPollSeconds")

- 1, `start`: starts that replication task and ends SUCCEEDED at once, without waiting for the task's end.
- 2, `poll`: starts it, waits PollSeconds, asks DMS once. Output: has the key Status, with the task's status then.
  No state's output is over 8 KB.
- 3, `loop`: goes on asking until the task has ended. SUCCEEDED if the full load finished and no table had an error;
  in every other case FAILED with an error and a cause, and the cause contains DMS's LastFailureMessage where there is
  one. It ends by itself: after MaxPolls polls (FAILED, any error), or by a TimeoutSeconds of the state machine.
- 4, functions `count_transitions(events)` and `predict(job_seconds, poll_seconds)`, for the loop of task 3;
  predict gives (state transitions, history events, USD), within one pass of the loop.
- 5, `backoff` (stretch): as `loop`, but it waits PollSeconds first, then longer from pass to pass, never longer than
  MaxPollSeconds.
"""

import datetime
import itertools
import math
import statistics

from workshop.checks import NotAttempted, NotYet, Task
from workshop.checks.watching import (
    Run,
    calls,
    definition,
    migrations,
    scheduled,
    state_machine,
    until,
    until_ended,
    waited,
)
from workshop.executions import PRICE_PER_TRANSITION

MOST_BYTES = 8192
LONGEST_TIMEOUT = 7 * 24 * 3600  # seconds; a bound that is longer is none
SLACK = 1.9  # seconds by which a wait may seem longer than it is, where the machine is busy
SLOW = {"rows": 3000, "rows_per_second": 10}  # a migration that outlives the check

TASKS = {
    1: Task(
        "Start the migration from a state machine",
        hints=(
            "A Task state that calls an AWS API directly has a Resource of the form "
            "arn:aws:states:::aws-sdk:service:action. Step Functions calls DMS databasemigration.",
            "The action is boto3's start_replication_task, written startReplicationTask. Its arguments are those of "
            "the API, in PascalCase: ReplicationTaskArn and StartReplicationTaskType.",
            'The ARN comes from the execution\'s input: in JSONata "{% $states.input.ReplicationTaskArn %}", in '
            'JSONPath a key that ends in .$, as in "ReplicationTaskArn.$": "$.ReplicationTaskArn".',
        ),
    ),
    2: Task(
        "Wait, then ask how it stands",
        hints=(
            "What a state gives out replaces what it got, unless you say otherwise. After the start the next states "
            "still need the input: Output (JSONata) or ResultPath (JSONPath) decides what goes on.",
            "A Wait state takes its seconds from the input with Seconds and an expression (JSONata) or with "
            "SecondsPath (JSONPath).",
            "describeReplicationTasks tells about every task of the account unless Filters names one: "
            '{"Name": "replication-task-arn", "Values": [...]}. And most of its answer is settings that nobody asked '
            "for: WithoutSettings leaves them out. The answer to the start has them too; an Output of that state can "
            "leave them behind.",
        ),
    ),
    3: Task(
        "Choose: finished, failed, or not yet",
        hints=(
            "Look at the migrations that you ran: which fields differ between one that finished and one that somebody "
            "stopped? Status is the same.",
            "StopReason tells them apart, and ReplicationTaskStats.TablesErrored says whether every table got through. "
            "Keep both from the poll. A Fail state can take its Cause from its input.",
            "Name the states in which it is still under way (starting, running, ...) and go on only for those; "
            "everything else that is not a finished load is a failure. For the bound, count the polls (in JSONata with "
            "Assign), or give the state machine a TimeoutSeconds.",
        ),
    ),
    4: Task(
        "What does it cost?",
        hints=(
            "Every state that is entered is one transition: count the events whose type ends in StateEntered.",
            "A retry runs a state's work again without entering the state: more than one TaskScheduled (or "
            "LambdaFunctionScheduled) for one TaskStateEntered. Each of those counts too.",
            "How many passes does your loop make for a job of job_seconds? Round up. Then: what happens once, plus "
            "what happens in each pass, times the passes. Run your loop and look which is which.",
        ),
    ),
    5: Task(
        "Ask less and less often",
        hints=(
            "The seconds of the next wait have to be kept from pass to pass: as a variable (JSONata: Assign), or in "
            "the state's data.",
            "$min([$wait * 2, $maxSeconds]) doubles up to a bound. In JSONPath, States.MathAdd adds, and a Choice "
            "compares.",
        ),
        stretch=True,
    ),
}


def task_1(lab):
    machine = state_machine(lab, "start")
    airports = migrations(lab, {"1": {"rows": 400, "rows_per_second": 100}})["1"]
    run = Run(machine, _input(airports))
    until_ended([run], 5)
    if run.status != "SUCCEEDED":
        observed = f"An execution of {lab.name('start')} {run.in_words()}" + (
            " after five seconds." if run.status == "RUNNING" else "."
        )
        raise run.not_yet(observed, "It starts the replication task of its input, and ends SUCCEEDED at once.")
    until(lambda: airports.describe()["Status"] != "ready", 1)
    status = airports.describe()["Status"]
    if status == "ready":
        raise run.not_yet(
            "The execution succeeded, but the replication task that its input named was not started.",
            "It starts the task that the input's ReplicationTaskArn names.",
        )
    waits = [visit.name for visit in run.history().states() if visit.type == "Wait"]
    if waits or status not in ("starting", "running"):
        raise run.not_yet(
            f"It waited, in the state {waits[0]!r}." if waits else f"It ended when the migration had ended ({status}).",
            "It ends as soon as the task is started; waiting comes in the next task.",
        )
    return "The state machine started the replication task of its input, and did not wait."


def task_2(lab):
    machine = state_machine(lab, "poll")
    waits = {"short": 1, "long": 3}
    # One ends long before it is asked about, and the other long after. A loop, which polls until then, ends too.
    made = migrations(
        lab, {"short": {"rows": 6, "rows_per_second": 600}, "long": {"rows": 900, "rows_per_second": 150}}
    )
    runs = {case: Run(machine, _input(made[case], PollSeconds=waits[case])) for case in made}
    until_ended(runs.values(), 10)
    for run in runs.values():
        if run.status != "SUCCEEDED":
            raise run.not_yet(
                f"An execution of {lab.name('poll')} {run.in_words()}.", "It waits, asks once, and ends SUCCEEDED."
            )
    for case, run in runs.items():
        _asked_once_in_time(run, waits[case])
        _small_outputs(run)
    for case, run in runs.items():
        output = run.output
        if not isinstance(output, dict) or "Status" not in output:
            raise run.not_yet(f"The output of the execution is {_short(output)}.", "An output with the key Status.")
        expected = _status_when_asked(made[case], run.history())
        if output["Status"] not in expected:
            really = " or ".join(expected)
            raise run.not_yet(
                f"The output says Status {output['Status']!r} of a migration that was {really}.",
                "The status of the replication task that the input names, after it was started.",
            )
    return "It waits as long as its input says, and asks DMS once about the right task."


def task_3(lab):
    machine = state_machine(lab, "loop")
    made = migrations(
        lab,
        {
            "endless": SLOW,
            "finishes": {"rows": 120, "rows_per_second": 100},
            "fails": {"rows": 60, "rows_per_second": 120, "fails": "bad row"},
            "sets-aside": {"rows": 60, "rows_per_second": 120, "fails": "table set aside"},
            "is-stopped": SLOW,
            "takes-long": SLOW,
        },
    )
    runs = {case: Run(machine, _input(one, MaxPolls=2 if case == "endless" else 50)) for case, one in made.items()}
    try:
        _stop_by_hand(made["is-stopped"], runs["is-stopped"])
        ends = [runs[case] for case in ("finishes", "fails", "sets-aside", "is-stopped")]
        until_ended(ends, 15)
        long = runs["takes-long"]
        until(lambda: long.look() or len(_polls(long)) > 1, 5)
        _judge_goes_on(long)
        _judge_endings(runs, made)
        _judge_bound(machine, runs["endless"])
        for run in runs.values():
            _small_outputs(run)
    finally:
        for case in ("endless", "is-stopped", "takes-long"):
            _end(runs[case], made[case])
    return "It tells a finished migration from every other end, goes on while it runs, and has a bound."


def task_4(lab):
    count, predict = lab.user("count_transitions"), lab.user("predict")
    for case, (events, transitions) in COUNTED.items():
        counted = count(events)
        if counted != transitions:
            raise NotYet(
                f"count_transitions gives {_short(counted)} for {case}, where AWS bills {transitions}.",
                "One for each state entered, and one for each retry.",
                events=events,
            )
    run = _a_run_of_the_loop(lab)
    history = run.history()
    counted = count(history.events)
    if counted != history.transitions:
        raise run.not_yet(
            f"count_transitions gives {_short(counted)} for an execution of your loop.",
            f"The {history.transitions} transitions of its history.",
        )
    once, each, asks_first = _shape(history)
    for job, poll in ((3, 1), (600, 60), (3600, 7), (86400, 60)):
        passes = math.ceil(job / poll) + asks_first
        expected = [fixed + passes * more for fixed, more in zip(once, each, strict=True)]
        _judge_prediction(predict(job, poll), (job, poll), expected, each)
    return "Counted from the history, and predicted for jobs up to a day."


def task_5(lab):
    machine = state_machine(lab, "backoff")
    made = migrations(
        lab,
        {
            "grows": {"rows": 1300, "rows_per_second": 200},
            "fails": {"rows": 60, "rows_per_second": 120, "fails": "bad row"},
            "endless": SLOW,
        },
    )
    print("Watching a migration of six seconds ...")
    inputs = {
        "grows": {"PollSeconds": 1, "MaxPollSeconds": 2},
        "fails": {"PollSeconds": 3, "MaxPollSeconds": 6},
        "endless": {"MaxPollSeconds": 1, "MaxPolls": 2},
    }
    runs = {case: Run(machine, _input(made[case], **inputs[case])) for case in made}
    try:
        grows, fails = runs["grows"], runs["fails"]
        until_ended([grows, fails], 14)
        if grows.status != "SUCCEEDED":
            raise grows.not_yet(f"An execution of {lab.name('backoff')} {grows.in_words()}.", "It ends SUCCEEDED.")
        finished = made["grows"].describe()["ReplicationTaskStats"].get("StopDate")
        if not finished or grows.outcome["stopDate"] < finished:
            raise grows.not_yet("It succeeded while the migration still ran.", "It waits for the end.")
        if fails.status != "FAILED":
            raise fails.not_yet(f"The execution of a migration that failed {fails.in_words()}.", "It ends FAILED.")
        _judge_waits(grows, fails)
        _judge_bound(machine, runs["endless"])
    finally:
        _end(runs["endless"], made["endless"])
    return "The waits grow, up to their bound."


def _input(migration, **more):
    return {"ReplicationTaskArn": migration.arn, "PollSeconds": 1, "MaxPolls": 50, **more}


def _status_when_asked(migration, history):
    """What DMS may have said when it was asked, judged by when the migration really ended."""
    asked = history.started + datetime.timedelta(seconds=calls(history, "describeReplicationTasks")[0])
    ended = migration.describe()["ReplicationTaskStats"].get("StopDate")
    if ended and abs(ended - asked) < datetime.timedelta(seconds=0.3):
        return ("running", "stopped")
    return ("stopped",) if ended and ended < asked else ("starting", "running")


def _polls(run):
    return calls(run.history(), "describeReplicationTasks")


def _end(run, migration):
    """End an execution, and the migration that it watches, where they have not ended."""
    if not run.look():
        run.stop()
    until(lambda: migration.describe()["Status"] != "starting", 2)  # DMS stops no task that is still starting
    if migration.describe()["Status"] == "running":
        migration.stop()


def _asked_once_in_time(run, seconds):
    history = run.history()
    started, asked = calls(history, "startReplicationTask"), calls(history, "describeReplicationTasks")
    if not started or not asked:
        missing = "startReplicationTask" if not started else "describeReplicationTasks"
        raise run.not_yet(f"It never called {missing}.", "It starts the task, waits, and asks once how it stands.")
    if len(asked) > 1:
        raise run.not_yet(f"It asked {len(asked)} times.", "One poll; the loop comes in the next task.")
    pause = waited(history, started[0], asked[0])
    if not seconds - 0.1 < pause < seconds + SLACK:
        raise run.not_yet(
            f"With PollSeconds {seconds} in its input it waited {pause:.1f} s before it asked.",
            "It waits as long as the execution's input says.",
        )


def _small_outputs(run):
    for name, size in run.history().output_sizes().items():
        if size > MOST_BYTES:
            raise NotYet(
                f"The state {name!r} gave out {size:,} bytes.",
                f"No state's output over {MOST_BYTES:,} bytes: keep only what the next state needs.",
            )


def _stop_by_hand(migration, run):
    """Stop the migration as a person would, once it runs."""
    until(lambda: migration.describe()["Status"] == "running" or run.look(), 3)
    if migration.describe()["Status"] == "running":
        migration.stop()


def _judge_endings(runs, made):
    finishes = runs["finishes"]
    if finishes.status != "SUCCEEDED":
        raise finishes.not_yet(
            f"The execution of a migration that finished {finishes.in_words()}.", "It ends SUCCEEDED."
        )
    cases = {
        "fails": "a migration that failed",
        "is-stopped": "a migration that somebody stopped",
        "sets-aside": "a migration that finished without one of its tables",
    }
    for case, what in cases.items():
        run = runs[case]
        if run.status == "RUNNING" or run.status == "TIMED_OUT":
            raise run.not_yet(f"The execution of {what} {run.in_words()}.", "It ends FAILED soon after the migration.")
        if run.status != "FAILED":
            said = made[case].describe()
            tables = said["ReplicationTaskStats"]["TablesErrored"]
            raise run.not_yet(
                f"The execution of {what} {run.in_words()}. DMS said: Status {said['Status']}, "
                f"{said.get('StopReason', 'no StopReason')}, TablesErrored {tables}.",
                "It ends FAILED: 'stopped' alone is not success.",
            )
        if not run.outcome.get("error") or not run.outcome.get("cause"):
            raise run.not_yet(f"The execution of {what} {run.in_words()}.", "An error and a cause.")
        if run.outcome["error"].startswith("States."):
            raise run.not_yet(
                f"The execution of {what} {run.in_words()}.",
                "It ends by a decision of yours, not by a fault in a state.",
            )
    message = made["fails"].describe()["LastFailureMessage"]
    if message not in runs["fails"].outcome["cause"]:
        raise runs["fails"].not_yet(
            f"The cause is {_short(runs['fails'].outcome['cause'])}.", "A cause that contains DMS's LastFailureMessage."
        )


def _judge_goes_on(run):
    if run.status != "RUNNING":
        raise run.not_yet(f"While the migration still ran, the execution {run.in_words()}.", "It goes on asking.")
    if len(_polls(run)) < 2:
        raise run.not_yet(
            "While the migration ran, it did not ask a second time.", "A loop: wait, ask, choose, wait ..."
        )


def _judge_bound(machine, run):
    timeout = definition(machine).get("TimeoutSeconds", math.inf)
    if timeout <= LONGEST_TIMEOUT:
        return
    until(lambda: run.look() or len(_polls(run)) > 3, 4)
    polls = len(_polls(run))
    if run.status == "SUCCEEDED":
        raise run.not_yet("After MaxPolls polls of a migration that still ran it ended SUCCEEDED.", "It ends FAILED.")
    if run.status == "RUNNING":
        raise run.not_yet(
            f"With MaxPolls 2 in its input it had asked {_times(polls)} and was still running, and the state "
            "machine has no TimeoutSeconds of a week or less.",
            "It cannot run for ever: it gives up after MaxPolls polls, or has such a TimeoutSeconds.",
        )
    if polls != 2:
        raise run.not_yet(
            f"With MaxPolls 2 in its input it asked {_times(polls)}.", "It gives up after MaxPolls polls."
        )


def _waits(run):
    """How long it waited before each poll, after the start of the task or the poll before: (seconds, as text)."""
    history = run.history()
    moments = [*calls(history, "startReplicationTask")[:1], *_polls(run)]
    waits = [waited(history, since, then) for since, then in itertools.pairwise(moments)]
    return waits, ", ".join(f"{wait:.1f}" for wait in waits)


def _judge_waits(grows, fails):
    waits, shown = _waits(fails)
    if not waits or not 3 - 0.1 < waits[0] < 3 + SLACK:
        raise fails.not_yet(
            f"With PollSeconds 3 in its input it waited {shown or '0'} s before its polls.",
            "The first wait is PollSeconds.",
        )
    waits, shown = _waits(grows)
    observed = f"With PollSeconds 1 and MaxPollSeconds 2 in its input it waited {shown or '0'} s before its polls."
    if not waits or max(waits) > 2 + SLACK:
        raise grows.not_yet(observed, "No wait is longer than MaxPollSeconds.")
    shrinks = any(later < earlier - 0.9 for earlier, later in itertools.pairwise(waits))
    if shrinks or statistics.median(waits) < 1.5:
        raise grows.not_yet(observed, "Waits that grow from pass to pass.")


def _a_run_of_the_loop(lab):
    try:
        machine = state_machine(lab, "loop")
    except NotAttempted:
        raise NotAttempted(
            "Its numbers are those of your loop, and there is no "
            f"{lab.name('loop')} yet: do task 3 first (after three tries lab.solution(3) shows one)."
        ) from None
    made = migrations(lab, {"4": {"rows": 250, "rows_per_second": 100}})["4"]
    run = Run(machine, _input(made))
    until_ended([run], 10)
    if run.status != "SUCCEEDED" or len(_polls(run)) < 2:
        raise run.not_yet(f"An execution of {lab.name('loop')} {run.in_words()}.", "A loop that passes task 3.")
    return run


def _shape(history):
    """What happens once and what in each pass of a loop, and whether it asks before its first wait.

    Gives ((transitions, events), (transitions, events), bool).
    """
    first, second, *_ = polls = [event["id"] for event in scheduled(history, "describeReplicationTasks")]
    entered = [event["id"] for event in history.events if event["type"].endswith("StateEntered")]
    each = (sum(first < entry <= second for entry in entered), second - first)
    once = (history.transitions - len(polls) * each[0], len(history) - len(polls) * each[1])
    asks_first = not any(event["type"] == "WaitStateEntered" for event in history.events if event["id"] < first)
    return once, each, asks_first


def _judge_prediction(predicted, about, expected, each):
    call = "predict({}, {})".format(*about)
    try:
        transitions, events, usd = (float(number) for number in predicted)
    except (TypeError, ValueError):
        raise NotYet(
            f"{call} gives {_short(predicted)}.", "Three numbers: state transitions, history events, USD."
        ) from None
    for what, number, wanted, one_pass in (
        ("state transitions", transitions, expected[0], each[0]),
        ("history events", events, expected[1], each[1]),
    ):
        if abs(number - wanted) > one_pass:
            raise NotYet(
                f"{call} predicts {number:,.0f} {what}. Your loop makes {one_pass} in each pass.",
                f"The number of {what} of such an execution, within one pass.",
            )
    if not math.isclose(usd, transitions * PRICE_PER_TRANSITION, rel_tol=0.01):
        raise NotYet(
            f"{call} predicts {transitions:,.0f} state transitions and {usd:.6g} USD.",
            "USD 0.025 for 1,000 state transitions.",
        )


def _times(number):
    return "once" if number == 1 else f"{number} times"


def _short(value):
    text = repr(value)
    return text if len(text) <= 200 else text[:199] + "…"


_NOON = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.UTC)


def _history(*visits):
    """A history of these visits to states, as GetExecutionHistory gives it, without what was passed on.

    A visit is (type of the state, its name, *types of the events of its work).
    """
    events = [("ExecutionStarted", "executionStarted", {})]
    for kind, name, *work in visits:
        events.append((f"{kind}StateEntered", "stateEntered", {"name": name}))
        for step in work:
            told = {"error": "DatabaseMigration.DatabaseMigrationException"} if step.endswith("Failed") else {}
            events.append((step, step[0].lower() + step[1:], told))
        if kind != "Fail":
            events.append((f"{kind}StateExited", "stateExited", {"name": name}))
    end = "Failed" if visits[-1][0] == "Fail" else "Succeeded"
    events.append((f"Execution{end}", f"execution{end}", {}))
    return [
        {
            "timestamp": _NOON + datetime.timedelta(seconds=number),
            "type": kind,
            "id": number,
            "previousEventId": number - 1 if number > 2 else 0,
            f"{field}EventDetails": details,
        }
        for number, (kind, field, details) in enumerate(events, start=1)
    ]


_WORKED = ("TaskScheduled", "TaskStarted", "TaskSucceeded")
_FAILED = ("TaskScheduled", "TaskStarted", "TaskFailed")
_LAMBDA_WORKED = ("LambdaFunctionScheduled", "LambdaFunctionStarted", "LambdaFunctionSucceeded")
_LAMBDA_FAILED = ("LambdaFunctionScheduled", "LambdaFunctionStarted", "LambdaFunctionFailed")

# Histories and what AWS bills for them.
COUNTED = {
    "one Task state": (_history(("Task", "Poll", *_WORKED)), 1),
    "a Wait and a Task state": (_history(("Wait", "Pause"), ("Task", "Poll", *_WORKED)), 2),
    "a Task state that was retried twice": (_history(("Task", "Poll", *_FAILED, *_FAILED, *_WORKED)), 3),
    "a Lambda function that was retried once": (_history(("Task", "Ask", *_LAMBDA_FAILED, *_LAMBDA_WORKED)), 2),
    "a Task state that failed and led to a Fail state": (_history(("Task", "Poll", *_FAILED), ("Fail", "Give up")), 2),
}
