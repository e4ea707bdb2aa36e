-- How much does each version leak, by every attack, with its interval?
-- $subject: one subject; all without it
-- $metric: one metric, e.g. auc; all without it
SELECT
    subject,
    model_version,
    family,
    attack,
    population,
    metric,
    unit,
    value,
    ci_low,
    ci_high,
    k,
    n,
    status
FROM leakage_trend
WHERE
    subject = coalesce($subject, subject)
    AND metric = coalesce($metric, metric)
ORDER BY subject, family, attack, population, metric, version_number;
