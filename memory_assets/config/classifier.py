"""A subject as its owner writes it: which records, which model, how deep, and what may pass."""

from __future__ import annotations

import re
from abc import abstractmethod
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
    field_validator,
    model_validator,
)

from memory_assets.attacks.registry import Attack, select
from memory_assets.config.priced import PricedSubject
from memory_assets.config.renamed import refuse_renamed
from memory_assets.config.training import (
    CommandSpec,
    PredictionsSpec,
    VersionRecipe,
    check_settings,
)
from memory_assets.errors import InputError
from memory_assets.models.checkpoints import checkpoint_file, fingerprint
from memory_assets.models.recipe import Recipe
from memory_assets.models.registry import Registry
from memory_assets.owner.makers import code_files, command_files, table_file
from memory_assets.records.settings import RecordsSpec
from memory_assets.results.metrics import NOMINAL_FPR, false_positive_rate, limits_of
from memory_assets.spec import Settings, Spec
from memory_assets.store.digest import digest
from memory_assets.store.paths import possible

Probability = Annotated[float, Field(ge=0, le=1)]
Depth = Literal["quick", "standard", "thorough"]
DEPTHS: dict[Depth, int] = {"quick": 4, "standard": 64, "thorough": 256}
"""Shadow models by depth."""

WAYS = ("recipe", "fit", "command", "predictions")
"""The ways to bring a model, from the most to the least informative."""

_NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")
_FUNCTION = r"[A-Za-z_][\w.]*:[A-Za-z_]\w*"


def _read_limits(written: object) -> object:
    """Limits in their metrics' units; what is no mapping is left to pydantic to refuse."""
    if not isinstance(written, dict):
        return written
    try:
        return limits_of({str(name): value for name, value in written.items()})
    except InputError as error:
        raise ValueError(str(error).removeprefix("gate.")) from None


Limits = Annotated[
    dict[str, float],
    BeforeValidator(_read_limits, json_schema_input_type=dict[str, float | str]),
]
"""The limits of a gate: `{"tpr_at_fpr_0.01": 0.05}`, or "5%"."""


class PoolSpec(Spec):
    """How many shadow models, and which audit set they are drawn for."""

    models: int | None = Field(
        default=None,
        ge=4,
        multiple_of=2,
        description="shadow models K, an even number; the depth says it otherwise",
    )
    option_models: int = Field(
        default=16, ge=4, multiple_of=2, description="shadow models of each mitigated recipe"
    )
    pairs: int | None = Field(
        default=None, ge=2, description="(member, non-member) pairs; all without it"
    )
    seed: int = Field(default=0, ge=0, description="draws the pairs and who trains on which side")


class AuditedSubject(PricedSubject):
    """What every audited model has, of whatever kind it is."""

    subject: str = Field(
        description="its name: a lower-case letter, then letters, digits and -, at most 63 in all"
    )
    title: str = Field(default="", description="what its pages are headed by; its name without it")
    owner: str = Field(default="team:privacy", description="team:name or an e-mail address")
    gate: Limits = Field(
        default_factory=dict,
        description="the largest value that may pass, by metric, and the least of an accuracy; "
        'a share as 0.05 or "5%"',
    )
    prior: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.5, description="share of members among the people an attacker would ask about"
    )
    cadence_days: int = Field(default=90, ge=1, description="how often an audit is due")
    checkpoints: str | Registry = Field(
        description="folder with one version per file or folder, or mlflow: {uri, model}, or "
        "hub: {model, versions}"
    )

    @model_validator(mode="before")
    @classmethod
    def _names_of_today(cls, written: Any) -> Any:
        refuse_renamed(written)
        return written

    @field_validator("subject")
    @classmethod
    def _plain_name(cls, name: str) -> str:
        # The name reaches asset keys, file names and SQL.
        if not _NAME.fullmatch(name):
            raise ValueError(
                "expected a lower-case letter, then letters, digits and -, at most 63 in all"
            )
        return name

    @field_validator("checkpoints")
    @classmethod
    def _possible_folder(cls, checkpoints: str | Registry) -> str | Registry:
        return possible(checkpoints) if isinstance(checkpoints, str) else checkpoints

    @property
    def gated_rates(self) -> tuple[float, ...]:
        """The false-positive rates that the limits name beside those that are always reported."""
        rates = {at for name in self.gate if (at := false_positive_rate(name)) is not None}
        return tuple(sorted(rates - set(NOMINAL_FPR)))

    @property
    def slug(self) -> str:
        """The name as Dagster wants names: letters, digits and underscores."""
        return self.subject.replace("-", "_")

    @property
    @abstractmethod
    def config_digest(self) -> str:
        """What decides the numbers and the verdict, apart from data, pool and weights."""

    @abstractmethod
    def sources(self, root: Path) -> dict[str, Path]:
        """The files that are watched for changes, by names that do not depend on `root`.

        Raises:
            InputError: one of them is not there.
        """

    def makers(self, root: Path) -> dict[str, Path]:
        """The files that shadow models are made by, with all that those import; watched as well.

        Raises:
            InputError: one of them is not there.
        """
        del root
        return {}

    @property
    def brings(self) -> tuple[str, ...]:
        """What its owner keeps in files besides the versions, by asset name."""
        return ("source", "profile") if self.profile or self.outcomes else ("source",)

    def weights(self, version: Path) -> list[Path]:
        """The files that make a version; their bytes are its identity.

        Raises:
            InputError: there are none, or it is not clear which.
        """
        return [checkpoint_file(version)]

    def fingerprint(self, version: Path) -> str:
        """The digest of a version's files, as its audit records it."""
        return fingerprint(self.weights(version))


