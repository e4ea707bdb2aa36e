"""What an attack is reported by, with thresholds taken from shadows and the PPV at a prior."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from memory_assets.results.estimate import Estimate, Measurement, number
from memory_assets.results.formulas import RATES, SUMMARY, THRESHOLD_RATES, Formula, together
from memory_assets.results.metrics import NOMINAL_FPR, find
from memory_assets.statistics.intervals import CONFIDENCE
from memory_assets.statistics.roc import Roc, Threshold


def _formula_of(metric: str) -> Formula:
    known = find(metric)
    at = None if known is None else known.at
    if at == "shadow threshold":
        return THRESHOLD_RATES
    return RATES if at == "false positives" else SUMMARY


def shadow_threshold(shadows: Iterable[Roc], fpr: float) -> Threshold | None:
    """The threshold that shadows (each scored by leave-one-out) would choose: their median.

    Each shadow's own is the lowest with an empirical FPR of at most `fpr`. Of two that cut the same
    tied scores the one that flags more of them is the lower. None where a shadow has too few
    non-members to show one.

    Args:
        shadows: an ROC of each shadow model.
        fpr: nominal, in (0, 1).

    Returns:
        A threshold in the unit of the scores; it remembers the rows that it was chosen on.

    Examples:
        >>> shadows = Roc.of([3, 4, 5], [0, 1, 2, 3.5]), Roc.of([3, 4, 5], [0, 1, 2, 4.5])
        >>> shadow_threshold(shadows, 0.25).value
        2.0
    """
    rocs = tuple(shadows)
    if not rocs or any(roc.allowed(fpr) < 1 for roc in rocs):
        return None
    each = sorted((roc.threshold(fpr) for roc in rocs), key=lambda t: (t.value, -t.tied))
    middle = each[(len(each) - 1) // 2], each[len(each) // 2]
    value = float(np.median([t.value for t in each]))
    same = middle[0].value == middle[1].value
    tied = (middle[0].tied + middle[1].tied) / 2 if same else 0.0
    return Threshold(value, tuple(rows for t in each for rows in t.chosen_on), tied)


def positive_predictive_value(
    roc: Roc, threshold: Threshold, prior: float, confidence: float = CONFIDENCE
) -> Estimate:
    """`pi TPR / (pi TPR + (1-pi) FPR)`: how often a flagged record is a member, at prior pi.

    The interval takes the corners of the two rates' intervals at confidence 1 - alpha/2 each.
    `unresolvable` where nothing is flagged.

    Args:
        roc: scores of the model that is reported on.
        threshold: chosen elsewhere.
        prior: share of members among the records asked about, in (0, 1).
        confidence: of the interval.

    Returns:
        The PPV in [0, 1].

    Raises:
        ValueError: a prior outside (0, 1), or a threshold chosen on these rows.

    Examples:
        >>> roc = Roc.of([3, 4, 5, 6], [0, 1, 2, 2.5])
        >>> round(positive_predictive_value(roc, Threshold(2.2, ()), prior=0.1).value, 2)
        0.31
    """
    if not 0 < prior < 1:
        raise ValueError(f"the prior must lie in (0, 1), got {prior}")
    tpr, fpr = roc.at(threshold, (1 + confidence) / 2)
    if not tpr.value and not fpr.value:
        return Estimate.unresolvable(n=roc.n)

    def ppv(true: float | None, false: float | None) -> float:
        hit, alarm = prior * number(true), (1 - prior) * number(false)
        return hit / (hit + alarm)

    return Estimate(
        ppv(tpr.value, fpr.value),
        ppv(tpr.ci_low, fpr.ci_high),
        ppv(tpr.ci_high, fpr.ci_low),
        n=roc.n,
    )


def summarize(
    roc: Roc,
    name: str,
    formula_version: int,
    *,
    thresholds: Mapping[float, Threshold | None] | None = None,
    prior: float = 0.5,
    family: str = "membership",
    stratum: str = "all",
    confidence: float = CONFIDENCE,
    rates: Sequence[float] = NOMINAL_FPR,
) -> list[Measurement]:
    """Every number that an attack is reported by: AUC, balanced accuracy, TPR at each FPR.

    With `thresholds` (nominal FPR -> `shadow_threshold`), also the TPR and FPR that these achieve
    here, and the PPV at `prior`; a threshold of None gives `unresolvable` rows.
    `formula_version` is that of the score; what revises a figure comes on top of it.

    Args:
        roc: scores of one model.
        name: of the attack.
        formula_version: of the score.
        thresholds: by nominal false-positive rate, from `shadow_threshold`.
        prior: share of members among the records asked about, in (0, 1).
        family: of the rows.
        stratum: which records they speak of.
        confidence: of every interval.
        rates: false-positive rates in (0, 1) at which the TPR is reported.

    Returns:
        A row a metric, all of them probabilities.

    Examples:
        >>> rows = summarize(Roc.of([3, 4, 5, 6], [0, 1, 2, 2.5]), "loss", 1, rates=(0.25,))
        >>> [row.metric for row in rows]
        ['auc', 'balanced_accuracy', 'tpr_at_fpr_0.25']
    """
    found = {
        "auc": roc.auc(confidence),
        "balanced_accuracy": roc.balanced_accuracy(confidence),
        **{f"tpr_at_fpr_{a:g}": roc.tpr_at_fpr(a, confidence) for a in rates},
    }
    for a, threshold in (thresholds or {}).items():
        if threshold is None:
            tpr = Estimate.unresolvable(n=roc.members.size)
            fpr = Estimate.unresolvable(n=roc.non_members.size)
            ppv = Estimate.unresolvable(n=roc.n)
        else:
            tpr, fpr = roc.at(threshold, confidence)
            ppv = positive_predictive_value(roc, threshold, prior, confidence)
        found[f"tpr_at_shadow_threshold_{a:g}"] = tpr
        found[f"fpr_at_shadow_threshold_{a:g}"] = fpr
        found[f"ppv_at_shadow_threshold_{a:g}"] = ppv
    return [
        Measurement(
            family,
            name,
            metric,
            "probability",
            estimate,
            together(formula_version, _formula_of(metric).version),
            stratum,
        )
        for metric, estimate in found.items()
    ]
