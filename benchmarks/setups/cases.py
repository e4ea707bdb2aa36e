"""One classifier as its owner brings it, by any of the ways, and what went wrong on the way."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import csv

from benchmarks.setups.audits import audit_classifier, prepare
from benchmarks.setups.models import fit_named
from benchmarks.setups.records import MEMBERS, PAIRS, RECORDS, Records
from memory_assets.config.classifier import ClassifierSubject
from memory_assets.history.bundle import AuditBundle
from memory_assets.models.checkpoints import Manifest, save_checkpoint
from memory_assets.models.recipe import Recipe
from memory_assets.pool.blocks import train_rows
from memory_assets.pool.masks import draw_masks
from memory_assets.pool.trainer import train_target
from memory_assets.records.prepared import members_digest
from memory_assets.statistics import power
from memory_assets.store.artifacts import ArtifactStore
from memory_assets.store.digest import digest

SHADOWS = 8
SOURCES = ("outputs", "alone", "declared", "fit", "command", "recipe")
"""Outputs with shadows; without; the same with a declared attacker; callable; command; weights."""

Change = Callable[[NDArray], NDArray]
State = dict[str, NDArray]
_known: dict[str, Any] = {}
"""What was trained in this process, by a digest of all that it was made of."""


def same(values: Any) -> Any:
    return values


def limits() -> dict[str, float]:
    """A gate at least twice as far from guessing as what a model without a leak passes."""
    auc, tpr = power.passable_auc(PAIRS, PAIRS), power.passable_tpr(PAIRS, PAIRS, 0.1)
    assert auc is not None
    assert tpr is not None
    wide = {"auc": 0.5 + 2 * (auc - 0.5), "tpr_at_fpr_0.1": 0.1 + 2.5 * (tpr - 0.1)}
    return {metric: round(limit, 3) for metric, limit in wide.items()}


@dataclass(frozen=True)
class Case:
    """What the model saw, and what the owner says and brings.

    `data` are the records as the owner's models learned them and `member` those that this one
    should have seen. The rest is as it should be unless it is given: what the file of records
    holds, whom the list names, on whom the model was trained, how its shadow models were made.
    `learns`, `asks` and `answers` change the target's records in training, those it is asked about,
    and its probabilities; `shadow_sides` what is written of the sides `[1, n]` that a shadow model
    was trained on.
    """

    source: str
    kind: str
    data: Records
    model: str | Recipe
    seed: int = 0
    member: NDArray[np.bool_] = field(default_factory=lambda: np.arange(RECORDS) < MEMBERS)
    written: Records | None = None
    listed: NDArray[np.bool_] | None = None
    trained: NDArray[np.bool_] | None = None
    other: Records | None = None
    shadow_model: str | Recipe | None = None
    models: int = SHADOWS
    learns: Change = same
    asks: Change = same
    answers: Change = same
    shadow_answers: Change = same
    shadow_sides: Callable[[NDArray, np.random.Generator], NDArray] = lambda sides, _: sides
    copies: bool = False
    columns: Mapping[str, NDArray] = field(default_factory=dict)
    tensors: Callable[[State], State] = same
    says: Mapping[str, Any] = field(default_factory=dict)
    says_members: bool = True
    gate: Mapping[str, float] = field(default_factory=limits)

    @property
    def list(self) -> NDArray[np.bool_]:
        return self.member if self.listed is None else self.listed

    def target(self) -> NDArray[np.float64]:
        """Probabilities `[N, C]` of the owner's model for every record."""
        data, rows = self._seen()
        p = _fitted(str(self.model), data, rows, self.seed, self.asks(self.data.x))
        return self.answers(p)

    def weights(self) -> State:
        data, rows = self._seen()
        assert isinstance(self.model, Recipe)
        key = digest(self.model, data.x, data.y, rows, self.seed)
        if key not in _known:
            _known[key] = train_target(self.model, data.x, data.y, rows, draw=self.seed)
        return self.tensors(dict(_known[key]))

    def _seen(self) -> tuple[Records, NDArray[np.int64]]:
        """The records that the target learned from, and which of them."""
        rows = np.flatnonzero(self.member if self.trained is None else self.trained)
        data = self.data if self.other is None else self.other
        return data.changed(self.learns(data.x)), rows

    def audit(self, root: Path, store: ArtifactStore) -> AuditBundle:
        """Write it all to the empty folder `root`, and audit it.

        Raises:
            InputError: the program refuses it.
        """
        subject = self._write(root, store)
        return audit_classifier(subject, root, "v1", store)

    def _write(self, root: Path, store: ArtifactStore) -> ClassifierSubject:
        (root / "versions").mkdir()
        file = (self.written or self.data).write(root)
        ids = self.data.ids
        (root / "members.csv").write_text("\n".join(["id", *ids[self.list]]))
        records = {"path": file, "id": "id", "members": "members.csv"}
        subject = ClassifierSubject.model_validate(
            {
                "subject": "world",
                "records": records,
                "checkpoints": "versions",
                "gate": dict(self.gate),
                **self._way(),
            }
        )
        if self.source == "recipe":
            listing = members_digest(ids[self.member])
            manifest = Manifest(dict(self.says), listing if self.says_members else "", "")
            path = root / "versions" / "v1.safetensors"
            save_checkpoint(path, self.weights(), manifest)
            return subject
        p = self.target()
        csv.write_csv(self._table(p, **self.columns), root / "versions" / "v1.csv")
        if self.source == "outputs":
            self._write_shadows(subject, root, store, p)
        return subject

    def _way(self) -> dict[str, Any]:
        model = self.model if self.shadow_model is None else self.shadow_model
        pool = {"pool": {"models": self.models}}
        if self.source == "recipe":
            return {"recipe": asdict(model), **pool}  # type: ignore[arg-type]
        if self.source == "fit":
            return {"fit": f"benchmarks.setups.models:{model}", **pool}
        if self.source == "command":
            run = f"{sys.executable} -m benchmarks.setups.models {model}"
            return {"command": {"run": run}, **pool}
        if self.source == "outputs":
            return {"predictions": {"shadows": "shadows.csv"}}
        return {"predictions": {}} | (
            {"attacker": "predictions"} if self.source == "declared" else {}
        )

    def _table(self, p: NDArray, **more: NDArray | list) -> pa.Table:
        named = {f"prob_{c}": p[:, c] for c in range(p.shape[1])}
        return pa.table({"record_id": self.data.ids.astype(object), **more, **named})

    def _write_shadows(
        self, subject: ClassifierSubject, root: Path, store: ArtifactStore, target: NDArray
    ) -> None:
        """What the owner's shadow models answer, trained on the sides that the list gives."""
        stand_in = root / "shadows.csv"
        stand_in.touch()
        pairing = prepare(subject, root, store).pairing
        masks = draw_masks(self.models, len(pairing.pairs), seed=3)
        model = str(self.model if self.shadow_model is None else self.shadow_model)
        every, rng, tables = np.arange(len(self.data.y)), np.random.default_rng(self.seed), []
        for k, rows in enumerate(train_rows(pairing.pairs, pairing.common, masks)):
            if self.copies:
                q = np.clip(target + rng.normal(0, 0.02, target.shape), 0.001, 1)
                p = q / q.sum(axis=1, keepdims=True)
            else:
                p = self.shadow_answers(_fitted(model, self.data, rows, 100 + k, self.data.x))
            said = train_rows(
                pairing.pairs, pairing.common, self.shadow_sides(masks[k : k + 1], rng)
            )
            flags = np.isin(every, said[0]).astype(int)
            tables.append(self._table(p, model=[k] * len(p), trained=flags))
        csv.write_csv(pa.concat_tables(tables), stand_in)


def _fitted(
    name: str, data: Records, rows: NDArray[np.integer], seed: int, asked: NDArray
) -> NDArray[np.float64]:
    """What a model trained on these rows answers, from memory where it was trained before."""
    key = digest(name, data.x, data.y, rows, seed, np.asarray(asked))
    if key not in _known:
        p = fit_named(name)(data.x[rows], data.y[rows], seed)(asked)
        _known[key] = p / p.sum(axis=1, keepdims=True)
    return _known[key]
