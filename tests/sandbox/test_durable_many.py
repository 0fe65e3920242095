"""Many durable executions and state machines that wait at once: none is lost. `make benchmark` does it with more."""

import pytest

from benchmarks.durable import Account, many

pytestmark = [pytest.mark.long, pytest.mark.takes(60)]


def test_many_that_wait_at_once_are_all_answered(aws):
    many(Account(aws), 100, 200)
