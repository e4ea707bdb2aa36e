"""Which audit and which price is in force: the one that was asked for last, by a counted order."""

from __future__ import annotations

from datetime import datetime

import duckdb

_PUT = """
    INSERT INTO in_force_since
    SELECT coalesce(max(sequence), 0) + 1, $bundle_id, $at FROM in_force_since
"""
# Of what the history does not hold, nothing is in force.
_TO_PUT = """
    SELECT bundle_id
    FROM unnest($ids::VARCHAR[]) WITH ORDINALITY AS asked (bundle_id, place)
    WHERE
        bundle_id IN (SELECT audit_id FROM audits UNION ALL SELECT risk_id FROM risk_runs)
        AND bundle_id NOT IN (
            SELECT audit_id FROM audits_in_force UNION ALL SELECT risk_id FROM latest_risk
        )
    ORDER BY place
"""


def put_in_force(con: duckdb.DuckDBPyConnection, bundle_id: str, at: datetime) -> None:
    """Write down that an audit or a price is the one in force from now on; `at` only informs."""
    con.execute(_PUT, {"bundle_id": bundle_id, "at": at})


def not_in_force(con: duckdb.DuckDBPyConnection, bundle_ids: list[str]) -> list[str]:
    """Those of the ids that the history holds and that are not in force, in the given order."""
    return [row[0] for row in con.execute(_TO_PUT, {"ids": bundle_ids}).fetchall()]
