"""What differs between the kinds of subject when one process runs their graphs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dagster_project.components.option_assets import option_graphs
from dagster_project.components.options import SubjectGraph
from memory_assets.artifacts import ArtifactStore
from memory_assets.audits.language import standing_texts
from memory_assets.audits.standing import Standing, standing_pool
from memory_assets.language_subjects import LanguageModelSubject
from memory_assets.subjects import AuditedSubject, ClassifierSubject


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


KINDS: dict[type[AuditedSubject], Kind] = {
    ClassifierSubject: Kind(
        pool=("dataset", "shadow_models", "shadow_signals", "memorization", "information"),
        version=("target_signals", "attack_scores", "leakage"),
        standing=standing_pool,
        options=option_graphs,
    ),
    LanguageModelSubject: Kind(
        pool=("texts",),
        version=("leakage",),
        standing=standing_texts,
        options=lambda graph: [],  # noqa: ARG005 - a language model has no recipe to mitigate
    ),
}


def kind_of(subject: AuditedSubject) -> Kind:
    """How subjects of this kind are audited."""
    return KINDS[type(subject)]
