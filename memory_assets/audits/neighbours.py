"""Which recorded audits the price of a version reads besides its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from memory_assets.history.questions import ask
from memory_assets.risk.evidence import INSUFFICIENT
from memory_assets.subjects import AuditedSubject

# The newest audit of every version, and whether it leaves the next release a prior: what
# `price_audit` asks of the evidence, here of all versions at once.
_NEWEST = """
    SELECT
        audit_id,
        model_version,
        verdict NOT IN ('', $insufficient) AND EXISTS (
            FROM measurements
            WHERE
                measurements.audit_id = audits.audit_id
                AND family = 'extraction' AND name = 'discoverable' AND metric = 'extraction_rate'
                AND k IS NOT NULL
                AND (stratum = 'all' OR starts_with(stratum, 'repetitions='))
        ) AS leaves_prior
    FROM audits
    WHERE subject = $subject
    QUALIFY row_number() OVER (PARTITION BY model_version ORDER BY finished_at DESC) = 1
"""


@dataclass(frozen=True)
class Beside:
    """The versions beside one: which was built by an option of the profile, and the one before."""

    mitigated: Mapping[str, str]
    earlier: str | None


def versions_beside(
    version: str, mitigations: Mapping[str, str], released: Sequence[str]
) -> Beside:
    """Whose audits the price of a version may use; `released` is all versions, oldest first."""
    mitigated = {option: other for option, other in mitigations.items() if other != version}
    before = released[: list(released).index(version)] if version in released else ()
    return Beside(mitigated, before[-1] if before else None)


def audits_beside(
    home: Path, subject: AuditedSubject, released: Sequence[str]
) -> dict[str, dict[str, str]]:
    """For each released version the ids of the recorded audits that its price reads, but its own.

    They are named by what they are to it: `option <name>`, or `release before`. A release that
    leaves no prior is not among them, nor is what was not recorded yet.

    Raises:
        InputError: the history cannot be read.
    """
    newest: dict[str, str] = {}
    priors: set[str] = set()
    if (home / "history.duckdb").is_file():
        parameters = {"subject": subject.subject, "insufficient": INSUFFICIENT}
        for row in ask(home, _NEWEST, parameters).to_pylist():
            newest[row["model_version"]] = row["audit_id"]
            if row["leaves_prior"]:
                priors.add(row["model_version"])
    found: dict[str, dict[str, str]] = {}
    for version in released:
        beside = versions_beside(version, subject.mitigations, released)
        found[version] = {
            f"option {option}": newest[other]
            for option, other in beside.mitigated.items()
            if other in newest
        }
        if beside.earlier in priors:
            found[version]["release before"] = newest[beside.earlier]
    return found
