"""The Gaussian noise of differentially private training, one generator a model."""

from __future__ import annotations

import torch
from torch import Tensor

from memory_assets.models.recipe import Recipe
from memory_assets.pool.draws import noise_seed


class Noise:
    """Adds noise to the sums of clipped gradients, both divided by the expected batch."""

    def __init__(self, recipe: Recipe, indices: list[int]) -> None:
        assert recipe.dp is not None
        deviation = recipe.dp.noise_multiplier * recipe.dp.max_grad_norm
        self._deviation = deviation / recipe.batch_size
        self._generators = [
            torch.Generator().manual_seed(noise_seed(recipe, index)) for index in indices
        ]

    def add(self, gradients: dict[str, Tensor]) -> None:
        """Add this step's noise to the gradients `[B, *shape]`, in place."""
        for gradient in gradients.values():
            for of_model, generator in zip(gradient, self._generators, strict=True):
                drawn = torch.randn(of_model.shape, generator=generator)
                of_model.add_(drawn.to(of_model.device), alpha=self._deviation)
