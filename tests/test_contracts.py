"""What holds of every exercise: each sentence of its contract is in the notebook, and has cases that differ."""

import re

import nbformat
import pytest

from workshop.checking.exercises import Draw
from workshop.checks import exercises_of
from workshop.environments import CHECKOUT

NOTEBOOKS = {  # those that have exercises
    path.stem: path
    for folder in ("notebooks", "solutions")
    for path in (CHECKOUT / folder).glob("*.ipynb")
    if "lab.check(" in path.read_text(encoding="utf-8")
}
EXERCISES = [
    pytest.param(notebook, number, exercise, id=f"{notebook[:2]}-{number}")
    for notebook in sorted(NOTEBOOKS)
    for number, exercise in exercises_of(notebook).items()
]


def words(text):
    """A text as it is compared: on one line, without the signs of a list or of emphasis."""
    return " ".join(re.sub(r"^\s*[-*>|]\s+|\*\*", "", text, flags=re.MULTILINE).split()).lower().rstrip(".,;")


@pytest.mark.parametrize("notebook, number, exercise", EXERCISES)
def test_each_sentence_of_the_contract_stands_in_the_notebook(notebook, number, exercise):
    """In the same words: a refusal quotes it."""
    cells = nbformat.read(NOTEBOOKS[notebook], as_version=4).cells
    told = words("\n".join(cell.source for cell in cells if cell.cell_type == "markdown"))
    missing = [sentence.text for sentence in exercise.contract if words(sentence.text) not in told]
    assert not missing


def without_asides(text):
    """A text without what stands in brackets: it explains, and promises nothing."""
    return re.sub(r"\s*\((?:[^()]|\([^()]*\))*\)", "", text)


@pytest.mark.parametrize("notebook, number, exercise", EXERCISES)
def test_each_point_of_the_notebook_s_contract_is_judged(notebook, number, exercise):
    """All of it: what a point says beside the exercise's sentences is no more than an aside.

    What stands before the points says what there is and what it gets. Where a sentence there says what "it" does, as
    those of contracts do, it is a point, too.
    """
    cells = nbformat.read(NOTEBOOKS[notebook], as_version=4).cells
    contracts = [cell.source for cell in cells if cell.cell_type == "markdown" and "**Contract.**" in cell.source]
    assert len(contracts) == len(exercises_of(notebook))
    contract = contracts[[*exercises_of(notebook)].index(number)].partition("**Contract.**")[2]
    head = re.split(r"(?<=\.)\s+", contract.strip().partition("\n")[0])
    promised = [sentence for sentence in head if re.search(r"\bit\b", sentence, re.IGNORECASE)]
    for point in [*promised, *re.findall(r"^- (?!\*\*)(.+)$", contract, re.MULTILINE)]:
        left = words(without_asides(point))
        for sentence in exercise.contract:
            left = left.replace(words(without_asides(sentence.text)), "")
        assert not left.strip(" ."), point


@pytest.mark.parametrize("notebook, number, exercise", EXERCISES)
def test_each_sentence_has_cases_and_each_case_a_sentence(notebook, number, exercise):
    assert exercise.contract and all(sentence.cases for sentence in exercise.contract)
    assert {case for sentence in exercise.contract for case in sentence.cases} == set(exercise.cases)


@pytest.mark.parametrize("notebook, number, exercise", EXERCISES)
def test_no_parameter_is_tried_with_one_value_only(notebook, number, exercise):
    common = getattr(exercise, "common", {})
    for seed in range(20):
        draw = Draw(seed)
        inputs = [{**common, **draw.values(name, case.input)} for name, case in exercise.cases.items()]
        for parameter in {name for each in inputs for name in each}:
            assert len({repr(each[parameter]) for each in inputs if parameter in each}) > 1, parameter


# Lab and exercise, parameter: why the cases of one sentence need no second value of a parameter that it names.
ONE_VALUE = {
    ("03-5", "TimeoutSeconds"): "two sentences judge the same end, in a case each, of which the values differ",
}


@pytest.mark.parametrize("notebook, number, exercise", EXERCISES)
def test_no_parameter_that_a_sentence_names_is_tried_with_one_value_only(notebook, number, exercise):
    """Whether the value makes a difference in those cases it does not show: that is for answers to show."""
    common = getattr(exercise, "common", {})
    for sentence in exercise.contract:
        tried = {}
        for seed in range(20):
            for name in sentence.cases:
                for parameter, value in {**common, **Draw(seed).values(name, exercise.cases[name].input)}.items():
                    tried.setdefault(parameter, set()).add(repr(value))
        named = {parameter for parameter in tried if f"`{parameter}`" in sentence.text}
        once = {parameter for parameter in named if len(tried[parameter]) == 1}
        assert not {each for each in once if (f"{notebook[:2]}-{number}", each) not in ONE_VALUE}, sentence.text


# What a fault says of what a learner's code sees, and not only of how the fault is made.
OPTIONS = ("code", "reason", "status", "answer")


@pytest.mark.parametrize("notebook, number, exercise", EXERCISES)
def test_no_error_or_status_is_tried_with_one_value_only(notebook, number, exercise):
    """A fault that leaves an option out has the sandbox's default, which is a value, too, beside others."""
    tried = {}
    for seed in range(20):
        for name, case in exercise.cases.items():
            drawn = Draw(seed).case(name, case)
            for fault in [*drawn.faults, *drawn.calls]:
                what = fault.get("fault") or fault["kind"], str(fault.get("operation", ""))
                for option in OPTIONS:
                    tried.setdefault((*what, option), set()).add(fault.get(option))
    # Who refuses always says why, also where it is left out.
    once = {
        what: values
        for what, values in tried.items()
        if len(values) == 1 and (values != {None} or (what[0], what[-1]) == ("refuse", "code"))
    }
    assert not once
