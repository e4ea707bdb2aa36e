"""A benchmark that misses a goal says so at its end, and not in its figures alone."""

import pytest

from benchmarks import risk
from benchmarks._goals import Goals


def test_a_missed_goal_is_named_at_the_end_and_ends_the_run_with_one(capsys):
    goals = Goals()
    assert (goals.check("append", True), goals.exit_code) == ("reached", 0)
    assert goals.check("publish", False) == "MISSED"
    assert goals.check("a question", True) == "reached"
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
