"""A learner's tests, tried with pytest against a durable function: the right one, and broken ones.

The tests run in processes of their own, where another function stands each time in the module that they import. What
happened is plain data, a `Trial` for each function. Nobody waits for a test for longer than a limit: what it waits
for with the test runner of the SDK, and what it sleeps, is cut off there.
"""

import concurrent.futures
import contextlib
import dataclasses
import functools
import importlib
import io
import json
import math
import os
import py_compile
import queue
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from workshop.checking import apart
from workshop.checking.outcomes import SandboxProblem, TooBusy
from workshop.checking.waiting import side_by_side

LIMIT = 5  # seconds for which a test may wait or sleep where the function is right
OTHER_WAY, LATE, AGAIN = "the other way round", "late", "again"
# In the last two, of three tests or more, none comes after the one that it comes after as written.
ORDERS = {
    OTHER_WAY: lambda tests: tests[::-1],
    "every second one first": lambda tests: [*tests[1::2], *tests[::2]],
    "every second one last": lambda tests: [*tests[::2], *tests[1::2]],
}
ON_RIGHT = ("as written", *ORDERS, *(f"time {nth}" for nth in range(5, 9)))  # each in a process of its own
EACH = 2  # broken functions for a process: it mostly waits
A_MOMENT, MOMENTS = 0.02, 3  # seconds by which an invocation begins later; how many of them, in each test
STALLS = 20  # seconds after which a test does not come back
PATIENCE = 60  # seconds, for one process
LONGER = 2  # how many times as long a test gets with a function that is looked at again
_BROKEN = "broken: "
# What Python itself waits in for those who call it.
_WAITING = (threading.__file__, queue.__file__, os.path.dirname(concurrent.futures.__file__))
_TOO_LONG = "Running the tests took too long. Is this machine busy? Try again later."


@dataclasses.dataclass(frozen=True)
class Result:
    """How one test ended. outcome: "passed", "failed" or "skipped". said: what pytest shows of a failure.

    limit: whether it was cut off at its limit. waited, slept: seconds. runners: "here", "account": those of the SDK's
    test runners with which it has begun an execution.
    """

    outcome: str
    said: str = ""
    limit: bool = False
    waited: float = 0.0
    slept: float = 0.0
    runners: Sequence[str] = ()

    @property
    def good(self):
        return self.outcome != "failed" and not self.limit


@dataclasses.dataclass(frozen=True)
class Trial:
    """What came of the tests against one function: {test: Result}, in the order in which they ran.

    uncollected: what pytest shows where it could not collect the tests. hung: the test that did not come back.
    """

    results: Mapping[str, Result] = dataclasses.field(default_factory=dict)
    uncollected: str = ""
    hung: str = ""

    @property
    def good(self) -> bool:
        """Whether there are tests, and all are well."""
        ended = bool(self.results) and not self.uncollected and not self.hung
        return ended and all(result.good for result in self.results.values())

    @property
    def caught_by(self) -> list[str]:
        """The tests that failed, or ran into their limit."""
        return [name for name, result in self.results.items() if not result.good] + [self.hung] * bool(self.hung)

    @property
    def cut_off(self) -> bool:
        """Whether nothing but the time that a test took has caught the function. A busy machine can look so."""
        failed = (result for result in self.results.values() if not result.good)
        return bool(self.caught_by) and all(result.limit for result in failed)


@dataclasses.dataclass(frozen=True)
class Account:
    """Where tests find functions in the account.

    right: the name of the right one. broken: {name: that of a broken one}. variable: of the environment of the tests,
    in which the name of the function stands.
    """

    right: str
    broken: Mapping[str, str]
    variable: str = "FUNCTION"


