"""Mutants of solutions: which are made, how they are played, and that the checks kill a sample of them."""

import functools
import json
import os
import signal

import pytest
from mutants import making, operators, playing
from mutants.exercises import answer_of, exercises_of
from notebook_files import code, task, write

from workshop import authoring

LABS = playing.solutions()
lab_of = functools.cache(playing.Lab)  # a second of work
of_all_labs = pytest.mark.xdist_group("mutants of all labs")

# -- taking a lab apart -----------------------------------------------------------------------------------------------

ANSWER = """%%writefile start.py
from given import end, keep, start


def handler(event):
    ### BEGIN SOLUTION
    start(event)
    keep(event)
    #: ...
    ### END SOLUTION
    end(event)
"""


def test_an_answer_is_what_a_learner_has_who_solved_it():
    answer = answer_of(ANSWER)
    assert answer.magic == "%%writefile start.py"
    assert answer.code.splitlines()[3:] == [
        "def handler(event):", "    start(event)", "    keep(event)", "    end(event)"
    ]  # fmt: skip
    assert answer.regions == ((5, 6),)
    assert [ANSWER.splitlines()[line - 1] for line in answer.lines] == answer.code.splitlines()
    assert answer.source(answer.code) == authoring._solved(ANSWER) + "\n"


def test_an_exercise_has_the_cells_before_its_answer_and_those_to_its_check(tmp_path):
    solution = write(
        tmp_path / "04-pricing.ipynb",
        code("first", id="one"),
        *_task(1, ANSWER, code("deploy()", id="two")),
        code("look()", id="three"),
        *_task(2, ANSWER),
        code("last", id="four"),
    )
    one, two = exercises_of(solution)
    assert (one.lab, one.number, one.before, one.after) == ("04", 1, ("first",), ("deploy()", "lab.check(1)"))
    assert (two.lab, two.number, two.before, two.after) == ("04", 2, ("look()",), ("lab.check(2)",))


def _task(number, answer, *between):
    """The cells of a task with others before the check."""
    given, check = task(number, answer)
    return given, *between, check


# -- operators --------------------------------------------------------------------------------------------------------

