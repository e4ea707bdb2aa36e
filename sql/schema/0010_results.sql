-- Results as data: what a name said is a column, what a sentence said is a key with parameters, and
-- what became of each limit is a row. What an older history holds is converted in the same step.
ALTER TABLE audits DROP COLUMN reason;

ALTER TABLE audits ADD COLUMN mitigation VARCHAR;

UPDATE audits
SET mitigation = substr(model_version, length('option:') + 1)
WHERE starts_with(model_version, 'option:');
COMMENT ON COLUMN audits.mitigation IS 'The mitigated recipe that was audited beside the subject; null for a version.';

ALTER TABLE controls DROP COLUMN detail;

DROP TABLE measurements;

CREATE TABLE measurements (
    audit_id VARCHAR NOT NULL,
    family VARCHAR NOT NULL,
    attack VARCHAR NOT NULL,
    population VARCHAR NOT NULL,
    metric VARCHAR NOT NULL,
    threshold DOUBLE CHECK (isfinite(threshold)),
    unit VARCHAR NOT NULL,
    value DOUBLE CHECK (isfinite(value)),
    ci_low DOUBLE CHECK (isfinite(ci_low)),
    ci_high DOUBLE CHECK (isfinite(ci_high)),
    k BIGINT CHECK (k >= 0),
    n BIGINT NOT NULL CHECK (n >= 0),
    status VARCHAR NOT NULL
    CHECK (status IN ('ok', 'unresolvable', 'vacuous', 'at_ceiling', 'not_run')),
    least_few DOUBLE CHECK (isfinite(least_few)),
    least_spread DOUBLE CHECK (isfinite(least_spread)),
    formula_version INTEGER NOT NULL,
    CHECK (ci_low <= ci_high),
    CHECK (status <> 'ok' OR value IS NOT NULL)
);
COMMENT ON TABLE measurements IS 'Every figure of every audit, with its interval.';
COMMENT ON COLUMN measurements.audit_id IS 'The audit, in audits.';
COMMENT ON COLUMN measurements.family IS 'Group of instruments: membership, memorization, information, epsilon, utility, extraction, exposure.';
COMMENT ON COLUMN measurements.attack IS 'The attack or estimator.';
COMMENT ON COLUMN measurements.population IS 'The part of the records it speaks of; all for every record.';
COMMENT ON COLUMN measurements.metric IS 'What is reported, in metrics: auc, tpr_at_fpr, ...';
COMMENT ON COLUMN measurements.threshold IS 'The rate or value at which the metric is reported, as 0.01 of tpr_at_fpr; null where it has none.';
COMMENT ON COLUMN measurements.unit IS 'probability, nats, bits or count.';
COMMENT ON COLUMN measurements.value IS 'The estimate; null where the sample cannot resolve it.';
COMMENT ON COLUMN measurements.ci_low IS 'Lower end of the 95% interval; null: none.';
COMMENT ON COLUMN measurements.ci_high IS 'Upper end of the 95% interval; null: none.';
COMMENT ON COLUMN measurements.k IS 'Hits, where the value is a rate.';
COMMENT ON COLUMN measurements.n IS 'Independent units behind the value: records, pairs, models, probes.';
COMMENT ON COLUMN measurements.status IS 'ok, unresolvable, vacuous, at_ceiling or not_run.';
COMMENT ON COLUMN measurements.least_few IS 'The least true value that this sample would have shown in 80% of samples, where some records leak wholly; null: not known, or none would.';
COMMENT ON COLUMN measurements.least_spread IS 'The same where every record leaks a little, against so many shadow models.';
COMMENT ON COLUMN measurements.formula_version IS 'Figures of one formula version are comparable.';

