"""The list of members means the records that its owner means, or it is refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from memory_assets.config.classifier import ClassifierSubject
from memory_assets.errors import InputError
from memory_assets.models.checkpoints import Manifest, save_checkpoint
from memory_assets.records.dataset import Dataset
from memory_assets.records.members import load_members
from memory_assets.records.pairing import draw_pairing
from memory_assets.records.prepared import Prepared, members_digest
from memory_assets.store.artifacts import ArtifactStore
from memory_assets.workflows.classifier import read_records
from memory_assets.workflows.conclusion import _provenance
from memory_assets.workflows.sensitivity import compared

N = 40


def data_with(ids: list[str]) -> Dataset:
    x = np.random.default_rng(0).normal(size=(len(ids), 3)).astype(np.float32)
    return Dataset(np.array(ids), x, np.arange(len(ids)) % 2, 2, "claims.csv")


NUMBERED = data_with([str(i) for i in range(N)])


def listed(path: Path, data: Dataset, content: str | bytes, name: str | None = "claim_id"):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    found = load_members(path, data, name)
    return data.ids[found.mask].tolist(), found.notices


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (",claim_id\n0,17\n1,3\n2,30\n", True),  # pandas, with its index
        ("Unnamed: 0,claim_id\n0,17\n1,3\n2,30\n", True),
        ("claim_id,age\n17,50\n3,40\n30,1\n", False),
        ("age,claim_id\n5,17\n6,3\n7,30\n", False),
        ("claim_id\n17\n3\n30\n", False),
        ("CLAIM_ID\n17\n3\n30\n", False),
        ("id\n17\n3\n30\n", False),
        ("17\n3\n30\n", False),
        ("claim_id,\n17,\n3,\n30,\n", False),  # a spreadsheet's empty column
        (b"\xef\xbb\xbfclaim_id\r\n17\r\n3\r\n30\r\n", False),
        ('"claim_id"\n"17"\n"3"\n"30"\n\n', False),
    ],
)
def test_the_ids_are_read_and_not_the_row_numbers(content, said, tmp_path: Path) -> None:
    found, notices = listed(tmp_path / "members.csv", NUMBERED, content)
    assert found == ["3", "17", "30"]
    assert any("was not read as ids" in line for line in notices) == said


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        (",0\n0,17\n1,3\n", "claim_id", "2 columns, 0 of them named 'claim_id'; the first has no"),
        ("0,17\n1,3\n", "claim_id", "2 columns, 0 of them named 'claim_id'"),
        (",claim\n0,17\n1,3\n", "claim_id", "the first has no name"),
        (",claim\n0,17\n1,3\n", None, "2 columns, 0 of them named 'id'"),
        ("id,claim\n0,17\n1,3\n", "claim_id", "give the column of ids the name 'claim_id'"),
        ("claim_id,claim_id\n0,17\n1,3\n", "claim_id", "2 of them named"),
        ('""\n17\n3\n', "claim_id", "its one column has no name"),
        ("Unnamed: 0\n17\n3\n", "claim_id", "its one column has no name"),
        ("0\n17\n3\n", "claim_id", "'0', may be the id of a record or the header that pandas"),
        ("claim\n17\n3\n", "claim_id", "member 1 of 3 is no id .*name the column 'claim_id'"),
        ("claim_id\n17\n99\n", "claim_id", "member 2 of 2 is no id in claims.csv"),
        ("claim_id\n17\n17\n", "claim_id", "'17' stands more than once"),
        ("claim_id\n17\n3\n" * 2, "claim_id", "no id|more than once"),
        ("claim_id\n17.0\n3.0\n", "claim_id", "took the ids for numbers with decimals"),
        ("claim_id\n1.7e+19\n3.0\n", "claim_id", "took the ids for numbers with decimals"),
        ('claim_id\n17\n""\n', "claim_id", "member 2 of 2 has no id"),
        ("claim_id,age\n17,50\n,40\n", "claim_id", "row 3 has no id"),
        ("claim_id,age\n17,50\n3\n", "claim_id", "row 3 has 1 cells, others 2"),
        ("claim_id\n", "claim_id", "no member ids"),
        ("", "claim_id", "no member ids"),
        ("\n".join(["id", *map(str, range(N))]), "claim_id", "all 40 records are members"),
    ],
)
def test_what_can_be_read_in_two_ways_is_refused(content, name, message, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        listed(tmp_path / "members.csv", NUMBERED, content, name)


def test_a_header_that_is_an_id_too(tmp_path: Path) -> None:
    data = data_with(["id", "a", "b", "c"])
    with pytest.raises(InputError, match=r"'id', may be the header or the id of a record"):
        listed(tmp_path / "members.csv", data, "id\na\n")
    assert listed(tmp_path / "members.csv", data, "id\nid\na\n")[0] == ["id", "a"]


def test_leading_zeros_and_long_ids_are_kept(tmp_path: Path) -> None:
    ids = ["000", "001", "002", "1e1", "10", f"9{'0' * 19}", f"9{'0' * 18}1"]
    data = data_with(ids)
    assert listed(tmp_path / "members.csv", data, "\n".join(ids[3:6]))[0] == ids[3:6]
    assert listed(tmp_path / "members.csv", data, "\n".join(["id", *ids[:2]]))[0] == ids[:2]
    with pytest.raises(InputError, match="but for its leading zeros"):
        listed(tmp_path / "members.csv", data, "id\n1\n2\n")


def test_white_space_around_ids_is_said(tmp_path: Path) -> None:
    data = data_with(["a ", "b", " c", "d"])
    found, notices = listed(tmp_path / "members.csv", data, "id\na\nb \n c\n")
    assert found == ["a ", "b", " c"]
    assert any("2 ids are those of claims.csv but for white space" in line for line in notices)
    twins = data_with(["a", "a ", "b"])
    with pytest.raises(InputError, match=r"'a' or 'a ' of claims.csv, which differ in white space"):
        listed(tmp_path / "members.csv", twins, "id\na\n")


def test_a_list_as_text_or_parquet(tmp_path: Path) -> None:
    assert listed(tmp_path / "m.txt", NUMBERED, "claim_id\r\n17\r\n\r\n3\r\n")[0] == ["3", "17"]
    comma = data_with(["a,b", "c", "d"])
    assert listed(tmp_path / "m.txt", comma, "a,b\nc")[0] == ["a,b", "c"]
    path = tmp_path / "m.parquet"
    ints, texts = pa.array([17, 3]), pa.array(["17", "3"])
    for values in (ints, texts, texts.dictionary_encode(), texts.cast(pa.large_string())):
        pq.write_table(pa.table({"claim_id": values, "__index_level_0__": [0, 1]}), path)
        found = load_members(path, NUMBERED, "claim_id")
        assert NUMBERED.ids[found.mask].tolist() == ["3", "17"]
        assert any("was not read as ids" in line for line in found.notices)
    refused = {
        "floats": {"claim_id": [17.0, 3.0]},
        "2 columns, 0 of them named": {"x": [17, 3], "__index_level_0__": [0, 1]},
        "1 columns, 0 of them named": {"__index_level_0__": [0, 1]},
        "1 rows without an id": {"claim_id": pa.array(["17", None])},
    }
    for message, columns in refused.items():
        pq.write_table(pa.table(columns), path)
        with pytest.raises(InputError, match=message.replace("floats", "ids that are float64")):
            load_members(path, NUMBERED, "claim_id")
    with pytest.raises(InputError, match=r"m\.list; expected \.csv, \.txt"):
        listed(tmp_path / "m.list", NUMBERED, "17")


@pytest.mark.parametrize("folder", [False, True])
@pytest.mark.parametrize("same", [True, False])
def test_a_manifest_that_names_other_members_is_read(same, folder, tmp_path: Path) -> None:
    members = np.arange(N) < N // 2
    prepared = Prepared(NUMBERED, members, draw_pairing(NUMBERED, members, seed=0))
    listing = NUMBERED.ids[members if same else ~members]
    manifest = Manifest({}, members_digest(listing), NUMBERED.digest)
    path = tmp_path / "v1.safetensors"
    save_checkpoint(path, {"w": np.zeros(2, np.float32)}, manifest)
    if folder:
        (tmp_path / "v1").mkdir()
        path = Path(shutil.move(path, tmp_path / "v1" / "model.safetensors")).parent
    control = _provenance(path, prepared)
    assert control.passed is same
    assert ("names other members" in control.detail) is not same


def test_what_was_left_out_on_reading_is_said(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(N, 2))
    x[N - 1] = x[0]  # a non-member that repeats a member
    rows = [f"{i},c{i},{a},{b},{0 if i == N - 1 else i % 2}" for i, (a, b) in enumerate(x)]
    (tmp_path / "claims.csv").write_text("\n".join([",claim_id,age,income,label", *rows]))
    listing = [f"{i},c{i} " for i in range(N // 2)]
    (tmp_path / "members.csv").write_text("\n".join([",claim_id", *listing]))
    subject = ClassifierSubject.model_validate(
        {
            "subject": "claims",
            "records": {"path": "claims.csv", "members": "members.csv", "id": "claim_id"},
            "fit": "a:b",
            "checkpoints": "versions",
        }
    )
    read = read_records(subject, tmp_path, ArtifactStore(tmp_path / "home"))
    prepared = Prepared.load(read.artifact.path)
    pairs = len(prepared.pairing.pairs)
    assert compared(subject, tmp_path) == (pairs, pairs)  # what is told before reads them so too
    assert prepared.data.ids[prepared.members].tolist() == [f"c{i}" for i in range(N // 2)]
    assert prepared.data.x.shape == (N, 2)
    for said in (
        "column without a name is an index",
        "column 1 has no name, or that of an index: it was not read as ids",
        "20 ids are those of",
        "1 of 20 non-members repeat a member or one another",
    ):
        assert any(said in line for line in read.notices), said
