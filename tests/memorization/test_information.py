"""Information bounds against the learners whose answer is known, and against closed forms."""

import learners
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import entropy

from memory_assets.memorization.complementary_pairs import has_couples, shuffled
from memory_assets.memorization.information import (
    information,
    mutual_information,
    risk_bound,
)
from memory_assets.pool.signals import Answers, Signals

LABEL_BITS = ("f_cmi", "ld_cmi", "ld_mi", "e_cmi")


def rows(signals, seed=0, **options):
    found = information(signals, seed, **options)
    return {(m.stratum, m.name, m.metric): m.estimate for m in found.measurements}, found


@pytest.mark.parametrize("models", [32, 256])
def test_memoriser_gives_away_one_bit_a_pair(models):
    found, whole = rows(learners.memoriser(models, 60))
    for name in LABEL_BITS:
        assert found["label", name, "information"].value == pytest.approx(1.0)
    for name in ("f_cmi", "ld_cmi", "ld_mi"):
        bound = found["label", name, "bound"]
        assert bound.value == pytest.approx(np.sqrt(2 * np.log(2)))
        assert bound.status == "vacuous"
    assert found["label", "e_cmi", "risk_bound"].status == "vacuous"
    assert found["label", "interpolating", "risk_bound"].value == pytest.approx(1.0)
    assert found["score", "barber_agakov", "information"].value == pytest.approx(1.0, abs=1e-3)
    assert found["score", "fano", "information"].value == 1.0
    assert whole.label_bits == pytest.approx(np.ones(60))
    assert whole.score_bits == pytest.approx(np.ones(60), abs=1e-3)


@pytest.mark.parametrize("models", [32, 256])
def test_coin_gives_nothing_beyond_its_null(models):
    found, _ = rows(learners.coin(models, 300))
    for name in LABEL_BITS:
        null = found["label", name, "information_null"]
        width = null.ci_high - null.ci_low
        assert abs(found["label", name, "information"].value - null.value) < 1.5 * width
    # The plug-in floor: (symbols - 1)/(2K) nats for three symbols.
    floor = 2 / (2 * models) / np.log(2)
    assert found["label", "ld_cmi", "information_null"].value == pytest.approx(floor, rel=0.25)
    for name in ("barber_agakov", "fano"):
        assert found["score", name, "information"].value < 0.002
    accuracy = found["score", "fano", "pair_accuracy"]
    assert accuracy.ci_low < 0.5 < accuracy.ci_high


@pytest.mark.parametrize("models", [32, 256])
def test_constant_gives_nothing_at_all(models):
    found, _ = rows(learners.constant(models, 60))
    for (stratum, name, metric), estimate in found.items():
        if metric.startswith("information"):
            assert estimate.value == 0.0, (stratum, name, metric)
    assert found["label", "f_cmi", "bound"].value == 0.0
    assert found["label", "f_cmi", "bound"].ci_high > 0.0
    # It errs in training, so the interpolating bound does not apply; its risk is bounded by 0.5.
    assert found["label", "interpolating", "risk_bound"].status == "not_run"
    assert found["label", "e_cmi", "risk_bound"].value == pytest.approx(0.5)


@pytest.mark.parametrize(("models", "tolerance"), [(32, 0.02), (256, 0.008)])
def test_interpolator_gives_its_error_in_bits(models, tolerance):
    found, whole = rows(learners.interpolator(models, 400, error=0.3), shuffles=4)
    bits = found["label", "ld_cmi", "information"]
    assert bits.value == pytest.approx(0.3, abs=tolerance)
    bound = found["label", "interpolating", "risk_bound"]
    assert bound.value == pytest.approx(bits.value)
    assert bound.status == "ok"
    assert whole.label_bits.mean() == pytest.approx(bits.value)


def test_the_two_channels_are_apart():
    # Always right, so labels tell nothing; margins tell all.
    rng = np.random.default_rng(0)
    side = learners.masks(64, 80, rng)
    score = 5 + 10 * learners.is_in(side) + rng.normal(size=(64, 80, 2))
    found, _ = rows(learners.pool(side, score > 0, score=score))
    assert found["label", "f_cmi", "information"].value == 0.0
    assert found["score", "barber_agakov", "information"].value > 0.99
    assert found["score", "fano", "information"].value == 1.0


def test_gaussian_score_channel_stays_below_the_truth_and_near_it():
    # Two margins shifted by d = 1 IN: the log odds are normal with mean and half variance d^2.
    rng = np.random.default_rng(1)
    side = learners.masks(128, 400, rng)
    score = 1.0 * learners.is_in(side) + rng.normal(size=(128, 400, 2))
    found, _ = rows(learners.pool(side, score > 0, score=score), shuffles=2)
    odds = rng.normal(1.0, np.sqrt(2.0), 10**6)
    truth = 1 - np.logaddexp(0, -odds).mean() / np.log(2)
    ba = found["score", "barber_agakov", "information"]
    # Means estimated from 48 models a side cost some of it.
    assert truth - 0.03 < ba.value < truth + 0.005
    assert found["score", "fano", "information"].value < ba.value
    # The best guess by the odds is right with probability Phi(1/sqrt 2).
    assert found["score", "fano", "pair_accuracy"].value == pytest.approx(0.7602, abs=0.01)