# What each operator makes of a line or two; of mutmut's, only that they are among them.
MADE = [
    ("argument", "f(a, b=1)", ["f(b=1)", "f(a, )"]),
    ("block-unwrapped", "with a:\n    f()", ["f()"]),
    ("condition-changed", "f('A = :a OR attribute_exists(B)')", [
        "f('A = :a')",
        "f('A = :a AND attribute_exists(B)')",
        "f('A <> :a OR attribute_exists(B)')",
        "f('A = :a OR attribute_not_exists(B)')",
    ]),
    ("condition-dropped", "t.put(Item=a, ConditionExpression=b, ExpressionAttributeValues=c)", ["t.put(Item=a, )"]),
    ("condition-dropped",
     "t.put(UpdateExpression=a, ConditionExpression=b, ExpressionAttributeValues=c)",
     ["t.put(UpdateExpression=a, ExpressionAttributeValues=c)"]),
    ("condition-forced", "if a:\n    f()\nelse:\n    g()",
     ["if True:\n    f()\nelse:\n    g()", "if False:\n    f()\nelse:\n    g()"]),
    ("condition-forced", "if a:\n    f()", ["if True:\n    f()"]),
    ("condition-forced", "while a:\n    f()", ["while False:\n    f()"]),
    ("constant", "f(True)", ["f(False)"]),
    ("element-dropped", "a = [b, c]", ["a = [c]", "a = [b]"]),
    ("element-dropped", "a = (b, c)", ["a = (c,)", "a = (b,)"]),
    ("element-dropped", "a, b = c, d", []),
    ("error-name", "a = {'ErrorEquals': ['States.ALL']}",
     ["a = {'ErrorEquals': ['States.TaskFailed']}", "a = {'ErrorEquals': ['States.Timeout']}"]),
    ("except-narrowed", "try:\n    f()\nexcept A:\n    g()", ["try:\n    f()\nexcept NotImplementedError:\n    g()"]),
    ("except-swallowed", "try:\n    f()\nexcept A:\n    g()", ["try:\n    f()\nexcept A:\n    pass"]),
    ("except-swallowed", "try:\n    f()\nexcept A:\n    print(a)", []),
    ("except-widened", "try:\n    f()\nexcept A:\n    g()", ["try:\n    f()\nexcept Exception:\n    g()"]),
    ("except-widened", "try:\n    f()\nexcept Exception:\n    g()", []),
    ("except-widened", "with suppress(A):\n    f()", ["with suppress(Exception):\n    f()"]),
    ("expression-operator", "a = '{% $a <= 1 and $b %}'", ["a = '{% $a < 1 and $b %}'", "a = '{% $a <= 1 or $b %}'"]),
    ("expression-path", "a = '{% $states.input.A.B %}'", [
        "a = '{% $states.input.A.BX %}'", "a = '{% $states.input.A %}'",
        "a = '{% $states.context.Execution.Input.A.B %}'",
    ]),
    ("expression-path", "a = '{% $states.context.Task.Token %}'", [
        "a = '{% $states.context.Task.TokenX %}'", "a = '{% $states.context.Task %}'",
        "a = '{% $states.context.Execution.Id %}'",
    ]),
    ("expression-value", "a = \"{% $b in ['c', 'd'] ? 2 %}\"", [
        "a = \"{% $b in ['c', 'd'] ? 3 %}\"", "a = \"{% $b in ['c', 'd'] ? 1 %}\"",
        "a = \"{% $b in ['cX', 'd'] ? 2 %}\"", "a = \"{% $b in ['d'] ? 2 %}\"",
        "a = \"{% $b in ['c', 'dX'] ? 2 %}\"", "a = \"{% $b in ['c'] ? 2 %}\"",
    ]),
    ("field-dropped", "a = {'A': 1, 'B': 2}", ["a = {'B': 2}", "a = {'A': 1}"]),
    ("handler-dropped", "a = {'A': 1, 'Catch': [b]}", ["a = {'A': 1}"]),
    ("next-exchanged", "a = [{'A': b, 'Next': 'C'}, {'Next': 'D'}]", ["a = [{'A': b, 'Next': 'D'}, {'Next': 'C'}]"]),
    ("next-exchanged", "a = {'Next': 'C', 'Default': 'D'}", ["a = {'Next': 'D', 'Default': 'C'}"]),
    ("not-dropped", "a = not b", ["a = b"]),
    ("number", "f(3)", ["f(4)"]),
    ("number-nought", "f(3)", ["f(0)"]),
    ("operand-dropped", "a = b or c", ["a = b", "a = c"]),
    ("operator", "a = b == c", ["a = b != c"]),
    ("permission-dropped", "a = {'dms:Start': b, 'c': d}", ["a = {'c': d}"]),
    ("resource", "a = 'arn:aws:states:::lambda:invoke.waitForTaskToken'", ["a = 'arn:aws:states:::lambda:invoke'"]),
    ("statement-dropped", "f()\ng()", ["g()", "f()"]),
    ("statement-dropped", "if a:\n    f()\nelse:\n    g()",
     ["if a:\n    f()\nelse:\n    pass", "if a:\n    pass\nelse:\n    g()"]),
    ("statement-dropped", "print(a)\nf()", ["print(a)"]),
    ("statements-exchanged", "f()\ng()", ["g()\nf()"]),
    ("statements-exchanged", "a = 1\nb = 2", []),
    ("statements-exchanged", "def f():\n    g(a)\na = 1", []),
    ("statements-exchanged", "def f():\n    g(a)\na = f()", ["a = f()\ndef f():\n    g(a)"]),
    ("statements-exchanged", "a = 1\nb = a", ["b = a\na = 1"]),
    ("string", "f('a')", ["f('XXaXX')"]),
    ("string", "f(f'a{b}')", ["f(f'XXaXX{b}')"]),
]  # fmt: skip


@pytest.mark.parametrize("operator, before, after", MADE)
def test_an_operator_makes(operator, before, after):
    made = {
        changed.rstrip("\n")
        for name, changed in making._changed(before + "\n", operators.all_operators())
        if name == operator
    }
    assert made == set(after)


