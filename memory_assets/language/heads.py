"""From last hidden states to logits, a few positions at a time: how does a model do that?

Logits of a long text over a large vocabulary fill gigabytes, hidden states do not. Most models
apply one output layer; some scale or cap what it gives. Which, is found out by trying.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from memory_assets.errors import InputError

if TYPE_CHECKING:
    import torch

Head = Literal["layer", "model", "whole"]
"""How logits come of last hidden states: by the output layer alone; by all that the model does
after its body; or only together with the whole pass, every position at once."""


def through_layer(model: Any, hidden: torch.Tensor) -> torch.Tensor:
    """The output layer of hidden states `[..., width]`."""
    return model.get_output_embeddings()(hidden)


def through_model(model: Any, hidden: torch.Tensor) -> torch.Tensor:
    """All that a model makes of last hidden states `[P, width]`: logits `[P, V]`.

    Its body is replaced for one call by the states that are given.
    """
    import torch
    from transformers.modeling_outputs import MoeModelOutputWithPast

    body = model.base_model
    states = MoeModelOutputWithPast(last_hidden_state=hidden[None])  # pyright: ignore[reportArgumentType]
    body.forward = lambda *_, **__: states
    try:
        filler = torch.zeros((1, len(hidden)), dtype=torch.long, device=hidden.device)
        return model(filler, use_cache=False).logits[0]
    finally:
        del body.forward


_WAYS: dict[Head, Callable[[Any, torch.Tensor], torch.Tensor]] = {
    "layer": through_layer,
    "model": through_model,
}


def find_head(model: Any, device: str) -> Head:
    """Try on a few tokens which way gives the logits of a whole pass.

    Raises:
        InputError: the model has no output layer over a vocabulary.
    """
    import torch

    if model.get_output_embeddings() is None:
        raise InputError("model: it has no output layer over a vocabulary; expected a causal model")
    ids = torch.tensor([[1, 2, 1, 3]], device=device)
    with torch.inference_mode():
        whole = model(ids, use_cache=False).logits[0]
        for name, way in _WAYS.items():
            try:
                hidden = model.base_model(ids, use_cache=False).last_hidden_state[0]
                parts = way(model, hidden)
            except (AttributeError, RuntimeError, TypeError, ValueError, IndexError, KeyError):
                continue
            if parts.shape == whole.shape and torch.allclose(whole, parts, rtol=1e-5, atol=1e-5):
                return name
    return "whole"
