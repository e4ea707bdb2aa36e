"""Schemas of the tables that assets leave, and from which column of which asset each one comes."""

import dagster as dg

from memory_assets.dagster.components.subject_graph import SubjectGraph

Columns = dict[str, dg.TableColumnLineage | dg.TableSchema]

_SCORES = (
    dg.TableColumn("record_id", "string", "name of the record"),
    dg.TableColumn("member", "bool", "was the model trained on it"),
    dg.TableColumn("attack", "string", "name in the registry"),
    dg.TableColumn("score", "double", "higher: more likely a member"),
)
_MEMORIZATION = (
    dg.TableColumn("memorization", "double", "accuracy when trained on, minus when not"),
    dg.TableColumn("memorization_low", "double", "lower end of its 95% interval"),
    dg.TableColumn("memorization_high", "double", "upper end of its 95% interval"),
    dg.TableColumn("influence", "double", "what it does for the accuracy on held-out records"),
    dg.TableColumn("kind", "string", "generalized, useful memorization, pure leakage, ..."),
)


def _metadata(
    columns: tuple[dg.TableColumn, ...], origins: dict[str, tuple[dg.AssetKey, str]]
) -> Columns:
    lineage = {
        name: [dg.TableColumnDep(asset_key=key, column_name=column)]
        for name, (key, column) in origins.items()
    }
    return {
        "dagster/column_schema": dg.TableSchema(list(columns)),
        "dagster/column_lineage": dg.TableColumnLineage(lineage),
    }


def of_memorization(graph: SubjectGraph) -> Columns:
    """Columns of `memorization`: one row a record of the audit set."""
    columns = (_SCORES[0], *_MEMORIZATION)
    return _metadata(columns, {"record_id": (graph.key("dataset"), "id")})


def of_attack_scores(graph: SubjectGraph) -> Columns:
    """Columns of `attack_scores`: one row a record and attack."""
    dataset = graph.key("dataset")
    return _metadata(_SCORES, {"record_id": (dataset, "id"), "member": (dataset, "member")})


def of_leakage(graph: SubjectGraph) -> Columns:
    """Columns of an audit's `record_scores`, as they go into the history."""
    scores, records = graph.key("attack_scores"), graph.key("memorization")
    columns = (
        dg.TableColumn("audit_id", "string", "digest of the audit"),
        *_SCORES,
        *_MEMORIZATION,
    )
    origins = {c.name: (scores, c.name) for c in _SCORES}
    return _metadata(columns, origins | {c.name: (records, c.name) for c in _MEMORIZATION})
