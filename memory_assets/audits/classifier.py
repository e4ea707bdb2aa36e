"""The records of a classifier's audit, and the audit set that is drawn from them."""

from __future__ import annotations

from pathlib import Path

from memory_assets.artifacts import Artifact, ArtifactStore
from memory_assets.digest import digest
from memory_assets.formulas import LABELS, PAIRING, Step
from memory_assets.records.loading import load_records
from memory_assets.records.pairing import draw_pairing, read_members
from memory_assets.records.prepared import Prepared
from memory_assets.subjects import ClassifierSubject

RECORDS = Step("records", (PAIRING, LABELS))


@RECORDS.at_work()
def records_now(subject: ClassifierSubject, root: Path) -> Prepared:
    """The records and members as they are now, and the audit set that is drawn from them.

    Raises:
        InputError: records or members that cannot be read, or of which no audit set can be drawn.
    """
    data = load_records(subject.records, root)
    members = read_members(root / subject.records.members, data)
    pairing = draw_pairing(data, members, seed=subject.pool.seed, pairs=subject.pool.pairs)
    return Prepared(data, members, pairing)


def prepare_records(subject: ClassifierSubject, root: Path, store: ArtifactStore) -> Artifact:
    """The records and their audit set in the store: a folder that `Prepared.load` reads.

    Raises:
        InputError: as `records_now`.
    """
    prepared = records_now(subject, root)
    return store.get_or_build("records", prepared.key, prepared.save)


def records_version(subject: ClassifierSubject) -> str:
    """Formula version of the audit set, and what the owner says of the records."""
    spec = digest(subject.records.model_dump(), subject.pool.pairs, subject.pool.seed)
    return f"{RECORDS.code_version()}.{spec[:8]}"
