"""Train a block of shadow models together, in the arithmetic of training them one by one."""

from __future__ import annotations

import contextlib
import copy
import logging
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from memory_assets.errors import InputError
from memory_assets.models.recipe import Recipe
from memory_assets.pool import draws
from memory_assets.pool.dropout import replace_dropout
from memory_assets.pool.fused import Dense, FusedMlp, bytes_per_model, dense_layers
from memory_assets.pool.images import move
from memory_assets.pool.layout import Layout
from memory_assets.pool.noise import Noise
from memory_assets.pool.optimizers import learning_rate, make_optimizer
from memory_assets.pool.single import Single
from memory_assets.pool.stacked import Stacked, stack_rest

LANES = 16
"""Models in one stack on a CPU: enough to hide the overhead, few enough for its cache."""

_CACHE = 10 << 20
"""Bytes that the models of one written-out step may run through: a core's share of the cache."""

_TARGET = 2**32
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Job:
    """What all slices of a block share; `x` lies on the device where it fits."""

    recipe: Recipe
    x: Tensor
    y: NDArray[np.int64]
    classes: int
    device: str
    layers: list[Dense] | None
    stacks: bool


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
        job = _prepare(recipe, x, y, device)
        states: dict[int, dict[str, Tensor]] = {}
        for lanes in _slices(job, indices):
            states |= _train_in_memory(job, train_index, indices, lanes)
    return _stack([states[position] for position in range(len(indices))])


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
        job = _prepare(recipe, x, y, device)
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
    deterministic = torch.backends.cudnn.deterministic
    torch.set_num_threads(1)
    torch.backends.cudnn.deterministic = True
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.backends.cudnn.deterministic = deterministic


def _prepare(recipe: Recipe, x: NDArray[np.float32], y: NDArray[np.int64], device: str) -> _Job:
    with warnings.catch_warnings():
        # A memory-mapped array is read only; nothing here writes to it.
        warnings.simplefilter("ignore", UserWarning)
        records = torch.from_numpy(x)
    if device != "cpu" and records.nbytes < torch.cuda.mem_get_info(device)[0] // 2:
        records = records.to(device)
    model = draws.initial_model(recipe, 0)
    classes = _probe(recipe, model, records[:2].to(device), device)
    if len(y) and not 0 <= int(y.min()) <= int(y.max()) < classes:
        raise InputError(
            f"recipe.model: {recipe.model} gives {classes} logits, but labels run from "
            f"{int(y.min())} to {int(y.max())}; set its number of classes in model_args"
        )
    layers = dense_layers(model) if recipe.precision == "float32" else None
    job = _Job(recipe, records, y, classes, device, layers, stacks=False)
    if layers is not None:
        return job
    return replace(job, stacks=_can_stack(job, model))


def _probe(recipe: Recipe, model: nn.Module, x: Tensor, device: str) -> int:
    """The number of logits that the model gives for these records."""
    try:
        with torch.no_grad():
            logits = model.to(device).eval()(x)
    except Exception as error:  # the owner's module may raise anything
        raise InputError(
            f"recipe.model: {recipe.model} cannot take records of shape {list(x.shape[1:])} "
            f"({type(error).__name__}: {error})"
        ) from error
    if not isinstance(logits, Tensor) or logits.ndim != 2 or len(logits) != len(x):
        raise InputError(
            f"recipe.model: {recipe.model} does not map [batch, *record] to [batch, classes] logits"
        )
    return logits.shape[1]


