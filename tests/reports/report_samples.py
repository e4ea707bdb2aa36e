"""Audits such as the reports are made for: 800 pairs, attacks a little better than chance."""

from __future__ import annotations

from datetime import UTC, date, datetime

import numpy as np
import pyarrow as pa
from scipy.stats import beta
from sklearn.metrics import roc_auc_score, roc_curve

from memory_assets.history.bundle import Audit, AuditBundle
from memory_assets.history.regressions import Regression
from memory_assets.reports.inputs import (
    TREND,
    AuditLine,
    Due,
    NotRun,
    PortfolioInput,
    ReportInput,
    RocCurve,
)
from memory_assets.results.estimate import Control, Estimate, Measurement
from memory_assets.results.findings import Finding, finding
from memory_assets.results.record_scores import RECORD_SCORES
from memory_assets.store.digest import digest
from memory_assets.validity.sensitivity import with_least_seen
from memory_assets.validity.verdict import Gate, decide

SHIFT = {
    "loss": 0.16,
    "calibrated_loss": 0.28,
    "lira_online": 0.42,
    "lira_online_fixed": 0.46,
    "lira_offline": 0.30,
    "rmia_offline": 0.40,
}


def rate(k: int, n: int) -> Estimate:
    low = float(beta.ppf(0.025, k, n - k + 1)) if k else 0.0
    high = float(beta.ppf(0.975, k + 1, n - k)) if k < n else 1.0
    return Estimate(k / n, low, high, n=n, k=k)


def measured(family: str, name: str, metric: str, unit: str, estimate: Estimate, stratum="all"):
    return Measurement(family, name, metric, unit, estimate, formula_version=1, stratum=stratum)


def attacks(n: int, strength: float, seed: int) -> tuple[list[Measurement], list[RocCurve]]:
    """Gaussian scores, a heavier tail for members: measurements and ROC curves of each attack."""
    rng = np.random.default_rng(seed)
    rows, curves = [], []
    for name, shift in SHIFT.items():
        out = rng.normal(size=n)
        strong = rng.random(n) < 0.05 * strength
        inside = rng.normal(shift * strength, 1, n) + 2.5 * strong
        y, scores = np.repeat([1, 0], n), np.concatenate([inside, out])
        auc = float(roc_auc_score(y, scores))
        half = 1.96 * 0.29 / np.sqrt(n / 2)
        area = Estimate(auc, auc - half, auc + half, n=2 * n)
        rows.append(measured("membership", name, "auc", "probability", area))
        balanced = Estimate(0.5 + 0.8 * (auc - 0.5), 0.5, 0.9, n=2 * n)
        rows.append(measured("membership", name, "balanced_accuracy", "probability", balanced))
        fpr, tpr, _ = roc_curve(y, scores, drop_intermediate=False)
        curves.append(RocCurve(name, fpr, tpr, n, n))
        for level in (0.1, 0.01, 0.001):
            metric = f"tpr_at_fpr_{level}"
            if 1 / n > level:
                estimate = Estimate.unresolvable(n)
            else:
                estimate = rate(round(float(tpr[fpr <= level].max()) * n), n)
            rows.append(measured("membership", name, metric, "probability", estimate))
        k = round(float(tpr[fpr <= 0.01].max()) * n * 0.9)
        for side, hits in (("tpr", k), ("fpr", 11)):
            metric = f"{side}_at_shadow_threshold_0.01"
            rows.append(measured("membership", name, metric, "probability", rate(hits, n)))
    return rows, curves


def record_scores(audit_id: str, n: int, strength: float, influence: bool, seed: int) -> pa.Table:
    rng = np.random.default_rng(seed)
    memorization = np.clip(rng.beta(0.25, 4 / strength, 2 * n) + rng.normal(0, 0.03, 2 * n), -1, 1)
    pays = 0.004 * rng.normal(size=2 * n) * (0.3 + memorization)
    width = 0.05 + 0.25 * np.sqrt(np.clip(memorization * (1 - memorization), 0, 1))
    rows = [
        {
            "audit_id": audit_id,
            "record_id": f"r{i:05d}",
            "member": i < n,
            "attack": attack,
            "score": float(rng.normal()),
            "memorization": float(memorization[i]),
            "memorization_low": float(max(memorization[i] - width[i], -1)),
            "memorization_high": float(min(memorization[i] + width[i], 1)),
            "influence": float(pays[i]) if influence else None,
        }
        for attack in ("loss", "lira_online")
        for i in range(2 * n)
    ]
    return pa.Table.from_pylist(rows, schema=RECORD_SCORES)


