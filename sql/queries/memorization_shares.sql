-- Which share of the records is memorized usefully, and which only leaks, version by version?
-- $subject: one subject; all without it
SELECT
    subject,
    model_version,
    replace(metric, 'share_', '') AS kind,
    value,
    ci_low,
    ci_high,
    n,
    status
FROM leakage_trend
WHERE
    family = 'memorization'
    AND attack = 'kinds'
    AND starts_with(metric, 'share_')
    AND subject = coalesce($subject, subject)
ORDER BY subject, kind, version_number;
