"""What an audit did not measure, and why: the rows of the report's coverage table."""

from __future__ import annotations

from memory_assets.attacks.registry import ATTACKS, select
from memory_assets.history.bundle import AuditBundle
from memory_assets.reports.inputs import NotRun, NotRunReason
from memory_assets.subjects import ClassifierSubject

_FAMILIES = ("memorization", "information")


def _too_few(subject: ClassifierSubject) -> NotRunReason:
    """Why what reads shadow models did not run: the owner brought none, or too few."""
    none = subject.predictions is not None and subject.predictions.shadows is None
    return "needs_input" if none else "too_small"


def not_run(subject: ClassifierSubject, bundle: AuditBundle) -> tuple[NotRun, ...]:
    """Attacks and estimators that this audit did without.

    What a way to bring a model rules out is `needs_input`: altered copies can only be asked of
    weights, unrounded scores only be read from logits, mitigated recipes only be trained by one.
    """
    ran = {m.name for m in bundle.measurements if m.estimate.status != "not_run"}
    wanted = {attack.name for attack in select(subject.attacks, subject.models)}
    rows = [
        NotRun(name, _too_few(subject) if name in wanted else "not_selected")
        for name in ATTACKS
        if name not in ran
    ]
    measured = {m.family for m in bundle.measurements if m.estimate.status != "not_run"}
    rows += [NotRun(family, _too_few(subject)) for family in _FAMILIES if family not in measured]
    by_weights = subject.recipe is not None
    rows.append(NotRun("augmentation", "not_selected" if by_weights else "needs_input"))
    if subject.fit is not None or subject.command is not None:
        rows.append(NotRun("exact_scores", "needs_input"))
    if not subject.options:
        rows.append(NotRun("mitigations", "not_selected" if by_weights else "needs_input"))
    return tuple(rows)