def _can_stack(job: _Job, model: nn.Module) -> bool:
    """Whether this module trains under vmap, and whether that pays; if it cannot, say why."""
    private = job.recipe.dp is not None
    if private and any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in model.modules()):
        raise InputError(
            f"recipe.dp: {job.recipe.model} has batch normalization, which mixes records; "
            "differentially private training needs GroupNorm or LayerNorm in its place"
        )
    convolves = any(isinstance(m, nn.modules.conv._ConvNd) for m in model.modules())
    if convolves and job.device == "cpu" and not private:
        return False  # grouped convolution gains nothing there
    try:
        trial = _models(replace(job, stacks=True), [0, 1])
        rows = torch.zeros(2, 2, dtype=torch.int64)
        keys = torch.zeros(2, trial.dropouts, 2, dtype=torch.int32, device=job.device)
        labels = torch.zeros(2, 2, dtype=torch.int64, device=job.device)
        trial.engine.compute(_gather(job, rows), labels, keys, None, 0.0)
    except (RuntimeError, NotImplementedError, TypeError, ValueError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        if private:
            raise InputError(
                f"recipe.dp: {job.recipe.model} gives no per-record gradients ({reason})"
            ) from error
        _log.warning("%s trains one model at a time, not stacked: %s", job.recipe.model, reason)
        return False
    return True


def _slices(job: _Job, indices: list[int]) -> Iterator[list[int]]:
    """Cut the block into the positions that train together, one to a lane; -1 fills a lane.

    The written-out path gives the same bits for any company. Under vmap on a CPU a model always
    takes the lane of its index in a stack of `LANES`, and free lanes are filled with copies.
    """
    positions = list(range(len(indices)))
    if job.layers is None and not job.stacks:
        yield from ([position] for position in positions)
    elif job.device != "cpu":
        yield positions
    elif job.layers is not None:
        layout = Layout.of(job.recipe.build_model())
        used = bytes_per_model(job.layers, layout, job.recipe.batch_size)
        slices = -(-len(positions) // max(1, min(LANES, _CACHE // used)))
        yield from (part.tolist() for part in np.array_split(positions, slices))
    else:
        groups: dict[int, list[int]] = {}
        for position, index in enumerate(indices):
            groups.setdefault(index // LANES, [-1] * LANES)[index % LANES] = position
        yield from groups.values()


def _train_in_memory(
    job: _Job, train_index: NDArray[np.int64], indices: list[int], lanes: list[int]
) -> dict[int, dict[str, Tensor]]:
    """Train these models together; where the device's memory does not hold them, half and half."""
    try:
        return _train(job, train_index, indices, lanes)
    except torch.cuda.OutOfMemoryError as error:
        if len(lanes) == 1:
            raise InputError(
                f"device {job.device}: its free memory does not hold one model of this recipe; "
                "take a smaller batch_size or precision bfloat16"
            ) from error
    torch.cuda.empty_cache()
    half = len(lanes) // 2
    _log.warning("%s: %d models do not fit into memory, %d do", job.device, len(lanes), half)
    states = _train_in_memory(job, train_index, indices, lanes[:half])
    return states | _train_in_memory(job, train_index, indices, lanes[half:])


@dataclass
class _Models:
    """The models of one slice: as modules (their state), and as an engine (their arithmetic)."""

    modules: list[nn.Module]
    layout: Layout
    engine: FusedMlp | Stacked | Single
    dropouts: int

    def state(self, lane: int) -> dict[str, Tensor]:
        """The state dict of one model as trained so far."""
        module = self.modules[lane]
        trained = {
            name: view[lane] for name, view in self.layout.views(self.engine.parameters).items()
        }
        trained |= {name: value[lane] for name, value in self.engine.buffers.items()}
        with torch.no_grad():
            for name, value in [*module.named_parameters(), *module.named_buffers()]:
                if name in trained:
                    value.copy_(trained[name])
        return {name: value.detach().clone() for name, value in module.state_dict().items()}


def _models(job: _Job, own: list[int]) -> _Models:
    """Untrained models with these indices in the pool, in the form that trains fastest."""
    modules = [draws.initial_model(job.recipe, index) for index in own]
    layout = Layout.of(modules[0])
    parameters = layout.stack(modules, job.device)
    if job.layers is not None:
        engine = FusedMlp(job.recipe, job.layers, layout, parameters)
        return _Models(modules, layout, engine, sum(d.dropout > 0 for d in job.layers))
    keys: list[str] = []
    for module in modules:
        keys = replace_dropout(module.to(job.device))
    if not job.stacks:
        return _Models(
            modules, layout, Single(job.recipe, modules[0], layout, parameters), len(keys)
        )
    buffers = stack_rest(modules, layout, keys, job.device)
    template = copy.deepcopy(modules[0])
    engine = Stacked(job.recipe, template, layout, parameters, buffers)
    return _Models(modules, layout, engine, len(keys))


def _train(
    job: _Job, train_index: NDArray[np.int64], indices: list[int], lanes: list[int]
) -> dict[int, dict[str, Tensor]]:
    """The training loop that all paths share; returns the state dicts by position in the block."""
    # A batch larger than the data is the data, also in the mean of noisy gradients.
    recipe = replace(job.recipe, batch_size=min(job.recipe.batch_size, train_index.shape[1]))
    job = replace(job, recipe=recipe)
    places = [position if position >= 0 else max(lanes) for position in lanes]
    own, rows_of = [indices[p] for p in places], train_index[places]
    models = _models(job, own)
    engine = models.engine
    optimizer = make_optimizer(recipe, engine.parameters)
    noise = Noise(recipe, own) if recipe.dp is not None else None
    labels = draws.told_labels(recipe, job.y, job.classes, rows_of, own)
    steps = recipe.epochs * draws.steps_per_epoch(recipe, rows_of.shape[1])
    with _own_generator(job, own[0]):
        for step, batch in enumerate(draws.batches(recipe, rows_of, labels, own, models.dropouts)):
            x = _gather(job, torch.from_numpy(batch.rows))
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
def _own_generator(job: _Job, index: int) -> Iterator[None]:
    """For a model on its own: what it draws from torch's generator is seeded by its index."""
    with torch.random.fork_rng(devices=[] if job.device == "cpu" else [job.device]):
        torch.manual_seed(draws.dropout_seed(job.recipe, index))
        yield


def _gather(job: _Job, rows: Tensor) -> Tensor:
    """The records `[B, b, *record]` of these rows, on the device."""
    found = torch.index_select(job.x, 0, rows.flatten().to(job.x.device))
    return found.view(*rows.shape, *job.x.shape[1:]).to(job.device)


def _stack(states: list[dict[str, Tensor]]) -> dict[str, NDArray]:
    return {name: torch.stack([s[name] for s in states]).cpu().numpy() for name in states[0]}
