"""Lower bounds on epsilon against mechanisms whose epsilon is known.

Every pair releases which of its records was trained on through a mechanism of known privacy; the
attacks see nothing else, so no bound may exceed it in more than 5% of audits.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from benchmarks.trust.pools import answers
from benchmarks.trust.trials import Trial
from memory_assets.attacks.evaluate import evaluate
from memory_assets.attacks.registry import select
from memory_assets.pool.masks import draw_masks
from memory_assets.pool.signals import Signals
from memory_assets.statistics.epsilon import _epsilon_of_mu
from memory_assets.statistics.one_run import one_run_from_pairs
from memory_assets.statistics.split_epsilon import split_epsilon
from memory_assets.workflows.privacy_loss import DELTA, measure_epsilon

EPSILON, MU = 1.0, 1.0
GAUSSIAN_EPSILON = _epsilon_of_mu(MU, DELTA)


def released(
    side: NDArray[np.uint8], mechanism: str, rng: np.random.Generator, epsilon: float = EPSILON
) -> NDArray[np.float64]:
    """What the mechanism says of every side `[...]`; higher where it points to side 1."""
    sign = 2.0 * side - 1
    if mechanism == "randomized response":
        keep = rng.random(side.shape) < 1 / (1 + np.exp(-epsilon))
        # A little noise after the fact costs no privacy and breaks ties.
        return np.where(keep, sign, -sign) + rng.uniform(-0.1, 0.1, side.shape)
    if mechanism == "Laplace":
        return sign + rng.laplace(0, 2 / epsilon, side.shape)
    return sign + rng.normal(0, 2 / MU, side.shape)


def audits(rng: np.random.Generator, models: int = 8, pairs: int = 200) -> Iterator[Trial]:
    """The bounds that an audit prints, thresholds chosen on the shadows."""
    for mechanism in ("randomized response", "Laplace", "Gaussian"):
        side = draw_masks(models + 2, pairs, int(rng.integers(2**31)))
        out = released(side, mechanism, rng)
        # Records differ in difficulty; the mechanism's word moves both margins of a pair.
        margin = rng.normal(1, 1, (pairs, 2)) + np.stack([-out, out], axis=-1)
        nothing = answers(np.zeros((models + 2, 0), bool))
        pool, target = (
            Signals(
                answers(margin[chosen] > 0, margin[chosen]),
                answers(nothing.correct[chosen, :, 0]),
                side[chosen],
            )
            for chosen in (slice(0, models), slice(models, models + 1))
        )
        found = evaluate(pool, target, select("standard", models), prior=0.5)
        by = {(m.name, m.metric): m.estimate for m in measure_epsilon(found, target.side[0])}
        rows = (
            ("all attacks", "epsilon", EPSILON),
            ("lira_online_fixed", "clopper_pearson_lower_bound", EPSILON),
            ("lira_online_fixed", "one_run_lower_bound", EPSILON),
            ("lira_online_fixed", "gaussian_dp_lower_bound", GAUSSIAN_EPSILON),
        )
        for name, metric, truth in rows:
            gaussian = metric.startswith("gaussian")
            if gaussian != (mechanism == "Gaussian"):
                continue  # each against the mechanism whose epsilon at its delta is known
            e = by[name, metric]
            yield Trial(f"`{metric}`", f"{mechanism}, {name}, {pairs} pairs", e.ci_low, None, truth)


def sharp(rng: np.random.Generator, pairs: int = 1000) -> Iterator[Trial]:
    """Randomized response seen without loss: where a bound that is too bold is soonest caught."""
    side = rng.integers(0, 2, pairs, dtype=np.uint8)
    out = released(side, "randomized response", rng)
    scores = np.stack([-out, out], axis=-1)
    bound = split_epsilon({"seen": scores}, side).estimate
    world = f"randomized response, seen whole, {pairs:,} pairs"
    yield Trial("`split_lower_bound`", world, bound.ci_low, None, EPSILON)
    for share in (0.1, 1.0):
        run = one_run_from_pairs(scores, side, share).estimate
        figure = f"one-run bound, {share:.0%} guessed"
        yield Trial(figure, world, run.ci_low, None, EPSILON)
