"""Results as rows: measurements, controls, limits and findings as Arrow tables, and back."""

# pyarrow ships no types.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownParameterType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownLambdaType=false
from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

import pyarrow as pa

from memory_assets.results.estimate import Control, Estimate, Measurement
from memory_assets.results.findings import Finding
from memory_assets.results.gate_results import GateResult
from memory_assets.results.metrics import joined, split

_ESTIMATE = [
    ("value", pa.float64()),
    ("ci_low", pa.float64()),
    ("ci_high", pa.float64()),
    ("k", pa.int64()),
    ("n", pa.int64()),
    ("status", pa.string()),
]
MEASUREMENTS = pa.schema(
    [
        ("audit_id", pa.string()),
        ("family", pa.string()),
        ("attack", pa.string()),
        ("population", pa.string()),
        ("metric", pa.string()),
        ("threshold", pa.float64()),
        ("unit", pa.string()),
        *_ESTIMATE,
        ("least_few", pa.float64()),
        ("least_spread", pa.float64()),
        ("formula_version", pa.int32()),
    ]
)
CONTROLS = pa.schema(
    [
        ("audit_id", pa.string()),
        ("control", pa.string()),
        ("value", pa.float64()),
        ("ci_low", pa.float64()),
        ("ci_high", pa.float64()),
        ("passed", pa.bool_()),
    ]
)
GATE_RESULTS = pa.schema(
    [
        ("audit_id", pa.string()),
        ("metric", pa.string()),
        ("threshold", pa.float64()),
        ("direction", pa.string()),
        ("limit_value", pa.float64()),
        ("outcome", pa.string()),
        ("withheld", pa.bool_()),
        ("family", pa.string()),
        ("attack", pa.string()),
        ("population", pa.string()),
        ("unit", pa.string()),
        *_ESTIMATE,
        ("records_needed", pa.int64()),
        ("detectable", pa.float64()),
        ("formula_version", pa.int32()),
    ]
)
FINDINGS = pa.schema(
    [
        ("audit_id", pa.string()),
        ("about", pa.string()),
        ("name", pa.string()),
        ("position", pa.int32()),
        ("severity", pa.string()),
        ("key", pa.string()),
        ("parameters", pa.string()),
    ]
)
_SEVERITY = {"pass": "info", "fail": "error", "insufficient evidence": "error"}

VERDICT = "verdict"
"""What the findings of an audit as a whole are about; they have no name."""

Said = Mapping[tuple[str, str], tuple[Finding, ...]]
"""Findings by what they are about and its name: `("control", "blind_baseline")`."""


def estimate_of(row: Mapping[str, Any]) -> Estimate:
    return Estimate(**{f.name: row[f.name] for f in fields(Estimate)})


def measurements_table(measurements: Iterable[Measurement], audit_id: str = "") -> pa.Table:
    """Measurements as rows; a rate in the name of a metric is the column `threshold`."""
    rows = []
    for m in measurements:
        metric, threshold = split(m.metric)
        named = {"attack": m.name, "population": m.stratum}
        row = {"audit_id": audit_id, **asdict(m), **asdict(m.estimate), **named}
        rows.append(row | {"metric": metric, "threshold": threshold})
    return pa.Table.from_pylist(rows, schema=MEASUREMENTS)


def measurements_from(table: pa.Table) -> tuple[Measurement, ...]:
    """The measurements of a table, equal to those it was made from."""
    return tuple(
        Measurement(
            family=row["family"],
            name=row["attack"],
            metric=joined(row["metric"], row["threshold"]),
            unit=row["unit"],
            estimate=estimate_of(row),
            formula_version=row["formula_version"],
            stratum=row["population"],
            least_few=row["least_few"],
            least_spread=row["least_spread"],
        )
        for row in table.to_pylist()
    )


def controls_table(controls: Iterable[Control], audit_id: str = "") -> pa.Table:
    """Controls as rows; their findings go into a table of their own."""
    rows = [{"audit_id": audit_id, **vars(control)} for control in controls]
    rows = [{name: row[name] for name in CONTROLS.names} for row in rows]
    return pa.Table.from_pylist(rows, schema=CONTROLS)


def controls_from(table: pa.Table, said: Said) -> tuple[Control, ...]:
    """The controls of a table with their findings, equal to those it was made from."""
    names = [f.name for f in fields(Control) if f.name != "findings"]
    return tuple(
        Control(**{n: row[n] for n in names}, findings=said.get(("control", row["control"]), ()))
        for row in table.to_pylist()
    )


def gate_results_table(results: Iterable[GateResult], audit_id: str = "") -> pa.Table:
    """What became of each limit, as rows; columns of the row that decided are null without one."""
    rows = []
    for r in results:
        metric, threshold = split(r.metric)
        own = {} if r.row is None else {**vars(r.row), **asdict(r.row.estimate)}
        if r.row is not None:
            own |= {"attack": r.row.name, "population": r.row.stratum}
        rows.append(
            {name: own.get(name) for name in GATE_RESULTS.names}
            | {"audit_id": audit_id, "metric": metric, "threshold": threshold}
            | {"direction": r.direction, "limit_value": r.limit, "outcome": r.outcome}
            | {"withheld": r.withheld, "records_needed": r.records_needed}
            | {"detectable": r.detectable}
        )
    return pa.Table.from_pylist(rows, schema=GATE_RESULTS)


def gate_results_from(table: pa.Table, said: Said) -> tuple[GateResult, ...]:
    """The limits of a table with their findings, equal to those it was made from."""
    found = []
    for row in table.to_pylist():
        metric = joined(row["metric"], row["threshold"])
        measured = None
        if row["attack"] is not None:
            measured = Measurement(
                family=row["family"],
                name=row["attack"],
                metric=metric,
                unit=row["unit"],
                estimate=estimate_of(row),
                formula_version=row["formula_version"],
                stratum=row["population"],
            )
        found.append(
            GateResult(
                metric,
                row["limit_value"],
                row["direction"],
                row["outcome"],
                measured,
                row["records_needed"],
                said.get(("limit", metric), ()),
                row["detectable"],
                row["withheld"],
            )
        )
    return tuple(found)


def findings_table(
    controls: Iterable[Control],
    results: Iterable[GateResult] = (),
    verdict: str = "",
    why: Sequence[Finding] = (),
    audit_id: str = "",
) -> pa.Table:
    """All that was found about a verdict, the controls and the limits, as rows.

    How severe a finding is follows from the outcome of what it is about.
    """
    said = [(VERDICT, "", verdict, why)]
    said += [("control", c.control, "pass" if c.passed else "fail", c.findings) for c in controls]
    said += [("limit", r.metric, r.outcome, r.findings) for r in results]
    rows = [
        {
            "audit_id": audit_id,
            "about": about,
            "name": name,
            "position": position,
            "severity": _SEVERITY.get(outcome, "warning"),
            "key": one.key,
            "parameters": one.as_json(),
        }
        for about, name, outcome, found in said
        for position, one in enumerate(found)
    ]
    return pa.Table.from_pylist(rows, schema=FINDINGS)


def findings_from(table: pa.Table) -> dict[tuple[str, str], tuple[Finding, ...]]:
    """Findings in their order, by what they are about and its name."""
    found: dict[tuple[str, str], tuple[Finding, ...]] = {}
    for row in sorted(table.to_pylist(), key=lambda row: row["position"]):
        at = (row["about"], row["name"])
        found[at] = (*found.get(at, ()), Finding.from_json(row["key"], row["parameters"]))
    return found
