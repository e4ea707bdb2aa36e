"""The writer's side: one process at a time on a file of its own, which heals itself.

Every change is made on a copy. When that has been closed, opened again, counted and flushed it
takes the place of the old file, at once: what fails before that moment never happened. Appended
audits wait in the writer's file for `publish`; they are noted first (`pending.jsonl`), so that a
writer's file which is lost is made again from the published one. All other changes are published
as they are made.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import duckdb
from filelock import Timeout

from memory_assets.errors import InputError
from memory_assets.history import files
from memory_assets.history.files import DamagedError, Files
from memory_assets.history.importing import lacking
from memory_assets.history.load import KINDS, BundleError, Head, known, load, read_head
from memory_assets.history.schema import is_current, is_older, migrate, refuse_newer
from memory_assets.store.artifacts import ArtifactStore
from memory_assets.store.disk import explaining_disk, private_folder, write_private

_T = TypeVar("_T")
_WAIT_SECONDS = 600


@contextmanager
def database(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A new file, opened for writing; closed, whole and on the disk when this ends.

    Raises:
        InputError: the disk is full or failed, now or as the file was closed.
        DamagedError: what the file was copied from does not read.
    """
    con = files.connect(path)
    try:
        with files.explaining(path):
            yield con
            # Closing would do the same and keep an error to itself.
            con.execute("CHECKPOINT")
            held = files.counts(con)
            con.close()
    except BaseException:
        with suppress(duckdb.Error):  # the first error is the one to report
            con.close()
        raise
    files.verify(path, held)


