"""Recipe match: the target must look like one more model of the pool.

If it was trained otherwise than the shadows (longer, wider, on other preprocessing, on records that
are not on the list), they are no reference for it: what attacks find or miss means nothing. Its
accuracy and loss on records that no model saw, its margins on members and on non-members, how far
the two lie apart, their spread, and the share of non-members above the shadows' thresholds must all
lie in the prediction interval of one more model, together at 1 - FAMILY_LEVEL (Bonferroni).
"""

from __future__ import annotations

import numpy as np

from memory_assets.pool.signals import Signals
from memory_assets.results.estimate import Control
from memory_assets.results.findings import Finding, finding
from memory_assets.validity.causes import likely_cause
from memory_assets.validity.resemblance import Margins, Statistic, margins, statistics, unseen
from memory_assets.validity.scoring import FAMILY_LEVEL

FEWEST_MODELS = 4


def _flagged(found: dict[str, Statistic], level: float) -> list[Finding]:
    """The false positive rates reached at the shadows' thresholds, where not as nominal."""
    told = []
    for name, each in found.items():
        if name.startswith("flagged_") and each.side(level):
            rate = float(np.sin(each.target) ** 2)
            nominal = float(name.removeprefix("flagged_"))
            told.append(finding("quality.flagged", rate=rate, nominal=nominal))
    return told


def _quality(
    found: dict[str, Statistic], look: Margins | None, models: int, level: float
) -> tuple[Finding, ...]:
    accuracy, loss = found["accuracy"], found["loss"]
    low, high = accuracy.interval(level)
    loss_low, loss_high = loss.interval(level)
    told = [
        finding(
            "quality.seen",
            accuracy=accuracy.target,
            low=max(low, 0.0),
            high=min(high, 1.0),
            loss=np.exp(loss.target),
            loss_low=np.exp(loss_low),
            loss_high=np.exp(loss_high),
            models=models,
        )
    ]
    if look is None:
        return tuple(told)
    numbers = {}
    for name, expected in (("members", look.expected_in), ("non_members", look.expected_out)):
        low, high = found[name].interval(level)
        numbers |= {
            name: expected + found[name].target,
            f"{name}_low": expected + low,
            f"{name}_high": expected + high,
        }
    told.append(finding("quality.margins", **numbers))
    return (*told, *_flagged(found, level))


def recipe_match(pool: Signals, target: Signals) -> Control:
    """Accuracy with its interval is the control's value; the detail tells of the rest, and the
    likeliest cause of a difference.

    Fewer than 4 models span no interval worth the name: the control fails. Without any, no attack
    rests on them and nothing has to match.

    Raises:
        ValueError: more than one target, or no record to compare on.
    """
    if target.models != 1:
        raise ValueError(f"recipe match takes one target, got {target.models}")
    mine, _, records = unseen(target)
    if records < 1:
        raise ValueError("there is no record that the models did not train on")
    if not pool.models:
        return Control("recipe_match", True, None, None, None, (finding("recipe_match.no_pool"),))
    if pool.models < FEWEST_MODELS:
        detail = finding("recipe_match.too_few", models=pool.models)
        return Control("recipe_match", False, float(mine[0]), None, None, (detail,))
    look = margins(pool, target)
    found = statistics(pool, target, look)
    level = FAMILY_LEVEL / len(found)
    outside = [name for name, each in found.items() if each.side(level)]
    quality = _quality(found, look, pool.models, level)
    if outside:
        named = dict.fromkeys(name.split("_0")[0] for name in outside)  # one name for both rates
        where = tuple(finding(f"outside.{name}") for name in named)
        cause = likely_cause(pool, target, look, found, level)
        detail = finding("recipe_match.unlike", outside=where, quality=quality, cause=cause)
    else:
        detail = finding("recipe_match.passed", quality=quality)
    low, high = found["accuracy"].interval(level)
    ends = max(low, 0.0), min(high, 1.0)
    return Control("recipe_match", not outside, float(mine[0]), *ends, (detail,))
