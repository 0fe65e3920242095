"""How long tests wait for something that comes at once where all is well: one number, which no busy machine reaches."""

import time

PATIENCE = 120  # seconds


def until(condition, within=PATIENCE, every=0.02):
    """The first true value of a condition; an AssertionError where it stays false.

    within, every: in seconds. The longer it has waited the longer it pauses: each look costs the machine something.
    """
    begin = time.monotonic()
    while not (value := condition()):
        waited = time.monotonic() - begin
        assert waited < within, f"not within {within} s"
        time.sleep(max(every, min(waited / 8, 0.2)))
    return value
