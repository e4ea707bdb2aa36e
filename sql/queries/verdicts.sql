-- What was the verdict on each version, and why?
-- $subject: one subject; all without it
SELECT
    versions.subject,
    versions.model_version,
    audits.verdict,
    told.findings AS reason,
    audits.finished_at,
    versions.audit_count
FROM versions
INNER JOIN audits ON versions.audit_id = audits.audit_id
LEFT JOIN told ON audits.audit_id = told.audit_id AND told.about = 'verdict'
WHERE versions.subject = coalesce($subject, versions.subject)
ORDER BY versions.subject, versions.version_number DESC;
