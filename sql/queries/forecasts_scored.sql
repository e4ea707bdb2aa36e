-- How good were our forecasts? Brier score by subject of those that can be judged.
-- $subject: one subject; all without it
SELECT
    audits.subject,
    count(*) AS forecasts,
    avg(forecasts.probability) AS mean_probability,
    avg(CAST(outcomes.occurred AS INTEGER)) AS share_occurred,
    avg((forecasts.probability - CAST(outcomes.occurred AS INTEGER)) ** 2) AS brier_score
FROM forecasts
INNER JOIN outcomes
    ON
        forecasts.risk_id = outcomes.risk_id
        AND forecasts.option = outcomes.option
        AND forecasts.event = outcomes.event
INNER JOIN audits ON forecasts.audit_id = audits.audit_id
WHERE audits.subject = coalesce($subject, audits.subject)
GROUP BY audits.subject
ORDER BY audits.subject;
