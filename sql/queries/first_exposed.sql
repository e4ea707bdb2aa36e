-- In which version did each record become exposed first, and in which is it still?
-- $subject: one subject; all without it
-- $threshold: exposed when memorization lies wholly above it; 0.25 without it
WITH exposed AS (
    SELECT
        versions.subject,
        record_scores.record_id,
        versions.model_version,
        versions.version_number,
        any_value(record_scores.memorization) AS memorization
    FROM record_scores
    INNER JOIN versions ON record_scores.audit_id = versions.audit_id
    WHERE
        versions.subject = coalesce($subject, versions.subject)
        AND record_scores.member
        AND record_scores.memorization_low > coalesce(CAST($threshold AS DOUBLE), 0.25)
    GROUP BY ALL
)

SELECT
    subject,
    record_id,
    arg_min(model_version, version_number) AS first_version,
    arg_max(model_version, version_number) AS last_version,
    count(*) AS versions_exposed,
    max(memorization) AS highest_memorization
FROM exposed
GROUP BY subject, record_id
ORDER BY subject, min(version_number), highest_memorization DESC, record_id;
