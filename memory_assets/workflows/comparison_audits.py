"""Which recorded audits the price of a version reads besides its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from memory_assets.config.classifier import AuditedSubject
from memory_assets.history.questions import ask
from memory_assets.risk.evidence import INSUFFICIENT
from memory_assets.workflows.home import Home

# The audit in force of every version; one without a verdict leaves the next release no prior.
_IN_FORCE = """
    SELECT audit_id, model_version, verdict NOT IN ('', $insufficient) AS leaves_prior
    FROM audits_in_force
    WHERE subject = $subject
"""


_LEARNED_FROM = 12
"""Releases that a price learns from at most. Each is discounted once more: at the shipped half,
the twelfth weighs a four-thousandth of what it counted."""


@dataclass(frozen=True)
class Beside:
    """The versions beside one: which was built by an option of the profile, and which were
    released before it, oldest first."""

    mitigated: Mapping[str, str]
    earlier: Sequence[str]


def versions_beside(
    version: str, mitigations: Mapping[str, str], released: Sequence[str]
) -> Beside:
    """Whose audits the price of a version may use; `released` is all versions, oldest first.

    A version that speaks for an option is no earlier release: its counts would enter twice, as the
    option's own and in what the option's counts are added to.
    """
    mitigated = {option: other for option, other in mitigations.items() if other != version}
    before = released[: list(released).index(version)] if version in released else ()
    earlier = [other for other in before if other not in mitigations.values()]
    return Beside(mitigated, earlier[-_LEARNED_FROM:])


def audits_beside(
    home: Home, subject: AuditedSubject, released: Sequence[str]
) -> dict[str, dict[str, str]]:
    """For each released version the ids of the recorded audits that call for its price again.

    They are named by what they are to it: `option <name>`, or `release before`, the last one that
    leaves a prior. Of those before that one the price reads too, but at a discount of a discount:
    if they called as well, one new audit would price a dozen versions again.

    Raises:
        InputError: the history cannot be read.
    """
    in_force: dict[str, str] = {}
    priors: set[str] = set()
    if home.has_history:
        parameters = {"subject": subject.subject, "insufficient": INSUFFICIENT}
        for row in ask(home.root, _IN_FORCE, parameters).to_pylist():
            in_force[row["model_version"]] = row["audit_id"]
            if row["leaves_prior"]:
                priors.add(row["model_version"])
    found: dict[str, dict[str, str]] = {}
    for version in released:
        beside = versions_beside(version, subject.mitigations, released)
        found[version] = {
            f"option {option}": in_force[other]
            for option, other in beside.mitigated.items()
            if other in in_force
        }
        if before := [other for other in beside.earlier if other in priors]:
            found[version]["release before"] = in_force[before[-1]]
    return found
