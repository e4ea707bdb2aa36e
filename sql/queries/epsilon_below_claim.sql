-- How far does the measured epsilon lie below what is claimed, and could this sample show more?
-- $subject: one subject; all without it
-- $claimed: the epsilon that the owner claims, at delta 1e-5; without it only what was measured
-- A claim is held against the row 'epsilon' alone, which holds over all attacks at that delta.
SELECT
    versions.subject,
    versions.model_version,
    measurements.name,
    measurements.metric,
    measurements.ci_low AS lower_bound,
    measurements.status,
    ceilings.value AS most_this_sample_can_show,
    CAST($claimed AS DOUBLE) AS claimed,
    CAST($claimed AS DOUBLE) - measurements.ci_low AS below_claim,
    -- The first formula was at delta 0: it refutes no claim at another.
    if(
        measurements.metric = 'epsilon' AND measurements.formula_version > 1,
        measurements.ci_low > CAST($claimed AS DOUBLE),
        NULL
    ) AS claim_is_falsified
FROM measurements
INNER JOIN versions ON measurements.audit_id = versions.audit_id
LEFT JOIN measurements AS ceilings
    ON
        measurements.audit_id = ceilings.audit_id
        AND ceilings.family = 'epsilon'
        AND measurements.name = ceilings.name
        AND ceilings.metric = replace(measurements.metric, '_lower_bound', '') || '_ceiling'
WHERE
    measurements.family = 'epsilon'
    AND (measurements.metric = 'epsilon' OR ends_with(measurements.metric, '_lower_bound'))
    AND versions.subject = coalesce($subject, versions.subject)
ORDER BY versions.subject, versions.model_version, measurements.name, measurements.metric;
