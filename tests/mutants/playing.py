"""Plays the mutants of a lab on several players at once, and keeps what became of them."""

import collections
import contextlib
import dataclasses
import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import tomllib
from pathlib import Path

from workshop.environments import CHECKOUT

from .exercises import exercises_of
from .making import mutants_of

LISTED = Path(__file__).with_name("listed.toml")
SAMPLE = Path(__file__).with_name("sample.json")
RESULTS = CHECKOUT / ".mutants"
SEED = 1  # of the order, in which a run that is stopped early has seen a bit of everything; and of the checks
SECONDS = 120  # for the cells of an answer and its check
FEW = 5  # mutants of an exercise, such as a sample has


class PlayError(Exception):
    """The mutants cannot be played; the message says why."""


@dataclasses.dataclass(frozen=True)
class Result:
    """outcome: "killed", "broken" (killed by a cell before the check), "survived" or "problem". words: of the
    refusal or the error. seconds: how long it took. id, diff: of the mutant."""

    id: str
    diff: str
    outcome: str
    words: str
    seconds: float


def solutions():
    """The files of all solutions."""
    return sorted((CHECKOUT / "solutions").glob("*.ipynb"))


def solution_of(lab):
    """The file of a lab's solution, by its number or name. Raises PlayError."""
    there_are = solutions()
    if not lab:
        raise PlayError("Say which lab, by its number: `make mutants LAB=02`.")
    found = [path for path in there_are if str(lab) in (path.stem, path.stem[:2], path.stem[:2].lstrip("0"))]
    if not found:
        raise PlayError(f"There is no solution {lab!r}. There are: {', '.join(path.stem for path in there_are)}.")
    return found[0]


class Lab:
    """The exercises of a lab, its mutants, and the keys of their results: digests of all that these depend on.

    path: of the solution. tasks: the numbers of the exercises to play; all if none. Raises PlayError.
    """

    def __init__(self, path, tasks=()):
        self.number = path.stem[:2]
        self.exercises = {exercise.number: exercise for exercise in exercises_of(path)}
        unknown = [str(task) for task in tasks if task not in self.exercises]
        if unknown:
            there_are = ", ".join(map(str, self.exercises))
            raise PlayError(f"Lab {self.number} has no exercise {', '.join(unknown)}. Its exercises are {there_are}.")
        self.tasks = [number for number in self.exercises if number in tasks or not tasks]
        self.mutants = {mutant.id: mutant for number in self.tasks for mutant in mutants_of(self.exercises[number])}
        self.keys = dict(self._keys(_digest_of_check(path.stem)))

    def _keys(self, check):
        cells = []
        for exercise in self.exercises.values():
            cells += exercise.before
            for mutant in self.mutants.values():
                if mutant.exercise == exercise.number:
                    content = [*cells, *mutant.cells, check]
                    yield mutant.id, hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]
            cells += [exercise.solution, *exercise.after]

    def results(self, known):
        """{id: Result} of the mutants of which something is known. known: {key: Result}."""
        return {name: known[self.keys[name]] for name in self.mutants if self.keys[name] in known}

    def to_play(self, known):
        """{exercise: [mutants]} of those of which nothing is known, in an order drawn from the seed."""
        wanted = {task: [] for task in self.tasks}
        for name, mutant in self.mutants.items():
            if self.keys[name] not in known:
                wanted[mutant.exercise].append(mutant)
        for mutants in wanted.values():
            random.Random(SEED).shuffle(mutants)
        return {task: mutants for task, mutants in wanted.items() if mutants}


def _digest_of_check(notebook):
    """A digest of the code that checks a lab: the module of its checks and all of the workshop that this imports."""
    files, wanted = {}, [f"workshop.checks.{notebook[3:].replace('-', '_')}", "workshop.labs"]
    while wanted:
        name = wanted.pop()
        path = CHECKOUT.joinpath(*name.split("."))
        path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        if name not in files and path.exists():
            files[name] = path.read_text(encoding="utf-8")
            wanted += _imports(files[name])
    return hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()


def _imports(code):
    """The names of workshop's modules that some code of it may import."""
    import ast

    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("workshop"):
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("workshop"))


# -- what is known ----------------------------------------------------------------------------------------------------


def read_known(lab, folder=RESULTS):
    """What the runs before found out of a Lab's mutants: {key: Result}."""
    try:
        known = json.loads((folder / f"{lab.number}.json").read_text(encoding="utf-8"))
        return {key: Result(**result) for key, result in known.items()}
    except (OSError, ValueError, TypeError):
        return {}


