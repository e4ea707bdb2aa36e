"""Labels are numbered by value, however the file stores them, or they are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv, parquet

from memory_assets.errors import InputError
from memory_assets.records.dataset import Dataset
from memory_assets.records.labels import as_labels
from memory_assets.records.loading import load_records
from memory_assets.records.settings import RecordsSpec

TWELVE = np.arange(240) % 12
WAYS_TO_STORE = {
    "integers": TWELVE,
    "floats": TWELVE.astype(float),
    "float32": TWELVE.astype(np.float32),
    "texts": TWELVE.astype(str),
    "texts of floats": np.array([f"{x:.1f}" for x in TWELVE]),
    "objects": TWELVE.astype(str).astype(object),
    "bytes": TWELVE.astype("S2"),
}


@pytest.mark.parametrize("stored", WAYS_TO_STORE)
def test_twelve_classes_have_the_same_numbers_however_they_are_stored(stored: str) -> None:
    found = as_labels(WAYS_TO_STORE[stored], "labels")
    np.testing.assert_array_equal(found.codes, TWELVE)
    assert found.classes == 12


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize("stored", ["integers", "floats", "texts", "texts of floats"])
def test_a_table_gives_the_same_records_however_it_stores_labels(
    tmp_path: Path, stored: str, suffix: str
) -> None:
    kept = [WAYS_TO_STORE["integers"], WAYS_TO_STORE[stored]]
    read: list[Dataset] = []
    for number, labels in enumerate(kept):
        table = pa.table({"x": np.arange(240.0) / 7, "label": labels.tolist()})
        path = tmp_path / f"{number}{suffix}"
        (csv.write_csv if suffix == ".csv" else parquet.write_table)(table, path)
        spec = RecordsSpec(path=path.name, members="members.csv")
        read.append(load_records(spec, tmp_path))
    assert read[0].digest == read[1].digest


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (np.array([3, 5, 7] * 20), ("3", "5", "7")),
        (np.array([3.0, 5.0, 7.0] * 20), ("3", "5", "7")),
        (np.array(["7", "3", "5"] * 20), ("3", "5", "7")),
        (np.array([-1, 1] * 20), ("-1", "1")),
        (np.arange(1, 13).repeat(5), tuple(map(str, range(1, 13)))),
        (np.array(["b", "a", "10"] * 20), ("10", "a", "b")),
        (np.array([0.5, 1.0, 1.5] * 20), ("0.5", "1", "1.5")),
    ],
)
def test_labels_that_do_not_begin_at_0_are_numbered_in_their_order(labels, names) -> None:
    found = as_labels(labels, "labels")
    assert (found.classes, found.names) == (len(names), names)
    assert sorted(set(found.codes.tolist())) == list(range(len(names)))
    if labels.dtype.kind in "if":
        assert (np.argsort(found.codes, kind="stable") == np.argsort(labels, kind="stable")).all()


def test_whole_numbers_from_0_keep_the_place_of_a_class_that_no_record_has() -> None:
    found = as_labels(np.array([0, 1, 3] * 5), "labels")
    assert (found.classes, found.names) == (4, ())


def test_minus_0_is_0_and_truth_is_a_number() -> None:
    assert as_labels(np.array([-0.0, 0.0, 1.0]), "labels").classes == 2
    assert as_labels(np.array([True, False]), "labels").codes.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (np.random.default_rng(0).normal(size=200), "look like a quantity"),
        (np.random.default_rng(0).normal(size=200).astype(str), "look like a quantity"),
        (np.linspace(0, 1, 60).repeat(3), "look like a quantity"),
        (np.arange(200), "look like an id or a quantity"),
        (np.array([f"case {i}" for i in range(200)]), "look like an id or a quantity"),
        (np.ones(50, dtype=int), "all 50 labels are the same"),
        (np.array(["yes"] * 50), "all 50 labels are the same"),
        (np.array([0.0, -0.0] * 5), "all 10 labels are the same"),
        (np.array([0.0, np.nan]), "1 labels are missing"),
    ],
)
def test_labels_that_are_no_classes_are_refused(labels, said: str) -> None:
    with pytest.raises(InputError, match=said):
        as_labels(labels, "labels")


def test_a_loader_that_returns_one_class_is_refused() -> None:
    ids, x = np.array(["a", "b"]), np.zeros((2, 1), np.float32)
    with pytest.raises(InputError, match="all 2 records have the same label"):
        Dataset(ids, x, np.ones(2, np.int64), 2)
