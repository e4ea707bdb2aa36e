"""Small files that claim, or unfold into, more than a machine has: refused in bounds."""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import threading
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hostile_limits import bounded
from hostile_parsers import IDS, PARSERS, RECIPE, X, Y, attempt
from PIL import Image

from memory_assets.config.language_model import LanguageModelSubject
from memory_assets.errors import InputError
from memory_assets.language.model import load_language_model
from memory_assets.models.checkpoints import (
    columns,
    list_versions,
    load_checkpoint,
    look_for_versions,
)
from memory_assets.records.canaries import load_templates
from memory_assets.records.dataset import Dataset
from memory_assets.records.loading import load_records
from memory_assets.records.members import load_members
from memory_assets.records.outcomes import read_outcomes
from memory_assets.records.settings import RecordsSpec
from memory_assets.records.tables import named, read_table
from memory_assets.records.texts import load_texts
from memory_assets.store.confined import files_in


def _npy(header: str, body: bytes = b"") -> bytes:
    text = header.encode().ljust(118) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + body


def _zip(**members: bytes) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "/"), content)
    return target.getvalue()


def _safetensors(header: object, length: int | None = None, body: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + body


def _parquet(table: pa.Table) -> bytes:
    target = io.BytesIO()
    pq.write_table(table, target)
    return target.getvalue()


def _png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        crc = struct.pack(">I", zlib.crc32(kind + body))
        return struct.pack(">I", len(body)) + kind + body + crc

    size = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress(bytes(1 << 20))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    )


def _aliases() -> bytes:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 30)]
    return "\n".join(lines).encode()


def _repeated_text() -> bytes:
    text = pa.DictionaryArray.from_arrays(pa.array(np.zeros(100_000, np.int32)), ["x" * 1_000_000])
    return _parquet(pa.table({"text": text}))


_HUGE = "{'descr': '<f8', 'fortran_order': False, 'shape': (4000000000, 1000), }"
_LABEL = _npy("{'descr': '<i8', 'fortran_order': False, 'shape': (2,), }", b"\x00" * 16)

BOMBS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "aliases of aliases": ("subject YAML", _aliases),
    "an alias in its own anchor": ("subject YAML", lambda: b"type: &a [*a]"),
    "nested lists": ("subject YAML", lambda: b"[" * 100_000),
    "nested maps": ("notifications.yaml", lambda: b"{a: " * 50_000),
    "a large file": ("subject YAML", lambda: b"a: " + b"x" * 5_000_000),
    "many values": ("subject YAML", lambda: b"[" + b"1," * 100_000 + b"]"),
    "a number of 200,000 digits": ("subject YAML", lambda: b"type: " + b"9" * 200_000),
    "a tag that runs code": (
        "subject YAML",
        lambda: b"type: !!python/object/apply:os.system [echo hostile]",
    ),
    "nested TOML": ("profile TOML", lambda: b"a = " + b"[" * 100_000),
    "a TOML number of 5,000 digits": ("profile TOML", lambda: b"a = " + b"9" * 5000),
    "an npy of 32 TB": ("records npy", lambda: _npy(_HUGE, b"\x00" * 64)),
    "an npy with an impossible shape": (
        "records npy",
        lambda: _npy("{'descr': '<f8', 'fortran_order': False, 'shape': (-1, 3), }"),
    ),
    "an npz of 32 TB": (
        "records npz",
        lambda: _zip(**{"x.npy": _npy(_HUGE, bytes(1 << 24)), "label.npy": _LABEL}),
    ),
    "a safetensors header of 2^63 bytes": (
        "records safetensors",
        lambda: _safetensors({}, length=2**63),
    ),
    "a safetensors header of 90 MB": (
        "checkpoint safetensors",
        lambda: _safetensors(b"{" + b" " * 90_000_000 + b"}"),
    ),
    "a tensor of 8 TB": (
        "checkpoint safetensors",
        lambda: _safetensors(
            {"x": {"dtype": "F64", "shape": [10**12], "data_offsets": [0, 8 * 10**12]}}
        ),
    ),
    "a tensor whose size overflows": (
        "records safetensors",
        lambda: _safetensors(
            {"x": {"dtype": "F64", "shape": [2**32, 2**32, 2], "data_offsets": [0, 0]}}
        ),
    ),
    "one long text in 100,000 rows": ("texts Parquet", _repeated_text),
    "a picture of 3.6 gigapixels": ("records images", lambda: _png(60_000, 60_000)),
    "JSON of 100,000 brackets": ("texts JSON lines", lambda: b'{"text": ' + b"[" * 100_000),
    "a JSON number of 5,000 digits": (
        "texts JSON lines",
        lambda: b'{"text": ' + b"9" * 5000 + b"}",
    ),
    "half a character": ("texts JSON lines", lambda: b'{"text": "\\ud800"}'),
    "a manifest of 100,000 brackets": ("canary manifest", lambda: b"[" * 100_000),
    "a secret planted 10^30 times": (
        "canary manifest",
        lambda: json.dumps(
            {
                "format": 1,
                "secrets": [{"id": "a", "prefix": "p", "value": "v", "repetitions": 10**30}],
            }
        ).encode(),
    ),
    "a cell of 10 MB": ("secrets list", lambda: b"prefix,value\na," + b"x" * 10_000_000),
}


