"""What the checks of a lab are made of; each lab has its checks in a module of this folder.

A module is named after its lab's topic (`polling_loop` for `01-polling-loop`) and holds

    TASKS = {1: Task("Start the migration", hints=("Look at ...", "The action is ...")), ...}

    def task_1(lab):
        ...look at what is in the account...
        return "The state machine started the replication task."

A check looks at live resources (found by `lab.name(thing)`), or calls the learner's own function (`lab.user(name)`).
It returns one short sentence, the same on every run, where the task is done. Otherwise it raises `NotAttempted` or
`NotYet`. It never tells the answer.
"""

import dataclasses
import importlib
import os

_EVENTS_SHOWN = 6


@dataclasses.dataclass(frozen=True)
class Task:
    """title: a few words; hints: sentences, each telling more than the one before; stretch: not needed to be done."""

    title: str
    hints: tuple[str, ...]
    stretch: bool = False


class Outcome(Exception):
    """A task that is not done. As a text it is one line; a notebook shows the few lines of `lines()`."""

    status = ""
    task = None  # set by Lab.check
    offers_solution = False  # set by Lab.check

    def details(self):
        """What there is to say, as a list of lines."""
        return list(self.args)

    def help(self):
        """What to do next, as one line."""
        return f"Stuck? Run lab.hint({self.task})" + (f" or lab.solution({self.task})." * self.offers_solution or ".")

    def lines(self):
        return [f"Task {self.task}: {self.status}", *(f"  {line}" for line in [*self.details(), self.help()])]

    def __str__(self):
        return " ".join([f"Task {self.task}: {self.status}.", *(str(argument) for argument in self.args)])

    def _render_traceback_(self):  # IPython asks for this instead of showing our stack
        return self.lines()


class NotAttempted(Outcome):
    """The answer is still blank. NotAttempted("There is no state machine named you-01-start.")"""

    status = "not attempted"

    def help(self):
        return f"Fill in the answer, run its cell, then this one. For a start: lab.hint({self.task})"


class NotYet(Outcome):
    """There is an answer, and it is not right yet.

    observed, missing: a sentence each: what the check saw, and what of the task's contract that does not meet.
    events: what of an execution's history shows it: lines of text, or events as GetExecutionHistory gives them.
    """

    status = "not yet"

    def __init__(self, observed, missing, events=()):
        super().__init__(observed, missing)
        self.events = [_line_of(event) for event in events or ()][-_EVENTS_SHOWN:]

    def details(self):
        observed, missing = self.args
        return [f"Observed: {observed}", *(f"    {event}" for event in self.events), f"Missing: {missing}"]


class SandboxProblem(Outcome):
    """The check could not look, through no fault of the learner; one sentence says why."""

    status = "could not be checked"

    def help(self):
        return "This is not about your answer. `workshop doctor` in a terminal says what is wrong."


def _line_of(event):
    if isinstance(event, str):
        return event
    about = next((value for key, value in event.items() if key.endswith("EventDetails")), {})
    told = [str(about[key]) for key in ("name", "resource", "error", "cause") if about.get(key)]
    return f"{event['id']:>3}  " + "  ".join([event["type"], *told])[:150]


class LabError(ValueError):
    """There is no such lab or task; the message says which there are."""

    def _render_traceback_(self):
        return [str(self)]


def checks_of(notebook):
    """The module with the checks of that lab. Raises LabError where there is none.

    WORKSHOP_CHECKS names another package to look in, for labs of your own.
    """
    package = os.environ.get("WORKSHOP_CHECKS", "workshop.checks")
    module = f"{package}.{notebook[3:].replace('-', '_')}"
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        raise LabError(f"There is no lab named {notebook!r}: there is no module {module} with its checks.") from None


def one_line(error):
    """An exception on one line, as a message may quote it."""
    return shortened(" ".join(f"{type(error).__name__}: {error}".split())).rstrip(".")


def shortened(text):
    """The text, cut where it is longer than a message should quote."""
    return text if len(text) <= 200 else text[:199] + "…"
