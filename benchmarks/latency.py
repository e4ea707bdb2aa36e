"""How long from a checkpoint on disk to its verdict in the history, with a running daemon?

Starts `memory-assets ui` on a copy of the project with the shipped subject alone, waits for the
first audit, then drops new versions one by one. Prints seconds for each, with the load average
and the seconds of processor time that all processes of the daemon took: the first figure depends
on what else the machine does, the last does not. Takes about five minutes; ends with 1 when a
version took 60 s or more.
"""

from __future__ import annotations

import os
import shutil
import statistics
import tempfile
from pathlib import Path

from benchmarks._goals import Goals
from benchmarks._living import (
    CHECKOUT,
    audits,
    daemon,
    descendants,
    digits_alone,
    wait_for,
)

VERSIONS = 4
BOUND = 60.0  # seconds


def processor_seconds(pid: int) -> float:
    """What a process and all below it took so far, those that have ended included."""
    ticks = 0
    for one in descendants(pid):
        try:
            stat = Path(f"/proc/{one}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        ticks += sum(int(field) for field in stat.rpartition(")")[2].split()[11:15])
    return ticks / os.sysconf("SC_CLK_TCK")


def main() -> int:
    goals = Goals()
    # Runs that are still busy when the daemon is stopped may leave a file behind.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        root = Path(folder) / "project"
        models, made = digits_alone(root), CHECKOUT / "models" / "digits"
        shutil.copy(made / "members.csv", models)
        shutil.copy(made / "v1.safetensors", models)
        taken = []
        with daemon(root) as (process, _):
            first = wait_for(lambda: len(audits(root)) == 1, root)
            print(f"start of the daemon to the first verdict, pool included: {first:.0f} s")
            for i in range(VERSIONS):
                temporary = models / f".new{i}.tmp"
                shutil.copy(made / "v2.safetensors", temporary)
                before = processor_seconds(process.pid)
                temporary.replace(models / f"new{i}.safetensors")
                wanted = i + 2
                seconds = wait_for(lambda n=wanted: len(audits(root)) == n, root)
                taken.append(seconds)
                cpu = processor_seconds(process.pid) - before
                load = os.getloadavg()[0]
                print(f"checkpoint to verdict: {seconds:.0f} s, {cpu:.0f} of cpu (load {load:.1f})")
        word = goals.check("checkpoint to verdict", max(taken) < BOUND)
        median, worst = statistics.median(taken), max(taken)
        print(f"median {median:.0f} s, worst {worst:.0f} s, bound {BOUND:g} s: {word}")
    return goals.exit_code


if __name__ == "__main__":
    raise SystemExit(main())
