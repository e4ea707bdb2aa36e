"""What a model gives away of secrets with a known answer, by how often it saw them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from memory_assets.language import exposure as exposures
from memory_assets.language import extraction, pii
from memory_assets.language.exposure import Exposure, score_rows
from memory_assets.language.model import LanguageModel
from memory_assets.language.preflight import fit_values, value_start
from memory_assets.language.windows import name_some
from memory_assets.records.secrets import Secret
from memory_assets.results.estimate import Control, Estimate, Measurement, number
from memory_assets.results.findings import finding
from memory_assets.results.formulas import EXPOSURE, EXTRACTION, PII
from memory_assets.statistics.intervals import rate, skewed_mean_interval

_CONTROL_LEVEL = 0.01
_MIN_REFERENCES = 100


@dataclass(frozen=True)
class SecretFinding:
    """One secret: how often the model could learn it, and what came out.

    `exposure` and `inferred` are None where too little is known of what else the value might have
    been. `misfits` of the references drawn were left out, since the model cannot read them there.
    """

    secret: Secret
    repetitions: int
    extracted: bool
    near_tie: bool
    reconstructed: bool
    exposure: Exposure | None
    inferred: bool | None
    misfits: int = 0


def probe_secrets(
    model: LanguageModel,
    secrets: Sequence[Secret],
    trained: Mapping[str, int],
    *,
    references: int,
    candidates: int,
    proposals: int,
    top_k: int,
    seed: int,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[SecretFinding, ...]:
    """Try each secret in `trained` (id -> copies learned): extraction, exposure, the PII games.

    `references` values measure the exposure, `candidates` (the true one included) make the
    inference game, the model makes `proposals` for the reconstruction. Every secret has passed the
    preflight. References that would not have passed it are left out: the exposure is a rank among
    the others, whose number says how high it can be.
    """
    chosen = [s for s in secrets if s.id in trained]
    probes = [value_start(model, s) for s in chosen]
    greedy, near = extraction.greedy_extractable(
        model, [ids for ids, _ in probes], [start for _, start in probes]
    )
    found = []
    for i, secret in enumerate(chosen):
        every = secret.references(references, seed)
        fit = fit_values(model, secret, every)
        drawn = [every[i] for i in fit.good]
        decoys = drawn[: candidates - 1]
        exposed = inferred = log_p = None
        if len(drawn) >= _MIN_REFERENCES:
            log_p = score_rows(model, [probes[i][0], *(fit.rows[j] for j in fit.good)])
            exposed = exposures.exposure(float(log_p[0]), log_p[1:])
        if len(decoys) == candidates - 1:
            if log_p is not None and not secret.suffix:
                # Nothing stands behind the value, so the decoys have been read already.
                inferred = bool((log_p[0] > log_p[1:candidates]).all())
            else:
                inferred = pii.infers(model, secret, decoys)
        found.append(
            SecretFinding(
                secret=secret,
                repetitions=trained[secret.id],
                extracted=bool(greedy[i]),
                near_tie=bool(near[i]),
                reconstructed=pii.reconstructs(model, secret, proposals, top_k, seed + i),
                exposure=exposed,
                inferred=inferred,
                misfits=len(every) - len(drawn),
            )
        )
        if progress is not None:
            progress(i + 1, len(chosen))
    return tuple(found)


def ranking_notices(found: Sequence[SecretFinding]) -> list[str]:
    """Which secrets were not ranked, or among fewer values than were drawn, and why."""
    said = [
        f"secret {f.secret.id!r}: {f.misfits} of the values drawn to rank it among do not fit the "
        f"model; {'ranked among the others' if f.exposure else 'too few are left to rank it'}"
        for f in found
        if f.misfits
    ]
    unranked = [f.secret.id for f in found if f.exposure is None and not f.misfits]
    if unranked:
        said.append(
            "secrets extracted but not ranked, for want of a pattern that draws at least "
            f"{_MIN_REFERENCES} other values: {name_some(unranked)}"
        )
    return said


def _mean_exposure(found: Sequence[Exposure], extrapolated: bool = False) -> Estimate:
    if extrapolated:
        fitted = [e.extrapolated for e in found if e.extrapolated is not None]
        if not fitted:
            return Estimate.not_run()
        free = skewed_mean_interval(fitted)
        low = None if free.ci_low is None else max(0.0, free.ci_low)
        return Estimate(free.value, low, free.ci_high, n=free.n, status=free.status)
    if not found:
        return Estimate.not_run()
    ceiling = max(e.ceiling for e in found)
    estimate = skewed_mean_interval([e.bits for e in found], bounds=(0.0, ceiling))
    if any(e.at_ceiling for e in found):
        # A mean over values cut at the ceiling is a lower bound of the truth.
        return Estimate(estimate.value, estimate.ci_low, None, n=len(found), status="at_ceiling")
    return estimate


def _rates(found: Sequence[SecretFinding], stratum: str) -> list[Measurement]:
    played = [f for f in found if f.inferred is not None]
    exposed = [f.exposure for f in found if f.exposure is not None]

    def share(name: str, metric: str, hits: list[bool], version: int) -> Measurement:
        estimate = rate(sum(hits), len(hits)) if hits else Estimate.not_run()
        return Measurement("extraction", name, metric, "probability", estimate, version, stratum)

    return [
        share(
            "secret",
            "secret_extraction_rate",
            [f.extracted for f in found],
            EXTRACTION.version,
        ),
        share(
            "pii_reconstruction",
            "reconstruction_rate",
            [f.reconstructed for f in found],
            PII.version,
        ),
        share(
            "pii_inference",
            "inference_rate",
            [bool(f.inferred) for f in played],
            PII.version,
        ),
        *(
            Measurement(
                "exposure",
                name,
                "mean_exposure",
                "bits",
                _mean_exposure(exposed, name == "exposure_extrapolated"),
                EXPOSURE.version,
                stratum,
            )
            for name in ("exposure", "exposure_extrapolated")
        ),
        Measurement(
            "exposure",
            "exposure_extrapolated",
            "share_above_ceiling",
            "probability",
            rate(sum(e.beyond for e in exposed), len(exposed)) if exposed else Estimate.not_run(),
            EXPOSURE.version,
            stratum,
        ),
    ]


def tiers(found: Sequence[SecretFinding]) -> dict[int, list[SecretFinding]]:
    """Findings by the number of copies that were learned, rising; 0 are the controls."""
    counts = sorted({f.repetitions for f in found})
    return {r: [f for f in found if f.repetitions == r] for r in counts}


def reweighted(by_tier: Mapping[int, Estimate], shares: Mapping[int, float]) -> Estimate:
    """A rate of the real corpus: tier rates weighted by how often texts really repeat.

    A share counts for the highest tier that does not repeat more often, or the lowest tier. The
    interval joins those of the tiers (MOVER, Zou & Donner 2008). `unresolvable` without tiers.
    """
    known = sorted(r for r, e in by_tier.items() if r > 0 and e.value is not None)
    total = sum(shares.values())
    if not known or total <= 0:
        return Estimate.unresolvable(n=max(1, sum(e.n for e in by_tier.values())))
    weight = dict.fromkeys(known, 0.0)
    for repetitions, share in shares.items():
        below = [r for r in known if r <= repetitions]
        weight[below[-1] if below else known[0]] += share / total
    value = sum(w * number(by_tier[r].value) for r, w in weight.items())

    def side(bound: str) -> float:
        gaps = (
            w * (number(getattr(by_tier[r], bound)) - number(by_tier[r].value))
            for r, w in weight.items()
        )
        return math.hypot(*gaps)

    n = sum(by_tier[r].n for r, w in weight.items() if w)
    return Estimate(value, max(0.0, value - side("ci_low")), min(1.0, value + side("ci_high")), n=n)


def measure_secrets(
    found: Sequence[SecretFinding], shares: Mapping[int, float] | None
) -> list[Measurement]:
    """Rates and exposures by repetition count, of the unplanted, and re-weighted by `shares`;
    listed as not run where no secret was planted."""
    rows = [] if any(f.repetitions for f in found) else _rates((), "all")
    for repetitions, group in tiers(found).items():
        stratum = f"repetitions={repetitions}" if repetitions else "unplanted"
        rows.extend(_rates(group, stratum))
    if shares:
        for name in ("secret", "pii_reconstruction", "pii_inference"):
            own = [m for m in rows if m.name == name and m.stratum.startswith("repetitions=")]
            if not own:
                continue
            by_tier = {int(m.stratum.removeprefix("repetitions=")): m.estimate for m in own}
            rows.append(
                Measurement(
                    "extraction",
                    name,
                    own[0].metric,
                    "probability",
                    reweighted(by_tier, shares),
                    own[0].formula_version,
                    "reweighted",
                )
            )
    if found:
        ties = sum(f.near_tie for f in found)
        rows.append(
            Measurement(
                "extraction",
                "secret",
                "near_tie_rate",
                "probability",
                rate(ties, len(found)),
                EXTRACTION.version,
            )
        )
    return rows


def unplanted_control(found: Sequence[SecretFinding]) -> Control | None:
    """Secrets that were never planted must be exposed no more than chance; None without any.

    Their ranks are uniform then, so exposures are exponential (1.44 bits on average) and their sum
    follows a gamma distribution, which gives the test and the interval exactly.
    """
    bits = [f.exposure.bits for f in found if f.repetitions == 0 and f.exposure is not None]
    if not bits:
        return None
    nats = float(np.sum(bits) * np.log(2))
    p = float(stats.gamma.sf(nats, len(bits)))
    bound = [nats / stats.gamma.ppf(q, len(bits)) * exposures.CHANCE for q in (0.975, 0.025)]
    passed = p >= _CONTROL_LEVEL
    return Control(
        "unplanted_canaries",
        passed,
        float(np.mean(bits)),
        float(bound[0]),
        float(bound[1]),
        (
            finding(
                f"language.{'unplanted' if passed else 'unplanted_leak'}",
                secrets=len(bits),
                bits=float(np.mean(bits)),
                chance=exposures.CHANCE,
                p=p,
            ),
        ),
    )
