"""The subgraph of a language model: its texts, and by version its leakage, price and report.

A subject with a recipe has shadow models, too: the same assets as a classifier's.
"""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from memory_assets.config.language_model import LanguageModelSubject
from memory_assets.dagster.automation import on_change
from memory_assets.dagster.checks import language_controls
from memory_assets.dagster.components.concluding import began, control_list, how_it_got_here
from memory_assets.dagster.components.money_assets import money_assets
from memory_assets.dagster.components.pool_assets import (
    exposed_table,
    measurement_table,
    shadow_assets,
)
from memory_assets.dagster.components.subject_graph import SubjectGraph
from memory_assets.dagster.components.version_assets import (
    attack_scores_asset,
    attack_table,
    checkpoint_spec,
    inline_png,
    roi_report_asset,
    same_recipe,
    same_records,
    target_signals_asset,
    version_pool_asset,
)
from memory_assets.dagster.confirmations import AUDIT_ID
from memory_assets.dagster.failures import clear_failures
from memory_assets.dagster.markdown import as_text
from memory_assets.dagster.references import Reference
from memory_assets.history.bundle import AuditBundle
from memory_assets.records.prepared import PreparedTexts
from memory_assets.store.artifacts import ArtifactStore
from memory_assets.workflows import language as audit
from memory_assets.workflows import language_pool as pool
from memory_assets.workflows.home import Home
from memory_assets.workflows.pool_findings import read_records
from memory_assets.workflows.released import Released
from memory_assets.workflows.results import AttackResults
from memory_assets.workflows.version_recipes import VersionRecipe, recipe_of

Result = dg.MaterializeResult[Reference]
_SHOWN = 20


def _texts(graph: SubjectGraph[LanguageModelSubject]) -> dg.AssetsDefinition:
    @dg.asset(
        **graph.asset_arguments("texts", {"json"}, audit.texts_version(graph.subject)),
        deps=[graph.key("source")],
        description=(
            "The texts that the model was trained on, texts of the same kind that it never saw, "
            "and the secrets to ask it for."
        ),
    )
    def texts(home: dg.ResourceParam[Home]) -> Result:
        with clear_failures():
            made = audit.prepare_texts(graph.subject, graph.root, graph.store(home))
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


def _dataset(graph: SubjectGraph[LanguageModelSubject]) -> dg.AssetsDefinition:
    @dg.asset(
        **graph.asset_arguments("dataset", {"parquet"}, pool.pairs_version(graph.subject)),
        ins={"texts": dg.AssetIn(graph.key("texts"))},
        description=(
            "The audit set: random pairs of a text that the model was trained on and one that it "
            "never saw, near-copies left out."
        ),
    )
    def dataset(texts: Reference, home: dg.ResourceParam[Home]) -> Result:
        with clear_failures():
            made = audit.prepare_pairs(graph.subject, texts.path, graph.store(home))
        prepared = PreparedTexts.load(made.path)
        pairing = prepared.pairing
        return dg.MaterializeResult(
            value=Reference.to(made),
            data_version=dg.DataVersion(made.key),
            metadata={
                "dagster/row_count": len(prepared.texts),
                "pairs": len(pairing.pairs),
                "common texts": len(pairing.common),
                "held-out texts": len(pairing.held_out),
                "copies left out": pairing.dropped,
                "path": dg.MetadataValue.path(str(made.path)),
                "sha256": made.key,
            },
        )

    return dataset  # pyright: ignore[reportReturnType]


def _memorization(graph: SubjectGraph[LanguageModelSubject]) -> dg.AssetsDefinition:
    @dg.asset(
        **graph.asset_arguments(
            "memorization", {"parquet"}, pool.MEMORIZATION_STEP.code_version(), graph.behind_pool
        ),
        ins={name: dg.AssetIn(graph.key(name)) for name in ("dataset", "shadow_signals")},
        description=(
            "How many more tokens of each text a model guesses, and how much lower its loss is, "
            "for having trained on the text: counterfactual memorization."
        ),
    )
    def memorization(
        dataset: Reference, shadow_signals: Reference, home: dg.ResourceParam[Home]
    ) -> Result:
        prepared = PreparedTexts.load(dataset.path)
        with clear_failures():
            made = pool.text_memorization(prepared, shadow_signals.path, graph.store(home))
        records = read_records(made.path)
        return dg.MaterializeResult(
            value=Reference.to(made),
            data_version=dg.DataVersion(made.key),
            metadata={
                "dagster/row_count": len(records["record_id"]),
                "most exposed": dg.MetadataValue.md(exposed_table(records, "loss_gain")),
                "measurements": dg.MetadataValue.md(measurement_table(made.path)),
                "path": dg.MetadataValue.path(str(made.path)),
            },
        )

    return memorization  # pyright: ignore[reportReturnType]


_SHADOWS = ("dataset", "version_pool", "target_signals", "attack_scores", "memorization")


