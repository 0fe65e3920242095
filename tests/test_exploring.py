"""Exploring durable functions: right ones pass all crashes, wrong ones are told with the shortest story."""

import itertools
import os
import random
import subprocess
import sys
import threading
import time
import uuid

import pytest
from aws_durable_execution_sdk_python import durable_execution, exceptions, state
from aws_durable_execution_sdk_python.config import (
    CompletionConfig,
    Duration,
    JitterStrategy,
    MapConfig,
    ParallelConfig,
    StepConfig,
    WaitForCallbackConfig,
)
from aws_durable_execution_sdk_python.retries import RetryPresets
from aws_durable_execution_sdk_python.waits import WaitForConditionConfig, WaitStrategyConfig, create_wait_strategy
from jupyter_client.manager import start_new_kernel

from workshop import exploring
from workshop.exploring import Crash, World, explore, play
from workshop.exploring.comparing import difference
from workshop.exploring.plays import Run
from workshop.exploring.schedules import shrunk, turn

HOUR, MINUTE = Duration.from_hours(1), Duration.from_minutes(1)
PATIENCE = 3600  # seconds: no exploration here is cut short by a busy machine


@pytest.fixture(autouse=True)
def _no_thread_is_left():
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


class Jobs(World):
    """Starts jobs, which say when they are over to whoever is known to wait then; and places orders."""

    ends_after, twice, answer_gets_lost = 60, False, False

    def __init__(self):
        self.waiting, self.started = {}, set()

    def save(self, job, callback_id):
        self.did("save", job)
        self.waiting[job] = callback_id

    def start(self, job, idempotent=True):
        if idempotent and job in self.started:
            return
        self.did("start", job)
        first = job not in self.started
        self.started.add(job)
        for _ in range(2 if self.twice else 1):
            if self.ends_after is None:
                self.end(job)
            else:
                self.later(self.ends_after, self.end, job)
        if self.answer_gets_lost and first:
            raise TimeoutError("no answer")

    def end(self, job):
        if job in self.waiting:
            self.succeed(self.waiting[job], {"Job": job})

    def order(self, item):
        self.did("order", item)

    def invoke(self, function, payload):
        return payload


class Early(Jobs):
    ends_after = None


class Twice(Jobs):
    twice = True


class Lost(Jobs):
    answer_gets_lost = True


WORLDS = {"after": Jobs, "early": Early, "twice": Twice, "its answer gets lost": Lost}


def found(program, world=Jobs, event=None, **options):
    return explore(program, event or {"Item": "A-17"}, world=world, seconds=PATIENCE, **options)


def waited(context, jobs, job, submit):
    return context.wait_for_callback(submit, name="job", config=WaitForCallbackConfig(timeout=HOUR))


# -- right ------------------------------------------------------------------------------------------------------------


def right(jobs):
    def handler(event, context):
        job = context.step(lambda _: f"job-{uuid.uuid4()}", name="name it")

        def submit(callback_id, _):
            jobs.save(job, callback_id)
            jobs.start(job)

        ended = waited(context, jobs, job, submit)
        context.wait(HOUR, name="hour")
        context.step(lambda _: jobs.order(event["Item"]), name="order")
        return ended

    return handler


def test_a_right_function_passes_all_single_crashes_and_all_pairs():
    exploration = found(right, {"after": Jobs, "early": Early, "twice": Twice})
    assert exploration.ok, exploration
    assert exploration.complete
    assert exploration.played == exploration.known
    assert exploration.played[0] == 3 and exploration.played[1] > 20 and exploration.played[2] > 100
    assert str(exploration) == (
        f"{sum(exploration.played.values())} schedules played: 3 without a crash, all {exploration.played[1]} with one "
        f"crash, all {exploration.played[2]} with two."
    )


def polls(jobs):
    pace = WaitStrategyConfig(lambda state: state == "runs", initial_delay=HOUR, jitter_strategy=JitterStrategy.NONE)
    config = WaitForConditionConfig(create_wait_strategy(pace), initial_state="runs")

    def handler(event, context):
        def look(state, _):
            return "runs" if jobs.now() < 7000 else "ended"

        state = context.wait_for_condition(look, config, name="job")
        context.step(lambda _: jobs.order(state), name="order")

    return handler


