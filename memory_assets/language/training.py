"""Train one causal language model from scratch by its recipe: a target, a reference, a shadow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from memory_assets.errors import InputError
from memory_assets.language.heads import find_head
from memory_assets.language.recipe import LanguageRecipe

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Rows = Sequence[NDArray[np.int64]]
_IGNORED = -1


def training_windows(tokenizer: Any, texts: Sequence[str], window: int) -> list[NDArray[np.int64]]:
    """The token windows that a model trains on: each text cut by itself, none of one token.

    The tokenizer adds the special tokens that it adds by itself.
    """
    if not texts:
        return []
    rows = tokenizer(list(texts), verbose=False)["input_ids"]
    return [
        np.asarray(ids[start : start + window], dtype=np.int64)
        for ids in rows
        for start in range(0, len(ids), window)
        if len(ids) - start > 1
    ]


def train_language_model(
    recipe: LanguageRecipe,
    rows: Rows,
    vocabulary: int,
    seed: int | None = None,
    device: str = "cpu",
) -> PreTrainedModel:
    """Train on these windows and return the model, on `device`.

    `seed` decides initial weights and batch order, the recipe's own without it. On a CPU the same
    seed gives the same bits on one machine, whatever else runs.

    Raises:
        InputError: no window, one with a token outside the vocabulary, or a model that cannot be
            built or whose loss is not finite.
    """
    import torch

    if not rows:
        raise InputError("recipe: there is no text of two tokens to train on")
    highest = max(int(row.max()) for row in rows)
    if highest >= vocabulary:
        raise InputError(f"recipe: token {highest} is outside the vocabulary of {vocabulary}")
    seed = recipe.seed if seed is None else seed
    devices = [] if device == "cpu" else [device]
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        model: Any = recipe.build_model(vocabulary)
        model = model.to(device).eval()
        split = find_head(model, device) == "layer"
        model.train()
        rng = np.random.default_rng(seed)
        plan = [batch for _ in range(recipe.epochs) for batch in _batches(rows, recipe, rng)]
        optimizer = torch.optim.AdamW(
            model.parameters(), lr=recipe.lr, weight_decay=recipe.weight_decay, fused=True
        )
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.lr, total_steps=len(plan))
        loss = torch.zeros(())
        for batch in plan:
            loss = _loss(model, _padded(batch).to(device), split)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
    if not torch.isfinite(loss):
        raise InputError("recipe: training diverged, its loss is not finite; lower recipe.lr")
    return model.eval()


def _batches(
    rows: Rows, recipe: LanguageRecipe, rng: np.random.Generator
) -> Iterator[list[NDArray[np.int64]]]:
    """One epoch: windows in batches of like length, so that little is padding."""
    lengths = np.array([len(row) for row in rows]) + rng.integers(0, 8, len(rows))
    batches: list[list[NDArray[np.int64]]] = [[]]
    for i in np.argsort(lengths, kind="stable")[::-1]:
        full = batches[-1] and (len(batches[-1]) + 1) * len(batches[-1][0]) > recipe.batch_tokens
        if full:
            batches.append([])
        batches[-1].append(rows[i])
    yield from (batches[i] for i in rng.permutation(len(batches)))


def _padded(batch: Rows) -> Any:
    import torch

    ids = np.full((len(batch), max(len(row) for row in batch)), _IGNORED, dtype=np.int64)
    for i, row in enumerate(batch):
        ids[i, : len(row)] = row
    return torch.from_numpy(ids)


def _loss(model: Any, target: Any, split: bool) -> Any:
    """Mean loss of the real tokens; padding stands at the end, where a causal model is blind."""
    import torch

    given, wanted = target.clamp(min=0), target[:, 1:].flatten()
    keep = wanted >= 0
    if split:
        # Only real tokens reach the output layer, by far the widest one.
        hidden = model.base_model(given, use_cache=False).last_hidden_state
        logits = model.get_output_embeddings()(hidden[:, :-1].flatten(0, 1)[keep])
    else:
        logits = model(given, use_cache=False).logits[:, :-1].flatten(0, 1)[keep]
    return torch.nn.functional.cross_entropy(logits.float(), wanted[keep])
