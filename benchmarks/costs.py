"""A year of a million jobs, waited for in all designs: seconds and memory (goal: 2 s and 1 GB)."""

import resource
import statistics
import sys
import time

from workshop.costs.designs import DESIGNS
from workshop.costs.years import durations, year

JOBS, TIMES = 1_000_000, 5


def main():
    jobs = durations(mean=1800, count=JOBS)
    took = []
    for _ in range(TIMES):
        began = time.perf_counter()
        year(jobs)
        took.append(time.perf_counter() - began)
    # Kilobytes on Linux, bytes on macOS.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e9 if sys.platform == "darwin" else 1e6)
    median = statistics.median(took)
    print(f"{JOBS:,} jobs in {len(DESIGNS)} designs: {median:.2f} s (median of {TIMES}), {peak:.2f} GB at most")
