"""How long from a checkpoint on disk to its verdict in the history, with a running daemon?

Starts `memory-assets ui` on a copy of the project with the shipped subject alone, waits for the
first audit, then drops new versions one by one. Prints seconds for each, with the load average:
the figure depends on what else the machine does. Takes about five minutes.
"""

from __future__ import annotations

import os
import shutil
import statistics
import tempfile
from pathlib import Path

from benchmarks._living import CHECKOUT, audits, daemon, digits_alone, wait_for

VERSIONS = 4


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "project"
        models, made = digits_alone(root), CHECKOUT / "models" / "digits"
        shutil.copy(made / "members.csv", models)
        shutil.copy(made / "v1.safetensors", models)
        taken = []
        with daemon(root):
            first = wait_for(lambda: len(audits(root)) == 1, root)
            print(f"start of the daemon to the first verdict, pool included: {first:.0f} s")
            for i in range(VERSIONS):
                temporary = models / f".new{i}.tmp"
                shutil.copy(made / "v2.safetensors", temporary)
                temporary.replace(models / f"new{i}.safetensors")
                wanted = i + 2
                seconds = wait_for(lambda n=wanted: len(audits(root)) == n, root)
                taken.append(seconds)
                print(f"checkpoint to verdict: {seconds:.0f} s (load {os.getloadavg()[0]:.1f})")
        print(f"median {statistics.median(taken):.0f} s, worst {max(taken):.0f} s")


if __name__ == "__main__":
    main()