def write_known(lab, known, folder=RESULTS):
    """Keep what is known, but of this Lab's exercises no mutants that are no longer made."""
    folder.mkdir(exist_ok=True)
    made = set(lab.keys.values())
    kept = {
        key: result for key, result in known.items() if key in made or int(result.id.split("/")[1]) not in lab.tasks
    }
    document = {key: dataclasses.asdict(result) for key, result in sorted(kept.items(), key=lambda item: item[1].id)}
    new = folder / f"{lab.number}.new"
    new.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(new, folder / f"{lab.number}.json")


def read_listed(path=LISTED):
    """{(id, diff): why} of the mutants that are as right as the solution. Raises PlayError where one says no why."""
    listed = tomllib.loads(path.read_text(encoding="utf-8")).get("mutant", [])
    for entry in listed:
        if set(entry) != {"id", "diff", "why"} or not entry["why"].strip():
            raise PlayError(f"{path.name}: {entry.get('id')} needs an id, a diff and a sentence why.")
    return {(entry["id"], entry["diff"]): entry["why"] for entry in listed}


def faults_of_listed(lab, results, listed):
    """What is wrong with the list, a sentence each: mutants of these exercises that are gone, or that are killed.

    lab: a Lab. results: {id: Result}. listed: as read_listed returns it.
    """
    for name, diff in listed:
        number, task = name.split("/")[:2]
        if number != lab.number or int(task) not in lab.tasks:
            continue
        mutant = lab.mutants.get(name)
        if mutant is None or mutant.diff != diff:
            elsewhere = [other.id for other in lab.mutants.values() if other.diff == diff]
            moved = f"; there is one like it: {', '.join(elsewhere)}" if elsewhere else ""
            yield f"{name} is listed, and there is no such mutant any more{moved}."
        elif name in results and results[name].outcome in ("killed", "broken"):
            yield f"{name} is listed, and it was killed: {results[name].words}"


def write_sample(labs, path=SAMPLE):
    """Choose anew what `make test` plays: of each operator and of each lab a mutant that is known to be killed.

    Early exercises come first, since few cells stand before them, and of an exercise what is killed quickly.
    """
    killed = []
    for lab in labs:
        # Of a run before the last change, too: the test will tell.
        for result in read_known(lab).values():
            mutant = lab.mutants.get(result.id)
            if mutant and mutant.diff == result.diff and result.outcome in ("killed", "broken"):
                place = (mutant.exercise, result.outcome == "broken", lab.number, result.seconds, mutant.id)
                killed.append((place, mutant))
    killed = [mutant for _, mutant in sorted(killed, key=lambda each: each[0])]
    chosen = {}
    for mutant in killed:
        chosen.setdefault(mutant.operator, mutant)
    sample = [*chosen.values()]
    for lab in labs:
        if lab.number not in {mutant.id[:2] for mutant in sample}:
            sample += [mutant for mutant in killed if mutant.id[:2] == lab.number][:1]
    entries = [{"id": mutant.id, "diff": mutant.diff} for mutant in sorted(sample, key=lambda mutant: mutant.id)]
    path.write_text(json.dumps(entries, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def read_sample(lab, path=SAMPLE):
    """{exercise: [mutants]} of a Lab's part of the sample; its places may have moved.

    Raises PlayError where one of them is no longer made.
    """
    wanted = {}
    for entry in json.loads(path.read_text(encoding="utf-8")):
        what = entry["id"].split("/")[:3]
        if what[0] != lab.number:
            continue
        found = [each for each in lab.mutants.values() if (each.id.split("/")[:3], each.diff) == (what, entry["diff"])]
        if not found:
            raise PlayError(
                f"{entry['id']} is in the sample and no longer made. Run `make mutants LAB={lab.number}`, then "
                "`python -m tests.mutants --sample`, which chooses anew."
            )
        wanted.setdefault(found[0].exercise, []).append(found[0])
    return wanted


# -- players ----------------------------------------------------------------------------------------------------------


class Player:
    """A process that plays (see player.py), with a sandbox and a folder of its own."""

    def __init__(self, folder):
        self.folder = Path(tempfile.mkdtemp(prefix="player-", dir=folder))
        (self.folder / "work").mkdir()
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "WORKSHOP_"))},
            "WORKSHOP_STATE": str(self.folder / "state"),
            "WORKSHOP_RECORDS": "memory",
            "WORKSHOP_LEARNER": "mutant",
            "MPLBACKEND": "agg",
            "IPYTHONDIR": str(self.folder / "ipython"),
            "PYTHONPATH": str(CHECKOUT),
        }
        with open(self.folder / "log", "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.mutants.player"],
                cwd=self.folder / "work", env=environment, text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
                start_new_session=True,  # a Ctrl-C comes to us alone
            )  # fmt: skip

    def ask(self, **order):
        """Its answer. Raises PlayError where it has died."""
        try:
            self.process.stdin.write(json.dumps(order) + "\n")
            self.process.stdin.flush()
            return json.loads(self.process.stdout.readline())
        except (OSError, ValueError):
            last = (self.folder / "log").read_text(errors="replace").strip().splitlines()[-1:]
            raise PlayError(f"A player ended. It said: {' '.join(last) or 'nothing'}") from None

    def end(self):
        """End it, its fork and its sandbox."""
        with contextlib.suppress(OSError):
            self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


