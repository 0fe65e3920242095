"""A learner's tests, tried with pytest against a durable function: the right one, and broken ones.

The tests run in processes of their own, where another function stands each time in the module that they import. What
happened is plain data, a `Trial` for each function. Nobody waits for a test for longer than a limit: what it waits
for with the test runner of the SDK, and what it sleeps, is cut off there.
"""

import concurrent.futures
import contextlib
import dataclasses
import functools
import io
import json
import math
import os
import shutil
import sys
import tempfile
import threading
import time
import types
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from workshop.checking import apart
from workshop.checking.outcomes import SandboxProblem
from workshop.checking.waiting import side_by_side

LIMIT = 5  # seconds for which a test may wait or sleep where the function is right
OTHER_WAY, LATE = "the other way round", "late"
# In the last two, of three tests or more, none comes after the one that it comes after as written.
ORDERS = {
    OTHER_WAY: lambda tests: tests[::-1],
    "every second one first": lambda tests: [*tests[1::2], *tests[::2]],
    "every second one last": lambda tests: [*tests[::2], *tests[1::2]],
}
ON_RIGHT = ("as written", *ORDERS, *(f"time {nth}" for nth in range(5, 9)))  # each in a process of its own
EACH = 2  # broken functions for a process: it mostly waits
STALLS = 20  # seconds after which a test does not come back
PATIENCE = 60  # seconds, for one process
_BROKEN = "broken: "


@dataclasses.dataclass(frozen=True)
class Result:
    """How one test ended. outcome: "passed", "failed" or "skipped". said: what pytest shows of a failure.

    limit: whether it was cut off at its limit. waited, slept: seconds. runners: "here", "account": those of the SDK's
    test runners that it has used.
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


@dataclasses.dataclass(frozen=True)
class Account:
    """Where tests find functions in the account.

    right: the name of the right one. broken: {name: that of a broken one}. variable: of the environment of the tests,
    in which the name of the function stands.
    """

    right: str
    broken: Mapping[str, str]
    variable: str = "FUNCTION"


def tried(folder: Path, file: str, module: str, right: str, broken: Mapping[str, str], account: Account | None = None):
    """Try the tests in `file` against the right function, and then against broken ones, in a few processes.

    folder: where the file is, with what it imports. module: what the tests import the function from. right, broken:
    sources; {name: source}. account: where the tests use functions in the account, too; against each broken one they
    run with one of the two runners only. Against a broken function a test runs for as long as it has caught none; then
    only where no other test catches.
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
    return well, {run["name"].removeprefix(_BROKEN): trials[run["name"]] for run in runs}


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
            raise SandboxProblem("Running the tests took too long. Is this machine busy? Try again later.")
        run = left.pop(0)
        found[run["name"]] = Trial(results, hung=begun)
        if not run["name"].startswith(_BROKEN):
            break
    return found


def _lines_of_process(folder, file, module, runs):
    """What the process tells, {"began": test}, {"test": name, ...} or {"uncollected": text} at the end of each run."""
    with tempfile.TemporaryDirectory() as own, tempfile.TemporaryDirectory() as beside:
        for path in Path(folder).glob("*.py*"):  # what is handed over is compiled
            shutil.copy(path, own)
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

    def __init__(self, run, folder, tell, catchers):
        self.run, self._folder, self._tell, self._catchers = run, folder, tell, catchers
        self.uncollected, self._caught, self._now = "", False, {}
        self.well, self.limited, self.longest = False, False, 0.0

    def pytest_collectreport(self, report):
        if report.failed:
            self.uncollected = self.uncollected or self.shown(report.longrepr)

    def pytest_collection_modifyitems(self, items):
        if "only" in self.run:
            items[:] = [item for item in items if _name_of(item) in self.run["only"]]
        if self.run.get("order") in ORDERS:
            items[:] = ORDERS[self.run["order"]](items)
        if self.run["enough"]:
            items.sort(key=lambda item: _name_of(item) in self._catchers)

    def pytest_runtest_protocol(self, item):
        if self._caught and _name_of(item) in self._catchers:
            return True  # this function is caught; only a test that has caught none yet is run all the same
        self._tell(began=_name_of(item))
        self._now = {"outcome": "passed", "said": "", "limit": False, "waited": 0.0, "slept": 0.0, "runners": []}
        return None

    def pytest_runtest_logreport(self, report):
        if not report.passed:
            self._now["outcome"] = report.outcome
            self._now["said"] = self._now["said"] or self.shown(report.longrepr)
        if report.when == "teardown":
            self._ended(report)

    def _ended(self, report):
        name, now = report.nodeid.partition("::")[2], self._now
        self._tell(test=name, **now)
        self.limited, self.longest = self.limited or now["limit"], max(self.longest, now["waited"])
        if (now["outcome"] == "failed" or now["limit"]) and self.run["enough"]:
            self._caught = True
            self._catchers.add(plain(name))

    def shown(self, text):
        """What pytest shows, with the names of files as the learner knows them."""
        return str(text).replace(f"{self._folder}{os.sep}", "")

    # What the SDK's test runners do in this run, and what sleeps.

    def uses(self, runner):
        import pytest

        if self.run.get("without") == runner:
            pytest.skip("This runner has another function.")
        self._now["runners"].append(runner)

    def waits(self, wait, runner, *arguments, timeout=60, **named):
        began, most = time.monotonic(), max(0.0, self.run["limit"] - self._now["waited"])
        try:
            return wait(runner, *arguments, timeout=min(timeout, most), **named)
        except TimeoutError:
            self._now["limit"] = self._now["limit"] or timeout > most
            raise
        finally:
            self._now["waited"] += time.monotonic() - began

    def sleeps(self, sleep, seconds):
        """sleep: it may return that what it waited for has come; then it was no sleep."""
        left = max(0.0, self.run["limit"] - self._now["slept"])
        came = sleep(min(seconds, left))
        if not came:
            self._now["limit"] = self._now["limit"] or seconds > left
            self._now["slept"] += min(seconds, left)
        return came


