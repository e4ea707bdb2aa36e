"""What lies in the folder of a language model, looked at before anything of it is opened."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from memory_assets.errors import InputError
from memory_assets.models.hub import is_hub_id, snapshot
from memory_assets.records.budget import afford
from memory_assets.records.formats import SAFETENSORS, TOKENIZER, is_one_of
from memory_assets.store.digest import digest, digest_file
from memory_assets.store.paths import is_file, is_folder

ADAPTER = "adapter_config.json"
_MOST_BYTES = 1 << 24
_READ = (*TOKENIZER, SAFETENSORS)
_TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model")


def locate(name: str | Path, revision: str | None = None) -> Path:
    """The folder of a model: a local one, or a snapshot of a hub id at a revision.

    Raises:
        InputError: neither a folder nor a hub id, or the hub cannot give it.
    """
    folder = Path(name)
    if is_folder(folder):
        return folder
    if not is_hub_id(str(name)):
        raise InputError(f"{name}: no such folder; expected a model folder or a hub id")
    return snapshot(str(name), revision)


def base_of(folder: Path, base: str | Path | None = None, root: Path | None = None) -> Path | None:
    """The folder of the model that an adapter changes: `base`, else the one that the adapter
    names. None where the folder holds a whole model.

    An adapter comes from elsewhere: what it names is looked for in the local cache of the hub and
    below `root` (the current folder without it), and nothing is downloaded for it.

    Raises:
        InputError: an adapter that names no base, or one that is not there.
    """
    if not is_file(folder / ADAPTER):
        return None
    settings = read_json(folder / ADAPTER)
    try:
        under = _named(settings, root or Path()) if base is None else locate(base)
    except InputError as error:
        raise InputError(f"{folder}: its base: {error}; or give its folder under base") from error
    if is_file(under / ADAPTER):
        raise InputError(f"{folder}: its base {under} is an adapter itself; merge that one first")
    return under


def _named(settings: dict[str, Any], root: Path) -> Path:
    """The base that an adapter names itself."""
    named, revision = settings.get("base_model_name_or_path"), settings.get("revision")
    if not named or not isinstance(named, str):
        raise InputError("its adapter names no base model")
    place = root / named
    if is_folder(place) and place.resolve().is_relative_to(root.resolve()):
        return place
    if not is_hub_id(named):
        raise InputError(f"{named[:200]!r} is no folder of the project")
    if revision is not None and not (isinstance(revision, str) and _is_revision(revision)):
        raise InputError(f"revision {str(revision)[:80]!r}; expected a commit, tag or branch")
    return snapshot(named, revision, local=True)


def _is_revision(name: str) -> bool:
    """Whether it can be one; the cache makes the name of a file of it."""
    return re.fullmatch(r"\w[\w./+-]{0,199}", name) is not None and ".." not in name


def read_json(file: Path) -> dict[str, Any]:
    """The object in a JSON file; anything else is an `InputError`."""
    if not is_file(file):
        raise InputError(f"{file}: no such file")
    try:
        size = file.stat().st_size
        if size > _MOST_BYTES:
            raise InputError(f"{file}: larger than {_MOST_BYTES >> 20} MiB; settings are not")
        # Lists in lists take fifty times what they take in the file.
        afford(50 * size, file, "its settings")
        content = json.loads(file.read_text(encoding="utf-8"))
    except InputError:
        raise
    except (OSError, ValueError, RecursionError, MemoryError) as error:
        raise InputError(f"{file}: not readable JSON ({type(error).__name__})") from error
    if not isinstance(content, dict):
        raise InputError(f"{file}: expected a JSON object")
    return content


def has_tokenizer(folder: Path) -> bool:
    """Whether any file of a tokenizer lies there."""
    return any((folder / file).is_file() for file in _TOKENIZERS)


def folder_digest(folder: Path) -> str:
    """Weights, configuration and tokenizer by content."""
    files = sorted(p for p in folder.iterdir() if is_one_of(p, _READ))
    return digest([[p.name, digest_file(p)] for p in files])
