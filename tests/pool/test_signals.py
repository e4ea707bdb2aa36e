from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax

from memory_assets.pool.signals import PROBABILITY_FLOOR, Answers

RNG = np.random.default_rng(0)


def test_margin_of_two_classes_is_the_difference_of_the_logits() -> None:
    z = np.array([[[[3.0, -1.0]], [[0.5, 2.5]]]])
    a = Answers.from_logits(z, np.array([0, 0]))
    np.testing.assert_allclose(a.score[0, :, 0], [4.0, -2.0])
    np.testing.assert_allclose(a.loss, np.log1p(np.exp(-a.score)))
    np.testing.assert_array_equal(a.correct[0, :, 0], [True, False])


def test_margin_keeps_the_tail_that_a_probability_loses() -> None:
    a = Answers.from_logits(np.array([[[[200.0, 0.0]], [[300.0, 0.0]]]]), np.array([0, 0]))
    assert a.p_true[0, 0, 0] == a.p_true[0, 1, 0] == 1.0
    np.testing.assert_allclose(a.score[0, :, 0], [200.0, 300.0])


def test_logits_that_are_not_finite_are_refused_by_position() -> None:
    z = np.zeros((2, 3, 1, 2))
    z[1, 2] = np.nan
    with pytest.raises(ValueError, match=r"record \(2,\)"):
        Answers.from_logits(z, np.zeros(3, np.int64))


def test_probabilities_give_the_answers_of_their_logits() -> None:
    z = RNG.normal(size=(4, 6, 2, 1, 5))
    y = RNG.integers(0, 5, (6, 2))
    a, b = Answers.from_logits(z, y), Answers.from_probabilities(softmax(z, axis=-1), y)
    for name in ("score", "p_true", "loss"):
        np.testing.assert_allclose(getattr(a, name), getattr(b, name), atol=1e-12)
    np.testing.assert_array_equal(a.label_pred, b.label_pred)


def test_rounded_probabilities_stay_finite() -> None:
    p = np.array([[[[1.0, 0.0]], [[0.0, 1.0]]]])
    a = Answers.from_probabilities(p, np.array([0, 0]))
    np.testing.assert_allclose(
        a.score[0, :, 0], [-np.log(PROBABILITY_FLOOR), np.log(PROBABILITY_FLOOR)]
    )
    assert np.isfinite(a.loss).all()
