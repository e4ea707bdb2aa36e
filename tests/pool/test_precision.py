"""The last digit of probabilities, and a pool and a target that were rounded differently."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from memory_assets.pool.precision import aligned, floor_of, last_digit
from memory_assets.pool.signals import PROBABILITY_FLOOR, Answers, Signals

RNG = np.random.default_rng(0)
P = expit(4 * RNG.normal(size=(400, 1)))
BOTH = np.concatenate([1 - P, P], axis=1)


@pytest.mark.parametrize("digits", [1, 2, 3, 4, 5, 6])
@pytest.mark.parametrize("kind", [np.float64, np.float32])
def test_the_last_digit_is_measured(digits: int, kind: type) -> None:
    rounded = np.round(BOTH, digits).astype(kind).astype(np.float64)
    assert last_digit(rounded) == pytest.approx(10.0**-digits)
    assert floor_of(rounded) == pytest.approx(10.0**-digits / 2)


@pytest.mark.parametrize("parts", [1, 3, 64, 100, 500])
def test_votes_of_an_ensemble_have_its_fractions(parts: int) -> None:
    votes = RNG.binomial(parts, BOTH[:, 1])[:, None] / parts
    assert last_digit(np.concatenate([1 - votes, votes], axis=1)) == pytest.approx(1 / parts)


def test_what_was_not_rounded_keeps_its_floor() -> None:
    for kind in (np.float64, np.float32):
        assert last_digit(BOTH.astype(kind).astype(np.float64)) == 0
        assert floor_of(BOTH.astype(kind).astype(np.float64)) == PROBABILITY_FLOOR


def test_fractions_of_many_denominators_have_half_the_smallest_as_their_floor() -> None:
    leaves = RNG.integers(1001, 3000, 300)
    p = np.minimum(RNG.integers(0, 40, 300) / leaves, 1)
    p[0] = 0
    assert floor_of(np.stack([p, 1 - p], axis=1)) == pytest.approx(p[p > 0].min() / 2)


def signals(p: np.ndarray, floor: float) -> Signals:
    answers = Answers.from_probabilities(p[None, :, None], np.ones(len(p), int), floor)
    pairs = Answers(**{n: v.reshape(1, -1, 2, 1) for n, v in vars(answers).items()})
    return Signals(pairs, answers, np.zeros((1, len(p) // 2), np.uint8), np.array([floor]))


def test_a_target_of_two_digits_is_held_against_a_pool_of_as_many() -> None:
    exact, rounded = signals(BOTH, 0.0), signals(np.round(BOTH, 2), 0.005)
    pool, target = aligned(exact, rounded)
    limit = np.log(200)
    assert np.abs(exact.pairs.score).max() > limit + 1
    assert np.abs(pool.pairs.score).max() == pytest.approx(limit)
    np.testing.assert_array_equal(target.pairs.score, rounded.pairs.score)
    np.testing.assert_allclose(pool.pairs.score, target.pairs.score, atol=0.75)
    np.testing.assert_allclose(pool.held_out.loss, np.logaddexp(0, -pool.held_out.score))
    np.testing.assert_allclose(pool.pairs.p_true, expit(pool.pairs.score), atol=1e-12)
    untouched = aligned(exact, exact)
    assert untouched == (exact, exact)


def test_labels_alone_keep_right_and_wrong_apart() -> None:
    hard = (BOTH > 0.5).astype(float)
    answers = Answers.from_probabilities(hard[None, :, None], np.ones(400, int), floor_of(hard))
    assert set(np.round(answers.score.ravel(), 6)) == {-0.693147, 0.693147}
