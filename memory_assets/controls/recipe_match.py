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
_LEAST_MARGIN = 1e-6  # nats


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


def _one_more(
    values: NDArray[np.float64], least: float, level: float = FAMILY_LEVEL / 2
) -> tuple[float, float]:
    """Prediction interval of one more value; the spread is at least `least`."""
    k = len(values)
    spread = max(float(values.std(ddof=1)), least)
    half = scipy.stats.t.ppf(1 - level / 2, k - 1) * spread * np.sqrt(1 + 1 / k)
    return float(values.mean() - half), float(values.mean() + half)


def _margins(signals: Signals) -> dict[str, NDArray[np.float64]]:
    """Mean margin `[K]` on the members of the pairs, as each model has them, and on the others."""
    own, is_in = signals.pairs.score[..., 0], signals.is_in
    return {
        "members": np.where(is_in, own, 0.0).sum(axis=(1, 2)) / own.shape[1],
        "others": np.where(is_in, 0.0, own).sum(axis=(1, 2)) / own.shape[1],
    }


def _unlike(pool: Signals, target: Signals) -> str | None:
    """The sentence that says on which side of the pairs the target is unlike its shadows."""
    mine = _margins(target)
    for name, values in _margins(pool).items():
        low, high = _one_more(values, _LEAST_MARGIN, FAMILY_LEVEL / 2)
        if not low <= mine[name][0] <= high:
            told = {"value": float(mine[name][0]), "low": low, "high": high}
            return say(f"recipe_match.{name}", models=pool.models, **told)
    return None


def recipe_match(pool: Signals, target: Signals, *, given: bool = False) -> Control:
    """Accuracy with its interval is the control's value; the detail tells of the loss too.

    Of shadow models that the owner has `given` as outputs, nothing but these outputs says how they
    were trained, and on what: the target's mean margins on members and on the other records of the
    pairs must then lie among theirs as well, the two together at 1 - FAMILY_LEVEL.

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
    unlike = _unlike(pool, target) if given and all(fits) else None
    return Control(
        "recipe_match",
        all(fits) and unlike is None,
        float(mine[0]),
        low,
        high,
        unlike or detail,
    )
