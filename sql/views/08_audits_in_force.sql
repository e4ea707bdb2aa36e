-- Every audit of a version by what was asked for last: the one in the first place is in force. A
-- version whose weights, data or settings are again what they were has its earlier audit again.
-- An audit of which nobody wrote down when it came into force counts after all others, by its clock;
-- a time that is yet to come is none.
CREATE OR REPLACE VIEW audits_in_order AS
WITH in_order AS (
    SELECT
        bundle_id,
        max(sequence) AS sequence,
        arg_max(since, sequence) AS since
    FROM in_force_since
    GROUP BY bundle_id
)

SELECT
    audits.subject,
    audits.model_version,
    row_number() OVER (
        PARTITION BY audits.subject, audits.model_version
        ORDER BY
            in_order.sequence DESC NULLS LAST,
            if(audits.finished_at <= now(), audits.finished_at, NULL) DESC NULLS LAST,
            audits.started_at DESC,
            audits.audit_id DESC
    ) AS place,
    audits.audit_id,
    audits.verdict,
    audits.model_digest,
    audits.data_digest,
    audits.pool_digest,
    audits.config_digest,
    audits.code_version,
    audits.device,
    audits.finished_at,
    in_order.sequence,
    in_order.since
FROM audits
LEFT JOIN in_order ON audits.audit_id = in_order.bundle_id;
COMMENT ON VIEW audits_in_order IS 'Every audit of a version, the one that was concluded or confirmed last first.';
COMMENT ON COLUMN audits_in_order.subject IS 'Name of the audited subject.';
COMMENT ON COLUMN audits_in_order.model_version IS 'Name of the version; option:... for a mitigated recipe.';
COMMENT ON COLUMN audits_in_order.place IS '1 for the audit in force, 2 for the one before it, and so on.';
COMMENT ON COLUMN audits_in_order.audit_id IS 'The audit, in audits.';
COMMENT ON COLUMN audits_in_order.verdict IS 'pass, fail, inconclusive or insufficient evidence.';
COMMENT ON COLUMN audits_in_order.model_digest IS 'Digest of the weights that it speaks of.';
COMMENT ON COLUMN audits_in_order.data_digest IS 'Digest of the records, their labels and who is a member.';
COMMENT ON COLUMN audits_in_order.pool_digest IS 'Key of the shadow models; empty without any.';
COMMENT ON COLUMN audits_in_order.config_digest IS 'Digest of attacks, limits and what else decides the verdict.';
COMMENT ON COLUMN audits_in_order.code_version IS 'Version of the instruments.';
COMMENT ON COLUMN audits_in_order.device IS 'Where it was computed.';
COMMENT ON COLUMN audits_in_order.finished_at IS 'When its verdict was given, by the clock of then.';
COMMENT ON COLUMN audits_in_order.sequence IS 'Its place in in_force_since; null where nobody wrote it down.';
COMMENT ON COLUMN audits_in_order.since IS 'Since when it was in force the last time, by the clock of then.';

-- The audit of each version that speaks for it. Whether the weights, data and settings are still
-- those that it was made from, SQL cannot see: memory-assets gate compares them.
CREATE OR REPLACE VIEW audits_in_force AS
SELECT * EXCLUDE (place)
FROM audits_in_order
WHERE place = 1;
COMMENT ON VIEW audits_in_force IS 'The audit of each version that speaks for it: concluded or confirmed last.';
COMMENT ON COLUMN audits_in_force.subject IS 'Name of the audited subject.';
COMMENT ON COLUMN audits_in_force.model_version IS 'Name of the version; option:... for a mitigated recipe.';
COMMENT ON COLUMN audits_in_force.audit_id IS 'The audit, in audits.';
COMMENT ON COLUMN audits_in_force.verdict IS 'pass, fail, inconclusive or insufficient evidence.';
COMMENT ON COLUMN audits_in_force.model_digest IS 'Digest of the weights that it speaks of.';
COMMENT ON COLUMN audits_in_force.data_digest IS 'Digest of the records, their labels and who is a member.';
COMMENT ON COLUMN audits_in_force.pool_digest IS 'Key of the shadow models; empty without any.';
COMMENT ON COLUMN audits_in_force.config_digest IS 'Digest of attacks, limits and what else decides the verdict.';
COMMENT ON COLUMN audits_in_force.code_version IS 'Version of the instruments.';
COMMENT ON COLUMN audits_in_force.device IS 'Where it was computed.';
COMMENT ON COLUMN audits_in_force.finished_at IS 'When its verdict was given, by the clock of then.';
COMMENT ON COLUMN audits_in_force.sequence IS 'Its place in in_force_since; null where nobody wrote it down.';
COMMENT ON COLUMN audits_in_force.since IS 'Since when it is in force, by the clock of then.';
