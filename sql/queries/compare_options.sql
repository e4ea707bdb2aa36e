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
    figures.attack,
    figures.metric,
    figures.value,
    figures.ci_low,
    figures.ci_high,
    figures.n
FROM options
INNER JOIN figures ON options.audit_id = figures.audit_id
WHERE
    options.subject = coalesce($subject, options.subject)
    AND (
        (figures.family = 'membership' AND figures.metric IN ('auc', 'tpr_at_fpr_0.01'))
        OR figures.metric IN (
            'held_out_accuracy',
            'mean_memorization',
            'epsilon',
            'replace_one_epsilon',
            'accountant_epsilon'
        )
    )
ORDER BY
    options.subject,
    figures.family,
    figures.attack,
    figures.metric,
    options.option <> 'original',
    options.option;
