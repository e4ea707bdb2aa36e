"""Pools that others trained: what failed is named, what is left is used."""

from __future__ import annotations

import logging
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from memory_assets.errors import InputError
from memory_assets.models.callables import FitCallable, FitCommand
from memory_assets.models.predictions import Predictions
from memory_assets.models.shadow_tables import open_shadow_table
from memory_assets.pool.blocks import Block, save_block, train_rows
from memory_assets.pool.masks import draw_masks
from memory_assets.pool.query import Questions
from memory_assets.pool.signal_files import load_signals
from memory_assets.pool.sources import (
    answered_models,
    asked_rows,
    fit_block,
    prediction_signals,
    probability_signals,
    shadow_prediction_signals,
)
from memory_assets.records import tables

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
    blocks = [(Block(0, 4), path)]
    np.testing.assert_array_equal(answered_models(blocks), range(4))
    signals = probability_signals(blocks, ASK, MASKS, np.arange(4), tmp_path / "signals")
    np.testing.assert_array_equal(signals.side, MASKS)
    np.testing.assert_array_equal(load_signals(tmp_path / "signals").pairs.loss, signals.pairs.loss)
    from pool_factories import fit

    rows = train_rows(ASK.pairs, COMMON, MASKS)[2]
    p = fit(X[rows], Y[rows], 0)(X)
    np.testing.assert_allclose(
        signals.pairs.p_true[2, :, :, 0], p[ASK.pairs, Y[ASK.pairs]], atol=1e-6
    )
    np.testing.assert_array_equal(signals.held_out.label_pred[2, :, 0], p[ASK.held_out].argmax(1))


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
    blocks = [(Block(0, 4), path)]
    np.testing.assert_array_equal(answered_models(blocks), [0, 1, 3])
    signals = probability_signals(blocks, ASK, MASKS, np.array([1, 3]))
    np.testing.assert_array_equal(signals.side, MASKS[[1, 3]])
    p = arrays["probabilities"][3, :40].reshape(20, 2, 3)
    np.testing.assert_array_equal(signals.pairs.label_pred[1, :, :, 0], p.argmax(-1))


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


@dataclass(frozen=True)
class Shadows:
    """In the place of a table: outputs made when they are asked for."""

    made: Callable[[int], Predictions]
    models: tuple[int, ...]

    def read(self, model: int) -> Predictions:
        return self.made(model)


def test_predictions_of_shadows_say_their_sides() -> None:
    z = RNG.normal(size=(50, 3))
    trained = np.zeros((2, 50), bool)
    trained[0, 0:40:2], trained[1, 1:40:2] = True, True
    shadows = Shadows(lambda k: Predictions(z + k, True, trained[k]), (0, 1))
    signals = shadow_prediction_signals(shadows, ASK, IDS)
    np.testing.assert_array_equal(signals.side, [[0] * 20, [1] * 20])

    both, leaked = trained[0].copy(), trained[0].copy()
    both[7] = leaked[42] = True
    for told, message in (
        (both, r"shadow 0: trained on both or neither .* 'r06'"),
        (leaked, "'r52', which is held out"),
        (None, "what it trained on"),
    ):
        wrong = Shadows(lambda _, told=told: Predictions(z, True, told), (0,))
        with pytest.raises(InputError, match=message):
            shadow_prediction_signals(wrong, ASK, IDS)


def peak_of(work: Callable[[], object]) -> int:
    tracemalloc.start()
    work()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_memory_does_not_grow_with_the_number_of_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Signals lie in their file, which is mapped and not counted."""
    monkeypatch.setattr(tables, "_ROWS", 2000)
    records, classes = 2000, 5
    ids = np.array([f"r{i:04d}" for i in range(records)])
    x, y = np.zeros((records, 1), np.float32), np.arange(records) % classes
    ask = Questions(x, y, np.arange(records).reshape(-1, 2), np.arange(0))
    masks = draw_masks(32, records // 2, 0)
    rng = np.random.default_rng(0)
    fitted, given = [], []
    for count in (4, 32):
        blocks = []
        for start in range(0, count, 4):
            p = rng.dirichlet(np.ones(classes), (4, records))
            file = tmp_path / f"{count}-{start}"
            save_block({"answered": np.ones(4, np.uint8), "probabilities": p}, file)
            blocks.append((Block(start, start + 4), file))
        at, out = np.arange(count), tmp_path / f"signals-{count}"
        fitted.append(peak_of(partial(probability_signals, blocks, ask, masks[:count], at, out)))
        table = {
            "model": np.tile(at, records),  # in the worst order
            "record_id": np.repeat(ids, count),
            "trained": np.stack([masks[:count] == side for side in (0, 1)], -1)
            .reshape(count, -1).T.ravel().astype(int),
        }  # fmt: skip
        flat = rng.dirichlet(np.ones(classes), records * count)
        table |= {f"prob_{c}": flat[:, c] for c in range(classes)}
        pq.write_table(pa.table(table), tmp_path / "shadows.parquet")

        def read(out: Path = out) -> None:
            asked = asked_rows(ask)
            with open_shadow_table(
                tmp_path / "shadows.parquet", ids, asked, classes, tmp_path
            ) as shadows:
                shadow_prediction_signals(shadows, ask, ids, out)

        given.append(peak_of(read))
        np.testing.assert_array_equal(load_signals(out).side, masks[:count])
    assert fitted[1] < 1.2 * fitted[0]
    assert given[1] < 1.5 * given[0]
