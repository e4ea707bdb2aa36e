"""Pools of models that we do not train ourselves: callables, commands, and tables of outputs."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from memory_assets.errors import InputError
from memory_assets.models.callables import FitCallable, FitCommand, Task
from memory_assets.models.predictions import Predictions
from memory_assets.pool.blocks import Block, Known, load_block, train_rows
from memory_assets.pool.query import Questions
from memory_assets.pool.signals import Answers, Signals

_log = logging.getLogger(__name__)
_NOTHING: Known = {}


@dataclass(frozen=True)
class PartialPool:
    """The models of a pool that answered.

    `indices` int64 `[K']` are the pool's numbers of the rows of `signals`.
    """

    signals: Signals
    indices: NDArray[np.int64]


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


def probability_signals(
    blocks: Iterable[tuple[Block, Path]], questions: Questions, masks: NDArray[np.uint8]
) -> PartialPool:
    """The signals of the models that answered, from the blocks that `fit_block` made."""
    indices: list[int] = []
    parts: list[NDArray[np.float64]] = []
    for block, path in blocks:
        arrays = load_block(path)
        kept = np.flatnonzero(arrays["answered"])
        indices += [block.start + int(k) for k in kept]
        parts.append(arrays["probabilities"][kept])
    order = np.argsort(indices)
    sorted_indices = np.array(indices, dtype=np.int64)[order]
    signals = _signals(np.concatenate(parts)[order], False, questions, masks[sorted_indices])
    return PartialPool(signals, sorted_indices)


def prediction_signals(
    predictions: Predictions, questions: Questions, side: NDArray[np.uint8]
) -> Signals:
    """Signals with K = 1 of a model that came as its outputs; `side` uint8 `[n]` as it trained."""
    return _signals(predictions.values[None], predictions.logits, questions, side[None])


def shadow_prediction_signals(
    shadows: Mapping[int, Predictions], questions: Questions, ids: NDArray[np.str_]
) -> PartialPool:
    """Signals of shadow models that came as their outputs, each saying what it trained on.

    Raises:
        InputError: a shadow that trained on both records of a pair or on neither, or on a record
            held out; or logits mixed with probabilities.
    """
    sides = np.stack([_side(k, p, questions, ids) for k, p in shadows.items()])
    if len({p.logits for p in shadows.values()}) > 1:
        raise InputError("shadow predictions: some are logits, some probabilities; give one kind")
    logits = next(iter(shadows.values())).logits
    values = np.stack([p.values for p in shadows.values()])
    indices = np.array(list(shadows), dtype=np.int64)
    return PartialPool(_signals(values, logits, questions, sides), indices)


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


def _signals(
    values: NDArray[np.float64], logits: bool, questions: Questions, sides: NDArray[np.uint8]
) -> Signals:
    """Signals from outputs `[K, 2n + h, C]` about the asked records, one query each."""
    read = Answers.from_logits if logits else Answers.from_probabilities
    rows = asked_rows(questions)
    answers = read(values[:, :, None], questions.y[rows])
    count = questions.pairs.size

    def part(chosen: slice, *shape: int) -> Answers:
        return Answers(
            **{
                f.name: getattr(answers, f.name)[:, chosen].reshape(len(values), *shape, 1)
                for f in fields(Answers)
            }
        )

    pairs = part(slice(0, count), len(questions.pairs), 2)
    return Signals(pairs, part(slice(count, None), len(questions.held_out)), sides)
