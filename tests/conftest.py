"""What every test stands on: one sandbox for the whole run, and boto3 clients for it."""

import json
import os
import shutil
import signal
import tempfile
import uuid
from pathlib import Path

# A test run has sandboxes, progress and measurements of its own, one of each for each of pytest's workers: a learner's
# stay as they are. Set before anything of the workshop is imported, and inherited by every kernel.
WORKER = os.environ.get("PYTEST_XDIST_WORKER")
FOLDER = os.environ["WORKSHOP_STATE"] if WORKER else tempfile.mkdtemp(prefix="workshop-tests-")
NOTES = Path(FOLDER, "shown_by")
os.environ["WORKSHOP_STATE"] = os.path.join(FOLDER, WORKER) if WORKER else FOLDER

# Where this is a job in the background, its shell has the system ignore interrupts: for all that tests start, too.
signal.signal(signal.SIGINT, signal.default_int_handler)

import durations  # noqa: E402
import pytest  # noqa: E402
from handlers import clients  # noqa: E402

from workshop import account as accounts  # noqa: E402
from workshop import sandbox as process  # noqa: E402


def pytest_addoption(parser):
    parser.addoption("--table", help="a file with ANSWERS = {exercise: [answer, ...]}, in the place of tests/answers")
    parser.addoption("--seed", type=int, default=1, help="what checks draw when answers are given to them")
    parser.addoption("--lab", help='the lab that they are for, "02"')

    whole = "give each answer to the whole check, and note in tests/answers/shown_by.json which case shows it"
    parser.addoption("--whole", action="store_true", help=whole)


def pytest_configure(config):
    config.addinivalue_line("markers", "takes(seconds): about how long it takes, if that is long: it begins early")
    config.addinivalue_line("markers", "long: load, long life, and what takes minutes by nature: make test-all")
    config.addinivalue_line("markers", "longest: tens of minutes of the whole machine: make test-all, and not .ci/run")


def pytest_collection_modifyitems(items):
    """Tests that share a module's resources stay together; what takes longest begins first, so that all end together.

    What has a module's fixture keeps to one of pytest's workers, and each other test goes to whichever is free.
    """
    for item in items:
        fixtures = [each for found in item._fixtureinfo.name2fixturedefs.values() for each in found]
        if any(fixture.scope == "module" for fixture in fixtures):
            item.add_marker(pytest.mark.xdist_group(item.module.__name__))
    items.sort(key=lambda item: -max((mark.args[0] for mark in item.iter_markers("takes")), default=0))


def pytest_terminal_summary(terminalreporter):
    """What the run took, at its end."""
    reports = [report for some in terminalreporter.stats.values() for report in some if hasattr(report, "duration")]
    for line in durations.lines([(report.nodeid, report.duration) for report in reports]):
        terminalreporter.write_line(line)


def pytest_sessionfinish():
    """Nothing of the run is left: each process stops its own sandbox, and the first one takes the folder away."""
    process.stop()
    if not WORKER:
        if NOTES.exists():
            shown_by = Path(__file__).parent / "answers" / "shown_by.json"
            known = json.loads(shown_by.read_text(encoding="utf-8")) if shown_by.exists() else {}
            for note in NOTES.iterdir():
                known |= json.loads(note.read_text(encoding="utf-8"))
            text = json.dumps(known, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
            shown_by.write_text(text, encoding="utf-8")
        shutil.rmtree(FOLDER, ignore_errors=True)


@pytest.fixture
def note_cases():
    """A function that keeps a part of tests/answers/shown_by.json until the run ends, whichever worker calls it."""

    def note(part):
        NOTES.mkdir(exist_ok=True)
        NOTES.joinpath(f"{uuid.uuid4()}.json").write_text(json.dumps(part), encoding="utf-8")

    return note


@pytest.fixture(scope="session")
def sandbox():
    """The status of a running sandbox of this checkout: endpoint, keys, log (see workshop.sandbox.status)."""
    state = process.start()
    lease = process.Lease(state)
    # As many functions at once as dozens of learners have: else each process makes room for the next, and all are cold.
    process._ask(state, "PUT", "functions", {"processes": 48, "idle_seconds": 60})
    yield state
    lease.release()


@pytest.fixture(scope="session")
def aws(sandbox):
    """A function that gives a boto3 client of the sandbox: aws("stepfunctions")."""
    return clients(sandbox)


@pytest.fixture
def account(sandbox):
    """The sandbox as the account of this test process, for code that makes its own boto3 clients."""
    return accounts.use_sandbox(sandbox)
