-- How do two audits differ, figure by figure? Equal formulas only.
-- $subject: the subject whose two newest versions are compared; all without it
-- $audit: an audit_id (or its beginning) in place of the newest version
-- $other: an audit_id (or its beginning) in place of the version before it
-- Of several audits that begin so, the newest is meant. Either side may be left to its default.
WITH named AS (
    SELECT
        arg_max(audit_id, (finished_at, audit_id)) FILTER (WHERE starts_with(audit_id, $audit))
            AS present_id,
        arg_max(audit_id, (finished_at, audit_id)) FILTER (WHERE starts_with(audit_id, $other))
            AS past_id
    FROM audits
    WHERE subject = coalesce($subject, subject)
),

presents AS (
    SELECT
        audits.audit_id,
        audits.subject,
        audits.model_version
    FROM audits
    INNER JOIN named ON audits.audit_id = named.present_id
    UNION ALL
    SELECT
        latest.audit_id,
        latest.subject,
        latest.model_version
    FROM latest
    CROSS JOIN named
    LEFT JOIN audits AS past ON named.past_id = past.audit_id
    WHERE
        $audit IS NULL
        AND latest.subject = coalesce(past.subject, $subject, latest.subject)
),

sides AS (
    SELECT
        presents.audit_id AS present_id,
        named.past_id
    FROM presents
    INNER JOIN named ON presents.audit_id <> named.past_id
    UNION ALL
    SELECT
        presents.audit_id,
        past.audit_id
    FROM presents
    INNER JOIN versions AS present_version
        ON
            presents.subject = present_version.subject
            AND presents.model_version = present_version.model_version
    INNER JOIN versions AS past
        ON
            presents.subject = past.subject
            AND present_version.version_number = past.version_number + 1
    WHERE $other IS NULL
)

SELECT
    audits.subject,
    past_audits.model_version AS other_version,
    audits.model_version,
    present.family,
    present.attack,
    present.population,
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
INNER JOIN figures AS present ON sides.present_id = present.audit_id
INNER JOIN figures AS past
    ON
        sides.past_id = past.audit_id
        AND present.family = past.family
        AND present.attack = past.attack
        AND present.population = past.population
        AND present.metric = past.metric
        AND present.unit = past.unit
        AND present.formula_version = past.formula_version
ORDER BY audits.subject, present.family, present.attack, present.population, present.metric;
