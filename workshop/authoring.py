"""For authors: make `labs/` from `solutions/`, and run the solutions.

A solution is the only hand-edited form of a lab. In it, each exercise has one cell tagged `answer` and `task-N`, and
after it one tagged `check` and `task-N`. What the learner is to write stands in the answer cell between two comments:

    ### BEGIN SOLUTION
    return transitions * PRICE_PER_TRANSITION
    #: return ...
    ### END SOLUTION

In the lab, the region is replaced by its lines that begin with `#: `, without that sign, or by `...` where there are
none. Each line of these with a `...` gets the sign by which a blank is known: deploy.BLANK.
A reader of the solution sees three quiet comments, which also say what was left to the learner.
The outputs of a cell tagged `spoiler` are not stored: the answer to a question that a lesson has just asked.
A cell tagged `solution-only` is not in the lab. One tagged `lab-only` is in both files, since there is only one source;
it is left out when the solution is judged as prose.
"""

import ast
import hashlib
import json
import os
import re
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import nbformat
from IPython.core.inputtransformer2 import TransformerManager

from workshop import deploy, sandbox
from workshop.checks import exercises_of
from workshop.environments import CHECKOUT, STATE

LESSONS = CHECKOUT / "notebooks"
SOLUTIONS = CHECKOUT / "solutions"
LABS = CHECKOUT / "labs"
KEPT = STATE / "kept"
SANITIZE = CHECKOUT / "tests" / "sanitize.cfg"

# How solutions and lessons run for their outputs: with nothing remembered from before, so that they say the same on
# every machine and at every time.
AFRESH = {"WORKSHOP_RECORDS": "memory"}

ANSWER_LINES = 15  # what a learner writes for an exercise, at most
CELL_LINES = 25  # of any code cell
CELL_SECONDS = 120

BEGIN, END, PROMPT = "### BEGIN SOLUTION", "### END SOLUTION", "#:"

_KERNEL = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"file_extension": ".py", "mimetype": "text/x-python", "name": "python"},
}


class AuthoringError(ValueError):
    """A solution or lesson is not as it should be; the message names the file and the cell."""


# -- labs from solutions ----------------------------------------------------------------------------------------------


def make_labs(check=False, solutions=SOLUTIONS, labs=LABS, kept=KEPT):
    """Make each lab from its solution, and remove labs that have no solution any more.

    Gives the names of those that were written; with check=True nothing is written, and they are the stale ones.
    A lab with a learner's work in it is copied into `kept` first, and the copy is named. Raises AuthoringError.
    """
    changed = []
    sources = sorted(Path(solutions).glob("*.ipynb"))
    for solution in sources:
        if make_lab(solution, labs, kept, check):
            changed.append(solution.stem)
    for path in sorted(Path(labs).glob("*.ipynb")):
        # Only what came from here and was never touched: a learner's own notebooks stay.
        if path.stem not in {source.stem for source in sources} and _untouched(path) == path.stem:
            changed.append(path.stem)
            if not check:
                path.unlink()
    return changed


def make_lab(solution, labs=LABS, kept=KEPT, check=False):
    """Make one lab; gives whether it was (with check=True: would be) written. See make_labs."""
    lab = Path(labs) / Path(solution).name
    wanted = lab_bytes(solution)
    if lab.exists() and lab.read_bytes() == wanted:
        return False
    if check:
        return True
    if lab.exists() and _untouched(lab) != lab.stem:
        print(f"{lab.name} has your work in it: it is kept as {_set_aside(lab, Path(kept))}")
    lab.parent.mkdir(parents=True, exist_ok=True)
    new = lab.with_suffix(".new")
    new.write_bytes(wanted)
    os.replace(new, lab)
    return True