@pytest.mark.parametrize("name", BOMBS)
def test_it_is_refused_before_it_goes_off(name: str, tmp_path: Path, tally) -> None:
    kind, make = BOMBS[name]
    content = make()
    with bounded(gib=1, seconds=8):
        assert attempt(PARSERS[kind], content, tmp_path) is not None
    tally("hostile: bombs")


@pytest.fixture
def small_machine(monkeypatch) -> None:
    """A machine on which records may take 64 MiB."""
    monkeypatch.setattr("memory_assets.records.budget.memory_budget", lambda: 64 * 2**20)


@pytest.mark.usefixtures("small_machine")
def test_a_table_of_one_repeated_value_is_measured_first(tmp_path, tally) -> None:
    ones = pa.array(np.ones(20_000_000, np.int8))
    pq.write_table(pa.table({"label": ones, "a": ones}), tmp_path / "a.parquet")
    assert (tmp_path / "a.parquet").stat().st_size < 1_000_000
    before = pa.total_allocated_bytes()
    with pytest.raises(InputError, match=r"would take 0\.3 GiB"):
        load_records(RecordsSpec(members="m.csv", path="a.parquet"), tmp_path)
    assert pa.total_allocated_bytes() - before < 2**20
    tally("hostile: bombs")


@pytest.mark.usefixtures("small_machine")
def test_texts_are_small_each_and_large_together(tmp_path, tally) -> None:
    for i in range(3):
        (tmp_path / f"{i}.txt").write_bytes(b"a" * 5 * 2**20)
    assert len(load_texts(tmp_path / "0.txt")) == 1
    with pytest.raises(InputError, match="its texts would take"):
        load_texts(tmp_path)
    tally("hostile: bombs")


@pytest.mark.usefixtures("small_machine")
def test_a_list_of_members_or_cases_is_measured_first(tmp_path, tally) -> None:
    for name, read in (
        ("m.csv", lambda path: load_members(path, Dataset(IDS, X, Y, 2))),
        ("cases.csv", read_outcomes),
        ("templates.toml", load_templates),
    ):
        (tmp_path / name).write_bytes(b"version,right\n" + b"a,1\n" * 2**20)
        with pytest.raises(InputError, match="would take"):
            read(tmp_path / name)
        tally("hostile: bombs")


def test_a_table_of_very_many_columns_is_refused_soon(tmp_path, monkeypatch, tally) -> None:
    (tmp_path / "a.csv").write_text("a," * 3_000_000 + "b\n")
    with bounded(gib=1, seconds=8), pytest.raises(InputError, match="3,000,001 columns"):
        read_table(tmp_path / "a.csv")
    monkeypatch.setattr("memory_assets.records.tables.MOST_COLUMNS", 20)
    pq.write_table(pa.table({f"c{i}": [1] for i in range(21)}), tmp_path / "a.parquet")
    with pytest.raises(InputError, match="21 columns; expected at most 20"):
        read_table(tmp_path / "a.parquet")
    assert read_table(tmp_path / "a.parquet", columns=["c3"]).num_rows == 1
    tally("hostile: bombs", 2)


