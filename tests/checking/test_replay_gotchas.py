"""Judging in lab 05, on records and without an account; and that its given functions are as wrong as they should be."""

import re

import nbformat
import pytest

from tests.answers import cells
from workshop.checking.exercises import Draw
from workshop.checking.explorations import Explored, _exchanged, each_in_a_process
from workshop.checks import replay_worlds
from workshop.checks.replay_gotchas import EXERCISES, GOES_ON, REPLAYS
from workshop.environments import CHECKOUT
from workshop.exploring import explore

CELLS = cells.of_solution("05-replay-gotchas")
NUMBERS = pytest.mark.parametrize("number", EXERCISES)


def records(exercise, **broken):
    """Records in which all is well, but in the last case what is said here is broken."""
    seen = {name: Explored(case.about) for name, case in exercise.cases.items()}
    if broken:
        name = list(exercise.cases)[-1]
        seen[name] = Explored(exercise.cases[name].about, **broken)
    return seen


@NUMBERS
def test_where_nothing_is_broken_it_is_done(number):
    assert EXERCISES[number].judge(records(EXERCISES[number])) is None


@NUMBERS
def test_each_sentence_is_refused_by_its_own_name_with_its_story(number):
    exercise = EXERCISES[number]
    for broken, sentence in {**exercise.promises, "replays": REPLAYS}.items():
        refused = exercise.judge(records(exercise, broken=broken, wrong="It did.", story=["line 1", "line 2"]))
        about = list(exercise.cases.values())[-1].about
        assert refused.args == (f"With {about}: It did.", sentence)
        assert refused.events == ["line 1", "line 2"]


@NUMBERS
def test_what_takes_a_crash_is_about_the_last_sentence(number):
    exercise = EXERCISES[number]
    for broken in (*exercise.promises, "replays"):
        refused = exercise.judge(records(exercise, broken=broken, wrong="It did.", crashed=2))
        observed, missing = refused.args
        assert missing == exercise.goes_on
        assert " and two crashes: It did." in observed


def test_only_the_exercise_that_asks_for_a_key_crashes_within_a_step():
    assert [number for number, exercise in EXERCISES.items() if exercise.inside] == [7]
    assert all((exercise.goes_on == GOES_ON) == (not exercise.inside) for exercise in EXERCISES.values())


def test_a_handler_that_does_not_come_back_is_looked_at_again():
    """A slow machine can look like that."""
    seen = records(EXERCISES[1], broken="replays", wrong="It hangs.", hangs=True)
    assert EXERCISES[1]._first_fault(seen, EXERCISES[1].contract)[1] is not None


def explored(number, cell):
    """What exploring the function in that cell with single crashes finds: {case: name of a sentence, or None}."""
    exercise, draw, found = EXERCISES[number], Draw(1), {}
    for name, case in exercise.cases.items():
        made, input = getattr(replay_worlds, case.world), draw.values(name, case.input)
        broken = {}

        def wrong(run, broken=broken):
            broken[id(run)], words = run.acted_on.wrong(run) or (None, None)
            return words

        options = {"crashes": 1, "inside": set(exercise.inside) or False, "seconds": 3600, "strict": False}
        source = CELLS[cell].partition("\n")[2] + "\n"
        result = explore(source, input, world=lambda made=made, input=input: made(input), intended=wrong, **options)
        found[name] = None if result.ok else ("crashes" if result.run.crashed else broken[id(result.run)])
    return found


GIVEN = {
    1: {"a minute": "once", "days": "once"},
    2: {"rises": "decides", "falls": "decides", "moves": "mails", "exact": "mails"},
    3: {"two": "mails", "one": "mails", "three": "mails", "none": None},
    4: {"three": "once", "one": "once", "changes": "once"},
    5: {"large": "tells", "small": "crashes", "one": "crashes"},
    6: {"published": "holds", "another": "holds", "refused": "holds", "no audit": "holds", "busy": "holds"},
    7: {"a minute": "crashes", "days": "crashes"},
}


@NUMBERS
def test_what_is_given_is_wrong_as_it_should_be_and_what_solves_it_is_right(number):
    assert explored(number, f"task-{number}-given") == GIVEN[number]
    assert set(explored(number, f"task-{number}-answer").values()) == {None}


@NUMBERS
def test_the_blank_is_what_was_given_and_a_line_to_delete(number):
    lab = nbformat.read(CHECKOUT / "labs" / "05-replay-gotchas.ipynb", as_version=4)
    [blank] = [cell.source for cell in lab.cells if cell.id == f"task-{number}-answer"]
    assert len(re.findall(r"^ *\.\.\.  # your answer\n\n?", blank, flags=re.MULTILINE)) == 1

    def lines(text):
        return [line for line in text.splitlines() if line.strip() and "..." not in line]

    assert lines(blank) == lines(CELLS[f"task-{number}-given"])


# -- in processes of their own -----------------------------------------------------------------------------------------


def in_processes(folder, number, source):
    """(what exploring this source found in the first case, what is done in another order in another process)."""
    name, case = next(iter(EXERCISES[number].cases.items()))
    cases = {name: {"about": case.about, "world": case.world, "input": Draw(1).values(name, case.input)}}
    (folder / "lambda_function.py").write_text(source)
    here, there = each_in_a_process("workshop.checks.replay_worlds", cases, folder, {}, seed=1, seconds=0)
    return here, _exchanged(here["orders"][name], there["orders"][name])


def solution(number, **changes):
    text = CELLS[f"task-{number}-answer"].partition("\n")[2] + "\n"
    for what, instead in changes.values():
        assert what in text
        text = text.replace(what, instead)
    return text


def test_the_order_of_a_set_is_seen_in_another_process(tmp_path):
    lists = 'context.step(lambda _: outside.tables(), name="tables")'
    here, exchanged = in_processes(tmp_path, 4, solution(4, set=(lists, f"set({lists})")))
    assert here["found"]["three"]["broken"] == ""
    assert exchanged.startswith("In one process it comes to tables, order ")
    here, exchanged = in_processes(tmp_path, 4, solution(4))
    assert (here["found"]["three"]["broken"], exchanged) == ("", None)
    here, exchanged = in_processes(tmp_path, 7, solution(7))  # the key is another one in each process
    assert (here["found"]["a minute"]["broken"], exchanged) == ("", None)


def test_what_the_world_does_not_have_is_named(tmp_path):
    calls = "import boto3\n" + solution(
        1, boto3=("outside.order(", 'boto3.client("s3").list_buckets() and outside.order(')
    )
    here, _ = in_processes(tmp_path, 1, calls)
    assert here["unknown"] == "s3:ListBuckets"
