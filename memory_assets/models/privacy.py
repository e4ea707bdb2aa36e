"""What differentially private training guarantees: the accountant's epsilon."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

from memory_assets.errors import InputError
from memory_assets.models.recipe import Recipe


@dataclass(frozen=True)
class PrivacySpent:
    """An (epsilon, delta) guarantee for adding or removing one training record.

    It holds for one model: `steps` mini-batches, each record drawn with `sampling_rate`.
    """

    epsilon: float
    delta: float
    steps: int
    sampling_rate: float
    accountant: str


def privacy_spent(recipe: Recipe, records: int, delta: float = 1e-5) -> PrivacySpent:
    """Epsilon of one training run by this recipe on so many records.

    Renyi accounting of the subsampled Gaussian mechanism (Mironov, Talwar and Zhang 2019, arXiv
    1908.10530), as implemented in Opacus. Without noise epsilon is infinite.

    Raises:
        InputError: the recipe is not differentially private, or Opacus is not installed.
    """
    if recipe.dp is None:
        raise InputError("recipe.dp: not set; only differentially private training has an epsilon")
    if not 0 < delta < 1:
        raise InputError(f"delta: {delta}; expected a number between 0 and 1, below 1/records")
    rate = min(1.0, recipe.batch_size / records)
    steps = recipe.epochs * -(-records // recipe.batch_size)
    if recipe.dp.noise_multiplier == 0:
        return PrivacySpent(math.inf, delta, steps, rate, "none")
    try:
        from opacus.accountants import RDPAccountant
    except ImportError as error:
        raise InputError(
            "recipe.dp: its epsilon needs Opacus; install memory-assets with the extra dp"
        ) from error
    accountant = RDPAccountant()
    accountant.history = [(recipe.dp.noise_multiplier, rate, steps)]
    with warnings.catch_warnings():
        # At the last order of its list the bound is looser, and still a bound.
        warnings.simplefilter("ignore", UserWarning)
        epsilon = float(accountant.get_epsilon(delta=delta))
    return PrivacySpent(epsilon, delta, steps, rate, "rdp")
