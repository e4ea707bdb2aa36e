"""Real digits, a small recipe, and versions whose manifests say how they were trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.setups.audits import audit_classifier, pool_of, prepare
from memory_assets.config.classifier import ClassifierSubject
from memory_assets.history.bundle import AuditBundle
from memory_assets.models.checkpoints import Manifest, save_checkpoint
from memory_assets.models.recipe import Recipe
from memory_assets.pool.trainer import train_target
from memory_assets.records.dataset import Dataset
from memory_assets.records.prepared import Prepared, members_digest
from memory_assets.store.artifacts import ArtifactStore
from memory_assets.store.digest import digest
from memory_assets.workflows.released import Released
from memory_assets.workflows.version_pool import VersionPool

RECORDS, MODELS = 400, 8
RECIPE = Recipe(
    model="memory_assets.models.mlp:mlp",
    model_args={"inputs": 64, "hidden": 24, "classes": 10},
    lr=0.05,
    epochs=40,
    batch_size=32,
)
MEMBERS = np.arange(RECORDS // 2)
_TRAINED: dict[str, dict[str, np.ndarray]] = {}


@cache
def records() -> Dataset:
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(y))[:RECORDS]
    ids = np.array([f"r{i:03d}" for i in range(RECORDS)])
    return Dataset(ids, (x[order] / 16).astype(np.float32), y[order].astype(np.int64), 10, "digits")


@dataclass(frozen=True)
class World:
    root: Path

    @property
    def store(self) -> ArtifactStore:
        return ArtifactStore(self.root / "home", "world")

    @property
    def versions(self) -> Mapping[str, Path]:
        """Where each version lies now, oldest first."""
        return Released(self.store.root).of(self.subject(), self.root)

    def subject(self, recipe: Recipe = RECIPE, **attributes: Any) -> ClassifierSubject:
        base = {
            "subject": "world",
            "records": {"loader": "recipes_world:records", "members": "members.csv"},
            "checkpoints": "versions",
            "recipe": asdict(recipe),
            "pool": {"models": MODELS},
            "gate": {"tpr_at_fpr_0.1": 0.5},
        }
        return ClassifierSubject.model_validate(base | attributes)

    def release(
        self, version: str, recipe: Recipe = RECIPE, says: dict[str, Any] | None = None
    ) -> None:
        """A version trained by `recipe`, whose manifest says so, or what it is told to."""
        data, key = records(), digest(recipe)
        if (state := _TRAINED.get(key)) is None:
            state = _TRAINED[key] = train_target(recipe, data.x, data.y, MEMBERS)
        said = asdict(recipe) if says is None else says
        manifest = Manifest(said, members_digest(data.ids[MEMBERS]), data.digest)
        save_checkpoint(self.root / "versions" / f"{version}.safetensors", state, manifest)

    def prepared(self, subject: ClassifierSubject) -> Prepared:
        return prepare(subject, self.root, self.store)

    def pool(self, subject: ClassifierSubject, version: str) -> VersionPool:
        """The subject's pool, and then the one that this version is compared with."""
        return pool_of(subject, self.root, self.prepared(subject), version, self.store)

    def audit(self, version: str, subject: ClassifierSubject | None = None) -> AuditBundle:
        """All the steps of an audit, one after the other, as the lineage graph runs them."""
        return audit_classifier(subject or self.subject(), self.root, version, self.store)


def make_world(root: Path) -> World:
    ids = records().ids[MEMBERS]
    (root / "members.csv").write_text("\n".join(["id", *ids]))
    return World(root)


def other(**settings: Any) -> Recipe:
    return replace(RECIPE, **settings)
