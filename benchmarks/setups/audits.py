"""The steps of an audit one after the other, as the lineage graph runs them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from memory_assets.config.classifier import ClassifierSubject
from memory_assets.config.language_model import LanguageModelSubject
from memory_assets.history.bundle import AuditBundle
from memory_assets.records.prepared import AuditSet, Prepared, PreparedTexts
from memory_assets.store.artifacts import ArtifactStore
from memory_assets.workflows import classifier, language, language_pool, shadows
from memory_assets.workflows.conclusion import Evidence, conclude
from memory_assets.workflows.released import Released
from memory_assets.workflows.version_pool import VersionPool, own_findings, version_pool


def prepare(subject: ClassifierSubject, root: Path, store: ArtifactStore) -> Prepared:
    """The records of a subject and the audit set that is drawn from them."""
    return Prepared.load(classifier.prepare_records(subject, root, store).path)


def pool_of(
    subject: ClassifierSubject | LanguageModelSubject,
    root: Path,
    prepared: AuditSet,
    version: str,
    store: ArtifactStore,
) -> VersionPool:
    """The subject's pool, and then the one that this version is compared with."""
    for number in range(len(shadows.plan_pool(subject, root, prepared).blocks)):
        shadows.train_block(subject, root, prepared, number, store)
    versions = Released(store.root).of(subject, root)
    return version_pool(subject, root, prepared, versions, version, store)


def audit_classifier(
    subject: ClassifierSubject, root: Path, version: str, store: ArtifactStore
) -> AuditBundle:
    """A whole audit of one version; raises InputError where the program refuses it."""
    prepared = prepare(subject, root, store)
    pool = pool_of(subject, root, prepared, version, store)
    signals = pool.signals.path
    versions = Released(store.root).of(subject, root)
    target, weights = shadows.target_signals(subject, root, prepared, versions, version, store)
    memorization, information = own_findings(prepared, signals, store)
    evidence = Evidence(
        version=version,
        weights=weights,
        pool_digest=pool.pool_digest,
        prepared=prepared,
        pool=signals,
        target=target.path,
        attacks=shadows.attack_scores(subject, prepared, signals, target.path, store).path,
        memorization=memorization,
        information=information,
        started_at=datetime.now(UTC),
        path=versions[version],
        withheld=pool.recipe.withheld,
    )
    return AuditBundle.read(conclude(pool.recipe.subject, evidence, store).path)


def audit_language(
    subject: LanguageModelSubject, root: Path, version: str, store: ArtifactStore
) -> AuditBundle:
    """A whole audit of one version; raises InputError where the program refuses it."""
    texts = language.prepare_texts(subject, root, store).path
    evidence = None
    if subject.recipe is not None:
        made = language.prepare_pairs(subject, texts, store)
        evidence = _beside(subject, root, PreparedTexts.load(made.path), version, store)
    versions = Released(store.root).of(subject, root)
    found, weights = language.language_findings(subject, root, texts, versions, version, store)
    now = datetime.now(UTC)
    made = language.conclude_language(
        subject, version, weights, texts, found.path, now, store, evidence
    )
    return AuditBundle.read(made.path)


def _beside(
    subject: LanguageModelSubject,
    root: Path,
    prepared: PreparedTexts,
    version: str,
    store: ArtifactStore,
) -> language_pool.ShadowEvidence:
    pool = pool_of(subject, root, prepared, version, store)
    signals = pool.signals.path
    versions = Released(store.root).of(subject, root)
    target = shadows.target_signals(subject, root, prepared, versions, version, store)[0].path
    return language_pool.ShadowEvidence(
        pool_digest=pool.pool_digest,
        prepared=prepared,
        pool=signals,
        target=target,
        attacks=shadows.attack_scores(subject, prepared, signals, target, store).path,
        memorization=language_pool.text_memorization(prepared, signals, store).path,
        withheld=pool.recipe.withheld,
    )
