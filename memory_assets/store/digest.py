"""One digest for everything: the name of an artifact is what it was made from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

_CHUNK = 1 << 20


def _feed(h: hashlib._Hash, part: Any) -> None:
    """Hash one part with its type and length, so that no two lists of parts look alike."""
    if isinstance(part, np.ndarray):
        if part.dtype.kind in "OUS":
            _feed(h, [str(item) for item in part.ravel().tolist()])
            return
        array = np.ascontiguousarray(part)
        h.update(f"array:{array.dtype.str}:{array.shape}:".encode())
        h.update(array.view(np.uint8).reshape(-1).data)
    elif isinstance(part, bytes):
        h.update(f"bytes:{len(part)}:".encode())
        h.update(part)
    else:
        text = json.dumps(_plain(part), sort_keys=True, ensure_ascii=False, allow_nan=False)
        h.update(f"json:{len(text)}:".encode())
        h.update(text.encode())


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return _plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Path):
        return str(value)
    return value


def digest(*parts: Any) -> str:
    """SHA-256 (hex) of the parts in order: arrays, bytes, dataclasses or JSON-like values."""
    h = hashlib.sha256()
    for part in parts:
        _feed(h, part)
    return h.hexdigest()


def digest_file(path: Path) -> str:
    """SHA-256 (hex) of a file's bytes, read in pieces."""
    h = hashlib.sha256()
    with path.open("rb") as f:
        while chunk := f.read(_CHUNK):
            h.update(chunk)
    return h.hexdigest()
