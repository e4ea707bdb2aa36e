"""Forgetting a subject: its records and whatever was made of them go, its aggregated history stays.

Artifacts are found by content, so two subjects may share one: it goes with the last of them.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from memory_assets.history.files import Files
from memory_assets.history.load import BundleError
from memory_assets.history.questions import ask
from memory_assets.history.store import History
from memory_assets.store.artifacts import ArtifactStore
from memory_assets.store.disk import remove
from memory_assets.workflows.home import Home
from memory_assets.workflows.record import AUDIT_KIND, RISK_KIND
from memory_assets.workflows.shadows import BLOCK_KIND

_Place = tuple[str, str]
"""Kind and name of an artifact in the store."""

_SCORES = """
    select count(*) as n from record_scores inner join audits using (audit_id)
    where subject = $subject
"""
_AUDITS = "select count(*) as n from audits where subject = $subject"
_PLANNED = "select count(*) as n from subjects where subject = $subject"


@dataclass(frozen=True)
class Belongings:
    """What a home holds of a subject. `artifacts` are its alone, `shared` counts the others.

    `folders` are reports, references and what training left; `size` is in bytes; `record_scores`
    counts rows of the history that go, `audits` those that stay. `unreadable` may be the subject's:
    damaged audits and prices that nobody claimed, and files set aside beside the history.
    """

    artifacts: tuple[Path, ...]
    shared: int
    folders: tuple[Path, ...]
    size: int
    record_scores: int
    audits: int
    unreadable: tuple[Path, ...]
    known: bool


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


@dataclass(frozen=True)
class _Bundles:
    """Audits and prices of a subject by what they say themselves, claimed or not.

    `unreadable` are damaged heads of anybody's: they say nothing.
    """

    own: tuple[_Place, ...]
    unreadable: tuple[_Place, ...]


def _rows(head: Path, *columns: str) -> list[dict[str, str]]:
    """The rows of a bundle's head; none where it does not read."""
    try:
        return pq.read_table(head, columns=list(columns)).to_pylist()
    except (pa.ArrowException, KeyError, ValueError, OSError):
        return []


def _bundles(store: ArtifactStore, subject: str) -> _Bundles:
    ids: set[str] = set()
    own: list[_Place] = []
    unreadable: list[_Place] = []
    for head in sorted(store.path(AUDIT_KIND, "").glob("*/audits.parquet")):
        rows = _rows(head, "audit_id", "subject")
        if not rows:
            unreadable.append((AUDIT_KIND, head.parent.name))
        elif rows[0]["subject"] == subject:
            ids.add(rows[0]["audit_id"])
            own.append((AUDIT_KIND, head.parent.name))
    for head in sorted(store.path(RISK_KIND, "").glob("*/risk_runs.parquet")):
        rows = _rows(head, "audit_id")
        if not rows:
            unreadable.append((RISK_KIND, head.parent.name))
        elif ids & {row["audit_id"] for row in rows}:
            own.append((RISK_KIND, head.parent.name))
    return _Bundles(tuple(own), tuple(unreadable))


def belongings(home: Home, subject: str) -> Belongings:
    """Find what a home holds of a subject.

    Raises:
        InputError: the history cannot be read.
    """
    root, store = home.root, home.store
    bundles = _bundles(store, subject)
    own = {*store.claims(subject), *bundles.own}
    others = {claim for name in store.owners() if name != subject for claim in store.claims(name)}
    artifacts = [store.path(kind, name) for kind, name in sorted(own - others)]
    scratch = [root / "commands" / n[:16] for kind, n in own - others if kind == BLOCK_KIND]
    folders = [
        root / "reports" / subject,
        root / "references" / "assets" / subject,
        *sorted(scratch),
        root / "owners" / subject,  # the last to go: it says what there was
    ]
    counted = {"scores": 0, "audits": 0, "planned": 0}
    if home.has_history:
        with home.asked_together():
            for name, sql in (("scores", _SCORES), ("audits", _AUDITS), ("planned", _PLANNED)):
                counted[name] = ask(root, sql, {"subject": subject})["n"].to_pylist()[0]
    whole = tuple(path for path in artifacts if path.exists())
    there = tuple(folder for folder in folders if folder.exists())
    return Belongings(
        artifacts=whole,
        shared=len(own & others),
        folders=there,
        size=sum(map(_size, (*whole, *there))),
        record_scores=counted["scores"],
        audits=counted["audits"],
        unreadable=(
            *(store.path(*one) for one in bundles.unreadable if one not in own | others),
            *Files(root).kept_aside(),
        ),
        known=bool(own or counted["audits"] or counted["planned"]),
    )


def _record(history: History, folders: list[Path]) -> None:
    try:
        history.append_all(folders)
    except BundleError:  # what is damaged cannot be recorded any more; the others can
        for folder in folders:
            with suppress(BundleError):
                history.append_all([folder])


def purge_home(home: Home, subject: str) -> Belongings:
    """Delete a subject's records and artifacts; what was counted and measured of it stays.

    An audit that was concluded and not recorded yet is recorded first, unless it is damaged.
    Stopped in the middle, the next call finishes.

    Raises:
        InputError: the history cannot be read or written.
    """
    store = home.store_of(subject)
    if named := [store.path(*one) for one in _bundles(store, subject).own]:
        _record(home.history, named)
    found = belongings(home, subject)
    if found.record_scores:
        home.history.forget_records(subject)
    given_up = tuple(p for p in found.artifacts if store.give_up(p.parent.name, p.name))
    for path in found.folders:
        remove(path)
    kept = len(found.artifacts) - len(given_up)
    return replace(found, artifacts=given_up, shared=found.shared + kept)
