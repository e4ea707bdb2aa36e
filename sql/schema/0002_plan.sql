-- The audit plan: who must be audited how often, and in which order versions were released.
CREATE TABLE subjects (
    subject VARCHAR PRIMARY KEY,
    owner VARCHAR NOT NULL,
    cadence_days INTEGER NOT NULL CHECK (cadence_days >= 1)
);
COMMENT ON TABLE subjects IS 'Subjects under an audit plan.';
COMMENT ON COLUMN subjects.subject IS 'Name of the subject, as in audits.';
COMMENT ON COLUMN subjects.owner IS 'Who answers for it: team:name or an e-mail address.';
COMMENT ON COLUMN subjects.cadence_days IS 'Days after which the newest audit is too old.';

CREATE TABLE version_order (
    subject VARCHAR NOT NULL,
    model_version VARCHAR NOT NULL,
    position INTEGER NOT NULL,
    PRIMARY KEY (subject, model_version)
);
COMMENT ON TABLE version_order IS 'The order of release of a subject''s versions, where its owner gave one.';
COMMENT ON COLUMN version_order.subject IS 'Name of the subject, as in audits.';
COMMENT ON COLUMN version_order.model_version IS 'Name of the version, as in audits.';
COMMENT ON COLUMN version_order.position IS '1 for the oldest.';
