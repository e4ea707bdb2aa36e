"""Does a daemon stay as it was after hundreds of audits? Memory, disk and time by audit.

Starts `memory-assets ui` on the shipped subject and hands it one trained version after another,
each when the one before stands in the history. After every audit it notes how long that took, what
each process of the daemon holds in memory of its own between runs (anonymous pages), and what lies
on the disk. `python -m benchmarks soak --versions 200` takes hours; 12 versions without it.
"""

from __future__ import annotations

import argparse
import csv
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from benchmarks._living import audits, daemon, descendants, digits_alone, wait_for
from memory_assets.examples import digits
from memory_assets.models.checkpoints import Manifest, save_checkpoint
from memory_assets.pool.trainer import train_target
from memory_assets.records.prepared import members_digest

EPOCHS = 40
PATIENCE_SECONDS = 1800
_PARTS = {"store": ("artifacts",), "reports": ("reports",), "events": ("dagster", "references")}
_PROCESSES = {
    "dagster._daemon": "daemon",
    "api\0grpc": "code",
    "memory_assets.dagster.web_server": "web",
}


@dataclass(frozen=True)
class Sample:
    """What was seen once an audit stood in the history: seconds, MiB, KiB."""

    version: int
    seconds: float
    cpu_seconds: float
    daemon: float
    code: float
    web: float
    rest: float
    store: float
    reports: float
    history: float
    events: float
    load: float


def _release(folder: Path, number: int) -> None:
    """Train a version of its own and put it before the sensor."""
    data = digits.load()
    rows = digits.draw_members(data)
    recipe = replace(digits.RECIPE, epochs=EPOCHS)
    state = train_target(recipe, data.x, data.y, rows, draw=number)
    manifest = Manifest(asdict(recipe), members_digest(data.ids[rows]), data.digest)
    save_checkpoint(folder / f"r{number:04d}.safetensors", state, manifest)


def _memory(pids: Sequence[int]) -> dict[str, float]:
    """MiB that processes hold and share with nobody, by what they are for."""
    held = dict.fromkeys((*_PROCESSES.values(), "rest"), 0.0)
    for pid in pids:
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
            status = Path(f"/proc/{pid}/status").read_text()
        except (OSError, ProcessLookupError):
            continue
        kind = next((kind for words, kind in _PROCESSES.items() if words in command), "rest")
        lines = [line for line in status.splitlines() if line.startswith("RssAnon:")]
        held[kind] += sum(int(line.split()[1]) for line in lines) / 1024
    return held


def _cpu(pid: int) -> float:
    """CPU seconds of a process and of all its descendants, those waited for included."""
    ticks = 0
    for one in descendants(pid):
        try:
            stat = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        except (OSError, ProcessLookupError):
            continue
        ticks += sum(map(int, stat[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def _kib(path: Path) -> float:
    """What a file or a folder takes on the disk."""
    files = [path, *path.rglob("*")] if path.exists() else []
    return sum(file.lstat().st_blocks for file in files if file.exists()) / 2


def _idle(home: Path, pid: int, root: Path) -> list[int]:
    """Wait until no run is in flight; the processes that are left."""
    import dagster as dg

    os.environ["DAGSTER_HOME"] = str(home / "dagster")
    busy = [
        dg.DagsterRunStatus.QUEUED,
        dg.DagsterRunStatus.NOT_STARTED,
        dg.DagsterRunStatus.STARTING,
        dg.DagsterRunStatus.STARTED,
    ]
    with dg.DagsterInstance.get() as instance:
        wait_for(
            lambda: not instance.get_runs(dg.RunsFilter(statuses=busy), limit=1),
            root,
            PATIENCE_SECONDS,
        )
    return descendants(pid)


def _soak(root: Path, versions: int) -> Iterator[Sample]:
    models, home = digits_alone(root), root / "home"
    digits.make(models)
    with daemon(root) as (process, _):
        before = len(digits.EPOCHS)
        wait_for(lambda: len(audits(root)) >= before, root, PATIENCE_SECONDS)
        _idle(home, process.pid, root)
        spent = _cpu(process.pid)
        for number in range(1, versions + 1):
            _release(models, number)
            wanted = before + number
            seconds = wait_for(lambda n=wanted: len(audits(root)) >= n, root, PATIENCE_SECONDS)
            pids = _idle(home, process.pid, root)
            now = _cpu(process.pid)
            disk = {
                name: sum(_kib(home / folder) for folder in folders)
                for name, folders in _PARTS.items()
            }
            history = _kib(home / "history.duckdb") + _kib(home / "history")
            yield Sample(
                number,
                seconds,
                now - spent,
                **_memory(pids),
                history=history,
                load=os.getloadavg()[0],
                **disk,
            )
            spent = now
        assert len(audits(root)) == before + versions


def _windows(samples: Sequence[Sample], count: int = 5) -> list[Sequence[Sample]]:
    size = max(1, len(samples) // count)
    return [samples[i : i + size] for i in range(0, len(samples) - size + 1, size)]


def _report(samples: Sequence[Sample]) -> None:
    print("\nmedians of a window: seconds from checkpoint to history, CPU seconds, MiB of memory;")
    print("growth over a window: KiB on disk an audit\n")
    told = ("seconds", "cpu_seconds", "daemon", "code", "web", "rest", "load")
    grown = (*_PARTS, "history")
    print("versions    " + "".join(f"{name:>12}" for name in (*told, *grown)))
    last = samples[0]
    for window in _windows(samples):
        end = window[-1]
        middle = [statistics.median(getattr(s, name) for s in window) for name in told]
        audits_between = max(1, end.version - last.version)
        growth = [(getattr(end, name) - getattr(last, name)) / audits_between for name in grown]
        figures = "".join(f"{x:12.1f}" for x in middle) + "".join(f"{x:12.0f}" for x in growth)
        print(f"{window[0].version:3d} to {end.version:3d}  {figures}")
        last = end


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks soak", description=__doc__)
    parser.add_argument("--versions", type=int, default=12)
    parser.add_argument("--samples", type=Path, help="write every sample as CSV here")
    options = parser.parse_args(arguments)
    samples: list[Sample] = []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        root = Path(name) / "project"
        out = (options.samples or Path(os.devnull)).open("w", newline="")
        with out:
            table = csv.writer(out)
            table.writerow([field.name for field in fields(Sample)])
            began = time.monotonic()
            for sample in _soak(root, options.versions):
                samples.append(sample)
                table.writerow(asdict(sample).values())
                out.flush()
                if sample.version % 10 == 0:
                    passed = time.monotonic() - began
                    print(f"{sample.version} versions, {passed:.0f} s", flush=True)
    _report(samples)


if __name__ == "__main__":
    main(sys.argv[1:])
