"""The figures of every option: what it leaks, what that costs, what it earns, what it returns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from memory_assets.risk.distribution import Floats, weakest
from memory_assets.risk.figure import (
    Figure,
    absent,
    exact,
    over_counts,
    over_futures,
    share_of_futures,
)
from memory_assets.risk.options import AS_IS, Option
from memory_assets.risk.report import OptionResult
from memory_assets.risk.returns import (
    annuity,
    break_even_queries,
    net_present_value,
    payback,
    rosi,
)
from memory_assets.risk.scenario import Scenario
from memory_assets.risk.simulation import Leak, Years, expected_losses, insured, simulate
from memory_assets.risk.tail import AnnualLosses
from memory_assets.risk.value import Worth, annual_value

_NO_GAIN = "no held-out gain was measured or declared"
_NEVER = "the option costs nothing, or leaves what ordinary questions leak as it is"


@dataclass(frozen=True)
class Account:
    """One option with everything simulated of it; costs are `[futures]`, money (a year).

    `by_membership` is the part of the expected loss that stays if nothing can be extracted.
    """

    option: Option
    leak: Leak
    years: Years
    by_membership: Floats
    retained: Floats
    worth: Worth | None
    one_off: Floats
    annual: Floats
    premium_change: Floats

    @property
    def insured(self) -> bool:
        return self.retained is not self.years.gross

    @property
    def loss_by_extraction(self) -> float:
        """The mean of the expected loss a year that a leak rate of 0 would take away."""
        return float((self.years.given - self.by_membership).mean())

    @cached_property
    def gross_tail(self) -> AnnualLosses:
        return AnnualLosses(self.years.gross)

    @cached_property
    def retained_tail(self) -> AnnualLosses:
        return AnnualLosses(self.retained) if self.insured else self.gross_tail


def _cost(option: Option, scenario: Scenario, name: str) -> Floats:
    """One kind of cost of all the option's measures, by future."""
    total = np.zeros(scenario.futures)
    for measure in option.measures:
        distribution = getattr(measure, name)
        total += scenario.streams.draw(distribution, scenario.futures, measure.name, name)
    return total


def simulate_options(options: Sequence[Option], scenario: Scenario) -> list[Account]:
    """All options on the same random numbers."""
    p = scenario.profile
    leaks = [scenario.leak(o) for o in options]
    years = simulate(
        leaks, p.exposure, p.loss, scenario.streams, scenario.futures, p.decision.horizon
    )
    told = expected_losses(
        [scenario.membership_leak(o) for o in options],
        p.exposure,
        p.loss,
        scenario.streams,
        scenario.futures,
    )
    covered = p.transfer.cover.mean > 0
    return [
        Account(
            option=option,
            leak=leak,
            years=year,
            by_membership=by_membership,
            retained=year.gross - insured(year.gross, p.transfer) if covered else year.gross,
            worth=annual_value(option, scenario.evidence, p, scenario.streams, scenario.futures),
            one_off=_cost(option, scenario, "one_off"),
            annual=_cost(option, scenario, "annual"),
            premium_change=_cost(option, scenario, "premium_change"),
        )
        for option, leak, year, by_membership in zip(options, leaks, years, told, strict=True)
    ]


def _leakage(mine: Account, scenario: Scenario) -> dict[str, Figure]:
    measured = mine.option.measured or mine.option is AS_IS
    basis = "measured" if measured else mine.option.basis
    records = weakest(basis, scenario.profile.data.records.basis)
    exposure = scenario.profile.basis("data", "exposure")
    often = weakest(basis, exposure)
    probed = bool(scenario.rates(mine.option))
    told = scenario.membership(mine.option) is not None
    believed = weakest(basis, scenario.prior_basis)
    return {
        "leak_rate": over_counts(mine.leak.rate, "probability", basis)
        if probed
        else absent("probability", basis, "extraction was not measured"),
        "membership_rate": over_counts(mine.leak.membership, "probability", believed)
        if told
        else absent("probability", believed, "membership was not measured, or is not sensitive"),
        "exposed_records": over_futures(mine.leak.exposed, "records", records),
        "leaks": over_futures(mine.years.leaks, "leaks a year", often),
        "incidents": over_futures(mine.years.rate, "incidents a year", often),
        "incident_probability": over_futures(-np.expm1(-mine.years.rate), "probability", often),
    }


