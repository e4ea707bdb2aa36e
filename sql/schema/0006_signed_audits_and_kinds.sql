-- A signature is for one audit, not for whatever comes later under the name of its version; and a
-- record is placed by the audit, which knows its intervals, not by the sign of an estimate.
ALTER TABLE actions ADD COLUMN audit_id VARCHAR;
COMMENT ON COLUMN actions.audit_id IS 'The audit that was seen when this was said; null where that was not written down.';

ALTER TABLE record_scores ADD COLUMN kind VARCHAR;
COMMENT ON COLUMN record_scores.kind IS 'useful memorization, pure leakage, generalized, hard, undecided or not measured; null in audits made before this was kept.';
