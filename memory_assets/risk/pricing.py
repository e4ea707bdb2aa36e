"""The one entry: an audit's counts and a profile in, a priced report out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy import stats

from memory_assets.errors import InputError
from memory_assets.results.formulas import RISK
from memory_assets.risk.accounting import Account, account, simulate_options
from memory_assets.risk.describe import input_lines
from memory_assets.risk.distribution import Basis, Beta, weakest
from memory_assets.risk.evidence import Evidence
from memory_assets.risk.figure import Figure, absent, exact, over_counts
from memory_assets.risk.gate import decide
from memory_assets.risk.leakage import LeakRate, membership_rate, weighted_posterior
from memory_assets.risk.learning import NOTHING_LEARNED, Forecast, Learned, discounted
from memory_assets.risk.options import AS_IS, Option, line_up
from memory_assets.risk.plan import AuditPlan, Choices, Control, plan_audits
from memory_assets.risk.profile import Profile
from memory_assets.risk.report import OptionResult, RiskReport
from memory_assets.risk.returns import break_even_growth, frontier
from memory_assets.risk.scenario import Scenario
from memory_assets.risk.sensitivity import tornado
from memory_assets.risk.simulation import Streams
from memory_assets.risk.value import memorized_value, uncounted_training_gain

_FEWEST_FUTURES = 100


def _belief(rates: tuple[LeakRate, ...], scenario: Scenario) -> Beta | None:
    """What is believed of the priced leak rate; None where none was measured.

    Where only membership is priced it is the rate at which members are told, at the mean prior: no
    audit learns how many of the people asked about are members.
    """
    if rates:
        return weighted_posterior(rates)
    attack = scenario.membership(AS_IS)
    if attack is None:
        return None
    tpr, fpr, prior = scenario.membership_draws(attack)
    told = membership_rate(tpr, fpr, float(prior.mean()))
    mean, spread = float(told.mean()), float(told.var())
    if not 0 < mean < 1 or spread <= 0:
        return None
    pseudo = mean * (1 - mean) / spread - 1
    return Beta(a=mean * pseudo, b=(1 - mean) * pseudo, basis=scenario.prior_basis)


def _plan(
    priced: Sequence[Account],
    results: Sequence[OptionResult],
    belief: Beta | None,
    extracted: bool,
    profile: Profile,
) -> AuditPlan | None:
    """The audit plan among all options and withdrawal; None where no rate was measured.

    Where extraction was `extracted` by the audit the belief is about its rate p alone: an option's
    loss is what membership costs under it plus what extraction costs, in proportion to p.
    """
    losses = [a.loss_by_extraction if extracted else float(a.years.given.mean()) for a in priced]
    kept = [float(a.by_membership.mean()) if extracted else 0.0 for a in priced]
    if belief is None or losses[0] <= 0:
        return None
    decision = profile.decision
    controls = [
        Control(
            name=r.name,
            efficacy=1 - loss / losses[0],
            cost=(r.cost.value or 0.0) + (r.utility_loss.value or 0.0) + left,
        )
        for r, loss, left in zip(results[1:], losses[1:], kept[1:], strict=True)
    ]
    earned = results[0].value.value
    if earned is not None:
        controls.append(Control("withdraw", 1.0, max(earned, 0.0)))
    return plan_audits(
        discounted(belief, decision.carry_over.mean),
        losses[0] / belief.mean,
        Choices(tuple(controls), kept[0]),
        fixed_cost=decision.audit_cost.mean,
        cost_per_probe=decision.cost_per_probe.mean,
        triage_cost=decision.triage_cost.mean,
        false_alarm=decision.audit_false_alarm.mean,
        material_rate=decision.material_rate.mean,
        hazard=decision.leak_hazard.mean,
        releases=profile.exposure.releases.mean,
        horizon=1 / profile.exposure.releases.mean,
    )


def _forecasts(
    results: Sequence[OptionResult],
    rates: tuple[LeakRate, ...],
    evidence: Evidence,
    material: float,
) -> tuple[Forecast, ...]:
    """What can be checked later: an incident in a year, a material leak rate at the next audit."""
    found = [
        Forecast(evidence.audit_id, r.name, "incident", r.incident_probability.value or 0.0, 1.0)
        for r in results
    ]
    if rates:
        belief = weighted_posterior(rates)
        above = float(stats.beta.sf(material, belief.a, belief.b))
        event = f"leak rate above {material:g} at the next audit"
        found.append(Forecast(evidence.audit_id, AS_IS.name, event, above, 1.0))
    return tuple(found)


def _unpriced(evidence: Evidence, profile: Profile) -> str:
    """Why this audit cannot be priced; empty where it can."""
    if not evidence.has_verdict:
        why = evidence.reason or "the audit gives no verdict"
        return f"insufficient evidence: {why}"
    membership = profile.data.membership_sensitive and evidence.membership
    if not evidence.strata and not membership:
        return (
            "insufficient evidence: the audit measured no extraction, and membership alone is "
            "priced only where the profile says that it is sensitive (data.membership_sensitive)"
        )
    return ""


def _break_even(as_is: Account, basis: Basis, profile: Profile) -> Figure:
    """How many times today's attempts may grow before the loss eats what the model earns."""
    none_such = "no growth of attempts makes the expected loss meet the value"
    if not as_is.worth:
        return absent("ratio", basis, none_such)
    basis = weakest(basis, as_is.worth.basis)
    rate, loss = as_is.years.rate, as_is.years.given
    growth = break_even_growth(
        rate,
        np.divide(loss, rate, out=np.zeros(len(rate)), where=rate > 0),
        profile.exposure.releases.mean,
        float(as_is.worth.annual.mean()),
    )
    return absent("ratio", basis, none_such) if growth is None else exact(growth, "ratio", basis)


