-- What does each mitigation cost in quality, and what does it spare in leakage?
-- $subject: one subject; all without it
-- Options are compared with 'original', the unchanged recipe audited in the same way. The bound
-- 'epsilon' is held against 'replace_one_epsilon': both replace a record. 'accountant_epsilon' is for
-- adding or removing one.
WITH options AS (
    SELECT
        subject,
        substr(model_version, length('option:') + 1) AS option,
        audit_id
    FROM audits_in_force
    WHERE starts_with(model_version, 'option:')
)

SELECT
    options.subject,
    options.option,
    measurements.name,
    measurements.metric,
    measurements.value,
    measurements.ci_low,
    measurements.ci_high,
    measurements.n
FROM options
INNER JOIN measurements ON options.audit_id = measurements.audit_id
WHERE
    options.subject = coalesce($subject, options.subject)
    AND (
        (measurements.family = 'membership' AND measurements.metric IN ('auc', 'tpr_at_fpr_0.01'))
        OR measurements.metric IN (
            'held_out_accuracy',
            'mean_memorization',
            'epsilon',
            'replace_one_epsilon',
            'accountant_epsilon'
        )
    )
ORDER BY
    options.subject,
    measurements.family,
    measurements.name,
    measurements.metric,
    options.option <> 'original',
    options.option;
