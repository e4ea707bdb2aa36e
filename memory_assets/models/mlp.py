"""The shipped multi-layer perceptron."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn


def mlp(
    inputs: int = 64, hidden: int | Sequence[int] = 128, classes: int = 10, dropout: float = 0.0
) -> nn.Sequential:
    """Linear layers with ReLU between them; `hidden` is one width, or one for every hidden layer.

    Records of any shape are flattened to `inputs` numbers. A stack of this form is what the
    pool's trainer has its written-out fast path for.
    """
    widths = [hidden] if isinstance(hidden, int) else list(hidden)
    layers: list[nn.Module] = [nn.Flatten()]
    for width in widths:
        layers += [nn.Linear(inputs, width), nn.ReLU()]
        if dropout:
            layers.append(nn.Dropout(dropout))
        inputs = width
    return nn.Sequential(*layers, nn.Linear(inputs, classes))
