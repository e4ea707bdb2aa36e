"""The records of a classifier's audit, and the audit set that is drawn from them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from memory_assets.config.classifier import ClassifierSubject
from memory_assets.records.loading import load_records
from memory_assets.records.members import load_members
from memory_assets.records.pairing import draw_pairing
from memory_assets.records.prepared import Prepared
from memory_assets.records.settings import ROW_NUMBER
from memory_assets.results.formulas import LABELS, PAIRING, Step
from memory_assets.store.artifacts import Artifact, ArtifactStore
from memory_assets.store.digest import digest

RECORDS = Step("records", (PAIRING, LABELS))


@dataclass(frozen=True)
class Records:
    """The audit set as an artifact that `Prepared.load` reads, and what is to be said of it.

    `notices` says in one line each what was taken or left out by a rule.
    """

    artifact: Artifact
    notices: tuple[str, ...]


@RECORDS.at_work()
def _read(subject: ClassifierSubject, root: Path) -> tuple[Prepared, tuple[str, ...]]:
    spec = subject.records
    data = load_records(spec, root)
    members = load_members(root / spec.members, data, None if spec.id == ROW_NUMBER else spec.id)
    pairing = draw_pairing(data, members.mask, seed=subject.pool.seed, pairs=subject.pool.pairs)
    prepared = Prepared(data, members.mask, pairing)
    return prepared, (*data.notices, *members.notices, *_copies(prepared))


def records_now(subject: ClassifierSubject, root: Path) -> Prepared:
    """The records and members as they are now, and the audit set that is drawn from them.

    Raises:
        InputError: records or members that cannot be read, or of which no audit set can be drawn.
    """
    return _read(subject, root)[0]


def prepare_records(subject: ClassifierSubject, root: Path, store: ArtifactStore) -> Artifact:
    """The records and their audit set in the store: a folder that `Prepared.load` reads.

    Raises:
        InputError: as `records_now`.
    """
    return read_records(subject, root, store).artifact


def read_records(subject: ClassifierSubject, root: Path, store: ArtifactStore) -> Records:
    """`prepare_records`, with what was taken or left out by a rule on the way.

    Raises:
        InputError: as `records_now`.
    """
    prepared, notices = _read(subject, root)
    return Records(store.get_or_build("records", prepared.key, prepared.save), notices)


def _copies(prepared: Prepared) -> list[str]:
    """One line about the non-members that repeat another record; none where there are none."""
    dropped, others = prepared.pairing.dropped, int((~prepared.members).sum())
    if not dropped:
        return []
    return [
        f"{prepared.data.source}: {dropped} of {others} non-members repeat a member or one another "
        "in every value and the label, and were left out"
    ]


def records_version(subject: ClassifierSubject) -> str:
    """Formula version of the audit set, and what the owner says of the records."""
    spec = digest(subject.records.model_dump(), subject.pool.pairs, subject.pool.seed)
    return f"{RECORDS.code_version()}.{spec[:8]}"
