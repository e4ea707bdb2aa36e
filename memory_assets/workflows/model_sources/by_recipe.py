"""A classifier with a recipe: its shadow models train here, and its versions are weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memory_assets.errors import InputError
from memory_assets.models.recipe import Recipe
from memory_assets.pool.blocks import BLOCK_SIZE, Block, Known, build_block, complete
from memory_assets.pool.devices import own_device
from memory_assets.pool.query import Questions, pool_signals, target_signals
from memory_assets.pool.signals import Signals
from memory_assets.records.prepared import Prepared
from memory_assets.store.digest import digest
from memory_assets.workflows.model_sources.protocol import BlockFiles, TrainingWay, questions_about
from memory_assets.workflows.training_context import Means


@dataclass(frozen=True)
class ByRecipe(TrainingWay):
    """The pool trains by the owner's recipe; versions are weights.

    `code` digests the file of the model's factory, and all of the project that it imports.
    """

    recipe: Recipe
    code: str
    device: str
    queries: str

    def asked_by(self) -> Any:
        return [self.code, self.recipe.model_args, self.device, self.queries]

    def _questions(self, prepared: Prepared) -> Questions:
        return replace(questions_about(prepared), queries=self.queries)

    def _refuse_other_classes(
        self, state: Mapping[str, NDArray], version: Path, prepared: Prepared
    ) -> None:
        """The model's outputs must be the classes of the records, where these were numbered here.

        Raises:
            InputError: it has fewer outputs than there are classes, or more of them than labels
                that were numbered in their order, which would be taken for others.
        """
        from memory_assets.pool.forward import stream_logits

        data = prepared.data
        stacked = {name: np.asarray(value)[None] for name, value in state.items()}
        first = prepared.pairing.pairs.ravel()[:1]
        outputs = next(stream_logits(self.recipe, stacked, data.x, first))[2].shape[-1]
        if outputs < data.classes or (data.names_digest and outputs > data.classes):
            raise InputError(
                f"{version}: this model answers {outputs} classes, and the labels of {data.source} "
                f"are {data.classes}; give labels 0 to {outputs - 1} as the model was trained on"
            )

    def block_key(self, block: Block, prepared: Prepared, masks: NDArray[np.uint8]) -> str:
        data, pairing = prepared.data.digest, prepared.pairing.key
        return digest(self.code, block.key(data, pairing, masks, self.recipe, self.device))

    def train(
        self,
        block: Block,
        prepared: Prepared,
        masks: NDArray[np.uint8],
        known: Known,
        scratch: Path,
        means: Means,
    ) -> dict[str, NDArray]:
        del scratch, means
        data, pairing = prepared.data, prepared.pairing
        with own_device(self.device, block.start // BLOCK_SIZE) as device:
            records = data.x, data.y, pairing.pairs, pairing.common
            return complete(
                block, known, lambda part: build_block(part, self.recipe, *records, masks, device)
            )

    def ask_pool(
        self, blocks: BlockFiles, prepared: Prepared, masks: NDArray[np.uint8], path: Path
    ) -> None:
        pool_signals(self.recipe, blocks, self._questions(prepared), masks, path, self.device)

    def ask_target(self, version: Path, prepared: Prepared) -> Signals:
        from memory_assets.models.checkpoints import load_checkpoint

        state = load_checkpoint(version, self.recipe)
        self._refuse_other_classes(state, version, prepared)
        side = prepared.pairing.target_side
        return target_signals(self.recipe, state, self._questions(prepared), side, self.device)
