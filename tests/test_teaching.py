"""How the notebooks teach, as far as a program can see it: their words, their times, their predictions, their links."""

import re

import nbformat
import pytest

from workshop import prediction
from workshop.checks import exercises_of
from workshop.environments import CHECKOUT

NOTEBOOKS = {
    f"{path.parent.name}/{path.stem}": nbformat.read(path, as_version=4)
    for folder in ("notebooks", "labs", "solutions")
    for path in sorted((CHECKOUT / folder).glob("*.ipynb"))
}
every_notebook = pytest.mark.parametrize("name", NOTEBOOKS)
every_lesson = pytest.mark.parametrize("name", [name for name in NOTEBOOKS if name.startswith("notebooks/")])


def prose(name):
    """The Markdown of a notebook as one text."""
    return "\n\n".join(cell.source for cell in NOTEBOOKS[name].cells if cell.cell_type == "markdown")


# -- one word for one thing --------------------------------------------------------------------------------------------


@every_notebook
def test_what_a_learner_does_in_a_lab_is_an_exercise(name):
    """A task is Step Functions' Task state, or DMS's replication task."""
    texts = [prose(name)]
    for cell in NOTEBOOKS[name].cells:
        for output in cell.get("outputs", []):
            texts += [output.get("text", ""), *output.get("data", {}).values(), *output.get("traceback", [])]
    assert not re.findall(r"\b(?:[Tt]asks? [1-9]|tasks done).{,40}", "\n".join(map(str, texts)))


LABS = sorted({name.partition("/")[2] for name in NOTEBOOKS if name.startswith("labs/")} | {"00-start-here"})


@pytest.mark.parametrize("lab", LABS)
def test_messages_speak_of_exercises_too(lab):
    for exercise in exercises_of(lab).values():
        cases = [case.about for case in exercise.cases.values()]
        words = [exercise.title, *exercise.hints, *cases, *(each.text for each in exercise.contract)]
        assert not re.findall(r"\b[Tt]asks? [1-9].{,40}", "\n".join(words))


def test_every_word_of_the_glossary_is_linked_from_a_lesson():
    """Where it first appears, or explained there."""
    rows = re.findall(r"^\| \*\*(.+)\*\* \|", prose("notebooks/00-start-here"), re.MULTILINE)
    words = {word for row in rows for word in row.split("**, **")}
    assert len(words) > 20
    link = r"\[([^\]]+)\]\((?:\.\./notebooks/)?00-start-here\.ipynb#Words\)"
    linked = " ".join(re.findall(link, "\n".join(map(prose, NOTEBOOKS)))).lower()
    explained = {"Step Functions", "Lambda", "EventBridge", "DMS", "item", "exercise", "check"}
    assert not [word for word in words - explained if word.lower() not in linked]


# -- predictions -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("values, kept", [
    ((3,), 3), ((2, "FAILED"), (2, "FAILED")), (([1, 2],), [1, 2]), (({"A": "polling"},), {"A": "polling"}), ((0,), 0),
])  # fmt: skip
def test_a_prediction_is_what_was_written(values, kept, capsys):
    assert prediction(*values) == kept and not capsys.readouterr().out


@pytest.mark.parametrize("values, shown", [
    ((...,), "nothing yet"), ((2, ...), "(2, nothing yet)"), (([..., 1],), "[nothing yet, 1]"),
    (({"A": ...},), "{'A': nothing yet}"),
])  # fmt: skip
def test_a_blank_prediction_says_so_and_can_be_shown(values, shown, capsys):
    assert str(prediction(*values)) == shown
    assert capsys.readouterr().out.startswith("You have predicted nothing yet.")


@every_lesson
def test_each_prediction_comes_blank_before_it_is_shown(name):
    code = [cell.source for cell in NOTEBOOKS[name].cells if cell.cell_type == "code"]
    asked = [cell for cell in code if "prediction(" in cell and "import" not in cell]
    assert all(re.fullmatch(r"[\w, ]+ = prediction\(.*\.\.\..*\)(  # .*)?", cell) for cell in asked)
    assert len(asked) >= len(re.findall(r"^### Predict$|\*\*Predict: ", prose(name), re.MULTILINE))
