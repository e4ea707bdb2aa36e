-- Which formula versions are in use, since when, and in how many audits?
-- $subject: one subject; all without it
SELECT
    measurements.family,
    measurements.name,
    measurements.formula_version,
    count(DISTINCT measurements.audit_id) AS audits,
    min(audits.finished_at) AS first_used,
    max(audits.finished_at) AS last_used
FROM measurements
INNER JOIN audits ON measurements.audit_id = audits.audit_id
WHERE audits.subject = coalesce($subject, audits.subject)
GROUP BY measurements.family, measurements.name, measurements.formula_version
ORDER BY measurements.family, measurements.name, measurements.formula_version;