def maps(jobs):
    def handler(event, context):
        key = context.step(lambda _: str(uuid.uuid4()), name="key")

        def order(branch, item, index, items):
            branch.wait(Duration.from_hours(index + 1), name="hours")
            return branch.step(lambda _: jobs.did("order", key, item) or item, name="order")

        return context.map(["a", "b"], order, name="all", config=MapConfig(max_concurrency=2)).get_results()

    return handler


def nests(jobs):
    def handler(event, context):
        def child(inner):
            now = inner.step(lambda _: time.strftime("%H:%M:%S"), name="now")
            inner.wait(HOUR, name="hour")
            inner.step(lambda _: jobs.did("mail", now), name="mail")
            return now

        now = context.run_in_child_context(child, name="child")
        return now, context.invoke("other", {"N": 1}, name="invoke")

    return handler


def races(jobs):
    def handler(event, context):
        branches = [lambda branch: branch.wait(HOUR, name="hour"), lambda branch: branch.wait(MINUTE, name="minute")]
        first = ParallelConfig(completion_config=CompletionConfig.first_successful())
        batch = context.parallel(branches, name="race", config=first)
        context.step(lambda _: jobs.order(str(batch.success_count)), name="order")
        context.wait(HOUR, name="hour")

    return handler


def compensates(jobs):
    def handler(event, context):
        try:
            context.step(lambda _: 1 / 0, name="divide", config=StepConfig(retry_strategy=RetryPresets.none()))
        except Exception as error:
            kind = type(error).__name__
            context.step(lambda _: jobs.did("undo", kind), name="undo")
            raise ValueError("undone") from None

    return handler


@pytest.mark.parametrize("program", [polls, maps, nests, races, compensates], ids=lambda program: program.__name__)
def test_right_functions_of_every_kind_pass(program):
    exploration = found(program, crashes=1)
    assert exploration.ok and exploration.complete, exploration
    assert exploration.played[1] > 2
    assert exploration.reference.effects, exploration.reference.tell()


def test_a_decision_that_is_drawn_in_a_step_is_the_same_one_in_each_play():
    def program(jobs):
        def handler(event, context):
            number = context.step(lambda _: random.randint(1, 1000), name="draw")
            context.wait(HOUR, name="hour")
            if number % 2:
                context.step(lambda _: jobs.order("odd"), name="order")
            return number

        return handler

    state = random.getstate()
    exploration = found(program)
    assert exploration.ok and exploration.complete, exploration
    assert random.getstate() == state