class PooledSubject(AuditedSubject):
    """What a model that shadow models stand beside has, of whatever kind it is."""

    pool: PoolSpec = Field(default_factory=PoolSpec, description="the shadow models")
    attacks: str | list[str] = Field(default="standard", description="standard, thorough, or names")
    attacker: Literal["shadows", "predictions"] = Field(
        default="shadows",
        description="whom the gate is about: one who may train shadow models, or one who has the "
        "predictions alone",
    )

    @field_validator("attacks")
    @classmethod
    def _known_attacks(cls, attacks: str | list[str]) -> str | list[str]:
        select(attacks, models=0)
        return attacks

    @property
    @abstractmethod
    def way(self) -> str:
        """Which of `WAYS` the model came by."""

    @property
    @abstractmethod
    def models(self) -> int:
        """Shadow models to train; 0 where there are none to train."""

    @property
    def precision(self) -> str:
        """In which numbers the shadow models are trained."""
        return "float32"

    def attacks_on(self, models: int) -> tuple[Attack, ...]:
        """The attacks to run on a pool of so many models."""
        return select(self.attacks, models)


class ClassifierSubject(PooledSubject):
    """Everything an owner says about one audited classifier."""

    records: RecordsSpec = Field(description="the records, and which of them it was trained on")
    recipe: Recipe | None = Field(default=None, description="how the model was trained")
    recipes: dict[str, VersionRecipe] = Field(
        default_factory=dict,
        description="by version, the settings of the recipe in which it was trained otherwise; "
        "what its checkpoint says itself need not be said again",
    )
    fit: str | None = Field(
        default=None,
        pattern=_FUNCTION,
        description="training callable package.module:function, fit(X, y, seed) -> predict",
    )
    command: CommandSpec | None = Field(default=None, description="training command")
    predictions: PredictionsSpec | None = Field(default=None, description="outputs, no model")
    checkpoints: str | Registry = Field(
        description="folder with one version per file or folder, or mlflow: {uri, model}, or "
        "hub: {model, versions}: weights of a recipe's model, otherwise a table of the version's "
        "outputs"
    )
    depth: Depth | None = Field(
        default=None, description="quick (4 shadow models), standard (64) or thorough (256)"
    )
    options: dict[str, Settings] = Field(
        default_factory=dict,
        description="mitigations of the recipe to audit beside it, by name, with their settings",
    )
    queries: Literal["identity", "flip", "shift", "shift-flip"] = Field(
        default="identity",
        description="variants of each image that models are asked about; scores are averaged",
    )
    claimed_epsilon: float | None = Field(
        default=None, gt=0, strict=True, description="epsilon the owner claims"
    )

    @model_validator(mode="after")
    def _one_way(self) -> ClassifierSubject:
        given = [way for way in WAYS if getattr(self, way) is not None]
        if len(given) != 1:
            raise ValueError(
                f"expected exactly one of {', '.join(WAYS)}; "
                f"there {'are ' + ' and '.join(given) if given else 'is none'}"
            )
        if self.depth is not None and self.pool.models is not None:
            raise ValueError("depth and pool.models say the same thing twice; leave one out")
        if self.queries != "identity" and self.recipe is None:
            raise ValueError(
                f"queries ask variants of a record, and the model came by {given[0]}; "
                "bring a recipe or leave queries out"
            )
        if self.options and self.recipe is None:
            raise ValueError(
                f"options change a recipe, and the model came by {given[0]}; "
                "bring a recipe or leave options out"
            )
        check_settings(self.recipes, given[0] if self.recipe is None else None)
        reads = [attack.name for attack in self.attacks_on(self.models) if attack.sides]
        shadows = self.predictions is None or self.predictions.shadows is not None
        if self.attacker == "predictions" and shadows and reads:
            raise ValueError(
                f"attacker: predictions has no shadow models, and {reads[0]} reads those that "
                "there are; leave attacker out"
            )
        if self.recipe is not None:
            for name, settings in self.options.items():
                self.recipe.with_options(name, settings)
        return self

    @property
    def way(self) -> str:
        return next(way for way in WAYS if getattr(self, way) is not None)

    @property
    def precision(self) -> str:
        return super().precision if self.recipe is None else self.recipe.precision

    @property
    def models(self) -> int:
        if self.predictions is not None:
            return 0
        return self.pool.models or DEPTHS[self.depth or "standard"]

    def sources(self, root: Path) -> dict[str, Path]:
        from memory_assets.records.sources import source_files

        return source_files(self.records, root)

    def makers(self, root: Path) -> dict[str, Path]:
        if self.recipe is not None:
            return code_files(self.recipe.model, "recipe.model")
        if self.fit is not None:
            return code_files(self.fit, "fit")
        if self.command is not None:
            return command_files(self.command.run, root)
        shadows = self.predictions.shadows if self.predictions else None
        return {} if shadows is None else {shadows: table_file(shadows, root)}

    @property
    def brings(self) -> tuple[str, ...]:
        return (*super().brings, "recipe")

    @property
    def config_digest(self) -> str:
        attacks = self.attacks if isinstance(self.attacks, str) else sorted(self.attacks)
        asked = [] if self.attacker == "shadows" else [self.attacker]
        return digest(attacks, self.gate, self.prior, self.claimed_epsilon, *asked)
