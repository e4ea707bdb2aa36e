-- How many records are memorized, and does that help held-out records or only leak?
-- $subject: one subject; all without it
-- $version: one version; the newest of each subject without it
-- $threshold: memorized when the whole interval lies above it; 0.25 without it
WITH records AS (
    SELECT
        versions.subject,
        versions.model_version,
        record_scores.record_id,
        any_value(record_scores.memorization_low) AS memorization_low,
        any_value(record_scores.memorization_high) AS memorization_high,
        any_value(record_scores.influence) AS influence,
        coalesce(CAST($threshold AS DOUBLE), 0.25) AS threshold
    FROM record_scores
    INNER JOIN versions ON record_scores.audit_id = versions.audit_id
    INNER JOIN latest ON versions.subject = latest.subject
    WHERE
        versions.subject = coalesce($subject, versions.subject)
        AND versions.model_version = coalesce($version, latest.model_version)
        AND record_scores.member
    GROUP BY versions.subject, versions.model_version, record_scores.record_id
),

kinds AS (
    SELECT
        *,
        CASE
            WHEN memorization_low IS NULL THEN 'not measured'
            WHEN memorization_high < threshold THEN 'not memorized'
            WHEN memorization_low < threshold THEN 'not resolved'
            WHEN influence IS NULL THEN 'memorized, influence not measured'
            WHEN influence > 0 THEN 'useful memorization'
            ELSE 'pure leakage'
        END AS kind
    FROM records
)

SELECT
    subject,
    model_version,
    kind,
    count(*) AS records,
    count(*) / sum(count(*)) OVER (PARTITION BY subject, model_version) AS share,
    sum(influence) AS total_influence
FROM kinds
GROUP BY subject, model_version, kind
ORDER BY subject, records DESC, kind;
