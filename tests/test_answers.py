"""Each task's check refuses wrong answers with words that fit, and takes right ones, however they are written.

The answers are data: `answers/<topic>.py`. Each is given by a learner of its own, and checked as in a notebook. Where
an answer takes more than a cell, its module says how: `give(lab, task, answer, scratch)`, with an empty folder as
scratch; `prepare()`, what all of them share; and `take_back(lab)`, what would disturb others.

A wrong answer is given to the one case that shows it, as `answers/shown_by.json` notes; where that says another thing
now, or nothing is noted, to the whole check. pytest's option `--whole` gives each to the whole check, and notes the
cases anew, as `make test-all` does. Each right answer is given to the whole check always; a solution as it stands is
left to `notebooks/test_solutions.py` where the seed is 1.

`make test ONLY=answers TABLE=file.py LAB=02` gives a lab's checks the answers of another table.
"""

import concurrent.futures
import contextlib
import functools
import json
import runpy
import threading
import types
import warnings
from pathlib import Path

import boto3
import pytest
from answers import (
    callback_urls,
    durable_functions,
    polling_loop,
    replay_gotchas,
    start_here,
    task_tokens_and_events,
    testing_durable_functions,
)

from workshop import deploy, labs
from workshop.checking import exercises, explorations, waiting
from workshop.checks import exercises_of
from workshop.checks import replay_gotchas as checks_of_replay_gotchas
from workshop.migrations import migration

pytestmark = pytest.mark.takes(60)

MODULES = {
    "00-start-here": start_here,
    "01-polling-loop": polling_loop,
    "02-task-tokens-and-events": task_tokens_and_events,
    "03-callback-urls": callback_urls,
    "04-durable-functions": durable_functions,
    "05-replay-gotchas": replay_gotchas,
    "06-testing-durable-functions": testing_durable_functions,
}
MACHINES = {"01-polling-loop": {1: "start", 2: "poll", 3: "loop", 4: "loop", 5: "backoff"}}
SHOWN_BY = Path(__file__).parent / "answers" / "shown_by.json"  # {"lab-exercise": {an answer's name: a case's}}
DONE = ("done", "", None)
TIMES = 3
SIDE_BY_SIDE = 16  # cases at a time, of one check or of many: they mostly wait
AT_WORK = {"06-testing-durable-functions": 8}  # the processes of a case that does not wait, but is at work


class Learner(labs.Lab):
    """The lab of a learner whose notebook knows these names."""

    def __init__(self, notebook, learner, namespace):
        super().__init__(notebook)
        self._learner, self._names = learner, namespace

    def name(self, thing):
        # What migrations run between is nobody's answer: those of a lab share it.
        who = "answers" if thing.startswith("check-stage-") else self._learner
        return f"{who}-{self.notebook[:2]}-{thing}"

    def _namespace(self):
        return self._names

    def said(self, number, seed, only=()):
        """DONE, or the outcome's status, its text, and the name of the case that shows it.

        only: the names of the cases to play; a check as a learner has it, of all of them, if there are none.
        """
        if only:
            outcome = self._guarded(number, lambda: self._exercise(number).check(self, seed, only))
            if not isinstance(outcome, labs.Outcome):
                return DONE
            outcome.number = number
        else:
            try:
                self.check(number, seed=seed)
                return DONE
            except labs.Outcome as refusal:
                outcome = refusal
        return outcome.status, str(outcome), outcome.case


def pytest_generate_tests(metafunc):
    if "table" in metafunc.fixturenames:
        metafunc.parametrize("notebook, number, table", tables(metafunc.config))


def tables(config):
    """(lab, exercise, its answers) of all there is to give: ours, or those of the table that the command names."""
    if not config.getoption("table"):
        return [
            pytest.param(notebook, number, answers, id=f"{notebook}-{number}")
            for notebook, module in MODULES.items()
            for number, answers in module.ANSWERS.items()
        ]
    lab = config.getoption("lab")
    notebook = next((name for name in MODULES if lab and name.startswith(lab)), None)
    if not notebook:
        raise pytest.UsageError(f"--lab says whose answers a table has, such as 02; it is {lab or 'missing'}.")
    # What else it has, a `give` of its own, say, comes in the place of ours.
    module = types.SimpleNamespace(**(vars(MODULES[notebook]) | runpy.run_path(config.getoption("table"))))
    MODULES[notebook] = module
    return [pytest.param(notebook, number, rows, id=f"{notebook}-{number}") for number, rows in module.ANSWERS.items()]