def test_few_models_do_not_make_the_score_channel_invent_information():
    for seed in range(10):
        found, _ = rows(learners.coin(8, 100, seed=seed), shuffles=2)
        assert found["score", "barber_agakov", "information"].value < 0.01


@pytest.mark.parametrize("models", [4, 6])
def test_score_channel_needs_eight_models(models):
    found, whole = rows(learners.coin(models, 20))
    assert found["score", "barber_agakov", "information"].status == "unresolvable"
    assert whole.score_bits is None
    assert found["label", "ld_cmi", "information"].status == "ok"


def test_f_cmi_reads_labels_and_not_only_errors():
    # Wrong in a different way IN and OUT: the loss is the same, the label is not.
    side = learners.masks(32, 10, np.random.default_rng(0))
    inside = learners.is_in(side)
    base = learners.pool(side, np.zeros((32, 10, 2), dtype=bool))
    pairs = Answers(**{**vars(base.pairs), "label_pred": inside[..., None].astype(np.int32) + 1})
    found, _ = rows(Signals(pairs, base.held_out, side))
    assert found["label", "f_cmi", "information"].value == pytest.approx(1.0)
    assert found["label", "ld_cmi", "information"].value == 0.0


def test_bounds_by_hand_for_one_pair():
    # Eight models; D = L1 - L0 is +1 for three of the four on side 0, else 0.
    side = np.array([[0], [1]] * 4, dtype=np.uint8)
    correct = np.ones((8, 1, 2), dtype=bool)
    correct[[0, 2, 4], 0, 1] = False
    found, _ = rows(learners.pool(side, correct), shuffles=2)
    mixed = entropy([1 / 5, 4 / 5])
    nats = np.log(2) - 5 / 8 * mixed
    assert found["label", "ld_cmi", "information"].value == pytest.approx(nats / np.log(2))
    assert found["label", "ld_mi", "information"].value == pytest.approx(nats / np.log(2))
    assert found["label", "ld_cmi", "bound"].value == pytest.approx(np.sqrt(2 * nats))
    # E[D^2] = 3/8, and (-1)^U D is OUT minus IN loss: 3/8 as well.
    expected = np.sqrt(2 * (3 / 8 + 3 / 8) * nats)
    assert found["label", "conditional_f_information", "bound"].value == pytest.approx(expected)


def test_mutual_information_of_tables():
    independent = np.array([[2, 2], [3, 3], [0, 0]])
    assert mutual_information(independent) == pytest.approx(0.0)
    assert mutual_information(np.array([[4, 0], [0, 4]])) == pytest.approx(np.log(2))


@given(error=st.floats(0.0, 0.95), nats=st.floats(0.0, 1.0))
def test_risk_bound_solves_the_binary_kl(error, nats):
    risk = risk_bound(error, nats)
    assert error <= risk <= 1.0
    middle = (error + risk) / 2
    kl = entropy([error, 1 - error], [middle, 1 - middle])
    if risk < 1.0:
        assert kl == pytest.approx(nats, abs=1e-6)
    else:
        assert kl <= nats + 1e-6


def test_risk_bound_without_training_error_is_closed_form():
    assert risk_bound(0.0, 0.2) == pytest.approx(2 * (1 - np.exp(-0.2)))
    assert risk_bound(0.0, np.log(2)) == 1.0


def test_new_masks_follow_the_design_of_the_old():
    rng = np.random.default_rng(0)
    couples = learners.masks(8, 30, rng)
    assert has_couples(shuffled(couples, rng))
    assert (shuffled(couples, rng) != couples).any()
    other = np.array([[0, 1], [0, 0], [1, 1], [1, 0], [0, 1]], dtype=np.uint8)
    drawn = shuffled(other, rng)
    assert (drawn.sum(axis=0) == other.sum(axis=0)).all()


def test_null_respects_that_couples_are_dependent():
    # Each couple answers alike but for a coin that it shares with opposite signs: permuting the
    # masks over all models would promise less chance information than there is.
    rng = np.random.default_rng(2)
    side = learners.masks(32, 400, rng)
    luck = rng.random((16, 400)) < 0.5
    first = np.stack([luck, ~luck], axis=1).reshape(32, 400)
    correct = np.stack([first, np.ones_like(first)], axis=-1)
    found, _ = rows(learners.pool(side, correct))
    bits, null = (found["label", "ld_cmi", m] for m in ("information", "information_null"))
    assert null.ci_low < bits.value < null.ci_high


def test_same_seed_same_numbers():
    signals = learners.coin(8, 10)
    first = rows(signals, seed=3, shuffles=4)[0]
    assert first == rows(signals, seed=3, shuffles=4)[0]
    assert first != rows(signals, seed=4, shuffles=4)[0]


def test_a_margin_that_is_not_finite_is_refused_by_position():
    signals = learners.coin(16, 10)
    signals.pairs.score[3, 7, 1, 0] = np.inf
    with pytest.raises(ValueError, match=r"\(7, 1\) is not finite"):
        information(signals, 0)
