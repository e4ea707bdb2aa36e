"""A small world for audits of models that come in any way: records, members, and their outputs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import csv

from benchmarks.setups.audits import audit_classifier, prepare
from memory_assets.config.classifier import ClassifierSubject
from memory_assets.history.bundle import AuditBundle
from memory_assets.pool.blocks import train_rows
from memory_assets.pool.masks import draw_masks
from memory_assets.records.dataset import Dataset
from memory_assets.records.prepared import Prepared
from memory_assets.store.artifacts import ArtifactStore
from memory_assets.workflows import shadows

RNG = np.random.default_rng(5)
RECORDS = 160
IDS = np.array([f"r{i:03d}" for i in range(RECORDS)])
X = RNG.normal(size=(RECORDS, 4)).astype(np.float32)
Y = RNG.integers(0, 2, RECORDS)
MEMBERS = np.arange(RECORDS) < 70
RECIPE = {
    "model": "memory_assets.models.mlp:mlp",
    "model_args": {"inputs": 4, "hidden": 16, "classes": 2},
    "epochs": 8,
    "batch_size": 16,
}


def records() -> Dataset:
    return Dataset(IDS, X, Y.astype(np.int64), 2, "world")


def fit(x, y, seed):
    """A classifier that remembers: sure of the nearest training record's label."""
    del seed

    def predict(asked):
        near = ((asked[:, None] - x[None]) ** 2).sum(-1)
        sure = 0.5 + 0.45 * np.exp(-near.min(1))
        label = y[near.argmin(1)]
        p = np.where(label == 1, sure, 1 - sure)
        return np.stack([1 - p, p], axis=1)

    return predict


def fragile_fit(x, y, seed):
    """As `fit`, but some seeds break it."""
    if seed % 5 == 0:
        raise RuntimeError("Jane Doe broke it")
    return fit(x, y, seed)


BROKEN: set[int] = set()
TRIED: list[int] = []


def watched_fit(x, y, seed):
    """As `fit`, but a test says which seeds break it, and sees which were tried."""
    TRIED.append(seed)
    if seed in BROKEN:
        raise RuntimeError("broken")
    return fit(x, y, seed)


def outputs(p: np.ndarray, rows: np.ndarray, **more: Any) -> pa.Table:
    columns = {"record_id": IDS[rows].astype(object), "prob_0": p[:, 0], "prob_1": p[:, 1]}
    return pa.table(columns | more)


@dataclass(frozen=True)
class World:
    root: Path

    @property
    def store(self) -> ArtifactStore:
        return ArtifactStore(self.root / "home")

    def subject(self, **attributes: Any) -> ClassifierSubject:
        base = {
            "subject": "world",
            "records": {"loader": "ways_world:records", "members": "members.csv"},
            "checkpoints": "versions",
            "depth": "quick",
        }
        return ClassifierSubject.model_validate(base | attributes)

    def prepared(self, subject: ClassifierSubject) -> Prepared:
        return prepare(subject, self.root, self.store)

    def write_outputs(self, name: str = "v1", **change: Any) -> Path:
        """What the owner's model, trained on the members, answers about every record."""
        every = np.arange(RECORDS)
        table = outputs(fit(X[MEMBERS], Y[MEMBERS], 0)(X), every, **change)
        path = self.root / "versions" / f"{name}.csv"
        csv.write_csv(table, path)
        return path

    def write_shadows(self, subject: ClassifierSubject, models: int) -> Path:
        """What shadow models, trained on the sides that `draw_masks` gives, answer."""
        prepared = self.prepared(subject)
        pairing = prepared.pairing
        masks = draw_masks(models, len(pairing.pairs), seed=3)
        every = np.arange(RECORDS)
        tables = []
        for k, rows in enumerate(train_rows(pairing.pairs, pairing.common, masks)):
            answers = fit(X[rows], Y[rows], k)(X)
            said = {"model": [k] * RECORDS, "trained": np.isin(every, rows).astype(np.int64)}
            tables.append(outputs(answers, every, **said))
        path = self.root / "shadows.csv"
        csv.write_csv(pa.concat_tables(tables), path)
        return path

    def train(self, subject: ClassifierSubject) -> dict[str, bool]:
        """Train the pool; which blocks, by key, were reused."""
        prepared = self.prepared(subject)
        plan = shadows.plan_pool(subject, self.root, prepared)
        made = [
            shadows.train_block(subject, self.root, prepared, number, self.store)
            for number in range(len(plan.blocks))
        ]
        return {each.key: each.reused for each in made}

    def pool_key(self, subject: ClassifierSubject) -> str:
        plan = shadows.plan_pool(subject, self.root, self.prepared(subject))
        return shadows.as_trained(plan, self.store).key

    def audit(self, subject: ClassifierSubject, version: str = "v1") -> AuditBundle:
        """All the steps of an audit, one after the other."""
        return audit_classifier(subject, self.root, version, self.store)


def make_world(root: Path) -> World:
    (root / "versions").mkdir()
    lines = ["id", *IDS[MEMBERS]]
    (root / "members.csv").write_text("\n".join(lines))
    return World(root)
