"""Quantile regression: cross-fitted on non-members, at the level it claims."""

import numpy as np
import pytest

from memory_assets.attacks import quantile
from memory_assets.attacks.registry import ATTACKS


def test_trap_no_record_is_scored_by_a_regression_that_saw_it_or_its_partner():
    """Changing a pair's margins moves no other expectation of its fold, and not its own."""
    rng = np.random.default_rng(0)
    x, margin = rng.normal(size=(80, 2, 2)), rng.normal(size=(80, 2))
    fold = np.arange(80) % 2
    non_member = np.tile([True, False], (80, 1))
    before = quantile._cross_fitted(x, margin, non_member, fold)
    changed = margin.copy()
    changed[6] += 1000
    after = quantile._cross_fitted(x, changed, non_member, fold)
    assert np.array_equal(before[fold == 0], after[fold == 0])
    assert not np.array_equal(before[fold == 1], after[fold == 1])


def test_trap_members_never_enter_the_fit():
    rng = np.random.default_rng(0)
    x, margin = rng.normal(size=(80, 2, 2)), rng.normal(size=(80, 2))
    non_member = np.tile([True, False], (80, 1))
    fold = np.arange(80) % 2
    members_moved = np.where(non_member, margin, margin + 1000)
    assert np.array_equal(
        quantile._cross_fitted(x, margin, non_member, fold),
        quantile._cross_fitted(x, members_moved, non_member, fold),
    )


def test_nine_in_ten_non_members_stay_below(world):
    large = world(pairs=4000)
    target = large.models(1, draw=1)
    scores = ATTACKS["quantile"].score(large.models(16), target)[0]
    assert np.mean(scores[~target.is_in[0]] > 0) == pytest.approx(0.1, abs=0.02)
    assert np.mean(scores[target.is_in[0]] > 0) > 0.25


def test_too_few_non_members_are_refused(world):
    tiny = world(pairs=30)
    with pytest.raises(ValueError, match="20 non-members"):
        ATTACKS["quantile"].score(tiny.models(8), tiny.models(1, draw=1))
