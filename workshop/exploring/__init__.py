"""Explore a durable function: crash its process wherever it can crash, and see whether it still does what is intended.

    from aws_durable_execution_sdk_python.config import Duration
    from workshop.exploring import World, explore

    class Shop(World):
        def order(self, item):
            self.did("order", item)

    def program(shop):
        def lambda_handler(event, context):
            context.step(lambda _: shop.order(event["Item"]), name="order")
            context.wait(Duration.from_hours(24), name="day")
            return "ordered"
        return lambda_handler

    explore(program, {"Item": "A-17"}, world=Shop)

The handler runs in this process, with AWS's own SDK and the engine of AWS's own local runner, and without waiting: one
clock jumps from one timer to the next (engine.py). Where its process crashes, the next invocation begins in a new one,
and goes on from what was recorded, as on AWS (processes.py). What its steps do, and what answers its callbacks, is a
world of plain Python objects (worlds.py). A schedule says where it crashes (schedules.py); what came of it is a Run
(plays.py).

What it cannot see: that the order of a set differs from process to process; the machine's clock, which does not jump.
"""

import contextlib
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from workshop.exploring import schedules
from workshop.exploring.schedules import Crash
from workshop.exploring.worlds import ProcessEnded, World

__all__ = ["Crash", "Exploration", "ProcessEnded", "World", "explore", "play"]

MOST_CRASHES_IN_A_ROW = 4  # a fifth failed invocation in a row ends an execution: the runner gives up
_one_at_a_time = threading.RLock()  # the SDK is mended for the whole process


@dataclass
class Exploration:
    """What an exploration found.

    run: the Run that breaks, with the fewest crashes; None where none was found. why: what is wrong with it.
    played, known: how many schedules were played, of how many that could have been, so far as is known; each a dict by
        number of crashes: {0: 1, 1: 24, 2: 312}.
    reference: the Run without a crash, in the first world. seconds: that it took. complete: whether all were played.
    turn: of the schedule that was found (see schedules.turn), before crashes were left out of it: with that as its seed
        explore plays it as the first of those with as many crashes. None where none was found.
    """

    run: object = None
    why: str = ""
    played: dict = None
    known: dict = None
    reference: object = None
    seconds: float = 0.0
    complete: bool = False
    turn: int | None = None

    @property
    def ok(self):
        return self.run is None

    def summary(self):
        """How many schedules of how many were played, in a sentence."""
        parts = []
        for crashes, count in sorted(self.played.items()):
            known = self.known.get(crashes)
            of = f"all {count}" if count == known else f"{count} of {known}" if known else str(count)
            name = {0: "without a crash", 1: "with one crash", 2: "with two"}.get(crashes, f"with {crashes}")
            parts.append(f"{of if crashes else count} {name}")
        return f"{sum(self.played.values())} schedules played: {', '.join(parts)}."

    def __str__(self):
        if self.ok:
            return self.summary()
        world = f" (world: {self.run.world})" if self.run.world else ""
        return f"{self.why}{world}\n{self.run.tell()}\n{self.summary()}"

    def _repr_pretty_(self, printer, cycle):
        printer.text(str(self))


def explore(
    handler,
    event,
    *,
    world=World,
    crashes=2,
    intended=None,
    inside=False,
    strict=True,
    seconds=5.0,
    seed=0,
    timeout=None,
    progress=None,
):
    """Play a durable handler without a crash, with each single crash, with pairs, and so on; returns an Exploration.

    handler: a function of the world that returns the handler, called anew in each process (so that a crash forgets what
        is in memory); or a handler (event, context), with or without @durable_execution; or a file, or its source,
        which has a lambda_handler and is run anew in each process.
    event: the input, what can be JSON.
    world: a World's class, or a function that makes one; or several, by name: {"answers early": Early, ...}. Each
        schedule has a new one.
    crashes: how many, at most. Up to two are played in all places, pairs in an order that begins where `seed` says (see
        schedules.turn); three and four in places that `seed` draws, for as long as there is time.
    intended: function of a Run that returns what is wrong with it, a sentence, or None. Without it, a run must come to
        the same end as the one without a crash in its world, with the same effects; values that are drawn at random
        (they differ between two runs without a crash) may differ, if they differ alike everywhere.
    inside: whether to crash inside of steps, too: after each effect, and before a step's result is stored. A step that
        is interrupted runs again, so each effect needs an idempotency key then. Or the first words of some effects,
        {"order"}: right after those only.
    strict: whether what is a fault whatever is intended (see below) counts beside `intended`.
    seconds: how long to go on for. At Ctrl-C it ends sooner, and says what it has played.
    timeout: of the whole execution, in seconds (DurableConfig's ExecutionTimeout), on the one clock; None for the 366
        days that Lambda takes at most.
    progress: function of the Exploration so far, called after each schedule, for a progress bar.

    Whatever is intended, these are faults: effects outside of steps that are repeated on replay, other operations on
    replay, operations that a replay never comes to, durable calls inside of steps, a suspension that is swallowed, an
    invocation of more than 15 minutes, a handler that hangs, waits for what never comes, or goes on for ever.
    """
    search = _Search(handler, event, world, intended, inside, timeout, strict)
    return search.go(crashes, seconds, seed, progress or (lambda found: None))


