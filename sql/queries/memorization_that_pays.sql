-- How many records are memorized, and does that help held-out records or only leak?
-- $subject: one subject; all without it
-- $version: one version; the newest of each subject without it
-- A record is placed where its intervals say so (docs/memorization.md); undecided otherwise.
WITH records AS (
    SELECT
        versions.subject,
        versions.model_version,
        record_scores.record_id,
        any_value(record_scores.kind) AS kind,
        any_value(record_scores.memorization_low) AS memorization_low,
        any_value(record_scores.memorization_high) AS memorization_high,
        any_value(record_scores.influence) AS influence
    FROM record_scores
    INNER JOIN versions ON record_scores.audit_id = versions.audit_id
    INNER JOIN latest ON versions.subject = latest.subject
    WHERE
        versions.subject = coalesce($subject, versions.subject)
        AND versions.model_version = coalesce($version, latest.model_version)
        AND record_scores.member
    GROUP BY versions.subject, versions.model_version, record_scores.record_id
),

placed AS (
    SELECT
        subject,
        model_version,
        influence,
        -- Language models have no influence, and older audits none with an interval.
        CASE
            WHEN kind IS NOT NULL THEN kind
            WHEN memorization_low IS NULL THEN 'not measured'
            WHEN memorization_high < 0.25 THEN 'not memorized'
            WHEN memorization_low > 0.25 AND influence IS NULL
                THEN 'memorized, influence not measured'
            ELSE 'undecided'
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
FROM placed
GROUP BY subject, model_version, kind
ORDER BY subject, records DESC, kind;
