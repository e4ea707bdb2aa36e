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


def bytes_per_model(layers: list[Dense], layout: Layout, batch: int) -> int:
    """Memory that one model's training step runs through: parameters three times, buffers twice."""
    values = layers[0].inputs + 2 * sum(layer.outputs for layer in layers)
    return 4 * (3 * layout.size + batch * values)


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
    """The buffers of one mini-batch shape: activations and their gradients, layer by layer.

    The last layer's values lie class by class, `[B, classes, b]`: softmax over a middle axis runs
    over whole vectors, over the last axis of ten values it does not. `deltas[-1]` is the same
    memory seen as `[B, b, classes]`.
    """

    def __init__(self, layers: list[Dense], models: int, batch: int, device: str) -> None:
        self.inputs = aligned(models, batch, layers[0].inputs, device=device)
        self.activations = [aligned(models, batch, d.outputs, device=device) for d in layers[:-1]]
        self.deltas = [
            torch.empty_strided(a.shape, a.stride(), device=device) for a in self.activations
        ]
        self.out = aligned(models, layers[-1].outputs, batch, device=device)
        self.deltas.append(self.out.transpose(1, 2))
        self.ones = torch.ones(models, 1, batch, device=device)
        self.keep: dict[int, Tensor] = {}


class FusedMlp:
    """B models of `dense_layers` and the gradients of their losses.

    `parameters` and `gradient` are vectors of the layout.
    """

    def __init__(
        self, recipe: Recipe, layers: list[Dense], layout: Layout, parameters: Tensor
    ) -> None:
        self.parameters = parameters
        self.gradient = torch.zeros_like(parameters)
        self._recipe = recipe
        self._layers = layers
        self._all = weights = layout.views(parameters)
        slopes = layout.views(self.gradient)
        self._weights = [weights[f"{d.name}.weight"] for d in layers]
        self._slopes = [slopes[f"{d.name}.weight"] for d in layers]
        self._biases = [weights[f"{d.name}.bias"].unsqueeze(1) if d.bias else None for d in layers]
        self._bias_slopes = [
            slopes[f"{d.name}.bias"].unsqueeze(1) if d.bias else None for d in layers
        ]
        self._workspaces: dict[int, _Workspace] = {}

    def values(self) -> dict[str, Tensor]:
        """Parameters as trained so far, `[B, *shape]` each."""
        return self._all

    def compute(
        self, x: Tensor, y: Tensor, keys: Tensor, taken: Tensor | None, carry: float
    ) -> None:
        """Add the gradient to `carry` times the last one.

        Records are `[B, b, *record]`, labels `[B, b]`; `taken` bool `[B, b]` marks the records
        that count in a batch of differentially private training.
        """
        models, batch = y.shape
        if batch not in self._workspaces:
            self._workspaces[batch] = _Workspace(self._layers, models, batch, str(x.device))
        work = self._workspaces[batch]
        work.inputs.copy_(x.view(models, batch, -1))
        self._forward(work, keys)
        self._backward(work, y)
        if self._recipe.dp is not None and taken is not None:
            self._clip(work, taken, self._recipe.dp.max_grad_norm)
        self._collect(work, carry)

    def _forward(self, work: _Workspace, keys: Tensor) -> None:
        source, drop = work.inputs, 0
        for i, layer in enumerate(self._layers[:-1]):
            target, weight = work.activations[i], self._weights[i].transpose(1, 2)
            bias = self._biases[i]
            if bias is None:
                torch.bmm(source, weight, out=target)
            else:
                torch.baddbmm(bias, source, weight, out=target)
            target.relu_()
            if layer.dropout:
                keep = keep_mask(keys[:, drop], target[0].numel(), layer.dropout)
                work.keep[i] = keep.view(target.shape) / (1.0 - layer.dropout)
                target.mul_(work.keep[i])
                drop += 1
            source = target
        bias = self._biases[-1]
        torch.bmm(self._weights[-1], source.transpose(1, 2), out=work.out)
        if bias is not None:
            work.out.add_(bias.transpose(1, 2))

    def _backward(self, work: _Workspace, y: Tensor) -> None:
        """Deltas of cross-entropy with label smoothing: softmax minus the smoothed target."""
        smoothing = self._recipe.label_smoothing
        work.out.copy_(torch.softmax(work.out, 1))
        if smoothing:
            work.out.sub_(smoothing / work.out.shape[1])
        work.out.scatter_add_(1, y.unsqueeze(1), (smoothing - 1.0) * work.ones)
        if self._recipe.dp is None:
            work.out.div_(y.shape[1])
        for i in range(len(self._layers) - 2, -1, -1):
            below, passed = work.deltas[i], work.activations[i]
            torch.bmm(work.deltas[i + 1], self._weights[i + 1], out=below)
            if i in work.keep:
                below.mul_(work.keep[i])
            # Where dropout removed a value its delta is 0 already, so that the sign of what is
            # left says where ReLU let it through.
            torch.ops.aten.threshold_backward.grad_input(below, passed, 0, grad_input=below)

    def _clip(self, work: _Workspace, taken: Tensor, bound: float) -> None:
        """Scale each record's deltas: its whole gradient gets at most this norm, over the batch.

        The gradient of a linear layer for one record is an outer product, so that its norm is the
        product of two norms and no record's gradient is ever formed.
        """
        square = torch.zeros(taken.shape, device=taken.device)
        sources = [work.inputs, *work.activations]
        for layer, source, delta in zip(self._layers, sources, work.deltas, strict=True):
            inputs = source.square().sum(2) + float(layer.bias)
            square += delta.square().sum(2) * inputs
        factor = (bound / square.sqrt().clamp_min(1e-12)).clamp_max(1.0) * taken
        factor.div_(self._recipe.batch_size)
        for delta in work.deltas:
            delta.mul_(factor.unsqueeze(2))

    def _collect(self, work: _Workspace, carry: float) -> None:
        sources = [work.inputs, *work.activations]
        for i, (source, delta) in enumerate(zip(sources, work.deltas, strict=True)):
            slope = self._slopes[i]
            torch.baddbmm(slope, delta.transpose(1, 2), source, beta=carry, out=slope)
            bias = self._bias_slopes[i]
            if bias is not None:
                bias.mul_(carry).add_(delta.sum(1, keepdim=True))
