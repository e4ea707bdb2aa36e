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
    return dense_stack(trained_leaves(module))


def trained_leaves(module: nn.Module) -> list[tuple[str, nn.Module]]:
    """Name and module of what a plain Sequential holds, in order; nothing for any other module.

    Nothing too where a hook watches a layer, a parameter is not trained, or layers share one:
    there is more to such a model than its layers say.
    """
    plain = type(module) is nn.Sequential and not any(_watched(m) for m in module.modules())
    trained = all(parameter.requires_grad for parameter in module.parameters())
    places = list(module.named_parameters(remove_duplicate=False))
    shared = len(places) > len(list(module.parameters()))
    return _leaves(module) if plain and trained and not shared else []


def dense_stack(leaves: list[tuple[str, nn.Module]]) -> list[Dense] | None:
    """The layers that these leaves are, of which the first flattens; None if they are others."""
    first = leaves[0][1] if leaves else None
    if type(first) is not nn.Flatten or first.start_dim != 1 or first.end_dim != -1:
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
    for name, child in module._modules.items():  # one for each place, if a layer has several
        assert child is not None
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

    def __init__(self, recipe: Recipe, layers: list[Dense], models: int, batch: int, device: str):
        self.inputs = aligned(models, batch, layers[0].inputs, device=device)
        self.activations = [aligned(models, batch, d.outputs, device=device) for d in layers[:-1]]
        self.sources = [self.inputs, *self.activations]
        self.last = self.sources[-1].transpose(1, 2)
        self.deltas = [
            torch.empty_strided(a.shape, a.stride(), device=device) for a in self.activations
        ]
        self.out = aligned(models, layers[-1].outputs, batch, device=device)
        self.slope = torch.empty_strided(self.out.shape, self.out.stride(), device=device)
        self.deltas.append(self.slope.transpose(1, 2))
        self.across = [delta.transpose(1, 2) for delta in self.deltas]
        self.ones = torch.ones(models, 1, batch, device=device)
        self.told = (recipe.label_smoothing - 1.0) * self.ones
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
        self._turned = [weight.transpose(1, 2) for weight in self._weights]
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
        work = self._work(y, str(x.device))
        work.inputs.copy_(x.view(work.inputs.shape))
        self._forward(work, keys)
        self._backward(work, y)
        share = 1.0 / y.shape[1]
        if self._recipe.dp is not None and taken is not None:
            self._clip(work, taken, self._recipe.dp.max_grad_norm)
            share = 1.0 / self._recipe.batch_size
        self._collect(work, carry, share)

    def input_slope(self, y: Tensor) -> Tensor:
        """After `compute`: the gradient of each record's loss in its input, `[B, b, inputs]`."""
        return torch.bmm(self._work(y, str(y.device)).deltas[0], self._weights[0])

    def _work(self, y: Tensor, device: str) -> _Workspace:
        models, batch = y.shape
        if batch not in self._workspaces:
            made = _Workspace(self._recipe, self._layers, models, batch, device)
            self._workspaces[batch] = made
        return self._workspaces[batch]

    def _forward(self, work: _Workspace, keys: Tensor) -> None:
        drop = 0
        for i, layer in enumerate(self._layers[:-1]):
            source, target = work.sources[i], work.activations[i]
            weight, bias = self._turned[i], self._biases[i]
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
        weight, bias = self._weights[-1], self._biases[-1]
        if bias is None:
            torch.bmm(weight, work.last, out=work.out)
        else:
            torch.baddbmm(bias.transpose(1, 2), weight, work.last, out=work.out)

    def _backward(self, work: _Workspace, y: Tensor) -> None:
        """Deltas of each record's cross-entropy with label smoothing: softmax minus its target."""
        smoothing = self._recipe.label_smoothing
        torch.softmax(work.out, 1, out=work.slope)
        if smoothing:
            work.slope.sub_(smoothing / work.out.shape[1])
        work.slope.scatter_add_(1, y.unsqueeze(1), work.told)
        for i in range(len(self._layers) - 2, -1, -1):
            below, passed = work.deltas[i], work.activations[i]
            torch.bmm(work.deltas[i + 1], self._weights[i + 1], out=below)
            if i in work.keep:
                below.mul_(work.keep[i])
            # Where dropout removed a value its delta is 0 already, so that the sign of what is
            # left says where ReLU let it through.
            torch.ops.aten.threshold_backward.grad_input(below, passed, 0, grad_input=below)

    def _clip(self, work: _Workspace, taken: Tensor, bound: float) -> None:
        """Scale each record's deltas: its whole gradient gets at most this norm.

        The gradient of a linear layer for one record is an outer product, so that its norm is the
        product of two norms and no record's gradient is ever formed.
        """
        square = torch.zeros(taken.shape, device=taken.device)
        for layer, source, delta in zip(self._layers, work.sources, work.deltas, strict=True):
            inputs = source.square().sum(2) + float(layer.bias)
            square += delta.square().sum(2) * inputs
        factor = (bound / square.sqrt().clamp_min(1e-12)).clamp_max(1.0) * taken
        for delta in work.deltas:
            delta.mul_(factor.unsqueeze(2))

    def _collect(self, work: _Workspace, carry: float, share: float) -> None:
        """Sum the records' gradients, each with this share, onto what is carried over.

        The products do it all: scaling, carrying over, and for a bias the sum over the records.
        """
        for i, (source, delta) in enumerate(zip(work.sources, work.deltas, strict=True)):
            slope, bias = self._slopes[i], self._bias_slopes[i]
            torch.baddbmm(slope, work.across[i], source, beta=carry, alpha=share, out=slope)
            if bias is not None:
                torch.baddbmm(bias, work.ones, delta, beta=carry, alpha=share, out=bias)
