"""A durable function of the learner's, as it is deployed, explored with crashes of its process, in a process of ours.

A process of its own, since the code of the explored function runs in it, with boto3, urllib and the SDK changed below
it: a notebook's kernel, and a check beside it, notice nothing.

`explored` is for a function that a check sees in a truer world, too. What it is explored in are the worlds of
workshop/checks/durable_worlds.py. What those do not have decides nothing: the record says that it is not known then.
It plays the function with crashes; and without one where hours are to pass, for which nobody can wait in an account.

`explored_in` is for a function of which the exploration says all. Each of its worlds, a case of the exercise, is
explored by itself, without a crash first.

An exercise with either of them is a Crashing, which explores for as long as one likes.
"""

import contextlib
import dataclasses
import functools
import importlib
import io
import math
import random
import tempfile
import time
import urllib.request
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from workshop import clients
from workshop.checking import apart
from workshop.checking.exercises import SEEDS, Draw, Exercise, bar
from workshop.checking.outcomes import NotYet, SandboxProblem
from workshop.checking.resources import function
from workshop.checking.waiting import CHECK_SECONDS, at_most, side_by_side

PATIENCE = 60  # seconds, beside those for which it goes on with pairs
_HANGS = "it did not come back from what it waits for"
_LEFT_OUT = f"{'':>12}  ..."
LONGEST_STORY = 24  # lines; of a longer one, those are shown that matter
PAIRS_SECONDS = 2  # for which it goes on; all single crashes are played, whatever they take
FEWEST_PAIRS = 8  # that are played whatever they take: the pair that a seed names is among them


@dataclasses.dataclass(frozen=True)
class Crashes:
    """What came of it.

    wrong: what is wrong, in a sentence; "" where nothing is. inside: whether it takes a crash inside of a step.
    story: what happened then, in order: texts. turn: of the pair of crashes that it takes; None where one is enough.
    places: at how many it crashed, all that there are. pairs, known: at how many pairs of them, of how many.
    unknown: why nothing is said of it, after "it was not explored:"; such as what it has called that its worlds do not
        have. left_out: the same of some of its worlds.
    guessed: what its world calls random, and is the same in another execution with the same ARN; "" where nothing is.
    """

    wrong: str = ""
    inside: bool = False
    story: Sequence[str] = ()
    turn: int | None = None
    places: int = 0
    pairs: int = 0
    known: int = 0
    unknown: str = ""
    left_out: Sequence[str] = ()
    guessed: str = ""

    @property
    def evidence(self) -> Sequence[str]:
        return self.story


@dataclasses.dataclass(frozen=True)
class Played:
    """What came of one play without a crash, in a world in which hours pass.

    wrong: what is wrong, in a sentence; "" where nothing is. story: what happened, in order: texts. unknown: why
    nothing is said of it, as in Crashes.
    """

    wrong: str = ""
    story: Sequence[str] = ()
    unknown: str = ""

    @property
    def evidence(self) -> Sequence[str]:
        return self.story


def explored(
    lab, thing: str, seed: int | None, worlds: Sequence[str] = (), seconds: float | None = None, tell=None
) -> tuple[Crashes | None, list[Played]]:
    """Explore the function lab.name(thing), one of EXPLORED in durable_worlds.py, and play it in each of `worlds`.

    seed: the turn of the pair of crashes with which it begins (`turn` in workshop/exploring/schedules.py); None: no
    crashes. worlds: names of classes in durable_worlds.py. seconds: for which pairs are played; PAIRS_SECONDS, if
    nothing is said. tell: gets how far it is, a text, now and then.
    Raises SandboxProblem where the time of the check is over, and RuntimeError where the exploration itself failed.
    """
    with code_of(lab, thing) as (folder, environment):
        seconds = PAIRS_SECONDS if seconds is None else seconds
        return in_a_process(thing, folder, environment, seed, seconds, worlds, tell)


def in_a_process(thing: str, folder, environment: Mapping, seed: int | None, seconds: float, worlds=(), tell=None):
    """Explore the function whose lambda_function.py is in this folder; see `explored`. environment: its variables."""
    what = {"thing": thing, "seed": seed, "seconds": seconds, "worlds": [*worlds]}
    report = _reported("_explore", folder, environment, tell=tell, patience=PATIENCE + seconds, **what)
    if report is None:
        unknown = "that took too long"
        return Crashes(unknown=unknown), [Played(unknown=unknown) for _ in worlds]
    crashes, played = report["crashes"], report["played"]
    return crashes and Crashes(**crashes), [Played(**each) for each in played]


