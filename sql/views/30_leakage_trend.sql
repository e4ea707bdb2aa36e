-- Every leakage figure of every version, by its audit in force, in order of release.
CREATE OR REPLACE VIEW leakage_trend AS
SELECT
    versions.subject,
    versions.model_version,
    versions.version_number,
    versions.audited_at,
    measurements.*
FROM measurements
INNER JOIN versions ON measurements.audit_id = versions.audit_id
WHERE is_leakage(measurements.family);
COMMENT ON VIEW leakage_trend IS 'Every leakage figure of every version, by its audit in force, in order of release.';
