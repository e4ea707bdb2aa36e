"""The fast path: stacks of Linear and ReLU, forward and backward written out in batched products.

For small models the autograd machinery costs more than the arithmetic. Here one step of B models
is two or three batched matrix products a layer into buffers that are allocated once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from memory_assets.models.recipe import Recipe
from memory_assets.pool.dropout import keep_mask
from memory_assets.pool.layout import Layout, aligned


@dataclass(frozen=True)
class Dense:
    """A linear layer, whether ReLU follows it, and the dropout after that (0 for none)."""

    name: str
    inputs: int
    outputs: int
    bias: bool
    relu: bool = False
    dropout: float = 0.0


def dense_layers(module: nn.Module) -> list[Dense] | None:
    """The layers of a plain stack of Linear, ReLU and Dropout; None for any other module."""
    leaves = _leaves(module) if type(module) is nn.Sequential else []
    first = leaves[0][1] if leaves else None
    if type(first) is not nn.Flatten or first.start_dim != 1:
        return None
    if any(_watched(m) for m in module.modules()):
        return None
    if not all(parameter.requires_grad for parameter in module.parameters()):
        return None
    layers: list[Dense] = []
    for name, leaf in leaves[1:]:
        last = layers[-1] if layers else None
        # isinstance tells the type checker, `type is` keeps subclasses out.
        if isinstance(leaf, nn.Linear) and type(leaf) is nn.Linear:
            bias = leaf.bias is not None
            layers.append(Dense(name, leaf.in_features, leaf.out_features, bias))
        elif type(leaf) is nn.ReLU and last and not last.relu:
            layers[-1] = replace(last, relu=True)
        elif isinstance(leaf, nn.Dropout) and last and last.relu and 0 < leaf.p < 1:
            if type(leaf) is not nn.Dropout or last.dropout:
                return None
            layers[-1] = replace(last, dropout=leaf.p)
        else:
            return None
    # Two linear layers in a row, or ReLU after the last one, are left to the general path.
    plain = bool(layers) and all(layer.relu for layer in layers[:-1]) and not layers[-1].relu
    return layers if plain else None


def _watched(module: nn.Module) -> bool:
    return bool(module._forward_hooks or module._forward_pre_hooks or module._backward_hooks)


def _leaves(module: nn.Module, prefix: str = "") -> list[tuple[str, nn.Module]]:
    found: list[tuple[str, nn.Module]] = []
    for name, child in module.named_children():
        if type(child) is nn.Sequential:
            found += _leaves(child, f"{prefix}{name}.")
        else:
            found.append((f"{prefix}{name}", child))
    return found


class _Workspace:
    """The buffers of one mini-batch shape: activations and their gradients, layer by layer."""

    def __init__(self, layers: list[Dense], models: int, batch: int, device: str) -> None:
        first = layers[0].inputs
        self.activations = [aligned(models, batch, first, device=device)]
        self.activations += [aligned(models, batch, d.outputs, device=device) for d in layers]
        self.deltas = [aligned(models, batch, d.outputs, device=device) for d in layers]
        self.ones = torch.ones(models, 1, batch, device=device)
        self.keep: dict[int, Tensor] = {}


class FusedMlp:
    """B models of `dense_layers` and the gradients of their losses.

    `parameters` and `gradient` are the rows `[B, P]` of the layout.
    """

    def __init__(
        self, recipe: Recipe, layers: list[Dense], layout: Layout, parameters: Tensor
    ) -> None:
        self.parameters = parameters
        self.gradient = torch.zeros_like(parameters)
        self.buffers: dict[str, Tensor] = {}
        self._recipe = recipe
        self._layers = layers
        self._weights = layout.views(parameters)
        self._slopes = layout.views(self.gradient)
        self._workspaces: dict[int, _Workspace] = {}

    def compute(self, x: Tensor, y: Tensor, keys: Tensor, taken: Tensor | None) -> None:
        """Set the gradient for records `[B, b, *record]` with labels `[B, b]`."""
        models, batch = y.shape
        if batch not in self._workspaces:
            self._workspaces[batch] = _Workspace(self._layers, models, batch, str(x.device))
        work = self._workspaces[batch]
        work.activations[0].copy_(x.reshape(models, batch, -1))
        self._forward(work, keys)
        self._backward(work, y)
        if self._recipe.dp is not None and taken is not None:
            self._clip(work, taken, self._recipe.dp.max_grad_norm)
        self._collect(work)

    def _forward(self, work: _Workspace, keys: Tensor) -> None:
        drop = 0
        for i, layer in enumerate(self._layers):
            source, target = work.activations[i], work.activations[i + 1]
            weight = self._weights[f"{layer.name}.weight"].transpose(1, 2)
            if layer.bias:
                bias = self._weights[f"{layer.name}.bias"].unsqueeze(1)
                torch.baddbmm(bias, source, weight, out=target)
            else:
                torch.bmm(source, weight, out=target)
            if layer.relu:
                target.relu_()
            if layer.dropout:
                keep = keep_mask(keys[:, drop], target[0].numel(), layer.dropout)
                work.keep[i] = keep.view(target.shape) / (1.0 - layer.dropout)
                target.mul_(work.keep[i])
                drop += 1

    def _backward(self, work: _Workspace, y: Tensor) -> None:
        """Deltas of cross-entropy with label smoothing: softmax minus the smoothed target."""
        smoothing = self._recipe.label_smoothing
        out = work.deltas[-1]
        out.copy_(torch.softmax(work.activations[-1], dim=-1))
        if smoothing:
            out.sub_(smoothing / out.shape[-1])
        hit = torch.full((*y.shape, 1), smoothing - 1.0, device=y.device)
        out.scatter_add_(2, y.unsqueeze(2), hit)
        if self._recipe.dp is None:
            out.div_(y.shape[1])
        for i in range(len(self._layers) - 1, 0, -1):
            weight = self._weights[f"{self._layers[i].name}.weight"]
            below = work.deltas[i - 1]
            torch.bmm(work.deltas[i], weight, out=below)
            if i - 1 in work.keep:
                below.mul_(work.keep[i - 1])
            # A value that dropout removed has gradient 0 already, so that the sign after both says
            # where ReLU let it through.
            torch.ops.aten.threshold_backward.grad_input(
                below, work.activations[i], 0, grad_input=below
            )

    def _clip(self, work: _Workspace, taken: Tensor, bound: float) -> None:
        """Scale each record's deltas so that its whole gradient has at most this norm.

        The gradient of a linear layer for one record is an outer product, so that its norm is the
        product of two norms and no record's gradient is ever formed.
        """
        square = torch.zeros(taken.shape, device=taken.device)
        for i, layer in enumerate(self._layers):
            inputs = work.activations[i].square().sum(2)
            square += work.deltas[i].square().sum(2) * (inputs + 1.0 if layer.bias else inputs)
        factor = (bound / square.sqrt().clamp_min(1e-12)).clamp_max(1.0) * taken
        for delta in work.deltas:
            delta.mul_(factor.unsqueeze(2))

    def _collect(self, work: _Workspace) -> None:
        for i, layer in enumerate(self._layers):
            delta = work.deltas[i]
            slope = self._slopes[f"{layer.name}.weight"]
            torch.bmm(delta.transpose(1, 2), work.activations[i], out=slope)
            if layer.bias:
                bias = self._slopes[f"{layer.name}.bias"].unsqueeze(1)
                torch.bmm(work.ones, delta, out=bias)
