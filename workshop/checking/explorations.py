"""A durable function of the learner's, as it is deployed, explored with crashes of its process, in a process of ours.

A process of its own, since the code of the explored function runs in it, with boto3, urllib and the SDK changed below
it: a notebook's kernel, and a check beside it, notice nothing.

`explored` is for a function that a check sees in a truer world, too. What it is explored in are the worlds of
workshop/checks/durable_worlds.py. What those do not have decides nothing: the record says that it is not known then.
It plays the function with crashes; and without one where hours are to pass, for which nobody can wait in an account.

`explored_in` is for a function of which the exploration says all. Each of its worlds, a case of the exercise, is
explored by itself, without a crash first.
"""

import contextlib
import dataclasses
import functools
import importlib
import io
import math
import tempfile
import time
import urllib.request
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from workshop import clients
from workshop.checking import apart
from workshop.checking.outcomes import NotYet, SandboxProblem
from workshop.checking.waiting import side_by_side

PATIENCE = 60  # seconds
_HANGS = "how to come back from what it waits for"
_LEFT_OUT = f"{'':>12}  ..."
LONGEST_STORY = 24  # lines; of a longer one, those are shown that matter
PAIRS_SECONDS = 2  # for which it goes on; all single crashes are played, whatever they take


@dataclasses.dataclass(frozen=True)
class Crashes:
    """What came of it.

    wrong: what is wrong, in a sentence; "" where nothing is. inside: whether it takes a crash inside of a step.
    story: what happened then, in order: texts. played: how many schedules of how many, in a sentence.
    unknown: what the function has called that its worlds do not have; nothing is said of it then.
    guessed: what its world calls random, and is the same in another execution with the same ARN; "" where nothing is.
    """

    wrong: str = ""
    inside: bool = False
    story: Sequence[str] = ()
    played: str = ""
    unknown: str = ""
    guessed: str = ""

    @property
    def evidence(self) -> Sequence[str]:
        return self.story


@dataclasses.dataclass(frozen=True)
class Played:
    """What came of one play without a crash, in a world in which hours pass.

    wrong: what is wrong, in a sentence; "" where nothing is. story: what happened, in order: texts. unknown: what the
    function has called that its world does not have; nothing is said of it then.
    """

    wrong: str = ""
    story: Sequence[str] = ()
    unknown: str = ""

    @property
    def evidence(self) -> Sequence[str]:
        return self.story


def explored(lab, thing: str, seed: int | None, worlds: Sequence[str] = ()) -> tuple[Crashes | None, list[Played]]:
    """Explore the function lab.name(thing), one of EXPLORED in durable_worlds.py, and play it in each of `worlds`.

    seed: decides the order of pairs, which are played until PAIRS_SECONDS are over; None: without any crash. worlds:
    names of classes in durable_worlds.py. Raises SandboxProblem where the time of the check is over, and RuntimeError
    where the exploration itself failed.
    """
    with code_of(lab, thing) as (folder, environment):
        return in_a_process(thing, folder, environment, seed, PAIRS_SECONDS, worlds)


def in_a_process(thing: str, folder, environment: Mapping, seed: int | None, seconds: float, worlds=()):
    """Explore the function whose lambda_function.py is in this folder; see `explored`. environment: its variables."""
    report = _reported("_explore", folder, environment, thing=thing, seed=seed, seconds=seconds, worlds=[*worlds])
    if report is None:
        unknown = "how to come to an end"
        return Crashes(unknown=unknown), [Played(unknown=unknown) for _ in worlds]
    crashes, played = report["crashes"], report["played"]
    return crashes and Crashes(**crashes), [Played(**each) for each in played]


@dataclasses.dataclass(frozen=True)
class Explored:
    """What came of exploring a function in one world.

    about: what is special about the world. broken: the name of what it does not keep, as the world calls it; "" where
    nothing is wrong, "replays" where it is about replay whatever is intended. wrong: what happened, in a sentence.
    crashed: how many crashes that takes. story: what happened then, in order: texts. hangs: whether it did not come
    back, which a slow machine can look like. played: how many schedules of how many, in a sentence.
    """

    about: str
    broken: str = ""
    wrong: str = ""
    crashed: int = 0
    story: Sequence[str] = ()
    hangs: bool = False
    played: str = ""

    @property
    def evidence(self) -> Sequence[str]:
        return self.story


