"""Is this audit of a language model valid? What must show nothing, shown to show nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from memory_assets.language import scores
from memory_assets.language.model import Ids, LanguageModel, untrained_like
from memory_assets.language.signals import Progress, TokenSignals, token_signals
from memory_assets.language.text_audit import Probes, Side
from memory_assets.results.estimate import Control, Estimate
from memory_assets.results.findings import Finding, finding
from memory_assets.statistics.intervals import rate, skewed_mean_interval
from memory_assets.statistics.roc import Roc
from memory_assets.validity import blind
from memory_assets.validity.blind_features import scaled_column
from memory_assets.validity.blind_judges import by_ridge, by_trees, draw_folds
from memory_assets.validity.exchange import Told, columns_apart, relabel_within
from memory_assets.validity.scoring import FAMILY_LEVEL

MIN_HELD_OUT = 100
_COMPLETED_UNSEEN = 0.01
_MIN_BLIND = 20
_MOST_BLIND = 1_000
_FEWEST_WITH = 3  # texts that a word must stand in, to be a column of its own
_SHARPNESS = 10.0
"""Of the classifier: how little it is held back from trusting single words."""


def _told(reader: Finding, value: float, passed: bool) -> Finding:
    return finding(f"language.{'chance' if passed else 'above_chance'}", reader=reader, value=value)


def from_auc(name: str, roc: Roc, what: Finding) -> Control:
    """The AUC must not lie above 0.5 beyond its interval; a valid audit fails in 1% of cases."""
    auc = roc.auc(1 - 2 * FAMILY_LEVEL)
    passed = auc.ci_low is not None and auc.ci_low <= 0.5
    if auc.value is None:
        detail = finding("language.no_auc", reader=what, texts=auc.n)
    else:
        detail = _told(what, auc.value, passed)
    return Control(name, passed, auc.value, auc.ci_low, auc.ci_high, (detail,))


@dataclass(frozen=True)
class Heard:
    """Some texts of one side: their tokens (of answers, without the prompt), and what the audited
    model and an untrained copy of it say of them."""

    rows: Sequence[Ids]
    model: TokenSignals
    untrained: TokenSignals


def hear(
    model: LanguageModel,
    sides: Sequence[Side],
    most: int,
    seed: int,
    progress: Progress | None = None,
) -> list[Heard]:
    """At most `most` texts of each side, with what an untrained copy says of them."""
    blank = untrained_like(model, seed)
    picked = [pick(side.windows.document, most, seed) for side in sides]
    leads = [s.windows.lead[rows] for s, rows in zip(sides, picked, strict=True)]
    read = [[s.windows.sequences[i] for i in rows] for s, rows in zip(sides, picked, strict=True)]
    signals = token_signals(blank, [ids for part in read for ids in part], progress=progress)
    signals = signals.behind(np.concatenate(leads))
    rows = [
        [ids[n:] for ids, n in zip(part, lead, strict=True)]
        for part, lead in zip(read, leads, strict=True)
    ]
    ends = np.cumsum([0, *map(len, rows)])
    return [
        Heard(rows[i], side.by_window.take(picked[i]), signals.take(np.arange(*ends[i : i + 2])))
        for i, side in enumerate(sides)
    ]


def untrained_control(members: Heard, held_out: Heard) -> Control:
    """A model of the same architecture that never learned must not tell members from others."""
    roc = Roc.of(scores.loss(members.untrained), scores.loss(held_out.untrained))
    return from_auc("untrained_model", roc, finding("reader.untrained"))


def _unigram(rows: Sequence[Ids], first: int, vocabulary: int) -> NDArray[np.float64]:
    """Mean log-probability of each text's scored tokens, nats, by the frequencies of tokens in the
    other half of the texts; tokens that it lacks share what Good and Turing leave them."""
    half = np.arange(len(rows)) % 2
    found = np.zeros(len(rows))
    for side in (0, 1):
        others = [ids[first:] for i, ids in enumerate(rows) if half[i] != side]
        counts = np.bincount(np.concatenate([*others, []]).astype(np.int64), minlength=vocabulary)
        total = max(1, int(counts.sum()))
        unseen = min(1.0, max(1, int((counts == 1).sum())) / total)
        log_p = np.log((1 - unseen) * counts / total + unseen / vocabulary)
        for i, ids in enumerate(rows):
            if half[i] == side:
                found[i] = log_p[ids[first:]].mean()
    return found


def _gain(heard: Heard, vocabulary: int) -> Estimate:
    """How much more the model gives a token than the better of two that know nothing, in nats."""
    mine, blank = scores.loss(heard.model), scores.loss(heard.untrained)
    known = [i for i, ids in enumerate(heard.rows) if len(ids) > heard.model.first]
    chance = _unigram([heard.rows[i] for i in known], heard.model.first, vocabulary)
    estimates = [
        skewed_mean_interval(mine[known] - other, 1 - 2 * FAMILY_LEVEL)
        for other in (chance, blank[known])
    ]
    return min(estimates, key=_surely)


def _surely(estimate: Estimate) -> float:
    """The lower end of an interval; nothing is sure where there is none."""
    return -np.inf if estimate.ci_low is None else estimate.ci_low


def chance_control(sides: Sequence[Heard], vocabulary: int) -> Control:
    """A model must know more of a text than how frequent its tokens are, and more than a copy of
    itself that was never trained; else its weights or its tokenizer are not its own.

    On held-out texts, or else on members: a model that does nothing but recite can be worse than
    chance on all else, and is what an audit is there to find.

    Args:
        sides: members, and held-out texts if there are any.
        vocabulary: tokens that the model can give.
    """
    found = [_gain(side, vocabulary) for side in sides]
    best = found[-1] if _surely(found[-1]) > 0 else max(found, key=_surely)
    if best.value is None or best.ci_low is None:
        detail = finding("language.chance_untold", texts=sum(len(side.rows) for side in sides))
        return Control("beats_chance", False, None, None, None, (detail,))
    passed = best.ci_low > 0
    of_others = len(sides) > 1 and best is found[-1]
    key = ("knows_held_out" if of_others else "knows_members") if passed else "knows_nothing"
    detail = finding(f"language.{key}", gain=best.value)
    return Control("beats_chance", passed, best.value, best.ci_low, best.ci_high, (detail,))


def _some(texts: Sequence[Ids], rng: np.random.Generator) -> Sequence[Ids]:
    if len(texts) <= _MOST_BLIND:
        return texts
    return [texts[i] for i in rng.choice(len(texts), _MOST_BLIND, replace=False)]


def _word_counts(rows: Sequence[Ids], vocabulary: int) -> sparse.csr_matrix:
    offsets = np.concatenate([[0], np.cumsum([len(ids) for ids in rows])])
    tokens = np.concatenate(rows)
    counts = sparse.csr_matrix(
        (np.ones(len(tokens)), tokens, offsets), shape=(len(rows), vocabulary)
    )
    counts.sum_duplicates()
    return counts


def blind_control(
    members: Sequence[Ids], held_out: Sequence[Ids], vocabulary: int, seed: int
) -> Control:
    """Judges that see the words of the texts and no model must not tell the sides apart.

    Kernel ridge on TF-IDF, boosted trees on which words stand in a text and on its length, and
    every word by itself (see `controls.blind`); every text is judged by what did not learn from it.
    If one succeeds, the sides differ in kind, and every attack's figure is inflated (Meeus et al.
    2024, arXiv 2406.17975; Das et al. 2024, arXiv 2406.16201). p-values come from permuted sides:
    DeLong's interval, which takes the texts for judged independently, failed 9% of valid audits at
    a nominal 2.5%. Of more than 1,000 texts of a side a random 1,000 are used.
    """
    smaller = min(len(members), len(held_out))
    if smaller < _MIN_BLIND:
        detail = finding("blind.too_few_texts", texts=smaller, needed=_MIN_BLIND)
        return Control("blind_baseline", False, None, None, None, (detail,))
    rng = np.random.default_rng([seed, 0xB1D])
    sides = [_some(side, rng) for side in (members, held_out)]
    counts = _word_counts([*sides[0], *sides[1]], vocabulary)
    member = np.repeat([True, False], [len(side) for side in sides])
    judges, word = _blind_judges(counts, member, seed)
    passed, told, by = blind.verdict(judges, word, FAMILY_LEVEL)
    low, high = max(told.auc - told.half, 0.0), min(told.auc + told.half, 1.0)
    values = {"value": told.auc, "low": low, "high": high}
    values |= {"reached": blind.reached(told.rates, {})}
    detail = (
        finding("blind.alike", **values) if passed else finding("blind.apart", judge=by, **values)
    )
    return Control("blind_baseline", passed, told.auc, low, high, (detail,))


def _blind_judges(
    counts: sparse.csr_matrix, member: NDArray[np.bool_], seed: int
) -> tuple[dict[str, Told], tuple[float, Finding]]:
    from sklearn.feature_extraction.text import TfidfTransformer

    texts, share, fprs = len(member), FAMILY_LEVEL / 3, blind.asked_rates(())
    labels = relabel_within(member, np.zeros(texts, dtype=np.int64), seed)
    folds = draw_folds(texts, 1, seed)
    words = TfidfTransformer(sublinear_tf=True).fit_transform(counts)
    alike = _SHARPNESS * (words @ words.T).toarray()
    there: Any = sparse.csc_matrix(counts, dtype=np.float32)
    there.data[:] = 1.0
    seldom = np.asarray(there.sum(axis=0)).ravel()
    kept = np.flatnonzero((seldom >= _FEWEST_WITH) & (seldom < texts))
    length = scaled_column(np.asarray(counts.sum(axis=1)).ravel())[:, None]
    columns: Any = sparse.hstack([there[:, kept], sparse.csc_matrix(length)]).tocsc()
    trees = by_trees(
        columns, folds, lambda fold: relabel_within(member, fold, seed), fprs, share, seed
    )
    p, best = columns_apart(columns, labels)
    named = (
        finding("judge.word", number=kept[best]) if best < len(kept) else finding("judge.length")
    )
    ridge = by_ridge(alike, folds, labels, fprs, share, seed)
    return {"ridge": ridge, "trees": trees}, (p, named)


def held_out_extraction(probes: Probes | None) -> Control:
    """What the model completes without having seen it is not memorization: it must be rare."""
    if probes is None or not probes.texts.size:
        return Control(
            "held_out_extraction",
            False,
            None,
            None,
            None,
            (finding("language.no_texts_completed"),),
        )
    estimate = rate(int(probes.greedy.sum()), len(probes.texts), 1 - 2 * FAMILY_LEVEL)
    low, high = estimate.ci_low, estimate.ci_high
    passed = low is not None and low <= _COMPLETED_UNSEEN
    return Control(
        "held_out_extraction",
        passed,
        estimate.value,
        low,
        high,
        (
            finding(
                f"language.{'rare' if passed else 'guessable'}", hits=estimate.k, texts=estimate.n
            ),
        ),
    )


def held_out_size(count: int, near_duplicates: int, before: int) -> Control:
    """Enough texts that the model never saw, most of those given; else a rate has no control."""
    kept = before - near_duplicates
    share = kept / before if before else 0.0
    passed = count >= MIN_HELD_OUT and share >= 0.5
    return Control(
        "held_out_texts",
        passed,
        float(count),
        None,
        None,
        (
            finding(
                "language.compared",
                texts=count,
                near=near_duplicates,
                before=before,
                needed=MIN_HELD_OUT,
            ),
        ),
    )


def pick(document: NDArray[np.int64], most: int, seed: int) -> NDArray[np.intp]:
    """The first window of each text, for at most `most` texts drawn at random."""
    firsts = np.unique(document, return_index=True)[1]
    if len(firsts) > most:
        firsts = np.sort(np.random.default_rng(seed).choice(firsts, most, replace=False))
    return firsts
