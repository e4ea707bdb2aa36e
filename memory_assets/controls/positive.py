"""Positive control: attacks must find a model that did memorize.

Best is a really overfitted model with its own answers (`overfitted`). Without one, a memoriser is
put together from the pool: for every record it gives the best answer that a model gave which had
trained on it, or the worst that a model gave which had not. This tests the instrument, not its
sensitivity: signs, sides and alignment of arrays, and thresholds. It does not show that a weakly
overfitted model would be found; the width of the audit's intervals says that.
"""

from __future__ import annotations

import numpy as np

from memory_assets.controls.scoring import FAMILY_LEVEL, Attacks, attack_aucs
from memory_assets.pool.signals import Answers, Signals
from memory_assets.statistics.estimate import Control
from memory_assets.statistics.roc import number


def memoriser(pool: Signals, side: np.ndarray) -> Signals:
    """A target with sides `[n]` that remembers as well as any model of the pool ever did.

    Its answers are the pool's own. Held-out answers are those of the pool's first model.
    """
    margin, is_in = pool.pairs.score[..., 0], pool.is_in
    best = np.where(is_in, margin, -np.inf).argmax(axis=0)
    worst = np.where(is_in, np.inf, margin).argmin(axis=0)
    member = side[:, None] == np.arange(2)
    chosen = np.where(member, best, worst)[None, ..., None]
    pairs = {
        name: np.take_along_axis(values, chosen, axis=0)
        for name, values in vars(pool.pairs).items()
    }
    held_out = {name: values[:1] for name, values in vars(pool.held_out).items()}
    return Signals(Answers(**pairs), Answers(**held_out), side[None].astype(np.uint8))


def positive_control(
    attacks: Attacks, pool: Signals, side: np.ndarray, overfitted: Signals | None = None
) -> Control:
    """The AUC interval of every attack must lie above 0.5; the least of them is reported.

    `side` `[n]` is the target's membership, which the made-up memoriser takes over; `overfitted`
    is one real model with the membership it was trained with, scored against the same pool.
    Intervals hold together over the attacks at 1 - FAMILY_LEVEL.

    Raises:
        ValueError: no attack, no pair, more than one target, or what an attack refuses.
    """
    confidence = 1 - FAMILY_LEVEL / max(len(attacks), 1)
    target = memoriser(pool, np.asarray(side)) if overfitted is None else overfitted
    found = attack_aucs(attacks, pool, target, confidence)
    name, least = min(found.items(), key=lambda item: number(item[1].ci_low))
    low, high, value = (number(x) for x in (least.ci_low, least.ci_high, least.value))
    blind = [each for each, estimate in found.items() if number(estimate.ci_low) <= 0.5]
    what = (
        "a memoriser made of the pool's own answers" if overfitted is None else "an overfit model"
    )
    least_told = f"AUC {value:.3f} ({low:.3f} to {high:.3f}) by {name}"
    detail = (
        f"Every attack detects {what}; the least sure gives {least_told}."
        if not blind
        else f"{', '.join(blind)} cannot tell the members of {what} ({least_told}), "
        "so finding nothing in the target means nothing."
    )
    return Control("positive", not blind, value, low, high, detail)