@dataclasses.dataclass(frozen=True)
class Explored:
    """What came of exploring a function in one world.

    about: what is special about the world. broken: the name of what it does not keep, as the world calls it; "" where
    nothing is wrong, "replays" where it is about replay whatever is intended. wrong: what happened, in a sentence.
    crashed: how many crashes that takes. story: what happened then, in order: texts. hangs: whether it did not come
    back, which a slow machine can look like. turn, places, pairs, known: as in Crashes.
    """

    about: str
    broken: str = ""
    wrong: str = ""
    crashed: int = 0
    story: Sequence[str] = ()
    hangs: bool = False
    turn: int | None = None
    places: int = 0
    pairs: int = 0
    known: int = 0

    @property
    def evidence(self) -> Sequence[str]:
        return self.story


def crashed_at(records: Sequence[Crashes | Explored]) -> str:
    """At how many places, in a sentence."""
    places, pairs, known = (sum(getattr(each, what) for each in records) for what in ("places", "pairs", "known"))
    return f"Its process was crashed at all {places} places, and at {pairs} of {known} pairs of them."


def explored_in(
    worlds: str, cases: Mapping[str, Mapping], lab, thing: str, *, seed: int, seconds: float, inside=(), tell=None
):
    """Explore the function lab.name(thing) in several worlds; returns {name: Explored}, with the names of `cases`.

    worlds: the module of the worlds. cases: {name: {"about": text, "world": name of a class in it, "input": dict}}. A
        world is made with the input, and has wrong(run), which returns (broken, wrong), as in Explored, or None. Its
        `another` is the world of another execution with the same input, which drew other values and is over.
    seconds: for all of them together; all single crashes are played, whatever they take. inside: the first words of
        effects after which it crashes, too. seed, tell: as `explored` takes them.
    Raises NotYet where the function calls what its world does not have, SandboxProblem where there was no time.
    """
    with code_of(lab, thing) as (folder, environment):
        report, elsewhere = each_in_a_process(worlds, cases, folder, environment, seed, seconds, inside, tell)
    if report is None or elsewhere is None:
        raise SandboxProblem("Exploring the function took too long. Try again later.")
    if report["unknown"]:
        observed = f"Exploring {lab.name(thing)} met a call that its world does not have: {report['unknown']}."
        raise NotYet(observed, "A function that acts on the world through what is given, and through nothing else.")
    found = {name: Explored(**each) for name, each in report["found"].items()}
    for name, wrong in _exchanged_by_case(report, elsewhere):
        if not found[name].broken:
            found[name] = Explored(cases[name]["about"], "replays", wrong)
    return found


def drawn_again(lab, thing: str, event: Mapping, world: str) -> tuple[str, str] | None:
    """What the function lab.name(thing) makes of an event in two worlds that have nothing yet: what should be random.

    world: the name of a class in durable_worlds.py, whose `random` tells it. None where the function calls what such a
    world does not have, or does not come to its end.
    """
    told = clients.of("lambda").get_function_configuration(FunctionName=function(lab, thing))
    main = f"{told['Handler'].rpartition('.')[0]}.py"
    with code_of(lab, thing) as (folder, environment):
        return _reported("_draw_again", folder, environment, main=main, event=event, world=world)


def each_in_a_process(worlds, cases, folder, environment, seed, seconds, inside=(), tell=None):
    """Explore the function in this folder; returns two reports, that of the exploration and one of another process.

    In the other one the function is played without a crash, and sets of texts have another order. Those are in one
    process all the same, so that no crash shows it. What a step has recorded has the order of the first process there.
    """
    task = {"worlds": worlds, "cases": cases, "inside": sorted(inside), "seed": seed}
    options = {"tell": tell, "patience": PATIENCE + seconds, "seconds": seconds}
    here = functools.partial(_reported, "_explore_each", folder, environment, hash_seed="1", **options, **task)
    there = functools.partial(_reported, "_explore_each", folder, environment, hash_seed="2", seconds=None, **task)
    if tell is None:
        report, elsewhere = side_by_side(here, there)
    else:  # by the thread that called, whose notebook shows what is told
        elsewhere, report = there(), here()
    if report and elsewhere and any(_exchanged_by_case(report, elsewhere)):
        recorded = {name: told["results"] for name, told in report["orders"].items()}
        elsewhere = there(recorded=recorded)  # it may be what a step has recorded, which a new process reads
    return report, elsewhere


