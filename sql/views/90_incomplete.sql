-- Bundles whose rows are not all there. Always empty; anything here means a damaged file.
CREATE OR REPLACE VIEW incomplete AS
WITH counted AS (
    SELECT
        audit_id AS bundle_id,
        'audits' AS table_name,
        count(*) AS row_count
    FROM audits
    GROUP BY ALL
    UNION ALL
    SELECT
        audit_id,
        'measurements',
        count(*)
    FROM measurements
    GROUP BY ALL
    UNION ALL
    SELECT
        audit_id,
        'controls',
        count(*)
    FROM controls
    GROUP BY ALL
    UNION ALL
    SELECT
        audit_id,
        'gate_results',
        count(*)
    FROM gate_results
    GROUP BY ALL
    UNION ALL
    SELECT
        audit_id,
        'findings',
        count(*)
    FROM findings
    GROUP BY ALL
    UNION ALL
    SELECT
        audit_id,
        'record_scores',
        count(*)
    FROM record_scores
    GROUP BY ALL
    UNION ALL
    SELECT
        risk_id,
        'risk_runs',
        count(*)
    FROM risk_runs
    GROUP BY ALL
    UNION ALL
    SELECT
        risk_id,
        'risk_estimates',
        count(*)
    FROM risk_estimates
    GROUP BY ALL
    UNION ALL
    SELECT
        risk_id,
        'forecasts',
        count(*)
    FROM forecasts
    GROUP BY ALL
)

SELECT
    coalesce(contents.bundle_id, counted.bundle_id) AS bundle_id,
    coalesce(contents.table_name, counted.table_name) AS table_name,
    coalesce(contents.row_count, 0) AS expected,
    coalesce(counted.row_count, 0) AS found
FROM contents
FULL JOIN counted
    ON
        contents.bundle_id = counted.bundle_id
        AND contents.table_name = counted.table_name
WHERE coalesce(contents.row_count, 0) <> coalesce(counted.row_count, 0);
COMMENT ON VIEW incomplete IS 'Bundles whose rows are not all there: always empty in a sound file.';
