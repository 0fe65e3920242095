"""A lab taken apart: what its cells are, and which lines of an answer a learner writes."""

import dataclasses
import re

import nbformat

from workshop import authoring


@dataclasses.dataclass(frozen=True)
class Answer:
    """The answer cell of an exercise, as a learner has it who has solved it.

    magic: its first line where that is a cell magic (`%%writefile start.py`), else "". code: what follows, in Python.
    regions: (first, last) lines of `code` that the learner writes, from 1. lines: for each line of `code`, its number
    in the cell of the solution, where the marks of the regions stand, too.
    """

    magic: str
    code: str
    regions: tuple[tuple[int, int], ...]
    lines: tuple[int, ...]

    def source(self, code):
        """The cell with other code in it."""
        return f"{self.magic}\n{code}" if self.magic else code


@dataclasses.dataclass(frozen=True)
class Exercise:
    """lab: "02"; number; before: the sources of the code cells since the check before; answer; after: the sources
    of the cells from there to the check, which is the last of them, but for those that only run the answer."""

    lab: str
    number: int
    before: tuple[str, ...]
    answer: Answer
    after: tuple[str, ...]

    @property
    def solution(self):
        return self.answer.source(self.answer.code)


def exercises_of(path):
    """The exercises of the solution in that file, in the order of its cells. Each begins where the last one ends."""
    found, cells, answer, number = [], [], None, None
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type != "code" or (answer and cell.id.endswith("-run")):
            continue  # what a learner runs to look at it makes nothing that a check needs
        tags = set(cell.metadata.get("tags", []))
        if "answer" in tags:
            answer, before, cells = answer_of(cell.source), tuple(cells), []
            number = int(next(tag for tag in tags if re.fullmatch(r"task-\d+", tag)).removeprefix("task-"))
            continue
        cells.append(cell.source)
        if "check" in tags and answer:
            found.append(Exercise(path.stem[:2], number, before, answer, tuple(cells)))
            cells, answer = [], None
    return found


def answer_of(source):
    """The Answer in a cell of a solution."""
    code, regions, lines, begun = [], [], [], None
    numbered = list(enumerate(source.splitlines(), start=1))
    magic = numbered.pop(0)[1] if source.startswith("%%") else ""
    for number, line in numbered:
        mark = line.strip()
        if mark == authoring.BEGIN:
            begun = len(code) + 1
        elif mark == authoring.END:
            regions.append((begun, len(code)))
        elif mark != authoring.PROMPT and not mark.startswith(authoring.PROMPT + " "):
            code.append(line)
            lines.append(number)
    return Answer(magic, "\n".join(code) + "\n", tuple(regions), tuple(lines))
