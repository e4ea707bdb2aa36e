"""Blocks and signals: what is stored does not depend on how the work was cut or ordered."""

from __future__ import annotations

import multiprocessing
import tracemalloc
from concurrent.futures import ProcessPoolExecutor
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file

from memory_assets.errors import InputError
from memory_assets.models.recipe import Recipe
from memory_assets.pool.blocks import (
    Block,
    build_block,
    common_rows,
    cut_blocks,
    load_block,
    save_block,
    train_rows,
)
from memory_assets.pool.forward import logits
from memory_assets.pool.masks import draw_masks
from memory_assets.pool.query import Questions, pool_signals, target_signals
from memory_assets.pool.signal_files import load_signals, save_signals
from memory_assets.pool.signals import Answers, Signals
from memory_assets.pool.trainer import train_target

RNG = np.random.default_rng(1)
X = RNG.normal(size=(90, 12)).astype(np.float32)
Y = RNG.integers(0, 3, 90)
ORDER = RNG.permutation(90)
PAIRS, COMMON, HELD = ORDER[:60].reshape(30, 2), ORDER[60:75], ORDER[75:]
MASKS = draw_masks(20, 30, 2)
RECIPE = Recipe("pool_factories:dense", epochs=3, batch_size=16)
ASK = Questions(X, Y, PAIRS, HELD)


def build(blocks: list[Block], folder: Path) -> list[tuple[Block, Path]]:
    files = []
    for block in blocks:
        path = folder / f"{block.start}-{block.stop}.safetensors"
        save_block(build_block(block, RECIPE, X, Y, PAIRS, COMMON, MASKS), path)
        files.append((block, path))
    return files


def assert_equal(a: Signals, b: Signals) -> None:
    np.testing.assert_array_equal(a.side, b.side)
    for part in ("pairs", "held_out"):
        for f in fields(Answers):
            left, right = getattr(getattr(a, part), f.name), getattr(getattr(b, part), f.name)
            assert left.dtype == right.dtype
            np.testing.assert_array_equal(left, right)


@given(small=st.integers(1, 150), more=st.integers(0, 150))
def test_grown_pool_keeps_the_whole_blocks(small: int, more: int) -> None:
    before, after = cut_blocks(2 * small), cut_blocks(2 * (small + more))
    assert [i for block in after for i in block.indices] == list(range(2 * (small + more)))
    kept = [block for block in before if block in after]
    assert len(kept) >= len(before) - 1
    if 2 * small in (4, 16, 64, 256):
        assert kept == before


def test_signals_do_not_depend_on_cuts_or_order(tmp_path: Path) -> None:
    cut = build(cut_blocks(20), tmp_path)
    signals = pool_signals(RECIPE, cut, ASK, MASKS)
    (tmp_path / "other").mkdir()
    other = build([Block(13, 20), Block(0, 13)], tmp_path / "other")
    assert_equal(signals, pool_signals(RECIPE, other, ASK, MASKS))
    assert signals.pairs.score.shape == (20, 30, 2, 1)
    assert signals.held_out.loss.shape == (20, 15, 1)


def _train(block: Block) -> dict[str, np.ndarray]:
    return build_block(block, RECIPE, X, Y, PAIRS, COMMON, MASKS)


@pytest.mark.slow
def test_processes_change_no_bit() -> None:
    """Each block in a fresh process of its own, in another order."""
    blocks = cut_blocks(20)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=context, max_tasks_per_child=1) as pool:
        apart = list(pool.map(_train, reversed(blocks)))
    for block, found in zip(reversed(blocks), apart, strict=True):
        here = _train(block)
        for name, value in here.items():
            np.testing.assert_array_equal(found[name], value)


def test_streamed_signals_are_those_in_memory(tmp_path: Path) -> None:
    files = build([Block(0, 20)], tmp_path)
    path = tmp_path / "signals.safetensors"
    written = pool_signals(RECIPE, files, ASK, MASKS, path)
    assert_equal(written, pool_signals(RECIPE, files, ASK, MASKS))
    assert_equal(written, load_signals(path))
    # Any reader of safetensors reads it too.
    np.testing.assert_array_equal(load_file(path)["pairs.score"], written.pairs.score)
    save_signals(written, tmp_path / "copy.safetensors")
    assert path.read_bytes() == (tmp_path / "copy.safetensors").read_bytes()


def test_signals_are_the_answers_of_the_models(tmp_path: Path) -> None:
    files = build([Block(0, 4)], tmp_path)
    signals = pool_signals(RECIPE, files, ASK, MASKS[:4])
    stacked = load_block(files[0][1])
    model = RECIPE.build_model()
    model.load_state_dict({name: torch.from_numpy(v[2]) for name, v in stacked.items()})
    with torch.no_grad():
        z = model.eval()(torch.from_numpy(X[PAIRS[:, 1]])).double().numpy()
    true = np.take_along_axis(z, Y[PAIRS[:, 1], None], 1)[:, 0]
    rest = np.log(np.exp(z).sum(1) - np.exp(true))
    np.testing.assert_allclose(signals.pairs.score[2, :, 1, 0], true - rest, atol=1e-5)
    np.testing.assert_array_equal(signals.pairs.label_pred[2, :, 1, 0], z.argmax(1))
    assert signals.pairs.loss[signals.is_in].mean() < signals.pairs.loss[~signals.is_in].mean()


