-- An audit is named by what it was made from: made again from the same, it is the same audit.
CREATE TABLE confirmations (
    audit_id VARCHAR NOT NULL,
    confirmed_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (audit_id, confirmed_at)
);
COMMENT ON TABLE confirmations IS 'When an audit was run again and came out the same: what keeps it from being due.';
COMMENT ON COLUMN confirmations.audit_id IS 'The audit.';
COMMENT ON COLUMN confirmations.confirmed_at IS 'When its weights, records and figures were found as they were.';
