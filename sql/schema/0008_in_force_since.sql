-- Which audit and which price is in force is said by what was asked for last, not by clocks: one
-- that is found again after a change was undone comes into force again, and one that was made while
-- a clock stood in the future does not stay for ever.
CREATE TABLE in_force_since (
    sequence BIGINT PRIMARY KEY,
    bundle_id VARCHAR NOT NULL,
    since TIMESTAMPTZ NOT NULL
);
COMMENT ON TABLE in_force_since IS 'What came into force, in order: an audit of a version, or a price of an audit. The last one of each counts.';
COMMENT ON COLUMN in_force_since.sequence IS 'Place in that order, from 1; no clock has a say in it.';
COMMENT ON COLUMN in_force_since.bundle_id IS 'audit_id of an audit, risk_id of a risk calculation.';
COMMENT ON COLUMN in_force_since.since IS 'When it was recorded, or found to be what is asked for again, by the clock of then.';

-- What an older history knows of that order are clocks; a time that is yet to come is none.
INSERT INTO in_force_since
WITH known AS (
    SELECT
        audit_id AS bundle_id,
        finished_at AS told
    FROM audits
    UNION ALL
    SELECT
        audit_id,
        confirmed_at
    FROM confirmations
    UNION ALL
    SELECT
        risk_id,
        computed_at
    FROM risk_runs
    UNION ALL
    SELECT
        risk_id,
        since
    FROM risk_in_force
),

last_known AS (
    SELECT
        bundle_id,
        max(told) FILTER (WHERE told <= now()) AS told
    FROM known
    GROUP BY bundle_id
)

SELECT
    row_number() OVER (ORDER BY told NULLS FIRST, bundle_id) AS sequence,
    bundle_id,
    coalesce(told, now()) AS since
FROM last_known;

DROP TABLE risk_in_force;
