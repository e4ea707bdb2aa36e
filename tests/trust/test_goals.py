"""A benchmark that misses a goal says so at its end, and not in its figures alone."""

from types import SimpleNamespace

import pytest

from benchmarks import __main__ as benchmarks
from benchmarks import language, notes, risk
from benchmarks._goals import Goals


def test_a_missed_goal_is_named_at_the_end_and_ends_the_run_with_one(capsys):
    goals = Goals()
    assert (goals.check("append", True), goals.exit_code) == ("met", 0)
    assert goals.check("publish", False) == "MISSED"
    assert goals.check("a question", True) == "met"
    assert goals.exit_code == 1
    assert capsys.readouterr().out == "goal missed: publish\n"


@pytest.mark.parametrize(("bound", "code"), [(0.0, 1), (1e9, 0)])
def test_a_benchmark_prints_all_its_figures_before_it_ends_with_a_missed_goal(
    bound, code, monkeypatch, capsys
):
    monkeypatch.setattr(risk, "YEARS", 1000)
    monkeypatch.setattr(risk, "BOUND", bound)
    assert risk.main() == code
    assert capsys.readouterr().out.count(f"bound {bound:g} s") == 3


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
        goals.check("control", reached or seed != 1)

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
