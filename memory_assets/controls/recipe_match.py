"""Recipe match: the target must look like one more model of the pool.

If it was trained otherwise than the shadows (longer, wider, on other preprocessing), they are no
reference for it and scores of the LiRA kind are mis-calibrated. Its held-out accuracy and the
logarithm of its mean held-out loss must lie in the prediction interval of one more model:
`mean +- t s sqrt(1 + 1/K)`, the two together at 1 - FAMILY_LEVEL.
"""

from __future__ import annotations

import numpy as np
import scipy
from numpy.typing import NDArray

from memory_assets.controls.scoring import FAMILY_LEVEL, percent
from memory_assets.pool.signals import Signals
from memory_assets.sentences import say
from memory_assets.statistics.estimate import Control

_FLOOR = 1e-12


def _unseen(signals: Signals) -> tuple[NDArray[np.float64], NDArray[np.float64], int]:
    """Accuracy and log mean loss `[K]` on held-out records, or on the OUT records of the pairs."""
    if signals.held_out.correct.shape[1]:
        correct, loss = signals.held_out.correct[..., 0], signals.held_out.loss[..., 0]
    else:
        correct, loss = (
            np.where(signals.side == 1, values[:, :, 0, 0], values[:, :, 1, 0])
            for values in (signals.pairs.correct, signals.pairs.loss)
        )
    return correct.mean(axis=1), np.log(loss.mean(axis=1) + _FLOOR), correct.shape[1]


def _one_more(values: NDArray[np.float64], least: float) -> tuple[float, float]:
    """Prediction interval of one more value; the spread is at least `least`."""
    k = len(values)
    spread = max(float(values.std(ddof=1)), least)
    half = scipy.stats.t.ppf(1 - FAMILY_LEVEL / 4, k - 1) * spread * np.sqrt(1 + 1 / k)
    return float(values.mean() - half), float(values.mean() + half)


def recipe_match(pool: Signals, target: Signals) -> Control:
    """Accuracy with its interval is the control's value; the detail tells of the loss too.

    Fewer than 4 models span no interval worth the name: the control fails. Without any, no attack
    rests on them and nothing has to match.

    Raises:
        ValueError: more than one target, or no record to compare on.
    """
    if target.models != 1:
        raise ValueError(f"recipe match takes one target, got {target.models}")
    mine, my_loss, records = _unseen(target)
    if records < 1:
        raise ValueError("there is no record that the models did not train on")
    if not pool.models:
        return Control("recipe_match", True, None, None, None, say("recipe_match.no_pool"))
    if pool.models < 4:
        detail = say("recipe_match.too_few", models=pool.models)
        return Control("recipe_match", False, float(mine[0]), None, None, detail)
    accuracy, log_loss, _ = _unseen(pool)
    low, high = _one_more(accuracy, 0.5 / records)
    loss_low, loss_high = _one_more(log_loss, _FLOOR)
    fits = low <= mine[0] <= high, loss_low <= my_loss[0] <= loss_high
    low, high = max(low, 0.0), min(high, 1.0)
    quality = say(
        "quality.seen",
        accuracy=percent(float(mine[0])),
        low=percent(low),
        high=percent(high),
        loss=np.exp(my_loss[0]),
        loss_low=np.exp(loss_low),
        loss_high=np.exp(loss_high),
        models=pool.models,
    )
    if all(fits):
        detail = say("recipe_match.passed", quality=quality)
    else:
        differs = "loss" if fits[0] else "accuracy" if fits[1] else "both"
        detail = say("recipe_match.failed", outside=say(f"outside.{differs}"), quality=quality)
    return Control("recipe_match", all(fits), float(mine[0]), low, high, detail)
