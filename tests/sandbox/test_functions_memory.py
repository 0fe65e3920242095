"""The bound on functions' processes follows the memory that a container has."""

import pytest

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
