-- Which audits are due, since when, and whose are they?
-- $subject: one subject; all without it
SELECT
    subject,
    owner,
    reason,
    audited_version,
    audited_at,
    due_at,
    days_late
FROM audits_due
WHERE subject = coalesce($subject, subject)
ORDER BY days_late DESC, subject;
