"""The part of a subject that is made for every version: its signals, scores, leakage, report."""

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg

from memory_assets.config.classifier import PooledSubject
from memory_assets.dagster.automation import on_change
from memory_assets.dagster.checks import CONTROLS, check_results, check_specs
from memory_assets.dagster.components.columns import of_attack_scores, of_leakage
from memory_assets.dagster.components.concluding import began, control_list, how_it_got_here
from memory_assets.dagster.components.money_assets import money_assets
from memory_assets.dagster.components.subject_graph import SubjectGraph
from memory_assets.dagster.confirmations import AUDIT_ID
from memory_assets.dagster.failures import clear_failures
from memory_assets.dagster.pages import report_url
from memory_assets.dagster.references import Reference
from memory_assets.history.bundle import AuditBundle
from memory_assets.history.regressions import regressions_of
from memory_assets.records.prepared import Prepared
from memory_assets.results.estimate import Measurement
from memory_assets.workflows import shadows as audit
from memory_assets.workflows.conclusion import Evidence, conclude, conclusion_version
from memory_assets.workflows.home import Home
from memory_assets.workflows.released import Released
from memory_assets.workflows.reporting import pages_version, write_report
from memory_assets.workflows.results import AttackResults
from memory_assets.workflows.version_pool import own_findings, version_pool, version_pool_version
from memory_assets.workflows.version_recipes import recipe_of

Result = dg.MaterializeResult[Reference]


def _number(measurement: Measurement) -> str:
    """Value and interval as one cell; what could not be resolved says so."""
    e = measurement.estimate
    if e.value is None or e.ci_low is None or e.ci_high is None:
        return f"{e.status} (n = {e.n})"
    return f"{e.value:.4f} [{e.ci_low:.4f}, {e.ci_high:.4f}]"


def attack_table(measurements: tuple[Measurement, ...]) -> str:
    """The evidence as a Markdown table: a row an attack, a column a metric."""
    metrics = ("auc", "tpr_at_fpr_0.1", "tpr_at_fpr_0.01", "tpr_at_fpr_0.001")
    cells = {(m.name, m.metric): _number(m) for m in measurements if m.family == "membership"}
    names = dict.fromkeys(name for name, _ in cells)
    lines = ["| attack | " + " | ".join(metrics) + " |", "|---" * (len(metrics) + 1) + "|"]
    lines += [
        f"| {name} | " + " | ".join(cells.get((name, m), "") for m in metrics) + " |"
        for name in names
    ]
    return "\n".join(lines)


def inline_png(png: bytes) -> dg.MarkdownMetadataValue:
    return dg.MetadataValue.md(
        f"![ROC, log-log](data:image/png;base64,{base64.b64encode(png).decode()})"
    )


def checkpoint_spec(graph: SubjectGraph, kinds: set[str]) -> dg.AssetSpec:
    """The versions of a subject as what they are: made elsewhere."""
    return dg.AssetSpec(
        graph.key("checkpoint"),
        group_name=graph.subject.slug,
        owners=[graph.subject.owner],
        kinds=kinds,
        partitions_def=graph.versions,
        description=(
            f"The weights of each version, made elsewhere and found in "
            f"{graph.subject.checkpoints}. A new file there is a new version; other bytes under "
            "an old name are audited again; a file that was only touched is not."
        ),
        metadata=_where(graph),
    )


def _where(graph: SubjectGraph) -> dict[str, dg.MetadataValue]:
    found = graph.subject.checkpoints
    if isinstance(found, str):
        return {"folder": dg.MetadataValue.path(str(graph.root / found))}
    return {"registry": dg.MetadataValue.text(str(found))}


def target_signals_asset(graph: SubjectGraph[Any]) -> dg.AssetsDefinition:
    @dg.asset(
        **graph.asset_arguments(
            "target_signals",
            {"safetensors"},
            audit.target_version(graph.subject),
            graph.behind_pool,
        ),
        partitions_def=graph.versions,
        ins={"dataset": dg.AssetIn(graph.key("dataset"))},
        # The pool's signals are not read here. Asked after them, a version never meets a pool of
        # other records than its own.
        deps=[graph.key("checkpoint"), graph.key("shadow_signals")],
        pool="gpu",
        description="What this version answers about every record, in the form of a pool's row.",
    )
    def target_signals(
        context: dg.AssetExecutionContext,
        dataset: Reference,
        home: dg.ResourceParam[Home],
        released: dg.ResourceParam[Released],
    ) -> Result:
        prepared = audit.read_audit_set(graph.subject, dataset.path)
        with clear_failures():
            made, weights = audit.target_signals(
                graph.subject,
                graph.root,
                prepared,
                graph.released(released),
                context.partition_key,
                graph.store(home),
            )
        signals = audit.load_signals(made.path)
        return dg.MaterializeResult(
            value=Reference.to(
                made,
                weights=weights,
                records=dataset.key,
                formulas=audit.answers_version(graph.subject),
            ),
            data_version=dg.DataVersion(made.key),
            metadata={
                "shape (models, pairs, sides, queries)": " x ".join(
                    str(s) for s in signals.pairs.score.shape
                ),
                "accuracy on members": float(signals.pairs.correct[..., 0][signals.is_in].mean()),
                "accuracy on non-members": float(
                    signals.pairs.correct[..., 0][~signals.is_in].mean()
                ),
                "checkpoint sha256": weights,
                "path": dg.MetadataValue.path(str(made.path)),
            },
        )

    return target_signals  # pyright: ignore[reportReturnType]


