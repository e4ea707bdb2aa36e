-- One row a subject and version, in order of release, with its audit in force.
-- Versions without a given order come first, by their first audit. Options are no releases.
CREATE OR REPLACE VIEW versions AS
WITH audited AS (
    SELECT
        subject,
        model_version,
        count(*) AS audit_count,
        min(finished_at) AS first_audited_at
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
        in_force.audit_id,
        in_force.finished_at AS audited_at,
        audited.first_audited_at,
        audited.audit_count
    FROM audited
    INNER JOIN audits_in_force AS in_force
        ON
            audited.subject = in_force.subject
            AND audited.model_version = in_force.model_version
    LEFT JOIN version_order
        ON
            audited.subject = version_order.subject
            AND audited.model_version = version_order.model_version
)

SELECT
    *,
    version_number = max(version_number) OVER (PARTITION BY subject) AS is_latest
FROM numbered;
COMMENT ON VIEW versions IS 'One row a subject and version, numbered in order of release, with its audit in force.';
