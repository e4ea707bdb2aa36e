-- What got worse since the version before, beyond both intervals?
-- $subject: one subject; all without it
-- $version: the version that is asked about; the newest of each subject without it
SELECT
    subject,
    previous_version,
    model_version,
    family,
    attack,
    population,
    metric,
    unit,
    previous_value,
    previous_ci_low,
    previous_ci_high,
    value,
    ci_low,
    ci_high,
    difference
FROM regressions
WHERE
    subject = coalesce($subject, subject)
    AND if($version IS NULL, is_latest, model_version = $version)
ORDER BY subject, abs(difference) DESC;
