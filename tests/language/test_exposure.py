import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from tiny_language import TINY

from memory_assets.language import continuations as module
from memory_assets.language.continuations import (
    branch_log_p,
    continue_greedily,
    grow_trunk,
    sample_branches,
)
from memory_assets.language.exposure import (
    CHANCE,
    exposure,
    score_values,
    shared_start,
    skew_normal_bits,
)
from memory_assets.language.signals import token_signals


def test_exposure_by_hand():
    references = np.array([-5.0, -4.0, -3.0, -2.0, -9.0, -8.0, -7.0])
    found = exposure(-3.5, references)
    assert found.size == 8
    assert found.bits == pytest.approx(np.log2(8) - np.log2(3))
    assert exposure(-1.0, references).at_ceiling
    assert exposure(-1.0, references).bits == 3
    assert exposure(-10.0, references).bits == 0


def test_ties_count_against_the_secret():
    assert exposure(-2.0, np.full(7, -2.0)).bits == 0
    assert exposure(-2.0, np.array([-2.0, -3.0, -4.0])).bits == pytest.approx(1)
    assert exposure(-2.0, np.full(7, -2.0)).extrapolated is None


def test_an_unknown_secret_has_chance_exposure():
    rng = np.random.default_rng(0)
    bits = [exposure(*_split(rng.normal(size=501))).bits for _ in range(4000)]
    assert np.mean(bits) == pytest.approx(CHANCE, abs=0.07)


def _split(values):
    return values[0], values[1:]


@pytest.mark.parametrize("shape", [0.0, 2.0, -3.0])
def test_extrapolation_agrees_with_a_known_skew_normal(shape):
    references = np.asarray(stats.skewnorm.rvs(shape, -20, 2, size=100_000, random_state=1))
    for q in (0.5, 1e-3, 1e-5):
        secret = float(stats.skewnorm.isf(q, shape, -20, 2))
        bits = skew_normal_bits(secret, references)
        assert bits == pytest.approx(-np.log2(q), rel=0.06, abs=0.03)


def test_extrapolation_is_finite_where_the_tail_underflows_and_flagged():
    # Quantiles of a normal: no skewness, so the tail at 60 standard deviations is known.
    references = stats.norm.ppf((np.arange(2000) + 0.5) / 2000)
    found = exposure(60.0 * references.std(), references - references.mean())
    assert found.beyond
    assert found.extrapolated == pytest.approx(-stats.norm.logsf(60) / np.log(2), rel=1e-3)
    references = references - 30
    assert not exposure(-30.0, references).beyond


def test_no_references_or_numbers_are_refused():
    for secret, references in ((0.0, []), (0.0, [np.nan]), (np.nan, [0.0])):
        with pytest.raises(ValueError, match="exposure needs references"):
            exposure(secret, np.array(references))


@given(st.integers(1, 60), st.integers(0, 10_000))
def test_bits_lie_between_zero_and_the_ceiling(n, seed):
    rng = np.random.default_rng(seed)
    found = exposure(float(rng.integers(5)), rng.integers(0, 5, n).astype(float))
    assert 0 <= found.bits <= found.ceiling


def test_shared_start_leaves_each_a_token_of_its_own():
    assert shared_start([np.array([1, 2, 3]), np.array([1, 2, 4])]) == 2
    assert shared_start([np.array([1, 2]), np.array([1, 2, 4])]) == 1
    assert shared_start([np.array([1, 2, 3]), np.array([1, 2, 3])]) == 2
    assert shared_start([np.array([5, 2]), np.array([1, 2])]) == 0


def test_branches_agree_with_reading_everything(trained):
    secret = trained.manifest.secrets[0]
    values = [secret.value, "1", "12", "999999999", "no number"]
    rows = trained.model.encode_all([secret.prefix + v for v in values])
    whole = token_signals(trained.model, rows)
    total = np.add.reduceat(whole.log_p.astype(float), whole.offsets[:-1])
    got = score_values(trained.model, secret.prefix, values)
    shared = shared_start(rows)
    common = whole.log_p[: shared - 1].astype(float).sum()
    assert got == pytest.approx(total - common, rel=1e-4, abs=1e-3)


