"""Information that predictions carry about the mask: the label channel bounds generalization.

A pool is a supersample: pair i, and the side `U_i` of it that a model trained on. What a model's
answers tell of `U_i` bounds its generalization gap (conditional mutual information; Steinke and
Zakynthinou, 2020). With `L0, L1` the 0/1 losses of the two sides and `D = L1 - L0`, in nats:

- `f_cmi` (Harutyunyan et al., 2021): `mean_i sqrt(2 I(predicted labels of pair i; U_i))`;
- `ld_cmi` (Wang and Mao, 2023): `mean_i sqrt(2 I(D_i; U_i))`;
- `ld_mi`: `sqrt(2 I(D; U))`, one distribution for all pairs;
- `e_cmi` (Hellstrom and Durisi, 2022): the largest R with
  `kl(Rhat || (Rhat + R)/2) <= mean_i I(L0, L1; U_i)`, Rhat the training error; bounds the *risk*;
- `interpolating` (Wang and Mao): `R <= mean_i I(D_i; U_i) / ln 2`, where no model errs in training;
- `conditional_f_information`: `mean_i sqrt(2 (E[D^2] + |E[(-1)^U D]|) I(D_i; U_i))`.

Information is the plug-in estimate over the models, which is too large by about (symbols - 1)/(2K)
nats; each number therefore comes with its null, the same number under masks drawn anew. Intervals
are over pairs: their masks are drawn independently. Low label information says nothing against
membership inference, which reads scores: see `score_channel`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import entr, rel_entr

from memory_assets.memorization.complementary_pairs import check_sides, shuffled
from memory_assets.memorization.score_channel import LN2, mapped, measure_scores
from memory_assets.pool.signals import Signals
from memory_assets.results.estimate import Estimate, Measurement, number
from memory_assets.results.formulas import INFORMATION
from memory_assets.statistics.intervals import CONFIDENCE, mean_interval

SHUFFLES = 40
_BLOCK = 2_048

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Information:
    """All measurements, and bits by pair `[n]`: where the memorization sits.

    `label_bits` is the plug-in I(D; U), `score_bits` the score channel's lower bound (None where
    the pool is too small for it), which may fall below 0 on a pair that it misjudges.
    """

    measurements: list[Measurement]
    label_bits: Floats
    score_bits: Floats | None


@dataclass(frozen=True)
class _Tables:
    """What the bounds are made of, by pair `[n]`, under one draw of the masks; `D` `[n, 3, 2]`."""

    labels: Floats
    losses: Floats
    difference: Floats
    tables: Floats

    @property
    def second_moment_and_gap(self) -> Floats:
        share = self.tables / self.tables.sum(axis=(1, 2), keepdims=True)
        value = np.array([-1.0, 0.0, 1.0])[:, None]
        sign = np.array([1.0, -1.0])
        return (value**2 * share).sum((1, 2)) + np.abs((value * sign * share).sum((1, 2)))


def mutual_information(counts: NDArray) -> Floats:
    """Plug-in mutual information in nats of the joint counts `[..., symbols, 2]`."""
    p = counts / counts.sum(axis=(-2, -1), keepdims=True)
    joint = entr(p).sum(axis=(-2, -1))
    return np.maximum(entr(p.sum(-1)).sum(-1) + entr(p.sum(-2)).sum(-1) - joint, 0.0)


def risk_bound(training_error: float, information: float) -> float:
    """The largest R <= 1 with `kl(training_error || (training_error + R)/2) <= information`."""

    def excess(risk: float) -> float:
        middle = (training_error + risk) / 2
        return float(
            rel_entr(training_error, middle)
            + rel_entr(1 - training_error, 1 - middle)
            - information
        )

    if training_error >= 1 or excess(1.0) <= 1e-12:
        return 1.0
    if information <= 0:
        return training_error
    root = brentq(excess, training_error, 1.0, xtol=1e-12)
    return float(cast(float, root))


def _counts(symbols: Ints, kinds: int, side: NDArray[np.uint8]) -> Ints:
    """Joint counts `[b, kinds, 2]` of `symbols` `[K, b]` below `kinds` and the masks `[K, b]`."""
    pairs = symbols.shape[1]
    cells = (np.arange(pairs) * kinds + symbols) * 2 + side
    return np.bincount(cells.ravel(), minlength=pairs * kinds * 2).reshape(pairs, kinds, 2)


def _dense(codes: Ints) -> Ints:
    """Number the distinct codes of each column `[K, b]` from 0."""
    order = np.argsort(codes, axis=0, kind="stable")
    ordered = np.take_along_axis(codes, order, axis=0)
    fresh = np.concatenate([np.zeros_like(ordered[:1]), ordered[1:] != ordered[:-1]])
    dense = np.empty_like(codes)
    np.put_along_axis(dense, order, fresh.cumsum(axis=0), axis=0)
    return dense


def _tables(signals: Signals, shuffles: int, seed: int) -> list[_Tables]:
    """The tables under the true masks, then under `shuffles` draws of new ones."""
    parts: list[list[_Tables]] = [[] for _ in range(shuffles + 1)]
    rng = np.random.default_rng([seed, 0xC31])
    classes = int(signals.pairs.label_pred.max(initial=0)) + 1
    for start in range(0, signals.side.shape[1], _BLOCK):
        block = slice(start, start + _BLOCK)
        label = signals.pairs.label_pred[:, block, :, 0].astype(np.int64)
        wrong = (~signals.pairs.correct[:, block, :, 0]).astype(np.int64)
        labels = _dense(label[..., 0] * classes + label[..., 1])
        losses = wrong[..., 0] * 2 + wrong[..., 1]
        difference = wrong[..., 1] - wrong[..., 0] + 1
        side = signals.side[:, block]
        for part in parts:
            masks = side if part is parts[0] else shuffled(side, rng)
            tables = _counts(difference, 3, masks)
            part.append(
                _Tables(
                    mutual_information(_counts(labels, int(labels.max()) + 1, masks)),
                    mutual_information(_counts(losses, 4, masks)),
                    mutual_information(tables),
                    tables.astype(np.float64),
                )
            )
    return [
        _Tables(*(np.concatenate([getattr(p, name) for p in part]) for name in vars(part[0])))
        for part in parts
    ]


def _over_pairs(values: Floats, low: float, high: float, confidence: float = CONFIDENCE):
    """Mean and interval over pairs; what rounding alone sets apart counts as equal."""
    return mean_interval(np.clip(np.round(values, 12), low, high), confidence, (low, high))


def _pooled(tables: Floats) -> Estimate:
    """I(D; U) of the summed tables, as a mean over pairs: by its linear part in each table."""
    p = tables.sum(axis=0) / tables.sum()
    product = p.sum(axis=1, keepdims=True) * p.sum(axis=0, keepdims=True)
    ratio = np.log(np.where(p > 0, p, 1.0) / np.where(p > 0, product, 1.0))
    by_pair = (tables * ratio).sum((1, 2)) / tables.sum((1, 2))
    return _over_pairs(by_pair, min(ratio.min(), -LN2), max(ratio.max(), LN2))


def _estimates(found: _Tables, error: Floats) -> Iterator[tuple[str, str, str, Estimate]]:
    """(name, metric, unit, estimate) of every bound; `error` is the training error by pair."""
    information = {
        "f_cmi": _over_pairs(found.labels, 0.0, LN2),
        "ld_cmi": _over_pairs(found.difference, 0.0, LN2),
        "ld_mi": mapped(_pooled(found.tables), lambda x: max(x, 0.0)),
        "e_cmi": _over_pairs(found.losses, 0.0, LN2),
    }
    for name, estimate in information.items():
        yield name, "information", "bits", mapped(estimate, lambda nats: nats / LN2)
    most = float(np.sqrt(2 * LN2))
    factor = np.sqrt(2 * found.second_moment_and_gap * found.difference)
    yield "f_cmi", "bound", "probability", _over_pairs(np.sqrt(2 * found.labels), 0.0, most)
    yield "ld_cmi", "bound", "probability", _over_pairs(np.sqrt(2 * found.difference), 0.0, most)
    yield (
        "ld_mi",
        "bound",
        "probability",
        mapped(information["ld_mi"], lambda nats: float(np.sqrt(2 * nats))),
    )
    yield "conditional_f_information", "bound", "probability", _over_pairs(factor, 0.0, 2 * most)
    # Two intervals at 97.5% each, so that both hold together at 95%.
    both = (1 + CONFIDENCE) / 2
    losses, trained = (_over_pairs(v, 0.0, t, both) for v, t in ((found.losses, LN2), (error, 1.0)))
    value, low, high = (
        risk_bound(number(getattr(trained, end)), number(getattr(losses, end)))
        for end in ("value", "ci_low", "ci_high")
    )
    yield "e_cmi", "risk_bound", "probability", Estimate(value, low, high, n=len(error))
    if error.any():
        yield "interpolating", "risk_bound", "probability", Estimate.not_run()
    else:
        bound = mapped(information["ld_cmi"], lambda nats: nats / LN2)
        yield "interpolating", "risk_bound", "probability", bound


def _with_null(name: str, metric: str, unit: str, estimate: Estimate, null: list[Estimate]):
    """The measurement, called vacuous where it is, and beside it what chance gives."""
    value = estimate.value
    if value is not None and (value > 1 or (metric == "risk_bound" and value >= 1)):
        estimate = replace(estimate, status="vacuous")
    yield Measurement("information", name, metric, unit, estimate, INFORMATION.version, "label")
    chance = [e.value for e in null if e.value is not None]
    spread = Estimate.not_run()
    if chance:
        low, high = np.quantile(chance, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
        mean = float(np.clip(np.mean(chance), low, high))
        spread = Estimate(mean, float(low), float(high), n=len(chance))
    yield Measurement(
        "information", name, f"{metric}_null", unit, spread, INFORMATION.version, "label"
    )


def information(signals: Signals, seed: int, shuffles: int = SHUFFLES) -> Information:
    """Every bound of the label channel and of the score channel, each with its null.

    `stratum` tells the channel, `label` or `score`. Metrics: `information` (bits a pair), `bound`
    (on the generalization gap), `risk_bound` (on the risk), and each with `_null`: mean and 95%
    range over `shuffles` draws of new masks (n counts draws). A bound above 1, or a risk bound of
    1, is `vacuous`; `interpolating` is `not_run` where a model errs in training. n counts pairs.

    Raises:
        ValueError: no pair, or a record with fewer than two IN or OUT models.
    """
    check_sides(signals)
    correct = signals.pairs.correct[..., 0]
    error = (~correct & signals.is_in).sum(axis=(0, 2)) / signals.models
    true, *null = _tables(signals, shuffles, seed)
    chance = [list(_estimates(drawn, error)) for drawn in null]
    measurements = [
        measurement
        for row, (name, metric, unit, estimate) in enumerate(_estimates(true, error))
        for measurement in _with_null(
            name, metric, unit, estimate, [drawn[row][3] for drawn in chance]
        )
    ]
    scores, score_bits = measure_scores(signals, seed)
    return Information([*measurements, *scores], true.difference / LN2, score_bits)
