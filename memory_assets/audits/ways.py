"""The ways to bring a model: how its shadow models are made, and how it and they are asked.

Every way ends in the same signals, so that no later step knows by which way a model came.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from memory_assets.audits.means import Means
from memory_assets.digest import digest, digest_file
from memory_assets.errors import InputError
from memory_assets.language.recipe import LANGUAGE_TRAINER_VERSION, LanguageRecipe
from memory_assets.language_subjects import LanguageModelSubject
from memory_assets.made_by import command_words, tokenizer_files
from memory_assets.models.callables import FitCallable, FitCommand
from memory_assets.models.predictions import read_predictions
from memory_assets.models.recipe import Recipe
from memory_assets.models.shadow_tables import open_shadow_table
from memory_assets.pool.blocks import (
    BLOCK_SIZE,
    TRAINER_VERSION,
    Block,
    Known,
    build_block,
    complete,
)
from memory_assets.pool.devices import own_device
from memory_assets.pool.query import Questions, pool_signals, target_signals
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
from memory_assets.records.dataset import import_attribute
from memory_assets.records.prepared import Prepared, PreparedTexts
from memory_assets.subjects import ClassifierSubject, PooledSubject

_log = logging.getLogger(__name__)
_FEWEST = 4  # with fewer models a record has no two on either side

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
    """One that trains.

    `block_key` names a block by all that decides its bits; `train` gives its stacked tensors, those
    of `known` models as they are. `unanswered` are the rows of a stored block whose models failed:
    such a block is not final, and the next run trains them.
    """

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

    def unanswered(self, file: Path) -> list[int]: ...


def questions_about(prepared: Prepared) -> Questions:
    """What every model of an audit is asked."""
    data, pairing = prepared.data, prepared.pairing
    return Questions(data.x, data.y, pairing.pairs, pairing.held_out)


def _outputs(version: Path, prepared: Prepared) -> Signals:
    """Signals of a version that came as a table of its outputs."""
    questions, data = questions_about(prepared), prepared.data
    read = read_predictions(version, data.ids, asked_rows(questions), data.classes)
    return prediction_signals(read, questions, prepared.pairing.target_side)


@dataclass(frozen=True)
class ByRecipe:
    """The pool trains by the owner's recipe; versions are weights.

    `code` digests the file of the model's factory; what that imports is not looked at.
    """

    recipe: Recipe
    code: str
    device: str
    queries: str

    @property
    def outside(self) -> str:
        return ""

    def asked_by(self) -> Any:
        return [self.code, self.recipe.model_args, self.device, self.queries]

    def _questions(self, prepared: Prepared) -> Questions:
        return replace(questions_about(prepared), queries=self.queries)

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

    def unanswered(self, file: Path) -> list[int]:
        del file
        return []

    def ask_pool(
        self, blocks: BlockFiles, prepared: Prepared, masks: NDArray[np.uint8], path: Path
    ) -> None:
        pool_signals(self.recipe, blocks, self._questions(prepared), masks, path, self.device)

    def ask_target(self, version: Path, prepared: Prepared) -> Signals:
        from memory_assets.models.checkpoints import load_checkpoint

        state = load_checkpoint(version, self.recipe)
        side = prepared.pairing.target_side
        return target_signals(self.recipe, state, self._questions(prepared), side, self.device)


@dataclass(frozen=True)
class ByFit:
    """The pool trains by the owner's callable or command; versions are tables of outputs.

    `code` digests the files that the owner names; what those import is not looked at.
    """

    source: FitCallable | FitCommand
    code: str
    seed: int

    @property
    def outside(self) -> str:
        return ""

    def asked_by(self) -> Any:
        return "outputs"

    def block_key(self, block: Block, prepared: Prepared, masks: NDArray[np.uint8]) -> str:
        rows = masks[block.start : block.stop]
        models = [block.start, block.stop]
        return digest(prepared.key, rows, self.code, self.seed, models, TRAINER_VERSION)

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


def _no_models(questions: Questions) -> Signals:
    return as_signals({n: np.zeros(s, d) for n, (d, s) in questions.arrays(0).items()})


@dataclass(frozen=True)
class ByLanguageRecipe:
    """As `ByRecipe`, for language models; versions are model folders.

    `tokenizer` is the folder of the one that all models have, `tokens` digests its files.
    """

    recipe: LanguageRecipe
    code: str
    device: str
    tokenizer: Path
    tokens: str

    @property
    def outside(self) -> str:
        return ""

    def asked_by(self) -> Any:
        return [self.code, self.recipe.model_args, self.recipe.window, self.tokens, self.device]

    def block_key(self, block: Block, prepared: PreparedTexts, masks: NDArray[np.uint8]) -> str:
        rows, models = masks[block.start : block.stop], [block.start, block.stop]
        made = [self.code, self.tokens, self.device.partition(":")[0]]
        texts = [prepared.texts.digest, prepared.pairing.key]
        return digest(*texts, rows, self.recipe, models, *made, LANGUAGE_TRAINER_VERSION)

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

    def unanswered(self, file: Path) -> list[int]:
        del file
        return []

    def ask_pool(
        self, blocks: BlockFiles, prepared: PreparedTexts, masks: NDArray[np.uint8], path: Path
    ) -> None:
        from memory_assets.language.pool import pool_text_signals

        pool_text_signals(self.recipe, self.tokenizer, blocks, prepared, masks, path, self.device)

    def ask_target(self, version: Path, prepared: PreparedTexts) -> Signals:
        from memory_assets.language.pool import target_text_signals

        return target_text_signals(self.recipe, self.tokenizer, version, prepared, self.device)


def _code(subject: PooledSubject, root: Path) -> str:
    """Digest of the files that shadow models are made by; where they lie does not matter."""
    return digest({name: digest_file(file) for name, file in subject.makers(root).items()})


def _language_way(subject: LanguageModelSubject, root: Path, device: str) -> ByLanguageRecipe:
    assert subject.recipe is not None  # without a recipe it has no pool
    tokenizer = root / subject.recipe.tokenizer
    files = {file.name: digest_file(file) for file in tokenizer_files(tokenizer)}
    return ByLanguageRecipe(
        subject.recipe.recipe(), _code(subject, root), device, tokenizer, digest(files)
    )


def way_of(subject: PooledSubject, root: Path, device: str) -> Way:
    """The way by which a subject's model came, its paths taken from `root`.

    Raises:
        InputError: a factory or training callable that cannot be imported, a file that is missing.
    """
    if isinstance(subject, LanguageModelSubject):
        return _language_way(subject, root, device)
    assert isinstance(subject, ClassifierSubject)
    if subject.recipe is not None:
        recipe = subject.recipe.recipe()
        recipe.resolve()  # a clear refusal where there is no such factory
        return ByRecipe(recipe, _code(subject, root), device, subject.queries)
    if subject.fit is not None:
        import_attribute(subject.fit, "fit")
        code = digest(subject.fit, _code(subject, root))
        return ByFit(FitCallable(subject.fit), code, subject.pool.seed)
    if subject.command is not None:
        words, _ = command_words(subject.command.run, root)
        code = digest(subject.command.run, _code(subject, root))
        source = FitCommand(words, subject.command.time_limit)
        return ByFit(source, code, subject.pool.seed)
    assert subject.predictions is not None
    shadows = subject.predictions.shadows
    return ByPredictions(root / shadows if shadows else None)
