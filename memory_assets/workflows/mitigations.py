"""Mitigated recipes as options of a subject: each with a small pool and a target of its own.

The target of an option is trained here, on the owner's members, by the option's recipe. Beside the
options stands `original`, the unchanged recipe treated the same way: with the same number of shadow
models and a target trained the same way, what differs between the audits is the mitigation.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import cast

from memory_assets.config.classifier import ClassifierSubject
from memory_assets.models.recipe import Recipe
from memory_assets.pool.blocks import common_rows, train_rows
from memory_assets.pool.signal_files import save_signals
from memory_assets.records.prepared import Prepared
from memory_assets.results.formulas import TRAINER, Step
from memory_assets.store.artifacts import Artifact, ArtifactStore
from memory_assets.store.digest import digest, digest_file
from memory_assets.workflows.conclusion import conclusion_version
from memory_assets.workflows.model_sources.by_recipe import ByRecipe
from memory_assets.workflows.model_sources.choice import way_of
from memory_assets.workflows.shadows import (
    SIGNALS_KIND,
    SIGNALS_STEP,
    TENSORS,
    device_name,
    pool_version,
    scores_version,
)

ORIGINAL = "original"
TARGET_STEP = Step("option-targets", (TRAINER,))


def option_names(subject: ClassifierSubject) -> tuple[str, ...]:
    """The options to audit, the unchanged recipe first; none where the owner names none."""
    return (ORIGINAL, *subject.options) if subject.options else ()


def option_version(name: str) -> str:
    """The model version under which an option stands in the history."""
    return f"option:{name}"


def target_version(option: ClassifierSubject) -> str:
    """Formula versions of an option's target and of what it is asked, and its recipe and pool."""
    steps = f"{TARGET_STEP.code_version()}.{SIGNALS_STEP.code_version()}"
    return f"{steps}.{pool_version(option)}"


def leakage_version(option: ClassifierSubject) -> str:
    """Formula versions of its attacks, which have no asset of their own, and of its conclusion."""
    return f"{scores_version(option)}.{conclusion_version(option)}"


def option_subject(subject: ClassifierSubject, name: str) -> ClassifierSubject:
    """The same subject with the recipe of one option and the small pool of options.

    Raises:
        InputError: unknown mitigation or setting.
    """
    assert subject.recipe is not None  # a subject with options has a recipe
    recipe = subject.recipe
    if name != ORIGINAL:
        recipe = recipe.with_options(name, subject.options[name])
    pool = subject.pool.model_copy(update={"models": subject.pool.option_models})
    changed = {"recipe": recipe, "pool": pool, "depth": None}
    changed |= {"options": {}, "recipes": {}}
    return subject.model_copy(update=changed)


def _trained_rows(recipe: Recipe, prepared: Prepared):
    pairing = prepared.pairing
    common = common_rows(recipe, prepared.data.x, pairing.pairs, pairing.common)
    return train_rows(pairing.pairs, common, pairing.target_side[None])[0]


def option_target(
    option: ClassifierSubject, root: Path, prepared: Prepared, store: ArtifactStore
) -> Artifact:
    """Train the target of one option as the owner would: a safetensors file of its weights."""
    from memory_assets.models.checkpoints import Manifest, save_checkpoint
    from memory_assets.pool.trainer import train_target

    assert option.recipe is not None
    recipe = option.recipe
    rows = _trained_rows(recipe, prepared)

    @TARGET_STEP.at_work()
    def build(path: Path) -> None:
        state = train_target(recipe, prepared.data.x, prepared.data.y, rows, device=device_name())
        manifest = Manifest(asdict(recipe), prepared.members_digest, prepared.data.digest)
        save_checkpoint(path, state, manifest)

    way = cast(ByRecipe, way_of(option, root, device_name()))
    made_by = [recipe, way.code, way.device]
    key = digest("option", *made_by, rows, prepared.key, TARGET_STEP.versions())
    return store.get_or_build(TARGET_STEP.name, key, build, TENSORS)


def option_signals(
    option: ClassifierSubject, root: Path, prepared: Prepared, target: Path, store: ArtifactStore
) -> tuple[Artifact, str]:
    """What an option's target answers; and the digest of its weights."""
    weights = digest_file(target)
    way = way_of(option, root, device_name())

    @SIGNALS_STEP.at_work()
    def build(path: Path) -> None:
        save_signals(way.ask_target(target, prepared), path)

    # Answers about the records alone may lie under the key without their altered copies.
    altered = [] if option.queries == "identity" else [option.queries]
    key = digest("option", weights, way.asked_by(), prepared.key, SIGNALS_STEP.versions(), *altered)
    return store.get_or_build(SIGNALS_KIND, key, build, TENSORS), weights
