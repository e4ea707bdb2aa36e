-- One row a subject: the audit in force of its newest version that was audited.
-- A re-audit of an older version does not make it the latest.
CREATE OR REPLACE VIEW latest AS
SELECT
    audits.*,
    versions.version_number
FROM audits
INNER JOIN versions ON audits.audit_id = versions.audit_id
WHERE versions.is_latest;
COMMENT ON VIEW latest IS 'One row a subject: the audit in force of its newest version that was audited.';
