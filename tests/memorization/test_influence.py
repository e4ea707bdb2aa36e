"""Influence on held-out records: planted effects are found, none are invented, blocks agree."""

import learners
import numpy as np
import pytest
from scipy import stats

from memory_assets.memorization import influence as module
from memory_assets.memorization.evaluation import _hypergeometric_tail, evaluation
from memory_assets.memorization.gain import measure_gain
from memory_assets.memorization.influence import influence, step_up
from memory_assets.memorization.kinds import KINDS, Limits, classify, measure_kinds
from memory_assets.memorization.per_record import MEMORIZED, score_records
from memory_assets.memorization.profile import profile


def planted(models=64, pairs=30, held_out=40, seed=0):
    """Record (0, 1) decides held-out records 0 to 4; record (1, 0) is memorized and of no use."""
    rng = np.random.default_rng(seed)
    side = learners.masks(models, pairs, rng)
    inside = learners.is_in(side)
    correct = rng.random((models, pairs, 2)) < 0.97
    for place in ((0, 1), (1, 0)):
        correct[:, *place] = inside[:, *place]
    held = rng.random((models, held_out)) < 0.9
    held[:, :5] = inside[:, 0, 1, None] ^ (rng.random((models, 5)) < 0.05)
    return learners.pool(side, correct, held_out=held)


def test_mean_influence_is_the_difference_of_held_out_accuracy():
    signals = planted()
    found = influence(signals)
    accuracy = signals.held_out.correct[..., 0].mean(axis=1)
    inside = signals.is_in
    for place in ((0, 0), (0, 1), (7, 1)):
        rows = inside[:, *place]
        assert found.mean[place] == pytest.approx(accuracy[rows].mean() - accuracy[~rows].mean())
    # The interval is Student's over couples.
    change = np.where(inside[0::2, 7, 1], 1, -1) * (accuracy[0::2] - accuracy[1::2])
    low, high = stats.t.interval(0.95, 31, change.mean(), stats.sem(change))
    assert (found.low[7, 1], found.high[7, 1]) == pytest.approx((low, high), rel=1e-6)


def test_planted_influence_is_found_and_nothing_else():
    found = influence(planted())
    assert found.helped[0, 1] == 5
    assert found.helped.sum() == 5
    assert found.clear[0, 1]
    assert found.clear.sum() == 1


def test_code_of_a_pair_is_the_exact_sign_test():
    signals = planted(models=32)
    signs = 1.0 - 2.0 * signals.side[0::2].astype(np.float32)
    found = evaluation(signals, signs)
    p = found.p_values[found.codes(signs[:, :3])[1]]
    held = signals.held_out.correct[..., 0].astype(int)
    kept = np.flatnonzero((held[0::2] != held[1::2]).sum(axis=0) >= 5)
    inside = signals.is_in[0::2, 2, 1]
    for column in (0, len(kept) - 1):
        with_it = np.where(inside, held[0::2, kept[column]], held[1::2, kept[column]])
        without = np.where(inside, held[1::2, kept[column]], held[0::2, kept[column]])
        plus, minus = int((with_it > without).sum()), int((with_it < without).sum())
        expected = stats.binomtest(plus, plus + minus, alternative="greater").pvalue
        assert p[2, column] == pytest.approx(expected)


def test_tail_of_outcomes_is_fishers():
    tail = _hypergeometric_tail(12).reshape(13, 13, 13)
    for trained, right, both in ((5, 7, 3), (6, 6, 6), (1, 11, 1), (4, 2, 0)):
        expected = stats.hypergeom.sf(both - 1, 12, right, trained)
        assert tail[trained, right, both] == pytest.approx(expected)


def test_blocks_do_not_change_a_count(monkeypatch):
    whole = influence(planted())
    monkeypatch.setattr(module, "_BLOCK_CELLS", 100)
    parts = influence(planted())
    assert (whole.helped == parts.helped).all()


@pytest.mark.parametrize("held_out", [30, 0])
def test_no_influence_is_rarely_seen(held_out):
    seen = clear = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        side = learners.masks(32, 25, rng)
        signals = learners.pool(
            side, rng.random((32, 25, 2)) < 0.6, held_out=rng.random((32, held_out)) < 0.6
        )
        found = influence(signals)
        seen += bool(found.helped.any())
        clear += bool(found.clear.any())
    assert seen <= 8  # at 5%: 3 expected, 8 at 1 in 100
    assert clear <= 8


def test_a_strong_record_does_not_make_its_neighbours_influential():
    # One record decides 40 held-out ones: by chance others agree with its sides. FDR stays 5%.
    share = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        side = learners.masks(64, 40, rng)
        held = (side[:, :1] == 1) ^ (rng.random((64, 40)) < 0.1)
        found = influence(learners.pool(side, rng.random((64, 40, 2)) < 0.7, held_out=held))
        assert found.helped[0].tolist() == [0, 40]
        share.append(found.helped[1:].sum() / found.helped.sum())
    assert np.mean(share) < 0.1


def test_without_held_out_records_the_other_pairs_serve():
    rng = np.random.default_rng(1)
    side = learners.masks(64, 30, rng)
    inside = learners.is_in(side)
    correct = rng.random((64, 30, 2)) < 0.8
    # Whoever did not train on (9, 0) knows it only from (3, 1).
    correct[:, 9, 0] = inside[:, 9, 0] | inside[:, 3, 1]
    found = influence(learners.pool(side, correct))
    assert found.helped[3, 1] == 1
    assert found.helped.sum() == 1
    # A record says nothing of itself or of its partner, which is never unseen together with it.
    memoriser = influence(learners.memoriser(64, 30))
    assert memoriser.helped.sum() == 0


