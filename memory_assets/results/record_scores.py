"""One row a record and attack: the columns that every audit hands on."""

# pyarrow ships no types.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownParameterType=false, reportUnknownVariableType=false
from __future__ import annotations

import pyarrow as pa

RECORD_SCORES = pa.schema(
    [
        ("audit_id", pa.string()),
        ("record_id", pa.string()),
        ("member", pa.bool_()),
        ("attack", pa.string()),
        ("score", pa.float64()),
        ("memorization", pa.float64()),
        ("memorization_low", pa.float64()),
        ("memorization_high", pa.float64()),
        ("influence", pa.float64()),
        ("kind", pa.string()),
    ]
)


def as_record_scores(table: pa.Table) -> pa.Table:
    """Rows in the columns of `RECORD_SCORES`; a column that an older table lacks is null."""
    for field in RECORD_SCORES:
        if field.name not in table.column_names:
            table = table.append_column(field, pa.nulls(table.num_rows, field.type))
    return table.select(RECORD_SCORES.names).cast(RECORD_SCORES)
