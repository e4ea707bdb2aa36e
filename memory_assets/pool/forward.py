"""What trained models answer about records: logits, model by model and block by block."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from memory_assets.errors import InputError
from memory_assets.models.recipe import Recipe
from memory_assets.pool.images import move
from memory_assets.pool.queries import QUERIES
from memory_assets.pool.trainer import settled

RECORD_BLOCK = 4096
"""Records in one forward pass; fixed, since the last bits of a product can depend on its shape."""


def logits(
    recipe: Recipe,
    stacked: Mapping[str, NDArray],
    x: NDArray[np.float32],
    device: str = "cpu",
    queries: str = "identity",
) -> NDArray[np.float32]:
    """Logits float32 `[B, N, Q, C]` of B stacked state dicts about records `[N, *record]`.

    Models answer in evaluation mode and in float32. `queries` names one of `QUERIES`: Q variants
    of each record, of which the first is the record itself.

    Raises:
        InputError: an unknown query set, or an image query of records that are no images.
    """
    models = len(next(iter(stacked.values())))
    parts: list[list[NDArray[np.float32]]] = [[] for _ in range(models)]
    for model, _, answers in stream_logits(recipe, stacked, x, np.arange(len(x)), device, queries):
        parts[model].append(answers)
    return np.stack([np.concatenate(of_model) for of_model in parts])


def stream_logits(
    recipe: Recipe,
    stacked: Mapping[str, NDArray],
    x: NDArray[np.float32],
    rows: NDArray[np.int64],
    device: str = "cpu",
    queries: str = "identity",
) -> Iterator[tuple[int, slice, NDArray[np.float32]]]:
    """As `logits`, about these rows of `x` (which may lie on disk), a block of them at a time.

    Yields a model's position, a slice of `rows`, and the logits `[b, Q, C]` of those records.
    """
    if queries not in QUERIES:
        raise InputError(f"queries: {queries!r}; expected one of {', '.join(QUERIES)}")
    moves = torch.tensor(QUERIES[queries], dtype=torch.int64)
    module = recipe.build_model().to(device).eval()
    for model in range(len(next(iter(stacked.values())))):
        state = {name: torch.from_numpy(np.array(value[model])) for name, value in stacked.items()}
        module.load_state_dict(state)
        for start in range(0, len(rows), RECORD_BLOCK):
            part = slice(start, min(start + RECORD_BLOCK, len(rows)))
            # Inside the loop, so that a consumer never runs with this block's settings.
            with settled(device), torch.inference_mode():
                records = torch.from_numpy(x[rows[part]]).to(device)
                answers = [_ask(module, records, query) for query in moves]
            yield model, part, np.stack(answers, axis=1)


def _ask(module: torch.nn.Module, x: torch.Tensor, query: torch.Tensor) -> NDArray[np.float32]:
    if query.any():
        x = move(x, query.expand(len(x), 3).to(x.device))
    return module(x).float().cpu().numpy()
