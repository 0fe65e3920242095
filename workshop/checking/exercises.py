"""An exercise of a lab: its words, its contract and its cases, in one place.

A check *observes* first: it plays the exercise's cases with the learner's answer and gathers plain data, a record for
each case. Then it *judges*: it goes through the contract, sentence by sentence, and looks at the records of the cases
that tell each sentence from its opposite.

    class Start(Exercise):
        title = "Start the migration from a state machine"
        hints = ("Look at ...", "The action is ...")
        done = "The state machine started the replication task."
        cases = {"new": Case("a migration that had never run"), "other": Case(..., input={"PollSeconds": one_of(1, 2)})}

        def observe(self, lab, draw, cases):
            return {"new": ..., "other": ...}

        @contract("It starts the replication task that its input names.", cases="new, other")
        def starts(self, seen):
            if seen.migration["Status"] == "ready":
                return "The execution succeeded, and the replication task was not started."

A sentence stands in the lab's notebook in the same words. The function below it gets the record of one case and returns
what is wrong: a text, or a Fault where more is to be said; nothing where the sentence is kept. It may rely on all that
the sentences before it have said of that case. It does not look at anything but the record, so it can be tested without
an account.
"""

import contextlib
import dataclasses
import math
import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from workshop import sandbox
from workshop.checking.outcomes import NotAttempted, NotYet, TooBusy, times
from workshop.checking.waiting import CHECK_SECONDS, again_and_again, at_most, here
from workshop.exploring.schedules import TURNS

_OUT_OF_TIME = "Sandbox.Timedout"  # what Lambda calls it where a function has used up its time
LOOKS = 3  # how often a check looks, where a busy machine can make an answer look wrong
SEEDS = 10_000


@dataclasses.dataclass(frozen=True)
class OneOf:
    """A value that is drawn anew for each check."""

    values: Sequence


def one_of(*values) -> OneOf:
    """In a case: one of these values, another one from check to check, so that no answer can rely on it."""
    return OneOf(values)


class Draw:
    """What chance decides in a check. The same seed decides the same, whatever else is drawn.

    used: whether anything was drawn. A seed below SEEDS decides all of it. One above also names the turn of the pair of
    crashes with which an exploration begins: which pairs are played is for the time to decide, and what one of them has
    shown should be shown again.
    """

    def __init__(self, seed: int):
        self.seed, self.used = seed, False

    def random(self, about: str) -> random.Random:
        """Chance for one thing, which is named, so that another thing drawn does not change it."""
        self.used = True
        return random.Random(f"{self.seed % SEEDS} {about}")

    def turn(self) -> int:
        """With which pair of crashes an exploration begins: a turn, as `turn` in workshop/exploring/schedules.py."""
        drawn = self.random("crashes").randrange(TURNS)
        return drawn if self.seed < SEEDS else self.seed // SEEDS - 1

    def seed_with(self, turn: int | None) -> int:
        """The seed that decides the same, and begins with the pair of that turn; None: this one."""
        return self.seed if turn is None else self.seed % SEEDS + SEEDS * (turn + 1)

    def values(self, case: str, parameters: Mapping) -> dict:
        """The parameters of a case, with a value in place of each `one_of`."""
        return {
            name: self.random(f"{case} {name}").choice(value.values) if isinstance(value, OneOf) else value
            for name, value in parameters.items()
        }

    def case(self, name: str, case: "Case") -> "Case":
        """The case of that name, with a value in place of each `one_of` in its input, its faults and its calls."""
        wrong = {
            kind: [self.values(f"{name}, {kind} {nth}:", each) for nth, each in enumerate(getattr(case, kind), start=1)]
            for kind in ("faults", "calls")
        }
        return dataclasses.replace(case, input=self.values(name, case.input), **wrong)


@dataclasses.dataclass(frozen=True)
class Case:
    """One situation in which the learner's answer is seen.

    about: what is special about it, as in "a migration that failed"; it goes into messages.
    input: what the execution gets beside what all get; each value may be `one_of`.
    migration: the kind of its migration, one of workshop.checking.migrations.KINDS.
    play: what happens meanwhile; the exercise's `observe` says how it is called.
    before: what has happened to its migration before the execution begins: gets the migration.
    faults: what goes wrong on purpose with the migration, in this order: {kind, and options}, as workshop.events.fault
        takes them; each value may be `one_of`.
    calls: what goes wrong on purpose with calls about it, as workshop.faults takes them; each value may be `one_of`.
    needs_sandbox: whether it can be made in the sandbox only, since AWS does not go wrong on request. Where it need
        not be, its faults are left out on AWS.
    """

    about: str
    input: Mapping = dataclasses.field(default_factory=dict)
    migration: str = "finishes"
    play: Callable | None = None
    before: Callable | None = None
    faults: Sequence[Mapping] = ()
    calls: Sequence[Mapping] = ()
    needs_sandbox: bool = False


