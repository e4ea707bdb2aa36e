-- Which attack found the most, at each false positive rate that the sample resolves?
-- $subject: one subject; all without it
-- $version: one version; all without it
WITH strongest AS (
    SELECT
        subject,
        model_version,
        metric,
        -- One attack as a whole: taken column by column, a null would come from another attack.
        arg_max(
            { 'attack': attack, 'value': value, 'ci_low': ci_low, 'ci_high': ci_high, 'n': n },
            (value, attack)
        ) AS found,
        count(*) AS attacks_resolved
    FROM leakage_trend
    WHERE
        family = 'membership'
        AND population = 'all'
        AND worse = 'higher'
        AND status IN ('ok', 'at_ceiling')
        AND value IS NOT NULL
        AND subject = coalesce($subject, subject)
        AND model_version = coalesce($version, model_version)
    GROUP BY subject, model_version, metric
)

SELECT
    strongest.subject,
    strongest.model_version,
    strongest.metric,
    strongest.found['attack'] AS attack,
    strongest.found['value'] AS value,
    strongest.found['ci_low'] AS ci_low,
    strongest.found['ci_high'] AS ci_high,
    strongest.found['n'] AS n,
    strongest.attacks_resolved
FROM strongest
ORDER BY strongest.subject, strongest.model_version, strongest.metric;
