"""A pytest plugin: what nbval found in a lab, told as one line per exercise and what to do next.

Below the line of one that is refused stand the contract's sentence, where the line has a finer one, and what shows it.

`workshop check` runs `pytest -p workshop.nbval_report --nbval-lax labs/NN-topic.ipynb`. An exercise's cells are known
by their tags (`task-2` with `answer` or `check`), its outcome by what its check cell printed or raised. The exit status
is 0 where all exercises but the stretch ones are done.

Without the plugin, nbval alone tells the same less kindly: a check that is not done raises, so its cell fails.
"""

import re

import nbformat
import pytest
from nbval.plugin import IPyNbCell

from workshop import checks
from workshop.checking import outcomes

_OUTCOMES = {kind.__name__: kind.status for kind in (outcomes.NotAttempted, outcomes.NotYet, outcomes.SandboxProblem)}


class SavedLab:
    """What is known so far of one notebook while its cells run."""

    def __init__(self, path):
        self.path = path
        self.exercises = checks.exercises_of(path.stem)
        self.found = {}  # number -> its status
        self.raised = {}  # number -> what a cell of it raised, before its check
        self._answered = _answered(path)

    def saw(self, item, not_run):
        """A cell has run; gives the line to print, or None.

        not_run: why it was not run, a sentence's end; None where it was.
        """
        tags = item.cell.metadata.get("tags", [])
        number = _exercise_of(item.cell)
        name, fault = self._fault(item, not_run)
        if number in self.exercises and "check" in tags:
            self.found[number], line = self._outcome(number, item, name, fault)
            return line
        if fault and number in self.exercises:
            self.raised[number] = fault
        elif fault and "raises-exception" not in tags and not self._behind():
            return f"A cell outside the exercises {fault}. It begins: {item.cell.source.strip().splitlines()[0][:80]}"
        return None

    def _behind(self):
        """Whether an exercise before this cell is not done, so that the cell may fail for want of its result."""
        return bool(self.raised) or any(status != "done" for status in self.found.values())

    def _fault(self, item, not_run):
        """(the exception's name, "raised NameError: ..."), or (None, None) where the cell ended well."""
        seconds = item.config.option.nbval_cell_timeout
        timed_out, item.parent.timed_out = item.parent.timed_out, False  # each cell has its own time
        if timed_out:
            stopped = "and was stopped" if item.parent.kernel.is_alive() else "and took the kernel with it"
            return None, f"did not end within {seconds:g} seconds {stopped}"
        for output in item.test_outputs or []:
            if output["output_type"] == "error":
                text = re.sub(r" \([^()]*\.py, (line \d+)\)$", r" (\1)", " ".join(output["evalue"].split()))
                return output["ename"], f"raised {output['ename']}: {text}".rstrip(".: ")
        return None, not_run and f"was not run: {not_run}"

    def _outcome(self, number, item, name, fault):
        """(status, line) of an exercise whose check cell has run."""
        title = f"Exercise {number}{' (stretch)' * self.exercises[number].stretch}"
        if number not in self._answered:  # whatever is left of it in the account
            return "not checked", (
                f"{title}: not checked. Its answer cell is gone; lab.reset({number}) in the notebook makes a cell with "
                f"the answer as it came, which belongs above lab.check({number})."
            )
        said = "".join(output.get("text", "") for output in item.test_outputs or [])
        done = re.search(rf"^Exercise {number}: done\.(.*)", said, re.MULTILINE)
        if name == outcomes.SandboxProblem.__name__:
            pass  # whatever else went wrong, went wrong because of it
        elif number in self.raised:
            return "not yet", f"{title}: not yet. Its cell {self.raised[number]}."
        elif done:
            return "done", f"{title}: done.{done[1]}"
        if name in _OUTCOMES:
            sentence = fault.removeprefix(f"raised {name}: Exercise {number}: {_OUTCOMES[name]}.")
            return _OUTCOMES[name], "\n".join([f"{title}: {_OUTCOMES[name]}.{sentence}.", *_evidence(item)])
        if fault:
            return "not yet", f"{title}: not yet. Its check cell {fault}."
        return "not checked", f"{title}: not checked. Its check cell no longer says lab.check({number})."

    def rest(self):
        """The last lines: exercises that were not met, how many are done, the next step."""
        for number in self.exercises:
            if number not in self.found:
                self.found[number] = "not checked"
                yield (
                    f"Exercise {number}: not checked. Its check cell is gone; "
                    f"`workshop reset {self.path.stem[:2]}` brings the lab back as it came, and keeps yours aside."
                )
        needed = [number for number in self.exercises if not self.exercises[number].stretch]
        left = [number for number in needed if self.found[number] != "done"]
        yield ""
        yield f"{len(needed) - len(left)} of {len(needed)} exercises done."
        if not left:
            yield self._next_topic()
        elif self.found[left[0]] == outcomes.SandboxProblem.status:
            yield "Next: `workshop doctor`, which says what is wrong here. It is not about your answers."
        else:
            number = left[0]
            title = self.exercises[number].title
            yield f"Next: exercise {number}, “{title}”. For a hint, run lab.hint({number}) in the notebook."

    def _next_topic(self):
        stretch = [str(number) for number in self.exercises if self.found[number] != "done"]
        more = f"Exercise {' and '.join(stretch)} would stretch you further. " if stretch else ""
        later = sorted(
            path for path in (self.path.parent.parent / "notebooks").glob("[0-9]*.ipynb") if path.stem > self.path.stem
        )
        return f"{more}Next: {later[0].parent.name}/{later[0].name}" if later else f"{more}Next: this was the last lab."

    def passed(self):
        return all(self.found[number] == "done" for number in self.exercises if not self.exercises[number].stretch)


