"""Shifts and flips of images: while training, and as several queries of one record."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from memory_assets.errors import InputError


def move(x: Tensor, moves: Tensor) -> Tensor:
    """Images `[b, (channels,) height, width]`, each moved by its row of `moves` (see `Batch`).

    What moves in from outside is 0.

    Raises:
        InputError: the records are no images.
    """
    if x.ndim not in (3, 4):
        raise InputError(
            f"recipe.shift or flip: records of shape {list(x.shape[1:])} are no images; "
            "expected [height, width] or [channels, height, width]"
        )
    images = x if x.ndim == 4 else x.unsqueeze(1)
    count, channels, height, width = images.shape
    reach = int(moves[:, :2].abs().max()) if count else 0
    padded = nn.functional.pad(images, (reach, reach, reach, reach))
    rows = torch.arange(height, device=x.device) + reach - moves[:, :1]
    columns = torch.arange(width, device=x.device).expand(count, width)
    columns = torch.where(moves[:, 2:].bool(), width - 1 - columns, columns)
    columns = columns + reach - moves[:, 1:2]
    moved = padded[
        torch.arange(count, device=x.device).view(-1, 1, 1, 1),
        torch.arange(channels, device=x.device).view(1, -1, 1, 1),
        rows.view(count, 1, height, 1),
        columns.view(count, 1, 1, width),
    ]
    return moved.view(x.shape)