def test_what_changes_by_itself_is_no_difference():
    calls = itertools.count()

    def program(jobs):
        def handler(event, context):
            today = context.step(lambda _: next(calls) // 5, name="what day is it")  # the first runs are on one day
            context.step(lambda _: jobs.did("order", "day", today), name="order")
            return today

        return handler

    exploration = found(program)
    assert exploration.ok and exploration.complete, exploration


def test_where_nothing_can_be_compared_it_says_so():
    calls = itertools.count()

    def program(jobs):
        def handler(event, context):
            context.step(lambda _: [jobs.did("order") for _ in range(next(calls))], name="order")

        return handler

    assert found(program).why.startswith("Two runs without a crash do not do the same")
    assert found(program, intended=lambda run: None, crashes=1).ok


def run_of(*effects, branches=None, **outcome):
    branches = branches or [None] * len(effects)
    return Run(effects=list(effects), branches=branches, **{"status": "SUCCEEDED", **outcome})


@pytest.mark.parametrize(
    "reference, twin, run, words",
    [
        (run_of(("a",)), run_of(("a",)), run_of(("a",)), None),
        (run_of(("a",)), run_of(("a",)), run_of(("a",), ("a",)), "a happened twice; without a crash it happens once."),
        (run_of(("a",)), run_of(("a",)), run_of(), "a happened 0 times; without a crash it happens once."),
        (
            run_of(("a", 1)),
            run_of(("a", 1)),
            run_of(("a", 2)),
            "there is a 1 at this point, and here a 2.",
        ),
        (run_of(("a", 1), ("b", 1)), run_of(("a", 2), ("b", 2)), run_of(("a", 3), ("b", 3)), None),
        (run_of(("a", 1), ("b", 1)), run_of(("a", 2), ("b", 2)), run_of(("a", 3), ("b", 4)), "become two: 3 and 4"),
        (run_of(("a", 1), result=1), run_of(("a", 2), result=2), run_of(("a", 3), result=4), "here it returned 4."),
        (
            run_of(("a",), ("b",)),
            run_of(("a",), ("b",)),
            run_of(("b",), ("a",)),
            "there is a at this point, and here b",
        ),
        (run_of(result=1), run_of(result=1), run_of(status="FAILED", error={"ErrorType": "x.E"}), "here it failed: E."),
    ],
)
def test_two_runs_are_compared(reference, twin, run, words):
    found = difference(reference, twin, run)
    assert found == words or words in found


def test_which_of_two_branches_comes_first_is_nobodys_concern():
    one = run_of(("a",), ("b",), ("c",), branches=["1", "2", "1"])
    other = run_of(("b",), ("a",), ("c",), branches=["2", "1", "1"])
    assert difference(one, one, other) is None
    turned = run_of(("c",), ("a",), ("b",), branches=["1", "1", "2"])
    assert "there is a at this point, and here c" in difference(one, one, turned)


def test_it_stops_when_its_time_is_over_and_says_what_it_has_played():
    exploration = explore(right, {"Item": "A-17"}, world=Jobs, seconds=0)
    assert exploration.ok and not exploration.complete
    assert exploration.summary() == "1 schedules played: 1 without a crash."


def test_whoever_begins_with_the_turn_of_a_pair_plays_it_first():
    """However many others there are, and in whatever order they stood."""
    pairs = []
    all_of_them = found(right, intended=lambda run: pairs.append(run.schedule) if run.crashed == 2 else None)
    assert len(pairs) == all_of_them.known[2] > 50 and len({turn("", pair) for pair in pairs}) > len(pairs) * 0.9
    wanted = pairs[-1]

    def breaks(run):
        return "It was to come." if run.schedule == wanted else None

    first = found(right, intended=breaks, seed=turn("", wanted))
    assert first.run.schedule == wanted and first.turn == turn("", wanted)
    assert first.played[2] <= 1 + sum(turn("", pair) == first.turn for pair in pairs)


def test_further_crashes_are_drawn_by_the_seed_for_as_long_as_there_is_time():
    seen = []

    def until_four(exploration):
        if exploration.played.get(4, 0) > 3:
            raise KeyboardInterrupt  # as somebody does who has seen enough

    def watch(run):
        seen.append(run.schedule)

    first = found(right, crashes=4, intended=watch, progress=until_four)
    assert first.ok and not first.complete
    assert first.played[1] == first.known[1] and first.played[2] == first.known[2]
    assert first.played[3] >= 1 and max(map(len, seen)) == 4
    again = list(seen)
    seen.clear()
    found(right, crashes=4, intended=watch, progress=until_four)
    assert seen == again


def test_inside_of_steps_it_may_crash_after_some_effects_only():
    def program(jobs):
        def handler(event, context):
            context.step(lambda _: jobs.order("a"), name="order")  # without a key
            context.step(lambda _: jobs.start("b"), name="start")  # with one

        return handler

    assert not found(program, inside=True).ok
    assert found(program, inside={"start"}).ok
    broken = found(program, inside={"order"})
    assert broken.run.schedule == (Crash("inside", 1),) and "order a happened twice" in broken.why


def test_what_is_a_fault_whatever_is_intended_may_be_left_out():
    def program(jobs):
        def handler(event, context):
            jobs.start("b")  # outside of a step, and with a key
            jobs.did("look")
            context.wait(HOUR, name="hour")

        return handler

    def intended(run):
        return None if run.status == "SUCCEEDED" else run.status

    assert "look happens outside of a step" in found(program, intended=intended).why
    assert found(program, intended=intended, strict=False).ok


# -- wrong ------------------------------------------------------------------------------------------------------------


def order_outside(jobs):
    def handler(event, context):
        jobs.order(event["Item"])
        context.wait(HOUR, name="hour")

    return handler


def order_outside_at_the_end(jobs):
    def handler(event, context):
        context.step(lambda _: None, name="think")
        jobs.order(event["Item"])

    return handler


def name_outside(jobs):
    def handler(event, context):
        job = str(uuid.uuid4())
        context.step(lambda _: jobs.save(job, None), name="save")
        context.step(lambda _: jobs.start(job), name="start")

    return handler


def closure(jobs):
    def handler(event, context):
        items = []
        context.step(lambda _: items.append(event["Item"]), name="choose")
        if items:
            context.step(lambda _: jobs.order(items[0]), name="order")

    return handler


def dynamic_name(jobs):
    def handler(event, context):
        context.step(lambda _: None, name=f"think-{uuid.uuid4()}")
        context.step(lambda _: jobs.order(event["Item"]), name="order")

    return handler


def changing_branch(jobs):
    seen = []

    def handler(event, context):
        seen.append(event)
        if len(seen) % 2:
            context.wait(HOUR, name="hour")
        else:
            context.step(lambda _: None, name="think")

    return handler


def early_return(jobs):
    def handler(event, context):
        if context.is_replaying():
            return
        context.step(lambda _: None, name="think")
        context.step(lambda _: jobs.order(event["Item"]), name="order")

    return handler


def bare_except(jobs):
    def handler(event, context):
        try:  # noqa: SIM105
            context.wait(HOUR, name="hour")
        except:  # noqa: E722
            pass
        context.step(lambda _: jobs.order(event["Item"]), name="order")

    return handler


def return_in_finally(jobs):
    def handler(event, context):
        try:
            context.wait(HOUR, name="hour")
        finally:
            return "done"  # noqa: B012

    return handler


def lock(jobs):
    def handler(event, context):
        context.step(lambda _: jobs.did("lock"), name="lock")
        try:
            context.wait(HOUR, name="hour")
        finally:
            jobs.did("unlock")

    return handler


def step_in_step(jobs):
    def handler(event, context):
        context.step(lambda _: context.step(lambda _: jobs.order(event["Item"]), name="inner"), name="outer")

    return handler


def no_timeout(jobs):
    def handler(event, context):
        context.wait_for_callback(lambda callback_id, _: None, name="job")

    return handler


def kept_awake_for_ever(jobs):
    def beat(callback_id):
        jobs.heartbeat(callback_id)
        jobs.later(3600, beat, callback_id)

    def handler(event, context):
        limits = WaitForCallbackConfig(heartbeat_timeout=Duration.from_hours(2))
        context.wait_for_callback(lambda callback_id, _: jobs.later(3600, beat, callback_id), name="job", config=limits)

    return handler


def polls_for_ever(jobs):
    def handler(event, context):
        while True:
            context.wait(HOUR, name="hour")

    return handler


def big_child(jobs):
    def handler(event, context):
        def child(inner):
            jobs.order(event["Item"])
            inner.step(lambda _: None, name="think")
            return "x" * 300_000

        context.run_in_child_context(child, name="child")
        context.wait(HOUR, name="hour")

    return handler


def once_only(jobs):
    def handler(event, context):
        context.step(lambda _: jobs.order(event["Item"]), name="order")
        context.step(lambda _: None, name="think", config=StepConfig(retry_strategy=RetryPresets.none()))
        if len(jobs.effects) > 1:
            raise ValueError("ordered twice")

    return handler


WRONG = [  # (program, how many crashes its shortest story has, words in what is said of it)
    (order_outside, 0, "order A-17 happens outside of a step: it happened in invocation 1, and again in invocation 2."),
    (order_outside_at_the_end, 1, "order A-17 happens outside of a step"),
    (name_outside, 1, "here it has become two"),
    (closure, 1, "order A-17 happened 0 times; without a crash it happens once."),
    (dynamic_name, 1, "came to another operation than the first time: its name was 'think-"),
    (changing_branch, 0, "its type was 'WAIT', and is 'STEP'"),
    (early_return, 1, 'never came to step "think", which it had come to before'),
    (bare_except, 0, 'told to stop at wait "hour", and went on'),
    (return_in_finally, 0, 'told to stop at wait "hour", and went on'),
    (lock, 0, "unlock happens outside of a step"),
    (step_in_step, 0, '"inner", is called inside of a step'),
    (no_timeout, 0, 'waits for callback "job create callback id", and nothing will come: no answer, and no timeout'),
    (polls_for_ever, 0, "went on for 250 invocations"),
    (kept_awake_for_ever, 0, "went on for 366 days, which is the longest that an execution may take"),
    (big_child, 0, "order A-17 happens outside of a step"),
]


@pytest.mark.parametrize("program, crashes, words", WRONG, ids=lambda value: getattr(value, "__name__", ""))
def test_a_wrong_function_is_told_with_the_shortest_story(program, crashes, words):
    exploration = found(program)
    assert not exploration.ok, exploration
    assert words in exploration.why
    assert len(exploration.run.schedule) == exploration.run.crashed == crashes
    assert str(exploration).startswith(exploration.why)


def test_the_story_is_told_in_the_order_in_which_it_happened():
    exploration = found(name_outside)
    lines = exploration.run.tell().splitlines()
    told = [line.split("  ")[-1].split(" ")[0] for line in lines]
    assert told == ["Invocation", "save", "Checkpoint", "CRASH", "Invocation", "start", "Checkpoint", "The"]
    assert "CRASH after checkpoint 1 is stored, before its answer arrives." in lines[3]
    assert "Invocation 2, in a new process, and the handler begins again." in lines[4]
    seconds = [each for each, _ in exploration.run.story]
    assert seconds == sorted(seconds)


def saves_after_start(jobs):
    def handler(event, context):
        def submit(callback_id, _):
            jobs.start("job")
            jobs.save("job", callback_id)

        return waited(context, jobs, "job", submit)

    return handler


def starts_again(jobs):
    def handler(event, context):
        def submit(callback_id, _):
            jobs.save("job", callback_id)
            jobs.start("job", idempotent=False)

        return waited(context, jobs, "job", submit)

    return handler


def answered_once_started_once(run):
    if run.status != "SUCCEEDED":
        return f"It ends with the job's answer; {run.in_words()}."
    started = [effect for effect in run.effects if effect[0] == "start"]
    return f"The job was started {len(started)} times." if len(started) != 1 else None


def test_an_answer_that_comes_during_an_invocation_needs_no_invocation_more():
    assert play(right, {"Item": "A-17"}, world=Early).invocations == 2
    assert play(right, {"Item": "A-17"}, world=Jobs).invocations == 3


def test_the_second_answer_to_a_callback_is_not_taken():
    story = [line for _, line in play(right, {"Item": "A-17"}, world=Twice).story if "is answered" in line]
    assert story == [
        'Callback "job create callback id" is answered.',
        'Callback "job create callback id" is answered, and that does nothing: the callback was over.',
    ]


@pytest.mark.parametrize(("size", "status"), [(262_142, "SUCCEEDED"), (262_143, "FAILED"), (800_000, "FAILED")])
def test_a_large_result_of_a_step_is_refused_as_aws_refuses_it(size, status):
    """Two quotes make a string JSON. Over 768,000 bytes the SDK hangs where nobody mends it."""
    run = play(lambda jobs: lambda event, context: len(context.step(lambda _: "x" * size)), {})
    assert run.outcome[0] == status
    assert ("STEP output payload size" in str(run.outcome)) == (status == "FAILED")


def test_an_answer_that_comes_before_its_callback_is_saved_is_lost():
    exploration = found(saves_after_start, {"after": Jobs, "early": Early}, intended=answered_once_started_once)
    assert exploration.why == "It ends with the job's answer; it failed: CallbackTimeoutError: Callback timed out."
    assert exploration.run.world == "early" and exploration.run.schedule == ()


def test_a_start_whose_answer_got_lost_is_repeated():
    assert found(right, WORLDS, intended=answered_once_started_once, crashes=1).ok
    exploration = found(starts_again, WORLDS, intended=answered_once_started_once)
    assert exploration.why == "The job was started 2 times."
    assert exploration.run.world == "its answer gets lost" and exploration.run.schedule == ()


def test_nothing_is_demanded_of_a_crash_inside_a_step_unless_it_is_asked_for():
    assert found(starts_again, intended=answered_once_started_once).ok
    exploration = found(starts_again, intended=answered_once_started_once, inside=True)
    assert exploration.why == "The job was started 2 times."
    assert [crash.where for crash in exploration.run.schedule] == ["inside"]
    assert found(right, intended=answered_once_started_once, inside=True, crashes=1).ok


def test_before_a_steps_result_is_stored_is_inside_of_it():
    assert found(once_only).ok
    assert "ordered twice" in found(once_only, inside=True, intended=lambda run: run.error and str(run.error)).why


def test_two_crashes_are_found_where_it_takes_two_and_no_more_are_told():
    def program(jobs):
        def handler(event, context):
            for number in range(3):
                context.step(lambda _: None, name=f"think-{number}")
            context.step(lambda _: jobs.order(event["Item"]), name="order")

        return handler

    exploration = found(program, intended=lambda run: "Two crashes." if run.crashed >= 2 else None, crashes=4)
    assert len(exploration.run.schedule) == 2
    assert exploration.played[1] == exploration.known[1]


def test_a_schedule_is_shrunk():
    crashes = tuple(Crash("before", number) for number in range(1, 6))
    needed = {crashes[1], crashes[3]}
    schedule, broke = shrunk(crashes, lambda schedule: needed <= {*schedule} and f"{len(schedule)} crashes")
    assert (set(schedule), broke) == (needed, "2 crashes")


# -- processes --------------------------------------------------------------------------------------------------------


def test_a_crash_during_replay_and_at_the_end_of_an_invocation():
    run = play(right, {"Item": "A-17"}, world=Jobs, schedule=[Crash("end", 1), Crash("before", 5)])
    assert run.crashed == 2 and run.status == "SUCCEEDED", run.tell()
    assert [effect[0] for effect in run.effects] == ["save", "start", "order"]


def test_a_crash_that_cannot_be_is_refused_and_one_that_does_not_come_is_not_counted():
    with pytest.raises(
        ValueError, match="crashes at one of before, after, end, inside and a number from 1, not 'midway', 1"
    ):
        play(right, {"Item": "A-17"}, world=Jobs, schedule=[Crash("midway", 1)])
    run = play(right, {"Item": "A-17"}, world=Jobs, schedule=[Crash("before", 99)])
    assert (run.crashed, run.status) == (0, "SUCCEEDED")


def test_what_a_process_that_has_crashed_still_does_does_not_happen():
    def program(jobs):
        def handler(event, context):
            try:
                context.step(lambda _: None, name="think")
            except:
                jobs.order("in a dead process")
                raise

        return handler

    assert play(program, {}, world=Jobs, schedule=[Crash("after", 1)]).effects == []


def test_a_process_that_has_crashed_cannot_go_on_for_ever():
    def program(jobs):
        def handler(event, context):
            while True:
                try:
                    return context.step(lambda _: "done", name="think")
                except:  # noqa: E722
                    pass

        return handler

    run = play(program, {}, schedule=[Crash("before", 1)], inside=True)
    assert (run.status, run.result, run.invocations) == ("SUCCEEDED", "done", 2)


def test_how_long_a_body_takes_does_not_change_which_checkpoint_is_the_nth():
    def program(jobs):
        def handler(event, context):
            context.step(lambda _: threading.Event().wait(0.3), name="slow")  # the SDK gathers for 0.1 s

        return handler

    marks = [str(crash) for crash, _ in play(program, {}).marks]
    assert marks == [
        "before checkpoint 1 is stored",
        "after checkpoint 1 is stored, before its answer arrives",
        "at the end of invocation 1, before its answer arrives",
    ]


def test_a_handler_that_hangs_is_told_with_its_line(monkeypatch):
    monkeypatch.setattr("workshop.exploring.processes.BUSY_SECONDS", 0.5)

    def program(jobs):
        def handler(event, context):
            context.step(lambda _: None, name="think")
            while True:
                pass

        return handler

    exploration = found(program)
    assert exploration.run.status == "HANGS"
    line = program.__code__.co_firstlineno
    assert exploration.why in [
        f"The handler does not come back: it is at line {line + more} of {os.path.basename(__file__)}, in handler."
        for more in (3, 4)
    ]


def test_a_handler_that_ends_its_process_ends_only_that():
    def program(jobs):
        def handler(event, context):
            if context.step(lambda step: jobs.effects, name="look") == []:
                jobs.did("exit")
                os._exit(1)
            return "gone on"

        return handler

    run = play(program, {}, world=Jobs)
    assert (run.status, run.invocations) == ("FAILED", 5)  # five failed invocations in a row: the runner gives up
    failed = [each for each in run.history if each["EventType"] == "InvocationCompleted"]
    payloads = [each["InvocationCompletedDetails"]["Error"]["Payload"] for each in failed]
    assert {each["ErrorType"] for each in payloads} == {"Runtime.ExitError"}


def test_what_a_handler_prints_is_in_its_story_and_nowhere_else(capsys):
    def program(jobs):
        def handler(event, context):
            print("thinking")
            context.logger.warning("hard")

        return handler

    lines = [line for _, line in play(program, {}).story]
    assert "It prints: thinking" in lines and "It prints: WARNING hard" in lines
    assert capsys.readouterr() == ("", "")


def test_the_sdk_is_as_it_was_afterwards():
    watched = [
        (state.ExecutionState, "stop_checkpointing"),
        (state.ExecutionState, "wrap_user_function"),
        (exceptions.SuspendExecution, "__init__"),
        (time, "sleep"),
        (os, "_exit"),
    ]
    before = [getattr(owner, name) for owner, name in watched]
    found(right, crashes=0)
    assert [getattr(owner, name) for owner, name in watched] == before


def test_somebody_can_end_it():
    def stop(exploration):
        if exploration.played.get(1):
            raise KeyboardInterrupt

    exploration = found(right, progress=stop)
    assert exploration.ok and not exploration.complete
    assert exploration.played[1] == 1


# -- where a handler comes from ---------------------------------------------------------------------------------------


@durable_execution
def decorated(event, context):
    context.wait(HOUR, name="hour")
    return event["Item"]


def test_a_handler_as_it_is_deployed():
    assert found(decorated).ok
    assert play(decorated, {"Item": "A-17"}).result == "A-17"


FILE = """
from aws_durable_execution_sdk_python import durable_execution
from aws_durable_execution_sdk_python.config import Duration
from counting import count
from shop import order

@durable_execution
def lambda_handler(event, context):
    number = count()
    context.step(lambda _: order(event["Item"]), name="order")
    context.wait(Duration.from_hours(1), name="hour")
    return number
"""
COUNTING = """
seen = []

def count():
    seen.append(1)
    return len(seen)
"""


class Shop(World):
    @property
    def modules(self):
        return {"shop": self}

    def order(self, item):
        self.did("order", item)


def test_a_file_is_run_anew_in_each_process_with_the_files_beside_it(tmp_path):
    (tmp_path / "handler.py").write_text(FILE)
    (tmp_path / "counting.py").write_text(COUNTING)
    before = set(sys.modules), sys.path[:]
    # Without a crash the second invocation is in the same process; a crash forgets.
    assert play(tmp_path / "handler.py", {"Item": "A-17"}, world=Shop).result == 2
    run = play(tmp_path / "handler.py", {"Item": "A-17"}, world=Shop, schedule=[Crash("end", 2)])
    assert (run.result, run.effects) == (1, [("order", "A-17")])
    assert "Without a crash it returned 2; here it returned 1." in found(tmp_path / "handler.py", Shop).why
    (tmp_path / "counting.py").write_text("def count():\n    return 7\n")
    assert play(str(tmp_path / "handler.py"), {"Item": "A-17"}, world=Shop).result == 7
    assert found(tmp_path / "handler.py", Shop).ok
    assert "counting" not in sys.modules and "shop" not in sys.modules
    assert sys.path == before[1]


def test_source_text_and_what_is_missing(tmp_path):
    assert play("def lambda_handler(event, context):\n    return event\n", {"N": 1}).result == {"N": 1}
    run = play("x = 1\n", {})
    assert run.error["ErrorMessage"].startswith("the source defines no lambda_handler(event, context)")
    with pytest.raises(FileNotFoundError, match="first run the cell that writes it"):
        play(tmp_path / "nowhere.py", {})


def test_another_function_is_answered_by_the_world():
    class Functions(World):
        def invoke(self, function, payload):
            self.did(function, payload["N"])
            return payload["N"] * 2

    def program(world):
        return lambda event, context: context.invoke("double:$LATEST", {"N": 21}, name="double")

    assert play(program, {}, world=Functions).result == 42
    assert found(program, Functions).ok
    assert "has no function 'double:$LATEST'" in play(program, {}).error["ErrorMessage"]


def test_a_world_that_is_not_played_says_so():
    shop = Shop()
    shop.order("A-17")
    assert shop.effects == [("order", "A-17")]
    with pytest.raises(RuntimeError, match="not being played"):
        shop.succeed("callback")


def test_the_sdk_is_loaded_when_it_is_needed():
    code = "import sys, workshop, workshop.exploring; print([m for m in sys.modules if m.startswith('aws_durable')])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"


def test_the_workshop_loads_neither_boto3_nor_matplotlib_before_they_are_used():
    code = "import sys, workshop; print({'boto3', 'matplotlib'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "set()\n"


def test_a_replay_can_be_drawn_of_what_was_explored():
    run = play(right, {"Item": "A-17"}, world=Jobs, schedule=[Crash("after", 2)])
    assert [len(each.ran) for each in run.replay().invocations] == [1, 1, 0, 1]
    assert run.replay().invocations[0].failed


def test_the_example_of_its_documentation_runs():
    lines = exploring.__doc__.splitlines()
    example = "\n".join(line[4:] for line in lines if line.startswith("    ") or not line)
    exec(example.replace("explore(program", "seen = explore(program"), names := {})
    assert names["seen"].ok and names["seen"].complete


# -- in a notebook ----------------------------------------------------------------------------------------------------

CELL = """
import threading
from workshop.exploring import World, explore

def program(world):
    def handler(event, context):
        print("never seen")
        for number in range(3):
            context.step(lambda _: world.did("step", number), name=f"step-{number}")
    return handler

explored = explore(program, {}, seconds=600, crashes=4, progress=lambda it: it.played.get(3) and print("on and on"))
print(explored.ok, explored.complete, [each.name for each in threading.enumerate() if "dex" in each.name])
"""


def test_in_a_notebook_it_goes_on_until_it_is_interrupted():
    manager, client = start_new_kernel(kernel_name="python3")
    try:
        client.execute(CELL)
        text, interrupted = "", False
        while "True False" not in text:
            message = client.get_iopub_msg(timeout=120)
            assert message["msg_type"] != "error", message["content"]
            text += message["content"].get("text", "")
            if "on and on" in text and not interrupted:
                manager.interrupt_kernel()
                interrupted = True
        assert "True False []" in text and "never seen" not in text
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def test_each_execution_has_request_ids_of_its_own():
    """As on AWS: what is made of one is no key that another execution has, too."""

    def handler(event, context):
        return context.step(lambda _: context.lambda_context.aws_request_id)

    assert play(handler, None).result != play(handler, None).result
