"""A model that came as its outputs never passes on what shadow models would decide."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from outputs_world import (
    World,
    control,
    failed,
    lookup,
    make_world,
    measured,
    sklearn_fit,
    sure,
)
from pydantic import ValidationError
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from benchmarks.setups.cases import Case
from benchmarks.setups.faults import labels_permuted
from benchmarks.setups.records import draw
from memory_assets.errors import InputError
from memory_assets.reports.inputs import ReportInput
from memory_assets.reports.page import render
from memory_assets.store.artifacts import ArtifactStore
from memory_assets.validity.class_order import class_order

pytestmark = pytest.mark.slow

NEAREST = sklearn_fit(lambda _: KNeighborsClassifier(1))
FOREST = sklearn_fit(lambda seed: RandomForestClassifier(100, random_state=seed))
BOOSTED = sklearn_fit(lambda seed: GradientBoostingClassifier(n_estimators=30, random_state=seed))
HARMLESS = sklearn_fit(lambda _: LogisticRegression(C=0.01))
LENIENT = {"tpr_at_fpr_0.01": 0.99, "auc": 0.999}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return make_world(tmp_path)


def hard(p: np.ndarray) -> np.ndarray:
    return sure(p.shape[1], p.argmax(axis=1))


@pytest.mark.parametrize(
    "gate",
    [
        LENIENT,
        {"auc": 0.999},
        {"balanced_accuracy": 0.999},
        {"tpr_at_fpr_0.1": 0.99},
    ],
)
def test_without_shadow_models_nothing_passes_that_they_would_decide(world: World, gate) -> None:
    for name, p in {
        "nearest": world.trained(NEAREST),
        "labels": hard(world.trained(FOREST)),
        "boosted": world.trained(BOOSTED),
        "harmless": world.trained(HARMLESS),
    }.items():
        world.write(p, name)
        bundle = world.audit(name, gate=gate)
        assert bundle.audit.verdict == "insufficient evidence", name
        assert failed(bundle) == {"instrument"}, name
        assert "attacker: predictions" in bundle.audit.reason
        assert bundle.audit.findings[0].key == "verdict.invalid"


def test_without_shadow_models_a_leak_fails_all_the_same(world: World) -> None:
    world.write(world.trained(FOREST))
    bundle = world.audit(gate={"tpr_at_fpr_0.1": 0.2, "auc": 0.999})
    assert bundle.audit.verdict == "fail"
    assert control(bundle, "instrument").passed


def test_ties_are_broken_as_an_attacker_would(world: World) -> None:
    """Nearest neighbour is right on all members and on some of the others: guess among these."""
    p = world.trained(NEAREST)
    world.write(p)
    bundle = world.audit()
    pairs = world.prepared(world.subject()).pairing.pairs.ravel()
    right, inside = p[pairs, world.y[pairs]] == 1, world.members[pairs]
    n = int((~inside).sum())
    expected = np.floor(0.01 * n) / n * right[inside].mean() / right[~inside].mean()
    assert measured(bundle, "loss", "tpr_at_fpr_0.01") == pytest.approx(expected)
    assert expected > 0


def test_a_gate_that_attacks_do_not_decide_may_pass(world: World) -> None:
    world.write(world.trained(HARMLESS))
    assert world.audit(gate={"held_out_accuracy": 0.2}).audit.verdict == "pass"


def test_a_declared_attacker_is_said_first(world: World) -> None:
    world.write(world.trained(HARMLESS))
    bundle = world.audit(attacker="predictions", gate={"tpr_at_fpr_0.1": 0.5})
    assert bundle.audit.verdict == "pass"
    assert bundle.audit.findings[0].key == "verdict.declared"
    page = render(ReportInput(bundle, gate={"tpr_at_fpr_0.1": 0.5}))
    first = page.index("The owner declares an attacker")
    assert first < page.index("stays within its agreed limits")
    assert "シャドウモデルを持たない攻撃者" in render(ReportInput(bundle), "ja")


def test_who_has_shadow_models_cannot_declare_an_attacker_without(world: World) -> None:
    with pytest.raises(ValidationError, match="and calibrated_loss reads those"):
        world.subject(predictions={"shadows": "s.csv"}, attacker="predictions")
    with pytest.raises(ValidationError, match="reads those"):
        world.subject(predictions=None, fit="a:b", attacker="predictions")


def test_weak_attacks_alone_do_not_pass_where_there_are_shadow_models_either(world: World) -> None:
    world.write(world.trained(HARMLESS))
    world.write_shadows(HARMLESS)
    weak = world.audit(predictions={"shadows": "shadows.csv"}, attacks=["loss"], gate=LENIENT)
    assert weak.audit.verdict == "insufficient evidence"
    assert failed(weak) == {"instrument"}
    strong = world.audit(predictions={"shadows": "shadows.csv"}, gate=LENIENT)
    assert strong.audit.verdict == "pass", strong.audit.reason


def test_members_and_non_members_swapped(world: World) -> None:
    for name, fit in {"nearest": NEAREST, "forest": FOREST, "boosted": BOOSTED}.items():
        world.write(world.trained(fit), name)
        world.list_members(~world.members)
        for more in ({}, {"attacker": "predictions"}):
            bundle = world.audit(name, gate=LENIENT, **more)
            assert bundle.audit.verdict == "insufficient evidence"
            assert "member_list" in failed(bundle)
            assert "list of members" in bundle.audit.reason
    world.write(hard(world.trained(FOREST)), "labels")
    assert "member_list" in failed(world.audit("labels", gate=LENIENT))


def test_swapped_members_with_shadow_models(world: World) -> None:
    world.write(world.trained(FOREST))
    world.list_members(~world.members)
    world.write_shadows(FOREST)
    bundle = world.audit(predictions={"shadows": "shadows.csv"}, gate=LENIENT)
    assert bundle.audit.verdict == "insufficient evidence"
    assert "member_list" in failed(bundle)


@pytest.mark.parametrize("wrong", [0, 1, 200])
def test_a_column_trained_that_contradicts_the_list(world: World, wrong: int) -> None:
    trained = world.members.astype(int)
    trained[:wrong] = 0
    world.write(world.trained(HARMLESS), trained=trained)
    bundle = world.audit(gate=LENIENT, attacker="predictions")
    provenance = control(bundle, "provenance")
    if wrong:
        assert bundle.audit.verdict == "insufficient evidence"
        assert failed(bundle) == {"provenance"}
        assert f"contradicts the list of members in {wrong} of 450 records" in provenance.detail
    else:
        assert bundle.audit.verdict == "pass"
        assert "names the listed members" in provenance.detail


def test_a_claimed_epsilon_is_tested_without_shadow_models(world: World) -> None:
    world.write(world.trained(lookup))
    refuted = world.audit(claimed_epsilon=0.5, gate={})
    assert refuted.audit.verdict == "fail"
    assert "the claim of 0.5 is false" in refuted.audit.reason
    world.write(world.trained(HARMLESS), "harmless")
    open_claim = world.audit("harmless", claimed_epsilon=1.0, gate=LENIENT)
    assert "the claim of 1 is not contradicted" in open_claim.audit.reason
    assert open_claim.audit.verdict == "insufficient evidence"


def test_a_claim_that_an_invalid_audit_could_not_test_is_said_to_be_untested(world: World) -> None:
    world.write(world.trained(FOREST))
    world.list_members(~world.members)
    bundle = world.audit(claimed_epsilon=1.0)
    assert bundle.audit.verdict == "insufficient evidence"
    assert "The claim of epsilon 1 was not put to a test" in bundle.audit.reason


def test_an_honest_model_does_not_refute_its_claim(tmp_path: Path) -> None:
    refuted = 0
    for seed in range(4):
        (tmp_path / str(seed)).mkdir()
        world = make_world(tmp_path / str(seed), seed=seed)
        world.write(world.trained(HARMLESS))
        refuted += world.audit(claimed_epsilon=0.5).audit.verdict == "fail"
    assert refuted == 0


def test_outputs_in_another_order_than_the_labels(tmp_path: Path) -> None:
    """Twelve classes whose columns were sorted as text."""
    rng = np.random.default_rng(0)
    world = make_world(tmp_path)
    y = rng.integers(0, 12, 450)
    table = [
        "id,label,x",
        *(f"{i},{c},{v}" for i, c, v in zip(world.ids, y, world.x[:, 0], strict=True)),
    ]
    (tmp_path / "records.csv").write_text("\n".join(table))
    told = np.where(world.members | (rng.random(450) < 0.5), y, rng.integers(0, 12, 450))
    p = sure(12, told, 0.9)
    world.write(p, "right")
    world.write(p[:, np.argsort(np.arange(12).astype(str))], "as-text")
    right = world.audit("right", gate=LENIENT, attacker="predictions")
    assert control(right, "class_order").passed
    wrong = world.audit("as-text", gate=LENIENT, attacker="predictions")
    assert wrong.audit.verdict == "insufficient evidence"
    assert "class_order" in failed(wrong)
    assert "do not stand in the order of the labels" in wrong.audit.reason


def test_labels_that_belong_to_other_records_hide_no_leak(tmp_path: Path) -> None:
    """Neither a model nor its shadow models show by them what they remember: AUC .57 for .81."""
    case = Case("outputs", "digits", draw("digits", 0), "nearest")
    verdicts = {}
    for name, brought in (("right", case), ("permuted", labels_permuted(case))):
        (tmp_path / name).mkdir()
        bundle = brought.audit(tmp_path / name, ArtifactStore(tmp_path / "home"))
        verdicts[name] = bundle.audit.verdict, "class_order" in failed(bundle)
    assert verdicts == {"right": ("fail", False), "permuted": ("insufficient evidence", True)}
    assert "have nothing to do with the labels" in bundle.audit.reason


def test_who_answers_always_the_same_says_nothing_of_labels() -> None:
    labels = np.arange(200) % 2
    own = np.arange(100)
    for predicted, passes in (
        (np.zeros(200, dtype=int), True),
        (labels, True),
        (np.where(np.arange(200) % 3 > 0, labels, 1 - labels), True),
        (np.random.default_rng(0).integers(0, 2, 200), False),
    ):
        assert class_order(predicted, labels, 2, 0, own).passed is passes
        assert class_order(predicted, labels, 2, 0).passed


def confident(x, y, seed):
    """Sure of a record by how near it lies to one trained on: up to 5 nats on average."""

    def predict(asked):
        away = ((asked[:, None] - x[None]) ** 2).sum(-1)
        noise = np.random.default_rng(seed).normal(size=len(asked))
        margin = (2 * y[away.argmin(1)] - 1) * (2 + 3 * np.exp(-away.min(1))) + noise
        p = 1 / (1 + np.exp(-margin))
        return np.stack([1 - p, p], axis=1)

    return predict


@pytest.mark.parametrize("digits", [2, 4])
def test_rounded_probabilities_lose_little_and_say_so(world: World, digits: int) -> None:
    """By 1e-12 for what was rounded to 0, attacks by shadow models found next to nothing."""

    world.write_shadows(confident)
    p = world.trained(confident)
    world.write(p, "exact")
    world.write(np.round(p, digits), "rounded")
    found = {}
    for name in ("exact", "rounded"):
        bundle = world.audit(name, predictions={"shadows": "shadows.csv"})
        found[name] = measured(bundle, "lira_online_fixed", "auc")
        said = control(bundle, "precision")
        assert (said.value is not None) == (digits == 2 and name == "rounded"), said
        assert ("Answers were rounded" in said.detail) == (said.value is not None)
        assert "recipe_match" not in failed(bundle)
    assert found["exact"] > 0.75
    assert found["rounded"] == pytest.approx(found["exact"], abs=0.02)


def test_shadows_of_another_recipe_do_not_give_a_pass(world: World) -> None:
    world.write(world.trained(FOREST))
    world.write_shadows(HARMLESS)
    bundle = world.audit(predictions={"shadows": "shadows.csv"}, gate=LENIENT)
    assert bundle.audit.verdict in ("insufficient evidence", "fail")
    assert "recipe_match" in failed(bundle)


def test_shadows_that_repeat_the_target_are_no_shadows(world: World) -> None:
    """They answer alike about what nobody trained on, and unlike a model on its own members."""
    p = world.trained(FOREST)
    world.write(p)
    noise = np.random.default_rng(0)

    def answers(rows, k):
        del rows, k
        q = np.clip(p + noise.normal(0, 0.02, (len(p), 1)) * [1, -1], 0.001, 0.999)
        return q / q.sum(axis=1, keepdims=True)

    world.write_shadows(FOREST, answers=answers)
    bundle = world.audit(predictions={"shadows": "shadows.csv"}, gate=LENIENT)
    assert bundle.audit.verdict == "insufficient evidence"
    assert "does not look like one more shadow model" in control(bundle, "recipe_match").detail


def test_honest_shadows_stay_honest(world: World) -> None:
    for name, fit in {"nearest": NEAREST, "forest": FOREST, "harmless": HARMLESS}.items():
        world.write(world.trained(fit), name)
        world.write_shadows(fit)
        bundle = world.audit(name, predictions={"shadows": "shadows.csv"}, gate={"auc": 0.6})
        assert not failed(bundle), (name, bundle.audit.reason)
        assert bundle.audit.verdict == {"harmless": "pass"}.get(name, "fail"), name


def test_a_model_with_other_classes_than_renumbered_labels_is_refused(world: World) -> None:
    lines = (world.root / "records.csv").read_text().splitlines()
    cells = [line.split(",") for line in lines[1:]]
    shifted = [",".join([c[0], str(int(c[1]) + 3), *c[2:]]) for c in cells]
    (world.root / "records.csv").write_text("\n".join([lines[0], *shifted]))
    world.write(sure(5, world.y + 3, 0.9))
    with pytest.raises(InputError, match="5 columns prob_"):
        world.audit()