def test_benjamini_hochberg_with_counts_is_that_of_the_list():
    p = np.array([0.001, 0.008, 0.039, 0.041, 0.042, 0.06, 0.074, 0.205, 0.212, 0.216])
    rejected = stats.false_discovery_control(p) <= 0.05
    assert step_up(p, np.ones(10, dtype=int), 0.05) == p[rejected].max() == 0.008
    repeated, counts = np.array([0.5, 0.02, 0.01]), np.array([3, 2, 1])
    listed = np.repeat(repeated, counts)
    rejected = stats.false_discovery_control(listed) <= 0.05
    assert step_up(repeated, counts, 0.05) == listed[rejected].max()
    assert step_up(np.array([0.5]), np.array([4]), 0.05) == -1.0


def test_kinds_tell_memorization_that_pays_from_memorization_that_leaks():
    # Accuracy of 400 held-out records is steady enough for a gain of 2% to be ruled out.
    signals = planted(models=128, held_out=400)
    records, paying, limits = score_records(signals), influence(signals), Limits(gain=0.02)
    kinds = classify(records, paying, limits)
    assert kinds[0, 1] == "useful memorization"
    assert kinds[1, 0] == "pure leakage"
    assert kinds[5, 0] == "generalized"
    shares = {m.metric: m.estimate for m in measure_kinds(records, paying, kinds, limits)}
    assert shares["share_useful_memorization"].k == 1
    assert sum(e.k or 0 for e in shares.values()) == kinds.size


@pytest.mark.parametrize("models", [64, 256])
def test_records_right_at_the_line_put_no_share_of_memorization_above_the_truth(models):
    """Of 600 records that all lie just below 0.25, some seem memorized; none surely is."""
    seeming = 0
    for seed in range(4):
        rng = np.random.default_rng(seed)
        side = learners.masks(models, 300, rng)
        chance = np.where(learners.is_in(side), 0.745, 0.5)
        correct = rng.random((models, 300, 2)) < chance
        seen = rng.random((models, 50)) < 0.7
        found = profile(learners.pool(side, correct, held_out=seen))
        shares = {m.metric: m.estimate for m in found.measurements if m.name == "kinds"}
        both = [shares[f"share_{kind}"] for kind in ("useful_memorization", "pure_leakage")]
        assert [share.ci_low for share in both] == [0, 0]
        seeming += (found.records.low > MEMORIZED).sum()
        # Whatever is not surely of another kind may be of this one.
        assert all(e.ci_low <= e.value <= e.ci_high for e in shares.values())
    assert seeming


def test_kinds_are_undecided_where_the_pool_is_small():
    found = profile(learners.memoriser(4, 20))
    assert (found.kinds == "undecided").all()
    # A constant learner needs 8 models a side before right and wrong can be told from one half.
    kinds = profile(learners.constant(32, 20)).kinds
    assert (kinds[:, 0] == "generalized").all()
    assert (kinds[:, 1] == "hard").all()
    assert set(kinds.ravel()) <= set(KINDS)


def gain_of(signals):
    return {m.metric: m.estimate for m in measure_gain(signals)}


def test_gain_of_memorized_records_covers_what_was_planted():
    covered, values = 0, []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        side = learners.masks(64, 60, rng)
        inside = learners.is_in(side)
        memorized = np.zeros((60, 2), dtype=bool)
        memorized[:15, 0] = True
        chance = np.where(memorized, np.where(inside, 0.97, 0.05), 0.9)
        number = (inside & memorized).sum(axis=(1, 2))
        held = rng.random((64, 150)) < (0.6 + 0.01 * (number - 7.5))[:, None]
        found = gain_of(learners.pool(side, rng.random((64, 60, 2)) < chance, held_out=held))
        one, all_of_them = found["held_out_gain_per_record"], found["held_out_gain"]
        assert all_of_them.value == pytest.approx(15 * one.value, rel=0.1)
        covered += one.ci_low <= 0.01 <= one.ci_high
        values.append(one.value)
    assert covered >= 52  # binomial(60, 0.95): 57 expected, 52 lies 3 sd below
    assert np.mean(values) == pytest.approx(0.01, abs=0.001)


def test_luck_of_a_model_is_not_taken_for_gain():
    # Models differ in quality on everything, records of the pairs and held-out alike, and nothing
    # is memorized: records chosen and judged on the same models would look useful.
    covered = resolved = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        side = learners.masks(32, 150, rng)
        quality = rng.uniform(0.3, 0.8, 32)[:, None]
        correct = rng.random((32, 150, 2)) < quality[..., None]
        found = gain_of(learners.pool(side, correct, held_out=rng.random((32, 100)) < quality))
        one = found["held_out_gain_per_record"]
        if one.value is not None:
            resolved += 1
            covered += one.ci_low <= 0 <= one.ci_high
    assert resolved > 20
    assert covered >= 0.85 * resolved


@pytest.mark.parametrize("signals", [learners.memoriser(4, 10), learners.constant(32, 10)])
def test_gain_that_cannot_be_told_is_unresolvable(signals):
    for estimate in gain_of(signals).values():
        assert estimate.status == "unresolvable"


def test_constant_held_out_accuracy_leaves_an_interval():
    side = learners.masks(32, 10, np.random.default_rng(0))
    signals = learners.pool(side, learners.is_in(side), held_out=np.ones((32, 20), dtype=bool))
    found = influence(signals)
    assert (found.mean == 0).all()
    assert (found.low < 0).all()
    assert (found.high > 0).all()
    assert not found.clear.any()
    assert found.tests == 0
