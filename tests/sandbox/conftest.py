"""Sandboxes of a module's or of one test's own, for tests that change what all share, or that disturb the others."""

import contextlib

import pytest
from handlers import clients

from workshop import sandbox as process


@pytest.fixture(scope="module")
def own_sandbox(tmp_path_factory):
    """The status of a running sandbox that only this module's tests use."""
    folder = tmp_path_factory.mktemp("own") / "sandbox"
    with _living_in(folder):
        state = process.start()
        lease = process.Lease(state)
    yield state
    with _living_in(folder):
        lease.release()
        process.stop()


@contextlib.contextmanager
def _living_in(folder):
    """Look for the sandbox there."""
    before, process.FOLDER = process.FOLDER, folder
    try:
        yield
    finally:
        process.FOLDER = before


@pytest.fixture(scope="module")
def own_aws(own_sandbox):
    """A function that makes a boto3 client of the module's own sandbox."""
    return clients(own_sandbox)


@pytest.fixture
def state(tmp_path, monkeypatch):
    """The status of a running sandbox of one test's own, which may kill it."""
    monkeypatch.setattr(process, "FOLDER", tmp_path / "sandbox")
    yield process.start()
    process.stop()
