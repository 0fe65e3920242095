"""How long tests wait for something that comes at once where all is well: one number, which no busy machine reaches."""

import time

PATIENCE = 120  # seconds


def until(condition, within=PATIENCE, every=0.02):
    """The first true value of a condition; an AssertionError where it stays false."""
    end = time.monotonic() + within
    while not (value := condition()):
        assert time.monotonic() < end, f"not within {within} s"
        time.sleep(every)
    return value