@dataclasses.dataclass(frozen=True)
class Fault:
    """What is wrong.

    observed: a sentence. missing: finer words than the contract's. events: what shows it, whole: all of it.
    slow: whether a busy machine can make it look so; it counts when it is seen again and again.
    turn: of the pair of crashes that shows it, where it takes one; see Draw.
    """

    observed: str
    missing: str | None = None
    events: Sequence | None = None
    slow: bool = False
    whole: bool = False
    turn: int | None = None


@dataclasses.dataclass(frozen=True)
class Sentence:
    """A sentence of a contract, with the names of the cases that tell it from its opposite."""

    text: str
    cases: tuple[str, ...]
    judge: Callable[[Any, Any], str | Fault | None]


def contract(text: str, *, cases: str):
    """The function below judges this sentence of the contract by these cases, names with commas between them."""

    def mark(judge):
        judge.sentence = Sentence(text, tuple(name.strip() for name in cases.split(",")), judge)
        return judge

    return mark


class Exercise:
    """See the module's docstring. contract: the sentences, in the order in which they are judged.

    stretch: whether the lab is done without it. done: what the check says of a right answer, the same in every run.
    at_once: about how many cases are played at a time, and judged before the next are played; all, as a rule.
    pairs: the names of the cases in which two things go wrong, whichever chance draws: what `explore` goes on with.
    """

    title: str
    hints: Sequence[str] = ()
    stretch = False
    at_once = math.inf
    pairs: Sequence[str] = ()
    done: str
    cases: Mapping[str, Case] = {}
    contract: Sequence[Sentence] = ()

    def __init_subclass__(cls):
        super().__init_subclass__()
        found: dict[str, Sentence] = {}
        for kind in reversed(cls.__mro__):
            for name, value in vars(kind).items():
                if isinstance(getattr(value, "sentence", None), Sentence):
                    found[name] = value.sentence
        cls.contract = tuple(found.values())
        for sentence in cls.contract:
            unknown = set(sentence.cases) - set(cls.cases)
            if cls.cases and unknown:
                raise TypeError(f"{cls.__name__} has no case {', '.join(sorted(unknown))}: see {sentence.text!r}.")

    def check(self, lab, seed: int, only: Sequence[str] = ()) -> str:
        """Look whether the exercise is done; returns the sentence that says so, and raises an Outcome otherwise.

        only: the names of the cases to play; all, if there are none.
        """
        draw = Draw(seed)
        with at_most(here(CHECK_SECONDS)):
            try:
                return self._check(lab, draw, only)
            except NotYet as fault:
                fault.seed = draw.seed_with(fault.turn) if draw.used else None
                raise

    def _check(self, lab, draw, only):
        seen = {}
        playable = {name: case for name, case in self.playable().items() if not only or name in only}
        for sentences, cases in self._waves(playable):
            for look in range(LOOKS):
                try:
                    seen |= self.observe(lab, draw, cases)
                except TooBusy:
                    if look == LOOKS - 1:
                        raise
                    continue
                fault, again = self._first_fault(seen, sentences)
                if again is None:
                    break
                cases = {name: playable[name] for name in again.cases if name in playable}
            if fault:
                raise fault
        return "\n".join(filter(None, [self.says_done(seen), self.says_more(seen)]))

    def _waves(self, playable):
        """The sentences that are judged together, with the cases that are played for them, wave after wave."""
        known, sentences, cases = set(), [], {}
        for nth, sentence in enumerate(self.contract, start=1):
            sentences.append(sentence)
            cases |= {name: playable[name] for name in sentence.cases if name in playable and name not in known}
            if len(cases) >= self.at_once or nth == len(self.contract):
                yield sentences, cases
                known |= set(cases)
                sentences, cases = [], {}

    def explore(self, lab, seconds: float, tell: Callable[[str], None]) -> str:
        """Check again and again, each time with another seed, for so many seconds; returns a sentence.

        All cases are played once. Then it goes on with `pairs`, of which there are most, or with all where it has none,
        for as long as there is time for another one like the last.
        tell: shows a text while it goes on, from another thread. Raises an Outcome as `check` does. Ctrl-C ends it, as
        if the time were over.
        """
        began, played, took, stopped = time.monotonic(), 0, 0.0, False
        pairs = [name for name in self.pairs if name in self.playable()]

        def passed():
            return time.monotonic() - began

        def progress():
            done = min(passed(), seconds)
            return f"{bar(done, seconds)}, played {times(played)}"

        with again_and_again(lambda: tell(progress())):
            try:
                while not played or passed() + took <= seconds:
                    since = passed()
                    self.check(lab, random.SystemRandom().randrange(SEEDS), pairs if played else ())
                    played, took = played + 1, passed() - since
            except KeyboardInterrupt:
                stopped = True
        tell(f"[{'#' * 20}] played {times(played)}")
        after = f"Stopped after {passed():.0f} s" if stopped else f"Nothing broke in {passed():.0f} s"
        if not played:
            return f"{after}, before it was played once to its end."
        often = f"it was played {times(played)}" + ", each time with another seed" * (played > 1)
        and_pairs = ", and after the first time only the cases in which two things go wrong"
        and_pairs *= bool(pairs) and played > 1
        return f"{after}: {often}{and_pairs}{'. Nothing broke' if stopped else ''}."

    def observe(self, lab, draw: Draw, cases: Mapping[str, Case]) -> Mapping[str, Any]:
        """Play these cases with the learner's answer; returns a record of each, which is plain data.

        Raises NotAttempted where there is no answer.
        """
        raise NotImplementedError

    def judge(self, seen: Mapping[str, Any]) -> NotYet | None:
        """What the records say: the first sentence of the contract that one of them does not keep, None for none."""
        return self._first_fault(seen, self.contract)[0]

    def _first_fault(self, seen, sentences):
        """(a NotYet or None, the sentence whose cases are to be played again, since a busy machine can look so)."""
        for sentence in sentences:
            for case in sentence.cases:
                if case not in seen:  # it cannot be made in this account
                    continue
                fault = sentence.judge(self, seen[case])
                if fault:
                    fault = fault if isinstance(fault, Fault) else Fault(fault)
                    events = getattr(seen[case], "evidence", ()) if fault.events is None else fault.events
                    missing = fault.missing or sentence.text
                    outcome = NotYet(fault.observed, missing, events, contract=sentence.text, whole=fault.whole)
                    outcome.case, outcome.turn = case, fault.turn
                    out_of_time = _OUT_OF_TIME in f"{fault.observed} {events}"
                    return outcome, sentence if fault.slow or out_of_time else None
        return None, None

    def says_done(self, seen: Mapping[str, Any]) -> str:
        """What the check says of a right answer."""
        return self.done

    def says_more(self, seen: Mapping[str, Any]) -> str:
        """What the check says beside that: how much of what can be played was played; "" where that is all."""
        return ""

    def playable(self) -> dict[str, Case]:
        """The cases that can be played in this account."""
        return {name: case for name, case in self.cases.items() if on_sandbox() or not case.needs_sandbox}

    def unplayed(self) -> str:
        """In a sentence, which cases this account cannot play; "" where it plays all."""
        left = [case.about for name, case in self.cases.items() if name not in self.playable()]
        if not left:
            return ""
        return (
            f"{len(left)} of {len(self.cases)} cases were not played, since AWS does not go wrong on request: "
            f"{'; '.join(left)}. The sandbox plays them."
        )


def require_earlier(lab, draw: Draw, number: int, exercise: Exercise, cases: Sequence[str]):
    """Raise a NotYet where an earlier exercise, of that number, is at fault; these cases of it tell.

    For a check that has seen a fault of what it looks at, which may be the earlier one's.
    """
    cases = {name: case for name, case in exercise.playable().items() if name in cases}
    with contextlib.suppress(NotAttempted):
        fault = exercise.judge(exercise.observe(lab, draw, cases))
        if fault:
            raise NotYet(
                f"This works together with what exercise {number} made, and that is not right yet. {fault.args[0]}",
                f"Mend exercise {number} first: lab.check({number}) says what is missing there.",
                fault.events,
                contract=fault.contract,
            )


def bar(passed: float, seconds: float) -> str:
    """How many of so many seconds have passed, as a bar and in numbers."""
    return f"[{'#' * min(20, round(20 * passed / seconds if seconds else 20)):-<20}] {passed:.0f} of {seconds:g} s"


def on_sandbox() -> bool:
    """Whether things can be made to go wrong on purpose."""
    return sandbox.in_use()
