"""The content-addressed store: an artifact that exists is returned, never computed twice."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from memory_assets.store.disk import explaining_disk, private_folder, remove, temporary_folder
from memory_assets.store.integrity import damage, listing, write_listing

_LOCK_STRIPES = 64
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Artifact:
    """A file or folder in the store; `reused` says that it stood there before we asked."""

    kind: str
    key: str
    path: Path
    reused: bool


@dataclass(frozen=True)
class ArtifactStore:
    """Artifacts under `<root>/artifacts/<kind>/<key><suffix>`, made once and then read only.

    The key is a digest of everything that the artifact was made from, so a stale one cannot be
    found under a new key. A build writes beside the store and is renamed into it when whole: a
    process killed in the middle leaves only a temporary folder, which `disk.sweep` removes. Two
    processes that want the same artifact build it once; the second waits and reuses it.
    What is reused has been compared with the digests taken when it was made; what is damaged is
    made again.

    Two subjects may share an artifact. `owner` is the subject in whose name it is asked for: an
    empty file `owners/<owner>/<kind>/<name>` says so, before the artifact is made.
    """

    root: Path
    owner: str = ""

    def path(self, kind: str, key: str, suffix: str = "") -> Path:
        return self.root / "artifacts" / kind / f"{key}{suffix}"

    def exists(self, kind: str, key: str, suffix: str = "") -> bool:
        return self.path(kind, key, suffix).exists()

    def is_sound(self, kind: str, key: str, suffix: str = "") -> bool:
        """Whether the artifact is there, and as it was written."""
        path = self.path(kind, key, suffix)
        return path.exists() and not damage(path)

    def discard(self, path: Path) -> None:
        """Remove an artifact and its digests."""
        remove(path)
        remove(listing(path))

    def give_up(self, kind: str, name: str) -> bool:
        """Remove an artifact of the owner's, unless another asked for it; whether it went."""
        with self._building(name):
            others = (self.root / "owners").glob(f"*/{kind}/{name}")
            if any(claim.parents[1].name != self.owner for claim in others):
                return False
            self.discard(self.path(kind, name))
            return True

    def get_or_build(
        self,
        kind: str,
        key: str,
        build: Callable[[Path], None],
        suffix: str = "",
        final: Callable[[Path], bool] = lambda _: True,
    ) -> Artifact:
        """Return the artifact, calling `build(path)` to write it if it is not there.

        `build` gets a path that does not exist and makes a file or a folder there. Builds of
        different artifacts must not nest: locks are striped by key.

        A file that is not `final` holds what could be made so far: it is built again, once a call,
        and the new one, for which `build` may read the old, takes its place. Who waited for
        another's build takes what came of it.

        Raises:
            InputError: the disk is full, or may not be written. Nothing is left of the artifact.
        """
        place = self.path(kind, key, suffix)
        with explaining_disk(self.root):
            first = self._claim(kind, place.name)
        # What was not ours until now may be on its way out with its last owner: see `give_up`.
        if not first and self.is_sound(kind, key, suffix) and final(place):
            return Artifact(kind, key, place, reused=True)
        before = _identity(place)
        with explaining_disk(self.root), self._building(place.name):
            if self.is_sound(kind, key, suffix) and (final(place) or _identity(place) != before):
                return Artifact(kind, key, place, reused=True)
            if damaged := place.exists() and damage(place):
                _log.warning("%s is damaged (%s); it is made again", place, damaged)
                self.discard(place)
            with temporary_folder(self.root) as folder:
                whole = folder / place.name
                build(whole)
                _private(whole)
                private_folder(place.parent)
                _put(whole, place)
        return Artifact(kind, key, place, reused=False)

    def lock(self, name: str) -> FileLock:
        """A lock between processes that dies with its holder; a fixed, small number of names."""
        folder = private_folder(self.root / "locks")
        return FileLock(folder / f"{name}.lock")

    def claims(self, owner: str) -> dict[tuple[str, str], Path]:
        """What was asked for in a subject's name: (kind, file name) -> the file that says so."""
        found = (self.root / "owners" / owner).glob("*/*")
        return {(claim.parent.name, claim.name): claim for claim in found}

    def owners(self) -> list[str]:
        """The subjects in whose names anything was asked for."""
        return sorted(path.name for path in (self.root / "owners").glob("*"))

    def _building(self, name: str) -> FileLock:
        """The lock under which an artifact is made or given up."""
        return self.lock(f"build-{int(name[:8], 16) % _LOCK_STRIPES:02d}")

    def _claim(self, kind: str, name: str) -> bool:
        """Say in whose name it is asked for; whether that is news."""
        claim = self.root / "owners" / self.owner / kind / name
        if not self.owner or claim.exists():
            return False
        private_folder(claim.parent)
        claim.touch(mode=0o600)
        return True


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        stat = path.stat()
    except FileNotFoundError:
        return None
    return stat.st_ino, stat.st_mtime_ns


def _put(whole: Path, place: Path) -> None:
    """Rename what was built into its place, its digests beside it whenever they can be compared."""
    if not place.exists():
        write_listing(whole, place)
        whole.replace(place)
        return
    # Killed on the way, the old or the new file stands there without digests, not with the other's.
    remove(listing(place))
    whole.replace(place)
    write_listing(place, place)


def _private(path: Path) -> None:
    """Scores and weights speak about people: only their owner reads them."""
    path.chmod(0o700 if path.is_dir() else 0o600)
    for inner in path.rglob("*") if path.is_dir() else ():
        inner.chmod(0o700 if inner.is_dir() else 0o600)
