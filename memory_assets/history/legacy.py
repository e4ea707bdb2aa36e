"""Audits of older versions in the form of today.

Before findings were data an audit stored sentences, limits as measurements of a family `gate`, the
least leaks as rows of a family `power`, and rates inside the names of metrics. Histories are
converted once, when they are migrated; bundles and what lies between steps, when they are read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import pyarrow as pa

from memory_assets.history.legacy_sentences import findings_of
from memory_assets.results.estimate import Control, Measurement
from memory_assets.results.findings import Finding, singly
from memory_assets.results.gate_results import CLAIM, Direction, GateResult, Outcome
from memory_assets.results.metrics import find
from memory_assets.results.tables import (
    CONTROLS,
    controls_table,
    estimate_of,
    findings_table,
    gate_results_table,
    measurements_table,
)
from memory_assets.validity.scope import is_withheld
from memory_assets.validity.verdict import side_of

_OPTION = "option:"
_CLAIMS = {"claim.falsified": "fail", "claim.falsified_gaussian": "fail"}


def is_old(audits: pa.Schema) -> bool:
    """Whether a bundle, by the columns of its `audits`, was written before findings were data."""
    return "reason" in audits.names


def measurements_of(table: pa.Table) -> list[Measurement]:
    """Measurements of an older table, of whatever family."""
    return [
        Measurement(
            row["family"],
            row["name"],
            row["metric"],
            row["unit"],
            estimate_of(row),
            row["formula_version"],
            row["stratum"],
        )
        for row in table.to_pylist()
    ]


def controls_of(table: pa.Table) -> tuple[Control, ...]:
    """Controls of an older table, whose column `detail` holds sentences."""
    names = [name for name in CONTROLS.names if name != "audit_id"]
    return tuple(
        Control(**{n: row[n] for n in names}, findings=findings_of(row["detail"]))
        for row in table.to_pylist()
    )


def _with_least(measured: list[Measurement]) -> list[Measurement]:
    """Measurements with what rows of the family `power` say of them."""
    least: dict[tuple[str, str, str], dict[str, float | None]] = {}
    for m in measured:
        if m.family == "power":
            metric, _, shape = m.metric.partition(":")
            least.setdefault((m.name, m.stratum, metric), {})[f"least_{shape}"] = m.estimate.value
    rows = [m for m in measured if m.family not in ("power", "gate")]
    return [_beside(m, least.get((m.name, m.stratum, m.metric), {})) for m in rows]


def _beside(m: Measurement, least: dict[str, Any]) -> Measurement:
    return replace(m, **least) if least and m.family in ("membership", "extraction") else m


def gate_results_of(
    measured: Iterable[Measurement], controls: Iterable[Control], reason: tuple[Finding, ...]
) -> list[GateResult]:
    """The limits that rows of the family `gate` tell of, each with what became of it."""
    gate = [m for m in measured if m.family == "gate"]
    families = {(m.name, m.metric): m.family for m in measured if m.family not in ("gate", "power")}
    limits = {
        m.metric.removesuffix(":threshold"): m for m in gate if m.metric.endswith(":threshold")
    }
    beside = {m.metric: m.estimate.value for m in gate}
    told = {
        str(one.parameters["metric"]): one
        for one in singly(reason)
        if one.key.startswith("verdict.") and "metric" in one.parameters
    }
    results = []
    for metric, limit in limits.items():
        row = next((m for m in gate if m.metric == metric), None)
        row = None if row is None or row.estimate.status == "not_run" else row
        results.append(_limit(metric, limit, row, families, list(controls), beside, told))
    claims = [one for one in reason if one.key.startswith("claim.")]
    return results + [_claim(one) for one in claims]


def _limit(
    metric: str,
    limit: Measurement,
    row: Measurement | None,
    families: Mapping[tuple[str, str], str],
    controls: list[Control],
    beside: Mapping[str, float | None],
    told: Mapping[str, Finding],
) -> GateResult:
    most = limit.estimate.value or 0.0
    known = find(metric)
    at_least = known is not None and known.is_limit_from_below
    direction: Direction = "at least" if at_least else "at most"
    outcome: Outcome = "inconclusive" if row is None else side_of(metric, row.estimate, most)
    family = families.get((limit.name, metric), "")
    needed, least = (beside.get(f"{metric}:{what}") for what in ("records_needed", "detectable"))
    return GateResult(
        metric,
        most,
        direction,
        outcome,
        None if row is None else replace(row, family=family),
        None if needed is None else round(needed),
        (told[metric],) if metric in told else (),
        least,
        is_withheld(family, controls),
    )


def _claim(found: Finding) -> GateResult:
    claimed = found.parameters.get("claimed", 0.0)
    outcome: Any = _CLAIMS.get(found.key, "inconclusive")
    limit = float(claimed) if isinstance(claimed, int | float) else 0.0
    return GateResult(CLAIM, limit, "at most", outcome, None, None, (found,))


def tables(old: Mapping[str, pa.Table]) -> dict[str, pa.Table]:
    """The tables of an older bundle as today's version writes them."""
    audit = old["audits"].to_pylist()[0]
    measured = measurements_of(old["measurements"])
    controls = controls_of(old["controls"])
    return {
        **old,
        "audits": _audits(old["audits"]),
        **results(audit, measured, controls),
    }


def _audits(old: pa.Table) -> pa.Table:
    versions = old["model_version"].to_pylist()
    named = [v.removeprefix(_OPTION) if v.startswith(_OPTION) else None for v in versions]
    return old.drop_columns(["reason"]).append_column("mitigation", pa.array(named, pa.string()))


def results(
    audit: Mapping[str, Any], measured: list[Measurement], controls: tuple[Control, ...]
) -> dict[str, pa.Table]:
    """What is stored of an audit today beside its row and its records."""
    audit_id, reason = audit["audit_id"], findings_of(audit["reason"])
    limits = gate_results_of(measured, controls, reason)
    return {
        "measurements": measurements_table(_with_least(measured), audit_id),
        "controls": controls_table(controls, audit_id),
        "gate_results": gate_results_table(limits, audit_id),
        "findings": findings_table(controls, limits, audit["verdict"], reason, audit_id),
    }
