"""What a folder holds of a language model: its versions, its texts, its secrets."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from memory_assets.dagster.starters.raw_inputs import named, shown_columns
from memory_assets.errors import InputError
from memory_assets.language.folders import ADAPTER, has_tokenizer, read_json
from memory_assets.models.checkpoints import columns
from memory_assets.records.formats import (
    CSV,
    JSON,
    MODEL_FOLDER_WEIGHTS,
    PARQUET,
    TEXT,
    TEXT_TABLES,
    is_one_of,
)

_CAUSAL = ("ForCausalLM", "LMHeadModel")
_UNSEEN = {"held", "heldout", "holdout", "unseen", "non", "nonmember", "nonmembers"}
_SPLITS = {"valid", "validation", "val", "test", "eval", "dev"}
_MEMBERS = {"member", "members", "train", "training", "trained", "planted"}
_NO_TEXTS = {"readme", "license", "licence", "requirements"}
_IDS = ("id", "text_id", "record_id", "doc_id")
_LONGEST_LINE = 50_000_000


@dataclass
class Found:
    """Model folders and files as a subject names them; texts in `others` say no side by name."""

    versions: list[Path] = field(default_factory=list)
    reference: list[str] = field(default_factory=list)
    base: list[str] = field(default_factory=list)
    tokenizers: list[str] = field(default_factory=list)
    members: list[str] = field(default_factory=list)
    held_out: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    manifests: list[str] = field(default_factory=list)
    secrets: list[str] = field(default_factory=list)


def is_model(folder: Path) -> bool:
    """Whether there are weights, and the configuration of a causal model or of an adapter."""
    try:
        if not any(is_one_of(path, MODEL_FOLDER_WEIGHTS) for path in folder.iterdir()):
            return False
        if (folder / ADAPTER).is_file():
            return True
        config = read_json(folder / "config.json")
    except (OSError, InputError):  # somebody else's config.json, or none
        return False
    named_so = config.get("architectures")
    return isinstance(named_so, list) and any(str(name).endswith(_CAUSAL) for name in named_so)


def _walk(folder: Path) -> Iterator[tuple[Path, list[Path]]]:
    """Every folder with its files, in order; hidden ones and what lies below a model left out."""
    for here, folders, files in os.walk(folder):
        place = Path(here)
        inside = is_model(place) or has_tokenizer(place)
        folders[:] = [] if inside else sorted(f for f in folders if not f.startswith("."))
        yield place, [place / f for f in sorted(files) if not f.startswith(".")]


def holds_models(folder: Path) -> bool:
    """Whether a causal language model lies somewhere below."""
    return any(is_model(place) for place, _ in _walk(folder))


def look(folder: Path, root: Path) -> Found:
    """What lies below a folder, told apart by content and name."""
    found = Found()
    for place, files in _walk(folder):
        words = _words(place.name)
        if is_model(place):
            if "reference" in words:
                found.reference.append(named(place, root))
            elif "base" in words:
                found.base.append(named(place, root))
            else:
                found.versions.append(place)
        elif has_tokenizer(place):
            found.tokenizers.append(named(place, root))
        else:
            for path in files:
                _sort(path, folder, root, found)
    return found


def _words(name: str) -> set[str]:
    return set(re.split(r"[^a-z]+", name.lower()))


def _side(name: str, found: Found) -> list[str] | None:
    """Whose texts a name speaks of; "non-members" are no members."""
    words = _words(name)
    if words & (_UNSEEN | _SPLITS):
        return found.held_out
    return found.members if words & _MEMBERS else None


def _sort(path: Path, folder: Path, root: Path, found: Found) -> None:
    """Put one file where its name says that it belongs."""
    words = _words(path.stem)
    if path in JSON and words & {"canary", "canaries", "manifest"}:
        found.manifests.append(named(path, root))
    elif path in CSV and {"prefix", "value"} <= set(columns(path)):
        found.secrets.append(named(path, root))
    elif is_one_of(path, (*TEXT_TABLES, TEXT)) and not words & _NO_TEXTS:
        side = _side(path.stem, found)
        if side is None and path.parent != folder:
            side = _side(path.parent.name, found)
            if path in TEXT:  # many small files are one side
                path = path.parent
        kept = found.others if side is None else side
        if named(path, root) not in kept:
            kept.append(named(path, root))


def read_as(name: str, root: Path, text: str | None) -> dict[str, str]:
    """How texts are read: the path, and the columns of text and id in a table.

    Raises:
        InputError: no such file, one that cannot be read, or no column of texts.
    """
    path = root / name
    if not path.exists():
        raise InputError(f"{path}: no such file or folder of texts")
    if not is_one_of(path, TEXT_TABLES):
        return {"path": name}
    names = columns(path) if path in PARQUET else _fields(path)
    column = text or "text"
    if column not in names:
        raise InputError(
            f"{path}: no column {column!r}; say with --text which of {shown_columns(names)} it is"
        )
    identifier = next((column for column in _IDS if column in names), None)
    return (
        {"path": name}
        | ({"column": column} if text else {})
        | ({"id": identifier} if identifier else {})
    )


def _fields(path: Path) -> list[str]:
    """The fields of the first line."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            line = file.readline(_LONGEST_LINE)
            while line and not line.strip():
                line = file.readline(_LONGEST_LINE)
        row = json.loads(line)
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: its first line is not JSON ({type(error).__name__})") from error
    if not isinstance(row, dict):
        raise InputError(f"{path}: its first line is no JSON object; expected one a line")
    return list(row)
