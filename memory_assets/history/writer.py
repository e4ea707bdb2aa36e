"""The writer's side: one process at a time on a file of its own, which heals itself.

What is about to be appended is written down first (`pending.jsonl`) and struck out when it is
published. A process killed anywhere in between leaves a note that the next one acts on.
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

from memory_assets.artifacts import ArtifactStore, private_folder
from memory_assets.errors import InputError
from memory_assets.history import files
from memory_assets.history.files import DamagedError, Files
from memory_assets.history.load import KINDS, Head, known, load, read_head
from memory_assets.history.schema import migrate, refuse_newer

_T = TypeVar("_T")
_WAIT_SECONDS = 600


@contextmanager
def database(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A file opened for writing; its errors come as `InputError` or `DamagedError`."""
    con = files.connect(path)
    try:
        with files.explaining(path):
            yield con
    finally:
        # Closing folds the log into the file; what fails here fails again at the next open.
        with suppress(duckdb.Error):
            con.close()


@dataclass(frozen=True)
class Writer:
    """The writer's file of one root. Every method but `alone` is called inside `alone`."""

    files: Files

    @contextmanager
    def alone(self) -> Iterator[None]:
        """One writer at a time among all processes; the lock dies with its holder."""
        with files.explaining_disk(self.files.root):
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
            raise self._beyond_repair(damage) from None

    @contextmanager
    def open(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """The writer's file, made or restored if it is missing, at this code's schema."""
        if not self.files.writer.exists():
            if self.files.published.exists():
                self._restore()
            else:
                with self.files.temporary() as new:
                    with database(new) as con:
                        migrate(con)
                    self.install(new)
        with database(self.files.writer) as con:
            if migrate(con):
                self.announce([])
            self._append_announced(con)
            yield con

    def announce(self, heads: Sequence[Head]) -> None:
        """Write down what is about to change, before it does."""
        self.files.pending.touch(mode=0o600)
        with self.files.pending.open("a", encoding="utf-8") as f:
            for head in heads:
                f.write(json.dumps({head.bundle_id: str(head.folder.absolute())}) + "\n")
        self.files.pending.chmod(0o600)
        files.sync(self.files.pending)

    def publish(self) -> None:
        """Copy the writer's file, read the copy through, and put it before the readers."""
        with self.open() as con:
            con.execute("CHECKPOINT")
        with self.files.temporary() as copy:
            files.copy_durably(self.files.writer, copy)
            files.check(copy)
            files.replace(copy, self.files.published)
        self.files.pending.unlink(missing_ok=True)

    def install(self, new: Path) -> None:
        """Make a closed database the writer's file, yet to be published."""
        self.announce([])
        files.sync(new)
        files.wal(self.files.writer).unlink(missing_ok=True)
        files.replace(new, self.files.writer)

    def sound_copy(self) -> Path | None:
        """A file that reads through: the writer's own, else the published one, else none.

        Raises:
            InputError: the file belongs to a newer version, or another program holds it.
        """
        for path in (self.files.writer, self.files.published):
            if not path.exists():
                continue
            with suppress(DamagedError):
                with database(path) as con:
                    refuse_newer(con)
                files.check(path)
                return path
        return None

    def _append_announced(self, con: duckdb.DuckDBPyConnection) -> None:
        """Append what a killed process had announced, or a restored file lacks."""
        announced: dict[str, str] = {}
        if self.files.pending.exists():
            for line in self.files.pending.read_text(encoding="utf-8").splitlines():
                # A torn last line was not yet acted on.
                with suppress(ValueError):
                    announced.update(json.loads(line))
        for kind in KINDS:
            heads = [
                Head(kind, bundle_id, Path(folder))
                for bundle_id, folder in announced.items()
                if (Path(folder) / f"{kind.head}.parquet").exists()
            ]
            there = known(con, kind, [head.bundle_id for head in heads])
            for head in heads:
                if head.bundle_id not in there:
                    # One that was refused when it was appended is refused again.
                    with suppress(InputError):
                        load(con, read_head(head.folder))

    def _restore(self) -> None:
        """Put the published copy in the place of a writer's file that is missing or damaged."""
        if not self.files.published.exists():
            raise self._beyond_repair(DamagedError("there is no published copy"))
        with self.files.temporary() as copy:
            files.copy_durably(self.files.published, copy)
            try:
                files.check(copy)
            except DamagedError as damage:
                raise self._beyond_repair(damage) from None
            self.install(copy)

    def _beyond_repair(self, damage: DamagedError) -> InputError:
        return InputError(
            f"the history under {self.files.root} is damaged ({damage}) and there is no sound "
            "copy; run `memory-assets history rebuild`, which makes it anew from the audits on disk"
        )
