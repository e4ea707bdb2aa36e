import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import GenerationConfig

from memory_assets.language.continuations import continue_greedily, grow_trunk, sample_branches
from memory_assets.language.extraction import (
    bleu,
    edit_distance,
    greedy_extractable,
    near_verbatim,
    np_extractable,
    probe_places,
    read_extraction,
    success_in,
)
from memory_assets.language.signals import NEAR_TIE, Sampling, TokenSignals, token_signals

pytestmark = pytest.mark.slow

PREFIX, SUFFIX = 8, 10


def generated(model, prefix, length):
    """What the library's own greedy generation gives, one prompt at a time."""
    config = GenerationConfig(
        do_sample=False, max_new_tokens=length, min_new_tokens=length, pad_token_id=1
    )
    given = torch.tensor(np.asarray(prefix)[None])
    mask = torch.ones_like(given)
    return model.model.generate(given, attention_mask=mask, generation_config=config)[
        0, len(prefix) :
    ].numpy()


def probes(trained):
    texts = [*trained.members.texts, *trained.held_out.texts[:20]]
    rows = [ids[: PREFIX + SUFFIX] for ids in trained.model.encode_all(texts)]
    return [ids for ids in rows if len(ids) == PREFIX + SUFFIX]


def read_at(signals, prefix, suffix):
    """One probe of each sequence, after its first `prefix` tokens."""
    ones = np.ones(len(signals), dtype=np.int64)
    return read_extraction(signals, probe_places(signals, prefix * ones, ones), suffix * ones)


def test_one_pass_finds_exactly_what_generation_recites(trained):
    rows = probes(trained)
    truth = np.array(
        [(generated(trained.model, ids[:PREFIX], SUFFIX) == ids[PREFIX:]).all() for ids in rows]
    )
    read = read_at(token_signals(trained.model, rows), PREFIX, SUFFIX)
    greedy, near = greedy_extractable(trained.model, rows, [PREFIX] * len(rows))
    # A near tie may fall either way; there must be few, and everything else must agree.
    assert 0.1 < truth.mean() < 0.9
    assert read.near_tie.sum() <= 1
    clear = ~(read.near_tie | near)
    np.testing.assert_array_equal(read.greedy[clear], truth[clear])
    np.testing.assert_array_equal(greedy[clear], truth[clear])


def test_own_generation_is_the_librarys(trained):
    rows = np.stack(probes(trained)[:12])
    mine = continue_greedily(trained.model, rows[:, :PREFIX], SUFFIX)
    for row, made in zip(rows, mine, strict=True):
        np.testing.assert_array_equal(made, generated(trained.model, row[:PREFIX], SUFFIX))


def test_near_ties_are_told_from_clear_calls():
    def of(*margins):
        flat = np.array(margins, np.float32).ravel()
        zeros = np.zeros(len(flat), np.float32)
        return TokenSignals(
            1, np.arange(0, len(flat) + 1, 3), zeros, zeros, zeros, zeros.astype(np.int32),
            flat > 0, flat, zeros,
        )  # fmt: skip

    tie = NEAR_TIE / 2
    signals = of([1, 1, 1], [1, tie, 1], [1, -tie, 1], [-5, tie, 1], [1, -1, 1])
    read = read_at(signals, 1, 3)
    assert read.greedy.tolist() == [True, True, False, False, False]
    assert read.near_tie.tolist() == [False, True, True, False, False]


def test_sampled_extraction_agrees_with_ten_thousand_samples(trained):
    sampling = Sampling(temperature=1.3, top_k=4)
    compared = 0
    for ids in probes(trained)[::11]:
        row, start = ids[: PREFIX + 3], PREFIX
        signals = token_signals(trained.model, [row], sampling=sampling)
        log_p = read_at(signals, start, 3).log_p[0]
        drawn = sample_branches(
            grow_trunk(trained.model, row[:start]), 3, 10_000, sampling.top_k, 1.3, seed=0
        )
        share = (drawn == row[start:]).all(axis=1).mean()
        p = np.exp(log_p)
        assert abs(share - p) <= 4 * np.sqrt(p * (1 - p) / 10_000) + 1e-4
        compared += 0.01 < p < 0.99
    assert compared >= 2


def test_success_is_exact_at_both_ends():
    log_p = np.array([-np.inf, np.log(1e-12), np.log(0.5), 0.0])
    assert success_in(log_p, 1000) == pytest.approx([0, 1e-9, 1, 1], rel=1e-6)
    assert success_in(np.array([np.log(0.1)]), 2) == pytest.approx(1 - 0.9**2)
    assert np_extractable(np.log([0.1, 0.3]), 2, 0.5).tolist() == [False, True]


def test_a_token_outside_top_k_makes_extraction_impossible(trained):
    rows = trained.model.encode_all(list(trained.held_out.texts[:5]))
    signals = token_signals(trained.model, rows, sampling=Sampling(1.0, 1))
    read = read_at(signals, PREFIX, SUFFIX)
    assert (read.log_p == -np.inf).all()
    assert not np_extractable(read.log_p, 10**6, 0.01).any()


def naive_distance(a, b):
    table = np.zeros((len(a) + 1, len(b) + 1), int)
    table[:, 0], table[0] = np.arange(len(a) + 1), np.arange(len(b) + 1)
    for i in range(len(a)):
        for j in range(len(b)):
            table[i + 1, j + 1] = min(
                table[i, j] + (a[i] != b[j]), table[i, j + 1] + 1, table[i + 1, j] + 1
            )
    return table[-1, -1]


@given(st.lists(st.integers(0, 3), max_size=9), st.lists(st.integers(0, 3), max_size=9))
def test_edit_distance_agrees_with_the_textbook(a, b):
    got = edit_distance(np.array([a], int).reshape(1, -1), np.array([b], int).reshape(1, -1))
    assert got[0] == pytest.approx(naive_distance(a, b) / max(len(a), len(b), 1))


def test_bleu_by_hand():
    truth = np.arange(10)
    assert bleu(truth, truth) == 1
    assert bleu(truth + 100, truth) == 0
    # One wrong token at the end: 9/10 * 8/9 * 7/8 * 6/7 of the n-grams.
    assert bleu(np.array([*range(9), 99]), truth) == pytest.approx(0.6**0.25)


def test_near_verbatim_covers_what_is_recited_word_for_word(trained):
    rows = probes(trained)
    exact, _ = greedy_extractable(trained.model, rows, [PREFIX] * len(rows))
    near = near_verbatim(trained.model, rows, [PREFIX] * len(rows), batch=7)
    assert near[exact].all()
    assert near_verbatim(trained.model, [], []).shape == (0,)


def test_no_probes_and_hopeless_probes(trained):
    none, _ = greedy_extractable(trained.model, [], [])
    assert none.shape == (0,)
    row = np.full(PREFIX + 2, 5)
    found, _ = greedy_extractable(trained.model, [row], [PREFIX])
    truth = (generated(trained.model, row[:PREFIX], 2) == row[PREFIX:]).all()
    assert found[0] == truth
