-- How far does the measured epsilon lie below what is claimed, and could this sample show more?
-- $subject: one subject; all without it
-- $claimed: the epsilon that the owner claims, at delta 1e-5; without it only what was measured
-- A claim is held against the row 'epsilon' alone, which holds over all attacks at that delta.
SELECT
    versions.subject,
    versions.model_version,
    figures.attack,
    figures.metric,
    figures.ci_low AS lower_bound,
    figures.status,
    ceilings.value AS most_this_sample_can_show,
    CAST($claimed AS DOUBLE) AS claimed,
    CAST($claimed AS DOUBLE) - figures.ci_low AS below_claim,
    -- The first formula was at delta 0: it refutes no claim at another.
    if(
        figures.metric = 'epsilon' AND figures.formula_version > 1,
        figures.ci_low > CAST($claimed AS DOUBLE),
        NULL
    ) AS claim_is_falsified
FROM figures
INNER JOIN versions ON figures.audit_id = versions.audit_id
LEFT JOIN figures AS ceilings
    ON
        figures.audit_id = ceilings.audit_id
        AND ceilings.family = 'epsilon'
        AND figures.attack = ceilings.attack
        AND ceilings.metric = replace(figures.metric, '_lower_bound', '') || '_ceiling'
WHERE
    figures.family = 'epsilon'
    AND (figures.metric = 'epsilon' OR ends_with(figures.metric, '_lower_bound'))
    AND versions.subject = coalesce($subject, versions.subject)
ORDER BY versions.subject, versions.model_version, figures.attack, figures.metric;
