"""Every benchmark, one after the other, each in a process of its own."""

import subprocess
import sys

for name in ("sandbox_load", "durable"):
    subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=True)
