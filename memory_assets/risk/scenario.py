"""What each option leaks in every simulated future, from its own audit or from declared ratios."""

from __future__ import annotations

from collections.abc import Callable
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
from memory_assets.risk.learning import NOTHING_LEARNED, Learned
from memory_assets.risk.options import Measure, Option
from memory_assets.risk.profile import Profile
from memory_assets.risk.simulation import Leak, Streams


@dataclass(frozen=True)
class Scenario:
    """One audit against one profile, with the random numbers that all options share.

    `learned` is what earlier releases left. It opens the counts of the model and those of every
    audited option alike: equal counts are equal leakage.
    """

    evidence: Evidence
    profile: Profile
    streams: Streams
    futures: int
    learned: Learned = NOTHING_LEARNED

    def rates(self, option: Option) -> tuple[LeakRate, ...]:
        """Leak rates by stratum: the option's own counts where it was audited, else the model's.

        Raises:
            InputError: an option whose audit probed other strata than the model's own.
        """
        shares = self.profile.data.shares
        if not option.measured or option.evidence is None:
            strata = self.evidence.strata
            return leak_rates(strata, shares, self.learned.strata) if strata else ()
        own = option.evidence.strata
        if {s.name for s in own} != {s.name for s in self.evidence.strata}:
            raise InputError(
                f"option {option.name!r}: its audit probed {sorted(s.name for s in own)} and the "
                f"model's probed {sorted(s.name for s in self.evidence.strata)}: probe the same"
            )
        return leak_rates(own, shares, self.learned.strata) if own else ()

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

    def told(self, attack: Membership) -> tuple[Beta, Beta]:
        """TPR and FPR of an attack after its counts and those of earlier releases."""
        return membership_posteriors(attack, self.learned.membership.get(attack.threshold))

    def membership_draws(self, attack: Membership) -> tuple[Floats, Floats, Floats]:
        """TPR, FPR and prior by future."""
        tpr, fpr = self.told(attack)
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
        records = self._records
        rate, extracted = self._extracted(option, records)
        membership, members = self._given_away(option, records)
        # Whoever holds the weights runs them without the filter.
        filtered = self.profile.exposure.release != "open-weights"
        miss = (
            self._product(option, lambda m: m.miss, "miss") if filtered else np.ones(self.futures)
        )
        return Leak(rate, membership, miss, np.minimum(extracted + members, records))

    def membership_leak(self, option: Option) -> Leak:
        """What would leak if nothing could be extracted: the part that no leak rate moves."""
        records = self._records
        membership, members = self._given_away(option, records)
        nothing, unfiltered = np.zeros(self.futures), np.ones(self.futures)
        return Leak(nothing, membership, unfiltered, np.minimum(members, records))

    @property
    def _records(self) -> Floats:
        return self.streams.draw(self.profile.data.records, self.futures, "records")

    def _extracted(self, option: Option, records: Floats) -> tuple[Floats, Floats]:
        """The re-weighted extraction rate and the records that it exposes."""
        ratio = self._product(option, lambda m: m.leak_ratio, "leak_ratio")
        rate, exposed = np.zeros(self.futures), np.zeros(self.futures)
        for r in self.rates(option):
            p = self.streams.draw(r.posterior, self.futures, "leak", r.stratum) * ratio
            u = self.streams.uniform(self.futures, "exposed", r.stratum)
            rate += r.share * p
            exposed += exposed_records(records * r.share, p, u)
        return rate, exposed

    def _given_away(self, option: Option, records: Floats) -> tuple[Floats, Floats]:
        """The rate at which membership is told and the records that it exposes; 0 if not priced."""
        attack = self.membership(option)
        if attack is None:
            return np.zeros(self.futures), np.zeros(self.futures)
        told = membership_rate(*self.membership_draws(attack))
        membership = told * self._product(option, lambda m: m.membership_ratio, "membership")
        u = self.streams.uniform(self.futures, "exposed-membership")
        return membership, exposed_records(records, membership, u)

    def _product(self, option: Option, of: Callable[[Measure], Distribution], name: str) -> Floats:
        """The declared ratios of all measures, multiplied; 1 where the option was measured."""
        product = np.ones(self.futures)
        if option.measured:
            return product
        for measure in option.measures:
            drawn = self.streams.draw(of(measure), self.futures, measure.name, name)
            product *= np.minimum(drawn, 1.0)
        return product
