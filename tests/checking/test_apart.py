"""A function called in a process of its own: in a fork where that can be, in a new process elsewhere."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from workshop.checking import apart
from workshop.checking.waiting import until

LINUX = sys.platform == "linux"


@pytest.fixture(params=["a fork", pytest.param("a new process", id="new")])
def call(request, tmp_path, monkeypatch):
    """A function that runs a command of the shell in such a process: call(command, environment) is what it prints."""
    if request.param == "a new process":
        monkeypatch.setattr(apart.sys, "platform", "another")
    elif not LINUX:
        pytest.skip("there are no forks here")

    def call(command, environment=(), **options):
        options = {"patience": 60, "what": "a command", **options}
        return apart.called(
            "subprocess:getoutput", {"cmd": command}, folder=tmp_path, environment=dict(environment), **options
        )

    return call


def test_it_works_in_its_folder_with_its_variables_and_none_of_aws(call, tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "ours")
    told = call("pwd; echo $TABLE; env | grep -c ours", {"TABLE": "airports"})
    assert told.split() == [str(tmp_path), "airports", "0"]


def test_what_it_raises_is_told(call, tmp_path):
    with pytest.raises(RuntimeError, match="No module named 'nowhere'"):
        apart.called("nowhere:f", {}, folder=tmp_path, environment={}, patience=60, what="nothing")
    with pytest.raises(RuntimeError, match="unexpected keyword argument 'nothing'"):
        apart.called("json:loads", {"s": "1", "nothing": 2}, folder=tmp_path, environment={}, patience=60, what="it")


def test_one_that_does_not_end_in_time_is_ended(call, tmp_path, monkeypatch):
    """Its time is over once it has said who it is, however long it took to begin."""
    who = tmp_path / "who"

    def has_ended(*_):
        assert until(lambda: who.exists() and who.read_text().strip(), 60, "a process to begin")
        return False

    monkeypatch.setattr(apart, "until", has_ended)
    assert call("echo $PPID > who; sleep 1000") is None
    with pytest.raises(ProcessLookupError):
        os.kill(int(who.read_text()), 0)


@pytest.mark.skipif(not LINUX, reason="there are no forks here")
def test_forks_have_one_parent_and_what_changes_python_has_a_new_process(tmp_path):
    def parent(**environment):
        command = {"cmd": "ps -o ppid= -p $PPID"}
        options = {"folder": tmp_path, "environment": environment, "patience": 60, "what": "ps"}
        return int(apart.called("subprocess:getoutput", command, **options))

    assert parent() == parent(TABLE="t") == apart._servers["1"]._process.pid
    assert parent(PYTHONOPTIMIZE="1") == os.getpid()
    apart._servers["1"]._process.send_signal(signal.SIGKILL)
    apart._servers["1"]._process.wait()
    assert parent() == os.getpid()  # as if there were no forks
    assert parent() == apart._servers["1"]._process.pid  # of a new one


@pytest.mark.skipif(not LINUX, reason="there are no forks here")
def test_a_fork_ends_with_whoever_waits_for_it(tmp_path):
    """However that one ends: the code in it is a learner's, and may go on for ever."""
    command = "echo $PPID > who.part; mv who.part who; while kill -0 $PPID; do sleep 0.1; done"
    waits = f"""
from workshop.checking import apart
apart.called("subprocess:getoutput", {{"cmd": {command!r}}}, folder={str(tmp_path)!r}, environment={{}}, patience=600,
             what="it")
"""
    waiting = subprocess.Popen([sys.executable, "-c", waits])
    assert until((tmp_path / "who").exists, 60)
    waiting.kill()
    waiting.wait()
    fork = int((tmp_path / "who").read_text())
    assert until(lambda: not Path(f"/proc/{fork}").exists(), 60)
