"""What two models say of the same characters, though each reads tokens and windows of its own.

A model without a start token says nothing of the first token of a window, and another tokenizer
cuts windows elsewhere. Sums over whole texts would hold characters that one side alone has scored
(a first token costs about 14 bits), and call the difference memorization.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from memory_assets.errors import InputError
from memory_assets.language.model import LanguageModel
from memory_assets.language.progress import part
from memory_assets.language.scores import Compared
from memory_assets.language.signals import Progress, Sampling
from memory_assets.language.text_audit import Side, read_side
from memory_assets.language.windows import cut_windows, name_some

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]


def _begins(model: LanguageModel, other: LanguageModel, text: str) -> tuple[Ints, Ints] | None:
    """The character at which each token of the text begins, for both models: -1 where it begins
    within a character. None where a tokenizer cannot say, and the tokens are not the same."""
    found = []
    for spans in (model.spans(text), other.spans(text)):
        if spans is None:
            mine, theirs = model.encode(text), other.encode(text)
            same = np.arange(len(mine))
            return (same, same) if mine.tolist() == theirs.tolist() else None
        # Some tokenizers leave the space before a word out of its span: it begins where the token
        # before has ended.
        before = np.concatenate([[0], np.maximum.accumulate(spans[:, 1])])[: len(spans)]
        found.append(np.where(spans[:, 0] >= before, before, -1))
    return found[0], found[1]


def shared_tokens(begins: tuple[Ints, Ints], scored: tuple[Bools, Bools]) -> tuple[Bools, Bools]:
    """Of each model's tokens of one text, those that cover characters which both have scored.

    A text falls into pieces at the characters where tokens of both begin; a piece counts where all
    tokens in it are scored, on both sides.
    """
    edges, bare = [], []
    common = np.intersect1d(begins[0][begins[0] >= 0], begins[1][begins[1] >= 0])
    for own, has in zip(begins, scored, strict=True):
        clean = np.flatnonzero(own >= 0)
        first = clean[np.searchsorted(own[clean], common)]
        edges.append(np.append(first, len(own)))
        bare.append(np.add.reduceat(~has, first, dtype=np.int64))
    whole = (bare[0] == 0) & (bare[1] == 0)
    mine, theirs = (np.repeat(whole, np.diff(edge)) for edge in edges)
    return mine, theirs


def _told(side: Side, text: int, tokens: int) -> tuple[NDArray[np.float64], Bools]:
    """Log-probabilities of the tokens of one text, and which were scored."""
    log_p, scored = np.zeros(tokens), np.zeros(tokens, dtype=bool)
    signals = side.by_window
    low, high = np.searchsorted(side.windows.document, [text, text + 1])
    for window in range(low, high):
        stop = side.windows.start[window] + len(side.windows.sequences[window])
        begin, end = signals.offsets[window : window + 2]
        log_p[stop - (end - begin) : stop] = signals.log_p[begin:end]
        scored[stop - (end - begin) : stop] = True
    return log_p, scored


def compare(
    model: LanguageModel,
    side: Side,
    reference: LanguageModel,
    window: int,
    progress: Progress | None = None,
) -> Compared:
    """Have the reference read the texts of a side, in windows of at most `window` tokens.

    Raises:
        InputError: answers of the reference that are not finite.
    """
    texts = side.windows.texts
    totals, tokens = np.full((2, len(texts)), np.nan), np.zeros(len(texts), dtype=np.int64)
    windows, rows, _ = cut_windows(reference, texts, min(window, reference.room))
    if windows is None:
        return Compared(totals[0], totals[1], tokens)
    read = read_side(reference, windows, Sampling(top_k=0), progress)
    whole = texts.whole
    for place, row in enumerate(rows):
        begins = _begins(model, reference, whole[row])
        if begins is None:
            continue
        mine, my_scored = _told(side, int(row), len(begins[0]))
        theirs, their_scored = _told(read, place, len(begins[1]))
        my_kept, their_kept = shared_tokens(begins, (my_scored, their_scored))
        if my_kept.any():
            totals[:, row] = mine[my_kept].sum(), theirs[their_kept].sum()
            tokens[row] = my_kept.sum()
    return Compared(totals[0], totals[1], tokens)


def compare_sides(
    model: LanguageModel,
    sides: Sequence[Side],
    reference: LanguageModel,
    window: int,
    report: Progress,
) -> tuple[list[Compared | None], list[str]]:
    """Each side by both models, and in words what could not be compared.

    A reference that cannot be used costs the scores that need it, and no more: all are None then.
    """
    found: list[Compared | None] = []
    try:
        for i, side in enumerate(sides):
            heard = part(report, i / len(sides), 1 / len(sides))
            found.append(compare(model, side, reference, window, heard))
    except InputError as error:
        return [None] * len(sides), [f"reference: {error}; nothing was compared with it"]
    finally:
        report(1, 1)
    lost = [
        name
        for side, one in zip(sides, found, strict=True)
        if one is not None
        for name, known in zip(side.windows.texts.ids, one.known, strict=True)
        if not known
    ]
    if not lost:
        return found, []
    return found, [
        "texts of which model and reference score no characters in common (a text of one token, "
        f"tokens that never begin together), not compared: {name_some(lost)}"
    ]
