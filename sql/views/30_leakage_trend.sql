-- Every leakage figure of every version, by its audit in force, in order of release.
CREATE OR REPLACE VIEW leakage_trend AS
SELECT
    versions.subject,
    versions.model_version,
    versions.version_number,
    versions.audited_at,
    figures.*
FROM figures
INNER JOIN versions ON figures.audit_id = versions.audit_id
WHERE is_leakage(figures.family);
COMMENT ON VIEW leakage_trend IS 'Every leakage figure of every version, by its audit in force, in order of release.';
