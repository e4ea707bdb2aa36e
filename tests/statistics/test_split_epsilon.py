"""Attack and threshold from one half of the pairs: what they show, and that it holds."""

from __future__ import annotations

import numpy as np
import pytest

from memory_assets.statistics.epsilon import ceiling
from memory_assets.statistics.split_epsilon import _halves, split_epsilon

PAIRS = 400


def side_and_scores(seed: int, distance: float) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    side = rng.integers(0, 2, PAIRS, dtype=np.uint8)
    scores = rng.normal(size=(PAIRS, 2))
    scores[np.arange(PAIRS), side] += distance
    return side, scores


def test_the_strong_attack_of_several_is_found_and_reported_on_the_other_half():
    side, scores = side_and_scores(0, 3)
    noise = {f"noise {i}": side_and_scores(i, 0)[1] for i in range(1, 6)}
    found = split_epsilon({**noise, "strong": scores}, side)
    assert found.estimate.n == PAIRS  # records of one half of the pairs
    assert found.ceiling == pytest.approx(ceiling(PAIRS // 2, PAIRS // 2))
    assert found == split_epsilon({"strong": scores}, side)
    assert 1.5 < (found.estimate.value or 0.0) < found.ceiling


def test_what_the_first_half_shows_alone_is_worth_nothing():
    side, scores = side_and_scores(1, 0)
    first, second = _halves(side)
    assert not set(first) & set(second)
    scores[first, side[first]] += 9
    assert split_epsilon({"lucky": scores}, side).estimate.value == 0.0


def test_a_perfect_attack_stands_at_the_ceiling():
    side, scores = side_and_scores(2, 99)
    assert split_epsilon({"perfect": scores}, side).estimate.status == "at_ceiling"


@pytest.mark.parametrize(("pairs", "attacks"), [(3, 1), (PAIRS, 0), (PAIRS - 1, 1)])
def test_what_cannot_be_split_is_refused(pairs: int, attacks: int):
    side, scores = side_and_scores(3, 0)
    with pytest.raises(ValueError, match="a split needs"):
        split_epsilon({"one": scores} if attacks else {}, side[:pairs])


@pytest.mark.slow
def test_it_holds_for_randomized_response_however_many_attacks_are_looked_at():
    epsilon, over = 1.0, 0
    rng = np.random.default_rng(7)
    for _ in range(100):
        side = rng.integers(0, 2, PAIRS, dtype=np.uint8)
        kept = rng.random(PAIRS) < 1 / (1 + np.exp(-epsilon))
        sign = np.where(kept, 2.0 * side - 1, 1 - 2.0 * side)
        scores = {
            str(i): np.stack([-sign, sign], axis=-1) + rng.uniform(-0.1, 0.1, (PAIRS, 2))
            for i in range(6)
        }
        over += (split_epsilon(scores, side).estimate.value or 0.0) > epsilon
    assert over <= 10  # 5% of 100 and two standard deviations
