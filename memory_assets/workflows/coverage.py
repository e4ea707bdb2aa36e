"""What an audit did not measure, and why: the rows of the report's coverage table."""

from __future__ import annotations

from functools import singledispatch

from memory_assets.attacks.registry import ATTACKS, STANDARD, select
from memory_assets.config.classifier import AuditedSubject, ClassifierSubject
from memory_assets.config.language_model import LanguageModelSubject
from memory_assets.history.bundle import AuditBundle
from memory_assets.language.scores import FORMULAS
from memory_assets.reports.inputs import NotRun, NotRunReason

_FAMILIES = ("memorization", "information")


def _too_few(subject: ClassifierSubject) -> NotRunReason:
    """Why what reads shadow models did not run: the owner brought none, or too few."""
    none = subject.predictions is not None and subject.predictions.shadows is None
    return "needs_input" if none else "too_small"


@singledispatch
def not_run(subject: AuditedSubject, bundle: AuditBundle) -> tuple[NotRun, ...]:
    """What the audit of a subject did without, by its kind.

    Raises:
        TypeError: a kind that nobody has said it of.
    """
    raise TypeError(f"{type(subject).__name__}: no coverage known for {bundle.audit.kind}")


@not_run.register
def _(subject: ClassifierSubject, bundle: AuditBundle) -> tuple[NotRun, ...]:
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
    if subject.queries == "identity":
        rows.append(NotRun("augmentation", "not_selected" if by_weights else "needs_input"))
    if subject.fit is not None or subject.command is not None:
        rows.append(NotRun("exact_scores", "needs_input"))
    if not subject.options:
        rows.append(NotRun("mitigations", "not_selected" if by_weights else "needs_input"))
    return tuple(rows)


@not_run.register
def _(subject: LanguageModelSubject, bundle: AuditBundle) -> tuple[NotRun, ...]:
    """Scores, games and controls that this audit did without: most of them want an input."""
    ran = {m.name for m in bundle.measurements if m.estimate.status != "not_run"}
    tried = {m.name for m in bundle.measurements}
    chosen = subject.probes.options().attacks
    rows = [
        NotRun(name, "needs_input" if name in chosen else "not_selected")
        for name in FORMULAS
        if name not in ran
    ]
    if "exposure" not in ran:
        rows.append(NotRun("exposure", "too_small" if "exposure" in tried else "needs_input"))
    if "unintended" not in ran:
        rows.append(NotRun("unintended", "needs_input"))
    if "discoverable" not in ran:
        rows.append(NotRun("extraction", "too_small"))
    # What rests on shadow models wants a recipe to train them by.
    missing: NotRunReason = "needs_input" if subject.recipe is None else "not_selected"
    rows += [NotRun(name, missing) for name in (*STANDARD, "counterfactual") if name not in ran]
    return tuple(rows)
