"""A profile from four numbers: for a small company that knows little else about itself."""

from __future__ import annotations

import math
from dataclasses import replace

from memory_assets.errors import InputError
from memory_assets.risk.distribution import Distribution, Fixed, unknown
from memory_assets.risk.profile import Profile
from memory_assets.risk.reading import load_profile, shipped_profiles

_REGION = {"JPY": "jp", "USD": "us", "EUR": "eu"}
_STATED = ("data.records", "exposure.queries", "loss.revenue")


def _stated(value: float) -> Distribution:
    return Fixed(value=float(value), basis="expert", note="stated by the owner")


def _resized(distribution: Distribution, factor: float, by: str) -> Distribution:
    note = f"the industry's default, sized by {by}"
    return replace(distribution.scaled(factor), basis="assumed", note=note)


def small_company(
    industry: str, records: int, queries_per_month: float, revenue: float, currency: str
) -> Profile:
    """The industry's shipped profile, sized to a company; all that was not stated is `defaulted`.

    Args:
        industry: healthcare, finance, retail, manufacturing, public-sector or software-service.
        records: how many sensitive records the model was trained on.
        queries_per_month: how often the model is asked.
        revenue: a year's turnover (a public body's budget) in `currency`.
        currency: JPY, USD or EUR; it also chooses whose law bounds the fines.

    Raises:
        InputError: an unknown industry or currency, or a number that is not above 0.
    """
    for name, given in (
        ("records", records),
        ("queries_per_month", queries_per_month),
        ("revenue", revenue),
    ):
        if not (math.isfinite(given) and given > 0):
            raise InputError(f"small company: {name} is {given}: give a number above 0")
    if currency not in _REGION:
        raise InputError(f"small company: {unknown('currency', currency, list(_REGION))}")
    industries = sorted({name.rpartition("-")[0] for name in shipped_profiles()})
    if industry not in industries:
        raise InputError(f"small company: {unknown('industry', industry, industries)}")
    base = load_profile(f"{industry}-{_REGION[currency]}")
    size = revenue / base.loss.revenue.mean
    use = 12 * queries_per_month / base.exposure.queries.mean
    loss = {
        name: _resized(getattr(base.loss, name), size, "revenue")
        for name in ("churn", "damages", "regulator_fine")
        if getattr(base.loss, name).mean > 0
    }
    profile = replace(
        base,
        title=f"{base.title}, sized to a small company",
        data=replace(base.data, records=_stated(records)),
        exposure=replace(base.exposure, queries=_stated(12 * queries_per_month)),
        loss=replace(base.loss, revenue=_stated(revenue), **loss),
        value=replace(base.value, volume=_resized(base.value.volume, use, "queries")),
        decision=replace(base.decision, appetite=_resized(base.decision.appetite, size, "revenue")),
    )
    defaulted = tuple(name for name in profile.inputs() if name not in _STATED)
    return replace(profile, defaulted=defaulted)
