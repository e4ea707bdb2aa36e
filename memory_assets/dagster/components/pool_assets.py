"""The part of a subject that does not depend on the audited weights: records and pool."""

from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np

from memory_assets.config.classifier import ClassifierSubject, PooledSubject
from memory_assets.config.language_model import LanguageModelSubject
from memory_assets.dagster.automation import on_change
from memory_assets.dagster.components.columns import of_memorization
from memory_assets.dagster.components.subject_graph import SubjectGraph
from memory_assets.dagster.executors import cores
from memory_assets.dagster.failures import clear_failures
from memory_assets.dagster.markdown import as_text
from memory_assets.dagster.pipes import pipes_session
from memory_assets.dagster.references import Reference
from memory_assets.records.prepared import Prepared
from memory_assets.workflows import classifier
from memory_assets.workflows import pool_findings as findings
from memory_assets.workflows import shadows as audit
from memory_assets.workflows.home import Home
from memory_assets.workflows.training_context import Means

NOTICES = "notices"
"""The metadata of a data set under which it says what was taken or left out by a rule."""

Result = dg.MaterializeResult[Reference]


def _dataset(graph: SubjectGraph) -> dg.AssetsDefinition:
    @dg.asset(
        **graph.asset_arguments(
            "dataset", {"numpy", "parquet"}, classifier.records_version(graph.subject)
        ),
        deps=[graph.key("source")],
        description=(
            "The records, who the model was trained on, and the audit set: random pairs of one "
            "member and one non-member, exact copies left out."
        ),
    )
    def dataset(home: dg.ResourceParam[Home]) -> Result:
        with clear_failures():
            read = classifier.read_records(graph.subject, graph.root, graph.store(home))
            made = read.artifact
        prepared = Prepared.load(made.path)
        pairing = prepared.pairing
        return dg.MaterializeResult(
            value=Reference.to(made),
            data_version=dg.DataVersion(made.key),
            metadata={
                "dagster/row_count": len(prepared.data),
                "shape": " x ".join(str(s) for s in prepared.data.x.shape),
                "classes": prepared.data.classes,
                "members": int(prepared.members.sum()),
                "pairs": len(pairing.pairs),
                "common records": len(pairing.common),
                "held-out records": len(pairing.held_out),
                "copies left out": pairing.dropped,
                NOTICES: dg.MetadataValue.json(list(read.notices)),
                "source": prepared.data.source,
                "path": dg.MetadataValue.path(str(made.path)),
                "sha256": prepared.data.digest,
                "dagster/column_schema": dg.TableSchema(
                    [
                        dg.TableColumn("id", "string", "name of the record"),
                        dg.TableColumn("label", "int", "class"),
                        dg.TableColumn("member", "bool", "was the model trained on it"),
                        dg.TableColumn("part", "string", "pair, common, held out or dropped"),
                        dg.TableColumn("pair", "int", "number of its pair, else -1"),
                        dg.TableColumn("side", "int", "its side of the pair, else -1"),
                    ]
                ),
            },
        )

    return dataset  # pyright: ignore[reportReturnType]


