"""What differentially private training guarantees: the accountant's epsilon."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq

from memory_assets.errors import InputError
from memory_assets.models.recipe import Recipe

_ROUNDING = 1e-9


@dataclass(frozen=True)
class PrivacySpent:
    """An (epsilon, delta) guarantee for one record added or removed, or replaced, as was asked.

    It holds for one model: `steps` mini-batches, each record drawn with `sampling_rate`.
    """

    epsilon: float
    delta: float
    steps: int
    sampling_rate: float
    accountant: str


def _accountant(noise_multiplier: float, rate: float, steps: int) -> Callable[[float], float]:
    """Epsilon as a function of the logarithm of delta, which may be too small for a float.

    Raises:
        InputError: Opacus is not installed.
    """
    try:
        from opacus.accountants import RDPAccountant
        from opacus.accountants.analysis.rdp import compute_rdp
    except ImportError as error:
        raise InputError(
            "recipe.dp: its epsilon needs Opacus; install memory-assets with the extra dp"
        ) from error
    orders = np.array(RDPAccountant.DEFAULT_ALPHAS, dtype=np.float64)
    renyi = compute_rdp(
        q=rate, noise_multiplier=noise_multiplier, steps=steps, orders=orders.tolist()
    )
    # Balle et al. 2020 (arXiv 1905.09982), theorem 21: Renyi divergence to epsilon and delta.
    fixed = np.asarray(renyi) - np.log(orders) / (orders - 1) + np.log((orders - 1) / orders)

    def epsilon(log_delta: float) -> float:
        each = fixed - log_delta / (orders - 1)
        return math.inf if np.isnan(each).all() else max(0.0, float(np.nanmin(each)))

    return epsilon


def _guaranteed(
    recipe: Recipe, records: int, delta: float, read: Callable[[Callable[[float], float]], float]
) -> PrivacySpent:
    """What `read` reads off the accountant of this training run."""
    if recipe.dp is None:
        raise InputError("recipe.dp: not set; only differentially private training has an epsilon")
    if not 0 < delta < 1:
        raise InputError(f"delta: {delta}; expected a number between 0 and 1, below 1/records")
    rate = min(1.0, recipe.batch_size / records)
    steps = recipe.epochs * -(-records // recipe.batch_size)
    noise = recipe.dp.noise_multiplier
    if noise == 0:
        return PrivacySpent(math.inf, delta, steps, rate, "none")
    return PrivacySpent(read(_accountant(noise, rate, steps)), delta, steps, rate, "rdp")


def privacy_spent(recipe: Recipe, records: int, delta: float = 1e-5) -> PrivacySpent:
    """Epsilon of one training run by this recipe on so many records.

    Renyi accounting of the subsampled Gaussian mechanism (Mironov, Talwar and Zhang 2019, arXiv
    1908.10530), as implemented in Opacus. Without noise epsilon is infinite.

    Raises:
        InputError: the recipe is not differentially private, or Opacus is not installed.
    """
    return _guaranteed(recipe, records, delta, lambda epsilon: epsilon(math.log(delta)))


def replace_one_spent(recipe: Recipe, records: int, delta: float = 1e-5) -> PrivacySpent:
    """As `privacy_spent`, for replacing one record, which is removing one and adding another.

    Group privacy (Dwork and Roth 2014, theorem 2.2 with its delta): what is (e, d) for one record
    is (2 e, (1 + exp(e)) d) for two. So e is the least that the accountant grants at
    d = delta / (1 + exp(e)), and epsilon is 2 e at the whole `delta`.
    """
    total = math.log(delta) if delta > 0 else -math.inf

    def twice(epsilon: Callable[[float], float]) -> float:
        def short(one: float) -> float:
            return epsilon(total - float(np.logaddexp(0.0, one))) - one

        low = epsilon(total)
        high = 2 * low + 1
        while math.isfinite(high) and short(high) > 0:
            high *= 2
        if not math.isfinite(high):
            return math.inf
        root = float(brentq(short, low, high))  # pyright: ignore[reportArgumentType]
        return 2 * root * (1 + _ROUNDING)

    return _guaranteed(recipe, records, delta, twice)
