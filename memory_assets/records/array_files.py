"""Records in files of plain arrays: npz, npy and safetensors. Nothing pickled is ever read."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from memory_assets.errors import InputError
from memory_assets.records.dataset import Dataset
from memory_assets.records.labels import as_labels
from memory_assets.subjects import RecordsSpec


def _dataset(arrays: Mapping[str, NDArray], path: Path, spec: RecordsSpec) -> Dataset:
    """Records from the arrays `x`, the label's and, if there is one, `id`."""
    missing = [name for name in ("x", spec.label) if name not in arrays]
    if missing:
        raise InputError(f"{path}: no array {missing[0]!r}; expected x and {spec.label} (and id)")
    if spec.id and spec.id not in arrays:
        raise InputError(f"{path}: no array {spec.id!r} (records.id)")
    x, labels = arrays["x"], arrays[spec.label]
    if x.dtype.kind not in "iufb" or x.ndim < 2:
        raise InputError(f"{path}: x is {x.dtype} {list(x.shape)}; expected numbers [records, ...]")
    y, classes = as_labels(labels, f"{path}: {spec.label!r}")
    ids = arrays.get(spec.id or "id", np.arange(len(x))).astype(str)
    return Dataset(ids, x.astype(np.float32), y, classes, source=str(path))


def read_npz(path: Path, spec: RecordsSpec) -> Dataset:
    """Records of an npz file with the arrays `x`, `spec.label` and perhaps `id`."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: not a readable npz file of plain arrays ({error})") from error
    return _dataset(arrays, path, spec)


def read_npy(path: Path, spec: RecordsSpec) -> Dataset:
    """Records of an npy file; their labels lie in the npy file beside it that `label` names."""
    beside = {spec.label: spec.label, **({spec.id: spec.id} if spec.id else {})}
    files = {"x": path, **{name: path.parent / file for name, file in beside.items()}}
    arrays = {}
    for name, file in files.items():
        if not file.is_file():
            raise InputError(
                f"records.{'label' if name == spec.label else 'id'}: no file {file}; the records "
                f"are in {path.name}, expected an npy file beside it"
            )
        try:
            arrays[name] = np.load(file, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise InputError(f"{file}: not a readable npy file of a plain array") from error
    return _dataset(arrays, path, spec)


def read_safetensors(path: Path, spec: RecordsSpec) -> Dataset:
    """Records of a safetensors file with the tensors `x`, `spec.label` and perhaps `id`."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        arrays = load_file(path)
    except (SafetensorError, OSError, ValueError, TypeError) as error:
        raise InputError(f"{path}: not a whole safetensors file ({error})") from error
    return _dataset(arrays, path, spec)
