"""The ways to bring a model: what each must say and do, and what every model is asked.

Every way ends in the same signals, so that no later step knows by which way a model came.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from memory_assets.pool.blocks import Block, Known
from memory_assets.pool.query import Questions
from memory_assets.pool.signals import Signals
from memory_assets.records.prepared import Prepared
from memory_assets.workflows.training_context import Means

BlockFiles = Sequence[tuple[Block, Path]]


class Way(Protocol):
    """How the models of a pool are asked; `prepared` is the audit set of the subject's kind.

    `outside` digests what the pool rests on besides its blocks, `asked_by` is what decides, beside
    a version's file and the records, how a target is asked; `ask_pool` writes the signals of the
    pool, `ask_target` gives those of one version (K = 1).
    """

    @property
    def outside(self) -> str: ...

    def asked_by(self) -> Any: ...

    def ask_pool(
        self, blocks: BlockFiles, prepared: Any, masks: NDArray[np.uint8], path: Path
    ) -> None: ...

    def ask_target(self, version: Path, prepared: Any) -> Signals: ...


class TrainingWay(Way, Protocol):
    """One that trains; its pool rests on its blocks alone.

    `block_key` names a block by all that decides its bits; `train` gives its stacked tensors, those
    of `known` models as they are. `unanswered` are the rows of a stored block whose models failed:
    such a block is not final, and the next run trains them. A way by which one failure ends the
    training has none.
    """

    @property
    def outside(self) -> str:
        return ""

    def block_key(self, block: Block, prepared: Any, masks: NDArray[np.uint8]) -> str: ...

    def train(
        self,
        block: Block,
        prepared: Any,
        masks: NDArray[np.uint8],
        known: Known,
        scratch: Path,
        means: Means,
    ) -> dict[str, NDArray]: ...

    def unanswered(self, file: Path) -> list[int]:
        del file
        return []


def questions_about(prepared: Prepared) -> Questions:
    """What every model of an audit is asked."""
    data, pairing = prepared.data, prepared.pairing
    return Questions(data.x, data.y, pairing.pairs, pairing.held_out)
