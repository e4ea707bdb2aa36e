-- Which corrective actions are open, whose are they, and by when?
-- $subject: one subject; all without it
SELECT
    subject,
    model_version,
    description,
    owner,
    due_on,
    due_on < current_date AS late,
    action_id
FROM current_actions
WHERE
    kind = 'corrective action'
    AND status = 'open'
    AND subject = coalesce($subject, subject)
ORDER BY due_on NULLS LAST, subject, action_id;
