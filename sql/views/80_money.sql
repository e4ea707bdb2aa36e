-- The newest risk calculation of every audit.
CREATE OR REPLACE VIEW latest_risk AS
SELECT
    risk_estimates.*,
    risk_runs.profile,
    risk_runs.computed_at
FROM risk_estimates
INNER JOIN (
    SELECT
        audit_id,
        arg_max(risk_id, (computed_at, risk_id)) AS risk_id
    FROM risk_runs
    GROUP BY audit_id
) AS newest ON risk_estimates.risk_id = newest.risk_id
INNER JOIN risk_runs ON risk_estimates.risk_id = risk_runs.risk_id;
COMMENT ON VIEW latest_risk IS 'The estimates of the newest risk calculation of every audit.';

-- Corrective actions and sign-offs as they stand.
CREATE OR REPLACE VIEW current_actions AS
SELECT *
FROM actions
QUALIFY row_number() OVER (PARTITION BY action_id ORDER BY revision DESC) = 1;
COMMENT ON VIEW current_actions IS 'Corrective actions and sign-offs as they stand: the highest revision of each.';
