-- Subjects whose next audit is due now or late.
CREATE OR REPLACE VIEW audits_due AS
SELECT
    *,
    date_diff('day', due_at, now()) AS days_late
FROM audit_plan
WHERE due_at <= now();
COMMENT ON VIEW audits_due IS 'Subjects whose next audit is due now or late.';
