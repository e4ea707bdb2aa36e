"""What texts share: how often they repeat each other, and which are no controls for others.

A held-out text that stands almost word for word among the members is no control: what the model
knows of it, it learned from them. Overlap is measured by shared runs of characters, in
O(N log N) for N characters, in any script. Which runs stand where is counted in every text; of a
large corpus, each text is judged by a sample of its runs, so that memory does not grow with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from memory_assets.records.normal import folded, joins, normal
from memory_assets.records.texts import Texts

SHINGLE = 32
"""Characters in a run: about six English words, far more than chance repeats."""
NEAR = 0.5
"""A text of whose runs at least this share stand elsewhere counts as a near-duplicate."""
LEAST = 16
"""Runs by which a text is judged at least, if it has so many."""

_MOST = 1 << 24  # runs that are held at once, at 25 to 40 bytes: 16 million characters
_PIECE = 1 << 19  # characters of one text that are hashed at once, at 60 bytes
_BASE = np.uint64(0x9E3779B97F4A7C15)  # odd, hence invertible modulo 2^64
_INVERSE = np.uint64(pow(int(_BASE), -1, 1 << 64))
_Runs = NDArray[np.uint64]


@dataclass(frozen=True)
class Overlap:
    """What members and held-out texts share.

    `repetitions` `[members]`: in how many member texts (its own included) the median run of a text
    stands, which is how often the model saw it, near-duplicates included. `shared` `[held out]`:
    the share of a text's runs that stand among the members. `first` `[members]`: the text is the
    first of its exact copies. `sampled`: the share of its runs by which a text was judged, 1 where
    all were looked at.
    """

    repetitions: NDArray[np.int64]
    shared: NDArray[np.float64]
    first: NDArray[np.bool_]
    sampled: float

    @property
    def near(self) -> NDArray[np.bool_]:
        """Held-out texts that are near-duplicates of members: no controls."""
        return self.shared >= NEAR


def _distinct(values: NDArray) -> NDArray:
    """The different values in order; sorts the array in place, ten times as fast as `np.unique`."""
    values.sort()
    new = np.ones(len(values), dtype=bool)
    new[1:] = values[1:] != values[:-1]
    return values[new]


def _cuts(text: str) -> Iterator[str]:
    """The text in pieces that may be folded one by one: no character joins the piece before."""
    start = 0
    while start < len(text):
        stop = start + _PIECE
        most = stop + _PIECE  # a text of nothing but marks is cut all the same
        while stop < min(len(text), most) and joins(text[stop]):
            stop += 1
        yield text[start:stop]
        start = stop


def _levelled(text: str) -> Iterator[str]:
    """The normal form of the text piece by piece."""
    begun = gap = False
    for cut in _cuts(text):
        piece = folded(cut)
        words = " ".join(piece.split())
        if words:
            whole = " " + words if begun and (gap or piece[0].isspace()) else words
            for start in range(0, len(whole), _PIECE):  # a sign may fold to eighteen
                yield whole[start : start + _PIECE]
            begun, gap = True, piece[-1].isspace()
        elif piece:
            gap = True


def _hashes(level: str, width: int) -> _Runs:
    """Rolling hashes of the runs of `width` characters, wherever they stand."""
    # surrogatepass: a lone surrogate is odd, not an error.
    codes = np.frombuffer(level.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    mixed = (codes.astype(np.uint64) + np.uint64(1)) * np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(29)
    powers = np.full(len(mixed), _BASE, dtype=np.uint64)
    powers[:1] = 1
    sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(mixed * np.cumprod(powers))])
    back = np.full(len(mixed) - width + 1, _INVERSE, dtype=np.uint64)
    back[0] = 1
    return (sums[width:] - sums[: len(back)]) * np.cumprod(back)


def _runs(text: str) -> Iterator[_Runs]:
    """The runs of a text piece by piece, each once a piece; the whole text where it is shorter."""
    rest, whole = "", True
    for piece in _levelled(text):
        level = rest + piece
        if len(level) < SHINGLE:
            rest = level
            continue
        yield _distinct(_hashes(level, SHINGLE))
        rest, whole = level[1 - SHINGLE :], False
    if whole:
        yield _hashes(rest, len(rest))


def _drawn(runs: _Runs, share: float) -> _Runs:
    """About this share of different runs: those whose hash, mixed anew, is small; at least some."""
    order = (runs ^ (runs >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    order ^= order >> np.uint64(31)
    count = max(LEAST, int((order < np.uint64(int(share * 2**63) * 2)).sum()))
    return runs[np.argsort(order, kind="stable")[:count]]


def _looked_at(text: str, share: float) -> _Runs:
    """The runs by which a text is judged, sorted."""
    if share >= 1:
        return _distinct(np.concatenate(list(_runs(text))))
    runs = np.concatenate([_drawn(runs, share) for runs in _runs(text)])
    return np.sort(_drawn(_distinct(runs), share))


def _places(runs: _Runs, known: _Runs) -> NDArray[np.intp]:
    """Where in `known` those of the runs stand that are there."""
    place = np.minimum(np.searchsorted(known, runs), known.size - 1)
    return place[known[place] == runs]


def _stand_in(texts: Iterable[Iterable[_Runs]], known: _Runs) -> NDArray[np.int32]:
    """In how many texts each known run stands; a text comes as pieces of its runs."""
    count = np.zeros(known.size, dtype=np.int32)
    for pieces in texts:
        count[_distinct(np.concatenate([_places(runs, known) for runs in pieces]))] += 1
    return count


def none_of(texts: Iterable[str], lines: Iterable[str]) -> NDArray[np.bool_]:
    """Which texts are none of these lines, in whatever spelling."""
    known = set(map(normal, lines))
    return np.array([not known or normal(text) not in known for text in texts])


def firsts(texts: Texts) -> NDArray[np.bool_]:
    """Which texts are the first of their exact copies."""
    seen: set[str] = set()
    first = np.zeros(len(texts), dtype=bool)
    for i, text in enumerate(texts.compared):
        first[i] = text not in seen
        seen.add(text)
    return first


def measure_overlap(members: Texts, held_out: Texts | None) -> Overlap:
    """How often members repeat each other, and how much of each held-out text they hold.

    Runs of 32 characters of the normal form (the whole text where it is shorter), of an answer
    together with its prompt. Follows the n-gram overlap of Duan et al. (2024, arXiv 2402.07841), on
    characters so that scripts without spaces are served too. Beyond 16 million characters each text
    is judged by a share of its runs, drawn by their hash and at least 16; where these stand is
    counted exactly.
    """
    inside, outside = members.compared, held_out.compared if held_out else ()
    share = min(1.0, _MOST / max(1, sum(map(len, (*inside, *outside)))))
    mine = [_looked_at(text, share) for text in inside]
    theirs = [_looked_at(text, share) for text in outside]
    known = _distinct(np.concatenate([*mine, *theirs]))
    every = ([runs] for runs in mine) if share >= 1 else (_runs(text) for text in inside)
    count = _stand_in(every, known)
    repetitions = [int(np.median(count[_places(runs, known)])) for runs in mine]
    shared = [float((count[_places(runs, known)] > 0).mean()) for runs in theirs]
    return Overlap(
        np.array(repetitions, np.int64), np.array(shared, np.float64), firsts(members), share
    )
