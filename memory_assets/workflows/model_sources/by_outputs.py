"""A classifier seen through its outputs: the owner trains the shadow models, or brings theirs."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memory_assets.errors import InputError
from memory_assets.models.callables import FitCallable, FitCommand
from memory_assets.models.predictions import read_predictions
from memory_assets.models.shadow_tables import open_shadow_table
from memory_assets.pool.blocks import Block, Known
from memory_assets.pool.query import Questions
from memory_assets.pool.signal_files import as_signals, save_signals
from memory_assets.pool.signals import Signals
from memory_assets.pool.sources import (
    answered_models,
    asked_rows,
    fit_block,
    prediction_signals,
    probability_signals,
    shadow_prediction_signals,
    unanswered,
)
from memory_assets.records.prepared import Prepared
from memory_assets.results.formulas import TRAINER
from memory_assets.store.digest import digest, digest_file
from memory_assets.workflows.model_sources.protocol import BlockFiles, TrainingWay, questions_about
from memory_assets.workflows.training_context import Means

_log = logging.getLogger(__name__)
_FEWEST = 4  # with fewer models a record has no two on either side


def _outputs(version: Path, prepared: Prepared) -> Signals:
    """Signals of a version that came as a table of its outputs."""
    questions, data = questions_about(prepared), prepared.data
    read = read_predictions(version, data.ids, asked_rows(questions), data.classes)
    return prediction_signals(read, questions, prepared.pairing.target_side)


def _no_models(questions: Questions) -> Signals:
    return as_signals({n: np.zeros(s, d) for n, (d, s) in questions.arrays(0).items()})


@dataclass(frozen=True)
class ByFit(TrainingWay):
    """The pool trains by the owner's callable or command; versions are tables of outputs.

    `code` digests the files that the owner names, and all of the project that those import.
    """

    source: FitCallable | FitCommand
    code: str
    seed: int

    def asked_by(self) -> Any:
        return "outputs"

    def block_key(self, block: Block, prepared: Prepared, masks: NDArray[np.uint8]) -> str:
        rows = masks[block.start : block.stop]
        models = [block.start, block.stop]
        return digest(prepared.key, rows, self.code, self.seed, models, TRAINER.number)

    def train(
        self,
        block: Block,
        prepared: Prepared,
        masks: NDArray[np.uint8],
        known: Known,
        scratch: Path,
        means: Means,
    ) -> dict[str, NDArray]:
        source = self.source
        if means.surroundings is not None and isinstance(source, FitCommand):
            source = replace(source, surroundings=means.surroundings)
        data, common = prepared.data, prepared.pairing.common
        questions = questions_about(prepared)
        return fit_block(
            block,
            source,
            questions,
            data.ids,
            common,
            masks,
            data.classes,
            self.seed,
            scratch,
            known,
        )

    def unanswered(self, file: Path) -> list[int]:
        return unanswered(file)

    def ask_pool(
        self, blocks: BlockFiles, prepared: Prepared, masks: NDArray[np.uint8], path: Path
    ) -> None:
        questions = questions_about(prepared)
        indices = answered_models(blocks)
        there = set(indices.tolist())
        # A model's estimates rest on its complement: one whose complement failed stands alone.
        whole = np.array([(i ^ 1) in there for i in indices.tolist()], dtype=bool)
        if whole.sum() < _FEWEST:
            _log.warning(
                "%d of %d shadow models are left in whole couples, and %d are needed: what rests "
                "on shadow models is not measured; the next audit trains those that failed",
                whole.sum(), len(masks), _FEWEST,
            )  # fmt: skip
            save_signals(_no_models(questions), path)
            return
        probability_signals(blocks, questions, masks, indices[whole], path)

    def ask_target(self, version: Path, prepared: Prepared) -> Signals:
        return _outputs(version, prepared)


@dataclass(frozen=True)
class ByPredictions:
    """Nothing is trained: shadow models, if there are any, came as their outputs too."""

    shadows: Path | None

    @property
    def outside(self) -> str:
        if self.shadows is None:
            return "no shadow models"
        if not self.shadows.is_file():
            raise InputError(f"predictions.shadows: no file {self.shadows}")
        return digest_file(self.shadows)

    def asked_by(self) -> Any:
        return "outputs"

    def ask_pool(
        self, blocks: BlockFiles, prepared: Prepared, masks: NDArray[np.uint8], path: Path
    ) -> None:
        del blocks, masks
        questions, data = questions_about(prepared), prepared.data
        if self.shadows is None:
            save_signals(_no_models(questions), path)
            return
        rows = asked_rows(questions)
        with open_shadow_table(self.shadows, data.ids, rows, data.classes, path.parent) as shadows:
            shadow_prediction_signals(shadows, questions, data.ids, path)

    def ask_target(self, version: Path, prepared: Prepared) -> Signals:
        return _outputs(version, prepared)
