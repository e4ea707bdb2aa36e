"""A version that was trained by another recipe is compared with shadow models of that recipe, or
its attacks by shadow models are withheld: by those of another, a leak can look smaller than it is.
"""

import sys
from dataclasses import asdict

import pytest
from pydantic import ValidationError
from recipes_world import MODELS, RECIPE, World, make_world, other

from memory_assets.workflows.now import basis_now
from memory_assets.workflows.sensitivity import own_trainings
from memory_assets.workflows.version_recipes import recipe_of

pytestmark = pytest.mark.slow

EARLY = other(epochs=16)


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> World:
    world = make_world(tmp_path_factory.mktemp("recipes"))
    world.release("v1")
    world.release("early", EARLY)
    world.release("silent", EARLY, says={})
    world.release("reseeded", says=asdict(other(seed=11)))
    return world


def figures(bundle):
    return {
        (m.family, m.name, m.metric, m.stratum): m.estimate
        for m in bundle.measurements
        if m.family != "gate"
    }


def recipe_control(bundle):
    return next(c for c in bundle.controls if c.control == "recipe_match")


def test_a_version_stopped_early_has_the_figures_of_its_own_shadows(world: World):
    """Every figure is that of a subject whose recipe says 16 epochs, memorization included."""
    found = world.audit("early")
    alone = world.audit("early", world.subject(EARLY))
    assert figures(found) == figures(alone)
    assert found.audit.pool_digest == alone.audit.pool_digest
    usual = figures(world.audit("v1"))
    differ = {name[0] for name, estimate in figures(found).items() if usual.get(name) != estimate}
    assert {"membership", "memorization", "information"} <= differ


def test_it_looks_like_its_own_shadows_and_not_like_those_of_the_usual_recipe(world: World):
    assert recipe_control(world.audit("early")).passed
    assert not recipe_control(world.audit("silent")).passed


def test_the_pool_of_a_version_is_as_large_as_the_subjects(world: World):
    """Fewer shadow models make weaker attacks, by which a leak passes more easily."""
    pool = world.pool(world.subject(), "early")
    assert pool.recipe.subject.models == MODELS
    assert pool.recipe.subject.pool == world.subject().pool


def test_a_second_run_trains_nothing_and_versions_of_one_recipe_share_their_models(world: World):
    world.pool(world.subject(), "early")
    again = world.pool(world.subject(), "early")
    declared = world.subject(recipes={"silent": {"epochs": 16}})
    shared = world.pool(declared, "silent")
    assert (again.trained, shared.trained) == (0, 0)
    assert again.signals.path == shared.signals.path
    assert again.reused == shared.reused > 0


def test_what_the_owner_declares_counts_where_the_version_says_nothing(world: World):
    declared = world.subject(recipes={"silent": {"epochs": 16}})
    audited = world.audit("silent", declared)
    assert recipe_control(audited).passed
    assert audited.audit.pool_digest == world.audit("early").audit.pool_digest


def test_another_seed_alone_shares_the_pool(world: World):
    found = recipe_of(world.subject(), world.versions, "reseeded")
    assert not found.has_own_pool
    assert not found.withheld
    pools = {world.audit(name).audit.pool_digest for name in ("v1", "reseeded")}
    assert len(pools) == 1


WITHHELD = {
    "model": (asdict(RECIPE) | {"model": "memory_assets.models.mlp:other"}, "manifest_model"),
    "arguments": (
        asdict(RECIPE) | {"model_args": RECIPE.model_args | {"hidden": 25}},
        "manifest_model_args",
    ),
    "unknown": (asdict(RECIPE) | {"made_by": "hand"}, "manifest_invalid"),
    "impossible": (asdict(RECIPE) | {"epochs": -1}, "manifest_invalid"),
    "no-number": (asdict(RECIPE) | {"epochs": "many"}, "manifest_invalid"),
    "endless": (asdict(RECIPE) | {"epochs": 10**9}, "manifest_work"),
    "tiny-batches": (asdict(RECIPE) | {"batch_size": 1}, "manifest_work"),
}


