"""`make mutants LAB=02`: how strong the checks of a lab are.

Each thing that a learner writes in a solution is changed in one place, and the exercise's check is asked. A mutant
that it calls done survives: the check does not see that difference. Goal: none survives but those that listed.toml says
to be as right as the solution.
"""

import argparse
import collections
import os
import signal
import sys
import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from . import playing

WORKERS = 2


def main(words=None):
    arguments = _parser().parse_args(words)
    if not hasattr(os, "fork"):
        sys.exit("mutants: They are played in forks of a process, which Windows has not. WSL has.")
    # Where this is a job in the background, its shell has the system ignore interrupts.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    console = Console(highlight=False, soft_wrap=True)
    if arguments.sample:
        playing.write_sample([playing.Lab(path) for path in playing.solutions()])
        return 0
    try:
        path = playing.solution_of(arguments.lab)
        lab = playing.Lab(path, arguments.task)
        listed = playing.read_listed()
    except playing.PlayError as fault:
        sys.exit(f"mutants: {fault}")
    if arguments.made:
        for mutant in lab.mutants.values():
            print(mutant.id, mutant.diff)
        return 0
    known = playing.read_known(lab)
    wanted = lab.to_play({} if arguments.fresh else known)
    before = set(known) - {lab.keys[mutant.id] for mutants in wanted.values() for mutant in mutants}
    known = {key: known[key] for key in before}
    faults, seconds, stopped = play(console, lab, wanted, known, arguments.workers)
    good = report(console, lab, lab.results(known), listed, arguments.verbose)
    for task, fault in faults.items():
        console.print(f"Exercise {task} was not played. {fault}", markup=False)
    console.print(f"{len(lab.mutants)} mutants, {len(set(known) - before)} of them played now, in {_minutes(seconds)}.")
    if stopped:
        console.print("Stopped. The next run goes on from here.")
        return 130
    return 0 if good and not faults else 1


def play(console, lab, wanted, known, workers):
    """Play what is wanted and put it into `known` and its file.

    Returns (faults by task, seconds, whether it was interrupted).
    """
    columns = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[told]}"),
               TimeElapsedColumn(), TextColumn("left:"), TimeRemainingColumn()]  # fmt: skip
    begun, counts = time.monotonic(), collections.Counter()
    with Progress(*columns, console=console, speed_estimate_period=300) as progress:
        bar = progress.add_task(f"Lab {lab.number}", total=sum(map(len, wanted.values())), told="")

        def tell(mutant, result):
            known[lab.keys[mutant.id]] = result
            playing.write_known(lab, known)
            counts[result.outcome] += 1
            told = ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items()))
            progress.update(bar, advance=1, told=told)

        run = playing.Run(lab, wanted, workers, tell)
        try:
            run.play()
            stopped = False
        except KeyboardInterrupt:
            stopped = True
    return run.faults, time.monotonic() - begun, stopped


def report(console, lab, results, listed, verbose):
    """Print what became of the mutants; returns whether none survived that should not."""
    survived = {name for name, result in results.items() if result.outcome == "survived"}
    as_right = {name for name in survived if (name, results[name].diff) in listed}
    table = Table("task", "made", "killed", "broken", "survived", "listed", "problem", "not played", box=None)
    for task in [*lab.tasks, None]:
        mine = [name for name, mutant in lab.mutants.items() if task in (mutant.exercise, None)]
        outcomes = collections.Counter(results[name].outcome for name in mine if name in results)
        table.add_row(str(task or "all"), *map(str, [
            len(mine), outcomes["killed"], outcomes["broken"], outcomes["survived"] - len(as_right & {*mine}),
            len(as_right & {*mine}), outcomes["problem"], len(mine) - outcomes.total()]))  # fmt: skip
    console.print(table)
    groups = [("survived", survived - as_right)]
    groups += [("problem", {name for name, result in results.items() if result.outcome == "problem"})]
    groups += [(what, {n for n, r in results.items() if r.outcome == what}) for what in ("killed", "broken") if verbose]
    for what, names in groups:
        for name in [name for name in lab.mutants if name in names]:
            words = f"\n    {results[name].words}" if results[name].words else ""
            console.print(f"{what}: {name}\n    {results[name].diff}{words}", markup=False)
    faults = list(playing.faults_of_listed(lab, results, listed))
    for fault in faults:
        console.print(fault, markup=False)
    return not (faults or groups[0][1] or groups[1][1])


def _minutes(seconds):
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.1f} min"


def _parser():
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__.splitlines()[0])
    parser.add_argument("lab", nargs="?", help="a lab's number or name: 02")
    parser.add_argument("--task", type=int, action="append", default=[], help="only this exercise; may be repeated")
    parser.add_argument("--workers", type=int, default=WORKERS, help=f"players at once, {WORKERS} if not said")
    parser.add_argument("--fresh", action="store_true", help="play all, also those whose result is known")
    parser.add_argument("--made", action="store_true", help="only list the mutants")
    parser.add_argument(
        "--sample", action="store_true", help="only choose anew what `make test` plays, from what is known of all labs"
    )
    parser.add_argument("--verbose", action="store_true", help="show the killed ones, too, with the refusals")
    return parser


if __name__ == "__main__":
    sys.exit(main())
