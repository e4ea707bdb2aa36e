"""Is this audit of a language model valid? What must show nothing, shown to show nothing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from memory_assets.controls.blind import EXCHANGES, FOLDS, told_apart
from memory_assets.controls.scoring import FAMILY_LEVEL
from memory_assets.language import scores
from memory_assets.language.model import Ids, LanguageModel, untrained_like
from memory_assets.language.signals import Progress, token_signals
from memory_assets.language.text_audit import Probes
from memory_assets.statistics.estimate import Control
from memory_assets.statistics.intervals import rate
from memory_assets.statistics.roc import Roc

MIN_HELD_OUT = 100
_COMPLETED_UNSEEN = 0.01
_MIN_BLIND = 20
_MOST_BLIND = 1_000
_SHARPNESS = 10.0
"""Of the classifier: how little it is held back from trusting single words."""


def _told(passed: bool) -> str:
    return "as it must be" if passed else "which is more than chance"


def from_auc(name: str, roc: Roc, what: str) -> Control:
    """The AUC must not lie above 0.5 beyond its interval; a valid audit fails in 1% of cases."""
    auc = roc.auc(1 - 2 * FAMILY_LEVEL)
    passed = auc.ci_low is not None and auc.ci_low <= 0.5
    if auc.value is None:
        detail = f"{what}: the AUC cannot be told from {auc.n} texts"
    else:
        detail = f"{what}: AUC {auc.value:.3f} (chance 0.5) {_told(passed)}"
    return Control(name, passed, auc.value, auc.ci_low, auc.ci_high, detail)


def untrained_control(
    model: LanguageModel,
    members: Sequence[Ids],
    held_out: Sequence[Ids],
    seed: int,
    progress: Progress | None = None,
) -> Control:
    """A model of the same architecture that never learned must not tell members from others."""
    blank = untrained_like(model, seed)
    every = scores.loss(token_signals(blank, [*members, *held_out], progress=progress))
    roc = Roc.of(every[: len(members)], every[len(members) :])
    return from_auc("untrained_model", roc, "the same architecture with random weights")


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
    """A classifier that sees the words of the texts and no model must not tell the sides apart.

    Kernel ridge on TF-IDF, every text scored by a classifier that did not see it. If it succeeds,
    the sides differ in kind, and every attack's figure is inflated (Meeus et al. 2024,
    arXiv 2406.17975; Das et al. 2024, arXiv 2406.16201). The interval comes from the AUC under
    permuted sides: DeLong's, which takes the texts for judged independently, failed 9% of valid
    audits at a nominal 2.5%. Of more than 1,000 texts of a side a random 1,000 are used.
    """
    smaller = min(len(members), len(held_out))
    if smaller < _MIN_BLIND:
        return Control(
            "blind_baseline",
            False,
            None,
            None,
            None,
            f"{smaller} texts on the smaller side; at least {_MIN_BLIND} are needed to tell",
        )
    from sklearn.feature_extraction.text import TfidfTransformer

    rng = np.random.default_rng([seed, 0xB1D])
    sides = [_some(side, rng) for side in (members, held_out)]
    counts = _word_counts([*sides[0], *sides[1]], vocabulary)
    words = TfidfTransformer(sublinear_tf=True).fit_transform(counts)
    member = np.repeat([1.0, -1.0], [len(side) for side in sides])
    label = np.stack([member] + [rng.permutation(member) for _ in range(EXCHANGES - 1)], axis=1)
    fold = rng.permutation(len(member)) % FOLDS
    likeness = _SHARPNESS * (words @ words.T).toarray()
    value, low, high = told_apart(likeness, fold, label, 2 * FAMILY_LEVEL)
    passed = low <= 0.5
    detail = f"a bag of words that asks no model: AUC {value:.3f} (chance 0.5) {_told(passed)}"
    return Control("blind_baseline", passed, value, low, high, detail)


def held_out_extraction(probes: Probes | None) -> Control:
    """What the model completes without having seen it is not memorization: it must be rare."""
    if probes is None or not probes.texts.size:
        return Control(
            "held_out_extraction",
            False,
            None,
            None,
            None,
            "no held-out text is long enough to be completed, so there is nothing to hold the "
            "extraction rate against",
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
        f"{estimate.k} of {estimate.n} held-out texts are completed word for word: "
        + ("rare enough" if passed else "these texts can be guessed without having been seen"),
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
        f"{count} held-out texts are compared ({near_duplicates} of {before} were near-duplicates "
        f"of members); at least {MIN_HELD_OUT} are needed to see a false positive rate of 1%",
    )


def pick(windows: Sequence[Ids], document: NDArray[np.int64], most: int, seed: int) -> list[Ids]:
    """The first window of each text, for at most `most` texts drawn at random."""
    firsts = np.unique(document, return_index=True)[1]
    if len(firsts) > most:
        firsts = np.sort(np.random.default_rng(seed).choice(firsts, most, replace=False))
    return [windows[i] for i in firsts]
