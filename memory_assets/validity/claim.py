"""A claimed epsilon held against what the attacks show: it can be refuted and never proved."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from memory_assets.results.sentences import say
from memory_assets.statistics.epsilon import EpsilonBound


@dataclass(frozen=True)
class ClaimCheck:
    """A claimed epsilon held against a lower bound. `in_words` is one sentence for the report."""

    verdict: Literal["falsified", "not falsified"]
    in_words: str


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
        return ClaimCheck("falsified", say(f"claim.{key}", shown=shown, **told))
    if claimed >= bound.ceiling:
        words = say("claim.untested", ceiling=bound.ceiling, **told)
    else:
        words = say("claim.open", shown=shown, ceiling=bound.ceiling, **told)
    return ClaimCheck("not falsified", words)
