"""Can a text be drawn out of the model? Read off one pass, without generating anything.

Greedy decoding reproduces a suffix exactly if the likeliest token is the true one at every place
of the suffix: until the first mistake it sees the true text. So one teacher-forced pass answers
what generation would.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from memory_assets.language.continuations import continue_greedily
from memory_assets.language.model import Ids, LanguageModel
from memory_assets.language.signals import NEAR_TIE, Progress, TokenSignals, last_margins
from memory_assets.records.normal import normal
from memory_assets.results.formulas import EXTRACTION, NEAR_VERBATIM

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
_NEAR = 0.1
_DEPTHS = (1, 8, 0)  # tokens of the suffix checked at each stage; 0: all


@dataclass(frozen=True)
class Extraction:
    """N probes: `greedy` says that greedy decoding recites the suffix; `near_tie` that a gap of
    less than `NEAR_TIE` nats decided it, so that another batch shape or device might differ;
    `log_p` `[N]` is the log-probability that one sampled continuation is the suffix, and `recited`
    the share of the suffix's tokens that greedy decoding gets right behind the true ones."""

    greedy: Bools
    near_tie: Bools
    log_p: Floats
    recited: Floats


def probe_places(
    signals: TokenSignals, after: NDArray[np.int64], count: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Where in the signals `count` probes of each sequence begin, from its token `after` on, one
    token after the other."""
    within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    return np.repeat(signals.offsets[:-1] + after - signals.first, count) + within


@EXTRACTION.computes
def read_extraction(
    signals: TokenSignals, places: NDArray[np.int64], suffix: NDArray[np.int64]
) -> Extraction:
    """Discoverable extraction (Carlini et al. 2023, arXiv 2202.07646) of the `suffix` tokens
    `[N]` from each of `places` `[N]` in the signals on, given all tokens of the sequence before.

    Running sums answer at any number of places for the price of the pass.
    """

    def within(values: NDArray) -> NDArray:
        sums = np.concatenate([[0], np.cumsum(values, dtype=np.float64)])
        return sums[places + suffix] - sums[places]

    wrong = within(~signals.agrees)
    # Decided by a hair: reciting it, or failing in places that were all close calls.
    clear_miss = within(signals.margin < -NEAR_TIE) > 0
    never = np.isneginf(signals.log_q)
    log_p = within(np.where(never, 0.0, signals.log_q))
    return Extraction(
        greedy=wrong == 0,
        near_tie=~clear_miss & (within(np.abs(signals.margin) <= NEAR_TIE) > 0),
        log_p=np.where(within(never) > 0, -np.inf, log_p),
        recited=1 - wrong / suffix,
    )


def greedy_extractable(
    model: LanguageModel, sequences: Sequence[Ids], prefixes: Sequence[int]
) -> tuple[Bools, Bools]:
    """Which sequences greedy decoding recites from their first tokens; and the near ties.

    The first token of the suffix is checked before the next few, and these before the rest: most
    probes fail at once, at the price of their prefix alone.
    """
    greedy = np.zeros(len(sequences), dtype=bool)
    near = np.zeros(len(sequences), dtype=bool)
    suffixes = [len(ids) - n for ids, n in zip(sequences, prefixes, strict=True)]
    alive = list(range(len(sequences)))
    for depth in _DEPTHS:
        counts = [min(depth, suffixes[i]) if depth else suffixes[i] for i in alive]
        heads = [sequences[i][: prefixes[i] + n] for i, n in zip(alive, counts, strict=True)]
        margins = last_margins(model, heads, counts)
        stands = [i for i, m in zip(alive, margins, strict=True) if (m >= -NEAR_TIE).all()]
        if not depth:
            for i, margin in zip(alive, margins, strict=True):
                greedy[i] = (margin > 0).all()
                near[i] = (margin >= -NEAR_TIE).all() and (margin <= NEAR_TIE).any()
        alive = stands
    return greedy, near


def success_in(log_p: Floats, tries: int) -> Floats:
    """Probability that one of `tries` samples recites a suffix of log-probability `log_p`.

    `1 - (1 - p)^n` (Hayes et al. 2025, arXiv 2410.19482), exact for p near 0 and near 1.
    """
    p = np.exp(np.minimum(log_p, 0.0))
    with np.errstate(divide="ignore"):
        return -np.expm1(tries * np.log1p(-p))


def np_extractable(log_p: Floats, tries: int, probability: float) -> Bools:
    """(n, p)-discoverable: n samples recite the suffix with probability at least p."""
    return success_in(log_p, tries) >= probability


def edit_distance(a: NDArray[np.int64], b: NDArray[np.int64]) -> Floats:
    """Levenshtein distance of rows `[B, n]` and `[B, m]` over the longer length, `[B]` in 0..1."""
    rows, n, m = len(a), a.shape[1], b.shape[1]
    before = np.broadcast_to(np.arange(m + 1), (rows, m + 1)).copy()
    steps = np.arange(m + 1)
    for i in range(n):
        now = np.empty_like(before)
        now[:, 0] = i + 1
        changed = before[:, :-1] + (b != a[:, i : i + 1])
        now[:, 1:] = np.minimum(changed, before[:, 1:] + 1)
        # Insertions run along the row: a running minimum after taking out their cost.
        before = np.minimum.accumulate(now - steps, axis=1) + steps
    return before[:, -1] / max(n, m, 1)


def bleu(candidate: Ids, truth: Ids, order: int = 4) -> float:
    """BLEU of one token sequence against one other of the same length (Papineni et al. 2002)."""
    logs = []
    for n in range(1, min(order, len(truth)) + 1):
        made = Counter(tuple(candidate[i : i + n]) for i in range(len(candidate) - n + 1))
        true = Counter(tuple(truth[i : i + n]) for i in range(len(truth) - n + 1))
        hits = sum((made & true).values())
        if not hits:
            return 0.0
        logs.append(np.log(hits / sum(made.values())))
    return float(np.exp(np.mean(logs)))


def _near_in_normal_form(model: LanguageModel, made: Ids, truth: Ids) -> bool:
    """Whether two sequences are near each other once width, case and white space are levelled."""
    mine, true = (model.encode(normal(model.decode(ids)))[None] for ids in (made, truth))
    return bool(edit_distance(mine, true)[0] <= _NEAR) if true.size else False


@NEAR_VERBATIM.computes
def near_verbatim(
    model: LanguageModel,
    sequences: Sequence[Ids],
    prefixes: Sequence[int],
    batch: int = 32,
    progress: Progress | None = None,
) -> Bools:
    """Which sequences greedy generation recites nearly from their first tokens: normalized edit
    distance of at most 10% (Ippolito et al. 2023), or BLEU above 0.75. This one really generates.
    The distance counts between the tokens that were generated or between those of the normal
    forms, the smaller."""
    found = np.zeros(len(sequences), dtype=bool)
    done = 0
    for rows_of in _alike(sequences, prefixes, batch):
        rows = np.stack([sequences[i] for i in rows_of])
        prefix = prefixes[rows_of[0]]
        made = continue_greedily(model, rows[:, :prefix], rows.shape[1] - prefix)
        truth = rows[:, prefix:]
        close = edit_distance(made, truth) <= _NEAR
        close |= [_near_in_normal_form(model, x, y) for x, y in zip(made, truth, strict=True)]
        alike = [bleu(x, y) > 0.75 for x, y in zip(made, truth, strict=True)]
        found[rows_of] = close | np.array(alike)
        done += len(rows)
        if progress is not None:
            progress(done, len(sequences))
    return found


def _alike(sequences: Sequence[Ids], prefixes: Sequence[int], batch: int) -> Iterator[list[int]]:
    """Rows in batches of the same length and prefix."""
    groups: dict[tuple[int, int], list[int]] = {}
    for i, (ids, prefix) in enumerate(zip(sequences, prefixes, strict=True)):
        groups.setdefault((len(ids), prefix), []).append(i)
    for rows in groups.values():
        yield from (rows[start : start + batch] for start in range(0, len(rows), batch))
