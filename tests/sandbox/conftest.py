"""A sandbox of a module's own, for tests that change what all in it share, or that disturb the others."""

import contextlib

import boto3
import pytest
from botocore.config import Config

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
    keys = {
        "aws_access_key_id": own_sandbox["access_key_id"],
        "aws_secret_access_key": own_sandbox["secret_access_key"],
    }

    def client(service, **options):
        config = Config(retries={"total_max_attempts": 1}, max_pool_connections=50)
        options = {"config": config, **keys, **options}
        return boto3.client(service, region_name="us-east-1", endpoint_url=own_sandbox["endpoint"], **options)

    return client
