"""What lies among versions and is none: downloads under way, checksums, logs, pictures, notes."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

_UNFINISHED = """
    .tmp .temp .part .partial .incomplete .filepart .crdownload .download .opdownload .aria2 .!ut
"""
_PROOFS = ".sha1 .sha224 .sha256 .sha384 .sha512 .md5 .crc32 .blake2 .b3 .asc .sig .minisig .sum"
_NOTES = ".md .rst .txt .html .htm .pdf .doc .docx .json .jsonl .yaml .yml .toml .ini .cfg .xml"
_LOGS = ".log .out .err .lock .pid .swp .bak .orig .old .tfevents"
_PICTURES = ".png .jpg .jpeg .gif .svg .webp .bmp .tif .tiff .ico"
_CODE = ".py .pyc .ipynb .sh .db .lnk .url .torrent"
UNFINISHED = frozenset(_UNFINISHED.split())
"""Suffixes of what is still being written."""
STRAYS = frozenset(" ".join((_UNFINISHED, _PROOFS, _NOTES, _LOGS, _PICTURES, _CODE)).split())
"""Suffixes of what is never a version, in lower case. An unknown one is none of them: a release of
an unknown kind is refused when it is read, and must not be passed over."""

_NAMES = frozenset(
    ["thumbs.db", "desktop.ini", "readme", "license", "licence", "changelog", "makefile"]
)
_FOLDERS = frozenset(["__pycache__", "logs", "runs", "wandb", "tensorboard", "lost+found"])
_BEGINNINGS = (".", "events.out.tfevents")
_POINTER = b"version https://git-lfs.github.com/spec/"
_POINTER_BYTES = 1024


def is_stray_name(name: str) -> bool:
    """Whether nothing that is called so is a version, be it a file or a folder."""
    small = name.lower()
    return (
        small.startswith(_BEGINNINGS)
        or small.endswith("~")
        or small in _NAMES
        or Path(small).suffix in STRAYS
    )


def is_pointer(path: Path) -> bool:
    """Whether a file is what Git LFS leaves in the place of one that it did not fetch."""
    try:
        found = path.stat()
        # A named pipe would be waited for, without end.
        if not stat.S_ISREG(found.st_mode) or found.st_size > _POINTER_BYTES:
            return False
        with path.open("rb") as file:
            return file.read(len(_POINTER)) == _POINTER
    except OSError:
        return False


def why_stray(path: Path) -> str | None:
    """Why what is there is no version: in words, empty where it needs none, None where it is one.

    A folder is one as soon as any file in it could be. Links are not followed.
    """
    if is_stray_name(path.name):
        return ""
    if path.is_dir():
        whys = (why_stray(file) for file in _files_below(path))
        said = ""
        for why in whys:
            if why is None:
                return None
            said = said or why
        return said
    if not path.is_symlink() and is_pointer(path):
        return "a pointer of Git LFS and not the file itself; git lfs pull brings it"
    return None


def _files_below(folder: Path) -> Iterator[Path]:
    """The files below a folder that are there, but for those of hidden and other stray folders."""
    if folder.name.lower() in _FOLDERS:
        return
    for here, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not is_stray_name(name)]
        for name in sorted(files):
            if (file := Path(here) / name).exists():
                yield file
