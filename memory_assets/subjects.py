"""A subject as its owner writes it: which records, which model, how deep, and what may pass."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from memory_assets.digest import digest
from memory_assets.models.recipe import Recipe

Probability = Annotated[float, Field(ge=0, le=1)]
_NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")


class _Spec(BaseModel):
    """An unknown key is an error: a setting that is silently ignored is worse than none."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class RecordsSpec(_Spec):
    """Where the records are: a loader `package.module:function`, or a file with a label column."""

    members: str = Field(description="CSV of the record ids that the model was trained on")
    loader: str | None = Field(
        default=None, description="function that returns a memory_assets Dataset"
    )
    path: str | None = Field(default=None, description="Parquet, CSV or npz file of records")
    label: str = Field(default="label", description="column (or array) of the class labels")
    id: str | None = Field(default=None, description="column of record ids; row numbers without it")


class RecipeSpec(_Spec):
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
    precision: Literal["float32", "bfloat16"] = "float32"
    seed: int = Field(default=0, ge=0)

    def recipe(self) -> Recipe:
        return Recipe(**self.model_dump())


class PoolSpec(_Spec):
    """How many shadow models, and which audit set they are drawn for."""

    models: int = Field(
        default=64, ge=4, multiple_of=2, description="shadow models K, an even number"
    )
    pairs: int | None = Field(
        default=None, ge=2, description="(member, non-member) pairs; all without it"
    )
    seed: int = Field(default=0, ge=0)


class ClassifierSubject(_Spec):
    """Everything an owner says about one audited classifier."""

    subject: str
    title: str = ""
    owner: str = Field(default="team:privacy", description="team:name or an e-mail address")
    records: RecordsSpec
    recipe: RecipeSpec
    checkpoints: str = Field(description="folder with one file or folder per model version")
    pool: PoolSpec = Field(default_factory=PoolSpec)
    attacks: str | list[str] = Field(default="standard", description="standard, thorough, or names")
    gate: dict[str, Probability] = Field(default_factory=dict)
    prior: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.5, description="share of members among the people an attacker would ask about"
    )
    claimed_epsilon: float | None = Field(
        default=None, gt=0, description="epsilon the owner claims"
    )
    cadence_days: int = Field(default=90, ge=1, description="how often an audit is due")

    @field_validator("subject")
    @classmethod
    def _plain_name(cls, name: str) -> str:
        # The name reaches asset keys, file names and SQL.
        if not _NAME.fullmatch(name):
            raise ValueError(
                "expected a lower-case letter, then letters, digits and -, at most 63 in all"
            )
        return name

    @property
    def slug(self) -> str:
        """The name as Dagster wants names: letters, digits and underscores."""
        return self.subject.replace("-", "_")

    @property
    def config_digest(self) -> str:
        """What decides the numbers and the verdict, apart from data, pool and weights."""
        attacks = self.attacks if isinstance(self.attacks, str) else sorted(self.attacks)
        return digest(attacks, self.gate, self.prior, self.claimed_epsilon)