def _exchanged_by_case(report, elsewhere):
    """(name, what is done in another order there) of the cases of which anything is."""
    for name, here in report["orders"].items():
        if wrong := _exchanged(here, elsewhere["orders"].get(name, here)):
            yield name, wrong


def _exchanged(here, there):
    """What is done in another order in another process, in a sentence; None where nothing is."""
    for what, do in (("operations", "comes to"), ("effects", "does")):
        one, other = here[what], there[what]
        if one != other and sorted(one.values()) == sorted(other.values()):
            said = [", ".join(each.values()) for each in (one, other)]
            return f"In one process it {do} {said[0]}; in another, {said[1]}. A set has another order in each process."
    return None


@contextlib.contextmanager
def code_of(lab, thing: str) -> Iterator[tuple[str, dict]]:
    """The code of the function lab.name(thing), as it is deployed: (a folder with its files, its variables).

    Raises NotAttempted where there is none.
    """
    told = clients.of("lambda").get_function(FunctionName=function(lab, thing))
    environment = told["Configuration"].get("Environment", {}).get("Variables", {})
    with tempfile.TemporaryDirectory() as folder:
        with urllib.request.urlopen(told["Code"]["Location"], timeout=30) as answer:
            zipfile.ZipFile(io.BytesIO(answer.read())).extractall(folder)
        yield folder, environment


def _reported(explore, folder, environment, hash_seed="1", patience=None, tell=None, **options):
    """What a function of this module returns that is called in a process of its own; None if it has no end."""
    with tempfile.TemporaryDirectory() as beside:
        told = Path(beside, "told")
        if tell is not None:
            options["told"] = str(told)

        def meanwhile():
            if told.exists():
                tell(told.read_text(encoding="utf-8"))

        return _called(explore, folder, environment, hash_seed, patience or PATIENCE, meanwhile, options)


def _called(explore, folder, environment, hash_seed, patience, meanwhile, options):
    keys = dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "explored")
    region = dict.fromkeys(("AWS_DEFAULT_REGION", "AWS_REGION"), "us-east-1")
    return apart.called(
        f"{__name__}:{explore}",
        {"folder": str(folder), **options},
        folder=folder,
        environment={**environment, **keys, **region},
        patience=patience,
        what="an exploration with crashes",
        hash_seed=hash_seed,
        meanwhile=meanwhile,
    )


class Crashing(Exercise):
    """An exercise whose function is explored with crashes. crashing: the names of the cases that are explored so."""

    crashing: Sequence[str] = ("crashes",)

    def observe_crashes(self, lab, draw: Draw, seconds: float, tell: Callable[[str], None]) -> Mapping:
        """As `observe`, for the cases of `crashing`. seconds: for which pairs are played. tell: as for `explored`."""
        raise NotImplementedError

    def explore(self, lab, seconds, tell):
        """Check it once, and then play pairs of crashes for so many seconds; with other seeds, when all were played.

        Raises an Outcome as `check` does. Ctrl-C ends it, as if the time were over.
        """
        began, seeds, more, stopped = time.monotonic(), 0, "", False

        def passed():
            return time.monotonic() - began

        def say(text):
            tell(f"{bar(passed(), seconds)}, {text}")

        try:
            while not seeds or passed() < seconds:
                seed = random.SystemRandom().randrange(SEEDS)
                others = [name for name in self.playable() if name not in self.crashing]
                if others:
                    say("the cases in which nothing crashes")
                    self.check(lab, seed, others)
                said = self._play_pairs(lab, Draw(seed), max(0, seconds - passed()), say)
                more, seeds = more or said, seeds + 1  # the first time it had the most time
        except KeyboardInterrupt:
            stopped = True
        if not seeds:
            return f"Stopped after {passed():.0f} s, before it was played once to its end."
        often = f", with {seeds} seeds" if seeds > 1 else ""
        return f"{'Stopped' if stopped else 'Nothing broke'} after {passed():.0f} s{often}. {more}"

    def _play_pairs(self, lab, draw, seconds, say):
        with at_most(CHECK_SECONDS + seconds):
            seen = self.observe_crashes(lab, draw, seconds, say)
        fault, again = self._first_fault(seen, self.contract)
        if fault and again is not None:  # a busy machine can look so: only a check looks three times
            self.check(lab, draw.seed_with(fault.turn), again.cases)
        elif fault:
            fault.seed = draw.seed_with(fault.turn)
            raise fault
        return self.says_more(seen)


# -- in that process --------------------------------------------------------------------------------------------------


