"""What the pool alone says, whatever version is audited: memorization and information."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from memory_assets.errors import InputError
from memory_assets.history.bundle import measurements_in
from memory_assets.memorization.complementary_pairs import has_couples
from memory_assets.memorization.information import information as measure_information
from memory_assets.memorization.profile import profile
from memory_assets.pool.signal_files import load_signals
from memory_assets.pool.signals import Signals
from memory_assets.records.prepared import Prepared
from memory_assets.results import formulas
from memory_assets.results.estimate import Estimate, Measurement
from memory_assets.results.formulas import (
    GAIN,
    INFLUENCE,
    PER_RECORD,
    RECORD_KINDS,
    SCORE_CHANNEL,
    Formula,
    Step,
)
from memory_assets.results.tables import measurements_table
from memory_assets.store.artifacts import Artifact, ArtifactStore
from memory_assets.store.digest import digest

MEMORIZATION, INFORMATION = "memorization", "information"
MEMORIZATION_STEP = Step(MEMORIZATION, (PER_RECORD, INFLUENCE, GAIN, RECORD_KINDS))
INFORMATION_STEP = Step(INFORMATION, (formulas.INFORMATION, SCORE_CHANNEL))
_NULL_SEED = 0
_FEWEST = 2
_COLUMNS = ("memorization", "memorization_low", "memorization_high", "influence")


def measurable(pool: Signals) -> bool:
    """Whether two models or more stand on either side of every record."""
    inside = pool.side.sum(axis=0, dtype=np.int64)
    return int(np.minimum(inside, pool.models - inside).min()) >= _FEWEST


def _not_run(family: str, name: str, metric: str, unit: str, by: Formula) -> Measurement:
    return Measurement(family, name, metric, unit, Estimate.not_run(), by.version)


def _unmeasured(prepared: Prepared, folder: Path) -> None:
    """The files of `memorization` when there is nothing to measure it by."""
    ids = prepared.pair_ids.ravel()
    empty = pa.nulls(len(ids), pa.float64())
    columns = {"record_id": ids.astype(object), **dict.fromkeys(_COLUMNS, empty)}
    columns["kind"] = ["not measured"] * len(ids)
    folder.mkdir()
    pq.write_table(pa.table(columns), folder / "records.parquet")
    metric = ("memorization", "feldman_zhang", "mean_memorization", "probability", PER_RECORD)
    _save([_not_run(*metric)], folder)


def memorization_key(signals_key: str, prepared: Prepared) -> str:
    """The key of what `memorization` finds in the pool whose signals have this key."""
    return digest(MEMORIZATION, signals_key, prepared.key, MEMORIZATION_STEP.versions())


def information_key(signals_key: str, prepared: Prepared) -> str:
    """The key of what `informativeness` finds in the pool whose signals have this key."""
    return digest(INFORMATION, signals_key, prepared.key, INFORMATION_STEP.versions())


def memorization(prepared: Prepared, pool: Path, store: ArtifactStore) -> Artifact:
    """Memorization, influence and kind of every record of the audit set.

    A folder with `records.parquet` (record_id, memorization with its interval, influence, kind:
    what the history keeps) and `measurements.parquet`. Where the pool has too few models, or models
    that do not come in couples, both say that nothing was measured.

    Raises:
        InputError: signals that cannot be measured.
    """

    @MEMORIZATION_STEP.at_work()
    def build(folder: Path) -> None:
        signals = load_signals(pool)
        if not (measurable(signals) and has_couples(signals.side)):
            _unmeasured(prepared, folder)
            return
        try:
            found = profile(signals)
        except ValueError as error:
            raise InputError(f"memorization: {error}") from error
        columns = {
            "record_id": prepared.pair_ids.astype(object),
            "memorization": found.records.value,
            "memorization_low": found.records.low,
            "memorization_high": found.records.high,
            "influence": found.influence.mean,
            "kind": found.kinds.astype(object),
        }
        folder.mkdir()
        pq.write_table(
            pa.table({name: values.ravel() for name, values in columns.items()}),
            folder / "records.parquet",
        )
        _save(found.measurements, folder)

    key = memorization_key(pool.stem, prepared)
    return store.get_or_build(MEMORIZATION, key, build)


def informativeness(prepared: Prepared, pool: Path, store: ArtifactStore) -> Artifact:
    """Bits that predictions give away about membership, by bound.

    A folder with `measurements.parquet`.

    Raises:
        InputError: signals that cannot be measured.
    """

    @INFORMATION_STEP.at_work()
    def build(folder: Path) -> None:
        signals = load_signals(pool)
        if not measurable(signals):
            folder.mkdir()
            nothing = _not_run("information", "f_cmi", "information", "bits", formulas.INFORMATION)
            _save([nothing], folder)
            return
        try:
            found = measure_information(signals, seed=_NULL_SEED)
        except ValueError as error:
            raise InputError(f"information: {error}") from error
        folder.mkdir()
        _save(found.measurements, folder)

    key = information_key(pool.stem, prepared)
    return store.get_or_build(INFORMATION, key, build)


def read_measurements(folder: Path) -> tuple[Measurement, ...]:
    """The measurements that a finding of the pool carries."""
    return measurements_in(folder / "measurements.parquet")


def read_records(folder: Path) -> dict[str, np.ndarray]:
    """The columns of `records.parquet`, in the order of the audit set's pairs."""
    table = pq.read_table(folder / "records.parquet")
    return {name: table[name].to_numpy() for name in table.column_names}


def _save(measurements: list[Measurement], folder: Path) -> None:
    pq.write_table(measurements_table(measurements), folder / "measurements.parquet")