def test_columns_are_compared_in_one_pass(tmp_path, tally) -> None:
    names = [f"c{i}" for i in range(30_000)]
    (tmp_path / "a.csv").write_text("\n".join([",".join(names), ",".join("1" * len(names))]))
    with bounded(seconds=8):
        table = read_table(tmp_path / "a.csv")
        assert all(len(named(table, tmp_path, name)) for name in names)
    (tmp_path / "a.csv").write_text(",".join([*names, names[-1]]) + "\n")
    with bounded(seconds=8), pytest.raises(InputError, match="'c29999' stands twice"):
        read_table(tmp_path / "a.csv")
    tally("hostile: bombs", 2)


def test_a_line_without_end_is_no_header(tmp_path, tally) -> None:
    path = tmp_path / "v1.csv"
    with path.open("wb") as file:
        file.write(b"logit_0,")
        file.truncate(3 * 2**30)  # the rest takes no room on the disk
    with bounded(gib=1, seconds=8):
        assert list_versions(tmp_path) == {}
        with pytest.raises(InputError, match="not a readable csv table"):
            columns(path)
        with pytest.raises(InputError, match=r"first line is longer|would take"):
            read_table(path)
    tally("hostile: bombs", 3)


@pytest.mark.usefixtures("small_machine")
def test_many_small_pictures_are_counted_first(tmp_path, tally) -> None:
    for i in range(3):
        (tmp_path / str(i)).mkdir()
        Image.new("1", (3000, 3000)).save(tmp_path / str(i) / "1.png")
    with pytest.raises(InputError, match="3 such images would take"):
        load_records(RecordsSpec(members="m.csv", path="."), tmp_path)
    tally("hostile: bombs")


def test_a_tensor_that_repeats_one_number_is_compared_before_it_is_read(tmp_path, tally) -> None:
    state = RECIPE.build_model().state_dict()
    name = next(iter(state))
    state[name] = torch.zeros(1, dtype=torch.bfloat16).expand(10**6, 10**6)
    torch.save(state, tmp_path / "v1.pt")
    with bounded(gib=1), pytest.raises(InputError, match="has shape"):
        load_checkpoint(tmp_path / "v1.pt", RECIPE)
    tally("hostile: bombs")


