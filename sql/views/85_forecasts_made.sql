-- Every forecast, when its time is over, and what became of it. That something happened is known
-- at once; that it did not, only from the day on which it no longer can.
CREATE OR REPLACE VIEW forecasts_made AS
WITH made AS (
    SELECT
        audits.subject,
        audits.model_version,
        forecasts.*,
        risk_runs.computed_at,
        risk_runs.computed_at + to_days(CAST(ceil(forecasts.within_years * 365.25) AS INTEGER))
            AS can_be_judged_at
    FROM forecasts
    INNER JOIN risk_runs ON forecasts.risk_id = risk_runs.risk_id
    INNER JOIN audits ON forecasts.audit_id = audits.audit_id
)

SELECT
    made.*,
    outcomes.occurred,
    outcomes.recorded_at,
    CASE
        WHEN outcomes.occurred OR outcomes.recorded_at >= made.can_be_judged_at THEN 'judged'
        WHEN made.can_be_judged_at <= now() THEN 'outcome is missing'
        ELSE 'open'
    END AS state
FROM made
LEFT JOIN outcomes
    ON
        made.risk_id = outcomes.risk_id
        AND made.option = outcomes.option
        AND made.event = outcomes.event;
COMMENT ON VIEW forecasts_made IS 'Every forecast, from when on it can be judged, and what became of it.';
