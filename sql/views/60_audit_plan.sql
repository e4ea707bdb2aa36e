-- When the next audit of every subject under a plan is due, and why.
CREATE OR REPLACE VIEW audit_plan AS
WITH newest_release AS (
    SELECT
        subject,
        arg_max(model_version, position) AS model_version
    FROM version_order
    GROUP BY subject
),

last_run AS (
    -- A time that is yet to come was told by a clock that was wrong, and keeps nothing from being due.
    SELECT
        ran.audit_id,
        max(ran.told) FILTER (WHERE ran.told <= now()) AS run_at
    FROM (
        SELECT
            audit_id,
            finished_at AS told
        FROM latest
        UNION ALL
        SELECT
            audit_id,
            confirmed_at
        FROM confirmations
    ) AS ran
    GROUP BY ran.audit_id
)

SELECT
    subjects.subject,
    subjects.owner,
    subjects.cadence_days,
    latest.model_version AS audited_version,
    last_run.run_at AS audited_at,
    CASE
        WHEN latest.audit_id IS NULL THEN 'never audited'
        WHEN newest_release.subject IS NOT NULL AND newest_audit.audit_id IS NULL
            THEN 'no audit of version ' || newest_release.model_version
        WHEN last_run.run_at IS NULL THEN 'when it was audited is not known'
        ELSE 'every ' || subjects.cadence_days || ' days'
    END AS reason,
    -- Whether nothing but the time since the last audit asks for the next one.
    latest.audit_id IS NOT NULL
    AND (newest_release.subject IS NULL OR newest_audit.audit_id IS NOT NULL)
    AND last_run.run_at IS NOT NULL AS by_cadence,
    CASE
        WHEN latest.audit_id IS NULL THEN now()
        WHEN newest_release.subject IS NOT NULL AND newest_audit.audit_id IS NULL THEN now()
        ELSE coalesce(last_run.run_at + to_days(subjects.cadence_days), now())
    END AS due_at
FROM subjects
LEFT JOIN latest ON subjects.subject = latest.subject
LEFT JOIN last_run ON latest.audit_id = last_run.audit_id
LEFT JOIN newest_release ON subjects.subject = newest_release.subject
LEFT JOIN versions AS newest_audit
    ON
        newest_release.subject = newest_audit.subject
        AND newest_release.model_version = newest_audit.model_version;
COMMENT ON VIEW audit_plan IS 'When the next audit of every subject under a plan is due, and why.';