def test_each_operator_of_ours_has_a_row():
    assert {name for name, _, _ in operators.OURS} - {operator for operator, _, after in MADE if after} == set()


def test_only_what_the_learner_writes_is_changed(tmp_path):
    (exercise,) = exercises_of(write(tmp_path / "04-pricing.ipynb", *task(1, ANSWER)))
    mutants = making.mutants_of(exercise)
    assert [(mutant.id, mutant.diff) for mutant in mutants] == [
        ("04/1/statement-dropped/7:4", "- start(event)"),
        ("04/1/statements-exchanged/7:4", "- start(event) keep(event) + keep(event) start(event)"),
        ("04/1/statement-dropped/8:4", "- keep(event)"),
    ]  # fmt: skip
    assert mutants[0].cells[0] == answer_of(ANSWER).source(answer_of(ANSWER).code.replace("    start(event)\n", ""))


def test_a_part_may_do_one_thing_less(tmp_path):
    """The cells behind the answer deploy it: of these only permissions are left out."""
    deploys = 'start_may = {"dynamodb:PutItem": items, "dms:StartReplicationTask": "*"}\ndeploy.function(start_may)'
    cells = task(1, ANSWER)
    cells.insert(-1, code(deploys))
    (exercise,) = exercises_of(write(tmp_path / "04-pricing.ipynb", *cells))
    mutants = [mutant for mutant in making.mutants_of(exercise) if mutant.operator == "permission-dropped"]
    assert [mutant.id for mutant in mutants] == [
        "04/1/permission-dropped/+1:1:15",
        "04/1/permission-dropped/+1:1:38",
    ]
    assert mutants[0].cells[0] == exercise.solution and mutants[0].cells[2] == exercise.after[1]
    assert mutants[0].cells[1] == deploys.replace('"dynamodb:PutItem": items, ', "")


@of_all_labs
@pytest.mark.parametrize("path", LABS, ids=lambda path: path.stem)
def test_every_mutant_compiles_and_means_something_of_its_own(path):
    lab = lab_of(path)
    for exercise in lab.exercises.values():
        mutants = [mutant for mutant in lab.mutants.values() if mutant.exercise == exercise.number]
        mutants = [mutant for mutant in mutants if mutant.cells[0] != exercise.solution]  # the others lack a permission
        code_of = [mutant.cells[0].removeprefix(exercise.answer.magic) for mutant in mutants]
        meanings = {making._meaning(source) for source in code_of}
        assert (
            mutants and len(meanings) == len(mutants) and not meanings & {None, making._meaning(exercise.answer.code)}
        )


def test_mutants_and_their_ids_are_always_the_same():
    exercise = lab_of(LABS[0]).exercises[1]
    mutants = making.mutants_of(exercise)
    assert [mutant for mutant in lab_of(LABS[0]).mutants.values() if mutant.exercise == 1] == mutants
    assert len({mutant.id for mutant in mutants}) == len(mutants)


# -- what is known ----------------------------------------------------------------------------------------------------


@pytest.fixture
def lab(tmp_path):
    """A function that makes the Lab of a solution with that answer, whose checks are those of lab 01."""

    def make(answer):
        (tmp_path / "01-polling-loop.ipynb").unlink(missing_ok=True)
        return playing.Lab(write(tmp_path / "01-polling-loop.ipynb", *task(1, answer)))

    return make


def result(lab, name, outcome):
    return playing.Result(name, lab.mutants[name].diff, outcome, "words", 1.0)


def test_a_second_run_plays_what_has_changed(lab, tmp_path):
    one = lab(ANSWER)
    assert len(one.to_play({})[1]) == 3
    known = {one.keys[name]: result(one, name, "killed") for name in one.mutants}
    playing.write_known(one, known, tmp_path)
    assert playing.read_known(one, tmp_path) == known
    assert one.to_play(known) == {} and set(one.results(known)) == set(one.mutants)
    # The mutants' ids and diffs are the same, but not what they do.
    other = lab(ANSWER.replace("end(event)", "stop(event)"))
    assert len(other.to_play(known)[1]) == 3 and other.results(known) == {}
    playing.write_known(other, known, tmp_path)
    assert playing.read_known(other, tmp_path) == {}


