"""A recipe: how a model of this subject is built and trained, as plain data with a digest."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a training run except the records and the random draw.

    `model` names a factory `package.module:function` that returns an untrained `nn.Module`
    mapping `[batch, *record]` float32 to logits `[batch, classes]`; `model_args` are its keyword
    arguments. `lr` is the peak learning rate, `epochs` whole passes over the training records.
    A model's own seed is derived from `seed` and its index in the pool.
    """

    model: str
    model_args: dict[str, Any] = field(default_factory=dict)
    optimizer: Literal["sgd", "adam", "adamw"] = "sgd"
    lr: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 0.0
    epochs: int = 30
    batch_size: int = 64
    schedule: Literal["constant", "cosine"] = "constant"
    label_smoothing: float = 0.0
    seed: int = 0
