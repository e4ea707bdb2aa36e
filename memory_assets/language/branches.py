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
_LOGITS = 1 << 23


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


def _state_for(trunk: Trunk, size: int) -> Any:
    # Reading a continuation changes the state in place: each batch has a copy.
    state = copy.deepcopy(trunk.state)
    state.batch_repeat_interleave(size)
    return state


def branch_log_p(trunk: Trunk, branches: Sequence[Ids]) -> Floats:
    """Log-likelihood in nats of each continuation of the trunk, `[B]`."""
    import torch

    model = trunk.model
    out = np.zeros(len(branches))
    lengths = np.array([len(b) for b in branches])
    first = torch.log_softmax(trunk.logits, -1).double().cpu().numpy()
    out += first[[int(b[0]) for b in branches]]
    order = np.argsort(lengths, kind="stable")
    order = order[lengths[order] > 1]
    limit = _BRANCHES.get(model.device.split(":")[0], _BRANCHES["cpu"])
    start = 0
    while start < len(order):
        # Lengths rise, so a batch is as wide as its last row.
        size = min(limit, len(order) - start)
        while size > 1 and size * lengths[order[start + size - 1]] * model.vocabulary > _LOGITS:
            size -= max(1, size // 4)
        rows = order[start : start + size]
        start += size
        longest = int(lengths[rows[-1]])
        ids = np.full((size, longest), model.filler, dtype=np.int64)
        for i, row in enumerate(rows):
            ids[i, : lengths[row]] = branches[row]
        with torch.inference_mode():
            given = torch.from_numpy(ids).to(model.device)
            logits = model.model(
                given[:, :-1], past_key_values=_state_for(trunk, size), use_cache=True
            ).logits.float()
            log_p = logits.gather(2, given[:, 1:, None])[..., 0] - logits.logsumexp(2)
        real = np.arange(1, longest) < lengths[rows][:, None]
        out[rows] += np.where(real, log_p.double().cpu().numpy(), 0.0).sum(1)
    return out


def continue_greedily(model: LanguageModel, prefixes: NDArray[np.int64], length: int) -> NDArray:
    """Greedy continuations `[B, length]` of prefixes of one length `[B, P]`, token by token."""
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
    """`count` continuations `[count, length]`, drawn at a temperature and then from the top k."""
    import torch

    model = trunk.model
    generator = torch.Generator(device=model.device).manual_seed(seed)
    state, logits, tokens = _state_for(trunk, count), trunk.logits.expand(count, -1), []
    with torch.inference_mode():
        for step in range(length):
            scaled = logits.float() / temperature
            k = min(top_k or scaled.shape[1], scaled.shape[1])
            best = scaled.topk(k, dim=1)
            drawn = torch.multinomial(best.values.softmax(1), 1, generator=generator)
            tokens.append(best.indices.gather(1, drawn))
            if step + 1 < length:
                answer = model.model(tokens[-1], past_key_values=state, use_cache=True)
                state, logits = answer.past_key_values, answer.logits[:, -1]
    return torch.cat(tokens, 1).cpu().numpy()
