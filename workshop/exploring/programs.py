"""Where a handler comes from: a program makes it anew in each process, so that a crash forgets what was in memory."""

import contextlib
import importlib
import inspect
import sys
from pathlib import Path


@contextlib.contextmanager
def importable(modules, folder):
    """Have `import` find these objects, {name: object}, and what is in a folder (or None), for a while."""
    kept_path, kept_bytecode = sys.path[:], sys.dont_write_bytecode
    kept = {name: sys.modules.get(name) for name in [*modules, *_modules_in(folder)]}
    if folder:
        sys.path.insert(0, str(folder))
        sys.dont_write_bytecode = True  # a file that is written twice in a second would be taken for the first
    sys.modules.update(modules)
    try:
        yield
    finally:
        sys.path[:], sys.dont_write_bytecode = kept_path, kept_bytecode
        _forget(folder)
        for name, module in kept.items():
            if module is None:
                sys.modules.pop(name, None)
            else:
                sys.modules[name] = module


def _modules_in(folder):
    """The names of the modules that were imported from files in this folder."""
    if not folder:
        return []
    files = {name: getattr(module, "__file__", None) or "" for name, module in list(sys.modules.items())}
    return [name for name, file in files.items() if file.startswith(str(folder)) and Path(file).parent == folder]


def _forget(folder):
    for name in _modules_in(folder):
        del sys.modules[name]


def program_of(handler):
    """What makes the handler when a process starts: a function of the world.

    handler: what @durable_execution has made, or another function of (event, context) is what runs, in each process
    the same object; a function of one argument is such a function already; a Path, or text that is a file's name or
    source, is run anew in each process, and its lambda_handler is what runs.
    """
    if isinstance(handler, Path | str):
        return _Source(handler)
    if _is_program(handler):
        return handler
    return lambda world: handler


def _is_program(handler):
    try:
        parameters = inspect.signature(handler).parameters.values()
    except (TypeError, ValueError):
        return False
    return len([each for each in parameters if each.default is each.empty]) == 1


class _Source:
    """A file with a lambda_handler, or the text of one: run anew in each process, with what it imports beside it."""

    def __init__(self, source):
        self._text, self._name, self.folder = str(source), "the source", None
        if isinstance(source, Path) or "\n" not in source:
            if not Path(source).is_file():
                raise FileNotFoundError(
                    f"There is no file {source} in {Path.cwd()}: first run the cell that writes it."
                )
            path = Path(source).resolve()
            self._text, self._name, self.folder = path.read_text(encoding="utf-8"), str(source), path.parent
        self._code = compile(self._text, self._name, "exec")

    def __call__(self, world):
        _forget(self.folder)
        importlib.invalidate_caches()
        namespace = {"__name__": "lambda_function", "__file__": self._name}
        exec(self._code, namespace)
        if "lambda_handler" not in namespace:
            raise NameError(f"{self._name} defines no lambda_handler(event, context), which is what Lambda calls.")
        return namespace["lambda_handler"]
