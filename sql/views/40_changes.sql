-- Each figure of a version beside the same figure of the version before it.
-- Only equal formulas and units are compared. A change counts when the intervals do not touch.
-- Utility is worse when lower, apart from losses and gaps; leakage is worse when higher.
CREATE OR REPLACE VIEW changes AS
WITH figures AS (
    SELECT
        versions.subject,
        versions.model_version,
        versions.version_number,
        versions.audited_at,
        measurements.*
    FROM measurements
    INNER JOIN versions ON measurements.audit_id = versions.audit_id
    WHERE
        measurements.family IN (
            'membership', 'memorization', 'information', 'epsilon', 'extraction', 'exposure',
            'utility'
        )
        AND measurements.ci_low IS NOT NULL
        AND measurements.ci_high IS NOT NULL
        AND measurements.status IN ('ok', 'at_ceiling')
        -- These describe the instrument, not the model.
        AND NOT regexp_matches(measurements.metric, 'null|ceiling|threshold|achieved|nominal')
)

SELECT
    present.subject,
    present.model_version,
    past.model_version AS previous_version,
    present.version_number,
    present.audited_at,
    present.family,
    present.name,
    present.stratum,
    present.metric,
    present.unit,
    present.value,
    present.ci_low,
    present.ci_high,
    past.value AS previous_value,
    past.ci_low AS previous_ci_low,
    past.ci_high AS previous_ci_high,
    present.value - past.value AS difference,
    CASE
        WHEN present.ci_low <= past.ci_high AND past.ci_low <= present.ci_high
            THEN 'not distinguishable'
        WHEN
            (present.ci_low > past.ci_high)
            = (present.family <> 'utility' OR regexp_matches(present.metric, 'loss|gap'))
            THEN 'worse'
        ELSE 'better'
    END AS change,
    present.n,
    past.n AS previous_n,
    present.formula_version,
    present.audit_id,
    past.audit_id AS previous_audit_id
FROM figures AS present
INNER JOIN figures AS past
    ON
        present.subject = past.subject
        AND present.version_number = past.version_number + 1
        AND present.family = past.family
        AND present.name = past.name
        AND present.stratum = past.stratum
        AND present.metric = past.metric
        AND present.unit = past.unit
        AND present.formula_version = past.formula_version;
COMMENT ON VIEW changes IS 'Each figure of a version beside the same figure of the version before it: worse, better or not distinguishable.';
