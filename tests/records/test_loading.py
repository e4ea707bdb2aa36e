import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from memory_assets.errors import InputError
from memory_assets.records.dataset import Dataset
from memory_assets.records.loading import load_records
from memory_assets.records.pairing import draw_pairing
from memory_assets.records.prepared import Prepared
from memory_assets.records.settings import RecordsSpec

TABLE = {"name": ["a", "b", "c"], "age": [1, 2, 3], "score": [0.5, 0.25, 0.0], "label": [0, 1, 0]}


def spec(**fields):
    return RecordsSpec(members="members.csv", **fields)


def write(tmp_path, suffix, columns=TABLE):
    path = tmp_path / f"records{suffix}"
    if suffix == ".parquet":
        pq.write_table(pa.table(columns), path)
    else:
        rows = zip(*columns.values(), strict=True)
        lines = [",".join(columns), *(",".join(map(str, row)) for row in rows)]
        path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_tables_give_the_same_records(tmp_path, suffix):
    path = write(tmp_path, suffix)
    data = load_records(spec(path=path.name, id="name"), tmp_path)
    assert data.ids.tolist() == ["a", "b", "c"]
    assert data.x.tolist() == [[1, 0.5], [2, 0.25], [3, 0]]
    assert data.y.tolist() == [0, 1, 0]


def test_text_labels_are_numbered_in_sorted_order(tmp_path):
    path = write(tmp_path, ".csv", TABLE | {"label": ["yes", "no", "yes"]})
    data = load_records(spec(path=path.name, id="name"), tmp_path)
    assert data.y.tolist() == [1, 0, 1]


def test_npz_arrays(tmp_path):
    np.savez(tmp_path / "r.npz", x=np.ones((3, 2, 2)), label=np.array([0, 1, 2]))
    data = load_records(spec(path="r.npz"), tmp_path)
    assert data.x.shape == (3, 2, 2)
    assert data.ids.tolist() == ["0", "1", "2"]
    assert data.classes == 3


def test_an_npz_with_a_pickle_inside_is_refused(tmp_path):
    np.savez(tmp_path / "r.npz", x=np.array([{"a": 1}], dtype=object), label=np.array([0]))
    with pytest.raises(InputError, match="not a readable npz file of plain arrays"):
        load_records(spec(path="r.npz"), tmp_path)


def test_prepared_records_come_back_as_they_were(tmp_path):
    data = load_records(spec(loader="memory_assets.examples.digits:load"), tmp_path)
    members = np.arange(len(data)) < 900
    prepared = Prepared(data, members, draw_pairing(data, members, seed=3))
    prepared.save(tmp_path / "records")
    again = Prepared.load(tmp_path / "records")
    assert again.key == prepared.key
    assert isinstance(again.data, Dataset)
    assert (again.members == prepared.members).all()


@pytest.mark.parametrize(
    ("fields", "columns", "message"),
    [
        ({}, TABLE, "either loader .* or path"),
        ({"path": "gone.csv"}, TABLE, "no file"),
        ({"path": "records.csv", "label": "outcome"}, TABLE, "no column 'outcome'"),
        ({"path": "records.csv"}, TABLE, "column 'name' is not numeric"),
        ({"path": "records.csv", "id": "name"}, {"name": [], "label": []}, "no records"),
        ({"loader": "builtins:dict"}, TABLE, "returned dict"),
    ],
)
def test_bad_sources_are_one_clear_line(tmp_path, fields, columns, message):
    write(tmp_path, ".csv", columns)
    with pytest.raises(InputError, match=message):
        load_records(spec(**fields), tmp_path)


def test_a_damaged_parquet_file_is_named(tmp_path):
    (tmp_path / "r.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(InputError, match=r"r.parquet: not a readable parquet table"):
        load_records(spec(path="r.parquet"), tmp_path)
