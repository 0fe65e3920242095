"""The cells of a solution, for tables of answers that are given as cells: read, changed, written, deployed."""

import re

import nbformat

from workshop import authoring, deploy
from workshop.environments import CHECKOUT

_WRITES = re.compile(r"%%writefile (-a )?(\S+)\n(.*)", re.DOTALL)


def of_solution(notebook):
    """The cells of a solved lab, with nothing blank: {id: text}."""
    path = CHECKOUT / "solutions" / f"{notebook}.ipynb"
    return {cell.id: authoring._solved(cell.source) for cell in nbformat.read(path, as_version=4).cells}


def written(texts):
    """The files that cells write with %%writefile, later ones over earlier ones, or behind them: {name: text}."""
    files = {}
    for match in filter(None, map(_WRITES.fullmatch, texts)):
        before = files.get(match[2], "") if match[1] else ""
        files[match[2]] = before + match[3] + "\n"
    return files


def changed(solution, answer):
    """The text of an answer's cell: its own (`text`), or the solution's with `changes`, {text: another}."""
    text = answer.get("text", solution)
    for what, instead in answer.get("changes", {}).items():
        assert what in text, f"{answer['name']}: {what!r} does not stand in the solution"
        text = text.replace(what, instead)
    return text


class Deploy:
    """workshop.deploy, with files from a folder."""

    def __init__(self, folder):
        self._folder = folder

    def __getattr__(self, name):
        return getattr(deploy, name)

    def function(self, name, source, *, modules=(), **options):
        return deploy.function(
            name, self._folder / source, modules=[self._folder / each for each in modules], **options
        )
