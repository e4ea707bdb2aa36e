"""A benchmark that misses a goal fails, after it has printed everything."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from benchmarks import __main__ as benchmarks
from benchmarks import language, notes
from benchmarks._goals import Goals


def test_one_missed_goal_is_the_status_and_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    goals = Goals()
    assert [goals.told(f"goal {i}", i != 1) for i in range(3)] == ["met", "MISSED", "met"]
    assert goals.status() == 1
    assert capsys.readouterr().err == "goal missed: goal 1\n"
    assert Goals().status() == 0


def test_a_ratio_below_its_goal_is_missed() -> None:
    goals = Goals()
    assert language.goal(goals, "scoring", 1.5, 1.5) == "1.5x (goal 1.5x: met)"
    assert not goals.missed
    assert language.goal(goals, "scoring", 1.4, 1.5) == "1.4x (goal 1.5x: MISSED)"
    assert goals.missed == ["scoring"]


@pytest.mark.parametrize("reached", [True, False])
def test_a_benchmark_ends_with_what_its_seeds_told(
    reached: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    def show(seed: int, _folder: object, goals: Goals) -> None:
        seen.append(seed)
        goals.told("control", reached or seed != 1)

    monkeypatch.setattr(notes, "show", show)
    assert notes.main(3) == (0 if reached else 1)
    assert seen == [1, 2, 3]


@pytest.mark.parametrize(
    ("statuses", "expected"), [((0, 0, 0), 0), ((0, 1, 0), 1), ((0, -9, 0), 1)]
)
def test_all_benchmarks_run_and_one_that_failed_is_named(
    statuses: tuple[int, ...],
    expected: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    left, ran = list(statuses), []

    def run(command: list[str], **_: object) -> SimpleNamespace:
        ran.append(command[2])
        return SimpleNamespace(returncode=left.pop(0))

    monkeypatch.setattr(benchmarks.subprocess, "run", run)
    assert benchmarks.main(["notes", "pool", "risk"]) == expected
    assert ran == ["benchmarks.notes", "benchmarks.pool", "benchmarks.risk"]
    assert ("missed a goal: pool" in capsys.readouterr().err) == bool(expected)
