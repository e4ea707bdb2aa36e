"""Figures of language models: texts cut into windows, secrets in tiers, bits with a long tail."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.stats import lognorm

from benchmarks.trust.trials import Trial, trial
from memory_assets.language.exposure import Exposure
from memory_assets.language.secret_audit import _mean_exposure, reweighted
from memory_assets.language.text_audit import Probes, known_bits, measure_extraction
from memory_assets.memorization.counterfactual import counterfactual
from memory_assets.memorization.per_record import MEMORIZED
from memory_assets.pool.masks import draw_masks
from memory_assets.pool.signals import Answers, Signals
from memory_assets.statistics.intervals import rate

TEXTS, WINDOWS = 300, 6
REFERENCES = 1000
PAIRS = 300
GAINS = {"all just below": (MEMORIZED - 0.005,), "half above": (0.0, 0.2, MEMORIZED + 0.005, 0.4)}
"""Shares of a text's tokens that models guess more of it for having trained on it, by world; the
hard places are next to the threshold."""


def memorized_texts(rng: np.random.Generator) -> Iterator[Trial]:
    """Texts of 20 to 200 tokens, in pools whose models differ in quality over all of them."""
    tokens = rng.integers(20, 201, (PAIRS, 2))
    for models in (8, 32):
        side = draw_masks(models, PAIRS, int(rng.integers(2**31)))
        is_in = side[..., None] == np.arange(2)
        better = rng.uniform(-0.02, 0.02, (models, 1, 1))
        for which, kinds in GAINS.items():
            gain = np.array(kinds)[np.arange(2 * PAIRS) % len(kinds)].reshape(PAIRS, 2)
            accuracy = rng.binomial(tokens, 0.3 + gain * is_in + better) / tokens
            answers = Answers.from_texts(accuracy[..., None] - 1, accuracy[..., None])
            none = Answers.from_texts(*(np.zeros((models, 0, 1)),) * 2)
            measured = counterfactual(Signals(answers, none, side)).measurements
            (found,) = (m.estimate for m in measured if m.metric == f"share_above_{MEMORIZED}")
            world = f"{models} models, {2 * PAIRS} texts, {which}"
            truth = float((gain > MEMORIZED).mean())
            yield trial(f"share_above_{MEMORIZED} of texts", world, found, truth)


def extraction(rng: np.random.Generator) -> Iterator[Trial]:
    """A text is recited in all of its windows or in few: windows of one text are no trials."""
    length = rng.integers(1, WINDOWS + 1, TEXTS)
    document = np.repeat(np.arange(TEXTS), length)
    known = rng.random(TEXTS) < 0.05  # by heart: each window then with probability 0.9
    hits = rng.random(document.size) < np.where(known[document], 0.9, 0.01)
    close = rng.random(document.size) < np.where(known[document], 0.5, 0.01)

    def any_of(found: np.ndarray) -> np.ndarray:
        return np.bincount(document, weights=found, minlength=TEXTS) > 0

    def truth(by_heart: float, other: float) -> float:
        counts = np.arange(1, WINDOWS + 1)
        return float(
            np.mean(0.05 * (1 - (1 - by_heart) ** counts) + 0.95 * (1 - (1 - other) ** counts))
        )

    probes = Probes(np.arange(TEXTS), any_of(hits), any_of(hits), np.zeros(TEXTS), any_of(close))
    found = {m.metric: m.estimate for m in measure_extraction(probes, None, np.ones(TEXTS, int))}
    world = f"{TEXTS} texts of 1 to {WINDOWS} windows"
    yield trial("extraction_rate", world, found["extraction_rate"], truth(0.9, 0.01))
    yield trial("near_tie_rate", world, found["near_tie_rate"], truth(0.5, 0.01))


def tiers(rng: np.random.Generator) -> Iterator[Trial]:
    """Secrets planted evenly, weighted by how often real texts repeat."""
    rates = {1: 0.02, 4: 0.2, 16: 0.9}
    shares = {1: 0.9, 4: 0.08, 16: 0.02}
    for n in (20, 100):
        by_tier = {r: rate(int(rng.binomial(n, p)), n) for r, p in rates.items()}
        truth = sum(shares[r] * p for r, p in rates.items())
        found = reweighted(by_tier, shares)
        yield trial("secret_extraction_rate, reweighted", f"3 tiers of {n} secrets", found, truth)


def _exposures(rng: np.random.Generator, strength: float, count: int) -> list[Exposure]:
    """Secrets ranked among references; `strength` moves their likelihood by standard deviations."""
    moved = rng.normal(strength, 1.0, count) if strength else rng.normal(0, 1, count)
    references = rng.normal(size=(count, REFERENCES))
    ranks = 1 + (references >= moved[:, None]).sum(axis=1)
    ceiling = float(np.log2(REFERENCES + 1))
    return [Exposure(ceiling - float(np.log2(r)), ceiling, None, REFERENCES + 1) for r in ranks]


def exposure(rng: np.random.Generator) -> Iterator[Trial]:
    """Mean exposure of a tier: skewed where little is known, cut at the ceiling where much is."""
    for strength, truth in EXPOSURE_TRUTH.items():
        for count in (5, 10, 30):
            found = _mean_exposure(_exposures(rng, strength, count))
            world = f"{count} secrets, {'never learned' if not strength else f'{truth:.1f} bits'}"
            yield trial("mean_exposure", world, found, truth)


EXPOSURE_TRUTH = {
    strength: float(
        np.mean([e.bits for e in _exposures(np.random.default_rng(1), strength, 20_000)])
    )
    for strength in (0.0, 1.5)
}


def unintended(rng: np.random.Generator) -> Iterator[Trial]:
    """Bits that the model knows of its members: most a few, a twentieth very many."""
    for count in (100, 500):
        spread = lognorm(s=0.8, scale=3.0)
        bits = spread.rvs(count, random_state=rng)
        by_heart = rng.random(count) < 0.05
        bits[by_heart] += lognorm(s=0.5, scale=150.0).rvs(int(by_heart.sum()), random_state=rng)
        truth = spread.mean() + 0.05 * lognorm(s=0.5, scale=150.0).mean()
        mean, total = known_bits(bits)
        yield trial("mean_bits", f"{count} texts, 5% by heart", mean, float(truth))
        yield trial("total_bits", f"{count} texts, 5% by heart", total, float(truth) * count)