def _negative(passed: bool, auc: float) -> tuple[Finding, ...]:
    key, setting = "passed" if passed else "failed", finding("setting.permuted")
    ends = {"value": auc, "low": auc - 0.03, "high": auc + 0.03}
    return (finding(f"negative.{key}", attack="lira_online", setting=setting, **ends),)


def _positive(value: float, low: float, high: float) -> tuple[Finding, ...]:
    who = {"memorizer": finding("memorizer.made_up"), "attack": "loss"}
    return (finding("positive.passed", value=value, low=low, high=high, **who),)


def _blind(value: float, low: float, high: float) -> tuple[Finding, ...]:
    return (finding("blind.passed", value=value, low=low, high=high),)


def controls(passed: bool) -> tuple[Control, ...]:
    auc = 0.497 if passed else 0.561
    return (
        Control("negative", passed, auc, auc - 0.03, auc + 0.03, _negative(passed, auc)),
        Control("positive", True, 0.982, 0.971, 0.990, _positive(0.982, 0.971, 0.990)),
        Control("blind_baseline", True, 0.508, 0.479, 0.537, _blind(0.508, 0.479, 0.537)),
        Control("recipe_match", True, 0.412, None, None, (finding("recipe_match.no_pool"),)),
        Control("resolution", True, None, None, None, (finding("resolution.no_rate"),)),
    )


def others(strength: float) -> list[Measurement]:
    def around(value: float, half: float, status="ok") -> Estimate:
        return Estimate(value, value - half, value + half, n=800, status=status)

    share = "probability"
    rows = [
        measured("memorization", "feldman_zhang", "mean_memorization", share, around(0.031, 0.007)),
        measured("memorization", "feldman_zhang", "share_above_0.25", share, rate(37, 1600)),
        measured("memorization", "kinds", "share_pure_leakage", share, rate(21, 1600)),
        measured("memorization", "gain", "held_out_gain", share, around(0.0041, 0.0034)),
        measured("utility", "held_out", "accuracy", share, rate(765, 797)),
        measured("utility", "members", "accuracy", share, rate(800, 800)),
        measured("utility", "members", "generalization_gap", share, around(0.04, 0.02)),
    ]
    for name, channel, value in (("f_cmi", "label", 0.182), ("fano", "score", 0.021)):
        for metric, shown in (("information", value), ("information_null", 0.8 * value)):
            rows.append(measured("information", name, metric, "bits", around(shown, 0.02), channel))
    vacuous = Estimate(1.2, None, None, n=800, status="vacuous")
    rows.append(measured("information", "e_cmi", "bound", "nats", vacuous, "label"))
    for method, value in (("clopper_pearson", 0.31 * strength), ("one_run", 0.22 * strength)):
        for metric, shown in (
            ("lower_bound", Estimate(value, value, None, n=800)),
            ("ceiling", Estimate(5.37, 5.37, 5.37, n=800)),
        ):
            rows.append(measured("epsilon", "lira_online", f"{method}_{metric}", "nats", shown))
    for pair, k in (("lira_online & loss", 31), ("lira_online & rmia_offline", 70)):
        rows.append(measured("membership", pair, "jaccard_of_exposed", share, rate(k, 140)))
    return rows


def sample(
    verdict: str = "fail",
    version: str = "v2",
    *,
    n: int = 800,
    strength: float = 1.0,
    influence: bool = True,
    title: str = "Digits classifier",
    seed: int = 3,
) -> ReportInput:
    """One audit with all families, and three earlier versions in its trend."""
    rows, curves = attacks(n, strength, seed)
    rows += others(strength)
    limits = {"tpr_at_fpr_0.01": 0.02, "tpr_at_fpr_0.001": 0.01, "auc": 0.7}
    own = controls(verdict != "insufficient evidence")
    decision = decide(rows, own, Gate(limits))
    rows = with_least_seen(rows, 64)
    audit_id = digest("sample", version)
    audit = Audit(
        audit_id=audit_id,
        subject="digits",
        kind="classifier",
        model_version=version,
        model_digest=digest("model", version),
        data_digest=digest("data"),
        pool_digest=digest("pool"),
        config_digest=digest("config"),
        code_version="0.1.0",
        device="cpu",
        started_at=datetime(2026, 7, 20, 9, 0, tzinfo=UTC),
        finished_at=datetime(2026, 7, 20, 9, 2, tzinfo=UTC),
        verdict=verdict,  # type: ignore[arg-type]
        findings=decision.findings,
    )
    bundle = AuditBundle(
        audit,
        tuple(rows),
        own,
        record_scores(audit_id, n, strength, influence, seed),
        decision.results,
    )
    return ReportInput(
        bundle=bundle,
        curves=tuple(curves),
        trend=trend(n),
        title=title,
        description="Recognises handwritten digits; 1,797 images, a small neural network.",
        owner="team:privacy",
        gate=limits,
        not_run=(NotRun("quantile", "not_selected"), NotRun("label_only", "no_test")),
        artifacts={"attack scores": digest("signals")},
        next_audit=date(2026, 10, 18),
    )


