"""What differs between the kinds of subject when one process runs their graphs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from memory_assets.config.classifier import AuditedSubject, ClassifierSubject
from memory_assets.config.language_model import LanguageModelSubject
from memory_assets.dagster.components.mitigation_assets import option_graphs
from memory_assets.dagster.components.subject_graph import SubjectGraph
from memory_assets.store.artifacts import ArtifactStore
from memory_assets.workflows.language import standing_texts
from memory_assets.workflows.pool_state import Standing, standing_pool


@dataclass(frozen=True)
class Kind:
    """`pool` names the assets that all versions share, `version` those up to a version's audit.

    `standing` gives the pool as it must be now, or None where some of it is missing; `options` the
    graphs of mitigated recipes that are audited beside the versions.
    """

    pool: tuple[str, ...]
    version: tuple[str, ...]
    standing: Callable[[Any, Path, ArtifactStore], Standing | None]
    options: Callable[[SubjectGraph[Any]], list[SubjectGraph[Any]]]


_CLASSIFIER = Kind(
    pool=("dataset", "shadow_models", "shadow_signals", "memorization", "information"),
    version=("version_pool", "target_signals", "attack_scores", "leakage"),
    standing=standing_pool,
    options=option_graphs,
)
_LANGUAGE_MODEL = Kind(
    pool=("texts",),
    version=("leakage",),
    standing=standing_texts,
    options=lambda graph: [],  # noqa: ARG005 - no mitigated recipes of language models yet
)
_WITH_SHADOWS = replace(
    _LANGUAGE_MODEL,
    pool=("texts", "dataset", "shadow_models", "shadow_signals", "memorization"),
    version=("version_pool", "target_signals", "attack_scores", "leakage"),
)


def kind_of(subject: AuditedSubject) -> Kind:
    """How subjects of this kind are audited.

    Raises:
        TypeError: a kind that nobody has said it of.
    """
    if isinstance(subject, ClassifierSubject):
        return _CLASSIFIER
    if isinstance(subject, LanguageModelSubject):
        return _LANGUAGE_MODEL if subject.recipe is None else _WITH_SHADOWS
    raise TypeError(f"{type(subject).__name__}: no kind of subject that can be audited")
