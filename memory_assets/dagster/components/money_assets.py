"""What a version's leakage means in money: its price and the next audits, by model version."""

import dagster as dg

from memory_assets.config.priced import PricedSubject
from memory_assets.dagster.components.subject_graph import SubjectGraph
from memory_assets.dagster.confirmations import RISK_ID
from memory_assets.dagster.failures import clear_failures
from memory_assets.dagster.references import Reference
from memory_assets.dagster.sensors.comparison_audits import NAME as NEIGHBOURS
from memory_assets.dagster.sensors.comparison_audits import neighbours_specs
from memory_assets.history.bundle import AuditBundle
from memory_assets.store.digest import digest
from memory_assets.validity.scope import standing
from memory_assets.workflows.home import Home
from memory_assets.workflows.record import PRICING
from memory_assets.workflows.released import Released

Result = dg.MaterializeResult[Reference]
_HEADLINES = ("expected_loss", "retained_cvar95", "value", "npv", "npv_positive")
_COMPARED = (*_HEADLINES, "break_even_queries")


def _table(report) -> str:
    """The options as Markdown: a row an option, a column a headline, each with its interval."""
    lines = ["| option | measured | " + " | ".join(_COMPARED) + " |"]
    lines.append("|---" * (len(_COMPARED) + 2) + "|")
    for option in report.options:
        figures = dict(option.figures())
        cells = [_cell(figures[name]) for name in _COMPARED]
        audited = "yes" if option.measured else "declared"
        lines.append(f"| {option.name} | {audited} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(figure) -> str:
    if figure.value is None:
        return "-"
    ends = "" if figure.low is None else f" [{figure.low:,.4g}, {figure.high:,.4g}]"
    return f"{figure.value:,.4g}{ends} {figure.unit}"


def _rounds(plan) -> str:
    """The audits against leaks that arise later."""
    if plan.between is None:
        return "no regular audit pays"
    return f"{plan.between.probes} probes about every {12 * plan.between.years:.3g} months"


def _pricing_version(graph: SubjectGraph) -> str:
    """The formulas, and what the owner says of the price: another profile prices anew."""
    said = digest(graph.subject.model_dump(include=set(PricedSubject.model_fields)))
    return f"{PRICING.code_version()}.{said[:8]}"


def _beside(graph: SubjectGraph) -> list[str]:
    """What a price reads and no step hands over: the profile's files, and recorded audits."""
    files = ["profile"] if "profile" in graph.subject.brings else []
    return [*files, NEIGHBOURS] if graph.subject.priced else files


def _risk(graph: SubjectGraph) -> dg.AssetsDefinition:
    @dg.asset(
        **graph.asset_arguments("risk", {"numpy"}, _pricing_version(graph)),
        partitions_def=graph.versions,
        ins={"leakage": dg.AssetIn(graph.key("leakage"))},
        # An edited profile prices anew, and nothing else; so does an audit beside this one.
        deps=[graph.key(name) for name in _beside(graph)],
        description=(
            "The measured leakage through the owner's profile: what it may cost a year, what the "
            "model earns on unseen records, and what could be done, in one simulation."
        ),
    )
    def risk(
        context: dg.AssetExecutionContext,
        leakage: Reference,
        home: dg.ResourceParam[Home],
        released: dg.ResourceParam[Released],
    ) -> Result:
        from memory_assets.workflows import pricing

        bundle = AuditBundle.read(leakage.path)
        with clear_failures(), home.asked_together():
            made = pricing.price_version(
                graph.subject,
                graph.root,
                pricing.Audited(bundle.audit, standing(bundle.measurements, bundle.controls)),
                list(graph.released(released)),
                graph.store(home),
            )
        if made is None:
            why = "the subject names no profile, so nothing is priced"
            reference = Reference("risk", leakage.key, leakage.path, reused=True, facts={})
            return dg.MaterializeResult(
                value=reference,
                data_version=dg.DataVersion(f"unpriced:{leakage.key}"),
                metadata={"priced": False, "reason": why},
            )
        report = pricing.read_risk(made.path)
        context.log.info("%s: %s", made.key[:12], "reused" if made.reused else "priced")
        metadata = {
            "priced": report.priced,
            RISK_ID: made.key,
            "profile": graph.subject.profile_name,
            "path": dg.MetadataValue.path(str(made.path)),
        }
        if report.gate is None:
            metadata["reason"] = report.reason
        else:
            as_is = dict(report.options[0].figures())
            metadata |= {
                "decision": report.gate.choice,
                "why": " ".join(report.gate.reasons),
                "options": dg.MetadataValue.md(_table(report)),
                **{f"{name} (as it is)": _cell(as_is[name]) for name in _HEADLINES},
                "what matters most": ", ".join(swing.name for swing in report.tornado[:3]),
            }
        return dg.MaterializeResult(
            value=Reference.to(made, priced=report.priced),
            data_version=dg.DataVersion(made.key),
            metadata=metadata,
        )

    return risk  # pyright: ignore[reportReturnType]


def _audit_plan(graph: SubjectGraph) -> dg.AssetsDefinition:
    @dg.asset(
        **graph.asset_arguments("audit_plan", {"json"}, PRICING.code_version()),
        partitions_def=graph.versions,
        ins={"risk": dg.AssetIn(graph.key("risk"))},
        description=(
            "How deep the next audit should be and when: what better knowledge of the leakage "
            "would save, against what it costs. The history's calendar follows the earlier of "
            "this and the owner's cadence."
        ),
    )
    def audit_plan(risk: Reference) -> dg.MaterializeResult:
        from memory_assets.workflows.pricing import next_audit_days, read_risk

        report = read_risk(risk.path) if risk.facts.get("priced") else None
        days = next_audit_days(report, graph.subject.cadence_days)
        metadata: dict[str, dg.MetadataValue] = {
            "audit again within days": dg.MetadataValue.int(days)
        }
        if report and report.plan:
            plan = report.plan
            metadata |= {
                "probes that this audit ran": dg.MetadataValue.int(report.probes),
                "probes worth running at a release": dg.MetadataValue.int(plan.depth),
                "between releases": dg.MetadataValue.text(_rounds(plan)),
                "audits per release": dg.MetadataValue.float(plan.audits_per_release),
                "what is in force": dg.MetadataValue.text(
                    "The interval. The depth is advice, which the owner takes over in the YAML."
                ),
                "worth of knowing the leak rate exactly": dg.MetadataValue.text(
                    f"{plan.evpi:,.0f} {report.currency}"
                ),
                "best today": dg.MetadataValue.text(plan.best_today),
                "best if it leaks": dg.MetadataValue.text(plan.best_if_leaking),
                "why": dg.MetadataValue.text(plan.reason),
                "depths": dg.MetadataValue.md(
                    "| probes | worth | cost |\n|---|---|---|\n"
                    + "\n".join(
                        f"| {d.probes} | {d.evsi:,.0f} | {d.cost:,.0f} |" for d in plan.depths
                    )
                ),
            }
        return dg.MaterializeResult(
            data_version=dg.DataVersion(f"{risk.key}:{days}"), metadata=metadata
        )

    return audit_plan  # pyright: ignore[reportReturnType]


def money_assets(graph: SubjectGraph) -> list[dg.AssetsDefinition | dg.AssetSpec]:
    """risk and audit_plan, between `leakage` and `roi_report`, and what risk reads beside."""
    return [*neighbours_specs(graph), _risk(graph), _audit_plan(graph)]
