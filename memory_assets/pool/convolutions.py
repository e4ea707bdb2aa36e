"""The fast path for small image models on a CPU: convolutions in front of a written-out head.

Stacking gains nothing for convolutions there, so that one model trains at a time. What is saved is
everything around the products: no autograd, channels last all the way, ReLU after pooling (a
quarter of the values, and the same result: ReLU is monotone), no gradient of the images.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from memory_assets.models.recipe import Recipe
from memory_assets.pool.fused import Dense, FusedMlp, dense_stack, trained_leaves
from memory_assets.pool.layout import Layout

_ATEN = torch.ops.aten


@dataclass(frozen=True)
class Convolution:
    """A convolution, whether ReLU follows it, and the max pooling with it (None for none)."""

    name: str
    conv: nn.Conv2d
    relu: bool
    pool: nn.MaxPool2d | None

    @property
    def arguments(self) -> tuple:
        """Stride, padding, dilation, transposed, output padding and groups, as ATen takes them."""
        c = self.conv
        return list(c.stride), list(c.padding), list(c.dilation), False, [0, 0], c.groups


def convolution_layers(module: nn.Module) -> tuple[list[Convolution], list[Dense]] | None:
    """The layers of a plain stack of Conv2d (each with ReLU and MaxPool2d), Flatten and Linear.

    None for any other module.
    """
    leaves = trained_leaves(module)
    ends = [i for i, (_, leaf) in enumerate(leaves) if type(leaf) is nn.Flatten]
    head = dense_stack(leaves[ends[0] :]) if ends else None
    if head is None:
        return None
    layers: list[Convolution] = []
    rest = leaves[: ends[0]]
    while rest:
        (name, conv), *rest = rest
        if not isinstance(conv, nn.Conv2d) or type(conv) is not nn.Conv2d:
            return None
        if conv.padding_mode != "zeros" or isinstance(conv.padding, str):
            return None
        relu, pool = False, None
        while rest and type(rest[0][1]) is not nn.Conv2d:
            (_, leaf), *rest = rest
            if type(leaf) is nn.ReLU and not relu:
                relu = True
            elif isinstance(leaf, nn.MaxPool2d) and type(leaf) is nn.MaxPool2d and pool is None:
                if leaf.return_indices:
                    return None
                pool = leaf
            else:
                return None
        layers.append(Convolution(name, conv, relu, pool))
    return (layers, head) if layers else None


class FusedCnn:
    """One model of `convolution_layers` and the gradient of its loss (see `FusedMlp`).

    `record` is the shape of one image. Kernels, and the weights of the layer that reads the last
    feature maps, lie in the same memory with their channels last, so that nothing is ever turned.
    """

    def __init__(
        self,
        recipe: Recipe,
        layers: list[Convolution],
        head: list[Dense],
        layout: Layout,
        parameters: Tensor,
        record: torch.Size,
    ) -> None:
        self._head = FusedMlp(recipe, head, layout, parameters)
        self._layers = layers
        self.parameters, self.gradient = parameters, self._head.gradient
        self._all = dict(self._head.values())
        slopes = layout.views(self.gradient)
        self._weights: list[tuple[Tensor, Tensor | None]] = []
        self._slopes: list[tuple[Tensor, Tensor | None]] = []
        for layer in layers:
            name, bias = f"{layer.name}.weight", f"{layer.name}.bias"
            self._all[name] = _turn(self._all[name][0])[None]
            slope = channels_last(slopes[name][0])
            self._weights.append((self._all[name][0], self._bias(self._all, bias)))
            self._slopes.append((slope, self._bias(slopes, bias)))
        maps = self._convolve(torch.zeros(1, *record))[-1].out
        self._read = f"{head[0].name}.weight"
        self._all[self._read] = _turn(self._all[self._read].view(-1, *maps.shape[1:]))[None]

    @staticmethod
    def _bias(views: dict[str, Tensor], name: str) -> Tensor | None:
        return views[name][0] if name in views else None

    def values(self) -> dict[str, Tensor]:
        """Parameters as trained so far, `[1, *shape]` each."""
        return {**self._all, self._read: self._all[self._read].flatten(2)}

    def compute(
        self, x: Tensor, y: Tensor, keys: Tensor, taken: Tensor | None, carry: float
    ) -> None:
        """Add the gradient to `carry` times the last one (see `FusedMlp.compute`)."""
        passed = self._convolve(x[0])
        maps = passed[-1].out.permute(0, 2, 3, 1)
        self._head.compute(maps.flatten(1)[None], y, keys, taken, carry)
        slope = self._head.input_slope(y)[0].div_(y.shape[1])
        self._backward(passed, slope.view(maps.shape).permute(0, 3, 1, 2), carry)

    def _convolve(self, images: Tensor) -> list[_Passed]:
        images = channels_last(torch.empty_like(images)).copy_(images)
        passed: list[_Passed] = []
        for layer, (weight, bias) in zip(self._layers, self._weights, strict=True):
            out = found = _ATEN.convolution(images, weight, bias, *layer.arguments)
            where = None
            if layer.pool is not None:
                out, where = _ATEN.max_pool2d_with_indices(found, *_pooling(layer.pool))
            if layer.relu:
                out.relu_()
            passed.append(_Passed(images, found, where, out))
            images = out
        return passed

    def _backward(self, passed: list[_Passed], slope: Tensor, carry: float) -> None:
        """Down to the first kernel, from the loss's gradient in the last feature maps."""
        for i in range(len(passed) - 1, -1, -1):
            layer, (images, found, where, out) = self._layers[i], passed[i]
            if layer.relu:
                _ATEN.threshold_backward.grad_input(slope, out, 0, grad_input=slope)
            if layer.pool is not None:
                slope = _ATEN.max_pool2d_with_indices_backward(
                    slope, found, *_pooling(layer.pool), where
                )
            weight, bias = self._weights[i]
            channels = None if bias is None else [len(bias)]
            slope, *gradients = _ATEN.convolution_backward(
                slope, images, weight, channels, *layer.arguments, [i > 0, True, bias is not None]
            )
            for held, gradient in zip(self._slopes[i], gradients, strict=True):
                if held is not None:
                    held.mul_(carry).add_(gradient)


class _Passed(NamedTuple):
    """What the way back through one layer needs: what came in, was found, from where, went out."""

    images: Tensor
    found: Tensor
    where: Tensor | None
    out: Tensor


def _turn(value: Tensor) -> Tensor:
    """The same values in the same memory, but with the channels last."""
    turned = channels_last(value)
    return turned.copy_(value.clone())


def channels_last(x: Tensor) -> Tensor:
    """This contiguous memory, seen with the channels last.

    `torch.channels_last` is not enough: with one channel it leaves the strides as they are, and the
    convolution falls back to the slower format.
    """
    count, channels, height, width = x.shape
    return x.view(count, height, width, channels).permute(0, 3, 1, 2)


def _pooling(pool: nn.MaxPool2d) -> tuple:
    sizes = (pool.kernel_size, pool.stride, pool.padding, pool.dilation)
    return *([n, n] if isinstance(n, int) else list(n) for n in sizes), pool.ceil_mode
