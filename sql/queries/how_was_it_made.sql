-- How was an audit made: which weights, data, shadow models, configuration, code and device?
-- $subject: one subject; all without it
-- $version: one version; all without it
SELECT
    audits.subject,
    audits.model_version,
    audits.audit_id,
    audits.kind,
    audits.model_digest,
    audits.data_digest,
    audits.pool_digest,
    audits.config_digest,
    audits.code_version,
    audits.device,
    audits.started_at,
    audits.finished_at,
    date_diff('millisecond', audits.started_at, audits.finished_at) / 1000 AS seconds,
    audits.verdict,
    told.findings AS reason
FROM audits
LEFT JOIN told ON audits.audit_id = told.audit_id AND told.about = 'verdict'
WHERE
    audits.subject = coalesce($subject, audits.subject)
    AND audits.model_version = coalesce($version, audits.model_version)
ORDER BY audits.subject, audits.finished_at DESC, audits.audit_id;