class Run:
    """Plays mutants on several players; what is known of each is told as soon as it is.

    lab: a Lab. wanted: {exercise: [mutants]}, played in this order. workers: how many players. tell: a function that is
    called with a mutant and its Result. faults: exercises that could not be played, a sentence each, filled while it
    plays.
    """

    def __init__(self, lab, wanted, workers, tell):
        self.lab, self.tell = lab, tell
        self.left = {task: collections.deque(mutants) for task, mutants in wanted.items()}
        self.workers = workers
        self.faults = {}
        self.stopped = threading.Event()
        self._lock = threading.Lock()
        self._players = set()

    def play(self):
        """Play until nothing is left. Ended by a KeyboardInterrupt, it leaves nothing behind and raises it."""
        folder = tempfile.mkdtemp(prefix="workshop-mutants-")
        threads = [threading.Thread(target=self._work, args=[folder], daemon=True) for _ in range(self.workers)]
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                while thread.is_alive():
                    thread.join(0.2)
        finally:
            self.stopped.set()
            before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C must not leave a sandbox behind
            players = list(self._players)
            for player in players:
                player.process.terminate()
            for player in players:
                player.end()
            for thread in threads:
                thread.join()
            shutil.rmtree(folder, ignore_errors=True)
            signal.signal(signal.SIGINT, before)

    def _work(self, folder):
        again = {}  # mutants that met a problem, once
        while not self.stopped.is_set() and any(self.left.values()):
            player = Player(folder)
            self._players.add(player)
            try:
                self._play_on(player, again)
            except PlayError as fault:
                if self.stopped.is_set():
                    return
                self._give_up(self._next_task(), str(fault))
            finally:
                self._players.discard(player)
                player.end()

    def _next_task(self):
        return next((task for task, mutants in self.left.items() if mutants), None)

    def _give_up(self, task, why):
        if task is not None and not self.stopped.is_set():
            self.left[task].clear()
            self.faults[task] = why

    def _play_on(self, player, again):
        """Play what is left with this player, until nothing is, or the player is no good any more."""
        before = []
        for task, exercise in self.lab.exercises.items():
            before += exercise.before
            if left := self.left.get(task):
                # Before a few mutants nobody looks whether the solution is done: they look after them.
                fault = player.ask(run=before)["fault"] or (len(left) > FEW and _not_done(player, exercise))
                before = []
                if fault:
                    self._give_up(task, f"The solution is not done: {fault}")
            played = False
            while mutant := self._take(task):
                answer = player.ask(play=_seeded(mutant.cells), seconds=SECONDS)
                late = answer["words"].startswith("It did not end")
                if answer["outcome"] == "problem" and mutant.id not in again:
                    again[mutant.id] = answer
                    self.left[task].appendleft(mutant)
                elif not self.stopped.is_set():
                    with self._lock:  # it writes a file
                        self.tell(mutant, Result(mutant.id, mutant.diff, **answer))
                if late:
                    return  # who knows what it left behind
                played = True
            if played and not self.stopped.is_set() and (fault := _not_done(player, exercise)):
                self.faults[task] = (
                    f"After its mutants the solution is not done any more: {fault} They are not to be believed."
                )
            before += [exercise.solution, *exercise.after[:-1]]

    def _take(self, task):
        with self._lock:
            mutants = self.left.get(task)
            return mutants.popleft() if mutants and not self.stopped.is_set() else None


def _seeded(cells):
    """Cells whose last one, the check, draws the same each time: what is kept of a mutant must not be chance."""
    *before, check = cells
    return [*before, re.sub(r"\blab\.check\((\d+)\)", rf"lab.check(\1, seed={SEED})", check)]


def _not_done(player, exercise):
    """What the check says of the solution itself; "" if it is done."""
    for _ in range(2):
        answer = player.ask(play=_seeded([exercise.solution, *exercise.after]), seconds=SECONDS)
        if answer["outcome"] == "survived":
            return ""
    return answer["words"]
