"""The records of a classifier's audit, and the audit set that is drawn from them."""

from __future__ import annotations

from pathlib import Path

from memory_assets.artifacts import Artifact, ArtifactStore
from memory_assets.digest import digest
from memory_assets.records.loading import load_records
from memory_assets.records.pairing import FORMULA_VERSION, draw_pairing, read_members
from memory_assets.records.prepared import Prepared
from memory_assets.subjects import ClassifierSubject

RECORDS_VERSION = f"{FORMULA_VERSION}.2"
"""Of the audit set, and of how labels are read: since 2 by value, however they are stored."""


def prepare_records(subject: ClassifierSubject, root: Path, store: ArtifactStore) -> Artifact:
    """Load the records and members, draw the audit set: a folder that `Prepared.load` reads."""
    data = load_records(subject.records, root)
    members = read_members(root / subject.records.members, data)
    pairing = draw_pairing(data, members, seed=subject.pool.seed, pairs=subject.pool.pairs)
    prepared = Prepared(data, members, pairing)
    return store.get_or_build("records", prepared.key, prepared.save)


def records_version(subject: ClassifierSubject) -> str:
    """Formula version of the audit set, and what the owner says of the records."""
    spec = digest(subject.records.model_dump(), subject.pool.pairs, subject.pool.seed)
    return f"{RECORDS_VERSION}.{spec[:8]}"
