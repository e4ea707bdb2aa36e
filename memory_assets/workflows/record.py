"""Every concluded audit goes into the history, once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from memory_assets.config.classifier import AuditedSubject
from memory_assets.history.questions import ask
from memory_assets.results.formulas import RISK, Step
from memory_assets.store.artifacts import ArtifactStore
from memory_assets.store.digest import digest
from memory_assets.workflows.home import Home

AUDIT_KIND = "audit"
RISK_KIND = "risk"
PRICING = Step(RISK_KIND, (RISK,))
"""How an audit is priced; it stands here because the graph reads it and does not price."""
_SOONER = """
    select min(round(value * 365)) as days from latest_risk
    inner join latest using (audit_id)
    where subject = $subject and quantity = 'audit_every'
"""

_IN_FORCE = """
    select audit_id as bundle_id from audits_in_force
    union select risk_id from latest_risk
    order by bundle_id
"""


@dataclass(frozen=True)
class Recorded:
    """What the history holds after a recording.

    `added` and `audits` count audits; what prices them is not counted.
    """

    added: int
    audits: int
    path: Path


def record_audits(
    home: Home, subjects: Iterable[AuditedSubject], versions: Mapping[str, Sequence[str]]
) -> Recorded:
    """Append every audit and price of the store that the history does not hold, and publish.

    `versions` maps a subject to its versions in order of release, oldest first. The store and not
    the caller says what there is to append: an audit whose process was killed before it was
    recorded is recorded by the next call.

    Raises:
        InputError: the history cannot be written, or a bundle is not whole.
    """
    before, held = 0, set()
    if home.has_history:
        with home.asked_together():
            before, held = _audit_count(home), set(_held(home))
    # A bundle's folder has its id for a name, so what is held is not read again.
    home.history.append_all(folder for folder in bundles(home.store) if folder.name not in held)
    with home.asked_together():
        cadences = [(subject, cadence_in_force(home, subject)) for subject in subjects]
        audits = _audit_count(home)
    for subject, cadence in cadences:
        known = versions.get(subject.subject, ())
        home.history.register_subject(subject.subject, subject.owner, cadence, known)
    return Recorded(audits - before, audits, home.history.published)


def recorded_version(home: Home) -> str:
    """Digest of the ids of all that the history holds, and of what of it is in force."""
    with home.asked_together():
        return digest(_held(home), ask(home.root, _IN_FORCE)["bundle_id"].to_pylist())


def cadence_in_force(home: Home, subject: AuditedSubject) -> int:
    """Days until the next audit: the owner's cadence, or the audit plan's where that is sooner.

    The plan is that of the newest release; without a history there is none.

    Raises:
        InputError: the history cannot be read.
    """
    if not home.has_history:
        return subject.cadence_days
    planned = ask(home.root, _SOONER, {"subject": subject.subject})["days"].to_pylist()[0]
    days = subject.cadence_days if planned is None else min(subject.cadence_days, planned)
    return max(1, int(days))


def bundles(store: ArtifactStore) -> list[Path]:
    """The folders of the store that a history is made of: audits, and what was priced of them."""
    # An audit that could not be priced leaves a report without rows.
    heads = store.path(RISK_KIND, "").glob("*/risk_runs.parquet")
    audits = store.path(AUDIT_KIND, "").glob("*")
    return [*sorted(audits), *sorted(head.parent for head in heads)]


def _held(home: Home) -> list[str]:
    ids = ask(home.root, "select distinct bundle_id from contents order by bundle_id")
    return ids["bundle_id"].to_pylist()


def _audit_count(home: Home) -> int:
    return ask(home.root, "select count(*) as n from audits")["n"].to_pylist()[0]
