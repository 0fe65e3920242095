"""What a run of tests took, by module and by lab: what a change adds to it is seen in these lines."""

import collections
import re
from pathlib import Path

LABS = sorted(path.stem for path in (Path(__file__).parent.parent / "solutions").glob("*.ipynb"))
MOST = 10


def lines(tests, most=MOST):
    """Some lines for the end of a run; none where it had one module. tests: (node ID, seconds), many of one test."""
    modules, labs = collections.Counter(), collections.Counter()
    for name, seconds in tests:
        modules[name.partition("::")[0]] += seconds
        if lab := lab_of(name):
            labs[lab] += seconds
    if len(modules) < 2:
        return
    yield f"{sum(modules.values()):.0f} s in {len(modules)} modules, waits included; those that took longest:"
    for module, seconds in modules.most_common(most):
        yield f"{seconds:8.0f} s  {module}"
    if labs:
        yield "by lab: " + ", ".join(f"{lab} {labs[lab]:.0f} s" for lab in sorted(labs))


def lab_of(name):
    """The number of the lab that a test is about, as its module or its parameters say it; None for other tests."""
    for lab in LABS:
        number, _, topic = lab.partition("-")
        if lab in name or re.search(rf"test_(lab_{number}|{topic.replace('-', '_')})\b|test_lab_{number}_", name):
            return number
    return None
