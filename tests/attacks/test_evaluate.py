"""The registry, bad input, and one target through every attack."""

from dataclasses import replace

import numpy as np
import pytest

from memory_assets.attacks.agreement import agreement
from memory_assets.attacks.evaluate import evaluate, shadow_thresholds
from memory_assets.attacks.registry import ATTACKS, select
from memory_assets.errors import InputError
from memory_assets.results.metrics import rate_of
from memory_assets.workflows.privacy_loss import measure_epsilon

CHEAP = tuple(a for a in ATTACKS.values() if a.name != "quantile")


def _spoil(signals, field, value, where=(0, 3, 1, 0)):
    array = getattr(signals.pairs, field).copy()
    array[where] = value
    return replace(signals, pairs=replace(signals.pairs, **{field: array}))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("field", ["score", "loss", "p_true"])
def test_signals_that_are_not_finite_are_named_by_position(field, value, world):
    small = world(pairs=60)
    pool, target = small.models(6), small.models(1, draw=1)
    for attack in ATTACKS.values():
        with pytest.raises(ValueError, match=r"pool is not finite at record .* \(3, 1\)"):
            attack.score(_spoil(pool, field, value), target)
        with pytest.raises(ValueError, match=r"target is not finite at record .* \(3, 1\)"):
            attack.score(pool, _spoil(target, field, value))


def test_a_record_with_one_model_on_a_side_is_named(make_signals):
    side = np.array([[0, 0], [0, 1], [0, 0], [1, 1]])
    pool = make_signals(np.zeros((4, 2, 2)), side)
    target = make_signals(np.zeros((1, 2, 2)), [[0, 1]])
    for attack in ATTACKS.values():
        if attack.sides:
            with pytest.raises(ValueError, match=r"too few (IN|OUT) models: 2 needed, 1 found at"):
                attack.score(pool, target)


def test_pool_and_targets_must_speak_of_the_same_records(world):
    with pytest.raises(ValueError, match="different records"):
        ATTACKS["loss"].score(world(pairs=5).models(4), world(pairs=6).models(1))
    small, empty = world(pairs=5), world(pairs=0)
    with pytest.raises(ValueError, match="against itself"):
        ATTACKS["loss"].score(small.models(4), small.models(1, draw=1), leave_one_out=True)
    with pytest.raises(ValueError, match="no pair"):
        ATTACKS["loss"].score(empty.models(4), empty.models(1))
    with pytest.raises(ValueError, match="at least one pair"):
        ATTACKS["base"].score(small.models(4), small.models(1, draw=1), block=0)


def test_calibrated_loss_by_hand(make_signals):
    pool = make_signals([[[0.0, 0.0]], [[0, 0]], [[2, 1]], [[3, 1]]], [[0], [0], [1], [1]])
    target = make_signals([[[1.0, 1.0]]], [[0]])
    expected = np.logaddexp(0, -np.array([[2.0, 3.0], [0, 0]])).mean(axis=1) - np.logaddexp(0, -1)
    assert ATTACKS["calibrated_loss"].score(pool, target)[0, 0] == pytest.approx(expected)
    assert ATTACKS["loss"].score(pool, target)[0, 0] == pytest.approx(-np.logaddexp(0, -1))


def test_sets_and_names_select_attacks():
    assert [a.name for a in select("standard", 64)] == [
        "loss",
        "calibrated_loss",
        "lira_online",
        "lira_offline",
        "rmia_offline",
        "bavaria",
    ]
    fixed = [a.name for a in select("standard", 63)]
    assert "lira_online_fixed" in fixed
    assert "lira_online" not in fixed
    assert len(select("thorough", 8)) == len(ATTACKS)
    assert [a.name for a in select(["base", "loss", "base"], 8)] == ["base", "loss"]
    assert [a.name for a in select("rmia_online", 8)] == ["rmia_online"]


@pytest.mark.parametrize("wanted", ["lira", ["loss", "typo"], [], "standart"])
def test_unknown_attacks_are_refused_in_one_line(wanted):
    with pytest.raises(InputError, match=r"attacks: unknown .* expected standard, thorough"):
        select(wanted, 64)


