"""One model at a time, for modules that cannot be stacked and where stacking does not pay."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from memory_assets.models.recipe import Recipe
from memory_assets.pool.convolutions import channels_last
from memory_assets.pool.dropout import KEY
from memory_assets.pool.layout import Layout


class Single:
    """One model in an ordinary autograd step, its parameters in a vector of the layout.

    Image models compute in the memory format with the channels last, which is the faster one for
    convolutions on a CPU.
    """

    def __init__(
        self, recipe: Recipe, module: nn.Module, layout: Layout, parameters: Tensor
    ) -> None:
        self.parameters = parameters
        self.gradient = torch.zeros_like(parameters)
        self._recipe = recipe
        self._module = module
        self._keys = [n for n, _ in module.named_buffers() if n.rpartition(".")[2] == KEY]
        self._images = any(isinstance(m, nn.Conv2d) for m in module.modules())
        slopes = layout.views(self.gradient)
        for name, view in layout.views(parameters).items():
            parameter = module.get_parameter(name)
            value, slope = view[0], slopes[name][0]
            if self._images and value.ndim == 4:
                value, slope = channels_last(value), channels_last(slope)
                value.copy_(parameter.detach())
            parameter.data, parameter.grad = value, slope

    def values(self) -> dict[str, Tensor]:
        """Nothing: the module itself holds its parameters and buffers."""
        return {}

    def compute(
        self, x: Tensor, y: Tensor, keys: Tensor, taken: Tensor | None, carry: float
    ) -> None:
        """Add the gradient to `carry` times the last one (see `FusedMlp.compute`)."""
        del taken
        for i, name in enumerate(self._keys):
            self._module.get_buffer(name).copy_(keys[0, i])
        x = x[0]
        if self._images and x.ndim == 4:
            x = channels_last(torch.empty_like(x)).copy_(x)
        self.gradient.mul_(carry)
        with torch.autocast(
            x.device.type, torch.bfloat16, enabled=self._recipe.precision == "bfloat16"
        ):
            logits = self._module(x)
        smoothing = self._recipe.label_smoothing
        nn.functional.cross_entropy(logits.float(), y[0], label_smoothing=smoothing).backward()
