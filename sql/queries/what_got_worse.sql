-- What got worse since the version before, beyond both intervals?
-- $subject: one subject; all without it
-- $version: the version that is asked about; the newest of each subject without it
SELECT
    regressions.subject,
    regressions.previous_version,
    regressions.model_version,
    regressions.family,
    regressions.name,
    regressions.stratum,
    regressions.metric,
    regressions.unit,
    regressions.previous_value,
    regressions.previous_ci_low,
    regressions.previous_ci_high,
    regressions.value,
    regressions.ci_low,
    regressions.ci_high,
    regressions.difference
FROM regressions
INNER JOIN latest ON regressions.subject = latest.subject
WHERE
    regressions.subject = coalesce($subject, regressions.subject)
    AND regressions.model_version = coalesce($version, latest.model_version)
ORDER BY regressions.subject, abs(regressions.difference) DESC;