CREATE TABLE gate_results (
    audit_id VARCHAR NOT NULL,
    metric VARCHAR NOT NULL,
    threshold DOUBLE CHECK (isfinite(threshold)),
    direction VARCHAR NOT NULL CHECK (direction IN ('at most', 'at least')),
    limit_value DOUBLE NOT NULL CHECK (isfinite(limit_value)),
    outcome VARCHAR NOT NULL CHECK (outcome IN ('pass', 'fail', 'inconclusive')),
    withheld BOOLEAN NOT NULL,
    family VARCHAR,
    attack VARCHAR,
    population VARCHAR,
    unit VARCHAR,
    value DOUBLE CHECK (isfinite(value)),
    ci_low DOUBLE CHECK (isfinite(ci_low)),
    ci_high DOUBLE CHECK (isfinite(ci_high)),
    k BIGINT CHECK (k >= 0),
    n BIGINT CHECK (n >= 0),
    status VARCHAR,
    records_needed BIGINT CHECK (records_needed > 0),
    detectable DOUBLE CHECK (isfinite(detectable)),
    formula_version INTEGER,
    CHECK (ci_low <= ci_high)
);
COMMENT ON TABLE gate_results IS 'What became of each limit that an owner set, and of a claimed epsilon: the verdict follows from these rows.';
COMMENT ON COLUMN gate_results.audit_id IS 'The audit, in audits.';
COMMENT ON COLUMN gate_results.metric IS 'The limited metric, in metrics; claimed_epsilon for a claim.';
COMMENT ON COLUMN gate_results.threshold IS 'The rate or value at which it is limited, as 0.01 of tpr_at_fpr; null where it has none.';
COMMENT ON COLUMN gate_results.direction IS 'at most, or at least where a lower value is worse.';
COMMENT ON COLUMN gate_results.limit_value IS 'The limit, or the claim.';
COMMENT ON COLUMN gate_results.outcome IS 'pass or fail with the whole interval on that side, else inconclusive.';
COMMENT ON COLUMN gate_results.withheld IS 'A control failed on which these figures rest, so that the outcome counts for nothing.';
COMMENT ON COLUMN gate_results.family IS 'Family of the figure that decided; null where nothing was measured.';
COMMENT ON COLUMN gate_results.attack IS 'The attack or estimator that decided.';
COMMENT ON COLUMN gate_results.population IS 'The part of the records it speaks of.';
COMMENT ON COLUMN gate_results.unit IS 'probability, nats, bits or count.';
COMMENT ON COLUMN gate_results.value IS 'The figure that decided.';
COMMENT ON COLUMN gate_results.ci_low IS 'Lower end of its interval, widened to hold for all limited figures together.';
COMMENT ON COLUMN gate_results.ci_high IS 'Upper end of its 95% interval.';
COMMENT ON COLUMN gate_results.k IS 'Hits, where the value is a rate.';
COMMENT ON COLUMN gate_results.n IS 'Independent units behind the value.';
COMMENT ON COLUMN gate_results.status IS 'Status of the figure that decided.';
COMMENT ON COLUMN gate_results.records_needed IS 'Records that would settle an inconclusive limit in 80% of samples; null: no number is known to.';
COMMENT ON COLUMN gate_results.detectable IS 'The least true value that would be seen with 80% probability.';
COMMENT ON COLUMN gate_results.formula_version IS 'Formula version of the figure that decided.';

CREATE TABLE findings (
    audit_id VARCHAR NOT NULL,
    about VARCHAR NOT NULL CHECK (about IN ('verdict', 'control', 'limit')),
    name VARCHAR NOT NULL,
    position INTEGER NOT NULL,
    severity VARCHAR NOT NULL CHECK (severity IN ('info', 'warning', 'error')),
    key VARCHAR NOT NULL,
    parameters JSON NOT NULL
);
COMMENT ON TABLE findings IS 'What an audit found, as keys of sentences with parameters; memory-assets puts them into words.';
COMMENT ON COLUMN findings.audit_id IS 'The audit, in audits.';
COMMENT ON COLUMN findings.about IS 'verdict, control or limit.';
COMMENT ON COLUMN findings.name IS 'The control, or the limited metric; empty for the verdict.';
COMMENT ON COLUMN findings.position IS 'Order of the findings about one thing, from 0.';
COMMENT ON COLUMN findings.severity IS 'info, warning or error.';
COMMENT ON COLUMN findings.key IS 'Key of the sentence in the catalogue; legacy: a sentence of an older version.';
COMMENT ON COLUMN findings.parameters IS 'Parameters of the sentence.';

CREATE TABLE metrics (
    metric VARCHAR PRIMARY KEY,
    unit VARCHAR NOT NULL,
    range_low DOUBLE,
    range_high DOUBLE,
    worse VARCHAR CHECK (worse IN ('higher', 'lower')),
    reported_at VARCHAR,
    chance DOUBLE,
    is_percent BOOLEAN NOT NULL,
    catalogue_key VARCHAR NOT NULL
);
COMMENT ON TABLE metrics IS 'Every metric that an audit can report; made from the registry of the program.';
COMMENT ON COLUMN metrics.metric IS 'Name, as measurements.metric has it.';
COMMENT ON COLUMN metrics.unit IS 'probability, nats or bits.';
COMMENT ON COLUMN metrics.range_low IS 'Least possible value; null: none.';
COMMENT ON COLUMN metrics.range_high IS 'Greatest possible value; null: none.';
COMMENT ON COLUMN metrics.worse IS 'Side on which a model is worse; null: the figure describes the instrument or the data.';
COMMENT ON COLUMN metrics.reported_at IS 'What measurements.threshold is of it: false positives, shadow threshold or value; null: nothing.';
COMMENT ON COLUMN metrics.chance IS 'What guessing reaches; null: not known beforehand.';
COMMENT ON COLUMN metrics.is_percent IS 'Whether people write it as a percentage.';
COMMENT ON COLUMN metrics.catalogue_key IS 'Key of its name in the catalogues of the pages.';
