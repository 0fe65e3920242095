"""`make benchmark` runs every benchmark of this folder; `make benchmark ONLY=startup` the named ones.

A benchmark is a module with a `main` that takes nothing and prints.
"""

import importlib
import inspect
import pkgutil
import sys

import benchmarks


def found():
    """The benchmarks there are: {name: its main}."""
    modules = {each.name: importlib.import_module(f"benchmarks.{each.name}")
               for each in pkgutil.iter_modules(benchmarks.__path__) if not each.name.startswith("_")}  # fmt: skip
    mains = {name: getattr(module, "main", None) for name, module in modules.items()}
    return {name: main for name, main in mains.items() if main and not inspect.signature(main).parameters}


def run(names):
    """Run the named benchmarks, all if none is named. Raises SystemExit with a sentence where there is none such."""
    there_are = found()
    for name in names:
        if name not in there_are:
            raise SystemExit(f"There is no benchmark {name!r}. There are: {', '.join(there_are)}.")
    for name in names or there_are:
        print(f"== {name} ==", flush=True)
        there_are[name]()
        print(flush=True)


if __name__ == "__main__":
    run(sys.argv[1:])
