"""Shadow language models: trained in blocks on their sides of the pairs, asked about every text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memory_assets.errors import InputError
from memory_assets.language import scores
from memory_assets.language.model import (
    LanguageModel,
    as_language_model,
    load_language_model,
    load_tokenizer,
)
from memory_assets.language.recipe import LanguageRecipe
from memory_assets.language.signals import token_signals
from memory_assets.language.training import Rows, train_language_model, training_windows
from memory_assets.language.windows import cut_windows, name_some
from memory_assets.pool.blocks import Block, load_block, train_rows
from memory_assets.pool.processes import in_processes
from memory_assets.pool.signal_files import as_signals, create_arrays, signal_arrays
from memory_assets.pool.signals import Answers, Signals
from memory_assets.records.prepared import PreparedTexts
from memory_assets.results.formulas import LANGUAGE_TRAINER, SIGNALS

State = dict[str, NDArray]


def shadow_seed(recipe: LanguageRecipe, index: int) -> int:
    """The seed of model `index` of a pool; no other index has it, nor has a target."""
    return int(np.random.SeedSequence([recipe.seed, index]).generate_state(1, np.uint64)[0] >> 1)


@LANGUAGE_TRAINER.computes
def build_text_block(
    block: Block,
    recipe: LanguageRecipe,
    tokenizer_folder: Path,
    prepared: PreparedTexts,
    masks: NDArray[np.uint8],
    device: str = "cpu",
    processes: int = 1,
) -> State:
    """Train the models of one block, one at a time: their parameters, stacked to `[B, ...]`.

    `masks` uint8 `[K, n]` are the sides of the whole pool. On a CPU up to `processes` models train
    at once, each in a process and thread of its own; the bits are the same for any number.

    Raises:
        InputError: a tokenizer that is not there, or a model that cannot be built or trained.
    """
    tokenizer = load_tokenizer(tokenizer_folder)
    pairing = prepared.pairing
    windows = [training_windows(tokenizer, [text], recipe.window) for text in prepared.texts.texts]
    jobs = [
        (
            recipe,
            [row for i in rows for row in windows[i]],
            len(tokenizer),
            shadow_seed(recipe, k),
            device,
        )
        for k, rows in zip(
            block.indices,
            train_rows(pairing.pairs, pairing.common, masks[block.start : block.stop]),
            strict=True,
        )
    ]
    states = list(in_processes(train_state, jobs, processes if device == "cpu" else 1))
    return {name: np.stack([state[name] for state in states]) for name in states[0]}


def train_state(
    recipe: LanguageRecipe, rows: Rows, vocabulary: int, seed: int, device: str = "cpu"
) -> State:
    """Train one model in one thread and return its parameters; tied ones stand there once."""
    from memory_assets.pool.trainer import settled

    with settled(device):
        model = train_language_model(recipe, rows, vocabulary, seed, device)
    return {name: value.detach().cpu().numpy() for name, value in model.named_parameters()}


@SIGNALS.computes
def pool_text_signals(
    recipe: LanguageRecipe,
    tokenizer_folder: Path,
    blocks: Iterable[tuple[Block, Path]],
    prepared: PreparedTexts,
    masks: NDArray[np.uint8],
    path: Path,
    device: str = "cpu",
) -> Signals:
    """The answers of a whole pool about every text, written to `path` as they come.

    Raises:
        InputError: a text of fewer than two tokens, or a model whose answers are not finite.
    """
    pairing, tokenizer = prepared.pairing, load_tokenizer(tokenizer_folder)
    arrays = create_arrays(path, _spec(len(masks), prepared))
    arrays["side"][...] = masks
    for block, file in blocks:
        stacked = load_block(file)
        for position, index in enumerate(block.indices):
            model = _shadow(recipe, stacked, position, tokenizer, device, index)
            _fill(arrays, index, *text_answers(model, prepared, recipe.window), len(pairing.pairs))
    return as_signals(arrays)


@SIGNALS.computes
def target_text_signals(
    recipe: LanguageRecipe,
    tokenizer_folder: Path,
    version: Path,
    prepared: PreparedTexts,
    device: str = "cpu",
) -> Signals:
    """The answers of one version: signals with K = 1.

    Raises:
        InputError: a model that cannot be opened safely, or one whose tokenizer cuts the texts
            otherwise than that of the pool.
    """
    model = load_language_model(version, device=device)
    tokenizer = load_tokenizer(tokenizer_folder)
    for name, text in zip(prepared.texts.ids, prepared.texts.texts, strict=True):
        own = model.tokenizer(text, verbose=False)["input_ids"]
        if own != tokenizer(text, verbose=False)["input_ids"]:
            raise InputError(
                f"{version}: its tokenizer cuts text {name!r} otherwise than {tokenizer_folder}; "
                "give the tokenizer that it was trained with as recipe.tokenizer"
            )
    pairing = prepared.pairing
    arrays = {n: np.zeros(s, d) for n, (d, s) in _spec(1, prepared).items()}
    arrays["side"][...] = pairing.target_side
    _fill(arrays, 0, *text_answers(model, prepared, recipe.window), len(pairing.pairs))
    return as_signals(arrays)


def text_answers(
    model: LanguageModel, prepared: PreparedTexts, window: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean log-likelihood a token and top-1 accuracy of the texts of the pairs, then held out.

    Raises:
        InputError: a text of fewer than two tokens.
    """
    pairing = prepared.pairing
    asked = prepared.texts.take(np.concatenate([pairing.pairs.ravel(), pairing.held_out]))
    longest = min(window, model.context) - (model.start is not None)
    windows, kept, _ = cut_windows(model, asked, longest)
    if windows is None or len(kept) < len(asked):
        short = (name for i, name in enumerate(asked.ids) if i not in set(kept.tolist()))
        raise InputError(
            f"{prepared.texts.source}: texts of fewer than two tokens cannot be told apart by "
            f"shadow models: {name_some(short)}; leave them out"
        )
    signals = windows.by_text(token_signals(model, windows.sequences))
    right = np.add.reduceat(signals.agrees.astype(np.float64), signals.offsets[:-1])
    return scores.loss(signals), right / signals.lengths


def _spec(models: int, prepared: PreparedTexts) -> dict[str, tuple]:
    pairing = prepared.pairing
    return signal_arrays(models, len(pairing.pairs), len(pairing.held_out), 1, np.float64)


def _fill(
    arrays: Mapping[str, NDArray], row: int, log_p: NDArray, accuracy: NDArray, pairs: int
) -> None:
    """Write one model's answers; the first 2 `pairs` are those of the pairs."""
    answers = Answers.from_texts(log_p, accuracy)
    for part, rows in (("pairs", slice(None, 2 * pairs)), ("held_out", slice(2 * pairs, None))):
        for f in fields(Answers):
            target = arrays[f"{part}.{f.name}"][row]
            target[...] = getattr(answers, f.name)[rows].reshape(target.shape)


def _shadow(
    recipe: LanguageRecipe,
    stacked: Mapping[str, NDArray],
    position: int,
    tokenizer: Any,
    device: str,
    index: int,
) -> LanguageModel:
    import torch

    with torch.random.fork_rng(devices=[]):
        model: Any = recipe.build_model(len(tokenizer))
    state = {name: torch.from_numpy(value[position]) for name, value in stacked.items()}
    model.load_state_dict(state, strict=False)  # tied parameters and buffers are not stored
    return as_language_model(model.to(device).eval(), tokenizer, f"shadow model {index}", device)
