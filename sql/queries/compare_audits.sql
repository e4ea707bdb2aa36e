-- How do two audits differ, figure by figure? Equal formulas only.
-- $subject: the subject whose two newest versions are compared; all without it
-- $audit: an audit_id (or its beginning) in place of the newest version
-- $other: an audit_id (or its beginning) in place of the version before it
WITH sides AS (
    SELECT
        latest.audit_id AS present_id,
        past.audit_id AS past_id
    FROM latest
    INNER JOIN versions AS past
        ON
            latest.subject = past.subject
            AND latest.version_number = past.version_number + 1
    WHERE
        latest.subject = coalesce($subject, latest.subject)
        AND $audit IS NULL
        AND $other IS NULL
    UNION ALL
    SELECT
        present.audit_id,
        past.audit_id
    FROM audits AS present
    INNER JOIN audits AS past ON present.audit_id <> past.audit_id
    WHERE
        starts_with(present.audit_id, $audit)
        AND starts_with(past.audit_id, $other)
)

SELECT
    audits.subject,
    past_audits.model_version AS other_version,
    audits.model_version,
    present.family,
    present.name,
    present.stratum,
    present.metric,
    present.unit,
    past.value AS other_value,
    past.ci_low AS other_ci_low,
    past.ci_high AS other_ci_high,
    present.value,
    present.ci_low,
    present.ci_high,
    present.value - past.value AS difference,
    present.ci_low > past.ci_high OR present.ci_high < past.ci_low AS beyond_both_intervals
FROM sides
INNER JOIN audits ON sides.present_id = audits.audit_id
INNER JOIN audits AS past_audits ON sides.past_id = past_audits.audit_id
INNER JOIN measurements AS present ON sides.present_id = present.audit_id
INNER JOIN measurements AS past
    ON
        sides.past_id = past.audit_id
        AND present.family = past.family
        AND present.name = past.name
        AND present.stratum = past.stratum
        AND present.metric = past.metric
        AND present.unit = past.unit
        AND present.formula_version = past.formula_version
ORDER BY audits.subject, present.family, present.name, present.stratum, present.metric;
