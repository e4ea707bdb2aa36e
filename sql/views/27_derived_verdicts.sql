-- The verdict that follows from what became of an audit's limits: the rule of the program, in SQL.
-- A refuted claim fails, as does any limit that is not withheld. While a limit is withheld, or there
-- is none and a control failed, there is no verdict. What is left passes where every limit passes.
CREATE OR REPLACE VIEW derived_verdicts AS
WITH limits AS (
    SELECT
        audit_id,
        bool_or(outcome = 'fail' AND NOT withheld) AS any_fails,
        bool_or(withheld) FILTER (WHERE metric <> 'claimed_epsilon') AS any_withheld,
        bool_and(outcome = 'pass') FILTER (WHERE metric <> 'claimed_epsilon') AS all_pass
    FROM gate_results
    GROUP BY audit_id
),

validity AS (
    SELECT
        audit_id,
        bool_or(NOT passed) AS any_control_failed
    FROM controls
    GROUP BY audit_id
)

SELECT
    audits.audit_id,
    audits.subject,
    audits.model_version,
    CASE
        WHEN limits.any_fails THEN 'fail'
        WHEN limits.any_withheld THEN 'insufficient evidence'
        WHEN limits.all_pass IS NULL AND validity.any_control_failed THEN 'insufficient evidence'
        WHEN limits.all_pass THEN 'pass'
        ELSE 'inconclusive'
    END AS verdict
FROM audits
LEFT JOIN limits ON audits.audit_id = limits.audit_id
LEFT JOIN validity ON audits.audit_id = validity.audit_id;
COMMENT ON VIEW derived_verdicts IS 'The verdict that follows from gate_results and controls; always that of audits.';
COMMENT ON COLUMN derived_verdicts.audit_id IS 'The audit, in audits.';
COMMENT ON COLUMN derived_verdicts.subject IS 'Name of the audited subject.';
COMMENT ON COLUMN derived_verdicts.model_version IS 'Name of the version.';
COMMENT ON COLUMN derived_verdicts.verdict IS 'pass, fail, inconclusive or insufficient evidence.';

-- What was found about the verdict, a control or a limit, in its order: keys with parameters, which
-- memory-assets query puts into words.
CREATE OR REPLACE VIEW told AS
SELECT
    audit_id,
    about,
    name,
    list({ 'key': key, 'parameters': CAST(parameters AS VARCHAR) } ORDER BY position) AS findings
FROM findings
GROUP BY audit_id, about, name;
COMMENT ON VIEW told IS 'What was found about one thing, in its order.';
COMMENT ON COLUMN told.audit_id IS 'The audit, in audits.';
COMMENT ON COLUMN told.about IS 'verdict, control or limit.';
COMMENT ON COLUMN told.name IS 'The control, or the limited metric; empty for the verdict.';
COMMENT ON COLUMN told.findings IS 'Keys of sentences with their parameters; memory-assets query puts them into words.';
