"""What lies in the folder of a language model, looked at before anything of it is opened."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from memory_assets.digest import digest, digest_file
from memory_assets.errors import InputError
from memory_assets.models.hub import is_hub_id, snapshot

ADAPTER = "adapter_config.json"
_TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model")


def locate(name: str | Path, revision: str | None = None) -> Path:
    """The folder of a model: a local one, or a snapshot of a hub id at a revision.

    Raises:
        InputError: neither a folder nor a hub id, or the hub cannot give it.
    """
    folder = Path(name)
    if folder.is_dir():
        return folder
    if not is_hub_id(str(name)):
        raise InputError(f"{name}: no such folder; expected a model folder or a hub id")
    return snapshot(str(name), revision)


def base_of(folder: Path, base: str | Path | None = None) -> Path | None:
    """The folder of the model that an adapter changes: `base`, else the one that the adapter
    names. None where the folder holds a whole model.

    Raises:
        InputError: an adapter that names no base, or one that is not there.
    """
    if not (folder / ADAPTER).is_file():
        return None
    settings = read_json(folder / ADAPTER)
    named = base or settings.get("base_model_name_or_path")
    if not named or not isinstance(named, str | Path):
        raise InputError(f"{folder}: its adapter names no base model; give one under base")
    try:
        under = locate(named, settings.get("revision") if base is None else None)
    except InputError as error:
        raise InputError(f"{folder}: its base: {error}; or give its folder under base") from error
    if (under / ADAPTER).is_file():
        raise InputError(f"{folder}: its base {under} is an adapter itself; merge that one first")
    return under


def read_json(file: Path) -> dict[str, Any]:
    """The object in a JSON file; anything else is an `InputError`."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{file}: not readable JSON ({type(error).__name__})") from error
    if not isinstance(content, dict):
        raise InputError(f"{file}: expected a JSON object")
    return content


def has_tokenizer(folder: Path) -> bool:
    """Whether any file of a tokenizer lies there."""
    return any((folder / file).is_file() for file in _TOKENIZERS)


def folder_digest(folder: Path) -> str:
    """Weights, configuration and tokenizer by content."""
    files = sorted(p for p in folder.iterdir() if p.suffix in (".json", ".safetensors", ".model"))
    return digest([[p.name, digest_file(p)] for p in files])
