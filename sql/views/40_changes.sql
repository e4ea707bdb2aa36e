-- Each figure of a version beside the same figure of the version before it.
-- Only equal formulas and units are compared. A change counts when the intervals do not touch.
-- Figures of the very records at hand are compared only while the data are the same.
CREATE OR REPLACE VIEW changes AS
SELECT
    present_version.subject,
    present_version.model_version,
    past_version.model_version AS previous_version,
    present_version.version_number,
    present_version.is_latest,
    present_version.audited_at,
    present.family,
    present.attack,
    present.population,
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
        WHEN (present.ci_low > past.ci_high) = (present.worse = 'higher')
            THEN 'worse'
        ELSE 'better'
    END AS change,
    present.worse,
    present.n,
    past.n AS previous_n,
    present.formula_version,
    present.audit_id,
    past.audit_id AS previous_audit_id
FROM versions AS present_version
INNER JOIN versions AS past_version
    ON
        present_version.subject = past_version.subject
        AND present_version.version_number = past_version.version_number + 1
INNER JOIN audits AS present_audit ON present_version.audit_id = present_audit.audit_id
INNER JOIN audits AS past_audit ON past_version.audit_id = past_audit.audit_id
INNER JOIN figures AS present ON present_version.audit_id = present.audit_id
INNER JOIN figures AS past
    ON
        past_version.audit_id = past.audit_id
        AND present.family = past.family
        AND present.attack = past.attack
        AND present.population = past.population
        AND present.metric = past.metric
        AND present.unit = past.unit
        AND present.formula_version = past.formula_version
WHERE
    present.worse IS NOT NULL
    AND (
        NOT of_these_records(present.family, present.attack)
        OR present_audit.data_digest = past_audit.data_digest
    )
    AND present.status IN ('ok', 'at_ceiling')
    AND past.status IN ('ok', 'at_ceiling')
    AND present.ci_low IS NOT NULL
    AND present.ci_high IS NOT NULL
    AND past.ci_low IS NOT NULL
    AND past.ci_high IS NOT NULL;
COMMENT ON VIEW changes IS 'Each figure beside that of the version before: worse, better or not distinguishable.';
