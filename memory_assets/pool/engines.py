"""In which form models train: written out, stacked under vmap, or one at a time."""

from __future__ import annotations

import copy
import logging
import warnings
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from memory_assets.errors import InputError
from memory_assets.models.recipe import Recipe
from memory_assets.pool import draws
from memory_assets.pool.convolutions import Convolution, FusedCnn, convolution_layers
from memory_assets.pool.dropout import replace_dropout
from memory_assets.pool.fused import Dense, FusedMlp, bytes_per_model, dense_layers
from memory_assets.pool.layout import Layout
from memory_assets.pool.single import Single
from memory_assets.pool.stacked import Stacked, stack_rest

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """What all slices of a block share.

    `x` lies on the device where it fits. `layers` is set for models that are written out, `stacks`
    for those that train under vmap; `bytes_per_model` is what one of them takes while it trains.
    """

    recipe: Recipe
    x: Tensor
    y: NDArray[np.int64]
    classes: int
    device: str
    layers: list[Dense] | None
    stacks: bool = False
    bytes_per_model: int = 0


@dataclass
class Models:
    """The models of one slice: as modules (their state), and as an engine (their arithmetic)."""

    modules: list[nn.Module]
    layout: Layout
    engine: FusedMlp | FusedCnn | Stacked | Single
    dropouts: int

    def state(self, lane: int) -> dict[str, Tensor]:
        """The state dict of one model as trained so far."""
        module = self.modules[lane]
        trained = {name: value[lane] for name, value in self.engine.values().items()}
        with torch.no_grad():
            for name, value in [*module.named_parameters(), *module.named_buffers()]:
                if name in trained:
                    value.copy_(trained[name])
        return {name: value.detach().clone() for name, value in module.state_dict().items()}


def make_models(job: Job, own: list[int]) -> Models:
    """Untrained models with these indices in the pool, in the form that trains fastest."""
    modules = [draws.initial_model(job.recipe, index) for index in own]
    layout = Layout.of(modules[0])
    parameters = layout.stack(modules, job.device)
    if job.layers is not None:
        engine = FusedMlp(job.recipe, job.layers, layout, parameters)
        return Models(modules, layout, engine, sum(d.dropout > 0 for d in job.layers))
    if written := _written_out_convolutions(job, modules[0]):
        engine = FusedCnn(job.recipe, *written, layout, parameters, job.x.shape[1:])
        return Models(modules, layout, engine, sum(d.dropout > 0 for d in written[1]))
    keys: list[str] = []
    for module in modules:
        keys = replace_dropout(module.to(job.device))
    if not job.stacks:
        return Models(
            modules, layout, Single(job.recipe, modules[0], layout, parameters), len(keys)
        )
    buffers = stack_rest(modules, layout, keys, job.device)
    template = copy.deepcopy(modules[0])
    engine = Stacked(job.recipe, template, layout, parameters, buffers)
    return Models(modules, layout, engine, len(keys))


def _written_out_convolutions(
    job: Job, model: nn.Module
) -> tuple[list[Convolution], list[Dense]] | None:
    plain = job.device == "cpu" and job.recipe.precision == "float32" and job.x.ndim == 4
    return convolution_layers(model) if plain and not job.stacks else None


def gather(job: Job, rows: Tensor) -> Tensor:
    """The records `[B, b, *record]` of these rows, on the device."""
    found = torch.index_select(job.x, 0, rows.flatten().to(job.x.device))
    return found.view(*rows.shape, *job.x.shape[1:]).to(job.device)


def prepare(
    recipe: Recipe, x: NDArray[np.float32], y: NDArray[np.int64], device: str, training: int
) -> Job:
    """Decide the form in which models of this recipe train, after one trial step.

    `training` counts the records that each of them trains on.

    Raises:
        InputError: the model cannot take these records or labels, or cannot train as asked.
    """
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
    _check_last_batch(recipe, records[:1].to(device), device, training)
    layers = dense_layers(model) if recipe.precision == "float32" else None
    job = Job(recipe, records, y, classes, device, layers)
    if layers is not None:
        used = bytes_per_model(layers, Layout.of(model), recipe.batch_size)
        return replace(job, bytes_per_model=used)
    return _stackable(job, model)


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


def _check_last_batch(recipe: Recipe, x: Tensor, device: str, training: int) -> None:
    """Refuse a last mini-batch of one record where the model cannot train on one.

    Batch normalization cannot: a loop over a torch `DataLoader` stops there, too. Dropping the
    batch would be another recipe than the owner's, whose loop must have done something about it.
    """
    size = min(recipe.batch_size, training)
    if recipe.dp is not None or (training % size or size) != 1:
        return
    model = draws.initial_model(recipe, 0).to(device)
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[] if device == "cpu" else [device]):
            model(x)
    except Exception as error:  # the owner's module may raise anything
        others = (n for n in range(max(2, size), 2 * training) if training % n != 1)
        raise InputError(
            f"recipe.batch_size: {recipe.batch_size} leaves a last batch of one of {training} "
            f"records, on which {recipe.model} cannot train ({_reason(error)}); expected a size "
            f"that leaves none or more, such as {next(others, 2)}"
        ) from error


def _reason(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _stackable(job: Job, model: nn.Module) -> Job:
    """Mark the job where its module trains under vmap and that pays; where it cannot, say why."""
    private = job.recipe.dp is not None
    if private and any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in model.modules()):
        raise InputError(
            f"recipe.dp: {job.recipe.model} has batch normalization, which mixes records; "
            "differentially private training needs GroupNorm or LayerNorm in its place"
        )
    convolves = any(isinstance(m, nn.modules.conv._ConvNd) for m in model.modules())
    if convolves and job.device == "cpu" and not private:
        return job  # grouped convolution gains nothing there
    try:
        return replace(job, stacks=True, bytes_per_model=_trial(replace(job, stacks=True)))
    except torch.cuda.OutOfMemoryError as error:
        raise out_of_memory(job) from error
    except Exception as error:  # the owner's module may raise anything under a transformation
        reason = _reason(error)
        if private:
            raise InputError(
                f"recipe.dp: {job.recipe.model} gives no per-record gradients ({reason})"
            ) from error
        _log.warning("%s trains one model at a time, not stacked: %s", job.recipe.model, reason)
        return job


def _trial(job: Job) -> int:
    """One stacked step of one model; the bytes it took on a CUDA device, 0 on a CPU."""
    measured = job.device != "cpu"
    batch = job.recipe.batch_size if measured else 2
    before = 0
    if measured:
        torch.cuda.reset_peak_memory_stats(job.device)
        before = torch.cuda.memory_allocated(job.device)
    trial = make_models(job, [0])
    rows = torch.zeros(1, batch, dtype=torch.int64)
    keys = torch.zeros(1, trial.dropouts, 2, dtype=torch.int32, device=job.device)
    trial.engine.compute(gather(job, rows), rows.to(job.device), keys, None, 0.0)
    return torch.cuda.max_memory_allocated(job.device) - before if measured else 0


def out_of_memory(job: Job) -> InputError:
    """What to tell someone whose device does not hold a single model."""
    return InputError(
        f"device {job.device}: its free memory does not hold one model of this recipe; "
        "take a smaller batch_size or precision bfloat16"
    )
