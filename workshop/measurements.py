"""What a lab measured (transitions, seconds, USD), kept for a later lab that compares with it.

A learner who comes late, or skipped that lab, gets the numbers of its solution. They are in the solution's own file,
`solutions/NN-topic.ipynb`, in the notebook's metadata under `workshop.measurements`: `make solutions` writes there
what the solution recorded while it ran, so these numbers are as real as the learner's.
"""

import json

from workshop import records
from workshop.environments import CHECKOUT

SOLUTIONS = CHECKOUT / "solutions"


def record(lab, key, value):
    """Keep a number or a short text that the lab measured: record(lab, "transitions", 31).

    lab: the notebook's Lab, or its name or number ("01-polling-loop", "01").
    """
    with records.change("measurements") as kept:
        kept.setdefault(_number(lab), {})[key] = value


def recall(lab, key, solutions=SOLUTIONS):
    """What the learner's run of that lab measured; the solution's number where it did not. Says which of the two.

    Raises KeyError where neither knows it.
    """
    number = _number(lab)
    measured = records.read("measurements").get(number, {})
    if key in measured:
        print(f"{key} = {measured[key]} (measured in your lab {number})")
        return measured[key]
    stored = _stored(number, solutions)
    if key not in stored:
        raise KeyError(f"Neither your lab {number} nor its solution has measured {key!r}.")
    print(f"{key} = {stored[key]} (from the solution of lab {number}: your lab has not measured it)")
    return stored[key]


def _stored(number, solutions):
    for path in sorted(solutions.glob(f"{number}-*.ipynb")):
        metadata = json.loads(path.read_text(encoding="utf-8"))["metadata"]
        return metadata.get("workshop", {}).get("measurements", {})
    return {}


def _number(lab):
    return str(lab)[:2]
