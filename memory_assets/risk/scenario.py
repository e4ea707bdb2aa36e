"""What each option leaks in every simulated future, from its own audit or from declared ratios."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from memory_assets.errors import InputError
from memory_assets.risk.distribution import Basis, Beta, Distribution, Floats
from memory_assets.risk.evidence import Evidence, Membership
from memory_assets.risk.leakage import (
    LeakRate,
    exposed_records,
    leak_rates,
    membership_posteriors,
    membership_rate,
    ppv,
)
from memory_assets.risk.options import Measure, Option
from memory_assets.risk.profile import Profile
from memory_assets.risk.simulation import Leak, Streams


@dataclass(frozen=True)
class Scenario:
    """One audit against one profile, with the random numbers that all options share."""

    evidence: Evidence
    profile: Profile
    streams: Streams
    futures: int
    prior: Mapping[str, Beta] | None = None

    def rates(self, option: Option) -> tuple[LeakRate, ...]:
        """Leak rates by stratum: the option's own counts where it was audited, else the model's.

        Raises:
            InputError: an option whose audit probed other strata than the model's own.
        """
        shares = self.profile.data.shares
        if not option.measured or option.evidence is None:
            strata = self.evidence.strata
            return leak_rates(strata, shares, self.prior) if strata else ()
        own = option.evidence.strata
        if {s.name for s in own} != {s.name for s in self.evidence.strata}:
            raise InputError(
                f"option {option.name!r}: its audit probed {sorted(s.name for s in own)} and the "
                f"model's probed {sorted(s.name for s in self.evidence.strata)}: probe the same"
            )
        return leak_rates(own, shares) if own else ()

    def membership(self, option: Option) -> Membership | None:
        """The membership counts to price, where membership itself is sensitive.

        Raises:
            InputError: an option whose audit lacks the attack that the model's audit has.
        """
        if not self.profile.data.membership_sensitive or self.evidence.membership is None:
            return None
        if not option.measured or option.evidence is None:
            return self.evidence.membership
        if option.evidence.membership is None:
            raise InputError(
                f"option {option.name!r}: its audit has no membership attack and the model's has "
                f"{self.evidence.membership.attack!r}: run it on the option too"
            )
        return option.evidence.membership

    @property
    def prior_basis(self) -> Basis:
        """The ground of the membership prior: stated with the attack, or the profile's."""
        stated = self.evidence.membership and self.evidence.membership.prior is not None
        return "expert" if stated else self.profile.data.membership_prior.basis

    def membership_draws(self, attack: Membership) -> tuple[Floats, Floats, Floats]:
        """TPR, FPR and prior by future."""
        tpr, fpr = membership_posteriors(attack)
        if attack.prior is None:
            drawn = self.streams.draw(self.profile.data.membership_prior, self.futures, "prior")
            prior = np.clip(drawn, 1e-9, 1 - 1e-9)
        else:
            prior = np.full(self.futures, attack.prior)
        draw = self.streams.draw
        return draw(tpr, self.futures, "tpr"), draw(fpr, self.futures, "fpr"), prior

    def ppv(self, attack: Membership) -> Floats:
        """How often a flagged record is a member, by future."""
        return ppv(*self.membership_draws(attack))

    def leak(self, option: Option) -> Leak:
        """Extraction, membership, the filter's miss rate and the exposed records, by future."""
        records = self.streams.draw(self.profile.data.records, self.futures, "records")
        ratio = self._product(option, lambda m: m.leak_ratio, "leak_ratio")
        rate, exposed = np.zeros(self.futures), np.zeros(self.futures)
        for r in self.rates(option):
            p = self.streams.draw(r.posterior, self.futures, "leak", r.stratum) * ratio
            u = self.streams.uniform(self.futures, "exposed", r.stratum)
            rate += r.share * p
            exposed += exposed_records(records * r.share, p, u)
        membership = np.zeros(self.futures)
        attack = self.membership(option)
        if attack is not None:
            told = membership_rate(*self.membership_draws(attack))
            membership = told * self._product(option, lambda m: m.membership_ratio, "membership")
            u = self.streams.uniform(self.futures, "exposed-membership")
            exposed += exposed_records(records, membership, u)
        # Whoever holds the weights runs them without the filter.
        filtered = self.profile.exposure.release != "open-weights"
        miss = (
            self._product(option, lambda m: m.miss, "miss") if filtered else np.ones(self.futures)
        )
        return Leak(rate, membership, miss, np.minimum(exposed, records))

    def _product(self, option: Option, of: Callable[[Measure], Distribution], name: str) -> Floats:
        """The declared ratios of all measures, multiplied; 1 where the option was measured."""
        product = np.ones(self.futures)
        if option.measured:
            return product
        for measure in option.measures:
            drawn = self.streams.draw(of(measure), self.futures, measure.name, name)
            product *= np.minimum(drawn, 1.0)
        return product
