"""A language model with a recipe: its shadow models train here on its texts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memory_assets.language.recipe import LanguageRecipe
from memory_assets.pool.blocks import BLOCK_SIZE, Block, Known, complete
from memory_assets.pool.devices import own_device
from memory_assets.pool.signals import Signals
from memory_assets.records.prepared import PreparedTexts
from memory_assets.results.formulas import LANGUAGE_TRAINER
from memory_assets.store.digest import digest
from memory_assets.workflows.model_sources.protocol import BlockFiles, TrainingWay
from memory_assets.workflows.training_context import Means


@dataclass(frozen=True)
class ByLanguageRecipe(TrainingWay):
    """As `ByRecipe`, for language models; versions are model folders.

    `tokenizer` is the folder of the one that all models have, `tokens` digests its files.
    """

    recipe: LanguageRecipe
    code: str
    device: str
    tokenizer: Path
    tokens: str

    def asked_by(self) -> Any:
        return [self.code, self.recipe.model_args, self.recipe.window, self.tokens, self.device]

    def block_key(self, block: Block, prepared: PreparedTexts, masks: NDArray[np.uint8]) -> str:
        rows, models = masks[block.start : block.stop], [block.start, block.stop]
        made = [self.code, self.tokens, self.device.partition(":")[0]]
        texts = [prepared.texts.digest, prepared.pairing.key]
        return digest(*texts, rows, self.recipe, models, *made, LANGUAGE_TRAINER.number)

    def train(
        self,
        block: Block,
        prepared: PreparedTexts,
        masks: NDArray[np.uint8],
        known: Known,
        scratch: Path,
        means: Means,
    ) -> dict[str, NDArray]:
        from memory_assets.language.pool import build_text_block

        del scratch
        made_by = self.recipe, self.tokenizer, prepared, masks
        with own_device(self.device, block.start // BLOCK_SIZE) as device:
            return complete(
                block, known, lambda part: build_text_block(part, *made_by, device, means.processes)
            )

    def ask_pool(
        self, blocks: BlockFiles, prepared: PreparedTexts, masks: NDArray[np.uint8], path: Path
    ) -> None:
        from memory_assets.language.pool import pool_text_signals

        pool_text_signals(self.recipe, self.tokenizer, blocks, prepared, masks, path, self.device)

    def ask_target(self, version: Path, prepared: PreparedTexts) -> Signals:
        from memory_assets.language.pool import target_text_signals

        return target_text_signals(self.recipe, self.tokenizer, version, prepared, self.device)