@dataclass(frozen=True)
class Writer:
    """The writer's file of one root. Every method but `alone` is called inside `alone`."""

    files: Files

    @contextmanager
    def alone(self) -> Iterator[None]:
        """One writer at a time among all processes; the lock dies with its holder."""
        with explaining_disk(self.files.root):
            private_folder(self.files.writer.parent)
            lock = ArtifactStore(self.files.root).lock("history")
            try:
                with lock.acquire(timeout=_WAIT_SECONDS):
                    yield
            except Timeout:
                raise InputError(
                    f"another process has held {lock.lock_file} for {_WAIT_SECONDS} s; "
                    "see what it is doing, then run again"
                ) from None

    def healing(self, work: Callable[[], _T]) -> _T:
        """Run `work`; if a file turns out damaged, restore it and run it once more."""
        try:
            return work()
        except DamagedError:
            self._restore()
        try:
            return work()
        except DamagedError as damage:
            raise self.no_sound_copy(damage) from None

    def complete(self) -> None:
        """Bring the writer's file to this code's schema, with all that was announced in it.

        One that is missing is made from the published file, or empty. What an older version wrote
        is kept beside it before it is migrated.
        """
        base = self.files.writer if self.files.writer.exists() else self.files.published
        announced = self.announced()
        if base.exists():
            with files.reading(base) as con:
                if base == self.files.writer and is_current(con) and not _lacking(con, announced):
                    return
                older = is_older(con)
            if older:
                published = self.files.published
                files.keep_before_upgrade(published if published.exists() else base)
        with self.files.temporary() as new:
            if base.exists():
                files.copy(base, new)
            with database(new) as con:
                migrate(con)
                for head in _lacking(con, announced):
                    # One that was refused when it was appended is refused again.
                    with suppress(BundleError):
                        load(con, read_head(head.folder))
            self.announce([])
            self.install(new)

    @contextmanager
    def draft(self) -> Iterator[Path]:
        """A copy of the complete writer's file, to be changed; removed unless it was moved."""
        self.complete()
        with self.files.temporary() as new:
            files.copy(self.files.writer, new)
            yield new

    def announce(self, heads: Sequence[Head]) -> None:
        """Write down what the writer's file is about to hold and the published does not, or none.

        The file is there while anything is to be published.
        """
        before = self._pending()
        lines = [json.dumps({head.bundle_id: str(head.folder.absolute())}) for head in heads]
        after = "".join(f"{line}\n" for line in (*before, *lines))
        files.sync(write_private(self.files.pending, after))

    def announced(self) -> list[Head]:
        """What was appended and not published, of folders that are still there; audits first."""
        found: dict[str, str] = {}
        for line in self._pending():
            # A line that is torn or none of ours says nothing.
            with suppress(ValueError, TypeError, AttributeError):
                found.update({str(one): str(folder) for one, folder in json.loads(line).items()})
        return [
            Head(kind, bundle_id, Path(folder))
            for kind in KINDS
            for bundle_id, folder in found.items()
            if (Path(folder) / f"{kind.head}.parquet").exists()
        ]

    def _pending(self) -> list[str]:
        if not self.files.pending.exists():
            return []
        return self.files.pending.read_text("utf-8", errors="replace").splitlines()

    def publish(self) -> None:
        """Put a copy of the writer's file, read through, before the readers."""
        with self.draft() as copy:
            files.check(copy)
            self._refuse_loss(copy)
            files.replace(copy, self.files.published)
        self.files.pending.unlink(missing_ok=True)

    def install(self, new: Path) -> None:
        """Make a closed database the writer's file, yet to be published."""
        files.replace(new, self.files.writer)

    def put_forward(self, new: Path, beyond_repair: bool = False) -> None:
        """Make a closed database the published file and the writer's, or change nothing.

        It must hold all that is published, unless no old file reads through (`beyond_repair`).
        The writer's old file goes first: killed here, the next one makes it of the published file,
        the old or the new one, and of what was announced.
        """
        files.check(new)
        if not beyond_repair:
            self._refuse_loss(new)
            self._keep_one_sound()
        files.set_logs_aside(self.files.writer)
        self.files.writer.unlink(missing_ok=True)
        files.sync(self.files.writer.parent)
        files.replace(new, self.files.published)
        self.files.pending.unlink(missing_ok=True)
        # Done. A second file guards against damage to the first; who finds none makes it.
        with suppress(OSError, InputError, DamagedError):
            self._restore()

    def _keep_one_sound(self) -> None:
        """Publish the writer's old file, about to go, where no published one could replace it."""
        if not self.files.writer.exists():
            return
        if self.files.published.exists():
            with suppress(DamagedError):
                files.check(self.files.published)
                return
        with self.files.temporary() as old:
            files.copy(self.files.writer, old)
            files.replace(old, self.files.published)

    def damaged(self) -> list[Path]:
        """Those of the two files that do not read through, or that lack what the other published.

        Raises:
            InputError: a file belongs to a newer version, or another program holds it.
        """
        found = []
        for path in (self.files.published, self.files.writer):
            try:
                if path.exists():
                    with files.reading(path) as con:
                        refuse_newer(con)
                    files.check(path)
                    self._refuse_loss(path)
            except DamagedError:
                found.append(path)
        return found

    def _refuse_loss(self, new: Path) -> None:
        """Raise DamagedError when a file lacks what is published."""
        if not self.files.published.exists():
            return
        try:
            less = lacking(new, self.files.published)
        except DamagedError:  # the published file: there is nothing to hold the new one against
            return
        if less:
            raise DamagedError(f"it lacks what {self.files.published} holds: {less}")

    def _restore(self) -> None:
        """Put the published copy in the place of a writer's file that is missing or damaged."""
        if not self.files.published.exists():
            raise self.no_sound_copy(DamagedError("there is no published copy"))
        with self.files.temporary() as new:
            try:
                files.copy(self.files.published, new)
                files.check(new)
            except DamagedError as damage:
                raise self.no_sound_copy(damage) from None
            self.install(new)

    def no_sound_copy(self, damage: DamagedError) -> InputError:
        return InputError(
            f"the history under {self.files.root} is damaged ({damage}) and there is no sound "
            "copy; run `memory-assets history rebuild`, which makes it anew from the audits on disk"
        )


def _lacking(con: duckdb.DuckDBPyConnection, heads: Sequence[Head]) -> list[Head]:
    """Those of the bundles that a database does not hold."""
    there = {
        bundle_id
        for kind in KINDS
        for bundle_id in known(con, kind, [h.bundle_id for h in heads if h.kind is kind])
    }
    return [head for head in heads if head.bundle_id not in there]
