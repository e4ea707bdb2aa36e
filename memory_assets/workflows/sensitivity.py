"""What an audit of a subject will be able to show, told before anything is trained."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from memory_assets.config.classifier import AuditedSubject, ClassifierSubject, PooledSubject
from memory_assets.config.language_model import LanguageModelSubject, TextsSpec
from memory_assets.store.artifacts import ArtifactStore
from memory_assets.validity.sensitivity import Sensitivity, sensitivity
from memory_assets.workflows.classifier import records_now
from memory_assets.workflows.language import texts_now
from memory_assets.workflows.version_recipes import in_words, recipe_of

UNGATED = ("auc", "tpr_at_fpr_0.1", "tpr_at_fpr_0.01")
"""What is told of where the owner has set no limit."""


def compared(subject: AuditedSubject, root: Path) -> tuple[int, int]:
    """How many members and others an audit of this subject will compare.

    Raises:
        InputError: its records, members or texts cannot be read.
    """
    if isinstance(subject, ClassifierSubject):
        pairs = len(records_now(subject, root).pairing.pairs)
        return pairs, pairs
    if isinstance(subject, LanguageModelSubject):

        def count(spec: TextsSpec | None) -> int:
            if spec is None:
                return 0
            return min(len(set(spec.load(root).compared)), subject.probes.texts)

        return count(subject.members), count(subject.held_out)
    return 0, 0


def own_trainings(
    subject: AuditedSubject, root: Path, versions: Mapping[str, Path], store: ArtifactStore
) -> list[str]:
    """What versions of another recipe than the subject's cost: a line for each, in words.

    Raises:
        InputError: records, members or a version's manifest cannot be read.
    """
    pooled = isinstance(subject, ClassifierSubject | LanguageModelSubject)
    if not pooled or subject.recipe is None:
        return []
    recipes = {version: recipe_of(subject, versions, version) for version in versions}
    unknown = [
        f"recipes.{name}: no such version in {subject.checkpoints}"
        for name in subject.recipes
        if name not in versions
    ]
    if not any(recipe.has_own_pool or recipe.withheld for recipe in recipes.values()):
        return unknown
    if isinstance(subject, ClassifierSubject):
        prepared = records_now(subject, root)
    else:
        _, prepared = texts_now(subject, root)
    assert prepared is not None  # with a recipe there is an audit set
    return unknown + [
        line
        for version, recipe in recipes.items()
        if (line := in_words(version, recipe, root, prepared, store))
    ]


def planned(subject: AuditedSubject, root: Path) -> list[Sensitivity]:
    """The least effects that an audit of each gated metric would see, and what could pass.

    A metric of which no power is known is left out. Texts are counted before near-copies go.

    Raises:
        InputError: its records, members or texts cannot be read.
    """
    members, others = compared(subject, root)
    models = subject.models if isinstance(subject, PooledSubject) else 0
    wanted: dict[str, float | None] = {**subject.gate} or dict.fromkeys(UNGATED)
    found = (sensitivity(m, limit, members, others, models or None) for m, limit in wanted.items())
    return [one for one in found if one is not None]
