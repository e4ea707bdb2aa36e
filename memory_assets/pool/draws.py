"""All randomness of one model: a pure function of the recipe's seed and the model's index.

Nothing here knows in which block a model is trained, so that the block cannot change its draw.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import scipy
from numpy.typing import NDArray

from memory_assets.models.recipe import Recipe

if TYPE_CHECKING:
    from torch import nn

_WEIGHTS, _ORDER, _LABELS, _AUGMENT, _DROPOUT, _NOISE = range(6)
_TORCH_GENERATOR = threading.Lock()
_POISSON_TAIL = 1e-12


def _stream(recipe: Recipe, index: int, purpose: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence([recipe.seed, index, purpose]))


def _seed(recipe: Recipe, index: int, purpose: int) -> int:
    return int(_stream(recipe, index, purpose).integers(0, 2**63))


def initial_model(recipe: Recipe, index: int) -> nn.Module:
    """The untrained model of this index, in training mode, on the CPU."""
    import torch

    with _TORCH_GENERATOR, torch.random.fork_rng(devices=[]):
        # Not torch.manual_seed: that one seeds every kind of device, a millisecond a model.
        torch.default_generator.manual_seed(_seed(recipe, index, _WEIGHTS))
        return recipe.build_model().train()


def noise_seed(recipe: Recipe, index: int) -> int:
    """Seed of the Gaussian noise of differentially private training."""
    return _seed(recipe, index, _NOISE)


def dropout_seed(recipe: Recipe, index: int) -> int:
    """Seed for modules that draw from torch's own generator while they train."""
    return _seed(recipe, index, _DROPOUT)


class Batch(NamedTuple):
    """One mini-batch for each of B models.

    `rows` int64 `[B, b]`, rows of the data set, and `labels` int64 `[B, b]`, what the models are
    told of them; `taken` bool `[B, b]` or None, which of them count (Poisson sampling draws batches
    of different sizes); `keys` int32 `[B, dropouts, 2]` seed the dropout masks; `moves` int64
    `[B, b, 3]` or None: down, right and flip of each image.
    """

    rows: NDArray[np.int64]
    labels: NDArray[np.int64]
    taken: NDArray[np.bool_] | None
    keys: NDArray[np.int32]
    moves: NDArray[np.int64] | None


def steps_per_epoch(recipe: Recipe, records: int) -> int:
    """Mini-batches in one pass over the training records."""
    return -(-records // recipe.batch_size)


def batches(
    recipe: Recipe,
    train_index: NDArray[np.int64],
    labels: NDArray[np.int64],
    indices: list[int],
    dropouts: int = 0,
) -> Iterator[Batch]:
    """The mini-batches of the whole training run.

    The models with these indices train on the rows `train_index` `[B, m]`, with `labels` `[B, m]`.
    """
    order = [_stream(recipe, index, _ORDER) for index in indices]
    dropout = [_stream(recipe, index, _DROPOUT) for index in indices]
    augment = [_stream(recipe, index, _AUGMENT) for index in indices]
    epoch = _shuffled if recipe.dp is None else _poisson
    keys = np.empty((len(indices), dropouts, 2), dtype=np.int32)
    for _ in range(recipe.epochs):
        for rows, told, taken in epoch(recipe, train_index, labels, order):
            moves = None
            if recipe.shift or recipe.flip:
                moves = np.stack([_moves(recipe, s, (rows.shape[1], 3)) for s in augment])
            if dropouts:
                keys = _all_keys(dropout, dropouts)
            yield Batch(rows, told, taken, keys, moves)


_Part = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_] | None]


def _shuffled(
    recipe: Recipe,
    train_index: NDArray[np.int64],
    labels: NDArray[np.int64],
    streams: list[np.random.Generator],
) -> Iterator[_Part]:
    """One pass over all records in a new order; the last mini-batch may be smaller."""
    records = train_index.shape[1]
    order = np.stack([stream.permutation(records) for stream in streams])
    rows = np.take_along_axis(train_index, order, axis=1)
    told = np.take_along_axis(labels, order, axis=1)
    for start in range(0, records, recipe.batch_size):
        part = slice(start, start + recipe.batch_size)
        yield rows[:, part], told[:, part], None


def _poisson(
    recipe: Recipe,
    train_index: NDArray[np.int64],
    labels: NDArray[np.int64],
    streams: list[np.random.Generator],
) -> Iterator[_Part]:
    """Each record joins each batch independently; batches are padded to one fixed width.

    A batch above that width (one in 10^12) is cut: stacked models need one shape.
    """
    records = train_index.shape[1]
    rate = sampling_rate(recipe, records)
    width = min(records, int(scipy.stats.binom.isf(_POISSON_TAIL, records, rate)) + 1)
    for _ in range(steps_per_epoch(recipe, records)):
        order = np.zeros((len(streams), width), dtype=np.int64)
        taken = np.zeros((len(streams), width), dtype=np.bool_)
        for k, stream in enumerate(streams):
            drawn = np.flatnonzero(stream.random(records) < rate)[:width]
            order[k, : len(drawn)] = drawn
            taken[k, : len(drawn)] = True
        rows = np.take_along_axis(train_index, order, axis=1)
        yield rows, np.take_along_axis(labels, order, axis=1), taken


def sampling_rate(recipe: Recipe, records: int) -> float:
    """Probability that a record is in a batch of differentially private training."""
    return min(1.0, recipe.batch_size / records)


def _all_keys(streams: list[np.random.Generator], dropouts: int) -> NDArray[np.int32]:
    info, shape = np.iinfo(np.int32), (dropouts, 2)
    return np.stack(
        [s.integers(info.min, info.max, shape, np.int32, endpoint=True) for s in streams]
    )


def _moves(
    recipe: Recipe, stream: np.random.Generator, shape: tuple[int, ...]
) -> NDArray[np.int64]:
    moves = stream.integers(-recipe.shift, recipe.shift, size=shape, endpoint=True)
    moves[..., 2] = stream.integers(0, 1, size=shape[:-1], endpoint=True) if recipe.flip else 0
    return moves


def told_labels(
    recipe: Recipe,
    y: NDArray[np.int64],
    classes: int,
    train_index: NDArray[np.int64],
    indices: list[int],
) -> NDArray[np.int64]:
    """The labels `[B, m]` that models train on: the true ones, or a share of them replaced.

    A replaced label is one of the other classes, drawn for each model and record of the data set.
    """
    labels = y[train_index]
    if recipe.label_noise and classes > 1:
        for row, rows, index in zip(labels, train_index, indices, strict=True):
            stream = _stream(recipe, index, _LABELS)
            replaced = stream.random(len(y)) < recipe.label_noise
            other = (y + stream.integers(1, classes, size=len(y))) % classes
            row[:] = np.where(replaced, other, y)[rows]
    return labels
