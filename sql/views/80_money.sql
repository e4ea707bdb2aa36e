-- The risk calculation of every audit that is in force: the newest, or an older one found again.
CREATE OR REPLACE VIEW latest_risk AS
SELECT
    risk_estimates.*,
    risk_runs.profile,
    risk_runs.computed_at
FROM risk_estimates
INNER JOIN (
    SELECT
        made.audit_id,
        arg_max(made.risk_id, (greatest(made.computed_at, again.since), made.risk_id)) AS risk_id
    FROM risk_runs AS made
    LEFT JOIN risk_in_force AS again ON made.risk_id = again.risk_id
    GROUP BY made.audit_id
) AS in_force ON risk_estimates.risk_id = in_force.risk_id
INNER JOIN risk_runs ON risk_estimates.risk_id = risk_runs.risk_id;
COMMENT ON VIEW latest_risk IS 'The estimates of the risk calculation of every audit that is in force.';

-- Corrective actions and sign-offs as they stand.
CREATE OR REPLACE VIEW current_actions AS
SELECT *
FROM actions
QUALIFY row_number() OVER (PARTITION BY action_id ORDER BY revision DESC) = 1;
COMMENT ON VIEW current_actions IS 'Corrective actions and sign-offs as they stand: the highest revision of each.';