def tried(
    folder: Path,
    file: str,
    module: str,
    right: str,
    broken: Mapping[str, str],
    account: Account | None = None,
    endless: Collection[str] = (),
):
    """Try the tests in `file` against the right function, and then against broken ones, in a few processes.

    folder: where the file is, with what it imports. module: what the tests import the function from. right, broken:
    sources; {name: source}. account: where the tests use functions in the account, too; against each broken one those
    are left out that use only the other runner. Against a broken function a test runs for as long as it has caught
    none; then only where no other test catches.
    endless: the names of those for whose end a test waits in vain. Where a test is cut off with another one, all of
    them are tried again with that, and have longer.
    Returns two dicts of trials: those with the right function, by ON_RIGHT, and those with broken ones by name; these
    only where all is well with the right one. Where a test has slept, "late" is one more with the right function,
    which begins later than that.
    """
    on_right = {"source": right, "limit": LIMIT}
    runs = [{"name": f"{_BROKEN}{name}", "source": source} for name, source in broken.items()]
    if account:
        on_right["environment"] = {account.variable: account.right}
        runs = [{**run, "environment": on_right["environment"], "without": "account"} for run in runs]
        for name, function in account.broken.items():
            where = {"environment": {account.variable: function}, "without": "here"}
            runs.append({"name": f"{_BROKEN}{name}", "source": right, **where})
    shares, processes = [], ON_RIGHT[: max(1 + len(ORDERS), math.ceil(len(runs) / EACH))]
    for nth, name in enumerate(processes):
        first = {"name": name, **on_right, "order": name}
        shares.append([first, *runs[nth :: len(processes)]])
    trials = _side_by_side(folder, file, module, shares)
    well = {name: trials[name] for name in processes}
    if not all(trial.good for trial in well.values()):
        return well, {}
    results = [each for trial in well.values() for each in trial.results.items()]
    slept = {name: result.slept for name, result in results if result.slept}
    if slept:
        late = max(slept.values()) + 1
        run = {"name": LATE, **on_right, "limit": LIMIT + late, "late": late, "only": [*map(plain, slept)]}
        well |= _tried(folder, file, module, [run])
    undecided = [run for run in runs if trials[run["name"]].cut_off and _name(run) not in endless]
    trials |= _looked_again(folder, file, module, on_right, undecided)
    return well, {_name(run): trials[run["name"]] for run in runs}


def _looked_again(folder, file, module, on_right, runs):
    """What comes of these runs when each test has longer. Raises TooBusy where the right one is cut off, too."""
    first = {"name": AGAIN, **on_right}
    longer = [{**run, "longer": LONGER} for run in runs]
    shares = [[first, *longer[at : at + EACH]] for at in range(0, len(longer), EACH)]
    tried_again = [functools.partial(_tried, folder, file, module, share) for share in shares]
    found = {}
    for trials in side_by_side(*tried_again, most=len(ON_RIGHT)):
        if not trials.pop(AGAIN).good:  # as it was before
            raise TooBusy(_TOO_LONG)
        found |= trials
    return found


def _name(run):
    return run["name"].removeprefix(_BROKEN)


def plain(test: str) -> str:
    """The name of a test without its parameters."""
    return test.partition("[")[0]


def _side_by_side(folder, file, module, shares):
    found = side_by_side(*(functools.partial(_tried, folder, file, module, share) for share in shares))
    return {name: trial for each in found for name, trial in each.items()}


def _tried(folder, file, module, runs):
    """Make these runs in one process, or in a few where a test does not come back: {name of the run: Trial}."""
    found, left = {}, list(runs)
    while left:
        begun, results, ended = "", {}, False
        for line in _lines_of_process(folder, file, module, left):
            if "began" in line:
                begun = line["began"]
            elif "test" in line:
                name = line.pop("test")
                begun, results[name] = "", Result(**line)
            elif "uncollected" in line:
                found[left.pop(0)["name"]] = Trial(results, line["uncollected"])
                begun, results = "", {}
            else:
                ended = True
        if ended:
            break
        if not begun:
            raise SandboxProblem(_TOO_LONG)
        run = left.pop(0)
        found[run["name"]] = Trial(results, hung=begun)
        if not run["name"].startswith(_BROKEN):
            break
    return found


