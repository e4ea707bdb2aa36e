"""Simulated years: clustered frequency, compound losses, insurance, all options at once.

A *future* fixes what is not known (rates, queries, escalation) for the whole horizon; its years
then differ by chance alone. Random numbers are named and shared: two options, or two runs of one
seed, differ only where their inputs do.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count

import numpy as np

from memory_assets.risk.distribution import Distribution, Floats, Number
from memory_assets.risk.profile import Exposure, Loss, Transfer

_SEVERITIES = (
    "incident_records",
    "fixed",
    "per_record",
    "claim_share",
    "claim_award",
    "churn",
    "damages",
    "regulator_probability",
    "regulator_fine",
)


@dataclass(frozen=True)
class Streams:
    """Uniform draws by name: the name and the seed decide them, not the order of asking."""

    seed: int
    _drawn: dict[tuple, Floats] = field(default_factory=dict, repr=False, compare=False)

    def generator(self, *name: str | int) -> np.random.Generator:
        """The generator of one name."""
        key = hashlib.sha256("/".join(map(str, name)).encode()).digest()[:16]
        return np.random.default_rng([self.seed, int.from_bytes(key, "big")])

    def uniform(self, size: int, *name: str | int) -> Floats:
        """`size` uniforms of one name."""
        return self.generator(*name).random(size)

    def draw(self, distribution: Distribution, size: int, *name: str | int) -> Floats:
        """`size` draws of a distribution on the uniforms of one name; the options share them."""
        key = (distribution, size, name)
        if key not in self._drawn:
            drawn = distribution.quantile(self.uniform(size, *name))
            drawn.flags.writeable = False
            self._drawn[key] = drawn
        return self._drawn[key]


@dataclass(frozen=True)
class Leak:
    """What one option leaks, by future: arrays `[futures]`.

    `rate` is the re-weighted extraction rate, `membership` the rate at which membership itself is
    given away (0 where it is not sensitive), `miss` the share that an output filter lets through,
    `exposed` the number of records that the model can give away.
    """

    rate: Floats
    membership: Floats
    miss: Floats
    exposed: Floats


def leaks_per_year(
    queries: Number,
    hit_share: Number,
    rate: Number,
    miss: Number,
    campaigns: Number,
    targets: Number,
    membership: Number = 0.0,
) -> Floats:
    """`lambda = Q a p m + A (1 - (1 - p m)^b)`, p with membership where a campaign aims at it.

    An ordinary question does not run a membership attack; a campaign may. A filter reads answers
    and does not hide membership.
    """
    seen = rate * miss
    by_campaign = 1 - (1 - seen) * (1 - membership)
    # log1p keeps what 1 - (1 - p)^b would lose at small p.
    success = -np.expm1(targets * np.log1p(-np.minimum(by_campaign, 1 - 1e-15)))
    return np.asarray(queries * hit_share * seen + campaigns * success)


def incidents_per_year(leaks: Number, escalation: Number, releases: float) -> Floats:
    """Expected incidents a year: one per release that leaks visibly, `R (1 - exp(-lambda c / R))`.

    Thousands of leaked answers of one release are one incident with one investigation.
    """
    return np.asarray(-releases * np.expm1(-leaks * escalation / releases))


def incident_loss(draws: Mapping[str, Number], size: Number, cap: float) -> Floats:
    """`L = fixed + size u + regulator + claims + churn + damages`, money.

    `draws` holds one value per incident and component; `regulator_fine` is already 0 where no
    fine was given. A statutory cap bounds the fine and is never taken as its likely value.
    """
    once = draws["fixed"] + draws["churn"] + draws["damages"]
    by_record = draws["per_record"] + draws["claim_share"] * draws["claim_award"]
    return np.asarray(once + size * by_record + np.minimum(draws["regulator_fine"], cap))


def insured(losses: Floats, terms: Transfer) -> Floats:
    """What insurance pays of annual losses: `cover min((X - deductible)+, limit)`."""
    above = np.maximum(losses - terms.deductible.mean, 0.0)
    return terms.cover.mean * np.minimum(above, terms.limit.mean)


def expected_incident_loss(loss: Loss, exposed: Number) -> Floats:
    """`E[L]` by future, given how many records the model can give away."""
    sizes = np.sort(loss.incident_records.quantile((np.arange(4096) + 0.5) / 4096))
    limit = np.maximum(np.asarray(exposed, dtype=np.float64), 1.0)
    below = np.searchsorted(sizes, limit)
    sums = np.concatenate([[0.0], np.cumsum(sizes)])
    mean_size = (sums[below] + (len(sizes) - below) * limit) / len(sizes)
    fines = loss.regulator_fine.quantile((np.arange(4096) + 0.5) / 4096)
    draws = {name: getattr(loss, name).mean for name in _SEVERITIES}
    draws["regulator_fine"] = 0.0
    fine = loss.regulator_probability.mean * float(np.minimum(fines, loss.cap).mean())
    return incident_loss(draws, mean_size, loss.cap) + fine


@dataclass(frozen=True)
class Years:
    """One option's simulated losses.

    `gross` is `[years, futures]` of loss before insurance. By future `[futures]`: `leaks` and
    `rate`, the leaks and incidents expected a year, and `given`, the expected loss `E[X | future]`.
    """

    gross: Floats
    leaks: Floats
    rate: Floats
    given: Floats


def _frequencies(
    leaks: Sequence[Leak], exposure: Exposure, streams: Streams, futures: int
) -> list[tuple[Floats, Floats]]:
    """Leaks and incidents a year of every option, `[futures]` each, on shared exposure draws."""
    names = ("queries", "hit_share", "campaigns", "targets", "escalation")
    drawn = {n: streams.draw(getattr(exposure, n), futures, "exposure", n) for n in names}
    hit_share, escalation = (np.minimum(drawn[n], 1.0) for n in ("hit_share", "escalation"))
    found = []
    for leak in leaks:
        a_year = leaks_per_year(
            drawn["queries"],
            hit_share,
            leak.rate,
            leak.miss,
            drawn["campaigns"],
            drawn["targets"],
            leak.membership,
        )
        found.append((a_year, incidents_per_year(a_year, escalation, exposure.releases.mean)))
    return found


def simulate(
    leaks: Sequence[Leak],
    exposure: Exposure,
    loss: Loss,
    streams: Streams,
    futures: int,
    horizon: int,
) -> list[Years]:
    """Compound annual losses of every option in one run, `X = sum_{j <= K} L_j`, K Poisson.

    Every year holds one unit-rate Poisson process; an option sees the arrivals before its own
    incident rate. So an option with fewer incidents has a subset of the incidents of another, at
    the same severity draws. K is Poisson with the clustered mean: a count of at most one incident
    per release would have less spread, so the tail is not understated.
    """
    frequencies = _frequencies(leaks, exposure, streams, futures)
    rates = [rate for _, rate in frequencies]
    most = np.tile(np.max(rates, axis=0), horizon)
    gross = [np.zeros(futures * horizon) for _ in leaks]
    arrival = np.zeros(futures * horizon)
    for nth in count():
        arrival += streams.generator("arrival", nth).standard_exponential(len(arrival))
        alive = np.flatnonzero(arrival <= most)
        if not len(alive):
            break
        draws = {
            name: getattr(loss, name).quantile(
                streams.uniform(len(arrival), "loss", name, nth)[alive]
            )
            for name in _SEVERITIES
        }
        fined = streams.uniform(len(arrival), "fined", nth)[alive] < draws["regulator_probability"]
        draws["regulator_fine"] = draws["regulator_fine"] * fined
        draws["claim_share"] = np.minimum(draws["claim_share"], 1.0)
        future = alive % futures
        for leak, rate, total in zip(leaks, rates, gross, strict=True):
            size = np.minimum(draws["incident_records"], np.maximum(leak.exposed[future], 1.0))
            happened = arrival[alive] <= rate[future]
            total[alive] += np.where(happened, incident_loss(draws, size, loss.cap), 0.0)
    return [
        Years(
            gross=total.reshape(horizon, futures),
            leaks=a_year,
            rate=rate,
            given=rate * expected_incident_loss(loss, leak.exposed),
        )
        for leak, (a_year, rate), total in zip(leaks, frequencies, gross, strict=True)
    ]


def expected_losses(
    leaks: Sequence[Leak], exposure: Exposure, loss: Loss, streams: Streams, futures: int
) -> list[Floats]:
    """`E[X | future]` a year of every option, without simulating its years: `Years.given`."""
    frequencies = _frequencies(leaks, exposure, streams, futures)
    return [
        rate * expected_incident_loss(loss, leak.exposed)
        for leak, (_, rate) in zip(leaks, frequencies, strict=True)
    ]
