"""A claimed epsilon is refuted by what the scores bear, whatever the shadow models are; an honest
one is not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import outputs_world
import pytest
from outputs_world import lookup, sklearn_fit
from recipes_world import RECIPE, World, make_world, other
from scipy import stats
from sklearn.linear_model import LogisticRegression

from benchmarks.trust.epsilons import released
from benchmarks.trust.pools import answers
from memory_assets.attacks.evaluate import evaluate
from memory_assets.attacks.registry import select
from memory_assets.models.recipe import DpSgd
from memory_assets.pool.masks import draw_masks
from memory_assets.pool.signal_files import load_signals
from memory_assets.pool.signals import Signals
from memory_assets.results.findings import Finding
from memory_assets.workflows import shadows
from memory_assets.workflows.privacy_loss import accounted, check_claimed, measure_epsilon

pytestmark = pytest.mark.slow

CLAIM = 1.08
NOISY = other(dp=DpSgd(10.0, 1.0), epochs=10)
"""By the accountant 1.12 for replacing one record of 200, which is nearly the claim."""
OVERFITTED = other(epochs=100)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Versions without noise, that say otherwise or nothing, and one that is what it says."""
    world = make_world(tmp_path_factory.mktemp("claims"))
    noisy = asdict(NOISY)
    world.release("lying", OVERFITTED, says=noisy)
    world.release("silent", OVERFITTED, says={})
    world.release("impossible", OVERFITTED, says=noisy | {"made_by": "hand"})
    world.release(
        "other-model", OVERFITTED, says=noisy | {"model": "memory_assets.models.mlp:other"}
    )
    world.release("honest", NOISY)
    return world


def refuted(found: tuple[Finding, ...], claimed: float) -> bool:
    """Whether a verdict begins with a bound above the claim, and calls the claim false."""
    first = found[0]
    if first.key != "claim.falsified":
        return False
    assert first.parameters["claimed"] == claimed
    assert first.parameters["shown"] > claimed
    return True


