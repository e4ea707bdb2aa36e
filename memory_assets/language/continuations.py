"""Many continuations of one text: the shared beginning is read once and its state reused."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memory_assets.language.model import Ids, LanguageModel

Floats = NDArray[np.float64]
_BRANCHES = {"cpu": 256, "cuda": 2048}
_LOGITS = 1 << 23  # numbers of logits alive at once: 32 MiB in float32
_STATE = {"cpu": 1 << 29, "cuda": 1 << 32}  # bytes of key-value state alive at once


@dataclass(frozen=True)
class Trunk:
    """The key-value state after `length` tokens, and the logits `[V]` of what follows them."""

    model: LanguageModel
    state: Any
    logits: Any
    length: int


def grow_trunk(model: LanguageModel, ids: Ids) -> Trunk:
    """Read the shared beginning, at least one token (the start token counts)."""
    import torch

    start = [] if model.start is None else [model.start]
    given = torch.tensor([[*start, *ids.tolist()]], device=model.device)
    with torch.inference_mode():
        answer = model.model(given, use_cache=True, logits_to_keep=1)
    return Trunk(model, answer.past_key_values, answer.logits[0, -1].float(), given.shape[1])


def _limit(limits: dict[str, int], model: LanguageModel) -> int:
    return limits.get(model.device.split(":")[0], limits["cpu"])


def _at_once(trunk: Trunk, tokens: int) -> int:
    """Branches, at least one, whose states of `tokens` tokens in all may exist together.

    What a token costs differs by a hundredfold between models, so it is measured on the trunk.
    """
    import torch

    kept = [
        value.nbytes
        for layer in trunk.state.layers
        for value in vars(layer).values()
        if isinstance(value, torch.Tensor)
    ]
    return max(1, _limit(_STATE, trunk.model) * trunk.length // (max(1, sum(kept)) * tokens))


def _state_for(trunk: Trunk, size: int) -> Any:
    # Reading a continuation changes the state in place: each batch has a copy.
    state = copy.deepcopy(trunk.state)
    state.batch_repeat_interleave(size)
    return state


def branch_log_p(trunk: Trunk, branches: Sequence[Ids]) -> Floats:
    """Log-likelihood in nats of each continuation of the trunk, `[B]`.

    So many are read at once as their logits and their copies of the trunk's state allow.
    """
    import torch

    model = trunk.model
    out = np.zeros(len(branches))
    lengths = np.array([len(b) for b in branches])
    first = torch.log_softmax(trunk.logits, -1).double().cpu().numpy()
    out += first[[int(b[0]) for b in branches]]
    order = np.argsort(lengths, kind="stable")
    order = order[lengths[order] > 1]

    def fits(size: int, longest: int) -> bool:
        logits = size * longest * model.vocabulary
        return logits <= _LOGITS and size <= _at_once(trunk, trunk.length + longest)

    start = 0
    while start < len(order):
        # Lengths rise, so a batch is as wide as its last row.
        size = min(_limit(_BRANCHES, model), len(order) - start)
        while size > 1 and not fits(size, int(lengths[order[start + size - 1]])):
            size -= max(1, size // 4)
        rows = order[start : start + size]
        start += size
        longest = int(lengths[rows[-1]])
        ids = np.full((size, longest), model.filler, dtype=np.int64)
        for i, row in enumerate(rows):
            ids[i, : lengths[row]] = branches[row]
        log_p = _read_branches(trunk, torch.from_numpy(ids).to(model.device))
        real = np.arange(1, longest) < lengths[rows][:, None]
        out[rows] += np.where(real, log_p, 0.0).sum(1)
    return out


def _read_branches(trunk: Trunk, ids: Any) -> Floats:
    """Log-likelihood of each token `[B, L - 1]` after the first of `ids` `[B, L]`."""
    import torch

    model, state, parts = trunk.model, _state_for(trunk, len(ids)), []
    # A single long branch is read a few tokens at a time; a batch was made to fit.
    step = max(1, _LOGITS // (len(ids) * model.vocabulary))
    with torch.inference_mode():
        for low in range(0, ids.shape[1] - 1, step):
            high = min(low + step, ids.shape[1] - 1)
            answer = model.model(ids[:, low:high], past_key_values=state, use_cache=True)
            state, logits = answer.past_key_values, answer.logits.float()
            true = logits.gather(2, ids[:, low + 1 : high + 1, None])[..., 0]
            parts.append(true - logits.logsumexp(2))
        return torch.cat(parts, 1).double().cpu().numpy()


def continue_greedily(model: LanguageModel, prefixes: NDArray[np.int64], length: int) -> NDArray:
    """Greedy continuations `[B, length]` of prefixes of one length `[B, P]`, token by token."""
    size = _at_once(grow_trunk(model, prefixes[0, :1]), prefixes.shape[1] + length)
    parts = [prefixes[low : low + size] for low in range(0, len(prefixes), size)]
    return np.concatenate([_continue(model, part, length) for part in parts])


def _continue(model: LanguageModel, prefixes: NDArray[np.int64], length: int) -> NDArray:
    import torch

    start = np.full((len(prefixes), 0 if model.start is None else 1), model.start or 0)
    given = torch.from_numpy(np.concatenate([start, prefixes], axis=1)).to(model.device)
    state, tokens = None, []
    with torch.inference_mode():
        for _ in range(length):
            answer = model.model(given, past_key_values=state, use_cache=True, logits_to_keep=1)
            state = answer.past_key_values
            given = answer.logits[:, -1].argmax(-1, keepdim=True)
            tokens.append(given)
    return torch.cat(tokens, 1).cpu().numpy()


def sample_branches(
    trunk: Trunk, length: int, count: int, top_k: int, temperature: float, seed: int
) -> NDArray[np.int64]:
    """`count` continuations `[count, length]`, drawn at a temperature and then from the top k.

    Which of them share a batch does not change what is drawn.
    """
    vocabulary = trunk.model.vocabulary
    size = min(_at_once(trunk, trunk.length + length), max(1, _LOGITS // vocabulary))
    k = min(top_k or vocabulary, vocabulary)
    parts = [slice(low, min(low + size, count)) for low in range(0, count, size)]
    drawn = [_sample(trunk, length, count, part, k, temperature, seed) for part in parts]
    return np.concatenate(drawn)


def _sample(
    trunk: Trunk, length: int, count: int, rows: slice, k: int, temperature: float, seed: int
) -> NDArray[np.int64]:
    """The `rows` of what `sample_branches` draws.

    `torch.multinomial` draws so as well: the largest quotient of a probability and a draw from the
    exponential distribution wins. Here the draws of all `count` rows are made for each part.
    """
    import torch

    model, size = trunk.model, rows.stop - rows.start
    generator = torch.Generator(device=model.device).manual_seed(seed)
    state, logits, tokens = _state_for(trunk, size), trunk.logits.expand(size, -1), []
    with torch.inference_mode():
        for step in range(length):
            best = (logits.float() / temperature).topk(k, dim=1)
            waits = torch.empty(count, k, device=model.device).exponential_(generator=generator)
            drawn = (best.values.softmax(1) / waits[rows]).argmax(1, keepdim=True)
            tokens.append(best.indices.gather(1, drawn))
            if step + 1 < length:
                answer = model.model(tokens[-1], past_key_values=state, use_cache=True)
                state, logits = answer.past_key_values, answer.logits[:, -1]
    return torch.cat(tokens, 1).cpu().numpy()
