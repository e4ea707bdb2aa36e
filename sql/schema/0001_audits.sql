-- Audits and what they measured: the append-only core of the history.
CREATE TABLE audits (
    audit_id VARCHAR PRIMARY KEY,
    subject VARCHAR NOT NULL,
    kind VARCHAR NOT NULL CHECK (kind IN ('classifier', 'language_model')),
    model_version VARCHAR NOT NULL,
    model_digest VARCHAR NOT NULL,
    data_digest VARCHAR NOT NULL,
    pool_digest VARCHAR NOT NULL,
    config_digest VARCHAR NOT NULL,
    code_version VARCHAR NOT NULL,
    device VARCHAR NOT NULL,
    started_at TIMESTAMPTZ NOT NULL,
    finished_at TIMESTAMPTZ NOT NULL,
    verdict VARCHAR NOT NULL
    CHECK (verdict IN ('pass', 'fail', 'inconclusive', 'insufficient evidence')),
    reason VARCHAR NOT NULL
);
COMMENT ON TABLE audits IS 'One row an audit: which model, data, pool, configuration and code, and the verdict.';
COMMENT ON COLUMN audits.audit_id IS 'Digest of the digests below, not of the clock: the same audit run twice has one id.';
COMMENT ON COLUMN audits.subject IS 'Name of the audited subject.';
COMMENT ON COLUMN audits.kind IS 'classifier or language_model.';
COMMENT ON COLUMN audits.model_version IS 'Name of the version, as its owner calls it.';
COMMENT ON COLUMN audits.model_digest IS 'SHA-256 of the weights under audit.';
COMMENT ON COLUMN audits.data_digest IS 'SHA-256 of the records, their labels and who is a member.';
COMMENT ON COLUMN audits.pool_digest IS 'Key of the shadow models: data, recipe, masks and code.';
COMMENT ON COLUMN audits.config_digest IS 'Digest of attacks, gates and what else decides the verdict.';
COMMENT ON COLUMN audits.code_version IS 'Version of the instruments.';
COMMENT ON COLUMN audits.device IS 'Where it was computed, e.g. cpu or the name of the GPU.';
COMMENT ON COLUMN audits.started_at IS 'When the audit began.';
COMMENT ON COLUMN audits.finished_at IS 'When its verdict was given.';
COMMENT ON COLUMN audits.verdict IS 'pass, fail, inconclusive or insufficient evidence.';
COMMENT ON COLUMN audits.reason IS 'The verdict in one sentence.';

CREATE TABLE measurements (
    audit_id VARCHAR NOT NULL,
    family VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    stratum VARCHAR NOT NULL,
    metric VARCHAR NOT NULL,
    unit VARCHAR NOT NULL,
    value DOUBLE CHECK (isfinite(value)),
    ci_low DOUBLE CHECK (isfinite(ci_low)),
    ci_high DOUBLE CHECK (isfinite(ci_high)),
    k BIGINT CHECK (k >= 0),
    n BIGINT NOT NULL CHECK (n >= 0),
    status VARCHAR NOT NULL
    CHECK (status IN ('ok', 'unresolvable', 'vacuous', 'at_ceiling', 'not_run')),
    formula_version INTEGER NOT NULL,
    CHECK (ci_low <= ci_high),
    CHECK (status <> 'ok' OR value IS NOT NULL)
);
COMMENT ON TABLE measurements IS 'Every number an audit produced, with its interval and sample. Unique by audit_id, family, name, stratum and metric: checked when an audit is appended.';
COMMENT ON COLUMN measurements.audit_id IS 'The audit it belongs to.';
COMMENT ON COLUMN measurements.family IS 'Group of instruments: membership, memorization, information, epsilon, utility, gate, extraction, exposure.';
COMMENT ON COLUMN measurements.name IS 'The attack or estimator, as its registry calls it.';
COMMENT ON COLUMN measurements.stratum IS 'The part of the records it speaks of; all for every record.';
COMMENT ON COLUMN measurements.metric IS 'What is reported, e.g. auc or tpr_at_fpr_0.01.';
COMMENT ON COLUMN measurements.unit IS 'probability, nats, bits, ratio, count or a currency.';
COMMENT ON COLUMN measurements.value IS 'The estimate; null where the sample cannot resolve it or nothing was run.';
COMMENT ON COLUMN measurements.ci_low IS 'Lower end of the confidence interval.';
COMMENT ON COLUMN measurements.ci_high IS 'Upper end of the confidence interval.';
COMMENT ON COLUMN measurements.k IS 'Hits among n, where the value is a rate.';
COMMENT ON COLUMN measurements.n IS 'Independent units behind the value: records, pairs, models or probes.';
COMMENT ON COLUMN measurements.status IS 'ok; unresolvable: the sample cannot show a rate so small; vacuous: a bound that bounds nothing; at_ceiling: as large as this sample can show; not_run: no attempt.';
COMMENT ON COLUMN measurements.formula_version IS 'Version of the formula: values of two formulas are never compared.';

