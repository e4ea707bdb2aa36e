"""The general path: any module that `torch.func` can stack, B models under one vmap."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from memory_assets.models.recipe import Recipe
from memory_assets.pool.dropout import KEY
from memory_assets.pool.layout import Layout

_POSITION = 0x3C6EF372  # spreads the records of a batch over dropout keys


class Stacked:
    """B models of one architecture and the gradients of their losses.

    `parameters` and `gradient` are vectors of the layout; `buffers` (normalization
    statistics, frozen parameters) are `[B, *shape]` and change while the models train.
    """

    def __init__(
        self,
        recipe: Recipe,
        template: nn.Module,
        layout: Layout,
        parameters: Tensor,
        buffers: dict[str, Tensor],
    ) -> None:
        self.parameters = parameters
        self.gradient = torch.zeros_like(parameters)
        self.buffers = buffers
        self._recipe = recipe
        self._template = template
        self._weights = layout.views(parameters)
        self._slopes = layout.views(self.gradient)
        self._keys = [n for n, _ in template.named_buffers() if n.rpartition(".")[2] == KEY]
        one = self._private if recipe.dp is not None else self._mean
        self._gradients: Callable[..., dict[str, Tensor]] = vmap(one, randomness="error")

    def values(self) -> dict[str, Tensor]:
        """Parameters and buffers as trained so far, `[B, *shape]` each."""
        return {**self._weights, **self.buffers}

    def compute(
        self, x: Tensor, y: Tensor, keys: Tensor, taken: Tensor | None, carry: float
    ) -> None:
        """Add the gradient to `carry` times the last one (see `FusedMlp.compute`)."""
        weight = torch.ones(y.shape, device=y.device) if taken is None else taken.float()
        # The fused attention kernels have no batching rule.
        with sdpa_kernel(SDPBackend.MATH):
            found = self._gradients(self._weights, self.buffers, x, y, keys, weight)
        for name, slope in self._slopes.items():
            slope.mul_(carry).add_(found[name])

    def _loss(
        self,
        weights: dict[str, Tensor],
        buffers: dict[str, Tensor],
        x: Tensor,
        y: Tensor,
        keys: Tensor,
    ) -> Tensor:
        own = {name: keys[i] for i, name in enumerate(self._keys)}
        with torch.autocast(
            x.device.type, torch.bfloat16, enabled=self._recipe.precision == "bfloat16"
        ):
            logits = functional_call(self._template, {**weights, **buffers, **own}, (x,))
        return nn.functional.cross_entropy(
            logits.float(), y, label_smoothing=self._recipe.label_smoothing
        )

    def _mean(
        self,
        weights: dict[str, Tensor],
        buffers: dict[str, Tensor],
        x: Tensor,
        y: Tensor,
        keys: Tensor,
        weight: Tensor,
    ) -> dict[str, Tensor]:
        del weight
        return grad(self._loss)(weights, buffers, x, y, keys)

    def _private(
        self,
        weights: dict[str, Tensor],
        buffers: dict[str, Tensor],
        x: Tensor,
        y: Tensor,
        keys: Tensor,
        weight: Tensor,
    ) -> dict[str, Tensor]:
        """The sum of every record's own gradient, clipped, over the expected batch size."""
        assert self._recipe.dp is not None

        def of_record(x: Tensor, y: Tensor, position: Tensor) -> dict[str, Tensor]:
            own = keys + position * _POSITION
            return grad(self._loss)(weights, buffers, x[None], y[None], own)

        positions = torch.arange(len(y), dtype=torch.int32, device=y.device)
        each = vmap(of_record, randomness="error")(x, y, positions)
        square = sum(g.flatten(1).square().sum(1) for g in each.values())
        norm = torch.as_tensor(square).sqrt().clamp_min(1e-12)
        bound, batch = self._recipe.dp.max_grad_norm, self._recipe.batch_size
        factor = (bound / norm).clamp_max(1.0) * weight / batch
        return {name: torch.einsum("b,b...->...", factor, g) for name, g in each.items()}


def stack_rest(
    modules: list[nn.Module], layout: Layout, keys: list[str], device: str
) -> dict[str, Tensor]:
    """Buffers and frozen parameters `[B, *shape]`: what is not in the layout nor a dropout key."""
    trained = {segment.name for segment in layout.segments} | set(keys)
    rest = [dict([*m.named_parameters(), *m.named_buffers()]) for m in modules]
    return {
        name: torch.stack([of_model[name].detach() for of_model in rest]).to(device)
        for name in rest[0]
        if name not in trained
    }
