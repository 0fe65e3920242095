"""The checks of the labs, a module for each, named after its topic: `polling_loop` for `01-polling-loop`.

A module holds EXERCISES = {1: Start(), 2: ...}; what an exercise is made of stands in `workshop/checking/exercises.py`.
A check looks at live resources (found by `lab.name(thing)`), or calls the learner's own function (`lab.user(name)`). It
never reads the text of an answer, and never tells one.
"""

import dataclasses
import importlib
import os
import types

from workshop.checking.outcomes import (  # noqa: F401  until all labs are in the new way
    NotAttempted,
    NotYet,
    Outcome,
    SandboxProblem,
    one_line,
    shortened,
)


@dataclasses.dataclass(frozen=True)
class Task:
    """title: a few words; hints: sentences, each telling more than the one before; stretch: not needed to be done."""

    title: str
    hints: tuple[str, ...]
    stretch: bool = False


class LabError(ValueError):
    """There is no such lab or exercise; the message says which there are."""

    def _render_traceback_(self):
        return [str(self)]


def exercises_of(notebook: str) -> dict:
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
    if hasattr(found, "EXERCISES"):
        return found.EXERCISES
    return {  # until all labs are in the new way
        number: types.SimpleNamespace(
            title=task.title,
            hints=task.hints,
            stretch=task.stretch,
            check=lambda lab, seed, number=number: getattr(found, f"task_{number}")(lab),
        )
        for number, task in found.TASKS.items()
    }
