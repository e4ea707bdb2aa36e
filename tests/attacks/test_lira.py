"""LiRA against closed forms: known Gaussians, their AUC and TPR, and its traps."""

import numpy as np
import pytest
from scipy import stats

from memory_assets.attacks.registry import ATTACKS


def _roc(scores, inside):
    from memory_assets.statistics.roc import Roc

    return Roc.of(scores[inside], scores[~inside])


@pytest.fixture
def by_hand(make_signals):
    """One pair, 3 models on each side, and one target that trained on side 0."""
    margins = np.array(
        [
            [[4.0, 1.0]],
            [[5.0, 2.0]],
            [[9.0, 0.5]],
            [[1.0, 3.0]],
            [[0.0, 5.0]],
            [[-1.0, 4.0]],
        ]
    )
    pool = make_signals(margins, [[0], [0], [0], [1], [1], [1]])
    return pool, make_signals([[[3.0, 2.5]]], [[0]])


def test_online_by_hand(by_hand):
    pool, target = by_hand
    expected = []
    for inside, outside, phi in (
        ([4, 5, 9], [1, 0, -1], 3.0),
        ([3, 5, 4], [1, 2, 0.5], 2.5),
    ):
        logs = [stats.norm.logpdf(phi, np.mean(x), np.std(x, ddof=1)) for x in (inside, outside)]
        expected.append(logs[0] - logs[1])
    assert ATTACKS["lira_online"].score(pool, target)[0, 0] == pytest.approx(expected)


def test_fixed_variance_is_the_residual_of_its_own_side_pooled_over_records(by_hand):
    pool, target = by_hand
    var_in = (14.0 + 2.0) / 4  # squares about each record's IN mean, over 2 + 2 degrees of freedom
    var_out = (2.0 + 7 / 6) / 4
    for column, (m_in, m_out, phi) in enumerate(((6, 0, 3.0), (4, 3.5 / 3, 2.5))):
        expected = stats.norm.logpdf(phi, m_in, var_in**0.5)
        expected -= stats.norm.logpdf(phi, m_out, var_out**0.5)
        found = ATTACKS["lira_online_fixed"].score(pool, target)[0, 0, column]
        assert found == pytest.approx(expected)


def test_offline_by_hand(by_hand):
    pool, target = by_hand
    z = [(3.0 - 0) / 1.0, (2.5 - 3.5 / 3) / np.std([1, 2, 0.5], ddof=1)]
    assert ATTACKS["lira_offline"].score(pool, target)[0, 0] == pytest.approx(stats.norm.logcdf(z))


def test_trap_offline_reads_the_out_side_alone(by_hand):
    """Neither std nor mean may come from models that trained on the record."""
    pool, target = by_hand
    moved = pool.pairs.score.copy()
    moved[pool.is_in] = moved[pool.is_in] * 7 - 100
    other = type(pool)(
        type(pool.pairs)(
            moved, *(getattr(pool.pairs, f) for f in ("p_true", "loss", "label_pred", "correct"))
        ),
        pool.held_out,
        pool.side,
    )
    for name in ("lira_offline", "lira_offline_fixed"):
        same = ATTACKS[name].score(pool, target)
        assert np.array_equal(same, ATTACKS[name].score(other, target))


def test_trap_offline_is_one_sided(by_hand, make_signals):
    """Unusually low is no sign of membership, however unusual."""
    pool, _ = by_hand
    low = make_signals([[[-50.0, -50.0]]], [[0]])
    usual = make_signals([[[0.0, 1.0]]], [[0]])
    high = make_signals([[[50.0, 50.0]]], [[0]])
    for name in ("lira_offline", "lira_offline_fixed"):
        scores = [ATTACKS[name].score(pool, x)[0, 0] for x in (low, usual, high)]
        assert (scores[0] < scores[1]).all()
        assert (scores[1] < scores[2]).all()


def test_offline_keeps_its_resolution_where_a_cdf_is_one(by_hand, make_signals):
    pool, _ = by_hand
    scores = [
        ATTACKS["lira_offline"].score(pool, make_signals([[[x, x]]], [[0]]))[0, 0, 0]
        for x in (10.0, 11.0, 30.0)
    ]
    assert scores[0] < scores[1] < scores[2] < 0


def test_queries_are_averaged(by_hand, make_signals):
    pool, target = by_hand
    two = make_signals(np.concatenate([pool.pairs.score, 3 * pool.pairs.score], -1), pool.side)
    both = make_signals(np.concatenate([target.pairs.score, target.pairs.score], -1), target.side)
    wide = make_signals(3 * pool.pairs.score, pool.side)
    attack = ATTACKS["lira_online"]
    expected = (attack.score(pool, target) + attack.score(wide, target)) / 2
    np.testing.assert_allclose(attack.score(two, both), expected)


@pytest.mark.parametrize("name", ["lira_online", "lira_online_fixed", "bavaria"])
def test_gaussian_margins_give_the_known_auc_and_tpr(name, world):
    """Gain d and noise 1: the ratio is d (phi - mu) - d^2/2, so AUC = Phi(d / sqrt 2) and
    TPR at FPR a is Phi(d + PhiInv(a)). 256 models estimate the means to 1/16 of the spread."""
    gain = 1.5
    gaussian = world(pairs=3000, gain=gain)
    target = gaussian.models(1, draw=1)
    roc = _roc(ATTACKS[name].score(gaussian.models(256), target)[0], target.is_in[0])
    assert roc.auc().value == pytest.approx(stats.norm.cdf(gain / 2**0.5), abs=0.02)
    known = stats.norm.cdf(gain + stats.norm.ppf(0.1))
    assert roc.tpr_at_fpr(0.1).value == pytest.approx(known, abs=0.05)


@pytest.mark.parametrize("name", ["lira_online", "bavaria"])
def test_a_difference_in_spread_alone_is_seen(name, make_signals):
    """OUT ~ N(0, 3), IN ~ N(0, 1): the means say nothing; AUC is P[|N(0,1)| < |N(0,3)|]."""
    rng = np.random.default_rng(0)
    side = rng.permuted(np.repeat(np.arange(64)[:, None] % 2, 2000, axis=1), axis=0)
    inside = side[..., None] == np.arange(2)
    margins = rng.normal(size=(64, 2000, 2)) * np.where(inside, 1.0, 3.0)
    target_side = rng.integers(0, 2, (1, 2000))
    is_in = target_side[..., None] == np.arange(2)
    target = make_signals(rng.normal(size=(1, 2000, 2)) * np.where(is_in, 1.0, 3.0), target_side)
    roc = _roc(ATTACKS[name].score(make_signals(margins, side), target)[0], is_in[0])
    assert roc.auc().value == pytest.approx(2 / np.pi * np.arctan(3), abs=0.02)


@pytest.mark.parametrize("name", ATTACKS)
def test_models_that_never_vary_give_finite_scores(name, make_signals, recwarn):
    side = np.arange(8)[:, None] % 2 * np.ones((1, 60), int)
    pool = make_signals(np.full((8, 60, 2), 2.0), side)
    scores = ATTACKS[name].score(pool, pool, leave_one_out=True)
    assert np.isfinite(scores).all()
    assert not recwarn.list
