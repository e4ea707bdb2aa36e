-- What would a leak cost a year under each option, and on what do the figures rest?
-- $subject: one subject; all without it
-- $version: one version; the newest of each subject without it
SELECT
    versions.subject,
    versions.model_version,
    latest_risk.option,
    latest_risk.quantity,
    latest_risk.unit,
    latest_risk.value,
    latest_risk.ci_low,
    latest_risk.ci_high,
    latest_risk.basis,
    latest_risk.profile
FROM latest_risk
INNER JOIN versions ON latest_risk.audit_id = versions.audit_id
INNER JOIN latest ON versions.subject = latest.subject
WHERE
    versions.subject = coalesce($subject, versions.subject)
    AND versions.model_version = coalesce($version, latest.model_version)
ORDER BY versions.subject, latest_risk.quantity, latest_risk.option;
