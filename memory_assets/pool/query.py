"""Ask models about the audited records and keep the answers as signals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from memory_assets.errors import InputError
from memory_assets.models.recipe import Recipe
from memory_assets.pool.blocks import Block, load_block
from memory_assets.pool.queries import QUERIES
from memory_assets.pool.signal_files import as_signals, new_arrays, signal_arrays
from memory_assets.pool.signals import Answers, Signals
from memory_assets.results.formulas import SIGNALS


@dataclass(frozen=True)
class Questions:
    """What every model of an audit is asked.

    `x` float32 `[N, *record]` (may be memory-mapped), `y` int64 `[N]`, `pairs` rows `[n, 2]`,
    `held_out` rows `[h]`; `queries` names the variants of a record (see `queries.QUERIES`).
    """

    x: NDArray[np.float32]
    y: NDArray[np.int64]
    pairs: NDArray[np.int64]
    held_out: NDArray[np.int64]
    queries: str = "identity"

    def arrays(self, models: int) -> dict[str, tuple]:
        """The arrays that the answers of so many models fill."""
        if self.queries not in QUERIES:
            raise InputError(f"queries: {self.queries!r}; expected one of {', '.join(QUERIES)}")
        count = len(QUERIES[self.queries])
        return signal_arrays(models, len(self.pairs), len(self.held_out), count)


@SIGNALS.computes
def pool_signals(
    recipe: Recipe,
    blocks: Iterable[tuple[Block, Path]],
    questions: Questions,
    masks: NDArray[np.uint8],
    path: Path | None = None,
    device: str = "cpu",
) -> Signals:
    """The answers of a whole pool, read from its block artifacts one at a time.

    Args:
        blocks: every block of the pool with the file that `save_block` wrote.
        masks: sides uint8 `[K, n]`.
        path: where to write the signals as they come (a file that `load_signals` opens); without
            it they are kept in memory.

    Raises:
        InputError: a shadow model answers with a value that is not finite (its index is named).
    """
    arrays = new_arrays(questions.arrays(len(masks)), path)
    arrays["side"][...] = masks
    for block, file in blocks:
        _fill(arrays, recipe, load_block(file), questions, block.start, device)
    return as_signals(arrays)


@SIGNALS.computes
def target_signals(
    recipe: Recipe,
    state: Mapping[str, NDArray],
    questions: Questions,
    side: NDArray[np.uint8],
    device: str = "cpu",
) -> Signals:
    """The answers of one model, given as a state dict: signals with K = 1.

    `side` uint8 `[n]` is the side of each pair that it trained on.
    """
    arrays = new_arrays(questions.arrays(1))
    arrays["side"][...] = side
    stacked = {name: np.asarray(value)[None] for name, value in state.items()}
    _fill(arrays, recipe, stacked, questions, None, device)
    return as_signals(arrays)


def _fill(
    arrays: Mapping[str, NDArray],
    recipe: Recipe,
    stacked: Mapping[str, NDArray],
    questions: Questions,
    first: int | None,
    device: str,
) -> None:
    """Write the answers of these models into the rows from `first` on (None: one target)."""
    from memory_assets.pool.forward import stream_logits

    for part, rows in (("pairs", questions.pairs.ravel()), ("held_out", questions.held_out)):
        for position, block, z in stream_logits(
            recipe, stacked, questions.x, rows, device, questions.queries
        ):
            name = "this model" if first is None else f"shadow model {first + position}"
            if not np.isfinite(z).all():
                raise InputError(
                    f"{name}: some of its logits are not finite; "
                    "its training diverged, lower recipe.lr or train it again"
                )
            answers = Answers.from_logits(z[None], questions.y[rows[block]])
            for f in fields(Answers):
                target = arrays[f"{part}.{f.name}"][(first or 0) + position]
                target.reshape(len(rows), -1)[block] = getattr(answers, f.name)[0]