def play(handler, event, *, world=World, schedule=(), inside=True, timeout=None, draws="", recorded=None):
    """Play a handler once, and let it crash where the schedule says; returns a Run.

    schedule: a list of Crash, in the order in which they happen. Those that come to nothing are not counted in
        run.crashed. draws: a text; with another one, steps draw other values with `random`. recorded: {id of a step:
        its result, as text}, of a play in another process. A step whose result differs from it in nothing but an order,
        such as that of a set, has the recorded one. The rest is as for explore.
    Raises ValueError where there is no such place.
    """
    search = _Search(handler, event, world, None, inside, timeout, draws=draws, recorded=recorded)
    with search.ready() as call:
        return call(search.play, next(iter(search.worlds)), tuple(schedule))


class _Search:
    def __init__(self, handler, event, world, intended, inside, timeout, strict=True, draws="", recorded=None):
        from workshop.exploring import comparing, plays, programs

        self._plays, self._differs = plays, comparing.difference
        self._program, self._event = programs.program_of(handler), event
        self.worlds = world if isinstance(world, dict) else {"": world}
        self._intended, self._inside, self._timeout, self._strict = intended, inside, timeout, strict
        self._draws, self._recorded = draws, recorded or {}
        self._references = {}
        self._played, self._known = {}, {}

    @contextlib.contextmanager
    def ready(self):
        """Within this, schedules can be played, in a thread of its own: by what it yields, call(function, *arguments).

        Ctrl-C is heard by the main thread only. So it never hits the engine or a process in the middle of something:
        what is under way is played to its end first.
        """
        from workshop.exploring.mends import mended

        with _one_at_a_time, mended(), ThreadPoolExecutor(1, thread_name_prefix="explorer") as pool:
            yield lambda function, *arguments: pool.submit(function, *arguments).result()

    def play(self, world, schedule):
        made = self.worlds[world]()
        how = (world, schedule, self._inside, self._timeout, self._draws, self._recorded)
        return self._plays.Play(self._program, self._event, made, *how).run()

    def go(self, crashes, seconds, seed, progress):
        begun = time.monotonic()
        end = begun + seconds
        found = Exploration(played=self._played, known=self._known)
        runs = self._runs(crashes, seed)
        with contextlib.suppress(KeyboardInterrupt), self.ready() as call:
            while not found.complete and found.run is None:
                run, why = call(next, runs, (None, None))
                if why:
                    found.turn = schedules.turn(run.world, run.schedule)
                    found.run, found.why = call(self._shrink, run, why)
                found.complete = run is None
                progress(found)
                if time.monotonic() > end:
                    break
        found.reference = next((twins[0] for twins in self._references.values()), None)
        found.seconds = time.monotonic() - begun
        return found

    def _runs(self, crashes, seed):
        """(run, what is wrong with it), of one schedule after the other, the fewest crashes first."""
        last = []
        for world in self.worlds:
            run = self.play(world, ())
            twin = run if run.faults or self._intended else self.play(world, ())
            self._references[world] = (run, twin)
            self._count(0, 1)
            yield run, self._wrong(run)
            last.append(run)
        for number in range(1, min(crashes, 2) + 1):
            last = yield from self._one_more(last, number, seed)
        draw = random.Random(seed)
        while crashes > 2 and last:
            run = draw.choice(last)
            while len(run.schedule) < min(crashes, MOST_CRASHES_IN_A_ROW):
                more = schedules.further(run, self._inside)
                if not more:
                    break
                run = self.play(run.world, (*run.schedule, draw.choice(more)))
                self._count(len(run.schedule))
                yield run, self._wrong(run)

    def _one_more(self, runs, number, seed):
        """Play what each of these runs can be with one crash more; pairs by turns, from that on which the seed is."""
        wanted = [(run.world, (*run.schedule, crash)) for run in runs for crash in schedules.further(run, self._inside)]
        self._known[number] = len(wanted)
        if number > 1:
            wanted.sort(key=lambda each: (schedules.turn(*each) - seed) % schedules.TURNS)
        played = []
        for world, schedule in wanted:
            run = self.play(world, schedule)
            self._count(number)
            yield run, self._wrong(run)
            played.append(run)
        return played

    def _count(self, crashes, known=0):
        self._played[crashes] = self._played.get(crashes, 0) + 1
        if known:
            self._known[crashes] = self._known.get(crashes, 0) + known

    def _wrong(self, run):
        if run.faults and self._strict:
            return run.faults[0]
        if self._intended:
            return self._intended(run)
        different = self._differs(*self._references[run.world], run)
        if different and run.schedule:
            # Once more without a crash, now: what differs there by itself (the time of day) is no difference.
            self._references[run.world] = self._references[run.world][0], self.play(run.world, ())
            different = self._differs(*self._references[run.world], run)
        return different

    def _shrink(self, run, why):
        def breaks(schedule):
            fewer = self.play(run.world, schedule)
            wrong = self._wrong(fewer)
            return (fewer, wrong) if wrong else None

        _, found = schedules.shrunk(run.schedule, breaks)
        return found or (run, why)
