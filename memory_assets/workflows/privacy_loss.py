"""Lower bounds on epsilon from what the attacks found on one version."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from memory_assets.attacks.evaluate import AttackResult, Evaluation
from memory_assets.attacks.reference import Floats
from memory_assets.attacks.registry import ATTACKS
from memory_assets.models.privacy import privacy_spent, replace_one_spent
from memory_assets.models.recipe import Recipe
from memory_assets.results.estimate import Estimate, Measurement
from memory_assets.results.formulas import (
    ACCOUNTANT,
    BEST_EPSILON,
    EPSILON,
    EPSILON_CEILING,
    SPLIT_EPSILON,
    together,
)
from memory_assets.results.formulas import REPLACE_ONE as REPLACE_ONE_FORMULA
from memory_assets.statistics.epsilon import (
    Bonferroni,
    EpsilonBound,
    epsilon_lower_bound,
    epsilon_measurements,
    gaussian_dp_epsilon,
)
from memory_assets.statistics.intervals import CONFIDENCE
from memory_assets.statistics.one_run import one_run_from_pairs
from memory_assets.statistics.split_epsilon import FEWEST_PAIRS, split_epsilon
from memory_assets.validity.claim import ClaimCheck, check_claim

DELTA = 1e-5
"""At which claims are held against bounds; one at a smaller delta claims as much at this one."""

CEILING = "epsilon_ceiling"
REPLACE_ONE = "replace_one_epsilon"
_ACCOUNTED = {"accountant_epsilon": ACCOUNTANT, REPLACE_ONE: REPLACE_ONE_FORMULA}

GUESSED_SHARE = 0.1
"""Of the pairs, fixed beforehand: a one-run audit gains from guessing only where it is sure."""
_SHARES = (GUESSED_SHARE, 0.3)
"""Tried together: few guesses suit a model that remembers some records, more one that remembers
most, or few pairs."""


@dataclass(frozen=True)
class _Scores:
    """The scores `[n, 2]` of one attack, and whether it reads shadow models."""

    scores: Floats
    version: int
    reads_shadows: bool


def measure_epsilon(
    evaluation: Evaluation, side: NDArray[np.uint8], loss: Floats | None = None
) -> list[Measurement]:
    """Three lower bounds for every attack, each beside the ceiling of this sample.

    Clopper-Pearson (delta 0) and Gaussian DP use the thresholds that the shadows chose before the
    target was looked at; the one-run audit guesses the sides `[n]` of the pairs. All of them audit
    replace-one adjacency: pairs differ in which record was trained on. `split_lower_bound`, at
    delta 1e-5, has attack and threshold chosen on one half of the pairs.

    The row `epsilon`, which a claim is held against, is the best of several bounds at delta 1e-5
    that hold together; `epsilon_ceiling` is the most that it could have shown. Shadow models of
    another recipe are no hindrance: some of these bounds rest on none. `loss` are the scores
    `[n, 2]` of the attack of that name, where it was not asked for.
    """
    found: list[Measurement] = []
    scored: dict[str, _Scores] = {}
    for result in evaluation.results:
        name, version = result.attack.name, result.attack.formula_version
        scored[name] = _Scores(result.scores, version, bool(result.attack.sides))
        if fixed := _fixed(result):
            bounds = [
                epsilon_lower_bound(result.roc, fixed),
                gaussian_dp_epsilon(result.roc, fixed, DELTA)[1],
            ]
            found += [m for bound in bounds for m in epsilon_measurements(name, bound, version)]
        one_run = one_run_from_pairs(result.scores, side, GUESSED_SHARE)
        found += epsilon_measurements(name, one_run, version)
    if loss is not None:
        scored.setdefault("loss", _Scores(loss, ATTACKS["loss"].formula_version, False))
    versions = [each.version for each in scored.values()]
    if len(side) >= FEWEST_PAIRS:
        split = split_epsilon({name: each.scores for name, each in scored.items()}, side, DELTA)
        rests_on = together(SPLIT_EPSILON.version, *versions)
        found += epsilon_measurements("all attacks", split, rests_on)
    return found + _over_all(_together(evaluation, scored, side), versions)


def _fixed(result: AttackResult) -> Bonferroni | None:
    """The thresholds that the shadows chose, where they chose any."""
    thresholds = tuple(t for t in result.thresholds.values() if t is not None)
    return Bonferroni(thresholds) if thresholds else None


def _shared(level: float, bounds: int) -> float:
    """The confidence of each of so many bounds that hold together at `level` (Bonferroni)."""
    return 1 - (1 - level) / bounds


def _together(
    evaluation: Evaluation, scored: Mapping[str, _Scores], side: NDArray[np.uint8]
) -> list[EpsilonBound]:
    """Bounds at delta 1e-5 that hold together at `CONFIDENCE`, by up to three methods alike:
    thresholds of the shadows, guesses of one run, and a threshold from a split."""
    fixed = [(r.roc, thresholds) for r in evaluation.results if (thresholds := _fixed(r))]
    splits = len(side) >= FEWEST_PAIRS
    level = _shared(CONFIDENCE, 1 + bool(fixed) + splits)
    found = [
        epsilon_lower_bound(roc, thresholds, DELTA, _shared(level, len(fixed)))
        for roc, thresholds in fixed
    ]
    if splits:
        every = {name: each.scores for name, each in scored.items()}
        found.append(split_epsilon(every, side, DELTA, level))
    return found + _one_runs(list(scored.values()), side, level)


def _one_runs(
    scored: Sequence[_Scores], side: NDArray[np.uint8], level: float
) -> list[EpsilonBound]:
    """One-run bounds of all attacks that hold together at `level`.

    Half of what may go wrong is left to the attacks that read no shadow model: they are few, and
    the only ones that find anything where the shadow models are of another recipe.
    """
    kinds = [[s for s in scored if s.reads_shadows is reads] for reads in (False, True)]
    kinds = [kind for kind in kinds if kind]
    return [
        one_run_from_pairs(
            each.scores,
            side,
            share,
            DELTA,
            _shared(_shared(level, len(kinds)), len(kind) * len(_SHARES)),
        )
        for kind in kinds
        for each in kind
        for share in _SHARES
    ]


def _shown(bound: EpsilonBound) -> float:
    return bound.estimate.value or 0.0


def _over_all(bounds: Sequence[EpsilonBound], scores: Sequence[int]) -> list[Measurement]:
    best, top = max(bounds, key=_shown), max(bound.ceiling for bound in bounds)
    ceiling = Estimate(top, top, top, n=best.estimate.n)
    rests_on = together(EPSILON.version, SPLIT_EPSILON.version, *scores)
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
