"""Dropout whose masks are a pure function of a key: the same alone, in a stack, or under vmap.

torch's own dropout draws from one generator for all models, so a model's masks would depend on
which others are trained beside it. Here a mask is a hash of the key (drawn per model, step and
layer) and the position of the value.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

KEY = "dropout_key"


def _signed(value: int) -> int:
    return value - (1 << 32) if value >= 1 << 31 else value


_GOLDEN, _MIX1, _MIX2 = _signed(0x9E3779B1), _signed(0x85EBCA6B), _signed(0xC2B2AE35)


def keep_mask(key: Tensor, count: int, probability: float) -> Tensor:
    """Bool `[..., count]`: each value is kept with 1 - probability; `key` is int32 `[..., 2]`."""
    x = torch.arange(count, dtype=torch.int32, device=key.device) * _GOLDEN
    x = x ^ key[..., :1]
    x = (x ^ ((x >> 15) & 0x1FFFF)) * _MIX1 + key[..., 1:]
    x = (x ^ ((x >> 13) & 0x7FFFF)) * _MIX2
    x = (x ^ ((x >> 16) & 0xFFFF)) & 0x7FFFFFFF
    return x >= int(probability * 0x7FFFFFFF)


class KeyedDropout(nn.Module):
    """Stands for one of torch's dropout modules while a pool model trains."""

    def __init__(self, probability: float, whole_channels: bool) -> None:
        super().__init__()
        self.probability = probability
        self.whole_channels = whole_channels
        self.register_buffer(KEY, torch.zeros(2, dtype=torch.int32), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        shape = x.shape[:2] + (1,) * (x.ndim - 2) if self.whole_channels else x.shape
        keep = keep_mask(self.get_buffer(KEY), shape.numel(), self.probability).view(shape)
        return x * keep / (1.0 - self.probability)


def replace_dropout(module: nn.Module) -> list[str]:
    """Put keyed dropout in the place of torch's, in place; the names of the key buffers."""
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            plain = isinstance(child, nn.Dropout | nn.Dropout1d | nn.Dropout2d | nn.Dropout3d)
            if plain and 0 < child.p < 1:
                keyed = KeyedDropout(child.p, not isinstance(child, nn.Dropout))
                setattr(parent, name, keyed.train(child.training))
    return [name for name, _ in module.named_buffers() if name.rpartition(".")[2] == KEY]