@functools.cache
def shown_by():
    return json.loads(SHOWN_BY.read_text(encoding="utf-8"))


@pytest.fixture
def patient(monkeypatch, tmp_path):
    """Checks that are given dozens of answers side by side."""
    monkeypatch.setenv("WORKSHOP_RECORDS", str(tmp_path))
    monkeypatch.setattr(exercises, "CHECK_SECONDS", 600)  # it takes longer so, and others are checked meanwhile
    monkeypatch.setattr(explorations, "PATIENCE", 300)  # of what was not explored in time a check says nothing
    # Dozens of cases wait at a time here: they look less often than those of one check, which is most of what they do.
    monkeypatch.setattr(waiting, "SHORTEST", 3 * waiting.SHORTEST)
    monkeypatch.setattr(waiting, "LONGEST", 2 * waiting.LONGEST)
    # All single crashes are explored, which find these answers. Pairs of them take seconds, and are for learners.
    monkeypatch.setattr(explorations, "PAIRS_SECONDS", 0)
    monkeypatch.setattr(checks_of_replay_gotchas, "SECONDS", 0)


def test_answers_have_names_of_their_own_and_wrong_ones_say_which_words_fit(request):
    for notebook, module in MODULES.items():
        for number, answers in module.ANSWERS.items():
            names = [answer["name"] for answer in answers]
            assert len(set(names)) == len(names), (notebook, number)
            silent = [each["name"] for each in answers if each.get("says", "done") != "done" and not each.get("words")]
            assert not silent, (notebook, number)
            noted = {} if request.config.option.table else shown_by().get(f"{notebook}-{number}", {})
            assert set(noted) <= set(names), (notebook, number)


class Room:
    """Room for so many cases at a time, in the order in which it is asked for; for one check there is always room."""

    def __init__(self, places):
        self._places, self._taken = places, 0
        self._turn, self._left = threading.Lock(), threading.Condition()

    @contextlib.contextmanager
    def for_some(self, cases):
        cases = min(cases, self._places)
        with self._turn, self._left:
            self._left.wait_for(lambda: self._taken + cases <= self._places)
            self._taken += cases
        try:
            yield
        finally:
            with self._left:
                self._taken -= cases
                self._left.notify()


def test_answers(account, tmp_path, patient, note_cases, request, notebook, number, table):
    """Each answer is judged alike whatever a check draws; another seed than 1 is for the command line to say."""
    options = request.config.option
    if options.seed == 1 and not options.table and not options.whole:
        # The solutions as they stand are run and checked by notebooks/test_solutions.py.
        table = [answer for answer in table if answer.keys() != {"name"}]
    noted = {} if options.table or options.whole else shown_by().get(f"{notebook}-{number}", {})
    getattr(MODULES[notebook], "prepare", lambda: None)()

    room, of_all = Room(SIDE_BY_SIDE), len(exercises_of(notebook)[number].cases)

    def judge(learner, answer):
        case = noted.get(answer["name"])
        with room.for_some(AT_WORK.get(notebook, 1) * (1 if case else of_all)):
            return judged(notebook, number, learner, answer, tmp_path, options.seed, [case] if case else [])

    learners = [f"answer-{number}-{nth}" for nth, _ in enumerate(table)]
    with concurrent.futures.ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        said = [*pool.map(judge, learners, table)]
    if options.whole and not options.table:
        shows = {answer["name"]: case for answer, (*_, case) in zip(table, said, strict=True) if case}
        alone = alone_says(notebook, number, table, shows.values(), tmp_path)
        note_cases({f"{notebook}-{number}": {name: case for name, case in shows.items() if alone[case] == DONE}})
    wrong = [fault for answer, outcome in zip(table, said, strict=True) for fault in faults(answer, *outcome)]
    assert not wrong, "\n".join(wrong)


