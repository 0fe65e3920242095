"""A lab as its notebook sees it: `lab = Lab("01-polling-loop")`, then `lab.check(1)`, `lab.hint(1)`, `lab` itself.

What is asked in each exercise, its hints and how its answer is looked at, is in `workshop/checks/`.
"""

import contextlib
import functools
import html
import inspect
import re
import secrets
import sys
import time
import traceback
from pathlib import Path

from botocore.exceptions import ClientError, ConnectionError, HTTPClientError, NoCredentialsError, NoRegionError

from workshop import account, deploy, names, records
from workshop.account import AccountError
from workshop.checking.exercises import SEEDS
from workshop.checking.outcomes import NotAttempted, NotYet, Outcome, SandboxProblem, one_line, shortened
from workshop.checking.waiting import interrupted_when_over
from workshop.checks import LabError, exercises_of
from workshop.environments import CHECKOUT, STATE
from workshop.executions import Line
from workshop.sandbox import SandboxError

__all__ = ["Lab", "LabError", "NotAttempted", "NotYet", "SandboxProblem"]

TRIES = 3  # checks of an exercise until its solution is offered

_SYMBOLS = {"done": "✓", "not yet": "…", "not attempted": "○"}


class Lab:
    """One lab: its names, its exercises and how far the learner is.

    notebook: the name of its notebook, "01-polling-loop".
    checkout: where solutions/ and notebooks/ are.
    """

    def __init__(self, notebook, checkout=CHECKOUT):
        self.notebook = notebook
        self._checkout = Path(checkout)
        self.exercises = exercises_of(notebook)

    def __str__(self):
        return self.notebook

    def name(self, thing):
        """The name of a thing of this lab in the account: lab.name("start") is "you-01-start"."""
        return names.name(self.notebook, thing)

    def check(self, number, *, seed=None):
        """Look whether an exercise is done: print one line if so; raise an Outcome that says what is missing if not.

        seed: of what the check draws, as a refusal says it, to play the same again: that changes no progress.
        """
        exercise = self._exercise(number)
        if account.is_far():
            print(f"Exercise {number} is checked on AWS, which takes minutes where DMS works.", flush=True)
        outcome = self._guarded(
            number, lambda: exercise.check(self, secrets.randbelow(SEEDS) if seed is None else seed)
        )
        done = not isinstance(outcome, Outcome)
        if seed is None:
            with self._entry(number) as entry:
                # Done stays done: the sandbox forgets when it stops, a learner's progress does not.
                if entry.get("status") != "done" and not isinstance(outcome, SandboxProblem):
                    status = "done" if done else outcome.status
                    # A blank is no try: Run All Cells would use them up.
                    entry.update(status=status, tries=entry.get("tries", 0) + (status == NotYet.status))
        if not done:
            outcome.number, outcome.offers_solution = number, not self._tries_left(number)
            raise outcome from None
        print(f"Exercise {number}: done. {outcome}")
        if unplayed := exercise.unplayed():
            print(unplayed)

    def explore(self, number, *, seconds=60):
        """Check an exercise again and again, each time with other values and in another order, and show how far it is.

        Where a function is explored with crashes it goes on with pairs of them.
        Ends after so many seconds, when it was played once at the least, at the first fault (an Outcome, whose seed
        plays it again), or at Ctrl-C. No progress is changed.
        """
        exercise, line = self._exercise(number), Line()
        outcome = self._guarded(number, lambda: exercise.explore(self, seconds, line.show_if_live))
        if isinstance(outcome, Outcome):
            outcome.number = number
            raise outcome from None
        print(outcome)

    def hint(self, number):
        """Show the exercise's hints so far and one more."""
        hints = self._exercise(number).hints
        with self._entry(number) as entry:
            entry["hints"] = min(entry.get("hints", 0) + 1, len(hints))
        for step, hint in enumerate(hints[: entry["hints"]], start=1):
            print(f"Hint {step} of {len(hints)}: {hint}")
        if entry["hints"] < len(hints):
            print(f"For the next one, run lab.hint({number}) again.")
        else:
            print(f"That was the last one. {self._way_to_solution(number)}")

    def solution(self, number):
        """Put the solution into a new cell below, once the exercise is done or was tried three times."""
        self._exercise(number)
        if self._tries_left(number):
            print(f"{self._way_to_solution(number)} For a hint, run lab.hint({number}).")
            return
        _new_cell(self._answer(number, solved=True))
        print(
            f"The new cell is a solution of exercise {number}; yours may differ and be right. To go on with it, put it "
            f"in the place of your answer, and run the cells from there to lab.check({number})."
        )

    def reset(self, number):
        """Put the exercise's answer, blank as it came, into a new cell below, and forget its tries and progress.

        No other exercise is touched, and nothing is deleted.
        """
        self._exercise(number)
        with self._entry(number) as entry:
            entry.clear()
        _new_cell(self._answer(number, solved=False))
        print(
            f"The new cell is the answer of exercise {number} as it came. Put it in the place of yours, and start anew."
        )

    def user(self, name):
        """For checks: what the learner's notebook calls `name`.

        A function comes wrapped: where a blank of the lab still stands in it, or it returns `...`, it is not
        attempted, and an error in it is the learner's.
        Raises NotAttempted where there is nothing of that name, or it is still `...`.
        """
        namespace = self._namespace()
        if name not in namespace:
            raise NotAttempted(f"There is no {name} in this notebook yet.")
        if namespace[name] is ...:
            raise NotAttempted(f"{name} is still `...`.")
        return _guarded(name, namespace[name]) if callable(namespace[name]) else namespace[name]

    def _namespace(self):
        shell = _shell()
        return shell.user_ns if shell else vars(sys.modules["__main__"])

    def __repr__(self):
        done, of = self._count()
        bar = "#" * round(20 * done / of) if of else ""
        rows = (f"  {n}  {status:<13}  {title}" for n, status, title in self._rows())
        return "\n".join([f"Lab {self.notebook}: {done} of {of} exercises done [{bar:-<20}]", *rows])

    def _repr_html_(self):
        # No colours of our own, so it is as readable as the reader's theme; every symbol stands beside its word.
        done, of = self._count()
        rows = "".join(
            f"<li>{_SYMBOLS[status]} Exercise {n}, {status}: {html.escape(title)}</li>"
            for n, status, title in self._rows()
        )
        return (
            f"<div><strong>Lab {self.notebook}</strong>: {done} of {of} exercises done "
            f'<progress max="{of}" value="{done}" aria-label="exercises done">{done} of {of}</progress></div>'
            f'<ul style="list-style: none">{rows}</ul>'
        )

    def _rows(self):
        progress = records.read("progress").get(self.notebook, {})
        for number, exercise in self.exercises.items():
            status = progress.get(str(number), {}).get("status", "not attempted")
            yield number, status, exercise.title + " (stretch)" * exercise.stretch

    def _count(self):
        needed = [status for number, status, _ in self._rows() if not self.exercises[number].stretch]
        return needed.count("done"), len(needed)

    def _exercise(self, number):
        if number not in self.exercises:
            there_are = ", ".join(map(str, self.exercises))
            raise LabError(f"Lab {self.notebook} has no exercise {number!r}. Its exercises are {there_are}.")
        return self.exercises[number]

    @contextlib.contextmanager
    def _entry(self, number):
        """What is remembered of an exercise, to be changed in a `with` block: its status, tries and hints, if any."""
        with records.change("progress") as progress:
            yield progress.setdefault(self.notebook, {}).setdefault(str(number), {})

    def _tries_left(self, number):
        entry = records.read("progress").get(self.notebook, {}).get(str(number), {})
        return 0 if entry.get("status") == "done" else max(0, TRIES - entry.get("tries", 0))

    def _way_to_solution(self, number):
        left = self._tries_left(number)
        if not left:
            return f"The solution is there too: lab.solution({number})."
        return (
            f"lab.solution({number}) shows a solution once the exercise is done, or after {left} more "
            f"{'try' if left == 1 else 'tries'}. A try is a lab.check({number}) of an answer that is not blank."
        )

    def _answer(self, number, solved):
        from workshop import authoring  # only here: reading notebooks takes a while to import

        for folder in ("solutions", "notebooks"):
            path = self._checkout / folder / f"{self.notebook}.ipynb"
            if path.exists():
                return authoring.answer(path, number, solved)
        raise LabError(f"The solution of {self.notebook} is not here: solutions/{self.notebook}.ipynb is missing.")

    def _guarded(self, number, look):
        """What a look at an answer says: its sentence, or an Outcome, whatever goes wrong."""
        try:
            account.require()
            return look()
        except Outcome as outcome:
            return outcome
        except (SandboxError, AccountError) as problem:
            return SandboxProblem(str(problem))
        except (ConnectionError, HTTPClientError):
            return SandboxProblem("The account does not answer. Run the notebook again from its first cell.")
        except (NoCredentialsError, NoRegionError):
            return SandboxProblem("This notebook lost its account. Run it again from its first cell.")
        except Exception as error:
            if denied := _denied(error):
                return SandboxProblem(f"The account does not allow what the check needs: {denied}")
            log = _log(f"{self.notebook}, exercise {number}")
            return SandboxProblem(f"The check itself failed with {one_line(error)}. The details are in {log}.")


