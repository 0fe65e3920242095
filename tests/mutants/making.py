"""Mutants of an exercise: one thing changed in what the learner writes, or in what its parts are permitted."""

import ast
import dataclasses

import libcst as cst
from libcst.metadata import MetadataWrapper

from . import operators


@dataclasses.dataclass(frozen=True)
class Mutant:
    """id: lab, exercise, operator and place (line and column in the solution's cell), "02/1/condition-dropped/18:12";
    where several begin there, with a number behind it. diff: what was and what is, on one line. cells: the answer and
    what follows it, to the check."""

    id: str
    diff: str
    cells: tuple[str, ...]

    @property
    def exercise(self):
        return int(self.id.split("/")[1])

    @property
    def operator(self):
        return self.id.split("/")[2]


def mutants_of(exercise):
    """All mutants of an Exercise: a list of Mutant, in the order of their places.

    None that does not compile, that means the same as the solution to Python, or that means the same as another.
    """
    answer = exercise.answer
    seen, made = {_meaning(answer.code)}, []
    for operator, code in _changed(answer.code, operators.all_operators()):
        meaning = _meaning(code)
        place = _place(answer, code)
        if meaning is None or meaning in seen or place is None:
            continue
        seen.add(meaning)
        made.append((place, operator, code))
    mutants, times = [], {}
    for (line, column), operator, code in sorted(made, key=lambda each: each[0]):
        name = f"{exercise.lab}/{exercise.number}/{operator}/{answer.lines[line - 1]}:{column}"
        times[name] = times.get(name, 0) + 1
        name += f"-{times[name]}" if times[name] > 1 else ""
        cells = (answer.source(code), *exercise.after)
        mutants.append(Mutant(name, one_line_diff(answer.code, code), cells))
    return [*mutants, *_without_permissions(exercise)]


def _without_permissions(exercise):
    """Mutants that lack a permission, in the cells that deploy the answer: a place in them names the cell, too."""
    for nth, cell in enumerate(exercise.after[:-1], start=1):
        if not _meaning(cell):
            continue  # with a magic, which deploys nothing
        for operator, code in _changed(cell, operators.on_permissions()):
            line, column = _first_difference(cell, code)
            cells = [exercise.solution, *exercise.after]
            cells[nth] = code
            name = f"{exercise.lab}/{exercise.number}/{operator}/+{nth}:{line}:{column}"
            yield Mutant(name, one_line_diff(cell, code), tuple(cells))


def _changed(code, some):
    """(operator's name, code) of each change that some operators make in a module, wherever it is."""
    wrapper = MetadataWrapper(cst.parse_module(code))
    tree = wrapper.module
    nodes, keys = [], set()

    class Gather(cst.CSTVisitor):
        def on_visit(self, node):
            nodes.append(node)
            if isinstance(node, cst.DictElement):
                keys.add(node.key)  # another name says little more than that the field is missing
            return not isinstance(node, cst.Import | cst.ImportFrom | cst.Annotation) and not operators.prints(node)

    tree.visit(Gather())
    nodes = [node for node in nodes if node not in keys]
    for name, kind, operator in some:
        for node in nodes:
            if isinstance(node, kind):
                for other in operator(node):
                    yield name, (other if node is tree else tree.deep_replace(node, other)).code


def _meaning(code):
    """What the code means to Python, without its layout; None where it does not compile."""
    try:
        tree = ast.parse(code)
        compile(code, "answer", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    except (SyntaxError, ValueError):
        return None
    return ast.dump(tree)


def _place(answer, code):
    """(line, column) in the answer's code where the other code begins to differ; None if that is not all the
    learner's to write."""
    first, last, _ = _changed_lines(answer.code.splitlines(), code.splitlines())
    if not any(begin <= first + 1 and max(first + 1, last) <= end for begin, end in answer.regions):
        return None
    return _first_difference(answer.code, code)


def _first_difference(old, new):
    """(line, column) in some code where other code begins to differ."""
    offset = _alike(old, new)
    return old.count("\n", 0, offset) + 1, offset - (old.rfind("\n", 0, offset) + 1)


def one_line_diff(old, new):
    """What was and what is from the first to the last line that differs, `- old + new` on one line."""
    old, new = old.splitlines(), new.splitlines()
    first, last_of_old, last_of_new = _changed_lines(old, new)
    gone, come = (" ".join(" ".join(lines).split()) for lines in (old[first:last_of_old], new[first:last_of_new]))
    return " ".join(f"{sign} {lines}" for sign, lines in (("-", gone), ("+", come)) if lines)


def _changed_lines(old, new):
    """Where two lists of lines differ: old[first:last_of_old] was, new[first:last_of_new] is."""
    first = _alike(old, new)
    behind = _alike(old[first:][::-1], new[first:][::-1])
    return first, len(old) - behind, len(new) - behind


def _alike(one, other):
    """How many elements two sequences have in common at their beginning."""
    return next((nth for nth, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
