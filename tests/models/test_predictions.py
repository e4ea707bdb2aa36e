"""Tables of outputs: the order of rows does not matter, everything else that is off is told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from memory_assets.errors import InputError
from memory_assets.models import shadow_tables
from memory_assets.models.predictions import read_predictions
from memory_assets.models.shadow_tables import open_shadow_table
from memory_assets.records import tables

IDS = np.array(["001", "002", "003", "x4", "x5"])
ASKED = np.array([3, 0, 2])
VALUES = np.random.default_rng(0).dirichlet([1, 1, 1], 5)


def table(order=(4, 1, 0, 3, 2), prefix: str = "prob_", **changes) -> dict:
    chosen = list(order)
    columns = {"record_id": IDS[chosen].tolist()}
    columns |= {f"{prefix}{c}": VALUES[chosen, c].tolist() for c in range(3)}
    return {**columns, **changes}


def write(path: Path, columns: dict) -> Path:
    data = pa.table({k: v for k, v in columns.items() if v is not None})
    if path.suffix == ".csv":
        pacsv.write_csv(data, path)
    else:
        pq.write_table(data, path)
    return path


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize("prefix", ["prob_", "logit_"])
def test_read_in_the_order_asked(tmp_path: Path, suffix: str, prefix: str) -> None:
    path = write(tmp_path / f"p{suffix}", table(prefix=prefix))
    found = read_predictions(path, IDS, ASKED, 3)
    np.testing.assert_allclose(found.values, VALUES[ASKED])
    assert found.logits == (prefix == "logit_")
    assert found.trained is None


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize("mixed", [False, True])
def test_read_shadows(tmp_path: Path, suffix: str, mixed: bool, monkeypatch) -> None:
    monkeypatch.setattr(tables, "_ROWS", 3)
    monkeypatch.setattr(tables, "_BLOCK", 200)
    one = table(order=range(5), model=[7] * 5, trained=[1, 0, 1, 0, 1])
    two = table(order=(2, 0, 3), model=[2] * 3, trained=[0, 1, 1])
    rows = {k: list(one[k]) + list(two[k]) for k in one}
    if mixed:
        rows = {k: [v[i] for i in (0, 5, 1, 2, 6, 7, 3, 4)] for k, v in rows.items()}
    path = write(tmp_path / f"p{suffix}", rows)
    with open_shadow_table(path, IDS, ASKED, 3, tmp_path) as found:
        assert found.models == (2, 7)
        np.testing.assert_array_equal(found.read(2).values, VALUES[ASKED])
        np.testing.assert_array_equal(found.read(2).trained, [True, True, False])
        np.testing.assert_array_equal(found.read(7).trained, [False, True, True])
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"prob_1": [0.2, 0.2, 0.2, 0.2, 0.9]}, "row 5 sums to"),
        ({"record_id": ["001", "002", "003", "x4", "nobody"]}, "row 5: its record_id is not"),
        ({"record_id": ["001", "002", "003", "x4", "001"]}, "row 5: .*'001' repeats of model 3"),
        ({"trained": [0, 1, 0, 1, 2]}, "row 5: trained; expected 0 or 1"),
        ({"model": None}, "no column 'model'"),
        ({"model": [3, 3, 3, 3, 4]}, "no row of model 4 for record_id '"),
    ],
)
def test_shadows_refused(tmp_path: Path, changes: dict, message: str, monkeypatch) -> None:
    monkeypatch.setattr(tables, "_ROWS", 2)
    good = {f"prob_{c}": [0.2, 0.2, 0.2, 0.2, 0.2] for c in range(2)} | {"prob_2": [0.6] * 5}
    rows = {"record_id": IDS.tolist(), "model": [3] * 5, "trained": [0] * 5} | good | changes
    path = write(tmp_path / "p.parquet", rows)
    with (
        pytest.raises(InputError, match=message),
        open_shadow_table(path, IDS, ASKED, 3, tmp_path) as found,
    ):
        [found.read(model) for model in found.models]


def test_a_table_that_repeats_one_row_for_ever_is_left_soon(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(tables, "_ROWS", 4)
    rows = {k: v[:1] * 4000 for k, v in table(model=[1] * 5, trained=[0] * 5).items()}
    path = write(tmp_path / "p.parquet", rows)
    pieces, read = [], shadow_tables.read_rows
    monkeypatch.setattr(
        shadow_tables, "read_rows", lambda *args: pieces.append(args) or read(*args)
    )
    with (
        pytest.raises(InputError, match=r"row 2: .* repeats of model 1"),
        open_shadow_table(path, IDS, ASKED, 3, tmp_path),
    ):
        pass
    assert len(pieces) == 2


NAN = [0.5, 0.5, float("nan"), 0.5, 0.5]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (table(order=(4, 3, 2)), "no row for record_id '001' .1 records missing"),
        (table(order=(4, 1, 0, 3, 2, 0)), "row 6: record_id '001' repeats"),
        (
            table(record_id=["001", "nobody", "002", "003", "x4"]),
            "row 2: its record_id is not in the data set",
        ),
        (table(prob_2=None), "2 columns prob_.*; expected prob_0 to prob_2"),
        (table(prob_3=[0.0] * 5), "4 columns"),
        (table(prob_1=[0.9] * 5), "row 1 sums to"),
        (table(prob_1=NAN), "row 3 holds a value that is missing or not finite"),
        (table(prob_1=[-0.5] * 5), "row 1 holds a probability outside"),
        (table(prob_1=["a"] * 5), "not a number"),
        (table(record_id=None), "no column 'record_id'"),
        ({"record_id": ["001"]}, "no columns logit_0"),
        (table(trained=[0, 1, 2, 0, 1]), "row 3: trained; expected 0 or 1"),
        (table(trained=[0, 1, None, 0, 1]), "'trained' has 1 empty"),
    ],
)
def test_refused(tmp_path: Path, columns: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_predictions(write(tmp_path / "p.parquet", columns), IDS, ASKED, 3)


def test_first_offending_row_is_named(tmp_path: Path) -> None:
    values = VALUES.copy()
    values[[2, 4]] *= 1.1
    columns = {"record_id": IDS.tolist(), **{f"prob_{c}": values[:, c].tolist() for c in range(3)}}
    with pytest.raises(InputError, match=r"row 3 sums to 1\.1;"):
        read_predictions(write(tmp_path / "p.csv", columns), IDS, ASKED, 3)


@pytest.mark.parametrize("name", ["p.txt", "p.parquet", "p.csv"])
def test_unreadable(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\x00\x01garbage")
    with pytest.raises(InputError, match=name):
        read_predictions(tmp_path / name, IDS, ASKED, 3)
    with pytest.raises(InputError, match="none"):
        read_predictions(tmp_path / f"none-{name}", IDS, ASKED, 3)
