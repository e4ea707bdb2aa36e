-- Which controls failed, so that an audit does not count?
-- $subject: one subject; all without it
-- $version: one version; all without it
SELECT
    audits.subject,
    audits.model_version,
    audits.finished_at,
    controls.control,
    controls.value,
    controls.ci_low,
    controls.ci_high,
    told.findings AS detail,
    audits.verdict,
    audits.audit_id
FROM controls
INNER JOIN audits ON controls.audit_id = audits.audit_id
LEFT JOIN told
    ON
        controls.audit_id = told.audit_id
        AND told.about = 'control'
        AND controls.control = told.name
WHERE
    NOT controls.passed
    AND audits.subject = coalesce($subject, audits.subject)
    AND audits.model_version = coalesce($version, audits.model_version)
ORDER BY audits.finished_at DESC, controls.control;
