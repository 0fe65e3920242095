"""The bound on functions' processes follows the memory that a container has; how much memory a process has."""

import os
import subprocess
import sys

import pytest
from state_machines import until

from sandbox.functions import memory

GB = 1024**3


@pytest.fixture
def machine(tmp_path):
    """A function that writes files as the system has them, {path: text}, and returns where they are."""

    def write(texts):
        for name, text in texts.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path

    return write


@pytest.mark.parametrize(
    ("texts", "limit"),
    [
        ({}, None),  # macOS, Windows
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "max\n"}, None),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": f"{2 * GB}\n"}, 2 * GB),
        # The host's path, which a container does not see.
        ({"proc/self/cgroup": "0::/kubepods/pod1/abc\n", "sys/fs/cgroup/memory.max": f"{GB}\n"}, GB),
        # A group in a group: the smaller one counts.
        (
            {
                "proc/self/cgroup": "0::/user/one\n",
                "sys/fs/cgroup/user/memory.max": f"{3 * GB}\n",
                "sys/fs/cgroup/user/one/memory.max": "max\n",
            },
            3 * GB,
        ),
        # The older version.
        (
            {"proc/self/cgroup": "5:cpu:/\n4:memory:/a\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": f"{GB}\n"},
            GB,
        ),
        (
            {"proc/self/cgroup": "4:memory:/\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n"},
            None,
        ),
    ],
)
def test_the_limit_of_a_container(machine, texts, limit):
    assert memory.container_limit(machine(texts)) == limit


@pytest.mark.parametrize(
    ("limit", "processes"), [(16 * GB, 24), (3 * GB, 24), (2 * GB, 17), (GB, 8), (GB // 4, 4), (0, 4)]
)
def test_half_of_it_is_for_functions(limit, processes):
    assert memory.processes(limit) == processes


def test_the_sandbox_starts_with_it():
    from sandbox.functions.settings import Settings

    assert Settings().processes == memory.processes()


# -- of one process ----------------------------------------------------------------------------------------------------

PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


@pytest.mark.parametrize(
    ("megabytes", "limit", "found"),
    [(50, 128, 50), (50, 83, 50), (50, 81, 47), (500, 128, 47)],
    ids=["far", "not yet near", "near", "beyond"],
)
def test_the_exact_number_is_asked_for_only_near_the_limit(machine, megabytes, limit, found):
    root = machine(
        {
            "proc/7/statm": f"99999 {megabytes * 2**20 // PAGE} 3 1 0 9 0\n",
            "proc/7/smaps_rollup": f"00400000-7fff [rollup]\nRss: {47 * 1024} kB\nPss: 1 kB\n",
        }
    )
    assert memory.held(7, limit, root) == found


def test_a_process_that_is_not_there_holds_none(machine):
    assert memory.held(7, 128, machine({})) == 0


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nobody knows")
def test_a_process_is_gone_when_it_has_ended_whether_or_not_anybody_has_asked():
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        assert not memory.is_gone(process.pid)
        process.kill()
        until(lambda: memory.is_gone(process.pid))  # nobody has reaped it yet
    assert memory.is_gone(process.pid)
    assert not memory.is_gone(os.getpid())