WAYS = {
    "the subject's recipe has noise": (NOISY, {}),
    "only the version says noise": (RECIPE, {}),
    "noise is declared for the version": (
        RECIPE,
        {"recipes": {"silent": {"dp": asdict(DpSgd(10.0, 1.0)), "epochs": 10}}},
    ),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("version", ["lying", "silent"])
@pytest.mark.parametrize("gate", [{"tpr_at_fpr_0.1": 0.5}, {"tpr_at_fpr_0.01": 0.3}, {}])
def test_a_version_without_the_noise_that_is_claimed(world: World, way, version, gate):
    """Its shadow models have noise; a limit that needs more records is no hindrance either."""
    recipe, more = WAYS[way]
    audit = world.audit(version, world.subject(recipe, claimed_epsilon=CLAIM, gate=gate, **more))
    assert audit.audit.verdict == "fail", audit.audit.reason
    assert refuted(audit.audit.findings, CLAIM)


@pytest.mark.parametrize("version", ["impossible", "other-model"])
def test_a_version_that_no_shadow_models_stand_for(world: World, version: str):
    bundle = world.audit(version, world.subject(NOISY, claimed_epsilon=CLAIM))
    assert "recipe_match" in {c.control for c in bundle.controls if not c.passed}
    assert bundle.audit.verdict == "fail"
    assert refuted(bundle.audit.findings, CLAIM)


def test_what_the_accountant_grants_is_a_claim(world: World):
    recipe = other(dp=DpSgd(20.0, 1.0), epochs=10)
    (granted,) = (
        m.estimate.value for m in accounted(recipe, 200) if m.metric == "replace_one_epsilon"
    )
    world.release("granted", OVERFITTED, says=asdict(recipe))
    bundle = world.audit("granted", world.subject(recipe))
    assert granted is not None
    assert bundle.audit.verdict == "fail"
    assert refuted(bundle.audit.findings, granted)


def test_attacks_that_all_need_shadow_models(world: World):
    """The loss, which needs none, is looked at whichever attacks were asked for."""
    subject = world.subject(NOISY, claimed_epsilon=CLAIM, attacks=["rmia_offline", "bavaria"])
    bundle = world.audit("lying", subject)
    assert bundle.audit.verdict == "fail"
    assert refuted(bundle.audit.findings, CLAIM)


@pytest.mark.parametrize("with_shadows", [False, True])
def test_outputs_alone_or_with_shadow_models_of_another_recipe(tmp_path: Path, with_shadows: bool):
    world = outputs_world.make_world(tmp_path)
    world.write(world.trained(lookup))
    more: dict[str, Any] = {}
    if with_shadows:
        world.write_shadows(sklearn_fit(lambda _: LogisticRegression(C=0.01)))
        more = {"predictions": {"shadows": "shadows.csv"}}
    bundle = world.audit(claimed_epsilon=CLAIM, **more)
    assert bundle.audit.verdict == "fail"
    assert refuted(bundle.audit.findings, CLAIM)


def test_shadow_models_that_do_not_fit_cast_no_doubt_on_the_list_of_members(world: World):
    """By them an attack points the wrong way."""
    noisy = other(dp=DpSgd(1.0, 1.0), epochs=10)
    world.release("points-away", OVERFITTED, says=asdict(noisy))
    bundle = world.audit("points-away", world.subject(noisy))
    assert {c.control for c in bundle.controls if not c.passed} == {"recipe_match"}


def test_the_version_with_noise_is_not_refuted(world: World):
    bundle = world.audit("honest", world.subject(NOISY, claimed_epsilon=CLAIM))
    assert bundle.audit.verdict == "pass", bundle.audit.reason
    assert "the claim of 1.08 is not contradicted" in bundle.audit.reason


@pytest.mark.parametrize("wrong", ["members", "claim"])
def test_a_claim_that_was_not_tested_is_named(tmp_path: Path, wrong: str):
    world = make_world(tmp_path)
    world.release("lying", OVERFITTED, says=asdict(NOISY))
    claimed = 20.0 if wrong == "claim" else CLAIM
    subject = world.subject(NOISY, claimed_epsilon=claimed)
    if wrong == "members":
        lines = (world.root / "members.csv").read_text().splitlines()
        (world.root / "members.csv").write_text("\n".join(lines[:-1]))
    bundle = world.audit("lying", subject)
    assert bundle.audit.verdict == "insufficient evidence"
    said = bundle.audit.findings[-1]
    assert said.key == ("claim.withheld" if wrong == "members" else "claim.untested")
    assert said.parameters["claimed"] == claimed


def released_audits(epsilon: float, times: int, pairs: int = 100) -> Iterator[bool]:
    """Whether a claim of exactly `epsilon` is refuted for a mechanism of that epsilon.

    Every pair releases which of its records was trained on by randomized response, which no
    mechanism exceeds; half of the audits have shadow models that know nothing.
    """
    rng = np.random.default_rng(round(100 * epsilon))
    for number in range(times):
        side = draw_masks(10, pairs, int(rng.integers(2**31)))
        out = released(side, "randomized response", rng, epsilon)
        if number % 2:
            out[:8] = rng.normal(size=out[:8].shape)
        margin = rng.normal(0, 0.1, (pairs, 2)) + np.stack([-out, out], axis=-1)
        nothing = answers(np.zeros((10, 0), bool))
        pool, target = (
            Signals(
                answers(margin[rows] > 0, margin[rows]),
                answers(nothing.correct[rows, :, 0]),
                side[rows],
            )
            for rows in (slice(0, 8), slice(8, 9))
        )
        found = evaluate(pool, target, select("standard", 8), prior=0.5)
        checked = check_claimed(epsilon, measure_epsilon(found, target.side[0]))
        assert checked is not None
        yield checked.verdict == "falsified"


@pytest.mark.slow
@pytest.mark.parametrize("epsilon", [0.3, CLAIM, 2.0])
def test_a_mechanism_at_the_very_claim_is_refuted_in_at_most_5_of_100_audits(epsilon: float):
    times = 60
    wrong = sum(released_audits(epsilon, times))
    assert wrong <= stats.binom.ppf(0.999, times, 0.05)


@pytest.mark.slow
@pytest.mark.parametrize(("noise", "epochs"), [(1.0, 5), (4.0, 10), (20.0, 10)])
def test_honest_models_with_noise_are_never_refuted(tmp_path: Path, noise: float, epochs: int):
    """Every model of a pool is once the target, which drew its members by lot; the others are its
    shadows. It claims what the accountant grants for one record added, the lesser of the two."""
    models = 24
    recipe = other(dp=DpSgd(noise, 1.0), epochs=epochs)
    claim = min(m.estimate.value or 0.0 for m in accounted(recipe, 200))
    assert claim > 0
    world = make_world(tmp_path)
    subject = world.subject(recipe, pool={"models": models})
    prepared = world.prepared(subject)
    for number in range(len(shadows.plan_pool(subject, world.root, prepared).blocks)):
        shadows.train_block(subject, world.root, prepared, number, world.store)
    signals = shadows.shadow_signals(subject, world.root, prepared, world.store)
    pool = load_signals(signals.path)
    wrong = 0
    for model in range(models):
        couple = (model, model ^ 1)  # a model's complement would tell all about its sides
        rest = pool.of_models([k for k in range(models) if k not in couple])
        target = pool.of_models(slice(model, model + 1))
        found = evaluate(rest, target, select("standard", models - 2), prior=0.5)
        checked = check_claimed(claim, measure_epsilon(found, target.side[0]))
        wrong += checked is not None and checked.verdict == "falsified"
    assert wrong == 0
