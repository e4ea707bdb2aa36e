"""What trained models answer about records: logits, one model after the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from memory_assets.errors import InputError
from memory_assets.models.recipe import Recipe
from memory_assets.pool.images import QUERIES, move
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
    return np.concatenate([part for _, part in stream_logits(recipe, stacked, x, device, queries)], 1)


def stream_logits(
    recipe: Recipe,
    stacked: Mapping[str, NDArray],
    x: NDArray[np.float32],
    device: str = "cpu",
    queries: str = "identity",
) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """As `logits`, by blocks of records: yields the rows and their logits `[B, b, Q, C]`."""
    if queries not in QUERIES:
        raise InputError(f"queries: {queries!r}; expected one of {', '.join(QUERIES)}")
    models = len(next(iter(stacked.values())))
    moves = torch.tensor(QUERIES[queries], dtype=torch.int64)
    module = recipe.build_model().to(device).eval()
    with settled(device), torch.inference_mode():
        for start in range(0, max(len(x), 1), RECORD_BLOCK):
            rows = slice(start, min(start + RECORD_BLOCK, len(x)))
            # A copy, since a memory-mapped array cannot be written to and torch warns of that.
            records = torch.from_numpy(np.array(x[rows], dtype=np.float32)).to(device)
            answers = []
            for k in range(models):
                module.load_state_dict({n: torch.from_numpy(np.array(v[k])) for n, v in stacked.items()})
                answers.append(np.stack([_ask(module, records, m) for m in moves], axis=1))
            yield rows, np.stack(answers)


def _ask(module: torch.nn.Module, x: torch.Tensor, query: torch.Tensor) -> NDArray[np.float32]:
    if query.any():
        x = move(x, query.expand(len(x), 3).to(x.device))
    return module(x).float().cpu().numpy()
