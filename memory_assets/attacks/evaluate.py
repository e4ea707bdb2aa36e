"""One target, several attacks: scores per record, ROC, and every number with its interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from memory_assets.attacks.agreement import agreement
from memory_assets.attacks.reference import BLOCK, Bools, Floats
from memory_assets.attacks.registry import Attack
from memory_assets.pool.signals import Signals
from memory_assets.results.estimate import Measurement
from memory_assets.statistics.intervals import CONFIDENCE
from memory_assets.statistics.roc import Curve, Roc, Threshold
from memory_assets.statistics.summary import NOMINAL_FPR, shadow_threshold, summarize

EXPOSED_AT = 0.01
"""A record counts as exposed at the threshold that the shadows choose for 1% false positives."""


@dataclass(frozen=True)
class AttackResult:
    """One attack on one target.

    `scores` `[n, 2]`, higher = more likely a member; `exposed` `[n, 2]` the records, members or
    not, above the shadows' threshold at 1% FPR (None where the shadows cannot show one).
    `thresholds` maps a nominal FPR to the shadows' threshold, or None.
    """

    attack: Attack
    scores: Floats
    roc: Roc
    curve: Curve
    thresholds: dict[float, Threshold | None]
    exposed: Bools | None
    measurements: tuple[Measurement, ...]


@dataclass(frozen=True)
class Evaluation:
    """All attacks on one target; `is_in` `[n, 2]` says which records it trained on."""

    is_in: Bools
    results: tuple[AttackResult, ...]
    agreement: tuple[Measurement, ...]

    @property
    def measurements(self) -> tuple[Measurement, ...]:
        """Every row for the table `measurements`."""
        return tuple(m for r in self.results for m in r.measurements) + self.agreement


def rocs(scores: Floats, is_in: Bools, kind: str = "target") -> list[Roc]:
    """One ROC for each target, from scores and memberships `[T, n, 2]`.

    `kind` tells targets from shadows: models that answer alike, such as those that remember
    nothing or everything, have the same scores and are not the same rows.

    Raises:
        ValueError: a target without members or without non-members, or scores not finite.
    """
    each = enumerate(zip(scores, is_in, strict=True))
    return [Roc.of(s[m], s[~m], f"{kind} {number}") for number, (s, m) in each]


def shadow_thresholds(
    attack: Attack, pool: Signals, block: int = BLOCK, rates: Sequence[float] = NOMINAL_FPR
) -> dict[float, Threshold | None]:
    """For each FPR the median of the thresholds that the shadows choose by leave-one-out.

    None where the pool is too small to leave a model out, or a model has too few non-members.

    Args:
        attack: whose scores are cut.
        pool: shadow models, answers `[K, n, 2, Q]`.
        block: pairs worked off at once.
        rates: nominal false-positive rates in (0, 1).

    Returns:
        A threshold for each rate, in the unit of the attack's score.

    Examples:
        >>> from memory_assets.attacks.registry import ATTACKS
        >>> from memory_assets.attacks.worked_example import pool_and_target
        >>> pool, target = pool_and_target()
        >>> cuts = shadow_thresholds(ATTACKS["loss"], pool, rates=(0.1, 0.001))
        >>> cuts[0.1] is None, cuts[0.001] is None
        (False, True)
    """
    if not attack.can_leave_one_out(pool):
        return dict.fromkeys(rates)
    scores = attack.score(pool, pool, leave_one_out=True, block=block)
    shadows = rocs(scores, pool.is_in, "shadow")
    return {a: shadow_threshold(shadows, a) for a in rates}


def _attack(
    attack: Attack,
    pool: Signals,
    target: Signals,
    prior: float,
    confidence: float,
    block: int,
    rates: Sequence[float],
) -> AttackResult:
    scores = attack.score(pool, target, block=block)[0]
    roc = rocs(scores[None], target.is_in)[0]
    thresholds = shadow_thresholds(attack, pool, block, rates)
    measurements = summarize(
        roc,
        attack.name,
        attack.formula_version,
        thresholds=thresholds,
        prior=prior,
        confidence=confidence,
        rates=rates,
    )
    # A rate that one owner asks for must not move bounds that are corrected for all thresholds.
    thresholds = {a: thresholds[a] for a in NOMINAL_FPR}
    cut = thresholds[EXPOSED_AT]
    exposed = None if cut is None else scores > cut.value
    return AttackResult(attack, scores, roc, roc.curve(), thresholds, exposed, tuple(measurements))


def evaluate(
    pool: Signals,
    target: Signals,
    attacks: Sequence[Attack],
    *,
    prior: float,
    confidence: float = CONFIDENCE,
    block: int = BLOCK,
    more_rates: Sequence[float] = (),
) -> Evaluation:
    """Run `attacks` on one target whose membership is known, and measure what they find.

    `prior` is the share of members among the records that an attacker would ask about; the PPV
    rests on it. `more_rates` are false-positive rates to report beside the nominal ones, such as an
    owner's limits name. Thresholds come from the pool by leave-one-out, before the target is looked
    at. Deterministic: the same signals give the same numbers.

    Args:
        pool: shadow models, answers `[K, n, 2, Q]`.
        target: one model of known membership, answers `[1, n, 2, Q]`.
        attacks: what to run, from `registry.select`.
        prior: share of members among the records asked about, in (0, 1).
        confidence: of every interval.
        block: pairs worked off at once.
        more_rates: false-positive rates in (0, 1) to report beside the nominal ones.

    Returns:
        Scores, ROC and measurements of each attack, and how far the attacks agree.

    Raises:
        ValueError: not exactly one target, no attack, a prior outside (0, 1), or signals that an
            attack refuses (not finite, too few models, other shapes than the pool's).

    Examples:
        >>> from memory_assets.attacks.registry import select
        >>> from memory_assets.attacks.worked_example import pool_and_target
        >>> pool, target = pool_and_target()
        >>> found = evaluate(pool, target, select(["lira_online_fixed"], 16), prior=0.5)
        >>> area = found.results[0].roc.auc()
        >>> round(area.value, 2), area.n
        (0.91, 400)
    """
    if target.models != 1:
        raise ValueError(f"evaluate takes one target, got {target.models}")
    if not attacks:
        raise ValueError("no attack to evaluate")
    if not 0 < prior < 1:
        raise ValueError(f"the prior must lie in (0, 1), got {prior}")
    rates = tuple(dict.fromkeys((*NOMINAL_FPR, *more_rates)))
    results = tuple(_attack(a, pool, target, prior, confidence, block, rates) for a in attacks)
    is_in = target.is_in[0]
    flags = {r.attack.name: r.exposed[is_in] for r in results if r.exposed is not None}
    versions = {attack.name: attack.formula_version for attack in attacks}
    return Evaluation(is_in, results, tuple(agreement(flags, confidence, versions)))
