"""Examine your own workflows: what they wait for, what that costs, what is missing, and what to do instead.

    from workshop.examining import examine

    examine("orders.asl.json", "template.yaml", "histories/")
    examine({"StartAt": ..., "States": ...})

`workshop examine FILE...` is the same for a shell. Nothing here opens a socket or changes a file.

reading.py says what a file holds, loops.py finds loops, services.py knows who waits for whom, rules.py and functions.py
say what is missing, costing.py and histories.py what it costs, designing.py what to do; telling.py writes it down.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from workshop.examining import functions, histories, reading, rules, silencing
from workshop.examining.costing import LoopCost, Usage, cost_of
from workshop.examining.designing import Advice, advise
from workshop.examining.histories import Measured
from workshop.examining.loops import Loop, loops_of, scopes
from workshop.examining.reading import Code, Machine, Pattern, Trace, UnreadableError
from workshop.examining.rules import Finding

__all__ = ["Report", "Usage", "examine"]

RULES = {
    **rules.MACHINE_RULES,
    "pattern-matches-nothing": rules.pattern_matches_nothing,
    **functions.CODE_RULES,
}


@dataclasses.dataclass
class LoopReport:
    """A loop, what it costs, and what to do about it."""

    loop: Loop
    cost: LoopCost
    advice: Advice


@dataclasses.dataclass
class Examined:
    """What was found in one state machine, or in what stands beside it: a pattern, a history, Python code.

    kind: "state machine", "history", "event pattern" or "Python code". silenced: findings, each with the reason.
    """

    file: str
    name: str
    kind: str
    loops: list[LoopReport] = dataclasses.field(default_factory=list)
    findings: list[Finding] = dataclasses.field(default_factory=list)
    silenced: list[tuple[Finding, str]] = dataclasses.field(default_factory=list)
    measured: list[Measured] = dataclasses.field(default_factory=list)
    machine: Machine | None = None


@dataclasses.dataclass
class Report:
    """What was examined. examined: in the order of the files. unreadable: a sentence for each file that is none."""

    examined: list[Examined]
    unreadable: list[str]
    usage: Usage
    unused: list[silencing.Silence] = dataclasses.field(default_factory=list)

    @property
    def findings(self) -> list[Finding]:
        return [finding for one in self.examined for finding in one.findings]

    def as_json(self) -> list[dict[str, Any]]:
        """A list with an object for each state machine: file, name, loops, findings."""
        from workshop.examining import telling

        return telling.as_json(self)

    def __str__(self):
        from workshop.examining import telling

        return telling.as_text(self)

    def __repr__(self):
        return str(self)


def examine(*what: str | Path | Mapping[str, Any], usage: Usage | None = None, silence: str | None = None) -> Report:
    """Examine files, folders, or a definition as a dict.

    usage: how much the state machines have to do. silence: a file as silencing.py has it; by default examine.toml of
        the current folder, where there is one.
    What cannot be read does not raise: the report names it, and the rest is examined all the same.
    """
    usage = usage or Usage()
    found, unreadable = [], []
    for one in what:
        if isinstance(one, Mapping):
            found += _of_dict(one, unreadable)
            continue
        files = reading.files_of(str(one))
        in_folder = Path(one).is_dir()
        held = []
        for file in files:
            try:
                held += reading.read(file)
            except UnreadableError as error:
                if not in_folder or reading.seems_meant(file):
                    unreadable.append(str(error))
        if in_folder and not held:
            unreadable.append(f"{one} is a folder without anything to examine.")
        unreadable += [str(each) for each in held if isinstance(each, UnreadableError)]
        held = [each for each in held if not isinstance(each, UnreadableError)]
        if in_folder:  # a definition that a template names is examined with the template's substitutions
            named = {each.beside.resolve() for each in held if isinstance(each, Machine) and each.beside}
            held = [each for each in held if Path(each.file).resolve() not in named]
            held = [each for each in held if not isinstance(each, Code) or functions.is_found_fault_with(each)]
        found += held
    return _report(found, unreadable, usage, silence)


def _of_dict(definition, unreadable):
    if reading.is_definition(definition):
        return [Machine("(a dict)", str(definition.get("Comment") or "definition"), definition)]
    unreadable.append("The dict is no definition: it has no StartAt and States.")
    return []


def _report(found: Iterable[reading.Found], unreadable, usage, silence) -> Report:
    examined: list[Examined] = []
    for one in found:
        try:
            examined += _examined(one, examined, usage)
        except UnreadableError as error:
            unreadable.append(str(error))
    report = Report(examined, unreadable, usage)
    path = silence or (silencing.DEFAULT if Path(silencing.DEFAULT).is_file() else None)
    if path:
        try:
            report.unused = _silence(examined, silencing.silences(path, set(RULES)))
        except UnreadableError as error:
            unreadable.append(str(error))
    return report


def _examined(one, examined, usage):
    if isinstance(one, Machine):
        found = loops_of(one.definition)
        yield Examined(one.file, one.name, "state machine", _reports(one, found, usage),
                       rules.findings_of(one, found), machine=one)  # fmt: skip
    elif isinstance(one, Pattern):
        findings = list(rules.pattern_matches_nothing(one))
        machine = next((other for other in examined if other.file == one.file and other.machine), None)
        if machine:
            machine.findings += findings
        else:
            yield Examined(one.file, one.name, "event pattern", findings=findings)
    elif isinstance(one, Code):
        yield Examined(one.file, one.name, "Python code", findings=functions.findings_of(one))
    else:
        yield from _of_trace(one, examined, usage)


def _reports(machine, loops, usage, transitions=None):
    reports = []
    for loop in loops:
        cost = cost_of(loop, usage, express=machine.express, transitions=transitions)
        reports.append(LoopReport(loop, cost, advise(machine, loop, cost, usage)))
    return reports


def _of_trace(trace: Trace, examined, usage):
    """A history: its numbers stand beside its state machine where that was given before, else it stands alone."""
    numbers = histories.measured(trace, usage.region)
    machine = next((one for one in examined if one.machine and _wrote(one.machine, numbers)), None)
    if machine:
        machine.measured.append(numbers)
        return
    alone = Examined(trace.file, trace.name, "history", measured=[numbers])
    if not trace.durable:
        definition = histories.definition_of(trace)
        alone.machine = Machine(trace.file, trace.name, definition)
        alone.loops = _reports(alone.machine, loops_of(definition), usage)
    yield alone


def _wrote(machine, numbers):
    names = {name for states, _ in scopes(machine.definition) for name in states}
    return bool(numbers.visits) and set(numbers.visits) <= names


def _silence(examined, silences):
    """Move what is silenced; gives the entries that cover nothing."""
    used = set()
    for one in examined:
        left = []
        for finding in one.findings:
            silence = next((each for each in silences if each.covers(one.file, finding)), None)
            if silence:
                used.add(silence)
                one.silenced.append((finding, silence.reason))
            else:
                left.append(finding)
        one.findings = left
    return [each for each in silences if each not in used]
