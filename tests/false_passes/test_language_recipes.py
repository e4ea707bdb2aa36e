"""A version of a language model that was trained by another recipe has shadow models of its own, or
what rests on shadow models is withheld, with the true cause."""

from __future__ import annotations

import shutil
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from language_world import MODELS, RECIPE, World, control, make_world
from pydantic import ValidationError
from safetensors.torch import load_file, save_file

from memory_assets.errors import InputError
from memory_assets.history.bundle import AuditBundle
from memory_assets.language.model import load_language_model
from memory_assets.models.checkpoints import Manifest, add_manifest, read_manifest
from memory_assets.records.prepared import members_digest
from memory_assets.workflows.now import basis_now
from memory_assets.workflows.sensitivity import own_trainings
from memory_assets.workflows.version_recipes import recipe_of

pytestmark = pytest.mark.slow

EARLY = replace(RECIPE, epochs=RECIPE.epochs // 2)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    world = make_world(tmp_path_factory.mktemp("recipes"))
    world.release("early", asdict(EARLY), epochs=EARLY.epochs)
    world.release("silent", epochs=EARLY.epochs)
    return world


def listed(world: World) -> str:
    return members_digest(np.array(world.members.ids))


def says(world: World, version: str, recipe: dict[str, Any]) -> None:
    """A copy of `silent` whose weights say `recipe`."""
    folder = world.root / "versions" / version
    if not folder.exists():
        shutil.copytree(world.root / "versions" / "silent", folder)
    add_manifest(folder / "model.safetensors", Manifest(recipe, listed(world), "data"))


def figures(bundle: AuditBundle) -> dict[tuple[str, ...], object]:
    return {
        (m.family, m.name, m.metric, m.stratum): m.estimate
        for m in bundle.measurements
        if m.family != "gate"
    }


def test_a_version_stopped_early_has_the_figures_of_its_own_shadows(world: World):
    """And so has one that its owner says it of; they share their shadow models."""
    found = world.audit("early")
    alone = world.audit("early", world.subject(EARLY))
    assert figures(found) == figures(alone)
    assert found.audit.pool_digest == alone.audit.pool_digest
    usual = world.audit("silent")
    assert usual.audit.pool_digest != found.audit.pool_digest
    differ = {name[0] for name, value in figures(found).items() if figures(usual)[name] != value}
    assert {"membership", "memorization"} <= differ
    declared = world.subject(recipes={"silent": {"epochs": EARLY.epochs}})
    shared = world.pool(declared, "silent")
    assert (shared.trained, shared.recipe.subject.models) == (0, MODELS)
    assert world.audit("silent", declared).audit.pool_digest == found.audit.pool_digest


def test_the_gate_asks_for_the_pool_of_the_versions_recipe(world: World):
    plain = world.subject()
    declared = world.subject(recipes={"silent": {"epochs": EARLY.epochs}})
    for version, subject in (("early", plain), ("silent", plain), ("silent", declared)):
        audited = world.audit(version, subject).audit
        now = basis_now(subject, world.root, world.versions, version, world.store)
        assert (now.audit_id, now.pool_digest) == (audited.audit_id, audited.pool_digest)
    now = basis_now(plain, world.root, world.versions, "silent", world.store)
    assert now.audit_id != audited.audit_id


def test_the_cost_is_told_before(tmp_path: Path):
    world = make_world(tmp_path)
    world.release("early", asdict(EARLY), epochs=1)
    subject = world.subject(recipes={"V9": {"epochs": 2}})
    typo, line = own_trainings(subject, world.root, world.versions, world.store)
    assert typo == "recipes.V9: no such version in versions"
    assert "version early: a pool of its own, by this version's recipe: epochs 12" in line
    assert f"{MODELS} shadow models x 12 epochs, {MODELS} to train" in line


SAID = asdict(RECIPE)
WITHHELD = {
    "model": (SAID | {"model": "os:system"}, "manifest_model"),
    "arguments": (SAID | {"model_args": {"layers": 9}}, "manifest_model_args"),
    "window": (SAID | {"window": 32}, "manifest_window"),
    "unknown": (SAID | {"optimizer": "lion"}, "manifest_invalid"),
    "impossible": (SAID | {"epochs": -1}, "manifest_invalid"),
    "endless": (SAID | {"epochs": 10**9}, "manifest_work_texts"),
    "tiny-batches": (SAID | {"batch_tokens": 2}, "manifest_work_texts"),
}


@pytest.mark.parametrize("name", WITHHELD)
def test_a_manifest_that_no_pool_can_follow_withholds(world: World, name: str):
    recipe, why = WITHHELD[name]
    says(world, "odd", recipe)
    said = recipe_of(world.subject(), world.versions, "odd").withheld
    assert said is not None
    assert said.key == f"recipe_match.{why}"


def test_a_contradiction_withholds_the_verdict_and_names_both(world: World):
    says(world, "contradicted", asdict(EARLY))
    subject = world.subject(recipes={"contradicted": {"epochs": 20}})
    bundle = world.audit("contradicted", subject)
    assert bundle.audit.verdict == "insufficient evidence"
    assert not control(bundle, "recipe_match").passed
    (said,) = control(bundle, "recipe_match").findings
    assert said.key == "recipe_match.contradiction"
    assert said.parameters == {"entry": "epochs", "theirs": "12", "ours": "20"}


def test_a_seed_or_the_place_of_the_tokenizer_is_no_other_recipe(world: World):
    says(world, "moved", SAID | {"seed": 9, "tokenizer": "elsewhere/tokenizer"})
    found = recipe_of(world.subject(), world.versions, "moved")
    assert not found.has_own_pool
    assert not found.withheld


@pytest.mark.parametrize("settings", [{"window": 32}, {"model": "os:system"}, {"epochs": None}])
def test_only_how_a_version_was_trained_can_be_declared(world: World, settings):
    with pytest.raises(ValidationError):
        world.subject(recipes={"silent": settings})


def test_settings_of_a_version_need_a_recipe(world: World):
    subject = world.subject()
    without = subject.model_dump(exclude={"recipe", "pool", "attacks"})
    with pytest.raises(ValidationError, match="bring a recipe"):
        type(subject).model_validate(without | {"recipes": {"silent": {"epochs": 2}}})


def test_a_folder_of_several_files_says_it_once(world: World, tmp_path: Path):
    folder = shutil.copytree(world.root / "versions" / "early", tmp_path / "shards")
    whole = folder / "model.safetensors"
    other = folder / "other.safetensors"
    save_file({"more": next(iter(load_file(whole).values())).clone()}, other, {"format": "pt"})
    assert read_manifest(folder, [whole, other]) == read_manifest(folder, [whole])
    add_manifest(other, Manifest({"epochs": 3}, "members", "data"))
    with pytest.raises(InputError, match="carry 2 manifests"):
        read_manifest(folder, [whole, other])
    assert load_language_model(world.root / "versions" / "early", device="cpu").vocabulary > 0
