-- How was an audit made: which weights, data, shadow models, configuration, code and device?
-- $subject: one subject; all without it
-- $version: one version; all without it
SELECT
    subject,
    model_version,
    audit_id,
    kind,
    model_digest,
    data_digest,
    pool_digest,
    config_digest,
    code_version,
    device,
    started_at,
    finished_at,
    date_diff('millisecond', started_at, finished_at) / 1000 AS seconds,
    verdict,
    reason
FROM audits
WHERE
    subject = coalesce($subject, subject)
    AND model_version = coalesce($version, model_version)
ORDER BY subject, finished_at DESC, audit_id;
