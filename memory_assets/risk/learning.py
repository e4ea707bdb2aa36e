"""Governance learns: one release's posterior opens the next, and forecasts can be judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from memory_assets.errors import InputError
from memory_assets.risk.distribution import Beta
from memory_assets.risk.evidence import Evidence
from memory_assets.risk.leakage import JEFFREYS, leak_rates, membership_posteriors


def discounted(posterior: Beta, kept: float) -> Beta:
    """The posterior with the share `kept` of its evidence, over Jeffreys (a power prior).

    1 keeps all, 0 forgets all: a new release is a new model, only partly like the last
    (Ibrahim and Chen 2000).
    """
    if not 0 <= kept <= 1:
        raise InputError(f"decision.carry_over is {kept}; expected a share between 0 and 1")
    a0, b0 = JEFFREYS
    a = max(a0 + kept * (posterior.a - a0), 1e-6)
    b = max(b0 + kept * (posterior.b - b0), 1e-6)
    return Beta(a=a, b=b, basis=posterior.basis)


@dataclass(frozen=True)
class Learned:
    """What earlier releases leave to the next: pseudo-counts, fewer with every release since.

    `strata` are the extraction rates by stratum; `membership` the TPR and FPR of the attack that
    told most, by the threshold that it was run at.
    """

    strata: Mapping[str, Beta] = field(default_factory=dict)
    membership: Mapping[str, tuple[Beta, Beta]] = field(default_factory=dict)


NOTHING_LEARNED = Learned()


def learn(earlier: Sequence[Evidence], kept: float) -> Learned:
    """The priors of the next release's audit, after all earlier ones, oldest first.

    Each release's posterior, discounted, is the prior of the next. Audits without a verdict teach
    nothing and are passed over. What a release did not measure is discounted all the same: it is
    one release older.
    """
    strata: dict[str, Beta] = {}
    membership: dict[str, tuple[Beta, Beta]] = {}
    for evidence in earlier:
        if not evidence.has_verdict:
            continue
        if evidence.strata:
            rates = leak_rates(evidence.strata, prior=strata)
            strata |= {r.stratum: r.posterior for r in rates}
        if attack := evidence.membership:
            before = membership.get(attack.threshold)
            membership[attack.threshold] = membership_posteriors(attack, before)
        strata = {name: discounted(p, kept) for name, p in strata.items()}
        membership = {
            name: (discounted(tpr, kept), discounted(fpr, kept))
            for name, (tpr, fpr) in membership.items()
        }
    return Learned(strata, membership)


@dataclass(frozen=True)
class Forecast:
    """A stated probability of something that can be checked later. One row of `forecasts`."""

    audit_id: str
    option: str
    event: str
    probability: float
    within_years: float

    def __post_init__(self) -> None:
        if not 0 <= self.probability <= 1:
            raise InputError(
                f"forecast of {self.event!r}: probability is {self.probability}; expected 0 to 1"
            )
