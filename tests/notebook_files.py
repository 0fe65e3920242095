"""Small notebooks for tests."""

import nbformat

from workshop.checking.exercises import Exercise


def code(source, *tags, id=None):
    cell = nbformat.v4.new_code_cell(source, metadata={"tags": list(tags)} if tags else {})
    return _named(cell, id)


def markdown(source, *tags, id=None):
    cell = nbformat.v4.new_markdown_cell(source, metadata={"tags": list(tags)} if tags else {})
    return _named(cell, id)


def _named(cell, id):
    if id:
        cell["id"] = id
    return cell


def task(number, answer):
    """The two cells of a task."""
    return [
        code(answer, "answer", f"task-{number}", id=f"answer-{number}"),
        code(f"lab.check({number})", "check", f"task-{number}", id=f"check-{number}"),
    ]


def write(path, *cells):
    """Write a notebook of these cells, and give its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(nbformat.v4.new_notebook(cells=list(cells)), path)
    return path


class Toy(Exercise):
    """An exercise whose check does what the test says: does(lab) returns a sentence or raises an Outcome."""

    def __init__(self, title, hints, stretch=False, does=None):
        self.title, self.hints, self.stretch, self.does = title, hints, stretch, does
        self.seeds = []  # with which it was checked

    def check(self, lab, seed):
        self.seeds.append(seed)
        return self.does(lab)
