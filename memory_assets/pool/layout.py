"""Where the parameters of stacked models lie: in one vector, every tensor aligned.

Matrix products and vectorized loops may round differently for data that starts at another
alignment, or that falls into the scalar tail of a loop. With every tensor of every model on a
64-byte boundary and no tail in any loop, a model's arithmetic is the same wherever it lies in a
block.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

_ALIGN = 16  # float32 values in 64 bytes
_ROW = 64  # a whole number of unrolled vector steps, so that elementwise loops have no tail


def _up(count: int, unit: int) -> int:
    return -(-count // unit) * unit


@dataclass(frozen=True)
class Segment:
    """One parameter's place: values `start` to `start + padded` of each model's share."""

    name: str
    shape: torch.Size
    start: int
    padded: int


@dataclass(frozen=True)
class Layout:
    """The trained parameters of B models in one vector, parameter by parameter.

    Each model has a share of `size` values; a parameter's B copies lie next to each other, since
    batched products only run as one call on tensors without gaps.
    """

    segments: tuple[Segment, ...]
    size: int

    @classmethod
    def of(cls, module: nn.Module) -> Layout:
        segments, start = [], 0
        for name, parameter in module.named_parameters():
            if parameter.requires_grad:
                padded = _up(parameter.numel(), _ALIGN)
                segments.append(Segment(name, parameter.shape, start, padded))
                start += padded
        return cls(tuple(segments), _up(max(start, 1), _ROW))

    def views(self, flat: Tensor) -> dict[str, Tensor]:
        """The parameters `[B, *shape]` inside the vector `flat` `[B * size]`."""
        models = len(flat) // self.size
        views = {}
        for s in self.segments:
            part = flat[s.start * models : (s.start + s.padded) * models].view(models, s.padded)
            views[s.name] = part[:, : s.shape.numel()].view(models, *s.shape)
        return views

    def stack(self, modules: list[nn.Module], device: str) -> Tensor:
        """The vector `[B * size]` of these modules' parameters."""
        flat = torch.zeros(len(modules) * self.size, dtype=torch.float32)
        for name, view in self.views(flat).items():
            for row, module in zip(view, modules, strict=True):
                row.copy_(module.get_parameter(name).detach())
        return flat.to(device)


def aligned(batch: int, *shape: int, device: str = "cpu") -> Tensor:
    """An empty float32 tensor `[batch, *shape]` whose every item starts on a 64-byte boundary."""
    count = math.prod(shape)
    storage = torch.empty(batch, _up(count, _ALIGN), dtype=torch.float32, device=device)
    return storage[:, :count].view(batch, *shape)
