"""Positive control: attacks must find a model that did memorize.

Best is a really overfitted model with its own pool (`overfitted`). Without one, memorisers are made
up: models with the masks, the number of records and the noise of this pool, but sure of all that
they trained on and wrong on all else. This tests the instrument, not its sensitivity: signs, sides,
alignment, enough models for every attack. That a weak leak would be found it does not show; the
width of the audit's intervals says that. The pool's own answers would not do: of models that
memorized nothing no attack could learn what a memory looks like, and the best model would be the
one that never gets a verdict.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from memory_assets.pool.signals import Answers, Signals
from memory_assets.results.estimate import Control, number
from memory_assets.results.findings import finding
from memory_assets.validity.scoring import FAMILY_LEVEL, Attacks, attack_aucs

_DEVIATIONS = 3.0
"""The memorisers' margin lies so far from 0, in standard deviations and at least in nats."""


def _answers(score: NDArray[np.float64]) -> Answers:
    correct = score > 0
    return Answers(
        score=score,
        p_true=expit(score),
        loss=np.logaddexp(0.0, -score),
        label_pred=correct.astype(np.int32),
        correct=correct,
    )


def memorisers(pool: Signals, side: NDArray[np.uint8]) -> tuple[Signals, Signals]:
    """A pool of memorisers and one more as target, which trained on the sides `side` `[n]`.

    Noise is the pool's: margins less each record's mean; the target takes that of the first model.
    """
    models = max(pool.models, 1)  # without a pool the made-up target has no noise
    noise = np.zeros((models, *pool.pairs.score.shape[1:]))
    if pool.models:
        noise = pool.pairs.score - pool.pairs.score.mean(axis=0)
    sure = _DEVIATIONS * max(float(noise.std()), 1.0)

    def learned(noise: NDArray, is_in: NDArray) -> Answers:
        return _answers(noise + np.where(is_in, sure, -sure)[..., None])

    target_in = side[None, :, None] == np.arange(2)
    held_out = pool.of_models(slice(1)).held_out
    return (
        Signals(learned(noise[: pool.models], pool.is_in), pool.held_out, pool.side),
        Signals(learned(noise[:1], target_in), held_out, side[None].astype(np.uint8)),
    )


def positive_control(
    attacks: Attacks, pool: Signals, side: NDArray[np.uint8], overfitted: Signals | None = None
) -> Control:
    """The AUC interval of every attack must lie above 0.5; the least of them is reported.

    `side` `[n]` is the membership that a made-up memoriser takes over; `overfitted` is one real
    model with the membership it was trained with, scored against `pool`. Intervals hold together
    over the attacks at 1 - FAMILY_LEVEL.

    Raises:
        ValueError: no attack, no pair, more than one target, or what an attack refuses.
    """
    confidence = 1 - FAMILY_LEVEL / max(len(attacks), 1)
    if overfitted is None:
        what = finding("memorizer.made_up")
        pool, target = memorisers(pool, np.asarray(side))
    else:
        what, target = finding("memorizer.overfitted"), overfitted
    found = attack_aucs(attacks, pool, target, confidence)
    name, least = min(found.items(), key=lambda item: number(item[1].ci_low))
    low, high, value = (number(x) for x in (least.ci_low, least.ci_high, least.value))
    blind = [each for each, estimate in found.items() if number(estimate.ci_low) <= 0.5]
    told = {"memorizer": what, "value": value, "low": low, "high": high, "attack": name}
    detail = (
        finding("positive.failed", attacks=blind, **told)
        if blind
        else finding("positive.passed", **told)
    )
    return Control("positive", not blind, value, low, high, (detail,))
