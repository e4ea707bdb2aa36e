"""Pools of shadow models whose memorization, influence and information are known.

Every answer is right with a probability that is linear in what the model saw, so that every truth
is a sum. Models differ in quality over all records at once; models of a couple train on opposite
sides, and on some records their luck is opposite too (what the one learned the other lacks).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import entr, expit
from scipy.stats import norm

from benchmarks.trust.trials import Trial, trial
from memory_assets.memorization.gain import measure_gain
from memory_assets.memorization.influence import influence
from memory_assets.memorization.information import _estimates, _tables
from memory_assets.memorization.kinds import classify, measure_kinds
from memory_assets.memorization.per_record import MEMORIZED, measure_records, score_records
from memory_assets.memorization.score_channel import measure_scores
from memory_assets.pool.masks import draw_masks
from memory_assets.pool.signals import Answers, Signals
from memory_assets.results.estimate import Estimate, Measurement

QUALITY = 0.2
"""How far models differ: at most this share of what would make a record sure or hopeless."""

IN_OUT = ((0.95, 0.95), (1.0, 1.0), (0.3, 0.3), (0.85, 0.6), (1.0, 0.3), (0.9, 0.05), (1.0, 0.0))
"""Accuracy on a record IN and OUT: known, sure, hard, helped a little, memorized, more, wholly."""


def answers(correct: NDArray[np.bool_], score: NDArray[np.float64] | None = None) -> Answers:
    """Answers of two classes; margins of +-2 where no scores are given."""
    margin = np.where(correct, 2.0, -2.0) if score is None else score
    margin, right = margin[..., None].astype(np.float64), correct[..., None]
    return Answers(margin, expit(margin), np.logaddexp(0.0, -margin), right.astype(np.int32), right)


@dataclass(frozen=True)
class Pool:
    """Signals with the truth of every record `[n, 2]`; `helps` is influence on held-out data."""

    signals: Signals
    inside: NDArray[np.float64]
    outside: NDArray[np.float64]
    helps: NDArray[np.float64]

    @property
    def memorization(self) -> NDArray[np.float64]:
        return self.inside - self.outside


def draw_pool(
    rng: np.random.Generator,
    models: int,
    pairs: int,
    quality: float = QUALITY,
    held_out: int = 200,
    helpful: float = 0.01,
    opposed: float = 0.5,
) -> Pool:
    """A pool in which every record is of a kind of `IN_OUT`, and 8 memorized ones help.

    `opposed` is the share of records on which the luck of a couple is opposite.
    """
    kind = np.arange(2 * pairs).reshape(pairs, 2) % len(IN_OUT)
    inside, outside = np.array(IN_OUT).T[:, kind]
    side = draw_masks(models, pairs, int(rng.integers(2**31)))
    is_in = side[..., None] == np.arange(2)
    chance = np.where(is_in, inside, outside)
    better = quality * rng.uniform(-1, 1, (models, 1, 1))
    chance = chance + better * np.minimum(chance, 1 - chance)
    luck = rng.random((models // 2, 2, pairs, 2))
    turned = rng.random((pairs, 2)) < opposed
    luck[:, 1] = np.where(turned, 1 - luck[:, 0], luck[:, 1])
    correct = luck.reshape(models, pairs, 2) < chance
    helping = np.zeros((pairs, 2))
    helping[np.flatnonzero((inside - outside)[:, 0] > MEMORIZED)[:8], 0] = helpful
    known = (helping * (is_in - 0.5)).sum(axis=(1, 2))
    held = 0.7 + known + 0.3 * better[:, 0, 0]
    seen = rng.random((models, held_out)) < held[:, None]
    # The influences of the two sides of a pair are equal and opposite.
    helps = helping - helping[:, ::-1]
    return Pool(Signals(answers(correct), answers(seen), side), inside, outside, helps)


def _by_metric(found: list[Measurement]) -> dict[str, Estimate]:
    return {m.metric: m.estimate for m in found}


def memorization(rng: np.random.Generator, models: int = 64, pairs: int = 60) -> Iterator[Trial]:
    """Single records, their mean and share, influence, gain and kinds."""
    pool = draw_pool(rng, models, pairs)
    world, signals = f"{models} models, {pairs} pairs", pool.signals
    scores, paying = score_records(signals), influence(signals)
    for place in range(len(IN_OUT)):  # one record of each kind
        record = (place // 2, place % 2)
        ends = float(scores.low[record]), float(scores.high[record])
        which = f"{IN_OUT[place][0]:g} IN, {IN_OUT[place][1]:g} OUT"
        yield Trial(
            "memorization of a record",
            f"{models} models, {which}",
            *ends,
            float(pool.memorization[record]),
        )
    record = int(rng.integers(pairs)), int(rng.integers(2))
    ends = float(scores.low[record]), float(scores.high[record])
    yield Trial(
        "memorization of a record",
        f"{models} models, one drawn by lot",
        *ends,
        float(pool.memorization[record]),
    )
    ends = float(paying.low[record]), float(paying.high[record])
    yield Trial("influence of a record", world, *ends, float(pool.helps[record]))
    found = _by_metric(measure_records(signals, scores)) | _by_metric(measure_gain(signals))
    truth = {
        "mean_memorization": pool.memorization.mean(),
        "in_accuracy": pool.inside.mean(),
        "out_accuracy": pool.outside.mean(),
        "share_above_0.25": (pool.memorization > MEMORIZED).mean(),
        "held_out_accuracy": 0.7,
    }
    for metric, value in truth.items():
        yield trial(metric, world, found[metric], float(value))
    kinds = _by_metric(measure_kinds(scores, paying, classify(scores, paying)))
    memorized = pool.memorization > MEMORIZED
    pays = memorized & (pool.helps > 0)
    shares = {
        "useful_memorization": pays,
        "pure_leakage": memorized & ~pays,
        "generalized": ~memorized & (pool.outside > 0.5),
        "hard": ~memorized & (pool.outside < 0.5),
    }
    for name, true in shares.items():
        yield trial(f"share_{name}", world, kinds[f"share_{name}"], float(true.mean()))


def small_pool(rng: np.random.Generator) -> Iterator[Trial]:
    """The same of the quick depth's 4 models: two couples."""
    yield from memorization(rng, models=4)


