"""Limits that once passed a leak because they were read as something else, or as nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from gated_project import TinyProject, make_project

from memory_assets.history.questions import ask

pytestmark = pytest.mark.slow


@pytest.fixture
def project(tmp_path: Path) -> Iterator[TinyProject]:
    with pytest.MonkeyPatch.context() as patch:
        yield make_project(tmp_path, patch)


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ("0.99, tpr_at_fpr_0.1: 5", '"5%"'),
        ("0.99, tpr_at_fpr_0.01: 100", "tpr_at_fpr_0.01"),
        ("1.5", "auc"),
        ("-0.1", "auc"),
        (".nan", "auc"),
        ("0.5", "guessing alone reaches 0.5"),
        ("0.99, tpr_at_fpr_0.1: 0.1", "guessing alone reaches 0.1"),
        ("0.99, tpr_at_fpr_0.1: 10%", "guessing alone reaches 0.1"),
        ("0.99, tpr_at_fpr_2: 0.5", "tpr_at_fpr_2"),
        ("0.99, held_out_acuracy: 0.2", "did you mean held_out_accuracy"),
    ],
)
@pytest.mark.parametrize("command", ["audit", "gate"])
def test_a_limit_that_could_not_judge_is_refused_when_it_is_read(
    project: TinyProject, command: str, limits: str, said: str
):
    project.declare(limit=limits)
    code, output = project.run(command, "tiny")
    assert code == 2, output
    assert said in output
    assert not (project.home / "history.duckdb").exists()


def test_a_limit_on_what_was_not_measured_is_measured_from_what_is_stored(project: TinyProject):
    project.audit()
    scores = project.home / "artifacts" / "signals"
    answers = {path: path.stat().st_mtime_ns for path in scores.rglob("*")}
    project.declare(limit='0.99, tpr_at_fpr_0.07: "30%"')
    assert project.gate()[0] == 5
    project.audit()
    sql = """
        select count(*) as n from figures join audits_in_force using (audit_id)
        where metric = 'tpr_at_fpr_0.07' and family = 'membership'
    """
    assert ask(project.home, sql)["n"].to_pylist()[0] > 0
    assert {path: path.stat().st_mtime_ns for path in scores.rglob("*")} == answers
    assert project.gate()[0] != 0
