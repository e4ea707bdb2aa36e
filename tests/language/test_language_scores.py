import zlib
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory_assets.language import scores, text_audit
from memory_assets.language.signals import TokenSignals
from memory_assets.language.windows import Windows
from memory_assets.records.texts import Texts


def signals(*log_p, mean=None, variance=None):
    flat = np.concatenate([np.asarray(x, np.float32) for x in log_p])
    n = len(flat)
    return TokenSignals(
        first=1,
        offsets=np.concatenate([[0], np.cumsum([len(x) for x in log_p])]),
        log_p=flat,
        mean=np.zeros(n, np.float32) if mean is None else np.asarray(mean, np.float32),
        variance=np.ones(n, np.float32) if variance is None else np.asarray(variance, np.float32),
        rank=np.zeros(n, np.int32),
        agrees=np.zeros(n, bool),
        margin=np.zeros(n, np.float32),
        log_q=flat,
    )


def test_loss_is_the_mean_log_probability():
    assert scores.loss(signals([-1, -3], [-2, -2, -5])) == pytest.approx([-2, -3])


def test_min_k_takes_the_lowest_and_at_least_one():
    two = signals([-1, -9, -3, -4, -2], [-7, -1])
    assert scores.min_k(two, 0.4) == pytest.approx([-6.5, -7])
    # 0.29 * 100 falls just short of 29 in floating point.
    assert scores.min_k(signals(-np.arange(100.0)), 0.29) == pytest.approx([-85])


def test_min_k_plus_plus_standardizes_each_token():
    s = signals([-1, -4, -2], mean=[-2, -2, -2], variance=[0.25, 4, 1])
    assert scores.min_k_plus_plus(s, 0.7) == pytest.approx([(-1 + 0) / 2])


def test_min_k_plus_plus_is_finite_where_the_model_is_certain():
    s = signals([0.0, -1e-9], mean=[0, 0], variance=[0, 0])
    assert np.isfinite(scores.min_k_plus_plus(s)).all()


def test_zlib_and_recall():
    s = signals([-1, -3], [-2, -4])
    size = [len(zlib.compress(t.encode())) for t in ("aaaa", "日本")]
    assert scores.zlib(s, ["aaaa", "日本"]) == pytest.approx([-4 / size[0], -6 / size[1]])
    assert scores.recall(s, np.array([-8.0, -3.0])) == pytest.approx([2, 0.5])


@pytest.mark.parametrize("start", [None, 0])
def test_recall_looks_at_the_beginning_of_a_text(monkeypatch, start):
    """One text of two windows, one of one; behind a prefix of 3 tokens 5 of 8 are left for it."""
    first = 1 if start is None else 0
    context = 8 + (start is not None)
    windows = Windows(
        Texts(("a", "b"), ("", "")),
        (np.arange(6), np.arange(6), np.arange(3)),
        np.array([0, 0, 1]),
    )
    plain = [-9, -1, -2, -3, -4, -50], [-100] * 6, [-9, -2, -2]
    behind = [-70] * 3 + [-9, -2, -4, -6, -8], [-70] * 3 + [-9, -1, -1]
    alone = replace(signals(*(p[first:] for p in plain)), first=first)
    read = []

    def answer(*asked, **_):
        read.extend(asked[1])
        return replace(signals(*(p[first:] for p in behind)), first=first)

    monkeypatch.setattr(text_audit, "token_signals", answer)
    model = SimpleNamespace(context=context, start=start)
    side = text_audit.Side(windows, alone, windows.by_text(alone))
    found = text_audit.recall_scores(model, side, np.array([7, 7, 7]))
    assert [list(ids) for ids in read] == [[7, 7, 7, 0, 1, 2, 3, 4], [7, 7, 7, 0, 1, 2]]
    without, given = (10, 4), (20, 2)
    nine = 9 * (1 - first)  # the first token is scored where the model has a start token
    by_hand = [(g + nine) / (w + nine) for g, w in zip(given, without, strict=True)]
    assert found == pytest.approx(by_hand)


def test_reference_and_bits_compare_the_same_characters():
    both = scores.Compared(
        target=np.array([-4.0, -6.0, np.nan]),
        reference=np.array([-4 - 3 * np.log(2), 0.0, np.nan]),
        tokens=np.array([2, 3, 0]),
    )
    known = scores.reference(both)
    assert known[:2] == pytest.approx([1.5 * np.log(2), -2])
    assert np.isnan(known[2])
    bits = scores.unintended_bits(both)
    assert bits[:2] == pytest.approx([3, 0])
    assert np.isnan(bits[2])


@given(st.lists(st.lists(st.floats(-20, -0.015625, width=32), min_size=1, max_size=30), min_size=1))
def test_min_k_agrees_with_sorting_each_sequence(rows):
    expected = [
        np.sort(np.float64(r))[: max(1, int(0.2 * len(r) * (1 + 1e-12)))].mean() for r in rows
    ]
    assert scores.min_k(signals(*rows), 0.2) == pytest.approx(expected)
