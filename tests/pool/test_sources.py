"""Pools that others trained: what failed is named, what is left is used."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest

from memory_assets.errors import InputError
from memory_assets.models.callables import FitCallable, FitCommand
from memory_assets.models.predictions import Predictions
from memory_assets.pool.blocks import Block, save_block, train_rows
from memory_assets.pool.masks import draw_masks
from memory_assets.pool.query import Questions
from memory_assets.pool.sources import (
    asked_rows,
    fit_block,
    prediction_signals,
    probability_signals,
    shadow_prediction_signals,
)

RNG = np.random.default_rng(3)
X = RNG.normal(size=(60, 12)).astype(np.float32)
Y = np.arange(60) % 3
IDS = np.array([f"r{i:02d}" for i in range(60)])
ASK = Questions(X, Y, np.arange(40).reshape(20, 2), np.arange(50, 60))
COMMON = np.arange(40, 50)
MASKS = draw_masks(4, 20, 0)


def build(source: FitCallable | FitCommand, folder: Path) -> dict[str, np.ndarray]:
    return fit_block(Block(0, 4), source, ASK, IDS, COMMON, MASKS, 3, 7, folder)


def test_callable_pool(tmp_path: Path) -> None:
    arrays = build(FitCallable("pool_factories:fit"), tmp_path)
    path = tmp_path / "block.safetensors"
    save_block(arrays, path)
    pool = probability_signals([(Block(0, 4), path)], ASK, MASKS)
    np.testing.assert_array_equal(pool.indices, range(4))
    np.testing.assert_array_equal(pool.signals.side, MASKS)
    from pool_factories import fit

    rows = train_rows(ASK.pairs, COMMON, MASKS)[2]
    p = fit(X[rows], Y[rows], 0)(X)
    np.testing.assert_allclose(
        pool.signals.pairs.p_true[2, :, :, 0], p[ASK.pairs, Y[ASK.pairs]], atol=1e-6
    )
    np.testing.assert_array_equal(
        pool.signals.held_out.label_pred[2, :, 0], p[ASK.held_out].argmax(1)
    )


def test_callable_that_raises_in_one_shadow_is_named_and_the_others_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from pool_factories import fit

    calls: list[int] = []

    def fragile(x, y, seed):
        calls.append(seed)
        if len(calls) == 3:
            raise RuntimeError("the record of Jane Doe broke it")
        return fit(x, y, seed)

    with caplog.at_level(logging.WARNING):
        arrays = build(FitCallable(fragile), tmp_path)
    assert "shadow model 2" in caplog.text
    assert "RuntimeError" in caplog.text
    assert "Jane" not in caplog.text
    assert len(set(calls)) == 4
    np.testing.assert_array_equal(arrays["answered"], [1, 1, 0, 1])
    path = tmp_path / "block.safetensors"
    save_block(arrays, path)
    pool = probability_signals([(Block(0, 4), path)], ASK, MASKS)
    np.testing.assert_array_equal(pool.indices, [0, 1, 3])
    np.testing.assert_array_equal(pool.signals.side, MASKS[[0, 1, 3]])


@pytest.mark.parametrize(
    ("predict", "message"),
    [
        (lambda z: np.ones((len(z), 2)) / 2, r"shape \[50, 2\]; expected \[50, 3\]"),
        (lambda z: np.ones((len(z), 3)), "row 1 sums to 3"),
        (lambda z: np.full((len(z), 3), np.nan), "not finite"),
    ],
)
def test_wrong_probabilities(predict, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        build(FitCallable(lambda *_: predict), tmp_path)


def test_predictions_of_a_target() -> None:
    rows = asked_rows(ASK)
    z = RNG.normal(size=(len(rows), 3))
    side = np.ones(20, np.uint8)
    signals = prediction_signals(Predictions(z, logits=True), ASK, side)
    assert signals.pairs.score.shape == (1, 20, 2, 1)
    np.testing.assert_array_equal(signals.held_out.label_pred[0, :, 0], z[40:].argmax(1))


def test_predictions_of_shadows_say_their_sides() -> None:
    z = RNG.normal(size=(50, 3))
    trained = np.zeros((2, 50), bool)
    trained[0, 0:40:2], trained[1, 1:40:2] = True, True
    shadows = {k: Predictions(z + k, True, trained[k]) for k in range(2)}
    pool = shadow_prediction_signals(shadows, ASK, IDS)
    np.testing.assert_array_equal(pool.signals.side, [[0] * 20, [1] * 20])

    both = trained[0].copy()
    both[7] = True
    with pytest.raises(InputError, match=r"shadow 0: trained on both or neither .* 'r06'"):
        shadow_prediction_signals({0: Predictions(z, True, both)}, ASK, IDS)
    leaked = trained[0].copy()
    leaked[42] = True
    with pytest.raises(InputError, match="'r52', which is held out"):
        shadow_prediction_signals({0: Predictions(z, True, leaked)}, ASK, IDS)
    with pytest.raises(InputError, match="what it trained on"):
        shadow_prediction_signals({0: Predictions(z, True)}, ASK, IDS)
