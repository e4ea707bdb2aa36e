"""Read a subject's records from where its owner keeps them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from memory_assets.errors import InputError, place_of
from memory_assets.owner.running import heard_only_in
from memory_assets.records.array_files import read_npy, read_npz, read_safetensors
from memory_assets.records.budget import afford
from memory_assets.records.dataset import Dataset, import_attribute
from memory_assets.records.formats import CSV, NPY, NPZ, PARQUET, RECORDS, SAFETENSORS, either
from memory_assets.records.ids import as_ids, ask_for_ids, indexes, more_ids, numbered, spaced
from memory_assets.records.image_folder import read_images
from memory_assets.records.labels import as_labels
from memory_assets.records.settings import ROW_NUMBER, RecordsSpec
from memory_assets.records.tables import named, read_table, shown
from memory_assets.store.paths import is_file, is_folder


def _column(table: pa.Table, name: str, path: Path, field: str) -> np.ndarray:
    column = named(table, path, name, f"records.{field}")
    if column.null_count:
        raise InputError(
            f"{path}: column {shown(table, name)} has {column.null_count} missing values"
        )
    return column.to_numpy()


def _ids(table: pa.Table, path: Path, spec: RecordsSpec) -> tuple[NDArray[np.str_], list[str]]:
    """The ids of the records, and what is to be said of them."""
    if spec.id is not None and (spec.id != ROW_NUMBER or ROW_NUMBER in table.column_names):
        where = f"{path}: {spec.id!r}"
        ids = as_ids(_column(table, spec.id, path, "id"), where)
        return ids, spaced(ids, where)
    if spec.id is None:
        ask_for_ids(table, path, spec.label)
    ids, said = numbered(table.num_rows, str(path))
    return ids, [said] if spec.id is None else []


def _read_table(path: Path, spec: RecordsSpec) -> Dataset:
    table = read_table(path, texts=[spec.id] if spec.id is not None else [])
    if table.num_rows == 0:
        raise InputError(f"{path}: no records; expected at least one row")
    labels = as_labels(_column(table, spec.label, path, "label"), f"{path}: {spec.label!r}")
    ids, notices = _ids(table, path, spec)
    unused = indexes(table, [spec.label, spec.id])
    if unused:
        called = ", ".join(repr(name) if name.strip() else "without a name" for name in unused)
        notices.append(
            f"{path}: column {called} is an index that was written with the table, and was left out"
        )
    # Columns of float32, stacked, and whether each number is finite.
    afford(table.nbytes + 9 * table.num_rows * table.num_columns, path)
    apart = {spec.label, spec.id, *unused}
    features = [name for name in table.column_names if name not in apart]
    notices += more_ids(table, features, str(path))
    columns = []
    for name in features:
        values = _column(table, name, path, "path")
        if values.dtype.kind not in "iufb":
            raise InputError(
                f"{path}: column {shown(table, name)} is not numeric; encode it first, "
                "or bring a loader"
            )
        with np.errstate(over="ignore"):  # what does not fit float32 is refused as not finite
            columns.append(values.astype(np.float32))
    if not columns:
        raise InputError(f"{path}: no numeric columns beside the label and the id")
    return Dataset.labelled(ids, np.stack(columns, axis=1), labels, str(path), notices)


READERS = {
    PARQUET: _read_table,
    CSV: _read_table,
    NPZ: read_npz,
    NPY: read_npy,
    SAFETENSORS: read_safetensors,
}
"""What reads records, by the format of their file."""


def load_records(spec: RecordsSpec, root: Path) -> Dataset:
    """The records of a subject, paths taken from `root`.

    Raises:
        InputError: neither or both of `loader` and `path`, no such file, an unknown format, or
            contents that are not records.
    """
    if (spec.loader is None) == (spec.path is None):
        raise InputError("records: give either loader (package.module:function) or path (a file)")
    if spec.loader is not None:
        load = import_attribute(spec.loader, "records.loader")
        try:
            with heard_only_in(None):
                data = load()
        except InputError:
            raise
        except (Exception, SystemExit) as error:  # whatever the owner's code raises
            raise InputError(f"records.loader: {spec.loader} raised {place_of(error)}") from error
        if not isinstance(data, Dataset):
            raise InputError(
                f"records.loader: {spec.loader} returned {type(data).__name__}; "
                "expected a memory_assets.records.dataset.Dataset"
            )
        return data
    path = root / str(spec.path)
    if is_folder(path):
        return read_images(path)
    if not is_file(path):
        raise InputError(f"records.path: no file {path}")
    read = next((reader for each, reader in READERS.items() if path in each), None)
    if read is None:
        raise InputError(
            f"records.path: {path.name}; expected a file {either(RECORDS)}, or a folder of "
            "images with one folder a class"
        )
    try:
        return read(path, spec)
    except MemoryError as error:
        raise InputError(f"{path}: its records need more memory than there is") from error
