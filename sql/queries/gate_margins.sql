-- How far from its threshold was every gate, version by version?
-- $subject: one subject; all without it
SELECT
    versions.subject,
    versions.model_version,
    rates.metric,
    rates.name,
    rates.value,
    rates.ci_low,
    rates.ci_high,
    thresholds.value AS threshold,
    CASE
        WHEN rates.ci_low > thresholds.value THEN 'wholly above'
        WHEN rates.ci_high < thresholds.value THEN 'wholly below'
        ELSE 'not clearly on one side'
    END AS side,
    -- What is left before the limit is reached; the limit is the least where lower is worse.
    CASE worse_when('utility', rates.metric)
        WHEN 'lower' THEN rates.ci_low - thresholds.value
        ELSE thresholds.value - rates.ci_high
    END AS room
FROM measurements AS rates
INNER JOIN measurements AS thresholds
    ON
        rates.audit_id = thresholds.audit_id
        AND rates.name = thresholds.name
        AND thresholds.family = 'gate'
        AND thresholds.metric = rates.metric || ':threshold'
INNER JOIN versions ON rates.audit_id = versions.audit_id
WHERE
    rates.family = 'gate'
    AND versions.subject = coalesce($subject, versions.subject)
ORDER BY versions.subject, rates.metric, versions.version_number;
