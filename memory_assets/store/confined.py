"""What lies in a folder stays in it: names that are safe everywhere, and no link that leads out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from memory_assets.errors import InputError

# A version's name becomes a partition, a folder, a row of SQL, a line in a terminal and a page.
_VERSION = re.compile(r"\w[\w.+@=() -]{0,99}")
_HUB = "models--"


def version_name(name: str, where: object) -> str:
    """The name of a version, as it is.

    Raises:
        InputError: a name with quotes, control characters, separators or `..`, or a long one.
    """
    if not _VERSION.fullmatch(name) or ".." in name or name != name.strip():
        raise InputError(
            f"{where}: {name[:80]!r} cannot name a version; expected at most 100 letters, digits "
            "and . _ - + @ = ( ), and no '..': rename it"
        )
    return name


def inside(path: Path, folder: Path, blobs: Path | None = None) -> Path:
    """The path, if following every link it still lies in the folder, or in its `hub_blobs`.

    Raises:
        InputError: it leads out, or in a circle.
    """
    try:
        found = path.resolve(strict=False)
        within = found.is_relative_to(folder.resolve(strict=False)) or (
            blobs is not None and found.is_relative_to(blobs)
        )
    except (OSError, RuntimeError):  # a circle of links
        within = False
    if not within:
        raise InputError(
            f"{path}: a link that leads out of {folder}; put the file itself there, or name the "
            "folder that it lies in"
        )
    return path


def hub_blobs(folder: Path) -> Path | None:
    """Where the files of a snapshot in the cache of the Hugging Face hub are; None of any other.

    The cache keeps `models--<owner>--<name>/snapshots/<revision>/<file>` as links to
    `models--<owner>--<name>/blobs/`. A folder `blobs` that is a link itself could lead anywhere.
    """
    snapshots = folder.resolve().parent
    blobs = snapshots.parent / "blobs"
    known = snapshots.name == "snapshots" and snapshots.parent.name.startswith(_HUB)
    return blobs if known and not blobs.is_symlink() else None


def files_in(folder: Path, pattern: str = "*") -> Iterator[Path]:
    """The regular files below a folder in order, hidden ones too; links to folders are not entered.

    Raises:
        InputError: one of them is a link that leads out of the folder (see `hub_blobs`).
    """
    blobs = hub_blobs(folder)
    for path in sorted(folder.rglob(pattern)):
        if path.is_symlink():
            inside(path, folder, blobs)
        if path.is_file():
            yield path
