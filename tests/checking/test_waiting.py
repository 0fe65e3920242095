"""How checks wait: with patience that a slow machine does not use up, and within the time of a check."""

import dataclasses
import itertools
import math
import threading
import time

import pytest
from patience import PATIENCE

from workshop import account
from workshop.checking import waiting
from workshop.checking.outcomes import NotYet, SandboxProblem
from workshop.checking.waiting import (
    SLOWER,
    Pool,
    at_most,
    did_end,
    did_not_end,
    forgive,
    interrupted_when_over,
    left,
    over,
    side_by_side,
    taking_back,
    until,
    within_time,
)


@pytest.fixture
def clock(monkeypatch):
    """A clock that goes on by what is slept, and by what a look takes, if it says so."""
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    return now


def test_what_comes_is_seen(clock):
    looks = itertools.count()
    assert until(lambda: next(looks) > 3, patience=5)


def test_patience_ends(clock):
    assert not until(lambda: False, patience=5)
    assert 1005 <= clock[0] < 1006


def test_on_aws_there_is_more_patience_and_it_asks_less_often(clock, monkeypatch):
    looks = []
    far = account.Account("aws", "111122223333", "us-east-1")
    monkeypatch.setattr(account, "_real", far)
    assert not until(lambda: looks.append(clock[0]), patience=10)
    assert 1000 + 10 * SLOWER <= clock[0] < 1000 + 12 * SLOWER
    assert looks[-1] - looks[-2] == pytest.approx(0.5 * SLOWER)
    # A sandbox that plays an account is as quick as any.
    monkeypatch.setattr(account, "_real", dataclasses.replace(far, endpoint="http://127.0.0.1:1"))
    before = clock[0]
    assert not until(lambda: False, patience=5)
    assert clock[0] < before + 6


def test_looks_that_take_long_use_up_no_patience(clock):
    looks = itertools.count()

    def slow_look():
        clock[0] += 10
        return next(looks) > 5

    assert until(slow_look, patience=2)


def test_where_looks_take_longer_patience_lasts_as_many_times_longer(clock):
    """What is waited for has the same machine."""

    def look():
        clock[0] += 0.4
        looks.append(clock[0])

    looks = []
    assert not until(look, patience=5)
    in_pauses = clock[0] - 1000 - 0.4 * len(looks)
    assert 20 <= in_pauses < 24


def test_the_time_of_a_check_ends_and_it_says_what_it_waited_for(clock):
    with at_most(3), pytest.raises(SandboxProblem, match="while it waited for a migration to end"):
        until(lambda: False, patience=60, what="a migration to end")
    assert clock[0] < 1005


def test_what_was_made_is_taken_away_even_if_the_time_is_over(clock):
    with at_most(0):
        clock[0] += 1
        with pytest.raises(SandboxProblem):
            until(lambda: False, patience=5)
        with taking_back():
            assert until(itertools.count().__next__, patience=5)
        assert left() == 0


def test_it_holds_for_what_is_waited_for_side_by_side():
    def wait():
        until(lambda: False, patience=60, what="nobody")

    with at_most(0), pytest.raises(SandboxProblem, match="waited for nobody"):
        side_by_side(wait, lambda: None)


def test_what_is_left_is_known_in_other_threads_too(clock):
    assert left() == math.inf
    with at_most(30), Pool(1) as pool:
        clock[0] += 10
        assert left() == pool.submit(left).result() == 20
        clock[0] += 30
        assert left() == 0


def test_a_loop_with_a_clock_of_its_own_ends_with_the_time_of_the_check(clock):
    assert within_time("an end")
    with at_most(5), pytest.raises(SandboxProblem, match="waited for an end"):
        while within_time("an end"):
            clock[0] += 1
    assert clock[0] == 1005


def test_a_function_that_does_not_end_is_named_in_place_of_the_machine(clock):
    with at_most(50):
        did_not_end("you-02-start", 10)
        assert type(over("an item")) is SandboxProblem and "waited for an item" in str(over("an item"))
        did_not_end("you-02-start", 11)
        assert type(over("an item")) is NotYet
        assert "you-02-start did not end within 11 s, in 2 invocations, and the time" in str(over("an item"))
        # One that ends now and then may be held, or ended, by what the check does to it.
        did_end("you-02-start")
        assert type(over("an item")) is SandboxProblem
        did_not_end("you-02-start", 20)
        assert type(over("an item")) is NotYet
        forgive()
        assert type(over("an item")) is SandboxProblem
    with at_most(50):  # another check
        assert type(over("an item")) is SandboxProblem


def test_a_call_of_a_learners_function_ends_with_the_time_of_the_check(monkeypatch):
    monkeypatch.setattr(waiting, "TOO_LONG", 0)
    named = pytest.raises(NotYet, match="The function measure did not end")
    with at_most(0.2), named, interrupted_when_over("measure"):
        while True:
            pass
    with at_most(0.2), named, interrupted_when_over("measure"):
        try:
            while True:
                pass
        except:  # noqa: E722  as some do
            pass
        while True:
            pass
    with at_most(60), pytest.raises(KeyboardInterrupt), interrupted_when_over("measure"):
        raise KeyboardInterrupt  # the learner's own
    with at_most(60), interrupted_when_over("measure"):
        pass


def test_side_by_side_returns_in_order_and_raises_the_first():
    both = threading.Barrier(2, timeout=PATIENCE)
    assert side_by_side(lambda: (both.wait() and 1) or 1, lambda: (both.wait() and 2) or 2) == [1, 2]
    assert side_by_side() == []

    def fails(message):
        raise ValueError(message)

    with pytest.raises(ValueError, match="first"):
        side_by_side(lambda: 1, lambda: fails("first"), lambda: fails("second"))
