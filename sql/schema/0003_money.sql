-- What the leakage is worth: risk calculations, forecasts and their outcomes, and what was done.
CREATE TABLE risk_runs (
    risk_id VARCHAR PRIMARY KEY,
    audit_id VARCHAR NOT NULL,
    profile VARCHAR NOT NULL,
    profile_digest VARCHAR NOT NULL,
    code_version VARCHAR NOT NULL,
    computed_at TIMESTAMPTZ NOT NULL
);
COMMENT ON TABLE risk_runs IS 'One row a risk calculation: an audit seen through one profile. A changed profile adds a run and leaves the audit as it is.';
COMMENT ON COLUMN risk_runs.risk_id IS 'Digest of the audit, the profile, the options and the code.';
COMMENT ON COLUMN risk_runs.audit_id IS 'The audit whose measured rates were priced.';
COMMENT ON COLUMN risk_runs.profile IS 'Name of the profile.';
COMMENT ON COLUMN risk_runs.profile_digest IS 'SHA-256 of the profile.';
COMMENT ON COLUMN risk_runs.code_version IS 'Version of the risk model.';
COMMENT ON COLUMN risk_runs.computed_at IS 'When it was computed.';

CREATE TABLE risk_estimates (
    risk_id VARCHAR NOT NULL,
    audit_id VARCHAR NOT NULL,
    option VARCHAR NOT NULL,
    quantity VARCHAR NOT NULL,
    unit VARCHAR NOT NULL,
    value DOUBLE CHECK (isfinite(value)),
    ci_low DOUBLE CHECK (isfinite(ci_low)),
    ci_high DOUBLE CHECK (isfinite(ci_high)),
    basis VARCHAR NOT NULL CHECK (basis IN ('measured', 'poc', 'cited', 'expert', 'assumed')),
    PRIMARY KEY (risk_id, option, quantity),
    CHECK (ci_low <= ci_high)
);
COMMENT ON TABLE risk_estimates IS 'Money and rates by option (as is, early stopping, ...), each with its range and basis.';
COMMENT ON COLUMN risk_estimates.risk_id IS 'The risk calculation it belongs to.';
COMMENT ON COLUMN risk_estimates.audit_id IS 'The audit that was priced.';
COMMENT ON COLUMN risk_estimates.option IS 'What one could do: as_is, early_stop, dp, ...';
COMMENT ON COLUMN risk_estimates.quantity IS 'expected_loss, var_95, cvar_95, npv, ...';
COMMENT ON COLUMN risk_estimates.unit IS 'A currency, probability, ratio, years or count.';
COMMENT ON COLUMN risk_estimates.value IS 'The estimate.';
COMMENT ON COLUMN risk_estimates.ci_low IS 'Lower end of its range.';
COMMENT ON COLUMN risk_estimates.ci_high IS 'Upper end of its range.';
COMMENT ON COLUMN risk_estimates.basis IS 'The weakest basis among its inputs: measured, poc, cited, expert or assumed.';

CREATE TABLE forecasts (
    risk_id VARCHAR NOT NULL,
    audit_id VARCHAR NOT NULL,
    option VARCHAR NOT NULL,
    event VARCHAR NOT NULL,
    probability DOUBLE NOT NULL CHECK (probability BETWEEN 0 AND 1),
    within_years DOUBLE NOT NULL CHECK (within_years > 0),
    PRIMARY KEY (risk_id, option, event)
);
COMMENT ON TABLE forecasts IS 'What was said would happen, how likely, and by when.';
COMMENT ON COLUMN forecasts.risk_id IS 'The risk calculation that made it.';
COMMENT ON COLUMN forecasts.audit_id IS 'The audit it stands on.';
COMMENT ON COLUMN forecasts.option IS 'The option under which it was said.';
COMMENT ON COLUMN forecasts.event IS 'What would be observed, in words or by name.';
COMMENT ON COLUMN forecasts.probability IS 'How likely it was said to be.';
COMMENT ON COLUMN forecasts.within_years IS 'Years after the calculation when it can be judged.';

CREATE TABLE outcomes (
    risk_id VARCHAR NOT NULL,
    option VARCHAR NOT NULL,
    event VARCHAR NOT NULL,
    occurred BOOLEAN NOT NULL,
    recorded_at TIMESTAMPTZ NOT NULL,
    recorded_by VARCHAR NOT NULL,
    PRIMARY KEY (risk_id, option, event)
);
COMMENT ON TABLE outcomes IS 'What became of a forecast.';
COMMENT ON COLUMN outcomes.risk_id IS 'The risk calculation that made the forecast.';
COMMENT ON COLUMN outcomes.option IS 'The option under which it was said.';
COMMENT ON COLUMN outcomes.event IS 'The event forecast.';
COMMENT ON COLUMN outcomes.occurred IS 'Whether it happened.';
COMMENT ON COLUMN outcomes.recorded_at IS 'When this was written down.';
COMMENT ON COLUMN outcomes.recorded_by IS 'Who wrote it down.';

CREATE TABLE actions (
    action_id VARCHAR NOT NULL,
    revision INTEGER NOT NULL CHECK (revision >= 1),
    subject VARCHAR NOT NULL,
    model_version VARCHAR NOT NULL,
    kind VARCHAR NOT NULL CHECK (kind IN ('corrective action', 'sign-off')),
    description VARCHAR NOT NULL,
    owner VARCHAR NOT NULL,
    status VARCHAR NOT NULL CHECK (status IN ('open', 'done', 'rejected')),
    due_on DATE,
    recorded_at TIMESTAMPTZ NOT NULL,
    recorded_by VARCHAR NOT NULL,
    PRIMARY KEY (action_id, revision)
);
COMMENT ON TABLE actions IS 'Corrective actions and sign-offs. A change is a new revision; the highest one holds.';
COMMENT ON COLUMN actions.action_id IS 'One action through all its revisions.';
COMMENT ON COLUMN actions.revision IS '1, 2, ...: nothing is overwritten.';
COMMENT ON COLUMN actions.subject IS 'The subject it is about.';
COMMENT ON COLUMN actions.model_version IS 'The version it is about.';
COMMENT ON COLUMN actions.kind IS 'corrective action or sign-off.';
COMMENT ON COLUMN actions.description IS 'What is to be done, or what was approved.';
COMMENT ON COLUMN actions.owner IS 'Who does it or who signed.';
COMMENT ON COLUMN actions.status IS 'open, done or rejected.';
COMMENT ON COLUMN actions.due_on IS 'By when.';
COMMENT ON COLUMN actions.recorded_at IS 'When this revision was written down.';
COMMENT ON COLUMN actions.recorded_by IS 'Who wrote it down.';
