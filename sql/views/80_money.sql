-- The risk calculation of every audit that is in force: the one that was asked for last.
CREATE OR REPLACE VIEW latest_risk AS
SELECT
    risk_estimates.*,
    risk_runs.profile,
    risk_runs.computed_at
FROM risk_estimates
INNER JOIN (
    SELECT made.risk_id
    FROM risk_runs AS made
    LEFT JOIN (
        SELECT
            bundle_id,
            max(sequence) AS sequence
        FROM in_force_since
        GROUP BY bundle_id
    ) AS in_order ON made.risk_id = in_order.bundle_id
    QUALIFY
        row_number() OVER (
            PARTITION BY made.audit_id
            ORDER BY
                in_order.sequence DESC NULLS LAST,
                if(made.computed_at <= now(), made.computed_at, NULL) DESC NULLS LAST,
                made.risk_id DESC
        ) = 1
) AS in_force ON risk_estimates.risk_id = in_force.risk_id
INNER JOIN risk_runs ON risk_estimates.risk_id = risk_runs.risk_id;
COMMENT ON VIEW latest_risk IS 'The estimates of the risk calculation of every audit that is in force.';

-- Corrective actions and sign-offs as they stand.
CREATE OR REPLACE VIEW current_actions AS
SELECT *
FROM actions
QUALIFY row_number() OVER (PARTITION BY action_id ORDER BY revision DESC) = 1;
COMMENT ON VIEW current_actions IS 'Corrective actions and sign-offs as they stand: the highest revision of each.';
