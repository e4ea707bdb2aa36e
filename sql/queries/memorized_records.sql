-- Which memorized records pay, and which only leak? One row a record.
-- $subject: one subject; all without it
-- $version: one version; the newest of each subject without it
-- $threshold: memorized when the whole interval lies above it; 0.25 without it
-- A record is placed where its intervals say so (docs/memorization.md); undecided otherwise.
SELECT
    versions.subject,
    versions.model_version,
    record_scores.record_id,
    -- Language models have no influence, and older audits none with an interval.
    coalesce(
        any_value(record_scores.kind),
        if(any_value(record_scores.influence) IS NULL, 'influence not measured', 'undecided')
    ) AS kind,
    any_value(record_scores.memorization) AS memorization,
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
HAVING
    any_value(record_scores.memorization_low) > coalesce(CAST($threshold AS DOUBLE), 0.25)
ORDER BY versions.subject, kind, memorization DESC, record_scores.record_id;
