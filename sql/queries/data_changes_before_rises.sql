-- Which change of the data preceded a rise of leakage? Rises after a change of the data come first.
-- $subject: one subject; all without it
SELECT
    regressions.subject,
    regressions.previous_version,
    regressions.model_version,
    past.data_digest AS previous_data_digest,
    present.data_digest,
    past.data_digest <> present.data_digest AS data_changed,
    past.pool_digest <> present.pool_digest AS pool_changed,
    past.model_digest <> present.model_digest AS weights_changed,
    count(*) AS figures_risen,
    string_agg(DISTINCT regressions.family, ', ' ORDER BY regressions.family) AS families,
    present.finished_at
FROM regressions
INNER JOIN audits AS present ON regressions.audit_id = present.audit_id
INNER JOIN audits AS past ON regressions.previous_audit_id = past.audit_id
WHERE
    regressions.subject = coalesce($subject, regressions.subject)
    AND is_leakage(regressions.family)
    -- What memorization earns on held-out records stands in the same family; a fall of it is worse.
    AND regressions.worse = 'higher'
GROUP BY ALL
ORDER BY data_changed DESC, present.finished_at DESC, regressions.subject;