def _denied(error):
    """AWS's sentence where an account refused a call, which names the action; None for any other error."""
    told = error.response["Error"] if isinstance(error, ClientError) else {}
    return told["Message"] if "AccessDenied" in told.get("Code", "") else None


def _shell():
    """IPython's shell, None in plain Python."""
    ipython = sys.modules.get("IPython")
    return ipython.get_ipython() if ipython else None


def _new_cell(source):
    shell = _shell()
    if shell:
        shell.set_next_input(source, replace=False)
    else:
        print(source)


def _source(function):
    """The text of a function as it stands in its cell; "" where that is not known."""
    try:
        return inspect.getsource(function)
    except (OSError, TypeError):
        return ""


def _guarded(name, function):
    source = _source(function)

    @functools.wraps(function)
    def call(*arguments, **keywords):
        if deploy.is_signed_blank(source):
            raise NotAttempted(f"There is still a `...` in {name}.")
        try:
            with interrupted_when_over(name):
                value = function(*arguments, **keywords)
        except (Outcome, ConnectionError, HTTPClientError, SandboxError):
            raise
        except (Exception, SystemExit) as error:
            if not source and isinstance(error, TypeError) and "ellipsis" in str(error):
                raise NotAttempted(f"There is still a `...` in {name}.") from None
            given = ", ".join([*map(repr, arguments), *(f"{key}={value!r}" for key, value in keywords.items())])
            observed = f"{name}({shortened(given)}) raised {one_line(error)}."
            raise NotYet(observed, "The call ends without an error.") from None
        if value is ...:
            raise NotAttempted(f"{name} still returns `...`.")
        return value

    return call


def _log(about):
    path = (records.folder() or STATE) / "checks.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a", encoding="utf-8") as log:
        log.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {about}\n{traceback.format_exc()}\n")
    return re.sub(r"^.*?/(?=\.workshop/)", "", path.as_posix())
