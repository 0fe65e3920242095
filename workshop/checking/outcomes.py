"""What a check says of an exercise that is not done, and why."""

import json
import re

_EVENTS_SHOWN = 6


class Outcome(Exception):
    """An exercise that is not done. As a text it is one line; a notebook shows the few lines of `lines()`."""

    status = ""
    number = None  # of the exercise; set by Lab.check
    offers_solution = False  # set by Lab.check
    seed = None  # of what was drawn; set by the exercise that drew something
    case = None  # the name of the case that shows it, where one does; set by Exercise.check
    turn = None  # of the pair of crashes that shows it, where one does: see Fault; set by Exercise.check

    def details(self) -> list[str]:
        """What there is to say, as a list of lines."""
        return list(self.args)

    def help(self) -> str:
        """What to do next, as one line."""
        number = self.number
        return f"Stuck? Run lab.hint({number})" + (f" or lab.solution({number})." * self.offers_solution or ".")

    def lines(self) -> list[str]:
        lines = [f"Exercise {self.number}: {self.status}", *(f"  {line}" for line in [*self.details(), self.help()])]
        if self.seed is not None:
            lines.append(f"  To play the same again, which counts as no try: {self._again()}")
        return lines

    def _again(self):
        return f"lab.check({self.number}, seed={self.seed})"

    def __str__(self):
        said = " ".join([f"Exercise {self.number}: {self.status}.", *(str(argument) for argument in self.args)])
        return said if self.seed is None else f"{said} {self._again()} plays the same again."

    def _render_traceback_(self):  # IPython asks for this instead of showing our stack
        return self.lines()


class NotAttempted(Outcome):
    """The answer is still blank. NotAttempted("There is no state machine named you-01-start.")"""

    status = "not attempted"

    def help(self):
        return f"Fill in the answer, run its cell, then this one. For a start: lab.hint({self.number})"


class NotYet(Outcome):
    """There is an answer, and it is not right yet.

    observed, missing: a sentence each: what the check saw, and what of the contract that does not meet.
    events: what shows it: lines of text, or events as GetExecutionHistory returns them.
    contract: the contract's sentence, where `missing` is a finer one. whole: whether all events are shown, or the last.
    """

    status = "not yet"

    def __init__(self, observed, missing, events=(), contract=None, whole=False):
        super().__init__(observed, missing)
        self.events = [line_of(event) for event in events or ()][0 if whole else -_EVENTS_SHOWN :]
        self.contract = contract

    def details(self):
        observed, missing = self.args
        contract = [f"Contract: {self.contract}"] if self.contract and self.contract != missing else []
        return [*contract, f"Observed: {observed}", *(f"    {event}" for event in self.events), f"Missing: {missing}"]


class SandboxProblem(Outcome):
    """The check could not look, through no fault of the learner; one sentence says why."""

    status = "could not be checked"

    def help(self):
        return "This is not about your answer. `workshop doctor` in a terminal says what is wrong."


class TooBusy(SandboxProblem):
    """The machine was too busy for what a case has to show. Exercise.check plays the cases again, some times."""


def line_of(event: str | dict) -> str:
    """An event as GetExecutionHistory returns it on one line; a text as it is."""
    if isinstance(event, str):
        return event
    about = next((value for key, value in event.items() if key.endswith("EventDetails")), {})
    told = [str(about[key]) for key in ("name", "resource", "error") if about.get(key)]
    if about.get("cause"):
        told.append(in_words(about["cause"], about.get("error")))
    return f"{event['id']:>3}  " + "  ".join([event["type"], *told])[:150]


# A frame of a traceback, as Lambda tells it, of a file that was deployed.
OWN_FRAME = re.compile(r'\s*File "/var/task/([^"]+)", line (\d+), in \S+\s*(.*)', re.DOTALL)


def in_words(cause: str, error: str | None = None) -> str:
    """A cause as it is. Of a function's error, a JSON object, its message and the line of the function's own.

    error: what the cause is told with; where that is not the class of the function's error, the class is told, too.
    """
    try:
        told = json.loads(cause)
        kind, message = told.get("errorType"), told["errorMessage"]
        frames = [found for frame in told.get("stackTrace", []) if (found := OWN_FRAME.match(frame))]
        where = "".join(f" ({at[1]}, line {at[2]}: {at[3].strip()})" for at in frames[-1:])
        return (f"{kind}: " if kind and kind != error else "") + message + where
    except (ValueError, TypeError, AttributeError, KeyError):
        return cause


def one_line(error: BaseException) -> str:
    """An exception on one line, as a message may quote it."""
    return shortened(" ".join(f"{type(error).__name__}: {error}".split())).rstrip(".")


def shortened(text: str, most: int = 200) -> str:
    """The text, cut where it is longer than a message should quote."""
    return text if len(text) <= most else text[: most - 1] + "…"


def times(number: int) -> str:
    """How often, as a message says it after a verb: "0 times", "once", "twice", "3 times"."""
    return {1: "once", 2: "twice"}.get(number, f"{number} times")


def listed(values, nothing="none") -> str:
    """Values as a message lists them: "1, 2 and 4"."""
    *first, last = map(str, values) if values else [nothing]
    return f"{', '.join(first)} and {last}" if first else last
