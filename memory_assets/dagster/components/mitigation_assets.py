"""Mitigated recipes of a subject: each with a pool and target of its own, audited beside it."""

import dagster as dg

from memory_assets.dagster.components.concluding import began
from memory_assets.dagster.components.pool_assets import pool_of
from memory_assets.dagster.components.subject_graph import SubjectGraph
from memory_assets.dagster.components.version_assets import same_records
from memory_assets.dagster.confirmations import AUDIT_ID
from memory_assets.dagster.failures import clear_failures
from memory_assets.dagster.references import Reference
from memory_assets.history.bundle import AuditBundle
from memory_assets.records.prepared import Prepared
from memory_assets.workflows import mitigations
from memory_assets.workflows import shadows as audit
from memory_assets.workflows.conclusion import Evidence, conclude
from memory_assets.workflows.home import Home

Result = dg.MaterializeResult[Reference]
OPTION_ASSETS = (
    "shadow_models",
    "shadow_signals",
    "memorization",
    "information",
    "target_signals",
    "leakage",
)


def _target_signals(graph: SubjectGraph) -> dg.AssetsDefinition:
    @dg.asset(
        **graph.asset_arguments(
            "target_signals",
            {"pytorch", "safetensors"},
            mitigations.target_version(graph.subject),
            graph.behind_pool,
        ),
        ins={"dataset": dg.AssetIn(graph.key("dataset"))},
        deps=[graph.key("shadow_signals")],
        pool="gpu",
        description="A model trained by this recipe on the owner's members, and what it answers.",
    )
    def target_signals(dataset: Reference, home: dg.ResourceParam[Home]) -> Result:
        prepared, store = Prepared.load(dataset.path), graph.store(home)
        with clear_failures():
            target = mitigations.option_target(graph.subject, graph.root, prepared, store)
            made, weights = mitigations.option_signals(
                graph.subject, graph.root, prepared, target.path, store
            )
        return dg.MaterializeResult(
            value=Reference.to(
                made,
                weights=weights,
                records=dataset.key,
                formulas=audit.answers_version(graph.subject),
            ),
            data_version=dg.DataVersion(made.key),
            metadata={
                "weights": dg.MetadataValue.path(str(target.path)),
                "weights sha256": weights,
                "path": dg.MetadataValue.path(str(made.path)),
            },
        )

    return target_signals  # pyright: ignore[reportReturnType]


def _leakage(graph: SubjectGraph) -> dg.AssetsDefinition:
    @dg.asset(
        **graph.asset_arguments(
            "leakage",
            {"parquet"},
            mitigations.leakage_version(graph.subject),
            graph.behind_pool,
        ),
        ins={
            name: dg.AssetIn(graph.key(name))
            for name in (
                "dataset",
                "shadow_signals",
                "target_signals",
                "memorization",
                "information",
            )
        },
        description=(
            "The audit of this recipe: leakage and quality on unseen records, to be held against "
            "those of the other options (memory-assets query compare-options)."
        ),
    )
    def leakage(
        context: dg.AssetExecutionContext,
        dataset: Reference,
        shadow_signals: Reference,
        target_signals: Reference,
        memorization: Reference,
        information: Reference,
        home: dg.ResourceParam[Home],
    ) -> Result:
        same_records(graph.subject, dataset, shadow_signals, target_signals)
        started = began(context)
        prepared, store = Prepared.load(dataset.path), graph.store(home)
        with clear_failures():
            scores = audit.attack_scores(
                graph.subject, prepared, shadow_signals.path, target_signals.path, store
            )
            evidence = Evidence(
                version=mitigations.option_version(graph.option),
                weights=target_signals.facts["weights"],
                pool_digest=shadow_signals.facts["pool"],
                prepared=prepared,
                pool=shadow_signals.path,
                target=target_signals.path,
                attacks=scores.path,
                memorization=memorization.path,
                information=information.path,
                started_at=started,
                path=None,
                trained_here=True,
                mitigation=graph.option,
            )
            made = conclude(graph.subject, evidence, store)
        bundle = AuditBundle.read(made.path)
        return dg.MaterializeResult(
            value=Reference.to(made, attacks=str(scores.path)),
            data_version=dg.DataVersion(made.key),
            metadata={
                "verdict": bundle.audit.verdict,
                "reason": bundle.audit.reason,
                "model version": bundle.audit.model_version,
                "measurements": len(bundle.measurements),
                "path": dg.MetadataValue.path(str(made.path)),
                AUDIT_ID: bundle.audit.audit_id,
                "reused": made.reused,
            },
        )

    return leakage  # pyright: ignore[reportReturnType]


def option_graphs(graph: SubjectGraph) -> list[SubjectGraph]:
    """One for every option of a subject, the unchanged recipe first."""
    return [graph.of_option(name) for name in mitigations.option_names(graph.subject)]


def option_assets(graph: SubjectGraph) -> list[dg.AssetsDefinition]:
    """The pool, the target and the audit of every option."""
    return [
        asset
        for option in option_graphs(graph)
        for asset in (*pool_of(option), _target_signals(option), _leakage(option))
    ]