def test_compressed_weights_are_refused(tmp_path, tally) -> None:
    torch.save(RECIPE.build_model().state_dict(), tmp_path / "plain.pt")
    with (
        zipfile.ZipFile(tmp_path / "plain.pt") as plain,
        zipfile.ZipFile(tmp_path / "v1.pt", "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for entry in plain.infolist():
            packed.writestr(entry.filename, plain.read(entry))
    with pytest.raises(InputError, match="compressed"):
        load_checkpoint(tmp_path / "v1.pt", RECIPE)
    tally("hostile: bombs")


@pytest.mark.parametrize(
    ("change", "said"),
    [({"n_layer": 5000}, "says 5000 layers"), ({"vocab_size": 10**9}, "describes .* weights")],
)
def test_a_model_that_describes_more_than_its_files_hold(tmp_path, change, said, tally) -> None:
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(n_layer=1, n_head=1, n_embd=4, vocab_size=8, n_positions=8)
    GPT2LMHeadModel(config).save_pretrained(tmp_path)
    written = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(written | change))
    with bounded(gib=2, seconds=20), pytest.raises(InputError, match=said):
        load_language_model(tmp_path)
    tally("hostile: bombs")


class Trap:
    """Makes a file if it is ever unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self):
        return (open, (self.path, "w"))


def test_no_pickle_in_any_format_is_run(tmp_path: Path, tally) -> None:
    trap = tmp_path / "sprung"
    objects = np.array([Trap(trap)] * 2, dtype=object)
    npy = io.BytesIO()
    np.save(npy, objects, allow_pickle=True)
    raw = pickle.dumps(Trap(trap))
    given = {
        "records npy": [npy.getvalue(), raw],
        "records npz": [_zip(**{"x.npy": npy.getvalue(), "label.npy": npy.getvalue()}), raw],
        "records Parquet": [raw],
        "records safetensors": [raw],
        "texts Parquet": [raw],
        "predictions Parquet": [raw],
        "checkpoint safetensors": [raw],
        "checkpoint torch": [raw, _zip(a__data=b"", **{"a__data.pkl": raw, "a__version": b"3"})],
        "canary manifest": [raw],
    }
    for kind, contents in given.items():
        for i, content in enumerate(contents):
            (folder := tmp_path / f"{kind}-{i}").mkdir()
            assert attempt(PARSERS[kind], content, folder) is not None
            tally("hostile: pickles")
    assert not trap.exists()


def test_an_archive_writes_nothing_anywhere(tmp_path: Path, tally) -> None:
    good = io.BytesIO()
    np.save(good, np.zeros((2, 2), np.float32))
    archive = _zip(
        **{
            "..__..__escaped.npy": good.getvalue(),
            "__tmp__escaped.npy": good.getvalue(),
            "x.npy": good.getvalue(),
            "label.npy": _npy("{'descr': '<i8', 'fortran_order': False, 'shape': (2,), }",
                              struct.pack("<qq", 0, 1)),
        }
    )  # fmt: skip
    (folder := tmp_path / "a" / "b").mkdir(parents=True)
    assert attempt(PARSERS["records npz"], archive, folder) is None
    assert sorted(p.name for p in tmp_path.rglob("*") if p.is_file()) == ["a.npz"]
    assert not Path("/tmp/escaped.npy").exists()
    tally("hostile: archives")


def test_a_picture_that_is_a_program_is_not_run(tmp_path: Path, tally) -> None:
    script = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 4 4\n(escaped) (w) file\n"
    assert "not a readable image" in str(attempt(PARSERS["records images"], script, tmp_path))
    tally("hostile: pictures")


def test_links_that_lead_out_are_refused(tmp_path: Path, tally) -> None:
    (outside := tmp_path / "outside").mkdir()
    (outside / "v1.safetensors").write_bytes(PARSERS["checkpoint safetensors"].seeds()[0])
    (outside / "secret.txt").write_text("a text of somebody else")
    Image.new("L", (4, 4)).save(outside / "1.png")
    (outside / "folder").mkdir()

    def refused(read: Callable[[Path], object], links: dict[str, Path]) -> None:
        (folder := tmp_path / f"subject-{len(list(tmp_path.iterdir()))}").mkdir()
        for name, target in links.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).symlink_to(target)
        with pytest.raises(InputError, match="leads out"):
            read(folder)
        tally("hostile: links")

    def strictly(folder: Path) -> object:
        assert list_versions(folder) == {}  # the others are not held back
        return list_versions(folder, strict=True)

    images = RecordsSpec(members="m.csv", path=".")
    texts = PARSERS["texts plain"]
    del texts
    from memory_assets.records.sources import source_files

    refused(strictly, {"v1.safetensors": outside / "v1.safetensors"})
    refused(strictly, {"v1": outside})
    refused(strictly, {"v1.safetensors": Path("../outside/v1.safetensors")})
    (circle := tmp_path / "circle").mkdir()
    (circle / "v1").symlink_to("v1")
    assert list_versions(circle) == {}
    assert "v1" in " ".join(look_for_versions(circle).passed_over)
    refused(
        lambda f: load_checkpoint(f / "v1", RECIPE),
        {"v1/a.safetensors": outside / "v1.safetensors"},
    )
    refused(lambda f: load_records(images, f), {"cat/1.png": outside / "1.png"})
    refused(lambda f: load_records(images, f), {"cat": outside})
    refused(lambda f: load_texts(f), {"deep/t.txt": outside / "secret.txt"})
    refused(
        lambda f: source_files(RecordsSpec(members="m", path="m"), f),
        {"m/x": outside / "secret.txt"},
    )


def test_a_snapshot_of_the_hub_links_to_its_own_cache_only(tmp_path: Path, tally) -> None:
    subject = LanguageModelSubject.model_validate(
        {"subject": "notes", "members": {"path": "m"}, "checkpoints": "c"}
    )
    snapshot = tmp_path / "models--a--b" / "snapshots" / "0123"
    snapshot.mkdir(parents=True)
    (tmp_path / "models--a--b" / "blobs").mkdir()
    (tmp_path / "models--a--b" / "blobs" / "f00").write_bytes(b"weights")
    (tmp_path / "elsewhere").write_bytes(b"weights")
    link = snapshot / "model.safetensors"
    link.symlink_to("../../blobs/f00")
    assert subject.weights(snapshot) == [link]
    (tmp_path / "models--a--b" / "refs").mkdir()
    (tmp_path / "models--a--b" / "refs" / "main").write_bytes(b"0123")
    for elsewhere in ("../../../elsewhere", "../../refs/main"):
        link.unlink()
        link.symlink_to(elsewhere)
        with pytest.raises(InputError, match="leads out"):
            subject.weights(snapshot)
    link.unlink()
    link.symlink_to("../../blobs/f00")
    (tmp_path / "models--a--b" / "blobs").rename(tmp_path / "blobs")
    (tmp_path / "models--a--b" / "blobs").symlink_to(tmp_path / "blobs")
    with pytest.raises(InputError, match="leads out"):
        subject.weights(snapshot)
    tally("hostile: links", 4)


def test_a_folder_that_is_only_called_snapshots_is_no_cache(tmp_path: Path, tally) -> None:
    subject = LanguageModelSubject.model_validate(
        {"subject": "notes", "members": {"path": "m"}, "checkpoints": "c"}
    )
    version = tmp_path / "project" / "snapshots" / "v1"
    version.mkdir(parents=True)
    (tmp_path / "project" / "blobs").mkdir()
    for target in ("secret", "blobs/secret"):
        (tmp_path / "project" / target).write_bytes(b"somebody else's")
        (version / "a.safetensors").symlink_to(f"../../{target}")
        for read in (subject.weights, lambda folder: list(files_in(folder))):
            with pytest.raises(InputError, match="leads out"):
                read(version)
        (version / "a.safetensors").unlink()
        tally("hostile: links", 2)


def test_a_label_of_an_npy_file_stays_beside_it(tmp_path: Path, tally) -> None:
    (tmp_path / "a").mkdir()
    np.save(tmp_path / "a" / "x.npy", np.zeros((2, 2)))
    np.save(tmp_path / "y.npy", np.array([0, 1]))
    for label in ("../y.npy", str(tmp_path / "y.npy")):
        with pytest.raises(InputError, match="beside"):
            load_records(RecordsSpec(members="m", path="a/x.npy", label=label), tmp_path)
        tally("hostile: links")


def test_a_pipe_in_place_of_a_file_is_not_waited_for(tmp_path: Path, tally) -> None:
    for name in ("a.csv", "v1.safetensors"):
        os.mkfifo(tmp_path / name)

    def ask() -> None:
        with pytest.raises(InputError):
            load_records(RecordsSpec(members="m", path="a.csv"), tmp_path)
        with pytest.raises(InputError):
            load_checkpoint(list_versions(tmp_path)["v1"], RECIPE)
        done.set()

    done = threading.Event()
    threading.Thread(target=ask, daemon=True).start()
    assert done.wait(30)
    tally("hostile: links", 2)


def test_a_name_of_two_columns_is_refused(tmp_path: Path, tally) -> None:
    """Found by the fuzzer: pyarrow has no column of a name that stands twice."""
    twice = pa.table([pa.array([0.5]), pa.array([0.5])], names=["prob_0", "prob_0"])
    line = attempt(PARSERS["predictions Parquet"], _parquet(twice), tmp_path)
    assert "'prob_0' stands twice" in str(line)
    (tmp_path / "a.csv").write_text("1,1,0\n2,3,1\n")
    with pytest.raises(InputError, match="column number 1 stands twice"):
        load_records(RecordsSpec(members="m", path="a.csv"), tmp_path)
    tally("hostile: names of columns and records", 2)
