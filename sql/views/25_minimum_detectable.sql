-- Beside each figure of which it is known, the least leak that its sample would have shown: the
-- minimum detectable effect at 80% power. A figure that shows nothing says nothing of smaller leaks.
CREATE OR REPLACE VIEW minimum_detectable AS
SELECT
    audits.subject,
    audits.model_version,
    figures.audit_id,
    figures.family,
    figures.attack,
    figures.population,
    figures.metric,
    figures.value,
    figures.ci_low,
    figures.ci_high,
    figures.n,
    figures.least_few,
    figures.least_spread
FROM figures
INNER JOIN audits ON figures.audit_id = audits.audit_id
WHERE figures.least_few IS NOT NULL OR figures.least_spread IS NOT NULL;
COMMENT ON VIEW minimum_detectable IS
'The least leak that the sample behind each figure would have shown, at 80% power.';
COMMENT ON COLUMN minimum_detectable.subject IS 'Name of the audited subject.';
COMMENT ON COLUMN minimum_detectable.model_version IS 'Name of the version; option:... for a mitigated recipe.';
COMMENT ON COLUMN minimum_detectable.audit_id IS 'The audit, in audits.';
COMMENT ON COLUMN minimum_detectable.family IS 'membership or extraction.';
COMMENT ON COLUMN minimum_detectable.attack IS 'The attack or estimator.';
COMMENT ON COLUMN minimum_detectable.population IS 'The part of the records it speaks of; all for every record.';
COMMENT ON COLUMN minimum_detectable.metric IS 'What is reported, e.g. auc or tpr_at_fpr_0.01.';
COMMENT ON COLUMN minimum_detectable.value IS 'The estimate; null where the sample cannot resolve it.';
COMMENT ON COLUMN minimum_detectable.ci_low IS 'Lower end of its confidence interval.';
COMMENT ON COLUMN minimum_detectable.ci_high IS 'Upper end of its confidence interval.';
COMMENT ON COLUMN minimum_detectable.n IS 'Independent units behind the value.';
COMMENT ON COLUMN minimum_detectable.least_few IS
'The least true value told from guessing in 80% of samples, where some records leak wholly; null: none below 1 would.';
COMMENT ON COLUMN minimum_detectable.least_spread IS
'The same where every record leaks a little, against so many shadow models.';
