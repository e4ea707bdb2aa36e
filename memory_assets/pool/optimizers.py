"""The optimizers of the recipe, over all parameters of all models in one vector.

The formulas are those of `torch.optim` (its defaults for what a recipe does not name), so that a
model trained here has the parameters that an ordinary training loop would give it.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from memory_assets.models.recipe import Recipe

_BETA1, _BETA2, _EPSILON = 0.9, 0.999, 1e-8


def learning_rate(recipe: Recipe, step: int, steps: int) -> float:
    """The learning rate of this step (counted from 0) of so many."""
    if recipe.schedule == "cosine":
        return recipe.lr * 0.5 * (1.0 + math.cos(math.pi * step / steps))
    return recipe.lr


class Sgd:
    """SGD with momentum and L2 weight decay.

    `carry` is the share of the last gradient that the next one is added to: with the gradient
    carried over, momentum costs neither memory nor time of its own.
    """

    def __init__(self, recipe: Recipe) -> None:
        self.carry = recipe.momentum
        self._decay = recipe.weight_decay

    def step(self, parameters: Tensor, gradient: Tensor, lr: float) -> None:
        """Update the parameters in place; what is in `gradient` then is carried over."""
        if self._decay:
            gradient.add_(parameters, alpha=self._decay)
        parameters.add_(gradient, alpha=-lr)


class Adam:
    """Adam, its weight decay in the gradient (`adam`) or apart from it (`adamw`)."""

    carry = 0.0

    def __init__(self, recipe: Recipe, parameters: Tensor) -> None:
        self._decay = recipe.weight_decay
        self._decoupled = recipe.optimizer == "adamw"
        self._mean = torch.zeros_like(parameters)
        self._square = torch.zeros_like(parameters)
        self._steps = 0

    def step(self, parameters: Tensor, gradient: Tensor, lr: float) -> None:
        """Update the parameters in place; the gradient may be overwritten."""
        self._steps += 1
        if self._decay and self._decoupled:
            parameters.mul_(1.0 - lr * self._decay)
        elif self._decay:
            gradient.add_(parameters, alpha=self._decay)
        self._mean.lerp_(gradient, 1.0 - _BETA1)
        self._square.mul_(_BETA2).addcmul_(gradient, gradient, value=1.0 - _BETA2)
        correction = math.sqrt(1.0 - _BETA2**self._steps)
        denominator = self._square.sqrt().div_(correction).add_(_EPSILON)
        parameters.addcdiv_(self._mean, denominator, value=-lr / (1.0 - _BETA1**self._steps))


def make_optimizer(recipe: Recipe, parameters: Tensor) -> Sgd | Adam:
    """The optimizer that the recipe names, for a vector of parameters."""
    return Sgd(recipe) if recipe.optimizer == "sgd" else Adam(recipe, parameters)
