"""A recipe: how a model of this subject is built and trained, as plain data with a digest."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field

from memory_assets.errors import InputError
from memory_assets.records.dataset import import_attribute
from memory_assets.spec import Settings, SpecData

if TYPE_CHECKING:
    from torch import nn


def _names_a_function(value: str) -> str:
    module, _, function = value.partition(":")
    if not all(part.isidentifier() for part in (*module.split("."), function)):
        raise ValueError("expected package.module:function of a factory")
    return value


Factory = Annotated[str, AfterValidator(_names_a_function)]
"""The name of a function; what cannot name one is refused before anything is imported."""
Share = Annotated[float, Field(ge=0, lt=1)]
Whole = Annotated[int, Field(ge=0)]


@dataclass(frozen=True)
class DpSgd(SpecData):
    """Differentially private SGD: every record's gradient clipped, noise added to their sum.

    Abadi et al. 2016, arXiv 1607.00133, algorithm 1: every record's gradient is clipped to L2 norm
    `max_grad_norm`; Gaussian noise of standard deviation `noise_multiplier * max_grad_norm` is
    added to the sum over the mini-batch, which takes each record independently with probability
    batch size / records (Poisson sampling).
    """

    written_as: ClassVar[str] = "recipe.dp"

    noise_multiplier: Annotated[
        float, Field(ge=0, description="standard deviation of the noise, in clipping norms")
    ] = 1.0
    max_grad_norm: Annotated[
        float, Field(gt=0, description="L2 norm to which a record's gradient is clipped")
    ] = 1.0


@dataclass(frozen=True)
class Recipe(SpecData):
    """How the model was trained; the shadow models are trained the same way.

    Everything that decides a training run except the records and the random draw. `model` returns
    an untrained `nn.Module` mapping `[batch, *record]` float32 to logits `[batch, classes]`.
    A model's own seed is derived from `seed` and its index in the pool.

    Raises:
        InputError: a field outside its range.
    """

    written_as: ClassVar[str] = "recipe"

    model: Annotated[
        Factory, Field(description="factory package.module:function of an untrained module")
    ]
    model_args: Annotated[Settings, Field(description="keyword arguments of the factory")] = field(
        default_factory=dict
    )
    optimizer: Annotated[
        Literal["sgd", "adam", "adamw"], Field(description="what takes the steps")
    ] = "sgd"
    lr: Annotated[float, Field(gt=0, description="peak learning rate")] = 0.1
    momentum: Annotated[Share, Field(description="of sgd alone")] = 0.9
    weight_decay: Annotated[
        float,
        Field(ge=0, description="L2 penalty of sgd and adam; of adamw taken from the weights"),
    ] = 0.0
    epochs: Annotated[int, Field(ge=1, description="passes over the training records")] = 30
    batch_size: Annotated[int, Field(ge=1, description="records of a mini-batch")] = 64
    schedule: Annotated[
        Literal["constant", "cosine"], Field(description="of the learning rate over the training")
    ] = "constant"
    label_smoothing: Annotated[
        Share, Field(description="share of each label spread evenly over all classes")
    ] = 0.0
    seed: Annotated[
        Whole, Field(description="each model's own is derived from it and its number in the pool")
    ] = 0
    label_noise: Annotated[
        Share, Field(description="share of the training labels replaced by another class")
    ] = 0.0
    shift: Annotated[Whole, Field(description="pixels by which training images are shifted")] = 0
    flip: Annotated[bool, Field(description="mirror training images")] = False
    deduplicate: Annotated[bool, Field(description="leave out repeated records")] = False
    precision: Annotated[
        Literal["float32", "bfloat16"],
        Field(description="numbers of the forward and backward pass; bfloat16 is mixed precision"),
    ] = "float32"
    dp: Annotated[DpSgd | None, Field(description="train with differential privacy")] = None

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
