"""The checks of the labs, a module or a package for each, named after its topic: `polling_loop` for `01-polling-loop`.

A module holds EXERCISES = {1: Start(), 2: ...}; what an exercise is made of stands in `workshop/checking/exercises.py`.
A check looks at live resources (found by `lab.name(thing)`), or calls the learner's own function (`lab.user(name)`). It
never reads the text of an answer, and never tells one.
"""

import importlib
import os

from workshop.checking.exercises import Exercise


class LabError(ValueError):
    """There is no such lab or exercise; the message says which there are."""

    def _render_traceback_(self):
        return [str(self)]


def exercises_of(notebook: str) -> dict[int, Exercise]:
    """The exercises of that lab, {number: Exercise}. Raises LabError where there are none.

    WORKSHOP_CHECKS names another package to look in, for labs of your own.
    """
    package = os.environ.get("WORKSHOP_CHECKS", "workshop.checks")
    module = f"{package}.{notebook[3:].replace('-', '_')}"
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        raise LabError(f"There is no lab named {notebook!r}: there is no module {module} with its checks.") from None
    return found.EXERCISES
