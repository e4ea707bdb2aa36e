"""Train a block of shadow models together, in the arithmetic of training them one by one."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from memory_assets.errors import InputError
from memory_assets.models.recipe import Recipe
from memory_assets.pool import draws
from memory_assets.pool.engines import Job, gather, make_models, out_of_memory, prepare
from memory_assets.pool.images import move
from memory_assets.pool.noise import Noise
from memory_assets.pool.optimizers import learning_rate, make_optimizer
from memory_assets.results.formulas import TRAINER

LANES = 16
"""Models in one stack on a CPU: enough to hide the overhead, few enough for its cache."""

_CACHE = 10 << 20
"""Bytes that the models of one written-out step may run through: a core's share of the cache."""

_SHARE = 0.8  # of a GPU's free memory
_TARGET = 2**32
_log = logging.getLogger(__name__)


def train_block(
    recipe: Recipe,
    x: NDArray[np.float32],
    y: NDArray[np.int64],
    train_index: NDArray[np.int64],
    model_indices: Sequence[int],
    device: str = "cpu",
) -> dict[str, NDArray]:
    """Train B models, each on its own rows, and return their parameters and buffers.

    Args:
        recipe: how every one of them is built and trained.
        x: records float32 `[N, *record]`. y: labels int64 `[N]`.
        train_index: rows of `x` that each model trains on, int64 `[B, m]`.
        model_indices: the B models' indices in the pool; with `recipe.seed` they alone decide a
            model's initial weights, batch order, augmentation, dropout and noise.
        device: "cpu", "cuda" or "cuda:i".

    Returns:
        The state dict with every tensor stacked to `[B, ...]`. On a CPU a model's bits do not
        depend on the other models of the block; on a CUDA device they are the same for the same
        block.

    Raises:
        InputError: the model cannot take these records or labels, or the device is not there.
    """
    indices = [int(i) for i in model_indices]
    if (
        train_index.ndim != 2
        or len(train_index) != len(indices)
        or len(set(indices)) < len(indices)
    ):
        raise ValueError(
            f"train_index {train_index.shape} for models {indices}: expected one row for each index"
        )
    with settled(device):
        job = prepare(recipe, x, y, device, train_index.shape[1])
        states: dict[int, dict[str, Tensor]] = {}
        for lanes in _slices(job, indices):
            states |= _train_in_memory(job, train_index, indices, lanes)
    return _stack([states[position] for position in range(len(indices))])


@TRAINER.computes
def train_target(
    recipe: Recipe,
    x: NDArray[np.float32],
    y: NDArray[np.int64],
    rows: NDArray[np.int64],
    draw: int = 0,
    device: str = "cpu",
) -> dict[str, NDArray]:
    """Train one model on these rows `[m]`, as an owner would, and return its state dict.

    `draw` sets its random draw apart from other targets'; none of them is that of a pool model.
    """
    with settled(device):
        job = prepare(recipe, x, y, device, len(rows))
        state = _train(job, rows[None], [_TARGET + draw], [0])[0]
    return {name: value[0] for name, value in _stack([state]).items()}


@contextlib.contextmanager
def settled(device: str) -> Iterator[None]:
    """One thread (two are slower on small matrices) and deterministic kernels, for this block."""
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise InputError(
            f"device: {device!r} is not there; this torch sees no CUDA device; use cpu"
        )
    threads = torch.get_num_threads()
    strict = torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(1)
    # On a CPU all kernels in use are deterministic, and the switch alone loads a second of torch.
    on_device = device != "cpu"
    if on_device:
        # cuBLAS reads this when it is first used, and is not deterministic without it.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        if on_device:
            torch.use_deterministic_algorithms(strict)