def _lines_of_process(folder, file, module, runs):
    """What the process tells, {"began": test}, {"test": name, ...} or {"uncollected": text} at the end of each run."""
    with tempfile.TemporaryDirectory() as own, tempfile.TemporaryDirectory() as beside:
        shutil.copytree(folder, own, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__", ".*"))
        told = Path(beside, "told")
        told.touch()
        account = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
        arguments = {"file": file, "module": module, "runs": runs, "told": str(told)}
        where = {"folder": own, "environment": account, "patience": PATIENCE, "what": "the tests"}
        try:
            apart.called(f"{__name__}:play", arguments, **where)
        except RuntimeError:
            if "began" not in (_lines(told) or [{}])[-1]:  # it did not end within a test
                raise
        return _lines(told)


def _lines(told):
    return [json.loads(line) for line in told.read_text(encoding="utf-8").split("\n")[:-1]]


# -- in that process --------------------------------------------------------------------------------------------------


class _Tests:
    """A plugin of pytest for one run: it orders tests, leaves out what is known, and tells how each has ended."""

    def __init__(self, run, folder, tell, known):
        self.run, self._folder, self._tell, self._known = run, folder, tell, known
        self.uncollected, self._caught, self._now = "", False, {}
        self.well, self.limited, self.longest = False, False, 0.0
        self._moments = 0  # by which invocations may still begin later in this test

    def pytest_collectreport(self, report):
        if report.failed:
            self.uncollected = self.uncollected or self.shown(report.longrepr)

    def pytest_collection_modifyitems(self, items):
        if "only" in self.run:
            items[:] = [item for item in items if _name_of(item) in self.run["only"]]
        if self.run.get("order") in ORDERS:
            items[:] = ORDERS[self.run["order"]](items)
        if "without" in self.run:  # it has the right function, and those that use only that say nothing new
            of_that = {self.run["without"]}
            items[:] = [item for item in items if self._known.runners.get(_full_name_of(item)) != of_that]
        if self.run["enough"]:
            items.sort(key=lambda item: _name_of(item) in self._known.catchers)

    def pytest_runtest_protocol(self, item):
        if self._caught and _name_of(item) in self._known.catchers:
            return True  # this function is caught; only a test that has caught none yet is run all the same
        self._tell(began=_name_of(item))
        self._moments = MOMENTS
        self._now = {"outcome": "passed", "said": "", "limit": False, "waited": 0.0, "slept": 0.0, "runners": []}
        return None

    def pytest_runtest_logreport(self, report):
        if not report.passed:
            self._now["outcome"] = report.outcome
            self._now["said"] = self._now["said"] or self.shown(report.longrepr)
        if report.when == "teardown":
            self._ended(report)

    def _ended(self, report):
        name, now = _full_name_of(report), self._now
        self._tell(test=name, **now)
        if not self.run["enough"]:
            self._known.runners[name] = set(now["runners"])
        self.limited, self.longest = self.limited or now["limit"], max(self.longest, now["waited"])
        if (now["outcome"] == "failed" or now["limit"]) and self.run["enough"]:
            self._caught = True
            self._known.catchers.add(plain(name))

    def shown(self, text):
        """What pytest shows, with the names of files as the learner knows them."""
        return str(text).replace(f"{self._folder}{os.sep}", "")

    # What the SDK's test runners do in this run, and what sleeps.

    def uses(self, runner):
        if runner not in self._now["runners"]:
            self._now["runners"].append(runner)

    def waits(self, wait, runner, *arguments, timeout=60, **named):
        began, most = time.monotonic(), max(0.0, self.run["limit"] - self._now["waited"])
        try:
            return wait(runner, *arguments, timeout=min(timeout, most), **named)
        except TimeoutError:
            cut_off = timeout > most and time.monotonic() - began > most - 0.1  # it may end at once
            self._now["limit"] = self._now["limit"] or cut_off
            raise
        finally:
            self._now["waited"] += time.monotonic() - began

    def sleeps(self, sleep, seconds):
        """sleep: it may return that what it waited for has come; then it was no sleep."""
        if not self._now:  # no test has begun
            return sleep(seconds)
        left = max(0.0, self.run["limit"] - self._now["slept"])
        came = sleep(min(seconds, left))
        if not came:
            self._now["limit"] = self._now["limit"] or seconds > left
            self._now["slept"] += min(seconds, left)
        return came

    def waits_in_vain(self, seconds):
        """For something that has not come, so that it was nothing but a sleep."""
        if self._now:
            self._now["limit"] = self._now["limit"] or self._now["slept"] + seconds > self.run["limit"]
            self.notes_sleep(seconds)

    def notes_sleep(self, seconds, now=None):
        """What is not cut off. now: of the test that it belongs to, if not of this one."""
        now = self._now if now is None else now
        if now:
            now["slept"] = min(self.run["limit"], now["slept"] + seconds)

    def takes_a_moment(self, sleep):
        """An invocation begins. What a test does at once it does before that, so that nothing is caught by chance."""
        if self._moments:
            self._moments -= 1
            sleep(A_MOMENT)

    def when_it_fires(self, seconds, function):
        """The function of a timer, which notes when it fires that it has let so much time pass."""
        now = self._now

        def fires(*arguments, **named):
            self.notes_sleep(seconds, now)
            return function(*arguments, **named)

        return fires


class _Known:
    """What one run in a process knows of those before it.

    catchers: the names of the tests that have caught a broken function. runners: {test: those that it uses}.
    """

    def __init__(self):
        self.catchers: set[str] = set()
        self.runners: dict[str, set[str]] = {}


def _full_name_of(item):
    return item.nodeid.partition("::")[2]


def _name_of(item):
    return plain(_full_name_of(item))


@contextlib.contextmanager
def _watched(tests, folder) -> Iterator[None]:
    """The SDK's test runners wait no longer than the limit, and begin a moment late, or later where the run says so."""
    from aws_durable_execution_sdk_python_testing import DurableFunctionCloudTestRunner, DurableFunctionTestRunner

    sleep, wait, late = time.sleep, threading.Event.wait, tests.run.get("late", 0)
    wait_for, join, make_timer = threading.Condition.wait, threading.Thread.join, threading.Timer.__init__

    def is_learners(frame):
        """Whether the learner's code waits there, itself or by what Python has for it; or a thread of nothing else."""
        while frame and frame.f_code.co_filename.startswith(_WAITING):
            frame = frame.f_back
        return frame is None or frame.f_code.co_filename.startswith(folder)

    def is_beside():
        return threading.current_thread() is not threading.main_thread()

    def is_limited(timeout, frame):
        return timeout is not None and not is_beside() and is_learners(frame)

    def sleep_in_test(seconds):
        if not is_learners(sys._getframe(1)):
            sleep(seconds)
        elif is_beside():
            tests.notes_sleep(seconds)
            sleep(seconds)
        else:
            tests.sleeps(sleep, seconds)

    def wait_in_test(self, timeout=None):
        if not is_limited(timeout, sys._getframe(1)):
            return wait(self, timeout)
        return tests.sleeps(functools.partial(wait, self), timeout)

    def wait_for_in_test(self, timeout=None):
        came = wait_for(self, timeout)
        if not came and is_limited(timeout, sys._getframe(1)):
            tests.waits_in_vain(timeout)
        return came

    def join_in_test(self, timeout=None):
        join(self, timeout)
        if self.is_alive() and is_limited(timeout, sys._getframe(1)):
            tests.waits_in_vain(timeout)

    def make_timer_in_test(self, interval, function, *arguments, **named):
        fires = tests.when_it_fires(interval, function) if is_learners(sys._getframe(1)) else function
        make_timer(self, interval, fires, *arguments, **named)

    with contextlib.ExitStack() as stack:
        for name, kind in {"here": DurableFunctionTestRunner, "account": DurableFunctionCloudTestRunner}.items():
            for method in ("__init__", "run", "run_async", "wait_for_result", "wait_for_callback"):
                stack.callback(setattr, kind, method, getattr(kind, method))
            _watch(tests, name, kind, late, sleep)
        for owner, name, instead in (
            (time, "sleep", sleep_in_test),
            (threading.Event, "wait", wait_in_test),
            (threading.Condition, "wait", wait_for_in_test),
            (threading.Thread, "join", join_in_test),
            (threading.Timer, "__init__", make_timer_in_test),
        ):
            stack.callback(setattr, owner, name, getattr(owner, name))
            setattr(owner, name, instead)
        yield


def _watch(tests, name, kind, late, sleep):
    made, begin, result, callback = kind.__init__, kind.run_async, kind.wait_for_result, kind.wait_for_callback

    def make(self, function, *arguments, **named):
        handler = _begins_late(function, late, tests, sleep) if name == "here" else function
        made(self, handler, *arguments, **named)

    def run_async(self, *arguments, **named):
        tests.uses(name)
        return begin(self, *arguments, **named)

    def wait_for_result(self, execution_arn, timeout=60):
        return tests.waits(result, self, execution_arn, timeout=timeout)

    def wait_for_callback(self, execution_arn, name=None, timeout=60):
        return tests.waits(callback, self, execution_arn, name, timeout=timeout)

    def run(self, input=None, timeout=60):
        tests.uses(name)
        return tests.waits(_no_longer(ran), self, input, timeout=timeout)

    kind.__init__, kind.run_async = make, run_async
    kind.wait_for_result, kind.wait_for_callback = wait_for_result, wait_for_callback
    if name == "account":  # its run waits for the answer of one call, whatever its timeout is
        ran, kind.run = kind.run, run


def _no_longer(call):
    """The same call, which raises TimeoutError when it takes longer than its timeout. It may go on for itself then."""

    def limited(*arguments, timeout):
        future = concurrent.futures.Future()

        def carry_out():
            try:
                future.set_result(call(*arguments, timeout=timeout))
            except Exception as error:
                future.set_exception(error)

        threading.Thread(target=carry_out, daemon=True).start()
        return future.result(timeout)

    return limited


def _begins_late(handler, seconds, tests, sleep):
    begun = []

    def late(event, context):
        tests.takes_a_moment(sleep)
        if seconds and not begun:
            begun.append(True)
            sleep(seconds)
        return handler(event, context)

    return late


def _run(run, folder, file, module, tell, known):
    os.environ.update(run.get("environment", {}))
    tests, shown = _Tests(run, folder, tell, known), io.StringIO()
    options = ["-q", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", folder, "--tb=short", "-W", "ignore"]
    with contextlib.redirect_stdout(shown), contextlib.redirect_stderr(shown), _watched(tests, folder):
        try:
            _hand_over(module, run["source"], folder)
            before = sorted(Path(folder).rglob("*"))
            status = _with_pytest(folder, file, module, options, tests)
            if status == 0 and not run["enough"] and sorted(Path(folder).rglob("*")) != before:
                # What a test leaves in a file is there the next time.
                status = _with_pytest(folder, file, module, options, tests)
        except Exception as error:  # the function imports what the learner's folder has
            tests.uncollected, status = tests.shown(f"{type(error).__name__}: {error}"), 0
    if status not in (0, 1, 5):
        tests.uncollected = tests.uncollected or tests.shown(shown.getvalue())
    tell(uncollected=tests.uncollected)
    tests.well = status == 0 and not tests.uncollected and not tests.limited
    return tests


def _with_pytest(folder, file, module, options, tests):
    import pytest

    for name, left in list(sys.modules.items()):  # what a run has left in a module is not there in the next
        if str(getattr(left, "__file__", "")).startswith(folder):
            del sys.modules[name]
    importlib.import_module(module)
    return pytest.main([*options, str(Path(folder, file))], plugins=[tests])


def _hand_over(module, source, folder):
    """Put the function where the right one was handed over, compiled like that: a test may import it anew."""
    with tempfile.TemporaryDirectory() as beside:
        written = Path(beside, f"{module}.py")
        written.write_text(source, encoding="utf-8")
        compiled = str(Path(folder, f"{module}.pyc"))
        py_compile.compile(str(written), cfile=compiled, dfile=f"<{module}>", doraise=True)
    importlib.invalidate_caches()


def play(file: str, module: str, runs: Sequence[Mapping], told: str) -> bool:
    """Make these runs in the folder in which this process works; each line of `told` is what one has told."""
    folder = str(Path.cwd().resolve())
    sys.path.insert(0, folder)
    sys.dont_write_bytecode = True
    for name in [name for name in os.environ if name.startswith("PYTEST_")]:
        del os.environ[name]
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    os.environ["PY_COLORS"] = "0"  # a notebook's kernel asks for colours, and what pytest shows is read by its letters
    with open(told, "a", encoding="utf-8") as report:
        watch = _Watch()

        def tell(**line):
            watch.begun = time.monotonic() if "began" in line else None
            print(json.dumps(line), file=report, flush=True)

        known, longest = _Known(), 0.0
        for run in runs:
            # Where the function is broken a test is cut off sooner, but not before it would be over with the right one.
            enough = "limit" not in run
            limit = max(3.0, 2 * longest + 1) * run.get("longer", 1)
            run = {"limit": limit, **run, "enough": enough}
            tests = _run(run, folder, file, module, tell, known)
            if not enough:
                longest = tests.longest
                if not tests.well:
                    break
        tell(end=True)
    return True


class _Watch:
    """Ends this process where a test does not come back. begun: when that test has begun, None between tests."""

    def __init__(self):
        self.begun = None
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self):
        pause = threading.Event()
        while True:
            pause.wait(1)
            if self.begun and time.monotonic() > self.begun + STALLS:
                os._exit(1)