def _priced(
    head: RiskReport,
    evidence: Evidence,
    profile: Profile,
    scenario: Scenario,
    chosen: Sequence[Option],
) -> RiskReport:
    """The report whose head is given, with all that one run of the options comes to."""
    priced = simulate_options(chosen, scenario)
    as_is = priced[0]
    results = tuple(account(each, as_is, scenario) for each in priced)
    rates = scenario.rates(AS_IS)
    attack = scenario.membership(AS_IS)
    reach = [(r.name, r.leaks.value or 0.0, r.value.value, r.cost.value or 0.0) for r in results]
    return replace(
        head,
        gate=decide(results, profile.decision.appetite.mean),
        leak_rates=rates,
        membership_ppv=over_counts(scenario.ppv(attack), "probability", scenario.prior_basis)
        if attack
        else None,
        options=results,
        frontier=frontier(reach),
        tornado=tornado(profile, evidence, rates, scenario.told(attack) if attack else None),
        plan=_plan(priced, results, _belief(rates, scenario), bool(rates), profile),
        probes=sum(r.n for r in rates) if rates else attack.members if attack else 0,
        break_even_growth=_break_even(as_is, results[0].expected_loss.basis, profile),
        memorized_value=memorized_value(evidence, as_is.worth, scenario.streams, profile.currency)
        if as_is.worth
        else None,
        training_gain=uncounted_training_gain(evidence, profile),
        held_out=evidence.utility.held_out if evidence.utility else None,
        forecasts=_forecasts(results, rates, evidence, profile.decision.material_rate.mean),
    )


@RISK.computes
def price(
    evidence: Evidence,
    profile: Profile,
    options: Sequence[Option] | None = None,
    seed: int = 0,
    years: int = 200_000,
    learned: Learned = NOTHING_LEARNED,
) -> RiskReport:
    """Price what an audit found, for the model as it is and for every option, in one run.

    Args:
        evidence: the audit's counts. Without a verdict nothing is priced and the report says so.
        profile: everything that an audit cannot measure.
        options: what could be done; None takes those that the profile declares. The model as it
            is (`none`) always comes first.
        seed: the same inputs and seed give the same report.
        years: simulated years for each option, in futures of the profile's horizon.
        learned: pseudo-counts from earlier releases (`learning.learn`).

    Raises:
        InputError: too few years, options of one name, or strata that do not match the profile's.
    """
    horizon = profile.decision.horizon
    futures = years // horizon
    if futures < _FEWEST_FUTURES:
        raise InputError(
            f"years is {years}: give at least {_FEWEST_FUTURES * horizon} for a horizon of "
            f"{horizon} years"
        )
    reason = _unpriced(evidence, profile)
    head = RiskReport(
        evidence.audit_id,
        evidence.verdict,
        profile.title,
        profile.industry,
        profile.currency,
        seed,
        years,
        horizon,
        not reason,
        reason,
        input_lines(profile),
    )
    if reason:
        return head
    scenario = Scenario(evidence, profile, Streams(seed), futures, learned)
    chosen = line_up(profile.options if options is None else options)
    return _priced(head, evidence, profile, scenario, chosen)