def _shadow_models(graph: SubjectGraph[Any]) -> dg.AssetsDefinition:
    slug = graph.slug

    @dg.op(
        name=f"{slug}__plan_blocks",
        ins={"recipe": dg.In(dg.Nothing)},
        out=dg.DynamicOut(io_manager_key="io_manager"),
    )
    def plan_blocks(dataset: Reference, home: dg.ResourceParam[Home]):
        with clear_failures():
            prepared = audit.read_audit_set(graph.subject, dataset.path)
            plan = audit.plan_pool(graph.subject, graph.root, prepared)
        for number, key in enumerate(plan.keys):
            path = graph.store(home).path(audit.BLOCK_KIND, key, audit.TENSORS)
            facts = {"number": number, "dataset": str(dataset.path)}
            planned = Reference(audit.BLOCK_KIND, key, path, reused=False, facts=facts)
            yield dg.DynamicOutput(planned, mapping_key=f"block_{number:03d}")

    @dg.op(
        name=f"{slug}__train_block",
        pool="gpu",
        retry_policy=dg.RetryPolicy(max_retries=2, delay=1, backoff=dg.Backoff.EXPONENTIAL),
    )
    def train_block(
        context: dg.OpExecutionContext, block: Reference, home: dg.ResourceParam[Home]
    ) -> dg.Output[Reference]:
        number = block.facts["number"]
        dataset = audit.read_audit_set(graph.subject, Path(block.facts["dataset"]))
        means = Means(pipes_session(context), cores())
        with clear_failures():
            store = graph.store(home)
            made = audit.train_block(graph.subject, graph.root, dataset, number, store, means)
        context.log.info("block %d: %s", number, "reused" if made.reused else "trained")
        # A step that opened a Pipes session may return nothing less.
        return dg.Output(Reference.to(made, number=number))

    @dg.op(name=f"{slug}__gather_pool")
    def gather_pool(
        dataset: Reference, blocks: list[Reference], home: dg.ResourceParam[Home]
    ) -> dg.Output[Reference]:
        prepared = audit.read_audit_set(graph.subject, dataset.path)
        planned = audit.plan_pool(graph.subject, graph.root, prepared)
        plan = audit.as_trained(planned, graph.store(home))
        reused = sum(block.reused for block in blocks)
        folder = graph.store(home).path(audit.BLOCK_KIND, "")
        reference = Reference("pool", plan.key, folder, reused == len(blocks), facts={})
        return dg.Output(
            reference,
            data_version=dg.DataVersion(plan.key),
            metadata={
                "models": graph.subject.models,
                "models without an answer": len(plan.silent),
                "blocks": len(blocks),
                "blocks trained now": len(blocks) - reused,
                "blocks reused": reused,
                "brought as": graph.subject.way,
                graph.subject.way: dg.MetadataValue.json(
                    graph.subject.model_dump(include={graph.subject.way})
                ),
                "device": audit.computed_on(graph.subject),
                "path": dg.MetadataValue.path(str(reference.path)),
            },
        )

    @dg.graph_asset(
        **graph.asset_arguments(
            "shadow_models",
            {"pytorch"},
            audit.pool_version(graph.subject),
            # Records that come out the same do not touch the pool.
            on_change(together=False),
        ),
        ins={
            "dataset": dg.AssetIn(graph.key("dataset")),
            "recipe": dg.AssetIn(graph.key("recipe"), dagster_type=dg.Nothing),
        },
        description=(
            "The pool: models trained by the same recipe, each on one side of every pair, so that "
            "every record is known to half of them. Trained in blocks, found again by digest."
        ),
    )
    def shadow_models(dataset: Reference, recipe):
        return gather_pool(dataset, plan_blocks(dataset, recipe).map(train_block).collect())

    return shadow_models


_ANSWERED: dict[type[PooledSubject], str] = {
    ClassifierSubject: "logit margin, probability and loss of the true label, predicted label",
    LanguageModelSubject: "mean log-likelihood of its tokens, share of those that it would choose",
}


def _shadow_signals(graph: SubjectGraph[Any]) -> dg.AssetsDefinition:
    @dg.asset(
        **graph.asset_arguments(
            "shadow_signals", {"safetensors"}, audit.SIGNALS_STEP.code_version(), graph.behind_pool
        ),
        ins={
            "dataset": dg.AssetIn(graph.key("dataset")),
            "shadow_models": dg.AssetIn(graph.key("shadow_models")),
        },
        description=(
            "What every shadow model answers about every record: "
            f"{_ANSWERED[type(graph.subject)]}. Computed once; every attack reads these."
        ),
    )
    def shadow_signals(
        dataset: Reference, shadow_models: Reference, home: dg.ResourceParam[Home]
    ) -> Result:
        prepared = audit.read_audit_set(graph.subject, dataset.path)
        with clear_failures():
            made = audit.shadow_signals(graph.subject, graph.root, prepared, graph.store(home))
        signals = audit.load_signals(made.path)
        own = signals.pairs.correct[..., 0][signals.is_in]
        return dg.MaterializeResult(
            value=Reference.to(
                made,
                pool=shadow_models.key,
                records=dataset.key,
                formulas=audit.answers_version(graph.subject),
            ),
            data_version=dg.DataVersion(made.key),
            metadata={
                "shape (models, pairs, sides, queries)": " x ".join(
                    str(s) for s in signals.pairs.score.shape
                ),
                "held-out accuracy": float(signals.held_out.correct.mean())
                if signals.held_out.correct.size
                else "no held-out records, or no shadow models",
                "accuracy on records trained on": float(own.mean())
                if own.size
                else "no shadow models",
                "models left out": max(graph.subject.models - signals.models, 0),
                "bytes": made.path.stat().st_size,
                "path": dg.MetadataValue.path(str(made.path)),
            },
        )

    return shadow_signals  # pyright: ignore[reportReturnType]