def same_records(subject: PooledSubject, dataset: Reference, *signals: Reference) -> None:
    """Stop where records or formulas changed between two steps; automation runs them in order."""
    now = {"records": dataset.key, "formulas": audit.answers_version(subject)}
    if any(reference.facts.get(name) != now[name] for reference in signals for name in now):
        raise dg.Failure(
            "the records, or the formulas of what was asked of them, changed during this audit; "
            "materialize what is upstream first (a running daemon does so by itself)",
            allow_retries=False,
        )


def version_pool_asset(graph: SubjectGraph[Any]) -> dg.AssetsDefinition:
    @dg.asset(
        **graph.asset_arguments(
            "version_pool",
            {"pytorch", "safetensors"},
            version_pool_version(graph.subject),
            graph.behind_pool,
        ),
        partitions_def=graph.versions,
        ins={name: dg.AssetIn(graph.key(name)) for name in ("dataset", "shadow_signals")},
        deps=[graph.key("checkpoint")],
        pool="gpu",
        description=(
            "The shadow models that stand for this version: the subject's, or as many more, "
            "trained here, where its manifest or its owner says that its recipe was another."
        ),
    )
    def version_pool_(
        context: dg.AssetExecutionContext,
        dataset: Reference,
        shadow_signals: Reference,
        home: dg.ResourceParam[Home],
        released: dg.ResourceParam[Released],
    ) -> Result:
        same_records(graph.subject, dataset, shadow_signals)
        prepared = audit.read_audit_set(graph.subject, dataset.path)
        with clear_failures():
            found = version_pool(
                graph.subject,
                graph.root,
                prepared,
                graph.released(released),
                context.partition_key,
                graph.store(home),
                context.log.info,
            )
        epochs = found.recipe.epochs
        return dg.MaterializeResult(
            value=Reference.to(
                found.signals,
                pool=found.pool_digest,
                recipe=found.recipe.key,
                own=found.recipe.has_own_pool,
                records=dataset.key,
                formulas=audit.answers_version(graph.subject),
            ),
            data_version=dg.DataVersion(f"{found.signals.key}:{found.pool_digest}"),
            metadata={
                "recipe": found.recipe.whose,
                "models": found.recipe.subject.models,
                "epochs": "not trained by a recipe" if epochs is None else epochs,
                "blocks trained now": found.trained,
                "blocks reused": found.reused,
                "path": dg.MetadataValue.path(str(found.signals.path)),
            },
        )

    return version_pool_  # pyright: ignore[reportReturnType]


def same_recipe(version: str, pool: Reference, key: str) -> None:
    """Stop where a version's recipe changed after its pool was chosen."""
    if pool.facts.get("recipe") != key:
        raise dg.Failure(
            f"{version}: its recipe changed during this audit; materialize version_pool first (a "
            "running daemon does so by itself)",
            allow_retries=False,
        )


def attack_scores_asset(
    graph: SubjectGraph[Any], pool: str = "shadow_signals"
) -> dg.AssetsDefinition:
    """The attacks on a version, `pool` being the asset that has its shadow models' answers."""

    @dg.asset(
        **graph.asset_arguments(
            "attack_scores", {"parquet"}, audit.scores_version(graph.subject), graph.behind_pool
        ),
        partitions_def=graph.versions,
        ins={
            "dataset": dg.AssetIn(graph.key("dataset")),
            "shadows": dg.AssetIn(graph.key(pool)),
            "target_signals": dg.AssetIn(graph.key("target_signals")),
        },
        description=(
            "How surely each attack tells members from non-members, record by record, with ROC, "
            "true positive rates at low false positive rates, and their intervals."
        ),
    )
    def attack_scores(
        dataset: Reference,
        shadows: Reference,
        target_signals: Reference,
        home: dg.ResourceParam[Home],
    ) -> Result:
        from memory_assets.reports.plots import roc_png

        same_records(graph.subject, dataset, shadows, target_signals)
        prepared = audit.read_audit_set(graph.subject, dataset.path)
        with clear_failures():
            made = audit.attack_scores(
                graph.subject, prepared, shadows.path, target_signals.path, graph.store(home)
            )
        results = AttackResults.load(made.path)
        return dg.MaterializeResult(
            value=Reference.to(made),
            data_version=dg.DataVersion(made.key),
            metadata={
                "dagster/row_count": results.scores.num_rows,
                "attacks": dg.MetadataValue.md(attack_table(results.measurements)),
                "ROC": inline_png(roc_png(results.curves)),
                "path": dg.MetadataValue.path(str(made.path)),
                **of_attack_scores(graph),
            },
        )

    return attack_scores  # pyright: ignore[reportReturnType]