def _slices(job: Job, indices: list[int]) -> Iterator[list[int]]:
    """Cut the block into the positions that train together, one to a lane; -1 fills a lane.

    The written-out path gives the same bits in any company, but not alone. Under vmap on a CPU a
    model always takes the lane of its index in a stack of `LANES`, and free lanes are filled with
    copies.
    """
    positions = list(range(len(indices)))
    if job.layers is None and not job.stacks:
        yield from ([position] for position in positions)
    elif job.device == "cpu" and job.stacks:
        groups: dict[int, list[int]] = {}
        for position, index in enumerate(indices):
            groups.setdefault(index // LANES, [-1] * LANES)[index % LANES] = position
        yield from groups.values()
    else:
        lanes = max(1, min(len(positions), _room(job) // job.bytes_per_model))
        slices = -(-len(positions) // lanes)
        if job.device != "cpu":
            _log.info(
                "%s: about %.1f MiB a model, of %d models %d train at a time",
                job.device, job.bytes_per_model / 2**20, len(positions), lanes,
            )  # fmt: skip
        for part in np.array_split(positions, slices):
            # One matrix alone is multiplied by another kernel than several: it gets a copy beside.
            fill = [-1] if job.device == "cpu" and len(part) == 1 else []
            yield [*part.tolist(), *fill]


def _room(job: Job) -> int:
    """Bytes for the models that train together: cache on a CPU, most of what is free on a GPU."""
    if job.device == "cpu":
        return min(_CACHE, LANES * job.bytes_per_model)
    free = torch.cuda.mem_get_info(job.device)[0]
    _log.info("%s: %.1f GiB free", job.device, free / 2**30)
    return int(free * _SHARE)


def _train_in_memory(
    job: Job, train_index: NDArray[np.int64], indices: list[int], lanes: list[int]
) -> dict[int, dict[str, Tensor]]:
    """Train these models together; where the device's memory does not hold them, half and half."""
    try:
        return _train(job, train_index, indices, lanes)
    except torch.cuda.OutOfMemoryError as error:
        if len(lanes) == 1:
            raise out_of_memory(job) from error
    torch.cuda.empty_cache()
    half = len(lanes) // 2
    _log.warning(
        "%s: out of memory with %d models at a time; they train %d at a time",
        job.device, len(lanes), half,
    )  # fmt: skip
    states = _train_in_memory(job, train_index, indices, lanes[:half])
    return states | _train_in_memory(job, train_index, indices, lanes[half:])


def _train(
    job: Job, train_index: NDArray[np.int64], indices: list[int], lanes: list[int]
) -> dict[int, dict[str, Tensor]]:
    """The training loop that all paths share; returns the state dicts by position in the block."""
    # A batch larger than the data is the data, also in the mean of noisy gradients.
    recipe = replace(job.recipe, batch_size=min(job.recipe.batch_size, train_index.shape[1]))
    job = replace(job, recipe=recipe)
    places = [position if position >= 0 else max(lanes) for position in lanes]
    own, rows_of = [indices[p] for p in places], train_index[places]
    models = make_models(job, own)
    engine = models.engine
    optimizer = make_optimizer(recipe, engine.parameters)
    noise = Noise(recipe, own) if recipe.dp is not None else None
    labels = draws.told_labels(recipe, job.y, job.classes, rows_of, own)
    steps = recipe.epochs * draws.steps_per_epoch(recipe, rows_of.shape[1])
    with _own_generator(job, own[0]):
        for step, batch in enumerate(draws.batches(recipe, rows_of, labels, own, models.dropouts)):
            x = gather(job, torch.from_numpy(batch.rows))
            if batch.moves is not None:
                moves = torch.from_numpy(batch.moves).flatten(0, 1).to(job.device)
                x = move(x.flatten(0, 1), moves).view(x.shape)
            y, keys = (torch.from_numpy(a).to(job.device) for a in (batch.labels, batch.keys))
            taken = None
            if batch.taken is not None:
                taken = torch.from_numpy(batch.taken).to(job.device)
            engine.compute(x, y, keys, taken, optimizer.carry)
            if noise is not None:
                noise.add(models.layout.views(engine.gradient))
            optimizer.step(engine.parameters, engine.gradient, learning_rate(recipe, step, steps))
    return {place: models.state(lane) for lane, place in enumerate(lanes) if place >= 0}


@contextlib.contextmanager
def _own_generator(job: Job, index: int) -> Iterator[None]:
    """For a model on its own: what it draws from torch's generator is seeded by its index."""
    with torch.random.fork_rng(devices=[] if job.device == "cpu" else [job.device]):
        torch.manual_seed(draws.dropout_seed(job.recipe, index))
        yield


def _stack(states: list[dict[str, Tensor]]) -> dict[str, NDArray]:
    return {name: torch.stack([s[name] for s in states]).cpu().numpy() for name in states[0]}
