import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory_assets.errors import InputError
from memory_assets.pool.masks import draw_masks


@given(
    couples=st.integers(1, 20), more=st.integers(0, 20), n=st.integers(1, 50), seed=st.integers(0)
)
def test_balanced_and_nested(couples: int, more: int, n: int, seed: int) -> None:
    masks = draw_masks(2 * (couples + more), n, seed)
    assert masks.dtype == np.uint8
    assert (masks.sum(axis=0) == couples + more).all()
    np.testing.assert_array_equal(masks[: 2 * couples], draw_masks(2 * couples, n, seed))


def test_seeds_and_couples_differ() -> None:
    masks = draw_masks(64, 1000, 3)
    assert (masks != draw_masks(64, 1000, 4)).any()
    # Independent fair coins: the agreement of two couples is near one half.
    agreement = (masks[0] == masks[2::2]).mean(axis=1)
    assert np.abs(agreement - 0.5).max() < 0.1


@pytest.mark.parametrize(("models", "pairs"), [(3, 5), (0, 5), (4, 0)])
def test_refused(models: int, pairs: int) -> None:
    with pytest.raises(InputError, match=r"pool\."):
        draw_masks(models, pairs, 0)