def _leakage(graph: SubjectGraph) -> dg.AssetsDefinition:
    @dg.asset(
        **graph.asset_arguments(
            "leakage",
            {"parquet"},
            conclusion_version(graph.subject),
            graph.behind_pool,
        ),
        partitions_def=graph.versions,
        ins={
            name: dg.AssetIn(graph.key(name))
            for name in (
                "dataset",
                "version_pool",
                "target_signals",
                "attack_scores",
                "memorization",
                "information",
            )
        },
        description=(
            "The audit of this version, whole: every measurement with its interval, the controls "
            "that make it valid, the verdict, and each record's exposure."
        ),
    )
    def leakage(
        context: dg.AssetExecutionContext,
        dataset: Reference,
        version_pool: Reference,
        target_signals: Reference,
        attack_scores: Reference,
        memorization: Reference,
        information: Reference,
        home: dg.ResourceParam[Home],
        released: dg.ResourceParam[Released],
    ) -> Result:
        same_records(graph.subject, dataset, version_pool, target_signals)
        version, prepared = context.partition_key, Prepared.load(dataset.path)
        versions, store = graph.released(released), graph.store(home)
        with clear_failures():
            recipe = recipe_of(graph.subject, versions, version)
            same_recipe(version, version_pool, recipe.key)
            found = memorization.path, information.path
            if recipe.has_own_pool:
                found = own_findings(prepared, version_pool.path, store)
            evidence = Evidence(
                version=version,
                weights=target_signals.facts["weights"],
                pool_digest=version_pool.facts["pool"],
                prepared=prepared,
                pool=version_pool.path,
                target=target_signals.path,
                attacks=attack_scores.path,
                memorization=found[0],
                information=found[1],
                started_at=began(context),
                path=versions.get(version),
                withheld=recipe.withheld,
            )
            made = conclude(recipe.subject, evidence, store)
        bundle = AuditBundle.read(made.path)
        return dg.MaterializeResult(
            value=Reference.to(made, attacks=str(attack_scores.path)),
            data_version=dg.DataVersion(made.key),
            metadata={
                "verdict": bundle.audit.verdict,
                "reason": bundle.audit.reason,
                "measurements": len(bundle.measurements),
                "controls": control_list(bundle.controls),
                "dagster/row_count": bundle.record_scores.num_rows,
                **of_leakage(graph),
                "path": dg.MetadataValue.path(str(made.path)),
                AUDIT_ID: bundle.audit.audit_id,
                "reused": made.reused,
                **how_it_got_here(bundle),
            },
        )

    return leakage  # pyright: ignore[reportReturnType]


def roi_report_asset(
    graph: SubjectGraph, controls: Mapping[str, str] = CONTROLS
) -> dg.AssetsDefinition:
    """The report of a version of any kind, with a check for each of its `controls`."""

    @dg.asset(
        **graph.asset_arguments(
            "roi_report", {"html"}, pages_version(), on_change(apart_from=[graph.key("leakage")])
        ),
        partitions_def=graph.versions,
        ins={name: dg.AssetIn(graph.key(name)) for name in ("leakage", "risk")},
        check_specs=check_specs(graph.key("roi_report"), graph.versions, controls),
        description=(
            "One self-contained page on this version for the people who decide. Its checks say "
            "whether the version may go on: hang a deployment below this asset."
        ),
    )
    def roi_report(
        leakage: Reference,
        risk: Reference,
        home: dg.ResourceParam[Home],
        released: dg.ResourceParam[Released],
    ) -> dg.MaterializeResult:
        bundle = AuditBundle.read(leakage.path)
        with clear_failures():
            known = (leakage.facts.get(name) for name in ("attacks", "shadow_attacks"))
            attacks = [Path(folder) for folder in known if folder]
            priced = risk.path if risk.key != leakage.key else None
            store, order = graph.store(home), list(graph.released(released))
            with home.asked_together():
                pages = write_report(graph.subject, store, bundle, attacks, priced, graph.root)
                worse = regressions_of(home.root, bundle, order)
        return dg.MaterializeResult(
            data_version=dg.DataVersion(f"{leakage.key}:{risk.key}"),
            check_results=check_results(bundle, graph.key("roi_report"), worse, controls),
            metadata={
                "verdict": bundle.audit.verdict,
                "reason": bundle.audit.reason,
                **{
                    f"report ({lang})": dg.MetadataValue.url(report_url(path, home.reports))
                    for lang, path in pages.items()
                },
                "folder": dg.MetadataValue.path(str(next(iter(pages.values())).parent)),
            },
        )

    return roi_report  # pyright: ignore[reportReturnType]


def version_assets(graph: SubjectGraph) -> list[dg.AssetsDefinition | dg.AssetSpec]:
    """checkpoint, version_pool, target_signals, attack_scores, leakage, its price and roi_report,
    by version."""
    return [
        checkpoint_spec(graph, {"pytorch", "safetensors"}),
        version_pool_asset(graph),
        target_signals_asset(graph),
        attack_scores_asset(graph, pool="version_pool"),
        _leakage(graph),
        *money_assets(graph),
        roi_report_asset(graph),
    ]
