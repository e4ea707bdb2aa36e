"""What a disk does to those who write: it is full, or read only, or they are killed on the way."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from memory_assets.errors import InputError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS)

# What libraries say that keep the number of the error to themselves (SQLite, DuckDB, safetensors).
_SAYS_FULL = ("no space left", "disk is full", "disk quota exceeded", "file too large")
_SAYS_REFUSED = ("readonly database", "read-only file system", "unable to open database file")
_SAYS_FAILED = ("disk i/o error", "input/output error")

# What another machine has not touched for a day, nobody writes any more.
_FOREIGN_SECONDS = 24 * 3600


def disk_full(path: Path) -> InputError:
    return InputError(f"no space left on the disk of {path}; free some and run again")


def explain(error: BaseException | None, root: Path) -> InputError | None:
    """One line for an error that comes from a disk which takes nothing; None for any other."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if isinstance(error, InputError):
            return None
        plain, number = str(error).partition("\n")[0], getattr(error, "errno", None)
        text = plain.lower()
        if number in _FULL or any(words in text for words in _SAYS_FULL):
            return disk_full(root)
        if number in _REFUSED or any(words in text for words in _SAYS_REFUSED):
            where = Path(getattr(error, "filename", None) or root)
            if not where.is_relative_to(root):
                return None  # a file of the user's, which its reader speaks of
            return InputError(
                f"{where} may not be written; check owner, mode and mount of {root}, or set "
                "MEMORY_ASSETS_HOME to another folder"
            )
        if number == errno.EIO or any(words in text for words in _SAYS_FAILED):
            return InputError(
                f"the disk of {root} failed ({plain}); see whether it is full or broken"
            )
        error = error.__cause__ or error.__context__
    return None


@contextmanager
def explaining_disk(root: Path) -> Iterator[None]:
    """Turn what a disk refused under `root` into one line.

    Raises:
        InputError: the disk is full, or may not be written.
    """
    try:
        yield
    except Exception as error:
        explained = explain(error, root)
        if explained is None:
            raise
        raise explained from None


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):  # a number that no process has
        return False
    except PermissionError:
        return True
    return True


def remove(path: Path) -> None:
    """Delete a file or a folder that may not be there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def private_folder(folder: Path) -> Path:
    """A folder that only its owner enters, with every folder above it that had to be made."""
    if not folder.is_dir():
        private_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def _writer() -> str:
    """Who writes, for those who find it half-written: several machines may share a disk."""
    return f"{socket.gethostname()}@{os.getpid()}"


def _is_left(path: Path, writer: str) -> bool:
    """Whether its writer is dead. Of another machine's, only age tells: each container is one."""
    host, _, pid = writer.rpartition("@")
    if not host or not pid.isdecimal():
        return False
    if host == socket.gethostname():
        return not is_alive(int(pid))
    try:
        changed = max(each.lstat().st_mtime for each in (path, *path.rglob("*")))
    except FileNotFoundError:
        return False  # at work
    return time.time() - changed > _FOREIGN_SECONDS


@contextmanager
def temporary_folder(root: Path) -> Iterator[Path]:
    """A private folder under `<root>/tmp`, removed at the end with all that lies in it.

    What libraries keep beside the file that they write goes with it: DuckDB's write-ahead log,
    the file that safetensors renames. A killed process leaves the folder to `sweep`, which reads
    from the name of whom to ask whether the writer is still alive.
    """
    folder = private_folder(root / "tmp") / f"{_writer()}@{os.urandom(4).hex()}"
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        remove(folder)


def sweep(root: Path) -> int:
    """Remove what killed processes left half-written; returns how many."""
    removed = 0
    for left in (root / "tmp").glob("*@*@*"):
        if _is_left(left, left.name.rpartition("@")[0]):
            remove(left)
            removed += 1
    return removed


def _beside(path: Path, kind: str) -> Path:
    """A hidden name beside a path: `.NAME@HOST@PID.KIND`, which says whose it is."""
    return path.with_name(f".{path.name}@{_writer()}.{kind}")


def tidy(folder: Path) -> None:
    """Finish what killed writers left in a folder: what is half written goes, and a folder that
    stood aside for one that never came is there again."""
    for left in folder.glob(".*@*@*.*"):
        name, host, pid = left.stem[1:].rsplit("@", 2)
        if left.suffix not in (".tmp", ".old") or not _is_left(left, f"{host}@{pid}"):
            continue
        if left.suffix == ".old" and not (folder / name).exists():
            left.replace(folder / name)
        else:
            remove(left)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A place beside `path` to write a file or folder to, which takes its name once it is whole.

    Where the writing fails, what stood at `path` stands there still. What a killed process left of
    it is removed first.
    """
    tidy(path.parent)
    temporary, old = _beside(path, "tmp"), _beside(path, "old")
    try:
        yield temporary
        if path.is_dir():  # a folder cannot be renamed over another
            path.replace(old)
        temporary.replace(path)
    finally:
        remove(temporary)
        if old.exists() and not path.exists():
            old.replace(path)
        remove(old)


def write_private(path: Path, content: str | bytes) -> Path:
    """Write a file whole or not at all, readable by its owner only, whatever the umask."""
    private_folder(path.parent)
    with replacing(path) as temporary, open(temporary, "wb", opener=_open_private) as file:
        file.write(content.encode() if isinstance(content, str) else content)
    return path


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