def _explore(thing, folder, seed, seconds, worlds, told=None):
    from workshop.checking.stand_ins import in_place
    from workshop.checks import durable_worlds

    how, source = durable_worlds.EXPLORED[thing], Path(folder) / "lambda_function.py"
    with in_place() as unknown:
        crashes = None if seed is None else dataclasses.asdict(_explored(how, source, seed, seconds, unknown, told))
        played = [dataclasses.asdict(_played(how, source, getattr(durable_worlds, name), unknown)) for name in worlds]
    return {"crashes": crashes, "played": played}


def _played(how, source, world, unknown) -> Played:
    from workshop.exploring import play

    unknown.clear()
    run = play(source, {**how.event, **world.input}, world=world)
    if run.status == "HANGS":  # that may be the machine's fault
        unknown.append(_HANGS)
    wrong = run.acted_on.wrong(run)
    if unknown or not wrong:
        return Played(unknown=_why_not(unknown))
    return Played(f"{_upper(world.about)}: {wrong}.", _in_few_lines(run.tell().splitlines()))


def _why_not(unknown):
    """Why nothing is said of a function, as Crashes.unknown has it: it hangs, or calls what its world does not have."""
    if not unknown or unknown[0] == _HANGS:
        return "".join(unknown[:1])
    return f"it calls {unknown[0]}, which the explorer does not know"


def _explored(how, source, seed, seconds, unknown, told) -> Crashes:
    from workshop.exploring import explore, play

    worlds, left_out = {}, []
    # What goes wrong without a crash is not about crashes: the cases of the check see it, in a truer world.
    for world in how.worlds:
        run = play(source, how.event, world=world, inside=how.inside)
        otherwise = run.acted_on.wrong(run)
        if run.status == "HANGS":  # that may be the machine's fault
            unknown.append(_HANGS)
        if unknown:
            return Crashes(unknown=_why_not(unknown))
        if otherwise:
            left_out.append(f"in the case of {world.about} {otherwise}, without any crash")
        else:
            worlds[world.about] = world
    if not worlds:
        return Crashes(unknown=left_out[0])
    guessed = _guessed(source, how, play)
    found = _with_crashes(explore, source, how, worlds, seed, seconds, unknown, told)
    return dataclasses.replace(found, guessed=guessed, left_out=left_out)


def _guessed(source, how, play):
    """What should be random, and is the same in two executions that have one ARN; a text, "" where nothing is."""
    from aws_durable_execution_sdk_python_testing import execution

    arn, execution.uuid4 = execution.uuid4, lambda: "00000000-0000-4000-8000-000000000000"
    try:
        one, other = (play(source, how.event, world=how.worlds[0], draws=nth).acted_on.random for nth in ("1", "2"))
    finally:
        execution.uuid4 = arn
    return one if one == other else ""


def _draw_again(folder, main, event, world):
    from workshop.checking.stand_ins import in_place
    from workshop.checks import durable_worlds
    from workshop.exploring import play

    with in_place() as unknown:
        runs = [play(Path(folder) / main, event, world=getattr(durable_worlds, world)) for _ in range(2)]
    drawn = [run.acted_on.random for run in runs]
    return drawn if all(drawn) and not unknown else None


def _with_crashes(explore, source, how, worlds, seed, seconds, unknown, told):
    def wrong(run):
        if run.status == "HANGS":
            unknown.append(_HANGS)
        return None if unknown else run.acted_on.wrong(run)

    found = explore(
        source,
        how.event,
        world=worlds,
        intended=wrong,
        inside=how.inside,
        strict=False,
        seconds=math.inf,
        seed=seed,
        progress=_for_so_long(seconds, unknown, told),
    )
    if unknown:
        return Crashes(unknown=_why_not(unknown))
    if found.ok:
        return Crashes(**_numbers(found))
    crashed = {1: "crashed", 2: "crashed twice"}.get(found.run.crashed, f"crashed {found.run.crashed} times")
    return Crashes(
        f"{_upper(found.run.world)}: the function's process {crashed}, and {found.why}.",
        any(crash.where == "inside" for crash in found.run.schedule),
        _in_few_lines(found.run.tell().splitlines()),
        _turn_of(found),
        **_numbers(found),
    )