def test_target_is_one_more_row() -> None:
    state = train_target(RECIPE, X, Y, np.concatenate([PAIRS[:, 0], COMMON]))
    side = np.zeros(30, dtype=np.uint8)
    signals = target_signals(RECIPE, state, ASK, side)
    assert signals.pairs.score.shape == (1, 30, 2, 1)
    z = logits(RECIPE, {n: v[None] for n, v in state.items()}, X[HELD])
    np.testing.assert_array_equal(signals.held_out.score, Answers.from_logits(z, Y[HELD]).score)


def test_image_queries_move_and_mirror() -> None:
    args = {"model": "pool_factories:convolution", "epochs": 1}
    recipe = replace(RECIPE, **args)
    images = RNG.normal(size=(5, 1, 4, 4)).astype(np.float32)
    state = {n: v[None] for n, v in train_target(recipe, images, Y[:5], np.arange(5)).items()}
    answers = logits(recipe, state, images, queries="shift-flip")
    assert answers.shape == (1, 5, 10, 3)
    down = np.zeros_like(images)
    down[:, :, 1:] = images[:, :, :-1]
    left = np.zeros_like(images)
    left[..., :-1] = images[..., 1:]
    for query, moved in ((0, images), (1, down), (4, left), (5, images[..., ::-1].copy())):
        np.testing.assert_array_equal(answers[:, :, query], logits(recipe, state, moved)[:, :, 0])
    with pytest.raises(InputError, match="one of identity"):
        logits(recipe, state, images, queries="rotate")


def test_block_key_names_what_decides_its_bits() -> None:
    block = Block(4, 16)
    key = block.key("data", "pairs", MASKS, RECIPE)
    assert key == block.key("data", "pairs", draw_masks(64, 30, 2), RECIPE)  # K does not
    others = MASKS.copy()
    others[5] = 1 - others[5]
    assert key not in {
        Block(4, 14).key("data", "pairs", MASKS, RECIPE),
        block.key("other", "pairs", MASKS, RECIPE),
        block.key("data", "other", MASKS, RECIPE),
        block.key("data", "pairs", others, RECIPE),
        block.key("data", "pairs", MASKS, replace(RECIPE, lr=0.2)),
        block.key("data", "pairs", MASKS, RECIPE, "cuda"),
    }
    cuda = [block.key("data", "pairs", MASKS, RECIPE, d) for d in ("cuda:0", "cuda:1")]
    assert cuda[0] == cuda[1]


def test_train_rows_are_one_side_and_the_common_records() -> None:
    rows = train_rows(PAIRS, COMMON, MASKS[:3])
    assert rows.shape == (3, 45)
    np.testing.assert_array_equal(rows[1, :30], np.where(MASKS[1] == 1, PAIRS[:, 1], PAIRS[:, 0]))
    np.testing.assert_array_equal(rows[1, 30:], COMMON)


def test_deduplicated_recipe_trains_on_the_first_of_equal_records() -> None:
    x = X.copy()
    x[COMMON[3]] = x[COMMON[1]]
    x[COMMON[5]] = x[PAIRS[0, 1]]
    recipe = RECIPE.with_options("deduplicate")
    kept = common_rows(recipe, x, PAIRS, COMMON)
    np.testing.assert_array_equal(kept, np.delete(COMMON, [3, 5]))
    np.testing.assert_array_equal(common_rows(RECIPE, x, PAIRS, COMMON), COMMON)
    block = build_block(Block(0, 2), recipe, x, Y, PAIRS, COMMON, MASKS)
    expected = build_block(Block(0, 2), recipe, x, Y, PAIRS, kept, MASKS)
    np.testing.assert_array_equal(block["1.weight"], expected["1.weight"])


def test_diverged_shadow_is_named(tmp_path: Path) -> None:
    ((_, path),) = build([Block(4, 8)], tmp_path)
    broken = load_block(path)
    broken["1.bias"][2] = np.nan
    save_block(broken, path)
    with pytest.raises(InputError, match=r"shadow model 6: .* not finite"):
        pool_signals(RECIPE, [(Block(4, 8), path)], ASK, MASKS)


def test_damaged_signals_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "s.safetensors"
    save_block({"pairs.score": np.zeros((1, 1, 2, 1))}, path)
    with pytest.raises(InputError, match="no array"):
        load_signals(path)
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(InputError, match="not a whole file"):
        load_signals(path)


@pytest.mark.slow
def test_signals_stream_in_bounded_memory(tmp_path: Path) -> None:
    """Memory does not grow with the number of models: they are written as they come."""
    n = 20_000
    x = RNG.normal(size=(n, 12)).astype(np.float32)
    ask = Questions(x, RNG.integers(0, 3, n), np.arange(n).reshape(-1, 2), HELD[:0])
    state = {k: v[None] for k, v in train_target(RECIPE, x, ask.y, np.arange(100)).items()}
    peaks = []
    for models in (2, 16):
        path = tmp_path / "block.safetensors"
        save_block({k: np.repeat(v, models, 0) for k, v in state.items()}, path)
        masks = draw_masks(models, n // 2, 0)
        tracemalloc.start()
        pool_signals(RECIPE, [(Block(0, models), path)], ask, masks, tmp_path / "out")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] * 1.2