def _memorization(graph: SubjectGraph) -> dg.AssetsDefinition:
    @dg.asset(
        **graph.asset_arguments(
            "memorization",
            {"parquet"},
            findings.MEMORIZATION_STEP.code_version(),
            graph.behind_pool,
        ),
        ins=_of_the_pool(graph),
        description=(
            "How much being trained on each record changes the answer about it, and what the "
            "record does for held-out data: memorization that pays, and that only leaks."
        ),
    )
    def memorization(
        dataset: Reference, shadow_signals: Reference, home: dg.ResourceParam[Home]
    ) -> Result:
        prepared = Prepared.load(dataset.path)
        with clear_failures():
            made = findings.memorization(prepared, shadow_signals.path, graph.store(home))
        records = findings.read_records(made.path)
        kinds, counts = np.unique(records["kind"].astype(str), return_counts=True)
        return dg.MaterializeResult(
            value=Reference.to(made),
            data_version=dg.DataVersion(made.key),
            metadata={
                "dagster/row_count": len(records["kind"]),
                **of_memorization(graph),
                **{f"{kind} (records)": int(n) for kind, n in zip(kinds, counts, strict=True)},
                "most exposed": dg.MetadataValue.md(exposed_table(records, "kind")),
                "measurements": dg.MetadataValue.md(measurement_table(made.path)),
                "path": dg.MetadataValue.path(str(made.path)),
            },
        )

    return memorization  # pyright: ignore[reportReturnType]


def exposed_table(records: dict[str, np.ndarray], beside: str) -> str:
    """The ten records that are memorized most surely, as Markdown; `beside` is a further column."""
    surest = np.argsort(-records["memorization_low"], kind="stable")[:10]
    lines = [f"| record | memorization | 95% interval | {beside} |", "|---|---|---|---|"]
    for i in surest[np.isfinite(records["memorization_low"][surest])]:
        value, low, high = (records[f"memorization{end}"][i] for end in ("", "_low", "_high"))
        name, more = as_text(records["record_id"][i]), records[beside][i]
        shown = more if isinstance(more, str) else f"{more:.2f}"
        lines.append(f"| {name} | {value:.2f} | {low:.2f} to {high:.2f} | {shown} |")
    return "\n".join(lines)


def _information(graph: SubjectGraph) -> dg.AssetsDefinition:
    @dg.asset(
        **graph.asset_arguments(
            "information", {"parquet"}, findings.INFORMATION_STEP.code_version(), graph.behind_pool
        ),
        ins=_of_the_pool(graph),
        description=(
            "How many bits predictions give away about who was trained on, through labels and "
            "through scores, each beside what chance gives (its permutation null)."
        ),
    )
    def information(
        dataset: Reference, shadow_signals: Reference, home: dg.ResourceParam[Home]
    ) -> Result:
        prepared = Prepared.load(dataset.path)
        with clear_failures():
            made = findings.informativeness(prepared, shadow_signals.path, graph.store(home))
        return dg.MaterializeResult(
            value=Reference.to(made),
            data_version=dg.DataVersion(made.key),
            metadata={
                "pairs": len(prepared.pairing.pairs),
                "measurements": dg.MetadataValue.md(measurement_table(made.path)),
                "path": dg.MetadataValue.path(str(made.path)),
            },
        )

    return information  # pyright: ignore[reportReturnType]


def _of_the_pool(graph: SubjectGraph) -> dict[str, dg.AssetIn]:
    return {name: dg.AssetIn(graph.key(name)) for name in ("dataset", "shadow_signals")}


def measurement_table(folder: Path) -> str:
    """The measurements of a finding as Markdown: value, interval, n and status."""
    lines = ["| measurement | value | 95% interval | n | status |", "|---|---|---|---|---|"]
    for m in findings.read_measurements(folder):
        e = m.estimate
        value = "-" if e.value is None else f"{e.value:.4f} {m.unit}"
        ends = ["-" if end is None else f"{end:.4f}" for end in (e.ci_low, e.ci_high)]
        name = " ".join(part for part in (m.name, m.metric) if part)
        stratum = "" if m.stratum == "all" else f" ({m.stratum})"
        lines.append(f"| {name}{stratum} | {value} | {' to '.join(ends)} | {e.n} | {e.status} |")
    return "\n".join(lines)


def pool_assets(graph: SubjectGraph) -> list[dg.AssetsDefinition]:
    """What is made once for all versions of the model."""
    return [_dataset(graph), *pool_of(graph)]


def shadow_assets(graph: SubjectGraph[Any]) -> list[dg.AssetsDefinition]:
    """The shadow models of a subject of any kind, and what they answer."""
    return [_shadow_models(graph), _shadow_signals(graph)]


def pool_of(graph: SubjectGraph) -> list[dg.AssetsDefinition]:
    """The pool of one recipe on a subject's records, and what it says by itself."""
    return [
        *shadow_assets(graph),
        _memorization(graph),
        _information(graph),
    ]
