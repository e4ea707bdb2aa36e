-- How far from its threshold was every gate, version by version?
-- $subject: one subject; all without it
SELECT
    versions.subject,
    versions.model_version,
    metric_name(gate_results.metric, gate_results.threshold) AS metric,
    gate_results.attack,
    gate_results.value,
    gate_results.ci_low,
    gate_results.ci_high,
    gate_results.limit_value AS threshold,
    CASE
        WHEN gate_results.ci_low > gate_results.limit_value THEN 'wholly above'
        WHEN gate_results.ci_high < gate_results.limit_value THEN 'wholly below'
        ELSE 'not clearly on one side'
    END AS side,
    -- What is left before the limit is reached.
    CASE gate_results.direction
        WHEN 'at least' THEN gate_results.ci_low - gate_results.limit_value
        ELSE gate_results.limit_value - gate_results.ci_high
    END AS room
FROM gate_results
INNER JOIN versions ON gate_results.audit_id = versions.audit_id
WHERE
    gate_results.metric <> 'claimed_epsilon'
    AND versions.subject = coalesce($subject, versions.subject)
ORDER BY versions.subject, metric, versions.version_number;
