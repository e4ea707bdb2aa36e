"""ROC of an attack on one model: AUC, rates at a false-positive rate, and thresholds kept honest.

A rate is only ever reported for a threshold that was not fitted to it. `tpr_at_fpr` chooses its
threshold on the non-members and counts members; a `Threshold` remembers the rows that it was chosen
on, and a `Roc` of the same rows refuses it.

Tied scores are parted by lot, as an attacker would part them: where a block of equal scores holds
more non-members than may be flagged, he flags a random share of the block. So the rate at an FPR
is read off the ROC with its vertices joined by straight lines, at a number of false alarms that
the sample can show.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, logit, ndtri

from memory_assets.results.estimate import Estimate, number
from memory_assets.statistics.intervals import (
    CONFIDENCE,
    clopper_pearson,
    expected_rate,
    rate,
)

Floats = NDArray[np.float64]


def alarms_allowed(fpr: float, others: int) -> int:
    """How many of so many non-members may be flagged at `fpr`.

    Args:
        fpr: in [0, 1].
        others: non-members.

    Returns:
        A whole number, rounded down.

    Examples:
        >>> alarms_allowed(0.29, 100), alarms_allowed(0.01, 99)
        (29, 0)
    """
    # The nudge is for products like 0.29 * 100, which fall just short of a whole number.
    return math.floor(fpr * others * (1 + 1e-12))


def surely_around(fpr: float, others: int, confidence: float) -> tuple[int, int]:
    """Of so many non-members, how many at least and at most lie above a threshold whose true FPR
    is `fpr`, with this confidence.

    Args:
        fpr: the true one, in (0, 1).
        others: non-members.
        confidence: with which the number lies between the two.

    Returns:
        The least and the most.

    Examples:
        >>> surely_around(0.1, 100, 0.95)
        (5, 16)
    """
    tail = (1 - confidence) / 2
    low, high = (int(scipy.stats.binom.ppf(p, others, fpr)) for p in (tail, 1 - tail))
    return low, high


def _placements(x: Floats, z: Floats) -> tuple[Floats, Floats]:
    """For each x the share of z below it, for each z the share of x above it; ties count half.

    Both sorted. One search: how many x lie at or below a z is read off the ranks of the x in z.
    """
    below = np.searchsorted(z, x, side="left")
    upto = below.copy()
    tied = z[np.minimum(below, z.size - 1)] == x
    upto[tied] = np.searchsorted(z, x[tied], side="right")
    x_upto = np.cumsum(np.bincount(below, minlength=z.size)[: z.size])
    x_below = np.cumsum(np.bincount(upto, minlength=z.size)[: z.size])
    return (below + upto) / (2 * z.size), 1 - (x_upto + x_below) / (2 * x.size)


def _above(scores: Floats, value: float) -> tuple[int, int]:
    """How many of the sorted scores lie above a value, and how many are equal to it."""
    upto = int(np.searchsorted(scores, value, side="right"))
    return scores.size - upto, upto - int(np.searchsorted(scores, value, side="left"))


def _flagged(scores: Floats, value: float, tied: float) -> float:
    """How many are flagged on average: all above, and the share `tied` of those equal."""
    above, equal = _above(scores, value)
    return above + tied * equal


@dataclass(frozen=True)
class Rows:
    """Which scores these are: of which model, the digest of the whole set, and which part of it.

    Equal scores are not the same rows: two models that answer alike have them, too.
    """

    digest: str
    part: int | None = None
    model: str = ""

    def overlap(self, other: Rows) -> bool:
        """Whether the two may share a row."""
        same_part = self.part is None or other.part is None or self.part == other.part
        return self.digest == other.digest and self.model == other.model and same_part


@dataclass(frozen=True)
class Threshold:
    """A score above `value` is called a member, and so is the share `tied` of those equal to it."""

    value: float
    chosen_on: tuple[Rows, ...]
    tied: float = 0.0


@dataclass(frozen=True)
class Curve:
    """Vertices of an ROC from (0, 0) to (1, 1), all exact; at most some 400 of them."""

    fpr: Floats
    tpr: Floats


@dataclass(frozen=True)
class Roc:
    """Scores of one model's members and non-members, each sorted ascending, higher = member.

    Build it with `Roc.of`.
    """

    members: Floats
    non_members: Floats
    part_of: Rows | None = None
    model: str = ""

    @classmethod
    def of(cls, members: ArrayLike, non_members: ArrayLike, model: str = "") -> Roc:
        """Sort the scores of one model, `[n_members]` and `[n_non_members]`: O(N log N).

        `model` names the model where several are scored: a threshold that one model chose may be
        reported on another, even if the two have the same scores.

        Args:
            members: scores `[n_members]`, higher = member.
            non_members: scores `[n_non_members]`.
            model: its name.

        Returns:
            The ROC of these scores.

        Raises:
            ValueError: an empty side, a score that is not finite, or more than one axis (rows of
                several models are dependent and make no binomial sample).

        Examples:
            >>> roc = Roc.of([3, 4, 5, 6, 7], [1, 2, 3, 4, 5])
            >>> roc.auc().value, roc.n
            (0.82, 10)
        """
        x, z = np.asarray(members, np.float64), np.asarray(non_members, np.float64)
        if x.ndim != 1 or z.ndim != 1:
            raise ValueError(
                f"an ROC takes the scores of one model, one axis each, got {x.shape} and {z.shape}"
            )
        if x.size == 0 or z.size == 0:
            raise ValueError(
                f"an ROC needs members and non-members, got {x.size} members and "
                f"{z.size} non-members"
            )
        x, z = np.sort(x), np.sort(z)
        # Sorting puts NaN and inf last, -inf first: the ends tell of all.
        if not np.isfinite([x[0], x[-1], z[0], z[-1]]).all():
            raise ValueError("an ROC needs finite scores")
        return cls(x, z, model=model)

    @cached_property
    def rows(self) -> Rows:
        """Which scores these are, by model and content."""
        if self.part_of is not None:
            return self.part_of
        key = hashlib.sha256(self.members.tobytes())
        key.update(self.non_members.tobytes())
        return Rows(key.hexdigest(), model=self.model)

    @property
    def n(self) -> int:
        """Members and non-members together."""
        return self.members.size + self.non_members.size

    @property
    def constant(self) -> bool:
        """All scores are one value: nothing can be told from them."""
        return bool(
            self.members[0] == self.members[-1] == self.non_members[0] == self.non_members[-1]
        )

    def halves(self, seed: int = 0) -> tuple[Roc, Roc]:
        """Two random disjoint halves; what is chosen on one may be reported on the other.

        Raises:
            ValueError: fewer than two members or non-members, or a half of something split before.
        """
        if min(self.members.size, self.non_members.size) < 2:
            raise ValueError("halving needs two members and two non-members")
        if self.rows.part is not None:
            raise ValueError("these scores are a half already; split the whole once")
        # Seeded by the scores too: one fixed draw of ranks would favour a side in every audit.
        rng = np.random.default_rng([seed, int(self.rows.digest[:16], 16)])
        x_first, z_first = (
            rng.permutation(side.size) < side.size // 2 for side in (self.members, self.non_members)
        )
        first = Roc(self.members[x_first], self.non_members[z_first], replace(self.rows, part=0))
        second = Roc(self.members[~x_first], self.non_members[~z_first], replace(self.rows, part=1))
        return first, second

    def allowed(self, fpr: float) -> int:
        """How many non-members may be flagged at `fpr`; 0 means that it cannot be resolved."""
        if not 0 < fpr < 1:
            raise ValueError(f"a nominal FPR must lie in (0, 1), got {fpr}")
        return alarms_allowed(fpr, self.non_members.size)

    def threshold(self, fpr: float) -> Threshold:
        """The lowest threshold whose empirical FPR is at most `fpr`, ties parted by lot.

        Args:
            fpr: in (0, 1).

        Returns:
            A threshold in the unit of the scores, which these very rows refuse.

        Raises:
            ValueError: fewer than 1/fpr non-members.

        Examples:
            >>> Roc.of([3, 4, 5, 6, 7], [1, 2, 3, 4, 5]).threshold(0.2).value
            4.0
        """
        allowed = self.allowed(fpr)
        if allowed < 1:
            raise ValueError(f"FPR {fpr:g} cannot be seen in {self.non_members.size} non-members")
        value, tied = self._cut(allowed)
        return Threshold(value, (self.rows,), tied)

    def _cut(self, alarms: int) -> tuple[float, float]:
        """The score above which, and the share of that score with which, so many are flagged.

        `alarms` in 0..n-1 non-members; where no two of them have the same score the share is 0.
        """
        n = self.non_members.size
        value = float(self.non_members[n - alarms - 1])
        above, equal = _above(self.non_members, value)
        return value, (alarms - above) / equal

    def counts(self, value: float | Floats) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Members and non-members strictly above each value."""
        hits = self.members.size - np.searchsorted(self.members, value, side="right")
        alarms = self.non_members.size - np.searchsorted(self.non_members, value, side="right")
        return hits, alarms

    def refuse_own(self, threshold: Threshold) -> None:
        """Raise ValueError if the threshold was chosen on any of these scores."""
        if any(rows.overlap(self.rows) for rows in threshold.chosen_on):
            raise ValueError("a threshold cannot be reported on the scores that it was chosen on")

    def at(self, threshold: Threshold, confidence: float = CONFIDENCE) -> tuple[Estimate, Estimate]:
        """TPR and FPR at a threshold fixed beforehand, each with its Clopper-Pearson interval.

        Where tied scores are parted by lot these are the means over the lots.

        Raises:
            ValueError: the threshold was chosen on these very rows.
        """
        self.refuse_own(threshold)
        cut = threshold.value, threshold.tied
        return (
            expected_rate(_flagged(self.members, *cut), self.members.size, confidence),
            expected_rate(_flagged(self.non_members, *cut), self.non_members.size, confidence),
        )

    def tpr_at_fpr(self, fpr: float, confidence: float = CONFIDENCE) -> Estimate:
        """The largest TPR whose empirical FPR is at most `fpr`, ties parted by lot.

        The FPR is one that the sample shows, floor(n fpr) of n; between two non-members of
        different scores nothing is interpolated. Scores that are all the same give that FPR itself:
        whoever flags records at random does as well.

        The interval is that of the population's TPR at `fpr`. It joins (MOVER, Zou & Donner 2008)
        the members' binomial spread with that of the threshold, which a sample of non-members sets
        too high or too low. Clopper-Pearson of the hits alone would take the threshold for known:
        in simulation it covers 32% to 96%, this one 95% to 99%.

        `unresolvable` with fewer than 1/fpr non-members.

        Args:
            fpr: in (0, 1).
            confidence: of the interval.

        Returns:
            A TPR in [0, 1], k members of n.

        Examples:
            >>> Roc.of([3, 4, 5, 6, 7], [1, 2, 3, 4, 5]).tpr_at_fpr(0.2).value
            0.6
        """
        if (allowed := self.allowed(fpr)) < 1:
            return Estimate.unresolvable(n=self.members.size)
        alone = expected_rate(
            _flagged(self.members, *self._cut(allowed)), self.members.size, confidence
        )
        value, least, most = number(alone.value), *self._tpr_between(fpr, confidence)
        below = math.hypot(value - number(alone.ci_low), max(value - least, 0.0))
        above = math.hypot(number(alone.ci_high) - value, max(most - value, 0.0))
        return replace(alone, ci_low=max(0.0, value - below), ci_high=min(1.0, value + above))

    def _tpr_between(self, fpr: float, confidence: float) -> tuple[float, float]:
        """TPR above the non-members whose true FPR surely is at most, and surely at least, `fpr`.

        The FPR above the r-th highest of n is beta(r, n - r + 1) distributed. If even that of the
        highest may exceed `fpr`, its TPR is cut in proportion, as on any concave ROC.
        """
        n, tail = self.non_members.size, (1 - confidence) / 2
        low, high = surely_around(fpr, n, confidence)
        least, most = (
            _flagged(self.members, *self._cut(alarms)) / self.members.size
            for alarms in (max(low, 1) - 1, min(high + 1, n) - 1)
        )
        if low == 0:
            least *= min(1.0, fpr / (1 - tail ** (1 / n)))
        return float(least), float(most) if high < n else 1.0

    def auc(self, confidence: float = CONFIDENCE) -> Estimate:
        """Area under the ROC, ties counting half, with DeLong's interval on the logit scale.

        DeLong, DeLong & Clarke-Pearson (1988) in the midrank form of Sun & Xu (2014), O(N log N).
        Perfect separation has no spread to reckon with: match members and non-members one to one,
        and min(n) independent comparisons were all won, which Clopper-Pearson bounds. Nor have
        scores that are all the same: as many comparisons were all drawn, and 0.5 is as far off as
        the share that was not seen may lie on one side.
        `unresolvable` where a side has a single record.
        """
        x, z = self.members, self.non_members
        if min(x.size, z.size) < 2:
            return Estimate.unresolvable(n=self.n)
        if self.constant:
            unseen = clopper_pearson(0, min(x.size, z.size), confidence)[1] / 2
            return Estimate(0.5, 0.5 - unseen, 0.5 + unseen, n=self.n)
        won, kept = _placements(x, z)
        auc = float(won.mean())
        variance = float(won.var(ddof=1) / x.size + kept.var(ddof=1) / z.size)
        pairs = min(x.size, z.size)
        if auc in (0.0, 1.0):
            low, high = clopper_pearson(round(auc) * pairs, pairs, confidence)
        else:
            half = ndtri((1 + confidence) / 2) * math.sqrt(variance) / (auc * (1 - auc))
            low, high = (float(expit(logit(auc) + sign * half)) for sign in (-1, 1))
        return Estimate(auc, low, high, n=self.n)

    def balanced_accuracy(self, confidence: float = CONFIDENCE) -> Estimate:
        """(TPR + TNR) / 2, the threshold of each half of the rows being chosen on the other half.

        The usual maximum over thresholds on the same rows exceeds 0.5 even for noise. The interval
        joins those of the two rates (MOVER, Zou & Donner 2008).
        """
        if min(self.members.size, self.non_members.size) < 4:
            return Estimate.unresolvable(n=self.n)
        first, second = self.halves()
        hits = alarms = 0
        for chosen, reported in ((first, second), (second, first)):
            more_hits, more_alarms = reported.counts(chosen._best_split())
            hits, alarms = hits + int(more_hits), alarms + int(more_alarms)
        tpr = rate(hits, self.members.size, confidence)
        tnr = rate(self.non_members.size - alarms, self.non_members.size, confidence)
        value = (hits / self.members.size + 1 - alarms / self.non_members.size) / 2
        below = math.hypot(*(number(r.value) - number(r.ci_low) for r in (tpr, tnr))) / 2
        above = math.hypot(*(number(r.ci_high) - number(r.value) for r in (tpr, tnr))) / 2
        return Estimate(value, max(0.0, value - below), min(1.0, value + above), n=self.n)

    def _best_split(self) -> float:
        cuts = np.concatenate([self.members, self.non_members])
        hits, alarms = self.counts(cuts)
        return float(cuts[np.argmax(hits / self.members.size - alarms / self.non_members.size)])

    def curve(self, points: int = 400) -> Curve:
        """At most `points` exact vertices, evenly spread on both logarithmic axes."""
        x, z = self.members, self.non_members
        ranks = [
            side.size - np.unique(np.geomspace(1, side.size, points // 2 - 2).astype(np.intp))
            for side in (x, z)
        ]
        hits, alarms = self.counts(np.concatenate([x[ranks[0]], z[ranks[1]], [-np.inf, np.inf]]))
        vertices = np.unique(np.column_stack([alarms, hits]), axis=0)
        return Curve(vertices[:, 0] / z.size, vertices[:, 1] / x.size)