def test_one_target_through_every_attack(world, recwarn):
    small = world(pairs=200)
    pool, target = small.models(8), small.models(1, draw=1)
    found = evaluate(pool, target, tuple(ATTACKS.values()), prior=0.01)
    assert [r.attack.name for r in found.results] == list(ATTACKS)
    metrics = {m.metric for m in found.measurements}
    assert {"auc", "balanced_accuracy", "tpr_at_fpr_0.001", "jaccard_of_exposed"} <= metrics
    for kind in ("tpr", "fpr", "ppv"):
        assert f"{kind}_at_shadow_threshold_0.1" in metrics
    for m in found.measurements:
        assert m.family == "membership"
        assert m.estimate.n >= 1
        assert (m.estimate.value is None) == (m.estimate.status == "unresolvable")
        if m.metric.endswith("_0.001"):
            assert m.estimate.status == "unresolvable"
    for r in found.results:
        assert r.scores.shape == (200, 2)
        assert (r.curve.fpr[0], r.curve.fpr[-1], r.curve.tpr[-1]) == (0, 1, 1)
    assert not recwarn.list
    again = evaluate(pool, target, tuple(ATTACKS.values()), prior=0.01)
    assert again.measurements == found.measurements


def test_thresholds_of_the_shadows_keep_their_promise_on_fresh_targets(world):
    medium = world(pairs=500)
    pool, targets = medium.models(32), medium.models(16, draw=1)
    for name in ("loss", "lira_online_fixed", "bavaria"):
        threshold = shadow_thresholds(ATTACKS[name], pool)[0.1]
        scores = ATTACKS[name].score(pool, targets)
        achieved = np.mean(scores[~targets.is_in] > threshold.value)
        assert achieved == pytest.approx(0.1, abs=0.015)


def test_a_pool_too_small_to_calibrate_still_attacks(world):
    small = world(pairs=200)
    found = evaluate(
        small.models(4), small.models(1, draw=1), select(["lira_online"], 4), prior=0.5
    )
    result = {m.metric: m.estimate for m in found.measurements}
    assert result["auc"].status == "ok"
    assert result["tpr_at_shadow_threshold_0.1"].status == "unresolvable"
    assert found.results[0].exposed is None


def test_constant_scores_are_as_good_as_guessing(make_signals, recwarn):
    side = np.arange(8)[:, None] % 2 * np.ones((1, 100), int)
    pool = make_signals(np.full((8, 100, 2), 1.0), side)
    target = make_signals(np.full((1, 100, 2), 1.0), side[:1])
    for m in evaluate(pool, target, CHEAP, prior=0.5).measurements:
        if m.metric in ("tpr_at_fpr_0.1", "tpr_at_fpr_0.01"):
            assert m.estimate.value == pytest.approx(rate_of(m.metric))
        elif m.metric in ("auc", "balanced_accuracy"):
            assert m.estimate.value == 0.5
        elif m.metric == "tpr_at_fpr_0.001":
            assert m.estimate.status == "unresolvable"
    assert not recwarn.list


def test_evaluate_takes_one_target_some_attack_and_a_prior(world):
    small = world(pairs=20)
    pool, target = small.models(4), small.models(1, draw=1)
    with pytest.raises(ValueError, match="one target"):
        evaluate(pool, pool, CHEAP, prior=0.5)
    with pytest.raises(ValueError, match="no attack"):
        evaluate(pool, target, (), prior=0.5)
    with pytest.raises(ValueError, match="prior"):
        evaluate(pool, target, CHEAP, prior=0.0)


def test_agreement_by_hand():
    a = np.array([True, True, False, False, False])
    b = np.array([True, False, True, False, False])
    c = np.zeros(5, dtype=bool)
    found = {m.name: m.estimate for m in agreement({"a": a, "b": b, "c": c})}
    assert (found["a & b"].k, found["a & b"].n) == (1, 3)
    assert (found["a & c"].k, found["a & c"].n) == (0, 2)
    assert (found["all attacks"].k, found["all attacks"].n) == (0, 3)
    assert agreement({"c": c, "d": c})[0].estimate.status == "unresolvable"
    with pytest.raises(ValueError, match="same members"):
        agreement({"a": a, "b": b[:3]})


def test_a_rate_that_a_limit_names_is_measured_and_moves_no_other_figure(world):
    small = world(pairs=60)
    pool, target = small.models(16), small.models(1, draw=1)
    chosen = select("standard", pool.models)
    usual = evaluate(pool, target, chosen, prior=0.1)
    more = evaluate(pool, target, chosen, prior=0.1, more_rates=(0.05,))
    own = {m.metric for m in more.measurements} - {m.metric for m in usual.measurements}
    named = ("tpr_at_fpr", "tpr_at_shadow_threshold", "fpr_at_shadow_threshold")
    assert own == {f"{name}_0.05" for name in (*named, "ppv_at_shadow_threshold")}
    assert set(usual.measurements) <= set(more.measurements)
    sides = target.side[0]
    assert measure_epsilon(usual, sides) == measure_epsilon(more, sides)
