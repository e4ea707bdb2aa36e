"""Every concluded audit goes into the history, once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from memory_assets.artifacts import ArtifactStore
from memory_assets.digest import digest
from memory_assets.history.questions import ask
from memory_assets.history.store import History
from memory_assets.subjects import ClassifierSubject

AUDIT_KIND = "audit"


@dataclass(frozen=True)
class Recorded:
    """What the history holds after a recording; `version` digests the ids of all its audits."""

    added: int
    audits: int
    version: str
    path: Path


def record_audits(
    root: Path, subjects: Iterable[ClassifierSubject], versions: Mapping[str, Sequence[str]]
) -> Recorded:
    """Append every audit of the store that the history does not hold, and publish.

    `versions` maps a subject to its versions in order of release, oldest first. The store and not
    the caller says what there is to append: an audit whose process was killed before it was
    recorded is recorded by the next call.

    Raises:
        InputError: the history cannot be written, or a bundle is not whole.
    """
    history = History(root)
    for subject in subjects:
        known = versions.get(subject.subject, ())
        history.register_subject(subject.subject, subject.owner, subject.cadence_days, known)
    folders = sorted(ArtifactStore(root).path(AUDIT_KIND, "").glob("*"))
    added = history.append_all(folders)
    ids = ask(root, "select audit_id from audits order by audit_id")["audit_id"].to_pylist()
    return Recorded(added, len(ids), digest(ids), history.published)
