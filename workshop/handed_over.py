"""Durable functions that lab 06 hands over to be tested, without their source."""

import py_compile
from pathlib import Path

from workshop import deploy
from workshop.environments import CHECKOUT

_FOLDER = CHECKOUT / "workshop" / "data" / "handed_over"
_SECONDS = 300  # that an execution of a deployed one may take


def source(name: str) -> str:
    """The source of a function, for those who check tests of it."""
    return (_FOLDER / f"{name}.py").read_text(encoding="utf-8")


def hand_over(name: str, *, deploy_as: str | None = None):
    """Put a durable function into this folder as a module, compiled, so that tests can import and nobody need read it.

    name: "poll", "migrate" or "offers". deploy_as: the name by which it is deployed, too, with outside.py.
    """
    compiled(name, Path())
    if deploy_as:
        deployed(deploy_as, source(name), Path("outside.py"))


def compiled(name: str, folder: Path):
    """Put a function into this folder, compiled."""
    py_compile.compile(str(_FOLDER / f"{name}.py"), cfile=str(folder / f"{name}.pyc"), dfile=f"<{name}>", doraise=True)


def deployed(name: str, source: str, outside: Path) -> str:
    """Deploy a function by this name; returns the name by which it is invoked."""
    return f"{deploy.function(name, source, modules=[outside], durable=_SECONDS)}:$LATEST"
