"""Each control holds on a valid audit, at its stated rate, and fails on the fault it is for."""

import numpy as np
import pytest
import worlds
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from memory_assets.pool.signals import Signals
from memory_assets.statistics.roc import Roc
from memory_assets.validity.blind import blind_baseline
from memory_assets.validity.negative import negative_control
from memory_assets.validity.positive import memorisers, positive_control
from memory_assets.validity.recipe_match import recipe_match
from memory_assets.validity.scoring import paired_auc


@given(seed=st.integers(0, 10**6), n=st.integers(2, 60))
@settings(max_examples=30)
def test_paired_auc_is_the_auc_with_ties(seed, n):
    rng = np.random.default_rng(seed)
    x, z = rng.integers(0, 6, (2, n))
    found = paired_auc(x, z)
    expected = roc_auc_score(np.repeat([1, 0], n), np.concatenate([x, z]))
    assert found.value == pytest.approx(expected)
    assert 0 <= found.ci_low <= found.value <= found.ci_high <= 1


@pytest.mark.parametrize("leak", [0, 6])
def test_paired_interval_covers_where_pairs_oppose_each_other(leak):
    covered = delong = 0
    for seed in range(300):
        rng = np.random.default_rng(seed)
        asked, trained = rng.integers(0, 2, (2, 80))
        score = rng.normal(size=(80, 2)) + leak * (trained[:, None] == np.arange(2))
        rows = np.arange(80)
        x, z = score[rows, asked], score[rows, 1 - asked]
        found, other = paired_auc(x, z), Roc.of(x, z).auc()
        covered += found.ci_low <= 0.5 <= found.ci_high
        delong += other.ci_low <= 0.5 <= other.ci_high
    assert covered >= 273  # binomial(300, 0.95): 285 expected, 273 lies 3 sd below
    if leak:
        assert delong < 278  # records taken for independent: what the pairing is for


def test_constant_scores_leave_auc_at_one_half():
    found = paired_auc(np.zeros(50), np.zeros(50))
    assert (found.value, found.ci_low < 0.5 < found.ci_high) == (0.5, True)


@pytest.mark.parametrize("leak", [0, 1, 6])
def test_negative_control_holds_on_valid_audits(leak):
    failed = sum(
        not negative_control(worlds.ATTACKS, *worlds.world(16, 60, leak, seed), seed).passed
        for seed in range(80)
    )
    assert failed <= 4  # 1% each: 0.8 expected, more than 4 in 1 of 1,000


def test_negative_control_fails_where_members_differ_by_themselves():
    pool, target = worlds.world(16, 200, 0, 1)
    member = target.is_in[0]
    for signals in (pool, target):
        signals.pairs.score[...] += 1.0 * member[None, ..., None]
    control = negative_control({"likelihood": worlds.likelihood, "margin": margin}, pool, target, 0)
    assert not control.passed
    assert control.ci_low > 0.5
    assert "margin on pool model" in control.detail


def margin(_pool, targets, **_):
    return targets.pairs.score[..., 0]


def test_negative_control_fails_an_attack_that_reads_the_answer():
    def cheat(_pool, targets, **_):
        noise = np.random.default_rng(0).normal(size=targets.pairs.score.shape[:3])
        return noise + targets.is_in

    control = negative_control({"cheat": cheat}, *worlds.world(16, 100, 0, 2), 0)
    assert not control.passed
    assert control.ci_low > 0.5


def test_an_attack_with_its_sign_turned_is_no_less_wrong():
    def cheat(_pool, targets, **_):
        return -1.0 * targets.is_in

    assert not negative_control({"cheat": cheat}, *worlds.world(16, 100, 0, 2), 0).passed


def test_permuted_membership_is_really_attacked_again():
    seen = []

    def watching(pool, targets, **_):
        seen.append(targets.side[0].copy())
        return worlds.loss(pool, targets)

    pool, target = worlds.world(8, 50, 1, 3)
    negative_control({"watching": watching}, pool, target, 0)
    agreement = [(side == target.side[0]).mean() for side in seen]
    assert agreement == [1.0, 0.5]


@pytest.mark.parametrize("leak", [0, 3])
def test_positive_control_does_not_ask_that_the_pool_itself_leaks(leak):
    pool, target = worlds.world(16, 60, leak, 4)
    control = positive_control(worlds.ATTACKS, pool, target.side[0])
    assert control.passed
    assert control.ci_low > 0.85
    assert "made-up" in control.detail


def test_positive_control_fails_attacks_that_cannot_see():
    pool, target = worlds.world(32, 150, 3, 5)

    def blind(_pool, targets, **_):
        return np.random.default_rng(1).normal(size=targets.pairs.score.shape[:3])

    def turned(pool, targets, **_):
        return -worlds.likelihood(pool, targets)

    for bad in (blind, turned):
        control = positive_control({**worlds.ATTACKS, "bad": bad}, pool, target.side[0])
        assert not control.passed
        assert control.detail.startswith("bad cannot tell")


def test_positive_control_takes_a_real_overfitted_model():
    pool, target = worlds.world(32, 150, 3, 6)
    assert positive_control(worlds.ATTACKS, pool, target.side[0], overfitted=target).passed
    pool, target = worlds.world(32, 150, 0, 6)
    assert not positive_control(worlds.ATTACKS, pool, target.side[0], overfitted=target).passed


