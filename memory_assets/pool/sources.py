"""Pools of models that we do not train ourselves: callables, commands, and tables of outputs."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open

from memory_assets.errors import InputError
from memory_assets.models.callables import FitCallable, FitCommand, Task
from memory_assets.models.predictions import Predictions
from memory_assets.models.shadow_tables import ShadowTable
from memory_assets.pool.blocks import Block, Known, train_rows
from memory_assets.pool.precision import floor_of
from memory_assets.pool.query import Questions
from memory_assets.pool.signal_files import as_signals, new_arrays
from memory_assets.pool.signals import Answers, Signals
from memory_assets.results.formulas import SIGNALS, TRAINER

_log = logging.getLogger(__name__)
_NOTHING: Known = {}
_ROUNDING = 1e-9


@TRAINER.computes
def fit_block(
    block: Block,
    source: FitCallable | FitCommand,
    questions: Questions,
    ids: NDArray[np.str_],
    common: NDArray[np.int64],
    masks: NDArray[np.uint8],
    classes: int,
    seed: int,
    folder: Path,
    known: Known = _NOTHING,
) -> dict[str, NDArray]:
    """Train the models of one block with the owner's code, and keep their probabilities.

    A model that fails is named in the log with the reason, and the others are kept. It is tried
    once; what the others answered is `known` to the next call, which tries it again.

    Args:
        ids: record ids `[N]`. common: rows `[c]` that every model trains on. masks: uint8 `[K, n]`.
        folder: where commands work, one folder a model.
        known: models that answered before; they are not trained again.

    Returns:
        Arrays for `save_block`: `answered` uint8 `[B]`, and `probabilities` float64
        `[B, 2n + h, C]` about the pairs' records and the held-out ones (0 where none came).

    Raises:
        InputError: every model of the block failed (the first reason is given).
    """
    asked = asked_rows(questions)
    rows = train_rows(questions.pairs, common, masks[block.start : block.stop])
    answers = np.zeros((len(rows), len(asked), classes))
    answered = np.zeros(len(rows), dtype=np.uint8)
    reasons: list[str] = []
    for k, index in enumerate(block.indices):
        if index in known:
            answers[k], answered[k] = known[index]["probabilities"], 1
            continue
        own = int(np.random.SeedSequence([seed, index]).generate_state(1)[0])
        task = Task(
            questions.x[rows[k]], questions.y[rows[k]], questions.x[asked], ids[asked], classes, own
        )
        try:
            answers[k] = source.probabilities(task, folder / f"shadow-{index:05d}")
            answered[k] = 1
        except InputError as error:
            reasons.append(f"shadow model {index}: {error}")
            _log.warning("%s; it is left out of the pool", reasons[-1])
    if not answered.any():
        raise InputError(f"all {len(rows)} models of a block failed; {reasons[0]}")
    return {"answered": answered, "probabilities": answers}


def unanswered(path: Path) -> list[int]:
    """The rows of a block that `fit_block` made whose models did not answer.

    None of a file that is not there or cannot be read: who reads it whole says so.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            return np.flatnonzero(file.get_tensor("answered") == 0).tolist()
    except (SafetensorError, OSError):
        return []


def answered_models(blocks: Iterable[tuple[Block, Path]]) -> NDArray[np.int64]:
    """The pool's numbers of the models that answered, in order."""
    found: list[int] = []
    for block, path in blocks:
        with safe_open(path, framework="np") as file:
            found += [block.start + int(k) for k in np.flatnonzero(file.get_tensor("answered"))]
    return np.array(sorted(found), dtype=np.int64)


