"""Beside each figure stands the least leak that its sample would have shown."""

from __future__ import annotations

import pytest

from memory_assets.results.estimate import Estimate, Measurement
from memory_assets.statistics import power
from memory_assets.statistics.intervals import rate
from memory_assets.validity.sensitivity import with_least_seen


def row(metric: str, estimate: Estimate, family="membership", name="loss", stratum="all"):
    return Measurement(family, name, metric, "probability", estimate, 1, stratum)


def found(*rows: Measurement, models: int | None = 64) -> dict[tuple[str, str, str], float]:
    """By attack, population, and metric with the shape of a leak."""
    seen = with_least_seen(rows, models)
    return {
        (m.name, m.stratum, f"{m.metric}:{shape}"): least
        for m in seen
        for shape, least in (("few", m.least_few), ("spread", m.least_spread))
        if least is not None
    }


def test_rates_and_areas_have_what_their_own_sample_would_show():
    auc = row("auc", Estimate(0.5, 0.4, 0.6, n=700))
    seen = found(auc, row("tpr_at_fpr_0.01", rate(4, 400)), row("tpr_at_fpr_0.1", rate(40, 400)))
    for fpr in (0.01, 0.1):
        for shape, of in (("few", "few"), ("spread", "all")):
            least = power.detectable_tpr(400, 300, fpr, of, 64 if of == "all" else None)  # type: ignore[arg-type]
            assert seen["loss", "all", f"tpr_at_fpr_{fpr}:{shape}"] == least
    assert seen["loss", "all", "auc:few"] == power.detectable_auc(400, 300)
    assert seen["loss", "all", "auc:spread"] == power.detectable_auc(400, 300, 64)
    assert len(seen) == 6


def test_fewer_shadow_models_see_less_of_a_leak_of_all():
    tpr = row("tpr_at_fpr_0.1", rate(40, 400))
    key = "loss", "all", "tpr_at_fpr_0.1:spread"
    few, many = (found(tpr, models=k)[key] for k in (4, 64))
    assert few > many > 0.1


@pytest.mark.parametrize(
    "measured",
    [
        row("tpr_at_fpr_0.001", Estimate.unresolvable(100)),
        row("tpr_at_fpr_0.1", Estimate.not_run()),
        row("auc", Estimate(0.5, 0.4, 0.6, n=700), family="controls"),
        row("balanced_accuracy", rate(40, 100)),
        row("jaccard_of_exposed", rate(40, 100), name="loss & lira"),
    ],
)
def test_what_no_leak_would_show_has_none(measured: Measurement):
    assert found(measured) == {}


def test_recital_has_the_least_rate_of_which_one_hit_is_seen():
    rows = [
        row("extraction_rate", rate(0, n), "extraction", "discoverable", stratum)
        for n, stratum in ((160, "all"), (16, "repetitions=1"))
    ]
    seen = found(*rows, models=None)
    for n, stratum in ((160, "all"), (16, "repetitions=1")):
        for shape in ("few", "spread"):
            least = seen["discoverable", stratum, f"extraction_rate:{shape}"]
            assert least == pytest.approx(1 - 0.2 ** (1 / n))