def lab_bytes(solution, exercises=None):
    """The lab of a solution, as the bytes of its file.

    exercises: its exercises, {number: Exercise}; by default those of its module in workshop/checks.
    Raises AuthoringError where the solution breaks a rule.
    """
    path = Path(solution)
    notebook = _read(path)
    _judge_exercises(path, notebook, exercises_of(path.stem) if exercises is None else exercises)
    cells = []
    for cell in notebook.cells:
        if cell.cell_type == "code":
            blank = _blanked(path, cell)
            _judge_code(path, cell, blank)
            cell = nbformat.from_dict({**cell, "source": blank, "outputs": [], "execution_count": None})
        if "solution-only" not in _tags(cell):
            cells.append(cell)
    for view in ([cell for cell in notebook.cells if "lab-only" not in _tags(cell)], cells):
        for fault in faults_of_prose(view):
            raise AuthoringError(f"{_shown(path)}, {fault}")
    metadata = {**_KERNEL, "workshop": {"lab": path.stem, "made": _digest(cells)}}
    return _bytes(nbformat.from_dict({"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}))


def answer(path, number, solved):
    """The source of an exercise's answer cell in a solution, without the markers: solved, or blank as in the lab."""
    path = Path(path)
    for cell in _read(path).cells:
        if {"answer", f"task-{number}"} <= _tags(cell):
            return _solved(cell.source) if solved else _blanked(path, cell)
    raise AuthoringError(f"{_shown(path)} has no answer to exercise {number}.")


def faults_of_prose(cells):
    """What is wrong in the Markdown of these cells, a sentence each that begins with the cell's id; for lessons too."""
    level = 0
    for cell in cells:
        if cell.cell_type != "markdown":
            continue
        where = f"cell {cell.id}: "
        text = _without_code(cell.source)
        images = re.findall(r"!\[([^\]]*)\]", text)
        tags = re.findall(r"<img\b[^>]*>", text)
        if any(not alt.strip() for alt in images) or any(not re.search(r"\balt=[\"'][^\"']", tag) for tag in tags):
            yield where + "an image has no alt text."
        if "$" in text:
            yield where + "a dollar sign outside a code span, where it may start a formula."
        for sharps, title in re.findall(r"^(#{1,6}) +(.*)", text, re.MULTILINE):
            if len(sharps) > level + 1:
                yield where + f"the heading {title!r} skips a level: {len(sharps)} after {level}."
            level = len(sharps)


def _without_code(markdown):
    """Markdown without its code blocks and code spans."""
    text = re.sub(r"^( *)(```+|~~~+).*?^ *\2", "", markdown, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"(?<!`)(`+)(?!`).*?(?<!`)\1(?!`)", "", text, flags=re.DOTALL)
    return re.sub(r"<(code|pre)\b.*?</\1>", "", text, flags=re.DOTALL)


def _judge_exercises(path, notebook, exercises):
    cells = {}
    for cell in notebook.cells:
        for kind in {"answer", "check"} & _tags(cell):
            numbers = [int(tag[5:]) for tag in _tags(cell) if re.fullmatch(r"task-\d+", tag)]
            if len(numbers) != 1:
                raise _fault(path, cell, f"tagged {kind}, it needs one tag task-N and has {len(numbers)}.")
            if (kind, numbers[0]) in cells:
                raise _fault(path, cell, f"a second {kind} cell of exercise {numbers[0]}.")
            cells[kind, numbers[0]] = cell
    for number in sorted({*exercises, *(number for _, number in cells)}):
        for kind in ("answer", "check"):
            if (kind, number) not in cells:
                raise AuthoringError(f"{_shown(path)}: exercise {number} has no cell tagged {kind} and task-{number}.")
        if number not in exercises:
            raise _fault(path, cells["check", number], f"the lab's checks have no exercise {number}.")
        if not (exercises[number].hints and all(hint.strip() for hint in exercises[number].hints)):
            raise _fault(path, cells["check", number], f"exercise {number} has no hint, or an empty one.")
        if notebook.cells.index(cells["check", number]) < notebook.cells.index(cells["answer", number]):
            raise _fault(path, cells["check", number], f"the check of exercise {number} stands before its answer.")


def _judge_code(path, cell, blank):
    for source in (_solved(cell.source), blank):
        if len(source.splitlines()) > CELL_LINES:
            raise _fault(path, cell, f"it has {len(source.splitlines())} lines, and {CELL_LINES} is the most.")
    try:
        _compile(blank)
    except SyntaxError as error:
        raise _fault(path, cell, f"its blank does not compile: {error.msg}, line {error.lineno}.") from None


def _compile(source):
    """Compile a cell as IPython would, and also a Python file that it writes. Raises SyntaxError."""
    compile(TransformerManager().transform_cell(source), "cell", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    first, _, rest = source.partition("\n")
    if re.match(r"%%writefile .*\.py\s*$", first):
        compile("\n" + rest, "cell", "exec")


def _blanked(path, cell):
    """The source of a code cell as the lab has it. Raises AuthoringError where its regions are not well made."""
    lines, region, written = [], None, 0
    for line in cell.source.splitlines():
        marker = line.strip()
        if marker == BEGIN:
            if region is not None:
                raise _fault(path, cell, f"a {BEGIN} inside another.")
            region, indent = [], line[: line.index("#")]
        elif marker == END:
            if region is None:
                raise _fault(path, cell, f"a {END} without its {BEGIN}.")
            prompt = [indent + text.strip()[len(PROMPT) :].removeprefix(" ") for text in region if _is_prompt(text)]
            prompt = [text.rstrip() for text in prompt] or [f"{indent}..."]
            lines += [f"{text}  {deploy.BLANK}" if _is_blank(text) else text for text in prompt]
            written += sum(1 for text in region if text.strip() and not _is_prompt(text))
            region = None
        elif marker.startswith("###"):
            raise _fault(path, cell, f"{marker!r} is no marker: there are {BEGIN} and {END}.")
        elif region is not None:
            region.append(line)
        elif _is_prompt(line):
            raise _fault(path, cell, f"a line {PROMPT} outside a region.")
        else:
            lines.append(line)
    if region is not None:
        raise _fault(path, cell, f"a {BEGIN} without its {END}.")
    if "answer" in _tags(cell) and BEGIN not in cell.source:
        raise _fault(path, cell, f"it is tagged answer, but has no {BEGIN}.")
    if "answer" not in _tags(cell) and BEGIN in cell.source:
        raise _fault(path, cell, f"it has a {BEGIN}, but is not tagged answer.")
    if written > ANSWER_LINES:
        raise _fault(path, cell, f"the learner would write {written} lines, and {ANSWER_LINES} is the most.")
    return "\n".join(lines)


def _is_blank(line):
    return "..." in line and not line.strip().startswith("#")


def _solved(source):
    return "\n".join(line for line in source.splitlines() if line.strip() not in (BEGIN, END) and not _is_prompt(line))


def _is_prompt(line):
    return line.strip() == PROMPT or line.strip().startswith(PROMPT + " ")


def _fault(path, cell, what):
    return AuthoringError(f"{_shown(path)}, cell {cell.id}: {what}")


# -- a learner's work is not lost -------------------------------------------------------------------------------------


def _untouched(path):
    """The name of the lab as which a file was made here, if nothing in it has changed since; else None."""
    try:
        notebook = json.loads(path.read_text(encoding="utf-8"))
        made = notebook["metadata"]["workshop"]
        sources = [{**cell, "source": "".join(cell["source"])} for cell in notebook["cells"]]
        pristine = made["made"] == _digest(sources) and not any(cell.get("outputs") for cell in sources)
        return made["lab"] if pristine else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _digest(cells):
    content = [[cell["id"], cell["cell_type"], cell["source"]] for cell in cells]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


def _set_aside(path, folder):
    """Copy a file into the folder under a name that is free; gives the copy's path."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"{path.stem}-{time.strftime('%Y%m%d-%H%M%S')}"
    for attempt in range(1, 1000):
        copy = folder / f"{stem}{f'-{attempt}' if attempt > 1 else ''}{path.suffix}"
        with suppress(FileExistsError), open(copy, "xb") as new:
            new.write(path.read_bytes())
            return _shown(copy)
    raise OSError(f"No free name for a copy of {path.name} in {folder}.")


# -- running solutions ------------------------------------------------------------------------------------------------


def run_solutions(names=None, *folders):
    """Run lessons and solutions headless, in order, and store their outputs and what they measured; gives their names.

    names: numbers or names ("01", "01-polling-loop"); all where there are none. folders: where they are; by default
    notebooks/ and solutions/.
    Raises AuthoringError where a cell fails or prints what must not be published; that file is then left as it was.
    """
    there = [path for folder in folders or (LESSONS, SOLUTIONS) for path in sorted(Path(folder).glob("*.ipynb"))]
    wanted = [path for path in there if not names or {path.stem, path.stem[:2]} & set(names)]
    unknown = [name for name in names or () if not any(name in (path.stem, path.stem[:2]) for path in there)]
    if unknown:
        raise AuthoringError(f"There is no lesson or solution {', '.join(unknown)}.")
    for path in wanted:
        print(f"{_shown(path)} ...", flush=True)
        print(f"{_shown(path)}: its cells took {run(path):.0f} s (tests/seconds.toml)", flush=True)
    return [path.stem for path in wanted]


def run(path):
    """Run one notebook headless, a solution or a lesson, and store its outputs in it; returns the seconds that it took.

    See run_solutions.
    """
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    path = Path(path).resolve()
    notebook = _read(path)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="workshop-records-") as records:
        client = NotebookClient(
            notebook,
            timeout=CELL_SECONDS,
            kernel_name="python3",
            resources={"metadata": {"path": str(path.parent)}},
            record_timing=False,
            store_widget_state=False,
            extra_arguments=["--log-level=ERROR"],  # it warns that it listens on loopback
        )
        try:
            # An empty folder in place of memory: the same to the notebook, and the measurements can be read after it.
            client.execute(env={**os.environ, **AFRESH, "WORKSHOP_RECORDS": records})
        except CellExecutionError as error:
            cell = next(cell for cell in notebook.cells if _errors(cell) and not _may_raise(cell))
            raise _fault(path, cell, f"it raised {error.ename}: {error.evalue}") from None
        took = time.monotonic() - began
        measured = Path(records, "measurements.json")
        measurements = (
            json.loads(measured.read_text(encoding="utf-8")).get(path.stem[:2], {}) if measured.exists() else {}
        )
    for cell in notebook.cells:
        if cell.cell_type == "code":
            _normalise(path, cell)
            if "spoiler" in _tags(cell):
                cell.outputs, cell.execution_count = [], None
    executed = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.execution_count is not None]
    for count, cell in enumerate(executed, start=1):
        cell.execution_count = count
        for output in cell.outputs:
            if output.output_type == "execute_result":
                output.execution_count = count
    notebook.metadata = {**_KERNEL, **({"workshop": {"measurements": measurements}} if measurements else {})}
    written = _bytes(notebook)
    secret = (sandbox.status() or {}).get("secret_access_key")
    if secret and secret.encode() in written:
        raise AuthoringError(f"{_shown(path)} prints the sandbox's secret key.")
    path.write_bytes(written)
    return took


def _normalise(path, cell):
    """Make the outputs of a cell such that the next run gives the same. Raises AuthoringError where it must not."""
    merged = []
    for output in cell.outputs:
        if merged and output.output_type == "stream" == merged[-1].output_type and output.name == merged[-1].name:
            merged[-1].text += output.text
        else:
            merged.append(output)
    for output in merged:
        if output.get("name") == "stderr":
            raise _fault(path, cell, f"it wrote to stderr, as a warning does: {output.text.strip()[:200]!r}")
        if "text" in output:
            output.text = _fixed(path, cell, output.text)
        if "data" in output:
            output.data.pop("application/vnd.jupyter.widget-view+json", None)  # an id of one run
            for kind, value in output.data.items():
                if isinstance(value, str) and kind not in ("image/png", "image/jpeg"):
                    output.data[kind] = _fixed(path, cell, value)
        if output.output_type == "error":
            # Without the frames of libraries: a reader looks at the cell and at the message.
            plain = [re.sub(r"\x1b\[[0-9;]*m", "", part) for part in output.traceback]
            output.traceback = [_fixed(path, cell, part) for part in plain if not part.startswith("File ")]
            output.evalue = _fixed(path, cell, output.evalue)
    cell.outputs = merged


def _fixed(path, cell, text):
    """The text with ids, ports and the like as tests/sanitize.cfg has them, which is how nbval compares them."""
    for pattern, replacement in sanitizers():
        text = re.sub(pattern, replacement, text)
    for place in (str(CHECKOUT), str(path.parent), f"{Path.home()}{os.sep}"):
        if place in text:
            raise _fault(path, cell, f"it prints a path of this machine: {place}")
    stranger = re.search(r"arn:aws:[a-z0-9-]*:[a-z0-9-]*:(?!111122223333)\d{12}:|AKIA[A-Z2-7]{16}", text)
    if stranger:
        raise _fault(path, cell, f"it prints an account's number or key: {stranger[0][:40]}")
    return text


def sanitizers(path=SANITIZE):
    """The (pattern, replacement) pairs of the sanitize file, read as nbval reads it."""
    return re.findall(r"^regex: (.*)$\n^replace: (.*)$", path.read_text(encoding="ascii"), flags=re.MULTILINE)


def _errors(cell):
    return [output for output in cell.get("outputs", []) if output.output_type == "error"]


def _may_raise(cell):
    return "raises-exception" in _tags(cell)


# -- files ------------------------------------------------------------------------------------------------------------


def _read(path):
    document = json.loads(path.read_text(encoding="utf-8"))
    ids = [cell.get("id") for cell in document["cells"]]
    if None in ids or len(set(ids)) < len(ids):
        raise AuthoringError(f"{_shown(path)}: every cell needs an id of its own; open and save it in JupyterLab.")
    return nbformat.reads(json.dumps(document), as_version=4)


def _bytes(notebook):
    """The notebook's file: sorted keys, LF, a newline at the end."""
    return (nbformat.writes(notebook, version=4).rstrip("\n") + "\n").encode()


def _tags(cell):
    return set(cell.metadata.get("tags", []))


def _shown(path):
    path = Path(path)
    return path.relative_to(CHECKOUT).as_posix() if path.is_relative_to(CHECKOUT) else path.name


# -- commands ---------------------------------------------------------------------------------------------------------


def main_labs(check=False):
    """`workshop labs`; gives the exit status: with check=True 1 where one is stale."""
    changed = make_labs(check)
    for name in changed:
        print(
            f"labs/{name}.ipynb " + ("is not what its solution makes: run `make labs`." if check else "is made anew.")
        )
    if not changed:
        print("labs/ is fresh.")
    return 1 if check and changed else 0


def main_solutions(names=()):
    """`workshop solutions`; gives the exit status."""
    run_solutions(names)
    return 0
