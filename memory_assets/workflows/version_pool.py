"""The pool that one version is compared with: the subject's, or one of its own recipe."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from memory_assets.config.classifier import ClassifierSubject
from memory_assets.config.language_model import LanguageModelSubject
from memory_assets.records.prepared import AuditSet, Prepared
from memory_assets.store.artifacts import Artifact, ArtifactStore
from memory_assets.store.digest import digest
from memory_assets.workflows.pool_findings import informativeness, memorization
from memory_assets.workflows.shadows import (
    as_trained,
    plan_pool,
    shadow_signals,
    train_block,
)
from memory_assets.workflows.version_recipes import VersionRecipe, recipe_of


@dataclass(frozen=True)
class VersionPool:
    """The shadow models that stand for one version: their digest and where their answers are.

    `trained` and `reused` count the blocks of a pool of its own; both are 0 for the subject's.
    """

    recipe: VersionRecipe
    pool_digest: str
    signals: Artifact
    trained: int = 0
    reused: int = 0


def version_pool_version(subject: ClassifierSubject | LanguageModelSubject) -> str:
    """What the owner declares of the recipes of single versions.

    Formulas arrive by way of the subject's pool: alone they would set new answers beside old ones.
    """
    return digest({name: said.changes() for name, said in subject.recipes.items()})[:8]


def version_pool(
    subject: ClassifierSubject | LanguageModelSubject,
    root: Path,
    prepared: AuditSet,
    versions: Mapping[str, Path],
    version: str,
    store: ArtifactStore,
    say: Callable[[str], None] = lambda _: None,
) -> VersionPool:
    """Find the pool of a version, and train it where it has one of its own.

    It has as many models as the subject's, on the same sides of the same pairs: fewer would make
    the attacks weaker, and a version that leaks would pass more easily. Blocks are found by key, so
    versions of one recipe share them. `say` is told in words how far it is.

    Raises:
        InputError: the subject's pool or a block of this one is gone, or a training diverged.
    """
    recipe = recipe_of(subject, versions, version)
    own, trained = recipe.subject, 0
    plan = plan_pool(own, root, prepared)
    for number in range(len(plan.keys) if recipe.has_own_pool else 0):
        made = train_block(own, root, prepared, number, store)
        trained += not made.reused
        done = "reused" if made.reused else "trained"
        say(f"shadow models by {recipe.whose}: block {number + 1} of {len(plan.keys)} {done}")
    signals = shadow_signals(own, root, prepared, store)
    digest_now = recipe.digest_of(as_trained(plan, store))
    blocks = len(plan.keys) if recipe.has_own_pool else 0
    return VersionPool(recipe, digest_now, signals, trained, blocks - trained)


def own_findings(prepared: Prepared, signals: Path, store: ArtifactStore) -> tuple[Path, Path]:
    """Memorization and information by the pool whose signals these are; found where they stand."""
    found = memorization(prepared, signals, store), informativeness(prepared, signals, store)
    return found[0].path, found[1].path
