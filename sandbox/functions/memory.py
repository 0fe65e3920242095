"""How many processes of functions there is memory for: what a container may have, and not what the machine has.

A container's limit is in files of its control group: https://docs.kernel.org/admin-guide/cgroup-v2.html (memory.max),
https://docs.kernel.org/admin-guide/cgroup-v1/memory.html (memory.limit_in_bytes, a huge number where there is none).
"""

from pathlib import Path

MOST, LEAST = 24, 4
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


def _read(path):
    try:
        return path.read_text()
    except OSError:
        return ""