def explored_in(worlds: str, cases: Mapping[str, Mapping], lab, thing: str, *, seed: int, seconds: float, inside=()):
    """Explore the function lab.name(thing) in several worlds; returns {name: Explored}, with the names of `cases`.

    worlds: the module of the worlds. cases: {name: {"about": text, "world": name of a class in it, "input": dict}}. A
        world is made with the input, and has wrong(run), which returns (broken, wrong), as in Explored, or None.
    seconds: for all of them together; all single crashes are played, whatever they take. inside: the first words of
        effects after which it crashes, too. seed: decides the order of pairs.
    Raises NotYet where the function calls what its world does not have, SandboxProblem where there was no time.
    """
    with code_of(lab, thing) as (folder, environment):
        report, elsewhere = each_in_a_process(worlds, cases, folder, environment, seed, seconds, inside)
    if report is None or elsewhere is None:
        raise SandboxProblem("Exploring the function took too long. Try again later.")
    if report["unknown"]:
        observed = f"Exploring {lab.name(thing)} met a call that its world does not have: {report['unknown']}."
        raise NotYet(observed, "A function that acts on the world through what is given, and through nothing else.")
    found = {name: Explored(**each) for name, each in report["found"].items()}
    for name, here in report["orders"].items():
        if not found[name].broken and (wrong := _exchanged(here, elsewhere["orders"].get(name, here))):
            found[name] = Explored(cases[name]["about"], "replays", wrong)
    return found


def each_in_a_process(worlds, cases, folder, environment, seed, seconds, inside=()):
    """Explore the function in this folder; returns two reports, that of the exploration and one of another process.

    In the other one the function is played without a crash, and sets of texts have another order. Those are in one
    process all the same, so that no crash shows it.
    """
    task = {"worlds": worlds, "cases": cases, "inside": sorted(inside), "seed": seed}
    return side_by_side(
        lambda: _reported("_explore_each", folder, environment, hash_seed="1", seconds=seconds, **task),
        lambda: _reported("_explore_each", folder, environment, hash_seed="2", seconds=None, **task),
    )


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
    """The code of the function lab.name(thing), as it is deployed: (a folder with its files, its variables)."""
    told = clients.of("lambda").get_function(FunctionName=lab.name(thing))
    environment = told["Configuration"].get("Environment", {}).get("Variables", {})
    with tempfile.TemporaryDirectory() as folder:
        with urllib.request.urlopen(told["Code"]["Location"], timeout=30) as answer:
            zipfile.ZipFile(io.BytesIO(answer.read())).extractall(folder)
        yield folder, environment


def _reported(explore, folder, environment, hash_seed="1", **options):
    """What a function of this module returns that is called in a process of its own; None if it has no end."""
    keys = dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "explored")
    region = dict.fromkeys(("AWS_DEFAULT_REGION", "AWS_REGION"), "us-east-1")
    return apart.called(
        f"{__name__}:{explore}",
        {"folder": str(folder), **options},
        folder=folder,
        environment={**environment, **keys, **region},
        patience=PATIENCE,
        what="an exploration with crashes",
        hash_seed=hash_seed,
    )


# -- in that process --------------------------------------------------------------------------------------------------


def _explore(thing, folder, seed, seconds, worlds):
    from workshop.checking.stand_ins import in_place
    from workshop.checks import durable_worlds

    how, source = durable_worlds.EXPLORED[thing], Path(folder) / "lambda_function.py"
    with in_place() as unknown:
        crashes = None if seed is None else dataclasses.asdict(_explored(how, source, seed, seconds, unknown))
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
        return Played(unknown="".join(unknown[:1]))
    return Played(f"{_upper(world.about)}: {wrong}.", _in_few_lines(run.tell().splitlines()))


def _explored(how, source, seed, seconds, unknown) -> Crashes:
    from workshop.exploring import explore, play

    worlds, ended = {}, ""
    # What goes wrong without a crash is not about crashes: the cases of the check see it, in a truer world.
    for world in how.worlds:
        run = play(source, how.event, world=world, inside=how.inside)
        otherwise = run.acted_on.wrong(run)
        if run.status == "HANGS":  # that may be the machine's fault
            unknown.append(_HANGS)
        if unknown:
            return Crashes(unknown=unknown[0])
        if otherwise:
            ended = f"a right end in the case of {world.about}, where {otherwise}"
        else:
            worlds[world.about] = world
    if not worlds:
        return Crashes(unknown=ended)
    guessed = _guessed(source, how, play)
    return dataclasses.replace(_with_crashes(explore, source, how, worlds, seed, seconds, unknown), guessed=guessed)


