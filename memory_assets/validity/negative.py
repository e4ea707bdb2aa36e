"""Negative control: attacks must find nothing where there is nothing to be found.

Two tests in one. (1) A model of the pool stands in for the target: it drew its records without
regard to the target's membership, so no attack may tell the target's members by it. (2) The target
itself is attacked again after its membership was permuted: half of the pairs, drawn by lot, are
turned round. A failure of (1) says that members and non-members differ by themselves or that the
pool knows the membership; a failure of (2) that an attack looks at the labels it should guess.

All intervals hold together at 1 - FAMILY_LEVEL (Bonferroni over attacks and both tests), so that a
valid audit fails in at most about 1 of 100 cases.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from memory_assets.pool.signals import Signals
from memory_assets.results.estimate import Control, Estimate, number
from memory_assets.results.findings import finding
from memory_assets.validity.scoring import FAMILY_LEVEL, Attacks, attack_aucs


def one_model(signals: Signals, model: int, side: np.ndarray) -> Signals:
    """Row `model` as a target with the given sides `[n]`."""
    alone = signals.of_models(slice(model, model + 1))
    return replace(alone, side=side[None].astype(np.uint8))


def _permuted(side: np.ndarray, seed: int) -> np.ndarray:
    """Turn exactly half of the pairs round: agreement with the truth is then 50%, not about it."""
    rng = np.random.default_rng([seed, 0x4E6])
    turned = rng.permutation(len(side)) < len(side) // 2
    return side ^ turned


def _bystander(pool: Signals, side: np.ndarray) -> int:
    """The model of the pool whose records agree with the target's most nearly in half the pairs."""
    agreement = (pool.side == side).mean(axis=1)
    return int(np.abs(agreement - 0.5).argmin())


def _distance(estimate: Estimate) -> float:
    """How far 0.5 lies from the value, in half widths of the interval."""
    low, high, value = (number(x) for x in (estimate.ci_low, estimate.ci_high, estimate.value))
    return abs(value - 0.5) / max((high - low) / 2, 1e-12)


def negative_control(attacks: Attacks, pool: Signals, target: Signals, seed: int) -> Control:
    """0.5 must lie in the AUC interval of every attack, in both tests; the farthest is reported.

    Without shadow models the second test stands alone.

    Raises:
        ValueError: no attack, no pair, more than one target, or what an attack refuses.
    """
    confidence = 1 - FAMILY_LEVEL / (2 * max(len(attacks), 1))
    side = target.side[0]
    permuted = replace(target, side=_permuted(side, seed)[None].astype(np.uint8))
    runs = [(finding("setting.permuted"), permuted)]
    if pool.models:
        model = _bystander(pool, side)
        runs.insert(0, (finding("setting.bystander", model=model), one_model(pool, model, side)))
    found = [
        (name, what, estimate)
        for what, run in runs
        for name, estimate in attack_aucs(attacks, pool, run, confidence).items()
    ]
    name, what, worst = max(found, key=lambda one: _distance(one[2]))
    low, high, value = (number(x) for x in (worst.ci_low, worst.ci_high, worst.value))
    passed = low <= 0.5 <= high
    found_out = {"attack": name, "setting": what, "value": value, "low": low, "high": high}
    detail = finding(f"negative.{'passed' if passed else 'failed'}", **found_out)
    return Control("negative", passed, value, low, high, (detail,))
