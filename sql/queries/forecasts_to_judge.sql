-- What was forecast, what became of it, and what can be judged by now?
-- $subject: one subject; all without it
SELECT
    subject,
    model_version,
    option,
    event,
    probability,
    computed_at AS made_at,
    can_be_judged_at,
    occurred,
    state,
    left(risk_id, 12) AS forecast_id
FROM forecasts_made
WHERE subject = coalesce($subject, subject)
ORDER BY state DESC, can_be_judged_at, subject, option, event, risk_id;
