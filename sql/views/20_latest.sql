-- One row a subject: the newest audit of its newest version.
-- A re-audit of an older version does not make it the latest.
CREATE OR REPLACE VIEW latest AS
SELECT
    audits.*,
    versions.version_number
FROM audits
INNER JOIN versions ON audits.audit_id = versions.audit_id
QUALIFY
    row_number() OVER (
        PARTITION BY audits.subject
        ORDER BY versions.version_number DESC
    ) = 1;
COMMENT ON VIEW latest IS 'One row a subject: the newest audit of its newest version.';
