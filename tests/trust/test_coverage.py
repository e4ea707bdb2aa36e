"""Every interval holds the truth as often as it says: the short form of `benchmarks coverage`.

Streams are seeded, so a test gives the same answer each time. It fails where so low a coverage
would come by chance in fewer than 1 of 2,000 runs at the nominal one.
"""

import re
from pathlib import Path

import numpy as np
import pytest

from benchmarks import coverage
from benchmarks.trust import epsilons, pools, scores, texts
from benchmarks.trust.trials import Trial, count
from memory_assets.attacks.evaluate import evaluate
from memory_assets.attacks.registry import select
from memory_assets.memorization.information import information
from memory_assets.memorization.profile import profile
from memory_assets.pool.masks import draw_masks
from memory_assets.workflows.privacy_loss import measure_epsilon

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("trust")]

REPEATS = {
    scores.shadow_models: 40,
    pools.label_channel: 40,
    pools.score_channel: 60,
    epsilons.audits: 40,
    epsilons.sharp: 100,
    texts.memorized_texts: 40,
}
BIASED = ("`ld_cmi` information, of the truth", "`ld_cmi` bound, of the truth")
"""Plug-in information is too high with few models; docs and report show its null beside it."""

DERIVED = {
    "risk_bound": "a rising function of two intervals that are simulated as bound and information",
    "share_undecided": "runs from 0 to the share itself: what more models may still place",
    "clopper_pearson_ceiling": "computed, not estimated",
    "epsilon_ceiling": "computed, not estimated",
    "gaussian_dp_ceiling": "computed, not estimated",
    "one_run_ceiling": "computed, not estimated",
    "split_ceiling": "computed, not estimated",
} | {
    f"{metric}_0.001": "simulated at 0.1 and 0.01; here it takes 1,000 non-members to be resolved"
    for metric in (
        "tpr_at_fpr",
        "tpr_at_shadow_threshold",
        "fpr_at_shadow_threshold",
        "ppv_at_shadow_threshold",
    )
}


@pytest.mark.parametrize("world", coverage.INTERVALS, ids=lambda w: w.__name__)
def test_intervals_cover(world, tally):
    counts = count(world, REPEATS.get(world, 150))
    short = [c.cells() for c in counts if c.figure not in BIASED and c.short(confidence=0.999)]
    assert not short
    tally("trust: intervals simulated", sum(c.tried for c in counts))


def test_an_interval_that_is_too_short_is_found_out():
    def narrow(rng):
        for scale, name in ((1.0, "right"), (0.75, "short")):
            sample = rng.normal(size=50)
            half = 1.96 * scale / 50**0.5
            yield Trial(name, "", sample.mean() - half, sample.mean() + half, 0.0)

    counts = {c.figure: c for c in count(narrow, 150)}
    assert counts["short"].short(0.999)
    assert not counts["right"].short(0.999)


def test_a_biased_figure_is_below_and_its_null_says_so():
    """Where nothing is memorized plug-in information never holds 0, and lies inside its null."""
    (found,) = [
        c for c in count(pools.label_channel, 20) if c.figure == BIASED[0] and "nothing" in c.world
    ]
    assert found.covered == 0
    assert found.too_high == found.tried == 20
    outside = 0
    for seed in range(20):
        pool = pools._label_pool(np.random.default_rng(seed), 16, 60, nothing=True)
        measured = information(pool.signals, seed).measurements
        rows = {(m.name, m.metric): m.estimate for m in measured}
        value, null = rows["ld_cmi", "information"].value, rows["ld_cmi", "information_null"]
        outside += not null.ci_low <= value <= null.ci_high
    assert outside <= 5  # one in twenty each; more than five by chance in 3 of 10,000 seeds


def _figures():
    return {c.figure for world in coverage.INTERVALS for c in count(world, 1)}


def _measured():
    """Every metric that the audit of a classifier measures with an interval."""
    rng = np.random.default_rng(0)
    pool = pools.draw_pool(rng, 16, 120).signals
    side = draw_masks(2, 120, 5)[:1]
    target = pools.Signals(
        *(
            pools.answers(
                a.correct[:1, ..., 0],
                a.score[:1, ..., 0] + rng.normal(size=a.score[:1, ..., 0].shape),
            )
            for a in (pool.pairs, pool.held_out)
        ),
        side,
    )
    found = evaluate(pool, target, select("standard", 16), prior=0.1)
    return [
        *found.measurements,
        *measure_epsilon(found, side[0]),
        *profile(pool).measurements,
        *information(pool, 0, shuffles=1).measurements,
    ]


def test_every_figure_of_an_audit_is_simulated_and_stands_in_the_docs():
    figures = _figures()
    words = {word for figure in figures for word in re.findall(r"[\w.]+", figure)}
    metrics = {m.metric for m in _measured() if not m.metric.endswith("_null")}
    assert len(metrics) > 20
    assert not metrics - words - DERIVED.keys()
    page = (Path(__file__).parents[2] / "docs" / "trust.md").read_text(encoding="utf-8")
    assert not {figure for figure in figures if f"| {figure} |" not in page}
