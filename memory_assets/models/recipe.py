"""A recipe: how a model of this subject is built and trained, as plain data with a digest."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

from memory_assets.errors import InputError
from memory_assets.records.dataset import import_attribute

if TYPE_CHECKING:
    from torch import nn

Optimizer = Literal["sgd", "adam", "adamw"]
Schedule = Literal["constant", "cosine"]
Precision = Literal["float32", "bfloat16"]


@dataclass(frozen=True)
class DpSgd:
    """Differentially private SGD (Abadi et al. 2016, arXiv 1607.00133, algorithm 1).

    Every record's gradient is clipped to L2 norm `max_grad_norm`; Gaussian noise of standard
    deviation `noise_multiplier * max_grad_norm` is added to the sum over the mini-batch, which
    takes each record independently with probability batch size / records (Poisson sampling).
    """

    noise_multiplier: float = 1.0
    max_grad_norm: float = 1.0


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a training run except the records and the random draw.

    `model` names a factory `package.module:function` that returns an untrained `nn.Module`
    mapping `[batch, *record]` float32 to logits `[batch, classes]`; `model_args` are its keyword
    arguments. `lr` is the peak learning rate, `epochs` whole passes over the training records.
    `label_noise` is the share of training labels replaced by another class, `shift` (pixels) and
    `flip` augment images while training, `precision` bfloat16 computes the forward and backward
    pass in mixed precision. A model's own seed is derived from `seed` and its index in the pool.

    Raises:
        InputError: a field outside its range.
    """

    model: str
    model_args: dict[str, Any] = field(default_factory=dict)
    optimizer: Optimizer = "sgd"
    lr: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 0.0
    epochs: int = 30
    batch_size: int = 64
    schedule: Schedule = "constant"
    label_smoothing: float = 0.0
    seed: int = 0
    label_noise: float = 0.0
    shift: int = 0
    flip: bool = False
    deduplicate: bool = False
    precision: Precision = "float32"
    dp: DpSgd | None = None

    def __post_init__(self) -> None:
        check_factory("model", self.model)
        _one_of("optimizer", self.optimizer, get_args(Optimizer))
        _one_of("schedule", self.schedule, get_args(Schedule))
        _one_of("precision", self.precision, get_args(Precision))
        check_range("lr", self.lr, 0, math.inf, open_low=True)
        check_range("momentum", self.momentum, 0, 1)
        check_range("weight_decay", self.weight_decay, 0, math.inf)
        check_range("label_smoothing", self.label_smoothing, 0, 1)
        check_range("label_noise", self.label_noise, 0, 1)
        check_whole("epochs", self.epochs, 1)
        check_whole("batch_size", self.batch_size, 1)
        check_whole("shift", self.shift, 0)
        check_whole("seed", self.seed, 0)
        if self.dp is not None:
            check_range("dp.noise_multiplier", self.dp.noise_multiplier, 0, math.inf)
            check_range("dp.max_grad_norm", self.dp.max_grad_norm, 0, math.inf, open_low=True)

    def resolve(self) -> Callable[..., nn.Module]:
        """The factory that `model` names.

        Raises:
            InputError: no such module or function, or its import fails.
        """
        return import_attribute(self.model, "recipe.model")

    def build_model(self) -> nn.Module:
        """An untrained model, its weights drawn from torch's global generator.

        Raises:
            InputError: the factory fails or returns something else than an `nn.Module`.
        """
        from torch import nn

        factory = self.resolve()
        try:
            model = factory(**self.model_args)
        except (Exception, SystemExit) as error:  # the owner's factory may raise anything
            raise InputError(
                f"recipe.model_args: {self.model} failed with {sorted(self.model_args)} "
                f"({type(error).__name__}: {error})"
            ) from error
        if not isinstance(model, nn.Module):
            raise InputError(
                f"recipe.model: {self.model} returned {type(model).__name__}, expected nn.Module"
            )
        return model

    def with_options(self, mitigation: str, options: Mapping[str, Any] | None = None) -> Recipe:
        """This recipe with one named mitigation, its settings taken from `options`.

        Raises:
            InputError: unknown mitigation or setting.
        """
        if mitigation not in MITIGATIONS:
            _refuse("options", mitigation, f"one of {', '.join(sorted(MITIGATIONS))}")
        allowed, change = MITIGATIONS[mitigation]
        options = dict(options or {})
        for name in options:
            if name not in allowed:
                _refuse(f"options.{mitigation}", name, f"only {', '.join(allowed) or 'no'} setting")
        return change(self, options)


def _early_stop(recipe: Recipe, options: dict[str, Any]) -> Recipe:
    return replace(recipe, **{"epochs": max(1, recipe.epochs // 4), **options})


def _weight_decay(recipe: Recipe, options: dict[str, Any]) -> Recipe:
    return replace(recipe, **{"weight_decay": 5e-3, **options})


def _label_smoothing(recipe: Recipe, options: dict[str, Any]) -> Recipe:
    return replace(recipe, **{"label_smoothing": 0.1, **options})


def _deduplicate(recipe: Recipe, options: dict[str, Any]) -> Recipe:
    return replace(recipe, deduplicate=True, **options)


def _dp(recipe: Recipe, options: dict[str, Any]) -> Recipe:
    own = {name: options.pop(name) for name in list(options) if name in _DP_FIELDS}
    return replace(recipe, dp=DpSgd(**own), **options)


_DP_FIELDS = tuple(f.name for f in fields(DpSgd))

MITIGATIONS: dict[str, tuple[tuple[str, ...], Callable[[Recipe, dict[str, Any]], Recipe]]] = {
    "early-stop": (("epochs",), _early_stop),
    "weight-decay": (("weight_decay",), _weight_decay),
    "label-smoothing": (("label_smoothing",), _label_smoothing),
    "deduplicate": ((), _deduplicate),
    "dp": ((*_DP_FIELDS, "lr", "epochs", "batch_size"), _dp),
}
"""Mitigations by name: the settings each takes, and how it changes a recipe."""


def _refuse(name: str, value: object, expected: str) -> None:
    raise InputError(f"recipe.{name}: {value!r}; expected {expected}")


def _one_of(name: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        _refuse(name, value, f"one of {', '.join(choices)}")


def check_factory(name: str, value: str) -> None:
    """Refuse what cannot name a function, before anything is imported."""
    module, _, function = value.partition(":")
    if not all(part.isidentifier() for part in (*module.split("."), function)):
        _refuse(name, value, "package.module:function of a factory")


def check_whole(name: str, value: object, low: int) -> None:
    """Refuse what is not a whole number of at least `low`."""
    if not isinstance(value, int) or isinstance(value, bool) or value < low:
        _refuse(name, value, f"a whole number, at least {low}")


def check_range(name: str, value: Any, low: float, high: float, *, open_low: bool = False) -> None:
    """Refuse what is not a number in [low, high), or in (low, high) where `open_low`."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not (low < value or (value == low and not open_low)) or not value < high:
        bound = f"above {low}" if open_low else f"at least {low}"
        _refuse(name, value, f"a number {bound}" + ("" if high == math.inf else f", below {high}"))
