"""How the notebooks teach, as far as a program can see it: their words, their times, their predictions, their links."""

import re
import tomllib

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


# -- times -------------------------------------------------------------------------------------------------------------

WORDS_A_MINUTE, MINUTES_AN_EXERCISE = 180, 5  # and one for a prediction, and one for a line that is written
SECONDS = tomllib.loads((CHECKOUT / "tests" / "seconds.toml").read_text(encoding="utf-8"))


def words(markdown):
    """How many words there are to read: without diagrams, code blocks, pictures, and the addresses of links."""
    text = re.sub(r"^( *)(```+|~~~+).*?^ *\2|!\[[^\]]*\]\([^)]*\)", "", markdown, flags=re.MULTILINE | re.DOTALL)
    return len(re.findall(r"\S*\w\S*", re.sub(r"\]\([^)]*\)|<[^>]+>", " ", text)))


def minutes(name):
    """What a reader needs who is new to it: reading, thinking, writing, and what the cells take."""
    folder, _, notebook = name.partition("/")
    code = [cell for cell in NOTEBOOKS[name].cells if cell.cell_type == "code"]
    thought = sum("= prediction(" in cell.source for cell in code)
    for cell in NOTEBOOKS[f"solutions/{notebook}"].cells if folder == "labs" else []:
        number = next((int(tag[5:]) for tag in cell.metadata.get("tags", []) if tag.startswith("task-")), None)
        if "BEGIN SOLUTION" in cell.source and not exercises_of(notebook)[number].stretch:
            regions = re.findall(r"### BEGIN SOLUTION\n(.*?)### END SOLUTION", cell.source, re.DOTALL)
            lines = [line.strip() for region in regions for line in region.splitlines()]
            thought += MINUTES_AN_EXERCISE + sum(bool(line) and not line.startswith("#: ") for line in lines)
    return words(prose(name)) / WORDS_A_MINUTE + thought + SECONDS[folder][notebook] / 60


def stated(name):
    """All places that say how many minutes it takes: [(where, minutes), ...]."""
    folder, _, notebook = name.partition("/")
    row = re.search(rf"^\| {notebook[:2]} \|.*$", (CHECKOUT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)[0]
    column = {"notebooks": 3, "labs": 4}[folder]
    yield "README.md", int(re.search(r"\d+", row.split("|")[column])[0])
    title = NOTEBOOKS[name].cells[0].source
    yield name, int(re.search(r"(?:\*\*Time\*\* \| |In this notebook\*\* \()(\d+) minutes", title)[1])
    lessons = "\n".join(prose(each) for each in NOTEBOOKS if each.startswith("notebooks/"))
    kind = {"notebooks": rf"lesson \[{notebook}\]\({notebook}\.ipynb\)", "labs": f"then lab {notebook[:2]}"}[folder]
    for found in re.findall(rf"{kind}, (\d+) minutes", lessons):
        yield f"a lesson, of {kind}", int(found)


@pytest.mark.parametrize("name", [name for name in NOTEBOOKS if not name.startswith("solutions/")])
def test_it_takes_as_long_as_it_says(name):
    needed = minutes(name)
    wrong = [(where, said) for where, said in stated(name) if abs(said - needed) > 0.2 * needed]
    assert not wrong, f"It takes {needed:.0f} minutes."


def test_all_of_it_takes_as_long_as_the_readme_says():
    text = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    needed = sum(minutes(name) for name in NOTEBOOKS if not name.startswith("solutions/")) / 60
    assert abs(int(re.search(r"in all (\d+) hours", text)[1]) - needed) <= 0.2 * needed, f"{needed:.1f} hours."


@pytest.mark.parametrize("topics", ["00 01", "03", "04", "05", "06 07"])
def test_an_evening_takes_as_long_as_the_readme_says(topics):
    """An evening of two topics, and all of one topic; 02 has two evenings."""
    text = " ".join((CHECKOUT / "README.md").read_text(encoding="utf-8").split())
    assert "seven evenings of two hours at most, if 00 and 01 share one, 06 and 07 share one, and 02 has two" in text
    names = [name for name in NOTEBOOKS if not name.startswith("solutions/")]
    needed = sum(minutes(name) for name in names if name.partition("/")[2][:2] in topics.split())
    assert needed <= 1.2 * 120, f"{needed:.0f} minutes"