CREATE TABLE controls (
    audit_id VARCHAR NOT NULL,
    control VARCHAR NOT NULL,
    value DOUBLE CHECK (isfinite(value)),
    ci_low DOUBLE CHECK (isfinite(ci_low)),
    ci_high DOUBLE CHECK (isfinite(ci_high)),
    passed BOOLEAN NOT NULL,
    detail VARCHAR NOT NULL,
    PRIMARY KEY (audit_id, control)
);
COMMENT ON TABLE controls IS 'Is an audit valid? One row a control; a verdict is withheld when one fails.';
COMMENT ON COLUMN controls.audit_id IS 'The audit it belongs to.';
COMMENT ON COLUMN controls.control IS 'Name of the control, e.g. negative_control.';
COMMENT ON COLUMN controls.value IS 'What the control measured.';
COMMENT ON COLUMN controls.ci_low IS 'Lower end of the confidence interval.';
COMMENT ON COLUMN controls.ci_high IS 'Upper end of the confidence interval.';
COMMENT ON COLUMN controls.passed IS 'Whether the audit is valid as far as this control sees.';
COMMENT ON COLUMN controls.detail IS 'The finding in one sentence.';

CREATE TABLE record_scores (
    audit_id VARCHAR NOT NULL,
    record_id VARCHAR NOT NULL,
    member BOOLEAN NOT NULL,
    attack VARCHAR,
    score DOUBLE CHECK (isfinite(score)),
    memorization DOUBLE CHECK (isfinite(memorization)),
    memorization_low DOUBLE CHECK (isfinite(memorization_low)),
    memorization_high DOUBLE CHECK (isfinite(memorization_high)),
    influence DOUBLE CHECK (isfinite(influence)),
    CHECK (memorization_low <= memorization_high)
);
COMMENT ON TABLE record_scores IS 'Scores of single records, one row a record and attack. Holds ids, never contents. Unique by audit_id, record_id and attack: checked when an audit is appended.';
COMMENT ON COLUMN record_scores.audit_id IS 'The audit it belongs to.';
COMMENT ON COLUMN record_scores.record_id IS 'Id of the record in its owner''s data.';
COMMENT ON COLUMN record_scores.member IS 'Whether the model was trained on the record.';
COMMENT ON COLUMN record_scores.attack IS 'The attack that gave the score.';
COMMENT ON COLUMN record_scores.score IS 'Higher: more likely a member, by this attack.';
COMMENT ON COLUMN record_scores.memorization IS 'Accuracy on the record when it was trained on, minus when it was not.';
COMMENT ON COLUMN record_scores.memorization_low IS 'Lower end of its confidence interval.';
COMMENT ON COLUMN record_scores.memorization_high IS 'Upper end of its confidence interval.';
COMMENT ON COLUMN record_scores.influence IS 'What training on the record does for the accuracy on held-out records.';

CREATE TABLE contents (
    bundle_id VARCHAR NOT NULL,
    table_name VARCHAR NOT NULL,
    row_count BIGINT NOT NULL CHECK (row_count >= 0),
    PRIMARY KEY (bundle_id, table_name)
);
COMMENT ON TABLE contents IS 'How many rows each appended bundle brought to each table: what proves that none is half there.';
COMMENT ON COLUMN contents.bundle_id IS 'audit_id of an audit, risk_id of a risk calculation.';
COMMENT ON COLUMN contents.table_name IS 'The table.';
COMMENT ON COLUMN contents.row_count IS 'Rows of this bundle in the table.';
