"""What the attacks on one version gave, as files between the steps of an audit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from memory_assets.history.bundle import measurements_in
from memory_assets.reports.inputs import RocCurve
from memory_assets.results.estimate import Measurement
from memory_assets.results.tables import measurements_table

_CURVES = pa.schema(
    [
        ("attack", pa.string()),
        ("fpr", pa.float64()),
        ("tpr", pa.float64()),
        ("n_members", pa.int64()),
        ("n_nonmembers", pa.int64()),
    ]
)


@dataclass(frozen=True)
class AttackResults:
    """`scores` has the columns record_id, member, attack, score; a row per record and attack."""

    scores: pa.Table
    measurements: tuple[Measurement, ...]
    curves: tuple[RocCurve, ...]

    def save(self, folder: Path) -> None:
        folder.mkdir()
        pq.write_table(self.scores, folder / "scores.parquet")
        pq.write_table(measurements_table(self.measurements), folder / "measurements.parquet")
        rows = [
            {
                "attack": c.attack,
                "fpr": float(x),
                "tpr": float(y),
                "n_members": c.n_members,
                "n_nonmembers": c.n_nonmembers,
            }
            for c in self.curves
            for x, y in zip(c.fpr, c.tpr, strict=True)
        ]
        pq.write_table(pa.Table.from_pylist(rows, schema=_CURVES), folder / "curves.parquet")

    @classmethod
    def load(cls, folder: Path) -> AttackResults:
        curves = pq.read_table(folder / "curves.parquet")
        attack = curves["attack"].to_numpy()
        column = {name: curves[name].to_numpy() for name in _CURVES.names[1:]}
        return cls(
            scores=pq.read_table(folder / "scores.parquet"),
            measurements=measurements_in(folder / "measurements.parquet"),
            curves=tuple(
                RocCurve(
                    name,
                    fpr=column["fpr"][rows],
                    tpr=column["tpr"][rows],
                    n_members=int(column["n_members"][rows][0]),
                    n_nonmembers=int(column["n_nonmembers"][rows][0]),
                )
                for name in dict.fromkeys(attack)
                for rows in [np.flatnonzero(attack == name)]
            ),
        )
