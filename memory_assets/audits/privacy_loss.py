"""Lower bounds on epsilon from what the attacks found on one version."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from memory_assets.attacks.evaluate import Evaluation
from memory_assets.controls.claim import ClaimCheck, check_claim
from memory_assets.formulas import ACCOUNTANT, BEST_EPSILON, EPSILON, EPSILON_CEILING, together
from memory_assets.formulas import REPLACE_ONE as REPLACE_ONE_FORMULA
from memory_assets.models.privacy import privacy_spent, replace_one_spent
from memory_assets.models.recipe import Recipe
from memory_assets.statistics.epsilon import (
    Bonferroni,
    EpsilonBound,
    Split,
    epsilon_lower_bound,
    epsilon_measurements,
    gaussian_dp_epsilon,
)
from memory_assets.statistics.estimate import Estimate, Measurement
from memory_assets.statistics.intervals import CONFIDENCE
from memory_assets.statistics.one_run import one_run_from_pairs

DELTA = 1e-5
"""At which claims are held against bounds; one at a smaller delta claims as much at this one."""

CEILING = "epsilon_ceiling"
REPLACE_ONE = "replace_one_epsilon"
_ACCOUNTED = {"accountant_epsilon": ACCOUNTANT, REPLACE_ONE: REPLACE_ONE_FORMULA}

GUESSED_SHARE = 0.1
"""Of the pairs, fixed beforehand: a one-run audit gains from guessing only where it is sure."""


def measure_epsilon(evaluation: Evaluation, side: NDArray[np.uint8]) -> list[Measurement]:
    """Three lower bounds for every attack, each beside the ceiling of this sample.

    Clopper-Pearson (delta 0) and Gaussian DP use the thresholds that the shadows chose before the
    target was looked at; the one-run audit guesses the sides `[n]` of the pairs. All of them audit
    replace-one adjacency: pairs differ in which record was trained on. The row `epsilon`, which a
    claim is held against, is the best Clopper-Pearson bound at delta 1e-5, at a confidence that
    holds over all attacks together; `epsilon_ceiling` is the most that it could have shown. Where
    no shadows chose a threshold, it is the best of two bounds that need none (`_without_shadows`).
    """
    found: list[Measurement] = []
    best: list[EpsilonBound] = []
    versions: list[int] = []
    level = 1 - (1 - CONFIDENCE) / len(evaluation.results)
    for result in evaluation.results:
        name, version = result.attack.name, result.attack.formula_version
        fixed = tuple(t for t in result.thresholds.values() if t is not None)
        if fixed:
            strategy = Bonferroni(fixed)
            bounds = [
                epsilon_lower_bound(result.roc, strategy),
                gaussian_dp_epsilon(result.roc, strategy, DELTA)[1],
            ]
            found += [m for bound in bounds for m in epsilon_measurements(name, bound, version)]
            versions.append(version)
            best.append(epsilon_lower_bound(result.roc, strategy, DELTA, level))
        one_run = one_run_from_pairs(result.scores, side, GUESSED_SHARE)
        found += epsilon_measurements(name, one_run, version)
    if not best:
        best = _without_shadows(evaluation, side)
        versions = [result.attack.formula_version for result in evaluation.results]
    return found + _over_all(best, versions)


def _without_shadows(evaluation: Evaluation, side: NDArray[np.uint8]) -> list[EpsilonBound]:
    """Bounds at delta 1e-5 that hold together: a threshold chosen on one half of the records and
    reported on the other, and the one-run audit."""
    level = 1 - (1 - CONFIDENCE) / (2 * len(evaluation.results))
    return [
        bound
        for result in evaluation.results
        for bound in (
            epsilon_lower_bound(result.roc, Split(), DELTA, level),
            one_run_from_pairs(result.scores, side, GUESSED_SHARE, DELTA, level),
        )
    ]


def _shown(bound: EpsilonBound) -> float:
    return bound.estimate.value or 0.0


def _over_all(bounds: Sequence[EpsilonBound], scores: Sequence[int]) -> list[Measurement]:
    best, top = max(bounds, key=_shown), max(bound.ceiling for bound in bounds)
    ceiling = Estimate(top, top, top, n=best.estimate.n)
    rests_on = together(EPSILON.version, *scores)
    shown, most = (together(f.version, rests_on) for f in (BEST_EPSILON, EPSILON_CEILING))
    return [
        Measurement("epsilon", "all attacks", "epsilon", "nats", best.estimate, shown),
        Measurement("epsilon", "all attacks", CEILING, "nats", ceiling, most),
    ]


def accounted(recipe: Recipe, records: int) -> list[Measurement]:
    """What an accountant grants a recipe with differential privacy, trained on so many records.

    At delta 1e-5, `accountant_epsilon` for adding or removing one record, and `replace_one_epsilon`
    for replacing one, which the bounds are held against: they audit which of two records was
    trained on. None for another recipe, or where no noise, or next to none, bounds nothing.

    Raises:
        InputError: the accountant is not installed.
    """
    if recipe.dp is None:
        return []
    spent = {
        "accountant_epsilon": privacy_spent(recipe, records, DELTA).epsilon,
        REPLACE_ONE: replace_one_spent(recipe, records, DELTA).epsilon,
    }
    if not all(map(math.isfinite, spent.values())):
        return []
    return [
        Measurement(
            "epsilon",
            "accountant",
            metric,
            "nats",
            Estimate(value, None, None, n=records),
            _ACCOUNTED[metric].version,
        )
        for metric, value in spent.items()
    ]


def check_claimed(claimed: float, measurements: Sequence[Measurement]) -> ClaimCheck | None:
    """The claimed epsilon held against the best bound; None where there is no bound."""
    rows = {m.metric: m.estimate for m in measurements if m.name == "all attacks"}
    best, top = rows.get("epsilon"), rows.get(CEILING)
    if best is None or top is None or top.value is None:
        return None
    return check_claim(claimed, EpsilonBound("clopper_pearson", best, top.value, DELTA))