def _guessed(source, how, play):
    """What should be random, and is the same in two executions that have one ARN; a text, "" where nothing is."""
    from aws_durable_execution_sdk_python_testing import execution

    arn, execution.uuid4 = execution.uuid4, lambda: "00000000-0000-4000-8000-000000000000"
    try:
        one, other = (play(source, how.event, world=how.worlds[0], draws=nth).acted_on.random for nth in ("1", "2"))
    finally:
        execution.uuid4 = arn
    return one if one == other else ""


def _with_crashes(explore, source, how, worlds, seed, seconds, unknown):
    def wrong(run):
        if run.status == "HANGS":
            unknown.append(_HANGS)
        return None if unknown else run.acted_on.wrong(run)

    begun = time.monotonic()

    def enough(exploration):
        singles = exploration.known.get(1) is not None and exploration.played.get(1, 0) >= exploration.known[1]
        if unknown or (singles and time.monotonic() > begun + seconds):
            raise KeyboardInterrupt

    found = explore(
        source,
        how.event,
        world=worlds,
        intended=wrong,
        inside=how.inside,
        strict=False,
        seconds=math.inf,
        seed=seed,
        progress=enough,
    )
    if unknown:
        return Crashes(unknown=unknown[0])
    if found.ok:
        return Crashes(played=found.summary())
    crashed = {1: "crashed", 2: "crashed twice"}.get(found.run.crashed, f"crashed {found.run.crashed} times")
    return Crashes(
        f"{_upper(found.run.world)}: the function's process {crashed}, and {found.why}.",
        any(crash.where == "inside" for crash in found.run.schedule),
        _in_few_lines(found.run.tell().splitlines()),
        found.summary(),
    )


def _explore_each(worlds, cases, folder, inside, seed, seconds):
    from workshop.checking.stand_ins import in_place
    from workshop.exploring import play

    module, source = importlib.import_module(worlds), Path(folder) / "lambda_function.py"
    found, orders, end = {}, {}, time.monotonic() + (seconds or 0)
    with in_place() as unknown:
        for left, (name, case) in zip(range(len(cases), 0, -1), cases.items(), strict=True):
            world = functools.partial(getattr(module, case["world"]), case["input"])
            run = play(source, case["input"], world=world)
            orders[name] = _orders(run)
            if run.status == "HANGS":  # what hangs goes on in this process, and each one more makes it slower
                told = Explored(case["about"], "replays", run.faults[0], story=run.tell().splitlines(), hangs=True)
                found[name] = dataclasses.asdict(told)
                break
            if seconds is not None:
                share = max(0, end - time.monotonic()) / left
                found[name] = dataclasses.asdict(_explore_one(source, world, case, set(inside), seed, share, unknown))
    return {"found": found, "orders": orders, "unknown": unknown[0] if unknown else ""}


def _orders(run):
    """In which order it comes to operations and does what it does: {place: name} of each, whatever is side by side."""
    events = [event for event in run.history if not event["EventType"].startswith(("Execution", "Invocation"))]
    operations = {event["Id"]: event.get("Name") or "" for event in events}
    effects = sorted(
        enumerate(zip(run.branches, run.effects, strict=True)), key=lambda each: (each[1][0] or "", each[0])
    )
    named = {str(nth): " ".join(map(str, effect)) for nth, (_, (_, effect)) in enumerate(effects)}
    return {"operations": operations, "effects": named}


def _explore_one(source, world, case, inside, seed, seconds, unknown):
    from workshop.exploring import explore

    said = {}  # id of a run -> what is broken in it

    def wrong(run):
        broken = None if run.strays else run.acted_on.wrong(run)
        broken = broken or (("replays", "") if run.faults else None)
        if broken is None:
            return None
        said[id(run)] = broken[0]
        return run.faults[0] if run.faults else broken[1]

    begun = time.monotonic()

    def enough(exploration):
        singles = exploration.known.get(1) is not None and exploration.played.get(1, 0) >= exploration.known[1]
        if unknown or (singles and time.monotonic() > begun + seconds):
            raise KeyboardInterrupt

    options = {"inside": inside or False, "strict": False, "seconds": math.inf, "seed": seed, "progress": enough}
    result = explore(source, case["input"], world=world, intended=wrong, **options)
    if result.ok:
        return Explored(case["about"], played=result.summary())
    run, story = result.run, result.run.tell().splitlines()
    return Explored(
        case["about"],
        said[id(run)],
        result.why,
        run.crashed,
        story if len(story) <= LONGEST_STORY else _in_few_lines(story),
        run.status == "HANGS",
        result.summary(),
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
