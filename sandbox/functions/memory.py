"""The memory of functions' processes: how much one holds, and how many there is room for.

There is room in what a container may have, and not in what the machine has.

A container's limit is in files of its control group: https://docs.kernel.org/admin-guide/cgroup-v2.html (memory.max),
https://docs.kernel.org/admin-guide/cgroup-v1/memory.html (memory.limit_in_bytes, a huge number where there is none).
"""

import os
from pathlib import Path

MOST, LEAST = 24, 4
ROUGH = 32  # MB by which the quick look at a process's memory may be wrong, where there are many cores
# What a process needs alone, where it is a new interpreter; a fork needs less. The other half of the memory is for
# JupyterLab, kernels and the sandbox itself.
BYTES_EACH = 60 * 1024**2


def processes(limit=None):
    """The bound on processes of all functions. limit: bytes of memory that there are; by default the container's."""
    limit = container_limit() if limit is None else limit
    return MOST if limit is None else max(LEAST, min(MOST, limit // 2 // BYTES_EACH))


def container_limit(root=Path("/")):
    """The bytes that this process's control groups may have, or None where none is limited."""
    groups = {}
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        groups.update(dict.fromkeys(controllers.split(","), path.strip("/")))
    found = []
    for mount, name, controller in (
        ("sys/fs/cgroup", "memory.max", ""),
        ("sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory"),
    ):
        # A group has no more than those that it is in. In a container the path may be one of the host's, which is not
        # there; then what counts is at the top.
        top = root / mount
        own = top / groups.get(controller, "")
        found += [_read(group / name).strip() for group in (own, *own.parents) if group.is_relative_to(top)]
    limits = [int(text) for text in found if text.isdigit()]
    return min((limit for limit in limits if limit < 1 << 50), default=None)


def held(pid, limit, root=Path("/")):
    """The memory that a process holds, in MB; 0 where that cannot be read, which is everywhere but on Linux.

    It is what the process has alone and what a fork shares with others, each page counted once. limit: in MB; only near
    it the system is asked for the exact number, which takes longer.
    """
    try:
        pages = int((root / f"proc/{pid}/statm").read_text().split()[1])
        megabytes = pages * os.sysconf("SC_PAGE_SIZE") // 2**20
        if megabytes + ROUGH > limit:
            lines = (root / f"proc/{pid}/smaps_rollup").read_text().splitlines()
            megabytes = next(int(line.split()[1]) // 2**10 for line in lines if line.startswith("Rss:"))
        return megabytes
    except (OSError, IndexError, StopIteration):
        return 0


def is_gone(pid):
    """Whether a process has given its memory back, which is the first thing that ending does; False but on Linux."""
    try:
        return Path(f"/proc/{pid}/statm").read_text(encoding="utf-8").split()[0] == "0"
    except OSError:
        return os.path.exists("/proc/self/statm")


def _read(path):
    try:
        return path.read_text()
    except OSError:
        return ""
