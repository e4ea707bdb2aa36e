"""Blind baseline: without the model, members and non-members must not be told apart.

If they can be, the two sets differ by themselves (another source, another month), and an attack
that notices the difference needs no leak to succeed (Das et al. 2024, arXiv 2406.16201; Meeus et
al. 2024, arXiv 2406.17975). Three judges see the records alone: kernel ridge (shifts of many
columns), boosted trees (rules and combinations of columns), and every column by itself (a flag).
What counts is how well they do where the gate looks: the AUC, and the share of members that they
find at each gated false positive rate and without any false positive. p-values come from exchange
of member and non-member within pairs and hold together at FAMILY_LEVEL: exact for ridge and single
columns; for trees as good as exact, as later folds learned from the labels of earlier ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from memory_assets.results.estimate import Control
from memory_assets.results.findings import Finding, finding
from memory_assets.results.metrics import own_false_positive_rate
from memory_assets.validity.blind_features import LABEL, Columns, as_columns
from memory_assets.validity.blind_judges import by_ridge, by_trees, draw_folds, likeness
from memory_assets.validity.exchange import Told, columns_apart, relabel_pairs
from memory_assets.validity.scoring import FAMILY_LEVEL

_MOST_PAIRS = {"ridge": 1_000, "trees": 1_500}
_FEWEST_PAIRS = 20
USUAL_FPR = (0.01, 0.1)


def gated_rates(gate: Mapping[str, float]) -> dict[float, float]:
    """False positive rates of which the gate speaks, with the limit at each."""
    rates = {m: own_false_positive_rate(m) for m in gate}
    return {rate: gate[metric] for metric, rate in rates.items() if rate is not None}


def reached(rates: Mapping[float, float], limits: Mapping[float, float]) -> tuple[Finding, ...]:
    """What a judge finds at the gated rates, or without a gate at the usual ones."""
    told = []
    for fpr in sorted(limits or rates):
        if fpr not in rates or (not limits and fpr == 0):
            continue
        values = {"tpr": rates[fpr], "fpr": fpr}
        limit = {"limit": limits[fpr]} if fpr in limits else {}
        told.append(finding("reached.limited" if limit else "reached.rate", **values, **limit))
    if rates.get(0.0, 0.0) > 0 and (not limits or 0.0 not in limits):
        told.append(finding("reached.clean", tpr=rates[0.0]))
    return tuple(told)


def asked_rates(limits: Iterable[float]) -> tuple[float, ...]:
    """The false positive rates at which judges are tested."""
    return tuple(sorted({0.0, *(limits or USUAL_FPR)}))


def verdict(
    judges: Mapping[str, Told], column: tuple[float, Finding], level: float
) -> tuple[bool, Told, tuple[Finding, ...]]:
    """Whether no judge tells the sides apart, the most telling one, and who told.

    `column` is the p-value of the most telling column and the finding that names it.
    """
    best = min(judges, key=lambda name: judges[name].p)
    told, share = judges[best], level / (len(judges) + 1)
    by = [finding(f"judge.{name}") for name, each in judges.items() if each.p <= share]
    by += [column[1]] if column[0] <= share else []
    return not by, told, tuple(by)


def _checked(
    x: NDArray, side: NDArray, y: NDArray | None
) -> tuple[NDArray, NDArray, NDArray | None]:
    x, side = np.asarray(x), np.asarray(side)
    if x.shape[:2] != (len(side), 2) or (y is not None and np.shape(y) != (len(side), 2)):
        raise ValueError(f"records must be [{len(side)}, 2, ...] and labels alike, got {x.shape}")
    endless = np.isinf(x.reshape(len(x), -1)).any(axis=1)
    if endless.any():
        raise ValueError(f"a record of pair {int(endless.argmax())} is not finite")
    return x, side, None if y is None else np.asarray(y)


def _judges(
    columns: Columns, side: NDArray, fprs: tuple[float, ...], seed: int
) -> tuple[dict[str, Told], tuple[float, Finding]]:
    few = min(len(side), _MOST_PAIRS["ridge"])
    labels = relabel_pairs(side, seed)
    share = FAMILY_LEVEL / 3
    ridge = by_ridge(
        likeness(columns.values[: 2 * few], seed),
        draw_folds(few, 2, seed),
        labels[:, : 2 * few],
        fprs,
        share,
        seed,
    )
    folds = draw_folds(len(side), 2, seed)
    trees = by_trees(columns.values, folds, lambda _: labels, fprs, share, seed)
    p, column = columns_apart(columns.values, labels)
    source = columns.source[column] if len(columns.source) else LABEL
    named = (
        finding("judge.label") if source == LABEL else finding("judge.column", number=source + 1)
    )
    return {"ridge": ridge, "trees": trees}, (p, named)


def blind_baseline(
    x: NDArray,
    side: NDArray[np.uint8],
    seed: int,
    y: NDArray[np.integer] | None = None,
    gate: Mapping[str, float] | None = None,
) -> Control:
    """No judge may tell members from non-members by the records alone, at FAMILY_LEVEL.

    `x` `[n, 2, *record]` are the records of the pairs (NaN: a value is missing), `y` `[n, 2]` their
    labels, `side` `[n]` the member of each pair, `gate` the owner's limits by metric. The control's
    value is the AUC of the most telling judge. Of more than 1,500 pairs a random 1,500 are used (by
    kernel ridge 1,000), of more than 10,000 columns 10,000; fewer than 20 pairs show nothing and
    fail.

    Raises:
        ValueError: shapes that do not match, or a record with an infinite value.
    """
    x, side, y = _checked(x, side, y)
    pairs = len(side)
    if pairs < _FEWEST_PAIRS:
        detail = finding("blind.too_few", pairs=pairs, needed=_FEWEST_PAIRS)
        return Control("blind_baseline", False, None, None, None, (detail,))
    drawn = np.random.default_rng([seed, 0x5AB]).permutation(pairs)[: _MOST_PAIRS["trees"]]
    columns = as_columns(x[drawn], None if y is None else y[drawn], seed)
    limits = gated_rates(gate or {})
    judges, column = _judges(columns, side[drawn], asked_rates(limits), seed)
    passed, told, by = verdict(judges, column, FAMILY_LEVEL)
    low, high = max(told.auc - told.half, 0.0), min(told.auc + told.half, 1.0)
    values = {"value": told.auc, "low": low, "high": high, "reached": reached(told.rates, limits)}
    detail = (
        finding("blind.alike", **values) if passed else finding("blind.apart", judge=by, **values)
    )
    found = [detail]
    if len(drawn) < pairs or columns.looked_at < columns.there:
        sampled = finding(
            "blind.sampled",
            pairs=len(drawn),
            pairs_there=pairs,
            columns=columns.looked_at,
            columns_there=columns.there,
        )
        found.append(sampled)
    return Control("blind_baseline", passed, told.auc, low, high, tuple(found))
