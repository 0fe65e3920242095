"""The archive that installs without a network: `workshop bundle`."""

import os
import shutil
import subprocess
import sys
import tarfile

import pytest

from workshop import bundle, environments
from workshop.environments import CHECKOUT, LEARNER

MINOR = f"{sys.version_info.major}.{sys.version_info.minor}"


@pytest.mark.parametrize(
    ("marker", "fetched"),
    [
        ("", False),  # it is fetched with the lock itself
        (" ; sys_platform == 'nowhere'", False),
        (" ; python_full_version < '3.11'", False),
        (f" ; python_full_version >= '{MINOR}.50'", True),
        (f" ; python_full_version < '{MINOR}.50'", False),
        (f" ; python_full_version == '{MINOR}.0' and sys_platform == 'nowhere'", False),
    ],
)
def test_what_another_patch_of_this_python_needs_is_fetched_too(marker, fetched):
    assert bool(bundle._for_another_patch(f"tiny==1{marker} \\\n    --hash=sha256:{'0' * 64}\n")) == fetched


def test_the_entries_of_a_lock(tmp_path):
    lock = tmp_path / "requirements.lock"
    lock.write_text("a==1 \\\n    --hash=x \\\n    --hash=y\nb==2 ; os_name == 'nt' \\\n    --hash=z\n")
    assert environments.entries(lock) == [
        "a==1 \\\n    --hash=x \\\n    --hash=y\n",
        "b==2 ; os_name == 'nt' \\\n    --hash=z\n",
    ]


def test_where_wheels_are_beside_the_checkout_no_index_is_asked(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(environments, "WHEELS", tmp_path)
    monkeypatch.setattr(environments, "_succeeds", lambda command, env=None: asked.append(command) or True)
    LEARNER._install_with_uv("uv")
    LEARNER._install_with_pip()
    assert len(asked) == 4
    for command in asked:
        assert command[command.index("--find-links") + 1] == tmp_path and "--no-index" in command
    assert all("--offline" in command for command in asked if command[0] == "uv")


@pytest.mark.long
def test_what_another_system_lacks_is_named(tmp_path, monkeypatch):
    lock = tmp_path / "requirements.lock"
    zeros = f" \\\n    --hash=sha256:{'0' * 64}\n"  # nothing is fetched, so none is compared
    lock.write_text(f"pywinpty==3.0.2{zeros}colorama==0.4.6{zeros}")
    monkeypatch.setattr(bundle, "LOCKS", [lock])
    assert bundle.missing("x86_64-unknown-linux-gnu") == ["pywinpty==3.0.2"]
    assert bundle.missing("x86_64-pc-windows-msvc") == []


def without_network(command):
    """The command in a network namespace that has loopback and nothing else."""
    up = (
        "import fcntl, os, socket, struct, sys; "
        "fcntl.ioctl(socket.socket(), 0x8914, struct.pack('16sh', b'lo', 1 | 64)); os.execv(sys.argv[1], sys.argv[1:])"
    )
    return ["unshare", "--user", "--map-root-user", "--net", sys.executable, "-c", up, *command]


@pytest.mark.long
@pytest.mark.skipif(not shutil.which("unshare"), reason="needs network namespaces, which Linux has")
def test_it_installs_and_checks_a_lab_without_a_network(tmp_path):
    """Its wheels come from the index when it is made; after that, nothing may."""
    archive = bundle.make(tmp_path)
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path, filter="data")
    (checkout,) = (path for path in tmp_path.iterdir() if path.is_dir())
    python = checkout / os.path.relpath(LEARNER.python, CHECKOUT)
    newcomer = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}

    def run(*words):
        command = without_network([str(word) for word in words])
        ran = subprocess.run(command, cwd=checkout, env=newcomer, capture_output=True, text=True, check=False)
        if "unshare failed" in ran.stderr:
            pytest.skip("no network namespace can be made here")
        return ran

    ran = run(sys.executable, "workshop/environments.py")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "pip does the same" not in ran.stdout
    shutil.copy(checkout / "solutions" / "01-polling-loop.ipynb", checkout / "labs")
    ran = run(python, "-m", "workshop.cli", "check", "01")
    assert ran.returncode == 0 and "4 of 4 exercises done." in ran.stdout, ran.stdout + ran.stderr
    subprocess.check_call([python, "-m", "workshop.cli", "sandbox", "stop"], cwd=checkout, env=newcomer)
