"""A subject as its owner writes it: which records, which model, how deep, and what may pass."""

from __future__ import annotations

import re
from abc import abstractmethod
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    Field,
    field_validator,
    model_validator,
)

from memory_assets.attacks.registry import Attack, select
from memory_assets.digest import digest
from memory_assets.models.checkpoints import checkpoint_file, fingerprint
from memory_assets.models.recipe import DpSgd, Recipe
from memory_assets.models.registry import Registry
from memory_assets.paths import possible
from memory_assets.priced_subjects import PricedSubject
from memory_assets.spec import Spec

Probability = Annotated[float, Field(ge=0, le=1)]
Depth = Literal["quick", "standard", "thorough"]
DEPTHS: dict[Depth, int] = {"quick": 4, "standard": 64, "thorough": 256}
"""Shadow models by depth."""

WAYS = ("recipe", "fit", "command", "predictions")
"""The ways to bring a model, from the most to the least informative."""

_NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")
_FUNCTION = r"[A-Za-z_][\w.]*:[A-Za-z_]\w*"


class RecordsSpec(Spec):
    """Where the records are: a loader, a file, or a folder of images."""

    members: str = Field(description="CSV of the record ids that the model was trained on")
    loader: str | None = Field(
        default=None, description="function that returns a memory_assets Dataset"
    )
    path: str | None = Field(
        default=None,
        description="Parquet, CSV, npz, npy or safetensors file, or a folder of images by class",
    )
    files: list[str] = Field(
        default_factory=list, description="files that the loader reads, watched for changes"
    )
    label: str = Field(
        default="label",
        description="column or array of the class labels; of an npy file, the npy file beside it",
    )
    id: str | None = Field(default=None, description="column of record ids; row numbers without it")

    @model_validator(mode="after")
    def _two_columns(self) -> RecordsSpec:
        if self.id == self.label:
            raise ValueError(
                f"id and label both name {self.id!r}, and a class is no id of a record; name the "
                "column of ids, or leave id out for row numbers"
            )
        return self


class DpSpec(Spec):
    """Differentially private SGD: every record's gradient clipped, noise added to their sum."""

    noise_multiplier: float = Field(default=1.0, ge=0)
    max_grad_norm: float = Field(default=1.0, gt=0)


class RecipeSpec(Spec):
    """How the model was trained; the shadow models are trained the same way."""

    model: str = Field(description="factory package.module:function of an untrained module")
    model_args: dict[str, Any] = Field(default_factory=dict)
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


class CommandSpec(Spec):
    """A training command, run once for every shadow model in a process and folder of its own."""

    run: str = Field(min_length=1, description="the command; files that it names are the project's")
    time_limit: float = Field(default=3600.0, gt=0, description="seconds a model may take")


class PredictionsSpec(Spec):
    """Outputs and no model: the versions in `checkpoints` are tables of the target's outputs."""

    shadows: str | None = Field(
        default=None, description="Parquet or CSV of shadow models' outputs, if there are any"
    )


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
    seed: int = Field(default=0, ge=0)


class AuditedSubject(PricedSubject):
    """What every audited model has, of whatever kind it is."""

    subject: str
    title: str = ""
    owner: str = Field(default="team:privacy", description="team:name or an e-mail address")
    gate: dict[str, Annotated[float, Field(ge=0)]] = Field(
        default_factory=dict, description="the largest value that may pass, by metric"
    )
    prior: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.5, description="share of members among the people an attacker would ask about"
    )
    cadence_days: int = Field(default=90, ge=1, description="how often an audit is due")
    checkpoints: str | Registry = Field(
        description="folder with one version per file or folder, or mlflow: {uri, model}, or "
        "hub: {model, versions}"
    )

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
        """The files that shadow models are made by, watched as well.

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

    pool: PoolSpec = Field(default_factory=PoolSpec)
    attacks: str | list[str] = Field(default="standard", description="standard, thorough, or names")

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

    def makers(self, root: Path) -> dict[str, Path]:
        from memory_assets.audits.made_by import maker_files

        return maker_files(self, root)


class ClassifierSubject(PooledSubject):
    """Everything an owner says about one audited classifier."""

    records: RecordsSpec
    recipe: RecipeSpec | None = Field(default=None, description="how the model was trained")
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
    options: dict[str, dict[str, Any]] = Field(
        default_factory=dict,
        description="mitigations of the recipe to audit beside it, by name, with their settings",
    )
    queries: Literal["identity", "flip", "shift", "shift-flip"] = Field(
        default="identity",
        description="variants of each image that models are asked about; scores are averaged",
    )
    claimed_epsilon: float | None = Field(
        default=None, gt=0, description="epsilon the owner claims"
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
        for name, settings in self.options.items():
            assert self.recipe is not None
            self.recipe.recipe().with_options(name, settings)
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

    @property
    def brings(self) -> tuple[str, ...]:
        return (*super().brings, "recipe")

    @property
    def config_digest(self) -> str:
        attacks = self.attacks if isinstance(self.attacks, str) else sorted(self.attacks)
        return digest(attacks, self.gate, self.prior, self.claimed_epsilon)
