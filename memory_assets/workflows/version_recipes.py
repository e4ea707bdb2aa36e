"""The recipe of one version: by which shadow models are made that it can be compared with.

It is what the version's checkpoint says in its manifest, or what the owner declares for it, or
else the subject's. Only how a model is trained may differ. A manifest comes from outside: the
factory and the arguments that it names are compared with the subject's, and never imported or
called.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter, ValidationError

from memory_assets.config.classifier import ClassifierSubject, PooledSubject
from memory_assets.config.language_model import LanguageModelSubject
from memory_assets.config.training import TokenizedRecipe
from memory_assets.errors import InputError
from memory_assets.language.recipe import LanguageRecipe
from memory_assets.models.checkpoints import (
    Manifest,
    carried_manifest,
    read_manifest,
    still_there,
)
from memory_assets.models.recipe import DpSgd, Recipe
from memory_assets.records.formats import SAFETENSORS
from memory_assets.records.prepared import AuditSet
from memory_assets.results.findings import Finding, as_key, finding, render
from memory_assets.store.artifacts import ArtifactStore
from memory_assets.store.digest import digest
from memory_assets.workflows.shadows import BLOCK_KIND, TENSORS, PoolPlan, plan_pool

S = TypeVar("S", bound=PooledSubject)
AnyRecipe = Recipe | LanguageRecipe

_ARCHITECTURE = ("model", "model_args", "window")
_ELSEWHERE = ("tokenizer",)
"""What a manifest may name although it is compared when the version is read."""
_MOST_WORK = 10
"""How many times the subject's training a manifest alone may ask for: a file must not be able to
keep a machine busy for years."""


@dataclass(frozen=True)
class VersionRecipe(Generic[S]):
    """The subject as one version was trained, and what its shadow models stand for.

    `differs` names the settings in which its recipe is another than the subject's: where there are
    any, it has a pool of its own. `withheld` says why no pool can stand for it,
    where none can.
    """

    subject: S
    differs: tuple[str, ...] = ()
    withheld: Finding | None = None

    @property
    def has_own_pool(self) -> bool:
        return bool(self.differs)

    @property
    def whose(self) -> str:
        """Whose recipe the shadow models are made by, in words."""
        if self.withheld:
            return f"the subject's recipe, which is not this version's: {render(self.withheld)}"
        if not self.differs:
            return "the subject's recipe"
        recipe = asdict(self._recipe) if self._recipe else {}
        return "this version's recipe: " + ", ".join(
            f"{name} {recipe[name]}" for name in self.differs
        )

    @cached_property
    def _recipe(self) -> AnyRecipe | None:
        return _recipe_of(self.subject)

    @property
    def key(self) -> str:
        """What decides the pool and whether it may stand for the version."""
        return digest(self._recipe, as_key(self.withheld))

    def digest_of(self, plan: PoolPlan) -> str:
        """The digest of the pool that this version is compared with, as its audit records it."""
        return digest(plan.key, as_key(self.withheld)) if self.withheld else plan.key

    @property
    def epochs(self) -> int | None:
        """Epochs of each of its shadow models; None where they are not trained by a recipe."""
        return self._recipe.epochs if self._recipe is not None else None


def _recipe_of(subject: PooledSubject) -> AnyRecipe | None:
    recipe: Recipe | TokenizedRecipe | None = getattr(subject, "recipe", None)
    return recipe.recipe() if isinstance(recipe, TokenizedRecipe) else recipe


def manifest_of(subject: PooledSubject, path: Path | None) -> Manifest | None:
    """What a version says of itself; a folder of a language model may hold several files."""
    if not isinstance(subject, LanguageModelSubject) or path is None:
        return carried_manifest(path)
    return read_manifest(path, [f for f in subject.weights(path) if f in SAFETENSORS])


def recipe_of(subject: S, versions: Mapping[str, Path], version: str) -> VersionRecipe[S]:
    """The recipe of a version of a subject; `versions` says where each one lies.

    Raises:
        InputError: a checkpoint whose manifest cannot be read, or declared settings that no recipe
            can have.
    """
    assert isinstance(subject, ClassifierSubject | LanguageModelSubject)
    usual: Any = _recipe_of(subject)
    if usual is None or subject.recipe is None:
        return VersionRecipe(subject)
    declared = subject.recipes[version].changes() if version in subject.recipes else {}
    own = replace(usual, **declared)
    path = still_there(versions, version)
    manifest = manifest_of(subject, path)
    said = manifest.recipe if manifest else {}
    said = {name: value for name, value in said.items() if name not in _elsewhere(subject)}
    if not said:
        return _differing(subject, usual, own)
    try:
        trained: Any = TypeAdapter(type(usual)).validate_python(asdict(usual) | said)
    except (ValidationError, InputError, TypeError):
        return VersionRecipe(subject, withheld=finding("recipe_match.manifest_invalid"))
    for name in _ARCHITECTURE:
        if getattr(trained, name, None) != getattr(usual, name, None):
            key = f"recipe_match.manifest_{name}"
            return VersionRecipe(subject, withheld=finding(key))
    for name in declared:
        if name in said and getattr(trained, name) != getattr(own, name):
            values = {"theirs": _told(getattr(trained, name)), "ours": _told(getattr(own, name))}
            withheld = finding("recipe_match.contradiction", entry=name, **values)
            return VersionRecipe(subject, withheld=withheld)
    own = replace(trained, **declared)
    batch = "batch_tokens" if isinstance(usual, LanguageRecipe) else "batch_size"
    work = own.epochs / usual.epochs * max(1.0, getattr(usual, batch) / getattr(own, batch))
    if work > _MOST_WORK and not {"epochs", batch} & set(declared):
        key = "manifest_work" if batch == "batch_size" else "manifest_work_texts"
        return VersionRecipe(subject, withheld=finding(f"recipe_match.{key}", times=work))
    return _differing(subject, usual, own)


def _elsewhere(subject: PooledSubject) -> tuple[str, ...]:
    return _ELSEWHERE if isinstance(subject, LanguageModelSubject) else ()


def _told(value: object) -> str:
    """A setting in few characters and no spaces, as a stored sentence has it."""
    if isinstance(value, DpSgd):
        return f"noise={value.noise_multiplier:g},norm={value.max_grad_norm:g}"
    return f"{value:g}" if isinstance(value, float) else str(value).lower()


def _differing(subject: S, usual: Any, own: Any) -> VersionRecipe[S]:
    """Another seed alone draws another model of the same recipe."""
    own = replace(own, seed=usual.seed)
    differs = tuple(f.name for f in fields(own) if getattr(own, f.name) != getattr(usual, f.name))
    if not differs:
        return VersionRecipe(subject)
    written: Any = getattr(subject, "recipe", None)
    recipe = replace(written, **{f.name: getattr(own, f.name) for f in fields(own)})
    return VersionRecipe(subject.model_copy(update={"recipe": recipe}), differs)


def in_words(
    version: str, recipe: VersionRecipe, root: Path, prepared: AuditSet, store: ArtifactStore
) -> str:
    """What the pool of a version costs, or why it has none: "" where it is the subject's.

    Raises:
        InputError: the recipe's factory is gone.
    """
    if recipe.withheld:
        why = render(recipe.withheld)
        return f"version {version}: its attacks by shadow models are withheld: {why}"
    if not recipe.has_own_pool:
        return ""
    plan = plan_pool(recipe.subject, root, prepared)
    there = sum(
        len(block.indices)
        for block, key in zip(plan.blocks, plan.keys, strict=True)
        if store.exists(BLOCK_KIND, key, TENSORS)
    )
    left = recipe.subject.models - there
    return (
        f"version {version}: a pool of its own, by {recipe.whose}: {recipe.subject.models} shadow "
        f"models x {recipe.epochs} epochs, {f'{left} to train' if left else 'all of them there'}"
    )
