"""Models on the Hugging Face hub: taken from the local cache first, safetensors only."""

from __future__ import annotations

import json
import re
from pathlib import Path

from memory_assets.errors import InputError

_PART = r"[\w-][\w.-]{0,95}"
INDEX = "model.safetensors.index.json"
_WANTED = ["*.json", "*.safetensors", "*.model", "*.txt"]


def is_hub_id(name: str) -> bool:
    """Whether the hub writes names so: `owner/name`, or a name alone for a few old models."""
    return re.fullmatch(f"{_PART}(/{_PART})?", name) is not None and ".." not in name


def _is_whole(folder: Path) -> bool:
    """Whether the weights are there, all parts of them: a cache may hold a few files only."""
    index = folder / INDEX
    if not index.is_file():
        return any(folder.glob("*.safetensors"))
    try:
        parts = json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()
        return all((folder / str(part)).is_file() for part in set(parts))
    except (OSError, ValueError, KeyError, AttributeError, TypeError, RecursionError, MemoryError):
        return False


def snapshot(name: str, revision: str | None = None, *, local: bool = False) -> Path:
    """The folder of a hub model at a revision (commit, tag or branch), downloaded where needed.

    With `local` nothing is downloaded: somebody else chose the name.

    What the local cache holds is not asked for again: a branch stays where it was when it was
    first taken, a commit is the same for ever.

    Raises:
        InputError: not a hub id, or neither the cache nor the hub gives it.
    """
    if not is_hub_id(name):
        raise InputError(f"{name}: not a model on the hub; expected owner/name")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    at = f" at revision {revision}" if revision else ""
    try:
        found = Path(
            snapshot_download(
                name, revision=revision, allow_patterns=_WANTED, local_files_only=True
            )
        )
        if _is_whole(found):
            return found
    except LocalEntryNotFoundError:
        pass
    if local:
        raise InputError(
            f"{name}{at}: not in the local cache, or not whole; nobody here named it, so it is not "
            f"downloaded: look at it, then `hf download {name}`"
        )
    try:
        found = Path(snapshot_download(name, revision=revision, allow_patterns=_WANTED))
    except LocalEntryNotFoundError as error:
        raise InputError(
            f"{name}{at}: not in the local cache, and the hub cannot be reached; download it with "
            f"`hf download {name}` where there is a network, or give a folder"
        ) from error
    except HfHubHTTPError as error:
        raise InputError(
            f"{name}{at}: the hub gives no such model ({type(error).__name__}); check name and "
            "revision, and log in with `hf auth login` if it is private"
        ) from error
    except Exception as error:  # the hub's client lets through whatever its transport raises
        raise InputError(
            f"{name}{at}: could not be downloaded ({type(error).__name__}); try again"
        ) from error
    if not _is_whole(found):
        raise InputError(
            f"{name}{at}: no whole safetensors weights; either it has pickled weights only, which "
            f"are never loaded, or {found} holds a part of it and the hub cannot be reached"
        )
    return found
