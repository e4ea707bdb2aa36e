"""Signals on disk: one safetensors file whose arrays are read in place, a slice at a time."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from memory_assets.errors import InputError
from memory_assets.pool.signals import Answers, Signals

_DTYPES = {"F64": np.float64, "I32": np.int32, "BOOL": np.bool_, "U8": np.uint8}
_NAMES = {np.dtype(dtype): name for name, dtype in _DTYPES.items()}
_ANSWERS = {
    "score": np.float64,
    "p_true": np.float64,
    "loss": np.float64,
    "label_pred": np.int32,
    "correct": np.bool_,
}


def signal_arrays(
    models: int, pairs: int, held_out: int, queries: int, correct: type = np.bool_
) -> dict[str, tuple]:
    """Name, dtype and shape of every array that signals of this size are stored in.

    `correct` is the dtype of the array of that name: float64 for texts.
    """
    spec: dict[str, tuple] = {
        f"{part}.{name}": (dtype, (models, *records, queries))
        for part, records in (("pairs", (pairs, 2)), ("held_out", (held_out,)))
        for name, dtype in {**_ANSWERS, "correct": correct}.items()
    }
    return {**spec, "floor": (np.float64, (models,)), "side": (np.uint8, (models, pairs))}


def create_arrays(path: Path, spec: Mapping[str, tuple]) -> dict[str, NDArray]:
    """A new safetensors file of zeros whose arrays are written in place (memory-mapped).

    The safetensors library writes arrays that lie in memory; signals of many records and models
    need not. The widest values come first, which keeps every array aligned.
    """
    order = sorted(spec, key=lambda name: (-np.dtype(spec[name][0]).itemsize, name))
    header, end = {}, 0
    for name in order:
        dtype, shape = spec[name]
        start, end = end, end + np.dtype(dtype).itemsize * math.prod(shape)
        header[name] = {
            "dtype": _NAMES[np.dtype(dtype)],
            "shape": list(shape),
            "data_offsets": [start, end],
        }
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as f:
        f.write(len(text).to_bytes(8, "little") + text)
        f.truncate(8 + len(text) + end)
    return _map(path, "r+")


def new_arrays(spec: Mapping[str, tuple], path: Path | None = None) -> dict[str, NDArray]:
    """Arrays of zeros to fill: in a file as `create_arrays` makes it, or else in memory."""
    if path is not None:
        return create_arrays(path, spec)
    return {name: np.zeros(shape, dtype) for name, (dtype, shape) in spec.items()}


def _map(path: Path, mode: Literal["r", "r+"]) -> dict[str, NDArray]:
    with path.open("rb") as f:
        length = int.from_bytes(f.read(8), "little")
        header = json.loads(f.read(length))
    header.pop("__metadata__", None)
    arrays: dict[str, NDArray] = {}
    for name, entry in header.items():
        dtype, shape = _DTYPES[entry["dtype"]], tuple(entry["shape"])
        start = 8 + length + entry["data_offsets"][0]
        # An empty array has no bytes to map.
        arrays[name] = (
            np.memmap(path, dtype, mode, start, shape)
            if math.prod(shape)
            else np.empty(shape, dtype)
        )
    return arrays


def as_signals(arrays: Mapping[str, NDArray]) -> Signals:
    """The arrays of `signal_arrays` as `Signals`."""

    def answers(part: str) -> Answers:
        return Answers(**{f.name: arrays[f"{part}.{f.name}"] for f in fields(Answers)})

    return Signals(answers("pairs"), answers("held_out"), arrays["side"], arrays["floor"])


def save_signals(signals: Signals, path: Path) -> None:
    """Write signals as one safetensors file: `pairs.*`, `held_out.*`, `floor` and `side`."""
    models, pairs, _, queries = signals.pairs.score.shape
    held_out, correct = signals.held_out.score.shape[1], signals.pairs.correct.dtype.type
    arrays = create_arrays(path, signal_arrays(models, pairs, held_out, queries, correct))
    for part in ("pairs", "held_out"):
        for f in fields(Answers):
            arrays[f"{part}.{f.name}"][...] = getattr(getattr(signals, part), f.name)
    arrays["side"][...] = signals.side
    if signals.floor.size:
        arrays["floor"][...] = signals.floor


def load_signals(path: Path) -> Signals:
    """Open stored signals; arrays are memory-mapped, read only, and cost no memory until read.

    Raises:
        InputError: not a whole file of signals.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as f:
            names = set(f.keys())
    except (SafetensorError, OSError) as error:
        raise InputError(
            f"{path}: not a whole file of signals ({error}); build it again"
        ) from error
    if missing := sorted(set(signal_arrays(1, 1, 1, 1)) - names):
        raise InputError(f"{path}: holds no array {missing[0]!r}; expected stored signals")
    return as_signals(_map(path, "r"))
