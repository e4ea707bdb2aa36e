"""Small modules of every kind that the trainer must take, as recipes name them."""

from __future__ import annotations

import builtins

import torch
from torch import Tensor, nn


class Wrapped(nn.Module):
    """Hides a module's type, so that it takes the general path."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x)


def dense(hidden: int = 33, dropout: float = 0.0, inputs: int = 12) -> nn.Sequential:
    drop = [nn.Dropout(dropout)] if dropout else []
    return nn.Sequential(
        nn.Flatten(), nn.Linear(inputs, hidden), nn.ReLU(), *drop, nn.Linear(hidden, 3)
    )


def linear() -> nn.Sequential:
    return nn.Sequential(nn.Flatten(), nn.Linear(12, 3, bias=False))


def wrapped_dense(hidden: int = 33, dropout: float = 0.0) -> nn.Module:
    return Wrapped(dense(hidden, dropout))


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(12, 20)
        self.norm = nn.BatchNorm1d(20)
        self.second = nn.Linear(20, 20)
        self.layer_norm = nn.LayerNorm(20)
        self.dropout = nn.Dropout(0.3)
        self.last = nn.Linear(20, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.relu(self.norm(self.first(x)))
        return self.last(h + self.dropout(torch.relu(self.second(self.layer_norm(h)))))


class Attention(nn.Module):
    """Records are 7 token numbers below 10."""

    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__()
        self.embedding = nn.Embedding(10, 16)
        self.block = nn.TransformerEncoderLayer(16, 2, 32, dropout=dropout, batch_first=True)
        self.last = nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.block(self.embedding(x.long())).mean(1))


def convolution() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3)
    )


def plain_convolution(kind: str = "usual") -> nn.Module:
    """Records are `[1, 4, 4]`; what the written-out path for images has to get right."""
    head = [nn.Flatten(), nn.Linear(24, 5), nn.ReLU(), nn.Dropout(0.4), nn.Linear(5, 3)]
    if kind == "usual":
        body = [nn.Conv2d(1, 5, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        return nn.Sequential(*body, nn.Conv2d(5, 6, 3, padding=1), nn.ReLU(), *head)
    if kind == "pooled first":  # overlapping windows, strides, no bias, groups, no ReLU at the end
        body = [nn.Conv2d(1, 4, 2, bias=False), nn.MaxPool2d(2, stride=1), nn.ReLU()]
        return nn.Sequential(
            *body, nn.Conv2d(4, 6, 2, stride=2, padding=1, groups=2), nn.Flatten(), nn.Linear(24, 3)
        )
    assert kind == "nested"
    body = nn.Sequential(nn.Conv2d(1, 6, 3), nn.ReLU())
    return nn.Sequential(body, nn.Flatten(), nn.Sequential(nn.Linear(24, 3)))


def shared(kind: str) -> nn.Module:
    """Stacks whose names do not tell all: one layer at two places, or one ReLU at two."""
    layer, act = nn.Linear(12, 12), nn.ReLU()
    middle = layer if kind == "layer" else nn.Linear(12, 12)
    return nn.Sequential(nn.Flatten(), layer, act, middle, act, nn.Linear(12, 3))


class Branching(nn.Module):
    """Its control flow depends on the data, which no stack can follow."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(12, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(x if x.sum() > 0 else -x)


class Untransformed(nn.Module):
    """Looks at its input in a way that only plain tensors allow, and says so by this error."""

    def __init__(self, error: str) -> None:
        super().__init__()
        self.error = getattr(builtins, error)
        self.last = nn.Linear(12, 3)

    def forward(self, x: Tensor) -> Tensor:
        if torch._C._functorch.maybe_current_level() is not None:
            raise self.error("knows no vmap")
        return self.last(x)


def frozen() -> nn.Module:
    model = Wrapped(dense())
    for parameter in model.inner[1].parameters():  # type: ignore[index]
        parameter.requires_grad_(False)
    return model


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(12, 12)
        self.second = nn.Linear(12, 12)
        self.second.weight = self.first.weight
        self.last = nn.Linear(12, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.tanh(self.second(torch.tanh(self.first(x)))))


def not_a_module() -> int:
    return 3


def fit(x, y, seed):
    """A training callable: the class means, and a softmax of the distances to them."""
    import numpy as np

    means = np.stack([x[y == c].mean(0) for c in range(3)])

    def predict(z):
        distance = -((z[:, None] - means) ** 2).sum(-1) + 1e-9 * (seed % 7)
        p = np.exp(distance - distance.max(1, keepdims=True))
        return p / p.sum(1, keepdims=True)

    return predict