@pytest.mark.parametrize("name", WITHHELD)
def test_a_manifest_that_no_pool_can_follow_withholds_the_attacks(world: World, name: str):
    says, why = WITHHELD[name]
    world.release(name, says=says)
    bundle = world.audit(name)
    control = recipe_control(bundle)
    assert not control.passed
    (said,) = control.findings
    assert said.key == f"recipe_match.{why}"
    assert bundle.audit.verdict == "insufficient evidence"


def test_a_module_that_a_manifest_names_is_never_imported(world: World, monkeypatch):
    (world.root / "planted.py").write_text("raise SystemExit('imported')\n")
    monkeypatch.syspath_prepend(str(world.root))
    world.release("planted", says=asdict(RECIPE) | {"model": "planted:model"})
    assert world.audit("planted").audit.verdict == "insufficient evidence"
    assert "planted" not in sys.modules


def test_a_manifest_that_contradicts_its_owner_withholds_and_names_both(world: World):
    subject = world.subject(recipes={"early": {"epochs": 20}})
    control = recipe_control(world.audit("early", subject))
    assert not control.passed
    (said,) = control.findings
    assert said.key == "recipe_match.contradiction"
    assert said.parameters == {"entry": "epochs", "theirs": "16", "ours": "20"}


def test_the_gate_asks_for_the_pool_of_the_versions_recipe(world: World):
    """And an audit before the owner contradicted the manifest is not in force after it."""
    for version in ("v1", "early"):
        audited = world.audit(version).audit
        now = basis_now(world.subject(), world.root, world.versions, version, world.store)
        assert (now.model_digest, now.pool_digest) == (audited.model_digest, audited.pool_digest)
    contradicted = world.subject(recipes={"v1": {"epochs": 20}})
    before = basis_now(world.subject(), world.root, world.versions, "v1", world.store)
    after = basis_now(contradicted, world.root, world.versions, "v1", world.store)
    assert after.pool_digest != before.pool_digest
    assert after.pool_digest == world.audit("v1", contradicted).audit.pool_digest


def test_the_cost_is_told_before(tmp_path):
    world = make_world(tmp_path)
    world.release("v1")
    world.release("early", EARLY)
    subject = world.subject(recipes={"V9": {"epochs": 2}})
    typo, line = own_trainings(subject, world.root, world.versions, world.store)
    assert typo == "recipes.V9: no such version in versions"
    assert "version early" in line
    assert f"{MODELS} shadow models x 16 epochs, {MODELS} to train" in line
    world.pool(subject, "early")
    assert "all of them there" in own_trainings(subject, world.root, world.versions, world.store)[1]


@pytest.mark.parametrize("settings", [{"model": "os:system"}, {"seed": 3}, {"epochs": None}])
def test_only_how_a_version_was_trained_can_be_declared(world: World, settings):
    with pytest.raises(ValidationError):
        world.subject(recipes={"v1": settings})


def test_noise_that_a_version_was_trained_with_is_accounted_for(world: World):
    """Its claim is tested, though the subject's recipe has none."""
    noise = {"noise_multiplier": 1.0, "max_grad_norm": 1.0}
    world.release("noisy", says=asdict(RECIPE) | {"dp": noise, "epochs": 1})
    found = figures(world.audit("noisy"))
    assert any(name[2] == "replace_one_epsilon" for name in found)


def test_a_version_that_was_trained_longer_than_it_says_does_not_look_like_its_shadows(
    world: World,
):
    world.release("lying", says=asdict(EARLY))
    bundle = world.audit("lying")
    assert bundle.audit.pool_digest == world.audit("early").audit.pool_digest
    assert not recipe_control(bundle).passed
    assert bundle.audit.verdict == "insufficient evidence"


def test_shadow_models_of_another_recipe_refute_a_claim_all_the_same(world: World):
    """A lower bound needs no shadow model of the recipe: what it found is there."""
    claimed = world.subject(claimed_epsilon=0.01)
    bundle = world.audit("silent", claimed)
    assert not recipe_control(bundle).passed
    assert bundle.audit.verdict == "fail"
    assert "claim" in bundle.audit.reason.lower()
