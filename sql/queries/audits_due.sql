-- Which audits are due, since when, and whose are they?
-- $subject: one subject; all without it
-- 'advised_probes' is the depth that the price of the audit in force advises (0: none pays for itself).
SELECT
    audits_due.subject,
    audits_due.owner,
    audits_due.reason,
    audits_due.audited_version,
    audits_due.audited_at,
    audits_due.due_at,
    audits_due.days_late,
    CAST(planned.value AS BIGINT) AS advised_probes
FROM audits_due
LEFT JOIN latest ON audits_due.subject = latest.subject
LEFT JOIN latest_risk AS planned
    ON
        latest.audit_id = planned.audit_id
        AND planned.option = 'none'
        AND planned.quantity = 'audit_depth'
WHERE audits_due.subject = coalesce($subject, audits_due.subject)
ORDER BY audits_due.days_late DESC, audits_due.subject;