def test_the_order_is_drawn_and_always_the_same(lab):
    answer = ANSWER.replace("keep(event)", "\n    ".join(f"keep({n})" for n in range(20)))
    drawn = [mutant.id for mutant in lab(answer).to_play({})[1]]
    assert drawn == [mutant.id for mutant in lab(answer).to_play({})[1]] != list(lab(answer).mutants)


def test_a_listed_mutant_that_is_killed_or_gone_is_said(lab):
    one = lab(ANSWER)
    start, _, keep = one.mutants.values()
    listed = {
        (start.id, start.diff): "killed",
        (keep.id, keep.diff): "right",
        (start.id, "- stop(event)"): "gone",
        ("01/1/statement-dropped/9:10", keep.diff): "moved",
        ("02/1/statement-dropped/9:10", keep.diff): "another lab's",
    }
    results = {start.id: result(one, start.id, "killed"), keep.id: result(one, keep.id, "survived")}
    assert list(playing.faults_of_listed(one, results, listed)) == [
        f"{start.id} is listed, and it was killed: words",
        f"{start.id} is listed, and there is no such mutant any more.",
        "01/1/statement-dropped/9:10 is listed, and there is no such mutant any more; "
        f"there is one like it: {keep.id}.",
    ]


def test_a_listed_mutant_says_why(tmp_path):
    (tmp_path / "listed.toml").write_text('[[mutant]]\nid = "02/1/string/1:1"\ndiff = "- a + b"\nwhy = " "\n')
    with pytest.raises(playing.PlayError, match="02/1/string/1:1 needs an id, a diff and a sentence why"):
        playing.read_listed(tmp_path / "listed.toml")


@of_all_labs
@pytest.mark.parametrize("path", LABS, ids=lambda path: path.stem)
def test_what_is_listed_is_made(path):
    assert list(playing.faults_of_listed(lab_of(path), {}, playing.read_listed())) == []


@of_all_labs
def test_the_sample_has_each_lab_and_each_operator():
    labs = [lab_of(path) for path in LABS]
    samples = [playing.read_sample(lab) for lab in labs]
    assert all(samples)
    played = {mutant.operator for sample in samples for mutants in sample.values() for mutant in mutants}
    assert played == {mutant.operator for lab in labs for mutant in lab.mutants.values()}


@of_all_labs
def test_a_mutant_of_the_sample_is_found_where_its_place_has_moved(tmp_path):
    labs = [lab_of(path) for path in LABS]
    first = next(iter(labs[0].mutants.values()))
    moved = [{"id": first.id.rpartition("/")[0] + "/99:9", "diff": first.diff}]
    (tmp_path / "sample.json").write_text(json.dumps(moved))
    assert playing.read_sample(labs[0], tmp_path / "sample.json") == {first.exercise: [first]}
    (tmp_path / "sample.json").write_text(json.dumps([{**moved[0], "diff": "- gone"}]))
    with pytest.raises(playing.PlayError, match="is in the sample and no longer made"):
        playing.read_sample(labs[0], tmp_path / "sample.json")


# -- playing ----------------------------------------------------------------------------------------------------------


forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="mutants are played in forks")


def play(lab, wanted, workers=1):
    """({id: Result}, {task: fault}) of these mutants."""
    results = {}
    run = playing.Run(lab, wanted, workers, lambda mutant, result: results.update({mutant.id: result}))
    run.play()
    return results, run.faults


PLAYED = """
import time
### BEGIN SOLUTION
kept = 1
sold = 1
### END SOLUTION
"""
CHECK = """
from workshop.labs import NotYet
import os

if kept != 1:
    raise NotYet("It is not kept.", "To keep it.")
if sold == 0:
    os._exit(1)
"""


