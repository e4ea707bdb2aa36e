"""Small tables on which scikit-learn's models remember, and audits of nothing but their outputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import csv

from benchmarks.setups.audits import audit_classifier, prepare
from memory_assets.config.classifier import ClassifierSubject
from memory_assets.history.bundle import AuditBundle
from memory_assets.pool.blocks import train_rows
from memory_assets.pool.masks import draw_masks
from memory_assets.records.prepared import Prepared
from memory_assets.results.estimate import Control
from memory_assets.store.artifacts import ArtifactStore

Fit = Callable[[NDArray, NDArray, int], Callable[[NDArray], NDArray]]


def sure(classes: int, labels: NDArray[np.integer], sureness: float = 1.0) -> NDArray[np.float64]:
    """Probabilities `[R, classes]`: `sureness` for each label, the rest shared by the others."""
    rest = (1 - sureness) / (classes - 1)
    return rest + (sureness - rest) * (labels[:, None] == np.arange(classes))


def lookup(x: NDArray, y: NDArray, seed: int) -> Callable[[NDArray], NDArray]:
    """Sure of what it was trained on, and a shrug for everything else."""
    del seed
    seen = {row.tobytes(): int(label) for row, label in zip(x, y, strict=True)}
    classes = int(y.max()) + 1

    def predict(asked: NDArray) -> NDArray:
        p = np.full((len(asked), classes), 1 / classes)
        for i, row in enumerate(asked):
            if (label := seen.get(row.tobytes())) is not None:
                p[i] = np.arange(classes) == label
        return p

    return predict


def sklearn_fit(make: Callable[[int], Any]) -> Fit:
    def fit(x: NDArray, y: NDArray, seed: int) -> Callable[[NDArray], NDArray]:
        return make(seed).fit(x, y).predict_proba

    return fit


@dataclass(frozen=True)
class World:
    """Records of two noisy classes, and who was trained on."""

    root: Path
    x: NDArray[np.float32]
    y: NDArray[np.int64]
    members: NDArray[np.bool_]

    @property
    def ids(self) -> NDArray[np.str_]:
        return np.array([f"r{i:04d}" for i in range(len(self.y))])

    @property
    def store(self) -> ArtifactStore:
        return ArtifactStore(self.root / "home")

    def list_members(self, members: NDArray[np.bool_]) -> None:
        (self.root / "members.csv").write_text("\n".join(["id", *self.ids[members]]))

    def trained(self, fit: Fit) -> NDArray[np.float64]:
        """What a model trained on the members answers about every record."""
        return fit(self.x[self.members], self.y[self.members], 0)(self.x)

    def write(self, p: NDArray, name: str = "v1", **more: Any) -> None:
        columns = {f"prob_{c}": p[:, c] for c in range(p.shape[1])}
        table = pa.table({"record_id": self.ids.astype(object), **columns, **more})
        csv.write_csv(table, self.root / "versions" / f"{name}.csv")

    def write_shadows(self, fit: Fit, models: int = 8, **change: Any) -> None:
        """Outputs of shadow models; `change` may give their `answers` or `trained` anew."""
        pairing = self.prepared(self.subject()).pairing
        masks = draw_masks(models, len(pairing.pairs), seed=3)
        every, tables = np.arange(len(self.y)), []
        for k, rows in enumerate(train_rows(pairing.pairs, pairing.common, masks)):
            p = change.get("answers", lambda rows, k: fit(self.x[rows], self.y[rows], k)(self.x))(
                rows, k
            )
            columns = {f"prob_{c}": p[:, c] for c in range(p.shape[1])}
            said = {"model": [k] * len(p), "trained": np.isin(every, rows).astype(int)}
            tables.append(pa.table({"record_id": self.ids.astype(object), **said, **columns}))
        csv.write_csv(pa.concat_tables(tables), self.root / "shadows.csv")

    def subject(self, **attributes: Any) -> ClassifierSubject:
        base = {
            "subject": "world",
            "records": {"path": "records.csv", "id": "id", "members": "members.csv"},
            "checkpoints": "versions",
            "predictions": {},
            "gate": {"tpr_at_fpr_0.01": 0.2},
        }
        return ClassifierSubject.model_validate(base | attributes)

    def prepared(self, subject: ClassifierSubject) -> Prepared:
        return prepare(subject, self.root, self.store)

    def audit(self, version: str = "v1", **attributes: Any) -> AuditBundle:
        """All the steps of an audit, one after the other."""
        return audit_classifier(self.subject(**attributes), self.root, version, self.store)


def make_world(root: Path, records: int = 450, members: int = 200, seed: int = 0) -> World:
    """Two overlapping blobs, a fifth of the labels wrong: models that fit them remember."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, records)
    x = (rng.normal(size=(records, 6)) + 0.8 * y[:, None]).astype(np.float32)
    y = np.where(rng.random(records) < 0.2, 1 - y, y)
    world = World(root, x, y, np.arange(records) < members)
    (root / "versions").mkdir()
    columns = {f"x{i}": x[:, i] for i in range(x.shape[1])}
    table = pa.table({"id": world.ids.astype(object), "label": y, **columns})
    csv.write_csv(table, root / "records.csv")
    world.list_members(world.members)
    return world


def control(bundle: AuditBundle, name: str) -> Control:
    return next(c for c in bundle.controls if c.control == name)


def failed(bundle: AuditBundle) -> set[str]:
    return {c.control for c in bundle.controls if not c.passed}


def measured(bundle: AuditBundle, attack: str, metric: str) -> float | None:
    return next(
        m.estimate.value
        for m in bundle.measurements
        if (m.name, m.metric) == (attack, metric) and m.family != "gate"
    )