def trend(n: int, subject: str = "digits") -> pa.Table:
    rows = []
    versions = (("v0.8", 1.9), ("v0.9", 1.4), ("v1", 1.7))
    for month, (version, strength) in enumerate(versions, start=1):
        measurements, _ = attacks(n, strength, seed=month)
        rows += [
            {
                "subject": subject,
                "model_version": version,
                "finished_at": datetime(2026, month, 5, tzinfo=UTC),
                "attack": m.name,
                "metric": m.metric,
                "value": m.estimate.value,
                "ci_low": m.estimate.ci_low,
                "ci_high": m.estimate.ci_high,
                "status": m.estimate.status,
            }
            for m in measurements
        ]
    return pa.Table.from_pylist(rows, schema=TREND)


def worse_in(before: list[dict], now: list[dict]) -> tuple[Regression, ...]:
    """What the history would call worse, of rows of one subject and version each."""
    old = {(row["attack"], row["metric"]): row for row in before}
    found = []
    for row in now:
        past = old.get((row["attack"], row["metric"]))
        if past is None or None in (row["ci_low"], past["ci_high"]):
            continue
        if row["ci_low"] <= past["ci_high"]:
            continue
        then, present = (
            Estimate(r["value"], r["ci_low"], r["ci_high"], n=800) for r in (past, row)
        )
        versions = {"subject": row["subject"], "version": row["model_version"]}
        found.append(
            Regression(
                row["attack"],
                "all",
                row["metric"],
                past["model_version"],
                then,
                present,
                **versions,
            )
        )
    return tuple(found)


def portfolio() -> PortfolioInput:
    """Three models that got worse; one of them fails, one is overdue."""
    found = sample("fail", strength=3.0)
    now = [
        {
            "subject": "digits",
            "model_version": "v2",
            "finished_at": found.bundle.audit.finished_at,
            "attack": m.name,
            "metric": m.metric,
            "value": m.estimate.value,
            "ci_low": m.estimate.ci_low,
            "ci_high": m.estimate.ci_high,
            "status": m.estimate.status,
        }
        for m in found.bundle.measurements
        if m.family == "membership"
    ]
    own = pa.Table.from_pylist(now, schema=TREND)
    tables = [trend(800), own, trend(800, "claims-triage"), trend(800, "churn")]
    audits = [
        AuditLine(subject, version, datetime(2026, month, 5, tzinfo=UTC), verdict)
        for subject, verdict in (("digits", "pass"), ("claims-triage", "pass"), ("churn", "pass"))
        for month, version in enumerate(("v0.8", "v0.9", "v1"), start=1)
    ]
    audits.append(
        AuditLine("digits", "v2", datetime(2026, 7, 20, tzinfo=UTC), "fail", "digits/v2/en.html")
    )
    last = datetime(2026, 3, 5, tzinfo=UTC)
    due = (
        Due("churn", last, datetime(2026, 6, 3, tzinfo=UTC)),
        Due("digits", datetime(2026, 7, 20, tzinfo=UTC), datetime(2026, 10, 18, tzinfo=UTC)),
    )
    old, _, *others = (table.to_pylist() for table in tables)
    worse = worse_in([row for row in old if row["model_version"] == "v1"], now)
    for rows in others:
        versions = ([row for row in rows if row["model_version"] == v] for v in ("v0.9", "v1"))
        worse += worse_in(*versions)
    return PortfolioInput(
        tuple(audits),
        pa.concat_tables(tables),
        due,
        as_of=datetime(2026, 7, 21, tzinfo=UTC),
        worse=worse,
    )
