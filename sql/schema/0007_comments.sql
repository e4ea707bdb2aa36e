-- Comments that named values which no row holds, or said less than what is written.
COMMENT ON COLUMN audits.model_digest IS 'SHA-256 of the files that make the version: its weights, or its answers where only they were brought.';
COMMENT ON COLUMN audits.pool_digest IS 'Key of the shadow models: data, recipe, masks and code; empty without any.';
COMMENT ON COLUMN audits.device IS 'Where it was computed, e.g. cpu or cuda with the name of the GPU, and the precision of the shadow models where it is not float32.';

COMMENT ON COLUMN measurements.name IS 'The attack or estimator, as its registry calls it; target, accountant or all attacks where it is none of them.';
COMMENT ON COLUMN measurements.stratum IS 'The part of the records, or the channel (label, score), that it speaks of; all for every record.';
COMMENT ON COLUMN measurements.metric IS 'What is reported, e.g. auc or tpr_at_fpr_0.01; in the family gate also auc:threshold and auc:records_needed.';
COMMENT ON COLUMN measurements.unit IS 'probability, nats, bits or count.';
COMMENT ON COLUMN measurements.n IS 'Independent units behind the value: records, pairs, couples of models, probes, or draws of a null.';

COMMENT ON COLUMN controls.control IS 'Name of the control, e.g. negative or blind_baseline.';

COMMENT ON COLUMN record_scores.influence IS 'What training on the record does for the accuracy on held-out records, beyond the record that stands in its place.';
COMMENT ON COLUMN record_scores.kind IS 'useful memorization, pure leakage, generalized, hard, undecided or not measured; null for texts, and in audits made before this was kept.';

COMMENT ON COLUMN risk_estimates.option IS 'What one could do: none for the model as it is, or an option of the profile, such as early-stop or dp-training.';
COMMENT ON COLUMN risk_estimates.quantity IS 'expected_loss, var95, cvar95, npv, audit_depth, ...';
COMMENT ON COLUMN risk_estimates.unit IS 'A currency, probability, ratio, count, years, records, or a number a year such as incidents a year.';
COMMENT ON COLUMN forecasts.option IS 'The option under which it was said; none for the model as it is.';
COMMENT ON COLUMN forecasts.event IS 'What would be observed: incident, or in words.';
