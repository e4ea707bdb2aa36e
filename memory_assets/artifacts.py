"""The content-addressed store: an artifact that exists is returned, never computed twice."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

_LOCK_STRIPES = 64


@dataclass(frozen=True)
class Artifact:
    """A file or folder in the store; `reused` says that it stood there before we asked."""

    kind: str
    key: str
    path: Path
    reused: bool


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def home() -> Path:
    """Where all state lives: `MEMORY_ASSETS_HOME`, else `.memory_assets` in the current folder."""
    return Path(os.environ.get("MEMORY_ASSETS_HOME") or ".memory_assets").absolute()


def private_folder(folder: Path) -> Path:
    """A folder that only its owner enters, with every folder above it that had to be made."""
    if not folder.is_dir():
        private_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def write_private(path: Path, content: str | bytes) -> Path:
    """Write a file whole or not at all, readable by its owner only, whatever the umask."""
    private_folder(path.parent)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb", opener=_open_private) as file:
            file.write(content.encode() if isinstance(content, str) else content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


@dataclass(frozen=True)
class ArtifactStore:
    """Artifacts under `<root>/artifacts/<kind>/<key><suffix>`, made once and then read only.

    The key is a digest of everything that the artifact was made from, so a stale one cannot be
    found under a new key. A build writes beside the store and is renamed into it when whole: a
    process killed in the middle leaves only a temporary file, which `sweep` removes. Two
    processes that want the same artifact build it once; the second waits and reuses it.

    Two subjects may share an artifact. `owner` is the subject in whose name it is asked for: an
    empty file `owners/<owner>/<kind>/<name>` says so, before the artifact is made.
    """

    root: Path
    owner: str = ""

    def path(self, kind: str, key: str, suffix: str = "") -> Path:
        return self.root / "artifacts" / kind / f"{key}{suffix}"

    def exists(self, kind: str, key: str, suffix: str = "") -> bool:
        return self.path(kind, key, suffix).exists()

    def get_or_build(
        self, kind: str, key: str, build: Callable[[Path], None], suffix: str = ""
    ) -> Artifact:
        """Return the artifact, calling `build(path)` to write it if it is not there.

        `build` gets a path that does not exist and makes a file or a folder there. Builds of
        different artifacts must not nest: locks are striped by key.
        """
        final = self.path(kind, key, suffix)
        self._claim(kind, final.name)
        if final.exists():
            return Artifact(kind, key, final, reused=True)
        with self.lock(f"build-{int(key[:8], 16) % _LOCK_STRIPES:02d}"):
            if final.exists():
                return Artifact(kind, key, final, reused=True)
            temporary = self._temporary(f"{kind}-{key[:12]}{suffix}")
            try:
                build(temporary)
                _private(temporary)
                private_folder(final.parent)
                temporary.replace(final)
            finally:
                remove(temporary)
        return Artifact(kind, key, final, reused=False)

    def lock(self, name: str) -> FileLock:
        """A lock between processes that dies with its holder; a fixed, small number of names."""
        folder = private_folder(self.root / "locks")
        return FileLock(folder / f"{name}.lock")

    def sweep(self) -> int:
        """Remove what killed processes of this machine left half-written; returns how many."""
        removed = 0
        for left in (self.root / "tmp").glob("*@*@*"):
            host, pid, _ = left.name.split("@", 2)
            if host == socket.gethostname() and pid.isdigit() and not _alive(int(pid)):
                remove(left)
                removed += 1
        return removed

    def claims(self, owner: str) -> dict[tuple[str, str], Path]:
        """What was asked for in a subject's name: (kind, file name) -> the file that says so."""
        found = (self.root / "owners" / owner).glob("*/*")
        return {(claim.parent.name, claim.name): claim for claim in found}

    def owners(self) -> list[str]:
        """The subjects in whose names anything was asked for."""
        return sorted(path.name for path in (self.root / "owners").glob("*"))

    def _claim(self, kind: str, name: str) -> None:
        if not self.owner:
            return
        claim = self.root / "owners" / self.owner / kind / name
        if not claim.exists():
            private_folder(claim.parent)
            claim.touch(mode=0o600)

    def _temporary(self, name: str) -> Path:
        folder = private_folder(self.root / "tmp")
        # Host and process in the name tell a later sweep whether the writer is still alive.
        unique = f"{os.urandom(4).hex()}-{name}"
        return folder / f"{socket.gethostname()}@{os.getpid()}@{unique}"


def _private(path: Path) -> None:
    """Scores and weights speak about people: only their owner reads them."""
    path.chmod(0o700 if path.is_dir() else 0o600)
    for inner in path.rglob("*") if path.is_dir() else ():
        inner.chmod(0o700 if inner.is_dir() else 0o600)


def remove(path: Path) -> None:
    """Delete a file or a folder that may not be there."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
