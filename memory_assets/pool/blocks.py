"""A pool is cut into blocks of models; each block is one step of work and one artifact."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from memory_assets.models.recipe import Recipe
from memory_assets.records.pairing import fingerprint
from memory_assets.results.formulas import TRAINER
from memory_assets.store.digest import digest

BLOCK_SIZE = 16
QUICK = 4

Known = Mapping[int, Mapping[str, NDArray]]
"""What is stored of some models already: index in the pool -> its row of every tensor."""


@dataclass(frozen=True)
class Block:
    """Models `start` to `stop` (exclusive) of a pool."""

    start: int
    stop: int

    @property
    def indices(self) -> range:
        return range(self.start, self.stop)

    def key(
        self,
        data_digest: str,
        pairing_key: str,
        masks: NDArray[np.uint8],
        recipe: Recipe,
        device: str = "cpu",
    ) -> str:
        """The artifact's name: everything that decides its bits, and not K nor other blocks.

        `masks` are the pool's `[K, n]`; of the device only its kind counts ("cuda:1" is "cuda").
        """
        rows = masks[self.start : self.stop]
        kind = device.partition(":")[0]
        return digest(
            data_digest, pairing_key, rows, recipe, [self.start, self.stop], TRAINER.number, kind
        )


def cut_blocks(models: int, size: int = BLOCK_SIZE) -> list[Block]:
    """Cut the models 0 to K-1 at 4 (a quick pool) and at the multiples of `size`.

    Where the cuts lie does not depend on K; only the last block ends with the pool. A pool of
    another size has the same blocks but for the last one, of which `kin` tells.
    """
    cuts = sorted({0, min(QUICK, models), *range(size, models, size), models})
    return [Block(start, stop) for start, stop in itertools.pairwise(cuts)]


def kin(block: Block) -> list[Block]:
    """The block itself, then those that begin with it in pools of other sizes, the widest first.

    They hold the same models, since no bit of a model depends on where its block ends.
    """
    end = QUICK if block.start < QUICK else (block.start // BLOCK_SIZE + 1) * BLOCK_SIZE
    others = (Block(block.start, stop) for stop in range(end, block.start, -2))
    return [block, *(other for other in others if other != block)]


def complete(
    block: Block, known: Known, train: Callable[[Block], Mapping[str, NDArray]]
) -> dict[str, NDArray]:
    """The stacked tensors of a block: the known models', and `train` makes the others, run by run.

    `train` gets a part of the block that has no known model, and returns its stacked tensors.
    """
    rows = {index: known[index] for index in block.indices if index in known}
    left = [index for index in block.indices if index not in rows]
    starts = [index for index in left if index - 1 not in left]
    stops = [index + 1 for index in left if index + 1 not in left]
    for part in map(Block, starts, stops):
        made = train(part)
        for row, index in enumerate(part.indices):
            rows[index] = {name: values[row] for name, values in made.items()}
    names = rows[block.start]
    return {name: np.stack([rows[index][name] for index in block.indices]) for name in names}


def train_rows(
    pairs: NDArray[np.int64], common: NDArray[np.int64], masks: NDArray[np.uint8]
) -> NDArray[np.int64]:
    """The rows int64 `[B, n + c]` that models with these sides `[B, n]` train on."""
    chosen = pairs[np.arange(len(pairs)), masks.astype(np.int64)]
    shared = np.broadcast_to(common, (len(masks), len(common)))
    return np.concatenate([chosen, shared], axis=1)


@TRAINER.computes
def build_block(
    block: Block,
    recipe: Recipe,
    x: NDArray[np.float32],
    y: NDArray[np.int64],
    pairs: NDArray[np.int64],
    common: NDArray[np.int64],
    masks: NDArray[np.uint8],
    device: str = "cpu",
) -> dict[str, NDArray]:
    """Train the models of one block: their state dicts, stacked.

    Args:
        x: records `[N, *record]`. y: labels `[N]`. pairs: rows `[n, 2]`. common: rows `[c]`.
        masks: the sides of the whole pool, uint8 `[K, n]`.
    """
    from memory_assets.pool.trainer import train_block

    common = common_rows(recipe, x, pairs, common)
    rows = train_rows(pairs, common, masks[block.start : block.stop])
    return train_block(recipe, x, y, rows, block.indices, device)


def common_rows(
    recipe: Recipe, x: NDArray[np.float32], pairs: NDArray[np.int64], common: NDArray[np.int64]
) -> NDArray[np.int64]:
    """The common rows that a recipe trains on; `x` `[N, *record]`, pairs `[n, 2]`, common `[c]`.

    All of them, but with `deduplicate`: then those that repeat neither an earlier one nor a record
    of a pair, byte for byte.
    """
    if not recipe.deduplicate:
        return common
    seen = {fingerprint(x[row]) for row in pairs.ravel()}
    kept = []
    for row in common:
        if (own := fingerprint(x[row])) not in seen:
            seen.add(own)
            kept.append(row)
    return np.array(kept, dtype=np.int64)


def save_block(stacked: Mapping[str, NDArray], path: Path) -> None:
    """Write the stacked tensors of one block as a safetensors file."""
    from safetensors.numpy import save_file

    save_file({name: np.ascontiguousarray(value) for name, value in stacked.items()}, path)


def load_block(path: Path) -> dict[str, NDArray]:
    """Read the stacked tensors `[B, ...]` of one block."""
    from safetensors.numpy import load_file

    return load_file(path)
