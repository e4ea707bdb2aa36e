-- How far does the measured epsilon lie below what is claimed, and could this sample show more?
-- $subject: one subject; all without it
-- $claimed: the epsilon that the owner claims; without it only what was measured
SELECT
    versions.subject,
    versions.model_version,
    measurements.name,
    measurements.metric,
    measurements.ci_low AS lower_bound,
    measurements.status,
    max(ceilings.value) AS most_this_sample_can_show,
    CAST($claimed AS DOUBLE) AS claimed,
    CAST($claimed AS DOUBLE) - measurements.ci_low AS below_claim,
    measurements.ci_low > CAST($claimed AS DOUBLE) AS claim_is_falsified
FROM measurements
INNER JOIN versions ON measurements.audit_id = versions.audit_id
LEFT JOIN measurements AS ceilings
    ON
        measurements.audit_id = ceilings.audit_id
        AND ceilings.family = 'epsilon'
        AND ends_with(ceilings.metric, '_ceiling')
        AND (measurements.name = ceilings.name OR measurements.metric = 'epsilon')
WHERE
    measurements.family = 'epsilon'
    AND (measurements.metric = 'epsilon' OR ends_with(measurements.metric, '_lower_bound'))
    AND versions.subject = coalesce($subject, versions.subject)
GROUP BY
    versions.subject,
    versions.model_version,
    measurements.name,
    measurements.metric,
    measurements.ci_low,
    measurements.status
ORDER BY versions.subject, versions.model_version, measurements.name, measurements.metric;
