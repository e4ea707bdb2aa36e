"""SQL answers what the sample behind each figure would have shown."""

from __future__ import annotations

from pathlib import Path

import pytest
from history_bundles import bundle, measured, rate, written

from memory_assets.history.questions import ask
from memory_assets.history.store import History
from memory_assets.results.estimate import Estimate
from memory_assets.validity.sensitivity import with_least_seen


def test_each_figure_has_the_least_leak_beside_it(tmp_path: Path):
    rows = (
        measured("tpr_at_fpr_0.1", rate(0.2, n=500)),
        measured("tpr_at_fpr_0.0001", Estimate.unresolvable(500)),
        measured("auc", rate(0.6, n=1000)),
        measured("held_out_accuracy", rate(0.9), family="utility"),
    )
    rows = with_least_seen(rows, 16)
    made = bundle("digits", "v1", measurements=rows)
    History(tmp_path).append_all([written(tmp_path / "bundle", made)])
    asked = (
        "SELECT family, metric, value, least_few, least_spread FROM minimum_detectable "
        "WHERE subject = 'digits' AND model_version = 'v1' ORDER BY family, metric"
    )
    found = [tuple(row.values()) for row in ask(tmp_path, asked).to_pylist()]
    tpr = 0.2, rows[0].least_few, rows[0].least_spread
    assert found == [
        ("membership", "auc", 0.6, rows[2].least_few, rows[2].least_spread),
        ("membership", "tpr_at_fpr_0.1", *tpr),
    ]
    assert tpr[1] == pytest.approx(0.15, abs=0.03)


def test_what_a_sample_would_show_is_no_leak(tmp_path: Path):
    """A larger sample sees smaller leaks; nothing got better or worse by that."""
    made = []
    for day, (version, n) in enumerate((("v1", 500), ("v2", 5000))):
        rows = (measured("tpr_at_fpr_0.1", rate(0.2, n=n)),)
        one = bundle("digits", version, day=day, measurements=with_least_seen(rows, None))
        made.append(written(tmp_path / version, one))
    History(tmp_path).append_all(made)
    changed = ask(tmp_path, "SELECT change FROM changes").to_pylist()
    assert [row["change"] for row in changed] == ["not distinguishable"]
