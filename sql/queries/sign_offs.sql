-- Who signed off which version, on which verdict, and which are not signed off?
-- $subject: one subject; all without it
SELECT
    versions.subject,
    versions.model_version,
    audits.verdict,
    audits.finished_at,
    current_actions.owner AS signed_by,
    current_actions.recorded_at AS signed_at,
    current_actions.description,
    -- A version that was audited again after it was signed needs another signature.
    coalesce(
        NOT signed_for(
            current_actions.audit_id, current_actions.recorded_at, audits.audit_id, audits.finished_at
        ),
        false
    ) AS audited_since
FROM versions
INNER JOIN audits ON versions.audit_id = audits.audit_id
LEFT JOIN current_actions
    ON
        versions.subject = current_actions.subject
        AND versions.model_version = current_actions.model_version
        AND current_actions.kind = 'sign-off'
        AND current_actions.status = 'done'
WHERE versions.subject = coalesce($subject, versions.subject)
ORDER BY versions.subject, versions.version_number DESC, signed_at DESC;
