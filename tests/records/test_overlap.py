"""What texts share, exactly where there is room for it and by a sample where there is not."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from memory_assets.language.windows import choose_texts
from memory_assets.records import overlap as module
from memory_assets.records.overlap import measure_overlap
from memory_assets.records.texts import Texts

RNG = np.random.default_rng(0)
WORDS = ["".join(RNG.choice(list("abcdefgh"), 6)) for _ in range(3000)]


def prose(words: int) -> str:
    return " ".join(RNG.choice(WORDS, words))


def named(*texts: str) -> Texts:
    return Texts(tuple(map(str, range(len(texts)))), texts)


def runs(text: str) -> set[str]:
    level = " ".join(text.split()).casefold()
    return {level[i : i + 32] for i in range(max(1, len(level) - 31))}


@pytest.mark.parametrize("piece", [1 << 19, 64, 33])
def test_long_texts_are_read_in_pieces_that_change_nothing(piece, monkeypatch):
    monkeypatch.setattr(module, "_PIECE", piece)
    shared = prose(40)
    members = named(
        shared, f"{shared.upper()}\n\n \u2003 Straße {' ' * 90}{prose(9)} ", prose(60), "Short ", ""
    )
    held_out = named(f"{prose(30)} {shared}", prose(50), "short")
    found = measure_overlap(members, held_out)
    each = [runs(text) for text in members.texts]
    for got, own in zip(found.repetitions, each, strict=True):
        assert got == int(np.median([sum(run in other for other in each) for run in own]))
    known = set().union(*each)
    expected = [len(own & known) / len(own) for own in map(runs, held_out.texts)]
    assert found.shared == pytest.approx(expected)
    assert found.sampled == 1


def test_a_large_corpus_is_judged_by_a_sample_and_says_so(monkeypatch):
    copied, plain = prose(400), [prose(400) for _ in range(20)]
    members = named(copied, *plain, copied + prose(8), prose(8) + copied, "a short one", "")
    held_out = named(
        plain[3][:2200] + prose(90), plain[3][:600] + prose(320), prose(400), "A short  one", copied
    )
    whole = measure_overlap(members, held_out)
    monkeypatch.setattr(module, "_MOST", 6000)
    found = measure_overlap(members, held_out)
    assert 0.05 < found.sampled < 0.3
    np.testing.assert_array_equal(found.repetitions, whole.repetitions)
    np.testing.assert_array_equal(found.first, whole.first)
    np.testing.assert_array_equal(found.near, whole.near)
    assert found.shared == pytest.approx(whole.shared, abs=0.12)
    assert whole.shared[0] != found.shared[0]
    again = measure_overlap(members, held_out)
    np.testing.assert_array_equal(again.shared, found.shared)

    (notice,) = [n for n in choose_texts(members, held_out, (), 9, 0).notices if "runs" in n]
    assert f"by {found.sampled:.2g} of the runs of characters of each text" in notice
    monkeypatch.setattr(module, "_MOST", 1)  # the least of each text still tells copies
    np.testing.assert_array_equal(measure_overlap(members, held_out).near, whole.near)


@pytest.mark.parametrize("long", [False, True])
def test_memory_does_not_grow_with_the_corpus(long, monkeypatch):
    monkeypatch.setattr(module, "_MOST", 20_000)
    monkeypatch.setattr(module, "_PIECE", 5_000)
    peaks = []
    for times in (1, 4):
        words = 15_000 * times
        texts = [prose(words)] if long else [prose(1500) for _ in range(words // 1500)]
        corpus = named(*texts)
        tracemalloc.start()
        measure_overlap(corpus, None)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.3 * peaks[0]
