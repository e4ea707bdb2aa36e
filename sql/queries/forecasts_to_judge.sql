-- What was forecast, what became of it, and what can be judged by now?
-- $subject: one subject; all without it
SELECT
    audits.subject,
    audits.model_version,
    forecasts.option,
    forecasts.event,
    forecasts.probability,
    risk_runs.computed_at + to_days(CAST(ceil(forecasts.within_years * 365.25) AS INTEGER))
        AS can_be_judged_at,
    outcomes.occurred,
    CASE
        WHEN outcomes.occurred IS NOT NULL THEN 'judged'
        WHEN
            risk_runs.computed_at
            + to_days(CAST(ceil(forecasts.within_years * 365.25) AS INTEGER)) <= now()
            THEN 'outcome is missing'
        ELSE 'open'
    END AS state
FROM forecasts
INNER JOIN risk_runs ON forecasts.risk_id = risk_runs.risk_id
INNER JOIN audits ON forecasts.audit_id = audits.audit_id
LEFT JOIN outcomes
    ON
        forecasts.risk_id = outcomes.risk_id
        AND forecasts.option = outcomes.option
        AND forecasts.event = outcomes.event
WHERE audits.subject = coalesce($subject, audits.subject)
ORDER BY state, can_be_judged_at, audits.subject, forecasts.option, forecasts.event;