def gain(rng: np.random.Generator, models: int = 64, pairs: int = 60) -> Iterator[Trial]:
    """Held-out accuracy that 15 memorized records bring, in models of equal and unequal luck."""
    for spread in (0.0, 0.3):
        side = draw_masks(models, pairs, int(rng.integers(2**31)))
        is_in = side[..., None] == np.arange(2)
        memorized = np.zeros((pairs, 2), dtype=bool)
        memorized[:15, 0] = True
        chance = np.where(memorized, np.where(is_in, 0.97, 0.05), 0.85)
        better = spread * rng.uniform(-1, 1, models)
        chance = chance + better[:, None, None] * np.minimum(chance, 1 - chance)
        number = (is_in & memorized).sum(axis=(1, 2))
        held = 0.6 + 0.01 * (number - 7.5) + 0.3 * better
        correct, seen = rng.random(chance.shape) < chance, rng.random((models, 150)) < held[:, None]
        found = _by_metric(measure_gain(Signals(answers(correct), answers(seen), side)))
        world = f"{models} models, {'unequal' if spread else 'equal'} luck"
        yield trial("held_out_gain_per_record", world, found["held_out_gain_per_record"], 0.01)
        yield trial("held_out_gain", world, found["held_out_gain"], 0.15)


def _difference_information(inside: NDArray, outside: NDArray) -> NDArray:
    """I(D; U) in nats of each pair, D the difference of losses, answers independent given U."""
    tables = []
    for first, second in ((inside[:, 0], outside[:, 1]), (outside[:, 0], inside[:, 1])):
        minus, plus = (1 - first) * second, first * (1 - second)
        tables.append(np.stack([minus, 1 - minus - plus, plus], axis=-1))
    given = np.mean([entr(t).sum(-1) for t in tables], axis=0)
    return entr(np.mean(tables, axis=0)).sum(-1) - given


