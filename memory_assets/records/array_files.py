"""Records in files of plain arrays: npz, npy and safetensors. Nothing pickled is ever read."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from memory_assets.errors import InputError
from memory_assets.records.budget import afford
from memory_assets.records.dataset import Dataset
from memory_assets.records.formats import NPY
from memory_assets.records.ids import as_ids, ask_for_array, numbered, spaced
from memory_assets.records.labels import as_labels
from memory_assets.records.settings import ROW_NUMBER, RecordsSpec
from memory_assets.store.confined import inside
from memory_assets.store.paths import is_file

_USED = 5
"""Bytes of a number as it is used, whatever the file keeps: float32, and whether it is finite."""


def _id_array(spec: RecordsSpec) -> str | None:
    """The array of ids: the one that the owner names, else `id`; None for row numbers."""
    if spec.id is not None:
        return None if spec.id == ROW_NUMBER else spec.id
    return "id" if spec.label != "id" else None


def _dataset(
    arrays: Mapping[str, NDArray], path: Path, spec: RecordsSpec, names: Iterable[str] = ()
) -> Dataset:
    """Records from the arrays `x`, the label's and, if there is one, `id`.

    `names` are those of all arrays that lie there.
    """
    missing = [name for name in ("x", spec.label) if name not in arrays]
    if missing:
        raise InputError(f"{path}: no array {missing[0]!r}; expected x and {spec.label} (and id)")
    named = _id_array(spec)
    if spec.id is not None and named is not None and named not in arrays:
        raise InputError(f"{path}: no array {spec.id!r} (records.id)")
    x, labels = arrays["x"], arrays[spec.label]
    if x.dtype.kind not in "iufb" or x.ndim < 2 or 0 in x.shape[1:]:
        raise InputError(f"{path}: x is {x.dtype} {list(x.shape)}; expected numbers [records, ...]")
    found = as_labels(labels, f"{path}: {spec.label!r}")
    if named is not None and named in arrays:
        ids = as_ids(arrays[named], f"{path}: ids")
        notices = spaced(ids, f"{path}: {named!r}")
    else:
        if spec.id is None:
            ask_for_array(names, ["x", spec.label], str(path))
        ids, said = numbered(len(x), str(path))
        notices = [said] if spec.id is None else []
    with np.errstate(over="ignore"):  # what does not fit float32 is refused as not finite
        x = x.astype(np.float32)
    return Dataset.labelled(ids, x, found, str(path), notices)


def _claimed(file: IO[bytes]) -> tuple[int, int]:
    """Bytes and numbers of the array that an npy file's header claims.

    Raises:
        ValueError: no header of a plain array.
    """
    version = npy_format.read_magic(file)
    read = (
        npy_format.read_array_header_1_0 if version == (1, 0) else npy_format.read_array_header_2_0
    )
    shape, _, dtype = read(file)
    if dtype.hasobject:
        raise ValueError("pickled objects")
    if any(not 0 <= n < 2**62 for n in shape):
        raise ValueError("an impossible shape")
    return math.prod(shape) * dtype.itemsize, math.prod(shape)


def read_npz(path: Path, spec: RecordsSpec) -> Dataset:
    """Records of an npz file with the arrays `x`, `spec.label` and perhaps `id`.

    Others are not read, and none is unpacked before its size was checked.
    """
    wanted = {"x", spec.label, _id_array(spec)}
    arrays: dict[str, NDArray] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            names = [m.filename.removesuffix(NPY.suffix) for m in archive.infolist()]
            members = [
                m for m in archive.infolist() if m.filename.removesuffix(NPY.suffix) in wanted
            ]
            total = 0
            for member in members:
                with archive.open(member) as file:
                    size, numbers = _claimed(file)
                total += max(size, member.file_size) + _USED * numbers
            afford(total, path)
            for member in members:
                with archive.open(member) as file:
                    name = member.filename.removesuffix(NPY.suffix)
                    arrays[name] = npy_format.read_array(file, allow_pickle=False)
    except InputError:
        raise
    except Exception as error:  # of zipfile, zlib and numpy, which reads a header as Python
        raise InputError(
            f"{path}: not a readable npz file of plain arrays ({type(error).__name__})"
        ) from error
    return _dataset(arrays, path, spec, names)


def _read_npy(file: Path) -> NDArray:
    try:
        with file.open("rb") as opened:
            (claimed, numbers), start = _claimed(opened), opened.tell()
            if claimed != file.stat().st_size - start:
                raise ValueError("the header claims another size than the file has")
            afford(claimed + _USED * numbers, file)
            opened.seek(0)
            return npy_format.read_array(opened, allow_pickle=False)
    except InputError:
        raise
    except Exception as error:  # of numpy, which reads a header as Python
        raise InputError(f"{file}: not a readable npy file of a plain array") from error


def read_npy(path: Path, spec: RecordsSpec) -> Dataset:
    """Records of an npy file; their labels lie in the npy file beside it that `label` names."""
    named = _id_array(spec) if spec.id is not None else None  # no file is taken by its name alone
    beside = {spec.label: spec.label, **({named: named} if named is not None else {})}
    files = {"x": path, **{name: path.parent / file for name, file in beside.items()}}
    arrays = {}
    for name, file in files.items():
        field = "label" if name == spec.label else "id"
        if name != "x" and file.parent != path.parent:
            raise InputError(f"records.{field}: {name!r}; expected the name of a file beside x")
        if not is_file(inside(file, path.parent)) and name != "x":
            raise InputError(
                f"records.{field}: no file {file}; the records "
                f"are in {path.name}, expected an npy file beside it"
            )
        arrays[name] = _read_npy(file)
    return _dataset(arrays, path, spec)


def read_safetensors(path: Path, spec: RecordsSpec) -> Dataset:
    """Records of a safetensors file with the tensors `x`, `spec.label` and perhaps `id`."""
    from safetensors import SafetensorError, safe_open

    arrays: dict[str, NDArray] = {}
    try:
        with safe_open(path, framework="np") as file:
            names = list(file.keys())
            wanted = {"x", spec.label, _id_array(spec)} & set(names)
            numbers = sum(math.prod(file.get_slice(name).get_shape()) for name in wanted)
            afford(path.stat().st_size + _USED * numbers, path)
            for name in wanted:
                arrays[name] = file.get_tensor(name)
    except InputError:
        raise
    except (SafetensorError, OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(f"{path}: not a whole safetensors file of plain numbers") from error
    return _dataset(arrays, path, spec, names)