def test_a_trunk_serves_many_batches(trained):
    ids = trained.model.encode(trained.members.texts[0])
    trunk = grow_trunk(trained.model, ids[:10])
    first = branch_log_p(trunk, [ids[10:20]] * 300)
    assert first == pytest.approx(first[0], abs=1e-3)
    assert branch_log_p(trunk, [ids[10:20]])[0] == pytest.approx(first[0], abs=1e-3)


@pytest.fixture
def batches(trained, monkeypatch):
    """Rows and tokens of state of every pass that has a state to begin with."""
    seen = []
    forward = trained.model.model.forward

    def spy(*args, **kwargs):
        state = kwargs.get("past_key_values")
        before = state.get_seq_length() if state is not None else 0
        given = args[0] if args else kwargs["input_ids"]
        seen.append((given.shape[0], before + given.shape[1]))
        return forward(*args, **kwargs)

    monkeypatch.setattr(trained.model.model, "forward", spy)
    return seen


TOKEN_BYTES = TINY.layers * 2 * TINY.width * 4


def test_branches_at_once_are_bounded_by_the_state_that_each_copies(trained, batches, monkeypatch):
    ids = np.concatenate([trained.model.encode(t) for t in trained.members.texts[:4]])
    branches = [ids[i : i + 9] for i in range(40)]
    short, long = (grow_trunk(trained.model, ids[:n]) for n in (4, 80))
    whole = [branch_log_p(trunk, branches) for trunk in (short, long)]
    drawn = sample_branches(long, 9, 40, 5, 1.0, 0)
    greedy = continue_greedily(trained.model, np.stack([ids[i : i + 80] for i in range(7)]), 9)
    assert {rows for rows, _ in batches} == {1, 40, 7}

    bound = 3 * 89 * TOKEN_BYTES
    monkeypatch.setitem(module._STATE, "cpu", bound)
    batches.clear()
    assert branch_log_p(short, branches) == pytest.approx(whole[0], abs=1e-4)
    assert 3 < max(rows for rows, _ in batches) <= 3 * 89 // (4 + 9)
    batches.clear()
    assert branch_log_p(long, branches) == pytest.approx(whole[1], abs=1e-4)
    np.testing.assert_array_equal(sample_branches(long, 9, 40, 5, 1.0, 0), drawn)
    again = continue_greedily(trained.model, np.stack([ids[i : i + 80] for i in range(7)]), 9)
    np.testing.assert_array_equal(again, greedy)
    assert max(rows for rows, _ in batches) == 3
    assert max(rows * tokens * TOKEN_BYTES for rows, tokens in batches) <= bound
    # A bound below one branch reads them one by one.
    monkeypatch.setitem(module._STATE, "cpu", 1)
    assert branch_log_p(long, branches[:3]) == pytest.approx(whole[1][:3], abs=1e-4)


def test_a_long_branch_is_read_a_few_tokens_at_a_time(trained, batches, monkeypatch):
    ids = np.concatenate([trained.model.encode(t) for t in trained.members.texts[:4]])
    trunk = grow_trunk(trained.model, ids[:10])
    whole = branch_log_p(trunk, [ids[10:60]])
    monkeypatch.setattr(module, "_LOGITS", 7 * trained.model.vocabulary)
    batches.clear()
    assert branch_log_p(trunk, [ids[10:60]]) == pytest.approx(whole, abs=1e-4)
    assert batches == [(1, 10 + n) for n in (7, 14, 21, 28, 35, 42, 49)]


def test_samples_are_those_of_multinomial(trained):
    trunk = grow_trunk(trained.model, trained.model.encode(trained.members.texts[0])[:10])
    probabilities = trunk.logits.expand(50, -1).topk(5, dim=1)
    generator = torch.Generator().manual_seed(3)
    expected = torch.multinomial(probabilities.values.softmax(1), 1, generator=generator)
    got = sample_branches(trunk, 1, 50, 5, 1.0, 3)
    np.testing.assert_array_equal(got, probabilities.indices.gather(1, expected).numpy())
