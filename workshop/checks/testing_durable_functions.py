"""The exercises of lab 06: tests for durable functions that are given without their source.

The check runs the learner's tests against the right function, and against broken ones (broken_functions.py).
"""

import dataclasses
import functools
import re
from collections.abc import Mapping, Sequence

from workshop import deploy, handed_over, scratch
from workshop.checking import resources
from workshop.checking.exercises import Case, Exercise, Fault, contract
from workshop.checking.outcomes import NotAttempted, listed
from workshop.checking.trials import LATE, LIMIT, ORDERS, OTHER_WAY, Account, Trial, plain, tried
from workshop.checking.waiting import side_by_side
from workshop.checks.broken_functions import HERE, IN_ACCOUNT, MIGRATE, OFFERS, POLL, broken, right

SHOWN = 2  # of what got away
ANSWER = "If the function waits for you, start it with run_async, wait for its callback, and answer."

PASSES = "They pass with the right function: twice, and in any order."
QUICK = (
    f"With the right function, none of them waits for more than {LIMIT} seconds, or sleeps for a time to let a "
    "callback come."
)
CATCHES = "With each broken function at least one of them fails."
BOTH = "Each of them runs with both runners."
USEFUL = "Each of them fails with at least one broken function."


@dataclasses.dataclass(frozen=True)
class Tried:
    """What came of a learner's tests: {name of the function, or of the run: Trial}."""

    trials: Mapping[str, Trial]


class Tests(Exercise):
    """An exercise whose answer is a file of tests. function: what is tested. file: its name."""

    function: str
    file: str
    broken: Sequence = ()
    cases = {"right": Case("the right function"), "broken": Case("broken functions")}

    def observe(self, lab, draw, cases):
        folder = scratch.folder_of(lab.name("lab"))
        self._attempted(folder)
        account = self.account(lab, folder)
        here = [row for row in self.broken if not account or row.name not in account.broken]
        sources = {row.name: broken(self.function, row) for row in here}
        endless = {row.name for row in self.broken if row.endless}
        on_right, on_broken = tried(folder, self.file, self.function, right(self.function), sources, account, endless)
        seen = {"right": Tried(on_right)}
        return seen if self.judge(seen) else {**seen, "broken": Tried(on_broken)}

    def account(self, lab, folder) -> Account | None:
        """What of the exercise is in the account."""
        return None

    def _attempted(self, folder):
        try:
            text = (folder / self.file).read_text(encoding="utf-8")
        except FileNotFoundError:
            raise NotAttempted(f"There is no {self.file} yet.") from None
        if any(deploy.BLANK in line and "..." in line for line in text.splitlines()):
            raise NotAttempted(f"There is still a `...` in {self.file}.")

    @contract(PASSES, cases="right")
    def passes(self, seen):
        for name, trial in seen.trials.items():
            if trial.uncollected:
                return Fault(f"pytest cannot collect {self.file}.", events=_shown(trial.uncollected), whole=True)
            if not trial.results and not trial.hung:
                return f"pytest finds no test in {self.file}: the name of a test begins with test_."
            failed = [test for test, result in trial.results.items() if result.outcome == "failed" and not result.limit]
            if failed and name != LATE:
                test, others = failed[0], [other.results.get(failed[0]) for other in seen.trials.values()]
                always = all(other and other.outcome == "failed" for other in others)
                way = "in the other order" if name == OTHER_WAY else f"in another order, {name}"
                how = f", where the tests run {way}" if name in ORDERS and not always else ""
                said = _shown(trial.results[test].said)
                return Fault(f"With the right function {test} fails{how}.", events=said, slow=not always, whole=True)
        return None

    @contract(QUICK, cases="right")
    def quick(self, seen):
        for name, trial in seen.trials.items():
            if trial.hung:
                always = all(other.hung for other in seen.trials.values())
                return Fault(f"{trial.hung} does not come back. A wait needs a limit. {ANSWER}", slow=not always)
            sleeper = next((test for test, result in trial.results.items() if not result.good), None)
            if name == LATE and sleeper:
                result = trial.results[sleeper]
                return Fault(
                    f"{sleeper} sleeps for {round(result.slept, 2):g} s, and fails where the function begins later "
                    "than that. wait_for_callback waits until the callback is there.",
                    slow=result.limit,
                )
            slow = next((test for test, result in trial.results.items() if result.limit), None)
            if slow:
                others = [other.results.get(slow) for other in seen.trials.values()]
                way_out = f"Where time is not skipped, let the event say a few seconds. {ANSWER}"
                always = all(other and other.limit for other in others)
                return Fault(f"{slow} was still waiting after {LIMIT} s. {way_out}", slow=not always)
        return None

    @contract(CATCHES, cases="broken")
    def catches(self, seen):
        away = [row for row in self.broken if not seen.trials[row.name].caught_by]
        if not away:
            return None
        first, *others = [f"{row.name}. {row.hurts}" for row in away[:SHOWN]]
        caught = f"They catch {len(self.broken) - len(away)} of {len(self.broken)} broken functions"
        return Fault(f"{caught}. One that gets away: {first}", events=[f"And another: {each}" for each in others])

    @contract(USEFUL, cases="broken")
    def useful(self, seen):
        ran = [set(map(plain, trial.results)) for trial in seen.trials.values()]
        caught = {plain(test) for trial in seen.trials.values() for test in trial.caught_by}
        idle = sorted(set.intersection(*ran) - caught)
        if idle:
            return f"{listed(idle)} {'passes' if len(idle) == 1 else 'pass'} with each broken function."
        return None

    def says_done(self, seen):
        return f"There are {len(self.broken)} broken functions, and {self.done}"


