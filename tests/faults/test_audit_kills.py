"""kill -9 at random moments of an audit: the next one completes, as if nothing had happened."""

from __future__ import annotations

import random
import shutil
import socket
import sqlite3
import time
from collections import Counter
from pathlib import Path

import pytest
from warm_project import Run, Warm, files, published_audits, results

PHASES = ("pool", "signals", "scores", "append", "publish", "report")
GRAPH_STEPS = (
    "shadow_models",
    "shadow_signals",
    "attack_scores",
    "leakage",
    "history",
    "roi_report",
)

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("kills")]


def durations(warm: Warm, home: Path, call: str, *arguments: object) -> dict[str, float]:
    """Seconds that each phase of an undisturbed run takes."""
    run = warm.start(home, call, *arguments)
    taken: dict[str, float] = {}
    phase, since = "", time.monotonic()
    while phase != "end":
        heard = warm.until(run.pid, "phase")
        now = time.monotonic()
        taken[phase] = taken.get(phase, 0.0) + now - since
        phase, since = heard, now
    assert run.wait() == 0, run.text
    return taken


def killed(run: Run, phase: str, after: float) -> str:
    """Kill a run some seconds into a phase; the phase that it was in, "" if it had ended."""
    if run.until_phase(phase):
        time.sleep(after)
    code = run.kill()
    return run.last_phase if code == -9 and run.last_phase != "end" else ""


@pytest.mark.parametrize("kills", [30, pytest.param(100, marks=pytest.mark.long)])
def test_killed_at_random_moments(warm: Warm, tmp_path: Path, tally, capsys, kills: int) -> None:
    """Every phase of the audit is met equally often; one audit in five goes on to its report."""
    rng = random.Random(8)
    warm.run(tmp_path / "first", "steps", "tiny", "v1")
    taken = durations(warm, tmp_path / "undisturbed", "steps", "tiny", "v1")
    expected = results(tmp_path / "undisturbed")
    assert {name.split("/")[0] for name in expected["files"]} == {
        "artifacts",
        "digests",
        "history",
        "history.duckdb",
        "reports",
    }
    met: Counter[str] = Counter()
    home = tmp_path / "home"
    for attempt in range(2 * kills):
        if met.total() == kills:
            break
        aimed = PHASES[attempt % len(PHASES)]
        run = warm.start(home, "steps", "tiny", "v1")
        phase = killed(run, aimed, rng.uniform(0, taken[aimed]))
        assert published_audits(home) <= 1
        if not phase:
            shutil.rmtree(home)
            continue
        met[phase] += 1
        to_the_end = phase == "report" or attempt % 5 == 0
        warm.run(home, "steps", "tiny", "v1", to_the_end)
        assert published_audits(home) == 1
        found = results(home)
        if not to_the_end:
            found["files"] |= {name for name in expected["files"] if name.startswith("reports")}
        assert found["files"] ^ expected["files"] == set()
        assert found == expected
        assert not list((home / "tmp").iterdir())
        shutil.rmtree(home)
    with capsys.disabled():
        print(f"\nkilled in {dict(met)}")
    assert met.total() == kills
    assert all(met[phase] >= kills // 20 for phase in PHASES), met
    tally("faults: kills of an audit, each followed by a whole one", kills)


def unfinished_runs(home: Path) -> list[tuple[str, str]]:
    with sqlite3.connect(home / "dagster" / "history" / "runs.db") as con:
        sql = "select run_id, status from runs where status not in ('SUCCESS', 'FAILURE')"
        return con.execute(sql).fetchall()


def kill_the_graph(warm: Warm, tmp_path: Path, kills: int, seed: int) -> Counter[str]:
    """Kill `memory-assets audit` in its steps, in one home that lives on; where it was killed."""
    rng = random.Random(seed)
    taken = durations(warm, tmp_path / "undisturbed", "graph")
    expected = results(tmp_path / "undisturbed")
    labels = [next(label for label in taken if name in label) for name in GRAPH_STEPS]
    met: Counter[str] = Counter()
    for attempt in range(4 * kills):
        if met.total() == kills:
            break
        home, aimed = tmp_path / f"home-{attempt}", labels[attempt % len(labels)]
        phase = killed(warm.start(home, "graph"), aimed, rng.uniform(0, taken[aimed]))
        if not phase:
            continue
        met[phase.rpartition("tiny__")[2]] += 1
        warm.run(home, "graph")
        found = results(home)
        # What steps of one run hand to each other goes after a day.
        for side in (found, expected):
            side["files"] = {n for n in side["files"] if not n.startswith("references/runs")}
        assert found["files"] ^ expected["files"] == set()
        assert found == expected
        assert not list((home / "tmp").iterdir())
        assert unfinished_runs(home) == []
        shutil.rmtree(home)
    assert met.total() == kills
    return met


def test_the_graph_killed_in_every_part_of_it(warm: Warm, tmp_path: Path, tally, capsys) -> None:
    met = kill_the_graph(warm, tmp_path, kills=len(GRAPH_STEPS), seed=9)
    with capsys.disabled():
        print(f"\nkilled in {dict(met)}")
    tally("faults: kills of the graph, each followed by a whole audit", met.total())


@pytest.mark.long
def test_the_graph_killed_a_hundred_times(warm: Warm, tmp_path: Path, tally) -> None:
    met = kill_the_graph(warm, tmp_path, kills=100, seed=10)
    tally("faults: kills of the graph, each followed by a whole audit", met.total())


def test_what_is_left_of_a_killed_writer_does_not_pile_up(warm: Warm, tmp_path: Path) -> None:
    """Temporary files of dead processes, of every kind, are gone after the next audit."""
    home = tmp_path / "home"
    warm.run(home, "steps", "tiny", "v1")
    before = files(home)
    dead = warm.run(home, "steps", "tiny", "v1").pid
    left = [
        home / "tmp" / f"{socket.gethostname()}@{dead}@12345678" / "signals.safetensors",
        home / "tmp" / f"{socket.gethostname()}@{dead}@12345678" / ".tmpAbCdEf",
        home / "tmp" / f"{socket.gethostname()}@{dead}@23456789" / "history.duckdb.wal",
        home / "reports" / "tiny" / "v1" / f".en.html@{socket.gethostname()}@{dead}.tmp",
    ]
    for path in left:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("half")
    (home / "reports" / "tiny" / "v1" / ".inputs").unlink()
    warm.run(home, "steps", "tiny", "v1")
    assert files(home) == before
