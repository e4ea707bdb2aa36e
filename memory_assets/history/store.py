"""The history: audits appended whole, once each, and published for any reader at any time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Literal, TypeVar

import duckdb

from memory_assets.errors import InputError
from memory_assets.history import files
from memory_assets.history.files import Files
from memory_assets.history.importing import take_over
from memory_assets.history.in_force import not_in_force, put_in_force
from memory_assets.history.load import (
    KINDS,
    Head,
    known,
    load,
    read_head,
)
from memory_assets.history.rebuilding import Rebuilt, describe_loss, load_whole, read_heads
from memory_assets.history.schema import is_current, is_older, migrate
from memory_assets.history.writer import Writer, database
from memory_assets.store.digest import digest
from memory_assets.store.disk import write_private

_T = TypeVar("_T")
_SAME_RUN = timedelta(days=1)
# A time that is yet to come was told by a clock that was wrong.
_LAST_RUN = """
    SELECT count(*) > 0, max(told) FILTER (WHERE told <= now())
    FROM (
        SELECT finished_at AS told FROM audits WHERE audit_id = $audit_id
        UNION ALL SELECT confirmed_at FROM confirmations WHERE audit_id = $audit_id
    )
"""


@dataclass(frozen=True)
class Action:
    """A corrective action or a sign-off as it stands after a change.

    `audit_id` is the audit that was seen: a sign-off counts for that one alone, whatever is
    audited later under the same name. Without it, for an audit that was there when it was given.
    """

    subject: str
    model_version: str
    kind: Literal["corrective action", "sign-off"]
    description: str
    owner: str
    status: Literal["open", "done", "rejected"] = "open"
    due_on: date | None = None
    audit_id: str | None = None


def _in_order(folders: Iterable[Path]) -> list[Head]:
    """Audits before what prices them, each once."""
    heads = {head.bundle_id: head for head in map(read_head, map(Path, folders))}
    return sorted(heads.values(), key=lambda head: KINDS.index(head.kind))


@dataclass(frozen=True)
class History:
    """Everything that was ever measured, under `<root>/history.duckdb`.

    The writer works on a file of its own, under a lock between processes. Readers open the
    published copy, which is only ever replaced whole: nobody waits for anybody.
    """

    root: Path

    @property
    def published(self) -> Path:
        """The file that readers open, read only."""
        return self._writer.files.published

    @property
    def _writer(self) -> Writer:
        return Writer(Files(self.root))

    def upgrade(self) -> None:
        """Bring a history that an older version wrote to the schema of this one, if there is any.

        A published file that does not open is published again.

        Raises:
            InputError: it was written by a newer version, or is damaged beyond repair.
        """
        if not self.published.exists():
            return
        try:
            with files.reading(self.published) as con:
                current = is_current(con)
        except files.DamagedError:
            self._publish_again()
        else:
            if not current:
                self._change(lambda con: None)  # noqa: ARG005 - the draft is migrated

    def _publish_again(self) -> None:
        writer = self._writer
        with writer.alone():
            try:
                writer.publish()
            except files.DamagedError as damage:
                raise writer.no_sound_copy(damage) from None

    def append(self, folder: Path) -> bool:
        """Append one bundle folder (an audit, or a risk calculation) in one transaction.

        True if it is new. Readers see it after `publish`.

        Raises:
            InputError: the bundle is not whole or breaks the schema, or the history cannot be
                written. Nothing of the bundle is stored then.
        """
        return self._append(_in_order([folder]), self._wait_for_publish) == 1

    def append_all(self, folders: Iterable[Path]) -> int:
        """Append every bundle and publish, or nothing of them; returns how many were new.

        Raises:
            InputError: as `append`.
        """
        new = self._append(_in_order(folders), lambda draft, _: self._writer.put_forward(draft))
        self.publish()  # what was appended before
        return new

    def _wait_for_publish(self, draft: Path, new: Sequence[Head]) -> None:
        self._writer.announce(new)
        self._writer.install(draft)

    def _append(self, heads: Sequence[Head], then: Callable[[Path, Sequence[Head]], None]) -> int:
        """Append to a draft what is new, and do `then` with it; returns how many were new."""
        writer = self._writer

        def work() -> int:
            writer.complete()
            with files.reading(writer.files.writer) as con:
                ids = [head.bundle_id for head in heads]
                there = set().union(*(known(con, kind, ids) for kind in KINDS))
            new = [head for head in heads if head.bundle_id not in there]
            if not new:
                return 0
            with writer.draft() as draft:
                with database(draft) as con:
                    added = sum(load(con, head) for head in new)
                then(draft, new)
            return added

        if not heads:
            return 0
        with writer.alone():
            return writer.healing(work)

    def publish(self) -> bool:
        """Put all that was appended before the readers; False if they have it already.

        Raises:
            InputError: the history cannot be written, or is damaged beyond repair.
        """
        writer = self._writer
        with writer.alone():
            if self.published.exists() and not writer.files.pending.exists():
                return False
            writer.healing(writer.publish)
        return True

    def register_subject(
        self, subject: str, owner: str, cadence_days: int, versions: Sequence[str] = ()
    ) -> bool:
        """Put a subject under the audit plan and publish; True if anything changed.

        `versions` is the order of release, oldest first. Versions that are known and not listed
        (their checkpoints are gone) stay, before the listed ones.
        """
        if cadence_days < 1:
            raise InputError(f"cadence of {subject}: expected 1 day or more, got {cadence_days}")

        row = (subject, owner, cadence_days)

        def orders(con: duckdb.DuckDBPyConnection) -> tuple[list[str], list[str]]:
            query = "SELECT model_version FROM version_order WHERE subject = ? ORDER BY position"
            order = [version for (version,) in con.execute(query, [subject]).fetchall()]
            return order, [v for v in order if v not in versions] + list(dict.fromkeys(versions))

        def is_news(con: duckdb.DuckDBPyConnection) -> bool:
            held = con.execute("SELECT * FROM subjects WHERE subject = ?", [subject]).fetchone()
            order, wanted = orders(con)
            return held != row or (bool(versions) and order != wanted)

        def work(con: duckdb.DuckDBPyConnection) -> None:
            con.execute("INSERT OR REPLACE INTO subjects VALUES (?, ?, ?)", row)
            for position, version in enumerate(orders(con)[1] if versions else (), start=1):
                con.execute(
                    "INSERT OR REPLACE INTO version_order VALUES (?, ?, ?)",
                    [subject, version, position],
                )

        return self._change_if(is_news, work)

    def confirm(self, runs: Mapping[str, datetime]) -> bool:
        """Say when audits were last run again with the same result; True if that was news.

        `runs` maps audit ids to times. A run within a day of what is known adds nothing, nor does
        an audit that the history does not hold.
        """

        def news(con: duckdb.DuckDBPyConnection) -> list[tuple[str, datetime]]:
            found = []
            for audit_id, at in runs.items():
                row = con.execute(_LAST_RUN, {"audit_id": audit_id}).fetchone()
                if row and row[0] and (row[1] is None or at - row[1] > _SAME_RUN):
                    found.append((audit_id, at))
            return found

        def work(con: duckdb.DuckDBPyConnection) -> None:
            for audit_id, at in news(con):
                con.execute("INSERT INTO confirmations VALUES (?, ?)", [audit_id, at])

        return self._change_if(lambda con: bool(news(con)), work)

    def put_in_force(self, last: Mapping[str, datetime]) -> bool:
        """Say which audits and risk calculations were asked for last; True if that was news.

        `last` maps their ids to times, which only inform: what is said is that from now on these
        are in force. One that is so already adds nothing, nor does one that the history does not
        hold.
        """

        def work(con: duckdb.DuckDBPyConnection) -> None:
            for bundle_id in not_in_force(con, list(last)):
                put_in_force(con, bundle_id, last[bundle_id])

        return self._change_if(lambda con: bool(not_in_force(con, list(last))), work)

    def record_action(self, action: Action, recorded_by: str, action_id: str = "") -> str:
        """Add a corrective action or sign-off, or a new revision of one; returns its id.

        Raises:
            InputError: `action_id` is given and unknown.
        """

        def work(con: duckdb.DuckDBPyConnection) -> str:
            now = datetime.now(UTC)
            last = con.execute(
                "SELECT max(revision) FROM actions WHERE action_id = ?", [action_id]
            ).fetchone()
            revision = last[0] if last else None
            if action_id and revision is None:
                raise InputError(f"no action {action_id}; `memory-assets query open_actions`")
            new_id = action_id or digest(repr(action), recorded_by, now.isoformat())[:12]
            con.execute(
                "INSERT INTO actions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    new_id,
                    (revision or 0) + 1,
                    action.subject,
                    action.model_version,
                    action.kind,
                    action.description,
                    action.owner,
                    action.status,
                    action.due_on,
                    now,
                    recorded_by,
                    action.audit_id,
                ],
            )
            return new_id

        return self._change(work)

    def record_outcome(
        self, risk_id: str, option: str, event: str, occurred: bool, recorded_by: str
    ) -> None:
        """Say what became of a forecast; saying it again replaces what was said.

        Raises:
            InputError: there is no such forecast.
        """

        def work(con: duckdb.DuckDBPyConnection) -> None:
            key = [risk_id, option, event]
            found = con.execute(
                "SELECT 1 FROM forecasts WHERE (risk_id, option, event) = (?, ?, ?)", key
            ).fetchone()
            if not found:
                raise InputError(f"no forecast of {event!r} for {option!r} in {risk_id!r}")
            con.execute(
                "INSERT OR REPLACE INTO outcomes VALUES (?, ?, ?, ?, ?, ?)",
                [*key, occurred, datetime.now(UTC), recorded_by],
            )

        self._change(work)

    def _change(self, work: Callable[[duckdb.DuckDBPyConnection], _T]) -> _T:
        """Run one transaction on a copy, and publish it: what fails has no effect, now or later."""
        with self._writer.alone():
            return self._change_alone(work)

    def _change_alone(self, work: Callable[[duckdb.DuckDBPyConnection], _T]) -> _T:
        writer = self._writer

        def change() -> _T:
            with writer.draft() as draft:
                with database(draft) as con:
                    con.execute("BEGIN")
                    result = work(con)
                    con.execute("COMMIT")
                writer.put_forward(draft)
            return result

        return writer.healing(change)

    def _change_if(
        self,
        is_news: Callable[[duckdb.DuckDBPyConnection], bool],
        work: Callable[[duckdb.DuckDBPyConnection], None],
    ) -> bool:
        """Make a change where there is one to make; True if so. What is known costs no copy."""
        writer = self._writer

        def asked() -> bool:
            writer.complete()
            with files.reading(writer.files.writer) as con:
                return is_news(con)

        with writer.alone():
            if not writer.healing(asked):
                if writer.files.pending.exists():
                    writer.healing(writer.publish)
                return False
            self._change_alone(work)
        return True

    def rebuild(self, folders: Iterable[Path]) -> Rebuilt:
        """Make the database anew from bundle folders and publish it; the content is the same.

        What only the old file holds (the audit plan, actions, outcomes, audits whose folders are
        gone) is taken over from it or from its published copy, whichever reads. What is damaged is
        left out and named; so is what prices an audit that is nowhere any more. A damaged database
        that is replaced is kept beside, under a name that says so. Where there was a history and no
        file of it reads, `loss` says from then on what that means.

        Raises:
            InputError: the new file cannot be written whole; the old ones are untouched.
        """
        writer = self._writer
        was_there = writer.files.writer.parent.exists()
        with writer.alone():
            unread = writer.damaged()
            there = [p for p in (writer.files.writer, writer.files.published) if p.exists()]
            old = next((path for path in there if path not in unread), None)
            announced = [head.folder for head in writer.announced()]
            heads, damaged = read_heads([*map(Path, folders), *announced])
            with writer.files.temporary() as new:
                with database(new) as con:
                    migrate(con)
                    appended, waiting = load_whole(con, heads, damaged)
                    kept = self._take_over(con, old) if old else 0
                    # Of a damaged audit, the old file may have kept what they price.
                    more, lost = load_whole(con, waiting, damaged)
                damaged += [head.folder for head in lost]
                aside = [files.keep_damaged(path) for path in unread]
                loss = describe_loss(aside, damaged) if was_there and not old else ""
                with self._noting(loss):
                    self._put_rebuilt(new, beyond_repair=not old)
        return Rebuilt(appended + more, kept, tuple(sorted(set(damaged))))

    def _take_over(self, con: duckdb.DuckDBPyConnection, old: Path) -> int:
        """Copy what only the old file holds; one of an older version is migrated first."""
        with files.reading(old) as reader:
            older = is_older(reader)
        if not older:
            return take_over(con, old)
        files.keep_before_upgrade(old)
        with self._writer.files.temporary() as migrated:
            files.copy(old, migrated)
            with database(migrated) as other:
                migrate(other)
            return take_over(con, migrated)

    def _put_rebuilt(self, new: Path, beyond_repair: bool) -> None:
        try:
            self._writer.put_forward(new, beyond_repair)
        except files.DamagedError as damage:
            raise InputError(
                f"the history was not rebuilt: what was written does not hold what it must "
                f"({damage}); see whether the disk of {self.root} is broken, and run again"
            ) from None

    @contextmanager
    def _noting(self, loss: str) -> Iterator[None]:
        """Note a loss before it happens; struck out if it does not."""
        note = self._writer.files.lost
        if not loss or note.exists():
            yield
            return
        write_private(note, loss + "\n")
        try:
            yield
        except BaseException:
            note.unlink()
            raise

    def loss(self) -> str:
        """What a rebuild could not bring back and nobody has accepted yet; empty: nothing."""
        note = self._writer.files.lost
        return note.read_text(encoding="utf-8").strip() if note.exists() else ""

    def accept_loss(self) -> None:
        """Go on without what a rebuild could not bring back."""
        self._writer.files.lost.unlink(missing_ok=True)

    def forget_records(self, subject: str) -> None:
        """Remove every record score of a subject, from the disk too, and publish.

        Its audits, measurements and controls stay. The file is written anew: deleted rows would
        stay readable in the free blocks of the old one.

        Raises:
            InputError: the new file cannot be written whole; the old one is untouched.
        """
        writer = self._writer

        def work() -> None:
            writer.complete()
            with writer.files.temporary() as new:
                with database(new) as con:
                    migrate(con)
                    take_over(con, writer.files.writer, without_records_of=subject)
                writer.put_forward(new)

        with writer.alone():
            writer.healing(work)
