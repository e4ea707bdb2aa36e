-- Which attack found the most, at each false positive rate that the sample resolves?
-- $subject: one subject; all without it
-- $version: one version; all without it
SELECT
    subject,
    model_version,
    metric,
    arg_max(name, value) AS attack,
    max(value) AS value,
    arg_max(ci_low, value) AS ci_low,
    arg_max(ci_high, value) AS ci_high,
    arg_max(n, value) AS n,
    count(*) AS attacks_resolved
FROM leakage_trend
WHERE
    family = 'membership'
    AND stratum = 'all'
    AND worse_when(family, metric) = 'higher'
    AND status IN ('ok', 'at_ceiling')
    AND subject = coalesce($subject, subject)
    AND model_version = coalesce($version, model_version)
GROUP BY ALL
ORDER BY subject, model_version, metric;
