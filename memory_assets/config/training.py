"""How a model was trained, as its owner writes it; its shadow models are made the same way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from memory_assets.language.recipe import LanguageRecipe
from memory_assets.models.recipe import Recipe
from memory_assets.records.formats import TABLES, either_named
from memory_assets.spec import Spec, changes_of


@dataclass(frozen=True)
class TokenizedRecipe(LanguageRecipe):
    """A language model's recipe as its owner writes it: with the tokenizer that all models have."""

    tokenizer: Annotated[
        str, Field(description="folder of the tokenizer that all of the models have")
    ] = field(kw_only=True)

    def recipe(self) -> LanguageRecipe:
        """The recipe alone: a tokenizer is known by its files."""
        return LanguageRecipe(**{f.name: getattr(self, f.name) for f in fields(LanguageRecipe)})


class VersionSettings(Spec):
    """How one version was trained otherwise than by the subject's recipe; not its architecture."""

    def changes(self) -> dict[str, Any]:
        """What is said, as the fields of a recipe."""
        return {n: getattr(self, n) for n in type(self).model_fields if n in self.model_fields_set}


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


_ARCHITECTURE = frozenset({"model", "model_args", "seed", "window"})
"""What no version has otherwise: its model, and a seed that draws another of the same recipe."""

if TYPE_CHECKING:
    VersionRecipe = VersionLanguageRecipe = VersionSettings
else:
    VersionRecipe = changes_of(Recipe, "VersionRecipe", VersionSettings, _ARCHITECTURE)
    VersionLanguageRecipe = changes_of(
        LanguageRecipe, "VersionLanguageRecipe", VersionSettings, _ARCHITECTURE
    )


class CommandSpec(Spec):
    """A training command, run once for every shadow model in a process and folder of its own."""

    run: str = Field(min_length=1, description="the command; files that it names are the project's")
    time_limit: float = Field(default=3600.0, gt=0, description="seconds a model may take")


class PredictionsSpec(Spec):
    """Outputs and no model: the versions in `checkpoints` are tables of the target's outputs."""

    shadows: str | None = Field(
        default=None,
        description=f"{either_named(TABLES)} of shadow models' outputs, if there are any",
    )
