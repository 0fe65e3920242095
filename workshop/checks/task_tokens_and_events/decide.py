"""Exercise 6: what a history cost, and where polling is still right."""

import dataclasses
import datetime
import math

from workshop.checking.counting import drawn_history, made_up
from workshop.checking.exercises import Case, Exercise, Fault, contract
from workshop.checking.outcomes import NotAttempted, listed, shortened
from workshop.costs.prices import price
from workshop.executions import History


@dataclasses.dataclass(frozen=True)
class Measured:
    """What the learner's function said of a history. what: it is. said: what it returned. late: seconds, truly."""

    what: str
    said: object
    transitions: int
    late: float


JOBS = {"A": False, "B": True, "C": False, "D": True}  # whether polling is right


class Decide(Exercise):
    title = "Compare, and decide"
    hints = (
        "history.transitions and price() are there already; the moment of the last event is "
        'history.events[-1]["timestamp"].',
        "For each job: can the other side tell you when it is done? And would what you save by not asking pay for "
        "a table, two functions, a rule and somebody who understands them?",
    )
    done = "Measured, and decided for four jobs."
    cases = {"known": Case("known histories"), "drawn": Case("drawn histories"), "jobs": Case("four jobs")}

    def observe(self, lab, draw, cases):
        measure, choices = lab.user("measure"), lab.user("polling_is_right")
        blank = [job for job, chosen in choices.items() if chosen is ...] if isinstance(choices, dict) else []
        if blank:
            raise NotAttempted(f"In polling_is_right there is still `...` for {', '.join(blank)}.")
        chance = draw.random("histories")
        drawn = [(f"a drawn history ({nth})", drawn_history(chance)[0]) for nth in (1, 2, 3)]

        def measured(what, events, late):
            history = History("made-up", events)
            ended = events[-1]["timestamp"] - datetime.timedelta(seconds=late)
            return Measured(what, measure(history, ended), history.transitions, late)

        return {
            "known": [measured(*each) for each in _KNOWN],
            "drawn": [measured(*each, chance.randrange(1, 400) / 4) for each in drawn],
            "jobs": choices,
        }

    @contract(
        "The function `measure(history, ended)` returns three numbers: the state transitions of an execution, what "
        "1,000 such executions cost in USD, and how many seconds after `ended`, a moment in time, the execution's last "
        "event came.",
        cases="known, drawn",
    )
    def measures(self, seen: list[Measured]):
        for each in seen:
            try:
                transitions, usd, seconds = (float(number) for number in each.said)
            except (TypeError, ValueError):
                return Fault(
                    f"measure returns {shortened(repr(each.said))}.",
                    "It returns three numbers: transitions, USD for 1,000, seconds late.",
                )
            if transitions != each.transitions:
                return Fault(
                    f"For {each.what} measure returns {transitions:g} state transitions.",
                    f"It returns the {each.transitions} of its history, retries counted.",
                )
            if not math.isclose(usd, price(each.transitions) * 1000, rel_tol=1e-4):
                return Fault(
                    f"For {transitions:g} state transitions measure returns {usd:g} USD for 1,000 migrations.",
                    "1,000 state transitions cost 0.025 USD, and it returns the price of 1,000 migrations.",
                )
            if abs(seconds - each.late) > 0.05:
                when = f"{each.late:.12g} s before" if each.late >= 0 else f"{-each.late:.12g} s after"
                return Fault(
                    f"The job ended {when} the execution did, and measure returns {seconds:.12g}.",
                    "It returns the seconds from the job's end to the last event of the history; a number below 0 "
                    "where that event came first.",
                )

    @contract(
        "`polling_is_right` says for each of these jobs whether polling is (still) right, `True` or `False`.",
        cases="jobs",
    )
    def decides(self, seen):
        if not isinstance(seen, dict) or set(seen) != set(JOBS):
            return Fault(f"polling_is_right is {shortened(repr(seen))}.", f"It is a dict with the keys {listed(JOBS)}.")
        wrong = sum(bool(seen[job]) != right for job, right in JOBS.items())
        if wrong:
            return Fault(
                f"{len(JOBS) - wrong} of {len(JOBS)} jobs are decided as their descriptions suggest.",
                "Polling is right where nobody can tell you, or where it costs next to nothing.",
            )


_POLL = (("Wait", "Pause"), ("Task", "Ask", "TaskScheduled"), ("Choice", "Done?"))
_KNOWN = [  # what it is, its events, seconds late
    (
        "a loop of three passes",
        made_up(("Task", "Start", "TaskScheduled"), *_POLL * 3, ("Succeed", "Done"), step=0.5),
        1.5,
    ),
    ("a state that was answered", made_up(("Task", "Migrate", "TaskScheduled"), ("Succeed", "Done"), step=1.25), 0.25),
    ("a state that was retried twice", made_up(("Task", "Migrate", *["TaskScheduled"] * 3), step=2), 4.0),
    ("a state that heard of the end a day later", made_up(("Task", "Migrate", "TaskScheduled")), 90_000.5),
    ("a state that was answered by hand", made_up(("Task", "Migrate", "TaskScheduled"), ("Succeed", "Done")), -2.5),
]