def _evidence(
    graph: SubjectGraph[LanguageModelSubject],
    recipe: VersionRecipe[LanguageModelSubject],
    version: str,
    given: Mapping[str, Reference],
    store: ArtifactStore,
) -> pool.ShadowEvidence | None:
    """What the shadow models that stand for a version left, where there are any."""
    if not given:
        return None
    signals = given["version_pool"]
    same_records(graph.subject, given["dataset"], signals, given["target_signals"])
    same_recipe(version, signals, recipe.key)
    prepared = PreparedTexts.load(given["dataset"].path)
    memorization = given["memorization"].path
    if recipe.has_own_pool:
        memorization = pool.text_memorization(prepared, signals.path, store).path
    return pool.ShadowEvidence(
        pool_digest=signals.facts["pool"],
        prepared=prepared,
        pool=signals.path,
        target=given["target_signals"].path,
        attacks=given["attack_scores"].path,
        memorization=memorization,
        withheld=recipe.withheld,
    )


def _leakage(graph: SubjectGraph[LanguageModelSubject]) -> dg.AssetsDefinition:
    @dg.asset(
        **graph.asset_arguments(
            "leakage",
            {"parquet", "huggingface"},
            audit.leakage_version(graph.subject),
            on_change(apart_from=[graph.key(name) for name in ("texts", "dataset")])
            if graph.subject.recipe
            else None,
        ),
        partitions_def=graph.versions,
        ins={
            name: dg.AssetIn(graph.key(name))
            for name in ("texts", *(_SHADOWS if graph.subject.recipe else ()))
        },
        deps=[graph.key("checkpoint")],
        pool="gpu",
        description=(
            "The audit of this version, whole: membership scores, what it recites of texts and "
            "secrets, the controls that make it valid, and the verdict."
        ),
    )
    def leakage(
        context: dg.AssetExecutionContext,
        texts: Reference,
        home: dg.ResourceParam[Home],
        released: dg.ResourceParam[Released],
        **shadows: Reference,
    ) -> Result:
        from memory_assets.reports.plots import roc_png

        version, store = context.partition_key, graph.store(home)
        versions = graph.released(released)
        started = began(context)
        with clear_failures():
            recipe = recipe_of(graph.subject, versions, version)
            evidence = _evidence(graph, recipe, version, shadows, store)
            found, weights = audit.language_findings(
                graph.subject, graph.root, texts.path, versions, version, store, context.log.info
            )
            made = audit.conclude_language(
                graph.subject,
                version,
                weights,
                texts.path,
                found.path,
                started,
                store,
                evidence,
            )
        bundle = AuditBundle.read(made.path)
        curves = AttackResults.load(found.path).curves
        more = {}
        if evidence is not None:
            curves += AttackResults.load(evidence.attacks).curves
            more = {"shadow_attacks": str(evidence.attacks)}
        notices = audit.read_notices(found.path)
        metadata: dict[str, Any] = {
            "verdict": bundle.audit.verdict,
            "reason": bundle.audit.reason,
            "attacks": dg.MetadataValue.md(attack_table(bundle.measurements)),
            "recited": dg.MetadataValue.md(measurement_table(made.path)),
            "controls": control_list(bundle.controls),
            "notices": dg.MetadataValue.md(
                "\n".join(f"- {as_text(line)}" for line in notices[:_SHOWN]) or "none"
            ),
            "notices in all": len(notices),
            "findings": dg.MetadataValue.path(str(found.path)),
            "measurements": len(bundle.measurements),
            "dagster/row_count": bundle.record_scores.num_rows,
            "path": dg.MetadataValue.path(str(made.path)),
            AUDIT_ID: bundle.audit.audit_id,
            "reused": made.reused,
            **how_it_got_here(bundle),
        }
        if curves:
            metadata["ROC"] = inline_png(roc_png(curves))
        return dg.MaterializeResult(
            value=Reference.to(made, attacks=str(found.path), **more),
            data_version=dg.DataVersion(made.key),
            metadata=metadata,
        )

    return leakage  # pyright: ignore[reportReturnType]


def language_assets(
    graph: SubjectGraph[LanguageModelSubject],
) -> list[dg.AssetsDefinition | dg.AssetSpec]:
    """texts, what shadow models add where there is a recipe; by version checkpoint, leakage, its
    price and roi_report."""
    shared: list[dg.AssetsDefinition] = []
    by_version: list[dg.AssetsDefinition] = []
    if graph.subject.recipe is not None:
        shared = [_dataset(graph), *shadow_assets(graph), _memorization(graph)]
        by_version = [
            version_pool_asset(graph),
            target_signals_asset(graph),
            attack_scores_asset(graph, pool="version_pool"),
        ]
    return [
        _texts(graph),
        *shared,
        checkpoint_spec(graph, {"huggingface", "safetensors"}),
        *by_version,
        _leakage(graph),
        *money_assets(graph),
        roi_report_asset(graph, language_controls(bool(shared))),
    ]
