"""A tiny project, a warm process that audits it in forked children, and what an audit leaves."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pytest

CHECKOUT = Path(__file__).parents[2]
TINY = CHECKOUT / "tests" / "dagster_project"
sys.path.append(str(TINY))
import automation_projects as tiny  # noqa: E402

LONGEST_SECONDS = 900
"""Bounds every wait for a run. Far more than one takes: a wait that ends here is a deadlock."""
TABLES = ("measurements", "controls", "gate_results", "findings", "record_scores", "contents")


@dataclass(frozen=True)
class Run:
    """A child of the warm process: an audit, or a command line."""

    warm: Warm
    pid: int
    output: Path

    @property
    def text(self) -> str:
        return self.output.read_text(errors="replace")

    def wait(self) -> int:
        """Its exit code; -9 of one that was killed."""
        self.warm.ask(wait=self.pid)
        return self.warm.until(self.pid, "ended")

    def kill(self) -> int:
        os.kill(self.pid, signal.SIGKILL)
        return self.wait()

    def until_phase(self, phase: str) -> bool:
        """Wait until a phase has begun; False where the run ended without it."""
        while (heard := self.warm.until(self.pid, "phase")) not in (phase, "end"):
            pass
        return heard == phase

    @property
    def last_phase(self) -> str:
        """The phase that it was in when it ended."""
        phases = [m["phase"] for m in self.warm.said if m["pid"] == self.pid and "phase" in m]
        return phases[-1] if phases else ""


@dataclass
class Warm:
    """The process of `warm.py`, and what it and its children have said so far."""

    root: Path
    process: subprocess.Popen[str]
    runs: int = 0
    said: list[dict[str, Any]] = field(default_factory=list)
    lines: queue.Queue[str] = field(default_factory=queue.Queue)

    def __post_init__(self) -> None:
        # Read apart, so that one who waits can give up waiting.
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.put(line)
        self.lines.put("")

    def ask(self, **request: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()

    def hear(self) -> dict[str, Any]:
        try:
            line = self.lines.get(timeout=LONGEST_SECONDS)
        except queue.Empty:
            os.killpg(self.process.pid, signal.SIGKILL)  # with all that hangs
            pytest.fail(f"nothing was heard for {LONGEST_SECONDS} s: a run hangs, or two block")
        assert line, "the warm process is gone"
        self.said.append(json.loads(line))
        return self.said[-1]

    def until(self, pid: int, key: str) -> Any:
        """What a process says next under this key."""
        while True:
            heard = self.hear()
            if heard["pid"] == pid and key in heard:
                return heard[key]

    def start(self, home: Path, call: str, *arguments: Any, **faults: Any) -> Run:
        self.runs += 1
        self.said.clear()
        output = self.root.parent / f"output-{self.runs}.txt"
        environment = {
            "MEMORY_ASSETS_HOME": str(home),
            "DAGSTER_HOME": "",
            **faults.pop("environment", {}),
        }
        self.ask(
            call=call,
            arguments=arguments,
            output=str(output),
            environment=environment,
            **faults,
        )
        while "started" not in (heard := self.hear()):
            pass
        return Run(self, heard["pid"], output)

    def run(self, home: Path, call: str, *arguments: Any, **faults: Any) -> Run:
        """Run to the end, which must be a good one."""
        run = self.start(home, call, *arguments, **faults)
        assert run.wait() == 0, run.text
        return run


def small_project(root: Path) -> Path:
    """A project with one tiny subject of one version."""
    tiny.declare(tiny.copy_project(root), tiny.tiny_subject("tiny"))
    tiny.write_records(root / "tiny")
    tiny.write_checkpoint(root / "tiny", "v1", seed=1)
    return root


def files(home: Path) -> set[str]:
    """Everything under a home by name, apart from locks (a fixed number) and Dagster's own."""
    return {
        str(path.relative_to(home))
        for path in home.rglob("*")
        if path.is_file() and path.relative_to(home).parts[0] not in ("locks", "dagster")
    }


def published_audits(home: Path) -> int:
    """How many audits a reader sees; all of them whole."""
    if not (path := home / "history.duckdb").exists():
        return 0
    with duckdb.connect(str(path), read_only=True) as con:
        assert con.execute("FROM incomplete").fetchall() == []
        return con.execute("SELECT count(*) FROM audits").fetchall()[0][0]


def results(home: Path) -> dict[str, Any]:
    """All that an audit found: the bytes of its artifacts, and the rows of its history.

    When it was is left out: the row of the audit itself, and what says so on the pages.
    """
    with duckdb.connect(str(home / "history.duckdb"), read_only=True) as con:
        assert con.execute("FROM incomplete").fetchall() == []
        rows = {
            table: sorted(con.execute(f"FROM {table}").fetchall(), key=repr) for table in TABLES
        }
        audits = "SELECT * EXCLUDE (started_at, finished_at) FROM audits ORDER BY ALL"
        rows["audits"] = con.execute(audits).fetchall()
    artifacts = {
        str(path.relative_to(home)): path.read_bytes()
        for path in (home / "artifacts").rglob("*")
        if path.is_file() and path.name != "audits.parquet"
    }
    return {"files": files(home), "artifacts": artifacts, **rows}
