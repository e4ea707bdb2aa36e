"""Every suffix of a file from outside stands in `records/formats.py`, and nowhere else."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

import memory_assets
from memory_assets.dagster.starters.classifier import _look as look_for_records
from memory_assets.records import formats
from memory_assets.records.formats import Format, either, either_named, suffixes
from memory_assets.records.loading import READERS
from memory_assets.records.settings import RecordsSpec

PACKAGE = Path(memory_assets.__file__).parent
READ_FROM_OUTSIDE = ("records", "models", "language", "config", "dagster/starters", "cli")
NO_DATA = {".py", ".tmp", ".old", ".lock", ".html", ".running", ".taken", ".default"}
"""What the program itself writes or names: code, what is half written, pages."""
REGISTERED = {s for f in vars(formats).values() if isinstance(f, Format) for s in f.suffixes}


def _written_out(code: str) -> Iterator[tuple[int, str]]:
    """The texts in a module that look like suffixes, and where they stand.

    The end of an f-string is none: so the program names the files that it writes itself.
    """
    nodes = list(ast.walk(ast.parse(code)))
    composed = {
        id(part) for node in nodes if isinstance(node, ast.JoinedStr) for part in node.values
    }
    for node in nodes:
        if not isinstance(node, ast.Constant) or id(node) in composed:
            continue
        text = str(node.value)
        if re.fullmatch(r"\.[a-z][a-z0-9]{1,11}", text) and text not in NO_DATA:
            yield node.lineno, text


@pytest.mark.parametrize("room", READ_FROM_OUTSIDE)
def test_no_reader_writes_a_suffix_out(room: str):
    own = [
        f"{path.relative_to(PACKAGE)}:{line}: {suffix}"
        for path in sorted((PACKAGE / room).rglob("*.py"))
        if path != Path(formats.__file__)
        for line, suffix in _written_out(path.read_text(encoding="utf-8"))
    ]
    assert not own, "a suffix belongs in memory_assets/records/formats.py"


def test_the_search_finds_one():
    assert list(_written_out('if path.suffix == ".feather": pass')) == [(1, ".feather")]
    assert list(_written_out('f"{x:.3f}{name}.csv"')) == []


def test_formats_of_records_and_their_readers_are_the_same():
    assert set(READERS) == set(formats.RECORDS)


def test_no_suffix_means_two_things():
    every = [f for f in vars(formats).values() if isinstance(f, Format)]
    assert len(suffixes(tuple(every))) == len(set(suffixes(tuple(every)))) == len(REGISTERED)


@pytest.mark.parametrize("suffix", suffixes(formats.RECORDS))
def test_new_finds_records_of_every_suffix_and_the_reference_names_it(tmp_path: Path, suffix):
    file = tmp_path / f"claims{suffix}"
    if file in formats.PARQUET:
        parquet.write_table(pa.table({"a": [1]}), file)
    else:
        file.write_text("a,b\n1,2\n")
    found = look_for_records(tmp_path, tmp_path)
    weights = suffix in suffixes(formats.WEIGHTS)  # safetensors are weights as well
    assert (found.weights if weights else found.records) == [f"claims{suffix}"]
    said = RecordsSpec.model_fields["path"].description
    assert either_named(formats.RECORDS) in str(said)


def test_suffixes_and_names_as_a_sentence_has_them():
    assert either(formats.ID_LISTS) == ".csv, .txt, .parquet or .pq"
    assert either((formats.CSV,)) == ".csv"
    assert either_named(formats.TABLES) == "Parquet or CSV"
