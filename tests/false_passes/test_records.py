"""What was read is what the owner counts: ids as written, and no index or id among the features."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from memory_assets.errors import InputError
from memory_assets.records.dataset import Dataset
from memory_assets.records.loading import load_records
from memory_assets.records.settings import RecordsSpec
from memory_assets.records.texts import load_texts

N = 6
RNG = np.random.default_rng(0)
AGE, SCORE = np.array([30, 41, 30, 55, 41, 30]), RNG.normal(size=N)
LABEL = np.array([0, 1, 0, 1, 1, 0])
FEATURES = {"age": AGE, "score": SCORE, "label": LABEL}
LONG = [f"9{'0' * 18}{i}" for i in range(N)]  # 20 digits, which float64 and int64 do not hold


def read(root: Path, name: str, **spec: str) -> Dataset:
    given = {"members": "members.csv", "path": name, **spec}
    return load_records(RecordsSpec.model_validate(given), root)


def write(root: Path, columns: dict, suffix: str = ".csv") -> str:
    path = root / f"records{suffix}"
    if suffix == ".csv":
        rows = zip(*columns.values(), strict=True)
        lines = [",".join(columns), *(",".join(map(str, row)) for row in rows)]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    else:
        pq.write_table(pa.table(columns), path)
    return path.name


@pytest.mark.parametrize(
    "ids",
    [
        ["000", "001", "002", "010", "011", "100"],
        LONG,
        ["1e1", "10", "0x10", "1_0", "10.0", "١٠"],
        ["NA", "null", "nan", "true", "-0", "0"],
    ],
)
def test_ids_are_text_as_it_is_written(ids: list[str], tmp_path: Path) -> None:
    columns = {"claim_id": ids, **FEATURES}
    name = write(tmp_path, columns)
    assert read(tmp_path, name, id="claim_id").ids.tolist() == ids
    quoted = (tmp_path / name).read_text().replace("\n", "\r\n")
    for cell in ids:
        quoted = quoted.replace(f"\n{cell},", f'\n"{cell}",')
    (tmp_path / "windows.csv").write_bytes(b"\xef\xbb\xbf" + quoted.encode())
    assert read(tmp_path, "windows.csv", id="claim_id").ids.tolist() == ids
    for kind in (pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())):
        name = write(tmp_path, columns | {"claim_id": pa.array(ids).cast(kind)}, ".parquet")
        assert read(tmp_path, name, id="claim_id").ids.tolist() == ids


def test_whole_numbers_are_ids_to_the_last_digit(tmp_path: Path) -> None:
    numbers = [2**63 + i for i in range(N)]
    for values in (
        pa.array(numbers, pa.uint64()),
        pa.array(numbers, pa.uint64()).dictionary_encode(),
    ):
        name = write(tmp_path, {"k": values, **FEATURES}, ".parquet")
        assert read(tmp_path, name, id="k").ids.tolist() == [str(n) for n in numbers]


@pytest.mark.parametrize("dictionary", [False, True])
def test_numbers_with_decimals_are_no_ids(dictionary: bool, tmp_path: Path) -> None:
    values = pa.array(np.arange(N) + 10.0)
    values = values.dictionary_encode() if dictionary else values
    name = write(tmp_path, {"k": values, **FEATURES}, ".parquet")
    with pytest.raises(InputError, match=r"'k': ids that are float64.*write them as text"):
        read(tmp_path, name, id="k")
    np.savez(tmp_path / "a.npz", x=np.zeros((N, 2)), label=LABEL, id=np.arange(N) + 10.0)
    with pytest.raises(InputError, match="ids that are float64"):
        read(tmp_path, "a.npz")
    pq.write_table(pa.table({"id": values, "text": ["words"] * N}), tmp_path / "t.parquet")
    with pytest.raises(InputError, match="ids that are double"):
        load_texts(tmp_path / "t.parquet", "text", "id")


def test_ids_of_texts_are_as_they_are_written(tmp_path: Path) -> None:
    lines = ['{"id": 12345678901234567890, "text": "a"}', '{"id": "007", "text": "b"}']
    (tmp_path / "t.jsonl").write_text("\n".join(lines))
    assert load_texts(tmp_path / "t.jsonl", "text", "id").ids == ("12345678901234567890", "007")
    for wrong in ("1e1", "10.0", "true"):
        (tmp_path / "t.jsonl").write_text(f'{{"id": {wrong}, "text": "a"}}')
        with pytest.raises(InputError, match="line 1: id is no text or whole number"):
            load_texts(tmp_path / "t.jsonl", "text", "id")


def test_a_record_without_an_id_is_refused(tmp_path: Path) -> None:
    name = write(tmp_path, {"k": ["a", "", "c", "d", "e", "f"], **FEATURES})
    with pytest.raises(InputError, match="'k': record 2 has no id"):
        read(tmp_path, name, id="k")


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize(
    "index", ["", " ", "Unnamed: 0", "Unnamed: 0.1", "__index_level_0__", "index", "level_0"]
)
def test_an_index_is_no_feature_and_that_is_said(index: str, suffix: str, tmp_path: Path) -> None:
    # An order by membership would make it a flag equal to membership.
    name = write(tmp_path, {index: np.arange(N), **FEATURES, "k": list("abcdef")}, suffix)
    data = read(tmp_path, name, id="k")
    assert data.x.shape == (N, 2)
    np.testing.assert_allclose(data.x[:, 0], AGE)
    assert any("is an index that was written with the table" in line for line in data.notices)


def test_an_index_that_its_owner_names_is_read(tmp_path: Path) -> None:
    shuffled = RNG.permutation(N) + 100
    name = write(tmp_path, {"__index_level_0__": shuffled, **FEATURES}, ".parquet")
    data = read(tmp_path, name, id="__index_level_0__")
    assert data.ids.tolist() == [str(i) for i in shuffled]
    assert data.x.shape == (N, 2)


def test_an_index_that_is_not_the_row_number_is_asked_for(tmp_path: Path) -> None:
    name = write(tmp_path, {"": [5, 3, 1, 0, 2, 4], **FEATURES})
    with pytest.raises(InputError, match=r"may hold the records' ids.*`row number`"):
        read(tmp_path, name)
    data = read(tmp_path, name, id="row number")
    assert data.ids.tolist() == [str(i) for i in range(N)]
    assert data.x.shape == (N, 2)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("claim_id", [17, 3, 99, 5, 44, 12]),
        ("claim_id", [17, 3, 99, 5, 44, 17]),  # one id stands twice
        ("ClaimID", [-1, -2, -3, -4, -5, -6]),
        ("reference", [900_017, 900_003, 900_099, 900_005, 900_044, 900_012]),
        ("reference", [17.0, 3.0, 99.0, 5.0, 44.0, 12.0]),
        ("who", ["c17", "c3", "c99", "c5", "c44", "c12"]),
    ],
)
def test_what_looks_like_ids_is_asked_for(
    column: str, values: list, suffix: str, tmp_path: Path
) -> None:
    name = write(tmp_path, {**FEATURES, column: values}, suffix)
    with pytest.raises(InputError, match=rf"'{column}' .*may hold the records' ids"):
        read(tmp_path, name)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_measured_quantities_stay_features(suffix: str, tmp_path: Path) -> None:
    columns = {"width": RNG.normal(size=N), "price": np.arange(N) + 0.5, "change": -np.arange(N)}
    if suffix == ".parquet":  # whole for want of digits, not by nature
        columns |= {
            "mass": RNG.normal(1e18, 1e17, N),
            "mass32": RNG.normal(1e9, 1e8, N).astype(np.float32),
        }
    name = write(tmp_path, {**FEATURES, **columns}, suffix)
    data = read(tmp_path, name)
    assert data.x.shape == (N, 2 + len(columns))
    assert data.ids.tolist() == [str(i) for i in range(N)]
    assert any("the records are numbered 0 to 5" in line for line in data.notices)
    assert read(tmp_path, name, id="row number").ids.tolist() == data.ids.tolist()


def test_more_ids_among_the_features_are_said(tmp_path: Path) -> None:
    name = write(tmp_path, {"k": list("abcdef"), "patient_id": range(50, 50 + N), **FEATURES})
    data = read(tmp_path, name, id="k")
    assert any("'patient_id' looks like ids too" in line for line in data.notices)


def test_arrays_of_ids_by_another_name_are_asked_for(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    arrays = {"x": np.zeros((N, 2), np.float32), "label": LABEL, "claim_id": np.arange(N) + 40}
    np.savez(tmp_path / "a.npz", **arrays)
    save_file(arrays, tmp_path / "a.safetensors")
    for name in ("a.npz", "a.safetensors"):
        with pytest.raises(InputError, match=r"array 'claim_id' may hold the records' ids"):
            read(tmp_path, name)
        assert read(tmp_path, name, id="claim_id").ids[0] == "40"
        assert read(tmp_path, name, id="row number").ids[0] == "0"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "empty; expected a line of column names"),
        ("k,age,label\n", "no records"),
        ("k,age,age,label\na,1,2,0\nb,1,2,1\n", "'age' stands twice"),
    ],
)
def test_tables_that_hold_no_records_are_one_line(content: str, message: str, tmp_path) -> None:
    (tmp_path / "r.csv").write_text(content)
    with pytest.raises(InputError, match=message):
        read(tmp_path, "r.csv", id="k")
