-- Beside figures now stands what their sample would have shown.
COMMENT ON COLUMN measurements.family IS 'Group of instruments: membership, memorization, information, epsilon, utility, gate, extraction, exposure; power says what the sample behind others would have shown.';
COMMENT ON COLUMN measurements.metric IS 'What is reported, e.g. auc or tpr_at_fpr_0.01; in the family gate also auc:threshold and auc:records_needed, in power auc:few and auc:spread.';
