"""What an audit of a version would be made from if it ran now: digests, and nothing is computed.

The steps of the audit name their artifacts themselves: they are called with a store that only says
the names, so that a step whose key takes in something more is followed here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from memory_assets.config.classifier import AuditedSubject, ClassifierSubject
from memory_assets.config.language_model import LanguageModelSubject
from memory_assets.records.prepared import PreparedTexts
from memory_assets.store.artifacts import Artifact, ArtifactStore
from memory_assets.workflows import conclusion, pool_findings, shadows
from memory_assets.workflows.classifier import records_now
from memory_assets.workflows.language import (
    TEXTS_KIND,
    audit_key,
    language_config,
    language_findings,
    texts_now,
)
from memory_assets.workflows.language_pool import ShadowEvidence, memorization_key
from memory_assets.workflows.version_recipes import recipe_of


@dataclass(frozen=True)
class Basis:
    """The digests that an audit records of what it was made from, as in the table `audits`.

    `audit_id` digests all the others, and what has no digest of its own there: the formulas, and
    how models are asked.
    """

    model_digest: str
    data_digest: str
    pool_digest: str
    config_digest: str
    audit_id: str


@dataclass(frozen=True)
class _Names(ArtifactStore):
    """A store that says what an artifact is called, and neither makes nor claims any."""

    def get_or_build(
        self, kind: str, key: str, build: object, suffix: str = "", final: object = None
    ) -> Artifact:
        del build, final
        return Artifact(kind, key, self.path(kind, key, suffix), reused=True)


def basis_now(
    subject: AuditedSubject,
    root: Path,
    versions: Mapping[str, Path],
    version: str,
    store: ArtifactStore,
    device: str = "",
) -> Basis:
    """What the weights, records, members, shadow models and settings of a version are now.

    Records are read and digested anew. `versions` says where each version lies; `device` is the
    one that the audit ran on ("cpu", "cuda"), this machine's without it.

    Raises:
        InputError: no such version, or something the owner gave cannot be read.
    """
    names = _Names(store.root)
    with shadows.as_on(device):
        if isinstance(subject, ClassifierSubject):
            return _of_classifier(subject, root, versions, version, names)
        assert isinstance(subject, LanguageModelSubject)
        return _of_language_model(subject, root, versions, version, names)


def _of_classifier(
    subject: ClassifierSubject,
    root: Path,
    versions: Mapping[str, Path],
    version: str,
    names: _Names,
) -> Basis:
    prepared = records_now(subject, root)
    target, weights = shadows.target_signals(subject, root, prepared, versions, version, names)
    recipe = recipe_of(subject, versions, version)
    plan = shadows.as_trained(shadows.plan_pool(recipe.subject, root, prepared), names)
    signals = shadows.signals_key(plan, prepared)
    pool = names.path(shadows.SIGNALS_KIND, signals, shadows.TENSORS)
    evidence = conclusion.Evidence(
        version=version,
        weights=weights,
        pool_digest=recipe.digest_of(plan),
        prepared=prepared,
        pool=pool,
        target=target.path,
        attacks=shadows.attack_scores(subject, prepared, pool, target.path, names).path,
        memorization=names.path(
            pool_findings.MEMORIZATION, pool_findings.memorization_key(signals, prepared)
        ),
        information=names.path(
            pool_findings.INFORMATION, pool_findings.information_key(signals, prepared)
        ),
        started_at=datetime.now(UTC),
        path=versions[version],
        withheld=recipe.withheld,
    )
    audit_id = conclusion.audit_key(recipe.subject, evidence)
    return Basis(weights, prepared.key, evidence.pool_digest, subject.config_digest, audit_id)


def _of_language_model(
    subject: LanguageModelSubject,
    root: Path,
    versions: Mapping[str, Path],
    version: str,
    names: _Names,
) -> Basis:
    texts, prepared = texts_now(subject, root)
    path = names.path(TEXTS_KIND, texts)
    found, weights = language_findings(subject, root, path, versions, version, names)
    evidence = _evidence(subject, root, versions, version, prepared, names) if prepared else None
    config = language_config(subject, found.path, evidence)
    audit_id = audit_key(subject, version, weights, texts, config)
    return Basis(weights, texts, evidence.pool_digest if evidence else "", config, audit_id)


def _evidence(
    subject: LanguageModelSubject,
    root: Path,
    versions: Mapping[str, Path],
    version: str,
    prepared: PreparedTexts,
    names: _Names,
) -> ShadowEvidence:
    """Where what shadow models leave of a version would lie."""
    recipe = recipe_of(subject, versions, version)
    plan = shadows.as_trained(shadows.plan_pool(recipe.subject, root, prepared), names)
    signals = shadows.signals_key(plan, prepared)
    pool = names.path(shadows.SIGNALS_KIND, signals, shadows.TENSORS)
    target, _ = shadows.target_signals(subject, root, prepared, versions, version, names)
    scores = shadows.attack_scores(subject, prepared, pool, target.path, names)
    memorization = names.path(pool_findings.MEMORIZATION, memorization_key(signals, prepared))
    return ShadowEvidence(
        recipe.digest_of(plan),
        prepared,
        pool,
        target.path,
        scores.path,
        memorization,
        recipe.withheld,
    )
