"""A claimed epsilon held against what the attacks show: it can be refuted and never proved."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from memory_assets.results.findings import Finding, finding
from memory_assets.statistics.epsilon import EpsilonBound


@dataclass(frozen=True)
class ClaimCheck:
    """A claimed epsilon held against a lower bound. `found` says which, and by how much."""

    verdict: Literal["falsified", "not falsified"]
    found: Finding


def check_claim(claimed: float, bound: EpsilonBound) -> ClaimCheck:
    """Falsified when the lower bound exceeds the claim. Otherwise nothing is proved either way.

    Raises:
        ValueError: a claim that is not a positive number.
    """
    if not (math.isfinite(claimed) and claimed > 0):
        raise ValueError(f"a claimed epsilon must be a positive number, got {claimed}")
    shown = bound.estimate.value or 0.0
    told = {"claimed": claimed, "delta": bound.delta}
    if shown > claimed:
        key = "falsified_gaussian" if bound.method == "gaussian_dp" else "falsified"
        return ClaimCheck("falsified", finding(f"claim.{key}", shown=shown, **told))
    if claimed >= bound.ceiling:
        found = finding("claim.untested", ceiling=bound.ceiling, **told)
    else:
        found = finding("claim.open", shown=shown, ceiling=bound.ceiling, **told)
    return ClaimCheck("not falsified", found)
