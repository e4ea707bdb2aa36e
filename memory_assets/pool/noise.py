"""The Gaussian noise of differentially private training, one generator a model."""

from __future__ import annotations

import torch
from torch import Tensor

from memory_assets.models.recipe import Recipe
from memory_assets.pool.draws import noise_seed


class Noise:
    """Turns the sums of clipped gradients `[B, P]` into noisy means over the expected batch."""

    def __init__(self, recipe: Recipe, indices: list[int], records: int) -> None:
        assert recipe.dp is not None
        self._deviation = recipe.dp.noise_multiplier * recipe.dp.max_grad_norm
        self._batch = min(recipe.batch_size, records)
        self._generators = [
            torch.Generator().manual_seed(noise_seed(recipe, index)) for index in indices
        ]

    def add(self, gradient: Tensor) -> None:
        """Add this step's noise and divide, in place."""
        for row, generator in zip(gradient, self._generators, strict=True):
            drawn = torch.randn(row.shape, generator=generator)
            row.add_(drawn.to(row.device), alpha=self._deviation)
        gradient.div_(self._batch)
