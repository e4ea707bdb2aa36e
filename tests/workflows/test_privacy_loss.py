"""The bound over all attacks lies beside the most that it could have shown."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.trust import pools
from memory_assets.attacks.evaluate import Evaluation, evaluate
from memory_assets.attacks.registry import select
from memory_assets.pool.masks import draw_masks
from memory_assets.pool.signals import Signals
from memory_assets.results.findings import render
from memory_assets.statistics.epsilon import ceiling
from memory_assets.statistics.intervals import CONFIDENCE
from memory_assets.statistics.one_run import one_run_epsilon
from memory_assets.workflows.privacy_loss import DELTA, check_claimed, measure_epsilon

MODELS, PAIRS = 8, 200


def perfect() -> tuple[Evaluation, Signals]:
    """Models whose answers tell without an error which of two records they trained on."""
    side = draw_masks(MODELS + 2, PAIRS, 0)
    known = side[..., None] == np.arange(2)
    margin = np.where(known, 9.0, -9.0) + np.random.default_rng(0).normal(size=known.shape)
    nothing = np.zeros((MODELS + 2, 0), dtype=bool)
    pool, target = (
        Signals(
            pools.answers(margin[chosen] > 0, margin[chosen]),
            pools.answers(nothing[chosen]),
            side[chosen],
        )
        for chosen in (slice(0, MODELS), slice(MODELS, MODELS + 1))
    )
    return evaluate(pool, target, select("standard", MODELS), prior=0.5), target


def test_a_perfect_attack_comes_near_the_ceiling_of_all_attacks_and_near_no_single_one():
    found, target = perfect()
    rows = measure_epsilon(found, target.side[0])
    by = {m.metric: m.estimate for m in rows if m.name == "all attacks"}
    # Confidence is shared among three methods; in each among what it tries.
    tried = [sum(t is not None for t in r.thresholds.values()) for r in found.results]
    each = (1 - CONFIDENCE) / 3
    shares = [each / len(tried) / n for n in tried if n]
    tops = [ceiling(PAIRS, PAIRS, DELTA, 1 - share) for share in shares]
    tops.append(ceiling(PAIRS // 2, PAIRS // 2, DELTA, 1 - each))
    free = sum(not r.attack.sides for r in found.results)
    for attacks in (free, len(found.results) - free):
        for guesses in (0.1 * PAIRS, 0.3 * PAIRS):
            level = 1 - each / 2 / attacks / 2
            tops.append(one_run_epsilon(int(guesses), int(guesses), PAIRS, DELTA, level).ceiling)
    expected = max(tops)
    assert by["epsilon_ceiling"].value == pytest.approx(expected)
    # A threshold for a false positive in a hundred lets one or two through.
    assert expected - 0.05 < by["epsilon"].value <= expected
    alone = max(m.estimate.value for m in rows if m.metric == "clopper_pearson_ceiling")
    assert expected < alone - 0.2
    # A claim between the two was not put to a test: this sample could not refute it.
    between = check_claimed((expected + alone) / 2, rows)
    assert between is not None
    assert "was not put to a test" in render(between.found)
    assert check_claimed(expected - 0.1, rows).verdict == "falsified"