def _evidence(item):
    """The lines that the notebook shows of an outcome, but those whose sentences its text has; see outcomes.NotYet."""
    for output in item.test_outputs:
        for line in output.get("traceback", ()):
            if line.startswith(("  Contract: ", "      ")):
                yield f"  {line}"


def _exercise_of(cell):
    """The number of the exercise that a cell belongs to by its tags; None for none."""
    tags = cell.metadata.get("tags", [])
    return next((int(tag[5:]) for tag in tags if re.fullmatch(r"task-\d+", tag)), None)


def _answered(path):
    """The numbers of the exercises that have an answer cell: as it came, or one of the learner's own in its place."""
    solution = path.parent.parent / "solutions" / path.name
    came = {cell.id for cell in nbformat.read(solution, as_version=4).cells} if solution.exists() else set()
    answered, own = set(), False
    for cell in nbformat.read(path, as_version=4).cells:
        tags, number = cell.metadata.get("tags", []), _exercise_of(cell)
        if "answer" in tags:
            answered.add(number)
        elif "check" in tags:
            if own:
                answered.add(number)
            own = False
        elif cell.cell_type == "code" and cell.source.strip() and cell.get("id") not in came:
            own = True
    return answered


class Report:
    """Collects what the cells of each notebook did, and prints it in place of pytest's own report."""

    def __init__(self, config):
        self._print = config.get_terminal_writer().line
        self._labs = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item, call):
        report = yield
        if isinstance(item, IPyNbCell) and (call.when == "call" or call.excinfo):
            line = self._lab(item.path).saw(item, _why_not_run(call))
            if line:
                self._print(line)
        return report

    def pytest_report_teststatus(self):
        return "", "", ""  # no dots and letters between our lines

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session):
        for lab in self._labs.values():
            for line in lab.rest():
                self._print(line)
        if self._labs:
            session.exitstatus = 0 if all(lab.passed() for lab in self._labs.values()) else 1

    def _lab(self, path):
        if path not in self._labs:
            self._labs[path] = SavedLab(path)
        return self._labs[path]


def _why_not_run(call):
    if call.when == "setup" and call.excinfo:
        return "the kernel did not start"
    if call.excinfo and call.excinfo.errisinstance(RuntimeError):  # all that nbval says of a kernel that is gone
        return "the kernel was gone"
    return None


@pytest.hookimpl(trylast=True)  # pytest's own reporter comes first
def pytest_configure(config):
    config.pluginmanager.register(Report(config), "workshop-report")
