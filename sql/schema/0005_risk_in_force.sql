-- A price is named by what it was made from: a profile that is switched back finds its old price.
CREATE TABLE risk_in_force (
    audit_id VARCHAR NOT NULL,
    risk_id VARCHAR NOT NULL,
    since TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (audit_id, since)
);
COMMENT ON TABLE risk_in_force IS 'Since when an audit is priced by an earlier risk calculation again.';
COMMENT ON COLUMN risk_in_force.audit_id IS 'The audit.';
COMMENT ON COLUMN risk_in_force.risk_id IS 'The risk calculation, in risk_runs.';
COMMENT ON COLUMN risk_in_force.since IS 'When it was found to be the one that the profile asks for.';
