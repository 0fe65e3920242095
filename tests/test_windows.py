"""What Windows does otherwise, as far as it is seen elsewhere: backslashes in paths, another encoding of texts."""

import os
import runpy
import subprocess
import sys
import types
from pathlib import PureWindowsPath

import pytest

from workshop import authoring, environments, saved
from workshop.environments import CHECKOUT
from workshop.examining import telling

THERE = PureWindowsPath(r"C:\Users\me\stop polling")


@pytest.mark.parametrize("module", [authoring, saved], ids=lambda module: module.__name__)
def test_messages_name_a_file_of_the_checkout_with_slashes(module, monkeypatch):
    monkeypatch.setattr(module, "CHECKOUT", THERE)
    monkeypatch.setattr(module, "Path", PureWindowsPath)
    assert module._shown(THERE / "labs" / "01-polling-loop.ipynb") == "labs/01-polling-loop.ipynb"


def test_a_report_names_files_as_code_hosts_want_them(monkeypatch):
    monkeypatch.setattr(telling, "Path", PureWindowsPath)
    assert telling._uri(r"flows\a loop.asl.json") == "flows/a%20loop.asl.json"
    assert telling._uri(r"C:\flows\a loop.json") == "file:///C:/flows/a%20loop.json"


def test_a_stack_trace_names_files_as_lambda_does(monkeypatch):
    runtime = runpy.run_path(str(CHECKOUT / "sandbox" / "functions" / "runtime.py"))
    monkeypatch.setitem(runtime["named"].__globals__, "os", types.SimpleNamespace(sep="\\"))
    code = r"C:\Temp\code-1"
    assert runtime["named"](code + r"\package\module.py", code) == "/var/task/package/module.py"
    assert runtime["named"](r"C:\Python313\Lib\json\decoder.py", code) == r"C:\Python313\Lib\json\decoder.py"


def test_an_environment_s_python_is_where_windows_has_it(monkeypatch):
    monkeypatch.setattr(environments, "os", types.SimpleNamespace(name="nt"))
    monkeypatch.setattr(environments, "Path", PureWindowsPath)
    made = environments.Environment("learner's", THERE / ".venv", THERE / "requirements.lock")
    assert made.python == THERE / ".venv" / "Scripts" / "python.exe"


@pytest.mark.parametrize(
    "words",
    [["doctor"], ["examine", "--sarif", "designs"], ["examine", "designs"], ["labs", "--check"], ["examine", "--help"]],
    ids=" ".join,
)
def test_texts_are_read_and_written_where_the_system_has_another_encoding(sandbox, words):
    """Files have UTF-8 whatever the system says; here it says ASCII, and its terminal shows a code page of Windows."""
    strange = {
        "LC_ALL": "C",
        "PYTHONUTF8": "0",
        "PYTHONCOERCECLOCALE": "0",
        "PYTHONIOENCODING": "cp1252",
    }
    run = subprocess.run(
        [sys.executable, "-m", "workshop.cli", *words], cwd=CHECKOUT, env=os.environ | strange, capture_output=True
    )
    said = run.stdout.decode("cp1252") + run.stderr.decode("cp1252")
    assert run.returncode == 0, said
    assert "Traceback" not in said
