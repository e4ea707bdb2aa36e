"""What a reader asks for is what it takes, and odd values are refused in one line."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hostile_parsers import IDS, X, Y
from pydantic import ValidationError

from memory_assets.config.classifier import ClassifierSubject
from memory_assets.errors import InputError
from memory_assets.records import array_files, canaries, labels, texts
from memory_assets.records.budget import afford
from memory_assets.records.canaries import TEMPLATES, load_templates, make_secrets
from memory_assets.records.dataset import Dataset
from memory_assets.records.loading import load_records
from memory_assets.records.members import load_members
from memory_assets.records.outcomes import read_outcomes
from memory_assets.records.secrets import Manifest, load_secrets
from memory_assets.records.settings import RecordsSpec
from memory_assets.records.sources import source_files
from memory_assets.records.texts import load_texts
from memory_assets.risk.reading import load_profile

pytestmark = pytest.mark.slow

MANY = 20_000


@pytest.fixture
def asked(monkeypatch) -> list[int]:
    """What was asked for."""
    given: list[int] = []

    def spy(wanted: int, path: Path, what: str = "") -> None:
        given.append(wanted)
        afford(wanted, path, what)

    for module in (array_files, labels, texts):
        monkeypatch.setattr(module, "afford", spy)
    return given


def _peak(read: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        read()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


_LINES = {
    "lists in lists": '{"text": "a", "x": ['
    + ("[" * 400 + "]" * 400 + ",") * (MANY // 400)
    + "1]}",
    "objects in objects": '{"text": "a", "x": ['
    + ('{"":' * 400 + "1" + "}" * 400 + ",") * (MANY // 400)
    + "1]}",
    "empty lists": '{"text": "a", "x": [' + "[]," * MANY + "1]}",
    "many keys": '{"text": "a", ' + ",".join(f'"{i:x}": 1' for i in range(MANY)) + "}",
    "tiny texts": '{"text": "a"}\n' * MANY,
    "a wide character at the end": '{"text": "' + "a" * 10 * MANY + '\\ud83d\\ude00"}',
}


@pytest.mark.parametrize("name", _LINES)
def test_texts_take_no_more_than_was_asked(name, tmp_path, asked, tally) -> None:
    (tmp_path / "t.jsonl").write_text(_LINES[name])
    taken = _peak(lambda: load_texts(tmp_path / "t.jsonl"))
    assert taken < max(asked[:2]) + max(asked[2:]), asked
    tally("hostile: measured readers")


def test_short_paragraphs_take_no_more_than_was_asked(tmp_path, asked, tally) -> None:
    for end in ("\n\n", "\r\n\r\n"):
        asked.clear()
        (tmp_path / "t.txt").write_bytes(f"a{end}".encode() * MANY)
        assert _peak(lambda: load_texts(tmp_path / "t.txt")) < max(asked)
        tally("hostile: measured readers")


_ARRAYS = {
    "bytes": {"x": np.zeros((200, 5000), np.uint8)},
    "float64": {"x": np.zeros((200, 2000))},
    "narrow": {"x": np.zeros((MANY, 1), np.uint8)},
    "ids of numbers": {"x": np.zeros((MANY, 1), np.uint8), "id": np.arange(MANY) * 3},
    "ids of one width": {
        "x": np.zeros((MANY, 1), np.uint8),
        "id": np.arange(MANY).astype(str).astype("U200"),
    },
    "ids of bytes": {
        "x": np.zeros((MANY, 1), np.uint8),
        "id": np.array([f"{i:0100d}".encode() for i in range(MANY)]),
    },
}


@pytest.mark.parametrize(
    ("name", "suffix"),
    [
        *((name, "npz") for name in _ARRAYS),
        *((name, suffix) for name in ("bytes", "narrow") for suffix in ("npy", "safetensors")),
    ],
)
def test_arrays_take_no_more_than_was_asked(name, suffix, tmp_path, asked, tally) -> None:
    from safetensors.numpy import save_file

    arrays = _ARRAYS[name] | {"label": (np.arange(len(_ARRAYS[name]["x"])) % 2).astype(np.uint8)}
    if suffix == "npz":
        np.savez(tmp_path / "a.npz", **arrays)
    elif suffix == "npy":
        np.save(tmp_path / "a.npy", arrays["x"])
        np.save(tmp_path / "label.npy", arrays["label"])
    else:
        save_file(arrays, tmp_path / "a.safetensors")
    label = "label.npy" if suffix == "npy" else "label"
    spec = RecordsSpec(members="m", path=f"a.{suffix}", label=label)
    # 2%: what the interpreter itself takes along.
    assert _peak(lambda: load_records(spec, tmp_path)) < 1.02 * sum(asked)
    tally("hostile: measured readers")


def test_texts_beyond_memory_are_one_line(tmp_path, monkeypatch, tally) -> None:
    def beyond(line: str) -> object:
        raise MemoryError(line[:0])

    (tmp_path / "t.jsonl").write_text('{"text": "a"}')
    monkeypatch.setattr(texts.json, "loads", beyond)
    with pytest.raises(InputError, match="its texts need more memory than there is"):
        load_texts(tmp_path / "t.jsonl")
    tally("hostile: bombs")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"repetitions": (0, 999_999_999)}, "at most 100,000"),
        ({"repetitions": (1_000_000,), "per_tier": 3}, "3,000,000 planted lines"),
        ({"repetitions": (1,), "per_tier": 10**9}, "1,000,000,000 secrets"),
        ({"repetitions": (0,), "controls": 10**9}, "1,000,000,000 secrets"),
        ({"repetitions": (1,), "seed": -1}, "seed -1; expected 0 or more"),
    ],
)
def test_canaries_are_as_many_as_a_manifest_may_hold(given, said, tally) -> None:
    with pytest.raises(InputError, match=said):
        make_secrets([TEMPLATES["account-en"]], **{"per_tier": 1, "seed": 0} | given)
    assert canaries.MOST_REPETITIONS == 1_000_000
    tally("hostile: bombs")


@pytest.mark.parametrize("name", ["n" * 300 + ".csv", "n" * 300, "a\0b.csv", "d/" * 3000 + "x"])
def test_a_name_that_no_file_can_have_is_not_there(name: str, tmp_path: Path, tally) -> None:
    data = Dataset(IDS, X, Y, 2)
    readers: list[Callable[[], object]] = [
        lambda: load_records(RecordsSpec(members="m", path=name), tmp_path),
        lambda: source_files(RecordsSpec(members=name, path="."), tmp_path),
        lambda: load_members(tmp_path / name, data),
        lambda: read_outcomes(tmp_path / name),
        lambda: load_texts(tmp_path / name),
        lambda: load_templates(tmp_path / name),
        lambda: load_secrets(tmp_path / name),
        lambda: Manifest.read(tmp_path / name),
        lambda: load_profile(name),
    ]
    for read in readers:
        with pytest.raises(InputError, match=r"no such file|no file|\d characters\)") as error:
            read()
        assert str(error.value).isprintable()
        tally("hostile: names of files")
    with pytest.raises(ValidationError, match="not a name of a file"):
        ClassifierSubject.model_validate({"subject": "s", "checkpoints": name})


@pytest.mark.parametrize("suffix", ["npz", "npy"])
def test_an_id_of_what_is_no_character_is_one_line(suffix, tmp_path, tally) -> None:
    for order in "<>":
        ids = np.array([0x61, 0xFFFFFFFF], f"{order}u4").view(f"{order}U1")
        arrays = {"x": np.zeros((2, 2)), "label": np.array([0, 1]), "id": ids}
        spec = RecordsSpec(members="m", path="x.npz")
        if suffix == "npz":
            np.savez(tmp_path / "x.npz", **arrays)
        else:
            for name, values in arrays.items():
                np.save(tmp_path / f"{name}.npy", values)
            spec = RecordsSpec(members="m", path="x.npy", label="label.npy", id="id.npy")
        with pytest.raises(InputError, match="ids: one holds what is no character"):
            load_records(spec, tmp_path)
        tally("hostile: names of columns and records")


@pytest.mark.parametrize("name", ["i" * 5000, "a\x1bb", "a\tb"])
def test_an_id_of_a_secret_is_a_name(name: str, tmp_path: Path, tally) -> None:
    (tmp_path / "s.csv").write_text(f"id,prefix,value\n{name},a ,123456\n")
    with pytest.raises(InputError, match="secret 1: its id has more than 1000 characters, or a c"):
        load_secrets(tmp_path / "s.csv")
    secret = {"id": name, "prefix": "p", "value": "v"}
    (tmp_path / "m.json").write_text(json.dumps({"format": 1, "secrets": [secret]}))
    with pytest.raises(InputError):
        Manifest.read(tmp_path / "m.json")
    tally("hostile: names of columns and records")


def test_a_list_of_members_from_a_spreadsheet(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_bytes(b"\xef\xbb\xbfid\r\nr0\r\nr2\r\n")
    members = load_members(tmp_path / "m.csv", Dataset(IDS, X, Y, 2)).mask
    assert np.flatnonzero(members).tolist() == [0, 2]


def test_classes_are_no_ids(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="id and label both name 'label'"):
        RecordsSpec(members="m", path="a.csv", id="label")
    # An array of labels called id does not become the ids either.
    np.savez(tmp_path / "a.npz", x=np.zeros((3, 2)), id=np.array([0, 1, 0]))
    data = load_records(RecordsSpec(members="m", path="a.npz", label="id"), tmp_path)
    assert data.ids.tolist() == ["0", "1", "2"]
