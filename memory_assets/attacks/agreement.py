"""Do attacks agree on *which* records are exposed? A shared AUC does not say so."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import numpy as np

from memory_assets.attacks.reference import Bools
from memory_assets.results.estimate import Estimate, Measurement
from memory_assets.results.formulas import AGREEMENT, together
from memory_assets.statistics.intervals import CONFIDENCE, rate


@AGREEMENT.computes
def agreement(
    exposed: Mapping[str, Bools],
    confidence: float = CONFIDENCE,
    versions: Mapping[str, int] | None = None,
) -> list[Measurement]:
    """Jaccard overlap of the members that two attacks expose, for each pair and for all at once.

    `exposed` maps an attack to which of the members it flags, bool `[n_members]`, the same order
    for all. k counts the members that both flag, n those that either does. `unresolvable` where
    neither flags any. Rows are named `a & b` in the order given; `all attacks` for the whole set.
    `versions` are the formula versions of the attacks, on which that of a row rests.

    Args:
        exposed: for each attack which members it flags, `[n_members]`.
        confidence: of the intervals.
        versions: formula versions of the attacks; 1 where one is not named.

    Returns:
        A row for each pair of attacks and, of more than two, one for all.

    Raises:
        ValueError: attacks that speak of different members.

    Examples:
        >>> flags = {"loss": np.array([True, True, False]), "base": np.array([True, False, False])}
        >>> (row,) = agreement(flags)
        >>> row.name, row.estimate.value, row.estimate.k, row.estimate.n
        ('loss & base', 0.5, 1, 2)
    """
    if len({flags.shape for flags in exposed.values()}) > 1:
        raise ValueError("attacks must flag the same members to be compared")
    known = versions or {}
    sets: dict[str, tuple[str, ...]] = {f"{a} & {b}": (a, b) for a, b in combinations(exposed, 2)}
    if len(exposed) > 2:
        sets["all attacks"] = tuple(exposed)
    return [
        Measurement(
            "membership",
            name,
            "jaccard_of_exposed",
            "probability",
            _overlap(np.stack([exposed[a] for a in attacks]), confidence),
            together(AGREEMENT.version, *(known.get(a, 1) for a in attacks)),
        )
        for name, attacks in sets.items()
    ]


def _overlap(flags: Bools, confidence: float) -> Estimate:
    either, both = int(flags.any(axis=0).sum()), int(flags.all(axis=0).sum())
    if either == 0:
        return Estimate.unresolvable(n=max(1, flags.shape[1]))
    return rate(both, either, confidence)
