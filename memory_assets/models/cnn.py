"""The shipped convolutional network."""

from __future__ import annotations

from torch import nn


def small_cnn(
    channels: int = 1, size: int = 28, width: int = 16, classes: int = 10, batch_norm: bool = False
) -> nn.Sequential:
    """Two 3x3 convolutions, each halved by max pooling, and one linear layer.

    Records are `[channels, size, size]`; `size` is a multiple of 4.
    """

    def block(inputs: int, outputs: int) -> list[nn.Module]:
        norm = [nn.BatchNorm2d(outputs)] if batch_norm else []
        return [nn.Conv2d(inputs, outputs, 3, padding=1), *norm, nn.ReLU(), nn.MaxPool2d(2)]

    return nn.Sequential(
        *block(channels, width),
        *block(width, 2 * width),
        nn.Flatten(),
        nn.Linear(2 * width * (size // 4) ** 2, classes),
    )
