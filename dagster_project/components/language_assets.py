"""The subgraph of a language model: its texts, and by version its leakage, price and report."""

import time
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from dagster_project.checks import LANGUAGE_CONTROLS
from dagster_project.components.money_assets import money_assets
from dagster_project.components.options import SubjectGraph
from dagster_project.components.pool_assets import measurement_table
from dagster_project.components.version_assets import (
    attack_table,
    checkpoint_spec,
    how_it_got_here,
    inline_png,
    roi_report_asset,
)
from dagster_project.failures import clear_failures
from dagster_project.markdown import as_text
from dagster_project.references import Reference
from memory_assets.audits import language as audit
from memory_assets.audits.results import AttackResults
from memory_assets.history.bundle import AuditBundle
from memory_assets.language_subjects import LanguageModelSubject

Result = dg.MaterializeResult[Reference]
_SHOWN = 20


def _texts(graph: SubjectGraph[LanguageModelSubject]) -> dg.AssetsDefinition:
    @dg.asset(
        **graph.options("texts", {"json"}, audit.texts_version(graph.subject)),
        deps=[graph.key("source")],
        description=(
            "The texts that the model was trained on, texts of the same kind that it never saw, "
            "and the secrets to ask it for."
        ),
    )
    def texts() -> Result:
        with clear_failures():
            made = audit.prepare_texts(graph.subject, graph.root, graph.store)
        members, held_out = audit.read_texts(made.path)
        return dg.MaterializeResult(
            value=Reference.to(made),
            data_version=dg.DataVersion(made.key),
            metadata={
                "dagster/row_count": len(members),
                "held-out texts": len(held_out) if held_out else 0,
                "path": dg.MetadataValue.path(str(made.path)),
                "sha256": made.key,
                "dagster/column_schema": dg.TableSchema(
                    [
                        dg.TableColumn("id", "string", "name of the text"),
                        dg.TableColumn("text", "string", "what the model was trained on"),
                    ]
                ),
            },
        )

    return texts  # pyright: ignore[reportReturnType]


def _leakage(graph: SubjectGraph[LanguageModelSubject]) -> dg.AssetsDefinition:
    @dg.asset(
        **graph.options(
            "leakage", {"parquet", "huggingface"}, audit.leakage_version(graph.subject)
        ),
        partitions_def=graph.versions,
        ins={"texts": dg.AssetIn(graph.key("texts"))},
        deps=[graph.key("checkpoint")],
        pool="gpu",
        description=(
            "The audit of this version, whole: membership scores, what it recites of texts and "
            "secrets, the controls that make it valid, and the verdict."
        ),
    )
    def leakage(context: dg.AssetExecutionContext, texts: Reference) -> Result:
        from memory_assets.reports.plots import roc_png

        run = context.instance.get_run_record_by_id(context.run.run_id)
        began = run.start_time if run and run.start_time else time.time()
        version, store = context.partition_key, graph.store
        with clear_failures():
            found, weights = audit.language_findings(
                graph.subject, graph.root, texts.path, version, store, context.log.info
            )
            made = audit.conclude_language(
                graph.subject,
                version,
                weights,
                texts.path,
                found.path,
                datetime.fromtimestamp(began, UTC),
                store,
            )
        bundle, results = AuditBundle.read(made.path), AttackResults.load(found.path)
        notices = audit.read_notices(found.path)
        metadata: dict[str, Any] = {
            "verdict": bundle.audit.verdict,
            "reason": bundle.audit.reason,
            "attacks": dg.MetadataValue.md(attack_table(bundle.measurements)),
            "recited": dg.MetadataValue.md(measurement_table(made.path)),
            "controls": dg.MetadataValue.md(
                "\n".join(
                    f"- **{c.control}**: {'passed' if c.passed else 'FAILED'}. {as_text(c.detail)}"
                    for c in bundle.controls
                )
            ),
            "notices": dg.MetadataValue.md(
                "\n".join(f"- {as_text(line)}" for line in notices[:_SHOWN]) or "none"
            ),
            "notices in all": len(notices),
            "findings": dg.MetadataValue.path(str(found.path)),
            "measurements": len(bundle.measurements),
            "dagster/row_count": bundle.record_scores.num_rows,
            "path": dg.MetadataValue.path(str(made.path)),
            "audit id": bundle.audit.audit_id,
            "reused": made.reused,
            **how_it_got_here(bundle),
        }
        if results.curves:
            metadata["ROC"] = inline_png(roc_png(results.curves))
        return dg.MaterializeResult(
            value=Reference.to(made, attacks=str(found.path)),
            data_version=dg.DataVersion(made.key),
            metadata=metadata,
        )

    return leakage  # pyright: ignore[reportReturnType]


def language_assets(
    graph: SubjectGraph[LanguageModelSubject],
) -> list[dg.AssetsDefinition | dg.AssetSpec]:
    """source, texts; and by version checkpoint, leakage, its price and roi_report."""
    return [
        _texts(graph),
        checkpoint_spec(graph, {"huggingface", "safetensors"}),
        _leakage(graph),
        *money_assets(graph),
        roi_report_asset(graph, LANGUAGE_CONTROLS),
    ]