@forks
def test_a_mutant_survives_is_killed_breaks_or_meets_a_problem(tmp_path):
    """Each begins with the names that were there before the answer, whatever the one before it left."""
    answer, check = task(1, PLAYED)
    check.source = CHECK
    lab = playing.Lab(write(tmp_path / "01-polling-loop.ipynb", code("%load_ext workshop", id="one"), answer, check))
    results, faults = play(lab, lab.to_play({}))
    assert not faults
    told = {result.diff: (result.outcome, result.words) for result in results.values()}
    assert told == {
        "- kept = 1": ("problem", "NameError: name 'kept' is not defined"),
        "- kept = 1 + kept = 2": ("killed", "Exercise None: not yet. It is not kept. To keep it."),
        "- kept = 1 + kept = None": ("killed", "Exercise None: not yet. It is not kept. To keep it."),
        "- sold = 1": ("problem", "NameError: name 'sold' is not defined"),
        "- sold = 1 + sold = 2": ("survived", ""),
        "- sold = 1 + sold = None": ("survived", ""),
    }


BEFORE = """
import os

import boto3

from workshop import Lab, deploy
from workshop.labs import NotYet

lab = Lab("01-polling-loop")
table = boto3.resource("dynamodb").Table(deploy.table(lab.name("kept"), key="Id"))
table.put_item(Item={"Id": "one"})
machine = {"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 3600, "End": True}}}
kept = deploy.state_machine(lab.name("kept"), machine)
stepfunctions = boto3.client("stepfunctions")
"""
LEAVES = """
items, files = table.scan()["Items"], os.path.exists("left")
tables = boto3.client("dynamodb").list_tables()["TableNames"]
running = stepfunctions.list_executions(stateMachineArn=kept, statusFilter="RUNNING")["executions"]
table.put_item(Item={"Id": "two"})
table.delete_item(Key={"Id": "one"})
deploy.table(lab.name("left"), key="Id")
stepfunctions.start_execution(stateMachineArn=kept)
open("left", "w").close()
"""
NOTHING_LEFT = """
if (items, files, tables, running) != ([{"Id": "one"}], False, [lab.name("kept")], []):
    raise NotYet(f"{items} {files} {tables} {running}", "What was there before.")
"""


@forks
def test_what_a_mutant_leaves_in_the_account_and_the_folder_is_gone_for_the_next(tmp_path):
    answer, check = task(1, "### BEGIN SOLUTION\nsold = 1\n### END SOLUTION")
    check.source = NOTHING_LEFT
    before = [code("%load_ext workshop", id="one"), code(BEFORE, id="two")]
    cells = [*before, answer, code(LEAVES, id="three"), check]
    lab = playing.Lab(write(tmp_path / "01-polling-loop.ipynb", *cells))
    results, faults = play(lab, lab.to_play({}))
    assert [(result.outcome, result.words) for result in results.values()] == [("survived", "")] * 2 and not faults


@forks
def test_a_solution_that_is_not_done_is_said_and_not_mutated(tmp_path):
    answer, check = task(1, PLAYED)
    check.source = CHECK.replace("kept != 1", "kept == 1")
    lab = playing.Lab(write(tmp_path / "01-polling-loop.ipynb", code("%load_ext workshop", id="one"), answer, check))
    results, faults = play(lab, lab.to_play({}))
    assert (results, faults) == (
        {}, {1: "The solution is not done: Exercise None: not yet. It is not kept. To keep it."}
    )  # fmt: skip


@forks
def test_an_interrupt_ends_all_and_keeps_what_is_known(tmp_path):
    lab = lab_of(LABS[0], (1,))
    results = {}

    def tell(mutant, result):
        results[mutant.id] = result
        signal.raise_signal(signal.SIGINT)

    run = playing.Run(lab, lab.to_play({}), 2, tell)
    players = run._players
    with pytest.raises(KeyboardInterrupt):
        run.play()
    assert results and len(results) < len(lab.mutants) and not players


@forks
@pytest.mark.takes(60)
@pytest.mark.parametrize("path", LABS, ids=lambda path: path.stem)
def test_the_checks_kill_the_sample(path):
    lab = lab_of(path)
    wanted = playing.read_sample(lab)
    results, faults = play(lab, wanted)
    alive = {name: result for name, result in results.items() if result.outcome not in ("killed", "broken")}
    assert (alive, faults, len(results)) == ({}, {}, sum(map(len, wanted.values())))