def _losses(mine: Account, scenario: Scenario) -> dict[str, Figure]:
    p, decision = scenario.profile, scenario.profile.decision
    basis = weakest(mine.option.basis, p.basis("data", "exposure", "loss"))
    after = weakest(basis, p.basis("transfer"))
    gross, kept = mine.gross_tail, mine.retained_tail
    mean, given = gross.mean(), over_futures(mine.years.given, p.currency, basis)
    tail, retained = kept.tail_mean(0.95), kept.mean()
    spread = mine.one_off / annuity(decision.discount_rate.mean, decision.horizon)
    carried = (
        # Uninsured, what a future is expected to lose: its few simulated years are mostly empty.
        (mine.retained.mean(axis=0) if mine.insured else mine.years.given)
        + p.transfer.premium.mean
        + mine.premium_change
        + decision.audit_cost.mean * p.exposure.releases.mean
        + spread
        + mine.annual
        + decision.capital_charge.mean * (tail.value - retained.value)
    )
    return {
        "expected_loss": Figure(
            mean.value, given.low, given.high, p.currency, basis, "futures", mean.error
        ),
        "var95": gross.value_at_risk(0.95).figure(p.currency, basis),
        "var99": gross.value_at_risk(0.99).figure(p.currency, basis),
        "cvar95": gross.tail_mean(0.95).figure(p.currency, basis),
        "retained_loss": retained.figure(p.currency, after),
        "retained_cvar95": tail.figure(p.currency, after),
        "cost_of_risk": over_futures(
            carried, p.currency, weakest(after, p.basis("decision"), mine.option.basis)
        ),
        "cost": over_futures(spread + mine.annual, p.currency, mine.option.basis),
    }


def _returns(mine: Account, as_is: Account, scenario: Scenario) -> dict[str, Figure]:
    p, decision = scenario.profile, scenario.profile.decision
    rate, money = decision.discount_rate.mean, p.currency
    basis = weakest(mine.option.basis, p.basis("data", "exposure", "loss", "transfer", "decision"))
    if mine.worth and as_is.worth:
        lost = as_is.worth.annual - mine.worth.annual
        earned = mine.worth.annual
        basis = weakest(basis, mine.worth.basis)
        value = over_futures(earned, money, mine.worth.basis)
        utility_loss = over_futures(lost, money, mine.worth.basis)
    else:
        earned = lost = np.zeros(scenario.futures)
        value = utility_loss = absent(money, "assumed", _NO_GAIN)
    running = (
        p.transfer.premium.mean
        + mine.premium_change
        + mine.annual
        + decision.audit_cost.mean * p.exposure.releases.mean
    )
    flows = earned - running - mine.retained
    npv = net_present_value(flows, mine.one_off, rate)
    avoided = as_is.retained - mine.retained
    extra = avoided - (lost + mine.annual + mine.premium_change)
    added = net_present_value(extra, mine.one_off, rate)

    cost = float((mine.one_off / annuity(rate, decision.horizon) + mine.annual).mean())
    saved = float(avoided.mean() - (lost + mine.premium_change).mean())
    back = payback(float(mine.one_off.mean()), saved - float(mine.annual.mean()))
    ratio = rosi(saved, cost)
    loss, incidents = float(as_is.years.given.mean()), float(as_is.years.rate.mean())
    # Questions extract; no option is credited here with what it does about membership.
    extracted = as_is.loss_by_extraction
    queries = break_even_queries(
        cost,
        p.exposure.hit_share.mean,
        float(as_is.leak.rate.mean()),
        float(as_is.leak.miss.mean()),
        p.exposure.escalation.mean,
        1 - mine.loss_by_extraction / extracted if extracted > 0 else 0.0,
        loss / incidents if incidents > 0 else 0.0,
    )

    def maybe(number: float | None, unit: str, why: str) -> Figure:
        return absent(unit, basis, why) if number is None else exact(number, unit, basis)

    no_effort = cost <= 0
    return {
        "value": value,
        "utility_loss": utility_loss,
        "npv": over_futures(npv, money, basis),
        "npv_positive": share_of_futures(npv > 0, basis),
        "npv_of_option": over_futures(added, money, basis),
        "npv_of_option_positive": share_of_futures(added > 0, basis),
        "rosi": maybe(ratio, "ratio", "the option costs nothing"),
        "payback": maybe(
            None if no_effort else back, "years", "nothing was spent, or it is never won back"
        ),
        "break_even_queries": maybe(None if no_effort else queries, "queries a year", _NEVER),
    }


def account(mine: Account, as_is: Account, scenario: Scenario) -> OptionResult:
    """All figures of one option, against the model as it is."""
    return OptionResult(
        name=mine.option.name,
        measured=mine.option.measured or mine.option is AS_IS,
        basis=mine.option.basis,
        **_leakage(mine, scenario),
        **_losses(mine, scenario),
        **_returns(mine, as_is, scenario),
        exceedance=mine.gross_tail.exceedance(),
    )