@pytest.mark.long
def test_a_case_that_shows_wrong_answers_takes_the_solution(
    account, tmp_path, patient, request, notebook, number, table
):
    """Or it would refuse them whatever they are."""
    if request.config.option.table:
        pytest.skip("the cases are noted for the tables of tests/answers")
    cases = set(shown_by().get(f"{notebook}-{number}", {}).values())
    getattr(MODULES[notebook], "prepare", lambda: None)()
    assert alone_says(notebook, number, table, cases, tmp_path) == dict.fromkeys(cases, DONE)


def alone_says(notebook, number, table, cases, folder):
    """What each of these cases alone says of the solution."""
    solution = next(answer for answer in table if answer.get("says", "done") == "done")
    with given(notebook, number, "answer-alone", solution, folder) as lab:
        return {case: lab.said(number, 1, [case]) for case in sorted(set(cases))}


def judged(notebook, number, learner, answer, folder, seed, only):
    """What the check says of this answer: by these cases if they say what it should be, else by all.

    A check that could not look has said nothing of it, and is asked again, three times in all. A warning tells each
    time.
    """
    for time in range(TIMES):
        said = check(notebook, number, f"{learner}-{time}", answer, folder, seed, only)
        wrong = list(faults(answer, *said))
        if not wrong or (said[0] != labs.SandboxProblem.status and not only):
            break
        warnings.warn(f"{notebook}, {number}, try {time + 1}, by {only or 'all cases'}: {wrong[0]}", stacklevel=1)
        only = []
    return said


def check(notebook, number, learner, answer, folder, seed=1, only=()):
    """What the check of that task says of this answer: see Learner.said."""
    with given(notebook, number, learner, answer, folder) as lab:
        return lab.said(number, seed, only)


@contextlib.contextmanager
def given(notebook, number, learner, answer, folder):
    """The lab of a learner who has given this answer."""
    lab = Learner(notebook, learner, {"boto3": boto3})
    scratch = folder / learner
    scratch.mkdir()
    getattr(MODULES[notebook], "give", give)(lab, number, answer, scratch)
    try:
        yield lab
    finally:
        getattr(MODULES[notebook], "take_back", lambda lab: None)(lab)
        end_processes(lab.name(""))


def end_processes(prefix):
    """Delete the functions with these names, so that their processes leave room for those of others."""
    functions = boto3.client("lambda")
    for page in functions.get_paginator("list_functions").paginate():
        for function in page["Functions"]:
            if function["FunctionName"].startswith(prefix):
                functions.delete_function(FunctionName=function["FunctionName"])


def give(lab, number, answer, scratch):
    """Give an answer that is a cell's code, a state machine or a few functions."""
    if "code" in answer:
        lab._names["table"] = deploy.table(lab.name("airports"), key="iata")
        exec(answer["code"], lab._names)
    if "machine" in answer:
        machine = answer["machine"]
        if "helper" in answer:  # a function or a state machine that it uses
            machine = json.loads(json.dumps(machine).replace(polling_loop.HELPER, helper(lab, answer["helper"])))
        try:
            deploy.state_machine(
                lab.name(MACHINES[lab.notebook][number]),
                with_airports(machine, lab),
                permissions=answer.get("permissions", polling_loop.PERMISSIONS),
            )
        except deploy.DeployError as error:  # as a learner sees it, who then runs the check
            print(error)
    exec(answer.get("functions", ""), lab._names)


def helper(lab, made_of):
    """The ARN of what an answer's state machine uses: a function from its source, or another state machine."""
    if isinstance(made_of, str):
        return deploy.function(lab.name("helper"), made_of, permissions=polling_loop.PERMISSIONS)
    return deploy.state_machine(lab.name("helper"), made_of, permissions=polling_loop.PERMISSIONS)


def with_airports(machine, lab):
    """The definition with the learner's own migration in it, where it names that."""
    if polling_loop.AIRPORTS not in str(machine):
        return machine
    arn = migration(lab.name("airports"), rows=400, rows_per_second=100).arn
    return json.loads(json.dumps(machine).replace(polling_loop.AIRPORTS, arn))


def faults(answer, status, text, *_):
    """What is wrong with what a check said: one line, or none."""
    expected, words = answer.get("says", "done"), answer.get("words", "")
    if (status, words in text) != (expected, True):
        yield f"{answer['name']}: should be {expected} with {words!r}, and was {status}: {text}"