def _for_so_long(seconds, unknown, told):
    """What ends an exploration when all single crashes were played, some pairs, and so many seconds are over.

    It ends at once where something is unknown. told: a file that says how far it is; None for none.
    """
    begun = time.monotonic()

    def progress(exploration):
        pairs = exploration.played.get(2, 0)
        if told and (pairs % 5 == 0):
            singles, known = exploration.played.get(1, 0), exploration.known.get(2, 0)
            written = Path(f"{told} written")
            written.write_text(f"crashed at {singles} places and {pairs} of {known} pairs", encoding="utf-8")
            written.rename(told)  # whoever reads it reads all of it
        if unknown or (pairs >= FEWEST_PAIRS and time.monotonic() > begun + seconds):
            raise KeyboardInterrupt

    return progress


def _numbers(found):
    """At how many places it crashed, as Crashes has it."""
    return {"places": found.played.get(1, 0), "pairs": found.played.get(2, 0), "known": found.known.get(2, 0)}


def _turn_of(found):
    return found.turn if found.run.crashed > 1 else None


def _explore_each(worlds, cases, folder, inside, seed, seconds, told=None, recorded=None):
    from workshop.checking.stand_ins import in_place
    from workshop.exploring import play

    module, source = importlib.import_module(worlds), Path(folder) / "lambda_function.py"
    found, orders, end = {}, {}, time.monotonic() + (seconds or 0)
    with in_place() as unknown:
        for left, (name, case) in zip(range(len(cases), 0, -1), cases.items(), strict=True):
            world = functools.partial(getattr(module, case["world"]), case["input"])
            results = (recorded or {}).get(name, {})
            run = play(source, case["input"], world=world, draws="another ", recorded=results)
            orders[name] = _orders(run)
            if run.status == "HANGS":  # what hangs goes on in this process, and each one more makes it slower
                told = Explored(case["about"], "replays", run.faults[0], story=run.tell().splitlines(), hangs=True)
                found[name] = dataclasses.asdict(told)
                break
            if seconds is not None:
                share = max(0, end - time.monotonic()) / left
                how = {"inside": set(inside) or False, "seed": seed, "progress": _for_so_long(share, unknown, told)}
                beside = functools.partial(_beside, world, run.acted_on)
                found[name] = dataclasses.asdict(_explore_one(source, beside, case, how))
    return {"found": found, "orders": orders, "unknown": unknown[0] if unknown else ""}


def _beside(world, another):
    """A world, which knows what has become of the one of another execution."""
    made = world()
    made.another = another
    return made


def _orders(run):
    """In which order it comes to operations and does what it does: {place: name} of each, whatever is side by side.

    And the results of its steps, {id: text}.
    """
    events = [event for event in run.history if not event["EventType"].startswith(("Execution", "Invocation"))]
    operations = {event["Id"]: event.get("Name") or "" for event in events}
    effects = sorted(
        enumerate(zip(run.branches, run.effects, strict=True)), key=lambda each: (each[1][0] or "", each[0])
    )
    named = {str(nth): " ".join(map(str, effect)) for nth, (_, (_, effect)) in enumerate(effects)}
    ended = {event["Id"]: event["StepSucceededDetails"] for event in events if event["EventType"] == "StepSucceeded"}
    results = {id: details["Result"]["Payload"] for id, details in ended.items() if details.get("Result")}
    return {"operations": operations, "effects": named, "results": results}


def _explore_one(source, world, case, how):
    from workshop.exploring import explore

    said = {}  # id of a run -> what is broken in it

    def wrong(run):
        broken = None if run.strays else run.acted_on.wrong(run)
        broken = broken or (("replays", "") if run.faults else None)
        if broken is None:
            return None
        said[id(run)] = broken[0]
        return run.faults[0] if run.faults else broken[1]

    result = explore(source, case["input"], world=world, intended=wrong, strict=False, seconds=math.inf, **how)
    if result.ok:
        return Explored(case["about"], **_numbers(result))
    run, story = result.run, result.run.tell().splitlines()
    return Explored(
        case["about"],
        said[id(run)],
        result.why,
        run.crashed,
        story if len(story) <= LONGEST_STORY else _in_few_lines(story),
        run.status == "HANGS",
        _turn_of(result),
        **_numbers(result),
    )


def _upper(text):
    return text[:1].upper() + text[1:]


def _in_few_lines(story):
    """A story without what is far from its crashes and from its end."""
    crashes = [nth for nth, line in enumerate(story) if "CRASH" in line]
    near = {nth + step for nth in crashes for step in range(-3, 4)} | set(range(len(story) - 2, len(story)))
    lines = []
    for nth, line in enumerate(story):
        if nth in near:
            lines.append(line)
        elif not lines or lines[-1] != _LEFT_OUT:
            lines.append(_LEFT_OUT)
    return lines