@SIGNALS.computes
def probability_signals(
    blocks: Iterable[tuple[Block, Path]],
    questions: Questions,
    masks: NDArray[np.uint8],
    indices: NDArray[np.int64],
    path: Path | None = None,
) -> Signals:
    """The signals of these models, from the blocks that `fit_block` made, one model at a time.

    Args:
        masks: sides uint8 `[K, n]` of the whole pool. indices: those of `answered_models` that are
            wanted; row i of the signals speaks of model `indices[i]`.
        path: where to write the signals as they come; without it they are kept in memory.
    """
    arrays = new_arrays(questions.arrays(len(indices)), path)
    arrays["side"][...] = masks[indices]
    row_of = {int(index): row for row, index in enumerate(indices)}
    for block, file_path in blocks:
        with safe_open(file_path, framework="np") as file:
            stored = file.get_slice("probabilities")
            for k, index in enumerate(block.indices):
                if index in row_of:
                    _fill(arrays, row_of[index], stored[k : k + 1], False, questions)
    return as_signals(arrays)


@SIGNALS.computes
def prediction_signals(
    predictions: Predictions, questions: Questions, side: NDArray[np.uint8]
) -> Signals:
    """Signals with K = 1 of a model that came as its outputs; `side` uint8 `[n]` as it trained."""
    arrays = new_arrays(questions.arrays(1))
    arrays["side"][...] = side
    _fill(arrays, 0, predictions.values[None], predictions.logits, questions)
    return as_signals(arrays)


@SIGNALS.computes
def shadow_prediction_signals(
    shadows: ShadowTable, questions: Questions, ids: NDArray[np.str_], path: Path | None = None
) -> Signals:
    """Signals of shadow models that came as their outputs, each saying what it trained on.

    One model is read at a time, and written to `path` as it comes (or kept in memory).

    Raises:
        InputError: a shadow that trained on both records of a pair or on neither, or on a record
            held out; or rows of its outputs that are refused.
    """
    arrays = new_arrays(questions.arrays(len(shadows.models)), path)
    for row, model in enumerate(shadows.models):
        found = shadows.read(model)
        arrays["side"][row] = _side(model, found, questions, ids)
        _fill(arrays, row, found.values[None], found.logits, questions)
    return as_signals(arrays)


def asked_rows(questions: Questions) -> NDArray[np.int64]:
    """The rows `[2n + h]` of the data set that every model is asked about, in order."""
    return np.concatenate([questions.pairs.ravel(), questions.held_out])


def _side(
    model: int, predictions: Predictions, questions: Questions, ids: NDArray[np.str_]
) -> NDArray[np.uint8]:
    if predictions.trained is None:
        raise InputError(f"shadow {model}: no column 'trained' says what it trained on")
    count = questions.pairs.size
    trained = predictions.trained[:count].reshape(-1, 2)
    if (wrong := trained.sum(axis=1) != 1).any():
        record = ids[questions.pairs[wrong.argmax(), 0]]
        raise InputError(
            f"shadow {model}: trained on both or neither record of the pair of {str(record)!r}; "
            "expected exactly one"
        )
    if (seen := predictions.trained[count:]).any():
        record = ids[questions.held_out[seen.argmax()]]
        raise InputError(f"shadow {model}: trained on {str(record)!r}, which is held out")
    return trained[:, 1].astype(np.uint8)


def _fill(
    arrays: Mapping[str, NDArray],
    row: int,
    values: NDArray[np.float64],
    logits: bool,
    questions: Questions,
) -> None:
    """Write what one model answers, outputs `[1, 2n + h, C]` about the asked records."""
    labels = questions.y[asked_rows(questions)]
    if logits:
        answers = Answers.from_logits(values[:, :, None], labels)
    else:
        floor = floor_of(values)
        answers = Answers.from_probabilities(values[:, :, None], labels, floor)
        if (np.abs(answers.score) >= -np.log(floor) - _ROUNDING).any():
            arrays["floor"][row] = floor
    count = questions.pairs.size
    for part, chosen in (("pairs", slice(0, count)), ("held_out", slice(count, None))):
        for f in fields(Answers):
            target = arrays[f"{part}.{f.name}"][row]
            target[...] = getattr(answers, f.name)[0, chosen].reshape(target.shape)
