"""From texts to what a model reads: windows of tokens that belong to documents."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from memory_assets.errors import InputError
from memory_assets.language.model import Ids, LanguageModel
from memory_assets.language.signals import TokenSignals
from memory_assets.records.normal import normal
from memory_assets.records.overlap import LEAST, Overlap, measure_overlap
from memory_assets.records.secrets import Secret
from memory_assets.records.texts import Texts

_SHOWN = 3


@dataclass(frozen=True)
class Windows:
    """The windows of some texts in order; `document` `[windows]` says which text each is cut from.

    Windows of one text do not overlap and each is read on its own, so the tokens of a text are
    those of its windows. Every text has at least one window of two tokens.
    """

    texts: Texts
    sequences: tuple[Ids, ...]
    document: NDArray[np.int64]

    def by_text(self, signals: TokenSignals) -> TokenSignals:
        """The signals of the windows as those of whole texts."""
        lengths = np.bincount(self.document, weights=signals.lengths, minlength=len(self.texts))
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        return replace(signals, offsets=offsets)

    def any_of(self, hits: NDArray[np.bool_], rows: NDArray[np.intp]) -> NDArray[np.bool_]:
        """For each text with a window among `rows`, in order: whether one of these was hit."""
        texts, place = np.unique(self.document[rows], return_inverse=True)
        found = np.zeros(len(texts), dtype=bool)
        np.logical_or.at(found, place, hits)
        return found

    def best_of(self, values: NDArray[np.float64], rows: NDArray[np.intp]) -> NDArray[np.float64]:
        """For each text with a window among `rows`, in order: the largest value."""
        texts, place = np.unique(self.document[rows], return_inverse=True)
        found = np.full(len(texts), -np.inf)
        np.maximum.at(found, place, values)
        return found

    def long_enough(self, tokens: int) -> NDArray[np.intp]:
        """Windows of at least so many tokens."""
        return np.flatnonzero([len(ids) >= tokens for ids in self.sequences])


@dataclass(frozen=True)
class Sides:
    """Members and held-out texts that may be compared; `overlap` speaks of these members.

    `near_duplicates` of `held_out_before` held-out texts were left out, since they stand among the
    members; `held_out` is None where nothing is left.
    """

    members: Texts
    held_out: Texts | None
    repetitions: NDArray[np.int64]
    near_duplicates: int
    held_out_before: int
    notices: tuple[str, ...]


def name_some(ids: Iterable[str]) -> str:
    """The first ids of a list, and how many more there are."""
    names = list(ids)
    shown = ", ".join(repr(name) for name in names[:_SHOWN])
    return shown + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")


def _sample(rows: NDArray[np.intp], most: int, seed: int) -> NDArray[np.intp]:
    if len(rows) <= most:
        return rows
    return np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))


def choose_texts(
    members: Texts, held_out: Texts | None, secrets: tuple[Secret, ...], most: int, seed: int
) -> Sides:
    """De-duplicate both sides and draw at most `most` texts of each.

    Exact copies of a member count as its repetitions and are scored once. Planted lines are the
    secrets' own matter. Held-out texts that share half of their runs with members are left out.

    Raises:
        InputError: no member is left.
    """
    overlap: Overlap = measure_overlap(members, held_out)
    planted = {normal(secret.text) for secret in secrets}
    own = np.array([not planted or normal(text) not in planted for text in members.texts])
    kept = np.flatnonzero(overlap.first & own)
    if not kept.size:
        raise InputError(f"{members.source}: nothing but planted secrets; give member texts too")
    notices = [*members.notices]
    if overlap.sampled < 1:
        notices.append(
            f"so much text that near-copies were looked for by {overlap.sampled:.2g} of the runs "
            f"of characters of each text (at least {LEAST} runs)"
        )
    copies = int((~overlap.first & own).sum())
    if copies:
        notices.append(f"members: {copies} exact copies are scored once, as repetitions")
    kept = _sample(kept, most, seed)
    chosen = None
    before = near = 0
    if held_out is not None:
        notices.extend(held_out.notices)
        once = {text: i for i, text in reversed(list(enumerate(held_out.texts)))}
        first = np.zeros(len(held_out), dtype=bool)
        first[list(once.values())] = True
        before, near = int(first.sum()), int((first & overlap.near).sum())
        rows = np.flatnonzero(first & ~overlap.near)
        if near:
            names = name_some(held_out.ids[i] for i in np.flatnonzero(first & overlap.near))
            notices.append(f"held-out texts that stand among the members, left out: {names}")
        if rows.size:
            chosen = held_out.take(_sample(rows, most, seed + 1))
    return Sides(
        members.take(kept), chosen, overlap.repetitions[kept], near, before, tuple(notices)
    )


def cut_windows(
    model: LanguageModel, texts: Texts, window: int
) -> tuple[Windows | None, NDArray[np.intp], tuple[str, ...]]:
    """Cut texts into windows of at most `window` tokens.

    Returns the windows (None where no text has two tokens), the rows of the texts that have any,
    and what was left out.
    """
    sequences: list[Ids] = []
    document: list[int] = []
    rows: list[int] = []
    for i, ids in enumerate(model.encode_all(list(texts.texts))):
        if len(ids) < 2:
            continue
        starts = [s for s in range(0, len(ids), window) if len(ids) - s >= 2]
        sequences.extend(ids[s : s + window] for s in starts)
        document.extend([len(rows)] * len(starts))
        rows.append(i)
    short = sorted(set(range(len(texts))) - set(rows))
    notices = (
        (f"texts of fewer than two tokens, left out: {name_some(texts.ids[i] for i in short)}",)
        if short
        else ()
    )
    kept = np.array(rows, dtype=np.intp)
    if not rows:
        return None, kept, notices
    return Windows(texts.take(kept), tuple(sequences), np.array(document)), kept, notices


def too_short(windows: Windows, tokens: int) -> list[str]:
    """One line about the texts without a window of so many tokens; none if there are none."""
    long = set(windows.document[windows.long_enough(tokens)].tolist())
    short = [name for i, name in enumerate(windows.texts.ids) if i not in long]
    if not short:
        return []
    return [
        f"texts shorter than prefix plus suffix ({tokens} tokens), not probed for extraction: "
        f"{name_some(short)}"
    ]
