"""What outlives a kernel: a few small JSON documents in `.workshop`, such as a learner's progress.

Several kernels may change one at the same time: each change is made under a lock, to what is on disk by then,
and the file is replaced in one piece. WORKSHOP_RECORDS names another folder for them; `memory` keeps them in this
process only, which is how the solutions run: the same on every machine, whatever was done there before.
"""

import contextlib
import json
import os
from pathlib import Path

from workshop.environments import STATE, exclusive

_memory = {}


def folder():
    """Where the records are, as a Path; None where they are in memory only."""
    chosen = os.environ.get("WORKSHOP_RECORDS")
    return None if chosen == "memory" else Path(chosen or STATE)


def read(name):
    """The document of that name ("progress"), a dict; empty where there is none, or none that can be read."""
    if folder() is None:
        return _memory.setdefault(name, {})
    try:
        document = json.loads((folder() / f"{name}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}


@contextlib.contextmanager
def change(name):
    """The document of that name, to be changed in a `with` block; written when the block ends without an error."""
    if folder() is None:
        yield read(name)
        return
    path = folder() / f"{name}.json"
    with exclusive(path.with_suffix(".lock")):
        document = read(name)
        yield document
        new = path.with_suffix(".new")
        new.write_text(json.dumps(document, indent=1, sort_keys=True) + "\n", encoding="utf-8", newline="\n")
        os.replace(new, path)