GAP = 1.0
"""Nats by which training on a record moves its margin, of standard deviation 1."""


@cache
def _gaussian_bits() -> float:
    """I(score; U) in bits of two unit-variance margins, the one IN moved by `GAP`."""
    x = np.linspace(-12, 14, 20_001)
    variance = 2 * GAP**2  # the log odds in favour of the truth are N(variance / 2, variance)
    density = norm.pdf(x, variance / 2, variance**0.5)
    return float(1 - (density * np.logaddexp(0, -x)).sum() * (x[1] - x[0]) / np.log(2))


def label_channel(rng: np.random.Generator, pairs: int = 60) -> Iterator[Trial]:
    """Bits of labels: against the truth, and against what so many models show on average."""
    for models, nothing in ((64, False), (16, True)):
        pool = _label_pool(rng, models, pairs, nothing)
        found = _label_bits(pool)
        nats = _difference_information(pool.inside, pool.outside)
        truths = {
            "information": float(nats.mean() / np.log(2)),
            "bound": float(np.sqrt(2 * nats).mean()),
        }
        expected = _expected(models, pairs, nothing)
        world = f"{models} models, {'nothing' if nothing else 'two in five records'} memorized"
        for metric, truth in truths.items():
            figure = f"`ld_cmi` {metric}, of "
            yield trial(figure + "the truth", world, found[metric], truth)
            yield trial(figure + "so many models", world, found[metric], expected[metric])


def _label_pool(rng: np.random.Generator, models: int, pairs: int, nothing: bool) -> Pool:
    pool = draw_pool(rng, models, pairs, opposed=0.0, held_out=0)
    if not nothing:
        return pool
    correct = rng.random(pool.signals.is_in.shape) < 0.8
    empty = pool.signals.held_out
    same = np.full((pairs, 2), 0.8)
    return Pool(Signals(answers(correct), empty, pool.signals.side), same, same, pool.helps)


def _label_bits(pool: Pool) -> dict[str, Estimate]:
    (tables,) = _tables(pool.signals, shuffles=0, seed=0)
    error = (~pool.signals.pairs.correct[..., 0] & pool.signals.is_in).sum(axis=(0, 2))
    found = _estimates(tables, error / pool.signals.models)
    return {metric: e for name, metric, _, e in found if name == "ld_cmi"}


@cache
def _expected(models: int, pairs: int, nothing: bool) -> dict[str, float]:
    """Mean of the plug-in values over 200 pools."""
    found = [
        _label_bits(_label_pool(np.random.default_rng([i, 0xE]), models, pairs, nothing))
        for i in range(200)
    ]
    return {
        metric: float(np.mean([each[metric].value for each in found]))
        for metric in ("information", "bound")
    }


def score_channel(rng: np.random.Generator, models: int = 32, pairs: int = 60) -> Iterator[Trial]:
    """Lower bounds on what margins tell must not exceed it."""
    side = draw_masks(models, pairs, int(rng.integers(2**31)))
    is_in = side[..., None] == np.arange(2)
    for gap, bits in ((GAP, _gaussian_bits()), (0.0, 0.0)):
        score = rng.normal(0, 2, (pairs, 2)) + rng.normal(size=(models, pairs, 2)) + gap * is_in
        score += rng.normal(0, 0.3, (models, 1, 1))  # better or worse at everything
        signals = Signals(answers(score > 0, score), answers(np.zeros((models, 0), bool)), side)
        world = f"{models} models, {pairs} pairs, {bits:.2f} bit a pair"
        best = float(norm.cdf(gap / 2**0.5))
        for m in measure_scores(signals, 0, shuffles=0)[0]:
            if m.metric.endswith("_null"):
                continue
            truth = best if m.metric == "pair_accuracy" else bits
            yield Trial(
                f"`{m.name}` {m.metric}, a lower bound",
                world,
                m.estimate.ci_low,
                None,
                truth,
                0.975,
            )
