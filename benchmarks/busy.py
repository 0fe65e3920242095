"""Keep the machine busy, to see what holds on one that is: `python -m benchmarks.busy 4 600` for 4 processes and 600 s.

It prints its own process id; end that one (`kill ID`), and the others end with it. They end by themselves, too.
"""

import multiprocessing
import os
import sys
import time

MOST_PROCESSES, MOST_SECONDS = 32, 3600


def main(processes, seconds):
    """processes: how many that do nothing but count; seconds: after which all end."""
    if not (1 <= processes <= MOST_PROCESSES and 1 <= seconds <= MOST_SECONDS):
        raise SystemExit(f"Give 1 to {MOST_PROCESSES} processes and 1 to {MOST_SECONDS} seconds.")
    end = time.monotonic() + seconds
    context = multiprocessing.get_context("spawn")  # each is a child of this process, in every version of Python
    others = [context.Process(target=_count, args=(os.getpid(), end), daemon=True) for _ in range(processes)]
    for other in others:
        other.start()
    print(os.getpid(), flush=True)
    for other in others:
        other.join()


def _count(parent, end):
    # A scheduler that groups by session (sched_autogroup_enabled) counts all of one as much as one sandbox alone.
    if hasattr(os, "setsid"):
        os.setsid()
    while time.monotonic() < end and os.getppid() == parent:
        for _ in range(100_000):
            pass


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
