"""How a classifier was trained, as its owner writes it; its shadow models are made the same way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from memory_assets.models.recipe import DpSgd, Recipe
from memory_assets.spec import Settings, Spec


class DpSpec(Spec):
    """Differentially private SGD: every record's gradient clipped, noise added to their sum."""

    noise_multiplier: float = Field(default=1.0, ge=0)
    max_grad_norm: float = Field(default=1.0, gt=0)


class RecipeSpec(Spec):
    """How the model was trained; the shadow models are trained the same way."""

    model: str = Field(description="factory package.module:function of an untrained module")
    model_args: Settings = Field(default_factory=dict)
    optimizer: Literal["sgd", "adam", "adamw"] = "sgd"
    lr: float = Field(default=0.1, gt=0)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    weight_decay: float = Field(default=0.0, ge=0)
    epochs: int = Field(default=30, ge=1)
    batch_size: int = Field(default=64, ge=1)
    schedule: Literal["constant", "cosine"] = "constant"
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    label_noise: float = Field(default=0.0, ge=0, lt=1)
    shift: int = Field(default=0, ge=0, description="pixels by which training images are shifted")
    flip: bool = Field(default=False, description="mirror training images")
    deduplicate: bool = Field(default=False, description="leave out repeated records")
    precision: Literal["float32", "bfloat16"] = "float32"
    dp: DpSpec | None = Field(default=None, description="train with differential privacy")
    seed: int = Field(default=0, ge=0)

    def recipe(self) -> Recipe:
        dp = None if self.dp is None else DpSgd(**self.dp.model_dump())
        return Recipe(**self.model_dump(exclude={"dp"}), dp=dp)


class VersionSettings(Spec):
    """How one version was trained otherwise than by the subject's recipe; not its architecture."""

    def settings(self) -> dict[str, Any]:
        """What is said, as plain data."""
        return self.model_dump(exclude_unset=True)

    def changes(self) -> dict[str, Any]:
        """What is said, as the fields of a recipe."""
        return self.settings()


def check_settings(recipes: Mapping[str, VersionSettings], way: str | None) -> None:
    """Refuse settings of single versions where no recipe is, `way` being how the model came, and
    settings without a value.

    Raises:
        ValueError: such settings.
    """
    if recipes and way is not None:
        raise ValueError(
            f"recipes change a recipe, and the model came by {way}; bring a recipe or leave "
            "recipes out"
        )
    for version, said in recipes.items():
        for name, value in said.changes().items():
            if value is None and name != "dp":
                raise ValueError(f"recipes.{version}.{name}: no value; give one or leave it out")


class VersionRecipeSpec(VersionSettings):
    """The same of a classifier."""

    optimizer: Literal["sgd", "adam", "adamw"] | None = None
    lr: float | None = Field(default=None, gt=0)
    momentum: float | None = Field(default=None, ge=0, lt=1)
    weight_decay: float | None = Field(default=None, ge=0)
    epochs: int | None = Field(default=None, ge=1)
    batch_size: int | None = Field(default=None, ge=1)
    schedule: Literal["constant", "cosine"] | None = None
    label_smoothing: float | None = Field(default=None, ge=0, lt=1)
    label_noise: float | None = Field(default=None, ge=0, lt=1)
    shift: int | None = Field(default=None, ge=0)
    flip: bool | None = None
    deduplicate: bool | None = None
    precision: Literal["float32", "bfloat16"] | None = None
    dp: DpSpec | None = None

    def changes(self) -> dict[str, Any]:
        said = self.settings()
        if said.get("dp") is not None:
            said["dp"] = DpSgd(**said["dp"])
        return said


class CommandSpec(Spec):
    """A training command, run once for every shadow model in a process and folder of its own."""

    run: str = Field(min_length=1, description="the command; files that it names are the project's")
    time_limit: float = Field(default=3600.0, gt=0, description="seconds a model may take")


class PredictionsSpec(Spec):
    """Outputs and no model: the versions in `checkpoints` are tables of the target's outputs."""

    shadows: str | None = Field(
        default=None, description="Parquet or CSV of shadow models' outputs, if there are any"
    )