def _name_of(item):
    return plain(item.nodeid.partition("::")[2])


@contextlib.contextmanager
def _watched(tests, folder) -> Iterator[None]:
    """The SDK's test runners wait no longer than the limit, and begin late, or not at all, where the run says so."""
    from aws_durable_execution_sdk_python_testing import DurableFunctionCloudTestRunner, DurableFunctionTestRunner

    sleep, wait, late = time.sleep, threading.Event.wait, tests.run.get("late", 0)

    def in_test(frame):
        return frame.f_code.co_filename.startswith(folder) and threading.current_thread() is threading.main_thread()

    def sleep_in_test(seconds):
        tests.sleeps(sleep, seconds) if in_test(sys._getframe(1)) else sleep(seconds)

    def wait_in_test(self, timeout=None):
        if timeout is None or not in_test(sys._getframe(1)):
            return wait(self, timeout)
        return tests.sleeps(functools.partial(wait, self), timeout)

    with contextlib.ExitStack() as stack:
        for name, kind in {"here": DurableFunctionTestRunner, "account": DurableFunctionCloudTestRunner}.items():
            for method in ("__init__", "run", "wait_for_result", "wait_for_callback"):
                stack.callback(setattr, kind, method, getattr(kind, method))
            _watch(tests, name, kind, late, sleep)
        stack.callback(setattr, time, "sleep", sleep)
        stack.callback(setattr, threading.Event, "wait", wait)
        time.sleep, threading.Event.wait = sleep_in_test, wait_in_test
        yield


def _watch(tests, name, kind, late, sleep):
    made, result, callback = kind.__init__, kind.wait_for_result, kind.wait_for_callback

    def make(self, function, *arguments, **named):
        tests.uses(name)
        begins_late = late and name == "here"
        made(self, _begins_late(function, late, sleep) if begins_late else function, *arguments, **named)

    def wait_for_result(self, execution_arn, timeout=60):
        return tests.waits(result, self, execution_arn, timeout=timeout)

    def wait_for_callback(self, execution_arn, name=None, timeout=60):
        return tests.waits(callback, self, execution_arn, name, timeout=timeout)

    def run(self, input=None, timeout=60):
        return tests.waits(_no_longer(ran), self, input, timeout=timeout)

    kind.__init__, kind.wait_for_result, kind.wait_for_callback = make, wait_for_result, wait_for_callback
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


def _begins_late(handler, seconds, sleep):
    begun = []

    def late(event, context):
        if not begun:
            begun.append(True)
            sleep(seconds)
        return handler(event, context)

    return late


def _run(run, folder, file, module, tell, catchers):
    import pytest

    for name, known in list(sys.modules.items()):  # what a run has left in a module is not there in the next
        if name == module or str(getattr(known, "__file__", "")).startswith(folder):
            del sys.modules[name]
    os.environ.update(run.get("environment", {}))
    tests, shown = _Tests(run, folder, tell, catchers), io.StringIO()
    options = ["-q", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", folder, "--tb=short", "-W", "ignore"]
    with contextlib.redirect_stdout(shown), contextlib.redirect_stderr(shown), _watched(tests, folder):
        try:
            exec(compile(run["source"], f"<{module}>", "exec"), vars(_module(module)))
            status = pytest.main([*options, str(Path(folder, file))], plugins=[tests])
        except Exception as error:  # the function imports what the learner's folder has
            tests.uncollected, status = tests.shown(f"{type(error).__name__}: {error}"), 0
    if status not in (0, 1, 5):
        tests.uncollected = tests.uncollected or tests.shown(shown.getvalue())
    tell(uncollected=tests.uncollected)
    tests.well = status == 0 and not tests.uncollected and not tests.limited
    return tests


def _module(name):
    sys.modules[name] = module = types.ModuleType(name)
    return module


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

        catchers: set[str] = set()
        longest = 0.0
        for run in runs:
            # Where the function is broken a test is cut off sooner, but not before it would be over with the right one.
            enough = "limit" not in run
            run = {"limit": max(3.0, 2 * longest + 1), **run, "enough": enough}
            tests = _run(run, folder, file, module, tell, catchers)
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