def _shown(text, most=14):
    """What pytest shows: the places in the learner's own files, and what went wrong there; its last lines, if many."""
    lines, own = [], True
    for line in text.strip("\n").splitlines():
        place = re.match(r"(\S.*):\d+: in ", line)
        own = not re.search(r"[/\\<]", place[1]) if place else own
        if own or line.startswith("E "):
            lines.append(line)
    return lines[-most:]


class Poll(Tests):
    title = "Hours in a second"
    function, file = "poll", "test_poll.py"
    broken = POLL
    hints = (
        "Go through the table of what poll promises, line by line, and ask of each: which of my tests would fail if it "
        "were not so?",
        "A test of the way to the end: let DMS say STARTING, a Throttled, RUNNING, FINISHED. Look at the result, and "
        "at how long get_step('migration') took by the runner's clock.",
        "Tests of other ends: each of BY_HAND, WITH_ERRORS and FAILED; another error than Throttled; RUNNING for more "
        "polls than it may ask. Look at error.type, and at error.message, too.",
    )
    done = "none of them gets past your tests."


class Migrate(Tests):
    title = "Accepted, refused, left alone"
    function, file = "migrate", "test_migrate.py"
    broken = MIGRATE
    hints = (
        "There are three ways in which the wait can end. Begin with the answer: begin, wait_for_callback, "
        "send_callback_success, wait_for_result.",
        "Look at outside.did when it is over: what was done, in which order, and how often? And is the ID in "
        "outside.waits the one that you have answered?",
        "Left alone: begin(seconds=1, status=...), and wait_for_result without an answer, for each of running, failed "
        "and stopped.",
    )
    done = "none of them gets past your tests."


class Offers(Tests):
    title = "A race"
    function, file = "offers", "test_offers.py"
    broken = OFFERS
    hints = (
        "played(answer, 60, skip_time=False): answer is called for each vendor, and need not answer for each of them.",
        "Let each vendor be the one who offers, once, while others decline or say nothing. Look at the result, and at "
        "outside.did.",
        "And a market in which nobody answers, with one second: error.type, and nothing accepted.",
    )
    done = "none of them gets past your tests."


class Both(Tests):
    title = "The same test in the account"
    function, file = "migrate", "test_both.py"
    broken = (*HERE, *IN_ACCOUNT)
    hints = (
        "A fixture with params gets each of them in request.param, and may yield another runner for each.",
        "For the account: yield DurableFunctionCloudTestRunner(the name, the region). There is nothing to close.",
        "run_async with a dict, wait_for_callback, send_callback_success, wait_for_result: the same calls for both. "
        "And one test with TimeoutSeconds 1, to which nobody answers.",
    )
    done = "none of them gets past your tests, neither here nor in the account."

    def account(self, lab, folder):
        deployed = resources.durable_function(lab, self.function)
        sources = {row.name: broken(self.function, row) for row in IN_ACCOUNT}
        names = [lab.name(f"check-{self.function}-{nth}") for nth, _ in enumerate(sources)]
        calls = [
            functools.partial(handed_over.deployed, name, source, folder / "outside.py")
            for name, source in zip(names, sources.values(), strict=True)
        ]
        return Account(deployed, dict(zip(sources, side_by_side(*calls), strict=True)))

    @contract(BOTH, cases="right")
    def both(self, seen):
        used = {}
        for trial in seen.trials.values():
            for test, result in trial.results.items():
                used.setdefault(plain(test), set()).update(result.runners if result.outcome == "passed" else ())
        for test, runners in used.items():
            missing = {"here", "account"} - runners
            if missing:
                kinds = {"here": "DurableFunctionTestRunner", "account": "DurableFunctionCloudTestRunner"}
                return f"{test} uses no {listed([kinds[each] for each in sorted(missing)])}."
        return None


EXERCISES = {1: Poll(), 2: Migrate(), 3: Offers(), 4: Both()}