def test_made_up_memorisers_are_sure_of_what_they_trained_on():
    real, target = worlds.world(16, 20, 1, 7)
    pool, made = memorisers(real, target.side[0])
    assert (made.side == target.side).all()
    assert (pool.side == real.side).all()
    for signals in (pool, made):
        margin = signals.pairs.score[..., 0]
        assert margin[signals.is_in].mean() > 2.5
        assert margin[~signals.is_in].mean() < -2.5
        assert (signals.pairs.loss == np.logaddexp(0, -signals.pairs.score)).all()


def records(n, seed, features=8):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 2, features)), rng.integers(0, 2, n)


@pytest.mark.slow
def test_blind_baseline_holds_when_both_come_from_one_source():
    failed = sum(not blind_baseline(*records(40, seed), seed).passed for seed in range(30))
    assert failed <= 3  # at 1%: more than 3 in 1 of 4,000


@pytest.mark.parametrize(
    "change",
    [
        lambda x, members: x[members].__iadd__(0.6),
        lambda x, members: x[members].__imul__(2.5),
    ],
    ids=["mean", "spread"],
)
def test_blind_baseline_sees_a_shift(change):
    x, side = records(250, 3)
    members = (np.arange(250), side)
    x[members] = change(x, members)
    control = blind_baseline(x, side, 0)
    assert not control.passed
    assert control.ci_low > 0.5
    assert "differ by themselves" in control.detail


def test_blind_baseline_sees_labels_and_shrinks_large_records():
    x, side = records(200, 4)
    y = np.random.default_rng(5).integers(0, 3, (200, 2))
    assert blind_baseline(x.reshape(200, 2, 2, 4), side, 0, y).passed
    y[np.arange(200), side] = 0
    assert not blind_baseline(x, side, 0, y).passed
    wide, side = records(60, 6, features=300)
    assert blind_baseline(wide, side, 0).passed


def test_blind_baseline_pairs_near_copies_in_one_fold():
    # Both records of a pair nearly alike: a fold that split them would learn by heart.
    rng = np.random.default_rng(7)
    x = np.repeat(rng.normal(size=(100, 1, 5)), 2, axis=1) + 1e-3 * rng.normal(size=(100, 2, 5))
    assert blind_baseline(x, rng.integers(0, 2, 100), 0).passed


@pytest.mark.parametrize("features", [0, 3])
def test_records_that_are_all_alike_tell_nothing(features):
    control = blind_baseline(np.ones((30, 2, features)), np.zeros(30, dtype=int), 0)
    assert (control.passed, control.value) == (True, 0.5)


def test_blind_baseline_refuses_what_it_cannot_judge():
    x, side = records(10, 0)
    assert not blind_baseline(x, side, 0).passed
    x, side = records(30, 0)
    with pytest.raises(ValueError, match=r"\[29, 2"):
        blind_baseline(x, side[1:], 0)
    x[4, 1, 2] = np.inf
    with pytest.raises(ValueError, match="pair 4 is not finite"):
        blind_baseline(x, side, 0)


@pytest.mark.parametrize("held_out", [80, 0])
def test_recipe_match_holds_for_one_more_model(held_out):
    failed = sum(
        not recipe_match(*worlds.world(12, 60, 1, seed, held_out)).passed for seed in range(150)
    )
    assert failed <= 6  # at 1%: 1.5 expected, more than 6 in 1 of 1,000


@pytest.mark.parametrize(("shift", "found"), [(-2.0, "accuracy"), (6.0, "accuracy; loss")])
def test_recipe_match_fails_a_model_trained_otherwise(shift, found):
    pool, target = worlds.world(32, 60, 1, 8)
    other = Signals(
        target.pairs, worlds.answers(target.held_out.score[..., 0] + shift), target.side
    )
    control = recipe_match(pool, other)
    assert not control.passed
    assert found in control.detail
    assert "32 shadow models" in control.detail


def test_recipe_match_sees_the_loss_alone():
    pool, target = worlds.world(32, 60, 1, 9)
    sure = Signals(target.pairs, worlds.answers(3 * target.held_out.score[..., 0]), target.side)
    control = recipe_match(pool, sure)
    assert not control.passed
    assert " loss" in control.detail


def test_recipe_match_without_spread_or_models():
    pool, target = worlds.world(8, 20, 1, 10, held_out=10)
    for signals in (pool, target):
        signals.held_out.correct[...] = True
        signals.held_out.loss[...] = 0.25
    assert recipe_match(pool, target).passed
    few = Signals(target.pairs, target.held_out, target.side)
    assert not recipe_match(few, target).passed
    with pytest.raises(ValueError, match="one target"):
        recipe_match(pool, pool)


@pytest.mark.parametrize("control", [negative_control, positive_control])
def test_controls_need_an_attack(control):
    pool, target = worlds.world(8, 20, 1, 10)
    last = (target, 0) if control is negative_control else (target.side[0],)
    with pytest.raises(ValueError, match="at least one attack"):
        control({}, pool, *last)
