-- One row a subject and version, in order of release, with its newest audit.
-- Versions without a given order come first, by their first audit. Options are no releases.
CREATE OR REPLACE VIEW versions AS
WITH audited AS (
    SELECT
        subject,
        model_version,
        count(*) AS audit_count,
        min(finished_at) AS first_audited_at,
        max(finished_at) AS audited_at,
        arg_max(audit_id, (finished_at, started_at, audit_id)) AS audit_id
    FROM audits
    WHERE NOT starts_with(model_version, 'option:')
    GROUP BY subject, model_version
),

numbered AS (
    SELECT
        audited.subject,
        audited.model_version,
        row_number() OVER (
            PARTITION BY audited.subject
            ORDER BY
                version_order.position NULLS FIRST,
                audited.first_audited_at,
                audited.model_version
        ) AS version_number,
        audited.audit_id,
        audited.audited_at,
        audited.first_audited_at,
        audited.audit_count
    FROM audited
    LEFT JOIN version_order
        ON
            audited.subject = version_order.subject
            AND audited.model_version = version_order.model_version
)

SELECT
    *,
    version_number = max(version_number) OVER (PARTITION BY subject) AS is_latest
FROM numbered;
COMMENT ON VIEW versions IS 'One row a subject and version, numbered in order of release, with its newest audit.';
