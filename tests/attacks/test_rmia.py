"""RMIA by hand, with ties, against the direct N x Z form, and its traps."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from memory_assets.attacks.registry import ATTACKS
from memory_assets.attacks.rmia import GAMMA, OFFLINE_A, share_beaten

RATIOS = arrays(
    np.float64, st.integers(1, 30), elements=st.sampled_from([0.0, 0.125, 0.25, 0.5, 1, 2, 3, 4])
)


def test_ties_do_not_count():
    # z doubled is 1, 1, 2, 4: the ratio 2 beats the two ones and ties with one.
    assert share_beaten(np.array([1.0, 2.0, 2.1, 9.0]), np.array([0.5, 0.5, 1.0, 2.0])) == (
        pytest.approx([0.0, 0.5, 0.75, 1.0])
    )


@given(x=RATIOS, z=RATIOS, gamma=st.sampled_from([1.0, 1.5, 2.0]))
def test_equals_the_direct_form_exactly(x, z, gamma):
    direct = (x[:, None] > gamma * z).sum(axis=1)
    assert np.array_equal(np.rint(share_beaten(x, z, gamma) * z.size), direct)


def _pool(make_signals, probabilities, side):
    p = np.asarray(probabilities, dtype=float)
    return make_signals(np.log(p / (1 - p)), side)


def test_by_hand(make_signals):
    """Two pairs, four models; target trained on (0, 0) and (1, 1), so z is (0, 1) and (1, 0)."""
    pool = _pool(
        make_signals,
        [
            [[0.8, 0.2], [0.5, 0.4]],
            [[0.6, 0.4], [0.4, 0.2]],
            [[0.2, 0.4], [0.1, 0.6]],
            [[0.4, 0.6], [0.3, 0.8]],
        ],
        [[0, 1], [0, 1], [1, 0], [1, 0]],
    )
    p = np.array([[0.9, 0.3], [0.05, 0.4]])
    target = _pool(make_signals, p[None], [[0, 1]])
    # Pair 1: models 0 and 1 trained on side 1, so side 0 is OUT for them.
    mean_in = np.array([[0.7, 0.5], [0.2, 0.3]])
    mean_out = np.array([[0.3, 0.3], [0.45, 0.7]])
    for name, reference in (
        ("rmia_online", (mean_in + mean_out) / 2),
        ("rmia_offline", ((1 + OFFLINE_A) * mean_out + 1 - OFFLINE_A) / 2),
    ):
        ratio = p / reference
        z = np.array([ratio[0, 1], ratio[1, 0]])
        expected = (ratio[..., None] > GAMMA * z).mean(axis=-1)
        assert 0 < expected.mean() < 1
        assert np.array_equal(ATTACKS[name].score(pool, target)[0], expected)


def test_trap_offline_reference_holds_no_model_that_trained_on_the_record(make_signals):
    rng = np.random.default_rng(0)
    p = rng.uniform(0.1, 0.9, (8, 30, 2))
    side = np.arange(8)[:, None] % 2 * np.ones((1, 30), int)
    inside = side[..., None] == np.arange(2)
    target = _pool(make_signals, rng.uniform(0.1, 0.9, (1, 30, 2)), side[:1])
    first = ATTACKS["rmia_offline"].score(_pool(make_signals, p, side), target)
    changed = np.where(inside, rng.uniform(0.1, 0.9, p.shape), p)
    assert np.array_equal(
        first, ATTACKS["rmia_offline"].score(_pool(make_signals, changed, side), target)
    )


@pytest.mark.parametrize("name", ["rmia_online", "base"])
def test_trap_counts_of_a_balanced_pool_do_not_betray_the_left_out_model(name, make_signals):
    """All models alike but for IN 0.9 and OUT 0.3: the ratio is then p / 0.6 for every target.

    A mean over the other models would be lower for a member (one IN model fewer) than for a
    non-member, and members would stand out by arithmetic alone.
    """
    side = np.arange(6)[:, None] % 2 * np.ones((1, 20), int)
    inside = side[..., None] == np.arange(2)
    pool = _pool(make_signals, np.where(inside, 0.9, 0.3), side)
    scores = ATTACKS[name].score(pool, pool, leave_one_out=True)
    if name == "base":
        assert scores == pytest.approx(np.log(np.where(inside, 0.9, 0.3) / 0.6))
    else:
        assert np.array_equal(scores, inside.astype(float))  # 0.9 / 0.3 = 3 beats gamma = 2


def test_trap_a_is_fixed():
    """`a` tuned on the target's membership would be leakage of its own: it is not a parameter."""
    assert OFFLINE_A == 0.3


def test_base_ranks_as_rmia_online_up_to_its_ties(world):
    small = world(pairs=300)
    pool, target = small.models(16), small.models(1, draw=1)
    fine = ATTACKS["base"].score(pool, target).ravel()
    coarse = ATTACKS["rmia_online"].score(pool, target).ravel()
    assert (np.diff(coarse[np.argsort(fine)]) >= 0).all()


def test_certain_and_impossible_answers_stay_finite(make_signals):
    """Margins of +-800 nats: probabilities round to 1 and to 0."""
    side = np.arange(6)[:, None] % 2 * np.ones((1, 2), int)
    pool = make_signals(np.full((6, 2, 2), -800.0), side)
    target = make_signals([[[800.0, -800.0], [0.0, 3.0]]], [[0, 0]])
    for name in ("rmia_online", "rmia_offline", "base"):
        assert np.isfinite(ATTACKS[name].score(pool, target)).all()


@pytest.mark.parametrize(("gamma", "z"), [(0.5, [1.0]), (2.0, [])])
def test_a_comparison_that_means_nothing_is_refused(gamma, z):
    with pytest.raises(ValueError, match=r"gamma|non-member"):
        share_beaten(np.array([1.0]), np.array(z), gamma)
